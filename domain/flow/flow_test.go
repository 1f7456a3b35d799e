package flow_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/policy"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// world is what the flow knows: streams by their ids.
type world struct {
	demands  map[stream.ID]demand.State
	topics   map[stream.ID]topic.State
	orders   map[stream.ID]order.State
	disputes map[stream.ID]dispute.State
	follows  []stream.ID // demands that follow the topic t1
	undrawn  bool
	plan     orgs.GridsState
	timed    map[stream.Name]event.State // whose clocks a notice may move
	calendar string
}

func (w world) Demand(id stream.ID) demand.State   { return w.demands[id] }
func (w world) Topic(id stream.ID) topic.State     { return w.topics[id] }
func (w world) Order(id stream.ID) order.State     { return w.orders[id] }
func (w world) Dispute(id stream.ID) dispute.State { return w.disputes[id] }
func (w world) Drawn(order.State) (bool, int)      { return !w.undrawn, 1000 }

func (w world) State(n stream.Name) event.State { return w.timed[n] }
func (w world) Calendar() string                { return w.calendar }

func (w world) Unsettled(c stream.Category) []stream.ID {
	waiting := map[stream.ID]event.State{}
	for n, s := range w.timed {
		if n.Category() == c {
			waiting[n.ID()] = s
		}
	}
	return ids(waiting, func(s event.State) bool { return len(event.Provisional(s)) > 0 })
}

func (w world) Grids(orgs.UnitCode) orgs.GridsState { return w.plan }

func (w world) Held(by orgs.UnitCode) []stream.ID {
	return ids(w.orders, func(o order.State) bool { return o.Lead == by && o.Phase.Live() })
}

func (w world) Followers(id stream.ID) []stream.ID {
	if id == t1 {
		return w.follows
	}
	return nil
}

func (w world) Linked(id stream.ID) []stream.ID {
	return ids(w.demands, func(d demand.State) bool { return d.Topic == id })
}

func (w world) Serving(id stream.ID) []stream.ID {
	return ids(w.orders, func(o order.State) bool { return slices.Contains(o.Demands, id) })
}

func (w world) Waiting(id stream.ID) []stream.ID {
	return ids(w.demands, func(d demand.State) bool { return slices.Contains(d.Orders, id) })
}

func (w world) Topics(id stream.ID) []stream.ID {
	return ids(w.topics, func(t topic.State) bool { return slices.Contains(t.CycleOrders, id) })
}

// ids lists the streams that fit, in the order of their ids.
func ids[S any](all map[stream.ID]S, fits func(S) bool) []stream.ID {
	var found []stream.ID
	for id, s := range all {
		if fits(s) {
			found = append(found, id)
		}
	}
	slices.SortFunc(found, func(a, b stream.ID) int { return strings.Compare(a.String(), b.String()) })
	return found
}

func named(c stream.Category, n byte) stream.ID {
	return stream.ID{0: n, 6: 0x50, 8: 0x80, 15: byte(len(c))}
}

var (
	d1, d2, d3 = named(stream.Demand, 1), named(stream.Demand, 2), named(stream.Demand, 3)
	t1, t2     = named(stream.Topic, 4), named(stream.Topic, 5)
	o1, o2     = named(stream.Order, 6), named(stream.Order, 7)
	p1, p2     = named(stream.Dispute, 8), named(stream.Dispute, 9)
	cause      = stream.Derive("cause")

	made = map[stream.ID]string{d1: "d1", d2: "d2", d3: "d3", t1: "t1", t2: "t2", o1: "o1", o2: "o2", p1: "p1", p2: "p2",
		stream.CausedBy(stream.Order, cause, 0): "new order", stream.CausedBy(stream.Order, cause, 1): "second new order",
		stream.CausedBy(stream.Dispute, cause, 0): "new dispute",
		stream.CausedBy(stream.Demand, cause, 0):  "child 1", stream.CausedBy(stream.Demand, cause, 1): "child 2"}
)

// The builders of the world; each returns a copy that knows one more stream.
func (w world) d(id stream.ID, p demand.Phase, change ...func(*demand.State)) world {
	s := demand.State{ID: id, Phase: p, Kind: demand.Issue, Matter: "010101", Urgency: "C", Unit: "150105003001"}
	for _, c := range change {
		c(&s)
	}
	w.demands = with(w.demands, id, s)
	return w
}

func (w world) t(id stream.ID, p topic.Phase, orders ...stream.ID) world {
	w.topics = with(w.topics, id, topic.State{ID: id, Phase: p, Unit: "150105003001", CycleOrders: orders, Cycle: 1, Reason: "理由"})
	return w
}

func (w world) o(id stream.ID, p order.Phase, demands ...stream.ID) world {
	w.orders = with(w.orders, id, order.State{ID: id, Phase: p, Demands: demands, Lead: "150105003001001",
		Report: order.Report{Outcome: "resolved", Summary: "完成", Revision: 4, Event: id}, VerifiedAt: time.Unix(int64(id[0]), 0)})
	return w
}

func (w world) p(id stream.ID, p dispute.Phase) world {
	w.disputes = with(w.disputes, id, dispute.State{ID: id, Phase: p, Demand: d1})
	return w
}

func with[S any](m map[stream.ID]S, id stream.ID, s S) map[stream.ID]S {
	c := map[stream.ID]S{id: s}
	for k, v := range m {
		if k != id {
			c[k] = v
		}
	}
	return c
}

func in(t stream.ID) func(*demand.State)       { return func(d *demand.State) { d.Topic = t } }
func by(os ...stream.ID) func(*demand.State)   { return func(d *demand.State) { d.Orders = os } }
func were(ts ...stream.ID) func(*demand.State) { return func(d *demand.State) { d.Topics = ts } }
func anonymous(d *demand.State)                { d.Anonymous = true }
func unclassified(d *demand.State)             { d.Matter, d.Urgency = "", "" }
func mediated(p stream.ID) func(*demand.State) {
	return func(d *demand.State) { d.Dispute, d.Waiver, d.Kind = p, string(demand.ReasonDispute), demand.Dispute }
}

// on makes the entry of an event: the stream's state after it is the one in the world.
func (w world) on(id stream.ID, b event.Body) event.Entry {
	e := event.Entry{ID: cause, Revision: 3, Body: b, Meta: event.Meta{Unit: "150105003001", Recorded: time.Date(2025, 3, 4, 1, 0, 0, 0, time.UTC)}}
	switch {
	case strings.HasPrefix(made[id], "d"):
		e.Stream, e.After = stream.Of(stream.Demand, id), w.demands[id]
	case strings.HasPrefix(made[id], "t"):
		e.Stream, e.After = stream.Of(stream.Topic, id), w.topics[id]
	case strings.HasPrefix(made[id], "o"):
		e.Stream, e.After = stream.Of(stream.Order, id), w.orders[id]
	default:
		e.Stream, e.After = stream.Of(stream.Dispute, id), w.disputes[id]
	}
	return e
}

// from is the same with another state before the event.
func (w world) from(id stream.ID, before event.State, b event.Body) event.Entry {
	e := w.on(id, b)
	e.Before = before
	return e
}

