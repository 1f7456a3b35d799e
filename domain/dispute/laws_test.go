package dispute

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

// limits says which clock runs in each state.
var limits = map[Phase]calendar.Clock{PhaseOpened: calendar.Rung, PhaseMediating: calendar.Rung, PhaseAgreed: calendar.Fulfil, PhaseFailed: calendar.Refer}

// broken lists which laws a dispute and its history break.
func broken(s State, history []entry, units *orgs.Tree) []string {
	var bs []string
	law := func(holds bool, format string, args ...any) {
		if !holds {
			bs = append(bs, fmt.Sprintf(format, args...))
		}
	}

	var want []calendar.Clock
	if c, limited := limits[s.Phase]; limited {
		want = []calendar.Clock{c}
	}
	law(slices.Equal(running(s), want), "in %s the clocks %v run, want %v", s.Phase, running(s), want)

	ids := map[string]bool{}
	for _, h := range history {
		if d, found := dueOf(h.Event); found {
			law(!ids[d.ID], "I15: the due instant %s was given twice", d.ID)
			ids[d.ID] = true
			_, anew := h.Event.(DeadlineRecomputed) // that may be long after
			law(anew || d.Due.After(h.Stamp.Recorded.Add(-time.Second)), "%s was over when it began", d.ID)
		}
	}
	law(s.Dues == len(ids), "got %d due instants counted, want %d", s.Dues, len(ids))

	law(len(s.Stays) > 0, "a dispute stands nowhere")
	for i, t := range s.Stays {
		last := i == len(s.Stays)-1
		switch {
		case !last:
			law(t.Until.Equal(s.Stays[i+1].From) && t.Rung+1 == s.Stays[i+1].Rung, "stay %d does not lead to the next: %+v", i, s.Stays)
		default:
			law(t.Rung == s.Rung && t.Mediator == s.Mediator, "the last stay %+v is not at rung %d with %q", t, s.Rung, s.Mediator)
			law(t.Until.IsZero() != s.Phase.Terminal(), "in %s the last stay ends at %s", s.Phase, t.Until)
		}
		law(slices.Contains(Rungs(), t.Rung), "there is no rung %d", t.Rung)
	}
	law(s.EndedAt.IsZero() != s.Phase.Terminal(), "in %s it ended at %s", s.Phase, s.EndedAt)
	law((s.Phase == PhaseReferredOut) == (s.Target != ""), "in %s the target is %q", s.Phase, s.Target)
	law(s.Phase != PhaseMediating && s.Phase != PhaseAgreed || s.Mediator != "", "in %s nobody mediates", s.Phase)
	law(s.Phase != PhaseOpened || s.Mediator == "" && !s.Extended, "a rung began with a mediator or an extension")
	law(s.Phase != PhaseAgreed && s.Phase != PhaseFulfilled || s.Agreement.Hash != "" && !s.Agreement.Breached && s.Agreement.Rung == s.Rung,
		"in %s the agreement is %+v", s.Phase, s.Agreement)
	law(s.before == nil || s.before.before == nil, "a state keeps all states before it")
	law(slices.Equal(s.Parties, []string{party.ID, biased.ID}), "the parties changed: %v", s.Parties)

	// What the history says of who did what, and when.
	var accepted orgs.UnitCode
	var ran calendar.Due // the latest due instant recorded
	extended := 0
	for _, h := range history {
		if a := h.Stamp.Actor; a.Role == orgs.Mediator {
			law(a.ID != biased.ID, "a party mediated: %T", h.Event)
			at := rule.At{Stamp: h.Stamp, Units: units}
			law(accepted == "" || bench(at, a.Unit).Code == bench(at, accepted).Code, "%s took it up, %s wrote %T", accepted, a.Unit, h.Event)
		}
		if h.Stamp.Actor == clock {
			switch e := h.Event.(type) {
			case Withdrawn, Escalated:
			case WarningRaised:
				law(!h.Stamp.Recorded.Before(e.WarnAt), "the clock wrote %T at %s, for %s", e, h.Stamp.Recorded, e.WarnAt)
			default:
				law(h.Stamp.Recorded.Sub(ran.Due) >= time.Second, "the clock wrote %T at %s, due %s", h.Event, h.Stamp.Recorded, ran.Due)
			}
		}
		switch e := h.Event.(type) {
		case MediationAccepted:
			accepted = e.Unit
		case ReferredUp:
			accepted, extended = "", 0
		case RungExtended:
			extended++
			law(extended == 1 && e.RungDue.OriginalDue.Equal(ran.OriginalDue) && e.RungDue.Due.After(ran.Due), "extension %d at a rung, from %s", extended, ran.Due)
		case DeadlineRecomputed:
			law(e.Clock.Due.After(ran.Due) && e.Clock.OriginalDue.Equal(ran.OriginalDue), "%s was counted anew as %s", ran.Due, e.Clock.Due)
		}
		if d, found := dueOf(h.Event); found {
			ran = d
		}
	}
	return bs
}

