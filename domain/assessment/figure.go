package assessment

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
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
	Left    []Left // what is left out, by reason
	Carried int64  // of the cohort: left over by an earlier period
	Rungs   [5]int64
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

// figure counts a tally out.
func (s *sheet) figure(key Key, t *tally, c *cell, places int) Figure {
	f := Figure{Key: key}
	f.N, f.D = Of(t.counts, 1), Of(t.counts+t.fails, 1)
	f.Raw = f.Ratio
	decided := false
	left := map[string]int64{}
	for _, e := range t.others {
		o := s.table[e.verdict]
		w := s.weights[e.weight].Times(Of(e.n, 1))
		n, d := o.n.Times(w), o.d.Times(w)
		if o.in {
			f.N, f.D = f.N.Plus(n), f.D.Plus(d)
			if strings.HasSuffix(o.why, "carried") {
				f.Carried += e.n
			}
		} else {
			left[o.why] += e.n
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
	for why, n := range left {
		f.Left = append(f.Left, Left{why, n, Ratio{Of(n, 1), f.D.Plus(Of(n, 1))}.Percent(places)})
	}
	slices.SortFunc(f.Left, func(a, b Left) int { return cmp.Compare(a.Why, b.Why) })
	def, _ := Define(key.Indicator)
	f.Printed = def.print(f.Ratio, places)
	switch {
	case def.Measure == Minutes:
		f.Median, f.P90 = nearestRank(c.minutes, 5), nearestRank(c.minutes, 9)
		if len(c.minutes) > 0 {
			f.Printed = fmt.Sprintf("%d / %d", f.Median, f.P90)
		}
	case key.Indicator == Mediation:
		for r, n := range c.rungs {
			if r >= 0 && r < len(f.Rungs) {
				f.Rungs[r] = n
			}
		}
	}
	if decided {
		f.Before = def.print(f.Raw, places)
	}
	if most := s.rules[FrozenCap].number.Fraction(); def.of == ofLegs && left["suspended"] > 0 &&
		Of(left["suspended"]*100, 1).Compare(most.Times(f.D)) > 0 {
		f.Flags = append(f.Flags, FlagFrozen)
	}
	return f
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
	var fs []Figure
	for i := range s.books {
		b := &s.books[i]
		for u := range rated {
			b.cell(cellKey{u, all}) // there is a figure for it, even over nothing
		}
		for key, c := range b.cells {
			if key.unit != all && key.street != all && !rated[key.unit] {
				continue
			}
			total := key.street == all && (key.unit == all || rated[key.unit])
			for k := range c.tallies {
				if t := &c.tallies[k]; !t.empty() || total && (key.unit == all || !b.home[k]) {
					fs = append(fs, s.figure(Key{b.indicators[k], s.places[key.unit], s.places[key.street], false}, t, c, places))
				}
			}
		}
		fs = append(fs, s.asIs(b, places)...)
	}
	slices.SortFunc(fs, func(a, b Figure) int { return a.Key.compare(b.Key) })
	return s.composed(fs, places)
}

// asIs rolls the totals up over the places as they are now, where that makes a difference.
func (s *sheet) asIs(b *book, places int) []Figure {
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
	var fs []Figure
	for key, c := range sums {
		for k := range c.tallies {
			if !c.tallies[k].empty() {
				fs = append(fs, s.figure(Key{b.indicators[k], s.places[key.unit], s.places[key.street], true}, &c.tallies[k], c, places))
			}
		}
	}
	return fs
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

// composed adds the composites to sorted figures. One with a part over nothing is over nothing itself.
func (s *sheet) composed(fs []Figure, places int) []Figure {
	sums := map[Key]*Figure{}
	parted := map[Key]int{}
	var added []Figure
	for _, f := range fs {
		share, part := parts(ThreeRates)[f.Indicator]
		if !part {
			continue
		}
		key := f.Key
		key.Indicator = ThreeRates
		if sums[key] == nil {
			sums[key] = &Figure{Key: key}
		}
		if x, ok := f.Value(); ok {
			parted[key]++
			sums[key].N = sums[key].N.Plus(x.Times(Of(share, 1)))
		}
	}
	for key, f := range sums {
		f.D = Of(100, 1)
		if parted[key] < len(parts(ThreeRates)) {
			f.Ratio = Ratio{Of(0, 1), Of(0, 1)}
			f.Flags = []string{FlagMixed}
		}
		f.Raw, f.Printed = f.Ratio, f.Percent(places)
		added = append(added, *f)
	}
	fs = append(fs, added...)
	slices.SortFunc(fs, func(a, b Figure) int { return a.Key.compare(b.Key) })
	return fs
}

// Finding is one case under one indicator, with the verdict on it.
type Finding struct {
	Indicator Indicator
	Unit      orgs.UnitCode
	Street    orgs.UnitCode
	Case      Case
	Demand    stream.ID // where each demand of an order or topic counts; else zero
	Name      string    // as in the list of the cohort
	Number    string    // 编号, "" where the case has none
	In        bool      // it is in the cohort
	N, D      Fraction  // what it adds
	Why       string    // why it does not count, or is left out; "" = it counts, or there is nothing to say
	Decided   bool      // by an exclusion or objection; before, it was:
	RawIn     bool
	RawN      Fraction
	RawD      Fraction
	RawWhy    string
	Minutes   int32 // of first_contact
}

// Open returns the cases that a figure counts, and those left out of it, by name: the same verdicts that were counted.
// A composite opens to the cases of its parts. It returns [ErrFigure] for an id that no figure can have.
func (r *Results) Open(id string) ([]Finding, error) {
	key, err := ParseKey(id)
	if err != nil {
		return nil, err
	}
	s := r.sheet
	if of := parts(key.Indicator); of != nil {
		var found []Finding
		for _, i := range []Indicator{Resolution, Response, Satisfaction} {
			part := key
			part.Indicator = i
			found = append(found, s.open(part)...)
		}
		return found, nil
	}
	return s.open(key), nil
}

func (s *sheet) open(key Key) []Finding {
	def, _ := Define(key.Indicator)
	b := &s.books[def.of]
	k := slices.Index(b.indicators, key.Indicator)
	unit, street := s.within(key.Unit, key.AsIs), s.within(key.Street, key.AsIs)
	var found []Finding
	take := func(c credit) {
		if v := b.of(int(c.at))[k]; v != absent && unit(c.unit) && street(c.street) {
			found = append(found, s.finding(def, c, v))
		}
	}
	if key.Unit == "" { // each case once
		for at := range b.cases {
			take(credit{at: int32(at), street: b.streets[at]})
		}
	} else {
		group := toHandler
		if def.home {
			group = toHome
		}
		for _, c := range b.credits[group] {
			take(c)
		}
	}
	slices.SortFunc(found, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Why, b.Why)) })
	return found
}

