package order

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
)

// undecided is the reason of the clock's refusal, in the words of the offices.
const undecided = sealed.Public("逾期未批，视为不同意")

// Alarms lists what the clock does next on the order: warnings, expiry, and rule E2's further steps. A suspension
// ends on its review date, and a request for more time that nobody decided is refused: those two never expire.
func (s State) Alarms() []rule.Alarm {
	as := s.Running.Alarms(s.Fired, rule.Strikes{
		Warn: func(id string) any { return RaiseWarning{id} },
		Expire: func(d calendar.Due) any {
			switch {
			case d.Clock == calendar.SuspensionReview:
				return Resume{}
			case d.Clock == calendar.ExtensionDecision:
				return RefuseExtension{Reason: undecided}
			case s.held(d.Clock):
				return nil
			}
			return ExpireClock{d.ID}
		},
		Step: func(id string) any {
			if d, _ := s.Running.Due(id); s.held(d.Clock) || s.Attention.AtTop() {
				return nil
			}
			return Escalate{id}
		},
	})
	for i := range as {
		if _, resumes := as[i].Command.(Resume); resumes {
			as[i].At = as[i].Due // still on the review date, in its last second: people had the day
		}
	}
	return as
}

// held reports whether a clock's expiry and steps wait: while a return is pending nothing goes overdue against the
// unit, though its clocks run on (rules I4, O6, O7). Its warnings are given all the same.
func (s State) held(c calendar.Clock) bool {
	return s.Phase == PhaseReturnPending && (c == calendar.Contact || c == s.Work())
}

func (c RaiseWarning) decide(s State, at rule.At) (Event, error) {
	w, r := s.Running.Warn(s.Fired, c.ID, at)
	if w == nil {
		return nil, firm(r)
	}
	return WarningRaised(*w), nil
}

// ExpireClock is decided first as the expiry; what it lifts follows from [State.expired].
func (c ExpireClock) decide(s State, at rule.At) (Event, error) {
	d, _ := s.Running.Due(c.ID)
	if d.Clock == calendar.SuspensionReview || d.Clock == calendar.ExtensionDecision || s.held(d.Clock) {
		return nil, nil
	}
	var next time.Time
	if d.Clock == s.Work() && rule.Higher(at, s.Lead, s.Attention.Next(at, s.Lead)) {
		next = at.Clocks.Add(s.Fired.Of(d.ID).From(d.Due), at.Escalation.Step(s.Urgency))
	}
	x, r := s.Running.Expire(s.Fired, c.ID, next, at)
	if x == nil {
		return nil, firm(r)
	}
	return ClockExpired(*x), nil
}

// Escalate takes rule E2's next step; at the top of the ladder there is none. Where the policy has shortened the ladder
// since the order rose last, it climbs the one it was on.
func (c Escalate) decide(s State, at rule.At) (Event, error) {
	d, _ := s.Running.Due(c.ID)
	f, due, r := s.Running.Step(s.Fired, c.ID, at)
	if !due || s.held(d.Clock) || s.Attention.AtTop() {
		return nil, firm(r)
	}
	to := s.Attention.Next(at, s.Lead)
	why := rule.Escalation{Rule: "E2", ID: c.ID, Due: f.Next, Step: f.Steps + 1, LateBy: rule.LateBy(at, f.Next)}
	if rule.Higher(at, s.Lead, to) {
		why.Next = at.Clocks.Add(f.Next, at.Escalation.Step(s.Urgency))
	}
	e := s.Attention.Rise(at, s.Lead, to, why)
	if e == nil {
		why.From, why.To, why.Top = s.Attention.Level, s.Attention.Top, s.Attention.Top
		why.Unit = at.Units.AtLevel(s.Lead, why.To)
		e = &why
	}
	return Escalated(*e), nil
}

// expired returns what an expiry lifts (rules E1, E4, E5), nil if nothing.
func (s State) expired(e ClockExpired, at rule.At) *rule.Escalation {
	owes := s.owes(e.Clock, at)
	to := s.Attention.Next(at, owes)
	why := rule.Escalation{From: at.Units.Level(s.Lead), Rule: "E5", ID: e.ID, Due: e.Due, LateBy: e.LateBy}
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
		if to > most { // the ladder may have no level between: then it does not rise at all
			return nil
		}
	}
	return s.Attention.Rise(at, owes, to, why)
}

// owes returns the unit that owes the step a clock waits for.
func (s State) owes(c calendar.Clock, at rule.At) orgs.UnitCode {
	switch c {
	case calendar.ReturnDecision, calendar.Redispatch:
		if s.Problem { // the district's arbiter rules, and redispatches
			return at.Units.AtLevel(s.Place, orgs.District.Level())
		}
		if above, found := superior(at.Units, s.By, s.Lead); found && c == calendar.ReturnDecision {
			return above
		}
		return s.By
	case calendar.Verify:
		return s.verifies(at)
	}
	return s.Lead
}

// verifies returns whose oversight owes the verification: that of the dispatching level, or of the next one that
// handled nothing of the order (rule I2).
func (s State) verifies(at rule.At) orgs.UnitCode {
	for l := at.Units.Level(s.By); l <= orgs.City.Level(); l++ {
		if u, found := at.Units.Oversight(l, s.Place); found && !s.handledBy(at, u) {
			return u
		}
	}
	return s.By
}

func (s State) handledBy(at rule.At, u orgs.UnitCode) bool {
	for _, b := range s.Bodies() {
		if at.Units.SameBody(u, b) {
			return true
		}
	}
	return false
}
