package dispute

import (
	"regexp"
	"slices"
	"testing"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

// witness is one transition that somebody makes.
type witness struct {
	row   string // "" for a note
	given []step
	when  step
}

var witnesses = []witness{
	{"P1", nil, by(manager, open)},
	{"P2", isOpened, by(med, accept)},
	{"P3", isOpened, by(med, decline)},
	{"P4", isMediating, by(med, agree)},
	{"P5", isMediating, by(med, fail)},
	{"P6", isFailed, by(med, ReferUp{})},
	{"P7", isOpened, by(med, out)},
	{"P7", isMediating, by(med, out)},
	{"P7", isFailed, by(med, out)},
	{"P8", isOpened, by(party, Withdraw{})},
	{"P8", isMediating, by(party, Withdraw{})},
	{"P8", isFailed, by(party, Withdraw{})},
	{"P9", isAgreed, by(med, RecordFulfilment{})},
	{"P10", isAgreed, by(party, breach)},
	{"", isMediating, by(med, extend)},
	{"", isOpened, by(clock, RaiseWarning{"rung/2/0/1"}, 200*day)},
	{"", isMediating, by(clock, RaiseWarning{"rung/2/0/1"}, 200*day)},
	{"", isAgreed, by(clock, RaiseWarning{"fulfil/2/0/2"}, 200*day)},
	{"", isFailed, by(clock, RaiseWarning{"refer/2/0/2"}, 200*day)},
	{"", isOpened, recount("rung/2/0/1")},
	{"", isMediating, recount("rung/2/0/1")},
	{"", isFailed, recount("refer/2/0/2")},
	{"", isTopFailing, by(clock, ExpireClock{"refer/4/0/2"}, 200*day)},
}

// alone reports whether one event was decided, and nothing with it but an escalation.
func alone(es []Event) bool {
	return len(es) > 0 && !slices.ContainsFunc(es[1:], func(e Event) bool { _, rides := e.(Escalated); return !rides })
}

func testimonies(t *testing.T) []ruletest.Seen[Phase] {
	t.Helper()
	var all []ruletest.Seen[Phase]
	for _, w := range witnesses {
		st := given(t, w.given...)
		from := st.state.Phase
		es, err := st.does(w.when)
		if err != nil || !alone(es) {
			t.Fatalf("%s, %s in %q: got %d events, %v, want one", w.row, w.when.command.Name(), from, len(es), err)
		}
		all = append(all, ruletest.Seen[Phase]{Row: w.row, Command: w.when.command.Name(), Event: ruletest.Word(es[0]), From: from, To: st.state.Phase})
	}
	return all
}

// M2.
func TestTheTableIsCompleteAndTheCodeKeepsToIt(t *testing.T) {
	for _, f := range ruletest.Flaws(Machine, Phase.Terminal, testimonies(t)) {
		t.Error(f)
	}
}

// A table with a mistake in it must not pass.
func TestAMistakeInTheTableIsFound(t *testing.T) {
	ruletest.Mistakes(t, Machine, Phase.Terminal, testimonies(t), map[string]func(*rule.Machine[Phase]){
		"a row is missing":                func(m *rule.Machine[Phase]) { m.Rows = slices.Delete(m.Rows, 3, 4) },
		"a row leads elsewhere":           ruletest.Row("P5", func(r *rule.Row[Phase]) { r.To = PhaseEnded }),
		"a row starts nowhere else":       ruletest.Row("P7", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseOpened} }),
		"a row starts from one too many":  ruletest.Row("P8", func(r *rule.Row[Phase]) { r.From = append(slices.Clone(r.From), PhaseAgreed) }),
		"a terminal state has an exit":    ruletest.Row("P10", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseAgreed, PhaseFulfilled} }),
		"an event has another name":       ruletest.Row("P2", func(r *rule.Row[Phase]) { r.Event = "mediation-started" }),
		"a number comes twice":            ruletest.Row("P4", func(r *rule.Row[Phase]) { r.ID = "P5" }),
		"nobody may do it":                ruletest.Row("P9", func(r *rule.Row[Phase]) { r.Actors = nil }),
		"a state is missing an end":       func(m *rule.Machine[Phase]) { m.Terminal = m.Terminal[1:] },
		"a note changes where it applies": func(m *rule.Machine[Phase]) { m.Notes[0].In = []Phase{PhaseOpened} },
		"a state nobody enters":           func(m *rule.Machine[Phase]) { m.States = append(m.States, "paused") },
	})
}

