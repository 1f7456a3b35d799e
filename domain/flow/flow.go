// Package flow says what follows: which commands an event makes necessary on other streams (the process manager).
//
// [React] is pure. It never takes a decision that belongs to a person; it carries on what a person decided, counts anew
// what was promised before a notice of days off was there, and copies public facts onto the demands they concern. Every command is keyed by rule and causing event, so any
// number of nodes may run the flow, and repeat it, and one event results.
package flow

import (
	"cmp"
	"fmt"
	"slices"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/policy"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// Send is what to do on one stream, in one append: a rule of the book, its target, its commands.
type Send struct {
	Rule     string
	Stream   stream.Name
	Commands []any
}

// Key begins the key of every consequence; no caller of the API may use one that begins so.
const Key = "pm/"

// Key is the idempotency key under which the send is made for its causing event.
func (s Send) Key(cause stream.ID) string { return Key + s.Rule + "/" + cause.String() }

// Plan is everything that follows from one event, in order. If no dispatch in it gets through — the gate blocks
// it, or a unit was closed meanwhile — Undispatched is done, and of Sends only what does not depend on an order
// (rules R1, R10): nothing may wait for an order that never was.
type Plan struct {
	Sends        []Send
	Undispatched []Send
}

// World is what the flow knows besides the event: links between streams, and their states, as of that event.
// A stream that does not exist has the zero State.
type World interface {
	Demand(stream.ID) demand.State
	Topic(stream.ID) topic.State
	Order(stream.ID) order.State
	Dispute(stream.ID) dispute.State
	State(stream.Name) event.State         // nil for a stream that does not exist
	Linked(topic stream.ID) []stream.ID    // demands it governs, in the order of their ids
	Followers(topic stream.ID) []stream.ID // demands that are only told of its progress
	Serving(demand stream.ID) []stream.ID  // orders that serve it, as the orders tell it
	Waiting(order stream.ID) []stream.ID   // demands that wait for it, as the demands tell it
	Topics(order stream.ID) []stream.ID    // topics whose running cycle it belongs to
	Held(by orgs.UnitCode) []stream.ID     // live orders that the unit leads, in the order of their ids
	Unsettled(stream.Category) []stream.ID // streams with a provisional due instant, in the order of their ids
	Calendar() string                      // the version in force, "" if none was ever published
	Grids(community orgs.UnitCode) orgs.GridsState
	Drawn(o order.State) (drawn bool, rate int)
}

// Edge is a link between two streams, as an event makes or ends it. A unit stands for its stream by [UnitID].
type Edge struct {
	Kind EdgeKind
	From stream.ID
	To   stream.ID
	Ends bool
}

// EdgeKind says what a link means.
type EdgeKind string

// The kinds of links.
const (
	Governs EdgeKind = "governs" // topic → demand
	Tells   EdgeKind = "tells"   // topic → demand: progress only
	Serves  EdgeKind = "serves"  // order → demand
	Works   EdgeKind = "works"   // order → topic, in its running cycle
	Awaits  EdgeKind = "awaits"  // demand → order
	Holds   EdgeKind = "holds"   // unit → order that it leads and still owes work on
	Settles EdgeKind = "settles" // scheme → period
	Waits   EdgeKind = "waits"   // category → stream of it with a due instant that waits for a notice
)

// KindID is the id that stands for a category of streams in a link.
func KindID(c stream.Category) stream.ID { return stream.Derive("kind", string(c)) }

// UnitID is the id that stands for a unit in a link: the streams of units are named by code and have none.
func UnitID(u orgs.UnitCode) stream.ID { return stream.Derive("unit", string(u)) }

// Edges returns the links that an event makes and ends.
func Edges(e event.Entry) []Edge {
	var edges []Edge
	id := e.Stream.ID()
	switch after := e.After.(type) {
	case demand.State:
		before, _ := e.Before.(demand.State)
		if before.Topic != after.Topic {
			if !before.Topic.IsZero() {
				edges = append(edges, Edge{Governs, before.Topic, id, true})
			}
			if !after.Topic.IsZero() {
				edges = append(edges, Edge{Governs, after.Topic, id, false})
			}
		}
		edges = changed(edges, Awaits, id, before.Orders, after.Orders)
		if r, ok := e.Body.(demand.Related); ok {
			edges = append(edges, Edge{Tells, r.Topic, id, false})
		}
	case order.State:
		before, _ := e.Before.(order.State)
		edges = changed(edges, Serves, id, before.Demands, after.Demands)
		if held, holds := holder(before), holder(after); held != holds {
			if held != "" {
				edges = append(edges, Edge{Holds, UnitID(held), id, true})
			}
			if holds != "" {
				edges = append(edges, Edge{Holds, UnitID(holds), id, false})
			}
		}
	case period.State:
		if o, opened := e.Body.(period.Opened); opened {
			edges = append(edges, Edge{Settles, o.Scheme, id, false})
		}
	case topic.State:
		before, _ := e.Before.(topic.State)
		for _, o := range before.CycleOrders {
			if !slices.Contains(after.CycleOrders, o) {
				edges = append(edges, Edge{Works, o, id, true})
			}
		}
		for _, o := range after.CycleOrders {
			if !slices.Contains(before.CycleOrders, o) {
				edges = append(edges, Edge{Works, o, id, false})
			}
		}
	}
	if was, is := len(event.Provisional(e.Before)) > 0, len(event.Provisional(e.After)) > 0; was != is {
		edges = append(edges, Edge{Waits, KindID(e.Stream.Category()), id, was})
	}
	return edges
}

// holder returns the unit that owes work on an order, "" if none does: one that was sent back waits for its next unit.
func holder(o order.State) orgs.UnitCode {
	if !o.Phase.Live() || o.Phase == order.PhaseReturned {
		return ""
	}
	return o.Lead
}

func changed(edges []Edge, k EdgeKind, from stream.ID, before, after []stream.ID) []Edge {
	for _, to := range before {
		if !slices.Contains(after, to) {
			edges = append(edges, Edge{k, from, to, true})
		}
	}
	for _, to := range after {
		if !slices.Contains(before, to) {
			edges = append(edges, Edge{k, from, to, false})
		}
	}
	return edges
}

// React returns what follows from an event.
func React(e event.Entry, w World) Plan {
	r := reaction{Entry: e, World: w, id: e.Stream.ID()}
	switch e.Stream.Category() {
	case stream.Demand:
		r.demand()
	case stream.Topic:
		r.topic()
	case stream.Order:
		r.order()
	case stream.Dispute:
		r.dispute()
	case stream.Whistle:
		r.whistle()
	case stream.Grids:
		r.grids()
	case stream.Admission:
		r.admission()
	case stream.Calendar:
		r.calendar()
	}
	r.overtaken()
	return r.Plan
}

// reaction gathers the plan for one event.
type reaction struct {
	event.Entry
	World
	Plan
	id stream.ID
}

func (r *reaction) send(rule string, n stream.Name, commands ...any) {
	r.Sends = append(r.Sends, Send{Rule: rule, Stream: n, Commands: commands})
}

func (r *reaction) toDemand(rule string, id stream.ID, commands ...any) {
	r.send(rule, stream.Of(stream.Demand, id), commands...)
}

func (r *reaction) toOrder(rule string, id stream.ID, commands ...any) {
	r.send(rule, stream.Of(stream.Order, id), commands...)
}

func (r *reaction) toTopic(rule string, id stream.ID, commands ...any) {
	r.send(rule, stream.Of(stream.Topic, id), commands...)
}

// source names this event as the origin of a copied fact.
func (r *reaction) source() demand.Source {
	return demand.Source{Stream: r.Stream, Revision: r.Revision, Event: r.ID, Type: r.Body.EventType()}
}

// ordersOf returns the orders that handle a demand, as the demand and the orders tell it.
func (r *reaction) ordersOf(d demand.State) []stream.ID { return union(d.Orders, r.Serving(d.ID)) }

// demandsOf returns the demands that an order handles, as the order and the demands tell it: one that was only
// just sent to the order, or that somebody detached, still waits for it.
func (r *reaction) demandsOf(o order.State) []stream.ID { return union(o.Demands, r.Waiting(o.ID)) }

func union(a, b []stream.ID) []stream.ID {
	ids := slices.Clone(a)
	for _, id := range b {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (r *reaction) demand() {
	after, _ := r.After.(demand.State)
	before, _ := r.Before.(demand.State)
	switch b := r.Body.(type) {
	case demand.FastTracked:
		r.route(after, b)
	case demand.LinkedToTopic:
		r.join(b.Topic)
	case demand.EnteredHandling:
		if r.Topic(b.Topic).Phase != topic.PhaseHandling { // R17: the topic was returned while the demand was on its way
			r.toDemand("R17", r.id, demand.ReturnToTopic{Topic: b.Topic})
			return
		}
		r.answer([]stream.ID{r.id}) // R12: its orders were done while it was on its way
	case demand.CallbackRecorded:
		switch b.Result {
		case demand.CallbackReworks: // R13
			switch o := r.Order(b.Order); o.Phase {
			case order.PhaseVerified:
				r.toOrder("R13", b.Order, order.OrderRework{Cause: "callback", Demand: r.id, Reason: b.Reason})
			case order.PhaseClosed:
				r.toOrder("R13", b.Order, order.Reopen{Cause: "callback", Demand: r.id, Reason: b.Reason})
			case order.PhaseCancelled:
				r.toDemand("R13", r.id, demand.ReturnToPool{Order: b.Order, Cause: "order_cancelled"})
			}
		case demand.CallbackCloses:
			r.closeOrders(r.ordersOf(after))
		case demand.CallbackReconsiders:
			r.release(before)
		}
	case demand.CallbackWaived:
		r.closeOrders(r.ordersOf(after))
	case demand.Withdrawn:
		r.closeOrders(r.ordersOf(after))
		for _, o := range r.ordersOf(after) {
			r.cancelOrphan(r.Order(o))
		}
		if mediated(before) && r.open(before.Dispute) {
			r.send("R19", stream.Of(stream.Dispute, before.Dispute), dispute.Withdraw{})
		}
	case demand.ReturnedToPool, demand.ReturnedToTopic:
		r.release(before)
	case demand.Reopened:
		r.release(before)
		for _, t := range after.Topics { // R22
			r.toTopic("R22", t, topic.NoteDemandReopened{Demand: r.id, Round: b.Round})
		}
		for _, o := range r.ordersOf(before) { // R22: whoever led the work that answered it
			if p := r.Order(o).Phase; p != order.PhaseCancelled && p != "" {
				r.toOrder("R22", o, order.NoteDemandReopened{Demand: r.id, Round: b.Round})
			}
		}
	case demand.AnsweredOnTheSpot:
		if b.Kind == demand.Dispute { // R3
			id := stream.CausedBy(stream.Dispute, r.ID, 0)
			r.send("R3", stream.Of(stream.Dispute, id), dispute.Open{Demand: r.id, Rung: 1, Unit: after.Unit, Parties: party(after)},
				dispute.AcceptMediation{Unit: r.Meta.Unit, Consent: true}, dispute.RecordAgreement{Agreement: b.Agreement, FulfilOn: calendar.DateOf(r.Meta.Recorded) + 1, Summary: b.Summary})
		}
	case demand.Split: // R25
		for i, child := range b.Children {
			r.toDemand("R25", stream.CausedBy(stream.Demand, r.ID, i), demand.Raise{Kind: child.Kind, Channel: after.Channel,
				Anonymous: after.Anonymous, NoCallback: after.NoCallback, Matter: child.Matter, Grid: child.Grid,
				Unit: child.Unit, SplitFrom: r.id, SplitNo: i + 1})
		}
	}
}

// mediated reports whether a demand is in handling by mediation, and not by an order or a topic since.
func mediated(d demand.State) bool {
	return d.Phase == demand.PhaseInHandling && d.Waiver == string(demand.ReasonDispute)
}

// open reports whether a dispute can still be withdrawn. One that does not exist yet is on its way.
func (r *reaction) open(id stream.ID) bool {
	p := r.Dispute(id).Phase
	return p != dispute.PhaseAgreed && !p.Terminal()
}

// route carries out a fast-track: R1 a new order, R2 joining one, R3 mediation.
func (r *reaction) route(d demand.State, b demand.FastTracked) {
	switch {
	case b.Route.Order != nil:
		id := stream.CausedBy(stream.Order, r.ID, 0)
		o := b.Route.Order
		r.toOrder("R1", id, order.Dispatch{Demands: []stream.ID{r.id}, Kind: string(d.Kind), Matter: d.Matter,
			Urgency: string(d.Urgency), Lead: o.Lead, Competent: o.Competent, CoUnits: o.CoUnits, By: r.Meta.Unit,
			Place: d.Unit, Grid: d.Grid, Anonymous: d.Anonymous, Task: taskOf(o.Task, d.Summary)})
		r.Undispatched = append(r.Undispatched, Send{"R1-blocked", r.Stream, []any{demand.ReturnToPool{Order: id, Cause: "not_dispatched"}}})
	case b.Route.Dispute > 0:
		id := stream.CausedBy(stream.Dispute, r.ID, 0)
		r.send("R3", stream.Of(stream.Dispute, id), dispute.Open{Demand: r.id, Rung: dispute.Rung(b.Route.Dispute), Unit: d.Unit, Parties: party(d)})
	default:
		id := b.Route.Join
		attach := order.AttachDemand{Demand: r.id}
		switch o := r.Order(id); {
		case o.Phase == order.PhaseClosed && b.Reason == demand.ReasonReopened:
			r.toOrder("R2", id, order.Reopen{Cause: "callback", Demand: r.id}, attach)
		case o.Phase == order.PhaseClosed, o.Phase == order.PhaseCancelled, o.Phase == "":
			r.toDemand("R2", r.id, demand.ReturnToPool{Order: id, Cause: "order_closed"})
		case slices.Contains(o.Demands, r.id): // attached before it was sent here: no attachment follows that could answer it
			r.answer([]stream.ID{r.id})
		default:
			r.toOrder("R2", id, attach)
		}
	}
}

// party is the resident who raised the demand, if it was the resident who did.
func party(d demand.State) []dispute.Party {
	if d.RaisedBy.Role != orgs.Resident {
		return nil
	}
	return []dispute.Party{{Actor: d.RaisedBy.ID}}
}

func taskOf(task, summary sealed.Public) sealed.Public {
	if task != "" {
		return task
	}
	return summary
}

// join brings a demand that was linked late to where its topic is (R4).
func (r *reaction) join(id stream.ID) {
	switch t := r.Topic(id); t.Phase {
	case topic.PhaseHandling:
		r.toDemand("R4", r.id, demand.EnterHandling{Topic: id, Orders: t.CycleOrders, Latest: t.Latest})
		for _, o := range t.CycleOrders {
			if r.Order(o).Phase != order.PhaseCancelled {
				r.toOrder("R4", o, order.AttachDemand{Demand: r.id})
			}
		}
	case topic.PhaseRejected:
		r.toDemand("R4", r.id, demand.Answer{Outcome: demand.NotAdopted, Summary: t.Reason, From: topicSource(t)})
	case topic.PhaseDeferred:
		r.toDemand("R4", r.id, demand.Answer{Outcome: demand.Infeasible, Summary: t.Reason, ReviewOn: t.ReviewOn, From: topicSource(t)})
	case topic.PhaseMerged:
		r.toDemand("R4", r.id, demand.UnlinkFromTopic{Reason: "议题已并入其他议题"}, demand.LinkToTopic{Topic: t.Target})
	case topic.PhaseDropped, topic.PhaseConcluded:
		r.toDemand("R4", r.id, demand.UnlinkFromTopic{Reason: "议题已经结束"})
	}
}

func topicSource(t topic.State) demand.Source {
	return demand.Source{Stream: stream.Of(stream.Topic, t.ID), Type: string(t.Phase)}
}

// closeOrders closes each verified order none of whose demands is still open (R14).
func (r *reaction) closeOrders(ids []stream.ID) {
	for _, id := range ids {
		if o := r.Order(id); o.Phase == order.PhaseVerified && !r.awaited(o, r.id) {
			r.toOrder("R14", id, order.Close{Cause: "answered"})
		}
	}
}

// awaited reports whether a demand that the order handles is in handling or answered: it may come back to the
// order by a callback, even if somebody detached it. The state of this event's own demand is the one after the event.
func (r *reaction) awaited(o order.State, but stream.ID) bool {
	return slices.ContainsFunc(r.demandsOf(o), func(id stream.ID) bool {
		d := r.Demand(id)
		if id == but {
			d, _ = r.After.(demand.State)
		}
		return d.Phase == demand.PhaseInHandling || d.Phase == demand.PhaseAnswered
	})
}

// release detaches a demand that was sent back from the orders that handled it, and closes those that nobody waits for.
func (r *reaction) release(before demand.State) {
	for _, id := range r.ordersOf(before) {
		o := r.Order(id)
		if o.Phase == order.PhaseCancelled || o.Phase == "" {
			continue
		}
		commands := []any{order.DetachDemand{Demand: r.id, Cause: r.Body.EventType()}}
		if o.Phase == order.PhaseVerified && !r.awaited(o, r.id) {
			commands = append(commands, order.Close{Cause: "answered"})
		}
		r.toOrder("R14", id, commands...)
	}
}

// cancelOrphan cancels a fast-tracked order all of whose demands were withdrawn, while its work is not reported (R19).
func (r *reaction) cancelOrphan(o order.State) {
	if !o.Topic.IsZero() || o.Patrol || len(o.Demands) == 0 {
		return
	}
	for _, id := range o.Demands {
		d := r.Demand(id)
		if id == r.id {
			d, _ = r.After.(demand.State)
		}
		if d.Phase != demand.PhaseWithdrawn {
			return
		}
	}
	if len(r.Topics(o.ID)) > 0 {
		return
	}
	switch o.Phase {
	case order.PhaseDispatched, order.PhaseSigned, order.PhaseReturned, order.PhaseHandling, order.PhaseSuspended:
		r.toOrder("R19", o.ID, order.Cancel{Cause: "all_withdrawn"})
	}
}

func (r *reaction) topic() {
	after, _ := r.After.(topic.State)
	linked := r.Linked(r.id)
	in := func(p demand.Phase) []stream.ID {
		return slices.DeleteFunc(slices.Clone(linked), func(id stream.ID) bool { return r.Demand(id).Phase != p })
	}
	switch b := r.Body.(type) {
	case topic.DeliberationHeld:
		r.noteAll(append(linked, r.Followers(r.id)...), string(after.Phase), after.Unit, b.Summary, r.id)
	case topic.VoteClosed, topic.Reopened, topic.HandedToGrid, topic.Returned, topic.DeliberationOpened:
		r.noteAll(append(linked, r.Followers(r.id)...), string(after.Phase), after.Unit, "", r.id)
	case topic.Adopted:
		r.noteAll(append(linked, r.Followers(r.id)...), string(after.Phase), after.Unit, b.Summary, r.id)
	case topic.ResultPublished:
		r.noteAll(append(linked, r.Followers(r.id)...), string(after.Phase), after.Unit, b.Text, r.id)
	case topic.Rejected, topic.Deferred, topic.MergedInto, topic.Dropped:
		r.noteAll(append(linked, r.Followers(r.id)...), string(after.Phase), after.Unit, after.Reason, r.id)
	}
	switch b := r.Body.(type) {
	case topic.Proposed: // R28: the demands named in the proposal become part of it, once a clerk has accepted and classified them
		for _, id := range b.Demands {
			if d := r.Demand(id); d.Phase == demand.PhaseAccepted && d.Matter != "" && d.Urgency != "" {
				r.toDemand("R28", id, demand.LinkToTopic{Topic: r.id})
			}
		}
	case topic.Rejected: // R5
		for _, id := range in(demand.PhaseInTopic) {
			r.toDemand("R5", id, demand.Answer{Outcome: demand.NotAdopted, Summary: b.Reason, From: r.source()})
		}
	case topic.Deferred: // R5
		for _, id := range in(demand.PhaseInTopic) {
			r.toDemand("R5", id, demand.Answer{Outcome: demand.Infeasible, Summary: b.Reason, ReviewOn: b.ReviewOn, From: r.source()})
		}
	case topic.Dropped: // R6
		for _, id := range in(demand.PhaseInTopic) {
			r.toDemand("R6", id, demand.UnlinkFromTopic{Reason: b.Reason})
		}
	case topic.MergedInto: // R7
		for _, id := range in(demand.PhaseInTopic) {
			r.toDemand("R7", id, demand.UnlinkFromTopic{Reason: "议题已并入其他议题"}, demand.LinkToTopic{Topic: b.Target})
		}
	case topic.HandedToGrid: // R8
		demands := in(demand.PhaseInTopic)
		for i, item := range b.Items {
			r.dispatch("R8", stream.CausedBy(stream.Order, r.ID, i), after, item, b.By, demands)
		}
		for _, id := range demands {
			r.toDemand("R8", id, demand.EnterHandling{Topic: r.id, Orders: after.CycleOrders, Latest: b.Latest})
		}
		r.Undispatched = append(r.Undispatched, Send{"R10", r.Stream, []any{topic.Return{Reason: "方案各项均未能派单"}}})
	case topic.OrderAdded: // R9
		demands := in(demand.PhaseInHandling)
		if b.Item != nil {
			id := stream.CausedBy(stream.Order, r.ID, 0)
			r.dispatch("R9", id, after, *b.Item, b.By, demands)
			if others := slices.DeleteFunc(slices.Clone(after.CycleOrders), func(o stream.ID) bool { return o == id }); r.void(others) {
				r.Undispatched = append(r.Undispatched, Send{"R10", r.Stream, []any{topic.Return{Reason: "新增事项未能派单"}}})
			}
			return
		}
		for _, id := range demands {
			r.send("R9-"+id.String(), stream.Of(stream.Order, b.Order), order.AttachDemand{Demand: id})
		}
	case topic.Returned: // R17
		for _, id := range in(demand.PhaseInHandling) {
			r.toDemand("R17", id, demand.ReturnToTopic{Topic: r.id})
		}
	}
}

func (r *reaction) dispatch(rule string, id stream.ID, t topic.State, item topic.Item, by orgs.UnitCode, demands []stream.ID) {
	anonymous := !slices.ContainsFunc(demands, func(d stream.ID) bool { return !r.Demand(d).Anonymous })
	r.toOrder(rule, id, order.Dispatch{Topic: r.id, Cycle: t.Cycle, Demands: demands, Patrol: len(demands) == 0,
		Kind: string(demand.Issue), Matter: item.Matter, Urgency: item.Urgency, Lead: item.Lead, Competent: item.Competent,
		CoUnits: item.CoUnits, By: by, Place: t.Unit, Anonymous: anonymous && len(demands) > 0, Target: item.Target, Task: item.Task})
}

// noteAll copies a public fact onto demands (R11).
func (r *reaction) noteAll(ids []stream.ID, state string, unit orgs.UnitCode, summary sealed.Public, about stream.ID) {
	for _, id := range ids {
		if r.Demand(id).Phase == demand.PhaseWithdrawn {
			continue
		}
		r.toDemand("R11", id, demand.NoteProgress{From: r.source(), State: state, Unit: unit, Summary: summary, Topic: about})
	}
}

func (r *reaction) order() {
	o, _ := r.After.(order.State)
	switch b := r.Body.(type) {
	case order.DemandAttached:
		r.noteAll([]stream.ID{b.Demand}, string(o.Phase), o.Lead, "", stream.ID{})
	case order.DemandDetached, order.ServedDemandReopened, order.CoUnitReported, order.CoUnitReleased, order.ExtensionRequested, order.ExtensionRefused,
		order.Reassigned, order.SupervisionIssued, order.SupervisionAnswered, order.DeadlineRecomputed, order.Rated,
		order.WarningRaised, order.ClockExpired: // what a unit owes is between it and its superiors, until it rises
	case order.Reported:
		r.noteAll(o.Demands, string(o.Phase), o.Lead, b.Summary, stream.ID{})
	default:
		r.noteAll(o.Demands, string(o.Phase), o.Lead, "", stream.ID{})
	}
	switch b := r.Body.(type) {
	case order.Reported: // R27
		if drawn, rate := r.Drawn(o); !drawn {
			r.toOrder("R27", r.id, order.PassVerification{Method: "sampled_out", Rate: rate})
		}
	case order.VerificationPassed:
		r.answer(r.demandsOf(o))
		if !r.awaited(o, stream.ID{}) { // R15
			r.toOrder("R15", r.id, order.Close{Cause: "no_demand"})
		}
	case order.DemandAttached:
		r.answer([]stream.ID{b.Demand})
	case order.DemandDetached:
		// Somebody took away what a demand waited for: the others may be done, or there may be none.
		r.answer([]stream.ID{b.Demand})
		if d := r.Demand(b.Demand); d.Phase == demand.PhaseInHandling && !mediated(d) && r.void(r.ordersOf(d)) {
			r.toDemand("R16", b.Demand, demand.ReturnToPool{Order: r.id, Cause: "order_cancelled"})
		}
		if o.Phase == order.PhaseVerified && !r.awaited(o, stream.ID{}) { // R14
			r.toOrder("R14", r.id, order.Close{Cause: "answered"})
		}
	case order.Cancelled:
		r.answer(r.demandsOf(o))
		r.sendBack(o)
		r.readyToConclude(o)
	case order.Closed:
		r.readyToConclude(o)
	case order.Signed, order.Contacted, order.ContactNotRequired, order.ReturnRefused, order.ReturnApproved,
		order.Redispatched, order.Resumed, order.VerificationFailed, order.ReworkOrdered, order.Reopened:
		r.cancelOrphan(o) // R19, tried again
	}
	switch r.Body.(type) {
	case order.Dispatched, order.Redispatched, order.Reassigned, order.ReworkOrdered, order.Reopened:
		// R21: it came to a grid that was given up while it was on its way, or while it owed no work.
		if lead := orgs.GridCode(o.Lead); lead.Valid() && holder(o) != "" {
			plan := r.Grids(lead.Community())
			if g, drawn := plan.Grid(lead); drawn && g.Retired {
				r.handOver(o.ID, lead, plan)
			}
		}
	}
}

// grids hands over the orders that a grid holds when it is given up, or when who worked them leaves or is covered for (R21).
func (r *reaction) grids() {
	after, _ := r.After.(orgs.GridsState)
	before, _ := r.Before.(orgs.GridsState)
	switch b := r.Body.(type) {
	case orgs.GridRetired:
		r.giveUp(b.Grid, after)
	case orgs.GridSplit:
		r.giveUp(b.Grid, after)
	case orgs.GridMerged:
		for _, g := range b.Grids {
			r.giveUp(g, after)
		}
	case orgs.ActingWorkerAppointed: // acting cover takes over what the absent lead, or whoever acted before, had in hand (AB 岗)
		was, _ := before.Grid(b.Grid)
		r.cover(b.Grid, b.Worker, "由代理网格员接办", func(o order.State) bool {
			return o.Worker == "" || o.Worker == was.Lead || o.Worker == was.Acting
		})
	case orgs.GridWorkerRelieved:
		was, _ := before.Grid(b.Grid)
		g, _ := after.Grid(b.Grid)
		switch answers := cmp.Or(g.Acting, g.Lead); {
		case g.Lead == "" && g.Acting == "" && (was.Lead != "" || was.Acting != ""):
			r.giveUp(b.Grid, after)
		case was.Lead == b.Worker: // all of it, whoever had it in hand: nobody but the acting worker answers for the grid
			r.cover(b.Grid, answers, "网格员离岗，由代理网格员接办", func(order.State) bool { return true })
		case answers != "":
			r.cover(b.Grid, answers, "网格员离岗，由在岗网格员接办", func(o order.State) bool { return o.Worker == b.Worker })
		}
	}
}

// giveUp hands over every order that a grid holds.
func (r *reaction) giveUp(g orgs.GridCode, plan orgs.GridsState) {
	for _, id := range r.Held(g.Unit()) {
		r.handOver(id, g, plan)
	}
}

// handOver gives an order to the grid that continues g, or to the community if none does.
func (r *reaction) handOver(id stream.ID, g orgs.GridCode, plan orgs.GridsState) {
	to, reason := g.Community(), sealed.Public("网格无人负责，转由社区接办")
	if heir := plan.Heir(g); heir != "" && heir != g {
		to, reason = heir.Unit(), "网格重新划分，转由承接网格办理"
	}
	r.toOrder("R21", id, order.Reassign{Held: g.Unit(), Lead: to, Reason: reason})
}

// cover puts the orders of a grid that fit into one worker's hands.
func (r *reaction) cover(g orgs.GridCode, worker string, reason sealed.Public, fits func(order.State) bool) {
	for _, id := range r.Held(g.Unit()) {
		if o := r.Order(id); o.Worker != worker && fits(o) {
			r.toOrder("R21", id, order.Reassign{Held: g.Unit(), Worker: worker, Reason: reason})
		}
	}
}

// answer answers each demand all of whose orders are done (R12), with what the last report to pass says.
func (r *reaction) answer(ids []stream.ID) {
	for _, id := range ids {
		d := r.Demand(id)
		if d.Phase != demand.PhaseInHandling {
			continue
		}
		var last order.State
		done := true
		for _, oid := range r.ordersOf(d) {
			switch o := r.Order(oid); o.Phase {
			case order.PhaseVerified, order.PhaseClosed:
				if last.ID.IsZero() || o.VerifiedAt.After(last.VerifiedAt) {
					last = o
				}
			case order.PhaseCancelled:
			case "": // the gate kept it from being dispatched
			default:
				done = false
			}
		}
		if !done || last.ID.IsZero() {
			continue
		}
		r.toDemand("R12", id, demand.Answer{Outcome: demand.Outcome(last.Report.Outcome), Summary: last.Report.Summary,
			From: demand.Source{Stream: stream.Of(stream.Order, last.ID), Revision: last.Report.Revision,
				Event: last.Report.Event, Type: order.Reported{}.EventType()}})
	}
}

// sendBack returns topics and demands that the cancelled order leaves with nothing (R16).
func (r *reaction) sendBack(o order.State) {
	var returned []stream.ID
	for _, id := range r.Topics(o.ID) {
		if t := r.Topic(id); t.Phase == topic.PhaseHandling && r.void(t.CycleOrders) {
			returned = append(returned, id)
			r.toTopic("R16", id, topic.Return{Reason: "办题单已全部撤销"})
		}
	}
	for _, id := range r.demandsOf(o) {
		d := r.Demand(id)
		if d.Phase == demand.PhaseInHandling && r.void(r.ordersOf(d)) && !slices.Contains(returned, d.Topic) {
			r.toDemand("R16", id, demand.ReturnToPool{Order: o.ID, Cause: "order_cancelled"})
		}
	}
}

// void reports whether none of the orders was ever dispatched and not cancelled.
func (r *reaction) void(orders []stream.ID) bool {
	return !slices.ContainsFunc(orders, func(id stream.ID) bool {
		p := r.Order(id).Phase
		return p != order.PhaseCancelled && p != ""
	})
}

// readyToConclude starts the clock of concluding when the last order of a cycle ended and one was closed (R26).
func (r *reaction) readyToConclude(o order.State) {
	for _, id := range r.Topics(o.ID) {
		t := r.Topic(id)
		closed := false
		over := !slices.ContainsFunc(t.CycleOrders, func(id stream.ID) bool {
			p := r.Order(id).Phase
			closed = closed || p == order.PhaseClosed
			return p != order.PhaseClosed && p != order.PhaseCancelled && p != ""
		})
		if t.Phase == topic.PhaseHandling && over && closed {
			r.toTopic("R26", id, topic.MarkReadyToConclude{})
		}
	}
}

// dispute answers the demand when mediation ends (R18).
func (r *reaction) dispute() {
	d, _ := r.After.(dispute.State)
	answer := demand.Answer{From: r.source()}
	switch b := r.Body.(type) {
	case dispute.MediationSucceeded:
		answer.Outcome, answer.Summary = demand.Resolved, b.Summary
	case dispute.ReferredOut, dispute.Withdrawn:
		answer.Outcome = demand.Explained
	default:
		return
	}
	// An agreement may be broken long after the demand took another way: its later steps answer nothing.
	if waits := r.Demand(d.Demand); mediated(waits) && waits.Dispute == r.id {
		r.toDemand("R18", d.Demand, answer)
	}
}

// whistle tells the demand that it names where it stands (R11). The cards are about the units, not about the demand.
func (r *reaction) whistle() {
	w, _ := r.After.(whistle.State)
	if w.Demand.IsZero() {
		return
	}
	before, _ := r.Before.(whistle.State)
	switch b := r.Body.(type) {
	case whistle.Blown:
		r.noteAll([]stream.ID{w.Demand}, string(w.Phase), w.Street, b.Task, stream.ID{})
	case whistle.UnitReportedIn:
		if before.Phase != w.Phase { // the first that comes
			r.noteAll([]stream.ID{w.Demand}, string(w.Phase), b.Unit, "", stream.ID{})
		}
	case whistle.Concluded:
		r.noteAll([]stream.ID{w.Demand}, string(w.Phase), w.Street, b.Outcome, stream.ID{})
	case whistle.Cancelled:
		r.noteAll([]stream.ID{w.Demand}, string(w.Phase), w.Street, b.Reason, stream.ID{})
	}
}

// admission sends an adopted plan back to deliberation when what it needs is not admitted (R20). A topic that has gone
// further, or never came so far, is not touched: what it hands over passes the gate or does not.
func (r *reaction) admission() {
	a, _ := r.After.(admission.State)
	switch r.Body.(type) {
	case admission.Refused, admission.Revoked:
		if !a.Topic.IsZero() && r.Topic(a.Topic).Phase == topic.PhaseAdopted {
			r.toTopic("R20", a.Topic, topic.RefuseAdmission{Reason: a.Reason, Admission: r.id})
		}
	}
}

// timed are the streams whose clocks a notice may move.
var timed = []stream.Category{stream.Demand, stream.Topic, stream.Order, stream.Dispute, stream.Whistle, stream.Admission}

// calendar settles what waited for a notice (R24): on each stream, once, everything that is provisional there. What the notice
// does not reach decides nothing, and goes on waiting. It costs the streams that wait.
func (r *reaction) calendar() {
	b, published := r.Body.(policy.CalendarPublished)
	if !published {
		return
	}
	reason := sealed.Public(fmt.Sprintf("%d 年放假通知已发布，时限按通知重算", b.Year))
	if b.Correction {
		reason = sealed.Public(fmt.Sprintf("%d 年放假通知已更正，时限按通知重算", b.Year))
	}
	for _, c := range timed {
		for _, id := range r.Unsettled(c) {
			n := stream.Of(c, id)
			r.settle(n, event.Provisional(r.State(n)), reason)
		}
	}
}

// overtaken settles what was counted with an older calendar than the one in force (R24): the notice was in the log already,
// and whoever decided had not followed it yet.
func (r *reaction) overtaken() {
	was := event.Provisional(r.Before)
	late := slices.DeleteFunc(event.Provisional(r.After), func(d calendar.Due) bool {
		return slices.ContainsFunc(was, func(x calendar.Due) bool { return x.ID == d.ID })
	})
	if len(late) == 0 {
		return
	}
	now := r.Calendar()
	late = slices.DeleteFunc(late, func(d calendar.Due) bool { return now == "" || d.Calendar == now })
	r.settle(r.Stream, late, "放假通知已发布，时限按现行日历重算")
}

// settle counts due instants of one stream anew, in one append.
func (r *reaction) settle(n stream.Name, ds []calendar.Due, reason sealed.Public) {
	var commands []any
	for _, d := range ds {
		switch n.Category() {
		case stream.Demand:
			commands = append(commands, demand.RecomputeDeadline{ID: d.ID, Reason: reason})
		case stream.Topic:
			commands = append(commands, topic.RecomputeDeadline{ID: d.ID, Reason: reason})
		case stream.Order:
			commands = append(commands, order.RecomputeDeadline{ID: d.ID, Reason: reason})
		case stream.Dispute:
			commands = append(commands, dispute.RecomputeDeadline{ID: d.ID, Reason: reason})
		case stream.Whistle:
			commands = append(commands, whistle.RecomputeDeadline{ID: d.ID, Reason: reason})
		case stream.Admission:
			commands = append(commands, admission.RecomputeDeadline{ID: d.ID, Reason: reason})
		}
	}
	if len(commands) > 0 {
		r.send("R24", n, commands...)
	}
}
