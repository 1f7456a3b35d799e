package engine_test

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
)

var (
	decadeOrders = flag.Int("decade-orders", 400, "orders of the simulation of 10,000 days")
	decadeSeed   = flag.Uint64("decade-seed", 1, "its seed")
)

// happening is something of a simulation that has its time.
type happening struct {
	at time.Time
	n  int // order of those of one instant
	do func()
}

type agenda []happening

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return cmp.Or(a[i].at.Compare(a[j].at), cmp.Compare(a[i].n, a[j].n)) < 0
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(happening)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// decades is a city that four nodes serve for years, with people who do or do not do their work, clocks that jump, nodes
// that stop and start, appends with no known outcome, and timetables that lag. Time moves from one thing that happens to the next.
//
// Not in it: a log whose own clock jumps; a partition in which a node appends but does not read; topics, demands, disputes.
type decades struct {
	*province
	rand    *rand.Rand
	end     time.Time
	agenda  agenda
	made    int
	truth   *timetable // of the log, never behind
	streams map[stream.Name][]moment
	watched map[int64]bool // instants, in ns, at which a node in good health swept
	away    []outage
	figures struct{ steps, sweeps, fired, held, jumps, starts, unknown, acts, refused int }
}

// moment is an event with the state before it and after it.
type moment struct {
	eventlog.Event
	event.Entry
}

// outage is a time in which no node ran.
type outage struct{ from, to time.Time }

func (d *decades) plan(at time.Time, do func()) {
	if at.After(d.end) {
		return
	}
	d.made++
	heap.Push(&d.agenda, happening{at, d.made, do})
}

// between draws a span.
func (d *decades) between(from, to time.Duration) time.Duration {
	return (from + time.Duration(d.rand.Int64N(int64(to-from)))).Truncate(time.Microsecond) // the log's times are in microseconds
}

func (d *decades) up() []*node {
	var up []*node
	for _, n := range d.nodes {
		if n.Engine != nil {
			up = append(up, n)
		}
	}
	return up
}

// person gives a command on some node, whatever its clock says, and takes a no for an answer.
func (d *decades) person(s stream.Name, a rule.Actor, second *rule.Actor, c engine.Command) {
	up := d.up()
	if len(up) == 0 {
		return
	}
	n := up[d.rand.IntN(len(up))]
	d.figures.acts++
	for range 2 { // once more, if what the person saw was out of date
		err := n.give(s, a, second, c)
		var stale *engine.StaleError
		if errors.As(err, &stale) {
			continue
		}
		if err != nil {
			d.figures.refused++
		}
		break
	}
	d.settleOn(n)
}

