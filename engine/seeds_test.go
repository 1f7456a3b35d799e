package engine_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
	"gridcase/projections"
)

var (
	seedCount = flag.Int("seeds", 12, "lives of three nodes that are simulated; 10,000 before a release")
	seedFrom  = flag.Uint64("seed", 1, "the first of them")
)

// wire is a node's way to the log, as the simulation wants it at the moment.
type wire struct {
	eventlog.Log
	mu     sync.Mutex
	turn   chan struct{} // closed: what the log holds arrives
	shut   bool
	mute   int // so many appends to each stream get no answer: counted by stream, as two may append at one instant
	muted  map[string]int
	lost   bool // and are not in the log
	skips  bool // a seeded bug: who was cut off goes on behind the next event
	double bool // a seeded bug: an alarm is written again under another id
}

func newWire(l eventlog.Log) *wire {
	w := &wire{Log: l, turn: make(chan struct{})}
	close(w.turn)
	return w
}

func (w *wire) open(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case yes && w.shut:
		close(w.turn)
	case !yes && !w.shut:
		w.turn = make(chan struct{})
	}
	w.shut = !yes
}

func (w *wire) failing(n int, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute, w.lost, w.muted = n, lost, map[string]int{}
}

func (w *wire) Append(ctx context.Context, n string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	w.mu.Lock()
	fail, lost := w.muted[n] < w.mute, w.lost
	if fail {
		w.muted[n]++
	}
	w.mu.Unlock()
	if fail && lost {
		return eventlog.Commit{}, eventlog.ErrUnavailable
	}
	c, err := w.Log.Append(ctx, n, expect, facts...)
	if m, _ := event.DecodeMeta(facts[0].Meta); w.double && err == nil && !c.Repeated && strings.HasPrefix(m.Key, rule.AlarmKey) {
		again := facts[0]
		again.ID = uuid.NewSHA1(again.ID, nil)
		_, err = w.Log.Append(ctx, n, c.Revision, again)
	}
	if fail && err == nil {
		return eventlog.Commit{}, eventlog.ErrUnavailable
	}
	return c, err
}

