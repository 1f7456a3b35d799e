package city

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
	"gridcase/engine"
	"gridcase/eventlog"
)

// Span is what a simulation lives through. Unlike a script, in which everybody's acts are written down beforehand,
// nothing in it is known beforehand but the seed: each desk looks at what lies on it, and acts, late, or not at all; the clock
// fires what came due. The same seed gives the same acts, streams, event ids and times.
type Span struct {
	Seed   uint64
	Days   int // from the first of January of the published year on
	Demand int // demands raised in a day, on average
}

// Chronicle counts what came of a span.
type Chronicle struct {
	Days    int
	Demands int            // raised by people
	Acts    int            // of people
	Alarms  int            // that the clock carried out
	Fired   map[string]int // alarms by step: warning, expiry, step
	Levels  map[orgs.Level]int
	Refused map[string]int // acts that the rules did not allow, by command and code
	Open    int            // demands not closed at the end
	Latest  time.Duration  // the most that an alarm was carried out after its time
}

// Live sets up the city on an engine with an empty log, and lets it live through a span. Engine and clock are those that
// [City.Seed] wants. Memory goes by what is open, not by the span. progress, if not nil, is told each day that ended.
//
// An act that is refused is counted, and its desk looks at the case again a day later: people err, and rules say no.
func (c *City) Live(ctx context.Context, eng *engine.Engine, clock *Clock, s Span, progress func(day int, at time.Time)) (Chronicle, error) {
	w := &world{City: c, player: newPlayer(eng, clock), span: s, seen: map[stream.Name]*watched{}, topics: map[string]stream.Name{},
		chronicle: Chronicle{Fired: map[string]int{}, Levels: map[orgs.Level]int{}, Refused: map[string]int{}}}
	if w.alarms == nil {
		return w.chronicle, errors.New("city: the engine keeps no diary, so nothing would fire")
	}
	w.alarms.Each = w.struck
	w.hours = hours{c.rules, rand.New(rand.NewPCG(s.Seed, 0x9e3779b97f4a7c15))}
	clock.Set(c.Eve())
	var t Tally
	if err := w.found(ctx, c, &t); err != nil {
		return w.chronicle, err
	}
	var err error
	if w.at, err = eng.Log.End(ctx); err != nil {
		return w.chronicle, err
	}
	opens := yearStart(c.figures.City.Year.Value)
	for day := range s.Days {
		w.arrivals(opens.AddDate(0, 0, day))
		w.occasions(opens.AddDate(0, 0, day))
		midnight := opens.AddDate(0, 0, day+1)
		for {
			until, planned := midnight.Add(-time.Second), len(w.agenda) > 0 && w.agenda[0].at.Before(midnight)
			if planned {
				until = w.agenda[0].at
			}
			if n, err := w.ring(ctx, until); err != nil {
				return w.chronicle, err
			} else if n >= 0 {
				continue
			}
			if !planned {
				break
			}
			if err := w.next(ctx, heap.Pop(&w.agenda).(item)); err != nil {
				return w.chronicle, err
			}
		}
		w.chronicle.Days++
		if progress != nil {
			progress(day+1, midnight)
		}
	}
	for _, x := range w.seen {
		if x.demand && !x.over {
			w.chronicle.Open++
		}
	}
	return w.chronicle, w.settle(ctx)
}

// world is a city while it lives.
type world struct {
	*City
	player
	hours
	span      Span
	agenda    items
	turns     int
	raised    int
	at        eventlog.Position
	seen      map[stream.Name]*watched
	topics    map[string]stream.Name // open for further demands, by community and matter
	chronicle Chronicle
}

// watched is a stream as the desks know it.
type watched struct {
	words  wording // of a demand
	raiser rule.Actor
	desk   string // what the plan in hand was made for; another word, another plan
	plan   int    // turn of the plan that counts
	tries  int    // refused in a row
	demand bool
	over   bool
}

// item is something that people do at a time: a demand is raised, or a desk acts.
type item struct {
	at    time.Time
	turn  int
	name  stream.Name
	raise *birth
	act   *Act
}

type items []item

func (a items) Len() int { return len(a) }
func (a items) Less(i, j int) bool {
	return cmp.Or(a[i].at.Compare(a[j].at), cmp.Compare(a[i].turn, a[j].turn)) < 0
}
func (a items) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *items) Push(x any)   { *a = append(*a, x.(item)) }
func (a *items) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func (w *world) push(i item) int {
	w.turns++
	i.turn = w.turns
	heap.Push(&w.agenda, i)
	return i.turn
}

