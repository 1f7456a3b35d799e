package evidence

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// town is two streets of one district, and a community of another.
func town() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: "150100", Kind: orgs.City},
		orgs.UnitOpened{Code: "150105", Kind: orgs.District, Parent: "150100"},
		orgs.UnitOpened{Code: "150102", Kind: orgs.District, Parent: "150100"},
		orgs.UnitOpened{Code: "150105-d01", Kind: orgs.Department, Parent: "150105"},
		orgs.UnitOpened{Code: "150105003", Kind: orgs.Street, Parent: "150105"},
		orgs.UnitOpened{Code: "150105004", Kind: orgs.Street, Parent: "150105"},
		orgs.UnitOpened{Code: "150102001", Kind: orgs.Street, Parent: "150102"},
		orgs.UnitOpened{Code: "150105003-a01", Kind: orgs.Agency, Parent: "150105003", Department: "150105-d01"},
		orgs.UnitOpened{Code: "150105003001", Kind: orgs.Community, Parent: "150105003"},
		orgs.UnitOpened{Code: "150105004001", Kind: orgs.Community, Parent: "150105004"},
		orgs.UnitOpened{Code: "150102001001", Kind: orgs.Community, Parent: "150102001"},
		orgs.UnitOpened{Code: "old-town", Kind: orgs.Community, Parent: "150105004"}, // a code that says nothing
		orgs.GridDrawn{Grid: "150105003001001"},
		orgs.GridDrawn{Grid: "150105003001002"},
	)
}

// told is an event where it lies in the log.
type told struct {
	event.Entry
	at Position
}

// story is a log in which anything may come after anything.
type story struct {
	random *rand.Rand
	units  *orgs.Tree
	now    time.Time
	log    []told
	states map[stream.Name]event.State
	heads  map[stream.Name]int64
	of     map[stream.Category][]stream.ID
}

func tell(seed uint64, n int) *story {
	s := &story{random: rand.New(rand.NewPCG(seed, 2)), units: town(), now: time.Date(2025, 12, 27, 1, 0, 0, 0, time.UTC),
		states: map[stream.Name]event.State{}, heads: map[stream.Name]int64{}, of: map[stream.Category][]stream.ID{}}
	for range n {
		s.step()
	}
	return s
}

func (s *story) add(name stream.Name, b event.Body) {
	s.now = s.now.Add(time.Duration(s.random.IntN(3*3600_000)) * time.Millisecond)
	occurred := s.now
	switch s.random.IntN(5) {
	case 0:
		occurred = s.now.Add(-time.Duration(s.random.IntN(30*3600)) * time.Second) // at times longer than the window
	case 1:
		occurred = s.now.Add(-time.Duration(s.random.IntN(600)) * time.Second)
	}
	revision, begun := s.heads[name]
	if begun {
		revision++
	}
	s.heads[name] = revision
	e := event.Entry{Stream: name, Revision: revision, ID: stream.Derive("event", string(name), fmt.Sprint(revision)), Body: b,
		Meta: event.Meta{Occurred: occurred, Recorded: s.now}}
	switch name.Category() {
	case stream.Gate:
	default:
		e.Before = s.states[name]
		e.After = event.Fold(name, e.Before, b, e.Meta.Stamp(e.ID))
		s.states[name] = e.After
	}
	s.log = append(s.log, told{e, Position(len(s.log)*3 + 5)}) // other things lie between
}

func one[T any](s *story, xs ...T) T { return xs[s.random.IntN(len(xs))] }

func (s *story) due(c calendar.Clock) calendar.Due {
	at := s.now.Add(time.Duration(1+s.random.IntN(20*24)) * time.Hour).Truncate(time.Second)
	return calendar.Due{ID: fmt.Sprint(c, "/", len(s.log)), Clock: c, Due: at, OriginalDue: at.Add(-time.Duration(s.random.IntN(2)) * time.Hour)}
}

func (s *story) unit() orgs.UnitCode {
	return one(s, orgs.UnitCode("150105003001"), "150105003001", "150105004001", "150102001001", "150100", "150105", "old-town", "nowhere", "150105003-a01", "150105003001001")
}

