package assessment

import (
	"maps"
	"slices"
	"testing"
)

func TestEveryChoiceHasADefaultAndAnotherAnswer(t *testing.T) {
	seen := map[Name]bool{}
	for _, c := range Choices() {
		if seen[c.Name] {
			t.Errorf("%s is listed twice", c.Name)
		}
		seen[c.Name] = true
		if c.Zh == "" || c.En == "" {
			t.Errorf("%s has no question", c.Name)
		}
		if _, _, ok := c.answered(c.Default); !ok {
			t.Errorf("%s: the default %q is none of %s", c.Name, c.Default, c.forms())
		}
		if len(c.Answers) < 2 && !c.Answers[0].numbered() {
			t.Errorf("%s is no choice", c.Name)
		}
		for _, a := range c.Answers {
			if a.Zh == "" || a.En == "" {
				t.Errorf("%s: %s has no meaning", c.Name, a)
			}
		}
	}
	if len(seen) != 34 {
		t.Errorf("got %d choices, the rule book names 34 of a scheme", len(seen))
	}
}

func TestAnAnswerIsReadStrictly(t *testing.T) {
	for _, c := range []struct {
		name  Name
		value string
		ok    bool
	}{
		{Aggregate, "orders", true}, {Aggregate, "Orders", false}, {Aggregate, "orders:1", false}, {Aggregate, "", false},
		{MinSample, "0", true}, {MinSample, "12", true}, {MinSample, "2.5", false}, {MinSample, "-1", false}, {MinSample, "10001", false}, {MinSample, "05", false},
		{FrozenCap, "flag:10", true}, {FrozenCap, "overdue:2.5", true}, {FrozenCap, "flag", false}, {FrozenCap, "10", false}, {FrozenCap, "flag:101", false},
		{SubjCaseShare, "0.3", true}, {SubjCaseShare, "0.30", false}, {SubjCaseShare, "1.1", false},
		{SatisfactionMap, "1,1,0.6,0,0", true}, {SatisfactionMap, "1,1,0.5,0,0", false},
	} {
		values := Defaults()
		values[c.name] = c.value
		if _, err := read(values); (err == nil) != c.ok {
			t.Errorf("%s = %q: %v", c.name, c.value, err)
		}
	}
	values := Defaults()
	delete(values, RankOn)
	if _, err := read(values); err == nil {
		t.Error("a choice without a value is taken")
	}
	values = Defaults()
	values["rank.by"] = "printed"
	if _, err := read(values); err == nil {
		t.Error("an unknown choice is taken")
	}
	if !slices.Equal(slices.Sorted(maps.Keys(Defaults())), slices.Sorted(maps.Keys(Default().Choices))) {
		t.Error("the default scheme leaves a choice open")
	}
}
