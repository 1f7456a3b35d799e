package city

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// lying says how a case lies on its desk. As long as the word is the same, the plan in hand stands; a new one, an expiry
// among its reasons, has the desk look again.
func lying(s event.State) string {
	switch s := s.(type) {
	case demand.State:
		return fmt.Sprint(s.Phase, s.Round, s.Attempts, s.Appealed, s.Urgings, s.Urgency, expired(s))
	case topic.State:
		return fmt.Sprint(s.Phase, s.Cycle, s.Held, s.Vote.Closed, s.CycleResults, len(s.Running), expired(s))
	case order.State:
		open := 0
		for _, v := range s.Supervisions {
			if v.Open {
				open++
			}
		}
		return fmt.Sprint(s.Phase, s.Round, s.Attempt, len(s.Legs), s.Extension.Pending, len(s.Awaited), open, s.Problem, expired(s))
	case dispute.State:
		return fmt.Sprint(s.Phase, s.Rung, expired(s))
	case admission.State:
		return fmt.Sprint(s.Phase, len(s.Opinions), s.FundedAt.IsZero(), expired(s))
	case whistle.State:
		word := fmt.Sprint(s.Phase)
		for _, u := range s.Units {
			word += fmt.Sprint(u.Standing(), u.Present())
		}
		return word
	}
	return ""
}

// expired counts what passed on a case with the step still owed: its superiors ask about it.
func expired(s event.State) int {
	var fired rule.Firings
	switch s := s.(type) {
	case demand.State:
		fired = s.Fired
	case topic.State:
		fired = s.Fired
	case order.State:
		fired = s.Fired
	case dispute.State:
		fired = s.Fired
	case admission.State:
		fired = s.Fired
	}
	n := 0
	for _, f := range fired {
		if f.Expired {
			n += 1 + f.Steps
		}
	}
	return n
}

// desk is whoever holds one case at one moment.
type desk struct {
	*world
	hours
	name stream.Name
	it   *watched
	now  time.Time
	n    int // documents made
}

// plan says what is done next with the case, and when; nil: nothing, until something happens.
func (d *desk) plan(s event.State) *Act {
	switch s := s.(type) {
	case demand.State:
		return d.demandPlan(s)
	case topic.State:
		return d.topicPlan(s)
	case order.State:
		return d.orderPlan(s)
	case dispute.State:
		return d.disputePlan(s)
	case whistle.State:
		return d.whistlePlan(s)
	case admission.State:
		return d.admissionPlan(s)
	}
	return nil
}

// at is when somebody gets round to it: pressing matters at once, others in office hours.
func (d *desk) at(low, high int, pressing bool) time.Time {
	return d.hours.soon(d.now, low, high, pressing)
}

func (d *desk) by(at time.Time, a rule.Actor, c any) *Act { return &Act{At: at, Actor: a, Command: c} }

func (d *desk) with(at time.Time, a, second rule.Actor, c any) *Act {
	return &Act{At: at, Actor: a, Second: &second, Command: c}
}

// roll is true in so many of a thousand cases, by the case's own chances.
func (d *desk) roll(perMille int) bool { return d.hours.chance(perMille) }

func (d *desk) paper() string {
	d.n++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s document %d %s %d", Label, d.span.Seed, d.name, d.n))
	return hex.EncodeToString(sum[:])
}

