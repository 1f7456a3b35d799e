package rule

import (
	"errors"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
)

// Recount says that a due instant was counted anew with a later calendar (重算时限): a notice has arrived, or was
// corrected. Each machine stores it under a name of its own.
type Recount struct {
	Replaces string        `json:"replaces"` // id of the due instant that no longer holds; Clock's own if it was only confirmed
	Clock    calendar.Due  `json:"clock"`
	Reason   sealed.Public `json:"reason"`
}

// Recounted decides to count a due instant anew with the calendar there is now, for an arbiter of the place or for the
// process manager (rule R24). From is when its present count began, id what it is called if it moves; an old one without
// an id runs no longer. The later of the old and the new instant holds, whatever the policy says: nobody loses a day (rule I3).
//
// A person is told why nothing changes. The process manager settles what is provisional: where that is not so any more, or the
// calendar still does not say, it is answered nil.
func Recounted(at At, place orgs.UnitCode, old calendar.Due, from time.Time, id string, reason sealed.Public) (*Recount, error) {
	automatic := at.Actor.Role == orgs.System
	no := func(zh, en string) (*Recount, error) {
		if automatic {
			return nil, nil
		}
		return nil, Refuse(GuardFailed, "I3", zh, en)
	}
	if r := Reaches(at, place, "I3"); r != nil {
		return nil, r
	}
	switch {
	case strings.TrimSpace(string(reason)) == "":
		return nil, Refuse(GuardFailed, "I3", "请填写重算理由", "the reason is missing")
	case old.ID == "" || automatic && !old.Provisional:
		return no("没有这个正在计时的时限", "no such clock is running")
	case !at.Clocks.Calendar.Includes(old.Calendar):
		return no("现行日历早于该时限所用日历", "the calendar there is now is older than the one it was counted with")
	case from.After(old.Due):
		return no("时限早已届满，无可重算", "it was over before it began to run again: nothing was counted")
	}
	open := old
	open.Provisional = true // a date that was settled may have been corrected since
	due, err := at.Clocks.Settle(open, from)
	if errors.Is(err, calendar.ErrUnknownYear) && automatic {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !due.Due.After(old.Due) && (due.Provisional || !old.Provisional):
		return no("按现行日历重算，时限不变", "the calendar there is now leads to no later due")
	case due.Due.Before(old.Due):
		due.Due, due.Skipped = old.Due, old.Skipped
		due.WarnAt = at.Clocks.Warnings(due)
	case due.Due.After(old.Due):
		due.ID = id // the old one may have fired already (rule I15)
	}
	return &Recount{Replaces: old.ID, Clock: due, Reason: reason}, nil
}

// Apply returns clocks and firings after a recount; those handed in stay as they are. What the clock did about the old
// instant it does not do again about the new one: there is no second expiry, and a step that was still to come moves on
// with the due. A warning that lies before the recount is not given any more.
func (r Recount) Apply(cs Clocks, fs Firings, at time.Time) (Clocks, Firings) {
	old, runs := cs.Due(r.Replaces)
	if !runs {
		return cs, fs
	}
	cs = slices.Clone(cs)
	cs[slices.IndexFunc(cs, func(d calendar.Due) bool { return d.ID == r.Replaces })] = r.Clock
	if r.Clock.ID == r.Replaces {
		return cs, fs.with(r.Clock.ID, func(f *Fired) { f.pass(r.Clock, at) })
	}
	was := fs.Of(r.Replaces)
	fs = fs.Began(r.Clock, at)
	if was.Expired {
		fs = fs.with(r.Clock.ID, func(f *Fired) { f.Expired, f.Steps, f.Next = true, was.Steps, was.Next }).Delayed(r.Clock.ID, r.Clock.Due.Sub(old.Due))
	}
	return cs, fs
}
