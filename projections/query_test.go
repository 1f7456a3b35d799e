package projections

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/demand"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// whole pages through a list to its end.
func whole[R any](t testing.TB, page func(Page) ([]R, string, error), p Page) []R {
	t.Helper()
	var all []R
	for {
		rows, next, err := page(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) > p.Limit || next != "" && len(rows) != p.Limit {
			t.Fatalf("a page of %d with next %q; the limit is %d", len(rows), next, p.Limit)
		}
		all = append(all, rows...)
		if next == "" {
			return all
		}
		p.After = next
	}
}

// sees is the rule of visibility, written down a second time: from the states, without a table.
type sees struct {
	h     *history
	units *orgs.Tree
}

func (s sees) reaches(v Viewer, u orgs.UnitCode) bool {
	p := s.units.Path(u)
	parts := strings.Split(strings.Trim(v.Seat, "/"), "/")
	seat := s.units.Path(orgs.UnitCode(parts[len(parts)-1]))
	return seat != "" && seat == v.Seat && p != "" && strings.HasPrefix(p, seat)
}

func (s sees) demand(v Viewer, d demand.State) bool {
	confidential := d.Kind == demand.Report
	if confidential && !v.Confidential {
		return false
	}
	at := d.Unit
	if d.Grid != "" && s.units.Within(d.Grid.Unit(), d.Unit) {
		at = d.Grid.Unit()
	}
	if v.All || s.reaches(v, at) || v.Actor != "" && v.Actor == d.RaisedBy.ID {
		return true
	}
	for _, id := range s.h.orders {
		o := s.h.states[stream.Of(stream.Order, id)].(order.State)
		if confidential || !slices.Contains(o.Demands, d.ID) {
			continue
		}
		if slices.ContainsFunc(append([]orgs.UnitCode{o.Lead}, o.Leg().CoUnits...), func(u orgs.UnitCode) bool { return s.reaches(v, u) }) {
			return true
		}
	}
	return false
}

func (s sees) order(v Viewer, o order.State) bool {
	at := o.Place
	if o.Grid != "" && s.units.Within(o.Grid.Unit(), o.Place) {
		at = o.Grid.Unit()
	}
	if o.Kind == string(demand.Report) && !v.All { // by who dispatched it and who works on it, never by place
		return v.Oversees && s.reaches(v, o.By) || v.Desk != "" && slices.Contains(append([]orgs.UnitCode{o.By, o.Lead, o.Competent}, o.Leg().CoUnits...), v.Desk)
	}
	return v.All || slices.ContainsFunc(append([]orgs.UnitCode{at, o.Lead, o.By}, o.Leg().CoUnits...), func(u orgs.UnitCode) bool { return s.reaches(v, u) })
}

func (s sees) topic(v Viewer, p topic.State) bool {
	return v.All || s.reaches(v, p.Unit) || v.Actor != "" && v.Actor == p.ProposedBy.ID
}

// summons: whoever sees the street, the unit itself, its parent department, and the members of a joint team.
func (s sees) summons(v Viewer, w whistle.State, u orgs.UnitCode) bool {
	seat, known := s.units.Unit(seatCode(v.Seat))
	known = known && s.units.Path(seat.Code) == v.Seat
	unit, _ := s.units.Unit(u)
	return v.All || s.reaches(v, w.Street) || known && (seat.Code == u || seat.Code == unit.Department || slices.Contains(unit.Members, seat.Code))
}

func (s sees) whistle(v Viewer, w whistle.State) bool {
	return slices.ContainsFunc(w.Units, func(u whistle.Unit) bool { return s.summons(v, w, u.Code) })
}

// admission: whoever asks, and whoever would bear it, with all that lies above them and in them.
func (s sees) admission(v Viewer, a admission.State) bool {
	if v.All {
		return true
	}
	seat, known := s.units.Unit(seatCode(v.Seat))
	return known && s.units.Path(seat.Code) == v.Seat && slices.ContainsFunc(append([]orgs.UnitCode{a.By}, a.Wanted...), func(u orgs.UnitCode) bool {
		return s.units.Within(u, seat.Code) || s.units.Within(seat.Code, u)
	})
}

