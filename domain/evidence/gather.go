package evidence

import (
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// Scope says which cases are asked for: those of a jurisdiction that can count in a span of days.
type Scope struct {
	Jurisdiction orgs.UnitCode // a district, or a unit in it; the city, or "", is everything
	First, Last  calendar.Date // both included, in city time
	Base         calendar.Date // the day that load is compared with
	Reopened     Position      // of reopenings and reworks recorded later, none is of the span (choice reopen.after_seal); 0: all are
}

// In returns the scope with the city's jurisdiction as what it is: everything.
func (s Scope) In(units *orgs.Tree) Scope {
	if u, known := units.Unit(s.Jurisdiction); known && u.Kind == orgs.City {
		s.Jurisdiction = ""
	}
	return s
}

// holds reports whether a case that lies there is of the jurisdiction.
func (s Scope) holds(p assessment.Place) bool {
	switch s.Jurisdiction {
	case "", p.District, p.Street, p.Community, p.Unit:
		return true
	}
	return false
}

// Gather folds cases into facts as of a position. Of the cases given it takes those of the scope: they lie in its
// jurisdiction, and an instant of theirs that was known at the position lies in its span. Every figure of a period counts a
// case by one of its instants in the period, or because what is told of an earlier day was recorded in it, which is an
// instant of the track too; so what is left out can count for nothing.
//
// Beside them it takes what they refer to, whenever and wherever that is: the orders of a demand, the demands of an order
// and of a topic's decision, the demand that another repeats, and the orders of those. More returns the cases of some ids
// that were not given; it may leave out those that do not exist, and be nil if everything was given.
//
// The facts are in the order of the beginnings in the log, whatever the order of the cases. It costs about a microsecond a case.
func Gather(cases []Case, scope Scope, asOf Position, more func(ids []stream.ID) ([]Case, error)) (assessment.Facts, error) {
	g := gathering{asOf: asOf, scope: scope, demands: new(stream.Index), orders: new(stream.Index)}
	all := g.fold(cases, true)
	lost := map[stream.ID]bool{} // that never came to be
	for wanted := g.missing(all, true); len(wanted) > 0; {
		also, err := g.find(wanted, more)
		if err != nil {
			return assessment.Facts{}, err
		}
		added := g.fold(also, false)
		for _, id := range wanted {
			lost[id] = !g.taken(id)
		}
		wanted = g.missing(added, false)
		all = all.merge(added)
	}
	for i := range all.demands {
		d := &all.demands[i]
		if len(lost) > 0 {
			d.Orders = some(slices.DeleteFunc(d.Orders, func(o stream.ID) bool { return lost[o] }))
		}
		d.Dispatched = len(d.Orders) > 0
	}
	return assessment.Facts{Demands: some(all.demands), Legs: some(all.legs), Summonses: some(all.summonses), Disputes: some(all.disputes),
		Topics: some(all.topics), Blocks: some(all.blocks)}, nil
}

// some returns a list, nil if it is empty: equal facts are equal bytes.
func some[T any](xs []T) []T {
	if len(xs) == 0 {
		return nil
	}
	return xs
}

// gathering is one question under way.
type gathering struct {
	asOf            Position
	scope           Scope
	demands, orders *stream.Index // that were taken: nothing else is ever referred to
	given           []map[stream.ID]Case
}

// shard is a stretch of the cases, by where they begin in the log, folded by itself.
type shard struct {
	facts *folder
	room  int                // for legs
	given map[stream.ID]Case // and not of the scope
}

// take notes what was folded.
func (g *gathering) take(f *folder) {
	var wait sync.WaitGroup
	wait.Go(func() {
		g.demands.Reserve(len(f.demands))
		for i := range f.demands {
			g.demands.Put(f.demands[i].ID, 0)
		}
	})
	wait.Go(func() {
		g.orders.Reserve(len(f.legs))
		for i := range f.legs {
			if f.legs[i].Number == 1 {
				g.orders.Put(f.legs[i].Order, 0)
			}
		}
	})
	wait.Wait()
}

func (g *gathering) taken(id stream.ID) bool { return g.demands.Has(id) || g.orders.Has(id) }

// missing lists the demands and orders that facts refer to and that were not taken: with all set, every one, else the demands' orders.
func (g *gathering) missing(f *folder, all bool) []stream.ID {
	var orders, demands []stream.ID
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := range f.demands {
			for _, o := range f.demands[i].Orders {
				if !g.orders.Has(o) {
					orders = append(orders, o)
				}
			}
		}
	})
	if all {
		want := func(d stream.ID) {
			if !d.IsZero() && !g.demands.Has(d) {
				demands = append(demands, d)
			}
		}
		for i := range f.demands {
			want(f.demands[i].Repeats)
		}
		for i := range f.legs {
			for _, d := range f.legs[i].Demands {
				want(d)
			}
		}
		for _, t := range f.topics {
			for _, d := range t.Decisions {
				for _, id := range d.Demands {
					want(id)
				}
			}
		}
	}
	wait.Wait()
	return append(orders, demands...)
}

