package whistle

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

var witnesses = []ruletest.Witness[Command]{
	{"W1", nil, by(desker, blow)},
	{"W2", isOpen, by(desker, arrive)},
	{"W3", isOpen, by(desker, finish)},
	{"W3", when(isOnSite, by(desker, release)), by(desker, finish)},
	{"W4", isOpen, by(leader, cancel)},
	{"W5", isConcluded, by(leader, score)},
	{"", isOnSite, by(desker, ReportIn{Unit: utility})},
	{"", isOpen, by(clock, absent, time.Hour)},
	{"", isOnSite, by(clock, absent, time.Hour)},
	{"", isOpen, by(arbiter, excuse)},
	{"", isOnSite, by(arbiter, excuse)},
	{"", isConcluded, by(arbiter, ExcuseUnit{Unit: utility, Reason: "抢修途中"})},
	{"", isOnSite, by(desker, release)},
	{"", isScored, by(evaluator, rescore)},
	{"", isOpen, by(clock, warn, time.Hour)},
	{"", isOnSite, by(clock, warn, time.Hour)},
	{"", isConcluded, by(clock, RaiseWarning{ID: "score/1/0/4"}, 2*day)},
	{"", []step{by(desker, blow, served())}, by(arbiter, recount, ruletest.Shut(morning))},
	{"", []step{by(desker, blow, served()), by(desker, arrive)}, by(arbiter, recount, ruletest.Shut(morning))},
	{"", isConcluded, by(arbiter, RecomputeDeadline{ID: "score/1/0/4", Reason: "放假通知已更正"}, ruletest.Shut(morning))},
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
		"a row is missing":                func(m *rule.Machine[Phase]) { m.Rows = slices.Delete(m.Rows, 3, 4) },
		"a row leads elsewhere":           ruletest.Row("W3", func(r *rule.Row[Phase]) { r.To = PhaseScored }),
		"a row starts nowhere else":       ruletest.Row("W3", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseOnSite} }),
		"a row starts from one too many":  ruletest.Row("W4", func(r *rule.Row[Phase]) { r.From = underway }),
		"a terminal state has an exit":    ruletest.Row("W5", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseConcluded, PhaseCancelled} }),
		"an event has another name":       ruletest.Row("W2", func(r *rule.Row[Phase]) { r.Event = "unit-arrived" }),
		"a number comes twice":            ruletest.Row("W4", func(r *rule.Row[Phase]) { r.ID = "W5" }),
		"nobody may do it":                ruletest.Row("W1", func(r *rule.Row[Phase]) { r.Actors = nil }),
		"a state is missing an end":       func(m *rule.Machine[Phase]) { m.Terminal = m.Terminal[1:] },
		"a note changes where it applies": func(m *rule.Machine[Phase]) { m.Notes[0].In = []Phase{PhaseConcluded} },
		"a state nobody enters":           func(m *rule.Machine[Phase]) { m.States = append(m.States, "paused") },
	})
}

// M1. What the table does not list is refused in every state, whoever asks, and the refusal says what is possible.
func TestWhatTheTableDoesNotListIsRefused(t *testing.T) {
	ruletest.Unlisted(t, Machine, commands, []rule.Actor{desker, leader, clock}, ruletest.WrongState, func(p Phase, a rule.Actor, c Command) (Phase, int, error) {
		return given(t, reach[p]...).Try(by(a, c))
	})
}

// Whoever is not in the actors' column is refused, even with all rights elsewhere.
func TestOnlyTheNamedRolesAct(t *testing.T) { ruletest.OnlyNamed(t, Machine, begin, witnesses) }

// M3.
func TestNamesAreUnique(t *testing.T) {
	events := []Event{Blown{}, UnitReportedIn{}, UnitAbsent{}, UnitExcused{}, UnitReleased{}, Concluded{}, Cancelled{}, Scored{}, Rescored{}, DeadlineRecomputed{}, WarningRaised{}}
	ruletest.Names(t, Machine, events, commands)
	if got, want := len(events), len(Machine.Rows)+len(Machine.Notes)-1; got != want { // report-in is a row and a note
		t.Errorf("got %d events, want %d: one for each command", got, want)
	}
	if got, want := len(commands), len(events); got != want {
		t.Errorf("got %d commands, want %d", got, want)
	}
}

// The rule book's own table, where it is at hand, says the same.
func TestTheTableAgreesWithTheRuleBook(t *testing.T) {
	ruletest.Book(t, Machine, func(_, cell string) []orgs.Role {
		actors := ruletest.Words(cell, map[string]orgs.Role{"dispatcher": orgs.Dispatcher, "street_leader": orgs.StreetLeader, "clock": orgs.System})
		if strings.HasPrefix(cell, "summoned unit") {
			actors = append(actors, orgs.Handler, orgs.UnitHead)
		}
		if strings.Contains(cell, "confirmed by the street") { // or entered by it
			actors = append(actors, orgs.Dispatcher, orgs.StreetLeader)
		}
		return actors
	})
}
