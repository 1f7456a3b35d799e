package duty

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Role is as what a unit takes part in a matter.
type Role string

// The roles.
const (
	Lead   Role = "lead"   // 主办
	Assist Role = "assist" // 协办
)

// Grant is an admission that was given (准入): for one matter, in one role, to the units of its scope and all that lies in
// them, for a term.
type Grant struct {
	Admission stream.ID       `json:"admission"`
	Matter    string          `json:"matter"`
	Role      Role            `json:"role"`
	Units     []orgs.UnitCode `json:"units"`
	From      calendar.Date   `json:"from"`
	Until     calendar.Date   `json:"until"`  // the last day
	Funded    calendar.Date   `json:"funded"` // the date on which its funding was recorded; zero: not yet
	Ended     calendar.Date   `json:"ended"`  // the date on which it was revoked or expired; zero: it was not
}

// Live reports whether the grant opens anything on a date. On the day of its revocation it does not.
func (g Grant) Live(on calendar.Date) bool {
	return g.From <= on && on <= g.Until && !g.Funded.IsZero() && g.Funded <= on && (g.Ended.IsZero() || on < g.Ended)
}

// Blocked records that the gate kept a matter from a community or street (拦截). It is written before the refusal is
// answered, and nothing else follows from the attempt.
type Blocked struct {
	Target    orgs.UnitCode `json:"target"` // the community or street
	Unit      orgs.UnitCode `json:"unit"`   // to which it was to be given: the target, or a grid of it
	Matter    string        `json:"matter"`
	Role      Role          `json:"role"`
	Publisher orgs.UnitCode `json:"publisher"`
	List      List          `json:"list"`
	Version   int           `json:"version"` // of the publisher's lists
	Row       sealed.Public `json:"row,omitempty"`
	Basis     sealed.Public `json:"basis,omitempty"`
	On        calendar.Date `json:"on"`         // the local date by which it was judged
	By        orgs.UnitCode `json:"dispatcher"` // whose person wanted it
	Command   string        `json:"command"`    // what was refused: "fast-track", "dispatch", …
	Demands   []stream.ID   `json:"demands,omitempty"`
	Topic     stream.ID     `json:"topic,omitzero"`
	Order     stream.ID     `json:"order,omitzero"` // that was to be dispatched, or dispatched again
}

// EventType implements [Event].
func (Blocked) EventType() string { return "dispatch-blocked/1" }

// Verdict is what the lists say about giving a matter to a unit. The zero Verdict blocks.
type Verdict struct {
	Passes    bool
	Target    orgs.UnitCode // the community or street that is protected; "" for units that no list protects
	Publisher orgs.UnitCode // "" where no list is in force
	Version   int
	List      List      // that decides; "" where none is in force
	Item      Item      // the row; zero for [OnNone]
	Grant     stream.ID // the admission that opens it, zero if none was needed or there is none
}

// edition is a publication with its rows by what they are about.
type edition struct {
	Published
	rows map[Item]int // target, list and matter of each → its place
}

func (e *edition) row(k orgs.Kind, l List, matter string) (Item, bool) {
	for n := len(matter); n >= 2; n -= 2 {
		if i, found := e.rows[Item{Target: k, List: l, Matter: matter[:n]}]; found {
			return e.Items[i], true
		}
	}
	return Item{}, false
}

// book is one immutable picture of all lists and grants.
type book struct {
	lists  map[orgs.UnitCode][]*edition // of each publisher, by version
	grants map[string][]Grant           // by matter, in the order in which they became known
}

// Register holds the lists and grants as the log has them so far. The zero Register is empty and ready; it is safe for
// concurrent use, and reading never waits for writing. It must not be copied after first use.
type Register struct {
	writing sync.Mutex
	now     atomic.Pointer[book]
}