// viewers are all seats there are, with and without their powers, and those who have no seat.
func viewers(units *orgs.Tree) []Viewer {
	vs := []Viewer{{}, {All: true}, {All: true, Confidential: true}, {Actor: "r1"}, {Actor: "r2", Confidential: true}, {Actor: "nobody"},
		{Seat: "/150100/150105/15010500/"}, {Seat: "/150105003/"}, {Seat: "/"}}
	for u := range units.All() {
		vs = append(vs, Viewer{Seat: units.Path(u.Code)}, Viewer{Seat: units.Path(u.Code), Confidential: true, Actor: "r3"},
			Viewer{Seat: units.Path(u.Code), Oversees: true}, Viewer{Seat: units.Path(u.Code), Desk: u.Code})
		for _, g := range units.Grids(u.Code) {
			vs = append(vs, Viewer{Seat: units.Path(g.Code.Unit())})
		}
	}
	return vs
}

// TestListsHoldExactlyWhatIsVisible is the law list(v) = {x | visible(v, x)}, with the rule written down a second time.
func TestListsHoldExactlyWhatIsVisible(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	cells := 0
	for seed := range uint64(4) {
		log, h := sample(t, 40+seed, 500)
		r := open(t, t.TempDir(), log)
		wait(t, r, h.end)
		ctx, v, rule := t.Context(), r.Views(), sees{h, r.Units()}
		for _, who := range viewers(r.Units()) {
			for _, sorted := range []Sort{ByDue, ByRaised} {
				listed := map[stream.Category]map[stream.ID]int{stream.Demand: {}, stream.Topic: {}, stream.Order: {}, stream.Whistle: {}, summons: {}}
				p := Page{Limit: 17, Sort: sorted}
				for _, row := range whole(t, func(p Page) ([]DemandRow, string, error) { return v.Demands(ctx, who, DemandFilter{Page: p}) }, p) {
					listed[stream.Demand][row.ID]++
				}
				for _, row := range whole(t, func(p Page) ([]TopicRow, string, error) { return v.Topics(ctx, who, TopicFilter{Page: p}) }, p) {
					listed[stream.Topic][row.ID]++
				}
				for _, row := range whole(t, func(p Page) ([]OrderRow, string, error) { return v.Orders(ctx, who, OrderFilter{Page: p}) }, p) {
					listed[stream.Order][row.ID]++
				}
				for _, row := range whole(t, func(p Page) ([]WhistleRow, string, error) { return v.Whistles(ctx, who, WhistleFilter{Page: p}) }, p) {
					listed[stream.Whistle][row.ID]++
				}
				for _, row := range whole(t, func(p Page) ([]SummonsRow, string, error) { return v.Summons(ctx, who, SummonsFilter{Page: p}) }, p) {
					listed[summons][summonsID(row.Whistle, row.Unit)]++
				}
				check := func(kind stream.Category, id stream.ID, want bool) {
					t.Helper()
					cells++
					visible, err := v.Visible(ctx, who, kind, id)
					n := listed[kind][id]
					if err != nil || visible != want || n > 1 || (n == 1) != want {
						t.Fatalf("seed %d, viewer %+v, %s %s: visible %v, listed %d times, %v; the rule says %v", seed, who, kind, id, visible, n, err, want)
					}
				}
				for _, id := range h.demands {
					check(stream.Demand, id, rule.demand(who, h.demand(id)))
				}
				for _, id := range h.topics {
					check(stream.Topic, id, rule.topic(who, h.states[stream.Of(stream.Topic, id)].(topic.State)))
				}
				for _, id := range h.orders {
					check(stream.Order, id, rule.order(who, h.states[stream.Of(stream.Order, id)].(order.State)))
				}
				turnout, err := v.Turnout(ctx, who, SummonsFilter{})
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range h.calls {
					w := h.states[stream.Of(stream.Whistle, id)].(whistle.State)
					check(stream.Whistle, id, rule.whistle(who, w))
					for _, u := range w.Units {
						check(summons, summonsID(id, u.Code), rule.summons(who, w, u.Code))
						if rule.summons(who, w, u.Code) {
							turnout[u.Standing()]--
						}
					}
				}
				for s, n := range turnout {
					if n != 0 {
						t.Fatalf("turnout for %+v: %d more %s than the rule says", who, n, s)
					}
				}
				for kind, count := range map[stream.Category]func() (int, error){
					stream.Demand:  func() (int, error) { return v.CountDemands(ctx, who, DemandFilter{}) },
					stream.Topic:   func() (int, error) { return v.CountTopics(ctx, who, TopicFilter{}) },
					stream.Order:   func() (int, error) { return v.CountOrders(ctx, who, OrderFilter{}) },
					stream.Whistle: func() (int, error) { return v.CountWhistles(ctx, who, WhistleFilter{}) },
				} {
					if n, err := count(); err != nil || n != len(listed[kind]) {
						t.Fatalf("count of %s for %+v: got %d, %v; the list has %d", kind, who, n, err, len(listed[kind]))
					}
				}
			}
		}
		if ok, err := r.Views().Visible(ctx, Viewer{All: true}, stream.Demand, stream.ID{1}); ok || err != nil {
			t.Errorf("what does not exist: got visible %v, %v", ok, err)
		}
	}
	t.Logf("%d cells", cells)
}

