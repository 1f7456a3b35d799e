// Package period decides how an assessment is settled (考核周期): a published scheme is applied to a jurisdiction and some
// days, counting stops at a cut-off, streets evaluate, provisional figures are shown, exclusions and objections are decided
// by somebody who does not benefit, and the result is sealed. What comes to light later gives a revision; a sealed figure
// never changes (rule I11).
//
// The machine computes nothing: figures are handed in by whoever asks for the seal, and anybody who has the log can compute
// them again. Rules are numbered Q1–Q6 in [Machine].
package period

import (
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Event is something that happened to a period.
type Event interface{ EventType() string }

// Opened records that a scheme is applied to a jurisdiction for some days (周期开始). It opens the stream, whose name is
// derived from jurisdiction, scheme and days: there is one such period at most.
type Opened struct {
	Jurisdiction orgs.UnitCode `json:"jurisdiction"` // the district, or the city, whose streets rate
	Scheme       stream.ID     `json:"scheme"`
	Version      int           `json:"version"` // of the scheme
	Hash         string        `json:"hash"`    // of its canonical bytes: the scheme that was meant, whatever is shown later
	First        calendar.Date `json:"first"`
	Last         calendar.Date `json:"last"`    // included
	EndsAt       time.Time     `json:"ends_at"` // the last second that the clock waits for: the end of the last day, and the late window for what is recorded late
	Policy       string        `json:"policy"`  // that gave the late window …
	PolicyNo     int           `json:"policy_version"`
}

// Ended records that counting is over (计量截止). The position of this very event in the log is the cut-off: what stands
// after it does not count, whenever it is said to have happened.
type Ended struct {
	EndsAt     time.Time    `json:"ends_at"`
	LateBy     int          `json:"late_by,omitempty"` // seconds after that until the machine said so: its own lateness
	Evaluation calendar.Due `json:"evaluation"`        // until when streets may hand in their evaluations
}

// ProvisionalPublished records that figures were shown to the units they are about (预公示). Evaluations count if they stand
// before the first such event in the log.
type ProvisionalPublished struct {
	Number    int          `json:"number"`            // 1, and one more each time they change
	Figures   int          `json:"figures"`           // how many
	Results   string       `json:"results"`           // SHA-256 of the results, hexadecimal: they are computed from the log, not stored
	Cohort    string       `json:"cohort"`            // SHA-256 of the list of every item with its verdict, hexadecimal
	Missing   int          `json:"missing,omitempty"` // evaluations that were due and did not come
	Objection calendar.Due `json:"objection"`         // until when they may be contested
}

// FiguresRecorded records some of the figures that a seal or revision is about, which follows, mostly in the same append. Figures
// that no seal of the same results follows mean nothing.
type FiguresRecorded struct {
	Revision int      `json:"revision"` // that they belong to; 1 is the seal
	Results  string   `json:"results"`  // SHA-256 of the whole, as the seal has it
	From     int      `json:"from"`     // how many figures of it were recorded before these
	Figures  []Figure `json:"figures"`  // of the seal all; of a revision those that changed
}

// Figure is one number of the result: exact, and as it is printed.
type Figure struct {
	Unit    orgs.UnitCode `json:"unit"`             // it is about
	Street  orgs.UnitCode `json:"street,omitempty"` // whose view of the unit it is; "" = over all streets
	Name    string        `json:"name"`             // of the indicator or the part of the score
	N       string        `json:"n,omitempty"`      // exact numerator, a decimal integer …
	D       string        `json:"d,omitempty"`      // … and denominator, above 0; both absent: there is no value, "—"
	Printed string        `json:"printed"`          // rounded once
	Was     *Value        `json:"was,omitempty"`    // in a revision: before it; absent for a figure that is new
	Gone    bool          `json:"gone,omitempty"`   // in a revision: the figure is no more
}

// Value is what a figure was.
type Value struct {
	N       string `json:"n,omitempty"`
	D       string `json:"d,omitempty"`
	Printed string `json:"printed"`
}

// Sealed records the result for ever (封存): everything that is needed to compute it again and find the same bytes. The
// figures themselves stand in the [FiguresRecorded] events before it.
type Sealed struct {
	Scheme   stream.ID     `json:"scheme"`
	Version  int           `json:"version"` // of the scheme
	Hash     string        `json:"hash"`    // of the scheme
	CutOff   int64         `json:"cut_off"` // position in the log of the period's end
	CutOffAt time.Time     `json:"cut_off_at"`
	Calendar string        `json:"calendar"` // in force at the cut-off: "cn-2026#1"
	Policy   string        `json:"policy"`   // the deadline policy in force at the cut-off …
	PolicyNo int           `json:"policy_version"`
	Program  string        `json:"program"` // version of the program that computed it
	Root     string        `json:"root"`    // Merkle root of the log at the cut-off, hexadecimal …
	Leaves   int64         `json:"leaves"`  // … and its size: the number of events up to there
	Figures  int           `json:"figures"` // how many
	Results  string        `json:"results"` // SHA-256 of them, hexadecimal
	Items    int           `json:"items"`   // lines of the cohort list
	Cohort   string        `json:"cohort"`  // SHA-256 of the list "indicator|unit|item|numerator 0/1|reason", sorted, hexadecimal
	Units    int           `json:"units"`   // that are assessed
	Blank    int           `json:"unassessed,omitempty"`
	Ruling   sealed.Public `json:"ruling,omitempty"` // why the period is sealed although some units have no score
}

// RevisionSealed records a corrected result beside the ones before it, which stay readable (修订). It was computed from the
// log up to another cut-off. The [FiguresRecorded] events before it hold what changed, figure by figure.
type RevisionSealed struct {
	Revision int           `json:"revision"` // 2, 3, …: the seal was the first
	Cause    Cause         `json:"cause"`
	Reason   sealed.Public `json:"reason"`
	CutOff   int64         `json:"cut_off"`
	CutOffAt time.Time     `json:"cut_off_at"`
	Program  string        `json:"program"`
	Root     string        `json:"root"`
	Leaves   int64         `json:"leaves"`
	Changed  int           `json:"changed"` // figures that differ from the revision before
	Figures  int           `json:"figures"` // of the whole result now
	Results  string        `json:"results"`
	Items    int           `json:"items"`
	Cohort   string        `json:"cohort"`
}

// Cause is why a sealed result is revised.
type Cause string

// The causes.
const (
	LateFact   Cause = "late_fact"  // something was recorded after the cut-off; if the scheme says that it is not for the next period
	Correction Cause = "correction" // the result was computed or decided wrongly
)

// Voided records that the period comes to no result (作废).
type Voided struct {
	Reason sealed.Public `json:"reason"`
}

// ExclusionRequested records that a street or a unit asks for an item to be left out (申请剔除).
type ExclusionRequested struct {
	Number     int                    `json:"number"` // within the period, from 1
	Case       assessment.Case        `json:"case"`
	Indicators []assessment.Indicator `json:"indicators,omitempty"` // in which it is to be left out; none = in all
	Reason     assessment.Reason      `json:"reason"`               // a code of the scheme
	Account    sealed.Public          `json:"account"`              // why, in words
	By         orgs.UnitCode          `json:"by"`
	Bodies     []orgs.UnitCode        `json:"bodies,omitempty"` // who handled the item: none of them decides (rule I2)
}

// ExclusionApproved records that an item is left out (同意剔除). It stays printed beside the rate.
type ExclusionApproved struct {
	Number int           `json:"number"`
	Reason sealed.Public `json:"reason,omitempty"`
}

// ExclusionRefused records that an item counts (不予剔除).
type ExclusionRefused struct {
	Number int           `json:"number"`
	Reason sealed.Public `json:"reason"`
}

// ObjectionFiled records that a street or a unit contests what was shown of an item (提出申诉).
type ObjectionFiled struct {
	Number    int                  `json:"number"` // within the period, from 1
	Case      assessment.Case      `json:"case"`   // a case, or the evaluation that is contested
	Indicator assessment.Indicator `json:"indicator,omitempty"`
	Verdict   assessment.Verdict   `json:"verdict"` // that is asked for
	Ground    sealed.Public        `json:"ground"`
	By        orgs.UnitCode        `json:"by"`
	Bodies    []orgs.UnitCode      `json:"bodies,omitempty"` // who handled the item, or rated and was rated: none of them decides (rule I2)
	Decision  calendar.Due         `json:"objection_decision"`
}

// ObjectionUpheld records that the item counts otherwise (申诉成立). The case itself gets a correcting event, never an edit.
type ObjectionUpheld struct {
	Number  int                `json:"number"`
	Verdict assessment.Verdict `json:"verdict"` // that was found, not always the one asked for
	Reason  sealed.Public      `json:"reason"`
}

// ObjectionRejected records that what was shown stands (申诉驳回).
type ObjectionRejected struct {
	Number int           `json:"number"`
	Reason sealed.Public `json:"reason"`
}

// OtherScoreImported records the part of a unit's annual score that is not the streets' (其他得分). A later one replaces it.
type OtherScoreImported struct {
	Unit     orgs.UnitCode      `json:"unit"`
	Score    assessment.Decimal `json:"score"`
	Document string             `json:"document"` // SHA-256 of the document it was taken from, hexadecimal
}

// WarningRaised records that a due instant of the period comes near.
type WarningRaised rule.Warning

// ClockExpired records that a due instant of the period passed.
type ClockExpired rule.Expiry

// The stored names. They never change; a changed meaning is a new version.
func (Opened) EventType() string               { return "period-opened/1" }
func (Ended) EventType() string                { return "period-ended/1" }
func (ProvisionalPublished) EventType() string { return "provisional-published/1" }
func (FiguresRecorded) EventType() string      { return "figures-recorded/1" }
func (Sealed) EventType() string               { return "period-sealed/1" }
func (RevisionSealed) EventType() string       { return "revision-sealed/1" }
func (Voided) EventType() string               { return "period-voided/1" }
func (ExclusionRequested) EventType() string   { return "exclusion-requested/1" }
func (ExclusionApproved) EventType() string    { return "exclusion-approved/1" }
func (ExclusionRefused) EventType() string     { return "exclusion-refused/1" }
func (ObjectionFiled) EventType() string       { return "objection-filed/1" }
func (ObjectionUpheld) EventType() string      { return "objection-upheld/1" }
func (ObjectionRejected) EventType() string    { return "objection-rejected/1" }
func (OtherScoreImported) EventType() string   { return "other-score-imported/1" }
func (WarningRaised) EventType() string        { return "period-warning-raised/1" }
func (ClockExpired) EventType() string         { return "period-clock-expired/1" }
