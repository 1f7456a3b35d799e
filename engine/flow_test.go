package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// paced is a log whose followers see events only up to a position: with it people act while the flow lags behind.
type paced struct {
	eventlog.Log
	mu    sync.Mutex
	limit eventlog.Position
	moved chan struct{}
}

const unpaced = ^eventlog.Position(0)

func pace(l eventlog.Log) *paced { return &paced{Log: l, limit: unpaced, moved: make(chan struct{})} }

// upTo moves the limit.
func (p *paced) upTo(limit eventlog.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = limit
	close(p.moved)
	p.moved = make(chan struct{})
}

func (p *paced) at() (eventlog.Position, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit, p.moved
}

func (p *paced) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range p.Log.Follow(ctx, after) {
			if err != nil {
				yield(b, err)
				return
			}
			for rest := b.Events; len(rest) > 0; {
				limit, moved := p.at()
				n := 0
				for n < len(rest) && rest[n].Position <= limit {
					n++
				}
				if n == 0 {
					select {
					case <-moved:
					case <-ctx.Done():
						yield(eventlog.Batch{}, ctx.Err())
						return
					}
					continue
				}
				if !yield(eventlog.Batch{Events: rest[:n], Live: b.Live && n == len(rest)}, nil) {
					return
				}
				rest = rest[n:]
			}
			if len(b.Events) == 0 && !yield(b, nil) {
				return
			}
		}
	}
}

// play is a random story of a small city: what people do comes from a seed, what follows from the flow.
type play struct {
	*testing.T
	*engine.Engine
	log   *paced
	keys  *keys.Store
	dir   string
	react func(event.Entry, flow.World) flow.Plan
	rand  *rand.Rand
	clock atomic.Int64 // Unix milliseconds
	n     int          // requests made
	wrote int          // requests taken
	seen  eventlog.Position
	ids   map[stream.Category][]stream.ID
	taken map[string]int // commands that were not refused
	dies  bool           // whenever the flow is behind
}

// The rest of the city beside the constants of the house.
const (
	community2 = orgs.UnitCode("150105003002")
	grid2      = orgs.GridCode("150105003001002")
	grid3      = orgs.GridCode("150105003002001")
	agency     = orgs.UnitCode("150105003-a01")
	agency2    = orgs.UnitCode("150105003-a02")
	joint      = orgs.UnitCode("150105003-j01")
)

func newPlay(t *testing.T, seed uint64) *play {
	p := &play{T: t, log: pace(mem.Open()), dir: t.TempDir(), rand: rand.New(rand.NewPCG(seed, 1)),
		ids: map[stream.Category][]stream.ID{}, taken: map[string]int{}, react: flow.React}
	p.clock.Store(time.Date(2025, 3, 3, 1, 0, 0, 0, time.UTC).UnixMilli())
	return p
}

// open starts the engine and founds the city.
func (p *play) open() {
	p.start()
	for _, u := range []orgs.OpenUnit{
		{Code: city, Name: "呼和浩特市", Kind: orgs.City},
		{Code: district, Name: "赛罕区", Kind: orgs.District, Parent: city},
		{Code: bureau, Name: "住房和城乡建设局", Kind: orgs.Department, Parent: district},
		{Code: other, Name: "城市管理局", Kind: orgs.Department, Parent: district},
		{Code: hotline, Name: "热线中心", Kind: orgs.Hotline, Parent: district},
		{Code: oversight, Name: "督查中心", Kind: orgs.Oversight, Parent: district},
		{Code: street, Name: "人民路街道", Kind: orgs.Street, Parent: district},
		{Code: agency, Name: "城管中队", Kind: orgs.Agency, Parent: street, Department: other},
		{Code: agency2, Name: "市场监管所", Kind: orgs.Agency, Parent: street, Department: bureau},
		{Code: joint, Name: "综合执法队", Kind: orgs.JointTeam, Parent: street, Members: []orgs.UnitCode{agency, agency2}},
		{Code: community, Name: "第一社区", Kind: orgs.Community, Parent: street},
		{Code: community2, Name: "第二社区", Kind: orgs.Community, Parent: street},
	} {
		p.must(stream.Keyed(stream.Unit, string(u.Code)), operator, u)
		p.settle() // the next may sit in it
	}
	for _, g := range []orgs.GridCode{grid, grid2, grid3} {
		p.must(stream.Keyed(stream.Grids, string(g.Community())), operator,
			orgs.DrawGrid{Grid: g, Name: "网格", Households: 300, Buildings: 5, Stairwells: 20, Urban: true})
	}
	p.settle()
}

func (p *play) start() {
	p.Helper()
	store, err := keys.Open(context.Background(), filepath.Join(p.dir, "keys"))
	if err != nil {
		p.Fatal(err)
	}
	p.Engine, err = engine.Open(context.Background(), engine.Config{Log: p.log, Keys: store, Index: filepath.Join(p.dir, "index.db"),
		Rules: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}, Origin: "gridcase.test/test/1", Program: "test",
		Now: func() time.Time { return time.UnixMilli(p.clock.Load()) },
		Draw: func(id stream.ID, round int, _ string, _ time.Time) (bool, int) {
			return (int(id[15])+round)%2 == 0, 5000
		},
	}.Reacting(p.react))
	if err != nil {
		p.Fatal(err)
	}
	p.keys = store
}

func (p *play) stop() {
	p.Helper()
	if err := errors.Join(p.Close(), p.keys.Close()); err != nil {
		p.Fatal(err)
	}
}

