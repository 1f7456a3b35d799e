package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/logtest"
	"gridcase/eventlog/mem"
	"gridcase/eventlog/sqlite"
)

func TestContract(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Opened {
		path := filepath.Join(t.TempDir(), "log.db")
		l := open(t, path)
		return logtest.Opened{Log: l, Reopen: func() eventlog.Log {
			shut(t, l)
			l = open(t, path)
			return l
		}}
	})
}

func open(t testing.TB, path string, opts ...sqlite.Option) *sqlite.Log {
	t.Helper()
	l, err := sqlite.Open(context.Background(), path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	return l
}

func shut(t testing.TB, l *sqlite.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// stock opens the file as any SQLite tool would.
func stock(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func must(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func fact(data string) eventlog.Fact {
	return eventlog.Fact{ID: uuid.New(), Type: "thing-done/1", Data: []byte(data), Meta: []byte(`{"actor":"u-1"}`)}
}

// fill appends n events to stream in appends of ten.
func fill(t testing.TB, l eventlog.Log, stream string, n int) {
	t.Helper()
	head := eventlog.None
	for i := 0; i < n; i += 10 {
		fs := make([]eventlog.Fact, min(10, n-i))
		for k := range fs {
			fs[k] = fact(fmt.Sprintf(`{"n":%d}`, i+k))
		}
		c, err := l.Append(t.Context(), stream, head, fs...)
		if err != nil {
			t.Fatal(err)
		}
		head = c.Revision
	}
}

// read returns all events of a stream before the first error, and the error.
func read(l eventlog.Log, stream string) (es []eventlog.Event, err error) {
	for e, err := range l.Read(context.Background(), stream, 0) {
		if err != nil {
			return es, err
		}
		es = append(es, e)
	}
	return es, nil
}

// follow returns all events after a position up to the end or the first error, and the error.
func follow(l eventlog.Log, after eventlog.Position) (es []eventlog.Event, err error) {
	for b, err := range l.Follow(context.Background(), after) {
		if err != nil {
			return es, err
		}
		if es = append(es, b.Events...); b.Live {
			break
		}
	}
	return es, nil
}

func TestPositionsHaveNoGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := open(t, path)
	fill(t, l, "a", 25)
	if _, err := l.Append(t.Context(), "a", 3, fact("refused")); !errors.Is(err, eventlog.ErrConflict) {
		t.Fatal(err)
	}
	shut(t, l)
	l = open(t, path)
	fill(t, l, "b", 25)
	es, err := follow(l, 0)
	if err != nil || len(es) != 50 {
		t.Fatalf("got %d events, %v, want 50", len(es), err)
	}
	for i, e := range es {
		if e.Position != eventlog.Position(i+1) {
			t.Errorf("event %d: got position %d, want %d", i, e.Position, i+1)
		}
	}
}

// A follower that begins far back reads from the file, then from memory; the border must not show.
func TestFollowingPassesFromFileToMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := open(t, path)
	const n = 2*sqlite.TailEvents + 3000
	if _, err := l.Load(t.Context(), city(n)); err != nil {
		t.Fatal(err)
	}
	fill(t, l, "a", 100)
	for _, after := range []eventlog.Position{0, 1, n - sqlite.TailEvents - 1, n - sqlite.TailEvents, n - 1, n, n + 99, n + 100} {
		es, err := follow(l, after)
		if err != nil || len(es) != n+100-int(after) {
			t.Errorf("after %d: got %d events, %v, want %d", after, len(es), err, n+100-int(after))
		}
		for i, e := range es {
			if want := after + eventlog.Position(i) + 1; e.Position != want {
				t.Fatalf("after %d: got position %d, want %d", after, e.Position, want)
			}
		}
	}
	if es, err := follow(l, n+101); err == nil {
		t.Errorf("after a position beyond the end: got %d events, want an error", len(es))
	}
}

// The cache of stream heads is bounded; streams that fell out of it are looked up again.
func TestMoreStreamsThanTheWriterRemembers(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log.db"))
	const n = 2*sqlite.HeadsKept + 1000
	next := fact("next")
	at := time.Now()
	loaded, err := l.Load(t.Context(), func(yield func(eventlog.Event) bool) {
		for i := range n {
			if !yield(eventlog.Event{Fact: fact("{}"), Stream: fmt.Sprint("stream-", i), At: at}) {
				return
			}
		}
	})
	if err != nil || loaded != n {
		t.Fatalf("loaded %d, %v, want %d", loaded, err, n)
	}
	for _, i := range []int{0, 1, sqlite.HeadsKept - 1, sqlite.HeadsKept, n - 1} {
		stream := fmt.Sprint("stream-", i)
		if _, err := l.Append(t.Context(), stream, eventlog.None, next); !errors.Is(err, eventlog.ErrConflict) {
			t.Errorf("%s expecting none: got %v, want a conflict", stream, err)
		}
		if c, err := l.Append(t.Context(), stream, 0, next); err != nil || c.Revision != 1 {
			t.Errorf("%s: got %+v, %v, want revision 1", stream, c, err)
		}
	}
}

func TestEventsAreNeverChangedOrDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := open(t, path)
	fill(t, l, "a", 1)
	db := stock(t, path)
	for _, s := range []string{
		"UPDATE events SET data = '{}'", "DELETE FROM events", "UPDATE events SET position = 7",
		"UPDATE streams SET name = 'b'", "DELETE FROM streams",
	} {
		if _, err := db.Exec(s); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: got %v, want a refusal", s, err)
		}
	}
}

func TestAStockToolCanReadTheJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	at := time.Date(2026, 3, 10, 9, 30, 0, 250e6, time.FixedZone("CST", 8*3600))
	l := open(t, path, sqlite.WithClock(func() time.Time { return at }))
	f := fact(`{"text":"供热"}`)
	f.ID = uuid.MustParse("00000000-0000-5000-8000-00000000000a")
	if _, err := l.Append(t.Context(), "gridcase.demand-1", eventlog.None, f); err != nil {
		t.Fatal(err)
	}
	var row struct{ position, stream, revision, id, typ, at, text, actor string }
	err := stock(t, path).QueryRow("SELECT position, stream, revision, id, type, logged_at, data ->> 'text', meta ->> 'actor' FROM journal").
		Scan(&row.position, &row.stream, &row.revision, &row.id, &row.typ, &row.at, &row.text, &row.actor)
	if err != nil {
		t.Fatal(err)
	}
	want := struct{ position, stream, revision, id, typ, at, text, actor string }{
		"1", "gridcase.demand-1", "0", "00000000-0000-5000-8000-00000000000a", "thing-done/1", "2026-03-10T01:30:00.250Z", "供热", "u-1"}
	if row != want {
		t.Errorf("got  %+v\nwant %+v", row, want)
	}
}

func TestTheFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	fill(t, open(t, path), "a", 1)
	for _, name := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		switch info, err := os.Stat(name); {
		case err != nil:
			t.Error(err)
		case runtime.GOOS != "windows" && info.Mode().Perm() != 0o600:
			t.Errorf("%s: got mode %v, want 0600", filepath.Base(name), info.Mode().Perm())
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := open(t, path)
	_, err := sqlite.Open(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another process has the log open (process %d", os.Getpid())) {
		t.Errorf("second open: got %v, want a refusal that names the process", err)
	}
	shut(t, l)
	open(t, path)
}

func TestFilesThatAreNotOpened(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  string
	}{
		{"a newer format", func(t *testing.T, path string) {
			shut(t, open(t, path))
			must(t, stock(t, path), "PRAGMA user_version = 3")
		}, "a program that knows format 3 is needed"},
		{"another program's database", func(t *testing.T, path string) {
			must(t, stock(t, path), "CREATE TABLE t (a)")
		}, "not a log of events"},
		{"another program's database that numbers its format as we do", func(t *testing.T, path string) {
			must(t, stock(t, path), "PRAGMA user_version = 1", "PRAGMA application_id = 42")
		}, "not a log of events"},
		{"no database at all", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("hello\n", 2000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a database"},
		{"a folder that is not there", func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dir", "log.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, path)
			before, _ := os.ReadFile(path)
			l, err := sqlite.Open(t.Context(), path)
			if err == nil {
				l.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want the path %s in it", err, path)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed before it was refused")
			}
		})
	}
}

