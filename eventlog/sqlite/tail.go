package sqlite

import (
	"sync"

	"gridcase/eventlog"
)

const (
	// The tail keeps between one and two times this many of the newest events, whichever bound comes first.
	tailEvents = 8192
	tailBytes  = 8 << 20
	// eventOverhead is about what an event takes beside its data and metadata.
	eventOverhead = 256
)

// tail is the newest events of the log in memory, and the place where followers wait for more. Followers near
// the end never touch the database.
type tail struct {
	mu     sync.RWMutex
	end    eventlog.Position // of the log: everything up to here is on disk
	events []eventlog.Event  // the last of them, without a gap up to end; never changed in place
	bytes  int
	moved  chan struct{} // closed when end moves or the log closes
	closed bool
}

func newTail(end eventlog.Position) *tail { return &tail{end: end, moved: make(chan struct{})} }

// extend makes events that are now on disk visible and wakes all who wait.
func (t *tail) extend(events []eventlog.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range events {
		t.bytes += weight(&events[i])
	}
	t.events = append(t.events, events...)
	if t.bytes > 2*tailBytes || len(t.events) > 2*tailEvents {
		keep := len(t.events)
		for t.bytes = 0; keep > 0 && len(t.events)-keep < tailEvents; keep-- {
			w := weight(&t.events[keep-1])
			if t.bytes+w > tailBytes {
				break
			}
			t.bytes += w
		}
		// Copied, not sliced: slices given out stay as they are and what is dropped is freed.
		t.events = append(make([]eventlog.Event, 0, 2*tailEvents), t.events[keep:]...)
	}
	t.end = events[len(events)-1].Position
	t.wake()
}

func weight(e *eventlog.Event) int { return len(e.Data) + len(e.Meta) + eventOverhead }

func (t *tail) wake() {
	close(t.moved)
	t.moved = make(chan struct{})
}

// close lets all who wait go.
func (t *tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.wake()
}

// after returns up to limit events after a position; none if there are none or they are no longer in memory.
// The slice is shared: it must not be changed.
func (t *tail) after(p eventlog.Position, limit int) (events []eventlog.Event, end eventlog.Position, moved <-chan struct{}, closed bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	start := t.end - eventlog.Position(len(t.events))
	if p >= start && p < t.end {
		events = t.events[p-start:]
		n := min(len(events), limit)
		events = events[:n:n]
	}
	return events, t.end, t.moved, t.closed
}
