package dispute

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Command is something that a mediator, a party, the process manager or the clock wants done with a dispute.
type Command interface {
	// Name is the command's word in the table and in the path of the API.
	Name() string
	// decide returns nil and no error if there is nothing left for the clock to do.
	decide(State, rule.At) (Event, error)
}

// The commands, in the order of the table. Their members mean what the event of the same row says.
type (
	Open struct {
		Demand  stream.ID
		Rung    Rung
		Unit    orgs.UnitCode // "" = where the demand lies
		Parties []Party
	}
	AcceptMediation struct {
		Unit    orgs.UnitCode // for the process manager: whose person settled it on the spot; a mediator acts for the own unit
		Consent bool          // both parties want mediation
	}
	// DeclineMediation without a reason is the clock's.
	DeclineMediation struct{ Reason DeclineReason }
	RecordAgreement  struct {
		Agreement string
		FulfilOn  calendar.Date
		Summary   sealed.Public
	}
	// FailMediation without a reason is the clock's.
	FailMediation struct{ Reason sealed.Public }
	ReferUp       struct{}
	ReferOut      struct {
		Target  Target
		Receipt string
	}
	Withdraw         struct{}
	RecordFulfilment struct{}
	ReportBreach     struct{ Reason sealed.Text }

	ExtendRung struct {
		Amount  int  // in the kind of the running clock
		Consent bool // both parties want to go on
	}
	RecomputeDeadline struct {
		ID     string // of the due instant
		Reason sealed.Public
	}
)

// The clock's own commands. Each decides nothing when its time has passed over: the step was taken, or it fired before.
type (
	RaiseWarning struct{ ID string } // of the due instant
	ExpireClock  struct{ ID string }
)

// The names of the commands.
func (Open) Name() string              { return "open" }
func (AcceptMediation) Name() string   { return "accept-mediation" }
func (DeclineMediation) Name() string  { return "decline-mediation" }
func (RecordAgreement) Name() string   { return "record-agreement" }
func (FailMediation) Name() string     { return "fail-mediation" }
func (ReferUp) Name() string           { return "refer-up" }
func (ReferOut) Name() string          { return "refer-out" }
func (Withdraw) Name() string          { return "withdraw" }
func (RecordFulfilment) Name() string  { return "record-fulfilment" }
func (ReportBreach) Name() string      { return "report-breach" }
func (ExtendRung) Name() string        { return "extend-rung" }
func (RecomputeDeadline) Name() string { return "recompute-deadline" }
func (RaiseWarning) Name() string      { return "raise-warning" }
func (ExpireClock) Name() string       { return "expire-clock" }

// kind is what demands on the ladder are, in the demand's own words; policies may give it amounts of its own.
const kind = "dispute"

// Needs names the other streams that a command must know.
func Needs(_ State, c Command) rule.Refs {
	if c, opens := c.(Open); opens {
		return rule.Refs{Demands: []stream.ID{c.Demand}}
	}
	return rule.Refs{}
}

// Decide returns what a command makes happen: one event, and with an expiry the escalation that comes with it; none if
// the same person says at the same moment what was said last, or if nothing is left for the clock to do. The error is a [*rule.Refusal], or comes from the calendar.
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
	return append([]Event{e}, s.follows(e, at)...), nil
}

// answer asks the table, then the guards.
func answer(s State, c Command, at rule.At) (Event, error) {
	return rule.Ask(&Machine, s.ID, s.Phase, c.Name(), at, func(at rule.At) (Event, error) { return c.decide(s, at) })
}

// repeats reports whether the same person asks at the same moment for what was decided last. The question is
// put to the state of then, at the time of then: the rung may be another one now.
func repeats(s State, c Command, at rule.At) bool {
	return s.before != nil && rule.Again(at, s.last, s.lastStamp, func(then rule.At) (Event, error) { return answer(*s.before, c, then) })
}

// due starts a clock of this stream now.
func (s State) due(at rule.At, c calendar.Clock) (calendar.Due, error) {
	return at.Clocks.Start(s.dueID(c), c, kind, "", at.Recorded)
}

