package assessment

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// A sheet holds the verdict on every case under every indicator, and who is credited with it. Figures are counted from it and open to it.
type sheet struct {
	*judge
	rules   rules
	period  Period
	places  []orgs.UnitCode // units and streets by their index; 0 is "all", 1 is "none"
	index   map[orgs.UnitCode]int32
	met     [1 << 12]int32 // places met lately, by a hash of their codes: most are asked for again and again
	weights []Fraction     // 0 is one
	books   [families]book
	slots   map[Indicator]slot
	heirs   map[int32]int32
	legs    []legCase
	topics  []topicCase
	loads   []loadCase
}

const (
	all  int32 = 0 // every unit, every street
	none int32 = 1 // dispatched from above the streets, or lying nowhere
)

// Nowhere is the street of what no street dispatched or holds.
const Nowhere orgs.UnitCode = "-"

// slot is where an indicator stands in the books.
type slot struct {
	Definition
	at int
}

// A book holds the cases of one family.
type book struct {
	indicators []Indicator
	home       []bool // by indicator: which of the credits count
	cases      int
	verdicts   []verdict // of each case, one for each indicator
	streets    []int32   // of each case
	credits    [2][]credit
	cells      map[cellKey]*cell
}

const (
	toHandler = 0
	toHome    = 1
	toAll     = 2 // the case as a whole, under every indicator
)

// credit says that a case counts for a unit, and which street it came from.
type credit struct {
	at           int32 // the case
	unit, street int32
	weight       uint16
}

type cellKey struct{ unit, street int32 }

// A cell counts the verdicts on the cases of one unit and one street.
type cell struct {
	tallies []tally
	minutes []int32
	rungs   map[int]int64 // of settled disputes
}

// A tally counts verdicts.
type tally struct {
	counts, fails int32    // those of weight one, by far the most
	others        *[]entry // nil: none; a city has a million tallies
}

type entry struct {
	verdict verdict
	weight  uint16
	n       int64
}

func (t *tally) add(v verdict, weight uint16, n int64) {
	switch {
	case v == absent || n == 0:
		return
	case v == counts && weight == 0:
		t.counts += int32(n)
		return
	case v == fails && weight == 0:
		t.fails += int32(n)
		return
	}
	if t.others == nil {
		t.others = new([]entry)
	}
	for i := range *t.others {
		if e := &(*t.others)[i]; e.verdict == v && e.weight == weight {
			e.n += n
			return
		}
	}
	*t.others = append(*t.others, entry{v, weight, n})
}

// rest returns the verdicts that are neither counted nor failed with weight one.
func (t *tally) rest() []entry {
	if t.others == nil {
		return nil
	}
	return *t.others
}

func (t *tally) merge(o *tally) {
	t.counts += o.counts
	t.fails += o.fails
	for _, e := range o.rest() {
		t.add(e.verdict, e.weight, e.n)
	}
}

func (t *tally) empty() bool { return t.counts == 0 && t.fails == 0 && t.others == nil }

func (c *cell) merge(o *cell) {
	for k := range o.tallies {
		c.tallies[k].merge(&o.tallies[k])
	}
	c.minutes = append(c.minutes, o.minutes...)
	for r, n := range o.rungs {
		c.settled(r, n)
	}
}

func (c *cell) settled(rung int, n int64) {
	if c.rungs == nil {
		c.rungs = map[int]int64{}
	}
	c.rungs[rung] += n
}

type legCase struct {
	leg    int32
	demand stream.ID // choice count.unit: one case for each demand; else zero
}

type topicCase struct {
	topic, decision int32
	demand          stream.ID
}

type loadCase struct {
	load   int32
	matter string
}

