package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// Config is what views work with.
type Config struct {
	Dir      string // folder of the generations, of this runner alone; made if it is missing
	Log      eventlog.Log
	Further  []View // views beside those of [All]
	Opener   Opener // opens sealed fields for the search; nil: only public text is searched
	Identity Identity
	Observe  Observer                            // nil: nobody watches
	Logger   *slog.Logger                        // nil: none
	Progress func(done, total eventlog.Position) // told while Open builds a generation; nil: nobody
	Now      func() time.Time                    // for the lag alone, no row depends on it; nil: time.Now
	Tuning   Tuning
}

// Tuning bounds memory and batches; zero members take the defaults.
type Tuning struct {
	States int // folded streams kept, about 3 KB each; default 50,000
	Batch  int // events in one transaction at most while catching up; default 20,000
	Rows   int // rows touched in one transaction of a build at most, about 1 KB each; default 200,000
}

// Observer is told what the runner does, for metrics. Its methods must not block.
type Observer interface {
	Batch(events int, took time.Duration) // gridcase_views_batch_events, gridcase_views_apply_seconds
	Failure(view string)                  // gridcase_views_failures_total
	Gap()                                 // gridcase_views_gaps_total: a hole in a stream, healed
	Repeat()                              // an event that was seen before, ignored
	Unknown(eventType string)             // gridcase_views_unknown_events_total
}

type unobserved struct{}

func (unobserved) Batch(int, time.Duration) {}
func (unobserved) Failure(string)           {}
func (unobserved) Gap()                     {}
func (unobserved) Repeat()                  {}
func (unobserved) Unknown(string)           {}

// Status is how the runner stands, for health and for metrics that are read and not counted.
type Status struct {
	File     string            // base name of the current generation: label of gridcase_views_position
	Position eventlog.Position // gridcase_views_position
	Live     bool              // gridcase_views_live: the log holds nothing that the views do not
	Lag      time.Duration     // gridcase_views_lag_seconds: age of the last event seen, 0 when live
	Parked   map[string]int    // gridcase_views_quarantined: streams, by view; every view is there
	Progress float64           // gridcase_views_rebuild_progress_ratio: 0 to 1, 1 when nothing is being built
	Err      error             // why the views stand still; nil while they move
}

// Parked is a stream that a view takes no more events of, because of one it could not take.
type Parked struct {
	View     string
	Stream   stream.Name
	Position eventlog.Position
	Error    string
}

// Runner follows the log and keeps the views. It is safe for concurrent use.
type Runner struct {
	config Config
	views  []View
	tables []Table
	search *Search

	units    atomic.Pointer[orgs.Tree]
	setting  atomic.Pointer[keptSetting]
	results  *results
	position atomic.Uint64
	live     atomic.Bool
	progress atomic.Uint64 // bits of a float64

	mu         sync.Mutex
	generation *generation
	changed    chan struct{}
	seen       time.Time // when the log wrote the last event seen
	parked     map[string]int
	err        error
	closed     bool
	next       *generation // built, waiting to take over
	swapped    chan error

	rebuilding sync.Mutex
	retiring   sync.WaitGroup
	restart    chan struct{} // asks the session in progress to end
	background context.Context
	stop       context.CancelFunc
	done       chan struct{}
}

