package relay

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// ErrOtherLog is a book whose positions are not those of the log: going on with it would send everything again, or lose some.
var ErrOtherLog = errors.New("relays.db counts positions as another log does")

// anchors says, for each relay, at which position its log holds the first event of the relay's unit: a copy of the log in another store
// has that event elsewhere. And witnessed says what event the relay read last, by what every copy keeps: an older copy has it not, however
// long it has become since.
const anchors = `
CREATE TABLE IF NOT EXISTS witnessed (relay TEXT PRIMARY KEY, stream TEXT NOT NULL, revision INTEGER NOT NULL, event TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS anchors (relay TEXT PRIMARY KEY, stream TEXT NOT NULL, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS carried (relay TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;`

// witness is an event as every copy of its log has it. The zero witness is none.
type witness struct {
	stream   string
	revision eventlog.Revision
	event    string // its id
}

// remembered reports whether a log has the event that a relay read last; true if it read none.
func (b *Book) remembered(ctx context.Context, log eventlog.Log, relay string) (bool, error) {
	var w witness
	err := b.db.QueryRowContext(ctx, "SELECT stream, revision, event FROM witnessed WHERE relay = ?", relay).Scan(&w.stream, &w.revision, &w.event)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("book of relays: %w", err)
	}
	for ev, err := range log.Read(ctx, w.stream, w.revision) {
		return err == nil && ev.ID.String() == w.event, err
	}
	return false, nil
}

// first returns where a log has the first event of a stream, 0 if it has none.
func first(ctx context.Context, log eventlog.Log, name string) (eventlog.Position, error) {
	for ev, err := range log.Read(ctx, name, 0) {
		return ev.Position, err
	}
	return 0, nil
}

// agrees returns [ErrOtherLog] if a relay was told of positions that the log does not have, or has elsewhere. A relay that is new
// is anchored.
func (b *Book) agrees(ctx context.Context, log eventlog.Log, relay string, unit orgs.UnitCode) error {
	var name string
	var at, told int64
	err := b.db.QueryRowContext(ctx, "SELECT position FROM relays WHERE name = ?", relay).Scan(&told)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("book of relays: %w", err)
	}
	end, err := log.End(ctx)
	if err != nil {
		return err
	}
	if eventlog.Position(told) > end {
		return fmt.Errorf("%w: it was told up to %d, and the log ends at %s; after gridcase copy, gridcase relays carry counts anew; where an older log was put back, put back the relays.db of that time, too", ErrOtherLog, told, end)
	}
	if has, err := b.remembered(ctx, log, relay); err != nil || !has {
		return cmp.Or(err, fmt.Errorf("%w: the event that the relay read last is not in the log; where an older log was put back, put back the relays.db of that time, too", ErrOtherLog))
	}
	switch err := b.db.QueryRowContext(ctx, "SELECT stream, position FROM anchors WHERE relay = ?", relay).Scan(&name, &at); {
	case err == nil:
		p, err := first(ctx, log, name)
		if err == nil && p != eventlog.Position(at) {
			err = fmt.Errorf("%w: the first event of %s was at %d and is at %s; after gridcase copy, gridcase relays carry counts anew", ErrOtherLog, name, at, p)
		}
		return err
	case !errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("book of relays: %w", err)
	}
	name = string(stream.Keyed(stream.Unit, string(unit)))
	p, err := first(ctx, log, name)
	if err != nil || p == 0 {
		return err
	}
	if _, err := b.db.ExecContext(ctx, "INSERT INTO anchors VALUES (?,?,?)", relay, name, int64(p)); err != nil {
		return fmt.Errorf("book of relays: %w", err)
	}
	return nil
}