func (d *desk) demandPlan(s demand.State) *Act {
	clerk, pressing := post(orgs.Clerk, s.Unit), s.Urgency == "A" || s.Urgency == "B"
	words := d.it.words
	if words.title == "" {
		words = wording{title: string(s.Summary), matter: s.Matter, done: "已办理。"}
	}
	switch s.Phase {
	case demand.PhaseRaised:
		return d.receive(s, clerk, words)
	case demand.PhaseAccepted:
		if d.roll(8) {
			return d.by(d.at(60, 900, false), d.voice(s), demand.Withdraw{Confirmed: d.confirmed(s)})
		}
		if d.roll(15) && expired(s) == 0 {
			return nil // it lies there until somebody asks
		}
		return d.triage(s, clerk, words, pressing)
	case demand.PhaseInTopic:
		if d.roll(10) {
			return d.by(d.at(1440, 9000, false), d.voice(s), demand.Withdraw{Confirmed: d.confirmed(s)})
		}
	case demand.PhaseInHandling:
		due, waits := s.Running.Get(calendar.Promise)
		switch {
		case s.Urgings == 0 && d.roll(60), s.Urgings > 0 && s.Urgings < 4 && d.roll(500):
			return d.by(d.hours.byDay(d.hours.later(d.now, 600, 4000)), d.voice(s), demand.Urge{Text: say("想问问什么时候能办。")})
		case waits && s.Urgings == 0 && d.roll(300):
			return d.by(d.hours.byDay(d.hours.later(due.Due, 300, 3000)), d.voice(s), demand.Urge{Text: say("已经过了答应的时间。")})
		}
	case demand.PhaseAnswered:
		return d.callBack(s)
	case demand.PhaseClosed:
		if d.roll(12) && s.Round < 3 && !s.ReopenBy.IsZero() {
			return d.by(d.hours.byDay(d.hours.later(d.now, 2*1440, 20*1440)), d.voice(s), demand.Reopen{Reason: say("问题又出现了。")})
		}
	case demand.PhaseDeclined:
		street := post(orgs.Dispatcher, streetOf(s.Unit))
		switch {
		case s.Appealed && d.roll(400):
			return d.by(d.at(300, 3000, false), street, demand.UpholdAppeal{Reason: "应予受理"})
		case s.Appealed:
			return d.by(d.at(300, 3000, false), street, demand.RejectAppeal{Reason: "不予受理的依据充分"})
		case !s.Dismissed && !s.Upheld && d.roll(250):
			return d.by(d.hours.byDay(d.hours.later(d.now, 600, 9000)), d.voice(s), demand.FileAppeal{Reason: say("不认同不予受理的理由。")})
		}
	}
	return nil
}

// voice is the resident, or the clerk for one who came by another way.
func (d *desk) voice(s demand.State) rule.Actor {
	if s.RaisedBy.Role == orgs.Resident {
		return s.RaisedBy
	}
	return post(orgs.Clerk, s.Unit)
}

func (d *desk) confirmed(s demand.State) string {
	if s.RaisedBy.Role == orgs.Resident {
		return ""
	}
	return "phone"
}

// receive is the community's first look at a demand.
func (d *desk) receive(s demand.State, clerk rule.Actor, words wording) *Act {
	answerable := s.Kind == demand.Errand || s.Kind == demand.Consult
	switch roll := d.hours.IntN(1000); {
	case roll < 8:
		return d.with(d.at(20, 300, false), clerk, post(orgs.CommunitySecretary, s.Unit),
			demand.Decline{Reason: pick(d.hours.Rand, demand.DeclineReasons()), Citation: basis, Instead: "可向相应受理窗口提出（示例）"})
	case roll < 20:
		return d.by(d.at(20, 300, false), clerk, demand.Redirect{Target: "市级专线窗口（示例）", Receipt: Label + "-" + d.paper()[:8]})
	case roll < 35 && expired(s) == 0:
		return nil // overlooked, until the clock finds it
	case roll < 60:
		return d.by(d.at(2000, 6000, false), clerk, d.accept(s, words))
	case answerable && roll < 300:
		return d.by(d.at(1, 60, false), clerk, demand.AnswerOnTheSpot{Outcome: demand.Resolved, Matter: words.matter,
			Summary: sealed.Public(words.title), Answer: say(words.done)})
	}
	return d.by(d.at(5, 200, false), clerk, d.accept(s, words))
}

func (d *desk) accept(s demand.State, words wording) demand.Accept {
	u := demand.Urgency("C")
	switch roll := d.hours.IntN(100); {
	case s.Kind != demand.Errand && s.Kind != demand.Issue:
		u = "D"
	case roll < 2:
		u = "A"
	case roll < 8:
		u = "B"
	case roll >= 75:
		u = "D"
	}
	return demand.Accept{Kind: s.Kind, Matter: words.matter, Urgency: u, Unit: s.Unit, Grid: s.Grid, Summary: sealed.Public(words.title)}
}

