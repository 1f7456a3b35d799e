package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

var unprotect = []string{"DROP TRIGGER events_are_never_changed", "DROP TRIGGER events_are_never_deleted", "DROP TRIGGER streams_are_never_changed"}

// rotten returns a log of 40 events in stream a, the 30th of which is changed by the statement before it is opened again.
// The text "secret" stands in its payload.
func rotten(t *testing.T, statement string) *sqlite.Log {
	path := filepath.Join(t.TempDir(), "log.db")
	l := open(t, path)
	fill(t, l, "a", 29)
	if _, err := l.Append(t.Context(), "a", 28, fact(`{"text":"secret"}`)); err != nil {
		t.Fatal(err)
	}
	for r := range 10 {
		if _, err := l.Append(t.Context(), "a", eventlog.Revision(29+r), fact("{}")); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, l)
	db := stock(t, path)
	must(t, db, unprotect...)
	must(t, db, statement)
	db.Close()
	return open(t, path)
}

func TestAChangedRowIsNeverServed(t *testing.T) {
	for _, c := range []struct {
		change    string
		elsewhere bool // the stream no longer leads to the event, or its head is gone with it
	}{
		{"UPDATE events SET data = '{\"text\":\"Secret\"}' WHERE position = 30", false},
		{"UPDATE events SET data = data || ' ' WHERE position = 30", false},
		{"UPDATE events SET data = '' WHERE position = 30", false},
		{"UPDATE events SET meta = '{\"actor\":\"u-2\"}' WHERE position = 30", false},
		{"UPDATE events SET data = meta, meta = data WHERE position = 30", false},
		{"UPDATE events SET type = 'thing-done/2' WHERE position = 30", false},
		{"UPDATE events SET id = zeroblob(16) WHERE position = 30", false},
		{"UPDATE events SET id = x'00' WHERE position = 30", false},
		{"UPDATE events SET logged_at = logged_at + 1 WHERE position = 30", false},
		{"UPDATE events SET checksum = zeroblob(32) WHERE position = 30", false},
		{"UPDATE events SET checksum = x'' WHERE position = 30", false},
		{"UPDATE events SET revision = 1029 WHERE position = 30", false},
		{"UPDATE events SET position = 1030 WHERE position = 30", false},
		{"UPDATE streams SET name = 'b'", true},
		{"DELETE FROM events WHERE position = 30", false},
		{"DELETE FROM events WHERE position = 1", false},
	} {
		t.Run(c.change, func(t *testing.T) {
			l := rotten(t, c.change)
			checks := map[string]func() ([]eventlog.Event, error){
				"follow": func() ([]eventlog.Event, error) { return follow(l, 0) },
			}
			if !c.elsewhere {
				checks["read"] = func() ([]eventlog.Event, error) { return read(l, "a") }
			}
			for name, check := range checks {
				es, err := check()
				if !errors.Is(err, eventlog.ErrCorrupt) {
					t.Errorf("%s: got %d events, %v, want %v", name, len(es), err, eventlog.ErrCorrupt)
					continue
				}
				for _, e := range es {
					if e.Position >= 30 || strings.EqualFold(string(e.Data), `{"text":"secret"}`) {
						t.Errorf("%s: served position %d, want nothing from the damage on", name, e.Position)
					}
				}
				if text := strings.ToLower(err.Error()); strings.Contains(text, "secret") || strings.Contains(text, "actor") {
					t.Errorf("%s: the error shows the payload: %v", name, err)
				}
			}
		})
	}
}

