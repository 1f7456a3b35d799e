package order

import (
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Phase is where an order stands.
type Phase string

// The states of an order.
const (
	PhaseDispatched    Phase = "dispatched"     // 待签收
	PhaseSigned        Phase = "signed"         // 已签收
	PhaseHandling      Phase = "handling"       // 办理中
	PhaseReturnPending Phase = "return_pending" // 退单待审
	PhaseReturned      Phase = "returned"       // 待重派
	PhaseSuspended     Phase = "suspended"      // 挂账
	PhaseReported      Phase = "reported"       // 待核查
	PhaseVerified      Phase = "verified"       // 核查通过
	PhaseClosed        Phase = "closed"         // 结案
	PhaseCancelled     Phase = "cancelled"      // 撤单
)

// Terminal reports whether no clock runs in the state.
func (p Phase) Terminal() bool { return p == PhaseClosed || p == PhaseCancelled }

// Live reports whether somebody still owes work: the order exists and is neither verified nor ended.
func (p Phase) Live() bool { return p != "" && p != PhaseVerified && !p.Terminal() }

var (
	live = []Phase{PhaseDispatched, PhaseSigned, PhaseHandling, PhaseReturnPending, PhaseReturned, PhaseSuspended, PhaseReported}
	// A supervision may outlast the verification; its account is still owed then.
	supervised   = append(live[:len(live):len(live)], PhaseVerified)
	notCancelled = append(supervised[:len(supervised):len(supervised)], PhaseClosed)
	handling     = []Phase{PhaseHandling}
	// The handling clock runs, and its time may be held against the unit (rule I4).
	working = []Phase{PhaseDispatched, PhaseSigned, PhaseHandling}

	// lead holds the roles in which somebody acts for the lead unit; guards ask for the unit.
	lead = []orgs.Role{orgs.Handler, orgs.UnitHead, orgs.GridWorker, orgs.GridSecretary, orgs.Clerk,
		orgs.CommunitySecretary, orgs.Dispatcher, orgs.Mediator}
	// leaders holds the roles that lead a unit; guards ask that it is the dispatching one.
	leaders = []orgs.Role{orgs.StreetLeader, orgs.CommunitySecretary, orgs.UnitHead}
)

// with returns the roles and some more.
func with(roles []orgs.Role, more ...orgs.Role) []orgs.Role {
	return append(roles[:len(roles):len(roles)], more...)
}

// The variants of a refused return: what the unit had done before it asked.
const (
	beforeContact = "before contact"
	afterContact  = "after contact"
)

// Machine is the whole table of an order.
var Machine = rule.Machine[Phase]{
	Name:     "order",
	States:   append(notCancelled[:len(notCancelled):len(notCancelled)], PhaseCancelled),
	Terminal: []Phase{PhaseClosed, PhaseCancelled},
	Rows: []rule.Row[Phase]{
		{ID: "O1", To: PhaseDispatched, Command: "dispatch", Event: "order-dispatched",
			Actors: []orgs.Role{orgs.Clerk, orgs.CommunitySecretary, orgs.Dispatcher, orgs.System}},
		{ID: "O2", From: []Phase{PhaseDispatched}, To: PhaseSigned, Command: "sign", Event: "order-signed", Actors: lead},
		{ID: "O3", From: []Phase{PhaseDispatched, PhaseSigned, PhaseHandling}, To: PhaseReturnPending, Command: "request-return", Event: "return-requested", Actors: lead},
		{ID: "O4", From: []Phase{PhaseSigned}, To: PhaseHandling, Command: "record-contact", Event: "resident-contacted", Actors: lead},
		{ID: "O5", From: []Phase{PhaseSigned}, To: PhaseHandling, Command: "waive-contact", Event: "contact-not-required", Actors: lead},
		{ID: "O6", From: []Phase{PhaseReturnPending}, To: PhaseSigned, Command: "refuse-return", Event: "return-refused", Variant: beforeContact,
			Actors: []orgs.Role{orgs.Dispatcher, orgs.Arbiter}},
		{ID: "O7", From: []Phase{PhaseReturnPending}, To: PhaseHandling, Command: "refuse-return", Event: "return-refused", Variant: afterContact,
			Actors: []orgs.Role{orgs.Dispatcher, orgs.Arbiter}},
		{ID: "O8", From: []Phase{PhaseReturnPending}, To: PhaseReturned, Command: "approve-return", Event: "return-approved",
			Actors: []orgs.Role{orgs.Dispatcher, orgs.Arbiter}},
		{ID: "O9", From: []Phase{PhaseReturned}, To: PhaseDispatched, Command: "redispatch", Event: "order-redispatched",
			Actors: []orgs.Role{orgs.Dispatcher, orgs.Arbiter}},
		{ID: "O10", From: handling, To: PhaseSuspended, Command: "suspend", Event: "order-suspended", Actors: lead},
		{ID: "O11", From: []Phase{PhaseSuspended}, To: PhaseHandling, Command: "resume", Event: "order-resumed",
			Actors: with(lead, orgs.StreetLeader, orgs.System)},
		{ID: "O12", From: handling, To: PhaseReported, Command: "report-handling", Event: "handling-reported", Actors: lead},
		{ID: "O13", From: []Phase{PhaseReported}, To: PhaseVerified, Command: "pass-verification", Event: "verification-passed",
			Actors: []orgs.Role{orgs.Verifier, orgs.Resident, orgs.System}},
		{ID: "O14", From: []Phase{PhaseReported}, To: PhaseHandling, Command: "fail-verification", Event: "verification-failed",
			Actors: []orgs.Role{orgs.Verifier}},
		{ID: "O15", From: []Phase{PhaseVerified}, To: PhaseClosed, Command: "close", Event: "order-closed",
			Actors: []orgs.Role{orgs.System}},
		{ID: "O16", From: []Phase{PhaseVerified}, To: PhaseHandling, Command: "order-rework", Event: "rework-ordered",
			Actors: with(leaders, orgs.System)},
		{ID: "O17", From: []Phase{PhaseClosed}, To: PhaseHandling, Command: "reopen", Event: "order-reopened",
			Actors: with(leaders, orgs.System)},
		{ID: "O18", From: []Phase{PhaseDispatched, PhaseSigned, PhaseReturned, PhaseHandling, PhaseSuspended}, To: PhaseCancelled, Command: "cancel", Event: "order-cancelled",
			Actors: []orgs.Role{orgs.Dispatcher, orgs.System}},
	},
	Notes: []rule.Note[Phase]{
		{Command: "report-co-unit", Event: "co-unit-reported", In: handling, Actors: lead},
		{Command: "release-co-unit", Event: "co-unit-released", In: handling, Actors: lead},
		{Command: "request-extension", Event: "extension-requested", In: handling, Actors: lead},
		{Command: "grant-extension", Event: "extension-granted", In: handling, Actors: leaders},
		{Command: "refuse-extension", Event: "extension-refused", In: handling, Actors: with(leaders, orgs.System)},
		{Command: "attach-demand", Event: "demand-attached", In: notCancelled, Actors: []orgs.Role{orgs.Dispatcher, orgs.System}},
		{Command: "detach-demand", Event: "demand-detached", In: notCancelled, Actors: []orgs.Role{orgs.Dispatcher, orgs.System}},
		{Command: "note-demand-reopened", Event: "served-demand-reopened", In: notCancelled, Actors: []orgs.Role{orgs.System}},
		{Command: "reassign", Event: "order-reassigned", In: live, Actors: []orgs.Role{orgs.UnitHead, orgs.System}},
		{Command: "issue-supervision", Event: "supervision-issued", In: live, Actors: []orgs.Role{orgs.Supervisor, orgs.StreetLeader, orgs.Arbiter}},
		{Command: "answer-supervision", Event: "supervision-answered", In: supervised, Actors: lead},
		{Command: "raise-warning", Event: "order-warning-raised", In: supervised, Actors: []orgs.Role{orgs.System}},
		{Command: "expire-clock", Event: "order-clock-expired", In: supervised, Actors: []orgs.Role{orgs.System}},
		{Command: "escalate", Event: "order-escalated", In: working, Actors: []orgs.Role{orgs.System}},
		{Command: "rate", Event: "order-rated", In: []Phase{PhaseClosed}, Actors: []orgs.Role{orgs.StreetLeader}},
		{Command: "recompute-deadline", Event: "deadline-recomputed", In: supervised, Actors: []orgs.Role{orgs.Arbiter, orgs.System}},
	},
}
