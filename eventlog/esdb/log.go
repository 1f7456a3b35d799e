// Package esdb keeps a log in an EventStoreDB or KurrentDB cluster.
//
// It speaks the server's gRPC protocol through the generated stubs of the official Go module, on connections of its own.
// The module's client is not used: after about a second of outage it never comes back, it ignores contexts, and it does
// not say why an append was refused.
//
// A stream of the log is a stream of the server under the same name; the log is every stream whose name begins with
// "gridcase.". A [eventlog.Position] is the server's commit position plus one, because the first event may sit at 0.
//
// What is true when something breaks: an append that was answered is on the disks of a majority. An append without an
// answer is [eventlog.ErrUnavailable], and the same append again finds out: the stream is read first, and ids that are
// there already are not written again. Follow resumes after the last event it has given out and never from a
// checkpoint of the server, because there are server versions in which a checkpoint lies beyond an event that was not sent.
package esdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"gridcase/eventlog"
)

// Options change how a log is opened.
type Options struct {
	Logger       *slog.Logger // nil: nothing is logged
	Resubscribed func()       // called each time a follower lost its subscription and asks for it again; may be nil
}

var (
	// ErrRefused: the server does not let us in, or does not know what we ask for. Trying again does not help.
	ErrRefused = errors.New("the log's server refuses")
	// ErrGap: the server no longer holds all events of a stream. It was deleted, truncated or given a maximum age,
	// none of which GridCase does.
	ErrGap = errors.New("events of the stream are gone from the log's server")
)

// Log is an [eventlog.Log] in a cluster. It holds one connection, to the leader.
type Log struct {
	settings
	options Options
	ctx     context.Context // ends when the log is closed
	cancel  context.CancelFunc
	keeping chan struct{} // closed when the goroutine of keep is gone
	turns   turns
	heads   heads

	mu      sync.Mutex
	current *link         // nil: there is no leader that we know of
	why     error         // why there is none
	changed chan struct{} // closed when current changes
}

// Open connects to the cluster that a connection string names: esdb://[user:password@]host:port[,host:port…][?setting=value&…].
// It tries maxDiscoverAttempts times (10), or until ctx ends; once open, a log tries for ever.
//
// Settings are those of the official clients. tls, tlsCaFile, tlsVerifyCert, userCertFile and userKeyFile say how to
// connect; over an unencrypted connection no password is sent. keepAliveInterval and keepAliveTimeout are milliseconds.
// defaultDeadline (10000 ms) is how long a call tries that has no earlier deadline, gossipTimeout (1.5 s) how long a node may
// take to say who leads. nodePreference can only be leader. One setting is ours: space is put before the name of every stream,
// so that several logs can share a cluster. An unknown setting is an error.
func Open(ctx context.Context, connection string, o Options) (*Log, error) {
	s, err := parse(connection)
	if err != nil {
		return nil, err
	}
	return open(ctx, s, o)
}

func open(ctx context.Context, s settings, o Options) (*Log, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Resubscribed == nil {
		o.Resubscribed = func() {}
	}
	l := &Log{settings: s, options: o, keeping: make(chan struct{}), changed: make(chan struct{}), turns: turns{taken: map[string]chan struct{}{}}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	k, err := l.first(ctx)
	if err != nil {
		l.cancel()
		return nil, fmt.Errorf("open the log: %w", err)
	}
	l.current = k
	go l.keep(k)
	if _, err := l.End(ctx); err != nil { // may we read at all?
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// first connects while somebody waits for Open.
func (l *Log) first(ctx context.Context) (*link, error) {
	var why error
	for range l.attempts {
		k, err := l.connect(ctx, "")
		if err == nil {
			return k, nil
		}
		if why = err; errors.Is(err, ErrRefused) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), why)
		case <-time.After(l.pause):
		}
	}
	return nil, why
}

// Close ends every call and every Follow with [eventlog.ErrClosed] and closes the connection. Closing twice does nothing.
func (l *Log) Close() error {
	l.cancel()
	<-l.keeping
	return nil
}

// bounded returns a context that ends with ctx, with the log, or when a call has tried for long enough.
func (l *Log) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	stop := context.AfterFunc(l.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// stored is the name of a stream in the server.
func (l *Log) stored(stream string) (string, error) {
	name := l.space + stream
	switch {
	case stream == "":
		return "", errors.New("the stream has no name")
	case !strings.HasPrefix(name, l.prefix):
		return "", fmt.Errorf("stream %q is none of this log: its streams begin with %q", stream, l.prefix)
	}
	return name, nil
}

// attempt calls do with the link to the leader, again and again until it succeeds, fails for good, or time is up. The error
// is then the context's if ctx has ended and [eventlog.ErrUnavailable] if we gave up before; it tells what went wrong last.
func (l *Log) attempt(ctx context.Context, do func(ctx context.Context, k *link) error) error {
	bounded, cancel := l.bounded(ctx)
	defer cancel()
	var why error
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		k, err := l.link(bounded)
		if err == nil {
			if err = do(bounded, k); err == nil || !passing(err) {
				return err
			}
			k.doubt(err)
		}
		if bounded.Err() == nil || why == nil {
			why = err // what follows is only the end of our patience
		}
		select {
		case <-bounded.Done():
		case <-time.After(pause):
			continue
		}
		switch {
		case l.ctx.Err() != nil:
			return eventlog.ErrClosed
		case ctx.Err() != nil:
			return fmt.Errorf("%w (%w)", ctx.Err(), why)
		}
		return fmt.Errorf("%w: tried for %s: %w", eventlog.ErrUnavailable, l.patience, why)
	}
}

// turns lets one append at a time into each stream. Two that expect the same revision cannot both be right, and of two
// equal ones the second must be told that it repeats the first.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{}
}

// enter waits for the stream and returns what gives it back.
func (t *turns) enter(ctx context.Context, stream string) (leave func(), err error) {
	for {
		t.mu.Lock()
		before, taken := t.taken[stream]
		if !taken {
			mine := make(chan struct{})
			t.taken[stream] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.taken, stream)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// heads remembers where streams were seen to end, so that an append after a read need not look again. An entry may be old,
// never wrong in the other direction: the server has the last word on the expected revision.
type heads struct {
	mu sync.Mutex
	at map[string]eventlog.Revision
}

const maxHeads = 16 << 10

func (h *heads) put(stream string, r eventlog.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.at) >= maxHeads {
		h.at = nil
	}
	if h.at == nil {
		h.at = map[string]eventlog.Revision{}
	}
	h.at[stream] = r
}

// take returns whether the stream was seen to end at r, and forgets it.
func (h *heads) take(stream string, r eventlog.Revision) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, known := h.at[stream]
	delete(h.at, stream)
	return known && at == r
}
