package city

import (
	"fmt"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// departments of every county, in the order of their serials; their number and choice are assumed.
var departments = []string{
	"住房和城乡建设局", "城市管理综合行政执法局", "市场监督管理局", "民政局", "人力资源和社会保障局", "卫生健康委员会",
	"司法局", "交通运输局", "生态环境分局", "应急管理局", "水务局", "农牧局",
}

// The departments by serial.
const (
	housing = iota + 1
	enforcement
	market
	civilAffairs
	labour
	health
	justice
	transport
	environment
	emergency
	water
	farming
)

// slowDepartment is the one that does clearly worse than the others.
const slowDepartment = housing

// agencyOf is an agency by its name and its department's serial.
type agencyOf struct {
	name       string
	department int
}

// agencies of every street, in the order of their serials, each with the serial of its department.
var agencies = []agencyOf{
	{"城管执法中队", enforcement}, {"市场监管所", market}, {"司法所", justice}, {"应急管理站", emergency},
}

// bureaus of the city; a few, for what leaves the counties.
var bureaus = []string{"市住房和城乡建设局", "市城市管理综合执法局", "市市场监督管理局", "市民政局"}

// utilities of every county.
var utilities = []string{"供热服务企业", "供排水服务企业"}

// Units returns the commands that open every unit, each after those it depends on.
func (c *City) Units() []orgs.OpenUnit {
	us := []orgs.OpenUnit{{Code: root, Name: c.figures.City.Name, Kind: orgs.City}}
	open := func(k orgs.Kind, host orgs.UnitCode, short, name string) {
		us = append(us, orgs.OpenUnit{Code: body(host, short), Name: name, Kind: k, Parent: host})
	}
	open(orgs.Hotline, root, "hotline", "市政务服务热线中心")
	open(orgs.Oversight, root, "oversight", "市督查考评中心")
	for i, name := range bureaus {
		open(orgs.Bureau, root, fmt.Sprintf("b%02d", i+1), name)
	}
	for _, k := range c.counties {
		us = append(us, orgs.OpenUnit{Code: k.code, Name: k.name, Kind: orgs.District, Parent: root})
		for i, name := range departments {
			open(orgs.Department, k.code, fmt.Sprintf("d%02d", i+1), k.name+name)
		}
		for i, name := range utilities {
			open(orgs.Utility, k.code, fmt.Sprintf("u%02d", i+1), k.name+name)
		}
		open(orgs.Hotline, k.code, "hotline", k.name+"热线服务中心")
		open(orgs.Oversight, k.code, "oversight", k.name+"督查考评中心")
		open(orgs.Centre, k.code, "centre", k.name+"社会治理综合服务中心")
	}
	for _, k := range c.counties {
		for _, s := range k.streets {
			us = append(us, orgs.OpenUnit{Code: s.code, Name: s.name, Kind: orgs.Street, Parent: k.code})
		}
	}
	for _, k := range c.counties {
		for _, s := range k.streets {
			for i, a := range agencies {
				us = append(us, orgs.OpenUnit{Code: agency(s.code, i+1), Name: s.name + a.name, Kind: orgs.Agency, Parent: s.code,
					Department: department(k.code, a.department)})
			}
			open(orgs.Oversight, s.code, "oversight", s.name+"督查办")
			open(orgs.Centre, s.code, "centre", s.name+"社会治理综合服务中心")
		}
		for _, m := range k.communities {
			us = append(us, orgs.OpenUnit{Code: m.code, Name: m.name, Kind: orgs.Community, Parent: m.street})
		}
	}
	for _, k := range c.counties {
		for _, s := range k.streets {
			team := orgs.OpenUnit{Code: body(s.code, "team"), Name: s.name + "综合行政执法队", Kind: orgs.JointTeam, Parent: s.code}
			for i := range agencies {
				team.Members = append(team.Members, agency(s.code, i+1))
			}
			us = append(us, team)
		}
	}
	return us
}

// Plan is what is decided about the grids of one community.
type Plan struct {
	Community orgs.UnitCode
	Commands  []orgs.GridsCommand
}

// Plans returns the commands that survey every community, draw its grids, give them their households and appoint who
// works them, with the party groups that serve them.
func (c *City) Plans() []Plan {
	var ps []Plan
	for _, k := range c.counties {
		for _, m := range k.communities {
			p := Plan{Community: m.code}
			if len(m.grids) > 0 {
				p.Commands = append(p.Commands, m.survey())
			}
			for i, g := range m.grids {
				p.Commands = append(p.Commands,
					orgs.DrawGrid{Grid: g.code, Name: g.name, Households: g.households, Buildings: buildings,
						Stairwells: buildings * stairwells, Urban: m.form == Committee},
					orgs.AssignHouseholds{Grid: g.code, Blocks: blocks(i)},
					orgs.AppointGridWorker{Grid: g.code, Worker: g.lead, Duty: orgs.DutyLead, FullTime: true})
				for _, a := range g.assistants {
					p.Commands = append(p.Commands, orgs.AppointGridWorker{Grid: g.code, Worker: a, Duty: orgs.DutyAssistant})
				}
				p.Commands = append(p.Commands, orgs.SetPartyGroups{Grid: g.code, Groups: g.groups})
			}
			if len(p.Commands) > 0 {
				ps = append(ps, p)
			}
		}
	}
	return ps
}

// survey counts the households of a community: those of each grid split evenly over its stairwells; assumed.
func (m *community) survey() orgs.SurveyBlocks {
	c := orgs.SurveyBlocks{Of: m.code}
	for i, g := range m.grids {
		households := spread(g.households, buildings*stairwells)
		for j, code := range blocks(i) {
			b := orgs.Building{Code: code}
			for k := range stairwells {
				b.Stairwells = append(b.Stairwells, orgs.Stairwell{Code: orgs.BlockCode(fmt.Sprintf("%s/%d", code, k+1)),
					Households: households[j*stairwells+k]})
			}
			c.Buildings = append(c.Buildings, b)
		}
	}
	return c
}

// blocks names the buildings of a community's grid of that index.
func blocks(grid int) []orgs.BlockCode {
	bs := make([]orgs.BlockCode, buildings)
	for i := range bs {
		bs[i] = orgs.BlockCode(fmt.Sprintf("b%03d", grid*buildings+i+1))
	}
	return bs
}

// body names a unit that is no place: its host's code, a hyphen, a short name.
func body(host orgs.UnitCode, short string) orgs.UnitCode { return host + "-" + orgs.UnitCode(short) }

func department(county orgs.UnitCode, serial int) orgs.UnitCode {
	return body(county, fmt.Sprintf("d%02d", serial))
}

func agency(street orgs.UnitCode, serial int) orgs.UnitCode {
	return body(street, fmt.Sprintf("a%02d", serial))
}

func districtOf(u orgs.UnitCode) orgs.UnitCode { return u[:6] }
func streetOf(u orgs.UnitCode) orgs.UnitCode   { return u[:9] }

// post is a person who holds a role at a unit: one account for each, opaque.
func post(r orgs.Role, u orgs.UnitCode) rule.Actor {
	return rule.Actor{ID: string(r) + "-" + string(u), Role: r, Unit: u}
}

// colleague is a second person in the same role.
func colleague(r orgs.Role, u orgs.UnitCode) rule.Actor {
	a := post(r, u)
	a.ID += "-2"
	return a
}

func (g *grid) worker() rule.Actor {
	return rule.Actor{ID: g.lead, Role: orgs.GridWorker, Unit: g.code.Unit()}
}

// leader is who leads a dispatching unit and decides on extensions and suspensions.
func leader(by orgs.UnitCode) rule.Actor {
	switch len(by) {
	case 12:
		return post(orgs.CommunitySecretary, by)
	case 9:
		return post(orgs.StreetLeader, by)
	}
	return post(orgs.UnitHead, by)
}
