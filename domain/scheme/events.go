// Package scheme decides how the rule book of an assessment (考核方案) comes about: drafted and amended by the evaluator's
// office, published with its hash after the validator and a second person agreed, retired when no period needs it.
//
// Once published it never changes (rule I10): the next version is a scheme of its own, on a stream of its own, that names
// the one it follows. Rules are numbered S1–S5 in [Machine].
package scheme

import (
	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Event is something that happened to a scheme.
type Event interface{ EventType() string }

// Drafted records that an evaluator's office begins a scheme (起草). It opens the stream. What it says need not hold
// together yet: that is asked when it is published.
type Drafted struct {
	Unit    orgs.UnitCode     `json:"unit"`             // district or city whose office it is: the scheme may be applied there and below
	Follows stream.ID         `json:"follows,omitzero"` // the published scheme whose next version this is; none: it begins a line
	Scheme  assessment.Scheme `json:"scheme"`
}

// Amended records another wording of a draft (修改). It is complete: nothing of the wording before is left.
type Amended struct {
	Scheme assessment.Scheme `json:"scheme"`
}

// Published records that the last wording is in force for periods that begin later (方案发布).
type Published struct {
	Version int    `json:"version"` // one more than that of the scheme it follows; two drafts that follow the same scheme may both get it: the hash tells them apart
	Hash    string `json:"hash"`    // SHA-256 of the canonical bytes of the wording, hexadecimal
}

// Discarded records that a draft comes to nothing (废弃).
type Discarded struct {
	Reason sealed.Public `json:"reason,omitempty"`
}

// Retired records that no further period may be settled by the scheme (停用). Those that were stay as they are.
type Retired struct {
	Reason sealed.Public `json:"reason,omitempty"`
}

// The stored names. They never change; a changed meaning is a new version.
func (Drafted) EventType() string   { return "scheme-drafted/1" }
func (Amended) EventType() string   { return "scheme-amended/1" }
func (Published) EventType() string { return "scheme-published/1" }
func (Discarded) EventType() string { return "scheme-discarded/1" }
func (Retired) EventType() string   { return "scheme-retired/1" }
