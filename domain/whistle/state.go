package whistle

import (
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// State is a whistle as its stream tells it. The zero State is a whistle that does not exist yet.
type State struct {
	ID     stream.ID
	Phase  Phase
	Street orgs.UnitCode
	Units  []Unit // in the order they were summoned; read only
	Class  Class
	Place  orgs.UnitCode
	Spot   sealed.Public
	Task   sealed.Public
	Demand stream.ID
	Topic  stream.ID
	Order  stream.ID

	Outcome sealed.Public // of the whole whistle
	Reason  sealed.Public // it was cancelled for

	BlownAt     time.Time
	ConcludedAt time.Time // effective instant; zero before
	EndedAt     time.Time // when a terminal state was entered; zero before
	Since       time.Time // when the present state was entered

	Running rule.Clocks
	Fired   rule.Firings
	Dues    int // due instants ever recorded on this stream

	last      Event // the last event, who said it when, and the state it was decided in: a repeat decides nothing
	lastStamp rule.Stamp
	before    *State // never written to, and without a before of its own
}

// Unit is one summoned unit and what became of its summons.
type Unit struct {
	Code       orgs.UnitCode
	Due        calendar.Due // for reporting in
	ReportedAt time.Time    // effective instant; zero = it has not come
	Late       bool
	Absent     bool // its time was over before it came: a later arrival leaves that standing
	Excused    bool
	Spared     bool      // it had not come, and its time was not over, when the whistle was concluded
	Void       bool      // the whistle was cancelled
	ReleasedAt time.Time // effective instant; zero = it was not let go
	Left       bool      // it had gone before
	Card       *Card     // the last one; nil before the whistle was scored, and for units that get none; read only
}

// Present reports whether the unit is there: it came and was not let go.
func (u Unit) Present() bool { return !u.ReportedAt.IsZero() && u.ReleasedAt.IsZero() }

// Stayed reports whether the unit was there until it was let go.
func (u Unit) Stayed() bool { return !u.ReleasedAt.IsZero() && !u.Left }

// Standing returns how the unit stands. Once there is a card, the card says it: an objection may have changed it.
func (u Unit) Standing() Standing {
	switch {
	case u.Void:
		return Void
	case u.Excused:
		return Excused
	case u.Card != nil:
		return u.Card.ReportIn
	case u.ReportedAt.IsZero() && u.Spared:
		return Spared
	case u.ReportedAt.IsZero() && u.Absent:
		return Absent
	case u.ReportedAt.IsZero():
		return Awaited
	case u.Late:
		return Late
	}
	return OnTime
}

// Fact is what other machines may know of the whistle.
func (s State) Fact() rule.WhistleFact {
	f := rule.WhistleFact{ID: s.ID, Street: s.Street, Blown: s.BlownAt}
	for _, u := range s.Units {
		f.Units = append(f.Units, u.Code)
	}
	return f
}

// Unit returns a summoned unit.
func (s State) Unit(code orgs.UnitCode) (Unit, bool) {
	i := slices.IndexFunc(s.Units, func(u Unit) bool { return u.Code == code })
	if i < 0 {
		return Unit{}, false
	}
	return s.Units[i], true
}

// Called returns the unit that is to report in by a due instant, false if it is none of reporting in.
func (s State) Called(due string) (Unit, bool) {
	i := slices.IndexFunc(s.Units, func(u Unit) bool { return u.Due.ID == due })
	if i < 0 {
		return Unit{}, false
	}
	return s.Units[i], true
}

// Evolve returns the state after an event. It accepts any event in any state: what is in the log has happened.
func Evolve(s State, e Event, st rule.Stamp) State {
	before := s
	before.before = nil
	s.last, s.lastStamp, s.before = e, st, &before
	switch e := e.(type) {
	case Blown:
		s.Street, s.Class, s.Place, s.Spot, s.Task = e.Street, e.Class, e.Place, e.Spot, e.Task
		s.Demand, s.Topic, s.Order, s.BlownAt = e.Demand, e.Topic, e.Order, st.Recorded
		s.Units, s.Running = nil, nil
		for _, u := range e.Units {
			s.Units = append(s.Units, Unit{Code: u.Unit, Due: u.ReportIn})
			s.Running = append(s.Running, u.ReportIn)
			s.Dues++
		}
		s.enter(PhaseOpen, st)
	case UnitReportedIn:
		if s.Phase == PhaseOpen {
			s.enter(PhaseOnSite, st)
		}
		s.unit(e.Unit, func(u *Unit) { u.ReportedAt, u.Late = e.At, e.Late })
		s.arrived(e.Unit)
	case UnitAbsent:
		s.Fired = s.Fired.Expired(rule.Expiry{ID: e.ID})
		s.unit(e.Unit, func(u *Unit) { u.Absent = true })
	case UnitExcused:
		s.unit(e.Unit, func(u *Unit) { u.Excused = true })
		s.arrived(e.Unit)
	case UnitReleased:
		s.unit(e.Unit, func(u *Unit) { u.ReleasedAt, u.Left = e.At, e.Left })
	case Concluded:
		s.Outcome, s.ConcludedAt = e.Outcome, e.At
		s.each(func(u *Unit) {
			u.Spared = slices.Contains(e.Spared, u.Code)
			u.Absent = u.Absent || u.Standing() == Awaited
		})
		s.enter(PhaseConcluded, st)
		s.Running = rule.Clocks{e.Score}
		s.Dues++
	case Cancelled:
		s.Reason = e.Reason
		s.each(func(u *Unit) { u.Void = true })
		s.end(PhaseCancelled, st)
	case Scored:
		for _, c := range e.Cards {
			s.unit(c.Unit, func(u *Unit) { u.Card = &c })
		}
		s.end(PhaseScored, st)
	case Rescored:
		s.unit(e.Card.Unit, func(u *Unit) { u.Card = &e.Card })
	case DeadlineRecomputed:
		s.Running, s.Fired = rule.Recount(e).Apply(s.Running, s.Fired, st.Recorded)
		s.each(func(u *Unit) {
			if u.Due.ID == e.Replaces {
				u.Due = e.Clock
			}
		})
		s.Dues++
	case WarningRaised:
		s.Fired = s.Fired.Warned(rule.Warning(e))
	}
	return s
}

func (s *State) enter(p Phase, st rule.Stamp) { s.Phase, s.Since = p, st.Recorded }

// end stops everything.
func (s *State) end(p Phase, st rule.Stamp) {
	s.enter(p, st)
	s.EndedAt, s.Running = st.Recorded, nil
}

// each changes every unit, in a list of its own.
func (s *State) each(f func(*Unit)) {
	s.Units = slices.Clone(s.Units)
	for i := range s.Units {
		f(&s.Units[i])
	}
}

// unit changes one unit, in a list of its own.
func (s *State) unit(code orgs.UnitCode, f func(*Unit)) {
	s.each(func(u *Unit) {
		if u.Code == code {
			f(u)
		}
	})
}

// arrived stops the clock of a unit that is not waited for any longer.
func (s *State) arrived(code orgs.UnitCode) {
	u, _ := s.Unit(code)
	var left rule.Clocks
	for _, d := range s.Running {
		if d.ID != u.Due.ID {
			left = append(left, d)
		}
	}
	s.Running = left
}

// Alarms lists what the clock does next on the whistle: warnings; at its due instant, that a unit is absent; and when
// the time for scoring is over, the cards from facts alone.
func (s State) Alarms() []rule.Alarm {
	return s.Running.Alarms(s.Fired, rule.Strikes{
		Warn: func(id string) any { return RaiseWarning{id} },
		Expire: func(d calendar.Due) any {
			if d.Clock == calendar.Score {
				return Score{}
			}
			return MarkAbsent{d.ID}
		},
	})
}
