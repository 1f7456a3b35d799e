// Package ruletest is for the tests of state machines. A test tells a [Story]: somebody takes a [Step], the machine decides, and the stream
// grows. It holds a table against what the code was seen to do, against whom it lets act, and against the rule book, and says what a
// refusal lacks to be shown to a clerk.
package ruletest

import (
	"cmp"
	"errors"
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

// Seen is one transition that the code was seen to make. Row is "" for a note.
type Seen[S ~string] struct {
	Row, Command, Event string
	From, To            S
}

// Flaws lists where a table is incomplete, contradicts itself, or differs from what the code was seen to do. Terminal is
// what the code takes for the end of a matter.
func Flaws[S ~string](m rule.Machine[S], terminal func(S) bool, seen []Seen[S]) []string {
	var fs []string
	flaw := func(format string, args ...any) { fs = append(fs, fmt.Sprintf(format, args...)) }

	exits := map[S][]S{}
	var starts []S
	ids, pairs := map[string]bool{}, map[string]bool{}
	claims := map[Seen[S]]bool{}
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
			from, starts = []S{""}, append(starts, r.To)
		}
		for _, s := range from {
			if s != r.To {
				exits[s] = append(exits[s], r.To)
			}
			claims[Seen[S]{r.ID, r.Command, r.Event, s, r.To}] = true
			if pair := string(s) + " " + r.Command; pairs[pair] {
				flaw("%s is decided by two rows", pair)
			} else {
				pairs[pair] = true
			}
		}
	}
	for _, n := range m.Notes {
		for _, s := range n.In {
			claims[Seen[S]{"", n.Command, n.Event, s, s}] = true
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
	for _, s := range m.States {
		ends := slices.Contains(m.Terminal, s)
		switch {
		case !slices.Contains(reached, s):
			flaw("%s is never reached", s)
		case ends != terminal(s):
			flaw("table and code differ on whether %s is terminal", s)
		case ends && len(exits[s]) > 0:
			flaw("%s is terminal and has an exit", s)
		case !ends && !slices.ContainsFunc(closure(exits[s], exits), terminal):
			flaw("no terminal state is reached from %s", s)
		}
	}
	for s := range exits {
		if s != "" && !slices.Contains(m.States, s) {
			flaw("%s is no state", s)
		}
	}
	return fs
}

// closure returns the states that can be reached from some.
func closure[S ~string](from []S, exits map[S][]S) []S {
	all := slices.Clone(from)
	for i := 0; i < len(all); i++ {
		for _, s := range exits[all[i]] {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// Mistakes spoils the table in each of the ways, and wants every one of them found.
func Mistakes[S ~string](t *testing.T, m rule.Machine[S], terminal func(S) bool, seen []Seen[S], ways map[string]func(*rule.Machine[S])) {
	for name, spoil := range ways {
		t.Run(name, func(t *testing.T) {
			spoilt := m
			spoilt.Rows, spoilt.Notes, spoilt.States = slices.Clone(m.Rows), slices.Clone(m.Notes), slices.Clone(m.States)
			spoil(&spoilt)
			if len(Flaws(spoilt, terminal, seen)) == 0 {
				t.Error("the mistake was not found")
			}
		})
	}
}

// Row spoils one row of a table.
func Row[S ~string](id string, spoil func(*rule.Row[S])) func(*rule.Machine[S]) {
	return func(m *rule.Machine[S]) {
		spoil(&m.Rows[slices.IndexFunc(m.Rows, func(r rule.Row[S]) bool { return r.ID == id })])
	}
}

// Book compares a table with the rule book's own, where the rule book is at hand: number, states, command, event, actors, and
// whether a second person is needed. Actors reads the roles out of the actors' cell of a row.
func Book[S ~string](t *testing.T, m rule.Machine[S], actors func(row, cell string) []orgs.Role) {
	t.Helper()
	folder := cmp.Or(os.Getenv("GRIDCASE_SHARED"), filepath.Join("..", "..", "..", "shared"))
	book, err := os.ReadFile(filepath.Join(folder, "DOMAIN.md"))
	if err != nil {
		t.Logf("not compared with the rule book: %v", err)
		return
	}
	want := bookRows(string(book), m.Name, actors)
	if len(want) != len(m.Rows) {
		t.Fatalf("the rule book has %d rows, the table %d", len(want), len(m.Rows))
	}
	for i, r := range m.Rows {
		from := "–"
		if len(r.From) > 0 {
			from = strings.Trim(strings.ReplaceAll(fmt.Sprint(r.From), " ", ", "), "[]")
		}
		if got := line(r.ID, from, string(r.To), r.Command, r.Event, r.Actors, r.Second != ""); got != want[i] {
			t.Errorf("got  %s\nwant %s", got, want[i])
		}
	}
}

// bookRows reads the rows of a machine's table.
func bookRows(book, machine string, actors func(row, cell string) []orgs.Role) (rows []string) {
	_, rest, _ := strings.Cut(book, "<!-- machine: "+machine+";")
	for _, text := range strings.Split(rest, "\n")[1:] {
		cells := strings.Split(text, "|")
		if len(cells) < 8 {
			break
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[1] == "#" || strings.HasPrefix(cells[1], "-") {
			continue
		}
		event, _, _ := strings.Cut(cells[5], " ")
		command := strings.TrimSuffix(kebab(cells[4]), "-"+machine)
		rows = append(rows, line(cells[1], cells[2], cells[3], command, kebab(event), actors(cells[1], cells[6]), strings.Contains(cells[6], "+ 2nd")))
	}
	return rows
}

// line writes a row so that two can be compared.
func line(id, from, to, command, event string, actors []orgs.Role, second bool) string {
	actors = slices.Clone(actors)
	slices.Sort(actors)
	return fmt.Sprint(id, " ", from, " → ", to, " ", command, " ", event, " ", slices.Compact(actors), map[bool]string{true: " + 2nd"}[second])
}

var inner = regexp.MustCompile(`([a-z])([A-Z])`)

func kebab(s string) string { return strings.ToLower(inner.ReplaceAllString(s, "$1-$2")) }

// Words reads roles out of a cell: each word that stands in it whole names one.
func Words(cell string, roles map[string]orgs.Role) (named []orgs.Role) {
	for word, role := range roles {
		if regexp.MustCompile(`\b` + word + `\b`).MatchString(cell) {
			named = append(named, role)
		}
	}
	return named
}

// Refusal finds the refusal in an error, nil if there is none.
func Refusal(err error) *rule.Refusal {
	var r *rule.Refusal
	errors.As(err, &r)
	return r
}

// Lack says what a refusal in a state lacks to be shown to a clerk, "" if nothing.
func Lack[S ~string](r *rule.Refusal, state S, m rule.Machine[S]) string {
	switch {
	case r.Rule == "":
		return "no rule number"
	case r.Detail.En == "" || strings.TrimFunc(r.Detail.Zh, func(c rune) bool { return c < 0x3000 }) == "":
		return fmt.Sprintf("not said in both languages: %+v", r.Detail)
	case r.State != string(state):
		return fmt.Sprintf("state %q, want %q", r.State, state)
	case !slices.Equal(r.Possible, m.Possible(state)):
		return fmt.Sprintf("possible %v, want %v", r.Possible, m.Possible(state))
	}
	return ""
}

// Word is the name of an event without its version, as the table has it.
func Word(e interface{ EventType() string }) string {
	name, _, _ := strings.Cut(e.EventType(), "/")
	return name
}
