package calendar_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
)

// shelf finds every calendar that r's has been, with r's policy.
func shelf(r calendar.Rules) func(calendar.Due) (calendar.Rules, error) {
	return func(d calendar.Due) (calendar.Rules, error) {
		c, known := r.Calendar.AsOf(d.Calendar)
		if !known || d.Policy != r.Policy.Name || d.PolicyVersion != r.Policy.Version {
			return calendar.Rules{}, fmt.Errorf("no calendar %s with policy %s version %d", d.Calendar, d.Policy, d.PolicyVersion)
		}
		return calendar.Rules{Calendar: c, Policy: r.Policy}, nil
	}
}

// fatal is what a test and a check of a law have in common.
type fatal interface {
	Helper()
	Fatalf(string, ...any)
}

// reconciled explains a course and checks that the answer adds up: parts in order and apart, each day either counted or
// passed over, all of it the amount owed, the end of it the recorded due.
func reconciled(t fatal, r calendar.Rules, c calendar.Course) calendar.Explanation {
	t.Helper()
	x, err := c.Explain(shelf(r))
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	if x.Counted != x.Owed {
		t.Fatalf("%+v:\ncounted %d, owed %d: %+v", c, x.Counted, x.Owed, x.Spells)
	}
	due, sum := c.Last(), 0
	last := c.First.StartedAt
	for _, s := range x.Spells {
		n := 0
		days := int(calendar.DateOf(s.Until) - calendar.DateOf(s.From))
		for _, p := range s.Parts {
			n += p.Count
			if p.From.Before(last) || !p.Until.After(p.From) || p.Count < 1 {
				t.Fatalf("part %s to %s, %d, after %s: %+v", wall(p.From), wall(p.Until), p.Count, wall(last), s)
			}
			last = p.Until
		}
		if n != s.Counted {
			t.Fatalf("parts add up to %d, the spell says %d: %+v", n, s.Counted, s)
		}
		if (due.Kind == calendar.WorkingDays || due.Kind == calendar.NaturalDays || due.Kind == calendar.NamedDate) && s.Counted+len(s.Skipped) != days {
			t.Fatalf("%d days counted and %d passed over of %d: %+v", s.Counted, len(s.Skipped), days, s)
		}
		sum += n
	}
	if sum != x.Counted {
		t.Fatalf("spells add up to %d, want %d", sum, x.Counted)
	}
	if end := x.Spells[len(x.Spells)-1].Until; !end.Equal(due.Due) {
		t.Fatalf("%+v:\nends %s, recorded is %s", c, wall(end), wall(due.Due))
	}
	if due.Provisional != !x.Unknown.IsZero() {
		t.Fatalf("%+v: provisional %t, unknown from %q", c, due.Provisional, x.Unknown)
	}
	return x
}

func TestEveryGoldenDateIsExplained(t *testing.T) {
	for _, g := range workingDayGoldens {
		r := oneRow(calendar.China(), g.days, calendar.WorkingDays)
		x := reconciled(t, r, calendar.Course{First: start(t, r, local(t, g.start+" 10:00"))})
		if x.Owed != g.days || len(x.Spells) != 1 || len(x.Spells[0].Parts) != g.days {
			t.Errorf("%s + %d: got %d parts of %d, want a part for each day", g.start, g.days, len(x.Spells[0].Parts), x.Owed)
		}
	}
	for _, s := range []string{"2023-09-28 17:00:00", "2023-10-08 07:10:00", "2023-10-07 11:30:00", "2024-02-09 17:00:00", "2025-09-30 17:30:00",
		"2025-10-09 12:15:00", "2025-03-07 16:00:00"} {
		r := oneRow(calendar.China(), 2, calendar.ServiceHours)
		if x := reconciled(t, r, calendar.Course{First: start(t, r, local(t, s))}); x.Owed != 7200 {
			t.Errorf("%s: owed %d seconds, want 7200", s, x.Owed)
		}
	}
}

