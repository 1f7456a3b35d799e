package topic

import (
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Phase is where a topic stands.
type Phase string

// The states of a topic.
const (
	PhaseProposed     Phase = "proposed"     // 拟题
	PhaseDeliberating Phase = "deliberating" // 议事中
	PhaseVoting       Phase = "voting"       // 表决中
	PhaseDeferred     Phase = "deferred"     // 缓议
	PhaseAdopted      Phase = "adopted"      // 已采纳
	PhaseHandling     Phase = "handling"     // 办题中
	PhaseConcluded    Phase = "concluded"    // 已公示办结
	PhaseRejected     Phase = "rejected"     // 不采纳
	PhaseMerged       Phase = "merged"       // 并题
	PhaseDropped      Phase = "dropped"      // 撤题
)

// Terminal reports whether no clock runs in the state. Only a concluded topic can be taken up again (T15).
func (p Phase) Terminal() bool {
	return p == PhaseConcluded || p == PhaseRejected || p == PhaseMerged || p == PhaseDropped
}

var (
	live     = []Phase{PhaseProposed, PhaseDeliberating, PhaseVoting, PhaseDeferred, PhaseAdopted, PhaseHandling}
	counted  = []Phase{PhaseProposed, PhaseDeliberating, PhaseVoting, PhaseAdopted, PhaseHandling} // a clock runs that no one named the end of
	terminal = []Phase{PhaseConcluded, PhaseRejected, PhaseMerged, PhaseDropped}
	all      = append(live[:len(live):len(live)], terminal...)

	// deciders decide for the topic's unit: its secretary, or for a street's topic its leader too ([State.decider]).
	deciders = []orgs.Role{orgs.CommunitySecretary, orgs.StreetLeader}
)

// Machine is the whole table of a topic.
var Machine = rule.Machine[Phase]{
	Name:     "topic",
	States:   all,
	Terminal: terminal,
	Rows: []rule.Row[Phase]{
		{ID: "T1", To: PhaseProposed, Command: "propose", Event: "topic-proposed",
			Actors: []orgs.Role{orgs.Clerk, orgs.Convenor, orgs.Resident}},
		{ID: "T2", From: []Phase{PhaseProposed, PhaseDeferred}, To: PhaseDeliberating, Command: "open-deliberation", Event: "deliberation-opened",
			Actors: []orgs.Role{orgs.Convenor}},
		{ID: "T3", From: []Phase{PhaseProposed, PhaseDeliberating}, To: PhaseMerged, Command: "merge", Event: "topic-merged-into",
			Actors: []orgs.Role{orgs.Convenor}},
		{ID: "T4", From: []Phase{PhaseProposed, PhaseDeliberating, PhaseDeferred}, To: PhaseDropped, Command: "drop", Event: "topic-dropped",
			Actors: []orgs.Role{orgs.Convenor}},
		{ID: "T5", From: []Phase{PhaseDeliberating}, To: PhaseVoting, Command: "open-vote", Event: "vote-opened",
			Actors: []orgs.Role{orgs.Convenor}},
		{ID: "T6", From: []Phase{PhaseVoting}, To: PhaseDeliberating, Command: "close-vote", Event: "vote-closed",
			Actors: []orgs.Role{orgs.Convenor, orgs.System}},
		{ID: "T7", From: []Phase{PhaseDeliberating}, To: PhaseAdopted, Command: "adopt", Event: "topic-adopted",
			Actors: deciders, Second: orgs.Convenor},
		{ID: "T8", From: []Phase{PhaseDeliberating}, To: PhaseRejected, Command: "reject", Event: "topic-rejected",
			Actors: deciders, Second: orgs.Convenor},
		{ID: "T9", From: []Phase{PhaseDeliberating}, To: PhaseDeferred, Command: "defer", Event: "topic-deferred",
			Actors: deciders, Second: orgs.Convenor},
		{ID: "T10", From: []Phase{PhaseAdopted}, To: PhaseDeliberating, Command: "refuse-admission", Event: "topic-admission-refused",
			Actors: []orgs.Role{orgs.System, orgs.AdmissionOfficer}},
		{ID: "T11", From: []Phase{PhaseAdopted}, To: PhaseHandling, Command: "hand-to-grid", Event: "topic-handed-to-grid",
			Actors: []orgs.Role{orgs.Dispatcher, orgs.CommunitySecretary}},
		{ID: "T12", From: []Phase{PhaseHandling}, To: PhaseHandling, Command: "add-order", Event: "order-added-to-topic",
			Actors: []orgs.Role{orgs.Dispatcher}},
		{ID: "T13", From: []Phase{PhaseHandling}, To: PhaseDeliberating, Command: "return", Event: "topic-returned",
			Actors: []orgs.Role{orgs.System, orgs.Dispatcher}},
		{ID: "T14", From: []Phase{PhaseHandling}, To: PhaseConcluded, Command: "conclude", Event: "topic-concluded",
			Actors: deciders},
		{ID: "T15", From: []Phase{PhaseConcluded}, To: PhaseDeliberating, Command: "reopen", Event: "topic-reopened",
			Actors: []orgs.Role{orgs.Convenor, orgs.StreetLeader}},
	},
	Notes: []rule.Note[Phase]{
		{Command: "hold-deliberation", Event: "deliberation-held", In: []Phase{PhaseDeliberating}, Actors: []orgs.Role{orgs.Convenor}},
		{Command: "publish-result", Event: "result-published", In: []Phase{PhaseHandling, PhaseConcluded}, Actors: deciders},
		{Command: "support", Event: "topic-supported", In: []Phase{PhaseProposed, PhaseDeliberating, PhaseVoting, PhaseDeferred},
			Actors: []orgs.Role{orgs.Resident, orgs.StairwellHead, orgs.BuildingHead, orgs.GridWorker, orgs.Clerk, orgs.Channel}},
		{Command: "note-demand-reopened", Event: "linked-demand-reopened", In: all, Actors: []orgs.Role{orgs.System}},
		{Command: "mark-ready-to-conclude", Event: "topic-ready-to-conclude", In: []Phase{PhaseHandling}, Actors: []orgs.Role{orgs.System}},
		{Command: "recompute-deadline", Event: "topic-deadline-recomputed", In: counted, Actors: []orgs.Role{orgs.Arbiter, orgs.System}},
		{Command: "raise-warning", Event: "topic-warning-raised", In: live, Actors: []orgs.Role{orgs.System}},
		{Command: "expire-clock", Event: "topic-clock-expired", In: live, Actors: []orgs.Role{orgs.System}},
	},
}
