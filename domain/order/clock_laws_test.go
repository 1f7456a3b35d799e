package order_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// tale is a random story of an order, in which alarms are carried out as they come. It is told by numbers: each is a
// choice, and what they do not say is zero.
type tale struct {
	desk
	numbers []int
	next    int

	sweeps int
	nodes  int                  // that carry out alarms, each from what it last saw
	late   time.Duration        // of them all
	keys   map[string]bool      // used
	struck []rule.Alarm         // that were carried out
	heard  map[string]time.Time // since when each due instant has had an alarm
	seen   int                  // events looked at
	was    order.State          // before the event that is looked at
	still  []span               // in which the handling clock stood still, or a return was pending
	since  map[string]time.Time // from which the next step of a due instant counts
	told   map[string]int       // what happened, to see that the laws were put to something
	fault  string               // the first one
}

// span is from an instant up to another; it is open while to is zero.
type span struct{ from, to time.Time }

// of chooses one of n.
func (p *tale) of(n int) int {
	if p.next >= len(p.numbers) {
		return 0
	}
	p.next++
	return p.numbers[p.next-1] % n
}

func (p *tale) broken(law, format string, a ...any) {
	if p.fault == "" {
		p.fault = law + ": " + fmt.Sprintf(format, a...)
	}
}

// tell tells a story to its end, after which only the clock goes on for more than a year.
func tell(numbers []int, nodes int, f fold) *tale {
	p := &tale{desk: *newDesk(), numbers: numbers, nodes: nodes, keys: map[string]bool{}, heard: map[string]time.Time{},
		since: map[string]time.Time{}, told: map[string]int{}}
	p.fold = f
	if p.fold == nil {
		p.fold = order.Evolve
	}
	short, strict := levels(1, 2, 3), escalation.Default()
	strict.Reworks, strict.Suspensions, strict.SuspendedDays = 1, 1, 20
	policies := []*escalation.Policy{nil, levels(1, 4, 5), levels(1, 3, 5), short, strict}
	p.policy = policies[p.of(len(policies))]
	p.now = p.now.Add([]time.Duration{0, 300 * time.Millisecond}[p.of(2)])
	p.late = []time.Duration{0, 0, 1200 * time.Millisecond, 2 * time.Hour}[p.of(4)]
	if p.of(4) == 3 { // the notice for the next year is not there yet
		p.now, p.clocks.Calendar = p.now.AddDate(0, 3, 10), p.clocks.Calendar.Without(2026)
	}
	begin := to([]orgs.UnitCode{grid, agency, grid, department, bureau}[p.of(5)], order.Urgencies()[p.of(4)])[0]
	if c := begin.what.(order.Dispatch); p.of(5) == 4 {
		c.Topic, c.Cycle, c.Target = topicID, 1, calendar.DateOf(p.now)+calendar.Date(p.of(3))
		begin.what = c
	}
	p.act(begin)
	for p.next < len(p.numbers) && p.fault == "" {
		target := p.now.Add([]time.Duration{time.Minute, time.Second, 20 * time.Minute, time.Hour, 5 * time.Hour, 20 * time.Hour, 3 * 24 * time.Hour, 9 * 24 * time.Hour}[p.of(8)])
		if a, rings := rule.Earliest(p.state.Alarms()); rings && p.of(3) > 0 { // just before, at, or after what comes next
			target = latest(p.now, a.At.Add([]time.Duration{time.Minute, -time.Second, 0, 40 * time.Minute}[p.of(4)]))
		}
		if p.of(5) != 4 { // else all machines are down
			p.sweep(target)
		}
		p.now = latest(p.now, target)
		switch p.of(24) {
		default: // nobody does anything
		case 12, 13:
			p.act(by(holder(p.state.Lead), order.RequestExtension{Amount: 1, Reason: "parts", Told: true}))
		case 14, 15:
			p.act(by(person(orgs.StreetLeader, p.state.By), order.GrantExtension{}))
		case 11:
			p.policy = policies[p.of(len(policies))]
		case 10:
			p.clocks.Calendar = calendar.China()
			if id := provisional(p.state); id != "" {
				p.act(by(arbiter, order.RecomputeDeadline{ID: id, Reason: "the notice has come"}))
			}
		case 9:
			if p.of(4) > 0 { // each that is not answered lifts it, and soon nothing could
				continue
			}
			p.act(by(supervisor, order.IssueSupervision{Reason: "slow"}))
		case 8:
			p.act(by(holder(p.state.Lead), order.AnswerSupervision{Number: 1 + p.of(3), Answer: "soon"}))
		case 4, 5, 6, 7:
			ways := detours(&p.desk, leads[p.of(len(leads))], 1+p.of(90))
			p.act(ways[p.of(len(ways))])
		case 0, 1, 2, 3:
			p.act(forward(p.state))
		}
	}
	p.sweep(p.now.AddDate(1, 1, 0))
	return p
}

