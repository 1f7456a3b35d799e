package projections

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"gridcase/domain/demand"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// life appends the whole life of n demands, nine events each with their orders, many at once as in a city.
func life(h *history, n int) {
	type open struct {
		id, order stream.ID
		step      int
	}
	var cases []open
	for raised := 0; raised < n || len(cases) > 0; {
		if raised < n && (len(cases) < 2000 || h.random.IntN(9) == 0) {
			unit := h.places[h.random.IntN(6)]
			id := h.raise(demand.Errand, unit, "", "暖气不热", "供热不足，家里很冷，老人孩子受不了，请尽快处理。报修电话打不通，物业说不归他们管。", fmt.Sprint("139", raised%50000), "r1")
			cases, raised = append(cases, open{id: id}), raised+1
			continue
		}
		i := h.random.IntN(len(cases))
		c := &cases[i]
		dn, on := stream.Of(stream.Demand, c.id), stream.Of(stream.Order, c.order)
		switch c.step {
		case 0:
			h.accept(c.id, "居民反映供热不足，要求处理")
		case 1:
			c.order = h.dispatch(c.id)
		case 2:
			h.add(on, order.Signed{At: h.now})
		case 3:
			h.add(on, order.Contacted{Means: "phone", At: h.now})
		case 4:
			h.add(on, order.Reported{Outcome: "resolved", Answer: seal("已经处理完毕"), Summary: "已处理", Attempt: 1, DoneAt: h.now, Verify: h.due("verify")})
		case 5:
			h.add(dn, demand.Answered{Outcome: demand.Resolved, Summary: "已处理", Callback: h.due("callback")})
		default:
			h.add(dn, demand.CallbackWaived{Cause: "unreached", ReopenBy: h.now})
			delete(h.states, dn)
			delete(h.states, on)
			cases[i] = cases[len(cases)-1]
			cases = cases[:len(cases)-1]
			continue
		}
		c.step++
	}
}

