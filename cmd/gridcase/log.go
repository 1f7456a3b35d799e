package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gridcase/eventlog"
	"gridcase/eventlog/esdb"
	"gridcase/eventlog/sqlite"
)

// where says where the log is.
type where struct {
	Log string `help:"Where the log is, if not in the data folder: the connection string of an EventStoreDB or KurrentDB cluster. It may hold a password: rather set GRIDCASE_LOG." placeholder:"esdb://HOST:PORT"`
}

// openLog opens the log that belongs to a folder: its own, or the one elsewhere. A folder never changes from one to the
// other, because what it has of views and index is that of its log.
func openLog(ctx context.Context, dir string, o houseOptions) (eventlog.Log, error) {
	own, mark := filepath.Join(dir, "log.db"), filepath.Join(dir, "remote.lock")
	if _, err := os.Stat(filepath.Join(dir, copying)); err == nil {
		return nil, fmt.Errorf("a copy to %s was not finished: give the same gridcase copy again", dir)
	}
	if _, err := os.Stat(own); o.existing && o.log == "" && errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(mark); err != nil {
			return nil, fmt.Errorf("%s holds no log", dir)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if o.log == "" {
		if _, err := os.Stat(mark); err == nil {
			return nil, fmt.Errorf("the log of %s is on a server: say which with --log", dir)
		}
		var opts []sqlite.Option
		if o.now != nil { // one clock for all that is in the folder
			opts = append(opts, sqlite.WithClock(o.now))
		}
		if o.grouped != nil {
			opts = append(opts, sqlite.WithObserver(func(g sqlite.Group) { o.grouped(g.Appends) }))
		}
		return sqlite.Open(ctx, own, opts...)
	}
	if _, err := os.Stat(own); err == nil {
		return nil, fmt.Errorf("%s has a log of its own; a node of the log that --log names needs another folder", dir)
	}
	lock, err := sqlite.Lock(mark)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	log, err := esdb.Open(ctx, o.log, esdb.Options{Logger: o.logger, Resubscribed: o.resubscribed})
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return remote{log, lock}, nil
}

// remote is a log elsewhere, and the lock of the folder that goes with it.
type remote struct {
	*esdb.Log
	lock io.Closer
}

// Close closes the log, then lets the folder go.
func (r remote) Close() error { return errors.Join(r.Log.Close(), r.lock.Close()) }
