package projections

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/eventlog/mem"
)

// months returns a history of some months.
func months(t *testing.T, seed uint64, n int) (*Runner, *history) {
	log, h := sample(t, seed, 300)
	for range n {
		h.now = h.now.Add(time.Duration(h.random.IntN(40)) * time.Hour)
		h.steps(10)
	}
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	return r, h
}

func (h *history) dispute(id stream.ID) dispute.State {
	return h.states[stream.Of(stream.Dispute, id)].(dispute.State)
}

// TestDisputesAreSeenAsTheRuleSays is the law list(v) = {x | visible(v, x)} for disputes, with the rule written down a second time.
func TestDisputesAreSeenAsTheRuleSays(t *testing.T) {
	r, h := months(t, 90, 60)
	units, rule := r.Units(), sees{h, r.Units()}
	who := viewers(units)
	for u := range units.All() {
		who = append(who, Viewer{Seat: units.Path(u.Code), Actor: "r1", Mediates: u.Code}, Viewer{Actor: "r1", Confidential: true})
	}
	cells, seen := 0, 0
	for _, v := range who {
		listed := map[stream.ID]int{}
		for _, row := range whole(t, func(p Page) ([]DisputeRow, string, error) {
			return r.Views().Disputes(t.Context(), v, DisputeFilter{Page: p})
		}, Page{Limit: 7}) {
			listed[row.ID]++
		}
		for _, id := range h.quarrels {
			s := h.dispute(id)
			want := v.All || rule.reaches(v, s.Unit) || v.Actor != "" && slices.Contains(s.Parties, v.Actor) ||
				v.Mediates != "" && (units.Within(s.Unit, v.Mediates) || units.Within(v.Mediates, s.Unit)) || rule.demand(v, h.demand(s.Demand))
			visible, err := r.Views().Visible(t.Context(), v, stream.Dispute, id)
			if err != nil || visible != want || (listed[id] == 1) != want || listed[id] > 1 {
				t.Fatalf("%+v, dispute %s of %s: visible %v, listed %d times, %v; the rule says %v", v, id, s.Unit, visible, listed[id], err, want)
			}
			cells++
			if want {
				seen++
			}
		}
	}
	if seen < 100 || seen == cells {
		t.Errorf("%d of %d cells are seen: nothing to tell apart", seen, cells)
	}
	t.Logf("%d cells, %d seen", cells, seen)
}

