// Package relay carries events over our border: outward to the webhooks, topics and files of other systems, inward from their
// messages to commands. Watermill carries the messages; what is ours is where they come from, what may leave, and what is
// remembered.
//
// Outward, each destination follows the log by itself, behind a cursor of its own in relays.db. Of an event leaves what the
// terms of the destination permit ([Terms]), in an envelope that the event alone decides ([envelope]): whenever it is sent
// again, it has the same id and the same body. Per case the order of the log is kept. What is not taken is held, with the
// instant of the next attempt, and holds its own case only; after a day it is parked and waits for a person.
//
// What is true if we die: the cursor is written after a message was taken, or after the message is held on disk. So a crash
// between the two repeats messages, and loses none.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/sony/gobreaker"

	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// House is what a relay asks of the engine: how a stream stands now, the organisation, and whether it has followed the log
// so far.
type House interface {
	Load(ctx context.Context, n stream.Name) (event.State, int64, error)
	Units() *orgs.Tree
	Settled(ctx context.Context, p eventlog.Position) error
}

// Config is what relays work with.
type Config struct {
	Log    eventlog.Log
	House  House
	Source string // of the envelopes: /gridcase/<city>/<deployment>
	Book   *Book  // what is remembered of them
	Out    []Out
	Logger *slog.Logger // nil: nobody reads

	early     bool          // a test stores the cursor before it sends, to see that it is noticed
	freshIDs  bool          // as above: each attempt gets an id of its own
	unordered bool          // as above: no message waits for the one before it in its case
	look      time.Duration // how often the book is looked into for wishes; 0: 2 s
}

// Out is one destination.
type Out struct {
	Name      string
	Terms     Terms
	Publisher message.Publisher // returns nil when the destination has the message; [ErrGone] and [Later] say what else it answered
	Topic     string            // for the publisher
	FromStart bool              // a relay that is new begins with the first event of the log; else with what comes from now on
	AtOnce    int               // messages under way at the same time, each of another case; 0: 16
	PerSecond int               // at most; 0: no limit
	Patience  Patience
}

// Patience is how long and how often a destination is tried. The zero value has the defaults.
type Patience struct {
	First   time.Duration // before the second attempt; it doubles with each further one, and half of it is chance. 5 s
	Longest time.Duration // between two attempts. 1 h
	GiveUp  time.Duration // since the first attempt: the next that fails parks the message. 24 h
	Trips   int           // failures in a row after which the destination is taken to be down, and only probed. 5
	Probe   time.Duration // between probes; it doubles up to ten times that. 30 s
	Most    int           // messages held; with so many, nothing more is read. 10,000
}

func (p Patience) filled() Patience {
	or := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	or(&p.First, 5*time.Second)
	or(&p.Longest, time.Hour)
	or(&p.GiveUp, 24*time.Hour)
	or(&p.Probe, 30*time.Second)
	if p.Trips == 0 {
		p.Trips = 5
	}
	if p.Most == 0 {
		p.Most = 10_000
	}
	return p
}

// ErrGone is a destination's word that it wants nothing more: the relay is switched off until a person resumes it.
var ErrGone = errors.New("the destination wants nothing more")

// Later is a destination's word not to come before an instant.
type Later struct {
	Until time.Time
	Why   string
}

func (l *Later) Error() string {
	return fmt.Sprintf("%s; not before %s", l.Why, l.Until.UTC().Format(time.RFC3339))
}

// NoAnswer is a failure in which the destination said nothing. It is tried once more at once.
type NoAnswer struct{ Err error }

func (n *NoAnswer) Error() string { return n.Err.Error() }
func (n *NoAnswer) Unwrap() error { return n.Err }

// Relays are the destinations of a node, running.
type Relays struct {
	lines  []*line
	router *message.Router
	done   chan error
}

// Start lets the relays run until Close. A destination that is down keeps nobody from starting.
func Start(ctx context.Context, c Config) (*Relays, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 20 * time.Second}, quiet{c.Logger})
	if err != nil {
		return nil, fmt.Errorf("relays: %w", err)
	}
	r := &Relays{router: router, done: make(chan error, 1)}
	for _, o := range c.Out {
		l, err := newLine(ctx, c, o)
		if err != nil {
			return nil, fmt.Errorf("relay %s: %w", o.Name, err)
		}
		if err := l.route(router); err != nil {
			return nil, fmt.Errorf("relay %s: %w", o.Name, err)
		}
		r.lines = append(r.lines, l)
	}
	go func() { r.done <- router.Run(context.Background()) }()
	select {
	case <-router.Running():
		return r, nil
	case err := <-r.done:
		return nil, fmt.Errorf("relays: %w", err)
	}
}

