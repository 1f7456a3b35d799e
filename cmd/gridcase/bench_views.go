package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
	"gridcase/projections"
)

// sized writes a log of the whole city with n demands of one or two events each: raised, and four of five accepted. Its
// ciphertexts are no ciphertexts; nothing opens them.
func sized(ctx context.Context, path string, n int) (streets []orgs.UnitCode, err error) {
	organisation, communities, streets, err := organised(ctx)
	if err != nil {
		return nil, err
	}
	log, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	_, err = log.Load(ctx, func(yield func(eventlog.Event) bool) {
		for _, e := range organisation {
			if !yield(e) {
				return
			}
		}
		for e := range demands(communities, n) {
			if !yield(e) {
				return
			}
		}
	})
	return streets, errors.Join(err, log.Close())
}

// organised returns the events of the city's units and grids, its communities and its streets.
func organised(ctx context.Context) (events []eventlog.Event, communities, streets []orgs.UnitCode, err error) {
	seeded, err := seedInMemory(ctx, seeding{size: city.Whole, demands: 0, seed: 1})
	if err != nil {
		return nil, nil, nil, err
	}
	defer seeded.close()
	for u := range seeded.engine.Units().All() {
		if u.Kind != orgs.Community {
			continue
		}
		communities = append(communities, u.Code)
		if s, found := seeded.engine.Units().Ancestor(u.Code, orgs.Street); found && !slices.Contains(streets, s) {
			streets = append(streets, s)
		}
	}
	for e, err := range seeded.events(ctx) {
		if err != nil {
			return nil, nil, nil, err
		}
		events = append(events, e)
	}
	return events, communities, streets, nil
}

// demands yields the events of n demands, spread over communities and over a year.
func demands(communities []orgs.UnitCode, n int) iter.Seq[eventlog.Event] {
	rules := calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}
	cipher := sealed.Cipher(sealed.Prefix + "a256gcm.AAAAAAAAAAAAAAAA." + fmt.Sprintf("%0120d", 0))
	first := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	return func(yield func(eventlog.Event) bool) {
		for i := range n {
			id := stream.Derive("bench", fmt.Sprint(i))
			name := stream.Of(stream.Demand, id)
			at := first.Add(time.Duration(i) * (365 * 24 * time.Hour) / time.Duration(n)).Truncate(time.Second)
			unit := communities[i*7919%len(communities)]
			accept, err := rules.Start("accept/1/0/1", calendar.Accept, "issue", "", at)
			triage, err2 := rules.Start("triage/1/0/2", calendar.Triage, "issue", "C", at.Add(time.Hour))
			if err != nil || err2 != nil {
				return
			}
			bodies := []event.Body{demand.Raised{Kind: demand.Issue, Channel: "wechat", Title: cipher, Text: cipher,
				Reporter: demand.Reporter{Name: cipher, Phone: cipher}, Unit: unit, Accept: accept}}
			if i%5 != 0 {
				bodies = append(bodies, demand.Accepted{Kind: demand.Issue, Matter: "010208", Urgency: "C", Unit: unit, Summary: "供热温度不足", Triage: triage})
			}
			for revision, b := range bodies {
				data, err := event.Encode(b)
				if err != nil {
					return
				}
				key := fmt.Sprint("bench/", i, "/", revision)
				eid := stream.Event(name, key, 0)
				meta := event.EncodeMeta(event.Meta{Actor: "wechat", Role: orgs.Channel, Unit: "150100-hotline", Key: key, Digest: "AAAAAAAAAAAAAAAAAAAAAA",
					Correlation: id, Occurred: at, Recorded: at, Stage: "raised", Schema: 1, Program: "bench"})
				if !yield(eventlog.Event{Fact: eventlog.Fact{ID: uuid.UUID(eid), Type: b.EventType(), Data: data, Meta: meta},
					Stream: string(name), Revision: eventlog.Revision(revision), At: at}) {
					return
				}
			}
		}
	}
}

// benchViews measures building all views from zero, a page of a street's list, starting again, and beginning with the views of another
// node, on n demands.
func benchViews(ctx context.Context, dir string, n int, t *table) (err error) {
	path := filepath.Join(dir, "sized.db")
	streets, err := sized(ctx, path, n)
	if err != nil {
		return err
	}
	log, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	end, err := log.End(ctx)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	config := projections.Config{Dir: filepath.Join(dir, "views"), Log: log}
	began := time.Now()
	views, err := projections.Open(ctx, config)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	took := time.Since(began)
	t.add(fmt.Sprintf("all views of %s demands from zero, %s events, nearly all of them rows", short(float64(n)), short(float64(end))), "",
		fmt.Sprintf("%s events/s, %s", short(float64(end)/took.Seconds()), took.Round(100*time.Millisecond)), "", "")
	var spent []time.Duration
	for i := range 2000 {
		street := streets[i*31%len(streets)]
		asked := time.Now()
		rows, _, err := views.Views().Demands(ctx, projections.Viewer{Seat: views.Units().Path(street)},
			projections.DemandFilter{Place: projections.Place{Street: street}, Page: projections.Page{Limit: 50}, Phases: []demand.Phase{demand.PhaseAccepted}})
		spent = append(spent, time.Since(asked))
		if err != nil || len(rows) == 0 {
			return errors.Join(fmt.Errorf("page of street %s: %d rows", street, len(rows)), err, views.Close(), log.Close())
		}
	}
	slices.Sort(spent)
	t.add("page of 50, one street and state, by due", "", fmt.Sprintf("p50 %s, p99 %s", spent[len(spent)/2], spent[len(spent)*99/100]), "", "p99 < 5 ms")
	if err := errors.Join(views.Close(), log.Close()); err != nil {
		return err
	}
	began = time.Now()
	log, err = sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	config.Log = log
	views, err = projections.Open(ctx, config)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	if at, ok := views.Wait(ctx, end); !ok {
		return errors.Join(fmt.Errorf("views stand at %d of %d", at, end), views.Close(), log.Close())
	}
	t.add(fmt.Sprintf("start with %s events, views current", short(float64(end))), "", time.Since(began).Round(time.Millisecond).String(), "", "< 2 s")
	seeded, err := seedViews(ctx, dir, config)
	if err == nil {
		t.add("  a node that begins with the views of another that runs", "building them from the log", seeded.Round(10*time.Millisecond).String(), fmt.Sprintf("%.1f times as fast", took.Seconds()/seeded.Seconds()), "")
	}
	return errors.Join(err, views.Close(), log.Close())
}

// seedViews takes a snapshot of views that run, and returns how long it takes with it until another node's are open and current.
func seedViews(ctx context.Context, dir string, c projections.Config) (time.Duration, error) {
	file, began := filepath.Join(dir, "snapshot.db"), time.Now()
	if _, err := projections.Snapshot(ctx, c.Dir, file); err != nil {
		return 0, err
	}
	c.Dir = filepath.Join(dir, "seeded")
	if _, err := projections.Seed(ctx, c, file); err != nil {
		return 0, err
	}
	end, err := c.Log.End(ctx)
	if err != nil {
		return 0, err
	}
	views, err := projections.Open(ctx, c)
	if err != nil {
		return 0, err
	}
	at, ok := views.Wait(ctx, end)
	took := time.Since(began)
	if !ok {
		err = fmt.Errorf("seeded views stand at %d of %d", at, end)
	}
	return took, errors.Join(err, views.Close())
}

// benchLog measures following, decoding and folding a synthetic year against reading the same bytes.
func benchLog(ctx context.Context, dir string, year, repeats int, t *table) error {
	seeded, err := seedInMemory(ctx, seeding{size: city.Whole, demands: year, seed: 1})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "year.db")
	log, err := sqlite.Open(ctx, path)
	if err == nil {
		_, err = log.Load(ctx, seeded.loaded(ctx, &err))
	}
	if err := errors.Join(err, seeded.close()); err != nil {
		return err
	}
	defer log.Close()
	var read, understood []float64
	for range repeats {
		for i, understand := range []bool{false, true} {
			folder := event.NewFolder(100_000, func(n stream.Name, _ int64) (event.State, error) {
				return nil, fmt.Errorf("%s was let go", n)
			})
			n, began := 0, time.Now()
			for batch, err := range log.Follow(ctx, 0) {
				if err != nil {
					return err
				}
				if understand {
					for _, e := range batch.Events {
						if _, err := folder.Next(event.Stored{Stream: stream.Name(e.Stream), Revision: int64(e.Revision),
							ID: stream.ID(e.ID), Type: e.Type, Data: e.Data, Meta: e.Meta}); err != nil {
							return err
						}
					}
				}
				if n += len(batch.Events); batch.Live {
					break
				}
			}
			v := float64(n) / time.Since(began).Seconds()
			if i == 0 {
				read = append(read, v)
			} else {
				understood = append(understood, v)
			}
		}
	}
	t.ratio("follow, decode and fold a year", "follow alone", understood, read, "events/s", "")
	var rebuilt []float64
	end, err := log.End(ctx)
	if err != nil {
		return err
	}
	for i := range repeats {
		began := time.Now()
		views, err := projections.Open(ctx, projections.Config{Dir: filepath.Join(dir, fmt.Sprint("year-", i)), Log: log})
		if err != nil {
			return err
		}
		rebuilt = append(rebuilt, float64(end)/time.Since(began).Seconds())
		if err := views.Close(); err != nil {
			return err
		}
	}
	t.add(fmt.Sprintf("all views of a year from zero, %s events", short(float64(end))), "", short(median(rebuilt))+" events/s", "", "≥ 100 k/s")
	return nil
}