func provisional(s order.State) string {
	if i := slices.IndexFunc(s.Running, func(d calendar.Due) bool { return d.Provisional }); i >= 0 {
		return s.Running[i].ID
	}
	return ""
}

// act has somebody do something; that it may be refused is other laws' business.
func (p *tale) act(s step) {
	s.after = time.Second
	_, _ = p.attempt(s)
	p.look()
}

// sweep carries out every alarm up to an instant, the earliest first. With more nodes than one, each acts on what it saw
// when it last acted: it may come with what another has done.
func (p *tale) sweep(until time.Time) {
	views := make([][]rule.Alarm, p.nodes)
	for i := range views {
		views[i] = p.state.Alarms()
	}
	for turn, done := 0, 0; p.fault == ""; turn++ {
		node := turn * 7 / 3 % p.nodes
		a, rings := rule.Earliest(views[node])
		if !rings || a.At.After(until) {
			if a, rings = rule.Earliest(p.state.Alarms()); !rings || a.At.After(until) {
				break
			}
		}
		switch {
		case !p.keys[a.Key()]:
			p.strike(a)
			done++
		case slices.Contains(keys(p.state.Alarms()), a.Key()):
			p.broken("b", "%s was carried out and is there again", a.Key())
		}
		views[node] = p.state.Alarms()
		if done > 200 {
			p.broken("c", "the sweep up to %s does not end: %s again in %s", until, a.Key(), p.state.Phase)
		}
	}
	if p.fault != "" {
		return
	}
	p.now = latest(p.now, until)
	for _, a := range p.state.Alarms() {
		if !a.At.After(until) {
			p.broken("c", "%s was to be carried out at %s and is still there at %s", a.Key(), a.At, until)
		}
	}
	if p.sweeps++; p.sweeps%4 > 0 && p.next < len(p.numbers) { // the rest takes long
		return
	}
	for _, a := range p.struck { // without the keys it is the state that tells a repeat
		if es, _ := order.Decide(p.state, a.Command.(order.Command), p.at(clock)); len(es) > 0 {
			p.broken("b", "%s again leads to %v", a.Key(), types(es))
		}
	}
	again := order.State{ID: p.state.ID}
	for _, r := range p.history {
		again = p.fold(again, r.Event, r.Stamp)
	}
	if got := again.Alarms(); !reflect.DeepEqual(got, p.state.Alarms()) {
		p.broken("f", "folded anew: got alarms %+v, want %+v", got, p.state.Alarms())
	}
}

