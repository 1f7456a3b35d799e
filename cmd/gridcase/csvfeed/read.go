package csvfeed

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/unicode/norm"

	"gridcase/domain/demand"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
)

// Limits of what one demand may say, in characters; the API has the same.
const (
	maxTitle   = 100
	maxText    = 10_000
	maxAccount = 64
	maxName    = 50
	maxPhone   = 32
	maxAddress = 200
)

// Row is one demand of the older system.
type Row struct {
	Line       int // of the file where the row begins, the header is line 1
	ID         string
	Account    string
	Name       string
	Phone      string
	Title      string
	Text       string
	Address    string
	OccurredAt time.Time
	Kind       demand.Kind
	Category   string
	Grid       orgs.GridCode
	Unit       orgs.UnitCode
	Supporters int
	Opponents  int
}

// RowError says what is wrong with one row: in which line, in which column. It never quotes what people wrote.
type RowError struct {
	Line   int
	Column string
	Reason string
}

func (e *RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("line %d, column %s: %s", e.Line, e.Column, e.Reason)
}

// Read yields the rows of a CSV file with a header, each good one or a [*RowError]. A file whose header lacks a mapped
// column yields one error that is no RowError. Empty lines are passed over; fields may be quoted and hold line breaks;
// the guard apostrophe that a spreadsheet export puts before = + - @ is taken off. Units known to the caller
// settle places; a code nobody knows counts as unknown.
func (m *Mapping) Read(r io.Reader, units *orgs.Tree, now time.Time) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		in := bufio.NewReaderSize(r, 1<<16)
		if m.Encoding == "gb18030" {
			in = bufio.NewReaderSize(simplifiedchinese.GB18030.NewDecoder().Reader(in), 1<<16)
		} else if mark, err := in.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
			_, _ = in.Discard(3)
		}
		c := csv.NewReader(in)
		c.FieldsPerRecord = -1
		c.ReuseRecord = true
		header, err := c.Read()
		if err != nil {
			yield(Row{}, fmt.Errorf("read the header: %w", err))
			return
		}
		t, err := m.table(slices.Clone(header))
		if err != nil {
			yield(Row{}, err)
			return
		}
		t.units, t.now = units, now
		seen := map[string]int{}
		for {
			fields, err := c.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			line, _ := c.FieldPos(0)
			var parse *csv.ParseError
			if errors.As(err, &parse) {
				if !yield(Row{}, &RowError{Line: parse.StartLine, Reason: "broken row: " + parse.Err.Error()}) {
					return
				}
				continue
			}
			if err != nil {
				yield(Row{}, fmt.Errorf("read the file: %w", err))
				return
			}
			row, bad := t.row(fields, line)
			if bad == nil {
				if first, twice := seen[row.ID]; twice {
					bad = &RowError{Line: line, Column: m.Columns.ID, Reason: fmt.Sprintf("the number stands in line %d already", first)}
				}
				seen[row.ID] = line
			}
			if bad != nil {
				if !yield(Row{}, bad) {
					return
				}
			} else if !yield(row, nil) {
				return
			}
		}
	}
}

// Check reads the header of a file and says whether it has the mapped columns.
func (m *Mapping) Check(r io.Reader) error {
	for _, err := range m.Read(r, nil, time.Time{}) {
		var row *RowError
		if err != nil && !errors.As(err, &row) {
			return err
		}
		return nil
	}
	return nil
}

// table is the mapping applied to one header.
type table struct {
	*Mapping
	at     map[string]int
	width  int
	header []string
	zone   *time.Location
	units  *orgs.Tree
	now    time.Time
}

func (m *Mapping) table(header []string) (*table, error) {
	t := &table{Mapping: m, at: map[string]int{}, width: len(header), header: header}
	for i, h := range header {
		t.at[strings.TrimSpace(h)] = i
	}
	for _, c := range []string{m.Columns.ID, m.Columns.Account, m.Columns.Name, m.Columns.Phone, m.Columns.Title,
		m.Columns.Text, m.Columns.OccurredAt, m.Columns.Address, m.Columns.Supporters, m.Columns.Opponents, m.Place.Column} {
		if _, there := t.at[c]; c != "" && !there {
			return nil, fmt.Errorf("the file has no column %q; it has %s", c, strings.Join(header, ", "))
		}
	}
	var err error
	t.zone, err = m.Time.location()
	return t, err
}