// triage finds a demand its way: to a grid, a department, a topic or mediation.
func (d *desk) triage(s demand.State, clerk rule.Actor, words wording, pressing bool) *Act {
	at := d.at(5, 300, pressing)
	if s.Matter == "" || s.Urgency == "" { // it was answered on the spot before anybody classified it
		return d.by(at, clerk, demand.Reclassify{Matter: words.matter, Urgency: "C"})
	}
	task := sealed.Public(words.title)
	toGrid := func(why demand.Reason) *Act {
		return d.by(at, clerk, demand.FastTrack{Reason: why, Route: demand.Route{Order: &demand.NewOrder{Lead: s.Grid.Unit(), Task: task}}})
	}
	toDepartment := func(why demand.Reason) *Act {
		return d.by(at, post(orgs.Dispatcher, districtOf(s.Unit)), demand.FastTrack{Reason: why, Citation: basis,
			Route: demand.Route{Order: &demand.NewOrder{Lead: department(districtOf(s.Unit), max(words.body, 1)), Task: task}}})
	}
	if s.Round > 1 {
		if s.Kind == demand.Dispute || s.Kind == demand.Report {
			return d.by(at, clerk, demand.Redirect{Target: "人民法院诉讼服务（示例）", Receipt: Label + "-" + d.paper()[:8]})
		}
		return toDepartment(demand.ReasonReopened)
	}
	switch s.Kind {
	case demand.Errand:
		return toGrid(demand.ReasonErrand)
	case demand.Consult:
		return toGrid(demand.ReasonConsult)
	case demand.Report:
		return toDepartment(demand.ReasonConfidential)
	case demand.Suggestion:
		return toDepartment(demand.ReasonStatutory)
	case demand.Dispute:
		if !s.Dispute.IsZero() {
			return d.by(at, clerk, demand.Redirect{Target: "人民法院诉讼服务（示例）", Receipt: Label + "-" + d.paper()[:8]})
		}
		return d.by(at, clerk, demand.FastTrack{Reason: demand.ReasonDispute, Route: demand.Route{Dispute: int(dispute.Community)}})
	}
	if pressing {
		return d.by(at, post(orgs.Dispatcher, streetOf(s.Unit)), demand.FastTrack{Reason: demand.ReasonUrgent,
			Route: demand.Route{Order: &demand.NewOrder{Lead: agency(streetOf(s.Unit), 1+d.hours.IntN(len(agencies))), Task: task}}})
	}
	if d.roll(30) && d.it.tries == 0 { // the lists may forbid it
		return d.by(at, clerk, demand.FastTrack{Reason: demand.ReasonStatutory, Citation: basis, Route: demand.Route{Order: &demand.NewOrder{Lead: s.Grid.Unit(), Task: task}}})
	}
	if len(s.Topics) > 0 || d.roll(400) {
		return toDepartment(demand.ReasonStatutory)
	}
	// 群众议题: it joins the topic that is open for the matter, or one is proposed.
	key := string(s.Unit) + " " + s.Matter
	if t, open := d.topics[key]; open && d.it.tries == 0 {
		return d.by(at, clerk, demand.LinkToTopic{Topic: t.ID()})
	}
	id := stream.For(stream.Topic, clerk.ID, d.paper())
	d.topics[key] = stream.Of(stream.Topic, id)
	a := d.by(at, clerk, topic.Propose{Kind: topic.Ordinary, Source: topic.FromResidents, Title: task, Unit: s.Unit, Matter: s.Matter, Demands: []stream.ID{s.ID}})
	d.push(item{at: at, name: stream.Of(stream.Topic, id), act: a})
	d.seen[stream.Of(stream.Topic, id)] = &watched{words: words, plan: d.turns}
	a.Stream, a.Key = stream.Of(stream.Topic, id), "life/0"
	return nil
}

