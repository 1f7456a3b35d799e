package assessment

import (
	"fmt"
	"slices"
	"strings"

	"gridcase/domain/orgs"
)

// Working is one line of the arithmetic behind a number, so that anybody can do it again on paper.
type Working struct {
	What  string // an indicator, or "objective", "subjective", "score", "streets", "agencies", "year", "annual"
	Sum   string // with the numbers put in, all of them exact, such as "30 × 1855 / 1935"; one that takes more than [longest] characters is cut to six places and "…"
	Value Value  // exact, after the rounding of the step if the scheme rounds each
}

// longest is how many characters an exact number may take in a sum. The step before it has it in full.
const longest = 60

// number writes a fraction so that it can be read back: as a decimal number if that is exact, else as "(n / d)".
func number(f Fraction) string {
	if f.Round(4).Compare(f) == 0 {
		if s := decimal(f); len(s) <= longest {
			return s
		}
	}
	if n, d, over := strings.Cut(f.String(), "/"); over && len(n)+len(d)+5 <= longest {
		return "(" + n + " / " + d + ")"
	}
	return f.Print(6) + "…"
}

func (r Ratio) sum() string { return "100 × " + number(r.N) + " / " + number(r.D) }

// Steps returns the arithmetic of a figure: of its parts first, if it has some. A figure over nothing has none.
func (r *Results) Steps(f Figure) []Working {
	def, _ := Define(f.Indicator)
	x, ok := f.Value()
	switch {
	case !ok || def.Measure == Minutes:
		return nil
	case def.Measure == Count:
		return []Working{{string(f.Indicator), number(f.N), known(f.N)}}
	case def.Measure == Composite:
		var steps []Working
		var terms []string
		for _, i := range composition(f.Indicator) {
			part, found := r.Figure(Key{i.Indicator, f.Unit, f.Street, f.AsIs}.String())
			if y, ok := part.Value(); found && ok {
				y = y.Times(hundred())
				steps = append(steps, Working{string(i.Indicator), part.Ratio.sum(), known(y)})
				terms = append(terms, number(Of(i.hundredths, 100))+" × "+number(y))
			}
		}
		return append(steps, Working{string(f.Indicator), strings.Join(terms, " + "), known(x.Times(hundred()))})
	}
	return []Working{{string(f.Indicator), f.Ratio.sum(), known(x.Times(hundred()))}}
}

type portion struct {
	Indicator
	hundredths int64
}

// composition returns the parts of a composite in the order of the rule book.
func composition(i Indicator) (shares []portion) {
	for _, def := range Definitions() {
		if h, part := parts(i)[def.Indicator]; part {
			shares = append(shares, portion{def.Indicator, h})
		}
	}
	return shares
}

// Parts returns the figures that a figure is made of: of a composite its parts, of one over all streets those of each street, where nothing
// is left out and a unit is their sum. A figure of one street is made of cases alone.
func (r *Results) Parts(f Figure) (ps []Figure) {
	if of := parts(f.Indicator); of != nil {
		for _, s := range composition(f.Indicator) {
			if p, found := r.Figure(Key{s.Indicator, f.Unit, f.Street, f.AsIs}.String()); found {
				ps = append(ps, p)
			}
		}
		return ps
	}
	if f.Street != "" {
		return nil
	}
	from, _ := slices.BinarySearchFunc(r.Figures, Key{Indicator: f.Indicator, Unit: f.Unit}, func(f Figure, k Key) int { return f.Key.compare(k) })
	for i := from; i < len(r.Figures) && r.Figures[i].Indicator == f.Indicator && r.Figures[i].Unit == f.Unit; i++ {
		if p := r.Figures[i]; p.Street != "" && p.AsIs == f.AsIs {
			ps = append(ps, p)
		}
	}
	return ps
}

