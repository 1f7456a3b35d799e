package order

import (
	"cmp"
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

// Command is something that a person, or the process manager, wants done with an order.
type Command interface {
	// Name is the command's word in the table and in the path of the API.
	Name() string
	// decide returns nil and no error if what is asked for is so already.
	decide(State, rule.At) (Event, error)
}

// The commands, in the order of the table. Their members mean what the event of the same row says.
type (
	Dispatch struct {
		Number    string
		Topic     stream.ID
		Cycle     int
		Demands   []stream.ID
		Patrol    bool
		Kind      string
		Matter    string
		Urgency   string
		Lead      orgs.UnitCode
		Competent orgs.UnitCode
		CoUnits   []orgs.UnitCode
		By        orgs.UnitCode // for the process manager: the unit whose person decided it; a person acts for the own unit
		Place     orgs.UnitCode
		Grid      orgs.GridCode
		Anonymous bool
		Target    calendar.Date
		Task      sealed.Public
	}
	Sign          struct{}
	RequestReturn struct {
		Reason    sealed.Text
		Basis     sealed.Public
		Suggested orgs.UnitCode
	}
	RefuseReturn  struct{ Reason sealed.Public }
	ApproveReturn struct{ Reason sealed.Public }
	Redispatch    struct {
		Lead      orgs.UnitCode
		Competent orgs.UnitCode
		CoUnits   []orgs.UnitCode
	}
	RecordContact struct {
		Demands []stream.ID
		Means   string
		Note    sealed.Text
	}
	WaiveContact struct{ Cause string }
	Suspend      struct {
		Reason   string
		Basis    sealed.Public
		ReviewOn calendar.Date
	}
	Resume         struct{}
	ReportHandling struct {
		Outcome  string
		Answer   sealed.Text
		Summary  sealed.Public
		Evidence []string
		Account  sealed.Text
		Persons  int
	}
	PassVerification struct {
		Method string
		Rate   int // per ten thousand
		Note   sealed.Text
	}
	FailVerification struct {
		Reason sealed.Public
		Method string
	}
	Close       struct{ Cause string }
	OrderRework struct {
		Cause  string
		Demand stream.ID
		Reason sealed.Public
	}
	Reopen struct {
		Cause  string
		Demand stream.ID
		Reason sealed.Public
	}
	Cancel struct {
		Cause  string
		Reason sealed.Public
	}

	ReportCoUnit struct {
		Unit    orgs.UnitCode
		Summary sealed.Public
	}
	ReleaseCoUnit struct {
		Unit   orgs.UnitCode
		Reason sealed.Public
	}
	RequestExtension struct {
		Amount int // in the unit of the running clock
		Reason sealed.Public
		Told   bool
	}
	GrantExtension     struct{ Reason sealed.Public }
	RefuseExtension    struct{ Reason sealed.Public }
	AttachDemand       struct{ Demand stream.ID }
	NoteDemandReopened struct {
		Demand stream.ID
		Round  int
	}
	DetachDemand struct {
		Demand stream.ID
		Cause  string
	}
	Reassign struct {
		Lead   orgs.UnitCode // "" keeps it
		Worker string
		Reason sealed.Public
		// Held is who led when the process manager saw what makes it necessary: if another unit does by now, or nobody
		// owes work any more, there is nothing to hand over. "" from people.
		Held orgs.UnitCode `json:",omitempty"`
	}
	IssueSupervision  struct{ Reason sealed.Public }
	AnswerSupervision struct {
		Number int
		Answer sealed.Public
	}
	RecomputeDeadline struct {
		ID     string // of the due instant
		Reason sealed.Public
	}
	Rate struct {
		Leg     int
		Score   int
		Comment sealed.Public
	}
)

// The names of the commands.
func (Dispatch) Name() string           { return "dispatch" }
func (Sign) Name() string               { return "sign" }
func (RequestReturn) Name() string      { return "request-return" }
func (RefuseReturn) Name() string       { return "refuse-return" }
func (ApproveReturn) Name() string      { return "approve-return" }
func (Redispatch) Name() string         { return "redispatch" }
func (RecordContact) Name() string      { return "record-contact" }
func (WaiveContact) Name() string       { return "waive-contact" }
func (Suspend) Name() string            { return "suspend" }
func (Resume) Name() string             { return "resume" }
func (ReportHandling) Name() string     { return "report-handling" }
func (PassVerification) Name() string   { return "pass-verification" }
func (FailVerification) Name() string   { return "fail-verification" }
func (Close) Name() string              { return "close" }
func (OrderRework) Name() string        { return "order-rework" }
func (Reopen) Name() string             { return "reopen" }
func (Cancel) Name() string             { return "cancel" }
func (ReportCoUnit) Name() string       { return "report-co-unit" }
func (ReleaseCoUnit) Name() string      { return "release-co-unit" }
func (RequestExtension) Name() string   { return "request-extension" }
func (GrantExtension) Name() string     { return "grant-extension" }
func (RefuseExtension) Name() string    { return "refuse-extension" }
func (AttachDemand) Name() string       { return "attach-demand" }
func (NoteDemandReopened) Name() string { return "note-demand-reopened" }
func (DetachDemand) Name() string       { return "detach-demand" }
func (Reassign) Name() string           { return "reassign" }
func (IssueSupervision) Name() string   { return "issue-supervision" }
func (AnswerSupervision) Name() string  { return "answer-supervision" }
func (RecomputeDeadline) Name() string  { return "recompute-deadline" }
func (Rate) Name() string               { return "rate" }

// The clock's own commands. Each decides nothing when its time has passed over: the step was taken, or it fired before.
type (
	RaiseWarning struct{ ID string } // of the due instant
	ExpireClock  struct{ ID string }
	Escalate     struct{ ID string } // rule E2
)

// Name implements [Command].
func (RaiseWarning) Name() string { return "raise-warning" }

// Name implements [Command].
func (ExpireClock) Name() string { return "expire-clock" }

// Name implements [Command].
func (Escalate) Name() string { return "escalate" }

// Outcomes lists what can come of the work, as a demand is answered: 已解决, 部分解决, 解释说明, 未采纳, 暂无条件.
func Outcomes() []string {
	return []string{"resolved", "partly", "explained", "not_adopted", "infeasible"}
}

// SuspensionReasons lists why the handling clock may stand still: the season, a lawsuit, funding, somebody
// else's work, a resident who is away.
func SuspensionReasons() []string {
	return []string{"season", "litigation", "funding", "third_party", "resident_absent"}
}

// Means lists how residents are contacted.
func Means() []string { return []string{"phone", "visit", "wechat", "sms"} }

// Kinds lists the kinds of demands that lead to an order; a dispute goes to mediation instead.
func Kinds() []string { return []string{"errand", "issue", "consult", "suggestion", "report"} }

// Urgencies lists all urgencies, the most pressing first.
func Urgencies() []string { return []string{"A", "B", "C", "D"} }

// checked lists how a verifier looks; the other two ways belong to the resident and the process manager.
func checked() []string { return []string{"on_site", "photo", "phone"} }

const (
	leaderSuspends = 30     // natural days up to which the leader of the dispatching unit confirms a suspension (rule O10)
	always         = 10_000 // the sampling rate at which nothing passes unseen
)

// Needs names the other streams that a command must know.
func Needs(s State, c Command) rule.Refs {
	switch c := c.(type) {
	case Dispatch:
		return rule.Refs{Demands: c.Demands}
	case AttachDemand:
		return rule.Refs{Demands: []stream.ID{c.Demand}}
	}
	return rule.Refs{}
}

// Decide returns what a command makes happen: one event, and what comes with it ([State.follows]); none if
// the same person says at the same moment what was said last, or if what is asked for is so already.
// The error is a [*rule.Refusal], or comes from the calendar.
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

// follows returns what comes with an event in the same append: the order becomes a problem order (rule E3), was
// suspended too often or too long (E8), or rises because a clock ran out.
func (s State) follows(e Event, at rule.At) []Event {
	var also []Event
	after := Evolve(s, e, at.Stamp)
	p := at.Escalation.OrDefault()
	rises := func(why rule.Escalation) {
		why.From = at.Units.Level(after.Lead)
		if up := after.Attention.Rise(at, after.Lead, p.Problem, why); up != nil {
			also = append(also, Escalated(*up))
		}
	}
	if cause, n := s.problem(after, at); cause != "" {
		also = append(also, ProblemFlagged{Cause: cause})
		rises(rule.Escalation{Rule: "E3", Count: n})
	}
	switch e := e.(type) {
	case Suspended:
		if n := after.Suspensions; n >= p.Suspensions {
			rises(rule.Escalation{Rule: "E8", Count: n})
		}
	case Resumed:
		if n := after.SuspendedDays; n >= p.SuspendedDays {
			rises(rule.Escalation{Rule: "E8", Count: n})
		}
	case ClockExpired:
		if up := after.expired(e, at); up != nil {
			also = append(also, Escalated(*up))
		}
	}
	return also
}

// answer asks the table, then the guards.
func answer(s State, c Command, at rule.At) (Event, error) {
	return rule.Ask(&Machine, s.ID, s.Phase, c.Name(), at, func(at rule.At) (Event, error) { return c.decide(s, at) })
}

// repeats reports whether the same person asks at the same moment for what was decided last. The question is
// put to the state of then, at the time of then: counters have moved on since, and windows may have closed.
func repeats(s State, c Command, at rule.At) bool {
	return s.before != nil && rule.Again(at, s.last, s.lastStamp, func(then rule.At) (Event, error) { return answer(*s.before, c, then) })
}

// problem returns what makes it a problem order now, and how many were counted; "" if nothing does (rule E3).
func (s State) problem(after State, at rule.At) (cause string, n int) {
	p := at.Escalation.OrDefault()
	switch {
	case s.Problem:
	case len(after.Returns) > len(s.Returns) && len(after.Returns) >= p.Bounces:
		return "returns", len(after.Returns)
	case after.Reworks > s.Reworks && after.Reworks >= p.Reworks:
		return "rework", after.Reworks
	}
	return "", 0
}

// due starts a clock of this stream now.
func (s State) due(at rule.At, c calendar.Clock) (calendar.Due, error) {
	return at.Clocks.Start(s.dueID(c), c, s.Kind, s.Urgency, at.Recorded)
}

// dueID is unique in the stream for ever: clock, round, leg and a serial (rule I15).
func (s State) dueID(c calendar.Clock) string {
	return fmt.Sprintf("%s/%d/%d/%d", c, max(s.Round, 1), max(len(s.Legs), 1), s.Dues+1)
}

// moved gives a due instant that was moved an id of its own: the old one may have fired already (rule I15).
// One that stayed where it was keeps its id, and does not fire again.
func (s State) moved(old, now calendar.Due) calendar.Due {
	if !now.Due.Equal(old.Due) {
		now.ID = s.dueID(old.Clock)
	}
	return now
}

// effective returns the instant that counts for what is being decided (rule I18).
func (s State) effective(at rule.At) time.Time {
	return calendar.EffectiveInstant(at.Occurred, at.Recorded, s.Since, at.Clocks.Policy.Offline())
}

func needs(id, zh, en string) *rule.Refusal { return rule.Refuse(rule.GuardFailed, id, zh, en) }

// firm returns the first refusal as an error, and nil if there is none.
func firm(rs ...*rule.Refusal) error {
	for _, r := range rs {
		if r != nil {
			return r
		}
	}
	return nil
}

// oneOf refuses a word that is not in the list.
func oneOf(word string, list []string, id, zh, en string) *rule.Refusal {
	if slices.Contains(list, word) {
		return nil
	}
	return needs(id, fmt.Sprintf("%s须为 %s 之一", zh, strings.Join(list, "、")),
		fmt.Sprintf("the %s must be one of %s", en, strings.Join(list, ", ")))
}

// said refuses a text that was left empty.
func said[T ~string](text T, id, zh, en string) *rule.Refusal {
	if strings.TrimSpace(string(text)) != "" {
		return nil
	}
	return needs(id, "请填写"+zh, "the "+en+" is missing")
}

func local(t time.Time) string { return t.In(calendar.Zone()).Format("2006-01-02 15:04") }

// actsFor refuses unless the actor acts for the unit: belongs to it or, where it is a grid, to its community.
func actsFor(at rule.At, unit orgs.UnitCode, id string) *rule.Refusal {
	if at.Units.Within(at.Actor.Unit, unit) {
		return nil
	}
	if g, grid := at.Units.Grid(orgs.GridCode(unit)); grid && at.Actor.Unit == g.Community {
		return nil
	}
	return rule.Refuse(rule.OutsideJuris, id, fmt.Sprintf("%s 不能代表 %s 办理", at.Actor.Unit, unit),
		fmt.Sprintf("%s does not act for %s", at.Actor.Unit, unit))
}

// holds refuses unless the actor acts for the lead unit; for a joint team its competent member does too.
func (s State) holds(at rule.At, id string) *rule.Refusal {
	if at.Units.Within(at.Actor.Unit, s.Competent) {
		return nil
	}
	return actsFor(at, s.Lead, id)
}

// ofDispatcher reports whether the person leads the dispatching unit.
func (s State) ofDispatcher(a rule.Actor) bool { return a.Role.Leads() && a.Unit == s.By }

// dispatcherLeads refuses unless the actor leads the dispatching unit; the process manager carries out what a person decided.
func (s State) dispatcherLeads(at rule.At, id string) *rule.Refusal {
	if at.Actor.Role == orgs.System || s.ofDispatcher(at.Actor) {
		return nil
	}
	return rule.Refuse(rule.OutsideJuris, id, fmt.Sprintf("须由派单单位 %s 的负责人决定", s.By),
		fmt.Sprintf("the leader of the dispatching unit %s decides this", s.By))
}

// seconded refuses unless a leader of the dispatching unit confirms, another person than the actor.
func (s State) seconded(at rule.At, id string) *rule.Refusal {
	if r := rule.Confirmed(at.Stamp, id, leaders...); r != nil {
		return r
	}
	if !s.ofDispatcher(*at.Second) {
		return rule.Refuse(rule.SecondPerson, id, fmt.Sprintf("须由派单单位 %s 的负责人确认", s.By),
			fmt.Sprintf("the leader of the dispatching unit %s must confirm", s.By))
	}
	return nil
}

// team checks lead, competent member and co-units of a leg, and asks the gate about each (rule I7).
func team(at rule.At, lead, competent orgs.UnitCode, co []orgs.UnitCode, matter, id string) *rule.Refusal {
	u, known := at.Units.Unit(lead)
	switch {
	case !known || u.Closed:
		return needs(id, fmt.Sprintf("承办单位 %s 不存在或已撤销", lead), fmt.Sprintf("the lead unit %s does not exist or is closed", lead))
	case u.Kind == orgs.JointTeam && !slices.Contains(u.Members, competent):
		return needs(id, "联合执法队须指明主管成员单位", "a joint team needs its competent member agency named")
	case u.Kind != orgs.JointTeam && competent != "":
		return needs(id, "只有联合执法队有主管成员单位", "only a joint team has a competent member agency")
	}
	if r := rule.PassGate(at, lead, matter, true); r != nil {
		return r
	}
	for i, c := range co {
		u, known := at.Units.Unit(c)
		switch {
		case !known || u.Closed || c == lead:
			return needs(id, fmt.Sprintf("协办单位 %s 不存在、已撤销或与主办相同", c),
				fmt.Sprintf("the co-unit %s does not exist, is closed or is the lead", c))
		case slices.Contains(co[:i], c):
			return needs(id, fmt.Sprintf("协办单位 %s 重复", c), fmt.Sprintf("the co-unit %s is named twice", c))
		}
		if r := rule.PassGate(at, c, matter, false); r != nil {
			return r
		}
	}
	return nil
}

// promises computes the due instants of a new leg, and until when it can be sent back.
func (s State) promises(at rule.At) (sign, contact, work calendar.Due, returnBy time.Time, err error) {
	sign, err1 := s.due(at, calendar.Sign)
	contact, err2 := s.due(at, calendar.Contact)
	work, err3 := s.workDue(at)
	window, err4 := s.due(at, calendar.Return)
	return sign, contact, work, window.Due, errors.Join(err1, err2, err3, err4)
}

// workDue starts the handling clock: in the first round to the end of the target date, unless that is over.
func (s State) workDue(at rule.At) (calendar.Due, error) {
	if !s.Target.IsZero() && s.Round <= 1 {
		d, err := at.Clocks.Until(s.dueID(calendar.Handle), calendar.Handle, at.Recorded, s.Target)
		if !errors.Is(err, calendar.ErrBackwards) {
			return d, err
		}
	}
	return s.due(at, s.Work())
}

// O1. A person dispatches for the own unit; the process manager for the unit whose person decided it.
func (c Dispatch) decide(s State, at rule.At) (Event, error) {
	person := at.Actor.Role != orgs.System
	if person {
		c.By = cmp.Or(c.By, at.Actor.Unit)
	}
	by, known := at.Units.Unit(c.By)
	_, placed := at.Units.Unit(c.Place)
	_, drawn := at.Units.Grid(c.Grid)
	today := calendar.DateOf(at.Recorded)
	switch {
	case person && c.By != at.Actor.Unit:
		return nil, rule.Refuse(rule.OutsideJuris, "O1", "只能以本单位名义派单", "a person dispatches for the own unit only")
	case !known || by.Closed:
		return nil, needs("O1", fmt.Sprintf("派单单位 %q 不存在或已撤销", c.By), fmt.Sprintf("the dispatching unit %q does not exist or is closed", c.By))
	case !placed:
		return nil, needs("O1", fmt.Sprintf("事发地 %q 不存在", c.Place), fmt.Sprintf("the place %q does not exist", c.Place))
	case c.Grid != "" && !drawn:
		return nil, needs("O1", fmt.Sprintf("网格 %s 不存在", c.Grid), fmt.Sprintf("the grid %s does not exist", c.Grid))
	case len(c.Demands) == 0 && !c.Patrol && c.Topic.IsZero():
		return nil, needs("O1", "须指明所办诉求、议题或巡查来源", "name the demands, the topic or the patrol it comes from")
	case c.Matter == "":
		return nil, needs("O1", "请填写事项编码", "the matter is missing")
	case !c.Target.IsZero() && c.Topic.IsZero():
		return nil, needs("O1", "只有议题派出的办题单有目标日期", "only an order of a topic has a target date")
	case !c.Target.IsZero() && person && (c.Target < today || c.Target > at.Clocks.Cap(calendar.TargetDateCap, at.Recorded)):
		return nil, needs("O1", fmt.Sprintf("目标日期须在 %s 至 %s 之间", today, at.Clocks.Cap(calendar.TargetDateCap, at.Recorded)),
			fmt.Sprintf("the target date must lie from %s to %s", today, at.Clocks.Cap(calendar.TargetDateCap, at.Recorded)))
	}
	if err := firm(oneOf(c.Kind, Kinds(), "O1", "类别", "kind"), oneOf(c.Urgency, Urgencies(), "O1", "紧急程度", "urgency"),
		attachable(at, "O1", c.Demands...), rule.Reaches(at, c.Place, "O1"), rule.MayDispatch(at, c.Lead),
		team(at, c.Lead, c.Competent, c.CoUnits, c.Matter, "O1")); err != nil {
		return nil, err
	}
	s.Kind, s.Urgency, s.Target = c.Kind, c.Urgency, c.Target
	sign, contact, work, returnBy, err := s.promises(at)
	return Dispatched{Number: c.Number, Topic: c.Topic, Cycle: c.Cycle, Demands: c.Demands, Patrol: c.Patrol, Kind: c.Kind,
		Matter: c.Matter, Urgency: c.Urgency, Lead: c.Lead, Competent: c.Competent, CoUnits: c.CoUnits, By: c.By,
		Place: c.Place, Grid: c.Grid, Anonymous: c.Anonymous, Target: c.Target, Task: c.Task,
		Sign: sign, Contact: contact, Handle: work, ReturnBy: returnBy}, err
}

// attachable refuses demands that do not exist and, to a person, those that have ended.
func attachable(at rule.At, id string, demands ...stream.ID) *rule.Refusal {
	for _, d := range demands {
		switch f, found := at.Facts.Demand(d); {
		case !found:
			return needs(id, "诉求不存在", "there is no such demand")
		case !f.Live && at.Actor.Role != orgs.System:
			return needs(id, "诉求已经结束："+f.Phase, "the demand has ended: it is "+f.Phase)
		}
	}
	return nil
}

// O2.
func (c Sign) decide(s State, at rule.At) (Event, error) {
	return Signed{At: s.effective(at)}, firm(s.holds(at, "O2"))
}

// O3. Each unit may ask once, while the window is open, unless the leg is final.
func (c RequestReturn) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.holds(at, "O3")); err != nil {
		return nil, err
	}
	u, known := at.Units.Unit(c.Suggested)
	switch {
	case s.Leg().Final:
		return nil, rule.Refuse(rule.ReturnExhausted, "O3", "已经裁定，不得再退", "it was ruled on: this leg can not be returned")
	case slices.Contains(s.Returns, s.Lead):
		return nil, rule.Refuse(rule.ReturnExhausted, "O3", "本单位已申请过退单", "this unit has asked to return it before")
	case !calendar.OnTime(s.effective(at), s.ReturnBy):
		return nil, rule.Refuse(rule.WindowClosed, "O3", "已过退单时限 "+local(s.ReturnBy), "it could be returned until "+local(s.ReturnBy))
	case c.Reason.IsZero():
		return nil, needs("O3", "请填写退单理由", "the reason is missing")
	case !known || u.Closed || c.Suggested == s.Lead:
		return nil, needs("O3", "请建议另一个在册的承办单位", "suggest another unit that exists")
	}
	if err := firm(said(c.Basis, "O3", "退单的法律依据", "legal basis")); err != nil {
		return nil, err
	}
	due, err := s.due(at, calendar.ReturnDecision)
	return ReturnRequested{Reason: c.Reason, Basis: c.Basis, Suggested: c.Suggested, ReturnDecision: due}, err
}

