package assessment

import (
	"cmp"
	"fmt"
	"slices"

	"gridcase/domain/orgs"
)

// Value is an exact number that may be missing.
type Value struct {
	Fraction
	Known bool
}

func known(f Fraction) Value { return Value{f, true} }

// Print returns the number to so many places, [None] if it is missing.
func (v Value) Print(places int) string {
	if !v.Known {
		return None
	}
	return v.Fraction.Print(places)
}

// Score is what one street's evaluation of one unit comes to (§7.4).
type Score struct {
	Street, Unit orgs.UnitCode
	Items        []Scored // the objective part
	Objective    Value    // of 100
	Form         Value    // the marks of the form, of 100
	Ratings      Value    // the mean of the ratings per case, of 100
	Subjective   Value    // of both, by subj.case_share
	Deductions   []Told
	Bonuses      []Told
	Sample       Fraction // legs due and summonses
	Due          Fraction // legs due
	Value        Value    // the score; not known: the street does not count
	Printed      string
	Weight       Fraction // v: what it counts among the streets (§7.5)
	Flags        []string
	parts        []Part
}

// Scored is one line of the objective part.
type Scored struct {
	Indicator Indicator
	Figure    string // its id
	Ratio     Ratio
	Most      Decimal
	Points    Fraction
	Dropped   bool // nothing to count: the rest are scaled
}

// Told is what events took away or added.
type Told struct {
	Indicator Indicator
	Figure    string
	Events    Fraction
	Points    Fraction // negative for a deduction
}

// Part is what something adds to a score. The parts of a score sum to it.
type Part struct {
	What   string // an indicator, "form", "ratings", "no_case" (what stands for the objective part), "limits" (the clamp, the rounding of steps), "agencies", "other"
	Amount Fraction
}

// Standing is what an assessment comes to for one unit.
type Standing struct {
	Unit       orgs.UnitCode
	Name       string
	Kind       orgs.Kind
	Streets    Value // S(u): the streets' score of the period
	Year       Value // of the year's periods up to this one (choice year.mix)
	Other      Value // the rest of the annual score
	Annual     Value
	Printed    [3]string // Streets, Year, Annual
	StreetRank int       // by Streets, within the kind: 1, 2, 2, 4; 0 = not ranked
	Rank       int       // by Annual
	Flags      []string
	Parts      []Part // of Streets
}

// The flags of scores and standings.
const (
	FlagSample      = "below_min_sample"  // too few cases for an objective score
	FlagNoForm      = "no_evaluation"     // the street gave none: its share moved to the objective part
	FlagLeftOut     = "street_left_out"   // neither part is known
	FlagNoWeight    = "street_weighs_0"   // the aggregate gives the street no weight
	FlagTrimmed     = "street_trimmed"    // the highest or the lowest
	FlagItemDropped = "item_dropped"      // an item of the objective part had nothing to count
	FlagNotAssessed = "not_assessed"      // no street counts: the period is sealed only with a ruling
	FlagNoOther     = "other_missing"     // the rest of the annual score was not imported
	FlagNotSubject  = "no_subject"        // the scheme does not assess units of this kind
	FlagNoAgencies  = "no_agency_counted" // nothing to roll up
)

// scores computes every street's evaluation of every unit in its scope, by unit and street.
func (c *computation) scores() []Score {
	given := map[[2]orgs.UnitCode]*Evaluation{}
	for i := range c.period.Evaluations {
		e := &c.period.Evaluations[i]
		given[[2]orgs.UnitCode{e.Street, e.Unit}] = e
	}
	var scores []Score
	for _, u := range c.period.Units {
		for _, st := range c.period.Streets {
			key := [2]orgs.UnitCode{st.Unit, u.Unit}
			if !c.rates(st, u) {
				continue
			}
			scores = append(scores, c.score(st, u, given[key]))
			delete(given, key)
		}
	}
	for key := range given {
		c.notes = append(c.notes, fmt.Sprintf("evaluation of %s by %s: outside rate.scope", key[1], key[0]))
	}
	slices.SortFunc(scores, func(a, b Score) int { return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Street, b.Street)) })
	return scores
}

