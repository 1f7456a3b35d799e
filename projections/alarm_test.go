package projections

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/eventlog/mem"
)

// strike lets the clock act on an order as far as its alarms go, without asking what time it is: a view does not either.
func (h *history) strike(name stream.Name) {
	s, _ := h.states[name].(order.State)
	as := s.Alarms()
	if len(as) == 0 {
		return
	}
	a := pick(h.random, as)
	d, _ := s.Running.Due(a.ID)
	switch a.Command.(type) {
	case order.RaiseWarning:
		n := s.Fired.Of(a.ID).Warned
		h.add(name, order.WarningRaised{ID: a.ID, Clock: d.Clock, Number: n + 1, WarnAt: d.WarnAt[n], Due: d.Due}, rule.ClockID)
	case order.ExpireClock:
		x := order.ClockExpired{ID: a.ID, Clock: d.Clock, Due: d.Due}
		if d.Clock == calendar.Handle {
			x.Next = d.Due.Add(48 * time.Hour)
		}
		h.add(name, x, rule.ClockID)
	case order.Escalate:
		h.add(name, order.Escalated{From: s.Attention.Level, To: min(s.Attention.Level+1, 5), Unit: "150105", Rule: "E2", ID: a.ID, Due: a.Due, Step: s.Fired.Of(a.ID).Steps + 1}, rule.ClockID)
	}
}

// timetable is what the view must say, from the states themselves.
func (h *history) timetable() (slots []event.Slot, levels map[orgs.Level]int) {
	levels = map[orgs.Level]int{}
	for name, s := range h.states {
		if as := event.Alarms(s); len(as) > 0 {
			a := slices.MinFunc(as, func(a, b rule.Alarm) int { return a.At.Compare(b.At) })
			slots = append(slots, event.Slot{Stream: name, At: a.At, ID: a.ID, Step: a.Step})
		}
		if o, is := s.(order.State); is && slices.ContainsFunc(o.Running, func(d calendar.Due) bool { return o.Fired.Of(d.ID).Expired }) {
			levels[o.Attention.Level]++
		}
	}
	slices.SortFunc(slots, event.Slot.Compare)
	return slots, levels
}

func TestTheTimetableSaysWhereTheClockIsWantedNext(t *testing.T) {
	log := mem.Open()
	h := newHistory(t, log, 33)
	h.organise()
	r := open(t, t.TempDir(), log)
	ctx := context.Background()
	wanted := 0
	for round := range 40 {
		for range 25 {
			h.step()
			if len(h.orders) > 0 && h.random.IntN(3) == 0 {
				h.strike(stream.Of(stream.Order, pick(h.random, h.orders)))
			}
		}
		wait(t, r, h.end)
		want, levels := h.timetable()
		wanted = len(want)
		got, err := r.Views().Due(ctx, h.now.AddDate(10, 0, 0), event.Slot{}, 1<<20)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("round %d: got %d slots, %v, want %d:\n%v\n%v", round, len(got), err, len(want), got, want)
		}
		if len(want) > 3 {
			until := want[len(want)/2].At
			upTo := slices.DeleteFunc(slices.Clone(want), func(s event.Slot) bool { return s.At.After(until) })
			var paged []event.Slot
			for after := (event.Slot{}); ; after = paged[len(paged)-1] {
				page, err := r.Views().Due(ctx, until, after, 2)
				if err != nil {
					t.Fatal(err)
				}
				if paged = append(paged, page...); len(page) < 2 {
					break
				}
			}
			if !slices.Equal(paged, upTo) {
				t.Errorf("round %d: by pages up to %s: got %v, want %v", round, until, paged, upTo)
			}
			before := 0
			for _, s := range want {
				if s.At.Before(until) {
					before++
				}
			}
			if n, err := r.Views().Waiting(ctx, until); err != nil || n != before {
				t.Errorf("waiting before %s: got %d, %v, want %d", until, n, err, before)
			}
		}
		if got, err := r.Views().Overdue(ctx); err != nil || !maps.Equal(got, levels) {
			t.Errorf("round %d: overdue: got %v, %v, want %v", round, got, err, levels)
		}
	}
	_, levels := h.timetable()
	if wanted < 8 || len(levels) < 2 {
		t.Errorf("only %d slots, overdue %v: too little for this to mean anything", wanted, levels)
	}
	live := digest(t, r, h.end)
	if err := r.Rebuild(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if rebuilt := digest(t, r, h.end); !maps.Equal(live, rebuilt) {
		t.Errorf("rebuilt %v, followed %v", rebuilt, live)
	}
	t.Logf("%d streams in the timetable, overdue by level %v", wanted, levels)
}

// An event that changes nothing of the timetable costs it no write.
func TestTheTimetableIsWrittenOnlyWhenItChanges(t *testing.T) {
	log := mem.Open()
	h := newHistory(t, log, 4)
	h.organise()
	name := stream.Of(stream.Order, stream.Derive("order", "x"))
	h.add(name, order.Dispatched{Number: "1", Kind: "issue", Urgency: "C", Lead: "150105-d01", By: "150105", Place: "150105003001",
		Sign: h.due(calendar.Sign), Contact: h.due(calendar.Contact), Handle: h.due(calendar.Handle)})
	before := h.states[name]
	h.add(name, order.DemandAttached{Demand: stream.Derive("demand", "y")})
	tx := &Tx{ctx: t.Context(), rows: newOverlay(Alarms{}.Tables()), find: func(context.Context, int, []any) ([]any, error) {
		return nil, fmt.Errorf("the view looked at the file")
	}}
	e := Entry{Entry: event.Entry{Stream: name, Before: before, After: h.states[name]}}
	if err := (Alarms{}).Apply(tx, e); err != nil || tx.fault != nil || tx.rows.touched != 0 {
		t.Errorf("got %v, %v, %d rows touched, want none", err, tx.fault, tx.rows.touched)
	}
	e.Before = nil
	if err := (Alarms{}).Apply(tx, e); err != nil || tx.rows.touched != 1 {
		t.Errorf("the first event: got %v, %d rows touched, want 1", err, tx.rows.touched)
	}
}
