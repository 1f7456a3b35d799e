package projections

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// session is one run over the log from the committed position of a generation. It ends with the first error that is not the
// fault of an event; what was not committed is forgotten then, and the next session reads it again.
type session struct {
	r       *Runner
	g       *generation
	until   eventlog.Position // ends here, or at the end of the log; none while serving
	serving bool              // the generation answers queries
	told    func(eventlog.Position)

	at      cursor
	tree    *orgs.Tree
	folder  *event.Folder
	rows    *overlay
	tx      *Tx
	parked  map[stream.Name]uint64   // a bit for each view that takes no more events of the stream
	counts  map[string]int           // parked streams, by view
	careful eventlog.Position        // up to here each event is written by itself, to find the one whose rows are refused
	events  int                      // since the last commit
	began   time.Time                // when the first of them was taken
	logged  time.Time                // when the log wrote the last of them
	touched []stream.ID              // demands whose text changed, since the last commit
	recent  [2]map[stream.Name]int64 // last revisions of streams met lately: this many, and as many before
	flight  *flight
	spare   *overlay
}

// flight is a batch of a build that is being written while the next one is folded.
type flight struct {
	rows *overlay
	at   cursor
	done chan error
}

// memory is how many streams the session knows by heart where they stand, about 100 bytes each and twice as many.
const memory = 50_000

var (
	errReached = errors.New("the views have come where they were to come")
	// errRefused: the file refused rows of some event in the batch.
	errRefused = errors.New("rows were refused")
	// errUnreadable: the bytes of an event cannot be understood or folded. It is the event's fault.
	errUnreadable = errors.New("unreadable event")
)

// While events come in by the dozen, a few more gather before they are written: a transaction for every handful would cost more
// than the intake itself. Alone, an event is written at once.
const (
	busy = 8
	pace = 20 * time.Millisecond
)

// follow applies the log until the context or the session ends. It never returns nil.
func (s *session) follow(ctx context.Context) error {
	for {
		err := s.pass(ctx)
		if !errors.Is(err, errRefused) {
			return err
		}
		s.r.config.Logger.Warn("one event at a time, to find whose rows are refused", "error", err, "until", s.careful)
	}
}

// begin takes up from what is committed.
func (s *session) begin(ctx context.Context) (err error) {
	if s.at, err = s.g.cursor(ctx); err != nil {
		return err
	}
	events, err := s.g.restoreUnits(ctx)
	if err != nil {
		return err
	}
	s.tree = new(orgs.Tree).With(events...)
	s.folder = event.NewFolder(s.r.config.Tuning.States, func(n stream.Name, count int64) (event.State, error) { return s.load(ctx, n, count) })
	s.rows, s.spare, s.flight = newOverlay(s.g.tables), nil, nil
	s.tx = &Tx{ctx: ctx, rows: s.rows, find: s.find}
	s.recent = [2]map[stream.Name]int64{{}, {}}
	s.events, s.touched = 0, nil
	s.parked, s.counts = map[stream.Name]uint64{}, map[string]int{}
	parked, err := parkedStreams(ctx, s.g.conn)
	if err != nil {
		return err
	}
	for _, p := range parked {
		for i, v := range s.r.views {
			if v.Name() == p.View {
				s.parked[p.Stream] |= 1 << i
				s.counts[p.View]++
			}
		}
	}
	return nil
}

// piece is a batch on its way: decoded beside the folding of the one before.
type piece struct {
	events  []eventlog.Event
	live    bool
	err     error
	entries []event.Entry
	errs    []error
	ready   chan struct{}
}

func (p *piece) decode() {
	defer close(p.ready)
	p.entries, p.errs = make([]event.Entry, len(p.events)), make([]error, len(p.events))
	for i, e := range p.events {
		p.entries[i], p.errs[i] = understand(e)
	}
}

func understand(e eventlog.Event) (entry event.Entry, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", errUnreadable, p)
		}
	}()
	entry, err = event.Understand(event.Stored{Stream: stream.Name(e.Stream), Revision: int64(e.Revision), ID: stream.ID(e.ID),
		Type: e.Type, Data: e.Data, Meta: e.Meta})
	if err != nil {
		err = fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return entry, err
}

