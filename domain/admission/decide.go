package admission

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/catalogue"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Command is something that the asking unit, the admission office, a street, a community or the clock wants done with a request.
type Command interface {
	// Name is the command's word in the table and in the path of the API.
	Name() string
	// decide returns nil and no error if what is asked for is so already.
	decide(State, rule.At) (Event, error)
}

// The commands, in the order of the table. Their members mean what the event of the same row says.
type (
	Request struct {
		Matter    string
		Role      duty.Role
		Units     []orgs.UnitCode
		From      calendar.Date
		Until     calendar.Date
		Task      sealed.Public
		Basis     sealed.Public
		Staff     int
		Budget    int64 // fen
		Emergency sealed.Public
		Topic     stream.ID
	}
	OpenReview struct{}
	Withdraw   struct{}
	// Grant grants what was asked for, or less: no unit, no date means those of the request.
	Grant struct {
		Units   []orgs.UnitCode
		From    calendar.Date
		Until   calendar.Date
		Funding sealed.Public
	}
	Refuse struct{ Reason sealed.Public }
	Revoke struct{ Reason sealed.Public }
	Expire struct{ ID string } // of the due instant; the clock's

	RecordOpinion struct {
		Supports bool
		Reason   sealed.Public
	}
	RecordFunding     struct{ Reference sealed.Public }
	RecomputeDeadline struct {
		ID     string // of the due instant
		Reason sealed.Public
	}

	// The clock's own; each decides nothing when the step was taken or it fired before.
	RaiseWarning struct{ ID string }
	ExpireClock  struct{ ID string }
)

// The names of the commands.
func (Request) Name() string           { return "request" }
func (OpenReview) Name() string        { return "open-review" }
func (Withdraw) Name() string          { return "withdraw" }
func (Grant) Name() string             { return "grant" }
func (Refuse) Name() string            { return "refuse" }
func (Revoke) Name() string            { return "revoke" }
func (Expire) Name() string            { return "expire" }
func (RecordOpinion) Name() string     { return "record-opinion" }
func (RecordFunding) Name() string     { return "record-funding" }
func (RecomputeDeadline) Name() string { return "recompute-deadline" }
func (RaiseWarning) Name() string      { return "raise-warning" }
func (ExpireClock) Name() string       { return "expire-clock" }

// Limits of ours, where no law says more.
const (
	notice   = 30      // working days from the request to the first day, unless it is an emergency (practice)
	maxTerm  = 3 * 366 // natural days: a mistyped year must not open the gate for good
	maxStaff = 100_000
	maxFen   = 1e12 // ten thousand million yuan
)

// Needs names the other streams that a command must know.
func Needs(_ State, c Command) rule.Refs {
	if c, asks := c.(Request); asks && !c.Topic.IsZero() {
		return rule.Refs{Topics: []stream.ID{c.Topic}}
	}
	return rule.Refs{}
}

// Decide returns what a command makes happen: one event, and the rise that comes with an expiry (rule E5); none if the
// same person says at the same moment what was said last, or if what is asked for is so already. The error is a
// [*rule.Refusal], or comes from the calendar.
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
	if x, expired := e.(ClockExpired); expired {
		if up := s.rise(x, at); up != nil {
			return []Event{e, Escalated(*up)}, nil
		}
	}
	return []Event{e}, nil
}

// rise returns what an expiry lifts: the level above the office that owes the answer.
func (s State) rise(e ClockExpired, at rule.At) *rule.Escalation {
	return s.Attention.Rise(at, s.Office, s.Attention.Next(at, s.Office), rule.Escalation{Rule: "E5", ID: e.ID, Due: e.Due, LateBy: e.LateBy})
}

// answer asks the table, then the guards.
func answer(s State, c Command, at rule.At) (Event, error) {
	return rule.Ask(&Machine, s.ID, s.Phase, c.Name(), at, func(at rule.At) (Event, error) { return c.decide(s, at) })
}

// repeats reports whether the same person asks at the same moment for what was decided last. The question is
// put to the state of then, at the time of then.
func repeats(s State, c Command, at rule.At) bool {
	if _, warns := c.(RaiseWarning); warns || s.before == nil {
		return false
	}
	return rule.Again(at, s.last, s.lastStamp, func(then rule.At) (Event, error) { return answer(*s.before, c, then) })
}

