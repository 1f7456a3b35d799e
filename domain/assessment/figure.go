package assessment

import (
	"bytes"
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
	f.N, f.D = Of(t.counts, 1), Of(t.counts+t.fails, 1)
	f.Raw = f.Ratio
	decided := false
	var frozen int64
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
	most := 0
	for _, in := range s.slots {
		if in.of < families {
			most += len(spots[in.of])
		}
	}
	fs := make([]Figure, 0, most)
	for _, def := range s.sortedDefinitions() {
		if def.of == ofFigures {
			fs = append(fs, composed(def.Indicator, fs, places)...)
			continue
		}
		at := s.slots[def.Indicator].at
		for _, p := range spots[def.of] {
			total := p.street == all && !p.asIs && (p.unit == all || rated[p.unit] && !def.home)
			if t := &p.tallies[at]; total || !t.empty() {
				fs = append(fs, s.figure(s.key(def.Indicator, p.cellKey, p.asIs), t, p.cell, places))
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
	def := s.slots[key.Indicator]
	b, k := &s.books[def.of], def.at
	unit, street := s.within(key.Unit, key.AsIs), s.within(key.Street, key.AsIs)
	var found []Finding
	take := func(c credit) {
		if v := b.of(int(c.at))[k]; v != absent && unit(c.unit) && street(c.street) {
			found = append(found, s.finding(def.Definition, c, v))
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
	return r.sheet.list(w)
}

// CohortHash returns the SHA-256 of the list of cohorts, in hexadecimal.
func (r *Results) CohortHash() string {
	h := sha256.New()
	_ = r.sheet.list(h) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}

func (s *sheet) list(out io.Writer) error {
	var sorted [families][2][]credit
	ranks := s.ranks()
	said := make([][]byte, len(s.table)) // of each verdict, what stands behind the case's name
	for v, o := range s.table {
		said[v] = o.said(Of(1, 1))
	}
	defs := Definitions()
	slices.SortFunc(defs, func(a, b Definition) int { return cmp.Compare(a.Indicator+"|", b.Indicator+"|") }) // as it stands in a line
	var lines, tail []byte
	for _, def := range defs {
		if def.of == ofFigures {
			continue
		}
		b, k, group := &s.books[def.of], s.slots[def.Indicator].at, toHandler
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
			lines = append(append(lines, def.Indicator...), '|')
			lines = append(append(lines, s.places[c.unit]...), '|')
			lines = append(append(lines, b.names.of(c.at)...), tail...)
			if len(lines) > 1<<15 {
				if _, err := out.Write(lines); err != nil {
					return err
				}
				lines = lines[:0]
			}
		}
	}
	_, err := out.Write(lines)
	return err
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
	if b.names.place == nil {
		s.nameAll(f)
	}
	type placed struct {
		key uint64
		credit
	}
	cs := make([]placed, len(b.credits[group]))
	for i, c := range b.credits[group] {
		cs[i] = placed{uint64(ranks[c.unit])<<32 | uint64(b.names.place[c.at]), c}
	}
	slices.SortFunc(cs, func(a, b placed) int { return cmp.Compare(a.key, b.key) })
	sorted := make([]credit, len(cs))
	for i := range cs {
		sorted[i] = cs[i].credit
	}
	return sorted
}

// names are the names of all cases of a book, and their order.
type names struct {
	text  []byte
	ends  []int32 // of the name of each case in the text
	place []int32 // of each case among them all, by its name followed by "|"
}

func (n *names) of(at int32) []byte {
	if at == 0 {
		return n.text[:n.ends[0]]
	}
	return n.text[n.ends[at-1]:n.ends[at]]
}

// nameAll names the cases of a family and puts them in order.
func (s *sheet) nameAll(f family) {
	b := &s.books[f]
	n := names{ends: make([]int32, b.cases), place: make([]int32, b.cases)}
	type headed struct {
		head uint64 // of the name, behind the word that all share
		at   int32
	}
	order := make([]headed, b.cases)
	for i := range order {
		from := len(n.text)
		n.text = s.name(n.text, f, int32(i))
		n.ends[i] = int32(len(n.text))
		h := headed{at: int32(i)}
		for _, c := range n.text[min(from+len("whistle-"), len(n.text)):min(from+len("whistle-")+8, len(n.text))] {
			h.head = h.head<<8 | uint64(c)
		}
		order[i] = h
	}
	slices.SortFunc(order, func(x, y headed) int {
		if c := cmp.Compare(x.head, y.head); c != 0 && f <= ofDemands {
			return c
		}
		a, b := n.of(x.at), n.of(y.at)
		if bytes.HasPrefix(a, b) || bytes.HasPrefix(b, a) {
			a, b = append(slices.Clone(a), '|'), append(slices.Clone(b), '|')
		}
		return bytes.Compare(a, b)
	})
	for p, h := range order {
		n.place[h.at] = int32(p)
	}
	b.names = n
}
