package duty

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// The town of these tests: a community with a grid in a street in a district, and neighbours of each.
const (
	city         orgs.UnitCode = "150100"
	district     orgs.UnitCode = "150105"
	nextDistrict orgs.UnitCode = "150102"
	department   orgs.UnitCode = "150105-d01"
	street       orgs.UnitCode = "150105003"
	agency       orgs.UnitCode = "150105003-a01"
	home         orgs.UnitCode = "150105003001"
	neighbour    orgs.UnitCode = "150105003002"
	far          orgs.UnitCode = "150102001001"
	farStreet    orgs.UnitCode = "150102001"
	grid         orgs.UnitCode = "150105003001001"
)

func town() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: city, Kind: orgs.City},
		orgs.UnitOpened{Code: district, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: nextDistrict, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: department, Kind: orgs.Department, Parent: district},
		orgs.UnitOpened{Code: street, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: farStreet, Kind: orgs.Street, Parent: nextDistrict},
		orgs.UnitOpened{Code: agency, Kind: orgs.Agency, Parent: street, Department: department},
		orgs.UnitOpened{Code: home, Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: neighbour, Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: far, Kind: orgs.Community, Parent: farStreet},
		orgs.GridDrawn{Grid: orgs.GridCode(grid)},
	)
}

func date(s string) calendar.Date {
	d, err := calendar.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

var spring = date("2026-03-02")

// Matters, each on the list that its name says, or on two.
const (
	ours         = "160101" // statutory_duty
	helped       = "090101" // statutory_assist
	notOurs      = "120101" // not_borne
	certificate  = "130401" // no_certificate
	forbidden    = "010101" // negative
	helpedThough = "010201" // negative and statutory_assist
	nowhere      = "150101" // on none
)

func row(k orgs.Kind, l List, matter string) Item {
	x := Item{Target: k, List: l, Matter: matter, Row: sealed.Public("条目 " + matter), Basis: "依据"}
	if l == NoCertificate {
		x.Instead = "派出所"
	}
	return x
}

// lists is what the district has published.
func lists(change ...func(*Published)) Published {
	p := Published{Unit: district, Version: 1, From: spring, Covers: []orgs.Kind{orgs.Community, orgs.Street}, Unlisted: BlockUnlisted, NegativeGrant: GrantAssists,
		Items: []Item{
			row(orgs.Community, StatutoryDuty, "16"), row(orgs.Community, StatutoryAssist, "0901"), row(orgs.Community, StatutoryAssist, "0102"),
			row(orgs.Community, NotBorne, notOurs), row(orgs.Community, NoCertificate, certificate), row(orgs.Community, Negative, "01"),
			row(orgs.Street, StatutoryDuty, "16"), row(orgs.Street, StatutoryDuty, "09"), row(orgs.Street, Negative, "0101"),
		}}
	for _, f := range change {
		f(&p)
	}
	return p
}

// granted is a live grant for a matter.
func granted(matter string, r Role, units ...orgs.UnitCode) Grant {
	return Grant{Admission: stream.Derive("grant", matter, string(r)), Matter: matter, Role: r, Units: units, From: spring, Until: spring + 10, Funded: spring}
}

func gate(ps []Published, gs ...Grant) Gate {
	var r Register
	r.Publish(ps...)
	r.Admit(gs...)
	return r.Gate(town())
}

// TestTheFirstListThatHasTheMatterDecides is the table of the rule book, cell by cell: without and with a live grant in the role.
func TestTheFirstListThatHasTheMatterDecides(t *testing.T) {
	const pass, block, opens = "pass", "block", "only with a live grant"
	for _, tt := range []struct {
		unit         orgs.UnitCode
		matter       string
		list         List
		lead, assist string
	}{
		{home, certificate, NoCertificate, block, block},
		{home, forbidden, Negative, block, opens},
		{home, helpedThough, Negative, block, pass},
		{home, notOurs, NotBorne, opens, opens},
		{home, ours, StatutoryDuty, pass, pass},
		{home, helped, StatutoryAssist, block, pass},
		{home, nowhere, OnNone, opens, opens},
		{grid, certificate, NoCertificate, block, block},
		{grid, ours, StatutoryDuty, pass, pass},
		{grid, nowhere, OnNone, opens, opens},
		{street, ours, StatutoryDuty, pass, pass},
		{street, forbidden, Negative, block, opens},
		{street, helpedThough, OnNone, opens, opens}, // the community's lists are not the street's
		{street, certificate, OnNone, opens, opens},
		{street, helped, StatutoryDuty, pass, pass},
		{department, forbidden, "", pass, pass},
		{agency, forbidden, "", pass, pass},
		{district, forbidden, "", pass, pass},
	} {
		for role, want := range map[Role]string{Lead: tt.lead, Assist: tt.assist} {
			bare := gate([]Published{lists()}).Judge(tt.unit, tt.matter, role, spring)
			opened := gate([]Published{lists()}, granted(tt.matter, role, district)).Judge(tt.unit, tt.matter, role, spring)
			got := block
			switch {
			case bare.Passes:
				got = pass
			case opened.Passes:
				got = opens
			}
			if got != want || bare.List != tt.list || opened.List != tt.list {
				t.Errorf("%s as %s of %s: got %s by %q, want %s by %q", tt.matter, role, tt.unit, got, bare.List, want, tt.list)
			}
			if opens := want == opens; opens == opened.Grant.IsZero() {
				t.Errorf("%s as %s of %s: the grant named is %s", tt.matter, role, tt.unit, opened.Grant)
			}
		}
	}
}

// TestThePolicyValues covers gate.unlisted and gate.negative_grant.
func TestThePolicyValues(t *testing.T) {
	set := func(u Unlisted, n NegativeGrant) []Published {
		return []Published{lists(func(p *Published) { p.Unlisted, p.NegativeGrant = u, n })}
	}
	for _, tt := range []struct {
		lists  []Published
		matter string
		role   Role
		grant  bool
		passes bool
	}{
		{set(BlockUnlisted, GrantAssists), nowhere, Lead, false, false},
		{set(PassUnlisted, GrantAssists), nowhere, Lead, false, true},
		{set(PassUnlisted, GrantAssists), notOurs, Lead, false, false},
		{set(BlockUnlisted, GrantAssists), forbidden, Lead, true, false},
		{set(BlockUnlisted, GrantAssists), forbidden, Assist, true, true},
		{set(BlockUnlisted, GrantNothing), forbidden, Assist, true, false},
		{set(BlockUnlisted, GrantNothing), helpedThough, Assist, false, true},
		{set(BlockUnlisted, GrantAny), forbidden, Lead, true, true},
		{set(BlockUnlisted, GrantAny), forbidden, Lead, false, false},
		{set(BlockUnlisted, GrantAny), certificate, Lead, true, false},
	} {
		var gs []Grant
		if tt.grant {
			gs = append(gs, granted(tt.matter, tt.role, home))
		}
		if v := gate(tt.lists, gs...).Judge(home, tt.matter, tt.role, spring); v.Passes != tt.passes {
			t.Errorf("unlisted %s, negative_grant %s, matter %s as %s, grant %v: got %v, want %v", tt.lists[0].Unlisted, tt.lists[0].NegativeGrant,
				tt.matter, tt.role, tt.grant, v.Passes, tt.passes)
		}
	}
}

func TestAGrantOpensOnlyItsScopeRoleAndTerm(t *testing.T) {
	g := granted(notOurs, Lead, home)
	late := g
	late.Funded = g.From + 3
	revoked := g
	revoked.Ended = g.From + 5
	unfunded := g
	unfunded.Funded = 0
	for _, tt := range []struct {
		name   string
		grant  Grant
		unit   orgs.UnitCode
		matter string
		role   Role
		on     calendar.Date
		passes bool
	}{
		{"the day before its first", g, home, notOurs, Lead, g.From - 1, true}, // before the lists are in force
		{"on its first day", g, home, notOurs, Lead, g.From, true},
		{"on its last day", g, home, notOurs, Lead, g.Until, true},
		{"the day after its last", g, home, notOurs, Lead, g.Until + 1, false},
		{"a grid of the community", g, grid, notOurs, Lead, g.From, true},
		{"the neighbour", g, neighbour, notOurs, Lead, g.From, false},
		{"its street", g, street, notOurs, Lead, g.From, false},
		{"another role", g, home, notOurs, Assist, g.From, false},
		{"another matter", g, home, nowhere, Lead, g.From, false},
		{"a whole street", granted(notOurs, Lead, street), neighbour, notOurs, Lead, g.From, true},
		{"a whole district", granted(notOurs, Lead, district), neighbour, notOurs, Lead, g.From, true},
		{"the street itself", granted(notOurs, Lead, street), street, notOurs, Lead, g.From, true},
		{"before it was funded", late, home, notOurs, Lead, late.Funded - 1, false},
		{"on the day it was funded", late, home, notOurs, Lead, late.Funded, true},
		{"never funded", unfunded, home, notOurs, Lead, g.From, false},
		{"the day before its revocation", revoked, home, notOurs, Lead, revoked.Ended - 1, true},
		{"on the day of its revocation", revoked, home, notOurs, Lead, revoked.Ended, false},
	} {
		if v := gate([]Published{lists()}, tt.grant).Judge(tt.unit, tt.matter, tt.role, tt.on); v.Passes != tt.passes {
			t.Errorf("%s: got %v, want %v", tt.name, v.Passes, tt.passes)
		}
	}
	later := g
	later.From, later.Until = spring+5, spring+6
	if gate([]Published{lists()}, later).Judge(home, notOurs, Lead, spring+4).Passes {
		t.Error("a grant opened the day before its first")
	}
}

func TestEveryPublisherAboveThatCoversTheKindProtects(t *testing.T) {
	whole := lists(func(p *Published) { p.Unit, p.Items = city, []Item{row(orgs.Community, StatutoryDuty, notOurs)} })
	forbids := lists(func(p *Published) { p.Unit, p.Version = city, 4 })
	lenient := lists(func(p *Published) { p.Items = []Item{row(orgs.Community, StatutoryDuty, notOurs)} })
	onlyCommunities := lists(func(p *Published) { p.Covers, p.Items = []orgs.Kind{orgs.Community}, nil })
	for _, tt := range []struct {
		name      string
		lists     []Published
		unit      orgs.UnitCode
		on        calendar.Date
		publisher orgs.UnitCode
		passes    bool // as lead, of notOurs
	}{
		{"nobody has published", nil, home, spring, "", true},
		{"the city alone", []Published{whole}, home, spring, city, true},
		{"the district adds to the city's lists", []Published{whole, lists()}, home, spring, district, false},
		{"and takes nothing from them", []Published{forbids, lenient}, home, spring, city, false},
		{"where both forbid it the nearest speaks", []Published{forbids, lists()}, home, spring, district, false},
		{"another district keeps the city's", []Published{whole, lists()}, far, spring, city, true},
		{"the day before they come into force", []Published{lists()}, home, spring - 1, "", true},
		{"an empty list blocks everything", []Published{onlyCommunities}, home, spring, district, false},
		{"what covers communities alone leaves streets open", []Published{onlyCommunities}, street, spring, "", true},
		{"and streets to the city's", []Published{whole, onlyCommunities}, street, spring, city, false},
	} {
		v := gate(tt.lists).Judge(tt.unit, notOurs, Lead, tt.on)
		if v.Publisher != tt.publisher || v.Passes != tt.passes {
			t.Errorf("%s: got %v by %q, want %v by %q", tt.name, v.Passes, v.Publisher, tt.passes, tt.publisher)
		}
	}
}

// What two officers of a district can publish never lets through what the city's lists stop: neither the certificate that a community
// does not issue, nor anything else, with whatever was granted.
func TestADistrictAddsToTheCitysListsAndTakesNothingFromThem(t *testing.T) {
	codes := []string{"01", "0101", "010101", "0102", "0901", "12", "120101", "1304", "130401", "16"}
	matters := []string{ours, helped, notOurs, certificate, forbidden, helpedThough, nowhere}
	units := town()
	drawn := func(t *rapid.T, by orgs.UnitCode) Published {
		p := Published{Unit: by, Version: 1, From: spring + calendar.Date(rapid.IntRange(0, 1).Draw(t, "from")),
			Covers:        rapid.SampledFrom([][]orgs.Kind{{orgs.Community}, {orgs.Street}, {orgs.Community, orgs.Street}}).Draw(t, "covers"),
			Unlisted:      rapid.SampledFrom([]Unlisted{BlockUnlisted, PassUnlisted}).Draw(t, "unlisted"),
			NegativeGrant: rapid.SampledFrom([]NegativeGrant{GrantAssists, GrantNothing, GrantAny}).Draw(t, "negative grant")}
		for range rapid.IntRange(0, 8).Draw(t, "rows") {
			k := rapid.SampledFrom(p.Covers).Draw(t, "kind")
			p.Items = append(p.Items, row(k, rapid.SampledFrom(listsOf(k)).Draw(t, "list"), rapid.SampledFrom(codes).Draw(t, "code")))
		}
		return p
	}
	stopped, byCity, byDistrict := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		citys, districts := drawn(t, city), drawn(t, district)
		var gs []Grant
		for i := range rapid.IntRange(0, 6).Draw(t, "grants") {
			g := granted(rapid.SampledFrom(matters).Draw(t, "matter"), rapid.SampledFrom([]Role{Lead, Assist}).Draw(t, "role"), rapid.SampledFrom([]orgs.UnitCode{home, street}).Draw(t, "scope"))
			g.Admission = stream.Derive("g", fmt.Sprint(i))
			gs = append(gs, g)
		}
		alone, other, both := gate([]Published{citys}, gs...), gate([]Published{districts}, gs...), gate([]Published{citys, districts}, gs...)
		for _, unit := range []orgs.UnitCode{home, grid, street, far} {
			for _, matter := range matters {
				for _, role := range []Role{Lead, Assist} {
					for on := spring; on <= spring+1; on++ {
						a, o, b := alone.Judge(unit, matter, role, on), other.Judge(unit, matter, role, on), both.Judge(unit, matter, role, on)
						if b.Passes != (a.Passes && o.Passes) {
							t.Fatalf("%s as %s of %s on %s: the city's says %+v, the district's %+v, both %+v", matter, role, unit, on, a, o, b)
						}
						if u, _ := units.Unit(unit); !b.Passes {
							stopped++
							if from := map[orgs.UnitCode]Verdict{city: a, district: o}[b.Publisher]; from != b {
								t.Fatalf("%s as %s of %s: %+v is what neither says", matter, role, u.Code, b)
							}
							if b.Publisher == city {
								byCity++
							} else {
								byDistrict++
							}
						}
					}
				}
			}
		}
	})
	if byCity < 100 || byDistrict < 100 {
		t.Errorf("of %d that were stopped %d were by the city's lists and %d by the district's: nothing to compare", stopped, byCity, byDistrict)
	}
	t.Logf("%d stopped, %d by the city's lists, %d by the district's", stopped, byCity, byDistrict)
}

