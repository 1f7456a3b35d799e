package calendar

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Notice is one publication about a year's days off: the yearly notice or a correction to it. The dates it
// names may lie in the neighbouring years; New Year's Day is why.
type Notice struct {
	Year   int    `json:"year"`   // the year it is about, 1992..9998; loading it makes that year known
	Source string `json:"source"` // where it was published
	Off    []Date `json:"off"`    // days off
	Work   []Date `json:"work"`   // make-up workdays (调休)

	Occasions []Occasion `json:"occasions,omitempty"` // what the days are for; a notice need not say
}

// Occasion is what a run of days is off, or worked, for: 国庆节. The days of both are named alike.
type Occasion struct {
	From Date   `json:"from"`
	To   Date   `json:"to"` // included
	Name string `json:"name"`
}

// Occasion returns what the notice says a day is off, or worked, for; "" if it does not say.
func (n Notice) Occasion(d Date) string {
	i := slices.IndexFunc(n.Occasions, func(o Occasion) bool { return o.From <= d && d <= o.To })
	if i < 0 {
		return ""
	}
	return n.Occasions[i].Name
}

// ErrNotice: a notice contradicts itself or cannot be read.
var ErrNotice = errors.New("bad calendar notice")

// Calendar tells workdays from days off. A date that a notice names is what the latest notice naming it
// says; any other is a workday from Monday to Friday. It never changes, so it may be shared.
type Calendar struct {
	notices []Notice
	first   Date    // the date day[0] is about
	day     []int16 // 0 = not named; i+1 = off by notices[i]; -(i+1) = workday by notices[i]
	settled []span  // ascending, apart
	version string
}

// span is a run of dates, both ends included.
type span struct{ from, to Date }

// New builds the calendar of the given notices, in the order they were published: of two that name a date
// the later wins, whichever year they are about. Without any notice no year is known and every date is a
// matter of Monday to Friday.
//
// It returns [ErrNotice] if a notice names no day off, names a date twice or one that is not of its year or a
// neighbouring one, or gives an occasion for days that it does not name.
func New(notices ...Notice) (*Calendar, error) {
	c := &Calendar{version: versionOf(nil)}
	if len(notices) == 0 {
		return c, nil
	}
	var last Date
	for i, n := range notices {
		if err := n.check(); err != nil {
			return nil, fmt.Errorf("%w: %d, publication %d: %w", ErrNotice, n.Year, i+1, err)
		}
		n.Off, n.Work, n.Occasions = slices.Clone(n.Off), slices.Clone(n.Work), slices.Clone(n.Occasions)
		c.notices = append(c.notices, n)
		for _, d := range slices.Concat(n.Off, n.Work) {
			if c.first == 0 || d < c.first {
				c.first = d
			}
			last = max(last, d)
		}
	}
	c.day = make([]int16, last-c.first+1)
	for i, n := range notices {
		for _, d := range n.Off {
			c.day[d-c.first] = int16(i + 1)
		}
		for _, d := range n.Work {
			c.day[d-c.first] = -int16(i + 1)
		}
	}
	c.settled, c.version = settledSpans(c.Years()), versionOf(notices)
	return c, nil
}

// versionOf names what is loaded by the newest known year and the publications since its first.
func versionOf(notices []Notice) string {
	newest, since := 0, 0
	for i, n := range notices {
		if n.Year > newest {
			newest, since = n.Year, i
		}
	}
	return fmt.Sprintf("cn-%d#%d", newest, len(notices)-since)
}

func (n Notice) check() error {
	if n.Year < 1992 || n.Year > 9998 {
		return errors.New("the year is outside 1992..9998")
	}
	if len(n.Off) == 0 {
		return errors.New("no day off: an empty notice is not a year without holidays")
	}
	named := map[Date]bool{}
	for _, d := range slices.Concat(n.Off, n.Work) {
		if y := d.Year(); y < n.Year-1 || y > n.Year+1 {
			return fmt.Errorf("%s is not of its year or a neighbouring one", d)
		}
		if named[d] {
			return fmt.Errorf("%s is named twice", d)
		}
		named[d] = true
	}
	for _, o := range n.Occasions {
		if o.To < o.From || o.Name == "" || o.To-o.From >= longestRun {
			return fmt.Errorf("occasion %q from %s to %s: want a name and 1 to %d days", o.Name, o.From, o.To, longestRun)
		}
		for d := o.From; d <= o.To; d++ {
			if !named[d] {
				return fmt.Errorf("occasion %q: %s is neither off nor worked", o.Name, d)
			}
		}
	}
	return nil
}

// settledSpans returns the dates that no notice still to come is expected to name: the days of the known
// years, less the last three of a year whose next one is not known, because New Year notices reach back to them.
func settledSpans(years []int) []span {
	var spans []span
	for i, y := range years {
		s := span{dayOf(y, 1, 1), dayOf(y, 12, 31)}
		if i+1 == len(years) || years[i+1] != y+1 {
			s.to = dayOf(y, 12, 28)
		}
		if k := len(spans) - 1; k >= 0 && spans[k].to+1 == s.from {
			spans[k].to = s.to
			continue
		}
		spans = append(spans, s)
	}
	return spans
}

// IsWorkday reports whether d is a working day: a make-up Sunday is one, a Monday off is not.
func (c *Calendar) IsWorkday(d Date) bool {
	if i := int(d - c.first); uint(i) < uint(len(c.day)) && c.day[i] != 0 {
		return c.day[i] < 0
	}
	w := d % 7 // Monday is 1, Sunday 0
	return w != 0 && w != 6
}