// dueID is unique in the stream for ever: clock, no round, no leg, and a serial (rule I15).
func (s State) dueID(c calendar.Clock) string { return fmt.Sprintf("%s/0/0/%d", c, s.Dues+1) }

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

// said refuses a text that was left empty.
func said(text sealed.Public, id, zh, en string) *rule.Refusal {
	if strings.TrimSpace(string(text)) != "" {
		return nil
	}
	return needs(id, "请填写"+zh, "the "+en+" is missing")
}

// asks refuses unless the actor acts for the unit that asked.
func (s State) asks(at rule.At, id string) *rule.Refusal {
	if at.Actor.Unit == s.By {
		return nil
	}
	return outside(id, fmt.Sprintf("只有申请单位 %s 可以办理", s.By), fmt.Sprintf("only the asking unit %s may do this", s.By))
}

// decides refuses unless the actor's office is the one that decides, or one above it.
func (s State) decides(at rule.At, id string) *rule.Refusal { return rule.Reaches(at, s.Office, id) }

// scope checks the units of a request or grant.
func scope(at rule.At, units []orgs.UnitCode, id string) *rule.Refusal {
	if len(units) == 0 {
		return needs(id, "请写明准入范围", "name the units that are to bear it")
	}
	for i, c := range units {
		u, known := at.Units.Unit(c)
		switch {
		case !known || u.Closed:
			return needs(id, fmt.Sprintf("单位 %s 不存在或已撤销", c), fmt.Sprintf("the unit %s does not exist or is closed", c))
		case u.Kind != orgs.District && u.Kind != orgs.Street && u.Kind != orgs.Community:
			return needs(id, fmt.Sprintf("%s 不是区县旗、街道或社区", c), fmt.Sprintf("%s is no district, street or community", c))
		case slices.Contains(units[:i], c):
			return needs(id, fmt.Sprintf("%s 重复", c), fmt.Sprintf("%s is named twice", c))
		}
	}
	return nil
}

// office returns the district whose office decides, or the city if units of several districts are asked for.
func office(units *orgs.Tree, scope []orgs.UnitCode) orgs.UnitCode {
	first, _ := units.Ancestor(scope[0], orgs.District)
	if slices.ContainsFunc(scope, func(c orgs.UnitCode) bool { return !units.Within(c, first) }) {
		first, _ = units.Ancestor(scope[0], orgs.City)
	}
	return first
}

// opens refuses an admission that would open nothing for one of its units, by the lists as they are published for a date.
func opens(at rule.At, units []orgs.UnitCode, matter string, role duty.Role, on calendar.Date, id string) *rule.Refusal {
	g, listed := at.Gate.(interface {
		Shut(scope orgs.UnitCode, matter string, role duty.Role, on calendar.Date) (duty.Verdict, bool)
	})
	if !listed {
		return nil
	}
	for _, u := range units {
		v, shut := g.Shut(u, matter, role, on)
		if !shut {
			continue
		}
		named, as := v.List.Named(), rule.Say("协办", "to assist")
		if role == duty.Lead {
			as = rule.Say("主办", "to lead")
		}
		return needs(id, fmt.Sprintf("准入不能使 %s %s事项 %s：%s 的%s第 %d 版载有“%s”，任何准入都不能打开", u, as.Zh, matter, v.Publisher, named.Zh, v.Version, v.Item.Row),
			fmt.Sprintf("no admission makes %s open for %s %s: %s of %s, version %d, has %q, and no grant opens that", matter, u, as.En, named.En, v.Publisher, v.Version, v.Item.Row))
	}
	return nil
}

