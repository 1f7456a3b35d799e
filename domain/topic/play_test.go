package topic

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"

	"pgregory.net/rapid"
)

// A small town: a street of two communities, an agency and a joint team, and a neighbouring street.
const (
	district   = orgs.UnitCode("150105")
	street     = orgs.UnitCode("150105003")
	community  = orgs.UnitCode("150105003001")
	beside     = orgs.UnitCode("150105003002")
	elsewhere  = orgs.UnitCode("150105004001")
	department = orgs.UnitCode("150105-d01")
	agency     = orgs.UnitCode("150105003-a1")
	team       = orgs.UnitCode("150105003-t1")
	gone       = orgs.UnitCode("150105003-p1") // closed
	grid       = orgs.GridCode("150105003001001")
	grid2      = orgs.GridCode("150105003001002")
	emptyGrid  = orgs.GridCode("150105003001003")
	retired    = orgs.GridCode("150105003001004")
	gridBeside = orgs.GridCode("150105003002001")
)

func town() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: "150100", Name: "市", Kind: orgs.City},
		orgs.UnitOpened{Code: district, Name: "区", Kind: orgs.District, Parent: "150100"},
		orgs.UnitOpened{Code: department, Name: "局", Kind: orgs.Department, Parent: district},
		orgs.UnitOpened{Code: street, Name: "街道", Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: "150105004", Name: "邻街道", Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: community, Name: "社区", Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: beside, Name: "邻社区", Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: elsewhere, Name: "远社区", Kind: orgs.Community, Parent: "150105004"},
		orgs.UnitOpened{Code: agency, Name: "所", Kind: orgs.Agency, Parent: street, Department: department},
		orgs.UnitOpened{Code: team, Name: "执法队", Kind: orgs.JointTeam, Parent: street, Members: []orgs.UnitCode{agency}},
		orgs.UnitOpened{Code: gone, Name: "物业", Kind: orgs.Property, Parent: street},
		orgs.UnitClosed{Code: gone},
		orgs.GridDrawn{Grid: grid, Name: "一", Households: 300},
		orgs.GridDrawn{Grid: grid2, Name: "二", Households: 200},
		orgs.GridDrawn{Grid: emptyGrid, Name: "三"},
		orgs.GridDrawn{Grid: retired, Name: "四", Households: 100}, orgs.GridRetired{Grid: retired},
		orgs.GridDrawn{Grid: gridBeside, Name: "五", Households: 250},
	)
}

// The people, each named by an opaque id.
var (
	clerk      = rule.Actor{ID: "k-clerk", Role: orgs.Clerk, Unit: community}
	convenor   = rule.Actor{ID: "k-convenor", Role: orgs.Convenor, Unit: community}
	secretary  = rule.Actor{ID: "k-secretary", Role: orgs.CommunitySecretary, Unit: community}
	dispatcher = rule.Actor{ID: "k-dispatcher", Role: orgs.Dispatcher, Unit: street}
	leader     = rule.Actor{ID: "k-leader", Role: orgs.StreetLeader, Unit: street}
	officer    = rule.Actor{ID: "k-officer", Role: orgs.AdmissionOfficer, Unit: district}
	arbiter    = rule.Actor{ID: "k-arbiter", Role: orgs.Arbiter, Unit: district}
	resident   = rule.Actor{ID: "k-resident", Role: orgs.Resident, Unit: community}
	worker     = rule.Actor{ID: "k-worker", Role: orgs.GridWorker, Unit: grid.Unit()}
	system     = rule.Actor{ID: "pm", Role: orgs.System}
	clock      = rule.Actor{ID: "clock", Role: orgs.System}
)

// from is the same person at another unit.
func from(a rule.Actor, unit orgs.UnitCode) rule.Actor {
	a.ID, a.Unit = a.ID+"@"+string(unit), unit
	return a
}

