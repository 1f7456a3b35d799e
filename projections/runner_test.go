package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gridcase/domain/demand"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// moody is a view that must be caught: its rows depend on how often it was called in this process.
type moody struct{ calls *int }

func (moody) Name() string { return "moody" }
func (moody) Tables() []Table {
	return []Table{{Name: "moods", Key: 1, Columns: []Column{{"stream", Text}, {"mood", Integer}}}}
}
func (m moody) Apply(tx *Tx, e Entry) error {
	*m.calls++
	tx.Put("moods", string(e.Stream), *m.calls)
	return nil
}

func TestRebuiltResumedAndLiveViewsAreEqual(t *testing.T) {
	events := 0
	for seed := range uint64(6) {
		log := mem.Open()
		h := newHistory(t, log, seed)
		followed := open(t, t.TempDir(), log, func(c *Config) { c.Further = []View{moody{new(int)}} })
		resumedDir, random := t.TempDir(), rand.New(rand.NewPCG(seed, 2))
		h.organise()
		for range 8 {
			h.steps(60)
			wait(t, followed, h.end)
			resumed, err := Open(t.Context(), Config{Dir: resumedDir, Log: log, Further: []View{moody{new(int)}}, Tuning: Tuning{Batch: 1 + random.IntN(50), States: 1 + random.IntN(10)}})
			if err != nil {
				t.Fatal(err)
			}
			if random.IntN(2) == 0 { // else it is stopped wherever it is
				wait(t, resumed, h.end)
			}
			if err := resumed.Close(); err != nil {
				t.Fatal(err)
			}
		}
		want := digest(t, followed, h.end)
		events += int(h.end)
		variants := map[string]*Runner{"resumed": open(t, resumedDir, log, func(c *Config) { c.Further = []View{moody{new(int)}} })}
		for name, tuning := range map[string]Tuning{"rebuilt": {}, "rebuilt in small pieces": {Rows: 7, States: 3}, "rebuilt in middling ones": {Rows: 300, States: 20}} {
			variants[name] = open(t, t.TempDir(), log, func(c *Config) { c.Tuning, c.Further = tuning, []View{moody{new(int)}} })
		}
		caught := false
		for name, r := range variants {
			got := digest(t, r, h.end)
			caught = caught || got["moody"] != want["moody"]
			delete(got, "moody")
			for view, d := range got {
				if d != want[view] {
					t.Errorf("seed %d: %s differs when %s", seed, view, name)
				}
			}
			if len(got) != len(All()) {
				t.Errorf("seed %d: digests of %v, want one for each of %d views", seed, maps.Keys(got), len(All()))
			}
		}
		if !caught {
			t.Errorf("seed %d: a view with a memory of its own was not caught", seed)
		}
	}
	t.Logf("%d events, 6 histories, 5 ways each: equal", events)
}

// spiteful fails, panics or writes nonsense at chosen events.
type spiteful struct {
	name string
	hurt func(tx *Tx, e Entry) error
}

func (s spiteful) Name() string { return s.name }
func (s spiteful) Tables() []Table {
	return []Table{{Name: s.name, Key: 1, Columns: []Column{{"stream", Text}, {"revision", Integer}, {"mark", Text}},
		Indexes: []Index{{Columns: []string{"mark"}, Unique: true}}}}
}
func (s spiteful) Apply(tx *Tx, e Entry) error {
	tx.Put(s.name, string(e.Stream), e.Revision, string(e.Stream))
	return s.hurt(tx, e)
}

