// Package csvfeed reads the demands of an older system from a CSV file, as a mapping says: which columns, what time
// format and zone, which place and matter. What a row lacks is said row by row; nothing is dropped silently.
package csvfeed

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridcase/domain/calendar"
	"gridcase/domain/catalogue"
	"gridcase/domain/demand"
	"gridcase/domain/orgs"
)

// Mapping says how the columns of one older system become demands. A member it does not know is an error
// with its line. See mappings/citizen-messages.yaml for every member in use.
type Mapping struct {
	Source   string        `yaml:"source"`   // names the older system; with a row's id it makes the demand unique for ever
	Encoding string        `yaml:"encoding"` // utf-8 (with or without byte order mark) or gb18030; never guessed
	Columns  Columns       `yaml:"columns"`
	Time     TimeRule      `yaml:"time"`
	Place    PlaceRules    `yaml:"place"`
	Kind     KindRules     `yaml:"kind"`
	Units    []Unit        `yaml:"units"` // that must exist before rows can be held or placed: opened if they are missing
	Category CategoryRules `yaml:"category"`
}

// Unit is a unit that the mapping needs, the one above it first.
type Unit struct {
	Code   orgs.UnitCode `yaml:"code"`
	Name   string        `yaml:"name"`
	Kind   orgs.Kind     `yaml:"kind"`
	Parent orgs.UnitCode `yaml:"parent"`
}

// Columns names the column of each member; "" where the file has none.
type Columns struct {
	ID         string `yaml:"id"`      // required: the older system's number
	Account    string `yaml:"account"` // under which that system knows the resident
	Name       string `yaml:"name"`
	Phone      string `yaml:"phone"`
	Title      string `yaml:"title"`
	Text       string `yaml:"text"`        // required
	OccurredAt string `yaml:"occurred_at"` // required
	Address    string `yaml:"address"`
	Supporters string `yaml:"supporters"`
	Opponents  string `yaml:"opponents"`
}

// TimeRule says how instants are written. Formats are tried in order; one without an offset is in Zone.
type TimeRule struct {
	Formats     []string `yaml:"formats"`      // as Go writes them: 2006-01-02 15:04:05
	Zone        string   `yaml:"zone"`         // Asia/Shanghai by default
	ExcelSerial bool     `yaml:"excel_serial"` // accept days since 1899-12-30
}

// PlaceRules say where a matter lies. Rows that no rule fits have an unknown grid, and Holding holds them.
type PlaceRules struct {
	Holding orgs.UnitCode `yaml:"holding"`
	Column  string        `yaml:"column"` // a column that holds a grid or community code
	Rules   []PlaceRule   `yaml:"rules"`
}

// PlaceRule sends rows whose title, text or address contain one of the words to a unit.
type PlaceRule struct {
	Contains []string      `yaml:"contains"`
	Unit     orgs.UnitCode `yaml:"unit"`
}

// KindRules say what a row asks for; the first rule that fits wins.
type KindRules struct {
	Default demand.Kind `yaml:"default"`
	Rules   []KindRule  `yaml:"rules"`
}

// KindRule gives a kind to rows whose title contains one of the words.
type KindRule struct {
	Contains []string    `yaml:"contains"`
	Kind     demand.Kind `yaml:"kind"`
}

// CategoryRules suggest a matter code; the clerk decides when accepting. The first rule that fits wins.
type CategoryRules struct {
	Rules []CategoryRule `yaml:"rules"`
}

// CategoryRule gives a matter code to rows whose title or text contain one of the words.
type CategoryRule struct {
	Contains []string       `yaml:"contains"`
	Code     catalogue.Code `yaml:"code"`
}

// Load reads a mapping file. An unknown member, kind, matter or zone is an error that shows the line.
func Load(path string) (*Mapping, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("mapping: %w", err)
	}
	m := Mapping{Encoding: "utf-8", Time: TimeRule{Zone: "Asia/Shanghai", Formats: []string{time.RFC3339}}, Kind: KindRules{Default: demand.Issue}}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(), yaml.DisallowUnknownField()).Decode(&m); err != nil {
		return nil, fmt.Errorf("mapping %s: %s", path, yaml.FormatError(err, false, false))
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("mapping %s: %w", path, err)
	}
	return &m, nil
}

func (m *Mapping) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for name, v := range map[string]string{"source": m.Source, "columns.id": m.Columns.ID, "columns.text": m.Columns.Text, "columns.occurred_at": m.Columns.OccurredAt} {
		if v == "" {
			fault("%s is missing", name)
		}
	}
	if strings.Trim(m.Source, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		fault("source %q: want lower-case letters, digits and hyphens", m.Source)
	}
	if m.Encoding != "utf-8" && m.Encoding != "gb18030" {
		fault("encoding %q: want utf-8 or gb18030", m.Encoding)
	}
	if !m.Place.Holding.Valid() {
		fault("place.holding %q is no unit code", m.Place.Holding)
	}
	for _, r := range m.Place.Rules {
		if !r.Unit.Valid() || len(r.Contains) == 0 {
			fault("place rule %v: want words and a unit code", r.Contains)
		}
	}
	kinds := map[demand.Kind]bool{}
	for _, k := range demand.Kinds() {
		kinds[k] = true
	}
	if !kinds[m.Kind.Default] {
		fault("kind.default %q is no kind", m.Kind.Default)
	}
	for _, r := range m.Kind.Rules {
		if !kinds[r.Kind] || len(r.Contains) == 0 {
			fault("kind rule %v: %q is no kind", r.Contains, r.Kind)
		}
	}
	for _, r := range m.Category.Rules {
		if _, known := catalogue.Lookup(r.Code); !known || len(r.Contains) == 0 {
			fault("category rule %v: %q is no matter", r.Contains, r.Code)
		}
	}
	if len(m.Time.Formats) == 0 && !m.Time.ExcelSerial {
		fault("time.formats is empty")
	}
	if _, err := m.Time.location(); err != nil {
		fault("time.zone: %v", err)
	}
	return errors.Join(faults...)
}

func (t TimeRule) location() (*time.Location, error) {
	if t.Zone == "Asia/Shanghai" {
		return calendar.Zone(), nil
	}
	return time.LoadLocation(t.Zone)
}
