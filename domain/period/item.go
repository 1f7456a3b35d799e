package period

import (
	"fmt"
	"slices"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
)

// byRevision is how a scheme answers what becomes of late facts, if they change a sealed result.
const byRevision = "revision"

// KeepsCutOff reports whether a scheme counts what is recorded after the cut-off in the next period, reopenings among it. Then a revision is computed from the
// same cases as the seal: what came later would else count in both periods.
func KeepsCutOff(s assessment.Scheme) bool {
	return s.Choices[assessment.LateFact] != byRevision && s.Choices[assessment.ReopenAfterSeal] != byRevision
}

// mostOpen is how many requests and objections of one street or unit may be undecided at a time; ours.
const mostOpen = 200

// party refuses whoever is neither a street of the jurisdiction nor a unit in it, and returns the unit.
func (s State) party(at rule.At, id string) (orgs.Unit, *rule.Refusal) {
	u, known := at.Units.Unit(at.Actor.Unit)
	if !known || u.Closed || !at.Units.Within(u.Code, s.Jurisdiction) || u.Code == s.Jurisdiction {
		return u, rule.Refuse(rule.OutsideJuris, id, fmt.Sprintf("%s 不在 %s 的考核范围内", at.Actor.Unit, s.Jurisdiction),
			fmt.Sprintf("%s takes no part in the assessment of %s", at.Actor.Unit, s.Jurisdiction))
	}
	return u, nil
}

// bodies returns who is concerned by an item: who handled it, was summoned or is rated. It refuses an item that does not
// exist or lies elsewhere, and whoever asks about somebody else's: a street may ask about whatever lies in it or was done
// for it, a unit about what it did.
func (s State) bodies(at rule.At, asker orgs.Unit, k assessment.Case, id string) ([]orgs.UnitCode, *rule.Refusal) {
	none := needs(id, "事项不存在或不在本考核范围内", "there is no such item in this assessment")
	street := asker.Kind == orgs.Street
	switch k.Stream.Category() {
	case stream.Order:
		o, found := at.Facts.Order(k.Stream.ID())
		switch {
		case !found || !at.Units.Within(o.Place, s.Jurisdiction) || k.Leg < 0:
			return nil, none
		case street && !at.Units.Within(o.Place, asker.Code), !street && !among(at, asker.Code, o.Bodies):
			return nil, rule.Refuse(rule.OutsideJuris, id, "该办题单与本单位无关", "the order does not concern the own unit")
		}
		return o.Bodies, nil
	case stream.Demand:
		d, found := at.Facts.Demand(k.Stream.ID())
		switch {
		case !found || !at.Units.Within(d.Unit, s.Jurisdiction) || d.Kind == "report":
			return nil, none
		case street && !at.Units.Within(d.Unit, asker.Code):
			return nil, rule.Refuse(rule.OutsideJuris, id, "该诉求不在本街道", "the demand does not lie in the own street")
		}
		return nil, nil
	case stream.Whistle:
		u, known := at.Units.Unit(k.Unit)
		switch {
		case !exists(at, k.Stream) || !known || !at.Units.Within(u.Code, s.Jurisdiction):
			return nil, none
		case !street && !among(at, asker.Code, []orgs.UnitCode{u.Code}):
			return nil, rule.Refuse(rule.OutsideJuris, id, "该事项与本单位无关", "the item does not concern the own unit")
		}
		return []orgs.UnitCode{u.Code}, nil
	case stream.Evaluation:
		by := s.rater(at, k)
		switch {
		case !exists(at, k.Stream) || by == "":
			return nil, none
		case asker.Code != by && !among(at, asker.Code, []orgs.UnitCode{k.Unit}):
			return nil, rule.Refuse(rule.OutsideJuris, id, "该评价与本单位无关", "the evaluation does not concern the own unit")
		}
		return []orgs.UnitCode{k.Unit, by}, nil
	case stream.Dispute:
		if !exists(at, k.Stream) {
			return nil, none
		}
		return nil, nil
	}
	return nil, none
}

func exists(at rule.At, n stream.Name) bool { return slices.Contains(at.Facts.Existing, n) }

// rater returns the street that rated a unit in an evaluation of this period, "" if it is none of this period and unit.
func (s State) rater(at rule.At, k assessment.Case) orgs.UnitCode {
	for u := range at.Units.All() {
		if u.Kind == orgs.Street && at.Units.Within(u.Code, s.Jurisdiction) && stream.EvaluationOf(s.ID, string(u.Code), string(k.Unit)) == k.Stream.ID() {
			return u.Code
		}
	}
	return ""
}

// among reports whether a unit is one of some bodies, or stands for one: a member of it, or its parent department.
func among(at rule.At, unit orgs.UnitCode, bodies []orgs.UnitCode) bool {
	return slices.ContainsFunc(bodies, func(b orgs.UnitCode) bool { return at.Units.SameBody(unit, b) })
}

