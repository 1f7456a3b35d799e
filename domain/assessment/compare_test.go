package assessment

import (
	"fmt"
	"slices"
	"testing"

	"gridcase/domain/orgs"
)

func comparison(t *testing.T, cs []Comparison, u orgs.UnitCode) Comparison {
	t.Helper()
	at := slices.IndexFunc(cs, func(c Comparison) bool { return c.Unit == u })
	if at < 0 {
		t.Fatalf("no comparison of %s", u)
	}
	return cs[at]
}

func TestTwoSchemesAreComparedByTheirChoices(t *testing.T) {
	s, p, f := three()
	a := compute(t, s, p, f)
	other, _, _ := three()
	other.Choices[Aggregate] = "households"
	other.Subjects[0].Weight = Whole(50)
	c := comparison(t, Compare(a, compute(t, other, p, f)), bureau)
	if c.Change.String() != "387/200" { // 88.035 − 86.1 = 1.935
		t.Errorf("it changes by %s, want 1.935", c.Change)
	}
	got := fmt.Sprint(c.Causes)
	if want := "[{subjects   33/20} {choices.aggregate equal households 57/500}]"; got != want { // 87.75 − 86.10; 86.214 − 86.10
		t.Errorf("the causes are %s, want %s", got, want)
	}
	if c.Rest.String() != "171/1000" { // 1.935 − 1.65 − 0.114
		t.Errorf("together they do %s more, want 0.171", c.Rest)
	}
	if cs := Compare(a, a); comparison(t, cs, bureau).Change.String() != "0" || len(comparison(t, cs, bureau).Causes) != 0 {
		t.Errorf("compared with itself: %+v", cs)
	}
}

func TestWhoRisesIsSaidWithThePartsOfTheScore(t *testing.T) {
	s, p, f := three()
	p.Evaluations[3] = evaluation(streetA, rival, "99") // the rival leads: 93.00
	a := compute(t, s, p, f)
	late := p
	late.Evaluations = slices.Clone(p.Evaluations)
	late.Evaluations[3] = evaluation(streetA, rival, "60")
	b := compute(t, s, late, f)
	cs := Compare(a, b)
	up, down := comparison(t, cs, bureau), comparison(t, cs, rival)
	if up.Rises != 1 || down.Rises != -1 {
		t.Errorf("the bureau rises by %d, the rival by %d; want 1 and −1", up.Rises, down.Rises)
	}
	if len(down.Parts) != 1 || down.Parts[0].What != "form" || down.Parts[0].Before.String() != "93" || down.Parts[0].After.String() != "80" {
		t.Errorf("because of %+v, want the form from 93 to 80", down.Parts)
	}
	if down.Rest.Compare(down.Change.Fraction) != 0 {
		t.Errorf("the scheme did not change: the rest is %s of %s", down.Rest, down.Change)
	}
	sum := Of(0, 1)
	for _, p := range up.Parts {
		sum = sum.Plus(p.After.Minus(p.Before))
	}
	if !sum.IsZero() {
		t.Errorf("nothing of the bureau changed, its parts by %s", sum)
	}
}

func TestARevisionStatesEveryNumberItChanges(t *testing.T) {
	p := november()
	p.Evaluations = []Evaluation{evaluation(streetA, bureau, "80")}
	p.Others = []Other{{Unit: bureau, Score: Whole(80)}}
	f := Facts{}
	for i := range 5 {
		f.Legs = append(f.Legs, leg(i))
	}
	a := compute(t, Default(), p, f)
	g := Facts{Legs: slices.Clone(f.Legs)}
	lateLeg(&g.Legs[0])
	changed := map[string]string{}
	for _, c := range Diff(a, compute(t, Default(), p, g)) {
		changed[c.ID] = c.Old + " → " + c.New
	}
	for id, want := range map[string]string{
		"on_time":                          "100.00 → 80.00",
		"on_time:u=150105-d01:s=150105001": "100.00 → 80.00",
		"on_time_original:u=150105-d01":    "100.00 → 80.00",
		"order_card:u=150105-d01":          "100.00 → 91.43", // four full cards and one of 40 of 70 points
		"score:u=150105-d01:s=150105001":   "90.00 → 80.00",
		"streets:u=150105-d01":             "90.00 → 80.00",
		"annual:u=150105-d01":              "82.00 → 80.00",
	} {
		if changed[id] != want {
			t.Errorf("%s: %q, want %q", id, changed[id], want)
		}
	}
	if _, said := changed["closure"]; said {
		t.Error("a figure that stays is listed")
	}
	if d := Diff(a, a); len(d) != 0 {
		t.Errorf("against itself: %v", d)
	}
}