// familyOf lists the indicators of a family in the order of the verdicts.
func familyOf(f family) []Indicator {
	switch f {
	case ofLegs:
		return []Indicator{
			legSign: SignOnTime, legResponse: Response, legErrandResponse: ErrandResponse, legFirstContact: FirstContact,
			legClosure: Closure, legOnTime: OnTime, legOnTimeOriginal: OnTimeOriginal, legRework: Rework, legExtension: Extension,
			legReturn: Return, legInvalidReturn: InvalidReturn, legMisdispatch: Misdispatch, legFirstAccuracy: FirstAccuracy,
			legExclusions: Exclusions, legSuspended: SuspendedShare, legCard: OrderCard, legRating: OrderRating,
		}
	case ofDemands:
		return []Indicator{
			demandAcceptance: Acceptance, demandDispatch: Dispatch, demandCallback: CallbackRate, demandResolution: Resolution,
			demandSatisfaction: Satisfaction, demandErrandResolution: ErrandResolution, demandErrandSatisfaction: ErrandSatisfaction,
			demandFastTrack: FastTrack, demandRepeat: Repeat, demandUnreached: UnreachedShare,
		}
	case ofSummonses:
		return []Indicator{summonsReportIn: ReportIn, summonsCard: WhistleCard}
	case ofDisputes:
		return []Indicator{Mediation}
	case ofTopics:
		return []Indicator{Adoption}
	case ofBlocks:
		return []Indicator{Blocks}
	case ofLoads:
		return []Indicator{LoadShare}
	}
	return nil
}

// newSheet judges every case.
func newSheet(rs rules, values map[Name]string, p Period, f *Facts) *sheet {
	s := &sheet{judge: newJudge(rs, values, p, f), rules: rs, period: p,
		places: []orgs.UnitCode{"", Nowhere}, index: map[orgs.UnitCode]int32{"": none, Nowhere: none}, weights: []Fraction{Of(1, 1)}}
	s.slots = map[Indicator]slot{}
	for _, def := range Definitions() {
		s.slots[def.Indicator] = slot{def, slices.Index(familyOf(def.of), def.Indicator)}
	}
	for i := range s.books {
		b := &s.books[i]
		b.indicators = familyOf(family(i))
		for _, ind := range b.indicators {
			b.home = append(b.home, s.slots[ind].home)
		}
	}
	s.frozen()
	s.takeLegs()
	s.takeDemands()
	s.takeOthers()
	var wait sync.WaitGroup
	for i := range s.books {
		wait.Go(func() { s.count(family(i)) }) // each fills cells of its own, and only reads what was judged
	}
	wait.Wait()
	s.heirs = map[int32]int32{}
	if rs.is(AsOf, "as_is_beside") {
		for from := range f.Heirs {
			s.heirs[s.place(from)] = s.place(heir(f.Heirs, from))
		}
	}
	return s
}

// heir follows who continues whom to the end.
func heir(heirs map[orgs.UnitCode]orgs.UnitCode, c orgs.UnitCode) orgs.UnitCode {
	for range 100 { // a chain that long is a ring; ours
		next, gone := heirs[c]
		if !gone || next == c {
			break
		}
		c = next
	}
	return c
}

func (s *sheet) place(c orgs.UnitCode) int32 {
	h := uint64(len(c))
	for _, b := range []byte(c[max(0, len(c)-8):]) { // codes differ at their ends
		h = h<<8 ^ h>>56 ^ uint64(b)
	}
	met := &s.met[h*0x9e3779b97f4a7c15>>52]
	if s.places[*met] == c && c != "" {
		return *met
	}
	i, ok := s.index[c]
	if !ok {
		i = int32(len(s.places))
		s.places = append(s.places, c)
		s.index[c] = i
	}
	*met = i
	return i
}

// weigh returns the index of a weight.
func (s *sheet) weigh(f Fraction) uint16 {
	for i, w := range s.weights {
		if w == f {
			return uint16(i)
		}
	}
	s.weights = append(s.weights, f)
	return uint16(len(s.weights) - 1)
}

