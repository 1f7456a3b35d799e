package calendar_test

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"gridcase/domain/calendar"
)

// listing returns "year,date,kind,source" of every date the calendar's notices name, in order of date.
func listing(t *testing.T, c *calendar.Calendar) []string {
	var rows []string
	for d := date(t, "2015-01-01"); d <= date(t, "2028-12-31"); d++ {
		n, named := c.Notice(d)
		if !named {
			continue
		}
		kind := "off"
		if c.IsWorkday(d) {
			kind = "work"
		}
		if slices.Contains(n.Work, d) != (kind == "work") {
			t.Errorf("%s: the calendar says %s, its notice does not", d, kind)
		}
		rows = append(rows, fmt.Sprintf("%d,%s,%s,%s", n.Year, d, kind, n.Source))
	}
	return rows
}

// The announced facts, in numbers anyone can count in the notices. The digest was taken of rows that agree with
// the shared table below, one by one, and changes with any of them.
func TestChinaHoldsTheAnnouncedDates(t *testing.T) {
	rows := listing(t, calendar.China())
	perYear := map[string][2]int{}
	for _, r := range rows {
		f := strings.Split(r, ",")
		n := perYear[f[0]]
		if f[2] == "off" {
			n[0]++
		} else {
			n[1]++
		}
		perYear[f[0]] = n
	}
	want := map[string][2]int{ // off, work
		"2017": {24, 5}, "2018": {23, 6}, "2019": {24, 7}, "2020": {30, 7}, "2021": {31, 7},
		"2022": {31, 7}, "2023": {27, 7}, "2024": {28, 8}, "2025": {28, 5}, "2026": {33, 6},
	}
	if !reflect.DeepEqual(perYear, want) {
		t.Errorf("dates named per notice (off, work): got %v, want %v", perYear, want)
	}
	sum := sha256.Sum256([]byte(strings.Join(rows, "\n")))
	if got, want := hex.EncodeToString(sum[:]), "92dc896bfbb57308ec6d54f5fb140968ac1a67a8702278d034d83bb9d39a398f"; got != want {
		t.Errorf("digest of the %d rows: got %s, want %s", len(rows), got, want)
	}
}

