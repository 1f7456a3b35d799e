package report

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

const (
	district orgs.UnitCode = "150105"
	streetA  orgs.UnitCode = "150105001"
	streetB  orgs.UnitCode = "150105002"
	streetC  orgs.UnitCode = "150105003"
	bureau   orgs.UnitCode = "150105-d01"
	rival    orgs.UnitCode = "150105-d02"
	station  orgs.UnitCode = "150105001-a01"
)

func id(name string, n int) stream.ID { return stream.Derive("report", name, fmt.Sprint(n)) }

func on(day, hour int) time.Time {
	return time.Date(2026, 11, day, hour, 0, 0, 0, calendar.Zone()).UTC()
}

func date(s string) calendar.Date {
	d, err := calendar.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func november() assessment.Period {
	return assessment.Period{
		ID: id("period", 0), Jurisdiction: district, First: date("2026-11-01"), Last: date("2026-11-30"), Base: date("2026-10-31"),
		Units: []assessment.Rated{
			{Unit: bureau, Name: "城市管理综合行政执法局", Kind: orgs.Department, District: district},
			{Unit: rival, Name: "民政局", Kind: orgs.Department, District: district},
			{Unit: station, Name: "派出所", Kind: orgs.Agency, District: district, Parent: bureau, Host: streetA},
		},
		Streets: []assessment.Street{
			{Unit: streetA, Name: "甲街道", District: district, Households: 300, Grids: 1},
			{Unit: streetB, Name: "乙街道", District: district, Households: 500, Grids: 2},
			{Unit: streetC, Name: "丙街道", District: district, Households: 200, Grids: 1},
		},
	}
}

// leg is an order of a street to a unit that was done in time, or too late.
func leg(n int, by, to orgs.UnitCode, late bool) assessment.Leg {
	day := 9
	if late {
		day = 11
	}
	return assessment.Leg{Order: id("order", n), Number: 1, Case: fmt.Sprint("no-", n), Kind: "issue", Matter: "170101", Urgency: "C",
		Place: assessment.Place{Unit: by + "001", Community: by + "001", Street: by, District: district}, Demands: []stream.ID{id("demand", n)},
		By: by, ByStreet: by, Lead: to, DispatchedAt: on(3, 9), SignDue: on(3, 13), ContactDue: on(4, 9), OriginalDue: on(10, 18), Due: on(10, 18),
		SignedAt: on(3, 10), ContactedAt: on(3, 11), AllContacted: on(3, 12),
		Reports: []assessment.Report{{DoneAt: on(day, 19), At: on(day, 19), JudgedAt: on(day+1, 9), Passed: true}}, ClosedAt: on(day+1, 10), Rating: -1}
}

func demand(n int, by orgs.UnitCode, resolved bool, grade int) assessment.Demand {
	return assessment.Demand{ID: id("demand", n), Number: fmt.Sprint("d-", n), Kind: "issue", Matter: "170101", Channel: "hotline",
		Place:    assessment.Place{Unit: by + "001", Community: by + "001", Street: by, District: district},
		RaisedAt: on(2, 8), AcceptedAt: on(2, 9), FastTracked: true, Orders: []stream.ID{id("order", n)}, Dispatched: true,
		CallbackDue: on(12, 18), Reached: true, ClosedAt: on(11, 10),
		Callbacks: []assessment.Callback{{At: on(11, 10), Resolved: resolved, Grade: grade, Order: id("order", n)}}}
}

func summons(n int, by, to orgs.UnitCode, late bool) assessment.Summons {
	at := on(5, 9)
	if late {
		at = on(5, 11)
	}
	return assessment.Summons{Whistle: id("whistle", n), Street: by, Unit: to, BlownAt: on(5, 8), Due: on(5, 10), Reported: at, Stayed: true, Ended: on(5, 12), Outcome: 24, Score: 9400}
}

func evaluation(street, unit orgs.UnitCode, marks string) assessment.Evaluation {
	e := assessment.Evaluation{Street: street, Unit: unit, Comment: "据实评价", At: time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)}
	left, err := assessment.ParseDecimal(marks)
	if err != nil {
		panic(err)
	}
	for _, it := range assessment.Default().Form {
		got := min(left, it.Points)
		left -= got
		e.Items = append(e.Items, assessment.Given{Code: it.Code, Points: got})
	}
	return e
}

// one is the worked example's evaluation by one street: 96 % in time, 91.5 % resolved, 88.2 % satisfied, and all in on time.
func one() (assessment.Scheme, assessment.Period, assessment.Facts) {
	p := november()
	p.Evaluations = []assessment.Evaluation{evaluation(streetA, bureau, "86")}
	f := assessment.Facts{Summonses: []assessment.Summons{summons(1, streetA, bureau, false)}}
	for i := range 1000 {
		grade := 5
		if i >= 882 {
			grade = 2
		}
		f.Legs = append(f.Legs, leg(i, streetA, bureau, i < 40))
		f.Demands = append(f.Demands, demand(i, streetA, i >= 85, grade))
	}
	return assessment.Default(), p, f
}

// three is the worked example's combination of streets: 88.40 over 120 legs, 93.10 over 40, 90.00 on the form alone, and 85 from elsewhere.
func three() (assessment.Scheme, assessment.Period, assessment.Facts) {
	s, p := assessment.Default(), november()
	s.Share = assessment.Whole(20)
	var f assessment.Facts
	for i := range 160 {
		by := streetA
		if i >= 120 {
			by = streetB
		}
		f.Legs = append(f.Legs, leg(i, by, bureau, i == 120))
	}
	for i, st := range []orgs.UnitCode{streetA, streetB, streetC} {
		p.Evaluations = append(p.Evaluations, evaluation(st, bureau, []string{"85.5", "92", "90"}[i]), evaluation(st, rival, "90"))
	}
	p.Others = []assessment.Other{{Unit: bureau, Score: assessment.Whole(85)}, {Unit: rival, Score: assessment.Whole(85)}}
	return s, p, f
}

