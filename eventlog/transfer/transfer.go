// Package transfer moves a log to another store (移交): every event with its id, its stream and revision, its type and its
// bytes, in the order of the log. Whether the time at which the log wrote it goes along is up to the store; positions do not.
//
// What is true if we die: the target holds the beginning of the source, an event longer or shorter, and nothing else. The same transfer
// again compares what is there with the source and goes on behind it. A target that holds anything else is never written to.
package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"gridcase/eventlog"
	"gridcase/eventlog/ledger"
)

// ErrDiffers: the two sides do not hold the same events. See [Difference].
var ErrDiffers = errors.New("the two logs differ")

// Source is a log as it stood when it was looked at, from its beginning. It can be read as often as is wished.
type Source = iter.Seq2[eventlog.Event, error]

// Target is a log that takes events over. See sqlite.Log and esdb.Log.
type Target interface {
	eventlog.Log
	// LoadAfter copies events to the end of the log, which must stand at a position, and returns how many it has written.
	LoadAfter(ctx context.Context, after eventlog.Position, events iter.Seq[eventlog.Event]) (int, error)
}

// Of is a log up to a position.
func Of(ctx context.Context, log eventlog.Log, end eventlog.Position) Source {
	return func(yield func(eventlog.Event, error) bool) {
		if end == 0 {
			return
		}
		for batch, err := range log.Follow(ctx, 0) {
			if err != nil {
				yield(eventlog.Event{}, err)
				return
			}
			for _, e := range batch.Events {
				if e.Position > end || !yield(e, nil) || e.Position == end {
					return
				}
			}
		}
		if err := ctx.Err(); err != nil {
			yield(eventlog.Event{}, err)
		}
	}
}

// Difference is the first event, counted from 1, at which the two sides part. It matches [ErrDiffers].
type Difference struct {
	Number         int64
	Source, Target *eventlog.Event // nil: that side has ended before
	What           string          // what of the event differs, if both are there
}

// Error names the events and never shows their content.
func (d *Difference) Error() string {
	name := func(e *eventlog.Event) string {
		if e == nil {
			return "nothing more"
		}
		return fmt.Sprintf("%s, revision %d of %s, id %s", e.Type, e.Revision, e.Stream, e.ID)
	}
	what := ""
	if d.What != "" {
		what = " (" + d.What + ")"
	}
	return fmt.Sprintf("event %d%s: the source has %s; the target has %s", d.Number, what, name(d.Source), name(d.Target))
}

// Is reports whether target is [ErrDiffers].
func (d *Difference) Is(target error) bool { return target == ErrDiffers }

// apart says what differs between two events, "" if nothing does that counts.
func apart(a, b eventlog.Event, times bool) string {
	switch {
	case a.Stream != b.Stream:
		return "stream"
	case a.Revision != b.Revision:
		return "revision"
	case a.ID != b.ID:
		return "id"
	case a.Type != b.Type:
		return "type"
	case !bytes.Equal(a.Data, b.Data):
		return "data"
	case !bytes.Equal(a.Meta, b.Meta):
		return "metadata"
	case times && !a.At.Equal(b.At):
		return "time"
	}
	return ""
}

// Move copies to the target what it does not hold yet. It first compares what is there, and returns a [*Difference] if that is not the
// beginning of the source; nothing was written then. The figures say how many events were there and how many were written. Done is
// called after each event with how many are through; it may be nil.
func Move(ctx context.Context, from Source, to Target, times bool, done func(int64)) (there, written int64, err error) {
	if done == nil {
		done = func(int64) {}
	}
	end, err := to.End(ctx)
	if err != nil {
		return 0, 0, err
	}
	next, stop := iter.Pull2(from)
	defer stop()
	for held, err := range Of(ctx, to, end) {
		if err != nil {
			return there, 0, fmt.Errorf("read the target: %w", err)
		}
		e, err, more := next()
		switch {
		case err != nil:
			return there, 0, fmt.Errorf("read the source: %w", err)
		case !more:
			return there, 0, &Difference{Number: there + 1, Target: &held}
		}
		if what := apart(e, held, times); what != "" {
			return there, 0, &Difference{Number: there + 1, Source: &e, Target: &held, What: what}
		}
		there++
		done(there)
	}
	var unread error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n, err := to.LoadAfter(ctx, end, func(yield func(eventlog.Event) bool) {
		through := there
		for {
			e, err, more := next()
			if err != nil {
				unread = fmt.Errorf("read the source: %w", err)
			}
			if err != nil || !more || !yield(e) {
				return
			}
			through++
			done(through)
		}
	})
	return there, int64(n), errors.Join(unread, err)
}