// chances are those of one stream at one revision: they depend on nothing else, whatever else happens in the city.
func (w *world) chances(of stream.ID, revision int64) *rand.Rand {
	var b [32]byte
	binary.BigEndian.PutUint64(b[:], w.span.Seed)
	binary.BigEndian.PutUint64(b[8:], uint64(revision))
	copy(b[16:], of[:])
	sum := sha256.Sum256(b[:])
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])))
}

// arrivals plans who raises what on one day: fewer at night, fewer on days off, as many kinds as the city published.
func (w *world) arrivals(day time.Time) {
	n := w.span.Demand/2 + w.IntN(w.span.Demand+1)
	if !w.rules.Calendar.IsWorkday(calendar.DateOf(day)) {
		n = n * 2 / 3
	}
	var counties []int
	for _, k := range w.counties {
		counties = append(counties, k.figures.Demands())
	}
	for range n {
		k := &w.counties[weighted(w.Rand, counties)]
		kind := []demand.Kind{demand.Errand, demand.Issue, demand.Dispute, demand.Consult, demand.Suggestion, demand.Report}[weighted(w.Rand,
			[]int{k.figures.Errands.Value, 3 * k.figures.Issues.Value, k.figures.Disputes.Value, k.figures.Demands() / 40, k.figures.Demands() / 100, k.figures.Demands() / 200})]
		second := 7*3600 + (w.IntN(15*3600)+w.IntN(15*3600))/2
		w.push(item{at: day.Add(time.Duration(second) * time.Second), raise: &birth{county: k, kind: kind}})
	}
}

