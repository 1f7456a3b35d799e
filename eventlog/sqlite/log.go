// Package sqlite keeps the log in one SQLite file: the embedded default.
//
// # What is on disk
//
// The file holds two tables, events and streams, in WAL mode; see the schema. Any stock sqlite3 tool opens it; the
// view journal is made for that. Events are inserted and never changed: triggers abort UPDATE and DELETE. Each row
// carries a checksum over all its columns, which is checked whenever the row is read.
//
// # What is true when we die
//
// One goroutine owns the only writing connection and does group commit: it takes all appends that wait, writes
// them in one transaction, and answers them after COMMIT has returned under synchronous=FULL, that is, after fsync.
// Dying before the COMMIT: nothing of the group is in the log, and nobody was told it is. Dying inside it: all of the group
// or nothing, and nobody was told either way; repeating the same append finds out. Dying after it: everything is there.
// Positions are 1, 2, 3, … in the order of commits, which is the order in which they become visible.
//
// # When the disk fails
//
// A full disk refuses appends with [eventlog.ErrFull] and is tried again at each append. After any other error
// of a write or a sync nothing is acknowledged any more in this process: the kernel may have dropped the pages and
// call the next sync a success. Reading goes on, [Log.Health] says why, and a restart begins from what is
// really on disk.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gridcase/eventlog"
)

// Log is an [eventlog.Log] in a SQLite file. The bytes of the events it hands out are shared by followers: do not
// change them.
type Log struct {
	queue     *queue
	tail      *tail
	readers   *readers
	writer    *writer
	written   chan struct{} // closed when the writer has ended
	lock      *os.File
	recovered bool

	closing sync.Once
	closed  error
}

// Option changes a log when it is opened.
type Option func(*options)

type options struct {
	now     func() time.Time
	observe func(Group)
}

// WithClock makes the log take the time of its events from now instead of the machine's clock.
func WithClock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// WithObserver calls observe after each group commit, on the goroutine that writes: it must not block.
func WithObserver(observe func(Group)) Option { return func(o *options) { o.observe = observe } }

// Group tells how one group commit went.
type Group struct {
	Appends   int           // answered together
	Events    int           // written; 0 if all were repeats or conflicts
	Conflicts int           // of the appends
	Repeats   int           // of the appends
	Took      time.Duration // from taking the appends to the end of COMMIT
	Err       error         // nil, or why nothing was written
}

// Open opens the log at path and makes it if there is none; the folder must exist. The time it takes does not depend on
// the number of events. It refuses a file on a network file system, a file of a newer format, a database that is
// no log, and a file that another process has open.
func Open(ctx context.Context, path string, opts ...Option) (_ *Log, err error) {
	o := options{now: time.Now, observe: func(Group) {}}
	for _, opt := range opts {
		opt(&o)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open log %s: %w", path, err)
		}
	}()
	if err := refuseNetwork(filepath.Dir(path)); err != nil {
		return nil, err
	}
	lock, err := acquire(path + ".lock")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	wal, statErr := os.Stat(path + "-wal") // a clean close removes it
	if err := create(path); err != nil {
		return nil, err
	}
	session, err := openSession(path, "busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	w, err := newWriter(session, o)
	if err != nil {
		return nil, errors.Join(err, session.close())
	}
	l := &Log{
		queue: newQueue(), tail: newTail(w.end), readers: newReaders(path), writer: w,
		written: make(chan struct{}), lock: lock, recovered: statErr == nil && wal.Size() > 0,
	}
	go func() {
		defer close(l.written)
		w.run(l.queue, l.tail)
	}()
	return l, nil
}

// create makes an empty file for its owner alone, if there is none; SQLite would let everybody read it, and gives its
// companions the permissions of the file.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// End implements [eventlog.Log]. It answers from memory.
func (l *Log) End(ctx context.Context) (eventlog.Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("end of the log: %w", err)
	}
	_, end, _, closed := l.tail.after(0, 0)
	if closed {
		return 0, eventlog.ErrClosed
	}
	return end, nil
}

// Health returns nil while the log takes appends. It returns an error that is [eventlog.ErrFull] after an append found the disk full,
// until one succeeds, and one that is [eventlog.ErrUnavailable] for ever after a write or sync failed otherwise.
func (l *Log) Health() error {
	if err := l.writer.health.Load(); err != nil {
		return *err
	}
	return nil
}

// Recovered reports whether the process before this one left the log without closing it. SQLite has then
// replayed its WAL; [Log.Check] is due.
func (l *Log) Recovered() bool { return l.recovered }

// Check reads the whole file and verifies its structure: pages, indexes, constraints, references. It says nothing
// of payloads, whose checksums are verified when events are read. It costs about a second per gigabyte and
// blocks nobody but one reader.
func (l *Log) Check(ctx context.Context) error {
	return l.readers.with(ctx, func(s *session, _ *decoder) error {
		for _, pragma := range []string{"PRAGMA integrity_check(10)", "PRAGMA foreign_key_check"} {
			found, err := s.text(ctx, pragma)
			if err != nil {
				return fmt.Errorf("check the log: %w", asCorrupt(err))
			}
			if found != "ok" && found != "" {
				return fmt.Errorf("check the log: %w: %s", eventlog.ErrCorrupt, found)
			}
		}
		return nil
	})
}

// Close writes what waits, ends every Follow with [eventlog.ErrClosed], waits for reads of a page to end, and
// releases the file. Closing again does nothing.
func (l *Log) Close() error {
	l.closing.Do(func() {
		l.queue.close()
		<-l.written
		l.tail.close()
		// The writer's connection goes last: the last one out folds the WAL into the file and removes it.
		l.closed = errors.Join(l.readers.close(), l.writer.session.close(), l.lock.Close())
	})
	return l.closed
}
