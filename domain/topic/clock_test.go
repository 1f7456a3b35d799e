package topic

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
	"gridcase/domain/stream"
)

type hand = ruletest.Hand[State, Event]

var ours = hand{Alarms: State.Alarms, Evolve: Evolve}

// askClock puts an alarm's command to the topic at an instant.
func (p *play) askClock(a rule.Alarm, on time.Time) ([]Event, rule.At, error) {
	at := rule.At{Stamp: rule.Stamp{Actor: clock, Occurred: on, Recorded: on}, Units: p.units,
		Clocks: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}}
	events, err := Decide(p.state(), a.Command.(Command), at)
	return events, at, err
}

// run lets a clock run on a topic up to an instant, all of it at that instant if the machine was down, and holds it
// against the laws. What fired is kept in fired.
func run(t ruletest.Test, h hand, p *play, until time.Time, down bool, fired map[string]bool) {
	for n := 0; ; n++ {
		a, waits := rule.Earliest(h.Alarms(p.state()))
		if !waits || a.At.After(until) {
			break
		}
		if n == 50 {
			t.Fatalf("a sweep without end: %s of %s", a.Step, a.ID)
		}
		if events, _, err := p.askClock(a, a.At.Add(-time.Second)); len(events) > 0 || !strings.HasSuffix(outcome(events, err), " I15") {
			t.Fatalf("(a) %s of %s a second early: got %v, %v", a.Step, a.ID, events, err)
		}
		if events, _, err := p.askClock(a, a.At); len(events) == 0 || err != nil {
			t.Fatalf("(a) %s of %s at its time: got %v, %v", a.Step, a.ID, events, err)
		}
		if fired[a.Key()] {
			t.Fatalf("(b) %s fired twice", a.Key())
		}
		fired[a.Key()] = true
		on := a.At
		switch {
		case down:
			on = until
		case on.Before(p.now):
			on = p.now
		}
		events, at, err := p.askClock(a, on)
		if err != nil {
			t.Fatalf("%s of %s at %s: %v", a.Step, a.ID, on, err)
		}
		p.now = on
		p.recordBy(t, h, events, at)
	}
	for _, a := range h.Alarms(p.state()) {
		if !a.At.After(until) {
			t.Fatalf("(c) after everything up to %s was carried out, %s of %s waits since %s", until, a.Step, a.ID, a.At)
		}
	}
	for _, d := range p.state().Running { // whatever ran out is in the log
		if !d.Due.Add(time.Second).After(until) && !p.state().Fired.Of(d.ID).Expired {
			t.Fatalf("(b) %s was over at %s, and at %s nothing says so", d.ID, d.Due, until)
		}
	}
}

// recordBy appends events and holds the fold against the laws.
func (p *play) recordBy(t ruletest.Test, h hand, events []Event, at rule.At) {
	for _, e := range events {
		e = readBack(e)
		st := at.Stamp
		st.Event = stream.Event(stream.Of(stream.Topic, self), "test", len(p.events))
		before, after := p.state(), h.Evolve(p.state(), e, st)
		p.events, p.stamps, p.states = append(p.events, e), append(p.stamps, st), append(p.states, after)
		if after.Attention.Level < before.Attention.Level || after.Attention.Rises < before.Attention.Rises {
			t.Fatalf("(d) attention fell from %+v to %+v with %s", before.Attention, after.Attention, e.EventType())
		}
		if up, rises := e.(Escalated); rises && (up.To <= up.From || up.To <= before.Attention.Level || up.Unit == "") {
			t.Fatalf("(d) %+v lifts nothing above %d", up, before.Attention.Level)
		}
		if d, ran := after.Running.Get(calendar.TopicReview); ran && after.Fired.Of(d.ID).Expired && len(events) > 1 {
			t.Fatalf("a review date lifted the topic: %v", events)
		}
	}
}

// waits lets anybody try things with a topic while its clock runs, by a machine that is down now and then. It begins anywhere: chance would
// seldom come to the later clocks.
func waits(t *rapid.T, h hand, fails ruletest.Test) *play {
	w := &world{orders: map[stream.ID]string{}}
	p := given(t, rapid.SampledFrom([][]step{nil, path(PhaseDeferred), append(path(PhaseHandling), marksReady), path(PhaseAdopted), path(PhaseVoting)}).Draw(t, "from")...)
	fired := map[string]bool{}
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		if rapid.IntRange(0, 2).Draw(t, "the world turns") == 0 {
			w.turn(t, p.state())
		}
		st := randomMove(t, p.state(), *w)
		run(fails, h, p, p.now.Add(st.wait), rapid.IntRange(0, 3).Draw(t, "down") == 0, fired) // nothing that is due waits for a person
		st.wait = max(0, st.wait/2)
		c, at := p.ask(st)
		run(fails, h, p, p.now, false, fired)
		if events, err := Decide(p.state(), c, at); err == nil {
			p.recordBy(fails, h, events, at)
			if again, err := Decide(p.state(), c, at); len(again) > 0 || err != nil {
				fails.Fatalf("%s asked twice: got %v, %v", c.Name(), again, err)
			}
		}
	}
	run(fails, h, p, p.now.Add(400*day), rapid.Bool().Draw(t, "down at the end"), fired)
	return p
}