// chance is a period of chance, under a scheme of chance.
func chance(seed uint64) (assessment.Scheme, assessment.Period, assessment.Facts) {
	r := rand.New(rand.NewPCG(seed, 7))
	s, p := assessment.Default(), november()
	d := func(text string) assessment.Decimal {
		x, err := assessment.ParseDecimal(text)
		if err != nil {
			panic(err)
		}
		return x
	}
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	s.Choices["aggregate"] = pick("equal", "orders", "households", "grids", "trimmed")
	s.Choices["rounding"] = pick("once:2", "once:2", "once:1", "each_step:2", "once:0")
	s.Choices["no_case"] = pick("form", "not_assessed", "neutral:70", "full")
	s.Choices["empty_item"] = pick("drop", "neutral:60", "full")
	s.Choices["subj.case_share"] = pick("0", "0.3", "1")
	s.Choices["obj.mode"] = pick("rates", "rates", "cards")
	s.Choices["rank.on"] = pick("printed", "exact")
	s.Choices["rollup"] = pick("none", "mean:25")
	s.Choices["year.mix"] = pick("days", "mean", "last")
	s.Choices["credit"] = pick("lead", "split:70")
	s.Choices["min_sample"] = pick("5", "1", "20")
	s.Share = d(pick("50", "37.5", "0", "100"))
	s.Objective = []assessment.Item{
		{Indicator: assessment.OnTime, Points: d("30"), Shape: assessment.Target, Target: d(pick("90", "62.5")), K: d(pick("1", "0.7")), Floor: d("2"),
			Step: assessment.Step(pick("prorated", "started", "completed"))},
		{Indicator: assessment.ThreeRates, Points: d("25"), Shape: assessment.Linear},
		{Indicator: assessment.Satisfaction, Points: d("25"), Shape: assessment.Banded,
			Bands: []assessment.Band{{From: d("80"), Points: d("25")}, {From: d("50"), Points: d("12.5")}, {From: d("33.3333"), Points: d("5")}}},
		{Indicator: assessment.ReportIn, Points: d("20"), Shape: assessment.Linear},
	}
	s.Deductions = []assessment.Item{{Indicator: assessment.OnTime, Points: d("3"), Shape: assessment.PerEvent, Each: d("0.2"), From: 3, Then: d("0.5")}}
	if r.IntN(2) == 0 {
		s.Bonuses = []assessment.Item{{Indicator: assessment.Resolution, Points: d("2"), Shape: assessment.Bonus, Each: d("0.1")}}
	}
	var f assessment.Facts
	streets, units := []orgs.UnitCode{streetA, streetB, streetC}, []orgs.UnitCode{bureau, rival, station}
	for k := range 3 { // two more streets, so that there is something to trim
		code := orgs.UnitCode(fmt.Sprintf("15010500%d", 4+k))
		p.Streets = append(p.Streets, assessment.Street{Unit: code, Name: "街道", District: district, Households: 10 + r.IntN(500), Grids: 1 + r.IntN(9)})
		streets = append(streets, code)
	}
	for i := range 150 + r.IntN(300) {
		by, to := streets[r.IntN(len(streets))], units[r.IntN(2)]
		if by == streetA && r.IntN(3) == 0 {
			to = station
		}
		l := leg(i, by, to, r.IntN(5) == 0)
		if r.IntN(4) == 0 {
			l.Rating = r.IntN(101)
		}
		if r.IntN(9) == 0 {
			l.CoUnits = []orgs.UnitCode{rival, station}
		}
		f.Legs = append(f.Legs, l)
		f.Demands = append(f.Demands, demand(i, by, r.IntN(4) > 0, 1+r.IntN(5)))
		if r.IntN(6) == 0 {
			f.Summonses = append(f.Summonses, summons(i, by, to, r.IntN(3) == 0))
		}
	}
	for _, u := range units {
		for _, st := range streets {
			if r.IntN(5) > 0 && (u != station || st == streetA) {
				p.Evaluations = append(p.Evaluations, evaluation(st, u, fmt.Sprintf("%d.5", 60+r.IntN(39))))
			}
		}
		if r.IntN(5) > 0 {
			p.Others = append(p.Others, assessment.Other{Unit: u, Score: d(fmt.Sprintf("8%d.%04d", r.IntN(10), 1+2*r.IntN(4000)))})
		}
		if r.IntN(2) == 0 {
			p.Sealed = append(p.Sealed, assessment.Sealed{Unit: u, First: date("2026-10-01"), Last: date("2026-10-31"), Score: assessment.Of(int64(60000+r.IntN(30000)), 701)})
		}
	}
	p.Exclusions = []assessment.Exclusion{{Number: 1, Case: assessment.Case{Stream: stream.Of(stream.Order, f.Legs[0].Order), Leg: 1}, Reason: assessment.ForceMajeure, Status: assessment.Granted}}
	return s, p, f
}

func compute(t testing.TB, s assessment.Scheme, p assessment.Period, f assessment.Facts) Document {
	t.Helper()
	r, err := assessment.Compute(s, p, f)
	if err != nil {
		t.Fatal(err)
	}
	return Document{Results: r, AsOf: 4711, CutOff: 4700, Program: "test"}
}