// dueID is unique in the stream for ever: clock, rung in place of a round, leg (disputes have none) and a
// serial (rule I15).
func (s State) dueID(c calendar.Clock) string {
	return fmt.Sprintf("%s/%d/0/%d", c, s.Rung, s.Dues+1)
}

// passed refuses the clock unless the due instant is over: within the due second a step is still on time
// (rule I18). People need not wait for it.
func (s State) passed(at rule.At, c calendar.Clock, id string) *rule.Refusal {
	d, runs := s.Running.Get(c)
	switch {
	case at.Actor.Role != orgs.System:
		return nil
	case !runs:
		return needs(id, fmt.Sprintf("时限 %s 未在计时", c), fmt.Sprintf("the clock %s does not run", c))
	case calendar.OnTime(at.Recorded, d.Due):
		return needs(id, "期限未满："+local(d.Due), "it is not due before "+local(d.Due))
	}
	return nil
}

func local(t time.Time) string { return t.In(calendar.Zone()).Format("2006-01-02 15:04") }

func needs(id, zh, en string) *rule.Refusal { return rule.Refuse(rule.GuardFailed, id, zh, en) }

func outside(id, zh, en string) *rule.Refusal { return rule.Refuse(rule.OutsideJuris, id, zh, en) }

// firm returns the first refusal as an error, and nil if there is none.
func firm(rs ...*rule.Refusal) error {
	for _, r := range rs {
		if r != nil {
			return r
		}
	}
	return nil
}

// bench returns the unit for which a mediator of the unit sits: a centre mediates for the whole area of its host.
func bench(at rule.At, unit orgs.UnitCode) orgs.Unit {
	u, _ := at.Units.Unit(unit)
	if u.Kind == orgs.Centre {
		u, _ = at.Units.Unit(u.Parent)
	}
	return u
}

// presides refuses unless the actor mediates where the dispute stands: at its rung, for an area on the line of
// its place, and as nobody's party. Two grids of a community stand at one rung: once one of them has taken the
// dispute up, the other keeps out. What the process manager and the clock may do does not depend on a place.
func (s State) presides(at rule.At, id string) *rule.Refusal {
	if at.Actor.Role == orgs.System {
		return nil
	}
	own, taken := bench(at, at.Actor.Unit), bench(at, s.Mediator)
	switch {
	case own.Kind != s.Rung.Kind():
		return outside(id, fmt.Sprintf("纠纷在第 %d 级，不由 %s 的调解员办理", s.Rung, at.Actor.Unit),
			fmt.Sprintf("the dispute stands at rung %d, where %s does not mediate", s.Rung, at.Actor.Unit))
	case !at.Units.Within(s.Unit, own.Code) && !at.Units.Within(own.Code, s.Unit):
		return outside(id, fmt.Sprintf("%s 不在 %s 的辖区内", s.Unit, own.Code),
			fmt.Sprintf("%s lies outside the jurisdiction of %s", s.Unit, own.Code))
	case taken.Kind == own.Kind && taken.Code != own.Code:
		return outside(id, fmt.Sprintf("已由 %s 受理调解", s.Mediator), fmt.Sprintf("%s has taken the mediation up", s.Mediator))
	case slices.Contains(s.Parties, at.Actor.ID):
		return needs(id, "当事人不能担任调解员", "a party can not mediate")
	}
	return nil
}

// party refuses unless the actor is known as a party.
func (s State) party(at rule.At, id string) *rule.Refusal {
	if slices.Contains(s.Parties, at.Actor.ID) {
		return nil
	}
	return outside(id, "只有纠纷当事人可以办理", "only a party to the dispute may do this")
}

// consented refuses unless both parties consent.
func consented(yes bool, id string) *rule.Refusal {
	if yes {
		return nil
	}
	return needs(id, "须经双方当事人同意", "both parties must consent")
}

