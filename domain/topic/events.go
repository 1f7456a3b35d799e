// Package topic decides what a community deliberates (群众议题): proposed, deliberated, perhaps voted on,
// adopted with a plan of orders, handed to the grid, concluded with published results — or rejected,
// deferred, merged, dropped.
//
// Demands are linked on their own streams; a topic governs them without holding a list of them.
// Rules are numbered T1–T15 in [Machine].
package topic

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Event is something that happened to a topic.
type Event interface{ EventType() string }

// Kind is what sort of topic it is.
type Kind string

// The kinds of topics.
const (
	Ordinary     Kind = "ordinary"
	MicroProject Kind = "micro_project" // 民生微实事: with a budget
)

// Format is the form a deliberation takes.
type Format string

// Formats lists the forms of deliberation: 居民议事会, 议事亭, 民情恳谈, 百姓议事, 妇女议事, 线上.
func Formats() []Format {
	return []Format{"council", "pavilion", "heart_to_heart", "villagers", "women", "online"}
}

// Proposed records that a matter is proposed for deliberation (拟立议题). It opens the stream.
type Proposed struct {
	Number  string        `json:"number,omitempty"`
	Kind    Kind          `json:"kind"`
	Source  string        `json:"source"` // residents, or patrol: found without a resident
	Title   sealed.Public `json:"title"`
	Unit    orgs.UnitCode `json:"unit"` // whose deliberation it is: a community, or a street for a wider matter
	Matter  string        `json:"matter,omitempty"`
	Demands []stream.ID   `json:"demands,omitempty"` // the flow links those that are accepted
	Open    calendar.Due  `json:"open"`
}

// DeliberationOpened records where and when the meeting is held (启动议事).
type DeliberationOpened struct {
	Format     Format        `json:"format"`
	Place      sealed.Public `json:"place"`
	MeetingAt  time.Time     `json:"meeting_at"`
	Deliberate calendar.Due  `json:"deliberate"`
}

// Attendance counts those present by capacity, never by name.
type Attendance struct {
	Capacity string `json:"capacity"` // residents, representatives, members, property, department, other
	Number   int    `json:"number"`
}

// DeliberationHeld records that the meeting took place.
type DeliberationHeld struct {
	Format    Format        `json:"format"`
	Venue     sealed.Public `json:"venue"`
	Minutes   string        `json:"minutes"` // SHA-256 of the minutes, hexadecimal
	Attendees []Attendance  `json:"attendees"`
	Summary   sealed.Public `json:"summary,omitempty"`
}

// VoteOpened records what is voted on and who may vote: one ballot per household (开始表决).
type VoteOpened struct {
	Options    []sealed.Public `json:"options"`
	Grids      []orgs.GridCode `json:"grids"`
	Electorate int             `json:"electorate"` // households of the grids, fixed now
	ClosesAt   time.Time       `json:"closes_at"`
	Count      calendar.Due    `json:"count_due,omitzero"` // for the count: the end of the day after the vote closes; none in what was recorded before votes were counted by a clock
}

// VoteClosed records the count (表决结束). No household's choice is in the log.
type VoteClosed struct {
	Electorate int    `json:"electorate"`
	Cast       int    `json:"cast"`
	Counts     []int  `json:"counts"`  // per option, in the order of the options
	Ballots    string `json:"ballots"` // SHA-256 over the ballots, hexadecimal
	Passed     bool   `json:"passed"`  // quorum met and one option above the required share
}

// Item is one order of an adopted plan.
type Item struct {
	Lead      orgs.UnitCode   `json:"lead"`
	Competent orgs.UnitCode   `json:"competent,omitempty"` // the member agency of a joint team that is competent
	CoUnits   []orgs.UnitCode `json:"co_units,omitempty"`
	Matter    string          `json:"matter"`
	Urgency   string          `json:"urgency"`
	Target    calendar.Date   `json:"target"` // promised to the residents; at most 180 days ahead
	Task      sealed.Public   `json:"task"`
}

// Adopted records that the community decided to have it done, and how (采纳).
type Adopted struct {
	Items     []Item        `json:"items"`
	Budget    int64         `json:"budget,omitempty"` // fen
	Resources []string      `json:"resources,omitempty"`
	Summary   sealed.Public `json:"summary"`
	Handover  calendar.Due  `json:"handover"`
}

// Rejected records that the community decided against it (不采纳).
type Rejected struct {
	Reason sealed.Public `json:"reason"` // published
}

// Deferred records that it waits (缓议).
type Deferred struct {
	Reason   sealed.Public `json:"reason"` // published
	ReviewOn calendar.Date `json:"review_on"`
	Review   calendar.Due  `json:"topic_review"`
}

// AdmissionRefused records that the plan would load a matter where it may not go (准入未通过).
type AdmissionRefused struct {
	Reason     sealed.Public `json:"reason"`
	Admission  stream.ID     `json:"admission,omitzero"`
	Deliberate calendar.Due  `json:"deliberate"`
}