// TestTheLadderCountsWhatTheListsHold counts disputes a second time, from the states, and a third time, by the lists.
func TestTheLadderCountsWhatTheListsHold(t *testing.T) {
	r, h := months(t, 91, 150)
	v, units, random := r.Views(), r.Units(), rand.New(rand.NewPCG(91, 2))
	settled, figures := 0, 0
	for range 40 {
		q := LadderQuery{Unit: pick(random, []orgs.UnitCode{"150100", "150105", "150105003", "150105003001"}), By: pick(random, []By{"", ByStreet, ByCommunity}),
			To: calendar.DateOf(h.now) + 1 - calendar.Date(random.IntN(30))}
		q.From = q.To - 1 - calendar.Date(random.IntN(90))
		l, err := v.Ladder(t.Context(), q)
		if errors.Is(err, ErrBy) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		in := func(at time.Time) bool { return !at.IsZero() && !at.Before(q.From.Start()) && at.Before(q.To.Start()) }
		var want LadderRow
		want.Referred = map[dispute.Target]int{}
		spans := map[dispute.Rung][]time.Duration{}
		for _, id := range h.quarrels {
			s := h.dispute(id)
			if !units.Within(s.Unit, q.Unit) {
				continue
			}
			if in(s.OpenedAt) {
				want.Opened++
			}
			taken := slices.ContainsFunc(s.Stays, func(x dispute.Stay) bool { return x.Mediator != "" })
			count := func(at time.Time, what *int) {
				if in(at) {
					*what++
					if taken {
						want.Concluded++
					}
				}
			}
			agreed := s.Phase == dispute.PhaseAgreed || s.Phase == dispute.PhaseFulfilled
			switch {
			case agreed:
				count(s.Agreement.At, &want.Settled[s.Agreement.Rung])
			case s.Phase == dispute.PhaseEnded:
				count(s.EndedAt, &want.Ended)
			case s.Phase == dispute.PhaseReferredOut:
				n := want.Referred[s.Target]
				count(s.EndedAt, &n)
				want.Referred[s.Target] = n
			default:
				want.Open[s.Rung]++
			}
			for i, x := range s.Stays {
				until := x.Until
				if agreed && i == len(s.Stays)-1 {
					until = s.Agreement.At
				}
				if in(until) {
					spans[x.Rung] = append(spans[x.Rung], until.Sub(x.From))
				}
			}
		}
		maps.DeleteFunc(want.Referred, func(_ dispute.Target, n int) bool { return n == 0 })
		got := l.Total
		for rung := 1; rung < 5; rung++ {
			s := spans[dispute.Rung(rung)]
			if w := (Times{len(s), ranked(s, 50), ranked(s, 90)}); got.Times[rung] != w {
				t.Errorf("%+v: time at rung %d is %+v, want %+v", q, rung, got.Times[rung], w)
			}
		}
		if got.Opened != want.Opened || got.Open != want.Open || got.Settled != want.Settled || got.Ended != want.Ended || got.Concluded != want.Concluded || !maps.Equal(got.Referred, want.Referred) {
			t.Fatalf("%+v: got %+v, want %+v", q, got, want)
		}
		who := Viewer{Seat: units.Path(q.Unit)}
		rows, sum := append(slices.Clone(l.Rows), l.Total), 0
		for i, row := range rows {
			if i < len(rows)-1 {
				sum += row.Opened + row.Concluded
			}
			list := func(what string, n int, change func(*DisputeFilter)) {
				t.Helper()
				f := DisputeFilter{Place: row.Place}
				change(&f)
				if m, err := v.CountDisputes(t.Context(), who, f); err != nil || m != n {
					t.Fatalf("%+v, row %+v: %s is %d, its list has %d, %v", q, row.Place, what, n, m, err)
				}
				figures++
			}
			period := Span{q.From.Start(), q.To.Start()}
			list("opened", row.Opened, func(f *DisputeFilter) { f.Raised = period })
			list("concluded", row.Concluded, func(f *DisputeFilter) { f.OutcomeAt, f.TakenUp = period, true })
			list("settled below the street", row.Mediated[1]+row.Mediated[2], func(f *DisputeFilter) {
				f.OutcomeAt, f.TakenUp, f.UpTo, f.Outcomes = period, true, 2, []Outcome{Settled}
			})
			list("ended", row.Ended, func(f *DisputeFilter) { f.OutcomeAt, f.Outcomes = period, []Outcome{Ended} })
			list("referred out", row.Referred[dispute.Court], func(f *DisputeFilter) {
				f.OutcomeAt, f.Outcomes, f.Target = period, []Outcome{ReferredOut}, dispute.Court
			})
			for rung := dispute.Rung(1); rung < 5; rung++ {
				list("open", row.Open[rung], func(f *DisputeFilter) { f.Unsettled, f.Rung = true, rung })
				list("settled", row.Settled[rung], func(f *DisputeFilter) { f.OutcomeAt, f.Outcomes, f.At = period, []Outcome{Settled}, rung })
				list("times", row.Times[rung].N, func(f *DisputeFilter) { f.LeftRung, f.Left = rung, period })
				settled += row.Settled[rung]
			}
		}
		if q.By != "" && sum != l.Total.Opened+l.Total.Concluded {
			t.Errorf("%+v: the rows add up to %d, the total says %d", q, sum, l.Total.Opened+l.Total.Concluded)
		}
	}
	if settled < 50 {
		t.Errorf("only %d settled", settled)
	}
	t.Logf("%d figures", figures)
}

