package assessment

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gridcase/domain/orgs"
)

func standing(t *testing.T, r *Results, u orgs.UnitCode) Standing {
	t.Helper()
	at := slices.IndexFunc(r.Standings, func(s Standing) bool { return s.Unit == u })
	if at < 0 {
		t.Fatalf("no standing of %s", u)
	}
	return r.Standings[at]
}

func scoreOf(t *testing.T, r *Results, street, unit orgs.UnitCode) Score {
	t.Helper()
	at := slices.IndexFunc(r.Scores, func(s Score) bool { return s.Street == street && s.Unit == unit })
	if at < 0 {
		t.Fatalf("no score of %s by %s", unit, street)
	}
	return r.Scores[at]
}

// example builds the objective part of the worked example: on time 96 %, resolved 91.5 %, satisfied 88.2 %, and with whistles all in on time.
func example(whistles bool) Facts {
	var f Facts
	for i := range 1000 {
		l := leg(i)
		if i < 40 {
			lateLeg(&l)
		}
		f.Legs = append(f.Legs, l)
		f.Demands = append(f.Demands, demand(i, func(d *Demand) {
			d.Callbacks[0].Resolved = i >= 85
			if i >= 882 {
				d.Callbacks[0].Grade = 2
			}
		}))
	}
	if whistles {
		f.Summonses = append(f.Summonses, summons(1))
	}
	return f
}

func TestOneStreetsEvaluationIsTheWorkedExample(t *testing.T) {
	p := november()
	p.Evaluations = []Evaluation{evaluation(streetA, bureau, "86")}
	sc := scoreOf(t, compute(t, Default(), p, example(true)), streetA, bureau)
	if got := sc.Objective.String(); got != "3749/40" { // 93.725
		t.Errorf("the objective part is %s, want 93.725", got)
	}
	if got := sc.Objective.Print(2); got != "93.73" {
		t.Errorf("the objective part is printed %s, want 93.73", got)
	}
	if sc.Printed != "89.86" || sc.Value.String() != "71890/800" && sc.Value.Print(4) != "89.8625" {
		t.Errorf("the score is %s, printed %s, want 89.8625 and 89.86", sc.Value, sc.Printed)
	}
	sc = scoreOf(t, compute(t, choosing("rounding", "each_step:2"), p, example(true)), streetA, bureau)
	if sc.Printed != "89.87" {
		t.Errorf("rounding each step prints %s, want 89.87", sc.Printed)
	}
	sc = scoreOf(t, compute(t, Default(), p, example(false)), streetA, bureau)
	if got := sc.Objective.Print(5); got != "92.15625" {
		t.Errorf("without whistles the objective part is %s, want 92.15625", got)
	}
	if got := sc.Objective.Print(2); got != "92.16" || !slices.Contains(sc.Flags, FlagItemDropped) {
		t.Errorf("without whistles it prints %s with the flags %v, want 92.16 and %s", got, sc.Flags, FlagItemDropped)
	}
	for empty, want := range map[string]string{
		"full":      "93.73", // 28.8 + 22.875 + 22.05 + 20
		"neutral:0": "73.73",
	} {
		sc := scoreOf(t, compute(t, choosing("empty_item", empty), p, example(false)), streetA, bureau)
		if got := sc.Objective.Print(2); got != want {
			t.Errorf("empty_item %s: the objective part is %s, want %s", empty, got, want)
		}
	}
}

// three returns the three streets of the worked example: 88.40 over 120 legs, 93.10 over 40, 90.00 on the form alone. The share of the objective
// part is a fifth, so that half points of the form lead to them. The rival has 90.00 from every street.
func three() (Scheme, Period, Facts) {
	s, p := Default(), november()
	s.Share = Whole(20)
	var f Facts
	n := 0
	for range 120 {
		f.Legs = append(f.Legs, leg(n))
		n++
	}
	for i := range 40 {
		f.Legs = append(f.Legs, leg(n, by(streetB), func(l *Leg) {
			if i == 0 {
				lateLeg(l)
			}
		}))
		n++
	}
	p.Evaluations = []Evaluation{
		evaluation(streetA, bureau, "85.5"), evaluation(streetB, bureau, "92"), evaluation(streetC, bureau, "90"),
		evaluation(streetA, rival, "90"), evaluation(streetB, rival, "90"), evaluation(streetC, rival, "90"),
	}
	p.Others = []Other{{Unit: bureau, Score: Whole(85)}, {Unit: rival, Score: Whole(85)}}
	return s, p, f
}

