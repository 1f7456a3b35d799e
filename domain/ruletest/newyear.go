package ruletest

import (
	"time"

	"gridcase/domain/calendar"
)

// NewYear is Thursday 31 December 2026, 10:00 in the city: nobody knows yet what of January is off.
func NewYear() time.Time { return time.Date(2026, 12, 31, 2, 0, 0, 0, time.UTC) }

// January is a day of January 2027.
func January(day int) calendar.Date {
	return calendar.DateOf(time.Date(2027, 1, day, 12, 0, 0, 0, calendar.Zone()))
}

// Noticed are the rules when the notice for 2027 is there. It is made up: Friday 1 and Monday 4 January are off, Sunday the 3rd is worked.
func Noticed() calendar.Rules {
	return noticed(calendar.Notice{Year: 2027, Source: "https://example.org/2027", Off: []calendar.Date{January(1), January(4)}, Work: []calendar.Date{January(3)}})
}

// noticed are the default rules with a notice that follows those of China.
func noticed(n calendar.Notice) calendar.Rules {
	c, err := calendar.China().With(n)
	if err != nil {
		panic(err)
	}
	return calendar.Rules{Calendar: c, Policy: calendar.DefaultPolicy()}
}

// Shut are the rules when a correction has taken all of 213 days off, from one on, and natural days roll: whatever is counted in days,
// or in hours of service, falls later. All of the days must lie in 2026.
func Shut(from time.Time) calendar.Rules {
	n := calendar.Notice{Year: 2026, Source: "https://example.org/shut"}
	first := calendar.DateOf(from)
	for d := first; d <= first+212; d++ {
		n.Off = append(n.Off, d)
	}
	r := noticed(n)
	r.Policy.NaturalRoll = calendar.NextWorkingDay
	return r
}
