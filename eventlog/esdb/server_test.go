package esdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/esdb"
	"gridcase/eventlog/esdbtest"
	"gridcase/eventlog/faultnet"
)

const stream = "gridcase.demand-1"

func fact(label string) eventlog.Fact {
	return eventlog.Fact{ID: uuid.New(), Type: "demand-raised/1", Data: fmt.Appendf(nil, "%q", label), Meta: []byte("{}")}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, l *esdb.Log, stream string, expect eventlog.Revision, fs ...eventlog.Fact) eventlog.Commit {
	t.Helper()
	c, err := l.Append(within(t, 10*time.Second), stream, expect, fs...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// followed returns the next n events after a position.
func followed(t *testing.T, l *esdb.Log, after eventlog.Position, n int) (es []eventlog.Event) {
	t.Helper()
	for b, err := range l.Follow(within(t, 10*time.Second), after) {
		if err != nil {
			t.Fatalf("%d of %d events had come: %v", len(es), n, err)
		}
		if es = append(es, b.Events...); len(es) >= n {
			break
		}
	}
	return es
}

func TestAnAppendWhoseAnswerIsLostIsMadeOnce(t *testing.T) {
	c := start(t, esdbtest.Options{})
	l := open(t, c.ConnectionString())
	for _, f := range []struct {
		name  string
		fault func()
	}{
		{"committed, answer lost", func() { c.Faults.LoseAnswers(1) }},
		{"refused by the server's timeout", func() { c.Faults.Refuse(1) }},
	} {
		name := "gridcase.demand-" + uuid.NewString()
		f.fault()
		first := must(t, l, name, eventlog.None, fact("1"), fact("2"))
		if first.Revision != 1 || first.Repeated || c.Faults.Left() > 0 {
			t.Errorf("%s: got %+v with %d faults left, want revision 1, not repeated", f.name, first, c.Faults.Left())
		}
		if held := c.Held(name); len(held) != 2 {
			t.Errorf("%s: the server holds %d events, want 2", f.name, len(held))
		}
	}
}

func TestAnUnknownOutcomeIsSaidByTheDeadlineAndRepeatingFindsOut(t *testing.T) {
	c := start(t, esdbtest.Options{})
	l := open(t, c.ConnectionString())
	for _, f := range []struct {
		name     string
		fault    func()
		happened bool
	}{
		{"committed, no answer", func() { c.Faults.Silence(1) }, true},
		{"dropped, no answer", func() { c.Faults.Drop(1) }, false},
	} {
		name := "gridcase.demand-" + uuid.NewString()
		fs := []eventlog.Fact{fact("1"), fact("2")}
		f.fault()
		began := time.Now()
		got, err := l.Append(within(t, 200*time.Millisecond), name, eventlog.None, fs...)
		if !errors.Is(err, eventlog.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
			t.Errorf("%s: got %+v, %v after %s, want an unknown outcome by the deadline", f.name, got, err, time.Since(began))
		}
		if again := must(t, l, name, eventlog.None, fs...); again.Revision != 1 || again.Repeated != f.happened {
			t.Errorf("%s: repeated, got %+v, want revision 1, repeated %v", f.name, again, f.happened)
		}
		if held := c.Held(name); len(held) != 2 {
			t.Errorf("%s: the server holds %d events, want 2", f.name, len(held))
		}
	}
}

// What a server answers to a repeat differs between versions; the stream does not.
func TestARepeatAnswersAsTheFirstDidWhateverCameAfterAndWhateverBytesItHas(t *testing.T) {
	c := start(t, esdbtest.Options{})
	l := open(t, c.ConnectionString())
	fs := []eventlog.Fact{fact("1"), fact("2")}
	first := must(t, l, stream, eventlog.None, fs...)
	must(t, l, stream, 1, fact("3"))
	other := open(t, c.ConnectionString()) // another node, which has seen nothing of it
	fs[1].Data = []byte(`"other bytes"`)
	for _, on := range []*esdb.Log{l, other} {
		again := must(t, on, stream, eventlog.None, fs...)
		if want := (eventlog.Commit{Revision: 1, Position: first.Position, At: first.At, Repeated: true}); again != want {
			t.Errorf("got %+v, want %+v", again, want)
		}
	}
	if got := followed(t, other, 0, 2)[1]; string(got.Data) != `"2"` {
		t.Errorf("the repeat changed the event to %s", got.Data)
	}
}

func TestAnAppendFollowsTheLeader(t *testing.T) {
	c := start(t, esdbtest.Options{Nodes: 3})
	// A client of one node is told by the node who leads; a client of the cluster finds out by gossip, too.
	for name, connection := range map[string]string{
		"one node": "esdb://" + c.Node(0).Address() + "?tls=false", "discovery": "esdb+discover://" + c.Node(1).Address() + "?tls=false", "the cluster": c.ConnectionString()} {
		l := open(t, connection)
		head := eventlog.None
		s := "gridcase.demand-" + uuid.NewString()
		for _, leader := range []int{1, 2, 0} {
			c.Lead(leader)
			head = must(t, l, s, head, fact("x")).Revision
		}
		if head != 2 {
			t.Errorf("%s: the stream stands at %d, want 2", name, head)
		}
	}
}

func TestFollowingGoesOnWithTheNewLeader(t *testing.T) {
	c := start(t, esdbtest.Options{Nodes: 3})
	l := open(t, c.ConnectionString())
	c.Put(stream, "a/1")
	next, stop := batches(t, l)
	defer stop()
	want(t, next, "a/1")
	c.Node(0).Stop()
	c.Lead(2)
	c.Put(stream, "b/1")
	want(t, next, "b/1")
}

// batches follows from the beginning and hands out every batch.
func batches(t *testing.T, l *esdb.Log) (next <-chan eventlog.Batch, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ch, over := make(chan eventlog.Batch), make(chan struct{})
	go func() {
		defer close(over)
		for b, err := range l.Follow(ctx, 0) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("follow: %v", err)
				}
				return
			}
			select {
			case ch <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch, func() { cancel(); <-over }
}

func want(t *testing.T, next <-chan eventlog.Batch, types ...string) {
	t.Helper()
	patience := time.After(5 * time.Second)
	for len(types) > 0 {
		select {
		case b := <-next:
			for _, e := range b.Events {
				if len(types) == 0 || e.Type != types[0] {
					t.Fatalf("got %s, want %v", e.Type, types)
				}
				types = types[1:]
			}
		case <-patience:
			t.Fatalf("%v did not come", types)
		}
	}
}

func TestAFollowerIsToldThatItMayNotHaveEverythingWhileTheLogIsAway(t *testing.T) {
	c := start(t, esdbtest.Options{})
	l := open(t, c.ConnectionString())
	next, stop := batches(t, l)
	defer stop()
	until := func(live bool) {
		t.Helper()
		for patience := time.After(5 * time.Second); ; {
			select {
			case b := <-next:
				if b.Live == live {
					return
				}
			case <-patience:
				t.Fatalf("no batch came that is live: %v", live)
			}
		}
	}
	until(true)
	c.Node(0).Stop()
	until(false)
	began := time.Now()
	if _, err := l.Append(within(t, 100*time.Millisecond), stream, eventlog.None, fact("1")); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
		t.Errorf("append to a log that is away: got %v after %s, want the deadline", err, time.Since(began))
	}
	for _, err := range l.Read(within(t, 100*time.Millisecond), stream, 0) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read of a log that is away: got %v, want the deadline", err)
		}
	}
	if err := c.Node(0).Start(); err != nil {
		t.Fatal(err)
	}
	until(true)
	must(t, l, stream, eventlog.None, fact("1"))
}

