package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gridcase/domain/assessment"
	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

// lived makes a folder in which a street lived for some weeks, and returns it with the arguments that assess them.
func lived(t *testing.T) (dir string, days []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "city")
	must(t, "simulate", "--days", "30", "--per-day", "8", "--data", dir)
	first, last, district := "", "", ""
	for _, e := range eventsOf(t, dir) {
		if day := e.At.UTC().Format("2006-01-02"); e.Type == "demand-raised/1" {
			if first == "" {
				first = day
			}
			last = day
		}
		var unit struct{ Code, Kind string }
		if json.Unmarshal(e.Data, &unit) == nil && unit.Kind == "district" {
			district = unit.Code
		}
	}
	return dir, []string{"--jurisdiction", district, "--first", first, "--last", last}
}

func eventsOf(t *testing.T, dir string) (all []eventlog.Event) {
	t.Helper()
	log, err := sqlite.Open(t.Context(), filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for b, err := range log.Follow(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b.Events...)
		if b.Live {
			break
		}
	}
	return all
}

// replayed makes a folder of events alone, in their order: no views, no index, no keys.
func replayed(t *testing.T, events []eventlog.Event) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "replayed")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := sqlite.Open(t.Context(), filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for _, e := range events {
		if _, err := log.Append(t.Context(), e.Stream, e.Revision-1, e.Fact); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// assessed computes by the program, and returns the canonical results and the cohorts.
func assessed(t *testing.T, dir string, days []string) [2]string {
	t.Helper()
	to := t.TempDir()
	results, cohort := filepath.Join(to, "results"), filepath.Join(to, "cohort")
	out := must(t, slices.Concat([]string{"assess", "compute", "--data", dir, "--canonical", results, "--cohort", cohort}, days)...)
	var texts [2]string
	for i, path := range []string{results, cohort} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(b)
		if sum := sha256.Sum256(b); !strings.Contains(out, hex.EncodeToString(sum[:])) {
			t.Errorf("the hash of %s is not what is printed:\n%s", filepath.Base(path), out)
		}
	}
	return texts
}

// Whoever has the log has the figures, bit for bit: on the node that lived it, on one whose views were lost, on one that was given the events
// alone, and where no personal data can be read any more.
func TestFiguresAreTheSameWhereverTheLogIs(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	dir, days := lived(t)
	live := assessed(t, dir, days)
	if strings.Count(live[0], "\n") < 100 || strings.Count(live[1], "\n") < 200 {
		t.Fatalf("%d lines of results and %d of cohorts prove little", strings.Count(live[0], "\n"), strings.Count(live[1], "\n"))
	}
	same := func(what, dir string) {
		t.Helper()
		got := assessed(t, dir, days)
		for i, name := range []string{"results", "cohorts"} {
			if got[i] != live[i] {
				t.Errorf("%s: the %s differ", what, name)
			}
		}
	}
	remove := func(names ...string) {
		for _, n := range names {
			if err := os.RemoveAll(filepath.Join(dir, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove("views")
	same("views built anew", dir)
	events := eventsOf(t, dir)
	same("the events alone, in their order", replayed(t, events))
	remove("views", "keys", "index.db", "index.db-wal", "index.db-shm")
	same("without the keys of personal data", dir)

	// A seeded bug: one event is lost. Which case it was of, and with it the figures, differ.
	at := slices.IndexFunc(events, func(e eventlog.Event) bool { return e.Type == "callback-recorded/1" })
	if at < 0 {
		t.Fatal("nobody was called back")
	}
	lost := events[at]
	short := slices.DeleteFunc(slices.Clone(events), func(e eventlog.Event) bool { return e.Stream == lost.Stream && e.Revision >= lost.Revision })
	if got := assessed(t, replayed(t, short), days); got[0] == live[0] || got[1] == live[1] {
		t.Error("a case without its callback gives the same bytes: the comparison sees nothing")
	}
}

func TestAssessTellsExplainsAndCompares(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	dir, days := lived(t)
	with := func(command string, more ...string) []string {
		return slices.Concat([]string{"assess", command, "--data", dir}, days, more)
	}
	out := must(t, with("compute")...)
	if !regexp.MustCompile(`(?m)^results [0-9a-f]{64}$`).MatchString(out) || !strings.Contains(out, "not sealed") || !strings.Contains(out, "RANK") {
		t.Errorf("computed:\n%s", out)
	}
	for format, begins := range map[string]string{"csv": "\ufeffunit,", "xlsx": "PK", "html": "<!doctype html>"} {
		path := filepath.Join(t.TempDir(), "out")
		must(t, with("compute", "--format", format, "--out", path)...)
		if b, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(b, []byte(begins)) {
			t.Errorf("%s begins %q: %v", format, b[:min(20, len(b))], err)
		}
	}
	explained := must(t, with("explain", "closure", "--events")...)
	found := regexp.MustCompile(`(?m)^\S+ = (\d+) / (\d+) `).FindStringSubmatch(explained)
	if found == nil || !strings.Contains(explained, "order-dispatched/1") {
		t.Fatalf("explained:\n%.800s", explained)
	}
	if in := len(regexp.MustCompile(`(?m)^order-\S+ .* in  `).FindAllString(explained, -1)); in == 0 || strconv.Itoa(in) != found[2] {
		t.Errorf("the denominator is %s, and %d cases are in", found[2], in)
	}

	s := assessment.Default()
	s.Share = assessment.Whole(40)
	s.Choices[assessment.EmptyItem] = "full"
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "scheme.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := must(t, with("compare", "--with-scheme", path)...); !strings.Contains(out, "UNIT") || strings.Count(out, "\n") < 2 {
		t.Errorf("compared:\n%s", out)
	}
	if out := must(t, with("compute", "--scheme", path)...); strings.Contains(out, mustHash(t, assessment.Default())) || !strings.Contains(out, mustHash(t, s)) {
		t.Errorf("under another scheme:\n%s", out)
	}

	cohort := filepath.Join(t.TempDir(), "cohort")
	must(t, with("compute", "--cohort", cohort)...)
	for what, args := range map[string][]string{
		"there is no figure":      with("explain", "luck"),
		"there is no such unit":   {"assess", "compute", "--data", dir, "--jurisdiction", "999", "--first", "2026-01-01", "--last", "2026-01-31"},
		"say either --period":     {"assess", "compute", "--data", dir},
		"such as 2026-11-01":      {"assess", "compute", "--data", dir, "--jurisdiction", "150105", "--first", "soon"},
		"has positions":           with("compute", "--as-of", "999999999"),
		"the log begins later":    with("compute", "--as-of", "1999-01-01"),
		"is no id":                {"assess", "compute", "--data", dir, "--period", "x"},
		"there is none":           {"assess", "compute", "--data", dir, "--period", "00000000-0000-7000-8000-000000000000"},
		"say it with --period":    {"assess", "verify", "--data", dir, cohort},
		"the log knows no period": {"assess", "verify", "--data", dir, "--period", "00000000-0000-7000-8000-000000000000", cohort},
		"either --with or":        with("compare"),
		"sealed by two persons":   {"assess", "seal", "--server", "http://127.0.0.1:1", "--key-file", cohort, "--period", "x"},
	} {
		out, errs, status := call(t, args...)
		if status != 1 || !strings.Contains(errs, what) {
			t.Errorf("%v: status %d, %q %q; want %q", args, status, out, errs, what)
		}
	}
}

func mustHash(t *testing.T, s assessment.Scheme) string {
	t.Helper()
	h, err := assessment.Hash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
