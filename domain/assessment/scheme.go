// Package assessment computes what streets' evaluations and the log say of the units that served them (考核).
//
// Everything is exact: counts are integers, points and shares are [Decimal], scores are fractions, and a figure is rounded once,
// half up, when it is printed. The package knows no clock, no store and no event: it is given [Facts], a [Scheme] and what the period says.
package assessment

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

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

// The reasons that the rule book knows (§7.8); a scheme says which of them it accepts.
const (
	UnreasonableDemand Reason = "unreasonable_demand"
	OutOfDuty          Reason = "out_of_duty"
	MisdispatchProven  Reason = "misdispatch_proven"
	ForceMajeure       Reason = "force_majeure"
	MistakenRating     Reason = "malicious_or_mistaken_rating"
	SystemFailure      Reason = "system_failure"
	Duplicate          Reason = "duplicate"
)

// Reasons returns all reasons, in the order of the rule book.
func Reasons() []Reason {
	return []Reason{UnreasonableDemand, OutOfDuty, MisdispatchProven, ForceMajeure, MistakenRating, SystemFailure, Duplicate}
}

// Name is the name of a choice where the rules can be read in more than one way, such as "aggregate".
type Name string

// Default returns the scheme of the rule book (§7.4): the streets' evaluation is 20 % of a department's annual score and 50 % of an agency's.
func Default() Scheme {
	linear := func(i Indicator, points int) Item { return Item{Indicator: i, Points: Whole(points), Shape: Linear} }
	return Scheme{
		Name:  "街道评价职能部门和派驻机构",
		Basis: "街道对职能部门的评价占年度绩效考核20%以上、对派驻机构占50%以上",
		Subjects: []Subject{
			{Kind: orgs.Department, Weight: Whole(20)},
			{Kind: orgs.Agency, Weight: Whole(50)},
		},
		Raters:    orgs.Street,
		Every:     Monthly,
		Objective: []Item{linear(OnTime, 30), linear(Resolution, 25), linear(Satisfaction, 25), linear(ReportIn, 20)},
		Form: []FormItem{
			{"service", "服务中心", Whole(20)},
			{"duty", "履行职能", Whole(20)},
			{"conduct", "作风效能", Whole(30)},
			{"team", "队伍建设", Whole(30)},
		},
		Share:   Whole(50),
		Other:   Whole(100),
		Reasons: Reasons(),
		Choices: Defaults(),
	}
}

// Canonical returns the bytes that identify a scheme: the JSON of the struct as encoding/json writes it, without spaces, members in the order
// of the declaration, the choices by name, and <, >, & as \u003c, \u003e, \u0026.
func Canonical(s Scheme) ([]byte, error) { return json.Marshal(s) }

// Hash returns the SHA-256 of the canonical bytes, in hexadecimal. Two schemes that differ in anything differ in it.
func Hash(s Scheme) (string, error) {
	b, err := Canonical(s)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