// find returns the cases of some ids, each once.
func (g *gathering) find(ids []stream.ID, more func([]stream.ID) ([]Case, error)) ([]Case, error) {
	var found []Case
	var missing []stream.ID
	asked := map[stream.ID]bool{}
ids:
	for _, id := range ids {
		if asked[id] {
			continue
		}
		asked[id] = true
		for _, given := range g.given {
			if c, here := given[id]; here {
				found = append(found, c)
				continue ids
			}
		}
		missing = append(missing, id)
	}
	if len(missing) == 0 || more == nil {
		return found, nil
	}
	cs, err := more(missing)
	return append(found, cs...), err
}

// start is a case by where it begins in the log.
type start struct {
	at Position
	of int32 // among the cases
}

// Of many cases, shards are folded side by side: this many at most, and not for fewer cases.
const (
	shards = 4
	worth  = 4096
)

// fold folds cases in the order of their beginnings. With chosen set it leaves out those that are not of the scope.
func (g *gathering) fold(cases []Case, chosen bool) *folder {
	starts := make([]start, 0, len(cases))
	for i := range cases {
		if at, begun := cases[i].Track.begins(); begun && at <= g.asOf {
			starts = append(starts, start{at, int32(i)})
		}
	}
	d, l := roomFor(cases, starts)
	whole := newFolder(g.asOf, g.scope.Reopened) // has room for all: each shard writes into a stretch of it
	var wait sync.WaitGroup
	wait.Go(func() { whole.demands = make([]assessment.Demand, 0, d) }) // a year's room is some hundred megabytes: clearing it takes as long as
	wait.Go(func() { whole.legs = make([]assessment.Leg, 0, l) })       // putting the cases in order
	slices.SortFunc(starts, func(a, b start) int { return cmp.Compare(a.at, b.at) })
	starts = slices.CompactFunc(starts, func(a, b start) bool { return a.at == b.at }) // given twice
	n := max(1, min(shards, runtime.GOMAXPROCS(0), len(starts)/worth))
	parts := make([]*shard, n)
	wait.Wait()
	demands, legs := whole.demands[:d], whole.legs[:l]
	for i := range parts {
		mine := starts[len(starts)*i/n : len(starts)*(i+1)/n]
		d, l := roomFor(cases, mine)
		f := newFolder(g.asOf, g.scope.Reopened)
		f.demands, f.legs = demands[:0:d], legs[:0:l]
		demands, legs = demands[d:], legs[l:]
		parts[i] = &shard{given: map[stream.ID]Case{}, facts: f, room: l}
		wait.Go(func() { parts[i].fold(cases, mine, g.scope, chosen) })
	}
	wait.Wait()
	if slices.ContainsFunc(parts, func(p *shard) bool { return len(p.facts.legs) > p.room }) {
		whole.legs = nil // the legs of one lie elsewhere: put behind one another in the same room, they could run over the next one's
	}
	for _, p := range parts {
		whole.follow(p.facts)
		g.given = append(g.given, p.given)
	}
	g.take(whole)
	return whole
}

// roomFor returns how many demands and legs some cases come to, as a rule: an order in twenty is dispatched a second time.
func roomFor(cases []Case, starts []start) (demands, legs int) {
	for _, c := range starts {
		switch cases[c.of].Of {
		case stream.Demand:
			demands++
		case stream.Order:
			legs++
		}
	}
	return demands, legs + legs/16
}

func (s *shard) fold(cases []Case, starts []start, scope Scope, chosen bool) {
	f := s.facts
	r := reader{words: &words{texts: map[string]string{}}, from: scope.First.Start().Unix(), to: (scope.Last + 1).Start().Unix()}
	for _, begun := range starts {
		c := &cases[begun.of]
		r.rest, r.at, r.clock, r.hit = c.Track, 0, 0, false
		before := f.mark()
		p := f.fold(*c, &r)
		if chosen && !(r.hit && scope.holds(p)) {
			f.forget(before)
			s.given[c.ID] = *c
			continue
		}
		f.dated(begun.at)
	}
}

// begins returns where the first mark lies, false if there is none.
func (t Track) begins() (Position, bool) {
	if len(t) < 2 {
		return 0, false
	}
	at, size := binary.Uvarint(t[1:])
	return Position(at), size > 0
}

// folder folds tracks into facts. Beside demands and legs, which are referred to, it keeps where their cases begin in the log.
type folder struct {
	asOf     Position
	reopened Position // see [Scope]

	demands   []assessment.Demand
	legs      []assessment.Leg
	summonses []assessment.Summons
	disputes  []assessment.Dispute
	topics    []assessment.Topic
	blocks    []assessment.Blocked

	demandAt, legAt []Position

	ids       run[stream.ID]
	units     run[orgs.UnitCode]
	callbacks run[assessment.Callback]
	spans     run[assessment.Span]
	reports   run[assessment.Report]

	first stream.ID // the demand that the last order served first
}

