package evidence

import (
	"runtime"
	"testing"

	"gridcase/domain/assessment"
	"gridcase/domain/stream"
)

// TestFactsDoNotDependOnHowManyFoldThem folds so many cases that they are shared out, then with so many legs among the first that their stretch runs out of room.
func TestFactsDoNotDependOnHowManyFoldThem(t *testing.T) {
	kept, units := map[stream.ID]Case{}, town()
	var early []stream.ID
	const count = 4_500 // two shards
	for n := range count {
		if _, order := usual(n, units, kept); n < count/5 {
			early = append(early, order)
		}
	}
	whole := Scope{First: 1, Last: 1 << 20}
	for _, crowded := range []bool{false, true} {
		if crowded { // the first orders are dispatched once more: theirs is the stretch that the next one's lies behind
			for _, id := range early {
				w := openPen(kept[id].Track, stream.Order, seen{at: everything / 2, units: units})
				w.mark(orderRedispatched, 0)
				w.track = append(w.track, 0)
				w.word("150105003")
				w.word("150105003-a01")
				w.instant(w.Meta.Recorded)
				kept[id] = Case{id, stream.Order, w.track}
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
		if legs := len(alone.Legs); crowded != (legs == count+count/5) || len(alone.Demands) != count {
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