// rules refuses unless the actor rules on the return: the dispatcher one level above the dispatching unit; at
// the top, and on a problem order, an arbiter. Nobody rules on a return by the own unit.
func (s State) rules(at rule.At, id string) *rule.Refusal {
	above, found := superior(at.Units, s.By, s.Lead)
	switch {
	case (s.Problem || !found) && at.Actor.Role != orgs.Arbiter:
		return rule.Refuse(rule.RoleMissing, id, "须由裁定机构决定", "an arbiter decides this")
	case s.Problem || !found:
		if r := rule.Reaches(at, s.Place, id); r != nil {
			return r
		}
	case at.Actor.Role != orgs.Dispatcher:
		return rule.Refuse(rule.RoleMissing, id, fmt.Sprintf("由 %s 的指挥调度决定", above), fmt.Sprintf("the dispatcher of %s decides this", above))
	case at.Actor.Unit != above:
		return rule.Refuse(rule.OutsideJuris, id, fmt.Sprintf("由 %s 的指挥调度决定", above), fmt.Sprintf("the dispatcher of %s decides this", above))
	}
	return rule.Independent(at, []orgs.UnitCode{s.Lead}, id)
}

// superior returns the nearest unit above by that stands on a higher level and is not the lead itself.
func superior(units *orgs.Tree, by, lead orgs.UnitCode) (orgs.UnitCode, bool) {
	for above, found := units.Parent(by); found; above, found = units.Parent(above) {
		if units.Level(above) > units.Level(by) && !units.SameBody(above, lead) {
			return above, true
		}
	}
	return "", false
}

