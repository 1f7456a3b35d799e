package rule

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/orgs"
)

// noon is when the due instants of these tests lie around.
var noon = time.Date(2025, 3, 4, 4, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return noon.Add(d) }

func then(t time.Time) At {
	return At{Stamp: Stamp{Actor: Actor{ID: "clock", Role: orgs.System}, Occurred: t, Recorded: t}, Units: units()}
}

// handle is due at noon, with warnings two hours and one hour before.
var handle = calendar.Due{ID: "handle/1/1/3", Clock: calendar.Handle, Due: noon, WarnAt: []time.Time{after(-2 * time.Hour), after(-time.Hour)}}

// verify is due an hour later and warns of nothing.
var verify = calendar.Due{ID: "verify/1/1/4", Clock: calendar.Verify, Due: after(time.Hour)}

// words are strikes whose commands are words.
var words = Strikes{
	Warn:   func(id string) any { return "warn " + id },
	Expire: func(d calendar.Due) any { return "expire " + d.ID },
	Step:   func(id string) any { return "step " + id },
}

// heard lists alarms as "key at time: command".
func heard(as []Alarm) []string {
	var lines []string
	for _, a := range as {
		lines = append(lines, fmt.Sprintf("%s at %s: %v", strings.TrimPrefix(a.Key(), AlarmKey), a.At.Sub(noon), a.Command))
	}
	return lines
}

