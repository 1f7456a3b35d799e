//go:build unix

package projections

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// busyDistrict returns views of a district of 12 streets, 84 communities and 1,260 grids with n open orders, a tenth of them overdue, and
// a year of as many closed ones. The rows are written directly.
func busyDistrict(t testing.TB, n int) (*Runner, time.Time) {
	log := mem.Open()
	h := newHistory(t, log, 1)
	unit := func(code orgs.UnitCode, k orgs.Kind, parent orgs.UnitCode) {
		h.add(stream.Keyed(stream.Unit, string(code)), orgs.UnitOpened{Code: code, Name: "x", Kind: k, Parent: parent})
	}
	unit("150100", orgs.City, "")
	unit("150105", orgs.District, "150100")
	for d := range 12 {
		unit(orgs.UnitCode(fmt.Sprintf("150105-d%02d", d+1)), orgs.Department, "150105")
	}
	var grids []orgs.GridCode
	for s := range 12 {
		street := orgs.UnitCode(fmt.Sprintf("150105%03d", s+1))
		unit(street, orgs.Street, "150105")
		for c := range 7 {
			community := street + orgs.UnitCode(fmt.Sprintf("%03d", c+1))
			unit(community, orgs.Community, street)
			for g := range 15 {
				grid := orgs.GridCode(fmt.Sprintf("%s%03d", community, g+1))
				h.add(stream.Keyed(stream.Grids, string(community)), orgs.GridDrawn{Grid: grid, Name: "x", Households: 300, Urban: true})
				grids = append(grids, grid)
			}
		}
	}
	dir := t.TempDir()
	r := open(t, dir, log)
	wait(t, r, h.end)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	units, ctx := r.Units(), context.Background()
	g, err := beginGeneration(ctx, dir, 2, r.tables)
	if err != nil {
		t.Fatal(err)
	}
	rows := newOverlay(g.tables) // all rows at once: nothing is looked up in the file
	tx := &Tx{ctx: ctx, rows: rows, find: func(context.Context, int, []any) ([]any, error) { return nil, nil }}
	var last eventlog.Event
	states := map[string]any{}
	for batch, err := range log.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Events {
			entry, err := understand(e)
			if err != nil {
				t.Fatal(err)
			}
			full := Entry{Entry: entry, Position: e.Position, Units: units}
			full.Before = states[e.Stream]
			if stream.Name(e.Stream).Category() == stream.Grids {
				before, _ := full.Before.(orgs.GridsState)
				full.After = orgs.FoldGrids(before, entry.Body, 0)
			} else {
				full.After = orgs.FoldUnit(orgs.UnitState{}, entry.Body)
			}
			states[e.Stream] = full.After
			if err := (Orgs{}).Apply(tx, full); err != nil {
				t.Fatal(err)
			}
			last = e
		}
		if batch.Live {
			break
		}
	}
	at := cursor{last.Position, stream.ID(last.ID)}
	now := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	views := []View{Orders{}, Demands{}, Workload{}}
	kinds := []demand.Kind{demand.Errand, demand.Errand, demand.Errand, demand.Issue, demand.Consult}
	for i := range 2 * n {
		began := now.Add(-time.Duration(2*n-i) * (365 * 24 * time.Hour / time.Duration(2*n))).Truncate(time.Second)
		grid := grids[h.random.IntN(len(grids))]
		kind := kinds[h.random.IntN(len(kinds))]
		o := order.State{ID: stream.For(stream.Order, "a", fmt.Sprint(i)), Number: fmt.Sprint(i), Kind: string(kind), Matter: "0101", Urgency: "C", Place: grid.Community(), Grid: grid,
			Lead: grid.Unit(), By: grid.Community(), DispatchedAt: began, Phase: order.PhaseHandling, Task: "居民反映供热不足，要求处理"}
		if i%7 == 0 {
			o.Lead = orgs.UnitCode(fmt.Sprintf("150105-d%02d", i%12+1))
		}
		leg := order.Leg{Lead: o.Lead, DispatchedAt: began, ContactedAt: began.Add(time.Duration(h.random.IntN(1500)) * time.Minute)}
		d := demand.State{ID: stream.DemandFor("app", fmt.Sprint(i)), Number: fmt.Sprint(i), Kind: kind, Channel: "app", Urgency: "C", Matter: "0101", Unit: grid.Community(),
			Grid: grid, Summary: o.Task, RaisedAt: began, AcceptedAt: began, Phase: demand.PhaseInHandling}
		if i%2 == 0 {
			o.Phase, o.ClosedAt = order.PhaseClosed, began.Add(time.Duration(h.random.IntN(20*24*60))*time.Minute)
			o.VerifiedAt, o.Report = o.ClosedAt, order.Report{DoneAt: o.ClosedAt}
			d.Phase, d.AnsweredAt, d.ClosedAt = demand.PhaseClosed, o.ClosedAt, o.ClosedAt
		} else {
			due := now.Add(time.Duration(h.random.IntN(20*24*60)-2*24*60) * time.Minute)
			o.Running = o.Running.Start(calendar.Due{ID: "handle/1/1/1", Clock: calendar.Handle, Due: due})
			d.Running = d.Running.Start(calendar.Due{ID: "promise/1/0/1", Clock: calendar.Promise, Due: due})
		}
		o.Legs = []order.Leg{leg}
		for _, s := range []any{o, d} {
			full := Entry{Units: units}
			full.After, full.Body = s, demand.Accepted{}
			for _, v := range views {
				if err := v.Apply(tx, full); err != nil {
					t.Fatal(err)
				}
			}
		}
		rows.keep()
	}
	if err := g.commit(ctx, rows, at); err != nil {
		t.Fatal(err)
	}
	if g, err = g.finish(ctx); err == nil {
		err = g.close()
	}
	if err == nil {
		err = point(dir, 2)
	}
	if err != nil {
		t.Fatal(err)
	}
	r = open(t, dir, log)
	if r.Status().File != "views-2.db" {
		t.Fatal("the rows were not taken")
	}
	return r, now
}

