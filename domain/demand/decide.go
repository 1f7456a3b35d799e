package demand

import (
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

// Command is something that a person, or the process manager, wants done with a demand.
type Command interface {
	// Name is the command's word in the table and in the path of the API.
	Name() string
	// decide returns nil and no error if there is nothing left for the clock to do.
	decide(State, rule.At) (Event, error)
}

// The commands, in the order of the table. Their members mean what the event of the same row says.
type (
	Raise struct {
		Kind       Kind
		Channel    Channel
		External   string
		Anonymous  bool
		NoCallback bool
		Imported   bool
		Title      sealed.Text
		Text       sealed.Text
		Reporter   Reporter
		Address    sealed.Text
		Location   sealed.Text
		Matter     string
		Grid       orgs.GridCode // "" if it is not known where the matter lies
		Unit       orgs.UnitCode // the grid's community, or the unit that holds it until the place is known
		Attached   []Attachment
		SplitFrom  stream.ID
		SplitNo    int
		Number     string
		Tracking   string
	}
	Accept struct {
		Kind    Kind
		Matter  string
		Urgency Urgency
		Unit    orgs.UnitCode
		Grid    orgs.GridCode
		Summary sealed.Public
	}
	AnswerOnTheSpot struct {
		Kind      Kind // "" keeps it
		Outcome   Outcome
		Matter    string
		Summary   sealed.Public
		Answer    sealed.Text
		Agreement string
	}
	Decline struct {
		Reason   DeclineReason
		Citation sealed.Public
		Instead  sealed.Public
	}
	Redirect struct {
		Target  sealed.Public
		Receipt string
	}
	Withdraw struct {
		Confirmed string
		Note      sealed.Text
	}
	LinkToTopic struct{ Topic stream.ID }
	FastTrack   struct {
		Reason   Reason
		Citation sealed.Public
		Route    Route
	}
	UnlinkFromTopic struct{ Reason sealed.Public }
	EnterHandling   struct {
		Topic  stream.ID
		Orders []stream.ID
		Latest calendar.Date // the latest target date among the topic's orders
	}
	Answer struct {
		Outcome  Outcome
		Summary  sealed.Public
		ReviewOn calendar.Date
		From     Source
	}
	ReturnToTopic struct{ Topic stream.ID }
	ReturnToPool  struct {
		Order stream.ID
		Cause string
	}
	RecordCallback struct {
		Resolved bool
		Grade    Grade
		Merit    bool
		Reason   sealed.Public
		Words    sealed.Text
		Order    stream.ID // zero: the only order there is
	}
	WaiveCallback struct{ Cause string }
	Reopen        struct{ Reason sealed.Text }
	UpholdAppeal  struct{ Reason sealed.Public }

	Supplement struct {
		Text     sealed.Text
		Attached []Attachment
	}
	Support struct {
		Supporters int
		Opponents  int
		Tally      bool
	}
	Reclassify struct {
		Kind    Kind
		Matter  string
		Urgency Urgency
	}
	Relocate struct {
		Grid orgs.GridCode
		Unit orgs.UnitCode
	}
	SplitUp               struct{ Children []Child }
	Relate                struct{ Topic stream.ID }
	FileAppeal            struct{ Reason sealed.Text }
	RejectAppeal          struct{ Reason sealed.Public }
	Urge                  struct{ Text sealed.Text }
	RecordCallbackAttempt struct{ Means string }
	Rerate                struct {
		Grade    Grade
		Resolved bool
	}
	NoteProgress struct {
		From    Source
		State   string
		Unit    orgs.UnitCode
		Summary sealed.Public
		Topic   stream.ID // the topic that the fact is about, zero if it is about an order
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
func (Raise) Name() string                 { return "raise" }
func (Accept) Name() string                { return "accept" }
func (AnswerOnTheSpot) Name() string       { return "answer-on-the-spot" }
func (Decline) Name() string               { return "decline" }
func (Redirect) Name() string              { return "redirect" }
func (Withdraw) Name() string              { return "withdraw" }
func (LinkToTopic) Name() string           { return "link-to-topic" }
func (FastTrack) Name() string             { return "fast-track" }
func (UnlinkFromTopic) Name() string       { return "unlink-from-topic" }
func (EnterHandling) Name() string         { return "enter-handling" }
func (Answer) Name() string                { return "answer" }
func (ReturnToTopic) Name() string         { return "return-to-topic" }
func (ReturnToPool) Name() string          { return "return-to-pool" }
func (RecordCallback) Name() string        { return "record-callback" }
func (WaiveCallback) Name() string         { return "waive-callback" }
func (Reopen) Name() string                { return "reopen" }
func (UpholdAppeal) Name() string          { return "uphold-appeal" }
func (Supplement) Name() string            { return "supplement" }
func (Support) Name() string               { return "support" }
func (Reclassify) Name() string            { return "reclassify" }
func (Relocate) Name() string              { return "relocate" }
func (SplitUp) Name() string               { return "split" }
func (Relate) Name() string                { return "relate" }
func (FileAppeal) Name() string            { return "file-appeal" }
func (RejectAppeal) Name() string          { return "reject-appeal" }
func (Urge) Name() string                  { return "urge" }
func (RecordCallbackAttempt) Name() string { return "record-callback-attempt" }
func (Rerate) Name() string                { return "rerate" }
func (NoteProgress) Name() string          { return "note-progress" }
func (RecomputeDeadline) Name() string     { return "recompute-deadline" }
func (RaiseWarning) Name() string          { return "raise-warning" }
func (ExpireClock) Name() string           { return "expire-clock" }

// Needs names the other streams that a command must know.
func Needs(s State, c Command) rule.Refs {
	switch c := c.(type) {
	case LinkToTopic:
		return rule.Refs{Topics: []stream.ID{c.Topic}}
	case Relate:
		return rule.Refs{Topics: []stream.ID{c.Topic}}
	case UnlinkFromTopic:
		return rule.Refs{Topics: []stream.ID{s.Topic}}
	case FastTrack:
		if !c.Route.Join.IsZero() {
			return rule.Refs{Orders: []stream.ID{c.Route.Join}}
		}
	case RecordCallback, RecordCallbackAttempt, WaiveCallback, Rerate:
		return rule.Refs{Orders: slices.Concat(s.Orders, s.Past)} // whoever handled it ever may not call back (rule I2)
	}
	return rule.Refs{}
}

// Decide returns what a command makes happen: one event, and the escalation that comes with it ([State.follows]); none
// if it says again what was said last, or if nothing is left for the clock to do. The error is a [*rule.Refusal], or comes from the calendar.
func Decide(s State, c Command, at rule.At) ([]Event, error) {
	if r := rule.NotFuture(at); r != nil {
		return nil, Machine.Explain(s.Phase, r)
	}
	if repeats(s, c, at) {
		return nil, nil
	}
	e, err := rule.Ask(&Machine, s.ID, s.Phase, c.Name(), at, func(at rule.At) (Event, error) { return c.decide(s, at) })
	if e == nil || err != nil {
		return nil, err
	}
	return append([]Event{e}, s.follows(e, at)...), nil
}

// repeats reports whether the same person says at the same moment what the stream says last. It is asked of
// the state before that: once said, a reopening would be the next round, and an appeal one too many.
func repeats(s State, c Command, at rule.At) bool {
	if s.before == nil || s.lastStamp.Actor != at.Actor || !s.lastStamp.Occurred.Equal(at.Occurred) {
		return false
	}
	e, err := c.decide(*s.before, at)
	return err == nil && rule.Same(e, s.last)
}

// over reports whether a window is over at the decision: instants are compared in whole seconds (rule I18).
func over(at rule.At, last time.Time) bool { return at.Recorded.Truncate(time.Second).After(last) }

// due starts a clock of this stream at an instant.
func (s State) due(at rule.At, c calendar.Clock, from time.Time) (calendar.Due, error) {
	return at.Clocks.Start(s.dueID(c), c, string(s.Kind), string(s.Urgency), from)
}

// dueID is unique in the stream for ever: clock, round, leg (demands have none) and a serial (rule I15).
func (s State) dueID(c calendar.Clock) string {
	return fmt.Sprintf("%s/%d/0/%d", c, max(s.Round, 1), s.Dues+1)
}

// place checks that grid and unit exist and belong together.
func place(at rule.At, grid orgs.GridCode, unit orgs.UnitCode, id string) *rule.Refusal {
	if grid != "" {
		g, known := at.Units.Grid(grid)
		if !known || g.Retired {
			return rule.Refuse(rule.GuardFailed, id, fmt.Sprintf("网格 %s 不存在或已撤销", grid),
				fmt.Sprintf("the grid %s does not exist or is retired", grid))
		}
		if g.Community != unit {
			return rule.Refuse(rule.GuardFailed, id, fmt.Sprintf("网格 %s 不属于 %s", grid, unit),
				fmt.Sprintf("the grid %s does not belong to %s", grid, unit))
		}
		return nil
	}
	if u, known := at.Units.Unit(unit); !known || u.Closed {
		return rule.Refuse(rule.GuardFailed, id, fmt.Sprintf("单位 %s 不存在或已撤销", unit),
			fmt.Sprintf("the unit %s does not exist or is closed", unit))
	}
	return nil
}

// community checks that the unit is a community.
func community(at rule.At, unit orgs.UnitCode, id string) *rule.Refusal {
	if u, _ := at.Units.Unit(unit); u.Kind != orgs.Community {
		return rule.Refuse(rule.GuardFailed, id, fmt.Sprintf("%s 不是社区或村", unit),
			fmt.Sprintf("%s is not a community", unit))
	}
	return nil
}

// own lets a resident act on the own demand only, and anyone else in the own jurisdiction. A channel may act
// on what it brought in.
func (s State) own(at rule.At, id string) *rule.Refusal {
	if at.Actor.ID == s.RaisedBy.ID {
		return nil
	}
	if at.Actor.Role == orgs.Resident {
		return rule.Refuse(rule.OutsideJuris, id, "只能办理本人的诉求", "this is another resident's demand")
	}
	return rule.Reaches(at, s.Unit, id)
}

func needs(id, zh, en string) error { return rule.Refuse(rule.GuardFailed, id, zh, en) }

// unknown refuses a word that is not on its list, a missing one too.
func unknown[T ~string](id, zh, en string, word T) error {
	return needs(id, fmt.Sprintf("%s %q 不存在", zh, word), fmt.Sprintf("there is no %s %q", en, word))
}

// classified checks that matter and urgency are set: a demand answered on the spot passed D2 by, and without
// them nothing that is promised later has a length.
func (s State) classified(id string) *rule.Refusal {
	if s.Matter == "" || s.Urgency == "" {
		return rule.Refuse(rule.GuardFailed, id, "请先补充事项编码和紧急程度", "set the matter code and the urgency first")
	}
	return nil
}

// firm returns the first refusal as an error, and nil if there is none.
func firm(rs ...*rule.Refusal) error {
	for _, r := range rs {
		if r != nil {
			return r
		}
	}
	return nil
}

// D1. A demand that another system took in earlier runs its clocks from when it happened.
func (c Raise) decide(s State, at rule.At) (Event, error) {
	late := at.Clocks.Closes(calendar.LateEntry, at.Occurred)
	switch {
	case !slices.Contains(Kinds(), c.Kind):
		return nil, unknown("D1", "诉求类别", "kind", c.Kind)
	case !slices.Contains(Channels(), c.Channel):
		return nil, unknown("D1", "渠道", "channel", c.Channel)
	case c.Text.IsZero() && c.SplitFrom.IsZero():
		return nil, needs("D1", "诉求内容不能为空", "the demand has no text")
	case c.Channel == "patrol" && !zeroReporter(c.Reporter):
		return nil, needs("D1", "巡查发现没有诉求人", "a patrol's finding has no reporter")
	case at.Actor.Role == orgs.System && c.Channel != "patrol" && c.SplitFrom.IsZero():
		return nil, needs("D1", "系统只登记巡查发现", "the system raises patrol findings only")
	case !c.Imported && over(at, late):
		return nil, rule.Refuse(rule.WindowClosed, "D1", "补录已超过期限", "it happened too long ago to be entered late")
	case c.Imported && at.Actor.Role != orgs.Channel:
		return nil, rule.Refuse(rule.RoleMissing, "D1", "只有渠道接口可以导入历史诉求", "only a channel takes over demands of an older system")
	}
	if err := firm(place(at, c.Grid, c.Unit, "D1")); err != nil {
		return nil, err
	}
	if at.Actor.Role == orgs.Clerk || at.Actor.Role == orgs.GridWorker {
		// A worker enters what is told on the doorstep for the whole street, not only for the own grid.
		home, found := at.Units.Ancestor(at.Actor.Unit, orgs.Street)
		if !found {
			home = rule.Seat(at.Units, at.Actor)
		}
		if !at.Units.Within(c.Unit, home) {
			return nil, rule.Refuse(rule.OutsideJuris, "D1", fmt.Sprintf("%s 不在 %s 的辖区内", c.Unit, home),
				fmt.Sprintf("%s lies outside the jurisdiction of %s", c.Unit, home))
		}
	}
	s.Kind = c.Kind
	from := at.Recorded
	if c.Imported {
		from = at.Occurred
	}
	due, err := s.due(at, calendar.Accept, from)
	return Raised{Number: c.Number, Kind: c.Kind, Channel: c.Channel, External: c.External,
		OnBehalf: at.Actor.Role != orgs.Resident && c.Channel != "patrol", Anonymous: c.Anonymous,
		NoCallback: c.NoCallback, Imported: c.Imported, Title: c.Title, Text: c.Text, Reporter: c.Reporter,
		Address: c.Address, Location: c.Location, Matter: c.Matter, Grid: c.Grid, Unit: c.Unit,
		Attachments: c.Attached, SplitFrom: c.SplitFrom, SplitNo: c.SplitNo, Tracking: c.Tracking, Accept: due}, err
}

func zeroReporter(r Reporter) bool {
	return r.Name.IsZero() && r.Phone.IsZero() && r.IDNumber.IsZero() && r.Account.IsZero()
}

// D2.
func (c Accept) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "D2"), rule.Reaches(at, c.Unit, "D2"),
		place(at, c.Grid, c.Unit, "D2"), community(at, c.Unit, "D2")); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(Kinds(), c.Kind):
		return nil, unknown("D2", "诉求类别", "kind", c.Kind)
	case !slices.Contains(Urgencies(), c.Urgency):
		return nil, unknown("D2", "紧急程度", "urgency", c.Urgency)
	case c.Matter == "":
		return nil, needs("D2", "请选择事项编码", "the matter code is missing")
	case strings.TrimSpace(string(c.Summary)) == "":
		return nil, needs("D2", "请填写公开摘要", "the public summary is missing")
	}
	s.Kind, s.Urgency = c.Kind, c.Urgency
	due, err := s.due(at, calendar.Triage, at.Recorded)
	return Accepted{Kind: c.Kind, Matter: c.Matter, Urgency: c.Urgency, Unit: c.Unit, Grid: c.Grid,
		Summary: c.Summary, Triage: due}, err
}

