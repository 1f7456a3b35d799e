package city

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// job is one order as the script knows it.
type job struct {
	id      stream.ID
	name    stream.Name
	by      orgs.UnitCode // dispatched it last
	lead    orgs.UnitCode
	member  orgs.UnitCode // of a joint team: who is competent
	grid    *grid         // leads, unless a body does
	place   *community
	demands []*asked // that it serves
	words   wording
	kind    demand.Kind
	urgency demand.Urgency
	work    calendar.Due // the clock of handling, or of rework
	round   int
	target  calendar.Date
	legs    int
	helpers []orgs.UnitCode // co-units that have not reported
}

func (j *job) pressing() bool { return j.urgency == "A" || j.urgency == "B" }

// hand is who acts for the lead.
func (j *job) hand() rule.Actor {
	if j.grid != nil {
		return j.grid.worker()
	}
	return post(orgs.Handler, j.lead)
}

// slow reports whether the department that does worse than the others leads.
func (j *job) slow() bool {
	return strings.HasSuffix(string(j.lead), fmt.Sprintf("-d%02d", slowDepartment))
}

// reachable are the demands whose residents can be contacted.
func (j *job) reachable() (ids []stream.ID) {
	for _, a := range j.demands {
		if !a.anonymous {
			ids = append(ids, a.id)
		}
	}
	return ids
}

// starts runs the clock of the work.
func (l *life) starts(j *job, t time.Time) {
	var err error
	switch {
	case j.round > 1:
		j.work, err = l.Start("", calendar.Rework, string(j.kind), string(j.urgency), t)
	case !j.target.IsZero():
		j.work, err = l.Until("", calendar.Handle, t, j.target)
	default:
		j.work, err = l.Start("", calendar.Handle, string(j.kind), string(j.urgency), t)
	}
	if err != nil {
		panic(fmt.Sprintf("city: the work of %s has no end: %v", j.name, err)) // the policy is complete, and dates lie ahead
	}
}

// fastTrack waives the topic stage and dispatches to a lead.
func (l *life) fastTrack(a *asked, why demand.Reason, by rule.Actor, j job) *job {
	l.now = l.soon(l.now, 5, 120, a.pressing())
	c := demand.FastTrack{Reason: why, Route: demand.Route{Order: &demand.NewOrder{Lead: j.lead, Competent: j.member, Task: sealed.Public(a.words.title)}}}
	if why == demand.ReasonStatutory {
		c.Citation = basis
	}
	id := stream.CausedBy(stream.Order, l.do(l.now, a.name, by, c), 0)
	j.id, j.name, j.by, j.place, j.words = id, stream.Of(stream.Order, id), by.Unit, a.place(), a.words
	j.demands, j.kind, j.urgency, j.round, j.legs = []*asked{a}, a.kind, a.urgency, 1, 1
	l.starts(&j, l.now)
	return &j
}

// toGrid gives a demand to the worker of its grid.
func (l *life) toGrid(a *asked, why demand.Reason) *job {
	return l.fastTrack(a, why, a.clerk(), job{lead: a.grid.code.Unit(), grid: a.grid})
}

// toDepartment gives a demand to the competent department of the county.
func (l *life) toDepartment(a *asked, why demand.Reason) *job {
	return l.fastTrack(a, why, post(orgs.Dispatcher, a.place().county), job{lead: department(a.place().county, max(a.words.body, 1))})
}

// toStreet gives a demand to the competent agency of the street, or to its joint team.
func (l *life) toStreet(a *asked, why demand.Reason, team bool) *job {
	s := a.place().street
	serial := 1 + slices.IndexFunc(agencies, func(x agencyOf) bool { return x.department == a.words.body })
	j := job{lead: agency(s, max(serial, 1))}
	if team || serial == 0 {
		j.lead, j.member = body(s, "team"), j.lead
	}
	return l.fastTrack(a, why, post(orgs.Dispatcher, s), j)
}

