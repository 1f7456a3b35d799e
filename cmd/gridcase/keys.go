package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"gridcase/api/access"
	"gridcase/domain/orgs"
)

// keysCmd makes and ends API keys, and serves the keys of personal data. The former works on the folder's access.db alone, so it works while the server runs.
type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Make an API key; prints only the key."`
	List   keysListCmd   `cmd:"" help:"List API keys: id, role, unit, expiry."`
	Revoke keysRevokeCmd `cmd:"" help:"Revoke an API key by its id."`
	Serve  keysServeCmd  `cmd:"" help:"Serve the keys of personal data to nodes on other machines."`
}

type keysCreateCmd struct {
	Data string        `required:"" help:"Data folder." type:"path" placeholder:"DIR"`
	Role string        `required:"" help:"Role the key acts in, such as clerk or dispatcher."`
	Unit string        `required:"" help:"Unit the role is held at: its code."`
	For  time.Duration `name:"for" default:"8760h" help:"How long the key is valid."`
}

func (c keysCreateCmd) Run(ctx context.Context, io streams) error {
	role, unit := orgs.Role(c.Role), orgs.UnitCode(c.Unit)
	if !slices.Contains(orgs.Roles(), role) {
		names := make([]string, 0, 24)
		for _, r := range orgs.Roles() {
			names = append(names, string(r))
		}
		return fmt.Errorf("unknown role %q; the roles are %s", c.Role, strings.Join(names, ", "))
	}
	if !unit.Valid() {
		return fmt.Errorf("%q is no unit code", c.Unit)
	}
	if c.For <= 0 {
		return fmt.Errorf("a key must be valid for some time, not %s", c.For)
	}
	return withAccess(ctx, c.Data, func(s *access.Store) error {
		key, _, err := s.Create(ctx, role, unit, time.Now().Add(c.For))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(io.out, key)
		return err
	})
}

func withAccess(ctx context.Context, dir string, f func(*access.Store) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	s, err := access.Open(ctx, filepath.Join(dir, "access.db"))
	if err != nil {
		return err
	}
	defer s.Close()
	return f(s)
}

type keysListCmd struct {
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
}

func (c keysListCmd) Run(ctx context.Context, io streams) error {
	return withAccess(ctx, c.Data, func(s *access.Store) error {
		keys, err := s.List(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tROLE\tUNIT\tUNTIL\tSTATE")
		for _, k := range keys {
			state := "valid"
			switch {
			case k.Revoked:
				state = "revoked"
			case time.Now().After(k.Until):
				state = "expired"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Role, k.Unit, k.Until.Format("2006-01-02"), state)
		}
		return w.Flush()
	})
}

type keysRevokeCmd struct {
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	ID   string `arg:"" help:"Id of the key, as listed."`
}

func (c keysRevokeCmd) Run(ctx context.Context, io streams) error {
	return withAccess(ctx, c.Data, func(s *access.Store) error { return s.Revoke(ctx, c.ID) })
}
