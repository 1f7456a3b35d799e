package period

import (
	"slices"
	"testing"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

var witnesses = []ruletest.Witness[Command]{
	{"Q1", nil, by(ann, open)},
	{"Q2", isOpen, by(clock, end, toCutOff)},
	{"Q3", isRating, by(ann, show)},
	{"Q3", isProvisional, by(ann, showB)},
	{"Q4", isOver, by(ann, sealA, ben)},
	{"Q5", isSealed, by(ann, revise, ben)},
	{"Q6", isOpen, by(ann, void, ben)},
	{"Q6", isRating, by(ann, void, ben)},
	{"Q6", isProvisional, by(ann, void, ben)},
	{"", isOpen, by(leader, exclude)},
	{"", when(isOpen, by(leader, exclude)), by(ann, approve)},
	{"", when(isOpen, by(leader, exclude)), by(ann, refuse)},
	{"", isOpen, by(ann, other)},
	{"", isRating, by(leader, exclude)},
	{"", when(isRating, by(leader, exclude)), by(ann, approve)},
	{"", when(isRating, by(leader, exclude)), by(ann, refuse)},
	{"", isRating, by(ann, other)},
	{"", isProvisional, by(leader, exclude)},
	{"", when(isProvisional, by(leader, exclude)), by(ann, approve)},
	{"", when(isProvisional, by(leader, exclude)), by(ann, refuse)},
	{"", isProvisional, by(ann, other)},
	{"", isProvisional, by(head, object)},
	{"", isContested, by(ann, uphold)},
	{"", isContested, by(ann, reject)},
	{"", isProvisional, by(ann, record)},
	{"", isSealed, by(ann, RecordFigures{Revision: 2, Results: hash("c"), Figures: revise.Figures})},
	{"", isRating, by(clock, warn, 14*aDay)},
	{"", isProvisional, by(clock, RaiseWarning{ID: "objection/1/0/2"}, 7*aDay)},
	{"", isRating, by(clock, expire, 16*aDay)},
	{"", isProvisional, by(clock, ExpireClock{ID: "objection/1/0/2"}, 15*aDay)},
}

func testimonies(t *testing.T) []ruletest.Seen[Phase] {
	t.Helper()
	return ruletest.Testimonies(t, begin, witnesses, func(es []Event) (Event, bool) { // the last: figures come before the seal that they are of
		if len(es) == 0 {
			return nil, false
		}
		return es[len(es)-1], true
	})
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
		"a row is missing":                func(m *rule.Machine[Phase]) { m.Rows = slices.Delete(m.Rows, 5, 6) },
		"a row leads elsewhere":           ruletest.Row("Q3", func(r *rule.Row[Phase]) { r.To = PhaseSealed }),
		"a row starts nowhere else":       ruletest.Row("Q3", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseRating} }),
		"a row starts from one too many":  ruletest.Row("Q4", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseRating, PhaseProvisional} }),
		"a voided period goes on":         ruletest.Row("Q2", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseOpen, PhaseVoided} }),
		"an event has another name":       ruletest.Row("Q2", func(r *rule.Row[Phase]) { r.Event = "period-closed" }),
		"a number comes twice":            ruletest.Row("Q4", func(r *rule.Row[Phase]) { r.ID = "Q5" }),
		"nobody may do it":                ruletest.Row("Q1", func(r *rule.Row[Phase]) { r.Actors = nil }),
		"a state is missing an end":       func(m *rule.Machine[Phase]) { m.Terminal = m.Terminal[1:] },
		"a note changes where it applies": func(m *rule.Machine[Phase]) { m.Notes[0].In = []Phase{PhaseOpen} },
		"a state nobody enters":           func(m *rule.Machine[Phase]) { m.States = append(m.States, "paused") },
	})
}

// M1. What the table does not list is refused in every state, whoever asks, and the refusal says what is possible.
func TestWhatTheTableDoesNotListIsRefused(t *testing.T) {
	code := func(p Phase) rule.Code {
		if p == PhaseSealed {
			return rule.PeriodSealed
		}
		return rule.WrongState
	}
	ruletest.Unlisted(t, Machine, commands, []rule.Actor{ann, leader, clock}, code, func(p Phase, a rule.Actor, c Command) (Phase, int, error) {
		return given(t, reach[p]...).Try(by(a, c))
	})
}

// Whoever is not in the actors' column is refused, even with all rights elsewhere.
func TestOnlyTheNamedRolesAct(t *testing.T) { ruletest.OnlyNamed(t, Machine, begin, witnesses) }

// M3.
func TestNamesAreUnique(t *testing.T) {
	events := []Event{Opened{}, Ended{}, ProvisionalPublished{}, FiguresRecorded{}, Sealed{}, RevisionSealed{}, Voided{}, ExclusionRequested{}, ExclusionApproved{},
		ExclusionRefused{}, ObjectionFiled{}, ObjectionUpheld{}, ObjectionRejected{}, OtherScoreImported{}, WarningRaised{}, ClockExpired{}}
	ruletest.Names(t, Machine, events, commands)
	if got, want := len(events), len(Machine.Rows)+len(Machine.Notes); got != want {
		t.Errorf("got %d events, want %d: one for each command", got, want)
	}
	if got, want := len(commands), len(events); got != want {
		t.Errorf("got %d commands, want %d", got, want)
	}
}

// The rule book's own table, where it is at hand, says the same.
func TestTheTableAgreesWithTheRuleBook(t *testing.T) {
	ruletest.Book(t, Machine, func(_, cell string) []orgs.Role {
		return ruletest.Words(cell, map[string]orgs.Role{"^evaluator": orgs.Evaluator, "^clock": orgs.System})
	})
}
