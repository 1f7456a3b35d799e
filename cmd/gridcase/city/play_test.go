package city_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/event"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// played is a city after its year.
type played struct {
	city   *city.City
	eng    *engine.Engine
	tally  city.Tally
	events []eventlog.Event
	took   time.Duration
}

// play seeds a city on a log in memory.
func play(t testing.TB, size city.Size, seed uint64, demands int) played {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	c := city.New(size)
	clock := city.NewClock(c.Eve())
	log := mem.Open(mem.WithClock(clock.Now))
	store, err := keys.Open(ctx, filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	eng, err := engine.Open(ctx, engine.Config{Log: log, Keys: store, Index: filepath.Join(dir, "index.db"), Rules: c.Rules(),
		Now: clock.Now, Elapsed: clock.Elapsed, Diary: new(engine.Diary), Origin: "gridcase.hohhot/demo/1", Program: "test", Draw: city.Draw(seed), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	began := time.Now()
	tally, err := c.Seed(ctx, eng, clock, c.Script(seed, demands), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := played{city: c, eng: eng, tally: tally, took: time.Since(began)}
	for batch, err := range log.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		p.events = append(p.events, batch.Events...)
		if batch.Live {
			break
		}
	}
	return p
}

// entries folds every event of a play in log order.
func (p played) entries(t testing.TB) []event.Entry {
	t.Helper()
	folder := event.NewFolder(1<<20, nil)
	var es []event.Entry
	for _, ev := range p.events {
		e, err := folder.Next(event.Stored{Stream: stream.Name(ev.Stream), Revision: int64(ev.Revision), ID: stream.ID(ev.ID),
			Type: ev.Type, Data: ev.Data, Meta: ev.Meta})
		if err != nil {
			t.Fatal(err)
		}
		if _, unknown := e.Body.(event.Unknown); unknown {
			t.Fatalf("the log holds the unknown type %s", ev.Type)
		}
		es = append(es, e)
	}
	return es
}