func (p *play) wait(d time.Duration) { p.clock.Add(d.Milliseconds()) }
func (p *play) today() calendar.Date { return calendar.DateOf(time.UnixMilli(p.clock.Load())) }

func (p *play) end() eventlog.Position {
	end, err := p.log.End(context.Background())
	if err != nil {
		p.Fatal(err)
	}
	return end
}

// settle lets the flow catch up with everything, and with what it does itself.
func (p *play) settle() {
	p.Helper()
	p.log.upTo(unpaced)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for end := eventlog.Position(0); end != p.end(); {
		end = p.end()
		if err := p.Settled(ctx, end); err != nil {
			p.Fatal(err)
		}
	}
	p.look()
}

// look learns which streams there are.
func (p *play) look() {
	if p.seen == p.end() {
		return
	}
	for b, err := range p.log.Log.Follow(context.Background(), p.seen) {
		if err != nil {
			p.Fatal(err)
		}
		for _, ev := range b.Events {
			n := stream.Name(ev.Stream)
			if ev.Revision == 0 && !n.ID().IsZero() {
				p.ids[n.Category()] = append(p.ids[n.Category()], n.ID())
			}
			p.seen = ev.Position
		}
		if b.Live {
			return
		}
	}
}

// lag lets people act while the flow sees nothing, then a part of it, then everything. A play that dies does so
// before the last step, and loses its index.
func (p *play) lag(acts int) {
	begun := p.end()
	p.log.upTo(begun)
	for range acts / 2 {
		p.act()
	}
	part := begun
	if since := p.cases(begun); len(since) > 0 {
		part = pick(p, since...)
	}
	p.log.upTo(part)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.Settled(ctx, part); err != nil {
		p.Fatal(err)
	}
	for range acts - acts/2 {
		p.act()
	}
	if p.dies {
		p.stop()
		if err := os.Remove(filepath.Join(p.dir, "index.db")); err != nil {
			p.Fatal(err)
		}
		p.log.upTo(unpaced)
		p.start()
	}
	p.settle()
}

// cases returns the positions after one of what happened to cases. The rest — runs of numbers claimed — depends on
// how often the engine was started.
func (p *play) cases(after eventlog.Position) []eventlog.Position {
	var at []eventlog.Position
	if after == p.end() {
		return nil
	}
	for b, err := range p.log.Log.Follow(context.Background(), after) {
		if err != nil {
			p.Fatal(err)
		}
		for _, ev := range b.Events {
			if !stream.Name(ev.Stream).ID().IsZero() {
				at = append(at, ev.Position)
			}
		}
		if b.Live {
			break
		}
	}
	return at
}

// try gives a command and reports whether it was taken. Only a refusal is an answer; anything else ends the test.
func (p *play) try(n stream.Name, a rule.Actor, c engine.Command, second ...rule.Actor) bool {
	p.Helper()
	p.n++
	_, revision, err := p.Load(context.Background(), n)
	if err != nil {
		p.Fatal(err)
	}
	r := engine.Request{Stream: n, Commands: []engine.Command{c}, Key: "k" + strconv.Itoa(p.n), Actor: a, Expect: revision}
	if len(second) > 0 {
		r.Second = &second[0]
	}
	receipt, err := p.Handle(context.Background(), r)
	var refusal *rule.Refusal
	if err != nil && !errors.As(err, &refusal) {
		p.Fatalf("%T on %s: %v", c, n, err)
	}
	if err == nil && receipt.Written > 0 {
		p.wrote++
		p.taken[fmt.Sprintf("%T", c)]++
		return true
	}
	return false
}

func (p *play) must(n stream.Name, a rule.Actor, c engine.Command) {
	p.Helper()
	if !p.try(n, a, c) {
		p.Fatalf("%T on %s was refused", c, n)
	}
}

func state[S any](p *play, c stream.Category, id stream.ID) S {
	s, _, err := p.Load(context.Background(), stream.Of(c, id))
	if err != nil {
		p.Fatal(err)
	}
	typed, _ := s.(S)
	return typed
}

func pick[T any](p *play, list ...T) T { return list[p.rand.IntN(len(list))] }

// one returns a random stream of a category, the zero ID if there is none.
func (p *play) one(c stream.Category) stream.ID {
	if ids := p.ids[c]; len(ids) > 0 {
		return ids[p.rand.IntN(len(ids))]
	}
	return stream.ID{}
}

var digest = strings.Repeat("ab", 32)

// act has somebody do something. Who, what and to what are drawn; often it is refused.
func (p *play) act() {
	switch dice := p.rand.IntN(100); {
	case dice < 14 || len(p.ids[stream.Demand]) == 0:
		p.raise()
	case dice < 20:
		p.propose()
	case dice < 22:
		p.must(stream.Of(stream.Order, p.fresh(stream.Order)), as(orgs.Dispatcher, street), order.Dispatch{Patrol: true, Kind: "issue",
			Matter: "010101", Urgency: pick(p, "A", "B", "C", "D"), Lead: pick(p, grid.Unit(), community, agency), Place: community, Task: "巡查发现"})
	case dice < 26:
		p.wait(time.Duration(1+p.rand.IntN(60)) * time.Hour)
	case dice < 60:
		p.some(stream.Demand, p.actOnDemand)
	case dice < 76:
		p.some(stream.Topic, p.actOnTopic)
	case dice < 94:
		p.some(stream.Order, p.actOnOrder)
	default:
		p.some(stream.Dispute, p.actOnDispute)
	}
	p.look()
}

