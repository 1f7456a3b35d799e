// Package engine acts: it takes a command to its stream, lets the rules decide on the folded state, seals
// what is personal, appends what was decided, and carries on what follows from it on other streams.
//
// Every request has a key. The ids of the events it writes derive from stream and key, so a request repeated
// at any time, on any node, finds what it wrote and gets the first answer again; there is no table of requests
// beside the log. Uniqueness across streams is always the name of a stream appended with "expect none".
package engine

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/escalation"
	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/orgs"
	"gridcase/domain/policy"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/ledger"
)

var (
	// ErrKeyReused: the idempotency key came before with another command.
	ErrKeyReused = errors.New("this key was used before for something else")
	// ErrOutcomeUnknown: whether it happened can not be told. Repeating the request with its key is safe.
	ErrOutcomeUnknown = errors.New("outcome unknown: repeat the request with the same key")
	// ErrForeignLog: the log's first event says that it is no log of this program.
	ErrForeignLog = errors.New("this log was not opened by gridcase")
)

// undecided: the rules could not say yes or no, such as for want of a calendar. Asking again leads to the same.
type undecided struct{ error }

func (u *undecided) Unwrap() error { return u.error }

// StaleError: the stream moved on since the caller read it.
type StaleError struct{ Expect, Actual int64 }

func (e *StaleError) Error() string {
	return fmt.Sprintf("expected revision %d, it is at %d", e.Expect, e.Actual)
}

// Any, as an expected revision, is for the process manager alone: its keys make it safe.
const Any int64 = -2

// rounds is how often a command goes round after a conflict or an unknown outcome.
const rounds = 8

// Config is what an engine works with.
type Config struct {
	Log        eventlog.Log
	Keys       *keys.Store
	Index      string               // file of the engine's own index; made anew from the log if it is gone
	Rules      calendar.Rules       // calendar and deadline policy: the first that a new log publishes; in force on a log that published none
	Escalation *escalation.Policy   // the same of the escalation policy; nil: the default
	Now        func() time.Time     // nil: time.Now
	Elapsed    func() time.Duration // the time that went by, which no setting of a clock changes; nil: the machine's steady clock
	Origin     string               // gridcase.<city>/<deployment>/<incarnation>; used when the log is new
	Program    string               // version, for the metadata
	Draw       func(order stream.ID, round int, kind string, at time.Time) (drawn bool, rate int)
	Logger     *slog.Logger
	Observe    Observer // nil: nobody watches
	Diary      *Diary   // kept current with the log, for an engine that follows it from its first event; nil: none

	react     func(event.Entry, flow.World) flow.Plan // nil: flow.React; a test takes a rule away to see that it is missed
	alarms    func(event.State) []rule.Alarm          // nil: event.Alarms; as above
	alarmKey  func(rule.Alarm) string                 // nil: rule.Alarm.Key; as above
	unguarded bool                                    // a test fires by a clock that nobody checks, to see that it is noticed
	unclaimed bool                                    // a test numbers cases without claiming the numbers; as above
}

// Observer is told what the engine does, for metrics. Its methods must not block.
type Observer interface {
	Command(command, outcome string)
	Appended(eventType string)
	Append(d time.Duration)
	Conflict()
	UnknownOutcome()
	Parked(rule string)
	Fired(kind string) // an alarm, by this node: warning, expiry or step
	Escalated(to orgs.Level)
}

// Engine handles commands. It is safe for concurrent use.
type Engine struct {
	Config
	streams *cache
	index   *index
	units   orgs.Register
	lists   duty.Register
	book    policy.Register // what was published about time and attention
	numbers numbers
	access  access
	gate    sync.Mutex // one block after the other
	clock   reckoner
	checks  checkIns
	origin  string
	stop    context.CancelFunc
	done    chan struct{}
}

// Request is one command, or several for one append, with everything that the rules and the log must know.
type Request struct {
	Stream   stream.Name
	Commands []Command
	Key      string
	Actor    rule.Actor
	Second   *rule.Actor
	Occurred time.Time // zero: now
	Expect   int64     // revision the caller read; -1 to create; Any for the process manager
	Trace    string
	Cause    stream.ID // the event that makes it necessary
	Case     stream.ID // correlation; zero: the stream's own
}

