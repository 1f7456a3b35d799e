package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine/keys"
	"gridcase/eventlog"
)

// access writes down who reads what, one append after the other, on a stream of the day and this process.
type access struct {
	mu   sync.Mutex
	once sync.Once
	name string
	day  string
	head eventlog.Revision
}

// node names this process: random, new at each start.
func (e *Engine) node() string {
	e.access.once.Do(func() {
		var b [6]byte
		rand.Read(b[:])
		e.access.name = hex.EncodeToString(b[:])
	})
	return e.access.name
}

// Field is one opened field of an event.
type Field struct {
	Stream   stream.Name
	Revision int64
	Name     string // path as in the event's JSON
	Text     string
	Erased   bool
}

// Reading is a request to open personal data: whose, and for what purpose.
type Reading struct {
	Streams []stream.Name
	Purpose string
	Actor   rule.Actor
	Request string // id of the request, for the audit
}

// OpenPersonal opens every sealed field of some streams for a reader. The reading is on disk before the first
// byte is shown: if the log does not take the entry, nothing is.
func (e *Engine) OpenPersonal(ctx context.Context, r Reading) ([]Field, error) {
	var fields []Field
	var names, streams []string
	for _, n := range r.Streams {
		for ev, err := range e.Log.Read(ctx, string(n), 0) {
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", n, err)
			}
			opened, err := e.open(ctx, stored(ev))
			if err != nil {
				return nil, err
			}
			for _, f := range opened {
				names = append(names, f.Name)
			}
			fields = append(fields, opened...)
		}
		streams = append(streams, string(n))
	}
	if len(fields) == 0 {
		return nil, nil
	}
	if err := e.trail(ctx, r, streams, names); err != nil {
		return nil, err
	}
	return fields, nil
}

// open deciphers the sealed fields of one event.
func (e *Engine) open(ctx context.Context, s event.Stored) ([]Field, error) {
	body, err := event.Decode(s.Type, s.Data)
	if err != nil {
		return nil, err
	}
	var fields []Field
	for _, f := range sealed.In(body) {
		place := keys.Place{Stream: s.Stream, Event: s.ID, Type: s.Type, Field: f.Name}
		text, err := e.Keys.Open(ctx, place, f.Text.Ciphertext())
		erased := errors.Is(err, keys.ErrErased)
		if err != nil && !erased {
			return nil, fmt.Errorf("open %s of %s revision %d: %w", f.Name, s.Stream, s.Revision, err)
		}
		fields = append(fields, Field{Stream: s.Stream, Revision: s.Revision, Name: f.Name, Text: text, Erased: erased})
	}
	return fields, nil
}

// trail appends who reads what.
func (e *Engine) trail(ctx context.Context, r Reading, streams, fields []string) error {
	e.access.mu.Lock()
	defer e.access.mu.Unlock()
	day := e.Clock().Format("2006-01-02")
	if day != e.access.day {
		e.access.day, e.access.head = day, eventlog.None
	}
	c, err := e.record(ctx, stream.Keyed(stream.Access, day+"-"+e.node()), r.Request, e.access.head, r.Actor,
		event.PersonalDataRead{Actor: r.Actor.ID, Role: r.Actor.Role, Unit: r.Actor.Unit, Streams: streams,
			Fields: unique(fields), Purpose: r.Purpose, Request: r.Request})
	if err != nil {
		return fmt.Errorf("nothing is shown: the reading could not be recorded: %w", err)
	}
	e.access.head = c.Revision
	return nil
}

func unique(names []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// Grant records that an actor may act in a role at a unit, or that the actor may not any more, so that the log says
// who was allowed what when. Recording the same again writes nothing.
func (e *Engine) Grant(ctx context.Context, a rule.Actor, until time.Time) error {
	n := stream.Keyed(stream.Actor, a.ID)
	_, err := e.record(ctx, n, "grant", eventlog.None, rule.Actor{ID: "keys", Role: orgs.System},
		event.RoleGranted{Role: a.Role, Unit: a.Unit, Until: until})
	if errors.Is(err, eventlog.ErrConflict) {
		return nil // one actor, one role: it was granted before
	}
	return err
}

// Revoke records that an actor's role ended.
func (e *Engine) Revoke(ctx context.Context, a rule.Actor, reason string) error {
	n := stream.Keyed(stream.Actor, a.ID)
	_, err := e.record(ctx, n, "revoke", 0, rule.Actor{ID: "keys", Role: orgs.System}, event.RoleRevoked{Reason: reason})
	if errors.Is(err, eventlog.ErrConflict) {
		return nil
	}
	return err
}

// TrackingCode returns the code with which a resident without an account follows a demand: 80 bits that only this
// installation can derive, 16 characters in fours. The log holds its hash.
func (e *Engine) TrackingCode(id stream.ID) string {
	const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var b strings.Builder
	var bits, n uint
	for _, c := range e.Keys.Derived("tracking", id.String())[:10] {
		bits, n = bits<<8|uint(c), n+8
		for n >= 5 {
			n -= 5
			if b.Len()%5 == 4 {
				b.WriteByte('-')
			}
			b.WriteByte(crockford[bits>>n&31])
		}
	}
	return b.String()
}