// judged refuses whoever would benefit from a decision: who asked, whose unit asked, whose unit handled the item (rule I2).
func judged(at rule.At, asker string, by orgs.UnitCode, bodies []orgs.UnitCode) *rule.Refusal {
	if at.Actor.ID == asker {
		return rule.Refuse(rule.SecondPerson, "I2", "申请人不能自己决定", "whoever asked does not decide")
	}
	return rule.Independent(at, append(slices.Clip(bodies), by), "I2")
}

// measures refuses indicators that the scheme does not have.
func measures(f rule.SchemeFact, id string, indicators ...assessment.Indicator) *rule.Refusal {
	for _, i := range indicators {
		used := slices.ContainsFunc(slices.Concat(f.Scheme.Objective, f.Scheme.Deductions, f.Scheme.Bonuses), func(x assessment.Item) bool { return x.Indicator == i })
		if !used {
			return needs(id, fmt.Sprintf("方案中没有指标 %q", i), fmt.Sprintf("the scheme has no indicator %q", i))
		}
	}
	return nil
}

func (c RequestExclusion) decide(s State, at rule.At) ([]Event, error) {
	asker, r := s.party(at, "I9")
	if r != nil {
		return nil, r
	}
	bodies, r := s.bodies(at, asker, c.Case, "I9")
	f, _ := at.Facts.Scheme(s.Scheme)
	if err := firm(r, measures(f, "I9", c.Indicators...), said(c.Account, "I9", "剔除说明", "account")); err != nil {
		return nil, err
	}
	pending := 0
	for _, x := range s.Exclusions {
		if x.By == asker.Code && x.Status == assessment.Undecided {
			pending++
		}
		if x.Case == c.Case && x.Status != assessment.Refused && overlap(x.Indicators, c.Indicators) {
			return nil, needs("I9", fmt.Sprintf("第 %d 号申请已涉及该事项", x.Number), fmt.Sprintf("request %d is about this item already", x.Number))
		}
	}
	switch {
	case !slices.Contains(f.Scheme.Reasons, c.Reason):
		return nil, needs("I9", fmt.Sprintf("方案中没有剔除理由 %q", c.Reason), fmt.Sprintf("the scheme has no reason %q", c.Reason))
	case repeated(c.Indicators):
		return nil, needs("I9", "指标重复", "an indicator is named twice")
	case pending >= mostOpen:
		return nil, needs("I9", fmt.Sprintf("未决定的申请已达 %d 件", mostOpen), fmt.Sprintf("%d requests of the unit are undecided", mostOpen))
	}
	return []Event{ExclusionRequested{Number: len(s.Exclusions) + 1, Case: c.Case, Indicators: c.Indicators, Reason: c.Reason, Account: c.Account,
		By: asker.Code, Bodies: bodies}}, nil
}

// overlap reports whether two lists of indicators have one in common; the empty list means all.
func overlap(a, b []assessment.Indicator) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(i assessment.Indicator) bool { return slices.Contains(b, i) })
}

func repeated(is []assessment.Indicator) bool {
	sorted := slices.Clone(is)
	slices.Sort(sorted)
	return len(slices.Compact(sorted)) < len(is)
}

// requested returns an undecided request that the actor may decide, or refuses.
func (s State) requested(at rule.At, number int) *rule.Refusal {
	if r := s.ours(at, "I9"); r != nil {
		return r
	}
	if number < 1 || number > len(s.Exclusions) {
		return needs("I9", fmt.Sprintf("没有第 %d 号剔除申请", number), fmt.Sprintf("there is no request %d", number))
	}
	x := s.Exclusions[number-1]
	if x.Status != assessment.Undecided {
		return needs("I9", fmt.Sprintf("第 %d 号剔除申请已决定", number), fmt.Sprintf("request %d is decided", number))
	}
	return judged(at, x.Asker, x.By, x.Bodies)
}

func (c ApproveExclusion) decide(s State, at rule.At) ([]Event, error) {
	return one(ExclusionApproved(c), s.requested(at, c.Number))
}

func (c RefuseExclusion) decide(s State, at rule.At) ([]Event, error) {
	return one(ExclusionRefused(c), s.requested(at, c.Number), said(c.Reason, "I9", "不予剔除的理由", "reason"))
}

// verdicts lists what an objection may ask for or find.
func verdicts() []assessment.Verdict {
	return []assessment.Verdict{assessment.Counts, assessment.Fails, assessment.LeftOut}
}

