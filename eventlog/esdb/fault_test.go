package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"

	"gridcase/eventlog"
	"gridcase/eventlog/esdb"
	"gridcase/eventlog/esdbtest"
	"gridcase/eventlog/faultnet"
)

// Writers and a follower work on a cluster of three nodes, each behind a proxy, while the way to it breaks again and again.
// Each writer keeps its own ledger of what it was told. Blind spots: one process at a time writes to a stream, an append has
// at most three events, the nodes do not disagree about who leads.
const (
	shards   = 4  // clusters that are broken at the same time: most of a cut is waiting
	cuts     = 50 // of each
	writers  = 4
	deadline = 2 * time.Second        // of a writer's call
	grace    = 500 * time.Millisecond // of the scheduler of a busy machine, beyond the deadline
	healing  = 3 * time.Second        // in which following must have resumed
)

func TestTwoHundredCutsLoseNothingAndDoubleNothing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var slowest, longest time.Duration
	acknowledged, unknown := 0, 0
	t.Run("cuts", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint("seed ", shard), func(t *testing.T) {
				t.Parallel()
				r := newRun(t, uint64(shard), false)
				r.breakdown(cuts)
				found := r.finish()
				for _, f := range found {
					t.Error(f)
				}
				mu.Lock()
				defer mu.Unlock()
				slowest, longest = max(slowest, r.slowest), max(longest, r.longest)
				acknowledged, unknown = acknowledged+r.told, unknown+r.unsure
				for kind, n := range r.kinds {
					if n == 0 {
						t.Errorf("there was no %s", kind)
					}
				}
			})
		}
	})
	t.Logf("%d cuts: %d appends acknowledged, %d calls without an answer, none lost, none doubled; following resumed within %s, no call took longer than %s",
		shards*cuts, acknowledged, unknown, slowest.Round(time.Millisecond), longest.Round(time.Millisecond))
}

// A writer that draws new ids when it tries again doubles what had happened, and the ledger must show it.
func TestRandomIDsOnRetryAreCaught(t *testing.T) {
	t.Parallel()
	r := newRun(t, 7, true)
	for range 4 {
		before := r.calls()
		r.cluster.Faults.Silence(1)
		r.until(func() bool { return r.cluster.Faults.Left() == 0 })
		r.until(func() bool { return r.calls() > before+2*writers }) // whoever got no answer has tried again
	}
	r.until(func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.unsure >= 4 })
	before := r.calls()
	r.until(func() bool { return r.calls() > before+8*writers })
	found := r.finish()
	if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, "doubled") }) {
		t.Errorf("four appends without an answer were repeated under new ids, and the ledger found %q, want doubled", found)
	}
}

// A follower that resumes from checkpoints misses the events that some servers send after them.
func TestResumingFromACheckpointIsCaught(t *testing.T) {
	t.Parallel()
	r := newRun(t, 8, false, grpc.WithStreamInterceptor(resumesFromCheckpoints()))
	r.until(func() bool { return r.calls() > 20 })
	for range 5 {
		before := r.follows()
		r.until(func() bool { return r.follows() > before })
		r.cluster.Faults.LieAhead(1)
		r.until(func() bool { return r.cluster.Faults.Left() == 0 })
	}
	found := r.finish()
	if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, "never saw") }) {
		t.Errorf("five events lay before a checkpoint that came first, and the ledger found %q, want one that the follower never saw", found)
	}
}

// resumesFromCheckpoints is the bug: each subscription begins at the last checkpoint of the one before it.
func resumesFromCheckpoints() grpc.StreamClientInterceptor {
	var mu sync.Mutex
	var last *streams.ReadResp_Checkpoint
	return func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, s grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
		call, err := s(ctx, d, cc, method, o...)
		return &trusting{call, &mu, &last}, err
	}
}

type trusting struct {
	grpc.ClientStream
	mu   *sync.Mutex
	last **streams.ReadResp_Checkpoint
}

