package admission

import (
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// State is a request as its stream tells it. The zero State is a request that does not exist yet.
type State struct {
	ID        stream.ID
	Phase     Phase
	By        orgs.UnitCode // asked for it
	Office    orgs.UnitCode // decides
	Matter    string
	Role      duty.Role
	Wanted    []orgs.UnitCode // asked for; read only
	Units     []orgs.UnitCode // the same; once granted, the scope; read only
	From      calendar.Date   // asked for; once granted, of the grant
	Until     calendar.Date
	Task      sealed.Public
	Basis     sealed.Public
	Staff     int
	Budget    int64 // fen
	Emergency sealed.Public
	Topic     stream.ID
	Asked     []orgs.UnitCode // whose opinions are asked; read only
	Opinions  []Opinion       // the last of each unit, in the order of their first; read only
	Funding   sealed.Public   // the reference of the grant
	Paid      sealed.Public   // the reference under which it arrived
	Reason    sealed.Public   // of a refusal or revocation

	RequestedAt time.Time // all instants are recorded ones
	GrantedAt   time.Time
	FundedAt    time.Time
	EndedAt     time.Time // when a terminal state was entered; zero before
	Since       time.Time // when the present state was entered

	Running   rule.Clocks
	Fired     rule.Firings   // what the clocks did
	Attention rule.Attention // how high it has risen
	Dues      int            // due instants ever recorded on this stream

	last      Event // the last event, who said it when, and the state it was decided in: a repeat decides nothing
	lastStamp rule.Stamp
	before    *State // never written to, and without a before of its own
}

// Opinion is what a street or community thinks of a request.
type Opinion struct {
	Unit     orgs.UnitCode
	Supports bool
	Reason   sealed.Public
	At       time.Time // recorded
}

// Grant returns what was granted, as it stands; false if nothing ever was.
func (s State) Grant() (duty.Grant, bool) {
	if s.GrantedAt.IsZero() {
		return duty.Grant{}, false
	}
	on := func(t time.Time) calendar.Date {
		if t.IsZero() {
			return 0
		}
		return calendar.DateOf(t)
	}
	ended := on(s.EndedAt)
	if s.Phase == PhaseExpired { // where a day ends with service, the clock is done with the last day before the day is over
		ended = max(ended, s.Until+1)
	}
	return duty.Grant{Admission: s.ID, Matter: s.Matter, Role: s.Role, Units: s.Units, From: s.From, Until: s.Until,
		Funded: on(s.FundedAt), Ended: ended}, true
}

// Alarms lists what the clock does next on the request: warnings, the expiry of the time to answer, and the end of a grant.
func (s State) Alarms() []rule.Alarm {
	return s.Running.Alarms(s.Fired, rule.Strikes{
		Warn: func(id string) any { return RaiseWarning{id} },
		Expire: func(d calendar.Due) any {
			if d.Clock == calendar.Expiry {
				return Expire{d.ID}
			}
			return ExpireClock{d.ID}
		},
	})
}

// Evolve returns the state after an event. It accepts any event in any state: what is in the log has happened.
func Evolve(s State, e Event, st rule.Stamp) State {
	before := s
	before.before = nil
	s.last, s.lastStamp, s.before = e, st, &before
	switch e := e.(type) {
	case Requested:
		s.By, s.Office, s.Matter, s.Role, s.Wanted, s.Units, s.From, s.Until = e.By, e.Office, e.Matter, e.Role, e.Units, e.Units, e.From, e.Until
		s.Task, s.Basis, s.Staff, s.Budget, s.Emergency, s.Topic = e.Task, e.Basis, e.Staff, e.Budget, e.Emergency, e.Topic
		s.RequestedAt = st.Recorded
		s.enter(PhaseRequested, st)
		s.start(e.Decide)
	case ReviewOpened:
		s.Asked = e.Asked
		s.enter(PhaseReviewing, st)
	case Withdrawn:
		s.end(PhaseWithdrawn, st)
	case Granted:
		s.Units, s.From, s.Until, s.Funding, s.GrantedAt = e.Units, e.From, e.Until, e.Funding, st.Recorded
		s.enter(PhaseGranted, st)
		s.Running = s.Running.Stop(calendar.Admission)
		s.start(e.Expiry)
	case Refused:
		s.Reason = e.Reason
		s.end(PhaseRefused, st)
	case Revoked:
		s.Reason = e.Reason
		s.end(PhaseRevoked, st)
	case Expired:
		s.end(PhaseExpired, st)
	case OpinionRecorded:
		o := Opinion{Unit: e.Unit, Supports: e.Supports, Reason: e.Reason, At: st.Recorded}
		s.Opinions = slices.Clone(s.Opinions)
		if i := slices.IndexFunc(s.Opinions, func(x Opinion) bool { return x.Unit == e.Unit }); i >= 0 {
			s.Opinions[i] = o
		} else {
			s.Opinions = append(s.Opinions, o)
		}
	case Funded:
		s.Paid, s.FundedAt = e.Reference, st.Recorded
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

func (s *State) enter(p Phase, st rule.Stamp) { s.Phase, s.Since = p, st.Recorded }

// end stops everything.
func (s *State) end(p Phase, st rule.Stamp) {
	s.enter(p, st)
	s.EndedAt, s.Running = st.Recorded, nil
}

// start runs a clock.
func (s *State) start(d calendar.Due) {
	s.Running = s.Running.Start(d)
	s.Dues++
}
