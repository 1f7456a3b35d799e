package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"gridcase/eventlog"
	"gridcase/eventlog/esdb"
	"gridcase/eventlog/ledger"
	"gridcase/eventlog/sqlite"
	"gridcase/eventlog/transfer"
)

// copyCmd moves a log to another store. It exits with 1 if it could not finish, and giving it again may help; with 2 if the two
// sides do not hold the same events, and giving it again does not.
type copyCmd struct {
	From   string `required:"" help:"Log to copy: a data folder that nobody has open, an esdb:// connection string, or a file that export wrote." placeholder:"DIR|esdb://…|FILE"`
	To     string `required:"" help:"Where to: a data folder, made if it is missing, or an esdb:// connection string. It must be empty or hold the beginning of the same log." placeholder:"DIR|esdb://…"`
	Verify bool   `help:"Copy nothing, only check that both hold the same."`
}

// Help is what --help says beside the flags.
func (copyCmd) Help() string {
	return `Ids, streams, revisions, order and bytes are kept; positions are not. The time at which the log wrote an event is
kept in a folder; a server gives its own (recorded_at and occurred_at are in the bytes, and kept). If it is cut off, give it
again: it goes on where it was. At the end both sides are read from their beginning and compared event by event.

Only the log is copied. Beside it are the keys of personal data (keys/) and the API keys (access.db): copy them, too, apart
from each other, or the copy can not be read. relays.db knows positions, which only a copy from folder
to folder keeps: else gridcase relays carry counts them anew.

Exit status: 0 copied and verified; 1 not finished: repeat it; 2 the two sides differ.
A connection string with a password is better given as GRIDCASE_FROM or GRIDCASE_TO.`
}

// copying is there in a folder while its log is a copy that was not verified yet.
const copying = "copying"

// differs is the error of two logs that do not hold the same.
type differs struct{ error }

func (d differs) Unwrap() error { return d.error }

// ExitStatus tells it from a copy that can be gone on with.
func (differs) ExitStatus() int { return 2 }

func (c copyCmd) Run(ctx context.Context, s streams) error {
	err := c.run(ctx, s)
	if errors.Is(err, transfer.ErrDiffers) || errors.Is(err, ledger.ErrOrder) || errors.Is(err, eventlog.ErrCorrupt) {
		return differs{err}
	}
	return err
}

func (c copyCmd) run(ctx context.Context, s streams) error {
	if same(c.From, c.To) {
		return errors.New("copy: both are the same log")
	}
	from, err := openSide(ctx, c.From, false)
	if err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	defer from.close()
	to, err := openSide(ctx, c.To, !c.Verify)
	if err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	defer func() { to.close() }()
	if to.log == nil {
		return errors.New("the target is a file; a log is copied to a folder or a server")
	}
	// A server gives an event its own time, and a log from a server has that already.
	times := to.folder != ""
	if !c.Verify {
		if err := c.move(ctx, s, from, to, times); err != nil {
			return err
		}
		// What is verified comes from the disk, not from the memory of whoever wrote it.
		if err := to.close(); err != nil {
			return fmt.Errorf("the target: %w", err)
		}
		if to, err = openSide(ctx, c.To, true); err != nil {
			return fmt.Errorf("the target: %w", err)
		}
	}
	return c.verify(ctx, s, from, to, times)
}

func (c copyCmd) move(ctx context.Context, s streams, from, to *side, times bool) error {
	p := newProgress(s.err, "copy", 0)
	there, written, err := transfer.Move(ctx, from.events(ctx), marked{to.target, to}, times, p.at)
	p.end()
	switch {
	case errors.Is(err, transfer.ErrDiffers) && there == 0:
		return fmt.Errorf("the target holds another log; nothing was written: %w", err)
	case errors.Is(err, transfer.ErrDiffers):
		return fmt.Errorf("the target holds something else than the source; nothing was written: %w", err)
	case err != nil:
		return fmt.Errorf("copied %d events, %d were there before; the same command goes on: %w", written, there, err)
	}
	fmt.Fprintf(s.out, "copied %d events; %d were there before\n", written, there)
	return nil
}

