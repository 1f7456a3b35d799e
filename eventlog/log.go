// Package eventlog remembers: it is the port to the log of events and holds no rule of what they mean.
//
// A log is a set of streams, one per case file or rule, and one order over all of them. It can be read
// when the rules that wrote it are gone: this package never imports domain. The adapters (mem, sqlite, esdb)
// pass one contract, logtest, without private exceptions.
//
// The port offers nothing that one adapter could do differently: no "any revision", no delete, no
// truncation, no server-side subscription state.
package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Position orders all events of one log. It ascends; distances mean nothing; 0 is before the first event.
// Outside this program it is opaque.
type Position uint64

// String is the form used in headers, cursors and metrics.
func (p Position) String() string { return strconv.FormatUint(uint64(p), 10) }

// Revision numbers the events of one stream: 0, 1, 2, … without gaps.
type Revision int64

// None is the revision of a stream without events.
const None Revision = -1

// MaxAppend is the most that one Append may carry, in bytes of data and metadata together.
const MaxAppend = 1 << 20

// ContentType is the content type of every event; the leaf of an event names it (see package ledger).
const ContentType = "application/json"

// Fact is what a caller wants remembered. ID is chosen by the caller and makes the append repeatable.
type Fact struct {
	ID   uuid.UUID
	Type string
	Data []byte // JSON
	Meta []byte // JSON; begins with the leaf's salt
}

// Event is a fact as the log holds it. At is when the log wrote it: the store's own clock, outside the leaf.
type Event struct {
	Fact
	Stream   string
	Revision Revision
	Position Position
	At       time.Time
}

// Batch is a run of events in log order. Live says that the log held nothing more at that moment;
// a live batch may be empty. An empty batch that is not live says that the log has lost sight of its end, and that
// the follower may not have everything any more.
type Batch struct {
	Events []Event
	Live   bool
}

// Commit answers an append: the revision and position of its last event, and whether the log already held it.
type Commit struct {
	Revision Revision
	Position Position
	At       time.Time // when the log wrote the last event
	Repeated bool
}

// Log is an append-only log of events. All methods may be called concurrently and honour their context.
type Log interface {
	// Append writes all facts to the end of stream, or none of them. The stream must stand at expect.
	//
	// A repeat — the same ids at the revisions after expect — writes nothing and answers as the first
	// append did, even if only the first of those facts are repeated and whatever was appended since. It returns [ErrConflict] if the stream
	// stands elsewhere, [ErrTooLarge] above [MaxAppend], [ErrFull] if the disk is full (nothing was
	// written), and [ErrUnavailable] if the outcome is unknown: repeating the same append is then safe.
	// When it returns without error the events are on disk.
	Append(ctx context.Context, stream string, expect Revision, facts ...Fact) (Commit, error)

	// Read yields the events of stream from revision from on, in order. A stream without events yields nothing.
	Read(ctx context.Context, stream string, from Revision) iter.Seq2[Event, error]

	// Follow yields everything after the given position: in order, once, for ever, until ctx ends or the log
	// closes. After a batch with an error it yields nothing more; resume from the last event seen.
	Follow(ctx context.Context, after Position) iter.Seq2[Batch, error]

	// End returns the position of the newest event, 0 in an empty log.
	End(ctx context.Context) (Position, error)

	Close() error
}

var (
	// ErrConflict: the stream does not stand at the expected revision. See [ConflictError].
	ErrConflict = errors.New("the stream stands at another revision")
	// ErrUnavailable: the outcome is unknown. Repeat the same call; ids are deterministic, so nothing doubles.
	ErrUnavailable = errors.New("the log does not answer: outcome unknown")
	// ErrTooLarge: the append exceeds [MaxAppend]; nothing was written.
	ErrTooLarge = errors.New("the append is too large")
	// ErrFull: no space is left; nothing was written; reading goes on.
	ErrFull = errors.New("the disk of the log is full")
	// ErrCorrupt: stored bytes do not match their checksum. The event is never served.
	ErrCorrupt = errors.New("stored event does not match its checksum")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("the log is closed")
)

// ConflictError says where the stream really stands. It matches [ErrConflict].
type ConflictError struct {
	Stream         string
	Expect, Actual Revision
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("stream %s: expected revision %d, it stands at %d", e.Stream, e.Expect, e.Actual)
}

// Is reports whether target is [ErrConflict].
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }
