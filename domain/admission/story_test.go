package admission

import (
	"slices"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// The town of these tests: two districts; in the first a department, a street with its agency and two communities, and
// another street.
const (
	city         orgs.UnitCode = "150100"
	bureau       orgs.UnitCode = "150100-b01"
	district     orgs.UnitCode = "150105"
	nextDistrict orgs.UnitCode = "150102"
	department   orgs.UnitCode = "150105-d01"
	stranger     orgs.UnitCode = "150102-d01"
	street       orgs.UnitCode = "150105003"
	nextStreet   orgs.UnitCode = "150105004"
	agency       orgs.UnitCode = "150105003-a01"
	home         orgs.UnitCode = "150105003001"
	neighbour    orgs.UnitCode = "150105003002"
	far          orgs.UnitCode = "150102001001"
	grid         orgs.UnitCode = "150105003001001"
)

func town() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: city, Kind: orgs.City},
		orgs.UnitOpened{Code: bureau, Kind: orgs.Bureau, Parent: city},
		orgs.UnitOpened{Code: district, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: nextDistrict, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: department, Kind: orgs.Department, Parent: district},
		orgs.UnitOpened{Code: stranger, Kind: orgs.Department, Parent: nextDistrict},
		orgs.UnitOpened{Code: street, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: nextStreet, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: "150102001", Kind: orgs.Street, Parent: nextDistrict},
		orgs.UnitOpened{Code: agency, Kind: orgs.Agency, Parent: street, Department: department},
		orgs.UnitOpened{Code: home, Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: neighbour, Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: far, Kind: orgs.Community, Parent: "150102001"},
		orgs.GridDrawn{Grid: orgs.GridCode(grid)},
	)
}

func as(r orgs.Role, u orgs.UnitCode) rule.Actor {
	return rule.Actor{ID: "k-" + string(r) + "-" + string(u), Role: r, Unit: u}
}

// The people, and the clock.
var (
	asker   = as(orgs.UnitHead, department)
	officer = as(orgs.AdmissionOfficer, district)
	arbiter = as(orgs.Arbiter, district)
	second  = rule.Actor{ID: "k-second", Role: orgs.AdmissionOfficer, Unit: district}
	clock   = rule.Actor{ID: "clock", Role: orgs.System}
)

// morning is Monday 2026-03-02 09:00 in the city: four weeks without a holiday follow.
var morning = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

var (
	self    = stream.Derive("admission", "patrols")
	topicID = stream.Derive("topic", "patrols")
	facts   = rule.Facts{Topics: []rule.TopicFact{{ID: topicID, Phase: "adopted", Unit: home}}}
	rules   = calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}
	first   = date("2026-04-20") // more than 30 working days after the morning
	last    = date("2026-06-30")
)

func date(s string) calendar.Date {
	d, err := calendar.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// step is one command of somebody, in its circumstances.
type step struct {
	command Command
	by      rule.Actor
	second  *rule.Actor
	rules   calendar.Rules // no policy: those of the tests
	after   time.Duration  // since the step before; a minute if zero
	ahead   time.Duration  // how far in the future it is said to have happened
}

func by(a rule.Actor, c Command, after ...time.Duration) step {
	s := step{command: c, by: a, after: time.Minute}
	if len(after) > 0 {
		s.after = after[0]
	}
	return s
}

// under puts a step under other rules.
func (s step) under(r calendar.Rules) step {
	s.rules = r
	return s
}

func both(a, b rule.Actor, c Command, after ...time.Duration) step {
	s := by(a, c, after...)
	s.second = &b
	return s
}

// entry is an event of a stream with its stamp.
type entry struct {
	event Event
	stamp rule.Stamp
}

// story is a request's stream as it is written, and where it stands.
type story struct {
	state   State
	history []entry
	states  []State // after each event of history
	now     time.Time
	units   *orgs.Tree
	gate    rule.Gate // nil: nobody published a list
}

func begin() *story {
	return &story{state: State{ID: self}, now: morning.Add(-time.Minute), units: town()}
}

// meet completes the circumstances of a step and moves the clock.
func (st *story) meet(s step) rule.At {
	st.now = st.now.Add(s.after)
	if s.rules.Policy == nil {
		s.rules = rules
	}
	return rule.At{Stamp: rule.Stamp{Actor: s.by, Second: s.second, Occurred: st.now.Add(s.ahead), Recorded: st.now}, Facts: facts, Units: st.units, Clocks: s.rules, Gate: st.gate}
}

// does takes a step and appends what it decides.
func (st *story) does(s step) ([]Event, error) {
	at := st.meet(s)
	es, err := Decide(st.state, s.command, at)
	st.fold(at, es...)
	return es, err
}

func (st *story) fold(at rule.At, es ...Event) {
	for _, e := range es {
		stamp := at.Stamp
		stamp.Event = stream.Event(stream.Of(stream.Admission, self), "test", len(st.history))
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
			t.Fatalf("given: step %d, %s by %s in %q: %v", i+1, s.command.Name(), s.by.ID, st.state.Phase, err)
		}
	}
	return st
}

// when appends steps to a beginning.
func when(beginning []step, steps ...step) []step { return append(slices.Clip(beginning), steps...) }

// asking is a request as it succeeds; change makes another one of it.
func asking(change ...func(*Request)) Request {
	r := Request{Matter: "120101", Role: duty.Lead, Units: []orgs.UnitCode{home}, From: first, Until: last, Task: "汛期入户排查", Basis: "防汛条例第十条", Staff: 3, Budget: 500_000}
	for _, f := range change {
		f(&r)
	}
	return r
}

// due is the id of the clock that runs.
func (st *story) due() string {
	if len(st.state.Running) == 0 {
		return ""
	}
	return st.state.Running[0].ID
}

// The beginnings.
var (
	isRequested = []step{by(asker, asking())}
	isReviewing = when(isRequested, by(officer, OpenReview{}))
	recounting  = by(arbiter, RecomputeDeadline{ID: "admission/0/0/1", Reason: "放假通知已更正"}).under(ruletest.Shut(morning))
	granting    = both(officer, second, Grant{Funding: "呼财〔2026〕7号"})
	isGranted   = when(isReviewing, granting)
	isRefused   = when(isReviewing, by(officer, Refuse{Reason: "属部门本职"}))
	isWithdrawn = when(isRequested, by(asker, Withdraw{}))
	isRevoked   = when(isGranted, by(officer, Revoke{Reason: "经费未到位"}))
	isExpired   = when(isGranted, by(clock, Expire{"expiry/0/0/2"}, 200*day))
)

// reach leads to every state.
var reach = map[Phase][]step{
	"": nil, PhaseRequested: isRequested, PhaseReviewing: isReviewing, PhaseGranted: isGranted, PhaseRefused: isRefused,
	PhaseWithdrawn: isWithdrawn, PhaseRevoked: isRevoked, PhaseExpired: isExpired,
}

// commands are all of them, as they succeed where they can.
var commands = []Command{asking(), OpenReview{}, Withdraw{}, granting.command, Refuse{Reason: "理由"}, Revoke{Reason: "理由"}, Expire{"expiry/0/0/2"},
	RecordOpinion{Supports: true}, RecordFunding{Reference: sealed.Public("凭证")}, RaiseWarning{"admission/0/0/1"}, ExpireClock{"admission/0/0/1"},
	RecomputeDeadline{ID: "admission/0/0/1", Reason: "放假通知已更正"}}
