package evidence

import (
	"fmt"
	"reflect"
	"testing"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/order"
	"gridcase/domain/period"
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
	return []Scope{{"", from - 400, to + 400, from, 0}, {"150105", first, first + 6, from, 0}, {"150102", from, to, from, 0}, {"150105003", first, to, from, 0}, {"", first, first, from, 0}}
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
	all := Scope{"", 1, calendar.DateOf(s.now) + 400, 0, 0}
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

// TestAReopeningAfterTheSealIsOfARevision: an order that is reopened after a period's end is a rework of it if the scheme leaves reopenings to a revision,
// and of nothing but the next period if not (choice reopen.after_seal). What was reopened before the end counts in both.
func TestAReopeningAfterTheSealIsOfARevision(t *testing.T) {
	later, before := 0, 0
	for seed := range uint64(4) {
		s := tell(seed, 700)
		whole, all := keep(s.log, s.units), Scope{First: 1, Last: calendar.DateOf(s.now) + 400}
		for _, e := range s.log {
			switch e.Body.(type) {
			case order.ReworkOrdered, order.Reopened:
			default:
				continue
			}
			reworks := func(answer string, ended Position) (n int) {
				scheme := assessment.Default()
				scheme.Choices[assessment.ReopenAfterSeal] = answer
				scope := Course{State: period.State{First: all.First, Last: all.Last}, Ended: ended}.Scope(scheme)
				for _, l := range gather(t, whole, scope, e.at).Legs {
					if l.Order == e.Stream.ID() {
						return l.Reworks
					}
				}
				return -1
			}
			if reworks("revision", 0) < 0 {
				continue // it lies nowhere
			}
			if next, revised := reworks("next", e.at-1), reworks("revision", e.at-1); next != revised-1 {
				t.Fatalf("seed %d, reopened at %d after the end: %d reworks, in a revision %d", seed, e.at, next, revised)
			}
			later++
			if next, revised := reworks("next", e.at), reworks("revision", e.at); next != revised {
				t.Fatalf("seed %d, reopened at %d, at the end: %d reworks, in a revision %d", seed, e.at, next, revised)
			}
			before++
		}
	}
	if later < 20 || before < 20 {
		t.Fatalf("%d orders were reopened", later)
	}
}
