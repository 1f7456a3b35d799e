package city

import (
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
)

// The fates in which the gate keeps something away.
const (
	keptAway    fate = "kept away from the grid by the negative list"
	certificate fate = "a certificate that a community does not issue"
)

// certificates are asked for at the community and issued elsewhere.
var certificates = []wording{
	{"开具亲属关系证明", "办手续要亲属关系证明，想请社区盖个章。", "130401", 0, "已告知到户籍窗口办理。"},
	{"开具身份信息证明", "身份证丢了，想请社区开一份身份证明。", "130405", 0, "已告知到户籍窗口补办。"},
}

// Lists returns the duty lists that the demo city publishes for its communities and streets from a date on. Which
// matter stands on which list is assumed, and every row says that it is made up.
func (c *City) Lists(from calendar.Date) duty.Publish {
	p := duty.Publish{Unit: root, From: from, Covers: []orgs.Kind{orgs.Community, orgs.Street}, Basis: madeUp + "示例清单"}
	put := func(k orgs.Kind, l duty.List, row sealed.Public, matters ...string) {
		for _, m := range matters {
			x := duty.Item{Target: k, List: l, Matter: m, Row: madeUp + row, Basis: basis}
			if l == duty.NoCertificate {
				x.Instead = "公安派出所户籍窗口（示例）"
			}
			p.Items = append(p.Items, x)
		}
	}
	put(orgs.Community, duty.StatutoryDuty, "便民服务、邻里事务", "16", "17")
	put(orgs.Community, duty.StatutoryAssist, "协助民政、市政、住房、村镇工作", "09", "0102", "0110", "0104")
	put(orgs.Community, duty.NoCertificate, "户籍、身份类证明", "130401", "130405")
	put(orgs.Community, duty.Negative, "安全生产、市政管理、征收拆迁补偿", "0101", "0701", "0102", "0106", "0107", "0304")
	put(orgs.Street, duty.StatutoryDuty, "便民服务、邻里事务、城乡建设、环境保护、民政、农村农业", "16", "17", "01", "04", "09", "10")
	return p
}

// tries wants a demand given to the grid, which the lists forbid.
func (l *life) tries(a *asked, why demand.Reason) {
	l.now = l.soon(l.now, 5, 120, a.pressing())
	c := demand.FastTrack{Reason: why, Route: demand.Route{Order: &demand.NewOrder{Lead: a.grid.code.Unit(), Task: sealed.Public(a.words.title)}}}
	if why == demand.ReasonStatutory {
		c.Citation = basis
	}
	l.add(Act{At: l.now, Stream: a.name, Actor: a.clerk(), Command: c, Refused: rule.GateBlocked})
}

// certify is the life of a demand for a certificate: the clerk learns from the gate where it is issued.
func (l *life) certify(b birth) {
	a := l.raise(b.at, demand.Errand, l.grid, pick(l.Rand, certificates), false)
	l.accept(a, "D")
	l.tries(a, demand.ReasonErrand)
	l.redirect(a)
}

// neighbourly reports whether a matter is one that the lists let a community lead.
func (w wording) neighbourly() bool { return w.matter[:2] == "16" || w.matter[:2] == "17" }