// BenchmarkRebuild builds all views from zero: follow, decode, fold, rows, indexes.
func BenchmarkRebuild(b *testing.B) {
	log := mem.Open()
	h := newHistory(b, log, 1)
	h.organise()
	life(h, 40_000)
	b.ResetTimer()
	for range b.N {
		r, err := Open(context.Background(), Config{Dir: b.TempDir(), Log: log})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(h.end)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// million returns views of n demands whose rows were written directly: 20 streets of 5 communities.
func million(b *testing.B, n int) *Runner {
	log := mem.Open()
	h := newHistory(b, log, 1)
	add := func(code orgs.UnitCode, k orgs.Kind, parent orgs.UnitCode) {
		h.add(stream.Keyed(stream.Unit, string(code)), orgs.UnitOpened{Code: code, Name: "x", Kind: k, Parent: parent})
	}
	add("150100", orgs.City, "")
	add("150105", orgs.District, "150100")
	var communities []orgs.UnitCode
	for s := range 20 {
		street := orgs.UnitCode(fmt.Sprintf("150105%03d", s+1))
		add(street, orgs.Street, "150105")
		for c := range 5 {
			communities = append(communities, street+orgs.UnitCode(fmt.Sprintf("%03d", c+1)))
			add(communities[len(communities)-1], orgs.Community, street)
		}
	}
	dir := b.TempDir()
	r := open(b, dir, log)
	wait(b, r, h.end)
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	units := r.Units()
	ctx := context.Background()
	g, err := beginGeneration(ctx, dir, 2, r.tables)
	if err != nil {
		b.Fatal(err)
	}
	rows := newOverlay(g.tables)
	tx := &Tx{ctx: ctx, rows: rows, find: g.find}
	var last eventlog.Event
	for batch, err := range log.Follow(ctx, 0) {
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range batch.Events {
			entry, err := understand(e)
			if err != nil {
				b.Fatal(err)
			}
			full := Entry{Entry: entry, Position: e.Position, Units: units}
			full.After = orgs.FoldUnit(orgs.UnitState{}, entry.Body)
			if err := (Orgs{}).Apply(tx, full); err != nil {
				b.Fatal(err)
			}
			last = e
		}
		if batch.Live {
			break
		}
	}
	at := cursor{last.Position, stream.ID(last.ID)}
	for i := range n {
		d := demand.State{ID: stream.DemandFor("app", fmt.Sprint(i)), Number: fmt.Sprint(i), Kind: demand.Errand, Channel: "app", Urgency: "C", Matter: "0101",
			Unit: communities[h.random.IntN(len(communities))], Summary: "居民反映供热不足，要求处理", RaisedAt: h.now.Add(time.Duration(h.random.IntN(365*24*3600)) * time.Second)}
		d.Phase = demand.PhaseClosed
		if h.random.IntN(5) == 0 {
			d.Phase = pick(h.random, demand.Machine.States[:5])
			d.Running = d.Running.Start(h.due("triage"))
		}
		full := Entry{Units: units}
		full.After, full.Body = d, demand.Accepted{}
		if err := (Demands{}).Apply(tx, full); err != nil {
			b.Fatal(err)
		}
		rows.keep()
		if rows.touched >= 100_000 || i == n-1 {
			if err := g.commit(ctx, rows, at); err != nil {
				b.Fatal(err)
			}
			rows.clear()
		}
	}
	if g, err = g.finish(ctx); err == nil {
		err = g.close()
	}
	if err == nil {
		err = point(dir, 2)
	}
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	r = open(b, dir, log)
	b.Logf("opened %d demands in %s", n, time.Since(began))
	if r.Status().File != "views-2.db" {
		b.Fatal("the rows were not taken")
	}
	return r
}

// BenchmarkPage reads pages of 50 out of a million demands, each from another place in its list.
func BenchmarkPage(b *testing.B) {
	const n = 1_000_000
	r := million(b, n)
	v, ctx := r.Views(), context.Background()
	street := func(i int) orgs.UnitCode { return orgs.UnitCode(fmt.Sprintf("150105%03d", i%20+1)) }
	for _, c := range []struct {
		name string
		ask  func(i int) (Viewer, DemandFilter)
	}{
		{"street and state by due", func(i int) (Viewer, DemandFilter) {
			return Viewer{Seat: "/150100/150105/" + string(street(i)) + "/"}, DemandFilter{Place: Place{Street: street(i)}, Phases: []demand.Phase{demand.PhaseAccepted}}
		}},
		{"seat alone by due", func(i int) (Viewer, DemandFilter) {
			return Viewer{Seat: "/150100/150105/" + string(street(i)) + "/"}, DemandFilter{}
		}},
		{"seat alone newest first", func(i int) (Viewer, DemandFilter) {
			return Viewer{Seat: "/150100/150105/" + string(street(i)) + "/"}, DemandFilter{Page: Page{Sort: ByRaised}}
		}},
		{"everything by due", func(int) (Viewer, DemandFilter) { return Viewer{All: true}, DemandFilter{} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			after := ""
			for i := range b.N {
				who, f := c.ask(i / 10)
				f.Limit = 50
				if i%10 > 0 {
					f.After = after
				}
				began := time.Now()
				rows, next, err := v.Demands(ctx, who, f)
				took = append(took, time.Since(began))
				if err != nil || len(rows) != 50 {
					b.Fatal(len(rows), err)
				}
				after = next
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkSearch says what a demand costs in memory and how long words take.
func BenchmarkSearch(b *testing.B) {
	log := mem.Open()
	h := newHistory(b, log, 1)
	h.organise()
	const n = 30_000
	syllables := []rune("供热不足家里很冷老人孩子受请尽快处理报修电话打通物业说归他们管路灯亮楼下垃圾清运停车位消防道占用噪音扰民施工电梯困漏水墙面脱落绿化树木修剪井盖破损污水外溢流浪狗伤人")
	word := func(n int) string {
		w := make([]rune, n)
		for i := range w {
			w[i] = syllables[h.random.IntN(len(syllables))]
		}
		return string(w)
	}
	for range n {
		id := h.raise(demand.Errand, "150105003001", "", word(8), word(72), fmt.Sprint("139", h.random.IntN(n)), "r1")
		h.accept(id, word(20))
	}
	r := open(b, b.TempDir(), log)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	eventually(b, "ready", r.Search().Ready)
	with := heap()
	s := r.Search()
	s.mu.Lock()
	kept := *newSearch(r)
	s.docs, kept.docs = kept.docs, s.docs
	s.numbers, s.public, s.personal, s.blinds = kept.numbers, kept.public, kept.personal, kept.blinds
	kept.docs = nil
	s.mu.Unlock()
	b.Logf("%d bytes a demand", (with-heap())/n)
	if err := s.takeAll(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		if _, err := s.Find(context.Background(), word(2), true, 50); err != nil {
			b.Fatal(err)
		}
	}
}