// StepsOf returns the arithmetic of a street's evaluation of a unit, item by item.
func (r *Results) StepsOf(sc *Score) []Working {
	rs, err := read(r.Scheme.Choices)
	if err != nil {
		return nil
	}
	a := arithmetic{r, rs}
	steps := append(a.objective(sc), a.subjective(sc)...)
	if !sc.Value.Known {
		return append(steps, Working{What: "score", Sum: None})
	}
	w := r.Scheme.Share.Fraction().Over(hundred())
	var terms []string
	switch {
	case sc.Objective.Known && sc.Subjective.Known:
		terms = []string{number(w) + " × " + number(sc.Objective.Fraction), number(Of(1, 1).Minus(w)) + " × " + number(sc.Subjective.Fraction)}
	case sc.Objective.Known:
		terms = []string{number(sc.Objective.Fraction)}
	case sc.Subjective.Known:
		terms = []string{number(sc.Subjective.Fraction)}
	}
	sum := strings.Join(terms, " + ")
	for i, t := range sc.Deductions {
		steps = append(steps, a.told(r.Scheme.Deductions[i], t))
		sum += " − " + number(Fraction{}.Minus(t.Points))
	}
	sum = "max(0, min(100, " + sum + "))"
	for i, t := range sc.Bonuses {
		steps = append(steps, a.told(r.Scheme.Bonuses[i], t))
		sum += " + " + number(t.Points)
	}
	return append(steps, Working{"score", sum, sc.Value})
}

type arithmetic struct {
	*Results
	rules rules
}

func (a arithmetic) objective(sc *Score) (steps []Working) {
	got, most := []string{}, []string{}
	cards := a.rules.is(ObjMode, "cards")
	var n, d []string
	for i, line := range sc.Items {
		step := Working{What: string(line.Indicator), Sum: None}
		switch {
		case line.Dropped:
		case cards:
			step.Sum, n, d = line.Ratio.sum(), append(n, number(line.Ratio.N)), append(d, number(line.Ratio.D))
			if x, ok := line.Ratio.Value(); ok {
				step.Value = known(x.Times(hundred()))
			}
		default:
			step.Sum, step.Value = a.item(a.Scheme.Objective[i], line), known(line.Points)
			got, most = append(got, number(line.Points)), append(most, number(line.Most.Fraction()))
		}
		steps = append(steps, step)
	}
	sum := None
	switch {
	case len(n) > 0:
		sum = "100 × (" + strings.Join(n, " + ") + ") / (" + strings.Join(d, " + ") + ")"
	case len(got) > 0:
		sum = "(" + strings.Join(got, " + ") + ") × 100 / (" + strings.Join(most, " + ") + ")"
	case sc.Objective.Known:
		sum = number(sc.Objective.Fraction) // too few cases: what the choice no_case gives
	}
	return append(steps, Working{"objective", sum, sc.Objective})
}

// item puts the numbers into the shape of an item.
func (a arithmetic) item(it Item, line Scored) string {
	most := number(it.Points.Fraction())
	if line.Ratio.D.IsZero() {
		if empty := a.rules[EmptyItem]; empty.word == "neutral" {
			return most + " × " + number(empty.number.Fraction()) + " / 100"
		}
		return most
	}
	x := line.Ratio.sum()
	switch it.Shape {
	case Target:
		miss := fmt.Sprintf("max(0, %s − %s)", it.Target, x)
		switch it.Step {
		case Started:
			miss = "ceil(" + miss + ")"
		case Completed:
			miss = "floor(" + miss + ")"
		}
		return fmt.Sprintf("max(%s, %s − %s × %s)", it.Floor, most, it.K, miss)
	case Banded:
		for _, b := range it.Bands {
			if y, _ := line.Ratio.Value(); y.Times(hundred()).Compare(b.From.Fraction()) >= 0 {
				return fmt.Sprintf("%s ≥ %s → %s", x, b.From, b.Points)
			}
		}
		return x + " → 0"
	}
	return most + " × " + number(line.Ratio.N) + " / " + number(line.Ratio.D)
}

// told puts the numbers into a deduction or bonus.
func (a arithmetic) told(it Item, t Told) Working {
	events, _ := t.Events.Floor().whole()
	events, first := max(0, events), max(0, events)
	if it.From > 0 {
		first = min(events, int64(it.From)-1)
	}
	sum := fmt.Sprintf("min(%s, %d × %s + %d × %s)", it.Points, first, it.Each, events-first, it.Then)
	if it.Shape == PerEvent {
		sum = "0 − " + sum
	}
	return Working{string(t.Indicator), sum, known(t.Points)}
}

func (a arithmetic) subjective(sc *Score) []Working {
	var marks []string
	for i := range a.Period.Evaluations {
		if e := &a.Period.Evaluations[i]; e.Street == sc.Street && e.Unit == sc.Unit {
			for _, g := range e.Items {
				marks = append(marks, g.Points.String())
			}
		}
	}
	form, sum := strings.Join(marks, " + "), None
	share := a.rules[SubjCaseShare].number.Fraction()
	switch {
	case !sc.Subjective.Known:
	case sc.Form.Known && sc.Ratings.Known:
		sum = fmt.Sprintf("%s × (%s) + %s × %s", number(Of(1, 1).Minus(share)), form, number(share), number(sc.Ratings.Fraction))
	case sc.Form.Known:
		sum = form
	default:
		sum = number(sc.Ratings.Fraction)
	}
	return []Working{{"subjective", sum, sc.Subjective}}
}

