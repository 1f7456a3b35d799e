package engine_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/domain/whistle"
	"gridcase/engine"
)

// alarm carries out the next alarm of a stream as the clock does, moving the time on to it. A moment early it is
// refused; carried out again, as by another node, it writes nothing more.
func (h *house) alarm(n stream.Name) {
	h.t.Helper()
	s, _, err := h.Load(context.Background(), n)
	if err != nil {
		h.t.Fatal(err)
	}
	a, more := rule.Earliest(event.Alarms(s))
	if !more {
		h.t.Fatalf("%s has no alarm", n)
	}
	r := engine.Request{Stream: n, Commands: []engine.Command{a.Command}, Key: a.Key(), Actor: rule.Actor{ID: "clock", Role: orgs.System}, Expect: engine.Any}
	if early := a.At.Add(-time.Second).Sub(h.now); early > 0 {
		h.wait(early)
		var refusal *rule.Refusal
		if _, err := h.Handle(context.Background(), r); !errors.As(err, &refusal) || refusal.Rule != "I15" {
			h.t.Errorf("%s early: got %v, want a refusal under I15", a.Key(), err)
		}
	}
	h.wait(max(0, a.At.Sub(h.now)))
	first, err := h.Handle(context.Background(), r)
	if err != nil || first.Written != 1 {
		h.t.Fatalf("%s: got %d events, %v, want one", a.Key(), first.Written, err)
	}
	again, err := h.Handle(context.Background(), r)
	if err != nil || !again.Replayed || again.Event != first.Event {
		h.t.Errorf("%s again: got %+v, %v, want the first answer", a.Key(), again, err)
	}
	h.settle()
}

func TestAWhistleIsCarriedToItsCardsByTheClock(t *testing.T) {
	h := open(t)
	id := h.accepted(demand.Issue)
	n := stream.Of(stream.Whistle, stream.For(stream.Whistle, "x", "pit"))
	desk := as(orgs.Dispatcher, street)
	h.do(n, desk, whistle.Blow{Units: []orgs.UnitCode{bureau, other}, Class: whistle.Urgent, Place: community, Task: "路面塌陷", Demand: id})
	h.wait(10 * time.Minute)
	h.do(n, as(orgs.Handler, bureau), whistle.ReportIn{Unit: bureau}, desk)
	h.alarm(n) // 22:30: the other department is warned
	h.alarm(n) // 30:01: and absent
	h.stop()
	h.start()
	h.do(n, desk, whistle.ReleaseUnit{Unit: bureau})
	h.do(n, desk, whistle.Conclude{Outcome: "已恢复"})
	for range 3 { // two warnings, and the cards
		h.alarm(n)
	}
	want := []string{"whistle-blown/1", "unit-reported-in/1", "whistle-warning-raised/1", "unit-absent/1", "unit-released/1", "whistle-concluded/1",
		"whistle-warning-raised/1", "whistle-warning-raised/1", "whistle-scored/1"}
	if got := h.types(n); !slices.Equal(got, want) {
		t.Errorf("the log holds %v, want %v", got, want)
	}
	s, _, err := h.Load(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	w := s.(whistle.State)
	for code, want := range map[orgs.UnitCode]whistle.Card{
		bureau: {Unit: bureau, ReportIn: whistle.OnTime, Stayed: true, Unrated: true, Score: 10000},
		other:  {Unit: other, ReportIn: whistle.Absent, Unrated: true},
	} {
		if u, _ := w.Unit(code); u.Card == nil || *u.Card != want {
			t.Errorf("%s: got %+v, want %+v", code, u.Card, want)
		}
	}
	if as := event.Alarms(w); len(as) > 0 || w.Phase != whistle.PhaseScored {
		t.Errorf("at the end it is %s and the clock has %v to do", w.Phase, as)
	}
	noted := 0
	for _, typ := range h.types(stream.Of(stream.Demand, id)) {
		if typ == "demand-progress-noted/1" {
			noted++
		}
	}
	if noted != 3 { // blown, the first unit there, concluded
		t.Errorf("the demand was told %d times, want 3", noted)
	}
	if parked, err := h.Parked(context.Background()); err != nil || len(parked) != 0 {
		t.Errorf("parked consequences: %v, %v; want none", parked, err)
	}
	h.stop() // what the log says is what was decided
	h.start()
	again, _, err := h.Load(context.Background(), n)
	if err != nil || !reflect.DeepEqual(again, event.State(w)) {
		t.Errorf("read again: got %+v, %v; want %+v", again, err, w)
	}
}

func TestAWhistleKnowsWhatItNames(t *testing.T) {
	h := open(t)
	desk := as(orgs.Dispatcher, street)
	secret := h.accepted(demand.Report)
	_, oid := h.inHandling()
	blow := whistle.Blow{Units: []orgs.UnitCode{bureau}, Class: whistle.Normal, Task: "联合检查"}
	for name, c := range map[string]struct {
		change func(*whistle.Blow)
		ok     bool
	}{
		"an order of the street":         {func(b *whistle.Blow) { b.Order = oid }, true},
		"an order that does not exist":   {func(b *whistle.Blow) { b.Order = stream.Derive("none") }, false},
		"a demand that does not exist":   {func(b *whistle.Blow) { b.Demand = oid }, false},
		"a topic that does not exist":    {func(b *whistle.Blow) { b.Topic = oid }, false},
		"a report, which nobody may see": {func(b *whistle.Blow) { b.Demand = secret }, false},
	} {
		b := blow
		c.change(&b)
		n := stream.Of(stream.Whistle, stream.For(stream.Whistle, "x", name))
		_, err := h.Handle(context.Background(), h.request(n, desk, b))
		var refusal *rule.Refusal
		if (err == nil) != c.ok || err != nil && (!errors.As(err, &refusal) || refusal.Rule != "W1") {
			t.Errorf("%s: got %v", name, err)
		}
		if got := len(h.types(n)); (got == 1) != c.ok {
			t.Errorf("%s: %d events were written", name, got)
		}
	}
	n := stream.Of(stream.Whistle, stream.For(stream.Whistle, "x", "an order of the street"))
	var refusal *rule.Refusal
	r := h.request(n, desk, blow)
	r.Expect = -1
	if _, err := h.Handle(context.Background(), r); !errors.As(err, &refusal) || refusal.Code != rule.WrongState || !slices.Contains(refusal.Possible, "report-in") {
		t.Errorf("blown twice: got %v, want %s and what is possible", err, rule.WrongState)
	}
}
