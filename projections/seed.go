package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"gridcase/eventlog"
)

// ErrForeignViews: a file is no snapshot of views that this program keeps, or not of this log.
var ErrForeignViews = errors.New("these are not views of this program and this log")

// snapshotTable is what a snapshot has beside a generation: the digest of each view as it was taken.
const snapshotTable = "CREATE TABLE snapshot (view TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT, WITHOUT ROWID"

// Snapshot writes the current generation of a folder to a file, as it is at one moment, with the digest of each view. A node may be at
// work on the folder meanwhile. It returns the position that the snapshot reflects.
func Snapshot(ctx context.Context, dir, to string, further ...View) (eventlog.Position, error) {
	n, err := currentGeneration(dir)
	if err == nil && n == 0 {
		err = errors.New("there are no views")
	}
	if err != nil {
		return 0, fmt.Errorf("snapshot of %s: %w", dir, err)
	}
	if _, err := os.Stat(to); err == nil {
		return 0, fmt.Errorf("snapshot: %s is there already", to)
	}
	at, err := takeSnapshot(ctx, generationPath(dir, n), to, slices.Concat(All(), further))
	if err != nil {
		return 0, errors.Join(fmt.Errorf("snapshot of %s: %w", dir, err), removeFile(to))
	}
	return at, errors.Join(syncPath(to), syncPath(filepath.Dir(to)))
}

func removeFile(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func takeSnapshot(ctx context.Context, from, to string, views []View) (at eventlog.Position, err error) {
	if err := vacuumInto(ctx, from, to); err != nil {
		return 0, err
	}
	err = alter(ctx, to, func(tx *sql.Tx) error {
		if err := sameTables(ctx, tx, views); err != nil {
			return err
		}
		var digests map[string]string
		if digests, at, err = digestOf(ctx, tx, append(views, own{})); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, snapshotTable); err != nil {
			return err
		}
		for _, view := range slices.Sorted(maps.Keys(digests)) {
			if _, err := tx.ExecContext(ctx, "INSERT INTO snapshot VALUES (?, ?)", view, digests[view]); err != nil {
				return err
			}
		}
		return nil
	})
	return at, err
}

// vacuumInto copies a database, as it is at one moment, to a file that is not there yet.
func vacuumInto(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	db, err := connect(from, []string{"busy_timeout(10000)"}, 1) // query_only would forbid writing the copy, too
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return errors.Join(damage(err), db.Close())
}

// alter does something with a file that nobody else has open, in one transaction.
func alter(ctx context.Context, path string, do func(*sql.Tx) error) (err error) {
	db, err := connect(path, []string{"synchronous(FULL)", "busy_timeout(10000)"}, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return damage(err)
	}
	if err := do(tx); err != nil {
		return errors.Join(damage(err), tx.Rollback())
	}
	return tx.Commit()
}

// sameTables returns [ErrForeignViews] if a file has other tables than these views, or rows of another meaning.
func sameTables(ctx context.Context, tx *sql.Tx, views []View) error {
	var schema string
	if err := tx.QueryRowContext(ctx, "SELECT schema FROM generation").Scan(&schema); err != nil {
		if noTable(err) || errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: it is no file of views", ErrForeignViews)
		}
		return damage(err)
	}
	if schema != schemaOf(tablesOf(views)) {
		return fmt.Errorf("%w: they were made by another version of the program", ErrForeignViews)
	}
	return nil
}

// own is the tables of the runner, as if they were a view: a snapshot answers for them, too.
type own struct{}

func (own) Name() string           { return "runner" }
func (own) Tables() []Table        { return []Table{streamsTable, parkedTable} }
func (own) Apply(*Tx, Entry) error { return nil }

func tablesOf(views []View) []Table {
	tables := own{}.Tables()
	for _, v := range views {
		tables = append(tables, v.Tables()...)
	}
	return tables
}