func TestFiltersAndOrders(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	log, h := sample(t, 50, 2000)
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	v, units, random := r.Views(), r.Units(), rand.New(rand.NewPCG(50, 3))
	who := Viewer{All: true, Confidential: true}
	some := func(p float64) bool { return random.Float64() < p }
	area := func(u orgs.UnitCode) orgs.UnitCode { // the community, or who holds it while none is known
		if c, in := units.Ancestor(u, orgs.Community); in {
			return c
		}
		return u
	}
	lists, rows := 0, 0
	for range 300 {
		f := DemandFilter{Page: Page{Limit: 1 + random.IntN(60), Sort: pick(random, []Sort{ByDue, ByRaised})}}
		if some(0.3) {
			f.Street = pick(random, []orgs.UnitCode{"150105003", "150105004", "150109009"})
		}
		if some(0.2) {
			f.District = "150105"
		}
		if some(0.2) {
			f.Community = pick(random, h.places)
		}
		if some(0.1) {
			f.Grid = pick(random, h.grids)
		}
		if some(0.5) {
			for range 1 + random.IntN(3) {
				if p := pick(random, demand.Machine.States); !slices.Contains(f.Phases, p) {
					f.Phases = append(f.Phases, p)
				}
			}
		}
		if some(0.2) {
			f.Kind = pick(random, demand.Kinds())
		}
		if some(0.2) {
			f.Urgency = pick(random, demand.Urgencies())
		}
		if some(0.2) {
			f.Matter = pick(random, []string{"01", "0102", "9"})
		}
		if some(0.1) {
			f.Topic = pick(random, h.topics)
		}
		if some(0.2) {
			f.Due.From = h.now.Add(time.Duration(random.IntN(200)-100) * time.Hour)
		}
		if some(0.2) {
			f.Raised = Span{From: h.now.Add(-100 * time.Hour), To: h.now.Add(-time.Duration(random.IntN(90)) * time.Hour)}
		}
		if some(0.2) {
			f.IDs = []stream.ID{}
			for range random.IntN(40) {
				f.IDs = append(f.IDs, pick(random, h.demands))
			}
		}
		var want []demand.State
		for _, id := range h.demands {
			d := h.demand(id)
			due, running := d.Running.Next()
			within := func(u orgs.UnitCode) bool { return u == "" || units.Within(d.Unit, u) }
			if within(f.Street) && within(f.District) && (f.Community == "" || area(d.Unit) == f.Community) &&
				(f.Grid == "" || d.Grid == f.Grid) && (f.Phases == nil || slices.Contains(f.Phases, d.Phase)) && (f.Kind == "" || d.Kind == f.Kind) &&
				(f.Urgency == "" || d.Urgency == f.Urgency) && strings.HasPrefix(d.Matter, f.Matter) && (f.Topic.IsZero() || d.Topic == f.Topic) &&
				(f.Due.From.IsZero() || running && due.Unix() >= f.Due.From.Unix()) &&
				(f.Raised.From.IsZero() || !d.RaisedAt.Before(f.Raised.From) && d.RaisedAt.Before(f.Raised.To)) && (f.IDs == nil || slices.Contains(f.IDs, id)) {
				want = append(want, d)
			}
		}
		slices.SortFunc(want, func(a, b demand.State) int {
			byID := slices.Compare(a.ID[:], b.ID[:])
			if f.Sort == ByRaised {
				return cmp.Or(b.RaisedAt.Compare(a.RaisedAt), -byID)
			}
			return cmp.Or(cmp.Compare(dueOf(a.Running), dueOf(b.Running)), byID)
		})
		got := whole(t, func(p Page) ([]DemandRow, string, error) { f.Page = p; return v.Demands(t.Context(), who, f) }, f.Page)
		gotIDs, wantIDs := idsOf(got, func(r DemandRow) stream.ID { return r.ID }), idsOf(want, func(d demand.State) stream.ID { return d.ID })
		if !slices.Equal(gotIDs, wantIDs) {
			t.Fatalf("filter %+v: got %d rows, want %d, or another order", f, len(gotIDs), len(wantIDs))
		}
		if n, err := v.CountDemands(t.Context(), who, f); err != nil || n != len(want) {
			t.Fatalf("count with filter %+v: got %d, %v; want %d", f, n, err, len(want))
		}
		lists, rows = lists+1, rows+len(got)
	}
	if rows < 1000 {
		t.Errorf("only %d rows in %d lists: the filters leave nothing to compare", rows, lists)
	}
	t.Logf("%d lists, %d rows", lists, rows)

	t.Run("orders by lead, topic, demand and problem", func(t *testing.T) {
		for _, lead := range h.bodies {
			n, err := v.CountOrders(t.Context(), who, OrderFilter{Lead: lead})
			want, problems := 0, 0
			for _, id := range h.orders {
				if o := h.states[stream.Of(stream.Order, id)].(order.State); o.Lead == lead {
					want++
					if o.Problem {
						problems++
					}
				}
			}
			if err != nil || n != want {
				t.Errorf("orders of %s: got %d, %v; want %d", lead, n, err, want)
			}
			if n, err := v.CountOrders(t.Context(), who, OrderFilter{Lead: lead, Problem: true}); err != nil || n != problems {
				t.Errorf("problem orders of %s: got %d, %v; want %d", lead, n, err, problems)
			}
		}
		for _, id := range h.orders[:20] {
			o := h.states[stream.Of(stream.Order, id)].(order.State)
			got, err := v.OrderDemands(t.Context(), id)
			if err != nil || !slices.Equal(got, o.Demands) {
				t.Errorf("demands of an order: got %v, %v; want %v", got, err, o.Demands)
			}
			for _, d := range o.Demands {
				rows, _, err := v.Orders(t.Context(), who, OrderFilter{Demand: d, Page: Page{Limit: 200}})
				if err != nil || !slices.ContainsFunc(rows, func(r OrderRow) bool { return r.ID == id }) {
					t.Errorf("orders of demand %s: %s is missing, %v", d, id, err)
				}
			}
		}
	})
}