// say lists sends as "R12 d1 answer"; notes of progress (R11) are left out unless asked for.
func say(sends []flow.Send, notes bool) []string {
	said := []string{}
	for _, s := range sends {
		if s.Rule == "R11" && !notes {
			continue
		}
		to := made[s.Stream.ID()]
		line := s.Rule + " " + to
		for _, c := range s.Commands {
			line += " " + c.(interface{ Name() string }).Name()
		}
		said = append(said, line)
	}
	return said
}

func want(lines ...string) []string { return lines }

func TestWhatFollows(t *testing.T) {
	var w world
	handled := func(p order.Phase) world { return w.o(o1, p, d1).d(d1, demand.PhaseInHandling, by(o1)) }
	answered := func(p order.Phase) world { return w.o(o1, p, d1).d(d1, demand.PhaseAnswered, by(o1)) }
	closed := func(p order.Phase) world { return w.o(o1, p, d1).d(d1, demand.PhaseClosed, by(o1)) }
	linked := w.d(d1, demand.PhaseInTopic, in(t1)).d(d2, demand.PhaseInTopic, in(t1)).d(d3, demand.PhaseWithdrawn, in(t1))
	working := w.t(t1, topic.PhaseHandling, o1, o2).d(d1, demand.PhaseInHandling, in(t1), by(o1, o2))
	join := demand.FastTracked{Reason: demand.ReasonSameMatter, Route: demand.Route{Join: o1}}
	again := demand.FastTracked{Reason: demand.ReasonReopened, Route: demand.Route{Join: o1}}
	item := topic.Item{Lead: "150105003001001", Matter: "010101", Urgency: "D"}

	for _, c := range []struct {
		name  string
		world world
		id    stream.ID
		body  event.Body
		want  []string
	}{
		{"R1: a fast-track with a new order dispatches it", w.d(d1, demand.PhaseInHandling), d1,
			demand.FastTracked{Route: demand.Route{Order: &demand.NewOrder{Lead: "150105003001001"}}}, want("R1 new order dispatch")},
		{"R2: a demand joins a live order", w.d(d1, demand.PhaseInHandling).o(o1, order.PhaseHandling), d1, join, want("R2 o1 attach-demand")},
		{"R2: a demand that was attached before to work that is done is answered", handled(order.PhaseVerified), d1, join, want("R12 d1 answer")},
		{"R2: a demand that was attached before to live work waits", handled(order.PhaseSigned), d1, join, want()},
		{"R2: an order closed meanwhile sends the demand back", w.d(d1, demand.PhaseInHandling).o(o1, order.PhaseClosed), d1, join, want("R2 d1 return-to-pool")},
		{"R2: an order cancelled meanwhile sends the demand back", w.d(d1, demand.PhaseInHandling).o(o1, order.PhaseCancelled), d1, again, want("R2 d1 return-to-pool")},
		{"R2: a reopened demand reopens its closed order", w.d(d1, demand.PhaseInHandling).o(o1, order.PhaseClosed), d1, again, want("R2 o1 reopen attach-demand")},
		{"R3: a private dispute goes to mediation", w.d(d1, demand.PhaseInHandling), d1, demand.FastTracked{Route: demand.Route{Dispute: 2}}, want("R3 new dispute open")},
		{"R3: a dispute settled on the spot is opened, accepted and agreed at once", w.d(d1, demand.PhaseAnswered), d1,
			demand.AnsweredOnTheSpot{Kind: demand.Dispute}, want("R3 new dispute open accept-mediation record-agreement")},
		{"R3: a consult answered on the spot needs no dispute", w.d(d1, demand.PhaseAnswered), d1, demand.AnsweredOnTheSpot{Kind: demand.Consult}, want()},

		{"R4: linked to a topic in handling, the demand enters and is attached to each order not cancelled",
			w.t(t1, topic.PhaseHandling, o1, o2).o(o1, order.PhaseSigned).o(o2, order.PhaseCancelled).d(d1, demand.PhaseInTopic, in(t1)), d1,
			demand.LinkedToTopic{Topic: t1}, want("R4 d1 enter-handling", "R4 o1 attach-demand")},
		{"R4: linked to a rejected topic", w.t(t1, topic.PhaseRejected).d(d1, demand.PhaseInTopic, in(t1)), d1, demand.LinkedToTopic{Topic: t1}, want("R4 d1 answer")},
		{"R4: linked to a deferred topic", w.t(t1, topic.PhaseDeferred).d(d1, demand.PhaseInTopic, in(t1)), d1, demand.LinkedToTopic{Topic: t1}, want("R4 d1 answer")},
		{"R4: linked to a merged topic", w.t(t1, topic.PhaseMerged).d(d1, demand.PhaseInTopic, in(t1)), d1, demand.LinkedToTopic{Topic: t1}, want("R4 d1 unlink-from-topic link-to-topic")},
		{"R4: linked to a dropped topic", w.t(t1, topic.PhaseDropped).d(d1, demand.PhaseInTopic, in(t1)), d1, demand.LinkedToTopic{Topic: t1}, want("R4 d1 unlink-from-topic")},
		{"R4: linked to a concluded topic", w.t(t1, topic.PhaseConcluded).d(d1, demand.PhaseInTopic, in(t1)), d1, demand.LinkedToTopic{Topic: t1}, want("R4 d1 unlink-from-topic")},
		{"R4: linked to a topic that is deliberated, it waits", w.t(t1, topic.PhaseDeliberating).d(d1, demand.PhaseInTopic, in(t1)), d1, demand.LinkedToTopic{Topic: t1}, want()},

		{"R5: a rejection answers each demand in the topic, and no other", linked.t(t1, topic.PhaseRejected).d(d3, demand.PhaseInHandling, in(t1)), t1, topic.Rejected{}, want("R5 d1 answer", "R5 d2 answer")},
		{"R5: a deferral too", linked.t(t1, topic.PhaseDeferred), t1, topic.Deferred{}, want("R5 d1 answer", "R5 d2 answer")},
		{"R6: a dropped topic lets its demands go", linked.t(t1, topic.PhaseDropped), t1, topic.Dropped{}, want("R6 d1 unlink-from-topic", "R6 d2 unlink-from-topic")},
		{"R7: a merged topic takes its demands along, in one append each", linked.t(t1, topic.PhaseMerged), t1, topic.MergedInto{Target: t2},
			want("R7 d1 unlink-from-topic link-to-topic", "R7 d2 unlink-from-topic link-to-topic")},
		{"R8: handing over dispatches each item, then its demands enter handling", linked.t(t1, topic.PhaseHandling), t1, topic.HandedToGrid{Items: []topic.Item{item, item}},
			want("R8 new order dispatch", "R8 second new order dispatch", "R8 d1 enter-handling", "R8 d2 enter-handling")},
		{"R9: a new item is dispatched", working.o(o1, order.PhaseSigned), t1, topic.OrderAdded{Item: &item}, want("R9 new order dispatch")},
		{"R9: an order that joins takes the demands in handling", working.o(o1, order.PhaseSigned).d(d2, demand.PhaseAnswered, in(t1)), t1, topic.OrderAdded{Order: o2},
			want("R9-" + d1.String() + " o2 attach-demand")},

		{"R12: work that is verified answers its demand", handled(order.PhaseVerified), o1, order.VerificationPassed{}, want("R12 d1 answer")},
		{"R12: not while another order is at work", handled(order.PhaseVerified).o(o2, order.PhaseSigned, d1), o1, order.VerificationPassed{}, want()},
		{"R12: a cancelled order is not waited for", handled(order.PhaseVerified).o(o2, order.PhaseCancelled, d1), o2, order.Cancelled{}, want("R12 d1 answer")},
		{"R12: a demand answered before is not answered again", answered(order.PhaseVerified), o1, order.VerificationPassed{}, want()},
		{"R12: a demand attached to work that is done is answered", handled(order.PhaseClosed), o1, order.DemandAttached{Demand: d1}, want("R12 d1 answer")},
		{"R12: a demand that somebody detached still waits, and is answered", w.o(o1, order.PhaseVerified).d(d1, demand.PhaseInHandling, by(o1)), o1, order.VerificationPassed{},
			want("R12 d1 answer")},
		{"R12: a demand that enters after the work was done is answered", handled(order.PhaseVerified).t(t1, topic.PhaseHandling, o1), d1,
			demand.EnteredHandling{Topic: t1, Orders: []stream.ID{o1}}, want("R12 d1 answer")},
		{"R17: a demand that enters after its topic was returned goes back", handled(order.PhaseCancelled).t(t1, topic.PhaseDeliberating, o1), d1,
			demand.EnteredHandling{Topic: t1, Orders: []stream.ID{o1}}, want("R17 d1 return-to-topic")},

		{"R13: rework of a verified order", handled(order.PhaseVerified), d1, demand.CallbackRecorded{Result: demand.CallbackReworks, Order: o1}, want("R13 o1 order-rework")},
		{"R13: rework of a closed order", handled(order.PhaseClosed), d1, demand.CallbackRecorded{Result: demand.CallbackReworks, Order: o1}, want("R13 o1 reopen")},
		{"R13: rework of an order cancelled meanwhile", handled(order.PhaseCancelled), d1, demand.CallbackRecorded{Result: demand.CallbackReworks, Order: o1}, want("R13 d1 return-to-pool")},
		{"R13: an order at work again needs nothing", handled(order.PhaseHandling), d1, demand.CallbackRecorded{Result: demand.CallbackReworks, Order: o1}, want()},

		{"R14: the last callback closes the order", closed(order.PhaseVerified), d1, demand.CallbackRecorded{Result: demand.CallbackCloses}, want("R14 o1 close")},
		{"R14: a waived callback too", closed(order.PhaseVerified), d1, demand.CallbackWaived{}, want("R14 o1 close")},
		{"R14: not while another demand waits to be called", w.o(o1, order.PhaseVerified, d1, d2).d(d1, demand.PhaseClosed, by(o1)).d(d2, demand.PhaseAnswered, by(o1)), d1,
			demand.CallbackRecorded{Result: demand.CallbackCloses}, want()},
		{"R14: a detached demand that may still come back keeps the order open", w.o(o1, order.PhaseVerified).d(d1, demand.PhaseAnswered, by(o1)), o1,
			order.DemandDetached{Demand: d1}, want()},
		{"R14: an order at work is not closed", closed(order.PhaseHandling), d1, demand.CallbackWaived{}, want()},
		{"R14: detaching the last demand closes the order", w.o(o1, order.PhaseVerified).d(d1, demand.PhaseAccepted), o1, order.DemandDetached{Demand: d1}, want("R14 o1 close")},
		{"R15: verified work that nobody waits for is closed", w.o(o1, order.PhaseVerified), o1, order.VerificationPassed{}, want("R15 o1 close")},
		{"R15: so is that of withdrawn demands", w.o(o1, order.PhaseVerified, d1).d(d1, demand.PhaseWithdrawn, by(o1)), o1, order.VerificationPassed{}, want("R15 o1 close")},

		{"R16: a topic all of whose orders are cancelled is returned; its demands go with it", working.o(o1, order.PhaseCancelled, d1).o(o2, order.PhaseCancelled, d1), o1, order.Cancelled{}, want("R16 t1 return")},
		{"R16: not while one is left", working.o(o1, order.PhaseCancelled, d1).o(o2, order.PhaseVerified, d1).d(d1, demand.PhaseAnswered, in(t1)), o1, order.Cancelled{}, want()},
		{"R16: a demand with nothing but cancelled orders goes back to the pool", handled(order.PhaseCancelled), o1, order.Cancelled{}, want("R16 d1 return-to-pool")},
		{"R16: so does one that was on its way to the order", w.o(o1, order.PhaseCancelled).d(d1, demand.PhaseInHandling, by(o1)), o1, order.Cancelled{}, want("R16 d1 return-to-pool")},
		{"R16: and one detached from its last order", w.o(o1, order.PhaseSigned).o(o2, order.PhaseCancelled).d(d1, demand.PhaseInHandling, by(o2)), o1, order.DemandDetached{Demand: d1}, want("R16 d1 return-to-pool")},
		{"R16: mediation does not depend on orders", w.o(o1, order.PhaseSigned).d(d1, demand.PhaseInHandling, mediated(p1)), o1, order.DemandDetached{Demand: d1}, want()},
		{"R17: a returned topic takes its demands in handling back", working.t(t1, topic.PhaseDeliberating, o1, o2).d(d2, demand.PhaseAnswered, in(t1)), t1, topic.Returned{}, want("R17 d1 return-to-topic")},

		{"R18: an agreement answers the demand", w.d(d1, demand.PhaseInHandling, mediated(p1)).p(p1, dispute.PhaseAgreed), p1, dispute.MediationSucceeded{}, want("R18 d1 answer")},
		{"R18: a referral out too", w.d(d1, demand.PhaseInHandling, mediated(p1)).p(p1, dispute.PhaseReferredOut), p1, dispute.ReferredOut{}, want("R18 d1 answer")},
		{"R18: a withdrawal too", w.d(d1, demand.PhaseInHandling, mediated(p1)).p(p1, dispute.PhaseEnded), p1, dispute.Withdrawn{}, want("R18 d1 answer")},
		{"R18: a demand answered before is left alone", w.d(d1, demand.PhaseClosed, mediated(p1)).p(p1, dispute.PhaseReferredOut), p1, dispute.ReferredOut{}, want()},
		{"R18: an earlier mediation does not answer a later one's demand", w.d(d1, demand.PhaseInHandling, mediated(p2)).p(p1, dispute.PhaseReferredOut), p1, dispute.ReferredOut{}, want()},
		{"R18: nor one that has gone to an order since", w.d(d1, demand.PhaseInHandling, mediated(p1), func(d *demand.State) { d.Waiver = "urgent" }).p(p1, dispute.PhaseReferredOut), p1, dispute.ReferredOut{}, want()},
		{"R18: a failed rung answers nothing", w.d(d1, demand.PhaseInHandling, mediated(p1)).p(p1, dispute.PhaseFailed), p1, dispute.MediationFailed{}, want()},

		{"R19: withdrawing the only demand cancels its order", w.o(o1, order.PhaseSigned, d1).d(d1, demand.PhaseWithdrawn, by(o1)), d1, demand.Withdrawn{}, want("R19 o1 cancel")},
		{"R19: not with another demand", w.o(o1, order.PhaseSigned, d1, d2).d(d1, demand.PhaseWithdrawn, by(o1)).d(d2, demand.PhaseInHandling, by(o1)), d1, demand.Withdrawn{}, want()},
		{"R19: not once it is reported", w.o(o1, order.PhaseReported, d1).d(d1, demand.PhaseWithdrawn, by(o1)), d1, demand.Withdrawn{}, want()},
		{"R19: not an order of a topic", w.t(t1, topic.PhaseHandling, o1).o(o1, order.PhaseSigned, d1).d(d1, demand.PhaseWithdrawn, by(o1)), d1, demand.Withdrawn{}, want()},
		{"R19: verified work of a withdrawn demand is closed", w.o(o1, order.PhaseVerified, d1).d(d1, demand.PhaseWithdrawn, by(o1)), d1, demand.Withdrawn{}, want("R14 o1 close")},
		{"R19: tried again when a return is refused", w.o(o1, order.PhaseSigned, d1).d(d1, demand.PhaseWithdrawn, by(o1)), o1, order.ReturnRefused{}, want("R19 o1 cancel")},

		{"R22: a topic learns that its demand was raised again", w.d(d1, demand.PhaseAccepted, were(t1, t2)), d1, demand.Reopened{Round: 2}, want("R22 t1 note-demand-reopened", "R22 t2 note-demand-reopened")},
		{"R25: each child of a split demand is raised", w.d(d1, demand.PhaseAccepted), d1, demand.Split{Children: make([]demand.Child, 2)}, want("R25 child 1 raise", "R25 child 2 raise")},
		{"R26: concluding is due when the last order of the cycle is closed", w.t(t1, topic.PhaseHandling, o1, o2).o(o1, order.PhaseClosed).o(o2, order.PhaseCancelled), o1, order.Closed{}, want("R26 t1 mark-ready-to-conclude")},
		{"R26: also when the last one is cancelled and another was closed", w.t(t1, topic.PhaseHandling, o1, o2).o(o1, order.PhaseClosed).o(o2, order.PhaseCancelled), o2, order.Cancelled{}, want("R26 t1 mark-ready-to-conclude")},
		{"R26: not while one is open", w.t(t1, topic.PhaseHandling, o1, o2).o(o1, order.PhaseClosed).o(o2, order.PhaseVerified), o1, order.Closed{}, want()},
		{"R26: not for a topic that is deliberated again", w.t(t1, topic.PhaseDeliberating, o1).o(o1, order.PhaseClosed), o1, order.Closed{}, want()},
		{"R27: work that was not drawn passes", func() world { x := handled(order.PhaseReported); x.undrawn = true; return x }(), o1, order.Reported{}, want("R27 o1 pass-verification")},
		{"R27: work that was drawn waits for a verifier", handled(order.PhaseReported), o1, order.Reported{}, want()},
		{"R28: the demands a proposal names become part of it, those that are accepted and classified",
			w.t(t1, topic.PhaseProposed).d(d1, demand.PhaseAccepted).d(d2, demand.PhaseRaised).d(d3, demand.PhaseAccepted, unclassified), t1,
			topic.Proposed{Demands: []stream.ID{d1, d2, d3}}, want("R28 d1 link-to-topic")},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := flow.React(c.world.on(c.id, c.body), c.world)
			if got := say(plan.Sends, false); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// What left its orders or its mediation is seen in the state before the event.
func TestWhatFollowsFromLeaving(t *testing.T) {
	var w world
	before := demand.State{ID: d1, Phase: demand.PhaseInHandling, Orders: []stream.ID{o1, o2}}
	gone := w.o(o1, order.PhaseVerified, d1).o(o2, order.PhaseCancelled, d1)
	for _, c := range []struct {
		name   string
		before demand.State
		world  world
		body   event.Body
		want   []string
	}{
		{"R14: back in the pool, it is detached, and work nobody waits for is closed", before, gone.d(d1, demand.PhaseAccepted), demand.ReturnedToPool{}, want("R14 o1 detach-demand close")},
		{"R14: back in the topic too", before, gone.d(d1, demand.PhaseInTopic), demand.ReturnedToTopic{}, want("R14 o1 detach-demand close")},
		{"R14: considered anew too", before, gone.d(d1, demand.PhaseAccepted), demand.CallbackRecorded{Result: demand.CallbackReconsiders}, want("R14 o1 detach-demand close")},
		{"R14: work that another demand waits for goes on", before, w.o(o1, order.PhaseVerified, d1, d2).o(o2, order.PhaseCancelled).d(d1, demand.PhaseAccepted).d(d2, demand.PhaseAnswered),
			demand.ReturnedToPool{}, want("R14 o1 detach-demand")},
		{"R14: reopened, it leaves its closed order", before, w.o(o1, order.PhaseClosed, d1).o(o2, order.PhaseCancelled).d(d1, demand.PhaseAccepted), demand.Reopened{Round: 2}, want("R14 o1 detach-demand", "R22 o1 note-demand-reopened")},
		{"R22: whoever led the work learns that it did not last, once for each order that answered", demand.State{ID: d1, Phase: demand.PhaseClosed, Orders: []stream.ID{o1, o2}, Past: []stream.ID{p1}},
			w.o(o1, order.PhaseClosed, d1).o(o2, order.PhaseClosed, d1).o(p1, order.PhaseClosed).d(d1, demand.PhaseAccepted), demand.Reopened{Round: 3},
			want("R14 o1 detach-demand", "R14 o2 detach-demand", "R22 o1 note-demand-reopened", "R22 o2 note-demand-reopened")},
		{"R19: withdrawn during mediation", demand.State{ID: d1, Phase: demand.PhaseInHandling, Dispute: p1, Waiver: "private_dispute"},
			w.d(d1, demand.PhaseWithdrawn).p(p1, dispute.PhaseMediating), demand.Withdrawn{}, want("R19 p1 withdraw")},
		{"R19: the dispute may not be open yet", demand.State{ID: d1, Phase: demand.PhaseInHandling, Dispute: p1, Waiver: "private_dispute"},
			w.d(d1, demand.PhaseWithdrawn), demand.Withdrawn{}, want("R19 p1 withdraw")},
		{"R19: an agreement is kept, whoever withdraws", demand.State{ID: d1, Phase: demand.PhaseInHandling, Dispute: p1, Waiver: "private_dispute"},
			w.d(d1, demand.PhaseWithdrawn).p(p1, dispute.PhaseAgreed), demand.Withdrawn{}, want()},
		{"R19: an earlier mediation is over", demand.State{ID: d1, Phase: demand.PhaseInHandling, Dispute: p1, Waiver: "statutory_duty"},
			w.d(d1, demand.PhaseWithdrawn).p(p1, dispute.PhaseFailed), demand.Withdrawn{}, want()},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := flow.React(c.world.from(d1, c.before, c.body), c.world)
			if got := say(plan.Sends, false); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatFollowsWhenNoDispatchGetsThrough(t *testing.T) {
	var w world
	item := topic.Item{Lead: "150105003001001", Matter: "010101"}
	for _, c := range []struct {
		name  string
		world world
		id    stream.ID
		body  event.Body
		want  []string
	}{
		{"R1: the demand goes back to the pool", w.d(d1, demand.PhaseInHandling), d1,
			demand.FastTracked{Route: demand.Route{Order: &demand.NewOrder{Lead: "150105003001001"}}}, want("R1-blocked d1 return-to-pool")},
		{"R10: a topic whose plan is blocked is returned", w.t(t1, topic.PhaseHandling), t1, topic.HandedToGrid{Items: []topic.Item{item}}, want("R10 t1 return")},
		{"R10: so is one that has only cancelled orders besides", w.t(t1, topic.PhaseHandling, o1).o(o1, order.PhaseCancelled), t1, topic.OrderAdded{Item: &item}, want("R10 t1 return")},
		{"R10: one with other orders goes on", w.t(t1, topic.PhaseHandling, o1).o(o1, order.PhaseSigned), t1, topic.OrderAdded{Item: &item}, want()},
		{"nothing is dispatched, nothing is blocked", w.d(d1, demand.PhaseInHandling).o(o1, order.PhaseSigned), d1, demand.FastTracked{Route: demand.Route{Join: o1}}, want()},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := flow.React(c.world.on(c.id, c.body), c.world)
			if got := say(plan.Undispatched, true); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// R11: public facts are copied onto the demands they concern, except those that were withdrawn.
func TestProgressIsToldToTheDemandsItConcerns(t *testing.T) {
	var w world
	topical := w.d(d1, demand.PhaseInTopic, in(t1)).d(d2, demand.PhaseWithdrawn, in(t1)).d(d3, demand.PhaseAccepted).t(t1, topic.PhaseDeliberating)
	topical.follows = []stream.ID{d3}
	served := w.o(o1, order.PhaseHandling, d1, d2).d(d1, demand.PhaseInHandling, by(o1)).d(d2, demand.PhaseWithdrawn)
	both := want("R11 d1 note-progress", "R11 d3 note-progress")
	for _, c := range []struct {
		world world
		id    stream.ID
		body  event.Body
		want  []string
	}{
		{topical, t1, topic.DeliberationHeld{}, both}, {topical, t1, topic.VoteClosed{}, both}, {topical, t1, topic.Adopted{}, both},
		{topical, t1, topic.Rejected{}, both}, {topical, t1, topic.Deferred{}, both}, {topical, t1, topic.MergedInto{Target: t2}, both},
		{topical, t1, topic.Dropped{}, both}, {topical, t1, topic.ResultPublished{}, both}, {topical, t1, topic.Reopened{}, both},
		{topical, t1, topic.HandedToGrid{}, both}, {topical, t1, topic.Returned{}, both},
		{topical, t1, topic.VoteOpened{}, nil}, {topical, t1, topic.Supported{}, nil}, {topical, t1, topic.Concluded{}, nil},
		{served, o1, order.Signed{}, both[:1]}, {served, o1, order.Contacted{}, both[:1]}, {served, o1, order.Suspended{}, both[:1]},
		{served, o1, order.Reported{}, both[:1]}, {served, o1, order.ExtensionGranted{}, both[:1]}, {served, o1, order.DemandAttached{Demand: d1}, both[:1]},
		{served, o1, order.Escalated{From: 3, To: 4, Rule: "E2"}, both[:1]}, {served, o1, order.ProblemFlagged{Cause: "rework"}, both[:1]},
		{served, o1, order.WarningRaised{}, nil}, {served, o1, order.ClockExpired{}, nil},
		{served, o1, order.ExtensionRequested{}, nil}, {served, o1, order.ExtensionRefused{}, nil}, {served, o1, order.DeadlineRecomputed{}, nil}, {served, o1, order.Rated{Leg: 1, Score: 80}, nil},
		{served, o1, order.CoUnitReported{}, nil}, {served, o1, order.SupervisionIssued{}, nil}, {served, o1, order.DemandDetached{Demand: d1}, nil},
		{served, o1, order.ServedDemandReopened{Demand: d1, Round: 2}, nil},
	} {
		var got []string
		for _, line := range say(flow.React(c.world.on(c.id, c.body), c.world).Sends, true) {
			if strings.HasPrefix(line, "R11") {
				got = append(got, line)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%T: got %q, want %q", c.body, got, c.want)
		}
	}
}

// R11: a demand that a whistle names is told where the whistle stands, and nothing of who got which card.
func TestAWhistleTellsTheDemandThatItNames(t *testing.T) {
	var w world
	w = w.d(d1, demand.PhaseInHandling).d(d2, demand.PhaseWithdrawn)
	at := func(p whistle.Phase, d stream.ID) whistle.State {
		return whistle.State{Phase: p, Street: "150105003", Demand: d}
	}
	for _, c := range []struct {
		name          string
		before, after whistle.State
		body          event.Body
		state         string // "": nothing is told
		unit          orgs.UnitCode
		summary       sealed.Public
	}{
		{"blown", whistle.State{}, at(whistle.PhaseOpen, d1), whistle.Blown{Task: "抢修"}, "open", "150105003", "抢修"},
		{"the first comes", at(whistle.PhaseOpen, d1), at(whistle.PhaseOnSite, d1), whistle.UnitReportedIn{Unit: "150105003-a01"}, "on_site", "150105003-a01", ""},
		{"a further one comes", at(whistle.PhaseOnSite, d1), at(whistle.PhaseOnSite, d1), whistle.UnitReportedIn{Unit: "150105003-a02"}, "", "", ""},
		{"one is let go", at(whistle.PhaseOnSite, d1), at(whistle.PhaseOnSite, d1), whistle.UnitReleased{}, "", "", ""},
		{"done", at(whistle.PhaseOnSite, d1), at(whistle.PhaseConcluded, d1), whistle.Concluded{Outcome: "修好"}, "concluded", "150105003", "修好"},
		{"taken back", at(whistle.PhaseOpen, d1), at(whistle.PhaseCancelled, d1), whistle.Cancelled{Reason: "误报"}, "cancelled", "150105003", "误报"},
		{"scored", at(whistle.PhaseConcluded, d1), at(whistle.PhaseScored, d1), whistle.Scored{}, "", "", ""},
		{"without a demand", whistle.State{}, at(whistle.PhaseOpen, stream.ID{}), whistle.Blown{Task: "抢修"}, "", "", ""},
		{"the demand was withdrawn", whistle.State{}, at(whistle.PhaseOpen, d2), whistle.Blown{Task: "抢修"}, "", "", ""},
	} {
		n := stream.Of(stream.Whistle, o1)
		e := event.Entry{Stream: n, ID: cause, Revision: 3, Body: c.body, Before: c.before, After: c.after}
		var want []flow.Send
		if c.state != "" {
			want = []flow.Send{{Rule: "R11", Stream: stream.Of(stream.Demand, d1), Commands: []any{demand.NoteProgress{
				From: demand.Source{Stream: n, Revision: 3, Event: cause, Type: c.body.EventType()}, State: c.state, Unit: c.unit, Summary: c.summary}}}}
		}
		if got := flow.React(e, w).Sends; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, want)
		}
	}
}

func TestAnAnswerNamesTheLastReportThatPassed(t *testing.T) {
	var w world
	x := w.o(o1, order.PhaseVerified, d1).o(o2, order.PhaseClosed, d1).d(d1, demand.PhaseInHandling, by(o1, o2)) // o2 passed later
	for _, s := range flow.React(x.on(o1, order.VerificationPassed{}), x).Sends {
		if a, answers := s.Commands[0].(demand.Answer); answers {
			want := demand.Source{Stream: stream.Of(stream.Order, o2), Revision: 4, Event: o2, Type: "handling-reported/1"}
			if a.From != want || a.Outcome != demand.Resolved || a.Summary != "完成" {
				t.Errorf("got %+v, want it from %+v", a, want)
			}
			return
		}
	}
	t.Error("no answer was sent")
}

func TestAnOrderOfATopicIsAnonymousOnlyIfEveryDemandIs(t *testing.T) {
	var w world
	item := []topic.Item{{Lead: "150105003001001", Matter: "010101"}}
	for _, c := range []struct {
		name              string
		world             world
		anonymous, patrol bool
	}{
		{"all anonymous", w.d(d1, demand.PhaseInTopic, in(t1), anonymous).d(d2, demand.PhaseInTopic, in(t1), anonymous), true, false},
		{"one can be reached", w.d(d1, demand.PhaseInTopic, in(t1), anonymous).d(d2, demand.PhaseInTopic, in(t1)), false, false},
		{"no demand", w, false, true},
	} {
		x := c.world.t(t1, topic.PhaseHandling)
		for _, s := range flow.React(x.on(t1, topic.HandedToGrid{Items: item}), x).Sends {
			if d, dispatches := s.Commands[0].(order.Dispatch); dispatches && (d.Anonymous != c.anonymous || d.Patrol != c.patrol) {
				t.Errorf("%s: anonymous %v, patrol %v, want %v, %v", c.name, d.Anonymous, d.Patrol, c.anonymous, c.patrol)
			}
		}
	}
}

func TestEdgesFollowTheStreams(t *testing.T) {
	var w world
	for _, c := range []struct {
		name          string
		id            stream.ID
		before, after event.State
		body          event.Body
		want          []flow.Edge
	}{
		{"linking", d1, demand.State{}, demand.State{Topic: t1}, demand.LinkedToTopic{}, []flow.Edge{{Kind: flow.Governs, From: t1, To: d1}}},
		{"going over to another topic", d1, demand.State{Topic: t1}, demand.State{Topic: t2}, demand.LinkedToTopic{},
			[]flow.Edge{{Kind: flow.Governs, From: t1, To: d1, Ends: true}, {Kind: flow.Governs, From: t2, To: d1}}},
		{"going to an order", d1, demand.State{}, demand.State{Orders: []stream.ID{o1}}, demand.FastTracked{}, []flow.Edge{{Kind: flow.Awaits, From: d1, To: o1}}},
		{"sent back", d1, demand.State{Orders: []stream.ID{o1}}, demand.State{}, demand.ReturnedToPool{}, []flow.Edge{{Kind: flow.Awaits, From: d1, To: o1, Ends: true}}},
		{"related", d1, demand.State{}, demand.State{}, demand.Related{Topic: t1}, []flow.Edge{{Kind: flow.Tells, From: t1, To: d1}}},
		{"attached and detached", o1, order.State{Demands: []stream.ID{d1}}, order.State{Demands: []stream.ID{d2}}, order.DemandAttached{},
			[]flow.Edge{{Kind: flow.Serves, From: o1, To: d1, Ends: true}, {Kind: flow.Serves, From: o1, To: d2}}},
		{"a new cycle", t1, topic.State{CycleOrders: []stream.ID{o1}}, topic.State{CycleOrders: []stream.ID{o2}}, topic.HandedToGrid{},
			[]flow.Edge{{Kind: flow.Works, From: o1, To: t1, Ends: true}, {Kind: flow.Works, From: o2, To: t1}}},
		{"promised before the notice is there", d1, demand.State{}, demand.State{Running: rule.Clocks{maybe("triage/1/0/2")}}, demand.Accepted{},
			[]flow.Edge{{Kind: flow.Waits, From: flow.KindID(stream.Demand), To: d1}}},
		{"another such promise", d1, demand.State{Running: rule.Clocks{maybe("triage/1/0/2")}}, demand.State{Running: rule.Clocks{maybe("promise/1/0/3")}}, demand.FastTracked{}, nil},
		{"settled", d1, demand.State{Running: rule.Clocks{maybe("triage/1/0/2")}}, demand.State{Running: rule.Clocks{{ID: "triage/1/0/3"}}}, demand.DeadlineRecomputed{},
			[]flow.Edge{{Kind: flow.Waits, From: flow.KindID(stream.Demand), To: d1, Ends: true}}},
		{"a clock that stands still waits too", o1, order.State{Running: rule.Clocks{maybe("handle/1/1/3")}}, order.State{Frozen: maybe("handle/1/1/3")}, order.Suspended{}, nil},
		{"nothing new", d1, demand.State{Topic: t1, Orders: []stream.ID{o1}}, demand.State{Topic: t1, Orders: []stream.ID{o1}}, demand.UrgingReceived{}, nil},
	} {
		e := w.from(c.id, c.before, c.body)
		e.After = c.after
		if got := flow.Edges(e); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestNoTwoSendsOfOneCauseShareAStreamAndAKey(t *testing.T) {
	var w world
	x := w.t(t1, topic.PhaseHandling, o1, o2).o(o1, order.PhaseSigned, d1).o(o2, order.PhaseSigned)
	for _, d := range []stream.ID{d1, d2, d3} {
		x = x.d(d, demand.PhaseInHandling, in(t1), by(o1))
	}
	for _, e := range []event.Entry{x.on(t1, topic.OrderAdded{Order: o2}), x.on(t1, topic.Returned{}), x.on(o1, order.Cancelled{})} {
		seen := map[string]bool{}
		for _, s := range flow.React(e, x).Sends {
			k := fmt.Sprint(s.Stream, " ", s.Key(cause))
			if seen[k] {
				t.Errorf("%T: %s is sent twice: the second would be taken for a repeat", e.Body, k)
			}
			seen[k] = true
		}
	}
}

// What the clock says of a demand, a topic or a dispute is read, not carried on. Where its step is one of the book, as
// a waived callback or a mediation that failed, what follows is that step's.
func TestNothingFollowsFromWhatTheClockSays(t *testing.T) {
	var w world
	x := w.d(d1, demand.PhaseInHandling, in(t1), by(o1), were(t1, t2), mediated(p1)).d(d2, demand.PhaseInTopic, in(t1)).
		t(t1, topic.PhaseHandling, o1).o(o1, order.PhaseVerified, d1).p(p1, dispute.PhaseFailed)
	x.follows = []stream.ID{d3}
	for id, said := range map[stream.ID][]event.Body{
		d1: {demand.WarningRaised{Clock: "promise"}, demand.ClockExpired{Clock: "promise"}, demand.Escalated{Rule: "E7"}},
		t1: {topic.WarningRaised{Clock: "conclude"}, topic.ClockExpired{Clock: "conclude"}, topic.Escalated{Rule: "E5"}},
		p1: {dispute.WarningRaised{Clock: "refer"}, dispute.ClockExpired{Clock: "refer"}, dispute.Escalated{Rule: "E5"}},
	} {
		for _, b := range said {
			if plan := flow.React(x.on(id, b), x); len(plan.Sends)+len(plan.Undispatched) > 0 {
				t.Errorf("%s led to %v", b.EventType(), say(plan.Sends, true))
			}
			if edges := flow.Edges(x.from(id, x.on(id, b).After, b)); len(edges) > 0 {
				t.Errorf("%s changed links: %v", b.EventType(), edges)
			}
		}
	}
	if got := say(flow.React(x.on(o1, order.VerificationPassed{}), x).Sends, false); len(got) == 0 {
		t.Error("in this world nothing follows from anything: nothing was shown")
	}
}

// What the clock says about an order is told, or not; nothing else follows from it, in whatever state the order and its
// demands are. What it does in a person's place is like what the person does.
func TestNothingButANoteFollowsFromTheClock(t *testing.T) {
	var w world
	for _, p := range order.Machine.States {
		for _, d := range []demand.Phase{demand.PhaseInHandling, demand.PhaseAnswered, demand.PhaseWithdrawn, demand.PhaseClosed} {
			x := w.o(o1, p, d1).d(d1, d, by(o1))
			for _, b := range []event.Body{order.WarningRaised{}, order.ClockExpired{}, order.Escalated{}, order.ProblemFlagged{}} {
				plan := flow.React(x.on(o1, b), x)
				if got := say(plan.Sends, false); len(got)+len(plan.Undispatched) > 0 {
					t.Errorf("%T in %s, demand %s: got %v, want nothing", b, p, d, got)
				}
			}
		}
	}
	resumed := w.o(o1, order.PhaseHandling, d1).d(d1, demand.PhaseWithdrawn, by(o1))
	if got := say(flow.React(resumed.on(o1, order.Resumed{}), resumed).Sends, false); !slices.Equal(got, want("R19 o1 cancel")) {
		t.Errorf("a suspension ends after its only demand was withdrawn: got %v, want R19 tried again", got)
	}
}

func TestTheFlowActsOnlyOnCases(t *testing.T) {
	e := event.Entry{Stream: stream.Keyed(stream.Unit, "150105"), ID: cause, Body: orgs.UnitOpened{Code: "150105"}}
	if plan := flow.React(e, world{}); len(plan.Sends)+len(plan.Undispatched) > 0 {
		t.Errorf("a unit led to %v", plan)
	}
}

// R21: what a grid holds moves on when the grid is given up, or when who worked it leaves or is covered for.
func TestOrdersAreHandedOver(t *testing.T) {
	const g, next, later = orgs.GridCode("150105003001001"), orgs.GridCode("150105003001002"), orgs.GridCode("150105003001003")
	now := func(change func(*orgs.GridState)) orgs.GridsState {
		s := orgs.GridState{Drawn: orgs.GridDrawn{Grid: g}, Lead: "w1"}
		change(&s)
		return orgs.GridsState{Grids: []orgs.GridState{s, {Drawn: orgs.GridDrawn{Grid: next}}, {Drawn: orgs.GridDrawn{Grid: later}}}}
	}
	led := now(func(*orgs.GridState) {})
	gone := func(to ...orgs.GridCode) orgs.GridsState {
		return now(func(s *orgs.GridState) { s.Retired, s.Lead, s.Successors = true, "", to })
	}
	vacant := now(func(s *orgs.GridState) { s.Lead = "" })
	covered := now(func(s *orgs.GridState) { s.Acting = "w2" })
	acting := now(func(s *orgs.GridState) { s.Lead, s.Acting = "", "w2" })
	twice := gone(next, later)
	twice.Grids[1].Retired, twice.Grids[1].Successors = true, []orgs.GridCode{later}
	with := func(w string) func(*order.State) { return func(o *order.State) { o.Worker = w } }

	for _, c := range []struct {
		name          string
		body          event.Body
		before, after orgs.GridsState
		phase         order.Phase
		change        func(*order.State)
		want          string // "" = nothing follows
	}{
		{"a grid retired with no successor leaves its orders to the community", orgs.GridRetired{Grid: g}, vacant, gone(), order.PhaseHandling, with(""), "150105003001 "},
		{"a grid that is split leaves them to the first of the new ones", orgs.GridSplit{Grid: g, Into: []orgs.GridCode{next, later}}, led, gone(next, later), order.PhaseHandling, with("w1"), "150105003001002 "},
		{"a grid that is merged leaves them to the new one", orgs.GridMerged{Grids: []orgs.GridCode{g}, Into: next}, led, gone(next), order.PhaseDispatched, with(""), "150105003001002 "},
		{"a suspended order moves too", orgs.GridSplit{Grid: g, Into: []orgs.GridCode{next, later}}, led, gone(next, later), order.PhaseSuspended, with(""), "150105003001002 "},
		{"what owes no work stays", orgs.GridSplit{Grid: g, Into: []orgs.GridCode{next, later}}, led, gone(next, later), order.PhaseVerified, with(""), ""},
		{"what is closed stays", orgs.GridRetired{Grid: g}, vacant, gone(), order.PhaseClosed, with(""), ""},
		{"acting cover takes over from the absent lead", orgs.ActingWorkerAppointed{Grid: g, Worker: "w2"}, led, covered, order.PhaseHandling, with("w1"), " w2"},
		{"and what was in nobody's hands", orgs.ActingWorkerAppointed{Grid: g, Worker: "w2"}, led, covered, order.PhaseSigned, with(""), " w2"},
		{"but not what an assistant has", orgs.ActingWorkerAppointed{Grid: g, Worker: "w2"}, led, covered, order.PhaseHandling, with("w7"), ""},
		{"and nothing twice", orgs.ActingWorkerAppointed{Grid: g, Worker: "w2"}, led, covered, order.PhaseHandling, with("w2"), ""},
		{"a lead who leaves is followed by the acting worker", orgs.GridWorkerRelieved{Grid: g, Worker: "w1"}, covered, acting, order.PhaseHandling, with("w7"), " w2"},
		{"where nobody acts, by the community", orgs.GridWorkerRelieved{Grid: g, Worker: "w1"}, led, vacant, order.PhaseHandling, with("w1"), "150105003001 "},
		{"an acting worker who leaves a vacancy, too", orgs.GridWorkerRelieved{Grid: g, Worker: "w2"}, acting, vacant, order.PhaseHandling, with("w2"), "150105003001 "},
		{"an acting worker who leaves hands back to the lead", orgs.GridWorkerRelieved{Grid: g, Worker: "w2"}, covered, led, order.PhaseHandling, with("w2"), " w1"},
		{"an assistant who leaves hands in what they had", orgs.GridWorkerRelieved{Grid: g, Worker: "w7"}, led, led, order.PhaseHandling, with("w7"), " w1"},
		{"and nothing else", orgs.GridWorkerRelieved{Grid: g, Worker: "w7"}, led, led, order.PhaseHandling, with("w1"), ""},
		{"an assistant who leaves a vacancy changes nothing", orgs.GridWorkerRelieved{Grid: g, Worker: "w7"}, vacant, vacant, order.PhaseHandling, with(""), ""},
		{"a new lead takes nothing away", orgs.GridWorkerAppointed{Grid: g, Worker: "w1", Duty: orgs.DutyLead}, vacant, led, order.PhaseHandling, with(""), ""},
		{"a new survey moves no order", orgs.BlocksSurveyed{}, led, led, order.PhaseHandling, with(""), ""},
		{"an order dispatched to a grid that was split meanwhile moves on", order.Dispatched{}, led, gone(next, later), order.PhaseDispatched, with(""), "150105003001002 "},
		{"over two re-divisions", order.Redispatched{}, led, twice, order.PhaseDispatched, with(""), "150105003001003 "},
		{"and so does one that comes back to work", order.ReworkOrdered{}, led, gone(next), order.PhaseHandling, with(""), "150105003001002 "},
		{"or is opened again", order.Reopened{}, led, gone(), order.PhaseHandling, with(""), "150105003001 "},
		{"or was handed over to it", order.Reassigned{}, led, gone(next), order.PhaseHandling, with(""), "150105003001002 "},
		{"an order of an active grid stays", order.Dispatched{}, led, led, order.PhaseDispatched, with(""), ""},
	} {
		var w world
		w.plan = c.after
		w = w.o(o1, c.phase, d1)
		o := w.orders[o1]
		c.change(&o)
		w.orders[o1] = o
		e := event.Entry{Stream: stream.Keyed(stream.Grids, "150105003001"), ID: cause, Body: c.body, Before: c.before, After: c.after}
		if strings.HasPrefix(c.body.EventType(), "order-") || strings.HasPrefix(c.body.EventType(), "rework-") {
			e = w.on(o1, c.body)
		}
		got := ""
		for _, s := range flow.React(e, w).Sends {
			if a, hands := s.Commands[0].(order.Reassign); hands {
				got += fmt.Sprintf("%s %s", a.Lead, a.Worker)
				if s.Rule != "R21" || s.Stream != stream.Of(stream.Order, o1) || a.Held != g.Unit() || a.Reason == "" {
					t.Errorf("%s: got %+v", c.name, s)
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAnOrderIsHeldByWhoeverOwesWorkOnIt(t *testing.T) {
	var w world
	const a, b = orgs.UnitCode("150105003001001"), orgs.UnitCode("150105003-a01")
	holds := func(u orgs.UnitCode) flow.Edge { return flow.Edge{Kind: flow.Holds, From: flow.UnitID(u), To: o1} }
	ends := func(u orgs.UnitCode) flow.Edge { e := holds(u); e.Ends = true; return e }
	for _, c := range []struct {
		name          string
		before, after order.State
		want          []flow.Edge
	}{
		{"dispatched", order.State{}, order.State{Lead: a, Phase: order.PhaseDispatched}, []flow.Edge{holds(a)}},
		{"signed", order.State{Lead: a, Phase: order.PhaseDispatched}, order.State{Lead: a, Phase: order.PhaseSigned}, nil},
		{"handed over", order.State{Lead: a, Phase: order.PhaseSigned}, order.State{Lead: b, Phase: order.PhaseSigned}, []flow.Edge{ends(a), holds(b)}},
		{"sent back", order.State{Lead: a, Phase: order.PhaseReturnPending}, order.State{Lead: a, Phase: order.PhaseReturned}, []flow.Edge{ends(a)}},
		{"verified", order.State{Lead: a, Phase: order.PhaseReported}, order.State{Lead: a, Phase: order.PhaseVerified}, []flow.Edge{ends(a)}},
		{"to be done again", order.State{Lead: a, Phase: order.PhaseVerified}, order.State{Lead: a, Phase: order.PhaseHandling}, []flow.Edge{holds(a)}},
		{"closed", order.State{Lead: a, Phase: order.PhaseVerified}, order.State{Lead: a, Phase: order.PhaseClosed}, nil},
	} {
		e := w.from(o1, c.before, order.Signed{})
		e.After = c.after
		if got := flow.Edges(e); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// maybe is a due instant that a notice may change.
func maybe(id string) calendar.Due {
	return calendar.Due{ID: id, Calendar: "cn-2026#1", Provisional: true}
}

// TestANoticeSettlesWhatWaitedForIt (R24): on every machine, each stream once, all that is provisional there and nothing else.
func TestANoticeSettlesWhatWaitedForIt(t *testing.T) {
	settled := calendar.Due{ID: "settled", Calendar: "cn-2026#1"}
	w := world{calendar: "cn-2027#1", timed: map[stream.Name]event.State{
		stream.Of(stream.Demand, d1):    demand.State{Running: rule.Clocks{maybe("triage/1/0/2")}},
		stream.Of(stream.Demand, d2):    demand.State{Running: rule.Clocks{settled}},
		stream.Of(stream.Topic, t1):     topic.State{Running: rule.Clocks{maybe("open/1/0/1")}},
		stream.Of(stream.Order, o1):     order.State{Running: rule.Clocks{settled, maybe("supervision/1/1/4")}, Frozen: maybe("handle/1/1/3")},
		stream.Of(stream.Order, o2):     order.State{},
		stream.Of(stream.Dispute, p1):   dispute.State{Running: rule.Clocks{maybe("refer/1/0/2")}},
		stream.Of(stream.Whistle, p2):   whistle.State{Running: rule.Clocks{maybe("report_in/1/0/1"), maybe("report_in/2/0/2")}},
		stream.Of(stream.Admission, t2): admission.State{Running: rule.Clocks{maybe("admission/0/0/1")}},
	}}
	for _, correction := range []bool{false, true} {
		e := event.Entry{Stream: policy.Calendar, ID: cause, Body: policy.CalendarPublished{Year: 2027, Correction: correction}}
		var got []string
		for _, s := range flow.React(e, w).Sends {
			line := s.Rule + " " + string(s.Stream.Category())
			for _, c := range s.Commands {
				v := reflect.ValueOf(c)
				line += " " + c.(interface{ Name() string }).Name() + " " + v.FieldByName("ID").String()
				if v.FieldByName("Reason").String() == "" {
					t.Errorf("%T without a reason", c)
				}
			}
			got = append(got, line)
		}
		want := []string{"R24 demand recompute-deadline triage/1/0/2", "R24 topic recompute-deadline open/1/0/1",
			"R24 order recompute-deadline supervision/1/1/4 recompute-deadline handle/1/1/3", "R24 dispute recompute-deadline refer/1/0/2",
			"R24 whistle recompute-deadline report_in/1/0/1 recompute-deadline report_in/2/0/2", "R24 admission recompute-deadline admission/0/0/1"}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	for _, other := range []event.Body{policy.DeadlinesPublished{}, policy.EscalationPublished{}} {
		if plan := flow.React(event.Entry{Stream: policy.Deadlines, ID: cause, Body: other}, w); len(plan.Sends) > 0 {
			t.Errorf("%T led to %v", other, say(plan.Sends, true))
		}
	}
}

// TestWhatANoticeOvertookIsSettledToo (R24): who decided had not followed the notice yet.
func TestWhatANoticeOvertookIsSettledToo(t *testing.T) {
	due := maybe("triage/1/0/2")
	fresh := due
	fresh.Calendar = "cn-2027#1"
	for _, c := range []struct {
		name          string
		calendar      string
		before, after demand.State
		want          []string
	}{
		{"with the calendar in force nothing follows", "cn-2026#1", demand.State{}, demand.State{Running: rule.Clocks{due}}, want()},
		{"with an older one it is counted anew", "cn-2027#1", demand.State{}, demand.State{Running: rule.Clocks{due}}, want("R24 d1 recompute-deadline")},
		{"once", "cn-2027#1", demand.State{Running: rule.Clocks{due}}, demand.State{Running: rule.Clocks{due}}, want()},
		{"what still waits for another year is left alone", "cn-2027#1", demand.State{}, demand.State{Running: rule.Clocks{fresh}}, want()},
		{"where nothing was published nothing can be older", "", demand.State{}, demand.State{Running: rule.Clocks{due}}, want()},
	} {
		w := world{calendar: c.calendar}
		e := w.from(d1, c.before, demand.Accepted{})
		e.After = c.after
		if got := say(flow.React(e, w).Sends, false); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
