package logtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"gridcase/eventlog"
)

func appendAnswers(t *trial) {
	before := time.Now().Add(-time.Second)
	c := t.append("a", eventlog.None, facts("1", "2", "3")...)
	if c.Revision != 2 || c.Repeated {
		t.Errorf("got %+v, want revision 2, not repeated", c)
	}
	es := t.all(3)
	if c.Position != es[2].Position || !c.At.Equal(es[2].At) {
		t.Errorf("got answer %+v, want the position and time of the last event %s at %v", c, describe(es[2:]), es[2].At)
	}
	if c.At.Before(before) || c.At.After(time.Now().Add(time.Second)) {
		t.Errorf("got time %v, want now", c.At)
	}
	d := t.append("a", 2, fact("4"))
	if d.Revision != 3 || d.Position <= c.Position {
		t.Errorf("got %+v after %+v, want revision 3 at a higher position", d, c)
	}
}

func denseNumbers(t *trial) {
	var last eventlog.Position
	next := map[string]eventlog.Revision{"a": 0, "b": 0, "c": 0}
	n := 0
	for i, stream := range strings.Split("abacabcbbaacccab", "") {
		fs := facts("x", "y", "z")[:1+i%3]
		c := t.append(stream, next[stream]-1, fs...)
		next[stream] += eventlog.Revision(len(fs))
		n += len(fs)
		if c.Revision != next[stream]-1 || c.Position <= last {
			t.Errorf("append %d: got %+v, want revision %d after position %d", i, c, next[stream]-1, last)
		}
		last = c.Position
	}
	es := t.all(n)
	t.positions(0, es)
	t.revisions(es)
}

func sameBytes(t *trial) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	fs := []eventlog.Fact{fact("空格 and 汉字"), fact("nothing"), fact("every byte"), fact("zero first"), fact("number")}
	fs[1].Data, fs[1].Meta = nil, []byte{}
	fs[2].Data, fs[2].Meta = all, []byte("\xff\xfe not UTF-8")
	fs[3].Data, fs[3].Meta = []byte("\x00\x00"), []byte("{}\x00")
	fs[4].Data, fs[4].Meta, fs[4].Type = []byte("1e400"), []byte("007"), "数-done/1"
	const stream = "gridcase.demand-'; \"名\""
	t.append(stream, eventlog.None, fs...)
	t.holds(t.read(stream, 0), stream, 0, fs...)
	t.holds(t.all(len(fs)), stream, 0, fs...)
	if t.reopen != nil {
		t.log = t.reopen()
		t.holds(t.all(len(fs)), stream, 0, fs...)
	}
}

func noAliases(t *trial) {
	f := fact("kept")
	given := f
	given.Data, given.Meta = bytes.Clone(f.Data), bytes.Clone(f.Meta)
	t.append("a", eventlog.None, given)
	clear(given.Data)
	clear(given.Meta)
	t.holds(t.read("a", 0), "a", 0, f)
	t.holds(t.all(1), "a", 0, f)
}

func conflicts(t *trial) {
	t.refused("a", 0, eventlog.None, fact("too early"))
	t.append("a", eventlog.None, facts("1", "2")...)
	t.refused("a", eventlog.None, 1, fact("not first"))
	t.refused("a", 0, 1, fact("stale"))
	t.refused("a", 2, 1, fact("ahead"))
	t.refused("b", 1, eventlog.None, fact("another stream"))
	t.refused("a", math.MaxInt64, 1, t.all(2)[0].Fact)
	if _, err := t.log.Append(t.ctx, "a", -2, fact("any")); err == nil {
		t.Errorf("expecting revision -2 was accepted: there is no such thing as any revision")
	}
}

func refusalsWriteNothing(t *trial) {
	kept := fact("kept")
	t.append("a", eventlog.None, kept)
	t.refused("a", 4, 0, facts("1", "2")...)
	t.refused("b", 0, eventlog.None, fact("3"))
	t.holds(t.all(1), "a", 0, kept)
	t.holds(t.read("b", 0), "b", 0)
	t.append("b", eventlog.None, fact("b is still new"))
	t.append("a", 0, fact("a still stands at 0"))
}

