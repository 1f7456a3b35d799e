package topic

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Where a topic comes from.
const (
	FromResidents = "residents"
	FromPatrol    = "patrol" // found without a resident (未诉先办)
)

// Capacities lists in what capacity somebody attends a deliberation.
func Capacities() []string {
	return []string{"residents", "representatives", "members", "property", "department", "other"}
}

// Limits of ours, where no law says more: the numbers a street office starts from.
const (
	minResidents = 5   // topic.min_residents: demands that residents name to propose a topic themselves
	maxNamed     = 200 // demands named in a proposal; further ones are linked one by one
	maxItems     = 20  // orders of one plan
	maxOptions   = 20  // of one vote
	maxCode      = 64  // characters of a household's code
	maxVoteDays  = 90  // a vote ends by itself only when it closes: a mistyped year must not lock a topic
)

// What other machines call things.
const (
	demandRaised   = "raised"
	demandAccepted = "accepted"
	kindReport     = "report"
	kindDispute    = "dispute"
	usualUrgency   = "D"
)

// Command is something that a person, or the process manager, wants done with a topic.
type Command interface {
	// Name is the command's word in the table and in the path of the API.
	Name() string
	// decide returns nil and no error if there is nothing left for the clock to do.
	decide(State, rule.At) (Event, error)
}

