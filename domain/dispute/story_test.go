package dispute

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// The town of these tests: a community with two grids in a street in a district, each with its centre, and
// neighbours of every one of them.
const (
	city           orgs.UnitCode = "150100"
	cityCentre     orgs.UnitCode = "150100-c01"
	district       orgs.UnitCode = "150105"
	nextDistrict   orgs.UnitCode = "150102"
	districtCentre orgs.UnitCode = "150105-c01"
	street         orgs.UnitCode = "150105003"
	nextStreet     orgs.UnitCode = "150105004"
	streetCentre   orgs.UnitCode = "150105003-c01"
	agency         orgs.UnitCode = "150105003-a01"
	department     orgs.UnitCode = "150105-d03"
	home           orgs.UnitCode = "150105003001" // where the matter lies
	homeCentre     orgs.UnitCode = "150105003001-c01"
	property       orgs.UnitCode = "150105003001-p01"
	neighbour      orgs.UnitCode = "150105003002"
	grid           orgs.UnitCode = "150105003001001"
	nextGrid       orgs.UnitCode = "150105003001002"
	farGrid        orgs.UnitCode = "150105003002001"
)

func town() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: city, Kind: orgs.City},
		orgs.UnitOpened{Code: cityCentre, Kind: orgs.Centre, Parent: city},
		orgs.UnitOpened{Code: district, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: nextDistrict, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: districtCentre, Kind: orgs.Centre, Parent: district},
		orgs.UnitOpened{Code: department, Kind: orgs.Department, Parent: district},
		orgs.UnitOpened{Code: street, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: nextStreet, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: streetCentre, Kind: orgs.Centre, Parent: street},
		orgs.UnitOpened{Code: agency, Kind: orgs.Agency, Parent: street, Department: department},
		orgs.UnitOpened{Code: home, Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: homeCentre, Kind: orgs.Centre, Parent: home},
		orgs.UnitOpened{Code: property, Kind: orgs.Property, Parent: home},
		orgs.UnitOpened{Code: neighbour, Kind: orgs.Community, Parent: street},
		orgs.GridDrawn{Grid: orgs.GridCode(grid)},
		orgs.GridDrawn{Grid: orgs.GridCode(nextGrid)},
		orgs.GridDrawn{Grid: orgs.GridCode(farGrid)},
	)
}

// mediatorOf is the mediator of a unit.
func mediatorOf(u orgs.UnitCode) rule.Actor {
	return rule.Actor{ID: "k-mediator-" + string(u), Role: orgs.Mediator, Unit: u}
}

// The people, and the two that are none.
var (
	party    = rule.Actor{ID: "k-party", Role: orgs.Resident}
	stranger = rule.Actor{ID: "k-stranger", Role: orgs.Resident}
	biased   = rule.Actor{ID: "k-biased", Role: orgs.Mediator, Unit: home} // a party who works as a mediator
	manager  = rule.Actor{ID: "pm", Role: orgs.System}
	clock    = rule.Actor{ID: "clock", Role: orgs.System}
	arbiter  = rule.Actor{ID: "k-arbiter", Role: orgs.Arbiter, Unit: district}

	// atRung is a mediator who may act at each rung.
	atRung = map[Rung]rule.Actor{Grid: mediatorOf(grid), Community: mediatorOf(home), Street: mediatorOf(street), District: mediatorOf(district)}
)

// What other streams say, and what is handed in.
var (
	self     = stream.Derive("dispute", "fence")
	demandID = stream.DemandFor("counter", "fence")
	fence    = rule.Facts{Demands: []rule.DemandFact{{ID: demandID, Phase: "in_handling", Kind: "dispute", Unit: home, Live: true}}}
	signed   = strings.Repeat("5e", 32)
	names    = []Party{{Actor: party.ID, Name: sealed.Clear("张三")}, {Actor: biased.ID}, {Name: sealed.Clear("李四")}}
	summer   = calendar.DateOf(morning) + 90
)

// morning is Monday 2026-03-02 09:00 in the city: four weeks without a holiday follow.
var morning = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// step is one command of somebody, in its circumstances.
type step struct {
	command Command
	at      rule.At
	after   time.Duration // since the step before; a minute if zero
	ahead   time.Duration // how far in the future it is said to have happened
}

// by makes a step. The circumstances follow: facts, the time that has passed, a policy, rules in whole.
func by(a rule.Actor, c Command, circumstances ...any) step {
	s := step{command: c, after: time.Minute}
	s.at.Actor, s.at.Facts = a, fence
	for _, x := range circumstances {
		switch x := x.(type) {
		case rule.Facts:
			s.at.Facts = x
		case time.Duration:
			s.after = x
		case calendar.Rules:
			s.at.Clocks = x
		case future:
			s.ahead = time.Duration(x)
		default:
			panic(fmt.Sprintf("no circumstance: %T", x))
		}
	}
	return s
}

