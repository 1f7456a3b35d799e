package projections

import (
	"fmt"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/domain/whistle"
	"gridcase/eventlog/mem"
)

// TestTheRateOfReportingInOpensToItsRows: of nine summons six count, three of them were on time; every figure is the
// length of a list with the same filter.
func TestTheRateOfReportingInOpensToItsRows(t *testing.T) {
	log := mem.Open()
	h := newHistory(t, log, 7)
	h.organise()
	march, april := time.Date(2026, 3, 20, 4, 0, 0, 0, time.UTC), time.Date(2026, 4, 2, 4, 0, 0, 0, time.UTC)
	const agency, department, property = orgs.UnitCode("150105003-a01"), orgs.UnitCode("150105-d01"), orgs.UnitCode("150105003001-p01")
	blow := func(street orgs.UnitCode, due time.Time, units ...orgs.UnitCode) stream.Name {
		n := stream.Of(stream.Whistle, stream.For(stream.Whistle, "x", fmt.Sprint(h.n)))
		b := whistle.Blown{Street: street, Class: whistle.Urgent, Place: street, Task: "整治"}
		for i, u := range units {
			d := h.due(calendar.ReportIn)
			d.ID, d.Due = fmt.Sprintf("report_in/%d/0/%d", i+1, i+1), due
			b.Units = append(b.Units, whistle.Summons{Unit: u, ReportIn: d})
		}
		h.add(n, b)
		return n
	}
	came := func(n stream.Name, u orgs.UnitCode, late bool) {
		h.add(n, whistle.UnitReportedIn{Unit: u, At: h.now, Late: late})
	}
	one := blow("150105003", march, agency, department, property)
	came(one, agency, false)
	came(one, department, true)
	h.add(one, whistle.UnitExcused{Unit: property, Reason: "火情"})
	two := blow("150105003", march, agency, property)
	came(two, agency, false)
	h.add(two, whistle.UnitAbsent{Unit: property, ID: "report_in/2/0/2", Due: march})
	blow("150105003", march, agency) // nobody knows yet
	back := blow("150105003", march, agency)
	h.add(back, whistle.Cancelled{Reason: "误报"})
	far := blow("150105004", march, department)
	came(far, department, true)
	later := blow("150105003", april, agency)
	came(later, agency, true)
	h.add(later, whistle.Concluded{Outcome: "已恢复", At: h.now, Score: h.due(calendar.Score)})
	h.add(later, whistle.Scored{Cards: []whistle.Card{{Unit: agency, ReportIn: whistle.Late, Unrated: true, Score: 3571}}})
	h.add(later, whistle.Rescored{Card: whistle.Card{Unit: agency, ReportIn: whistle.OnTime, Unrated: true, Score: 7143}, Reason: "申诉成立"})

	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	v, units := r.Views(), r.Units()
	seat := func(u orgs.UnitCode) Viewer { return Viewer{Seat: units.Path(u)} }
	inMarch := Span{From: march.AddDate(0, 0, -19), To: time.Date(2026, 3, 31, 16, 0, 0, 0, time.UTC)}
	for _, c := range []struct {
		name            string
		who             Viewer
		filter          SummonsFilter
		onTime, of, all int
	}{
		{"the district, everything", seat("150105"), SummonsFilter{}, 3, 6, 9},
		{"in March: the objection of April does not count", seat("150105"), SummonsFilter{Due: inMarch}, 2, 5, 8},
		{"the street", seat("150105003"), SummonsFilter{}, 3, 5, 8},
		{"the district, of one street", seat("150105"), SummonsFilter{Street: "150105004"}, 0, 1, 1},
		{"one agency", seat("150105"), SummonsFilter{Unit: agency}, 3, 3, 5},
		{"the agency sees its own", seat(agency), SummonsFilter{}, 3, 3, 5},
		{"the department sees its own and its agencies'", seat(department), SummonsFilter{}, 3, 5, 7},
		{"the department, without its agencies", seat(department), SummonsFilter{Unit: department}, 0, 2, 2},
		{"another street sees none of it", seat("150105004"), SummonsFilter{Street: "150105003"}, 0, 0, 0},
		{"nobody sees nothing", Viewer{}, SummonsFilter{}, 0, 0, 0},
	} {
		turnout, err := v.Turnout(t.Context(), c.who, c.filter)
		if err != nil {
			t.Fatal(err)
		}
		onTime, of := turnout.Rate()
		all := 0
		for _, n := range turnout {
			all += n
		}
		if onTime != c.onTime || of != c.of || all != c.all {
			t.Errorf("%s: got %d of %d, %d in all: %v; want %d of %d, %d", c.name, onTime, of, all, turnout, c.onTime, c.of, c.all)
		}
		for _, s := range whistle.Standings() {
			f := c.filter
			f.Standings = []whistle.Standing{s}
			rows := whole(t, func(p Page) ([]SummonsRow, string, error) {
				f.Page = p
				return v.Summons(t.Context(), c.who, f)
			}, Page{Limit: 2})
			if len(rows) != turnout[s] {
				t.Errorf("%s: %d %s open to %d rows", c.name, turnout[s], s, len(rows))
			}
			for _, r := range rows {
				if r.Standing != s {
					t.Errorf("%s: a row of %s stands %s", c.name, s, r.Standing)
				}
			}
		}
	}
	open, _, err := v.Whistles(t.Context(), seat("150105"), WhistleFilter{Page: Page{Limit: 50}, Unit: property, Phases: []whistle.Phase{whistle.PhaseOnSite}})
	if err != nil || len(open) != 2 || open[0].Came+open[1].Came != 3 || open[0].Present != open[0].Came {
		t.Errorf("whistles on site that call the property firm: got %+v, %v; want the first two", open, err)
	}
}