// P1. A demand that was withdrawn meanwhile does not keep the dispute from being opened: its withdrawal
// follows in the log and ends it (rule R19).
func (c Open) decide(s State, at rule.At) (Event, error) {
	d, found := at.Facts.Demand(c.Demand)
	if c.Unit == "" {
		c.Unit = d.Unit
	}
	_, known := at.Units.Unit(c.Unit)
	switch {
	case !found:
		return nil, needs("P1", "诉求不存在", "there is no such demand")
	case d.Kind != kind:
		return nil, needs("P1", "只有矛盾纠纷类诉求可以登记纠纷", "only a demand of kind dispute goes to mediation")
	case !slices.Contains(Rungs(), c.Rung):
		return nil, needs("P1", "调解层级为 1 至 4", "the rung is 1 to 4")
	case !known:
		return nil, needs("P1", fmt.Sprintf("单位 %q 不存在", c.Unit), fmt.Sprintf("the unit %q does not exist", c.Unit))
	}
	for i, p := range c.Parties {
		switch {
		case p.Actor == "" && p.Name.IsZero():
			return nil, needs("P1", "请填写当事人", "a party has neither a name nor an account")
		case p.Actor != "" && slices.ContainsFunc(c.Parties[:i], func(q Party) bool { return q.Actor == p.Actor }):
			return nil, needs("P1", "当事人重复", "a party is named twice")
		}
	}
	s.Rung = c.Rung
	due, err := s.due(at, calendar.Rung)
	return Opened{Demand: c.Demand, Rung: c.Rung, Unit: c.Unit, Parties: c.Parties, RungDue: due}, err
}

// P2.
func (c AcceptMediation) decide(s State, at rule.At) (Event, error) {
	unit := at.Actor.Unit
	if at.Actor.Role == orgs.System {
		unit = c.Unit
	}
	if err := firm(s.presides(at, "P2"), consented(c.Consent, "P2")); err != nil {
		return nil, err
	}
	if _, known := at.Units.Unit(unit); !known {
		return nil, needs("P2", fmt.Sprintf("单位 %q 不存在", unit), fmt.Sprintf("the unit %q does not exist", unit))
	}
	return MediationAccepted{Unit: unit}, nil
}

// P3. That nobody acted is for the clock to find, and all that it finds.
func (c DeclineMediation) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.presides(at, "P3"), s.passed(at, calendar.Rung, "P3")); err != nil {
		return nil, err
	}
	if at.Actor.Role == orgs.System {
		c.Reason = NoAction
	} else if c.Reason != Refused && c.Reason != NotMediable {
		return nil, needs("P3", "不予调解须因一方拒绝或不宜调解", "declining needs a party that refuses, or a matter that can not be mediated")
	}
	due, err := s.due(at, calendar.Refer)
	return MediationDeclined{Reason: c.Reason, ReferDue: due}, err
}

// P4.
func (c RecordAgreement) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.presides(at, "P4")); err != nil {
		return nil, err
	}
	switch {
	case !digest(c.Agreement):
		return nil, rule.Refuse(rule.EvidenceMissing, "P4", "请附调解协议的哈希值（64 位十六进制）",
			"an agreement needs the hash of the signed document, 64 hexadecimal digits")
	case c.FulfilOn.IsZero():
		return nil, needs("P4", "请填写履行日期", "say by which date the agreement is kept")
	}
	due, err := at.Clocks.Until(s.dueID(calendar.Fulfil), calendar.Fulfil, at.Recorded, c.FulfilOn)
	if errors.Is(err, calendar.ErrBackwards) {
		return nil, needs("P4", fmt.Sprintf("履行日期 %s 已过", c.FulfilOn), fmt.Sprintf("the date %s is over", c.FulfilOn))
	}
	return MediationSucceeded{Agreement: c.Agreement, FulfilOn: c.FulfilOn, Summary: c.Summary, FulfilDue: due}, err
}

// digest reports whether s is a SHA-256 in lower-case hexadecimal.
func digest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && strings.ToLower(s) == s
}