func (t *trusting) SendMsg(m any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if req, ok := m.(*streams.ReadReq); ok && req.GetOptions().GetSubscription() != nil && *t.last != nil {
		if p := req.GetOptions().GetAll().GetPosition(); p != nil && p.CommitPosition < (*t.last).CommitPosition {
			p.CommitPosition, p.PreparePosition = (*t.last).CommitPosition, (*t.last).PreparePosition
		}
	}
	return t.ClientStream.SendMsg(m)
}

func (t *trusting) RecvMsg(m any) error {
	err := t.ClientStream.RecvMsg(m)
	if resp, ok := m.(*streams.ReadResp); ok && err == nil && resp.GetCheckpoint() != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		*t.last = resp.GetCheckpoint()
	}
	return err
}

// The network is silent for half a minute, with calls under way: each returns by its deadline, and following goes on by itself.
func TestHalfAMinuteOfSilence(t *testing.T) {
	t.Parallel()
	r := newRun(t, 9, false)
	r.until(func() bool { return r.calls() > 50 })
	for _, p := range r.proxies {
		p.BlackHole()
	}
	time.Sleep(30 * time.Second)
	for _, p := range r.proxies {
		p.Heal()
	}
	r.resumed("silence of half a minute")
	for _, f := range r.finish() {
		t.Error(f)
	}
	t.Logf("after 30 s of silence following resumed within %s; no call took longer than %s", r.slowest.Round(time.Millisecond), r.longest.Round(time.Millisecond))
}

// run is one cluster with its writers, their ledger and one follower.
type run struct {
	t       *testing.T
	cluster *esdbtest.Cluster
	proxies []*faultnet.Proxy
	log     *esdb.Log
	random  *rand.Rand
	kinds   map[string]int
	leader  int
	stop    context.CancelFunc
	ctx     context.Context
	working sync.WaitGroup

	mu      sync.Mutex
	ledger  map[string]entry // by what the event says
	told    int
	unsure  int
	longest time.Duration // a call took
	late    []string
	seen    []eventlog.Event
	arrived chan struct{}
	stale   int // times that the follower was told that it may not have everything

	slowest time.Duration // following took to resume
	marks   int
}

// entry is what a writer knows of a fact.
type entry struct {
	id           uuid.UUID
	acknowledged bool
	position     eventlog.Position
}

func newRun(t *testing.T, seed uint64, randomIDs bool, dialing ...grpc.DialOption) *run {
	r := &run{t: t, cluster: start(t, esdbtest.Options{Nodes: 3}), random: rand.New(rand.NewPCG(seed, 1)), ledger: map[string]entry{}, arrived: make(chan struct{}, 1),
		kinds: map[string]int{}}
	for i := range 3 {
		p, err := faultnet.Listen(r.cluster.Node(i).Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		r.proxies = append(r.proxies, p)
		r.cluster.Node(i).Advertise(p.Address())
	}
	var err error
	if r.log, err = esdb.OpenWith(context.Background(), r.cluster.ConnectionString(), esdb.Options{}, dialing...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, r.log) })
	r.ctx, r.stop = context.WithCancel(context.Background())
	t.Cleanup(r.stop)
	for w := range writers {
		r.working.Go(func() { r.write(w, randomIDs) })
	}
	r.working.Go(r.follow)
	return r
}

// write appends to streams of its own until the run ends. Without an answer it tries the same again: with the same ids, unless
// it is the writer that gets it wrong.
func (r *run) write(w int, randomIDs bool) {
	for n := 0; ; n++ {
		stream, head := fmt.Sprintf("gridcase.demand-%d-%d", w, n), eventlog.None
		for i := range 8 {
			facts := make([]eventlog.Fact, 1+(n+i)%3)
			for k := range facts {
				facts[k] = eventlog.Fact{ID: uuid.New(), Type: "demand-raised/1", Data: fmt.Appendf(nil, `"%s/%d/%d"`, stream, i, k), Meta: []byte("{}")}
			}
			r.enter(facts, 0)
			c, err := r.append(stream, head, facts)
			for errors.Is(err, eventlog.ErrUnavailable) && r.ctx.Err() == nil {
				if randomIDs {
					for k := range facts {
						facts[k].ID = uuid.New()
					}
				}
				c, err = r.append(stream, head, facts)
				var conflict *eventlog.ConflictError
				if randomIDs && errors.As(err, &conflict) {
					head = conflict.Actual
					c, err = r.append(stream, head, facts)
				}
			}
			if r.ctx.Err() != nil {
				if err == nil {
					r.enter(facts, c.Position)
				}
				return
			}
			if err != nil {
				r.t.Errorf("append to %s after %d: %v", stream, head, err)
				return
			}
			r.enter(facts, c.Position)
			head = c.Revision
		}
	}
}