// BenchmarkLoad reads the workload page of a district with 100,000 open orders, as many open demands, and a year of closed ones. cpu-ms is what
// all threads of the process used for a page, the collector's too: it says more than the clock where others share the machine.
func BenchmarkLoad(b *testing.B) {
	r, now := busyDistrict(b, 100_000)
	to := calendar.DateOf(now) + 1
	for _, c := range []struct {
		name string
		q    LoadQuery
	}{
		{"streets", LoadQuery{Unit: "150105", By: ByStreet}},
		{"communities", LoadQuery{Unit: "150105", By: ByCommunity}},
		{"grids", LoadQuery{Unit: "150105", By: ByGrid}},
		{"last grids", LoadQuery{Unit: "150105", By: ByGrid, After: "/150100/150105/150105012/150105012004/"}},
		{"units", LoadQuery{Unit: "150105", By: ByUnit}},
		{"workers", LoadQuery{Unit: "150105", By: ByWorker}},
		{"grids of a street", LoadQuery{Unit: "150105003", By: ByGrid}},
		{"grids of a community", LoadQuery{Unit: "150105003003", By: ByGrid}},
	} {
		for _, days := range []calendar.Date{30, 365} {
			b.Run(fmt.Sprintf("%s, %d days", c.name, days), func(b *testing.B) {
				q := c.q
				q.At, q.From, q.To, q.Limit = now, to-days, to, 50
				var took []time.Duration
				used := cpu(b)
				for range b.N {
					began := time.Now()
					l, err := r.Views().Load(context.Background(), q)
					took = append(took, time.Since(began))
					if err != nil || len(l.Rows) == 0 {
						b.Fatal(len(l.Rows), err)
					}
				}
				used = cpu(b) - used
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(float64(used.Microseconds())/1000/float64(b.N), "cpu-ms")
			})
		}
	}
}

// cpu is how long the threads of this process ran so far.
func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