// A block names the grant that comes nearest to opening it, and what that lacks.
func TestABlockNamesTheGrantThatDoesNotCoverIt(t *testing.T) {
	good := granted(notOurs, Lead, home)
	change := func(f func(*Grant)) Grant { g := good; f(&g); return g }
	for _, tt := range []struct {
		name   string
		matter string
		grants []Grant
		lacks  []string
		words  string
	}{
		{"no grant at all", notOurs, nil, nil, ""},
		{"a grant for another matter", notOurs, []Grant{granted(nowhere, Lead, home)}, nil, ""},
		{"for the neighbour", notOurs, []Grant{granted(notOurs, Lead, neighbour)}, []string{"scope"}, string(neighbour)},
		{"to assist", notOurs, []Grant{granted(notOurs, Assist, home)}, []string{"role"}, "assisting"},
		{"not yet", notOurs, []Grant{change(func(g *Grant) { g.From = spring + 1 })}, []string{"term"}, "2026-03-03"},
		{"no longer", notOurs, []Grant{change(func(g *Grant) { g.From, g.Until = spring-9, spring-1 })}, []string{"term"}, "2026-03-01"},
		{"revoked", notOurs, []Grant{change(func(g *Grant) { g.Ended = spring })}, []string{"term"}, "ended on 2026-03-02"},
		{"not funded", notOurs, []Grant{change(func(g *Grant) { g.Funded = 0 })}, []string{"funding"}, "funding"},
		{"funded tomorrow", notOurs, []Grant{change(func(g *Grant) { g.Funded = spring + 1 })}, []string{"funding"}, "funding"},
		{"two things at once", notOurs, []Grant{change(func(g *Grant) { g.Role, g.Funded = Assist, 0 })}, []string{"role", "funding"}, "assisting"},
		{"the nearest of several", notOurs, []Grant{change(func(g *Grant) { g.Units, g.Funded = []orgs.UnitCode{neighbour}, 0 }), granted(notOurs, Assist, home)}, []string{"role"}, "assisting"},
		{"a list that no grant opens", forbidden, []Grant{granted(forbidden, Lead, home)}, []string{"list"}, "no grant opens"},
	} {
		u, _ := town().Unit(grid)
		b := gate([]Published{lists()}, tt.grants...).Check(u, tt.matter, true, spring)
		if b == nil {
			t.Errorf("%s: it passes", tt.name)
			continue
		}
		if !slices.Equal(b.Lacks, tt.lacks) || b.Grant.IsZero() != (tt.lacks == nil) || (tt.lacks != nil) != (b.Short.Zh != "") {
			t.Errorf("%s: got %v of %s, want %v", tt.name, b.Lacks, b.Grant, tt.lacks)
		}
		if !strings.Contains(b.Short.En, tt.words) {
			t.Errorf("%s: got %q, want it to name %q", tt.name, b.Short.En, tt.words)
		}
	}
}