// callBack asks the resident how it went.
func (d *desk) callBack(s demand.State) *Act {
	agent := post(orgs.CallbackAgent, body(districtOf(s.Unit), "hotline"))
	at := d.at(30, 600, false)
	switch {
	case s.Anonymous:
		return d.by(at, agent, demand.WaiveCallback{Cause: "anonymous"})
	case s.NoCallback:
		return d.by(at, agent, demand.WaiveCallback{Cause: "do_not_call"})
	case s.Attempts >= 3 && d.roll(500):
		return d.by(at, agent, demand.WaiveCallback{Cause: "unreached"})
	case s.Attempts >= 3:
		return nil // the clock waives it
	case s.Attempts == 0 && expired(s) == 0 && d.roll(20):
		return nil // nobody calls, until the clock says so
	case d.roll(250):
		return d.by(d.at(200, 1500, false), agent, demand.RecordCallbackAttempt{Means: "phone"})
	case d.roll(60):
		c := demand.RecordCallback{Grade: demand.Grade(1 + d.hours.IntN(2)), Merit: true, Words: say("没有彻底解决。"), Reason: "居民反映未彻底解决"}
		if len(s.Orders) > 0 {
			c.Order = s.Orders[len(s.Orders)-1]
		}
		return d.by(at, agent, c)
	case d.roll(15):
		return d.with(at, agent, colleague(orgs.CallbackAgent, agent.Unit), demand.RecordCallback{Grade: 2, Reason: "诉求超出政策范围，已解释清楚"})
	}
	return d.by(at, agent, demand.RecordCallback{Resolved: true, Grade: demand.Grade(3 + min(d.hours.IntN(6), 2))})
}

func (d *desk) topicPlan(s topic.State) *Act {
	convenor, secretary := post(orgs.Convenor, s.Unit), post(orgs.CommunitySecretary, s.Unit)
	close := func() { // no further demand joins
		for key, n := range d.topics {
			if n == d.name {
				delete(d.topics, key)
			}
		}
	}
	switch s.Phase {
	case topic.PhaseProposed, topic.PhaseDeferred:
		if d.roll(30) && s.Phase == topic.PhaseProposed && expired(s) == 0 {
			return nil
		}
		at := d.at(300, 4000, false)
		if s.Phase == topic.PhaseDeferred {
			at = d.hours.office(d.hours.later((s.ReviewOn - 10).Start(), 600, 3000))
			if at.Before(d.now) {
				at = d.at(10, 100, false)
			}
		}
		return d.by(at, convenor, topic.OpenDeliberation{Format: pick(d.hours.Rand, topic.Formats()), Place: "社区议事厅",
			MeetingAt: (calendar.DateOf(at) + calendar.Date(4+d.hours.IntN(5))).Start().Add(19 * time.Hour)})
	case topic.PhaseDeliberating:
		if !s.Held {
			at := d.now
			if at.Before(s.MeetingAt) {
				at = s.MeetingAt
			}
			return d.by(d.hours.later(at, 90, 150), convenor, topic.HoldDeliberation{Format: "council", Venue: "社区议事厅", Minutes: d.paper(),
				Attendees: []topic.Attendance{{Capacity: "residents", Number: 9 + d.hours.IntN(30)}}, Summary: "到会居民逐项讨论并形成意见"})
		}
		close()
		return d.conclude(s, convenor, secretary)
	case topic.PhaseVoting:
		cast := s.Vote.Electorate * (45 + d.hours.IntN(40)) / 100
		yes := cast * (35 + d.hours.IntN(60)) / 100
		return d.by(d.hours.office(d.hours.later(s.Vote.ClosesAt, 10, 300)), convenor, topic.CloseVote{Cast: cast, Counts: []int{yes, cast - yes}, Ballots: d.paper()})
	case topic.PhaseAdopted:
		if d.roll(20) && expired(s) == 0 {
			return nil
		}
		return d.by(d.at(60, 2000, false), post(orgs.Dispatcher, streetOf(s.Unit)), topic.HandToGrid{})
	case topic.PhaseHandling:
		if _, ready := s.Running.Get(calendar.Conclude); !ready {
			return nil
		}
		if s.CycleResults == 0 {
			return d.by(d.at(300, 3000, false), secretary, topic.PublishResult{Text: "已按议定方案办结。", Orders: s.CycleOrders[:1]})
		}
		return d.by(d.at(300, 3000, false), secretary, topic.Conclude{Summary: "已按议定方案办结。"})
	}
	close()
	return nil
}