// some acts on streams of a category until something is taken, or patience ends.
func (p *play) some(c stream.Category, act func(stream.ID)) {
	before := p.wrote
	for range 6 {
		if id := p.one(c); !id.IsZero() && p.wrote == before {
			act(id)
		}
	}
}

func (p *play) fresh(c stream.Category) stream.ID { return stream.For(c, "play", strconv.Itoa(p.n)) }

func (p *play) raise() {
	g := pick(p, grid, grid, grid2, grid3)
	kind := pick(p, demand.Issue, demand.Issue, demand.Issue, demand.Errand, demand.Consult, demand.Suggestion, demand.Report, demand.Dispute)
	n := stream.Of(stream.Demand, p.fresh(stream.Demand))
	p.must(n, as(orgs.Channel, hotline), demand.Raise{Kind: kind, Channel: "wechat", Text: sealed.Clear("暖气不热"),
		Anonymous: p.rand.IntN(10) == 0, Grid: g, Unit: g.Community()})
	if p.rand.IntN(4) > 0 {
		p.must(n, as(orgs.Clerk, g.Community()), accept(kind, g))
	}
}

func accept(k demand.Kind, g orgs.GridCode) demand.Accept {
	return demand.Accept{Kind: k, Matter: "010101", Urgency: "C", Unit: g.Community(), Grid: g, Summary: "供热不足"}
}

func (p *play) propose() {
	unit := pick(p, community, community, community2, street)
	var named []stream.ID
	for _, id := range p.ids[stream.Demand] {
		d := state[demand.State](p, stream.Demand, id)
		if (d.Phase == demand.PhaseAccepted || d.Phase == demand.PhaseRaised) && d.Kind != demand.Dispute && d.Kind != demand.Report &&
			(unit == street || d.Unit == unit) && p.rand.IntN(2) == 0 && len(named) < 6 {
			named = append(named, id)
		}
	}
	source := "residents"
	if len(named) == 0 {
		source = "patrol"
	}
	p.try(stream.Of(stream.Topic, p.fresh(stream.Topic)), as(orgs.Convenor, unit),
		topic.Propose{Kind: topic.Ordinary, Source: source, Title: "小区供热", Unit: unit, Matter: "010101", Demands: named})
}

// person is usually the right one, sometimes anybody.
func (p *play) person(right rule.Actor) rule.Actor {
	if p.rand.IntN(12) > 0 {
		return right
	}
	return as(pick(p, orgs.Roles()...), pick(p, city, district, street, community, community2, grid.Unit(), bureau, agency, hotline, oversight))
}

func (p *play) actOnDemand(id stream.ID) {
	n, d := stream.Of(stream.Demand, id), state[demand.State](p, stream.Demand, id)
	clerk, caller := p.person(as(orgs.Clerk, d.Unit)), p.person(as(orgs.CallbackAgent, hotline))
	channel := as(orgs.Channel, hotline)
	if p.rand.IntN(4) == 0 && p.forwardDemand(id) {
		return
	}
	switch p.rand.IntN(20) {
	case 0:
		p.try(n, clerk, demand.Withdraw{Confirmed: "phone"})
	case 1:
		p.try(n, clerk, demand.Redirect{Target: "市民热线", Receipt: "r"})
	case 2:
		p.try(n, clerk, demand.Decline{Reason: "no_demand", Citation: "规定", Instead: "窗口"}, as(orgs.CommunitySecretary, d.Unit))
	case 3:
		if !p.try(n, channel, demand.FileAppeal{Reason: sealed.Clear("不服")}) {
			p.try(n, as(orgs.Dispatcher, street), demand.UpholdAppeal{Reason: "成立"})
		}
	case 4, 5, 6:
		p.try(n, pick(p, clerk, as(orgs.Convenor, street)), demand.LinkToTopic{Topic: p.one(stream.Topic)})
	case 7:
		p.try(n, clerk, demand.UnlinkFromTopic{Reason: "另行办理"})
	case 8, 9:
		p.try(n, pick(p, clerk, as(orgs.Dispatcher, street)), demand.FastTrack{Citation: "条例", Reason: pick(p, demand.ReasonSameMatter, demand.ReasonReopened),
			Route: demand.Route{Join: p.one(stream.Order)}})
	case 10:
		p.try(n, pick(p, as(orgs.Dispatcher, street), as(orgs.Dispatcher, district)), demand.FastTrack{Reason: demand.ReasonStatutory, Citation: "条例",
			Route: demand.Route{Order: &demand.NewOrder{Lead: pick(p, agency, community, bureau), CoUnits: []orgs.UnitCode{agency2}}}})
	case 11:
		p.try(n, as(orgs.Clerk, d.Unit), demand.AnswerOnTheSpot{Outcome: demand.Explained, Summary: "已解释", Answer: sealed.Clear("如此"), Agreement: digest})
	case 12, 13:
		p.try(n, caller, demand.RecordCallback{Resolved: false, Grade: 1, Merit: true, Order: pick(p, append([]stream.ID{{}}, d.Orders...)...)})
	case 14:
		p.try(n, caller, demand.RecordCallback{Resolved: false, Grade: 2, Reason: "诉求不合理"}, rule.Actor{ID: "second", Role: orgs.Supervisor, Unit: oversight})
	case 15:
		p.try(n, channel, demand.Reopen{Reason: sealed.Clear("又坏了")})
	case 16:
		p.try(n, clerk, demand.SplitUp{Children: []demand.Child{{Kind: demand.Issue, Grid: grid, Unit: community, Text: sealed.Clear("另一件")},
			{Kind: demand.Dispute, Unit: community, Text: sealed.Clear("噪声")}}})
	case 17:
		p.try(n, clerk, demand.Relate{Topic: p.one(stream.Topic)})
	case 18:
		p.try(n, clerk, demand.Reclassify{Kind: pick(p, demand.Kinds()...), Urgency: pick(p, demand.Urgencies()...)})
	case 19:
		p.try(n, rule.Actor{ID: "r" + strconv.Itoa(p.n), Role: orgs.Resident}, demand.Support{Supporters: 1})
	}
}