// say writes an explanation in a line for each part.
func say(x calendar.Explanation) (lines []string) {
	ground := func(g *calendar.Ground) string {
		if g == nil {
			return ""
		}
		return fmt.Sprintf(" (%d %s)", g.Year, g.Occasion)
	}
	for _, s := range x.Spells {
		lines = append(lines, fmt.Sprintf("%s%s counts %d with %s", s.Turn, wall(s.From)[4:16], s.Counted, s.Due.Calendar))
		for _, p := range s.Parts {
			lines = append(lines, fmt.Sprintf("+ %s–%s %d%s", wall(p.From)[5:16], wall(p.Until)[11:16], p.Count, ground(p.MakeUp)))
		}
		for _, d := range s.Skipped {
			why := " weekend"
			if d.Ground != nil {
				why = ground(d.Ground)
			}
			lines = append(lines, fmt.Sprintf("- %s%s", d.Date, why))
		}
	}
	return lines
}

func TestAnExplanationNamesEachWindowAndEachDayPassedOver(t *testing.T) {
	r := oneRow(calendar.China(), 2, calendar.ServiceHours)
	got := say(reconciled(t, r, calendar.Course{First: start(t, r, local(t, "2024-02-09 17:00"))}))
	want := []string{"-02-09 17:00 counts 7200 with cn-2026#1", "+ 02-09 17:00–17:30 1800", "+ 02-18 08:30–10:00 5400 (2024 春节)"}
	for d := 10; d <= 17; d++ {
		want = append(want, fmt.Sprintf("- 2024-02-%d (2024 春节)", d))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	r = oneRow(calendar.China(), 3, calendar.WorkingDays)
	got = say(reconciled(t, r, calendar.Course{First: start(t, r, local(t, "2025-09-26 10:00"))}))
	want = []string{"-09-26 10:00 counts 3 with cn-2026#1", "+ 09-28 00:00–23:59 1 (2025 国庆节、中秋节)", "+ 09-29 00:00–23:59 1", "+ 09-30 00:00–23:59 1",
		"- 2025-09-27 weekend"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// The suspension golden: seven days before the freeze, eight after the restart.
func TestASuspensionIsExplained(t *testing.T) {
	r := oneRow(calendar.China(), 15, calendar.WorkingDays)
	d := start(t, r, local(t, "2025-09-10 09:00"))
	frozen, restart := local(t, "2025-09-19 16:20"), local(t, "2025-10-20 08:45")
	moved, err := r.Restart(d, frozen, restart)
	if err != nil {
		t.Fatal(err)
	}
	x := reconciled(t, r, calendar.Course{First: d, Moves: []calendar.Move{{Turn: calendar.Pause, Frozen: frozen, Restart: restart, Due: moved}}})
	if len(x.Spells) != 2 || x.Spells[0].Counted != 7 || x.Spells[1].Counted != 8 || x.Spells[1].Turn != calendar.Pause {
		t.Errorf("got %q, want 7 and 8 days", say(x))
	}
	// While it still stands still, what is left is what does not add up.
	c := calendar.Course{First: d, Moves: []calendar.Move{{Turn: calendar.Pause, Frozen: frozen, Due: d}}}
	if x, err = c.Explain(shelf(r)); err != nil || !c.Stopped() || x.Owed-x.Counted != 8 || !x.Spells[0].Until.Equal(frozen) {
		t.Errorf("frozen: got %q, %v, want 8 days left", say(x), err)
	}
}

// A due is explained with the calendar that it names. The seeded bug is to take the newest instead.
func TestADueIsExplainedWithTheCalendarItNamesAndNotTheNewest(t *testing.T) {
	old, now := calendar.China().Without(2026), calendar.China()
	r := oneRow(old, 3, calendar.WorkingDays)
	d := start(t, r, local(t, "2025-12-31 10:00"))
	x := reconciled(t, calendar.Rules{Calendar: now, Policy: r.Policy}, calendar.Course{First: d})
	if got := x.Unknown; got != date(t, "2026-01-01") {
		t.Errorf("provisional from %s, want from 2026-01-01", got)
	}
	want := []string{"-12-31 10:00 counts 3 with cn-2025#1", "+ 01-01 00:00–23:59 1", "+ 01-02 00:00–23:59 1", "+ 01-05 00:00–23:59 1",
		"- 2026-01-03 weekend", "- 2026-01-04 weekend"}
	if got := say(x); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	newest := func(calendar.Due) (calendar.Rules, error) {
		return calendar.Rules{Calendar: now, Policy: r.Policy}, nil
	}
	if wrong, err := (calendar.Course{First: d}).Explain(newest); err != nil || !wrong.Spells[0].Parts[0].Kept {
		t.Errorf("with the newest calendar: got %+v, %v; want New Year's Day seen as a contradiction", wrong.Spells, err)
	}
	// Settled, it is explained with the later one.
	settled, err := calendar.Rules{Calendar: now, Policy: r.Policy}.Settle(d, d.StartedAt)
	if err != nil {
		t.Fatal(err)
	}
	x = reconciled(t, calendar.Rules{Calendar: now, Policy: r.Policy}, calendar.Course{First: d, Moves: []calendar.Move{{Turn: calendar.Recount, Due: settled}}})
	want = []string{"recount-12-31 10:00 counts 3 with cn-2026#1", "+ 01-04 00:00–23:59 1 (2026 元旦)", "+ 01-05 00:00–23:59 1", "+ 01-06 00:00–23:59 1",
		"- 2026-01-01 (2026 元旦)", "- 2026-01-02 (2026 元旦)", "- 2026-01-03 (2026 元旦)"}
	if got := say(x); !slices.Equal(got, want) {
		t.Errorf("settled: got  %q\nwant %q", got, want)
	}
}

func TestLawAnExplanationAddsUpToTheAmountAndEndsAtTheDue(t *testing.T) {
	turns := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		at, a := minute(t, "at"), amount(t)
		r, d := drawStart(t, a, at)
		c := calendar.Course{First: d}
		now := at
		for range rapid.IntRange(0, 4).Draw(t, "moves") {
			switch rapid.IntRange(0, 2).Draw(t, "turn") {
			case 0:
				by := rapid.IntRange(1, a.N).Draw(t, "by")
				more, err := r.Extend(c.Last(), by)
				if err != nil {
					t.Fatal(err)
				}
				c.Moves = append(c.Moves, calendar.Move{Turn: calendar.Extension, By: by, Due: more})
				turns["extension"]++
			default:
				frozen := now.Add(time.Duration(rapid.IntRange(0, 20*24*60).Draw(t, "used")) * time.Minute)
				restart := frozen.Add(time.Duration(rapid.IntRange(0, 40*24*60).Draw(t, "pause")) * time.Minute)
				moved, err := r.Restart(c.Last(), frozen, restart)
				if err != nil {
					t.Fatal(err)
				}
				c.Moves, now = append(c.Moves, calendar.Move{Turn: calendar.Pause, Frozen: frozen, Restart: restart, Due: moved}), restart
				turns["pause"]++
			}
		}
		x := reconciled(t, r, c)
		for _, s := range x.Spells {
			for _, off := range s.Skipped {
				if off.Kept || r.Calendar.IsWorkday(off.Date) {
					t.Fatalf("%s is passed over and is a working day", off.Date)
				}
			}
			for i, m := range c.Moves {
				if m.Turn != calendar.Pause || a.Kind == calendar.WorkingDays || a.Kind == calendar.NaturalDays {
					continue
				}
				before := c.First
				if i > 0 {
					before = c.Moves[i-1].Due
				}
				if before.Due.Equal(m.Due.Due) {
					continue // it stood still when there was nothing to count
				}
				for _, p := range s.Parts {
					if p.From.Before(m.Restart) && p.Until.After(m.Frozen) {
						t.Fatalf("part %s to %s counts, and the clock stood still from %s to %s", wall(p.From), wall(p.Until), wall(m.Frozen), wall(m.Restart))
					}
				}
			}
		}
	})
	if turns["pause"] < 20 || turns["extension"] < 20 {
		t.Errorf("only %v turns were drawn", turns)
	}
	t.Logf("turns drawn: %v", turns)
}

func TestLawASettledDueIsExplained(t *testing.T) {
	old := calendar.China().Without(2026)
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom([]calendar.Kind{calendar.WorkingDays, calendar.ServiceHours}).Draw(t, "kind")
		n := rapid.IntRange(1, 40).Draw(t, "n")
		at := time.Date(2025, 12, 1, 0, 0, 0, 0, calendar.Zone()).Add(time.Duration(rapid.IntRange(0, 60*24*60).Draw(t, "at")) * time.Minute)
		before := oneRow(old, n, k)
		d, err := before.Start("handle/1/1/1", calendar.Handle, "issue", "C", at)
		if err != nil {
			t.Fatal(err)
		}
		r := calendar.Rules{Calendar: calendar.China(), Policy: before.Policy}
		settled, err := r.Settle(d, d.StartedAt)
		if err != nil {
			t.Fatal(err)
		}
		if !d.Provisional {
			reconciled(t, r, calendar.Course{First: d})
			return
		}
		reconciled(t, r, calendar.Course{First: d, Moves: []calendar.Move{{Turn: calendar.Recount, Due: settled}}})
	})
}

