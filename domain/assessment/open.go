package assessment

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
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
// The verdicts of a city's year take some tens of milliseconds to look through, whatever the page.
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
	skip = max(0, skip)
	for _, k := range keys {
		cs := r.sheet.behind(k)
		of += len(cs)
		from := min(skip, len(cs))
		to := len(cs)
		if most >= 0 {
			to = min(to, from+max(0, most-len(found)))
		}
		skip -= from
		in := r.sheet.slots[k.Indicator]
		for _, c := range cs[from:to] {
			found = append(found, r.sheet.finding(in, c))
		}
	}
	return found, of, nil
}

// behind returns the credits behind a figure, by the names of their cases.
func (s *sheet) behind(key Key) []credit {
	in := s.slots[key.Indicator]
	b := &s.books[in.of]
	unit, street := s.within(key.Unit, key.AsIs), s.within(key.Street, key.AsIs)
	type headed struct {
		head uint64 // the first bytes of the id: they nearly always tell
		credit
	}
	var cs []headed
	take := func(c credit) {
		if b.of(int(c.at))[in.at] != absent && unit(c.unit) && street(c.street) {
			id := s.id(in.of, c.at)
			cs = append(cs, headed{binary.BigEndian.Uint64(id[:]), c})
		}
	}
	if key.Unit == "" { // each case once
		for at := range b.cases {
			take(credit{at: int32(at), street: b.streets[at]})
		}
	} else {
		for _, c := range b.credits[in.group()] {
			take(c)
		}
	}
	var x, y []byte
	slices.SortFunc(cs, func(p, q headed) int {
		if p.head != q.head {
			return cmp.Compare(p.head, q.head)
		}
		x, y = s.name(x[:0], in.of, p.at), s.name(y[:0], in.of, q.at)
		return cmp.Or(bytes.Compare(x, y), cmp.Compare(s.places[p.unit], s.places[q.unit]))
	})
	sorted := make([]credit, len(cs))
	for i := range cs {
		sorted[i] = cs[i].credit
	}
	return sorted
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