// D3. A dispute is settled on the spot only with a signed agreement.
func (c AnswerOnTheSpot) decide(s State, at rule.At) (Event, error) {
	if at.Actor.Role == orgs.GridWorker && s.Grid != "" {
		if err := firm(rule.Reaches(at, s.Grid.Unit(), "D3")); err != nil {
			return nil, err
		}
	} else if err := firm(rule.Reaches(at, s.Unit, "D3")); err != nil {
		return nil, err
	}
	s.Kind = or(c.Kind, s.Kind)
	switch {
	case s.Kind != Consult && s.Kind != Errand && s.Kind != Dispute:
		return nil, needs("D3", "只有咨询、帮办和已达成协议的纠纷可以当场答复",
			"only a consult, an errand or a settled dispute can be answered on the spot")
	case s.Kind == Dispute && (len(c.Agreement) != 64 || strings.Trim(c.Agreement, "0123456789abcdef") != ""):
		return nil, rule.Refuse(rule.EvidenceMissing, "D3", "纠纷当场化解须附协议的哈希值（64 位十六进制）",
			"a dispute needs the hash of its signed agreement, 64 hexadecimal digits")
	case !slices.Contains(Outcomes(), c.Outcome):
		return nil, unknown("D3", "办理结果", "outcome", c.Outcome)
	case c.Answer.IsZero():
		return nil, needs("D3", "请填写答复内容", "the answer is missing")
	}
	due, err := s.due(at, calendar.Callback, at.Recorded)
	return AnsweredOnTheSpot{Kind: s.Kind, Outcome: c.Outcome, Matter: c.Matter, Summary: c.Summary, Answer: c.Answer,
		Agreement: c.Agreement, Waiver: "on_the_spot", Callback: due,
		ReachBy: reachBy(at, due)}, err
}

