package city

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/whistle"
)

// The fates of issues that a community leads only if the lists are opened for it.
const (
	admitted    fate = "admitted to the community, with funding"
	notBorne    fate = "refused admission to the community"
	takenBack   fate = "asked for admission and taken back"
	revokedSoon fate = "admitted, and revoked because nothing was paid"
)

// unlisted stands on none of the lists of [City.Lists]: a community leads it with a live grant alone.
var unlisted = wording{"餐饮油烟和噪声扰民", "楼下烧烤店夜里排烟、音响声音大，希望有人在楼里协调。", "040203", environment, "已约定营业时段并加装净化设备。"}

// admission has the gate stop a demand, and the competent department ask for the community to bear the matter. It reports whether
// the gate is open for the demand at its end.
func (l *life) admission(a *asked, f fate) bool {
	l.tries(a, demand.ReasonStatutory)
	office, asking := a.place().county, department(a.place().county, environment)
	head, officer := post(orgs.UnitHead, asking), post(orgs.AdmissionOfficer, office)
	n := stream.Of(stream.Admission, stream.For(stream.Admission, head.ID, l.digest()))
	l.now = l.office(l.later(l.now, 20, 120))
	on := calendar.DateOf(l.now)
	l.do(l.now, n, head, admission.Request{Matter: unlisted.matter, Role: duty.Lead, Units: []orgs.UnitCode{a.place().code}, From: on, Until: on + 90,
		Task: madeUp + "夜间油烟噪声楼内协调", Basis: basis, Staff: 1, Budget: 2_000_000, Emergency: madeUp + "夏季集中投诉"})
	if f == takenBack {
		l.now = l.soon(l.now, 60, 300, false)
		l.do(l.now, n, head, admission.Withdraw{})
		return false
	}
	l.now = l.soon(l.now, 10, 60, false)
	l.do(l.now, n, officer, admission.OpenReview{})
	l.now = l.soon(l.now, 10, 60, false)
	l.do(l.now, n, post(orgs.CommunitySecretary, a.place().code), admission.RecordOpinion{Supports: f == admitted, Reason: madeUp + "社区现有人手有限"})
	l.now = l.soon(l.now, 30, 120, false)
	if f == notBorne {
		l.do(l.now, n, officer, admission.Refuse{Reason: madeUp + "应由主管部门直接办理"})
		return false
	}
	l.both(l.now, n, officer, colleague(orgs.AdmissionOfficer, office), admission.Grant{Funding: madeUp + "经费文号示例"})
	l.now = l.soon(l.now, 30, 120, false)
	if f == revokedSoon {
		l.tries(a, demand.ReasonStatutory) // a grant that nobody pays for opens nothing
		l.now = l.soon(l.now, 30, 120, false)
		l.do(l.now, n, officer, admission.Revoke{Reason: madeUp + "经费未到位"})
		return false
	}
	l.do(l.now, n, officer, admission.RecordFunding{Reference: madeUp + "到账凭据示例"})
	return true
}

// aside lets something happen beside a life, by chances of its own: the life goes on as if it had not.
func (l *life) aside(f func()) {
	now, hs := l.now, l.hours
	l.hours = hours{hs.Rules, rand.New(rand.NewPCG(l.seed, uint64(l.number)))}
	f()
	l.now, l.hours = now, hs
}

// calls reports whether the street blows its whistle for an order: for one of three that no grid can do alone.
func (l *life) calls(j *job) bool { return j.grid == nil && j.kind != demand.Report && l.number%3 == 0 }

