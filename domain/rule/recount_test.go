package rule

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
)

func day(t *testing.T, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// busy is a calendar that has come further than without 2026 by a notice of weekends that are worked.
func busy(t *testing.T) *calendar.Calendar {
	t.Helper()
	c, err := calendar.China().Without(2026).With(calendar.Notice{Year: 2026, Source: "https://example.org/busy", Off: []calendar.Date{day(t, "2026-10-01")},
		Work: []calendar.Date{day(t, "2026-01-03"), day(t, "2026-01-04")}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWhatARecountDecides: three working days from 30 December 2025. Without the notice for 2026 that is Friday 2 January; with
// it New Year's Day and the Friday are off and the Sunday is worked, so that it is Monday 5 January.
func TestWhatARecountDecides(t *testing.T) {
	before, all := calendar.China().Without(2026), calendar.China()
	at := func(r orgs.Role, u orgs.UnitCode, c *calendar.Calendar) At {
		x := acting(r, u)
		x.Recorded = day(t, "2026-01-01").Start()
		x.Clocks = calendar.Rules{Calendar: c, Policy: calendar.DefaultPolicy()}
		return x
	}
	old, err := calendar.Rules{Calendar: before, Policy: calendar.DefaultPolicy()}.Start("supervision/1/1/4", calendar.Supervision, "", "", day(t, "2025-12-30").Start().Add(10*time.Hour))
	if err != nil || !old.Provisional || !old.Due.Equal(day(t, "2026-01-02").End()) {
		t.Fatalf("got %+v, %v; want 2 January, provisional", old, err)
	}
	settled, err := calendar.Rules{Calendar: all, Policy: calendar.DefaultPolicy()}.Start(old.ID, calendar.Supervision, "", "", old.StartedAt)
	if err != nil {
		t.Fatal(err)
	}
	strict := at(orgs.System, "", before)
	strict.Clocks.Policy.Missing = calendar.RefuseUncertain
	for _, c := range []struct {
		name   string
		at     At
		old    calendar.Due
		from   time.Time
		reason sealed.Public
		due    string // "" = nothing
		id     string
		code   Code // of a refusal
	}{
		{name: "the flow settles what a notice reaches", at: at(orgs.System, "", all), old: old, due: "2026-01-05", id: "supervision/1/1/9"},
		{name: "so does an arbiter", at: at(orgs.Arbiter, "150105", all), old: old, due: "2026-01-05", id: "supervision/1/1/9"},
		{name: "not an arbiter of elsewhere", at: at(orgs.Arbiter, "150102", all), old: old, code: OutsideJuris},
		{name: "and not without a reason", at: at(orgs.Arbiter, "150105", all), old: old, reason: " ", code: GuardFailed},
		{name: "without the notice the flow decides nothing", at: at(orgs.System, "", before), old: old},
		{name: "and an arbiter is told so", at: at(orgs.Arbiter, "150105", before), old: old, code: GuardFailed},
		{name: "where the policy says not to guess, the flow waits", at: strict, old: old},
		{name: "what is settled the flow leaves alone", at: at(orgs.System, "", all), old: settled},
		{name: "an arbiter too, unless a correction moves it", at: at(orgs.Arbiter, "150105", all), old: settled, code: GuardFailed},
		{name: "a clock that stopped meanwhile is nothing to the flow", at: at(orgs.System, "", all)},
		{name: "and none to an arbiter", at: at(orgs.Arbiter, "150105", all), code: GuardFailed},
		{name: "a calendar that is older than the due settles nothing", at: at(orgs.System, "", before.Without(2025)), old: old},
		{name: "nor for an arbiter", at: at(orgs.Arbiter, "150105", before.Without(2025)), old: old, code: GuardFailed},
		{name: "nobody loses a day: what would be earlier is only confirmed", at: at(orgs.System, "", busy(t)), old: old, due: "2026-01-02", id: old.ID},
		{name: "what was over before it began again was not counted", at: at(orgs.Arbiter, "150105", all), old: old, from: day(t, "2026-01-03").Start(), code: GuardFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, settling := range []calendar.Settling{calendar.LaterOfTwo, calendar.Recomputed} {
				p := *c.at.Clocks.Policy
				p.Settle, c.at.Clocks.Policy = settling, &p
				if c.from.IsZero() {
					c.from = c.old.StartedAt
				}
				reason := sealed.Public("通知已发布")
				if c.reason != "" {
					reason = c.reason
				}
				r, err := Recounted(c.at, "150105003001", c.old, c.from, "supervision/1/1/9", reason)
				var refusal *Refusal
				switch {
				case c.code != "":
					if !errors.As(err, &refusal) || refusal.Code != c.code || refusal.Rule != "I3" || r != nil {
						t.Errorf("got %+v, %v; want refused with %s", r, err, c.code)
					}
				case c.due == "":
					if r != nil || err != nil {
						t.Errorf("got %+v, %v; want nothing", r, err)
					}
				case err != nil || r == nil:
					t.Errorf("got %+v, %v; want a recount", r, err)
				default:
					d := r.Clock
					if !d.Due.Equal(day(t, c.due).End()) || d.Provisional || d.ID != c.id || r.Replaces != c.old.ID || r.Reason != reason || !d.OriginalDue.Equal(c.old.Due) ||
						d.Calendar != c.at.Clocks.Calendar.Version() || !reflect.DeepEqual(d.WarnAt, c.at.Clocks.Warnings(d)) {
						t.Errorf("got %+v, want %s as %s, settled", r, c.due, c.id)
					}
				}
			}
		})
	}
}

// TestWhatFiredBeforeARecountDoesNotFireAgain: handle is due at noon, and counted anew a day later.
func TestWhatFiredBeforeARecountDoesNotFireAgain(t *testing.T) {
	later := handle
	later.ID, later.Due, later.WarnAt = "handle/1/1/9", after(24*time.Hour), []time.Time{after(-90 * time.Minute), after(23 * time.Hour)}
	moved, confirmed := Recount{Replaces: handle.ID, Clock: later}, Recount{Replaces: handle.ID, Clock: handle}
	warned := Firings{}.Warned(Warning{ID: handle.ID, Number: 1})
	expired := warned.Warned(Warning{ID: handle.ID, Number: 2}).Expired(Expiry{ID: handle.ID, Next: after(3 * time.Hour)})
	v := "verify/1/1/4/expiry at 1h0m1s: expire verify/1/1/4"
	for _, c := range []struct {
		name string
		fs   Firings
		r    Recount
		at   time.Time
		want []string
	}{
		{"warnings and expiry move with the due", nil, moved, after(-3 * time.Hour), []string{"handle/1/1/9/warning/1 at -1h30m0s: warn handle/1/1/9", v}},
		{"a warning that lies before is not given any more", warned, moved, after(-time.Hour), []string{"handle/1/1/9/warning/2 at 23h0m0s: warn handle/1/1/9", v}},
		{"an expiry is not fired again, and the next step moves with the due", expired, moved, after(time.Hour), []string{"handle/1/1/9/step/1 at 27h0m1s: step handle/1/1/9", v}},
		{"steps that were taken are not taken again", expired.Stepped(Escalation{Rule: "E2", ID: handle.ID, Step: 1, Next: after(6 * time.Hour)}), moved, after(4 * time.Hour), []string{"handle/1/1/9/step/2 at 30h0m1s: step handle/1/1/9", v}},
		{"where nothing was to follow, nothing does", expired.Expired(Expiry{ID: handle.ID}), moved, after(time.Hour), []string{v}},
		{"what was over by the new due too strikes once, after the recount", nil, moved, after(30 * time.Hour), []string{"handle/1/1/9/expiry at 30h0m1s: expire handle/1/1/9", v}},
		{"what is only confirmed goes on as it was", warned, confirmed, after(-90 * time.Minute), []string{"handle/1/1/3/warning/2 at -1h0m0s: warn handle/1/1/3", v}},
		{"late warnings of it are not made up for", nil, confirmed, after(-30 * time.Minute), []string{"handle/1/1/3/expiry at 1s: expire handle/1/1/3", v}},
		{"of a clock that does not run nothing changes", warned, Recount{Replaces: "handle/1/1/2", Clock: later}, after(0), []string{"handle/1/1/3/warning/2 at -1h0m0s: warn handle/1/1/3", v}},
	} {
		cs := Clocks{handle, verify}
		now, fs := c.r.Apply(cs, c.fs, c.at)
		if got := heard(now.Alarms(fs, words)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if !reflect.DeepEqual(cs, Clocks{handle, verify}) {
			t.Errorf("%s: the clocks handed in have changed", c.name)
		}
	}
}