// D4.
func (c Decline) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "D4"), rule.SecondReaches(at, s.Unit, "D4")); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(DeclineReasons(), c.Reason):
		return nil, unknown("D4", "不予受理情形", "reason to decline", c.Reason)
	case c.Citation == "":
		return nil, needs("D4", "不予受理须引用依据", "declining needs the citation it rests on")
	case c.Instead == "":
		return nil, needs("D4", "请告知居民可以去哪里办理", "say where the resident can go instead")
	}
	return Declined{Reason: c.Reason, Citation: c.Citation, Instead: c.Instead,
		AppealBy: at.Clocks.Closes(calendar.Appeal, at.Recorded)}, nil
}

// D5.
func (c Redirect) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "D5")); err != nil {
		return nil, err
	}
	if c.Target == "" || c.Receipt == "" {
		return nil, needs("D5", "请填写转往的渠道及其受理编号", "name the channel and its receipt number")
	}
	return Redirected(c), nil
}

// D6. Someone who withdraws for the resident says how the resident confirmed it.
func (c Withdraw) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.own(at, "D6")); err != nil {
		return nil, err
	}
	if at.Actor.Role != orgs.Resident && c.Confirmed == "" {
		return nil, needs("D6", "代为撤回须说明如何向居民确认", "say how the resident confirmed the withdrawal")
	}
	return Withdrawn(c), nil
}

