package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
	"gridcase/eventlog/mem"
)

// runningClocks is every running clock of a history that somebody sees, from the states, without a table.
func runningClocks(h *history, s sees, who Viewer) map[string]calendar.Due {
	all := map[string]calendar.Due{}
	for name, state := range h.states {
		seen := false
		switch st := state.(type) {
		case demand.State:
			seen = s.demand(who, st)
		case topic.State:
			seen = s.topic(who, st)
		case order.State:
			seen = s.order(who, st)
		case dispute.State:
			seen = who.All || s.reaches(who, st.Unit)
		case whistle.State:
			seen = s.whistle(who, st)
		case admission.State:
			seen = s.admission(who, st)
		}
		running, _ := event.Clocks(state)
		for _, d := range running {
			if seen {
				all[name.ID().String()+" "+d.ID] = d
			}
		}
	}
	return all
}

// TestLawDeadlinesAreTheRunningClocksOfWhatIsVisible: deadlines(v) = running clocks of {x | visible(v, x)}, earliest first.
func TestLawDeadlinesAreTheRunningClocksOfWhatIsVisible(t *testing.T) {
	cells, ofKind := 0, map[stream.Category]int{}
	for seed := range uint64(3) {
		log, h := sample(t, 70+seed, 500)
		quarrel := stream.Of(stream.Dispute, stream.Derive("quarrel"))
		h.add(quarrel, dispute.Opened{Demand: h.demands[0], Unit: "150105003001", Rung: 2, RungDue: h.due(calendar.Rung)})
		wide := stream.Of(stream.Admission, stream.Derive("wide")) // asked of two districts, so that the city decides
		h.add(wide, admission.Requested{By: "150105-d02", Office: "150100", Matter: "120101", Role: duty.Lead, Units: []orgs.UnitCode{"150105003001", "150102001"},
			From: calendar.DateOf(h.now) + 40, Until: calendar.DateOf(h.now) + 90, Task: "排查", Basis: "依据", Staff: 1, Decide: h.due(calendar.Admission)})
		r := open(t, t.TempDir(), log)
		wait(t, r, h.end)
		ctx, v, rule := t.Context(), r.Views(), sees{h, r.Units()}
		for _, who := range viewers(r.Units()) {
			want := runningClocks(h, rule, who)
			rows := whole(t, func(p Page) ([]DeadlineRow, string, error) { return v.Deadlines(ctx, who, DeadlineFilter{Page: p}) }, Page{Limit: 13})
			got := map[string]calendar.Due{}
			for i, row := range rows {
				key := row.ID.String() + " " + row.DueID
				if _, twice := got[key]; twice {
					t.Fatalf("%+v: %s is listed twice", who, key)
				}
				got[key] = want[key]
				ofKind[row.Kind]++
				if d := want[key]; !d.Due.Equal(row.Due) || d.Clock != row.Clock || d.Provisional != row.Provisional || !d.StartedAt.Equal(row.StartedAt) {
					t.Fatalf("%+v: got %+v, want %+v", who, row, d)
				}
				if i > 0 && row.Due.Before(rows[i-1].Due) {
					t.Fatalf("%+v: %s is listed behind %s", who, row.Due, rows[i-1].Due)
				}
			}
			if len(got) != len(want) {
				t.Fatalf("seed %d, %+v: %d clocks are listed, %d run", seed, who, len(got), len(want))
			}
			cells += len(want)
		}
	}
	if cells < 3000 || len(ofKind) != len(timed) || ofKind[stream.Whistle] < 100 || ofKind[stream.Admission] < 100 {
		t.Errorf("only %d cells: %v", cells, ofKind)
	}
	t.Logf("%d cells: %v", cells, ofKind)
}