// StepsTo returns how the streets' evaluations, the year and the rest of the annual score come together in a standing.
func (r *Results) StepsTo(st *Standing) (steps []Working) {
	rs, err := read(r.Scheme.Choices)
	if err != nil {
		return nil
	}
	var terms, weights []string
	sum, of := Fraction{}, Fraction{}
	for i := range r.Scores {
		if sc := &r.Scores[i]; sc.Unit == st.Unit && sc.Value.Known && !sc.Weight.IsZero() {
			terms, weights = append(terms, number(sc.Weight)+" × "+number(sc.Value.Fraction)), append(weights, number(sc.Weight))
			sum, of = sum.Plus(sc.Weight.Times(sc.Value.Fraction)), of.Plus(sc.Weight)
		}
	}
	streets := Working{What: "streets", Sum: None}
	if !of.IsZero() {
		mean := sum.Over(of)
		if rs.is(Rounding, "each_step") {
			mean = mean.Round(r.Places)
		}
		streets.Sum, streets.Value = "("+strings.Join(terms, " + ")+") / ("+strings.Join(weights, " + ")+")", known(mean)
	}
	steps = append(steps, streets)
	if rs[Rollup].word == "mean" && st.Kind == orgs.Department && !slices.Contains(st.Flags, FlagNoAgencies) && st.Streets.Known {
		steps = append(steps, r.agencies(st, streets.Value, rs[Rollup].number.Fraction().Over(hundred())))
	}
	steps = append(steps, r.year(st, rs[YearMix].word))
	annual := Working{What: "annual", Sum: None, Value: st.Annual}
	if at := slices.IndexFunc(r.Scheme.Subjects, func(s Subject) bool { return s.Kind == st.Kind }); at >= 0 && st.Annual.Known {
		sub := r.Scheme.Subjects[at]
		w := sub.Weight.Fraction().Over(hundred())
		rest := Of(1, 1).Minus(w)
		if sub.Sheet != 0 {
			rest = Of(1, 1)
		}
		annual.Sum = fmt.Sprintf("%s × %s + %s × %s", number(w), number(st.Year.Fraction), number(rest), number(st.Other.Fraction))
	}
	return append(steps, annual)
}

// agencies puts a department's agencies beside its streets (choice rollup).
func (r *Results) agencies(st *Standing, own Value, share Fraction) Working {
	var ns []string
	for _, u := range r.Period.Units {
		if u.Kind != orgs.Agency || u.Parent != st.Unit {
			continue
		}
		if at := slices.IndexFunc(r.Standings, func(s Standing) bool { return s.Unit == u.Unit }); at >= 0 && r.Standings[at].Streets.Known {
			ns = append(ns, number(r.Standings[at].Streets.Fraction))
		}
	}
	mean := fmt.Sprintf("(%s) / %d", strings.Join(ns, " + "), len(ns))
	if !own.Known {
		return Working{"agencies", mean, st.Streets}
	}
	return Working{"agencies", fmt.Sprintf("%s × %s + %s × %s", number(Of(1, 1).Minus(share)), number(own.Fraction), number(share), mean), st.Streets}
}

func (r *Results) year(st *Standing, how string) Working {
	step := Working{What: "year", Sum: None, Value: st.Year}
	if !st.Year.Known {
		return step
	}
	var terms, days []string
	take := func(v Fraction, n int64) {
		if how != "days" {
			n = 1
		}
		terms, days = append(terms, fmt.Sprintf("%d × %s", n, number(v))), append(days, fmt.Sprint(n))
	}
	for _, p := range r.Period.Sealed {
		if p.Unit == st.Unit {
			take(p.Score, int64(p.Last-p.First)+1)
		}
	}
	if st.Streets.Known {
		take(st.Streets.Fraction, int64(r.Period.Last-r.Period.First)+1)
	}
	step.Sum = "(" + strings.Join(terms, " + ") + ") / (" + strings.Join(days, " + ") + ")"
	if how == "last" || r.Scheme.Every == Yearly {
		step.Sum = number(st.Year.Fraction)
	}
	return step
}