// Close ends the relays. What is under way is waited for; what it came to is written down.
func (r *Relays) Close() error {
	err := errors.Join(r.router.Close(), <-r.done)
	for _, l := range r.lines {
		err = errors.Join(err, l.Close(), l.out.Publisher.Close())
	}
	return err
}

// Status returns how the relays stand, in the order in which they were given.
func (r *Relays) Status() []Status {
	all := make([]Status, len(r.lines))
	for i, l := range r.lines {
		all[i] = l.status()
	}
	return all
}

// Status is how one relay stands.
type Status struct {
	Name    string
	Sent    uint64 // since the start
	Failed  uint64 // attempts, since the start
	Parked  int    // messages that wait for a person
	Waiting int    // messages that wait for their next attempt, or behind another of their case
	Lag     time.Duration
	Off     bool
	Why     string // it does not move, "" if it does
}

// route puts the line on the router. From the outside in: a failure is put on the shelf (the poison queue, outside the retry,
// or nothing would be retried); a destination that is down is left alone by the breaker; no more than the agreed number of messages a second; one quick
// second attempt where nobody answered.
func (l *line) route(router *message.Router) error {
	shelf, err := middleware.PoisonQueueWithFilter(shelf{}, "shelf", func(err error) bool {
		return !errors.Is(err, gobreaker.ErrOpenState) && !errors.Is(err, gobreaker.ErrTooManyRequests) && !errors.Is(err, ErrGone) && !errors.Is(err, context.Canceled)
	})
	if err != nil {
		return err
	}
	breaker := middleware.NewCircuitBreaker(gobreaker.Settings{Name: l.out.Name, Timeout: l.patience.Probe,
		ReadyToTrip: func(n gobreaker.Counts) bool { return int(n.ConsecutiveFailures) >= l.patience.Trips },
		IsSuccessful: func(err error) bool { // a destination that says no is not down
			var later *Later
			return err == nil || errors.As(err, &later) || errors.Is(err, ErrGone) || errors.Is(err, context.Canceled)
		},
		OnStateChange: func(_ string, _, to gobreaker.State) { l.breaker(to) }})
	retry := middleware.Retry{MaxRetries: 1, InitialInterval: 200 * time.Millisecond, MaxInterval: time.Second, Multiplier: 1, RandomizationFactor: 0.5,
		ShouldRetry: func(p middleware.RetryParams) bool {
			var silent *NoAnswer
			return errors.As(p.Err, &silent) && l.closed()
		}}
	h := router.AddConsumerHandler(l.out.Name, l.out.Topic, l, func(m *message.Message) error {
		err := l.out.Publisher.Publish(l.out.Topic, m)
		deliveryOf(m).err = err
		return err
	})
	h.AddMiddleware(shelf, breaker.Middleware)
	if l.out.PerSecond > 0 {
		h.AddMiddleware(middleware.NewThrottle(int64(l.out.PerSecond), time.Second).Middleware)
	}
	h.AddMiddleware(retry.Middleware, middleware.Recoverer)
	return nil
}

// shelf is where the poison queue puts a message that was not taken. It only takes note: the line writes what it holds,
// in the order in which its cursor moves, so that the cursor never passes what is not on disk.
type shelf struct{}

// Publish implements [message.Publisher].
func (shelf) Publish(_ string, ms ...*message.Message) error {
	for _, m := range ms {
		deliveryOf(m).shelved = true
	}
	return nil
}

// Close implements [message.Publisher].
func (shelf) Close() error { return nil }

// delivery is one attempt to hand a message over.
type delivery struct {
	*item
	err       error // of the last publication
	shelved   bool
	withdrawn bool // the terms do not permit it any more
}

type deliveryKey struct{}

func deliveryOf(m *message.Message) *delivery { return m.Context().Value(deliveryKey{}).(*delivery) }

// quiet is what Watermill says, as debugging: what is worth an operator's while, the line says itself.
type quiet struct{ logger *slog.Logger }

func (q quiet) say(msg string, err error, fields watermill.LogFields) {
	if !q.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	args := []any{"error", err}
	for name, v := range fields {
		if name != "not_sent_message" { // its payload is not for a log
			args = append(args, name, v)
		}
	}
	q.logger.Debug("watermill: "+msg, args...)
}

func (q quiet) Error(msg string, err error, fields watermill.LogFields) { q.say(msg, err, fields) }
func (q quiet) Info(msg string, fields watermill.LogFields)             { q.say(msg, nil, fields) }
func (q quiet) Debug(msg string, fields watermill.LogFields)            { q.say(msg, nil, fields) }
func (quiet) Trace(string, watermill.LogFields)                         {}
func (q quiet) With(watermill.LogFields) watermill.LoggerAdapter        { return q }

// once closes a channel at most once.
type once struct {
	sync.Once
	ch chan struct{}
}

func (o *once) close() { o.Do(func() { close(o.ch) }) }
