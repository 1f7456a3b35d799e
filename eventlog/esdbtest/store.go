// Package esdbtest is a cluster of EventStoreDB nodes inside the process, for tests and measurements: nodes that speak the
// server's gRPC protocol on real sockets and share one log in memory.
//
// It does what package esdb needs of a server and what can go wrong there: server features, gossip, appends with an expected
// revision and the server's rules for repeats, reads of a stream and of $all, subscriptions to $all with a prefix filter,
// checkpoints and caught-up; TLS, passwords and user certificates; not-leader answers, outages and the faults of [Faults].
// It has no disks, no elections and no persistent subscriptions. It was written from the published protocol and from what is
// known of the servers; a real server is the judge.
package esdbtest

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// record is an event as a server holds it.
type record struct {
	id         uuid.UUID
	stream     string
	revision   uint64
	typ        string
	content    string
	data, meta []byte
	position   uint64 // commit and prepare position: bytes before it in the log
	created    time.Time
}

// store is the log that all nodes of a cluster share. It outlives them.
type store struct {
	mu      sync.Mutex
	log     []*record
	streams map[string][]*record
	deleted map[string]bool
	bytes   uint64
	moved   chan struct{} // closed when the log grows
}

func newStore() *store {
	return &store{streams: map[string][]*record{}, deleted: map[string]bool{}, moved: make(chan struct{})}
}

// proposal is an event to be appended.
type proposal struct {
	id         uuid.UUID
	typ        string
	content    string
	data, meta []byte
}

// outcome is how an append ended.
type outcome int

const (
	written outcome = iota
	repeated
	elsewhere // the stream stands at another revision
	deleted
)

// append writes all events or none. The rules of repeats are the server's: below the head, events whose ids stand at the
// revisions after the expected one are a repeat, whatever their bytes; anything else is a wrong expected revision.
func (s *store) append(stream string, expect int64, ps []proposal, now time.Time) (o outcome, head int64, position uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.streams[stream]
	head = int64(len(held)) - 1
	switch {
	case s.deleted[stream]:
		return deleted, 0, 0
	case expect > head:
		return elsewhere, head, 0
	case expect < head:
		for i, p := range ps {
			at := expect + 1 + int64(i)
			if at > head || held[at].id != p.id {
				return elsewhere, head, 0
			}
		}
		last := held[expect+int64(len(ps))]
		return repeated, int64(last.revision), last.position
	}
	for _, p := range ps {
		head++
		r := &record{id: p.id, stream: stream, revision: uint64(head), typ: p.typ, content: p.content, data: p.data, meta: p.meta, position: s.bytes, created: now}
		s.bytes += uint64(len(p.data) + len(p.meta) + len(stream) + 2*len(p.typ) + 64)
		s.log = append(s.log, r)
		s.streams[stream] = append(s.streams[stream], r)
		position = r.position
	}
	close(s.moved)
	s.moved = make(chan struct{})
	return written, head, position
}

// after returns up to n records of the log from an index on, and what is closed when there are more.
func (s *store) after(index, n int) ([]*record, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log[min(index, len(s.log)):min(index+n, len(s.log))], s.moved
}

// index returns the place in the log of the first record at or beyond a position.
func (s *store) index(position uint64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, _ := slices.BinarySearchFunc(s.log, position, func(r *record, p uint64) int {
		switch {
		case r.position < p:
			return -1
		case r.position > p:
			return 1
		}
		return 0
	})
	return i
}

// stream returns the records of a stream.
func (s *store) stream(name string) (rs []*record, deleted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[name], s.deleted[name]
}

func hasAny(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}
