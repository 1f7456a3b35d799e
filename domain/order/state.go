package order

import (
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// State is an order as its stream tells it. The zero State is an order that does not exist yet.
type State struct {
	ID        stream.ID
	Phase     Phase
	Number    string
	Topic     stream.ID
	Cycle     int
	Demands   []stream.ID // attached now, in the order they came
	Patrol    bool
	Anonymous bool // as dispatched: no demand has a resident who can be reached
	Kind      string
	Matter    string
	Urgency   string
	Place     orgs.UnitCode
	Grid      orgs.GridCode
	Target    calendar.Date
	Task      sealed.Public

	Lead      orgs.UnitCode   // leads now; in returned: led last
	Competent orgs.UnitCode   // member agency of a joint team that leads, else ""
	Worker    string          // opaque id of the person it was given to within the lead unit, "" = nobody in particular
	By        orgs.UnitCode   // dispatched the present leg
	Legs      []Leg           // from the first on
	Awaited   []orgs.UnitCode // co-units of the present leg that neither reported nor were released
	ReturnBy  time.Time       // the last instant at which the present leg can be sent back

	Round         int             // 1 from the dispatch, +1 with each rework or reopening
	Attempt       int             // the report of this round that is due or was given, from 1
	Reworks       int             // failed verifications, reworks and reopenings together
	Returns       []orgs.UnitCode // that asked to send it back, each once, in the order they asked
	Problem       bool            // 问题工单
	Suspensions   int
	SuspendedDays int  // natural days that the suspensions which have ended lasted, together
	Verified      bool // at least once, in any round
	Reraised      int  // how often a demand that it had served was raised again

	Report       Report // the last one
	Extension    Extension
	Supervisions []Supervision

	DispatchedAt time.Time // when the stream began
	VerifiedAt   time.Time // last
	ClosedAt     time.Time // closed or cancelled; zero while it is neither
	Since        time.Time // when the present state was entered

	Running   rule.Clocks
	Fired     rule.Firings   // what the clocks did
	Attention rule.Attention // how high it has risen
	Frozen    calendar.Due   // the handling clock while it stands still; no ID = it does not
	FrozenAt  time.Time
	Restarted time.Time // from when what is left of the handling clock is counted, since it stood still; zero = from its start
	Dues      int       // due instants ever recorded on this stream
	Events    int64     // folded so far: the revision of the next one

	last      Event // the last event, who said it when, and the state it was decided in: a repeat decides nothing
	lastStamp rule.Stamp
	before    *State // never written to, and without a before of its own
}

// Leg is one stay of the order with one lead unit. Instants are effective ones (rule I18) unless said otherwise.
type Leg struct {
	Lead         orgs.UnitCode
	Former       []orgs.UnitCode // grids that held the leg before a re-division
	Competent    orgs.UnitCode
	CoUnits      []orgs.UnitCode
	By           orgs.UnitCode
	Final        bool      // can not be sent back
	Returned     bool      // sent back with approval: a mis-dispatch, out of the unit's account
	DispatchedAt time.Time // recorded
	SignedAt     time.Time // zero: not signed
	ContactedAt  time.Time // zero: not contacted
	NoContact    bool      // there was nobody to contact
	Rated        bool      // by the street that dispatched it
	Rating       int       // the last, 0 to 100
	Remark       sealed.Public
}

// contacted reports whether the step of first contact is behind the leg.
func (l Leg) contacted() bool { return l.NoContact || !l.ContactedAt.IsZero() }

// Report is what the lead unit said last that it did. The zero Report is none.
type Report struct {
	Event    stream.ID
	Revision int64 // on this stream
	Outcome  string
	Summary  sealed.Public
	DoneAt   time.Time // effective instant
}

// Extension is the last request for more time. The zero Extension is none.
type Extension struct {
	Round   int    // in which it was asked: once per round
	Amount  int    // in the unit of the clock
	By      string // opaque id of who asked
	Pending bool   // neither decided nor lapsed; it lapses when the unit stops handling
}

// Supervision is one demand for an account (督办), numbered within the order from 1.
type Supervision struct {
	Number   int
	Deadline string // id of its clock
	Open     bool   // an account is owed: until it is given, or the order ends
}

// Fact is what other machines may know of the order.
func (s State) Fact() rule.OrderFact {
	return rule.OrderFact{ID: s.ID, Phase: string(s.Phase), Kind: s.Kind, Lead: s.Lead, Place: s.Place, Bodies: s.Bodies(), Live: s.Phase.Live(),
		Verified: s.Verified, Closed: s.Phase == PhaseClosed, Cancelled: s.Phase == PhaseCancelled, Dispatched: s.DispatchedAt}
}

// Bodies lists every unit that has handled the order, each once: leads, competent members and co-units of
// all legs, those that returned it or were released included (rule I2). The caller owns the slice.
func (s State) Bodies() []orgs.UnitCode {
	var bodies []orgs.UnitCode
	for _, l := range s.Legs {
		for _, u := range slices.Concat([]orgs.UnitCode{l.Lead, l.Competent}, l.Former, l.CoUnits) {
			if u != "" && !slices.Contains(bodies, u) {
				bodies = append(bodies, u)
			}
		}
	}
	return bodies
}

// Work returns the clock that limits handling in this round: handle in the first, rework in the others.
func (s State) Work() calendar.Clock {
	if s.Round > 1 {
		return calendar.Rework
	}
	return calendar.Handle
}

// ReportBodies are the units that may know of an order of a report (举报): who dispatched it, leads it and helps with it now.
func (s State) ReportBodies() []orgs.UnitCode {
	var us []orgs.UnitCode
	for _, u := range append([]orgs.UnitCode{s.By, s.Lead, s.Competent}, s.Leg().CoUnits...) {
		if u != "" && !slices.Contains(us, u) {
			us = append(us, u)
		}
	}
	return us
}

// Leg returns the present stay, the zero Leg before there was any.
func (s State) Leg() Leg {
	if len(s.Legs) == 0 {
		return Leg{}
	}
	return s.Legs[len(s.Legs)-1]
}

// Evolve returns the state after an event. It accepts any event in any state: what is in the log has happened.
func Evolve(s State, e Event, st rule.Stamp) State {
	if !companion(e) {
		before := s
		before.before = nil
		s.last, s.lastStamp, s.before = e, st, &before
	}
	s.Events++
	switch e := e.(type) {
	case Dispatched:
		s.Number, s.Topic, s.Cycle, s.Patrol, s.Anonymous = e.Number, e.Topic, e.Cycle, e.Patrol, e.Anonymous
		s.Kind, s.Matter, s.Urgency, s.Place, s.Grid = e.Kind, e.Matter, e.Urgency, e.Place, e.Grid
		s.Target, s.Task, s.Round, s.Attempt, s.DispatchedAt = e.Target, e.Task, 1, 1, st.Recorded
		for _, d := range e.Demands {
			s.attach(d)
		}
		s.dispatch(Leg{Lead: e.Lead, Competent: e.Competent, CoUnits: e.CoUnits, By: e.By}, st)
		s.ReturnBy = e.ReturnBy
		s.start(e.Sign, e.Contact, e.Handle)
	case Signed:
		s.enter(PhaseSigned, st)
		s.leg(func(l *Leg) { l.SignedAt = e.At })
		s.stop(calendar.Sign)
	case ReturnRequested:
		s.enter(PhaseReturnPending, st)
		if !slices.Contains(s.Returns, s.Lead) {
			s.Returns = append(slices.Clip(s.Returns), s.Lead)
		}
		s.lapse()
		s.stop(calendar.Sign)
		s.start(e.ReturnDecision)
	case ReturnRefused:
		pendingSince := s.Since
		if s.Leg().contacted() {
			s.enter(PhaseHandling, st)
		} else {
			s.enter(PhaseSigned, st)
		}
		s.leg(func(l *Leg) { l.Final = l.Final || e.Final })
		s.stop(calendar.ReturnDecision)
		s.release(pendingSince, st)
	case ReturnApproved:
		s.enter(PhaseReturned, st)
		s.leg(func(l *Leg) { l.Returned = true })
		s.Awaited = nil
		s.stop(calendar.Sign, calendar.Contact, calendar.ReturnDecision, s.Work())
		s.start(e.Redispatch)
	case Redispatched:
		s.dispatch(Leg{Lead: e.Lead, Competent: e.Competent, CoUnits: e.CoUnits, By: e.By, Final: e.Final}, st)
		s.ReturnBy, s.Restarted = e.ReturnBy, time.Time{}
		s.stop(calendar.Redispatch)
		s.start(e.Sign, e.Contact, e.Handle)
	case Contacted:
		s.enter(PhaseHandling, st)
		s.leg(func(l *Leg) { l.ContactedAt = e.At })
		s.stop(calendar.Contact)
	case ContactNotRequired:
		s.enter(PhaseHandling, st)
		s.leg(func(l *Leg) { l.NoContact = true })
		s.stop(calendar.Contact)
	case Suspended:
		s.enter(PhaseSuspended, st)
		s.Suspensions++
		s.freeze(e.FrozenAt)
		s.start(e.Review)
	case Resumed:
		s.enter(PhaseHandling, st)
		s.stop(calendar.SuspensionReview)
		if !s.FrozenAt.IsZero() {
			s.SuspendedDays += max(0, int(calendar.DateOf(st.Recorded)-calendar.DateOf(s.FrozenAt)))
		}
		s.restart(e.Handle, st)
	case Reported:
		s.enter(PhaseReported, st)
		s.Attempt = e.Attempt
		s.Report = Report{Event: st.Event, Revision: s.Events - 1, Outcome: e.Outcome, Summary: e.Summary, DoneAt: e.DoneAt}
		s.freeze(e.DoneAt)
		s.start(e.Verify)
	case VerificationPassed:
		s.enter(PhaseVerified, st)
		s.Verified, s.VerifiedAt = true, st.Recorded
		s.stop(calendar.Verify, s.Work())
		s.thaw()
	case VerificationFailed:
		s.enter(PhaseHandling, st)
		s.Attempt = e.Attempt
		s.Reworks++
		s.stop(calendar.Verify)
		s.restart(e.Handle, st)
	case Closed:
		s.end(PhaseClosed, st)
	case ReworkOrdered:
		s.again(e.Round, e.Rework, st)
	case Reopened:
		s.again(e.Round, e.Rework, st)
	case Cancelled:
		s.end(PhaseCancelled, st)
	case CoUnitReported:
		s.settle(e.Unit)
	case CoUnitReleased:
		s.settle(e.Unit)
	case ExtensionRequested:
		s.Extension = Extension{Round: s.Round, Amount: e.Amount, By: st.Actor.ID, Pending: true}
		s.start(e.Decision)
	case ExtensionGranted:
		s.lapse()
		s.start(e.Handle)
		s.Fired = s.Fired.Began(e.Handle, st.Recorded)
	case ExtensionRefused:
		s.lapse()
	case DemandAttached:
		s.attach(e.Demand)
	case ServedDemandReopened:
		s.Reraised++
	case DemandDetached:
		s.Demands = drop(s.Demands, func(d stream.ID) bool { return d == e.Demand })
	case Reassigned:
		s.Worker = e.Worker
		if e.Lead != s.Lead {
			s.leg(func(l *Leg) { l.Former, l.Lead = append(slices.Clip(l.Former), l.Lead), e.Lead })
			s.Lead = e.Lead
		}
	case SupervisionIssued:
		s.Supervisions = append(slices.Clip(s.Supervisions), Supervision{Number: e.Number, Deadline: e.Deadline.ID, Open: true})
		s.Running = append(slices.Clip(s.Running), e.Deadline) // beside those that are not answered yet
		s.Dues++
	case SupervisionAnswered:
		s.answered(e.Number)
	case DeadlineRecomputed:
		s.recomputed(rule.Recount(e), st)
	case ProblemFlagged:
		s.Problem = true
	case Rated:
		if e.Leg >= 1 && e.Leg <= len(s.Legs) {
			s.Legs = slices.Clone(s.Legs)
			l := &s.Legs[e.Leg-1]
			l.Rated, l.Rating, l.Remark = true, e.Score, e.Comment
		}
	case WarningRaised:
		s.Fired = s.Fired.Warned(rule.Warning(e))
	case ClockExpired:
		s.Fired = s.Fired.Expired(rule.Expiry(e))
	case Escalated:
		s.Fired = s.Fired.Stepped(rule.Escalation(e))
		s.Attention = s.Attention.Risen(rule.Escalation(e), st)
	}
	return s
}

// companion reports whether an event is no answer to somebody's command: it comes with one, or the clock struck. What
// fired is in the state, so the clock needs no other recognition of a repeat; when a machine was late, two warnings of
// one clock come at the same moment.
func companion(e Event) bool {
	switch e.(type) {
	case ProblemFlagged, Escalated, WarningRaised, ClockExpired:
		return true
	}
	return false
}

func (s *State) enter(p Phase, st rule.Stamp) { s.Phase, s.Since = p, st.Recorded }

// dispatch begins a leg.
func (s *State) dispatch(l Leg, st rule.Stamp) {
	s.enter(PhaseDispatched, st)
	l.DispatchedAt = st.Recorded
	s.Legs = append(slices.Clip(s.Legs), l)
	s.Lead, s.Competent, s.By, s.Worker = l.Lead, l.Competent, l.By, ""
	s.Awaited = slices.Clone(l.CoUnits)
}

// again begins a round.
func (s *State) again(round int, d calendar.Due, st rule.Stamp) {
	s.enter(PhaseHandling, st)
	s.Round, s.Attempt, s.ClosedAt, s.Restarted = round, 1, time.Time{}, time.Time{}
	s.Reworks++
	s.start(d)
}

// end stops everything.
func (s *State) end(p Phase, st rule.Stamp) {
	s.enter(p, st)
	s.ClosedAt, s.Running = st.Recorded, nil
	s.Supervisions = slices.Clone(s.Supervisions)
	for i := range s.Supervisions {
		s.Supervisions[i].Open = false
	}
	s.lapse()
	s.thaw()
}

// leg changes the present leg, in a list of its own.
func (s *State) leg(f func(*Leg)) {
	if len(s.Legs) > 0 {
		s.Legs = slices.Clone(s.Legs)
		f(&s.Legs[len(s.Legs)-1])
	}
}

// start runs clocks; one of the same name is replaced.
func (s *State) start(ds ...calendar.Due) {
	for _, d := range ds {
		s.Running = s.Running.Start(d)
		s.Dues++
	}
}

func (s *State) stop(names ...calendar.Clock) { s.Running = s.Running.Stop(names...) }

// freeze keeps what the handling clock says while it stands still.
func (s *State) freeze(at time.Time) {
	s.lapse()
	s.Frozen, _ = s.Running.Get(s.Work())
	s.FrozenAt = at
	s.stop(s.Work())
}

func (s *State) thaw() { s.Frozen, s.FrozenAt = calendar.Due{}, time.Time{} }

// restart runs the handling clock again. One that was late already, or lost nothing, goes on to the due that it had: it is
// counted from where it was counted before.
func (s *State) restart(d calendar.Due, st rule.Stamp) {
	s.Fired = s.Fired.Delayed(d.ID, st.Recorded.Sub(s.FrozenAt)).Began(d, st.Recorded) // what stood still is not held against it
	if d.ID != s.Frozen.ID {
		s.Restarted = st.Recorded
	}
	s.thaw()
	s.start(d)
}

// release lets the leg's clocks strike again after a pending return. They ran on, so what is due is due; but rule E2
// steps no sooner, and the clock was not late, for the time in which nobody could have worked.
func (s *State) release(since time.Time, st rule.Stamp) {
	for _, c := range []calendar.Clock{calendar.Contact, s.Work()} {
		if d, runs := s.Running.Get(c); runs {
			s.Fired = s.Fired.Delayed(d.ID, st.Recorded.Sub(since)).Held(d.ID, st.Recorded)
		}
	}
}

// lapse ends a request for more time.
func (s *State) lapse() {
	s.Extension.Pending = false
	s.stop(calendar.ExtensionDecision)
}

// settle takes a co-unit off the list of those that are awaited.
func (s *State) settle(u orgs.UnitCode) {
	s.Awaited = drop(s.Awaited, func(a orgs.UnitCode) bool { return a == u })
}

func (s *State) attach(d stream.ID) {
	if !slices.Contains(s.Demands, d) {
		s.Demands = append(slices.Clip(s.Demands), d)
	}
}

func (s *State) answered(number int) {
	s.Supervisions = slices.Clone(s.Supervisions)
	for i := range s.Supervisions {
		if sv := &s.Supervisions[i]; sv.Number == number {
			sv.Open = false
			s.Running = drop(s.Running, func(d calendar.Due) bool { return d.ID == sv.Deadline })
		}
	}
}

// recomputed puts a due instant in the place of the one it replaces; a supervision follows its clock.
func (s *State) recomputed(r rule.Recount, st rule.Stamp) {
	if s.Frozen.ID == r.Replaces && r.Replaces != "" {
		var frozen rule.Clocks
		frozen, s.Fired = r.Apply(rule.Clocks{s.Frozen}, s.Fired, st.Recorded)
		s.Frozen = frozen[0]
	}
	s.Running, s.Fired = r.Apply(s.Running, s.Fired, st.Recorded)
	s.Supervisions = slices.Clone(s.Supervisions)
	for i := range s.Supervisions {
		if s.Supervisions[i].Deadline == r.Replaces {
			s.Supervisions[i].Deadline = r.Clock.ID
		}
	}
	s.Dues++
}

// drop returns the list without some elements, nil if none is left; the list itself stays as it is.
func drop[L ~[]E, E any](list L, gone func(E) bool) L {
	var left L
	for _, x := range list {
		if !gone(x) {
			left = append(left, x)
		}
	}
	return left
}
