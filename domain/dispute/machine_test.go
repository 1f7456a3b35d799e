package dispute

import (
	"slices"
	"testing"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

var witnesses = []ruletest.Witness[Command]{
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

func testimonies(t *testing.T) []ruletest.Seen[Phase] {
	t.Helper()
	return ruletest.Testimonies(t, begin, witnesses, ruletest.Leading[Escalated])
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
	ruletest.Unlisted(t, Machine, commands, []rule.Actor{med, party, manager}, ruletest.WrongState, func(p Phase, a rule.Actor, c Command) (Phase, int, error) {
		return given(t, reach[p]...).Try(by(a, c))
	})
}

// Whoever is not in the actors' column is refused, even with all rights elsewhere.
func TestOnlyTheNamedRolesAct(t *testing.T) { ruletest.OnlyNamed(t, Machine, begin, witnesses) }

// M3.
func TestNamesAreUnique(t *testing.T) {
	events := []Event{Opened{}, MediationAccepted{}, MediationDeclined{}, MediationSucceeded{}, MediationFailed{},
		ReferredUp{}, ReferredOut{}, Withdrawn{}, AgreementFulfilled{}, AgreementBreached{}, RungExtended{}, DeadlineRecomputed{}, WarningRaised{}, ClockExpired{},
		Escalated{}}
	ruletest.Names(t, Machine, events, commands)
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
