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

// absence is a grid that its lead leaves (空岗) and another covers for (AB 岗), until the lead is back.
func (l *life) absence(at time.Time) {
	n, operator := stream.Keyed(stream.Grids, string(l.grid.community.code)), post(orgs.Operator, root)
	l.now = l.office(at)
	l.do(l.now, n, operator, orgs.RelieveGridWorker{Grid: l.grid.code, Worker: l.grid.lead})
	if l.now = l.office(l.later(l.now, 60, 3000)); l.chance(850) {
		cover := fmt.Sprintf("cover-%s", l.grid.code)
		l.do(l.now, n, operator, orgs.AppointActingWorker{Grid: l.grid.code, Worker: cover})
		l.now = l.office(l.later(l.now, 5*1440, 30*1440))
		l.do(l.now, n, operator, orgs.RelieveGridWorker{Grid: l.grid.code, Worker: cover})
	}
	l.now = l.soon(l.now, 1, 60, false)
	l.do(l.now, n, operator, orgs.AppointGridWorker{Grid: l.grid.code, Worker: l.grid.lead, Duty: orgs.DutyLead, FullTime: true})
}

// absences plans those of the year: one for each 250 demands, in as many grids.
func (y *year) absences(demands int) {
	r := rand.New(rand.NewPCG(y.seed, 0xa5))
	met := map[orgs.GridCode]bool{}
	for i := range demands / 250 {
		k := &y.city.counties[r.IntN(len(y.city.counties))]
		g := pick(r, k.grids)
		if met[g.code] {
			continue
		}
		met[g.code] = true
		l := &life{year: y, hours: hours{y.city.rules, r}, number: 2*demands + i, county: k, grid: g}
		l.absence(y.opens.AddDate(0, 0, 5+r.IntN(355)))
	}
}
