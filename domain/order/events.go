// Package order decides what happens to one piece of work given to one lead unit (办题单): dispatched,
// signed, the resident contacted, handled, reported, verified by someone else, closed — with returns,
// suspensions, extensions, rework and reopening on the way.
//
// Rules are numbered O1–O18 in [Machine]. A leg is one stay with one lead unit; a round begins with the
// dispatch and anew with each rework or reopening; an attempt is a report within a round.
package order

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Event is something that happened to an order.
type Event interface{ EventType() string }

// Dispatched records that a lead unit was given the work (派单). It opens the stream. The dues say what
// is promised from now on, with the policy and calendar they were computed from.
type Dispatched struct {
	Number    string          `json:"number,omitempty"`
	Topic     stream.ID       `json:"topic,omitzero"`    // the topic it serves
	Cycle     int             `json:"cycle,omitempty"`   // of that topic
	Demands   []stream.ID     `json:"demands,omitempty"` // whom it serves; more may be attached
	Patrol    bool            `json:"patrol,omitempty"`  // found without a resident
	Kind      string          `json:"kind"`              // of the demand; issue for a topic's order
	Matter    string          `json:"matter"`
	Urgency   string          `json:"urgency"`
	Lead      orgs.UnitCode   `json:"lead"`
	Competent orgs.UnitCode   `json:"competent,omitempty"`
	CoUnits   []orgs.UnitCode `json:"co_units,omitempty"`
	By        orgs.UnitCode   `json:"by"`    // the dispatching unit: its leader decides extensions and suspensions
	Place     orgs.UnitCode   `json:"place"` // community or street where the matter lies
	Grid      orgs.GridCode   `json:"grid,omitempty"`
	Anonymous bool            `json:"anonymous,omitempty"` // nobody to contact: no demand has a resident who can be reached
	Target    calendar.Date   `json:"target,omitzero"`     // promised in the topic's plan
	Task      sealed.Public   `json:"task,omitempty"`
	Sign      calendar.Due    `json:"sign"`
	Contact   calendar.Due    `json:"contact"`
	Handle    calendar.Due    `json:"handle"`
	ReturnBy  time.Time       `json:"return_by"` // the window for returning it to the dispatcher
}

// Signed records that the lead unit has taken note (签收).
type Signed struct {
	At time.Time `json:"at"` // effective instant (rule I18): whether it was on time is judged by it
}

// ReturnRequested records that the lead unit says it is not competent (申请退单).
type ReturnRequested struct {
	Reason         sealed.Text   `json:"reason" part:"case"`
	Basis          sealed.Public `json:"basis"`               // legal basis
	Suggested      orgs.UnitCode `json:"suggested,omitempty"` // who should have it
	ReturnDecision calendar.Due  `json:"return_decision"`
}

// ReturnRefused records that the unit keeps the order (退单驳回). The handling clock never stopped.
type ReturnRefused struct {
	Reason sealed.Public `json:"reason"`
	Final  bool          `json:"final,omitempty"` // after a third request: this leg can not be returned again
}

// ReturnApproved records a mis-dispatch (同意退单): the leg leaves the unit's account.
type ReturnApproved struct {
	Reason     sealed.Public `json:"reason,omitempty"`
	Redispatch calendar.Due  `json:"redispatch"`
}

// Redispatched records the next leg (重派), with clocks of its own.
type Redispatched struct {
	Leg       int             `json:"leg"`
	Lead      orgs.UnitCode   `json:"lead"`
	Competent orgs.UnitCode   `json:"competent,omitempty"`
	CoUnits   []orgs.UnitCode `json:"co_units,omitempty"`
	Final     bool            `json:"final,omitempty"`
	By        orgs.UnitCode   `json:"by"`
	Sign      calendar.Due    `json:"sign"`
	Contact   calendar.Due    `json:"contact"`
	Handle    calendar.Due    `json:"handle"`
	ReturnBy  time.Time       `json:"return_by"`
}

// Contacted records the first contact with the residents (已联系): this is the response, not the signature.
type Contacted struct {
	Demands []stream.ID `json:"demands,omitempty"`
	Means   string      `json:"means"` // phone, visit, wechat, sms
	At      time.Time   `json:"at"`    // effective instant (rule I18): whether it was on time is judged by it
	Note    sealed.Text `json:"note,omitzero" part:"case"`
}

// ContactNotRequired records that there is nobody to contact (无需联系).
type ContactNotRequired struct {
	Cause string `json:"cause"` // patrol, anonymous, no_demand: the order serves none now
}

