package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"gridcase/eventlog"
	"gridcase/eventlog/esdb"
	"gridcase/eventlog/esdbtest"
	"gridcase/eventlog/ledger"
	"gridcase/eventlog/mem"
	"gridcase/eventlog/sqlite"
	"gridcase/eventlog/transfer"
)

// history fills a log with n events of a few dozen streams, some of several at once, over half a year.
func history(t testing.TB, seed uint64, n int) *mem.Log {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	l := mem.Open(mem.WithClock(func() time.Time { return now }))
	t.Cleanup(func() { l.Close() })
	heads := map[string]eventlog.Revision{}
	for written := 0; written < n; {
		now = now.Add(time.Duration(r.IntN(10_000_000)) * time.Microsecond)
		name := fmt.Sprintf("gridcase.demand-%02d", r.IntN(40))
		head, known := heads[name]
		if !known {
			head = eventlog.None
		}
		var facts []eventlog.Fact
		for range min(1+r.IntN(3), n-written) {
			facts = append(facts, eventlog.Fact{ID: uuid.New(), Type: "demand-moved/1", Data: fmt.Appendf(nil, `{"n":%d,"words":"车棚<漏雨>&"}`, r.Int()),
				Meta: []byte(`{"salt":"AAECAwQFBgcICQoLDA0ODw==","actor":"u-1"}`)})
		}
		c, err := l.Append(t.Context(), name, head, facts...)
		if err != nil {
			t.Fatal(err)
		}
		heads[name] = c.Revision
		written += len(facts)
	}
	return l
}

func all(t testing.TB, l eventlog.Log) transfer.Source {
	t.Helper()
	end, err := l.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return transfer.Of(t.Context(), l, end)
}

// A store is a place to move a log to, which can be closed and opened again.
type store struct {
	name  string
	times bool
	open  func() transfer.Target
}

