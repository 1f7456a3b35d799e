package engine_test

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/policy"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
	"gridcase/engine"
	"gridcase/eventlog"
)

// yearEnd is Wednesday 30 December 2026, 10:00 in the city: nobody knows yet what of January is off.
func yearEnd(t testing.TB) time.Time { return day(t, "2026-12-30").Start().Add(10 * time.Hour) }

// inWorkingDays publishes a deadline policy in which handling has five working days and urgent report-ins two hours of service.
func (h *house) inWorkingDays() {
	h.t.Helper()
	p := policy.Written(h.InForce().Policy)
	p.Rows = slices.Clone(p.Rows)
	for i, r := range p.Rows {
		switch {
		case r.Clock == calendar.Handle && r.Urgency == "C":
			p.Rows[i].Amount = calendar.Amount{N: 5, Kind: calendar.WorkingDays}
		case r.Clock == calendar.ReportIn:
			p.Rows[i].Amount = calendar.Amount{N: 14, Kind: calendar.ServiceHours}
		case r.Clock == calendar.Rung:
			p.Rows[i].Amount = calendar.Amount{N: 20, Kind: calendar.WorkingDays}
		}
	}
	h.do(policy.Deadlines, operator, policy.PublishDeadlines{Policy: p, Reason: "按工作日计"})
}

// promises are cases of every machine whose due instants the notice for 2027 may move: clocks that run, one that stands still, one
// of verified work. It returns their streams.
func (h *house) promises() []stream.Name {
	h.t.Helper()
	h.inWorkingDays()
	h.wait(yearEnd(h.t).Sub(h.now))
	raisedOnly := stream.Of(stream.Demand, h.raised("路灯不亮"))
	accepted := stream.Of(stream.Demand, h.accepted(demand.Issue))
	served, oid := h.inHandling()
	works := stream.Of(stream.Order, oid)

	_, sid := h.inHandling()
	stands := stream.Of(stream.Order, sid)
	worker := as(orgs.GridWorker, grid.Unit())
	held, _, err := h.Load(context.Background(), stands)
	if err != nil {
		h.t.Fatal(err)
	}
	h.do(stands, worker, order.Sign{})
	h.do(stands, worker, order.RecordContact{Means: "phone", Demands: held.(order.State).Demands})
	h.do(stands, worker, order.Suspend{Reason: "season", ReviewOn: day(h.t, "2027-01-12")}, as(orgs.CommunitySecretary, community))
	h.do(stands, as(orgs.Supervisor, district), order.IssueSupervision{Reason: "说明情况"})

	proposed := stream.Of(stream.Topic, stream.For(stream.Topic, "x", "lamps"))
	h.do(proposed, as(orgs.Convenor, community), topic.Propose{Kind: topic.Ordinary, Source: "patrol", Title: "楼道照明", Unit: community, Matter: "010101"})

	quarrel := stream.Of(stream.Demand, h.accepted(demand.Dispute))
	r := h.do(quarrel, as(orgs.Dispatcher, street), demand.FastTrack{Reason: demand.ReasonDispute, Route: demand.Route{Dispute: 2}})
	fence := stream.Of(stream.Dispute, stream.CausedBy(stream.Dispute, r.Event, 0))

	blown := stream.Of(stream.Whistle, stream.For(stream.Whistle, "x", "pit"))
	h.do(blown, as(orgs.Dispatcher, street), whistle.Blow{Units: []orgs.UnitCode{bureau, other}, Class: whistle.Urgent, Place: community, Task: "路面塌陷"})

	asked := stream.Of(stream.Admission, stream.For(stream.Admission, "bureau", "patrols"))
	h.do(asked, as(orgs.UnitHead, bureau), admission.Request{Matter: "120101", Role: duty.Assist, Units: []orgs.UnitCode{community}, From: day(h.t, "2027-01-05"),
		Until: day(h.t, "2027-03-31"), Task: "协助摸排", Basis: "依据某条", Staff: 2, Emergency: "突发"})
	return []stream.Name{raisedOnly, accepted, stream.Of(stream.Demand, served), works, stands, proposed, fence, blown, asked}
}

// recounts are the recounts on a stream, each with its entry, in order.
func (h *house) recounts(n stream.Name) (found []event.Entry) {
	h.t.Helper()
	for ev, err := range h.log.Read(context.Background(), string(n), 0) {
		if err != nil {
			h.t.Fatal(err)
		}
		e, err := event.Understand(event.Stored{Stream: n, Revision: int64(ev.Revision), ID: stream.ID(ev.ID), Type: ev.Type, Data: ev.Data, Meta: ev.Meta})
		if err != nil {
			h.t.Fatal(err)
		}
		if _, is := event.RecountOf(e.Body); is {
			found = append(found, e)
		}
	}
	return found
}