// future says how long after it was recorded something is said to have happened.
type future time.Duration

// entry is an event of a stream with its stamp.
type entry struct {
	event Event
	stamp rule.Stamp
}

// story is a dispute's stream as it is written, and where it stands.
type story struct {
	state   State
	history []entry
	states  []State // after each event of history
	now     time.Time
	units   *orgs.Tree
}

func begin() *story {
	return &story{state: State{ID: self}, now: morning.Add(-time.Minute), units: town()}
}

// meet completes the circumstances of a step and moves the clock.
func (st *story) meet(s step) rule.At {
	st.now = st.now.Add(s.after)
	at := s.at
	at.Recorded, at.Occurred, at.Units = st.now, st.now.Add(s.ahead), st.units
	if at.Clocks.Policy == nil {
		at.Clocks = calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}
	}
	return at
}

// does takes a step and appends what it decides.
func (st *story) does(s step) ([]Event, error) {
	at := st.meet(s)
	es, err := Decide(st.state, s.command, at)
	st.fold(at, es...)
	return es, err
}

// fold appends decided events.
func (st *story) fold(at rule.At, es ...Event) {
	for _, e := range es {
		stamp := at.Stamp
		stamp.Event = stream.Event(stream.Of("dispute", self), "test", len(st.history))
		st.history = append(st.history, entry{e, stamp})
		st.state = Evolve(st.state, e, stamp)
		st.states = append(st.states, st.state)
	}
}

// given tells a story whose every step is accepted.
func given(t *testing.T, steps ...step) *story {
	t.Helper()
	st := begin()
	for i, s := range steps {
		if _, err := st.does(s); err != nil {
			t.Fatalf("given: step %d, %s by %s in %q: %v", i+1, s.command.Name(), s.at.Actor.ID, st.state.Phase, err)
		}
	}
	return st
}

// when appends steps to a beginning.
func when(beginning []step, steps ...step) []step { return append(slices.Clip(beginning), steps...) }

// dueOf returns the due instant that an event records, if it does.
func dueOf(e Event) (calendar.Due, bool) {
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		if d, ok := v.Field(i).Interface().(calendar.Due); ok {
			return d, true
		}
	}
	return calendar.Due{}, false
}

// running returns the names of the clocks that run.
func running(s State) []calendar.Clock {
	var cs []calendar.Clock
	for _, d := range s.Running {
		cs = append(cs, d.Clock)
	}
	return cs
}

// The commands as they succeed, and the beginnings they make.
var (
	open    = Open{Demand: demandID, Rung: Community, Unit: home, Parties: names}
	accept  = AcceptMediation{Consent: true}
	decline = DeclineMediation{Reason: Refused}
	agree   = RecordAgreement{Agreement: signed, FulfilOn: summer, Summary: "围栏已移位"}
	fail    = FailMediation{Reason: "双方分歧过大"}
	out     = ReferOut{Target: Court, Receipt: "(2026)内0105民初1号"}
	breach  = ReportBreach{Reason: sealed.Clear("没有移走围栏")}
	extend  = ExtendRung{Amount: 15, Consent: true}

	med          = atRung[Community]
	isOpened     = []step{by(manager, open)}
	isMediating  = when(isOpened, by(med, accept))
	isAgreed     = when(isMediating, by(med, agree))
	isFailed     = when(isMediating, by(med, fail))
	isFulfilled  = when(isAgreed, by(med, RecordFulfilment{}))
	isOut        = when(isFailed, by(med, out))
	isEnded      = when(isOpened, by(party, Withdraw{}))
	isTop        = []step{by(manager, openAt(District))}
	isTopFailing = when(isTop, by(atRung[District], decline))
)

// reach leads to every state.
var reach = map[Phase][]step{
	"": nil, PhaseOpened: isOpened, PhaseMediating: isMediating, PhaseAgreed: isAgreed, PhaseFailed: isFailed,
	PhaseFulfilled: isFulfilled, PhaseReferredOut: isOut, PhaseEnded: isEnded,
}

// openAt opens at another rung.
func openAt(r Rung) Open {
	o := open
	o.Rung = r
	return o
}

// commands are all of them, as they succeed where they can.
var commands = []Command{open, accept, decline, agree, fail, ReferUp{}, out, Withdraw{}, RecordFulfilment{}, breach, extend, RecomputeDeadline{}, RaiseWarning{}, ExpireClock{}}

// recount is the arbiter's word that a clock is counted anew by those rules.
func recount(id string) step {
	return by(arbiter, RecomputeDeadline{ID: id, Reason: "放假通知已更正"}, ruletest.Shut(morning))
}