// anyStep draws a command of somebody, as often right as wrong. The clock only does what clocks do; a
// settlement on the spot has a test of its own.
func anyStep(s State) *rapid.Generator[step] {
	others := []rule.Actor{clock, party, stranger, biased, mediatorOf(nextGrid), mediatorOf(homeCentre), mediatorOf(neighbour),
		mediatorOf(districtCentre), mediatorOf(agency)}
	return rapid.Custom(func(t *rapid.T) step {
		c := rapid.SampledFrom(commands).Draw(t, "command")
		seldom := func(name string) bool { return name == "recompute-deadline" } // it keeps the clock from what follows
		if possible := slices.DeleteFunc(Machine.Possible(s.Phase), seldom); len(possible) > 0 && rapid.IntRange(0, 3).Draw(t, "unlisted") > 0 {
			name := rapid.SampledFrom(possible).Draw(t, "possible")
			c = commands[slices.IndexFunc(commands, func(c Command) bool { return c.Name() == name })]
		}
		if _, agrees := c.(RecordAgreement); agrees {
			c = RecordAgreement{Agreement: signed, FulfilOn: summer + calendar.Date(rapid.IntRange(-100, 400).Draw(t, "fulfil"))}
		}
		if _, longer := c.(ExtendRung); longer {
			c = ExtendRung{Amount: rapid.IntRange(0, 17).Draw(t, "amount"), Consent: rapid.Bool().Draw(t, "consent")}
		}
		if _, counts := c.(RecomputeDeadline); counts && len(s.Running) > 0 {
			return recount(s.Running[0].ID)
		}
		if s.Phase == "" {
			return by(manager, openAt(rapid.SampledFrom(Rungs()).Draw(t, "rung")))
		}
		a := atRung[s.Rung]
		if rapid.IntRange(0, 2).Draw(t, "somebody else") == 0 {
			a = rapid.SampledFrom(others).Draw(t, "actor")
		}
		switch c.(type) {
		case AcceptMediation, RecordAgreement:
			if a == clock {
				a = stranger
			}
		}
		return by(a, c, rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour, 2 * day, 9 * day, 31 * day, 50 * day}).Draw(t, "after"))
	})
}

// However people, parties and clocks act: the laws hold after every step, the log tells the same as the steps
// did, no state changes afterwards, a decision asked twice decides nothing, and a way out remains.
func TestTheLawsHoldWhateverIsDone(t *testing.T) {
	units := town()
	reached := map[Phase]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			st := begin()
			for range rapid.IntRange(5, 30).Draw(t, "steps") {
				anything(t, st, units)
				reached[st.State.Phase]++
			}
			st.Retells(t, State{ID: self})
			conclude(t, st)
		}
	})
	ruletest.Shown(t, reached, Machine.States...)
}

