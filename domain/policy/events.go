// Package policy publishes what the city says about time and attention: which days are working days, how long a step
// may take, when a matter is lifted to a higher level (时限与升级政策).
//
// What was published is in force from its event's place in the log on, until the next version. No due instant that was
// recorded before changes (rule I3): each names the policy and the calendar it was computed with, and both can be had
// again from what was published, in [Published.Rules].
package policy

import (
	"slices"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// The streams. Each is one list of publications.
var (
	Calendar   = stream.Keyed(stream.Calendar, "cn")
	Deadlines  = stream.Keyed(stream.Policy, "deadline")
	Escalation = stream.Keyed(stream.Policy, "escalation")
)

// Event is a publication.
type Event interface{ EventType() string }

// CalendarPublished records that a notice of days off and make-up workdays is in force (放假通知): the yearly one, or a
// correction to it. Of two that name a date the later wins, whichever year they are about.
type CalendarPublished struct {
	Version    string              `json:"version"`              // the calendar's after it, as due instants name it: cn-2026#1
	Year       int                 `json:"year"`                 // it is about; dates of the neighbouring years may be among its days
	Source     string              `json:"source"`               // address of the notice
	Off        []calendar.Date     `json:"off"`                  // days off, as the notice names them
	Work       []calendar.Date     `json:"work,omitempty"`       // make-up workdays
	Occasions  []calendar.Occasion `json:"occasions,omitempty"`  // what the days are for
	Correction bool                `json:"correction,omitempty"` // the year had a notice before
	Reason     sealed.Public       `json:"reason,omitempty"`     // of a correction
}

// DeadlinesPublished records that a version of the deadline policy is in force (时限政策).
type DeadlinesPublished struct {
	Policy Table         `json:"policy"`
	Reason sealed.Public `json:"reason,omitempty"` // for the change; none with the first version
}

// EscalationPublished records that a version of the escalation policy is in force (升级政策).
type EscalationPublished struct {
	Policy escalation.Policy `json:"policy"`
	Reason sealed.Public     `json:"reason,omitempty"` // for the change; none with the first version
}

// The stored names. They never change; a changed meaning is a new version.
func (CalendarPublished) EventType() string   { return "calendar-published/1" }
func (DeadlinesPublished) EventType() string  { return "deadline-policy-published/1" }
func (EscalationPublished) EventType() string { return "escalation-policy-published/1" }

func (e CalendarPublished) reason() sealed.Public   { return e.Reason }
func (e DeadlinesPublished) reason() sealed.Public  { return e.Reason }
func (e EscalationPublished) reason() sealed.Public { return e.Reason }

// notice returns what was published.
func (e CalendarPublished) notice() calendar.Notice {
	return calendar.Notice{Year: e.Year, Source: e.Source, Off: e.Off, Work: e.Work, Occasions: e.Occasions}
}

// Table is a deadline policy written down: lists in place of maps, in the order of [calendar.Windows] and
// [calendar.Caps], so that equal policies are equal bytes.
type Table struct {
	Name         string               `json:"name"`
	Version      int                  `json:"version"` // ≥ 1
	Rows         []calendar.Row       `json:"rows"`
	HandleTable  calendar.HandleTable `json:"handle_table"`
	HandleByKind []calendar.Row       `json:"handle_by_kind"` // in force when handle_table is by_kind
	Windows      []WindowRow          `json:"windows"`
	Caps         []CapRow             `json:"caps"`
	Attempts     int                  `json:"attempts"` // failed callback attempts that waive it (D18)
	Service      []calendar.Segment   `json:"service"`
	Missing      calendar.Missing     `json:"missing"`
	Settle       calendar.Settling    `json:"settle"`
	NaturalRoll  calendar.Roll        `json:"natural_roll"`
	DayEnd       calendar.DayEnd      `json:"day_end"`
}

// WindowRow is how long something may still be done, or still counts.
type WindowRow struct {
	Window calendar.Window `json:"window"`
	Amount calendar.Amount `json:"amount"`
}

// CapRow is how far ahead a person may set a date, or how much may be added.
type CapRow struct {
	Cap  calendar.Cap `json:"cap"`
	Days int          `json:"days"` // natural days
}

// Written returns a policy as it is written down. Windows and caps that no policy may have are left out.
func Written(p *calendar.Policy) Table {
	t := Table{Name: p.Name, Version: p.Version, Rows: p.Rows, HandleTable: p.HandleTable, HandleByKind: p.HandleByKind, Attempts: p.Attempts,
		Service: p.Service, Missing: p.Missing, Settle: p.Settle, NaturalRoll: p.NaturalRoll, DayEnd: p.DayEnd}
	for _, w := range calendar.Windows() {
		if a, given := p.Windows[w]; given {
			t.Windows = append(t.Windows, WindowRow{w, a})
		}
	}
	for _, c := range calendar.Caps() {
		if n, given := p.Caps[c]; given {
			t.Caps = append(t.Caps, CapRow{c, n})
		}
	}
	return t
}

// Policy returns the policy that the table is of, in memory of its own.
func (t Table) Policy() *calendar.Policy {
	p := &calendar.Policy{Name: t.Name, Version: t.Version, Rows: slices.Clone(t.Rows), HandleTable: t.HandleTable, HandleByKind: slices.Clone(t.HandleByKind),
		Windows: map[calendar.Window]calendar.Amount{}, Caps: map[calendar.Cap]int{}, Attempts: t.Attempts, Service: slices.Clone(t.Service),
		Missing: t.Missing, Settle: t.Settle, NaturalRoll: t.NaturalRoll, DayEnd: t.DayEnd}
	for _, w := range t.Windows {
		p.Windows[w.Window] = w.Amount
	}
	for _, c := range t.Caps {
		p.Caps[c.Cap] = c.Days
	}
	return p
}

// doubled names a window or cap that the table gives twice, "" if none is: a policy could not tell.
func (t Table) doubled() string {
	for i, w := range t.Windows {
		if slices.ContainsFunc(t.Windows[:i], func(x WindowRow) bool { return x.Window == w.Window }) {
			return string(w.Window)
		}
	}
	for i, c := range t.Caps {
		if slices.ContainsFunc(t.Caps[:i], func(x CapRow) bool { return x.Cap == c.Cap }) {
			return string(c.Cap)
		}
	}
	return ""
}
