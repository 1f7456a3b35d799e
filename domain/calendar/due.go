package calendar

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Due is a due instant as it is recorded: a fact of the log, complete without policy or calendar (I3). Its
// JSON members have this order. Times are UTC in whole seconds; on the due second itself a step is still on time.
//
// Of a due in working days that was never moved, the days after that of StartedAt up to that of Due, less
// Skipped, are Amount days: anyone can check it with a wall calendar.
type Due struct {
	ID            string      `json:"id"` // "<clock>/<round>/<leg>/<n>", unique in its stream (I15)
	Clock         Clock       `json:"clock"`
	Kind          Kind        `json:"kind"`
	Amount        int         `json:"amount"` // what the policy gave, in Kind; an extension leaves it alone
	StartedAt     time.Time   `json:"started_at"`
	Due           time.Time   `json:"due"`
	OriginalDue   time.Time   `json:"original_due"`          // as first computed, before pauses and extensions
	Policy        string      `json:"policy"`                // the policy Due was computed with …
	PolicyVersion int         `json:"policy_version"`        // … and its version
	Calendar      string      `json:"calendar"`              // the calendar Due was computed with, or settled by: "cn-2026#1"
	Provisional   bool        `json:"provisional,omitempty"` // a date it depends on may still be announced otherwise
	Skipped       []Date      `json:"skipped,omitempty"`     // days off inside the count, weekends too; ascending
	WarnAt        []time.Time `json:"warn_at,omitempty"`     // when to warn that it comes near ([Rules.Warnings]); none in what was recorded before warnings were
}

var (
	// ErrUnknownYear: the count reaches dates whose notice is not loaded, and the policy says not to guess
	// (calendar_unknown).
	ErrUnknownYear = errors.New("calendar unknown: the notice for these dates is not loaded")
	// ErrUnknownClock: no clock of that name exists.
	ErrUnknownClock = errors.New("no such clock")
	// ErrFixed: the clock is never paused, or never extended, such as a promise.
	ErrFixed = errors.New("the clock cannot be moved")
	// ErrExtension: an extension is at least 1 and at most the original amount.
	ErrExtension = errors.New("extension out of bounds")
	// ErrBackwards: an end lies before its beginning.
	ErrBackwards = errors.New("the end lies before the beginning")
)

// Rules compute due instants from a calendar and a policy that passed [Policy.Validate]. They are a value to
// be handed in with a command; replay needs none.
type Rules struct {
	Calendar *Calendar
	Policy   *Policy
}

// count is where counting leads: the due instant, the days off it passed over, and whether all days it
// looked at are settled.
type count struct {
	due     time.Time
	skipped []Date
	settled bool
}

// Start starts a clock at an instant, fractions of a second dropped, with the amount the policy gives it for
// the kind and urgency of the demand; either may be "" where no row asks for it. It costs one pass over the rows
// and one step for each day counted: a fraction of a microsecond.
//
// It returns [ErrUnknownClock], [ErrNoAmount], which a clock that runs to a named date always gets, and
// [ErrUnknownYear].
func (r Rules) Start(id string, c Clock, kind, urgency string, at time.Time) (Due, error) {
	return r.StartLike(id, c, c, kind, urgency, at)
}

// StartLike starts a clock with the amount of another one: after a callback sends a demand back (D16), its
// promise is given what rework has. Errors are those of [Rules.Start].
func (r Rules) StartLike(id string, c, like Clock, kind, urgency string, at time.Time) (Due, error) {
	if !c.exists() {
		return Due{}, fmt.Errorf("%w: %q", ErrUnknownClock, c)
	}
	a, err := r.Policy.Amount(like, kind, urgency)
	if err != nil {
		return Due{}, fmt.Errorf("start %s: %w", id, err)
	}
	d := Due{ID: id, Clock: c, Kind: a.Kind, Amount: a.N, StartedAt: wholeSeconds(at)}
	return r.record(d, r.count(d.StartedAt, a.base(), a.Kind))
}

// Until starts a clock that ends with a named date: a target date, a review date. How far ahead the date may
// be is for the caller to check with [Rules.Cap]. It returns [ErrBackwards] if the date is over, and [ErrUnknownClock].
func (r Rules) Until(id string, c Clock, at time.Time, end Date) (Due, error) {
	if !c.exists() {
		return Due{}, fmt.Errorf("%w: %q", ErrUnknownClock, c)
	}
	days := int(end - DateOf(at))
	if days < 0 {
		return Due{}, fmt.Errorf("start %s: %w: %s is over", id, ErrBackwards, end)
	}
	d := Due{ID: id, Clock: c, Kind: NamedDate, Amount: days, StartedAt: wholeSeconds(at)}
	n := r.count(d.StartedAt, days, NamedDate)
	if n.due.Before(d.StartedAt) { // today, after service, where a day ends with service
		return Due{}, fmt.Errorf("start %s: %w: %s is over", id, ErrBackwards, end)
	}
	return r.record(d, n)
}

