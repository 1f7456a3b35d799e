// Command gridcase runs the case-management engine of a city's streets, communities and grids: 居民点题 →
// 群众议题 → 网格办题. It is the only place that names a driver and puts the parts together.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // city time must not depend on the machine

	"github.com/alecthomas/kong"
	_ "modernc.org/sqlite" // the driver of every SQLite file
)

// program is the command line: one struct for flags, environment, configuration file and help.
type program struct {
	Config configFile `help:"Configuration file (YAML)." type:"existingfile" placeholder:"FILE"`

	Serve    serveCmd       `cmd:"" help:"Serve the API on a data folder."`
	Demo     demoCmd        `cmd:"" help:"Serve the synthetic demo city; seeds it if the folder is new."`
	Simulate simulateCmd    `cmd:"" help:"Let a synthetic city live by itself on a simulated clock, and say what came of it."`
	Import   importCmd      `cmd:"" help:"Take over demands from a CSV file of an older system."`
	Export   exportCmd      `cmd:"" help:"Write every event of the log as one JSON line, personal data still sealed."`
	Copy     copyCmd        `cmd:"" help:"Copy a log from one store to another, and check that both hold the same."`
	Rebuild  rebuildCmd     `cmd:"" help:"Build all views anew from the log and compare them with the present ones."`
	Views    viewsCmd       `cmd:"" help:"Look at the views."`
	Keys     keysCmd        `cmd:"" help:"Make, list and revoke API keys; serve the keys of personal data."`
	Units    unitsCmd       `cmd:"" help:"Load, list and check units and grids."`
	Policies policiesCmd    `cmd:"" help:"List, show and publish the policies of deadlines and escalation."`
	Calendar calendarCmd    `cmd:"" help:"List and publish notices of days off and make-up workdays."`
	Assess   assessCmd      `cmd:"" help:"Compute, explain, compare, verify and seal the assessment."`
	Parked   parkedCmd      `cmd:"" help:"List what was refused and waits for a person, and release it."`
	Relays   relaysCmd      `cmd:"" help:"List what leaves for other systems, hold it, send it again."`
	Health   healthcheckCmd `cmd:"" name:"healthcheck" help:"Ask a node on this machine whether it is ready, or alive."`
	Bench    benchCmd       `cmd:"" help:"Measure ratios against the limits of this machine."`
	Version  versionCmd     `cmd:"" help:"Print the version of the program and of SQLite."`
}

// streams are where the program reads and writes; tests give their own.
type streams struct {
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal stops hard, which is safe
	private()
	os.Exit(run(ctx, os.Args[1:], streams{out: os.Stdout, err: os.Stderr}))
}

// run parses the command line and runs one command. It returns the exit status: 0, 1 if the command failed (copy
// has one more), 80 for a mistake in command line, environment or configuration.
func run(ctx context.Context, args []string, io streams) (status int) {
	var p program
	exited := -1
	parser, err := kong.New(&p,
		kong.Name("gridcase"),
		kong.Description("Event-sourced case management for grassroots governance (点议办)."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("GRIDCASE"),
		kong.Writers(io.out, io.err),
		kong.Exit(func(code int) { exited = code }),
		kong.Bind(io, &border{}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		fmt.Fprintln(io.err, "gridcase:", err)
		return 80
	}
	k, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		var parse *kong.ParseError
		if errors.As(err, &parse) {
			fmt.Fprintf(io.err, "gridcase: %s\nRun \"gridcase --help\" for the commands.\n", err)
		} else {
			fmt.Fprintln(io.err, "gridcase:", err)
		}
		return 80
	}
	if err := k.Run(); err != nil {
		fmt.Fprintln(io.err, "gridcase:", err)
		var coded interface{ ExitStatus() int }
		if errors.As(err, &coded) {
			return coded.ExitStatus()
		}
		return 1
	}
	return 0
}

// version is the program's own: the module's, or the commit's, or "devel".
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	return "devel"
}
