package calendar_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
)

var kinds = []calendar.Kind{
	calendar.NaturalMinutes, calendar.NaturalHours, calendar.ServiceHours, calendar.NaturalDays, calendar.WorkingDays,
}

// instant draws a whole second, most of them inside the known years, some after them.
func instant(t *rapid.T, name string) time.Time {
	from := time.Date(2017, 1, 1, 0, 0, 0, 0, calendar.Zone()).Unix()
	to := time.Date(2027, 3, 1, 0, 0, 0, 0, calendar.Zone()).Unix()
	return time.Unix(rapid.Int64Range(from, to).Draw(t, name), 0).UTC()
}

// minute draws a whole minute.
func minute(t *rapid.T, name string) time.Time { return instant(t, name).Truncate(time.Minute) }

func amount(t *rapid.T) calendar.Amount {
	return calendar.Amount{N: rapid.IntRange(1, 60).Draw(t, "n"), Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
}

// drawStart starts handle with a drawn amount.
func drawStart(t *rapid.T, a calendar.Amount, at time.Time) (calendar.Rules, calendar.Due) {
	r := oneRow(calendar.China(), a.N, a.Kind)
	d, err := r.Start("handle/1/1/1", calendar.Handle, "issue", "C", at)
	if err != nil {
		t.Fatal(err)
	}
	return r, d
}

// servedMinutes is the slow way to count service time: it looks at every minute.
func servedMinutes(c *calendar.Calendar, from, to time.Time) int {
	n := 0
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		w := at.In(calendar.Zone())
		m := w.Hour()*60 + w.Minute()
		if c.IsWorkday(calendar.DateOf(at)) && (m >= 510 && m < 720 || m >= 870 && m < 1050) {
			n++
		}
	}
	return n
}

func TestLawBetweenUndoesAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, at, a := china(), instant(t, "at"), amount(t)
		if got := r.Between(at, r.Add(at, a), a.Kind); got != a.N {
			t.Fatalf("between %s and %s: got %d %s, want %d", wall(at), wall(r.Add(at, a)), got, a.Kind, a.N)
		}
	})
}

func TestLawAddGoesForwardAndKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, at, a := china(), instant(t, "at"), amount(t)
		due := r.Add(at, a)
		if !due.After(at) {
			t.Fatalf("%s + %s = %s goes backward", wall(at), a, wall(due))
		}
		more := calendar.Amount{N: a.N + 1, Kind: a.Kind}
		if !r.Add(at, more).After(due) {
			t.Fatalf("%s: %s is not due after %s", wall(at), more, a)
		}
		later := at.Add(time.Duration(rapid.IntRange(0, 10*86400).Draw(t, "later")) * time.Second)
		if r.Add(later, a).Before(due) {
			t.Fatalf("%s: started at %s it is due %s, started earlier at %s only %s", a, wall(later), wall(r.Add(later, a)), wall(at), wall(due))
		}
	})
}

func TestLawServiceHoursAgreeWithCountingMinutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, at, n := china(), minute(t, "at"), rapid.IntRange(1, 20).Draw(t, "n")
		due := r.Add(at, calendar.Amount{N: n, Kind: calendar.ServiceHours})
		if got := servedMinutes(r.Calendar, at, due); got != n*60 {
			t.Fatalf("%s + %d service hours = %s: %d minutes lie between", wall(at), n, wall(due), got)
		}
		if servedMinutes(r.Calendar, due.Add(-time.Minute), due) != 1 {
			t.Fatalf("%s + %d service hours = %s: complete before that", wall(at), n, wall(due))
		}
	})
}

func TestLawWorkingDaysAgreeWithSkipped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, n := instant(t, "at"), rapid.IntRange(1, 60).Draw(t, "n")
		r, d := drawStart(t, calendar.Amount{N: n, Kind: calendar.WorkingDays}, at)
		if days := int(calendar.DateOf(d.Due) - calendar.DateOf(at)); days != n+len(d.Skipped) {
			t.Fatalf("%d days up to the due, %d counted and %d skipped", days, n, len(d.Skipped))
		}
		for _, day := range d.Skipped {
			if r.Calendar.IsWorkday(day) {
				t.Fatalf("%s is skipped and is a working day", day)
			}
		}
		if want := calendar.DateOf(d.Due) >= date2026End; d.Provisional != want {
			t.Fatalf("due %s: got provisional %t, want %t", wall(d.Due), d.Provisional, want)
		}
	})
}

// date2026End is 2026-12-29: the first date that the notice for 2027 may still name.
var date2026End = calendar.DateOf(time.Date(2026, 12, 29, 0, 0, 0, 0, calendar.Zone()))

func TestLawASuspendedSpanIsNeverCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := calendar.Amount{N: rapid.IntRange(1, 30).Draw(t, "n"), Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		at := minute(t, "at")
		r, d := drawStart(t, a, at)
		frozen := at.Add(time.Duration(rapid.Int64Range(0, int64(d.Due.Sub(at)/time.Minute)).Draw(t, "used")) * time.Minute)
		restart := frozen.Add(time.Duration(rapid.IntRange(0, 40*24*60).Draw(t, "pause")) * time.Minute)
		got, err := r.Restart(d, frozen, restart)
		if err != nil {
			t.Fatal(err)
		}
		var counted, want int
		switch a.Kind {
		case calendar.NaturalMinutes, calendar.NaturalHours:
			counted = int((frozen.Sub(at) + got.Due.Sub(restart)) / time.Minute)
			want = int(d.Due.Sub(at) / time.Minute)
		case calendar.ServiceHours:
			counted = servedMinutes(r.Calendar, at, frozen) + servedMinutes(r.Calendar, restart, got.Due)
			want = a.N * 60
		default:
			counted = r.Between(at, frozen, a.Kind) + r.Between(restart, got.Due, a.Kind)
			want = a.N
		}
		if counted != want {
			t.Fatalf("%s from %s, frozen %s, restarted %s, due %s: counted %d, want %d", a, wall(at), wall(frozen), wall(restart), wall(got.Due), counted, want)
		}
		if got.Due.Before(d.Due) {
			t.Fatalf("due went from %s back to %s", wall(d.Due), wall(got.Due))
		}
		if got.OriginalDue != d.OriginalDue || got.StartedAt != d.StartedAt || got.Amount != d.Amount {
			t.Fatalf("a restart changed what it must keep: %+v, before %+v", got, d)
		}
	})
}

func TestLawNoPauseChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, a := instant(t, "at"), amount(t)
		r, d := drawStart(t, a, at)
		moment := at.Add(time.Duration(rapid.Int64Range(0, int64(2*d.Due.Sub(at)/time.Second)).Draw(t, "used")) * time.Second)
		got, err := r.Restart(d, moment, moment)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, d) {
			t.Fatalf("got %+v, want %+v", got, d)
		}
	})
}

func TestLawAnExtensionIsCountedFromTheDue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, a := instant(t, "at"), amount(t)
		r, d := drawStart(t, a, at)
		more := rapid.IntRange(1, a.N).Draw(t, "more")
		got, err := r.Extend(d, more)
		if err != nil {
			t.Fatal(err)
		}
		if n := r.Between(d.Due, got.Due, a.Kind); n != more {
			t.Fatalf("%s to %s: got %d %s, want %d", wall(d.Due), wall(got.Due), n, a.Kind, more)
		}
		if n := r.Between(at, got.Due, a.Kind); n != a.N+more {
			t.Fatalf("%s to %s: got %d %s, want %d", wall(at), wall(got.Due), n, a.Kind, a.N+more)
		}
		whole, err := oneRow(r.Calendar, a.N+more, a.Kind).Start(d.ID, d.Clock, "issue", "C", at)
		if err != nil {
			t.Fatal(err)
		}
		if whole.Due != got.Due || !reflect.DeepEqual(whole.Skipped, got.Skipped) || whole.Provisional != got.Provisional {
			t.Fatalf("extended: %+v; given at once: %+v", got, whole)
		}
		if got.OriginalDue != d.Due || got.Amount != a.N {
			t.Fatalf("an extension changed what it must keep: %+v, before %+v", got, d)
		}
	})
}

func TestLawWarningsComeInServiceTimeBeforeTheDue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, a := minute(t, "at"), amount(t)
		r, d := drawStart(t, a, at)
		last := d.StartedAt
		for _, w := range r.Warnings(d) {
			if !w.After(last) || !w.Before(d.Due) {
				t.Fatalf("warning %s: want it after %s and before %s", wall(w), wall(last), wall(d.Due))
			}
			last = w
			switch a.Kind {
			case calendar.NaturalDays, calendar.WorkingDays:
				if clock := w.In(calendar.Zone()).Format("15:04:05"); !r.Calendar.IsWorkday(calendar.DateOf(w)) || clock != "17:30:00" {
					t.Fatalf("warning %s of %s is not at closing time of a working day", wall(w), wall(d.Due))
				}
			case calendar.ServiceHours:
				if used := servedMinutes(r.Calendar, at, w); used != a.N*45 {
					t.Fatalf("warning %s with %d minutes used of %s", wall(w), used, a)
				}
				if servedMinutes(r.Calendar, w.Add(-time.Minute), w) != 1 {
					t.Fatalf("warning %s: three quarters of %s were used before", wall(w), a)
				}
			}
		}
	})
}

func TestLawSettlingGivesWhatWouldHaveBeenOrLater(t *testing.T) {
	before := calendar.China().Without(2026)
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom([]calendar.Kind{calendar.WorkingDays, calendar.ServiceHours}).Draw(t, "kind")
		n := rapid.IntRange(1, 40).Draw(t, "n")
		from := time.Date(2025, 12, 1, 0, 0, 0, 0, calendar.Zone()).Unix()
		at := time.Unix(rapid.Int64Range(from, from+120*86400).Draw(t, "at"), 0).UTC()
		old, err := oneRow(before, n, k).Start("handle/1/1/1", calendar.Handle, "issue", "C", at)
		if err != nil {
			t.Fatal(err)
		}
		r := oneRow(calendar.China(), n, k)
		fresh, err := r.Start("handle/1/1/1", calendar.Handle, "issue", "C", at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Settle(old, at)
		if err != nil {
			t.Fatal(err)
		}
		want := fresh.Due
		if old.Due.After(want) {
			want = old.Due
		}
		if got.Due != want || got.OriginalDue != old.OriginalDue || got.Provisional {
			t.Fatalf("old due %s, fresh %s: got %s (provisional %t)", wall(old.Due), wall(fresh.Due), wall(got.Due), got.Provisional)
		}
		r.Policy.Settle = calendar.Recomputed
		if got, err = r.Settle(old, at); err != nil || got.Due != fresh.Due || !reflect.DeepEqual(got.Skipped, fresh.Skipped) {
			t.Fatalf("recomputed: got %+v, %v, want %+v", got, err, fresh)
		}
	})
}

func TestLawARecordedDueReadsBackTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, d := drawStart(t, amount(t), instant(t, "at").Add(123*time.Millisecond))
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var got calendar.Due
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, d) {
			t.Fatalf("got %+v, want %+v, from %s", got, d, b)
		}
	})
}
