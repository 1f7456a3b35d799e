package dispute

import (
	"reflect"
	"strings"
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

type (
	step  = ruletest.Step[Command]
	entry = ruletest.Entry[Event]
	story = ruletest.Story[Phase, State, Command, Event]
)

// by makes a step, a minute after the one before. The circumstances follow: other facts, the time that has passed, rules, how long ago it was.
func by(a rule.Actor, c Command, circumstances ...any) step {
	return ruletest.By(a, c, append([]any{fence}, circumstances...)...)
}

// future says how long after it was recorded something is said to have happened.
func future(d time.Duration) ruletest.Ago { return ruletest.Ago(-d) }

func begin() *story {
	return &story{Stream: stream.Of(stream.Dispute, self), State: State{ID: self}, Now: morning.Add(-time.Minute), Units: town(),
		Decide: Decide, Evolve: Evolve, Phase: func(s State) Phase { return s.Phase }}
}

// given tells a story whose every step decides something.
func given(t ruletest.Test, steps ...step) *story { t.Helper(); return begin().Given(t, steps...) }

// when appends steps to a beginning.
func when(beginning []step, steps ...step) []step { return ruletest.When(beginning, steps...) }

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