// The commands, in the order of the table. Their members mean what the event of the same row says.
type (
	Propose struct {
		Number  string
		Kind    Kind
		Source  string
		Title   sealed.Public
		Unit    orgs.UnitCode
		Matter  string
		Demands []stream.ID
	}
	OpenDeliberation struct {
		Format    Format
		Place     sealed.Public
		MeetingAt time.Time
	}
	Merge struct {
		Target stream.ID
		Reason sealed.Public
	}
	Drop     struct{ Reason sealed.Public }
	OpenVote struct {
		Options  []sealed.Public
		Grids    []orgs.GridCode
		ClosesAt time.Time
	}
	CloseVote struct {
		Cast    int
		Counts  []int
		Ballots string
	}
	Adopt struct {
		Items     []Item // an item without an urgency has D
		Budget    int64  // fen
		Resources []string
		Summary   sealed.Public
	}
	Reject struct{ Reason sealed.Public }
	Defer  struct {
		Reason   sealed.Public
		ReviewOn calendar.Date
	}
	RefuseAdmission struct {
		Reason    sealed.Public
		Admission stream.ID
	}
	HandToGrid struct {
		// Items is the plan again, item by item, changed only where the adopted item can no longer be
		// carried out: its target date has come, a unit was closed. Empty: the plan as adopted.
		Items []Item
	}
	AddOrder struct {
		Item  *Item     // a new order, or …
		Order stream.ID // … a live order that joins
	}
	Return        struct{ Reason sealed.Public }
	PublishResult struct {
		Text       sealed.Public
		Orders     []stream.ID
		AlsoTopics []stream.ID
		Resources  []string
	}
	Conclude struct{ Summary sealed.Public }
	Reopen   struct{ Reason sealed.Public }

	HoldDeliberation struct {
		Format    Format
		Venue     sealed.Public
		Minutes   string
		Attendees []Attendance
		Summary   sealed.Public
	}
	Support            struct{ Household string }
	NoteDemandReopened struct {
		Demand stream.ID
		Round  int
	}
	MarkReadyToConclude struct{}
	RecomputeDeadline   struct {
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
func (Propose) Name() string             { return "propose" }
func (OpenDeliberation) Name() string    { return "open-deliberation" }
func (Merge) Name() string               { return "merge" }
func (Drop) Name() string                { return "drop" }
func (OpenVote) Name() string            { return "open-vote" }
func (CloseVote) Name() string           { return "close-vote" }
func (Adopt) Name() string               { return "adopt" }
func (Reject) Name() string              { return "reject" }
func (Defer) Name() string               { return "defer" }
func (RefuseAdmission) Name() string     { return "refuse-admission" }
func (HandToGrid) Name() string          { return "hand-to-grid" }
func (AddOrder) Name() string            { return "add-order" }
func (Return) Name() string              { return "return" }
func (PublishResult) Name() string       { return "publish-result" }
func (Conclude) Name() string            { return "conclude" }
func (Reopen) Name() string              { return "reopen" }
func (HoldDeliberation) Name() string    { return "hold-deliberation" }
func (Support) Name() string             { return "support" }
func (NoteDemandReopened) Name() string  { return "note-demand-reopened" }
func (MarkReadyToConclude) Name() string { return "mark-ready-to-conclude" }
func (RecomputeDeadline) Name() string   { return "recompute-deadline" }
func (RaiseWarning) Name() string        { return "raise-warning" }
func (ExpireClock) Name() string         { return "expire-clock" }

// Needs names the other streams that a command must know. The lists are the state's and the command's: read only.
func Needs(s State, c Command) rule.Refs {
	switch c := c.(type) {
	case Propose:
		return rule.Refs{Demands: c.Demands}
	case Merge:
		return rule.Refs{Topics: []stream.ID{c.Target}}
	case Drop:
		return rule.Refs{LinkedTo: s.ID}
	case AddOrder:
		if !c.Order.IsZero() {
			return rule.Refs{Orders: []stream.ID{c.Order}}
		}
	case Return, MarkReadyToConclude:
		return rule.Refs{Orders: s.CycleOrders}
	case Conclude:
		return rule.Refs{Orders: s.CycleOrders, LinkedTo: s.ID}
	case PublishResult:
		return rule.Refs{Topics: c.AlsoTopics}
	}
	return rule.Refs{}
}

// Decide returns what a command makes happen: one event, and with an expiry the escalation that comes with it; none if
// it says again what was said last, or if nothing is left for the clock to do. The error is a [*rule.Refusal], or comes from the calendar.
func Decide(s State, c Command, at rule.At) ([]Event, error) {
	if r := rule.NotFuture(at); r != nil {
		return nil, Machine.Explain(s.Phase, r)
	}
	e, err := rule.Ask(&Machine, s.ID, s.Phase, c.Name(), at, func(at rule.At) (Event, error) { return c.decide(s, at) })
	if r, refused := err.(*rule.Refusal); refused && r.Code == rule.WrongState {
		if said, none := c.decide(s, at); none == nil && repeats(s, said, at) {
			return nil, nil
		}
	}
	if e == nil || err != nil || repeats(s, e, at) {
		return nil, err
	}
	return append([]Event{e}, s.follows(e, at)...), nil
}

// repeats reports whether the same person says at the same moment what the stream says last.
func repeats(s State, e Event, at rule.At) bool {
	return rule.Same(e, s.last) && s.lastStamp.Actor == at.Actor && s.lastStamp.Occurred.Equal(at.Occurred)
}

// due starts a clock of this stream when the event is recorded.
func (s State) due(at rule.At, c calendar.Clock) (calendar.Due, error) {
	return at.Clocks.Start(s.dueID(c), c, "", "", at.Recorded)
}

// dueID is unique in the stream for ever: clock, cycle in place of a round, leg (topics have none) and a
// serial (rule I15).
func (s State) dueID(c calendar.Clock) string {
	return fmt.Sprintf("%s/%d/0/%d", c, max(s.Cycle, 1), s.Dues+1)
}

func refuse(id, zh, en string) error { return rule.Refuse(rule.GuardFailed, id, zh, en) }

// firm returns the first refusal as an error, and nil if there is none.
func firm(rs ...*rule.Refusal) error {
	for _, r := range rs {
		if r != nil {
			return r
		}
	}
	return nil
}

func blank(p sealed.Public) bool { return strings.TrimSpace(string(p)) == "" }

// digest reports whether s is a SHA-256 in lower-case hexadecimal.
func digest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && strings.ToLower(s) == s
}

// distinct reports whether no value comes twice.
func distinct[T comparable](vs []T) bool {
	for i, v := range vs {
		if slices.Contains(vs[:i], v) {
			return false
		}
	}
	return true
}

// wholeSeconds is an instant as the log holds it, so that a repeated command compares equal to what was read back.
func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// local is an instant as people of the city read it.
func local(t time.Time) string { return t.In(calendar.Zone()).Format("2006-01-02 15:04") }

// belongs lets those act who live or work in the topic's unit, and those whose jurisdiction it lies in.
func (s State) belongs(at rule.At, id string) *rule.Refusal {
	if at.Units.Within(at.Actor.Unit, s.Unit) {
		return nil
	}
	return rule.Reaches(at, s.Unit, id)
}

// decider checks that the actor may decide for the topic's unit. A street has no community secretary: its
// leader decides on the street's own topics, and on no community's.
func (s State) decider(at rule.At, id string) *rule.Refusal {
	if u, _ := at.Units.Unit(s.Unit); at.Actor.Role == orgs.StreetLeader && u.Kind != orgs.Street {
		return rule.Refuse(rule.RoleMissing, id, "社区议题由社区书记决定", "a community's topic is for its secretary to decide")
	}
	return rule.Reaches(at, s.Unit, id)
}

// deliberated checks what adopting, rejecting and deferring have in common: the actor, the convenor who
// confirms and is one of this unit, and a meeting in this deliberation.
func (s State) deliberated(at rule.At, id string) error {
	if err := firm(s.decider(at, id)); err != nil {
		return err
	}
	if at.Second != nil {
		confirming := at
		confirming.Actor = *at.Second
		if err := firm(rule.Reaches(confirming, s.Unit, id)); err != nil {
			return err
		}
	}
	if !s.Held {
		return refuse(id, "尚未召开议事会，不能作出决定", "no deliberation was held, so nothing can be decided")
	}
	return nil
}

// T1. Residents propose a topic by the demands they have raised.
func (c Propose) decide(s State, at rule.At) (Event, error) {
	s.Unit = c.Unit
	unit, known := at.Units.Unit(c.Unit)
	switch {
	case !known || unit.Closed:
		return nil, refuse("T1", fmt.Sprintf("单位 %s 不存在或已撤销", c.Unit), fmt.Sprintf("the unit %s does not exist or is closed", c.Unit))
	case unit.Kind != orgs.Community && unit.Kind != orgs.Street:
		return nil, refuse("T1", "议题由社区、村或街道议事", "a topic belongs to a community or a street")
	case c.Kind != Ordinary && c.Kind != MicroProject:
		return nil, refuse("T1", "议题类型为普通议题或民生微实事", "a topic is ordinary or a micro project")
	case blank(c.Title):
		return nil, refuse("T1", "请填写议题名称", "the topic has no title")
	case c.Source != FromResidents && c.Source != FromPatrol:
		return nil, refuse("T1", "议题来源为居民或巡查", "a topic comes from residents or from a patrol")
	case c.Source == FromResidents && len(c.Demands) == 0:
		return nil, refuse("T1", "请列出要归入的诉求", "a topic from residents names at least one demand")
	case len(c.Demands) > maxNamed:
		return nil, refuse("T1", fmt.Sprintf("一次最多列出 %d 件诉求", maxNamed), fmt.Sprintf("at most %d demands are named at once", maxNamed))
	case !distinct(c.Demands):
		return nil, refuse("T1", "同一诉求列出了两次", "a demand is named twice")
	}
	if at.Actor.Role != orgs.Resident {
		if err := firm(rule.Reaches(at, c.Unit, "T1")); err != nil {
			return nil, err
		}
	} else if err := proposedByResidents(s, c, at); err != nil {
		return nil, err
	}
	for _, id := range c.Demands {
		d, found := at.Facts.Demand(id)
		switch {
		case !found:
			return nil, refuse("T1", fmt.Sprintf("诉求 %s 不存在", id), fmt.Sprintf("there is no demand %s", id))
		case d.Phase != demandRaised && d.Phase != demandAccepted:
			return nil, refuse("T1", fmt.Sprintf("诉求 %s 当前为 %s，不能归入新议题", id, d.Phase),
				fmt.Sprintf("the demand %s is %s and can not become part of a new topic", id, d.Phase))
		case d.Kind == kindDispute || d.Kind == kindReport:
			return nil, refuse("T1", "纠纷和举报不进入议题", "a dispute or a report never becomes part of a topic")
		case !at.Units.Within(d.Unit, c.Unit):
			return nil, refuse("T1", fmt.Sprintf("诉求 %s 在 %s，不在 %s", id, d.Unit, c.Unit),
				fmt.Sprintf("the demand %s lies in %s, not in %s", id, d.Unit, c.Unit))
		}
	}
	due, err := s.due(at, calendar.Open)
	return Proposed{Number: c.Number, Kind: c.Kind, Source: c.Source, Title: c.Title, Unit: c.Unit, Matter: c.Matter,
		Demands: slices.Concat(c.Demands), Open: due}, err
}

func proposedByResidents(s State, c Propose, at rule.At) error {
	switch {
	case c.Source == FromPatrol:
		return refuse("T1", "巡查发现由社区提出", "what a patrol found is for the community to propose")
	case len(c.Demands) < minResidents:
		return refuse("T1", fmt.Sprintf("居民提议须有 %d 件以上诉求", minResidents),
			fmt.Sprintf("residents propose a topic with at least %d demands", minResidents))
	}
	return firm(s.belongs(at, "T1"))
}

// T2. The meeting is announced long enough before it is held: not before the wait of the policy is over,
// which in natural days is the end of the last one. A policy that gives 0 asks for no wait.
func (c OpenDeliberation) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T2")); err != nil {
		return nil, err
	}
	wait, err := at.Clocks.Policy.Amount(calendar.MeetingWait, "", "")
	if err != nil {
		return nil, err
	}
	earliest := wholeSeconds(at.Recorded)
	if wait.N > 0 {
		earliest = at.Clocks.Add(at.Recorded, wait)
	}
	meeting := wholeSeconds(c.MeetingAt)
	switch {
	case !slices.Contains(Formats(), c.Format):
		return nil, refuse("T2", fmt.Sprintf("没有 %q 这种议事形式", c.Format), fmt.Sprintf("there is no form of deliberation %q", c.Format))
	case blank(c.Place):
		return nil, refuse("T2", "请填写议事地点", "the place of the meeting is missing")
	case meeting.Before(earliest):
		return nil, refuse("T2", "议事须提前公告，最早可在 "+local(earliest)+" 之后召开",
			"the meeting must be announced in time: the earliest is "+local(earliest))
	}
	due, err := s.due(at, calendar.Deliberate)
	return DeliberationOpened{Format: c.Format, Place: c.Place, MeetingAt: meeting, Deliberate: due}, err
}