// D7.
func (c LinkToTopic) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "D7"), s.classified("D7")); err != nil {
		return nil, err
	}
	t, found := at.Facts.Topic(c.Topic)
	switch {
	case !found:
		return nil, needs("D7", "议题不存在", "there is no such topic")
	case s.Kind == Dispute || s.Kind == Report:
		return nil, needs("D7", "纠纷和举报不进入议题", "a dispute or a report never becomes part of a topic")
	case !at.Units.Within(s.Unit, t.Unit):
		return nil, needs("D7", fmt.Sprintf("议题所属 %s 不含 %s", t.Unit, s.Unit),
			fmt.Sprintf("the topic belongs to %s, the demand lies in %s", t.Unit, s.Unit))
	case t.Terminal && at.Actor.Role != orgs.System:
		return nil, needs("D7", "议题已经结束："+t.Phase, "the topic has ended: it is "+t.Phase)
	}
	due, err := s.due(at, calendar.TopicNews, at.Recorded)
	return LinkedToTopic{Topic: c.Topic, TopicNews: due}, err
}

// D8.
func (c FastTrack) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "D8"), s.classified("D8")); err != nil {
		return nil, err
	}
	if err := c.fits(s); err != nil {
		return nil, err
	}
	switch r := c.Route; {
	case r.Order != nil:
		if err := c.dispatchable(s, at); err != nil {
			return nil, err
		}
	case !r.Join.IsZero():
		o, found := at.Facts.Order(r.Join)
		switch {
		case !found:
			return nil, needs("D8", "要并入的办题单不存在", "the order to join does not exist")
		case o.Cancelled || o.Closed && c.Reason != ReasonReopened:
			return nil, needs("D8", "要并入的办题单已结束："+o.Phase, "the order to join has ended: it is "+o.Phase)
		}
		if err := firm(rule.MayDispatch(at, o.Lead)); err != nil {
			return nil, err
		}
	}
	due, err := s.due(at, calendar.Promise, at.Recorded)
	return FastTracked{Reason: c.Reason, Citation: c.Citation, Route: c.Route, Promise: due}, err
}

