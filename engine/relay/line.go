package relay

import (
	"bytes"
	"container/heap"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/sony/gobreaker"

	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// line is one destination's place in the log. It is the [message.Subscriber] of its handler: it hands out messages, at most
// one of a case at a time, and hears from each what came of it. One goroutine owns all of its state.
type line struct {
	Config
	out      Out
	patience Patience
	page     Page
	messages chan *message.Message
	chunks   chan chunk
	results  chan *delivery
	poke     chan struct{} // the breaker moved
	halt     once
	over     once // the loop has ended and everything is written
	began    bool
	pen      *pen

	// Of the loop alone.
	live, again track
	cases       map[string]*queue
	ready       []*queue // cases whose first message can go now, the longest ready first
	later       dueHeap
	flying      int
	buffered    int // messages in memory that are not held
	held        int
	parked      int
	reading     int // which reading the chunks must be of
	stopReading context.CancelFunc
	atEnd       bool // the log held nothing more when it was last looked at
	readAt      time.Time
	stalled     string // why nothing is read, "" while it is
	pause       time.Duration
	readAgain   time.Time
	off         bool
	offWhy      string
	rest        time.Time
	seen        int64 // the last wish

	mu     sync.Mutex
	state  gobreaker.State
	probes int
	until  time.Time // the breaker is open so long
	now    Status
}

// item is one message, from when it was read until it is done.
type item struct {
	position eventlog.Position
	before   eventlog.Position // of the event that was read before it
	stream   stream.Name
	revision eventlog.Revision
	logged   time.Time
	matter   string
	id       string
	body     []byte // nil: to be read again
	mark     *mark  // nil: held, so the cursor may pass it

	held     bool
	attempts int
	first    time.Time
	next     time.Time
	asked    bool // next is what the destination asked for
	parked   bool
	reason   string
	digest   []byte
}

// queue is what waits of one case, in log order.
type queue struct {
	items  []*item
	flying bool // the first, or what was the first, is under way
	queued bool // in ready
}

// track is how far a reading has come, and what of it is done.
type track struct {
	read eventlog.Position
	open []*mark
}

type mark struct {
	before eventlog.Position
	logged time.Time
	done   bool
}

// low returns the position up to which everything is done.
func (t *track) low() eventlog.Position {
	for len(t.open) > 0 && t.open[0].done {
		t.open = t.open[1:]
	}
	if len(t.open) == 0 {
		return t.read
	}
	return t.open[0].before
}

// chunk is a run of events as a reading found them: those that may leave.
type chunk struct {
	reading int
	items   []*item
	upTo    eventlog.Position
	logged  time.Time // of the last event
	last    witness   // the last event
	live    bool
	over    bool // the end of a range
	err     error
}

// ahead is how many messages are kept in memory before nothing more is read.
const ahead = 512

func newLine(ctx context.Context, c Config, o Out) (*line, error) {
	if err := o.Terms.Check(); err != nil {
		return nil, err
	}
	if _, known := c.House.Units().Unit(o.Terms.Unit); !known { // nothing would leave, and all of it be passed over
		return nil, fmt.Errorf("unit: the log knows no unit %s", o.Terms.Unit)
	}
	if c.look == 0 {
		c.look = 2 * time.Second
	}
	if o.AtOnce == 0 {
		o.AtOnce = 16
	}
	begin := eventlog.Position(0)
	if !o.FromStart {
		var err error
		if begin, err = c.Log.End(ctx); err != nil {
			return nil, err
		}
	}
	shape := "envelope 1 of " + c.Source + ", sealed fields removed"
	if o.Terms.Ciphertexts {
		shape = "envelope 1 of " + c.Source + ", sealed fields as ciphertexts"
	}
	if err := c.Book.agrees(ctx, c.Log, o.Name, o.Terms.Unit); err != nil {
		return nil, err
	}
	page, err := c.Book.page(ctx, o.Name, shape, begin)
	if err != nil {
		return nil, err
	}
	held, err := c.Book.Held(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	l := &line{Config: c, out: o, patience: o.Patience.filled(), page: page, messages: make(chan *message.Message), chunks: make(chan chunk),
		results: make(chan *delivery, o.AtOnce), poke: make(chan struct{}, 1), halt: once{ch: make(chan struct{})}, over: once{ch: make(chan struct{})},
		live: track{read: page.Position}, cases: map[string]*queue{}, off: page.Off, offWhy: page.Why, rest: page.Rest}
	l.pen = newPen(c, o.Name, page.Position)
	for _, h := range held {
		it := &item{position: h.Position, stream: stream.Name(h.Stream), revision: h.Revision, logged: h.Logged, matter: h.Matter, held: true,
			attempts: h.Attempts, first: h.First, next: h.Next, parked: h.Parked, reason: h.Reason, digest: h.digest}
		l.held++
		if it.parked {
			l.parked++
		}
		l.queue(it.matter).insert(it)
	}
	l.tell()
	return l, nil
}

func (l *line) queue(matter string) *queue {
	q := l.cases[matter]
	if q == nil {
		q = &queue{}
		l.cases[matter] = q
	}
	return q
}

// insert keeps log order behind what is under way. It reports false if the message is there already.
func (q *queue) insert(it *item) bool {
	fixed := 0
	if q.flying {
		fixed = 1
	}
	i := len(q.items)
	for i > fixed && q.items[i-1].position >= it.position {
		i--
	}
	if slices.ContainsFunc(q.items, func(o *item) bool { return o.position == it.position }) {
		return false
	}
	q.items = slices.Insert(q.items, i, it)
	return true
}

// Subscribe implements [message.Subscriber] for the one handler of the line.
func (l *line) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.began {
		return nil, fmt.Errorf("relay %s is followed already", l.out.Name)
	}
	l.began = true
	go l.run()
	return l.messages, nil
}

// Close implements [message.Subscriber]: it returns when what was under way is over and everything is written down.
func (l *line) Close() error {
	l.halt.close()
	l.mu.Lock()
	began := l.began
	l.began = true
	l.mu.Unlock()
	if !began {
		l.pen.close()
		l.over.close()
	}
	<-l.over.ch
	return nil
}

// grace is how long what is under way may take when the node stops.
const grace = 5 * time.Second

func (l *line) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sending, cut := context.WithCancel(context.Background())
	defer cut()
	if l.page.Until > 0 {
		l.again.read = l.page.Replay
	}
	l.begin(ctx)
	for _, q := range l.cases {
		l.schedule(q)
	}
	tick := time.NewTicker(l.look)
	defer tick.Stop()
	for running := true; running; {
		l.pump(ctx, sending)
		var chunks chan chunk
		if l.buffered < ahead && l.held < l.patience.Most && l.pen.keepsUp() {
			chunks = l.chunks
		}
		wake := time.NewTimer(l.nap())
		select {
		case <-l.halt.ch:
			running = false
		case c := <-chunks:
			l.take(ctx, c)
		case d := <-l.results:
			l.settle(d)
		case <-l.poke:
			l.recovered()
		case <-wake.C:
		case <-tick.C:
			l.fulfil(ctx)
			l.tell()
		}
		wake.Stop()
	}
	cancel()
	l.stopReading()
	stop := time.AfterFunc(grace, cut)
	for l.flying > 0 {
		l.settle(<-l.results)
	}
	stop.Stop()
	close(l.messages)
	l.tell()
	l.pen.close()
	l.over.close()
}

