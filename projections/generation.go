package projections

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gridcase/domain/event"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// A generation is one file views-<n>.db. The file "current" names the one that is served. It is replaced by
// write, sync, rename, sync of the folder, so that after a crash it names the old or the new generation, and
// the named one is complete. A file that is not named is the remains of a build and is removed at the next start.
type generation struct {
	number int
	path   string
	tables []Table
	schema string

	pool *sql.DB // of the writing connection alone
	conn *sql.Conn
	held map[string]*sql.Stmt

	reading *sql.DB

	mu      sync.Mutex
	asked   map[string]*sql.Stmt // on reading
	readers int
	left    chan struct{} // closed when the last reader of a generation that takes no more of them has gone; nil = it takes some
}

// errDamaged: the file is no generation of views, or its pages are broken.
var errDamaged = errors.New("the file of the views is damaged")

// cursor is how far a generation has come: the last event it holds. Its id tells another log with the same positions.
type cursor struct {
	position eventlog.Position
	event    stream.ID
}

const pointer = "current"

// built are the pragmas of a build: if it is cut off, the file is thrown away, so nothing is synced and the rollback
// journal need not survive. live are those of a served file. A commit there need not be synced either: a tail
// lost in a power cut is followed again from the log, and NORMAL keeps the file whole.
var (
	built = []string{"journal_mode(MEMORY)", "synchronous(OFF)", "locking_mode(EXCLUSIVE)", "cache_size(-131072)", "temp_store(MEMORY)"}
	live  = []string{"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(10000)", "cache_size(-32768)", "temp_store(MEMORY)"}
	read  = []string{"query_only(1)", "busy_timeout(10000)", "cache_size(-16384)", "temp_store(MEMORY)"}
)

// readers is how many queries run at once.
const readers = 4

func dsn(path string, pragmas []string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") {
		abs = "/" + abs // a drive letter
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: url.Values{"_pragma": pragmas}.Encode()}
	return u.String(), nil
}

func connect(path string, pragmas []string, most int) (*sql.DB, error) {
	name, err := dsn(path, pragmas)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

func generationPath(dir string, n int) string {
	return filepath.Join(dir, "views-"+strconv.Itoa(n)+".db")
}

// currentGeneration reads the pointer; 0 if there is none.
func currentGeneration(dir string) (int, error) {
	b, err := os.ReadFile(filepath.Join(dir, pointer))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var n int
	if _, err := fmt.Sscanf(string(b), "views-%d.db\n", &n); err != nil || n < 1 {
		return 0, nil // torn or foreign: as if there was none
	}
	return n, nil
}

// point makes a generation the current one.
func point(dir string, n int) error {
	name := filepath.Join(dir, pointer)
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(filepath.Base(generationPath(dir, n)) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return syncPath(dir)
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sweep removes all generations but one, and returns the highest number seen.
func sweep(dir string, but int) (int, error) {
	found, err := filepath.Glob(filepath.Join(dir, "views-*.db*"))
	if err != nil {
		return 0, err
	}
	highest := but
	for _, path := range found {
		digits, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), "views-"), ".")
		n, err := strconv.Atoi(digits)
		if err != nil || n == but {
			continue
		}
		highest = max(highest, n)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
	}
	return highest, nil
}

// unknownTypes is which types of events the rows pass over, because the program that made them did not know them. It is no part of the
// schema: a program that knows one of them builds the views anew.
const unknownTypes = "CREATE TABLE IF NOT EXISTS unknown (type TEXT PRIMARY KEY) STRICT, WITHOUT ROWID"

// passedOver returns a type of events that the rows pass over and that this program knows; "" if there is none.
func (g *generation) passedOver(ctx context.Context) (typ string, err error) {
	err = eachRow(ctx, g.conn, "SELECT type FROM unknown ORDER BY type", nil, func(rs *sql.Rows) error {
		var t string
		err := rs.Scan(&t)
		if event.Known(t) {
			typ = t
		}
		return err
	})
	return typ, err
}

// beginGeneration makes an empty file to build in. Its plain indexes are made when it is finished.
func beginGeneration(ctx context.Context, dir string, n int, tables []Table) (*generation, error) {
	g := &generation{number: n, path: generationPath(dir, n), tables: tables, schema: schemaOf(tables)}
	if err := g.write(ctx, built); err != nil {
		return nil, fmt.Errorf("begin %s: %w", g.path, err)
	}
	script := []string{unknownTypes, "CREATE TABLE generation (id INTEGER PRIMARY KEY CHECK (id = 1), schema TEXT NOT NULL, position INTEGER NOT NULL, event BLOB NOT NULL) STRICT"}
	for _, t := range tables {
		script = append(script, t.create())
		for _, x := range t.Indexes {
			if x.Unique {
				script = append(script, t.createIndex(x))
			}
		}
	}
	for _, s := range script {
		if _, err := g.conn.ExecContext(ctx, s); err != nil {
			return nil, errors.Join(fmt.Errorf("begin %s: %w", g.path, err), g.discard())
		}
	}
	if _, err := g.conn.ExecContext(ctx, "INSERT INTO generation VALUES (1, ?, 0, x'')", g.schema); err != nil {
		return nil, errors.Join(fmt.Errorf("begin %s: %w", g.path, err), g.discard())
	}
	return g, nil
}

