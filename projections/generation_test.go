package projections

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// files lists the folder of the views.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestARebuildSwapsUnderReaders(t *testing.T) {
	log, h := sample(t, 21, 500)
	dir := t.TempDir()
	r := open(t, dir, log)
	want := digest(t, r, h.end)
	var asked atomic.Int64
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			seen := eventlog.Position(0)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if p := r.Position(); p < seen {
					t.Errorf("the position went back from %d to %d", seen, p)
					return
				} else {
					seen = p
				}
				rows, _, err := r.Views().Demands(context.Background(), Viewer{All: true, Confidential: true}, DemandFilter{Page: Page{Limit: 50}})
				if err != nil || len(rows) != 50 {
					t.Errorf("a query during a rebuild: got %d rows, %v", len(rows), err)
					return
				}
				asked.Add(1)
			}
		})
	}
	var told atomic.Int64
	for range 3 {
		if err := r.Rebuild(t.Context(), func(done, total eventlog.Position) { told.Add(1) }); err != nil {
			t.Fatal(err)
		}
		if got := digest(t, r, h.end); !maps.Equal(got, want) {
			t.Fatal("digests differ after a rebuild")
		}
	}
	// A rebuild in a log that moves: nobody's own writes get lost.
	rebuilt := make(chan error)
	go func() { rebuilt <- r.Rebuild(t.Context(), nil) }()
	for range 100 {
		id := h.raise(demand.Errand, "150105003001", "", "t", "x", "", "r1")
		wait(t, r, h.end)
		if _, err := r.Views().Demand(t.Context(), id); err != nil {
			t.Fatalf("our own write during a rebuild: %v", err)
		}
	}
	if err := <-rebuilt; err != nil {
		t.Fatal(err)
	}
	close(stop)
	readers.Wait()
	if told.Load() == 0 || asked.Load() == 0 {
		t.Errorf("progress told %d times, %d queries: want some of both", told.Load(), asked.Load())
	}
	eventually(t, "old generations are gone", func() bool {
		return !slices.ContainsFunc(files(t, dir), func(n string) bool { return n != "current" && !bytes.HasPrefix([]byte(n), []byte("views-5.db")) })
	})
	if f := r.Status().File; f != "views-5.db" {
		t.Errorf("current file: got %s, want views-5.db", f)
	}
	t.Logf("%d queries during 4 rebuilds", asked.Load())
}

