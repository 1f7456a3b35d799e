package projections

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// Alarms is the timetable (时限表): when the clock is next wanted on each stream, and which matters are overdue at which
// level of attention. It says where to look; what is to be done there, the stream itself says.
type Alarms struct{}

// Name implements [View].
func (Alarms) Name() string { return "alarms" }

// Tables implements [View].
func (Alarms) Tables() []Table {
	return []Table{{
		Name: "alarms", Key: 1, Compact: true,
		Columns: []Column{{"stream", Text}, {"at", Integer}, {"id", Text}, {"step", Text}}, // at: seconds since 1970
		Indexes: []Index{{Columns: []string{"at", "stream"}}},
	}, {
		Name: "overdue", Key: 1, Compact: true, Columns: []Column{{"stream", Text}, {"level", Integer}},
		Indexes: []Index{{Columns: []string{"level"}}},
	}}
}

// Apply implements [View]. Most events leave both rows as they are, and cost no write.
func (Alarms) Apply(tx *Tx, e Entry) error {
	was, before := event.SlotOf(e.Stream, e.Before)
	is, after := event.SlotOf(e.Stream, e.After)
	switch {
	case after && (!before || was != is):
		tx.Put("alarms", string(e.Stream), is.At.Unix(), is.ID, is.Step)
	case before && !after:
		tx.Delete("alarms", string(e.Stream))
	}
	stood, late := event.Overdue(e.Before)
	stands, overdue := event.Overdue(e.After)
	switch {
	case overdue && (!late || stood.Level != stands.Level):
		tx.Put("overdue", string(e.Stream), int(stands.Level))
	case late && !overdue:
		tx.Delete("overdue", string(e.Stream))
	}
	return nil
}

// Due lists when the clock is wanted, up to an instant: in the order of time, then of stream, from the first that
// comes after a slot; the zero slot is before all. It costs one look into an index and limit rows.
func (v *Views) Due(ctx context.Context, until time.Time, after event.Slot, limit int) (slots []event.Slot, err error) {
	from := int64(-1 << 62)
	if !after.At.IsZero() {
		from = after.At.Unix()
	}
	err = v.query(ctx, "SELECT stream, at, id, step FROM alarms WHERE (at, stream) > (?, ?) AND at <= ? ORDER BY at, stream LIMIT ?",
		[]any{from, string(after.Stream), until.Unix(), int64(limit)}, func(rs *sql.Rows) error {
			var s event.Slot
			var name string
			var at int64
			err := rs.Scan(&name, &at, &s.ID, &s.Step)
			s.Stream, s.At = stream.Name(name), time.Unix(at, 0).UTC()
			slots = append(slots, s)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("timetable: %w", err)
	}
	return slots, nil
}

// Waiting counts the streams on which the clock was wanted before an instant: what the machines are late with. It costs a
// pass over the keys of them.
func (v *Views) Waiting(ctx context.Context, before time.Time) (n int, err error) {
	err = v.query(ctx, "SELECT count(*) FROM alarms WHERE at < ?", []any{before.Unix()}, func(rs *sql.Rows) error { return rs.Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("timetable: %w", err)
	}
	return n, nil
}

// Overdue counts the streams with a clock that ran out and still runs, by the level that has their attention; 0: it never
// rose. It costs a pass over the keys of them.
func (v *Views) Overdue(ctx context.Context) (levels map[orgs.Level]int, err error) {
	levels = map[orgs.Level]int{}
	err = v.query(ctx, "SELECT level, count(*) FROM overdue GROUP BY level", nil, func(rs *sql.Rows) error {
		var level, n int
		err := rs.Scan(&level, &n)
		levels[orgs.Level(level)] = n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("overdue matters: %w", err)
	}
	return levels, nil
}
