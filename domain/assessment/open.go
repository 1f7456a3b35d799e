package assessment

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// Finding is one case under one indicator, with the verdict on it.
type Finding struct {
	Indicator Indicator
	Unit      orgs.UnitCode
	Street    orgs.UnitCode
	Case      Case
	Demand    stream.ID // where each demand of an order or topic counts; else zero
	Name      string    // as in the list of the cohort
	Number    string    // 编号, "" where the case has none
	Report    bool      // it is of a report (举报), or names a demand that nothing here is known of: not everybody may know it
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
	found, _, err := r.Page(id, 0, -1)
	return found, err
}

// Page returns some of the cases that [Results.Open] returns, and how many there are: at most so many after skipping the first ones; −1 is all.
// The verdicts of a city's year take some milliseconds to look through, whatever the page.
func (r *Results) Page(id string, skip, most int) (found []Finding, of int, err error) {
	key, err := ParseKey(id)
	if err != nil {
		return nil, 0, err
	}
	keys := []Key{key}
	if parts := parts(key.Indicator); parts != nil {
		keys = nil
		for _, i := range slices.Sorted(maps.Keys(parts)) {
			keys = append(keys, Key{i, key.Unit, key.Street, key.AsIs})
		}
	}
	if r.sheet == nil {
		return nil, 0, ErrNotComputed
	}
	for _, k := range keys {
		rest := most
		if most >= 0 {
			rest = most - len(found)
		}
		cs, n := r.sheet.page(k, skip-of, rest)
		of += n
		in := r.sheet.slots[k.Indicator]
		for _, c := range cs {
			found = append(found, r.sheet.finding(in, c))
		}
	}
	return found, of, nil
}

// ErrNotComputed: there are numbers, as a seal recorded them, and no cases, since this program can not compute the scheme.
var ErrNotComputed = errors.New("the result was not computed by this program")

// page returns some of the credits behind a figure, and how many there are.
func (s *sheet) page(k Key, skip, most int) ([]credit, int) {
	from, upTo := max(0, skip), -1
	if most >= 0 {
		upTo = from + most
	}
	cs, of := s.behind(k, upTo)
	return cs[min(from, len(cs)):], of
}

// Request is an exclusion or an objection that names a case behind a figure, whatever became of it.
type Request struct {
	Exclusion int // its number, 0 for an objection
	Objection int
	Finding   Finding
}

// Requests returns the exclusions and objections that touch a figure, by number. It returns [ErrFigure] for an id that no figure can have.
func (r *Results) Requests(id string) (found []Request, err error) {
	key, err := ParseKey(id)
	if err != nil || r.sheet == nil {
		return nil, err
	}
	keys := []Key{key}
	if parts(key.Indicator) != nil {
		keys = nil
		for _, s := range composition(key.Indicator) {
			keys = append(keys, Key{s.Indicator, key.Unit, key.Street, key.AsIs})
		}
	}
	for _, k := range keys {
		asked := map[caseKey][]Request{}
		for _, e := range r.Period.Exclusions {
			if len(e.Indicators) == 0 || slices.Contains(e.Indicators, k.Indicator) {
				c := caseOf(e.Case)
				asked[c] = append(asked[c], Request{Exclusion: e.Number})
			}
		}
		for _, o := range r.Period.Objections {
			if o.Indicator == "" || o.Indicator == k.Indicator {
				c := caseOf(o.Case)
				asked[c] = append(asked[c], Request{Objection: o.Number})
			}
		}
		if len(asked) == 0 {
			continue
		}
		in := r.sheet.slots[k.Indicator]
		r.sheet.each(k, func(c credit) {
			for _, name := range r.sheet.keys(in.of, c.at) {
				for _, q := range asked[name] {
					q.Finding = r.sheet.finding(in, c)
					found = append(found, q)
				}
			}
		})
	}
	slices.SortFunc(found, func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.Exclusion, b.Exclusion), cmp.Compare(a.Objection, b.Objection), cmp.Compare(a.Finding.Indicator, b.Finding.Indicator),
			cmp.Compare(a.Finding.Name, b.Finding.Name), cmp.Compare(a.Finding.Unit, b.Finding.Unit))
	})
	return found, nil
}

func caseOf(c Case) caseKey { return caseKey{c.Stream.Category(), c.Stream.ID(), c.Leg, c.Unit} }

// keys returns the names that a request may call a case by: itself, what it is part of, and the demand that it counts.
func (s *sheet) keys(f family, at int32) []caseKey {
	switch f {
	case ofLegs:
		c := s.legs[at]
		l := &s.facts.Legs[c.leg]
		ks := []caseKey{{category: stream.Order, id: l.Order}, {category: stream.Order, id: l.Order, leg: l.Number}}
		if !c.demand.IsZero() {
			ks = append(ks, caseKey{category: stream.Demand, id: c.demand})
		}
		return ks
	case ofDemands:
		return []caseKey{{category: stream.Demand, id: s.facts.Demands[at].ID}}
	case ofSummonses:
		m := &s.facts.Summonses[at]
		return []caseKey{{category: stream.Whistle, id: m.Whistle}, {category: stream.Whistle, id: m.Whistle, unit: m.Unit}}
	case ofDisputes:
		return []caseKey{{category: stream.Dispute, id: s.facts.Disputes[at].ID}}
	case ofTopics:
		return []caseKey{{category: stream.Topic, id: s.facts.Topics[s.topics[at].topic].ID}}
	}
	return nil
}

