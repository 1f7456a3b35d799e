package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"gridcase/api/access"
	"gridcase/cmd/gridcase/city"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
	"gridcase/eventlog/sqlite"
)

// demoCmd serves the demo city. Everything in it is synthetic, and says so.
type demoCmd struct {
	Data    string `help:"Data folder (default: a temporary one, removed at the end)." type:"path" placeholder:"DIR"`
	Listen  string `default:"127.0.0.1:8080" help:"Address to listen on." placeholder:"ADDR"`
	Demands int    `default:"2000" help:"Demands of the synthetic year."`
	Seed    uint64 `default:"1501" help:"Seed: the same seed makes the same city."`
	Fire    bool   `default:"true" negatable:"" help:"Let the clock act on what is due."`
	Size    string `default:"city" enum:"street,district,city" help:"How much of the city: street, district or city."`
}

// policyName names the demo's deadline policy: the default but for the three days between announcing a meeting and
// holding it, so that a visitor can take a topic through in one sitting.
const policyName = "demo"

func demoPolicy() *calendar.Policy {
	p := calendar.DefaultPolicy()
	p.Name = policyName
	for i, r := range p.Rows {
		if r.Clock == calendar.MeetingWait {
			p.Rows[i].Amount = calendar.Amount{N: 0, Kind: calendar.NaturalMinutes}
		}
	}
	return p
}

func (c demoCmd) Run(ctx context.Context, s streams) (err error) {
	if c.Demands < 0 || c.Demands > 1_000_000 {
		return fmt.Errorf("--demands %d: want 0 to 1,000,000", c.Demands)
	}
	if err := free(c.Listen); err != nil { // the city takes its time
		return err
	}
	if c.Data == "" {
		if c.Data, err = os.MkdirTemp("", "gridcase-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.Data)) }()
	}
	if _, err := os.Stat(filepath.Join(c.Data, "log.db")); errors.Is(err, os.ErrNotExist) {
		// What is open ages to the present, so that the node that serves has nothing to make up for.
		w := seeding{size: city.Size(c.Size), demands: c.Demands, seed: c.Seed, policy: demoPolicy(), until: time.Now()}
		if err := seedFolder(ctx, c.Data, s, w); err != nil {
			return fmt.Errorf("seed the demo city: %w", err)
		}
	}
	return serve(ctx, s, serving{data: c.Data, listen: c.Listen, level: slog.LevelWarn, synthetic: true, fire: c.Fire,
		options: houseOptions{policy: demoPolicy()},
		ready: func(url string, h *house, keys *access.Store) error {
			path, err := demoLogins(ctx, c.Data, h.engine.Units(), keys)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.out, "GridCase 点议办 — demo city, all people and cases synthetic (合成数据)\n  API      %s/api/v1\n  log-ins  %s\n  stop     Ctrl-C\n", url, path)
			return err
		}})
}

// seeding says which city to make.
type seeding struct {
	size    city.Size
	demands int
	seed    uint64
	span    *city.Span   // nil: the script of a year; else the city lives by itself, and seed and demands say nothing
	dir     string       // folder of keys and index; "": a temporary one
	log     eventlog.Log // nil: one in memory, with the city's own clock
	until   time.Time    // how far the clock runs on after the year, while nobody works; zero: not
	say     func(demands int)
	tell    func(*seeded) error // what came of it, before it is closed; nil: nobody asks
	policy  *calendar.Policy    // that the log publishes first, asking for no more than the script keeps to; nil: the script's own
}

func (w seeding) drawSeed() uint64 {
	if w.span != nil {
		return w.span.Seed
	}
	return w.seed
}

// seeded is a city in memory: a log, and the engine that wrote it.
type seeded struct {
	log    eventlog.Log
	keys   *keys.Store
	engine *engine.Engine
	life   city.Chronicle // of a span
	remove string
}

// seedInMemory plays the script of a year through the real engine, or lets the city live, on a log in memory and a clock of its own.
func seedInMemory(ctx context.Context, w seeding) (_ *seeded, err error) {
	m := &seeded{}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if w.dir == "" {
		if w.dir, err = os.MkdirTemp("", "gridcase-seed-"); err != nil {
			return nil, err
		}
		m.remove = w.dir
	}
	c := city.New(w.size)
	rules := c.Rules()
	if w.policy != nil {
		rules.Policy = w.policy
	}
	clock := city.NewClock(c.Eve())
	if m.log = w.log; m.log == nil {
		m.log = mem.Open(mem.WithClock(clock.Now))
	}
	if m.keys, err = keys.Open(ctx, filepath.Join(w.dir, "keys")); err != nil {
		return nil, err
	}
	m.engine, err = engine.Open(ctx, engine.Config{Log: m.log, Keys: m.keys, Index: filepath.Join(w.dir, "index.db"), Rules: rules,
		Now: clock.Now, Elapsed: clock.Elapsed, Diary: new(engine.Diary), Draw: city.Draw(w.drawSeed()), Origin: "gridcase.hohhot/demo/1", Program: version()})
	if err != nil {
		return nil, err
	}
	if w.span != nil {
		m.life, err = c.Live(ctx, m.engine, clock, *w.span, func(day int, _ time.Time) { w.say(day) })
		return m, err
	}
	tally, err := c.Seed(ctx, m.engine, clock, c.Script(w.seed, w.demands), w.say)
	if err == nil && len(tally.Refused) > 0 {
		err = fmt.Errorf("%d acts of the script were refused, the first: %w", len(tally.Refused), tally.Refused[0].Reason)
	}
	if err == nil && !w.until.IsZero() {
		_, err = c.Age(ctx, m.engine, clock, w.until)
	}
	return m, err
}