// within returns which places a code stands for.
func (s *sheet) within(code orgs.UnitCode, asIs bool) func(int32) bool {
	if code == "" {
		return func(int32) bool { return true }
	}
	at, known := s.index[code]
	return func(p int32) bool {
		if asIs {
			p = s.now(p)
		}
		return known && p == at
	}
}

func (s *sheet) finding(def Definition, c credit, v verdict) Finding {
	o, w := s.table[v], s.weights[c.weight]
	it := Finding{Indicator: def.Indicator, Unit: s.places[c.unit], Street: s.places[c.street], In: o.in, N: o.n.Times(w), D: o.d.Times(w), Why: o.why}
	if o.raw != absent {
		raw := s.table[o.raw]
		it.Decided, it.RawIn, it.RawN, it.RawD, it.RawWhy = true, raw.in, raw.n.Times(w), raw.d.Times(w), raw.why
	}
	it.Name = string(s.name(nil, def.of, c.at))
	switch def.of {
	case ofLegs:
		lc := s.legs[c.at]
		l := &s.facts.Legs[lc.leg]
		it.Case, it.Demand, it.Number = Case{Stream: stream.Of(stream.Order, l.Order), Leg: l.Number}, lc.demand, l.Case
		if def.Measure == Minutes && o.in {
			it.Minutes = l.minutes()
		}
	case ofDemands:
		d := &s.facts.Demands[c.at]
		it.Case, it.Number = Case{Stream: stream.Of(stream.Demand, d.ID)}, d.Number
	case ofSummonses:
		m := &s.facts.Summonses[c.at]
		it.Case = Case{Stream: stream.Of(stream.Whistle, m.Whistle), Unit: m.Unit}
	case ofDisputes:
		it.Case = Case{Stream: stream.Of(stream.Dispute, s.facts.Disputes[c.at].ID)}
	case ofTopics:
		tc := s.topics[c.at]
		it.Case, it.Demand = Case{Stream: stream.Of(stream.Topic, s.facts.Topics[tc.topic].ID)}, tc.demand
	case ofBlocks:
		it.Case = Case{Stream: stream.Keyed(stream.Gate, string(s.facts.Blocks[c.at].Target))}
	}
	return it
}