func (s *story) any(c stream.Category) stream.ID {
	if ids := s.of[c]; len(ids) > 0 && s.random.IntN(30) > 0 {
		return ids[s.random.IntN(len(ids))]
	}
	return stream.Derive("nothing", fmt.Sprint(s.random.IntN(3)))
}

func (s *story) begin(c stream.Category) (stream.ID, stream.Name) {
	id := stream.Derive(string(c), fmt.Sprint(len(s.log)))
	s.of[c] = append(s.of[c], id)
	return id, stream.Of(c, id)
}

func (s *story) effectively() time.Time {
	return s.now.Add(-time.Duration(s.random.IntN(40)) * time.Hour).Truncate(time.Second)
}

func (s *story) number() string {
	return one(s, "150105-20260105-0417-N", "150105-20260105-12345-X", "0", "", "编号-1", "150105-20260105-0417-")
}

// step lets something happen, likely or not.
func (s *story) step() {
	kinds := []string{"errand", "issue", "report", "odd kind"}
	switch n := s.random.IntN(24); {
	case n < 3 || len(s.of[stream.Demand]) == 0:
		_, name := s.begin(stream.Demand)
		s.add(name, demand.Raised{Number: s.number(), Kind: demand.Kind(one(s, kinds...)), Channel: one(s, demand.Channels()...), Matter: one(s, "", "010101", "x-y"), Unit: s.unit(),
			OnBehalf: one(s, true, false), Anonymous: one(s, true, false), NoCallback: one(s, true, false), Imported: one(s, true, false, false, false)})
	case n < 5 || len(s.of[stream.Order]) == 0:
		_, name := s.begin(stream.Order)
		s.add(name, order.Dispatched{Number: s.number(), Demands: s.some(stream.Demand), Patrol: one(s, true, false), Kind: one(s, kinds...), Matter: "010102", Urgency: one(s, "A", "D", ""),
			Lead: s.unit(), Competent: one(s, "", s.unit()), CoUnits: one(s, nil, []orgs.UnitCode{s.unit(), s.unit()}), By: s.unit(), Place: s.unit(),
			Grid: one(s, orgs.GridCode(""), "150105003001001"), Sign: s.due(calendar.Sign), Contact: one(s, s.due(calendar.Contact), calendar.Due{}), Handle: s.due(calendar.Handle)})
	case n < 6 && len(s.of[stream.Topic]) < 4 || len(s.of[stream.Topic]) == 0:
		_, name := s.begin(stream.Topic)
		s.add(name, topic.Proposed{Unit: s.unit()})
	case n < 7:
		_, name := s.begin(stream.Dispute)
		s.add(name, dispute.Opened{Demand: s.any(stream.Demand), Rung: 1, Unit: s.unit()})
	case n < 8:
		_, name := s.begin(stream.Whistle)
		s.add(name, whistle.Blown{Street: s.unit(), Units: []whistle.Summons{{Unit: "150105003-a01", ReportIn: s.due(calendar.ReportIn)}, {Unit: "150105-d01", ReportIn: s.due(calendar.ReportIn)}}})
	case n < 9:
		s.add(stream.Keyed(stream.Gate, "150105003001"), duty.Blocked{Target: s.unit(), Matter: one(s, "010101", "0202")})
	case n < 15:
		s.moveDemand(stream.Of(stream.Demand, s.any(stream.Demand)))
	case n < 21:
		s.moveOrder(stream.Of(stream.Order, s.any(stream.Order)))
	case n < 22:
		s.add(stream.Of(stream.Topic, s.any(stream.Topic)), one[event.Body](s, topic.Adopted{}, topic.Adopted{}, topic.Rejected{}, topic.DeliberationOpened{}, topic.Deferred{}))
	case n < 23 && len(s.of[stream.Dispute]) > 0:
		s.add(stream.Of(stream.Dispute, one(s, s.of[stream.Dispute]...)), one[event.Body](s, dispute.MediationAccepted{Unit: "150105003001"}, dispute.MediationSucceeded{}, dispute.AgreementBreached{},
			dispute.ReferredUp{Rung: 2}, dispute.ReferredOut{Target: "court"}, dispute.Withdrawn{}, dispute.AgreementFulfilled{}, dispute.MediationFailed{}))
	case len(s.of[stream.Whistle]) > 0:
		u := one(s, orgs.UnitCode("150105003-a01"), "150105-d01")
		s.add(stream.Of(stream.Whistle, one(s, s.of[stream.Whistle]...)), one[event.Body](s, whistle.UnitReportedIn{Unit: u, At: s.effectively(), Late: one(s, true, false)}, whistle.UnitAbsent{Unit: u},
			whistle.UnitExcused{Unit: u}, whistle.UnitReleased{Unit: u, At: s.effectively(), Left: one(s, true, false)}, whistle.Concluded{At: s.effectively(), Spared: []orgs.UnitCode{u}}, whistle.Cancelled{},
			whistle.Scored{Cards: []whistle.Card{{Unit: u, ReportIn: whistle.Late, Stayed: true, Outcome: s.random.IntN(31), Unrated: one(s, true, false), Score: s.random.IntN(10001)}}},
			whistle.Rescored{Card: whistle.Card{Unit: u, ReportIn: whistle.OnTime, Outcome: 30, Score: 10000}}))
	}
}

