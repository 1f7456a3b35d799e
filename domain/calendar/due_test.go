package calendar_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"gridcase/domain/calendar"
)

func TestARecordedDue(t *testing.T) {
	r := china()
	d, err := r.Start("rework/2/1/1", calendar.Rework, "issue", "C", local(t, "2026-12-21 10:00").Add(999*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, d, `{"id":"rework/2/1/1","clock":"rework","kind":"working_days","amount":15,`+
		`"started_at":"2026-12-21T02:00:00Z","due":"2027-01-11T15:59:59Z","original_due":"2027-01-11T15:59:59Z",`+
		`"policy":"deadline","policy_version":1,"calendar":"cn-2026#1","provisional":true,`+
		`"skipped":["2026-12-26","2026-12-27","2027-01-02","2027-01-03","2027-01-09","2027-01-10"],"warn_at":["2027-01-08T09:30:00Z"]}`)

	d, err = r.Start("handle/1/1/1", calendar.Handle, "issue", "A", local(t, "2026-03-03 10:00"))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, d, `{"id":"handle/1/1/1","clock":"handle","kind":"natural_hours","amount":2,`+
		`"started_at":"2026-03-03T02:00:00Z","due":"2026-03-03T04:00:00Z","original_due":"2026-03-03T04:00:00Z",`+
		`"policy":"deadline","policy_version":1,"calendar":"cn-2026#1","warn_at":["2026-03-03T03:30:00Z"]}`)

	d, err = r.Until("topic_review/1/1/1", calendar.TopicReview, local(t, "2026-03-03 10:00"), date(t, "2026-03-05"))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, d, `{"id":"topic_review/1/1/1","clock":"topic_review","kind":"date","amount":2,`+
		`"started_at":"2026-03-03T02:00:00Z","due":"2026-03-05T15:59:59Z","original_due":"2026-03-05T15:59:59Z",`+
		`"policy":"deadline","policy_version":1,"calendar":"cn-2026#1","warn_at":["2026-03-03T09:30:00Z","2026-03-04T09:30:00Z"]}`)
}

func TestNaturalDays(t *testing.T) {
	for _, tc := range []struct {
		name  string
		roll  calendar.Roll
		end   calendar.DayEnd
		start string
		n     int
		due   string
	}{
		{"due on a holiday stays there", calendar.NoRoll, calendar.Midnight, "2026-09-24 10:00", 7, "2026-10-01 23:59:59"},
		{"due on a holiday rolls, if the policy says so", calendar.NextWorkingDay, calendar.Midnight, "2026-09-24 10:00", 7, "2026-10-08 23:59:59"},
		{"due on a working day does not roll", calendar.NextWorkingDay, calendar.Midnight, "2026-09-21 10:00", 7, "2026-09-28 23:59:59"},
		{"a day may end with service", calendar.NoRoll, calendar.EndOfService, "2026-09-24 10:00", 7, "2026-10-01 17:30:00"},
		{"the last second of a day starts on that day", calendar.NoRoll, calendar.Midnight, "2026-09-24 23:59:59", 1, "2026-09-25 23:59:59"},
		{"the first second of a day starts on that day", calendar.NoRoll, calendar.Midnight, "2026-09-24 00:00:00", 1, "2026-09-25 23:59:59"},
	} {
		r := oneRow(calendar.China(), tc.n, calendar.NaturalDays)
		r.Policy.NaturalRoll, r.Policy.DayEnd = tc.roll, tc.end
		if d := start(t, r, local(t, tc.start)); wall(d.Due) != tc.due {
			t.Errorf("%s: got %s, want %s", tc.name, wall(d.Due), tc.due)
		}
	}
}

