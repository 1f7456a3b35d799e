package city

import (
	"container/heap"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
)

// The fates of errands.
const (
	declined          fate = "declined"
	appealUpheld      fate = "appeal upheld"
	appealRejected    fate = "appeal rejected"
	redirected        fate = "redirected"
	redirectedLater   fate = "redirected once accepted"
	withdrawn         fate = "withdrawn"
	withdrawnLater    fate = "withdrawn once accepted"
	withdrawnHandling fate = "withdrawn in handling"
	sentBackUnsigned  fate = "returned and dispatched anew"
	sentBackSigned    fate = "return refused before contact"
	sentBackLater     fate = "return refused after contact"
	suspended         fate = "suspended"
	cancelled         fate = "cancelled at once"
	cancelledLater    fate = "cancelled once signed"
	reworked          fate = "reworked after the callback"
	reconsidered      fate = "reconsidered after the callback"
	unreached         fate = "never reached"
	unnamed           fate = "anonymous"
	closedAgainst     fate = "closed against the verdict"
	reopened          fate = "reopened"
	reopenedJoining   fate = "reopened and joined to the closed order"
	sameMatter        fate = "two of the same matter"
	split             fate = "split"
	busy              fate = "supported, urged, corrected"
	extended          fate = "extended"
	extensionRefused  fate = "extension refused"
	answeredAtOnce    fate = "answered on the spot"
)

// The fates of issues that one resident raises.
const (
	thrice           fate = "returned by three units, the third refused"
	thriceApproved   fate = "returned by three units, the third approved"
	failedThrice     fate = "failed verification three times"
	suspendedLong    fate = "suspended for more than a month"
	reopenedByLeader fate = "reopened by the leader"
	byTeam           fate = "handled by the joint team"
)

// life writes the acts of one demand, or of several that belong together.
type life struct {
	*year
	hours
	number int
	county *county
	grid   *grid
	step   int
	now    time.Time // of the demand or order that is being written about
	called bool      // the resident does not ask to be left alone: the fate needs somebody to talk to
}

func (l *life) add(a Act) stream.ID {
	l.step++
	l.turns++
	a.Key, a.turn = fmt.Sprintf("city/%d/%d", l.number, l.step), l.turns
	if a.At.Before(l.closes) {
		heap.Push(&l.agenda, a)
	}
	return stream.Event(a.Stream, a.Key, 0)
}

// do writes one act and returns the id of its event.
func (l *life) do(at time.Time, n stream.Name, by rule.Actor, c engine.Command) stream.ID {
	return l.add(Act{At: at, Stream: n, Actor: by, Command: c})
}

// both writes one act that a second person confirms.
func (l *life) both(at time.Time, n stream.Name, by, second rule.Actor, c engine.Command) stream.ID {
	return l.add(Act{At: at, Stream: n, Actor: by, Second: &second, Command: c})
}

// digest stands for a document that nobody wrote.
func (l *life) digest() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s document %d %d %d", Label, l.seed, l.number, l.step))
	return hex.EncodeToString(sum[:])
}

func say(text string) sealed.Text { return sealed.Clear(madeUp + text) }

// basis cites nothing that exists.
const basis = sealed.Public("示例职责清单第一条（合成）")

// asked is one demand as the script knows it.
type asked struct {
	id        stream.ID
	name      stream.Name
	grid      *grid
	kind      demand.Kind
	urgency   demand.Urgency
	words     wording
	by        rule.Actor // who raised it
	anonymous bool
	silent    bool // asked not to be called
}

func (a *asked) place() *community { return a.grid.community }
func (a *asked) pressing() bool    { return a.urgency == "A" || a.urgency == "B" }

// clerk returns a worker of the demand's community.
func (a *asked) clerk() rule.Actor { return post(orgs.Clerk, a.place().code) }

// voice is the resident, or the clerk for one who came by another way.
func (a *asked) voice() rule.Actor {
	if a.by.Role == orgs.Resident {
		return a.by
	}
	return a.clerk()
}

