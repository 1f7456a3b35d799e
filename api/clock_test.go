package api_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// viewed is the house's views as a timetable.
type viewed struct{ *house }

func (v viewed) Live() bool                  { return v.views.Live() }
func (v viewed) Position() eventlog.Position { return v.views.Position() }
func (v viewed) Due(ctx context.Context, until time.Time, after event.Slot, limit int) ([]event.Slot, error) {
	return v.views.Views().Due(ctx, until, after, limit)
}

// skewed is a log whose clock is not ours.
type skewed struct {
	eventlog.Log
	by *time.Duration
}

func (s skewed) Append(ctx context.Context, n string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	c, err := s.Log.Append(ctx, n, expect, facts...)
	c.At = c.At.Add(*s.by)
	return c, err
}

// steady lets time go by as the house's clock is moved.
func steady(h *house, c *engine.Config) {
	began := h.clock()
	c.Elapsed = func() time.Duration { return h.clock().Sub(began) }
}

func TestANodeWhoseClockIsWrongIsNotReadyAndSaysSo(t *testing.T) {
	by := time.Duration(0)
	h := openOn(t, func(h *house) eventlog.Log { return skewed{mem.Open(mem.WithClock(h.clock)), &by} }, steady)
	raise := func() { h.want(h.post(h.key(orgs.Channel, hotline), "/demands", raising), 201, "") }
	raise()
	h.want(h.call("", "GET", "/readyz", ""), 200, "")
	by = -2 * time.Second
	raise()
	h.want(h.call("", "GET", "/readyz", ""), 200, "")
	by = -2100 * time.Millisecond
	raise()
	if r := h.call(h.key(orgs.Operator, city), "GET", "/readyz", ""); r.StatusCode != 503 || !strings.Contains(string(r.raw), "clock: the clock is 2.1s away from the log's") {
		t.Errorf("got %d %s", r.StatusCode, r.raw)
	}
	if r := h.call("", "GET", "/readyz", ""); r.StatusCode != 503 || strings.Contains(string(r.raw), "clock") {
		t.Errorf("to a stranger: got %d %s", r.StatusCode, r.raw)
	}
	if metrics := string(h.call("", "GET", "/metrics", "").raw); !strings.Contains(metrics, "\ngridcase_clock_skew_seconds 2.1\n") {
		t.Errorf("the skew is not in the metrics:\n%s", metrics)
	}
	by = 0
	raise()
	h.want(h.call("", "GET", "/readyz", ""), 200, "")
}

