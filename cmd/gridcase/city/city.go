// Package city makes the demo city: a synthetic 呼和浩特市 with its units and grids, and a year in which
// residents raise demands and people handle them.
//
// Divisions are those of the statistical codes; the numbers of grids and demands are what the city published in
// 2023, or assumptions marked as such ([Figure]). Every person, demand and word is made up: names are 居民 with
// cyclic signs, phone numbers begin with 000, and each demand bears the label [Label] in its reference number.
//
// A year is a script, not a dice game with the engine: [City.Script] writes down beforehand what every person
// does and when, for all ids derive from keys and every consequence from the rules. The same seed gives the same script,
// and, played by [City.Seed], the same streams, event ids, types and times. What keys make random differs: salts,
// ciphertexts, digests, the ids of reserved case numbers, and the instants at which the draw of a month is published.
package city

import (
	"fmt"
	"slices"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
)

// Label marks whatever the demo made up.
const Label = "synthetic"

// Size is how much of the city is simulated.
type Size string

// The sizes. Units above the simulated part exist in each of them.
const (
	Street   Size = "street"   // 环河街街道
	District Size = "district" // 赛罕区
	Whole    Size = "city"
)

// Sizes lists all sizes, the smallest first.
func Sizes() []Size { return []Size{Street, District, Whole} }

const (
	root       = orgs.UnitCode("150100")
	oneStreet  = orgs.UnitCode("150103005")
	oneCounty  = orgs.UnitCode("150105")
	buildings  = 5 // of a grid; assumed
	stairwells = 4 // of a building; assumed
)

// City is a simulated city. It never changes, so it may be shared.
type City struct {
	size     Size
	figures  Figures
	counties []county
	rules    calendar.Rules
}

// county is a county as far as it is simulated.
type county struct {
	code        orgs.UnitCode
	name        string
	figures     CountyFigures
	streets     []street
	communities []*community
	grids       []*grid
}

type street struct {
	code orgs.UnitCode
	name string
}

type community struct {
	code, street, county orgs.UnitCode
	name                 string
	form                 Form
	grids                []*grid
}

type grid struct {
	code       orgs.GridCode
	community  *community
	name       string
	households int
	lead       string   // opaque id of its lead worker
	assistants []string // opaque ids
	groups     []string // codes of the party groups that serve it
}

// New lays out a city of the size. It panics for a size that does not exist.
func New(size Size) *City {
	if !slices.Contains(Sizes(), size) {
		panic(fmt.Sprintf("city: there is no size %q", size))
	}
	c := &City{size: size, figures: Published(), rules: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}}
	for _, d := range Divisions() {
		if part := layOut(d, c.figures, size); len(part.grids) > 0 {
			c.counties = append(c.counties, part)
		}
	}
	return c
}

// Rules returns the calendar and the policy of deadlines that the script counts on. An engine that plays
// the script needs the same.
func (c *City) Rules() calendar.Rules { return c.rules }

// layOut draws the grids of a county and keeps the part that belongs to the size.
func layOut(d Division, f Figures, size Size) county {
	k := county{code: d.Code, name: d.Name, figures: f.Counties[d.Code]}
	counted := k.figures.Over == "all"
	var over, rest []*community
	for _, s := range d.Streets {
		if size == Whole || size == District && d.Code == oneCounty || size == Street && s.Code == oneStreet {
			k.streets = append(k.streets, street{s.Code, s.Name})
		}
		for _, x := range s.Communities {
			m := &community{code: x.Code, street: s.Code, county: d.Code, name: x.Name, form: x.Form}
			if counted || x.Form == Village {
				over = append(over, m)
			} else {
				rest = append(rest, m)
			}
			k.communities = append(k.communities, m)
		}
	}
	draw := func(m *community, n int) {
		for range n {
			households := f.City.Households.Rural.Value
			if m.form == Committee {
				households = f.City.Households.Urban.Value
			}
			serial := len(m.grids) + 1
			m.grids = append(m.grids, &grid{code: orgs.GridCode(fmt.Sprintf("%s%03d", m.code, serial)), community: m,
				name: fmt.Sprintf("%s第%d网格", m.name, serial), households: households})
		}
	}
	for i, n := range spread(k.figures.Grids.Value, len(over)) {
		draw(over[i], n)
	}
	for i, n := range spread(k.figures.Extra.Value, len(rest)) {
		draw(rest[i], n)
	}
	for _, m := range k.communities {
		k.grids = append(k.grids, m.grids...)
	}
	k.staff()
	simulated := func(s orgs.UnitCode) bool {
		return slices.ContainsFunc(k.streets, func(t street) bool { return t.code == s })
	}
	k.communities = slices.DeleteFunc(k.communities, func(m *community) bool { return !simulated(m.street) })
	k.grids = slices.DeleteFunc(k.grids, func(g *grid) bool { return !simulated(g.community.street) })
	return k
}

// spread divides n as evenly as it goes: the first get one more.
func spread(n, over int) []int {
	parts := make([]int, over)
	for i := range parts {
		parts[i] = n / over
		if i < n%over {
			parts[i]++
		}
	}
	return parts
}

// staff gives every grid its lead: one of its own, or in turn one of the county's few. Where more workers are
// published than leads, they assist, in turn. Every grid has a party group of its own; where fewer are published, the last grids have none.
func (k *county) staff() {
	leads := k.figures.Leads.Value
	for i, g := range k.grids {
		g.lead = fmt.Sprintf("worker-%s", g.code)
		if groups := k.figures.Groups.Value; groups == 0 || i < groups {
			g.groups = []string{fmt.Sprintf("group-%s", g.code)}
		}
		if leads < len(k.grids) {
			g.lead = fmt.Sprintf("worker-%s-%03d", k.code, i%leads+1)
		}
	}
	for i := range k.figures.Workers.Value - leads {
		g := k.grids[i%len(k.grids)]
		g.assistants = append(g.assistants, fmt.Sprintf("assistant-%s-%03d", k.code, i+1))
	}
}