func TestStreetsCombineAsTheWorkedExample(t *testing.T) {
	s, p, f := three()
	r := compute(t, s, p, f)
	for street, want := range map[orgs.UnitCode]string{streetA: "88.40", streetB: "93.10", streetC: "90.00"} {
		if got := scoreOf(t, r, street, bureau).Printed; got != want {
			t.Fatalf("%s gives %s, want %s", street, got, want)
		}
	}
	if got := scoreOf(t, r, streetC, bureau).Flags; !slices.Contains(got, FlagSample) {
		t.Errorf("a street without legs is flagged %v, want %s", got, FlagSample)
	}
	for _, c := range []struct{ aggregate, streets, exact20, at20, at50 string }{
		{"equal", "90.50", "86.1", "86.10", "87.75"},
		{"orders", "89.58", "85.915", "85.92", "87.29"}, // 89.575
		{"households", "91.07", "86.214", "86.21", "88.04"},
		{"grids", "91.15", "86.23", "86.23", "88.08"}, // (88.40 + 2·93.10 + 90.00) / 4 = 91.15; 88.075
		{"trimmed", "90.50", "86.1", "86.10", "87.75"},
	} {
		s.Choices[Aggregate] = c.aggregate
		for w, want := range map[int]string{20: c.at20, 50: c.at50} {
			s.Subjects[0].Weight = Whole(w)
			st := standing(t, compute(t, s, p, f), bureau)
			if st.Printed[0] != c.streets || st.Printed[2] != want {
				t.Errorf("%s with w = %d %%: the streets give %s, the year %s; want %s and %s", c.aggregate, w, st.Printed[0], st.Printed[2], c.streets, want)
			}
			if w == 20 && decimal(st.Annual.Fraction) != c.exact20 {
				t.Errorf("%s: the exact annual score is %s, want %s", c.aggregate, st.Annual, c.exact20)
			}
		}
	}
}

// TestTheChoiceOfTheAggregateChangesTheRank: a rival with an annual score of 86.00.
func TestTheChoiceOfTheAggregateChangesTheRank(t *testing.T) {
	s, p, f := three()
	for aggregate, want := range map[string][2]int{"equal": {1, 2}, "households": {1, 2}} {
		s.Choices[Aggregate] = aggregate
		r := compute(t, s, p, f)
		if got := [2]int{standing(t, r, bureau).Rank, standing(t, r, rival).Rank}; got != want {
			t.Errorf("%s: the ranks are %v, want %v", aggregate, got, want)
		}
	}
	// By orders only streets with legs count: give the rival as many cases, and no score changes.
	s.Choices[Aggregate] = "orders"
	for i := range 10 {
		f.Legs = append(f.Legs, leg(1000+i, to(rival), func(l *Leg) {
			if i < 1 {
				lateLeg(l)
			}
		}))
	}
	r := compute(t, s, p, f)
	if got := standing(t, r, rival).Printed[2]; got != "86.00" {
		t.Fatalf("the rival has %s, want 86.00", got)
	}
	if a, b := standing(t, r, bureau).Rank, standing(t, r, rival).Rank; a != 2 || b != 1 {
		t.Errorf("by orders the ranks are %d and %d, want 2 and 1", a, b)
	}
}

func TestTheHighestAndTheLowestAreTrimmedOfFive(t *testing.T) {
	p := november()
	marks := []string{"80", "85", "90", "92", "99"}
	p.Streets = nil
	for i, m := range marks {
		code := orgs.UnitCode(fmt.Sprintf("15010500%d", i+1))
		p.Streets = append(p.Streets, Street{Unit: code, District: district, Households: 1})
		p.Evaluations = append(p.Evaluations, evaluation(code, bureau, m))
	}
	for aggregate, want := range map[string]string{"trimmed": "89.00", "equal": "89.20"} {
		r := compute(t, choosing("aggregate", aggregate), p, Facts{})
		if got := standing(t, r, bureau).Printed[0]; got != want {
			t.Errorf("%s: got %s, want %s", aggregate, got, want)
		}
	}
	p.Streets = p.Streets[:4]
	if got := standing(t, compute(t, choosing("aggregate", "trimmed"), p, Facts{}), bureau).Printed[0]; got != "86.75" {
		t.Errorf("of four streets none is trimmed: got %s, want 86.75", got)
	}
}

