package evaluation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Command is something that a street wants done with an evaluation.
type Command interface {
	// Name is the command's word in the table and in the path of the API.
	Name() string
	decide(State, rule.At) (Event, error)
}

// Submit hands an evaluation in, for the actor's own street. Its members mean what the event says.
type Submit struct {
	Period  stream.ID
	Unit    orgs.UnitCode
	Items   []assessment.Given // in any order
	Comment sealed.Public
	Served  stream.Name
}

// Name implements [Command].
func (Submit) Name() string { return "submit" }

// Needs names the other streams that a command must know.
func Needs(_ State, c Command) rule.Refs {
	s, submits := c.(Submit)
	if !submits {
		return rule.Refs{}
	}
	r := rule.Refs{Periods: []stream.ID{s.Period}}
	switch id := s.Served.ID(); s.Served.Category() {
	case stream.Order:
		r.Orders = []stream.ID{id}
	case stream.Whistle:
		r.Whistles = []stream.ID{id}
	}
	return r
}

// Decide returns what a command makes happen: one event; none if the street says what it said last. The error is a
// [*rule.Refusal].
func Decide(s State, c Command, at rule.At) ([]Event, error) {
	if r := rule.NotFuture(at); r != nil {
		return nil, Machine.Explain(s.Phase, r)
	}
	if repeats(s, c, at) {
		return nil, nil
	}
	e, err := answer(s, c, at)
	if e == nil || err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

// answer asks the table, then the guards.
func answer(s State, c Command, at rule.At) (Event, error) {
	return rule.Ask(&Machine, s.ID, s.Phase, c.Name(), at, func(at rule.At) (Event, error) { return c.decide(s, at) })
}

// repeats reports whether the same person asks at the same moment for what was decided last. The question is put to the
// state of then, at the time of then.
func repeats(s State, c Command, at rule.At) bool {
	return s.before != nil && rule.Again(at, s.last, s.lastStamp, func(then rule.At) (Event, error) { return answer(*s.before, c, then) })
}

func needs(zh, en string) *rule.Refusal { return rule.Refuse(rule.GuardFailed, "V1", zh, en) }

func local(t time.Time) string { return t.In(calendar.Zone()).Format("2006-01-02 15:04:05") }

// V1.
func (c Submit) decide(s State, at rule.At) (Event, error) {
	p, found := at.Facts.Period(c.Period)
	f, known := at.Facts.Scheme(p.Scheme)
	street, there := at.Units.Unit(at.Actor.Unit)
	switch {
	case !found || !known:
		return nil, needs("考核周期不存在", "there is no such period")
	case !there || street.Closed || street.Kind != orgs.Street || !at.Units.Within(street.Code, p.Jurisdiction):
		return nil, rule.Refuse(rule.OutsideJuris, "V1", "只有本考核范围内的街道（镇、乡）可以评价", "only a street of the period's jurisdiction evaluates")
	case s.ID != stream.EvaluationOf(c.Period, string(street.Code), string(c.Unit)):
		return nil, needs("评价编号与周期、街道、单位不符", "the id of the evaluation is not that of its period, street and unit")
	}
	if r := signed(at, street.Code); r != nil {
		return nil, r
	}
	switch {
	case p.Phase == "sealed":
		return nil, rule.Refuse(rule.PeriodSealed, "I11", "周期已封存，不再接受评价", "the period is sealed: it takes no evaluation any more")
	case p.EvaluateBy.IsZero() && !p.Shown && !p.Ended:
		return nil, needs("周期尚未截止，截止后方可评价", "the period has not ended yet: evaluations are handed in after that")
	case p.EvaluateBy.IsZero():
		return nil, rule.Refuse(rule.WindowClosed, "V1", "已预公示或已作废，不再接受评价", "provisional figures were published, or the period is void: no evaluation is taken any more")
	case !calendar.OnTime(at.Recorded, p.EvaluateBy):
		return nil, rule.Refuse(rule.WindowClosed, "V1", "评价已于 "+local(p.EvaluateBy)+" 截止", "evaluations could be handed in until "+local(p.EvaluateBy))
	}
	if r := rates(at, p, f.Scheme, street.Code, c); r != nil {
		return nil, r
	}
	items := ordered(f.Scheme.Form, c.Items)
	if faults := f.Scheme.Check(items, string(c.Comment)); len(faults) > 0 {
		var zh, en []string
		for _, x := range faults {
			zh, en = append(zh, x.Place+"："+x.Zh), append(en, x.Place+": "+x.En)
		}
		return nil, needs(strings.Join(zh, "；"), strings.Join(en, "; "))
	}
	total := assessment.Decimal(0)
	for _, g := range items {
		total += g.Points
	}
	if sealed.LooksPersonal(string(c.Comment)) {
		return nil, needs("评语公开，不得含有手机号或身份证号", "a comment is public and must not hold a phone or identity number")
	}
	if s.Phase != "" && slices.Equal(items, s.Items) && c.Comment == s.Comment {
		return nil, nil
	}
	return Submitted{Period: c.Period, Street: street.Code, Unit: c.Unit, Number: s.Number + 1, Items: items, Total: total, Comment: c.Comment, Served: c.Served}, nil
}

// signed refuses unless a leader of the same street signs, another person than who submits.
func signed(at rule.At, street orgs.UnitCode) *rule.Refusal {
	if r := rule.Confirmed(at.Stamp, "V1", orgs.StreetLeader); r != nil {
		return r
	}
	if at.Second.Unit != street {
		return rule.Refuse(rule.SecondPerson, "V1", fmt.Sprintf("须由本街道 %s 的负责人签署", street), fmt.Sprintf("the leader of the same street %s must sign", street))
	}
	return nil
}

// How a scheme may answer who rates whom, besides its default.
const (
	servedOnly  = "served"
	withBureaus = "with_bureaus"
)

// rates refuses a unit that the street does not rate. By default it rates its district's departments, the agencies it hosts,
// and whoever served it in the period, which an order shows; a scheme may leave out the first two, or add the city's bureaus.
func rates(at rule.At, p rule.PeriodFact, scheme assessment.Scheme, street orgs.UnitCode, c Submit) *rule.Refusal {
	u, known := at.Units.Unit(c.Unit)
	if !known || !slices.ContainsFunc(scheme.Subjects, func(x assessment.Subject) bool { return x.Kind == u.Kind }) {
		return needs(fmt.Sprintf("%q 不是本方案的考核对象", c.Unit), fmt.Sprintf("%q is not assessed by the scheme", c.Unit))
	}
	scope := scheme.Choices[assessment.RateScope]
	district, _ := at.Units.Ancestor(street, orgs.District)
	own := u.Kind == orgs.Department && u.Parent == district || u.Kind == orgs.Agency && u.Parent == street
	if scope != servedOnly && (own || scope == withBureaus && u.Kind == orgs.Bureau) {
		return nil
	}
	if serves(at, p, street, c) {
		return nil
	}
	return rule.Refuse(rule.OutsideJuris, "V1", fmt.Sprintf("%s 不评价 %s：请指明该单位在本周期内为本街道承办的办题单，或本街道召集它的哨", street, c.Unit),
		fmt.Sprintf("%s does not rate %s: name an order that it handled for the street in the period, or a whistle that summoned it", street, c.Unit))
}

// serves reports whether what the street names shows that it sent the unit an order or a whistle in the period.
func serves(at rule.At, p rule.PeriodFact, street orgs.UnitCode, c Submit) bool {
	within := func(t time.Time) bool { return !t.Before(p.First.Start()) && t.Before((p.Last + 1).Start()) }
	switch id := c.Served.ID(); c.Served.Category() {
	case stream.Order:
		o, found := at.Facts.Order(id)
		return found && slices.Contains(o.Bodies, c.Unit) && at.Units.Within(o.Place, street) && within(o.Dispatched)
	case stream.Whistle:
		w, found := at.Facts.Whistle(id)
		return found && slices.Contains(w.Units, c.Unit) && w.Street == street && within(w.Blown)
	}
	return false
}

// ordered brings points into the order of the form, what is not in it last.
func ordered(form []assessment.FormItem, given []assessment.Given) []assessment.Given {
	place := func(g assessment.Given) int {
		if i := slices.IndexFunc(form, func(f assessment.FormItem) bool { return f.Code == g.Code }); i >= 0 {
			return i
		}
		return len(form)
	}
	items := slices.Clone(given)
	slices.SortStableFunc(items, func(a, b assessment.Given) int { return place(a) - place(b) })
	return items
}