// raise lets somebody put a matter forward.
func (l *life) raise(at time.Time, kind demand.Kind, g *grid, w wording, anonymous bool) *asked {
	l.raised++
	reference := fmt.Sprintf("%s-%06d", Label, l.raised)
	a := &asked{grid: g, kind: kind, words: w, anonymous: anonymous, silent: l.chance(30) && !anonymous && !l.called}
	var channel demand.Channel
	var occurred time.Time
	switch roll := l.IntN(100); {
	case roll < 45 || anonymous:
		channel, a.by = "hotline", post(orgs.Channel, body(root, "hotline"))
	case roll < 75:
		channel, a.by = "wechat", rule.Actor{ID: "resident-" + reference, Role: orgs.Resident, Unit: g.community.code}
	case roll < 88:
		channel, a.by = "counter", post(orgs.Clerk, g.community.code)
		at = l.office(at)
	default:
		channel, a.by = pick(l.Rand, []demand.Channel{"home_visit", "pavilion", "contact_card"}), g.worker()
		occurred = at
		at = l.later(at, 10, 600)
	}
	a.id = stream.DemandFor(string(channel), reference)
	a.name = stream.Of(stream.Demand, a.id)
	c := demand.Raise{Kind: kind, Channel: channel, External: reference, Anonymous: anonymous, NoCallback: a.silent,
		Title: say(w.title), Text: say(w.text), Address: sealed.Clear(inventAddress(l.Rand, g)),
		Matter: w.matter, Grid: g.code, Unit: g.community.code}
	if !anonymous {
		c.Reporter = demand.Reporter{Name: sealed.Clear(inventName(l.Rand)), Phone: sealed.Clear(inventPhone(l.Rand))}
	}
	l.add(Act{At: at, Occurred: occurred, Stream: a.name, Actor: a.by, Command: c})
	l.now = at
	return a
}

// accept takes a demand on.
func (l *life) accept(a *asked, u demand.Urgency) {
	a.urgency = u
	l.now = l.soon(l.now, 5, 150, a.pressing())
	l.do(l.now, a.name, a.clerk(), demand.Accept{Kind: a.kind, Matter: a.words.matter, Urgency: u, Unit: a.place().code,
		Grid: a.grid.code, Summary: sealed.Public(a.words.title)})
}

// urgencyOf draws how soon an errand must be done.
func (l *life) urgencyOf() demand.Urgency {
	switch roll := l.IntN(100); {
	case roll < 1:
		return "A"
	case roll < 5:
		return "B"
	case roll < 75:
		return "C"
	}
	return "D"
}

// errand is the life of most demands: what a grid worker does for somebody.
func (l *life) errand(b birth) {
	f := b.fate
	if f == certificate {
		l.certify(b)
		return
	}
	if f == "" {
		f = l.errandFate()
	}
	l.called = f == reworked || f == unreached || f == closedAgainst || f == reconsidered
	a := l.raise(b.at, demand.Errand, l.grid, pick(l.Rand, errands), f == unnamed)
	switch f {
	case answeredAtOnce, reconsidered:
		l.answerAtOnce(a)
		if f == reconsidered {
			l.callBack(a, nil, complains)
		} else {
			l.callBack(a, nil, l.judge())
		}
		return
	case declined, appealUpheld, appealRejected:
		if !l.decline(a, f) {
			return
		}
	case redirected:
		l.redirect(a)
		return
	case withdrawn:
		l.withdraw(a)
		return
	case busy:
		l.now = l.later(l.now, 2, 20)
		l.do(l.now, a.name, rule.Actor{ID: "resident-neighbour-" + a.id.String(), Role: orgs.Resident, Unit: a.place().code}, demand.Support{Supporters: 1})
		l.now = l.later(l.now, 2, 20)
		l.do(l.now, a.name, a.voice(), demand.Supplement{Text: say("补充：上午九点以后家里有人。")})
	}
	u := demand.Urgency("C")
	if b.fate == "" && f == "" {
		u = l.urgencyOf()
	}
	l.accept(a, u)
	switch f {
	case redirectedLater:
		l.redirect(a)
		return
	case withdrawnLater:
		l.withdraw(a)
		return
	case split:
		l.split(a)
	case busy:
		l.now = l.soon(l.now, 2, 10, false)
		l.do(l.now, a.name, a.clerk(), demand.Reclassify{Urgency: "D"})
		a.urgency = "D"
		l.now = l.soon(l.now, 2, 10, false)
		l.do(l.now, a.name, a.clerk(), demand.Relocate{Grid: a.grid.code, Unit: a.place().code})
		l.now = l.soon(l.now, 30, 90, false)
		l.do(l.now, a.name, a.voice(), demand.Urge{Text: say("想问问什么时候能办。")})
	}
	j := l.toGrid(a, demand.ReasonErrand)
	c := course{}
	if b.fate == "" {
		c = l.chances(j)
	}
	switch f {
	case withdrawnHandling:
		l.now = l.soon(l.now, 5, 60, false)
		l.withdraw(a)
		return
	case cancelled:
		l.now = l.soon(l.now, 5, 30, false)
		l.do(l.now, j.name, post(orgs.Dispatcher, a.place().street), order.Cancel{Cause: "error", Reason: "派单有误"})
		j = l.toGrid(a, demand.ReasonErrand)
	case cancelledLater:
		l.sign(j)
		l.now = l.soon(l.now, 5, 30, false)
		l.both(l.now, j.name, post(orgs.Dispatcher, a.place().street), leader(j.by), order.Cancel{Cause: "error", Reason: "派单有误"})
		j = l.toGrid(a, demand.ReasonErrand)
	case sentBackUnsigned, sentBackSigned, sentBackLater:
		c.back = f
	case suspended:
		c.suspend = 12
	case extended, extensionRefused:
		c.extend = f
	case sameMatter:
		if b.demands > 1 {
			l.join(a, j)
			return
		}
	}
	l.carryOut(j, c)
	switch v := l.judge(); {
	case f == reworked:
		l.callBack(a, j, complains)
	case f == unreached:
		l.callBack(a, j, notReached)
	case f == closedAgainst:
		l.callBack(a, j, grumbles)
	case f == reopened, f == reopenedJoining:
		l.callBack(a, j, content)
		l.reopen(a, j, f)
	default:
		l.callBack(a, j, v)
	}
}