// Suspended records that the handling clock is stopped (挂账), why, and when it is looked at again.
type Suspended struct {
	Reason   string        `json:"reason"` // season, litigation, funding, third_party, resident_absent
	Basis    sealed.Public `json:"basis,omitempty"`
	ReviewOn calendar.Date `json:"review_on"`
	FrozenAt time.Time     `json:"frozen_at"` // effective instant (rule I18): the handling clock stands still from here
	Review   calendar.Due  `json:"suspension_review"`
}

// Resumed records that the handling clock runs again (恢复), with the due instant it has now.
type Resumed struct {
	Handle calendar.Due `json:"handle"`
}

// Reported records what the lead unit did (办理反馈). The answer is the resident's; the summary is for everyone.
type Reported struct {
	Outcome  string        `json:"outcome"` // resolved, partly, explained, not_adopted, infeasible
	Answer   sealed.Text   `json:"answer" part:"case"`
	Summary  sealed.Public `json:"summary"`
	Evidence []string      `json:"evidence,omitempty"` // SHA-256 of each piece, hexadecimal
	Account  sealed.Text   `json:"account,omitzero" part:"case"`
	Persons  int           `json:"person_times,omitempty"` // person-times spent
	Attempt  int           `json:"attempt"`
	DoneAt   time.Time     `json:"done_at"` // effective instant (rule I18): the handling clock stands still from here
	Verify   calendar.Due  `json:"verify"`
}

// VerificationPassed records that someone outside the handling units confirmed the work (核查通过).
type VerificationPassed struct {
	Method  string        `json:"method"`         // on_site, photo, phone, resident_confirmed, sampled_out
	Rate    int           `json:"rate,omitempty"` // per ten thousand: the sampling rate, for sampled_out
	Note    sealed.Text   `json:"note,omitzero" part:"case"`
	Outcome string        `json:"outcome"` // of the report that passed
	Summary sealed.Public `json:"summary"`
	Report  int64         `json:"report"`  // revision of that report on this stream
	DoneAt  time.Time     `json:"done_at"` // effective instant of that report
}

// VerificationFailed records that the work does not hold (核查不通过); it counts as rework.
type VerificationFailed struct {
	Reason  sealed.Public `json:"reason"`
	Method  string        `json:"method"`
	Attempt int           `json:"attempt"` // the next one
	Handle  calendar.Due  `json:"handle"`
}

// Closed records the end of the order (结案).
type Closed struct {
	Cause string `json:"cause"` // answered, no_demand
}

// ReworkOrdered records that a verified order goes back to work (返工).
type ReworkOrdered struct {
	Round  int           `json:"round"`
	Cause  string        `json:"cause"` // callback, supervision
	Demand stream.ID     `json:"demand,omitzero"`
	Reason sealed.Public `json:"reason,omitempty"`
	Rework calendar.Due  `json:"rework"`
}

// Reopened records that a closed order goes back to work (重办). Earlier verdicts stand.
type Reopened struct {
	Round  int           `json:"round"`
	Cause  string        `json:"cause"`
	Demand stream.ID     `json:"demand,omitzero"`
	Reason sealed.Public `json:"reason,omitempty"`
	Rework calendar.Due  `json:"rework"`
}

// Cancelled records that the order is void (撤单).
type Cancelled struct {
	Cause  string        `json:"cause"` // all_withdrawn, duplicate, admission_revoked, error
	Reason sealed.Public `json:"reason,omitempty"`
}

// CoUnitReported records the contribution of an assisting unit.
type CoUnitReported struct {
	Unit    orgs.UnitCode `json:"unit"`
	Summary sealed.Public `json:"summary"`
}

// CoUnitReleased records that an assisting unit is no longer needed.
type CoUnitReleased struct {
	Unit   orgs.UnitCode `json:"unit"`
	Reason sealed.Public `json:"reason,omitempty"`
}

// ExtensionRequested records that the lead unit asks for more time (申请延期), once per round, before due.
type ExtensionRequested struct {
	Amount   int           `json:"amount"` // in the unit of the running clock
	Reason   sealed.Public `json:"reason"`
	Told     bool          `json:"residents_told"`
	Decision calendar.Due  `json:"extension_decision"`
}

// ExtensionGranted records the new due instant; the first one is kept beside it (同意延期).
type ExtensionGranted struct {
	Handle calendar.Due  `json:"handle"`
	Reason sealed.Public `json:"reason,omitempty"`
}

// ExtensionRefused records that the due instant stands. The clock refuses what was not decided in time.
type ExtensionRefused struct {
	Reason sealed.Public `json:"reason"`
}

// DemandAttached records that the order serves a further demand.
type DemandAttached struct {
	Demand stream.ID `json:"demand"`
}