func TestPathsWithSpecialCharacters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "100% 日志?mode=memory#1 'x'.db")
	l := open(t, path)
	fill(t, l, "a", 1)
	shut(t, l)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if es, err := read(open(t, path), "a"); err != nil || len(es) != 1 {
		t.Errorf("got %d events, %v, want 1", len(es), err)
	}
}

func TestVersionsAreComparedAsNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"3.51.3", "3.51.3", false}, {"3.51.2", "3.51.3", true}, {"3.54.1", "3.51.3", false}, {"3.9.0", "3.51.3", true},
		{"3.51", "3.51.3", true}, {"4.0.0", "3.51.3", false}, {"3.51.10", "3.51.3", false},
	} {
		if got := sqlite.Older(c.a, c.b); got != c.want {
			t.Errorf("%s before %s: got %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// held makes the clock of a log, which the writer reads inside a transaction, stop until it is let go.
func held(t *testing.T) (clock func() time.Time, reached <-chan struct{}, letGo func()) {
	in, out := make(chan struct{}, 16), make(chan struct{})
	letGo = func() {
		select {
		case <-out:
		default:
			close(out)
		}
	}
	t.Cleanup(letGo)
	return func() time.Time {
		in <- struct{}{}
		<-out
		return time.Now()
	}, in, letGo
}

func TestAnAppendThatWaitsIsWithdrawn(t *testing.T) {
	clock, reached, letGo := held(t)
	l := open(t, filepath.Join(t.TempDir(), "log.db"), sqlite.WithClock(clock))
	first := make(chan error, 1)
	go func() {
		_, err := l.Append(context.Background(), "a", eventlog.None, fact("first"))
		first <- err
	}()
	<-reached
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := l.Append(ctx, "b", eventlog.None, fact("withdrawn"))
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("got %v, want the error of the context alone", err)
	}
	letGo()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	fill(t, l, "c", 1) // the writer has passed the withdrawn append
	if es, err := follow(l, 0); err != nil || len(es) != 2 || es[1].Stream != "c" {
		t.Errorf("got %d events, %v, want those of a and c", len(es), err)
	}
}

func TestAnAppendInTheWritersHandsIsUnknown(t *testing.T) {
	clock, reached, letGo := held(t)
	l := open(t, filepath.Join(t.TempDir(), "log.db"), sqlite.WithClock(clock))
	ctx, cancel := context.WithCancel(t.Context())
	f := fact("taken")
	unknown := make(chan error, 1)
	go func() {
		_, err := l.Append(ctx, "a", eventlog.None, f)
		unknown <- err
	}()
	<-reached
	cancel()
	if err := <-unknown; !errors.Is(err, eventlog.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v and %v", err, eventlog.ErrUnavailable, context.Canceled)
	}
	letGo()
	c, err := l.Append(t.Context(), "a", eventlog.None, f)
	if err != nil || c.Revision != 0 || c.Position != 1 || !c.Repeated {
		t.Errorf("the repeat: got %+v, %v, want revision 0 at position 1, repeated", c, err)
	}
}

func TestCloseWritesWhatWaits(t *testing.T) {
	clock, reached, letGo := held(t)
	path := filepath.Join(t.TempDir(), "log.db")
	l := open(t, path, sqlite.WithClock(clock))
	const n = 8
	answers := make(chan error, n)
	for i := range n {
		go func() {
			_, err := l.Append(context.Background(), fmt.Sprint("stream-", i), eventlog.None, fact("waits"))
			answers <- err
		}()
	}
	<-reached
	go letGo()
	shut(t, l)
	acknowledged := 0
	for range n {
		switch err := <-answers; {
		case err == nil:
			acknowledged++
		case !errors.Is(err, eventlog.ErrClosed):
			t.Errorf("got %v, want success or %v", err, eventlog.ErrClosed)
		}
	}
	l = open(t, path)
	if es, err := follow(l, 0); err != nil || len(es) != acknowledged || acknowledged == 0 {
		t.Errorf("got %d events, %v; %d were acknowledged", len(es), err, acknowledged)
	}
	if l.Recovered() {
		t.Error("a closed log says that it was left without closing")
	}
}

func TestTheObserverSeesEveryGroup(t *testing.T) {
	var appends, events, conflicts, repeats int
	l := open(t, filepath.Join(t.TempDir(), "log.db"), sqlite.WithObserver(func(g sqlite.Group) {
		appends, events, conflicts, repeats = appends+g.Appends, events+g.Events, conflicts+g.Conflicts, repeats+g.Repeats
	}))
	f, g := fact("1"), fact("2")
	l.Append(t.Context(), "a", eventlog.None, f, g)
	l.Append(t.Context(), "a", eventlog.None, f)
	l.Append(t.Context(), "a", eventlog.None, g)
	shut(t, l)
	if got, want := [4]int{appends, events, conflicts, repeats}, [4]int{3, 2, 1, 1}; got != want {
		t.Errorf("appends, events, conflicts, repeats: got %v, want %v", got, want)
	}
}

func TestALogIsLoadedAsItWas(t *testing.T) {
	from := mem.Open()
	for i := range 30 {
		fill(t, from, fmt.Sprint("stream-", i%7, "-", i/7), 10+i)
	}
	want, err := follow(from, 0)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "log.db")
	l := open(t, path)
	n, err := l.Load(t.Context(), func(yield func(eventlog.Event) bool) {
		for _, e := range want {
			if !yield(e) {
				return
			}
		}
	})
	if err != nil || n != len(want) {
		t.Fatalf("got %d, %v, want %d", n, err, len(want))
	}
	for _, when := range []string{"at once", "after a restart"} {
		got, err := follow(l, 0)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: got %d events, %v, want %d", when, len(got), err, len(want))
		}
		for i := range got {
			if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) {
				t.Errorf("%s: event %d: got %v, want %v", when, i, got[i], want[i])
			}
		}
		shut(t, l)
		l = open(t, path)
	}
	if n, err := l.Load(t.Context(), city(1)); err == nil {
		t.Errorf("loading into a log with events: got %d, want an error", n)
	}
	if c, err := l.Append(t.Context(), "stream-0-0", 9, fact("goes on")); err != nil || c.Revision != 10 {
		t.Errorf("append after loading: got %+v, %v, want revision 10", c, err)
	}
}