// The same facts in the table the project was given, where that is at hand.
func TestChinaAgreesWithTheSharedTable(t *testing.T) {
	shared := os.Getenv("GRIDCASE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(shared, "data", "china-calendar.csv"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Logf("no shared table here; the %d rows of our own are held by count and digest in TestChinaHoldsTheAnnouncedDates", len(listing(t, calendar.China())))
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, r := range table[1:] { // notice_year,date,occasion,kind,notice
		want = append(want, strings.Join([]string{r[0], r[1], r[3], r[4]}, ","))
	}
	slices.SortFunc(want, func(a, b string) int { return strings.Compare(a[len("2017,"):], b[len("2017,"):]) })
	if len(want) != 344 {
		t.Errorf("the shared table has %d rows, want 344", len(want))
	}
	if got := listing(t, calendar.China()); !slices.Equal(got, want) {
		for _, r := range got {
			if !slices.Contains(want, r) {
				t.Errorf("ours only: %s", r)
			}
		}
		for _, r := range want {
			if !slices.Contains(got, r) {
				t.Errorf("shared only: %s", r)
			}
		}
	}
}

func TestNeighbouringYearsAreKeyedByDate(t *testing.T) {
	c := calendar.China()
	for _, tc := range []struct {
		day     string
		workday bool
		notice  int
	}{
		{"2018-12-29", true, 2019}, // a Saturday
		{"2018-12-31", false, 2019},
		{"2022-12-31", false, 2023},
		{"2026-02-14", true, 2026},
	} {
		n, named := c.Notice(date(t, tc.day))
		if got := c.IsWorkday(date(t, tc.day)); got != tc.workday || !named || n.Year != tc.notice {
			t.Errorf("%s: got workday %t by the notice for %d, want %t by that for %d", tc.day, got, n.Year, tc.workday, tc.notice)
		}
	}
	if n, named := c.Notice(date(t, "2026-03-03")); named {
		t.Errorf("2026-03-03: got named by %d, want an ordinary Tuesday", n.Year)
	}
}

func TestTheLaterNoticeWins(t *testing.T) {
	first := calendar.Notice{Year: 2020, Source: "first", Off: []calendar.Date{date(t, "2020-01-30")}, Work: []calendar.Date{date(t, "2020-02-01")}}
	correction := calendar.Notice{Year: 2020, Source: "correction", Off: []calendar.Date{date(t, "2020-01-31"), date(t, "2020-02-01")}}
	c, err := calendar.New(first)
	if err != nil {
		t.Fatal(err)
	}
	corrected, err := c.With(correction)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Version()+" "+corrected.Version(), "cn-2020#1 cn-2020#2"; got != want {
		t.Errorf("versions: got %s, want %s", got, want)
	}
	for day, want := range map[string]bool{"2020-01-30": false, "2020-01-31": false, "2020-02-01": false} {
		if got := corrected.IsWorkday(date(t, day)); got != want {
			t.Errorf("%s after the correction: got workday %t, want %t", day, got, want)
		}
	}
	if !c.IsWorkday(date(t, "2020-02-01")) || !c.IsWorkday(date(t, "2020-01-31")) {
		t.Error("the correction changed the calendar before it")
	}
}

func TestACalendarKeepsItsOwnDates(t *testing.T) {
	n := calendar.Notice{Year: 2027, Source: "x", Off: []calendar.Date{date(t, "2027-01-01")}}
	c, err := calendar.New(n)
	if err != nil {
		t.Fatal(err)
	}
	n.Off[0] = date(t, "2027-01-08")
	again, err := c.With(calendar.Notice{Year: 2028, Source: "y", Off: []calendar.Date{date(t, "2028-01-01")}})
	if err != nil || again.IsWorkday(date(t, "2027-01-01")) || !again.IsWorkday(date(t, "2027-01-08")) {
		t.Errorf("the caller's list, changed afterwards, changed the calendar (%v)", err)
	}
}

func TestVersionNamesWhatIsLoaded(t *testing.T) {
	c := calendar.China()
	lateCorrection, err := c.With(calendar.Notice{Year: 2025, Source: "x", Off: []calendar.Date{date(t, "2025-07-01")}})
	if err != nil {
		t.Fatal(err)
	}
	next, err := lateCorrection.With(calendar.Notice{Year: 2027, Source: "y", Off: []calendar.Date{date(t, "2027-01-01")}})
	if err != nil {
		t.Fatal(err)
	}
	none, err := calendar.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		c    *calendar.Calendar
		want string
	}{{c, "cn-2026#1"}, {lateCorrection, "cn-2026#2"}, {next, "cn-2027#1"}, {c.Without(2026), "cn-2025#1"}, {none, "cn-0#0"}} {
		if got := tc.c.Version(); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
	if got, want := c.Without(2019).Years(), []int{2017, 2018, 2020, 2021, 2022, 2023, 2024, 2025, 2026}; !slices.Equal(got, want) {
		t.Errorf("years without 2019: got %v, want %v", got, want)
	}
}

func TestBadNoticesAreRefused(t *testing.T) {
	d := func(s string) []calendar.Date { return []calendar.Date{date(t, s)} }
	for name, n := range map[string]calendar.Notice{
		"empty":              {Year: 2027},
		"only make-up days":  {Year: 2027, Work: d("2027-01-02")},
		"year out of range":  {Year: 27, Off: d("2027-01-01")},
		"date of other year": {Year: 2027, Off: d("2029-01-01")},
		"both off and work":  {Year: 2027, Off: d("2027-01-01"), Work: d("2027-01-01")},
		"no date at all":     {Year: 2027, Off: []calendar.Date{0}},
	} {
		if _, err := calendar.China().With(n); !errors.Is(err, calendar.ErrNotice) {
			t.Errorf("%s: got %v, want ErrNotice", name, err)
		}
	}
	for name, text := range map[string]string{
		"unknown word":        "holiday 2027-01-01",
		"off before notice":   "off 2027-01-01",
		"no such day":         "notice 2027 x\noff 2027-02-30",
		"backward run":        "notice 2027 x\noff 2027-01-03..2027-01-01",
		"a year in one run":   "notice 2027 x\noff 2027-01-01..2028-01-01",
		"half a run":          "notice 2027 x\noff 2027-01-01..",
		"notice without year": "notice",
		"year in words":       "notice next x",
	} {
		if got, err := calendar.ParseNotices(text); !errors.Is(err, calendar.ErrNotice) {
			t.Errorf("%s: got %v, %v, want ErrNotice", name, got, err)
		}
	}
}

func FuzzParseNotices(f *testing.F) {
	f.Add("notice 2027 https://example.org\noff 2027-01-01..2027-01-03 # 元旦\n\n# rest\nwork 2027-01-04\n")
	f.Add("off")
	f.Add("notice 1 2 3")
	f.Fuzz(func(t *testing.T, text string) {
		notices, err := calendar.ParseNotices(text)
		if err != nil {
			if !errors.Is(err, calendar.ErrNotice) {
				t.Fatalf("%q: %v is no ErrNotice", text, err)
			}
			return
		}
		c, err := calendar.New(notices...)
		if err != nil {
			return
		}
		for _, n := range notices {
			for _, d := range slices.Concat(n.Off, n.Work) {
				if _, named := c.Notice(d); !named {
					t.Fatalf("%q: %s was read and is not named", text, d)
				}
			}
		}
	})
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2026-10-01", "0001-01-01", "9999-12-31", "0000-12-31", "2023-02-29", "2026-1-1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := calendar.ParseDate(s)
		if err != nil {
			return
		}
		if d.IsZero() || d.String() != s {
			t.Fatalf("%q reads as %d, which is %q", s, d, d)
		}
		if calendar.DateOf(d.Start()) != d || calendar.DateOf(d.End()) != d || calendar.DateOf(d.End().Add(time.Second)) != d+1 {
			t.Fatalf("%q runs from %s to %s", s, d.Start(), d.End())
		}
		if want := d.Start().In(calendar.Zone()); d.Weekday() != want.Weekday() || d.Year() != want.Year() {
			t.Fatalf("%q: got %s of %d, want %s", s, d.Weekday(), d.Year(), want)
		}
	})
}