func TestDeadlinesAreNarrowed(t *testing.T) {
	log, h := sample(t, 91, 1200)
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	all := Viewer{All: true, Confidential: true}
	list := func(f DeadlineFilter) []DeadlineRow {
		return whole(t, func(p Page) ([]DeadlineRow, string, error) {
			f.Page = p
			return r.Views().Deadlines(t.Context(), all, f)
		}, Page{Limit: 50})
	}
	every := list(DeadlineFilter{})
	lead := every[slices.IndexFunc(every, func(d DeadlineRow) bool { return d.Lead != "" })].Lead
	middle, no := every[len(every)/2].Due, false
	for name, tc := range map[string]struct {
		f    DeadlineFilter
		keep func(DeadlineRow) bool
	}{
		"clock":           {DeadlineFilter{Clock: calendar.Handle}, func(d DeadlineRow) bool { return d.Clock == calendar.Handle }},
		"kind":            {DeadlineFilter{Kind: stream.Demand}, func(d DeadlineRow) bool { return d.Kind == stream.Demand }},
		"from":            {DeadlineFilter{From: middle}, func(d DeadlineRow) bool { return !d.Due.Before(middle) }},
		"before":          {DeadlineFilter{Before: middle}, func(d DeadlineRow) bool { return d.Due.Before(middle) }},
		"lead":            {DeadlineFilter{Lead: lead}, func(d DeadlineRow) bool { return d.Lead == lead }},
		"community":       {DeadlineFilter{Unit: "150105003001"}, func(d DeadlineRow) bool { return strings.Contains(d.Path, "/150105003001/") }},
		"whistles":        {DeadlineFilter{Kind: stream.Whistle}, func(d DeadlineRow) bool { return d.Kind == stream.Whistle }},
		"admissions":      {DeadlineFilter{Kind: stream.Admission}, func(d DeadlineRow) bool { return d.Kind == stream.Admission }},
		"called":          {DeadlineFilter{Lead: "150105-d02", Clock: calendar.ReportIn}, func(d DeadlineRow) bool { return d.Lead == "150105-d02" && d.Kind == stream.Whistle }},
		"street":          {DeadlineFilter{Unit: "150105004"}, func(d DeadlineRow) bool { return strings.Contains(d.Path, "/150105004/") }},
		"district":        {DeadlineFilter{Unit: "150102"}, func(d DeadlineRow) bool { return strings.Contains(d.Path, "/150102/") }},
		"nowhere":         {DeadlineFilter{Unit: "nowhere"}, func(DeadlineRow) bool { return false }},
		"not provisional": {DeadlineFilter{Provisional: &no}, func(d DeadlineRow) bool { return !d.Provisional }},
	} {
		want := slices.DeleteFunc(slices.Clone(every), func(d DeadlineRow) bool { return !tc.keep(d) })
		if len(want) == 0 && name != "nowhere" {
			t.Errorf("%s: nothing to find: the test shows nothing", name)
		}
		if got := list(tc.f); !slices.Equal(got, want) {
			t.Errorf("%s: got %d rows, want %d of %d", name, len(got), len(want), len(every))
		}
	}
	_, next, err := r.Views().Deadlines(t.Context(), all, DeadlineFilter{Page: Page{Limit: 2}})
	if err != nil || next == "" {
		t.Fatal(next, err)
	}
	if _, _, err := r.Views().Deadlines(t.Context(), all, DeadlineFilter{Clock: calendar.Sign, Page: Page{Limit: 2, After: next}}); !errors.Is(err, ErrCursor) {
		t.Errorf("a cursor of another filter: got %v, want ErrCursor", err)
	}
	if _, _, err := r.Views().Deadlines(t.Context(), all, DeadlineFilter{}); !errors.Is(err, ErrLimit) {
		t.Errorf("a page without rows: got %v, want ErrLimit", err)
	}
}