// record completes a first computation.
func (r Rules) record(d Due, n count) (Due, error) {
	moved, err := r.move(d, n)
	moved.OriginalDue = moved.Due
	return moved, err
}

// move gives d the due instant counted, with the policy and calendar that led to it.
func (r Rules) move(d Due, n count) (Due, error) {
	if !n.settled && r.Policy.Missing == RefuseUncertain {
		return Due{}, fmt.Errorf("%s: %w: up to %s, calendar %s", d.ID, ErrUnknownYear, DateOf(n.due), r.Calendar.Version())
	}
	d.Due = n.due
	d.Policy, d.PolicyVersion, d.Calendar = r.Policy.Name, r.Policy.Version, r.Calendar.Version()
	d.Provisional = d.Provisional || !n.settled
	d.Skipped = n.skipped
	d.WarnAt = r.Warnings(d)
	return d, nil
}

// Restart returns d after a freeze (O10–O14): what was unused of the count when it was frozen is counted
// again from the restart.
//
// In an hour kind the unused time is added to the restart. In a day kind the countable days after the date of
// the freeze up to the due date are counted on from the date of the restart; with none left, due is the end of
// that date. The new due is never before the old one, a due already passed at the freeze stays passed, and
// OriginalDue stays what it was. Skipped loses the days off after the freeze and gains those after the restart.
//
// It returns [ErrFixed] for a clock that is never paused, [ErrBackwards] if restart is before frozen,
// and [ErrUnknownYear].
func (r Rules) Restart(d Due, frozen, restart time.Time) (Due, error) {
	frozen, restart = wholeSeconds(frozen), wholeSeconds(restart)
	if !d.Clock.pauses() {
		return Due{}, fmt.Errorf("restart %s: %w", d.ID, ErrFixed)
	}
	if restart.Before(frozen) {
		return Due{}, fmt.Errorf("restart %s: %w: frozen %s, restarted %s", d.ID, ErrBackwards, stamp(frozen), stamp(restart))
	}
	// A freeze entered late may have happened before the clock was started (I18); nothing was counted then.
	if frozen.Before(d.StartedAt) {
		frozen = d.StartedAt
	}
	if frozen.After(d.Due) {
		return d, nil
	}
	n := r.count(restart, r.span(frozen, d.Due, d.Kind, r.Calendar.IsWorkday), d.Kind)
	if !n.due.After(d.Due) {
		return d, nil
	}
	n.settled = n.settled && (!d.Kind.usesCalendar() || r.Calendar.Settled(DateOf(frozen), DateOf(d.Due)))
	n.skipped = joined(d.Skipped, DateOf(frozen), n.skipped)
	return r.move(d, n)
}

// Extend returns d with its due moved on by an amount in d's own kind, counted from the due instant.
// OriginalDue and Amount stay. It returns [ErrFixed] for a clock that is never extended, [ErrExtension] unless
// 1 ≤ amount ≤ d.Amount, and [ErrUnknownYear]. Once per round, and before the due, are for the caller to check.
func (r Rules) Extend(d Due, amount int) (Due, error) {
	if !d.Clock.extends() {
		return Due{}, fmt.Errorf("extend %s: %w", d.ID, ErrFixed)
	}
	if amount < 1 || amount > d.Amount {
		return Due{}, fmt.Errorf("extend %s: %w: %d, want 1 to %d %s", d.ID, ErrExtension, amount, d.Amount, d.Kind)
	}
	n := r.count(d.Due, Amount{amount, d.Kind}.base(), d.Kind)
	n.skipped = joined(d.Skipped, DateOf(d.Due), n.skipped)
	return r.move(d, n)
}

