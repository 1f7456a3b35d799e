package sqlite

import "gridcase/eventlog"

// headsKept bounds the cache to about twice this many streams, some 20 MB. A city has fewer open cases.
const headsKept = 1 << 16

// head is where a stream stands.
type head struct {
	id       int64 // in table streams
	revision eventlog.Revision
}

// heads remembers where the streams used last stand, so that an append needs no look-up. It has two generations:
// when the young one is full, the old one is dropped, and what is used moves back to the young one. One transaction
// uses far fewer streams than a generation holds, so what it has put here stays until it ends.
type heads struct{ young, old map[string]head }

func newHeads() *heads { return &heads{young: map[string]head{}} }

func (h *heads) get(stream string) (head, bool) {
	if at, ok := h.young[stream]; ok {
		return at, true
	}
	at, ok := h.old[stream]
	if ok {
		h.put(stream, at)
	}
	return at, ok
}

func (h *heads) put(stream string, at head) {
	if len(h.young) >= headsKept {
		h.young, h.old = make(map[string]head, headsKept), h.young
	}
	h.young[stream] = at
}

// forget empties the cache: after a rollback it would be ahead of the database.
func (h *heads) forget() { h.young, h.old = map[string]head{}, nil }