// fits checks that the reason suits the demand and its route.
func (c FastTrack) fits(s State) error {
	routes := 0
	for _, set := range []bool{c.Route.Order != nil, !c.Route.Join.IsZero(), c.Route.Dispute > 0} {
		if set {
			routes++
		}
	}
	kinds := map[Reason]Kind{ReasonErrand: Errand, ReasonConsult: Consult, ReasonDispute: Dispute, ReasonConfidential: Report}
	kind, bound := kinds[c.Reason]
	switch {
	case !slices.Contains(Reasons(), c.Reason):
		return unknown("D8", "直办理由", "fast-track reason", c.Reason)
	case c.Route.Dispute < 0 || c.Route.Dispute > 4:
		return needs("D8", "调解层级为 1 到 4", "mediation starts at rung 1 to 4")
	case routes != 1:
		return needs("D8", "派新单、并入原单、转调解三者须择一", "choose exactly one: a new order, an order to join, or mediation")
	case bound && s.Kind != kind:
		return needs("D8", fmt.Sprintf("理由 %s 不适用于 %s", c.Reason, s.Kind), fmt.Sprintf("the reason %s does not fit a demand of kind %s", c.Reason, s.Kind))
	case (s.Kind == Dispute) != (c.Reason == ReasonDispute) || (s.Kind == Report) != (c.Reason == ReasonConfidential):
		return needs("D8", fmt.Sprintf("%s 只能按其专门理由直办", s.Kind), fmt.Sprintf("a demand of kind %s has a reason of its own", s.Kind))
	case (c.Route.Dispute > 0) != (c.Reason == ReasonDispute):
		return needs("D8", "只有纠纷转入调解", "mediation is for disputes, and disputes go to mediation")
	case c.Reason == ReasonUrgent && s.Urgency != "A" && s.Urgency != "B":
		return needs("D8", "紧急程度为 A 或 B 才可按紧急直办", "only urgency A or B is urgent")
	case c.Reason == ReasonStatutory && c.Citation == "":
		return needs("D8", "法定职责直办须引用依据", "a statutory duty needs the citation that obliges")
	case c.Reason == ReasonSameMatter && c.Route.Join.IsZero():
		return needs("D8", "同一事项须并入已有办题单", "the same matter joins an order that exists")
	case c.Reason == ReasonReopened && s.Round < 2:
		return needs("D8", "仅重新提出的诉求适用", "this demand was never reopened")
	}
	return nil
}

func (c FastTrack) dispatchable(s State, at rule.At) error {
	o := c.Route.Order
	if r := rule.MayDispatch(at, o.Lead); r != nil {
		return r
	}
	switch lead, _ := at.Units.Unit(o.Lead); {
	case lead.Kind == orgs.JointTeam && !slices.Contains(lead.Members, o.Competent):
		return needs("O1", "联合执法队须指明主管成员单位", "a joint team needs its competent member agency named")
	case lead.Kind != orgs.JointTeam && o.Competent != "":
		return needs("O1", "只有联合执法队才指明主管成员单位", "only a joint team has a competent member agency")
	}
	if r := rule.PassGate(at, o.Lead, s.Matter, true); r != nil {
		return r
	}
	for i, co := range o.CoUnits {
		if u, known := at.Units.Unit(co); !known || u.Closed || co == o.Lead || slices.Contains(o.CoUnits[:i], co) {
			return needs("O1", fmt.Sprintf("协办单位 %s 不存在、重复或与主办相同", co), fmt.Sprintf("the co-unit %s does not exist, stands twice or is the lead", co))
		}
		if r := rule.PassGate(at, co, s.Matter, false); r != nil {
			return r
		}
	}
	return nil
}

// D9. Once its topic was handed over, only the process manager takes a demand out.
func (c UnlinkFromTopic) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "D9")); err != nil {
		return nil, err
	}
	t, _ := at.Facts.Topic(s.Topic)
	switch {
	case c.Reason == "":
		return nil, needs("D9", "请说明移出议题的理由", "say why it leaves the topic")
	case t.Handed && at.Actor.Role != orgs.System:
		return nil, needs("D9", "议题已交网格办理，不能移出", "the topic was handed to the grid")
	}
	due, err := s.due(at, calendar.Triage, at.Recorded)
	return UnlinkedFromTopic{Topic: s.Topic, Reason: c.Reason, Triage: due}, err
}