// final reports whether the next ruling ends the dispute over who is competent: so many units have asked (rule E3).
func (s State) final(at rule.At) bool { return len(s.Returns) >= at.Escalation.OrDefault().Bounces }

// O6, O7.
func (c RefuseReturn) decide(s State, at rule.At) (Event, error) {
	return ReturnRefused{Reason: c.Reason, Final: s.final(at)}, firm(s.rules(at, "O6"), said(c.Reason, "O6", "驳回理由", "reason"))
}

// O8.
func (c ApproveReturn) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.rules(at, "O8")); err != nil {
		return nil, err
	}
	due, err := s.due(at, calendar.Redispatch)
	return ReturnApproved{Reason: c.Reason, Redispatch: due}, err
}

// O9. An arbiter may give it to any unit of the own area; a problem order is the arbiter's alone to give.
func (c Redispatch) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Place, "O9")); err != nil {
		return nil, err
	}
	returned := slices.ContainsFunc(s.Legs, func(l Leg) bool { return l.Returned && l.Lead == c.Lead })
	switch {
	case s.Problem && at.Actor.Role != orgs.Arbiter:
		return nil, rule.Refuse(rule.RoleMissing, "O9", "问题工单由裁定机构重派", "an arbiter redispatches a problem order")
	case !s.Problem && at.Actor.Role != orgs.Dispatcher:
		return nil, rule.Refuse(rule.RoleMissing, "O9", "由指挥调度重派", "a dispatcher redispatches it")
	case returned:
		return nil, rule.Refuse(rule.ReturnExhausted, "O9", fmt.Sprintf("%s 已退回过本单", c.Lead), fmt.Sprintf("%s has returned this order before", c.Lead))
	case s.Problem:
		if err := firm(rule.Reaches(at, c.Lead, "O9")); err != nil {
			return nil, err
		}
	default:
		if err := firm(rule.MayDispatch(at, c.Lead)); err != nil {
			return nil, err
		}
	}
	if err := firm(team(at, c.Lead, c.Competent, c.CoUnits, s.Matter, "O9")); err != nil {
		return nil, err
	}
	s.Legs = append(slices.Clip(s.Legs), Leg{})
	sign, contact, work, returnBy, err := s.promises(at)
	return Redispatched{Leg: len(s.Legs), Lead: c.Lead, Competent: c.Competent, CoUnits: c.CoUnits, Final: s.final(at),
		By: at.Actor.Unit, Sign: sign, Contact: contact, Handle: work, ReturnBy: returnBy}, err
}

