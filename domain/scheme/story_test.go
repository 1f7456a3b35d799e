package scheme

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
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

// step is one command of somebody, in its circumstances.
type step struct {
	command Command
	at      rule.At
}

// by makes a step. The circumstances follow: facts, a second person.
func by(a rule.Actor, c Command, circumstances ...any) step {
	s := step{command: c}
	s.at.Actor, s.at.Facts = a, known
	for _, x := range circumstances {
		switch x := x.(type) {
		case rule.Facts:
			s.at.Facts = x
		case rule.Actor:
			s.at.Second = &x
		default:
			panic(fmt.Sprintf("no circumstance: %T", x))
		}
	}
	return s
}

type entry struct {
	event Event
	stamp rule.Stamp
}

// story is a scheme's stream as it is written, and where it stands.
type story struct {
	state   State
	history []entry
	now     time.Time
}

func begin() *story { return &story{state: State{ID: self}, now: morning} }

// meet completes the circumstances of a step and moves the clock.
func (st *story) meet(s step) rule.At {
	st.now = st.now.Add(time.Minute)
	at := s.at
	at.Recorded, at.Occurred, at.Units = st.now, st.now, town()
	return at
}

// does takes a step and appends what it decides.
func (st *story) does(s step) ([]Event, error) {
	at := st.meet(s)
	es, err := Decide(st.state, s.command, at)
	for _, e := range es {
		st.history = append(st.history, entry{e, at.Stamp})
		st.state = Evolve(st.state, e, at.Stamp)
	}
	return es, err
}

// given tells a story whose every step is accepted.
func given(t testing.TB, steps ...step) *story {
	t.Helper()
	st := begin()
	for i, s := range steps {
		if es, err := st.does(s); err != nil || len(es) == 0 {
			t.Fatalf("given: step %d, %s in %q: got %v, %v", i+1, s.command.Name(), st.state.Phase, es, err)
		}
	}
	return st
}

// when appends steps to a beginning.
func when(beginning []step, steps ...step) []step { return append(slices.Clip(beginning), steps...) }

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