func TestServiceAroundTheClock(t *testing.T) {
	r := oneRow(calendar.China(), 48, calendar.ServiceHours)
	r.Policy.Service = []calendar.Segment{{Open: 0, Close: 24 * 60}}
	r.Policy.DayEnd = calendar.EndOfService
	valid := calendar.DefaultPolicy()
	valid.Service, valid.DayEnd = r.Policy.Service, r.Policy.DayEnd
	if err := valid.Validate(); err != nil {
		t.Fatal(err)
	}
	if d := start(t, r, local(t, "2026-03-06 12:00")); wall(d.Due) != "2026-03-10 12:00:00" { // Friday noon, two days of 24 hours
		t.Errorf("got %s, want 2026-03-10 12:00:00", wall(d.Due))
	}
	if d, err := r.Until("handle/1/1/1", calendar.Handle, local(t, "2026-03-06 12:00"), date(t, "2026-03-10")); err != nil || wall(d.Due) != "2026-03-10 23:59:59" {
		t.Errorf("got %s, %v, want the named date itself", wall(d.Due), err)
	}
}

func TestAPolicyMayRefuseToGuess(t *testing.T) {
	r := oneRow(calendar.China(), 5, calendar.WorkingDays)
	r.Policy.Missing = calendar.RefuseUncertain
	at := local(t, "2026-12-28 10:00")
	if d, err := r.Start("handle/1/1/1", calendar.Handle, "issue", "C", at); !errors.Is(err, calendar.ErrUnknownYear) || d.ID != "" {
		t.Errorf("start: got %+v, %v, want nothing but ErrUnknownYear", d, err)
	}
	before := start(t, r, local(t, "2026-12-18 10:00"))
	if _, err := r.Restart(before, local(t, "2026-12-21 10:00"), at); !errors.Is(err, calendar.ErrUnknownYear) {
		t.Errorf("restart: got %v, want ErrUnknownYear", err)
	}
	if _, err := r.Extend(before, 5); !errors.Is(err, calendar.ErrUnknownYear) {
		t.Errorf("extend: got %v, want ErrUnknownYear", err)
	}
	if d, err := oneRowRefusing(30, calendar.NaturalDays).Start("handle/1/1/1", calendar.Handle, "issue", "C", at); err != nil || d.Provisional {
		t.Errorf("natural days need no notice: got %+v, %v", d, err)
	}
}

func oneRowRefusing(n int, k calendar.Kind) calendar.Rules {
	r := oneRow(calendar.China(), n, k)
	r.Policy.Missing = calendar.RefuseUncertain
	return r
}

func TestARestartIntoAnUnknownYearIsProvisional(t *testing.T) {
	r := oneRow(calendar.China(), 5, calendar.WorkingDays)
	d := start(t, r, local(t, "2026-12-14 10:00"))
	got, err := r.Restart(d, local(t, "2026-12-15 10:00"), local(t, "2026-12-28 10:00"))
	if err != nil || d.Provisional || !got.Provisional {
		t.Errorf("before the pause %t, after it %t, %v: want false, true", d.Provisional, got.Provisional, err)
	}
}

func TestSettlingAfterARestart(t *testing.T) {
	// Announced up to 2025 only: New Year's Day counts like any Thursday.
	r := oneRow(calendar.China().Without(2026), 5, calendar.WorkingDays)
	d := start(t, r, local(t, "2025-12-10 10:00"))
	restart := local(t, "2025-12-30 09:00")
	d, err := r.Restart(d, local(t, "2025-12-11 10:00"), restart) // four days are left
	if err != nil || wall(d.Due) != "2026-01-05 23:59:59" || !d.Provisional {
		t.Fatalf("got %s (provisional %t), %v, want 2026-01-05 provisional", wall(d.Due), d.Provisional, err)
	}
	// The notice: 1–3 January off, Sunday the 4th made up.
	now := oneRow(calendar.China(), 5, calendar.WorkingDays)
	got, err := now.Settle(d, restart)
	if err != nil {
		t.Fatal(err)
	}
	if wall(got.Due) != "2026-01-06 23:59:59" || got.Provisional || got.Calendar != "cn-2026#1" {
		t.Errorf("got %s by %s (provisional %t), want 2026-01-06 by cn-2026#1", wall(got.Due), got.Calendar, got.Provisional)
	}
	want := []calendar.Date{date(t, "2026-01-01"), date(t, "2026-01-02"), date(t, "2026-01-03")}
	if !reflect.DeepEqual(got.Skipped, want) {
		t.Errorf("skipped: got %v, want %v", got.Skipped, want)
	}
	if again, err := now.Settle(got, restart); err != nil || again.Due != got.Due {
		t.Errorf("settling twice: got %s, %v", wall(again.Due), err)
	}
	if _, err := now.Settle(d, d.Due.Add(time.Second)); !errors.Is(err, calendar.ErrBackwards) {
		t.Errorf("settling from after the due: got %v, want ErrBackwards", err)
	}
}

