package event_test

import (
	"errors"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/stream"
)

// TestACourseIsReadOffTheStream: an order that was extended, suspended, reported, sent back by verification and settled.
func TestACourseIsReadOffTheStream(t *testing.T) {
	old, all := calendar.China().Without(2026), calendar.China()
	p := calendar.DefaultPolicy()
	for i, r := range p.Rows {
		if r.Clock == calendar.Handle && r.Urgency == "C" {
			p.Rows[i].Amount = calendar.Amount{N: 15, Kind: calendar.WorkingDays}
		}
	}
	rules := calendar.Rules{Calendar: old, Policy: p}
	at := func(s string) time.Time {
		when, err := time.ParseInLocation("2006-01-02 15:04", s, calendar.Zone())
		if err != nil {
			t.Fatal(err)
		}
		return when.UTC()
	}
	must := func(d calendar.Due, err error) calendar.Due {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	n := stream.Of(stream.Order, oneID)
	var entries []event.Entry
	var state event.State
	say := func(when time.Time, b event.Body) {
		m := event.Meta{Recorded: when, Occurred: when}
		e := event.Entry{Stream: n, Revision: int64(len(entries)), Meta: m, Body: b, Before: state}
		state = event.Fold(n, state, b, m.Stamp(oneID))
		e.After = state
		entries = append(entries, e)
	}
	start := at("2025-11-24 10:00")
	first := must(rules.Start("handle/1/1/3", calendar.Handle, "issue", "C", start))
	say(start, order.Dispatched{Kind: "issue", Urgency: "C", Sign: must(rules.Start("sign/1/1/1", calendar.Sign, "issue", "C", start)),
		Contact: must(rules.Start("contact/1/1/2", calendar.Contact, "issue", "C", start)), Handle: first})
	say(start, order.Signed{At: start})
	say(start, order.Contacted{At: start})
	say(start, order.ExtensionRequested{Amount: 5, Decision: must(rules.Start("extension_decision/1/1/4", calendar.ExtensionDecision, "", "", start))})
	longer := must(rules.Extend(first, 5))
	longer.ID = "handle/1/1/5"
	say(start, order.ExtensionGranted{Handle: longer})
	say(at("2025-12-01 09:00"), order.Suspended{FrozenAt: at("2025-12-01 09:00"), Review: must(rules.Until("suspension_review/1/1/6", calendar.SuspensionReview, at("2025-12-01 09:00"), calendar.DateOf(at("2025-12-20 00:00"))))})
	if cs := event.Courses(entries); len(cs) != 2 || !cs[1].Stopped() || cs[1].Last().ID != "handle/1/1/5" {
		t.Fatalf("while it is suspended: got %+v, want the review, and the handling clock that stands still", cs)
	}
	resumed := must(rules.Restart(longer, at("2025-12-01 09:00"), at("2025-12-15 09:00")))
	resumed.ID = "handle/1/1/7"
	say(at("2025-12-15 09:00"), order.Resumed{Handle: resumed})
	say(at("2025-12-18 16:00"), order.Reported{Attempt: 1, DoneAt: at("2025-12-18 15:00"), Verify: must(rules.Start("verify/1/1/8", calendar.Verify, "issue", "C", at("2025-12-18 16:00")))})
	again := must(rules.Restart(resumed, at("2025-12-18 15:00"), at("2025-12-22 10:00")))
	again.ID = "handle/1/1/9"
	say(at("2025-12-22 10:00"), order.VerificationFailed{Attempt: 2, Handle: again})
	if !again.Provisional {
		t.Fatalf("got %+v, want it provisional", again)
	}
	later := calendar.Rules{Calendar: all, Policy: p}
	settled := must(later.Settle(again, at("2025-12-22 10:00")))
	settled.ID = "handle/1/1/10"
	say(at("2025-12-29 10:00"), order.DeadlineRecomputed{Replaces: again.ID, Clock: settled})

	cs := event.Courses(entries)
	if len(cs) != 1 {
		t.Fatalf("got %d courses, want the handling clock alone: %+v", len(cs), cs)
	}
	c := cs[0]
	var turns []calendar.Turn
	for _, m := range c.Moves {
		turns = append(turns, m.Turn)
	}
	if len(turns) != 4 || turns[0] != calendar.Extension || turns[1] != calendar.Pause || turns[2] != calendar.Pause || turns[3] != calendar.Recount {
		t.Fatalf("moved by %v, want extension, two pauses and a recount", turns)
	}
	if c.First.ID != first.ID || c.Last().ID != settled.ID || !c.Moves[2].Frozen.Equal(at("2025-12-18 15:00")) || !c.Moves[2].Restart.Equal(at("2025-12-22 10:00")) {
		t.Errorf("got %+v", c)
	}
	x, err := c.Explain(func(d calendar.Due) (calendar.Rules, error) {
		then, known := all.AsOf(d.Calendar)
		if !known {
			return calendar.Rules{}, errors.New("unknown calendar " + d.Calendar)
		}
		return calendar.Rules{Calendar: then, Policy: p}, nil
	})
	if err != nil || x.Owed != 20 || x.Counted != 20 || !x.Spells[len(x.Spells)-1].Until.Equal(settled.Due) {
		t.Errorf("got %d of %d, %v: %+v; want all twenty days, up to the due", x.Counted, x.Owed, err, x.Spells)
	}
}
