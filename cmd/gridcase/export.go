package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"gridcase/eventlog"
	"gridcase/eventlog/transfer"
)

// exportCmd writes the log as it stands: what a stock tool can read, personal data still sealed.
type exportCmd struct {
	where
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Out  string `help:"File to write (default: standard output)." type:"path" placeholder:"FILE"`
}

func (c exportCmd) Run(ctx context.Context, s streams) (err error) {
	log, err := openLog(ctx, c.Data, houseOptions{log: c.Log, existing: true})
	if err != nil {
		return err
	}
	defer log.Close()
	to := s.out
	if c.Out != "" {
		f, err := os.Create(c.Out)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		defer func() { err = errors.Join(err, f.Sync(), f.Close()) }()
		to = f
	}
	end, err := log.End(ctx)
	if err != nil {
		return err
	}
	p := newProgress(s.err, "export", int64(end))
	n, err := export(ctx, log, end, to, p)
	p.end()
	if err != nil {
		return fmt.Errorf("export stopped after %d events: %w", n, err)
	}
	return nil
}

func export(ctx context.Context, log eventlog.Log, end eventlog.Position, to io.Writer, p *progress) (n int64, err error) {
	w := bufio.NewWriterSize(to, 1<<20)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if end == 0 {
		return 0, nil
	}
	for batch, err := range log.Follow(ctx, 0) {
		if err != nil {
			return n, err
		}
		for _, e := range batch.Events {
			err := enc.Encode(transfer.LineOf(e))
			if err != nil {
				return n, err
			}
			n++
			if e.Position >= end {
				return n, w.Flush()
			}
		}
		if n := len(batch.Events); n > 0 {
			p.at(int64(batch.Events[n-1].Position))
		}
	}
	return n, errors.Join(w.Flush(), context.Cause(ctx))
}