// O4.
func (c RecordContact) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.holds(at, "O4"), oneOf(c.Means, Means(), "O4", "联系方式", "means of contact")); err != nil {
		return nil, err
	}
	if len(c.Demands) == 0 {
		return nil, needs("O4", "请指明联系了哪些诉求的居民", "name the demands whose residents were contacted")
	}
	for _, d := range c.Demands {
		if !slices.Contains(s.Demands, d) {
			return nil, needs("O4", "该诉求不属于本单", "the order does not serve that demand")
		}
	}
	return Contacted{Demands: c.Demands, Means: c.Means, At: s.effective(at), Note: c.Note}, nil
}

// O5. Of an order that serves no demand any more, or none yet, every demand is anonymous.
func (c WaiveContact) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.holds(at, "O5")); err != nil {
		return nil, err
	}
	switch {
	case c.Cause == "patrol" && s.Patrol, c.Cause == "anonymous" && s.Anonymous, c.Cause == "no_demand" && len(s.Demands) == 0:
		return ContactNotRequired(c), nil
	}
	return nil, needs("O5", "有可联系的居民，不能免联系", "there is a resident to contact, or it is not for that cause")
}

// O10. The leader of the dispatching unit confirms; an arbiter if the review lies far ahead.
func (c Suspend) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.holds(at, "O10"), oneOf(c.Reason, SuspensionReasons(), "O10", "挂账理由", "reason")); err != nil {
		return nil, err
	}
	today, last := calendar.DateOf(at.Recorded), at.Clocks.Cap(calendar.SuspensionCap, at.Recorded)
	if c.ReviewOn <= today || c.ReviewOn > last {
		return nil, needs("O10", fmt.Sprintf("复查日期须在 %s 之后，不晚于 %s", today, last),
			fmt.Sprintf("the review date must lie after %s, up to %s", today, last))
	}
	confirmed := s.seconded
	if c.ReviewOn > today+leaderSuspends {
		confirmed = s.arbitrated
	}
	if err := firm(confirmed(at, "O10")); err != nil {
		return nil, err
	}
	due, err := at.Clocks.Until(s.dueID(calendar.SuspensionReview), calendar.SuspensionReview, at.Recorded, c.ReviewOn)
	return Suspended{Reason: c.Reason, Basis: c.Basis, ReviewOn: c.ReviewOn, FrozenAt: s.effective(at), Review: due}, err
}