func TestDateText(t *testing.T) {
	type body struct {
		Day  calendar.Date                   `json:"day"`
		None calendar.Date                   `json:"none,omitzero"`
		At   map[calendar.Date]string        `json:"at"`
		Open map[string][]calendar.TimeOfDay `json:"open"`
	}
	in := body{date(t, "2026-10-01"), 0, map[calendar.Date]string{date(t, "2026-02-14"): "x"}, map[string][]calendar.TimeOfDay{"a": {510, 1440}}}
	roundTrip(t, in, `{"day":"2026-10-01","at":{"2026-02-14":"x"},"open":{"a":["08:30","24:00"]}}`)
	for _, bad := range []string{"2026-10-1", "20261001", "2026-10-01T00:00:00Z", "0000-01-01"} {
		var d calendar.Date
		if err := d.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q: got %s, want an error", bad, d)
		}
	}
	for _, bad := range []string{"8:30", "24:01", "08:60", "", "0830"} {
		var at calendar.TimeOfDay
		if err := at.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q: got %s, want an error", bad, at)
		}
	}
}

// The zone is a constant of ours; the public zone database has to agree for all the time we speak of.
func TestTheCityIsEightHoursAheadSince1991(t *testing.T) {
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	for at := time.Date(1991, 9, 16, 0, 0, 0, 0, time.UTC); at.Year() < 2100; at = at.Add(12 * time.Hour) {
		_, want := at.In(shanghai).Zone()
		if _, got := at.In(calendar.Zone()).Zone(); got != want {
			t.Fatalf("%s: got %d s ahead of UTC, want %d", at, got, want)
		}
	}
}

// Neither the zone of the machine nor the zone a time is written in may matter.
func TestDuesDoNotDependOnTheZoneOfTheMachine(t *testing.T) {
	compute := func(loc *time.Location) []calendar.Due {
		var dues []calendar.Due
		for _, s := range []string{"2025-09-30 23:59:59", "2025-10-01 00:00", "2026-02-13 12:00", "2026-12-31 07:59"} {
			for _, u := range []string{"A", "B", "C", "D"} {
				for _, c := range []calendar.Clock{calendar.Sign, calendar.Handle, calendar.Rework} {
					r := china()
					d, err := r.Start("x", c, "issue", u, local(t, s).In(loc))
					if err != nil {
						t.Fatal(err)
					}
					for _, w := range r.Warnings(d) {
						d.ID += w.String()
					}
					dues = append(dues, d)
				}
			}
		}
		return dues
	}
	want := compute(time.UTC)
	machine := time.Local
	t.Cleanup(func() { time.Local = machine })
	for _, name := range []string{"UTC", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata", "Asia/Shanghai"} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		time.Local = loc
		if got := compute(loc); !reflect.DeepEqual(got, want) {
			t.Errorf("machine in %s: got %v, want %v", name, got, want)
		}
	}
}