// openGeneration opens a finished file. It reads a page or two, whatever the size. It returns [errDamaged] for a file that
// cannot be read, and ok = false for one with other tables than these.
func openGeneration(ctx context.Context, dir string, n int, tables []Table) (g *generation, ok bool, err error) {
	g = &generation{number: n, path: generationPath(dir, n), tables: tables, schema: schemaOf(tables)}
	if _, err := os.Stat(g.path); errors.Is(err, os.ErrNotExist) {
		return nil, false, fmt.Errorf("%s is missing: %w", g.path, errDamaged)
	}
	if err := g.write(ctx, live); err != nil {
		return nil, false, fmt.Errorf("open %s: %w", g.path, damage(err))
	}
	var schema string
	if err := g.conn.QueryRowContext(ctx, "SELECT schema FROM generation").Scan(&schema); err != nil {
		if noTable(err) || errors.Is(err, sql.ErrNoRows) {
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
		return nil, false, errors.Join(fmt.Errorf("open %s: %w", g.path, damage(err)), g.close())
	}
	if schema != g.schema {
		return nil, false, g.close()
	}
	if _, err := g.conn.ExecContext(ctx, unknownTypes); err != nil { // a file from before it was kept
		return nil, false, errors.Join(fmt.Errorf("open %s: %w", g.path, damage(err)), g.close())
	}
	if g.reading, err = connect(g.path, read, readers); err != nil {
		return nil, false, errors.Join(err, g.close())
	}
	g.asked = map[string]*sql.Stmt{}
	return g, true, nil
}

// write opens the writing connection.
func (g *generation) write(ctx context.Context, pragmas []string) error {
	db, err := connect(g.path, pragmas, 1)
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	g.pool, g.conn, g.held = db, conn, map[string]*sql.Stmt{}
	return nil
}

// finish makes the indexes of a build, brings the file to the disk and opens it for service. If it is cut off, the
// pointer still names the generation before.
func (g *generation) finish(ctx context.Context) (*generation, error) {
	for _, t := range g.tables {
		for _, x := range t.Indexes {
			if x.Unique {
				continue
			}
			if _, err := g.conn.ExecContext(ctx, t.createIndex(x)); err != nil {
				return nil, fmt.Errorf("index %s: %w", t.Name, err)
			}
		}
	}
	if err := g.close(); err != nil {
		return nil, fmt.Errorf("finish %s: %w", g.path, err)
	}
	if err := syncPath(g.path); err != nil {
		return nil, fmt.Errorf("finish %s: %w", g.path, err)
	}
	served, ok, err := openGeneration(ctx, filepath.Dir(g.path), g.number, g.tables)
	if err == nil && !ok {
		err = fmt.Errorf("%s: %w", g.path, errDamaged)
	}
	return served, err
}

// close releases the file.
func (g *generation) close() error {
	var errs []error
	for _, st := range g.held {
		errs = append(errs, st.Close())
	}
	g.mu.Lock()
	for _, st := range g.asked {
		errs = append(errs, st.Close())
	}
	g.asked = nil
	g.mu.Unlock()
	errs = append(errs, g.conn.Close(), g.pool.Close())
	if g.reading != nil {
		errs = append(errs, g.reading.Close())
	}
	return errors.Join(errs...)
}

// discard closes and removes the file.
func (g *generation) discard() error {
	errs := []error{g.close()}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(g.path + suffix); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// acquire counts a reader in; false when the generation takes no more of them.
func (g *generation) acquire() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left != nil {
		return false
	}
	g.readers++
	return true
}

// release counts a reader out.
func (g *generation) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.readers--; g.readers == 0 && g.left != nil {
		close(g.left)
	}
}

// drain takes no more readers and waits for those that are there.
func (g *generation) drain() {
	g.mu.Lock()
	if g.left == nil {
		g.left = make(chan struct{})
		if g.readers == 0 {
			close(g.left)
		}
	}
	g.mu.Unlock()
	<-g.left
}

func (g *generation) prepared(ctx context.Context, text string) (*sql.Stmt, error) {
	if st, here := g.held[text]; here {
		return st, nil
	}
	st, err := g.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	g.held[text] = st
	return st, nil
}

// statements is how many queries are kept prepared: parsing a list's costs more than reading its page.
const statements = 128

// question returns a prepared query, or nil if too many are kept already.
func (g *generation) question(ctx context.Context, text string) (*sql.Stmt, error) {
	g.mu.Lock()
	st, here := g.asked[text]
	full := len(g.asked) >= statements
	g.mu.Unlock()
	if here || full {
		return st, nil
	}
	st, err := g.reading.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if first, here := g.asked[text]; here {
		return first, st.Close()
	}
	g.asked[text] = st
	return st, nil
}

func (g *generation) run(ctx context.Context, text string, args ...any) error {
	st, err := g.prepared(ctx, text)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(ctx, args...)
	return err
}

