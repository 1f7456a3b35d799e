package whistle

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

// broken lists which laws a whistle and its history break.
func broken(s State, history []entry, units *orgs.Tree) []string {
	var bs []string
	law := func(holds bool, format string, args ...any) {
		if !holds {
			bs = append(bs, fmt.Sprintf(format, args...))
		}
	}

	// Which clocks run: of each unit that is waited for, in the order they were summoned; or the one for the cards.
	var want []string
	switch s.Phase {
	case PhaseOpen, PhaseOnSite:
		for _, u := range s.Units {
			if u.ReportedAt.IsZero() && !u.Excused {
				want = append(want, u.Due.ID)
			}
		}
	case PhaseConcluded:
		for _, h := range history { // the last one given
			for _, d := range dues(h.Event) {
				if d.Clock == calendar.Score {
					want = []string{d.ID}
				}
			}
		}
	}
	law(slices.Equal(running(s), want), "in %s the clocks %v run, want %v", s.Phase, running(s), want)
	law(s.EndedAt.IsZero() != s.Phase.Terminal(), "in %s it ended at %s", s.Phase, s.EndedAt)
	law(s.before == nil || s.before.before == nil, "a state keeps all states before it")

	came := 0
	for _, u := range s.Units {
		if !u.ReportedAt.IsZero() {
			came++
		}
		st := u.Standing()
		law(!u.Excused || u.ReportedAt.IsZero(), "%s came and was excused", u.Code)
		law(u.ReleasedAt.IsZero() || !u.ReportedAt.IsZero() && !u.ReleasedAt.Before(u.ReportedAt), "%s was let go at %s and came at %s", u.Code, u.ReleasedAt, u.ReportedAt)
		law(u.ReportedAt.IsZero() || u.Late == u.ReportedAt.After(u.Due.Due), "%s came at %s, due %s: late %v", u.Code, u.ReportedAt, u.Due.Due, u.Late)
		law(!u.Present() || s.Phase == PhaseOnSite, "in %s %s is still there", s.Phase, u.Code)
		law(slices.Contains(underway, s.Phase) || st != Awaited, "in %s %s is still waited for", s.Phase, u.Code)
		law((s.Phase == PhaseCancelled) == (st == Void), "in %s %s stands %s", s.Phase, u.Code, st)
		law((s.Phase == PhaseScored && st.Counts()) == (u.Card != nil), "in %s %s stands %s, card %v", s.Phase, u.Code, st, u.Card)
		if u.Card != nil {
			law(*u.Card == u.Card.scored() && u.Card.Score >= 0 && u.Card.Score <= 10000, "the card %+v does not add up", *u.Card)
		}
	}
	law(came == 0 || s.Phase != PhaseOpen && s.Phase != PhaseCancelled, "in %s %d units have come", s.Phase, came)

	// What the history says of who did what, and when.
	ids, fired := map[string]time.Time{}, map[string]bool{}
	var due time.Time // given last
	for _, h := range history {
		for _, d := range dues(h.Event) {
			_, twice := ids[d.ID]
			law(!twice, "I15: the due instant %s was given twice", d.ID)
			ids[d.ID], due = d.Due, d.Due
		}
		once := func(id, step string, at time.Time) {
			law(!fired[id+step], "I15: %s %s came twice", id, step)
			fired[id+step] = true
			law(!h.Stamp.Recorded.Before(at), "I15: %s %s came at %s, before %s", id, step, h.Stamp.Recorded, at)
		}
		a := h.Stamp.Actor
		switch e := h.Event.(type) {
		case UnitAbsent:
			once(e.ID, "expiry", ids[e.ID].Add(time.Second))
		case WarningRaised:
			once(e.ID, fmt.Sprint("warning ", e.Number), e.WarnAt)
		case UnitReportedIn:
			law(desked(a) || h.Stamp.Second != nil && desked(*h.Stamp.Second) && h.Stamp.Second.ID != a.ID, "%s came, says %s alone", e.Unit, a.ID)
		case UnitReleased, Concluded, Cancelled:
			law(desked(a), "%T by %s", h.Event, a.ID)
		case Scored:
			if a == clock {
				once("score", "expiry", due.Add(time.Second))
			}
		case UnitExcused:
			law(!units.SameBody(a.Unit, e.Unit), "I2: %s excused %s", a.Unit, e.Unit)
		case Rescored:
			law(!units.SameBody(a.Unit, e.Card.Unit), "I2: %s judged %s", a.Unit, e.Card.Unit)
		}
	}
	law(s.Dues == len(ids), "got %d due instants counted, want %d", s.Dues, len(ids))
	return bs
}

