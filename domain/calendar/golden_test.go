package calendar_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"gridcase/domain/calendar"
)

// local reads a time on the wall clock of the city.
func local(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04:05", s, calendar.Zone())
	if err != nil {
		at, err = time.ParseInLocation("2006-01-02 15:04", s, calendar.Zone())
	}
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// wall writes an instant as the wall clock of the city shows it.
func wall(at time.Time) string { return at.In(calendar.Zone()).Format("2006-01-02 15:04:05") }

func date(t testing.TB, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func china() calendar.Rules {
	return calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}
}

// oneRow returns the rules of c with a single amount in force for the clock handle.
func oneRow(c *calendar.Calendar, n int, k calendar.Kind) calendar.Rules {
	p := calendar.DefaultPolicy()
	p.Rows = []calendar.Row{{Clock: calendar.Handle, Kind: calendar.Any, Urgency: calendar.Any, Amount: calendar.Amount{N: n, Kind: k}}}
	return calendar.Rules{Calendar: c, Policy: p}
}

func start(t testing.TB, r calendar.Rules, at time.Time) calendar.Due {
	t.Helper()
	d, err := r.Start("handle/1/1/1", calendar.Handle, "issue", "C", at)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// workingDayGoldens are due dates worked out by hand from the notices, beside what a calendar that knows
// Monday to Friday only would say.
var workingDayGoldens = []struct {
	start       string
	days        int
	due, naive  string
	provisional bool
}{
	{"2018-12-28", 1, "2018-12-29", "2018-12-31", false},
	{"2020-01-22", 10, "2020-02-13", "2020-02-05", false},
	{"2022-12-30", 3, "2023-01-05", "2023-01-04", false},
	{"2023-01-19", 5, "2023-01-31", "2023-01-26", false},
	{"2023-09-28", 5, "2023-10-11", "2023-10-05", false},
	{"2023-09-28", 15, "2023-10-25", "2023-10-19", false},
	{"2024-02-08", 5, "2024-02-21", "2024-02-15", false},
	{"2024-02-08", 15, "2024-03-06", "2024-02-29", false},
	{"2024-09-30", 7, "2024-10-15", "2024-10-09", false},
	{"2025-01-27", 5, "2025-02-10", "2025-02-03", false},
	{"2025-09-10", 15, "2025-09-30", "2025-10-01", false},
	{"2025-09-30", 5, "2025-10-14", "2025-10-07", false},
	{"2025-12-31", 3, "2026-01-06", "2026-01-05", false},
	{"2026-02-13", 5, "2026-02-27", "2026-02-20", false},
	{"2026-09-24", 5, "2026-10-09", "2026-10-01", false},
	{"2026-09-30", 5, "2026-10-13", "2026-10-07", false},
	{"2026-12-24", 2, "2026-12-28", "2026-12-28", false},
	{"2026-12-28", 5, "2027-01-04", "2027-01-04", true},
}

// wrongWorkingDays returns what a calendar says otherwise than the goldens, by row.
func wrongWorkingDays(t *testing.T, c *calendar.Calendar) map[int]string {
	wrong := map[int]string{}
	for i, g := range workingDayGoldens {
		d := start(t, oneRow(c, g.days, calendar.WorkingDays), local(t, g.start+" 10:00"))
		if wall(d.Due) != g.due+" 23:59:59" || d.Provisional != g.provisional {
			wrong[i] = fmt.Sprintf("%s + %d working days: got %s (provisional %t), want %s 23:59:59 (provisional %t)",
				g.start, g.days, wall(d.Due), d.Provisional, g.due, g.provisional)
		}
	}
	return wrong
}

func TestWorkingDaysFollowTheNotices(t *testing.T) {
	for _, w := range wrongWorkingDays(t, calendar.China()) {
		t.Error(w)
	}
}

// The seeded bug: a calendar that knows no notice. The goldens must not let it pass.
func TestGoldensRejectAMondayToFridayCalendar(t *testing.T) {
	naive, err := calendar.New()
	if err != nil {
		t.Fatal(err)
	}
	if wrong := wrongWorkingDays(t, naive); len(wrong) < len(workingDayGoldens)-1 {
		t.Errorf("a Monday-to-Friday calendar fails %d of %d goldens: they prove little", len(wrong), len(workingDayGoldens))
	}
	for _, g := range workingDayGoldens {
		r := oneRow(naive, g.days, calendar.WorkingDays)
		if d := start(t, r, local(t, g.start+" 10:00")); wall(d.Due) != g.naive+" 23:59:59" {
			t.Errorf("%s + %d Mon–Fri: got %s, want %s", g.start, g.days, wall(d.Due), g.naive)
		}
	}
}

func TestADueOverAnUnpublishedYearIsProvisional(t *testing.T) {
	upTo2018 := calendar.China().Without(2019, 2020, 2021, 2022, 2023, 2024, 2025, 2026)
	only2019Missing := calendar.China().Without(2019)
	for _, tc := range []struct {
		name        string
		c           *calendar.Calendar
		start       string
		days        int
		due         string
		provisional bool
	}{
		{"2019 not announced", upTo2018, "2018-12-28", 1, "2018-12-31", true},
		{"2019 lost between known years", only2019Missing, "2018-12-28", 1, "2018-12-31", true},
		{"the last day the count does not touch", upTo2018, "2018-12-27", 1, "2018-12-28", false},
		{"a start on the last known days counts from the next", calendar.China(), "2026-12-31", 1, "2027-01-01", true},
		{"in the lost year", only2019Missing, "2019-06-05", 2, "2019-06-07", true},
		{"after the lost year", only2019Missing, "2020-01-22", 10, "2020-02-13", false},
		{"before the first year", calendar.China(), "2016-06-06", 1, "2016-06-07", true},
	} {
		d := start(t, oneRow(tc.c, tc.days, calendar.WorkingDays), local(t, tc.start+" 10:00"))
		if wall(d.Due) != tc.due+" 23:59:59" || d.Provisional != tc.provisional {
			t.Errorf("%s: %s + %d: got %s (provisional %t), want %s (%t)", tc.name, tc.start, tc.days, wall(d.Due), d.Provisional, tc.due, tc.provisional)
		}
	}
}

func TestServiceHoursFollowTheServiceWindows(t *testing.T) {
	for _, tc := range []struct{ start, due string }{
		{"2023-09-28 17:00:00", "2023-10-07 10:00:00"},
		{"2023-10-08 07:10:00", "2023-10-08 10:30:00"},
		{"2023-10-07 11:30:00", "2023-10-07 16:00:00"},
		{"2024-02-09 17:00:00", "2024-02-18 10:00:00"},
		{"2025-09-30 17:30:00", "2025-10-09 10:30:00"},
		{"2025-10-09 12:15:00", "2025-10-09 16:30:00"},
		{"2025-03-07 16:00:00", "2025-03-10 09:00:00"},
		{"2025-03-07 15:30:00", "2025-03-07 17:30:00"}, // complete at closing: due then, not on Monday
		{"2025-03-07 10:00:00", "2025-03-07 12:00:00"},
		{"2025-03-08 12:00:00", "2025-03-10 10:30:00"}, // Saturday
	} {
		d, err := china().Start("sign/1/1/1", calendar.Sign, "issue", "C", local(t, tc.start))
		if err != nil {
			t.Fatal(err)
		}
		if wall(d.Due) != tc.due {
			t.Errorf("%s + 2 service hours: got %s, want %s", tc.start, wall(d.Due), tc.due)
		}
	}
}

func TestAServiceCountOverTheYearEndIsProvisional(t *testing.T) {
	for _, tc := range []struct {
		start       string
		provisional bool
	}{
		{"2026-12-28 10:00", false},
		{"2026-12-28 17:00", true}, // half an hour on the 28th, the rest on the 29th
		{"2026-12-29 09:00", true},
	} {
		d := start(t, oneRow(calendar.China(), 2, calendar.ServiceHours), local(t, tc.start))
		if d.Provisional != tc.provisional {
			t.Errorf("%s: got provisional %t, want %t (due %s)", tc.start, d.Provisional, tc.provisional, wall(d.Due))
		}
	}
}

func TestSuspensionGolden(t *testing.T) {
	r := oneRow(calendar.China(), 15, calendar.WorkingDays)
	d := start(t, r, local(t, "2025-09-10 09:00"))
	if got, want := wall(d.Due), "2025-09-30 23:59:59"; got != want {
		t.Fatalf("due: got %s, want %s", got, want)
	}
	frozen, restart := local(t, "2025-09-19 16:20"), local(t, "2025-10-20 08:45")
	if left := r.Between(frozen, d.Due, calendar.WorkingDays); left != 8 { // the make-up Sunday 28 September included
		t.Errorf("working days left at the freeze: got %d, want 8", left)
	}
	got, err := r.Restart(d, frozen, restart)
	if err != nil {
		t.Fatal(err)
	}
	if wall(got.Due) != "2025-10-30 23:59:59" {
		t.Errorf("due after the suspension: got %s, want 2025-10-30 23:59:59", wall(got.Due))
	}
	if !got.OriginalDue.Equal(d.Due) {
		t.Errorf("original due: got %s, want %s", wall(got.OriginalDue), wall(d.Due))
	}
	want := []calendar.Date{
		date(t, "2025-09-13"), date(t, "2025-09-14"), // before the freeze; 20–28 September were not counted
		date(t, "2025-10-25"), date(t, "2025-10-26"),
	}
	if !reflect.DeepEqual(got.Skipped, want) {
		t.Errorf("skipped: got %v, want %v", got.Skipped, want)
	}
}

func TestFreezing(t *testing.T) {
	const c = "2026-03-"
	for _, tc := range []struct {
		name                   string
		n                      int
		k                      calendar.Kind
		start, frozen, restart string
		due                    string
	}{
		{"natural hours go on with what was left", 24, calendar.NaturalHours,
			c + "02 10:00", c + "02 14:00", c + "05 09:00", c + "06 05:00:00"},
		{"frozen on the due second, due at the restart", 2, calendar.NaturalHours,
			c + "02 10:00", c + "02 12:00", c + "05 09:00", c + "05 09:00:00"},
		{"already passed stays passed", 2, calendar.NaturalHours,
			c + "02 10:00", c + "02 12:00:01", c + "05 09:00", c + "02 12:00:00"},
		{"service hours outside service time keep the rest", 4, calendar.ServiceHours,
			c + "02 16:30", c + "02 20:00", c + "06 12:30", c + "06 17:30:00"},
		{"natural days: the freeze date is used up, the restart date is not counted", 7, calendar.NaturalDays,
			c + "02 10:00", c + "04 10:00", c + "10 10:00", c + "15 23:59:59"},
		{"a pause within one day changes nothing", 7, calendar.NaturalDays,
			c + "02 10:00", c + "04 10:00", c + "04 18:00", c + "09 23:59:59"},
		{"frozen on the due date, the restart date is what is left", 7, calendar.NaturalDays,
			c + "02 10:00", c + "09 10:00", c + "14 10:00", c + "14 23:59:59"},
		{"a weekend off costs a working-day count nothing", 3, calendar.WorkingDays,
			c + "05 10:00", c + "06 10:00", c + "08 10:00", c + "10 23:59:59"},
		{"frozen before the start counts from the start", 2, calendar.NaturalHours,
			c + "02 10:00", c + "02 09:00", c + "03 10:00", c + "03 12:00:00"},
		{"a pause over before the start changes nothing", 2, calendar.NaturalHours,
			c + "02 10:00", c + "02 08:00", c + "02 09:00", c + "02 12:00:00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := oneRow(calendar.China(), tc.n, tc.k)
			d := start(t, r, local(t, tc.start))
			got, err := r.Restart(d, local(t, tc.frozen), local(t, tc.restart))
			if err != nil {
				t.Fatal(err)
			}
			if wall(got.Due) != tc.due {
				t.Errorf("due: got %s, want %s (before the pause %s)", wall(got.Due), tc.due, wall(d.Due))
			}
			if got.OriginalDue != d.Due {
				t.Errorf("original due: got %s, want %s", wall(got.OriginalDue), wall(d.Due))
			}
		})
	}
}

func TestATargetDateMovesWithASuspension(t *testing.T) {
	r := china()
	d, err := r.Until("handle/1/1/1", calendar.Handle, local(t, "2026-03-02 10:00"), date(t, "2026-03-31"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Restart(d, local(t, "2026-03-21 10:00"), local(t, "2026-04-20 10:00"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "2026-04-30 23:59:59"; wall(got.Due) != want { // ten days were left
		t.Errorf("got %s, want %s", wall(got.Due), want)
	}
}

func TestWarnings(t *testing.T) {
	allDay := calendar.DefaultPolicy()
	allDay.Service = []calendar.Segment{{Open: 8 * 60, Close: 18 * 60}}
	byDefault := calendar.DefaultPolicy()
	for _, tc := range []struct {
		name   string
		policy *calendar.Policy
		n      int
		k      calendar.Kind
		start  string
		due    string
		want   []string
	}{
		{"a Sunday due warns on Friday and on the make-up Saturday", byDefault, 7, calendar.NaturalDays, "2025-10-05 10:00",
			"2025-10-12 23:59:59", []string{"2025-10-10 17:30:00", "2025-10-11 17:30:00"}},
		{"service hours warn with three quarters used", allDay, 4, calendar.ServiceHours, "2025-03-03 17:00",
			"2025-03-04 11:00:00", []string{"2025-03-04 10:00:00"}},
		{"three quarters used at closing warn at closing", allDay, 4, calendar.ServiceHours, "2025-03-03 15:00",
			"2025-03-04 09:00:00", []string{"2025-03-03 18:00:00"}},
		{"urgency A handling warns half an hour before", byDefault, 2, calendar.NaturalHours, "2025-03-03 17:00",
			"2025-03-03 19:00:00", []string{"2025-03-03 18:30:00"}},
		{"urgency B handling warns six hours before", byDefault, 24, calendar.NaturalHours, "2025-03-03 17:00",
			"2025-03-04 17:00:00", []string{"2025-03-04 11:00:00"}},
		{"fifteen minutes warn to the second", byDefault, 15, calendar.NaturalMinutes, "2025-03-03 17:00",
			"2025-03-03 17:15:00", []string{"2025-03-03 17:11:15"}},
		{"a warning before the start is skipped", byDefault, 1, calendar.NaturalDays, "2025-03-04 10:00",
			"2025-03-05 23:59:59", []string{"2025-03-04 17:30:00"}},
		{"a warning at the start is skipped", byDefault, 1, calendar.NaturalDays, "2025-03-04 17:30",
			"2025-03-05 23:59:59", nil},
		{"two that move to one closing time are one", byDefault, 3, calendar.NaturalDays, "2025-03-07 10:00",
			"2025-03-10 23:59:59", []string{"2025-03-07 17:30:00"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := oneRow(calendar.China(), tc.n, tc.k)
			r.Policy.Service = tc.policy.Service
			d := start(t, r, local(t, tc.start))
			if wall(d.Due) != tc.due {
				t.Fatalf("due: got %s, want %s", wall(d.Due), tc.due)
			}
			var got []string
			for _, w := range r.Warnings(d) {
				got = append(got, wall(w))
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
