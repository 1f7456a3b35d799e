package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/orgs"
	"gridcase/engine/relay"
	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

// benchRelay measures how fast a relay hands what happened in a year to a receiver in this process, and to a file, against following the
// same log alone: with permission, envelope, signature, the way there and back, and the cursor on disk.
func benchRelay(ctx context.Context, dir string, year, repeats int, t *table) (err error) {
	seeded, err := seedInMemory(ctx, seeding{size: city.Whole, demands: year, seed: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seeded.close()) }()
	log, err := sqlite.Open(ctx, filepath.Join(dir, "relayed.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if _, err := log.Load(ctx, seeded.loaded(ctx, &err)); err != nil {
		return err
	}
	end, err := log.End(ctx)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // an answer follows in any case
	})}
	go func() { _ = web.Serve(l) }() // always ends with ErrServerClosed
	defer web.Close()
	secret, err := relay.ParseSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
	if err != nil {
		return err
	}
	var follow, hooked, filed []float64
	for i := range repeats {
		n, began := 0, time.Now()
		for batch, err := range log.Follow(ctx, 0) {
			if err != nil {
				return err
			}
			if n += len(batch.Events); batch.Live {
				break
			}
		}
		follow = append(follow, float64(n)/time.Since(began).Seconds())
		hook, err := relay.NewWebhook(relay.WebhookConfig{URL: "http://" + l.Addr().String(), Allow: []string{"127.0.0.1"}, Secrets: []relay.Secret{secret}})
		if err != nil {
			return err
		}
		file, err := relay.OpenFile(filepath.Join(dir, fmt.Sprintf("relayed-%d.jsonl", i)))
		if err != nil {
			return err
		}
		for j, o := range []relay.Out{{Name: "hook", Publisher: hook}, {Name: "file", Publisher: file, AtOnce: 256}} {
			o.FromStart, o.Topic = true, o.Name
			o.Terms = relay.Terms{Types: []string{"demand", "topic", "order"}, Role: orgs.Auditor, Unit: "150100"}
			v, err := relayed(ctx, filepath.Join(dir, fmt.Sprintf("relays-%d-%d.db", i, j)), relay.Config{Log: log, House: seeded.engine, Source: "/gridcase/bench/bench", Out: []relay.Out{o}, Logger: slog.New(slog.DiscardHandler)}, end)
			if err != nil {
				return err
			}
			if j == 0 {
				hooked = append(hooked, v)
			} else {
				filed = append(filed, v)
			}
		}
	}
	t.ratio("relay to a webhook in this process, 16 at once", "follow alone", hooked, follow, "messages/s", "")
	t.ratio("relay to a file, 256 at once", "follow alone", filed, follow, "messages/s", "")
	return nil
}

// relayed runs one relay from the first event to the end, and returns messages per second.
func relayed(ctx context.Context, path string, c relay.Config, end eventlog.Position) (v float64, err error) {
	if c.Book, err = relay.OpenBook(ctx, path); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Book.Close()) }()
	began := time.Now()
	r, err := relay.Start(ctx, c)
	if err != nil {
		return 0, err
	}
	for {
		pages, err := c.Book.Pages(ctx)
		if err != nil {
			return 0, errors.Join(err, r.Close())
		}
		if pages[0].Position == end {
			break
		}
		select {
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), r.Close())
		case <-time.After(5 * time.Millisecond):
		}
	}
	took := time.Since(began)
	return float64(r.Status()[0].Sent) / took.Seconds(), r.Close()
}