func TestTiesShareARank(t *testing.T) {
	p := november()
	p.Units = nil
	for i, m := range []string{"90", "85", "85", "80", ""} {
		u := orgs.UnitCode(fmt.Sprintf("150105-d1%d", i))
		p.Units = append(p.Units, Rated{Unit: u, Kind: orgs.Department, District: district})
		p.Others = append(p.Others, Other{Unit: u, Score: Whole(85)})
		if m != "" {
			p.Evaluations = append(p.Evaluations, evaluation(streetA, u, m))
		}
	}
	r := compute(t, Default(), p, Facts{})
	var got []int
	for _, s := range r.Standings {
		got = append(got, s.Rank)
	}
	if fmt.Sprint(got) != "[1 2 2 4 0]" {
		t.Errorf("the ranks are %v, want 1, 2, 2, 4 and none", got)
	}
	last := r.Standings[4]
	if last.Printed[2] != None || !slices.Contains(last.Flags, FlagNotAssessed) {
		t.Errorf("a unit that nobody rated has %v, flags %v", last.Printed, last.Flags)
	}
}

func TestTheRankGoesByWhatIsPrintedOrByWhatIsExact(t *testing.T) {
	p := november()
	p.Others = []Other{{Unit: bureau, Score: points("85.001")}, {Unit: rival, Score: points("85.002")}}
	p.Evaluations = []Evaluation{evaluation(streetA, bureau, "90"), evaluation(streetA, rival, "90")}
	for on, want := range map[string][2]int{"printed": {1, 1}, "exact": {2, 1}} {
		r := compute(t, choosing("rank.on", on), p, Facts{})
		if got := [2]int{standing(t, r, bureau).Rank, standing(t, r, rival).Rank}; got != want {
			t.Errorf("%s: ranks %v, want %v", on, got, want)
		}
	}
}

func TestPeriodsMixIntoAYear(t *testing.T) {
	p := november() // 30 days
	p.Sealed = []Sealed{
		{bureau, date("2026-09-01"), date("2026-09-30"), Whole(80).Fraction()},
		{bureau, date("2026-10-01"), date("2026-10-31"), Whole(92).Fraction()},
	}
	p.Evaluations = []Evaluation{evaluation(streetA, bureau, "90")}
	for mix, want := range map[string]string{"days": "87.38", "mean": "87.33", "last": "90.00"} { // (80·30 + 92·31 + 90·30)/91
		if got := standing(t, compute(t, choosing("year.mix", mix), p, Facts{}), bureau).Printed[1]; got != want {
			t.Errorf("%s: the year is %s, want %s", mix, got, want)
		}
	}
	p.Evaluations = nil
	if got := standing(t, compute(t, choosing("year.mix", "last"), p, Facts{}), bureau).Printed[1]; got != "92.00" {
		t.Errorf("the last period that was assessed gives %s, want 92.00", got)
	}
	yearly := Default()
	yearly.Every = Yearly
	p.Evaluations = []Evaluation{evaluation(streetA, bureau, "90")}
	if got := standing(t, compute(t, yearly, p, Facts{}), bureau).Printed[1]; got != "90.00" {
		t.Errorf("a yearly scheme has %s, want its own 90.00", got)
	}
}

