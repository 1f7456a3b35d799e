package whistle

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
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

// step is one command of somebody, in its circumstances.
type step struct {
	command Command
	at      rule.At
	after   time.Duration // since the step before; a minute if zero
	ago     time.Duration // how long before it was recorded it is said to have happened; negative: in the future
}

// ago says how long before it was recorded something happened.
type ago time.Duration

// by makes a step. The circumstances follow: facts, a second person, the time that has passed, rules in whole.
func by(a rule.Actor, c Command, circumstances ...any) step {
	s := step{command: c, after: time.Minute}
	s.at.Actor, s.at.Facts = a, known
	for _, x := range circumstances {
		switch x := x.(type) {
		case rule.Facts:
			s.at.Facts = x
		case rule.Actor:
			s.at.Second = &x
		case time.Duration:
			s.after = x
		case calendar.Rules:
			s.at.Clocks = x
		case ago:
			s.ago = time.Duration(x)
		default:
			panic(fmt.Sprintf("no circumstance: %T", x))
		}
	}
	return s
}

// entry is an event of a stream with its stamp.
type entry struct {
	event Event
	stamp rule.Stamp
}

// story is a whistle's stream as it is written, and where it stands.
type story struct {
	state   State
	history []entry
	states  []State // after each event of history
	now     time.Time
	units   *orgs.Tree
	spoil   func(*State) // makes the state a wrong one after each event; nil: it stays as it is
}

func begin() *story {
	return &story{state: State{ID: self}, now: morning.Add(-time.Minute), units: town()}
}

// meet completes the circumstances of a step and moves the clock.
func (st *story) meet(s step) rule.At {
	st.now = st.now.Add(s.after)
	at := s.at
	at.Recorded, at.Occurred, at.Units = st.now, st.now.Add(-s.ago), st.units
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
		stamp.Event = stream.Event(stream.Of(stream.Whistle, self), "test", len(st.history))
		st.history = append(st.history, entry{e, stamp})
		st.state = Evolve(st.state, e, stamp)
		if st.spoil != nil {
			st.spoil(&st.state)
		}
		st.states = append(st.states, st.state)
	}
}

// given tells a story whose every step is accepted.
func given(t testing.TB, steps ...step) *story {
	t.Helper()
	st := begin()
	for i, s := range steps {
		if es, err := st.does(s); err != nil || len(es) == 0 {
			t.Fatalf("given: step %d, %s by %s in %q: got %v, %v", i+1, s.command.Name(), s.at.Actor.ID, st.state.Phase, es, err)
		}
	}
	return st
}

// when appends steps to a beginning.
func when(beginning []step, steps ...step) []step { return append(slices.Clip(beginning), steps...) }

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
