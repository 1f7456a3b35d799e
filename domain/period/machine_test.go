package period

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
	var all []ruletest.Seen[Phase]
	for _, w := range witnesses {
		st := given(t, w.given...)
		from := st.state.Phase
		es, err := st.does(w.when)
		if err != nil || len(es) == 0 {
			t.Fatalf("%s, %s in %q: got %d events, %v, want some", w.row, w.when.command.Name(), from, len(es), err)
		}
		all = append(all, ruletest.Seen[Phase]{Row: w.row, Command: w.when.command.Name(), Event: ruletest.Word(es[len(es)-1]), From: from, To: st.state.Phase})
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
			for _, a := range []rule.Actor{ann, leader, clock} {
				st := given(t, steps...)
				es, err := st.does(by(a, c))
				r := ruletest.Refusal(err)
				want := rule.WrongState
				if phase == PhaseSealed {
					want = rule.PeriodSealed
				}
				if r == nil || r.Code != want || len(es) > 0 {
					t.Errorf("%s by %s in %q: got %v, %v, want %s", c.Name(), a.ID, phase, es, err, want)
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
	events := []Event{Opened{}, Ended{}, ProvisionalPublished{}, FiguresRecorded{}, Sealed{}, RevisionSealed{}, Voided{}, ExclusionRequested{}, ExclusionApproved{},
		ExclusionRefused{}, ObjectionFiled{}, ObjectionUpheld{}, ObjectionRejected{}, OtherScoreImported{}, WarningRaised{}, ClockExpired{}}
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