// Notice returns the notice that decides about d, if one names it: the answer to "says who?". Its lists are the
// calendar's own and only to be read.
func (c *Calendar) Notice(d Date) (n Notice, named bool) {
	i := int(d - c.first)
	if uint(i) >= uint(len(c.day)) || c.day[i] == 0 {
		return Notice{}, false
	}
	return c.notices[max(c.day[i], -c.day[i])-1], true
}

// Settled reports whether every date from..to, both included, is out of reach of notices still to come. It
// is not from 29 December of the last known year on, nor in and just before a year missing in between, nor
// before the first known year. An empty range is settled. A count over unsettled dates is provisional.
func (c *Calendar) Settled(from, to Date) bool {
	if to < from {
		return true
	}
	for _, s := range c.settled {
		if s.from <= from && to <= s.to {
			return true
		}
	}
	return false
}

// Version names what is loaded: "cn-2026#1" is the newest known year and the number of publications since
// its first, that one included. Every further publication changes it.
func (c *Calendar) Version() string { return c.version }

// Years returns the known years, ascending: those a loaded notice is about.
func (c *Calendar) Years() []int {
	var years []int
	for _, n := range c.notices {
		years = append(years, n.Year)
	}
	slices.Sort(years)
	return slices.Compact(years)
}

// Notices returns what was published, in that order. The lists are the calendar's own and only to be read.
func (c *Calendar) Notices() []Notice { return slices.Clone(c.notices) }

// AsOf returns the calendar as it was at one of its versions, false if it never had that version.
func (c *Calendar) AsOf(version string) (*Calendar, bool) {
	n := c.since(version)
	if n < 0 {
		return nil, false
	}
	then, err := New(c.notices[:n]...)
	if err != nil {
		panic(err) // each notice was accepted before
	}
	return then, true
}

// Includes reports whether the calendar is at a version, or has come further since: it holds every publication of then.
func (c *Calendar) Includes(version string) bool { return c.since(version) >= 0 }

// since returns how many publications the calendar had at a version, -1 if it never had that version.
func (c *Calendar) since(version string) int {
	for n := len(c.notices); n >= 0; n-- {
		if versionOf(c.notices[:n]) == version {
			return n
		}
	}
	return -1
}

// With returns the calendar after one more publication. It returns [ErrNotice] as [New] does.
func (c *Calendar) With(n Notice) (*Calendar, error) {
	return New(append(slices.Clone(c.notices), n)...)
}

// Without returns the calendar as if the notices about the given years had never been published.
func (c *Calendar) Without(years ...int) *Calendar {
	kept := slices.DeleteFunc(slices.Clone(c.notices), func(n Notice) bool { return slices.Contains(years, n.Year) })
	less, err := New(kept...)
	if err != nil {
		panic(err) // each notice was accepted before
	}
	return less
}

//go:embed cn.txt
var cn string

var china = sync.OnceValues(func() (*Calendar, error) {
	notices, err := ParseNotices(cn)
	if err != nil {
		return nil, err
	}
	return New(notices...)
})

// China returns the calendar of the State Council notices for 2017 to 2026.
func China() *Calendar {
	c, err := china()
	if err != nil {
		panic("calendar: the embedded notices: " + err.Error()) // a test reads them, so this build has none
	}
	return c
}

// ParseNotices reads notices in the layout of cn.txt, in the order written. The lines are
//
//	notice 2026 https://…                  opens a notice: year, source
//	off    2026-10-01..2026-10-07 国庆节   days off of that notice: a date, or first..last (at most 31 days), and the
//	                                       occasion, which may be left out
//	work   2026-10-10 国庆节               make-up workdays likewise
//
// and empty ones; from a word that begins with # to the end of the line is a comment.
// It returns [ErrNotice], with the line, for anything else; whether the notices make sense is for [New] to say.
func ParseNotices(text string) ([]Notice, error) {
	var notices []Notice
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if k := slices.IndexFunc(words, func(w string) bool { return w[0] == '#' }); k >= 0 {
			words = words[:k]
		}
		if len(words) == 0 {
			continue
		}
		if err := addLine(&notices, words); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrNotice, i+1, err)
		}
	}
	return notices, nil
}

func addLine(notices *[]Notice, words []string) error {
	switch {
	case words[0] == "notice" && len(words) == 3:
		year, err := strconv.Atoi(words[1])
		if err != nil {
			return fmt.Errorf("year %q is no number", words[1])
		}
		*notices = append(*notices, Notice{Year: year, Source: words[2]})
		return nil
	case (words[0] == "off" || words[0] == "work") && (len(words) == 2 || len(words) == 3):
		if len(*notices) == 0 {
			return fmt.Errorf("%q before the first notice", words[0])
		}
		days, err := parseRun(words[1])
		if err != nil {
			return err
		}
		n := &(*notices)[len(*notices)-1]
		if words[0] == "off" {
			n.Off = append(n.Off, days...)
		} else {
			n.Work = append(n.Work, days...)
		}
		if len(words) == 3 {
			n.Occasions = append(n.Occasions, Occasion{days[0], days[len(days)-1], words[2]})
		}
		return nil
	}
	return fmt.Errorf("%q: want notice, off or work with what belongs to it", strings.Join(words, " "))
}

// longestRun is a month: no holiday is longer, a mistyped year is.
const longestRun = 31

// parseRun reads a date or first..last.
func parseRun(s string) ([]Date, error) {
	from, to, isRun := strings.Cut(s, "..")
	first, err := ParseDate(from)
	if err != nil {
		return nil, err
	}
	last := first
	if isRun {
		if last, err = ParseDate(to); err != nil {
			return nil, err
		}
	}
	if last < first || last-first >= longestRun {
		return nil, fmt.Errorf("%s: want 1 to %d days", s, longestRun)
	}
	var days []Date
	for d := first; d <= last; d++ {
		days = append(days, d)
	}
	return days, nil
}
