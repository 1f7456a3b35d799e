// Package escalation holds what lifts a matter's attention (升级): the five levels a district has, and the
// thresholds of rules E1–E8. It decides nothing: the machines ask it when a condition of theirs is met.
//
// Attention moves; the lead unit and its clocks do not. A level is named by its number, for ever, and by a
// word that each district chooses.
package escalation

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
)

// Level is one step of the ladder as a district has it.
type Level struct {
	Level orgs.Level `json:"level"` // 1 grid, 2 community, 3 street, 4 district, 5 city
	Zh    string     `json:"zh"`
	En    string     `json:"en"`
}

// LevelMap is the ladder of a district, ascending. It may leave levels out; attention that reached its last one
// stays there. A map that passed [Policy.Validate] is not empty.
type LevelMap []Level

// Top returns the last level of the map.
func (m LevelMap) Top() orgs.Level { return m[len(m)-1].Level }

// Above returns the next level of the map above l, or l itself if there is none.
func (m LevelMap) Above(l orgs.Level) orgs.Level {
	for _, x := range m {
		if x.Level > l {
			return x.Level
		}
	}
	return l
}

// AtLeast returns the first level of the map that is l or higher, or the last of the map.
func (m LevelMap) AtLeast(l orgs.Level) orgs.Level {
	for _, x := range m {
		if x.Level >= l {
			return x.Level
		}
	}
	return m.Top()
}

// Named returns the level as the map calls it, false if the map leaves it out.
func (m LevelMap) Named(l orgs.Level) (Level, bool) {
	i := slices.IndexFunc(m, func(x Level) bool { return x.Level == l })
	if i < 0 {
		return Level{}, false
	}
	return m[i], true
}

// DistrictLevels is the ladder of one district that has its own.
type DistrictLevels struct {
	District orgs.UnitCode `json:"district"`
	Levels   LevelMap      `json:"levels"`
}

// Step is how long a matter of one urgency stays at a level before rule E2 lifts it again.
type Step struct {
	Urgency string          `json:"urgency"` // A–D
	Amount  calendar.Amount `json:"amount"`
}

// Policy holds every threshold of rules E1–E8. It is named and versioned; an escalation is decided with the
// policy in force at that moment and records what was counted, so a later policy changes nothing that happened.
type Policy struct {
	Name          string           `json:"name"`
	Version       int              `json:"version"` // ≥ 1
	Steps         []Step           `json:"steps"`   // E2, one for each urgency
	Reworks       int              `json:"reworks"` // E3: failed verifications, reworks and reopenings together
	Bounces       int              `json:"bounces"` // E3: units that asked to return the order
	SignCap       orgs.Level       `json:"sign_cap"`
	UrgentSignCap orgs.Level       `json:"urgent_sign_cap"` // E4, urgency A
	Urgings       int              `json:"urgings"`         // E6, within UrgingWindow
	UrgingWindow  int              `json:"urging_window"`   // natural days
	Unsatisfied   int              `json:"unsatisfied"`     // E7: callbacks with grade 2 or less
	Suspensions   int              `json:"suspensions"`     // E8
	SuspendedDays int              `json:"suspended_days"`  // E8, natural days together
	Problem       orgs.Level       `json:"problem_level"`   // E3, E7, E8: at least this level
	Levels        LevelMap         `json:"levels"`
	Districts     []DistrictLevels `json:"districts,omitempty"`
}

// Default returns the policy "escalation" version 1. The caller may change what it gets and publish that.
func Default() *Policy {
	return &Policy{Name: "escalation", Version: 1,
		Steps: []Step{{"A", calendar.Amount{N: 1, Kind: calendar.NaturalHours}}, {"B", calendar.Amount{N: 12, Kind: calendar.NaturalHours}},
			{"C", calendar.Amount{N: 2, Kind: calendar.WorkingDays}}, {"D", calendar.Amount{N: 2, Kind: calendar.WorkingDays}}},
		Reworks: 3, Bounces: 3, SignCap: 3, UrgentSignCap: 4, Urgings: 3, UrgingWindow: 7, Unsatisfied: 2,
		Suspensions: 3, SuspendedDays: 90, Problem: 4,
		Levels: LevelMap{{1, "网格", "grid"}, {2, "社区", "community"}, {3, "街道", "street"}, {4, "区县", "district"}, {5, "市", "city"}}}
}