// rates reports whether the unit is one that the street rates (choice rate.scope).
func (c *computation) rates(st Street, u Rated) bool {
	if c.served(st.Unit, u.Unit) {
		return true
	}
	own := u.Kind == orgs.Department && u.District == st.District || u.Kind == orgs.Agency && u.Host == st.Unit
	switch c.rules[RateScope].word {
	case "own":
		return own
	case "with_bureaus":
		return own || u.Kind == orgs.Bureau
	}
	return false
}

// served reports whether the street sent the unit an order or a whistle in the period, or one of them was due in it.
func (c *computation) served(street, unit orgs.UnitCode) bool {
	for _, i := range []Indicator{Return, Closure, ReportIn} {
		if t := c.tally(i, unit, street); t != nil && !t.empty() {
			return true
		}
	}
	return false
}

// tally returns the verdicts counted for a unit and a street, nil if there are none.
func (s *sheet) tally(i Indicator, unit, street orgs.UnitCode) *tally {
	in := s.slots[i]
	b := &s.books[in.of]
	u, known := s.index[unit]
	st, too := s.index[street]
	if !known || !too {
		return nil
	}
	cl := b.cells[cellKey{u, st}]
	if cl == nil {
		return nil
	}
	return &cl.tallies[in.at]
}

// ratio returns a rate of one unit and one street.
func (c *computation) ratio(i Indicator, unit, street orgs.UnitCode) Ratio {
	at, found := slices.BinarySearchFunc(c.figures, Key{Indicator: i, Unit: unit, Street: street}, func(f Figure, k Key) int { return f.Key.compare(k) })
	if !found {
		return Ratio{Of(0, 1), Of(0, 1)}
	}
	return c.figures[at].Ratio
}

func (c *computation) score(st Street, u Rated, e *Evaluation) Score {
	sc := Score{Street: st.Unit, Unit: u.Unit, Due: c.ratio(Closure, u.Unit, st.Unit).D}
	sc.Sample = sc.Due.Plus(c.ratio(ReportIn, u.Unit, st.Unit).D)
	c.objective(&sc)
	c.subjective(&sc, e)
	a, b := c.scheme.Share.Fraction().Over(hundred()), Of(1, 1).Minus(c.scheme.Share.Fraction().Over(hundred()))
	switch {
	case slices.Contains(sc.Flags, FlagLeftOut):
	case !sc.Objective.Known && !sc.Subjective.Known:
		sc.Flags = append(sc.Flags, FlagLeftOut)
	case !sc.Objective.Known:
		a, b = Of(0, 1), Of(1, 1)
	case !sc.Subjective.Known:
		a, b = Of(1, 1), Of(0, 1)
		sc.Flags = append(sc.Flags, FlagNoForm)
	}
	if slices.Contains(sc.Flags, FlagLeftOut) {
		sc.Printed = None
		return sc
	}
	sum := a.Times(sc.Objective.Fraction).Plus(b.Times(sc.Subjective.Fraction))
	c.share(&sc, a, b)
	for _, it := range c.scheme.Deductions {
		t := c.told(it, &sc, true)
		sc.Deductions = append(sc.Deductions, t)
		sum = sum.Plus(t.Points)
	}
	sum = clamp(sum)
	for _, it := range c.scheme.Bonuses {
		t := c.told(it, &sc, false)
		sc.Bonuses = append(sc.Bonuses, t)
		sum = sum.Plus(t.Points)
	}
	sc.Value = known(c.step(sum))
	sc.Printed = sc.Value.Print(c.places)
	for _, t := range slices.Concat(sc.Deductions, sc.Bonuses) {
		sc.parts = append(sc.parts, Part{string(t.Indicator), t.Points})
	}
	if rest := sc.Value.Minus(sumOf(sc.parts)); !rest.IsZero() {
		sc.parts = append(sc.parts, Part{"limits", rest})
	}
	return sc
}

func hundred() Fraction { return Of(100, 1) }