// desked reports whether somebody commands for the street of these tests.
func desked(a rule.Actor) bool { return a.Unit == street && slices.Contains(desk, a.Role) }

var people = []rule.Actor{desker, leader, handler, arbiter, evaluator, clock, person(orgs.Handler, department), person(orgs.UnitHead, utility),
	person(orgs.Arbiter, department), person(orgs.Evaluator, agency), person(orgs.Dispatcher, nextStreet), person(orgs.StreetLeader, nextStreet)}

// anyStep draws a command of somebody, as often right as wrong.
func anyStep(s State) *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		c := rapid.SampledFrom(commands).Draw(t, "command")
		if possible := Machine.Possible(s.Phase); len(possible) > 0 && rapid.IntRange(0, 3).Draw(t, "unlisted") > 0 {
			name := rapid.SampledFrom(append(possible, "mark-absent", "raise-warning")).Draw(t, "possible")
			c = commands[slices.IndexFunc(commands, func(c Command) bool { return c.Name() == name })]
		}
		unit := rapid.SampledFrom(append(slices.Clone(blow.Units), team)).Draw(t, "unit")
		id := "none"
		if n := len(s.Running); n > 0 {
			id = s.Running[rapid.IntRange(0, n-1).Draw(t, "clock")].ID
		}
		var as []rule.Actor
		var rules []any
		switch was := c.(type) {
		case Blow:
			was.Class, as = rapid.SampledFrom(Classes()).Draw(t, "class"), []rule.Actor{desker, leader}
			c = was
		case ReportIn:
			c, as = ReportIn{Unit: unit}, []rule.Actor{desker, leader, person(orgs.Handler, unit)}
		case ReleaseUnit:
			c, as = ReleaseUnit{Unit: unit, Left: rapid.Bool().Draw(t, "left"), Reason: "离场"}, []rule.Actor{desker}
		case ExcuseUnit:
			c, as = ExcuseUnit{Unit: unit, Reason: "火情"}, []rule.Actor{arbiter}
		case MarkAbsent:
			c, as = MarkAbsent{ID: id}, []rule.Actor{clock}
		case RaiseWarning:
			c, as = RaiseWarning{ID: id}, []rule.Actor{clock}
		case RecomputeDeadline:
			c, as = RecomputeDeadline{ID: id, Reason: "放假通知已更正"}, []rule.Actor{arbiter}
			rules = []any{ruletest.Shut(morning)}
		case Conclude, Cancel:
			as = []rule.Actor{leader}
		case Score:
			c, as = anyMarks(t, s), []rule.Actor{leader, clock}
		case Rescore:
			c, as = Rescore{Unit: unit, ReportIn: rapid.SampledFrom([]Standing{"", OnTime, Late, Absent, Spared}).Draw(t, "report-in"),
				Outcome: ptr(rapid.IntRange(-1, 31).Draw(t, "outcome")), Comment: "复核", Reason: "申诉"}, []rule.Actor{evaluator}
		}
		a := rapid.SampledFrom(as).Draw(t, "actor")
		if rapid.IntRange(0, 3).Draw(t, "somebody else") == 0 {
			a = rapid.SampledFrom(people).Draw(t, "other")
		}
		after := rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, 29 * time.Minute, 5 * time.Hour, day, 5 * day}).Draw(t, "after")
		st := by(a, c, append(rules, after, ago(rapid.SampledFrom([]time.Duration{0, 0, 0, time.Minute, 3 * time.Hour, 30 * time.Hour}).Draw(t, "ago")))...)
		if rapid.Bool().Draw(t, "confirmed") {
			st.At.Second = ptr(rapid.SampledFrom([]rule.Actor{desker, leader, handler, a}).Draw(t, "second"))
		}
		return st
	})
}

// anyMarks rates those who get a card, and sometimes somebody else.
func anyMarks(t *rapid.T, s State) Score {
	var c Score
	for _, u := range s.Units {
		if u.Standing().Counts() || rapid.IntRange(0, 9).Draw(t, "too many") == 0 {
			c.Marks = append(c.Marks, Mark{u.Code, rapid.IntRange(-1, 31).Draw(t, "outcome"), "评语"})
		}
	}
	return c
}

