package mem_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/logtest"
	"gridcase/eventlog/mem"
)

func TestContract(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Opened {
		return logtest.Opened{Log: mem.Open()}
	})
}

func TestEventsBearTheTimeOfTheGivenClock(t *testing.T) {
	noon := time.Date(2026, 3, 10, 12, 0, 0, 123456789, time.FixedZone("CST", 8*3600))
	l := mem.Open(mem.WithClock(func() time.Time { return noon }))
	commit, err := l.Append(t.Context(), "s", eventlog.None, eventlog.Fact{ID: uuid.New(), Type: "done/1"})
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 3, 10, 4, 0, 0, 123456000, time.UTC)
	if commit.At != want {
		t.Errorf("got time %v, want %v: UTC, whole microseconds", commit.At, want)
	}
}

func TestAPositionOfAnotherLogIsRefused(t *testing.T) {
	for _, err := range mem.Open().Follow(t.Context(), 7) {
		if err == nil {
			t.Fatal("following an empty log after position 7 gave a batch, want an error")
		}
	}
}

func TestPositionsHaveNoGaps(t *testing.T) {
	l := mem.Open()
	const n = 3000 // more than one page
	for i := range n {
		if _, err := l.Append(t.Context(), "s", eventlog.Revision(i)-1, eventlog.Fact{ID: uuid.New(), Type: "done/1"}); err != nil {
			t.Fatal(err)
		}
	}
	var last eventlog.Position
	for b, err := range l.Follow(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Events {
			if last++; e.Position != last {
				t.Fatalf("got position %d, want %d", e.Position, last)
			}
		}
		if b.Live {
			break
		}
	}
	if last != n {
		t.Errorf("got %d events, want %d", last, n)
	}
}

func BenchmarkAppend(b *testing.B) {
	l := mem.Open()
	data, meta := make([]byte, 310), make([]byte, 150)
	stream, n := uuid.NewString(), eventlog.None
	b.ReportAllocs()
	for b.Loop() {
		if n == 11 {
			stream, n = uuid.NewString(), eventlog.None
		}
		c, err := l.Append(context.Background(), stream, n, eventlog.Fact{ID: uuid.UUID{1}, Type: "done/1", Data: data, Meta: meta})
		if err != nil {
			b.Fatal(err)
		}
		n = c.Revision
	}
}
