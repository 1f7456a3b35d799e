package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/policy"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/engine/keys"
	"gridcase/eventlog"
)

// restore reads the organisation, what was published, the lists and the grants from the index.
func (e *Engine) restore(ctx context.Context) error {
	organised, err := kept[orgs.Event](ctx, e.index, organisation)
	if err != nil {
		return err
	}
	e.units.Apply(organised...)
	published, err := kept[policy.Event](ctx, e.index, "SELECT type, data FROM published ORDER BY position")
	if err != nil {
		return err
	}
	e.book.Apply(published...)
	return e.restoreLists(ctx)
}

// kept reads events that the index keeps as they are.
func kept[E event.Body](ctx context.Context, x *index, query string) ([]E, error) {
	rows, err := x.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("engine index: %w", err)
	}
	defer rows.Close()
	var events []E
	for rows.Next() {
		var typ, data string
		if err := rows.Scan(&typ, &data); err != nil {
			return nil, fmt.Errorf("engine index: %w", err)
		}
		b, err := event.Decode(typ, []byte(data))
		if err != nil {
			return nil, err
		}
		events = append(events, b.(E))
	}
	return events, rows.Err()
}

// manager is who acts when the flow does. Its events are told by it in the log.
var manager = rule.Actor{ID: "flow", Role: orgs.System}