// HandedToGrid records that handling begins (交网格办): one order per item. It opens a new cycle.
type HandedToGrid struct {
	Cycle  int           `json:"cycle"` // 1 for the first
	Items  []Item        `json:"items"`
	By     orgs.UnitCode `json:"by"`            // the dispatching unit
	Latest calendar.Date `json:"latest_target"` // the latest target date among the items
}

// OrderAdded records a further order of the running cycle (增派): a new item, or a live order of another topic.
type OrderAdded struct {
	Item  *Item         `json:"item,omitempty"`
	Order stream.ID     `json:"order,omitzero"`
	By    orgs.UnitCode `json:"by"`
}

// ReadyToConclude records that the last order of the cycle ended and that concluding is due; concluding
// stays a human act.
type ReadyToConclude struct {
	Conclude calendar.Due `json:"conclude"`
}

// Returned records that handling failed and the community deliberates again (退回再议).
type Returned struct {
	Reason     sealed.Public `json:"reason"`
	Deliberate calendar.Due  `json:"deliberate"`
}

// ResultPublished records what was achieved, for everyone to read (实效公示). Results are numbered within the topic.
type ResultPublished struct {
	Result     int           `json:"result"`
	Text       sealed.Public `json:"text"`
	Orders     []stream.ID   `json:"orders"`
	AlsoTopics []stream.ID   `json:"also_topics,omitempty"`
	Resources  []string      `json:"resources,omitempty"`
}

// Concluded records the end, made public (办结公示).
type Concluded struct {
	Summary sealed.Public `json:"summary"`
}

// Reopened records that a concluded topic is deliberated again (重议).
type Reopened struct {
	Reason     sealed.Public `json:"reason"`
	Deliberate calendar.Due  `json:"deliberate"`
}

// MergedInto records that another topic takes over (并题); the flow relinks each demand.
type MergedInto struct {
	Target stream.ID     `json:"target"`
	Reason sealed.Public `json:"reason,omitempty"`
}

// Dropped records that the topic is given up before a decision (撤题).
type Dropped struct {
	Reason sealed.Public `json:"reason"`
}

// Supported records that a household supports the topic.
type Supported struct {
	Household string `json:"household"` // opaque code at a stairwell; a household has no members here
}

// LinkedDemandReopened records that a demand this topic once answered was raised again.
type LinkedDemandReopened struct {
	Demand stream.ID `json:"demand"`
	Round  int       `json:"round"`
}

// WarningRaised records that a due instant of the topic comes near.
type WarningRaised rule.Warning

// ClockExpired records that a due instant passed with the step still owed.
type ClockExpired rule.Expiry

// Escalated records that the topic has the attention of a higher level (升级, rule E5). Its unit and its clocks stay.
type Escalated rule.Escalation

// DeadlineRecomputed records that a due instant was counted anew, because a notice has arrived (rule R24) or an arbiter
// says so; the later of old and new holds.
type DeadlineRecomputed rule.Recount

// The stored names. They never change; a changed meaning is a new version.
func (Proposed) EventType() string             { return "topic-proposed/1" }
func (DeliberationOpened) EventType() string   { return "deliberation-opened/1" }
func (DeliberationHeld) EventType() string     { return "deliberation-held/1" }
func (VoteOpened) EventType() string           { return "vote-opened/1" }
func (VoteClosed) EventType() string           { return "vote-closed/1" }
func (Adopted) EventType() string              { return "topic-adopted/1" }
func (Rejected) EventType() string             { return "topic-rejected/1" }
func (Deferred) EventType() string             { return "topic-deferred/1" }
func (AdmissionRefused) EventType() string     { return "topic-admission-refused/1" }
func (HandedToGrid) EventType() string         { return "topic-handed-to-grid/1" }
func (OrderAdded) EventType() string           { return "order-added-to-topic/1" }
func (ReadyToConclude) EventType() string      { return "topic-ready-to-conclude/1" }
func (Returned) EventType() string             { return "topic-returned/1" }
func (ResultPublished) EventType() string      { return "result-published/1" }
func (Concluded) EventType() string            { return "topic-concluded/1" }
func (Reopened) EventType() string             { return "topic-reopened/1" }
func (MergedInto) EventType() string           { return "topic-merged-into/1" }
func (Dropped) EventType() string              { return "topic-dropped/1" }
func (Supported) EventType() string            { return "topic-supported/1" }
func (LinkedDemandReopened) EventType() string { return "linked-demand-reopened/1" }
func (WarningRaised) EventType() string        { return "topic-warning-raised/1" }
func (ClockExpired) EventType() string         { return "topic-clock-expired/1" }
func (Escalated) EventType() string            { return "topic-escalated/1" }
func (DeadlineRecomputed) EventType() string   { return "topic-deadline-recomputed/1" }
