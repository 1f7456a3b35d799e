package ruletest

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Witness is one transition that somebody makes. Row is "" for a note. It has no name of its own, so that a table of witnesses
// reads without the names of its members.
type Witness[C Command] = struct {
	Row   string
	Given []Step[C]
	When  Step[C]
}

// Alone is the only event, if there is no other.
func Alone[E Event](es []E) (e E, alone bool) {
	if len(es) == 1 {
		return es[0], true
	}
	return e, false
}

// Leading is the first event, if whatever comes with it is an R.
func Leading[R, E Event](es []E) (e E, leads bool) {
	if len(es) == 0 || slices.ContainsFunc(es[1:], func(e E) bool { _, rides := any(e).(R); return !rides }) {
		return e, false
	}
	return es[0], true
}

// Testimonies tells what the witnesses saw the code do. Of what each decided, told is the event that the table has.
func Testimonies[P ~string, S any, C Command, E Event](t *testing.T, begin func() *Story[P, S, C, E], witnesses []Witness[C], told func([]E) (E, bool)) []Seen[P] {
	t.Helper()
	var all []Seen[P]
	for _, w := range witnesses {
		st := begin().Given(t, w.Given...)
		from := st.Phase(st.State)
		es, err := st.Does(w.When)
		e, fits := told(es)
		if err != nil || !fits {
			t.Fatalf("%s, %s by %s in %q: got %v, %v, want one event", w.Row, w.When.Command.Name(), w.When.At.Actor.ID, from, es, err)
		}
		all = append(all, Seen[P]{Row: w.Row, Command: w.When.Command.Name(), Event: Word(e), From: from, To: st.Phase(st.State)})
	}
	return all
}

// Actors lists who may give a command in a state by the table, nobody if the table does not have the pair.
func Actors[P ~string](m rule.Machine[P], state P, command string) (actors []orgs.Role) {
	for _, r := range m.Rows {
		if r.Command == command && (slices.Contains(r.From, state) || state == "" && len(r.From) == 0) {
			actors = append(actors, r.Actors...)
		}
	}
	for _, n := range m.Notes {
		if n.Command == command && slices.Contains(n.In, state) {
			actors = append(actors, n.Actors...)
		}
	}
	return actors
}

// Unlisted lets each of the people give every command in every state in which the table does not have it (M1). Try leads to a state,
// lets somebody give a command there, and says where that was, how many events were decided, and the error. All must be refused
// with the code, and the refusal must say what is possible instead. It returns how many pairs of state and command that were.
func Unlisted[P ~string, C Command](t *testing.T, m rule.Machine[P], commands []C, people []rule.Actor, code func(P) rule.Code, try func(P, rule.Actor, C) (P, int, error)) (pairs int) {
	t.Helper()
	for _, state := range append([]P{""}, m.States...) {
		for _, c := range commands {
			if Actors(m, state, c.Name()) != nil {
				continue
			}
			pairs++
			for _, a := range people {
				in, decided, err := try(state, a, c)
				r := Refusal(err)
				switch {
				case in != state:
					t.Fatalf("the way to %q leads to %q", state, in)
				case r == nil || r.Code != code(state) || r.Rule != "M1" && r.Code == rule.WrongState || decided > 0:
					t.Errorf("%s by %s in %q: got %d events, %v; want %s", c.Name(), a.ID, state, decided, err, code(state))
				case slices.Contains(r.Possible, c.Name()):
					t.Errorf("%s by %s in %q: refused, and offered as possible", c.Name(), a.ID, state)
				case Lack(r, state, m) != "":
					t.Errorf("%s by %s in %q: %s", c.Name(), a.ID, state, Lack(r, state, m))
				}
			}
		}
	}
	if pairs == 0 {
		t.Error("the table has every command in every state: nothing was shown")
	}
	return pairs
}

// WrongState is the code of what a state does not allow, in every state.
func WrongState[P ~string](P) rule.Code { return rule.WrongState }

// OnlyNamed lets every role that the table does not name take the step of each witness, with all else as it succeeds. All must be
// refused, and the refusal must say what is possible instead.
func OnlyNamed[P ~string, S any, C Command, E Event](t *testing.T, m rule.Machine[P], begin func() *Story[P, S, C, E], witnesses []Witness[C]) {
	t.Helper()
	for _, w := range witnesses {
		st := begin().Given(t, w.Given...)
		state, command := st.Phase(st.State), w.When.Command.Name()
		named := Actors(m, state, command)
		if len(named) == 0 {
			t.Errorf("%s in %q: the table names nobody", command, state)
		}
		at := st.Meet(w.When)
		for _, role := range append(orgs.Roles(), orgs.System) {
			if slices.Contains(named, role) {
				continue
			}
			at.Actor.Role = role
			es, err := st.Decide(st.State, w.When.Command, at)
			if r := Refusal(err); r == nil || r.Code != rule.RoleMissing || len(es) > 0 {
				t.Errorf("%s by a %s in %q: got %v, %v, want %s", command, role, state, es, err, rule.RoleMissing)
			} else if lack := Lack(r, state, m); lack != "" {
				t.Errorf("%s by a %s in %q: %s", command, role, state, lack)
			}
		}
	}
}

var stored = regexp.MustCompile(`^[a-z]+(-[a-z]+)+/[1-9]$`)

// Names holds the names of a machine's events and commands, all of them, against its table (M3): each stands for one thing, and the
// table has all the commands and no event that is none of these.
func Names[P ~string, E Event, C Command](t *testing.T, m rule.Machine[P], events []E, commands []C) {
	t.Helper()
	known, words := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		n := e.EventType()
		if known[n] || !stored.MatchString(n) {
			t.Errorf("%T is stored as %q: twice, or not of the form", e, n)
		}
		known[n] = true
	}
	for _, c := range commands {
		if words[c.Name()] {
			t.Errorf("two commands are called %s", c.Name())
		}
		words[c.Name()] = true
	}
	has := func(row, command, event string) {
		if !known[event+"/1"] {
			t.Errorf("%s writes %s, which is no event", row, event)
		}
		if !words[command] {
			t.Errorf("%s takes %s, which is no command", row, command)
		}
	}
	var taken []string
	for _, r := range m.Rows {
		has(r.ID, r.Command, r.Event)
		taken = append(taken, r.Command)
	}
	for _, n := range m.Notes {
		has(fmt.Sprint("the note in ", n.In), n.Command, n.Event)
		taken = append(taken, n.Command)
	}
	for word := range words {
		if !slices.Contains(taken, word) {
			t.Errorf("the table does not have the command %s", word)
		}
	}
}

// Shown wants each of the things to have come up while laws were tried: of what never did nothing was shown.
func Shown[K comparable](t *testing.T, seen map[K]int, things ...K) {
	t.Helper()
	t.Logf("seen: %v", seen)
	for _, k := range things {
		if seen[k] == 0 {
			t.Errorf("%v never came up: nothing was shown about it", k)
		}
	}
}