// FileObjection contests what was shown, while it may be contested. An evaluation has no indicator and can only be left out.
func (c FileObjection) decide(s State, at rule.At) ([]Event, error) {
	asker, r := s.party(at, "Q4")
	if r != nil {
		return nil, r
	}
	bodies, r := s.bodies(at, asker, c.Case, "Q4")
	f, _ := at.Facts.Scheme(s.Scheme)
	if err := firm(r, said(c.Ground, "Q4", "申诉理由", "ground")); err != nil {
		return nil, err
	}
	pending := 0
	for _, o := range s.Objections {
		if o.By == asker.Code && o.Status == assessment.Undecided {
			pending++
		}
		if o.Case == c.Case && o.Indicator == c.Indicator && o.Status == assessment.Undecided {
			return nil, needs("Q4", fmt.Sprintf("第 %d 号申诉已涉及该事项", o.Number), fmt.Sprintf("objection %d is about this item already", o.Number))
		}
	}
	evaluation := c.Case.Stream.Category() == stream.Evaluation
	switch {
	case !calendar.OnTime(at.Recorded, s.Shown.Objection.Due):
		return nil, rule.Refuse(rule.WindowClosed, "Q4", "申诉期已于 "+local(s.Shown.Objection.Due)+" 结束", "objections could be filed until "+local(s.Shown.Objection.Due))
	case !slices.Contains(verdicts(), c.Verdict):
		return nil, needs("Q4", "请求的结论须为 counts、fails 或 left_out", "the verdict asked for is counts, fails or left_out")
	case evaluation && (c.Verdict != assessment.LeftOut || c.Indicator != ""):
		return nil, needs("Q4", "对评价的申诉只能请求不计入", "an evaluation can only be left out, as a whole")
	case pending >= mostOpen:
		return nil, needs("Q4", fmt.Sprintf("未决定的申诉已达 %d 件", mostOpen), fmt.Sprintf("%d objections of the unit are undecided", mostOpen))
	}
	if !evaluation {
		if r := measures(f, "Q4", c.Indicator); r != nil {
			return nil, r
		}
	}
	number := len(s.Objections) + 1
	d, err := s.due(at, calendar.ObjectionDecision, number)
	if err != nil {
		return nil, err
	}
	return []Event{ObjectionFiled{Number: number, Case: c.Case, Indicator: c.Indicator, Verdict: c.Verdict, Ground: c.Ground, By: asker.Code,
		Bodies: bodies, Decision: d}}, nil
}

// contested returns nil if the actor may decide an objection that is undecided.
func (s State) contested(at rule.At, number int) *rule.Refusal {
	if r := s.ours(at, "Q4"); r != nil {
		return r
	}
	if number < 1 || number > len(s.Objections) {
		return needs("Q4", fmt.Sprintf("没有第 %d 号申诉", number), fmt.Sprintf("there is no objection %d", number))
	}
	o := s.Objections[number-1]
	if o.Status != assessment.Undecided {
		return needs("Q4", fmt.Sprintf("第 %d 号申诉已决定", number), fmt.Sprintf("objection %d is decided", number))
	}
	return judged(at, o.Asker, o.By, o.Bodies)
}

func (c UpholdObjection) decide(s State, at rule.At) ([]Event, error) {
	if err := firm(s.contested(at, c.Number), said(c.Reason, "Q4", "理由", "reason")); err != nil {
		return nil, err
	}
	evaluation := s.Objections[c.Number-1].Case.Stream.Category() == stream.Evaluation
	if !slices.Contains(verdicts(), c.Verdict) || evaluation && c.Verdict != assessment.LeftOut {
		return nil, needs("Q4", "结论须为 counts、fails 或 left_out，对评价只能为 left_out", "the verdict is counts, fails or left_out; of an evaluation left_out")
	}
	return []Event{ObjectionUpheld(c)}, nil
}

func (c RejectObjection) decide(s State, at rule.At) ([]Event, error) {
	return one(ObjectionRejected(c), s.contested(at, c.Number), said(c.Reason, "Q4", "驳回理由", "reason"))
}

// ImportOtherScore takes the score of a unit that the scheme is about.
func (c ImportOtherScore) decide(s State, at rule.At) ([]Event, error) {
	if err := firm(s.ours(at, "Q4"), digested("Q4", c.Document)); err != nil {
		return nil, err
	}
	u, known := at.Units.Unit(c.Unit)
	f, _ := at.Facts.Scheme(s.Scheme)
	switch {
	case !known || !at.Units.Within(c.Unit, s.Jurisdiction) ||
		!slices.ContainsFunc(f.Scheme.Subjects, func(x assessment.Subject) bool { return x.Kind == u.Kind }):
		return nil, needs("Q4", fmt.Sprintf("%q 不是本方案的考核对象", c.Unit), fmt.Sprintf("%q is not assessed by the scheme", c.Unit))
	case c.Score < 0 || c.Score > f.Scheme.Other:
		return nil, needs("Q4", "得分超出范围", "the score is out of range")
	case slices.Contains(s.Others, assessment.Other{Unit: c.Unit, Score: c.Score, Document: c.Document}):
		return nil, nil
	}
	return []Event{OtherScoreImported(c)}, nil
}