// D10. The promise is the latest target date among the topic's orders. A demand that joins a topic after that
// date is promised the next day: refused, it would belong to the topic and never come to be handled.
func (c EnterHandling) decide(s State, at rule.At) (Event, error) {
	if c.Topic != s.Topic {
		return nil, needs("D10", "诉求不属于该议题", "the demand is governed by another topic")
	}
	if len(c.Orders) == 0 {
		return nil, needs("D10", "议题没有办题单", "the topic has no order to handle the demand")
	}
	due, err := at.Clocks.Until(s.dueID(calendar.Promise), calendar.Promise, at.Recorded, c.Latest)
	if errors.Is(err, calendar.ErrBackwards) {
		tomorrow := calendar.DateOf(at.Recorded) + 1
		due, err = at.Clocks.Until(s.dueID(calendar.Promise), calendar.Promise, at.Recorded, tomorrow)
	}
	return EnteredHandling{Topic: c.Topic, Orders: c.Orders, Promise: due}, err
}

// D11, D12. A topic answers by being rejected, or deferred to a date; an order or a mediation with any outcome.
func (c Answer) decide(s State, at rule.At) (Event, error) {
	byTopic := c.Outcome == NotAdopted || c.Outcome == Infeasible && !c.ReviewOn.IsZero()
	switch {
	case !slices.Contains(Outcomes(), c.Outcome):
		return nil, unknown("D12", "办理结果", "outcome", c.Outcome)
	case s.Phase == PhaseInTopic && !byTopic:
		return nil, needs("D11", "议题只能以不采纳或暂缓（附复议日期）答复", "a topic answers not_adopted, or infeasible with its review date")
	case c.From.Stream == "":
		return nil, needs("D12", "请注明答复出处", "name the event that holds the text of the answer")
	}
	due, err := s.due(at, calendar.Callback, at.Recorded)
	return Answered{Outcome: c.Outcome, Summary: c.Summary, ReviewOn: c.ReviewOn, From: c.From, Callback: due,
		ReachBy: reachBy(at, due)}, err
}

// D13.
func (c ReturnToTopic) decide(s State, at rule.At) (Event, error) {
	if c.Topic != s.Topic {
		return nil, needs("D13", "诉求不属于该议题", "the demand is governed by another topic")
	}
	due, err := s.due(at, calendar.TopicNews, at.Recorded)
	return ReturnedToTopic{Topic: c.Topic, TopicNews: due}, err
}

// D14.
func (c ReturnToPool) decide(s State, at rule.At) (Event, error) {
	due, err := s.due(at, calendar.Triage, at.Recorded)
	return ReturnedToPool{Order: c.Order, Cause: c.Cause, Triage: due}, err
}

// D15, D16, D17: the resident's verdict closes the demand, sends an order back to work, or, where no order
// can be reworked, has the community consider the demand anew.
func (c RecordCallback) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.caller(at, "D15")); err != nil {
		return nil, err
	}
	if c.Grade < 1 || c.Grade > 5 {
		return nil, needs("D15", "满意度为 1 到 5", "the grade is 1 to 5")
	}
	e := CallbackRecorded{Resolved: c.Resolved, Grade: c.Grade, Merit: c.Merit, Reason: c.Reason, Words: c.Words}
	unsettled := !c.Resolved || c.Grade <= 2
	if !unsettled || !c.Merit {
		if unsettled && c.Reason == "" {
			return nil, needs("D15", "未解决或不满意而办结须说明理由", "closing against the resident's verdict needs a reason")
		}
		if unsettled {
			if err := firm(rule.Confirmed(at.Stamp, "D15", orgs.CallbackAgent, orgs.Supervisor), rule.SecondReaches(at, s.Unit, "D15")); err != nil {
				return nil, err
			}
		}
		e.Result = CallbackCloses
		e.ReopenBy = at.Clocks.Closes(calendar.Reopen, at.Recorded)
		e.RerateBy = at.Clocks.Closes(calendar.Rerate, at.Recorded)
		return e, nil
	}
	var able []stream.ID
	for _, o := range at.Facts.Orders {
		if o.Verified && !o.Cancelled && slices.Contains(s.Orders, o.ID) {
			able = append(able, o.ID)
		}
	}
	if len(able) == 0 {
		due, err := s.due(at, calendar.Triage, at.Recorded)
		e.Result, e.Triage = CallbackReconsiders, &due
		return e, err
	}
	if c.Order.IsZero() && len(able) == 1 {
		c.Order = able[0]
	}
	if !slices.Contains(able, c.Order) {
		return nil, needs("D16", "请指明要返工的办题单", "name the order that must be reworked")
	}
	due, err := at.Clocks.StartLike(s.dueID(calendar.Promise), calendar.Promise, calendar.Rework, string(s.Kind), string(s.Urgency), at.Recorded)
	e.Result, e.Order, e.Promise = CallbackReworks, c.Order, &due
	return e, err
}