// A1. A unit asks for places within itself or within the unit that hosts it.
func (c Request) decide(s State, at rule.At) (Event, error) {
	by, _ := at.Units.Unit(at.Actor.Unit)
	_, known := catalogue.Lookup(catalogue.Code(c.Matter))
	today := calendar.DateOf(at.Recorded)
	if err := firm(scope(at, c.Units, "A1"), said(c.Task, "A1", "工作内容", "task"), said(c.Basis, "A1", "法律依据", "legal basis")); err != nil {
		return nil, err
	}
	for _, u := range c.Units {
		if !at.Units.Within(u, by.Code) && !at.Units.Within(u, by.Parent) {
			return nil, outside("A1", fmt.Sprintf("%s 不在 %s 的工作范围内", u, by.Code), fmt.Sprintf("%s lies outside the area of %s", u, by.Code))
		}
	}
	earliest := calendar.DateOf(at.Clocks.Add(at.Recorded, calendar.Amount{N: notice, Kind: calendar.WorkingDays}))
	topic, found := at.Facts.Topic(c.Topic)
	switch {
	case !known:
		return nil, needs("A1", fmt.Sprintf("事项目录中没有 %q", c.Matter), fmt.Sprintf("the catalogue has no matter %q", c.Matter))
	case c.Role != duty.Lead && c.Role != duty.Assist:
		return nil, needs("A1", "须写明主办（lead）或协办（assist）", "the role is lead or assist")
	case c.Until < c.From:
		return nil, needs("A1", "终止日期早于起始日期", "the last day lies before the first")
	case c.Until-c.From >= maxTerm:
		return nil, needs("A1", "期限不能超过三年", "the term is at most three years")
	case c.From < today:
		return nil, needs("A1", "起始日期已过", "the first day is over")
	case c.Emergency == "" && c.From < earliest:
		return nil, needs("A1", fmt.Sprintf("须提前 %d 个工作日申请，最早自 %s 起；紧急事项请说明理由", notice, earliest),
			fmt.Sprintf("it is asked for %d working days ahead: from %s at the earliest, unless you say why it is an emergency", notice, earliest))
	case c.Staff < 0 || c.Budget < 0 || c.Staff > maxStaff || c.Budget > maxFen:
		return nil, needs("A1", "人员或经费数额有误", "staff or budget is out of range")
	case c.Staff == 0 && c.Budget == 0:
		return nil, needs("A1", "费随事转：请写明随事项下沉的人员或经费", "money goes with the matter: name the staff or the budget that comes with it")
	case !c.Topic.IsZero() && (!found || topic.Terminal):
		return nil, needs("A1", "所涉议题不存在或已结束", "the topic does not exist or has ended")
	}
	if r := opens(at, c.Units, c.Matter, c.Role, c.From, "A1"); r != nil {
		return nil, r
	}
	decide, err := at.Clocks.Start(s.dueID(calendar.Admission), calendar.Admission, "", "", at.Recorded)
	return Requested{By: by.Code, Office: office(at.Units, c.Units), Matter: c.Matter, Role: c.Role, Units: c.Units, From: c.From, Until: c.Until,
		Task: c.Task, Basis: c.Basis, Staff: c.Staff, Budget: c.Budget, Emergency: c.Emergency, Topic: c.Topic, Decide: decide}, err
}

// A2. Of a district its streets are asked.
func (OpenReview) decide(s State, at rule.At) (Event, error) {
	var asked []orgs.UnitCode
	for _, c := range s.Units {
		u, _ := at.Units.Unit(c)
		if u.Kind != orgs.District {
			asked = append(asked, c)
			continue
		}
		for _, child := range at.Units.Children(c) {
			if k, _ := at.Units.Unit(child); k.Kind == orgs.Street && !k.Closed {
				asked = append(asked, child)
			}
		}
	}
	slices.Sort(asked)
	return ReviewOpened{Asked: slices.Compact(asked)}, firm(s.decides(at, "A2"))
}

// A3.
func (Withdraw) decide(s State, at rule.At) (Event, error) {
	return Withdrawn{}, firm(s.asks(at, "A3"))
}

