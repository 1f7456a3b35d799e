// Package assessment computes what streets' evaluations and the log say of the units that served them (考核).
//
// Everything is exact: counts are integers, points and shares are [Decimal], scores are fractions, and a figure is rounded once,
// half up, when it is printed. The package knows no clock, no store and no event: it is given [Facts], a [Scheme] and what the period says.
package assessment

import (
	"gridcase/domain/orgs"
)

// Scheme is the rule book of an assessment, as data. Its JSON is frozen: it is what SchemeDrafted records and what the hash is of.
type Scheme struct {
	Name       string          `json:"name"`
	Basis      string          `json:"basis"`    // the legal basis it cites
	Subjects   []Subject       `json:"subjects"` // who is assessed, and with what weight
	Raters     orgs.Kind       `json:"raters"`   // who rates: street
	Every      Cycle           `json:"every"`
	Objective  []Item          `json:"objective"`            // points sum to 100
	Form       []FormItem      `json:"form"`                 // points sum to 100
	Share      Decimal         `json:"share"`                // a: of the objective part in a street's evaluation, per cent
	Deductions []Item          `json:"deductions,omitempty"` // shape per_event
	Bonuses    []Item          `json:"bonuses,omitempty"`    // shape bonus
	Other      Decimal         `json:"other"`                // attainable points of the other part of the annual score, bonus included; 100 without
	Reasons    []Reason        `json:"reasons"`              // for which an item may be left out
	Choices    map[Name]string `json:"choices"`              // a value for every name of [Choices]; some take a number, "min_sample" is one: "5", "flag:10"
}

// Cycle is how often a scheme is settled.
type Cycle string

// The cycles.
const (
	Monthly   Cycle = "month"
	Quarterly Cycle = "quarter"
	Yearly    Cycle = "year"
)

// Subject is a kind of unit that is assessed.
type Subject struct {
	Kind   orgs.Kind `json:"kind"`
	Weight Decimal   `json:"weight"`         // w: of the streets' evaluation in the annual score, per cent; floors are 20 for a department, 50 for an agency
	Sheet  Decimal   `json:"sheet,omitzero"` // of a points sheet: all its attainable points, bonus included; Weight is then the streets' points of it
}

// Item is one line of the objective part, a deduction or a bonus.
type Item struct {
	Indicator Indicator `json:"indicator"` // for deductions and bonuses: the event counted
	Points    Decimal   `json:"points"`    // the most it gives; for per_event and bonus the cap
	Shape     Shape     `json:"shape"`
	Target    Decimal   `json:"target,omitzero"` // per cent, for target
	K         Decimal   `json:"k,omitzero"`      // points per missing percentage point
	Floor     Decimal   `json:"floor,omitzero"`
	Step      Step      `json:"step,omitempty"`
	Bands     []Band    `json:"bands,omitempty"`
	Each      Decimal   `json:"each,omitzero"` // per event, for per_event and bonus
	From      int       `json:"from,omitzero"` // from this event on …
	Then      Decimal   `json:"then,omitzero"` // … so much each
}

// Band gives its points from its bound on.
type Band struct {
	From   Decimal `json:"from"` // per cent, inclusive
	Points Decimal `json:"points"`
}

// Shape is how a value becomes points.
type Shape string

// The shapes.
const (
	Linear   Shape = "linear"
	Target   Shape = "target"
	Banded   Shape = "banded"
	PerEvent Shape = "per_event"
	Bonus    Shape = "bonus"
)

// Step is how a started percentage point below the target counts.
type Step string

// The steps.
const (
	Prorated  Step = "prorated"
	Started   Step = "started"
	Completed Step = "completed"
)

// FormItem is one line of the rating form.
type FormItem struct {
	Code   string  `json:"code"` // latin lower case, stable
	Name   string  `json:"name"` // as printed on the form
	Points Decimal `json:"points"`
}

// Indicator is the id of an indicator, such as "on_time".
type Indicator string

// Reason is why an item is left out of a cohort on request (剔除).
type Reason string

// Name is the name of a choice where the rules can be read in more than one way, such as "aggregate".
type Name string
