package assessment

import (
	"bytes"
	"cmp"
	"io"
	"slices"
)

// Cohort writes the list of all cohorts (§7.9), one line for each case, indicator and unit credited:
//
//	indicator|unit|case|numerator|reason
//
// sorted by bytes, so that "LC_ALL=C sort -c" finds it in order. The numerator is 0 or 1, or a fraction such as 3/5 where the scheme counts so; of a
// case that does not count as one, the denominator follows after "/": "1/2 of 1/2". A case that is left out has "-" and its reason.
func (r *Results) Cohort(w io.Writer) error {
	if r.sheet == nil {
		return ErrNotComputed
	}
	return r.sheet.list(w)
}

// CohortHash returns the SHA-256 of the list of cohorts, in hexadecimal; "" if there is none.
func (r *Results) CohortHash() string {
	if r.hashes == nil {
		return ""
	}
	return r.hashes.cohort()
}

func (s *sheet) list(out io.Writer) error {
	var sorted [families][2][]credit
	var named [families]*names
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
		b, k, group := &s.books[def.of], s.slots[def.Indicator].at, def.group()
		if named[def.of] == nil {
			named[def.of] = s.named(def.of)
		}
		if sorted[def.of][group] == nil {
			sorted[def.of][group] = named[def.of].deal(b.credits[group], ranks)
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
			lines = append(append(lines, named[def.of].of(c.at)...), tail...)
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

// names are the names of all cases of a family, and their order.
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

// deal returns credits in the order of their lines. Cases are sorted once for their family, then dealt out to their units.
func (n *names) deal(credits []credit, ranks []int32) []credit {
	type placed struct {
		key uint64
		credit
	}
	cs := make([]placed, len(credits))
	for i, c := range credits {
		cs[i] = placed{uint64(ranks[c.unit])<<32 | uint64(n.place[c.at]), c}
	}
	slices.SortFunc(cs, func(a, b placed) int { return cmp.Compare(a.key, b.key) })
	sorted := make([]credit, len(cs))
	for i := range cs {
		sorted[i] = cs[i].credit
	}
	return sorted
}

// named names the cases of a family and puts them in order.
func (s *sheet) named(f family) *names {
	b := &s.books[f]
	n := &names{ends: make([]int32, b.cases), place: make([]int32, b.cases)}
	type headed struct {
		head uint64 // the first bytes of the id
		at   int32
	}
	order := make([]headed, b.cases)
	shared := map[family]int{ofLegs: len("order-"), ofDemands: len("demand-")}[f]
	for i := range order {
		from := len(n.text)
		n.text = s.name(n.text, f, int32(i))
		n.ends[i] = int32(len(n.text))
		h := headed{at: int32(i)}
		for _, c := range n.text[min(from+shared, len(n.text)):min(from+shared+8, len(n.text))] {
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
	return n
}