// Settle returns a provisional d as these rules, now that more notices are loaded, would have computed it. It is
// for a human to confirm (DeadlineRecomputed). from is when d's present count began: StartedAt, or the last
// restart. How much was counted since is read off d itself, whose Skipped holds what the old calendar said.
//
// Of the old and the new due the later is taken, unless the policy says [Recomputed]. The result is still
// provisional if the calendar still does not reach. A d that is not provisional is returned as it is.
// It returns [ErrBackwards] if from is after the due, and [ErrUnknownYear].
func (r Rules) Settle(d Due, from time.Time) (Due, error) {
	if !d.Provisional {
		return d, nil
	}
	from = wholeSeconds(from)
	if from.After(d.Due) {
		return Due{}, fmt.Errorf("settle %s: %w: counted from %s, due %s", d.ID, ErrBackwards, stamp(from), stamp(d.Due))
	}
	spanned := d.Kind
	if d.Kind == NaturalDays { // only a roll makes it provisional, and the days off it skipped were not counted
		spanned = WorkingDays
	}
	counted := r.span(from, d.Due, spanned, func(day Date) bool { return !slices.Contains(d.Skipped, day) })
	n := r.count(from, counted, d.Kind)
	before := DateOf(from)
	if d.Kind == ServiceHours { // the day of from is counted too, and may be no day off any more
		before--
	}
	if r.Policy.Settle == LaterOfTwo && n.due.Before(d.Due) {
		n.due, n.skipped = d.Due, d.Skipped
	} else {
		n.skipped = joined(d.Skipped, before, n.skipped)
	}
	d.Provisional = false
	return r.move(d, n)
}

// joined returns the days off of two counts, the earlier one cut off after last.
func joined(earlier []Date, last Date, later []Date) []Date {
	var days []Date
	for _, d := range earlier {
		if d <= last {
			days = append(days, d)
		}
	}
	return append(days, later...)
}

// Warnings returns when to warn of d, ascending, each instant once and all after StartedAt.
//
// In a day kind it is 48 and 24 hours before due; where that is outside service time, the last service second
// before it, a closing time being inside. In an hour kind it is once, when three quarters of the amount are
// used, counted in the same kind. Of a due that was moved, warnings may lie before the move: those are past.
func (r Rules) Warnings(d Due) []time.Time {
	var at []time.Time
	switch {
	case d.Kind == ServiceHours:
		at = []time.Time{r.serveBack(d.Due, d.Amount*d.Kind.seconds()/4)}
	case d.Kind.ofHours():
		at = []time.Time{d.Due.Add(-time.Duration(d.Amount*d.Kind.seconds()/4) * time.Second)}
	default:
		for _, before := range []time.Duration{48 * time.Hour, 24 * time.Hour} {
			w := r.serveBack(d.Due.Add(-before), 0)
			if len(at) == 0 || !at[len(at)-1].Equal(w) { // both may move to the same closing time before a weekend
				at = append(at, w)
			}
		}
	}
	for len(at) > 0 && !at[0].After(d.StartedAt) {
		at = at[1:]
	}
	if len(at) == 0 {
		return nil // as it is read back from the log
	}
	return at
}

// Add returns the instant an amount after at, as the due instants of that kind are: for a day kind the end of
// a day. Unsettled dates count Monday to Friday, whatever the policy says about them.
func (r Rules) Add(at time.Time, a Amount) time.Time {
	return r.count(wholeSeconds(at), a.base(), a.Kind).due
}

// Between returns the whole units of a kind counted from one instant to another, 0 if to is not after from.
// It is the inverse of [Rules.Add]: Between(t, Add(t, {n, k}), k) is n unless the policy rolls natural days.
func (r Rules) Between(from, to time.Time, k Kind) int {
	from, to = wholeSeconds(from), wholeSeconds(to)
	if !to.After(from) {
		return 0
	}
	return r.span(from, to, k, r.Calendar.IsWorkday) / max(k.seconds(), 1)
}

// Closes returns the last instant of a window that opens at from, the zero time if the policy does not have
// the window. Unsettled dates count Monday to Friday.
func (r Rules) Closes(w Window, from time.Time) time.Time {
	a, given := r.Policy.Windows[w]
	if !given {
		return time.Time{}
	}
	return r.Add(from, a)
}

// Cap returns the last date the policy lets a person name at an instant: the cap's natural days ahead.
func (r Rules) Cap(c Cap, at time.Time) Date { return DateOf(at) + Date(r.Policy.Caps[c]) }

// EffectiveInstant returns the instant that counts for an event (I18): when it occurred, if that is at most
// window before it was recorded, not after that, and not before opened, the event that opened the state it
// answers (the zero time if none did); otherwise when it was recorded. Everything is taken in whole seconds.
func EffectiveInstant(occurred, recorded, opened time.Time, window time.Duration) time.Time {
	occurred, recorded, opened = wholeSeconds(occurred), wholeSeconds(recorded), wholeSeconds(opened)
	late := recorded.Sub(occurred)
	if late < 0 || late > window || occurred.Before(opened) {
		return recorded
	}
	return occurred
}

// OnTime reports whether a step taken at the effective instant meets a due instant: within the due second it does.
func OnTime(effective, due time.Time) bool {
	return !wholeSeconds(effective).After(wholeSeconds(due))
}

// wholeSeconds drops the fraction of a second, the location and the monotonic reading.
func wholeSeconds(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

func stamp(t time.Time) string { return t.Format(time.RFC3339) }