// begin reads from where the line is: a range that is to be sent again first, then what is new.
func (l *line) begin(ctx context.Context) {
	if l.stopReading != nil {
		l.stopReading()
	}
	l.reading++
	after, until := l.live.read, eventlog.Position(0)
	if l.page.Until > 0 && l.again.read < l.page.Until {
		after, until = l.again.read, l.page.Until
	}
	reading, cancel := context.WithCancel(ctx)
	l.stopReading = cancel
	l.atEnd, l.readAgain = false, time.Time{}
	go l.read(reading, l.reading, after, until)
}

// take places what was read.
func (l *line) take(ctx context.Context, c chunk) {
	if c.reading != l.reading {
		return
	}
	if c.err != nil {
		if l.stalled != c.err.Error() {
			l.stalled = c.err.Error()
			l.Logger.Error("a relay can not read on", "relay", l.out.Name, "error", c.err)
		}
		l.pause = min(max(2*l.pause, 100*time.Millisecond), 30*time.Second)
		l.readAgain = time.Now().Add(l.pause)
		return
	}
	l.stalled, l.pause = "", 0
	t := &l.live
	if l.page.Until > 0 && l.again.read < l.page.Until {
		t = &l.again
	}
	for _, it := range c.items {
		it.mark = &mark{before: it.before, logged: it.logged}
		t.open = append(t.open, it.mark)
		l.place(it)
	}
	t.read, l.atEnd, l.readAt = c.upTo, c.live, c.logged
	if t == &l.live && c.last.event != "" {
		l.pen.saw(c.last)
	}
	if c.over { // the end of the range may be a position without an event
		t.read = l.page.Until
		l.begin(ctx)
	}
	l.save()
}

