package projections

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gridcase/eventlog"
)

func TestSeededViewsAreTheRebuiltOnesAndGoOn(t *testing.T) {
	log, h := sample(t, 31, 1500)
	first := open(t, t.TempDir(), log)
	wait(t, first, h.end)
	file := filepath.Join(t.TempDir(), "snapshot.db")
	// The first node is at work while the snapshot is taken.
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-stop:
				return
			default:
				h.step()
			}
		}
	}()
	at, err := Snapshot(t.Context(), first.config.Dir, file)
	close(stop)
	<-over
	if err != nil || at == 0 {
		t.Fatalf("snapshot: %d, %v", at, err)
	}
	dir := t.TempDir()
	began := time.Now()
	seeded, err := Seed(t.Context(), Config{Dir: dir, Log: log}, file)
	took := time.Since(began)
	if err != nil || seeded != at {
		t.Fatalf("seed: %d, %v, want %d", seeded, err, at)
	}
	var watched tally
	second := open(t, dir, log, func(c *Config) { c.Observe = &watched })
	got := digest(t, second, h.end)
	if n := watched.get(func(o *tally) int { return o.events }); n != int(h.end-at) {
		t.Errorf("the seeded node followed %d events, want the %d after the snapshot alone", n, h.end-at)
	}
	if !maps.Equal(got, digest(t, first, h.end)) {
		t.Error("the seeded views are not those of the node that they came from")
	}
	began = time.Now()
	third := open(t, t.TempDir(), log)
	built := time.Since(began)
	if !maps.Equal(got, digest(t, third, h.end)) {
		t.Error("the seeded views are not those that are built from the log")
	}
	h.steps(50)
	if !maps.Equal(digest(t, second, h.end), digest(t, third, h.end)) {
		t.Error("the seeded views do not go on as the others")
	}
	t.Logf("%d events: seeding took %s, building %s: %.1f times as long", at, took.Round(time.Millisecond), built.Round(time.Millisecond), float64(built)/float64(took))
}

