package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

// A database that may not grow is how SQLite meets a full disk before COMMIT.
func TestNoPagesLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := open(t, path)
	fill(t, l, "a", 10)
	if err := l.OnWriter("PRAGMA max_page_count = 60"); err != nil {
		t.Fatal(err)
	}
	whenFull(t, l, func() {
		if err := l.OnWriter("PRAGMA max_page_count = 1073741823"); err != nil {
			t.Fatal(err)
		}
	})
}

// A real disk without space: a file system in memory of 3 MB, most of which a ballast takes.
func TestNoSpaceLeft(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		missing(t, fmt.Errorf("mount a small file system: %w", err))
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, filepath.Join(dir, "log.db"))
	fill(t, l, "a", 10)
	whenFull(t, l, func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	})
}

// whenFull appends with several writers until the disk is full, checks what the log does then, frees space and checks that it goes on.
// Stream a must hold ten events.
func whenFull(t *testing.T, l *sqlite.Log, free func()) {
	ten, err := read(l, "a")
	if err != nil || len(ten) != 10 {
		t.Fatalf("got %d events, %v, want 10", len(ten), err)
	}
	var acknowledged atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				_, err := l.Append(context.Background(), "s-"+uuid.NewString(), eventlog.None, fact(strings.Repeat("x", 20_000)))
				if errors.Is(err, eventlog.ErrFull) {
					return
				}
				if err != nil {
					t.Errorf("got %v, want %v", err, eventlog.ErrFull)
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	wg.Wait()
	if acknowledged.Load() == 0 {
		t.Error("nothing was acknowledged before the disk was full: this proves nothing")
	}
	want := 10 + int(acknowledged.Load())
	if err := l.Health(); !errors.Is(err, eventlog.ErrFull) {
		t.Errorf("health of a full log: got %v, want %v", err, eventlog.ErrFull)
	}
	if es, err := follow(l, 0); err != nil || len(es) != want {
		t.Errorf("reading from a full log: got %d events, %v, want %d", len(es), err, want)
	}
	facts := make([]eventlog.Fact, 10)
	for i, e := range ten {
		facts[i] = e.Fact
	}
	if c, err := l.Append(t.Context(), "a", eventlog.None, facts...); err != nil || !c.Repeated || c.Revision != 9 {
		t.Errorf("a repeat: got %+v, %v, want its first answer: it writes nothing", c, err)
	}
	refused := fact(strings.Repeat("y", 300_000))
	if c, err := l.Append(t.Context(), "large", eventlog.None, refused); !errors.Is(err, eventlog.ErrFull) {
		t.Errorf("a large append: got %+v, %v, want %v", c, err, eventlog.ErrFull)
	}
	free()
	if c, err := l.Append(t.Context(), "large", eventlog.None, refused); err != nil || c.Repeated || c.Position != eventlog.Position(want+1) {
		t.Errorf("after space was freed: got %+v, %v, want position %d", c, err, want+1)
	}
	if err := l.Health(); err != nil {
		t.Errorf("health after space was freed: %v", err)
	}
	if err := l.Check(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("acknowledged %d before the disk was full, all of them there", acknowledged.Load())
}
