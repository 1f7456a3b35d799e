package dispute

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
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

// told is what a witness saw.
type told struct {
	row, command, event string
	from, to            Phase
}

func testimonies(t *testing.T) []told {
	t.Helper()
	var all []told
	for _, w := range witnesses {
		st := given(t, w.given...)
		from := st.state.Phase
		es, err := st.does(w.when)
		if err != nil || !alone(es) {
			t.Fatalf("%s, %s in %q: got %d events, %v, want one", w.row, w.when.command.Name(), from, len(es), err)
		}
		all = append(all, told{w.row, w.when.command.Name(), typed(es[0]), from, st.state.Phase})
	}
	return all
}

// flaws lists where a table is incomplete, contradicts itself, or differs from what the code was seen to do.
func flaws(m *rule.Machine[Phase], seen []told) []string {
	var fs []string
	flaw := func(format string, args ...any) { fs = append(fs, fmt.Sprintf(format, args...)) }

	exits := map[Phase][]Phase{}
	var starts []Phase
	ids, pairs := map[string]bool{}, map[string]bool{}
	claims := map[told]bool{}
	for _, r := range m.Rows {
		if ids[r.ID] {
			flaw("row %s comes twice", r.ID)
		}
		ids[r.ID] = true
		if len(r.Actors) == 0 {
			flaw("row %s is for nobody", r.ID)
		}
		from := r.From
		if len(from) == 0 {
			from, starts = []Phase{""}, append(starts, r.To)
		}
		for _, p := range from {
			exits[p] = append(exits[p], r.To)
			claims[told{r.ID, r.Command, r.Event, p, r.To}] = true
			if pair := string(p) + " " + r.Command; pairs[pair] {
				flaw("%s is decided by two rows", pair)
			} else {
				pairs[pair] = true
			}
		}
	}
	for _, n := range m.Notes {
		for _, p := range n.In {
			claims[told{"", n.Command, n.Event, p, p}] = true
		}
	}
	for _, s := range seen {
		if !claims[s] {
			flaw("the code does what no row says: %+v", s)
		}
	}
	for c := range claims {
		if !slices.Contains(seen, c) {
			flaw("nobody saw the code do %+v", c)
		}
	}
	reached := closure(starts, exits)
	for _, p := range m.States {
		terminal := slices.Contains(m.Terminal, p)
		switch {
		case !slices.Contains(reached, p):
			flaw("%s is never reached", p)
		case terminal != p.Terminal():
			flaw("table and code differ on whether %s is terminal", p)
		case terminal && len(exits[p]) > 0:
			flaw("%s is terminal and has an exit", p)
		case !terminal && len(exits[p]) == 0:
			flaw("%s has no exit", p)
		case !terminal && !slices.ContainsFunc(closure(exits[p], exits), Phase.Terminal):
			flaw("no terminal state is reached from %s", p)
		}
	}
	for p := range exits {
		if p != "" && !slices.Contains(m.States, p) {
			flaw("%s is no state", p)
		}
	}
	return fs
}

