package dispute

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

type hand = ruletest.Hand[State, Event]

var ours = hand{Alarms: State.Alarms, Evolve: Evolve}

// askClock puts an alarm's command to the dispute at an instant.
func askClock(st *story, a rule.Alarm, on time.Time) ([]Event, rule.At, error) {
	at := rule.At{Stamp: rule.Stamp{Actor: clock, Occurred: on, Recorded: on}, Units: st.Units,
		Clocks: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}}
	es, err := Decide(st.State, a.Command.(Command), at)
	return es, at, err
}

// run lets a clock run on a dispute up to an instant, all of it at that instant if the machine was down, and holds it
// against the laws. What fired is kept in fired.
func run(t ruletest.Test, h hand, st *story, until time.Time, down bool, fired map[string]bool) {
	for n := 0; ; n++ {
		a, waits := rule.Earliest(h.Alarms(st.State))
		if !waits || a.At.After(until) {
			break
		}
		if n == 50 {
			t.Fatalf("a sweep without end: %s of %s", a.Step, a.ID)
		}
		if es, _, err := askClock(st, a, a.At.Add(-time.Second)); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Code != rule.GuardFailed || len(es) > 0 {
			t.Fatalf("(a) %s of %s a second early: got %v, %v", a.Step, a.ID, es, err)
		}
		if es, _, err := askClock(st, a, a.At); err != nil || len(es) == 0 {
			t.Fatalf("(a) %s of %s at its time: got %v, %v", a.Step, a.ID, es, err)
		}
		if fired[a.Key()] {
			t.Fatalf("(b) %s fired twice", a.Key())
		}
		fired[a.Key()] = true
		on := a.At
		switch {
		case down:
			on = until
		case on.Before(st.Now):
			t.Fatalf("%s of %s was due at %s, before what it is about: %s", a.Step, a.ID, a.At, st.Now)
		}
		es, at, err := askClock(st, a, on)
		if err != nil {
			t.Fatalf("%s of %s at %s: %v", a.Step, a.ID, on, err)
		}
		st.Now = on
		fold(t, h, st, at, es...)
	}
	for _, a := range h.Alarms(st.State) {
		if !a.At.After(until) {
			t.Fatalf("(c) after everything up to %s was carried out, %s of %s waits since %s", until, a.Step, a.ID, a.At)
		}
	}
	for _, d := range st.State.Running { // what ran out at the top is in the log, below it the next step was taken
		if !d.Due.Add(time.Second).After(until) && !st.State.Fired.Of(d.ID).Expired {
			t.Fatalf("(b) %s was over at %s, and at %s nothing says so", d.ID, d.Due, until)
		}
	}
}

// fold appends events and holds the fold against the laws.
func fold(t ruletest.Test, h hand, st *story, at rule.At, es ...Event) {
	st.Evolve = h.Evolve
	for _, e := range es {
		before := st.State
		st.Fold(at, e)
		if after := st.State; after.Attention.Level < before.Attention.Level || after.Attention.Rises < before.Attention.Rises {
			t.Fatalf("(d) attention fell from %+v to %+v with %s", before.Attention, after.Attention, e.EventType())
		}
		if up, rises := e.(Escalated); rises && (before.Rung != District || up.To <= max(up.From, before.Attention.Level) || up.Unit == "") {
			t.Fatalf("(d) %+v lifts a dispute at rung %d with %+v", up, before.Rung, before.Attention)
		}
	}
}

// waits lets anybody try things with a dispute while its clock runs, by a machine that is down now and then.
func waits(t *rapid.T, h hand, fails ruletest.Test) *story {
	st := begin()
	if rapid.IntRange(0, 3).Draw(t, "agreed already") == 0 { // else hardly any agreement would be left to the clock
		st.Given(fails, isAgreed...)
	}
	fired := map[string]bool{}
	for range rapid.IntRange(1, 25).Draw(t, "steps") {
		s := anyStep(st.State).Draw(t, "step")
		down := rapid.IntRange(0, 3).Draw(t, "down") == 0
		then := st.Now.Add(s.After)
		run(fails, h, st, then, down, fired) // nothing that is due waits for a person
		s.After = then.Sub(st.Now)
		at := st.Meet(s)
		es, err := Decide(st.State, s.Command, at)
		if err == nil {
			fold(fails, h, st, at, es...)
		}
	}
	run(fails, h, st, st.Now.Add(400*day), rapid.Bool().Draw(t, "down at the end"), fired)
	return st
}

func TestTheClockKeepsItsLaws(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 5 {
			for _, h := range waits(t, ours, t).History {
				if h.Stamp.Actor != clock {
					continue
				}
				switch e := h.Event.(type) {
				case WarningRaised:
					seen["warning "+string(e.Clock)]++
				default:
					seen[ruletest.Word(e)]++
				}
			}
		}
	})
	ruletest.Shown(t, seen, "warning rung", "warning refer", "warning fulfil", "mediation-declined", "mediation-failed",
		"dispute-referred-up", "agreement-fulfilled", "dispute-clock-expired", "dispute-escalated")
}