// errandFate draws what is seldom.
func (l *life) errandFate() fate {
	switch roll := l.IntN(1000); {
	case roll < 200:
		return answeredAtOnce
	case roll < 230:
		return unnamed
	case roll < 240:
		return redirected
	case roll < 246:
		return pick(l.Rand, []fate{declined, declined, appealUpheld, appealRejected})
	case roll < 258:
		return pick(l.Rand, []fate{withdrawn, withdrawnLater, withdrawnHandling})
	case roll < 266:
		return pick(l.Rand, []fate{reopened, reopenedJoining})
	case roll < 276:
		return busy
	case roll < 278:
		return cancelledLater
	}
	return ""
}

// answerAtOnce settles it where it was said.
func (l *life) answerAtOnce(a *asked) {
	l.now = l.soon(l.now, 1, 30, false)
	by := a.clerk()
	if l.chance(400) {
		by = a.grid.worker()
	}
	l.do(l.now, a.name, by, demand.AnswerOnTheSpot{Outcome: demand.Resolved, Matter: a.words.matter,
		Summary: sealed.Public(a.words.title), Answer: say(a.words.done)})
}

// decline turns a demand away; the resident may appeal to the street. It reports whether the demand lives on.
func (l *life) decline(a *asked, f fate) bool {
	l.now = l.soon(l.now, 10, 200, false)
	l.both(l.now, a.name, a.clerk(), post(orgs.CommunitySecretary, a.place().code),
		demand.Decline{Reason: pick(l.Rand, demand.DeclineReasons()), Citation: basis, Instead: "可向相应受理窗口提出（示例）"})
	if f == declined {
		return false
	}
	l.now = l.byDay(l.later(l.now, 600, 6000))
	l.do(l.now, a.name, a.voice(), demand.FileAppeal{Reason: say("不认同不予受理的理由，请再看一次。")})
	l.now = l.soon(l.now, 60, 1500, false)
	street := post(orgs.Dispatcher, a.place().street)
	if f == appealRejected {
		l.do(l.now, a.name, street, demand.RejectAppeal{Reason: "不予受理的依据充分"})
		return false
	}
	l.do(l.now, a.name, street, demand.UpholdAppeal{Reason: "应予受理"})
	return true
}

func (l *life) redirect(a *asked) {
	l.now = l.soon(l.now, 5, 120, false)
	l.do(l.now, a.name, a.clerk(), demand.Redirect{Target: "市级专线窗口（示例）", Receipt: l.receipt()})
}

func (l *life) withdraw(a *asked) {
	by, confirmed := a.voice(), ""
	if by.Role == orgs.Clerk {
		l.now, confirmed = l.soon(l.now, 5, 120, false), "phone"
	} else {
		l.now = l.later(l.now, 5, 120)
	}
	l.do(l.now, a.name, by, demand.Withdraw{Confirmed: confirmed})
}