func TestLoadStopsAtAnEventThatDoesNotContinueItsStream(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log.db"))
	n, err := l.Load(t.Context(), func(yield func(eventlog.Event) bool) {
		yield(eventlog.Event{Fact: fact("0"), Stream: "a", Revision: 0})
		yield(eventlog.Event{Fact: fact("1"), Stream: "new", Revision: 0})
		yield(eventlog.Event{Fact: fact("2"), Stream: "a", Revision: 2})
	})
	if err == nil || n != 0 {
		t.Errorf("got %d, %v, want 0 and an error", n, err)
	}
	if end, err := l.End(t.Context()); end != 0 || err != nil {
		t.Errorf("got end %d, %v, want 0", end, err)
	}
	// The refusal left a name without events behind, which must not matter.
	if c, err := l.Append(t.Context(), "new", eventlog.None, fact("3")); err != nil || c.Revision != 0 || c.Position != 1 {
		t.Errorf("append afterwards: got %+v, %v, want revision 0 at position 1", c, err)
	}
}

func TestLoadStopsWhenSomebodyElseAppends(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log.db"))
	n, err := l.Load(t.Context(), func(yield func(eventlog.Event) bool) {
		fill(t, l, "intruder", 1)
		yield(eventlog.Event{Fact: fact("0"), Stream: "a"})
	})
	if err == nil || n != 0 {
		t.Errorf("got %d, %v, want 0 and an error", n, err)
	}
	if es, err := follow(l, 0); err != nil || len(es) != 1 {
		t.Errorf("got %d events, %v, want the intruder's alone", len(es), err)
	}
}

func TestACheckEndsWithItsContext(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log.db"))
	if _, err := l.Load(t.Context(), city(100_000)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := l.Check(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	if err := l.Check(t.Context()); err != nil {
		t.Errorf("the next check: %v", err)
	}
}