// Open opens the current generation of the views and follows the log until Close. It takes up where the views stopped, reading nothing
// it need not. If there is no generation, or one with other tables, or a damaged one, or one of another log, or one that passes over
// events of types that were unknown then and are known now, it first builds the next up to the present end of the log.
func Open(ctx context.Context, c Config) (*Runner, error) {
	if c.Observe == nil {
		c.Observe = unobserved{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Progress == nil {
		c.Progress = func(_, _ eventlog.Position) {}
	}
	for _, d := range []struct {
		n     *int
		usual int
	}{{&c.Tuning.States, 50_000}, {&c.Tuning.Batch, 20_000}, {&c.Tuning.Rows, 200_000}} {
		if *d.n == 0 {
			*d.n = d.usual
		}
	}
	r := &Runner{config: c, views: slices.Concat(All(), c.Further),
		results: newResults(), changed: make(chan struct{}), restart: make(chan struct{}, 1), done: make(chan struct{}), parked: map[string]int{}}
	r.tables = tablesOf(r.views)
	r.setProgress(1)
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the views: %w", err)
	}
	g, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	at, err := g.cursor(ctx)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	r.generation = g
	r.position.Store(uint64(at.position))
	events, err := g.restoreUnits(ctx)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	r.units.Store(new(orgs.Tree).With(events...))
	r.background, r.stop = context.WithCancel(context.Background())
	r.search = newSearch(r)
	go r.run(r.background)
	go r.search.run(r.background)
	return r, nil
}

// Close stops following the log and closes the file. Queries after it return [ErrClosed].
func (r *Runner) Close() error {
	r.stop()
	<-r.done
	<-r.search.done
	r.retiring.Wait()
	r.rebuilding.Lock() // a rebuild ends before the folder is left
	defer r.rebuilding.Unlock()
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	close(r.changed)
	g := r.generation
	r.mu.Unlock()
	g.drain()
	return g.close()
}

// Views returns the handle that answers queries.
func (r *Runner) Views() *Views { return &Views{r} }

// Search returns the search over demands.
func (r *Runner) Search() *Search { return r.search }

// Units returns the organisation as of the runner's position.
func (r *Runner) Units() *orgs.Tree { return r.units.Load() }

// Position returns how far the views have come: every event up to it is in them.
func (r *Runner) Position() eventlog.Position { return eventlog.Position(r.position.Load()) }

// Live reports whether the log held nothing more when the runner looked last.
func (r *Runner) Live() bool { return r.live.Load() }

// Changed returns a channel that is closed when the views next move, and when the runner is closed. Take it, look, then wait on it, and no
// move is missed.
func (r *Runner) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Wait waits until the views have reached a position, the context ends, or the runner is closed. It returns how far they have come.
func (r *Runner) Wait(ctx context.Context, p eventlog.Position) (reached eventlog.Position, ok bool) {
	for {
		r.mu.Lock()
		changed, closed := r.changed, r.closed
		r.mu.Unlock()
		if now := r.Position(); now >= p || closed {
			return now, now >= p
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r.Position(), r.Position() >= p
		case <-r.done:
			return r.Position(), r.Position() >= p
		}
	}
}

// Status returns how the runner stands.
func (r *Runner) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{File: filepath.Base(r.generation.path), Position: r.Position(), Live: r.Live(), Parked: map[string]int{},
		Progress: math.Float64frombits(r.progress.Load()), Err: r.err}
	for _, v := range r.views {
		s.Parked[v.Name()] = r.parked[v.Name()]
	}
	if !s.Live && !r.seen.IsZero() {
		s.Lag = max(0, r.config.Now().Sub(r.seen))
	}
	return s
}

// Parked lists what is parked, by position. Sealing of figures refuses while anything is.
func (r *Runner) Parked(ctx context.Context) ([]Parked, error) {
	g, err := r.acquire()
	if err != nil {
		return nil, err
	}
	defer g.release()
	return parkedStreams(ctx, g.reading)
}

// Rebuild makes all views anew beside the live file, up to where the live one is, and swaps. Readers go on with the old
// generation until they are done; nobody sees the position go back. Progress is told every few thousand events; it may be nil.
// It costs the machine about two cores while it runs.
func (r *Runner) Rebuild(ctx context.Context, progress func(done, total eventlog.Position)) error {
	r.rebuilding.Lock()
	defer r.rebuilding.Unlock()
	if progress == nil {
		progress = func(_, _ eventlog.Position) {}
	}
	return r.rebuild(ctx, progress)
}