func emptyAppend(t *trial) {
	if c, err := t.log.Append(t.ctx, "a", eventlog.None); err == nil {
		t.Errorf("got %+v, want an error", c)
	}
	t.all(0)
}

func limit(t *trial) {
	sized := func(n int) []eventlog.Fact {
		fs := facts("large", "larger")
		fs[0].Data = bytes.Repeat([]byte("x"), n/2)
		fs[1].Data = bytes.Repeat([]byte("y"), n-n/2-len(fs[0].Meta)-len(fs[1].Meta))
		return fs
	}
	if _, err := t.log.Append(t.ctx, "a", eventlog.None, sized(eventlog.MaxAppend+1)...); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("one byte above the limit: got %v, want %v", err, eventlog.ErrTooLarge)
	}
	t.all(0)
	fs := sized(eventlog.MaxAppend)
	t.append("a", eventlog.None, fs...)
	t.holds(t.read("a", 0), "a", 0, fs...)
	t.holds(t.all(2), "a", 0, fs...)
}

func independentStreams(t *trial) {
	shared := fact("the same fact in two streams")
	a, b := []eventlog.Fact{shared, fact("a")}, []eventlog.Fact{shared}
	t.append("stream", eventlog.None, a...)
	t.append("stream-", eventlog.None, b...)
	t.refused("stre", 0, eventlog.None, fact("a prefix is another stream"))
	t.append("STREAM", eventlog.None, fact("case matters"))
	t.holds(t.read("stream", 0), "stream", 0, a...)
	t.holds(t.read("stream-", 0), "stream-", 0, b...)
	t.holds(t.read("nobody", 0), "nobody", 0)
}

// repeat appends again and wants the answer of the first append.
func (t *trial) repeat(first eventlog.Commit, stream string, expect eventlog.Revision, fs ...eventlog.Fact) {
	t.Helper()
	c, err := t.log.Append(t.ctx, stream, expect, fs...)
	if err != nil {
		t.Errorf("repeat of %+v: %v", first, err)
		return
	}
	if !c.Repeated || c.Revision != first.Revision || c.Position != first.Position || !c.At.Equal(first.At) {
		t.Errorf("repeat: got %+v, want %+v, repeated", c, first)
	}
}

func repeats(t *trial) {
	one, two := facts("1", "2"), facts("3")
	first := t.append("a", eventlog.None, one...)
	t.repeat(first, "a", eventlog.None, one...)
	second := t.append("a", 1, two...)
	t.repeat(second, "a", 1, two...)
	t.repeat(first, "a", eventlog.None, one...)
	t.append("b", eventlog.None, fact("elsewhere"))
	t.repeat(first, "a", eventlog.None, one...)
	t.all(4)
}

func repeatedPrefix(t *trial) {
	fs := facts("1", "2", "3")
	t.append("a", eventlog.None, fs...)
	es := t.all(3)
	for n := 1; n <= 3; n++ {
		last := es[n-1]
		t.repeat(eventlog.Commit{Revision: last.Revision, Position: last.Position, At: last.At}, "a", eventlog.None, fs[:n]...)
	}
	t.all(3)
}

func wrongRepeat(t *trial) {
	fs := facts("1", "2")
	t.append("a", eventlog.None, fs...)
	t.refused("a", eventlog.None, 1, fs[0], fact("another second"))
	t.refused("a", eventlog.None, 1, fact("another first"), fs[1])
	t.all(2)
}

func partialRepeat(t *trial) {
	fs := facts("1", "2", "3")
	t.append("a", eventlog.None, fs[:2]...)
	t.refused("a", eventlog.None, 1, fs...)
	t.holds(t.all(2), "a", 0, fs[:2]...)
}

func displacedRepeat(t *trial) {
	fs := facts("1", "2", "3")
	t.append("a", eventlog.None, fs...)
	t.refused("a", eventlog.None, 2, fs[1])
	t.refused("a", 0, 2, fs[0])
	t.refused("a", 5, 2, fs[0])
	t.all(3)
}