// weighted draws an index in the proportion of the weights; one of them at least is positive.
func weighted(r *rand.Rand, weights []int) int {
	total := 0
	for _, n := range weights {
		total += n
	}
	at := r.IntN(total)
	for i, n := range weights {
		if at -= n; at < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// next lets one thing happen, and shows everybody what came of it.
func (w *world) next(ctx context.Context, i item) error {
	if i.act != nil && i.name.Category() != stream.Grids { // nobody watches a plan of grids: what is decided about it stands
		x := w.seen[i.name]
		if x == nil || x.plan != i.turn {
			return nil // the case moved on since it was planned
		}
		x.desk, x.plan = "", 0
	}
	if now := w.clock.Now(); i.at.After(now) {
		w.clock.Set(i.at)
	}
	if i.raise != nil {
		return w.bear(ctx, *i.raise)
	}
	return w.act(ctx, *i.act)
}

// act carries a plan out.
func (w *world) act(ctx context.Context, a Act) error {
	refusal, err := w.play(ctx, a)
	if err != nil {
		return fmt.Errorf("%s of %s at %s: %w", a.Key, a.Stream, a.At.Format(time.RFC3339), err)
	}
	w.chronicle.Acts++
	if refusal != nil {
		w.chronicle.Refused[commandOf(a.Command)+" "+string(refusal.Code)+" "+refusal.Rule]++
		if x := w.seen[a.Stream]; x != nil {
			x.tries++
			return w.look(ctx, a.Stream, w.clock.Now().Add(time.Duration(x.tries)*24*time.Hour))
		}
		return nil
	}
	if x := w.seen[a.Stream]; x != nil {
		x.tries = 0
	}
	return w.observe(ctx)
}

func commandOf(c engine.Command) string {
	if n, named := c.(interface{ Name() string }); named {
		return n.Name()
	}
	return fmt.Sprintf("%T", c)
}

// struck is told each alarm that the clock carried out, and shows everybody what came of it.
func (w *world) struck(ctx context.Context, f engine.Fired) error {
	step, _, _ := strings.Cut(f.Alarm.Step, "/")
	w.chronicle.Fired[step]++
	w.chronicle.Alarms++
	w.chronicle.Latest = max(w.chronicle.Latest, f.Recorded.Sub(f.Alarm.At))
	if f.Recorded.Before(f.Alarm.At) {
		return fmt.Errorf("%s of %s fired at %s: too early", f.Alarm.Key(), f.Stream, f.Recorded.Format(time.RFC3339))
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	return w.observe(ctx)
}

// bear raises a demand.
func (w *world) bear(ctx context.Context, b birth) error {
	w.raised++
	w.chronicle.Demands++
	g := pick(w.Rand, b.county.grids)
	words := pick(w.Rand, map[demand.Kind][]wording{demand.Errand: errands, demand.Issue: issues, demand.Dispute: disputes, demand.Consult: consults,
		demand.Suggestion: suggestions, demand.Report: reports}[b.kind])
	reference := fmt.Sprintf("%s-%d-%07d", Label, w.span.Seed, w.raised)
	anonymous := b.kind == demand.Report && w.chance(400) || w.chance(20)
	now := w.clock.Now()
	channel, by := demand.Channel("hotline"), post(orgs.Channel, body(root, "hotline"))
	var occurred time.Time
	switch roll := w.IntN(100); {
	case anonymous || roll < 45:
	case roll < 80:
		channel, by = "wechat", rule.Actor{ID: "resident-" + reference, Role: orgs.Resident, Unit: g.community.code}
	default:
		channel, by = "home_visit", g.worker()
		occurred = w.later(now, -180, -1)
	}
	c := demand.Raise{Kind: b.kind, Channel: channel, External: reference, Anonymous: anonymous, NoCallback: w.chance(30),
		Title: say(words.title), Text: say(words.text), Address: say(inventAddress(w.Rand, g)), Matter: words.matter, Grid: g.code, Unit: g.community.code}
	if !anonymous {
		c.Reporter = demand.Reporter{Name: say(inventName(w.Rand)), Phone: say(inventPhone(w.Rand))}
	}
	n := stream.Of(stream.Demand, stream.DemandFor(string(channel), reference))
	w.seen[n] = &watched{words: words, raiser: by, demand: true}
	return w.act(ctx, Act{At: now, Occurred: occurred, Stream: n, Key: "life/" + reference, Actor: by, Command: c})
}

// observe reads what happened since, and lets every desk concerned look at its case.
func (w *world) observe(ctx context.Context) error {
	var touched []stream.Name
	met := map[stream.Name]bool{}
	for batch, err := range w.Log.Follow(ctx, w.at) {
		if err != nil {
			return err
		}
		for _, ev := range batch.Events {
			w.at = ev.Position
			n := stream.Name(ev.Stream)
			switch n.Category() {
			case stream.Unit, stream.Grids, stream.Number, stream.Policy, stream.Access, stream.Actor, stream.Log:
				continue
			}
			x := w.seen[n]
			if x == nil {
				x = &watched{}
				w.seen[n] = x
			}
			if strings.HasSuffix(ev.Type, "-escalated/1") {
				if b, err := event.Decode(ev.Type, ev.Data); err == nil {
					w.count(b)
				}
			}
			if !met[n] {
				met[n] = true
				touched = append(touched, n)
			}
		}
		if batch.Live {
			break
		}
	}
	for _, n := range touched {
		if err := w.look(ctx, n, w.clock.Now()); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) count(b event.Body) {
	switch e := b.(type) {
	case demand.Escalated:
		w.chronicle.Levels[e.To]++
	case topic.Escalated:
		w.chronicle.Levels[e.To]++
	case order.Escalated:
		w.chronicle.Levels[e.To]++
	case dispute.Escalated:
		w.chronicle.Levels[e.To]++
	}
}

// look lets whoever holds a case plan what to do with it, not before an instant.
func (w *world) look(ctx context.Context, n stream.Name, from time.Time) error {
	state, revision, err := w.Load(ctx, n)
	if err != nil {
		return err
	}
	x := w.seen[n]
	x.over = ended(state)
	word := lying(state)
	if word == x.desk && x.plan != 0 {
		return nil
	}
	x.desk, x.plan = word, 0
	if x.tries > 5 {
		return nil // what was refused again and again is left to those whom the clock calls
	}
	d := desk{world: w, name: n, it: x, hours: hours{w.rules, w.chances(n.ID(), revision)}, now: from}
	if a := d.plan(state); a != nil {
		a.Key, a.Stream = fmt.Sprintf("life/%d", revision+1), n
		a.At = a.At.Truncate(time.Millisecond)
		x.plan = w.push(item{at: a.At, name: n, act: a})
	}
	if x.over && x.plan == 0 && !x.demand {
		delete(w.seen, n)
	}
	return nil
}

// ended reports whether nothing is owed on a case any more.
func ended(s event.State) bool {
	switch s := s.(type) {
	case demand.State:
		return s.Phase.Terminal()
	case order.State:
		return s.Phase.Terminal()
	case topic.State:
		return s.Phase.Terminal()
	case whistle.State:
		return s.Phase.Terminal()
	case admission.State:
		return s.Phase.Terminal()
	}
	return false
}