func TestRowsSayWhatTheStatesSay(t *testing.T) {
	log, h := sample(t, 51, 900)
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	v := r.Views()
	for _, id := range h.demands {
		d := h.demand(id)
		row, err := v.Demand(t.Context(), id)
		due, _ := d.Running.Next()
		if err != nil || row.Phase != d.Phase || row.Stage != d.Phase.Stage() || row.Kind != d.Kind || row.Unit != d.Unit || row.Summary != d.Summary || row.Topic != d.Topic ||
			!slices.Equal(row.Orders, d.Orders) || !row.Due.Equal(due) || !row.RaisedAt.Equal(d.RaisedAt) || !row.ClosedAt.Equal(d.ClosedAt) || !row.Since.Equal(d.Since) ||
			row.Round != d.Round || row.Confidential != (d.Kind == demand.Report) || row.Revision != h.heads[stream.Of(stream.Demand, id)] || row.RaisedBy != d.RaisedBy.ID ||
			row.Outcome != d.Outcome || row.Supporters != d.Supporters || row.Urgings != d.Urgings || row.Waiver != d.Waiver || row.Path == "" {
			t.Fatalf("demand: got %+v, %v; want the row of %+v", row, err, d)
		}
		if by, err := v.DemandByNumber(t.Context(), d.Number); err != nil || by.ID != id {
			t.Fatalf("by number %s: got %s, %v", d.Number, by.ID, err)
		}
		if s, err := v.Sealed(t.Context(), id); err != nil || s[id].Text == "" || s[id].Event != stream.Event(stream.Of(stream.Demand, id), keyOf(d), 0) {
			t.Fatalf("sealed fields: got %+v, %v", s[id], err)
		}
	}
	for _, id := range h.orders {
		o := h.states[stream.Of(stream.Order, id)].(order.State)
		row, err := v.Order(t.Context(), id)
		due, _ := o.Running.Next()
		if err != nil || row.Phase != o.Phase || row.Lead != o.Lead || row.By != o.By || row.Place != o.Place || row.Leg != len(o.Legs) || !row.Due.Equal(due) ||
			row.Problem != o.Problem || row.Demands != len(o.Demands) || !row.DispatchedAt.Equal(o.DispatchedAt) || row.Task != o.Task {
			t.Fatalf("order: got %+v, %v; want the row of %+v", row, err, o)
		}
	}
	for _, id := range h.topics {
		p := h.states[stream.Of(stream.Topic, id)].(topic.State)
		row, err := v.Topic(t.Context(), id)
		if err != nil || row.Phase != p.Phase || row.Title != p.Title || row.Unit != p.Unit || row.Supporters != p.Supporters || row.ProposedBy != p.ProposedBy.ID || !row.ProposedAt.Equal(p.ProposedAt) {
			t.Fatalf("topic: got %+v, %v; want the row of %+v", row, err, p)
		}
	}
	standings := map[whistle.Standing]int{}
	for _, id := range h.calls {
		w := h.states[stream.Of(stream.Whistle, id)].(whistle.State)
		row, err := v.Whistle(t.Context(), id)
		due, _ := w.Running.Next()
		if err != nil || row.Phase != w.Phase || row.Class != w.Class || row.Street != w.Street || row.District != "150105" || row.Place != w.Place || row.Task != w.Task || row.Outcome != w.Outcome ||
			row.Demand != w.Demand || row.Units != len(w.Units) || !row.Due.Equal(due) || !row.BlownAt.Equal(w.BlownAt) || !row.EndedAt.Equal(w.EndedAt) || !row.Since.Equal(w.Since) ||
			row.Revision != h.heads[stream.Of(stream.Whistle, id)] {
			t.Fatalf("whistle: got %+v, %v; want the row of %+v", row, err, w)
		}
		came, present := 0, 0
		for _, u := range w.Units {
			rows, _, err := v.Summons(t.Context(), Viewer{All: true}, SummonsFilter{Page: Page{Limit: 200}, Unit: u.Code, Street: w.Street, Due: Span{From: u.Due.Due, To: u.Due.Due.Add(time.Second)}})
			i := slices.IndexFunc(rows, func(r SummonsRow) bool { return r.Whistle == id })
			if err != nil || i < 0 {
				t.Fatalf("summons of %s to %s: got %+v, %v", w.Street, u.Code, rows, err)
			}
			r, card := rows[i], whistle.Card{}
			if u.Card != nil {
				card = *u.Card
			}
			if r.Standing != u.Standing() || r.Class != w.Class || !r.Due.Equal(u.Due.Due) || !r.BlownAt.Equal(w.BlownAt) || !r.ReportedAt.Equal(u.ReportedAt) || r.Late != u.Late || r.Absent != u.Absent ||
				r.Excused != u.Excused || !r.ReleasedAt.Equal(u.ReleasedAt) || r.Left != u.Left || r.Carded != (u.Card != nil) || r.Score != card.Score || r.Outcome != card.Outcome || r.Comment != card.Comment {
				t.Fatalf("summons: got %+v, want the row of %+v", r, u)
			}
			if standings[r.Standing]++; !u.ReportedAt.IsZero() {
				came++
			}
			if u.Present() {
				present++
			}
		}
		if row.Came != came || row.Present != present {
			t.Fatalf("whistle: got %d came, %d present, want %d, %d", row.Came, row.Present, came, present)
		}
	}
	for _, s := range whistle.Standings() {
		if standings[s] == 0 {
			t.Errorf("no unit stands %s: nothing was shown about it: %v", s, standings)
		}
	}
	tracked := h.demand(h.demands[0])
	if row, err := v.DemandByTracking(t.Context(), [32]byte(mustHex(t, tracked.Tracking))); err != nil || row.ID != tracked.ID {
		t.Errorf("by tracking code: got %s, %v", row.ID, err)
	}
	for name, err := range map[string]error{
		"demand":   second(v.Demand(t.Context(), stream.ID{1})),
		"number":   second(v.DemandByNumber(t.Context(), "")),
		"tracking": second(v.DemandByTracking(t.Context(), [32]byte{})),
		"order":    second(v.OrderByNumber(t.Context(), "none")),
		"topic":    second(v.TopicByNumber(t.Context(), "none")),
		"whistle":  second(v.Whistle(t.Context(), stream.ID{1})),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("an unknown %s: got %v, want ErrNotFound", name, err)
		}
	}
}