// arbitrated refuses unless an arbiter of the area confirms.
func (s State) arbitrated(at rule.At, id string) *rule.Refusal {
	if r := rule.Confirmed(at.Stamp, id, orgs.Arbiter); r != nil {
		return r
	}
	at.Actor = *at.Second
	return rule.Reaches(at, s.Place, id)
}

// O11. The clock resumes in the last second of the review date; people may do so earlier.
func (c Resume) decide(s State, at rule.At) (Event, error) {
	review, _ := s.Running.Get(calendar.SuspensionReview)
	switch {
	case at.Actor.Role == orgs.System:
		if at.Recorded.Before(review.Due) {
			return nil, needs("O11", "复查日期 "+local(review.Due)+" 未满", "the review date is not over: "+local(review.Due))
		}
	case !s.ofDispatcher(at.Actor):
		if err := firm(s.holds(at, "O11")); err != nil {
			return nil, err
		}
	}
	due, err := at.Clocks.Restart(s.Frozen, s.FrozenAt, at.Recorded)
	return Resumed{Handle: s.moved(s.Frozen, due)}, err
}

// O12.
func (c ReportHandling) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.holds(at, "O12"), oneOf(c.Outcome, Outcomes(), "O12", "办理结果", "outcome"),
		said(c.Summary, "O12", "公开摘要", "public summary")); err != nil {
		return nil, err
	}
	switch {
	case c.Answer.IsZero():
		return nil, needs("O12", "请填写答复内容", "the answer is missing")
	case len(c.Evidence) == 0 && c.Account.IsZero():
		return nil, rule.Refuse(rule.EvidenceMissing, "O12", "请附办理证据或办理经过", "attach evidence, or an account of what was done")
	case slices.ContainsFunc(c.Evidence, func(h string) bool { return !hash(h) }):
		return nil, rule.Refuse(rule.EvidenceMissing, "O12", "证据须以 SHA-256 十六进制表示", "evidence is named by its SHA-256 in lower-case hexadecimal")
	case c.Persons < 0:
		return nil, needs("O12", "人次不能为负", "person-times can not be negative")
	case len(s.Awaited) > 0:
		return nil, needs("O12", fmt.Sprintf("协办单位尚未反馈：%v", s.Awaited), fmt.Sprintf("co-units have not reported: %v", s.Awaited))
	}
	due, err := s.due(at, calendar.Verify)
	return Reported{Outcome: c.Outcome, Answer: c.Answer, Summary: c.Summary, Evidence: c.Evidence, Account: c.Account,
		Persons: c.Persons, Attempt: s.Attempt, DoneAt: s.effective(at), Verify: due}, err
}

