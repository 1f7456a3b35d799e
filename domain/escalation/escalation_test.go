package escalation

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
)

// of is a ladder of some levels.
func of(ls ...orgs.Level) LevelMap {
	var m LevelMap
	for _, l := range ls {
		m = append(m, Level{l, "级", "level"})
	}
	return m
}

func TestClimbingALadder(t *testing.T) {
	for _, c := range []struct {
		name           string
		ladder         LevelMap
		from           orgs.Level
		above, atLeast orgs.Level
	}{
		{"the next level", of(1, 2, 3, 4, 5), 2, 3, 2},
		{"below the first", of(2, 3), 0, 2, 2},
		{"a level that is left out", of(1, 4, 5), 2, 4, 4},
		{"from one that is there to one beyond a gap", of(1, 4, 5), 1, 4, 1},
		{"at the top", of(1, 2, 3), 3, 3, 3},
		{"beyond the top", of(1, 2, 3), 4, 4, 3},
		{"a ladder of one", of(4), 1, 4, 4},
	} {
		if got := c.ladder.Above(c.from); got != c.above {
			t.Errorf("%s: above %d: got %d, want %d", c.name, c.from, got, c.above)
		}
		if got := c.ladder.AtLeast(c.from); got != c.atLeast {
			t.Errorf("%s: at least %d: got %d, want %d", c.name, c.from, got, c.atLeast)
		}
		top := c.ladder[len(c.ladder)-1].Level
		if c.ladder.Top() != top || c.ladder.Above(top) != top {
			t.Errorf("%s: got top %d and %d above it, want %d and nothing", c.name, c.ladder.Top(), c.ladder.Above(top), top)
		}
	}
	if l, named := Default().Levels.Named(3); !named || l.Zh != "街道" || l.En != "street" {
		t.Errorf("level 3: got %+v, %v; want 街道, street", l, named)
	}
	if _, named := of(1, 4).Named(3); named {
		t.Error("a level that is left out has a name")
	}
}

func TestADistrictMayHaveALadderOfItsOwn(t *testing.T) {
	units := new(orgs.Tree).With(
		orgs.UnitOpened{Code: "150100", Kind: orgs.City},
		orgs.UnitOpened{Code: "150105", Kind: orgs.District, Parent: "150100"},
		orgs.UnitOpened{Code: "150105003", Kind: orgs.Street, Parent: "150105"},
		orgs.UnitOpened{Code: "150105003-a01", Kind: orgs.Agency, Parent: "150105003"},
		orgs.UnitOpened{Code: "150102", Kind: orgs.District, Parent: "150100"},
	)
	p := Default()
	p.Districts = []DistrictLevels{{"150105", of(1, 3, 4)}}
	for unit, want := range map[orgs.UnitCode]LevelMap{
		"150105": p.Districts[0].Levels, "150105003": p.Districts[0].Levels, "150105003-a01": p.Districts[0].Levels,
		"150102": p.Levels, "150100": p.Levels, "nobody": p.Levels,
	} {
		if got := p.Ladder(units, unit); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", unit, got, want)
		}
	}
	var none *Policy
	if got := none.Ladder(units, "150105003"); !reflect.DeepEqual(got, Default().Levels) {
		t.Errorf("no policy: got %v, want the default's", got)
	}
	if none.OrDefault().Reworks != 3 || p.OrDefault() != p {
		t.Error("no policy is not the default, or a policy is not itself")
	}
}

func TestHowLongAMatterStaysAtALevel(t *testing.T) {
	var none *Policy
	for urgency, want := range map[string]string{"A": "1 natural_hours", "B": "12 natural_hours", "C": "2 working_days", "D": "2 working_days", "": "2 working_days"} {
		if got := none.Step(urgency).String(); got != want {
			t.Errorf("urgency %q: got %s, want %s", urgency, got, want)
		}
	}
}