func TestServicesCountWhatWasAnswered(t *testing.T) {
	r, h := months(t, 92, 60)
	v, random := r.Views(), rand.New(rand.NewPCG(92, 2))
	total := 0
	for range 40 {
		q := ServiceQuery{Unit: pick(random, []orgs.UnitCode{"150100", "150105", "150105003", "150105003001"}), By: pick(random, []By{"", ByStreet, ByCommunity}),
			To: calendar.DateOf(h.now) + 1 - calendar.Date(random.IntN(30))}
		q.From = q.To - 1 - calendar.Date(random.IntN(90))
		q.Limit = 1 + random.IntN(9)
		var rows []ServiceRow
		for more := true; more; more = q.After != "" {
			page, next, at, err := v.Services(t.Context(), q)
			if errors.Is(err, ErrBy) {
				break
			}
			if err != nil || at != h.end || len(page) > q.Limit || next != "" && len(page) < q.Limit {
				t.Fatal(at, len(page), err)
			}
			rows, q.After = append(rows, page...), next
		}
		if rows == nil {
			continue
		}
		who, sum, want := Viewer{Seat: r.Units().Path(q.Unit)}, 0, 0
		for _, row := range rows {
			sum += row.Errands + row.Consults
			for kind, n := range map[string]int{"errand": row.Errands, "consult": row.Consults} {
				m, err := v.CountDemands(t.Context(), who, DemandFilter{Place: row.Place, Matter: row.Matter, Exactly: true,
					Standing: Standing{Kinds: []string{kind}, Handled: Span{q.From.Start(), q.To.Start()}}})
				if err != nil || m != n {
					t.Fatalf("%+v: %d of kind %s in %+v, the list has %d, %v", q, n, kind, row, m, err)
				}
			}
		}
		for _, id := range h.demands {
			s := h.demand(id)
			if on := answeredAt(s); (s.Kind == demand.Errand || s.Kind == demand.Consult) && r.Units().Within(s.Unit, q.Unit) && !on.Before(q.From.Start()) && on.Before(q.To.Start()) {
				want++
			}
		}
		if sum != want {
			t.Fatalf("%+v: got %d in %d rows, want %d", q, sum, len(rows), want)
		}
		total += sum
	}
	if total < 100 {
		t.Errorf("only %d services", total)
	}
}

// TestTheBoardHoldsWhatHasRisen compares the board with the states: everything that rose and is not over, and nothing else.
func TestTheBoardHoldsWhatHasRisen(t *testing.T) {
	shown := 0
	for seed := range uint64(4) {
		r, h := months(t, 193+seed, 80)
		shown += boardsAgree(t, r, h)
	}
	if shown < 40 {
		t.Errorf("only %d matters on the boards", shown)
	}
	t.Logf("%d rows", shown)
}

func boardsAgree(t *testing.T, r *Runner, h *history) (shown int) {
	v, units := r.Views(), r.Units()
	type asked struct {
		unit orgs.UnitCode
		who  Viewer
	}
	var boards []asked
	for _, unit := range []orgs.UnitCode{"150100", "150105", "150105003", "150105004001", "150105-d01"} {
		boards = append(boards, asked{unit, Viewer{All: true}}, asked{unit, Viewer{Seat: units.Path(unit)}}, asked{unit, Viewer{Seat: units.Path(unit), Oversees: true, Desk: unit}})
	}
	for _, board := range boards {
		unit, who := board.unit, board.who
		want := map[stream.ID]order.State{}
		levels := map[orgs.Level]int{}
		for _, id := range h.orders {
			s := h.states[stream.Of(stream.Order, id)].(order.State)
			at := s.Place
			if s.Grid != "" && units.Within(s.Grid.Unit(), s.Place) {
				at = s.Grid.Unit()
			}
			if !s.Phase.Terminal() && (s.Attention.Rises > 0 || s.Problem) && (units.Within(at, unit) || units.Within(s.Lead, unit)) &&
				(s.Kind != string(demand.Report) || sees{h, units}.order(who, s)) {
				want[id] = s
				levels[s.Attention.Level]++
			}
		}
		var rows []EscalationRow
		f := EscalationFilter{Unit: unit, Who: who, Page: Page{Limit: 7}}
		for {
			b, err := v.Escalations(t.Context(), f)
			if err != nil || b.Position != h.end || b.Count != len(want) || !maps.Equal(b.Levels, levels) {
				t.Fatalf("%s: got %+v, %v; want %d matters, by level %v", unit, b, err, len(want), levels)
			}
			rows = append(rows, b.Items...)
			if f.After = b.Next; f.After == "" {
				break
			}
		}
		if len(rows) != len(want) {
			t.Fatalf("%s: paged %d matters, want %d", unit, len(rows), len(want))
		}
		for i, row := range rows {
			s, risen := want[row.ID]
			next, _ := rule.Earliest(event.Alarms(s))
			if !risen || row.Level != s.Attention.Level || row.Rule != s.Attention.Rule || !row.Since.Equal(s.Attention.Since) || row.Holder != s.Lead || row.Answers != s.Attention.Unit ||
				row.Problem != s.Problem || !row.NextAt.Equal(next.Due) || row.NextStep != next.Step || s.Attention.Rises > 0 && (row.Count != 3 || row.LateBy != 7 || row.Due.IsZero()) {
				t.Fatalf("%s: got %+v, want that of %+v", unit, row, s.Attention)
			}
			if i > 0 && row.Since.Before(rows[i-1].Since) {
				t.Errorf("%s: not in the order of since", unit)
			}
		}
		for level, n := range levels {
			if b, err := v.Escalations(t.Context(), EscalationFilter{Unit: unit, Who: who, Levels: []orgs.Level{level}, Page: Page{Limit: 200}}); err != nil || b.Count != n || len(b.Items) != n || !maps.Equal(b.Levels, levels) {
				t.Errorf("%s, level %d: got %d of %d, %v; want %d", unit, level, len(b.Items), b.Count, err, n)
			}
		}
		shown += len(rows)
	}
	return shown
}