// frozen finds the legs that are suspended beyond the cap of the unit that leads them (choice frozen.cap): those suspended last.
func (s *sheet) frozen() {
	if !s.rules.is(FrozenCap, "overdue") || s.suspendedCounts {
		return
	}
	due, held := map[orgs.UnitCode]int64{}, map[orgs.UnitCode][]int32{}
	for i := range s.facts.Legs {
		l := &s.facts.Legs[i]
		if s.leftOut(l) {
			continue
		}
		v, _ := s.settled(int32(i), l, s.due(l))
		lead := s.lead(l)
		if v == suspended {
			held[lead] = append(held[lead], int32(i))
		} else if s.table[v].in {
			due[lead]++
		}
	}
	cap := s.rules[FrozenCap].number.Fraction()
	for lead, legs := range held {
		slices.SortFunc(legs, func(a, b int32) int {
			la, lb := &s.facts.Legs[a], &s.facts.Legs[b]
			return cmp.Or(la.frozenAt(s.to).Compare(lb.frozenAt(s.to)), compareID(la.Order, lb.Order), la.Number-lb.Number)
		})
		may, _ := cap.Times(Of(due[lead], 100)).Floor().whole()
		for _, i := range legs[min(int(may), len(legs)):] {
			s.over[i] = true
		}
	}
}

// frozenAt returns when the suspension began that holds just before t.
func (l *Leg) frozenAt(t int64) time.Time {
	for _, s := range l.Suspensions {
		if s.From.Unix() < t && (s.To.IsZero() || s.To.Unix() >= t) {
			return s.From
		}
	}
	return time.Time{}
}

func compareID(a, b stream.ID) int { return slices.Compare(a[:], b[:]) }

// lead returns the unit that a leg counts for (choice team.credit).
func (s *sheet) lead(l *Leg) orgs.UnitCode {
	if l.Competent != "" && s.rules.is(TeamCredit, "member") {
		return l.Competent
	}
	return l.Lead
}

// credited returns the units that a leg counts for, each once, with their weights (choice credit).
func (s *sheet) credited(l *Leg, at, street int32, out []credit) []credit {
	lead := s.place(s.lead(l))
	first := len(out)
	how := s.rules[Credit]
	var others []int32
	if how.word != "lead" {
		for _, c := range l.CoUnits {
			if u := s.place(c); u != lead && !slices.Contains(others, u) {
				others = append(others, u)
			}
		}
	}
	out = append(out, credit{at: at, unit: lead, street: street})
	if len(others) == 0 {
		return out
	}
	for _, u := range others {
		out = append(out, credit{at: at, unit: u, street: street})
	}
	if how.word == "split" {
		share := how.number.Fraction().Over(Of(100, 1))
		out[first].weight = s.weigh(share)
		rest := s.weigh(Of(1, 1).Minus(share).Over(Of(int64(len(others)), 1)))
		for i := first + 1; i < len(out); i++ {
			out[i].weight = rest
		}
	}
	return out
}

func (s *sheet) takeLegs() {
	b := &s.books[ofLegs]
	legs := s.facts.Legs
	byDemand := s.rules.is(CountUnit, "demand")
	s.legs = make([]legCase, 0, len(legs))
	for i := range legs {
		if !byDemand {
			s.legs = append(s.legs, legCase{leg: int32(i)})
			continue
		}
		for _, d := range legs[i].Demands {
			s.legs = append(s.legs, legCase{int32(i), d})
		}
	}
	b.begin(len(s.legs))
	for at, c := range s.legs {
		l := &legs[c.leg]
		s.leg(c.leg, b.of(at))
		if byDemand && len(s.judge.rulings) > 0 {
			for k, ind := range b.indicators {
				b.of(at)[k] = s.ruled(caseKey{category: stream.Demand, id: c.demand}, ind, b.of(at)[k])
			}
		}
		street := s.place(l.ByStreet)
		b.streets[at] = street
		b.credits[toHandler] = s.credited(l, int32(at), street, b.credits[toHandler])
		b.credits[toHome] = append(b.credits[toHome], credit{at: int32(at), unit: s.place(l.By), street: street})
	}
}

