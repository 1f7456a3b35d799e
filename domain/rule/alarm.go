package rule

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
)

// Alarm is what the clock does next on a stream: Command, once, not before At. Whoever carries it out gives it
// the key [Alarm.Key], so any number of nodes may try and one event results (rule I15).
type Alarm struct {
	At      time.Time // the first whole second at which it may happen: one after a due second
	Due     time.Time // the instant that came due, or from which the clock could strike if that was later; how late a machine was is counted from here
	ID      string    // of the due instant
	Step    string    // what of it: "warning/1", "expiry", "step/1", …
	Command any       // of the stream's machine
}

// Key is the idempotency key of the alarm: the same on every node, for ever. No caller of the API may use a key
// that begins with [AlarmKey].
func (a Alarm) Key() string { return AlarmKey + a.ID + "/" + a.Step }

// AlarmKey begins the key of every alarm.
const AlarmKey = "deadline/"

// ClockID is the actor of what the clock does. Two warnings that are late are asked for in the same words at the same
// moment: a machine does not take the second for a repeat of the first. The key of the alarm tells a repeat.
const ClockID = "clock"

// Earliest returns the first of some alarms, false if there is none.
func Earliest(as []Alarm) (Alarm, bool) {
	if len(as) == 0 {
		return Alarm{}, false
	}
	return slices.MinFunc(as, func(a, b Alarm) int { return a.At.Compare(b.At) }), true
}

// Warning says that a due instant comes near. Each machine stores it under a name of its own.
type Warning struct {
	ID     string         `json:"id"` // of the due instant
	Clock  calendar.Clock `json:"clock"`
	Number int            `json:"warning"` // 1, 2: which of that due instant
	WarnAt time.Time      `json:"warn_at"` // when it was to be given
	Due    time.Time      `json:"due"`
	LateBy int            `json:"late_by,omitempty"` // seconds after WarnAt: the machine's own lateness
}

// Expiry says that a due instant passed with the step still owed. Each machine stores it under a name of its own.
type Expiry struct {
	ID     string         `json:"id"` // of the due instant
	Clock  calendar.Clock `json:"clock"`
	Due    time.Time      `json:"due"`
	LateBy int            `json:"late_by,omitempty"` // seconds until the machine said so, after Due or, if that was later, after the clock could strike again: its own lateness
	Next   time.Time      `json:"next,omitzero"`     // when rule E2 lifts it further if it is still open; zero: never
}

// Escalation says that a matter has the attention of a higher level (升级). Each machine stores it under a name of its own.
type Escalation struct {
	From   orgs.Level    `json:"from"`
	To     orgs.Level    `json:"to"`            // above From
	Top    orgs.Level    `json:"top,omitempty"` // the last level of the district's ladder then: at To = Top nothing lifts it further
	Unit   orgs.UnitCode `json:"unit"`          // at that level, above the one that owes the step: its leader answers for it now
	Rule   string        `json:"rule"`          // E1–E8
	ID     string        `json:"id,omitempty"`  // of the due instant behind it, if there is one
	Due    time.Time     `json:"due,omitzero"`
	Step   int           `json:"step,omitempty"`    // E2: which further step
	Count  int           `json:"count,omitempty"`   // E3, E6–E8: what was counted when the threshold was met; E8: suspensions, beside a resumption natural days
	LateBy int           `json:"late_by,omitempty"` // seconds after Due, or after the step was to be taken
	Next   time.Time     `json:"next,omitzero"`     // when rule E2 lifts it further if it is still open; zero: never
}

// Fired is what one due instant has made the clock do so far.
type Fired struct {
	ID      string
	Warned  int  // warnings given
	Expired bool // its expiry is in the log
	Steps   int  // further steps of rule E2
	Next    time.Time
	Since   time.Time // before this the clock could not strike: it began again then, or was held until then; zero: from its start
}

// From returns when an instant counts: at itself, or when the clock could strike again if that was later.
func (f Fired) From(t time.Time) time.Time {
	if t.Before(f.Since) {
		return f.Since
	}
	return t
}

// Firings are the due instants of a stream that made the clock do something, or kept it from it, in the order of their
// first. The zero value is none. Those of clocks that stopped stay: a clock that starts again where it stood keeps its id and what it fired.
type Firings []Fired

// Of returns what a due instant did so far.
func (fs Firings) Of(id string) Fired {
	if i := slices.IndexFunc(fs, func(f Fired) bool { return f.ID == id }); i >= 0 {
		return fs[i]
	}
	return Fired{ID: id}
}

