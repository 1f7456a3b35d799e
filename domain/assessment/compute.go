package assessment

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Results is what an assessment comes to: every figure, every street's evaluation, every unit's standing. It opens every figure to the cases
// behind it, and keeps the facts for that; nobody may change them afterwards.
type Results struct {
	Scheme    Scheme
	Hash      string // of the scheme
	Period    Period
	Figures   []Figure   // by [Key]
	Scores    []Score    // by unit and street
	Standings []Standing // by unit
	Notes     []string   // what was given and changed nothing, in order
	Undecided int        // exclusions and objections that wait for a decision: the period can not be sealed
	Places    int        // of what is printed

	facts  Facts
	sheet  *sheet
	hashes *hashes // of what was computed
}

// hashes are computed once: every page of a sealed period compares them.
type hashes struct{ results, cohort func() string }

// computation is a results in the making.
type computation struct {
	*sheet
	scheme  Scheme
	places  int
	figures []Figure
	notes   []string
}

// Compute counts the facts under the scheme. The same input gives the same bytes, in whatever order the facts come.
// A scheme whose weight is below the floor computes too, so that a draft can be tried on a past period; any other fault of it is the error,
// and so is a period without days.
func Compute(s Scheme, p Period, f Facts) (*Results, error) {
	for _, f := range Validate(s) {
		if f.Code != weightBelowFloor {
			return nil, fmt.Errorf("scheme %q: %w", s.Name, f)
		}
	}
	if p.First.IsZero() || p.Last < p.First {
		return nil, fmt.Errorf("period from %q to %q has no days", p.First, p.Last)
	}
	rs, err := read(s.Choices)
	if err != nil {
		return nil, err
	}
	hash, err := Hash(s)
	if err != nil {
		return nil, err
	}
	places, _ := rs[Rounding].number.Fraction().whole()
	r := &Results{Scheme: s, Hash: hash, Period: p, Places: int(places), facts: f}
	r.sheet = newSheet(rs, s.Choices, p, &r.facts)
	c := &computation{sheet: r.sheet, scheme: s, places: int(places)}
	c.figures = r.sheet.figures(int(places))
	r.Scores = c.scores()
	r.Standings = c.standings(r.Scores)
	r.Figures = c.figures
	for name := range r.sheet.idle() {
		c.notes = append(c.notes, name+": changed nothing")
	}
	slices.Sort(c.notes)
	r.Notes = c.notes
	for _, e := range p.Exclusions {
		if e.Status == Undecided {
			r.Undecided++
		}
	}
	for _, o := range p.Objections {
		if o.Status == Undecided {
			r.Undecided++
		}
	}
	computed := *r
	r.hashes = &hashes{sync.OnceValue(func() string { return digest(computed.Canonical) }), sync.OnceValue(func() string { return digest(computed.Cohort) })}
	return r, nil
}

// digest returns the SHA-256 of what is written, in hexadecimal.
func digest(write func(io.Writer) error) string {
	h := sha256.New()
	_ = write(h) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}

// Sort puts figures, scores and standings that were not computed here in the order of [Results].
func Sort(r *Results) {
	slices.SortFunc(r.Figures, func(a, b Figure) int { return a.Key.compare(b.Key) })
	slices.SortFunc(r.Scores, func(a, b Score) int { return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Street, b.Street)) })
	slices.SortFunc(r.Standings, func(a, b Standing) int { return cmp.Compare(a.Unit, b.Unit) })
}

// Figure returns the figure of that id, false if there is none.
func (r *Results) Figure(id string) (Figure, bool) {
	key, err := ParseKey(id)
	if err != nil {
		return Figure{}, false
	}
	at, found := slices.BinarySearchFunc(r.Figures, key, func(f Figure, k Key) int { return f.Key.compare(k) })
	if !found {
		return Figure{}, false
	}
	return r.Figures[at], true
}

// Canonical writes the results as lines of fields with "|" between them:
//
//	gridcase-results/1
//	scheme|<hash>
//	period|<id>|<jurisdiction>|<first day>|<last day>
//	figure|<id>|<n>|<d>|<printed>|<raw n>|<raw d>|<before>|<median>|<p90>|<carried>|<rungs>|<left>|<flags>
//	score|<unit>|<street>|<objective>|<subjective>|<score>|<printed>|<weight>|<flags>
//	standing|<unit>|<kind>|<streets>|<year>|<other>|<annual>|<three of them printed>|<street rank>|<rank>|<flags>
//	note|<text>
//
// Figures come by indicator, unit and street, scores by unit and street, standings by unit. Numbers are exact, "n/d" in lowest terms but for the
// numerator and denominator of a figure, each of which is one; what is missing is "—"; lists are separated by ",", and what is left out is "reason=count".
func (r *Results) Canonical(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	line := func(fields ...string) {
		_, _ = out.WriteString(strings.Join(fields, "|")) // the writer keeps its error until Flush
		_ = out.WriteByte('\n')
	}
	line("gridcase-results/1")
	line("scheme", r.Hash)
	line("period", r.Period.ID.String(), string(r.Period.Jurisdiction), r.Period.First.String(), r.Period.Last.String())
	for i := range r.Figures {
		f := &r.Figures[i]
		line("figure", f.Key.String(), f.N.String(), f.D.String(), f.Printed, f.Raw.N.String(), f.Raw.D.String(), f.Before,
			strconv.Itoa(int(f.Median)), strconv.Itoa(int(f.P90)), strconv.FormatInt(f.Carried, 10), f.rungs(), f.left(), strings.Join(f.Flags, ","))
	}
	for _, s := range r.Scores {
		line("score", string(s.Unit), string(s.Street), s.Objective.String(), s.Subjective.String(), s.Value.String(), s.Printed, s.Weight.String(), strings.Join(s.Flags, ","))
	}
	for _, s := range r.Standings {
		line("standing", string(s.Unit), string(s.Kind), s.Streets.String(), s.Year.String(), s.Other.String(), s.Annual.String(),
			strings.Join(s.Printed[:], ","), strconv.Itoa(s.StreetRank), strconv.Itoa(s.Rank), strings.Join(s.Flags, ","))
	}
	for _, n := range r.Notes {
		line("note", n)
	}
	return out.Flush()
}

// String returns the exact number, [None] if it is missing.
func (v Value) String() string {
	if !v.Known {
		return None
	}
	return v.Fraction.String()
}

// MarshalText writes [Value.String].
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads it.
func (v *Value) UnmarshalText(b []byte) error {
	if string(b) == None {
		*v = Value{}
		return nil
	}
	v.Known = true
	return v.Fraction.UnmarshalText(b)
}

func (f *Figure) rungs() string {
	var ns []string
	for _, n := range f.Rungs {
		ns = append(ns, strconv.FormatInt(n, 10))
	}
	return strings.Join(ns, ",")
}

func (f *Figure) left() string {
	var ls []string
	for _, l := range f.Left {
		ls = append(ls, l.Why+"="+strconv.FormatInt(l.Count, 10))
	}
	return strings.Join(ls, ",")
}

// ResultsHash returns the SHA-256 of the canonical bytes as they were computed, in hexadecimal; "" if they were not.
func (r *Results) ResultsHash() string {
	if r.hashes == nil {
		return ""
	}
	return r.hashes.results()
}
