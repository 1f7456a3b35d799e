package evidence

import (
	"fmt"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// usual is a demand with its order as most are, a position or two hundred between one event and the next.
func usual(n int, units *orgs.Tree, kept map[stream.ID]Case) (demandID, orderID stream.ID) {
	id := stream.Derive("usual", fmt.Sprint(n))
	dn := stream.Of(stream.Demand, id)
	states := map[stream.Name]event.State{}
	now, at := time.Date(2025, 1, 1, 1, 0, 0, 0, time.UTC).Add(time.Duration(n)*time.Minute), Position(n*16+1)
	add := func(name stream.Name, later time.Duration, b event.Body) event.Entry {
		now, at = now.Add(later), at+173
		e := event.Entry{Stream: name, ID: stream.Derive("e", fmt.Sprint(n, at)), Body: b, Meta: event.Meta{Occurred: now, Recorded: now.Add(512 * time.Millisecond)}, Before: states[name]}
		e.After = event.Fold(name, e.Before, b, e.Meta.Stamp(e.ID))
		states[name] = e.After
		track, _ := kept[name.ID()].Track.Observe(e, at, units, nil)
		kept[name.ID()] = Case{name.ID(), name.Category(), track}
		return e
	}
	due := func(c calendar.Clock, days int) calendar.Due {
		d := (calendar.DateOf(now) + calendar.Date(days)).End()
		return calendar.Due{ID: string(c), Clock: c, Due: d, OriginalDue: d}
	}
	add(dn, 0, demand.Raised{Number: fmt.Sprintf("150105-20250101-%04d-X", n%10000), Kind: "issue", Channel: "wechat", Unit: "150105003001"})
	add(dn, time.Hour, demand.Accepted{Kind: "issue", Matter: "010208", Urgency: "C", Unit: "150105003001"})
	fast := add(dn, time.Hour, demand.FastTracked{Reason: demand.ReasonUrgent, Route: demand.Route{Order: &demand.NewOrder{}}})
	on := stream.Of(stream.Order, stream.CausedBy(stream.Order, fast.ID, 0))
	add(on, time.Second, order.Dispatched{Number: fmt.Sprintf("150105-20250101-%04d-Y", n%10000), Demands: []stream.ID{id}, Kind: "issue", Matter: "010208", Urgency: "C", Lead: "150105003-a01",
		By: "150105003", Place: "150105003001", Grid: "150105003001001", Sign: due(calendar.Sign, 1), Contact: due(calendar.Contact, 1), Handle: due(calendar.Handle, 7)})
	add(on, time.Hour, order.Signed{At: now.Truncate(time.Second)})
	add(on, time.Hour, order.Contacted{Demands: []stream.ID{id}, At: now.Truncate(time.Second)})
	add(on, 70*time.Hour, order.Reported{DoneAt: now.Truncate(time.Second), Attempt: 1})
	add(on, 20*time.Hour, order.VerificationPassed{Method: "on_site"})
	add(dn, time.Second, demand.Answered{Callback: due(calendar.Callback, 5)})
	add(dn, 30*time.Hour, demand.CallbackRecorded{Result: demand.CallbackCloses, Resolved: true, Grade: 5})
	add(on, time.Second, order.Closed{Cause: "answered"})
	return id, on.ID()
}

func TestATrackIsSmall(t *testing.T) {
	kept := map[stream.ID]Case{}
	d, o := usual(40_000, town(), kept)
	if n, most := len(kept[d].Track), 130; n > most {
		t.Errorf("a demand takes %d bytes, want %d at most", n, most)
	}
	if n, most := len(kept[o].Track), 170; n > most {
		t.Errorf("an order takes %d bytes, want %d at most", n, most)
	}
	t.Logf("a demand takes %d bytes, an order %d", len(kept[d].Track), len(kept[o].Track))
}

// BenchmarkGather folds 20,000 demands with their orders.
func BenchmarkGather(b *testing.B) {
	kept, units := map[stream.ID]Case{}, town()
	for n := range 20_000 {
		usual(n, units, kept)
	}
	all := cases(kept)
	b.ResetTimer()
	for range b.N {
		f, err := Gather(all, Scope{First: 1, Last: 1 << 20}, everything, nil)
		if err != nil || len(f.Demands) != 20_000 || len(f.Legs) != 20_000 {
			b.Fatal(err, len(f.Demands), len(f.Legs))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/case")
}
