package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
)

// ending is how far a folder's log goes, and every alarm in it by stream and key.
type ending struct {
	end    eventlog.Position
	alarms map[string]int
}

func (h *house) ending(t *testing.T) ending {
	t.Helper()
	e := ending{alarms: map[string]int{}}
	for batch, err := range h.log.Follow(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range batch.Events {
			m, err := event.DecodeMeta(ev.Meta)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(m.Key, rule.AlarmKey) && m.Index == 0 {
				e.alarms[ev.Stream+" "+m.Key]++
			}
			e.end = ev.Position
		}
		if batch.Live {
			break
		}
	}
	return e
}

// A folder whose year ended long ago has overdue alarms. Looking at it, exporting it, rebuilding it fires none of them;
// serving it fires each once, and a later start nothing again.
func TestOnlyAHouseThatServesFiresWhatIsDue(t *testing.T) {
	dir, quiet := t.TempDir(), streams{out: io.Discard, err: io.Discard}
	ctx := t.Context()
	if err := seedFolder(ctx, dir, quiet, seeding{size: city.Street, demands: 120, seed: 5}); err != nil {
		t.Fatal(err)
	}
	open := func(each func(*house)) {
		t.Helper()
		h, err := openHouse(ctx, dir, quiet, houseOptions{keep: true, logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.current(ctx); err != nil {
			t.Error(err)
		}
		each(h)
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}
	waiting := func(h *house) int {
		n, err := h.views.Views().Waiting(ctx, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// Five orders of the last evening of the year, which nobody signed.
	evening := time.Date(2025, 12, 31, 9, 0, 0, 0, time.UTC)
	h, err := openHouse(ctx, dir, quiet, houseOptions{now: func() time.Time { return evening }})
	if err != nil {
		t.Fatal(err)
	}
	units := h.engine.Units()
	office, _ := demoPost(units, orgs.Dispatcher)
	community, _ := demoPost(units, orgs.Clerk)
	for i := range 5 {
		_, err := h.engine.Handle(ctx, engine.Request{Stream: stream.Of(stream.Order, stream.Derive("left", fmt.Sprint(i))), Key: "left", Expect: -1,
			Actor: rule.Actor{ID: "d", Role: orgs.Dispatcher, Unit: office.Code}, Commands: []engine.Command{order.Dispatch{Patrol: true, Anonymous: true,
				Kind: "issue", Matter: "170101", Urgency: "C", Lead: community.Code, Place: community.Code, Task: "检修"}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	var before ending
	overdue := 0
	open(func(h *house) { before, overdue = h.ending(t), waiting(h) }) // the first start publishes the month's draw
	if overdue < 5 || len(before.alarms) < 10 {
		t.Fatalf("%d streams are overdue, %d alarms fired in the year: too few for this to mean anything", overdue, len(before.alarms))
	}
	for _, args := range [][]string{{"rebuild", "--data", dir}, {"views", "digest", "--data", dir}, {"export", "--data", dir, "--out", filepath.Join(t.TempDir(), "all.jsonl")}} {
		var said strings.Builder
		if status := run(ctx, args, streams{out: io.Discard, err: &said}); status != 0 {
			t.Fatalf("%v: status %d: %s", args, status, said.String())
		}
	}
	open(func(h *house) {
		if after := h.ending(t); after.end != before.end {
			t.Errorf("looking, exporting and rebuilding wrote %d events", after.end-before.end)
		}
		stop := h.fire()
		until, cancel := context.WithTimeout(ctx, 60*time.Second)
		defer cancel()
		for waiting(h) > 0 && until.Err() == nil {
			time.Sleep(100 * time.Millisecond)
		}
		stop()
		after := h.ending(t)
		if left := waiting(h); left > 0 || len(after.alarms) < len(before.alarms)+overdue {
			t.Errorf("of %d overdue streams %d are left; %d alarms before, %d after", overdue, left, len(before.alarms), len(after.alarms))
		}
		for alarm, n := range after.alarms {
			if n != 1 {
				t.Errorf("%s fired %d times", alarm, n)
			}
		}
		t.Logf("%d overdue streams: nothing fired by rebuild, digest and export; %d alarms by serving", overdue, len(after.alarms)-len(before.alarms))
		before = after
	})
	open(func(h *house) {
		stop := h.fire()
		time.Sleep(2200 * time.Millisecond)
		stop()
		if after := h.ending(t); after.end != before.end {
			t.Errorf("a later start wrote %d events", after.end-before.end)
		}
	})
}

// The seeded city ages to the present, so that serving it has nothing to make up for.
func TestASeededCityIsNotOverdue(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	dir, quiet := t.TempDir(), streams{out: io.Discard, err: io.Discard}
	if err := seedFolder(t.Context(), dir, quiet, seeding{size: city.Street, demands: 250, seed: 5, until: time.Now()}); err != nil {
		t.Fatal(err)
	}
	h, err := openHouse(t.Context(), dir, quiet, houseOptions{keep: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if _, err := h.current(t.Context()); err != nil {
		t.Fatal(err)
	}
	slots, err := h.views.Views().Due(t.Context(), time.Now(), event.Slot{}, 1000)
	for _, s := range slots {
		if s.Stream.Category() == stream.Order && strings.HasPrefix(s.Step, "step/") {
			continue // at the top of the ladder the step decides nothing
		}
		t.Errorf("%+v is overdue", s)
	}
	if err != nil {
		t.Error(err)
	}
}
