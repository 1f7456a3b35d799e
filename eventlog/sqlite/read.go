package sqlite

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"modernc.org/sqlite/lib"

	"gridcase/eventlog"
)

// A page is what is read from the database at once. It is handed on only when the connection is free again, so a loop
// body may take its time and use the log.
const (
	pageEvents = 1024
	pageBytes  = 4 << 20
)

const (
	// CROSS JOIN keeps SQLite from choosing the order of the tables itself.
	readStream = "SELECT " + columns + " FROM streams s CROSS JOIN events e ON e.stream = s.id" +
		" WHERE s.name = ? AND e.revision >= ? ORDER BY e.revision LIMIT ?"
	readLog = "SELECT " + columns + " FROM events e CROSS JOIN streams s ON s.id = e.stream" +
		" WHERE e.position > ? AND e.position <= ? ORDER BY e.position LIMIT ?"
)

// errPageFull ends a query early.
var errPageFull = errors.New("the page is full")

// Read implements [eventlog.Log]. It yields [eventlog.ErrCorrupt] in place of an event whose bytes changed, and if a revision is
// missing, and ends.
func (l *Log) Read(ctx context.Context, stream string, from eventlog.Revision) iter.Seq2[eventlog.Event, error] {
	return func(yield func(eventlog.Event, error) bool) {
		next := max(from, 0)
		for limit := 64; ; limit = pageEvents { // most streams are short
			events, full, err := l.page(ctx, readStream, stream, int64(next), int64(limit))
			for _, e := range events {
				if e.Revision != next {
					err = fmt.Errorf("%w: revision %d is missing", eventlog.ErrCorrupt, next)
					break
				}
				next++
				if !yield(e, nil) {
					return
				}
			}
			if err != nil {
				yield(eventlog.Event{}, fmt.Errorf("read %s: %w", stream, err))
				return
			}
			if !full && len(events) < limit {
				return
			}
		}
	}
}

// Follow implements [eventlog.Log]. Batches are at most 1,024 events or about 4 MiB. Near the end they come from memory.
// It yields [eventlog.ErrCorrupt] in place of an event whose bytes changed, and if a position is missing, and ends.
// A position beyond the end of the log is an error, not a wait: it was another log's, and what comes next here
// would be missed.
func (l *Log) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for told := false; ; {
			if err := ctx.Err(); err != nil {
				yield(eventlog.Batch{}, fmt.Errorf("follow: %w", err))
				return
			}
			events, end, moved, closed := l.tail.after(after, pageEvents)
			var err error
			switch {
			case closed:
				yield(eventlog.Batch{}, eventlog.ErrClosed)
				return
			case after > end:
				yield(eventlog.Batch{}, fmt.Errorf("follow after position %d: the log ends at %d", after, end))
				return
			case after == end && told:
				select {
				case <-moved:
				case <-ctx.Done():
				}
				continue
			case after < end && len(events) == 0:
				events, err = l.between(ctx, after, end)
			}
			if n := len(events); n > 0 {
				after = events[n-1].Position
			}
			told = after == end
			if (len(events) > 0 || err == nil) && !yield(eventlog.Batch{Events: events, Live: told}, nil) {
				return
			}
			if err != nil {
				yield(eventlog.Batch{}, fmt.Errorf("follow: %w", err))
				return
			}
		}
	}
}

// between returns a page of the events after a position, up to one that is known to be on disk. An error comes with the
// events before it.
func (l *Log) between(ctx context.Context, after, end eventlog.Position) ([]eventlog.Event, error) {
	events, full, err := l.page(ctx, readLog, int64(after), int64(end), int64(pageEvents))
	for i, e := range events {
		if after++; e.Position != after {
			return events[:i], fmt.Errorf("%w: position %d is missing", eventlog.ErrCorrupt, after)
		}
	}
	if err == nil && !full && len(events) < pageEvents && after != end {
		err = fmt.Errorf("%w: position %d is missing", eventlog.ErrCorrupt, after+1)
	}
	return events, err
}

// page runs a query of columns and returns its events, as far as pageBytes allows; full says that this ended it.
// An error comes with the events before it.
func (l *Log) page(ctx context.Context, query string, args ...any) (events []eventlog.Event, full bool, err error) {
	err = l.readers.with(ctx, func(s *session, d *decoder) error {
		bytes := 0
		return s.query(context.Background(), query, d.row[:], func() error {
			e, err := d.event()
			if err != nil {
				return err
			}
			events = append(events, e)
			if bytes += weight(&e); bytes >= pageBytes {
				return errPageFull
			}
			return nil
		}, args...)
	})
	if errors.Is(err, errPageFull) {
		return events, true, nil
	}
	return events, false, asCorrupt(err)
}

// asCorrupt makes what SQLite says of malformed pages an [eventlog.ErrCorrupt].
func asCorrupt(err error) error {
	switch code, _ := sqliteCode(err); code {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", eventlog.ErrCorrupt, err)
	}
	return err
}

// readerCount bounds the reading connections. Pages are read in well under a millisecond, so few suffice.
const readerCount = 4

// readerPragmas are the settings of a reading connection.
var readerPragmas = []string{"query_only(ON)", "busy_timeout(5000)", "cache_size(-16384)"}

// readers is a small pool of reading connections, opened when first needed.
type readers struct {
	path    string
	idle    chan *reader
	closing chan struct{}
}

// reader is one of them; its session is nil before the first use.
type reader struct {
	session *session
	decoder decoder
}

func newReaders(path string) *readers {
	p := &readers{path: path, idle: make(chan *reader, readerCount), closing: make(chan struct{})}
	for range readerCount {
		p.idle <- &reader{}
	}
	return p
}

// with runs read with a connection of its own.
func (p *readers) with(ctx context.Context, read func(*session, *decoder) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-p.closing:
		return eventlog.ErrClosed
	default:
	}
	var r *reader
	select {
	case r = <-p.idle:
	case <-p.closing:
		return eventlog.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.idle <- r }()
	if r.session == nil {
		if r.session, err = openSession(p.path, readerPragmas...); err != nil {
			return fmt.Errorf("open a reading connection: %w", err)
		}
	}
	return read(r.session, &r.decoder)
}

// close waits for the reads of a page that are under way and closes all connections.
func (p *readers) close() error {
	close(p.closing)
	var errs []error
	for range readerCount {
		if r := <-p.idle; r.session != nil {
			errs = append(errs, r.session.close())
		}
	}
	return errors.Join(errs...)
}