// closure returns the states that can be reached from some.
func closure(from []Phase, exits map[Phase][]Phase) []Phase {
	all := slices.Clone(from)
	for i := 0; i < len(all); i++ {
		for _, p := range exits[all[i]] {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// M2.
func TestTheTableIsCompleteAndTheCodeKeepsToIt(t *testing.T) {
	for _, f := range flaws(&Machine, testimonies(t)) {
		t.Error(f)
	}
}

// A table with a mistake in it must not pass.
func TestAMistakeInTheTableIsFound(t *testing.T) {
	seen := testimonies(t)
	edit := func(id string, f func(*rule.Row[Phase])) func(*rule.Machine[Phase]) {
		return func(m *rule.Machine[Phase]) {
			f(&m.Rows[slices.IndexFunc(m.Rows, func(r rule.Row[Phase]) bool { return r.ID == id })])
		}
	}
	for name, spoil := range map[string]func(*rule.Machine[Phase]){
		"a row is missing":                func(m *rule.Machine[Phase]) { m.Rows = slices.Delete(m.Rows, 3, 4) },
		"a row leads elsewhere":           edit("P5", func(r *rule.Row[Phase]) { r.To = PhaseEnded }),
		"a row starts nowhere else":       edit("P7", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseOpened} }),
		"a row starts from one too many":  edit("P8", func(r *rule.Row[Phase]) { r.From = append(slices.Clone(r.From), PhaseAgreed) }),
		"a terminal state has an exit":    edit("P10", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseAgreed, PhaseFulfilled} }),
		"an event has another name":       edit("P2", func(r *rule.Row[Phase]) { r.Event = "mediation-started" }),
		"a number comes twice":            edit("P4", func(r *rule.Row[Phase]) { r.ID = "P5" }),
		"nobody may do it":                edit("P9", func(r *rule.Row[Phase]) { r.Actors = nil }),
		"a state is missing an end":       func(m *rule.Machine[Phase]) { m.Terminal = m.Terminal[1:] },
		"a note changes where it applies": func(m *rule.Machine[Phase]) { m.Notes[0].In = []Phase{PhaseOpened} },
		"a state nobody enters":           func(m *rule.Machine[Phase]) { m.States = append(m.States, "paused") },
	} {
		t.Run(name, func(t *testing.T) {
			m := Machine
			m.Rows, m.Notes, m.States = slices.Clone(m.Rows), slices.Clone(m.Notes), slices.Clone(m.States)
			spoil(&m)
			if len(flaws(&m, seen)) == 0 {
				t.Error("the mistake was not found")
			}
		})
	}
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
				r := refused(err)
				if r == nil || r.Code != rule.WrongState || len(es) > 0 {
					t.Errorf("%s by %s in %q: got %v, %v, want %s", c.Name(), a.ID, phase, es, err, rule.WrongState)
				} else if lack := complete(r, st.state); lack != "" {
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
	return refused(err)
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
	folder := os.Getenv("GRIDCASE_SHARED")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared")
	}
	book, err := os.ReadFile(filepath.Join(folder, "DOMAIN.md"))
	if err != nil {
		t.Logf("not compared with the rule book: %v", err)
		return
	}
	lines := bookRows(string(book), Machine.Name)
	if len(lines) != len(Machine.Rows) {
		t.Fatalf("the rule book has %d rows, the table %d", len(lines), len(Machine.Rows))
	}
	for i, r := range Machine.Rows {
		if got, want := asBook(r), lines[i]; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// bookRows reads the table of a machine: number, from, to, command, event and actors of each row.
func bookRows(book, machine string) []string {
	_, rest, _ := strings.Cut(book, "<!-- machine: "+machine+";")
	var rows []string
	for _, line := range strings.Split(rest, "\n")[1:] {
		cells := strings.Split(line, "|")
		if len(cells) < 9 {
			break
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[1] == "#" || strings.HasPrefix(cells[1], "-") {
			continue
		}
		event, _, _ := strings.Cut(cells[5], " ")
		var actors []string
		for word, role := range map[string]orgs.Role{"mediator": orgs.Mediator, "party": orgs.Resident, "pm": orgs.System, "clock": orgs.System} {
			if regexp.MustCompile(`\b` + word + `\b`).MatchString(cells[6]) {
				actors = append(actors, string(role))
			}
		}
		if cells[1] == "P2" || cells[1] == "P4" { // rule R3: settled on the spot
			actors = append(actors, string(orgs.System))
		}
		slices.Sort(actors)
		rows = append(rows, fmt.Sprint(cells[1], " ", cells[2], " → ", cells[3], " ",
			strings.TrimSuffix(kebab(cells[4]), "-"+machine), " ", kebab(event), " ", slices.Compact(actors)))
	}
	return rows
}

// asBook writes a row as the rule book does.
func asBook(r rule.Row[Phase]) string {
	from := "–"
	if len(r.From) > 0 {
		from = strings.Trim(strings.ReplaceAll(fmt.Sprint(r.From), " ", ", "), "[]")
	}
	actors := make([]string, len(r.Actors))
	for i, a := range r.Actors {
		actors[i] = string(a)
	}
	slices.Sort(actors)
	return fmt.Sprint(r.ID, " ", from, " → ", r.To, " ", r.Command, " ", r.Event, " ", actors)
}

func kebab(s string) string {
	return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(s, "$1-$2"))
}
