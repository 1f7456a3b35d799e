package scheme

import (
	"fmt"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/stream"
)

// The town of these tests.
const (
	city       orgs.UnitCode = "150100"
	district   orgs.UnitCode = "150105"
	elsewhere  orgs.UnitCode = "150102"
	department orgs.UnitCode = "150105-d03"
	oversight  orgs.UnitCode = "150105-oversight"
	street     orgs.UnitCode = "150105003"
	closed     orgs.UnitCode = "150103"
)

func town() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: city, Kind: orgs.City},
		orgs.UnitOpened{Code: district, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: elsewhere, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: closed, Kind: orgs.District, Parent: city},
		orgs.UnitClosed{Code: closed},
		orgs.UnitOpened{Code: department, Kind: orgs.Department, Parent: district},
		orgs.UnitOpened{Code: oversight, Kind: orgs.Oversight, Parent: district},
		orgs.UnitOpened{Code: street, Kind: orgs.Street, Parent: district},
	)
}

func evaluator(u orgs.UnitCode, n int) rule.Actor {
	return rule.Actor{ID: fmt.Sprintf("k-%s-%d", u, n), Role: orgs.Evaluator, Unit: u}
}

var (
	ann = evaluator(district, 1)
	ben = evaluator(oversight, 2)

	self    = stream.Derive("scheme", "this")
	first   = stream.Derive("scheme", "first")
	draft   = stream.Derive("scheme", "draft")
	foreign = stream.Derive("scheme", "foreign")
	morning = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	known   = rule.Facts{Schemes: []rule.SchemeFact{
		{ID: first, Phase: "published", Unit: district, Version: 3}, {ID: draft, Phase: "draft", Unit: district},
		{ID: foreign, Phase: "published", Unit: elsewhere, Version: 1},
	}}
)

type (
	step  = ruletest.Step[Command]
	story = ruletest.Story[Phase, State, Command, Event]
)

// by makes a step. The circumstances follow: other facts, a second person.
func by(a rule.Actor, c Command, circumstances ...any) step {
	return ruletest.By(a, c, append([]any{known}, circumstances...)...)
}

func begin() *story {
	return &story{Stream: stream.Of(stream.Scheme, self), State: State{ID: self}, Now: morning, Units: town(),
		Decide: Decide, Evolve: Evolve, Phase: func(s State) Phase { return s.Phase }}
}

// given tells a story whose every step decides something.
func given(t ruletest.Test, steps ...step) *story { t.Helper(); return begin().Given(t, steps...) }

// when appends steps to a beginning.
func when(beginning []step, steps ...step) []step { return ruletest.When(beginning, steps...) }

// altered returns the default scheme with a change.
func altered(change func(*assessment.Scheme)) assessment.Scheme {
	s := assessment.Default()
	change(&s)
	return s
}

// named is the default scheme under another name.
func named(name string) assessment.Scheme {
	return altered(func(s *assessment.Scheme) { s.Name = name })
}

// The commands as they succeed, and the beginnings they make.
var (
	write   = Draft{Scheme: named("2026")}
	amend   = Amend{Scheme: named("2026 改")}
	publish = Publish{}
	discard = Discard{Reason: "重写"}
	retire  = Retire{Reason: "新方案"}

	isDraft     = []step{by(ann, write)}
	isPublished = when(isDraft, by(ann, publish, ben))
	isDiscarded = when(isDraft, by(ann, discard))
	isRetired   = when(isPublished, by(ann, retire))
)

// reach leads to every state.
var reach = map[Phase][]step{"": nil, PhaseDraft: isDraft, PhasePublished: isPublished, PhaseDiscarded: isDiscarded, PhaseRetired: isRetired}

// commands are all of them, as they succeed where they can.
var commands = []Command{write, amend, publish, discard, retire}