// each calls back with the credits behind a figure, in the order of the facts.
func (s *sheet) each(key Key, take func(credit)) {
	in := s.slots[key.Indicator]
	b := &s.books[in.of]
	unit, street := s.within(key.Unit, key.AsIs), s.within(key.Street, key.AsIs)
	tell := func(c credit) {
		if b.of(int(c.at))[in.at] != absent && unit(c.unit) && street(c.street) {
			take(c)
		}
	}
	if key.Unit == "" { // each case once
		for at := range b.cases {
			tell(credit{at: int32(at), street: b.streets[at]})
		}
		return
	}
	for _, c := range b.credits[in.group()] {
		tell(c)
	}
}

// behind returns the credits behind a figure, by the names of their cases, and how many there are: the first so many, −1 is all. A city's year
// has a quarter of a million behind one figure; while they are looked through, no more is kept and put in order than can be asked for.
func (s *sheet) behind(key Key, most int) ([]credit, int) {
	in := s.slots[key.Indicator]
	type headed struct {
		head uint64 // the first bytes of the id: they nearly always tell
		credit
	}
	var cs []headed
	var x, y []byte
	compare := func(p, q headed) int {
		if p.head != q.head {
			return cmp.Compare(p.head, q.head)
		}
		x, y = s.name(x[:0], in.of, p.at), s.name(y[:0], in.of, q.at)
		return cmp.Or(bytes.Compare(x, y), cmp.Compare(s.places[p.unit], s.places[q.unit]))
	}
	of, kept := 0, 0 // kept: so many are the least so far, in order
	s.each(key, func(c credit) {
		of++
		id := s.id(in.of, c.at)
		h := headed{binary.BigEndian.Uint64(id[:]), c}
		if most >= 0 && kept == most && (most == 0 || compare(h, cs[kept-1]) > 0) {
			return
		}
		if cs = append(cs, h); most >= 0 && len(cs) >= 2*most+1000 {
			slices.SortFunc(cs, compare)
			cs, kept = cs[:most], most
		}
	})
	slices.SortFunc(cs, compare)
	if most >= 0 {
		cs = cs[:min(most, len(cs))]
	}
	sorted := make([]credit, len(cs))
	for i := range cs {
		sorted[i] = cs[i].credit
	}
	return sorted, of
}

// id returns the id that the name of a case begins with, zero where it begins with none.
func (s *sheet) id(f family, at int32) stream.ID {
	switch f {
	case ofLegs:
		return s.facts.Legs[s.legs[at].leg].Order
	case ofDemands:
		return s.facts.Demands[at].ID
	case ofSummonses:
		return s.facts.Summonses[at].Whistle
	}
	return stream.ID{}
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

func (s *sheet) finding(def slot, c credit) Finding {
	o, w := s.table[s.books[def.of].of(int(c.at))[def.at]], s.weights[c.weight]
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
		it.Report = l.Kind == kindReport || s.ofReport(lc.demand)
		if def.Measure == Minutes && o.in {
			it.Minutes = l.minutes()
		}
	case ofDemands:
		d := &s.facts.Demands[c.at]
		it.Case, it.Number, it.Report = Case{Stream: stream.Of(stream.Demand, d.ID)}, d.Number, d.Kind == kindReport
	case ofSummonses:
		m := &s.facts.Summonses[c.at]
		it.Case = Case{Stream: stream.Of(stream.Whistle, m.Whistle), Unit: m.Unit}
	case ofDisputes:
		d := &s.facts.Disputes[c.at]
		it.Case, it.Report = Case{Stream: stream.Of(stream.Dispute, d.ID)}, s.ofReport(d.Demand)
	case ofTopics:
		tc := s.topics[c.at]
		it.Case, it.Demand, it.Report = Case{Stream: stream.Of(stream.Topic, s.facts.Topics[tc.topic].ID)}, tc.demand, s.ofReport(tc.demand)
	case ofBlocks:
		it.Case = Case{Stream: stream.Keyed(stream.Gate, string(s.facts.Blocks[c.at].Target))}
	}
	return it
}

// ofReport says whether a demand is a report, or may be one: it is not among the facts.
func (s *sheet) ofReport(d stream.ID) bool {
	if d.IsZero() {
		return false
	}
	at, known := s.judge.demands.At(d)
	return !known || s.facts.Demands[at].Kind == kindReport
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
