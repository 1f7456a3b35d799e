package projections

import (
	"context"
	"slices"

	"gridcase/domain/assessment"
	"gridcase/domain/evidence"
	"gridcase/eventlog"
)

// resultsKept is how many results are kept, and casesKept how many cases may lie behind them together: about 600 bytes each.
const (
	resultsKept = 8
	casesKept   = 600_000
)

// results keeps what was computed last, and computes one thing at a time: a city's year takes both cores, and most questions
// after it open one of its figures. What was computed for some positions stays true for ever.
type results struct {
	busy  chan struct{} // holds one token
	kept  []computed    // the latest first
	basis basis
}

// basis is what the latest of them was computed from. The result holds it too, so it costs nothing to keep.
type basis struct {
	scope   evidence.Scope
	at      eventlog.Position
	facts   assessment.Facts
	setting *evidence.Setting
}

type computed struct {
	key     string
	results *assessment.Results
	cases   int
}

func newResults() *results { return &results{busy: make(chan struct{}, 1)} }

// get returns the results for a key, and computes them if they are not kept.
func (r *results) get(ctx context.Context, key string, compute func() (*assessment.Results, int, error)) (*assessment.Results, error) {
	select {
	case r.busy <- struct{}{}:
		defer func() { <-r.busy }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for i, c := range r.kept {
		if c.key == key {
			copy(r.kept[1:i+1], r.kept[:i])
			r.kept[0] = c
			return c.results, nil
		}
	}
	r.keep(resultsKept, casesKept/2) // what must go anyway if the next is as large, goes before both are there
	found, cases, err := compute()
	if err != nil {
		return nil, err
	}
	r.kept = slices.Insert(r.kept, 0, computed{key, found, cases})
	r.keep(resultsKept, max(cases, casesKept))
	return found, nil
}

// keep forgets the oldest, until there are so many at most, with so many cases behind them.
func (r *results) keep(most, cases int) {
	for n, c := range r.kept {
		if cases -= c.cases; n == most || cases < 0 {
			clear(r.kept[n:])
			r.kept = r.kept[:n]
			return
		}
	}
}
