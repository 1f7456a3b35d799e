package event

import (
	"container/list"
	"errors"
	"fmt"

	"gridcase/domain/stream"
)

// Stored is an event as the log gives it.
type Stored struct {
	Stream     stream.Name
	Revision   int64
	ID         stream.ID
	Type       string
	Data, Meta []byte
}

// Entry is an event understood: decoded, and folded into its stream, so that a reader sees the transition
// from Before to After.
type Entry struct {
	Stream   stream.Name
	Revision int64
	ID       stream.ID
	Meta     Meta
	Body     Body
	Before   State
	After    State
}

var (
	// ErrHole: a stream's revisions did not arrive as 0, 1, 2, …
	ErrHole = errors.New("an event is missing")
	// ErrRepeat: an event arrived that was seen before.
	ErrRepeat = errors.New("an event arrived twice")
)

// Folder folds many streams while their events arrive in log order, each event once. It keeps the states of
// the streams it met last, and asks Load for one it has let go. It is not safe for concurrent use.
type Folder struct {
	load  func(stream.Name, int64) (State, error)
	limit int
	kept  map[stream.Name]*list.Element
	used  *list.List // most recent first
}

type kept struct {
	name     stream.Name
	revision int64
	state    State
}

// NewFolder returns a folder that keeps up to limit states. Load returns the state of a stream after its
// first n events.
func NewFolder(limit int, load func(n stream.Name, count int64) (State, error)) *Folder {
	return &Folder{load: load, limit: limit, kept: map[stream.Name]*list.Element{}, used: list.New()}
}

// Understand decodes a stored event without folding it.
func Understand(s Stored) (Entry, error) {
	m, err := DecodeMeta(s.Meta)
	if err != nil {
		return Entry{}, fmt.Errorf("%s revision %d: %w", s.Stream, s.Revision, err)
	}
	b, err := Decode(s.Type, s.Data)
	if err != nil {
		return Entry{}, fmt.Errorf("%s revision %d: %w", s.Stream, s.Revision, err)
	}
	return Entry{Stream: s.Stream, Revision: s.Revision, ID: s.ID, Meta: m, Body: b}, nil
}

// Next decodes and folds the next event. It returns [ErrHole] or [ErrRepeat] if the stream's revision is not
// the expected one; the folder is then as before.
func (f *Folder) Next(s Stored) (Entry, error) {
	e, err := Understand(s)
	if err != nil {
		return Entry{}, err
	}
	return f.Fold(e)
}

// Fold folds an event that was decoded before.
func (f *Folder) Fold(e Entry) (Entry, error) {
	switch e.Stream.Category() {
	case stream.Demand, stream.Topic, stream.Order, stream.Dispute, stream.Whistle, stream.Admission, stream.Duties, stream.Unit,
		stream.Grids, stream.Calendar, stream.Policy, stream.Scheme, stream.Period, stream.Evaluation:
	default:
		return e, nil // streams without a state have no transition to show
	}
	k, err := f.keep(e.Stream, e.Revision)
	if err != nil {
		return Entry{}, err
	}
	switch {
	case e.Revision > k.revision+1:
		return Entry{}, fmt.Errorf("%s: after revision %d came %d: %w", e.Stream, k.revision, e.Revision, ErrHole)
	case e.Revision <= k.revision:
		return Entry{}, fmt.Errorf("%s: after revision %d came %d: %w", e.Stream, k.revision, e.Revision, ErrRepeat)
	}
	e.Before = k.state
	k.state, k.revision = Fold(e.Stream, k.state, e.Body, e.Meta.Stamp(e.ID)), e.Revision
	e.After = k.state
	return e, nil
}

func (f *Folder) keep(n stream.Name, next int64) (*kept, error) {
	if el, here := f.kept[n]; here {
		f.used.MoveToFront(el)
		return el.Value.(*kept), nil
	}
	k := &kept{name: n, revision: -1}
	if next > 0 {
		s, err := f.load(n, next)
		if err != nil {
			return nil, fmt.Errorf("fold %s up to revision %d: %w", n, next-1, err)
		}
		k.state, k.revision = s, next-1
	}
	f.kept[n] = f.used.PushFront(k)
	if f.used.Len() > f.limit {
		last := f.used.Back()
		f.used.Remove(last)
		delete(f.kept, last.Value.(*kept).name)
	}
	return k, nil
}

// State returns the state of a stream as of the last event folded, if the folder still keeps it.
func (f *Folder) State(n stream.Name) (State, bool) {
	if el, here := f.kept[n]; here {
		return el.Value.(*kept).state, true
	}
	return nil, false
}

// Forget drops a stream, so that it is loaded anew: after a hole was found and healed.
func (f *Folder) Forget(n stream.Name) {
	if el, here := f.kept[n]; here {
		f.used.Remove(el)
		delete(f.kept, n)
	}
}
