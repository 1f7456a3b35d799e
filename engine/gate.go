package engine

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// Gate returns the gate for one picture of the organisation: the lists and grants as this node knows them. What it wrote
// itself it knows at once, what others wrote when it has followed the log up to there.
func (e *Engine) Gate(units *orgs.Tree) duty.Gate { return e.lists.Gate(units) }

// enlist takes a state of lists or of an admission into the gate.
func (e *Engine) enlist(s event.State) {
	switch s := s.(type) {
	case duty.State:
		for _, v := range s.Versions {
			e.lists.Publish(v.Published)
		}
	case admission.State:
		if g, granted := s.Grant(); granted {
			e.lists.Admit(g)
		}
	}
}

// list keeps lists and grants in the index, and takes them into the gate.
func (e *Engine) list(ctx context.Context, tx *sql.Tx, at eventlog.Position, entry event.Entry) error {
	put := func(query string, key any, v any) error {
		data, err := json.Marshal(v)
		if err == nil {
			_, err = tx.ExecContext(ctx, query, key, string(data))
		}
		if err != nil {
			return fmt.Errorf("engine index: %w", err)
		}
		return nil
	}
	switch s := entry.After.(type) {
	case duty.State:
		if p, published := entry.Body.(duty.Published); published {
			if err := put("INSERT OR REPLACE INTO lists VALUES (?,?)", int64(at), p); err != nil {
				return err
			}
		}
	case admission.State:
		if g, granted := s.Grant(); granted {
			if err := put("INSERT OR REPLACE INTO grants VALUES (?,?)", s.ID.String(), g); err != nil {
				return err
			}
		}
	}
	e.enlist(entry.After)
	return nil
}

// restoreLists reads lists and grants from the index.
func (e *Engine) restoreLists(ctx context.Context) error {
	published, err := keptRows[duty.Published](ctx, e.index.db, "SELECT data FROM lists ORDER BY position")
	if err != nil {
		return err
	}
	granted, err := keptRows[duty.Grant](ctx, e.index.db, "SELECT data FROM grants ORDER BY admission")
	if err != nil {
		return err
	}
	e.lists.Publish(published...)
	e.lists.Admit(granted...)
	return nil
}

// keptRows reads rows that the index keeps as JSON.
func keptRows[T any](ctx context.Context, db *sql.DB, query string) ([]T, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("engine index: %w", err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var data string
		var v T
		err := rows.Scan(&data)
		if err == nil {
			err = json.Unmarshal([]byte(data), &v)
		}
		if err != nil {
			return nil, fmt.Errorf("engine index: %w", err)
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// lenience is how long a refusal waits for lists and grants that others wrote, before it is judged again.
const lenience = time.Second

// catchUp waits, no longer than that, until the gate knows what the log held when it was called.
func (e *Engine) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lenience)
	defer cancel()
	if end, err := e.Log.End(ctx); err == nil {
		e.Settled(ctx, end)
	}
}

// blocked records what the gate refused, on the stream of the community or street it protects. The event's id derives from
// the request: the same request again, on any node, adds nothing. If we die before it is on disk nothing was answered,
// and nothing else was written; after that, a repeat is answered alike.
func (e *Engine) blocked(ctx context.Context, r Request, f folded, b rule.Block) error {
	e.gate.Lock()
	defer e.gate.Unlock()
	now := e.Clock()
	body := attempt(r, b)
	body.On = calendar.DateOf(now)
	n := stream.Keyed(stream.Gate, string(b.Target))
	key := fmt.Sprintf("%s/%s/%s/%s/%s", r.Stream, b.Matter, body.Role, r.Actor.ID, r.Key)
	data, err := event.Encode(body)
	if err != nil {
		return err
	}
	var unknown error
	for range rounds {
		g, err := e.folded(ctx, n)
		if err != nil {
			return err
		}
		if g.has(key) {
			return nil
		}
		m := event.Meta{Actor: r.Actor.ID, Role: r.Actor.Role, Unit: r.Actor.Unit, Second: r.Second, Key: key,
			Correlation: e.correlate(r, &f), Causation: r.Cause, Occurred: now, Recorded: now, Schema: 1, Trace: r.Trace, Program: e.Program}
		rand.Read(m.Salt[:])
		c, err := e.append(ctx, n, eventlog.Revision(g.revision),
			eventlog.Fact{ID: uuid.UUID(stream.Event(n, key, 0)), Type: body.EventType(), Data: data, Meta: event.EncodeMeta(m)})
		switch {
		case err == nil:
			if !c.Repeated {
				e.Observe.Appended(body.EventType())
			}
			g.revision = int64(c.Revision)
			e.streams.put(n, g.with(key))
			return nil
		case errors.Is(err, eventlog.ErrConflict):
			e.Observe.Conflict()
		case errors.Is(err, eventlog.ErrUnavailable):
			e.Observe.UnknownOutcome()
			unknown = err
			select {
			case <-ctx.Done():
				return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
			case <-time.After(20 * time.Millisecond):
			}
		default:
			return fmt.Errorf("append to %s: %w", n, err)
		}
		e.streams.drop(n)
	}
	if unknown != nil {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, unknown)
	}
	return fmt.Errorf("%s: %w", n, eventlog.ErrConflict)
}

// attempt says what was tried: by whose person, and in which case.
func attempt(r Request, b rule.Block) duty.Blocked {
	x := duty.Blocked{Target: b.Target, Unit: b.Unit, Matter: b.Matter, Role: duty.Assist, Publisher: b.Publisher, List: duty.List(b.List),
		Version: b.Version, Row: sealed.Public(b.Row), Basis: sealed.Public(b.Basis), By: r.Actor.Unit, Command: commandName(r.Commands[0])}
	if b.Lead {
		x.Role = duty.Lead
	}
	switch id := r.Stream.ID(); r.Stream.Category() {
	case stream.Demand:
		x.Demands = []stream.ID{id}
	case stream.Topic:
		x.Topic = id
	case stream.Order:
		x.Order = id
	}
	if c, dispatches := r.Commands[0].(order.Dispatch); dispatches {
		x.Demands, x.Topic = c.Demands, c.Topic
		if c.By != "" {
			x.By = c.By
		}
	}
	return x
}