// marked is a target whose folder says that its log is not whole, from before the first event is written.
type marked struct {
	transfer.Target
	side *side
}

func (m marked) LoadAfter(ctx context.Context, after eventlog.Position, events iter.Seq[eventlog.Event]) (int, error) {
	if err := m.side.mark(); err != nil {
		return 0, err
	}
	return m.Target.LoadAfter(ctx, after, events)
}

func (c copyCmd) verify(ctx context.Context, s streams, from, to *side, times bool) error {
	end, err := to.log.End(ctx)
	if err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	p := newProgress(s.err, "verify", 0)
	a, b, err := transfer.Verify(ctx, from.events(ctx), transfer.Of(ctx, to.log, end), times, p.at)
	p.end()
	fmt.Fprintf(s.out, "source: %s, ends at %s\ntarget: %s, ends at %s\n", a, a.Last, b, b.Last)
	if err != nil {
		return fmt.Errorf("not verified: %w", err)
	}
	kept := "times, too"
	if !times {
		kept = "the times at which the log wrote them are the server's own"
	}
	if !c.Verify {
		if err := to.unmark(); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.out, "verified: the same events in the same order, byte for byte; %s\n", kept)
	return nil
}

// side is one end of a copy, open.
type side struct {
	log    eventlog.Log // nil: a file
	target transfer.Target
	folder string // where the log lies in a folder
	file   string
	end    eventlog.Position // of a source
}

// events is what a source held when it was opened.
func (s *side) events(ctx context.Context) transfer.Source {
	if s.log == nil {
		return transfer.Export(s.file)
	}
	return transfer.Of(ctx, s.log, s.end)
}

func (s *side) close() error {
	if s.log == nil {
		return nil
	}
	err := s.log.Close()
	s.log = nil
	return err
}

// mark says in a folder that its log is not whole: no program serves it then.
func (s *side) mark() error {
	if s.folder == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(s.folder, copying))
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncFolder(s.folder)
}

func (s *side) unmark() error {
	if s.folder == "" {
		return nil
	}
	if err := os.Remove(filepath.Join(s.folder, copying)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncFolder(s.folder)
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openSide opens what a word on the command line names; a folder may be made if it is to be written to.
func openSide(ctx context.Context, name string, written bool) (*side, error) {
	if isRemote(name) {
		log, err := esdb.Open(ctx, name, esdb.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		return sideOf(ctx, log, "")
	}
	info, err := os.Stat(name)
	if err == nil && info.Mode().IsRegular() {
		return &side{file: name}, nil
	}
	if errors.Is(err, os.ErrNotExist) && written {
		err = os.MkdirAll(name, 0o700)
	}
	if err != nil {
		return nil, err
	}
	own := filepath.Join(name, "log.db")
	if _, err := os.Stat(filepath.Join(name, "remote.lock")); err == nil {
		return nil, fmt.Errorf("the log of %s is on a server: name it by its esdb:// connection string", name)
	}
	_, err = os.Stat(own)
	empty := errors.Is(err, os.ErrNotExist)
	switch {
	case err != nil && !empty:
		return nil, err
	case empty && !written:
		return nil, fmt.Errorf("%s holds no log", name)
	case empty:
		for _, rest := range []string{"index.db", "views"} {
			if _, err := os.Stat(filepath.Join(name, rest)); err == nil {
				return nil, fmt.Errorf("%s has no log but %s of another", name, rest)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(name, copying)); err == nil && !written {
		return nil, fmt.Errorf("a copy to %s was not finished", name)
	}
	log, err := sqlite.Open(ctx, own)
	if err != nil {
		return nil, err
	}
	return sideOf(ctx, log, name)
}

func sideOf(ctx context.Context, log transfer.Target, folder string) (*side, error) {
	end, err := log.End(ctx)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &side{log: log, target: log, folder: folder, end: end}, nil
}

// isRemote reports whether a log is named by a connection string.
func isRemote(name string) bool {
	scheme, _, found := strings.Cut(name, "://")
	return found && (scheme == "esdb" || scheme == "esdb+discover")
}

// same reports whether two words name one log.
func same(a, b string) bool {
	if a == b {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