// Seed makes a snapshot of another node's views the current generation of a folder that nobody has open; [Open] then goes on from
// there. Nothing of the folder changes unless everything is as it must be: the pages are whole, each view has the digest that it had
// when the snapshot was taken, tables and meaning are this program's, and the event at the snapshot's position is the
// same in this log. It returns the position. Rows that were altered together with their digest it can not tell: a snapshot is as
// trustworthy as where it comes from, and [Runner.Rebuild] asks the log.
func Seed(ctx context.Context, c Config, from string) (at eventlog.Position, err error) {
	fail := func(err error) (eventlog.Position, error) {
		return 0, fmt.Errorf("seed the views from %s: %w", from, err)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fail(err)
	}
	n, err := currentGeneration(c.Dir)
	if err != nil {
		return fail(err)
	}
	highest, err := sweep(c.Dir, n)
	if err != nil {
		return fail(err)
	}
	views := slices.Concat(All(), c.Further)
	path := generationPath(c.Dir, highest+1)
	err = removeFile(path)
	if err == nil {
		err = vacuumInto(ctx, from, path)
	}
	if err == nil {
		err = alter(ctx, path, func(tx *sql.Tx) error { return checkSnapshot(ctx, tx, views) })
	}
	if err == nil {
		at, err = takeUp(ctx, c.Log, c.Dir, highest+1, tablesOf(views))
	}
	if err != nil {
		_, err2 := fail(err)
		return 0, errors.Join(err2, removeFile(path))
	}
	if err := point(c.Dir, highest+1); err != nil {
		return fail(err)
	}
	_, err = sweep(c.Dir, highest+1)
	return at, err
}

// checkSnapshot returns why a copied snapshot is not to be trusted, and takes away what makes it one.
func checkSnapshot(ctx context.Context, tx *sql.Tx, views []View) error {
	if err := sameTables(ctx, tx, views); err != nil {
		return err
	}
	var whole string
	if err := tx.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&whole); err != nil || whole != "ok" {
		return errors.Join(fmt.Errorf("%w: %s", errDamaged, whole), err)
	}
	said := map[string]string{}
	err := eachRow(ctx, tx, "SELECT view, digest FROM snapshot", nil, func(rs *sql.Rows) error {
		var view, sum string
		err := rs.Scan(&view, &sum)
		said[view] = sum
		return err
	})
	if noTable(err) {
		return fmt.Errorf("%w: it is no snapshot; gridcase views snapshot takes one", ErrForeignViews)
	}
	if err != nil {
		return err
	}
	are, _, err := digestOf(ctx, tx, append(views, own{}))
	if err != nil {
		return err
	}
	for _, view := range slices.Sorted(maps.Keys(are)) {
		if said[view] != are[view] {
			return fmt.Errorf("%w: the view %s is not what it was when the snapshot was taken", errDamaged, view)
		}
	}
	_, err = tx.ExecContext(ctx, "DROP TABLE snapshot")
	return err
}

// takeUp opens a copied generation as it will be served, and looks whether it is of this log.
func takeUp(ctx context.Context, log eventlog.Log, dir string, n int, tables []Table) (eventlog.Position, error) {
	g, ok, err := openGeneration(ctx, dir, n, tables)
	if err == nil && !ok {
		err = ErrForeignViews
	}
	if err != nil {
		return 0, err
	}
	at, err := g.cursor(ctx)
	if err == nil && at.position == 0 {
		err = fmt.Errorf("%w: they are empty", ErrForeignViews)
	}
	if err == nil {
		r := &Runner{config: Config{Log: log}}
		if ok, err = r.ours(ctx, g); err == nil && !ok {
			err = fmt.Errorf("%w: the log has another event at position %d, or ends before it", ErrForeignViews, at.position)
		}
	}
	if err = errors.Join(err, g.close()); err != nil {
		return 0, err
	}
	return at.position, syncPath(generationPath(dir, n))
}