func TestARollOntoAWorkingDayIsExplained(t *testing.T) {
	r := oneRow(calendar.China(), 7, calendar.NaturalDays)
	r.Policy.NaturalRoll = calendar.NextWorkingDay
	x := reconciled(t, r, calendar.Course{First: start(t, r, local(t, "2025-09-26 10:00"))}) // 3 October, in the holiday week
	if n := len(x.Spells[0].Skipped); n != 6 || x.Spells[0].Skipped[0].Ground.Occasion != "国庆节、中秋节" {
		t.Errorf("got %q, want the six days from 3 to 8 October passed over", say(x))
	}
}

func TestACalendarIsHadAgainAtEachOfItsVersions(t *testing.T) {
	c, _ := calendar.New()
	var all []*calendar.Calendar
	for _, n := range calendar.China().Notices() {
		next, err := c.With(n)
		if err != nil {
			t.Fatal(err)
		}
		all, c = append(all, next), next
	}
	fix := calendar.China().Notices()[3] // 2020 once more, behind 2026
	if next, err := c.With(fix); err != nil {
		t.Fatal(err)
	} else {
		all, c = append(all, next), next
	}
	for i, then := range all {
		for j, other := range all {
			if got := other.Includes(then.Version()); got != (j >= i) {
				t.Errorf("%s includes %s: %v, want %v", other.Version(), then.Version(), got, j >= i)
			}
		}
		got, known := c.AsOf(then.Version())
		if !known || !reflect.DeepEqual(got, then) {
			t.Errorf("%s: got %v, want the calendar of then", then.Version(), known)
		}
	}
	if _, known := c.AsOf("cn-2027#1"); known || c.Includes("cn-2027#1") || !c.Includes("cn-0#0") {
		t.Error("a version that never was is known, or the empty calendar is not")
	}
}