func sameAppendRace(t *trial) {
	fs := facts("1", "2")
	answers := make([]eventlog.Commit, 64)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			c, err := t.log.Append(t.ctx, "a", eventlog.None, fs...)
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			answers[i] = c
		})
	}
	wg.Wait()
	first := 0
	for i, c := range answers {
		if !c.Repeated {
			first++
		}
		if c.Revision != 1 || c.Position != answers[0].Position || !c.At.Equal(answers[0].At) {
			t.Errorf("caller %d: got %+v, caller 0 got %+v", i, c, answers[0])
		}
	}
	if first != 1 {
		t.Errorf("%d callers were told to be the first, want 1", first)
	}
	t.holds(t.all(2), "a", 0, fs...)
}

func contention(t *trial) {
	const writers, rounds = 16, 40
	won := make([]map[eventlog.Revision]eventlog.Fact, writers)
	var wg sync.WaitGroup
	for w := range writers {
		won[w] = map[eventlog.Revision]eventlog.Fact{}
		wg.Go(func() {
			for head := eventlog.None; head < rounds-1; {
				f := fact(fmt.Sprintf("writer %d after %d", w, head))
				c, err := t.log.Append(t.ctx, "a", head, f)
				var conflict *eventlog.ConflictError
				switch {
				case err == nil && c.Revision == head+1 && !c.Repeated:
					won[w][c.Revision] = f
					head = c.Revision
				case errors.As(err, &conflict) && conflict.Actual > head:
					head = conflict.Actual
				default:
					t.Errorf("writer %d expecting %d: got %+v, %v", w, head, c, err)
					return
				}
			}
		})
	}
	wg.Wait()
	total := 0
	es := t.read("a", 0)
	for _, wins := range won {
		total += len(wins)
		for r, f := range wins {
			if int(r) >= len(es) || es[r].ID != f.ID {
				t.Errorf("revision %d was acknowledged to a writer whose fact %s is not there", r, f.ID)
			}
		}
	}
	if total != len(es) || len(es) < rounds {
		t.Errorf("%d appends were acknowledged, the stream holds %d events, want equal and at least %d", total, len(es), rounds)
	}
	t.revisions(t.all(len(es)))
}

func wholeAppends(t *trial) {
	const writers, each, size = 8, 20, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			head := eventlog.None
			for i := range each {
				fs := make([]eventlog.Fact, size)
				for k := range fs {
					fs[k] = fact(fmt.Sprintf("%d/%d/%d", w, i, k))
				}
				c, err := t.log.Append(t.ctx, fmt.Sprint("writer-", w), head, fs...)
				if err != nil {
					t.Errorf("writer %d, append %d: %v", w, i, err)
					return
				}
				head = c.Revision
			}
		})
	}
	wg.Wait()
	es := t.all(writers * each * size)
	t.revisions(es)
	t.positions(0, es)
	for i, e := range es {
		first := es[i-i%size]
		if e.Stream != first.Stream || !e.At.Equal(first.At) {
			t.Errorf("event %d (%s) lies inside an append to %s", i, describe(es[i:i+1]), first.Stream)
		}
	}
}

func readFrom(t *trial) {
	const n = 700 // more than one page of any adapter that reads in pages of a few hundred
	fs := make([]eventlog.Fact, n)
	for i := range fs {
		fs[i] = fact(fmt.Sprint(i))
	}
	t.append("a", eventlog.None, fs...)
	t.append("b", eventlog.None, fact("another"))
	for _, from := range []eventlog.Revision{-1, 0, 1, n / 2, n - 1, n, n + 1} {
		start := min(max(from, 0), n)
		t.holds(t.read("a", from), "a", start, fs[start:]...)
	}
	for e, err := range t.log.Read(t.ctx, "a", 0) {
		if err != nil || e.Revision != 0 {
			t.Errorf("got revision %d, %v, want 0", e.Revision, err)
		}
		break
	}
}

func nestedUse(t *trial) {
	const depth = 12
	t.append("a", eventlog.None, facts("1", "2")...)
	// Deeper than any reasonable pool of readers: a read that holds one while it yields would hang here.
	var dive func(int)
	dive = func(left int) {
		for _, err := range t.log.Read(t.ctx, "a", 0) {
			if err != nil {
				t.Errorf("read at depth %d: %v", depth-left, err)
				return
			}
			if left > 0 {
				dive(left - 1)
			}
			break
		}
	}
	dive(depth)
	head := eventlog.Revision(1)
	for b, err := range t.log.Follow(t.ctx, 0) {
		if err != nil {
			t.Fatalf("follow: %v", err)
		}
		if len(b.Events) > 0 && head < 5 {
			head = t.append("a", head, fact("appended by its follower")).Revision
		}
		if len(b.Events) > 0 && b.Events[len(b.Events)-1].Revision == 5 {
			break
		}
	}
}

