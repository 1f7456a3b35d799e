package projections

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog/mem"
)

// TestEveryFigureIsTheLengthOfItsList is the law of the workload page: each figure of each row is the count of the list
// that it opens, for whoever may see the unit, and the rows add up to the total.
func TestEveryFigureIsTheLengthOfItsList(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	figures, above := 0, 0
	for seed := range uint64(3) {
		log, h := sample(t, 70+seed, 300)
		for range 60 {
			h.now = h.now.Add(time.Duration(h.random.IntN(40)) * time.Hour)
			h.steps(10)
		}
		r := open(t, t.TempDir(), log)
		wait(t, r, h.end)
		ctx, v, units, random := t.Context(), r.Views(), r.Units(), rand.New(rand.NewPCG(seed, 9))
		for range 60 {
			q := LoadQuery{At: h.now.Add(-time.Duration(random.IntN(600)) * time.Hour), By: pick(random, []By{ByDistrict, ByStreet, ByCommunity, ByGrid, ByUnit, ByWorker}),
				Unit: pick(random, []orgs.UnitCode{"150100", "150105", "150105003", "150105003001", "150105-d01", h.grids[0].Unit(), "150105003-a01"}),
				From: calendar.DateOf(h.now) - calendar.Date(random.IntN(60)), Confidential: random.IntN(2) == 0, Limit: 1 + random.IntN(60)}
			q.To = q.From + 1 + calendar.Date(random.IntN(50))
			if random.IntN(3) == 0 {
				q.Kinds = []string{string(pick(random, demand.Kinds())), "consult"}
			}
			q.Reports = q.Unit == "150100" && random.IntN(2) == 0
			who := Viewer{Seat: units.Path(q.Unit), Confidential: q.Confidential, Oversees: q.Reports}
			var rows []LoadRow
			var l Load
			for {
				var err error
				if l, err = v.Load(ctx, q); err == ErrBy {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if rows = append(rows, l.Rows...); l.Next == "" {
					break
				}
				q.After = l.Next
			}
			if rows == nil {
				continue
			}
			if l.Position != h.end {
				t.Fatalf("position %d, want %d", l.Position, h.end)
			}
			check := func(row LoadRow, what string, got, want int, err error) {
				t.Helper()
				figures++
				if want > 0 {
					above++
				}
				if err != nil || got != want {
					t.Fatalf("seed %d, %+v, row %s %+v: %s is %d, its list has %d, %v", seed, q, row.Key, row.Place, what, got, want, err)
				}
			}
			all := rows
			if !q.By.desk() {
				all = append(slices.Clone(rows), l.Total)
			}
			for _, row := range all {
				for line := range lines {
					kinds := q.Kinds
					if kinds == nil {
						kinds = []string{"issue", "consult", "suggestion", "report", "dispute"}
						if line == Errands {
							kinds = []string{"errand"}
						}
					} else if line == Errands {
						continue
					}
					orders := func(change func(*OrderFilter)) (int, error) {
						f := OrderFilter{Place: row.Place, Lead: row.Lead, Standing: Standing{Kinds: kinds}}
						if q.By == ByWorker {
							f.Worker, f.Unassigned = row.Worker, row.Worker == ""
						}
						change(&f)
						return v.CountOrders(ctx, who, f)
					}
					demands := func(change func(*DemandFilter)) (int, error) {
						f := DemandFilter{Place: row.Place, Standing: Standing{Kinds: kinds}}
						change(&f)
						return v.CountDemands(ctx, who, f)
					}
					period := Span{From: q.From.Start(), To: q.To.Start()}
					for _, c := range []struct {
						what   string
						get    func(Figures) int
						narrow func(*Standing, *Span)
					}{
						{"open", func(f Figures) int { return f.Open }, func(s *Standing, _ *Span) { s.Open = true }},
						{"overdue", func(f Figures) int { return f.Overdue }, func(s *Standing, _ *Span) { s.Late = q.At }},
						{"out", func(f Figures) int { return f.Out }, func(s *Standing, _ *Span) { s.Closed = period }},
						{"in", func(f Figures) int { return f.In }, func(_ *Standing, raised *Span) { *raised = period }},
						{"handling", func(f Figures) int { return f.Handling.N }, func(s *Standing, _ *Span) { s.Handled = period }},
					} {
						n, err := orders(func(f *OrderFilter) { c.narrow(&f.Standing, &f.Raised) })
						check(row, "orders "+c.what, c.get(row.Orders[line]), n, err)
						if !q.By.desk() {
							n, err = demands(func(f *DemandFilter) { c.narrow(&f.Standing, &f.Raised) })
							check(row, "demands "+c.what, c.get(row.Demands[line]), n, err)
						}
					}
					for i, from := range Ages {
						raised := Span{To: (calendar.DateOf(q.At) - from + 1).Start()}
						if i == 0 {
							raised.To = time.Time{}
						}
						if i+1 < len(Ages) {
							raised.From = (calendar.DateOf(q.At) - Ages[i+1] + 1).Start()
						}
						n, err := orders(func(f *OrderFilter) { f.Open, f.Raised = true, raised })
						check(row, fmt.Sprint("orders aged ", i), row.Orders[line].Aged[i], n, err)
						if !q.By.desk() {
							n, err = demands(func(f *DemandFilter) { f.Open, f.Raised = true, raised })
							check(row, fmt.Sprint("demands aged ", i), row.Demands[line].Aged[i], n, err)
						}
					}
					n, err := orders(func(f *OrderFilter) { f.Contacted = period })
					check(row, "contacts", row.Orders[line].Contact.N, n, err)
					n, err = orders(func(f *OrderFilter) { f.Closed, f.Phases = period, []order.Phase{order.PhaseClosed} })
					check(row, "closed orders", row.Orders[line].Total.N, n, err)
					if !q.By.desk() {
						n, err = demands(func(f *DemandFilter) { f.Closed, f.Phases = period, []demand.Phase{demand.PhaseClosed} })
						check(row, "closed demands", row.Demands[line].Total.N, n, err)
						sum := 0
						for _, d := range l.Total.Orders[line].Days {
							sum += d.In
						}
						check(l.Total, "days", sum, l.Total.Orders[line].In, nil)
					}
				}
			}
			if !q.By.desk() && q.Unit != h.grids[0].Unit() {
				sum := 0
				for _, row := range rows {
					sum += row.Demands[Cases].Open + row.Orders[Errands].Overdue + row.Orders[Cases].In
				}
				check(l.Total, "the sum", sum, l.Total.Demands[Cases].Open+l.Total.Orders[Errands].Overdue+l.Total.Orders[Cases].In, nil)
			}
		}
	}
	if above < figures/20 || figures < 20_000 {
		t.Errorf("of %d figures %d are above zero: nothing to compare", figures, above)
	}
	t.Logf("%d figures, %d of them above zero", figures, above)
}

// TestSmallPagesHoldWhatALargeOneHolds pages through rows by few at a time: neither what is left out of the reading for a page nor where
// the total is taken from may show.
func TestSmallPagesHoldWhatALargeOneHolds(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	r, h := months(t, 76, 400)
	ctx, v, random := t.Context(), r.Views(), rand.New(rand.NewPCG(76, 3))
	pages := 0
	for _, by := range []By{ByDistrict, ByStreet, ByCommunity, ByGrid, ByUnit, ByWorker} {
		for _, unit := range []orgs.UnitCode{"150100", "150105", "150105003", "150105003001"} {
			for _, days := range []calendar.Date{3, 100} {
				q := LoadQuery{At: h.now, By: by, Unit: unit, To: calendar.DateOf(h.now) + 1, Limit: 200}
				if q.From = q.To - days; random.IntN(2) == 0 {
					q.Kinds = []string{"issue", "report"}
				}
				whole, err := v.Load(ctx, q)
				if err == ErrBy {
					continue
				}
				if err != nil || whole.Next != "" {
					t.Fatal(whole.Next, err)
				}
				for _, q.Limit = range []int{1, 2, 5} {
					var rows []LoadRow
					for more := true; more; more = q.After != "" {
						l, err := v.Load(ctx, q)
						if err != nil || l.Next != "" && len(l.Rows) != q.Limit || !reflect.DeepEqual(l.Total, whole.Total) {
							t.Fatalf("%+v: %d rows, %v, total\n%+v, want\n%+v", q, len(l.Rows), err, l.Total, whole.Total)
						}
						rows, q.After = append(rows, l.Rows...), l.Next
						pages++
					}
					if !reflect.DeepEqual(rows, whole.Rows) {
						t.Errorf("%+v: paged\n%+v, want\n%+v", q, rows, whole.Rows)
					}
				}
			}
		}
	}
	if pages < 200 {
		t.Errorf("only %d pages", pages)
	}
}

// TestRanksAreThoseOfTheSortedList compares the counting of ranks with sorting, for crowded, spread and lopsided times in pieces.
func TestRanksAreThoseOfTheSortedList(t *testing.T) {
	random := rand.New(rand.NewPCG(77, 1))
	for range 300 {
		ms := make([]int32, 1+random.IntN(3000))
		most := 1 + random.Int32N(1<<random.IntN(31))
		for i := range ms {
			if ms[i] = random.Int32N(most); random.IntN(20) == 0 {
				ms[i] = math.MaxInt32 - random.Int32N(3)*random.Int32N(2)
			}
		}
		sorted := slices.Sorted(slices.Values(ms))
		for _, i := range []int{0, len(ms) / 2, random.IntN(len(ms)), len(ms) - 1} {
			j := i + random.IntN(len(ms)-i)
			cut := random.IntN(len(ms) + 1)
			if got, want := (minutes{ms[:cut], nil, ms[cut:]}).ranked(i, j), []int32{sorted[i], sorted[j]}; !slices.Equal(got, want) {
				t.Fatalf("%d and %d of %d up to %d: got %d, want %d", i, j, len(ms), most, got, want)
			}
		}
	}
}

// TestTimesAreExact computes medians and P90 from the states, by counting ranks.
func TestTimesAreExact(t *testing.T) {
	measured := 0
	for seed := range uint64(3) {
		r, h := months(t, 80+seed, 200)
		measured += timesAgree(t, r, h)
	}
	if measured < 200 {
		t.Errorf("only %d times to compare", measured)
	}
	t.Logf("%d times", measured)
}

func timesAgree(t *testing.T, r *Runner, h *history) (measured int) {
	for _, days := range []calendar.Date{1, 7, 40, 400} {
		q := LoadQuery{Unit: "150100", By: ByStreet, At: h.now, To: calendar.DateOf(h.now) + 1, Kinds: []string{}, Limit: 200, Confidential: true, Reports: true}
		q.From, q.Kinds = q.To-days, []string{"errand", "issue", "consult", "suggestion", "report", "dispute"}
		l, err := r.Views().Load(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var contact, handling, total, answered []time.Duration
		in := func(at time.Time) bool {
			return !at.IsZero() && !at.Before(q.From.Start()) && at.Before(q.To.Start())
		}
		for _, id := range h.orders {
			s := h.states[stream.Of(stream.Order, id)].(order.State)
			if leg := s.Leg(); in(leg.ContactedAt) {
				contact = append(contact, leg.ContactedAt.Sub(leg.DispatchedAt))
			}
			if done := s.Phase == order.PhaseVerified || s.Phase == order.PhaseClosed; done && !s.Report.DoneAt.IsZero() && in(s.VerifiedAt) {
				handling = append(handling, s.Report.DoneAt.Sub(s.Leg().DispatchedAt))
			}
			if s.Phase == order.PhaseClosed && in(s.ClosedAt) {
				total = append(total, s.ClosedAt.Sub(s.DispatchedAt))
			}
		}
		for _, id := range h.demands {
			if s := h.demand(id); (s.Phase == demand.PhaseAnswered || s.Phase == demand.PhaseClosed) && in(s.AnsweredAt) {
				answered = append(answered, s.AnsweredAt.Sub(s.AcceptedAt))
			}
		}
		for _, c := range []struct {
			name  string
			got   Times
			spans []time.Duration
		}{{"contact", l.Total.Orders[Cases].Contact, contact}, {"handling", l.Total.Orders[Cases].Handling, handling},
			{"total", l.Total.Orders[Cases].Total, total}, {"answered", l.Total.Demands[Cases].Handling, answered}} {
			want := Times{N: len(c.spans), Median: ranked(c.spans, 50), P90: ranked(c.spans, 90)}
			if c.got != want {
				t.Errorf("%s of %d days: got %+v, want %+v", c.name, days, c.got, want)
			}
			measured += want.N
		}
	}
	return measured
}

// ranked is the smallest of the times, in whole minutes, that at least percent of them do not exceed.
func ranked(spans []time.Duration, percent int) int {
	for _, a := range slices.Sorted(slices.Values(spans)) {
		n := 0
		for _, b := range spans {
			if b <= a {
				n++
			}
		}
		if 100*n >= percent*len(spans) {
			return max(0, int(a.Minutes()))
		}
	}
	return 0
}

// TestNothingSuspendedSentBackOrReportedIsOverdue plays an order through its states, long after all its due instants (rule I4).
func TestNothingSuspendedSentBackOrReportedIsOverdue(t *testing.T) {
	log := mem.Open()
	h := newHistory(t, log, 97)
	h.organise()
	o := h.dispatch(h.raise(demand.Issue, "150105003001", "", "t", "x", "", "r1"))
	name := stream.Of(stream.Order, o)
	r := open(t, t.TempDir(), log)
	expect := func(want int) {
		t.Helper()
		wait(t, r, h.end)
		q := LoadQuery{Unit: "150105", By: ByStreet, At: h.now.AddDate(2, 0, 0), From: calendar.DateOf(h.now), To: calendar.DateOf(h.now) + 1, Limit: 50}
		l, err := r.Views().Load(t.Context(), q)
		if got := l.Total.Orders[Cases].Overdue; err != nil || got != want {
			t.Errorf("%s: %d overdue, %v; want %d", h.states[name].(order.State).Phase, got, err, want)
		}
	}
	expect(1)
	for _, step := range []struct {
		event event.Body
		late  int
	}{
		{order.Signed{At: h.now}, 1},
		{order.ReturnRequested{Reason: seal("不属职责"), ReturnDecision: h.due(calendar.ReturnDecision)}, 0},
		{order.ReturnRefused{Reason: "属于职责"}, 1},
		{order.Contacted{Means: "phone", At: h.now}, 1},
		{order.Suspended{Reason: "season", FrozenAt: h.now, Review: h.due(calendar.SuspensionReview)}, 0},
		{order.Resumed{Handle: h.due(calendar.Handle)}, 1},
		{order.Reported{Outcome: "resolved", Summary: "已处理", Attempt: 1, DoneAt: h.now, Verify: h.due(calendar.Verify)}, 0},
		{order.VerificationFailed{Reason: "没有修好", Attempt: 2, Handle: h.due(calendar.Handle)}, 1},
		{order.ReturnRequested{Reason: seal("不属职责"), ReturnDecision: h.due(calendar.ReturnDecision)}, 0},
		{order.ReturnApproved{Redispatch: h.due(calendar.Redispatch)}, 0},
		{order.Redispatched{Leg: 2, Lead: "150105-d01", By: "150105", Sign: h.due(calendar.Sign), Contact: h.due(calendar.Contact), Handle: h.due(calendar.Handle)}, 1},
		{order.Reported{Outcome: "resolved", Summary: "已处理", Attempt: 1, DoneAt: h.now, Verify: h.due(calendar.Verify)}, 0},
		{order.VerificationPassed{Method: "photo"}, 0},
		{order.Closed{Cause: "answered"}, 0},
	} {
		h.add(name, step.event)
		expect(step.late)
	}
}