func TestPatienceIsTheDefaultDeadline(t *testing.T) {
	c := start(t, esdbtest.Options{})
	l := open(t, c.ConnectionString("defaultDeadline=150"))
	c.Node(0).Stop()
	began := time.Now()
	_, err := l.End(context.Background())
	if took := time.Since(began); !errors.Is(err, eventlog.ErrUnavailable) || took < 100*time.Millisecond || took > 2*time.Second {
		t.Errorf("got %v after %s, want %v after 150 ms", err, took, eventlog.ErrUnavailable)
	}
}

func TestWhatTheServerFindsTooLargeIsTooLarge(t *testing.T) {
	c := start(t, esdbtest.Options{}) // with the server's own default of 1 MiB, types and all
	l := open(t, c.ConnectionString())
	f := fact("large")
	f.Data = bytes.Repeat([]byte("x"), eventlog.MaxAppend-len(f.Meta))
	if _, err := l.Append(within(t, 5*time.Second), stream, eventlog.None, f); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, eventlog.ErrTooLarge)
	}
	many := make([]eventlog.Fact, 64) // refused while most of it is still to be sent
	for i := range many {
		many[i] = fact("many")
		many[i].Data = bytes.Repeat([]byte("x"), eventlog.MaxAppend/64-2)
	}
	if _, err := l.Append(within(t, 5*time.Second), stream, eventlog.None, many...); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, eventlog.ErrTooLarge)
	}
	if held := c.Held(stream); len(held) > 0 {
		t.Errorf("the server holds %d events of what was too large", len(held))
	}
}

