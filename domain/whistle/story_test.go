package whistle

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/stream"
)

// The town of these tests: a street with everything that can sit in it, in a district in a city, and neighbours.
const (
	city           orgs.UnitCode = "150100"
	cityBureau     orgs.UnitCode = "150100-b01"
	cityUtility    orgs.UnitCode = "150100-u01"
	district       orgs.UnitCode = "150105"
	nextDistrict   orgs.UnitCode = "150102"
	department     orgs.UnitCode = "150105-d03"
	farDepartment  orgs.UnitCode = "150102-d03"
	utility        orgs.UnitCode = "150105-u01"
	farUtility     orgs.UnitCode = "150102-u01"
	oversight      orgs.UnitCode = "150105-oversight"
	hotline        orgs.UnitCode = "150105-hotline"
	districtTeam   orgs.UnitCode = "150105-t01"
	districtCentre orgs.UnitCode = "150105-c01"
	street         orgs.UnitCode = "150105003"
	nextStreet     orgs.UnitCode = "150105004"
	agency         orgs.UnitCode = "150105003-a01"
	closedAgency   orgs.UnitCode = "150105003-a09"
	farAgency      orgs.UnitCode = "150105004-a01"
	team           orgs.UnitCode = "150105003-t01"
	farTeam        orgs.UnitCode = "150105004-t01"
	centre         orgs.UnitCode = "150105003-c01"
	home           orgs.UnitCode = "150105003001"
	property       orgs.UnitCode = "150105003001-p01"
	volunteers     orgs.UnitCode = "150105003001-v01"
	social         orgs.UnitCode = "150105003-s01"
	neighbour      orgs.UnitCode = "150105004001"
	grid           orgs.UnitCode = "150105003001001"
)

func town() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: city, Kind: orgs.City},
		orgs.UnitOpened{Code: cityBureau, Kind: orgs.Bureau, Parent: city},
		orgs.UnitOpened{Code: cityUtility, Kind: orgs.Utility, Parent: city},
		orgs.UnitOpened{Code: district, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: nextDistrict, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: department, Kind: orgs.Department, Parent: district},
		orgs.UnitOpened{Code: farDepartment, Kind: orgs.Department, Parent: nextDistrict},
		orgs.UnitOpened{Code: utility, Kind: orgs.Utility, Parent: district},
		orgs.UnitOpened{Code: farUtility, Kind: orgs.Utility, Parent: nextDistrict},
		orgs.UnitOpened{Code: oversight, Kind: orgs.Oversight, Parent: district},
		orgs.UnitOpened{Code: hotline, Kind: orgs.Hotline, Parent: district},
		orgs.UnitOpened{Code: districtCentre, Kind: orgs.Centre, Parent: district},
		orgs.UnitOpened{Code: street, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: nextStreet, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: agency, Kind: orgs.Agency, Parent: street, Department: department},
		orgs.UnitOpened{Code: closedAgency, Kind: orgs.Agency, Parent: street, Department: department},
		orgs.UnitClosed{Code: closedAgency},
		orgs.UnitOpened{Code: farAgency, Kind: orgs.Agency, Parent: nextStreet, Department: department},
		orgs.UnitOpened{Code: team, Kind: orgs.JointTeam, Parent: street, Members: []orgs.UnitCode{agency}},
		orgs.UnitOpened{Code: farTeam, Kind: orgs.JointTeam, Parent: nextStreet, Members: []orgs.UnitCode{farAgency}},
		orgs.UnitOpened{Code: districtTeam, Kind: orgs.JointTeam, Parent: district, Members: []orgs.UnitCode{agency, farAgency}},
		orgs.UnitOpened{Code: centre, Kind: orgs.Centre, Parent: street},
		orgs.UnitOpened{Code: social, Kind: orgs.SocialOrg, Parent: street},
		orgs.UnitOpened{Code: home, Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: property, Kind: orgs.Property, Parent: home},
		orgs.UnitOpened{Code: volunteers, Kind: orgs.Team, Parent: home},
		orgs.UnitOpened{Code: neighbour, Kind: orgs.Community, Parent: nextStreet},
		orgs.GridDrawn{Grid: orgs.GridCode(grid)},
	)
}

func person(r orgs.Role, u orgs.UnitCode) rule.Actor {
	return rule.Actor{ID: "k-" + string(r) + "-" + string(u), Role: r, Unit: u}
}

// The people, and the one that is none.
var (
	desker    = person(orgs.Dispatcher, street)
	leader    = person(orgs.StreetLeader, street)
	handler   = person(orgs.Handler, agency)
	arbiter   = person(orgs.Arbiter, district)
	evaluator = person(orgs.Evaluator, district)
	clock     = rule.Actor{ID: "clock", Role: orgs.System}
)