// whistle calls units to an order (吹哨报到): most come in time, some late, some not at all.
func (l *life) whistle(j *job) {
	street := j.place.street
	desk, head := post(orgs.Dispatcher, street), post(orgs.StreetLeader, street)
	n := stream.Of(stream.Whistle, stream.For(stream.Whistle, desk.ID, l.digest()))
	units := []orgs.UnitCode{agency(street, 1+l.IntN(2)), agency(street, 3+l.IntN(2)), department(j.place.county, housing)}
	class, limit := whistle.Urgent, 30 // minutes, as the policy has them
	if !j.pressing() {
		class, limit = whistle.Normal, 24*60
	}
	blown := l.later(l.now, 1, 5)
	l.do(blown, n, desk, whistle.Blow{Units: units, Class: class, Place: j.place.code, Spot: madeUp + "小区北门", Task: sealed.Public(j.words.title), Order: j.id})
	if l.chance(80) {
		l.do(l.later(blown, 1, 3), n, head, whistle.Cancel{Reason: madeUp + "现场已自行恢复"})
		return
	}
	var there, rated []orgs.UnitCode
	for _, u := range units {
		switch roll := l.IntN(100); {
		case roll < 75:
			l.do(l.later(blown, 5, limit-2), n, desk, whistle.ReportIn{Unit: u})
			there = append(there, u)
		case roll < 88:
			l.do(l.later(blown, limit+10, 2*limit), n, desk, whistle.ReportIn{Unit: u})
			there = append(there, u)
		}
		rated = append(rated, u)
	}
	over := l.later(blown, 2*limit+10, 3*limit)
	if missing := slices.DeleteFunc(slices.Clone(units), func(u orgs.UnitCode) bool { return slices.Contains(there, u) }); len(missing) > 0 && l.chance(250) {
		l.do(over, n, post(orgs.Arbiter, j.place.county), whistle.ExcuseUnit{Unit: missing[0], Reason: madeUp + "同时在另一处抢险"})
		rated = slices.DeleteFunc(rated, func(u orgs.UnitCode) bool { return u == missing[0] })
	}
	for i, u := range there {
		c := whistle.ReleaseUnit{Unit: u}
		if i == 1 && l.chance(150) {
			c.Left, c.Reason = true, madeUp+"提前离开"
		}
		over = l.later(over, 1, 10)
		l.do(over, n, desk, c)
	}
	over = l.later(over, 1, 10)
	l.do(over, n, desk, whistle.Conclude{Outcome: madeUp + "现场处置完毕"})
	if len(rated) == 0 || l.chance(150) {
		return // the clock gives the cards, from facts alone
	}
	score := whistle.Score{}
	for _, u := range rated {
		m := whistle.Mark{Unit: u, Comment: madeUp + "配合处置"}
		if slices.Contains(there, u) {
			m.Outcome = 15 + l.IntN(16)
		}
		score.Marks = append(score.Marks, m)
	}
	l.do(l.soon(over, 60, 1500, false), n, head, score)
}

// change is what is decided about a grid at a moment.
type change struct {
	at      time.Time
	command orgs.GridsCommand
}

// absence is a grid that its lead leaves (空岗) and another covers for (AB 岗), until the lead is back.
func (g *grid) absence(hs hours, at time.Time) (cs []change) {
	then := func(c orgs.GridsCommand) { cs = append(cs, change{at, c}) }
	at = hs.office(at)
	then(orgs.RelieveGridWorker{Grid: g.code, Worker: g.lead})
	if at = hs.office(hs.later(at, 60, 3000)); hs.chance(850) {
		cover := fmt.Sprintf("cover-%s", g.code)
		then(orgs.AppointActingWorker{Grid: g.code, Worker: cover})
		at = hs.office(hs.later(at, 5*1440, 30*1440))
		then(orgs.RelieveGridWorker{Grid: g.code, Worker: cover})
	}
	at = hs.soon(at, 1, 60, false)
	then(orgs.AppointGridWorker{Grid: g.code, Worker: g.lead, Duty: orgs.DutyLead, FullTime: true})
	return cs
}

// absences plans those of the year: one for each 250 demands, in as many grids.
func (y *year) absences(demands int) {
	hs := hours{y.city.rules, rand.New(rand.NewPCG(y.seed, 0xa5))}
	met := map[orgs.GridCode]bool{}
	for i := range demands / 250 {
		k := &y.city.counties[hs.IntN(len(y.city.counties))]
		g := pick(hs.Rand, k.grids)
		if met[g.code] {
			continue
		}
		met[g.code] = true
		l := &life{year: y, number: 2*demands + i}
		for _, c := range g.absence(hs, y.opens.AddDate(0, 0, 5+hs.IntN(355))) {
			l.do(c.at, stream.Keyed(stream.Grids, string(g.community.code)), post(orgs.Operator, root), c.command)
		}
	}
}