var (
	self   = stream.For(stream.Topic, "k-clerk", "topic-1")
	other  = stream.For(stream.Topic, "k-clerk", "topic-2")
	joined = stream.For(stream.Order, "k-dispatcher", "order-of-another-topic")
	hash   = strings.Repeat("0af", 21) + "9"
)

func demandID(n int) stream.ID { return stream.DemandFor("hotline", string(rune('a'+n))) }

// step is one command, who gives it and in what circumstance.
type step struct {
	who    rule.Actor
	second rule.Actor
	wait   time.Duration // since the step before
	late   time.Duration // since it happened
	cmd    func(State, time.Time) Command
	facts  func(State) rule.Facts
	gate   rule.Gate
	rules  func(*calendar.Policy)
	days   *calendar.Calendar // nil: China's
}

func (st step) by(a rule.Actor) step                         { st.who = a; return st }
func (st step) confirmedBy(a rule.Actor) step                { st.second = a; return st }
func (st step) after(d time.Duration) step                   { st.wait = d; return st }
func (st step) happened(ago time.Duration) step              { st.late = ago; return st }
func (st step) knowing(f func(State) rule.Facts) step        { st.facts = f; return st }
func (st step) under(change func(*calendar.Policy)) step     { st.rules = change; return st }
func (st step) gated(g rule.Gate) step                       { st.gate = g; return st }
func (st step) asking(f func(State, time.Time) Command) step { st.cmd = f; return st }

// but changes a step's command.
func but[C Command](st step, change func(*C)) step {
	cmd := st.cmd
	st.cmd = func(s State, now time.Time) Command {
		c := cmd(s, now).(C)
		change(&c)
		return c
	}
	return st
}

const day = 24 * time.Hour

