package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gridcase/api"
	"gridcase/api/access"
)

// serveCmd serves the API on one data folder until it is told to stop.
type serveCmd struct {
	home
	Data     string     `required:"" help:"Data folder; made if it is missing." type:"path" placeholder:"DIR"`
	Listen   string     `default:"127.0.0.1:8080" help:"Address to listen on." placeholder:"ADDR"`
	Origin   string     `help:"Name of the log, gridcase.<city>/<deployment>/<incarnation>; used once, when the log is new."`
	LogLevel slog.Level `default:"info" help:"debug, info, warn or error."`
	Fire     bool       `default:"true" negatable:"" help:"Let the clock act: warn before due instants, record what expired, escalate. Off, this node leaves it to others, or to a later start."`
	Keyless  bool       `name:"without-keys" help:"Serve although the key folder lacks keys that the log names, such as when they are lost for good. What they sealed stays unreadable."`
}

func (c serveCmd) Run(ctx context.Context, s streams, b *border) error {
	return serve(ctx, s, serving{border: b, data: c.Data, listen: c.Listen, level: c.LogLevel, fire: c.Fire, withoutKeys: c.Keyless, options: c.in(houseOptions{origin: c.Origin})})
}

// serving is what serve and demo have in common.
type serving struct {
	data, listen string
	level        slog.Level
	fire         bool // deadlines
	withoutKeys  bool // serve although keys are missing
	options      houseOptions
	synthetic    bool
	border       *border                                              // relays and feeds; nil: none
	ready        func(url string, h *house, keys *access.Store) error // called when the address is taken, before the first request is answered
}

// drain is how long requests under way may take when the program is told to stop.
const drain = 8 * time.Second

func serve(ctx context.Context, s streams, w serving) (err error) {
	if err := free(w.listen); err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(s.err, &slog.HandlerOptions{Level: w.level}))
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics := api.NewMetrics(registry)
	w.options.logger, w.options.keep = logger, true
	w.options.observe, w.options.views, w.options.resubscribed, w.options.grouped = metrics.Engine(), metrics.Views(), metrics.Resubscribed, metrics.Grouped
	w.options.keys.Observe = metrics.Asked
	h, err := openHouse(ctx, w.data, s, w.options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if n, one := h.keys.Lacking(); n > 0 {
		lacking := fmt.Errorf("%d keys that the log names are not in %s, one of them of %s: nodes of one log share one key folder, or one key service", n, h.keysAt, one.Stream)
		if (w.options.log != "" || w.options.keys.URL != "") && !w.withoutKeys { // what this node sealed, the others could not read, nor could it with the right keys
			return fmt.Errorf("%w (--without-keys serves all the same)", lacking)
		}
		logger.Error("personal data can not all be read", "why", lacking)
	}
	keys, err := access.Open(ctx, filepath.Join(w.data, "access.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	server, err := api.New(api.Config{Engine: h.engine, Views: h.views, Access: keys, Log: h.log, Keys: h.keys, Registry: registry,
		Metrics: metrics, Logger: logger, Version: version(), Synthetic: w.synthetic || strings.Contains(h.engine.LogOrigin(), "/demo/"), Now: w.options.now})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", w.listen)
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	if w.ready != nil {
		if err := w.ready(url, h, keys); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	if w.fire {
		defer h.fire()()
	}
	abroad, err := h.open(ctx, w.border, server, registry, logger)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, abroad.close()) }()
	web := api.NewHTTPServer(abroad.handler)
	logger.Info("serving", "url", url, "data", w.data, "version", version())
	return untilStopped(ctx, web, func() error { return web.Serve(listener) }, server.Drain, logger)
}

// untilStopped serves until the context ends, and then answers what is under way.
func untilStopped(ctx context.Context, web *http.Server, serve func() error, stopping func(), logger *slog.Logger) error {
	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping: no new requests, those under way are answered")
	stopping()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := web.Shutdown(ending); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after %s: %w", drain, err), web.Close())
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// free reports why an address can not be listened on: found out before anything is opened or made, not after.
func free(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", address, err)
	}
	return listener.Close()
}

// login is one ready-made key of the demo city.
type login struct {
	Role string `json:"role"`
	Unit string `json:"unit"`
	Name string `json:"unit_name"`
	Key  string `json:"key"`
}

// writeLogins writes the demo's keys, one per line so that a shell can pick one, readable by the owner alone.
func writeLogins(path string, logins []login) error {
	text := []byte("[\n")
	for i, l := range logins {
		line, err := json.Marshal(l)
		if err != nil {
			return err
		}
		text = append(text, line...)
		if i < len(logins)-1 {
			text = append(text, ',')
		}
		text = append(text, '\n')
	}
	if err := os.WriteFile(path, append(text, "]\n"...), 0o600); err != nil {
		return fmt.Errorf("demo log-ins: %w", err)
	}
	return nil
}
