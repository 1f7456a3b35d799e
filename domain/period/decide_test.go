package period

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/stream"
)

// undated takes the due instants out of an event: they have tests of their own.
func undated(e Event) Event {
	switch e := e.(type) {
	case Ended:
		e.Evaluation = calendar.Due{}
		return e
	case ProvisionalPublished:
		e.Objection = calendar.Due{}
		return e
	case ObjectionFiled:
		e.Decision = calendar.Due{}
		return e
	}
	return e
}

func TestWhatIsDecided(t *testing.T) {
	ofOrder, agencies := exclude.Case, []orgs.UnitCode{agency}
	asked := ExclusionRequested{Number: 1, Case: ofOrder, Indicators: exclude.Indicators, Reason: assessment.ForceMajeure, Account: "暴雨封路", By: street, Bodies: agencies}
	later := func(e ExclusionRequested, change func(*ExclusionRequested)) Event { change(&e); return e }
	filed := ObjectionFiled{Number: 1, Case: ofOrder, Indicator: assessment.OnTime, Verdict: assessment.Counts, Ground: "按时完成", By: agency, Bodies: agencies}
	aboutRating := FileObjection{Case: assessment.Case{Stream: ratingID, Unit: agency}, Verdict: assessment.LeftOut, Ground: "打分人未到场"}
	about := func(n stream.Name, u orgs.UnitCode) RequestExclusion {
		c := exclude
		c.Case = assessment.Case{Stream: n, Unit: u}
		return c
	}
	sealed := Sealed{Scheme: law, Version: 2, Hash: hash("law"), CutOff: 812, CutOffAt: cutOff, Calendar: "cn-2026#1", Policy: "deadline", PolicyNo: 1, Program: "v1.2.3",
		Root: hash("root"), Leaves: 812, Figures: 3, Results: hash("a"), Items: 90, Cohort: hash("cohort of a"), Units: 2}
	ruled := sealA
	ruled.Blank, ruled.Ruling = 1, "该单位本期无业务"
	ruling := sealed
	ruling.Blank, ruling.Ruling = 1, ruled.Ruling
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		then  Event
		phase Phase
	}{
		{"a published scheme is applied to a month of a district", nil, by(ann, open),
			Opened{Jurisdiction: district, Scheme: law, Version: 2, Hash: hash("law"), First: march, Last: marchEnd, EndsAt: cutOff.Add(-time.Second), Policy: "deadline", PolicyNo: 1}, PhaseOpen},
		{"the city's office may do it for a district", nil, by(mayor, open),
			Opened{Jurisdiction: district, Scheme: law, Version: 2, Hash: hash("law"), First: march, Last: marchEnd, EndsAt: cutOff.Add(-time.Second), Policy: "deadline", PolicyNo: 1}, PhaseOpen},
		{"the clock ends a period when the last day and the late window are over", isOpen, by(clock, end, toCutOff), Ended{EndsAt: cutOff.Add(-time.Second), LateBy: 1}, PhaseRating},
		{"a machine that is late says how late", isOpen, by(clock, end, toCutOff+time.Hour), Ended{EndsAt: cutOff.Add(-time.Second), LateBy: 3601}, PhaseRating},
		{"figures are shown when all evaluations are in", isRating, by(ann, show), ProvisionalPublished{Number: 1, Figures: 3, Results: hash("a"), Cohort: hash("cohort of a")}, PhaseProvisional},
		{"or when the time for them is over", isRating, by(ann, PublishProvisional{Figures: 3, Results: hash("a"), Cohort: hash("cohort of a"), Missing: 4}, 16*aDay),
			ProvisionalPublished{Number: 1, Figures: 3, Results: hash("a"), Cohort: hash("cohort of a"), Missing: 4}, PhaseProvisional},
		{"figures that changed are shown again", when(isContested, by(ann, uphold)), by(ann, showB), ProvisionalPublished{Number: 2, Figures: 3, Results: hash("b"), Cohort: hash("cohort of b")}, PhaseProvisional},
		{"what was shown is sealed when nobody may contest it any more", isOver, by(ann, sealA, ben), sealed, PhaseSealed},
		{"a period with a unit that has no score is sealed with a ruling", isOver, by(ann, ruled, ben), ruling, PhaseSealed},
		{"a sealed result is corrected beside itself", isSealed, by(ann, revise, ben),
			RevisionSealed{Revision: 2, Cause: Correction, Reason: "复核更正", CutOff: 812, CutOffAt: cutOff, Program: "v1.2.3", Root: hash("root"), Leaves: 812, Changed: 1, Figures: 3,
				Results: hash("c"), Items: 90, Cohort: hash("cohort of c")}, PhaseSealed},
		{"a period is voided by two persons", isProvisional, by(ann, void, ben), Voided(void), PhaseVoided},

		{"a street asks for an item of its own to be left out", isOpen, by(leader, exclude), asked, PhaseOpen},
		{"so does the unit that handled it", isRating, by(head, exclude), later(asked, func(e *ExclusionRequested) { e.By = agency }), PhaseRating},
		{"its department may ask for it", isRating, by(boss, exclude), later(asked, func(e *ExclusionRequested) { e.By = department }), PhaseRating},
		{"about a demand in the street", isOpen, by(leader, about(stream.Of(stream.Demand, demandID), "")),
			later(asked, func(e *ExclusionRequested) {
				e.Case, e.Bodies = assessment.Case{Stream: stream.Of(stream.Demand, demandID)}, nil
			}), PhaseOpen},
		{"about a whistle that called the unit", isOpen, by(head, about(whistleID, agency)),
			later(asked, func(e *ExclusionRequested) { e.Case, e.By = assessment.Case{Stream: whistleID, Unit: agency}, agency }), PhaseOpen},
		{"about a dispute", isOpen, by(leader, about(disputeID, "")),
			later(asked, func(e *ExclusionRequested) { e.Case, e.Bodies = assessment.Case{Stream: disputeID}, nil }), PhaseOpen},
		{"requests are numbered", when(isOpen, by(leader, exclude)), by(leader, about(whistleID, agency)),
			later(asked, func(e *ExclusionRequested) {
				e.Number, e.Case = 2, assessment.Case{Stream: whistleID, Unit: agency}
			}), PhaseOpen},
		{"what was refused may be asked again", when(isOpen, by(leader, exclude), by(ann, refuse)), by(leader, exclude), later(asked, func(e *ExclusionRequested) { e.Number = 2 }), PhaseOpen},
		{"the office lets an item be left out", when(isRating, by(leader, exclude)), by(ann, approve), ExclusionApproved(approve), PhaseRating},
		{"or does not", when(isRating, by(leader, exclude)), by(ben, refuse), ExclusionRefused(refuse), PhaseRating},
		{"a unit contests what was shown", isProvisional, by(head, object), filed, PhaseProvisional},
		{"a unit contests what a street said of it", isProvisional, by(head, aboutRating),
			ObjectionFiled{Number: 1, Case: aboutRating.Case, Verdict: assessment.LeftOut, Ground: aboutRating.Ground, By: agency, Bodies: []orgs.UnitCode{agency, street}}, PhaseProvisional},
		{"the office finds otherwise than was shown", isContested, by(ann, UpholdObjection{Number: 1, Verdict: assessment.LeftOut, Reason: "系统故障"}),
			ObjectionUpheld{Number: 1, Verdict: assessment.LeftOut, Reason: "系统故障"}, PhaseProvisional},
		{"or not", isContested, by(ann, reject), ObjectionRejected(reject), PhaseProvisional},
		{"the other part of a unit's score is imported", isRating, by(ann, other), OtherScoreImported(other), PhaseRating},
		{"and replaced", when(isRating, by(ann, other)), by(ann, ImportOtherScore{Unit: agency, Score: assessment.Whole(86), Document: hash("document")}),
			OtherScoreImported{Unit: agency, Score: assessment.Whole(86), Document: hash("document")}, PhaseRating},
		{"the clock says when the time for evaluations is over", isRating, by(clock, expire, 16*aDay),
			ClockExpired{ID: "evaluation/1/0/1", Clock: calendar.Evaluation, Due: day("2026-04-17").End(), LateBy: 1}, PhaseRating},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given...)
			es, err := st.Does(tt.when)
			if err != nil || len(es) == 0 {
				t.Fatalf("got %v, %v, want an event", es, err)
			}
			if got := undated(es[len(es)-1]); !reflect.DeepEqual(got, tt.then) {
				t.Errorf("got  %+v\nwant %+v", got, tt.then)
			}
			if st.State.Phase != tt.phase {
				t.Errorf("got state %s, want %s", st.State.Phase, tt.phase)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	opened := func(change func(*Open)) step {
		c := open
		change(&c)
		return by(mayor, c)
	}
	sealing := func(change func(*Seal)) Seal {
		c := seal("a", 3)
		change(&c)
		return c
	}
	revising := func(change func(*SealRevision)) SealRevision { c := revise; change(&c); return c }
	excluding := func(change func(*RequestExclusion)) RequestExclusion { c := exclude; change(&c); return c }
	objecting := func(change func(*FileObjection)) FileObjection { c := object; change(&c); return c }
	named := func(n stream.Name) RequestExclusion {
		return excluding(func(c *RequestExclusion) { c.Case = assessment.Case{Stream: n, Unit: agency} })
	}
	asked := when(isRating, by(leader, exclude))
	late := known
	late.Schemes = []rule.SchemeFact{{ID: law, Phase: "published", Unit: district, Published: march.Start(), Scheme: assessment.Default()}}
	scoring := func(u orgs.UnitCode, score assessment.Decimal, doc string) ImportOtherScore {
		return ImportOtherScore{Unit: u, Score: score, Document: doc}
	}
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		code  rule.Code
		rule  string
	}{
		{"a period is not a street's", nil, opened(func(c *Open) { c.Jurisdiction = street }), rule.GuardFailed, "Q1"},
		{"nor of a place that does not exist", nil, opened(func(c *Open) { c.Jurisdiction = "159999" }), rule.GuardFailed, "Q1"},
		{"a scheme that does not exist is not applied", nil, opened(func(c *Open) { c.Scheme = self }), rule.GuardFailed, "Q1"},
		{"a draft is not applied", nil, opened(func(c *Open) { c.Scheme = draft }), rule.GuardFailed, "Q1"},
		{"another district's scheme is not applied", nil, opened(func(c *Open) { c.Scheme = farLaw }), rule.OutsideJuris, "Q1"},
		{"a month has its days", nil, opened(func(c *Open) { c.Last = day("2026-03-30") }), rule.GuardFailed, "Q1"},
		{"a month begins on its first", nil, opened(func(c *Open) { c.First, c.Last = day("2026-03-02"), day("2026-04-01") }), rule.GuardFailed, "Q1"},
		{"a month is no quarter", nil, opened(func(c *Open) { c.First, c.Last = day("2026-04-01"), day("2026-06-30") }), rule.GuardFailed, "Q1"},
		{"a period has days", nil, opened(func(c *Open) { c.First, c.Last = 0, 0 }), rule.GuardFailed, "Q1"},
		{"a scheme published as the period begins is too late", nil, by(ann, open, late), rule.GuardFailed, "Q1"},
		{"another district's office opens nothing here", nil, by(far, open), rule.OutsideJuris, "Q1"},
		{"the clock does not end a period early", isOpen, by(clock, end, toCutOff-time.Second), rule.GuardFailed, "I15"},
		{"nobody else ends it", isOpen, by(ann, end, toCutOff), rule.RoleMissing, "Q2"},
		{"nothing is shown before the end", isOpen, by(ann, show), rule.WrongState, "M1"},
		{"nothing is shown while evaluations are missing and there is time", isRating, by(ann, PublishProvisional{Figures: 3, Results: hash("a"), Cohort: hash("c"), Missing: 1}), rule.GuardFailed, "Q3"},
		{"no figures are not shown", isRating, by(ann, PublishProvisional{Results: hash("a"), Cohort: hash("c")}), rule.GuardFailed, "Q3"},
		{"a hash is a hash", isRating, by(ann, PublishProvisional{Figures: 3, Results: "a", Cohort: hash("c")}), rule.GuardFailed, "Q3"},
		{"in lower case", isRating, by(ann, PublishProvisional{Figures: 3, Results: strings.ToUpper(hash("a")), Cohort: hash("c")}), rule.GuardFailed, "Q3"},
		{"the same figures are not shown again", isProvisional, by(ann, show), rule.GuardFailed, "Q3"},
		{"another district's office shows nothing", isRating, by(far, show), rule.OutsideJuris, "Q3"},

		{"nobody seals alone", isOver, by(ann, sealA), rule.SecondPerson, "Q4"},
		{"nor as both persons", isOver, by(ann, sealA, ann), rule.SecondPerson, "Q4"},
		{"the second is of the office, or one above", isOver, by(ann, sealA, far), rule.OutsideJuris, "Q4"},
		{"nothing is sealed before it was shown", isRating, by(ann, sealA, ben), rule.WrongState, "M1"},
		{"nothing is sealed while it may be contested", isProvisional, by(ann, sealA, ben), rule.GuardFailed, "Q4"},
		{"nothing is sealed over an undecided exclusion", when(isProvisional, by(leader, exclude)), by(ann, sealA, ben, 15*aDay), rule.UndecidedItems, "Q4"},
		{"or an undecided objection", isContested, by(ann, sealA, ben, 15*aDay), rule.UndecidedItems, "Q4"},
		{"nothing is sealed that was changed since it was shown", when(isContested, by(ann, uphold)), by(ann, sealA, ben, 15*aDay), rule.GuardFailed, "Q4"},
		{"an exclusion changes it too", when(isProvisional, by(leader, exclude), by(ann, approve)), by(ann, sealA, ben, 15*aDay), rule.GuardFailed, "Q4"},
		{"and an imported score", when(isProvisional, by(ann, other)), by(ann, sealA, ben, 15*aDay), rule.GuardFailed, "Q4"},
		{"nothing is sealed but what was shown", isOver, by(ann, sealing(func(c *Seal) { c.Results = hash("x") }), ben), rule.GuardFailed, "Q4"},
		{"with the same cohort", isOver, by(ann, sealing(func(c *Seal) { c.Cohort = hash("x") }), ben), rule.GuardFailed, "Q4"},
		{"and as many figures", isOver, by(ann, sealing(func(c *Seal) { c.Count = 2; c.Figures = figures(2) }), ben), rule.GuardFailed, "Q4"},
		{"all figures are recorded", isOver, by(ann, sealing(func(c *Seal) { c.Figures = figures(2) }), ben), rule.GuardFailed, "Q4"},
		{"and none too many", isOver, by(ann, sealing(func(c *Seal) { c.Figures = figures(4) }), ben), rule.GuardFailed, "Q4"},
		{"the cut-off is the end of the period", isOver, by(ann, sealing(func(c *Seal) { c.CutOffAt = cutOff.Add(time.Second) }), ben), rule.GuardFailed, "Q4"},
		{"unknown events are not sealed over", isOver, by(ann, sealing(func(c *Seal) { c.Unknown = 1 }), ben), rule.GuardFailed, "Q4"},
		{"a seal has a Merkle root", isOver, by(ann, sealing(func(c *Seal) { c.Root = "" }), ben), rule.GuardFailed, "Q4"},
		{"and a program", isOver, by(ann, sealing(func(c *Seal) { c.Program = "" }), ben), rule.GuardFailed, "Q4"},
		{"somebody is assessed", isOver, by(ann, sealing(func(c *Seal) { c.Units = 0 }), ben), rule.GuardFailed, "Q4"},
		{"a unit without a score needs a ruling", isOver, by(ann, sealing(func(c *Seal) { c.Blank = 1 }), ben), rule.GuardFailed, "Q4"},
		{"a figure is a fraction", isOver, by(ann, sealing(func(c *Seal) { c.Figures[0].D = "0" }), ben), rule.GuardFailed, "Q4"},
		{"in plain digits", isOver, by(ann, sealing(func(c *Seal) { c.Figures[0].N = "007" }), ben), rule.GuardFailed, "Q4"},
		{"both parts or none", isOver, by(ann, sealing(func(c *Seal) { c.Figures[0].N = "" }), ben), rule.GuardFailed, "Q4"},
		{"it is printed", isOver, by(ann, sealing(func(c *Seal) { c.Figures[0].Printed = "" }), ben), rule.GuardFailed, "Q4"},
		{"of a unit", isOver, by(ann, sealing(func(c *Seal) { c.Figures[0].Unit = "" }), ben), rule.GuardFailed, "Q4"},
		{"what is sealed first was nothing before", isOver, by(ann, sealing(func(c *Seal) { c.Figures[0].Was = &Value{Printed: "—"} }), ben), rule.GuardFailed, "Q4"},

		{"a sealed period is not sealed again", isSealed, by(ann, sealA, ben), rule.PeriodSealed, "I11"},
		{"nor voided", isSealed, by(ann, void, ben), rule.PeriodSealed, "I11"},
		{"nor does it take exclusions", isSealed, by(leader, exclude), rule.PeriodSealed, "I11"},
		{"nobody revises alone", isSealed, by(ann, revise), rule.SecondPerson, "Q5"},
		{"a revision has a reason", isSealed, by(ann, revising(func(c *SealRevision) { c.Reason = " " }), ben), rule.GuardFailed, "Q5"},
		{"of one of two kinds", isSealed, by(ann, revising(func(c *SealRevision) { c.Cause = "mood" }), ben), rule.GuardFailed, "Q5"},
		{"late facts count in the next period, if the scheme says so", isSealed, by(ann, revising(func(c *SealRevision) { c.Cause = LateFact }), ben), rule.GuardFailed, "Q5"},
		{"a revision changes something", isSealed, by(ann, revising(func(c *SealRevision) { c.Results = hash("a") }), ben), rule.GuardFailed, "Q5"},
		{"and says what", isSealed, by(ann, revising(func(c *SealRevision) { c.Changed, c.Figures = 0, nil }), ben), rule.GuardFailed, "Q5"},
		{"all of it", isSealed, by(ann, revising(func(c *SealRevision) { c.Changed = 2 }), ben), rule.GuardFailed, "Q5"},
		{"it keeps the cut-off, where late facts count in the next period", isSealed, by(ann, revising(func(c *SealRevision) { c.CutOff = 900 }), ben), rule.GuardFailed, "Q5"},
		{"it does not go back in the log", isSealed, by(ann, revising(func(c *SealRevision) { c.CutOff = 811 }), ben), rule.GuardFailed, "Q5"},
		{"a revision of nothing is none", isOver, by(ann, revise, ben), rule.WrongState, "M1"},
		{"voiding has a reason", isOpen, by(ann, Void{}, ben), rule.GuardFailed, "Q6"},
		{"and two persons", isOpen, by(ann, void), rule.SecondPerson, "Q6"},

		{"figures are recorded in order", isProvisional, by(ann, RecordFigures{Revision: 1, Results: hash("a"), From: 2, Figures: figures(2)}), rule.GuardFailed, "Q4"},
		{"for the next revision", isProvisional, by(ann, RecordFigures{Revision: 2, Results: hash("a"), Figures: figures(2)}), rule.GuardFailed, "Q4"},
		{"some of them", isProvisional, by(ann, RecordFigures{Revision: 1, Results: hash("a")}), rule.GuardFailed, "Q4"},
		{"not too many at a time", isProvisional, by(ann, RecordFigures{Revision: 1, Results: hash("a"), Figures: figures(6000)}), rule.GuardFailed, "Q4"},
		{"by the office", isProvisional, by(far, record), rule.OutsideJuris, "Q4"},

		{"another district asks for nothing here", isOpen, by(person(orgs.StreetLeader, farStreet), exclude), rule.OutsideJuris, "I9"},
		{"the district itself is no party", isOpen, by(person(orgs.UnitHead, district), exclude), rule.OutsideJuris, "I9"},
		{"another street does not ask about it", isOpen, by(person(orgs.StreetLeader, nextStreet), exclude), rule.OutsideJuris, "I9"},
		{"nor another unit", isOpen, by(person(orgs.UnitHead, neighbour), exclude), rule.OutsideJuris, "I9"},
		{"an order that does not exist is not left out", isOpen, by(leader, named(stream.Of(stream.Order, self))), rule.GuardFailed, "I9"},
		{"nor one that lies elsewhere", isOpen, by(head, named(stream.Of(stream.Order, elseID))), rule.GuardFailed, "I9"},
		{"nor a demand that does not exist", isOpen, by(leader, named(stream.Of(stream.Demand, self))), rule.GuardFailed, "I9"},
		{"a report is named by nobody", isOpen, by(leader, named(stream.Of(stream.Demand, secretID))), rule.GuardFailed, "I9"},
		{"another street's demand neither", isOpen, by(person(orgs.StreetLeader, nextStreet), named(stream.Of(stream.Demand, demandID))), rule.OutsideJuris, "I9"},
		{"a whistle that was never blown is not left out", isOpen, by(leader, named(stream.Of(stream.Whistle, self))), rule.GuardFailed, "I9"},
		{"a unit asks about its own summons", isOpen, by(person(orgs.UnitHead, neighbour), named(whistleID)), rule.OutsideJuris, "I9"},
		{"a dispute that never was is not left out", isOpen, by(leader, named(stream.Of(stream.Dispute, self))), rule.GuardFailed, "I9"},
		{"a topic is no item", isOpen, by(leader, named(stream.Of(stream.Topic, self))), rule.GuardFailed, "I9"},
		{"nor is a stream of somebody else's", isOpen, by(leader, named("foreign")), rule.GuardFailed, "I9"},
		{"a reason is one of the scheme's", isOpen, by(leader, excluding(func(c *RequestExclusion) { c.Reason = "weather" })), rule.GuardFailed, "I9"},
		{"an indicator too", isOpen, by(leader, excluding(func(c *RequestExclusion) { c.Indicators = []assessment.Indicator{"luck"} })), rule.GuardFailed, "I9"},
		{"an indicator is named once", isOpen, by(leader, excluding(func(c *RequestExclusion) {
			c.Indicators = []assessment.Indicator{assessment.OnTime, assessment.OnTime}
		})), rule.GuardFailed, "I9"},
		{"a request says why", isOpen, by(leader, excluding(func(c *RequestExclusion) { c.Account = "" })), rule.GuardFailed, "I9"},
		{"an item is asked about once", asked, by(head, exclude), rule.GuardFailed, "I9"},
		{"in all indicators or in one", asked, by(head, excluding(func(c *RequestExclusion) { c.Indicators = nil })), rule.GuardFailed, "I9"},
		{"there is no request 2", asked, by(ann, ApproveExclusion{Number: 2}), rule.GuardFailed, "I9"},
		{"nor 0", asked, by(ann, RefuseExclusion{Reason: "x"}), rule.GuardFailed, "I9"},
		{"a request is decided once", when(asked, by(ann, approve)), by(ben, refuse), rule.GuardFailed, "I9"},
		{"a refusal says why", asked, by(ann, RefuseExclusion{Number: 1}), rule.GuardFailed, "I9"},
		{"another district decides nothing here", asked, by(far, approve), rule.OutsideJuris, "I9"},
		{"a unit decides nothing about itself", asked, by(person(orgs.Evaluator, agency), approve), rule.OutsideJuris, "I9"},
		{"nor its department", asked, by(person(orgs.Evaluator, department), approve), rule.OutsideJuris, "I9"},
		{"nor the street that asked", asked, by(person(orgs.Evaluator, street), approve), rule.OutsideJuris, "I9"},
		{"nobody decides what he asked for, in whatever role", asked, by(rule.Actor{ID: leader.ID, Role: orgs.Evaluator, Unit: district}, approve), rule.SecondPerson, "I2"},

		{"nothing is contested before it was shown", isRating, by(head, object), rule.WrongState, "M1"},
		{"nor when the time is over", isOver, by(head, object), rule.WindowClosed, "Q4"},
		{"an objection asks for a verdict", isProvisional, by(head, objecting(func(c *FileObjection) { c.Verdict = "mercy" })), rule.GuardFailed, "Q4"},
		{"about an indicator of the scheme", isProvisional, by(head, objecting(func(c *FileObjection) { c.Indicator = "luck" })), rule.GuardFailed, "Q4"},
		{"it says why", isProvisional, by(head, objecting(func(c *FileObjection) { c.Ground = "" })), rule.GuardFailed, "Q4"},
		{"it is filed once", isContested, by(leader, object), rule.GuardFailed, "Q4"},
		{"an evaluation is not made better", isProvisional, by(head, FileObjection{Case: assessment.Case{Stream: ratingID, Unit: agency}, Verdict: assessment.Counts, Ground: "x"}), rule.GuardFailed, "Q4"},
		{"an evaluation of another period is none", isProvisional, by(head, FileObjection{Case: assessment.Case{Stream: ratingID, Unit: department}, Verdict: assessment.LeftOut, Ground: "x"}), rule.GuardFailed, "Q4"},
		{"another street does not contest it", isProvisional, by(person(orgs.StreetLeader, nextStreet), FileObjection{Case: assessment.Case{Stream: ratingID, Unit: agency}, Verdict: assessment.LeftOut, Ground: "x"}), rule.OutsideJuris, "Q4"},
		{"a dispatcher contests nothing", isProvisional, by(person(orgs.Dispatcher, street), object), rule.RoleMissing, "M1"},
		{"there is no objection 2", isContested, by(ann, RejectObjection{Number: 2, Reason: "x"}), rule.GuardFailed, "Q4"},
		{"an objection is decided once", when(isContested, by(ann, reject)), by(ann, uphold), rule.GuardFailed, "Q4"},
		{"a verdict is one of three", isContested, by(ann, UpholdObjection{Number: 1, Verdict: "mercy", Reason: "x"}), rule.GuardFailed, "Q4"},
		{"and has a reason", isContested, by(ann, UpholdObjection{Number: 1, Verdict: assessment.Counts}), rule.GuardFailed, "Q4"},
		{"nobody decides the own objection", isContested, by(rule.Actor{ID: head.ID, Role: orgs.Evaluator, Unit: district}, uphold), rule.SecondPerson, "I2"},
		{"a unit does not judge itself", isContested, by(person(orgs.Evaluator, agency), reject), rule.OutsideJuris, "Q4"},

		{"a score is of a unit that is assessed", isRating, by(ann, scoring(street, 0, hash("d"))), rule.GuardFailed, "Q4"},
		{"which exists", isRating, by(ann, scoring("159999", 0, hash("d"))), rule.GuardFailed, "Q4"},
		{"a score is not below 0", isRating, by(ann, scoring(agency, -1, hash("d"))), rule.GuardFailed, "Q4"},
		{"nor above what can be attained", isRating, by(ann, scoring(agency, assessment.Whole(100)+1, hash("d"))), rule.GuardFailed, "Q4"},
		{"it has a document", isRating, by(ann, scoring(agency, 0, "report.pdf")), rule.GuardFailed, "Q4"},
		{"the clock expires nothing early", isRating, by(clock, expire), rule.GuardFailed, "I15"},
		{"nor does it warn early", isRating, by(clock, warn), rule.GuardFailed, "I15"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given...)
			if c, opens := tt.when.Command.(Open); opens {
				st.State.ID = stream.PeriodOf(string(c.Jurisdiction), c.Scheme, c.First.String(), c.Last.String())
			}
			st.Refuses(t, Machine, tt.when, tt.code, tt.rule)
		})
	}
	t.Run("the name of the stream is that of the period", func(t *testing.T) {
		st := begin()
		st.State.ID = law
		st.Refuses(t, Machine, by(ann, open), rule.GuardFailed, "Q1")
	})
	at := begin().Meet(by(ann, open))
	at.Occurred = at.Recorded.Add(time.Second)
	if _, err := Decide(State{ID: self}, open, at); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Rule != "I18" {
		t.Errorf("in the future: got %v, want I18", err)
	}
}

