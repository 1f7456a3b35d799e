package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/number"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/eventlog"
)

// numbers hands out case numbers. Runs of them are claimed with one event each, whose stream can exist only once, so
// that any number of nodes count without a leader and without asking each other; what a node does not use is a gap.
type numbers struct {
	mu       sync.Mutex
	counters map[daily]*counter
}

// daily is what numbers count: the cases of one county on one local day.
type daily struct {
	county string
	day    string
}

// counter is where one of them stands. Runs are claimed ahead of need, and more at once the faster they are used up, so
// that intake does not wait for the disk twice.
type counter struct {
	free     []int // first numbers of runs that are claimed and not begun
	next     int   // within the run in use
	last     int   // of the run in use; below next if there is none
	run      int   // the next run to claim
	batch    int   // runs to claim at once
	claimed  time.Time
	claiming chan struct{} // closed when the claim under way has ended; nil if there is none
	err      error         // of the last claim
}

const (
	runSize  = 50 // numbers in a run
	mostRuns = 32 // claimed at once
)

// numbered gives an event that opens a case its number. It comes after the decision: what is refused takes none.
func (e *Engine) numbered(ctx context.Context, body event.Body, recorded time.Time) (event.Body, error) {
	give := func(unit orgs.UnitCode, had string) (string, error) {
		if had != "" || len(unit) < 6 {
			return had, nil
		}
		return e.number(ctx, string(unit[:6]), calendar.DateOf(recorded))
	}
	var err error
	switch b := body.(type) {
	case demand.Raised:
		b.Number, err = give(b.Unit, b.Number)
		return b, err
	case topic.Proposed:
		b.Number, err = give(b.Unit, b.Number)
		return b, err
	case order.Dispatched:
		b.Number, err = give(b.Place, b.Number)
		return b, err
	}
	return body, nil
}

func (e *Engine) number(ctx context.Context, county string, date calendar.Date) (string, error) {
	of := daily{county, date.Start().In(calendar.Zone()).Format("20060102")}
	e.numbers.mu.Lock()
	defer e.numbers.mu.Unlock()
	c := e.numbers.counters[of]
	if c == nil {
		for other := range e.numbers.counters {
			if other.county == county && other.day < of.day {
				delete(e.numbers.counters, other)
			}
		}
		c = &counter{next: 1, batch: 1}
		e.numbers.counters[of] = c
	}
	for c.next > c.last {
		if len(c.free) > 0 {
			c.next, c.last, c.free = c.free[0], c.free[0]+runSize-1, c.free[1:]
			break
		}
		ended := e.claim(of, c)
		e.numbers.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
		}
		e.numbers.mu.Lock()
		if err := context.Cause(ctx); err != nil {
			return "", fmt.Errorf("claim case numbers: %w", err)
		}
		if len(c.free) == 0 && c.err != nil {
			return "", fmt.Errorf("claim case numbers: %w", c.err)
		}
	}
	if len(c.free) < c.batch/2 {
		e.claim(of, c)
	}
	n := c.next
	c.next++
	return number.Format(county, of.day, n), nil
}

// claim claims the next runs in the background, all with one fsync, and returns what is closed when it is done. The caller
// holds the mutex.
func (e *Engine) claim(of daily, c *counter) <-chan struct{} {
	if c.claiming != nil {
		return c.claiming
	}
	switch since := time.Since(c.claimed); {
	case !c.claimed.IsZero() && since < time.Second:
		c.batch = min(2*c.batch, mostRuns)
	case since > time.Minute:
		c.batch = 1
	}
	ended := make(chan struct{})
	c.claiming, c.claimed = ended, time.Now()
	first := c.run
	c.run += c.batch
	count := c.batch
	go func() {
		won := make([]bool, count)
		errs := make([]error, count)
		var claims sync.WaitGroup
		for i := range count {
			claims.Go(func() {
				if won[i] = e.unclaimed; won[i] {
					return
				}
				from := (first+i)*runSize + 1
				n := stream.Keyed(stream.Number, fmt.Sprintf("%s-%s-%d", of.county, of.day, first+i))
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				_, err := e.record(ctx, n, e.Program+"/"+e.node(), eventlog.None, rule.Actor{ID: "numbers", Role: orgs.System},
					event.NumbersReserved{County: orgs.UnitCode(of.county), Day: of.day, First: from, Last: from + runSize - 1})
				won[i] = err == nil
				if !errors.Is(err, eventlog.ErrConflict) { // a conflict: another node has that run, or this one before it was restarted
					errs[i] = err
				}
			})
		}
		claims.Wait()
		e.numbers.mu.Lock()
		defer e.numbers.mu.Unlock()
		for i, mine := range won {
			if mine {
				c.free = append(c.free, (first+i)*runSize+1)
			}
		}
		c.err, c.claiming = errors.Join(errs...), nil
		close(ended)
	}()
	return ended
}