func TestTheRowThatGaveAnAmountIsFound(t *testing.T) {
	r := china()
	for _, tc := range []struct {
		clock, like   calendar.Clock
		kind, urgency string
		want          calendar.Row
	}{
		{calendar.Handle, calendar.Handle, "issue", "C", calendar.Row{Clock: calendar.Handle, Kind: "*", Urgency: "C", Amount: calendar.Amount{N: 7, Kind: calendar.NaturalDays}}},
		{calendar.Promise, calendar.Promise, "issue", "D", calendar.Row{Clock: calendar.Handle, Kind: "*", Urgency: "D", Amount: calendar.Amount{N: 15, Kind: calendar.NaturalDays}}},
		{calendar.Promise, calendar.Promise, "dispute", "D", calendar.Row{Clock: calendar.Promise, Kind: "dispute", Urgency: "*", Amount: calendar.Amount{N: 60, Kind: calendar.NaturalDays}}},
		{calendar.Promise, calendar.Rework, "issue", "C", calendar.Row{Clock: calendar.Rework, Kind: "*", Urgency: "C", Amount: calendar.Amount{N: 15, Kind: calendar.WorkingDays}}},
		{calendar.Rework, calendar.Rework, "issue", "A", calendar.Row{Clock: calendar.Handle, Kind: "*", Urgency: "A", Amount: calendar.Amount{N: 2, Kind: calendar.NaturalHours}}},
	} {
		d, err := r.StartLike("x", tc.clock, tc.like, tc.kind, tc.urgency, local(t, "2025-03-03 10:00"))
		if err != nil {
			t.Fatal(err)
		}
		if got, found := r.Policy.Row(d, tc.kind, tc.urgency); !found || got != tc.want {
			t.Errorf("%s like %s: got %+v, %v, want %+v", tc.clock, tc.like, got, found, tc.want)
		}
		if tc.clock == calendar.Handle {
			if got, found := r.Policy.Row(d, "issue", "D"); found {
				t.Errorf("of another urgency now: got %+v, want none rather than a wrong one", got)
			}
		}
	}
	d, err := r.Until("x", calendar.Handle, local(t, "2025-03-03 10:00"), date(t, "2025-03-31"))
	if err != nil {
		t.Fatal(err)
	}
	if got, found := r.Policy.Row(d, "issue", "C"); found {
		t.Errorf("a named date: got %+v, want none", got)
	}
}