func (l *line) place(it *item) {
	if l.unordered {
		it.matter = strconv.FormatUint(uint64(it.position), 10)
	}
	q := l.queue(it.matter)
	behind := len(q.items) > 0 && q.items[0].held && q.items[0].position < it.position
	if !q.insert(it) { // it waits already, and is sent in any case
		it.mark.done = true
		return
	}
	l.buffered++
	if behind {
		l.hold(it)
	}
	l.schedule(q)
}

// hold puts a message on the shelf: it is written down, and the cursor may pass it.
func (l *line) hold(it *item) {
	if !it.held {
		it.held, it.body, it.mark.done = true, nil, true
		l.buffered--
		l.held++
	}
	h := *it
	l.pen.put(func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO held VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", l.out.Name, int64(h.position), h.matter,
			string(h.stream), int64(h.revision), millis(h.logged), h.attempts, millis(h.first), millis(h.next), h.parked, h.reason, append([]byte{}, h.digest...))
		return err
	})
}

// schedule makes a case ready whose first message can go, or has it come back when it can.
func (l *line) schedule(q *queue) {
	if q.flying || q.queued || len(q.items) == 0 {
		return
	}
	head := q.items[0]
	switch {
	case head.parked:
	case head.held && head.next.After(time.Now()):
		heap.Push(&l.later, due{head.next, q})
	default:
		q.queued = true
		l.ready = append(l.ready, q)
	}
}

// nap is how long nothing has to be done if nobody calls.
func (l *line) nap() time.Duration {
	soonest := time.Hour
	at := func(t time.Time) {
		if d := time.Until(t); !t.IsZero() && d < soonest {
			soonest = d
		}
	}
	if len(l.later) > 0 {
		at(l.later[0].at)
	}
	if !l.readAgain.IsZero() {
		at(l.readAgain)
	}
	if len(l.ready) > 0 && l.flying < l.out.AtOnce {
		if l.rest.After(time.Now()) {
			at(l.rest)
		}
		if _, until := l.broken(); until.After(time.Now()) {
			at(until)
		}
	}
	return max(soonest, 0)
}

// pump hands out what can go.
func (l *line) pump(ctx, sending context.Context) {
	now := time.Now()
	if !l.readAgain.IsZero() && !now.Before(l.readAgain) {
		l.begin(ctx)
	}
	for len(l.later) > 0 && !l.later[0].at.After(now) {
		l.schedule(heap.Pop(&l.later).(due).queue)
	}
	state, until := l.broken()
	most := l.out.AtOnce
	switch {
	case l.off, now.Before(l.rest), !l.pen.keepsUp(), state != gobreaker.StateClosed && now.Before(until):
		return
	case state != gobreaker.StateClosed: // one to see whether it is up
		most = 1
	}
	for l.flying < most && len(l.ready) > 0 {
		i := 0
		if most == 1 && state != gobreaker.StateClosed { // what failed before may fail for a reason of its own
			i = max(0, slices.IndexFunc(l.ready, func(q *queue) bool { return !q.items[0].held }))
		}
		q := l.ready[i]
		l.ready = slices.Delete(l.ready, i, i+1)
		q.queued = false
		if len(q.items) == 0 { // given up meanwhile
			continue
		}
		if q.flying || q.items[0].parked || q.items[0].held && q.items[0].next.After(now) {
			l.schedule(q)
			continue
		}
		q.flying = true
		l.flying++
		it := q.items[0]
		if l.early && it.mark != nil {
			it.mark.done = true
			l.save()
			l.pen.flush()
		}
		go l.deliver(sending, it)
	}
}

// deliver hands one message to the router and waits for what comes of it.
func (l *line) deliver(ctx context.Context, it *item) {
	d := &delivery{item: it}
	defer func() { l.results <- d }()
	body, id, err := it.body, it.id, error(nil)
	if body == nil {
		if body, id, err = l.find(ctx, it); err != nil {
			d.err = fmt.Errorf("read it again: %w", err)
			return
		}
		if body == nil {
			d.withdrawn = true
			return
		}
	}
	sum := sha256.Sum256(body)
	if it.digest != nil && !bytes.Equal(it.digest, sum[:]) {
		d.err, d.shelved = errOtherBody, true
		return
	}
	d.digest = sum[:]
	if l.freshIDs && it.attempts > 0 {
		fresh := uuid.NewString()
		body, id = bytes.Replace(body, []byte(id), []byte(fresh), 1), fresh
	}
	m := message.NewMessage(id, body)
	m.Metadata.Set("content-type", ContentType)
	m.Metadata.Set("case", it.matter)
	m.SetContext(context.WithValue(ctx, deliveryKey{}, d))
	select {
	case l.messages <- m:
	case <-l.halt.ch:
		d.err = context.Canceled
		return
	}
	select {
	case <-m.Acked():
	case <-m.Nacked():
		if d.err == nil {
			d.err = errRefrained
		}
	}
}

