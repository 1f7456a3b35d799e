package logtest

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// recorder is a T that remembers failures instead of failing.
type recorder struct {
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failed runs those checks of the contract that are named, or all, and returns the names of those that the adapter fails.
func failed(t *testing.T, open func() eventlog.Log, named ...string) []string {
	var names []string
	for _, c := range contract {
		if len(named) > 0 && !slices.Contains(named, c.name) {
			continue
		}
		r := &recorder{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // a lost event is waited for in vain
			defer cancel()
			tr := &trial{T: r, ctx: ctx, log: open()}
			defer tr.close()
			c.check(tr)
		}()
		<-done
		if len(r.failures) > 0 {
			names = append(names, c.name)
		}
	}
	return names
}

// A bug is an adapter over mem that does one thing wrong.
type bug struct {
	*mem.Log
	append func(ctx context.Context, l *mem.Log, stream string, expect eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error)
	read   func(e eventlog.Event) eventlog.Event
	from   func(after eventlog.Position) eventlog.Position
	batch  func(b eventlog.Batch) eventlog.Batch
	leave  func(err error) error
}

func (b bug) Append(ctx context.Context, stream string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	if b.append == nil {
		return b.Log.Append(ctx, stream, expect, facts...)
	}
	return b.append(ctx, b.Log, stream, expect, facts)
}

func (b bug) Read(ctx context.Context, stream string, from eventlog.Revision) iter.Seq2[eventlog.Event, error] {
	return func(yield func(eventlog.Event, error) bool) {
		for e, err := range b.Log.Read(ctx, stream, from) {
			if b.read != nil {
				e = b.read(e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (b bug) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		if b.from != nil {
			after = b.from(after)
		}
		for batch, err := range b.Log.Follow(ctx, after) {
			if b.batch != nil {
				batch = b.batch(batch)
			}
			if b.leave != nil {
				err = b.leave(err)
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// stands returns the revision of a stream.
func stands(ctx context.Context, l *mem.Log, stream string) eventlog.Revision {
	at := eventlog.None
	for e := range l.Read(ctx, stream, 0) {
		at = e.Revision
	}
	return at
}

func TestASoundAdapterPasses(t *testing.T) {
	if names := failed(t, func() eventlog.Log { return bug{Log: mem.Open()} }); len(names) != 0 {
		t.Errorf("a sound adapter fails %q", names)
	}
}

// Each seeded bug must fail the check that is there for it.
func TestSeededBugsAreCaught(t *testing.T) {
	for _, c := range []struct {
		name  string
		check string
		bug   bug
	}{
		{"the expected revision is not looked at", "a stream that stands elsewhere is a conflict that says where", bug{
			append: func(ctx context.Context, l *mem.Log, stream string, _ eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error) {
				return l.Append(ctx, stream, stands(ctx, l, stream), facts...)
			}}},
		{"the revision is looked at and then forgotten", "exactly one of the writers contending for a revision wins", bug{
			append: func(ctx context.Context, l *mem.Log, stream string, expect eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error) {
				if at := stands(ctx, l, stream); at != expect {
					return l.Append(ctx, stream, expect, facts...)
				}
				time.Sleep(time.Millisecond) // for another writer to look, whatever the scheduler likes
				for {
					if c, err := l.Append(ctx, stream, stands(ctx, l, stream), facts...); err == nil || ctx.Err() != nil {
						return c, err
					}
				}
			}}},
		{"conflicts do not say where the stream stands", "a stream that stands elsewhere is a conflict that says where", bug{
			append: func(ctx context.Context, l *mem.Log, stream string, expect eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error) {
				c, err := l.Append(ctx, stream, expect, facts...)
				if conflict, ok := err.(*eventlog.ConflictError); ok {
					conflict.Actual = conflict.Expect
				}
				return c, err
			}}},
		{"repeats are not recognised", "a repeated append answers as the first did", bug{
			append: func(ctx context.Context, l *mem.Log, stream string, expect eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error) {
				for i := range facts {
					facts[i].ID = uuid.New()
				}
				return l.Append(ctx, stream, expect, facts...)
			}}},
		{"only the first id of a repeat is compared", "the same first fact with other later facts is a conflict", bug{
			append: func(ctx context.Context, l *mem.Log, stream string, expect eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error) {
				c, err := l.Append(ctx, stream, expect, facts...)
				if err != nil && len(facts) > 1 {
					return l.Append(ctx, stream, expect, facts[0])
				}
				return c, err
			}}},
		{"a repeat does not say that it is one", "a repeated append answers as the first did", bug{
			append: func(ctx context.Context, l *mem.Log, stream string, expect eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error) {
				c, err := l.Append(ctx, stream, expect, facts...)
				c.Repeated = false
				return c, err
			}}},
		{"facts are appended one by one", "an append is one run of the log", bug{
			append: func(ctx context.Context, l *mem.Log, stream string, expect eventlog.Revision, facts []eventlog.Fact) (c eventlog.Commit, err error) {
				if len(facts) == 0 {
					return l.Append(ctx, stream, expect)
				}
				for i := range facts {
					if c, err = l.Append(ctx, stream, expect+eventlog.Revision(i), facts[i]); err != nil {
						return c, err
					}
					time.Sleep(time.Millisecond) // for another writer to come between
				}
				return c, nil
			}}},
		{"the limit is a byte too high", "an append of exactly 1 MiB is taken, one byte more is too large", bug{
			append: func(ctx context.Context, l *mem.Log, stream string, expect eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error) {
				size := 0
				for _, f := range facts {
					size += len(f.Data) + len(f.Meta)
				}
				if size == eventlog.MaxAppend+1 {
					facts[0].Data = facts[0].Data[1:]
				}
				return l.Append(ctx, stream, expect, facts...)
			}}},
		{"an append without facts is fine", "an append without facts is refused", bug{
			append: func(ctx context.Context, l *mem.Log, stream string, expect eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error) {
				if len(facts) == 0 {
					return eventlog.Commit{Revision: expect}, nil
				}
				return l.Append(ctx, stream, expect, facts...)
			}}},
		{"an ended context is not looked at", "a call with an ended context does nothing", bug{
			append: func(_ context.Context, l *mem.Log, stream string, expect eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error) {
				return l.Append(context.Background(), stream, expect, facts...)
			}}},
		{"bytes are cleaned up", "the bytes read are the bytes given, whatever they are", bug{
			read: func(e eventlog.Event) eventlog.Event {
				e.Data = []byte(string([]rune(string(e.Data))))
				return e
			}}},
		{"resuming gives the last event again", "following begins after any position", bug{
			from: func(after eventlog.Position) eventlog.Position { return max(after, 1) - 1 }}},
		{"resuming leaves one event out", "following while others write misses nothing and doubles nothing", bug{
			from: func(after eventlog.Position) eventlog.Position {
				if after > 0 && after%7 == 0 {
					after++
				}
				return after
			}}},
		{"following loses an event", "following while others write misses nothing and doubles nothing", bug{
			batch: func(b eventlog.Batch) eventlog.Batch {
				b.Events = slices.DeleteFunc(slices.Clone(b.Events), func(e eventlog.Event) bool { return e.Position%101 == 0 })
				return b
			}}},
		{"following swaps two events", "following while others write misses nothing and doubles nothing", bug{
			batch: func(b eventlog.Batch) eventlog.Batch {
				if n := len(b.Events); n > 1 {
					swapped := append([]eventlog.Event(nil), b.Events...)
					swapped[n-1], swapped[n-2] = swapped[n-2], swapped[n-1]
					b.Events = swapped
				}
				return b
			}}},
		{"followers are never told that they have everything", "a follower that has everything is told so", bug{
			batch: func(b eventlog.Batch) eventlog.Batch { b.Live = false; return b }}},
		{"followers are not told why they must leave", "a closed log refuses and lets its followers go", bug{
			leave: func(err error) error {
				if err == eventlog.ErrClosed {
					return context.Canceled
				}
				return err
			}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			buggy := func() eventlog.Log {
				b := c.bug
				b.Log = mem.Open()
				return b
			}
			if len(failed(t, buggy, c.check)) == 0 {
				t.Errorf("the check %q does not catch it", c.check)
			}
		})
	}
}
