package city_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/event"
	"gridcase/domain/rule"
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
		Now: clock.Now, Elapsed: clock.Elapsed, Diary: new(engine.Diary), Origin: "gridcase.hohhot/demo/1", Program: "test", Draw: city.Draw(span.Seed), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
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

// told is everything that happened in a life, but for what has random ids.
func (l lived) told() [32]byte {
	h := sha256.New()
	for _, ev := range l.events {
		switch ev.Type {
		case "log-opened/1", "numbers-reserved/1", "verify-salt-committed/1", "verify-salt-revealed/1":
			continue
		}
		fmt.Fprintln(h, ev.Stream, ev.Revision, ev.ID, ev.Type, ev.At.Unix())
	}
	return [32]byte(h.Sum(nil))
}

func TestACityLivesByItself(t *testing.T) {
	span := city.Span{Seed: 7, Days: 240, Demand: 6}
	l := live(t, city.Street, span)
	c := l.chronicle
	refused := 0
	for _, n := range c.Refused {
		refused += n
	}
	t.Logf("%d days, %d demands, %d acts, %d alarms %v, levels %v, %d refused %v, %d open, %d events in %s", c.Days, c.Demands, c.Acts, c.Alarms, c.Fired,
		c.Levels, refused, c.Refused, c.Open, len(l.events), l.took.Round(time.Millisecond))
	if c.Days != span.Days || c.Demands < 800 || c.Open > c.Demands/5 {
		t.Errorf("got %d days, %d demands, %d open", c.Days, c.Demands, c.Open)
	}
	if refused > c.Acts/50 {
		t.Errorf("of %d acts %d were refused: %v", c.Acts, refused, c.Refused)
	}
	if c.Latest > time.Second {
		t.Errorf("an alarm was %s late on a clock that stands still", c.Latest)
	}
	// Whatever the machines of demand, topic, order and dispute provide for the clock happens to somebody.
	types, keys := map[string]int{}, map[string]int{}
	for _, ev := range l.events {
		types[ev.Type]++
		m, err := event.DecodeMeta(ev.Meta)
		if err != nil {
			t.Fatal(err)
		}
		if m.Actor == rule.ClockID && m.Index == 0 {
			keys[ev.Stream+" "+m.Key]++
		}
	}
	for key, n := range keys {
		if n > 1 {
			t.Errorf("%s fired %d times", key, n)
		}
	}
	if len(keys) != c.Alarms {
		t.Errorf("%d alarms fired, the log has %d", c.Alarms, len(keys))
	}
	for _, typ := range []string{"demand-warning-raised/1", "demand-clock-expired/1", "demand-escalated/1", "callback-waived/1", "order-warning-raised/1",
		"order-clock-expired/1", "order-escalated/1", "order-resumed/1", "return-approved/1", "order-redispatched/1", "supervision-answered/1", "dispute-referred-up/1",
		"agreement-fulfilled/1", "topic-concluded/1", "demand-reopened/1", "extension-refused/1", "verification-failed/1", "rework-ordered/1",
		"whistle-blown/1", "unit-reported-in/1", "unit-absent/1", "whistle-scored/1", "dispatch-blocked/1", "admission-requested/1", "admission-granted/1",
		"admission-funded/1", "admission-refused/1", "admission-expired/1", "grid-worker-relieved/1", "acting-worker-appointed/1", "supervision-issued/1", "mediation-failed/1"} {
		if types[typ] == 0 {
			t.Errorf("no %s in %d days", typ, c.Days)
		}
	}
}

func TestTheSameSeedLivesTheSameLife(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	span := city.Span{Seed: 11, Days: 60, Demand: 8}
	first := live(t, city.Street, span).told()
	if live(t, city.Street, span).told() != first {
		t.Error("the same seed lived another life")
	}
	span.Seed++
	if live(t, city.Street, span).told() == first {
		t.Error("another seed lived the same life")
	}
}