// The cycles of the calendar, leap years among them.
func TestADayMoreOrLessIsNoCycle(t *testing.T) {
	for _, c := range []struct {
		every       assessment.Cycle
		first, last string
	}{
		{assessment.Monthly, "2026-02-01", "2026-02-28"}, {assessment.Monthly, "2028-02-01", "2028-02-29"}, {assessment.Monthly, "2026-12-01", "2026-12-31"},
		{assessment.Quarterly, "2026-01-01", "2026-03-31"}, {assessment.Quarterly, "2026-10-01", "2026-12-31"}, {assessment.Yearly, "2026-01-01", "2026-12-31"},
	} {
		first, last := day(c.first), day(c.last)
		if !whole(c.every, first, last) {
			t.Errorf("%s to %s is a %s and was refused", first, last, c.every)
		}
		for _, wrong := range [][2]calendar.Date{{first - 1, last}, {first + 1, last}, {first, last - 1}, {first, last + 1}, {first - 1, last - 1}, {last, first}} {
			if whole(c.every, wrong[0], wrong[1]) {
				t.Errorf("%s to %s was taken for a %s", wrong[0], wrong[1], c.every)
			}
		}
	}
	for _, c := range [][2]string{{"2026-02-01", "2026-04-30"}, {"2026-03-01", "2026-05-31"}} {
		if whole(assessment.Quarterly, day(c[0]), day(c[1])) {
			t.Errorf("%s to %s was taken for a quarter", c[0], c[1])
		}
	}
	if whole("week", march, marchEnd) || whole(assessment.Monthly, 0, 0) {
		t.Error("a week, or nothing, was taken for a cycle")
	}
}

