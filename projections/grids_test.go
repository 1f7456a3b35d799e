package projections

import (
	"slices"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog/mem"
)

func TestGridsAreToldAsTheyStoodOnADay(t *testing.T) {
	log := mem.Open()
	h := newHistory(t, log, 1)
	h.organise()
	const c = orgs.UnitCode("150105003001")
	g, other, one, two := h.grids[0], h.grids[1], orgs.GridCode(c+"011"), orgs.GridCode(c+"012")
	n := stream.Keyed(stream.Grids, string(c))
	first := calendar.DateOf(h.now)
	h.now = h.now.Add(3 * 24 * time.Hour)
	h.add(n, orgs.BlocksSurveyed{Community: c, Buildings: []orgs.Building{{Code: "b1", Stairwells: []orgs.Stairwell{{Code: "b1/1", Households: 40}, {Code: "b1/2", Households: 60}}}}})
	h.add(n, orgs.HouseholdsAssigned{Grid: g, Stairwells: []orgs.BlockCode{"b1/1", "b1/2"}})
	h.add(n, orgs.GridWorkerAppointed{Grid: other, Worker: "w1", Duty: orgs.DutyLead, FullTime: true})
	h.now = h.now.Add(2 * 24 * time.Hour)
	for i, part := range []orgs.GridCode{one, two} {
		h.add(n, orgs.GridDrawn{Grid: part, Name: "新", Households: 40 + 20*i, Urban: true})
		h.add(n, orgs.HouseholdsAssigned{Grid: part, From: g, Stairwells: []orgs.BlockCode{orgs.BlockCode([]string{"b1/1", "b1/2"}[i])}})
	}
	h.add(n, orgs.GridSplit{Grid: g, Into: []orgs.GridCode{one, two}, On: calendar.DateOf(h.now)})
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	type told struct {
		code       orgs.GridCode
		households int
		lead       string
		led        int
	}
	for _, x := range []struct {
		on   calendar.Date
		want []told
	}{
		{first - 1, nil},
		{first, []told{{g, 300, "w1", 1}, {other, 300, "", 0}}},
		{first + 3, []told{{g, 100, "w1", 2}, {other, 0, "w1", 2}}},
		{first + 5, []told{{other, 0, "w1", 1}, {one, 40, "", 0}, {two, 60, "", 0}}},
	} {
		all, err := r.Views().GridsOn(t.Context(), "150105", x.on)
		if err != nil {
			t.Fatal(err)
		}
		var got []told
		for _, d := range all {
			if d.Code.Community() == c {
				got = append(got, told{d.Code, d.Households, d.Lead, d.Led})
			}
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("on %s: got %v, want %v", x.on, got, x.want)
		}
	}
	if all, err := r.Views().GridsOn(t.Context(), "", first); err != nil || len(all) != len(h.grids) {
		t.Errorf("of the city: got %d grids, %v, want %d", len(all), err, len(h.grids))
	}
	if none, err := r.Views().GridsOn(t.Context(), "150102", first); err != nil || len(none) != 0 {
		t.Errorf("of a district without grids: got %d, %v", len(none), err)
	}
}