func (p *play) item() topic.Item {
	i := topic.Item{Lead: pick(p, grid.Unit(), agency, bureau, street), Matter: "010101", Target: p.today() + calendar.Date(1+p.rand.IntN(30)), Task: "改造"}
	if p.rand.IntN(4) == 0 {
		i.Lead, i.Competent, i.CoUnits = joint, agency, []orgs.UnitCode{bureau}
	}
	return i
}

// deciders returns who decides on a topic of the unit, and who confirms.
func deciders(unit orgs.UnitCode) (rule.Actor, rule.Actor) {
	if unit == street {
		return as(orgs.StreetLeader, street), as(orgs.Convenor, street)
	}
	return as(orgs.CommunitySecretary, unit), as(orgs.Convenor, unit)
}

func (p *play) actOnTopic(id stream.ID) {
	n, t := stream.Of(stream.Topic, id), state[topic.State](p, stream.Topic, id)
	decider, convenor := deciders(t.Unit)
	convenor = p.person(convenor)
	if p.rand.IntN(3) == 0 && p.forwardTopic(id) {
		return
	}
	switch p.rand.IntN(11) {
	case 0, 1:
		p.try(n, convenor, topic.Merge{Target: p.one(stream.Topic)})
	case 2:
		if limit, _ := p.log.at(); limit == unpaced { // who asks for all its demands waits for the flow
			p.try(n, convenor, topic.Drop{Reason: "撤题"})
		}
	case 3:
		p.try(n, convenor, topic.OpenVote{Options: []sealed.Public{"同意", "反对"}, Grids: []orgs.GridCode{grid}, ClosesAt: time.UnixMilli(p.clock.Load()).Add(48 * time.Hour)})
	case 4:
		p.try(n, decider, topic.Reject{Reason: "条件不具备"}, convenor)
	case 5:
		p.try(n, decider, topic.Defer{Reason: "待资金", ReviewOn: p.today() + 20}, convenor)
	case 6:
		p.try(n, as(orgs.AdmissionOfficer, district), topic.RefuseAdmission{Reason: "未准入"})
	case 7:
		i := p.item()
		p.try(n, as(orgs.Dispatcher, street), topic.AddOrder{Item: &i})
	case 8:
		p.try(n, as(orgs.Dispatcher, street), topic.AddOrder{Order: p.one(stream.Order)})
	case 9:
		p.try(n, convenor, topic.Reopen{Reason: "复发"})
	case 10:
		limit, _ := p.log.at()
		for _, o := range t.CycleOrders {
			p.try(stream.Of(stream.Order, o), as(orgs.Dispatcher, street), order.Cancel{Cause: "error", Reason: "方案有误"},
				leader(state[order.State](p, stream.Order, o).By))
			if limit == unpaced {
				p.settle()
			}
		}
	}
}

// leader returns who leads the unit.
func leader(u orgs.UnitCode) rule.Actor { return as(orgs.UnitHead, u) }

func (p *play) actOnOrder(id stream.ID) {
	n, o := stream.Of(stream.Order, id), state[order.State](p, stream.Order, id)
	handler := p.person(as(orgs.Handler, o.Lead))
	if p.rand.IntN(2) == 0 && p.forwardOrder(id) {
		return
	}
	switch p.rand.IntN(12) {
	case 0, 1:
		p.try(n, handler, order.RequestReturn{Reason: sealed.Clear("无管辖权"), Basis: "条例", Suggested: bureau})
	case 2, 3:
		p.rule(id, order.ApproveReturn{})
	case 4, 5:
		p.try(n, as(orgs.Dispatcher, pick(p, street, district)), order.Cancel{Cause: "error", Reason: "误派"}, leader(o.By))
	case 6:
		p.try(n, handler, order.Suspend{Reason: "season", ReviewOn: p.today() + 10}, leader(o.By))
	case 7:
		p.try(n, as(orgs.Verifier, oversight), order.FailVerification{Reason: "未修好", Method: "phone"})
	case 8:
		p.try(n, leader(o.By), order.OrderRework{Cause: "supervision", Reason: "督办"})
	case 9:
		p.try(n, leader(o.By), order.Reopen{Cause: "supervision", Reason: "督办"})
	case 10:
		p.try(n, as(orgs.Dispatcher, street), order.AttachDemand{Demand: p.one(stream.Demand)})
	case 11:
		p.try(n, as(orgs.Dispatcher, street), order.DetachDemand{Demand: pick(p, append([]stream.ID{p.one(stream.Demand)}, o.Demands...)...), Cause: "误挂"})
	}
}

// rule has whoever may rule on a return do so.
func (p *play) rule(id stream.ID, c engine.Command) bool {
	for _, a := range []rule.Actor{as(orgs.Dispatcher, street), as(orgs.Dispatcher, district), as(orgs.Dispatcher, city),
		as(orgs.Arbiter, district), as(orgs.Arbiter, city)} {
		if p.try(stream.Of(stream.Order, id), a, c) {
			return true
		}
	}
	return false
}

