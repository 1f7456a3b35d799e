package ruletest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
)

// Test is what the helpers need of a test; one of rapid's will do, and one that remembers its failure.
type Test interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Command is a machine's command.
type Command interface{ Name() string }

// Event is a machine's event.
type Event interface{ EventType() string }

// Step is one command of somebody, in its circumstances.
type Step[C Command] struct {
	Command C
	At      rule.At       // the actor and what else the step says; its story says the rest
	After   time.Duration // since the step before
	On      time.Time     // or the instant at which it is recorded
	Ago     time.Duration // how long before it was recorded it is said to have happened; negative: in the future
}

// Ago says how long before it was recorded something is said to have happened; negative: in the future.
type Ago time.Duration

// By makes a step, a minute after the one before. The circumstances follow: facts, a second person, a gate, rules in whole or their
// policy alone, the time that has passed or the instant it is, and how long ago it happened.
func By[C Command](a rule.Actor, c C, circumstances ...any) Step[C] {
	s := Step[C]{Command: c, After: time.Minute}
	s.At.Actor = a
	for _, x := range circumstances {
		switch x := x.(type) {
		case rule.Facts:
			s.At.Facts = x
		case rule.Actor:
			s.At.Second = &x
		case rule.Gate:
			s.At.Gate = x
		case calendar.Rules:
			s.At.Clocks = x
		case *calendar.Policy:
			s.At.Clocks.Policy = x
		case time.Duration:
			s.After = x
		case time.Time:
			s.On = x
		case Ago:
			s.Ago = time.Duration(x)
		default:
			panic(fmt.Sprintf("no circumstance: %T", x))
		}
	}
	return s
}

// When appends steps to a beginning, which stays as it is.
func When[T any](beginning []T, steps ...T) []T { return append(slices.Clip(beginning), steps...) }

// Entry is an event of a stream with its stamp.
type Entry[E Event] struct {
	Event E
	Stamp rule.Stamp
}

// Story is a stream as the steps of a test write it, and where it stands. Whoever begins one says its stream, the state before
// the first event, the time, the units, and the machine.
type Story[P ~string, S any, C Command, E Event] struct {
	Stream  stream.Name
	State   S
	History []Entry[E]
	States  []S // after each event of the history
	Now     time.Time
	Units   *orgs.Tree
	Gate    rule.Gate // of steps that name none; nil: nobody published a list

	Decide func(S, C, rule.At) ([]E, error)
	Evolve func(S, E, rule.Stamp) S
	Phase  func(S) P
	Spoil  func(*S) // makes the state a wrong one after each event; nil: it stays as it is
}

// Meet completes the circumstances of a step and moves the time.
func (st *Story[P, S, C, E]) Meet(s Step[C]) rule.At {
	st.Now = st.Now.Add(s.After)
	if !s.On.IsZero() {
		st.Now = s.On
	}
	at := s.At
	at.Recorded, at.Occurred, at.Units = st.Now, st.Now.Add(-s.Ago), st.Units
	if at.Clocks.Calendar == nil {
		at.Clocks.Calendar = calendar.China()
	}
	if at.Clocks.Policy == nil {
		at.Clocks.Policy = calendar.DefaultPolicy()
	}
	if at.Gate == nil {
		at.Gate = st.Gate
	}
	return at
}

// Does takes a step and appends what it decides.
func (st *Story[P, S, C, E]) Does(s Step[C]) ([]E, error) {
	at := st.Meet(s)
	es, err := st.Decide(st.State, s.Command, at)
	st.Fold(at, es...)
	return es, err
}

// Try takes a step, and tells in which state that was, how many events were decided, and the error.
func (st *Story[P, S, C, E]) Try(s Step[C]) (in P, decided int, err error) {
	in = st.Phase(st.State)
	es, err := st.Does(s)
	return in, len(es), err
}

// Fold appends decided events.
func (st *Story[P, S, C, E]) Fold(at rule.At, es ...E) {
	for _, e := range es {
		stamp := at.Stamp
		stamp.Event = stream.Event(st.Stream, "test", len(st.History))
		st.History = append(st.History, Entry[E]{e, stamp})
		st.State = st.Evolve(st.State, e, stamp)
		if st.Spoil != nil {
			st.Spoil(&st.State)
		}
		st.States = append(st.States, st.State)
	}
}