func TestPagesAreCompleteWhileRowsCome(t *testing.T) {
	log, h := sample(t, 52, 600)
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	before := slices.Clone(h.demands)
	met := map[stream.ID]int{}
	f := DemandFilter{Page: Page{Limit: 7, Sort: ByRaised}}
	who := Viewer{All: true, Confidential: true}
	for {
		rows, next, err := r.Views().Demands(t.Context(), who, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			met[row.ID]++
		}
		h.raise(demand.Errand, "150105003001", "", "t", "x", "", "r1")
		wait(t, r, h.end)
		if f.After = next; next == "" {
			break
		}
	}
	for _, id := range before {
		if met[id] != 1 {
			t.Errorf("demand %s was met %d times, want once", id, met[id])
		}
	}
}

func TestCursorsBelongToTheirList(t *testing.T) {
	log, h := sample(t, 53, 300)
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	v, who := r.Views(), Viewer{All: true}
	_, next, err := v.Demands(t.Context(), who, DemandFilter{Page: Page{Limit: 5}})
	if err != nil || next == "" {
		t.Fatal(next, err)
	}
	if rows, _, err := v.Demands(t.Context(), who, DemandFilter{Page: Page{Limit: 50, After: next}}); err != nil || len(rows) == 0 {
		t.Errorf("another limit: got %d rows, %v; want the next page all the same", len(rows), err)
	}
	for name, err := range map[string]error{
		"another sort":   third(v.Demands(t.Context(), who, DemandFilter{Page: Page{Limit: 5, After: next, Sort: ByRaised}})),
		"another filter": third(v.Demands(t.Context(), who, DemandFilter{Page: Page{Limit: 5, After: next}, Kind: demand.Report})),
		"another place":  third(v.Demands(t.Context(), who, DemandFilter{Page: Page{Limit: 5, After: next}, Place: Place{Street: "150105003"}})),
		"another list":   third(v.Topics(t.Context(), who, TopicFilter{Page: Page{Limit: 5, After: next}})),
		"a torn one":     third(v.Demands(t.Context(), who, DemandFilter{Page: Page{Limit: 5, After: next[1:]}})),
		"nonsense":       third(v.Demands(t.Context(), who, DemandFilter{Page: Page{Limit: 5, After: "%"}})),
	} {
		if !errors.Is(err, ErrCursor) {
			t.Errorf("%s: got %v, want ErrCursor", name, err)
		}
	}
	for _, limit := range []int{0, -1, 201} {
		if _, _, err := v.Demands(t.Context(), who, DemandFilter{Page: Page{Limit: limit}}); !errors.Is(err, ErrLimit) {
			t.Errorf("limit %d: got %v, want ErrLimit", limit, err)
		}
	}
}