// T3.
func (c Merge) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T3")); err != nil {
		return nil, err
	}
	t, found := at.Facts.Topic(c.Target)
	switch {
	case c.Target == s.ID:
		return nil, refuse("T3", "议题不能并入自身", "a topic can not be merged into itself")
	case !found:
		return nil, refuse("T3", "要并入的议题不存在", "the topic to merge into does not exist")
	case t.Terminal:
		return nil, refuse("T3", "要并入的议题已经结束："+t.Phase, "the topic to merge into has ended: it is "+t.Phase)
	case !at.Units.Within(s.Unit, t.Unit):
		return nil, refuse("T3", fmt.Sprintf("只能并入本单位或上级的议题，%s 不含 %s", t.Unit, s.Unit),
			fmt.Sprintf("the topic to merge into belongs to %s, which does not contain %s", t.Unit, s.Unit))
	}
	return MergedInto(c), nil
}

// T4. Residents who wait for an answer keep a deliberation going, unless its proposer gives it up.
func (c Drop) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T4")); err != nil {
		return nil, err
	}
	if blank(c.Reason) {
		return nil, refuse("T4", "撤题须说明理由", "dropping a topic needs a reason")
	}
	waiting := slices.ContainsFunc(at.Facts.Demands, func(d rule.DemandFact) bool { return d.Live && d.Topic == s.ID })
	if s.Phase == PhaseDeliberating && waiting && at.Actor.ID != s.ProposedBy.ID {
		return nil, refuse("T4", "仍有未办结的诉求，只有提议人可以撤题", "demands still depend on it: only its proposer may drop it now")
	}
	return Dropped(c), nil
}