func TestAForeignOrDamagedSnapshotIsRefused(t *testing.T) {
	log, h := sample(t, 32, 300)
	first := open(t, t.TempDir(), log)
	wait(t, first, h.end)
	good := filepath.Join(t.TempDir(), "snapshot.db")
	if _, err := Snapshot(t.Context(), first.config.Dir, good); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := sample(t, 33, 300)
	short, _ := sample(t, 32, 100)
	sql := func(statement string) func(string) {
		return func(path string) {
			db, err := sql.Open("sqlite", "file:"+path)
			if err == nil {
				_, err = db.Exec(statement)
			}
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name string
		log  eventlog.Log
		want error // nil: any
		bend func(path string)
	}{
		{"a row of a view was altered", log, errDamaged, sql("UPDATE demands SET number = 'X' WHERE rowid = (SELECT min(rowid) FROM demands)")},
		{"a row is missing", log, errDamaged, sql("DELETE FROM orders WHERE rowid = (SELECT max(rowid) FROM orders)")},
		{"a stream stands elsewhere", log, errDamaged, sql("UPDATE streams SET revision = revision + 1 WHERE stream = (SELECT min(stream) FROM streams)")},
		{"it is of another log", other, ErrForeignViews, func(string) {}},
		{"it goes beyond the log", short, ErrForeignViews, func(string) {}},
		{"its last event is another", log, ErrForeignViews, sql("UPDATE generation SET event = zeroblob(16)")},
		{"it is of another program", log, ErrForeignViews, sql("UPDATE generation SET schema = 'newer'")},
		{"it holds nothing", log, ErrForeignViews, sql("UPDATE generation SET position = 0")},
		{"it is no snapshot", log, ErrForeignViews, sql("DROP TABLE snapshot")},
		{"it is no file of views", log, ErrForeignViews, sql("DROP TABLE generation")},
		{"it is cut off", log, nil, func(path string) {
			if err := os.Truncate(path, int64(len(whole)/2)); err != nil {
				t.Fatal(err)
			}
		}},
		{"it is no database", log, nil, func(path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("views "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"it is not there", log, os.ErrNotExist, func(path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		path, dir := filepath.Join(t.TempDir(), "bent.db"), t.TempDir()
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		c.bend(path)
		if _, err := Seed(context.Background(), Config{Dir: dir, Log: c.log}, path); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if left := files(t, dir); len(left) > 0 {
			t.Errorf("%s: the folder has %v", c.name, left)
		}
	}
	// Bits of pages flip: each flip is found, or hits what no row is made of.
	found, flips := 0, 60
	want := digest(t, first, h.end)
	for i := range flips {
		bent := slices.Clone(whole)
		bent[100+i*(len(whole)-100)/flips] ^= 0x10
		path, dir := filepath.Join(t.TempDir(), "bent.db"), t.TempDir()
		if err := os.WriteFile(path, bent, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Seed(context.Background(), Config{Dir: dir, Log: log}, path); err != nil {
			found++
			continue
		}
		r, err := Open(t.Context(), Config{Dir: dir, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := r.Views().Digest(t.Context()); err != nil || !maps.Equal(got, want) {
			t.Errorf("the flip at %d was taken for good: %v", 100+i*(len(whole)-100)/flips, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d of %d flipped bits were found, the others changed no row", found, flips)
}

func TestARefusedSnapshotLeavesTheViewsThatAreThere(t *testing.T) {
	log, h := sample(t, 34, 100)
	dir := t.TempDir()
	r := open(t, dir, log)
	want := digest(t, r, h.end)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	if _, err := Seed(t.Context(), Config{Dir: dir, Log: log}, filepath.Join(dir, "nothing")); err == nil {
		t.Error("a file that is not there was taken")
	}
	if after := files(t, dir); !slices.Equal(after, before) {
		t.Errorf("the folder has %v, had %v", after, before)
	}
	if got := digest(t, open(t, dir, log), h.end); !maps.Equal(got, want) {
		t.Error("the views are not what they were")
	}
}

// newer is a log as it looks to an older program: it does not know what it is to be called.
type newer struct {
	eventlog.Log
	typ string
}

func (n newer) shown(e eventlog.Event) eventlog.Event {
	if e.Type == n.typ {
		e.Type = "from-the-future/3"
	}
	return e
}

func (n newer) Read(ctx context.Context, stream string, from eventlog.Revision) iter.Seq2[eventlog.Event, error] {
	return func(yield func(eventlog.Event, error) bool) {
		for e, err := range n.Log.Read(ctx, stream, from) {
			if !yield(n.shown(e), err) {
				return
			}
		}
	}
}

func (n newer) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range n.Log.Follow(ctx, after) {
			b.Events = slices.Clone(b.Events)
			for i := range b.Events {
				b.Events[i] = n.shown(b.Events[i])
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// In a rolling upgrade an old node meets events that it does not know. It goes on and says so; upgraded, it shows what they said.
func TestAnUpgradedNodeShowsWhatItPassedOver(t *testing.T) {
	log, h := sample(t, 35, 400)
	const typ = "demand-relocated/1"
	dir := t.TempDir()
	var seen tally
	old := open(t, dir, newer{log, typ}, func(c *Config) { c.Observe = &seen })
	h.steps(200)
	passed := digest(t, old, h.end)
	if n := seen.get(func(o *tally) int { return o.unknown["from-the-future/3"] }); n == 0 {
		t.Fatal("the old node met nothing that it does not know")
	}
	if parked, err := old.Parked(t.Context()); err != nil || len(parked) > 0 {
		t.Errorf("the old node parked %v, %v", parked, err)
	}
	number := old.generation.number
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	fresh := digest(t, open(t, t.TempDir(), log), h.end)
	if maps.Equal(passed, fresh) {
		t.Fatal("what was passed over is in no view: the test shows nothing")
	}
	// Restarted as it is, it goes on with what it has.
	same := open(t, dir, newer{log, typ})
	if got := same.generation.number; got != number {
		t.Errorf("the old node built generation %d, want to go on with %d", got, number)
	}
	if err := same.Close(); err != nil {
		t.Fatal(err)
	}
	// The type has its name in the file; the log gave it another one here.
	db, err := sql.Open("sqlite", "file:"+generationPath(dir, number))
	if err == nil {
		_, err = db.Exec("UPDATE unknown SET type = ? WHERE type = 'from-the-future/3'", typ)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if got := digest(t, open(t, dir, log), h.end); !maps.Equal(got, fresh) {
		t.Error("the upgraded node does not show what it had passed over")
	}
}