// A4. An office grants no more than was asked for.
func (c Grant) decide(s State, at rule.At) (Event, error) {
	if len(c.Units) == 0 {
		c.Units = s.Units
	}
	if c.From.IsZero() {
		c.From = s.From
	}
	if c.Until.IsZero() {
		c.Until = s.Until
	}
	if err := firm(s.decides(at, "A4"), rule.SecondReaches(at, s.Office, "A4"), scope(at, c.Units, "A4"),
		said(c.Funding, "A4", "经费文号", "funding reference")); err != nil {
		return nil, err
	}
	for _, u := range c.Units {
		if !slices.ContainsFunc(s.Units, func(asked orgs.UnitCode) bool { return at.Units.Within(u, asked) }) {
			return nil, needs("A4", fmt.Sprintf("%s 不在申请范围内", u), fmt.Sprintf("%s was not asked for", u))
		}
	}
	if c.From < s.From || c.Until > s.Until || c.Until < c.From {
		return nil, needs("A4", fmt.Sprintf("期限须在 %s 至 %s 之内", s.From, s.Until), fmt.Sprintf("the term must lie within %s to %s", s.From, s.Until))
	}
	if r := opens(at, c.Units, s.Matter, s.Role, max(c.From, calendar.DateOf(at.Recorded)), "A4"); r != nil {
		return nil, r
	}
	due, err := at.Clocks.Until(s.dueID(calendar.Expiry), calendar.Expiry, at.Recorded, c.Until)
	if errors.Is(err, calendar.ErrBackwards) {
		return nil, needs("A4", fmt.Sprintf("期限已于 %s 届满", c.Until), fmt.Sprintf("the term was over on %s", c.Until))
	}
	return Granted{Units: c.Units, From: c.From, Until: c.Until, Funding: c.Funding, Expiry: due}, err
}

// A5.
func (c Refuse) decide(s State, at rule.At) (Event, error) {
	return Refused(c), firm(s.decides(at, "A5"), said(c.Reason, "A5", "不予准入的理由", "reason"))
}

// A6.
func (c Revoke) decide(s State, at rule.At) (Event, error) {
	return Revoked(c), firm(s.decides(at, "A6"), said(c.Reason, "A6", "撤销的理由", "reason"))
}

// A7. On its last day a grant is still live.
func (c Expire) decide(s State, at rule.At) (Event, error) {
	x, r := s.Running.Expire(s.Fired, c.ID, time.Time{}, at)
	if x == nil || x.Clock != calendar.Expiry {
		return nil, firm(r)
	}
	return Expired{ID: x.ID, Due: x.Due, LateBy: x.LateBy}, nil
}

// A street's leader speaks for the street and the communities in it, a secretary for the own community.
func (c RecordOpinion) decide(s State, at rule.At) (Event, error) {
	concerned := func(asked orgs.UnitCode) bool { return at.Units.Within(asked, at.Actor.Unit) }
	if !slices.ContainsFunc(s.Asked, concerned) && !slices.ContainsFunc(s.Asked, func(asked orgs.UnitCode) bool { return at.Units.Within(at.Actor.Unit, asked) }) {
		return nil, outside("A2", fmt.Sprintf("%s 不在征求意见范围内", at.Actor.Unit), fmt.Sprintf("the opinion of %s was not asked", at.Actor.Unit))
	}
	if !c.Supports {
		if r := said(c.Reason, "A2", "反对的理由", "reason against it"); r != nil {
			return nil, r
		}
	}
	return OpinionRecorded{Unit: at.Actor.Unit, Supports: c.Supports, Reason: c.Reason}, nil
}

// Funding arrives once.
func (c RecordFunding) decide(s State, at rule.At) (Event, error) {
	if !s.FundedAt.IsZero() {
		return nil, nil
	}
	return Funded(c), firm(s.decides(at, "A4"), said(c.Reference, "A4", "到账或到岗凭据", "reference of the payment"))
}

func (c RaiseWarning) decide(s State, at rule.At) (Event, error) {
	w, r := s.Running.Warn(s.Fired, c.ID, at)
	if w == nil {
		return nil, firm(r)
	}
	return WarningRaised(*w), nil
}

// That nobody answered in time grants nothing.
func (c ExpireClock) decide(s State, at rule.At) (Event, error) {
	if d, _ := s.Running.Due(c.ID); d.Clock == calendar.Expiry {
		return nil, nil
	}
	x, r := s.Running.Expire(s.Fired, c.ID, time.Time{}, at)
	if x == nil {
		return nil, firm(r)
	}
	return ClockExpired(*x), nil
}

// RecomputeDeadline counts a running clock anew with the calendar there is now: after a notice has arrived, or was corrected.
func (c RecomputeDeadline) decide(s State, at rule.At) (Event, error) {
	old, _ := s.Running.Due(c.ID)
	r, err := rule.Recounted(at, s.Office, old, old.StartedAt, s.dueID(old.Clock), c.Reason)
	if r == nil {
		return nil, err
	}
	return DeadlineRecomputed(*r), nil
}