func TestAStreamThatAnOperatorDeletedIsAnErrorAndNoNewStream(t *testing.T) {
	c := start(t, esdbtest.Options{})
	l := open(t, c.ConnectionString())
	must(t, l, stream, eventlog.None, fact("1"))
	c.Delete(stream)
	_, err := l.Append(within(t, 5*time.Second), stream, 0, fact("2"))
	if !errors.Is(err, esdb.ErrGap) || errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("append: got %v, want %v at once", err, esdb.ErrGap)
	}
	for _, err := range l.Read(within(t, 5*time.Second), stream, 0) {
		if !errors.Is(err, esdb.ErrGap) {
			t.Errorf("read: got %v, want %v", err, esdb.ErrGap)
		}
	}
}

func TestOnlyStreamsOfTheLogAreFollowed(t *testing.T) {
	c := start(t, esdbtest.Options{})
	l := open(t, c.ConnectionString())
	first := must(t, l, stream, eventlog.None, fact("1"))
	if first.Position != 1 {
		t.Errorf("the first event of the server sits at 0: got position %d, want 1", first.Position)
	}
	for range 2500 { // several windows of the filter
		c.Put("other-system", "noise/1")
	}
	c.Put("$settings", "$changed")
	last := must(t, l, stream, 0, fact("2"))
	if es := followed(t, l, 0, 2); len(es) != 2 || es[1].Position != last.Position {
		t.Errorf("got %d events, want 2", len(es))
	}
	if es := followed(t, l, first.Position, 1); len(es) != 1 || es[0].Position != last.Position {
		t.Errorf("after the first: got %d events, want the second", len(es))
	}
	if end, err := l.End(t.Context()); err != nil || end != last.Position {
		t.Errorf("got end %d, %v, want %d", end, err, last.Position)
	}
	c.Put("other-system", "noise/1")
	if end, err := l.End(t.Context()); err != nil || end != last.Position {
		t.Errorf("after an event of others: got end %d, %v, want %d", end, err, last.Position)
	}
	if _, err := l.Append(t.Context(), "other-system", 2500, fact("3")); err == nil {
		t.Error("an append to a stream that nobody would follow was taken")
	}
}