// course says what goes wrong, or otherwise than usual, in the course of an order's first round.
type course struct {
	back    fate // a return, "" for none
	suspend int  // days on hold, 0 for none
	extend  fate // extended, extensionRefused, "" for none
	late    bool
	fails   int // verifications, if a verifier comes at all
}

// chances is the usual course: 92 of 100 in time, except where a department is slow; 1.5 returned, 2 suspended.
func (l *life) chances(j *job) course {
	c := course{late: l.chance(70)}
	if j.slow() {
		c.late = l.chance(450)
	}
	if l.chance(15) && !j.pressing() {
		c.back = pick(l.Rand, []fate{sentBackUnsigned, sentBackUnsigned, sentBackSigned, sentBackLater})
	}
	if l.chance(20) && !j.pressing() {
		c.suspend = 4 + l.IntN(20)
	}
	if l.chance(15) && !j.pressing() {
		c.extend = pick(l.Rand, []fate{extended, extended, extensionRefused})
	}
	if l.chance(90) {
		c.fails = 1
	}
	return c
}

// carryOut takes an order from dispatch to the passed verification, and l.now with it.
func (l *life) carryOut(j *job, c course) {
	if l.calls(j) {
		l.aside(func() { l.whistle(j) })
	}
	switch c.back {
	case thrice, thriceApproved:
		l.sendBackThrice(j, c.back)
	case sentBackUnsigned:
		l.asksBack(j)
		l.approves(j)
		l.redispatch(j, post(orgs.Dispatcher, redispatcher(j.by)))
		l.sign(j)
		l.contact(j)
	case sentBackSigned:
		l.sign(j)
		l.asksBack(j)
		l.refuses(j)
		l.contact(j)
	case sentBackLater:
		l.sign(j)
		l.contact(j)
		l.asksBack(j)
		l.refuses(j)
	default:
		l.sign(j)
		l.contact(j)
	}
	l.handle(j, c)
}

// stepOf is when the lead gets round to it; before a long holiday on the day itself rather than after it.
func (l *life) stepOf(j *job, low, high int) {
	t := l.soon(l.now, low, high, j.pressing())
	if t.Sub(l.now) > 60*time.Hour {
		t = l.byDay(l.later(l.now, low, high))
	}
	l.now = t
}

func (l *life) sign(j *job) {
	if j.pressing() {
		l.stepOf(j, 1, 10)
	} else {
		l.stepOf(j, 5, 100)
	}
	l.do(l.now, j.name, j.hand(), order.Sign{})
}

func (l *life) contact(j *job) {
	if j.pressing() {
		l.stepOf(j, 2, 14)
	} else {
		l.stepOf(j, 10, 240)
	}
	switch ids := j.reachable(); {
	case len(j.demands) == 0:
		l.do(l.now, j.name, j.hand(), order.WaiveContact{Cause: "patrol"})
	case len(ids) == 0:
		l.do(l.now, j.name, j.hand(), order.WaiveContact{Cause: "anonymous"})
	default:
		l.do(l.now, j.name, j.hand(), order.RecordContact{Demands: ids, Means: pick(l.Rand, order.Means())})
	}
}

// superior rules on a return: one level above whoever dispatched.
func superior(by orgs.UnitCode) orgs.UnitCode {
	switch len(by) {
	case 12:
		return streetOf(by)
	case 9:
		return districtOf(by)
	}
	return root
}

// redispatcher gives a returned order to its next lead. A community has no dispatcher: its street does.
func redispatcher(by orgs.UnitCode) orgs.UnitCode {
	if len(by) == 12 {
		return streetOf(by)
	}
	return by
}

// other is a lead that could have the order instead: a department of the county, or an agency of the street. In
// each leg it is another one, until all had their turn.
func (j *job) other() orgs.UnitCode {
	for n := j.words.body + j.legs; ; n++ {
		o := agency(j.place.street, n%len(agencies)+1)
		if len(j.by) == 6 {
			o = department(j.by, n%len(departments)+1)
		}
		if o != j.lead {
			return o
		}
	}
}