// anything takes a step, checks what it did, and asks again.
func anything(t *rapid.T, st *story, units *orgs.Tree) {
	s := anyStep(st.State).Draw(t, "step")
	before := st.State
	at, es := st.Tries(t, Machine, s)
	Evolve(before, ReferredUp{Rung: 9}, at.Stamp) // another future of the same state leaves this one alone
	if bs := broken(st.State, st.History, units); len(bs) > 0 {
		t.Fatalf("after %s by %s: %q", s.Command.Name(), at.Actor.ID, bs)
	}
	if len(es) > 0 {
		st.Repeats(t, s.Command, at, 70*day)
	}
}

// conclude leads a dispute to an end by forward steps alone: the clock's, and at the top rung a mediator's.
func conclude(t *rapid.T, st *story) {
	forward := map[Phase]Command{PhaseOpened: DeclineMediation{}, PhaseMediating: FailMediation{}, PhaseAgreed: RecordFulfilment{}, PhaseFailed: ReferUp{}}
	for range 3 * len(Rungs()) {
		if st.State.Phase.Terminal() {
			return
		}
		due, _ := st.State.Running.Next()
		s := by(clock, forward[st.State.Phase], max(due.Add(time.Second).Sub(st.Now), time.Second))
		if st.State.Phase == PhaseFailed && st.State.Rung == District {
			s = by(atRung[District], out)
		}
		if _, err := st.Does(s); err != nil {
			t.Fatalf("stuck in %s at rung %d: %v", st.State.Phase, st.State.Rung, err)
		}
	}
	t.Fatalf("still in %s at rung %d", st.State.Phase, st.State.Rung)
}

// Laws that nothing can break prove nothing: each of these stories is false.
func TestABrokenLawIsFound(t *testing.T) {
	units := town()
	for name, spoil := range map[string]func(*story){
		"a clock outlives the dispute":    func(st *story) { st.State.Running = st.States[0].Running },
		"two clocks run":                  func(st *story) { st.State.Running = slices.Concat(st.State.Running, st.States[0].Running) },
		"a due instant is given twice":    func(st *story) { st.History = append(st.History, st.History[0]) },
		"a due instant is not counted":    func(st *story) { st.State.Dues-- },
		"a stay never ends":               func(st *story) { st.State.Stays = []Stay{{Rung: Grid}, st.State.Stays[0]} },
		"a stay ends while it lasts":      func(st *story) { st.State.Stays = []Stay{{Rung: Community, Mediator: home, Until: morning}} },
		"it stands at another rung":       func(st *story) { st.State.Rung = Street },
		"nobody mediates":                 func(st *story) { st.State.Mediator = "" },
		"the agreement is broken":         func(st *story) { st.State.Agreement.Breached = true },
		"a party is forgotten":            func(st *story) { st.State.Parties = nil },
		"it ended and goes on":            func(st *story) { st.State.EndedAt = morning },
		"it left and is there":            func(st *story) { st.State.Target = Court },
		"a party mediated":                func(st *story) { st.History[2].Stamp.Actor = biased },
		"two grids mediated":              func(st *story) { st.History[2].Stamp.Actor = mediatorOf(neighbour) },
		"the clock was early":             func(st *story) { st.History[2].Stamp.Actor = clock },
		"the clock was within the second": func(st *story) { early(st, 999*time.Millisecond) },
		"an extension came a second time": func(st *story) { extendedTwice(st) },
	} {
		t.Run(name, func(t *testing.T) {
			st := given(t, isAgreed...)
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

// early has the clock fail a mediation that soon after the due instant.
func early(st *story, after time.Duration) {
	due, _ := st.States[0].Running.Get(calendar.Rung)
	st.History[2].Stamp.Actor, st.History[2].Stamp.Recorded = clock, due.Due.Add(after)
}

// extendedTwice puts two extensions at one rung into the history.
func extendedTwice(st *story) {
	first, _ := st.States[0].Running.Get(calendar.Rung)
	var es []entry
	for _, id := range []string{"rung/2/0/8", "rung/2/0/9"} {
		d := first
		d.ID = id
		es = append(es, entry{Event: RungExtended{Amount: 1, RungDue: d}, Stamp: st.History[1].Stamp})
	}
	st.History = slices.Insert(st.History, 2, es...)
	st.State.Dues += 2
}