func followFromEverywhere(t *trial) {
	const n = 40
	head := eventlog.None
	for i := 0; i < n; i += 2 {
		head = t.append("a", head, facts(fmt.Sprint(i), fmt.Sprint(i+1))...).Revision
	}
	es := t.all(n)
	t.positions(0, es)
	resume := func() {
		for i := range n {
			got, live := t.follow(es[i].Position, n-1-i)
			if !equalAll(got, es[i+1:]) {
				t.Errorf("after position %d: got %s, want %s", es[i].Position, describe(got), describe(es[i+1:]))
			}
			if !live {
				t.Errorf("after position %d: the last batch was not live", es[i].Position)
			}
		}
	}
	resume()
	if t.reopen != nil {
		t.log = t.reopen() // nothing is in memory now
		resume()
	}
}

func live(t *trial) {
	got := make(chan eventlog.Batch)
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	go func() {
		defer close(got)
		for b, err := range t.log.Follow(ctx, 0) {
			if err != nil {
				return
			}
			select {
			case got <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	receive := func(what string) eventlog.Batch {
		select {
		case b := <-got:
			return b
		case <-t.ctx.Done():
			t.Fatalf("%s: nothing came", what)
			return eventlog.Batch{}
		}
	}
	if b := receive("empty log"); len(b.Events) != 0 || !b.Live {
		t.Errorf("following an empty log: got %d events, live %v, want none, live", len(b.Events), b.Live)
	}
	f := fact("1")
	t.append("a", eventlog.None, f)
	var es []eventlog.Event
	for {
		b := receive("after an append")
		if es = append(es, b.Events...); len(es) > 0 && b.Live {
			break
		}
	}
	t.holds(es, "a", 0, f)
}

func followWhileWriting(t *trial) {
	const writers, each, followers = 8, 150, 4
	total := 0
	for w := range writers {
		total += each * (1 + w%3)
	}
	seen := make([][]eventlog.Event, followers)
	var following, writing sync.WaitGroup
	for f := range followers {
		following.Go(func() {
			// Each follower breaks off again and again and resumes from the last event it saw.
			var after eventlog.Position
			for len(seen[f]) < total {
				wants := min(total-len(seen[f]), 1+97*f)
				for b, err := range t.log.Follow(t.ctx, after) {
					if err != nil {
						t.Errorf("follower %d after position %d, with %d of %d events: %v", f, after, len(seen[f]), total, err)
						return
					}
					if f == 0 && len(b.Events) > 1 {
						b.Events = b.Events[:1+len(b.Events)/2] // leaves the rest of a batch behind
						wants = 0
					}
					if n := len(b.Events); n > 0 {
						seen[f], after = append(seen[f], b.Events...), b.Events[n-1].Position
						wants -= n
					}
					if wants <= 0 {
						break
					}
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			head := eventlog.None
			for i := range each {
				c, err := t.log.Append(t.ctx, fmt.Sprint("writer-", w), head, facts("x", "y", "z")[:1+w%3]...)
				if err != nil {
					t.Errorf("writer %d, append %d: %v", w, i, err)
					return
				}
				head = c.Revision
			}
		})
	}
	writing.Wait()
	following.Wait()
	es := t.all(total)
	t.revisions(es)
	t.positions(0, es)
	for f, got := range seen {
		if equalAll(got, es) {
			continue
		}
		i := 0
		for i < min(len(got), len(es)) && equal(got[i], es[i]) {
			i++
		}
		t.Errorf("follower %d saw %d events of %d; the first difference is at %d: got %s, want %s",
			f, len(got), len(es), i, describe(got[i:min(i+2, len(got))]), describe(es[i:min(i+2, len(es))]))
	}
}

func end(t *trial) {
	wants := func(want eventlog.Position) {
		t.Helper()
		if got, err := t.log.End(t.ctx); err != nil || got != want {
			t.Errorf("got end %d, %v, want %d", got, err, want)
		}
	}
	wants(0)
	c := t.append("a", eventlog.None, facts("1", "2")...)
	wants(c.Position)
	t.refused("a", 7, 1, fact("refused"))
	wants(c.Position)
	if t.reopen != nil {
		t.log = t.reopen()
		wants(c.Position)
	}
}

func endedContext(t *trial) {
	t.append("a", eventlog.None, fact("1"))
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	if c, err := t.log.Append(ctx, "a", 0, fact("2")); !errors.Is(err, context.Canceled) {
		t.Errorf("append: got %+v, %v, want %v", c, err, context.Canceled)
	}
	read := errors.New("nothing was yielded")
	for _, err := range t.log.Read(ctx, "a", 0) {
		read = err
	}
	if !errors.Is(read, context.Canceled) {
		t.Errorf("read: got %v, want %v", read, context.Canceled)
	}
	followed := errors.New("nothing was yielded")
	for _, err := range t.log.Follow(ctx, 0) {
		followed = err
	}
	if !errors.Is(followed, context.Canceled) {
		t.Errorf("follow: got %v, want %v", followed, context.Canceled)
	}
	if _, err := t.log.End(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("end: got %v, want %v", err, context.Canceled)
	}
	t.all(1)
}

// ended runs a follower that has everything, calls stop, and returns the error the follower ended with.
func (t *trial) ended(ctx context.Context, stop func()) error {
	waits, ends := make(chan struct{}), make(chan error, 1)
	go func() {
		last := errors.New("the iterator yielded no error")
		for b, err := range t.log.Follow(ctx, 0) {
			if last = err; err == nil && b.Live {
				close(waits)
			}
		}
		ends <- last
	}()
	select {
	case <-waits:
	case err := <-ends:
		t.Fatalf("the follower ended before it was told to: %v", err)
	case <-t.ctx.Done():
		t.Fatalf("the follower was never told that it has everything")
	}
	stop()
	select {
	case err := <-ends:
		return err
	case <-t.ctx.Done():
		t.Fatalf("the follower never ended")
		return nil
	}
}

func cancelFollow(t *trial) {
	t.append("a", eventlog.None, fact("1"))
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	if err := t.ended(ctx, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	t.append("a", 0, fact("the log goes on"))
}

func closed(t *trial) {
	t.append("a", eventlog.None, fact("1"))
	err := t.ended(t.ctx, func() {
		if err := t.log.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("follow: got %v, want %v", err, eventlog.ErrClosed)
	}
	if _, err := t.log.Append(t.ctx, "a", 0, fact("2")); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("append: got %v, want %v", err, eventlog.ErrClosed)
	}
	for _, err := range t.log.Read(t.ctx, "a", 0) {
		if !errors.Is(err, eventlog.ErrClosed) {
			t.Errorf("read: got %v, want %v", err, eventlog.ErrClosed)
		}
	}
	if _, err := t.log.End(t.ctx); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("end: got %v, want %v", err, eventlog.ErrClosed)
	}
	if err := t.log.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func restart(t *trial) {
	if t.reopen == nil {
		return // nothing outlives Close, and the adapter says so
	}
	fs := facts("1", "2", "3")
	t.append("a", eventlog.None, fs[:2]...)
	other := fact("other")
	t.append("b", eventlog.None, other)
	before := t.all(3)
	t.log = t.reopen()
	if after := t.all(3); !equalAll(before, after) {
		t.Errorf("after the restart: got %s, want %s", describe(after), describe(before))
	}
	t.holds(t.read("b", 0), "b", 0, other)
	t.refused("a", eventlog.None, 1, fact("stale"))
	c := t.append("a", 1, fs[2])
	if c.Revision != 2 || c.Position <= before[2].Position {
		t.Errorf("first append after the restart: got %+v, want revision 2 after position %d", c, before[2].Position)
	}
	t.holds(t.read("a", 0), "a", 0, fs...)
}

func repeatAfterRestart(t *trial) {
	if t.reopen == nil {
		return
	}
	fs := facts("1", "2")
	first := t.append("a", eventlog.None, fs...)
	t.append("a", 1, fact("3"))
	t.log = t.reopen()
	t.repeat(first, "a", eventlog.None, fs...)
	t.all(3)
}