func (s *story) some(c stream.Category) []stream.ID {
	var ids []stream.ID
	for range s.random.IntN(3) {
		ids = append(ids, s.any(c))
	}
	return ids
}

func (s *story) moveDemand(name stream.Name) {
	grade := demand.Grade(s.random.IntN(6))
	s.add(name, one[event.Body](s,
		demand.Accepted{Kind: "issue", Matter: one(s, "010101", "020202"), Urgency: "C", Unit: s.unit()},
		demand.AnsweredOnTheSpot{Kind: "consult", Callback: one(s, s.due(calendar.Callback), calendar.Due{})},
		demand.FastTracked{Reason: demand.ReasonUrgent, Route: demand.Route{Order: &demand.NewOrder{}}},
		demand.FastTracked{Reason: demand.ReasonSameMatter, Route: demand.Route{Join: s.any(stream.Order)}},
		demand.FastTracked{Reason: demand.ReasonSameMatter, Route: demand.Route{Join: s.any(stream.Order)}},
		demand.FastTracked{Reason: demand.ReasonDispute, Route: demand.Route{Dispute: 1}},
		demand.LinkedToTopic{Topic: s.any(stream.Topic)}, demand.LinkedToTopic{Topic: s.any(stream.Topic)},
		demand.UnlinkedFromTopic{}, demand.EnteredHandling{Orders: s.some(stream.Order)},
		demand.Answered{Callback: s.due(calendar.Callback)}, demand.ReturnedToPool{}, demand.ReturnedToTopic{},
		demand.CallbackRecorded{Result: one(s, demand.CallbackCloses, demand.CallbackReworks, demand.CallbackReconsiders), Resolved: one(s, true, false), Grade: grade, Order: one(s, stream.ID{}, s.any(stream.Order))},
		demand.CallbackWaived{Cause: one(s, "anonymous", "unreached", "odd")}, demand.CallbackAttempted{},
		demand.Reopened{Round: 2}, demand.Rerated{Grade: grade, Resolved: one(s, true, false)}, demand.Withdrawn{}, demand.Declined{}, demand.AppealUpheld{},
		demand.Reclassified{Kind: "issue", Matter: "030303"}, demand.Relocated{Unit: s.unit()},
		demand.ProgressNoted{From: demand.Source{Stream: stream.Of(stream.Order, s.any(stream.Order)), Type: "order-dispatched/1"}},
		demand.UrgingReceived{}, demand.Supplemented{}))
}