func (h *house) provisional(n stream.Name) []calendar.Due {
	h.t.Helper()
	s, _, err := h.Load(context.Background(), n)
	if err != nil {
		h.t.Fatal(err)
	}
	return event.Provisional(s)
}

// TestANoticeSettlesEveryPromiseOnce (R24): the year 2027 is unknown, then published. Every provisional due on every machine is
// settled, none is earlier than before, each by one event that names the publication as its cause. The same notice again, a
// restart and a lost index settle nothing more.
func TestANoticeSettlesEveryPromiseOnce(t *testing.T) {
	h := open(t)
	all := h.promises()
	before := map[stream.Name][]calendar.Due{}
	kinds, dues := map[stream.Category]bool{}, 0
	for _, n := range all {
		before[n] = h.provisional(n)
		if dues += len(before[n]); len(before[n]) > 0 {
			kinds[n.Category()] = true
		}
	}
	if len(kinds) != 6 || dues < 12 {
		t.Fatalf("%d provisional dues on %v: the test shows nothing", dues, kinds)
	}
	notice := h.do(policy.Calendar, operator, policy.PublishNotice{Notice: notice2027(t)})
	moved := 0
	for _, n := range all {
		if left := h.provisional(n); len(left) > 0 {
			t.Errorf("%s: still provisional: %+v", n, left)
		}
		said := h.recounts(n)
		if len(said) != len(before[n]) {
			t.Errorf("%s: %d recounts for %d provisional dues", n, len(said), len(before[n]))
			continue
		}
		for i, e := range said {
			r, _ := event.RecountOf(e.Body)
			old := before[n][i]
			switch {
			case r.Replaces != old.ID || r.Clock.Clock != old.Clock || r.Clock.Due.Before(old.Due) || r.Clock.Calendar != "cn-2027#1" || !strings.Contains(string(r.Reason), "2027"):
				t.Errorf("%s: %+v was counted anew as %+v", n, old, r)
			case r.Clock.Due.After(old.Due) == (r.Clock.ID == old.ID):
				t.Errorf("%s: moved from %s to %s as %s", n, old.Due, r.Clock.Due, r.Clock.ID)
			case e.Meta.Actor != "flow" || e.Meta.Role != orgs.System || e.Meta.Causation != notice.Event || e.Meta.Key != "pm/R24/"+notice.Event.String():
				t.Errorf("%s: said by %s as %s, because of %s, under %s", n, e.Meta.Actor, e.Meta.Role, e.Meta.Causation, e.Meta.Key)
			case r.Clock.Due.After(old.Due):
				moved++
			}
		}
	}
	if moved == 0 || moved == dues {
		t.Errorf("%d of %d dues moved: the test shows nothing about the others", moved, dues)
	}
	t.Logf("%d dues on %d streams, %d of them moved", dues, len(all), moved)

	count := func() (n int) {
		for _, s := range all {
			n += len(h.recounts(s))
		}
		return n
	}
	end := h.end()
	if again := h.do(policy.Calendar, operator, policy.PublishNotice{Notice: notice2027(t)}); !again.Replayed || h.end() != end {
		t.Errorf("the same notice again: %+v, and the log went on", again)
	}
	h.do(policy.Calendar, operator, policy.PublishNotice{Notice: calendar.Notice{Year: 2027, Source: "https://example.org/2027b", Off: []calendar.Date{day(t, "2027-01-05")}}, Reason: "更正"})
	h.stop()
	if err := os.Remove(filepath.Join(h.dir, "index.db")); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.settle()
	if n := count(); n != dues {
		t.Errorf("a correction, a restart and a lost index: %d recounts, want %d as before", n, dues)
	}
	if parked, err := h.Parked(context.Background()); err != nil || len(parked) > 0 {
		t.Errorf("parked: %v, %v; want none", parked, err)
	}
	// What was suspended goes on to a due that nobody need settle any more.
	stands := all[4]
	h.do(stands, as(orgs.GridWorker, grid.Unit()), order.Resume{})
	if left := h.provisional(stands); len(left) > 0 {
		t.Errorf("resumed: provisional again: %+v", left)
	}
}

// A notice for one year leaves alone what waits for the next but one.
func TestANoticeOfAnotherYearSettlesNothing(t *testing.T) {
	h := open(t)
	h.wait(yearEnd(t).Sub(h.now))
	n := stream.Of(stream.Demand, h.accepted(demand.Issue))
	before := h.provisional(n)
	h.do(policy.Calendar, operator, policy.PublishNotice{Notice: calendar.Notice{Year: 2028, Source: "https://example.org/2028", Off: []calendar.Date{day(t, "2028-01-03")}}})
	if after := h.provisional(n); len(before) != 1 || len(after) != 1 || after[0].ID != before[0].ID || len(h.recounts(n)) > 0 {
		t.Errorf("got %+v, want %+v as it was", after, before)
	}
	h.do(policy.Calendar, operator, policy.PublishNotice{Notice: notice2027(t)})
	if after := h.provisional(n); len(after) > 0 || len(h.recounts(n)) != 1 {
		t.Errorf("got %+v, want it settled by its own year", after)
	}
}