func (p *play) actOnDispute(id stream.ID) {
	n, d := stream.Of(stream.Dispute, id), state[dispute.State](p, stream.Dispute, id)
	if p.rand.IntN(2) == 0 && p.forwardDispute(id) {
		return
	}
	m := mediator(d)
	switch p.rand.IntN(5) {
	case 0:
		p.try(n, m, dispute.DeclineMediation{Reason: dispute.Refused})
	case 1:
		p.try(n, m, dispute.FailMediation{Reason: "谈不拢"})
	case 2:
		p.try(n, m, dispute.ReportBreach{Reason: sealed.Clear("反悔")})
	case 3:
		p.try(n, m, dispute.ReferOut{Target: dispute.Court, Receipt: "c"})
	case 4:
		p.try(n, m, dispute.ReferUp{})
	}
}

// mediator returns who mediates where the dispute stands.
func mediator(d dispute.State) rule.Actor {
	return as(orgs.Mediator, map[dispute.Rung]orgs.UnitCode{dispute.Grid: gridOf(d.Unit).Unit(), dispute.Community: d.Unit,
		dispute.Street: street, dispute.District: district}[d.Rung])
}

// gridOf returns a grid of the community.
func gridOf(u orgs.UnitCode) orgs.GridCode {
	if u == community2 {
		return grid3
	}
	return grid
}

// forwardDemand takes the next forward step that a person can take on a demand, if there is one.
func (p *play) forwardDemand(id stream.ID) bool {
	n, d := stream.Of(stream.Demand, id), state[demand.State](p, stream.Demand, id)
	clerk := as(orgs.Clerk, d.Unit)
	switch d.Phase {
	case demand.PhaseRaised:
		g := d.Grid
		if g == "" {
			g = gridOf(d.Unit)
		}
		return p.try(n, clerk, accept(d.Kind, g))
	case demand.PhaseAccepted:
		if d.Matter == "" || d.Urgency == "" {
			return p.try(n, clerk, demand.Reclassify{Matter: "010101", Urgency: "C"})
		}
		track := demand.FastTrack{Reason: demand.ReasonStatutory, Citation: "条例", Route: demand.Route{Order: &demand.NewOrder{Lead: gridOf(d.Unit).Unit()}}}
		switch d.Kind {
		case demand.Dispute:
			track.Reason, track.Route = demand.ReasonDispute, demand.Route{Dispute: pick(p, 1, 2, 3)}
		case demand.Report:
			track.Reason = demand.ReasonConfidential
		}
		return p.try(n, clerk, track)
	case demand.PhaseInTopic:
		// A topic that ended takes its demands along; one that could not follow is a clerk's to take out.
		return state[topic.State](p, stream.Topic, d.Topic).Phase.Terminal() && p.try(n, clerk, demand.UnlinkFromTopic{Reason: "议题已经结束"})
	case demand.PhaseAnswered:
		return p.try(n, as(orgs.CallbackAgent, hotline), demand.RecordCallback{Resolved: true, Grade: 5})
	}
	return false
}

func (p *play) forwardTopic(id stream.ID) bool {
	n, t := stream.Of(stream.Topic, id), state[topic.State](p, stream.Topic, id)
	decider, convenor := deciders(t.Unit)
	switch t.Phase {
	case topic.PhaseProposed, topic.PhaseDeferred:
		return p.try(n, convenor, topic.OpenDeliberation{Format: "council", Place: "活动室", MeetingAt: time.UnixMilli(p.clock.Load()).Add(4 * 24 * time.Hour)})
	case topic.PhaseDeliberating:
		switch {
		case !t.Held:
			if at := t.MeetingAt.UnixMilli(); at > p.clock.Load() {
				p.clock.Store(at)
			}
			return p.try(n, convenor, topic.HoldDeliberation{Format: "council", Venue: "活动室", Minutes: digest, Attendees: []topic.Attendance{{Capacity: "residents", Number: 9}}})
		case t.Vote.Closed && !t.Vote.Passed:
			return p.try(n, decider, topic.Reject{Reason: "表决未通过"}, convenor)
		}
		items := []topic.Item{p.item()}
		if p.rand.IntN(2) == 0 {
			items = append(items, p.item())
		}
		return p.try(n, decider, topic.Adopt{Summary: "改造", Items: items}, convenor)
	case topic.PhaseVoting:
		if at := t.Vote.ClosesAt.UnixMilli(); at > p.clock.Load() {
			p.clock.Store(at)
		}
		yes := pick(p, 0, 200)
		return p.try(n, convenor, topic.CloseVote{Cast: 200, Counts: []int{yes, 200 - yes}, Ballots: digest})
	case topic.PhaseAdopted:
		if p.try(n, as(orgs.Dispatcher, street), topic.HandToGrid{}) {
			return true
		}
		late := slices.Clone(t.Plan)
		for i := range late {
			if late[i].Target <= p.today() {
				late[i].Target = p.today() + 20
			}
		}
		return p.try(n, as(orgs.Dispatcher, street), topic.HandToGrid{Items: late})
	case topic.PhaseHandling:
		if limit, _ := p.log.at(); limit != unpaced { // who asks for all its demands waits for the flow
			return false
		}
		if t.CycleResults == 0 {
			return p.try(n, decider, topic.PublishResult{Text: "实效"})
		}
		return p.try(n, decider, topic.Conclude{Summary: "办结"})
	}
	return false
}