// conclude decides on what was deliberated.
func (d *desk) conclude(s topic.State, convenor, secretary rule.Actor) *Act {
	at := d.at(300, 3000, false)
	grids := d.grids(s.Unit)
	switch roll := d.hours.IntN(100); {
	case s.Vote.Closed && !s.Vote.Passed, roll < 6:
		return d.with(at, secretary, convenor, topic.Reject{Reason: "未形成多数意见，暂不实施"})
	case roll < 12 && s.Cycle == 0:
		return d.with(at, secretary, convenor, topic.Defer{Reason: "待年度改造计划统筹", ReviewOn: calendar.DateOf(at) + 60})
	case roll < 30 && !s.Vote.Closed && len(grids) > 0:
		return d.by(at, convenor, topic.OpenVote{Options: []sealed.Public{"同意", "不同意"}, Grids: grids[:min(3, len(grids))],
			ClosesAt: (calendar.DateOf(at) + 5).Start().Add(18 * time.Hour)})
	case roll < 32:
		return nil
	}
	item := topic.Item{Lead: agency(streetOf(s.Unit), 1+d.hours.IntN(len(agencies))), Matter: s.Matter, Urgency: "D", Task: s.Title,
		Target: calendar.DateOf(at) + calendar.Date(20+d.hours.IntN(40))}
	if d.roll(500) {
		item.Lead = department(districtOf(s.Unit), max(d.it.words.body, 1))
		if d.roll(400) {
			item.CoUnits = []orgs.UnitCode{agency(streetOf(s.Unit), 2)}
		}
	}
	return d.with(at, secretary, convenor, topic.Adopt{Items: []topic.Item{item}, Budget: int64(d.hours.IntN(50)) * 100_000, Summary: s.Title})
}

// grids are those of a community, still worked.
func (d *desk) grids(community orgs.UnitCode) (codes []orgs.GridCode) {
	for _, g := range d.Engine.Units().Grids(community) {
		if !g.Retired {
			codes = append(codes, g.Code)
		}
	}
	return codes
}

// hand is who acts for a unit.
func (d *desk) hand(u orgs.UnitCode) rule.Actor {
	if g, grid := d.Engine.Units().Grid(orgs.GridCode(u)); grid {
		return rule.Actor{ID: g.Lead, Role: orgs.GridWorker, Unit: u}
	}
	return post(orgs.Handler, u)
}

