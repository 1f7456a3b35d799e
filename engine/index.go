package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// index is what the engine knows across streams: links, the events of units and grids, what was published, lists and grants,
// what the flow could not do, and how far it has followed the log. It is a view like any other and made anew from the log if it is gone; its
// last transactions may be lost in a power cut (synchronous NORMAL), for the flow repeats itself without effect.
type index struct {
	db     *sql.DB
	cursor mark
	missed map[string]eventlog.Position // see [index.relearn]; used by who follows alone
	writer sync.Mutex                   // held while a transaction writes: two that overlap could fail where one had only to wait

	mu  sync.Mutex
	err error     // why following ended
	at  time.Time // of the last event that was followed; before the first, when the node began
}

const indexSchema = `
CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, event TEXT NOT NULL) STRICT;
INSERT OR IGNORE INTO cursor VALUES (1, 0, '');
CREATE TABLE IF NOT EXISTS edges (kind TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL, PRIMARY KEY (kind, a, b)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS edges_back ON edges (kind, b, a);
CREATE TABLE IF NOT EXISTS orgs (position INTEGER PRIMARY KEY, type TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS lists (position INTEGER PRIMARY KEY, data TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS grants (admission TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS published (position INTEGER PRIMARY KEY, type TEXT NOT NULL, data TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS parked (position INTEGER NOT NULL, rule TEXT NOT NULL, stream TEXT NOT NULL,
	reason TEXT NOT NULL, PRIMARY KEY (position, rule, stream)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unknown (type TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 5;`

// organisation finds the events of units and grids.
const organisation = "SELECT type, data FROM orgs ORDER BY position"

// indexVersion is raised with the schema. An index of an older version is emptied and made anew from the log: it passed over
// events that it did not know what to do with. What was parked stays to be looked at.
const indexVersion = 5

func openIndex(ctx context.Context, path string) (*index, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, fmt.Errorf("engine index: %w", err)
	}
	x := &index{db: db}
	if err := x.outdated(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("engine index %s: %w", path, err), db.Close())
	}
	if _, err := db.ExecContext(ctx, indexSchema); err != nil {
		return nil, errors.Join(fmt.Errorf("engine index: %w", err), db.Close())
	}
	var at int64
	if err := db.QueryRowContext(ctx, "SELECT position FROM cursor").Scan(&at); err != nil {
		return nil, errors.Join(fmt.Errorf("engine index: %w", err), db.Close())
	}
	x.cursor.at = eventlog.Position(at)
	if err := x.relearn(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("engine index: %w", err), db.Close())
	}
	return x, nil
}

// Organisation reads the units and grids that the index at path knows, also while a node has it open: what may lack is what happened in
// the last moment. It returns an empty tree where there is no index, or one of another version of the program.
func Organisation(ctx context.Context, path string) (_ *orgs.Tree, err error) {
	var units orgs.Register
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return units.Tree(), nil
	}
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, fmt.Errorf("engine index: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return nil, fmt.Errorf("engine index %s: %w", path, err)
	}
	if version == indexVersion {
		organised, err := kept[orgs.Event](ctx, &index{db: db}, organisation)
		if err != nil {
			return nil, err
		}
		units.Apply(organised...)
	}
	return units.Tree(), nil
}

// relearn empties an index that passed over events of a type which this program knows, so that it is made anew from the log. For each such type
// missed holds the last of the events that were passed over: up to there they have had no consequence here. The table keeps
// them until the log has been followed beyond, so a program that dies meanwhile begins where it was.
func (x *index) relearn(ctx context.Context) error {
	x.missed = map[string]eventlog.Position{}
	rows, err := x.db.QueryContext(ctx, "SELECT type, position FROM unknown")
	if err != nil {
		return err
	}
	defer rows.Close()
	empty := false
	for rows.Next() {
		var typ string
		var last int64
		if err := rows.Scan(&typ, &last); err != nil {
			return err
		}
		if event.Known(typ) {
			x.missed[typ] = eventlog.Position(last)
			empty = empty || x.cursor.at >= eventlog.Position(last)
		}
	}
	if err := rows.Err(); err != nil || !empty {
		return err
	}
	return x.empty(ctx, "")
}

// empty forgets what was learnt from the log, and what other statements say, so that it is learnt anew.
func (x *index) empty(ctx context.Context, also string) error {
	x.cursor.at = 0
	_, err := x.db.ExecContext(ctx, `BEGIN IMMEDIATE; DELETE FROM edges; DELETE FROM orgs; DELETE FROM published; DELETE FROM lists; DELETE FROM grants;
UPDATE cursor SET position = 0, event = ''; `+also+` COMMIT;`)
	return err
}

