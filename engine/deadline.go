package engine

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine/keys"
	"gridcase/eventlog"
)

// Timetable says where the clock is wanted: a view of the log. Nodes have one each; it is a hint, and what is done about
// a stream is decided on the stream.
type Timetable interface {
	// Due lists slots up to an instant, in order, from the first that comes after a slot; the zero slot is before all.
	Due(ctx context.Context, until time.Time, after event.Slot, limit int) ([]event.Slot, error)
	// Live reports whether the timetable has everything that is in the log.
	Live() bool
	// Position returns how far it has come in the log.
	Position() eventlog.Position
}

// clock is who fires alarms.
var clock = rule.Actor{ID: rule.ClockID, Role: orgs.System}

// ErrHeld: alarms are held back, because the timetable is behind or the clock is not to be trusted. They are not lost:
// they fire, late, once that is over.
var ErrHeld = errors.New("alarms are held back")

// Deadlines fires the alarms of a log: each once, on time, in order, whoever else does the same elsewhere. Any number of
// nodes may run it on one log, none leads, and none needs to know of the others: an alarm has a key of its own, so of
// several that try one writes and the others find it written.
//
// An alarm is never early, whatever a clock says: nothing is fired while the node's clock is more than two seconds from
// the log's, from the time that went by since they were compared, or behind the newest event; and on a clock within
// those two seconds, not before the log's clock is there too. If we die after an alarm is in the log, it is
// there once; if before, another node fires it, or we do when we are back: late, with its due and the real time beside it.
//
// It is for one goroutine.
type Deadlines struct {
	// Each, if not nil, is called after each alarm that was fired, before the next: a simulation waits there for what
	// follows from it, so that the same seed gives the same log. An error ends the sweep.
	Each func(context.Context, Fired) error

	e     *Engine
	table Timetable
	fired eventlog.Position // of the last alarm that we fired
	idle  map[stream.Name]map[string]rest
}

// rest is an alarm that is not tried again for a while: it was refused, or decided nothing and still stands.
type rest struct {
	revision int64         // of its stream then; when that moves on, it is tried at once
	long     time.Duration // twice as long each time
	until    time.Duration // by the time that went by
}

// How long an alarm rests, at first and at most.
const (
	shortRest = time.Second
	longRest  = time.Hour
)

// page is how many slots are read at once.
const page = 1000

// NewDeadlines makes what fires the alarms of an engine's log by a timetable. It fires nothing until it is told to.
func NewDeadlines(e *Engine, t Timetable) *Deadlines {
	return &Deadlines{e: e, table: t, idle: map[stream.Name]map[string]rest{}}
}

// Fired is one alarm that this node fired.
type Fired struct {
	Stream   stream.Name
	Alarm    rule.Alarm
	Recorded time.Time
	State    event.State // of the stream, after it
}

// Sweep fires every alarm that is due up to an instant, or now if that is earlier: in the order of time, then of stream,
// those included that come due by firing another. It returns what this node fired, also beside an error: then the
// rest waits for the next sweep. The error is [ErrHeld] if nothing may be fired at present.
//
// The first alarms after a start, or after our clock jumped, cost one event more, by which the clock is compared with
// the log's; nothing due costs nothing.
func (d *Deadlines) Sweep(ctx context.Context, until time.Time) ([]Fired, error) {
	if !d.table.Live() {
		return nil, fmt.Errorf("%w: the timetable is behind the log", ErrHeld)
	}
	if now := d.e.Now(); until.After(now) {
		until = now
	}
	s := sweep{Deadlines: d, until: until, seen: map[stream.Name]bool{}}
	if err := s.read(ctx); err != nil || len(s.queue) == 0 {
		return nil, err
	}
	if _, err := d.now(); errors.Is(err, errUnsure) {
		if err := d.e.checkIn(ctx); err != nil {
			return nil, fmt.Errorf("compare the clock with the log's: %w", err)
		}
	}
	err := s.run(ctx)
	return s.fired, err
}

// now returns the time by which alarms are fired: ours, less what it may be ahead of the log's.
func (d *Deadlines) now() (time.Time, error) {
	now := d.e.instant()
	if d.e.unguarded {
		return now.wall, nil
	}
	_, ahead, err := d.e.clock.judge(now)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrHeld, err)
	}
	return now.wall.Add(-ahead), nil
}

// sweep is one run over what is due.
type sweep struct {
	*Deadlines
	until time.Time
	queue queue
	last  event.Slot // the last that was read from the timetable
	more  bool       // the timetable has more than was read
	seen  map[stream.Name]bool
	fired []Fired
}