// T5. The electorate is counted now, so that nobody is added while the vote runs. The convenor has the day after the vote
// for its count.
func (c OpenVote) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T5")); err != nil {
		return nil, err
	}
	closes := wholeSeconds(c.ClosesAt)
	switch {
	case !s.Held:
		return nil, refuse("T5", "尚未召开议事会，不能表决", "no deliberation was held, so there is nothing to vote on")
	case len(c.Options) < 2 || len(c.Options) > maxOptions:
		return nil, refuse("T5", fmt.Sprintf("表决须有 2 至 %d 个选项", maxOptions), fmt.Sprintf("a vote has 2 to %d options", maxOptions))
	case slices.ContainsFunc(c.Options, blank) || !distinct(c.Options):
		return nil, refuse("T5", "选项不能空白或重复", "every option has a text of its own")
	case len(c.Grids) == 0 || !distinct(c.Grids):
		return nil, refuse("T5", "请列出参加表决的网格，每个一次", "name the grids that vote, each once")
	case !closes.After(at.Recorded):
		return nil, refuse("T5", "表决截止时间须在当前时间之后", "the vote must close in the future")
	case calendar.DateOf(closes) > calendar.DateOf(at.Recorded)+maxVoteDays:
		return nil, refuse("T5", fmt.Sprintf("表决最长 %d 天", maxVoteDays), fmt.Sprintf("a vote closes within %d days", maxVoteDays))
	}
	electorate := 0
	for _, code := range c.Grids {
		g, known := at.Units.Grid(code)
		switch {
		case !known || g.Retired:
			return nil, refuse("T5", fmt.Sprintf("网格 %s 不存在或已撤销", code), fmt.Sprintf("the grid %s does not exist or is retired", code))
		case !at.Units.Within(code.Unit(), s.Unit):
			return nil, refuse("T5", fmt.Sprintf("网格 %s 不在 %s", code, s.Unit), fmt.Sprintf("the grid %s does not lie in %s", code, s.Unit))
		}
		electorate += g.Households
	}
	if electorate == 0 {
		return nil, refuse("T5", "所列网格没有住户", "nobody lives in the grids that are named")
	}
	due, err := at.Clocks.Until(s.dueID(calendar.VoteCount), calendar.VoteCount, at.Recorded, calendar.DateOf(closes)+1)
	return VoteOpened{Options: slices.Concat(c.Options), Grids: slices.Concat(c.Grids), Electorate: electorate, ClosesAt: closes, Count: due}, err
}