// Ten working days for evaluations from the cut-off, five for objections from each showing, five to decide one.
func TestWhenSomethingIsDue(t *testing.T) {
	st := given(t, when(isContested, by(ann, reject), by(head, objectionTo(assessment.Resolution)), by(ann, showB))...)
	want := map[string]string{"evaluation/1/0/1": "2026-04-17", "objection/1/0/2": "2026-04-10", "objection_decision/1/0/3": "2026-04-10",
		"objection_decision/2/0/4": "2026-04-10", "objection/2/0/5": "2026-04-10"}
	got := map[string]string{}
	for _, h := range st.History {
		for _, d := range dues(h.Event) {
			got[d.ID] = calendar.DateOf(d.Due).String()
			if calendar.DateOf(d.Due).End() != d.Due {
				t.Errorf("%s is due at %s, want the end of the day", d.ID, d.Due)
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := running(st.State), []string{"objection_decision/2/0/4", "objection/2/0/5"}; !slices.Equal(got, want) {
		t.Errorf("got %v running, want %v", got, want)
	}
}

func objectionTo(i assessment.Indicator) FileObjection {
	c := object
	c.Indicator = i
	return c
}

// A result that is too large for one append is recorded before its seal, in parts of at most 400 figures.
func TestALargeResultIsRecordedInParts(t *testing.T) {
	n := 12_345
	all := figures(n)
	lists := Portions(all)
	shown := PublishProvisional{Figures: n, Results: hash("large"), Cohort: hash("cohort of large")}
	st := given(t, when(isRating, by(ann, shown), by(clock, ExpireClock{ID: "objection/1/0/2"}, 15*aDay))...)
	from := 0
	for _, list := range lists[:len(lists)-1] {
		if _, err := st.Does(by(ann, RecordFigures{Revision: 1, Results: hash("large"), From: from, Figures: list})); err != nil {
			t.Fatalf("from %d: %v", from, err)
		}
		from += len(list)
	}
	c := Seal{Computed: computed("large", n), Figures: lists[len(lists)-1], Units: 2}
	if _, err := st.Does(by(ann, c, ben)); err != nil {
		t.Fatal(err)
	}
	var read []Figure
	for _, h := range st.History {
		if f, part := h.Event.(FiguresRecorded); part {
			if f.From != len(read) || f.Revision != 1 || f.Results != hash("large") || len(f.Figures) > PartFigures {
				t.Errorf("a part of %d figures from %d stands where %d were recorded", len(f.Figures), f.From, len(read))
			}
			read = append(read, f.Figures...)
		}
	}
	if !reflect.DeepEqual(read, all) || len(lists) < 3 {
		t.Errorf("got %d figures in %d appends, want all %d in several", len(read), len(lists), n)
	}
	if st.State.Phase != PhaseSealed || st.State.Result.Figures != n {
		t.Errorf("got %s with %d figures", st.State.Phase, st.State.Result.Figures)
	}
}

// What was recorded for another result does not count for this one.
func TestPartsOfAnotherResultDoNotCount(t *testing.T) {
	st := given(t, when(isOver, by(ann, RecordFigures{Revision: 1, Results: hash("b"), Figures: figures(2)}))...)
	short := seal("a", 3)
	short.Figures = short.Figures[2:]
	if _, err := st.Does(by(ann, short, ben)); ruletest.Refusal(err) == nil {
		t.Fatalf("two figures of another result were counted: %v", err)
	}
	for _, s := range []step{by(ann, record), by(ann, short, ben)} { // now of this one
		if _, err := st.Does(s); err != nil {
			t.Fatal(err)
		}
	}
	if st.State.Phase != PhaseSealed {
		t.Errorf("got %s", st.State.Phase)
	}
}

// Whatever figures are let through: they fit into what the log takes, 256 KiB an event, 1 MiB an append, and none is lost.
func TestNoPartIsTooLarge(t *testing.T) {
	widest := func(digits int) Figure {
		v := Value{N: "-" + strings.Repeat("9", digits-1), D: strings.Repeat("9", digits), Printed: strings.Repeat("9", mostName)}
		return Figure{Unit: orgs.UnitCode(strings.Repeat("x", 40)), Street: orgs.UnitCode(strings.Repeat("x", 40)), Name: strings.Repeat("x", mostName),
			N: v.N, D: v.D, Printed: v.Printed, Was: &v, Gone: true}
	}
	for _, digits := range []int{2, 60, 200, mostDigits} {
		f := widest(digits)
		if r := f.check("Q5", 2); r != nil {
			t.Fatal(digits, r)
		}
		if b, err := json.Marshal(f); err != nil || len(b)+1 > f.Size() {
			t.Errorf("a figure of %d bytes says that it has %d", len(b)+1, f.Size())
		}
		all := slices.Repeat([]Figure{f}, 2*MostBytes/f.Size()+1)
		read := 0
		for _, list := range Portions(all) {
			es, r := State{}.parts(2, hash("x"), list, len(list))
			if r != nil {
				t.Fatal(r)
			}
			size := 0
			for _, e := range es {
				b, err := json.Marshal(e)
				if err != nil || len(b) > 250<<10 {
					t.Errorf("a part of figures of %d digits has %d bytes, %v", digits, len(b), err)
				}
				size += len(b) + 1024 // its metadata
				read += len(e.(FiguresRecorded).Figures)
			}
			if size > 1<<20-8192 { // with the seal itself
				t.Errorf("an append of figures of %d digits has %d bytes", digits, size)
			}
		}
		if read != len(all) {
			t.Errorf("figures of %d digits: %d of %d are in the parts", digits, read, len(all))
		}
	}
	if widest(mostDigits+1).check("Q5", 2) == nil {
		t.Error("a number without end was let through")
	}
}

// A scheme that says so lets a late fact make a revision.
func TestALateFactMakesARevisionIfTheSchemeSaysSo(t *testing.T) {
	facts := known
	scheme := assessment.Default()
	scheme.Choices[assessment.LateFact] = byRevision
	facts.Schemes = []rule.SchemeFact{{ID: law, Phase: "published", Unit: district, Scheme: scheme}}
	c := revise
	c.Cause, c.CutOff = LateFact, 900
	st := given(t, isSealed...)
	es, err := st.Does(by(ann, c, ben, facts))
	if err != nil || len(es) != 2 {
		t.Fatalf("got %v, %v, want the changed figure and the revision", es, err)
	}
	if got := st.State.Result; got.Revision != 2 || got.Results != hash("c") || st.State.ClosedAt != st.States[len(st.States)-3].ClosedAt {
		t.Errorf("got %+v, closed at %s", got, st.State.ClosedAt)
	}
	c.Results = hash("d")
	if es, err = st.Does(by(ann, c, ben, facts)); err != nil || es[len(es)-1].(RevisionSealed).Revision != 3 {
		t.Errorf("the next one: got %v, %v, want revision 3", es, err)
	}
}

func TestNobodyFloodsAPeriod(t *testing.T) {
	st := given(t, isOpen...)
	facts := known
	ask := func(n int) error {
		id := stream.Derive("order", fmt.Sprint(n))
		facts.Orders = []rule.OrderFact{{ID: id, Place: home, Bodies: []orgs.UnitCode{agency}}}
		c := exclude
		c.Case.Stream = stream.Of(stream.Order, id)
		_, err := st.Does(by(leader, c, facts))
		return err
	}
	for n := range mostOpen {
		if err := ask(n); err != nil {
			t.Fatal(n, err)
		}
	}
	if r := ruletest.Refusal(ask(mostOpen)); r == nil || r.Rule != "I9" {
		t.Errorf("one more: got %v, want a refusal", r)
	}
	if _, err := st.Does(by(ann, refuse)); err != nil {
		t.Fatal(err)
	}
	if err := ask(mostOpen); err != nil {
		t.Errorf("after one was decided: %v", err)
	}
}

func TestWhatIsSoAlreadyDecidesNothing(t *testing.T) {
	st := given(t, when(isRating, by(ann, other))...)
	if es, err := st.Does(by(ben, other)); es != nil || err != nil {
		t.Errorf("the same score: got %v, %v, want nothing", es, err)
	}
	st = given(t, when(isRating, by(clock, expire, 16*aDay))...)
	for _, c := range []Command{expire, warn, ExpireClock{ID: "none"}} {
		if es, err := st.Does(by(clock, c)); es != nil || err != nil {
			t.Errorf("%s again: got %v, %v, want nothing", c.Name(), es, err)
		}
	}
	for _, w := range witnesses {
		if w.When.Command.Name() == "raise-warning" || w.When.Command.Name() == "record-figures" { // the key tells a repeat; parts are counted
			continue
		}
		st := given(t, w.Given...)
		at := st.Meet(w.When)
		es, err := Decide(st.State, w.When.Command, at)
		if err != nil || len(es) == 0 {
			t.Fatal(es, err)
		}
		st.Fold(at, es...)
		at.Recorded = at.Recorded.Add(time.Hour)
		if again, err := Decide(st.State, w.When.Command, at); again != nil || err != nil {
			t.Errorf("%s twice: got %v, %v, want nothing", w.When.Command.Name(), again, err)
		}
	}
}

func TestAFactSaysWhatStreetsAskFor(t *testing.T) {
	evaluateBy := day("2026-04-17").End()
	for phase, want := range map[Phase]rule.PeriodFact{
		PhaseOpen: {}, PhaseRating: {EvaluateBy: evaluateBy}, PhaseProvisional: {Shown: true}, PhaseSealed: {Shown: true, Ended: true}, PhaseVoided: {Ended: true},
	} {
		want.ID, want.Phase, want.Jurisdiction, want.Scheme, want.First, want.Last = self, string(phase), district, law, march, marchEnd
		if got := given(t, reach[phase]...).State.Fact(); got != want {
			t.Errorf("%s: got %+v, want %+v", phase, got, want)
		}
	}
	for _, c := range []struct {
		command Command
		want    rule.Refs
	}{
		{open, rule.Refs{Schemes: []stream.ID{law}}},
		{exclude, rule.Refs{Schemes: []stream.ID{law}, Orders: []stream.ID{orderID}}},
		{object, rule.Refs{Schemes: []stream.ID{law}, Orders: []stream.ID{orderID}}},
		{RequestExclusion{Case: assessment.Case{Stream: stream.Of(stream.Demand, demandID)}}, rule.Refs{Schemes: []stream.ID{law}, Demands: []stream.ID{demandID}}},
		{RequestExclusion{Case: assessment.Case{Stream: whistleID}}, rule.Refs{Schemes: []stream.ID{law}, Existing: []stream.Name{whistleID}}},
		{other, rule.Refs{Schemes: []stream.ID{law}}}, {revise, rule.Refs{Schemes: []stream.ID{law}}}, {sealA, rule.Refs{}},
	} {
		if got := Needs(State{Scheme: law}, c.command); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s asks for %+v, want %+v", c.command.Name(), got, c.want)
		}
	}
}