func clamp(f Fraction) Fraction {
	switch {
	case f.Compare(Of(0, 1)) < 0:
		return Of(0, 1)
	case f.Compare(hundred()) > 0:
		return hundred()
	}
	return f
}

func sumOf(ps []Part) Fraction {
	sum := Of(0, 1)
	for _, p := range ps {
		sum = sum.Plus(p.Amount)
	}
	return sum
}

// step rounds what is printed on the way, if the scheme says so (choice rounding).
func (c *computation) step(f Fraction) Fraction {
	if c.rules.is(Rounding, "each_step") {
		return f.Round(c.places)
	}
	return f
}

// objective computes the part that comes from the log alone.
func (c *computation) objective(sc *Score) {
	few := sc.Sample.Compare(c.rules[MinSample].number.Fraction()) < 0
	var value Value
	if c.rules.is(ObjMode, "cards") {
		value = c.cards(sc)
	} else {
		value = c.items(sc)
	}
	if !few && value.Known {
		sc.Objective = known(c.step(value.Fraction))
		return
	}
	sc.Flags = append(sc.Flags, FlagSample)
	for i := range sc.Items {
		sc.Items[i].Dropped = true
	}
	switch no := c.rules[NoCase]; no.word {
	case "not_assessed":
		sc.Flags = append(sc.Flags, FlagLeftOut)
	case "neutral":
		sc.Objective = known(no.number.Fraction())
	case "full":
		sc.Objective = known(hundred())
	}
}

// items scores the items of the scheme, of 100.
func (c *computation) items(sc *Score) Value {
	got, of := Of(0, 1), Of(0, 1)
	for _, it := range c.scheme.Objective {
		line := Scored{Indicator: it.Indicator, Figure: Key{Indicator: it.Indicator, Unit: sc.Unit, Street: sc.Street}.String(),
			Ratio: c.ratio(it.Indicator, sc.Unit, sc.Street), Most: it.Points}
		x, ok := line.Ratio.Value()
		empty := c.rules[EmptyItem]
		switch {
		case ok:
			line.Points = c.step(it.Score(x.Times(hundred())))
		case empty.word == "full":
			line.Points = it.Points.Fraction()
		case empty.word == "neutral":
			line.Points = it.Points.Fraction().Times(empty.number.Fraction()).Over(hundred())
		default:
			line.Dropped = true
			sc.Flags = flagged(sc.Flags, FlagItemDropped)
		}
		if !line.Dropped {
			got, of = got.Plus(line.Points), of.Plus(it.Points.Fraction())
		}
		sc.Items = append(sc.Items, line)
	}
	if of.IsZero() {
		return Value{}
	}
	return known(got.Times(hundred()).Over(of))
}

// cards is the mean of the cards of orders and whistles.
func (c *computation) cards(sc *Score) Value {
	sum := Ratio{Of(0, 1), Of(0, 1)}
	for _, i := range []Indicator{OrderCard, WhistleCard} {
		line := Scored{Indicator: i, Figure: Key{Indicator: i, Unit: sc.Unit, Street: sc.Street}.String(),
			Ratio: c.ratio(i, sc.Unit, sc.Street), Most: Whole(100)}
		sum = Ratio{sum.N.Plus(line.Ratio.N), sum.D.Plus(line.Ratio.D)}
		sc.Items = append(sc.Items, line)
	}
	for i := range sc.Items {
		it := &sc.Items[i]
		it.Dropped = it.Ratio.D.IsZero()
		if !it.Dropped {
			it.Points = it.Ratio.N.Times(hundred()).Over(sum.D) // its share of the mean
		}
	}
	x, ok := sum.Value()
	return Value{x.Times(hundred()), ok}
}