// T6. A vote passes if at least half of the households voted (vote.quorum) and one option has more than half
// of the votes cast (vote.pass). Ballots may name no option, so the counts may add up to less than the cast.
func (c CloseVote) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T6")); err != nil {
		return nil, err
	}
	v, sum, best := s.Vote, 0, 0
	early := at.Recorded.Before(v.ClosesAt)
	everyone := c.Cast == v.Electorate && at.Actor.Role != orgs.System
	switch {
	case early && !everyone:
		return nil, refuse("T6", "表决于 "+local(v.ClosesAt)+" 截止，此前须全部投票方可结束",
			"the vote closes at "+local(v.ClosesAt)+", before that only when everyone has voted")
	case c.Cast < 0 || c.Cast > v.Electorate:
		return nil, refuse("T6", fmt.Sprintf("投票户数须为 0 至 %d", v.Electorate), fmt.Sprintf("0 to %d households can have voted", v.Electorate))
	case len(c.Counts) != len(v.Options):
		return nil, refuse("T6", fmt.Sprintf("须为 %d 个选项各填一个票数", len(v.Options)), fmt.Sprintf("each of the %d options has one count", len(v.Options)))
	case !digest(c.Ballots):
		return nil, rule.Refuse(rule.EvidenceMissing, "T6", "须附选票摘要（SHA-256）", "the SHA-256 over the ballots is missing")
	}
	for _, n := range c.Counts {
		if n < 0 || n > c.Cast-sum {
			return nil, refuse("T6", "各选项票数之和不能超过投票户数", "the counts add up to more votes than were cast")
		}
		sum, best = sum+n, max(best, n)
	}
	return VoteClosed{Electorate: v.Electorate, Cast: c.Cast, Counts: slices.Concat(c.Counts), Ballots: c.Ballots,
		Passed: 2*c.Cast >= v.Electorate && 2*best > c.Cast}, nil
}

// T7. Of several votes in one deliberation the last one counts.
func (c Adopt) decide(s State, at rule.At) (Event, error) {
	if err := s.deliberated(at, "T7"); err != nil {
		return nil, err
	}
	switch {
	case s.Vote.Closed && !s.Vote.Passed:
		return nil, refuse("T7", "表决未通过，不能采纳", "the vote did not pass, so it can not be adopted")
	case len(c.Items) < 1 || len(c.Items) > maxItems:
		return nil, refuse("T7", fmt.Sprintf("方案须有 1 至 %d 个办理事项", maxItems), fmt.Sprintf("a plan has 1 to %d items", maxItems))
	case c.Budget < 0:
		return nil, refuse("T7", "预算不能为负数", "the budget is negative")
	case blank(c.Summary):
		return nil, refuse("T7", "请填写公开摘要", "the public summary is missing")
	}
	items := slices.Clone(c.Items)
	for n := range items {
		items[n] = items[n].completed()
		if err := firm(items[n].feasible(at, n+1, "T7")); err != nil {
			return nil, err
		}
	}
	due, err := s.due(at, calendar.Handover)
	return Adopted{Items: items, Budget: c.Budget, Resources: slices.Concat(c.Resources), Summary: c.Summary, Handover: due}, err
}

// completed gives an item the usual urgency if it has none.
func (i Item) completed() Item {
	if i.Urgency == "" {
		i.Urgency = usualUrgency
	}
	i.CoUnits = slices.Concat(i.CoUnits)
	return i
}

// feasible checks that the n-th item, counted from 1, can be carried out by whom and when it says.
func (i Item) feasible(at rule.At, n int, id string) *rule.Refusal {
	no := func(zh, en string) *rule.Refusal {
		return rule.Refuse(rule.GuardFailed, id, fmt.Sprintf("第 %d 项：%s", n, zh), fmt.Sprintf("item %d: %s", n, en))
	}
	lead, known := at.Units.Unit(i.Lead)
	latest := at.Clocks.Cap(calendar.TargetDateCap, at.Recorded)
	switch {
	case !known || lead.Closed:
		return no(fmt.Sprintf("主办单位 %s 不存在或已撤销", i.Lead), fmt.Sprintf("the lead unit %s does not exist or is closed", i.Lead))
	case lead.Kind == orgs.JointTeam && !slices.Contains(lead.Members, i.Competent):
		return no("联合执法队须指明主管成员单位", "a joint team needs its competent member agency named")
	case lead.Kind != orgs.JointTeam && i.Competent != "":
		return no("只有联合执法队指明主管成员单位", "only a joint team has a competent member agency")
	case i.Matter == "":
		return no("请选择事项", "the matter is missing")
	case blank(i.Task):
		return no("请写明办理任务", "the task is missing")
	case len(i.Urgency) != 1 || !strings.Contains("ABCD", i.Urgency):
		return no("紧急程度为 A、B、C 或 D", "the urgency is A, B, C or D")
	case i.Target <= calendar.DateOf(at.Recorded):
		return no("目标日期须在今天之后", "the target date must lie after today")
	case i.Target > latest:
		return no(fmt.Sprintf("目标日期不能晚于 %s", latest), fmt.Sprintf("the target date can be %s at the latest", latest))
	case !distinct(i.CoUnits) || slices.Contains(i.CoUnits, i.Lead):
		return no("协办单位重复或与主办相同", "a co-unit is named twice or is the lead")
	}
	for _, co := range i.CoUnits {
		if u, known := at.Units.Unit(co); !known || u.Closed {
			return no(fmt.Sprintf("协办单位 %s 不存在或已撤销", co), fmt.Sprintf("the co-unit %s does not exist or is closed", co))
		}
	}
	return nil
}