// with returns the firings with one changed; the receiver stays as it is.
func (fs Firings) with(id string, change func(*Fired)) Firings {
	out := slices.Clone(fs)
	i := slices.IndexFunc(out, func(f Fired) bool { return f.ID == id })
	if i < 0 {
		out, i = append(out, Fired{ID: id}), len(out)
	}
	change(&out[i])
	return out
}

// Warned returns the firings after a warning.
func (fs Firings) Warned(w Warning) Firings {
	return fs.with(w.ID, func(f *Fired) { f.Warned = max(f.Warned, w.Number) })
}

// Expired returns the firings after an expiry.
func (fs Firings) Expired(e Expiry) Firings {
	return fs.with(e.ID, func(f *Fired) { f.Expired, f.Next = true, e.Next })
}

// Stepped returns the firings after an escalation; one of another rule than E2 changes nothing.
func (fs Firings) Stepped(e Escalation) Firings {
	if e.Step == 0 {
		return fs
	}
	return fs.with(e.ID, func(f *Fired) { f.Steps, f.Next = e.Step, e.Next })
}

// Delayed returns the firings with the next step of a due instant moved on: its clock stood still for so long.
func (fs Firings) Delayed(id string, by time.Duration) Firings {
	if fs.Of(id).Next.IsZero() || by <= 0 {
		return fs
	}
	return fs.with(id, func(f *Fired) { f.Next = f.Next.Add(by.Truncate(time.Second)) })
}

// Held returns the firings after a due instant was held back until an instant: nothing of it struck while it was (rule I4).
func (fs Firings) Held(id string, until time.Time) Firings {
	return fs.with(id, func(f *Fired) { f.Since = until.Truncate(time.Second) })
}

// Began returns the firings after a clock began to run again, or to another due instant. Warnings that lie before are
// not given any more.
func (fs Firings) Began(d calendar.Due, at time.Time) Firings {
	return fs.Held(d.ID, at).with(d.ID, func(f *Fired) { f.pass(d, at) })
}

// pass passes over the warnings that lie before an instant.
func (f *Fired) pass(d calendar.Due, at time.Time) {
	for f.Warned < len(d.WarnAt) && !d.WarnAt[f.Warned].After(at) {
		f.Warned++
	}
}

// Strikes are a machine's commands for the clock. Each may be nil, or answer nil: then nothing happens.
type Strikes struct {
	Warn   func(id string) any
	Expire func(d calendar.Due) any
	Step   func(id string) any // rule E2
}

// Alarms lists what the running clocks do next, one alarm for each that does anything, in the order in which they
// were started. A warning that comes late, after its due even, is given all the same: the log then shows how late.
func (cs Clocks) Alarms(fs Firings, do Strikes) []Alarm {
	var as []Alarm
	for _, d := range cs {
		f := fs.Of(d.ID)
		a := Alarm{ID: d.ID}
		switch {
		case !f.Expired && f.Warned < len(d.WarnAt) && do.Warn != nil:
			a.Due, a.Step, a.Command = d.WarnAt[f.Warned], fmt.Sprintf("warning/%d", f.Warned+1), do.Warn(d.ID)
			a.At = a.Due // the very second: a warning is no reproach
		case !f.Expired && do.Expire != nil:
			a.Due, a.Step, a.Command = f.From(d.Due), "expiry", do.Expire(d)
			a.At = a.Due.Add(time.Second)
		case f.Expired && !f.Next.IsZero() && do.Step != nil:
			a.Due, a.Step, a.Command = f.From(f.Next), fmt.Sprintf("step/%d", f.Steps+1), do.Step(d.ID)
			a.At = a.Due.Add(time.Second)
		}
		if a.Command != nil {
			as = append(as, a)
		}
	}
	return as
}

// byID returns a running clock by the id of its due instant.
func (cs Clocks) byID(id string) (calendar.Due, bool) {
	if i := slices.IndexFunc(cs, func(d calendar.Due) bool { return d.ID == id }); i >= 0 {
		return cs[i], true
	}
	return calendar.Due{}, false
}

// early refuses the clock before its time: no alarm is ever early.
func early(when time.Time) *Refusal {
	return Refuse(GuardFailed, "I15", "未到时限 "+when.In(calendar.Zone()).Format("2006-01-02 15:04:05"),
		"it is not due before "+when.In(calendar.Zone()).Format("2006-01-02 15:04:05"))
}

// LateBy is the machine's lateness in whole seconds.
func LateBy(at At, when time.Time) int { return max(0, int(at.Recorded.Sub(when)/time.Second)) }