// P5. The clock knows of no reason but the time.
func (c FailMediation) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.presides(at, "P5"), s.passed(at, calendar.Rung, "P5")); err != nil {
		return nil, err
	}
	if at.Actor.Role == orgs.System {
		c.Reason = ""
	} else if strings.TrimSpace(string(c.Reason)) == "" {
		return nil, needs("P5", "请填写调解不成的理由", "say why the mediation failed")
	}
	due, err := s.due(at, calendar.Refer)
	return MediationFailed{Reason: c.Reason, ReferDue: due}, err
}

// P6. From the top rung a dispute only leaves the ladder (P7, P8).
func (ReferUp) decide(s State, at rule.At) (Event, error) {
	if s.Rung >= District {
		return nil, needs("P6", "已在最高层级，只能转外部或撤回", "it stands at the top rung: refer it out, or have it withdrawn")
	}
	if err := firm(s.presides(at, "P6"), s.passed(at, calendar.Refer, "P6")); err != nil {
		return nil, err
	}
	s.Rung++
	due, err := s.due(at, calendar.Rung)
	return ReferredUp{Rung: s.Rung, RungDue: due}, err
}

// P7.
func (c ReferOut) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.presides(at, "P7")); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(Targets(), c.Target):
		return nil, needs("P7", "只能转往法院、仲裁、公安或信访", "it is referred to court, arbitration, police or petition")
	case strings.TrimSpace(c.Receipt) == "":
		return nil, needs("P7", "请填写对方的受理编号", "the receipt number is missing")
	}
	return ReferredOut(c), nil
}

// P8. The process manager withdraws it with its demand.
func (c Withdraw) decide(s State, at rule.At) (Event, error) {
	if at.Actor.Role == orgs.System {
		return Withdrawn(c), nil
	}
	return Withdrawn(c), firm(s.party(at, "P8"))
}

// P9. Once the day has passed without a report of a breach, the agreement counts as kept.
func (RecordFulfilment) decide(s State, at rule.At) (Event, error) {
	return AgreementFulfilled{Presumed: at.Actor.Role == orgs.System},
		firm(s.presides(at, "P9"), s.passed(at, calendar.Fulfil, "P9"))
}

// P10.
func (c ReportBreach) decide(s State, at rule.At) (Event, error) {
	var refusal *rule.Refusal
	if at.Actor.Role == orgs.Resident {
		refusal = s.party(at, "P10")
	} else {
		refusal = s.presides(at, "P10")
	}
	if refusal != nil {
		return nil, refusal
	}
	if c.Reason.IsZero() {
		return nil, needs("P10", "请说明如何反悔", "say how the agreement was broken")
	}
	due, err := s.due(at, calendar.Refer)
	return AgreementBreached{Reason: c.Reason, ReferDue: due}, err
}

// A mediation is extended once at each rung, in time, by no more than the policy allows and the rung had.
func (c ExtendRung) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.presides(at, "P5"), consented(c.Consent, "P5")); err != nil {
		return nil, err
	}
	d, _ := s.Running.Get(calendar.Rung)
	most := min(at.Clocks.Policy.Caps[calendar.RungExtensionCap], d.Amount)
	switch {
	case s.Extended:
		return nil, needs("P5", "本级已延长过一次", "it was extended once at this rung")
	case !calendar.OnTime(at.Recorded, d.Due):
		return nil, rule.Refuse(rule.WindowClosed, "P5", "调解期限已于 "+local(d.Due)+" 届满", "the time was over at "+local(d.Due))
	case c.Amount < 1 || c.Amount > most:
		return nil, needs("P5", fmt.Sprintf("可延长 1 至 %d 日", most), fmt.Sprintf("it can be extended by 1 to %d days", most))
	}
	due, err := at.Clocks.Extend(d, c.Amount)
	due.ID = s.dueID(calendar.Rung)                                                                     // the one it replaces may be on its way to fire (rule I15)
	due.WarnAt = slices.DeleteFunc(due.WarnAt, func(w time.Time) bool { return !w.After(at.Recorded) }) // not late: never due
	if len(due.WarnAt) == 0 {
		due.WarnAt = nil
	}
	return RungExtended{Amount: c.Amount, RungDue: due}, err
}
