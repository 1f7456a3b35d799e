package relay

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gridcase/eventlog"
)

// Book is relays.db: how far each destination is, what is held for it, and what people wish. It is written with
// synchronous=FULL and can not be made anew from the log: it alone knows what other systems have. It holds no message, only
// where in the log each is found.
//
// Several processes may have it open: what a person wishes is written by the command line while the node runs, and done by the node.
type Book struct{ db *sql.DB }

const bookSchema = `
CREATE TABLE IF NOT EXISTS relays (name TEXT PRIMARY KEY, position INTEGER NOT NULL, shape TEXT NOT NULL,
	off INTEGER NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '', rest INTEGER NOT NULL DEFAULT 0,
	replay INTEGER NOT NULL DEFAULT 0, until INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (relay TEXT NOT NULL, position INTEGER NOT NULL, matter TEXT NOT NULL, stream TEXT NOT NULL, revision INTEGER NOT NULL,
	logged INTEGER NOT NULL, attempts INTEGER NOT NULL, first INTEGER NOT NULL, next INTEGER NOT NULL, parked INTEGER NOT NULL, reason TEXT NOT NULL,
	digest BLOB NOT NULL, PRIMARY KEY (relay, position)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wishes (id INTEGER PRIMARY KEY AUTOINCREMENT, relay TEXT NOT NULL, wish TEXT NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS refused (feed TEXT NOT NULL, message TEXT NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (feed, message)) STRICT, WITHOUT ROWID;
` + anchors + `
PRAGMA user_version = 1;`

// OpenBook opens the file, or makes it.
func OpenBook(ctx context.Context, path string) (*Book, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("book of relays: %w", err)
	}
	db.SetMaxOpenConns(2)
	var version int
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	if err == nil && version > 1 {
		err = fmt.Errorf("written by a newer program (version %d, this one knows 1)", version)
	}
	if err == nil {
		_, err = db.ExecContext(ctx, bookSchema)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("book of relays %s: %w", path, err), db.Close())
	}
	return &Book{db}, nil
}

// Close closes the file.
func (b *Book) Close() error { return b.db.Close() }

// Page is what the book says about one relay.
type Page struct {
	Name     string
	Position eventlog.Position // everything up to here is delivered, held, or not permitted
	Off      bool
	Why      string    // it is off
	Rest     time.Time // the destination asked not to be called before
	Replay   eventlog.Position
	Until    eventlog.Position // end of the range that is sent again; 0: none is
	Waiting  int
	Parked   int
	Next     time.Time // earliest attempt at what waits
	Wishes   []string  // that the node has not fulfilled yet
}

// Held is a message that is held.
type Held struct {
	Position eventlog.Position
	Matter   string // the case whose order it keeps
	Stream   string
	Revision eventlog.Revision
	Logged   time.Time
	Attempts int
	First    time.Time // attempt; zero: none, it waits behind another of its case
	Next     time.Time
	Parked   bool // there is no next attempt until a person resumes it
	Reason   string
	digest   []byte // of the body that was tried
}

// Pages lists all relays that the book knows, by name.
func (b *Book) Pages(ctx context.Context) ([]Page, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT name, position, off, why, rest, replay, until,
	(SELECT count(*) FROM held WHERE relay = name AND parked = 0), (SELECT count(*) FROM held WHERE relay = name AND parked = 1),
	(SELECT coalesce(min(next), 0) FROM held WHERE relay = name AND parked = 0 AND attempts > 0),
	(SELECT coalesce(group_concat(wish, ','), '') FROM wishes WHERE relay = name) FROM relays ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("book of relays: %w", err)
	}
	defer rows.Close()
	var all []Page
	for rows.Next() {
		var p Page
		var position, replay, until, rest, next int64
		var wishes string
		if err := rows.Scan(&p.Name, &position, &p.Off, &p.Why, &rest, &replay, &until, &p.Waiting, &p.Parked, &next, &wishes); err != nil {
			return nil, fmt.Errorf("book of relays: %w", err)
		}
		p.Position, p.Replay, p.Until = eventlog.Position(position), eventlog.Position(replay), eventlog.Position(until)
		p.Rest, p.Next = instant(rest), instant(next)
		if wishes != "" {
			p.Wishes = []string{wishes}
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// page reads, or begins, the page of a relay. The shape is what decides the body of its messages: one that differs is
// refused, for the same id would then be sent with another body.
func (b *Book) page(ctx context.Context, name, shape string, begin eventlog.Position) (Page, error) {
	_, err := b.db.ExecContext(ctx, "INSERT OR IGNORE INTO relays (name, position, shape) VALUES (?,?,?)", name, int64(begin), shape)
	if err != nil {
		return Page{}, fmt.Errorf("book of relays: %w", err)
	}
	var begun string
	if err := b.db.QueryRowContext(ctx, "SELECT shape FROM relays WHERE name = ?", name).Scan(&begun); err != nil {
		return Page{}, fmt.Errorf("book of relays: %w", err)
	}
	if begun != shape {
		return Page{}, fmt.Errorf("it was begun as %q and would now be %q: what was sent would be sent again with another body; give it another name", begun, shape)
	}
	pages, err := b.Pages(ctx)
	for _, p := range pages {
		if p.Name == name {
			return p, err
		}
	}
	return Page{}, errors.Join(err, fmt.Errorf("book of relays: no page for %s", name))
}

// Held lists what is held for a relay, in log order.
func (b *Book) Held(ctx context.Context, relay string) ([]Held, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT position, matter, stream, revision, logged, attempts, first, next, parked, reason, digest
	FROM held WHERE relay = ? ORDER BY position`, relay)
	if err != nil {
		return nil, fmt.Errorf("book of relays: %w", err)
	}
	defer rows.Close()
	var all []Held
	for rows.Next() {
		var h Held
		var position, revision, logged, first, next int64
		if err := rows.Scan(&position, &h.Matter, &h.Stream, &revision, &logged, &h.Attempts, &first, &next, &h.Parked, &h.Reason, &h.digest); err != nil {
			return nil, fmt.Errorf("book of relays: %w", err)
		}
		h.Position, h.Revision = eventlog.Position(position), eventlog.Revision(revision)
		h.Logged, h.First, h.Next = instant(logged), instant(first), instant(next)
		all = append(all, h)
	}
	return all, rows.Err()
}

// What a person may wish of a relay.
const (
	wishPark   = "park"   // send nothing more until it is resumed
	wishResume = "resume" // go on, and try what is parked at once
	wishReplay = "replay" // send a range again: after a, up to b
	wishSkip   = "skip"   // give up the parked message at position a
)

// Park wishes that a relay sends nothing more until it is resumed.
func (b *Book) Park(ctx context.Context, relay string) error {
	return b.wish(ctx, relay, wishPark, 0, 0)
}

// Resume wishes that a relay goes on, and that what is parked is tried at once.
func (b *Book) Resume(ctx context.Context, relay string) error {
	return b.wish(ctx, relay, wishResume, 0, 0)
}

// Skip wishes that the message at a position, which must be parked, is given up: its case goes on behind it.
func (b *Book) Skip(ctx context.Context, relay string, p eventlog.Position) error {
	held, err := b.Held(ctx, relay)
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.Position == p && h.Parked {
			return b.wish(ctx, relay, wishSkip, p, 0)
		}
	}
	return fmt.Errorf("relay %s: no message is parked at position %s", relay, p)
}

// Replay wishes that a relay sends again, with the ids and bodies of the first time, what it passed at positions from up to
// to, both included; to 0 is where it stands.
func (b *Book) Replay(ctx context.Context, relay string, from, to eventlog.Position) error {
	pages, err := b.Pages(ctx)
	if err != nil {
		return err
	}
	for _, p := range pages {
		if p.Name != relay {
			continue
		}
		if to == 0 {
			to = p.Position
		}
		var carried int64
		err := b.db.QueryRowContext(ctx, "SELECT position FROM carried WHERE relay = ?", relay).Scan(&carried)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("book of relays: %w", err)
		}
		if from <= eventlog.Position(carried) {
			return fmt.Errorf("relay %s: what was told up to position %d was told before the log was copied, with other positions in it, and can not be sent again as it was; a relay of another name sends it", relay, carried)
		}
		if from == 0 || from > to || to > p.Position {
			return fmt.Errorf("relay %s: it can send again positions 1 to %s, not %s to %s", relay, p.Position, from, to)
		}
		return b.wish(ctx, relay, wishReplay, from-1, to)
	}
	return fmt.Errorf("the book knows no relay %s", relay)
}

func (b *Book) wish(ctx context.Context, relay, wish string, x, y eventlog.Position) error {
	r, err := b.db.ExecContext(ctx, "INSERT INTO wishes (relay, wish, a, b) SELECT name, ?, ?, ? FROM relays WHERE name = ?", wish, int64(x), int64(y), relay)
	if err != nil {
		return fmt.Errorf("book of relays: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("the book knows no relay %s", relay))
	}
	return nil
}

type wish struct {
	id   int64
	wish string
	a, b eventlog.Position
}

// wishes lists what is wished of a relay, oldest first, later than what was seen.
func (b *Book) wishes(ctx context.Context, relay string, seen int64) ([]wish, error) {
	rows, err := b.db.QueryContext(ctx, "SELECT id, wish, a, b FROM wishes WHERE relay = ? AND id > ? ORDER BY id", relay, seen)
	if err != nil {
		return nil, fmt.Errorf("book of relays: %w", err)
	}
	defer rows.Close()
	var all []wish
	for rows.Next() {
		var w wish
		var x, y int64
		if err := rows.Scan(&w.id, &w.wish, &x, &y); err != nil {
			return nil, fmt.Errorf("book of relays: %w", err)
		}
		w.a, w.b = eventlog.Position(x), eventlog.Position(y)
		all = append(all, w)
	}
	return all, rows.Err()
}

// RefusedMessage is an inbound message that no command came of.
type RefusedMessage struct {
	Feed, Message string
	At            time.Time
	Reason        string
}

// refuse notes that a message was refused, and why; never what it said.
func (b *Book) refuse(ctx context.Context, m RefusedMessage) error {
	_, err := b.db.ExecContext(ctx, "INSERT OR REPLACE INTO refused VALUES (?,?,?,?)", m.Feed, m.Message, m.At.UnixMilli(), m.Reason)
	if err != nil {
		return fmt.Errorf("book of relays: %w", err)
	}
	return nil
}

// Refused lists the newest inbound messages that were refused, at most 1000.
func (b *Book) Refused(ctx context.Context) ([]RefusedMessage, error) {
	rows, err := b.db.QueryContext(ctx, "SELECT feed, message, at, reason FROM refused ORDER BY at DESC LIMIT 1000")
	if err != nil {
		return nil, fmt.Errorf("book of relays: %w", err)
	}
	defer rows.Close()
	var all []RefusedMessage
	for rows.Next() {
		var m RefusedMessage
		var at int64
		if err := rows.Scan(&m.Feed, &m.Message, &at, &m.Reason); err != nil {
			return nil, fmt.Errorf("book of relays: %w", err)
		}
		m.At = instant(at)
		all = append(all, m)
	}
	return all, rows.Err()
}

// instants are milliseconds since 1970; 0 is none.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// change is one thing to write.
type change func(ctx context.Context, tx *sql.Tx) error

// write makes changes, in order, all or none.
func (b *Book) write(ctx context.Context, changes []change) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("book of relays: %w", err)
	}
	defer tx.Rollback()
	for _, c := range changes {
		if err := c(ctx, tx); err != nil {
			return fmt.Errorf("book of relays: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("book of relays: %w", err)
	}
	return nil
}
