package main

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"gridcase/cmd/gridcase/csvfeed"
	"gridcase/domain/demand"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
)

// importCmd takes demands over. Each becomes a stream named after the older system and its number there, so that
// repeating an import, or repeating it after it was killed, adds what is missing and nothing else.
type importCmd struct {
	home
	Data    string `required:"" help:"Data folder." type:"path" placeholder:"DIR"`
	Mapping string `required:"" help:"Mapping file (YAML): columns, times, places, kinds." type:"existingfile" placeholder:"FILE"`
	Errors  string `help:"Where rows that can not be taken over are listed (default: DIR/import-errors.csv)." type:"path" placeholder:"FILE"`
	CSV     string `arg:"" help:"The file to take over." type:"existingfile"`
}

// importers is how many rows are in flight at once: they share fsyncs.
const importers = 64

func (c importCmd) Run(ctx context.Context, io streams) error {
	m, err := csvfeed.Load(c.Mapping)
	if err != nil {
		return err
	}
	file, err := os.Open(c.CSV)
	if err != nil {
		return fmt.Errorf("open the file: %w", err)
	}
	defer file.Close()
	if err := m.Check(file); err != nil {
		return err
	}
	if _, err := file.Seek(0, 0); err != nil {
		return fmt.Errorf("read the file again: %w", err)
	}
	h, err := openHouse(ctx, c.Data, io, c.in(houseOptions{}))
	if err != nil {
		return err
	}
	defer h.close()
	for _, u := range m.Units {
		if err := h.openUnit(ctx, unitEntry{Code: u.Code, Name: u.Name, Kind: u.Kind, Parent: u.Parent}); err != nil {
			return err
		}
	}
	if _, known := h.engine.Units().Unit(m.Place.Holding); !known {
		return fmt.Errorf("the unit %s that is to hold unplaced demands does not exist: open it, or name it under units in the mapping", m.Place.Holding)
	}
	if c.Errors == "" {
		c.Errors = filepath.Join(c.Data, "import-errors.csv")
	}
	in := &taking{engine: h.engine, mapping: m, actor: rule.Actor{ID: "import/" + m.Source, Role: orgs.Channel, Unit: m.Place.Holding}}
	if err := h.engine.Grant(ctx, in.actor, h.engine.Clock().AddDate(100, 0, 0)); err != nil {
		return err
	}
	p := newProgress(io.err, "import", 0)
	rows := make(chan csvfeed.Row)
	var workers sync.WaitGroup
	for range importers {
		workers.Go(func() {
			for row := range rows {
				in.take(ctx, row)
			}
		})
	}
	var failed error
	for row, err := range m.Read(file, h.engine.Units(), h.engine.Clock()) {
		var bad *csvfeed.RowError
		switch {
		case errors.As(err, &bad):
			in.reject(bad)
			continue
		case err != nil:
			failed = err
		}
		if failed != nil || ctx.Err() != nil || in.stopped() != nil {
			break
		}
		rows <- row
		p.at(in.count())
	}
	close(rows)
	workers.Wait()
	p.at(in.count())
	p.end()
	if err := errors.Join(failed, context.Cause(ctx), in.stopped()); err != nil {
		return fmt.Errorf("stopped after %d new and %d known demands; repeat the command to go on: %w", in.added, in.known, err)
	}
	if err := in.writeRejected(c.Errors); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "imported %d demands, %d were there already, %d rows rejected, %d new events\n", in.added, in.known, len(in.rejected), in.events)
	if len(in.rejected) > 0 {
		fmt.Fprintf(io.out, "rejected rows: %s\n", c.Errors)
	}
	return nil
}

// taking is one import under way.
type taking struct {
	engine  *engine.Engine
	mapping *csvfeed.Mapping
	actor   rule.Actor

	mu       sync.Mutex
	added    int
	known    int
	events   int
	rejected []*csvfeed.RowError
	fatal    error
}

func (t *taking) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(t.added + t.known + len(t.rejected))
}

func (t *taking) stopped() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fatal
}

func (t *taking) reject(e *csvfeed.RowError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rejected = append(t.rejected, e)
}

// take raises one demand and takes over its votes. If we die between the two, the next run does the second.
func (t *taking) take(ctx context.Context, row csvfeed.Row) {
	id := stream.DemandFor("import/"+t.mapping.Source, row.ID)
	key := "import/" + t.mapping.Source + "/" + row.ID
	tracking := sha256.Sum256([]byte(t.engine.TrackingCode(id)))
	raise := demand.Raise{Kind: row.Kind, Channel: "import", External: row.ID, Imported: true, Title: sealed.Clear(row.Title),
		Text: sealed.Clear(row.Text), Address: sealed.Clear(row.Address), Matter: row.Category, Grid: row.Grid, Unit: row.Unit,
		Reporter:  demand.Reporter{Name: sealed.Clear(row.Name), Phone: sealed.Clear(row.Phone), Account: sealed.Clear(row.Account)},
		Anonymous: row.Account == "" && row.Name == "" && row.Phone == "", Tracking: hex.EncodeToString(tracking[:])}
	r := engine.Request{Stream: stream.Of(stream.Demand, id), Commands: []engine.Command{raise}, Key: key, Actor: t.actor,
		Occurred: row.OccurredAt, Expect: -1}
	first, err := t.engine.Handle(ctx, r)
	written := 0
	if err == nil && !first.Replayed {
		written += first.Written
	}
	if err == nil && row.Supporters+row.Opponents > 0 {
		var votes engine.Receipt
		r.Commands = []engine.Command{demand.Support{Supporters: row.Supporters, Opponents: row.Opponents, Tally: true}}
		r.Key, r.Expect = key+"/votes", first.Revision
		votes, err = t.engine.Handle(ctx, r)
		if err == nil && !votes.Replayed {
			written += votes.Written
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events += written
	var refusal *rule.Refusal
	var stale *engine.StaleError
	switch {
	case err == nil && first.Replayed:
		t.known++
	case err == nil:
		t.added++
	case errors.Is(err, engine.ErrKeyReused):
		t.rejected = append(t.rejected, &csvfeed.RowError{Line: row.Line, Reason: "the same number was imported before with another content"})
	case errors.As(err, &stale):
		t.rejected = append(t.rejected, &csvfeed.RowError{Line: row.Line, Reason: "the demand was worked on before its votes were taken over"})
	case errors.As(err, &refusal):
		t.rejected = append(t.rejected, &csvfeed.RowError{Line: row.Line, Reason: refusal.Detail.En})
	case ctx.Err() == nil && t.fatal == nil:
		t.fatal = err
	}
}

// writeRejected lists the rows that were not taken over. It quotes nothing that people wrote.
func (t *taking) writeRejected(path string) error {
	if len(t.rejected) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("list of rejected rows: %w", err)
	}
	w := csv.NewWriter(f)
	w.UseCRLF = true
	_, err = f.WriteString("\ufeff")
	_ = w.Write([]string{"line", "column", "reason"}) // the writer keeps its first error
	for _, e := range t.rejected {
		_ = w.Write([]string{strconv.Itoa(e.Line), e.Column, e.Reason})
	}
	w.Flush()
	if err := errors.Join(err, w.Error(), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("list of rejected rows: %w", err)
	}
	return nil
}
