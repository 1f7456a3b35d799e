package esdb

import (
	"context"
	"fmt"
	"iter"

	"gridcase/eventlog"
)

// page is the number of events that are read at once. A page is in memory before its first event is given out: nothing is held
// at the server while the caller works.
const page = 256

// Read implements [eventlog.Log]. It costs a round trip per 256 events, and returns [ErrGap] if the server does not hold all
// revisions.
func (l *Log) Read(ctx context.Context, stream string, from eventlog.Revision) iter.Seq2[eventlog.Event, error] {
	return func(yield func(eventlog.Event, error) bool) {
		fail := func(err error) { yield(eventlog.Event{}, fmt.Errorf("read %s: %w", stream, err)) }
		if err := ctx.Err(); err != nil {
			fail(err)
			return
		}
		name, err := l.stored(stream)
		if err != nil {
			fail(err)
			return
		}
		next := max(from, 0)
		for {
			var es []eventlog.Event
			err := l.attempt(ctx, func(ctx context.Context, k *link) (err error) {
				es, err = l.events(ctx, k, readStream(name, next, page))
				return err
			})
			if err != nil {
				fail(err)
				return
			}
			for _, e := range es {
				if e.Revision != next {
					fail(fmt.Errorf("revision %d: %w", next, ErrGap))
					return
				}
				if !yield(e, nil) {
					return
				}
				next++
			}
			if len(es) < page {
				if len(es) > 0 || next == 0 { // otherwise it ends somewhere before
					l.heads.put(name, next-1)
				}
				return
			}
		}
	}
}

// End implements [eventlog.Log]. It costs a round trip, and the server looks through what other programs have appended since.
func (l *Log) End(ctx context.Context) (eventlog.Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("end of the log: %w", err)
	}
	var end eventlog.Position
	err := l.attempt(ctx, func(ctx context.Context, k *link) error {
		es, err := l.events(ctx, k, l.readEnd())
		if len(es) > 0 {
			end = es[0].Position
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("end of the log: %w", err)
	}
	return end, nil
}