func (d *decades) settleOn(n *node) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	end, err := d.log.End(ctx)
	if err == nil {
		err = n.Settled(ctx, end)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// order is one order's story: who does what when, if anybody does anything.
func (d *decades) order() {
	up := d.up()
	if len(up) == 0 {
		return
	}
	d.n++
	s := stream.Of(stream.Order, stream.Derive("story", fmt.Sprint(d.n)))
	clerk, handler := as(orgs.Dispatcher, street), as(orgs.Clerk, community)
	lead := community
	if d.rand.IntN(3) == 0 {
		clerk, handler, lead = as(orgs.Dispatcher, district), as(orgs.Handler, bureau), bureau
	}
	d.person(s, clerk, nil, order.Dispatch{Patrol: true, Anonymous: true, Kind: "issue", Matter: "010101", Urgency: []string{"A", "B", "C", "D"}[d.rand.IntN(4)],
		Lead: lead, Place: community, Grid: grid, Task: sealed.Public("检修")})
	at := d.now()
	then := func(from, to time.Duration, do func()) {
		at = at.Add(d.between(from, to).Truncate(time.Second))
		d.plan(at, do)
	}
	act := func(c engine.Command, a rule.Actor) func() { return func() { d.person(s, a, nil, c) } }
	if d.rand.IntN(4) == 0 {
		then(time.Hour, 20*24*time.Hour, act(order.IssueSupervision{Reason: "督办"}, as(orgs.StreetLeader, street)))
	}
	if d.rand.IntN(3) == 0 { // left alone
		return
	}
	then(time.Minute, 12*time.Hour, act(order.Sign{}, handler))
	if d.rand.IntN(5) == 0 {
		then(time.Minute, 20*time.Hour, act(order.RequestReturn{Reason: sealed.Clear("不属本单位"), Basis: "职责"}, handler))
		if d.rand.IntN(2) == 0 {
			then(time.Hour, 72*time.Hour, act(order.RefuseReturn{Reason: "属本单位"}, clerk))
		} else {
			then(time.Hour, 72*time.Hour, act(order.ApproveReturn{Reason: "同意"}, clerk))
			then(time.Hour, 72*time.Hour, act(order.Redispatch{Lead: lead}, clerk))
			then(time.Hour, 72*time.Hour, act(order.Sign{}, handler))
		}
	}
	then(time.Minute, 30*time.Hour, act(order.WaiveContact{Cause: "anonymous"}, handler))
	if d.rand.IntN(4) == 0 {
		then(time.Hour, 4*24*time.Hour, func() {
			leader := as(orgs.StreetLeader, street)
			d.person(s, handler, &leader, order.Suspend{Reason: order.SuspensionReasons()[0], Basis: "待料", ReviewOn: calendar.DateOf(d.now()) + 20})
		})
		if d.rand.IntN(2) == 0 {
			then(time.Hour, 40*24*time.Hour, act(order.Resume{}, handler))
		}
	}
	if d.rand.IntN(4) == 0 {
		then(time.Hour, 4*24*time.Hour, act(order.RequestExtension{Amount: 3, Reason: "待料", Told: true}, handler))
	}
	if d.rand.IntN(3) > 0 {
		then(time.Hour, 30*24*time.Hour, act(order.ReportHandling{Outcome: order.Outcomes()[0], Answer: sealed.Clear("已修复"), Summary: "已修复",
			Account: sealed.Clear("更换阀门")}, handler))
	}
}

// trouble is one fault of one node, and its end.
func (d *decades) trouble() {
	d.plan(d.now().Add(d.between(2*24*time.Hour, 30*24*time.Hour)), d.trouble)
	n := d.nodes[d.rand.IntN(len(d.nodes))]
	if n.Engine == nil {
		return
	}
	const year = 365 * 24 * time.Hour
	switch dice := d.rand.IntN(18); {
	case dice < 8:
		d.figures.jumps++
		n.jump([]time.Duration{time.Hour, -time.Hour, year, -year, 5 * time.Minute, -5 * time.Minute, 3 * time.Second, -3 * time.Second}[d.rand.IntN(8)])
		d.plan(d.now().Add(d.between(time.Minute, 10*24*time.Hour)), func() { n.wrongBy(0) })
	case dice < 11: // within what is allowed
		n.wrongBy(d.between(-1900*time.Millisecond, 1900*time.Millisecond))
		d.plan(d.now().Add(d.between(time.Hour, 10*24*time.Hour)), func() { n.wrongBy(0) })
	case dice < 14:
		d.figures.starts++
		n.leave()
		d.plan(d.now().Add(d.between(time.Second, 48*time.Hour)), func() { d.start(n) })
	case dice < 16:
		n.table.lags = true
		d.plan(d.now().Add(d.between(time.Minute, 5*24*time.Hour)), func() { n.table.lags = false })
	case dice < 17:
		n.table.blind = true
		d.plan(d.now().Add(d.between(time.Minute, 5*24*time.Hour)), func() { n.table.blind = false })
	default:
		d.figures.unknown++
		n.link.failing([]int{1, 8}[d.rand.IntN(8)/7], d.rand.IntN(2) == 0)
	}
}

// outage stops every node for three days.
func (d *decades) outage() {
	back := d.now().Add(72 * time.Hour)
	if len(d.away) > 0 && d.now().Before(d.away[len(d.away)-1].to) {
		return
	}
	d.away = append(d.away, outage{d.now(), back})
	for _, n := range d.nodes {
		n.leave()
		d.plan(back, func() { d.start(n) })
	}
}

func (d *decades) start(n *node) {
	if n.Engine == nil && (len(d.away) == 0 || !d.now().Before(d.away[len(d.away)-1].to)) {
		n.wrongBy(0)
		n.open()
		d.settleOn(n)
	}
}

// look takes in what is new in the log.
func (d *decades) look() {
	err := d.truth.catchUp(context.Background(), func(ev eventlog.Event, e event.Entry) {
		d.streams[e.Stream] = append(d.streams[e.Stream], moment{ev, e})
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// sweep lets the nodes look, in any order, now and then two at once.
func (d *decades) sweep() {
	up := d.up()
	d.rand.Shuffle(len(up), func(i, j int) { up[i], up[j] = up[j], up[i] })
	for i := 0; i < len(up); i++ {
		if d.rand.IntN(3) == 0 {
			continue // it looks at another moment
		}
		pair := up[i : i+1]
		if i+1 < len(up) && d.rand.IntN(4) == 0 {
			pair, i = up[i:i+2], i+1
		}
		var both sync.WaitGroup
		var mu sync.Mutex
		for _, n := range pair {
			both.Go(func() {
				fired, err := n.sweep()
				mu.Lock()
				defer mu.Unlock()
				d.figures.sweeps++
				d.figures.fired += len(fired)
				if err != nil {
					d.figures.held++
				} else if n.offset.Load() == 0 && !n.table.lags {
					d.watched[d.now().UnixNano()] = true
				}
				if err != nil && !errors.Is(err, engine.ErrHeld) && !errors.Is(err, engine.ErrOutcomeUnknown) && !errors.Is(err, eventlog.ErrUnavailable) {
					d.t.Errorf("node %s: %v", n.name, err)
				}
			})
		}
		both.Wait()
	}
}

// run plays so many days with so many orders.
func run(t testing.TB, seed uint64, days, orders int, config func(node int, c engine.Config) engine.Config, appear func(node int) func(eventlog.Event) eventlog.Event) *decades {
	start := time.Date(2017, 9, 1, 0, 0, 0, 0, time.UTC) // the calendar has ten years, with holidays; then there is none
	d := &decades{rand: rand.New(rand.NewPCG(seed, 8)), end: start.AddDate(0, 0, days), streams: map[stream.Name][]moment{}, watched: map[int64]bool{}}
	d.province = found(t, start, 1, nil)
	d.nodes[0].leave()
	d.nodes = nil
	for i := range 4 {
		var reads func(eventlog.Event) eventlog.Event
		if appear != nil {
			reads = appear(i)
		}
		d.nodes = append(d.nodes, d.join(fmt.Sprint("n", i), func(c engine.Config) engine.Config {
			if config != nil {
				c = config(i, c)
			}
			return c
		}, reads))
	}
	d.truth = newTimetable(d.log)
	// Orders come a dozen in a day; after each fourth such day no node runs for three.
	for i := 0; i < orders; i += 12 {
		day := start.Add(d.between(0, time.Duration(days-60)*24*time.Hour).Truncate(time.Second))
		for range min(12, orders-i) {
			d.plan(day.Add(d.between(0, 24*time.Hour).Truncate(time.Second)), d.order)
		}
		if i%48 == 0 {
			d.plan(day.Add(d.between(2*time.Hour, 30*time.Hour)), d.outage)
		}
	}
	d.plan(start.Add(time.Hour), d.trouble)
	for d.now().Before(d.end) {
		d.look()
		// What comes next: something planned, an alarm, or a while later, if an alarm is overdue and nobody fires it.
		next := d.end
		if len(d.agenda) > 0 {
			next = d.agenda[0].at
		}
		if slots, _ := d.truth.Diary.Due(context.Background(), d.end, event.Slot{}, 1<<20); len(slots) > 0 {
			for _, s := range slots {
				at := s.At.Add(d.between(0, 900*time.Millisecond))
				if !s.At.After(d.now()) {
					at = d.now().Add(d.between(time.Second, max(2*time.Hour, d.overdue()/2)))
				}
				if at.Before(next) {
					next = at
				}
				if s.At.After(next) {
					break
				}
			}
		}
		if overdue := d.overdue(); overdue > 12*24*time.Hour {
			break // a seeded fault: nobody will fire it any more
		}
		d.set(next)
		d.figures.steps++
		for len(d.agenda) > 0 && !d.agenda[0].at.After(next) {
			heap.Pop(&d.agenda).(happening).do()
		}
		d.sweep()
	}
	// At the end everybody is well, and a minute is left for what was held back.
	for _, n := range d.nodes {
		n.wrongBy(0)
		n.table.lags, n.table.blind = false, false
		n.link.failing(0, false)
		d.start(n)
	}
	for range 3 {
		d.wait(2 * time.Minute)
		d.settle()
		d.sweep()
	}
	d.look()
	return d
}

// overdue returns for how long an alarm has been due that was not fired.
func (d *decades) overdue() time.Duration {
	slots, _ := d.truth.Diary.Due(context.Background(), d.now(), event.Slot{}, 1)
	if len(slots) == 0 {
		return 0
	}
	since := slots[0].At // or since it stands there: one that was begun on a clock a year behind is overdue by a year at once
	if ms := d.streams[slots[0].Stream]; ms[len(ms)-1].At.After(since) {
		since = ms[len(ms)-1].At
	}
	return d.now().Sub(since)
}

// verdict is what the log says about how alarms were fired.
type verdict struct {
	faults                    []string
	warnings, expiries, steps int
	late                      int // alarms that came due in an outage and fired after it
	streams                   int
}

func (v *verdict) fault(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

// judge reads the log against the true time. It uses the due instants as they were recorded, and no timetable.
func (d *decades) judge() verdict {
	var v verdict
	type firing struct {
		at    time.Time // when it was to happen
		event eventlog.Event
	}
	var all []firing
	for name, ms := range d.streams {
		if name.Category() != stream.Order {
			continue
		}
		v.streams++
		seen := map[string]int{}
		for i, m := range ms {
			before, _ := m.Before.(order.State)
			var id, step string
			var at, due time.Time
			var by int
			switch b := m.Body.(type) {
			case order.WarningRaised:
				v.warnings++
				id, step, by = b.ID, fmt.Sprint("warning/", b.Number), b.LateBy
				if x, runs := before.Running.Due(b.ID); runs && b.Number <= len(x.WarnAt) {
					at, due = x.WarnAt[b.Number-1], x.WarnAt[b.Number-1]
				}
			case order.ClockExpired:
				v.expiries++
				id, step, by = b.ID, "expiry", b.LateBy
				if x, runs := before.Running.Due(b.ID); runs {
					at, due = x.Due.Add(time.Second), x.Due
				}
			case order.Escalated:
				if b.Step == 0 {
					continue
				}
				v.steps++
				id, step, by = b.ID, fmt.Sprint("step/", b.Step), b.LateBy
				due = before.Fired.Of(b.ID).Next
				at = due.Add(time.Second)
			default:
				d.punctual(&v, name, ms, i, "")
				continue
			}
			if seen[id+"/"+step]++; seen[id+"/"+step] > 1 {
				v.fault("%s: %s of %s fired twice", name, step, id)
			}
			if due.IsZero() {
				v.fault("%s: %s of %s fired, and no such clock ran", name, step, id)
				continue
			}
			if m.At.Before(at) {
				v.fault("%s: %s of %s fired at %s, %s early", name, step, id, m.At, at.Sub(m.At))
			}
			if m.Meta.Recorded.Sub(m.At).Abs() > 2*time.Second {
				v.fault("%s: %s of %s was recorded at %s, the log says %s", name, step, id, m.Meta.Recorded, m.At)
			}
			if want := max(0, int(m.Meta.Recorded.Sub(due)/time.Second)); by != want {
				v.fault("%s: %s of %s says it is late by %d s, want %d", name, step, id, by, want)
			}
			all = append(all, firing{at, m.Event})
			d.punctual(&v, name, ms, i, id+"/"+step)
		}
		last := ms[len(ms)-1]
		for _, a := range event.Alarms(last.After) {
			if !a.At.After(d.now()) {
				v.fault("%s: %s of %s, due at %s, never fired", name, a.Step, a.ID, a.At)
			}
		}
	}
	// What fires at one moment fires in order.
	slices.SortFunc(all, func(a, b firing) int { return cmp.Compare(a.event.Position, b.event.Position) })
	for i, f := range all {
		if i > 0 && all[i-1].event.At.Equal(f.event.At) && f.at.Before(all[i-1].at) {
			v.fault("%s: position %d, of %s, fired after position %d, of %s", f.event.Stream, f.event.Position, f.at, all[i-1].event.Position, all[i-1].at)
		}
	}
	for _, o := range d.away {
		n := 0
		for _, f := range all {
			if !f.at.Before(o.from.Add(2*time.Second)) && f.at.Before(o.to) && !f.event.At.Before(o.to) {
				n++
			}
		}
		v.late += n
	}
	return v
}

// punctual says what was missed: an alarm that stood, and was due, when a node in good health looked, and did not fire then.
func (d *decades) punctual(v *verdict, name stream.Name, ms []moment, i int, fired string) {
	if i == 0 {
		return
	}
	m := ms[i]
	for _, a := range event.Alarms(m.Before) {
		if !a.At.Before(m.At) {
			continue
		}
		// Since when it stood there as it is.
		since := i - 1
		for since > 0 && slices.ContainsFunc(event.Alarms(ms[since].Before), func(x rule.Alarm) bool { return x.Key() == a.Key() && x.At.Equal(a.At) }) {
			since--
		}
		for ns := range d.watched {
			if w := time.Unix(0, ns); w.Before(m.At) && !w.Before(a.At) && w.After(ms[since].At) {
				v.fault("%s: %s of %s was due at %s and stood when a node looked at %s; at %s came %s, %s", name, a.Step, a.ID, a.At, w.UTC(), m.At, m.Type, fired)
				return
			}
		}
	}
}

// TestTenThousandDays: four nodes on one log fire each (order, due instant, step) once, none early by the true time, all
// when a node in good health looks, in order, and say how late they are.
func TestTenThousandDays(t *testing.T) {
	days, orders := 10_000, *decadeOrders
	if testing.Short() {
		orders /= 4
	}
	began := time.Now()
	d := run(t, *decadeSeed, days, orders, nil, nil)
	took := time.Since(began)
	v := d.judge()
	for _, f := range v.faults[:min(20, len(v.faults))] {
		t.Error(f)
	}
	if len(v.faults) > 0 {
		t.Errorf("%d faults with -decade-seed %d -decade-orders %d", len(v.faults), *decadeSeed, orders)
	}
	f := d.figures
	t.Logf("10,000 days, 4 nodes, %d orders in %s: %d warnings, %d expiries, %d further steps, each once, none early; %d sweeps in %d steps, %d held; "+
		"%d clock jumps, %d restarts, %d unknown outcomes, %d outages of 3 days with %d alarms after them, in order and marked late; %d check-ins; %d acts of people, %d refused",
		v.streams, took.Round(time.Second), v.warnings, v.expiries, v.steps, f.sweeps, f.steps, f.held, f.jumps, f.starts, f.unknown, len(d.away), v.late, d.checkIns(), f.acts, f.refused)
	if v.warnings < orders || v.expiries < orders || v.steps < orders/4 || f.jumps < 100 || f.starts < 50 || f.unknown < 10 || len(d.away) < 3 || v.late < 5 || f.held < 50 {
		t.Errorf("too little happened for this to mean anything: %+v %+v, %d outages", v, f, len(d.away))
	}
	for _, n := range d.nodes {
		if parked, err := n.Parked(t.Context()); err != nil || slices.ContainsFunc(parked, func(p engine.Parked) bool { return strings.HasPrefix(p.Rule, rule.AlarmKey) }) {
			t.Errorf("node %s parked %+v, %v", n.name, parked, err)
		}
	}
}

// TestTheDecadesFindSeededFaults plants what must not be, and wants the simulation to see it.
func TestTheDecadesFindSeededFaults(t *testing.T) {
	const days, orders = 2500, 250
	plain := calendar.Rules{Calendar: calendar.China().Without(calendar.China().Years()...), Policy: calendar.DefaultPolicy()}
	for _, c := range []struct {
		name   string
		config func(int, engine.Config) engine.Config
		appear func(int) func(eventlog.Event) eventlog.Event
		want   string
	}{
		{"nobody checks the clock", func(_ int, c engine.Config) engine.Config { return c.Unguarded() }, nil, " early"},
		{"the key of an alarm lacks the step", func(_ int, c engine.Config) engine.Config {
			return c.Keyed(func(a rule.Alarm) string { return rule.AlarmKey + a.ID })
		}, nil, "never fired"},
		{"one node computes due instants anew from a calendar without holidays when it replays", nil, func(i int) func(eventlog.Event) eventlog.Event {
			if i > 0 {
				return nil
			}
			return func(e eventlog.Event) eventlog.Event { return recomputed(e, plain) }
		}, " early"},
		{"expiries are forgotten", func(_ int, c engine.Config) engine.Config {
			return c.Alarmed(func(s event.State) []rule.Alarm {
				return slices.DeleteFunc(event.Alarms(s), func(a rule.Alarm) bool { return a.Step == "expiry" })
			})
		}, nil, "stood when a node looked"},
		{"warnings are taken for later than they are", func(_ int, c engine.Config) engine.Config {
			return c.Alarmed(func(s event.State) []rule.Alarm {
				as := event.Alarms(s)
				for i := range as {
					if strings.HasPrefix(as[i].Step, "warning") {
						as[i].At = as[i].At.Add(3 * time.Hour)
					}
				}
				return as
			})
		}, nil, "fired after position"},
		{"nobody marks what is late", func(_ int, c engine.Config) engine.Config {
			c.Log = unmarked{c.Log}
			return c
		}, nil, "says it is late by 0 s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := run(t, 3, days, orders, c.config, c.appear).judge()
			n := 0
			for _, f := range v.faults {
				if strings.Contains(f, c.want) {
					n++
				}
			}
			if n == 0 {
				t.Errorf("not noticed: %d faults, none says %q: %v", len(v.faults), c.want, v.faults[:min(3, len(v.faults))])
			}
			t.Logf("noticed %d times, such as: %s", n, v.faults[:min(1, len(v.faults))])
		})
	}
}

// unmarked is a log that loses how late an alarm fired.
type unmarked struct{ eventlog.Log }

func (u unmarked) Append(ctx context.Context, n string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	facts = slices.Clone(facts)
	for i, f := range facts {
		facts[i].Data = lateness.ReplaceAll(f.Data, nil)
	}
	return u.Log.Append(ctx, n, expect, facts...)
}

var lateness = regexp.MustCompile(`,"late_by":[0-9]+`)

// recomputed is a dispatch as a program would read it that trusts its calendar more than the log.
func recomputed(e eventlog.Event, r calendar.Rules) eventlog.Event {
	b, err := event.Decode(e.Type, e.Data)
	x, is := b.(order.Dispatched)
	if err != nil || !is {
		return e
	}
	for _, d := range []*calendar.Due{&x.Sign, &x.Contact, &x.Handle} {
		if again, err := r.Start(d.ID, d.Clock, x.Kind, x.Urgency, d.StartedAt); err == nil {
			again.Calendar, again.Provisional = d.Calendar, d.Provisional // it is sure of itself: no notice settles what it says
			*d = again
		}
	}
	if e.Data, err = json.Marshal(x); err != nil {
		panic(err)
	}
	return e
}
