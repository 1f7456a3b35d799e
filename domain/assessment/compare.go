package assessment

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"gridcase/domain/orgs"
)

// Comparison says of one unit how two results differ, and why: of two schemes on the same facts, or of two periods.
type Comparison struct {
	Unit   orgs.UnitCode
	Name   string
	Kind   orgs.Kind
	Before Standing // zero if it was not assessed then
	After  Standing
	Rises  int      // places gained in the rank; negative: lost; 0 also where one of them is not ranked
	Change Value    // of the annual score, or where one of them lacks it of the streets' score
	Parts  []Shift  // of the streets' score: they sum to its change
	Causes []Effect // of the changes of the scheme, each on its own, applied to what was before
	Rest   Fraction // Change less Causes: the cases, the evaluations, and what the changes of the scheme do together
}

// Shift is what one part of a score was and is.
type Shift struct {
	What          string
	Before, After Fraction
}

// Effect is what one change of a scheme alone makes of a score.
type Effect struct {
	What     string // a member of the scheme or a choice: "share", "choices.aggregate"
	From, To string // of a choice
	By       Fraction
}

// Compare says who rises and who falls from a to b, and because of what. It computes a again for every place where the schemes differ.
func Compare(a, b *Results) []Comparison {
	before, after := byUnit(a.Standings), byUnit(b.Standings)
	units := maps.Clone(before)
	maps.Copy(units, after)
	var cs []Comparison
	for _, u := range slices.Sorted(maps.Keys(units)) {
		c := Comparison{Unit: u, Name: units[u].Name, Kind: units[u].Kind, Before: before[u], After: after[u]}
		if c.Before.Rank > 0 && c.After.Rank > 0 {
			c.Rises = c.Before.Rank - c.After.Rank
		}
		c.Change = change(c.Before, c.After)
		c.Parts = shifts(c.Before.Parts, c.After.Parts)
		c.Rest = c.Change.Fraction
		cs = append(cs, c)
	}
	for _, e := range differences(a.Scheme, b.Scheme) {
		mixed, err := Compute(e.scheme, a.Period, a.facts)
		if err != nil {
			continue // alone it makes no scheme, such as points that sum to 100 only together: it stays in the rest
		}
		with := byUnit(mixed.Standings)
		for i := range cs {
			c := &cs[i]
			by := change(c.Before, with[c.Unit])
			if c.Change.Known && by.Known && !by.IsZero() && annual(c.Before, c.After) == annual(c.Before, with[c.Unit]) {
				effect := e.Effect
				effect.By = by.Fraction
				c.Causes = append(c.Causes, effect)
				c.Rest = c.Rest.Minus(by.Fraction)
			}
		}
	}
	return cs
}

func byUnit(ss []Standing) map[orgs.UnitCode]Standing {
	m := map[orgs.UnitCode]Standing{}
	for _, s := range ss {
		m[s.Unit] = s
	}
	return m
}

// annual reports whether both have an annual score.
func annual(a, b Standing) bool { return a.Annual.Known && b.Annual.Known }

func change(a, b Standing) Value {
	switch {
	case annual(a, b):
		return known(b.Annual.Minus(a.Annual.Fraction))
	case a.Streets.Known && b.Streets.Known:
		return known(b.Streets.Minus(a.Streets.Fraction))
	}
	return Value{}
}

// shifts pairs the parts by name.
func shifts(before, after []Part) []Shift {
	m := map[string]Shift{}
	for _, p := range before {
		m[p.What] = Shift{What: p.What, Before: p.Amount}
	}
	for _, p := range after {
		s := m[p.What]
		m[p.What] = Shift{p.What, s.Before, p.Amount}
	}
	ss := slices.Collect(maps.Values(m))
	slices.SortFunc(ss, func(a, b Shift) int { return cmp.Compare(a.What, b.What) })
	return ss
}