// caller checks that whoever calls back works for the demand's area and did not handle it (rule I2).
func (s State) caller(at rule.At, id string) *rule.Refusal {
	if r := rule.Reaches(at, s.Unit, id); r != nil {
		return r
	}
	var bodies []orgs.UnitCode
	for _, o := range at.Facts.Orders {
		bodies = append(bodies, o.Bodies...)
	}
	if s.Handler != "" {
		bodies = append(bodies, s.Handler)
	}
	return rule.Independent(at, bodies, id)
}

// D18. As many calls that reached nobody as the policy says are enough: three. The clock waits for its time ([State.waiver]).
func (c WaiveCallback) decide(s State, at rule.At) (Event, error) {
	if at.Actor.Role == orgs.System {
		return c.timely(s, at)
	}
	if err := firm(s.caller(at, "D18")); err != nil {
		return nil, err
	}
	enough := at.Clocks.Policy.Attempts
	switch {
	case c.Cause == "anonymous" && s.Anonymous, c.Cause == "do_not_call" && s.NoCallback, c.Cause == "unreached" && s.Attempts >= enough:
	case c.Cause == "unreached":
		return nil, needs("D18", fmt.Sprintf("尝试回访 %d 次，满 %d 次方可免回访", s.Attempts, enough),
			fmt.Sprintf("%d calls were attempted, %d are needed", s.Attempts, enough))
	default:
		return nil, needs("D18", "不符合免回访条件", "the callback may not be waived for that cause")
	}
	return CallbackWaived{Cause: c.Cause, ReopenBy: at.Clocks.Closes(calendar.Reopen, at.Recorded)}, nil
}

// D19.
func (c Reopen) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.own(at, "D19")); err != nil {
		return nil, err
	}
	if over(at, s.ReopenBy) {
		return nil, rule.Refuse(rule.WindowClosed, "D19", "已过重新提出的期限 "+local(s.ReopenBy), "it could be reopened until "+local(s.ReopenBy))
	}
	s.Round++
	due, err := s.due(at, calendar.Triage, at.Recorded)
	return Reopened{Round: s.Round, Reason: c.Reason, Triage: due}, err
}

func local(t time.Time) string { return t.In(calendar.Zone()).Format("2006-01-02 15:04") }

// D20.
func (c UpholdAppeal) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.appeal(at, "D20")); err != nil {
		return nil, err
	}
	due, err := s.due(at, calendar.Accept, at.Recorded)
	return AppealUpheld{Reason: c.Reason, Accept: due}, err
}

// appeal checks that there is an appeal, and that the street decides it, not the community that declined.
func (s State) appeal(at rule.At, id string) *rule.Refusal {
	if r := rule.Reaches(at, s.Unit, id); r != nil {
		return r
	}
	if u, _ := at.Units.Unit(at.Actor.Unit); u.Kind != orgs.Street {
		return rule.Refuse(rule.RoleMissing, id, "异议由街道裁定", "the street decides an appeal")
	}
	if !s.Appealed {
		return rule.Refuse(rule.GuardFailed, id, "没有待裁定的异议", "no appeal is waiting")
	}
	return nil
}

func (c Supplement) decide(s State, at rule.At) (Event, error) {
	if c.Text.IsZero() {
		return nil, needs("D1", "补充内容不能为空", "the supplement has no text")
	}
	return Supplemented{Text: c.Text, Attachments: c.Attached}, firm(s.own(at, "D1"))
}

// Support is said once by each resident, never about the own demand.
func (c Support) decide(s State, at rule.At) (Event, error) {
	switch {
	case c.Tally && (at.Actor.Role != orgs.Channel || !s.Imported):
		return nil, needs("D1", "只有导入时可以登记附议数", "a tally is taken over with an imported demand only")
	case c.Supporters < 0 || c.Opponents < 0 || c.Supporters+c.Opponents == 0:
		return nil, needs("D1", "附议数须为正数", "the number of supporters must be positive")
	case !c.Tally && (c.Supporters != 1 || c.Opponents != 0):
		return nil, needs("D1", "一次登记一位附议人", "one supporter is entered at a time")
	case at.Actor.Role == orgs.Resident && at.Actor.ID == s.RaisedBy.ID:
		return nil, needs("D1", "不能附议本人的诉求", "nobody supports the own demand")
	case at.Actor.Role == orgs.Resident && slices.Contains(s.supported, at.Actor.ID):
		return nil, needs("D1", "已经附议过", "this resident supports it already")
	case at.Actor.Role != orgs.Resident:
		if err := firm(s.own(at, "D1")); err != nil {
			return nil, err
		}
	}
	return Supported(c), nil
}

