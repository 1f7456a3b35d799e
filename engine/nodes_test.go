package engine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/esdb"
	"gridcase/eventlog/esdbtest"
	"gridcase/eventlog/sqlite"
	"gridcase/projections"
)

// county is some nodes, each with views of its own and a store of keys in one folder, on one log. All of them and the log have
// one clock, which stands until it is moved.
type county struct {
	t      testing.TB
	dir    string
	sun    atomic.Int64
	log    eventlog.Log
	nodes  []*post
	bug    func(*engine.Config, *cord)
	lend   func() (*keys.Store, error) // nil: the keys are in a folder that all share
	serial atomic.Int64

	mu    sync.Mutex
	acked map[stream.ID]eventlog.Position
}

var dawn = time.Date(2025, 3, 3, 1, 0, 0, 0, time.UTC)

func (c *county) now() time.Time { return time.Unix(0, c.sun.Load()).UTC() }

// post is one node, which can die at any moment and come back.
type post struct {
	c    *county
	name string

	mu    sync.RWMutex // held by whoever uses the node; alone, by whoever starts or ends it
	up    bool
	cord  *cord
	keys  *keys.Store
	e     *engine.Engine
	views *projections.Runner
	fired context.CancelFunc
	quiet chan struct{}
}

// cord is a node's way to the log. Cut, it gives no answer any more, whatever had come of a call that was under way.
type cord struct {
	eventlog.Log
	dead    chan struct{}
	doubles bool // fires every alarm again, as a node would that did not look
}

func (k *cord) cut() bool {
	select {
	case <-k.dead:
		return true
	default:
		return false
	}
}

func (k *cord) Append(ctx context.Context, n string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	if k.cut() {
		return eventlog.Commit{}, eventlog.ErrUnavailable
	}
	c, err := k.Log.Append(ctx, n, expect, facts...)
	if k.cut() {
		return eventlog.Commit{}, eventlog.ErrUnavailable
	}
	if m, _ := event.DecodeMeta(facts[0].Meta); k.doubles && err == nil && !c.Repeated && strings.HasPrefix(m.Key, rule.AlarmKey) {
		again := facts[0]
		again.ID = uuid.New()
		_, _ = k.Log.Append(ctx, n, c.Revision, again) // another may have been faster
	}
	return c, err
}

func (k *cord) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-k.dead:
				cancel()
			case <-ctx.Done():
			}
		}()
		for b, err := range k.Log.Follow(ctx, after) {
			if k.cut() || !yield(b, err) {
				return
			}
		}
	}
}

// clockwork is the views, as the engine asks them.
type clockwork struct{ *projections.Runner }

func (c clockwork) Due(ctx context.Context, until time.Time, after event.Slot, limit int) ([]event.Slot, error) {
	return c.Views().Due(ctx, until, after, limit)
}

func (p *post) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx := context.Background()
	p.cord = &cord{Log: p.c.log, dead: make(chan struct{})}
	var err error
	if p.c.lend != nil {
		p.keys, err = p.c.lend()
	} else {
		p.keys, err = keys.Open(ctx, filepath.Join(p.c.dir, "keys"))
	}
	if err != nil {
		return err
	}
	config := engine.Config{Log: p.cord, Keys: p.keys, Index: filepath.Join(p.c.dir, "index-"+p.name+".db"),
		Rules: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}, Origin: "gridcase.test/test/1", Program: "test",
		Now: p.c.now, Elapsed: func() time.Duration { return p.c.now().Sub(dawn) }}
	if p.c.bug != nil {
		p.c.bug(&config, p.cord)
	}
	if p.e, err = engine.Open(ctx, config); err != nil {
		return errors.Join(err, p.keys.Close())
	}
	if p.views, err = projections.Open(ctx, projections.Config{Dir: filepath.Join(p.c.dir, "views-"+p.name), Log: p.cord, Now: p.c.now}); err != nil {
		return errors.Join(err, p.e.Close(), p.keys.Close())
	}
	firing, stop := context.WithCancel(ctx)
	p.fired, p.quiet = stop, make(chan struct{})
	go func() {
		defer close(p.quiet)
		engine.NewDeadlines(p.e, clockwork{p.views}).Run(firing)
	}()
	p.up = true
	return nil
}