// follow runs the flow over the log until ctx ends. Whatever fails is tried again from the last batch that was
// committed; repeating has no effect.
func (e *Engine) follow(ctx context.Context) {
	defer close(e.done)
	pause := 50 * time.Millisecond
	for ctx.Err() == nil {
		err := e.followOnce(ctx)
		if ctx.Err() != nil || errors.Is(err, eventlog.ErrClosed) {
			break
		}
		e.Logger.Error("following the log failed, trying again", "error", err)
		if e.index.stall(err) { // the first failure since a batch was taken
			pause = 50 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// Stalled returns why the flow does not move, nil while it does: then nothing follows from anything, and no node should
// pretend that it works.
func (e *Engine) Stalled() error {
	e.index.mu.Lock()
	defer e.index.mu.Unlock()
	return e.index.err
}

// Flow returns how far the flow is behind the log, as the age of the last event it followed, 0 if it followed all; and how much of what it was to
// do was refused and waits for a person. Beside an error of the index the lag is right.
func (e *Engine) Flow(ctx context.Context) (lag time.Duration, parked int, err error) {
	end, err := e.Log.End(ctx)
	if err != nil {
		return 0, 0, err
	}
	if at, _ := e.index.cursor.get(); at < end {
		e.index.mu.Lock()
		lag = max(0, e.Now().Sub(e.index.at))
		e.index.mu.Unlock()
	}
	err = e.index.db.QueryRowContext(ctx, "SELECT count(*) FROM parked").Scan(&parked)
	return lag, parked, err
}

// While events come in by the dozen, the flow lets a few more gather before it takes them: two transactions for every
// handful would cost more than the intake itself. Alone, an event is taken at once.
const (
	busy = 8
	pace = 5 * time.Millisecond
)

func (e *Engine) followOnce(ctx context.Context) error {
	folder := event.NewFolder(50_000, func(n stream.Name, count int64) (event.State, error) { return e.upTo(ctx, n, count) })
	at, _ := e.index.cursor.get()
	begun, err := e.begun(ctx, at)
	if err != nil {
		return err
	}
	published := ""
	for batch, err := range e.Log.Follow(ctx, at) {
		if err != nil {
			return err
		}
		if len(batch.Events) > 0 {
			if err := e.batch(ctx, folder, batch.Events, begun); err != nil {
				return err
			}
			e.index.stall(nil)
			last := batch.Events[len(batch.Events)-1]
			e.index.took(last.At)
			e.clock.saw(last.At)
			e.index.cursor.set(last.Position)
		}
		if len(batch.Events) >= busy {
			select {
			case <-ctx.Done():
			case <-time.After(pace):
			}
		}
		if m := month(e.Clock()); batch.Live && m != published {
			done, err := e.publishDraw(ctx)
			if err != nil {
				return err
			}
			if done {
				published = m
			}
		}
	}
	return ctx.Err()
}

// begun returns the position of the last event after the given one that the log shows a consequence of, 0 if there
// is none. The flow goes in log order, so everything before it had its consequences too. Those that were refused
// then must not be sent again now that the index is lost: the stream may have come to where it would allow them.
// Only what was refused since leaves no trace, and is sent once more. What was parked is forgotten with the index.
// It reads what lies behind the index: nothing in the usual case, all of the log if the index is gone.
func (e *Engine) begun(ctx context.Context, after eventlog.Position) (eventlog.Position, error) {
	end, err := e.Log.End(ctx)
	if err != nil {
		return 0, err
	}
	var cause stream.ID
	var last, position eventlog.Position
	err = e.scan(ctx, after, end, func(ev eventlog.Event) error {
		m, err := event.DecodeMeta(ev.Meta)
		if err == nil && m.Actor == manager.ID && m.Role == manager.Role {
			cause, last = m.Causation, ev.Position
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	err = e.scan(ctx, after, last, func(ev eventlog.Event) error {
		if stream.ID(ev.ID) == cause {
			position = ev.Position
		}
		return nil
	})
	return position, err
}

// scan shows the events after one position, up to another.
func (e *Engine) scan(ctx context.Context, after, end eventlog.Position, see func(eventlog.Event) error) error {
	if after >= end {
		return nil
	}
	for batch, err := range e.Log.Follow(ctx, after) {
		if err != nil {
			return err
		}
		for _, ev := range batch.Events {
			if ev.Position > end {
				return nil
			}
			if err := see(ev); err != nil {
				return err
			}
			if ev.Position == end {
				return nil
			}
		}
	}
	return ctx.Err()
}

// used lists the keys that an event's sealed fields use.
func used(n stream.Name, body event.Body) []keys.Use {
	var uses []keys.Use
	for _, f := range sealed.In(body) {
		if id := keys.ID(f.Text.Ciphertext()); id != "" {
			uses = append(uses, keys.Use{Stream: n, Part: f.Part, Key: id})
		}
	}
	return uses
}

// assign tells the key store what it may have lost in a power cut: the index can be ahead of it, here or on another node.
func (e *Engine) assign(ctx context.Context) error {
	from, err := e.Keys.Assigned(ctx)
	if err != nil {
		return err
	}
	end, err := e.Log.End(ctx)
	if err != nil {
		return err
	}
	if from > end { // the log was copied from a store that counts positions otherwise
		if err := e.Keys.Restart(ctx); err != nil {
			return err
		}
		from = 0
	}
	to, _ := e.index.cursor.get()
	var uses []keys.Use
	err = e.scan(ctx, from, to, func(ev eventlog.Event) error {
		body, err := event.Decode(ev.Type, ev.Data)
		uses = append(uses, used(stream.Name(ev.Stream), body)...)
		return err
	})
	if err != nil {
		return err
	}
	return e.Keys.Assign(ctx, uses, to)
}

// upTo folds the first events of a stream.
func (e *Engine) upTo(ctx context.Context, n stream.Name, count int64) (event.State, error) {
	var s event.State
	for ev, err := range e.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return nil, err
		}
		if int64(ev.Revision) >= count {
			break
		}
		entry, err := event.Understand(stored(ev))
		if err != nil {
			return nil, err
		}
		s = event.Fold(n, s, entry.Body, entry.Meta.Stamp(entry.ID))
	}
	return s, nil
}

// batch takes a run of events in: links, units, lists and key assignments into the index, consequences onto other
// streams. If we die before the commit, all of it is done again and nothing doubles. What happened before the
// position begun had its consequences: of it only the links, units and keys are learnt again, unless an older program passed over it
// here, which may have been the only one that ran.
func (e *Engine) batch(ctx context.Context, folder *event.Folder, events []eventlog.Event, begun eventlog.Position) (err error) {
	e.index.writer.Lock()
	defer e.index.writer.Unlock()
	tx, err := e.index.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("engine index: %w", err)
	}
	defer tx.Rollback()
	var uses []keys.Use
	unknown := map[string]eventlog.Position{}
	for _, ev := range events {
		entry, err := folder.Next(stored(ev))
		if errors.Is(err, event.ErrRepeat) {
			continue
		}
		if err != nil {
			return err
		}
		if e.Diary != nil {
			e.Diary.Note(entry)
		}
		u, passed := entry.Body.(event.Unknown)
		if passed {
			unknown[u.Type] = ev.Position
		}
		switch c := entry.Stream.Category(); {
		case passed:
		case c == stream.Unit, c == stream.Grids:
			if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO orgs VALUES (?,?,?)", int64(ev.Position), ev.Type, string(ev.Data)); err != nil {
				return fmt.Errorf("engine index: %w", err)
			}
			// At once, not with the commit: what follows later in this batch may be decided with it. A repeat changes nothing.
			e.units.Apply(entry.Body)
		case c == stream.Duties, c == stream.Admission:
			if err := e.list(ctx, tx, ev.Position, entry); err != nil {
				return err
			}
		case c == stream.Calendar, c == stream.Policy:
			if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO published VALUES (?,?,?)", int64(ev.Position), ev.Type, string(ev.Data)); err != nil {
				return fmt.Errorf("engine index: %w", err)
			}
			e.book.Apply(entry.Body)
		}
		uses = append(uses, used(entry.Stream, entry.Body)...)
		if err := link(ctx, tx, entry); err != nil {
			return err
		}
		if ev.Position < begun && ev.Position > e.index.missed[ev.Type] {
			continue
		}
		w := &world{Engine: e, ctx: ctx, tx: tx, folder: folder, at: ev.Position, entry: entry}
		plan := e.react(entry, w)
		if w.err != nil {
			return w.err
		}
		if err := e.carryOut(ctx, tx, ev.Position, entry, plan); err != nil {
			return err
		}
	}
	last, id := events[len(events)-1].Position, events[len(events)-1].ID
	err = e.Keys.Assign(ctx, uses, last)
	if errors.Is(err, keys.ErrGap) {
		e.Logger.Warn("the key store has lost which case its newest keys belong to, and is told again by the log")
		if err = e.assign(ctx); err == nil {
			err = e.Keys.Assign(ctx, uses, last)
		}
	}
	if err != nil {
		return err
	}
	if err := e.index.note(ctx, tx, unknown, last); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE cursor SET position = ?, event = ?", int64(last), id.String()); err != nil {
		return fmt.Errorf("engine index: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("engine index: %w", err)
	}
	return nil
}

func link(ctx context.Context, tx *sql.Tx, entry event.Entry) error {
	for _, edge := range flow.Edges(entry) {
		q := "INSERT OR IGNORE INTO edges VALUES (?,?,?)"
		if edge.Ends {
			q = "DELETE FROM edges WHERE kind = ? AND a = ? AND b = ?"
		}
		if _, err := tx.ExecContext(ctx, q, string(edge.Kind), edge.From.String(), edge.To.String()); err != nil {
			return fmt.Errorf("engine index: %w", err)
		}
	}
	return nil
}

// carryOut sends what follows. A refusal because the effect holds already is dropped; any other is parked,
// counted and shown, and the flow moves on.
func (e *Engine) carryOut(ctx context.Context, tx *sql.Tx, at eventlog.Position, cause event.Entry, plan flow.Plan) error {
	park := func(s flow.Send, refusal *rule.Refusal) error {
		e.Observe.Parked(s.Rule)
		e.Logger.Warn("a consequence was refused and is parked", "rule", s.Rule, "stream", s.Stream, "cause", cause.ID.String(), "reason", refusal.Error())
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO parked VALUES (?,?,?,?)", int64(at), s.Rule, string(s.Stream), refusal.Error())
		return err
	}
	try := func(s flow.Send) error {
		refusal, err := e.sendOne(ctx, cause, s)
		if err == nil && refusal != nil {
			err = park(s, refusal)
		}
		return err
	}
	type denial struct {
		flow.Send
		*rule.Refusal
	}
	var denied []denial     // dispatches that were refused
	var waiting []flow.Send // what depends on a dispatch that gets through
	dispatches, gated := 0, 0
	for _, s := range plan.Sends {
		if _, dispatch := s.Commands[0].(order.Dispatch); dispatch {
			dispatches++
			refusal, err := e.sendOne(ctx, cause, s)
			if err != nil {
				return err
			}
			if refusal != nil {
				denied = append(denied, denial{s, refusal})
			}
			if refusal != nil && refusal.Code == rule.GateBlocked {
				gated++
			}
			continue
		}
		if _, enters := s.Commands[0].(demand.EnterHandling); enters && dispatches > 0 {
			waiting = append(waiting, s)
			continue
		}
		if err := try(s); err != nil {
			return err
		}
	}
	if len(denied) == dispatches {
		waiting = plan.Undispatched
	}
	for _, d := range denied {
		// That the gate let nothing through needs nobody to look: the return says so.
		if gated == dispatches && len(plan.Undispatched) > 0 {
			break
		}
		if err := park(d.Send, d.Refusal); err != nil {
			return err
		}
	}
	for _, s := range waiting {
		if err := try(s); err != nil {
			return err
		}
	}
	return nil
}

// sendOne gives one command to one stream, again and again while the outcome is unknown.
func (e *Engine) sendOne(ctx context.Context, cause event.Entry, s flow.Send) (*rule.Refusal, error) {
	commands := make([]Command, len(s.Commands))
	for i, c := range s.Commands {
		commands[i] = c
	}
	for {
		_, err := e.Handle(ctx, Request{Stream: s.Stream, Commands: commands, Key: s.Key(cause.ID),
			Actor: manager, Expect: Any, Cause: cause.ID, Case: cause.Meta.Correlation,
			Trace: cause.Meta.Trace})
		var refusal *rule.Refusal
		var open *undecided
		switch {
		case err == nil:
			return nil, nil
		case errors.Is(err, ErrKeyReused):
			return nil, nil // an older program version decided the same consequence in other words: it stands
		case errors.As(err, &refusal):
			if refusal.Code == rule.WrongState {
				now, _, err := e.Load(ctx, s.Stream)
				if err != nil {
					return nil, err
				}
				if holds(now, commands[len(commands)-1]) || now == nil && attaches(commands[0]) || over(now, commands[0]) {
					return nil, nil
				}
			}
			return refusal, nil
		case errors.As(err, &open):
			return rule.Refuse(rule.GuardFailed, s.Rule, "无法裁定："+open.Error(), "it can not be decided: "+open.Error()), nil
		case errors.Is(err, eventlog.ErrTooLarge): // tried again it is no smaller, and nothing behind it would move
			return rule.Refuse(rule.GuardFailed, s.Rule, "事件过大，无法记录", "the event is too large to be recorded"), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, ErrOutcomeUnknown), errors.Is(err, eventlog.ErrFull), errors.Is(err, keys.ErrAway), errors.Is(err, eventlog.ErrConflict):
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(200 * time.Millisecond):
			}
		default:
			return nil, fmt.Errorf("rule %s on %s: %w", s.Rule, s.Stream, err)
		}
	}
}