// Ladder returns the levels of the district that a unit lies in. A nil policy answers as [Default] does.
func (p *Policy) Ladder(units *orgs.Tree, unit orgs.UnitCode) LevelMap {
	p = p.OrDefault()
	if len(p.Districts) > 0 {
		if d, ok := units.Ancestor(unit, orgs.District); ok {
			if i := slices.IndexFunc(p.Districts, func(x DistrictLevels) bool { return x.District == d }); i >= 0 {
				return p.Districts[i].Levels
			}
		}
	}
	return p.Levels
}

// Step returns after how long rule E2 lifts a matter again. An urgency without a row gets that of D.
func (p *Policy) Step(urgency string) calendar.Amount {
	p = p.OrDefault()
	for _, u := range []string{urgency, "D"} {
		if i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Urgency == u }); i >= 0 {
			return p.Steps[i].Amount
		}
	}
	return p.Steps[len(p.Steps)-1].Amount
}

// OrDefault returns the policy itself, or [Default] for nil: what a machine compares its counters with.
func (p *Policy) OrDefault() *Policy {
	if p == nil {
		return Default()
	}
	return p
}

// ErrPolicy: the policy cannot be put in force.
var ErrPolicy = errors.New("bad escalation policy")

// Validate returns [ErrPolicy] with every fault found, in a fixed order.
func (p *Policy) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if p.Name == "" {
		fault("no name")
	}
	if p.Version < 1 {
		fault("version %d: want 1 or more", p.Version)
	}
	for _, u := range []string{"A", "B", "C", "D"} {
		n := 0
		for _, s := range p.Steps {
			if s.Urgency == u {
				n++
			}
		}
		if n != 1 {
			fault("steps: %d rows for urgency %s, want one", n, u)
		}
	}
	for _, s := range p.Steps {
		if len(s.Urgency) != 1 || !strings.Contains("ABCD", s.Urgency) {
			fault("steps: %q is no urgency", s.Urgency)
		}
		var read calendar.Amount
		if text, err := s.Amount.MarshalText(); err != nil || read.UnmarshalText(text) != nil || read.N < 1 {
			fault("steps: urgency %s: %s is no amount", s.Urgency, s.Amount)
		}
	}
	for _, c := range []struct {
		name string
		n    int
	}{{"reworks", p.Reworks}, {"bounces", p.Bounces}, {"urgings", p.Urgings}, {"urging_window", p.UrgingWindow},
		{"unsatisfied", p.Unsatisfied}, {"suspensions", p.Suspensions}, {"suspended_days", p.SuspendedDays}} {
		if c.n < 1 || c.n > 1000 {
			fault("%s: %d: want 1 to 1000", c.name, c.n)
		}
	}
	for _, c := range []struct {
		name string
		l    orgs.Level
	}{{"sign_cap", p.SignCap}, {"urgent_sign_cap", p.UrgentSignCap}, {"problem_level", p.Problem}} {
		if c.l < 1 || c.l > 5 {
			fault("%s: %d: want 1 to 5", c.name, c.l)
		}
	}
	checkLevels("levels", p.Levels, fault)
	for i, d := range p.Districts {
		if !d.District.Valid() {
			fault("districts: %q is no code of a district", d.District)
		}
		if slices.ContainsFunc(p.Districts[:i], func(x DistrictLevels) bool { return x.District == d.District }) {
			fault("districts: %s is named twice", d.District)
		}
		checkLevels("levels of "+string(d.District), d.Levels, fault)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrPolicy, errors.Join(faults...))
	}
	return nil
}

func checkLevels(name string, m LevelMap, fault func(string, ...any)) {
	if len(m) == 0 {
		fault("%s: no level", name)
	}
	last := orgs.Level(0)
	for _, l := range m {
		if l.Level <= last || l.Level > 5 {
			fault("%s: %d: want levels 1 to 5, ascending", name, l.Level)
		}
		if l.Zh == "" || l.En == "" {
			fault("%s: level %d has no name in both languages", name, l.Level)
		}
		last = l.Level
	}
}