// queue holds what is due and was read, the earliest first.
type queue []event.Slot

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].Compare(q[j]) < 0 }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(event.Slot)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// read takes the next page of the timetable. A stream that was met stays ours: its row may have moved meanwhile.
func (s *sweep) read(ctx context.Context) error {
	slots, err := s.table.Due(ctx, s.until, s.last, page)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		if !s.seen[slot.Stream] {
			s.seen[slot.Stream] = true
			heap.Push(&s.queue, slot)
		}
	}
	if s.more = len(slots) == page; len(slots) > 0 {
		s.last = slots[len(slots)-1]
	}
	return nil
}

func (s *sweep) run(ctx context.Context) error {
	for {
		for s.more && (len(s.queue) == 0 || s.last.Compare(s.queue[0]) < 0) {
			if err := s.read(ctx); err != nil {
				return err
			}
		}
		if len(s.queue) == 0 {
			return nil
		}
		now, err := s.now()
		if err != nil {
			return err
		}
		next := s.queue[0]
		if next.At.After(now) || next.At.After(s.until) {
			return nil
		}
		heap.Pop(&s.queue)
		if err := s.take(ctx, next, now); err != nil {
			return fmt.Errorf("%s of %s on %s: %w", next.Step, next.ID, next.Stream, err)
		}
	}
}

// take fires the earliest alarm of a stream if it is the slot's turn, and queues the one after it.
func (s *sweep) take(ctx context.Context, slot event.Slot, now time.Time) error {
	f, err := s.e.folded(ctx, slot.Stream)
	if err == nil && !s.agrees(slot, f) { // what we keep of the stream may be older than the timetable: another node wrote to it
		f, err = s.e.read(ctx, slot.Stream)
	}
	a, wanted := s.earliest(slot.Stream, f)
	switch {
	case err != nil:
		return s.faulty(slot.Stream, f, slot.ID+"/"+slot.Step, err)
	case !wanted:
		return nil
	case a.At.After(slot.At):
		s.push(slot.Stream, a)
		return nil
	}
	r, err := s.e.Handle(ctx, Request{Stream: slot.Stream, Commands: []Command{a.Command}, Key: s.e.alarmKey(a), Actor: clock, Expect: Any})
	var refusal *rule.Refusal
	var open *undecided
	switch {
	case err == nil && !r.Replayed:
		kind, _, _ := strings.Cut(a.Step, "/")
		s.e.Observe.Fired(kind)
		s.fired = append(s.fired, Fired{Stream: slot.Stream, Alarm: a, Recorded: r.Recorded, State: r.State})
		s.Deadlines.fired = max(s.Deadlines.fired, r.Position)
		f = folded{state: r.State, revision: r.Revision}
		if s.Each != nil {
			if err := s.Each(ctx, s.fired[len(s.fired)-1]); err != nil {
				return err
			}
		}
	case err == nil, errors.Is(err, ErrKeyReused):
		// Another node was quicker, or somebody did what was waited for. If it stands all the same, there is nothing to it.
		if f, err = s.e.read(ctx, slot.Stream); err != nil {
			return s.faulty(slot.Stream, f, a.Key(), err)
		}
		if same, stands := s.earliest(slot.Stream, f); stands && same.Key() == a.Key() {
			s.rest(slot.Stream, f, a.Key())
		}
	case errors.As(err, &refusal) && refusal.Rule == "I15":
		s.rest(slot.Stream, f, a.Key()) // our clock moved between looking and deciding
	case errors.As(err, &refusal), errors.As(err, &open), errors.Is(err, eventlog.ErrTooLarge):
		if err := s.park(ctx, slot.Stream, a, err); err != nil {
			return err
		}
		s.rest(slot.Stream, f, a.Key())
	default:
		return s.faulty(slot.Stream, f, a.Key(), err)
	}
	if next, wanted := s.earliest(slot.Stream, f); wanted {
		s.push(slot.Stream, next)
	}
	return nil
}

// push queues what the clock does next on a stream, if that is due already.
func (s *sweep) push(n stream.Name, a rule.Alarm) {
	if !a.At.After(s.until) {
		heap.Push(&s.queue, event.Slot{Stream: n, At: a.At, ID: a.ID, Step: a.Step})
	}
}