func (s *sheet) takeDemands() {
	b := &s.books[ofDemands]
	b.begin(len(s.facts.Demands))
	holds := stream.NewIndex(len(s.facts.Legs)) // the leg that an order stands at
	for i := range s.facts.Legs {
		l := &s.facts.Legs[i]
		if l.Returned || l.Cancelled && !s.cancelledIn {
			continue
		}
		if at, known := holds.At(l.Order); !known || s.facts.Legs[at].Number < l.Number {
			holds.Put(l.Order, int32(i))
		}
	}
	for i := range s.facts.Demands {
		d := &s.facts.Demands[i]
		s.demand(d, b.of(i))
		home := credit{at: int32(i), unit: s.place(cmp.Or(d.Place.Community, d.Place.Unit)), street: s.place(d.Place.Street)}
		b.streets[i] = home.street
		b.credits[toHome] = append(b.credits[toHome], home)
		first := len(b.credits[toHandler])
		for _, o := range d.Orders {
			at, known := holds.At(o)
			if !known {
				continue
			}
			l, from := &s.facts.Legs[at], len(b.credits[toHandler])
			b.credits[toHandler] = s.credited(l, int32(i), s.place(l.ByStreet), b.credits[toHandler])
			b.credits[toHandler] = onceEach(b.credits[toHandler], first, from)
		}
		if len(b.credits[toHandler]) == first {
			b.credits[toHandler] = append(b.credits[toHandler], home)
		}
	}
}

// onceEach drops the credits from "from" on whose unit is credited from "first" on already: a demand counts once for a unit,
// for the street that dispatched its first order.
func onceEach(cs []credit, first, from int) []credit {
	if from == first {
		return cs
	}
	kept := cs[:from]
	for _, c := range cs[from:] {
		if !slices.ContainsFunc(kept[first:], func(k credit) bool { return k.unit == c.unit }) {
			kept = append(kept, c)
		}
	}
	return kept
}

func (s *sheet) takeOthers() {
	b := &s.books[ofSummonses]
	b.begin(len(s.facts.Summonses))
	for i := range s.facts.Summonses {
		c := &s.facts.Summonses[i]
		s.summons(c, b.of(i))
		b.place(i, toHandler, s.place(c.Unit), s.place(c.Street))
	}
	b = &s.books[ofDisputes]
	b.begin(len(s.facts.Disputes))
	for i := range s.facts.Disputes {
		d := &s.facts.Disputes[i]
		b.of(i)[0] = s.dispute(d)
		b.place(i, toHandler, s.place(cmp.Or(d.Unit, d.Place.Community, d.Place.Unit)), s.place(d.Place.Street))
	}
	b = &s.books[ofTopics]
	for i := range s.facts.Topics {
		t := &s.facts.Topics[i]
		k := s.decision(t)
		switch {
		case k < 0:
		case s.rules.is(CountUnit, "demand"):
			for _, d := range t.Decisions[k].Demands {
				s.topics = append(s.topics, topicCase{int32(i), int32(k), d})
			}
		default:
			s.topics = append(s.topics, topicCase{topic: int32(i), decision: int32(k)})
		}
	}
	b.begin(len(s.topics))
	for at, c := range s.topics {
		t := &s.facts.Topics[c.topic]
		b.of(at)[0] = s.ruled(caseKey{category: stream.Topic, id: t.ID}, Adoption, yes(t.Decisions[c.decision].Adopted))
		b.place(at, toHome, s.place(cmp.Or(t.Place.Community, t.Place.Unit)), s.place(t.Place.Street))
	}
	b = &s.books[ofBlocks]
	b.begin(len(s.facts.Blocks))
	for i, c := range s.facts.Blocks {
		if s.during(c.At) {
			b.of(i)[0] = counts
		}
		b.place(i, toHome, s.place(c.Target), s.place(streetOf(c.Target)))
	}
	s.takeLoads()
}

// streetOf returns the street in whose code the unit's begins, "" for one above the streets.
func streetOf(c orgs.UnitCode) orgs.UnitCode {
	if len(c) < 9 || strings.Trim(string(c[:9]), "0123456789") != "" {
		return ""
	}
	return c[:9]
}

