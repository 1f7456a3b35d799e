package topic

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"

	"pgregory.net/rapid"
)

// world is what lies outside the topic: how its orders, its demands and another topic stand.
type world struct {
	orders  map[stream.ID]string
	demands []rule.DemandFact
	other   rule.TopicFact
}

func (w world) facts(s State) rule.Facts {
	f := rule.Facts{Demands: slices.Concat(twoDemands(s).Demands, w.demands), Topics: []rule.TopicFact{w.other}}
	for _, id := range append(slices.Clone(s.AllOrders), joined) {
		if phase := w.orders[id]; phase != "" {
			f.Orders = append(f.Orders, order(id, phase))
		}
	}
	return f
}

// turn lets the world go on by itself.
func (w *world) turn(t *rapid.T, s State) {
	w.demands = nil
	if rapid.IntRange(0, 3).Draw(t, "demand linked") == 0 {
		w.demands = []rule.DemandFact{{ID: demandID(2), Topic: self, Live: rapid.Bool().Draw(t, "live"), Answered: rapid.Bool().Draw(t, "answered")}}
	}
	w.other = rule.TopicFact{ID: other, Phase: "proposed", Unit: rapid.SampledFrom([]orgs.UnitCode{community, street, beside}).Draw(t, "other's unit"),
		Terminal: rapid.IntRange(0, 3).Draw(t, "other ended") == 0}
	if rapid.Bool().Draw(t, "all orders alike") {
		phase := rapid.SampledFrom([]string{"verified", "closed", "cancelled"}).Draw(t, "orders")
		for _, id := range append(slices.Clone(s.AllOrders), joined) {
			w.orders[id] = phase
		}
		return
	}
	for _, id := range append(slices.Clone(s.AllOrders), joined) {
		w.orders[id] = rapid.SampledFrom([]string{"", "handling", "closed", "cancelled"}).Draw(t, "order")
	}
}

// moves are all steps that random histories are made of; those that end a topic for good come seldom.
var (
	moves = []step{proposes, opens, holds, holds, opensVote, closesVote, failsVote, adopts, adopts, adopts, defers, refusesAdmission,
		hands, hands, hands, addsItem, joins, returns, publishes, publishes, marksReady, concludes, concludes, reopens, supports, notes, recounts,
		rehand(0, func(i *Item) { i.Target += 90 })}
	lastMoves = []step{rejects, merges, drops}
)

func randomMove(t *rapid.T, s State, w world) step {
	source := moves
	if rapid.IntRange(0, 19).Draw(t, "last move") == 0 {
		source = lastMoves
	}
	st := rapid.SampledFrom(source).Draw(t, "move")
	possible := append(slices.Clone(Machine.Possible(s.Phase)), "mark-ready-to-conclude")
	allowed := slices.DeleteFunc(slices.Clone(moves), func(m step) bool { return !slices.Contains(possible, name(m)) })
	if len(allowed) > 0 && rapid.IntRange(0, 4).Draw(t, "any move") > 0 { // mostly one that the state allows
		st = rapid.SampledFrom(allowed).Draw(t, "possible move")
	}
	if name(st) == "hand-to-grid" && len(s.Plan) == 0 {
		st = hands
	}
	st.facts = w.facts
	st.wait = time.Duration(rapid.IntRange(1, 20*24).Draw(t, "hours")) * time.Hour
	if rapid.IntRange(0, 9).Draw(t, "stranger") == 0 {
		st.who = rapid.SampledFrom([]rule.Actor{clerk, convenor, secretary, dispatcher, leader, officer, resident, worker, system,
			from(convenor, beside), from(secretary, elsewhere)}).Draw(t, "who")
	}
	if rapid.IntRange(0, 9).Draw(t, "gate") == 0 {
		st.gate = blocking(rapid.SampledFrom([]orgs.UnitCode{grid.Unit(), community}).Draw(t, "blocked"))
	}
	return st
}

// name is the word of a step's command, whatever the state: every command has the same word always.
func name(st step) string {
	s := State{Plan: plan(time.Time{})}
	return st.cmd(s, time.Time{}).Name()
}