// M1. What the table does not list is refused in every state, whoever asks, and the refusal says what is possible.
func TestWhatTheTableDoesNotListIsRefused(t *testing.T) {
	for phase, steps := range reach {
		for _, c := range commands {
			listed := slices.ContainsFunc(Machine.Rows, func(r rule.Row[Phase]) bool {
				return r.Command == c.Name() && (slices.Contains(r.From, phase) || phase == "" && r.From == nil)
			}) || slices.ContainsFunc(Machine.Notes, func(n rule.Note[Phase]) bool {
				return n.Command == c.Name() && slices.Contains(n.In, phase)
			})
			if listed {
				continue
			}
			for _, a := range []rule.Actor{med, party, manager} {
				st := given(t, steps...)
				es, err := st.does(by(a, c))
				r := ruletest.Refusal(err)
				if r == nil || r.Code != rule.WrongState || len(es) > 0 {
					t.Errorf("%s by %s in %q: got %v, %v, want %s", c.Name(), a.ID, phase, es, err, rule.WrongState)
				} else if lack := ruletest.Lack(r, st.state.Phase, Machine); lack != "" {
					t.Errorf("%s by %s in %q: %s", c.Name(), a.ID, phase, lack)
				}
			}
		}
	}
}

// Whoever is not in the actors' column is refused, even with all rights elsewhere.
func TestOnlyTheNamedRolesAct(t *testing.T) {
	for _, w := range witnesses {
		st := given(t, w.given...)
		var allowed []orgs.Role
		for _, r := range Machine.Rows {
			if r.ID == w.row {
				allowed = r.Actors
			}
		}
		for _, n := range Machine.Notes {
			if n.Command == w.when.command.Name() {
				allowed = n.Actors
			}
		}
		for _, role := range append(orgs.Roles(), orgs.System) {
			if slices.Contains(allowed, role) {
				continue
			}
			at := st.meet(w.when)
			at.Actor.Role = role
			if r := refusedBy(st.state, w.when.command, at); r == nil || r.Code != rule.RoleMissing {
				t.Errorf("%s by a %s in %q: got %v, want %s", w.when.command.Name(), role, st.state.Phase, r, rule.RoleMissing)
			}
		}
	}
}

func refusedBy(s State, c Command, at rule.At) *rule.Refusal {
	_, err := Decide(s, c, at)
	return ruletest.Refusal(err)
}

// M3.
func TestNamesAreUnique(t *testing.T) {
	events := []Event{Opened{}, MediationAccepted{}, MediationDeclined{}, MediationSucceeded{}, MediationFailed{},
		ReferredUp{}, ReferredOut{}, Withdrawn{}, AgreementFulfilled{}, AgreementBreached{}, RungExtended{}, DeadlineRecomputed{}, WarningRaised{}, ClockExpired{},
		Escalated{}}
	stored := regexp.MustCompile(`^[a-z]+(-[a-z]+)+/[1-9]$`)
	seen := map[string]bool{}
	for _, e := range events {
		if n := e.EventType(); seen[n] || !stored.MatchString(n) {
			t.Errorf("%T is stored as %q: twice, or not of the form", e, n)
		}
		seen[e.EventType()] = true
	}
	for _, r := range Machine.Rows {
		if !seen[r.Event+"/1"] {
			t.Errorf("%s writes %s, which is no event", r.ID, r.Event)
		}
	}
	words := map[string]bool{}
	for _, c := range commands {
		if words[c.Name()] {
			t.Errorf("two commands are called %s", c.Name())
		}
		words[c.Name()] = true
	}
	if got, want := len(events), len(Machine.Rows)+len(Machine.Notes)+1; got != want { // an escalation rides with an expiry
		t.Errorf("got %d events, want one for each of the rows and notes, and one: %d", got, want)
	}
}

// The rule book's own table, where it is at hand, says the same.
func TestTheTableAgreesWithTheRuleBook(t *testing.T) {
	ruletest.Book(t, Machine, func(row, cell string) []orgs.Role {
		actors := ruletest.Words(cell, map[string]orgs.Role{"mediator": orgs.Mediator, "party": orgs.Resident, "pm": orgs.System, "clock": orgs.System})
		if row == "P2" || row == "P4" { // rule R3: settled on the spot
			actors = append(actors, orgs.System)
		}
		return actors
	})
}
