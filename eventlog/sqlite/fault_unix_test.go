//go:build unix

package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

// The faults of this file hit a process of its own: this test binary, started again with the name of a role.
const roleVariable, pathVariable = "GRIDCASE_TEST_ROLE", "GRIDCASE_TEST_LOG"

func TestMain(m *testing.M) {
	path := os.Getenv(pathVariable)
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case "write until killed":
		writeUntil(path, 8, false, nil)
	case "boast until killed":
		writeUntil(path, 8, true, nil)
	case "write until it fails":
		writeUntil(path, 1, false, nil)
	case "write until a file is too large":
		// The kernel refuses to let any file grow beyond this: a write error that is no full disk.
		signal.Ignore(syscall.SIGXFSZ)
		limit := syscall.Rlimit{Cur: 256 << 10, Max: 256 << 10}
		writeUntil(path, 1, false, func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit) })
	default:
		fmt.Fprintln(os.Stderr, "unknown role", role)
		os.Exit(2)
	}
}

// writeUntil appends with several writers and prints a line for each event that is acknowledged, until the process is killed
// or an append fails. Then it tries again five times and prints what it was told, and what the log says of its health.
// A boaster prints the line before it appends.
func writeUntil(path string, writers int, boast bool, prepare func() error) {
	die := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	l, err := sqlite.Open(context.Background(), path)
	die(err)
	if prepare != nil {
		die(prepare())
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			stream, head := "case-"+uuid.NewString(), eventlog.None
			for {
				fs := []eventlog.Fact{fact(`{"n":1}`), fact(strings.Repeat("x", 300))}
				line := fmt.Sprintf("acknowledged %s %s %d\nacknowledged %s %s %d\n", stream, fs[0].ID, head+1, stream, fs[1].ID, head+2)
				if boast {
					os.Stdout.WriteString(line)
				}
				c, err := l.Append(context.Background(), stream, head, fs...)
				if err != nil {
					break
				}
				if !boast {
					os.Stdout.WriteString(line)
				}
				if head = c.Revision; head > 20 {
					stream, head = "case-"+uuid.NewString(), eventlog.None
				}
			}
		})
	}
	wg.Wait()
	for range 5 {
		_, err := l.Append(context.Background(), "late-"+uuid.NewString(), eventlog.None, fact("{}"))
		fmt.Printf("then unavailable=%v\n", errors.Is(err, eventlog.ErrUnavailable))
	}
	fmt.Printf("health unavailable=%v\n", errors.Is(l.Health(), eventlog.ErrUnavailable))
	_, err = follow(l, 0)
	fmt.Printf("reading ok=%v\n", err == nil)
}

// role is the command that runs this binary in a role; prefix is what it is run under.
func role(t *testing.T, name, path string, prefix ...string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(prefix, exe, "-test.run=^$")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), roleVariable+"="+name, pathVariable+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// ledger is what a client was told: the place of each acknowledged event, and the other lines.
type ledger struct {
	acknowledged map[string]string // event id → stream and revision
	lines        []string
}

func (l *ledger) read(t *testing.T, r io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 4 && f[0] == "acknowledged" {
			l.acknowledged[f[2]] = f[1] + " " + f[3]
		} else {
			l.lines = append(l.lines, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// compare returns what is wrong: acknowledged events that the log does not hold where it was said, and events that it holds twice.
func (l *ledger) compare(t *testing.T, path string) (wrong []string) {
	t.Helper()
	log := open(t, path)
	defer shut(t, log)
	if !log.Recovered() {
		t.Error("the log does not say that it was left without closing")
	}
	if err := log.Check(t.Context()); err != nil {
		t.Error(err)
	}
	es, err := follow(log, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, e := range es {
		if _, twice := seen[e.ID.String()]; twice {
			wrong = append(wrong, fmt.Sprintf("event %s is in the log twice", e.ID))
		}
		seen[e.ID.String()] = fmt.Sprintf("%s %d", e.Stream, e.Revision)
	}
	for id, place := range l.acknowledged {
		if seen[id] != place {
			wrong = append(wrong, fmt.Sprintf("event %s was acknowledged at %q, the log has it at %q", id, place, seen[id]))
		}
	}
	t.Logf("acknowledged %d, in the log %d, wrong %d", len(l.acknowledged), len(es), len(wrong))
	return wrong
}

// killed runs a role, kills it in the midst of its writing and adds to the ledger what it was told.
func (l *ledger) killed(t *testing.T, name, path string) {
	t.Helper()
	before := len(l.acknowledged)
	cmd := role(t, name, path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(200*time.Millisecond+rand.N(200*time.Millisecond), func() { cmd.Process.Kill() })
	l.read(t, out)
	if err := cmd.Wait(); err == nil {
		t.Fatal("the writer ended before it was killed")
	}
	if len(l.acknowledged) == before {
		t.Error("nothing was acknowledged before the kill: this round proves nothing")
	}
}

func TestKilledWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	client := ledger{acknowledged: map[string]string{}}
	for range 6 { // each time on what the last kill left behind
		client.killed(t, "write until killed", path)
		for _, wrong := range client.compare(t, path) {
			t.Error(wrong)
		}
	}
}

// Teeth: a writer that says "acknowledged" before the commit must be caught by the same comparison.
func TestAnAnswerBeforeTheCommitIsCaught(t *testing.T) {
	for range 5 { // a kill may happen to fall when nothing is under way
		path := filepath.Join(t.TempDir(), "log.db")
		client := ledger{acknowledged: map[string]string{}}
		client.killed(t, "boast until killed", path)
		if len(client.compare(t, path)) > 0 {
			return
		}
	}
	t.Error("answers before the commit were not caught in five kills")
}

// stopped runs a role until its writes fail, and checks that nothing was acknowledged afterwards and nothing lost.
func stopped(t *testing.T, path string, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	client := ledger{acknowledged: map[string]string{}}
	client.read(t, strings.NewReader(string(out)))
	want := strings.Repeat("then unavailable=true\n", 5) + "health unavailable=true\nreading ok=true"
	if got := strings.Join(client.lines, "\n"); got != want {
		t.Errorf("after the failed write:\n%s\nwant:\n%s", got, want)
	}
	if len(client.acknowledged) == 0 {
		t.Error("nothing was acknowledged before the fault: this proves nothing")
	}
	for _, wrong := range client.compare(t, path) {
		t.Error(wrong)
	}
}

func TestAfterAFailedWriteNothingIsAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	stopped(t, path, role(t, "write until a file is too large", path))
}

func TestAfterAFailedSyncNothingIsAcknowledged(t *testing.T) {
	strace := tool(t, "strace")
	// One failure only: every later sync would succeed, which is the trap.
	for _, k := range []int{12, 25, 60} {
		path := filepath.Join(t.TempDir(), "log.db")
		shut(t, open(t, path))
		stopped(t, path, role(t, "write until it fails", path, strace, "-f", "-qq", "-o", os.DevNull,
			"-e", "trace=fsync,fdatasync", "-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", k)))
	}
}

// tool finds a program that a fault needs. Without it the test is skipped, or fails if GRIDCASE_REQUIRE_FAULTS is 1.
func tool(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, err)
	}
	return path
}

func missing(t *testing.T, err error) {
	if os.Getenv("GRIDCASE_REQUIRE_FAULTS") == "1" {
		t.Fatal(err)
	}
	t.Skip(err)
}