// Warn decides the next warning of a due instant: nil if its clock no longer runs or has nothing left to warn of.
func (cs Clocks) Warn(fs Firings, id string, at At) (*Warning, *Refusal) {
	d, runs := cs.byID(id)
	f := fs.Of(id)
	if !runs || f.Expired || f.Warned >= len(d.WarnAt) {
		return nil, nil
	}
	if at.Recorded.Before(d.WarnAt[f.Warned]) {
		return nil, early(d.WarnAt[f.Warned])
	}
	return &Warning{ID: id, Clock: d.Clock, Number: f.Warned + 1, WarnAt: d.WarnAt[f.Warned], Due: d.Due, LateBy: LateBy(at, d.WarnAt[f.Warned])}, nil
}

// Expire decides the expiry of a due instant: nil if its clock no longer runs or expired before. Next is when rule
// E2 looks again, zero for clocks that only expire. On the due second itself a step is still on time.
func (cs Clocks) Expire(fs Firings, id string, next time.Time, at At) (*Expiry, *Refusal) {
	d, runs := cs.byID(id)
	f := fs.Of(id)
	if !runs || f.Expired {
		return nil, nil
	}
	from := f.From(d.Due)
	if calendar.OnTime(at.Recorded, from) {
		return nil, early(from)
	}
	return &Expiry{ID: id, Clock: d.Clock, Due: d.Due, LateBy: LateBy(at, from), Next: next}, nil
}

// Step decides whether a due instant that expired is looked at again (rule E2): refused before its time, false if its
// clock no longer runs or there is no further step. Next of what it returns is when the step was to be taken.
func (cs Clocks) Step(fs Firings, id string, at At) (Fired, bool, *Refusal) {
	f := fs.Of(id)
	if _, runs := cs.byID(id); !runs || !f.Expired || f.Next.IsZero() {
		return f, false, nil
	}
	f.Next = f.From(f.Next)
	if calendar.OnTime(at.Recorded, f.Next) {
		return f, false, early(f.Next)
	}
	return f, true, nil
}

// Overdue reports whether a clock still runs whose expiry is in the log.
func (cs Clocks) Overdue(fs Firings) bool {
	return slices.ContainsFunc(cs, func(d calendar.Due) bool { return fs.Of(d.ID).Expired })
}

// Due returns a running clock by the id of its due instant: what a machine asks before it decides what expiry means.
func (cs Clocks) Due(id string) (calendar.Due, bool) { return cs.byID(id) }

// Attention is how high a matter has risen. It only rises, and ends with the matter. The zero value: it never rose.
type Attention struct {
	Level orgs.Level
	Top   orgs.Level    // the last level of the ladder when it rose last
	Unit  orgs.UnitCode // answers for it
	Rule  string
	Since time.Time // recorded
	Rises int       // how often
}

// Risen returns the attention after an escalation.
func (a Attention) Risen(e Escalation, st Stamp) Attention {
	return Attention{Level: e.To, Top: e.Top, Unit: e.Unit, Rule: e.Rule, Since: st.Recorded, Rises: a.Rises + 1}
}

// AtTop reports whether nothing lifts it further, as the ladder was when it rose last.
func (a Attention) AtTop() bool { return a.Level >= a.Top }

// Rise completes an escalation of a matter to at least level to, from what it has or, if it never rose, from the level
// of the unit that holds it: why.From if the machine names it, else that of base. It returns nil if that lifts nothing.
// Base is the unit whose superiors are called upon.
func (a Attention) Rise(at At, base orgs.UnitCode, to orgs.Level, why Escalation) *Escalation {
	ladder := at.Escalation.Ladder(at.Units, base)
	why.From = max(a.Level, cmp.Or(why.From, at.Units.Level(base)))
	why.To, why.Top = ladder.AtLeast(to), ladder.Top()
	if why.To <= why.From {
		return nil
	}
	if why.Unit = at.Units.AtLevel(base, why.To); why.Unit == "" {
		return nil // nobody so high is known
	}
	return &why
}

// Next returns the level above what a matter has, or above that of the unit that owes the step if that is higher.
func (a Attention) Next(at At, base orgs.UnitCode) orgs.Level {
	return at.Escalation.Ladder(at.Units, base).Above(max(a.Level, at.Units.Level(base)))
}

// Higher reports whether the ladder goes on above a level: at its top rule E2 has no further step.
func Higher(at At, base orgs.UnitCode, l orgs.Level) bool {
	return at.Escalation.Ladder(at.Units, base).Above(l) > l
}
