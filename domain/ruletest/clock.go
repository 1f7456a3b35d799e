package ruletest

import (
	"slices"
	"time"

	"gridcase/domain/rule"
)

// Hand is a clockwork: what it believes is next, and how it folds what it did. The laws of clocks are tried on a machine's own, and on
// broken ones, which are made of it.
type Hand[S, E any] struct {
	Alarms func(S) []rule.Alarm
	Evolve func(S, E, rule.Stamp) S
}

// Changed is a hand whose alarms are not right.
func (h Hand[S, E]) Changed(change func(*rule.Alarm)) Hand[S, E] {
	return Hand[S, E]{func(s S) []rule.Alarm {
		as := h.Alarms(s)
		for i := range as {
			change(&as[i])
		}
		return as
	}, h.Evolve}
}

// Moved is a hand that is so much too late, or too early.
func (h Hand[S, E]) Moved(by time.Duration) Hand[S, E] {
	return h.Changed(func(a *rule.Alarm) { a.At = a.At.Add(by) })
}

// Without is a hand that leaves out a step of its alarms.
func (h Hand[S, E]) Without(step string) Hand[S, E] {
	return Hand[S, E]{func(s S) []rule.Alarm {
		return slices.DeleteFunc(h.Alarms(s), func(a rule.Alarm) bool { return a.Step == step })
	}, h.Evolve}
}

// Spoilt is a hand that makes the state a wrong one after an event.
func (h Hand[S, E]) Spoilt(spoil func(*S, E)) Hand[S, E] {
	return Hand[S, E]{h.Alarms, func(s S, e E, st rule.Stamp) S {
		s = h.Evolve(s, e, st)
		spoil(&s, e)
		return s
	}}
}
