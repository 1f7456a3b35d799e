package engine

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"

	"gridcase/domain/event"
	"gridcase/domain/stream"
)

// folded is a stream as it stood after one of its events. It is never changed once it is shared.
type folded struct {
	state       event.State
	revision    int64
	correlation stream.ID
	keys        []string // idempotency keys that wrote to it, in order
}

func (f folded) has(key string) bool { return slices.Contains(f.keys, key) }

func (f folded) with(key string) folded {
	f.keys = append(slices.Clip(f.keys), key)
	return f
}

// cache keeps the streams that were used last, so that a command on one of them reads nothing. A stale
// entry does no harm: the append with its revision is refused, and the stream is read.
type cache struct {
	mu    sync.Mutex
	limit int
	at    map[stream.Name]*list.Element
	used  *list.List
}

type cached struct {
	name stream.Name
	folded
}

func newCache(limit int) *cache {
	return &cache{limit: limit, at: map[stream.Name]*list.Element{}, used: list.New()}
}

func (c *cache) get(n stream.Name) (folded, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, here := c.at[n]
	if !here {
		return folded{}, false
	}
	c.used.MoveToFront(el)
	return el.Value.(cached).folded, true
}

func (c *cache) put(n stream.Name, f folded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, here := c.at[n]; here {
		if el.Value.(cached).revision < f.revision {
			el.Value = cached{n, f}
		}
		c.used.MoveToFront(el)
		return
	}
	c.at[n] = c.used.PushFront(cached{n, f})
	if c.used.Len() > c.limit {
		last := c.used.Back()
		c.used.Remove(last)
		delete(c.at, last.Value.(cached).name)
	}
}

func (c *cache) drop(n stream.Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, here := c.at[n]; here {
		c.used.Remove(el)
		delete(c.at, n)
	}
}

// folded returns a stream from the cache, or reads it.
func (e *Engine) folded(ctx context.Context, n stream.Name) (folded, error) {
	if f, here := e.streams.get(n); here {
		return f, nil
	}
	return e.read(ctx, n)
}

// read folds a stream from the log and keeps it.
func (e *Engine) read(ctx context.Context, n stream.Name) (folded, error) {
	f := folded{revision: -1}
	for ev, err := range e.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return f, fmt.Errorf("read %s: %w", n, err)
		}
		entry, err := event.Understand(stored(ev))
		if err != nil {
			return f, err
		}
		f.state = event.Fold(n, f.state, entry.Body, entry.Meta.Stamp(entry.ID))
		f.revision = entry.Revision
		if f.correlation.IsZero() {
			f.correlation = entry.Meta.Correlation
		}
		if k := len(f.keys); k == 0 || f.keys[k-1] != entry.Meta.Key {
			f.keys = append(f.keys, entry.Meta.Key)
		}
	}
	if f.revision >= 0 {
		e.streams.put(n, f)
	}
	return f, nil
}
