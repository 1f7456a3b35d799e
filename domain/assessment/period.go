package assessment

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// Period is what an assessment is computed over, as the stream of the period and the organisation tell it at the cut-off.
type Period struct {
	ID           stream.ID
	Jurisdiction orgs.UnitCode // the district (or city) whose streets rate
	First, Last  calendar.Date // days of the period, both included, in city time
	Base         calendar.Date // the day that load is compared with
	Units        []Rated       // who is assessed, by code
	Streets      []Street      // who rates, by code
	Evaluations  []Evaluation  // the one in force of each street and unit, by street and unit
	Exclusions   []Exclusion   // by number
	Objections   []Objection   // by number
	Others       []Other       // by unit
	Earlier      []Earlier     // periods of the same jurisdiction and scheme that ended before this one began, by first day
	Sealed       []Sealed      // what those of the same year were sealed with, by unit and first day (choice year.mix)
}

// Earlier is a period before this one: a leg that was reported and not yet verified at its cut-off counts in the next one (choice pending.as).
type Earlier struct {
	First, Last calendar.Date
	Cutoff      time.Time // recorded
}

// Sealed is the score that the streets gave a unit in an earlier period.
type Sealed struct {
	Unit        orgs.UnitCode
	First, Last calendar.Date
	Score       Fraction // exact, not as printed
}

// Rated is a unit that is assessed.
type Rated struct {
	Unit     orgs.UnitCode
	Name     string
	Kind     orgs.Kind
	District orgs.UnitCode // in which it lies; "" above the districts
	Parent   orgs.UnitCode // the department of an agency
	Host     orgs.UnitCode // the street of an agency
}

// Street is a unit that rates.
type Street struct {
	Unit       orgs.UnitCode
	Name       string
	District   orgs.UnitCode
	Households int
	Grids      int
}

// Evaluation is what a street says of a unit for a period (评价).
type Evaluation struct {
	Street  orgs.UnitCode
	Unit    orgs.UnitCode
	Items   []Given // one for each item of the form, in its order
	Comment string  // required below 60 and above 95 points of 100
	At      time.Time
}

// Given is what one item of a form was given.
type Given struct {
	Code   string  `json:"code"`
	Points Decimal `json:"points"` // in half points, 0 … the item's points
}

// Case names an item of a cohort: a demand, a leg, a summons, a dispute.
type Case struct {
	Stream stream.Name   `json:"stream"`
	Leg    int           `json:"leg,omitzero"`   // of an order
	Unit   orgs.UnitCode `json:"unit,omitempty"` // of a whistle
}

// Verdict is what an upheld objection makes of an item.
type Verdict string

// The verdicts.
const (
	Counts  Verdict = "counts"   // it is in the numerator
	Fails   Verdict = "fails"    // it is in the cohort, not in the numerator
	LeftOut Verdict = "left_out" // it is not in the cohort
)

// Exclusion asks that an item be left out (剔除).
type Exclusion struct {
	Number     int
	Case       Case
	Indicators []Indicator // in which it is left out; empty = all
	Reason     Reason
	Status     Status
}

// Objection contests a fact, a card, an evaluation or an exclusion (申诉).
type Objection struct {
	Number    int
	Case      Case
	Indicator Indicator
	Verdict   Verdict // if upheld
	Status    Status
}

// Status is where a request stands.
type Status string

// The statuses.
const (
	Undecided Status = "undecided"
	Granted   Status = "granted" // approved, upheld
	Refused   Status = "refused" // refused, rejected
)

// Other is the part of an annual score that is not the streets' (OtherScoreImported).
type Other struct {
	Unit     orgs.UnitCode
	Score    Decimal
	Document string // SHA-256 of the document it was taken from
}
