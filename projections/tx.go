package projections

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// Tx takes the rows that a view makes of one event. What one batch does to a row is gathered in memory, and
// the row is written once when the batch ends.
//
// A row that does not fit its table is the event's fault, like an error returned from Apply.
type Tx struct {
	ctx   context.Context
	rows  *overlay
	find  func(ctx context.Context, table int, key []any) ([]any, error) // nil row: none
	fault error                                                          // of the store; not the event's
	wrong error                                                          // of the event
}

// Put writes a row, in place of one with the same key. Values are string, int64, int, bool and []byte, in the order of the
// columns; a slice is kept, not copied.
func (t *Tx) Put(table string, row ...any) {
	i, ok := t.rows.names[table]
	if !ok {
		t.fail(fmt.Errorf("no table %q", table))
		return
	}
	if err := fit(&t.rows.tables[i], row, len(t.rows.tables[i].Columns)); err != nil {
		t.fail(err)
		return
	}
	t.rows.set(i, encodeKey(row[:t.rows.tables[i].Key]), change{row: row})
}

// Delete removes the row with this key, if there is one.
func (t *Tx) Delete(table string, key ...any) {
	i, ok := t.rows.names[table]
	if !ok {
		t.fail(fmt.Errorf("no table %q", table))
		return
	}
	if err := fit(&t.rows.tables[i], key, t.rows.tables[i].Key); err != nil {
		t.fail(err)
		return
	}
	t.rows.set(i, encodeKey(key), change{row: key, gone: true})
}

// Get returns the row with this key as the events so far have left it. The row is read only. It costs a look-up in memory, and
// one in the file if this batch has not touched the row.
func (t *Tx) Get(table string, key ...any) (row []any, found bool) {
	i, ok := t.rows.names[table]
	if !ok {
		t.fail(fmt.Errorf("no table %q", table))
		return nil, false
	}
	if err := fit(&t.rows.tables[i], key, t.rows.tables[i].Key); err != nil {
		t.fail(err)
		return nil, false
	}
	if c, here := t.rows.changes[i][encodeKey(key)]; here {
		return c.row, !c.gone
	}
	row, err := t.find(t.ctx, i, key)
	if err != nil && t.fault == nil {
		t.fault = fmt.Errorf("read a row of %s: %w", table, err)
	}
	return row, row != nil
}

func (t *Tx) fail(err error) {
	if t.wrong == nil {
		t.wrong = err
	}
}

// fit checks values against the first n columns and brings them into stored form.
func fit(t *Table, values []any, n int) error {
	if len(values) != n {
		return fmt.Errorf("table %s: %d values for %d columns", t.Name, len(values), n)
	}
	for i, v := range values {
		var ok bool
		switch c := v.(type) {
		case string:
			ok = t.Columns[i].Type == Text
		case int64:
			ok = t.Columns[i].Type == Integer
		case int:
			values[i], ok = int64(c), t.Columns[i].Type == Integer
		case bool:
			n := int64(0)
			if c {
				n = 1
			}
			values[i], ok = n, t.Columns[i].Type == Integer
		case []byte:
			if c == nil { // the driver takes it for NULL
				values[i] = []byte{}
			}
			ok = t.Columns[i].Type == Blob
		}
		if !ok {
			return fmt.Errorf("table %s: column %s cannot hold a %T", t.Name, t.Columns[i].Name, v)
		}
	}
	return nil
}

// encodeKey makes a key of the values: no two lists of values give the same.
func encodeKey(values []any) string {
	var space [80]byte
	b := space[:0]
	for _, v := range values {
		switch v := v.(type) {
		case string:
			b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(v)^1<<63)
		}
	}
	return string(b)
}

// change is what a batch does to one row: the row as it is to be, or its key alone if it is to go.
type change struct {
	row  []any
	gone bool
}

// overlay holds the rows a batch has touched, and how to take back what the event in hand did.
type overlay struct {
	tables  []Table
	names   map[string]int
	changes []map[string]change
	touched int
	journal []undo
	unknown map[string]bool // types of events that this program did not know
}

type undo struct {
	table  int
	key    string
	before change
	had    bool
}

func newOverlay(tables []Table) *overlay {
	o := &overlay{tables: tables, names: make(map[string]int, len(tables)), changes: make([]map[string]change, len(tables)), unknown: map[string]bool{}}
	for i, t := range tables {
		o.names[t.Name], o.changes[i] = i, map[string]change{}
	}
	return o
}

func (o *overlay) set(table int, key string, c change) {
	before, had := o.changes[table][key]
	if !had {
		o.touched++
	}
	o.journal = append(o.journal, undo{table: table, key: key, before: before, had: had})
	o.changes[table][key] = c
}

// keep makes what was done so far final.
func (o *overlay) keep() { o.journal = o.journal[:0] }

// undo takes back what was done since the last keep.
func (o *overlay) undo() {
	for _, u := range slices.Backward(o.journal) {
		if u.had {
			o.changes[u.table][u.key] = u.before
		} else {
			delete(o.changes[u.table], u.key)
			o.touched--
		}
	}
	o.keep()
}

// clear forgets everything, keeping the memory.
func (o *overlay) clear() {
	for _, c := range o.changes {
		clear(c)
	}
	clear(o.unknown)
	o.touched = 0
	o.keep()
}