func (t *table) row(fields []string, line int) (Row, *RowError) {
	if len(fields) != t.width {
		return Row{}, &RowError{Line: line, Reason: fmt.Sprintf("%d fields, the header has %d", len(fields), t.width)}
	}
	var bad *RowError
	fault := func(column, format string, args ...any) {
		if bad == nil {
			bad = &RowError{Line: line, Column: column, Reason: fmt.Sprintf(format, args...)}
		}
	}
	text := func(column string, limit int) string {
		if column == "" {
			return ""
		}
		v, reason := clean(fields[t.at[column]])
		if reason != "" {
			fault(column, "%s", reason)
		}
		if n := utf8.RuneCountInString(v); n > limit {
			fault(column, "%d characters, %d are allowed", n, limit)
		}
		return v
	}
	count := func(column string) int {
		v := text(column, 20)
		if v == "" {
			return 0
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > 1_000_000_000 {
			fault(column, "not a count")
		}
		return n
	}
	c := t.Columns
	row := Row{Line: line, ID: text(c.ID, 64), Account: text(c.Account, maxAccount), Name: text(c.Name, maxName),
		Phone: text(c.Phone, maxPhone), Title: text(c.Title, maxTitle), Text: text(c.Text, maxText),
		Address: text(c.Address, maxAddress), Supporters: count(c.Supporters), Opponents: count(c.Opponents)}
	if row.ID == "" {
		fault(c.ID, "the number is missing")
	}
	if sealed.LooksPersonal(row.ID) {
		fault(c.ID, "the number looks like a phone or identity number, and it would be kept readable")
	}
	if row.Text == "" {
		fault(c.Text, "the text is missing")
	}
	var ok bool
	if row.OccurredAt, ok = t.instant(text(c.OccurredAt, 64)); !ok {
		fault(c.OccurredAt, "not a time in any of the mapping's formats")
	} else if row.OccurredAt.After(t.now) {
		fault(c.OccurredAt, "the time lies in the future")
	}
	row.Kind = t.kind(row.Title)
	row.Category = t.category(row.Title + "\n" + row.Text)
	row.Grid, row.Unit = t.place(text(t.Place.Column, 64), row.Title+"\n"+row.Text+"\n"+row.Address)
	return row, bad
}

// clean normalises a field: NFC, line breaks as \n, no blanks around it, without the guard of a spreadsheet export.
func clean(s string) (v, reason string) {
	if !utf8.ValidString(s) {
		return "", "not valid UTF-8 (a GB18030 file? say so in the mapping)"
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	if len(s) > 1 && s[0] == '\'' && strings.ContainsRune("=+-@", rune(s[1])) {
		s = s[1:]
	}
	s = strings.TrimSpace(norm.NFC.String(s))
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return "", "holds a control character"
	}
	return s, ""
}

func (t *table) instant(s string) (time.Time, bool) {
	for _, f := range t.Time.Formats {
		if at, err := time.ParseInLocation(f, s, t.zone); err == nil {
			return at.UTC(), true
		}
	}
	if t.Time.ExcelSerial {
		if days, err := strconv.ParseFloat(s, 64); err == nil && days > 1 && days < 100_000 {
			seconds := time.Duration(days*86400+0.5) * time.Second
			return time.Date(1899, 12, 30, 0, 0, 0, 0, t.zone).Add(seconds).UTC(), true
		}
	}
	return time.Time{}, false
}

func contains(s string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

func (t *table) kind(title string) demand.Kind {
	for _, r := range t.Kind.Rules {
		if contains(title, r.Contains) {
			return r.Kind
		}
	}
	return t.Kind.Default
}

func (t *table) category(text string) string {
	for _, r := range t.Category.Rules {
		if contains(text, r.Contains) {
			return string(r.Code)
		}
	}
	return ""
}

// place settles where a row lies: its code, then the first rule that fits, then the unit that holds what nobody can place.
func (t *table) place(code, text string) (orgs.GridCode, orgs.UnitCode) {
	if g, known := t.units.Grid(orgs.GridCode(code)); known && !g.Retired {
		return g.Code, g.Community
	}
	if u, known := t.units.Unit(orgs.UnitCode(code)); known && !u.Closed {
		return "", u.Code
	}
	for _, r := range t.Place.Rules {
		if contains(text, r.Contains) {
			return "", r.Unit
		}
	}
	return "", t.Place.Holding
}