// faulty decides what an error does to the sweep. Where the log or the keys do not answer, everything waits: what comes later
// must not be fired first. What is wrong with one stream must not hold up the others.
func (d *Deadlines) faulty(n stream.Name, f folded, key string, err error) error {
	for _, all := range []error{ErrOutcomeUnknown, eventlog.ErrUnavailable, eventlog.ErrFull, eventlog.ErrClosed, keys.ErrAway, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, all) {
			return err
		}
	}
	if !errors.Is(err, eventlog.ErrConflict) { // the next sweep is soon enough
		d.e.Logger.Error("an alarm can not be fired", "stream", n, "alarm", key, "error", err)
		d.rest(n, f, key)
	}
	return nil
}

// rest keeps an alarm from being tried again until its stream moves on, or some time has gone by.
func (d *Deadlines) rest(n stream.Name, f folded, key string) {
	if d.idle[n] == nil {
		d.idle[n] = map[string]rest{}
	}
	long := shortRest
	if r, rested := d.idle[n][key]; rested && r.revision == f.revision {
		long = min(2*r.long, longRest)
	}
	d.idle[n][key] = rest{revision: f.revision, long: long, until: d.e.Elapsed() + long}
}

// agrees reports whether a slot is what the stream, as we keep it, says of itself.
func (d *Deadlines) agrees(slot event.Slot, f folded) bool {
	a, wanted := rule.Earliest(d.e.alarms(f.state))
	return wanted && a.ID == slot.ID && a.Step == slot.Step && a.At.Equal(slot.At)
}

// earliest returns the first alarm of a stream that does not rest.
func (d *Deadlines) earliest(n stream.Name, f folded) (rule.Alarm, bool) {
	as := d.e.alarms(f.state)
	if resting := d.idle[n]; resting != nil {
		as = slices.DeleteFunc(as, func(a rule.Alarm) bool {
			r, rests := resting[a.Key()]
			return rests && r.revision == f.revision && d.e.Elapsed() < r.until
		})
	}
	return rule.Earliest(as)
}

// park keeps a refused alarm for a person to look at: once, whatever the number of tries.
func (d *Deadlines) park(ctx context.Context, n stream.Name, a rule.Alarm, refusal error) error {
	at, _ := d.e.index.cursor.get()
	first, err := d.e.index.park(ctx, Parked{Position: at, Rule: a.Key(), Stream: n, Reason: refusal.Error()})
	if err == nil && first {
		d.e.Observe.Parked("clock")
		d.e.Logger.Warn("an alarm was refused and is parked", "alarm", a.Key(), "stream", n, "reason", refusal.Error())
	}
	return err
}

// Run sweeps until the context ends: when the next alarm is due, when the timetable moved, and not more than once a second.
// A second in which neither happened costs nothing but looking.
func (d *Deadlines) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var next time.Time         // when the clock is wanted next, as of the last sweep; zero: look
	var seen eventlog.Position // where the timetable stood then
	held := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		at, now := d.table.Position(), d.e.Now()
		if at < d.fired || at == seen && !next.IsZero() && now.Before(next) {
			continue // it does not show yet what we fired, or nothing is new
		}
		fired, err := d.Sweep(ctx, now)
		if err == nil {
			next, err = d.next(ctx, now)
		}
		seen = at
		if err != nil {
			next = time.Time{}
		}
		if ctx.Err() != nil {
			return
		}
		if len(fired) > 0 {
			d.e.Logger.Info("alarms fired", "count", len(fired), "due", fired[0].Alarm.Due)
		}
		switch why := reason(err); {
		case why == held:
		case why != "":
			d.e.Logger.Warn("no alarm is fired for now", "reason", err)
		default:
			d.e.Logger.Info("alarms are fired again")
		}
		held = reason(err)
	}
}

// reason is an error in short, so that one that lasts is logged once.
func reason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrHeld):
		return "held"
	}
	return "error"
}

// next returns when to sweep again although nothing moved: when the clock is next wanted, or a resting alarm may be tried.
func (d *Deadlines) next(ctx context.Context, swept time.Time) (time.Time, error) {
	far := swept.AddDate(100, 0, 0)
	after := event.Slot{At: time.Unix(swept.Unix(), 0), Stream: "\U0010ffff"}
	slots, err := d.table.Due(ctx, far, after, 1)
	if err != nil {
		return far, err
	}
	next := far
	if len(slots) > 0 {
		next = slots[0].At
	}
	now := d.e.Elapsed()
	for n, keys := range d.idle {
		for key, r := range keys {
			if r.until+longRest <= now { // nobody asked for it since: its stream moved on
				delete(keys, key)
				continue
			}
			if again := swept.Add(r.until - now); r.until > now && again.Before(next) {
				next = again
			}
		}
		if len(keys) == 0 {
			delete(d.idle, n)
		}
	}
	return next, nil
}