func TestTheClockKeepsItsLaws(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 2 {
			for _, e := range waits(t, ours, t).events {
				switch e := e.(type) {
				case WarningRaised:
					seen["warning "+string(e.Clock)]++
				case ClockExpired:
					seen["expired "+string(e.Clock)]++
				case Escalated:
					seen[e.Rule]++
				}
			}
		}
	})
	ruletest.Shown(t, seen, "warning open", "warning deliberate", "warning handover", "warning conclude", "warning topic_review", "warning vote_count",
		"expired open", "expired deliberate", "expired handover", "expired conclude", "expired topic_review", "expired vote_count", "E5")
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
			if _, tires := e.(DeliberationOpened); tires {
				s.Attention = rule.Attention{}
			}
		}), "(d)"},
	} {
		t.Run(name, func(t *testing.T) {
			found := ""
			for seed := 1; seed <= 2000 && found == ""; seed++ {
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

// A vote that was opened before counts had a clock has none, and is closed as it was.
func TestAVoteOfBeforeHasNoClockForItsCount(t *testing.T) {
	p := given(t, path(PhaseVoting)...)
	old := p.events[len(p.events)-1].(VoteOpened)
	if old.Count.Clock != calendar.VoteCount || !old.Count.Due.After(old.ClosesAt) {
		t.Fatalf("got %+v, want a clock for the count", old)
	}
	old.Count = calendar.Due{}
	s := Evolve(p.states[len(p.states)-2], old, p.stamps[len(p.stamps)-1])
	if s.Phase != PhaseVoting || len(s.Running) != 1 || s.Running[0].Clock != calendar.Deliberate || s.Dues != p.state().Dues-1 {
		t.Errorf("got %s with %v, want only the deliberation limited", s.Phase, s.Running)
	}
}

// What the clock does on the ways through the table.
func TestWhatTheClockDoes(t *testing.T) {
	ready := append(path(PhaseHandling), marksReady)
	for _, c := range []struct {
		name  string
		steps []step
		want  []string // within half a year
	}{
		{"a topic that nobody opens rises above the community", path(PhaseProposed), []string{
			"warning open 03-13 17:30:00", "warning open 03-16 17:30:00", "expired open 03-18 00:00:00", "E5 2 to 3 150105003"}},
		{"a deliberation that leads to nothing, too", path(PhaseDeliberating), []string{
			"warning deliberate 04-01 17:30:00", "warning deliberate 04-02 17:30:00", "expired deliberate 04-04 00:00:00", "E5 2 to 3 150105003"}},
		{"a vote that nobody counts rises, and is deliberated too long: the clock does not know its counts", path(PhaseVoting), []string{
			"warning vote_count 03-13 17:30:00", "expired vote_count 03-16 00:00:00", "E5 2 to 3 150105003", "warning deliberate 04-01 17:30:00", "warning deliberate 04-02 17:30:00", "expired deliberate 04-04 00:00:00", "E5 3 to 4 150105"}},
		{"a review date reminds the convenor and lifts nothing", path(PhaseDeferred), []string{
			"warning topic_review 05-08 17:30:00", "warning topic_review 05-09 17:30:00", "expired topic_review 05-11 00:00:00"}},
		{"a plan that nobody hands over", path(PhaseAdopted), []string{
			"warning handover 03-16 17:30:00", "warning handover 03-17 17:30:00", "expired handover 03-19 00:00:00", "E5 2 to 3 150105003"}},
		{"work that is done and not concluded", ready, []string{
			"warning conclude 03-25 17:30:00", "warning conclude 03-26 17:30:00", "expired conclude 03-28 00:00:00", "E5 2 to 3 150105003"}},
		{"while work goes on no clock runs", path(PhaseHandling), nil},
		{"a concluded topic has none", path(PhaseConcluded), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := given(t, c.steps...)
			n := len(p.events)
			run(t, ours, p, p.now.Add(180*day), false, map[string]bool{})
			var got []string
			for i, e := range p.events[n:] {
				on := p.stamps[n+i].Recorded.In(calendar.Zone()).Format(" 01-02 15:04:05")
				switch e := e.(type) {
				case WarningRaised:
					got = append(got, "warning "+string(e.Clock)+on)
				case ClockExpired:
					got = append(got, "expired "+string(e.Clock)+on)
				case Escalated:
					got = append(got, fmt.Sprintf("%s %d to %d %s", e.Rule, e.From, e.To, e.Unit))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// The clock repeats itself on every node, and hides nothing that somebody said.
func TestTheClockAskedTwiceDecidesNothing(t *testing.T) {
	p := given(t, path(PhaseProposed)...)
	supporting, at := p.ask(supports)
	if events, err := Decide(p.state(), supporting, at); len(events) == 1 && err == nil {
		p.record(events, at)
	} else {
		t.Fatalf("support: got %v, %v", events, err)
	}
	c, late := p.ask(expires)
	for n := range 2 {
		events, err := Decide(p.state(), c, late)
		if len(events) != 2-2*n || err != nil {
			t.Errorf("time %d: got %v, %v", n+1, events, err)
		}
		p.record(events, late)
	}
	if events, err := Decide(p.state(), RaiseWarning{runningID(p.state())}, late); len(events) > 0 || err != nil {
		t.Errorf("a warning after the expiry: got %v, %v", events, err)
	}
	if events, err := Decide(p.state(), supporting, at); len(events) > 0 || err != nil {
		t.Errorf("support asked twice, with an expiry in between: got %v, %v", events, err)
	}
	if events, err := Decide(p.state(), ExpireClock{"open/1/0/99"}, late); len(events) > 0 || err != nil {
		t.Errorf("a clock that does not run: got %v, %v", events, err)
	}
}