// admitted asks the gate about the lead and every co-unit (rule I7).
func (i Item) admitted(at rule.At) *rule.Refusal {
	if r := rule.PassGate(at, i.Lead, i.Matter, true); r != nil {
		return r
	}
	for _, co := range i.CoUnits {
		if r := rule.PassGate(at, co, i.Matter, false); r != nil {
			return r
		}
	}
	return nil
}

// T8. A vote that failed is no obstacle to rejecting, only to adopting.
func (c Reject) decide(s State, at rule.At) (Event, error) {
	if err := s.deliberated(at, "T8"); err != nil {
		return nil, err
	}
	if blank(c.Reason) {
		return nil, refuse("T8", "不采纳须公布理由", "rejecting a topic needs a reason that is published")
	}
	return Rejected(c), nil
}

// T9.
func (c Defer) decide(s State, at rule.At) (Event, error) {
	if err := s.deliberated(at, "T9"); err != nil {
		return nil, err
	}
	latest := at.Clocks.Cap(calendar.TopicReviewCap, at.Recorded)
	switch {
	case blank(c.Reason):
		return nil, refuse("T9", "缓议须公布理由", "deferring a topic needs a reason that is published")
	case c.ReviewOn <= calendar.DateOf(at.Recorded):
		return nil, refuse("T9", "复议日期须在今天之后", "the review date must lie after today")
	case c.ReviewOn > latest:
		return nil, refuse("T9", fmt.Sprintf("复议日期不能晚于 %s", latest), fmt.Sprintf("the review date can be %s at the latest", latest))
	}
	due, err := at.Clocks.Until(s.dueID(calendar.TopicReview), calendar.TopicReview, at.Recorded, c.ReviewOn)
	return Deferred{Reason: c.Reason, ReviewOn: c.ReviewOn, Review: due}, err
}

// T10. Only a plan that loads something on a community, a street or a grid can fail admission: those are
// the units that lists protect.
func (c RefuseAdmission) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T10")); err != nil {
		return nil, err
	}
	protected := func(code orgs.UnitCode) bool {
		u, _ := at.Units.Unit(code)
		return u.Kind == orgs.Community || u.Kind == orgs.Street || u.Kind == orgs.Grid
	}
	loads := func(i Item) bool { return protected(i.Lead) || slices.ContainsFunc(i.CoUnits, protected) }
	switch {
	case blank(c.Reason) && at.Actor.Role != orgs.System:
		return nil, refuse("T10", "准入未通过须说明理由", "refusing admission needs a reason")
	case !slices.ContainsFunc(s.Plan, loads):
		return nil, refuse("T10", "方案未给社区、街道或网格安排事项，无需准入", "the plan loads nothing on a community, street or grid: there is nothing to admit")
	}
	due, err := s.due(at, calendar.Deliberate)
	return AdmissionRefused{Reason: c.Reason, Admission: c.Admission, Deliberate: due}, err
}

// T11. What was adopted is handed over; an item changes only where it can no longer be carried out, so that
// a late handover does not end in orders nobody can meet.
func (c HandToGrid) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T11")); err != nil {
		return nil, err
	}
	items := slices.Clone(s.Plan)
	switch {
	case len(c.Items) > 0 && len(c.Items) != len(s.Plan):
		return nil, refuse("T11", fmt.Sprintf("已采纳的方案有 %d 项", len(s.Plan)), fmt.Sprintf("the adopted plan has %d items", len(s.Plan)))
	case len(items) == 0:
		return nil, refuse("T11", "没有已采纳的方案", "no plan was adopted")
	}
	var latest calendar.Date
	for n := range items {
		if len(c.Items) > 0 {
			changed := c.Items[n].completed()
			if !changed.same(items[n]) && items[n].feasible(at, n+1, "T11") == nil {
				return nil, refuse("T11", fmt.Sprintf("第 %d 项仍可按采纳的方案办理，不能更改", n+1),
					fmt.Sprintf("item %d can be carried out as it was adopted and is not changed", n+1))
			}
			items[n] = changed
		}
		if err := firm(items[n].feasible(at, n+1, "T11"), items[n].admitted(at)); err != nil {
			return nil, err
		}
		latest = max(latest, items[n].Target)
	}
	cycle := s.Cycle + 1
	if s.Phase == PhaseHandling { // asked again: it means the cycle that it opened
		cycle = s.Cycle
	}
	return HandedToGrid{Cycle: cycle, Items: items, By: at.Actor.Unit, Latest: latest}, nil
}