func (s *story) moveOrder(name stream.Name) {
	before, _ := s.states[name].(order.State)
	replaced := "none"
	if len(before.Running) > 0 {
		replaced = one(s, before.Running...).ID
	}
	moved := s.due(one(s, calendar.Handle, calendar.Sign, calendar.Contact, calendar.Rework, calendar.Verify))
	work := s.due(before.Work())
	s.add(name, one[event.Body](s,
		order.Signed{At: s.effectively()}, order.Signed{At: s.effectively()}, order.Contacted{At: s.effectively(), Demands: before.Demands}, order.Contacted{At: s.effectively()},
		order.ContactNotRequired{}, order.ReturnRequested{}, order.ReturnRefused{}, order.ReturnApproved{},
		order.Redispatched{Leg: 2, Lead: s.unit(), CoUnits: one(s, nil, []orgs.UnitCode{s.unit()}), By: s.unit(), Sign: s.due(calendar.Sign), Contact: s.due(calendar.Contact), Handle: work},
		order.Suspended{FrozenAt: s.effectively()}, order.Resumed{Handle: work}, order.Resumed{Handle: work},
		order.Reported{DoneAt: s.effectively(), Attempt: 1}, order.Reported{DoneAt: s.effectively(), Attempt: 1},
		order.VerificationPassed{Method: one(s, "photo", "sampled_out")}, order.VerificationFailed{Handle: work, Attempt: 2},
		order.ExtensionGranted{Handle: work}, order.DeadlineRecomputed{Replaces: replaced, Clock: moved}, order.DeadlineRecomputed{Replaces: replaced, Clock: moved},
		order.ReworkOrdered{Round: before.Round + 1, Rework: s.due(calendar.Rework)}, order.Reopened{Round: before.Round + 1, Rework: s.due(calendar.Rework)},
		order.Closed{Cause: "answered"}, order.Cancelled{Cause: "error"}, order.DemandAttached{Demand: s.any(stream.Demand)}, order.DemandAttached{Demand: s.any(stream.Demand)},
		order.DemandDetached{Demand: s.any(stream.Demand)}, order.Reassigned{Lead: s.unit()}, order.Reassigned{Lead: before.Lead, Worker: "w1"}, order.SupervisionIssued{}, order.CoUnitReleased{},
		order.Rated{Leg: 1 + s.random.IntN(2), Score: s.random.IntN(101)}))
}

// keep keeps the tracks of a log as a follower of it would. The marks of an event that is named as early get the position of the
// mark before.
func keep(log []told, units *orgs.Tree, early ...Position) map[stream.ID]Case {
	kept := map[stream.ID]Case{}
	put := func(id stream.ID, of stream.Category, t Track) {
		if len(t) > 0 {
			kept[id] = Case{id, of, t}
		}
	}
	first := func(o stream.ID) stream.ID { return kept[o].Track.First() }
	for _, e := range log {
		id, of := e.Stream.ID(), e.Stream.Category()
		if of == stream.Gate {
			id = e.ID
		}
		if slices.Contains(early, e.at) {
			e.at = openPen(kept[id].Track, of, seen{}).last
		}
		before := slices.Clone(kept[id].Track)
		was := kept[id].Track
		track, months := was.Observe(e.Entry, e.at, units, first)
		put(id, of, track)
		if all := (Case{id, of, track}).Months(); !slices.Equal(append((Case{id, of, was}).Months(), months...), all) {
			panic(fmt.Sprint("the months of ", e.Body.EventType(), " are told as ", months, ", and all are ", all))
		}
		if !slices.Equal(before, was) {
			panic("the bytes of a track changed")
		}
		if of == stream.Demand {
			now, was := Governed(e.Entry)
			put(now, stream.Topic, kept[now].Track.Linked(id, true, e.at))
			put(was, stream.Topic, kept[was].Track.Linked(id, false, e.at))
		}
	}
	return kept
}

func cases(kept map[stream.ID]Case) []Case {
	var cs []Case
	for _, c := range kept {
		cs = append(cs, c)
	}
	return cs
}

// upTo is the log as it was at a position.
func upTo(log []told, p Position) []told {
	i, _ := slices.BinarySearchFunc(log, p+1, func(e told, p Position) int { return int(e.at) - int(p) })
	return log[:i]
}