// However people and the clock act: the laws hold after every step, the log tells the same as the steps did, no state
// changes afterwards, a decision asked twice decides nothing, and the clock with the street's word leads to an end.
func TestTheLawsHoldWhateverIsDone(t *testing.T) {
	units := town()
	reached, standings := map[Phase]int{}, map[Standing]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			st := begin()
			for range rapid.IntRange(5, 30).Draw(t, "steps") {
				anything(t, st, units)
				reached[st.State.Phase]++
			}
			st.Retells(t, State{ID: self})
			for _, u := range st.State.Units {
				standings[u.Standing()]++
			}
			end(t, st, units)
		}
	})
	ruletest.Shown(t, reached, Machine.States...)
	ruletest.Shown(t, standings, Standings()...)
}

// anything takes a step, checks what it did, and asks again.
func anything(t *rapid.T, st *story, units *orgs.Tree) {
	s := anyStep(st.State).Draw(t, "step")
	before := st.State
	at, es := st.Tries(t, Machine, s)
	for _, u := range before.Units { // another future of the same state leaves this one alone
		Evolve(before, UnitReportedIn{Unit: u.Code, At: morning}, at.Stamp)
		Evolve(before, Scored{Cards: []Card{{Unit: u.Code, ReportIn: Void}}}, at.Stamp)
	}
	if bs := broken(st.State, st.History, units); len(st.History) > 0 && len(bs) > 0 {
		t.Fatalf("after %s by %s: %q", s.Command.Name(), at.Actor.ID, bs)
	}
	if _, warned := s.Command.(RaiseWarning); len(es) > 0 && !warned {
		st.Repeats(t, s.Command, at, 70*day)
	}
}

// sweep carries out every alarm as it comes due, up to an instant: each is refused a moment before its time, happens
// once, and makes way for the next. It returns how many it carried out.
func sweep(t ruletest.Test, st *story, until time.Time) int {
	n := 0
	for ; ; n++ {
		a, more := rule.Earliest(st.State.Alarms())
		if !more || a.At.After(until) {
			return n
		}
		if n > 100 {
			t.Fatalf("the sweep does not end: %s again", a.Key())
		}
		c := a.Command.(Command)
		early := st.Meet(by(clock, c, time.Duration(0)))
		early.Recorded = a.At.Add(-time.Millisecond)
		early.Occurred = early.Recorded
		if es, err := Decide(st.State, c, early); len(es) > 0 || ruletest.Refusal(err) == nil {
			t.Fatalf("%s a moment early: got %v, %v, want a refusal", a.Key(), es, err)
		}
		es, err := st.Does(by(clock, c, max(0, a.At.Sub(st.Now))))
		if err != nil || len(es) != 1 {
			t.Fatalf("%s at %s: got %v, %v, want one event", a.Key(), st.Now, es, err)
		}
		if slices.ContainsFunc(st.State.Alarms(), func(b rule.Alarm) bool { return b.Key() == a.Key() }) {
			t.Fatalf("%s was carried out and is still to come", a.Key())
		}
	}
}

// end leads a whistle to its end by the clock, and the one word that is the street's: that it is over.
func end(t *rapid.T, st *story, units *orgs.Tree) {
	if st.State.Phase == "" {
		return
	}
	sweep(t, st, st.Now.Add(400*day))
	if slices.Contains(underway, st.State.Phase) {
		for _, u := range st.State.Units {
			if u.Present() {
				if _, err := st.Does(by(desker, ReleaseUnit{Unit: u.Code})); err != nil {
					t.Fatalf("let %s go: %v", u.Code, err)
				}
			}
		}
		if _, err := st.Does(by(desker, finish)); err != nil {
			t.Fatalf("stuck in %s: %v", st.State.Phase, err)
		}
		sweep(t, st, st.Now.Add(400*day))
	}
	if !st.State.Phase.Terminal() {
		t.Fatalf("got no further than %s", st.State.Phase)
	}
	if bs := broken(st.State, st.History, units); len(bs) > 0 {
		t.Fatalf("at the end: %q", bs)
	}
}