func (r *Runner) rebuild(ctx context.Context, progress func(done, total eventlog.Position)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.background, cancel)()
	r.mu.Lock()
	n := r.generation.number
	r.mu.Unlock()
	g, err := r.build(ctx, n+1, progress)
	if err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	swapped := make(chan error, 1)
	r.mu.Lock()
	r.next, r.swapped = g, swapped
	r.mu.Unlock()
	select {
	case r.restart <- struct{}{}:
	default:
	}
	select {
	case err := <-swapped:
		return err
	case <-r.done:
	}
	r.mu.Lock()
	waiting := r.next != nil
	r.next = nil
	r.mu.Unlock()
	if waiting {
		return errors.Join(ErrClosed, g.discard())
	}
	return <-swapped
}

// repair builds a damaged file anew, unless something is being built already.
func (r *Runner) repair() {
	if !r.rebuilding.TryLock() {
		return
	}
	go func() {
		defer r.rebuilding.Unlock()
		err := r.rebuild(r.background, func(_, _ eventlog.Position) {})
		if err != nil && r.background.Err() == nil {
			r.config.Logger.Error("the damaged views cannot be built anew", "error", err)
		}
	}()
}

// current opens the generation that the pointer names, or builds the next.
func (r *Runner) current(ctx context.Context) (*generation, error) {
	n, err := currentGeneration(r.config.Dir)
	if err != nil {
		return nil, fmt.Errorf("current generation: %w", err)
	}
	highest, err := sweep(r.config.Dir, n)
	if err != nil {
		return nil, fmt.Errorf("remove old generations: %w", err)
	}
	if n > 0 {
		g, ok, err := openGeneration(ctx, r.config.Dir, n, r.tables)
		if err == nil && ok {
			if ok, err = r.ours(ctx, g); err == nil && ok {
				var typ string
				if typ, err = g.passedOver(ctx); err == nil && typ == "" {
					return g, nil
				}
				r.config.Logger.Warn("the views pass over events that this program knows", "type", typ)
			}
			err = errors.Join(err, g.close())
		}
		if err != nil && !errors.Is(err, errDamaged) {
			return nil, err
		}
		r.config.Logger.Warn("the views are built anew", "generation", n, "reason", reasonToBuild(err))
	}
	g, err := r.build(ctx, highest+1, r.config.Progress)
	if err != nil {
		return nil, fmt.Errorf("build the views: %w", err)
	}
	if err := point(r.config.Dir, g.number); err != nil {
		return nil, errors.Join(fmt.Errorf("point to %s: %w", g.path, err), g.discard())
	}
	if _, err := sweep(r.config.Dir, g.number); err != nil {
		return nil, errors.Join(fmt.Errorf("remove old generations: %w", err), g.close())
	}
	return g, nil
}

func reasonToBuild(err error) string {
	if err != nil {
		return err.Error()
	}
	return "other tables, another log, or events that were unknown"
}

// ours reports whether the generation is of this log: the event at its cursor is the same there.
func (r *Runner) ours(ctx context.Context, g *generation) (bool, error) {
	at, err := g.cursor(ctx)
	if err != nil || at.position == 0 {
		return err == nil, err
	}
	end, err := r.config.Log.End(ctx)
	if err != nil || end < at.position {
		return false, err
	}
	for b, err := range r.config.Log.Follow(ctx, at.position-1) {
		if err != nil {
			return false, fmt.Errorf("look at the event at position %d: %w", at.position, err)
		}
		if len(b.Events) > 0 {
			first := b.Events[0]
			return first.Position == at.position && stream.ID(first.ID) == at.event, nil
		}
		if b.Live {
			return false, nil
		}
	}
	return false, ctx.Err()
}

