package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// tolerance is how far our clock may be from the log's, and from what a steady clock says, for alarms to be fired by it.
const tolerance = 2 * time.Second

// patience is how often a node that can not tell whether its clock is right asks the log again.
const patience = time.Minute

// Reckoning is what a node knows of its own clock.
type Reckoning struct {
	Measured bool          // an append told how our clock stands to the log's
	Skew     time.Duration // ours less the log's, as far as the round trip of the append proves it, and moved on with every jump of ours since; 0 before a measurement
	Err      error         // why the clock is known to be wrong; nil while it is right, or while nobody knows
}

// errUnsure: whether the clock is right would have to be asked of the log.
var errUnsure = errors.New("whether the clock is right is not known")

// reckoner compares three clocks: the node's, which people read and which may jump; the time that went by in this process,
// which can not; and the log's, which all nodes share. An alarm is fired only while all three agree.
type reckoner struct {
	mu     sync.Mutex
	wall   time.Time     // when our clock was last held against the log's
	steady time.Duration // the same moment by the time that went by
	skew   time.Duration // ours less the log's, no further from 0 than is proven
	ahead  time.Duration // how far ahead of the log's ours may be at most; ≥ 0
	known  bool
	newest time.Time // the newest time of the log that we have seen
}

// instant is one moment by both of our clocks.
type instant struct {
	wall   time.Time
	steady time.Duration
}

// instant reads both clocks. The wall's is stripped of the steady reading that Go hides in it: differences of it must show jumps.
func (e *Engine) instant() instant { return instant{e.Now().Round(0).UTC(), e.Elapsed()} }

// measure takes what one append tells: its event's time lies between two instants of ours.
func (r *reckoner) measure(before, after instant, at time.Time) {
	trip := after.steady - before.steady
	low, high := before.wall.Truncate(time.Microsecond).Sub(at), after.wall.Truncate(time.Microsecond).Sub(at) // at is in microseconds
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.After(r.newest) {
		r.newest = at
	}
	if (after.wall.Sub(before.wall) - trip).Abs() > tolerance {
		return // our clock jumped meanwhile
	}
	skew := time.Duration(0)
	switch {
	case low > 0:
		skew = low
	case high < 0:
		skew = high
	}
	if trip > tolerance && skew.Abs() <= tolerance {
		return // it took too long to prove anything
	}
	r.wall, r.steady, r.skew, r.ahead, r.known = after.wall, after.steady, skew, max(0, high), true
}

// saw notes the time of an event that was read.
func (r *reckoner) saw(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.After(r.newest) {
		r.newest = at
	}
}

// judge says whether our clock is right at an instant, and by how much an alarm must wait longer than our clock says, so
// that it is not early by the log's either. The error is [errUnsure] if an append could tell more.
func (r *reckoner) judge(now instant) (Reckoning, time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	drift := time.Duration(0)
	if r.known {
		drift = now.wall.Sub(r.wall) - (now.steady - r.steady)
	}
	k := Reckoning{Measured: r.known, Skew: r.skew + drift}
	switch {
	case r.newest.Sub(now.wall) > tolerance:
		k.Err = fmt.Errorf("the clock is %s behind the newest time in the log", r.newest.Sub(now.wall).Round(100*time.Millisecond))
		return k, 0, k.Err
	case !r.known:
		return k, 0, fmt.Errorf("%w: it was not held against the log's yet", errUnsure)
	case drift.Abs() > tolerance:
		return k, 0, fmt.Errorf("%w: it jumped by %s since it was last held against the log's", errUnsure, drift.Round(100*time.Millisecond))
	case k.Skew.Abs() > tolerance:
		k.Err = fmt.Errorf("the clock is %s away from the log's", k.Skew.Round(100*time.Millisecond))
		return k, 0, fmt.Errorf("%w: %w", errUnsure, k.Err)
	}
	return k, r.ahead, nil
}

// Reckoning returns what the node knows of its clock: for health and metrics.
func (e *Engine) Reckoning() Reckoning {
	k, _, _ := e.clock.judge(e.instant())
	return k
}

// append gives facts to the log, and holds our clock against the log's.
func (e *Engine) append(ctx context.Context, n stream.Name, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	before := e.instant()
	c, err := e.Log.Append(ctx, string(n), expect, facts...)
	if err == nil && !c.Repeated {
		e.clock.measure(before, e.instant(), c.At)
	}
	return c, err
}

// newest notes the time of the log's last event.
func (e *Engine) newest(ctx context.Context) error {
	end, err := e.Log.End(ctx)
	if err != nil || end == 0 {
		return err
	}
	for b, err := range e.Log.Follow(ctx, end-1) {
		if err != nil {
			return fmt.Errorf("read the log's last event: %w", err)
		}
		for _, ev := range b.Events {
			e.clock.saw(ev.At)
		}
		if b.Live || len(b.Events) > 0 {
			return nil
		}
	}
	return ctx.Err()
}

// checkIns are a node's own events, one append after the other.
type checkIns struct {
	mu   sync.Mutex
	last time.Duration // by the time that went by
	n    int           // that are in the log
}

// checkIn appends one small event to hold our clock against the log's; nothing if it did so less than a minute ago. If its
// outcome is unknown, the next one repeats it.
func (e *Engine) checkIn(ctx context.Context) error {
	e.checks.mu.Lock()
	defer e.checks.mu.Unlock()
	now := e.Elapsed()
	if e.checks.last > 0 && now-e.checks.last < patience {
		return nil
	}
	e.checks.last = max(now, 1)
	_, err := e.record(ctx, stream.Keyed(stream.Node, e.node()), fmt.Sprintf("check-in/%d", e.checks.n+1), eventlog.Revision(e.checks.n-1),
		rule.Actor{ID: clock.ID, Role: orgs.System}, event.NodeCheckedIn{Program: e.Program})
	if err == nil {
		e.checks.n++
	}
	return err
}