// errRefrained: the message was not tried at all.
var errRefrained = errors.New("the destination is left alone")

// errOtherBody: what was tried can not be sent again as it was.
var errOtherBody = errors.New("it would be sent with another body than before")

// settle takes in what came of an attempt.
func (l *line) settle(d *delivery) {
	it := d.item
	q := l.cases[it.matter]
	q.flying = false
	l.flying--
	l.mu.Lock()
	if d.shelved {
		l.now.Failed++
	} else if d.err == nil && !d.withdrawn {
		l.now.Sent++
	}
	l.mu.Unlock()
	switch {
	case errors.Is(d.err, ErrGone):
		l.switchOff("the destination answered 410: it wants nothing more")
	case d.shelved:
		l.fail(q, it, d.err)
	case errors.Is(d.err, errRefrained): // the breaker let nothing through: it stays where it is
		l.mu.Lock()
		l.until = later(l.until, time.Now().Add(time.Second))
		l.mu.Unlock()
	case d.err != nil: // it was cut off, or could not be read: as above
		if !errors.Is(d.err, context.Canceled) {
			l.Logger.Warn("a relay could not read a message", "relay", l.out.Name, "position", it.position, "error", d.err)
			l.rest = later(l.rest, time.Now().Add(time.Second))
		}
	default:
		l.done(q, it)
	}
	l.schedule(q)
	l.save()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// done takes a message off its line.
func (l *line) done(q *queue, it *item) {
	q.items = slices.DeleteFunc(q.items, func(o *item) bool { return o == it })
	if it.held {
		l.held--
		if it.parked {
			l.parked--
		}
		name, p := l.out.Name, int64(it.position)
		l.pen.put(func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "DELETE FROM held WHERE relay = ? AND position = ?", name, p)
			return err
		})
	} else {
		it.mark.done = true
		l.buffered--
	}
	if len(q.items) == 0 && !q.queued {
		delete(l.cases, it.matter)
	}
}

// fail holds a message that was not taken, and with it what stands behind it in its case.
func (l *line) fail(q *queue, it *item, err error) {
	now := time.Now()
	if it.first.IsZero() {
		it.first = now
	}
	it.attempts++
	it.reason = err.Error()
	var wait *Later
	switch {
	case errors.Is(err, errOtherBody), now.Sub(it.first) >= l.patience.GiveUp:
		it.parked, it.next = true, time.Time{}
		l.parked++
		l.Logger.Warn("a relay parked a message: it waits for a person", "relay", l.out.Name, "position", it.position, "attempts", it.attempts, "reason", it.reason)
	case errors.As(err, &wait):
		it.next, it.asked = earlier(wait.Until, now.Add(24*time.Hour)), true
		l.rest = later(l.rest, it.next)
		rest := millis(l.rest)
		l.pen.put(func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE relays SET rest = ? WHERE name = ?", rest, l.out.Name)
			return err
		})
	default:
		it.next, it.asked = now.Add(l.patience.backOff(it.attempts)), false
	}
	l.hold(it)
	for _, behind := range q.items {
		if !behind.held {
			l.hold(behind)
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// backOff returns how long to wait after a number of attempts: First doubled each time, up to Longest; half of it is chance,
// so that what failed together does not come back together.
func (p Patience) backOff(attempts int) time.Duration {
	d := p.Longest
	if n := attempts - 1; n < 32 && p.First<<n > 0 && p.First<<n < p.Longest {
		d = p.First << n
	}
	return d/2 + rand.N(d/2+1)
}

// switchOff stops sending until a person resumes the relay.
func (l *line) switchOff(why string) {
	if !l.off {
		l.Logger.Warn("a relay is switched off", "relay", l.out.Name, "reason", why)
	}
	l.off, l.offWhy = true, why
	l.pen.put(func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE relays SET off = 1, why = ? WHERE name = ?", why, l.out.Name)
		return err
	})
}

// save notes how far everything is done. It is written after all that was put before.
func (l *line) save() {
	l.pen.cursor(l.live.low())
	if l.page.Until == 0 {
		return
	}
	at, until := l.again.low(), l.page.Until
	if at >= until {
		l.page.Until, at, until = 0, 0, 0
		l.again = track{}
	}
	if at == l.page.Replay {
		return
	}
	l.page.Replay = at
	l.pen.put(func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE relays SET replay = ?, until = ? WHERE name = ?", int64(at), int64(until), l.out.Name)
		return err
	})
}