// check holds a history against the rules that every history keeps.
func check(t rapid.TB, p *play) {
	t.Helper()
	due := map[string]bool{}
	cycles, results := 0, 0
	allowed := map[Phase][]calendar.Clock{
		PhaseProposed: {calendar.Open}, PhaseDeliberating: {calendar.Deliberate}, PhaseVoting: {calendar.Deliberate, calendar.VoteCount},
		PhaseDeferred: {calendar.TopicReview}, PhaseAdopted: {calendar.Handover}, PhaseHandling: {calendar.Conclude},
	}
	for n, e := range p.events {
		for _, d := range dues(e) {
			if due[d.ID] {
				t.Fatalf("event %d, %T: the due id %s comes twice (I15)", n, e, d.ID)
			}
			due[d.ID] = true
		}
		before, s := p.states[n], p.states[n+1]
		switch e := e.(type) {
		case HandedToGrid:
			cycles++
			if e.Cycle != cycles {
				t.Fatalf("handover %d opens cycle %d", cycles, e.Cycle)
			}
		case DeliberationOpened:
			if e.MeetingAt.Nanosecond() != 0 {
				t.Fatalf("the meeting is at %s, want whole seconds", e.MeetingAt)
			}
		case ResultPublished:
			results++
			if e.Result != results {
				t.Fatalf("result %d is numbered %d", results, e.Result)
			}
		case Adopted:
			if !before.Held || before.Vote.Closed && !before.Vote.Passed {
				t.Fatalf("adopted without a meeting or against a vote: %+v", before)
			}
		}
		if !listed(before.Phase, s.Phase, e) {
			t.Fatalf("%s leads from %q to %q, the table knows no such row", e.EventType(), before.Phase, s.Phase)
		}
		if s.Dues != len(due) {
			t.Fatalf("after %T: got %d clocks started, want %d", e, s.Dues, len(due))
		}
		var running []calendar.Clock
		for _, d := range s.Running {
			running = append(running, d.Clock)
		}
		ok := slices.Equal(running, allowed[s.Phase]) || s.Phase == PhaseHandling && len(running) == 0
		if !ok {
			t.Fatalf("%s after %T: got clocks %q, want %q", s.Phase, e, running, allowed[s.Phase])
		}
		if s.Cycle != cycles || s.Results != results || s.CycleResults > results {
			t.Fatalf("after %T: cycle %d of %d, results %d of %d", e, s.Cycle, cycles, s.Results, results)
		}
		if !distinct(s.CycleOrders) || !distinct(s.AllOrders) {
			t.Fatalf("after %T: an order comes twice: %v of %v", e, s.CycleOrders, s.AllOrders)
		}
		for _, id := range s.CycleOrders {
			if !slices.Contains(s.AllOrders, id) {
				t.Fatalf("after %T: the order %s is not among all orders", e, id)
			}
		}
		if s.Phase != before.Phase && s.Since != p.stamps[n].Recorded {
			t.Fatalf("after %T: entered %s at %s, want %s", e, s.Phase, s.Since, p.stamps[n].Recorded)
		}
		if ended := !s.EndedAt.IsZero(); ended != s.Phase.Terminal() {
			t.Fatalf("after %T: %s, ended %v", e, s.Phase, ended)
		}
	}
	s := State{ID: self}
	for n, e := range p.events {
		s = Evolve(s, e, p.stamps[n])
		if !reflect.DeepEqual(s, p.states[n+1]) {
			t.Fatalf("the state after event %d has changed since:\n got %+v\nwant %+v", n, p.states[n+1], s)
		}
	}
}

// dues returns the due instants that an event starts.
func dues(e Event) (ds []calendar.Due) {
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		if d, is := v.Field(i).Interface().(calendar.Due); is {
			ds = append(ds, d)
		}
	}
	return ds
}

// listed reports whether the table has the transition.
func listed(from, to Phase, e Event) bool {
	for _, r := range Machine.Rows {
		if r.Event+"/1" == e.EventType() && r.To == to && (slices.Contains(r.From, from) || from == "" && len(r.From) == 0) {
			return true
		}
	}
	return from == to && slices.ContainsFunc(Machine.Notes, func(n rule.Note[Phase]) bool {
		return n.Event+"/1" == e.EventType() && slices.Contains(n.In, from)
	})
}

// randomHistory plays up to 40 random steps from some state on, asking each decided one twice.
func randomHistory(t *rapid.T) (*play, *world) {
	w := &world{orders: map[stream.ID]string{}}
	p := given(t, path(rapid.SampledFrom([]Phase{"", PhaseDeliberating, PhaseHandling, PhaseConcluded}).Draw(t, "from"))...)
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		if rapid.IntRange(0, 2).Draw(t, "the world turns") == 0 {
			w.turn(t, p.state())
		}
		c, at := p.ask(randomMove(t, p.state(), *w))
		events, err := Decide(p.state(), c, at)
		if err != nil && len(events) > 0 {
			t.Fatalf("%s: got events %v and %v", c.Name(), events, err)
		}
		p.record(events, at)
		if len(events) == 0 {
			continue
		}
		if again, err := Decide(p.state(), c, at); len(again) > 0 || err != nil {
			t.Fatalf("%s asked twice: got %v, %v", c.Name(), again, err)
		}
	}
	return p, w
}

func TestEveryHistoryKeepsTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, _ := randomHistory(t)
		check(t, p)
	})
}