func (p *play) forwardOrder(id stream.ID) bool {
	n, o := stream.Of(stream.Order, id), state[order.State](p, stream.Order, id)
	handler := as(orgs.Handler, o.Lead)
	switch o.Phase {
	case order.PhaseDispatched:
		return p.try(n, handler, order.Sign{})
	case order.PhaseSigned:
		for _, cause := range []string{"patrol", "anonymous", "no_demand"} {
			if p.try(n, handler, order.WaiveContact{Cause: cause}) {
				return true
			}
		}
		return p.try(n, handler, order.RecordContact{Means: "phone", Demands: o.Demands})
	case order.PhaseHandling:
		for _, co := range o.Awaited {
			return p.try(n, handler, order.ReleaseCoUnit{Unit: co})
		}
		return p.try(n, handler, order.ReportHandling{Outcome: pick(p, "resolved", "partly", "explained"), Answer: sealed.Clear("已修好"),
			Summary: "已修复", Evidence: []string{digest}})
	case order.PhaseReturnPending:
		return p.rule(id, order.RefuseReturn{Reason: "应由你办"})
	case order.PhaseReturned:
		for _, lead := range []orgs.UnitCode{agency, bureau, grid.Unit(), community, agency2, other, grid2.Unit()} {
			if p.rule(id, order.Redispatch{Lead: lead}) {
				return true
			}
		}
	case order.PhaseSuspended:
		return p.try(n, handler, order.Resume{})
	case order.PhaseReported:
		return p.try(n, as(orgs.Verifier, oversight), order.PassVerification{Method: "phone"})
	}
	return false
}

func (p *play) forwardDispute(id stream.ID) bool {
	n, d := stream.Of(stream.Dispute, id), state[dispute.State](p, stream.Dispute, id)
	m := mediator(d)
	switch d.Phase {
	case dispute.PhaseOpened:
		return p.try(n, m, dispute.AcceptMediation{Consent: true}) || p.try(n, m, dispute.DeclineMediation{Reason: dispute.Refused})
	case dispute.PhaseMediating:
		return p.try(n, m, dispute.RecordAgreement{Agreement: digest, FulfilOn: p.today() + 3, Summary: "和解"})
	case dispute.PhaseAgreed:
		return p.try(n, m, dispute.RecordFulfilment{})
	case dispute.PhaseFailed:
		return p.try(n, m, dispute.ReferUp{}) || p.try(n, m, dispute.ReferOut{Target: dispute.Petition, Receipt: "x"})
	}
	return false
}

// open items, as one line each: what is not in a terminal state.
func (p *play) unended() []string {
	var left []string
	add := func(c stream.Category, id stream.ID, phase string, more any) {
		left = append(left, fmt.Sprintf("%s is %s %v", stream.Of(c, id), phase, more))
	}
	for _, id := range p.ids[stream.Demand] {
		if d := state[demand.State](p, stream.Demand, id); !d.Phase.Terminal() {
			add(stream.Demand, id, string(d.Phase), []any{d.Topic, d.Orders, d.Kind})
		}
	}
	for _, id := range p.ids[stream.Topic] {
		if t := state[topic.State](p, stream.Topic, id); !t.Phase.Terminal() {
			add(stream.Topic, id, string(t.Phase), t.CycleOrders)
		}
	}
	for _, id := range p.ids[stream.Order] {
		if o := state[order.State](p, stream.Order, id); !o.Phase.Terminal() {
			add(stream.Order, id, string(o.Phase), []any{o.Lead, o.Demands})
		}
	}
	for _, id := range p.ids[stream.Dispute] {
		if d := state[dispute.State](p, stream.Dispute, id); !d.Phase.Terminal() {
			add(stream.Dispute, id, string(d.Phase), []any{d.Rung, d.Demand})
		}
	}
	return left
}

// history lists the events of every stream that a line names, in log order.
func (p *play) history(line string) string {
	var b strings.Builder
	for batch, err := range p.log.Log.Follow(context.Background(), 0) {
		if err != nil {
			p.Fatal(err)
		}
		for _, ev := range batch.Events {
			n := stream.Name(ev.Stream)
			if id := n.ID(); !id.IsZero() && strings.Contains(line, id.String()) && ev.Type != (demand.ProgressNoted{}).EventType() {
				m, _ := event.DecodeMeta(ev.Meta)
				fmt.Fprintf(&b, "%8d %s %s by %s %s\n", ev.Position, ev.Stream, ev.Type, m.Actor, m.Key)
			}
		}
		if batch.Live {
			break
		}
	}
	return b.String()
}

// finish takes forward steps only, until there are none, and returns what is not in a terminal state then.
func (p *play) finish() []string {
	p.settle()
	for range 200 {
		progress := false
		for c, forward := range p.forward() {
			for _, id := range slices.Clone(p.ids[c]) {
				if forward(id) {
					progress = true
					p.settle()
				}
			}
		}
		if !progress {
			return p.unended()
		}
		p.wait(time.Hour)
	}
	return append(p.unended(), "and it never comes to rest")
}

func (p *play) forward() iter.Seq2[stream.Category, func(stream.ID) bool] {
	return func(yield func(stream.Category, func(stream.ID) bool) bool) {
		_ = yield(stream.Demand, p.forwardDemand) && yield(stream.Topic, p.forwardTopic) &&
			yield(stream.Order, p.forwardOrder) && yield(stream.Dispute, p.forwardDispute)
	}
}

// tell plays a story: acts one by one with the flow up to date, and runs of acts that it sees late.
func (p *play) tell(acts int, late bool) {
	p.open()
	for i := 0; i < acts; {
		if late && p.rand.IntN(6) == 0 {
			k := 2 + p.rand.IntN(8)
			p.lag(k)
			i += k
			continue
		}
		p.act()
		p.settle()
		i++
	}
}

