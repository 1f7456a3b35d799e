package assessment

import (
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// Facts is all that can count in an assessment, as it stood at one position of the log: nothing recorded later is in it.
// The order within the slices is that of the streams' beginnings in the log.
type Facts struct {
	Demands   []Demand
	Legs      []Leg
	Summonses []Summons
	Disputes  []Dispute
	Topics    []Topic
	Blocks    []Blocked
	Loads     []Load
	Heirs     map[orgs.UnitCode]orgs.UnitCode // of a community or street that was re-divided since: the one that continues its figures (choice as_of)
}

// Place is where a case lies, as it was when the case began (choice as_of): later re-divisions do not move it.
// Codes above what is known are "".
type Place struct {
	Unit      orgs.UnitCode // the community, or what was known
	Community orgs.UnitCode
	Street    orgs.UnitCode
	District  orgs.UnitCode
}

// Demand is what counts of a demand. Instants are effective ones (rule I18); zero = it did not happen.
type Demand struct {
	ID          stream.ID
	Number      string // 编号, for lists
	Kind        string
	Matter      string
	Channel     string
	Place       Place
	Anonymous   bool
	Proxy       bool // entered by someone else for the resident
	NoCallback  bool
	Withdrawn   bool
	RaisedAt    time.Time
	AcceptedAt  time.Time // the first time, on the spot included
	OnTheSpot   bool
	FastTracked bool        // in any round
	Orders      []stream.ID // every order it was ever attached to, in that order
	Dispatched  bool        // at least one of them was dispatched for it
	Repeats     stream.ID   // the demand it repeats: joined by same_matter, or resubmitted; its own id when reopened; zero = none
	RepeatedAt  time.Time   // when it was accepted as that, or reopened
	ClosedAt    time.Time   // when it came to an end, the last time; zero: it is open
	CallbackDue time.Time   // of the last round before the cut-off
	Reached     bool        // in that round
	Callbacks   []Callback  // in the order recorded, re-ratings included
	Waived      string      // cause of the waived callback of the last round: anonymous, do_not_call, unreached, not_called; "" = none
	WaivedAt    time.Time
}

// Callback is one answer of the resident.
type Callback struct {
	At       time.Time
	Resolved bool
	Grade    int  // 5 … 1, 0 = not given
	Rerating bool // the resident changed it later (choice rerate)
	Order    stream.ID
}

// Leg is one stay of an order with one lead unit. What is said of handling is of round 1; Reworks is of the whole order.
type Leg struct {
	Order   stream.ID
	Number  int    // of the leg within the order, from 1
	Case    string // 编号 of the order, for lists
	Kind    string
	Matter  string
	Urgency string
	Place   Place
	Grid    orgs.GridCode
	Demands []stream.ID // attached at the cut-off
	Patrol  bool

	By        orgs.UnitCode // who dispatched it
	ByStreet  orgs.UnitCode // the street that By is or lies in; "" if it is above the streets
	Lead      orgs.UnitCode
	Competent orgs.UnitCode // member agency of a joint team that leads, else ""
	CoUnits   []orgs.UnitCode

	DispatchedAt time.Time // recorded
	SignDue      time.Time
	ContactDue   time.Time // zero: no such clock
	OriginalDue  time.Time // handling, before any extension
	Due          time.Time // handling, the effective one: extensions and suspensions are in it
	SignedAt     time.Time
	ContactedAt  time.Time // first contact, of any attached demand; zero: none
	AllContacted time.Time // when every attached demand had been contacted; zero: not yet (choice contact.scope)
	NoContact    bool      // there was nobody to contact

	ReturnAskedAt  time.Time // last
	ReturnsRefused int
	Returned       bool // sent back with approval: out of the unit's account
	Extensions     int  // granted
	Suspensions    []Span
	Reports        []Report // of round 1
	Reworks        int      // failed verifications (O14), ordered reworks (O16) and reopenings (O17) of the order
	Cancelled      bool
	ClosedAt       time.Time // of the order, the last time
	Rating         int       // what the street gave with OrderRated, 0–100; −1 = nothing
}

// Report is one report of handling.
type Report struct {
	DoneAt   time.Time // effective instant of the report
	At       time.Time // recorded
	JudgedAt time.Time // recorded; zero: not verified yet
	Passed   bool
	Sampled  bool // passed without a look (sampled_out)
}

// Span is a stretch of time; a zero To means that it has not ended.
type Span struct{ From, To time.Time }

// Summons is one unit called by one whistle.
type Summons struct {
	Whistle  stream.ID
	Street   orgs.UnitCode
	Unit     orgs.UnitCode
	BlownAt  time.Time
	Due      time.Time
	Reported time.Time // zero: it did not come
	Late     bool
	Absent   bool
	Excused  bool
	Void     bool // the whistle was cancelled, or ended before the unit's time was over
	Stayed   bool
	Ended    time.Time // of the whistle
	Outcome  int       // points of the street, 0–30; −1 = not rated
	Score    int64     // of the last card, hundredths; −1 = none
}

// Dispute is what counts of a dispute.
type Dispute struct {
	ID       stream.ID
	Demand   stream.ID
	Place    Place
	Accepted bool   // by a mediator, at least once
	End      string // phase of the end: agreed, or how else it left the ladder; "" = open
	EndedAt  time.Time
	Rung     int // at the end, or at which it was agreed: 1 grid … 4 district
	Unit     orgs.UnitCode
}

// Topic is what counts of a topic.
type Topic struct {
	ID        stream.ID
	Place     Place
	Decisions []TopicDecision
}

// TopicDecision is one adoption or rejection.
type TopicDecision struct {
	Adopted bool // else rejected
	At      time.Time
	Demands []stream.ID // linked to the topic then (choice count.unit)
}

// Blocked is one dispatch that the gate refused.
type Blocked struct {
	Target orgs.UnitCode
	Matter string
	At     time.Time
}

// Load is what a community may be asked to bear by the lists and grants of two days: the last one of the period and the base date.
type Load struct {
	Community orgs.UnitCode
	Street    orgs.UnitCode
	Now       []string // codes of matters, ascending
	Base      []string
}