// difference is a scheme with one of its members as another has it.
type difference struct {
	Effect
	scheme Scheme
}

// differences returns the first scheme once for every member and choice in which the second differs, with that one changed.
func differences(a, b Scheme) []difference {
	var ds []difference
	add := func(what string, same bool, set func(*Scheme)) {
		if !same {
			s := a
			set(&s)
			ds = append(ds, difference{Effect{What: what}, s})
		}
	}
	add("subjects", reflect.DeepEqual(a.Subjects, b.Subjects), func(s *Scheme) { s.Subjects = b.Subjects })
	add("every", a.Every == b.Every, func(s *Scheme) { s.Every = b.Every })
	add("objective", reflect.DeepEqual(a.Objective, b.Objective), func(s *Scheme) { s.Objective = b.Objective })
	add("form", reflect.DeepEqual(a.Form, b.Form), func(s *Scheme) { s.Form = b.Form })
	add("share", a.Share == b.Share, func(s *Scheme) { s.Share = b.Share })
	add("deductions", reflect.DeepEqual(a.Deductions, b.Deductions), func(s *Scheme) { s.Deductions = b.Deductions })
	add("bonuses", reflect.DeepEqual(a.Bonuses, b.Bonuses), func(s *Scheme) { s.Bonuses = b.Bonuses })
	for _, c := range Choices() {
		from, to := a.Choices[c.Name], b.Choices[c.Name]
		if from == to {
			continue
		}
		s := a
		s.Choices = maps.Clone(a.Choices)
		s.Choices[c.Name] = to
		ds = append(ds, difference{Effect{What: "choices." + string(c.Name), From: from, To: to}, s})
	}
	return ds
}

// Change is a number that a revision makes another. "" is one that is not there.
type Change struct {
	ID            string // of the figure; or "score:u=…:s=…", "streets:u=…", "year:u=…", "annual:u=…", "rank:u=…"
	Before, After string // exact: of a figure "n of d"
	Old, New      string // as printed
}

// Diff lists every number that differs from one to the other, in the order of the ids (of figures, then scores, then standings): what a revision
// states beside its reason.
func Diff(before, after *Results) []Change {
	var cs []Change
	for _, list := range []func(*Results) map[string][2]string{figureTexts, scoreTexts, standingTexts} {
		old, now := list(before), list(after)
		ids := map[string]bool{}
		for id := range old {
			ids[id] = true
		}
		for id := range now {
			ids[id] = true
		}
		for _, id := range slices.Sorted(maps.Keys(ids)) {
			if o, n := old[id], now[id]; o != n {
				cs = append(cs, Change{id, o[0], n[0], o[1], n[1]})
			}
		}
	}
	return cs
}

func figureTexts(r *Results) map[string][2]string {
	m := make(map[string][2]string, len(r.Figures))
	for i := range r.Figures {
		f := &r.Figures[i]
		exact := f.N.String() + " of " + f.D.String()
		if r.sheet.slots[f.Indicator].Measure == Minutes {
			exact += ": " + f.Printed
		}
		m[f.Key.String()] = [2]string{exact, f.Printed}
	}
	return m
}

func scoreTexts(r *Results) map[string][2]string {
	m := map[string][2]string{}
	for _, s := range r.Scores {
		m["score:u="+string(s.Unit)+":s="+string(s.Street)] = [2]string{s.Value.String(), s.Printed}
	}
	return m
}

func standingTexts(r *Results) map[string][2]string {
	m := map[string][2]string{}
	for _, s := range r.Standings {
		for i, v := range []Value{s.Streets, s.Year, s.Annual} {
			m[[]string{"streets", "year", "annual"}[i]+":u="+string(s.Unit)] = [2]string{v.String(), s.Printed[i]}
		}
		m["rank:u="+string(s.Unit)] = [2]string{strconv.Itoa(s.Rank), strconv.Itoa(s.Rank)}
	}
	return m
}
