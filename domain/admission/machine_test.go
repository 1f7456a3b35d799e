package admission

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
		if err != nil || len(es) == 0 {
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
		case !terminal && !slices.ContainsFunc(closure(exits[p], exits), Phase.Terminal):
			flaw("no terminal state is reached from %s", p)
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
		"a row is missing":               func(m *rule.Machine[Phase]) { m.Rows = slices.Delete(m.Rows, 3, 4) },
		"a row leads elsewhere":          edit("A5", func(r *rule.Row[Phase]) { r.To = PhaseGranted }),
		"a row starts from one too many": edit("A4", func(r *rule.Row[Phase]) { r.From = undecided }),
		"a terminal state has an exit":   edit("A6", func(r *rule.Row[Phase]) { r.From = []Phase{PhaseGranted, PhaseExpired} }),
		"an event has another name":      edit("A2", func(r *rule.Row[Phase]) { r.Event = "admission-looked-at" }),
		"a number comes twice":           edit("A4", func(r *rule.Row[Phase]) { r.ID = "A5" }),
		"nobody may do it":               edit("A7", func(r *rule.Row[Phase]) { r.Actors = nil }),
		"a state is missing an end":      func(m *rule.Machine[Phase]) { m.Terminal = m.Terminal[1:] },
		"a note applies elsewhere":       func(m *rule.Machine[Phase]) { m.Notes[1].In = []Phase{PhaseReviewing} },
		"a state nobody enters":          func(m *rule.Machine[Phase]) { m.States = append(m.States, "paused") },
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
			if slices.ContainsFunc(Machine.Rows, func(r rule.Row[Phase]) bool {
				return r.Command == c.Name() && (slices.Contains(r.From, phase) || phase == "" && r.From == nil)
			}) || slices.ContainsFunc(Machine.Notes, func(n rule.Note[Phase]) bool { return n.Command == c.Name() && slices.Contains(n.In, phase) }) {
				continue
			}
			for _, a := range []rule.Actor{asker, officer, clock} {
				st := given(t, steps...)
				es, err := st.does(both(a, second, c))
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
			if r := refused(err); r == nil || r.Code != rule.RoleMissing {
				t.Errorf("%s by a %s in %q: got %v, want %s", w.when.command.Name(), role, st.state.Phase, err, rule.RoleMissing)
			}
		}
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
	_, rest, _ := strings.Cut(string(book), "<!-- machine: "+Machine.Name+";")
	n := 0
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
		r := Machine.Rows[n]
		n++
		from := "–"
		if len(r.From) > 0 {
			from = strings.Trim(strings.ReplaceAll(fmt.Sprint(r.From), " ", ", "), "[]")
		}
		event, _, _ := strings.Cut(cells[5], " ")
		command := strings.TrimSuffix(kebab(cells[4]), "-"+Machine.Name)
		if cells[4] == "OpenReview" {
			command = "open-review"
		}
		got := []string{r.ID, from, string(r.To), r.Command, r.Event}
		if want := []string{cells[1], cells[2], cells[3], command, kebab(event)}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if second := strings.Contains(cells[6], "+ 2nd"); second != (r.Second != "") {
			t.Errorf("%s: a second person: got %v, the rule book says %v", r.ID, r.Second != "", second)
		}
		for word, role := range map[string]orgs.Role{"admission_officer": orgs.AdmissionOfficer, "asking unit": orgs.UnitHead, "clock": orgs.System} {
			if strings.Contains(cells[6], word) != slices.Contains(r.Actors, role) {
				t.Errorf("%s: the rule book says %q, the table %v", r.ID, cells[6], r.Actors)
			}
		}
	}
	if n != len(Machine.Rows) {
		t.Errorf("the rule book has %d rows, the table %d", n, len(Machine.Rows))
	}
}

func kebab(s string) string {
	return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(s, "$1-$2"))
}