// subjective computes what the street gave: the form, and the ratings per case as far as the scheme counts them.
func (c *computation) subjective(sc *Score, e *Evaluation) {
	if e != nil {
		sum := Of(0, 1)
		for _, g := range e.Items {
			sum = sum.Plus(g.Points.Fraction())
		}
		sc.Form = known(sum)
	}
	share := c.rules[SubjCaseShare].number.Fraction()
	if x, ok := c.ratio(OrderRating, sc.Unit, sc.Street).Value(); ok && !share.IsZero() {
		sc.Ratings = known(x.Times(hundred()))
	}
	switch {
	case sc.Form.Known && sc.Ratings.Known:
		sc.Subjective = known(Of(1, 1).Minus(share).Times(sc.Form.Fraction).Plus(share.Times(sc.Ratings.Fraction)))
	case sc.Form.Known:
		sc.Subjective = sc.Form
	case sc.Ratings.Known && share.Compare(Of(1, 1)) == 0:
		sc.Subjective = sc.Ratings
	}
	if sc.Subjective.Known {
		sc.Subjective = known(c.step(sc.Subjective.Fraction))
	}
}

// share notes what each line adds to the score.
func (c *computation) share(sc *Score, a, b Fraction) {
	if !a.IsZero() && slices.Contains(sc.Flags, FlagSample) {
		sc.parts = append(sc.parts, Part{"no_case", a.Times(sc.Objective.Fraction)})
	} else if !a.IsZero() {
		of := Of(0, 1)
		for _, it := range sc.Items {
			if !it.Dropped {
				of = of.Plus(it.Most.Fraction())
			}
		}
		if c.rules.is(ObjMode, "cards") {
			of = hundred()
		}
		for _, it := range sc.Items {
			if !it.Dropped && !it.Points.IsZero() {
				sc.parts = append(sc.parts, Part{string(it.Indicator), a.Times(it.Points).Times(hundred()).Over(of)})
			}
		}
	}
	if !b.IsZero() && sc.Form.Known {
		kept := b
		if sc.Ratings.Known {
			share := c.rules[SubjCaseShare].number.Fraction()
			kept = b.Times(Of(1, 1).Minus(share))
			sc.parts = append(sc.parts, Part{"ratings", b.Times(share).Times(sc.Ratings.Fraction)})
		}
		sc.parts = append(sc.parts, Part{"form", kept.Times(sc.Form.Fraction)})
	} else if !b.IsZero() && sc.Ratings.Known {
		sc.parts = append(sc.parts, Part{"ratings", b.Times(sc.Ratings.Fraction)})
	}
}

// told counts the events of a deduction or a bonus: those that speak against the unit, or for it.
func (c *computation) told(it Item, sc *Score, against bool) Told {
	r := c.ratio(it.Indicator, sc.Unit, sc.Street)
	n := r.N
	if c.slots[it.Indicator].Worse != against {
		n = r.D.Minus(r.N)
	}
	events, _ := n.Floor().whole()
	return Told{Indicator: it.Indicator, Figure: Key{Indicator: it.Indicator, Unit: sc.Unit, Street: sc.Street}.String(),
		Events: n, Points: c.step(it.Tell(max(0, events)))}
}

func flagged(fs []string, f string) []string {
	if slices.Contains(fs, f) {
		return fs
	}
	return append(fs, f)
}

// standings combines the streets, and the year.
func (c *computation) standings(scores []Score) []Standing {
	by := map[orgs.UnitCode][]*Score{}
	for i := range scores {
		by[scores[i].Unit] = append(by[scores[i].Unit], &scores[i])
	}
	streets := map[orgs.UnitCode]Street{}
	for _, st := range c.period.Streets {
		streets[st.Unit] = st
	}
	var ss []Standing
	for _, u := range c.period.Units {
		st := Standing{Unit: u.Unit, Name: u.Name, Kind: u.Kind}
		st.Streets, st.Parts = c.over(by[u.Unit], streets)
		ss = append(ss, st)
	}
	slices.SortFunc(ss, func(a, b Standing) int { return cmp.Compare(a.Unit, b.Unit) })
	c.rolledUp(ss)
	for i := range ss {
		c.annual(&ss[i])
	}
	c.rank(ss, func(s *Standing) Value { return s.Streets }, func(s *Standing, r int) { s.StreetRank = r })
	c.rank(ss, func(s *Standing) Value { return s.Annual }, func(s *Standing, r int) { s.Rank = r })
	return ss
}