// Publish takes publications in. One that is known already changes nothing.
func (r *Register) Publish(ps ...Published) {
	r.change(func(b *book) {
		for _, p := range ps {
			known := b.lists[p.Unit]
			if slices.ContainsFunc(known, func(e *edition) bool { return e.Version == p.Version }) {
				continue
			}
			e := &edition{Published: p, rows: make(map[Item]int, len(p.Items))}
			for i, x := range p.Items {
				e.rows[Item{Target: x.Target, List: x.List, Matter: x.Matter}] = i
			}
			all := append(slices.Clip(known), e)
			slices.SortStableFunc(all, func(a, b *edition) int { return a.Version - b.Version })
			b.lists[p.Unit] = all
		}
	})
}

// Admit takes grants in as they stand now. A grant only moves on: it is funded once and ends once, so the one that is
// further stays, in whatever order they come.
func (r *Register) Admit(gs ...Grant) {
	r.change(func(b *book) {
		for _, g := range gs {
			all := slices.Clone(b.grants[g.Matter])
			i := slices.IndexFunc(all, func(o Grant) bool { return o.Admission == g.Admission })
			switch {
			case i < 0:
				all = append(all, g)
			case all[i].stage() > g.stage():
				continue
			default:
				all[i] = g
			}
			b.grants[g.Matter] = all
		}
	})
}

// stage is how far a grant has come: given, funded, ended.
func (g Grant) stage() int {
	switch {
	case !g.Ended.IsZero():
		return 2
	case !g.Funded.IsZero():
		return 1
	}
	return 0
}

func (r *Register) change(f func(*book)) {
	r.writing.Lock()
	defer r.writing.Unlock()
	b := &book{lists: map[orgs.UnitCode][]*edition{}, grants: map[string][]Grant{}}
	if now := r.now.Load(); now != nil {
		maps.Copy(b.lists, now.lists)
		maps.Copy(b.grants, now.grants)
	}
	f(b)
	r.now.Store(b)
}

// Gate returns the gate as it is now, for one picture of the organisation. What was returned never changes later.
func (r *Register) Gate(units *orgs.Tree) Gate { return Gate{r.now.Load(), units} }

// Gate judges dispatches by lists and grants. The zero Gate knows of no list: everything passes.
type Gate struct {
	book  *book
	units *orgs.Tree
}

// Check implements [rule.Gate].
func (g Gate) Check(target orgs.Unit, matter string, lead bool, on calendar.Date) *rule.Block {
	role := Assist
	if lead {
		role = Lead
	}
	v := g.Judge(target.Code, matter, role, on)
	if v.Passes {
		return nil
	}
	b := &rule.Block{Target: v.Target, Publisher: v.Publisher, List: string(v.List), Named: v.List.Named(), Version: v.Version,
		Row: string(v.Item.Row), Basis: string(v.Item.Basis), Instead: string(v.Item.Instead)}
	if x, lacks, given := g.nearly(v, matter, role, on); given {
		b.Grant = x.Admission
		for _, l := range lacks {
			b.Lacks = append(b.Lacks, string(l))
		}
		b.Short = x.short(lacks, on)
	}
	return b
}

// Judge says whether a matter may be given to a unit in a role, by the lists and grants in force on a local date (rule I7).
// Within a publication the first list that has the matter decides. Where several publish above a unit, all must let it through:
// the stricter of them holds, and is the one that the verdict names.
func (g Gate) Judge(unit orgs.UnitCode, matter string, role Role, on calendar.Date) Verdict {
	target, protected := g.Protects(unit)
	if !protected {
		return Verdict{Passes: true}
	}
	return g.strictest(target, matter, role, on, func() (stream.ID, bool) {
		for _, x := range g.Grants(target.Code, matter, on) {
			if x.Role == role {
				return x.Admission, true
			}
		}
		return stream.ID{}, false
	})
}

// Shut reports whether a grant for a scope would open nothing: of its communities and streets some are kept closed whatever is
// granted, and none is closed without a grant and open with one. The verdict says by which row.
func (g Gate) Shut(scope orgs.UnitCode, matter string, role Role, on calendar.Date) (first Verdict, shut bool) {
	granted := func() (stream.ID, bool) { return stream.ID{}, true }
	bare := func() (stream.ID, bool) { return stream.ID{}, false }
	var opens func(orgs.UnitCode) bool
	opens = func(code orgs.UnitCode) bool {
		u, _ := g.units.Unit(code)
		if listsOf(u.Kind) != nil && !u.Closed {
			v := g.strictest(u, matter, role, on, granted)
			if v.Passes && !g.strictest(u, matter, role, on, bare).Passes {
				return true
			}
			if !v.Passes && !shut {
				first, shut = v, true
			}
		}
		return slices.ContainsFunc(g.units.Children(code), opens)
	}
	if opens(scope) {
		return Verdict{}, false
	}
	return first, shut
}