// strike carries out an alarm, not before its first second.
func (p *tale) strike(a rule.Alarm) {
	c, at := a.Command.(order.Command), p.at(clock)
	at.Occurred, at.Recorded = a.At.Add(-time.Second), a.At.Add(-time.Second)
	var early *rule.Refusal
	if es, err := order.Decide(p.state, c, at); len(es) > 0 || err == nil {
		p.broken("a", "%s a second before %s: got %v, %v; want it refused", a.Key(), a.At, types(es), err)
	} else if early, _ = err.(*rule.Refusal); early == nil || early.Code != rule.GuardFailed {
		p.broken("a", "%s a second before %s: got %v, want guard_failed", a.Key(), a.At, err)
	}
	at.Occurred, at.Recorded = a.At, a.At
	if es, err := order.Decide(p.state, c, at); err != nil || len(es) == 0 {
		p.broken("a", "%s at %s: got %v, %v; want it carried out", a.Key(), a.At, types(es), err)
	}
	p.now = latest(p.now, a.At.Add(p.late))
	if es, err := p.try(c, p.at(clock)); err != nil || len(es) == 0 {
		p.broken("b", "%s at %s: got %v, %v; want it carried out", a.Key(), p.now, types(es), err)
	} else {
		p.blame(a, es[0])
	}
	p.keys[a.Key()] = true
	p.struck = append(p.struck, a)
	p.told[a.Step]++
	p.look()
}

// blame: a machine is late from when it could hear of a due instant, and no longer.
func (p *tale) blame(a rule.Alarm, e order.Event) {
	var late int
	switch e := e.(type) {
	case order.WarningRaised:
		late = e.LateBy
	case order.ClockExpired:
		late = e.LateBy
	case order.Escalated:
		late = e.LateBy
	default:
		return
	}
	if most := p.now.Sub(latest(a.At, p.heard[a.ID])) + 2*time.Second; time.Duration(late)*time.Second > most {
		p.broken("late", "%s: late by %d s, and it was there for %s", a.Key(), late, most)
	}
}

// look holds the events since it last looked against the laws of the clock.
func (p *tale) look() {
	for ; p.seen < len(p.history); p.seen++ {
		r := p.history[p.seen]
		p.told[event(r.Event)]++
		was, now := p.was, p.fold(p.was, r.Event, r.Stamp)
		p.was = now
		stands := was.Phase == order.PhaseSuspended || was.Phase == order.PhaseReported || was.Phase == order.PhaseReturnPending
		switch e := r.Event.(type) {
		case order.ClockExpired:
			work := e.Clock == calendar.Handle || e.Clock == calendar.Rework
			if stands && (work || e.Clock == calendar.Contact) {
				p.broken("I4", "%s expired while the order was %s", e.ID, was.Phase)
			}
			if e.Clock == calendar.SuspensionReview || e.Clock == calendar.ExtensionDecision {
				p.broken("O11", "%s expired", e.ID)
			}
			if d, runs := was.Running.Due(e.ID); !runs {
				p.broken("b", "%s expired and does not run", e.ID)
			} else if work {
				p.counted(was, d)
			}
			p.since[e.ID] = latest(e.Due, p.since[e.ID])
		case order.Escalated:
			p.told[e.Rule]++
			if stands && e.Rule == "E2" {
				p.broken("I4", "a step while the order was %s", was.Phase)
			}
			if e.To <= e.From || e.From < was.Attention.Level || e.To > min(e.Top, orgs.City.Level()) || now.Attention.Level != e.To {
				p.broken("d", "got from %d to %d of %d, attention before %+v", e.From, e.To, e.Top, was.Attention)
			}
			if e.Rule == "E2" {
				p.waited(was, e)
				p.since[e.ID] = e.Due
			}
		}
		if now.Attention.Level < was.Attention.Level {
			p.broken("d", "attention fell from %d to %d", was.Attention.Level, now.Attention.Level)
		}
		p.rest(was, now, r.Stamp)
	}
	heard := map[string]time.Time{}
	for _, a := range p.state.Alarms() {
		heard[a.ID] = p.now
		if since, known := p.heard[a.ID]; known {
			heard[a.ID] = since
		}
	}
	p.heard = heard
}

