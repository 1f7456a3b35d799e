package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/cmd/gridcase/city"
	"gridcase/eventlog"
	"gridcase/eventlog/esdbtest"
	"gridcase/eventlog/sqlite"
)

// beside gives a folder its keys and log-ins, which a copy of the log leaves behind.
func beside(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(to, "keys"), os.DirFS(filepath.Join(from, "keys"))); err != nil {
		t.Fatal(err)
	}
}

// roots are the roots that copy prints of its two sides.
func roots(t *testing.T, out string) (source, target string) {
	t.Helper()
	found := regexp.MustCompile(`root (\S+),`).FindAllStringSubmatch(out, -1)
	if len(found) != 2 {
		t.Fatalf("copy printed no two roots:\n%s", out)
	}
	return found[0][1], found[1][1]
}

func TestACopiedLogServesAsTheFirst(t *testing.T) {
	dir, scratch := t.TempDir(), t.TempDir()
	if err := seedFolder(t.Context(), dir, streams{out: io.Discard, err: io.Discard}, seeding{size: city.Street, seed: 1, demands: 60}); err != nil {
		t.Fatal(err)
	}
	want := must(t, "views", "digest", "--data", dir)
	_, views, _ := strings.Cut(want, "\n")
	export := filepath.Join(scratch, "log.ndjson")
	must(t, "export", "--data", dir, "--out", export)
	server := startCluster(t, esdbtest.Options{Nodes: 3}).ConnectionString()
	direct, there, back, fromFile := filepath.Join(scratch, "direct"), filepath.Join(scratch, "node"), filepath.Join(scratch, "back"), filepath.Join(scratch, "from-file")
	first := ""
	for _, c := range [][2]string{{dir, direct}, {dir, server}, {server, back}, {export, fromFile}} {
		out := must(t, "copy", "--from", c[0], "--to", c[1])
		a, b := roots(t, out)
		if first == "" {
			first = a
		}
		if a != first || b != first || !strings.Contains(out, "verified:") {
			t.Errorf("copy from %s to %s: want the root %s twice\n%s", c[0], c[1], first, out)
		}
		must(t, "copy", "--verify", "--from", c[0], "--to", c[1])
	}
	// To the byte where positions are kept, and where they are not, but for them.
	for _, folder := range []string{direct, back, fromFile} {
		beside(t, folder, dir)
		if got := must(t, "views", "digest", "--data", folder); got != want {
			t.Errorf("%s: the views of the copy are\n%swant\n%s", folder, got, want)
		}
	}
	beside(t, there, dir)
	got := must(t, "views", "digest", "--data", there, "--log", server)
	must(t, "rebuild", "--data", there, "--log", server)
	_, got, _ = strings.Cut(got, "\n")
	var differ []string
	for line := range strings.Lines(views) {
		if !strings.Contains(got, line) {
			differ = append(differ, strings.Fields(line)[1])
		}
	}
	// These hold positions, which are the server's own there.
	if holds := []string{"blocks", "casefiles", "evidence", "orgs"}; !slices.Equal(differ, holds) {
		t.Errorf("on a server the views %v differ, want %v", differ, holds)
	}
	s := serveTown(t, back, slog.New(slog.DiscardHandler))
	s.sound()
}