// TestAWhistleOwesAClockForEachUnitThatIsToCome: a unit that comes has no row any more; when the whistle is over, the
// street owes the cards, and when those are given nobody owes anything.
func TestAWhistleOwesAClockForEachUnitThatIsToCome(t *testing.T) {
	log := mem.Open()
	h := newHistory(t, log, 1)
	h.organise()
	r := open(t, t.TempDir(), log)
	name := stream.Of(stream.Whistle, stream.Derive("w"))
	const agency, firm = orgs.UnitCode("150105003-a01"), orgs.UnitCode("150105003001-p01")
	b := whistle.Blown{Street: "150105003", Class: whistle.Urgent, Place: "150105003", Task: "整治"}
	for i, u := range []orgs.UnitCode{agency, firm} {
		d := h.due(calendar.ReportIn)
		d.ID = fmt.Sprintf("report_in/%d/0/%d", i+1, i+1)
		b.Units = append(b.Units, whistle.Summons{Unit: u, ReportIn: d})
	}
	h.add(name, b)
	for _, step := range []struct {
		does event.Body
		want []string // clock and lead
	}{
		{nil, []string{"report_in 150105003-a01", "report_in 150105003001-p01"}},
		{whistle.UnitReportedIn{Unit: agency, At: h.now}, []string{"report_in 150105003001-p01"}},
		{whistle.UnitAbsent{Unit: firm, ID: "report_in/2/0/2", Due: b.Units[1].ReportIn.Due}, []string{"report_in 150105003001-p01"}}, // it may still come
		{whistle.Concluded{Outcome: "已恢复", At: h.now, Score: h.due(calendar.Score)}, []string{"score "}},
		{whistle.Scored{}, nil},
	} {
		if step.does != nil {
			h.add(name, step.does)
		}
		wait(t, r, h.end)
		for _, seat := range []string{"/150100/150105/150105003/", "/150100/150105/150105003/150105003-a01/"} {
			rows, _, err := r.Views().Deadlines(t.Context(), Viewer{Seat: seat}, DeadlineFilter{Page: Page{Limit: 9}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range rows {
				got = append(got, string(d.Clock)+" "+string(d.Lead))
			}
			slices.Sort(got)
			if !slices.Equal(got, step.want) {
				t.Errorf("%T, seen from %s: got %q, want %q", step.does, seat, got, step.want)
			}
		}
	}
}

// A confirmed due keeps its id and is no longer provisional: the row must say so.
func TestASettledDueIsNoLongerListedAsProvisional(t *testing.T) {
	log := mem.Open()
	h := newHistory(t, log, 1)
	h.organise()
	o := stream.Of(stream.Order, stream.Derive("o"))
	due := h.due(calendar.Handle)
	due.Provisional = true
	h.add(o, order.Dispatched{Kind: "issue", Urgency: "C", Lead: "150105-d01", By: "150105", Place: "150105003001", Sign: h.due(calendar.Sign), Contact: h.due(calendar.Contact), Handle: due})
	r := open(t, t.TempDir(), log)
	yes := true
	listed := func() []DeadlineRow {
		wait(t, r, h.end)
		rows, _, err := r.Views().Deadlines(t.Context(), Viewer{Seat: "/150100/150105/"}, DeadlineFilter{Provisional: &yes, Page: Page{Limit: 9}})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if rows := listed(); len(rows) != 1 || rows[0].DueID != due.ID || rows[0].Lead != orgs.UnitCode("150105-d01") {
		t.Fatalf("got %+v, want the one provisional due", rows)
	}
	due.Provisional, due.Calendar = false, "cn-2027#1"
	h.add(o, order.DeadlineRecomputed{Replaces: due.ID, Clock: due})
	if rows := listed(); len(rows) != 0 {
		t.Errorf("settled: got %+v, want none", rows)
	}
}

// The figure for a seat that sees little in a city that owes much.
func BenchmarkDeadlines(b *testing.B) {
	log := mem.Open()
	h := newHistory(b, log, 1)
	h.organise()
	for n := range 20_000 {
		place := h.places[n%6]
		h.add(stream.Of(stream.Order, stream.Derive("bench", fmt.Sprint(n))), order.Dispatched{Kind: "issue", Urgency: "C", Lead: "150105-d01", By: "150105", Place: place,
			Sign: h.due(calendar.Sign), Contact: h.due(calendar.Contact), Handle: h.due(calendar.Handle)})
	}
	r := open(b, b.TempDir(), log)
	wait(b, r, h.end)
	for _, seat := range []string{"/150100/150105/150105003/150105003001/", "/150100/150105/150105003/", "/150100/150105/", "/150100/"} {
		b.Run(seat, func(b *testing.B) {
			for b.Loop() {
				rows, _, err := r.Views().Deadlines(context.Background(), Viewer{Seat: seat, Actor: "r1"}, DeadlineFilter{Before: h.now.Add(24 * time.Hour), Page: Page{Limit: 50}})
				if err != nil || len(rows) == 0 {
					b.Fatal(len(rows), err)
				}
			}
		})
	}
}