// Carry counts the book's positions as a copy of the log does: what was told stays told, what is held stays held. Both logs are
// read from their beginning to the last event that the book speaks of, in step, event by event. Nothing is
// changed unless all of it is. It returns how many positions were carried: none if the copy has every event where the log has it, as between
// two folders, or if nothing was told yet; then nothing is changed.
//
// The envelope of a message names its position. So what was tried before and not taken is parked when it is to be sent again, for
// its body would be another, and what was told before can not be replayed.
//
// No relay may run meanwhile.
func (b *Book) Carry(ctx context.Context, from, to eventlog.Log) (int, error) {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("book of relays: %w", err)
	}
	defer tx.Rollback()
	moved, alike := map[string]eventlog.Position{}, true // anchors
	err = each(ctx, tx, "SELECT stream, position FROM anchors", func(name string, at eventlog.Position) error {
		p, err := first(ctx, from, name)
		if err == nil && p != at {
			err = fmt.Errorf("%w than the one to carry from: the first event of %s was at %s and is at %s there", ErrOtherLog, name, at, p)
		}
		if err == nil {
			moved[name], err = first(ctx, to, name)
			alike = alike && moved[name] == at
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	var old []eventlog.Position
	err = each(ctx, tx, `SELECT '', position FROM relays UNION SELECT '', replay FROM relays UNION SELECT '', until FROM relays
UNION SELECT '', position FROM held UNION SELECT '', a FROM wishes UNION SELECT '', b FROM wishes ORDER BY 2`, func(_ string, p eventlog.Position) error {
		if p > 0 {
			old = append(old, p)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	became, err := inStep(ctx, old, from, to)
	if err != nil {
		return 0, err
	}
	for o, n := range became {
		alike = alike && o == n
	}
	if alike {
		return 0, nil
	}
	run := func(q string, args ...any) {
		if err == nil {
			_, err = tx.ExecContext(ctx, q, args...)
		}
	}
	run("CREATE TEMP TABLE became (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)")
	run("INSERT INTO became VALUES (0, 0)")
	for o, n := range became {
		run("INSERT INTO became VALUES (?,?)", int64(o), int64(n))
	}
	const anew = " = (SELECT new FROM became WHERE old = "
	run("UPDATE relays SET position" + anew + "position), replay" + anew + "replay), until" + anew + "until)")
	run("UPDATE wishes SET a" + anew + "a), b" + anew + "b)")
	run("UPDATE held SET position = -(SELECT new FROM became WHERE old = position)") // aside, for the new may be one of the old
	run("UPDATE held SET position = -position")
	run("INSERT OR REPLACE INTO carried SELECT name, position FROM relays")
	for name, p := range moved {
		run("UPDATE anchors SET position = ? WHERE stream = ?", int64(p), name)
	}
	run("DROP TABLE became")
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return 0, fmt.Errorf("book of relays: %w", err)
	}
	return len(became), nil
}

func each(ctx context.Context, tx *sql.Tx, query string, see func(string, eventlog.Position) error) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("book of relays: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var p int64
		if err := rows.Scan(&name, &p); err != nil {
			return fmt.Errorf("book of relays: %w", err)
		}
		if err := see(name, eventlog.Position(p)); err != nil {
			return err
		}
	}
	return rows.Err()
}

// inStep reads two logs side by side and returns where the second has the event that the first has at or before each of the
// given positions, which ascend.
func inStep(ctx context.Context, old []eventlog.Position, from, to eventlog.Log) (map[eventlog.Position]eventlog.Position, error) {
	became := map[eventlog.Position]eventlog.Position{}
	old = slices.Clone(old)
	source, stop := iter.Pull2(flat(ctx, from))
	defer stop()
	target, end := iter.Pull2(flat(ctx, to))
	defer end()
	var at eventlog.Position // in the second, of the event before
	for n := 0; len(old) > 0; n++ {
		a, err, more := source()
		if err != nil {
			return nil, err
		}
		if !more {
			return nil, fmt.Errorf("the log to carry from ends after %d events, before position %d, which was told: it is an older copy", n, old[0])
		}
		for len(old) > 0 && a.Position > old[0] {
			became[old[0]], old = at, old[1:]
		}
		if len(old) == 0 {
			break
		}
		b, err, more := target()
		switch {
		case err != nil:
			return nil, err
		case !more:
			return nil, fmt.Errorf("the log to carry to ends after %d events: finish the copy first", n)
		case a.ID != b.ID:
			return nil, fmt.Errorf("event %d is %s in one log and %s in the other: that is no copy", n, a.ID, b.ID)
		}
		at = b.Position
		if a.Position == old[0] {
			became[old[0]], old = at, old[1:]
		}
	}
	return became, nil
}

// flat yields what a log holds now.
func flat(ctx context.Context, log eventlog.Log) iter.Seq2[eventlog.Event, error] {
	return func(yield func(eventlog.Event, error) bool) {
		for batch, err := range log.Follow(ctx, 0) {
			if err != nil {
				yield(eventlog.Event{}, err)
				return
			}
			for _, ev := range batch.Events {
				if !yield(ev, nil) {
					return
				}
			}
			if batch.Live {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(eventlog.Event{}, err)
		}
	}
}