// name appends the name of a case: "order-<uuid>/2", "demand-<uuid>", "whistle-<uuid>/<unit>", "dispute-<uuid>", "topic-<uuid>", "gate-<unit>/<matter>/<seconds>",
// "matter-<code>"; with the demand behind it where each demand counts.
func (s *sheet) name(b []byte, f family, at int32) []byte {
	with := func(d stream.ID) {
		if !d.IsZero() {
			b = appendID(append(b, "/demand-"...), d)
		}
	}
	switch f {
	case ofLegs:
		c := s.legs[at]
		l := &s.facts.Legs[c.leg]
		b = appendID(append(b, "order-"...), l.Order)
		b = strconv.AppendInt(append(b, '/'), int64(l.Number), 10)
		with(c.demand)
	case ofDemands:
		b = appendID(append(b, "demand-"...), s.facts.Demands[at].ID)
	case ofSummonses:
		m := &s.facts.Summonses[at]
		b = appendID(append(b, "whistle-"...), m.Whistle)
		b = append(append(b, '/'), m.Unit...)
	case ofDisputes:
		b = appendID(append(b, "dispute-"...), s.facts.Disputes[at].ID)
	case ofTopics:
		c := s.topics[at]
		b = appendID(append(b, "topic-"...), s.facts.Topics[c.topic].ID)
		with(c.demand)
	case ofBlocks:
		c := s.facts.Blocks[at]
		b = append(append(append(append(b, "gate-"...), c.Target...), '/'), c.Matter...)
		b = strconv.AppendInt(append(b, '/'), c.At.Unix(), 10)
	case ofLoads:
		b = append(append(b, "matter-"...), s.loads[at].matter...)
	}
	return b
}

// appendID appends the text form of an id.
func appendID(b []byte, id stream.ID) []byte {
	b = append(hex.AppendEncode(b, id[0:4]), '-')
	b = append(hex.AppendEncode(b, id[4:6]), '-')
	b = append(hex.AppendEncode(b, id[6:8]), '-')
	b = append(hex.AppendEncode(b, id[8:10]), '-')
	return hex.AppendEncode(b, id[10:16])
}

// Cohort writes the list of all cohorts (§7.9), one line for each case, indicator and unit credited:
//
//	indicator|unit|case|numerator|reason
//
// sorted by bytes, so that "LC_ALL=C sort -c" finds it in order. The numerator is 0 or 1, or a fraction such as 3/5 where the scheme counts so; of a
// case that does not count as one, the denominator follows after "/": "1/2 of 1/2". A case that is left out has "-" and its reason.
func (r *Results) Cohort(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	if err := r.sheet.list(out); err != nil {
		return err
	}
	return out.Flush()
}

// CohortHash returns the SHA-256 of the list of cohorts, in hexadecimal.
func (r *Results) CohortHash() string {
	h := sha256.New()
	out := bufio.NewWriterSize(h, 1<<16)
	_ = r.sheet.list(out) // a hash takes everything
	_ = out.Flush()
	return hex.EncodeToString(h.Sum(nil))
}

