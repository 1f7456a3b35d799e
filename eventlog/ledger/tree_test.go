package ledger_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"gridcase/eventlog"
	"gridcase/eventlog/ledger"
	"gridcase/eventlog/mem"
)

// TestTheRootOfTheFrozenLeaves: the three frozen leaves have the frozen root.
func TestTheRootOfTheFrozenLeaves(t *testing.T) {
	var tree ledger.Tree
	for _, v := range vectors(t) {
		tree.Add([sha256.Size]byte(v.LeafHash))
	}
	const want = "Vu3I0DRFiaLXvVRMoO4HwMr8nLtlQ8kK6bdhOAF+8rQ="
	if root := tree.Root(); b64(root[:]) != want || tree.Size() != 3 {
		t.Errorf("got %s over %d leaves, want %s over 3", b64(root[:]), tree.Size(), want)
	}
}

// TestEveryRootIsThatOfAnotherImplementation compares the roots of the first 300 sizes with those of the Go checksum database's tree.
func TestEveryRootIsThatOfAnotherImplementation(t *testing.T) {
	var tree ledger.Tree
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		var hs []tlog.Hash
		for _, i := range at {
			hs = append(hs, stored[i])
		}
		return hs, nil
	})
	if root := tree.Root(); root != sha256.Sum256(nil) {
		t.Errorf("the empty tree has the root %x", root)
	}
	for n := range int64(300) {
		record := binary.BigEndian.AppendUint64(nil, uint64(n))
		leaf := tlog.RecordHash(record)
		tree.Add(leaf)
		hs, err := tlog.StoredHashesForRecordHash(n, leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hs...)
		want, err := tlog.TreeHash(n+1, read)
		if err != nil {
			t.Fatal(err)
		}
		if root := tree.Root(); tlog.Hash(root) != want || tree.Size() != n+1 {
			t.Fatalf("%d leaves: got %x over %d, want %x", n+1, root, tree.Size(), want)
		}
	}
}

// filled is a log of three streams, one of them not ours.
func filled(t *testing.T) *mem.Log {
	t.Helper()
	log := mem.Open()
	t.Cleanup(func() { log.Close() })
	for i := range 30 {
		name := []string{"gridcase.a-1", "gridcase.b-1", "other"}[i%3]
		fact := eventlog.Fact{ID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)), Type: "x/1", Data: []byte("{}"), Meta: []byte("{}")}
		if _, err := log.Append(t.Context(), name, eventlog.Revision(i/3)-1, fact); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

// TestTheTreeAtAPositionHoldsOurEventsUpToThere: and neither those after it nor those of streams that are not ours.
func TestTheTreeAtAPositionHoldsOurEventsUpToThere(t *testing.T) {
	log := filled(t)
	var want ledger.Tree
	for batch, err := range log.Follow(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Events {
			if e.Stream != "other" {
				want.Add(ledger.LeafOf(e).Hash())
			}
			got, err := ledger.At(t.Context(), log, e.Position)
			if err != nil || got.Root() != want.Root() || got.Size() != want.Size() {
				t.Fatalf("position %d: got %d leaves, %v; want %d", e.Position, got.Size(), err, want.Size())
			}
		}
		if batch.Live {
			break
		}
	}
	if want.Size() != 20 {
		t.Errorf("got %d leaves, want 20", want.Size())
	}
	end, err := log.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.At(t.Context(), log, end+1); err == nil {
		t.Error("a tree beyond the end of the log was made")
	}
}

// altered gives the events of a log otherwise than they are.
type altered struct {
	eventlog.Log
	alter func([]eventlog.Event) []eventlog.Event
}

func (a altered) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range a.Log.Follow(ctx, after) {
			b.Events = a.alter(slices.Clone(b.Events))
			if !yield(b, err) {
				return
			}
		}
	}
}

// TestAHoleIsNoHistory: with an event taken out, or there twice, no tree is made.
func TestAHoleIsNoHistory(t *testing.T) {
	log := filled(t)
	end, err := log.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, alter := range map[string]func([]eventlog.Event) []eventlog.Event{
		"an event is missing":   func(es []eventlog.Event) []eventlog.Event { return slices.Delete(es, 3, 4) },
		"an event stands twice": func(es []eventlog.Event) []eventlog.Event { return slices.Insert(es, 4, es[3]) },
	} {
		if _, err := ledger.At(t.Context(), altered{log, alter}, end); !errors.Is(err, ledger.ErrOrder) {
			t.Errorf("%s: got %v, want ErrOrder", name, err)
		}
	}
}