// split gives one of two matters a demand of its own, which is answered on the spot.
func (l *life) split(a *asked) {
	w := pick(l.Rand, errands)
	l.now = l.soon(l.now, 2, 30, false)
	child := demand.Child{Kind: demand.Errand, Matter: w.matter, Grid: a.grid.code, Unit: a.place().code, Text: say(w.text)}
	id := stream.CausedBy(stream.Demand, l.do(l.now, a.name, a.clerk(), demand.SplitUp{Children: []demand.Child{child}}), 0)
	second := &asked{id: id, name: stream.Of(stream.Demand, id), grid: a.grid, kind: demand.Errand, words: w, by: a.by,
		anonymous: a.anonymous, silent: a.silent}
	now := l.now
	l.answerAtOnce(second)
	l.callBack(second, nil, content)
	l.now = now
}

// join lets a second resident raise the same matter, whose demand joins the order of the first.
func (l *life) join(a *asked, j *job) {
	l.now = l.soon(l.now, 1, 5, false)
	second := l.raise(l.now, demand.Errand, a.grid, a.words, false)
	l.now = l.office(l.now)
	l.accept(second, a.urgency)
	l.now = l.soon(l.now, 1, 5, false)
	l.do(l.now, second.name, second.clerk(), demand.FastTrack{Reason: demand.ReasonSameMatter, Route: demand.Route{Join: j.id}})
	j.demands = append(j.demands, second)
	l.carryOut(j, course{})
	done := l.now
	for _, x := range j.demands {
		l.now = done
		l.callBack(x, j, content)
	}
}

// reopen raises a closed matter again, within the month in which that is possible.
func (l *life) reopen(a *asked, j *job, f fate) {
	l.now = l.later(l.now, 3*1440, 12*1440)
	by := a.voice()
	if by.Role == orgs.Clerk {
		l.now = l.office(l.now)
	}
	l.do(l.now, a.name, by, demand.Reopen{Reason: say("问题又出现了。")})
	if f == reopened {
		j = l.toGrid(a, demand.ReasonReopened)
		l.carryOut(j, course{})
	} else {
		l.now = l.soon(l.now, 5, 120, false)
		by := a.clerk()
		if j.grid == nil { // it was returned, and a clerk dispatches to grids only
			by = post(orgs.Dispatcher, a.place().street)
		}
		l.do(l.now, a.name, by, demand.FastTrack{Reason: demand.ReasonReopened, Route: demand.Route{Join: j.id}})
		l.again(j)
	}
	l.callBack(a, j, content)
}

// consult is a question: mostly answered at once.
func (l *life) consult(b birth) {
	a := l.raise(b.at, demand.Consult, l.grid, pick(l.Rand, consults), false)
	if l.chance(700) {
		l.answerAtOnce(a)
		l.callBack(a, nil, l.judge())
		return
	}
	l.accept(a, "D")
	j := l.toGrid(a, demand.ReasonConsult)
	l.carryOut(j, l.chances(j))
	l.callBack(a, j, l.judge())
}

// referred is a suggestion or a report: for a department of the county.
func (l *life) referred(b birth, w wording, why demand.Reason) {
	a := l.raise(b.at, b.kind, l.grid, w, b.kind == demand.Report && l.chance(400))
	l.accept(a, "D")
	j := l.toDepartment(a, why)
	l.carryOut(j, l.chances(j))
	l.callBack(a, j, l.judge())
}

