package admission

import (
	"slices"
	"testing"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

var witnesses = []ruletest.Witness[Command]{
	{"A1", nil, by(asker, asking())},
	{"A2", isRequested, by(officer, OpenReview{})},
	{"A3", isRequested, by(asker, Withdraw{})},
	{"A3", isReviewing, by(asker, Withdraw{})},
	{"A4", isReviewing, granting},
	{"A5", isReviewing, by(officer, Refuse{Reason: "属部门本职"})},
	{"A6", isGranted, by(officer, Revoke{Reason: "经费未到位"})},
	{"A7", isGranted, by(clock, Expire{"expiry/0/0/2"}, 200*day)},
	{"", isReviewing, by(as(orgs.CommunitySecretary, home), RecordOpinion{Supports: true})},
	{"", isGranted, by(officer, RecordFunding{Reference: "凭证"})},
	{"", isRequested, by(clock, RaiseWarning{"admission/0/0/1"}, 20*day)},
	{"", isReviewing, by(clock, RaiseWarning{"admission/0/0/1"}, 20*day)},
	{"", isGranted, by(clock, RaiseWarning{"expiry/0/0/2"}, 118*day+18*3600e9)},
	{"", isRequested, recounting},
	{"", isReviewing, recounting},
	{"", isRequested, by(clock, ExpireClock{"admission/0/0/1"}, 40*day)},
	{"", isReviewing, by(clock, ExpireClock{"admission/0/0/1"}, 40*day)},
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
		"a row is missing":               func(m *rule.Machine[Phase]) { m.Rows = slices.Delete(m.Rows, 3, 4) },
		"a row leads elsewhere":          ruletest.Row("A5", func(r *rule.Row[Phase]) { r.To = PhaseGranted }),
		"a row starts from one too many": ruletest.Row("A4", func(r *rule.Row[Phase]) { r.From = undecided }),
		"a terminal state has an exit":   ruletest.Row("A6", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseGranted, PhaseExpired} }),
		"an event has another name":      ruletest.Row("A2", func(r *rule.Row[Phase]) { r.Event = "admission-looked-at" }),
		"a number comes twice":           ruletest.Row("A4", func(r *rule.Row[Phase]) { r.ID = "A5" }),
		"nobody may do it":               ruletest.Row("A7", func(r *rule.Row[Phase]) { r.Actors = nil }),
		"a state is missing an end":      func(m *rule.Machine[Phase]) { m.Terminal = m.Terminal[1:] },
		"a note applies elsewhere":       func(m *rule.Machine[Phase]) { m.Notes[1].In = []Phase{PhaseReviewing} },
		"a state nobody enters":          func(m *rule.Machine[Phase]) { m.States = append(m.States, "paused") },
	})
}

// M1. What the table does not list is refused in every state, whoever asks, and the refusal says what is possible.
func TestWhatTheTableDoesNotListIsRefused(t *testing.T) {
	ruletest.Unlisted(t, Machine, commands, []rule.Actor{asker, officer, clock}, ruletest.WrongState, func(p Phase, a rule.Actor, c Command) (Phase, int, error) {
		return given(t, reach[p]...).Try(both(a, second, c))
	})
}

// Whoever is not in the actors' column is refused, even with all rights elsewhere.
func TestOnlyTheNamedRolesAct(t *testing.T) { ruletest.OnlyNamed(t, Machine, begin, witnesses) }

// M3.
func TestNamesAreUnique(t *testing.T) {
	events := []Event{Requested{}, ReviewOpened{}, Withdrawn{}, Granted{}, Refused{}, Revoked{}, Expired{}, OpinionRecorded{}, Funded{}, WarningRaised{},
		ClockExpired{}, Escalated{}, DeadlineRecomputed{}}
	ruletest.Names(t, Machine, events, commands)
	if got, want := len(events), len(Machine.Rows)+len(Machine.Notes)+1; got != want { // a rise comes with an expiry
		t.Errorf("got %d events, want one for each of the rows and notes, and one: %d", got, want)
	}
}

// The rule book's own table, where it is at hand, says the same.
func TestTheTableAgreesWithTheRuleBook(t *testing.T) {
	ruletest.Book(t, Machine, func(_, cell string) []orgs.Role {
		return ruletest.Words(cell, map[string]orgs.Role{"admission_officer": orgs.AdmissionOfficer, "asking unit": orgs.UnitHead, "clock": orgs.System})
	})
}
