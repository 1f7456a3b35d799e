package assessment

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gridcase/domain/orgs"
)

// altered returns the default scheme with a change.
func altered(change func(*Scheme)) Scheme {
	s := Default()
	change(&s)
	return s
}

func TestTheDefaultSchemeMayBePublished(t *testing.T) {
	for _, f := range Validate(Default()) {
		t.Error(f)
	}
}

// weighing returns a scheme of one subject, whose parts can give so many points at most.
func weighing(k orgs.Kind, weight, bonus, other string) Scheme {
	return altered(func(s *Scheme) {
		s.Subjects, s.Other = []Subject{{Kind: k, Weight: points(weight)}}, points(other)
		if bonus != "0" {
			s.Bonuses = []Item{{Indicator: ReportIn, Points: points(bonus), Shape: Bonus, Each: points("1")}}
		}
	})
}

func TestTheStreetsWeightIsTheirShareOfTheAttainablePoints(t *testing.T) {
	sheet := func(weight, all string) Scheme {
		return altered(func(s *Scheme) {
			s.Subjects = []Subject{{Kind: orgs.Department, Weight: points(weight), Sheet: points(all)}}
		})
	}
	for _, c := range []struct {
		what   string
		scheme Scheme
		share  string
		passes bool
	}{
		{"a department at the floor", weighing(orgs.Department, "20", "0", "100"), "20.00", true},
		{"a department just below it", weighing(orgs.Department, "19.9999", "0", "100"), "20.00", false},
		{"a department just above it", weighing(orgs.Department, "20.0001", "0", "100"), "20.00", true},
		{"19.996 prints as the floor and is refused", weighing(orgs.Department, "19.996", "0", "100"), "20.00", false},
		{"an agency at the floor", weighing(orgs.Agency, "50", "0", "100"), "50.00", true},
		{"an agency just below it", weighing(orgs.Agency, "49.9999", "0", "100"), "50.00", false},
		{"an agency just above it", weighing(orgs.Agency, "50.0001", "0", "100"), "50.00", true},
		{"an agency with a department's weight", weighing(orgs.Agency, "20", "0", "100"), "20.00", false},
		{"20 of 110 points of a sheet", sheet("20", "110"), "18.18", false},
		{"22 of 110 points of a sheet", sheet("22", "110"), "20.00", true},
		{"a bonus of the other part dilutes", weighing(orgs.Department, "20", "0", "110"), "18.52", false},
		{"w just below 110/510", weighing(orgs.Department, "21.5686", "0", "110"), "20.00", false},
		{"w just above 110/510", weighing(orgs.Department, "21.5687", "0", "110"), "20.00", true},
		{"their own bonus does not buy the floor", weighing(orgs.Department, "20", "10", "100"), "19.61", false},
		{"a kind without a floor", weighing(orgs.Property, "1", "0", "100"), "1.00", true},
		{"no weight at all", weighing(orgs.Department, "0", "0", "100"), "0.00", false},
	} {
		if got := c.scheme.Weigh(c.scheme.Subjects[0]).Times(Of(100, 1)).Print(2); got != c.share {
			t.Errorf("%s: the share is %s, want %s", c.what, got, c.share)
		}
		fs := Validate(c.scheme)
		if passes := len(fs) == 0; passes != c.passes {
			t.Errorf("%s: got %v, want passes %v", c.what, fs, c.passes)
		}
		if !c.passes && (fs[0].Code != weightBelowFloor || !strings.Contains(fs[0].En, c.share) || !strings.Contains(fs[0].Zh, c.share)) {
			t.Errorf("%s: the refusal does not say the share %s: %+v", c.what, c.share, fs)
		}
	}
	// 110/510 itself is no decimal; as a fraction it is the floor exactly.
	at := Of(110, 510)
	if got := at.Times(Of(100, 1)).Over(at.Times(Of(100, 1)).Plus(Of(1, 1).Minus(at).Times(Of(110, 1)))); got.Compare(Of(1, 5)) != 0 {
		t.Errorf("w = 110/510 weighs %s, want 1/5", got)
	}
	exclusive := weighing(orgs.Department, "20", "0", "100")
	exclusive.Choices[FloorInclusive] = "no"
	if fs := Validate(exclusive); len(fs) != 1 || fs[0].Code != weightBelowFloor {
		t.Errorf("at a floor that is not included: %v", fs)
	}
	nominal := weighing(orgs.Department, "20", "10", "110")
	nominal.Choices[WeightMeaning] = "nominal"
	if fs := Validate(nominal); len(fs) != 0 {
		t.Errorf("a nominal weight of 20: %v", fs)
	}
}