func TestOpeningFindsOrBuildsAGeneration(t *testing.T) {
	log, h := sample(t, 22, 200)
	dir := t.TempDir()
	// again opens, compares with views built from nothing, and closes; it says which file served and whether it was built.
	again := func(t *testing.T, log eventlog.Log, end eventlog.Position, change ...func(*Config)) (file string, built bool) {
		t.Helper()
		change = append(change, func(c *Config) { c.Progress = func(_, _ eventlog.Position) { built = true } })
		r := open(t, dir, log, change...)
		got := digest(t, r, end)
		want := digest(t, open(t, t.TempDir(), log, change[:len(change)-1]...), end)
		if !maps.Equal(got, want) {
			t.Error("digests differ from views built from nothing")
		}
		file = r.Status().File
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		return file, built
	}
	is := func(t *testing.T, file string, built bool, wantFile string, wantBuilt bool) {
		t.Helper()
		if file != wantFile || built != wantBuilt {
			t.Errorf("got %s, built %v; want %s, %v", file, built, wantFile, wantBuilt)
		}
	}
	damaged := func(t *testing.T, name string, damage func(b []byte) []byte) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), damage(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("the first is built", func(t *testing.T) {
		file, built := again(t, log, h.end)
		is(t, file, built, "views-1.db", true)
	})
	t.Run("the same is opened", func(t *testing.T) {
		h.steps(10)
		file, built := again(t, log, h.end)
		is(t, file, built, "views-1.db", false)
	})
	t.Run("other tables are another generation", func(t *testing.T) {
		file, built := again(t, log, h.end, func(c *Config) {
			c.Further = []View{spiteful{"calm", func(*Tx, Entry) error { return nil }}}
		})
		is(t, file, built, "views-2.db", true)
	})
	t.Run("the remains of a build are removed", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "views-9.db"), []byte("half a build"), 0o600); err != nil {
			t.Fatal(err)
		}
		file, built := again(t, log, h.end)
		is(t, file, built, "views-10.db", true)
		if got := files(t, dir); !slices.Equal(got, []string{"current", "views-10.db"}) {
			t.Errorf("folder: got %v", got)
		}
	})
	t.Run("a file that is no database is replaced", func(t *testing.T) {
		damaged(t, "views-10.db", func(b []byte) []byte { clear(b[:100]); return b })
		file, built := again(t, log, h.end)
		is(t, file, built, "views-11.db", true)
	})
	t.Run("an empty file is replaced", func(t *testing.T) {
		damaged(t, "views-11.db", func([]byte) []byte { return nil })
		file, built := again(t, log, h.end)
		is(t, file, built, "views-12.db", true)
	})
	t.Run("a missing file is replaced", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, "views-12.db")); err != nil {
			t.Fatal(err)
		}
		_, built := again(t, log, h.end)
		if !built {
			t.Error("nothing was built")
		}
	})
	t.Run("a torn pointer is no pointer", func(t *testing.T) {
		damaged(t, "current", func(b []byte) []byte { return b[:4] })
		_, built := again(t, log, h.end)
		if !built {
			t.Error("nothing was built")
		}
	})
	t.Run("another log with as many events is another generation", func(t *testing.T) {
		other := mem.Open()
		o := newHistory(t, other, 99)
		o.organise()
		for o.end < h.end {
			o.step()
		}
		_, built := again(t, other, o.end)
		if !built {
			t.Error("the rows of another log were taken for ours")
		}
	})
	t.Run("a log that lost its end is another log", func(t *testing.T) {
		shorter := mem.Open()
		o := newHistory(t, shorter, 99)
		o.organise()
		_, built := again(t, shorter, o.end)
		if !built {
			t.Error("the rows of a longer log were taken for ours")
		}
	})
	t.Run("an empty log has empty views", func(t *testing.T) {
		empty := mem.Open()
		r := open(t, t.TempDir(), empty)
		eventually(t, "live", r.Live)
		rows, next, err := r.Views().Demands(t.Context(), Viewer{All: true}, DemandFilter{Page: Page{Limit: 10}})
		if err != nil || len(rows) != 0 || next != "" || r.Position() != 0 {
			t.Errorf("got %d rows, next %q, position %d, %v", len(rows), next, r.Position(), err)
		}
	})
}

func TestADamagedFileIsBuiltAnewWhileRunning(t *testing.T) {
	log, h := sample(t, 23, 3000)
	dir := t.TempDir()
	r := open(t, dir, log)
	wait(t, r, h.end)
	if _, err := r.generation.conn.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "views-1.db"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Seek(0, 2)
	if err == nil {
		_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(size)-4096), 4096)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.generation.conn.ExecContext(t.Context(), "PRAGMA shrink_memory"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another generation serves", func() bool {
		h.steps(5)
		s := r.Status()
		return s.File != "views-1.db" && s.Err == nil && s.Live
	})
	if got, want := digest(t, r, h.end), digest(t, open(t, t.TempDir(), log), h.end); !maps.Equal(got, want) {
		t.Error("digests differ from views that met no damage")
	}
}