// occasions plans what is not raised by a resident on a day of a life: a whistle, a request for admission, a lead who leaves a grid.
func (w *world) occasions(day time.Time) {
	hs := hours{w.rules, rand.New(rand.NewPCG(w.span.Seed, uint64(day.Unix())))}
	k := &w.counties[hs.IntN(len(w.counties))]
	g, at := pick(hs.Rand, k.grids), hs.office(hs.later(day, 9*60, 15*60))
	watch := func(c stream.Category, by rule.Actor, command any) {
		n := stream.Of(c, stream.For(c, by.ID, fmt.Sprint(Label, w.span.Seed, day.Unix())))
		w.seen[n] = &watched{plan: w.push(item{at: at, name: n, act: &Act{At: at, Stream: n, Key: "life/0", Actor: by, Command: command}})}
	}
	if hs.chance(200) {
		units := []orgs.UnitCode{agency(g.community.street, 1+hs.IntN(2)), agency(g.community.street, 3+hs.IntN(2)), department(k.code, 1+hs.IntN(len(departments)))}
		watch(stream.Whistle, post(orgs.Dispatcher, g.community.street), whistle.Blow{Units: units, Class: pick(hs.Rand, whistle.Classes()), Place: g.community.code,
			Task: madeUp + "联合处置示例"})
	}
	if hs.chance(60) {
		on := calendar.DateOf(at)
		watch(stream.Admission, post(orgs.UnitHead, department(k.code, environment)), admission.Request{Matter: unlisted.matter, Role: duty.Lead,
			Units: []orgs.UnitCode{g.community.code}, From: on, Until: on + 30, Task: madeUp + "夜间油烟噪声楼内协调", Basis: basis, Staff: 1, Emergency: madeUp + "夏季集中投诉"})
	}
	if hs.chance(60) {
		n := stream.Keyed(stream.Grids, string(g.community.code))
		for i, c := range g.absence(hs, at) {
			w.push(item{at: c.at, name: n, act: &Act{At: c.at, Stream: n, Key: fmt.Sprintf("life/%d/%s/%d", day.Unix(), g.code, i), Actor: post(orgs.Operator, root), Command: c.command}})
		}
	}
}

func (d *desk) whistlePlan(s whistle.State) *Act {
	street, head := post(orgs.Dispatcher, s.Street), post(orgs.StreetLeader, s.Street)
	if s.Phase == whistle.PhaseConcluded {
		score := whistle.Score{}
		for _, u := range s.Units {
			if u.Standing().Counts() {
				score.Marks = append(score.Marks, whistle.Mark{Unit: u.Code, Outcome: d.hours.IntN(31), Comment: madeUp + "配合处置"})
			}
		}
		if len(score.Marks) == 0 || d.roll(150) {
			return nil // the clock gives the cards
		}
		return d.by(d.at(60, 1500, false), head, score)
	}
	if s.Phase.Terminal() {
		return nil
	}
	var present []orgs.UnitCode
	for _, u := range s.Units {
		switch {
		case u.Present():
			present = append(present, u.Code)
		case !u.ReportedAt.IsZero() || u.Excused:
		case !u.Absent && d.roll(850):
			return d.by(d.hours.before(d.now, u.Due.Due, 0.1, 0.9, true), street, whistle.ReportIn{Unit: u.Code})
		case !u.Absent && s.Phase == whistle.PhaseOpen && d.roll(100):
			return d.by(d.hours.later(d.now, 1, 5), head, whistle.Cancel{Reason: madeUp + "现场已自行恢复"})
		case !u.Absent:
			return nil // until the clock says that it did not come
		case d.roll(200):
			return d.by(d.hours.later(d.now, 10, 60), street, whistle.ReportIn{Unit: u.Code})
		}
	}
	if len(present) > 0 {
		return d.by(d.hours.later(d.now, 20, 90), street, whistle.ReleaseUnit{Unit: present[0]})
	}
	return d.by(d.hours.later(d.now, 1, 30), street, whistle.Conclude{Outcome: madeUp + "现场处置完毕"})
}

func (d *desk) admissionPlan(s admission.State) *Act {
	officer, second := post(orgs.AdmissionOfficer, s.Office), colleague(orgs.AdmissionOfficer, s.Office)
	switch s.Phase {
	case admission.PhaseRequested:
		if d.roll(100) {
			return d.by(d.at(60, 1000, false), post(orgs.UnitHead, s.By), admission.Withdraw{})
		}
		return d.by(d.at(30, 2000, false), officer, admission.OpenReview{})
	case admission.PhaseReviewing:
		switch {
		case len(s.Opinions) == 0:
			return d.by(d.at(60, 3000, false), post(orgs.CommunitySecretary, s.Asked[0]), admission.RecordOpinion{Supports: d.roll(600), Reason: madeUp + "社区现有人手有限"})
		case !s.Opinions[0].Supports:
			return d.by(d.at(60, 3000, false), officer, admission.Refuse{Reason: madeUp + "社区不具备条件"})
		case d.roll(50) && expired(s) == 0:
			return nil // nobody decides; silence never grants
		}
		return d.with(d.at(60, 3000, false), officer, second, admission.Grant{Funding: madeUp + "经费文号示例"})
	case admission.PhaseGranted:
		switch {
		case s.FundedAt.IsZero() && d.roll(800):
			return d.by(d.at(60, 3000, false), officer, admission.RecordFunding{Reference: madeUp + "到账凭据示例"})
		case s.FundedAt.IsZero():
			return d.by(d.at(3000, 9000, false), officer, admission.Revoke{Reason: madeUp + "经费未到位"})
		}
	}
	return nil
}
