package admission

import (
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
	var all []ruletest.Seen[Phase]
	for _, w := range witnesses {
		st := given(t, w.given...)
		from := st.state.Phase
		es, err := st.does(w.when)
		if err != nil || len(es) == 0 {
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
	for phase, steps := range reach {
		for _, c := range commands {
			if slices.ContainsFunc(Machine.Rows, func(r rule.Row[Phase]) bool {
				return r.Command == c.Name() && (slices.Contains(r.From, phase) || phase == "" && r.From == nil)
			}) || slices.ContainsFunc(Machine.Notes, func(n rule.Note[Phase]) bool { return n.Command == c.Name() && slices.Contains(n.In, phase) }) {
				continue
			}
			for _, a := range []rule.Actor{asker, officer, clock} {
				st := given(t, steps...)
				es, err := st.does(both(a, second, c))
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
			if r.Command == w.when.command.Name() {
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
			_, err := Decide(st.state, w.when.command, at)
			if r := ruletest.Refusal(err); r == nil || r.Code != rule.RoleMissing {
				t.Errorf("%s by a %s in %q: got %v, want %s", w.when.command.Name(), role, st.state.Phase, err, rule.RoleMissing)
			}
		}
	}
}

// The rule book's own table, where it is at hand, says the same.
func TestTheTableAgreesWithTheRuleBook(t *testing.T) {
	ruletest.Book(t, Machine, func(_, cell string) []orgs.Role {
		return ruletest.Words(cell, map[string]orgs.Role{"admission_officer": orgs.AdmissionOfficer, "asking unit": orgs.UnitHead, "clock": orgs.System})
	})
}
