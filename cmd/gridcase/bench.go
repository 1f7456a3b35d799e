package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// benchCmd prints one table of ratios, each measured in this run against what limits it on this machine.
type benchCmd struct {
	Dir     string        `help:"Where to write (default: a temporary folder on the same disk as the working folder)." type:"path" placeholder:"DIR"`
	Repeats int           `default:"5" help:"Interleaved repeats; the table shows the median, least and most."`
	For     time.Duration `name:"for" default:"1s" help:"How long each append and intake run lasts."`
	Demands int           `default:"1000000" help:"Demands of the query and restart measurements."`
	Year    int           `default:"5000" help:"Demands of the synthetic year behind follow, decode and rebuild."`
	Orders  int           `default:"20000" help:"Open orders of the deadline sweep; 100000 take 8 GB and some minutes."`
	Cases   int           `default:"50000" help:"Demands with an order each of the workload and the assessment; a city's year has 260000, takes 5 GB and ten minutes or more the first time; with --dir it is kept."`
	Only    string        `help:"Only this part: append, remote, log, views, deadlines, workload, relay, intake or assessment."`
}

func (c benchCmd) Run(ctx context.Context, s streams) error {
	dir := c.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp(".", ".bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	t := &table{}
	parts := []struct {
		name string
		run  func() error
	}{
		{"append", func() error { return benchAppend(ctx, dir, c.For, c.Repeats, t) }},
		{"remote", func() error { return benchRemote(ctx, dir, c.For, min(c.Demands, 50_000), c.Repeats, t) }},
		{"log", func() error { return benchLog(ctx, dir, c.Year, c.Repeats, t) }},
		{"views", func() error { return benchViews(ctx, dir, c.Demands, t) }},
		{"deadlines", func() error { return benchDeadlines(ctx, dir, c.Orders, t) }},
		{"workload", func() error { return benchWorkload(ctx, dir, c.Cases, t) }},
		{"assessment", func() error { return benchAssessment(ctx, dir, c.Cases, t) }},
		{"relay", func() error { return benchRelay(ctx, dir, min(c.Year, 2000), c.Repeats, t) }},
		{"intake", func() error { return benchIntake(ctx, dir, c.For, c.Repeats, t) }},
	}
	for _, p := range parts {
		if c.Only != "" && c.Only != p.name {
			continue
		}
		fmt.Fprintf(s.err, "measuring: %s …\n", p.name)
		began := time.Now()
		if err := p.run(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Fprintf(s.err, "measured: %s in %s\n", p.name, time.Since(began).Round(time.Second))
	}
	t.add("peak memory of this program", "", peak(), "", "")
	fmt.Fprintf(s.out, "%s, %d CPUs, median of %d interleaved repeats (least–most)\n\n", runtime.Version(), runtime.NumCPU(), c.Repeats)
	return t.print(s.out)
}

// table gathers what was measured.
type table struct{ rows [][5]string }

func (t *table) add(what, against, measured, ratio, goal string) {
	t.rows = append(t.rows, [5]string{what, against, measured, ratio, goal})
}

// ratio adds the medians of two interleaved series and of their quotients.
func (t *table) ratio(what, against string, ours, limit []float64, unit, goal string) {
	quotients := make([]float64, len(ours))
	for i := range ours {
		quotients[i] = ours[i] / limit[i]
	}
	t.add(what, against, fmt.Sprintf("%s of %s %s", short(median(ours)), short(median(limit)), unit),
		fmt.Sprintf("%.2f (%.2f–%.2f)", median(quotients), slices.Min(quotients), slices.Max(quotients)), goal)
}

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
}

func short(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%.2f M", x/1e6)
	case x >= 1e3:
		return fmt.Sprintf("%.1f k", x/1e3)
	}
	return fmt.Sprintf("%.0f", x)
}

func (t *table) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tAGAINST\tMEASURED\tRATIO\tGOAL")
	for _, r := range t.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r[0], r[1], r[2], r[3], r[4])
	}
	return w.Flush()
}