func TestOneVersionIsInForceOnEachDate(t *testing.T) {
	version := func(n int, from calendar.Date) Published {
		return lists(func(p *Published) { p.Version, p.From = n, from })
	}
	ps := []Published{version(1, spring), version(2, spring+30), version(3, spring+10), version(4, spring+40)}
	var s State
	for _, p := range ps {
		s = Fold(s, p, rule.Stamp{})
	}
	for on, want := range map[calendar.Date]int{spring - 1: 0, spring: 1, spring + 9: 1, spring + 10: 3, spring + 30: 3, spring + 39: 3, spring + 40: 4, spring + 400: 4} {
		if got := gate(ps).Judge(home, ours, Lead, on).Version; got != want {
			t.Errorf("at the gate on %s: got version %d, want %d", on, got, want)
		}
		if v, _ := s.InForce(on); v.Version != want {
			t.Errorf("in force on %s: got version %d, want %d", on, v.Version, want)
		}
	}
}

func TestTheLongestCodeThatFitsDecidesWithinAList(t *testing.T) {
	p := lists(func(p *Published) {
		p.Items = []Item{row(orgs.Community, NotBorne, "12"), row(orgs.Community, NotBorne, "120101"), row(orgs.Community, NotBorne, "1201")}
	})
	for matter, want := range map[string]string{"120101": "120101", "120102": "1201", "120201": "12"} {
		if v := gate([]Published{p}).Judge(home, matter, Lead, spring); v.Item.Matter != want {
			t.Errorf("%s: got row %s, want %s", matter, v.Item.Matter, want)
		}
	}
}