// Sums are what one side comes to. Root covers stream, revision, id, type and bytes of every event in their order; it is the root of the
// Merkle tree over the leaves (see package ledger) and so the same in every store. Times chains the times on top.
type Sums struct {
	Events, Streams int64
	Last            eventlog.Position
	Root, Times     [sha256.Size]byte
}

// String shows the sums but for the times.
func (s Sums) String() string {
	return fmt.Sprintf("%d events in %d streams, root %s", s.Events, s.Streams, base64.StdEncoding.EncodeToString(s.Root[:]))
}

// summing adds up one side.
type summing struct {
	sums Sums
	tree ledger.Tree
	next map[string]eventlog.Revision
}

// add takes the next event. It returns [ledger.ErrOrder] if that is not the next one of its stream.
func (s *summing) add(e eventlog.Event) error {
	if e.Revision != s.next[e.Stream] {
		return fmt.Errorf("event %d: revision %d of %s where %d was due: %w", s.sums.Events+1, e.Revision, e.Stream, s.next[e.Stream], ledger.ErrOrder)
	}
	s.next[e.Stream]++
	s.tree.Add(ledger.LeafOf(e).Hash())
	s.sums.Events++
	s.sums.Last = e.Position
	s.sums.Times = sha256.Sum256(binary.BigEndian.AppendUint64(s.sums.Times[:], uint64(e.At.UnixMicro())))
	return nil
}

func (s *summing) total() Sums {
	s.sums.Streams, s.sums.Root = int64(len(s.next)), s.tree.Root()
	return s.sums
}

// Verify reads both sides from their beginning to their end and adds each up by itself. It returns both sums, and a [*Difference] if an
// event of one is not that of the other. With times, the times must be the same, too. Both sums are of the whole, whatever differs,
// unless a side can not be read or is no log: then that is the error.
func Verify(ctx context.Context, from, to Source, times bool, done func(int64)) (source, target Sums, err error) {
	if done == nil {
		done = func(int64) {}
	}
	a, b := summing{next: map[string]eventlog.Revision{}}, summing{next: map[string]eventlog.Revision{}}
	nextA, stopA := iter.Pull2(from)
	defer stopA()
	nextB, stopB := iter.Pull2(to)
	defer stopB()
	var differs *Difference
	for number := int64(1); ; number++ {
		if err := ctx.Err(); err != nil {
			return a.total(), b.total(), err
		}
		x, errA, moreA := nextA()
		y, errB, moreB := nextB()
		if errA == nil && moreA {
			errA = a.add(x)
		}
		if errB == nil && moreB {
			errB = b.add(y)
		}
		if errA != nil {
			errA = fmt.Errorf("the source: %w", errA)
		}
		if errB != nil {
			errB = fmt.Errorf("the target: %w", errB)
		}
		if differs == nil {
			switch {
			case !moreA && !moreB:
			case errA != nil || errB != nil:
			case !moreA:
				differs = &Difference{Number: number, Target: &y}
			case !moreB:
				differs = &Difference{Number: number, Source: &x}
			default:
				if what := apart(x, y, times); what != "" {
					differs = &Difference{Number: number, Source: &x, Target: &y, What: what}
				}
			}
		}
		if err := errors.Join(errA, errB); err != nil {
			if differs != nil {
				err = errors.Join(differs, err)
			}
			return a.total(), b.total(), err
		}
		if !moreA && !moreB {
			break
		}
		done(number)
	}
	source, target = a.total(), b.total()
	switch {
	case differs != nil:
		return source, target, differs
	case source.Root != target.Root || source.Events != target.Events || source.Streams != target.Streams || times && source.Times != target.Times:
		// Every event was the same and the sums are not: the comparison itself is wrong.
		return source, target, fmt.Errorf("%w: source %s, target %s", ErrDiffers, source, target)
	}
	return source, target, nil
}
