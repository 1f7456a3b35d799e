package order

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Alarms lists what the clock does next on the order: warnings, expiry, and rule E2's further steps. A suspension
// ends on its review date, and a request for more time that nobody decided is refused.
func (s State) Alarms() []rule.Alarm {
	return s.Running.Alarms(s.Fired, rule.Strikes{
		Warn:   func(id string) any { return RaiseWarning{id} },
		Expire: func(d calendar.Due) any { return ExpireClock{d.ID} },
		Step:   func(id string) any { return Escalate{id} },
	})
}

// struck reports whether a command is the clock's own. Those know by [State.Fired] what happened before; two of them may
// fall on one instant.
func struck(c Command) bool {
	switch c.(type) {
	case RaiseWarning, ExpireClock, Escalate:
		return true
	}
	return false
}

func (c RaiseWarning) decide(s State, at rule.At) (Event, error) {
	w, r := s.Running.Warn(s.Fired, c.ID, at)
	if w == nil {
		return nil, firm(r)
	}
	return WarningRaised(*w), nil
}

// ExpireClock is decided first as the expiry; what it lifts follows from [State.lifts].
func (c ExpireClock) decide(s State, at rule.At) (Event, error) {
	d, _ := s.Running.Due(c.ID)
	var next time.Time
	if d.Clock == s.Work() && rule.Higher(at, s.Lead, s.Attention.Next(at, s.Lead)) {
		next = at.Clocks.Add(d.Due, at.Escalation.Step(s.Urgency))
	}
	x, r := s.Running.Expire(s.Fired, c.ID, next, at)
	if x == nil {
		return nil, firm(r)
	}
	return ClockExpired(*x), nil
}

// Escalate takes rule E2's next step; at the top of the ladder there is none.
func (c Escalate) decide(s State, at rule.At) (Event, error) {
	f, due, r := s.Running.Step(s.Fired, c.ID, at)
	if !due {
		return nil, firm(r)
	}
	to := s.Attention.Next(at, s.Lead)
	why := rule.Escalation{Rule: "E2", ID: c.ID, Due: f.Next, Step: f.Steps + 1, LateBy: rule.LateBy(at, f.Next)}
	if rule.Higher(at, s.Lead, to) {
		why.Next = at.Clocks.Add(f.Next, at.Escalation.Step(s.Urgency))
	}
	e := s.Attention.Rise(at, s.Lead, to, why)
	if e == nil {
		return nil, nil
	}
	return Escalated(*e), nil
}

// expired returns what an expiry lifts (rules E1, E4, E5), nil if nothing.
func (s State) expired(e ClockExpired, at rule.At) *rule.Escalation {
	owes, why := s.Lead, rule.Escalation{ID: e.ID, Due: e.Due, LateBy: e.LateBy}
	switch e.Clock {
	case calendar.Handle, calendar.Rework:
		why.Rule = "E1"
	case calendar.Sign, calendar.Contact:
		why.Rule = "E4"
		p := at.Escalation.OrDefault()
		most := p.SignCap
		if s.Urgency == "A" {
			most = p.UrgentSignCap
		}
		return s.Attention.Rise(at, owes, min(s.Attention.Next(at, owes), most), why)
	case calendar.ReturnDecision, calendar.Redispatch:
		owes, why.Rule = s.By, "E5"
	case calendar.Verify:
		owes, why.Rule = s.verifies(at), "E5"
	default: // a supervision that is not answered
		why.Rule = "E5"
	}
	return s.Attention.Rise(at, owes, s.Attention.Next(at, owes), why)
}

// verifies returns whose oversight owes the verification: the dispatching level's.
func (s State) verifies(at rule.At) orgs.UnitCode {
	if u, found := at.Units.Oversight(at.Units.Level(s.By), s.Place); found {
		return u
	}
	return s.By
}