// same compares two items; no co-units are no co-units, however they were written.
func (i Item) same(j Item) bool {
	co := slices.Equal(i.CoUnits, j.CoUnits)
	i.CoUnits, j.CoUnits = nil, nil
	return co && reflect.DeepEqual(i, j)
}

// T12.
func (c AddOrder) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T12")); err != nil {
		return nil, err
	}
	if (c.Item == nil) == c.Order.IsZero() {
		return nil, refuse("T12", "新增事项和并入已有办题单须择一", "choose exactly one: a new item, or an order to join")
	}
	e := OrderAdded{Order: c.Order, By: at.Actor.Unit}
	if c.Item != nil {
		item := c.Item.completed()
		e.Item = &item
		return e, firm(item.feasible(at, 1, "T12"), item.admitted(at))
	}
	o, found := at.Facts.Order(c.Order)
	switch {
	case !found:
		return nil, refuse("T12", "要并入的办题单不存在", "the order to join does not exist")
	case !o.Live:
		return nil, refuse("T12", "要并入的办题单已办理完毕："+o.Phase, "the order to join is not live: it is "+o.Phase)
	case slices.Contains(s.CycleOrders, c.Order) && !repeats(s, e, at):
		return nil, refuse("T12", "该办题单已在本议题中", "the order serves this topic already")
	}
	return e, nil
}

// orders counts how the cycle's orders stand. An order that the gate stopped was never dispatched and
// counts nowhere.
func (s State) orders(at rule.At) (open, closed, cancelled int) {
	for _, id := range s.CycleOrders {
		switch o, found := at.Facts.Order(id); {
		case !found:
		case o.Cancelled:
			cancelled++
		case o.Closed:
			closed++
		default:
			open++
		}
	}
	return open, closed, cancelled
}

// T13. The process manager knows that nothing was dispatched at all (R10); a person could not tell that
// from orders that are still on their way.
func (c Return) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T13")); err != nil {
		return nil, err
	}
	open, closed, cancelled := s.orders(at)
	switch {
	case blank(c.Reason) && at.Actor.Role != orgs.System:
		return nil, refuse("T13", "退回再议须说明理由", "returning a topic needs a reason")
	case open+closed > 0:
		return nil, refuse("T13", "仍有办题单在办、已核查或已结案，不能退回再议", "an order of it is live, verified or closed, so it can not be returned")
	case cancelled == 0 && at.Actor.Role != orgs.System:
		return nil, refuse("T13", "办题单尚未派出，请稍后再试", "its orders are not dispatched yet")
	}
	due, err := s.due(at, calendar.Deliberate)
	return Returned{Reason: c.Reason, Deliberate: due}, err
}

// PublishResult numbers the results of a topic from 1.
func (c PublishResult) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.decider(at, "T14")); err != nil {
		return nil, err
	}
	switch {
	case blank(c.Text):
		return nil, refuse("T14", "请填写实效内容", "the result has no text")
	case !distinct(c.Orders) || !distinct(c.AlsoTopics):
		return nil, refuse("T14", "同一办题单或议题列出了两次", "an order or a topic is named twice")
	}
	for _, id := range c.Orders {
		if !slices.Contains(s.AllOrders, id) {
			return nil, refuse("T14", fmt.Sprintf("办题单 %s 不属于本议题", id), fmt.Sprintf("the order %s is not one of this topic", id))
		}
	}
	for _, id := range c.AlsoTopics {
		if _, found := at.Facts.Topic(id); !found || id == s.ID {
			return nil, refuse("T14", fmt.Sprintf("关联议题 %s 不存在或为本议题", id), fmt.Sprintf("the further topic %s does not exist or is this one", id))
		}
	}
	e := ResultPublished{Result: s.Results, Text: c.Text, Orders: slices.Concat(c.Orders),
		AlsoTopics: slices.Concat(c.AlsoTopics), Resources: slices.Concat(c.Resources)}
	if !repeats(s, e, at) {
		e.Result++
	}
	return e, nil
}

// T14. After a reopening the new cycle has a result of its own: what was published before is no news.
func (c Conclude) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.decider(at, "T14")); err != nil {
		return nil, err
	}
	open, closed, cancelled := s.orders(at)
	unanswered := slices.ContainsFunc(at.Facts.Demands, func(d rule.DemandFact) bool { return d.Topic == s.ID && !d.Answered })
	switch {
	case blank(c.Summary):
		return nil, refuse("T14", "请填写办结公示内容", "the public summary is missing")
	case open > 0:
		return nil, refuse("T14", fmt.Sprintf("还有 %d 张办题单未结案或撤单", open), fmt.Sprintf("orders not closed or cancelled yet: %d", open))
	case closed+cancelled == 0:
		return nil, refuse("T14", "办题单尚未派出，不能办结", "its orders are not dispatched yet")
	case s.CycleResults == 0:
		return nil, refuse("T14", "尚未公示实效", "no result was published since it was handed to the grid")
	case unanswered:
		return nil, refuse("T14", "还有诉求未答复", "a demand that it governs is not answered yet")
	}
	return Concluded(c), nil
}

// T15.
func (c Reopen) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T15")); err != nil {
		return nil, err
	}
	if blank(c.Reason) {
		return nil, refuse("T15", "重议须说明理由", "reopening a topic needs a reason")
	}
	due, err := s.due(at, calendar.Deliberate)
	return Reopened{Reason: c.Reason, Deliberate: due}, err
}

// HoldDeliberation records a meeting of this deliberation: after it was announced for, and after the
// deliberation began.
func (c HoldDeliberation) decide(s State, at rule.At) (Event, error) {
	if err := firm(rule.Reaches(at, s.Unit, "T7")); err != nil {
		return nil, err
	}
	var capacities []string
	for _, a := range c.Attendees {
		if !slices.Contains(Capacities(), a.Capacity) || a.Number < 1 {
			return nil, refuse("T7", "参会人员按身份填写人数，人数须为正数", "those present are counted by capacity, each with a positive number")
		}
		capacities = append(capacities, a.Capacity)
	}
	switch {
	case at.Occurred.Before(s.MeetingAt):
		return nil, refuse("T7", "议事会定于 "+local(s.MeetingAt)+"，尚未召开", "the meeting is set for "+local(s.MeetingAt)+" and has not taken place yet")
	case at.Occurred.Before(wholeSeconds(s.Deliberates)):
		return nil, refuse("T7", "该会议早于本次议事", "that meeting was held before this deliberation began")
	case !slices.Contains(Formats(), c.Format):
		return nil, refuse("T7", fmt.Sprintf("没有 %q 这种议事形式", c.Format), fmt.Sprintf("there is no form of deliberation %q", c.Format))
	case blank(c.Venue):
		return nil, refuse("T7", "请填写议事地点", "the venue is missing")
	case !digest(c.Minutes):
		return nil, rule.Refuse(rule.EvidenceMissing, "T7", "须附会议记录摘要（SHA-256）", "the SHA-256 of the minutes is missing")
	case len(capacities) == 0 || !distinct(capacities):
		return nil, refuse("T7", "请填写参会人数，每种身份一次", "say who was present, each capacity once")
	}
	return DeliberationHeld{Format: c.Format, Venue: c.Venue, Minutes: c.Minutes,
		Attendees: slices.Concat(c.Attendees), Summary: c.Summary}, nil
}

// Support counts a household once. The code is the household's at its stairwell, not anybody's name (rule I14).
func (c Support) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.belongs(at, "T1")); err != nil {
		return nil, err
	}
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	e := Supported(c)
	switch {
	case c.Household == "" || len(c.Household) > maxCode || strings.ContainsFunc(c.Household, odd):
		return nil, refuse("I14", fmt.Sprintf("户编码须为 1 至 %d 个 ASCII 可见字符，不得填写姓名", maxCode),
			fmt.Sprintf("a household is named by a code of 1 to %d visible ASCII characters, never by a name", maxCode))
	case slices.Contains(s.households, c.Household) && !repeats(s, e, at):
		return nil, refuse("T1", "该户已经附议过", "this household supports it already")
	}
	return e, nil
}

// NoteDemandReopened is the process manager's (R22).
func (c NoteDemandReopened) decide(_ State, _ rule.At) (Event, error) {
	if c.Demand.IsZero() || c.Round < 2 {
		return nil, refuse("R22", "请指明重新提出的诉求及轮次", "name the demand that was raised again and its round, 2 or later")
	}
	return LinkedDemandReopened(c), nil
}

// MarkReadyToConclude is the process manager's (R26): concluding is due, and stays a human act. When an order
// was reopened and ends again, the clock starts anew.
func (c MarkReadyToConclude) decide(s State, at rule.At) (Event, error) {
	if open, closed, _ := s.orders(at); open > 0 || closed == 0 {
		return nil, refuse("R26", "办题单尚未全部结束，或没有结案的", "an order has not ended yet, or none was closed")
	}
	due, err := s.due(at, calendar.Conclude)
	return ReadyToConclude{Conclude: due}, err
}