// ahead is how many batches are decoded before they are folded.
const ahead = 4

// pass runs over the log until something ends it.
func (s *session) pass(ctx context.Context) (err error) {
	if err := s.begin(ctx); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	pieces, over := make(chan *piece, ahead), make(chan struct{})
	defer func() {
		stop()
		<-over
		if s.flight != nil { // the connection is free again when the pass is over
			err = errors.Join(err, s.land())
		}
	}()
	go func() {
		defer close(over)
		defer close(pieces)
		for b, err := range s.r.config.Log.Follow(reading, s.at.position) {
			p := &piece{events: b.Events, live: b.Live, err: err, ready: make(chan struct{})}
			select {
			case pieces <- p:
				go p.decode()
			case <-reading.Done():
				return
			}
		}
	}()
	for p := range pieces {
		<-p.ready
		if p.err != nil {
			return fmt.Errorf("follow the log: %w", p.err)
		}
		for i, e := range p.events {
			if err := s.take(ctx, e, p.entries[i], p.errs[i]); err != nil {
				return err
			}
			if s.full() || s.at.position >= s.until && !s.serving {
				if err := s.commit(ctx, false); err != nil {
					return err
				}
			}
			if s.at.position >= s.until && !s.serving {
				return s.reached()
			}
		}
		s.told(s.at.position)
		if !p.live && len(p.events) == 0 && s.serving {
			s.r.live.Store(false) // the log has lost sight of its end: what we show may be old
		}
		if !p.live || s.serving && len(pieces) > 0 {
			continue // more has come meanwhile
		}
		gathered := s.events
		if err := s.commit(ctx, true); err != nil {
			return err
		}
		if s.serving && gathered >= busy {
			select {
			case <-ctx.Done():
			case <-time.After(pace):
			}
		}
		if !s.serving {
			return s.reached()
		}
	}
	return fmt.Errorf("follow the log: %w", ctx.Err())
}

// reached says that the session has come where it was to come, once that is in the file.
func (s *session) reached() error {
	if err := s.land(); err != nil {
		return err
	}
	return errReached
}

func (s *session) full() bool {
	if s.serving {
		return s.events >= s.r.config.Tuning.Batch
	}
	return s.rows.touched >= s.r.config.Tuning.Rows
}

// commit writes what was gathered and tells everybody. A live commit without events only says that nothing more is there.
func (s *session) commit(ctx context.Context, live bool) error {
	if s.events > 0 {
		if err := s.write(ctx); err != nil {
			return err
		}
		s.r.config.Observe.Batch(s.events, time.Since(s.began))
	}
	if s.serving {
		s.r.units.Store(s.tree)
		s.r.publish(s.at.position, live, s.logged, s.counts)
		s.r.search.touch(s.touched)
	}
	s.events, s.touched = 0, nil
	return nil
}

// write brings the rows to the file: at once while serving, beside the folding of the next batch while building.
func (s *session) write(ctx context.Context) error {
	if err := s.land(); err != nil {
		return err
	}
	f := &flight{rows: s.rows, at: s.at, done: make(chan error, 1)}
	if s.serving || s.careful > 0 {
		f.done <- s.g.commit(ctx, f.rows, f.at)
		s.flight = f
		return s.land()
	}
	go func() { f.done <- s.g.commit(ctx, f.rows, f.at) }()
	s.flight = f
	if s.rows = s.spare; s.rows == nil {
		s.rows = newOverlay(s.g.tables)
	}
	s.tx.rows = s.rows
	return nil
}

// land waits for the batch that is being written.
func (s *session) land() error {
	f := s.flight
	if f == nil {
		return nil
	}
	err := <-f.done
	s.flight = nil
	if err != nil && refused(err) && s.careful < f.at.position {
		s.careful = f.at.position
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		return fmt.Errorf("write the views: %w", err)
	}
	f.rows.clear()
	if f.rows != s.rows {
		s.spare = f.rows
	}
	return nil
}