// Receipt answers a request: what was written, where, and what the stream's state was after it.
type Receipt struct {
	Stream   stream.Name
	Revision int64 // of the last event written
	Position eventlog.Position
	Event    stream.ID // of the last event written
	Leaf     [32]byte  // its leaf hash: evidence that it was accepted
	Recorded time.Time
	State    event.State
	Replayed bool // the key came before: this is the first answer again
	Written  int  // events; 0 if the command decided nothing
}

// Open starts an engine on its log: it writes the log's first events if there are none, brings its index up to
// date, and follows the log until Close. It returns [ErrForeignLog] for a log that begins otherwise.
func Open(ctx context.Context, c Config) (*Engine, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Elapsed == nil {
		began := time.Now()
		c.Elapsed = func() time.Duration { return time.Since(began) }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = unobserved{}
	}
	if c.react == nil {
		c.react = flow.React
	}
	if c.alarms == nil {
		c.alarms = event.Alarms
	}
	if c.alarmKey == nil {
		c.alarmKey = rule.Alarm.Key
	}
	e := &Engine{Config: c, streams: newCache(100_000), done: make(chan struct{})}
	e.numbers.counters, e.access.head = map[daily]*counter{}, eventlog.None
	if c.Draw == nil {
		e.Draw = e.draw
	}
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	x, err := openIndex(ctx, c.Index)
	if err != nil {
		return nil, err
	}
	emptied, err := x.ours(ctx, c.Log)
	if err != nil {
		return nil, errors.Join(err, x.close())
	}
	if emptied {
		c.Logger.Warn("the index is of another log, or of one that came further than this: it is made anew", "file", c.Index)
	}
	x.took(c.Now())
	e.index = x
	if err := errors.Join(e.restore(ctx), e.assign(ctx), e.newest(ctx)); err != nil {
		return nil, errors.Join(err, x.close())
	}
	background, stop := context.WithCancel(context.Background())
	e.stop = stop
	go e.follow(background)
	end, err := c.Log.End(ctx)
	if err == nil {
		err = e.Settled(ctx, end)
	}
	if err == nil {
		err = e.sweep(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// sweep drops keys that no event uses. Which keys an event of an unknown type uses is not known: then none is dropped.
func (e *Engine) sweep(ctx context.Context) error {
	if passes, err := e.index.passes(ctx); err != nil || passes {
		return err
	}
	return e.Keys.Sweep(ctx)
}

// begin makes sure that leaf 0 of the log says which log it is.
func (e *Engine) begin(ctx context.Context) error {
	name := stream.Name(stream.Prefix + string(stream.Log))
	for ev, err := range e.Log.Read(ctx, string(name), 0) {
		if err != nil {
			return fmt.Errorf("read the log's first event: %w", err)
		}
		body, err := event.Decode(ev.Type, ev.Data)
		if err != nil {
			return err
		}
		opened, ours := body.(event.LogOpened)
		if !ours {
			return ErrForeignLog
		}
		e.origin = opened.Origin
		return e.found(ctx)
	}
	end, err := e.Log.End(ctx)
	if err != nil {
		return err
	}
	if end != 0 {
		return ErrForeignLog
	}
	private, public, err := note.GenerateKey(rand.Reader, e.Origin+"/service")
	if err == nil {
		if private, err = e.Keys.Service(ctx, e.Origin+"/service", private); err == nil {
			public, err = verifierOf(private)
		}
	}
	if err != nil {
		return fmt.Errorf("make the service key: %w", err)
	}
	e.origin = e.Origin
	_, err = e.record(ctx, name, "log-opened", eventlog.None, founder,
		event.LogOpened{Origin: e.Origin, Prefix: stream.Prefix, LeafVersion: 1, ServiceKey: public})
	if errors.Is(err, eventlog.ErrConflict) { // another node has begun the log meanwhile
		return e.begin(ctx)
	}
	if err != nil {
		return err
	}
	return e.found(ctx)
}

// verifierOf returns the public half of a key that signs notes.
func verifierOf(private string) (string, error) {
	parts := strings.SplitN(private, "+", 5) // PRIVATE+KEY+name+hash+key
	if len(parts) != 5 {
		return "", errors.New("it is no signing key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(key) != 1+ed25519.SeedSize {
		return "", errors.New("it is no signing key")
	}
	return note.NewEd25519VerifierKey(parts[2], ed25519.NewKeyFromSeed(key[1:]).Public().(ed25519.PublicKey))
}

// founder is who writes the first events of a log.
var founder = rule.Actor{ID: "log", Role: orgs.System}

// found publishes what is in force from the beginning of a new log, so that the log alone says what applied when: three
// appends, each made up for if we died before it. A log in which anything else has happened is left as it is.
func (e *Engine) found(ctx context.Context) error {
	end, err := e.Log.End(ctx)
	if err != nil {
		return err
	}
	young := true
	err = e.scan(ctx, 0, end, func(ev eventlog.Event) error {
		m, err := event.DecodeMeta(ev.Meta)
		if err == nil && (m.Actor != founder.ID || m.Role != founder.Role) {
			young, err = false, errSeen
		}
		return err
	})
	if err != nil && !errors.Is(err, errSeen) {
		return err
	}
	if !young {
		return nil
	}
	notices, deadlines, escalations := policy.Founding(policy.InForce{Rules: e.Rules, Escalation: e.Escalation})
	for _, first := range []struct {
		stream stream.Name
		events []policy.Event
	}{{policy.Calendar, notices}, {policy.Deadlines, deadlines}, {policy.Escalation, escalations}} {
		if len(first.events) == 0 {
			continue
		}
		said := make([]event.Body, len(first.events))
		for i, b := range first.events {
			said[i] = b
		}
		_, err := e.record(ctx, first.stream, "first", eventlog.None, founder, said...)
		if err != nil && !errors.Is(err, eventlog.ErrConflict) { // published before, by us or by another node
			return err
		}
	}
	return nil
}

// errSeen ends a scan that has seen enough.
var errSeen = errors.New("seen enough")

// Close stops following the log and closes the index. The log and the keys are the caller's.
func (e *Engine) Close() error {
	e.stop()
	<-e.done
	return e.index.close()
}

// LogOrigin returns the name that the log was opened under.
func (e *Engine) LogOrigin() string { return e.origin }

// Units returns the organisation as the log has it now.
func (e *Engine) Units() *orgs.Tree { return e.units.Tree() }

// Published returns what was published about time and attention, as far as the engine has followed the log.
func (e *Engine) Published() policy.Published { return e.book.Published() }

// InForce returns what decisions are made with now: what was published last, or what the configuration says where the
// log is older than publications.
func (e *Engine) InForce() policy.InForce { return e.book.Published().InForce(e.configured()) }

func (e *Engine) configured() policy.InForce {
	return policy.InForce{Rules: e.Rules, Escalation: e.Escalation.OrDefault()}
}

// RulesOf returns the calendar and the policy that a recorded due instant names, at the versions it names.
func (e *Engine) RulesOf(d calendar.Due) (calendar.Rules, error) {
	r, known := e.book.Published().Rules(d, e.configured())
	if !known {
		return r, fmt.Errorf("%s: the log does not hold policy %s version %d with calendar %s", d.ID, d.Policy, d.PolicyVersion, d.Calendar)
	}
	return r, nil
}

// Clock returns our own time, as it is recorded: UTC, milliseconds.
func (e *Engine) Clock() time.Time { return e.Now().UTC().Truncate(time.Millisecond) }

// Load folds a stream as it is now; revision -1 if it does not exist.
func (e *Engine) Load(ctx context.Context, n stream.Name) (event.State, int64, error) {
	f, err := e.folded(ctx, n)
	if err != nil {
		return nil, -1, err
	}
	return f.state, f.revision, nil
}

// LoadOn returns a stream as it stood at the end of a local date, by when its events happened, whenever they were recorded;
// nil before the first. It reads the log.
func (e *Engine) LoadOn(ctx context.Context, n stream.Name, day calendar.Date) (event.State, error) {
	var s event.State
	for ev, err := range e.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", n, err)
		}
		entry, err := event.Understand(stored(ev))
		if err != nil {
			return nil, err
		}
		if calendar.DateOf(entry.Meta.Occurred) <= day {
			s = event.Fold(n, s, entry.Body, entry.Meta.Stamp(entry.ID))
		}
	}
	return s, nil
}

// Handle takes a request to its stream. The error is a [*rule.Refusal], [*StaleError], [ErrKeyReused],
// [ErrOutcomeUnknown], one of eventlog or keys, or that of the context. When it returns without error, what
// was decided is on disk; after any other error but [ErrOutcomeUnknown] nothing was written to the stream. A refusal of
// the gate is answered when the block is on disk.
func (e *Engine) Handle(ctx context.Context, r Request) (Receipt, error) {
	receipt, err := e.handle(ctx, r)
	e.Observe.Command(commandName(r.Commands[0]), outcome(receipt, err))
	return receipt, err
}

func outcome(r Receipt, err error) string {
	var refusal *rule.Refusal
	var stale *StaleError
	switch {
	case err == nil && r.Replayed:
		return "replayed"
	case err == nil:
		return "done"
	case errors.As(err, &refusal):
		return string(refusal.Code)
	case errors.As(err, &stale):
		return "stale"
	case errors.Is(err, ErrKeyReused):
		return "key_reused"
	case errors.Is(err, ErrOutcomeUnknown):
		return "unknown"
	}
	return "error"
}

func (e *Engine) handle(ctx context.Context, r Request) (Receipt, error) {
	f, known := e.streams.get(r.Stream)
	var unknown error
	// A no that was decided on cached streams may be out of date: another node wrote, or an event was followed
	// before whoever appended it had put its state into the cache. It is asked again of the log itself.
	fresh := false
	again := func() bool {
		if fresh {
			return false
		}
		fresh, known = true, false
		return true
	}
	for range rounds {
		if !known {
			var err error
			if f, err = e.read(ctx, r.Stream); err != nil {
				return Receipt{}, err
			}
			known = true
		}
		if f.has(r.Key) {
			return e.replay(ctx, r)
		}
		if unknown == nil && r.Expect != Any && r.Expect != f.revision {
			if again() {
				continue
			}
			if r.Expect == int64(eventlog.None) {
				return Receipt{}, exists(f.state, r)
			}
			return Receipt{}, &StaleError{Expect: r.Expect, Actual: f.revision}
		}
		d, err := e.decide(ctx, r, f, fresh)
		var refusal *rule.Refusal
		if errors.As(err, &refusal) && again() {
			if refusal.Block != nil && r.Expect != Any { // the flow itself brings the lists: it can not wait for them
				e.catchUp(ctx)
			}
			continue
		}
		if refusal != nil && refusal.Block != nil {
			if err := e.blocked(ctx, r, f, *refusal.Block); err != nil {
				return Receipt{}, err
			}
		}
		if err != nil {
			return Receipt{}, err
		}
		if len(d.facts) == 0 {
			if again() {
				continue
			}
			return e.standing(ctx, r, f)
		}
		began := time.Now()
		c, err := e.append(ctx, r.Stream, eventlog.Revision(f.revision), d.facts...)
		e.Observe.Append(time.Since(began))
		switch {
		case err == nil && c.Repeated:
			// An append whose outcome was unknown had happened; what it wrote, salt and all, is in the log.
			e.streams.drop(r.Stream)
			if err := e.learnKeys(ctx, r.Stream); err != nil {
				return Receipt{}, err
			}
			return e.replay(ctx, r)
		case err == nil:
			for _, fact := range d.facts {
				e.Observe.Appended(fact.Type)
			}
			for _, level := range d.rises {
				e.Observe.Escalated(level)
			}
			d.after.revision = int64(c.Revision)
			e.streams.put(r.Stream, d.after)
			e.enlist(d.after.state)
			last := d.facts[len(d.facts)-1]
			return Receipt{Stream: r.Stream, Revision: int64(c.Revision), Position: c.Position, Event: stream.ID(last.ID),
				Leaf:     ledger.LeafHash(string(r.Stream), c.Revision, last.ID, last.Type, eventlog.ContentType, last.Data, last.Meta),
				Recorded: d.recorded, State: d.after.state, Written: len(d.facts)}, nil
		case errors.Is(err, eventlog.ErrConflict):
			e.Observe.Conflict()
			if f.revision < 0 {
				if err := e.learnKeys(ctx, r.Stream); err != nil {
					return Receipt{}, err
				}
			}
		case errors.Is(err, eventlog.ErrUnavailable):
			e.Observe.UnknownOutcome()
			unknown = err
			select {
			case <-ctx.Done():
				return Receipt{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
			case <-time.After(20 * time.Millisecond):
			}
		default:
			return Receipt{}, fmt.Errorf("append to %s: %w", r.Stream, err)
		}
		e.streams.drop(r.Stream)
		known = false
	}
	if unknown != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, unknown)
	}
	return Receipt{}, fmt.Errorf("%s: %w", r.Stream, eventlog.ErrConflict)
}

// learnKeys makes the keys that a stream's events use those of its parts: a request that took the stream for a new
// one was handed keys that nothing uses.
func (e *Engine) learnKeys(ctx context.Context, n stream.Name) error {
	used := map[string]string{}
	for ev, err := range e.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return fmt.Errorf("read %s: %w", n, err)
		}
		body, err := event.Decode(ev.Type, ev.Data)
		if err != nil {
			return err
		}
		for _, f := range sealed.In(body) {
			if id := keys.ID(f.Text.Ciphertext()); id != "" && used[f.Part] == "" {
				used[f.Part] = id
			}
		}
	}
	e.Keys.Learn(n, used)
	return nil
}