func TestSettlingWhenTheDayOfTheStartTurnsOutAWorkingDay(t *testing.T) {
	d := start(t, oneRow(calendar.China().Without(2026), 1, calendar.ServiceHours), local(t, "2026-02-28 00:00")) // Saturday
	r := oneRow(calendar.China(), 1, calendar.ServiceHours)
	r.Policy.Settle = calendar.Recomputed
	got, err := r.Settle(d, d.StartedAt)
	if err != nil || wall(got.Due) != "2026-02-28 09:30:00" || len(got.Skipped) != 0 {
		t.Errorf("got %s, skipped %v, %v, want 2026-02-28 09:30:00 and nothing skipped", wall(got.Due), got.Skipped, err)
	}
}

func TestARestartNeverMakesADueEarlier(t *testing.T) {
	d := start(t, oneRow(calendar.China().Without(2026), 2, calendar.WorkingDays), local(t, "2025-12-31 08:00"))
	if wall(d.Due) != "2026-01-02 23:59:59" {
		t.Fatalf("got %s, want 2026-01-02 as long as no holiday is known", wall(d.Due))
	}
	// By the notice nothing is left to count after 31 December; the resident was told the 2nd.
	got, err := oneRow(calendar.China(), 2, calendar.WorkingDays).Restart(d, local(t, "2025-12-31 09:00"), local(t, "2025-12-31 10:00"))
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("got %+v, %v, want %+v", got, err, d)
	}
}

func TestSkippedHoldsEachDayOnce(t *testing.T) {
	r := oneRow(calendar.China(), 2, calendar.ServiceHours)
	d := start(t, r, local(t, "2026-03-07 10:00")) // Saturday
	got, err := r.Restart(d, local(t, "2026-03-07 11:00"), local(t, "2026-03-08 12:00"))
	if err != nil || got.Due != d.Due {
		t.Fatalf("a pause over the weekend: got %s, %v, want %s", wall(got.Due), err, wall(d.Due))
	}
	got, err = r.Restart(d, local(t, "2026-03-08 11:00"), local(t, "2026-03-14 12:00"))
	if err != nil {
		t.Fatal(err)
	}
	d, err = r.Restart(got, local(t, "2026-03-14 13:00"), local(t, "2026-03-21 14:00"))
	if err != nil {
		t.Fatal(err)
	}
	want := []calendar.Date{date(t, "2026-03-07"), date(t, "2026-03-08"), date(t, "2026-03-14"), date(t, "2026-03-21"), date(t, "2026-03-22")}
	if wall(d.Due) != "2026-03-23 10:30:00" || !reflect.DeepEqual(d.Skipped, want) {
		t.Errorf("got %s, skipped %v, want 2026-03-23 10:30:00, skipped %v", wall(d.Due), d.Skipped, want)
	}
}

func TestOnlySettlingEndsBeingProvisional(t *testing.T) {
	d := start(t, oneRow(calendar.China().Without(2026), 5, calendar.WorkingDays), local(t, "2025-12-29 10:00"))
	got, err := oneRow(calendar.China(), 5, calendar.WorkingDays).Restart(d, local(t, "2025-12-30 10:00"), local(t, "2026-03-03 10:00"))
	if err != nil || !d.Provisional || !got.Provisional {
		t.Errorf("before the pause %t, after it %t, %v: want true, true", d.Provisional, got.Provisional, err)
	}
}

