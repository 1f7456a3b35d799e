package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/esdb"
	"gridcase/eventlog/esdbtest"
	"gridcase/eventlog/mem"
	"gridcase/eventlog/sqlite"
)

// benchRemote measures what the way to a server costs: following and appending over gRPC to a node of ours in the same process, which
// keeps its log in memory. A real server adds its disks and its network; see docs/decisions/0023.
func benchRemote(ctx context.Context, dir string, d time.Duration, n, repeats int, t *table) (err error) {
	_, communities, _, err := organised(ctx)
	if err != nil {
		return err
	}
	cluster, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	if err := cluster.Load(demands(communities, n)); err != nil {
		return err
	}
	remote, err := esdb.Open(ctx, cluster.ConnectionString(), esdb.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remote.Close()) }()
	own, err := sqlite.Open(ctx, filepath.Join(dir, "remote.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	if _, err := own.Load(ctx, demands(communities, n)); err != nil {
		return err
	}
	var served, local []float64
	for range repeats {
		for _, l := range []struct {
			log   eventlog.Log
			rates *[]float64
		}{{remote, &served}, {own, &local}} {
			rate, err := followed(ctx, l.log)
			if err != nil {
				return err
			}
			*l.rates = append(*l.rates, rate)
		}
	}
	t.ratio(fmt.Sprintf("follow %s demands over gRPC", short(float64(n))), "follow from SQLite", served, local, "events/s", "")
	memory := mem.Open()
	defer memory.Close()
	waits := map[string][]float64{}
	for range repeats {
		for name, log := range map[string]eventlog.Log{"memory": memory, "SQLite": own, "gRPC": remote} {
			wait, err := appended(ctx, log, d/2)
			if err != nil {
				return err
			}
			waits[name] = append(waits[name], float64(wait.Microseconds()))
		}
	}
	t.ratio("append over gRPC, one writer, p50", "durable append to SQLite", waits["gRPC"], waits["SQLite"], "µs", "")
	t.ratio("append over gRPC, one writer, p50", "append in memory", waits["gRPC"], atLeast(waits["memory"], 1), "µs", "")
	return nil
}

// atLeast is the series with everything below least raised to it: a ratio to nothing says nothing.
func atLeast(series []float64, least float64) (raised []float64) {
	for _, v := range series {
		raised = append(raised, max(v, least))
	}
	return raised
}

// followed reads a log from its beginning until it is live and returns events per second.
func followed(ctx context.Context, log eventlog.Log) (float64, error) {
	n, began := 0, time.Now()
	for batch, err := range log.Follow(ctx, 0) {
		if err != nil {
			return 0, err
		}
		if n += len(batch.Events); batch.Live {
			break
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// appended lets one writer append for a while, a dozen events to each stream, and returns the median of what an append took.
func appended(ctx context.Context, log eventlog.Log, d time.Duration) (time.Duration, error) {
	f := about500()
	stream, head := "", eventlog.Revision(11)
	var took []time.Duration
	for began := time.Now(); time.Since(began) < d; {
		if head == 11 {
			stream, head = "gridcase.demand-"+uuid.NewString(), eventlog.None
		}
		f.ID = uuid.New()
		before := time.Now()
		c, err := log.Append(ctx, stream, head, f)
		if err != nil {
			return 0, fmt.Errorf("append for the measurement: %w", err)
		}
		took = append(took, time.Since(before))
		head = c.Revision
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