// rest keeps the spans in which nothing is held against the unit.
func (p *tale) rest(was, now order.State, st rule.Stamp) {
	at := st.Recorded.Truncate(time.Second)
	idle := func(s order.State) bool { return s.Frozen.ID != "" || s.Phase == order.PhaseReturnPending }
	switch {
	case !idle(was) && idle(now):
		p.still = append(p.still, span{from: at})
	case idle(was) && !idle(now) && len(p.still) > 0:
		p.still[len(p.still)-1].to = at
		for _, d := range now.Running { // what was overdue before counts from here at the earliest
			if d.Clock == now.Work() && !now.Fired.Of(d.ID).Expired {
				p.since[d.ID] = at
			}
		}
	}
}

// awake is how much of a span nothing stood still in.
func (p *tale) awake(from, to time.Time) time.Duration {
	all := to.Sub(from)
	for _, s := range p.still {
		if s.to.IsZero() {
			s.to = to
		}
		if b, e := latest(from, s.from), s.to; e.After(to) {
			all -= max(0, to.Sub(b))
		} else {
			all -= max(0, e.Sub(b))
		}
	}
	return all
}

// counted: in hours, the amount and what was granted is counted before a due instant, and no suspended time.
func (p *tale) counted(s order.State, d calendar.Due) {
	if d.Kind != calendar.NaturalHours {
		return
	}
	frozen := &tale{}
	for _, h := range p.still { // a pending return stops no clock
		if h.to.IsZero() || h.from.After(d.StartedAt) && p.froze(h) {
			frozen.still = append(frozen.still, h)
		}
	}
	want := time.Duration(d.Amount) * time.Hour
	if got := frozen.awake(d.StartedAt, d.Due); got != want && got != want+time.Duration(s.Extension.Amount)*time.Hour {
		p.broken("e", "%s of %s: %s were counted up to the due instant", d.ID, want, got)
	}
}

// froze reports whether a span was a suspension or a report, as the events tell it.
func (p *tale) froze(h span) bool {
	return slices.ContainsFunc(p.history, func(r recorded) bool {
		n := event(r.Event)
		return (n == "order-suspended" || n == "handling-reported") && r.Stamp.Recorded.Truncate(time.Second).Equal(h.from)
	})
}

// waited: between two steps at least the policy's hours pass in which the unit could have worked.
func (p *tale) waited(s order.State, e order.Escalated) {
	amount := p.policy.Step(s.Urgency)
	if amount.Kind != calendar.NaturalHours {
		return
	}
	if got, want := p.awake(p.since[e.ID], e.Due), time.Duration(amount.N)*time.Hour; got < want {
		p.broken("e", "%s, step %d at %s: %s since %s in which the unit could work, want %s", e.ID, e.Step, e.Due, got, p.since[e.ID], want)
	}
}

// drawn are so many numbers, evenly: rapid prefers small ones, and they would all tell of quick work.
func drawn(seed uint64, n int) []int {
	random := rand.New(rand.NewPCG(seed, 1))
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = random.IntN(1 << 20)
	}
	return numbers
}

// TestTheLawsOfTheClock puts to random stories of orders:
//
//	(a) no alarm is refused in its first second, and each is a second earlier;
//	(b) each fires once: under its key, and without it;
//	(c) a sweep ends, and leaves nothing that was due;
//	(d) attention never falls;
//	(e) time in which the clock stood still is never counted, nor is what a machine could not hear laid to it;
//	(f) the same events give the same alarms.
//
// Any number of nodes that sweep together leave the same history.
func TestTheLawsOfTheClock(t *testing.T) {
	told := map[string]int{}
	hold := func(t failing, numbers []int) {
		t.Helper()
		one := tell(numbers, 1, nil)
		if one.fault != "" {
			t.Fatalf("%s\n%s", one.fault, one.story())
		}
		check(t, one.history)
		for _, nodes := range []int{2, 3} {
			if more := tell(numbers, nodes, nil); more.fault != "" || !reflect.DeepEqual(more.history, one.history) {
				t.Fatalf("%d nodes: %s; got\n%swant\n%s", nodes, more.fault, more.story(), one.story())
			}
		}
		for k, n := range one.told {
			told[k] += n
		}
	}
	for seed := range uint64(100) { // the same in every run, so that what the laws were put to is known
		hold(t, drawn(seed, 200))
	}
	for _, k := range []string{"E1", "E2", "E3", "E4", "E5", "E8", "warning/1", "warning/2", "expiry", "step/1", "step/2",
		"order-resumed", "extension-refused", "extension-granted", "return-refused", "verification-failed", "deadline-recomputed", "order-reopened"} {
		if told[k] == 0 {
			t.Errorf("no story had %s: the laws say nothing about it", k)
		}
	}
	t.Logf("told: %v", told)
	if t.Failed() {
		return
	}
	rapid.Check(t, func(t *rapid.T) {
		hold(t, drawn(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(90, 300).Draw(t, "length")))
	})
}

