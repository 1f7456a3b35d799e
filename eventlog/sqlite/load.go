package sqlite

import (
	"context"
	"fmt"
	"iter"
	"time"

	"gridcase/eventlog"
)

// loadEvents is how many events Load writes in one transaction, if they do not reach groupBytes before.
const loadEvents = 8192

// Load copies events into an empty log: see [Log.LoadAfter].
func (l *Log) Load(ctx context.Context, events iter.Seq[eventlog.Event]) (total int, err error) {
	return l.LoadAfter(ctx, 0, events)
}

// LoadAfter copies events to the end of the log, which must stand at a position, in their order, with their ids, revisions and
// times; positions are counted on. It returns how many it has written; they are on disk. It stops at the first event that does
// not continue its stream, if anybody else appends meanwhile, and at any error an append may give. What was written
// before is a log without a gap, and can be loaded on from where it ends.
//
// The bytes of the events are not copied: they must not be changed.
func (l *Log) LoadAfter(ctx context.Context, after eventlog.Position, events iter.Seq[eventlog.Event]) (total int, err error) {
	switch end, err := l.End(ctx); {
	case err != nil:
		return 0, fmt.Errorf("load: %w", err)
	case end != after:
		return 0, fmt.Errorf("load: the log ends at %d, not at %d", end, after)
	}
	// While one chunk is being written, the next is gathered.
	var inFlight chan error
	written := 0 // once what is in flight has arrived
	settle := func() error {
		if inFlight == nil {
			return nil
		}
		err := <-inFlight
		inFlight = nil
		if err == nil {
			total = written
		}
		return err
	}
	handOver := func(chunk []eventlog.Event) error {
		if err := settle(); err != nil || len(chunk) == 0 {
			return err
		}
		written += len(chunk)
		answer := make(chan error, 1)
		inFlight = answer
		go func() {
			_, err := l.submit(ctx, &request{load: chunk, done: make(chan struct{})})
			answer <- err
		}()
		return nil
	}
	var chunk []eventlog.Event
	position, bytes := after, 0
	for e := range events {
		position++
		chunk = append(chunk, stored(e, position))
		if bytes += weight(&e); len(chunk) == loadEvents || bytes >= groupBytes {
			if err := handOver(chunk); err != nil {
				return total, fmt.Errorf("load: %w", err)
			}
			chunk, bytes = make([]eventlog.Event, 0, loadEvents), 0
		}
	}
	err = handOver(chunk)
	if err == nil {
		err = settle()
	}
	if err != nil {
		return total, fmt.Errorf("load: %w", err)
	}
	return total, nil
}

// stored returns e as the log keeps it: at a position of its own, with time in whole microseconds and bytes that
// are empty rather than nil.
func stored(e eventlog.Event, p eventlog.Position) eventlog.Event {
	e.Position, e.At = p, e.At.UTC().Truncate(time.Microsecond)
	if e.Data == nil {
		e.Data = []byte{}
	}
	if e.Meta == nil {
		e.Meta = []byte{}
	}
	return e
}

// takeOver adds a chunk of Load to the transaction, all of it or nothing. It returns an error if SQLite fails.
func (w *writer) takeOver(r *request) error {
	if first := r.load[0].Position; first != w.next() {
		r.err = fmt.Errorf("somebody else appended: the next position is %d, not %d", w.next(), first)
		return nil
	}
	stands := map[string]head{}
	for _, e := range r.load {
		h, ok := stands[e.Stream]
		if !ok {
			var err error
			if h, err = w.stand(e.Stream, e.Revision-1); err != nil {
				return err
			}
		}
		if e.Revision != h.revision+1 {
			r.err = fmt.Errorf("event %d: stream %s stands at revision %d, so %d cannot be next", e.Position, e.Stream, h.revision, e.Revision)
			return nil
		}
		stands[e.Stream] = head{h.id, e.Revision}
	}
	for _, e := range r.load {
		w.add(stands[e.Stream].id, e)
	}
	for stream, h := range stands {
		w.heads.put(stream, h)
	}
	last := r.load[len(r.load)-1]
	r.commit = eventlog.Commit{Revision: last.Revision, Position: last.Position, At: last.At}
	return nil
}
