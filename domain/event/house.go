package event

import (
	"time"

	"gridcase/domain/orgs"
)

// LogOpened is the first event of every log (stream gridcase.integrity, revision 0): which log this is.
type LogOpened struct {
	Origin      string `json:"origin"`       // gridcase.<city>/<deployment>/<incarnation>
	Prefix      string `json:"prefix"`       // of the streams that are leaves: "gridcase."
	LeafVersion int    `json:"leaf_version"` // 1
	ServiceKey  string `json:"service_vkey"` // verifier key of the service, as in a signed note
}

// RoleGranted records that a key may act in a role at a unit, so that "who was allowed what then" is in the log.
type RoleGranted struct {
	Role  orgs.Role     `json:"role"`
	Unit  orgs.UnitCode `json:"unit"`
	Until time.Time     `json:"until,omitzero"`
}

// RoleRevoked records that a key may not act any more.
type RoleRevoked struct {
	Reason string `json:"reason"` // expired, revoked
}

// NumbersReserved claims a run of case numbers of one county and day, appended with "expect none":
// no two nodes hold the same run. Unused numbers are gaps; none is ever used twice.
type NumbersReserved struct {
	County orgs.UnitCode `json:"county"`
	Day    string        `json:"day"` // 20261116, local date
	First  int           `json:"first"`
	Last   int           `json:"last"`
}

// PersonalDataRead records who opened whose sealed fields, and for what, before anything was shown.
type PersonalDataRead struct {
	Actor   string        `json:"actor"`
	Role    orgs.Role     `json:"role"`
	Unit    orgs.UnitCode `json:"unit"`
	Streams []string      `json:"streams"` // whose fields
	Fields  []string      `json:"fields"`
	Purpose string        `json:"purpose"`
	Request string        `json:"request"`
}

// SaltCommitted fixes the verification draw of a month before anybody can know it: the hash of its salt.
type SaltCommitted struct {
	Month string `json:"month"` // 2026-11, local
	Hash  string `json:"hash"`  // SHA-256 of the salt, hexadecimal
}

// SaltRevealed publishes the salt of a month that has ended, so that anybody can repeat the draw.
type SaltRevealed struct {
	Month string `json:"month"`
	Salt  string `json:"salt"` // 16 bytes, hexadecimal
}

// NodeCheckedIn records that a program that serves this log compared its clock with the log's: the log's own time of this
// event against ours before and after it. A node writes one when an alarm is due and it can not tell whether its clock is
// right; a node that only reads writes none.
type NodeCheckedIn struct {
	Program string `json:"program"` // version
}

// The stored names. They never change; a changed meaning is a new version.
func (LogOpened) EventType() string        { return "log-opened/1" }
func (RoleGranted) EventType() string      { return "role-granted/1" }
func (RoleRevoked) EventType() string      { return "role-revoked/1" }
func (NumbersReserved) EventType() string  { return "numbers-reserved/1" }
func (PersonalDataRead) EventType() string { return "personal-data-read/1" }
func (SaltCommitted) EventType() string    { return "verify-salt-committed/1" }
func (SaltRevealed) EventType() string     { return "verify-salt-revealed/1" }
func (NodeCheckedIn) EventType() string    { return "node-checked-in/1" }