// hash reports whether a text is a SHA-256 in lower-case hexadecimal.
func hash(h string) bool { return len(h) == 64 && strings.Trim(h, "0123456789abcdef") == "" }

// verifier refuses unless the actor works for the area and handled nothing of the order (rule I2).
func (s State) verifier(at rule.At, id string) *rule.Refusal {
	if r := rule.Reaches(at, s.Place, id); r != nil {
		return r
	}
	return rule.Independent(at, s.Bodies(), id)
}

// O13. What a verifier sees, a resident says or the draw leaves out.
func (c PassVerification) decide(s State, at rule.At) (Event, error) {
	switch at.Actor.Role {
	case orgs.Verifier:
		if err := firm(s.verifier(at, "O13"), oneOf(c.Method, checked(), "O13", "核查方式", "method")); err != nil {
			return nil, err
		}
	case orgs.Resident:
		switch {
		case c.Method != "resident_confirmed":
			return nil, needs("O13", "居民只能作居民确认", "a resident confirms, and does nothing else")
		case s.Kind != "errand" && s.Kind != "consult":
			return nil, needs("O13", "只有帮办和咨询可由居民确认", "a resident confirms an errand or a consult only")
		case len(s.Demands) == 0:
			return nil, needs("O13", "本单不涉及居民诉求", "the order serves no resident's demand")
		}
	case orgs.System:
		if c.Method != "sampled_out" {
			return nil, needs("O13", "系统只登记未抽中", "the process manager passes what was not drawn, and nothing else")
		}
	}
	switch {
	case c.Method == "sampled_out" && (c.Rate < 0 || c.Rate >= always):
		return nil, needs("O13", "抽查率为万分之 0 至 9999", "the sampling rate is 0 to 9999 per ten thousand")
	case c.Method != "sampled_out" && c.Rate != 0:
		return nil, needs("O13", "只有未抽中的记录抽查率", "only what was not drawn has a sampling rate")
	}
	return VerificationPassed{Method: c.Method, Rate: c.Rate, Note: c.Note, Outcome: s.Report.Outcome, Summary: s.Report.Summary,
		Report: s.Report.Revision, DoneAt: s.Report.DoneAt}, nil
}

// O14. What was left of the time runs on.
func (c FailVerification) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.verifier(at, "O14"), said(c.Reason, "O14", "核查不通过的理由", "reason"), oneOf(c.Method, checked(), "O14", "核查方式", "method")); err != nil {
		return nil, err
	}
	due, err := at.Clocks.Restart(s.Frozen, s.FrozenAt, at.Recorded)
	return VerificationFailed{Reason: c.Reason, Method: c.Method, Attempt: s.Attempt + 1, Handle: s.moved(s.Frozen, due)}, err
}

// O15.
func (c Close) decide(s State, at rule.At) (Event, error) {
	return Closed(c), firm(oneOf(c.Cause, []string{"answered", "no_demand"}, "O15", "结案原因", "cause"))
}