func TestAWarningAtTheOpeningSecondStays(t *testing.T) {
	r := oneRow(calendar.China(), 7, calendar.NaturalDays)
	r.Policy.DayEnd = calendar.EndOfService
	d := start(t, r, local(t, "2026-03-05 10:00"))                            // due Thursday the 12th, 17:30
	r.Policy.Service = []calendar.Segment{{Open: 17*60 + 30, Close: 20 * 60}} // a later policy: evenings
	got := r.Warnings(d)
	if len(got) != 2 || wall(got[0]) != "2026-03-10 17:30:00" || wall(got[1]) != "2026-03-11 17:30:00" {
		t.Errorf("got %v, want 48 and 24 hours before %s to the second", got, wall(d.Due))
	}
}

func TestSettlingKeepsTheDaysSkippedBeforeTheRestart(t *testing.T) {
	r := oneRow(calendar.China().Without(2026), 5, calendar.WorkingDays)
	d := start(t, r, local(t, "2025-12-19 10:00")) // Friday
	restart := local(t, "2025-12-31 10:00")
	d, err := r.Restart(d, local(t, "2025-12-24 10:00"), restart) // two days are left
	if err != nil {
		t.Fatal(err)
	}
	d, err = oneRow(calendar.China(), 5, calendar.WorkingDays).Settle(d, restart)
	want := []calendar.Date{date(t, "2025-12-20"), date(t, "2025-12-21"), date(t, "2026-01-01"), date(t, "2026-01-02"), date(t, "2026-01-03")}
	if err != nil || wall(d.Due) != "2026-01-05 23:59:59" || !reflect.DeepEqual(d.Skipped, want) {
		t.Errorf("got %s, skipped %v, %v, want 2026-01-05, skipped %v", wall(d.Due), d.Skipped, err, want)
	}
}

func TestSettlingARolledDue(t *testing.T) {
	r := oneRow(calendar.China().Without(2026), 7, calendar.NaturalDays)
	r.Policy.NaturalRoll = calendar.NextWorkingDay
	d := start(t, r, local(t, "2025-12-27 10:00")) // Saturday 3 January rolls to Monday the 5th
	if wall(d.Due) != "2026-01-05 23:59:59" || !d.Provisional {
		t.Fatalf("got %s (provisional %t), want 2026-01-05 provisional", wall(d.Due), d.Provisional)
	}
	r.Calendar = calendar.China()
	r.Policy.Settle = calendar.Recomputed
	got, err := r.Settle(d, d.StartedAt)
	if err != nil || wall(got.Due) != "2026-01-04 23:59:59" || got.Provisional { // Sunday the 4th is made up
		t.Errorf("recomputed: got %s (provisional %t), %v, want 2026-01-04", wall(got.Due), got.Provisional, err)
	}
	r.Policy.Settle = calendar.LaterOfTwo
	got, err = r.Settle(d, d.StartedAt)
	if err != nil || got.Due != d.Due || got.Provisional || !reflect.DeepEqual(got.Skipped, d.Skipped) {
		t.Errorf("later of two: got %s (provisional %t), %v, want 2026-01-05", wall(got.Due), got.Provisional, err)
	}
}

func TestWhatCannotBeMoved(t *testing.T) {
	r := china()
	at := local(t, "2026-03-03 10:00")
	for _, c := range calendar.Clocks() {
		if c.Dated() || c == calendar.ReportIn {
			continue
		}
		d, err := r.Start("x", c, "issue", "C", at)
		if err != nil {
			t.Fatal(err)
		}
		pauses := c == calendar.Handle || c == calendar.Rework
		if _, err := r.Restart(d, at, at.Add(time.Hour)); errors.Is(err, calendar.ErrFixed) == pauses {
			t.Errorf("restart %s: got %v, want it moved: %t", c, err, pauses)
		}
		extends := pauses || c == calendar.Rung
		if _, err := r.Extend(d, 1); errors.Is(err, calendar.ErrFixed) == extends {
			t.Errorf("extend %s: got %v, want it moved: %t", c, err, extends)
		}
	}
}