// build makes a generation from zero up to the end of the log as it is when the end is reached.
func (r *Runner) build(ctx context.Context, n int, progress func(done, total eventlog.Position)) (g *generation, err error) {
	r.setProgress(0)
	defer r.setProgress(1)
	end, err := r.config.Log.End(ctx)
	if err != nil {
		return nil, err
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(generationPath(r.config.Dir, n) + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if g, err = beginGeneration(ctx, r.config.Dir, n, r.tables); err != nil {
		return nil, err
	}
	s := &session{r: r, g: g, until: end}
	s.told = func(p eventlog.Position) {
		r.setProgress(float64(p) / float64(max(end, 1)))
		progress(min(p, end), end)
	}
	if end > 0 {
		err = s.follow(ctx)
	}
	if err != nil && !errors.Is(err, errReached) {
		return nil, errors.Join(err, g.discard())
	}
	s.told(end)
	return g.finish(ctx)
}

func (r *Runner) setProgress(f float64) { r.progress.Store(math.Float64bits(f)) }

// run keeps one session after the other going. A session ends with an error of the log or the disk, or to let
// another generation take over; the next one takes up from the committed position.
func (r *Runner) run(ctx context.Context) {
	defer close(r.done)
	wait := 50 * time.Millisecond
	for ctx.Err() == nil {
		if err := r.takeOver(ctx); err != nil {
			r.config.Logger.Error("the new views cannot take over", "error", err)
		}
		before := r.Position()
		err := r.session(ctx)
		r.live.Store(false)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			continue
		}
		r.mu.Lock()
		r.err = err
		r.mu.Unlock()
		r.config.Logger.Error("the views stand still", "error", err, "position", r.Position())
		if errors.Is(err, errDamaged) {
			r.repair()
		}
		if r.Position() > before {
			wait = 50 * time.Millisecond
		}
		select {
		case <-time.After(wait):
		case <-r.restart:
		case <-ctx.Done():
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// session follows the log on the current generation.
func (r *Runner) session(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	asked := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-r.restart:
			close(asked)
			end()
		case <-ctx.Done():
		}
	}()
	r.mu.Lock()
	g := r.generation
	r.mu.Unlock()
	s := &session{r: r, g: g, told: func(eventlog.Position) {}, serving: true}
	err := s.follow(ctx)
	end()
	<-over
	select {
	case <-asked:
		return nil
	default:
		return err
	}
}

// takeOver lets a built generation serve: first it catches up with the one it replaces, so that nobody sees the position go back.
func (r *Runner) takeOver(ctx context.Context) error {
	r.mu.Lock()
	g, swapped, old := r.next, r.swapped, r.generation
	r.next, r.swapped = nil, nil
	r.mu.Unlock()
	if g == nil {
		return nil
	}
	err := r.replace(ctx, old, g)
	if err != nil {
		err = errors.Join(err, g.discard())
	}
	swapped <- err
	return err
}

func (r *Runner) replace(ctx context.Context, old, g *generation) error {
	s := &session{r: r, g: g, until: r.Position(), told: func(eventlog.Position) {}}
	at, err := g.cursor(ctx)
	if err != nil {
		return err
	}
	if at.position < s.until {
		if err := s.follow(ctx); !errors.Is(err, errReached) {
			return fmt.Errorf("catch up: %w", err)
		}
		if at, err = g.cursor(ctx); err != nil {
			return err
		}
	}
	if err := point(r.config.Dir, g.number); err != nil {
		return fmt.Errorf("point to %s: %w", g.path, err)
	}
	r.mu.Lock()
	r.generation = g
	r.mu.Unlock()
	r.publish(at.position, false, time.Time{}, nil)
	r.retiring.Go(func() { // when its last reader has gone
		old.drain()
		if err := old.discard(); err != nil {
			r.config.Logger.Error("the old views cannot be removed; the next start does", "error", err)
		}
	})
	return nil
}

// publish tells everybody how far the views have come.
func (r *Runner) publish(p eventlog.Position, live bool, at time.Time, parked map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := eventlog.Position(r.position.Swap(uint64(p))) != p
	r.live.Store(live)
	if !at.IsZero() {
		r.seen = at
	}
	if parked != nil {
		r.parked = maps.Clone(parked)
	}
	r.err = nil
	if moved {
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

// acquire returns the current generation for one query.
func (r *Runner) acquire() (*generation, error) {
	for {
		r.mu.Lock()
		g, closed := r.generation, r.closed
		r.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		if g.acquire() {
			return g, nil
		}
	}
}