func newFolder(asOf, reopened Position) *folder { return &folder{asOf: asOf, reopened: reopened} }

// fold folds one case and says where it lies.
func (f *folder) fold(c Case, r *reader) assessment.Place {
	switch c.Of {
	case stream.Demand:
		f.demands = append(f.demands, assessment.Demand{ID: c.ID})
		d := &f.demands[len(f.demands)-1]
		f.demand(d, r)
		return d.Place
	case stream.Order:
		before := len(f.legs)
		f.order(c.ID, r)
		if len(f.legs) > before {
			return f.legs[before].Place
		}
	case stream.Whistle:
		return f.whistle(c.ID, r)
	case stream.Dispute:
		d := f.dispute(c.ID, r)
		f.disputes = append(f.disputes, d)
		return d.Place
	case stream.Topic:
		t := f.topic(c.ID, r)
		f.topics = append(f.topics, t)
		return t.Place
	case stream.Gate:
		p, b := f.block(r)
		f.blocks = append(f.blocks, b)
		return p
	}
	return assessment.Place{}
}

// lengths says how long the lists of a folder are.
type lengths [6]int

func (f *folder) mark() lengths {
	return lengths{len(f.demands), len(f.legs), len(f.summonses), len(f.disputes), len(f.topics), len(f.blocks)}
}

// forget takes back what was folded since.
func (f *folder) forget(n lengths) {
	f.demands, f.legs, f.summonses = f.demands[:n[0]], f.legs[:n[1]], f.summonses[:n[2]]
	f.disputes, f.topics, f.blocks = f.disputes[:n[3]], f.topics[:n[4]], f.blocks[:n[5]]
}

// dated notes where what was folded last begins.
func (f *folder) dated(at Position) {
	for len(f.demandAt) < len(f.demands) {
		f.demandAt = append(f.demandAt, at)
	}
	for len(f.legAt) < len(f.legs) {
		f.legAt = append(f.legAt, at)
	}
}

// follow puts all facts of g behind those of f; where they lie in f's room, they move up.
func (f *folder) follow(g *folder) {
	f.demands, f.demandAt = append(f.demands, g.demands...), append(f.demandAt, g.demandAt...)
	f.legs, f.legAt = append(f.legs, g.legs...), append(f.legAt, g.legAt...)
	f.summonses, f.disputes = append(f.summonses, g.summonses...), append(f.disputes, g.disputes...)
	f.topics, f.blocks = append(f.topics, g.topics...), append(f.blocks, g.blocks...)
}

// merge returns the facts of both, in the order of the log. Only demands and orders are ever referred to.
func (f *folder) merge(g *folder) *folder {
	out := *f
	out.demands, out.demandAt = merged(f.demands, f.demandAt, g.demands, g.demandAt)
	out.legs, out.legAt = merged(f.legs, f.legAt, g.legs, g.legAt)
	return &out
}

func merged[T any](as []T, aAt []Position, bs []T, bAt []Position) ([]T, []Position) {
	if len(bs) == 0 {
		return as, aAt
	}
	all, at := make([]T, 0, len(as)+len(bs)), make([]Position, 0, len(as)+len(bs))
	for len(as) > 0 || len(bs) > 0 {
		if len(bs) == 0 || len(as) > 0 && aAt[0] <= bAt[0] {
			all, at, as, aAt = append(all, as[0]), append(at, aAt[0]), as[1:], aAt[1:]
		} else {
			all, at, bs, bAt = append(all, bs[0]), append(at, bAt[0]), bs[1:], bAt[1:]
		}
	}
	return all, at
}

// run makes many short lists out of few long ones. One list grows at a time; a list that is finished never changes.
type run[T any] struct {
	chunk []T
	start int
}

const chunkLength = 4096

func (a *run[T]) begin() { a.chunk = a.chunk[:a.start] }

func (a *run[T]) add(x T) {
	if len(a.chunk) == cap(a.chunk) {
		mine := a.all()
		next := make([]T, len(mine), 2*len(mine)+min(chunkLength, 2*cap(a.chunk)+4))
		copy(next, mine)
		a.chunk, a.start = next, 0
	}
	a.chunk = append(a.chunk, x)
}

// all returns the list that grows.
func (a *run[T]) all() []T { return a.chunk[a.start:] }

func (a *run[T]) remove(gone int) { a.chunk = slices.Delete(a.chunk, a.start+gone, a.start+gone+1) }

// end returns the list, nil if it is empty.
func (a *run[T]) end() []T {
	if len(a.chunk) == a.start {
		return nil
	}
	mine := slices.Clip(a.all())
	a.start = len(a.chunk)
	return mine
}