// fulfil does what people wished.
func (l *line) fulfil(ctx context.Context) {
	wishes, err := l.Book.wishes(ctx, l.out.Name, l.seen)
	if err != nil {
		l.Logger.Error("a relay can not read its book", "relay", l.out.Name, "error", err)
		return
	}
	for _, w := range wishes {
		l.seen = w.id
		switch w.wish {
		case wishPark:
			l.switchOff("parked by hand")
		case wishResume:
			l.resume()
		case wishSkip:
			for _, q := range l.cases {
				i := slices.IndexFunc(q.items, func(it *item) bool { return it.position == w.a && it.parked })
				if i < 0 || q.flying {
					continue
				}
				l.Logger.Warn("a parked message was given up by hand", "relay", l.out.Name, "position", w.a)
				l.done(q, q.items[i])
				l.schedule(q)
				l.probe()
				break
			}
		case wishReplay:
			if l.page.Until > 0 { // one range that covers both
				w.a, w.b = min(w.a, l.again.low()), max(w.b, l.page.Until)
			}
			l.page.Replay, l.page.Until, l.again = w.a, w.b, track{read: w.a}
			l.pen.put(func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "UPDATE relays SET replay = ?, until = ? WHERE name = ?", int64(w.a), int64(w.b), l.out.Name)
				return err
			})
			l.begin(ctx)
		}
		l.pen.put(func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "DELETE FROM wishes WHERE id = ?", w.id)
			return err
		})
	}
}

// resume goes on, and tries at once what is parked, with new patience.
func (l *line) resume() {
	l.off, l.offWhy, l.rest = false, "", time.Time{}
	l.pen.put(func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE relays SET off = 0, why = '', rest = 0 WHERE name = ?", l.out.Name)
		return err
	})
	for _, q := range l.cases {
		for _, it := range q.items {
			if it.parked {
				it.parked, it.first, it.next = false, time.Time{}, time.Time{}
				l.parked--
				l.hold(it)
			}
		}
	}
	l.probe()
	l.hurry()
}

// probe has the next message go at once: a person says that things have changed.
func (l *line) probe() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
}

// hurry tries at once what waits for its next attempt, unless the destination named the instant.
func (l *line) hurry() {
	for _, q := range l.cases {
		if len(q.items) > 0 && q.items[0].held && !q.items[0].parked && !q.items[0].asked {
			q.items[0].next = time.Time{}
		}
		l.schedule(q)
	}
}

// breaker is told by the circuit breaker how it stands.
func (l *line) breaker(to gobreaker.State) {
	l.mu.Lock()
	switch l.state = to; to {
	case gobreaker.StateOpen:
		// A moment later than the breaker itself would let one through.
		l.until = time.Now().Add(min(l.patience.Probe<<min(l.probes, 8), 10*l.patience.Probe) + time.Millisecond)
		l.probes++
	case gobreaker.StateClosed:
		l.probes = 0
	}
	l.mu.Unlock()
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

func (l *line) broken() (gobreaker.State, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.until
}

func (l *line) closed() bool {
	s, _ := l.broken()
	return s == gobreaker.StateClosed
}

// recovered notes that the breaker moved: a destination that is up again gets at once what waits.
func (l *line) recovered() {
	if l.closed() {
		l.hurry()
	}
}

// tell brings the status up to date.
func (l *line) tell() {
	var oldest time.Time
	older := func(t time.Time) {
		if oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	if l.live.low(); len(l.live.open) > 0 {
		older(l.live.open[0].logged)
	}
	if l.held > l.parked {
		for _, q := range l.cases {
			if len(q.items) > 0 && q.items[0].held && !q.items[0].parked {
				older(q.items[0].logged)
			}
		}
	}
	if !l.atEnd && !l.readAt.IsZero() && l.page.Until == 0 { // what is sent again is not late
		older(l.readAt)
	}
	why := l.offWhy
	switch state, _ := l.broken(); {
	case l.off:
	case l.stalled != "":
		why = l.stalled
	case l.pen.fault() != nil:
		why = l.pen.fault().Error()
	case state != gobreaker.StateClosed:
		why = "the destination does not take anything and is probed"
	case l.held >= l.patience.Most:
		why = "too many messages are held"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.now
	s.Name, s.Parked, s.Waiting, s.Off, s.Why, s.Lag = l.out.Name, l.parked, l.held-l.parked, l.off, why, 0
	if !oldest.IsZero() {
		s.Lag = max(0, time.Since(oldest))
	}
}

func (l *line) status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// due is when a case is to be looked at again.
type due struct {
	at    time.Time
	queue *queue
}

type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
