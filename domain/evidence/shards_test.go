package evidence

import (
	"runtime"
	"testing"

	"gridcase/domain/assessment"
	"gridcase/domain/stream"
)

// TestFactsDoNotDependOnHowManyFoldThem folds so many cases that they are shared out, some with so many legs that a stretch runs out of room.
func TestFactsDoNotDependOnHowManyFoldThem(t *testing.T) {
	kept, units := map[stream.ID]Case{}, town()
	for n := range 9_000 {
		usual(n, units, kept)
	}
	whole := Scope{First: 1, Last: 1 << 20}
	for _, crowded := range []bool{false, true} {
		if crowded { // every second order is dispatched eight times more
			n := 0
			for id, c := range kept {
				if n++; c.Of != stream.Order || n%2 == 0 {
					continue
				}
				track := c.Track
				for range 8 {
					w := openPen(track, stream.Order, seen{at: everything / 2, units: units})
					w.mark(orderRedispatched, 0)
					w.track = append(w.track, 0)
					w.word("150105003")
					w.word("150105003-a01")
					w.instant(w.Meta.Recorded)
					track = w.track
				}
				kept[id] = Case{id, c.Of, track}
			}
		}
		all := cases(kept)
		was := runtime.GOMAXPROCS(1)
		alone := gatherAll(t, all, whole)
		runtime.GOMAXPROCS(4)
		shared := gatherAll(t, all, whole)
		runtime.GOMAXPROCS(was)
		if d := difference(shared, alone); d != "" {
			t.Fatalf("crowded %v: %s", crowded, d)
		}
		if legs := len(alone.Legs); crowded != (legs > 20_000) || len(alone.Demands) != 9_000 {
			t.Fatalf("crowded %v: %d legs, %d demands", crowded, legs, len(alone.Demands))
		}
	}
}

func gatherAll(t *testing.T, all []Case, scope Scope) assessment.Facts {
	t.Helper()
	f, err := Gather(all, scope, everything, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
