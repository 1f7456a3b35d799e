package topic

import (
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// State is a topic as its stream tells it. The zero State is a topic that does not exist yet.
//
// A deliberation begins with T2, and again with T10, T13 and T15. What it decides rests on its own meeting
// and its own vote; those of an earlier deliberation count no more.
type State struct {
	ID     stream.ID
	Phase  Phase
	Number string
	Kind   Kind
	Source string
	Title  sealed.Public
	Unit   orgs.UnitCode
	Matter string
	Named  []stream.ID // demands named when it was proposed; which ones it governs is on their streams

	Format    Format
	Place     sealed.Public
	MeetingAt time.Time // as announced last
	Held      bool      // a meeting was held in this deliberation
	Minutes   string    // of the last meeting, SHA-256, hexadecimal
	Vote      Vote      // the last vote of this deliberation; its ClosesAt is zero if none was opened

	Plan      []Item // as adopted last
	Budget    int64  // fen
	Resources []string
	Summary   sealed.Public // of the adoption, then of the end
	Reason    sealed.Public // of the last rejection, deferral, refusal, return, reopening, merger or drop
	ReviewOn  calendar.Date // of a deferred topic
	Target    stream.ID     // the topic that took over

	Cycle       int           // handovers so far
	CycleOrders []stream.ID   // "the topic's orders": those of the last cycle, in the order they were given
	AllOrders   []stream.ID   // of every cycle, each once
	Items       []OrderItem   // what the topic's own orders were given to do, of every cycle
	By          orgs.UnitCode // who handed it over last
	Latest      calendar.Date // the latest target date promised in the cycle

	Results      int // published so far
	CycleResults int // of them since the last handover
	Supporters   int // households
	households   []string
	Reraised     int // how often a demand it had answered was raised again

	ProposedBy  rule.Actor
	ProposedAt  time.Time // when it happened
	RecordedAt  time.Time
	Deliberates time.Time // when the last deliberation began
	HeldAt      time.Time // when the last meeting took place
	AdoptedAt   time.Time
	HandedAt    time.Time
	EndedAt     time.Time
	Since       time.Time // when the present state was entered

	Running   rule.Clocks
	Fired     rule.Firings   // what the clocks did
	Attention rule.Attention // how high it has risen; kept when it is reopened
	Dues      int            // clocks ever started on this stream

	last      Event // the last event that is not the clock's, and who said it when: a repeat decides nothing
	lastStamp rule.Stamp
}

// Vote is one vote of all households, one ballot each.
type Vote struct {
	Options    []sealed.Public
	Grids      []orgs.GridCode
	Electorate int // households
	ClosesAt   time.Time
	Closed     bool
	Cast       int   // ballots, known when closed
	Counts     []int // per option, known when closed
	Passed     bool
}

// OrderItem is what one order of the topic was given to do.
type OrderItem struct {
	Order stream.ID
	Cycle int
	Item  Item
}

// Item returns what an order was given to do, false for orders that joined from another topic.
func (s State) Item(order stream.ID) (Item, bool) {
	i := slices.IndexFunc(s.Items, func(o OrderItem) bool { return o.Order == order })
	if i < 0 {
		return Item{}, false
	}
	return s.Items[i].Item, true
}

// Fact is what other machines may know of the topic.
func (s State) Fact() rule.TopicFact {
	return rule.TopicFact{ID: s.ID, Phase: string(s.Phase), Unit: s.Unit, Terminal: s.Phase.Terminal(),
		Handed: s.Phase == PhaseHandling || s.Phase == PhaseConcluded}
}

// Evolve returns the state after an event. It accepts any event in any state: what is in the log has happened.
func Evolve(s State, e Event, st rule.Stamp) State {
	before := s.Phase
	if !byClock(e) {
		s.last, s.lastStamp = e, st
	}
	switch e := e.(type) {
	case Proposed:
		s.Phase = PhaseProposed
		s.Number, s.Kind, s.Source, s.Title = e.Number, e.Kind, e.Source, e.Title
		s.Unit, s.Matter, s.Named = e.Unit, e.Matter, e.Demands
		s.ProposedBy, s.ProposedAt, s.RecordedAt = st.Actor, st.Occurred, st.Recorded
		s.start(e.Open)
	case DeliberationOpened:
		s.Format, s.Place, s.MeetingAt = e.Format, e.Place, e.MeetingAt
		s.deliberate(e.Deliberate, st)
	case DeliberationHeld:
		s.Format, s.Held, s.HeldAt, s.Minutes = e.Format, true, st.Occurred, e.Minutes
	case VoteOpened:
		s.Phase = PhaseVoting
		s.Vote = Vote{Options: e.Options, Grids: e.Grids, Electorate: e.Electorate, ClosesAt: e.ClosesAt}
		if e.Count.ID != "" {
			s.start(e.Count)
		}
	case VoteClosed:
		s.Phase = PhaseDeliberating
		s.Vote.Closed, s.Vote.Cast, s.Vote.Counts, s.Vote.Passed = true, e.Cast, e.Counts, e.Passed
		s.Running = s.Running.Stop(calendar.VoteCount)
	case Adopted:
		s.Phase = PhaseAdopted
		s.Plan, s.Budget, s.Resources, s.Summary = e.Items, e.Budget, e.Resources, e.Summary
		s.AdoptedAt, s.Running = st.Recorded, nil
		s.start(e.Handover)
	case Rejected:
		s.end(PhaseRejected, st)
		s.Reason = e.Reason
	case Deferred:
		s.Phase, s.Reason, s.ReviewOn, s.Running = PhaseDeferred, e.Reason, e.ReviewOn, nil
		s.start(e.Review)
	case AdmissionRefused:
		s.Reason = e.Reason
		s.deliberate(e.Deliberate, st)
	case HandedToGrid:
		s.Phase, s.Cycle, s.CycleOrders, s.CycleResults = PhaseHandling, e.Cycle, nil, 0
		s.By, s.Latest, s.HandedAt, s.Running = e.By, e.Latest, st.Recorded, nil
		for n, item := range e.Items {
			s.give(stream.CausedBy(stream.Order, st.Event, n), &item)
		}
	case OrderAdded:
		order := e.Order
		if e.Item != nil {
			order = stream.CausedBy(stream.Order, st.Event, 0)
			s.Latest = max(s.Latest, e.Item.Target)
		}
		s.give(order, e.Item)
		s.Running = s.Running.Stop(calendar.Conclude)
	case ReadyToConclude:
		s.start(e.Conclude)
	case Returned:
		s.Reason = e.Reason
		s.deliberate(e.Deliberate, st)
	case ResultPublished:
		s.Results = e.Result
		s.CycleResults++
	case Concluded:
		s.end(PhaseConcluded, st)
		s.Summary = e.Summary
	case Reopened:
		s.Reason, s.EndedAt = e.Reason, time.Time{}
		s.deliberate(e.Deliberate, st)
	case MergedInto:
		s.end(PhaseMerged, st)
		s.Target, s.Reason = e.Target, e.Reason
	case Dropped:
		s.end(PhaseDropped, st)
		s.Reason = e.Reason
	case Supported:
		s.Supporters++
		s.households = append(slices.Clip(s.households), e.Household)
	case LinkedDemandReopened:
		s.Reraised++
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
	if s.Phase != before {
		s.Since = st.Recorded
	}
	return s
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

// deliberate begins a deliberation: an earlier meeting and an earlier vote count no more.
func (s *State) deliberate(d calendar.Due, st rule.Stamp) {
	s.Phase, s.Deliberates, s.Held, s.Vote, s.ReviewOn = PhaseDeliberating, st.Recorded, false, Vote{}, 0
	s.Running = nil
	s.start(d)
}

func (s *State) end(p Phase, st rule.Stamp) {
	s.Phase, s.EndedAt, s.Running = p, st.Recorded, nil
}

func (s *State) start(d calendar.Due) {
	s.Running = s.Running.Start(d)
	s.Dues++
}

// give adds an order to the running cycle, with its item unless it joined from another topic.
func (s *State) give(order stream.ID, item *Item) {
	if !slices.Contains(s.CycleOrders, order) {
		s.CycleOrders = append(slices.Clip(s.CycleOrders), order)
	}
	if !slices.Contains(s.AllOrders, order) {
		s.AllOrders = append(slices.Clip(s.AllOrders), order)
	}
	if item != nil {
		s.Items = append(slices.Clip(s.Items), OrderItem{Order: order, Cycle: s.Cycle, Item: *item})
	}
}
