package city_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gridcase/cmd/gridcase/city"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// lived is a city after a span.
type lived struct {
	chronicle city.Chronicle
	events    []eventlog.Event
	took      time.Duration
}

func live(t testing.TB, size city.Size, span city.Span) lived {
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
		Now: clock.Now, Origin: "gridcase.hohhot/demo/1", Program: "test", Draw: city.Draw(span.Seed), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
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
	l := lived{}
	if l.chronicle, err = c.Live(ctx, eng, clock, span, nil); err != nil {
		t.Fatal(err)
	}
	l.took = time.Since(began)
	for batch, err := range log.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		l.events = append(l.events, batch.Events...)
		if batch.Live {
			break
		}
	}
	return l
}

func TestACityLivesByItself(t *testing.T) {
	l := live(t, city.Street, city.Span{Seed: 7, Days: 150, Demand: 6})
	c := l.chronicle
	refused := 0
	for _, n := range c.Refused {
		refused += n
	}
	t.Logf("%d days, %d demands, %d acts, %d alarms %v, levels %v, %d refused, %d open, %d events in %s", c.Days, c.Demands, c.Acts, c.Alarms, c.Fired, c.Levels, refused, c.Open, len(l.events), l.took)
	for _, k := range slices.Sorted(maps.Keys(c.Refused)) {
		t.Logf("  refused %s: %d", k, c.Refused[k])
	}
	types := map[string]int{}
	for _, ev := range l.events {
		types[ev.Type]++
	}
	for _, k := range slices.Sorted(maps.Keys(types)) {
		t.Logf("  %s: %d", k, types[k])
	}
}
