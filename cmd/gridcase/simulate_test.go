package main

import (
	"bytes"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestASimulatedCityIsKeptAndServed(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	simulate := func(args ...string) string {
		var out, errs bytes.Buffer
		if status := run(t.Context(), append([]string{"simulate"}, args...), streams{out: &out, err: &errs}); status != 0 {
			t.Fatalf("simulate %v: status %d: %s", args, status, errs.String())
		}
		return out.String()
	}
	last := func(text string) string {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		return lines[len(lines)-1]
	}
	dir := filepath.Join(t.TempDir(), "city")
	kept := simulate("--days", "20", "--per-day", "6", "--data", dir)
	if passing := simulate("--days", "20", "--per-day", "6"); last(passing) != last(kept) || !regexp.MustCompile(`^seed 1501: [0-9a-f]{64}$`).MatchString(last(kept)) {
		t.Errorf("one seed lived two lives:\n%s\n%s", last(passing), last(kept))
	}
	if !regexp.MustCompile(`lived 20 days .* \d+ demands, \d+ acts of people, \d+ alarms of the clock, \d+ events`).MatchString(kept) {
		t.Errorf("got %s", kept)
	}
	var digest bytes.Buffer
	if status := run(t.Context(), []string{"views", "digest", "--data", dir}, streams{out: &digest, err: io.Discard}); status != 0 || digest.Len() == 0 {
		t.Errorf("the city that was kept can not be opened: status %d, %s", status, digest.String())
	}
	for _, args := range [][]string{{"--days", "0"}, {"--days", "10001"}, {"--per-day", "0"}, {"--data", dir}} {
		var errs bytes.Buffer
		if status := run(t.Context(), append([]string{"simulate"}, args...), streams{out: io.Discard, err: &errs}); status == 0 || errs.Len() == 0 {
			t.Errorf("simulate %v: status %d, %q; want it refused, with the reason", args, status, errs.String())
		}
	}
}
