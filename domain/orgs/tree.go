package orgs

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gridcase/domain/calendar"
)

// Unit is one organisation, or one grid, as it stands now.
type Unit struct {
	Code       UnitCode
	Name       string
	Kind       Kind
	Parent     UnitCode   // the unit it sits in, "" for the city; never the department that dispatched it
	Department UnitCode   // the parent department of an agency, "" for all other kinds
	Level      Level      // its own or its host's, 0 if neither is known
	Closed     bool       // a closed unit keeps its place, so that old cases stay within reach
	Members    []UnitCode // the member agencies of a joint team, in code order; read only
}

// GridInfo is one grid as it stands now.
type GridInfo struct {
	Code       GridCode
	Name       string
	Community  UnitCode
	Households int    // as counted when drawn, ≥ 0
	Buildings  int    // ≥ 0
	Stairwells int    // 单元 of the buildings, ≥ 0
	Urban      bool   // in a residents' committee's area; a village's grid is rural
	Lead       string // opaque id of the full-time lead, "" = vacancy
	Acting     string // opaque id of who covers for an absent or missing lead, "" = nobody
	Retired    bool
}

// Tree is one immutable picture of the organisation. It is safe for concurrent use and never changes:
// [Tree.With] returns another one. The nil and the zero Tree know nothing.
//
// Every unit keeps its path from the top, fixed when it was opened, so asking who lies within whom costs
// two look-ups. The units are spread over a fixed number of buckets, and a new tree shares with its
// predecessor all buckets that no event touched.
type Tree struct {
	buckets *[spread]map[UnitCode]*node // nil = empty; neither array nor maps nor nodes change once handed out
	units   int                         // without grids
}

// spread is the number of buckets: with the 7,000 units and grids of a city, each holds about 30.
const spread = 256

// node is a unit with what hangs on it.
type node struct {
	unit     Unit
	path     string
	children []UnitCode // in code order, without grids
	grids    []UnitCode // in code order
	grid     GridInfo   // of a unit of kind Grid

	successors []UnitCode    // that continue a grid or community, in code order; they may be opened later in the same append
	until      calendar.Date // the first day on which they do
}

// bucket is FNV-1a, folded to the number of buckets.
func bucket(c UnitCode) int {
	h := uint32(2166136261)
	for i := range len(c) {
		h = (h ^ uint32(c[i])) * 16777619
	}
	return int((h ^ h>>16) % spread)
}

func (t *Tree) node(c UnitCode) *node {
	if t == nil || t.buckets == nil {
		return nil
	}
	return t.buckets[bucket(c)][c]
}

// Unit returns a unit, closed ones included. A grid is a unit of kind [Grid] whose code is the grid's.
func (t *Tree) Unit(c UnitCode) (Unit, bool) {
	n := t.node(c)
	if n == nil {
		return Unit{}, false
	}
	return n.unit, true
}

// Grid returns a grid, retired ones included.
func (t *Tree) Grid(g GridCode) (GridInfo, bool) {
	n := t.node(g.Unit())
	if n == nil || n.unit.Kind != Grid {
		return GridInfo{}, false
	}
	return n.grid, true
}

// Within reports whether inner is outer or lies below it by where it sits; false if either is unknown.
// A department is not above the agencies it dispatched: their street is.
func (t *Tree) Within(inner, outer UnitCode) bool {
	i, o := t.node(inner), t.node(outer)
	return i != nil && o != nil && strings.HasPrefix(i.path, o.path)
}

// Path returns the jurisdiction of a unit: the codes from the top down to it, each followed by a slash, as
// in "/150100/150105/150105003/". It is "" for an unknown unit. One unit lies within another if and only
// if its path begins with the other's; without the last slash a neighbour would match.
func (t *Tree) Path(c UnitCode) string {
	if n := t.node(c); n != nil {
		return n.path
	}
	return ""
}

// Parent returns the unit that c sits in, false for the top and for the unknown.
func (t *Tree) Parent(c UnitCode) (UnitCode, bool) {
	n := t.node(c)
	if n == nil || n.unit.Parent == "" {
		return "", false
	}
	return n.unit.Parent, true
}

// Ancestor returns the nearest unit of the kind at c or above it.
func (t *Tree) Ancestor(c UnitCode, k Kind) (UnitCode, bool) {
	for n := range t.upward(c) {
		if n.unit.Kind == k {
			return n.unit.Code, true
		}
	}
	return "", false
}

// upward yields c and the units above it. It ends, whatever the log says: a parent was always opened earlier.
func (t *Tree) upward(c UnitCode) iter.Seq[*node] {
	return func(yield func(*node) bool) {
		for n := t.node(c); n != nil && yield(n); n = t.node(n.unit.Parent) {
		}
	}
}

