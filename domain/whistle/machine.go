package whistle

import (
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Phase is where a whistle stands.
type Phase string

// The states of a whistle.
const (
	PhaseOpen      Phase = "open"      // 吹哨中
	PhaseOnSite    Phase = "on_site"   // 处置中
	PhaseConcluded Phase = "concluded" // 已了结
	PhaseScored    Phase = "scored"    // 已评价
	PhaseCancelled Phase = "cancelled" // 已撤哨
)

// Terminal reports whether no clock runs in the state.
func (p Phase) Terminal() bool { return p == PhaseScored || p == PhaseCancelled }

var (
	// underway are the states in which units are still waited for.
	underway = []Phase{PhaseOpen, PhaseOnSite}
	// unscored are the states in which a clock may run.
	unscored = []Phase{PhaseOpen, PhaseOnSite, PhaseConcluded}

	// desk holds the roles that command on behalf of the street; guards ask that it is the one that blew.
	desk = []orgs.Role{orgs.Dispatcher, orgs.StreetLeader}
	// arriving holds the roles in which somebody may enter an arrival: the street, or the unit with the street's
	// confirmation.
	arriving = []orgs.Role{orgs.Dispatcher, orgs.StreetLeader, orgs.Handler, orgs.UnitHead}
)

// Machine is the whole table of a whistle. [orgs.System] is the clock.
var Machine = rule.Machine[Phase]{
	Name:     "whistle",
	States:   []Phase{PhaseOpen, PhaseOnSite, PhaseConcluded, PhaseScored, PhaseCancelled},
	Terminal: []Phase{PhaseScored, PhaseCancelled},
	Rows: []rule.Row[Phase]{
		{ID: "W1", To: PhaseOpen, Command: "blow", Event: "whistle-blown", Actors: desk},
		{ID: "W2", From: []Phase{PhaseOpen}, To: PhaseOnSite, Command: "report-in", Event: "unit-reported-in", Actors: arriving},
		{ID: "W3", From: underway, To: PhaseConcluded, Command: "conclude", Event: "whistle-concluded", Actors: desk},
		{ID: "W4", From: []Phase{PhaseOpen}, To: PhaseCancelled, Command: "cancel", Event: "whistle-cancelled",
			Actors: []orgs.Role{orgs.StreetLeader}},
		{ID: "W5", From: []Phase{PhaseConcluded}, To: PhaseScored, Command: "score", Event: "whistle-scored",
			Actors: []orgs.Role{orgs.StreetLeader, orgs.System}},
	},
	Notes: []rule.Note[Phase]{
		{Command: "report-in", Event: "unit-reported-in", In: []Phase{PhaseOnSite}, Actors: arriving},
		{Command: "mark-absent", Event: "unit-absent", In: underway, Actors: []orgs.Role{orgs.System}},
		{Command: "excuse-unit", Event: "unit-excused", In: unscored, Actors: []orgs.Role{orgs.Arbiter}},
		{Command: "release-unit", Event: "unit-released", In: []Phase{PhaseOnSite}, Actors: desk},
		{Command: "rescore", Event: "whistle-rescored", In: []Phase{PhaseScored}, Actors: []orgs.Role{orgs.Evaluator}},
		{Command: "recompute-deadline", Event: "whistle-deadline-recomputed", In: unscored, Actors: []orgs.Role{orgs.Arbiter, orgs.System}},
		{Command: "raise-warning", Event: "whistle-warning-raised", In: unscored, Actors: []orgs.Role{orgs.System}},
	},
}
