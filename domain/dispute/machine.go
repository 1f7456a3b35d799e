package dispute

import (
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Phase is where a dispute stands.
type Phase string

// The states of a dispute.
const (
	PhaseOpened      Phase = "opened"       // 待受理
	PhaseMediating   Phase = "mediating"    // 调解中
	PhaseAgreed      Phase = "agreed"       // 已达成协议
	PhaseFailed      Phase = "failed"       // 调解不成
	PhaseFulfilled   Phase = "fulfilled"    // 已履行
	PhaseReferredOut Phase = "referred_out" // 已转外部
	PhaseEnded       Phase = "ended"        // 已撤回
)

// Terminal reports whether no clock runs in the state.
func (p Phase) Terminal() bool {
	return p == PhaseFulfilled || p == PhaseReferredOut || p == PhaseEnded
}

// unsettled are the states in which there is neither an agreement nor an end.
var unsettled = []Phase{PhaseOpened, PhaseMediating, PhaseFailed}

// limited are the states in which a clock runs.
var limited = []Phase{PhaseOpened, PhaseMediating, PhaseAgreed, PhaseFailed}

// Machine is the whole table of a dispute. [orgs.System] is the process manager in P1, P2, P4 and P8 — it
// carries over what was settled on the spot, and a withdrawn demand (rules R3, R19) — and the clock in P3, P5, P6 and P9.
var Machine = rule.Machine[Phase]{
	Name:     "dispute",
	States:   []Phase{PhaseOpened, PhaseMediating, PhaseAgreed, PhaseFailed, PhaseFulfilled, PhaseReferredOut, PhaseEnded},
	Terminal: []Phase{PhaseFulfilled, PhaseReferredOut, PhaseEnded},
	Rows: []rule.Row[Phase]{
		{ID: "P1", To: PhaseOpened, Command: "open", Event: "dispute-opened",
			Actors: []orgs.Role{orgs.System}},
		{ID: "P2", From: []Phase{PhaseOpened}, To: PhaseMediating, Command: "accept-mediation", Event: "mediation-accepted",
			Actors: []orgs.Role{orgs.Mediator, orgs.System}},
		{ID: "P3", From: []Phase{PhaseOpened}, To: PhaseFailed, Command: "decline-mediation", Event: "mediation-declined",
			Actors: []orgs.Role{orgs.Mediator, orgs.System}},
		{ID: "P4", From: []Phase{PhaseMediating}, To: PhaseAgreed, Command: "record-agreement", Event: "mediation-succeeded",
			Actors: []orgs.Role{orgs.Mediator, orgs.System}},
		{ID: "P5", From: []Phase{PhaseMediating}, To: PhaseFailed, Command: "fail-mediation", Event: "mediation-failed",
			Actors: []orgs.Role{orgs.Mediator, orgs.System}},
		{ID: "P6", From: []Phase{PhaseFailed}, To: PhaseOpened, Command: "refer-up", Event: "dispute-referred-up",
			Actors: []orgs.Role{orgs.Mediator, orgs.System}},
		{ID: "P7", From: unsettled, To: PhaseReferredOut, Command: "refer-out", Event: "dispute-referred-out",
			Actors: []orgs.Role{orgs.Mediator}},
		{ID: "P8", From: unsettled, To: PhaseEnded, Command: "withdraw", Event: "dispute-withdrawn",
			Actors: []orgs.Role{orgs.Resident, orgs.System}},
		{ID: "P9", From: []Phase{PhaseAgreed}, To: PhaseFulfilled, Command: "record-fulfilment", Event: "agreement-fulfilled",
			Actors: []orgs.Role{orgs.Mediator, orgs.System}},
		{ID: "P10", From: []Phase{PhaseAgreed}, To: PhaseFailed, Command: "report-breach", Event: "agreement-breached",
			Actors: []orgs.Role{orgs.Resident, orgs.Mediator}},
	},
	Notes: []rule.Note[Phase]{
		{Command: "extend-rung", Event: "rung-extended", In: []Phase{PhaseMediating}, Actors: []orgs.Role{orgs.Mediator}},
		{Command: "recompute-deadline", Event: "dispute-deadline-recomputed", In: unsettled, Actors: []orgs.Role{orgs.Arbiter, orgs.System}},
		{Command: "raise-warning", Event: "dispute-warning-raised", In: limited, Actors: []orgs.Role{orgs.System}},
		{Command: "expire-clock", Event: "dispute-clock-expired", In: []Phase{PhaseFailed}, Actors: []orgs.Role{orgs.System}},
	},
}
