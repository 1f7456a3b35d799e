package sqlite_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

// The load of the benchmarks: events of about 500 bytes, twelve to a stream, as a case has.
const perStream = 12

var (
	benchData = fmt.Appendf(nil, `{"text":"%0290d"}`, 7)
	benchMeta = fmt.Appendf(nil, `{"salt":"AAECAwQFBgcICQoLDA0ODw==","actor":"u-1","note":"%0100d"}`, 7)
)

// appender returns a function that appends the next event of one writer and waits until it is on disk.
type appender func() error

// cases returns an appender that works through case after case.
func cases(l eventlog.Log) appender {
	var stream string
	head := eventlog.Revision(perStream - 1)
	return func() error {
		if head == perStream-1 {
			stream, head = "gridcase.demand-"+uuid.NewString(), eventlog.None
		}
		var id uuid.UUID // the quality of its randomness is not what is measured
		binary.NativeEndian.PutUint64(id[:], rand.Uint64())
		c, err := l.Append(context.Background(), stream, head, eventlog.Fact{
			ID: id, Type: "demand-raised/1", Data: benchData, Meta: benchMeta,
		})
		head = c.Revision
		return err
	}
}

// loaded opens a log that holds n events.
func loaded(b *testing.B, n int) *sqlite.Log {
	l := open(b, filepath.Join(b.TempDir(), "log.db"))
	if _, err := l.Load(context.Background(), city(n)); err != nil {
		b.Fatal(err)
	}
	return l
}

// city yields n events of n/perStream cases, up to a thousand of them open at a time.
func city(n int) func(yield func(eventlog.Event) bool) {
	return func(yield func(eventlog.Event) bool) {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		streams := make([]string, 1000)
		for i := range n {
			slot, revision := i%len(streams), i/len(streams)%perStream
			if revision == 0 {
				streams[slot] = fmt.Sprintf("gridcase.demand-%032x", uuid.New())
			}
			if !yield(eventlog.Event{
				Fact:   eventlog.Fact{ID: uuid.New(), Type: "demand-raised/1", Data: benchData, Meta: benchMeta},
				Stream: streams[slot], Revision: eventlog.Revision(revision), At: at.Add(time.Duration(i) * time.Second),
			}) {
				return
			}
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	const n = 200_000
	began, total := time.Now(), 0
	for b.Loop() {
		loaded(b, n)
		total += n
	}
	b.ReportMetric(float64(total)/time.Since(began).Seconds(), "events/s")
}

func BenchmarkFollowFromDisk(b *testing.B) {
	const n = 200_000
	l := loaded(b, n)
	began, total := time.Now(), 0
	for b.Loop() {
		for batch, err := range l.Follow(context.Background(), 0) {
			if err != nil {
				b.Fatal(err)
			}
			if total += len(batch.Events); batch.Live {
				break
			}
		}
	}
	b.ReportMetric(float64(total)/time.Since(began).Seconds(), "events/s")
}

func BenchmarkReadCase(b *testing.B) {
	l := loaded(b, 200_000)
	var names []string
	for batch, err := range l.Follow(context.Background(), 0) {
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range batch.Events {
			if e.Revision == 0 {
				names = append(names, e.Stream)
			}
		}
		if batch.Live {
			break
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i += 7919
		for _, err := range l.Read(context.Background(), names[i%len(names)], 0) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkOpen measures opening a log of a million events in eighty thousand streams, and its first append.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "log.db")
	l := open(b, path)
	if _, err := l.Load(context.Background(), city(1_000_000)); err != nil {
		b.Fatal(err)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		l := open(b, path)
		if err := cases(l)(); err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