// TestValidate changes one thing of a good policy at a time.
func TestValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatalf("the default: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*Policy)
		want   string
	}{
		"no name":                   {func(p *Policy) { p.Name = "" }, "no name"},
		"no version":                {func(p *Policy) { p.Version = 0 }, "version 0"},
		"an urgency left out":       {func(p *Policy) { p.Steps = p.Steps[1:] }, "0 rows for urgency A"},
		"an urgency twice":          {func(p *Policy) { p.Steps = append(p.Steps, p.Steps[0]) }, "2 rows for urgency A"},
		"an urgency that is none":   {func(p *Policy) { p.Steps = append(p.Steps, Step{"AB", p.Steps[0].Amount}) }, `"AB" is no urgency`},
		"no urgency":                {func(p *Policy) { p.Steps = append(p.Steps, Step{"", p.Steps[0].Amount}) }, `"" is no urgency`},
		"a step of no length":       {func(p *Policy) { p.Steps[0].Amount.N = 0 }, "urgency A: 0 natural_hours is no amount"},
		"a step of no kind":         {func(p *Policy) { p.Steps[1].Amount.Kind = "moons" }, "urgency B"},
		"a threshold of nothing":    {func(p *Policy) { p.Reworks = 0 }, "reworks: 0"},
		"returns":                   {func(p *Policy) { p.Bounces = -1 }, "bounces: -1"},
		"urgings":                   {func(p *Policy) { p.Urgings = 0 }, "urgings: 0"},
		"a window":                  {func(p *Policy) { p.UrgingWindow = 0 }, "urging_window: 0"},
		"unsatisfied":               {func(p *Policy) { p.Unsatisfied = 0 }, "unsatisfied: 0"},
		"suspensions":               {func(p *Policy) { p.Suspensions = 0 }, "suspensions: 0"},
		"a threshold out of reach":  {func(p *Policy) { p.SuspendedDays = 1001 }, "suspended_days: 1001"},
		"a cap below the ladder":    {func(p *Policy) { p.SignCap = 0 }, "sign_cap: 0"},
		"a cap above it":            {func(p *Policy) { p.UrgentSignCap = 6 }, "urgent_sign_cap: 6"},
		"a level for problems":      {func(p *Policy) { p.Problem = 9 }, "problem_level: 9"},
		"no ladder":                 {func(p *Policy) { p.Levels = nil }, "levels: no level"},
		"a ladder upside down":      {func(p *Policy) { p.Levels[0].Level, p.Levels[1].Level = 2, 1 }, "ascending"},
		"a level twice":             {func(p *Policy) { p.Levels[1].Level = 1 }, "ascending"},
		"a level of a province":     {func(p *Policy) { p.Levels[4].Level = 6 }, "levels: 6"},
		"a level without a name":    {func(p *Policy) { p.Levels[2].Zh = "" }, "level 3 has no name in both languages"},
		"a level without English":   {func(p *Policy) { p.Levels[2].En = "" }, "level 3 has no name in both languages"},
		"a district that is none":   {func(p *Policy) { p.Districts = []DistrictLevels{{"", of(1)}} }, `"" is no code`},
		"a district twice":          {func(p *Policy) { p.Districts = []DistrictLevels{{"150105", of(1)}, {"150105", of(2)}} }, "150105 is named twice"},
		"a district without ladder": {func(p *Policy) { p.Districts = []DistrictLevels{{"150105", nil}} }, "levels of 150105: no level"},
	} {
		p := Default()
		c.change(p)
		err := p.Validate()
		if !errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to say %q", name, err, c.want)
		}
	}
	all := &Policy{}
	if n := strings.Count(all.Validate().Error(), "\n") + 1; n < 15 {
		t.Errorf("an empty policy: got %d faults, want all of them at once", n)
	}
}

func TestAPolicyIsReadBackAsItWasWritten(t *testing.T) {
	p := Default()
	p.Districts = []DistrictLevels{{"150105", of(1, 3, 5)}}
	p.Steps[0].Amount = calendar.Amount{N: 90, Kind: calendar.NaturalMinutes}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var got Policy
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(&got, p) {
		t.Errorf("got %+v, %v; want %+v", got, err, *p)
	}
}

func TestTheCallerMayChangeTheDefault(t *testing.T) {
	p := Default()
	p.Levels[0].Zh, p.Steps[0].Amount.N, p.Reworks = "楼栋", 9, 9
	if q := Default(); q.Levels[0].Zh != "网格" || q.Steps[0].Amount.N != 1 || q.Reworks != 3 {
		t.Errorf("got %+v, want it untouched by who changed an earlier one", q)
	}
}