// strictest asks every publication that protects a target. Of those that stop the matter the one with the list that comes first
// in the table speaks, of those that let it through the one that wanted a grant; the nearest of several.
func (g Gate) strictest(target orgs.Unit, matter string, role Role, on calendar.Date, grant func() (stream.ID, bool)) Verdict {
	out := Verdict{Passes: true, Target: target.Code}
	rank := func(v Verdict) int {
		switch {
		case !v.Passes:
			return slices.Index(append(listsOf(target.Kind), OnNone), v.List) - len(listsOf(target.Kind)) - 2
		case !v.Grant.IsZero():
			return 0
		case v.Publisher != "":
			return 1
		}
		return 2
	}
	for _, e := range g.editions(target, on) {
		if v := e.judge(target, matter, role, grant); rank(v) < rank(out) {
			out = v
		}
	}
	return out
}

// judge says what one publication says.
func (e *edition) judge(target orgs.Unit, matter string, role Role, grant func() (stream.ID, bool)) Verdict {
	v := Verdict{Target: target.Code, Publisher: e.Unit, Version: e.Version, List: OnNone}
	for _, l := range listsOf(target.Kind) {
		if x, found := e.row(target.Kind, l, matter); found {
			v.List, v.Item = l, x
			break
		}
	}
	granted := func() { v.Grant, v.Passes = grant() }
	switch v.List {
	case NoCertificate:
	case Negative:
		_, helps := e.row(target.Kind, StatutoryAssist, matter)
		switch {
		case role == Assist && helps:
			v.Passes = true
		case e.NegativeGrant == GrantAny, e.NegativeGrant == GrantAssists && role == Assist:
			granted()
		}
	case StatutoryDuty:
		v.Passes = true
	case StatutoryAssist:
		v.Passes = role == Assist
	case OnNone:
		if v.Passes = e.Unlisted == PassUnlisted; !v.Passes {
			granted()
		}
	default:
		granted()
	}
	return v
}

// Lack is why a grant does not open the gate for a dispatch.
type Lack string

// The reasons.
const (
	LacksList    Lack = "list"    // no grant opens this list for this role
	LacksScope   Lack = "scope"   // it is for other units
	LacksRole    Lack = "role"    // it is to lead, and the unit was to assist, or the other way round
	LacksTerm    Lack = "term"    // it is not yet, or no longer, in force
	LacksFunding Lack = "funding" // its funding was not recorded
)

// nearly finds the grant for the matter that lacks the least to open a block, false if there is no grant for the matter.
func (g Gate) nearly(v Verdict, matter string, role Role, on calendar.Date) (near Grant, lacks []Lack, given bool) {
	if g.book == nil {
		return near, nil, false
	}
	target, _ := g.units.Unit(v.Target)
	hopeless := !g.strictest(target, matter, role, on, func() (stream.ID, bool) { return stream.ID{}, true }).Passes
	for _, x := range g.book.grants[matter] {
		var ls []Lack
		for l, so := range map[Lack]bool{LacksList: hopeless, LacksScope: !slices.ContainsFunc(x.Units, func(u orgs.UnitCode) bool { return g.units.Within(target.Code, u) }),
			LacksRole: x.Role != role, LacksTerm: on < x.From || on > x.Until || !x.Ended.IsZero() && x.Ended <= on, LacksFunding: x.Funded.IsZero() || x.Funded > on} {
			if so {
				ls = append(ls, l)
			}
		}
		if !given || len(ls) < len(lacks) {
			near, lacks, given = x, ls, true
		}
	}
	order := []Lack{LacksList, LacksScope, LacksRole, LacksTerm, LacksFunding}
	slices.SortFunc(lacks, func(a, b Lack) int { return slices.Index(order, a) - slices.Index(order, b) })
	return near, lacks, given
}