func TestTwoLogsShareACluster(t *testing.T) {
	c := start(t, esdbtest.Options{})
	a, b := open(t, c.ConnectionString("space=a.")), open(t, c.ConnectionString("space=b."))
	must(t, a, stream, eventlog.None, fact("1"))
	must(t, b, stream, eventlog.None, fact("2"), fact("3"))
	if es := followed(t, a, 0, 1); len(es) != 1 || es[0].Stream != stream {
		t.Errorf("got %v, want one event of %s", es, stream)
	}
	if held := c.Held("b." + stream); len(held) != 2 {
		t.Errorf("the server holds %d events of the second log, want 2", len(held))
	}
}

func TestDuplicatesAndDroppedSubscriptionsDoNotReachTheFollower(t *testing.T) {
	c := start(t, esdbtest.Options{})
	l := open(t, c.ConnectionString())
	lost := 0
	counting, err := esdb.Open(t.Context(), c.ConnectionString(), esdb.Options{Resubscribed: func() { lost++ }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, counting) })
	const n = 60
	head := eventlog.None
	for range n {
		head = must(t, l, stream, head, fact("x")).Revision
	}
	c.Faults.Duplicate(true)
	c.Faults.DropSlow(3)
	c.Faults.LieAhead(2)
	for i, e := range followed(t, counting, 0, n) {
		if e.Revision != eventlog.Revision(i) {
			t.Fatalf("event %d has revision %d", i, e.Revision)
		}
	}
	if lost != 5 || c.Faults.Left() != 0 {
		t.Errorf("the subscription was lost %d times and %d faults are left, want 5 and none", lost, c.Faults.Left())
	}
}

func TestAHiddenEventIsInItsStream(t *testing.T) {
	c := start(t, esdbtest.Options{})
	l := open(t, c.ConnectionString())
	must(t, l, stream, eventlog.None, fact("1"), fact("2"), fact("3"))
	c.Faults.Hide(func(_ string, revision int) bool { return revision == 1 })
	es := followed(t, l, 0, 2)
	if len(es) != 2 || es[1].Revision != 2 {
		t.Fatalf("the hole was not there: %v", es)
	}
	n := 0
	for e, err := range l.Read(t.Context(), stream, 0) {
		if err != nil || e.Revision != eventlog.Revision(n) {
			t.Fatalf("got revision %d, %v, want %d", e.Revision, err, n)
		}
		n++
	}
	if n != 3 {
		t.Errorf("the stream has %d events, want 3: nothing could heal the hole", n)
	}
}

func TestAPositionOfAnotherLogIsRefused(t *testing.T) {
	l := open(t, start(t, esdbtest.Options{}).ConnectionString())
	for _, err := range l.Follow(within(t, 5*time.Second), 7) {
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("following an empty log after position 7: got %v, want an error at once", err)
		}
	}
	for _, err := range l.Follow(within(t, 5*time.Second), math.MaxUint64) {
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("following an empty log after the last position there can be: got %v, want an error at once", err)
		}
	}
}

func TestConnectionsAreEncryptedAndProveWhoTheyAre(t *testing.T) {
	dir := t.TempDir()
	authority, err := esdbtest.NewAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := esdbtest.NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := authority.User("ops")
	if err != nil {
		t.Fatal(err)
	}
	foreign, foreignKey, err := stranger.User("ops")
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, esdbtest.Options{Authority: authority, Users: map[string]string{"admin": "p@ss word"}})
	user := func(cert, key string) string {
		return c.ConnectionString("userCertFile="+url.QueryEscape(cert), "userKeyFile="+url.QueryEscape(key), "maxDiscoverAttempts=1")
	}
	login := func(s, password string) string {
		return strings.Replace(s, "esdb://", "esdb://"+url.UserPassword("admin", password).String()+"@", 1)
	}
	for _, x := range []struct {
		name, connection string
		opens            bool
	}{
		{"password", login(c.ConnectionString(), "p@ss word"), true},
		{"user certificate", user(cert, key), true},
		{"wrong password", login(c.ConnectionString(), "wrong-password"), false},
		{"neither", c.ConnectionString(), false},
		{"user certificate of a stranger", user(foreign, foreignKey), false},
		{"a server that a stranger vouches for", login(strings.Replace(c.ConnectionString("maxDiscoverAttempts=1"), url.QueryEscape(authority.File), url.QueryEscape(stranger.File), 1), "p@ss word"), false},
		{"not encrypted", login("esdb://"+c.Node(0).Address()+"?tls=false&maxDiscoverAttempts=1", "p@ss word"), false},
		{"certificate that is not there", user(filepath.Join(dir, "none"), key), false},
	} {
		l, err := esdb.Open(within(t, 10*time.Second), x.connection, esdb.Options{})
		if (err == nil) != x.opens {
			t.Errorf("%s: got %v, want it to open: %v", x.name, err, x.opens)
		}
		if err != nil {
			if strings.Contains(err.Error(), "wrong-password") || strings.Contains(err.Error(), "p@ss") {
				t.Errorf("%s: the error shows the password: %v", x.name, err)
			}
			continue
		}
		must(t, l, "gridcase.demand-"+uuid.NewString(), eventlog.None, fact("1"))
		shut(t, l)
	}
}

