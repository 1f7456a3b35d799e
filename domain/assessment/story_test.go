package assessment

import (
	"fmt"
	"testing"
	"time"

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

func date(s string) calendar.Date {
	d, err := calendar.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// at reads an instant of November 2026 in the city, "17 09:30".
func at(s string) time.Time {
	t, err := time.ParseInLocation("2006-01-2 15:04", "2026-11-"+s, calendar.Zone())
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// november is the period of the tests: a district with three streets, two departments and an agency.
func november() Period {
	p := Period{
		ID: id("period"), Jurisdiction: district, First: date("2026-11-01"), Last: date("2026-11-30"), Base: date("2026-10-31"),
		Units: []Rated{
			{Unit: bureau, Name: "城管局", Kind: orgs.Department, District: district},
			{Unit: rival, Name: "民政局", Kind: orgs.Department, District: district},
			{Unit: station, Name: "派出所", Kind: orgs.Agency, District: district, Parent: bureau, Host: streetA},
		},
		Streets: []Street{
			{Unit: streetA, Name: "甲街道", District: district, Households: 300, Grids: 1},
			{Unit: streetB, Name: "乙街道", District: district, Households: 500, Grids: 2},
			{Unit: streetC, Name: "丙街道", District: district, Households: 200, Grids: 1},
		},
	}
	return p
}

func id(parts ...any) stream.ID { return stream.Derive("test", fmt.Sprint(parts...)) }

// leg returns a leg that was done well and in time: due on the 10th, dispatched by the first street to the department.
func leg(n int, changes ...func(*Leg)) Leg {
	l := Leg{
		Order: id("order", n), Number: 1, Case: fmt.Sprint("no-", n), Kind: "issue", Matter: "170101", Urgency: "C",
		Place:   Place{Unit: streetA + "001", Community: streetA + "001", Street: streetA, District: district},
		Demands: []stream.ID{id("demand", n)},
		By:      streetA, ByStreet: streetA, Lead: bureau,
		DispatchedAt: at("03 09:00"), SignDue: at("03 13:00"), ContactDue: at("04 09:00"), OriginalDue: at("10 18:00"), Due: at("10 18:00"),
		SignedAt: at("03 10:00"), ContactedAt: at("03 11:30"), AllContacted: at("03 12:00"),
		Reports:  []Report{{DoneAt: at("09 12:00"), At: at("09 12:05"), JudgedAt: at("09 17:00"), Passed: true}},
		ClosedAt: at("09 18:00"), Rating: -1,
	}
	for _, change := range changes {
		change(&l)
	}
	return l
}

// demand returns a demand on that leg's order, whose resident said on the 11th that it was resolved and that they are satisfied.
func demand(n int, changes ...func(*Demand)) Demand {
	d := Demand{
		ID: id("demand", n), Number: fmt.Sprint("d-", n), Kind: "issue", Matter: "170101", Channel: "hotline",
		Place:    Place{Unit: streetA + "001", Community: streetA + "001", Street: streetA, District: district},
		RaisedAt: at("02 08:00"), AcceptedAt: at("02 09:00"), FastTracked: true, Orders: []stream.ID{id("order", n)}, Dispatched: true,
		CallbackDue: at("12 18:00"), Reached: true, ClosedAt: at("11 10:00"),
		Callbacks: []Callback{{At: at("11 10:00"), Resolved: true, Grade: 5, Order: id("order", n)}},
	}
	for _, change := range changes {
		change(&d)
	}
	return d
}

func by(street orgs.UnitCode) func(*Leg) {
	return func(l *Leg) {
		l.By, l.ByStreet = street, street
		l.Place = Place{Unit: street + "001", Community: street + "001", Street: street, District: district}
	}
}

func to(unit orgs.UnitCode) func(*Leg) { return func(l *Leg) { l.Lead = unit } }

// lateLeg was reported a day after it was due.
func lateLeg(l *Leg) {
	l.Reports = []Report{{DoneAt: at("11 18:00"), At: at("11 18:00"), JudgedAt: at("12 09:00"), Passed: true}}
	l.ClosedAt = at("12 10:00")
}

func summons(n int, changes ...func(*Summons)) Summons {
	s := Summons{Whistle: id("whistle", n), Street: streetA, Unit: bureau, BlownAt: at("05 09:00"), Due: at("05 09:30"), Reported: at("05 09:20"),
		Stayed: true, Ended: at("05 12:00"), Outcome: 24, Score: 9400}
	for _, change := range changes {
		change(&s)
	}
	return s
}

// choosing returns the default scheme with other answers: name, value, name, value …
func choosing(answers ...string) Scheme {
	s := Default()
	for i := 0; i < len(answers); i += 2 {
		s.Choices[Name(answers[i])] = answers[i+1]
	}
	return s
}

func compute(t interface {
	Helper()
	Fatal(...any)
}, s Scheme, p Period, f Facts) *Results {
	t.Helper()
	r, err := Compute(s, p, f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// evaluation gives so many points of 100, spread over the form.
func evaluation(street, unit orgs.UnitCode, marks string) Evaluation {
	e := Evaluation{Street: street, Unit: unit, Comment: "据实评价", At: time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)}
	left := points(marks)
	for _, it := range Default().Form {
		got := min(left, it.Points)
		left -= got
		e.Items = append(e.Items, Given{it.Code, got})
	}
	return e
}

// verdictOn returns what the judge said of the only case that a figure opens to: "1", "0 late", "- returned"; "" if it opens to none.
func verdictOn(t *testing.T, r *Results, figure string) string {
	t.Helper()
	found, err := r.Open(figure)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		return ""
	}
	if len(found) > 1 {
		t.Fatalf("%s opens to %d cases, want one", figure, len(found))
	}
	said := "-"
	if found[0].In {
		said = found[0].N.String()
	}
	if found[0].Why != "" {
		said += " " + found[0].Why
	}
	return said
}