// O16.
func (c OrderRework) decide(s State, at rule.At) (Event, error) {
	due, err := s.another(at, "O16", c.Cause, c.Demand, c.Reason)
	return ReworkOrdered{Round: s.Round + 1, Cause: c.Cause, Demand: c.Demand, Reason: c.Reason, Rework: due}, err
}

// O17.
func (c Reopen) decide(s State, at rule.At) (Event, error) {
	due, err := s.another(at, "O17", c.Cause, c.Demand, c.Reason)
	return Reopened{Round: s.Round + 1, Cause: c.Cause, Demand: c.Demand, Reason: c.Reason, Rework: due}, err
}

// another checks what makes another round, and starts its clock.
func (s State) another(at rule.At, id, cause string, demand stream.ID, reason sealed.Public) (calendar.Due, error) {
	if err := firm(s.dispatcherLeads(at, id), oneOf(cause, []string{"callback", "supervision"}, id, "返工来源", "cause")); err != nil {
		return calendar.Due{}, err
	}
	switch {
	case cause == "callback" && demand.IsZero():
		return calendar.Due{}, needs(id, "请指明回访的诉求", "name the demand that was called back")
	case cause == "supervision" && strings.TrimSpace(string(reason)) == "":
		return calendar.Due{}, needs(id, "请填写返工理由", "the reason is missing")
	}
	s.Round++
	return s.due(at, calendar.Rework)
}

// O18. Once it was signed for, the leader of the dispatching unit confirms.
func (c Cancel) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.By, "O18"),
		oneOf(c.Cause, []string{"all_withdrawn", "duplicate", "admission_revoked", "error"}, "O18", "撤单原因", "cause")); err != nil {
		return nil, err
	}
	if at.Actor.Role != orgs.System {
		if err := firm(said(c.Reason, "O18", "撤单理由", "reason")); err != nil {
			return nil, err
		}
		if s.Phase != PhaseDispatched {
			if err := firm(s.seconded(at, "O18")); err != nil {
				return nil, err
			}
		}
	}
	return Cancelled(c), nil
}

// A co-unit may report more than once, and in every round.
func (c ReportCoUnit) decide(s State, at rule.At) (Event, error) {
	if !slices.Contains(s.Leg().CoUnits, c.Unit) {
		return nil, needs("O12", fmt.Sprintf("%q 不是协办单位", c.Unit), fmt.Sprintf("%q is no co-unit of the order", c.Unit))
	}
	return CoUnitReported(c), firm(actsFor(at, c.Unit, "O12"), said(c.Summary, "O12", "协办情况", "summary"))
}

func (c ReleaseCoUnit) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.holds(at, "O12")); err != nil {
		return nil, err
	}
	if !slices.Contains(s.Awaited, c.Unit) {
		return nil, needs("O12", fmt.Sprintf("%q 不是待反馈的协办单位", c.Unit), fmt.Sprintf("%q is no co-unit that is waited for", c.Unit))
	}
	return CoUnitReleased(c), nil
}

// RequestExtension: before due, once per round, at most the original amount, and with the residents told.
func (c RequestExtension) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.holds(at, "I3"), said(c.Reason, "I3", "延期理由", "reason")); err != nil {
		return nil, err
	}
	work, runs := s.Running.Get(s.Work())
	switch {
	case !runs || !calendar.OnTime(s.effective(at), work.Due):
		return nil, rule.Refuse(rule.WindowClosed, "I3", "须在时限届满前申请延期", "an extension is asked for before the work is due")
	case s.Extension.Round == s.Round:
		return nil, needs("I3", "每轮只能申请一次延期", "an extension is asked for once per round")
	case c.Amount < 1 || c.Amount > work.Amount:
		return nil, needs("I3", fmt.Sprintf("延期须为 1 至 %d（%s）", work.Amount, work.Kind),
			fmt.Sprintf("an extension is 1 to %d %s", work.Amount, work.Kind))
	case !c.Told && !s.Anonymous && len(s.Demands) > 0:
		return nil, needs("I3", "延期须告知居民", "the residents must be told")
	}
	due, err := s.due(at, calendar.ExtensionDecision)
	return ExtensionRequested{Amount: c.Amount, Reason: c.Reason, Told: c.Told, Decision: due}, err
}

// GrantExtension: nobody grants the own request, and one not decided in time is refused.
func (c GrantExtension) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.decides(at)); err != nil {
		return nil, err
	}
	decision, _ := s.Running.Get(calendar.ExtensionDecision)
	if !calendar.OnTime(s.effective(at), decision.Due) {
		return nil, rule.Refuse(rule.WindowClosed, "I3", "逾期未批视为不同意："+local(decision.Due), "undecided in time is refused: it was due "+local(decision.Due))
	}
	work, _ := s.Running.Get(s.Work())
	due, err := at.Clocks.Extend(work, s.Extension.Amount)
	return ExtensionGranted{Handle: s.moved(work, due), Reason: c.Reason}, err
}

// RefuseExtension: a person says why; the clock refuses what nobody decided by the due instant.
func (c RefuseExtension) decide(s State, at rule.At) (Event, error) {
	if at.Actor.Role == orgs.System {
		decision, waits := s.Running.Get(calendar.ExtensionDecision)
		switch {
		case !waits:
			return nil, nil
		case calendar.OnTime(at.Recorded, decision.Due):
			return nil, needs("I3", "批复时限 "+local(decision.Due)+" 未到", "it may be decided until "+local(decision.Due))
		}
		return ExtensionRefused{Reason: undecided}, nil
	}
	return ExtensionRefused(c), firm(s.decides(at), said(c.Reason, "I3", "不同意延期的理由", "reason"))
}