// From wherever a history stands, steps that only go forward bring the topic to an end.
func TestNothingIsEverStuck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, w := randomHistory(t)
		w.demands, w.other.Unit, w.other.Terminal = nil, community, false
		for range 12 {
			s := p.state()
			if s.Phase.Terminal() {
				check(t, p)
				return
			}
			var st step
			switch s.Phase {
			case "":
				st = proposes
			case PhaseProposed, PhaseDeferred:
				st = opens
			case PhaseDeliberating:
				if st = holds.after(7 * day); s.Held {
					st = adopts
				}
				if s.Held && s.Vote.Closed && !s.Vote.Passed {
					st = rejects
				}
			case PhaseVoting:
				st = but(closesVote, func(c *CloseVote) { c.Cast, c.Counts = 0, []int{0, 0} }).by(system)
			case PhaseAdopted:
				st = hands.asking(func(s State, now time.Time) Command {
					items := slices.Clone(s.Plan)
					for i := range items {
						if items[i].Target <= calendar.DateOf(now) {
							items[i].Target = calendar.DateOf(now) + 30
						}
					}
					return HandToGrid{Items: items}
				})
			case PhaseHandling:
				for _, id := range s.CycleOrders {
					w.orders[id] = "closed"
				}
				if st = publishes; s.CycleResults > 0 {
					st = concludes
				}
			}
			st.facts = w.facts
			if events, err := p.do(st); err != nil || len(events) != 1 {
				t.Fatalf("%s when %q: got %v, %v", name(st), s.Phase, events, err)
			}
		}
		t.Fatalf("still %s after twelve steps forward", p.state().Phase)
	})
}

// What is in the log has happened: the fold takes any event in any state. And a state may have several
// futures, none of which touches another: states are kept and compared.
func TestTheFoldTakesAnyEventInAnyState(t *testing.T) {
	item := plan(newPlay().now)[0]
	d := calendar.Due{ID: "x/1/0/1", Clock: calendar.Open}
	events := []Event{Proposed{Unit: community, Open: d}, DeliberationOpened{Deliberate: d}, DeliberationHeld{}, VoteOpened{Electorate: 1}, VoteClosed{Passed: true},
		Adopted{Items: []Item{item}, Handover: d}, Rejected{}, Deferred{Review: d}, AdmissionRefused{Deliberate: d}, HandedToGrid{Cycle: 1, Items: []Item{item, item}},
		OrderAdded{Item: &item}, OrderAdded{Order: joined}, ReadyToConclude{Conclude: d}, Returned{Deliberate: d}, ResultPublished{Result: 1}, Concluded{},
		Reopened{Deliberate: d}, MergedInto{Target: other}, Dropped{}, LinkedDemandReopened{},
		DeadlineRecomputed{Replaces: d.ID, Clock: calendar.Due{ID: "x/1/0/2", Clock: calendar.Open}},
		Supported{Household: "1"}, Supported{Household: "2"}, Supported{Household: "3"}, Supported{Household: "4"},
		WarningRaised{ID: d.ID, Number: 1}, ClockExpired{ID: d.ID}, Escalated{Rule: "E5", To: 3, ID: d.ID}}
	rapid.Check(t, func(t *rapid.T) {
		p := newPlay()
		var sides []State // the n-th state with one other event
		var sideEvents []Event
		var sideStamps []rule.Stamp
		for n := range rapid.IntRange(1, 30).Draw(t, "events") {
			p.now = p.now.Add(time.Hour)
			at := rule.At{Stamp: rule.Stamp{Event: stream.Derive("side", string(rune(n))), Actor: system, Occurred: p.now, Recorded: p.now}}
			e := rapid.SampledFrom(events).Draw(t, "another future")
			sides, sideEvents, sideStamps = append(sides, Evolve(p.state(), e, at.Stamp)), append(sideEvents, e), append(sideStamps, at.Stamp)
			p.record([]Event{rapid.SampledFrom(events).Draw(t, "event")}, at)
		}
		s := State{ID: self}
		for n, e := range p.events {
			if side := Evolve(s, sideEvents[n], sideStamps[n]); !reflect.DeepEqual(side, sides[n]) {
				t.Fatalf("event %d: its other future has changed since:\n got %+v\nwant %+v", n, sides[n], side)
			}
			s = Evolve(s, e, p.stamps[n])
			if !reflect.DeepEqual(s, p.states[n+1]) {
				t.Fatalf("event %d, %T: the state it led to has changed since", n, e)
			}
		}
		for _, c := range commands { // whatever the state, a command is answered
			c, at := p.ask(step{who: system, cmd: anything(c)})
			if events, err := Decide(s, c, at); len(events) > 0 && err != nil {
				t.Fatalf("%s: got %v and %v", c.Name(), events, err)
			}
		}
	})
}