func TestTheErrorNamesTheChangedEvent(t *testing.T) {
	l := rotten(t, "UPDATE events SET data = '' WHERE position = 30")
	_, err := read(l, "a")
	for _, want := range []string{"position 30", "revision 29", `"a"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	// What is whole is served, before the damage and behind it.
	if es, err := follow(l, 30); err != nil || len(es) != 10 {
		t.Errorf("after the damage: got %d events, %v, want 10", len(es), err)
	}
	// A repeat cannot be told from a conflict when the event it would repeat cannot be read.
	if c, err := l.Append(t.Context(), "a", 28, fact("repeat?")); !errors.Is(err, eventlog.ErrCorrupt) {
		t.Errorf("a repeat of the damaged event: got %+v, %v, want %v", c, err, eventlog.ErrCorrupt)
	}
	if _, err := l.Append(t.Context(), "a", 39, fact("goes on")); err != nil {
		t.Errorf("appending to the stream: %v", err)
	}
}

// Teeth: a change that brings its own checksum passes, so it is the checksum alone that finds the others.
func TestAChangeWithAChecksumOfItsOwnPasses(t *testing.T) {
	id := uuid.MustParse("00000000-0000-5000-8000-00000000000b")
	e := eventlog.Event{
		Fact:   eventlog.Fact{ID: id, Type: "thing-done/1", Data: []byte("forged"), Meta: []byte("{}")},
		Stream: "a", Revision: 29, Position: 30, At: time.UnixMicro(1_000_000),
	}
	sum, _ := sqlite.Checksum(nil, &e)
	l := rotten(t, fmt.Sprintf("UPDATE events SET id = x'%x', data = 'forged', meta = '{}', logged_at = 1000000, checksum = x'%x' WHERE position = 30", id[:], sum))
	es, err := read(l, "a")
	if err != nil || len(es) != 40 || string(es[29].Data) != "forged" {
		t.Errorf("got %d events, %v, want 40 with the forged one", len(es), err)
	}
}

// Bits flipped in the file itself, where the payloads lie. Every one of them must be found by whoever reads it.
func TestBitRot(t *testing.T) {
	const events, flips = 1000, 400
	path := filepath.Join(t.TempDir(), "log.db")
	l := open(t, path)
	mark := func(i int) []byte { return fmt.Appendf(nil, `{"payload":"%06d-%s"}`, i, strings.Repeat("z", 200)) }
	for i := range events {
		if _, err := l.Append(t.Context(), fmt.Sprint("stream-", i%50), eventlog.Revision(i/50)-1,
			eventlog.Fact{ID: uuid.New(), Type: "thing-done/1", Data: mark(i), Meta: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, l)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	damaged := bytes.Clone(whole)
	hit := map[int]bool{}
	for range flips {
		i := random.IntN(events)
		payload := mark(i)
		if hit[i] {
			continue // a second flip could undo the first
		}
		offset, bit := random.IntN(len(payload)), byte(1)<<random.IntN(8)
		for at := 0; ; at++ { // splitting a page leaves an old copy behind
			next := bytes.Index(whole[at:], payload)
			if next < 0 {
				break
			}
			at += next
			damaged[at+offset] ^= bit
			hit[i] = true
		}
		if !hit[i] {
			t.Fatalf("event %d is not in the file in one piece", i)
		}
	}
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, path)
	found := 0
	for after := eventlog.Position(0); after < events; {
		es, err := follow(l, after)
		for _, e := range es {
			if hit[int(e.Position)-1] || string(e.Data) != string(mark(int(e.Position)-1)) {
				t.Errorf("seed %d: a wrong payload was served at position %d: %q", seed, e.Position, e.Data)
			}
		}
		after += eventlog.Position(len(es))
		if err == nil {
			break
		}
		if after++; !errors.Is(err, eventlog.ErrCorrupt) || !hit[int(after)-1] || !strings.Contains(err.Error(), fmt.Sprintf("position %d,", after)) {
			t.Fatalf("seed %d: after position %d: got %v", seed, after-1, err)
		}
		found++
	}
	if found != len(hit) || found == 0 {
		t.Errorf("seed %d: found %d of %d flips", seed, found, len(hit))
	}
	t.Logf("found %d of %d damaged events, served 0 wrong payloads", found, len(hit))
}

func TestCheckFindsADamagedIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := open(t, path)
	fill(t, l, "a", 300)
	if err := l.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	shut(t, l)
	db := stock(t, path)
	var page, size int
	if err := db.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_events_1'").Scan(&page); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow("PRAGMA page_size").Scan(&size); err != nil {
		t.Fatal(err)
	}
	db.Close()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 64), int64((page-1)*size+size-64)); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path).Check(t.Context()); !errors.Is(err, eventlog.ErrCorrupt) {
		t.Errorf("got %v, want %v", err, eventlog.ErrCorrupt)
	}
}