func (l *life) asksBack(j *job) {
	l.stepOf(j, 3, 20)
	l.do(l.now, j.name, j.hand(), order.RequestReturn{Reason: say("不属于本单位职责，建议改派。"), Basis: basis, Suggested: j.other()})
}

func (l *life) approves(j *job) {
	l.now = l.soon(l.now, 20, 150, false)
	l.do(l.now, j.name, post(orgs.Dispatcher, superior(j.by)), order.ApproveReturn{Reason: "职责确属其他单位"})
}

func (l *life) refuses(j *job) {
	l.now = l.soon(l.now, 20, 150, false)
	l.do(l.now, j.name, post(orgs.Dispatcher, superior(j.by)), order.RefuseReturn{Reason: "按职责清单应由本单位办理"})
}

// redispatch begins the next leg.
func (l *life) redispatch(j *job, by rule.Actor) {
	l.now = l.soon(l.now, 10, 120, false)
	j.lead, j.grid, j.member = j.other(), nil, ""
	j.legs++
	j.by = by.Unit
	l.do(l.now, j.name, by, order.Redispatch{Lead: j.lead})
	l.starts(j, l.now)
}

// sendBackThrice lets three units say that they are not competent. The third time the arbiter rules.
func (l *life) sendBackThrice(j *job, f fate) {
	for range 2 {
		l.asksBack(j)
		l.approves(j)
		l.redispatch(j, post(orgs.Dispatcher, redispatcher(j.by)))
	}
	arbiter := post(orgs.Arbiter, j.place.county)
	l.asksBack(j)
	l.now = l.soon(l.now, 20, 150, false)
	if f == thriceApproved {
		l.do(l.now, j.name, arbiter, order.ApproveReturn{Reason: "经裁定改派"})
		l.redispatch(j, arbiter)
		l.sign(j)
	} else {
		l.do(l.now, j.name, arbiter, order.RefuseReturn{Reason: "经裁定由本单位办理，不得再退"})
	}
	l.contact(j)
}

// handle goes from contact to the passed verification.
func (l *life) handle(j *job, c course) {
	if c.suspend > 0 {
		l.hold(j, c.suspend)
	}
	if c.extend != "" {
		l.askForMore(j, c.extend)
	}
	for _, co := range j.helpers {
		l.stepOf(j, 60, 900)
		l.do(l.now, j.name, post(orgs.Handler, co), order.ReportCoUnit{Unit: co, Summary: "已配合完成分工"})
	}
	j.helpers = nil
	if c.late && l.now.Before(j.work.Due) {
		l.overrun(j)
	} else {
		l.now = l.before(l.now, j.work.Due, 0.1, 0.85, j.pressing())
	}
	for attempt := 0; ; attempt++ {
		l.report(j)
		if drawn, _ := l.draw(j.id, j.round, string(j.kind), l.now); !drawn {
			return // passed as sampled out, at the same moment
		}
		l.now = l.soon(l.now, 30, 700, false)
		if attempt >= c.fails {
			l.do(l.now, j.name, l.verifier(j), order.PassVerification{Method: pick(l.Rand, []string{"on_site", "photo", "phone"})})
			return
		}
		l.do(l.now, j.name, l.verifier(j), order.FailVerification{Reason: "现场核查问题仍在", Method: "on_site"})
		l.now = l.office(l.later(l.now, 300, 3000))
	}
}

// verifier is of the level that dispatched.
func (l *life) verifier(j *job) rule.Actor {
	host := j.place.street
	if len(j.by) == 6 {
		host = j.by
	}
	return post(orgs.Verifier, body(host, "oversight"))
}

// hold suspends the work for some days and resumes it on the last of them.
func (l *life) hold(j *job, days int) {
	l.stepOf(j, 30, 400)
	second := leader(j.by)
	if days > 30 {
		second = post(orgs.Arbiter, j.place.county)
	}
	reason := pick(l.Rand, order.SuspensionReasons())
	review := calendar.DateOf(l.now) + calendar.Date(days)
	l.both(l.now, j.name, j.hand(), second, order.Suspend{Reason: reason, Basis: basis, ReviewOn: review})
	frozen := l.now
	l.now = l.byDay(l.later(review.Start(), 8*60, 12*60))
	l.do(l.now, j.name, j.hand(), order.Resume{})
	l.resumes(j, frozen)
}