// decides refuses unless a request waits and the actor, leader of the dispatching unit, is not who asked.
func (s State) decides(at rule.At) *rule.Refusal {
	if r := s.dispatcherLeads(at, "I3"); r != nil {
		return r
	}
	switch {
	case !s.Extension.Pending:
		return needs("I3", "没有待批的延期申请", "no request for an extension is waiting")
	case s.Extension.By == at.Actor.ID:
		return rule.Refuse(rule.SecondPerson, "I3", "申请人不能批准自己的延期", "whoever asked can not decide")
	}
	return nil
}

func (c AttachDemand) decide(s State, at rule.At) (Event, error) {
	if slices.Contains(s.Demands, c.Demand) {
		return nil, nil
	}
	return DemandAttached(c), firm(rule.Reaches(at, s.Place, "O1"), attachable(at, "O1", c.Demand))
}

func (c DetachDemand) decide(s State, at rule.At) (Event, error) {
	if !slices.Contains(s.Demands, c.Demand) {
		return nil, nil
	}
	return DemandDetached(c), firm(rule.Reaches(at, s.Place, "O1"))
}

// Reassign: a unit's head chooses the person; after a re-division the process manager names the successor
// grid, or the community where there is none, and otherwise who answers for the grid now (rule R21). The order never
// leaves its community that way (rule I1).
func (c Reassign) decide(s State, at rule.At) (Event, error) {
	c.Lead = cmp.Or(c.Lead, s.Lead)
	to := Reassigned{Lead: c.Lead, Worker: c.Worker, Reason: c.Reason}
	if at.Actor.Role == orgs.System && (c.Held != "" && c.Held != s.Lead || c.Lead == s.Lead && c.Worker == s.Worker) {
		return nil, nil
	}
	if c.Lead == s.Lead {
		if c.Worker == "" || c.Worker == s.Worker {
			return nil, needs("R21", "没有要变更的承办人", "no other person is named")
		}
		if at.Actor.Role == orgs.System {
			return to, nil
		}
		return to, firm(s.holds(at, "R21"))
	}
	old, grid := at.Units.Grid(orgs.GridCode(s.Lead))
	u, known := at.Units.Unit(c.Lead)
	switch {
	case at.Actor.Role != orgs.System:
		return nil, rule.Refuse(rule.RoleMissing, "I1", "单位之间不能改派，请退单", "a unit keeps its order, or asks to return it")
	case !grid || !known || u.Closed || c.Lead != old.Community && u.Parent != old.Community:
		return nil, needs("R21", "须改派给同一社区的网格或该社区", "the successor is a grid of the same community, or that community")
	}
	return to, nil
}

func (c IssueSupervision) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Place, "E5"), said(c.Reason, "E5", "督办事由", "reason")); err != nil {
		return nil, err
	}
	due, err := s.due(at, calendar.Supervision)
	return SupervisionIssued{Number: len(s.Supervisions) + 1, Reason: c.Reason, Deadline: due}, err
}

func (c AnswerSupervision) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.holds(at, "E5"), said(c.Answer, "E5", "督办答复", "answer")); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(s.Supervisions, func(v Supervision) bool { return v.Number == c.Number && v.Open }) {
		return nil, needs("E5", fmt.Sprintf("没有待答复的第 %d 号督办", c.Number), fmt.Sprintf("no supervision %d waits for an answer", c.Number))
	}
	return SupervisionAnswered(c), nil
}

// NoteDemandReopened is the process manager's (R22).
func (c NoteDemandReopened) decide(_ State, _ rule.At) (Event, error) {
	if c.Demand.IsZero() || c.Round < 2 {
		return nil, needs("R22", "请指明重新提出的诉求及轮次", "name the demand that was raised again and its round, 2 or later")
	}
	return ServedDemandReopened(c), nil
}

// RecomputeDeadline counts a clock anew with the calendar there is now: after a notice has arrived, or was corrected. One
// that stands still is counted as if it ran; what is left of it is counted on when it does again.
func (c RecomputeDeadline) decide(s State, at rule.At) (Event, error) {
	old, runs := s.Running.Due(c.ID)
	if !runs && s.Frozen.ID == c.ID {
		old = s.Frozen
	}
	from := old.StartedAt
	if old.Clock == s.Work() && !s.Restarted.IsZero() {
		from = s.Restarted
	}
	r, err := rule.Recounted(at, s.Place, old, from, s.dueID(old.Clock), c.Reason)
	if r == nil {
		return nil, err
	}
	return DeadlineRecomputed(*r), nil
}

// Rate lets the street that a leg was dispatched by say what it thinks of it (§7.3), once the order is closed; before, nobody
// knows how it ends. The last word counts. As on the form of a period, a comment is needed below 60 and above 95.
func (c Rate) decide(s State, at rule.At) (Event, error) {
	if c.Leg < 1 || c.Leg > len(s.Legs) {
		return nil, needs("O15", fmt.Sprintf("没有第 %d 段承办", c.Leg), fmt.Sprintf("there is no leg %d", c.Leg))
	}
	l := s.Legs[c.Leg-1]
	street, _ := at.Units.Ancestor(l.By, orgs.Street)
	switch {
	case street == "" || at.Actor.Unit != street:
		return nil, rule.Refuse(rule.OutsideJuris, "O15", "只有派单的街道可以评分", "only the street that dispatched the leg rates it")
	case l.Returned:
		return nil, needs("O15", "该段已退单，不计入该单位", "the leg was sent back: it is not in the unit's account")
	case c.Score < 0 || c.Score > 100:
		return nil, needs("O15", "评分为 0 至 100", "a rating is 0 to 100")
	case c.Score < 60 || c.Score > 95:
		if r := said(c.Comment, "O15", "评语（低于 60 或高于 95 分时）", "comment, needed below 60 and above 95"); r != nil {
			return nil, r
		}
	}
	if l.Rated && l.Rating == c.Score && l.Remark == c.Comment {
		return nil, nil
	}
	return Rated(c), nil
}
