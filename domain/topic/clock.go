package topic

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/rule"
)

// Alarms lists what the clock does next on the topic: warnings and expiry. A vote closes by its convenor's hand: the
// clock does not know the counts (T6), and says only that they are overdue.
func (s State) Alarms() []rule.Alarm {
	return s.Running.Alarms(s.Fired, rule.Strikes{
		Warn:   func(id string) any { return RaiseWarning{id} },
		Expire: func(d calendar.Due) any { return ExpireClock{d.ID} },
	})
}

func (c RaiseWarning) decide(s State, at rule.At) (Event, error) {
	w, r := s.Running.Warn(s.Fired, c.ID, at)
	if w == nil {
		return nil, firm(r)
	}
	return WarningRaised(*w), nil
}

// ExpireClock is decided as the expiry; what it lifts follows from [State.follows]. The clocks of a topic expire once
// and have no further steps.
func (c ExpireClock) decide(s State, at rule.At) (Event, error) {
	x, r := s.Running.Expire(s.Fired, c.ID, time.Time{}, at)
	if x == nil {
		return nil, firm(r)
	}
	return ClockExpired(*x), nil
}

// follows returns what comes with an event in the same append: the topic rises above its unit, which owes every step
// (rule E5). A review date that passes reminds the convenor, and lifts nothing.
func (s State) follows(e Event, at rule.At) []Event {
	x, expired := e.(ClockExpired)
	if !expired || x.Clock == calendar.TopicReview {
		return nil
	}
	up := s.Attention.Rise(at, s.Unit, s.Attention.Next(at, s.Unit), rule.Escalation{Rule: "E5", ID: x.ID, Due: x.Due, LateBy: x.LateBy})
	if up == nil {
		return nil
	}
	return []Event{Escalated(*up)}
}

// RecomputeDeadline counts a running clock anew with the calendar there is now: after a notice has arrived, or was corrected.
func (c RecomputeDeadline) decide(s State, at rule.At) (Event, error) {
	if e, said := s.last.(DeadlineRecomputed); said && e.Replaces == c.ID && e.Reason == c.Reason && repeats(s, e, at) {
		return nil, nil
	}
	old, _ := s.Running.Due(c.ID)
	r, err := rule.Recounted(at, s.Unit, old, old.StartedAt, s.dueID(old.Clock), c.Reason)
	if r == nil {
		return nil, err
	}
	return DeadlineRecomputed(*r), nil
}