// The ordinary course of a topic, and every turn it can take.
var (
	proposes = step{who: clerk, wait: day, facts: twoDemands, cmd: func(State, time.Time) Command {
		return Propose{Number: "Y-1", Kind: Ordinary, Source: FromResidents, Title: "楼道照明", Unit: community,
			Matter: "lighting", Demands: []stream.ID{demandID(0), demandID(1)}}
	}}
	opens = step{who: convenor, wait: day, cmd: func(_ State, now time.Time) Command {
		return OpenDeliberation{Format: "council", Place: "社区活动室", MeetingAt: now.Add(5 * day)}
	}}
	holds = step{who: convenor, wait: 6 * day, cmd: func(State, time.Time) Command {
		return HoldDeliberation{Format: "council", Venue: "社区活动室", Minutes: hash,
			Attendees: []Attendance{{"residents", 23}, {"property", 1}}, Summary: "议定更换灯具"}
	}}
	opensVote = step{who: convenor, wait: time.Hour, cmd: func(_ State, now time.Time) Command {
		return OpenVote{Options: []sealed.Public{"同意", "不同意"}, Grids: []orgs.GridCode{grid, grid2}, ClosesAt: now.Add(4 * day)}
	}}
	closesVote = step{who: convenor, wait: 5 * day, cmd: func(State, time.Time) Command {
		return CloseVote{Cast: 300, Counts: []int{200, 90}, Ballots: hash}
	}}
	failsVote = but(closesVote, func(c *CloseVote) { c.Cast, c.Counts = 249, []int{249, 0} })
	adopts    = step{who: secretary, second: convenor, wait: day, cmd: func(_ State, now time.Time) Command {
		return Adopt{Items: plan(now), Budget: 1_200_000, Resources: []string{"r-1"}, Summary: "更换楼道灯具"}
	}}
	rejects = step{who: secretary, second: convenor, wait: day, cmd: func(State, time.Time) Command { return Reject{Reason: "产权单位不同意"} }}
	defers  = step{who: secretary, second: convenor, wait: day, cmd: func(_ State, now time.Time) Command {
		return Defer{Reason: "等待改造计划", ReviewOn: calendar.DateOf(now) + 60}
	}}
	refusesAdmission = step{who: officer, wait: day, cmd: func(State, time.Time) Command { return RefuseAdmission{Reason: "不在社区清单内"} }}
	hands            = step{who: dispatcher, wait: day, cmd: func(State, time.Time) Command { return HandToGrid{} }}
	addsItem         = step{who: dispatcher, wait: day, facts: orders("handling"), cmd: func(_ State, now time.Time) Command {
		item := plan(now)[0]
		return AddOrder{Item: &item}
	}}
	joins     = step{who: dispatcher, wait: day, facts: orders("handling"), cmd: func(State, time.Time) Command { return AddOrder{Order: joined} }}
	returns   = step{who: dispatcher, wait: day, facts: orders("cancelled"), cmd: func(State, time.Time) Command { return Return{Reason: "无法施工"} }}
	publishes = step{who: secretary, wait: day, cmd: func(s State, _ time.Time) Command {
		return PublishResult{Text: "灯已更换", Orders: s.CycleOrders, Resources: []string{}}
	}}
	marksReady = step{who: system, wait: day, facts: orders("closed"), cmd: func(State, time.Time) Command { return MarkReadyToConclude{} }}
	concludes  = step{who: secretary, wait: day, facts: orders("closed"), cmd: func(State, time.Time) Command { return Conclude{Summary: "全部完成"} }}
	reopens    = step{who: convenor, wait: day, cmd: func(State, time.Time) Command { return Reopen{Reason: "灯又坏了"} }}
	merges     = step{who: convenor, wait: day, facts: otherTopic(rule.TopicFact{ID: other, Phase: "proposed", Unit: street}),
		cmd: func(State, time.Time) Command { return Merge{Target: other, Reason: "同一事项"} }}
	drops    = step{who: convenor, wait: day, cmd: func(State, time.Time) Command { return Drop{Reason: "提议人撤回"} }}
	supports = step{who: resident, wait: time.Hour, cmd: func(State, time.Time) Command { return Support{Household: "01-2-301"} }}
	warns    = step{who: clock, wait: 300 * day, cmd: func(s State, _ time.Time) Command { return RaiseWarning{runningID(s)} }}
	expires  = step{who: clock, wait: 300 * day, cmd: func(s State, _ time.Time) Command { return ExpireClock{runningID(s)} }}
	recounts = step{who: arbiter, wait: time.Hour, days: ruletest.Shut(newPlay().now).Calendar, rules: func(p *calendar.Policy) { p.NaturalRoll = calendar.NextWorkingDay },
		cmd: func(s State, _ time.Time) Command {
			return RecomputeDeadline{ID: runningID(s), Reason: "放假通知已更正"}
		}}
	notes = step{who: system, wait: day, cmd: func(State, time.Time) Command { return NoteDemandReopened{Demand: demandID(0), Round: 2} }}
)

// runningID names the clock that runs, "" if none does.
func runningID(s State) string {
	if len(s.Running) == 0 {
		return ""
	}
	return s.Running[0].ID
}

func plan(now time.Time) []Item {
	target := calendar.DateOf(now) + 30
	return []Item{
		{Lead: grid.Unit(), CoUnits: []orgs.UnitCode{}, Matter: "lighting", Urgency: "D", Target: target, Task: "统计楼道灯具"},
		{Lead: agency, CoUnits: []orgs.UnitCode{community}, Matter: "lighting", Urgency: "C", Target: target + 10, Task: "更换灯具"},
	}
}

func twoDemands(State) rule.Facts {
	return rule.Facts{Demands: []rule.DemandFact{
		{ID: demandID(0), Phase: "raised", Kind: "issue", Unit: community, Live: true},
		{ID: demandID(1), Phase: "accepted", Kind: "suggestion", Unit: community, Live: true},
	}}
}

// orders says that all orders of the cycle are in one state, and so is an order of another topic.
func orders(phase string) func(State) rule.Facts {
	return func(s State) rule.Facts {
		var f rule.Facts
		for _, id := range append(append([]stream.ID{}, s.CycleOrders...), joined) {
			f.Orders = append(f.Orders, order(id, phase))
		}
		return f
	}
}