func (d *desk) orderPlan(s order.State) *Act {
	hand, pressing := d.hand(s.Lead), s.Urgency == "A" || s.Urgency == "B"
	for _, v := range s.Supervisions {
		if v.Open && s.Phase != order.PhaseReturnPending && s.Phase != order.PhaseReturned && d.roll(850) {
			return d.by(d.at(60, 1200, pressing), hand, order.AnswerSupervision{Number: v.Number, Answer: "已增派力量，近日办结"})
		}
	}
	if (s.Problem || s.Attention.Level >= 4) && len(s.Supervisions) == 0 && s.Phase.Live() && d.roll(600) {
		return d.by(d.at(60, 900, false), post(orgs.Supervisor, body(districtOf(s.Place), "oversight")), order.IssueSupervision{Reason: "超过办理时限"})
	}
	slow := s.Lead == department(districtOf(s.Place), slowDepartment)
	forgets := 10
	if slow {
		forgets = 60
	}
	if d.roll(forgets) && expired(s) == 0 && d.it.tries == 0 {
		return nil
	}
	switch s.Phase {
	case order.PhaseDispatched:
		if d.roll(12) && !pressing && !s.Leg().Final && !slices.Contains(s.Returns, s.Lead) {
			return d.by(d.at(3, 60, false), hand, order.RequestReturn{Reason: say("不属于本单位职责，建议改派。"), Basis: basis, Suggested: d.another(s)})
		}
		if pressing {
			return d.by(d.at(1, 20, true), hand, order.Sign{})
		}
		return d.by(d.at(5, 130, false), hand, order.Sign{})
	case order.PhaseSigned:
		if s.Patrol || s.Anonymous || len(s.Demands) == 0 {
			return d.by(d.at(2, 30, pressing), hand, order.WaiveContact{Cause: d.nobody(s)})
		}
		return d.by(d.at(3, d.contactWithin(pressing), true), hand, order.RecordContact{Demands: s.Demands, Means: pick(d.hours.Rand, order.Means())})
	case order.PhaseHandling:
		return d.handle(s, hand, pressing, slow)
	case order.PhaseReturnPending:
		judge := post(orgs.Dispatcher, superior(s.By))
		if len(s.Returns) >= 3 {
			judge = post(orgs.Arbiter, districtOf(s.Place))
		}
		if d.roll(500) {
			return d.by(d.at(20, 200, false), judge, order.RefuseReturn{Reason: "按职责清单应由本单位办理"})
		}
		return d.by(d.at(20, 200, false), judge, order.ApproveReturn{Reason: "职责确属其他单位"})
	case order.PhaseReturned:
		return d.redispatch(s)
	case order.PhaseSuspended:
		if d.roll(300) {
			return d.by(d.at(2000, 9000, false), hand, order.Resume{})
		}
	case order.PhaseReported:
		host := streetOf(s.Place)
		if len(s.By) == 6 {
			host = s.By
		}
		verifier := post(orgs.Verifier, body(host, "oversight"))
		if d.roll(90) {
			return d.by(d.at(30, 900, false), verifier, order.FailVerification{Reason: "现场核查问题仍在", Method: "on_site"})
		}
		return d.by(d.at(30, 900, false), verifier, order.PassVerification{Method: "on_site"})
	case order.PhaseVerified, order.PhaseClosed, order.PhaseCancelled:
	}
	return nil
}

func (d *desk) contactWithin(pressing bool) int {
	if pressing {
		return 20
	}
	return 700
}

func (d *desk) nobody(s order.State) string {
	switch {
	case s.Patrol:
		return "patrol"
	case s.Anonymous:
		return "anonymous"
	}
	return "no_demand"
}

// handle does the work, mostly in time.
func (d *desk) handle(s order.State, hand rule.Actor, pressing, slow bool) *Act {
	work, runs := s.Running.Get(s.Work())
	switch {
	case s.Extension.Pending:
		if d.roll(250) {
			return nil // nobody decides; the clock does
		}
		if d.roll(300) {
			return d.by(d.at(20, 400, false), leader(s.By), order.RefuseExtension{Reason: "具备按期办结条件"})
		}
		return d.by(d.at(20, 400, false), leader(s.By), order.GrantExtension{Reason: "情况属实"})
	case len(s.Awaited) > 0:
		co := s.Awaited[0]
		return d.by(d.at(60, 2000, pressing), d.hand(co), order.ReportCoUnit{Unit: co, Summary: "已配合完成分工"})
	case runs && !pressing && s.Suspensions < 4 && d.roll(20) && d.now.Before(work.Due):
		at := d.at(30, 400, false)
		return d.with(at, hand, leader(s.By), order.Suspend{Reason: pick(d.hours.Rand, order.SuspensionReasons()), Basis: basis,
			ReviewOn: calendar.DateOf(at) + calendar.Date(4+d.hours.IntN(24))})
	case runs && !pressing && s.Extension.Round != s.Round && d.roll(20) && d.now.Before(work.Due):
		if at := d.at(30, 400, false); at.Before(work.Due) {
			return d.by(at, hand, order.RequestExtension{Amount: min(5, work.Amount), Reason: "材料采购周期较长", Told: true})
		}
	}
	late := 70
	if slow {
		late = 350
	}
	var at time.Time
	switch {
	case !runs || !d.now.Before(work.Due):
		at = d.at(60, 2500, pressing)
	case d.roll(late):
		at = d.hours.soon(work.Due, 60, 4000, pressing)
	default:
		at = d.hours.before(d.now, work.Due, 0.1, 0.85, pressing)
	}
	outcome, answer := "resolved", "已按要求办理完毕。"
	switch roll := d.hours.IntN(100); {
	case roll < 2:
		outcome, answer = "infeasible", "目前暂不具备条件，已说明原因。"
	case roll < 7:
		outcome, answer = "explained", "已当面解释说明有关规定。"
	case roll < 14:
		outcome, answer = "partly", "已先行处理一部分，其余列入计划。"
	}
	return d.by(at, hand, order.ReportHandling{Outcome: outcome, Answer: say(answer), Summary: sealed.Public(answer), Evidence: []string{d.paper()}, Persons: 1 + d.hours.IntN(4)})
}