// resumes lets what was left of the time run on.
func (l *life) resumes(j *job, frozen time.Time) {
	due, err := l.Restart(j.work, frozen, l.now)
	if err != nil {
		panic(fmt.Sprintf("city: %s can not go on: %v", j.name, err)) // clocks of work pause, and time goes forward
	}
	j.work = due
}

// askForMore asks for a few days more, while there is time to ask.
func (l *life) askForMore(j *job, f fate) {
	at := l.soon(l.now, 10, 300, false)
	if !at.Before(j.work.Due) {
		return
	}
	l.now = at
	l.do(l.now, j.name, j.hand(), order.RequestExtension{Amount: min(5, j.work.Amount), Reason: "材料采购周期较长", Told: true})
	l.now = l.soon(l.now, 20, 180, false)
	if f == extensionRefused {
		l.do(l.now, j.name, leader(j.by), order.RefuseExtension{Reason: "具备按期办结条件"})
		return
	}
	l.do(l.now, j.name, leader(j.by), order.GrantExtension{Reason: "情况属实"})
	due, err := l.Extend(j.work, min(5, j.work.Amount))
	if err != nil {
		panic(fmt.Sprintf("city: %s can not have more time: %v", j.name, err)) // the amount is within bounds
	}
	j.work = due
}

// overrun lets the due instant pass; now and then a supervisor demands an account.
func (l *life) overrun(j *job) {
	l.now = l.soon(j.work.Due, 60, 2000, j.pressing())
	if l.chance(300) {
		host := body(j.place.county, "oversight")
		l.do(l.now, j.name, post(orgs.Supervisor, host), order.IssueSupervision{Reason: "超过办理时限"})
		l.now = l.soon(l.now, 60, 600, j.pressing())
		l.do(l.now, j.name, j.hand(), order.AnswerSupervision{Number: 1, Answer: "已增派力量，近日办结"})
		l.now = l.soon(l.now, 60, 900, j.pressing())
	}
}

func (l *life) report(j *job) {
	outcome, answer := "resolved", j.words.done
	switch roll := l.IntN(100); {
	case roll < 2:
		outcome, answer = "infeasible", "目前暂不具备条件，已说明原因。"
	case roll < 7:
		outcome, answer = "explained", "已当面解释说明有关规定。"
	case roll < 14:
		outcome, answer = "partly", "已先行处理一部分，其余列入计划。"
	}
	l.do(l.now, j.name, j.hand(), order.ReportHandling{Outcome: outcome, Answer: say(answer), Summary: sealed.Public(answer),
		Evidence: []string{l.digest()}, Persons: 1 + l.IntN(4)})
}

// again does the work of a further round, beginning now.
func (l *life) again(j *job) {
	j.round++
	l.starts(j, l.now)
	l.handle(j, course{})
}

// verdict is what the resident says when called back.
type verdict string

// The verdicts.
const (
	content    verdict = "content"
	complains  verdict = "complains with merit"
	grumbles   verdict = "complains without merit"
	notReached verdict = "not reached"
)

// judge draws a verdict: four of five residents are reached, one in twenty of them is right to complain.
func (l *life) judge() verdict {
	switch roll := l.IntN(1000); {
	case roll < 200:
		return notReached
	case roll < 240:
		return complains
	case roll < 255:
		return grumbles
	}
	return content
}

// callBack calls the resident back, who was answered just now, until the demand is closed. j is the order that can be
// reworked, nil if none can: then a complaint leads to [life.anew].
func (l *life) callBack(a *asked, j *job, v verdict) { l.callBackOf(a, j, v, l.now) }