func TestAConnectionStringIsUnderstoodOrRefused(t *testing.T) {
	for _, c := range []struct{ connection, says string }{
		{"esdb://admin:secret@localhost:port", "port"},
		{"esdb://admin:secret@local host", ""},
		{"http://localhost", "scheme"},
		{"esdb://localhost?tls=maybe", "tls"},
		{"esdb://localhost?tls=false&TLS=false", "twice"},
		{"esdb://localhost?timeout=3", "timeout"},
		{"esdb://localhost?defaultDeadline=soon", "defaultdeadline"},
		{"esdb://localhost?nodePreference=follower", "leader"},
		{"esdb://localhost?space=$all", "space"},
		{"esdb://localhost?userCertFile=a.crt", "userKeyFile"},
		{"esdb://localhost?tls=false&userCertFile=a.crt&userKeyFile=a.key", "encrypted"},
		{"esdb://localhost?tlsCaFile=/no/such/file", "no such file"},
	} {
		l, err := esdb.Open(within(t, time.Second), c.connection, esdb.Options{})
		if err == nil {
			shut(t, l)
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error about %q without the password", c.connection, err, c.says)
		}
	}
}

func TestOpeningALogThatIsAwayEndsAndSaysWhy(t *testing.T) {
	c := start(t, esdbtest.Options{Nodes: 2})
	p, err := faultnet.Listen(c.Node(0).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.BlackHole()
	c.Node(0).Stop()
	c.Node(1).Stop()
	for name, connection := range map[string]string{
		"nobody listens": "esdb://" + c.Node(0).Address() + "?tls=false", "a cluster nobody of which listens": c.ConnectionString(), "a black hole": "esdb://" + p.Address() + "?tls=false"} {
		began := time.Now()
		_, err := esdb.Open(within(t, 300*time.Millisecond), connection, esdb.Options{})
		if err == nil || time.Since(began) > 2*time.Second {
			t.Errorf("%s: got %v after %s, want an error by the deadline", name, err, time.Since(began))
		}
	}
}

func TestAnAppendWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	c := start(t, esdbtest.Options{})
	l := open(t, c.ConnectionString())
	c.Faults.Silence(1)
	first := make(chan error, 1)
	go func() {
		_, err := l.Append(within(t, 800*time.Millisecond), stream, eventlog.None, fact("1"))
		first <- err
	}()
	for len(c.Held(stream)) == 0 {
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	_, err := l.Append(within(t, 100*time.Millisecond), stream, eventlog.None, fact("2"))
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, eventlog.ErrUnavailable) || time.Since(began) > 600*time.Millisecond {
		t.Errorf("got %v after %s, want the deadline and nothing unknown: it was never sent", err, time.Since(began))
	}
	if err := <-first; !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("the first append: got %v, want %v", err, eventlog.ErrUnavailable)
	}
}
