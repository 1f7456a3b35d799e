// Command check runs what must hold before anything lands, and ends with one table: what ran, how long it
// took, and what could not run and why. Nothing is skipped silently: with CI set, a missing tool is an error.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// step is one thing to check. Run returns what could not be done and why, as "missing", if anything; with CI set that is an
// error, unless the step may be left out there too.
type step struct {
	name     string
	run      func() (missing string, err error)
	optional bool
}

func main() {
	only := flag.String("only", "", "comma-separated names of the steps to run; all by default")
	deploy := flag.Bool("deploy", false, "hold deployments/ against the tools that will read it, and nothing else")
	flag.Parse()
	steps := []step{
		{"format", format, false},
		{"vet", func() (string, error) { return "", command(nil, "go", "vet", "./...") }, false},
		{"staticcheck", func() (string, error) {
			return "", command(nil, "go", "tool", "-modfile=tools.mod", "staticcheck", "-tags=nomsgpack", "./...")
		}, false},
		{"test", tests, false},
		{"race", races, false},
		{"real input", realInput, true},
		{"real server", realServer, true},
	}
	if *deploy {
		steps = deploySteps()
	}
	type result struct {
		step, missing string
		took          time.Duration
		err           error
	}
	var results []result
	failed := false
	for _, s := range steps {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), s.name) {
			continue
		}
		began := time.Now()
		fmt.Printf("== %s\n", s.name)
		missing, err := s.run()
		if missing != "" && !s.optional && os.Getenv("CI") != "" && err == nil {
			err = fmt.Errorf("must not be missing here: %s", missing)
		}
		failed = failed || err != nil
		results = append(results, result{s.name, missing, time.Since(began).Round(100 * time.Millisecond), err})
	}
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STEP\tRESULT\tTOOK\tCOULD NOT RUN")
	for _, r := range results {
		verdict := "ok"
		if r.err != nil {
			verdict = "FAILED: " + r.err.Error()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.step, verdict, r.took, r.missing)
	}
	w.Flush()
	if failed {
		os.Exit(1)
	}
}

// command runs a program with its output shown.
func command(env []string, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr, c.Env = os.Stdout, os.Stderr, append(os.Environ(), env...)
	return c.Run()
}

func format() (string, error) {
	out, err := exec.Command("gofmt", "-l", ".").Output()
	if err != nil {
		return "", err
	}
	if files := strings.TrimSpace(string(out)); files != "" {
		return "", fmt.Errorf("not formatted: %s", strings.ReplaceAll(files, "\n", " "))
	}
	return "", nil
}

// unwatched switches the race detector off inside the translated C of the SQLite engine: watching each of its memory accesses
// made three heavy tests of the views take 569 s instead of 116 s. Whatever calls it stays watched.
//
// No package may be added that uses sync or atomic: the linker keeps one copy of a generic function, and with an unwatched copy
// of what sync.Map is made of the detector reports races that are none.
const unwatched = "-gcflags=modernc.org/sqlite/lib=-race=false"

// tests runs the whole suite as the program is shipped: without the race detector.
func tests() (string, error) { return "", suites(nil, nil, "./...") }

// races runs it once more, watched by the race detector. With -short a test that is slow and knows one goroutine at a time is left
// to the run before: watched, the suite takes eight times as long and shows nothing more there. The laws of the domain are not cut
// short: a fifth of the random cases is too few for them.
func races() (string, error) {
	if _, err := exec.LookPath("gcc"); err != nil {
		return "the race detector: no C compiler (gcc)", nil
	}
	out, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		return "", err
	}
	others := slices.DeleteFunc(strings.Fields(string(out)), func(p string) bool { return strings.HasPrefix(p, "gridcase/domain") })
	watched := []string{"CGO_ENABLED=1"}
	return "", errors.Join(suites(watched, []string{"-race", unwatched, "-short"}, others...),
		goTest(watched, []string{"-race", unwatched}, "./domain/..."))
}

// suites tests packages, and what a tag adds to them.
func suites(env, flags []string, packages ...string) error {
	return errors.Join(goTest(env, flags, packages...), goTest(env, append(flags, "-tags=nomsgpack,kafka", "-run=Kafka"), "./engine/relay"))
}

// goTest tests packages two at a time: the heavy ones would starve each other's timeouts.
func goTest(env, flags []string, packages ...string) error {
	args := []string{"test", "-shuffle=on", "-timeout=40m", fmt.Sprintf("-p=%d", max(runtime.NumCPU(), 2))}
	return command(env, "go", slices.Concat(args, flags, packages)...)
}

// realInput says which tests had nothing to compare with: real residents' messages, official tables and the rule book are no part
// of the repository, and a test that misses them passes without them.
func realInput() (string, error) {
	dir := os.Getenv("GRIDCASE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "shared")
	}
	var absent []string
	for _, name := range []string{"DOMAIN.md", "data/categories.csv", "data/china-calendar.csv", "data/citizen-messages.csv", "data/hohhot-divisions.csv"} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			absent = append(absent, name)
		}
	}
	if absent != nil {
		return "not here, so tests ran without: " + strings.Join(absent, ", ") + "; name their folder in GRIDCASE_SHARED", nil
	}
	return "", nil
}

// realServer says whether the contract of the log and the script of a city were run against an EventStoreDB, and not only against our own node.
func realServer() (string, error) {
	if os.Getenv("GRIDCASE_ESDB") == "" {
		return "tests on a real EventStoreDB or KurrentDB: give its connection string in GRIDCASE_ESDB", nil
	}
	return "", nil
}