// bulk makes a folder with a log of many small streams, large enough for a copy to be cut off within.
func bulk(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	l, err := sqlite.Open(t.Context(), filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Load(t.Context(), many(n)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func many(n int) iter.Seq[eventlog.Event] {
	return func(yield func(eventlog.Event) bool) {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range n {
			e := eventlog.Event{Fact: eventlog.Fact{ID: uuid.New(), Type: "demand-moved/1", Data: fmt.Appendf(nil, `{"n":%d}`, i), Meta: []byte(`{"actor":"u-1"}`)},
				Stream: fmt.Sprintf("gridcase.demand-%d", i%7+i/70*7), Revision: eventlog.Revision(i / 7 % 10), At: at.Add(time.Duration(i) * time.Second)}
			if !yield(e) {
				return
			}
		}
	}
}

// A copy that is killed at any moment goes on when it is given again, and until it is whole nobody serves the folder.
func TestACopyThatIsKilledAnywhereGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	r := rand.New(rand.NewPCG(9, 9))
	for _, to := range []struct {
		name  string
		n     int
		kills int
		span  time.Duration
		where string
	}{
		{"a folder", 70_000, 10, 2000 * time.Millisecond, filepath.Join(t.TempDir(), "copy")},
		{"a server", 3_500, 6, 1000 * time.Millisecond, startCluster(t, esdbtest.Options{}).ConnectionString()},
	} {
		from := bulk(t, to.n)
		cut, refused := 0, 0
		for range to.kills {
			p := gridcase("copy", "--from", from, "--to", to.where)
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(r.Int64N(int64(to.span))))
			_ = p.Process.Kill() // it may be done already
			if err := p.Wait(); err == nil {
				continue
			}
			cut++
			if _, err := os.Stat(filepath.Join(to.where, copying)); err == nil {
				if _, errs, status := call(t, "views", "digest", "--data", to.where); status != 1 || !strings.Contains(errs, "was not finished") {
					t.Errorf("a folder with half a copy: got %d %s", status, errs)
				}
				refused++
			}
		}
		out := must(t, "copy", "--from", from, "--to", to.where)
		if a, b := roots(t, out); a != b || !strings.Contains(out, fmt.Sprintf("target: %d events", to.n)) {
			t.Errorf("to %s: after %d kills:\n%s", to.name, cut, out)
		}
		if _, err := os.Stat(filepath.Join(to.where, copying)); err == nil {
			t.Errorf("to %s: the mark of an unfinished copy is left behind", to.name)
		}
		if cut == 0 {
			t.Errorf("to %s: no copy was cut off", to.name)
		}
		t.Logf("to %s: %d of %d copies were killed within, %d left a folder that nobody serves", to.name, cut, to.kills, refused)
	}
}

func TestACopySaysWhatIsWrong(t *testing.T) {
	from, other, empty := bulk(t, 100), bulk(t, 100), t.TempDir()
	server := startCluster(t, esdbtest.Options{}).ConnectionString()
	stale := t.TempDir()
	if err := os.Mkdir(filepath.Join(stale, "views"), 0o700); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(t.TempDir(), "half")
	must(t, "copy", "--from", from, "--to", half)
	export := filepath.Join(t.TempDir(), "log.ndjson")
	must(t, "export", "--data", from, "--out", export)
	text, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	bent := filepath.Join(t.TempDir(), "bent.ndjson")
	if err := os.WriteFile(bent, []byte(strings.Replace(string(text), `{"n":50}`, `{"n":51}`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "copy", "--from", other, "--to", server)
	for _, c := range []struct {
		says   string
		status int
		args   []string
	}{
		{"the same log", 1, []string{"--from", from, "--to", from + "/."}},
		{"another log", 2, []string{"--from", from, "--to", other}},
		{"another log", 2, []string{"--from", from, "--to", server}},
		{"holds no log", 1, []string{"--from", empty, "--to", half}},
		{"no log but views of another", 1, []string{"--from", from, "--to", stale}},
		{"copied to a folder or a server", 1, []string{"--from", from, "--to", export}},
		{"not those that the log held", 1, []string{"--from", bent, "--to", filepath.Join(empty, "new")}},
		{"not verified", 2, []string{"--verify", "--from", other, "--to", half}},
		{"unknown setting", 1, []string{"--from", from, "--to", server + "&speed=high"}},
	} {
		if out, errs, status := call(t, append([]string{"copy"}, c.args...)...); status != c.status || !strings.Contains(errs, c.says) {
			t.Errorf("%v: got %d %s%s, want %d and %q", c.args, status, out, errs, c.status, c.says)
		}
	}
	open, err := openLog(context.Background(), from, houseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, errs, status := call(t, "copy", "--from", from, "--to", half); status != 1 || !strings.Contains(errs, "another process has the log open") {
		t.Errorf("a folder that is in use: got %d %s", status, errs)
	}
}