// story lists what happened.
func (p *tale) story() string {
	var b strings.Builder
	for _, r := range p.history {
		fmt.Fprintf(&b, "%s %s %s %+v\n", r.Stamp.Recorded.In(calendar.Zone()).Format(time.DateTime), r.Stamp.Actor.ID, event(r.Event), r.Event)
	}
	return b.String()
}

// TestABrokenFoldBreaksTheLaws: each of these forgets something that the clock needs, and a law must say so.
func TestABrokenFoldBreaksTheLaws(t *testing.T) {
	forgetting := func(forgets func(order.Event) bool) fold {
		return func(s order.State, e order.Event, st rule.Stamp) order.State {
			after := order.Evolve(s, e, st)
			if forgets(e) {
				after.Fired = s.Fired
			}
			return after
		}
	}
	changing := func(f func(*order.State)) fold {
		return func(s order.State, e order.Event, st rule.Stamp) order.State {
			after := order.Evolve(s, e, st)
			after.Fired = slices.Clone(after.Fired)
			f(&after)
			return after
		}
	}
	of := func(names ...string) func(order.Event) bool {
		return func(e order.Event) bool { return slices.Contains(names, event(e)) }
	}
	for name, c := range map[string]struct {
		fold fold
		laws string // one of which must be broken
	}{
		"it forgets warnings":                 {forgetting(of("order-warning-raised")), "bc"},
		"it forgets expiries":                 {forgetting(of("order-clock-expired")), "bc"},
		"it forgets steps":                    {forgetting(of("order-escalated")), "bc"},
		"it forgets when a clock began again": {changing(func(s *order.State) { unsince(s) }), "l"},
		"it does not delay what stood still": {func(s order.State, e order.Event, st rule.Stamp) order.State {
			after := order.Evolve(s, e, st)
			after.Fired = slices.Clone(after.Fired)
			for i := range after.Fired {
				if f := &after.Fired[i]; !f.Next.IsZero() && event(e) != "order-clock-expired" && event(e) != "order-escalated" {
					f.Next = s.Fired.Of(f.ID).Next
				}
			}
			return after
		}, "el"},
		"it never comes to the top of the ladder": {changing(func(s *order.State) { s.Attention.Top = s.Attention.Level + 1 }), "cd"},
		"its attention falls": {func(s order.State, e order.Event, st rule.Stamp) order.State {
			after := order.Evolve(s, e, st)
			if event(e) == "handling-reported" {
				after.Attention = rule.Attention{}
			}
			return after
		}, "d"},
	} {
		caught, stories := "", uint64(0)
		for ; stories < 500 && caught == ""; stories++ {
			caught = tell(drawn(stories, 120), 1, c.fold).fault
		}
		law, _, _ := strings.Cut(caught, ":")
		t.Logf("%s: %s", name, caught)
		if caught == "" || !strings.ContainsAny(c.laws, law[:1]) {
			t.Errorf("%s: after %d stories got %q, want one of the laws %s broken", name, stories, caught, c.laws)
		}
	}
}

func unsince(s *order.State) {
	for i := range s.Fired {
		s.Fired[i].Since = time.Time{}
	}
}