// die cuts the node off in the middle of whatever it does. What is left is put away, without another word to the log.
func (p *post) die() error {
	close(p.cord.dead)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = false
	p.fired()
	<-p.quiet
	return errors.Join(p.views.Close(), p.e.Close(), p.keys.Close())
}

func settleCounty(t testing.TB, log func(*county) eventlog.Log, nodes int, bug func(*engine.Config, *cord)) *county {
	t.Helper()
	c := &county{t: t, dir: t.TempDir(), bug: bug, acked: map[stream.ID]eventlog.Position{}}
	c.sun.Store(dawn.UnixNano())
	c.log = log(c)
	for i := range nodes {
		p := &post{c: c, name: fmt.Sprint(i)}
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		c.nodes = append(c.nodes, p)
	}
	t.Cleanup(func() {
		for _, p := range c.nodes {
			if p.up {
				if err := p.die(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := c.log.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, u := range smallCity {
		c.must(stream.Keyed(stream.Unit, string(u.Code)), u)
	}
	c.must(stream.Keyed(stream.Grids, string(community)), orgs.DrawGrid{Grid: grid, Name: "第一网格", Households: 300, Buildings: 5, Stairwells: 20, Urban: true})
	c.meet()
	return c
}

func (c *county) must(n stream.Name, command engine.Command) {
	c.t.Helper()
	e := c.nodes[0].e
	_, revision, err := e.Load(c.t.Context(), n)
	var receipt engine.Receipt
	if err == nil {
		receipt, err = e.Handle(c.t.Context(), engine.Request{Stream: n, Commands: []engine.Command{command}, Key: fmt.Sprint("s", c.serial.Add(1)), Actor: operator, Expect: revision})
	}
	if err == nil {
		err = e.Settled(c.t.Context(), receipt.Position)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// clerk raises demands at one node after the other, repeating with the same key what got no answer, and looks at each
// on another node at once.
func (c *county) clerk(ctx context.Context, r *rand.Rand, n int) (waited int) {
	for range n {
		ref := fmt.Sprint("ref", c.serial.Add(1))
		id := stream.DemandFor("wechat", ref)
		var receipt engine.Receipt
		for {
			p := c.nodes[r.IntN(len(c.nodes))]
			p.mu.RLock()
			err := errors.New("down")
			if p.up {
				asking, cancel := context.WithTimeout(ctx, 2*time.Second)
				receipt, err = p.e.Handle(asking, engine.Request{Stream: stream.Of(stream.Demand, id), Commands: []engine.Command{raise("暖气不热 " + ref)},
					Key: ref, Actor: as(orgs.Channel, hotline), Expect: -1})
				cancel()
			}
			p.mu.RUnlock()
			var refusal *rule.Refusal
			if errors.As(err, &refusal) {
				c.t.Errorf("%s was refused: %v", ref, refusal)
				return waited
			}
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return waited
			}
			time.Sleep(5 * time.Millisecond)
		}
		c.mu.Lock()
		c.acked[id] = receipt.Position
		c.mu.Unlock()
		other := c.nodes[r.IntN(len(c.nodes))]
		other.mu.RLock()
		if other.up {
			looking, cancel := context.WithTimeout(ctx, 2*time.Second)
			if _, reached := other.views.Wait(looking, receipt.Position); reached {
				waited++
				if _, err := other.views.Views().Demand(ctx, id); err != nil {
					c.t.Errorf("acknowledged at %d, and node %s that has come so far shows: %v", receipt.Position, other.name, err)
				}
			}
			cancel()
		}
		other.mu.RUnlock()
	}
	return waited
}

// storm lets clerks work while nodes die and come back. It returns how many deaths there were and how often a clerk saw the own words.
func (c *county) storm(seed uint64, clerks, each int, span time.Duration) (deaths, read int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	var seen atomic.Int64
	for i := range clerks {
		all.Go(func() { seen.Add(int64(c.clerk(ctx, rand.New(rand.NewPCG(seed, uint64(i))), each))) })
	}
	r := rand.New(rand.NewPCG(seed, 99))
	for end := time.Now().Add(span); time.Now().Before(end); {
		time.Sleep(time.Duration(20+r.IntN(120)) * time.Millisecond)
		p := c.nodes[r.IntN(len(c.nodes))]
		if err := p.die(); err != nil {
			c.t.Errorf("node %s: %v", p.name, err)
		}
		deaths++
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		err := p.start()
		for errors.Is(err, keys.ErrAway) { // who looks after it starts it again
			time.Sleep(10 * time.Millisecond)
			err = p.start()
		}
		if err != nil {
			c.t.Fatalf("node %s does not come back: %v", p.name, err)
		}
	}
	all.Wait()
	return deaths, int(seen.Load())
}

// meet waits until every node has followed the log to its end and nothing more comes, and returns the end.
func (c *county) meet() eventlog.Position {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	quiet := 0
	for last := eventlog.Position(0); quiet < 3; time.Sleep(150 * time.Millisecond) {
		end, err := c.log.End(ctx)
		for _, p := range c.nodes {
			if err == nil {
				err = p.e.Settled(ctx, end)
			}
			if err == nil {
				if _, ok := p.views.Wait(ctx, end); !ok {
					err = fmt.Errorf("node %s does not come to %d", p.name, end)
				}
			}
			if err != nil {
				c.t.Fatal(err)
			}
			if n, err := p.views.Views().Waiting(ctx, c.now()); err != nil || n > 0 {
				quiet = 0
			}
		}
		if end != last {
			quiet = 0
		}
		last = end
		quiet++
	}
	end, err := c.log.End(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	return end
}

// audit reads the log and says what is wrong in it, and how many demands and alarms it holds.
func (c *county) audit() (faults []string, raised, alarms int) {
	numbers, fired := map[string]string{}, map[string]int{}
	ids := map[uuid.UUID]bool{}
	for batch, err := range c.log.Follow(c.t.Context(), 0) {
		if err != nil {
			c.t.Fatal(err)
		}
		for _, ev := range batch.Events {
			if ids[ev.ID] {
				faults = append(faults, fmt.Sprintf("the event %s is there twice", ev.ID))
			}
			ids[ev.ID] = true
			m, err := event.DecodeMeta(ev.Meta)
			if err != nil {
				c.t.Fatal(err)
			}
			if strings.HasPrefix(m.Key, rule.AlarmKey) && m.Index == 0 {
				alarms++
				if fired[ev.Stream+" "+m.Key]++; fired[ev.Stream+" "+m.Key] == 2 {
					faults = append(faults, fmt.Sprintf("fired twice: %s of %s", m.Key, ev.Stream))
				}
			}
			body, err := event.Decode(ev.Type, ev.Data)
			if err != nil {
				c.t.Fatal(err)
			}
			if d, yes := body.(demand.Raised); yes {
				raised++
				if other := numbers[d.Number]; other != "" {
					faults = append(faults, fmt.Sprintf("numbered twice: %s is %s and %s", d.Number, other, ev.Stream))
				}
				numbers[d.Number] = ev.Stream
				id := stream.Name(ev.Stream).ID()
				c.mu.Lock()
				if p, acked := c.acked[id]; acked && p != ev.Position {
					faults = append(faults, fmt.Sprintf("%s was acknowledged at %d and is at %d", ev.Stream, p, ev.Position))
				}
				delete(c.acked, id)
				c.mu.Unlock()
			}
		}
		if batch.Live {
			break
		}
	}
	for id, p := range c.acked {
		faults = append(faults, fmt.Sprintf("lost: %s, acknowledged at %d", id, p))
	}
	return faults, raised, alarms
}

// alike checks that the views of all nodes are the same at the same position, byte for byte.
func (c *county) alike(at eventlog.Position) (differ []string) {
	var first map[string]string
	for _, p := range c.nodes {
		digests, reached, err := p.views.Views().Digest(c.t.Context())
		if err != nil || reached != at {
			c.t.Fatalf("node %s: at %d, want %d: %v", p.name, reached, at, err)
		}
		if first == nil {
			first = digests
		}
		if !maps.Equal(first, digests) {
			differ = append(differ, p.name)
		}
	}
	return differ
}

var sharedLogs = []struct {
	name string
	open func(*county) eventlog.Log
}{
	{"a file", func(c *county) eventlog.Log {
		l, err := sqlite.Open(context.Background(), filepath.Join(c.dir, "log.db"), sqlite.WithClock(c.now))
		if err != nil {
			c.t.Fatal(err)
		}
		return l
	}},
	{"a cluster", func(c *county) eventlog.Log {
		cluster, err := esdbtest.Start(esdbtest.Options{Nodes: 3, Clock: c.now})
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { cluster.Close() })
		l, err := esdb.Open(context.Background(), cluster.ConnectionString(), esdb.Options{})
		if err != nil {
			c.t.Fatal(err)
		}
		return l
	}},
}

// Four nodes take demands in and fire what is due, three weeks of it at once, and die all the while.
func TestFourNodesThatDieLoseNothingAndDoubleNothing(t *testing.T) {
	for _, shared := range sharedLogs {
		t.Run(shared.name, func(t *testing.T) {
			c := settleCounty(t, shared.open, 4, nil)
			deaths, read := c.storm(1, 4, 40, 1500*time.Millisecond)
			if differ := c.alike(c.meet()); differ != nil {
				t.Errorf("the views of the nodes %v are not those of the first", differ)
			}
			c.sun.Add(int64(21 * 24 * time.Hour)) // everything is overdue, and every node sees it
			more, again := c.storm(2, 4, 40, 1500*time.Millisecond)
			end := c.meet()
			if differ := c.alike(end); differ != nil {
				t.Errorf("the views of the nodes %v are not those of the first", differ)
			}
			// What one node sealed, every node opens.
			for id := range c.acked {
				for _, p := range c.nodes {
					fields, err := p.e.OpenPersonal(t.Context(), engine.Reading{Streams: []stream.Name{stream.Of(stream.Demand, id)}, Purpose: "handling", Actor: operator, Request: fmt.Sprint("r", c.serial.Add(1))})
					if err != nil || len(fields) == 0 {
						t.Errorf("node %s opens %d fields of %s: %v", p.name, len(fields), id, err)
					}
				}
			}
			if n, one := c.nodes[0].keys.Lacking(); n > 0 {
				t.Errorf("%d keys are lacking: %+v", n, one)
			}
			acked := len(c.acked)
			faults, raised, alarms := c.audit()
			for _, f := range faults {
				t.Error(f)
			}
			if acked != 320 || raised != acked || alarms < raised || deaths+more < 2 || read+again == 0 {
				t.Errorf("%d acknowledged, %d raised, %d alarms, %d deaths, %d readings: too little happened", acked, raised, alarms, deaths+more, read+again)
			}
			t.Logf("%d deaths of 4 nodes: %d acknowledged and there once, each with a number of its own; %d alarms, each once; %d readings on another node; equal views at %d",
				deaths+more, acked, alarms, read+again, end)
		})
	}
}

func TestNodesThatDoNotAgreeAreCaught(t *testing.T) {
	for _, c := range []struct {
		name, want string
		bug        func(*engine.Config, *cord)
	}{
		{"numbers are given without a claim", "numbered twice", func(c *engine.Config, _ *cord) { *c = c.Unclaimed() }},
		{"alarms are fired without a look", "fired twice", func(_ *engine.Config, k *cord) { k.doubles = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			city := settleCounty(t, sharedLogs[0].open, 2, c.bug)
			city.storm(3, 2, 10, 0)
			city.sun.Add(int64(21 * 24 * time.Hour))
			city.storm(4, 1, 1, 0)
			time.Sleep(2 * time.Second)
			faults, _, _ := city.audit()
			if !strings.Contains(strings.Join(faults, "\n"), c.want) {
				t.Errorf("nobody noticed: %v", faults)
			}
		})
	}
}