// exists refuses to create what is there already, in the words of its machine.
func exists(s event.State, r Request) error {
	if refusal := standsAt(s, commandName(r.Commands[0])); refusal != nil {
		return refusal
	}
	return &StaleError{Expect: r.Expect, Actual: 0}
}

// decision is what the rules made of a request, ready for the log.
type decision struct {
	facts    []eventlog.Fact
	rises    []orgs.Level // to which level the matter rises, for each escalation
	after    folded
	recorded time.Time
}

// decide asks the rules, command by command, and encodes what they say. Nothing is written but, if this is
// the first personal text of a case, nothing either: its key was on disk before.
//
// Fresh asks for the other streams as the log has them, not the cache.
func (e *Engine) decide(ctx context.Context, r Request, f folded, fresh bool) (decision, error) {
	now := e.Clock()
	occurred := r.Occurred.UTC().Truncate(time.Millisecond)
	if r.Occurred.IsZero() {
		occurred = now
	}
	d := decision{after: f, recorded: now}
	force := e.InForce()
	at := rule.At{Stamp: rule.Stamp{Actor: r.Actor, Second: r.Second, Occurred: occurred, Recorded: now},
		Units: e.Units(), Clocks: force.Rules, Escalation: force.Escalation}
	at.Gate = e.Gate(at.Units)
	var digest string
	for _, c := range r.Commands {
		facts, err := e.facts(ctx, needs(d.after.state, c), fresh)
		if err != nil {
			return d, err
		}
		at.Facts = facts
		bodies, err := decide(r.Stream, d.after.state, c, at)
		var refusal *rule.Refusal
		if err != nil && !errors.As(err, &refusal) {
			return d, &undecided{err}
		}
		if err != nil {
			return d, err
		}
		for _, body := range bodies {
			id := stream.Event(r.Stream, r.Key, len(d.facts))
			if body, err = e.numbered(ctx, body, now); err != nil {
				return d, err
			}
			copied := sealed.Copy(body)
			key, err := e.seal(ctx, r.Stream, id, body.EventType(), copied, f.revision < 0)
			if err != nil {
				return d, err
			}
			if digest == "" {
				if digest, err = e.digest(r, key); err != nil {
					return d, err
				}
			}
			body = deref(copied)
			data, err := event.Encode(body)
			if err != nil {
				return d, err
			}
			if to, rises := risesTo(body); rises {
				d.rises = append(d.rises, to)
			}
			stamp := at.Stamp
			stamp.Event = id
			d.after.state = event.Fold(r.Stream, d.after.state, body, stamp)
			m := event.Meta{Actor: r.Actor.ID, Role: r.Actor.Role, Unit: r.Actor.Unit, Second: r.Second, Key: r.Key,
				Index: len(d.facts), Digest: digest, Correlation: e.correlate(r, &d.after), Causation: r.Cause,
				Occurred: occurred, Recorded: now, Stage: stage(d.after.state), Schema: 1, Trace: r.Trace, Program: e.Program}
			rand.Read(m.Salt[:])
			if len(data) > maxEvent {
				return d, &LargeError{Command: commandName(c), Size: len(data)}
			}
			d.facts = append(d.facts, eventlog.Fact{ID: uuid.UUID(id), Type: body.EventType(), Data: data, Meta: event.EncodeMeta(m)})
		}
	}
	d.after = d.after.with(r.Key)
	return d, nil
}