// What the clock does to a whistle that everybody forgets: warn each unit, mark it absent; once it is over, warn of the
// cards twice and give them.
func TestTheClockCarriesAForgottenWhistleToItsEnd(t *testing.T) {
	st := given(t, isOpen...)
	if n := sweep(t, st, morning.Add(10*day)); n != 6 {
		t.Errorf("got %d alarms, want a warning and an absence for each of 3 units", n)
	}
	if _, err := st.Does(by(desker, finish)); err != nil {
		t.Fatal(err)
	}
	if n := sweep(t, st, st.Now.Add(10*day)); n != 3 || st.State.Phase != PhaseScored {
		t.Errorf("got %d alarms and %s, want two warnings and the cards", n, st.State.Phase)
	}
	var said []string
	for _, h := range st.History {
		said = append(said, h.Event.EventType())
	}
	want := []string{"whistle-blown/1", "whistle-warning-raised/1", "whistle-warning-raised/1", "whistle-warning-raised/1", "unit-absent/1",
		"unit-absent/1", "unit-absent/1", "whistle-concluded/1", "whistle-warning-raised/1", "whistle-warning-raised/1", "whistle-scored/1"}
	if !slices.Equal(said, want) {
		t.Errorf("got %v, want %v", said, want)
	}
}

// Laws that nothing can break prove nothing: each of these stories is false.
func TestABrokenLawIsFound(t *testing.T) {
	units := town()
	at := func(i int) func(*story, Event) {
		return func(st *story, e Event) { st.History[i].Event = e }
	}
	for name, spoil := range map[string]func(*story){
		"a clock outlives the whistle": func(st *story) { st.State.Running = st.States[0].Running },
		"a due instant is given twice": func(st *story) { st.History = append(st.History, st.History[0]) },
		"a due instant is not counted": func(st *story) { st.State.Dues-- },
		"a unit never left": func(st *story) {
			st.State.Units = slices.Clone(st.State.Units)
			st.State.Units[0].ReleasedAt = time.Time{}
		},
		"a unit was late and is not": func(st *story) { st.State.Units = slices.Clone(st.State.Units); st.State.Units[0].Late = true },
		"a unit is waited for still": func(st *story) {
			st.State.Units = slices.Clone(st.State.Units)
			st.State.Units[2].Card, st.State.Units[2].Absent = nil, false
		},
		"a card does not add up": func(st *story) {
			st.State.Units = slices.Clone(st.State.Units)
			st.State.Units[0].Card = &Card{Unit: agency, ReportIn: OnTime, Stayed: true, Outcome: 24, Score: 9401}
		},
		"a card is missing":               func(st *story) { st.State.Units = slices.Clone(st.State.Units); st.State.Units[2].Card = nil },
		"it ended and goes on":            func(st *story) { st.State.EndedAt = time.Time{} },
		"the clock was within the second": func(st *story) { st.History[3].Stamp.Recorded = morning.Add(30*time.Minute + 999*time.Millisecond) },
		"a unit was marked twice":         func(st *story) { st.History = append(st.History, st.History[3]) },
		"the unit entered itself":         func(st *story) { st.History[1].Stamp.Actor = handler },
		"the unit let itself go":          func(st *story) { st.History[4].Stamp.Actor = handler },
		"the department excused itself":   func(st *story) { st.History[2].Stamp.Actor = person(orgs.Arbiter, department) },
		"a unit judged itself":            func(st *story) { at(6)(st, Rescored{Card: Card{Unit: agency}}); st.History[6].Stamp.Actor = handler },
		"the clock scored early":          func(st *story) { st.History[6].Stamp.Actor = clock },
	} {
		t.Run(name, func(t *testing.T) {
			st := given(t, isScored...)
			if bs := broken(st.State, st.History, units); len(bs) > 0 {
				t.Fatalf("a true story: %q", bs)
			}
			spoil(st)
			if len(broken(st.State, st.History, units)) == 0 {
				t.Error("nothing was found")
			}
		})
	}
}

// A sweep that nothing can stop proves nothing: here the state forgets what fired. That an alarm was early is seen by
// [broken].
func TestAClockThatForgetsIsFound(t *testing.T) {
	st := given(t, isOpen...)
	st.Spoil = func(s *State) { s.Fired = nil }
	if ruletest.Failure(func(t ruletest.Test) { sweep(t, st, morning.Add(10*day)) }) == "" {
		t.Error("it was not found")
	}
}