func TestSupervisionsAreOwedUntilAnswered(t *testing.T) {
	r, h := months(t, 94, 160)
	v := r.Views()
	owed, all, late := 0, 0, 0
	for _, id := range h.orders {
		s := h.states[stream.Of(stream.Order, id)].(order.State)
		for _, sv := range s.Supervisions {
			all++
			if sv.Open {
				owed++
				if d, _ := s.Running.Due(sv.Deadline); d.Due.Before(h.now) {
					late++
				}
			}
		}
	}
	for f, want := range map[SupervisionFilter]int{{}: all, {Open: true}: owed, {Late: h.now}: late} {
		f.Unit, f.Limit, f.Who = "150100", 5, Viewer{All: true}
		met := map[string]bool{}
		for {
			rows, next, n, at, err := v.Supervisions(t.Context(), f)
			if err != nil || n != want || at != h.end {
				t.Fatalf("%+v: got %d, %v; want %d", f, n, err, want)
			}
			for _, row := range rows {
				met[row.Order.String()+strings.Repeat("'", row.Supervision)] = true
				if row.Reason == "" || row.IssuedAt.IsZero() || row.Open && row.Due.IsZero() || !row.AnsweredAt.IsZero() && (row.Open || row.Answer == "") {
					t.Errorf("got %+v", row)
				}
			}
			if f.After = next; next == "" {
				break
			}
		}
		if len(met) != want {
			t.Errorf("%+v: paged %d, want %d", f, len(met), want)
		}
	}
	if owed < 5 || late == 0 || owed == all {
		t.Errorf("%d supervisions, %d owed, %d late: nothing to tell apart", all, owed, late)
	}
}

// TestAMatterIsOnTheBoardFromItsRiseToItsEnd plays one order.
func TestAMatterIsOnTheBoardFromItsRiseToItsEnd(t *testing.T) {
	log := mem.Open()
	h := newHistory(t, log, 95)
	h.organise()
	o := h.dispatch(h.raise(demand.Issue, "150105003001", "", "t", "x", "", "r1"))
	name := stream.Of(stream.Order, o)
	s := h.states[name].(order.State)
	handle, _ := s.Running.Get(calendar.Handle)
	r := open(t, t.TempDir(), log)
	board := func() []EscalationRow {
		t.Helper()
		wait(t, r, h.end)
		b, err := r.Views().Escalations(t.Context(), EscalationFilter{Unit: "150105", Page: Page{Limit: 10}})
		if err != nil {
			t.Fatal(err)
		}
		return b.Items
	}
	if got := board(); len(got) != 0 {
		t.Fatalf("before it rose: %+v", got)
	}
	h.add(name, order.ClockExpired{ID: handle.ID, Clock: calendar.Handle, Due: handle.Due, Next: handle.Due.Add(48 * time.Hour)})
	h.add(name, order.Escalated{From: 2, To: 3, Unit: "150105003", Rule: "E1", ID: handle.ID, Due: handle.Due, LateBy: 5})
	h.add(name, order.Signed{At: h.now})
	got := board()
	if len(got) != 1 || got[0].Level != 3 || got[0].From != 2 || got[0].DueID != handle.ID || !got[0].Due.Equal(handle.Due) || got[0].LateBy != 5 || !slices.Equal(got[0].Expired, []calendar.Clock{calendar.Handle}) {
		t.Fatalf("after it rose and was signed: %+v", got)
	}
	h.add(name, order.Cancelled{Cause: "error"})
	if got := board(); len(got) != 0 {
		t.Fatalf("after its end: %+v", got)
	}
}