// another is a unit that has not had the order: a department of the county, or an agency of the street.
func (d *desk) another(s order.State) orgs.UnitCode {
	from := d.hours.IntN(len(departments))
	for n := range len(departments) {
		lead := agency(streetOf(s.Place), (from+n)%len(agencies)+1)
		if len(redispatcher(s.By)) == 6 {
			lead = department(districtOf(s.Place), (from+n)%len(departments)+1)
		}
		if !slices.Contains(s.Returns, lead) && lead != s.Lead {
			return lead
		}
	}
	return department(districtOf(s.Place), 1)
}

// redispatch gives a returned order to a unit that has not had it.
func (d *desk) redispatch(s order.State) *Act {
	by := post(orgs.Dispatcher, redispatcher(s.By))
	if len(s.Returns) >= 3 {
		by = post(orgs.Arbiter, districtOf(s.Place))
	}
	return d.by(d.at(10, 200, false), by, order.Redispatch{Lead: d.another(s)})
}

func (d *desk) disputePlan(s dispute.State) *Act {
	m := mediatorAt(s.Unit, s.Rung)
	switch s.Phase {
	case dispute.PhaseOpened:
		switch roll := d.hours.IntN(100); {
		case roll < 8:
			return nil // until the clock ends the waiting
		case roll < 14:
			return d.by(d.at(300, 3000, false), m, dispute.DeclineMediation{Reason: dispute.Refused})
		}
		return d.by(d.at(300, 4000, false), m, dispute.AcceptMediation{Consent: true})
	case dispute.PhaseMediating:
		at := d.hours.office(d.hours.later(d.now, 1440, 24*1440))
		switch roll := d.hours.IntN(100); {
		case roll < 10:
			return nil
		case roll < 25:
			return d.by(at, m, dispute.FailMediation{Reason: "双方分歧较大"})
		}
		return d.by(at, m, dispute.RecordAgreement{Agreement: d.paper(), FulfilOn: calendar.DateOf(at) + calendar.Date(5+d.hours.IntN(20)), Summary: "双方达成协议。"})
	case dispute.PhaseAgreed:
		if d.roll(60) {
			return d.by(d.at(1440, 4*1440, false), m, dispute.ReportBreach{Reason: say("一方未按约定履行。")})
		}
		if d.roll(500) {
			return d.by(d.at(1440, 4*1440, false), m, dispute.RecordFulfilment{})
		}
	case dispute.PhaseFailed:
		if s.Rung >= dispute.District {
			return d.by(d.at(600, 6000, false), m, dispute.ReferOut{Target: pick(d.hours.Rand, dispute.Targets()), Receipt: Label + "-" + d.paper()[:8]})
		}
		if d.roll(600) {
			return d.by(d.at(60, 900, false), m, dispute.ReferUp{})
		}
	}
	return nil
}

// mediatorAt sits at the rung: of the community, or at the centre of street or county.
func mediatorAt(u orgs.UnitCode, r dispute.Rung) rule.Actor {
	switch r {
	case dispute.Street:
		return post(orgs.Mediator, body(streetOf(u), "centre"))
	case dispute.District:
		return post(orgs.Mediator, body(districtOf(u), "centre"))
	}
	return post(orgs.Mediator, u)
}