// short says what a grant lacks.
func (x Grant) short(lacks []Lack, on calendar.Date) rule.Phrase {
	named := map[Role]rule.Phrase{Lead: rule.Say("主办", "leading"), Assist: rule.Say("协办", "assisting")}[x.Role]
	var zh, en []string
	for _, l := range lacks {
		var p rule.Phrase
		switch l {
		case LacksList:
			p = rule.Say("准入不能打开该清单", "no grant opens this list")
		case LacksScope:
			p = rule.Say("准入范围只有 "+strings.Join(texts(x.Units), "、"), "its scope is "+strings.Join(texts(x.Units), ", "))
		case LacksRole:
			p = rule.Say("只准入"+named.Zh, "it is for "+named.En)
		case LacksTerm:
			p = rule.Say(fmt.Sprintf("期限为 %s 至 %s", x.From, x.Until), fmt.Sprintf("its term is %s to %s", x.From, x.Until))
			if !x.Ended.IsZero() && x.Ended <= on {
				p = rule.Say(fmt.Sprintf("已于 %s 终止", x.Ended), fmt.Sprintf("it ended on %s", x.Ended))
			}
		case LacksFunding:
			p = rule.Say("经费尚未到账", "its funding was not recorded")
		}
		zh, en = append(zh, p.Zh), append(en, p.En)
	}
	return rule.Say(strings.Join(zh, "，"), strings.Join(en, ", "))
}

func texts[T ~string](cs []T) []string {
	var out []string
	for _, c := range cs {
		out = append(out, string(c))
	}
	return out
}

// Protects returns the community or street whose lists protect a unit: itself, or the community of a grid.
func (g Gate) Protects(unit orgs.UnitCode) (orgs.Unit, bool) {
	u, _ := g.units.Unit(unit)
	if u.Kind == orgs.Grid {
		u, _ = g.units.Unit(u.Parent)
	}
	return u, listsOf(u.Kind) != nil
}

// editions returns what protects a community or street on a date: of each publisher at or above it the version in force, if that
// covers its kind; the nearest first.
func (g Gate) editions(target orgs.Unit, on calendar.Date) []*edition {
	if g.book == nil {
		return nil
	}
	var es []*edition
	for code, up := target.Code, true; up; code, up = g.units.Parent(code) {
		for _, e := range slices.Backward(g.book.lists[code]) {
			if e.From > on {
				continue
			}
			if slices.Contains(e.Covers, target.Kind) {
				es = append(es, e)
			}
			break
		}
	}
	return es
}

// Edition is a publication that protects a unit on a date.
type Edition struct {
	Publisher orgs.UnitCode
	Version   int
}

// Editions returns what protects a unit on a date, the nearest publisher first. The matter must get through all of them.
func (g Gate) Editions(unit orgs.UnitCode, on calendar.Date) []Edition {
	target, _ := g.Protects(unit)
	var es []Edition
	for _, e := range g.editions(target, on) {
		es = append(es, Edition{e.Unit, e.Version})
	}
	return es
}

// Above returns the publications in force above a publisher on a date, whomever they cover; the nearest first.
func (g Gate) Above(publisher orgs.UnitCode, on calendar.Date) []Edition {
	var es []Edition
	for code, up := g.units.Parent(publisher); up && g.book != nil; code, up = g.units.Parent(code) {
		for _, e := range slices.Backward(g.book.lists[code]) {
			if e.From <= on {
				es = append(es, Edition{e.Unit, e.Version})
				break
			}
		}
	}
	return es
}

// Grants returns the grants for a matter that are live for a unit on a date, in either role.
func (g Gate) Grants(unit orgs.UnitCode, matter string, on calendar.Date) []Grant {
	if g.book == nil {
		return nil
	}
	var live []Grant
	for _, x := range g.book.grants[matter] {
		if x.Live(on) && slices.ContainsFunc(x.Units, func(scope orgs.UnitCode) bool { return g.units.Within(unit, scope) }) {
			live = append(live, x)
		}
	}
	return live
}