// over combines the streets' scores of one unit (§7.5).
func (c *computation) over(scores []*Score, streets map[orgs.UnitCode]Street) (Value, []Part) {
	var counted []*Score
	for _, sc := range scores {
		if !sc.Value.Known {
			continue
		}
		switch st := streets[sc.Street]; c.rules[Aggregate].word {
		case "orders":
			sc.Weight = sc.Due
		case "households":
			sc.Weight = Of(int64(st.Households), 1)
		case "grids":
			sc.Weight = Of(int64(st.Grids), 1)
		default:
			sc.Weight = Of(1, 1)
		}
		counted = append(counted, sc)
	}
	if c.rules.is(Aggregate, "trimmed") {
		trim(counted)
	}
	sum, of := Of(0, 1), Of(0, 1)
	var parts []Part
	for _, sc := range counted {
		if sc.Weight.IsZero() {
			if !slices.Contains(sc.Flags, FlagTrimmed) {
				sc.Flags = append(sc.Flags, FlagNoWeight)
			}
			continue
		}
		sum, of = sum.Plus(sc.Weight.Times(sc.Value.Fraction)), of.Plus(sc.Weight)
		for _, p := range sc.parts {
			parts = add(parts, p.What, p.Amount.Times(sc.Weight))
		}
	}
	if of.IsZero() {
		return Value{}, nil
	}
	for i := range parts {
		parts[i].Amount = parts[i].Amount.Over(of)
	}
	s := c.step(sum.Over(of))
	return known(s), rounded(parts, s)
}

// trim takes the weight from one highest and one lowest of five or more; of equal ones from the first street's.
func trim(scores []*Score) {
	if len(scores) < 5 {
		return
	}
	by := func(a, b *Score) int { return a.Value.Compare(b.Value.Fraction) }
	for _, sc := range []*Score{slices.MaxFunc(scores, by), slices.MinFunc(scores, by)} {
		sc.Weight = Of(0, 1)
		sc.Flags = append(sc.Flags, FlagTrimmed)
	}
}

func add(ps []Part, what string, amount Fraction) []Part {
	for i := range ps {
		if ps[i].What == what {
			ps[i].Amount = ps[i].Amount.Plus(amount)
			return ps
		}
	}
	return append(ps, Part{what, amount})
}

// rounded returns the parts by name, with what is missing to the sum as "limits".
func rounded(ps []Part, sum Fraction) []Part {
	if rest := sum.Minus(sumOf(ps)); !rest.IsZero() {
		ps = add(ps, "limits", rest)
	}
	slices.SortFunc(ps, func(a, b Part) int { return cmp.Compare(a.What, b.What) })
	return ps
}

// rolledUp gives departments their share of their agencies' mean (choice rollup).
func (c *computation) rolledUp(ss []Standing) {
	how := c.rules[Rollup]
	if how.word != "mean" {
		return
	}
	share := how.number.Fraction().Over(hundred())
	sums, ns := map[orgs.UnitCode]Fraction{}, map[orgs.UnitCode]int64{}
	for _, u := range c.period.Units {
		at := slices.IndexFunc(ss, func(s Standing) bool { return s.Unit == u.Unit })
		if u.Kind == orgs.Agency && ss[at].Streets.Known {
			sums[u.Parent] = sums[u.Parent].Plus(ss[at].Streets.Fraction)
			ns[u.Parent]++
		}
	}
	for i := range ss {
		st := &ss[i]
		if st.Kind != orgs.Department {
			continue
		}
		if ns[st.Unit] == 0 {
			st.Flags = append(st.Flags, FlagNoAgencies)
			continue
		}
		mean := sums[st.Unit].Over(Of(ns[st.Unit], 1))
		own := Of(1, 1).Minus(share)
		if !st.Streets.Known {
			own, share := Of(0, 1), Of(1, 1)
			st.Streets, st.Parts = c.mixed(st, own, share, mean)
			continue
		}
		st.Streets, st.Parts = c.mixed(st, own, share, mean)
	}
}