func TestASchemeIsRefusedWithThePlaceOfTheFault(t *testing.T) {
	item := func(it Item) Scheme { return altered(func(s *Scheme) { s.Objective[0] = it }) }
	many := func() (ds []Item) {
		for range 51 {
			ds = append(ds, Item{Indicator: Rework, Points: points("3"), Shape: PerEvent, Each: points("1")})
		}
		return ds
	}
	for _, c := range []struct {
		what   string
		scheme Scheme
		place  string
	}{
		{"points that sum to 99", altered(func(s *Scheme) { s.Objective[0].Points = points("29") }), "objective"},
		{"points that sum to 100.0001", altered(func(s *Scheme) { s.Objective[0].Points++ }), "objective"},
		{"no objective items", altered(func(s *Scheme) { s.Objective = nil }), "objective"},
		{"a form that sums to 105", altered(func(s *Scheme) { s.Form[0].Points = points("25") }), "form"},
		{"an unknown indicator", item(Item{Indicator: "speed", Points: points("30"), Shape: Linear}), "objective[0].indicator"},
		{"an indicator twice", item(Item{Indicator: Satisfaction, Points: points("30"), Shape: Linear}), "objective[2].indicator"},
		{"minutes as a percentage", item(Item{Indicator: FirstContact, Points: points("30"), Shape: Linear}), "objective[0].indicator"},
		{"more rework for more points", item(Item{Indicator: Rework, Points: points("30"), Shape: Linear}), "objective[0].indicator"},
		{"negative points", item(Item{Indicator: OnTime, Points: points("-30"), Shape: Linear}), "objective[0].points"},
		{"a target on a linear item", item(Item{Indicator: OnTime, Points: points("30"), Shape: Linear, Target: points("90")}), "objective[0].target"},
		{"bands on a target", item(Item{Indicator: OnTime, Points: points("30"), Shape: Target, Target: points("90"), K: points("1"), Bands: []Band{{}}}), "objective[0].bands"},
		{"a target without k", item(Item{Indicator: OnTime, Points: points("30"), Shape: Target, Target: points("90")}), "objective[0].k"},
		{"a target above 100", item(Item{Indicator: OnTime, Points: points("30"), Shape: Target, Target: points("101"), K: points("1")}), "objective[0].target"},
		{"a floor above the points", item(Item{Indicator: OnTime, Points: points("30"), Shape: Target, Target: points("90"), K: points("1"), Floor: points("30.5")}), "objective[0].floor"},
		{"an unknown step", item(Item{Indicator: OnTime, Points: points("30"), Shape: Target, Target: points("90"), K: points("1"), Step: "halved"}), "objective[0].step"},
		{"bands that ascend", item(Item{Indicator: OnTime, Points: points("30"), Shape: Banded, Bands: []Band{{points("80"), points("5")}, {points("90"), points("8")}}}), "objective[0].bands[1].from"},
		{"bands that overlap", item(Item{Indicator: OnTime, Points: points("30"), Shape: Banded, Bands: []Band{{points("90"), points("8")}, {points("90"), points("5")}}}), "objective[0].bands[1].from"},
		{"a band above the points", item(Item{Indicator: OnTime, Points: points("30"), Shape: Banded, Bands: []Band{{points("90"), points("31")}}}), "objective[0].bands[0].points"},
		{"no bands", item(Item{Indicator: OnTime, Points: points("30"), Shape: Banded}), "objective[0].bands"},
		{"a deduction as an item", item(Item{Indicator: OnTime, Points: points("30"), Shape: PerEvent, Each: points("1")}), "objective[0].shape"},
		{"an unknown shape", item(Item{Indicator: OnTime, Points: points("30"), Shape: "curved"}), "objective[0].shape"},
		{"a linear deduction", altered(func(s *Scheme) { s.Deductions = []Item{{Indicator: Rework, Points: points("3"), Shape: Linear}} }), "deductions[0].shape"},
		{"a deduction of nothing", altered(func(s *Scheme) { s.Deductions = []Item{{Indicator: Rework, Points: points("3"), Shape: PerEvent}} }), "deductions[0].each"},
		{"then without from", altered(func(s *Scheme) {
			s.Deductions = []Item{{Indicator: Rework, Points: points("3"), Shape: PerEvent, Each: points("1"), Then: points("2")}}
		}), "deductions[0].from"},
		{"a negative amount", altered(func(s *Scheme) {
			s.Deductions = []Item{{Indicator: Rework, Points: points("3"), Shape: PerEvent, Each: points("-1")}}
		}), "deductions[0].each"},
		{"a negative start", altered(func(s *Scheme) {
			s.Deductions = []Item{{Indicator: Rework, Points: points("3"), Shape: PerEvent, Each: points("1"), From: -1}}
		}), "deductions[0].from"},
		{"too many deductions", altered(func(s *Scheme) { s.Deductions = many() }), "deductions"},
		{"no subject", altered(func(s *Scheme) { s.Subjects = nil }), "subjects"},
		{"an unknown kind", altered(func(s *Scheme) { s.Subjects[0].Kind = "ministry" }), "subjects[0].kind"},
		{"a kind twice", altered(func(s *Scheme) { s.Subjects[1] = s.Subjects[0] }), "subjects[1].kind"},
		{"a weight above 100", altered(func(s *Scheme) { s.Subjects[0].Weight = points("101") }), "subjects[0].weight"},
		{"more points than the sheet has", altered(func(s *Scheme) { s.Subjects[0].Weight, s.Subjects[0].Sheet = points("60"), points("50") }), "subjects[0].weight"},
		{"raters that are no streets", altered(func(s *Scheme) { s.Raters = orgs.District }), "raters"},
		{"an unknown cycle", altered(func(s *Scheme) { s.Every = "week" }), "every"},
		{"a form item twice", altered(func(s *Scheme) { s.Form[1] = s.Form[0] }), "form[1].code"},
		{"a code of the form in capitals", altered(func(s *Scheme) { s.Form[0].Code = "Service" }), "form[0].code"},
		{"quarter points", altered(func(s *Scheme) { s.Form[0].Points, s.Form[1].Points = points("20.25"), points("19.75") }), "form[0].points"},
		{"a share above 100", altered(func(s *Scheme) { s.Share = points("100.5") }), "share"},
		{"a negative share", altered(func(s *Scheme) { s.Share = points("-1") }), "share"},
		{"another part that gives nothing", altered(func(s *Scheme) { s.Other = 0 }), "other"},
		{"an unknown reason", altered(func(s *Scheme) { s.Reasons = []Reason{"weather"} }), "reasons[0]"},
		{"a reason twice", altered(func(s *Scheme) { s.Reasons = append(s.Reasons, Duplicate) }), "reasons[7]"},
		{"a choice without a value", altered(func(s *Scheme) { delete(s.Choices, Rounding) }), "choices.rounding"},
		{"an unknown value", altered(func(s *Scheme) { s.Choices[Aggregate] = "best" }), "choices.aggregate"},
		{"an unknown choice", altered(func(s *Scheme) { s.Choices["colour"] = "red" }), "choices.colour"},
		{"no legal basis", altered(func(s *Scheme) { s.Basis = " " }), "basis"},
		{"a name without end", altered(func(s *Scheme) { s.Name = strings.Repeat("长", 501) }), "name"},
	} {
		fs := Validate(c.scheme)
		found := false
		for _, f := range fs {
			found = found || f.Place == c.place
			if f.Zh == "" || f.En == "" || f.Code == "" {
				t.Errorf("%s: a fault without words: %+v", c.what, f)
			}
		}
		if !found {
			t.Errorf("%s: got %v, want a fault at %s", c.what, fs, c.place)
		}
	}
}

