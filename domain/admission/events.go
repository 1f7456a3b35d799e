// Package admission decides about requests to load a matter on communities or streets that their duty lists keep away
// from them (准入): asked for by the unit that wants it, with staff and funds, looked at with the opinions of those who
// would bear it, granted for a scope, a role and a term, or refused.
//
// A grant opens the gate from its first day, or from the day on which its funding is recorded if that is later, until its
// last day or its revocation. Rules are numbered A1–A7 in [Machine].
package admission

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Event is something that happened to a request.
type Event interface{ EventType() string }

// Requested records that a unit asks for an admission (申请). It opens the stream.
type Requested struct {
	By        orgs.UnitCode   `json:"by"`     // the asking unit
	Office    orgs.UnitCode   `json:"office"` // the district or city whose admission office decides: the smallest that contains all units
	Matter    string          `json:"matter"`
	Role      duty.Role       `json:"role"`
	Units     []orgs.UnitCode `json:"units"` // asked for: districts, streets, communities, each with all that lies in it
	From      calendar.Date   `json:"from"`
	Until     calendar.Date   `json:"until"`               // the last day
	Task      sealed.Public   `json:"task"`                // what is to be done there
	Basis     sealed.Public   `json:"basis"`               // the legal basis
	Staff     int             `json:"staff"`               // people who come with the matter
	Budget    int64           `json:"budget"`              // fen, for the whole term; money goes with the matter (费随事转)
	Emergency sealed.Public   `json:"emergency,omitempty"` // why it can not be asked for in time, "" = it was
	Topic     stream.ID       `json:"topic,omitzero"`      // whose plan needs it
	Decide    calendar.Due    `json:"decide_due"`
}

// ReviewOpened records that the office looks at the request and asks those who would bear it (审查).
type ReviewOpened struct {
	Asked []orgs.UnitCode `json:"asked"` // streets and communities of the scope; of a district, its streets
}

// Withdrawn records that the asking unit does not want it any more (撤回).
type Withdrawn struct{}

// Granted records that the matter may be loaded (准入). The grant opens nothing before its funding is recorded.
type Granted struct {
	Units   []orgs.UnitCode `json:"units"` // the scope: what was asked for, or less
	From    calendar.Date   `json:"from"`
	Until   calendar.Date   `json:"until"`   // the last day
	Funding sealed.Public   `json:"funding"` // the reference under which staff and money are to come
	Expiry  calendar.Due    `json:"expiry_due"`
}

// Refused records that the matter may not be loaded (不予准入).
type Refused struct {
	Reason sealed.Public `json:"reason"`
}

// Revoked records that a grant ended before its term (撤销).
type Revoked struct {
	Reason sealed.Public `json:"reason"`
}

// Expired records that the term of a grant is over (到期).
type Expired struct {
	ID     string    `json:"id"` // of the due instant
	Due    time.Time `json:"due"`
	LateBy int       `json:"late_by,omitempty"` // seconds after Due until the machine said so
}

// OpinionRecorded records what a street or community thinks of it (街道、社区意见). It binds nobody.
type OpinionRecorded struct {
	Unit     orgs.UnitCode `json:"unit"`
	Supports bool          `json:"supports"`
	Reason   sealed.Public `json:"reason,omitempty"`
}

// Funded records that staff and money arrived (经费落实). From this day on, and not before its first, the grant opens the gate.
type Funded struct {
	Reference sealed.Public `json:"reference"` // of the payment, or of the order by which staff came
}

// WarningRaised records that a due instant of the request or grant comes near.
type WarningRaised rule.Warning

// ClockExpired records that the time for an answer passed without one.
type ClockExpired rule.Expiry

// Escalated records that an unanswered request has the attention of a higher level (升级, rule E5).
type Escalated rule.Escalation

// DeadlineRecomputed records that a due instant was counted anew, because a notice has arrived (rule R24) or an arbiter
// says so; the later of old and new holds.
type DeadlineRecomputed rule.Recount

// The stored names. They never change; a changed meaning is a new version.
func (Requested) EventType() string          { return "admission-requested/1" }
func (ReviewOpened) EventType() string       { return "admission-review-opened/1" }
func (Withdrawn) EventType() string          { return "admission-withdrawn/1" }
func (Granted) EventType() string            { return "admission-granted/1" }
func (Refused) EventType() string            { return "admission-refused/1" }
func (Revoked) EventType() string            { return "admission-revoked/1" }
func (Expired) EventType() string            { return "admission-expired/1" }
func (OpinionRecorded) EventType() string    { return "street-opinion-recorded/1" }
func (Funded) EventType() string             { return "admission-funded/1" }
func (WarningRaised) EventType() string      { return "admission-warning-raised/1" }
func (ClockExpired) EventType() string       { return "admission-clock-expired/1" }
func (Escalated) EventType() string          { return "admission-escalated/1" }
func (DeadlineRecomputed) EventType() string { return "admission-deadline-recomputed/1" }