func TestBoundsAreRefused(t *testing.T) {
	r := china()
	at := local(t, "2026-03-03 10:00")
	d, err := r.Start("handle/1/1/1", calendar.Handle, "issue", "C", at)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{-1, 0, 8} {
		if _, err := r.Extend(d, n); !errors.Is(err, calendar.ErrExtension) {
			t.Errorf("extend 7 days by %d: got %v, want ErrExtension", n, err)
		}
	}
	if got, err := r.Extend(d, 7); err != nil || wall(got.Due) != "2026-03-17 23:59:59" {
		t.Errorf("extend 7 days by 7: got %s, %v, want 2026-03-17 23:59:59", wall(got.Due), err)
	}
	if _, err := r.Restart(d, at.Add(time.Second), at); !errors.Is(err, calendar.ErrBackwards) {
		t.Errorf("restart before the freeze: got %v, want ErrBackwards", err)
	}
	if _, err := r.Until("x", calendar.TopicReview, at, date(t, "2026-03-02")); !errors.Is(err, calendar.ErrBackwards) {
		t.Errorf("until yesterday: got %v, want ErrBackwards", err)
	}
	if got, err := r.Until("x", calendar.TopicReview, at, date(t, "2026-03-03")); err != nil || wall(got.Due) != "2026-03-03 23:59:59" {
		t.Errorf("until today: got %s, %v", wall(got.Due), err)
	}
	evening := china()
	evening.Policy.DayEnd = calendar.EndOfService
	if _, err := evening.Until("x", calendar.TopicReview, at.Add(8*time.Hour), date(t, "2026-03-03")); !errors.Is(err, calendar.ErrBackwards) {
		t.Errorf("until today after service: got %v, want ErrBackwards", err)
	}
	if _, err := r.Start("x", "handel", "issue", "C", at); !errors.Is(err, calendar.ErrUnknownClock) {
		t.Errorf("start handel: got %v, want ErrUnknownClock", err)
	}
	if _, err := r.Until("x", "handel", at, date(t, "2026-03-09")); !errors.Is(err, calendar.ErrUnknownClock) {
		t.Errorf("until handel: got %v, want ErrUnknownClock", err)
	}
}

func TestAPromiseAfterACallbackHasTheAmountOfRework(t *testing.T) {
	d, err := china().StartLike("promise/2/1/1", calendar.Promise, calendar.Rework, "issue", "C", local(t, "2025-09-10 09:00"))
	if err != nil || d.Clock != calendar.Promise || wall(d.Due) != "2025-09-30 23:59:59" {
		t.Errorf("got %+v, %v, want a promise due 2025-09-30 23:59:59", d, err)
	}
}

func TestWindowsAndCaps(t *testing.T) {
	r := china()
	from := local(t, "2026-02-10 16:00")
	for w, want := range map[calendar.Window]string{
		calendar.LateEntry:        "2026-03-12 23:59:59",
		calendar.OfflineWindow:    "2026-02-11 16:00:00",
		calendar.LateWindow:       "2026-02-11 16:00:00",
		calendar.Appeal:           "2026-02-25 23:59:59",
		calendar.AppealDecision:   "2026-02-24 23:59:59", // 11, 12, 13, the make-up Saturday 14, then the 24th
		calendar.CallbackAttempts: "2026-02-17 23:59:59",
		calendar.Reopen:           "2026-03-12 23:59:59",
		calendar.Rerate:           "2026-02-17 23:59:59",
	} {
		if got := wall(r.Closes(w, from)); got != want {
			t.Errorf("%s: got %s, want %s", w, got, want)
		}
	}
	if got := r.Closes("repoen", from); !got.IsZero() {
		t.Errorf("a window the policy does not have: got %s, want never open", got)
	}
	for c, want := range map[calendar.Cap]string{
		calendar.SuspensionCap: "2026-05-11", calendar.TopicReviewCap: "2026-08-09", calendar.TargetDateCap: "2026-08-09",
		calendar.RungExtensionCap: "2026-02-25",
	} {
		if got := r.Cap(c, from).String(); got != want {
			t.Errorf("%s: got %s, want %s", c, got, want)
		}
	}
}