func TestACaseFileNamesItsStreams(t *testing.T) {
	log, h := sample(t, 54, 800)
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	topics, orders := 0, 0
	for _, id := range h.demands {
		d := h.demand(id)
		want := map[stream.Name]bool{stream.Of(stream.Demand, id): true}
		for _, p := range slices.Concat(d.Topics, d.Related) {
			want[stream.Of(stream.Topic, p)] = true
			topics++
		}
		for _, o := range slices.Concat(d.Orders, d.Past) {
			want[stream.Of(stream.Order, o)] = true
			orders++
		}
		got, err := r.Views().CaseStreams(t.Context(), id)
		if err != nil || len(got) != len(want) || got[0].Stream != stream.Of(stream.Demand, id) {
			t.Fatalf("case file: got %v, %v; want %v", got, err, want)
		}
		for i, c := range got {
			if !want[c.Stream] || i > 0 && c.Since < got[i-1].Since || c.Since == 0 {
				t.Fatalf("case file: got %v; want %v in the order of their positions", got, want)
			}
		}
	}
	if topics == 0 || orders == 0 {
		t.Errorf("%d topics and %d orders: nothing to compare", topics, orders)
	}
}

func second[A any](_ A, err error) error { return err }

func third[A, B any](_ A, _ B, err error) error { return err }

// keyOf returns the key under which the history raised a demand: its number tells.
func keyOf(d demand.State) string {
	var n int
	fmt.Sscanf(d.Number, "N%d", &n)
	return fmt.Sprint("key-", n+1)
}