// Given tells a story whose every step decides something.
func (st *Story[P, S, C, E]) Given(t Test, steps ...Step[C]) *Story[P, S, C, E] {
	t.Helper()
	for _, s := range steps {
		if es, err := st.Does(s); err != nil || len(es) == 0 {
			t.Fatalf("given: %s by %s in %q, after %d events: got %v, %v", s.Command.Name(), s.At.Actor.ID, st.Phase(st.State), len(st.History), es, err)
		}
	}
	return st
}

// Refuses takes a step and wants it refused, with that code and under that rule, in words that can be shown to a clerk, and with
// nothing changed.
func (st *Story[P, S, C, E]) Refuses(t *testing.T, m rule.Machine[P], s Step[C], code rule.Code, id string) {
	t.Helper()
	before := st.State
	es, err := st.Does(s)
	state := st.Phase(before)
	who := fmt.Sprintf("%s by %s in %q", s.Command.Name(), s.At.Actor.ID, state)
	r := Refusal(err)
	if r == nil || len(es) > 0 {
		t.Fatalf("%s: got %v, %v; want it refused with %s (%s)", who, es, err, code, id)
	}
	if r.Code != code || r.Rule != id {
		t.Errorf("%s: got %s (%s): %s; want %s (%s)", who, r.Code, r.Rule, r.Detail.En, code, id)
	}
	if lack := Lack(r, state, m); lack != "" {
		t.Errorf("%s: %s", who, lack)
	}
	if !reflect.DeepEqual(st.State, before) {
		t.Errorf("%s: a refusal changed the state", who)
	}
}

// Tries takes a step that may be refused: then in words that can be shown to a clerk, and with nothing decided. It returns the
// circumstances and what was decided.
func (st *Story[P, S, C, E]) Tries(t Test, m rule.Machine[P], s Step[C]) (rule.At, []E) {
	t.Helper()
	at, state := st.Meet(s), st.Phase(st.State)
	es, err := st.Decide(st.State, s.Command, at)
	switch r := Refusal(err); {
	case err != nil && r == nil:
		t.Fatalf("%s by %s in %q: %v", s.Command.Name(), at.Actor.ID, state, err)
	case r != nil && Lack(r, state, m) != "":
		t.Fatalf("%s by %s in %q: %s", s.Command.Name(), at.Actor.ID, state, Lack(r, state, m))
	case r != nil && len(es) > 0:
		t.Fatalf("%s by %s in %q was refused and decided %v", s.Command.Name(), at.Actor.ID, state, es)
	}
	st.Fold(at, es...)
	return at, es
}

// Repeats asks for what was decided last once more, so much later: the answer got lost. Nothing must be decided.
func (st *Story[P, S, C, E]) Repeats(t Test, c C, at rule.At, later time.Duration) {
	t.Helper()
	at.Recorded = at.Recorded.Add(later)
	if again, err := st.Decide(st.State, c, at); len(again) > 0 || err != nil {
		t.Fatalf("%s by %s in %q asked twice: got %v, %v, want nothing", c.Name(), at.Actor.ID, st.Phase(st.State), again, err)
	}
}

// Retells folds the history anew from the state before it, as the machine does, and wants the states that were seen.
func (st *Story[P, S, C, E]) Retells(t Test, before S) {
	t.Helper()
	for i, h := range st.History {
		if before = st.Evolve(before, h.Event, h.Stamp); !reflect.DeepEqual(before, st.States[i]) {
			t.Fatalf("the log tells another story of step %d, %s, than was seen, or its state changed afterwards", i+1, h.Event.EventType())
		}
	}
}

// One is the only event that was decided, of the type wanted.
func One[T, E Event](t Test, es []E, err error) T {
	t.Helper()
	if err == nil && len(es) == 1 {
		if e, is := any(es[0]).(T); is {
			return e
		}
	}
	var want T
	t.Fatalf("got %v, %v; want one %T", es, err, want)
	return want
}

// Failure is what a trial failed with, "" if it did not.
func Failure(trial func(Test)) (why string) {
	defer func() {
		r := recover()
		if f, is := r.(failure); is {
			why = string(f)
		} else if r != nil {
			panic(r)
		}
	}()
	trial(failure(""))
	return ""
}

// failure is a test that ends with its first failure, and what that said.
type failure string

func (failure) Helper() {}

func (failure) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }
