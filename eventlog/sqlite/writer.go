package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"modernc.org/sqlite/lib"

	"gridcase/eventlog"
)

const (
	// checkpointBytes is about how long the WAL grows between two checkpoints. Writing over an old WAL is cheaper than
	// making it longer, and emptying a longer one stops the writer longer.
	checkpointBytes = 16 << 20
	// commitBytes is about what a commit adds to the WAL beside its events: the pages of the table and of its
	// indexes that it shares with the commits before and after.
	commitBytes = 16 << 10
)

// insertRows are the sizes of the prepared inserts, largest first. A group is written in as few as possible.
var insertRows = []int{32, 8, 1}

const (
	insertInto = "INSERT INTO events (position, stream, revision, id, type, data, meta, logged_at, checksum) VALUES "
	// Data and metadata are bound as bytes, without a copy to a string, and stored as text.
	insertRow = "(?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?)"

	claimStream = "INSERT INTO streams (id, name) VALUES (?, ?) ON CONFLICT DO NOTHING"
	findStream  = "SELECT s.id, (SELECT max(revision) FROM events WHERE stream = s.id) FROM streams s WHERE s.name = ?"
	lastEvent   = "SELECT max(position) FROM events"
	lastStream  = "SELECT max(id) FROM streams"
)

// writer owns the writing connection. Everything in it belongs to the goroutine of run, but health.
type writer struct {
	session *session
	now     func() time.Time
	observe func(Group)
	inserts []string // the statements of insertRows
	health  atomic.Pointer[error]

	end     eventlog.Position // of the log on disk
	streams int64             // the highest id of a stream on disk
	heads   *heads            // may be ahead of the disk inside a transaction only
	dirty   int               // bytes in the WAL since the last checkpoint, estimated

	// The transaction in hand.
	events  []eventlog.Event // all that it writes
	ids     []int64          // their streams
	flushed int              // how many of them SQLite has
	claimed int64            // the highest id of a stream in it

	args    []any
	sums    [][32]byte
	scratch []byte
	decoder decoder
}

func newWriter(s *session, o options) (*writer, error) {
	if err := prepareFile(s); err != nil {
		return nil, err
	}
	w := &writer{session: s, now: o.now, observe: o.observe, heads: newHeads()}
	for _, n := range insertRows {
		w.inserts = append(w.inserts, insertInto+strings.TrimSuffix(strings.Repeat(insertRow+", ", n), ", "))
	}
	return w, w.load()
}

// load reads from the disk where the log stands.
func (w *writer) load() error {
	end, err := w.session.number(lastEvent)
	if err != nil {
		return err
	}
	streams, err := w.session.number(lastStream)
	if err != nil {
		return err
	}
	w.end, w.streams = eventlog.Position(end), streams
	return nil
}

// run takes groups from the queue and commits them until the queue is closed. It keeps its thread, so that a
// fault injected per thread meets every write of the log.
func (w *writer) run(q *queue, t *tail) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var group []*request
	for {
		if group = q.take(group[:0]); len(group) == 0 {
			return
		}
		w.settle(group, t)
		clear(group)
	}
}

// settle commits a group and answers all of it.
func (w *writer) settle(group []*request, t *tail) {
	began := time.Now()
	var err error
	if stopped := w.health.Load(); stopped != nil && errors.Is(*stopped, eventlog.ErrUnavailable) {
		err = *stopped
	} else {
		err = w.transact(group)
	}
	switch {
	case err == nil:
		if len(w.events) > 0 {
			w.health.Store(nil)
			t.extend(w.events)
		}
	case errors.Is(err, eventlog.ErrFull):
		w.health.Store(&err)
		if len(group) > 1 { // what is small or already there need not suffer for the rest
			for i := range group {
				w.settle(group[i:i+1], t)
			}
			return
		}
	}
	report := Group{Appends: len(group), Events: len(w.events), Took: time.Since(began), Err: err}
	if err != nil {
		report.Events = 0
	}
	for _, r := range group {
		if err != nil {
			r.commit, r.err = eventlog.Commit{}, fmt.Errorf("append to %s: %w", r.stream, err)
		}
		if errors.Is(r.err, eventlog.ErrConflict) {
			report.Conflicts++
		}
		if r.commit.Repeated {
			report.Repeats++
		}
		close(r.done)
	}
	w.observe(report)
	if err == nil {
		w.checkpoint()
	}
}

// transact decides every append of the group, writes what was decided and commits it. It returns nil if every
// append has its own answer, [eventlog.ErrFull] if the disk is full and nothing was written, or [eventlog.ErrUnavailable].
func (w *writer) transact(group []*request) error {
	w.events, w.ids, w.flushed, w.claimed = w.events[:0], w.ids[:0], 0, w.streams
	if _, err := w.session.run("BEGIN IMMEDIATE"); err != nil {
		if code, _ := sqliteCode(err); code == sqlite3.SQLITE_BUSY {
			// Another tool writes to the file. It may stop, and nothing happened yet.
			return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
		}
		return w.abort(err)
	}
	at := w.now().UTC().Truncate(time.Microsecond)
	for _, r := range group {
		if err := w.decide(r, at); err != nil {
			return w.abort(err)
		}
	}
	if len(w.events) == 0 {
		if _, err := w.session.run("ROLLBACK"); err != nil {
			return w.stop(err)
		}
		return nil
	}
	if err := w.flush(); err != nil {
		return w.abort(err)
	}
	if _, err := w.session.run("COMMIT"); err != nil {
		return w.abort(err)
	}
	w.end, w.streams = w.events[len(w.events)-1].Position, w.claimed
	w.dirty += commitBytes
	return nil
}

// decide answers one append from where its stream stands, and adds what it writes to the transaction. The
// answer counts once the transaction is committed. It returns an error if SQLite fails.
func (w *writer) decide(r *request, at time.Time) error {
	r.commit, r.err = eventlog.Commit{}, nil
	if r.load != nil {
		return w.takeOver(r)
	}
	stands, err := w.stand(r.stream, r.expect)
	if err != nil {
		return err
	}
	if stands.revision != r.expect {
		return w.answer(r, stands)
	}
	for _, f := range r.facts {
		stands.revision++
		w.add(stands.id, eventlog.Event{Fact: f, Stream: r.stream, Revision: stands.revision, Position: w.next(), At: at})
	}
	w.heads.put(r.stream, stands)
	r.commit = eventlog.Commit{Revision: stands.revision, Position: w.next() - 1, At: at}
	return nil
}

// next is the position of the next event of the transaction.
func (w *writer) next() eventlog.Position { return w.end + eventlog.Position(len(w.events)) + 1 }

func (w *writer) add(stream int64, e eventlog.Event) {
	w.events = append(w.events, e)
	w.ids = append(w.ids, stream)
}

// stand returns where a stream stands. If it has no events and is expected to have none, its name is registered.
func (w *writer) stand(stream string, expect eventlog.Revision) (head, error) {
	if h, ok := w.heads.get(stream); ok {
		return h, nil
	}
	if expect == eventlog.None { // most likely it is new: then this is the only statement it needs
		n, err := w.session.run(claimStream, w.claimed+1, stream)
		if err != nil {
			return head{}, err
		}
		if n == 1 {
			w.claimed++
			return head{w.claimed, eventlog.None}, nil
		}
	}
	h := head{revision: eventlog.None}
	row := w.decoder.row[:2]
	err := w.session.query(context.Background(), findStream, row, func() error {
		h.id, _ = row[0].(int64)
		if revision, ok := row[1].(int64); ok { // a refused Load leaves names without events
			h.revision = eventlog.Revision(revision)
		}
		return nil
	}, stream)
	if err == nil && h.id != 0 {
		w.heads.put(stream, h)
	}
	return h, err
}