func TestEveryMissingChoiceIsNamed(t *testing.T) {
	for _, c := range Choices() {
		s := Default()
		delete(s.Choices, c.Name)
		if fs := Validate(s); len(fs) != 1 || fs[0].Place != "choices."+string(c.Name) {
			t.Errorf("without %s: %v", c.Name, fs)
		}
	}
}

// vector is the hash of the default scheme; it changes only when the scheme's JSON or its defaults do, and sealed periods name it.
const vector = "86e666061c46988ae75d42f69f9451815e7ba11504d6005303ee9804070afa95"

func TestASchemeIsKnownByItsHash(t *testing.T) {
	h, err := Hash(Default())
	if err != nil || h != vector {
		t.Errorf("the default scheme has the hash %s (%v), want %s", h, err, vector)
	}
	b, err := Canonical(Default())
	if err != nil {
		t.Fatal(err)
	}
	var back Scheme
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if again, err := Hash(back); err != nil || again != h {
		t.Errorf("read back it has the hash %s (%v), want %s", again, err, h)
	}
	for i, change := range []func(*Scheme){
		func(s *Scheme) { s.Name += "。" },
		func(s *Scheme) { s.Choices[Aggregate] = "orders" },
		func(s *Scheme) { s.Share++ },
		func(s *Scheme) { s.Form[0].Name = "服务" },
		func(s *Scheme) { s.Subjects[0].Sheet = Whole(100) },
	} {
		if other, err := Hash(altered(change)); err != nil || other == h {
			t.Errorf("change %d leaves the hash as it was (%v)", i, err)
		}
	}
}

func TestAnEvaluationFitsItsForm(t *testing.T) {
	s := Default()
	given := func(ps ...string) (gs []Given) {
		for i, p := range ps {
			gs = append(gs, Given{s.Form[i].Code, points(p)})
		}
		return gs
	}
	for _, c := range []struct {
		given   []Given
		comment string
		places  string
	}{
		{given("18", "18.5", "25", "24.5"), "", "[]"},
		{given("20", "20", "30", "25"), "", "[]"},
		{given("20", "20", "30", "25.5"), "", "[comment]"},
		{given("20", "20", "30", "30"), "样样到位", "[]"},
		{given("10", "10", "20", "20"), "", "[]"},
		{given("10", "10", "20", "19.5"), " ", "[comment]"},
		{given("20.5", "18", "25", "24"), "", "[items[0].points]"},
		{given("-1", "18", "25", "24"), "", "[items[0].points]"},
		{given("18.25", "18", "25", "24"), "", "[items[0].points]"},
		{given("18", "18", "25"), "", "[items]"},
		{append(given("18", "18", "25"), Given{"duty", points("20")}), "", "[items[3].code]"},
	} {
		got := []string{}
		for _, f := range s.Check(c.given, c.comment) {
			got = append(got, f.Place)
		}
		if fmt.Sprint(got) != c.places {
			t.Errorf("%v with %q: faults at %v, want %s", c.given, c.comment, got, c.places)
		}
	}
}