func stores(t *testing.T) []store {
	file := filepath.Join(t.TempDir(), "log.db")
	cluster, err := esdbtest.Start(esdbtest.Options{Nodes: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	return []store{
		{"a file", true, func() transfer.Target {
			l, err := sqlite.Open(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}},
		{"a cluster", false, func() transfer.Target {
			l, err := esdb.Open(t.Context(), cluster.ConnectionString(), esdb.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}},
	}
}

func exported(t testing.TB, from transfer.Source) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for e, err := range from {
		if err == nil {
			err = enc.Encode(transfer.LineOf(e))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestALogMovesFromStoreToStoreAndBack(t *testing.T) {
	const n = 3000
	origin := history(t, 1, n)
	file := filepath.Join(t.TempDir(), "log.ndjson")
	if err := os.WriteFile(file, exported(t, all(t, origin)), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := ledger.At(t.Context(), origin, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []struct {
		name   string
		source func() transfer.Source
	}{
		{"a log in memory", func() transfer.Source { return all(t, origin) }},
		{"an export", func() transfer.Source { return transfer.Export(file) }},
	} {
		for _, to := range stores(t) {
			name := from.name + " to " + to.name
			l := to.open()
			there, written, err := transfer.Move(t.Context(), from.source(), l, to.times, nil)
			if there != 0 || written != n || err != nil {
				t.Errorf("%s: got %d there, %d written, %v, want 0 and %d", name, there, written, err, n)
			}
			l.Close()
			l = to.open()
			a, b, err := transfer.Verify(t.Context(), from.source(), all(t, l), to.times, nil)
			if err != nil || a.Root != want.Root() || b.Root != want.Root() || b.Events != n {
				t.Errorf("%s: got %v, source %s, target %s", name, err, a, b)
			}
			if times := a.Times == b.Times; times != to.times {
				t.Errorf("%s: the times are kept: %v, want %v", name, times, to.times)
			}
			if there, written, err := transfer.Move(t.Context(), from.source(), l, to.times, nil); there != n || written != 0 || err != nil {
				t.Errorf("%s, again: got %d there, %d written, %v, want %d and 0", name, there, written, err, n)
			}
			// And from there to a file, with the times that it has now.
			back, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "back.db"))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := transfer.Move(t.Context(), all(t, l), back, true, nil); err != nil {
				t.Errorf("%s and back: %v", name, err)
			}
			if _, b, err := transfer.Verify(t.Context(), all(t, l), all(t, back), true, nil); err != nil || b.Root != want.Root() {
				t.Errorf("%s and back: %v, %s", name, err, b)
			}
			back.Close()
			l.Close()
		}
	}
}

// cut ends a source with an error after n events, as a disk or a network does.
func cut(from transfer.Source, n int) transfer.Source {
	return func(yield func(eventlog.Event, error) bool) {
		for e, err := range from {
			if n--; n < 0 {
				yield(eventlog.Event{}, errors.New("cut off"))
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func TestAMoveThatIsCutOffAnywhereGoesOn(t *testing.T) {
	const n, cuts = 2000, 20
	origin := history(t, 2, n)
	r := rand.New(rand.NewPCG(2, 2))
	for _, to := range stores(t) {
		for at := 0; at < n; at += 1 + r.IntN(2*n/cuts) {
			l := to.open()
			_, _, err := transfer.Move(t.Context(), cut(all(t, origin), at), l, to.times, nil)
			if err == nil {
				t.Fatalf("%s: the cut after %d events was not noticed", to.name, at)
			}
			l.Close()
		}
		l := to.open()
		there, written, err := transfer.Move(t.Context(), all(t, origin), l, to.times, nil)
		if err != nil || there == 0 || there+written != n {
			t.Errorf("%s: got %d there, %d written, %v", to.name, there, written, err)
		}
		if _, _, err := transfer.Verify(t.Context(), all(t, origin), all(t, l), to.times, nil); err != nil {
			t.Errorf("%s: %v", to.name, err)
		}
		l.Close()
	}
}

func TestAMoveToAClusterOutlivesLostAnswersAndOutages(t *testing.T) {
	const n = 1500
	origin := history(t, 3, n)
	cluster, err := esdbtest.Start(esdbtest.Options{Nodes: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	l, err := esdb.Open(t.Context(), cluster.ConnectionString(), esdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cluster.Faults.LoseAnswers(5)
	cluster.Faults.Refuse(5)
	broken := 0
	_, written, err := transfer.Move(t.Context(), all(t, origin), l, false, func(done int64) {
		if done == 500 || done == 1000 { // a new leader, and the old one gone for a moment
			broken++
			old := cluster.Node(broken - 1)
			old.Stop()
			cluster.Lead(broken)
			go func() { time.Sleep(300 * time.Millisecond); old.Start() }()
		}
	})
	if err != nil || written != n || broken != 2 || cluster.Faults.Left() != 0 {
		t.Errorf("got %d written, %v, after %d outages with %d faults left, want %d", written, err, broken, cluster.Faults.Left(), n)
	}
	if _, b, err := transfer.Verify(t.Context(), all(t, origin), all(t, l), false, nil); err != nil {
		t.Errorf("%v: %s", err, b)
	}
}

// crooked is a target that does not write what it was given: the bug that the verification is there for.
type crooked struct {
	transfer.Target
	bend func([]eventlog.Event) []eventlog.Event
}

func (c crooked) LoadAfter(ctx context.Context, after eventlog.Position, events iter.Seq[eventlog.Event]) (int, error) {
	var es []eventlog.Event
	for e := range events {
		es = append(es, e)
	}
	given := len(es)
	_, err := c.Target.LoadAfter(ctx, after, func(yield func(eventlog.Event) bool) {
		for _, e := range c.bend(es) {
			if !yield(e) {
				return
			}
		}
	})
	return given, err
}

func TestTheVerificationSeesWhatACrookedCopyDid(t *testing.T) {
	const n = 400
	origin := history(t, 4, n)
	other := func(es []eventlog.Event) int { // an event that is followed by one of another stream
		for i := range es[:n-1] {
			if i > 100 && es[i].Stream != es[i+1].Stream {
				return i
			}
		}
		return 0
	}
	last := func(es []eventlog.Event) int { // the last event of its stream
		for i := n / 2; ; i++ {
			alone := true
			for _, e := range es[i+1:] {
				alone = alone && e.Stream != es[i].Stream
			}
			if alone {
				return i
			}
		}
	}
	for _, c := range []struct {
		name, what string
		bend       func([]eventlog.Event) []eventlog.Event
	}{
		{"nothing", "", func(es []eventlog.Event) []eventlog.Event { return es }},
		{"two events changed places", "stream", func(es []eventlog.Event) []eventlog.Event {
			i := other(es)
			es[i], es[i+1] = es[i+1], es[i]
			return es
		}},
		{"one event was lost", "stream", func(es []eventlog.Event) []eventlog.Event {
			i := last(es)
			return append(es[:i], es[i+1:]...)
		}},
		{"the last event was lost", "nothing more", func(es []eventlog.Event) []eventlog.Event { return es[:n-1] }},
		{"a byte of the data was altered", "data", func(es []eventlog.Event) []eventlog.Event {
			es[200].Data = bytes.Replace(es[200].Data, []byte(`{"n":`), []byte(`{"m":`), 1)
			return es
		}},
		{"a byte of the metadata was altered", "metadata", func(es []eventlog.Event) []eventlog.Event {
			es[200].Meta = bytes.Replace(es[200].Meta, []byte("u-1"), []byte("u-2"), 1)
			return es
		}},
		{"an id was made anew", "id", func(es []eventlog.Event) []eventlog.Event { es[200].ID = uuid.New(); return es }},
		{"a type was altered", "type", func(es []eventlog.Event) []eventlog.Event { es[200].Type = "demand-moved/2"; return es }},
		{"a time was altered", "time", func(es []eventlog.Event) []eventlog.Event {
			es[200].At = es[200].At.Add(time.Microsecond)
			return es
		}},
		{"an event came twice", "stream", func(es []eventlog.Event) []eventlog.Event {
			twice := es[n-1]
			twice.Revision++
			return append(es, twice)
		}},
	} {
		l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := transfer.Move(t.Context(), all(t, origin), crooked{l, c.bend}, true, nil); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		a, b, err := transfer.Verify(t.Context(), all(t, origin), all(t, l), true, nil)
		var d *transfer.Difference
		switch {
		case c.what == "" && err != nil:
			t.Errorf("%s: got %v", c.name, err)
		case c.what == "":
		case !errors.As(err, &d) || !errors.Is(err, transfer.ErrDiffers):
			t.Errorf("%s: the verification said %v", c.name, err)
		case a.Root == b.Root && a.Times == b.Times:
			t.Errorf("%s: the sums are equal: %s", c.name, a)
		case !strings.Contains(d.Error(), c.what) && d.Source != nil && d.Target != nil && d.What == "":
			t.Errorf("%s: %v names nothing", c.name, d)
		}
		l.Close()
	}
}

func TestATargetThatHoldsSomethingElseIsNotTouched(t *testing.T) {
	origin, longer, stranger := history(t, 5, 200), mem.Open(), history(t, 6, 50)
	defer longer.Close()
	for _, c := range []struct {
		name string
		held func() transfer.Source
	}{
		{"another log", func() transfer.Source { return all(t, stranger) }},
		{"the beginning, then something else", func() transfer.Source {
			return func(yield func(eventlog.Event, error) bool) {
				i := 0
				for e, err := range all(t, origin) {
					if i++; i == 60 {
						e.ID = uuid.New()
					}
					if i > 60 || !yield(e, err) {
						return
					}
				}
			}
		}},
		{"all of it, and more", func() transfer.Source {
			return func(yield func(eventlog.Event, error) bool) {
				for e, err := range all(t, origin) {
					if !yield(e, err) {
						return
					}
				}
				yield(eventlog.Event{Fact: eventlog.Fact{ID: uuid.New(), Type: "t/1", Data: []byte("{}"), Meta: []byte("{}")}, Stream: "gridcase.new"}, nil)
			}
		}},
	} {
		for _, to := range stores(t) {
			l := to.open()
			if _, _, err := transfer.Move(t.Context(), c.held(), l, false, nil); err != nil {
				t.Fatal(err)
			}
			before, _ := l.End(t.Context())
			_, written, err := transfer.Move(t.Context(), all(t, origin), l, false, nil)
			if !errors.Is(err, transfer.ErrDiffers) || written != 0 {
				t.Errorf("%s in %s: got %d written, %v, want %v", c.name, to.name, written, err, transfer.ErrDiffers)
			}
			if after, _ := l.End(t.Context()); after != before {
				t.Errorf("%s in %s: it was written to", c.name, to.name)
			}
			l.Close()
		}
	}
}

func TestADamagedExportIsNoSource(t *testing.T) {
	whole := string(exported(t, all(t, history(t, 7, 100))))
	lines := strings.SplitAfter(whole, "\n")
	file := filepath.Join(t.TempDir(), "log.ndjson")
	for _, c := range []struct {
		name, says, text string
	}{
		{"whole", "", whole},
		{"a byte was altered", "its bytes are not those", strings.Replace(whole, "漏", "滴", 1)},
		{"it was cut off", "cut off", whole[:len(whole)-20]},
		{"white space came in", "its bytes are not those", strings.Replace(whole, `"data":{"n":`, `"data":{"n": `, 1)},
		{"two lines changed places", "does not come after", strings.Join(append([]string{lines[1], lines[0]}, lines[2:]...), "")},
		{"it is no export", "no event of an export", "{}\n"},
		{"it is no JSON", "line 1", "id,title\n"},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var got error
		for _, err := range transfer.Export(file) {
			got = errors.Join(got, err)
		}
		if c.says == "" && got != nil || c.says != "" && (got == nil || !strings.Contains(got.Error(), c.says)) {
			t.Errorf("%s: got %v, want %q", c.name, got, c.says)
		}
	}
}
