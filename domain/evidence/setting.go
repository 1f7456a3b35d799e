package evidence

import (
	"cmp"
	"maps"
	"slices"

	"gridcase/domain/admission"
	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/catalogue"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// Setting is what stands behind the cases, as of the last event it was given: units and grids, lists and grants. The zero
// Setting knows of nothing. It is not safe for concurrent use.
type Setting struct {
	tree       *orgs.Tree
	pending    []orgs.Event // not in the tree yet: many at once cost less
	lives      map[orgs.UnitCode]life
	grids      map[orgs.UnitCode]orgs.GridsState // by community
	lists      []duty.Published
	admissions map[stream.Name]admission.State
}

// life is the days on which a unit opened and closed; zero: it did not.
type life struct{ opened, closed calendar.Date }

// Settles reports whether the events of a category belong to the setting.
func Settles(c stream.Category) bool {
	switch c {
	case stream.Unit, stream.Grids, stream.Duties, stream.Admission:
		return true
	}
	return false
}

// Take takes the next event in, in log order; it need not be folded. Events of other categories change nothing.
func (s *Setting) Take(e event.Entry) {
	if s.lives == nil {
		s.lives, s.grids, s.admissions = map[orgs.UnitCode]life{}, map[orgs.UnitCode]orgs.GridsState{}, map[stream.Name]admission.State{}
	}
	on := calendar.DateOf(e.Meta.Occurred)
	closes := func(u orgs.UnitCode) {
		if l, known := s.lives[u]; known && l.closed == 0 {
			l.closed = on
			s.lives[u] = l
		}
	}
	switch e.Stream.Category() {
	case stream.Unit:
		s.pending = append(s.pending, e.Body)
		switch b := e.Body.(type) {
		case orgs.UnitOpened:
			if _, known := s.lives[b.Code]; !known {
				s.lives[b.Code] = life{opened: on}
			}
		case orgs.UnitClosed:
			closes(b.Code)
		case orgs.CommunitySplit:
			closes(b.Code)
		case orgs.CommunityMerged:
			closes(b.Code)
		}
	case stream.Grids:
		s.pending = append(s.pending, e.Body)
		c := orgs.UnitCode(e.Stream.Key())
		s.grids[c] = orgs.FoldGrids(s.grids[c], e.Body, on)
	case stream.Duties:
		if b, published := e.Body.(duty.Published); published {
			s.lists = append(s.lists, b)
		}
	case stream.Admission:
		a, _ := event.Fold(e.Stream, nilState(s.admissions, e.Stream), e.Body, e.Meta.Stamp(e.ID)).(admission.State)
		s.admissions[e.Stream] = a
	}
}

func nilState(known map[stream.Name]admission.State, n stream.Name) event.State {
	if a, here := known[n]; here {
		return a
	}
	return nil
}

// Units returns the organisation.
func (s *Setting) Units() *orgs.Tree {
	if len(s.pending) > 0 || s.tree == nil {
		s.tree, s.pending = s.tree.With(s.pending...), nil
	}
	return s.tree
}

// stood reports whether a unit was open on one of the days.
func (s *Setting) stood(u orgs.UnitCode, first, last calendar.Date) bool {
	l, known := s.lives[u]
	return known && l.opened <= last && (l.closed == 0 || l.closed >= first)
}

// Rated lists the units of some kinds that lie in the jurisdiction and were open in its span, by code: who can be assessed.
func (s *Setting) Rated(scope Scope, kinds []orgs.Kind) (rated []assessment.Rated) {
	units := s.Units()
	for u := range units.All() {
		if !slices.Contains(kinds, u.Kind) || !s.within(u.Code, scope) {
			continue
		}
		r := assessment.Rated{Unit: u.Code, Name: u.Name, Kind: u.Kind, Parent: u.Department}
		r.District, _ = units.Ancestor(u.Code, orgs.District)
		r.Host, _ = units.Ancestor(u.Code, orgs.Street)
		rated = append(rated, r)
	}
	return rated
}

func (s *Setting) within(u orgs.UnitCode, scope Scope) bool {
	return (scope.Jurisdiction == "" || s.Units().Within(u, scope.Jurisdiction)) && s.stood(u, scope.First, scope.Last)
}

// Streets lists the units of a kind that lie in the jurisdiction and were open in its span, by code, with the active grids in
// them and the households of those: who rates.
func (s *Setting) Streets(scope Scope, kind orgs.Kind) (streets []assessment.Street) {
	units := s.Units()
	type served struct{ households, grids int }
	totals := map[orgs.UnitCode]served{}
	for c, plan := range s.grids {
		above, found := units.Ancestor(c, kind)
		if !found {
			continue
		}
		n := totals[above]
		for _, g := range plan.Grids {
			if !g.Retired {
				n.grids++
				n.households += plan.Served(g)
			}
		}
		totals[above] = n
	}
	for u := range units.All() {
		if u.Kind != kind || !s.within(u.Code, scope) {
			continue
		}
		n := totals[u.Code]
		r := assessment.Street{Unit: u.Code, Name: u.Name, Households: n.households, Grids: n.grids}
		r.District, _ = units.Ancestor(u.Code, orgs.District)
		streets = append(streets, r)
	}
	return streets
}

// Heirs says for each community and street of the jurisdiction that was re-divided up to the end of the span which one
// continues its figures; nil if there is none.
func (s *Setting) Heirs(scope Scope) (heirs map[orgs.UnitCode]orgs.UnitCode) {
	units := s.Units()
	for u := range units.All() {
		if u.Kind != orgs.Community && u.Kind != orgs.Street || scope.Jurisdiction != "" && !units.Within(u.Code, scope.Jurisdiction) {
			continue
		}
		if h := units.Heir(u.Code, scope.Last); h != u.Code {
			if heirs == nil {
				heirs = map[orgs.UnitCode]orgs.UnitCode{}
			}
			heirs[u.Code] = h
		}
	}
	return heirs
}

// Loads says of each open community of the jurisdiction, by code, which matters it may be asked to bear, as lead or as
// co-unit: on the last day of the span, and on the base date.
func (s *Setting) Loads(scope Scope) (loads []assessment.Load) {
	units := s.Units()
	now, base := s.bearing(scope.Last), s.bearing(scope.Base)
	for u := range units.All() {
		if u.Kind != orgs.Community || u.Closed || !s.within(u.Code, scope) {
			continue
		}
		l := assessment.Load{Community: u.Code, Now: now.of(u.Code), Base: base.of(u.Code)}
		l.Street, _ = units.Ancestor(u.Code, orgs.Street)
		loads = append(loads, l)
	}
	return loads
}

// bearing answers for one date what communities may be asked to bear. Those under one list share the answer, but for
// matters that somebody was granted.
type bearing struct {
	on      calendar.Date
	lists   duty.Gate // knows of no grant
	all     duty.Gate
	granted []string // matters of live grants, ascending
	shared  map[edition][]string
}

// edition is one version of one publisher's lists; the zero edition is none.
type edition struct {
	publisher orgs.UnitCode
	version   int
}

func (s *Setting) bearing(on calendar.Date) *bearing {
	var lists, all duty.Register
	lists.Publish(s.lists...)
	all.Publish(s.lists...)
	granted := map[string]bool{}
	for _, n := range slices.Sorted(maps.Keys(s.admissions)) {
		if g, given := s.admissions[n].Grant(); given && g.Live(on) {
			all.Admit(g)
			granted[g.Matter] = true
		}
	}
	return &bearing{on: on, lists: lists.Gate(s.Units()), all: all.Gate(s.Units()), granted: slices.Sorted(maps.Keys(granted)), shared: map[edition][]string{}}
}

func (b *bearing) of(community orgs.UnitCode) []string {
	v := b.lists.Judge(community, "", duty.Lead, b.on)
	e := edition{v.Publisher, v.Version}
	usual, known := b.shared[e]
	if !known {
		for m := range catalogue.All() {
			if b.may(b.lists, community, string(m.Code)) {
				usual = append(usual, string(m.Code))
			}
		}
		slices.Sort(usual)
		b.shared[e] = usual
	}
	also := slices.DeleteFunc(slices.Clone(b.granted), func(m string) bool {
		_, borne := slices.BinarySearch(usual, m)
		return borne || !b.may(b.all, community, m)
	})
	if len(also) == 0 {
		return usual
	}
	also = append(also, usual...)
	slices.SortFunc(also, cmp.Compare)
	return also
}

func (b *bearing) may(g duty.Gate, community orgs.UnitCode, matter string) bool {
	return g.Judge(community, matter, duty.Lead, b.on).Passes || g.Judge(community, matter, duty.Assist, b.on).Passes
}