// Children returns the units that sit directly in c, in code order, closed ones included and grids left out
// (see [Tree.Grids]). The caller owns the slice.
func (t *Tree) Children(c UnitCode) []UnitCode {
	if n := t.node(c); n != nil {
		return slices.Clone(n.children)
	}
	return nil
}

// Level returns the level of a unit, its own or its host's; 0 if it is unknown.
func (t *Tree) Level(c UnitCode) Level {
	if n := t.node(c); n != nil {
		return n.unit.Level
	}
	return 0
}

// AtLevel returns the open unit at or above c that governs at the level: a grid, community, street, district or city;
// where a district leaves the level out, the next one up. It is "" if nothing above c is that high.
func (t *Tree) AtLevel(c UnitCode, level Level) UnitCode {
	for n := range t.upward(c) {
		switch n.unit.Kind {
		case Grid, Community, Street, District, City:
			if n.unit.Level >= level && !n.unit.Closed {
				return n.unit.Code
			}
		}
	}
	return ""
}

// All yields every unit in code order, closed ones included and grids left out. It sorts once per loop.
func (t *Tree) All() iter.Seq[Unit] {
	return func(yield func(Unit) bool) {
		if t == nil || t.buckets == nil {
			return
		}
		all := make([]*node, 0, t.units)
		for _, b := range t.buckets {
			for _, n := range b {
				if n.unit.Kind != Grid {
					all = append(all, n)
				}
			}
		}
		slices.SortFunc(all, func(a, b *node) int { return cmp.Compare(a.unit.Code, b.unit.Code) })
		for _, n := range all {
			if !yield(n.unit) {
				return
			}
		}
	}
}

// Grids returns the grids of a community in code order, retired ones included. The caller owns the slice.
func (t *Tree) Grids(community UnitCode) []GridInfo {
	n := t.node(community)
	if n == nil || len(n.grids) == 0 {
		return nil
	}
	gs := make([]GridInfo, len(n.grids))
	for i, g := range n.grids {
		gs[i] = t.node(g).grid
	}
	return gs
}

// Len returns the number of units, closed ones included and grids left out.
func (t *Tree) Len() int {
	if t == nil {
		return 0
	}
	return t.units
}

// Oversight returns the open oversight unit that serves near at the level: the one hosted by the unit of
// that level at or above near, else by the next level up. Where a host has several, the first in code order serves.
// When rule I2 forbids the answer, ask again with the next level.
func (t *Tree) Oversight(level Level, near UnitCode) (UnitCode, bool) {
	return t.hosted(Oversight, level, near)
}

// Hotline returns the open hotline unit that serves near: the nearest one hosted by near or above it.
// When rule I2 forbids the answer, ask again with what lies above the unit that hosts it.
func (t *Tree) Hotline(near UnitCode) (UnitCode, bool) { return t.hosted(Hotline, 0, near) }

// hosted returns the first open unit of the kind that sits in near or above it, at the level or higher.
func (t *Tree) hosted(k Kind, level Level, near UnitCode) (UnitCode, bool) {
	for host := range t.upward(near) {
		if host.unit.Level < level {
			continue
		}
		for _, c := range host.children {
			if u := t.node(c).unit; u.Kind == k && !u.Closed {
				return c, true
			}
		}
	}
	return "", false
}

// SameBody reports whether a belongs to the body that handles an item (rule I2): it is the handling unit,
// lies in its subtree, or is the parent department of a handling agency. Where a joint team handles, ask
// for the competent member agency as well. The same code twice is the
// same body even if it is unknown; "" belongs to no body.
func (t *Tree) SameBody(a, handling UnitCode) bool {
	if a == "" {
		return false
	}
	if a == handling || t.Within(a, handling) {
		return true
	}
	h := t.node(handling)
	return h != nil && h.unit.Department == a // only agencies have one
}

// With returns the tree after the events of units and grids, in log order; t stays as it is. Other events,
// and those about units never opened, change nothing; what is opened stays what it was opened as, so a
// repeat is harmless. A unit whose parent was never opened stands at the top.
//
// One event costs the copy of two buckets at most; many events at once share that cost.
func (t *Tree) With(events ...Event) *Tree {
	d := draft{}
	if t != nil {
		d.tree = *t
	}
	for _, e := range events {
		d.apply(e)
	}
	if !d.changed && t != nil {
		return t
	}
	return &d.tree
}

// draft is a tree being made: buckets that are owned may be written to, all others are shared.
type draft struct {
	tree    Tree
	owned   [spread]bool
	changed bool
}

func (d *draft) put(n *node) {
	if !d.changed {
		fresh := new([spread]map[UnitCode]*node)
		if d.tree.buckets != nil {
			*fresh = *d.tree.buckets
		}
		d.tree.buckets, d.changed = fresh, true
	}
	b := bucket(n.unit.Code)
	if !d.owned[b] {
		d.tree.buckets[b], d.owned[b] = maps.Clone(d.tree.buckets[b]), true
	}
	if d.tree.buckets[b] == nil {
		d.tree.buckets[b] = make(map[UnitCode]*node)
	}
	d.tree.buckets[b][n.unit.Code] = n
}

