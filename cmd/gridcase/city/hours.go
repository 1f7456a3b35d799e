package city

import (
	"math/rand/v2"
	"time"

	"gridcase/domain/calendar"
)

// hours knows when people act: offices in the service windows of working days, others by day or at once.
type hours struct {
	calendar.Rules
	*rand.Rand
}

// later returns t moved on by low to high minutes, in whole seconds.
func (h hours) later(t time.Time, low, high int) time.Time {
	return t.Add(time.Duration(low*60+h.IntN(max(high-low, 1)*60)+1) * time.Second)
}

// office returns t if an office is open then, else a moment shortly after the next opening.
func (h hours) office(t time.Time) time.Time {
	date := calendar.DateOf(t)
	for {
		if h.Calendar.IsWorkday(date) {
			for _, w := range h.Policy.Service {
				opens, closes := on(date, w.Open), on(date, w.Close)
				switch {
				case t.Before(opens):
					return h.later(opens, 1, 40)
				case t.Before(closes):
					return t
				}
			}
		}
		date++
		t = date.Start()
	}
}

func on(d calendar.Date, t calendar.TimeOfDay) time.Time {
	return d.Start().Add(time.Duration(t) * time.Minute)
}

// byDay returns t if it lies between 8:00 and 20:00, else a moment on the next morning.
func (h hours) byDay(t time.Time) time.Time {
	day := calendar.DateOf(t).Start()
	switch in := t.Sub(day); {
	case in < 8*time.Hour:
		return h.later(day.Add(8*time.Hour), 0, 60)
	case in >= 20*time.Hour:
		return h.later(day.Add(32*time.Hour), 0, 60)
	}
	return t
}

// soon is the moment somebody gets round to it: at once if it is pressing, else when the office is open.
func (h hours) soon(t time.Time, low, high int, pressing bool) time.Time {
	t = h.later(t, low, high)
	if pressing {
		return t
	}
	return h.office(t)
}

// before returns a moment of work between two instants, preferably in office hours; last is passed only
// if it was there already.
func (h hours) before(first, last time.Time, low, high float64, pressing bool) time.Time {
	span := last.Sub(first)
	if span < time.Minute {
		return h.soon(first, 1, 30, pressing)
	}
	t := first.Add(time.Second).Add(time.Duration(float64(span) * (low + (high-low)*h.Float64()))).Truncate(time.Second)
	if pressing {
		return t
	}
	for _, better := range []time.Time{h.office(t), h.byDay(t)} {
		if better.Before(last) {
			return better
		}
	}
	return t
}

// chance is true in so many of a thousand cases.
func (h hours) chance(perMille int) bool { return h.IntN(1000) < perMille }