func TestPoisonIsParkedForItsViewAlone(t *testing.T) {
	for _, c := range []struct {
		name string
		hurt func(tx *Tx, bad bool) error
	}{
		{"error", func(_ *Tx, bad bool) error {
			if bad {
				return errOnPurpose
			}
			return nil
		}},
		{"panic", func(_ *Tx, bad bool) error {
			if bad {
				panic("on purpose")
			}
			return nil
		}},
		{"misfit", func(tx *Tx, bad bool) error {
			if bad {
				tx.Put("misfit", "a row", "with a word for a number", "m")
			}
			return nil
		}},
		{"stranger", func(tx *Tx, bad bool) error {
			if bad {
				tx.Put("no_such_table", 1)
			}
			return nil
		}},
		{"refused", func(tx *Tx, bad bool) error {
			if bad { // the mark of the organisation's first unit, which is unique
				tx.Put("refused", "another row", 1, "gridcase.unit-150100")
			}
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			log, h := sample(t, 3, 150)
			victim := h.raise(demand.Errand, "150105003001", "", "t", "x", "", "r1")
			name := stream.Of(stream.Demand, victim)
			bad := eventlog.Position(h.end + 1)
			h.accept(victim, "毒")
			h.add(name, demand.Supported{Supporters: 1})
			h.steps(150)
			further := []View{spiteful{c.name, func(tx *Tx, e Entry) error { return c.hurt(tx, at(e, name, 1)) }}}
			var seen tally
			dir := t.TempDir()
			built := open(t, dir, log, func(k *Config) { k.Further, k.Observe = further, &seen })
			want := digest(t, built, h.end)

			live := mem.Open()
			followed := open(t, t.TempDir(), live, func(k *Config) { k.Further = further })
			copyLog(t, live, log, h.end)
			got := digest(t, followed, h.end)
			if !maps.Equal(got, want) {
				t.Errorf("digests differ between built and followed views: got %v, want %v", got, want)
			}
			plain := digest(t, open(t, t.TempDir(), log), h.end)
			for view, d := range plain {
				if want[view] != d {
					t.Errorf("the other view %s was harmed", view)
				}
			}

			check := func(r *Runner) {
				t.Helper()
				parked, err := r.Parked(t.Context())
				if err != nil || len(parked) != 1 || parked[0].View != c.name || parked[0].Stream != name || parked[0].Position != bad || parked[0].Error == "" {
					t.Errorf("parked: got %+v, %v; want %s at %d", parked, err, name, bad)
				}
				eventually(t, "the status counts one parked stream", func() bool { return r.Status().Parked[c.name] == 1 })
				for view, n := range r.Status().Parked {
					if view != c.name && n != 0 {
						t.Errorf("parked for %s: got %d, want 0", view, n)
					}
				}
				var revision int64
				err = r.Views().query(t.Context(), "SELECT revision FROM "+c.name+" WHERE stream = ?", []any{string(name)}, func(rs *sql.Rows) error { return rs.Scan(&revision) })
				if err != nil || revision != 0 {
					t.Errorf("the row of the parked stream: got revision %d, %v; want that of before the poison, 0", revision, err)
				}
			}
			check(built)
			check(followed)
			if n := seen.get(func(o *tally) int { return o.failures }); n < 2 {
				t.Errorf("failures: got %d, want the poison and the event after it", n)
			}
			if err := built.Close(); err != nil {
				t.Fatal(err)
			}
			h.steps(20)
			again := open(t, dir, log, func(k *Config) { k.Further = further })
			wait(t, again, h.end)
			check(again)
		})
	}
}

// copyLog appends what one log holds, up to a position, to another.
func copyLog(t *testing.T, to, from eventlog.Log, end eventlog.Position) {
	t.Helper()
	for b, err := range from.Follow(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Events {
			if _, err := to.Append(t.Context(), e.Stream, e.Revision-1, e.Fact); err != nil {
				t.Fatal(err)
			}
			if e.Position == end {
				return
			}
		}
	}
}

func TestAnUnreadableEventParksItsStreamEverywhere(t *testing.T) {
	log, h := sample(t, 5, 50)
	name := stream.Of(stream.Demand, h.raise(demand.Errand, "150105003001", "", "t", "x", "", "r1"))
	bad := h.addBytes(name, "demand-accepted/1", []byte(`{"kind":7}`))
	h.add(name, demand.Supported{Supporters: 1})
	h.steps(50)
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	parked, err := r.Parked(t.Context())
	if err != nil || len(parked) != len(All()) {
		t.Fatalf("parked: got %+v, %v; want the stream once for each of %d views", parked, err, len(All()))
	}
	for _, p := range parked {
		if p.Stream != name || p.Position != bad {
			t.Errorf("parked: got %+v, want %s at %d", p, name, bad)
		}
	}
	row, err := r.Views().Demand(t.Context(), name.ID())
	if err != nil || row.Revision != 0 || row.Phase != demand.PhaseRaised {
		t.Errorf("the demand: got revision %d, %s, %v; want it as before the event", row.Revision, row.Phase, err)
	}
}

