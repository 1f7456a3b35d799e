package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"gridcase/eventlog"
)

// request is an append on its way to the writer and back.
type request struct {
	stream string
	expect eventlog.Revision
	facts  []eventlog.Fact  // copies: the caller's slices are not kept
	load   []eventlog.Event // instead of facts: events to take over as they are, see Load

	fate   atomic.Uint32
	done   chan struct{} // closed when commit and err are set
	commit eventlog.Commit
	err    error
}

// A request that waits is either taken by the writer or withdrawn by its caller, never both.
const (
	waiting = iota
	taken
	withdrawn
)

// Append implements [eventlog.Log]. If ctx ends before the writer has taken the append, nothing is written and the
// error is that of ctx; if it ends later, the outcome is unknown and the error is [eventlog.ErrUnavailable] too.
func (l *Log) Append(ctx context.Context, stream string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	if err := ctx.Err(); err != nil {
		return eventlog.Commit{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	size, err := admissible(stream, expect, facts)
	if err != nil {
		return eventlog.Commit{}, err
	}
	return l.submit(ctx, &request{stream: stream, expect: expect, facts: copied(facts, size), done: make(chan struct{})})
}

// admissible refuses what no state of the log could accept, and returns the bytes of data and metadata.
func admissible(stream string, expect eventlog.Revision, facts []eventlog.Fact) (size int, err error) {
	switch {
	case stream == "":
		return 0, errors.New("append: the stream has no name")
	case len(facts) == 0:
		return 0, fmt.Errorf("append to %s: no facts", stream)
	case expect < eventlog.None:
		return 0, fmt.Errorf("append to %s: revision %d cannot be expected", stream, expect)
	}
	for _, f := range facts {
		size += len(f.Data) + len(f.Meta)
	}
	if size > eventlog.MaxAppend {
		return 0, fmt.Errorf("append to %s: %d bytes: %w", stream, size, eventlog.ErrTooLarge)
	}
	return size, nil
}

// copied returns the facts with bytes of their own, all in one piece of memory, none of them nil.
func copied(facts []eventlog.Fact, size int) []eventlog.Fact {
	own := make([]eventlog.Fact, len(facts))
	bytes := make([]byte, 0, size)
	keep := func(b []byte) []byte {
		start := len(bytes)
		bytes = append(bytes, b...)
		return bytes[start:len(bytes):len(bytes)]
	}
	for i, f := range facts {
		f.Data, f.Meta = keep(f.Data), keep(f.Meta)
		own[i] = f
	}
	return own
}

// submit hands a request to the writer and waits for its answer.
func (l *Log) submit(ctx context.Context, r *request) (eventlog.Commit, error) {
	if !l.queue.put(r) {
		return eventlog.Commit{}, eventlog.ErrClosed
	}
	select {
	case <-r.done:
		return r.commit, r.err
	case <-ctx.Done():
	}
	if r.fate.CompareAndSwap(waiting, withdrawn) {
		return eventlog.Commit{}, fmt.Errorf("append to %s: %w", r.stream, ctx.Err())
	}
	select {
	case <-r.done: // both at once: the answer is worth more
		return r.commit, r.err
	default:
		return eventlog.Commit{}, fmt.Errorf("append to %s: %w: %w", r.stream, eventlog.ErrUnavailable, ctx.Err())
	}
}

// queue is where requests wait for the writer. It is unbounded: each caller waits in it with one request.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	closed  bool
	arrived chan struct{} // holds a token if somebody waits or the queue is closed
}

func newQueue() *queue { return &queue{arrived: make(chan struct{}, 1)} }

// put adds a request, or returns false if the queue is closed.
func (q *queue) put(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, r)
	q.signal()
	return true
}

func (q *queue) signal() {
	select {
	case q.arrived <- struct{}{}:
	default:
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// A group is bounded, so that one commit stays short and memory flat.
const (
	groupAppends = 1024
	groupBytes   = 4 << 20
)

// take appends to group the requests that wait, in their order, as far as the bounds allow and at least one. It waits
// for the first; it returns an empty group when the queue is closed and empty.
func (q *queue) take(group []*request) []*request {
	for {
		<-q.arrived
		q.mu.Lock()
		n, bytes := 0, 0
		for n < len(q.waiting) && len(group) < groupAppends && bytes < groupBytes {
			r := q.waiting[n]
			n++
			if r.fate.CompareAndSwap(waiting, taken) {
				group = append(group, r)
				bytes += r.size()
			}
		}
		q.waiting = q.waiting[:copy(q.waiting, q.waiting[n:])]
		clear(q.waiting[len(q.waiting) : len(q.waiting)+n])
		if len(q.waiting) > 0 || q.closed {
			q.signal()
		}
		ended := q.closed && len(q.waiting) == 0
		q.mu.Unlock()
		if len(group) > 0 || ended {
			return group
		}
	}
}

func (r *request) size() int {
	n := 0
	for _, f := range r.facts {
		n += len(f.Data) + len(f.Meta)
	}
	for _, e := range r.load {
		n += len(e.Data) + len(e.Meta)
	}
	return n
}