func TestWhatTheClockDoesNext(t *testing.T) {
	cs := Clocks{handle, verify}
	warned := Firings{}.Warned(Warning{ID: handle.ID, Number: 1})
	twice := warned.Warned(Warning{ID: handle.ID, Number: 2})
	expired := twice.Expired(Expiry{ID: handle.ID, Next: after(3 * time.Hour)})
	stepped := expired.Stepped(Escalation{Rule: "E2", ID: handle.ID, Step: 1, Next: after(6 * time.Hour)})
	last := stepped.Stepped(Escalation{Rule: "E2", ID: handle.ID, Step: 2})
	v := "verify/1/1/4/expiry at 1h0m1s: expire verify/1/1/4"
	silent := Strikes{Expire: func(d calendar.Due) any {
		if d.Clock == calendar.Handle {
			return nil
		}
		return "expire " + d.ID
	}}
	for _, c := range []struct {
		name string
		fs   Firings
		do   Strikes
		want []string
	}{
		{"first it warns, at that very second", nil, words, []string{"handle/1/1/3/warning/1 at -2h0m0s: warn handle/1/1/3", v}},
		{"then it warns again", warned, words, []string{"handle/1/1/3/warning/2 at -1h0m0s: warn handle/1/1/3", v}},
		{"then the due instant passes, a second after the due one", twice, words, []string{"handle/1/1/3/expiry at 1s: expire handle/1/1/3", v}},
		{"then it steps", expired, words, []string{"handle/1/1/3/step/1 at 3h0m1s: step handle/1/1/3", v}},
		{"and again", stepped, words, []string{"handle/1/1/3/step/2 at 6h0m1s: step handle/1/1/3", v}},
		{"until no further step is recorded", last, words, []string{v}},
		{"an escalation by another rule is no step", expired.Stepped(Escalation{Rule: "E5", ID: handle.ID}), words, []string{"handle/1/1/3/step/1 at 3h0m1s: step handle/1/1/3", v}},
		{"a machine may have no warnings, and an expiry that does nothing", nil, silent, []string{v}},
		{"or no steps", expired, silent, []string{v}},
		{"or nothing at all", nil, Strikes{}, nil},
		{"what was held back strikes after it was let go", twice.Held(handle.ID, after(5*time.Hour+300*time.Millisecond)), words, []string{"handle/1/1/3/expiry at 5h0m1s: expire handle/1/1/3", v}},
		{"held back before its due instant it strikes then", twice.Held(handle.ID, after(-time.Minute)), words, []string{"handle/1/1/3/expiry at 1s: expire handle/1/1/3", v}},
		{"a clock that began again gives the warnings that lie ahead", Firings{}.Began(handle, after(-90*time.Minute)), words, []string{"handle/1/1/3/warning/2 at -1h0m0s: warn handle/1/1/3", v}},
		{"a warning of the second in which it began is past", Firings{}.Began(handle, after(-time.Hour)), words, []string{"handle/1/1/3/expiry at 1s: expire handle/1/1/3", v}},
		{"a step waits for as long as the clock stood still", expired.Delayed(handle.ID, 2*time.Hour+999*time.Millisecond), words, []string{"handle/1/1/3/step/1 at 5h0m1s: step handle/1/1/3", v}},
		{"and comes no sooner than the clock runs again", expired.Held(handle.ID, after(4*time.Hour)), words, []string{"handle/1/1/3/step/1 at 4h0m1s: step handle/1/1/3", v}},
		{"what has no step has none to delay", last.Delayed(handle.ID, time.Hour), words, []string{v}},
	} {
		if got := heard(cs.Alarms(c.fs, c.do)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if a, rings := Earliest(cs.Alarms(twice, words)); !rings || a.ID != handle.ID {
		t.Errorf("the earliest: got %+v, want that of %s", a, handle.ID)
	}
	if _, rings := Earliest(nil); rings {
		t.Error("of no alarm one is the earliest")
	}
}

func TestFiringsHandedOutStayAsTheyAre(t *testing.T) {
	fs := Firings{}.Warned(Warning{ID: "a", Number: 1}).Expired(Expiry{ID: "b", Next: noon})
	kept := slices.Clone(fs)
	fs.Warned(Warning{ID: "a", Number: 2})
	fs.Expired(Expiry{ID: "a"})
	fs.Stepped(Escalation{ID: "b", Step: 1})
	fs.Delayed("b", time.Hour)
	fs.Began(handle, noon)
	fs.Held("b", noon)
	if !reflect.DeepEqual(fs, kept) {
		t.Errorf("got %+v, want %+v", fs, kept)
	}
}

func TestWarningsExpiriesAndStepsAreNeverEarlyAndComeOnce(t *testing.T) {
	cs := Clocks{handle}
	var fs Firings
	early := func(what string, r *Refusal) {
		t.Helper()
		if r == nil || r.Code != GuardFailed || r.Rule != "I15" || r.Detail.Zh == "" {
			t.Errorf("%s: got %v, want guard_failed by I15", what, r)
		}
	}
	_, r := cs.Warn(fs, handle.ID, then(after(-2*time.Hour-time.Second)))
	early("a second before the warning", r)
	w, r := cs.Warn(fs, handle.ID, then(after(-2*time.Hour+90*time.Second)))
	if r != nil || w == nil || w.Number != 1 || w.LateBy != 90 || !w.Due.Equal(noon) || !w.WarnAt.Equal(after(-2*time.Hour)) {
		t.Errorf("got %+v, %v; want the first warning, 90 s late", w, r)
	}
	fs = fs.Warned(*w).Warned(Warning{ID: handle.ID, Number: 2})
	if w, r := cs.Warn(fs, handle.ID, then(noon)); w != nil || r != nil {
		t.Errorf("a third: got %+v, %v; want nothing", w, r)
	}
	_, r = cs.Expire(fs, handle.ID, time.Time{}, then(after(999*time.Millisecond)))
	early("within the due second", r)
	held := fs.Held(handle.ID, after(time.Hour))
	_, r = cs.Expire(held, handle.ID, time.Time{}, then(after(time.Hour)))
	early("in the second in which it was let go", r)
	if x, _ := cs.Expire(held, handle.ID, time.Time{}, then(after(time.Hour+time.Second))); x == nil || x.LateBy != 1 || !x.Due.Equal(noon) {
		t.Errorf("let go: got %+v, want the due instant as it was, the machine a second late", x)
	}
	x, r := cs.Expire(fs, handle.ID, after(2*time.Hour), then(after(time.Second)))
	if r != nil || x == nil || x.LateBy != 1 || !x.Next.Equal(after(2*time.Hour)) {
		t.Errorf("got %+v, %v; want it expired, with a next step", x, r)
	}
	fs = fs.Expired(*x)
	if x, r := cs.Expire(fs, handle.ID, time.Time{}, then(after(time.Hour))); x != nil || r != nil {
		t.Errorf("expired twice: got %+v, %v", x, r)
	}
	if w, r := cs.Warn(Firings{}.Expired(*x), handle.ID, then(after(time.Hour))); w != nil || r != nil {
		t.Errorf("warned after the expiry: got %+v, %v", w, r)
	}
	_, due, r := cs.Step(fs, handle.ID, then(after(2*time.Hour)))
	early("within the second of the step", r)
	if due {
		t.Error("within the second of the step: it is due")
	}
	if f, due, r := cs.Step(fs, handle.ID, then(after(2*time.Hour+time.Second))); !due || r != nil || !f.Next.Equal(after(2*time.Hour)) {
		t.Errorf("got %+v, %v, %v; want the step due", f, due, r)
	}
	for name, other := range map[string]Clocks{"a clock that stopped": nil, "another clock": {verify}} {
		w, r1 := other.Warn(nil, handle.ID, then(after(time.Hour)))
		x, r2 := other.Expire(nil, handle.ID, time.Time{}, then(after(time.Hour)))
		_, due, r3 := other.Step(fs, handle.ID, then(after(9*time.Hour)))
		if w != nil || x != nil || due || r1 != nil || r2 != nil || r3 != nil {
			t.Errorf("%s: got %v, %v, %v; want nothing, and no refusal", name, w, x, due)
		}
	}
}

func TestAttentionRises(t *testing.T) {
	without := func(ls ...orgs.Level) *escalation.Policy {
		p := escalation.Default()
		p.Levels = slices.DeleteFunc(p.Levels, func(l escalation.Level) bool { return slices.Contains(ls, l.Level) })
		return p
	}
	const grid, street, agency = orgs.UnitCode("150105003001001"), orgs.UnitCode("150105003"), orgs.UnitCode("150105003-a01")
	for _, c := range []struct {
		name   string
		policy *escalation.Policy
		has    Attention
		base   orgs.UnitCode
		to     orgs.Level // 0: the next
		holder orgs.Level
		want   string
	}{
		{"from the holder's level to the next", nil, Attention{}, grid, 0, 0, "1→2 of 5, 150105003001"},
		{"an agency's is its street's", nil, Attention{}, agency, 0, 0, "3→4 of 5, 150105"},
		{"from what it has", nil, Attention{Level: 3}, grid, 0, 0, "3→4 of 5, 150105"},
		{"a level that is left out is passed over", without(2, 3), Attention{}, grid, 0, 0, "1→4 of 5, 150105"},
		{"to at least a level", nil, Attention{Level: 2}, grid, 4, 0, "2→4 of 5, 150105"},
		{"or the next above it that there is", without(4), Attention{}, grid, 4, 0, "1→5 of 5, 150100"},
		{"or the top below it", without(4, 5), Attention{}, grid, 4, 0, "1→3 of 3, 150105003"},
		{"not if it is there", nil, Attention{Level: 4}, grid, 4, 0, ""},
		{"nor down", nil, Attention{Level: 5}, grid, 4, 0, ""},
		{"nor beyond the top", without(4, 5), Attention{Level: 3}, grid, 0, 0, ""},
		{"the unit that owes the step may stand higher than the holder", nil, Attention{}, street, 0, 1, "1→4 of 5, 150105"},
		{"where the holder stands as high already, nothing rises", nil, Attention{}, street, 0, 4, ""},
	} {
		at := then(noon)
		at.Escalation = c.policy
		to := c.to
		if to == 0 {
			to = c.has.Next(at, c.base)
		}
		got := ""
		e := c.has.Rise(at, c.base, to, Escalation{From: c.holder, Rule: "E1"})
		if e != nil {
			got = fmt.Sprintf("%d→%d of %d, %s", e.From, e.To, e.Top, e.Unit)
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if e == nil {
			continue
		}
		st := Stamp{Recorded: noon}
		if a := c.has.Risen(*e, st); a.Level != e.To || a.Top != e.Top || a.Unit != e.Unit || a.Rule != "E1" || a.Rises != 1 || !a.Since.Equal(noon) || a.AtTop() != (e.To == e.Top) {
			t.Errorf("%s: got %+v after %+v", c.name, a, e)
		}
		if Higher(at, c.base, e.To) != (e.To < e.Top) {
			t.Errorf("%s: something is above %d of %d: %v", c.name, e.To, e.Top, e.To >= e.Top)
		}
	}
}