// maxEvent is how large an event may be, in bytes of data.
const maxEvent = 256 << 10

// LargeError says that a command would record an event that is too large. It is an [eventlog.ErrTooLarge].
type LargeError struct {
	Command string
	Size    int // bytes; an event has at most 256 KiB
}

func (e *LargeError) Error() string {
	return fmt.Sprintf("what %s records would be %d bytes; an event has at most %d", e.Command, e.Size, maxEvent)
}

// Unwrap says that trying again makes it no smaller.
func (e *LargeError) Unwrap() error { return eventlog.ErrTooLarge }

// correlate returns the case an event belongs to: that of its stream, of the request, or the stream itself.
func (e *Engine) correlate(r Request, f *folded) stream.ID {
	if f.correlation.IsZero() {
		f.correlation = r.Case
		if f.correlation.IsZero() {
			f.correlation = r.Stream.ID()
		}
	}
	return f.correlation
}

// seal enciphers the personal fields of an event in place and returns the key of the first of them.
func (e *Engine) seal(ctx context.Context, n stream.Name, id stream.ID, typ string, body any, created bool) (keys.Key, error) {
	var first keys.Key
	for _, f := range sealed.Fields(body) {
		k, err := e.Keys.For(ctx, n, f.Part, created)
		if err != nil {
			return first, fmt.Errorf("seal %s of %s: %w", f.Name, typ, err)
		}
		if first == (keys.Key{}) {
			first = k
		}
		err = f.Text.Seal(func(clear string) (string, error) {
			return k.Seal(keys.Place{Stream: n, Event: id, Type: typ, Field: f.Name}, clear)
		})
		if err != nil {
			return first, fmt.Errorf("seal %s of %s: %w", f.Name, typ, err)
		}
	}
	return first, nil
}