// ours empties an index of another log, or of one that came further than this: an older copy was put in its place. Of what was
// parked, that stays of which this log may have the cause. It reports whether it did so.
func (x *index) ours(ctx context.Context, log eventlog.Log) (emptied bool, err error) {
	at := x.cursor.at
	if at == 0 {
		return false, nil
	}
	var id string
	if err := x.db.QueryRowContext(ctx, "SELECT event FROM cursor").Scan(&id); err != nil {
		return false, fmt.Errorf("engine index: %w", err)
	}
	end, err := log.End(ctx)
	if err != nil {
		return false, err
	}
	if at <= end {
		for b, err := range log.Follow(ctx, at-1) {
			if err != nil {
				return false, err
			}
			if len(b.Events) > 0 && b.Events[0].Position == at && b.Events[0].ID.String() == id {
				return false, nil
			}
			if len(b.Events) > 0 || b.Live {
				break
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := x.empty(ctx, fmt.Sprintf("DELETE FROM parked WHERE position > %d; DELETE FROM unknown;", int64(end))); err != nil {
		return false, fmt.Errorf("engine index: %w", err)
	}
	x.missed = map[string]eventlog.Position{}
	return true, nil
}

// passes reports whether the index passes over events of types that this program does not know.
func (x *index) passes(ctx context.Context) (yes bool, err error) {
	err = x.db.QueryRowContext(ctx, "SELECT count(*) > 0 FROM unknown").Scan(&yes)
	return yes, err
}

// note keeps, in the transaction of a batch, what the batch passed over, and forgets what is learnt now.
func (x *index) note(ctx context.Context, tx *sql.Tx, unknown map[string]eventlog.Position, reached eventlog.Position) error {
	for typ, at := range unknown {
		if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO unknown VALUES (?,?)", typ, int64(at)); err != nil {
			return fmt.Errorf("engine index: %w", err)
		}
	}
	for typ, last := range x.missed {
		if reached < last {
			continue
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM unknown WHERE type = ?", typ); err != nil {
			return fmt.Errorf("engine index: %w", err)
		}
	}
	return nil
}

// outdated empties an index of an older version, and refuses one of a newer program.
func (x *index) outdated(ctx context.Context) error {
	var version int
	if err := x.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil || version == 0 || version == indexVersion {
		return err
	}
	if version > indexVersion {
		return fmt.Errorf("written by a newer program (version %d, this one knows %d); it can be deleted and is made anew", version, indexVersion)
	}
	_, err := x.db.ExecContext(ctx, `BEGIN IMMEDIATE;
DROP TABLE IF EXISTS cursor; DROP TABLE IF EXISTS edges; DROP TABLE IF EXISTS orgs;
DROP TABLE IF EXISTS published; DROP TABLE IF EXISTS lists; DROP TABLE IF EXISTS grants;
PRAGMA user_version = 0; COMMIT;`)
	return err
}

func (x *index) close() error { return x.db.Close() }

// stall keeps why following failed, nil that it goes on. It reports whether it went on before.
func (x *index) stall(err error) (moved bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	moved = x.err == nil
	x.err = err
	return moved
}

// took keeps the time of the last event that was followed.
func (x *index) took(at time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at = at
}

func (x *index) fault() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return fmt.Errorf("the engine no longer follows the log: %w", x.err)
	}
	return eventlog.ErrClosed
}

// querier is a database or one transaction of it.
type querier interface {
	QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error)
}

// from returns where the links of a kind lead from id, ordered by id.
func (x *index) from(ctx context.Context, k flow.EdgeKind, id stream.ID) ([]stream.ID, error) {
	return edges(ctx, x.db, "SELECT b FROM edges WHERE kind = ? AND a = ? ORDER BY b", k, id)
}

func edges(ctx context.Context, q querier, query string, k flow.EdgeKind, id stream.ID) ([]stream.ID, error) {
	rows, err := q.QueryContext(ctx, query, string(k), id.String())
	if err != nil {
		return nil, fmt.Errorf("engine index: %w", err)
	}
	defer rows.Close()
	var ids []stream.ID
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("engine index: %w", err)
		}
		to, err := stream.ParseID(text)
		if err != nil {
			return nil, fmt.Errorf("engine index: %w", err)
		}
		ids = append(ids, to)
	}
	return ids, rows.Err()
}

// Parked is a command of the flow, or of the clock, that was refused: it waits for a person to look.
type Parked struct {
	Position eventlog.Position // of its cause; for an alarm, how far the log was followed
	Rule     string            // of the flow; for an alarm, its key
	Stream   stream.Name
	Reason   string
}

// park keeps an alarm; false if it is kept already.
func (x *index) park(ctx context.Context, p Parked) (bool, error) {
	x.writer.Lock()
	defer x.writer.Unlock()
	r, err := x.db.ExecContext(ctx, "INSERT INTO parked SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM parked WHERE rule = ?2 AND stream = ?3)",
		int64(p.Position), p.Rule, string(p.Stream), p.Reason)
	if err != nil {
		return false, fmt.Errorf("engine index: %w", err)
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// Parked lists what flow and clock could not do, oldest first, at most 1000.
func (e *Engine) Parked(ctx context.Context) ([]Parked, error) {
	rows, err := e.index.db.QueryContext(ctx, "SELECT position, rule, stream, reason FROM parked ORDER BY position LIMIT 1000")
	if err != nil {
		return nil, fmt.Errorf("engine index: %w", err)
	}
	defer rows.Close()
	var all []Parked
	for rows.Next() {
		var p Parked
		if err := rows.Scan(&p.Position, &p.Rule, &p.Stream, &p.Reason); err != nil {
			return nil, fmt.Errorf("engine index: %w", err)
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// Release forgets what was parked, because a person has looked at it: by rule and stream, as [Engine.Parked] lists it, whatever the number of causes. It does
// not try it again. It returns false if nothing of the kind is parked.
func (e *Engine) Release(ctx context.Context, rule string, n stream.Name) (bool, error) {
	e.index.writer.Lock()
	defer e.index.writer.Unlock()
	r, err := e.index.db.ExecContext(ctx, "DELETE FROM parked WHERE rule = ? AND stream = ?", rule, string(n))
	if err != nil {
		return false, fmt.Errorf("engine index: %w", err)
	}
	gone, err := r.RowsAffected()
	return gone > 0, err
}
