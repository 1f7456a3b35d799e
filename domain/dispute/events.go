// Package dispute decides how a dispute between residents (矛盾纠纷) climbs the mediation ladder: registered
// at a rung, taken up by a mediator, settled by an agreement that is kept or broken, or passed on — upward, or
// out to a court, an arbitration, the police or the petition office.
//
// A dispute is a satellite of one demand of kind dispute. It has no order; work that an agreement promises is
// a demand of its own. Rules are numbered P1–P10 in [Machine].
package dispute

import (
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Event is something that happened to a dispute.
type Event interface{ EventType() string }

// Rung is a step of the ladder, 1 to 4: 小事不出村、大事不出镇 counts what was settled at 2 and below, 3 and below.
type Rung int

// The rungs, from the bottom up.
const (
	Grid      Rung = 1 // 网格
	Community Rung = 2 // 社区、村
	Street    Rung = 3 // 街道、镇、乡
	District  Rung = 4 // 区、县、旗: the hub where police, governance, petition and legal aid sit together
)

// Rungs lists all rungs, from the bottom up.
func Rungs() []Rung { return []Rung{Grid, Community, Street, District} }

// Kind returns the kind of unit that mediates at the rung, itself or through a centre it hosts; "" for no rung.
func (r Rung) Kind() orgs.Kind {
	switch r {
	case Grid:
		return orgs.Grid
	case Community:
		return orgs.Community
	case Street:
		return orgs.Street
	case District:
		return orgs.District
	}
	return ""
}

// Party is one side of a dispute.
type Party struct {
	Actor string      `json:"actor,omitempty"`              // opaque id under which it acts here; "" = it has no account
	Name  sealed.Text `json:"name,omitzero" part:"parties"` // who it is; personal data, enciphered
}

// DeclineReason is why nobody mediates at a rung.
type DeclineReason string

// The reasons.
const (
	Refused     DeclineReason = "refused"      // a party does not want mediation
	NotMediable DeclineReason = "not_mediable" // the law leaves nothing to agree on
	NoAction    DeclineReason = "no_action"    // nobody took it up in time; only the clock says so
)

// Target is where a dispute goes when it leaves the ladder.
type Target string

// The targets.
const (
	Court       Target = "court"       // 人民法院
	Arbitration Target = "arbitration" // 仲裁
	Police      Target = "police"      // 公安
	Petition    Target = "petition"    // 信访
)

// Targets lists all targets.
func Targets() []Target { return []Target{Court, Arbitration, Police, Petition} }

// Opened records that a dispute stands on the ladder (纠纷登记). It opens the stream.
type Opened struct {
	Demand  stream.ID     `json:"demand"` // the demand it is the satellite of
	Rung    Rung          `json:"rung"`   // where it starts, 1 to 4
	Unit    orgs.UnitCode `json:"unit"`   // where the matter lies; it stays when the dispute climbs
	Parties []Party       `json:"parties,omitempty"`
	RungDue calendar.Due  `json:"rung_due"`
}

// MediationAccepted records that a mediator took it up, with the consent of both parties (受理调解).
type MediationAccepted struct {
	Unit orgs.UnitCode `json:"unit"` // the mediator's
}

// MediationDeclined records that nobody mediates at this rung (不予调解).
type MediationDeclined struct {
	Reason   DeclineReason `json:"reason"`
	ReferDue calendar.Due  `json:"refer_due"`
}

// MediationSucceeded records that the parties agree (调解成功). The agreement itself is kept elsewhere.
type MediationSucceeded struct {
	Agreement string        `json:"agreement"`         // SHA-256 of the signed document, hexadecimal
	FulfilOn  calendar.Date `json:"fulfil_on"`         // the last day on which the agreement is kept in time
	Summary   sealed.Public `json:"summary,omitempty"` // what everyone may know of it
	FulfilDue calendar.Due  `json:"fulfil_due"`
}

// MediationFailed records that mediation at this rung led to nothing (调解不成).
type MediationFailed struct {
	Reason   sealed.Public `json:"reason,omitempty"` // "" = the time of the rung was over
	ReferDue calendar.Due  `json:"refer_due"`
}

// ReferredUp records that the next rung has it (上交), with a clock of its own.
type ReferredUp struct {
	Rung    Rung         `json:"rung"` // from now on, 2 to 4
	RungDue calendar.Due `json:"rung_due"`
}

// ReferredOut records that somebody outside the ladder has it (转外部).
type ReferredOut struct {
	Target  Target `json:"target"`
	Receipt string `json:"receipt"` // the number under which the target filed it
}

// Withdrawn records that it is not pursued any more (撤回).
type Withdrawn struct{}

// AgreementFulfilled records that the agreement was kept (已履行).
type AgreementFulfilled struct {
	Presumed bool `json:"presumed,omitempty"` // the day passed and nobody reported a breach; nobody confirmed it either
}

// AgreementBreached records that a party did not keep the agreement (反悔).
type AgreementBreached struct {
	Reason   sealed.Text  `json:"reason" part:"case"`
	ReferDue calendar.Due `json:"refer_due"`
}

// RungExtended records that both parties give the mediation more time, once at each rung (延长调解).
// RungDue takes the place of the due instant that ran; its OriginalDue is what was promised first.
type RungExtended struct {
	Amount  int          `json:"amount"` // in the kind of the due instant: natural days unless the policy says otherwise
	RungDue calendar.Due `json:"rung_due"`
}

// WarningRaised records that a due instant of the dispute comes near.
type WarningRaised rule.Warning

// ClockExpired records that a due instant passed with the step still owed.
type ClockExpired rule.Expiry

// Escalated records that the dispute has the attention of a higher level (升级, rule E5): it failed at the top rung, and nobody refers it out.
type Escalated rule.Escalation

// DeadlineRecomputed records that a due instant was counted anew, because a notice has arrived (rule R24) or an arbiter
// says so; the later of old and new holds.
type DeadlineRecomputed rule.Recount

// The stored names. They never change; a changed meaning is a new version.
func (Opened) EventType() string             { return "dispute-opened/1" }
func (MediationAccepted) EventType() string  { return "mediation-accepted/1" }
func (MediationDeclined) EventType() string  { return "mediation-declined/1" }
func (MediationSucceeded) EventType() string { return "mediation-succeeded/1" }
func (MediationFailed) EventType() string    { return "mediation-failed/1" }
func (ReferredUp) EventType() string         { return "dispute-referred-up/1" }
func (ReferredOut) EventType() string        { return "dispute-referred-out/1" }
func (Withdrawn) EventType() string          { return "dispute-withdrawn/1" }
func (AgreementFulfilled) EventType() string { return "agreement-fulfilled/1" }
func (AgreementBreached) EventType() string  { return "agreement-breached/1" }
func (RungExtended) EventType() string       { return "rung-extended/1" }
func (WarningRaised) EventType() string      { return "dispute-warning-raised/1" }
func (ClockExpired) EventType() string       { return "dispute-clock-expired/1" }
func (Escalated) EventType() string          { return "dispute-escalated/1" }
func (DeadlineRecomputed) EventType() string { return "dispute-deadline-recomputed/1" }
