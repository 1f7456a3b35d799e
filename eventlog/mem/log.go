// Package mem keeps a log in memory: for tests, for simulations, and to make a city before it is copied to disk.
//
// It keeps the whole contract of [eventlog.Log] except that nothing survives Close. An acknowledged event
// is as durable as the process.
package mem

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"gridcase/eventlog"
)

// page is the number of events that share one piece of memory. A page is never moved once made, so
// followers read it without copying and a growing log is never copied over.
const page = 1024

// Log is an [eventlog.Log] in memory. The bytes of the events it hands out are shared: do not change them.
type Log struct {
	now func() time.Time

	mu      sync.RWMutex
	pages   [][]eventlog.Event // position p lies in pages[(p-1)/page]; all but the last are full
	end     eventlog.Position
	streams map[string][]eventlog.Position // positions of a stream's events, by revision
	moved   chan struct{}                  // closed at the next append
	closed  bool
}

// Option changes a log when it is opened.
type Option func(*Log)

// WithClock makes the log take the time of its events from now instead of the machine's clock.
func WithClock(now func() time.Time) Option { return func(l *Log) { l.now = now } }

// Open returns an empty log.
func Open(opts ...Option) *Log {
	l := &Log{now: time.Now, streams: map[string][]eventlog.Position{}, moved: make(chan struct{})}
	for _, o := range opts {
		o(l)
	}
	return l
}

// Append implements [eventlog.Log]. It costs one allocation per fact beside the growth of the log.
func (l *Log) Append(ctx context.Context, stream string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	if err := ctx.Err(); err != nil {
		return eventlog.Commit{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	if err := admissible(stream, expect, facts); err != nil {
		return eventlog.Commit{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return eventlog.Commit{}, eventlog.ErrClosed
	}
	held := l.streams[stream]
	actual := eventlog.Revision(len(held)) - 1
	if actual != expect {
		if commit, ok := l.repeated(held, expect, facts); ok {
			return commit, nil
		}
		return eventlog.Commit{}, &eventlog.ConflictError{Stream: stream, Expect: expect, Actual: actual}
	}
	at := l.now().UTC().Truncate(time.Microsecond)
	for _, f := range facts {
		bytes := make([]byte, 0, len(f.Data)+len(f.Meta))
		bytes = append(append(bytes, f.Data...), f.Meta...)
		f.Data, f.Meta = bytes[:len(f.Data):len(f.Data)], bytes[len(f.Data):]
		actual++
		l.end++
		l.put(eventlog.Event{Fact: f, Stream: stream, Revision: actual, Position: l.end, At: at})
		held = append(held, l.end)
	}
	l.streams[stream] = held
	close(l.moved)
	l.moved = make(chan struct{})
	return eventlog.Commit{Revision: actual, Position: l.end, At: at}, nil
}

// admissible refuses what no state of the log could accept.
func admissible(stream string, expect eventlog.Revision, facts []eventlog.Fact) error {
	switch {
	case stream == "":
		return errors.New("append: the stream has no name")
	case len(facts) == 0:
		return fmt.Errorf("append to %s: no facts", stream)
	case expect < eventlog.None:
		return fmt.Errorf("append to %s: revision %d cannot be expected", stream, expect)
	}
	size := 0
	for _, f := range facts {
		size += len(f.Data) + len(f.Meta)
	}
	if size > eventlog.MaxAppend {
		return fmt.Errorf("append to %s: %d bytes: %w", stream, size, eventlog.ErrTooLarge)
	}
	return nil
}

// repeated reports whether facts are already held right after expect, and the answer they got then.
func (l *Log) repeated(held []eventlog.Position, expect eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, bool) {
	if expect >= eventlog.Revision(len(held)) {
		return eventlog.Commit{}, false
	}
	first := int(expect) + 1
	if first+len(facts) > len(held) {
		return eventlog.Commit{}, false
	}
	for i, f := range facts {
		if l.at(held[first+i]).ID != f.ID {
			return eventlog.Commit{}, false
		}
	}
	last := l.at(held[first+len(facts)-1])
	return eventlog.Commit{Revision: last.Revision, Position: last.Position, At: last.At, Repeated: true}, true
}

func (l *Log) at(p eventlog.Position) *eventlog.Event { return &l.pages[(p-1)/page][(p-1)%page] }

func (l *Log) put(e eventlog.Event) {
	last := len(l.pages) - 1
	if last < 0 || len(l.pages[last]) == page {
		l.pages = append(l.pages, make([]eventlog.Event, 0, page))
		last++
	}
	l.pages[last] = append(l.pages[last], e)
}

// Read implements [eventlog.Log]. It yields what the stream held when the reading began.
func (l *Log) Read(ctx context.Context, stream string, from eventlog.Revision) iter.Seq2[eventlog.Event, error] {
	return func(yield func(eventlog.Event, error) bool) {
		l.mu.RLock()
		held, closed := l.streams[stream], l.closed
		l.mu.RUnlock()
		if closed {
			yield(eventlog.Event{}, eventlog.ErrClosed)
			return
		}
		for r := max(from, 0); r < eventlog.Revision(len(held)); r++ {
			if err := ctx.Err(); err != nil {
				yield(eventlog.Event{}, fmt.Errorf("read %s: %w", stream, err))
				return
			}
			l.mu.RLock()
			e := *l.at(held[r])
			l.mu.RUnlock()
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Follow implements [eventlog.Log]. A batch is at most 1,024 events. A position beyond the end of the log is an
// error, not a wait: it was another log's, and what comes next here would be missed.
func (l *Log) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for told := false; ; {
			if err := ctx.Err(); err != nil {
				yield(eventlog.Batch{}, fmt.Errorf("follow: %w", err))
				return
			}
			l.mu.RLock()
			end, moved, closed := l.end, l.moved, l.closed
			var events []eventlog.Event
			if after < end {
				in := l.pages[after/page]
				events = in[after%page : len(in) : len(in)]
			}
			l.mu.RUnlock()
			switch {
			case closed:
				yield(eventlog.Batch{}, eventlog.ErrClosed)
				return
			case after > end:
				yield(eventlog.Batch{}, fmt.Errorf("follow after position %d: the log ends at %d", after, end))
				return
			case after == end && told:
				select {
				case <-moved:
				case <-ctx.Done():
				}
				continue
			}
			after += eventlog.Position(len(events))
			told = after == end
			if !yield(eventlog.Batch{Events: events, Live: told}, nil) {
				return
			}
		}
	}
}

// End implements [eventlog.Log].
func (l *Log) End(ctx context.Context) (eventlog.Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("end of the log: %w", err)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return 0, eventlog.ErrClosed
	}
	return l.end, nil
}

// Close ends every Follow with [eventlog.ErrClosed] and refuses everything after. Closing twice does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.moved)
	}
	return nil
}
