package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"gridcase/domain/stream"
)

// parkedCmd looks at what flow, clock and views could not do. No period is sealed over it.
type parkedCmd struct {
	List    parkedListCmd    `cmd:"" help:"List consequences and alarms that were refused, and streams that a view can not take."`
	Release parkedReleaseCmd `cmd:"" help:"Forget a refused consequence or alarm that somebody has looked at; it is not tried again."`
}

type parkedListCmd struct {
	home
	Data string `required:"" help:"Data folder; no other process may have it open." type:"existingdir" placeholder:"DIR"`
}

func (c parkedListCmd) Run(ctx context.Context, s streams) (err error) {
	h, _, err := c.upToDate(ctx, c.Data, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	refused, err := h.engine.Parked(ctx)
	if err != nil {
		return err
	}
	views, err := h.views.Parked(ctx)
	if err != nil {
		return err
	}
	if len(refused)+len(views) == 0 {
		_, err := fmt.Fprintln(s.out, "nothing is parked")
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tPOSITION\tSTREAM\tWHY")
	for _, p := range refused {
		fmt.Fprintf(w, "rule %s\t%s\t%s\t%s\n", p.Rule, p.Position, p.Stream, p.Reason)
	}
	for _, p := range views {
		fmt.Fprintf(w, "view %s\t%s\t%s\t%s\n", p.View, p.Position, p.Stream, p.Error)
	}
	return w.Flush()
}

type parkedReleaseCmd struct {
	home
	Data   string `required:"" help:"Data folder; no other process may have it open." type:"existingdir" placeholder:"DIR"`
	Rule   string `arg:"" help:"Rule or alarm, as list has it."`
	Stream string `arg:"" help:"Stream, as list has it."`
}

func (c parkedReleaseCmd) Run(ctx context.Context, s streams) (err error) {
	h, _, err := c.upToDate(ctx, c.Data, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	released, err := h.engine.Release(ctx, c.Rule, stream.Name(c.Stream))
	if err != nil {
		return err
	}
	if !released {
		return fmt.Errorf("nothing of rule %s is parked for %s; list says what is", c.Rule, c.Stream)
	}
	_, err = fmt.Fprintf(s.out, "rule %s for %s is released\n", c.Rule, c.Stream)
	return err
}
