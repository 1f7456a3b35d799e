package main

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
)

// versionCmd prints what this is.
type versionCmd struct{}

func (versionCmd) Run(ctx context.Context, s streams) error {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer db.Close()
	var engine string
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&engine); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "gridcase %s, SQLite %s, %s\n", version(), engine, runtime.Version())
	return err
}