func TestOverdueMattersAndAlarmsAreCounted(t *testing.T) {
	h := openOn(t, func(h *house) eventlog.Log { return mem.Open(mem.WithClock(h.clock)) }, steady)
	n := stream.Of(stream.Order, stream.Derive("order", "1"))
	_, err := h.engine.Handle(t.Context(), engine.Request{Stream: n, Key: "dispatch", Expect: -1, Actor: rule.Actor{ID: "d", Role: orgs.Dispatcher, Unit: street},
		Commands: []engine.Command{order.Dispatch{Patrol: true, Anonymous: true, Kind: "issue", Matter: "010101", Urgency: "C", Lead: community, Place: community, Task: "检修"}}})
	if err != nil {
		t.Fatal(err)
	}
	alarms := engine.NewDeadlines(h.engine, viewed{h})
	sweep := func(want int) {
		t.Helper()
		h.settle()
		if fired, err := alarms.Sweep(t.Context(), h.clock()); err != nil || len(fired) != want {
			t.Errorf("got %d alarms, %v, want %d", len(fired), err, want)
		}
		h.settle()
	}
	has := func(lines ...string) {
		t.Helper()
		metrics := string(h.call("", "GET", "/metrics", "").raw)
		for _, l := range lines {
			if !strings.Contains(metrics, "\n"+l+"\n") {
				t.Errorf("/metrics lacks %s", l)
			}
		}
		if problems, err := promlint.New(strings.NewReader(metrics)).Lint(); err != nil || len(problems) > 0 {
			t.Errorf("promlint: %v %v", problems, err)
		}
	}
	sweep(0)
	has(`gridcase_deadline_overdue_cases{level="0"} 0`, `gridcase_deadline_overdue_cases{level="3"} 0`)
	h.wait(3 * time.Hour)
	sweep(2)
	has(`gridcase_deadline_overdue_cases{level="3"} 1`, `gridcase_escalations_total{level="3"} 1`,
		`gridcase_deadlines_fired_total{kind="warning"} 1`, `gridcase_deadlines_fired_total{kind="expiry"} 1`)
	_, revision, err := h.engine.Load(t.Context(), n)
	if err == nil {
		_, err = h.engine.Handle(t.Context(), engine.Request{Stream: n, Key: "sign", Expect: revision, Actor: rule.Actor{ID: "c", Role: orgs.Clerk, Unit: community},
			Commands: []engine.Command{order.Sign{}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	h.settle()
	has(`gridcase_deadline_overdue_cases{level="3"} 0`) // the clock that ran out has stopped
}

// T6: the clock does not know how many voted for what. It says that the count is overdue, and calls upon the street; the vote
// stays open until its convenor records what was counted.
func TestAVoteThatNobodyCountsIsSeenAndNotClosedByTheClock(t *testing.T) {
	h := openOn(t, func(h *house) eventlog.Log { return mem.Open(mem.WithClock(h.clock)) }, steady)
	convenor := h.key(orgs.Convenor, community)
	at := func(d time.Duration) string { return h.clock().Add(d).UTC().Format(time.RFC3339) }
	path := strings.TrimPrefix(h.want(h.post(convenor, "/topics", `{"kind":"ordinary","source":"patrol","title":"楼道照明","unit":"`+string(community)+`","matter":"010101"}`), 201, "").Header.Get("Location"), "/api/v1")
	h.do(convenor, path, "open-deliberation", `{"format":"council","place":"活动室","meeting_at":"`+at(5*24*time.Hour)+`"}`)
	h.wait(5 * 24 * time.Hour)
	h.do(convenor, path, "hold-deliberation", `{"format":"council","venue":"活动室","minutes":"`+strings.Repeat("0a", 32)+`","attendees":[{"capacity":"residents","number":20}]}`)
	h.do(convenor, path, "open-vote", `{"options":["同意","不同意"],"grids":["`+grid+`"],"closes_at":"`+at(48*time.Hour)+`"}`) // until Monday 10 March 2025, 9:00
	listed := func() (due []string) {
		t.Helper()
		for _, d := range h.want(h.get(h.key(orgs.StreetLeader, street), "/views/deadlines?kind=topic&clock=vote_count"), 200, "").json["items"].([]any) {
			due = append(due, d.(map[string]any)["due"].(string))
		}
		return due
	}
	if got := listed(); !slices.Equal(got, []string{"2025-03-11T23:59:59+08:00"}) {
		t.Errorf("listed is %v, want the end of the day after the vote closes", got)
	}
	alarms := engine.NewDeadlines(h.engine, viewed{h})
	for h.clock().Before(time.Date(2025, 3, 12, 2, 0, 0, 0, time.UTC)) {
		h.wait(6 * time.Hour)
		h.settle()
		if _, err := alarms.Sweep(t.Context(), h.clock()); err != nil {
			t.Fatal(err)
		}
	}
	h.settle()
	if r := h.get(convenor, path); r.text("phase") != "voting" || len(listed()) != 1 {
		t.Errorf("overdue: the topic is %s, listed %v; want it in voting still, and seen", r.text("phase"), listed())
	}
	board := h.want(h.get(h.key(orgs.StreetLeader, street), "/views/escalation"), 200, "")
	if len(board.json["items"].([]any)) != 1 || !strings.Contains(string(board.raw), `"clock":"vote_count"`) || !strings.Contains(string(board.raw), `"rule":"E5"`) {
		t.Errorf("the board: %s", board.raw)
	}
	h.do(convenor, path, "close-vote", `{"cast":200,"counts":[150,40],"ballots":"`+strings.Repeat("0b", 32)+`"}`)
	if r := h.get(convenor, path); r.text("phase") != "deliberating" || len(listed()) != 0 {
		t.Errorf("counted: the topic is %s, listed %v", r.text("phase"), listed())
	}
}
