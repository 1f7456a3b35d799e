// Package whistle decides how a street summons units to one place (街道吹哨、部门报到): who is called, who
// comes in time, that nobody leaves before the matter is done, and what each whistle says of each unit
// (一哨一考核).
//
// A whistle is a satellite: it may name a demand, a topic or an order, and moves none of them. Rules are
// numbered W1–W5 in [Machine].
package whistle

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Event is something that happened to a whistle.
type Event interface{ EventType() string }

// Class is how fast the units are to come. It stands where an urgency does in a deadline policy.
type Class string

// The classes.
const (
	Urgent Class = "urgent" // 紧急哨
	Normal Class = "normal" // 普通哨
)

// Classes lists all classes, the most pressing first.
func Classes() []Class { return []Class{Urgent, Normal} }

// Standing is how a summoned unit stands towards its summons: what the rate of reporting in counts.
type Standing string

// The standings. On time, late and absent count; the others are left out of the rate and get no card.
const (
	Awaited Standing = "awaited" // 待报到
	OnTime  Standing = "on_time" // 按时报到
	Late    Standing = "late"    // 迟到
	Absent  Standing = "absent"  // 缺席
	Excused Standing = "excused" // 免到
	Spared  Standing = "spared"  // 无须再到: the whistle was over before the unit's time was
	Void    Standing = "void"    // 随哨撤销
)

// Standings lists all standings.
func Standings() []Standing { return []Standing{Awaited, OnTime, Late, Absent, Excused, Spared, Void} }

// Counts reports whether the rate of reporting in counts a unit that stands so.
func (s Standing) Counts() bool { return s == OnTime || s == Late || s == Absent }

// Summons is one unit that is called, with a clock of its own.
type Summons struct {
	Unit     orgs.UnitCode `json:"unit"`
	ReportIn calendar.Due  `json:"report_in"`
}

// Blown records that a street calls units to one place (吹哨). It opens the stream.
type Blown struct {
	Street orgs.UnitCode `json:"street"` // that calls
	Units  []Summons     `json:"units"`  // each once, in the order they were named
	Class  Class         `json:"class"`
	Place  orgs.UnitCode `json:"place"`          // where they are to come: the street, or a community or grid of it
	Spot   sealed.Public `json:"spot,omitempty"` // where exactly, in words; never a resident's address
	Task   sealed.Public `json:"task"`           // what is to be done
	Demand stream.ID     `json:"demand,omitzero"`
	Topic  stream.ID     `json:"topic,omitzero"`
	Order  stream.ID     `json:"order,omitzero"`
}

// UnitReportedIn records that a unit is there (报到). The street entered it, or confirmed it as the second person.
type UnitReportedIn struct {
	Unit orgs.UnitCode `json:"unit"`
	At   time.Time     `json:"at"`             // effective instant (rule I18)
	Late bool          `json:"late,omitempty"` // after the unit's due instant
}

// UnitAbsent records that a unit had not reported in when its time was over. A later arrival leaves it standing.
type UnitAbsent struct {
	Unit   orgs.UnitCode `json:"unit"`
	ID     string        `json:"id"` // of the due instant
	Due    time.Time     `json:"due"`
	LateBy int           `json:"late_by,omitempty"` // seconds after Due until the machine said so: its own lateness
}

// UnitExcused records that an arbiter takes a unit out (免到): it gets no card and counts in no rate.
type UnitExcused struct {
	Unit   orgs.UnitCode `json:"unit"`
	Reason sealed.Public `json:"reason"`
}

// UnitReleased records that the street lets a unit go (撤离).
type UnitReleased struct {
	Unit   orgs.UnitCode `json:"unit"`
	At     time.Time     `json:"at"`               // effective instant (rule I18)
	Left   bool          `json:"left,omitempty"`   // it had gone before it was let go
	Reason sealed.Public `json:"reason,omitempty"` // how that was found
}

// Concluded records that the matter is done (了结). Nobody is waited for any longer.
type Concluded struct {
	Outcome sealed.Public   `json:"outcome"`
	At      time.Time       `json:"at"`               // effective instant (rule I18)
	Spared  []orgs.UnitCode `json:"spared,omitempty"` // had not come, and their time was not over at that instant
	Score   calendar.Due    `json:"score"`
}

// Cancelled records that the street takes the whistle back (撤哨). Nobody had reported in.
type Cancelled struct {
	Reason sealed.Public `json:"reason"`
}

// Card is what a whistle says of one unit (一哨一考核): report-in 50 on time, 25 late, 0 absent; stayed until
// released 20; outcome 0 to 30.
type Card struct {
	Unit     orgs.UnitCode `json:"unit"`
	ReportIn Standing      `json:"report_in"`         // on_time, late or absent
	Stayed   bool          `json:"stayed,omitempty"`  // until it was released
	Outcome  int           `json:"outcome,omitempty"` // points of the street, 0 to 30
	Unrated  bool          `json:"unrated,omitempty"` // the street gave no points: the outcome is left out and the rest scaled to 100
	Comment  sealed.Public `json:"comment,omitempty"` // of the street, on the outcome
	Score    int           `json:"score"`             // hundredths of a point, 0 to 10000, rounded half up, once
}

// Scored records the card of every unit that was neither excused nor spared, in the order they were summoned.
type Scored struct {
	Cards []Card `json:"cards"`
}

// Rescored records that an upheld objection changes a card (改判). The card before it stays in the log.
type Rescored struct {
	Card   Card          `json:"card"`
	Reason sealed.Public `json:"reason"`
}

// WarningRaised records that a due instant of the whistle comes near.
type WarningRaised rule.Warning

// DeadlineRecomputed records that a due instant was counted anew, because a notice has arrived (rule R24) or an arbiter
// says so; the later of old and new holds.
type DeadlineRecomputed rule.Recount

// The stored names. They never change; a changed meaning is a new version.
func (Blown) EventType() string              { return "whistle-blown/1" }
func (UnitReportedIn) EventType() string     { return "unit-reported-in/1" }
func (UnitAbsent) EventType() string         { return "unit-absent/1" }
func (UnitExcused) EventType() string        { return "unit-excused/1" }
func (UnitReleased) EventType() string       { return "unit-released/1" }
func (Concluded) EventType() string          { return "whistle-concluded/1" }
func (Cancelled) EventType() string          { return "whistle-cancelled/1" }
func (Scored) EventType() string             { return "whistle-scored/1" }
func (Rescored) EventType() string           { return "whistle-rescored/1" }
func (WarningRaised) EventType() string      { return "whistle-warning-raised/1" }
func (DeadlineRecomputed) EventType() string { return "whistle-deadline-recomputed/1" }