func TestABuildThatCannotBeWrittenIsNoBuild(t *testing.T) {
	log, h := sample(t, 25, 500)
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	for _, rows := range []int{50, 1 << 20} { // in many batches, and in one
		g, err := beginGeneration(t.Context(), t.TempDir(), 1, r.tables)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.conn.ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
			t.Fatal(err)
		}
		builder := &Runner{config: r.config, views: r.views, tables: r.tables}
		builder.config.Tuning.Rows = rows
		s := &session{r: builder, g: g, until: h.end, told: func(eventlog.Position) {}}
		if err := s.follow(t.Context()); err == nil || errors.Is(err, errReached) {
			t.Errorf("batches of %d rows on a full disk: got %v, want an error", rows, err)
		}
		if err := g.discard(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARebuildIsAbandonedWhenItsCallerGoes(t *testing.T) {
	log, h := sample(t, 24, 200)
	dir := t.TempDir()
	r := open(t, dir, log)
	want := digest(t, r, h.end)
	ctx, cancel := context.WithCancel(t.Context())
	err := r.Rebuild(ctx, func(_, _ eventlog.Position) { cancel() })
	if err == nil {
		t.Log("the rebuild was faster than its caller")
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if got := digest(t, r, h.end); !maps.Equal(got, want) {
		t.Error("digests changed")
	}
	if p := r.Status().Progress; p != 1 {
		t.Errorf("progress: got %v, want 1", p)
	}
}

func TestTheOrganisationIsRestored(t *testing.T) {
	continued := false // some unit is continued by another, or the test sees nothing
	for seed := range uint64(5) {
		log, h := sample(t, 30+seed, 300)
		// Opened before what it sits in: it stands at the top for ever, restored or not.
		h.add(stream.Keyed(stream.Unit, "150105009-p01"), orgs.UnitOpened{Code: "150105009-p01", Name: "早", Kind: orgs.Property, Parent: "150105009"})
		h.add(stream.Keyed(stream.Unit, "150105009"), orgs.UnitOpened{Code: "150105009", Name: "晚", Kind: orgs.Street, Parent: "150105"})
		h.add(stream.Keyed(stream.Grids, "150105009001"), orgs.GridDrawn{Grid: "150105009001001", Name: "早"})
		h.add(stream.Keyed(stream.Unit, "150105009001"), orgs.UnitOpened{Code: "150105009001", Name: "晚", Kind: orgs.Community, Parent: "150105009"})
		for range 10 {
			h.redivide()
		}
		h.add(stream.Keyed(stream.Grids, "150105003001"), orgs.GridRetired{Grid: h.grids[1]})
		var want *orgs.Tree
		for b, err := range log.Follow(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range b.Events {
				entry, err := understand(e)
				if err != nil {
					t.Fatal(err)
				}
				want = want.With(entry.Body)
			}
			if b.Live {
				break
			}
		}
		dir := t.TempDir()
		r := open(t, dir, log)
		wait(t, r, h.end)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		got := open(t, dir, log).Units()
		units := func(tree *orgs.Tree) (us []orgs.Unit) { return slices.Collect(tree.All()) }
		if len(units(got)) != want.Len() {
			t.Fatalf("seed %d: got %d units, want %d", seed, len(units(got)), want.Len())
		}
		for _, g := range h.grids {
			for _, c := range []orgs.UnitCode{g.Unit(), g.Community()} {
				for _, on := range []calendar.Date{0, calendar.DateOf(h.now) - 1, calendar.DateOf(h.now)} {
					if a, b := got.Successors(c, on), want.Successors(c, on); !slices.Equal(a, b) || got.Heir(c, on) != want.Heir(c, on) {
						t.Errorf("seed %d: successors of %s on %s: got %v, want %v", seed, c, on, a, b)
					}
					continued = continued || !slices.Equal(want.Successors(c, on), []orgs.UnitCode{c})
				}
			}
		}
		for _, u := range units(want) {
			g, known := got.Unit(u.Code)
			if !known || g.Name != u.Name || g.Parent != u.Parent || g.Closed != u.Closed || got.Path(u.Code) != want.Path(u.Code) || !slices.Equal(g.Members, u.Members) {
				t.Errorf("seed %d: unit %s: got %+v at %s, want %+v at %s", seed, u.Code, g, got.Path(u.Code), u, want.Path(u.Code))
			}
			if !slices.Equal(got.Grids(u.Code), want.Grids(u.Code)) {
				t.Errorf("seed %d: grids of %s: got %+v, want %+v", seed, u.Code, got.Grids(u.Code), want.Grids(u.Code))
			}
		}
		if g, w := got.Path("150105009001001"), want.Path("150105009001001"); g != w || w != "/150105009001001/" {
			t.Errorf("seed %d: a grid drawn too early: got %s, want %s", seed, g, w)
		}
	}
	if !continued {
		t.Error("no history split or merged anything")
	}
}
