package period

import (
	"reflect"
	"testing"
)

// A revision records what changed, and the editions before it stay as they were.
func TestABookKeepsEveryEdition(t *testing.T) {
	one := []Figure{{Unit: agency, Name: "gone", N: "1", D: "2", Printed: "50.00"}, {Unit: agency, Name: "on_time", N: "8", D: "10", Printed: "80.00"},
		{Unit: agency, Name: "same", N: "1", D: "1", Printed: "100.00"}}
	two := []Figure{{Unit: agency, Name: "new", Printed: "—"}, {Unit: agency, Name: "on_time", N: "9", D: "10", Printed: "90.00"}, one[2]}
	changed := Changes(one, two)
	if len(changed) != 3 || !changed[0].Gone || changed[0].Was.N != "1" || changed[1].Was != nil || changed[2].Was.Printed != "80.00" {
		t.Fatalf("changed: %+v", changed)
	}
	var b Book
	for _, e := range []Event{
		FiguresRecorded{Revision: 1, Results: "stale", Figures: two},
		FiguresRecorded{Revision: 1, Results: "a", Figures: one[:1]}, FiguresRecorded{Revision: 1, Results: "a", From: 1, Figures: one[1:]}, Sealed{Results: "a", CutOff: 7},
		FiguresRecorded{Revision: 2, Results: "b", Figures: changed}, RevisionSealed{Revision: 2, Results: "b", Changed: 3},
	} {
		b.Take(e)
	}
	if len(b.Editions) != 2 || !reflect.DeepEqual(b.Editions[0].Figures, one) || b.Editions[0].CutOff != 7 || !reflect.DeepEqual(b.Last().Figures, two) || len(b.Last().Changed) != 3 {
		t.Errorf("editions: %+v", b.Editions)
	}
	if again := Changes(two, two); len(again) != 0 {
		t.Errorf("nothing changed, and it lists %+v", again)
	}
}
