package period

import (
	"fmt"
	"strings"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/stream"
)

// The town of these tests: a district with two streets, their agencies, a department, and a neighbour.
const (
	city       orgs.UnitCode = "150100"
	district   orgs.UnitCode = "150105"
	elsewhere  orgs.UnitCode = "150102"
	department orgs.UnitCode = "150105-d03"
	oversight  orgs.UnitCode = "150105-oversight"
	street     orgs.UnitCode = "150105003"
	nextStreet orgs.UnitCode = "150105004"
	agency     orgs.UnitCode = "150105003-a01"
	home       orgs.UnitCode = "150105003001"
	neighbour  orgs.UnitCode = "150105004001"
	farStreet  orgs.UnitCode = "150102001"
)

func town() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: city, Kind: orgs.City},
		orgs.UnitOpened{Code: district, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: elsewhere, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: department, Kind: orgs.Department, Parent: district},
		orgs.UnitOpened{Code: oversight, Kind: orgs.Oversight, Parent: district},
		orgs.UnitOpened{Code: street, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: nextStreet, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: farStreet, Kind: orgs.Street, Parent: elsewhere},
		orgs.UnitOpened{Code: agency, Kind: orgs.Agency, Parent: street, Department: department},
		orgs.UnitOpened{Code: home, Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: neighbour, Kind: orgs.Community, Parent: nextStreet},
	)
}

func person(r orgs.Role, u orgs.UnitCode) rule.Actor {
	return rule.Actor{ID: "k-" + string(r) + "-" + string(u), Role: r, Unit: u}
}

// The people, and the one that is none.
var (
	ann    = person(orgs.Evaluator, district)
	ben    = person(orgs.Evaluator, oversight)
	mayor  = person(orgs.Evaluator, city)
	far    = person(orgs.Evaluator, elsewhere)
	leader = person(orgs.StreetLeader, street)
	head   = person(orgs.UnitHead, agency)
	boss   = person(orgs.UnitHead, department)
	clock  = rule.Actor{ID: "clock", Role: orgs.System}
)

// What other streams say, and what is handed in.
var (
	law       = stream.Derive("scheme", "law")
	draft     = stream.Derive("scheme", "draft")
	farLaw    = stream.Derive("scheme", "far")
	march     = day("2026-03-01")
	marchEnd  = day("2026-03-31")
	self      = stream.PeriodOf(string(district), law, march.String(), marchEnd.String())
	orderID   = stream.Derive("order", "pit")
	elseID    = stream.Derive("order", "far")
	demandID  = stream.Derive("demand", "pit")
	secretID  = stream.Derive("demand", "secret")
	whistleID = stream.Of(stream.Whistle, stream.Derive("whistle", "pit"))
	disputeID = stream.Of(stream.Dispute, stream.Derive("dispute", "pit"))
	ratingID  = stream.Of(stream.Evaluation, stream.EvaluationOf(self, string(street), string(agency)))
	published = time.Date(2026, 2, 20, 1, 0, 0, 0, time.UTC)
	known     = rule.Facts{
		Schemes: []rule.SchemeFact{
			{ID: law, Phase: "published", Unit: district, Version: 2, Hash: hash("law"), Published: published, Scheme: assessment.Default()},
			{ID: draft, Phase: "draft", Unit: district, Scheme: assessment.Default()},
			{ID: farLaw, Phase: "published", Unit: elsewhere, Version: 1, Hash: hash("far"), Published: published, Scheme: assessment.Default()},
		},
		Orders: []rule.OrderFact{{ID: orderID, Phase: "closed", Kind: "issue", Lead: agency, Place: home, Bodies: []orgs.UnitCode{agency}},
			{ID: elseID, Phase: "closed", Kind: "issue", Lead: agency, Place: farStreet, Bodies: []orgs.UnitCode{agency}}},
		Demands:  []rule.DemandFact{{ID: demandID, Kind: "issue", Unit: home}, {ID: secretID, Kind: "report", Unit: home}},
		Existing: []stream.Name{whistleID, disputeID, ratingID},
	}
)

func hash(s string) string {
	id := stream.Derive("hash", s)
	return strings.Repeat(strings.ReplaceAll(id.String(), "-", ""), 2)
}