func (s *sheet) list(out *bufio.Writer) error {
	defs := slices.DeleteFunc(Definitions(), func(d Definition) bool { return d.of >= families })
	slices.SortFunc(defs, func(a, b Definition) int { return cmp.Compare(a.Indicator+"|", b.Indicator+"|") })
	var sorted [families][2][]credit
	ranks := s.ranks()
	said := make([][]byte, len(s.table)) // of each verdict, what stands behind the case's name
	for v, o := range s.table {
		said[v] = o.said(Of(1, 1))
	}
	var line, tail []byte
	for _, def := range defs {
		b := &s.books[def.of]
		k, group := slices.Index(b.indicators, def.Indicator), toHandler
		if def.home {
			group = toHome
		}
		if sorted[def.of][group] == nil {
			sorted[def.of][group] = s.sortedCredits(def.of, group, ranks)
		}
		for _, c := range sorted[def.of][group] {
			v := b.of(int(c.at))[k]
			if v == absent {
				continue
			}
			if tail = said[v]; c.weight != 0 {
				tail = s.table[v].said(s.weights[c.weight])
			}
			line = append(append(line[:0], def.Indicator...), '|')
			line = append(append(line, s.places[c.unit]...), '|')
			line = s.name(line, def.of, c.at)
			line = append(line, tail...)
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// said returns what the cohort's line says of an outcome that weighs so much.
func (o outcome) said(w Fraction) []byte {
	text := "-"
	if o.in {
		text = o.n.Times(w).String()
		if d := o.d.Times(w); d.Compare(Of(1, 1)) != 0 {
			text += " of " + d.String()
		}
	}
	return []byte("|" + text + "|" + o.why + "\n")
}

// ranks returns the rank of each place by its code as it stands in a line.
func (s *sheet) ranks() []int32 {
	by := make([]int32, len(s.places))
	for i := range by {
		by[i] = int32(i)
	}
	slices.SortFunc(by, func(a, b int32) int { return cmp.Compare(s.places[a]+"|", s.places[b]+"|") })
	rank := make([]int32, len(by))
	for r, at := range by {
		rank[at] = int32(r)
	}
	return rank
}

// sortedCredits returns credits in the order of their lines. Cases are sorted once for their family, then dealt out to their units.
func (s *sheet) sortedCredits(f family, group int, ranks []int32) []credit {
	b := &s.books[f]
	if b.order == nil {
		b.order = s.byName(f)
	}
	position := make([]int32, b.cases)
	for p, at := range b.order {
		position[at] = int32(p)
	}
	cs := slices.Clone(b.credits[group])
	keys := make([]uint64, len(cs))
	byKey := make([]int32, len(cs))
	for i, c := range cs {
		keys[i] = uint64(ranks[c.unit])<<32 | uint64(position[c.at])
		byKey[i] = int32(i)
	}
	slices.SortFunc(byKey, func(a, b int32) int { return cmp.Compare(keys[a], keys[b]) })
	sorted := make([]credit, len(cs))
	for i, at := range byKey {
		sorted[i] = cs[at]
	}
	return sorted
}

// byName returns the cases of a family in the order of their names followed by "|".
func (s *sheet) byName(f family) []int32 {
	b := &s.books[f]
	order := make([]int32, b.cases)
	for i := range order {
		order[i] = int32(i)
	}
	id := func(at int32) stream.ID {
		switch f {
		case ofLegs:
			return s.facts.Legs[s.legs[at].leg].Order
		case ofDemands:
			return s.facts.Demands[at].ID
		}
		return stream.ID{}
	}
	// Ids of one length compare as their text does; the first eight bytes nearly always tell.
	heads := make([]uint64, b.cases)
	for i := range heads {
		x := id(int32(i))
		for _, c := range x[:8] {
			heads[i] = heads[i]<<8 | uint64(c)
		}
	}
	slices.SortFunc(order, func(x, y int32) int {
		if c := cmp.Compare(heads[x], heads[y]); c != 0 {
			return c
		}
		return slices.Compare(append(s.name(nil, f, x), '|'), append(s.name(nil, f, y), '|'))
	})
	return order
}
