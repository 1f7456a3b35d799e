package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gridcase/eventlog/sqlite"
)

// A command that only reads makes no log where there is none: an export of a folder that was not mounted would be an empty backup.
func TestWhoOnlyReadsMakesNoLog(t *testing.T) {
	for _, args := range [][]string{
		{"export"}, {"rebuild"}, {"views", "digest"}, {"units", "list"}, {"units", "check"}, {"policies", "list"}, {"policies", "show", "deadline"}, {"calendar", "list"},
		{"assess", "compute", "--jurisdiction", "150105", "--first", "2025-01-01", "--last", "2025-03-31"},
	} {
		dir := t.TempDir()
		out, errs, status := call(t, append(args, "--data", dir)...)
		if status != 1 || !strings.Contains(errs, "holds no log") {
			t.Errorf("%v: got %d %s%s, want 1 and that it holds no log", args, status, out, errs)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%v left %v, %v", args, left, err)
		}
	}
}

func TestTheDemoAsksForItsPortBeforeItBuildsACity(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	if out, errs, status := call(t, "demo", "--data", dir, "--listen", l.Addr().String(), "--demands", "10", "--size", "street"); status != 1 || !strings.Contains(errs, "in use") {
		t.Errorf("got %d %s%s", status, out, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, "log.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the city was built: %v", err)
	}
}

// Relays are carried while nobody serves their folder, wherever its log is.
func TestRelaysOfAServedFolderAreNotCarried(t *testing.T) {
	from, to := bulk(t, 20), filepath.Join(t.TempDir(), "to")
	must(t, "copy", "--from", from, "--to", to)
	for _, file := range []string{"log.db.lock", "remote.lock"} {
		served := t.TempDir()
		lock, err := sqlite.Lock(filepath.Join(served, file))
		if err != nil {
			t.Fatal(err)
		}
		if _, errs, status := call(t, "relays", "carry", "--data", served, "--from", from, "--to", to); status != 1 || !strings.Contains(errs, "is served") {
			t.Errorf("%s held: got %d %s", file, status, errs)
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
		if _, errs, _ := call(t, "relays", "carry", "--data", served, "--from", from, "--to", to); strings.Contains(errs, "is served") {
			t.Errorf("%s let go: got %s", file, errs)
		}
	}
	if _, errs, status := call(t, "relays", "carry", "--data", from, "--from", from, "--to", from+"/."); status != 1 || !strings.Contains(errs, "the same log") {
		t.Errorf("a log and itself: got %d %s", status, errs)
	}
}

// An address that nobody can listen on is told before a folder is opened or made.
func TestAServerAsksForItsAddressBeforeItOpensAnything(t *testing.T) {
	for _, command := range []string{"serve", "demo"} {
		dir := filepath.Join(t.TempDir(), "data")
		if out, errs, status := call(t, command, "--data", dir, "--listen", ":99999"); status != 1 || !strings.Contains(errs, "--listen :99999") || !strings.Contains(errs, "invalid port") {
			t.Errorf("%s: got %d %s%s", command, status, out, errs)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s made the folder: %v", command, err)
		}
	}
}

// A key is made for a unit that exists; the first key of a folder comes before the first unit, and says so.
func TestAKeyIsForAUnitThatExists(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	create := func(unit string) (key, errs string, status int) {
		t.Helper()
		return call(t, "keys", "create", "--data", data, "--role", "operator", "--unit", unit)
	}
	if key, errs, status := create("150100"); status != 0 || !strings.HasPrefix(key, "gck_") || strings.Count(key, "\n") != 1 || !strings.Contains(errs, "no unit is known") {
		t.Errorf("the first key: got %d %s%s", status, key, errs)
	}
	town := filepath.Join(t.TempDir(), "town.yaml")
	if err := os.WriteFile(town, []byte(townFile), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "units", "load", "--data", data, town)
	check := func() {
		t.Helper()
		for _, unit := range []string{"150100", "150105003001", "150105003001001"} {
			if key, errs, status := create(unit); status != 0 || !strings.HasPrefix(key, "gck_") || errs != "" {
				t.Errorf("%s: got %d %s%s", unit, status, key, errs)
			}
		}
		before := must(t, "keys", "list", "--data", data)
		for _, unit := range []string{"150199", "150105003009"} {
			if key, errs, status := create(unit); status != 1 || key != "" || !strings.Contains(errs, "no unit "+unit) {
				t.Errorf("%s: got %d %s%s", unit, status, key, errs)
			}
		}
		if after := must(t, "keys", "list", "--data", data); after != before {
			t.Errorf("a key was made all the same:\n%s", after)
		}
	}
	check()
	h, err := openHouse(t.Context(), data, streams{err: t.Output()}, houseOptions{}) // as while it is served
	if err != nil {
		t.Fatal(err)
	}
	check()
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
}
