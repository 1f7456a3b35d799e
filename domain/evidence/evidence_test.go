package evidence

import (
	"fmt"
	"reflect"
	"testing"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/stream"
)

func gather(t testing.TB, kept map[stream.ID]Case, scope Scope, p Position) assessment.Facts {
	t.Helper()
	f, err := Gather(cases(kept), scope, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// scopes are what these tests ask for: everything, a district, a street, for a month, a week, a year.
func scopes(s *story) []Scope {
	from, to := calendar.DateOf(s.log[0].Meta.Recorded), calendar.DateOf(s.now)
	first := from + calendar.Date(s.random.IntN(int(to-from)))
	return []Scope{{"", from - 400, to + 400, from}, {"150105", first, first + 6, from}, {"150102", from, to, from}, {"150105003", first, to, from}, {"", first, first, from}}
}

// difference shows where two facts differ, "" if they do not.
func difference(got, want assessment.Facts) string {
	a, b := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range a.NumField() {
		name, x, y := a.Type().Field(i).Name, a.Field(i), b.Field(i)
		if x.Kind() != reflect.Slice {
			continue
		}
		for j := range max(x.Len(), y.Len()) {
			switch {
			case j >= x.Len():
				return fmt.Sprintf("%s %d is missing: %+v", name, j, y.Index(j))
			case j >= y.Len():
				return fmt.Sprintf("%s %d is too many: %+v", name, j, x.Index(j))
			case !reflect.DeepEqual(x.Index(j).Interface(), y.Index(j).Interface()):
				return fmt.Sprintf("%s %d:\n got %+v\nwant %+v", name, j, x.Index(j), y.Index(j))
			}
		}
	}
	return ""
}

func TestFactsAreWhatTheEventsSay(t *testing.T) {
	for seed := range uint64(4) {
		s := tell(seed, 400)
		whole := keep(s.log, s.units)
		for range 5 {
			p := Position(s.random.IntN(int(s.log[len(s.log)-1].at) + 3))
			o := oracle{upTo(s.log, p), s.units}
			for _, scope := range scopes(s) {
				if d := difference(gather(t, whole, scope, p), o.facts(scope)); d != "" {
					t.Fatalf("seed %d, %+v as of %d: %s", seed, scope, p, d)
				}
			}
		}
	}
}

func TestWhatWasRecordedLaterCountsForNothing(t *testing.T) {
	for seed := range uint64(3) {
		s := tell(seed, 700)
		whole := keep(s.log, s.units)
		for range 40 {
			p := Position(s.random.IntN(int(s.log[len(s.log)-1].at) + 3))
			then := keep(upTo(s.log, p), s.units)
			for _, scope := range scopes(s) {
				if d := difference(gather(t, whole, scope, p), gather(t, then, scope, everything)); d != "" {
					t.Fatalf("seed %d, %+v as of %d: %s", seed, scope, p, d)
				}
			}
		}
	}
}

// TestAMarkWithoutItsPositionIsFound seeds the fault that the tests above are for: of one event, the marks say that they were
// known as early as the mark before them.
func TestAMarkWithoutItsPositionIsFound(t *testing.T) {
	s := tell(1, 400)
	all := Scope{"", 1, calendar.DateOf(s.now) + 400, 0}
	honest := keep(s.log, s.units)
	tried := 0
	for i, e := range s.log {
		p := e.at - 1
		before, after := gather(t, honest, all, p), gather(t, honest, all, e.at)
		if i == 0 || difference(before, after) == "" {
			continue
		}
		early := keep(s.log, s.units, e.at)
		if _, begun := honest[e.Stream.ID()].Track.begins(); e.Revision == 0 || !begun {
			continue // there is no mark before it
		}
		tried++
		if difference(gather(t, early, all, p), before) == "" {
			t.Fatalf("nobody noticed that %s at %d was known too early", e.Body.EventType(), e.at)
		}
	}
	if tried < 100 {
		t.Fatalf("the fault was tried with %d events", tried)
	}
}