// What other streams say, and what is handed in.
var (
	self     = stream.Derive("whistle", "pit")
	demandID = stream.DemandFor("counter", "pit")
	reportID = stream.DemandFor("counter", "secret")
	farID    = stream.DemandFor("counter", "far")
	topicID  = stream.Derive("topic", "pit")
	orderID  = stream.Derive("order", "pit")
	secretID = stream.Derive("order", "secret")
	elseID   = stream.Derive("order", "far")
	known    = rule.Facts{
		Demands: []rule.DemandFact{{ID: demandID, Phase: "in_handling", Kind: "issue", Unit: home, Live: true},
			{ID: reportID, Phase: "in_handling", Kind: "report", Unit: home, Live: true}, {ID: farID, Kind: "issue", Unit: neighbour}},
		Topics: []rule.TopicFact{{ID: topicID, Phase: "handling", Unit: home}},
		Orders: []rule.OrderFact{{ID: orderID, Phase: "handling", Lead: agency, Place: home}, {ID: secretID, Phase: "handling", Kind: "report", Lead: agency, Place: home}, {ID: elseID, Lead: farAgency, Place: neighbour}},
	}
)

// morning is Monday 2026-03-02 09:00 in the city: four weeks without a holiday follow.
var morning = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

type (
	step  = ruletest.Step[Command]
	entry = ruletest.Entry[Event]
	story = ruletest.Story[Phase, State, Command, Event]
	ago   = ruletest.Ago
)

// by makes a step, a minute after the one before. The circumstances follow: other facts, a second person, the time that has passed, rules, how
// long ago it was.
func by(a rule.Actor, c Command, circumstances ...any) step {
	return ruletest.By(a, c, append([]any{known}, circumstances...)...)
}

func begin() *story {
	return &story{Stream: stream.Of(stream.Whistle, self), State: State{ID: self}, Now: morning.Add(-time.Minute), Units: town(),
		Decide: Decide, Evolve: Evolve, Phase: func(s State) Phase { return s.Phase }}
}

// given tells a story whose every step decides something.
func given(t ruletest.Test, steps ...step) *story { t.Helper(); return begin().Given(t, steps...) }

// when appends steps to a beginning.
func when(beginning []step, steps ...step) []step { return ruletest.When(beginning, steps...) }

// dues returns the due instants that an event records.
func dues(e Event) []calendar.Due {
	var ds []calendar.Due
	switch e := e.(type) {
	case Blown:
		for _, u := range e.Units {
			ds = append(ds, u.ReportIn)
		}
	case Concluded:
		ds = append(ds, e.Score)
	case DeadlineRecomputed:
		ds = append(ds, e.Clock)
	}
	return ds
}

// served are the rules when a unit has so many hours of service to come.
func served() calendar.Rules {
	p := calendar.DefaultPolicy()
	for i, r := range p.Rows {
		if r.Clock == calendar.ReportIn {
			p.Rows[i].Amount = calendar.Amount{N: 2, Kind: calendar.ServiceHours}
		}
	}
	return calendar.Rules{Calendar: calendar.China(), Policy: p}
}

// running returns the ids of the due instants that run.
func running(s State) []string {
	var ids []string
	for _, d := range s.Running {
		ids = append(ids, d.ID)
	}
	return ids
}

func ptr[T any](x T) *T { return &x }

// The commands as they succeed, and the beginnings they make.
var (
	blow    = Blow{Units: []orgs.UnitCode{agency, department, utility}, Class: Urgent, Place: home, Spot: "东门外人行道", Task: "路面塌陷，围挡抢修", Demand: demandID}
	arrive  = ReportIn{Unit: agency}
	excuse  = ExcuseUnit{Unit: department, Reason: "正在处置火情"}
	release = ReleaseUnit{Unit: agency}
	finish  = Conclude{Outcome: "路面已恢复"}
	cancel  = Cancel{Reason: "误报"}
	score   = Score{Marks: []Mark{{agency, 24, "组织有序"}, {utility, 0, "未到场"}}}
	rescore = Rescore{Unit: utility, ReportIn: Late, Reason: "申诉成立：迟到而非缺席"}
	absent  = MarkAbsent{ID: "report_in/3/0/3"}
	warn    = RaiseWarning{ID: "report_in/3/0/3"}
	recount = RecomputeDeadline{ID: "report_in/3/0/3", Reason: "放假通知已更正"}

	isOpen      = []step{by(desker, blow)}
	isOnSite    = when(isOpen, by(desker, arrive))
	isAlone     = when(isOnSite, by(arbiter, excuse)) // one there, one excused, one that never comes
	isReleased  = when(isAlone, by(clock, absent, time.Hour), by(desker, release))
	isConcluded = when(isReleased, by(desker, finish))
	isScored    = when(isConcluded, by(leader, score))
	isCancelled = when(isOpen, by(leader, cancel))
)

// reach leads to every state.
var reach = map[Phase][]step{"": nil, PhaseOpen: isOpen, PhaseOnSite: isOnSite, PhaseConcluded: isConcluded,
	PhaseScored: isScored, PhaseCancelled: isCancelled}

// commands are all of them, as they succeed where they can.
var commands = []Command{blow, arrive, finish, cancel, score, excuse, release, rescore, absent, warn, recount}
