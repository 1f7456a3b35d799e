package dispute

import (
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// State is a dispute as its stream tells it. The zero State is a dispute that does not exist yet.
type State struct {
	ID       stream.ID
	Phase    Phase
	Demand   stream.ID
	Unit     orgs.UnitCode // where the matter lies
	Rung     Rung          // where it stands now, or stood last
	Mediator orgs.UnitCode // whose mediator took it up at this rung, "" = nobody did
	Parties  []string      // opaque ids of the parties that have one; read only
	Stays    []Stay        // one for each rung it stood at, in order; read only
	Extended bool          // the time at this rung was extended

	Agreement Agreement // the last one
	Target    Target    // where it went when it left the ladder, "" = it did not
	Receipt   string    // of the target

	OpenedAt time.Time
	EndedAt  time.Time // when a terminal state was entered; zero before
	Since    time.Time // when the present state was entered

	Running   rule.Clocks
	Fired     rule.Firings   // what the clocks did
	Attention rule.Attention // how high it has risen
	Dues      int            // due instants ever recorded on this stream

	last      Event // the last event that is not the clock's own, who said it when, and the state it was decided in: a repeat decides nothing
	lastStamp rule.Stamp
	before    *State // never written to, and without a before of its own
}

// Stay is the time a dispute spent at one rung. All instants are recorded ones.
type Stay struct {
	Rung     Rung
	Mediator orgs.UnitCode // as in State
	From     time.Time
	Until    time.Time // referred up, or at the end of the dispute; zero = it is still there
}

// Agreement is what the parties settled on. The zero Agreement is none.
type Agreement struct {
	Hash     string // SHA-256 of the signed document, hexadecimal
	Rung     Rung   // at which it was reached
	FulfilOn calendar.Date
	Summary  sealed.Public
	At       time.Time // when it was recorded
	Breached bool
}

// Evolve returns the state after an event. It accepts any event in any state: what is in the log has happened.
func Evolve(s State, e Event, st rule.Stamp) State {
	before := s
	before.before = nil
	if !byClock(e) {
		s.last, s.lastStamp, s.before = e, st, &before
	}
	switch e := e.(type) {
	case Opened:
		s.Demand, s.Unit, s.Parties, s.OpenedAt = e.Demand, e.Unit, accounts(e.Parties), st.Recorded
		s.arrive(e.Rung, e.RungDue, st)
	case MediationAccepted:
		s.enter(PhaseMediating, st)
		s.Mediator = e.Unit
		s.stay(func(t *Stay) { t.Mediator = e.Unit })
	case MediationDeclined:
		s.fail(e.ReferDue, st)
	case MediationSucceeded:
		s.enter(PhaseAgreed, st)
		s.Agreement = Agreement{Hash: e.Agreement, Rung: s.Rung, FulfilOn: e.FulfilOn, Summary: e.Summary, At: st.Recorded}
		s.stop(calendar.Rung)
		s.start(e.FulfilDue)
	case MediationFailed:
		s.fail(e.ReferDue, st)
	case ReferredUp:
		s.leave(st)
		s.stop(calendar.Refer)
		s.arrive(e.Rung, e.RungDue, st)
	case ReferredOut:
		s.Target, s.Receipt = e.Target, e.Receipt
		s.end(PhaseReferredOut, st)
	case Withdrawn:
		s.end(PhaseEnded, st)
	case AgreementFulfilled:
		s.end(PhaseFulfilled, st)
	case AgreementBreached:
		s.Agreement.Breached = true
		s.fail(e.ReferDue, st)
	case RungExtended:
		s.Extended = true
		s.start(e.RungDue)
	case DeadlineRecomputed:
		s.Running, s.Fired = rule.Recount(e).Apply(s.Running, s.Fired, st.Recorded)
		s.Dues++
	case WarningRaised:
		s.Fired = s.Fired.Warned(rule.Warning(e))
	case ClockExpired:
		s.Fired = s.Fired.Expired(rule.Expiry(e))
	case Escalated:
		s.Attention = s.Attention.Risen(rule.Escalation(e), st)
	}
	return s
}

// byClock reports whether an event is the clock's own, or comes with another one: nobody said it, so nobody repeats it,
// and what was said before can still be repeated after it.
func byClock(e Event) bool {
	switch e.(type) {
	case WarningRaised, ClockExpired, Escalated:
		return true
	}
	return false
}

// accounts lists the opaque ids of the parties that have one.
func accounts(ps []Party) []string {
	var ids []string
	for _, p := range ps {
		if p.Actor != "" {
			ids = append(ids, p.Actor)
		}
	}
	return ids
}

func (s *State) enter(p Phase, st rule.Stamp) { s.Phase, s.Since = p, st.Recorded }

// arrive begins the stay at a rung.
func (s *State) arrive(r Rung, d calendar.Due, st rule.Stamp) {
	s.enter(PhaseOpened, st)
	s.Rung, s.Mediator, s.Extended = r, "", false
	s.Stays = append(slices.Clip(s.Stays), Stay{Rung: r, From: st.Recorded})
	s.start(d)
}

// stay changes the present stay, in a list of its own.
func (s *State) stay(f func(*Stay)) {
	if len(s.Stays) > 0 {
		s.Stays = slices.Clone(s.Stays)
		f(&s.Stays[len(s.Stays)-1])
	}
}

func (s *State) leave(st rule.Stamp) { s.stay(func(t *Stay) { t.Until = st.Recorded }) }

// fail leaves the dispute to whoever refers it on.
func (s *State) fail(d calendar.Due, st rule.Stamp) {
	s.enter(PhaseFailed, st)
	s.stop(calendar.Rung, calendar.Fulfil)
	s.start(d)
}

// end stops everything.
func (s *State) end(p Phase, st rule.Stamp) {
	s.enter(p, st)
	s.leave(st)
	s.EndedAt, s.Running = st.Recorded, nil
}

// start runs a clock; one of the same name is replaced.
func (s *State) start(d calendar.Due) {
	s.Running = s.Running.Start(d)
	s.Dues++
}

func (s *State) stop(names ...calendar.Clock) { s.Running = s.Running.Stop(names...) }