// change puts a changed copy of a node in its place.
func (d *draft) change(c UnitCode, f func(*node)) {
	if old := d.tree.node(c); old != nil {
		n := *old
		f(&n)
		d.put(&n)
	}
}

func (d *draft) changeGrid(g GridCode, f func(*GridInfo)) {
	d.change(g.Unit(), func(n *node) { f(&n.grid) })
}

func (d *draft) apply(e Event) {
	switch e := e.(type) {
	case UnitOpened:
		d.add(&node{unit: Unit{Code: e.Code, Name: e.Name, Kind: e.Kind, Parent: e.Parent,
			Department: e.Department, Members: slices.Clone(e.Members)}})
	case UnitRenamed:
		d.change(e.Code, func(n *node) { n.unit.Name = e.Name })
	case UnitClosed:
		d.change(e.Code, func(n *node) { n.unit.Closed = true })
	case MembersSet:
		d.change(e.Code, func(n *node) { n.unit.Members = slices.Clone(e.Members) })
	case GridDrawn:
		d.add(&node{
			unit: Unit{Code: e.Grid.Unit(), Name: e.Name, Kind: Grid, Parent: e.Grid.Community()},
			grid: GridInfo{Code: e.Grid, Name: e.Name, Community: e.Grid.Community(), Households: e.Households,
				Buildings: e.Buildings, Stairwells: e.Stairwells, Urban: e.Urban},
		})
	case GridRetired:
		d.supersede(e.Grid.Unit(), 0)
	case GridSplit:
		d.supersede(e.Grid.Unit(), e.On, units(e.Into)...)
	case GridMerged:
		for _, g := range e.Grids {
			d.supersede(g.Unit(), e.On, e.Into.Unit())
		}
	case CommunitySplit:
		d.supersede(e.Code, e.On, e.Into...)
	case CommunityMerged:
		d.supersede(e.Code, e.On, e.Into)
	case GridWorkerAppointed:
		if e.Duty == DutyLead {
			d.changeGrid(e.Grid, func(g *GridInfo) { g.Lead, g.Acting = e.Worker, "" })
		}
	case ActingWorkerAppointed:
		d.changeGrid(e.Grid, func(g *GridInfo) { g.Acting = e.Worker })
	case GridWorkerRelieved:
		d.changeGrid(e.Grid, func(g *GridInfo) {
			if g.Lead == e.Worker {
				g.Lead = ""
			}
			if g.Acting == e.Worker {
				g.Acting = ""
			}
		})
	}
}

// supersede closes a unit or grid, in favour of others if there are any.
func (d *draft) supersede(c UnitCode, on calendar.Date, by ...UnitCode) {
	d.change(c, func(n *node) {
		n.unit.Closed, n.successors, n.until = true, ordered(by), on
		if n.unit.Kind == Grid {
			n.grid.Retired, n.grid.Lead, n.grid.Acting = true, "", ""
		}
	})
}

func units(gs []GridCode) []UnitCode {
	us := make([]UnitCode, len(gs))
	for i, g := range gs {
		us[i] = g.Unit()
	}
	return us
}

// add hangs a new unit or grid under its parent.
func (d *draft) add(n *node) {
	c := n.unit.Code
	if c == "" || d.tree.node(c) != nil {
		return
	}
	n.path, n.unit.Level = "/"+string(c)+"/", n.unit.Kind.Level()
	if parent := d.tree.node(n.unit.Parent); parent == nil {
		n.unit.Parent = ""
	} else {
		n.path = parent.path + string(c) + "/"
		if n.unit.Level == 0 {
			n.unit.Level = parent.unit.Level
		}
	}
	d.put(n)
	if n.unit.Kind == Grid {
		d.change(n.unit.Parent, func(p *node) { p.grids = inserted(p.grids, c) })
		return
	}
	d.tree.units++
	d.change(n.unit.Parent, func(p *node) { p.children = inserted(p.children, c) })
}

// inserted returns a sorted slice with c in its place; cs stays as it is.
func inserted(cs []UnitCode, c UnitCode) []UnitCode {
	i, _ := slices.BinarySearch(cs, c)
	return slices.Insert(slices.Clip(cs), i, c)
}

// Register holds the tree as the log has it so far. The zero Register is empty and ready; it is safe for
// concurrent use, and reading never waits for writing. It must not be copied after first use.
type Register struct {
	writing sync.Mutex
	now     atomic.Pointer[Tree]
}

// Apply moves the register on by the events of units and grids, in log order; see [Tree.With].
func (r *Register) Apply(events ...Event) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.now.Store(r.now.Load().With(events...))
}

// Tree returns the tree as it is now, at no cost. What was returned never changes later.
func (r *Register) Tree() *Tree { return r.now.Load() }
