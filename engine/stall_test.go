package engine_test

import (
	"context"
	"testing"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// What the flow can not do for want of its index is acknowledged and lost to nobody; but the node must not look well.
func TestAFlowThatStandsStillSaysSo(t *testing.T) {
	h := timed(t)
	if err := h.Stalled(); err != nil {
		t.Fatalf("a flow that moves says %v", err)
	}
	h.settle()
	if lag, parked, err := h.Flow(t.Context()); err != nil || lag != 0 || parked != 0 {
		t.Fatalf("a flow that moves is %s behind, %d parked, %v", lag, parked, err)
	}
	if err := h.BreakIndex(); err != nil {
		t.Fatal(err)
	}
	r := h.request(stream.Keyed(stream.Unit, string(bureau)), operator, orgs.RenameUnit{Code: bureau, Name: "住建局"})
	if _, err := h.Handle(t.Context(), r); err != nil {
		t.Fatalf("the log takes it all the same: %v", err)
	}
	for began := time.Now(); h.Stalled() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("the flow stands still and does not say so")
		}
	}
	h.wait(90 * time.Second)
	if lag, _, err := h.Flow(t.Context()); lag < 90*time.Second {
		t.Errorf("a flow that stands still is %s behind the log, %v", lag, err)
	}
}

// late is a log whose clock is far behind everybody's.
type late struct {
	eventlog.Log
	by time.Duration
}

func (l late) Append(ctx context.Context, n string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	c, err := l.Log.Append(ctx, n, expect, facts...)
	c.At = c.At.Add(-l.by)
	return c, err
}

// A salt that is revealed too early lets the rest of the month be foretold: a node whose clock is a month ahead of the log's reveals none.
func TestTheDrawIsPublishedByAClockThatAgreesWithTheLogs(t *testing.T) {
	h := timed(t)
	draw := stream.Keyed(stream.Policy, "verify")
	moved := func(name string) []string {
		t.Helper()
		h.do(stream.Keyed(stream.Unit, string(bureau)), operator, orgs.RenameUnit{Code: bureau, Name: name})
		h.settle()
		return h.types(draw)
	}
	published := func(name string, want int) {
		t.Helper()
		var got []string
		for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
			if got = h.types(draw); len(got) == want {
				return
			}
		}
		t.Errorf("%s: got %v, want %d events of the draw", name, got, want)
	}
	published("in the first month", 1)
	h.stop()
	right := h.log
	h.log = late{right, 40 * 24 * time.Hour}
	h.wait(40 * 24 * time.Hour)
	h.start()
	for range 3 {
		if got := moved("住建局"); len(got) != 1 {
			t.Errorf("by a clock forty days ahead of the log's: got %v, want the first commitment alone", got)
		}
		moved("住房和城乡建设局")
		time.Sleep(50 * time.Millisecond) // nothing says that it will not be done
	}
	h.stop()
	h.log = right
	h.start()
	moved("住建局")
	published("by a clock that agrees", 3) // revealed, and committed
}