// faulty is a log that delivers badly: it leaves out, repeats, or ends with an error.
type faulty struct {
	eventlog.Log
	mu     sync.Mutex
	skip   map[eventlog.Position]bool
	repeat map[eventlog.Position]bool
	fail   int // how many times more Follow ends at once
}

func (f *faulty) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range f.Log.Follow(ctx, after) {
			f.mu.Lock()
			if f.fail > 0 {
				f.fail--
				f.mu.Unlock()
				yield(eventlog.Batch{}, errOnPurpose)
				return
			}
			var events []eventlog.Event
			for _, e := range b.Events {
				if !f.skip[e.Position] {
					events = append(events, e)
				}
				if f.repeat[e.Position] {
					events = append(events, e)
				}
			}
			f.mu.Unlock()
			if !yield(eventlog.Batch{Events: events, Live: b.Live}, err) {
				return
			}
		}
	}
}

func TestHolesAreHealedAndRepeatsIgnored(t *testing.T) {
	log, h := sample(t, 7, 400)
	want := digest(t, open(t, t.TempDir(), log), h.end)
	skip, repeat := map[eventlog.Position]bool{}, map[eventlog.Position]bool{}
	for b, err := range log.Follow(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Events {
			// What is left out must have a successor in its stream, or nobody could know. The tree is part of the order between streams.
			if c := stream.Name(e.Stream).Category(); c != stream.Unit && c != stream.Grids && int64(e.Revision) < h.heads[stream.Name(e.Stream)] && e.Position%9 == 0 {
				skip[e.Position] = true
			}
			if e.Position%7 == 0 {
				repeat[e.Position] = true
			}
		}
		if b.Live {
			break
		}
	}
	for name, tuning := range map[string]Tuning{"many states kept": {}, "hardly any": {States: 1, Rows: 10}} {
		t.Run(name, func(t *testing.T) {
			var seen tally
			r := open(t, t.TempDir(), &faulty{Log: log, skip: skip, repeat: repeat}, func(c *Config) { c.Observe, c.Tuning = &seen, tuning })
			got := digest(t, r, h.end)
			gaps, repeats := seen.get(func(o *tally) int { return o.gaps }), seen.get(func(o *tally) int { return o.repeats })
			if len(skip) < 10 || gaps == 0 || gaps > len(skip) || repeats < len(repeat)-len(skip) {
				t.Errorf("left out %d, repeated %d: counted %d gaps and %d repeats", len(skip), len(repeat), gaps, repeats)
			}
			// Only rows that say at which position something was linked may know of the detour.
			for _, view := range []string{"demands", "topics", "orders", "orgs"} {
				if got[view] != want[view] {
					t.Errorf("%s differs after healing", view)
				}
			}
			t.Logf("%d events left out, %d repeated: %d gaps healed, %d repeats ignored", len(skip), len(repeat), gaps, repeats)
		})
	}
}

// tooEarly is a log that delivers old events again, except at the first look, by which the views see whose log it is.
type tooEarly struct {
	eventlog.Log
	by     eventlog.Position
	looked atomic.Bool
}

func (l *tooEarly) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	if l.looked.Swap(true) {
		after -= min(after, l.by)
	}
	return l.Log.Follow(ctx, after)
}

func TestALogThatBeginsTooEarlyChangesNothing(t *testing.T) {
	log, h := sample(t, 12, 200)
	dir := t.TempDir()
	r := open(t, dir, log)
	wait(t, r, h.end)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	h.step()
	h.moveDemand(h.demands[0])
	want := digest(t, open(t, t.TempDir(), log), h.end)
	// All that is delivered again is new to this process, first events of streams among it.
	var seen tally
	r, err := Open(t.Context(), Config{Dir: dir, Log: &tooEarly{Log: log, by: 150}, Observe: &seen})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := digest(t, r, h.end); !maps.Equal(got, want) {
		t.Error("digests differ when old events are delivered again")
	}
	if n := seen.get(func(o *tally) int { return o.repeats }); n < 100 {
		t.Errorf("repeats: got %d, want about 150", n)
	}
}

