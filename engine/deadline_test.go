package engine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// province is a log with a clock that is right, and nodes on it whose clocks need not be. Time stands still until it is moved.
type province struct {
	t     testing.TB
	dir   string
	sun   atomic.Int64 // nanoseconds since 1970
	start time.Time
	log   eventlog.Log
	keys  *keys.Store
	nodes []*node
	n     int
}

// node is one program on the log of a province.
type node struct {
	*engine.Engine
	*engine.Deadlines
	p      *province
	name   string
	offset atomic.Int64 // of its clock, nanoseconds
	link   *link
	table  *timetable
	config func(engine.Config) engine.Config
}

// link is a node's way to the log, which may fail.
type link struct {
	eventlog.Log
	mu     sync.Mutex
	fail   int                                    // so many appends from now on have no known outcome …
	lost   bool                                   // … and did not happen
	appear func(eventlog.Event) eventlog.Event    // what is read looks like this; nil: as it is
	before func(stream string, f []eventlog.Fact) // called before an append; nil: not
}

func (l *link) Append(ctx context.Context, n string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	l.mu.Lock()
	fail, lost, before := l.fail > 0, l.lost, l.before
	if fail {
		l.fail--
	}
	l.mu.Unlock()
	if before != nil {
		before(n, facts)
	}
	if fail && lost {
		return eventlog.Commit{}, eventlog.ErrUnavailable
	}
	c, err := l.Log.Append(ctx, n, expect, facts...)
	if fail && err == nil {
		return eventlog.Commit{}, eventlog.ErrUnavailable
	}
	return c, err
}

func (l *link) failing(n int, lost bool) { l.mu.Lock(); defer l.mu.Unlock(); l.fail, l.lost = n, lost }

