package calendar

import (
	"fmt"
	"slices"
	"time"
)

// Turn is what moves a due instant that was recorded.
type Turn string

// The turns. Nothing else moves a due instant (I3).
const (
	Pause     Turn = "pause"     // the clock stood still; what was unused is counted from the restart
	Extension Turn = "extension" // more of the same kind, counted from the due instant
	Recount   Turn = "recount"   // settled with a later calendar
)

// Move is one turn of a running clock.
type Move struct {
	Turn    Turn
	Frozen  time.Time // of a pause: the clock stood still from here …
	Restart time.Time // … to here; zero: it still does
	By      int       // of an extension, in the kind of the due instant
	Due     Due       // as it was recorded then; of a pause that goes on, as it was recorded last
}

// Course is how a recorded due instant came to be what it is: as first recorded, and what moved it since.
type Course struct {
	First Due
	Moves []Move
}

// Last returns the due instant as it was recorded last.
func (c Course) Last() Due {
	if n := len(c.Moves); n > 0 {
		return c.Moves[n-1].Due
	}
	return c.First
}

// Stopped reports whether the clock stands still.
func (c Course) Stopped() bool {
	n := len(c.Moves)
	return n > 0 && c.Moves[n-1].Turn == Pause && c.Moves[n-1].Restart.IsZero()
}

// Explanation says how a due instant was counted, so that anybody can follow it with the notices in hand. It says
// what was recorded; it computes no due instant anew.
type Explanation struct {
	Spells []Spell
	// Owed is the amount with everything that extensions added, in whole base units: seconds of an hour kind, days of
	// a day kind. Counted is what the parts of all spells add up to. They differ while the clock stands still, by what
	// is left, and where a pause was counted on with a later calendar than the time before it.
	Owed, Counted int
	Unknown       Date // of a provisional due: the first date of the count that a notice still to come may name
}

// Spell is a stretch of time in which the clock ran, counted with one calendar and one policy.
type Spell struct {
	Turn    Turn      // that began it; "" = the start
	From    time.Time // of a day kind the day of From is not counted
	Until   time.Time // the due instant, or the freeze
	Due     Due       // that names the calendar and the policy of this spell
	Parts   []Part    // ascending
	Skipped []DayOff  // ascending
	Counted int       // what the parts add up to
}

// Part is a piece of time that counts. In service hours it is what lies in one service window of one day, in working
// days one day, in the other kinds the whole spell.
type Part struct {
	From, Until time.Time // of days: from the beginning of the first to the end of the last
	Count       int       // seconds of an hour kind, days of a day kind
	MakeUp      *Ground   // a make-up workday, and who says so
	Kept        bool      // counted, although the calendar named takes the day for a day off: it was promised so before
}

// DayOff is a day that was passed over, and why.
type DayOff struct {
	Date   Date
	Ground *Ground // the notice that names it; nil: a Saturday or Sunday that none names
	Kept   bool    // passed over, although the calendar named takes it for a working day: it was promised so before
}

// Ground is the notice that makes a day what it is.
type Ground struct {
	Year     int
	Source   string
	Occasion string // "" if the notice does not say
}

// Explain tells how a due instant was counted. Rules finds the calendar and the policy that a recorded due instant
// names; its errors are returned. The cost is one step for each day between start and due.
func (c Course) Explain(rules func(Due) (Rules, error)) (Explanation, error) {
	x := Explanation{Owed: Amount{c.First.Amount, c.First.Kind}.base()}
	for _, m := range c.Moves {
		if m.Turn == Extension {
			x.Owed += Amount{m.By, c.First.Kind}.base()
		}
	}
	for _, s := range c.spells() {
		r, err := rules(s.Due)
		if err != nil {
			return Explanation{}, fmt.Errorf("explain %s: %w", c.First.ID, err)
		}
		r.measure(&s)
		x.Spells, x.Counted = append(x.Spells, s), x.Counted+s.Counted
	}
	last := c.Last()
	if !last.Provisional {
		return x, nil
	}
	r, err := rules(last)
	if err != nil {
		return Explanation{}, fmt.Errorf("explain %s: %w", c.First.ID, err)
	}
	end := DateOf(last.Due)
	for _, d := range last.Skipped {
		end = max(end, d)
	}
	for d := DateOf(c.First.StartedAt); d <= end; d++ {
		if !r.Calendar.Settled(d, d) && (d > DateOf(c.First.StartedAt) || c.First.Kind == ServiceHours) {
			x.Unknown = d
			break
		}
	}
	return x, nil
}

