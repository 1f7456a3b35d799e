package calendar

import (
	"fmt"
	"time"
)

// Date is a day in the city, without a time of day. Dates compare with < and ==, and d+1 is the day after d:
// the value counts days of the Gregorian calendar, 0001-01-01 being 1. The zero Date means "none"; its text is "".
//
// The text form, in JSON too, is "2006-01-02".
type Date int32

// unixEpoch is 1970-01-01.
const unixEpoch Date = 719163

const (
	daySeconds = 24 * 60 * 60
	zoneOffset = 8 * 60 * 60 // seconds the city is ahead of UTC
)

// zone is a fixed offset and not a rule loaded from zone files: Asia/Shanghai has been UTC+8 without
// daylight saving since 15 September 1991, before any fact in the log, and a fixed offset gives the same
// answer on a machine without zone files, or with newer ones.
var zone = time.FixedZone("Asia/Shanghai", zoneOffset)

// Zone returns the zone the city's days are counted in: UTC+8, named Asia/Shanghai.
func Zone() *time.Location { return zone }

// DateOf returns the day in the city at the instant t, whatever location t carries.
func DateOf(t time.Time) Date {
	d, _ := split(t)
	return d
}

// split returns the day in the city at t and the whole seconds passed of it, 0..86399.
func split(t time.Time) (Date, int) {
	s := t.Unix() + zoneOffset
	day := s / daySeconds
	sec := s % daySeconds
	if sec < 0 { // before 1970: division rounds towards zero
		day, sec = day-1, sec+daySeconds
	}
	return unixEpoch + Date(day), int(sec)
}

// ParseDate reads "2006-01-02". Days that do not exist, such as 30 February, are refused.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() == 0 {
		return 0, fmt.Errorf("date %q: want year-month-day such as 2026-10-01", s)
	}
	return unixEpoch + Date(t.Unix()/daySeconds), nil
}

// dayOf returns a day of a month that exists.
func dayOf(year int, m time.Month, n int) Date {
	return unixEpoch + Date(time.Date(year, m, n, 0, 0, 0, 0, time.UTC).Unix()/daySeconds)
}

// at returns the instant the given seconds after the day begins in the city, in UTC.
func (d Date) at(seconds int) time.Time {
	return time.Unix(int64(d-unixEpoch)*daySeconds-zoneOffset+int64(seconds), 0).UTC()
}

// Start returns the first instant of the day in the city, in UTC.
func (d Date) Start() time.Time { return d.at(0) }

// End returns the last whole second of the day in the city, 23:59:59, in UTC.
func (d Date) End() time.Time { return d.at(daySeconds - 1) }

// Weekday returns the day of the week.
func (d Date) Weekday() time.Weekday { return time.Weekday(d % 7) }

// Year returns the year the day lies in.
func (d Date) Year() int {
	return time.Unix(int64(d-unixEpoch)*daySeconds, 0).UTC().Year()
}

// IsZero reports whether d is no date.
func (d Date) IsZero() bool { return d == 0 }

// String returns the text form, "" for the zero Date.
func (d Date) String() string {
	if d == 0 {
		return ""
	}
	return time.Unix(int64(d-unixEpoch)*daySeconds, 0).UTC().Format(time.DateOnly)
}

// MarshalText writes the text form.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form; empty text is the zero Date.
func (d *Date) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = 0
		return nil
	}
	got, err := ParseDate(string(b))
	if err != nil {
		return err
	}
	*d = got
	return nil
}

// TimeOfDay is a time on the clock in the city, in minutes after midnight, 0..1440.
// The text form is "15:04"; 1440 is "24:00", the end of the day.
type TimeOfDay int

// ParseTimeOfDay reads "15:04" or "24:00".
func ParseTimeOfDay(s string) (TimeOfDay, error) {
	if s == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, fmt.Errorf("time of day %q: want hours and minutes such as 08:30", s)
	}
	return TimeOfDay(t.Hour()*60 + t.Minute()), nil
}

// seconds returns the time as seconds after midnight.
func (t TimeOfDay) seconds() int { return int(t) * 60 }

// String returns the text form.
func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

// MarshalText writes the text form.
func (t TimeOfDay) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the text form.
func (t *TimeOfDay) UnmarshalText(b []byte) error {
	got, err := ParseTimeOfDay(string(b))
	if err != nil {
		return err
	}
	*t = got
	return nil
}
