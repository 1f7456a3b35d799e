package calendar

import "time"

// base returns the amount in what counting goes by: seconds for an hour kind, days for a day kind.
func (a Amount) base() int { return a.N * max(a.Kind.seconds(), 1) }

// count counts n seconds or days, n ≥ 0, of a kind from an instant in whole seconds.
func (r Rules) count(from time.Time, n int, k Kind) count {
	day := DateOf(from)
	switch k {
	case NaturalMinutes, NaturalHours:
		return count{due: from.Add(time.Duration(n) * time.Second), settled: true}
	case ServiceHours:
		return r.serve(from, n)
	case WorkingDays:
		return r.workingDays(day, n)
	case NaturalDays:
		if r.Policy.NaturalRoll == NextWorkingDay {
			return r.rolled(day + Date(n))
		}
	}
	return count{due: r.endOf(day + Date(n)), settled: true}
}

// workingDays counts n working days after a day.
func (r Rules) workingDays(start Date, n int) count {
	var off []Date
	if n > 0 {
		off = make([]Date, 0, n/2+8) // two weekend days to five working days, and a holiday week
	}
	day := start
	for n > 0 {
		day++
		if r.Calendar.IsWorkday(day) {
			n--
		} else {
			off = append(off, day)
		}
	}
	return count{r.endOf(day), noneIfEmpty(off), r.Calendar.Settled(start+1, day)}
}

// rolled ends with the given day, or the next working day if that is a day off.
func (r Rules) rolled(last Date) count {
	var off []Date
	day := last
	for ; !r.Calendar.IsWorkday(day); day++ {
		off = append(off, day)
	}
	return count{r.endOf(day), off, r.Calendar.Settled(last, day)}
}

// noneIfEmpty makes the list what it is when read back from the log.
func noneIfEmpty(days []Date) []Date {
	if len(days) == 0 {
		return nil
	}
	return days
}

// endOf returns the due instant of a day.
func (r Rules) endOf(d Date) time.Time {
	if r.Policy.DayEnd == EndOfService {
		close := r.Policy.Service[len(r.Policy.Service)-1].Close.seconds()
		return d.at(min(close, daySeconds-1)) // 24:00 belongs to the next day
	}
	return d.End()
}

// serve counts seconds of service time from an instant. Outside service time counting starts at the next
// opening; a count that is complete at a closing time ends there, not at the opening after it.
func (r Rules) serve(from time.Time, seconds int) count {
	first, passed := split(from)
	if seconds == 0 {
		return count{due: from, settled: true}
	}
	r.mustServe()
	var off []Date
	for day := first; ; day, passed = day+1, 0 {
		if !r.Calendar.IsWorkday(day) {
			off = append(off, day)
			continue
		}
		for _, s := range r.Policy.Service {
			start := max(s.Open.seconds(), passed)
			left := s.Close.seconds() - start
			if left <= 0 {
				continue
			}
			if seconds <= left {
				return count{day.at(start + seconds), off, r.Calendar.Settled(first, day)}
			}
			seconds -= left
		}
	}
}

// serveBack counts seconds of service time back from an instant. It returns the earliest instant from which
// so much is left: a closing time rather than the opening after it. With 0 seconds it is the instant itself
// inside service time, the closing time before it outside.
func (r Rules) serveBack(from time.Time, seconds int) time.Time {
	r.mustServe()
	for day, passed := split(from); ; day, passed = day-1, daySeconds {
		if !r.Calendar.IsWorkday(day) {
			continue
		}
		for i := len(r.Policy.Service) - 1; i >= 0; i-- {
			s := r.Policy.Service[i]
			end := min(s.Close.seconds(), passed)
			gone := end - s.Open.seconds()
			if gone < 0 {
				continue
			}
			if seconds == 0 || seconds < gone {
				return day.at(end - seconds)
			}
			seconds -= gone
		}
	}
}

// mustServe stops a count that could never end.
func (r Rules) mustServe() {
	for _, s := range r.Policy.Service {
		if s.Close > s.Open {
			return
		}
	}
	panic("calendar: a policy without service windows, which Validate refuses, is in force")
}

// span returns what is counted of a kind from one instant to a later one: seconds for an hour kind; for a day
// kind the countable days after the first day up to the last. Which days are working days is for isWorkday to
// say: the calendar, or what a due recorded of it.
func (r Rules) span(from, to time.Time, k Kind, isWorkday func(Date) bool) int {
	first, passed := split(from)
	last, end := split(to)
	switch k {
	case NaturalMinutes, NaturalHours:
		return int(to.Sub(from) / time.Second)
	case ServiceHours:
		total := 0
		for day := first; day <= last; day++ {
			if !isWorkday(day) {
				continue
			}
			for _, s := range r.Policy.Service {
				open, close := s.Open.seconds(), s.Close.seconds()
				if day == first {
					open = max(open, passed)
				}
				if day == last {
					close = min(close, end)
				}
				total += max(close-open, 0)
			}
		}
		return total
	case WorkingDays:
		total := 0
		for day := first + 1; day <= last; day++ {
			if isWorkday(day) {
				total++
			}
		}
		return total
	}
	return int(last - first)
}
