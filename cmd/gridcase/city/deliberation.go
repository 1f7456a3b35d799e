package city

import (
	"fmt"
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
)

// The fates of topics.
const (
	voted        fate = "voted on"
	returned     fate = "returned: every order was cancelled"
	deferred     fate = "deferred, then taken up"
	merged       fate = "merged into another"
	dropped      fate = "dropped"
	rejected     fate = "rejected after a vote that failed"
	notAdmitted  fate = "refused admission at first"
	takenUpAgain fate = "taken up again once concluded"
	underWay     fate = "still under way when the year ends"
)

// talk is one topic as the script knows it.
type talk struct {
	id      stream.ID
	name    stream.Name
	of      *community
	words   wording
	demands []*asked // that it governs
	meeting time.Time
	plan    []topic.Item // adopted last
}

// deliberated is the life of a matter that several residents of a community raise, and that all of them deliberate.
func (l *life) deliberated(b birth) {
	words := pick(l.Rand, issues)
	place := l.grid.community
	var as []*asked
	at, ready := b.at, b.at
	for range b.demands {
		a := l.raise(at, demand.Issue, pick(l.Rand, place.grids), words, false)
		l.accept(a, pick(l.Rand, []demand.Urgency{"C", "D", "D"}))
		if l.now.After(ready) {
			ready = l.now
		}
		as = append(as, a)
		if next := l.byDay(l.later(at, 60, 2*1440)); next.Before(l.closes.AddDate(0, 0, -4)) {
			at = next
		}
	}
	l.now = ready
	f := b.fate
	if f == "" {
		f = l.topicFate()
	}
	if f == merged {
		l.merge(place, words, as)
		return
	}
	late := as[:0:0]
	if b.fate == voted { // the last to raise it joins later
		late = as[len(as)-1:]
	}
	t := l.propose(place, words, as[:len(as)-len(late)])
	for _, a := range late {
		l.now = l.soon(l.now, 30, 200, false)
		l.do(l.now, a.name, a.clerk(), demand.LinkToTopic{Topic: t.id})
		t.demands = append(t.demands, a)
	}
	l.settle(t, f)
}

// topicFate draws what is seldom; most topics are simply carried out.
func (l *life) topicFate() fate {
	switch roll := l.IntN(100); {
	case roll < 20:
		return voted
	case roll < 28:
		return rejected
	case roll < 32:
		return deferred
	case roll < 35:
		return dropped
	case roll < 38:
		return merged
	}
	return ""
}

func (l *life) propose(place *community, w wording, as []*asked) *talk {
	l.now = l.soon(l.now, 60, 3000, false)
	by := post(orgs.Clerk, place.code)
	id := stream.For(stream.Topic, by.ID, l.digest())
	t := &talk{id: id, name: stream.Of(stream.Topic, id), of: place, words: w, demands: as}
	c := topic.Propose{Kind: topic.Ordinary, Source: topic.FromResidents, Title: sealed.Public(w.title), Unit: place.code, Matter: w.matter}
	if l.chance(200) {
		c.Kind = topic.MicroProject
	}
	for _, a := range as {
		c.Demands = append(c.Demands, a.id)
	}
	l.do(l.now, t.name, by, c)
	return t
}

func convenor(t *talk) rule.Actor  { return post(orgs.Convenor, t.of.code) }
func secretary(t *talk) rule.Actor { return post(orgs.CommunitySecretary, t.of.code) }

// convene announces a meeting: in four days or more, for it is published three days ahead.
func (l *life) convene(t *talk) {
	l.now = l.soon(l.now, 60, 2000, false)
	day := calendar.DateOf(l.now) + calendar.Date(4+l.IntN(4))
	t.meeting = day.Start().Add(19 * time.Hour)
	l.do(l.now, t.name, convenor(t), topic.OpenDeliberation{Format: pick(l.Rand, topic.Formats()), Place: "社区议事厅", MeetingAt: t.meeting})
	if l.chance(500) {
		l.do(l.later(l.now, 60, 3000), t.name, post(orgs.BuildingHead, t.of.code),
			topic.Support{Household: fmt.Sprintf("household-%s-%03d", pick(l.Rand, t.of.grids).code, l.step)})
	}
}

// meet holds the meeting that was announced, or another one after a setback.
func (l *life) meet(t *talk) {
	if l.now.Before(t.meeting) {
		l.now = l.later(t.meeting, 90, 150)
	} else {
		day := calendar.DateOf(l.now) + calendar.Date(3+l.IntN(3))
		l.now = l.later(day.Start(), 20*60+30, 21*60+30)
	}
	l.do(l.now, t.name, convenor(t), topic.HoldDeliberation{Format: "council", Venue: "社区议事厅", Minutes: l.digest(),
		Attendees: []topic.Attendance{{Capacity: "residents", Number: 9 + l.IntN(30)}, {Capacity: "representatives", Number: 2 + l.IntN(6)},
			{Capacity: "property", Number: 1}}, Summary: "到会居民逐项讨论并形成意见"})
}