func TestABrokenClockIsFound(t *testing.T) {
	for name, h := range map[string]struct {
		hand hand
		law  string
	}{
		"a second early":               {ours.Moved(-time.Second), "(a)"},
		"a second late":                {ours.Moved(time.Second), "(a)"},
		"one that forgets what it did": {ours.Spoilt(func(s *State, _ Event) { s.Fired = nil }), "(b)"},
		"one that never expires":       {ours.Without("expiry"), "(b)"},
		"one whose attention tires": {ours.Spoilt(func(s *State, e Event) {
			if _, tires := e.(ReferredOut); tires {
				s.Attention = rule.Attention{}
			}
		}), "(d)"},
		"one that takes the wrong step": {ours.Changed(func(a *rule.Alarm) {
			if _, declines := a.Command.(DeclineMediation); declines {
				a.Command = FailMediation{}
			}
		}), "(a)"},
		"one that refers up from the top": {ours.Changed(func(a *rule.Alarm) {
			if _, ends := a.Command.(ExpireClock); ends {
				a.Command = ReferUp{}
			}
		}), "(a)"},
	} {
		t.Run(name, func(t *testing.T) {
			found := ""
			for seed := 1; seed <= 20_000 && found == ""; seed++ {
				rapid.Custom(func(rt *rapid.T) bool {
					found = ruletest.Failure(func(fails ruletest.Test) { waits(rt, h.hand, fails) })
					return true
				}).Example(seed)
			}
			if !strings.HasPrefix(found, h.law) || found == "" {
				t.Errorf("got %q, want law %s broken", found, h.law)
			}
		})
	}
}

// What the clock does, left alone, within half a year.
func TestWhatTheClockDoes(t *testing.T) {
	for _, c := range []struct {
		name  string
		given []step
		want  []string
	}{
		{"what nobody takes up goes from the street to the district and stays there, with the city's attention", []step{by(manager, openAt(Street))}, []string{
			"03-30 17:30:00 warning rung", "03-31 17:30:00 warning rung", "04-02 00:00:00 mediation-declined",
			"04-03 17:30:00 warning refer", "04-07 17:30:00 warning refer", "04-09 00:00:00 dispute-referred-up",
			"05-07 17:30:00 warning rung", "05-08 17:30:00 warning rung", "05-10 00:00:00 mediation-declined",
			"05-11 17:30:00 warning refer", "05-12 17:30:00 warning refer", "05-14 00:00:00 dispute-clock-expired", "05-14 00:00:00 E5 4 to 5 150100"}},
		{"a mediation whose time is over has failed", isMediating, []string{"03-30 17:30:00 warning rung", "03-31 17:30:00 warning rung", "04-02 00:00:00 mediation-failed"}},
		{"one that was extended has its own warnings", when(isMediating, by(med, extend)), []string{
			"04-14 17:30:00 warning rung", "04-15 17:30:00 warning rung", "04-17 00:00:00 mediation-failed"}},
		{"one extended by a day on the last is not warned of late", when(isMediating, by(med, ExtendRung{Amount: 1, Consent: true}, 30*day)), []string{
			"04-01 17:30:00 warning rung", "04-03 00:00:00 mediation-failed"}},
		{"an agreement that nobody complains of counts as kept", isAgreed, []string{
			"05-29 17:30:00 warning fulfil", "06-01 00:00:00 agreement-fulfilled"}},
		{"what left the ladder has no clock", isOut, nil},
		{"what was withdrawn neither", isEnded, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := given(t, c.given...)
			n := len(st.History)
			run(t, ours, st, st.Now.Add(180*day), false, map[string]bool{})
			var got []string
			for _, h := range st.History[n:] {
				on := h.Stamp.Recorded.In(calendar.Zone()).Format("01-02 15:04:05 ")
				switch e := h.Event.(type) {
				case WarningRaised:
					if e.LateBy > 0 {
						on += "late "
					}
					got = append(got, on+"warning "+string(e.Clock))
				case Escalated:
					got = append(got, on+fmt.Sprintf("%s %d to %d %s", e.Rule, e.From, e.To, e.Unit))
				default:
					got = append(got, on+ruletest.Word(e))
				}
			}
			if len(got) > len(c.want) && len(c.want) > 0 && c.given[len(c.given)-1].Command.Name() != "open" {
				got = got[:len(c.want)] // how it goes on from there is the first line's
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestTheClockAskedTwiceDecidesNothing(t *testing.T) {
	st := given(t, isTopFailing...)
	d, _ := st.State.Running.Get(calendar.Refer)
	s := by(clock, ExpireClock{d.ID}, 30*day)
	at := st.Meet(s)
	for n := range 2 {
		es, err := Decide(st.State, s.Command, at)
		if len(es) != 2-2*n || err != nil {
			t.Errorf("time %d: got %v, %v", n+1, es, err)
		}
		st.Fold(at, es...)
	}
	if es, err := Decide(st.State, RaiseWarning{d.ID}, at); len(es) > 0 || err != nil {
		t.Errorf("a warning after the expiry: got %v, %v", es, err)
	}
	// The mediator's request that comes again after the clock spoke is a repeat.
	last := st.History[1]
	repeat := at
	repeat.Actor, repeat.Occurred = last.Stamp.Actor, last.Stamp.Occurred
	if es, err := Decide(st.State, decline, repeat); len(es) > 0 || err != nil {
		t.Errorf("declined again: got %v, %v", es, err)
	}
	if a := st.State.Attention; a.Level != 5 || a.Unit != city || a.Rule != "E5" {
		t.Errorf("got the attention %+v", a)
	}
	low := given(t, isFailed...)
	d, _ = low.State.Running.Get(calendar.Refer)
	if es, err := low.Does(by(clock, ExpireClock{d.ID}, 30*day)); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Rule != "P6" {
		t.Errorf("below the top rung: got %v, %v, want a refusal under P6", es, err)
	}
}