// attaches reports whether a command ties a demand to an order, or unties it: where the order was never dispatched
// (the gate kept it), there is nothing to tie.
func attaches(c Command) bool {
	switch c.(type) {
	case order.AttachDemand, order.DetachDemand:
		return true
	}
	return false
}

// over reports whether what was to be done ended meanwhile: nobody owes work on an order that was to be handed over, or
// nothing waits for a notice where something was to be counted anew.
func over(now event.State, c Command) bool {
	if commandName(c) == "recompute-deadline" {
		return len(event.Provisional(now)) == 0
	}
	o, isOrder := now.(order.State)
	_, hands := c.(order.Reassign)
	return isOrder && hands && !o.Phase.Live()
}

// world shows the flow the streams as of one event. After the first error it answers nothing.
type world struct {
	*Engine
	ctx    context.Context
	tx     *sql.Tx
	folder *event.Folder
	at     eventlog.Position
	entry  event.Entry
	err    error
}

// state returns a stream as of the event: from the folder that has followed up to here, or from the log up to here.
func (w *world) state(n stream.Name) event.State {
	if s, kept := w.folder.State(n); kept {
		return s
	}
	var s event.State
	for ev, err := range w.Log.Read(w.ctx, string(n), 0) {
		if err != nil {
			w.err = err
			return nil
		}
		if ev.Position > w.at {
			break
		}
		entry, err := event.Understand(stored(ev))
		if err != nil {
			w.err = err
			return nil
		}
		s = event.Fold(n, s, entry.Body, entry.Meta.Stamp(entry.ID))
	}
	return s
}

