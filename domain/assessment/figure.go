package assessment

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gridcase/domain/orgs"
)

// Key names a figure. The zero unit is every unit, the zero street every street; [Nowhere] is what no street dispatched or holds.
type Key struct {
	Indicator Indicator
	Unit      orgs.UnitCode
	Street    orgs.UnitCode
	AsIs      bool // rolled up over the places as they are now (choice as_of)
}

// String returns the id of the figure, which stays the same on any node: "on_time:u=150105-d03:s=150105003".
func (k Key) String() string {
	id := string(k.Indicator)
	if k.Unit != "" {
		id += ":u=" + string(k.Unit)
	}
	if k.Street != "" {
		id += ":s=" + string(k.Street)
	}
	if k.AsIs {
		id += ":as_is"
	}
	return id
}

// ErrFigure: there is no figure of that id.
var ErrFigure = errors.New("no such figure")

// ParseKey reads the id of a figure.
func ParseKey(id string) (Key, error) {
	parts := strings.Split(id, ":")
	k := Key{Indicator: Indicator(parts[0])}
	rest := parts[1:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], "u=") {
		k.Unit, rest = orgs.UnitCode(rest[0][2:]), rest[1:]
	}
	if len(rest) > 0 && strings.HasPrefix(rest[0], "s=") {
		k.Street, rest = orgs.UnitCode(rest[0][2:]), rest[1:]
	}
	if len(rest) > 0 && rest[0] == "as_is" {
		k.AsIs, rest = true, rest[1:]
	}
	if _, known := Define(k.Indicator); !known || len(rest) > 0 || k.String() != id {
		return Key{}, fmt.Errorf("%q: %w", id, ErrFigure)
	}
	return k, nil
}

// compare orders keys by indicator, unit, street; as they were before as they are.
func (k Key) compare(o Key) int {
	was := func(asIs bool) int {
		if asIs {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(k.Indicator, o.Indicator), cmp.Compare(k.Unit, o.Unit), cmp.Compare(k.Street, o.Street), was(k.AsIs)-was(o.AsIs))
}

// Figure is one number, with all that is printed beside it.
type Figure struct {
	Key
	Ratio          // numerator and denominator as counted; of minutes both are the number of values, of a composite the value in per cent over 100
	Printed string // in per cent, minutes, items or points, as the measure says; [None] over nothing
	Raw     Ratio  // before exclusions and objections
	Before  string // Raw as printed, "" if nothing was decided that changed it
	Median  int32  // minutes, nearest rank
	P90     int32
	Left    []Left  // what is left out, by reason
	Carried int64   // of the cohort: left over by an earlier period
	Rungs   []int64 // of mediation: settled at each rung, from the grid up
	Flags   []string
}

// Left is how much of what belongs to a cohort is left out for one reason.
type Left struct {
	Why   string
	Count int64
	Share string // of the cohort and what is left out for this reason, in per cent
}

// The flags of a figure.
const (
	FlagFrozen = "frozen_over_cap" // more of what is due is suspended than the scheme would see
	FlagMixed  = "part_missing"    // a composite with a part over nothing
)

// rungs of the ladder of disputes.
const rungs = 4

// figure counts a tally out.
func (s *sheet) figure(key Key, t *tally, c *cell, places int) Figure {
	f := Figure{Key: key}
	f.N, f.D = Of(int64(t.counts), 1), Of(int64(t.counts)+int64(t.fails), 1)
	f.Raw = f.Ratio
	decided := false
	var frozen int64
	for _, e := range t.rest() {
		o := s.table[e.verdict]
		w := s.weights[e.weight].Times(Of(e.n, 1))
		n, d := o.n.Times(w), o.d.Times(w)
		if o.in {
			f.N, f.D = f.N.Plus(n), f.D.Plus(d)
			if strings.HasSuffix(o.why, "carried") {
				f.Carried += e.n
			}
		} else {
			f.leave(o.why, e.n)
			if o.why == "suspended" {
				frozen += e.n
			}
		}
		if o.raw != absent {
			decided = true
			o = s.table[o.raw]
			n, d = o.n.Times(w), o.d.Times(w)
		}
		if o.in {
			f.Raw.N, f.Raw.D = f.Raw.N.Plus(n), f.Raw.D.Plus(d)
		}
	}
	for i := range f.Left {
		n := Of(f.Left[i].Count, 1)
		f.Left[i].Share = Ratio{n, f.D.Plus(n)}.Percent(places)
	}
	slices.SortFunc(f.Left, func(a, b Left) int { return cmp.Compare(a.Why, b.Why) })
	def := s.slots[key.Indicator].Definition
	f.Printed = def.print(f.Ratio, places)
	switch {
	case def.Measure == Minutes:
		f.Median, f.P90 = nearestRank(c.minutes, 5), nearestRank(c.minutes, 9)
		if len(c.minutes) > 0 {
			f.Printed = fmt.Sprintf("%d / %d", f.Median, f.P90)
		}
	case key.Indicator == Mediation:
		for r, n := range c.rungs {
			if r >= 1 && r <= rungs {
				f.Rungs = append(f.Rungs, make([]int64, max(0, r-len(f.Rungs)))...)
				f.Rungs[r-1] = n
			}
		}
	}
	if decided {
		f.Before = def.print(f.Raw, places)
	}
	if frozen > 0 && Of(frozen*100, 1).Compare(s.rules[FrozenCap].number.Fraction().Times(f.D)) > 0 {
		f.Flags = append(f.Flags, FlagFrozen)
	}
	return f
}

// leave notes what is left out.
func (f *Figure) leave(why string, n int64) {
	for i := range f.Left {
		if f.Left[i].Why == why {
			f.Left[i].Count += n
			return
		}
	}
	f.Left = append(f.Left, Left{Why: why, Count: n})
}

func (d Definition) print(r Ratio, places int) string {
	switch d.Measure {
	case Count:
		return r.N.Print(0)
	case Minutes:
		return None
	}
	return r.Percent(places)
}

// nearestRank returns the value at the rank ⌈tenths/10 · n⌉, 0 of nothing. It sorts the values.
func nearestRank(values []int32, tenths int) int32 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[(tenths*len(values)+9)/10-1]
}