func (w *wire) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range w.Log.Follow(ctx, after) {
			w.mu.Lock()
			turn := w.turn
			w.mu.Unlock()
			cut := false
			select {
			case <-turn:
			default:
				cut = true
				select {
				case <-turn:
				case <-ctx.Done():
					return
				}
			}
			if w.skips && cut && len(b.Events) > 1 {
				b.Events = b.Events[1:]
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// life is one seed: three nodes on one log, people who work, and what goes wrong. One thing happens at a time, and one node at a time
// follows the log, so that a seed comes to the same events of each case, nearly always: goroutines of one node that fire and follow at once may
// still change places, and numbers, which are claimed several at once, may be others. How often it did is told, and is no fault.
//
// Each node has views of its own, which die with it, and may come back as they were at an earlier death, or not at all.
//
// Not in it: a disk that fails under a file (it may be gone, or old, as a whole); keys that are erased; clocks, which the decades turn.
type life struct {
	*province
	rand    *rand.Rand
	bug     fault
	wires   []*wire
	views   []*projections.Runner
	demands []stream.ID
	acked   map[stream.ID]eventlog.Position
	tracked map[stream.ID]eventlog.Position
	figures struct{ raised, unknown, deaths, lostIndex, oldViews, deaf, sweeps, fired, alarms, orders int }
}

// fault is a seeded bug: of the engine and its way to the log, or of the views' file when its node dies. The zero fault is none.
type fault struct {
	engine func(*engine.Config, *wire)
	views  func(l *life, file string) error
}

// apart is what lies between the beginnings of any two things. What is tried again is so after some multiple of 5 ms: never two at one instant,
// where chance would say which is first.
const apart = 37 * time.Microsecond

// follow lets one node follow the log to its end, whatever comes of it.
func (l *life) follow(i int) {
	time.Sleep(apart)
	l.wires[i].open(true)
	synctest.Wait()
	l.wires[i].open(false)
}

// alone lets a node do something while it follows nothing; it follows if it can not be done otherwise.
func (l *life) alone(i int, do func()) {
	time.Sleep(apart)
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	for range 30 {
		synctest.Wait()
		select {
		case <-done:
			return
		default:
			time.Sleep(time.Second) // it tries again
		}
	}
	l.wires[i].open(true)
	<-done
	synctest.Wait()
	l.wires[i].open(false)
}

func (l *life) start(i int) {
	time.Sleep(apart)
	l.wires[i] = newWire(l.log)
	n := l.nodes[i]
	n.table = newTimetable(l.log)
	n.link = nil
	c := n.settings(l.wires[i])
	if l.bug.engine != nil {
		l.bug.engine(&c, l.wires[i])
	}
	var err error
	if n.Engine, err = engine.Open(context.Background(), c); err != nil {
		l.t.Fatal(err)
	}
	l.views[i] = l.look(l.folder(i), l.wires[i], 1+l.rand.IntN(9))
	n.Deadlines = engine.NewDeadlines(n.Engine, n.table)
	synctest.Wait()
	l.wires[i].open(false)
}

// look opens views that take so many events in one transaction.
func (l *life) look(dir string, log eventlog.Log, batch int) *projections.Runner {
	views, err := projections.Open(context.Background(), projections.Config{Dir: dir, Log: log, Now: l.now, Tuning: projections.Tuning{Batch: batch}})
	if err != nil {
		l.t.Fatal(err)
	}
	return views
}

func (l *life) folder(i int) string { return filepath.Join(l.dir, "views-"+l.nodes[i].name) }

// leave ends a node and its views.
func (l *life) leave(i int) {
	if err := l.views[i].Close(); err != nil {
		l.t.Error(err)
	}
	l.nodes[i].leave()
}

// decay is what a death does to the views of a node: their folder is kept, put back to what it was at an earlier death, or lost.
func (l *life) decay(i int) {
	dir, kept := l.folder(i), l.folder(i)+"-kept"
	var err error
	switch l.rand.IntN(6) {
	case 0:
		err = os.RemoveAll(dir)
	case 1:
		if _, none := os.Stat(kept); none == nil {
			err = errors.Join(os.RemoveAll(dir), os.Rename(kept, dir))
			l.figures.oldViews++
		}
	case 2:
		err = errors.Join(os.RemoveAll(kept), os.CopyFS(kept, os.DirFS(dir)))
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "views-*.db")); err == nil && l.bug.views != nil && len(files) > 0 {
		err = l.bug.views(l, files[0])
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// ahead puts the cursor of views one event on, as if it had been on disk before the rows of that event, which were lost.
func ahead(l *life, file string) error {
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		return err
	}
	defer db.Close()
	var at int64
	if err := db.QueryRow("SELECT position FROM generation").Scan(&at); err != nil {
		return err
	}
	for b := range l.log.Follow(context.Background(), eventlog.Position(at)) {
		if len(b.Events) > 0 {
			_, err = db.Exec("UPDATE generation SET position = ?, event = ?", int64(b.Events[0].Position), b.Events[0].ID[:])
		}
		break
	}
	return err
}

// once gives a command on one node after the other until one answers, always with the same key.
func (l *life) once(s stream.Name, a rule.Actor, key string, expect eventlog.Revision, c engine.Command) (engine.Receipt, error) {
	for {
		i := l.rand.IntN(len(l.nodes))
		var r engine.Receipt
		var err error
		l.alone(i, func() {
			r, err = l.nodes[i].Handle(context.Background(), engine.Request{Stream: s, Commands: []engine.Command{c}, Key: key, Actor: a, Expect: int64(expect)})
		})
		if !errors.Is(err, engine.ErrOutcomeUnknown) && !errors.Is(err, eventlog.ErrUnavailable) {
			return r, err
		}
		l.figures.unknown++
		l.wires[i].failing(0, false)
	}
}

func (l *life) step(n int) {
	i := l.rand.IntN(len(l.nodes))
	switch dice := l.rand.IntN(20); {
	case dice < 6:
		ref := fmt.Sprint("ref", n)
		id := stream.DemandFor("wechat", ref)
		r, err := l.once(stream.Of(stream.Demand, id), as(orgs.Channel, hotline), ref, -1, raise("暖气不热"))
		if err != nil {
			l.t.Fatal(err)
		}
		l.acked[id], l.demands, l.figures.raised = r.Position, append(l.demands, id), l.figures.raised+1
	case dice < 12 && len(l.demands) > 0:
		id := l.demands[l.rand.IntN(len(l.demands))]
		name := stream.Of(stream.Demand, id)
		_, at, err := l.nodes[i].Load(context.Background(), name)
		if err != nil {
			l.t.Fatal(err)
		}
		key, clerk := fmt.Sprint("do", n), as(orgs.Clerk, community)
		if at == 0 {
			_, err = l.once(name, clerk, key, 0, demand.Accept{Kind: demand.Errand, Matter: "010101", Urgency: "C", Unit: community, Grid: grid, Summary: "供热温度不足"})
		} else if _, done := l.tracked[id]; !done {
			var r engine.Receipt
			r, err = l.once(name, clerk, key, eventlog.Revision(at), demand.FastTrack{Reason: demand.ReasonErrand, Route: demand.Route{Order: &demand.NewOrder{Lead: grid.Unit()}}})
			if err == nil {
				l.tracked[stream.CausedBy(stream.Order, r.Event, 0)] = r.Position
				l.tracked[id] = 0
			}
		}
		var refusal *rule.Refusal
		var stale *engine.StaleError
		if err != nil && !errors.As(err, &refusal) && !errors.As(err, &stale) {
			l.t.Fatal(err)
		}
	case dice < 14: // the next appends of a node get no answer
		l.wires[i].failing(1+l.rand.IntN(12), l.rand.IntN(2) == 0)
	case dice < 16: // it dies and comes back, perhaps without its index
		l.figures.deaths++
		l.wires[i].open(true)
		l.wires[i].failing(0, false)
		l.leave(i)
		l.decay(i)
		if l.rand.IntN(3) == 0 {
			l.figures.lostIndex++
			for _, end := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(l.index(i) + end); err != nil && !errors.Is(err, os.ErrNotExist) {
					l.t.Fatal(err)
				}
			}
		}
		l.start(i)
	case dice < 18:
		l.wait(time.Duration(1+l.rand.IntN(72)) * time.Hour)
		l.sweep(i)
	default: // hears nothing of the others for a while
		l.figures.deaf++
		return
	}
	for _, k := range l.rand.Perm(len(l.nodes))[:l.rand.IntN(len(l.nodes)+1)] {
		l.follow(k)
	}
}

func (l *life) index(i int) string {
	return filepath.Join(l.dir, "index-"+l.nodes[i].name+".db")
}

func (l *life) sweep(i int) {
	l.figures.sweeps++
	var fired []engine.Fired
	var err error
	l.alone(i, func() { fired, err = l.nodes[i].sweep() })
	l.figures.fired += len(fired)
	if err != nil && !errors.Is(err, engine.ErrHeld) && !errors.Is(err, engine.ErrOutcomeUnknown) && !errors.Is(err, eventlog.ErrUnavailable) {
		l.t.Fatal(err)
	}
}

// live plays a seed and returns what is wrong at its end, and a digest of the events of each case.
func live(t *testing.T, seed uint64, bug fault, tell *life) (faults []string, digest string) {
	synctest.Test(t, func(t *testing.T) {
		l := &life{province: found(t, dawn, 1, nil), rand: rand.New(rand.NewPCG(seed, 9)), bug: bug, acked: map[stream.ID]eventlog.Position{}, tracked: map[stream.ID]eventlog.Position{}}
		l.nodes[0].leave()
		l.nodes = nil
		for i := range 3 {
			l.nodes = append(l.nodes, &node{p: l.province, name: fmt.Sprint("s", i)})
			l.wires, l.views = append(l.wires, nil), append(l.views, nil)
			l.start(i)
		}
		for n := range 40 {
			l.step(n)
		}
		// Everything heals; what is due fires, and what follows happens.
		for round := range 4 {
			if round == 1 {
				l.wait(20 * 24 * time.Hour)
			}
			for i := range l.nodes {
				l.wires[i].failing(0, false)
				l.wires[i].open(true)
				time.Sleep(2 * time.Second) // what is tried again is tried now
				synctest.Wait()
				l.wires[i].open(false)
			}
			for i := range l.nodes {
				l.sweep(i)
			}
		}
		for i := range l.nodes {
			l.follow(i)
		}
		faults, digest = l.judge()
		if tell != nil {
			f, g := &tell.figures, l.figures
			f.raised, f.unknown, f.deaths, f.lostIndex, f.oldViews, f.deaf = f.raised+g.raised, f.unknown+g.unknown, f.deaths+g.deaths, f.lostIndex+g.lostIndex, f.oldViews+g.oldViews, f.deaf+g.deaf
			f.sweeps, f.fired, f.alarms, f.orders = f.sweeps+g.sweeps, f.fired+g.fired, f.alarms+g.alarms, f.orders+g.orders
		}
		for _, w := range l.wires {
			w.open(true)
		}
	})
	return faults, digest
}

// judge says what is wrong in the log and in what the nodes know of it.
func (l *life) judge() (faults []string, digest string) {
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	ids, numbers, fired, begun := map[uuid.UUID]bool{}, map[string]string{}, map[string]int{}, map[stream.ID]bool{}
	var lines []string
	for b, err := range l.log.Follow(context.Background(), 0) {
		if err != nil {
			l.t.Fatal(err)
		}
		for _, ev := range b.Events {
			switch stream.Name(ev.Stream).Category() {
			case stream.Demand, stream.Order:
				lines = append(lines, fmt.Sprint(ev.Stream, ev.Revision, ev.Type))
			}
			if ids[ev.ID] {
				say("the event %s is there twice", ev.ID)
			}
			ids[ev.ID] = true
			m, err := event.DecodeMeta(ev.Meta)
			if err != nil {
				l.t.Fatal(err)
			}
			if strings.HasPrefix(m.Key, rule.AlarmKey) && m.Index == 0 {
				l.figures.alarms++
				if fired[ev.Stream+" "+m.Key]++; fired[ev.Stream+" "+m.Key] == 2 {
					say("fired twice: %s of %s", m.Key, ev.Stream)
				}
			}
			body, err := event.Decode(ev.Type, ev.Data)
			if err != nil {
				l.t.Fatal(err)
			}
			id := stream.Name(ev.Stream).ID()
			switch d := body.(type) {
			case demand.Raised:
				if other := numbers[d.Number]; other != "" {
					say("numbered twice: %s is %s and %s", d.Number, other, ev.Stream)
				}
				numbers[d.Number] = ev.Stream
				if p, acked := l.acked[id]; acked && p != ev.Position {
					say("%s was acknowledged at %d and is at %d", ev.Stream, p, ev.Position)
				}
				delete(l.acked, id)
			case order.Dispatched:
				l.figures.orders++
				begun[id] = true
			}
		}
		if b.Live {
			break
		}
	}
	for id, p := range l.acked {
		say("lost: %s, acknowledged at %d", id, p)
	}
	for id, p := range l.tracked {
		if p > 0 && !begun[id] {
			say("the order %s never followed from %d", id, p)
		}
	}
	anew := l.look(filepath.Join(l.dir, "views-anew"), l.log, 1000)
	known, shown := "", l.shows(anew)
	if err := anew.Close(); err != nil {
		l.t.Error(err)
	}
	for i, n := range l.nodes {
		l.wires[i].open(true)
		if got := l.shows(l.views[i]); got != shown {
			say("node %s shows other things than views that were built anew", n.name)
		}
		l.leave(i)
		k := l.knows(i)
		if known == "" {
			known = k
		}
		if k != known {
			say("node %s knows other things than the first", n.name)
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return faults, hex.EncodeToString(sum[:])
}

// shows is what views hold at the end of the log. It closes none.
func (l *life) shows(r *projections.Runner) string {
	end, err := l.log.End(context.Background())
	if err != nil {
		l.t.Fatal(err)
	}
	if at, reached := r.Wait(context.Background(), end); !reached {
		l.t.Fatalf("the views stand at %d of %d: %v", at, end, r.Status().Err)
	}
	digests, at, err := r.Views().Digest(context.Background())
	if err != nil {
		l.t.Fatal(err)
	}
	return fmt.Sprint(at, digests)
}

// knows is what a node's index holds, but for what it was refused.
func (l *life) knows(i int) string {
	db, err := sql.Open("sqlite", "file:"+l.index(i))
	if err != nil {
		l.t.Fatal(err)
	}
	defer db.Close()
	var all strings.Builder
	for _, q := range []string{"SELECT position, '', '' FROM cursor", "SELECT kind, a, b FROM edges ORDER BY 1, 2, 3", "SELECT position, type, data FROM orgs ORDER BY 1"} {
		rows, err := db.Query(q)
		if err != nil {
			l.t.Fatal(err)
		}
		for rows.Next() {
			var a, b, c string
			if err := rows.Scan(&a, &b, &c); err != nil {
				l.t.Fatal(err)
			}
			fmt.Fprintln(&all, a, b, c)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			l.t.Fatal(err)
		}
	}
	return all.String()
}

// TestLives: whatever happens to three nodes on one log, what was acknowledged is there once, numbers and alarms are given once, what
// follows follows, and the nodes know and show the same. Before a release: go test ./engine -run TestLives$ -timeout 2h -args -seeds 10000. A seed
// that fails is played again with -args -seeds 1 -seed N.
func TestLives(t *testing.T) {
	inMemory(t)
	if testing.Short() {
		*seedCount = min(*seedCount, 4)
	}
	var all life
	began, twice, same := time.Now(), 0, 0
	for seed := *seedFrom; seed < *seedFrom+uint64(*seedCount); seed++ {
		faults, digest := live(t, seed, fault{}, &all)
		if (seed-*seedFrom)%16 == 0 {
			twice++
			if first(live(t, seed, fault{}, nil)) == digest {
				same++
			}
		}
		for _, f := range faults {
			t.Errorf("seed %d: %s", seed, f)
		}
	}
	f := all.figures
	t.Logf("%d seeds in %s; of %d that were played twice %d came to the same events of each case: %+v", *seedCount, time.Since(began).Round(time.Millisecond), twice, same, f)
	if n := *seedCount; n >= 12 && (f.unknown < n/4 || f.deaths < n || f.lostIndex < n/4 || f.alarms < n || f.orders < n/2) {
		t.Error("too little happened for this to mean anything")
	}
}

// inMemory puts the folders of a test where nothing waits for a disk, if there is such a place: no life loses more than whole files.
func inMemory(t *testing.T) {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		t.Setenv("TMPDIR", "/dev/shm")
	}
}

func first(_ []string, digest string) string { return digest }

// TestLivesFindSeededFaults plants what must not be, and wants it found within so many seeds.
func TestLivesFindSeededFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	inMemory(t)
	for _, c := range []struct {
		name, want string
		bug        fault
	}{
		{"numbers are given without a claim", "numbered twice", fault{engine: func(c *engine.Config, _ *wire) { *c = c.Unclaimed() }}},
		{"alarms are written again under another id", "fired twice", fault{engine: func(_ *engine.Config, w *wire) { w.double = true }}},
		{"following resumes behind an event that was not seen", "knows other things", fault{engine: func(_ *engine.Config, w *wire) { w.skips = true }}},
		{"nothing follows on any node", "never followed", fault{engine: func(c *engine.Config, _ *wire) {
			*c = c.Reacting(func(event.Entry, flow.World) flow.Plan { return flow.Plan{} })
		}}},
		{"the cursor of views is on disk before their rows", "shows other things", fault{views: ahead}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := uint64(1); seed <= 500; seed++ {
				if faults, _ := live(t, seed, c.bug, nil); strings.Contains(strings.Join(faults, "\n"), c.want) {
					t.Logf("found by seed %d: %s", seed, faults[0])
					return
				}
			}
			t.Error("not found within 500 seeds")
		})
	}
}