// digest tells a repeated request from a reused key. Personal texts enter it as keyed digests under the key of
// the case, so that it says nothing once that key is gone.
func (e *Engine) digest(r Request, k keys.Key) (string, error) {
	var buf bytes.Buffer
	if !r.Occurred.IsZero() {
		buf.WriteString(r.Occurred.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano))
	}
	for _, c := range r.Commands {
		copied := sealed.Copy(c)
		for _, f := range sealed.Fields(copied) {
			var mac string
			f.Text.Reveal(func(clear string) {
				if k == (keys.Key{}) {
					mac = encode16(e.Keys.Derived("digest", clear))
				} else {
					mac = k.Mac("digest", clear)
				}
			})
			if mac != "" {
				*f.Text = sealed.Cipher(mac)
			}
		}
		j, err := json.Marshal(copied)
		if err != nil {
			return "", fmt.Errorf("digest %s: %w", commandName(c), err)
		}
		buf.WriteString(commandName(c))
		buf.Write(j)
	}
	return encode16(e.Keys.Derived("command", buf.String())), nil
}

// replay gives the first answer again: it finds what the key wrote, and folds up to there.
func (e *Engine) replay(ctx context.Context, r Request) (Receipt, error) {
	var state event.State
	var receipt Receipt
	var digest, kid string
	for ev, err := range e.Log.Read(ctx, string(r.Stream), 0) {
		if err != nil {
			return Receipt{}, fmt.Errorf("read %s: %w", r.Stream, err)
		}
		entry, err := event.Understand(stored(ev))
		if err != nil {
			return Receipt{}, err
		}
		ours := entry.Meta.Key == r.Key
		if !ours && receipt.Written > 0 {
			break
		}
		state = event.Fold(r.Stream, state, entry.Body, entry.Meta.Stamp(entry.ID))
		if !ours {
			continue
		}
		if entry.Meta.Actor != r.Actor.ID {
			return Receipt{}, ErrKeyReused // somebody else's key
		}
		if digest == "" {
			digest = entry.Meta.Digest
		}
		if kid == "" {
			kid = usedKey(entry.Body)
		}
		receipt = Receipt{Stream: r.Stream, Revision: entry.Revision, Position: ev.Position, Event: entry.ID,
			Leaf:     ledger.LeafHash(ev.Stream, ev.Revision, ev.ID, ev.Type, eventlog.ContentType, ev.Data, ev.Meta),
			Recorded: entry.Meta.Recorded, State: state, Replayed: true, Written: receipt.Written + 1}
	}
	if receipt.Written == 0 {
		return Receipt{}, fmt.Errorf("%s: %w", r.Stream, io.ErrUnexpectedEOF)
	}
	var k keys.Key
	if kid != "" {
		var err error
		if k, err = e.Keys.Get(ctx, kid); errors.Is(err, keys.ErrErased) {
			return receipt, nil // what it said can not be compared any more; what it did stands
		} else if err != nil {
			return Receipt{}, err
		}
	}
	again, err := e.digest(r, k)
	if err != nil {
		return Receipt{}, err
	}
	if again != digest {
		return Receipt{}, ErrKeyReused
	}
	return receipt, nil
}

