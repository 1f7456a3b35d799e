package demand

import (
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Phase is where a demand stands.
type Phase string

// The states of a demand.
const (
	PhaseRaised     Phase = "raised"      // 已点题
	PhaseAccepted   Phase = "accepted"    // 已受理
	PhaseInTopic    Phase = "in_topic"    // 议题中
	PhaseInHandling Phase = "in_handling" // 办题中
	PhaseAnswered   Phase = "answered"    // 已答复
	PhaseClosed     Phase = "closed"      // 已办结
	PhaseDeclined   Phase = "declined"    // 不予受理
	PhaseRedirected Phase = "redirected"  // 已转出
	PhaseWithdrawn  Phase = "withdrawn"   // 已撤回
)

// Stage is the part of the journey that a resident sees: 点题, 议题, 办题, done.
type Stage string

// The stages.
const (
	StageRaised   Stage = "raised"
	StageTopic    Stage = "topic"
	StageHandling Stage = "handling"
	StageDone     Stage = "done"
)

// Stage returns the stage that a state belongs to.
func (p Phase) Stage() Stage {
	switch p {
	case PhaseRaised, PhaseAccepted:
		return StageRaised
	case PhaseInTopic:
		return StageTopic
	case PhaseInHandling:
		return StageHandling
	}
	return StageDone
}

// Terminal reports whether no clock runs in the state.
func (p Phase) Terminal() bool {
	return p == PhaseClosed || p == PhaseDeclined || p == PhaseRedirected || p == PhaseWithdrawn
}

var (
	open    = []Phase{PhaseRaised, PhaseAccepted, PhaseInTopic, PhaseInHandling, PhaseAnswered}
	working = []Phase{PhaseAccepted, PhaseInTopic, PhaseInHandling}
	noted   = []Phase{PhaseRaised, PhaseAccepted, PhaseInTopic, PhaseInHandling, PhaseAnswered, PhaseClosed, PhaseDeclined, PhaseRedirected}
)

// Machine is the whole table of a demand.
var Machine = rule.Machine[Phase]{
	Name:     "demand",
	States:   append(open[:len(open):len(open)], PhaseClosed, PhaseDeclined, PhaseRedirected, PhaseWithdrawn),
	Terminal: []Phase{PhaseClosed, PhaseDeclined, PhaseRedirected, PhaseWithdrawn},
	Rows: []rule.Row[Phase]{
		{ID: "D1", To: PhaseRaised, Command: "raise", Event: "demand-raised",
			Actors: []orgs.Role{orgs.Resident, orgs.GridWorker, orgs.Clerk, orgs.Channel, orgs.System}},
		{ID: "D2", From: []Phase{PhaseRaised}, To: PhaseAccepted, Command: "accept", Event: "demand-accepted",
			Actors: []orgs.Role{orgs.Clerk}},
		{ID: "D3", From: []Phase{PhaseRaised}, To: PhaseAnswered, Command: "answer-on-the-spot", Event: "demand-answered-on-the-spot",
			Actors: []orgs.Role{orgs.Clerk, orgs.GridWorker}},
		{ID: "D4", From: []Phase{PhaseRaised}, To: PhaseDeclined, Command: "decline", Event: "demand-declined",
			Actors: []orgs.Role{orgs.Clerk}, Second: orgs.CommunitySecretary},
		{ID: "D5", From: []Phase{PhaseRaised, PhaseAccepted}, To: PhaseRedirected, Command: "redirect", Event: "demand-redirected",
			Actors: []orgs.Role{orgs.Clerk}},
		{ID: "D6", From: []Phase{PhaseRaised, PhaseAccepted, PhaseInTopic, PhaseInHandling}, To: PhaseWithdrawn, Command: "withdraw", Event: "demand-withdrawn",
			Actors: []orgs.Role{orgs.Resident, orgs.Clerk, orgs.GridWorker, orgs.Channel}},
		{ID: "D7", From: []Phase{PhaseAccepted}, To: PhaseInTopic, Command: "link-to-topic", Event: "demand-linked-to-topic",
			Actors: []orgs.Role{orgs.Clerk, orgs.Convenor, orgs.System}},
		{ID: "D8", From: []Phase{PhaseAccepted}, To: PhaseInHandling, Command: "fast-track", Event: "demand-fast-tracked",
			Actors: []orgs.Role{orgs.Clerk, orgs.Dispatcher}},
		{ID: "D9", From: []Phase{PhaseInTopic}, To: PhaseAccepted, Command: "unlink-from-topic", Event: "demand-unlinked-from-topic",
			Actors: []orgs.Role{orgs.Clerk, orgs.System}},
		{ID: "D10", From: []Phase{PhaseInTopic}, To: PhaseInHandling, Command: "enter-handling", Event: "demand-entered-handling",
			Actors: []orgs.Role{orgs.System}},
		{ID: "D11", From: []Phase{PhaseInTopic}, To: PhaseAnswered, Command: "answer", Event: "demand-answered",
			Actors: []orgs.Role{orgs.System}},
		{ID: "D12", From: []Phase{PhaseInHandling}, To: PhaseAnswered, Command: "answer", Event: "demand-answered",
			Actors: []orgs.Role{orgs.System}},
		{ID: "D13", From: []Phase{PhaseInHandling}, To: PhaseInTopic, Command: "return-to-topic", Event: "demand-returned-to-topic",
			Actors: []orgs.Role{orgs.System}},
		{ID: "D14", From: []Phase{PhaseInHandling}, To: PhaseAccepted, Command: "return-to-pool", Event: "demand-returned-to-pool",
			Actors: []orgs.Role{orgs.System}},
		{ID: "D15", From: []Phase{PhaseAnswered}, To: PhaseClosed, Command: "record-callback", Event: "callback-recorded", Variant: "close",
			Actors: []orgs.Role{orgs.CallbackAgent}},
		{ID: "D16", From: []Phase{PhaseAnswered}, To: PhaseInHandling, Command: "record-callback", Event: "callback-recorded", Variant: "rework",
			Actors: []orgs.Role{orgs.CallbackAgent}},
		{ID: "D17", From: []Phase{PhaseAnswered}, To: PhaseAccepted, Command: "record-callback", Event: "callback-recorded", Variant: "reconsider",
			Actors: []orgs.Role{orgs.CallbackAgent}},
		{ID: "D18", From: []Phase{PhaseAnswered}, To: PhaseClosed, Command: "waive-callback", Event: "callback-waived",
			Actors: []orgs.Role{orgs.CallbackAgent, orgs.System}},
		{ID: "D19", From: []Phase{PhaseClosed}, To: PhaseAccepted, Command: "reopen", Event: "demand-reopened",
			Actors: []orgs.Role{orgs.Resident, orgs.CallbackAgent, orgs.Clerk}},
		{ID: "D20", From: []Phase{PhaseDeclined}, To: PhaseRaised, Command: "uphold-appeal", Event: "decline-appeal-upheld",
			Actors: []orgs.Role{orgs.Dispatcher}},
	},
	Notes: []rule.Note[Phase]{
		{Command: "supplement", Event: "demand-supplemented", In: open, Actors: []orgs.Role{orgs.Resident, orgs.Clerk, orgs.Channel}},
		{Command: "support", Event: "demand-supported", In: open, Actors: []orgs.Role{orgs.Resident, orgs.Clerk, orgs.GridWorker, orgs.Channel}},
		{Command: "reclassify", Event: "demand-reclassified", In: []Phase{PhaseRaised, PhaseAccepted, PhaseInTopic}, Actors: []orgs.Role{orgs.Clerk}},
		{Command: "relocate", Event: "demand-relocated", In: open, Actors: []orgs.Role{orgs.Clerk}},
		{Command: "split", Event: "demand-split", In: []Phase{PhaseAccepted}, Actors: []orgs.Role{orgs.Clerk}},
		{Command: "relate", Event: "demand-related", In: open, Actors: []orgs.Role{orgs.Clerk}},
		{Command: "file-appeal", Event: "decline-appeal-filed", In: []Phase{PhaseDeclined}, Actors: []orgs.Role{orgs.Resident, orgs.Channel, orgs.Clerk}},
		{Command: "reject-appeal", Event: "decline-appeal-rejected", In: []Phase{PhaseDeclined}, Actors: []orgs.Role{orgs.Dispatcher}},
		{Command: "urge", Event: "urging-received", In: working, Actors: []orgs.Role{orgs.Resident, orgs.Channel, orgs.Clerk}},
		{Command: "recompute-deadline", Event: "demand-deadline-recomputed", In: open, Actors: []orgs.Role{orgs.Arbiter, orgs.System}},
		{Command: "record-callback-attempt", Event: "callback-attempted", In: []Phase{PhaseAnswered}, Actors: []orgs.Role{orgs.CallbackAgent}},
		{Command: "rerate", Event: "satisfaction-rerated", In: []Phase{PhaseClosed}, Actors: []orgs.Role{orgs.Resident, orgs.CallbackAgent, orgs.Channel}},
		{Command: "note-progress", Event: "demand-progress-noted", In: noted, Actors: []orgs.Role{orgs.System}},
		{Command: "raise-warning", Event: "demand-warning-raised", In: open, Actors: []orgs.Role{orgs.System}},
		{Command: "expire-clock", Event: "demand-clock-expired", In: open, Actors: []orgs.Role{orgs.System}},
	},
}