func TestABlockNamesTheRow(t *testing.T) {
	g := gate([]Published{lists()})
	u, _ := town().Unit(grid)
	b := g.Check(u, certificate, true, spring)
	if b == nil {
		t.Fatal("got no block")
	}
	if b.Target != home || b.Publisher != district || b.List != "no_certificate" || b.Version != 1 || b.Row != "条目 130401" || b.Basis != "依据" || b.Instead != "派出所" {
		t.Errorf("got %+v", b)
	}
	if b := g.Check(u, ours, true, spring); b != nil {
		t.Errorf("an own duty: got %+v, want no block", b)
	}
	if b := (Gate{}).Check(u, certificate, true, spring); b != nil {
		t.Errorf("without any list: got %+v, want no block", b)
	}
}

func TestTheRegisterTakesWhatItKnowsAgainAndInAnyOrder(t *testing.T) {
	var r Register
	before := r.Gate(town())
	g := granted(notOurs, Lead, home)
	ended := g
	ended.Ended = spring + 1
	r.Publish(lists())
	r.Publish(lists(), lists(func(p *Published) { p.Version, p.Items = 2, nil }))
	r.Publish(lists())
	r.Admit(ended, g)
	if v := r.Gate(town()).Judge(home, notOurs, Lead, spring+1); v.Passes || v.Version != 2 {
		t.Errorf("got %+v, want version 2 and the ended grant to stay ended", v)
	}
	if v := before.Judge(home, notOurs, Lead, spring); !v.Passes {
		t.Error("a gate changed after it was handed out")
	}
}