func (l *link) Read(ctx context.Context, n string, from eventlog.Revision) iter.Seq2[eventlog.Event, error] {
	if l.appear == nil {
		return l.Log.Read(ctx, n, from)
	}
	return func(yield func(eventlog.Event, error) bool) {
		for e, err := range l.Log.Read(ctx, n, from) {
			if err == nil {
				e = l.appear(e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (l *link) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	if l.appear == nil {
		return l.Log.Follow(ctx, after)
	}
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range l.Log.Follow(ctx, after) {
			b.Events = slices.Clone(b.Events)
			for i, e := range b.Events {
				b.Events[i] = l.appear(e)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// timetable follows the log when it is asked, unless it lags or is not live.
type timetable struct {
	engine.Diary
	log    eventlog.Log
	folder *event.Folder
	at     eventlog.Position
	lags   bool // keeps what it has, and does not know that there is more
	blind  bool // knows that it is behind
}

func newTimetable(log eventlog.Log) *timetable {
	return &timetable{log: log, folder: event.NewFolder(1<<20, nil)}
}

func (t *timetable) Live() bool                  { return !t.blind }
func (t *timetable) Position() eventlog.Position { return t.at }

func (t *timetable) catchUp(ctx context.Context, see func(eventlog.Event, event.Entry)) error {
	for b, err := range t.log.Follow(ctx, t.at) {
		if err != nil {
			return err
		}
		for _, ev := range b.Events {
			entry, err := t.folder.Next(event.Stored{Stream: stream.Name(ev.Stream), Revision: int64(ev.Revision), ID: stream.ID(ev.ID),
				Type: ev.Type, Data: ev.Data, Meta: ev.Meta})
			if err != nil {
				return err
			}
			t.Note(entry)
			t.at = ev.Position
			if see != nil {
				see(ev, entry)
			}
		}
		if b.Live {
			break
		}
	}
	return nil
}

func (t *timetable) Due(ctx context.Context, until time.Time, after event.Slot, limit int) ([]event.Slot, error) {
	if !t.lags {
		if err := t.catchUp(ctx, nil); err != nil {
			return nil, err
		}
	}
	return t.Diary.Due(ctx, until, after, limit)
}

// found makes a province at an instant, with the small city of [open] and so many nodes.
func found(t testing.TB, start time.Time, nodes int, config func(engine.Config) engine.Config) *province {
	t.Helper()
	p := &province{t: t, dir: t.TempDir(), start: start}
	p.set(start)
	p.log = mem.Open(mem.WithClock(p.now))
	var err error
	if p.keys, err = keys.Open(context.Background(), filepath.Join(p.dir, "keys")); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		p.nodes = append(p.nodes, p.join(fmt.Sprint(i), config, nil))
	}
	t.Cleanup(func() {
		for _, n := range p.nodes {
			n.leave()
		}
		if err := errors.Join(p.keys.Close(), p.log.Close()); err != nil {
			t.Error(err)
		}
	})
	for _, u := range smallCity {
		p.nodes[0].must(stream.Keyed(stream.Unit, string(u.Code)), operator, u)
		p.settle()
	}
	p.nodes[0].must(stream.Keyed(stream.Grids, string(community)), operator,
		orgs.DrawGrid{Grid: grid, Name: "第一网格", Households: 300, Buildings: 5, Stairwells: 20, Urban: true})
	p.settle()
	return p
}

func (p *province) now() time.Time       { return time.Unix(0, p.sun.Load()).UTC() }
func (p *province) set(at time.Time)     { p.sun.Store(at.UnixNano()) }
func (p *province) wait(d time.Duration) { p.sun.Add(int64(d)) }
func (p *province) at(n stream.Name) *order.State {
	s, _, err := p.nodes[0].Load(context.Background(), n)
	if err != nil {
		p.t.Fatal(err)
	}
	o := s.(order.State)
	return &o
}

// join starts a node; what it reads of the log looks like appear says (nil: as it is).
func (p *province) join(name string, config func(engine.Config) engine.Config, appear func(eventlog.Event) eventlog.Event) *node {
	n := &node{p: p, name: name, link: &link{Log: p.log, appear: appear}, config: config}
	n.table = newTimetable(n.link)
	n.open()
	return n
}

// settings are those of a node on a log.
func (n *node) settings(log eventlog.Log) engine.Config {
	return engine.Config{Log: log, Keys: n.p.keys, Index: filepath.Join(n.p.dir, "index-"+n.name+".db"),
		Rules: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}, Origin: "gridcase.test/test/1", Program: "test",
		Now: n.clock, Elapsed: func() time.Duration { return n.p.now().Sub(n.p.start) },
		Draw: func(stream.ID, int, string, time.Time) (bool, int) { return false, 1000 }}
}

func (n *node) open() {
	c := n.settings(n.link)
	if n.config != nil {
		c = n.config(c)
	}
	var err error
	if n.Engine, err = engine.Open(context.Background(), c); err != nil {
		n.p.t.Fatal(err)
	}
	n.Deadlines = engine.NewDeadlines(n.Engine, n.table)
}

func (n *node) leave() {
	if n.Engine == nil {
		return
	}
	if err := n.Close(); err != nil {
		n.p.t.Error(err)
	}
	n.Engine = nil
}

func (n *node) clock() time.Time               { return n.p.now().Add(time.Duration(n.offset.Load())) }
func (n *node) jump(d time.Duration)           { n.offset.Add(int64(d)) }
func (n *node) wrongBy(d time.Duration)        { n.offset.Store(int64(d)) }
func (n *node) sweep() ([]engine.Fired, error) { return n.Sweep(context.Background(), n.clock()) }

// give gives a command as a person does.
func (n *node) give(s stream.Name, a rule.Actor, second *rule.Actor, c engine.Command) error {
	ctx := context.Background()
	_, revision, err := n.Load(ctx, s)
	if err != nil {
		return err
	}
	n.p.n++
	_, err = n.Handle(ctx, engine.Request{Stream: s, Commands: []engine.Command{c}, Key: fmt.Sprint("p", n.p.n), Actor: a, Second: second, Expect: revision})
	return err
}

func (n *node) must(s stream.Name, a rule.Actor, c engine.Command) {
	n.p.t.Helper()
	err := n.give(s, a, nil, c)
	var stale *engine.StaleError
	if errors.As(err, &stale) { // what the person saw was out of date: another node wrote meanwhile
		err = n.give(s, a, nil, c)
	}
	if err != nil {
		n.p.t.Fatalf("%T on %s: %v", c, s, err)
	}
}

// settle waits until all nodes have followed the log.
func (p *province) settle() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		end, err := p.log.End(ctx)
		for _, n := range p.nodes {
			if err == nil && n.Engine != nil {
				err = n.Settled(ctx, end)
			}
		}
		if err != nil {
			p.t.Fatal(err)
		}
		if again, _ := p.log.End(ctx); again == end {
			return
		}
	}
}

// dispatch opens an order of a patrol, urgency C: two service hours to sign it, seven days to handle it.
func (n *node) dispatch(urgency string) stream.Name {
	n.p.t.Helper()
	n.p.n++
	s := stream.Of(stream.Order, stream.Derive("test order", fmt.Sprint(n.p.n)))
	n.must(s, as(orgs.Dispatcher, street), order.Dispatch{Patrol: true, Anonymous: true, Kind: "issue", Matter: "010101", Urgency: urgency,
		Lead: community, Place: community, Grid: grid, Task: sealed.Public("检修")})
	return s
}

// alarms lists what the clock did on a stream: "step id" in log order.
func (p *province) alarms(n stream.Name) []string {
	var did []string
	for ev, err := range p.log.Read(context.Background(), string(n), 0) {
		if err != nil {
			p.t.Fatal(err)
		}
		m, err := event.DecodeMeta(ev.Meta)
		if err != nil {
			p.t.Fatal(err)
		}
		if rest, alarm := strings.CutPrefix(m.Key, rule.AlarmKey); alarm && m.Index == 0 {
			did = append(did, rest)
			if m.Actor != "clock" || m.Role != orgs.System {
				p.t.Errorf("%s was fired by %s, %s", m.Key, m.Actor, m.Role)
			}
		}
	}
	return did
}

// checkIns counts what nodes wrote about themselves.
func (p *province) checkIns() (n int) {
	tt := newTimetable(p.log)
	err := tt.catchUp(context.Background(), func(_ eventlog.Event, e event.Entry) {
		if _, yes := e.Body.(event.NodeCheckedIn); yes {
			n++
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// monday is a service hour of a Monday without holidays near.
var monday = time.Date(2025, 3, 3, 1, 0, 0, 0, time.UTC)

func (p *province) wants(what string, got, want any) {
	p.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		p.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestWhatIsDueFiresOnceInOrder(t *testing.T) {
	p := found(t, monday, 1, nil)
	n := p.nodes[0]
	first := n.dispatch("C")
	p.wait(time.Minute)
	second := n.dispatch("C")
	o := p.at(first)
	sign, _ := o.Running.Get(calendar.Sign)
	if fired, err := n.sweep(); err != nil || len(fired) > 0 {
		t.Fatalf("nothing is due: got %v, %v", fired, err)
	}
	p.wants("check-ins while nothing is due", p.checkIns(), 0)
	p.set(sign.WarnAt[0].Add(-time.Millisecond))
	if fired, err := n.sweep(); err != nil || len(fired) > 0 {
		t.Fatalf("a millisecond too early: got %v, %v", fired, err)
	}
	p.set(sign.WarnAt[0])
	fired, err := n.sweep()
	if err != nil || len(fired) != 1 || fired[0].Stream != first || fired[0].Alarm.Step != "warning/1" {
		t.Fatalf("at the warning: got %+v, %v", fired, err)
	}
	p.set(sign.Due.Add(999 * time.Millisecond))
	fired, err = n.sweep()
	if err != nil || len(fired) != 1 || fired[0].Stream != second {
		t.Fatalf("within the due second only the other's warning is due: got %+v, %v", fired, err)
	}
	p.set(sign.Due.Add(time.Second))
	if fired, err = n.sweep(); err != nil || len(fired) != 1 || fired[0].Stream != first || fired[0].Alarm.Step != "expiry" {
		t.Fatalf("after the due second: got %+v, %v", fired, err)
	}
	if late := p.at(first); late.Attention.Rule != "E4" {
		t.Errorf("attention after the expiry: %+v", late.Attention)
	}
	if fired, err = n.sweep(); err != nil || len(fired) > 0 {
		t.Fatalf("again: got %+v, %v", fired, err)
	}
	p.wants("alarms of the first", p.alarms(first), "["+sign.ID+"/warning/1 "+sign.ID+"/expiry]")
	p.wants("check-ins: our own appends told how the clock stands", p.checkIns(), 0)
}

// After an outage everything overdue fires in the order of its due, that of one stream between that of others, each with
// its due and the real time.
func TestAfterAnOutageEverythingFiresInOrderAndSaysHowLate(t *testing.T) {
	p := found(t, monday, 2, nil)
	var orders []stream.Name
	for i := range 40 {
		orders = append(orders, p.nodes[i%2].dispatch([]string{"A", "B", "C"}[i%3]))
		p.wait(7 * time.Minute)
	}
	p.wait(72 * time.Hour)
	for _, n := range p.nodes { // as after a start: nobody knows how the clocks stand
		n.leave()
		n.open()
	}
	fired, err := p.nodes[1].sweep()
	if err != nil {
		t.Fatal(err)
	}
	last := time.Time{}
	for _, f := range fired {
		if f.Alarm.At.Before(last) {
			t.Errorf("%s of %s at %s came after one of %s", f.Alarm.Step, f.Stream, f.Alarm.At, last)
		}
		if last = f.Alarm.At; !f.Recorded.Equal(p.now()) {
			t.Errorf("recorded at %s, want the real time %s", f.Recorded, p.now())
		}
	}
	if len(fired) < 150 {
		t.Errorf("got %d alarms of %d orders, want several of each", len(fired), len(orders))
	}
	late := 0
	for _, o := range orders {
		for ev, err := range p.log.Read(t.Context(), string(o), 1) {
			body, wrong := event.Decode(ev.Type, ev.Data)
			if err := errors.Join(err, wrong); err != nil {
				t.Fatal(err)
			}
			var due time.Time
			var by int
			switch b := body.(type) {
			case order.WarningRaised:
				due, by = b.WarnAt, b.LateBy
			case order.ClockExpired:
				due, by = b.Due, b.LateBy
			case order.Escalated:
				due, by = b.Due, b.LateBy
			default:
				continue
			}
			late++
			if want := int(ev.At.Sub(due) / time.Second); by != want || by == 0 {
				t.Errorf("%s of %s: late by %d s, want %d", ev.Type, o, by, want)
			}
		}
	}
	p.wants("check-ins", p.checkIns(), 1)
	if again, err := p.nodes[0].sweep(); err != nil || len(again) > 0 {
		t.Errorf("the other node fired %v, %v", again, err)
	}
	p.wants("check-ins of a node for which nothing is left", p.checkIns(), 1)
	t.Logf("%d alarms of %d orders after 72 h, %d late events, in order", len(fired), len(orders), late)
}

func TestAClockThatIsNotRightFiresNothing(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		name  string
		wrong time.Duration
		fires bool
		wait  time.Duration // after the due instant
	}{
		{"an hour ahead", time.Hour, false, -30 * time.Minute},
		{"a year ahead", year, false, -30 * time.Minute},
		{"an hour ahead, and it is due all the same", time.Hour, false, time.Minute},
		{"2.1 s ahead", 2100 * time.Millisecond, false, time.Minute},
		{"2 s ahead", 2 * time.Second, true, time.Second},
		{"2 s ahead, and not yet due by the log's clock", 2 * time.Second, false, -time.Second},
		{"2 s behind", -2 * time.Second, true, time.Minute},
		{"2.1 s behind", -2100 * time.Millisecond, false, time.Minute},
		{"an hour behind", -time.Hour, false, 2 * time.Hour},
		{"right", 0, true, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := found(t, monday, 2, nil)
			good, bad := p.nodes[0], p.nodes[1]
			o := good.dispatch("C")
			sign, _ := p.at(o).Running.Get(calendar.Sign)
			bad.wrongBy(c.wrong)
			p.set(sign.WarnAt[0].Add(c.wait))
			good.dispatch("D") // so that the log has a new time
			p.settle()
			fired, err := bad.sweep()
			if c.fires != (err == nil && len(fired) > 0) || err != nil && !errors.Is(err, engine.ErrHeld) {
				t.Errorf("got %d alarms, %v; fires: want %t", len(fired), err, c.fires)
			}
			if k := bad.Reckoning(); (k.Err != nil) != (c.wrong.Abs() > 2*time.Second) {
				t.Errorf("the clock is said to be wrong: got %v", k.Err)
			}
			before := p.checkIns()
			if before > 1 {
				t.Errorf("got %d check-ins, want at most one", before)
			}
			for range 59 {
				p.wait(time.Second)
				_, _ = bad.sweep()
			}
			if c.wrong.Abs() > 2*time.Second && p.checkIns() > 1 {
				t.Errorf("got %d check-ins within a minute", p.checkIns())
			}
			bad.wrongBy(0)
			p.wait(max(0, -c.wait) + time.Minute)
			if _, err := bad.sweep(); err != nil {
				t.Errorf("a clock that was set right: %v", err)
			}
			if k := bad.Reckoning(); k.Err != nil || k.Skew != 0 {
				t.Errorf("after the clock was set right: %+v", k)
			}
			want := []string{sign.ID + "/warning/1"}
			if p.now().After(sign.Due.Add(time.Second)) {
				want = append(want, sign.ID+"/expiry")
			}
			p.wants("alarms", p.alarms(o), want)
		})
	}
}

// A clock that was right when it was compared is not believed after it jumped, before the next comparison says where to.
func TestAJumpIsNoticedBeforeTheNextAppend(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, 365 * 24 * time.Hour, 2100 * time.Millisecond} {
		p := found(t, monday, 1, nil)
		n := p.nodes[0]
		o := n.dispatch("C")
		sign, _ := p.at(o).Running.Get(calendar.Sign)
		p.set(sign.WarnAt[0].Add(-2 * time.Second))
		n.jump(jump)
		if fired, err := n.sweep(); !errors.Is(err, engine.ErrHeld) || len(fired) > 0 {
			t.Errorf("after a jump of %s: got %v, %v", jump, fired, err)
		}
		p.wants("check-ins", p.checkIns(), 1)
		if n.Reckoning().Err == nil {
			t.Errorf("after a jump of %s and a comparison the clock is not said to be wrong", jump)
		}
	}
	// Back again is a jump too; and a step within the tolerance is none.
	p := found(t, monday, 1, nil)
	n := p.nodes[0]
	o := n.dispatch("C")
	sign, _ := p.at(o).Running.Get(calendar.Sign)
	p.set(sign.WarnAt[0].Add(2 * time.Hour))
	n.jump(-time.Hour)
	if fired, err := n.sweep(); !errors.Is(err, engine.ErrHeld) || len(fired) > 0 || p.checkIns() != 1 {
		t.Errorf("after a step back: got %v, %v, %d check-ins", fired, err, p.checkIns())
	}
	n.wrongBy(2 * time.Second)
	p.wait(time.Minute)
	if fired, err := n.sweep(); err != nil || len(fired) == 0 {
		t.Errorf("a clock 2 s ahead: got %v, %v", fired, err)
	}
}

func TestAClockBehindTheNewestEventFiresNothingAndAsksNothing(t *testing.T) {
	p := found(t, monday, 2, nil)
	o := p.nodes[0].dispatch("C")
	sign, _ := p.at(o).Running.Get(calendar.Sign)
	p.set(sign.WarnAt[0].Add(3 * time.Hour))
	p.nodes[0].dispatch("C")
	p.nodes[1].leave()
	p.nodes[1].wrongBy(-time.Hour)
	p.nodes[1].open() // it reads the log's last time at its start
	fired, err := p.nodes[1].sweep()
	if !errors.Is(err, engine.ErrHeld) || len(fired) > 0 || p.checkIns() != 0 {
		t.Errorf("got %v, %v, %d check-ins", fired, err, p.checkIns())
	}
	if err := p.nodes[1].Reckoning().Err; err == nil || !strings.Contains(err.Error(), "behind the newest time in the log") {
		t.Errorf("got %v", err)
	}
}

func TestATimetableThatIsBehindFiresNothing(t *testing.T) {
	p := found(t, monday, 1, nil)
	n := p.nodes[0]
	o := n.dispatch("C")
	p.wait(4 * time.Hour)
	n.table.blind = true
	if fired, err := n.sweep(); !errors.Is(err, engine.ErrHeld) || len(fired) > 0 || len(p.alarms(o)) > 0 {
		t.Errorf("got %v, %v", fired, err)
	}
	n.table.blind = false
	if fired, err := n.sweep(); err != nil || len(fired) != 2 {
		t.Errorf("then: got %v, %v", fired, err)
	}
}

func TestAnUnknownOutcomeIsTriedAgainAndHappensOnce(t *testing.T) {
	for _, lost := range []bool{true, false} {
		p := found(t, monday, 1, nil)
		n := p.nodes[0]
		first := n.dispatch("C")
		p.wait(time.Minute)
		second := n.dispatch("C")
		p.wait(4 * time.Hour)
		n.link.failing(8, lost) // as often as a command goes round
		fired, err := n.sweep()
		if lost {
			if !errors.Is(err, engine.ErrOutcomeUnknown) || len(fired) > 0 || len(p.alarms(second)) > 0 {
				t.Errorf("got %v, %v; what comes later must wait: %v", fired, err, p.alarms(second))
			}
			n.link.failing(0, false)
		}
		if _, err := n.sweep(); err != nil {
			t.Error(err)
		}
		sign, _ := p.at(first).Running.Get(calendar.Sign)
		for _, o := range []stream.Name{first, second} {
			p.wants("alarms", p.alarms(o), "["+sign.ID+"/warning/1 "+sign.ID+"/expiry]")
		}
	}
}

// Whatever a person or another node does between the timetable and the firing, the stream decides.
func TestWhatWasDoneMeanwhileIsNotFired(t *testing.T) {
	p := found(t, monday, 2, nil)
	a, b := p.nodes[0], p.nodes[1]
	o, other := a.dispatch("C"), a.dispatch("C")
	p.wait(90*time.Minute + time.Second)
	if _, err := b.sweep(); err != nil { // b keeps both orders as they are now, its timetable too
		t.Fatal(err)
	}
	p.wait(time.Hour)
	b.table.lags = true
	a.must(o, as(orgs.Clerk, community), order.Sign{})
	fired, err := b.sweep()
	if err != nil || len(fired) != 1 || fired[0].Stream != other {
		t.Errorf("got %+v, %v; want the other order's expiry alone", fired, err)
	}
	if got := p.alarms(o); len(got) != 1 || !strings.HasSuffix(got[0], "/warning/1") {
		t.Errorf("the signed order's clock did %v", got)
	}
	if again, err := b.sweep(); err != nil || len(again) > 0 {
		t.Errorf("by the same old timetable: got %v, %v", again, err)
	}
	// In the very moment of the append.
	third := a.dispatch("A")
	b.table.lags = false
	p.wait(20 * time.Minute)
	once := sync.OnceFunc(func() { a.must(third, as(orgs.Clerk, community), order.Sign{}) })
	b.link.before = func(n string, f []eventlog.Fact) {
		if n == string(third) && f[0].Type == (order.ClockExpired{}).EventType() {
			once()
		}
	}
	if _, err := b.sweep(); err != nil {
		t.Error(err)
	}
	for _, did := range p.alarms(third) {
		if strings.HasPrefix(did, "sign/") && strings.HasSuffix(did, "/expiry") {
			t.Errorf("the order was signed, and its sign clock ran out all the same: %v", p.alarms(third))
		}
	}
}

// seen counts what an engine reports.
type seen struct {
	mu        sync.Mutex
	commands  map[string]int
	parked    []string
	fired     map[string]int
	escalated map[orgs.Level]int
}

func (s *seen) Command(c, _ string)    { s.mu.Lock(); defer s.mu.Unlock(); s.commands[c]++ }
func (s *seen) Parked(r string)        { s.mu.Lock(); defer s.mu.Unlock(); s.parked = append(s.parked, r) }
func (s *seen) Fired(k string)         { s.mu.Lock(); defer s.mu.Unlock(); s.fired[k]++ }
func (s *seen) Escalated(l orgs.Level) { s.mu.Lock(); defer s.mu.Unlock(); s.escalated[l]++ }
func (s *seen) Appended(string)        {}
func (s *seen) Append(time.Duration)   {}
func (s *seen) Conflict()              {}
func (s *seen) UnknownOutcome()        {}

// One alarm of each order is made up: the rules refuse it for one order, and for another it decides nothing, ever.
func TestARefusedAlarmIsParkedOnceAndHoldsNothingUp(t *testing.T) {
	var refused, idle stream.Name
	watch := &seen{commands: map[string]int{}, fired: map[string]int{}, escalated: map[orgs.Level]int{}}
	p := found(t, monday, 1, func(c engine.Config) engine.Config {
		c.Observe = watch
		return c.Alarmed(func(s event.State) []rule.Alarm {
			as := event.Alarms(s)
			if o, ok := s.(order.State); ok && len(as) > 0 {
				a := rule.Alarm{At: o.DispatchedAt.Add(time.Second), Due: o.DispatchedAt, ID: "made-up", Step: "expiry"}
				switch stream.Of(stream.Order, o.ID) {
				case refused:
					a.Command = order.Suspend{} // which no clock may
				case idle:
					a.Command = order.ExpireClock{ID: "no such clock"}
				default:
					return as
				}
				as = append([]rule.Alarm{a}, as...)
			}
			return as
		})
	})
	n := p.nodes[0]
	refused, idle = n.dispatch("C"), n.dispatch("C")
	plain := n.dispatch("C")
	p.wait(4 * time.Hour)
	for range 30 {
		if _, err := n.sweep(); err != nil {
			t.Fatal(err)
		}
		p.wait(time.Second)
	}
	for _, o := range []stream.Name{refused, idle, plain} {
		if got := p.alarms(o); len(got) != 2 {
			t.Errorf("the other alarms of %s: got %v, want a warning and the expiry", o, got)
		}
	}
	parked, err := n.Parked(t.Context())
	if err != nil || len(parked) != 1 || parked[0].Stream != refused || parked[0].Rule != "deadline/made-up/expiry" || parked[0].Reason == "" {
		t.Errorf("parked: got %+v, %v", parked, err)
	}
	p.wants("parked, as counted", watch.parked, "[clock]")
	// Each alarm that did fire moved its stream on, and let the made-up one be tried again: at most three times.
	if tries := watch.commands["suspend"]; tries < 1 || tries > 3 {
		t.Errorf("the refused alarm was tried %d times in 30 sweeps", tries)
	}
	n.leave()
	n.open()
	if _, err := n.sweep(); err != nil {
		t.Fatal(err)
	}
	if parked, err := n.Parked(t.Context()); err != nil || len(parked) != 1 {
		t.Errorf("after a new start: got %+v, %v", parked, err)
	}
	p.wants("parked, as counted after a new start", watch.parked, "[clock]")
	p.wants("fired", watch.fired, "map[expiry:3 warning:3]")
	p.wants("escalated", watch.escalated, "map[3:3]")
}

func TestANodeThatWasAwayFiresWhatItMissedOnce(t *testing.T) {
	p := found(t, monday, 1, nil)
	n := p.nodes[0]
	o := n.dispatch("C")
	n.leave()
	p.wait(26 * time.Hour)
	n.open()
	if got := p.alarms(o); len(got) != 0 {
		t.Errorf("a mere start fired %v", got)
	}
	p.wants("check-ins at a start", p.checkIns(), 0)
	for range 3 {
		if _, err := n.sweep(); err != nil {
			t.Fatal(err)
		}
		n.leave()
		n.open()
	}
	got := p.alarms(o)
	if slices.Sort(got); len(got) < 3 || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("got %v, want each once", got)
	}
}

func TestTheWallClockIsComparedWithoutGosSteadyOne(t *testing.T) {
	h := open(t)
	e, err := engine.Open(t.Context(), engine.Config{Log: mem.Open(), Keys: h.keys, Index: filepath.Join(t.TempDir(), "i.db"),
		Rules: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}, Origin: "gridcase.test/test/1"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if text := e.Wall().String(); strings.Contains(text, "m=") {
		t.Errorf("%s carries a steady reading: a jump of the clock would never show", text)
	}
	if k := e.Reckoning(); !k.Measured || k.Err != nil || k.Skew.Abs() > time.Second {
		t.Errorf("on one machine: got %+v", k)
	}
}

// counted is a timetable that counts how often it is asked.
type counted struct {
	*engine.Diary
	at    atomic.Uint64
	asked atomic.Int64
}

func (c *counted) Position() eventlog.Position { return eventlog.Position(c.at.Load()) }
func (c *counted) Due(ctx context.Context, until time.Time, after event.Slot, limit int) ([]event.Slot, error) {
	c.asked.Add(1)
	return c.Diary.Due(ctx, until, after, limit)
}

func TestTheLoopFiresWithinASecond(t *testing.T) {
	p := found(t, monday, 1, nil)
	n := p.nodes[0]
	o := n.dispatch("A")
	p.wait(20 * time.Minute)
	if err := n.table.catchUp(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer stop()
	n.Run(ctx)
	if got := p.alarms(o); len(got) != 2 {
		t.Errorf("got %v, want a warning and the expiry of signing", got)
	}
}

// The loop asks the timetable when something is due or something moved, and otherwise not.
func TestTheLoopSleepsWhileNothingIsDue(t *testing.T) {
	p := found(t, monday, 1, nil)
	n := p.nodes[0]
	o := n.dispatch("A")
	sign, _ := p.at(o).Running.Get(calendar.Sign)
	if err := n.table.catchUp(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	table := &counted{Diary: &n.table.Diary}
	table.at.Store(uint64(n.table.at))
	before := p.now()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		bubble := time.Now()
		over := make(chan struct{})
		go func() { defer close(over); engine.NewDeadlines(n.Engine, table).Run(ctx) }()
		for p.now().Before(sign.WarnAt[0].Add(-3 * time.Second)) {
			time.Sleep(time.Second)
			p.set(before.Add(time.Since(bubble)))
		}
		synctest.Wait()
		if asked := table.asked.Load(); asked > 4 {
			t.Errorf("asked %d times in %s in which nothing was due", asked, time.Since(bubble))
		}
		stop()
		<-over
	})
}