func usedKey(body event.Body) string {
	for _, f := range sealed.In(body) {
		if id := keys.ID(f.Text.Ciphertext()); id != "" {
			return id
		}
	}
	return ""
}

// standing answers a command that decided nothing with the stream's last event: that is what holds already.
func (e *Engine) standing(ctx context.Context, r Request, f folded) (Receipt, error) {
	for ev, err := range e.Log.Read(ctx, string(r.Stream), eventlog.Revision(f.revision)) {
		if err != nil {
			return Receipt{}, fmt.Errorf("read %s: %w", r.Stream, err)
		}
		m, err := event.DecodeMeta(ev.Meta)
		return Receipt{Stream: r.Stream, Revision: int64(ev.Revision), Position: ev.Position, Event: stream.ID(ev.ID),
			Leaf:     ledger.LeafHash(ev.Stream, ev.Revision, ev.ID, ev.Type, eventlog.ContentType, ev.Data, ev.Meta),
			Recorded: m.Recorded, State: f.state, Replayed: true}, err
	}
	return Receipt{}, fmt.Errorf("%s: %w", r.Stream, io.ErrUnexpectedEOF)
}

// record appends events that no machine decides: about the house itself, or who read what.
func (e *Engine) record(ctx context.Context, n stream.Name, key string, expect eventlog.Revision, by rule.Actor, bodies ...event.Body) (eventlog.Commit, error) {
	now := e.Clock()
	facts := make([]eventlog.Fact, len(bodies))
	for i, body := range bodies {
		data, err := event.Encode(body)
		if err != nil {
			return eventlog.Commit{}, err
		}
		m := event.Meta{Actor: by.ID, Role: by.Role, Unit: by.Unit, Key: key, Index: i, Occurred: now, Recorded: now, Schema: 1, Program: e.Program}
		rand.Read(m.Salt[:])
		facts[i] = eventlog.Fact{ID: uuid.UUID(stream.Event(n, key, i)), Type: body.EventType(), Data: data, Meta: event.EncodeMeta(m)}
	}
	c, err := e.append(ctx, n, expect, facts...)
	if err != nil {
		return c, fmt.Errorf("record %s: %w", bodies[0].EventType(), err)
	}
	for _, body := range bodies {
		e.Observe.Appended(body.EventType())
	}
	return c, nil
}

