// Package logtest is the contract of [eventlog.Log]. Every adapter passes all of it; there are no private exceptions.
//
// The checks speak to a [T], not to *testing.T, so that the contract itself can be tested: adapters with a
// seeded bug must fail it.
package logtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
)

// Opened is an empty log made for one check.
type Opened struct {
	Log eventlog.Log
	// Reopen closes the log and opens what it left behind; nil if nothing outlives Close.
	Reopen func() eventlog.Log
}

// T is what a check needs of *testing.T.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // only from the goroutine of the check
}

// patience bounds each check: a lost event shows as a failed check, not as a test that hangs.
const patience = time.Minute

// Run checks that the adapter behind open keeps the contract. It calls open once per check.
func Run(t *testing.T, open func(t *testing.T) Opened) {
	for _, c := range contract {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			o := open(t)
			tr := &trial{T: t, ctx: ctx, log: o.Log, reopen: o.Reopen}
			defer tr.close()
			c.check(tr)
		})
	}
}

// contract is every check, by the rule it stands for.
var contract = []struct {
	name  string
	check func(*trial)
}{
	{"an append answers revision, position and time of its last event", appendAnswers},
	{"revisions are dense in each stream and positions in the log", denseNumbers},
	{"the bytes read are the bytes given, whatever they are", sameBytes},
	{"the log does not keep the slices of the caller", noAliases},
	{"a stream that stands elsewhere is a conflict that says where", conflicts},
	{"a refused append writes nothing", refusalsWriteNothing},
	{"an append without facts is refused", emptyAppend},
	{"an append of exactly 1 MiB is taken, one byte more is too large", limit},
	{"streams do not disturb one another", independentStreams},
	{"a repeated append answers as the first did", repeats},
	{"a repeat may carry only the first facts of the append", repeatedPrefix},
	{"the same first fact with other later facts is a conflict", wrongRepeat},
	{"facts of which only some are in the log are a conflict", partialRepeat},
	{"a repeat is known by the place of its facts, not by their ids alone", displacedRepeat},
	{"sixty-four callers of one append make one event", sameAppendRace},
	{"exactly one of the writers contending for a revision wins", contention},
	{"an append is one run of the log", wholeAppends},
	{"reading begins where it is asked to", readFrom},
	{"a loop body may use the log it reads", nestedUse},
	{"following begins after any position", followFromEverywhere},
	{"a follower that has everything is told so", live},
	{"following while others write misses nothing and doubles nothing", followWhileWriting},
	{"the end is the position of the newest event", end},
	{"a call with an ended context does nothing", endedContext},
	{"a waiting follower leaves when its context ends", cancelFollow},
	{"a closed log refuses and lets its followers go", closed},
	{"what was acknowledged is there after a restart", restart},
	{"a repeat is known after a restart", repeatAfterRestart},
}

// trial is one check at work.
type trial struct {
	T
	ctx    context.Context
	log    eventlog.Log
	reopen func() eventlog.Log
}