// issue is a common matter that one resident raises and that can not wait for a deliberation, or need not.
func (l *life) issue(b birth) {
	words := pick(l.Rand, issues)
	if b.fate == keptAway {
		words = issues[slices.IndexFunc(issues, func(w wording) bool { return !w.neighbourly() })]
	}
	asks := slices.Contains([]fate{admitted, notBorne, takenBack, revokedSoon}, b.fate)
	if asks {
		words = unlisted
	}
	a := l.raise(b.at, demand.Issue, l.grid, words, false)
	pressing := b.fate == "" && l.chance(400)
	if pressing {
		l.accept(a, pick(l.Rand, []demand.Urgency{"A", "B", "B"}))
	} else {
		l.accept(a, pick(l.Rand, []demand.Urgency{"C", "D"}))
	}
	var j *job
	if b.fate == keptAway {
		l.tries(a, demand.ReasonStatutory)
	}
	switch {
	case asks && l.admission(a, b.fate):
		j = l.toGrid(a, demand.ReasonStatutory)
	case b.fate == byTeam:
		a.words.body = enforcement
		j = l.toStreet(a, demand.ReasonStatutory, true)
	case pressing:
		j = l.toStreet(a, demand.ReasonUrgent, false)
	default:
		j = l.toDepartment(a, demand.ReasonStatutory)
	}
	c := course{}
	switch b.fate {
	case "":
		c = l.chances(j)
	case thrice, thriceApproved:
		c.back = b.fate
	case failedThrice:
		c.fails = 3
	case suspendedLong:
		c.suspend = 45
	}
	l.carryOut(j, c)
	l.callBack(a, j, l.judge())
	if b.fate == reopenedByLeader {
		l.now = l.soon(l.now, 3000, 9000, false)
		l.do(l.now, j.name, leader(j.by), order.Reopen{Cause: "supervision", Reason: "督查发现问题反复"})
		l.again(j)
	}
}

// dispute is a quarrel: settled on the spot, or on the ladder of mediation.
func (l *life) dispute(b birth) {
	a := l.raise(b.at, demand.Dispute, l.grid, pick(l.Rand, disputes), false)
	if l.chance(250) {
		l.now = l.soon(l.now, 20, 300, false)
		l.do(l.now, a.name, a.clerk(), demand.AnswerOnTheSpot{Outcome: demand.Resolved, Matter: a.words.matter,
			Summary: sealed.Public(a.words.title), Answer: say(a.words.done), Agreement: l.digest()})
		l.callBack(a, nil, l.judge())
		return
	}
	l.accept(a, "D")
	rung := dispute.Community
	if l.chance(150) {
		rung = dispute.Street
	}
	l.now = l.soon(l.now, 5, 120, false)
	id := l.do(l.now, a.name, a.clerk(), demand.FastTrack{Reason: demand.ReasonDispute, Route: demand.Route{Dispute: int(rung)}})
	n := stream.Of(stream.Dispute, stream.CausedBy(stream.Dispute, id, 0))
	if l.chance(20) {
		l.now = l.office(l.later(l.now, 60, 2000))
		l.withdraw(a)
		return
	}
	if l.chance(30) {
		l.now = l.soon(l.now, 300, 3000, false)
		l.do(l.now, n, mediator(a, rung), dispute.DeclineMediation{Reason: dispute.Refused})
		l.now = l.soon(l.now, 60, 600, false)
		l.do(l.now, n, mediator(a, rung), dispute.ReferUp{})
		rung++
	}
	l.now = l.soon(l.now, 300, 3000, false)
	l.do(l.now, n, mediator(a, rung), dispute.AcceptMediation{Consent: true})
	l.now = l.office(l.later(l.now, 1440, 20*1440))
	switch roll := l.IntN(100); {
	case roll < 15:
		l.do(l.now, n, mediator(a, rung), dispute.FailMediation{Reason: "双方分歧较大"})
		l.now = l.soon(l.now, 60, 900, false)
		l.do(l.now, n, mediator(a, rung), dispute.ReferUp{})
		rung++
		l.now = l.soon(l.now, 300, 3000, false)
		l.do(l.now, n, mediator(a, rung), dispute.AcceptMediation{Consent: true})
		l.now = l.office(l.later(l.now, 1440, 20*1440))
	case roll < 20:
		l.do(l.now, n, mediator(a, rung), dispute.ReferOut{Target: pick(l.Rand, dispute.Targets()), Receipt: l.receipt()})
		l.callBack(a, nil, l.judge())
		return
	}
	by := calendar.DateOf(l.now) + 10
	l.do(l.now, n, mediator(a, rung), dispute.RecordAgreement{Agreement: l.digest(), FulfilOn: by, Summary: sealed.Public(a.words.done)})
	agreed := l.now
	l.now = l.office(l.later(l.now, 2*1440, 9*1440))
	if calendar.DateOf(l.now) <= by { // afterwards it counts as kept
		l.do(l.now, n, mediator(a, rung), dispute.RecordFulfilment{})
	}
	l.now = agreed
	l.callBack(a, nil, l.judge())
}

// mediator sits where a demand's mediation stands.
func mediator(a *asked, r dispute.Rung) rule.Actor { return mediatorAt(a.place().code, r) }
