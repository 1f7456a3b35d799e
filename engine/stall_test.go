package engine_test

import (
	"testing"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// What the flow can not do for want of its index is acknowledged and lost to nobody; but the node must not look well.
func TestAFlowThatStandsStillSaysSo(t *testing.T) {
	h := open(t)
	if err := h.Stalled(); err != nil {
		t.Fatalf("a flow that moves says %v", err)
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
}