// verdict of an oracle: the table again, said in another way.
func oracle(p Published, gs []Grant, target orgs.Unit, matter string, r Role, on calendar.Date) bool {
	if p.From > on || !slices.Contains(p.Covers, target.Kind) {
		return true
	}
	has := func(l List) bool {
		return slices.ContainsFunc(p.Items, func(x Item) bool {
			return x.Target == target.Kind && x.List == l && len(matter) >= len(x.Matter) && matter[:len(x.Matter)] == x.Matter
		})
	}
	live := slices.ContainsFunc(gs, func(g Grant) bool {
		within := slices.Contains(g.Units, target.Code) || slices.Contains(g.Units, target.Parent) || slices.Contains(g.Units, district)
		return g.Matter == matter && g.Role == r && within && max(g.From, g.Funded) <= on && on <= g.Until && g.Funded != 0 && (g.Ended == 0 || g.Ended > on)
	})
	switch {
	case has(NoCertificate):
		return false
	case has(Negative) && r == Assist:
		return has(StatutoryAssist) || live && p.NegativeGrant != GrantNothing
	case has(Negative):
		return live && p.NegativeGrant == GrantAny
	case has(NotBorne):
		return live
	case has(StatutoryDuty):
		return true
	case has(StatutoryAssist):
		return r == Assist
	}
	return live || p.Unlisted == PassUnlisted
}