func order(id stream.ID, phase string) rule.OrderFact {
	return rule.OrderFact{ID: id, Phase: phase, Lead: agency, Closed: phase == "closed", Cancelled: phase == "cancelled",
		Verified: phase == "verified" || phase == "closed", Live: phase == "handling"}
}

func otherTopic(t rule.TopicFact) func(State) rule.Facts {
	return func(State) rule.Facts { return rule.Facts{Topics: []rule.TopicFact{t}} }
}

// play is one topic's history as it is made.
type play struct {
	units  *orgs.Tree
	now    time.Time
	states []State // states[n] is the state before the n-th event; the last one is the present
	events []Event
	stamps []rule.Stamp
}

func newPlay() *play {
	monday := time.Date(2026, 3, 2, 9, 0, 0, 123e6, calendar.Zone())
	return &play{units: town(), now: monday, states: []State{{ID: self}}}
}

func (p *play) state() State { return p.states[len(p.states)-1] }

// ask lets the step's time pass and returns what it asks, in which circumstance.
func (p *play) ask(st step) (Command, rule.At) {
	p.now = p.now.Add(st.wait)
	s := p.state()
	policy := calendar.DefaultPolicy()
	if st.rules != nil {
		st.rules(policy)
	}
	days := st.days
	if days == nil {
		days = calendar.China()
	}
	at := rule.At{
		Stamp:  rule.Stamp{Actor: st.who, Occurred: p.now.Add(-st.late), Recorded: p.now},
		Units:  p.units,
		Clocks: calendar.Rules{Calendar: days, Policy: policy},
		Gate:   st.gate,
	}
	if st.second.ID != "" {
		at.Second = &st.second
	}
	if st.facts != nil {
		at.Facts = st.facts(s)
	}
	return st.cmd(s, p.now), at
}

// record appends what was decided, as it is read back from the log.
func (p *play) record(events []Event, at rule.At) {
	for _, e := range events {
		e = readBack(e)
		st := at.Stamp
		st.Event = stream.Event(stream.Of(stream.Topic, self), "test", len(p.events))
		p.events, p.stamps = append(p.events, e), append(p.stamps, st)
		p.states = append(p.states, Evolve(p.state(), e, st))
	}
}

// readBack returns an event as the log holds it.
func readBack(e Event) Event {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	back := reflect.New(reflect.TypeOf(e))
	if err := json.Unmarshal(b, back.Interface()); err != nil {
		panic(err)
	}
	return back.Elem().Interface().(Event)
}

func (p *play) do(st step) ([]Event, error) {
	c, at := p.ask(st)
	events, err := Decide(p.state(), c, at)
	p.record(events, at)
	return events, err
}

// given plays steps that must all succeed.
func given(t rapid.TB, steps ...step) *play {
	t.Helper()
	p := newPlay()
	for n, st := range steps {
		if events, err := p.do(st); err != nil || len(events) != 1 {
			t.Fatalf("given step %d, %+v: got %v, %v; want one event", n+1, st.cmd(p.state(), p.now), events, err)
		}
	}
	return p
}

// The ordinary way to each state.
func path(p Phase) []step {
	switch p {
	case PhaseProposed:
		return []step{proposes}
	case PhaseDeliberating:
		return []step{proposes, opens, holds}
	case PhaseVoting:
		return []step{proposes, opens, holds, opensVote}
	case PhaseDeferred:
		return []step{proposes, opens, holds, defers}
	case PhaseAdopted:
		return []step{proposes, opens, holds, adopts}
	case PhaseHandling:
		return []step{proposes, opens, holds, adopts, hands, publishes}
	case PhaseConcluded:
		return []step{proposes, opens, holds, adopts, hands, publishes, concludes}
	case PhaseRejected:
		return []step{proposes, opens, holds, rejects}
	case PhaseMerged:
		return []step{proposes, merges}
	case PhaseDropped:
		return []step{proposes, drops}
	}
	return nil
}
