package esdb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"gridcase/eventlog"
)

const (
	// loadFacts and loadBytes bound one append of LoadAfter. The server's default maximum is 1 MiB, types and all.
	loadFacts = 256
	loadBytes = 512 << 10
)

// LoadAfter copies events to the end of the log, which must stand at a position, in their order, with their ids and revisions. The
// server gives each of them its own time and position. What follows in one stream is appended together. It returns
// how many it has written; they are on the disks of a majority.
//
// It stops at the first event that does not continue its stream, and at any error an append may give. If it is cut off, what
// is there is the beginning of what was to come, and can be loaded on from where it ends. It costs one round trip an append.
func (l *Log) LoadAfter(ctx context.Context, after eventlog.Position, events iter.Seq[eventlog.Event]) (total int, err error) {
	switch end, err := l.End(ctx); {
	case err != nil:
		return 0, fmt.Errorf("load: %w", err)
	case end != after:
		return 0, fmt.Errorf("load: the log ends at %d, not at %d", end, after)
	}
	var facts []eventlog.Fact
	var first eventlog.Event
	bytes := 0
	flush := func() error {
		if len(facts) == 0 {
			return nil
		}
		if err := l.take(ctx, first.Stream, first.Revision-1, facts); err != nil {
			return fmt.Errorf("load revision %d of %s: %w", first.Revision, first.Stream, err)
		}
		total += len(facts)
		facts, bytes = nil, 0
		return nil
	}
	for e := range events {
		size := len(e.Data) + len(e.Meta) + 2*len(e.Type)
		next := first.Revision + eventlog.Revision(len(facts))
		if len(facts) > 0 && (e.Stream != first.Stream || e.Revision != next || len(facts) == loadFacts || bytes+size > loadBytes) {
			if err := flush(); err != nil {
				return total, err
			}
		}
		if len(facts) == 0 {
			first = e
		}
		facts, bytes = append(facts, e.Fact), bytes+size
	}
	return total, flush()
}

// take appends without looking before or after, as long as the server says yes. Of anything else it finds out what it means.
func (l *Log) take(ctx context.Context, stream string, expect eventlog.Revision, facts []eventlog.Fact) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name, err := l.admissible(stream, expect, facts)
	if err != nil {
		return err
	}
	bounded, cancel := l.bounded(ctx)
	k, err := l.link(bounded)
	if err == nil {
		if err = l.send(bounded, k, name, expect, facts); err != nil && passing(err) {
			k.doubt(err)
		}
	}
	cancel()
	for err != nil {
		// The same ids: if it had happened after all, this is a repeat.
		if _, err = l.Append(ctx, stream, expect, facts...); !errors.Is(err, eventlog.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(slowest):
		}
	}
	return nil
}