// vote asks the households of up to three grids.
func (l *life) vote(t *talk, passes bool) {
	l.now = l.soon(l.now, 60, 600, false)
	electorate := 0
	c := topic.OpenVote{Options: []sealed.Public{"同意", "不同意"}}
	for _, g := range t.of.grids[:min(3, len(t.of.grids))] {
		c.Grids = append(c.Grids, g.code)
		electorate += g.households
	}
	c.ClosesAt = (calendar.DateOf(l.now) + 5).Start().Add(18 * time.Hour)
	l.do(l.now, t.name, convenor(t), c)
	cast := electorate * (55 + l.IntN(30)) / 100
	yes := cast * (30 + l.IntN(15)) / 100
	if passes {
		yes = cast * (60 + l.IntN(30)) / 100
	}
	l.now = l.office(l.later(c.ClosesAt, 10, 120))
	l.do(l.now, t.name, convenor(t), topic.CloseVote{Cast: cast, Counts: []int{yes, cast - yes}, Ballots: l.digest()})
}

// settle takes a topic from its proposal to its end, and with it the demands it governs.
func (l *life) settle(t *talk, f fate) {
	if f == dropped {
		l.drop(t)
		return
	}
	l.convene(t)
	l.meet(t)
	switch f {
	case voted:
		l.leave(t)
		l.vote(t, true)
	case rejected:
		l.vote(t, false)
		l.now = l.soon(l.now, 300, 2000, false)
		l.both(l.now, t.name, secretary(t), convenor(t), topic.Reject{Reason: "表决未过半数，暂不实施"})
		l.answered(t, nil)
		return
	case deferred:
		l.now = l.soon(l.now, 300, 2000, false)
		l.both(l.now, t.name, secretary(t), convenor(t), topic.Defer{Reason: "待年度改造计划统筹", ReviewOn: calendar.DateOf(l.now) + 60})
		answered := l.now
		l.answered(t, nil)
		t.demands = nil
		l.now = l.later((calendar.DateOf(answered) + 45).Start(), 9*60, 10*60)
		l.convene(t)
		l.meet(t)
	}
	item := topic.Item{Lead: agency(t.of.street, 1+l.IntN(len(agencies)))}
	switch {
	case f == notAdmitted:
		item.Lead = t.of.grids[0].code.Unit()
	case l.chance(500):
		item.Lead = department(t.of.county, t.words.body)
	}
	l.adopt(t, item)
	if f == notAdmitted {
		l.now = l.soon(l.now, 60, 900, false)
		l.do(l.now, t.name, post(orgs.AdmissionOfficer, t.of.county), topic.RefuseAdmission{Reason: "清单外事项，未予准入"})
		l.meet(t)
		item.Lead = agency(t.of.street, 1)
		l.adopt(t, item)
	}
	js := l.handOver(t)
	if f == returned {
		l.now = l.soon(l.now, 60, 300, false)
		for _, j := range js {
			l.sign(j)
		}
		for _, j := range js {
			l.now = l.soon(l.now, 30, 300, false)
			l.both(l.now, j.name, post(orgs.Dispatcher, t.of.street), leader(j.by), order.Cancel{Cause: "error", Reason: "方案需重新议定"})
		}
		l.meet(t)
		l.adopt(t, item)
		js = append(l.handOver(t), l.further(t))
	}
	l.complete(t, js)
	if f == takenUpAgain {
		l.now = l.soon(l.now, 5000, 15000, false)
		l.do(l.now, t.name, convenor(t), topic.Reopen{Reason: "居民提出新的意见"})
		l.meet(t)
		l.now = l.soon(l.now, 300, 2000, false)
		l.both(l.now, t.name, secretary(t), convenor(t), topic.Reject{Reason: "现有做法已能满足需要"})
	}
}

// adopt decides to have it done: a first item, sometimes with a co-unit, and sometimes a second one.
func (l *life) adopt(t *talk, first topic.Item) {
	l.now = l.soon(l.now, 300, 2500, false)
	first.Matter, first.Urgency, first.Task = t.words.matter, "D", sealed.Public(t.words.title)
	first.Target = calendar.DateOf(l.now) + calendar.Date(25+l.IntN(30))
	if len(first.Lead) > 6 && first.Lead[6] == '-' && l.chance(500) {
		first.CoUnits = []orgs.UnitCode{agency(t.of.street, 2)}
	}
	items := []topic.Item{first}
	if l.chance(300) {
		second := first
		second.Lead, second.CoUnits, second.Task = agency(t.of.street, 3), nil, "配合宣传与日常维护"
		if second.Lead != first.Lead {
			items = append(items, second)
		}
	}
	l.both(l.now, t.name, secretary(t), convenor(t), topic.Adopt{Items: items, Budget: int64(l.IntN(50)) * 100_000, Summary: sealed.Public(t.words.title)})
	t.plan = items
}