func (s *sheet) takeLoads() {
	zero, one := Of(0, 1), Of(1, 1)
	added, gone := s.verdictOf(outcome{in: true, n: one, d: zero, why: "added"}), s.verdictOf(outcome{in: true, n: zero, d: one, why: "gone"})
	n := 0
	for _, l := range s.facts.Loads {
		n += max(len(l.Now), len(l.Base))
	}
	s.loads = make([]loadCase, 0, n) // a city has some hundred thousand
	verdicts := make([]verdict, 0, n)
	for i, l := range s.facts.Loads {
		for now, base := ascending(l.Now), ascending(l.Base); len(now) > 0 || len(base) > 0; {
			c, v := loadCase{load: int32(i)}, counts
			switch {
			case len(base) == 0 || len(now) > 0 && now[0] < base[0]:
				c.matter, now, v = now[0], now[1:], added
			case len(now) == 0 || base[0] < now[0]:
				c.matter, base, v = base[0], base[1:], gone
			default:
				c.matter, now, base = now[0], now[1:], base[1:]
			}
			s.loads, verdicts = append(s.loads, c), append(verdicts, v)
		}
	}
	b := &s.books[ofLoads]
	b.begin(len(s.loads))
	for at, c := range s.loads {
		l := &s.facts.Loads[c.load]
		b.of(at)[0] = verdicts[at]
		b.place(at, toHome, s.place(l.Community), s.place(l.Street))
	}
}

// ascending returns words in order, each once; as they are, if they are so.
func ascending(words []string) []string {
	for i := 1; i < len(words); i++ {
		if words[i-1] >= words[i] {
			return slices.Compact(slices.Sorted(slices.Values(words)))
		}
	}
	return words
}

func (b *book) begin(cases int) {
	b.cases = cases
	b.verdicts = make([]verdict, cases*len(b.indicators))
	b.streets = make([]int32, cases)
	if cases > 0 {
		b.credits[toHandler] = make([]credit, 0, cases)
	}
}

// of returns the verdicts on a case.
func (b *book) of(at int) []verdict {
	return b.verdicts[at*len(b.indicators) : (at+1)*len(b.indicators)]
}

func (b *book) place(at, group int, unit, street int32) {
	b.streets[at] = street
	b.credits[group] = append(b.credits[group], credit{at: int32(at), unit: unit, street: street})
}

// count fills the cells: of each unit and street, of each unit, of each street, and of all.
func (s *sheet) count(f family) {
	b := &s.books[f]
	b.cells = map[cellKey]*cell{}
	for group, cs := range b.credits {
		var last *cell
		var at cellKey
		for _, c := range cs {
			if key := (cellKey{c.unit, c.street}); last == nil || key != at {
				last, at = b.cell(key), key
			}
			s.tell(f, last, group, c)
		}
	}
	for key, c := range b.cells {
		if key.unit != all && key.street != all {
			b.cell(cellKey{key.unit, all}).merge(c)
		}
	}
	var last *cell
	var on int32
	for at := range b.cases {
		c := credit{at: int32(at), street: b.streets[at]}
		if last == nil || c.street != on {
			last, on = b.cell(cellKey{all, c.street}), c.street
		}
		s.tell(f, last, toAll, c)
	}
	total := b.cell(cellKey{all, all})
	for key, c := range b.cells {
		if key.unit == all && key.street != all {
			total.merge(c)
		}
	}
}

func (b *book) cell(key cellKey) *cell {
	c := b.cells[key]
	if c == nil {
		c = &cell{tallies: make([]tally, len(b.indicators))}
		b.cells[key] = c
	}
	return c
}

// tell adds a case to a cell, under the indicators that are credited in this way.
func (s *sheet) tell(f family, to *cell, group int, c credit) {
	b := &s.books[f]
	for k, v := range b.of(int(c.at)) {
		if v == absent || group != toAll && b.home[k] != (group == toHome) {
			continue
		}
		to.tallies[k].add(v, c.weight, 1)
		switch {
		case f == ofLegs && k == legFirstContact && s.table[v].in:
			to.minutes = append(to.minutes, s.facts.Legs[s.legs[c.at].leg].minutes())
		case f == ofDisputes && !s.table[v].n.IsZero():
			to.settled(s.facts.Disputes[c.at].Rung, 1)
		}
	}
}

// days counts the days in the city since a fixed day.
func days(t time.Time) int { return int(calendar.DateOf(t)) }

func numbered(word string, n int) string { return word + " " + strconv.Itoa(n) }
