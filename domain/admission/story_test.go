package admission

import (
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

type (
	step  = ruletest.Step[Command]
	entry = ruletest.Entry[Event]
	story = ruletest.Story[Phase, State, Command, Event]
)

// by makes a step, a minute after the one before. The circumstances follow: a second person, the time that has passed, rules.
func by(a rule.Actor, c Command, circumstances ...any) step {
	return ruletest.By(a, c, append([]any{facts}, circumstances...)...)
}

func both(a, b rule.Actor, c Command, circumstances ...any) step {
	return by(a, c, append(circumstances, b)...)
}

func begin() *story {
	return &story{Stream: stream.Of(stream.Admission, self), State: State{ID: self}, Now: morning.Add(-time.Minute), Units: town(),
		Decide: Decide, Evolve: Evolve, Phase: func(s State) Phase { return s.Phase }}
}

// given tells a story whose every step decides something.
func given(t ruletest.Test, steps ...step) *story { t.Helper(); return begin().Given(t, steps...) }

// when appends steps to a beginning.
func when(beginning []step, steps ...step) []step { return ruletest.When(beginning, steps...) }

// asking is a request as it succeeds; change makes another one of it.
func asking(change ...func(*Request)) Request {
	r := Request{Matter: "120101", Role: duty.Lead, Units: []orgs.UnitCode{home}, From: first, Until: last, Task: "汛期入户排查", Basis: "防汛条例第十条", Staff: 3, Budget: 500_000}
	for _, f := range change {
		f(&r)
	}
	return r
}

// due is the id of the clock that runs.
func due(st *story) string {
	if len(st.State.Running) == 0 {
		return ""
	}
	return st.State.Running[0].ID
}

// The beginnings.
var (
	isRequested = []step{by(asker, asking())}
	isReviewing = when(isRequested, by(officer, OpenReview{}))
	recounting  = by(arbiter, RecomputeDeadline{ID: "admission/0/0/1", Reason: "放假通知已更正"}, ruletest.Shut(morning))
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
var commands = []Command{asking(), OpenReview{}, Withdraw{}, granting.Command, Refuse{Reason: "理由"}, Revoke{Reason: "理由"}, Expire{"expiry/0/0/2"},
	RecordOpinion{Supports: true}, RecordFunding{Reference: sealed.Public("凭证")}, RaiseWarning{"admission/0/0/1"}, ExpireClock{"admission/0/0/1"},
	RecomputeDeadline{ID: "admission/0/0/1", Reason: "放假通知已更正"}}