func stories(t *testing.T, usual int) int {
	if n, err := strconv.Atoi(os.Getenv("GRIDCASE_STORIES")); err == nil {
		return n
	}
	if testing.Short() {
		return min(usual, 3)
	}
	return usual
}

// tally is what the log says of one stream, counted apart from the rules.
type tally struct {
	before, after    event.State
	answered         bool // since the demand was last at work
	reported, passed bool // in this round
	approved         bool // a return, since the order was last dispatched
	supporters       int
	links            []stream.ID
	waived           bool
	notes            []stream.Name // that tell of other streams
	dues             map[string]time.Time
}

// check reads the whole log and looks for broken invariants.
func (p *play) check() []string {
	var faults []string
	streams := map[stream.Name]*tally{}
	fault := func(n stream.Name, format string, args ...any) {
		faults = append(faults, string(n)+": "+fmt.Sprintf(format, args...))
	}
	for batch, err := range p.log.Log.Follow(context.Background(), 0) {
		if err != nil {
			p.Fatal(err)
		}
		for _, ev := range batch.Events {
			n := stream.Name(ev.Stream)
			e, err := event.Understand(event.Stored{Stream: n, Revision: int64(ev.Revision), ID: stream.ID(ev.ID), Type: ev.Type, Data: ev.Data, Meta: ev.Meta})
			if err != nil {
				p.Fatal(err)
			}
			s := streams[n]
			if s == nil {
				s = &tally{dues: map[string]time.Time{}}
				streams[n] = s
			}
			s.before, s.after = s.after, event.Fold(n, s.after, e.Body, e.Meta.Stamp(e.ID))
			for _, due := range dues(ev.Data) {
				if had, used := s.dues[due.ID]; used && !had.Equal(due.Due) {
					fault(n, "I15: %s is due at %s and at %s", due.ID, had, due.Due)
				}
				s.dues[due.ID] = due.Due
			}
			if d, ok := s.after.(demand.State); ok && e.Meta.Stage != string(d.Phase.Stage()) {
				fault(n, "I13: revision %d says stage %q, it is %s", ev.Revision, e.Meta.Stage, d.Phase)
			}
			if why := s.count(e); why != "" {
				fault(n, "revision %d: %s", ev.Revision, why)
			}
		}
		if batch.Live {
			break
		}
	}
	for n, s := range streams {
		switch st := s.after.(type) {
		case demand.State:
			if st.Supporters != s.supporters {
				fault(n, "I6: %d supporters, %d were recorded", st.Supporters, s.supporters)
			}
			for _, l := range s.links {
				if !slices.Contains(st.Topics, l) {
					fault(n, "I6: the link to %s is forgotten", l)
				}
			}
			if st.Phase == demand.PhaseClosed && !s.waived && len(s.links) == 0 {
				fault(n, "I13: closed without a topic and without a waiver")
			}
		case order.State:
			for _, id := range st.Demands {
				d := streams[stream.Of(stream.Demand, id)]
				if d.after.(demand.State).Phase != demand.PhaseWithdrawn && !slices.Contains(d.notes, n) {
					fault(n, "I13: the demand %s does not tell of it", id)
				}
			}
		}
	}
	return faults
}

// count takes an event in and returns what it breaks.
func (s *tally) count(e event.Entry) string {
	switch b := e.Body.(type) {
	case demand.Raised:
		if e.Revision != 0 {
			return "I6: raised again"
		}
	case demand.FastTracked:
		s.answered, s.waived = false, true
	case demand.LinkedToTopic:
		s.answered = false
		s.links = append(s.links, b.Topic)
	case demand.Supported:
		s.supporters += b.Supporters
	case demand.Answered:
		s.answered = true
	case demand.AnsweredOnTheSpot:
		s.answered, s.waived = true, true
	case demand.ProgressNoted:
		s.notes = append(s.notes, b.From.Stream)
	case demand.CallbackRecorded:
		if b.Result == demand.CallbackCloses && !s.answered {
			return "I5: closed without an answer"
		}
		s.answered = s.answered && b.Result == demand.CallbackCloses
	case order.Dispatched:
		s.approved = false
	case order.ReturnApproved:
		s.approved = true
	case order.Redispatched:
		if !s.approved {
			return "I1: another lead without an approved return"
		}
		s.approved = false
	case order.Reported:
		s.reported = len(b.Evidence) > 0 || !b.Account.IsZero()
	case order.VerificationPassed:
		if !s.reported {
			return "I5: verified without evidence"
		}
		s.passed = true
	case order.VerificationFailed:
		s.reported = false
	case order.ReworkOrdered, order.Reopened:
		s.reported, s.passed = false, false
	case order.Closed:
		if !s.reported || !s.passed {
			return "I5: closed without evidence and verification"
		}
	}
	if after, is := s.after.(order.State); is {
		before, _ := s.before.(order.State)
		_, redispatched := e.Body.(order.Redispatched)
		switch {
		case after.Phase.Live() && after.Lead == "":
			return "I1: live without a lead"
		case before.Lead != "" && before.Lead != after.Lead && !redispatched:
			return "I1: the lead changed"
		}
	}
	return ""
}

