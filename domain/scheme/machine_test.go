package scheme

import (
	"slices"
	"testing"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

var witnesses = []ruletest.Witness[Command]{
	{"S1", nil, by(ann, write)},
	{"S2", isDraft, by(ann, amend)},
	{"S3", isDraft, by(ann, publish, ben)},
	{"S4", isDraft, by(ann, discard)},
	{"S5", isPublished, by(ann, retire)},
}

func testimonies(t *testing.T) []ruletest.Seen[Phase] {
	t.Helper()
	return ruletest.Testimonies(t, begin, witnesses, ruletest.Alone)
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
		"a row is missing":             func(m *rule.Machine[Phase]) { m.Rows = slices.Delete(m.Rows, 3, 4) },
		"a row leads elsewhere":        ruletest.Row("S3", func(r *rule.Row[Phase]) { r.To = PhaseRetired }),
		"a row starts elsewhere":       ruletest.Row("S5", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseDraft} }),
		"a published scheme changes":   ruletest.Row("S2", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseDraft, PhasePublished} }),
		"a terminal state has an exit": ruletest.Row("S5", func(r *rule.Row[Phase]) { r.From = []Phase{PhasePublished, PhaseDiscarded} }),
		"an event has another name":    ruletest.Row("S2", func(r *rule.Row[Phase]) { r.Event = "scheme-changed" }),
		"a number comes twice":         ruletest.Row("S4", func(r *rule.Row[Phase]) { r.ID = "S5" }),
		"nobody may do it":             ruletest.Row("S1", func(r *rule.Row[Phase]) { r.Actors = nil }),
		"a state is missing an end":    func(m *rule.Machine[Phase]) { m.Terminal = m.Terminal[1:] },
		"a state nobody enters":        func(m *rule.Machine[Phase]) { m.States = append(m.States, "paused") },
	})
}

// M1. What the table does not list is refused in every state, whoever asks, and the refusal says what is possible.
func TestWhatTheTableDoesNotListIsRefused(t *testing.T) {
	ruletest.Unlisted(t, Machine, commands, []rule.Actor{ann, evaluator(city, 3)}, ruletest.WrongState, func(p Phase, a rule.Actor, c Command) (Phase, int, error) {
		return given(t, reach[p]...).Try(by(a, c))
	})
}

// Whoever is not in the actors' column is refused, even with all rights elsewhere.
func TestOnlyTheNamedRolesAct(t *testing.T) { ruletest.OnlyNamed(t, Machine, begin, witnesses) }

// M3.
func TestNamesAreUnique(t *testing.T) {
	events := []Event{Drafted{}, Amended{}, Published{}, Discarded{}, Retired{}}
	ruletest.Names(t, Machine, events, commands)
	if got, want := len(commands), len(events); got != want {
		t.Errorf("got %d commands, want %d", got, want)
	}
}

// The rule book's own table, where it is at hand, says the same.
func TestTheTableAgreesWithTheRuleBook(t *testing.T) {
	ruletest.Book(t, Machine, func(_, cell string) []orgs.Role {
		return ruletest.Words(cell, map[string]orgs.Role{"^evaluator": orgs.Evaluator})
	})
}