// find reads a row that the batch in hand has not touched.
func (s *session) find(ctx context.Context, table int, key []any) ([]any, error) {
	if s.flight != nil {
		if c, here := s.flight.rows.changes[table][encodeKey(key)]; here {
			if c.gone {
				return nil, nil
			}
			return c.row, nil
		}
		if err := s.land(); err != nil {
			return nil, err
		}
	}
	return s.g.find(ctx, table, key)
}

// take applies the next event of the log, after those of its stream that should have come before it.
func (s *session) take(ctx context.Context, e eventlog.Event, entry event.Entry, err error) error {
	if e.Position <= s.at.position {
		s.r.config.Observe.Repeat()
		return nil
	}
	if s.events == 0 {
		s.began = time.Now()
	}
	s.events++
	name := stream.Name(e.Stream)
	last, fault := s.last(ctx, name, int64(e.Revision))
	if fault != nil {
		return fault
	}
	if int64(e.Revision) > last+1 {
		if err := s.heal(ctx, name, last+1, int64(e.Revision)); err != nil {
			return err
		}
		last = int64(e.Revision) - 1
	}
	s.at, s.logged = cursor{e.Position, stream.ID(e.ID)}, e.At
	if int64(e.Revision) <= last {
		s.r.config.Observe.Repeat()
		return nil
	}
	return s.step(ctx, e, entry, err)
}

// heal takes events that the log holds and did not deliver.
func (s *session) heal(ctx context.Context, name stream.Name, from, to int64) error {
	s.r.config.Observe.Gap()
	s.r.config.Logger.Error("events were not delivered; the stream is read again", "stream", name, "from", from, "to", to-1)
	for e, err := range s.r.config.Log.Read(ctx, string(name), eventlog.Revision(from)) {
		if err != nil {
			return fmt.Errorf("heal a hole: %w", err)
		}
		if int64(e.Revision) != from || from == to {
			break
		}
		entry, err := understand(e)
		if err := s.step(ctx, e, entry, err); err != nil {
			return err
		}
		from++
	}
	if from < to {
		return fmt.Errorf("heal a hole: revision %d of %s is not in the log: %w", from, name, event.ErrHole)
	}
	return nil
}

// last returns the last revision seen of a stream, -1 for none. For a stream that is met at revision 0 it does not look: a repeat has an
// old position.
func (s *session) last(ctx context.Context, name stream.Name, next int64) (int64, error) {
	for _, m := range s.recent {
		if r, known := m[name]; known {
			return r, nil
		}
	}
	if next == 0 {
		return -1, nil
	}
	if c, here := s.rows.changes[0][encodeKey([]any{string(name)})]; here {
		return c.row[1].(int64), nil
	}
	row, err := s.find(ctx, 0, []any{string(name)})
	if err != nil || row == nil {
		return -1, err
	}
	return row[1].(int64), nil
}

// remember notes where a stream stands.
func (s *session) remember(name stream.Name, revision int64) {
	if len(s.recent[0]) >= memory {
		s.recent[0], s.recent[1] = s.recent[1], s.recent[0]
		clear(s.recent[0])
	}
	s.recent[0][name] = revision
}

// step folds one event and lets all views have it.
func (s *session) step(ctx context.Context, e eventlog.Event, entry event.Entry, err error) error {
	if e.Position <= s.careful {
		return s.g.transact(ctx, s.at, func() error { return s.apply(ctx, e, entry, err) })
	}
	return s.apply(ctx, e, entry, err)
}