// answer answers an append whose stream stands elsewhere: a repeat as the first time, anything else as a conflict.
func (w *writer) answer(r *request, stands head) error {
	r.err = &eventlog.ConflictError{Stream: r.stream, Expect: r.expect, Actual: stands.revision}
	if r.expect > stands.revision || eventlog.Revision(len(r.facts)) > stands.revision-r.expect {
		return nil // not all of the facts can be there
	}
	if err := w.flush(); err != nil { // the first append may lie in this very transaction
		return err
	}
	var last eventlog.Event
	same := 0
	err := w.session.query(context.Background(), readStream, w.decoder.row[:], func() error {
		e, err := w.decoder.event()
		if err != nil {
			return err
		}
		if e.ID == r.facts[same].ID {
			same++
		}
		last = e
		return nil
	}, r.stream, int64(r.expect)+1, int64(len(r.facts)))
	switch {
	case errors.Is(err, eventlog.ErrCorrupt):
		r.err = fmt.Errorf("append to %s: is it a repeat? %w", r.stream, err)
	case err != nil:
		return err
	case same == len(r.facts):
		r.err = nil
		r.commit = eventlog.Commit{Revision: last.Revision, Position: last.Position, At: last.At, Repeated: true}
	}
	return nil
}

// flush hands to SQLite what the transaction has gathered.
func (w *writer) flush() error {
	w.sums = slices.Grow(w.sums[:0], len(w.events)-w.flushed) // arguments point into it: it must not move
	for w.flushed < len(w.events) {
		left := len(w.events) - w.flushed
		size := slices.IndexFunc(insertRows, func(n int) bool { return n <= left })
		w.args = w.args[:0]
		for i := w.flushed; i < w.flushed+insertRows[size]; i++ {
			e := &w.events[i]
			var sum [32]byte
			sum, w.scratch = checksum(w.scratch, e)
			w.sums = append(w.sums, sum)
			w.args = append(w.args, int64(e.Position), w.ids[i], int64(e.Revision), e.ID[:], e.Type, e.Data, e.Meta,
				e.At.UnixMicro(), w.sums[len(w.sums)-1][:])
			w.dirty += weight(e)
		}
		if _, err := w.session.run(w.inserts[size], w.args...); err != nil {
			return err
		}
		w.flushed += insertRows[size]
	}
	return nil
}

// abort undoes the transaction after an error. A full disk is an honest refusal, provided that nothing of the group
// is in the log; after anything else the writer stops.
func (w *writer) abort(cause error) error {
	w.heads.forget()
	w.events = w.events[:0]
	// After some errors SQLite rolls back on its own; then this has nothing to do and says so. What counts is where
	// the log ends afterwards.
	_ = w.session.exec("ROLLBACK")
	if code, _ := sqliteCode(cause); code != sqlite3.SQLITE_FULL {
		return w.stop(cause)
	}
	end, err := w.session.number(lastEvent)
	if err != nil {
		return w.stop(errors.Join(cause, err))
	}
	if eventlog.Position(end) != w.end {
		return w.stop(fmt.Errorf("the log ends at %d, not at %d, after %w", end, w.end, cause))
	}
	return fmt.Errorf("%w: %w", eventlog.ErrFull, cause)
}

// stop ends all writing of this process and says why.
func (w *writer) stop(cause error) error {
	err := fmt.Errorf("%w: writing stopped until restart: %w", eventlog.ErrUnavailable, cause)
	w.health.Store(&err)
	return err
}

// checkpoint moves pages from the WAL into the database when enough has gathered. It runs after the answers, in the
// writer, because a WAL is only begun anew if all of it was moved while nobody wrote.
func (w *writer) checkpoint() {
	if w.dirty < checkpointBytes {
		return
	}
	w.dirty = 0
	_, err := w.session.run("PRAGMA wal_checkpoint(PASSIVE)")
	switch code, _ := sqliteCode(err); {
	case err == nil, code == sqlite3.SQLITE_BUSY, code == sqlite3.SQLITE_FULL: // the WAL still holds everything
	default:
		w.stop(err)
	}
}