// callBackOf is callBack of somebody who was answered some time ago. What the clock waived meanwhile is nobody's to call.
func (l *life) callBackOf(a *asked, j *job, v verdict, answered time.Time) {
	agent := post(orgs.CallbackAgent, body(a.place().county, "hotline"))
	at := func(low, high int) { l.now = l.soon(l.now, low, high, false) }
	last := l.calledBy(a, answered)
	attempts := 0
	switch roll := l.IntN(100); {
	case a.anonymous, a.silent:
		if at(30, 400); l.now.After(last) {
			return
		}
		cause := "do_not_call"
		if a.anonymous {
			cause = "anonymous"
		}
		l.do(l.now, a.name, agent, demand.WaiveCallback{Cause: cause})
		return
	case v == notReached:
		attempts = 3
	case roll < 15:
		attempts = 1
	}
	at(30, 480)
	for range attempts {
		if l.now.After(last) { // the clock waived it
			return
		}
		l.do(l.now, a.name, agent, demand.RecordCallbackAttempt{Means: pick(l.Rand, []string{"phone", "phone", "sms"})})
		at(240, 1600)
	}
	switch {
	case l.now.After(last):
		return
	case v == notReached: // after three calls the clock waives it
		return
	}
	switch v {
	case complains:
		words := say("没有彻底解决，希望再处理一次。")
		c := demand.RecordCallback{Grade: demand.Grade(1 + l.IntN(2)), Merit: true, Words: words, Reason: "居民反映未彻底解决"}
		if j != nil {
			c.Order = j.id
		}
		l.do(l.now, a.name, agent, c)
		if j == nil {
			l.anew(a)
			return
		}
		l.again(j)
		l.callBack(a, j, content)
	case grumbles:
		l.both(l.now, a.name, agent, colleague(orgs.CallbackAgent, agent.Unit),
			demand.RecordCallback{Grade: 2, Reason: "诉求超出政策范围，已解释清楚"})
	default:
		l.do(l.now, a.name, agent, demand.RecordCallback{Resolved: true, Grade: demand.Grade(3 + min(l.IntN(6), 2))})
		if l.chance(15) && a.by.Role == orgs.Resident {
			l.do(l.later(l.now, 600, 2*1440), a.name, a.by, demand.Rerate{Grade: 5, Resolved: true})
		}
	}
}

// calledBy is until when somebody is called who was answered at an instant; whoever can not be called, until the first call
// would be due.
func (l *life) calledBy(a *asked, answered time.Time) time.Time {
	first, err := l.Start("", calendar.Callback, "", "", answered)
	if err != nil {
		panic(fmt.Sprintf("city: a callback has no end: %v", err)) // the policy is complete
	}
	if closes := l.Closes(calendar.CallbackAttempts, answered); closes.After(first.Due) && !a.anonymous && !a.silent {
		return closes
	}
	return first.Due
}

// anew considers a demand again that no order can be reworked for.
func (l *life) anew(a *asked) {
	if a.kind == demand.Dispute {
		l.now = l.soon(l.now, 60, 600, false)
		l.do(l.now, a.name, a.clerk(), demand.Redirect{Target: "人民法院诉讼服务（示例）", Receipt: l.receipt()})
		return
	}
	if a.urgency == "" { // it was answered on the spot, before anybody classified it
		a.urgency = "C"
		l.now = l.soon(l.now, 5, 60, false)
		l.do(l.now, a.name, a.clerk(), demand.Reclassify{Matter: a.words.matter, Urgency: "C"})
	}
	var j *job
	switch a.kind {
	case demand.Errand:
		j = l.toGrid(a, demand.ReasonErrand)
	case demand.Consult:
		j = l.toGrid(a, demand.ReasonConsult)
	default:
		j = l.toDepartment(a, demand.ReasonStatutory)
	}
	l.carryOut(j, course{})
	l.callBack(a, j, content)
}

// receipt is a number that another channel gave.
func (l *life) receipt() string { return fmt.Sprintf("%s-%s", Label, l.digest()[:8]) }
