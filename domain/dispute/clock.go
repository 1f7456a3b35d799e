package dispute

import (
	"fmt"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Alarms lists what the clock does next on the dispute: it warns, and when the time is over takes the step that nobody
// took (P3, P5, P6, P9). Above the top rung there is none to refer to: there the clock only says that the time is over.
func (s State) Alarms() []rule.Alarm {
	return s.Running.Alarms(s.Fired, rule.Strikes{
		Warn: func(id string) any { return RaiseWarning{id} },
		Expire: func(d calendar.Due) any {
			switch {
			case d.Clock == calendar.Rung && s.Phase == PhaseMediating:
				return FailMediation{}
			case d.Clock == calendar.Rung:
				return DeclineMediation{}
			case d.Clock == calendar.Fulfil:
				return RecordFulfilment{}
			case s.Rung < District:
				return ReferUp{}
			}
			return ExpireClock{d.ID}
		},
	})
}

func (c RaiseWarning) decide(s State, at rule.At) (Event, error) {
	w, r := s.Running.Warn(s.Fired, c.ID, at)
	if w == nil {
		return nil, firm(r)
	}
	return WarningRaised(*w), nil
}

// ExpireClock is for the top rung: below it a dispute goes up when its time is over (P6).
func (c ExpireClock) decide(s State, at rule.At) (Event, error) {
	if s.Rung < District {
		return nil, needs("P6", fmt.Sprintf("纠纷在第 %d 级，到期上交上一级", s.Rung), fmt.Sprintf("at rung %d it is referred up when the time is over", s.Rung))
	}
	x, r := s.Running.Expire(s.Fired, c.ID, time.Time{}, at)
	if x == nil {
		return nil, firm(r)
	}
	return ClockExpired(*x), nil
}

// follows returns what comes with an event in the same append: with an expiry the dispute rises above the unit of its
// rung, which owes the step (rule E5).
func (s State) follows(e Event, at rule.At) []Event {
	x, expired := e.(ClockExpired)
	if !expired {
		return nil
	}
	owes := s.stands(at)
	up := s.Attention.Rise(at, owes, s.Attention.Next(at, owes), rule.Escalation{Rule: "E5", ID: x.ID, Due: x.Due, LateBy: x.LateBy})
	if up == nil {
		return nil
	}
	return []Event{Escalated(*up)}
}

// stands returns the unit whose rung the dispute stands at.
func (s State) stands(at rule.At) orgs.UnitCode {
	if u, found := at.Units.Ancestor(s.Unit, s.Rung.Kind()); found {
		return u
	}
	return s.Unit
}

// RecomputeDeadline counts a running clock anew with the calendar there is now: after a notice has arrived, or was corrected.
func (c RecomputeDeadline) decide(s State, at rule.At) (Event, error) {
	old, _ := s.Running.Due(c.ID)
	r, err := rule.Recounted(at, s.Unit, old, old.StartedAt, s.dueID(old.Clock), c.Reason)
	if r == nil {
		return nil, err
	}
	return DeadlineRecomputed(*r), nil
}