func (r *run) append(stream string, head eventlog.Revision, facts []eventlog.Fact) (eventlog.Commit, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	began := time.Now()
	c, err := r.log.Append(ctx, stream, head, facts...)
	r.mu.Lock()
	defer r.mu.Unlock()
	took := time.Since(began)
	if r.longest = max(r.longest, took); took > deadline+grace {
		r.late = append(r.late, fmt.Sprintf("an append took %s, its deadline was %s", took, deadline))
	}
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, eventlog.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err) // nothing was sent; it is tried again all the same
	}
	if err != nil {
		r.unsure++
	}
	return c, err
}

// enter writes the ledger; a position of 0 is no acknowledgement.
func (r *run) enter(facts []eventlog.Fact, p eventlog.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, f := range facts {
		e := entry{id: f.ID, acknowledged: p > 0}
		if i == len(facts)-1 {
			e.position = p
		}
		r.ledger[string(f.Data)] = e
	}
	if p > 0 {
		r.told++
	}
}

func (r *run) calls() int { r.mu.Lock(); defer r.mu.Unlock(); return r.told }

func (r *run) follows() int { r.mu.Lock(); defer r.mu.Unlock(); return len(r.seen) }

func (r *run) follow() {
	for b, err := range r.log.Follow(r.ctx, 0) {
		if err != nil {
			if r.ctx.Err() == nil {
				r.t.Errorf("follow: %v", err)
			}
			return
		}
		r.mu.Lock()
		r.seen = append(r.seen, b.Events...)
		if len(b.Events) == 0 && !b.Live {
			r.stale++
		}
		r.mu.Unlock()
		select {
		case r.arrived <- struct{}{}:
		default:
		}
	}
}

// until waits for something that must come soon.
func (r *run) until(done func() bool) {
	r.t.Helper()
	for began := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			r.t.Fatal("it did not come in ten seconds")
		}
	}
}

// resumed has the server itself append something, and waits until the follower has it.
func (r *run) resumed(after string) {
	r.t.Helper()
	began := time.Now()
	r.marks++
	kind := fmt.Sprint("mark-", r.marks)
	r.cluster.Put("gridcase.marks", kind)
	for next := 0; ; {
		r.mu.Lock()
		for ; next < len(r.seen); next++ {
			if r.seen[next].Type == kind {
				r.slowest = max(r.slowest, time.Since(began))
				r.mu.Unlock()
				return
			}
		}
		r.mu.Unlock()
		select {
		case <-r.arrived:
		case <-time.After(healing - time.Since(began)):
			r.t.Fatalf("%s: following had not resumed after %s", after, healing)
		}
	}
}

