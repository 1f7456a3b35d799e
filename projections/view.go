// Package projections sees: it follows the log, folds each stream once, and keeps views of what the events
// add up to, for lists, look-ups and search.
//
// A view is a pure function of the log: each row follows from the events in log order and from nothing else,
// so views rebuilt from zero, resumed after a stop and followed live are equal byte for byte, on every node.
// All views of one file move together, in one transaction with one position. Files are disposable; a changed
// view is a new generation of the file, built beside the live one.
//
//   - [Open] opens the current generation, or builds one, and starts the [Runner].
//   - [Runner.Views] is the handle that answers queries; [Runner.Wait] lets a caller read its own writes.
//   - [Runner.Rebuild] builds everything again beside the live file, and swaps.
//
// Nothing personal is stored in the clear. Rows hold the ciphertexts as the events have them; [Search] over
// personal text lives in memory only.
package projections

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/eventlog"
)

// Entry is an event as a view sees it: decoded, folded once for all views, and set in its place in the log.
type Entry struct {
	event.Entry
	Position eventlog.Position
	At       time.Time  // when the log wrote it
	Units    *orgs.Tree // the organisation as of this event, itself included
}

// View makes rows out of events.
//
// Apply writes through tx and uses the entry and what tx holds, nothing else: no clock, no random number, no
// order of a map, no memory of its own. An error or a panic is the event's fault: its stream is parked for
// this view, and everything else goes on.
type View interface {
	Name() string
	Tables() []Table
	Apply(tx *Tx, e Entry) error
}

// All returns the views of the program.
func All() []View {
	return []View{Demands{}, Topics{}, Orders{}, Whistles{}, Reach{}, CaseFiles{}, Orgs{}, GridDays{}, Admissions{}, Duties{}, Blocks{}, Deadlines{}, Workload{}, Disputes{}, Escalations{}, Services{}, Alarms{}, Evidence{}, Periods{}, WorkItems{}}
}

// Type is what a column holds. The tables are STRICT and no column is ever NULL.
type Type string

// The types: a string, an int64, a []byte.
const (
	Text    Type = "TEXT"
	Integer Type = "INTEGER"
	Blob    Type = "BLOB"
)

// Column is one column of a table.
type Column struct {
	Name string
	Type Type
}

// Index names the columns by which a table is also ordered. A unique index is part of what rows must obey.
type Index struct {
	Columns []string
	Unique  bool
}

// Table is where a view keeps rows. The first Key columns are the primary key.
type Table struct {
	Name    string
	Columns []Column
	Key     int
	Indexes []Index
	Compact bool // kept in key order (WITHOUT ROWID): for narrow rows that are read by ranges of their key
}

// meaning is raised when a view gives other rows for the same events without a changed table.
const meaning = 3

func (t Table) create() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s (", t.Name)
	for _, c := range t.Columns {
		fmt.Fprintf(&b, "%s %s NOT NULL, ", c.Name, c.Type)
	}
	fmt.Fprintf(&b, "PRIMARY KEY (%s)", strings.Join(t.names(t.Key), ", "))
	b.WriteString(") STRICT")
	if t.Compact {
		b.WriteString(", WITHOUT ROWID")
	}
	return b.String()
}

func (t Table) names(n int) []string {
	names := make([]string, n)
	for i, c := range t.Columns[:n] {
		names[i] = c.Name
	}
	return names
}

func (t Table) createIndex(x Index) string {
	unique := ""
	if x.Unique {
		unique = "UNIQUE "
	}
	return fmt.Sprintf("CREATE %sINDEX %s ON %s (%s)", unique, indexName(t.Name, x.Columns...), t.Name, strings.Join(x.Columns, ", "))
}

func indexName(table string, columns ...string) string {
	return table + "_by_" + strings.Join(columns, "_")
}

// upsert writes n rows, replacing those that are there.
func (t Table) upsert(n int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(t.Columns)), ",") + ")"
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s VALUES %s", t.Name, strings.TrimSuffix(strings.Repeat(row+",", n), ","))
	fmt.Fprintf(&b, " ON CONFLICT (%s) DO ", strings.Join(t.names(t.Key), ", "))
	if t.Key == len(t.Columns) {
		b.WriteString("NOTHING")
		return b.String()
	}
	b.WriteString("UPDATE SET ")
	for i, c := range t.Columns[t.Key:] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s = excluded.%s", c.Name, c.Name)
	}
	return b.String()
}

func (t Table) keyed() string { return strings.Join(t.names(t.Key), " = ? AND ") + " = ?" }

func (t Table) remove() string { return fmt.Sprintf("DELETE FROM %s WHERE %s", t.Name, t.keyed()) }

func (t Table) find() string { return fmt.Sprintf("SELECT * FROM %s WHERE %s", t.Name, t.keyed()) }

// schemaOf says which tables a generation has: another text, another generation.
func schemaOf(tables []Table) string {
	h := sha256.New()
	fmt.Fprintf(h, "gridcase views, meaning %d\n", meaning)
	for _, t := range tables {
		fmt.Fprintln(h, t.create())
		for _, x := range t.Indexes {
			fmt.Fprintln(h, t.createIndex(x))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// The runner's own tables: how far each stream was seen, and what is parked.
var (
	streamsTable = Table{Name: "streams", Key: 1, Compact: true,
		Columns: []Column{{"stream", Text}, {"revision", Integer}}}
	parkedTable = Table{Name: "parked", Key: 2, Compact: true,
		Columns: []Column{{"view", Text}, {"stream", Text}, {"position", Integer}, {"error", Text}}}
)