func TestTooFewCasesLeaveTheForm(t *testing.T) {
	p := november()
	p.Evaluations = []Evaluation{evaluation(streetA, bureau, "80")}
	four := Facts{Legs: []Leg{leg(1), leg(2), leg(3), leg(4)}}
	for _, c := range []struct{ no, want string }{
		{"form", "80.00"}, {"not_assessed", None}, {"neutral:70", "75.00"}, {"full", "90.00"},
	} {
		sc := scoreOf(t, compute(t, choosing("no_case", c.no), p, four), streetA, bureau)
		if sc.Printed != c.want || !slices.Contains(sc.Flags, FlagSample) {
			t.Errorf("no_case %s: got %s, flags %v; want %s", c.no, sc.Printed, sc.Flags, c.want)
		}
	}
	if sc := scoreOf(t, compute(t, choosing("min_sample", "4"), p, four), streetA, bureau); sc.Printed != "90.00" {
		t.Errorf("four cases where four are enough: got %s, want 90.00", sc.Printed)
	}
	p.Evaluations = nil
	five := Facts{Legs: append(four.Legs, leg(5))}
	if sc := scoreOf(t, compute(t, Default(), p, five), streetA, bureau); sc.Printed != "100.00" || !slices.Contains(sc.Flags, FlagNoForm) {
		t.Errorf("without an evaluation: got %s, flags %v; want the objective part alone", sc.Printed, sc.Flags)
	}
	if sc := scoreOf(t, compute(t, Default(), p, Facts{}), streetA, bureau); sc.Printed != None || !slices.Contains(sc.Flags, FlagLeftOut) {
		t.Errorf("with neither: got %s, flags %v", sc.Printed, sc.Flags)
	}
}

func TestEventsAreDeductedWithinTheLimitsAndABonusIsAddedAfterwards(t *testing.T) {
	s, p := Default(), november()
	s.Share = 0
	s.Deductions = []Item{{Indicator: Rework, Points: points("3"), Shape: PerEvent, Each: points("0.2"), From: 3, Then: points("0.5")}}
	p.Evaluations = []Evaluation{evaluation(streetA, bureau, "90")}
	var f Facts
	for i := range 10 {
		f.Legs = append(f.Legs, leg(i, func(l *Leg) {
			if i < 5 {
				l.Reworks = 1
			}
		}))
	}
	if sc := scoreOf(t, compute(t, s, p, f), streetA, bureau); sc.Printed != "88.10" {
		t.Errorf("five reworks leave %s of 90, want 88.10", sc.Printed)
	}
	s.Bonuses = []Item{{Indicator: OnTime, Points: points("10"), Shape: Bonus, Each: points("2")}}
	if sc := scoreOf(t, compute(t, s, p, f), streetA, bureau); sc.Printed != "98.10" {
		t.Errorf("with a bonus of 10: %s, want 98.10", sc.Printed)
	}
	// A deduction counts what speaks against the unit: of on_time the legs that were not.
	s.Bonuses, s.Deductions = nil, []Item{{Indicator: OnTime, Points: points("100"), Shape: PerEvent, Each: points("50")}}
	lateLeg(&f.Legs[0])
	if sc := scoreOf(t, compute(t, s, p, f), streetA, bureau); sc.Printed != "40.00" {
		t.Errorf("one late leg leaves %s, want 40.00", sc.Printed)
	}
	lateLeg(&f.Legs[1])
	if sc := scoreOf(t, compute(t, s, p, f), streetA, bureau); sc.Printed != "0.00" {
		t.Errorf("two late legs leave %s, want 0.00", sc.Printed)
	}
}

func TestStreetsRateWhomTheSchemeSays(t *testing.T) {
	p := november()
	city := orgs.UnitCode("150100-b01")
	p.Units = append(p.Units, Rated{Unit: city, Kind: orgs.Bureau}, Rated{Unit: "150105-t01", Kind: orgs.JointTeam, District: district})
	f := Facts{Legs: []Leg{leg(1, to("150105-t01")), leg(2, by(streetB), to(station))}}
	pairs := func(scope string) (got []string) {
		for _, sc := range compute(t, choosing("rate.scope", scope), p, f).Scores {
			got = append(got, string(sc.Unit)+"<"+string(sc.Street[6:]))
		}
		return got
	}
	for scope, want := range map[string]string{
		"own":          "150105-d01<001 150105-d01<002 150105-d01<003 150105-d02<001 150105-d02<002 150105-d02<003 150105-t01<001 150105001-a01<001 150105001-a01<002",
		"served":       "150105-t01<001 150105001-a01<002",
		"with_bureaus": "150100-b01<001 150100-b01<002 150100-b01<003 150105-d01<001 150105-d01<002 150105-d01<003 150105-d02<001 150105-d02<002 150105-d02<003 150105-t01<001 150105001-a01<001 150105001-a01<002",
	} {
		if got := strings.Join(pairs(scope), " "); got != want {
			t.Errorf("%s: got %s, want %s", scope, got, want)
		}
	}
	p.Evaluations = []Evaluation{evaluation(streetC, station, "90")}
	if r := compute(t, Default(), p, f); len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "outside rate.scope") {
		t.Errorf("an evaluation outside the scope is noted %v", r.Notes)
	}
}