// dues finds every due instant in the bytes of an event.
func dues(data []byte) []calendar.Due {
	var found []calendar.Due
	var walk func(json.RawMessage)
	walk = func(raw json.RawMessage) {
		var d calendar.Due
		if json.Unmarshal(raw, &d) == nil && d.ID != "" && d.Clock != "" {
			found = append(found, d)
			return
		}
		var members map[string]json.RawMessage
		var list []json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			_ = json.Unmarshal(raw, &list) // neither an object nor a list: nothing to find in it
		}
		for _, m := range members {
			list = append(list, m)
		}
		for _, m := range list {
			walk(m)
		}
	}
	walk(data)
	return found
}

// types lists the stored names of each case stream: two logs in which the same happened agree in them.
func (p *play) types() map[string][]string {
	names := map[string][]string{}
	for batch, err := range p.log.Log.Follow(context.Background(), 0) {
		if err != nil {
			p.Fatal(err)
		}
		for _, ev := range batch.Events {
			if !stream.Name(ev.Stream).ID().IsZero() {
				names[ev.Stream] = append(names[ev.Stream], ev.Type)
			}
		}
		if batch.Live {
			break
		}
	}
	return names
}

// Whatever people did, with the flow up to date or lagging behind: from there, steps that only go forward bring
// everything to its end.
func TestEverythingComesToAnEndByForwardStepsAlone(t *testing.T) {
	taken := map[string]int{}
	for seed := range uint64(stories(t, 24)) {
		late := seed%2 == 1
		p := newPlay(t, seed)
		p.tell(200, late)
		for _, l := range p.finish() {
			t.Errorf("seed %d: %s\n%s", seed, l, p.history(l))
		}
		for _, fault := range p.check() {
			t.Errorf("seed %d: %s\n%s", seed, fault, p.history(fault))
		}
		parked, err := p.Parked(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range parked {
			// What people changed before the flow saw it may be refused, and waits for somebody to look. A flow
			// that is up to date is never refused.
			if !late {
				t.Errorf("seed %d: rule %s is parked: %s\n%s", seed, x.Rule, x.Reason, p.history(string(x.Stream)))
			}
		}
		for c, n := range p.taken {
			taken[c] += n
		}
		p.stop()
	}
	if len(taken) < 50 && !testing.Short() {
		t.Errorf("people gave only %d kinds of commands: %v", len(taken), taken)
	}
}

func TestDyingWithTheFlowBehindLosesAndDoublesNothing(t *testing.T) {
	for seed := range uint64(stories(t, 6)) {
		var ends [2]map[string][]string
		for i, dies := range []bool{false, true} {
			p := newPlay(t, 1000+seed)
			p.dies = dies
			p.tell(80, true)
			ends[i] = p.types()
			p.stop()
		}
		for n, want := range ends[0] {
			if !slices.Equal(ends[1][n], want) {
				t.Errorf("seed %d: %s of the play that died has\n%v, want\n%v", seed, n, ends[1][n], want)
			}
		}
		if len(ends[1]) != len(ends[0]) {
			t.Errorf("seed %d: %d streams, want %d", seed, len(ends[1]), len(ends[0]))
		}
	}
}

func TestASecondFlowOverTheSameLogWritesNothing(t *testing.T) {
	for seed := range uint64(stories(t, 4)) {
		p := newPlay(t, 2000+seed)
		p.tell(120, true)
		// The last thing that happens has a consequence: what is refused after the last one leaves no trace in the log
		// and is sent once more.
		p.n++
		last := p.fresh(stream.Demand)
		p.must(stream.Of(stream.Demand, last), as(orgs.Channel, hotline), demand.Raise{Kind: demand.Errand, Channel: "wechat", Text: sealed.Clear("帮办"), Grid: grid, Unit: community})
		for state[demand.State](p, stream.Demand, last).Phase != demand.PhaseInHandling {
			if !p.forwardDemand(last) {
				t.Fatal("a fresh errand can not be fast-tracked")
			}
			p.settle()
		}
		want := p.end()
		p.stop()
		q := newPlay(t, 2000+seed)
		q.clock.Store(p.clock.Load())
		for batch, err := range p.log.Log.Follow(context.Background(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			for _, ev := range batch.Events {
				if _, err := q.log.Append(context.Background(), ev.Stream, ev.Revision-1, ev.Fact); err != nil {
					t.Fatal(err)
				}
			}
			if batch.Live {
				break
			}
		}
		if err := os.CopyFS(filepath.Join(q.dir, "keys"), os.DirFS(filepath.Join(p.dir, "keys"))); err != nil {
			t.Fatal(err)
		}
		q.start()
		q.settle()
		if got := q.end(); got != want {
			t.Errorf("seed %d: it wrote %d events", seed, got-want)
		}
		q.stop()
	}
}

// The test above has teeth: without a rule something never ends, sooner or later.
func TestWithoutARuleSomethingIsStuck(t *testing.T) {
	rules := []string{"R12", "R16", "R4", "R8", "R14", "R15", "R17", "R18"}
	if testing.Short() {
		rules = rules[:2]
	}
	for _, lost := range rules {
		t.Run(lost, func(t *testing.T) {
			without := func(e event.Entry, w flow.World) flow.Plan {
				p := flow.React(e, w)
				p.Sends = slices.DeleteFunc(p.Sends, func(s flow.Send) bool { return s.Rule == lost })
				return p
			}
			for seed := range uint64(60) {
				p := newPlay(t, 3000+seed)
				p.react = without
				p.tell(120, seed%2 == 1)
				left := p.finish()
				p.stop()
				if len(left) > 0 {
					return
				}
			}
			t.Errorf("60 stories ended well without rule %s", lost)
		})
	}
}