func TestEffectiveInstant(t *testing.T) {
	window := calendar.DefaultPolicy().Offline()
	if window != 24*time.Hour {
		t.Fatalf("offline window: got %s, want 24h", window)
	}
	recorded := local(t, "2026-03-03 10:00")
	opened := recorded.Add(-30 * time.Hour)
	for _, tc := range []struct {
		name     string
		occurred time.Duration // before recorded
		opened   time.Time
		want     time.Duration // before recorded
	}{
		{"entered at once", 0, opened, 0},
		{"entered within the day", 23 * time.Hour, opened, 23 * time.Hour},
		{"entered after exactly a day", 24 * time.Hour, opened, 24 * time.Hour},
		{"entered a second later than a day", 24*time.Hour + time.Second, opened, 0},
		{"in the future", -time.Second, opened, 0},
		{"in the same second, fractions apart", -500 * time.Millisecond, opened, 0},
		{"before the state it answers", 3 * time.Hour, recorded.Add(-2 * time.Hour), 0},
		{"in the second the state was opened", 2 * time.Hour, recorded.Add(-2*time.Hour + 300*time.Millisecond), 2 * time.Hour},
		{"answers nothing", 2 * time.Hour, time.Time{}, 2 * time.Hour},
	} {
		got := calendar.EffectiveInstant(recorded.Add(-tc.occurred), recorded, tc.opened, window)
		if want := recorded.Add(-tc.want).UTC(); got != want {
			t.Errorf("%s: got %s, want %s", tc.name, wall(got), wall(want))
		}
	}
	if got := calendar.EffectiveInstant(time.Time{}, recorded, opened, window); got != recorded.UTC() {
		t.Errorf("not said when: got %s, want %s", wall(got), wall(recorded))
	}
}

func TestOnTimeGoesByWholeSeconds(t *testing.T) {
	due := local(t, "2026-03-03 23:59:59")
	for after, want := range map[time.Duration]bool{-time.Second: true, 0: true, 999 * time.Millisecond: true, time.Second: false} {
		if got := calendar.OnTime(due.Add(after), due); got != want {
			t.Errorf("%s after the due instant: got on time %t, want %t", after, got, want)
		}
	}
}

func ExampleRules_Restart() {
	rules := calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}
	at := func(month time.Month, day int) time.Time {
		return time.Date(2025, month, day, 10, 0, 0, 0, calendar.Zone())
	}
	due, err := rules.Start("rework/2/1/1", calendar.Rework, "issue", "C", at(9, 10))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(calendar.DateOf(due.Due))
	due, err = rules.Restart(due, at(9, 19), at(10, 20)) // suspended, with eight working days left
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(calendar.DateOf(due.Due), "instead of", calendar.DateOf(due.OriginalDue), "by", due.Calendar)
	// Output:
	// 2025-09-30
	// 2025-10-30 instead of 2025-09-30 by cn-2026#1
}

func BenchmarkStart(b *testing.B) {
	r := china()
	at := local(b, "2025-09-10 09:00")
	for _, c := range []calendar.Clock{calendar.Handle, calendar.Rework, calendar.Sign, calendar.ObjectionDecision} {
		b.Run(string(c), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Start("x/1/1/1", c, "issue", "C", at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