// handOver gives the adopted plan to those who carry it out.
func (l *life) handOver(t *talk) []*job {
	l.now = l.soon(l.now, 60, 1500, false)
	by := post(orgs.Dispatcher, t.of.street)
	id := l.do(l.now, t.name, by, topic.HandToGrid{})
	var js []*job
	for n, item := range t.plan {
		js = append(js, l.jobOf(t, stream.CausedBy(stream.Order, id, n), by.Unit, item))
	}
	return js
}

// further adds an order to a topic that is being carried out.
func (l *life) further(t *talk) *job {
	l.now = l.soon(l.now, 60, 600, false)
	by := post(orgs.Dispatcher, t.of.street)
	item := t.plan[0]
	item.Lead, item.CoUnits, item.Task = agency(t.of.street, 4), nil, "增派：现场安全防护"
	id := l.do(l.now, t.name, by, topic.AddOrder{Item: &item})
	return l.jobOf(t, stream.CausedBy(stream.Order, id, 0), by.Unit, item)
}

func (l *life) jobOf(t *talk, id stream.ID, by orgs.UnitCode, item topic.Item) *job {
	j := &job{id: id, name: stream.Of(stream.Order, id), by: by, lead: item.Lead, place: t.of, demands: t.demands, words: t.words,
		kind: demand.Issue, urgency: "D", round: 1, legs: 1, target: item.Target, helpers: item.CoUnits}
	for _, g := range t.of.grids {
		if g.code.Unit() == item.Lead {
			j.grid = g
		}
	}
	l.starts(j, l.now)
	return j
}

// complete carries all orders out, calls the residents back, and closes the topic when the last of them is content.
func (l *life) complete(t *talk, js []*job) {
	began, done := l.now, l.now
	for _, j := range js {
		l.now = began
		c := l.chances(j)
		c.back = ""
		l.carryOut(j, c)
		if l.now.After(done) {
			done = l.now
		}
	}
	l.now = done
	l.answered(t, js[0])
	if len(t.demands) == 0 {
		l.now = l.office(l.later(done, 600, 3000))
	}
	for n, j := range js {
		l.now = l.soon(l.now, 600, 2500, false)
		if n == 0 || l.chance(500) { // a topic may have more results than orders, and fewer
			l.do(l.now, t.name, secretary(t), topic.PublishResult{Text: sealed.Public(t.words.done), Orders: []stream.ID{j.id}})
		}
	}
	l.now = l.soon(l.now, 300, 2500, false)
	l.do(l.now, t.name, secretary(t), topic.Conclude{Summary: sealed.Public(t.words.done)})
}

// answered calls back everybody whose demand the topic answered, now; only the first may send the order j back to
// work, after the others were heard. l.now is then past the last callback.
func (l *life) answered(t *talk, j *job) {
	from, last := l.now, l.now
	for i, a := range slices.Backward(t.demands) {
		l.now = from
		v := l.judge()
		switch {
		case i > 0 && v == complains:
			v = content
		case i == 0:
			l.now = last
		}
		l.callBackOf(a, j, v, from)
		if l.now.After(last) {
			last = l.now
		}
	}
	l.now = last
}

// leave takes one demand out of a topic that is still talked about, and another one is withdrawn.
func (l *life) leave(t *talk) {
	if len(t.demands) < 3 {
		return
	}
	now := l.now
	a, b := t.demands[0], t.demands[1]
	t.demands = t.demands[2:]
	l.withdraw(a)
	l.now = l.soon(now, 20, 200, false)
	l.do(l.now, b.name, b.clerk(), demand.UnlinkFromTopic{Reason: "与本议题无关，单独办理"})
	rest := l.now
	j := l.toDepartment(b, demand.ReasonStatutory)
	l.carryOut(j, course{})
	l.callBack(b, j, content)
	l.now = rest
}

// drop gives a topic up before anything was decided; its demands are handled one by one.
func (l *life) drop(t *talk) {
	l.now = l.soon(l.now, 600, 3000, false)
	l.do(l.now, t.name, convenor(t), topic.Drop{Reason: "事项已有明确责任单位，直接办理"})
	from := l.now
	for _, a := range t.demands {
		l.now = from
		j := l.toDepartment(a, demand.ReasonStatutory)
		l.carryOut(j, l.chances(j))
		l.callBack(a, j, l.judge())
	}
}

// merge lets two topics about one matter become one.
func (l *life) merge(place *community, w wording, as []*asked) {
	half := max(len(as)/2, 1)
	first := l.propose(place, w, as[:half])
	if half == len(as) {
		l.settle(first, "")
		return
	}
	second := l.propose(place, w, as[half:])
	l.now = l.soon(l.now, 60, 900, false)
	l.do(l.now, second.name, convenor(second), topic.Merge{Target: first.id, Reason: "同一事项并题"})
	first.demands = as
	l.settle(first, "")
}