func (s *session) apply(ctx context.Context, e eventlog.Event, entry event.Entry, err error) error {
	name := stream.Name(e.Stream)
	s.tx.Put("streams", e.Stream, int64(e.Revision))
	s.rows.keep()
	s.remember(name, int64(e.Revision))
	every := uint64(1)<<len(s.r.views) - 1
	if s.parked[name] != every {
		if err == nil {
			entry, err = s.fold(entry)
		}
		if err != nil && !errors.Is(err, errUnreadable) {
			return err
		}
	}
	full := Entry{Entry: entry, Position: e.Position, At: e.At, Units: s.tree}
	for i, v := range s.r.views {
		bit := uint64(1) << i
		if s.parked[name]&bit != 0 {
			s.r.config.Observe.Failure(v.Name())
			continue
		}
		wrong := err
		if wrong == nil {
			wrong = s.show(ctx, v, full)
		}
		if s.tx.fault != nil {
			return s.tx.fault
		}
		if wrong != nil {
			s.rows.undo()
			s.park(i, name, e.Position, wrong)
		}
		s.rows.keep()
	}
	if e.Position <= s.careful {
		if err := s.g.apply(ctx, s.rows); err != nil {
			return err
		}
		s.rows.clear()
	}
	return nil
}

// fold understands an event within its stream, and the organisation with it.
func (s *session) fold(entry event.Entry) (folded event.Entry, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", errUnreadable, p)
		}
	}()
	if folded, err = s.folder.Fold(entry); err != nil {
		return folded, err
	}
	switch b := folded.Body.(type) {
	case event.Unknown:
		s.r.config.Observe.Unknown(b.Type)
		s.rows.unknown[b.Type] = true
	case demand.Raised, demand.Accepted, demand.AnsweredOnTheSpot:
		s.touched = append(s.touched, folded.Stream.ID())
	}
	switch folded.Stream.Category() {
	case stream.Unit, stream.Grids:
		s.tree = s.tree.With(folded.Body)
	}
	return folded, nil
}

// show lets one view have the event. While the session is careful its rows are written at once, so that the file can refuse them.
func (s *session) show(ctx context.Context, v View, e Entry) (err error) {
	s.tx.wrong = nil
	func() {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
				s.r.config.Logger.Error("a view panicked", "view", v.Name(), "panic", p, "stack", string(debug.Stack()))
			}
		}()
		err = v.Apply(s.tx, e)
	}()
	if err == nil {
		err = s.tx.wrong
	}
	if err != nil || s.tx.fault != nil || e.Position > s.careful {
		return err
	}
	if err := s.g.run(ctx, "SAVEPOINT one_view"); err != nil {
		s.tx.fault = err
		return nil
	}
	wrong := s.g.apply(ctx, s.rows)
	switch {
	case wrong == nil:
		s.tx.fault = s.g.run(ctx, "RELEASE one_view")
		s.rows.clear()
	case refused(wrong):
		if s.tx.fault = s.g.run(ctx, "ROLLBACK TO one_view"); s.tx.fault == nil {
			s.tx.fault = s.g.run(ctx, "RELEASE one_view")
		}
	default:
		s.tx.fault, wrong = wrong, nil
	}
	return wrong
}

// park takes a stream away from a view.
func (s *session) park(view int, name stream.Name, at eventlog.Position, why error) {
	v := s.r.views[view].Name()
	s.parked[name] |= 1 << view
	s.counts[v]++
	s.tx.Put("parked", v, string(name), int64(at), why.Error())
	s.r.config.Observe.Failure(v)
	s.r.config.Logger.Error("a view cannot take an event; its stream is parked", "view", v, "stream", name, "position", at, "error", why)
}

// load folds the first events of a stream that the folder has let go.
func (s *session) load(ctx context.Context, n stream.Name, count int64) (state event.State, err error) {
	var seen int64
	for e, err := range s.r.config.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return nil, err
		}
		if seen == count {
			break
		}
		if int64(e.Revision) != seen {
			return nil, fmt.Errorf("revision %d of %s: %w", seen, n, event.ErrHole)
		}
		entry, err := understand(e)
		if err != nil {
			return nil, err
		}
		state = event.Fold(n, state, entry.Body, entry.Meta.Stamp(entry.ID))
		seen++
	}
	if seen < count {
		return nil, fmt.Errorf("revision %d of %s: %w", seen, n, event.ErrHole)
	}
	return state, nil
}
