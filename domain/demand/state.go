package demand

import (
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// State is a demand as its stream tells it. The zero State is a demand that does not exist yet.
type State struct {
	ID         stream.ID
	Phase      Phase
	Number     string
	Kind       Kind
	Channel    Channel
	External   string
	OnBehalf   bool
	Anonymous  bool
	NoCallback bool
	Imported   bool
	Matter     string
	Urgency    Urgency
	Grid       orgs.GridCode
	Unit       orgs.UnitCode
	Summary    sealed.Public
	Round      int // 1 from the start, +1 with each reopening
	Tracking   string
	SplitFrom  stream.ID

	Topic   stream.ID     // governing now; zero if none
	Topics  []stream.ID   // every topic that ever governed it, in order
	Related []stream.ID   // further topics that only tell of progress
	Orders  []stream.ID   // that handle it now
	Past    []stream.ID   // that handled it before it was sent back
	Dispute stream.ID     // the mediation it went to last; zero if it never did
	Waiver  string        // why the topic stage was waived: a fast-track reason or on_the_spot; "" if it was not
	Handler orgs.UnitCode // who answered on the spot

	Outcome     Outcome
	Answer      Source // where the text of the answer is
	Grade       Grade
	Settled     bool         // the resident says so
	Attempts    int          // calls that reached nobody, since the last answer
	Callback    calendar.Due // of the last answer; it runs until the first call
	ReachBy     time.Time    // the last instant at which the resident is called after the last answer; zero: nothing ends it
	EnoughAt    time.Time    // when Attempts were enough; zero: they are not
	Unsatisfied int          // callbacks with grade 2 or less, of all answers
	Supporters  int
	Opponents   int
	supported   []string // actors who did
	Urgings     int
	urged       []time.Time // when, recorded: those of this round, while they may still lift it (rule E6)
	Pressed     int         // the last round in which urging lifted it

	Appealed  bool // an appeal was filed and is not decided
	Dismissed bool // the appeal against the decline was rejected: it stands
	Upheld    bool // an appeal was upheld: only once
	AppealBy  time.Time
	ReopenBy  time.Time
	RerateBy  time.Time

	RaisedBy   rule.Actor
	RaisedAt   time.Time // when it happened
	RecordedAt time.Time
	AcceptedAt time.Time
	AnsweredAt time.Time
	ClosedAt   time.Time
	Since      time.Time // when the present state was entered

	Running   rule.Clocks
	Fired     rule.Firings   // what the clocks did
	Attention rule.Attention // how high it has risen; kept when it is reopened
	Dues      int            // clocks ever started on this stream

	last      Event // the last event that is not the clock's, who said it when, and the state it met: a repeat decides nothing
	lastStamp rule.Stamp
	before    *State // with no state before it; never written to
}

// Fact is what other machines may know of the demand.
func (s State) Fact() rule.DemandFact {
	return rule.DemandFact{ID: s.ID, Phase: string(s.Phase), Kind: string(s.Kind), Unit: s.Unit, Topic: s.Topic,
		Live: !s.Phase.Terminal(), Answered: s.Phase == PhaseAnswered || s.Phase.Terminal()}
}

// Evolve returns the state after an event. It accepts any event in any state: what is in the log has happened.
func Evolve(s State, e Event, st rule.Stamp) State {
	before := s
	before.before = nil
	if !byClock(e) {
		s.last, s.lastStamp, s.before = e, st, &before
	}
	switch e := e.(type) {
	case Raised:
		s.Phase, s.Round = PhaseRaised, 1
		s.Number, s.Kind, s.Channel, s.External = e.Number, e.Kind, e.Channel, e.External
		s.OnBehalf, s.Anonymous, s.NoCallback, s.Imported = e.OnBehalf, e.Anonymous, e.NoCallback, e.Imported
		s.Matter, s.Grid, s.Unit, s.Tracking, s.SplitFrom = e.Matter, e.Grid, e.Unit, e.Tracking, e.SplitFrom
		s.RaisedBy, s.RaisedAt, s.RecordedAt = st.Actor, st.Occurred, st.Recorded
		s.start(e.Accept)
	case Accepted:
		s.Phase = PhaseAccepted
		s.Kind, s.Matter, s.Urgency, s.Unit, s.Grid, s.Summary = e.Kind, e.Matter, e.Urgency, e.Unit, e.Grid, e.Summary
		s.AcceptedAt = st.Recorded
		s.stop(calendar.Accept)
		s.start(e.Triage)
	case AnsweredOnTheSpot:
		s.Phase = PhaseAnswered
		s.Kind, s.Outcome, s.Summary, s.Waiver, s.Handler = e.Kind, e.Outcome, e.Summary, e.Waiver, st.Actor.Unit
		if e.Matter != "" {
			s.Matter = e.Matter
		}
		s.Answer = Source{Stream: stream.Of(stream.Demand, s.ID), Event: st.Event, Type: e.EventType()}
		s.AcceptedAt = st.Recorded
		s.stop(calendar.Accept)
		s.answered(e.Callback, e.ReachBy, st)
	case Declined:
		s.Phase, s.AppealBy, s.Dismissed = PhaseDeclined, e.AppealBy, false
		s.ClosedAt, s.Running = st.Recorded, nil
	case Redirected:
		s.Phase = PhaseRedirected
		s.ClosedAt, s.Running = st.Recorded, nil
	case Withdrawn:
		s.Phase = PhaseWithdrawn
		s.ClosedAt, s.Running = st.Recorded, nil
	case LinkedToTopic:
		s.Phase, s.Topic, s.Waiver = PhaseInTopic, e.Topic, ""
		if !slices.Contains(s.Topics, e.Topic) {
			s.Topics = append(slices.Clip(s.Topics), e.Topic)
		}
		s.stop(calendar.Triage)
		s.start(e.TopicNews)
	case FastTracked:
		s.Phase, s.Waiver = PhaseInHandling, string(e.Reason)
		switch {
		case e.Route.Order != nil:
			s.attach(stream.CausedBy(stream.Order, st.Event, 0))
		case e.Route.Dispute > 0:
			s.Dispute = stream.CausedBy(stream.Dispute, st.Event, 0)
		default:
			s.attach(e.Route.Join)
		}
		s.stop(calendar.Triage)
		s.start(e.Promise)
	case UnlinkedFromTopic:
		s.Phase, s.Topic = PhaseAccepted, stream.ID{}
		s.stop(calendar.TopicNews)
		s.start(e.Triage)
	case EnteredHandling:
		s.Phase = PhaseInHandling
		for _, o := range e.Orders {
			s.attach(o)
		}
		s.stop(calendar.TopicNews)
		s.start(e.Promise)
	case Answered:
		s.Phase, s.Outcome, s.Answer = PhaseAnswered, e.Outcome, e.From
		s.stop(calendar.TopicNews, calendar.Promise)
		s.answered(e.Callback, e.ReachBy, st)
	case ReturnedToTopic:
		s.Phase = PhaseInTopic
		s.detachAll()
		s.stop(calendar.Promise)
		s.start(e.TopicNews)
	case ReturnedToPool:
		s.Phase, s.Topic = PhaseAccepted, stream.ID{}
		s.detachAll()
		s.stop(calendar.Promise)
		s.start(e.Triage)
	case CallbackRecorded:
		s.Grade, s.Settled = e.Grade, e.Resolved
		if e.Grade <= 2 {
			s.Unsatisfied++
		}
		s.stop(calendar.Callback)
		for _, d := range []*calendar.Due{e.Promise, e.Triage} {
			if d != nil {
				s.start(*d)
			}
		}
		switch e.Result {
		case CallbackCloses:
			s.Phase, s.ClosedAt, s.ReopenBy, s.RerateBy = PhaseClosed, st.Recorded, e.ReopenBy, e.RerateBy
		case CallbackReworks:
			s.Phase = PhaseInHandling
		case CallbackReconsiders:
			s.Phase, s.Topic = PhaseAccepted, stream.ID{}
			s.detachAll()
		}
	case CallbackAttempted:
		s.Attempts++
		if e.Enough && s.EnoughAt.IsZero() {
			s.EnoughAt = st.Recorded
		}
		s.stop(calendar.Callback)
	case CallbackWaived:
		s.Phase, s.ClosedAt, s.ReopenBy = PhaseClosed, st.Recorded, e.ReopenBy
		s.stop(calendar.Callback)
	case Reopened:
		s.Phase, s.Round, s.Topic, s.Waiver = PhaseAccepted, e.Round, stream.ID{}, ""
		s.ClosedAt, s.ReopenBy, s.RerateBy = time.Time{}, time.Time{}, time.Time{} // of the round that ended
		s.urged = nil
		s.detachAll()
		s.start(e.Triage)
	case AppealFiled:
		s.Appealed = true
	case AppealRejected:
		s.Appealed, s.Dismissed = false, true
	case AppealUpheld:
		s.Phase, s.Appealed, s.Upheld = PhaseRaised, false, true
		s.ClosedAt = time.Time{}
		s.start(e.Accept)
	case Supported:
		s.Supporters += e.Supporters
		s.Opponents += e.Opponents
		if st.Actor.Role == orgs.Resident {
			s.supported = append(slices.Clip(s.supported), st.Actor.ID)
		}
	case Reclassified:
		s.Kind, s.Matter, s.Urgency = or(e.Kind, s.Kind), or(e.Matter, s.Matter), or(e.Urgency, s.Urgency)
	case Relocated:
		s.Grid, s.Unit = e.Grid, e.Unit
	case Related:
		s.Related = append(slices.Clip(s.Related), e.Topic)
	case UrgingReceived:
		s.Urgings++
		if s.Pressed < s.Round {
			s.urged = append(slices.Clip(s.urged), st.Recorded)
		}
	case Rerated:
		s.Grade, s.Settled = e.Grade, e.Resolved
	case ProgressNoted:
		// An order that serves it says so when it is dispatched, or when the demand is attached.
		if (e.From.Type == "demand-attached/1" || e.From.Type == "order-dispatched/1") && s.Phase == PhaseInHandling {
			s.attach(e.From.Stream.ID())
		}
		if e.TopicNews != nil {
			s.start(*e.TopicNews)
		}
	case DeadlineRecomputed:
		s.recomputed(rule.Recount(e), st)
	case WarningRaised:
		s.Fired = s.Fired.Warned(rule.Warning(e))
	case ClockExpired:
		s.Fired = s.Fired.Expired(rule.Expiry(e))
	case Escalated:
		s.Attention = s.Attention.Risen(rule.Escalation(e), st)
		if e.Rule == "E6" {
			s.Pressed, s.urged = s.Round, nil
		}
	}
	if s.Phase != before.Phase {
		s.Since = st.Recorded
	}
	return s
}

func or[T ~string](a, b T) T {
	if a != "" {
		return a
	}
	return b
}

// byClock reports whether an event is the clock's, or comes with another one: nobody said it, so nobody repeats it, and
// what was said before can still be repeated after it.
func byClock(e Event) bool {
	switch e.(type) {
	case WarningRaised, ClockExpired, Escalated:
		return true
	}
	return false
}

// answered begins the wait for a callback.
func (s *State) answered(d calendar.Due, reachBy time.Time, st rule.Stamp) {
	s.AnsweredAt, s.Attempts, s.EnoughAt = st.Recorded, 0, time.Time{}
	s.Callback, s.ReachBy = d, reachBy
	s.start(d)
}

func (s *State) start(d calendar.Due) {
	s.Running = s.Running.Start(d)
	s.Dues++
}

// recomputed puts a due instant in the place of the one it replaces. Nobody stops calling before the first call is due (rule D18).
func (s *State) recomputed(r rule.Recount, st rule.Stamp) {
	s.Running, s.Fired = r.Apply(s.Running, s.Fired, st.Recorded)
	if s.Callback.ID == r.Replaces {
		if s.Callback = r.Clock; !s.ReachBy.IsZero() && s.ReachBy.Before(r.Clock.Due) {
			s.ReachBy = r.Clock.Due
		}
	}
	s.Dues++
}

func (s *State) stop(names ...calendar.Clock) { s.Running = s.Running.Stop(names...) }

func (s *State) attach(o stream.ID) {
	if !slices.Contains(s.Orders, o) {
		s.Orders = append(slices.Clip(s.Orders), o)
	}
}

func (s *State) detachAll() {
	for _, o := range s.Orders {
		if !slices.Contains(s.Past, o) {
			s.Past = append(slices.Clip(s.Past), o)
		}
	}
	s.Orders = nil
}
