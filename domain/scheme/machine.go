package scheme

import (
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Phase is where a scheme stands.
type Phase string

// The states of a scheme.
const (
	PhaseDraft     Phase = "draft"     // 草案
	PhasePublished Phase = "published" // 已发布
	PhaseDiscarded Phase = "discarded" // 已废弃
	PhaseRetired   Phase = "retired"   // 已停用
)

// Terminal reports whether nothing is done with the scheme any more.
func (p Phase) Terminal() bool { return p == PhaseDiscarded || p == PhaseRetired }

var office = []orgs.Role{orgs.Evaluator}

// Machine is the whole table of a scheme.
var Machine = rule.Machine[Phase]{
	Name:     "scheme",
	States:   []Phase{PhaseDraft, PhasePublished, PhaseDiscarded, PhaseRetired},
	Terminal: []Phase{PhaseDiscarded, PhaseRetired},
	Rows: []rule.Row[Phase]{
		{ID: "S1", To: PhaseDraft, Command: "draft", Event: "scheme-drafted", Actors: office},
		{ID: "S2", From: []Phase{PhaseDraft}, To: PhaseDraft, Command: "amend", Event: "scheme-amended", Actors: office},
		{ID: "S3", From: []Phase{PhaseDraft}, To: PhasePublished, Command: "publish", Event: "scheme-published", Actors: office, Second: orgs.Evaluator},
		{ID: "S4", From: []Phase{PhaseDraft}, To: PhaseDiscarded, Command: "discard", Event: "scheme-discarded", Actors: office},
		{ID: "S5", From: []Phase{PhasePublished}, To: PhaseRetired, Command: "retire", Event: "scheme-retired", Actors: office},
	},
}