func (c Reclassify) decide(s State, at rule.At) (Event, error) {
	kind := or(c.Kind, s.Kind)
	switch {
	case c == Reclassify{}:
		return nil, needs("D2", "没有要更正的内容", "nothing is corrected")
	case c.Kind != "" && !slices.Contains(Kinds(), c.Kind):
		return nil, unknown("D2", "诉求类别", "kind", c.Kind)
	case c.Urgency != "" && !slices.Contains(Urgencies(), c.Urgency):
		return nil, unknown("D2", "紧急程度", "urgency", c.Urgency)
	case s.Phase == PhaseInTopic && (kind == Dispute || kind == Report):
		return nil, needs("D7", "议题中的诉求不能改为纠纷或举报", "a demand in a topic can not become a dispute or a report")
	}
	return Reclassified(c), firm(rule.Reaches(at, s.Unit, "D2"))
}

func (c Relocate) decide(s State, at rule.At) (Event, error) {
	return Relocated(c), firm(rule.Reaches(at, s.Unit, "D1"), place(at, c.Grid, c.Unit, "D1"))
}

func (c SplitUp) decide(s State, at rule.At) (Event, error) {
	if len(c.Children) < 1 || len(c.Children) > 20 {
		return nil, needs("R25", "请拆分为 1 至 20 个事项", "a demand is split into 1 to 20 children")
	}
	for _, child := range c.Children {
		if err := firm(place(at, child.Grid, child.Unit, "R25")); err != nil {
			return nil, err
		}
		if !slices.Contains(Kinds(), child.Kind) {
			return nil, unknown("R25", "诉求类别", "kind", child.Kind)
		}
		if child.Text.IsZero() {
			return nil, needs("R25", "每个事项须有内容", "every child needs its text")
		}
	}
	return Split(c), firm(rule.Reaches(at, s.Unit, "R25"))
}

func (c Relate) decide(s State, at rule.At) (Event, error) {
	switch _, found := at.Facts.Topic(c.Topic); {
	case !found:
		return nil, needs("D7", "议题不存在", "there is no such topic")
	case s.Kind == Report:
		return nil, needs("D7", "举报不与议题关联", "a report is never connected with a topic")
	case slices.Contains(s.Related, c.Topic) || s.Topic == c.Topic:
		return nil, needs("D7", "已与该议题关联", "it is connected with that topic already")
	}
	return Related(c), firm(rule.Reaches(at, s.Unit, "D7"))
}

// FileAppeal is possible once after each decline, while the window is open.
func (c FileAppeal) decide(s State, at rule.At) (Event, error) {
	switch {
	case s.Appealed:
		return nil, needs("D20", "异议正在审查", "an appeal is waiting already")
	case s.Dismissed:
		return nil, needs("D20", "异议已被驳回", "the appeal against this decline was rejected")
	case s.Upheld:
		return nil, needs("D20", "异议只能成立一次", "an appeal was upheld once before")
	case over(at, s.AppealBy):
		return nil, rule.Refuse(rule.WindowClosed, "D20", "已过提出异议的期限 "+local(s.AppealBy), "an appeal was possible until "+local(s.AppealBy))
	}
	return AppealFiled{Reason: c.Reason, DecideBy: at.Clocks.Closes(calendar.AppealDecision, at.Recorded)}, firm(s.own(at, "D20"))
}

func (c RejectAppeal) decide(s State, at rule.At) (Event, error) {
	if c.Reason == "" {
		return nil, needs("D20", "驳回异议须说明理由", "rejecting an appeal needs a reason")
	}
	return AppealRejected(c), firm(s.appeal(at, "D20"))
}

func (c Urge) decide(s State, at rule.At) (Event, error) {
	return UrgingReceived(c), firm(s.own(at, "E6"))
}

func (c RecordCallbackAttempt) decide(s State, at rule.At) (Event, error) {
	return CallbackAttempted{Means: c.Means, Enough: s.Attempts+1 >= at.Clocks.Policy.Attempts}, firm(s.caller(at, "D18"))
}

func (c Rerate) decide(s State, at rule.At) (Event, error) {
	switch {
	case c.Grade < 1 || c.Grade > 5:
		return nil, needs("D15", "满意度为 1 到 5", "the grade is 1 to 5")
	case s.RerateBy.IsZero() || over(at, s.RerateBy):
		return nil, rule.Refuse(rule.WindowClosed, "D15", "已过改评期限", "the time for changing the grade is over")
	case at.Actor.Role == orgs.CallbackAgent:
		return Rerated(c), firm(s.caller(at, "D15"))
	}
	return Rerated(c), firm(s.own(at, "D15"))
}

// NoteProgress restarts the clock of news if the fact is about the governing topic.
func (c NoteProgress) decide(s State, at rule.At) (Event, error) {
	e := ProgressNoted{From: c.From, State: c.State, Unit: c.Unit, Summary: c.Summary}
	if s.Phase == PhaseInTopic && !c.Topic.IsZero() && c.Topic == s.Topic {
		due, err := s.due(at, calendar.TopicNews, at.Recorded)
		if err != nil {
			return nil, err
		}
		e.TopicNews = &due
	}
	return e, nil
}
