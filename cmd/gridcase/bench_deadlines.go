package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"gridcase/api"
	"gridcase/api/access"
	"gridcase/cmd/gridcase/city"
	"gridcase/domain/calendar"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
	"gridcase/projections"
)

// benchNodes is how many nodes share the log of the deadline sweep.
const benchNodes = 4

// alarmsPerOrder is what the clock does on an order that is signed in time and handled late: two warnings and the expiry,
// of seven days.
const alarmsPerOrder, daysPerOrder = 3, 7

// benchDeadlines measures what deadlines cost with so many open orders, in the processor time of all four nodes together: a
// second in which nothing is due, and one alarm, which all four try to fire, follow, and have in their views.
func benchDeadlines(ctx context.Context, dir string, orders int, t *table) (err error) {
	began := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	clock := city.NewClock(began)
	log := mem.Open(mem.WithClock(clock.Now))
	defer func() { err = errors.Join(err, log.Close()) }()
	store, err := keys.Open(ctx, filepath.Join(dir, "deadline-keys"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	due, err := openOrders(ctx, log, began, orders)
	if err != nil {
		return err
	}
	var nodes [benchNodes]*house
	defer func() {
		for _, n := range nodes {
			if n != nil {
				err = errors.Join(err, n.close())
			}
		}
	}()
	var opening sync.WaitGroup
	var failed [benchNodes]error
	for i := range nodes {
		opening.Go(func() {
			nodes[i], failed[i] = benchNode(ctx, filepath.Join(dir, "node-"+strconv.Itoa(i)), log, store, clock)
		})
	}
	opening.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return err
	}
	var sweepers [benchNodes]*engine.Deadlines
	for i, n := range nodes {
		sweepers[i] = engine.NewDeadlines(n.engine, timetable{n.views})
	}
	settle := func() error {
		for {
			end, err := log.End(ctx)
			for _, n := range nodes {
				if err == nil {
					err = n.engine.Settled(ctx, end)
				}
				if err == nil {
					n.views.Wait(ctx, end)
				}
				for err == nil && !n.views.Live() {
					time.Sleep(time.Millisecond)
					err = ctx.Err()
				}
			}
			if again, _ := log.End(ctx); err != nil || again == end {
				return err
			}
		}
	}
	sweep := func() (fired int, err error) {
		var all sync.WaitGroup
		var n [benchNodes]int
		var errs [benchNodes]error
		for i, s := range sweepers {
			all.Go(func() {
				did, err := s.Sweep(ctx, clock.Now())
				n[i], errs[i] = len(did), err
			})
		}
		all.Wait()
		for _, k := range n {
			fired += k
		}
		return fired, errors.Join(append(errs[:], settle())...)
	}
	if err := settle(); err != nil {
		return err
	}
	if _, err := sweep(); err != nil {
		return err
	}
	const idle = 500
	spent := processor()
	for range idle {
		clock.Set(clock.Now().Add(time.Millisecond))
		if _, err := sweep(); err != nil {
			return err
		}
	}
	second := (processor() - spent) / idle
	const alarms = 500
	clock.Set(due[min(alarms, len(due))-1].Add(time.Second))
	spent = processor()
	fired, err := sweep()
	if err != nil {
		return err
	}
	if fired < alarms {
		return fmt.Errorf("%d alarms fired, want %d", fired, alarms)
	}
	one := (processor() - spent) / time.Duration(fired)
	rate := float64(orders) * alarmsPerOrder / (daysPerOrder * 24 * 3600)
	share := second.Seconds() + rate*one.Seconds()
	t.add(fmt.Sprintf("deadline sweep: %d nodes, %s open orders, %.2f alarms/s", benchNodes, short(float64(orders)), rate), "one core",
		fmt.Sprintf("%s idle, %s an alarm, all nodes together", second.Round(time.Microsecond), one.Round(10*time.Microsecond)),
		fmt.Sprintf("%.2f %%", 100*share), "< 5 %")
	return nil
}

// benchNode opens a node's engine and views on a log that others have too. Its folder is its own.
func benchNode(ctx context.Context, dir string, log eventlog.Log, store *keys.Store, clock *city.Clock) (*house, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	h := &house{dir: dir}
	c := h.engineConfig(log, houseOptions{now: clock.Now})
	c.Keys, c.Elapsed = store, clock.Elapsed
	var err error
	if h.engine, err = engine.Open(ctx, c); err != nil {
		return nil, err
	}
	h.views, err = projections.Open(ctx, projections.Config{Dir: filepath.Join(dir, "views"), Log: log, Now: clock.Now})
	return h, err
}

// openOrders writes a log of the whole city with so many open orders, and returns when their handling clocks run out, the
// earliest first: spread over a week. Their other clocks have a month.
func openOrders(ctx context.Context, log eventlog.Log, now time.Time, n int) (due []time.Time, err error) {
	organisation, communities, _, err := organised(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range organisation {
		if _, err := log.Append(ctx, e.Stream, e.Revision-1, e.Fact); err != nil {
			return nil, err
		}
	}
	month := now.AddDate(0, 1, 0)
	for i := range n {
		id := stream.Derive("bench order", strconv.Itoa(i))
		name := stream.Of(stream.Order, id)
		at := now.Add(time.Minute + time.Duration(i)*daysPerOrder*24*time.Hour/time.Duration(n)).Truncate(time.Second)
		clock := func(c calendar.Clock, serial int, at time.Time) calendar.Due {
			return calendar.Due{ID: fmt.Sprintf("%s/1/1/%d", c, serial), Clock: c, Kind: calendar.NaturalDays, Amount: daysPerOrder, StartedAt: now,
				Due: at, OriginalDue: at, Policy: "deadline", PolicyVersion: 1, Calendar: "cn-2026#1"}
		}
		place := communities[i*7919%len(communities)]
		data, err := event.Encode(order.Dispatched{Number: strconv.Itoa(i), Patrol: true, Anonymous: true, Kind: "issue", Matter: "010208", Urgency: "C",
			Lead: place, By: place, Place: place, Task: "检修", Sign: clock(calendar.Sign, 1, month), Contact: clock(calendar.Contact, 2, month),
			Handle: clock(calendar.Handle, 3, at), ReturnBy: month})
		if err != nil {
			return nil, err
		}
		key := "bench/" + strconv.Itoa(i)
		meta := event.EncodeMeta(event.Meta{Actor: "clerk", Role: orgs.Dispatcher, Unit: place, Key: key, Digest: "AAAAAAAAAAAAAAAAAAAAAA", Correlation: id,
			Occurred: now, Recorded: now, Schema: 1, Program: "bench"})
		if _, err := log.Append(ctx, string(name), eventlog.None, eventlog.Fact{ID: uuid.UUID(stream.Event(name, key, 0)), Type: order.Dispatched{}.EventType(),
			Data: data, Meta: meta}); err != nil {
			return nil, err
		}
		due = append(due, at)
	}
	return due, nil
}

// pagesAsked is how often a page of the workload is asked for.
const pagesAsked = 200

// benchWorkload measures the workload page of a district and of the city over a year, from the request to the answer's last byte, on the log that
// [benchAssessment] has too. The engine stands on the organisation alone: from a year that was written by hand it would draw consequences.
func benchWorkload(ctx context.Context, dir string, n int, t *table) (err error) {
	year, err := yearLog(ctx, dir, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, year.Close()) }()
	views, err := projections.Open(ctx, projections.Config{Dir: filepath.Join(dir, fmt.Sprintf("assessed-%d", n)), Log: year})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, views.Close()) }()
	views.Search().Wait(ctx) // it reads all texts after a start, beside whatever is asked
	organisation, _, _, err := organised(ctx)
	if err != nil {
		return err
	}
	log := mem.Open()
	defer func() { err = errors.Join(err, log.Close()) }()
	for _, e := range organisation {
		if _, err := log.Append(ctx, e.Stream, e.Revision-1, e.Fact); err != nil {
			return err
		}
	}
	h := &house{dir: filepath.Join(dir, "workload")} // what an earlier run left there knows more than this log has
	if err := errors.Join(os.RemoveAll(h.dir), os.MkdirAll(h.dir, 0o700)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if h.keys, err = keys.Open(ctx, filepath.Join(h.dir, "keys")); err != nil {
		return err
	}
	if h.engine, err = engine.Open(ctx, h.engineConfig(log, houseOptions{})); err != nil {
		return err
	}
	doors, err := access.Open(ctx, filepath.Join(h.dir, "access.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, doors.Close()) }()
	registry := prometheus.NewRegistry()
	server, err := api.New(api.Config{Engine: h.engine, Views: views, Access: doors, Log: log, Keys: h.keys, Registry: registry, Metrics: api.NewMetrics(registry),
		Logger: slog.New(slog.DiscardHandler), Version: version(), Limits: api.Limits{Rate: 1e9, Burst: 1e9}})
	if err != nil {
		return err
	}
	key, _, err := doors.Create(ctx, orgs.Supervisor, "150100", time.Now().Add(time.Hour))
	if err != nil {
		return err
	}
	for _, x := range []struct{ what, of string }{{"a district by street", "unit=150105"}, {"a district by grid", "unit=150105&by=grid"}, {"the city by district", "unit=150100"}} {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/views/workload?from=2025-01-01&to=2025-12-31&as_of=2025-12-31T18:00:00%2B08:00&"+x.of, nil)
		r.Header.Set("Authorization", "Bearer "+key)
		var spent []time.Duration
		var answer *httptest.ResponseRecorder
		before := processor()
		for range pagesAsked {
			began := time.Now()
			answer = httptest.NewRecorder()
			server.ServeHTTP(answer, r.Clone(ctx))
			if spent = append(spent, time.Since(began)); answer.Code != http.StatusOK {
				return fmt.Errorf("workload of %s: %d %s", x.what, answer.Code, answer.Body)
			}
		}
		used := (processor() - before) / pagesAsked
		slices.Sort(spent)
		t.add(fmt.Sprintf("workload page of %s, a year of %s demands and orders", x.what, short(float64(n))), "",
			fmt.Sprintf("p50 %s, p99 %s, %s kB", spent[pagesAsked/2].Round(10*time.Microsecond), spent[pagesAsked*99/100].Round(10*time.Microsecond), short(float64(answer.Body.Len())/1000)),
			fmt.Sprintf("%s of the processor", used.Round(10*time.Microsecond)), "district < 50 ms")
	}
	return nil
}
