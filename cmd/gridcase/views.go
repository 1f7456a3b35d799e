package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"gridcase/eventlog"
	"gridcase/projections"
)

// viewsCmd looks at the views.
type viewsCmd struct {
	Digest   viewsDigestCmd   `cmd:"" help:"Print one SHA-256 per view over all its rows, and the log position they reflect."`
	Snapshot viewsSnapshotCmd `cmd:"" help:"Write the views of a folder to one file, to seed another node with; the node may run meanwhile."`
	Seed     viewsSeedCmd     `cmd:"" help:"Begin the views of a node with another node's snapshot, instead of building them from the log."`
}

type viewsSnapshotCmd struct {
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Out  string `required:"" help:"File to write; it must not be there yet." type:"path" placeholder:"FILE"`
}

func (c viewsSnapshotCmd) Run(ctx context.Context, s streams) error {
	at, err := projections.Snapshot(ctx, filepath.Join(c.Data, "views"), c.Out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "the views as of position %s are in %s\n", at, c.Out)
	return err
}

type viewsSeedCmd struct {
	where
	Data string `required:"" help:"Data folder of the node, which must not run; made if it is missing." type:"path" placeholder:"DIR"`
	From string `required:"" help:"Snapshot of a node on the same log." type:"existingfile" placeholder:"FILE"`
}

// Run checks the snapshot against the log before anything of the folder changes.
func (c viewsSeedCmd) Run(ctx context.Context, s streams) (err error) {
	log, err := openLog(ctx, c.Data, houseOptions{log: c.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	at, err := projections.Seed(ctx, projections.Config{Dir: filepath.Join(c.Data, "views"), Log: log}, c.From)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "the views begin at position %s and follow the log from there\n", at)
	return err
}

type viewsDigestCmd struct {
	home
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	JSON bool   `name:"json" help:"Print as JSON."`
}

// Run brings the views up to the end of the log first, so that equal logs print equal digests.
func (c viewsDigestCmd) Run(ctx context.Context, s streams) (err error) {
	h, _, err := c.upToDate(ctx, c.Data, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	digests, at, err := h.views.Views().Digest(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(s.out).Encode(struct {
			Position string            `json:"position"`
			Views    map[string]string `json:"views"`
		}{at.String(), digests})
	}
	fmt.Fprintf(s.out, "position %s\n", at)
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		fmt.Fprintf(s.out, "%s %s\n", digests[name], name)
	}
	return nil
}

// rebuildCmd builds a new generation of all views beside the present one and compares the two before it takes over.
type rebuildCmd struct {
	home
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
}

func (c rebuildCmd) Run(ctx context.Context, s streams) (err error) {
	h, end, err := c.upToDate(ctx, c.Data, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	before, _, err := h.views.Views().Digest(ctx)
	if err != nil {
		return err
	}
	p := newProgress(s.err, "rebuild", int64(end))
	err = h.views.Rebuild(ctx, func(done, _ eventlog.Position) { p.at(int64(done)) })
	p.end()
	if err != nil {
		return err
	}
	after, at, err := h.views.Views().Digest(ctx)
	if err != nil {
		return err
	}
	if !maps.Equal(before, after) {
		for _, name := range slices.Sorted(maps.Keys(after)) {
			if before[name] != after[name] {
				fmt.Fprintf(s.out, "%s differed from the log and was corrected\n", name)
			}
		}
		return errors.New("the views were not what the log says; they are now")
	}
	fmt.Fprintf(s.out, "rebuilt from the log up to position %s: every view is byte for byte what it was\n", at)
	return nil
}