func (m *seeded) close() error {
	var errs []error
	if m.engine != nil {
		errs = append(errs, m.engine.Close())
	}
	if m.keys != nil {
		errs = append(errs, m.keys.Close())
	}
	if m.log != nil {
		errs = append(errs, m.log.Close())
	}
	if m.remove != "" {
		errs = append(errs, os.RemoveAll(m.remove))
	}
	return errors.Join(errs...)
}

// events yields the whole log.
func (m *seeded) events(ctx context.Context) iter.Seq2[eventlog.Event, error] {
	return func(yield func(eventlog.Event, error) bool) {
		for batch, err := range m.log.Follow(ctx, 0) {
			if err != nil {
				yield(eventlog.Event{}, err)
				return
			}
			for _, e := range batch.Events {
				if !yield(e, nil) {
					return
				}
			}
			if batch.Live {
				return
			}
		}
	}
}

// loaded yields the whole log for a loader; what goes wrong on the way is left in err.
func (m *seeded) loaded(ctx context.Context, err *error) iter.Seq[eventlog.Event] {
	return func(yield func(eventlog.Event) bool) {
		for e, failed := range m.events(ctx) {
			if failed != nil {
				*err = failed
				return
			}
			if !yield(e) {
				return
			}
		}
	}
}

// seedFolder makes a data folder of the demo city. The log gets its name last: if we die before, the next start begins anew.
func seedFolder(ctx context.Context, dir string, s streams, w seeding) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, left := range []string{"keys", "index.db", "index.db-wal", "index.db-shm", "seeding.db", "seeding.db-wal", "seeding.db-shm", "seeding.db.lock", "views"} {
		if err := os.RemoveAll(filepath.Join(dir, left)); err != nil {
			return err
		}
	}
	what, total := "seeding", w.demands
	if w.span == nil {
		fmt.Fprintf(s.err, "seeding a synthetic year of %d demands …\n", w.demands)
	} else {
		what, total = "days lived", w.span.Days
	}
	began := time.Now()
	w.dir = dir
	p := newProgress(s.err, what, int64(total))
	w.say = func(n int) { p.at(int64(n)) }
	m, err := seedInMemory(ctx, w)
	p.end()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	path := filepath.Join(dir, "seeding.db")
	log, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	var reading error
	n, err := log.Load(ctx, m.loaded(ctx, &reading))
	if err := errors.Join(err, reading, log.Close()); err != nil {
		return err
	}
	if err := os.Rename(path, filepath.Join(dir, "log.db")); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "seeded %d events in %s\n", n, time.Since(began).Round(100*time.Millisecond))
	if w.tell != nil {
		return w.tell(m)
	}
	return nil
}

// demoLogins makes one key per role, once, and returns the file that lists them.
func demoLogins(ctx context.Context, dir string, units *orgs.Tree, store *access.Store) (string, error) {
	path := filepath.Join(dir, "demo-logins.json")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	var logins []login
	for _, role := range orgs.Roles() {
		unit, found := demoPost(units, role)
		if !found {
			return "", fmt.Errorf("the demo city has no unit for the role %s", role)
		}
		key, _, err := store.Create(ctx, role, unit.Code, time.Now().AddDate(1, 0, 0))
		if err != nil {
			return "", err
		}
		logins = append(logins, login{Role: string(role), Unit: string(unit.Code), Name: unit.Name, Key: key})
	}
	return path, writeLogins(path, logins)
}

// demoPost returns the unit at which a role is held, so that all roles together can take one community's demands through:
// the first community with grids, its first grid, its street, its district.
func demoPost(units *orgs.Tree, role orgs.Role) (orgs.Unit, bool) {
	var grid orgs.GridInfo
	for u := range units.All() {
		if gs := units.Grids(u.Code); u.Kind == orgs.Community && len(gs) > 0 {
			grid = gs[0]
			break
		}
	}
	code, found := grid.Code.Unit(), true
	switch role {
	case orgs.GridWorker, orgs.GridSecretary, orgs.StairwellHead, orgs.BuildingHead:
	case orgs.Resident, orgs.Clerk, orgs.CommunitySecretary, orgs.Convenor, orgs.Mediator:
		code = grid.Community
	case orgs.Dispatcher, orgs.StreetLeader:
		code, found = units.Ancestor(grid.Community, orgs.Street)
	case orgs.Handler, orgs.UnitHead:
		code, found = units.Ancestor(grid.Community, orgs.District)
		for _, child := range units.Children(code) {
			if u, _ := units.Unit(child); u.Kind == orgs.Department {
				code = child
				break
			}
		}
	case orgs.Verifier, orgs.Supervisor, orgs.Evaluator:
		code, found = units.Oversight(4, grid.Community)
	case orgs.CallbackAgent:
		code, found = units.Hotline(grid.Community)
	case orgs.Arbiter, orgs.AdmissionOfficer:
		code, found = units.Ancestor(grid.Community, orgs.District)
	case orgs.Channel:
		code, found = units.Ancestor(grid.Community, orgs.City)
		if found {
			code, found = units.Hotline(code)
		}
	default: // operator, auditor, privacy officer: for the whole city
		code, found = units.Ancestor(grid.Community, orgs.City)
	}
	u, known := units.Unit(code)
	return u, found && known
}