// ServedDemandReopened records that a demand which the order had served was raised again (rule R22): it is how the unit that
// led the work learns that it did not last. Nothing is asked of the order by it.
type ServedDemandReopened struct {
	Demand stream.ID `json:"demand"`
	Round  int       `json:"round"` // of the demand, that begins: 2 or later
}

// DemandDetached records that the order no longer serves a demand.
type DemandDetached struct {
	Demand stream.ID `json:"demand"`
	Cause  string    `json:"cause,omitempty"`
}

// Reassigned records a change of person within the unit, or of grid after re-division. Clocks run on.
type Reassigned struct {
	Lead   orgs.UnitCode `json:"lead"`
	Worker string        `json:"worker,omitempty"` // opaque id of the person
	Reason sealed.Public `json:"reason,omitempty"`
}

// SupervisionIssued records that a supervisor demands an account (督办).
type SupervisionIssued struct {
	Number   int           `json:"supervision"` // within the order, from 1
	Reason   sealed.Public `json:"reason"`
	Deadline calendar.Due  `json:"supervision_due"`
}

// SupervisionAnswered records the lead unit's account.
type SupervisionAnswered struct {
	Number int           `json:"supervision"`
	Answer sealed.Public `json:"answer"`
}

// DeadlineRecomputed records that a due instant was counted anew, because a notice has arrived (rule R24) or an arbiter
// says so; the later of old and new holds.
type DeadlineRecomputed rule.Recount

// ProblemFlagged records that the order became a problem order (问题工单): third rework, or returns by three units. It
// is lifted to the level for such orders in the same append, unless it is there.
type ProblemFlagged struct {
	Cause string `json:"cause"` // rework, returns
}

// Rated records what the street that dispatched a leg says of it (一件一考核的街道评分). A later one replaces it.
type Rated struct {
	Leg     int           `json:"leg"`   // from 1
	Score   int           `json:"score"` // 0 to 100
	Comment sealed.Public `json:"comment,omitempty"`
}

// WarningRaised records that a due instant of the order comes near.
type WarningRaised rule.Warning

// ClockExpired records that a due instant passed with the step still owed.
type ClockExpired rule.Expiry

// Escalated records that the order has the attention of a higher level (升级, rules E1–E5 and E8). Lead unit and clocks stay.
type Escalated rule.Escalation

// The stored names. They never change; a changed meaning is a new version.
func (Dispatched) EventType() string           { return "order-dispatched/1" }
func (Signed) EventType() string               { return "order-signed/1" }
func (ReturnRequested) EventType() string      { return "return-requested/1" }
func (ReturnRefused) EventType() string        { return "return-refused/1" }
func (ReturnApproved) EventType() string       { return "return-approved/1" }
func (Redispatched) EventType() string         { return "order-redispatched/1" }
func (Contacted) EventType() string            { return "resident-contacted/1" }
func (ContactNotRequired) EventType() string   { return "contact-not-required/1" }
func (Suspended) EventType() string            { return "order-suspended/1" }
func (Resumed) EventType() string              { return "order-resumed/1" }
func (Reported) EventType() string             { return "handling-reported/1" }
func (VerificationPassed) EventType() string   { return "verification-passed/1" }
func (VerificationFailed) EventType() string   { return "verification-failed/1" }
func (Closed) EventType() string               { return "order-closed/1" }
func (ReworkOrdered) EventType() string        { return "rework-ordered/1" }
func (Reopened) EventType() string             { return "order-reopened/1" }
func (Cancelled) EventType() string            { return "order-cancelled/1" }
func (CoUnitReported) EventType() string       { return "co-unit-reported/1" }
func (CoUnitReleased) EventType() string       { return "co-unit-released/1" }
func (ExtensionRequested) EventType() string   { return "extension-requested/1" }
func (ExtensionGranted) EventType() string     { return "extension-granted/1" }
func (ExtensionRefused) EventType() string     { return "extension-refused/1" }
func (DemandAttached) EventType() string       { return "demand-attached/1" }
func (ServedDemandReopened) EventType() string { return "served-demand-reopened/1" }
func (DemandDetached) EventType() string       { return "demand-detached/1" }
func (Reassigned) EventType() string           { return "order-reassigned/1" }
func (SupervisionIssued) EventType() string    { return "supervision-issued/1" }
func (SupervisionAnswered) EventType() string  { return "supervision-answered/1" }
func (DeadlineRecomputed) EventType() string   { return "deadline-recomputed/1" }
func (ProblemFlagged) EventType() string       { return "problem-order-flagged/1" }
func (WarningRaised) EventType() string        { return "order-warning-raised/1" }
func (ClockExpired) EventType() string         { return "order-clock-expired/1" }
func (Escalated) EventType() string            { return "order-escalated/1" }
func (Rated) EventType() string                { return "order-rated/1" }