func day(s string) calendar.Date {
	d, err := calendar.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// opening is when the period of these tests is opened: Wednesday 2026-02-25 09:00 in the city.
var opening = time.Date(2026, 2, 25, 1, 0, 0, 0, time.UTC)

const aDay = 24 * time.Hour

type (
	step  = ruletest.Step[Command]
	entry = ruletest.Entry[Event]
	story = ruletest.Story[Phase, State, Command, Event]
)

// by makes a step, a minute after the one before. The circumstances follow: other facts, a second person, the time that has passed, rules.
func by(a rule.Actor, c Command, circumstances ...any) step {
	return ruletest.By(a, c, append([]any{known}, circumstances...)...)
}

func begin() *story {
	return &story{Stream: stream.Of(stream.Period, self), State: State{ID: self}, Now: opening.Add(-time.Minute), Units: town(),
		Decide: Decide, Evolve: Evolve, Phase: func(s State) Phase { return s.Phase }}
}

// given tells a story whose every step decides something.
func given(t ruletest.Test, steps ...step) *story { t.Helper(); return begin().Given(t, steps...) }

// when appends steps to a beginning.
func when(beginning []step, steps ...step) []step { return ruletest.When(beginning, steps...) }

// dues returns the due instants that an event records.
func dues(e Event) []calendar.Due {
	switch e := e.(type) {
	case Ended:
		return []calendar.Due{e.Evaluation}
	case ProvisionalPublished:
		return []calendar.Due{e.Objection}
	case ObjectionFiled:
		return []calendar.Due{e.Decision}
	}
	return nil
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

// figures makes so many figures.
func figures(n int) []Figure {
	fs := make([]Figure, n)
	for i := range fs {
		fs[i] = Figure{Unit: agency, Street: street, Name: fmt.Sprint("on_time_", i), N: "1855", D: "1935", Printed: "95.87"}
	}
	return fs
}

// computed is a result of so many figures, computed at the cut-off of the story's period.
func computed(results string, n int) Computed {
	return Computed{CutOff: 812, CutOffAt: cutOff, Program: "v1.2.3", Root: hash("root"), Leaves: 812, Count: n, Results: hash(results),
		Items: 90, Cohort: hash("cohort of " + results)}
}

// cutOff is when the period of these tests was ended: a second after the end of 1 April in the city.
var cutOff = time.Date(2026, 4, 1, 16, 0, 0, 0, time.UTC)

// seal seals the result that was shown.
func seal(results string, n int) Seal {
	return Seal{Computed: computed(results, n), Figures: figures(n), Units: 2}
}

// The commands as they succeed, and the beginnings they make.
var (
	open     = Open{Jurisdiction: district, Scheme: law, First: march, Last: marchEnd}
	end      = End{}
	show     = PublishProvisional{Figures: 3, Results: hash("a"), Cohort: hash("cohort of a")}
	showB    = PublishProvisional{Figures: 3, Results: hash("b"), Cohort: hash("cohort of b")}
	sealA    = seal("a", 3)
	revise   = SealRevision{Computed: computed("c", 3), Cause: Correction, Reason: "复核更正", Figures: []Figure{{Unit: agency, Name: "score", N: "1", D: "2", Printed: "0.50", Was: &Value{Printed: "—"}}}, Changed: 1}
	void     = Void{Reason: "方案有误"}
	exclude  = RequestExclusion{Case: assessment.Case{Stream: stream.Of(stream.Order, orderID), Leg: 1}, Indicators: []assessment.Indicator{assessment.OnTime}, Reason: assessment.ForceMajeure, Account: "暴雨封路"}
	approve  = ApproveExclusion{Number: 1}
	refuse   = RefuseExclusion{Number: 1, Reason: "不属不可抗力"}
	object   = FileObjection{Case: assessment.Case{Stream: stream.Of(stream.Order, orderID), Leg: 1}, Indicator: assessment.OnTime, Verdict: assessment.Counts, Ground: "按时完成"}
	uphold   = UpholdObjection{Number: 1, Verdict: assessment.Counts, Reason: "核查属实"}
	reject   = RejectObjection{Number: 1, Reason: "证据不足"}
	other    = ImportOtherScore{Unit: agency, Score: assessment.Whole(85), Document: hash("document")}
	record   = RecordFigures{Revision: 1, Results: hash("a"), Figures: figures(2)}
	warn     = RaiseWarning{ID: "evaluation/1/0/1"}
	expire   = ExpireClock{ID: "evaluation/1/0/1"}
	toCutOff = cutOff.Sub(opening)

	isOpen        = []step{by(ann, open)}
	isRating      = when(isOpen, by(clock, end, toCutOff))
	isProvisional = when(isRating, by(ann, show))
	isContested   = when(isProvisional, by(head, object))
	isOver        = when(isProvisional, by(clock, ExpireClock{ID: "objection/1/0/2"}, 15*aDay))
	isSealed      = when(isOver, by(ann, sealA, ben))
	isVoided      = when(isOpen, by(ann, void, ben))
)

// reach leads to every state.
var reach = map[Phase][]step{"": nil, PhaseOpen: isOpen, PhaseRating: isRating, PhaseProvisional: isProvisional, PhaseSealed: isSealed, PhaseVoided: isVoided}

// commands are all of them, as they succeed where they can.
var commands = []Command{open, end, show, sealA, revise, void, exclude, approve, refuse, object, uphold, reject, other, record, warn, expire}
