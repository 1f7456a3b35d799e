package admission

import (
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Phase is where a request stands.
type Phase string

// The states of a request.
const (
	PhaseRequested Phase = "requested" // 已申请
	PhaseReviewing Phase = "reviewing" // 审查中
	PhaseGranted   Phase = "granted"   // 已准入
	PhaseRefused   Phase = "refused"   // 不予准入
	PhaseWithdrawn Phase = "withdrawn" // 已撤回
	PhaseRevoked   Phase = "revoked"   // 已撤销
	PhaseExpired   Phase = "expired"   // 已到期
)

// Terminal reports whether no clock runs in the state.
func (p Phase) Terminal() bool {
	return p == PhaseRefused || p == PhaseWithdrawn || p == PhaseRevoked || p == PhaseExpired
}

// undecided are the states in which somebody owes an answer.
var undecided = []Phase{PhaseRequested, PhaseReviewing}

// Machine is the whole table of a request. [orgs.System] is the clock. Silence never grants: when the time for the answer
// is over, the request rises to the next level and stays what it was (rule E5).
var Machine = rule.Machine[Phase]{
	Name:     "admission",
	States:   []Phase{PhaseRequested, PhaseReviewing, PhaseGranted, PhaseRefused, PhaseWithdrawn, PhaseRevoked, PhaseExpired},
	Terminal: []Phase{PhaseRefused, PhaseWithdrawn, PhaseRevoked, PhaseExpired},
	Rows: []rule.Row[Phase]{
		{ID: "A1", To: PhaseRequested, Command: "request", Event: "admission-requested",
			Actors: []orgs.Role{orgs.UnitHead}},
		{ID: "A2", From: []Phase{PhaseRequested}, To: PhaseReviewing, Command: "open-review", Event: "admission-review-opened",
			Actors: []orgs.Role{orgs.AdmissionOfficer}},
		{ID: "A3", From: undecided, To: PhaseWithdrawn, Command: "withdraw", Event: "admission-withdrawn",
			Actors: []orgs.Role{orgs.UnitHead}},
		{ID: "A4", From: []Phase{PhaseReviewing}, To: PhaseGranted, Command: "grant", Event: "admission-granted",
			Actors: []orgs.Role{orgs.AdmissionOfficer}, Second: orgs.AdmissionOfficer},
		{ID: "A5", From: []Phase{PhaseReviewing}, To: PhaseRefused, Command: "refuse", Event: "admission-refused",
			Actors: []orgs.Role{orgs.AdmissionOfficer}},
		{ID: "A6", From: []Phase{PhaseGranted}, To: PhaseRevoked, Command: "revoke", Event: "admission-revoked",
			Actors: []orgs.Role{orgs.AdmissionOfficer}},
		{ID: "A7", From: []Phase{PhaseGranted}, To: PhaseExpired, Command: "expire", Event: "admission-expired",
			Actors: []orgs.Role{orgs.System}},
	},
	Notes: []rule.Note[Phase]{
		{Command: "record-opinion", Event: "street-opinion-recorded", In: []Phase{PhaseReviewing},
			Actors: []orgs.Role{orgs.StreetLeader, orgs.CommunitySecretary}},
		{Command: "record-funding", Event: "admission-funded", In: []Phase{PhaseGranted}, Actors: []orgs.Role{orgs.AdmissionOfficer}},
		{Command: "recompute-deadline", Event: "admission-deadline-recomputed", In: undecided, Actors: []orgs.Role{orgs.Arbiter, orgs.System}},
		{Command: "raise-warning", Event: "admission-warning-raised", In: []Phase{PhaseRequested, PhaseReviewing, PhaseGranted},
			Actors: []orgs.Role{orgs.System}},
		{Command: "expire-clock", Event: "admission-clock-expired", In: undecided, Actors: []orgs.Role{orgs.System}},
	},
}