func (t *trial) close() {
	if err := t.log.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// fact returns a fact with its own id; label tells it from others in a failure.
func fact(label string) eventlog.Fact {
	return eventlog.Fact{
		ID: uuid.New(), Type: "thing-done/1",
		Data: fmt.Appendf(nil, `{"label":%q}`, label),
		Meta: []byte(`{"salt":"AAECAwQFBgcICQoLDA0ODw==","actor":"u-1"}`),
	}
}

func facts(labels ...string) []eventlog.Fact {
	fs := make([]eventlog.Fact, len(labels))
	for i, l := range labels {
		fs[i] = fact(l)
	}
	return fs
}

// append appends and ends the check if that fails.
func (t *trial) append(stream string, expect eventlog.Revision, fs ...eventlog.Fact) eventlog.Commit {
	t.Helper()
	c, err := t.log.Append(t.ctx, stream, expect, fs...)
	if err != nil {
		t.Fatalf("append %d facts to %q expecting %d: %v", len(fs), stream, expect, err)
	}
	return c
}

// refused appends and wants a conflict that names the actual revision.
func (t *trial) refused(stream string, expect, actual eventlog.Revision, fs ...eventlog.Fact) {
	t.Helper()
	c, err := t.log.Append(t.ctx, stream, expect, fs...)
	var conflict *eventlog.ConflictError
	if !errors.Is(err, eventlog.ErrConflict) || !errors.As(err, &conflict) {
		t.Errorf("append to %q expecting %d: got %+v, %v, want a conflict", stream, expect, c, err)
		return
	}
	if want := (eventlog.ConflictError{Stream: stream, Expect: expect, Actual: actual}); *conflict != want {
		t.Errorf("conflict: got %+v, want %+v", *conflict, want)
	}
}

// read returns the events of stream from a revision on.
func (t *trial) read(stream string, from eventlog.Revision) []eventlog.Event {
	t.Helper()
	var es []eventlog.Event
	for e, err := range t.log.Read(t.ctx, stream, from) {
		if err != nil {
			t.Fatalf("read %q from %d: %v", stream, from, err)
		}
		es = append(es, e)
	}
	return es
}

// follow returns the next n events after a position, and whether the last batch was live.
func (t *trial) follow(after eventlog.Position, n int) (es []eventlog.Event, live bool) {
	t.Helper()
	es, live, err := follow(t.ctx, t.log, after, n)
	if err != nil {
		t.Fatalf("follow after %d: %v", after, err)
	}
	return es, live
}

// follow reads batches until it has n events and, when nothing else is written, is told that this is all.
func follow(ctx context.Context, log eventlog.Log, after eventlog.Position, n int) (es []eventlog.Event, live bool, err error) {
	for b, err := range log.Follow(ctx, after) {
		if err != nil {
			return es, false, fmt.Errorf("%d of %d events had come: %w", len(es), n, err)
		}
		es = append(es, b.Events...)
		if len(es) > n || len(es) == n && b.Live {
			return es, b.Live, nil
		}
	}
	return es, false, errors.New("the iterator ended without an error")
}

// all returns the whole log, which must hold n events.
func (t *trial) all(n int) []eventlog.Event {
	t.Helper()
	es, _ := t.follow(0, n)
	if len(es) != n {
		t.Fatalf("the log holds more than the %d events wanted: %s", n, describe(es[n:]))
	}
	return es
}

// holds checks that the events are these facts of stream, from a revision on.
func (t *trial) holds(es []eventlog.Event, stream string, from eventlog.Revision, fs ...eventlog.Fact) {
	t.Helper()
	if len(es) != len(fs) {
		t.Errorf("stream %q from %d: got %d events %s, want %d", stream, from, len(es), describe(es), len(fs))
		return
	}
	for i, e := range es {
		want := eventlog.Event{Fact: fs[i], Stream: stream, Revision: from + eventlog.Revision(i), Position: e.Position, At: e.At}
		if !equal(e, want) {
			t.Errorf("event %d of %q:\n got %s\nwant %s", i, stream, describe([]eventlog.Event{e}), describe([]eventlog.Event{want}))
		}
	}
}

func equal(a, b eventlog.Event) bool {
	return a.ID == b.ID && a.Type == b.Type && string(a.Data) == string(b.Data) && string(a.Meta) == string(b.Meta) &&
		a.Stream == b.Stream && a.Revision == b.Revision && a.Position == b.Position && a.At.Equal(b.At)
}

func describe(es []eventlog.Event) string {
	var s []string
	for _, e := range es[:min(len(es), 8)] {
		s = append(s, fmt.Sprintf("%s@%d (position %d, %s, %s, %d+%d bytes)", e.Stream, e.Revision, e.Position, e.ID, e.Type, len(e.Data), len(e.Meta)))
	}
	if len(es) > 8 {
		s = append(s, "…")
	}
	return fmt.Sprint(s)
}

// positions checks that the positions ascend, from above the given one.
func (t *trial) positions(after eventlog.Position, es []eventlog.Event) {
	t.Helper()
	for i, e := range es {
		if i == 0 && e.Position <= after || i > 0 && e.Position <= es[i-1].Position {
			t.Errorf("position %d comes after %d", e.Position, after)
		}
		after = e.Position
	}
}

// revisions checks that every stream counts 0, 1, 2, … over the whole log.
func (t *trial) revisions(es []eventlog.Event) {
	t.Helper()
	next := map[string]eventlog.Revision{}
	for _, e := range es {
		if e.Revision != next[e.Stream] {
			t.Errorf("stream %q at position %d: got revision %d, want %d", e.Stream, e.Position, e.Revision, next[e.Stream])
		}
		next[e.Stream] = e.Revision + 1
	}
}

func equalAll(a, b []eventlog.Event) bool { return slices.EqualFunc(a, b, equal) }