// breakdown breaks the way to the cluster n times, each time in one of these ways, and waits until following goes on.
func (r *run) breakdown(n int) {
	node := func() *esdbtest.Node { return r.cluster.Node(r.leader) }
	way := func() *faultnet.Proxy { return r.proxies[r.leader] }
	ways := []struct {
		name  string
		times int // of fifty
		do    func()
	}{
		{"reset after an append was sent", 14, func() {
			way().CutAfter(r.random.Int64N(2000))
			r.until(way().Sprung)
		}},
		{"reset at once", 8, func() { way().Cut() }},
		{"black hole", 7, func() {
			way().BlackHole()
			time.Sleep(time.Duration(20+r.random.IntN(300)) * time.Millisecond)
			way().Heal()
		}},
		{"half-open connection", 2, func() { way().HalfOpen() }},
		{"restart at the same address", 6, func() {
			node().Stop()
			time.Sleep(time.Duration(r.random.IntN(50)) * time.Millisecond)
			if err := node().Start(); err != nil {
				r.t.Fatal(err)
			}
		}},
		{"leader change", 5, func() {
			r.leader = (r.leader + 1 + r.random.IntN(2)) % 3
			r.cluster.Lead(r.leader)
		}},
		{"commit without an answer", 3, func() {
			r.cluster.Faults.LoseAnswers(1)
			r.until(func() bool { return r.cluster.Faults.Left() == 0 })
		}},
		{"answer that says neither yes nor no", 2, func() {
			r.cluster.Faults.Refuse(1)
			r.until(func() bool { return r.cluster.Faults.Left() == 0 })
		}},
		{"checkpoint beyond an event that was not sent", 3, func() {
			r.cluster.Faults.LieAhead(1)
			r.until(func() bool { return r.cluster.Faults.Left() == 0 })
		}},
	}
	var plan []int
	for i, w := range ways {
		r.kinds[w.name] = 0
		for range w.times {
			plan = append(plan, i)
		}
	}
	r.random.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	for _, i := range plan[:n] {
		before := r.calls()
		r.until(func() bool { return r.calls() > before }) // something is under way
		ways[i].do()
		r.kinds[ways[i].name]++
		r.resumed(ways[i].name)
	}
}

// finish ends the run and compares the ledger with the log and with what the follower saw. It returns what is wrong.
func (r *run) finish() (found []string) {
	r.t.Helper()
	r.cluster.Put("gridcase.marks", "end")
	r.until(func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.seen) > 0 && slices.ContainsFunc(r.seen, func(e eventlog.Event) bool { return e.Type == "end" })
	})
	r.stop()
	r.working.Wait()
	end, err := r.log.End(context.Background())
	if err != nil {
		return append(found, err.Error())
	}
	last := r.seen[len(r.seen)-1].Position // what was written while the writers were stopped
	for b, err := range r.log.Follow(context.Background(), last) {
		if err != nil {
			return append(found, err.Error())
		}
		r.seen = append(r.seen, b.Events...)
		if r.seen[len(r.seen)-1].Position >= end {
			break
		}
	}
	shut(r.t, r.log)
	found = append(found, r.late...)
	wrong := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }

	times, byFollower := map[string]int{}, map[string]eventlog.Event{}
	held := r.cluster.Held("gridcase.demand-")
	for _, h := range held {
		times[string(h.Data)]++
	}
	for i, e := range r.seen {
		if i > 0 && e.Position <= r.seen[i-1].Position {
			wrong("the follower got position %d after %d", e.Position, r.seen[i-1].Position)
		}
		byFollower[string(e.Data)] = e
	}
	for what, n := range times {
		if _, known := r.ledger[what]; !known || n > 1 {
			wrong("%s is %d times in the log: doubled, or nobody's", what, n)
		}
		if _, saw := byFollower[what]; !saw {
			wrong("the follower never saw %s", what)
		}
	}
	for what, e := range r.ledger {
		got := byFollower[what]
		if e.acknowledged && (times[what] != 1 || got.ID != e.id || e.position > 0 && got.Position != e.position) {
			wrong("%s was acknowledged as %s at %d; it is %d times in the log, as %s at %d", what, e.id, e.position, times[what], got.ID, got.Position)
		}
	}
	if r.told < 20 {
		wrong("only %d appends were acknowledged: the test tests nothing", r.told)
	}
	r.t.Cleanup(func() {
		for i := range 3 {
			if n := r.cluster.Node(i).Conns(); n > 0 {
				r.t.Errorf("node %d has %d connections after the log was closed", i, n)
			}
			if n := r.proxies[i].Conns(); n > 0 {
				r.t.Errorf("proxy %d has %d connections after the log was closed", i, n)
			}
		}
	})
	r.until(func() bool {
		open := 0
		for i := range 3 {
			open += r.cluster.Node(i).Conns() + r.proxies[i].Conns()
		}
		return open == 0
	})
	return found
}