func (w *world) Demand(id stream.ID) demand.State {
	s, _ := w.state(stream.Of(stream.Demand, id)).(demand.State)
	return s
}

func (w *world) Topic(id stream.ID) topic.State {
	s, _ := w.state(stream.Of(stream.Topic, id)).(topic.State)
	return s
}

func (w *world) Order(id stream.ID) order.State {
	s, _ := w.state(stream.Of(stream.Order, id)).(order.State)
	return s
}

func (w *world) Dispute(id stream.ID) dispute.State {
	s, _ := w.state(stream.Of(stream.Dispute, id)).(dispute.State)
	return s
}

func (w *world) State(n stream.Name) event.State { return w.state(n) }

func (w *world) ends(query string, k flow.EdgeKind, id stream.ID) []stream.ID {
	ids, err := edges(w.ctx, w.tx, query, k, id)
	if err != nil {
		w.err = err
	}
	return ids
}

const (
	forward = "SELECT b FROM edges WHERE kind = ? AND a = ? ORDER BY b"
	back    = "SELECT a FROM edges WHERE kind = ? AND b = ? ORDER BY a"
)

func (w *world) Linked(id stream.ID) []stream.ID    { return w.ends(forward, flow.Governs, id) }
func (w *world) Followers(id stream.ID) []stream.ID { return w.ends(forward, flow.Tells, id) }
func (w *world) Serving(id stream.ID) []stream.ID   { return w.ends(back, flow.Serves, id) }
func (w *world) Waiting(id stream.ID) []stream.ID   { return w.ends(back, flow.Awaits, id) }
func (w *world) Topics(id stream.ID) []stream.ID    { return w.ends(forward, flow.Works, id) }

func (w *world) Held(by orgs.UnitCode) []stream.ID {
	return w.ends(forward, flow.Holds, flow.UnitID(by))
}

func (w *world) Unsettled(c stream.Category) []stream.ID {
	return w.ends(forward, flow.Waits, flow.KindID(c))
}

// Calendar is what was published up to here: nothing but the flow tells the book.
func (w *world) Calendar() string {
	if c := w.Published().Calendar; c != nil {
		return c.Version()
	}
	return ""
}

func (w *world) Grids(community orgs.UnitCode) orgs.GridsState {
	s, _ := w.state(stream.Keyed(stream.Grids, string(community))).(orgs.GridsState)
	return s
}

func (w *world) Drawn(o order.State) (bool, int) {
	return w.Draw(o.ID, o.Round, o.Kind, w.entry.Meta.Recorded)
}