// spells cuts the time from the start to the due instant into the stretches in which the clock ran.
func (c Course) spells() []Spell {
	spells := []Spell{{From: c.First.StartedAt, Until: c.First.Due, Due: c.First}}
	before := c.First
	for _, m := range c.Moves {
		switch m.Turn {
		case Extension:
			spells = append(spells, Spell{Turn: Extension, From: before.Due, Until: m.Due.Due, Due: m.Due})
		case Recount:
			for spells[len(spells)-1].Turn == Extension { // counted anew from the start or the last restart, extensions with it
				spells = spells[:len(spells)-1]
			}
			s := &spells[len(spells)-1]
			s.Turn, s.Until, s.Due = Recount, m.Due.Due, m.Due
		case Pause:
			frozen := wholeSeconds(m.Frozen)
			if frozen.Before(c.First.StartedAt) {
				frozen = c.First.StartedAt
			}
			moved := !m.Due.Due.Equal(before.Due)
			if frozen.After(before.Due) || !m.Restart.IsZero() && !moved {
				break
			}
			for len(spells) > 1 && spells[len(spells)-1].From.After(frozen) {
				spells = spells[:len(spells)-1]
			}
			spells[len(spells)-1].Until = frozen
			if moved {
				spells = append(spells, Spell{Turn: Pause, From: wholeSeconds(m.Restart), Until: m.Due.Due, Due: m.Due})
			}
		}
		before = m.Due
	}
	return spells
}

// measure lists what counts in a spell and what does not. Which days were passed over is what was recorded; the
// calendar only says why.
func (r Rules) measure(s *Spell) {
	first, last := DateOf(s.From), DateOf(s.Until)
	add := func(p Part) { s.Parts, s.Counted = append(s.Parts, p), s.Counted+p.Count }
	switch s.Due.Kind {
	case NaturalMinutes, NaturalHours:
		if n := int(s.Until.Sub(s.From) / time.Second); n > 0 {
			add(Part{From: s.From, Until: s.Until, Count: n})
		}
	case ServiceHours:
		for d := first; d <= last; d++ {
			if slices.Contains(s.Due.Skipped, d) {
				s.Skipped = append(s.Skipped, r.dayOff(d))
				continue
			}
			for _, w := range r.Policy.Service {
				from, until := later(d.at(w.Open.seconds()), s.From), earlier(d.at(w.Close.seconds()), s.Until)
				if n := int(until.Sub(from) / time.Second); n > 0 {
					add(r.part(d, Part{From: from, Until: until, Count: n}))
				}
			}
		}
	case WorkingDays:
		for d := first + 1; d <= last; d++ {
			if slices.Contains(s.Due.Skipped, d) {
				s.Skipped = append(s.Skipped, r.dayOff(d))
				continue
			}
			add(r.part(d, Part{From: d.Start(), Until: d.End(), Count: 1}))
		}
	default: // natural days, and a date that somebody named: days off are passed over only by a roll at the end
		for d := first + 1; d <= last; d++ {
			if slices.Contains(s.Due.Skipped, d) {
				s.Skipped = append(s.Skipped, r.dayOff(d))
			}
		}
		if n := int(last-first) - len(s.Skipped); n > 0 {
			add(Part{From: (first + 1).Start(), Until: last.End(), Count: n})
		}
	}
}

// part says of a counted day whether a notice makes it one.
func (r Rules) part(d Date, p Part) Part {
	n, named := r.Calendar.Notice(d)
	switch {
	case !r.Calendar.IsWorkday(d):
		p.Kept = true
	case named:
		p.MakeUp = &Ground{n.Year, n.Source, n.Occasion(d)}
	}
	return p
}

func (r Rules) dayOff(d Date) DayOff {
	n, named := r.Calendar.Notice(d)
	switch {
	case r.Calendar.IsWorkday(d):
		return DayOff{Date: d, Kept: true}
	case named:
		return DayOff{Date: d, Ground: &Ground{n.Year, n.Source, n.Occasion(d)}}
	}
	return DayOff{Date: d}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
