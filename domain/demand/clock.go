package demand

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Alarms lists what the clock does next on the demand: warnings, expiry, and rule D18's waiver, which has the id of
// the callback clock that the answer started.
func (s State) Alarms() []rule.Alarm {
	as := s.owed().Alarms(s.Fired, rule.Strikes{
		Warn:   func(id string) any { return RaiseWarning{id} },
		Expire: func(d calendar.Due) any { return ExpireClock{d.ID} },
	})
	if cause, due := s.waiver(); cause != "" {
		as = append(as, rule.Alarm{At: due.Truncate(time.Second).Add(time.Second), Due: due, ID: s.Callback.ID, Step: "waiver",
			Command: WaiveCallback{Cause: cause}})
	}
	return as
}

// owed are the clocks of a step that somebody owes: nobody owes a call to a resident who can not be called.
func (s State) owed() rule.Clocks {
	if s.Anonymous || s.NoCallback {
		return s.Running.Stop(calendar.Callback)
	}
	return s.Running
}

// waiver returns why and after which instant the clock waives the callback (rule D18), "" if it does not. A resident
// who can not be called has until the callback is due to come forward. After enough calls there is nothing to
// wait for, and after the last instant for it nobody calls any more; whether anybody tried is told apart.
func (s State) waiver() (cause string, due time.Time) {
	switch {
	case s.Phase != PhaseAnswered:
		return "", time.Time{}
	case s.Anonymous:
		return "anonymous", s.Callback.Due
	case s.NoCallback:
		return "do_not_call", s.Callback.Due
	case !s.EnoughAt.IsZero():
		return "unreached", s.EnoughAt
	case s.ReachBy.IsZero(): // answered before this was recorded: a person waives
		return "", time.Time{}
	case s.Attempts > 0:
		return "unreached", s.ReachBy
	}
	return "not_called", s.ReachBy
}

// timely decides a waiver of the clock.
func (c WaiveCallback) timely(s State, at rule.At) (Event, error) {
	switch cause, due := s.waiver(); {
	case cause == "" || cause != c.Cause:
		return nil, needs("D18", "不符合免回访条件", "the callback may not be waived for that cause")
	case calendar.OnTime(at.Recorded, due):
		return nil, needs("I15", "未到时限 "+local(due), "it is not due before "+local(due))
	}
	return CallbackWaived{Cause: c.Cause, ReopenBy: at.Clocks.Closes(calendar.Reopen, at.Recorded)}, nil
}

func (c RaiseWarning) decide(s State, at rule.At) (Event, error) {
	w, r := s.owed().Warn(s.Fired, c.ID, at)
	if w == nil {
		return nil, firm(r)
	}
	return WarningRaised(*w), nil
}

// ExpireClock is decided as the expiry; what it lifts follows from [State.lifts]. The clocks of a demand expire once
// and have no further steps.
func (c ExpireClock) decide(s State, at rule.At) (Event, error) {
	x, r := s.owed().Expire(s.Fired, c.ID, time.Time{}, at)
	if x == nil {
		return nil, firm(r)
	}
	return ClockExpired(*x), nil
}

// follows returns what comes with an event in the same append: the demand rises.
func (s State) follows(e Event, at rule.At) []Event {
	if up := Evolve(s, e, at.Stamp).lifts(e, at); up != nil {
		return []Event{Escalated(*up)}
	}
	return nil
}

// lifts returns how the event that led to this state lifts the demand (rules E5–E7), nil if it does not.
func (s State) lifts(e Event, at rule.At) *rule.Escalation {
	p := at.Escalation.OrDefault()
	switch e := e.(type) {
	case ClockExpired:
		owes := s.owes(e.Clock, at)
		return s.Attention.Rise(at, owes, s.Attention.Next(at, owes), rule.Escalation{Rule: "E5", ID: e.ID, Due: e.Due, LateBy: e.LateBy})
	case UrgingReceived: // once in a round: after it, urgings are not kept
		if n := s.pressing(at, p.UrgingWindow); n >= p.Urgings {
			return s.Attention.Rise(at, s.Unit, s.Attention.Next(at, s.Unit), rule.Escalation{Rule: "E6", Count: n})
		}
	case CallbackRecorded, Reopened: // a demand that the second bad grade closed rises when it comes back
		if s.Unsatisfied >= p.Unsatisfied && !s.Phase.Terminal() {
			return s.Attention.Rise(at, s.Unit, p.Problem, rule.Escalation{Rule: "E7", Count: s.Unsatisfied})
		}
	}
	return nil
}

// pressing counts the urgings of this round that lie so many natural days back, or less.
func (s State) pressing(at rule.At, days int) (n int) {
	for i := len(s.urged) - 1; i >= 0; i-- {
		if over(at, at.Clocks.Add(s.urged[i], calendar.Amount{N: days, Kind: calendar.NaturalDays})) {
			break
		}
		n++
	}
	return n
}

// owes returns the unit that owes the step of a clock. The hotline calls back, for the unit that hosts it; all else
// is for the community that holds the demand, the promise too: it promised, whoever handles it.
func (s State) owes(c calendar.Clock, at rule.At) orgs.UnitCode {
	if h, found := at.Units.Hotline(s.Unit); c == calendar.Callback && found {
		if host, hosted := at.Units.Parent(h); hosted {
			return host
		}
	}
	return s.Unit
}

// reachBy returns the last instant for calling the resident: the window's end, and never before the first call is due. A
// long holiday is no week in which anybody called (rule D18).
func reachBy(at rule.At, callback calendar.Due) time.Time {
	closes := at.Clocks.Closes(calendar.CallbackAttempts, at.Recorded)
	if callback.Due.After(closes) {
		return callback.Due
	}
	return closes
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