// overtaken has a demand accepted on a node that has not followed the notice yet: it is promised by the old calendar, after the
// notice in the log. It returns that promise, and what became of it.
func overtaken(t *testing.T, react func(event.Entry, flow.World) flow.Plan) (old calendar.Due, left []calendar.Due, said []event.Entry) {
	h := open(t)
	h.wait(yearEnd(t).Sub(h.now))
	n := stream.Of(stream.Demand, h.raised("楼道灯不亮"))
	h.stop()
	paced := pace(h.log)
	h.log, h.react = paced, react
	h.start()
	paced.upTo(h.end()) // from here on the flow sees nothing
	for _, r := range []engine.Request{h.request(policy.Calendar, operator, policy.PublishNotice{Notice: notice2027(t)}),
		h.request(n, as(orgs.Clerk, community), demand.Accept{Kind: demand.Issue, Matter: "010101", Urgency: "C", Unit: community, Grid: grid, Summary: "楼道照明"})} {
		if _, err := h.Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	waits := h.provisional(n)
	if len(waits) != 1 || waits[0].Calendar != "cn-2026#1" {
		t.Fatalf("got %+v, want the triage by the calendar of before", waits)
	}
	paced.upTo(unpaced)
	h.settle()
	return waits[0], h.provisional(n), h.recounts(n)
}

func TestWhatANoticeOvertakesIsSettledBehindIt(t *testing.T) {
	old, left, said := overtaken(t, flow.React)
	if len(left) > 0 || len(said) != 1 {
		t.Fatalf("got %+v, %d recounts; want it settled", left, len(said))
	}
	if r, _ := event.RecountOf(said[0].Body); r.Replaces != old.ID || r.Clock.Calendar != "cn-2027#1" || said[0].Meta.Causation == (stream.ID{}) {
		t.Errorf("got %+v", r)
	}
	_, left, _ = overtaken(t, func(e event.Entry, w flow.World) flow.Plan { // the seeded bug: only a publication settles
		p := flow.React(e, w)
		if e.Stream.Category() != stream.Calendar {
			p.Sends = slices.DeleteFunc(p.Sends, func(s flow.Send) bool { return s.Rule == "R24" })
		}
		return p
	})
	if len(left) == 0 {
		t.Error("without the rule nothing is missing: the test shows nothing")
	}
}

// tallied is a log that counts what it is asked of anything but nodes, which check in when they find time to.
type tallied struct {
	eventlog.Log
	reads, appends atomic.Int64
}

func (c *tallied) Read(ctx context.Context, n string, from eventlog.Revision) iter.Seq2[eventlog.Event, error] {
	if stream.Name(n).Category() != stream.Node {
		c.reads.Add(1)
	}
	return c.Log.Read(ctx, n, from)
}

func (c *tallied) Append(ctx context.Context, n string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	if stream.Name(n).Category() != stream.Node {
		c.appends.Add(1)
	}
	return c.Log.Append(ctx, n, expect, facts...)
}

// A notice costs one append for each stream that waits for it, and nothing for those that do not: twice as many cost twice as much.
func TestANoticeCostsTheStreamsThatWait(t *testing.T) {
	cost := func(waiting, settled int) (reads, appends int64) {
		h := open(t)
		for range settled {
			h.raised("早已约定")
		}
		h.wait(yearEnd(t).Sub(h.now))
		for range waiting {
			h.raised("等通知")
		}
		h.stop()
		log := &tallied{Log: h.log}
		h.log = log
		h.start()
		h.settle()
		reads, appends = log.reads.Load(), log.appends.Load()
		h.do(policy.Calendar, operator, policy.PublishNotice{Notice: notice2027(t)})
		return log.reads.Load() - reads, log.appends.Load() - appends
	}
	for _, c := range []struct{ waiting, settled int }{{20, 0}, {40, 0}, {20, 40}} {
		reads, appends := cost(c.waiting, c.settled)
		if want := int64(c.waiting + 1); appends != want || reads > 3*want+5 {
			t.Errorf("%d waiting, %d not: %d reads and %d appends, want %d appends", c.waiting, c.settled, reads, appends, want)
		}
		t.Logf("%d waiting, %d not: %d reads, %d appends", c.waiting, c.settled, reads, appends)
	}
}