func stored(ev eventlog.Event) event.Stored {
	return event.Stored{Stream: stream.Name(ev.Stream), Revision: int64(ev.Revision), ID: stream.ID(ev.ID),
		Type: ev.Type, Data: ev.Data, Meta: ev.Meta}
}

// mark is a position that ascends, and lets others wait for it.
type mark struct {
	mu  sync.Mutex
	at  eventlog.Position
	hit chan struct{}
}

func (m *mark) set(p eventlog.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = max(m.at, p)
	if m.hit != nil {
		close(m.hit)
		m.hit = nil
	}
}

func (m *mark) get() (eventlog.Position, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hit == nil {
		m.hit = make(chan struct{})
	}
	return m.at, m.hit
}

// Settled waits until everything up to a position has had its consequences: links known, follow-up commands sent.
func (e *Engine) Settled(ctx context.Context, p eventlog.Position) error {
	for {
		at, hit := e.index.cursor.get()
		if at >= p {
			return nil
		}
		select {
		case <-hit:
		case <-e.done:
			return e.index.fault()
		case <-ctx.Done():
			return fmt.Errorf("wait for position %d: %w", p, context.Cause(ctx))
		}
	}
}

// Quiet waits until the consequences of an event, and theirs, are in the log, so that whoever caused it sees them when told
// of success. It waits no longer than the context lets it, and says nothing if that was too short.
func (e *Engine) Quiet(ctx context.Context, p eventlog.Position) {
	for range 3 { // a dispatch is noted on demands, and the note is the end of it
		if e.Settled(ctx, p) != nil {
			return
		}
		end, err := e.Log.End(ctx)
		if err != nil || end == p {
			return
		}
		p = end
	}
}

type unobserved struct{}

func (unobserved) Command(string, string) {}
func (unobserved) Appended(string)        {}
func (unobserved) Append(time.Duration)   {}
func (unobserved) Conflict()              {}
func (unobserved) UnknownOutcome()        {}
func (unobserved) Parked(string)          {}
func (unobserved) Fired(string)           {}
func (unobserved) Escalated(orgs.Level)   {}
