package relay

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"time"

	"gridcase/eventlog"
)

// pen writes into the book what a line has to say, in that order, while the line goes on: as much at once as has gathered
// since the last fsync. The cursor is written with or after all that was put before it, never ahead of it.
type pen struct {
	book   *Book
	name   string
	logger *slog.Logger

	mu      sync.Mutex
	changes []change
	at      eventlog.Position // to be written
	written eventlog.Position
	seen    witness // the last event that was read
	err     error
	closing bool
	wake    *sync.Cond
	over    chan struct{}
}

func newPen(c Config, name string, at eventlog.Position) *pen {
	p := &pen{book: c.Book, name: name, logger: c.Logger, at: at, written: at, over: make(chan struct{})}
	p.wake = sync.NewCond(&p.mu)
	go p.write()
	return p
}

func (p *pen) put(c change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes = append(p.changes, c)
	p.wake.Broadcast()
}

// saw notes the last event that was read; it is written with whatever is written next.
func (p *pen) saw(w witness) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = w
}

func (p *pen) cursor(at eventlog.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at > p.at {
		p.at = at
		p.wake.Broadcast()
	}
}

// keepsUp reports whether what waits to be written is little enough to go on.
func (p *pen) keepsUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err == nil && len(p.changes) < 4096
}

func (p *pen) fault() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// flush waits until all that was put is on disk, or can not be.
func (p *pen) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for (len(p.changes) > 0 || p.written < p.at) && p.err == nil {
		p.wake.Wait()
	}
}

// close writes what is left, if it can be, and ends.
func (p *pen) close() {
	p.mu.Lock()
	p.closing = true
	p.wake.Broadcast()
	p.mu.Unlock()
	<-p.over
}

func (p *pen) write() {
	defer close(p.over)
	p.mu.Lock()
	defer p.mu.Unlock()
	pause := 100 * time.Millisecond
	for {
		for len(p.changes) == 0 && p.written == p.at && !p.closing {
			p.wake.Wait()
		}
		changes, at, seen := p.changes, p.at, p.seen
		if len(changes) == 0 && p.written == at {
			return
		}
		p.mu.Unlock()
		err := p.book.write(context.Background(), append(changes[:len(changes):len(changes)], func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE relays SET position = max(position, ?) WHERE name = ?", int64(at), p.name)
			if err == nil && seen.event != "" {
				_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO witnessed VALUES (?,?,?,?)", p.name, seen.stream, int64(seen.revision), seen.event)
			}
			return err
		}))
		if err != nil && p.fault() == nil {
			p.logger.Error("a relay can not write its book, and sends nothing until it can", "relay", p.name, "error", err)
		}
		p.mu.Lock()
		p.err = err
		if err == nil {
			p.changes, p.written, pause = p.changes[len(changes):], at, 100*time.Millisecond
			p.wake.Broadcast()
			continue
		}
		p.wake.Broadcast()
		if p.closing {
			return
		}
		p.mu.Unlock()
		time.Sleep(pause)
		pause = min(2*pause, 5*time.Second)
		p.mu.Lock()
	}
}
