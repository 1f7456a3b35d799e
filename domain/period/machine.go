package period

import (
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Phase is where a period stands.
type Phase string

// The states of a period.
const (
	PhaseOpen        Phase = "open"        // 计量中
	PhaseRating      Phase = "rating"      // 评价中
	PhaseProvisional Phase = "provisional" // 预公示
	PhaseSealed      Phase = "sealed"      // 已封存
	PhaseVoided      Phase = "voided"      // 已作废
)

// Terminal reports whether no clock runs in the state. A sealed period still takes revisions, which leave it sealed.
func (p Phase) Terminal() bool { return p == PhaseSealed || p == PhaseVoided }

var (
	unsealed = []Phase{PhaseOpen, PhaseRating, PhaseProvisional}
	shown    = []Phase{PhaseProvisional}

	office = []orgs.Role{orgs.Evaluator}
	// asking holds the roles in which a street, or a unit that is assessed, asks that an item be left out.
	asking = []orgs.Role{orgs.Dispatcher, orgs.StreetLeader, orgs.Handler, orgs.UnitHead}
	// contesting holds the roles that object for a street or a unit: who answers for it.
	contesting = []orgs.Role{orgs.StreetLeader, orgs.UnitHead}
)

// Machine is the whole table of a period. [orgs.System] is the clock.
var Machine = rule.Machine[Phase]{
	Name:     "period",
	States:   []Phase{PhaseOpen, PhaseRating, PhaseProvisional, PhaseSealed, PhaseVoided},
	Terminal: []Phase{PhaseSealed, PhaseVoided},
	Rows: []rule.Row[Phase]{
		{ID: "Q1", To: PhaseOpen, Command: "open", Event: "period-opened", Actors: office},
		{ID: "Q2", From: []Phase{PhaseOpen}, To: PhaseRating, Command: "end", Event: "period-ended", Actors: []orgs.Role{orgs.System}},
		{ID: "Q3", From: []Phase{PhaseRating, PhaseProvisional}, To: PhaseProvisional, Command: "publish-provisional", Event: "provisional-published", Actors: office},
		{ID: "Q4", From: []Phase{PhaseProvisional}, To: PhaseSealed, Command: "seal", Event: "period-sealed", Actors: office, Second: orgs.Evaluator},
		{ID: "Q5", From: []Phase{PhaseSealed}, To: PhaseSealed, Command: "seal-revision", Event: "revision-sealed", Actors: office, Second: orgs.Evaluator},
		{ID: "Q6", From: unsealed, To: PhaseVoided, Command: "void", Event: "period-voided", Actors: office, Second: orgs.Evaluator},
	},
	Notes: []rule.Note[Phase]{
		{Command: "request-exclusion", Event: "exclusion-requested", In: unsealed, Actors: asking},
		{Command: "approve-exclusion", Event: "exclusion-approved", In: unsealed, Actors: office},
		{Command: "refuse-exclusion", Event: "exclusion-refused", In: unsealed, Actors: office},
		{Command: "file-objection", Event: "objection-filed", In: shown, Actors: contesting},
		{Command: "uphold-objection", Event: "objection-upheld", In: shown, Actors: office},
		{Command: "reject-objection", Event: "objection-rejected", In: shown, Actors: office},
		{Command: "import-other-score", Event: "other-score-imported", In: unsealed, Actors: office},
		{Command: "record-figures", Event: "figures-recorded", In: []Phase{PhaseProvisional, PhaseSealed}, Actors: office},
		{Command: "raise-warning", Event: "period-warning-raised", In: []Phase{PhaseRating, PhaseProvisional}, Actors: []orgs.Role{orgs.System}},
		{Command: "expire-clock", Event: "period-clock-expired", In: []Phase{PhaseRating, PhaseProvisional}, Actors: []orgs.Role{orgs.System}},
	},
}
