package assessment

import (
	"slices"
	"sync"
	"testing"
)

func TestAFigureIsReadPageByPage(t *testing.T) {
	var f Facts
	for i := range 25 {
		f.Legs, f.Demands = append(f.Legs, leg(i)), append(f.Demands, demand(i))
	}
	r := compute(t, Default(), november(), f)
	for _, id := range []string{"on_time:u=150105-d01", "on_time", "three_rates:u=150105-d01", "satisfaction:s=150105001"} {
		all, err := r.Open(id)
		if err != nil {
			t.Fatal(err)
		}
		var paged []Finding
		for skip := 0; ; skip += 7 {
			page, of, err := r.Page(id, skip, 7)
			if err != nil || of != len(all) || len(page) > 7 {
				t.Fatalf("%s from %d: %d of %d cases, want at most 7 of %d (%v)", id, skip, len(page), of, len(all), err)
			}
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
		}
		if !slices.Equal(paged, all) {
			t.Errorf("the pages of %s are not the whole", id)
		}
		if !slices.IsSortedFunc(all[:25], func(a, b Finding) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) }) {
			t.Errorf("%s opens in another order than by name", id)
		}
	}
	if page, of, err := r.Page("on_time", -3, 0); len(page) != 0 || of != 25 || err != nil {
		t.Errorf("an empty page has %d of %d cases (%v)", len(page), of, err)
	}
}

// TestAPageOfManyIsAStretchOfTheWhole reads pages of so many cases that most of them are not kept while they are looked through.
func TestAPageOfManyIsAStretchOfTheWhole(t *testing.T) {
	var f Facts
	for i := range 4000 {
		f.Legs = append(f.Legs, leg(i))
	}
	r := compute(t, Default(), november(), f)
	all, err := r.Open("on_time")
	if err != nil || len(all) != 4000 {
		t.Fatal(len(all), err)
	}
	for _, skip := range []int{0, 1, 49, 400, 1700, 3990, 5000} {
		for _, most := range []int{0, 1, 50, 700} {
			page, of, err := r.Page("on_time", skip, most)
			if want := all[min(skip, 4000):min(skip+most, 4000)]; err != nil || of != 4000 || !slices.Equal(page, want) {
				t.Errorf("%d cases from %d on are %d of %d, not what the whole has there (%v)", most, skip, len(page), of, err)
			}
		}
	}
}

// TestResultsMayBeReadByManyAtOnce is for the race detector.
func TestResultsMayBeReadByManyAtOnce(t *testing.T) {
	r := compute(t, Default(), november(), Facts{Legs: []Leg{leg(1), leg(2)}, Demands: []Demand{demand(1), demand(2)}})
	want := r.CohortHash() + r.ResultsHash()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if found, err := r.Open("on_time:u=150105-d01"); err != nil || len(found) != 2 {
				t.Errorf("%d cases (%v)", len(found), err)
			}
			if got := r.CohortHash() + r.ResultsHash(); got != want {
				t.Error("another hash")
			}
		})
	}
	wg.Wait()
}