func TestADepartmentMayIncludeItsAgencies(t *testing.T) {
	p := november()
	p.Evaluations = []Evaluation{evaluation(streetA, bureau, "90"), evaluation(streetA, station, "70")}
	for rollup, want := range map[string]string{"none": "90.00", "mean:25": "85.00", "mean:100": "70.00"} {
		if got := standing(t, compute(t, choosing("rollup", rollup), p, Facts{}), bureau).Printed[0]; got != want {
			t.Errorf("%s: got %s, want %s", rollup, got, want)
		}
	}
}

func TestCardsAndRatingsMayCount(t *testing.T) {
	p := november()
	p.Evaluations = []Evaluation{evaluation(streetA, bureau, "80")}
	f := Facts{Summonses: []Summons{summons(1, func(s *Summons) { s.Score = 6900 })}}
	for i := range 4 {
		f.Legs = append(f.Legs, leg(i, func(l *Leg) { l.Rating = 60 }))
		f.Demands = append(f.Demands, demand(i, func(d *Demand) { d.Callbacks[0].Grade = 3 }))
	}
	// Each order card 94, the whistle's 69: mean 89.
	sc := scoreOf(t, compute(t, choosing("obj.mode", "cards"), p, f), streetA, bureau)
	if got := sc.Objective.Print(2); got != "89.00" {
		t.Errorf("the mean of the cards is %s, want 89.00", got)
	}
	sc = scoreOf(t, compute(t, choosing("obj.mode", "cards", "subj.case_share", "0.5"), p, f), streetA, bureau)
	if got := sc.Subjective.Print(2); got != "70.00" {
		t.Errorf("half form, half ratings give %s, want 70.00", got)
	}
}

func TestAnOrderCardIsTheGolden(t *testing.T) {
	l := leg(1, lateLeg)
	c := l.Card(Callback{Resolved: true, Grade: 3})
	if p, ok := c.Points(); !ok || p.Print(2) != "64.00" {
		t.Errorf("signed, contacted, late, passed first, resolved, grade 3: got %s, want 64.00", p.Print(2))
	}
	quiet := leg(2, func(l *Leg) { l.NoContact = true })
	if p, _ := quiet.Card().Points(); p.Print(2) != "100.00" {
		t.Errorf("what nobody can know is scaled away: got %s, want 100.00", p.Print(2))
	}
	failed := leg(3, func(l *Leg) {
		l.Reports = append([]Report{{DoneAt: at("08 12:00"), At: at("08 12:00"), JudgedAt: at("08 13:00")}}, l.Reports...)
	})
	if p, _ := failed.Card(Callback{Grade: 1}, Callback{Resolved: true, Grade: 5}).Points(); p.Print(2) != "75.00" { // 10+20+30+0+7.5+7.5
		t.Errorf("one of two residents is content: got %s, want 75.00", p.Print(2))
	}
	if _, ok := (Card{}).Points(); ok {
		t.Error("an empty card has points")
	}
}

func TestThePartsOfAScoreSumToIt(t *testing.T) {
	s, p, f := three()
	for _, rounding := range []string{"once:2", "each_step:2"} {
		s.Choices[Rounding] = rounding
		for _, st := range compute(t, s, p, f).Standings {
			if st.Streets.Known && sumOf(st.Parts).Compare(st.Streets.Fraction) != 0 {
				t.Errorf("%s: the parts %v of %s do not sum to %s", rounding, st.Parts, st.Unit, st.Streets)
			}
		}
	}
}
