package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMain lets the test binary stand in for the program, so that tests can start it, and kill it, as a process.
func TestMain(m *testing.M) {
	if os.Getenv("GRIDCASE_AS_PROGRAM") != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(run(ctx, os.Args[1:], streams{out: os.Stdout, err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// gridcase returns the program as a process that is not started yet.
func gridcase(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "GRIDCASE_AS_PROGRAM=1")
	return c
}

// call runs a command in this process and returns what it printed.
func call(t *testing.T, args ...string) (out, errs string, status int) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, streams{out: &o, err: &e})
	return o.String(), e.String(), status
}

// must runs a command that has to succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, status := call(t, args...)
	if status != 0 {
		t.Fatalf("gridcase %v: status %d\n%s%s", args, status, out, errs)
	}
	return out
}

// shared returns the path of a file of real input that is not part of the repository; the test is skipped, aloud, where it is absent.
func shared(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("GRIDCASE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	path := filepath.Join(dir, "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, real input is not here: %v", err)
	}
	return path
}