func TestTheRunnerTakesUpAgainAfterFaults(t *testing.T) {
	t.Run("of the log", func(t *testing.T) {
		log, h := sample(t, 8, 100)
		f := &faulty{Log: log}
		r := open(t, t.TempDir(), f)
		wait(t, r, h.end)
		f.mu.Lock()
		f.fail = 3
		f.mu.Unlock()
		h.steps(20)
		wait(t, r, h.end)
		eventually(t, "the fault is over", func() bool { s := r.Status(); return s.Err == nil && s.Live })
		if p := f.fail; p != 0 {
			t.Errorf("the log was to fail %d times more", p)
		}
	})
	t.Run("of the disk, parking nothing", func(t *testing.T) {
		log, h := sample(t, 9, 100)
		r := open(t, t.TempDir(), log)
		wait(t, r, h.end)
		before := digest(t, r, h.end)
		pages := func(n int) {
			if _, err := r.generation.conn.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
				t.Fatal(err)
			}
		}
		pages(1) // as many as there are, none more
		p := h.end
		for range 300 {
			h.raise(demand.Errand, "150105003001", "", "t", "x", "", "r1")
		}
		eventually(t, "the disk is full", func() bool { return r.Status().Err != nil })
		if s := r.Status(); s.Live || s.Position < p || s.Position == h.end {
			t.Errorf("on a full disk: got %+v", s)
		}
		pages(1 << 30)
		got := digest(t, r, h.end)
		if got["demands"] == before["demands"] {
			t.Error("the views did not move on")
		}
		parked, err := r.Parked(t.Context())
		if err != nil || len(parked) != 0 {
			t.Errorf("parked: got %+v, %v; want nothing: a full disk is no event's fault", parked, err)
		}
		if again := digest(t, open(t, t.TempDir(), log), h.end); !maps.Equal(got, again) {
			t.Error("digests differ from views that met no fault")
		}
	})
}

func TestWaitingForAPosition(t *testing.T) {
	log, h := sample(t, 10, 30)
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if at, ok := r.Wait(ctx, h.end+1); ok || at != h.end {
		t.Errorf("waiting for what is not there: got %d, %v; want %d, false", at, ok, h.end)
	}
	for range 50 {
		changed := r.Changed()
		p := h.raise(demand.Errand, "150105003001", "", "t", "x", "", "r1")
		wait(t, r, h.end)
		select {
		case <-changed:
		case <-time.After(5 * time.Second):
			t.Fatal("the views moved and nobody was told")
		}
		if _, err := r.Views().Demand(t.Context(), p); err != nil {
			t.Fatalf("reading our own write: %v", err)
		}
	}
	eventually(t, "live and without lag", func() bool { s := r.Status(); return s.Live && s.Lag == 0 })
	closing := make(chan bool)
	go func() {
		_, ok := r.Wait(context.Background(), h.end+1)
		closing <- ok
	}()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if <-closing {
		t.Error("a position was reached that is not in the log")
	}
	if _, err := r.Views().Demand(t.Context(), h.demands[0]); !errors.Is(err, ErrClosed) {
		t.Errorf("a query after Close: got %v, want ErrClosed", err)
	}
}

func TestUnknownEventsAreCounted(t *testing.T) {
	log, h := sample(t, 11, 10)
	h.addBytes("gridcase.access-x", "from-the-future/2", []byte(`{}`))
	h.addBytes(stream.Of(stream.Demand, h.demands[0]), "from-the-future/2", []byte(`{}`))
	var seen tally
	r := open(t, t.TempDir(), log, func(c *Config) { c.Observe = &seen })
	wait(t, r, h.end)
	if n := seen.get(func(o *tally) int { return o.unknown["from-the-future/2"] }); n != 2 {
		t.Errorf("unknown events: got %d, want 2", n)
	}
	if n := seen.get(func(o *tally) int { return o.events }); n != int(h.end) {
		t.Errorf("events in batches: got %d, want %d", n, h.end)
	}
}