func (c *computation) mixed(st *Standing, own, share, mean Fraction) (Value, []Part) {
	s := c.step(own.Times(st.Streets.Fraction).Plus(share.Times(mean)))
	var ps []Part
	for _, p := range st.Parts {
		ps = append(ps, Part{p.What, p.Amount.Times(own)})
	}
	return known(s), rounded(append(ps, Part{"agencies", share.Times(mean)}), s)
}

// annual combines the streets' part with the other one (§7.6). The exact score is used, not the printed one.
func (c *computation) annual(st *Standing) {
	st.Year = c.year(st)
	at := slices.IndexFunc(c.period.Others, func(o Other) bool { return o.Unit == st.Unit })
	if at >= 0 {
		st.Other = known(c.period.Others[at].Score.Fraction())
	}
	sub := slices.IndexFunc(c.scheme.Subjects, func(s Subject) bool { return s.Kind == st.Kind })
	if !st.Streets.Known {
		st.Flags = append(st.Flags, FlagNotAssessed)
	}
	switch {
	case sub < 0:
		st.Flags = append(st.Flags, FlagNotSubject)
	case !st.Other.Known:
		st.Flags = append(st.Flags, FlagNoOther)
	case st.Year.Known:
		subject := c.scheme.Subjects[sub]
		w := subject.Weight.Fraction().Over(hundred())
		rest := Of(1, 1).Minus(w)
		if subject.Sheet != 0 {
			rest = Of(1, 1)
		}
		st.Annual = known(c.step(w.Times(st.Year.Fraction).Plus(rest.Times(st.Other.Fraction))))
	}
	st.Printed = [3]string{st.Streets.Print(c.places), st.Year.Print(c.places), st.Annual.Print(c.places)}
}

// year mixes the periods of a year, this one included (choice year.mix). A yearly scheme has one.
func (c *computation) year(st *Standing) Value {
	how := c.rules[YearMix].word
	if c.scheme.Every == Yearly || how == "last" && st.Streets.Known {
		return st.Streets
	}
	sum, of := Of(0, 1), Of(0, 1)
	var last Value
	take := func(v Fraction, days int64) {
		w := Of(1, 1)
		if how == "days" {
			w = Of(days, 1)
		}
		sum, of, last = sum.Plus(w.Times(v)), of.Plus(w), known(v)
	}
	for _, p := range c.period.Sealed {
		if p.Unit == st.Unit {
			take(p.Score, int64(p.Last-p.First)+1)
		}
	}
	if st.Streets.Known {
		take(st.Streets.Fraction, int64(c.period.Last-c.period.First)+1)
	}
	switch {
	case of.IsZero():
		return Value{}
	case how == "last":
		return last
	}
	return known(c.step(sum.Over(of)))
}

// rank numbers the units of each kind from the highest, equal ones alike: 1, 2, 2, 4. What is not known is not ranked.
func (c *computation) rank(ss []Standing, of func(*Standing) Value, set func(*Standing, int)) {
	type ranked struct {
		*Standing
		value Fraction
	}
	kinds := map[orgs.Kind][]ranked{}
	for i := range ss {
		v := of(&ss[i])
		if !v.Known || !c.subject(ss[i].Kind) {
			continue
		}
		if c.rules.is(RankOn, "printed") {
			v.Fraction = v.Round(c.places)
		}
		kinds[ss[i].Kind] = append(kinds[ss[i].Kind], ranked{&ss[i], v.Fraction})
	}
	for _, rs := range kinds {
		slices.SortFunc(rs, func(a, b ranked) int { return b.value.Compare(a.value) })
		place := 1
		for i, r := range rs {
			if i > 0 && r.value.Compare(rs[i-1].value) != 0 {
				place = i + 1
			}
			set(r.Standing, place)
		}
	}
}

func (c *computation) subject(k orgs.Kind) bool {
	return slices.ContainsFunc(c.scheme.Subjects, func(s Subject) bool { return s.Kind == k })
}