// figures counts everything out, in the order of the keys.
func (s *sheet) figures(places int) []Figure {
	rated := map[int32]bool{}
	for _, u := range s.period.Units {
		rated[s.place(u.Unit)] = true
	}
	type spot struct {
		cellKey
		asIs bool
		*cell
	}
	var spots [families][]spot
	for i := range s.books {
		b := &s.books[i]
		for u := range rated {
			b.cell(cellKey{u, all}) // there is a figure for it, even over nothing
		}
		for key, c := range b.cells {
			if key.unit == all || key.street == all || rated[key.unit] {
				spots[i] = append(spots[i], spot{key, false, c})
			}
		}
		for key, c := range s.asIs(b) {
			spots[i] = append(spots[i], spot{key, true, c})
		}
		slices.SortFunc(spots[i], func(x, y spot) int {
			return s.key("", x.cellKey, x.asIs).compare(s.key("", y.cellKey, y.asIs))
		})
	}
	shown := func(def Definition, p spot) bool {
		total := p.street == all && !p.asIs && (p.unit == all || rated[p.unit] && !def.home)
		return total || !p.tallies[s.slots[def.Indicator].at].empty()
	}
	n := 0 // of figures: a city's year has so many that moving them costs more than counting them
	for _, def := range s.sortedDefinitions() {
		switch def.of {
		case ofFigures:
			n += len(spots[ofDemands])
		default:
			for _, p := range spots[def.of] {
				if shown(def, p) {
					n++
				}
			}
		}
	}
	fs := make([]Figure, 0, n)
	for _, def := range s.sortedDefinitions() {
		if def.of == ofFigures {
			fs = append(fs, composed(def.Indicator, fs, places)...)
			continue
		}
		at := s.slots[def.Indicator].at
		for _, p := range spots[def.of] {
			if shown(def, p) {
				fs = append(fs, s.figure(s.key(def.Indicator, p.cellKey, p.asIs), &p.tallies[at], p.cell, places))
			}
		}
	}
	return fs
}

func (s *sheet) key(i Indicator, c cellKey, asIs bool) Key {
	return Key{i, s.places[c.unit], s.places[c.street], asIs}
}

// sortedDefinitions returns the indicators by name.
func (s *sheet) sortedDefinitions() []Definition {
	defs := Definitions()
	slices.SortFunc(defs, func(a, b Definition) int { return cmp.Compare(a.Indicator, b.Indicator) })
	return defs
}

// asIs rolls the totals up over the places as they are now, where that makes a difference.
func (s *sheet) asIs(b *book) map[cellKey]*cell {
	if len(s.heirs) == 0 {
		return nil
	}
	touched := map[int32]bool{}
	for _, to := range s.heirs {
		touched[to] = true
	}
	sums := map[cellKey]*cell{}
	for key, c := range b.cells {
		if (key.unit == all) == (key.street == all) {
			continue
		}
		to := cellKey{s.now(key.unit), s.now(key.street)}
		if !touched[to.unit] && !touched[to.street] {
			continue
		}
		if sums[to] == nil {
			sums[to] = &cell{tallies: make([]tally, len(b.indicators))}
		}
		sums[to].merge(c)
	}
	return sums
}

// now returns where a place is counted now.
func (s *sheet) now(place int32) int32 {
	if to, moved := s.heirs[place]; moved {
		return to
	}
	return place
}

// parts returns the indicators that a composite is made of, with their weights in hundredths.
func parts(i Indicator) map[Indicator]int64 {
	if i != ThreeRates {
		return nil
	}
	return map[Indicator]int64{Response: 30, Resolution: 35, Satisfaction: 35}
}

// composed returns a composite for every unit and street that one of its parts has a figure of. With a part over nothing it is over nothing itself.
// Its parts come before it by name.
func composed(i Indicator, fs []Figure, places int) []Figure {
	type sum struct {
		Fraction
		parts int
	}
	of, sums := parts(i), map[Key]sum{}
	for k := range fs {
		f := &fs[k]
		share, part := of[f.Indicator]
		if !part {
			continue
		}
		key := f.Key
		key.Indicator = i
		at := sums[key]
		if x, ok := f.Value(); ok {
			at.parts++
			at.Fraction = at.Plus(x.Times(Of(share, 1)))
		}
		sums[key] = at
	}
	var cs []Figure
	for key, at := range sums {
		f := Figure{Key: key, Ratio: Ratio{at.Fraction, Of(100, 1)}}
		if at.parts < len(of) {
			f.Ratio, f.Flags = Ratio{Of(0, 1), Of(0, 1)}, []string{FlagMixed}
		}
		f.Raw, f.Printed = f.Ratio, f.Percent(places)
		cs = append(cs, f)
	}
	slices.SortFunc(cs, func(a, b Figure) int { return a.Key.compare(b.Key) })
	return cs
}