// cursor returns how far the generation has come.
func (g *generation) cursor(ctx context.Context) (c cursor, err error) {
	var position int64
	var id []byte
	err = g.conn.QueryRowContext(ctx, "SELECT position, event FROM generation").Scan(&position, &id)
	if err != nil {
		return c, fmt.Errorf("read the cursor of %s: %w", g.path, damage(err))
	}
	c.position = eventlog.Position(position)
	copy(c.event[:], id)
	return c, nil
}

// find reads one row; nil if there is none.
func (g *generation) find(ctx context.Context, table int, key []any) ([]any, error) {
	t := &g.tables[table]
	st, err := g.prepared(ctx, t.find())
	if err != nil {
		return nil, damage(err)
	}
	rows, err := st.QueryContext(ctx, key...)
	if err != nil {
		return nil, damage(err)
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, damage(rows.Err())
	}
	return scanRow(rows, t)
}

// parkedStreams returns what is parked, by position.
func parkedStreams(ctx context.Context, from querier) (parked []Parked, err error) {
	err = eachRow(ctx, from, "SELECT view, stream, position, error FROM parked ORDER BY position, view, stream", nil, func(rs *sql.Rows) error {
		var p Parked
		err := rs.Scan(&p.View, &p.Stream, &p.Position, &p.Error)
		parked = append(parked, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("what is parked: %w", err)
	}
	return parked, nil
}

// scanRow reads a whole row in stored form.
func scanRow(rows *sql.Rows, t *Table) ([]any, error) {
	row, into := make([]any, len(t.Columns)), make([]any, len(t.Columns))
	for i := range row {
		into[i] = &row[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, damage(err)
	}
	return row, nil
}

// chunk is how many rows one statement writes, where there are as many.
const chunk = 16

// apply writes all rows of the overlay inside the open transaction, in key order. What goes, goes first.
func (g *generation) apply(ctx context.Context, o *overlay) error {
	for _, typ := range slices.Sorted(maps.Keys(o.unknown)) {
		if err := g.run(ctx, "INSERT OR IGNORE INTO unknown VALUES (?)", typ); err != nil {
			return err
		}
	}
	for i := range g.tables {
		t := &g.tables[i]
		if len(o.changes[i]) == 0 {
			continue
		}
		keys := slices.Sorted(maps.Keys(o.changes[i]))
		var args []any
		for _, k := range keys {
			if c := o.changes[i][k]; c.gone {
				if err := g.run(ctx, t.remove(), c.row[:t.Key]...); err != nil {
					return fmt.Errorf("delete from %s: %w", t.Name, err)
				}
			}
		}
		keys = slices.DeleteFunc(keys, func(k string) bool { return o.changes[i][k].gone })
		for len(keys) > 0 {
			n := 1
			if len(keys) >= chunk {
				n = chunk
			}
			args = args[:0]
			for _, k := range keys[:n] {
				args = append(args, o.changes[i][k].row...)
			}
			if err := g.run(ctx, t.upsert(n), args...); err != nil {
				return fmt.Errorf("write %s: %w", t.Name, err)
			}
			keys = keys[n:]
		}
	}
	return nil
}

// commit writes the overlay and the cursor in one transaction. If it fails the file is as before.
func (g *generation) commit(ctx context.Context, o *overlay, c cursor) error {
	return g.transact(ctx, c, func() error { return g.apply(ctx, o) })
}

func (g *generation) transact(ctx context.Context, c cursor, f func() error) error {
	if err := g.run(ctx, "BEGIN IMMEDIATE"); err != nil {
		return damage(err)
	}
	err := f()
	if err == nil {
		err = g.run(ctx, "UPDATE generation SET position = ?, event = ?", int64(c.position), c.event[:])
	}
	if err == nil {
		err = g.run(ctx, "COMMIT")
	}
	if err != nil {
		// A cancelled context must not leave the transaction open.
		if undo := g.run(context.WithoutCancel(ctx), "ROLLBACK"); undo != nil && !noTransaction(undo) {
			err = errors.Join(err, undo)
		}
		return damage(err)
	}
	return nil
}

// The primary result codes of SQLite that decide whose fault an error is.
const (
	codeError      = 1
	codeCorrupt    = 11
	codeTooBig     = 18
	codeConstraint = 19
	codeMismatch   = 20
	codeNotADB     = 26
)

// code returns the primary result code of an error of the driver, 0 for any other error.
func code(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code() & 0xff
	}
	return 0
}

// refused reports whether rows were refused for what they say: the fault of an event, not of the disk.
func refused(err error) bool {
	switch code(err) {
	case codeConstraint, codeMismatch, codeTooBig:
		return true
	}
	return false
}

// damage marks errors that say that the file itself is broken.
func damage(err error) error {
	switch code(err) {
	case codeCorrupt, codeNotADB:
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return err
}

func noTable(err error) bool {
	return code(err) == codeError && strings.Contains(err.Error(), "no such table")
}

// noTransaction: SQLite rolled back by itself, as it does when the disk is full, or the connection is gone.
func noTransaction(err error) bool {
	return code(err) == codeError && strings.Contains(err.Error(), "no transaction") || errors.Is(err, driver.ErrBadConn)
}
