package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/event"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
	"gridcase/projections"
)

// house is one data folder, open: the log, the keys of personal data, the engine on them, and the views.
//
//	DIR/log.db        the log of events, unless --log names a server that has it; all else but the keys can be made anew from it
//	DIR/remote.lock   there if the log is elsewhere; held by the process that has the folder open
//	DIR/keys/         keys of personal data, apart from the log and to be backed up apart from it
//	DIR/keys.elsewhere there if the keys are with a key service
//	DIR/index.db      what the engine knows across streams
//	DIR/views/        generations of the views
//	DIR/access.db     API keys, as hashes
//	DIR/relays.db     what other systems have been told; to be backed up, too
type house struct {
	dir    string
	log    eventlog.Log
	keys   *keys.Store
	keysAt string // folder or service, for persons
	engine *engine.Engine
	views  *projections.Runner
}

// houseOptions say what differs from a plain house.
type houseOptions struct {
	log          string           // connection string; "": the log is in the folder
	keys         keys.Remote      // without a URL: the keys are in the folder
	policy       *calendar.Policy // nil: the default policy
	existing     bool             // the folder must hold a log already: a command that only reads makes none
	origin       string           // "": gridcase.local/<name of the folder>/1
	logger       *slog.Logger
	observe      engine.Observer
	views        projections.Observer // nil, with keepViews false: the views are not opened
	keep         bool                 // open the views
	resubscribed func()               // see esdb.Options
	grouped      func(appends int)    // told each commit of a log in the folder
	now          func() time.Time     // nil: time.Now
}

// openHouse opens a folder, or makes it. Only one process can have it open.
func openHouse(ctx context.Context, dir string, s streams, o houseOptions) (_ *house, err error) {
	h := &house{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	log, err := openLog(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	h.log = log
	if own, inFolder := log.(*sqlite.Log); inFolder && own.Recovered() {
		fmt.Fprintln(s.err, "the last stop was not a clean one; checking the log …")
		if err := own.Check(ctx); err != nil {
			return nil, fmt.Errorf("the log is damaged: %w", err)
		}
	}
	if h.keys, h.keysAt, err = openKeys(ctx, dir, o.keys); err != nil {
		return nil, err
	}
	h.engine, err = engine.Open(ctx, h.engineConfig(h.log, o))
	if err != nil {
		return nil, err
	}
	if !o.keep {
		return h, nil
	}
	var p *progress
	h.views, err = projections.Open(ctx, projections.Config{Dir: filepath.Join(dir, "views"), Log: h.log,
		Opener: opener{h.keys}, Identity: identity{h.keys}, Observe: o.views, Logger: o.logger, Now: o.now,
		Progress: func(done, total eventlog.Position) {
			if p == nil {
				p = newProgress(s.err, "building the views", int64(total))
			}
			p.at(int64(done))
		}})
	if p != nil {
		p.end()
	}
	return h, err
}

func (h *house) engineConfig(log eventlog.Log, o houseOptions) engine.Config {
	if o.policy == nil {
		o.policy = calendar.DefaultPolicy()
	}
	if o.origin == "" {
		o.origin = "gridcase.local/" + originName(h.dir) + "/1"
	}
	return engine.Config{Log: log, Keys: h.keys, Index: filepath.Join(h.dir, "index.db"),
		Rules:  calendar.Rules{Calendar: calendar.China(), Policy: o.policy},
		Origin: o.origin, Program: version(), Now: o.now, Logger: o.logger, Observe: o.observe}
}

// originName makes a folder's name fit for the log's origin.
func originName(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "data"
	}
	var b []byte
	for _, c := range []byte(filepath.Base(abs)) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			b = append(b, c)
		}
	}
	if len(b) == 0 {
		return "data"
	}
	return string(b)
}

// close closes what is open, the views first, the log last. It may be called on a house that is half open.
func (h *house) close() error {
	var errs []error
	if h.views != nil {
		errs = append(errs, h.views.Close())
	}
	if h.engine != nil {
		errs = append(errs, h.engine.Close())
	}
	if h.keys != nil {
		errs = append(errs, h.keys.Close())
	}
	if h.log != nil {
		errs = append(errs, h.log.Close())
	}
	return errors.Join(errs...)
}

// timetable is the views, as the engine asks them where the clock is wanted.
type timetable struct{ views *projections.Runner }

func (t timetable) Live() bool                  { return t.views.Live() }
func (t timetable) Position() eventlog.Position { return t.views.Position() }
func (t timetable) Due(ctx context.Context, until time.Time, after event.Slot, limit int) ([]event.Slot, error) {
	return t.views.Views().Due(ctx, until, after, limit)
}

// fire lets the clock act on what is due until the returned function is called. Only a house that serves does that: one
// that is opened to import, export or rebuild fires nothing.
func (h *house) fire() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		engine.NewDeadlines(h.engine, timetable{h.views}).Run(ctx)
	}()
	return func() { cancel(); <-over }
}

// current waits until engine and views have everything that is in the log.
func (h *house) current(ctx context.Context) (eventlog.Position, error) {
	for {
		end, err := h.log.End(ctx)
		if err == nil {
			err = h.engine.Settled(ctx, end)
		}
		if err != nil {
			return 0, err
		}
		if again, err := h.log.End(ctx); err != nil || again != end {
			continue
		}
		if at, ok := h.views.Wait(ctx, end); !ok {
			return at, fmt.Errorf("the views stand at %d of %d: %w", at, end, errors.Join(h.views.Status().Err, context.Cause(ctx)))
		}
		return end, nil
	}
}

// upToDate opens a folder that exists for looking at it, with everything that is in the log. The caller closes the house.
func (h home) upToDate(ctx context.Context, dir string, s streams) (_ *house, end eventlog.Position, err error) {
	opened, err := openHouse(ctx, dir, s, h.in(houseOptions{keep: true, existing: true}))
	if err != nil {
		return nil, 0, err
	}
	if end, err = opened.current(ctx); err != nil {
		return nil, 0, errors.Join(err, opened.close())
	}
	return opened, end, nil
}

// opener opens sealed fields for the search in memory. What was erased is no text.
type opener struct{ keys *keys.Store }

func (o opener) Open(n stream.Name, id stream.ID, typ, field, cipher string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	text, err := o.keys.Open(ctx, keys.Place{Stream: n, Event: id, Type: typ, Field: field}, cipher)
	switch {
	case errors.Is(err, keys.ErrErased):
		return "", nil
	case errors.Is(err, keys.ErrAway):
		err = fmt.Errorf("%w: %w", projections.ErrKeysAway, err)
	}
	return text, err
}

// identity turns what identifies a resident into a keyed digest that only this installation can make.
type identity struct{ keys *keys.Store }

func (i identity) Blind(kind, value string) string {
	return hex.EncodeToString(i.keys.Derived("blind-"+kind, value)[:16])
}