func TestTheGateJudgesAsTheTableSays(t *testing.T) {
	codes := []string{"01", "0101", "010101", "010201", "09", "0901", "090101", "12", "120101", "16", "160101"}
	matters := []string{"010101", "010201", "090101", "120101", "160101", "150101"}
	units := town()
	outcomes := map[string]int{}
	law := func(t *rapid.T) {
		p := lists(func(p *Published) {
			p.Items = nil
			p.Unlisted = rapid.SampledFrom([]Unlisted{BlockUnlisted, PassUnlisted}).Draw(t, "unlisted")
			p.NegativeGrant = rapid.SampledFrom([]NegativeGrant{GrantAssists, GrantNothing, GrantAny}).Draw(t, "negative grant")
		})
		for range rapid.IntRange(0, 15).Draw(t, "rows") {
			k := rapid.SampledFrom([]orgs.Kind{orgs.Community, orgs.Street}).Draw(t, "kind")
			p.Items = append(p.Items, row(k, rapid.SampledFrom(listsOf(k)).Draw(t, "list"), rapid.SampledFrom(codes).Draw(t, "code")))
		}
		var gs []Grant
		for i := range rapid.IntRange(0, 15).Draw(t, "grants") {
			days := func(name string) calendar.Date { return spring + calendar.Date(rapid.IntRange(-2, 6).Draw(t, name)) }
			g := Grant{Admission: stream.Derive("g", fmt.Sprint(i)), Matter: rapid.SampledFrom(matters).Draw(t, "matter"), Role: rapid.SampledFrom([]Role{Lead, Assist}).Draw(t, "role"),
				Units: []orgs.UnitCode{rapid.SampledFrom([]orgs.UnitCode{home, street, district, neighbour}).Draw(t, "scope")}, From: days("from"), Until: days("until")}
			if rapid.IntRange(0, 3).Draw(t, "funded") > 0 {
				g.Funded = days("funded on")
			}
			if rapid.IntRange(0, 3).Draw(t, "ended") == 0 {
				g.Ended = days("ended on")
			}
			gs = append(gs, g)
		}
		g := gate([]Published{p}, gs...)
		for on := spring - 2; on <= spring+6; on++ {
			for _, unit := range []orgs.UnitCode{home, street} {
				target, _ := units.Unit(unit)
				for _, matter := range matters {
					for _, role := range []Role{Lead, Assist} {
						v := g.Judge(unit, matter, role, on)
						if want := oracle(p, gs, target, matter, role, on); v.Passes != want {
							t.Fatalf("%s as %s of %s on %s: got %+v, want %v", matter, role, target.Kind, on, v, want)
						}
						outcomes[fmt.Sprint(v.List, " ", v.Passes)]++
					}
				}
			}
		}
	}
	all := []string{"no_certificate false", "negative true", "negative false", "not_borne true", "not_borne false", "statutory_duty true",
		"statutory_assist true", "statutory_assist false", "unlisted true", "unlisted false", " true"}
	unseen := func(want string) bool { return outcomes[want] == 0 }
	for range 50 { // until every outcome was seen
		if rapid.Check(t, law); !slices.ContainsFunc(all, unseen) {
			break
		}
	}
	t.Logf("%v", outcomes)
	if i := slices.IndexFunc(all, unseen); i >= 0 {
		t.Errorf("never seen: %s", all[i])
	}
}

var morning = time.Date(2026, 2, 27, 1, 0, 0, 0, time.UTC)
