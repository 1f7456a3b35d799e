// Package evaluation decides what a street says of a unit for a period (评价): the form with its points, entered by the
// street's dispatcher and signed by its leader.
//
// Each street has one stream for each unit and period, named after the three, so it rates once. Until the first provisional
// figures are published it may think better of it: a later submission replaces the earlier, and both stay in the log.
package evaluation

import (
	"slices"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Event is something that happened to an evaluation.
type Event interface{ EventType() string }

// Submitted records what a street says of a unit (提交评价). It opens the stream; a further one replaces it.
type Submitted struct {
	Period  stream.ID          `json:"period"`
	Street  orgs.UnitCode      `json:"street"`
	Unit    orgs.UnitCode      `json:"unit"`
	Number  int                `json:"number"` // 1, and one more each time it is replaced
	Items   []assessment.Given `json:"items"`  // one for each item of the scheme's form, in its order
	Total   assessment.Decimal `json:"total"`  // their sum, 0 to 100
	Comment sealed.Public      `json:"comment,omitempty"`
	Served  stream.Name        `json:"served,omitempty"` // an order that the unit handled for the street in the period, or a whistle of the street that summoned it: why it rates a unit that is neither its district's department nor hosted by it
}

// EventType is the stored name. It never changes; a changed meaning is a new version.
func (Submitted) EventType() string { return "evaluation-submitted/1" }

// Phase is where an evaluation stands.
type Phase string

// PhaseSubmitted is the one state of an evaluation.
const PhaseSubmitted Phase = "submitted" // 已提交

// Terminal reports whether no clock runs in the state: none ever does.
func (p Phase) Terminal() bool { return p == PhaseSubmitted }

var entering = []orgs.Role{orgs.Dispatcher}

// Machine is the whole table of an evaluation. That the leader of the same street signs what replaces it too, a guard asks.
var Machine = rule.Machine[Phase]{
	Name:     "evaluation",
	States:   []Phase{PhaseSubmitted},
	Terminal: []Phase{PhaseSubmitted},
	Rows: []rule.Row[Phase]{
		{ID: "V1", To: PhaseSubmitted, Command: "submit", Event: "evaluation-submitted", Actors: entering, Second: orgs.StreetLeader},
	},
	Notes: []rule.Note[Phase]{
		{Command: "submit", Event: "evaluation-submitted", In: []Phase{PhaseSubmitted}, Actors: entering},
	},
}

// State is an evaluation as its stream tells it. The zero State is one that was not submitted yet.
type State struct {
	ID      stream.ID
	Phase   Phase
	Period  stream.ID
	Street  orgs.UnitCode
	Unit    orgs.UnitCode
	Number  int // submissions
	Items   []assessment.Given
	Total   assessment.Decimal
	Comment sealed.Public
	Served  stream.Name
	At      time.Time // the last was recorded
	Actor   string    // opaque id of who submitted the last, and …
	Signer  string    // … who signed it

	last      Event // the last event, who said it when, and the state it was decided in: a repeat decides nothing
	lastStamp rule.Stamp
	before    *State // never written to, and without a before of its own
}

// Evolve returns the state after an event. It accepts any event in any state: what is in the log has happened.
func Evolve(s State, e Event, st rule.Stamp) State {
	before := s
	before.before = nil
	s.last, s.lastStamp, s.before = e, st, &before
	if e, submitted := e.(Submitted); submitted {
		s.Phase, s.Period, s.Street, s.Unit = PhaseSubmitted, e.Period, e.Street, e.Unit
		s.Number, s.Items, s.Total, s.Comment, s.Served = e.Number, slices.Clone(e.Items), e.Total, e.Comment, e.Served
		s.At, s.Actor, s.Signer = st.Recorded, st.Actor.ID, ""
		if st.Second != nil {
			s.Signer = st.Second.ID
		}
	}
	return s
}
