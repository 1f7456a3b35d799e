package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"gridcase/eventlog"
)

// Append implements [eventlog.Log]. It costs two round trips after a read of the stream to its end, three without: the stream
// is looked at before, which tells a repeat from a first append, and after, because the server's answer has no time. What
// the server says of a repeat is never passed on.
//
// While no leader is there it tries again until ctx ends, at most for the time of defaultDeadline; the server knows the ids, so
// an attempt that had happened after all is not written again.
func (l *Log) Append(ctx context.Context, stream string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	fail := func(err error) (eventlog.Commit, error) {
		return eventlog.Commit{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	name, err := l.admissible(stream, expect, facts)
	if err != nil {
		return fail(err)
	}
	leave, err := l.turn(ctx, name)
	if err != nil {
		return fail(err)
	}
	defer leave()
	a := &appending{log: l, stream: stream, name: name, expect: expect, facts: facts, ends: l.heads.take(name, expect)}
	err = l.attempt(ctx, a.once)
	switch {
	case err == nil:
		if a.sent {
			l.heads.put(name, a.commit.Revision)
		}
		return a.commit, nil
	case !a.unsure || errors.Is(err, eventlog.ErrConflict) || errors.Is(err, eventlog.ErrTooLarge) || errors.Is(err, eventlog.ErrUnavailable):
		return fail(err)
	}
	return fail(fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err))
}

// turn waits until no other append to the stream is under way in this process.
func (l *Log) turn(ctx context.Context, name string) (leave func(), err error) {
	bounded, cancel := l.bounded(ctx)
	defer cancel()
	leave, err = l.turns.enter(bounded, name)
	switch {
	case l.ctx.Err() != nil && err == nil:
		leave()
		return nil, eventlog.ErrClosed
	case l.ctx.Err() != nil:
		return nil, eventlog.ErrClosed
	case err != nil && ctx.Err() == nil: // our patience is at its end, not the caller's
		return nil, fmt.Errorf("%w: an earlier append to the stream has no answer yet", eventlog.ErrUnavailable)
	}
	return leave, err
}

// admissible refuses what no state of the log could accept, and returns the stream's name in the server.
func (l *Log) admissible(stream string, expect eventlog.Revision, facts []eventlog.Fact) (name string, err error) {
	name, err = l.stored(stream)
	switch {
	case err != nil:
		return "", err
	case len(facts) == 0:
		return "", errors.New("no facts")
	case expect < eventlog.None:
		return "", fmt.Errorf("revision %d cannot be expected", expect)
	}
	size := 0
	for _, f := range facts {
		size += len(f.Data) + len(f.Meta)
	}
	if size > eventlog.MaxAppend {
		return "", fmt.Errorf("%d bytes: %w", size, eventlog.ErrTooLarge)
	}
	return name, nil
}

// appending is one append over its attempts.
type appending struct {
	log    *Log
	stream string
	name   string // in the server
	expect eventlog.Revision
	facts  []eventlog.Fact

	ends   bool // the stream was seen to end at expect, and nothing was sent since
	sent   bool // an attempt was made: what is found now is ours
	unsure bool // of an attempt there was no answer: it may still happen
	commit eventlog.Commit
}

// once makes one attempt: look, append, look again.
func (a *appending) once(ctx context.Context, k *link) error {
	if !a.ends {
		done, err := a.look(ctx, k)
		if err != nil || done {
			return err
		}
	}
	a.ends, a.sent = false, true
	err := a.log.send(ctx, k, a.name, a.expect, a.facts)
	var stands standsAt
	if err == nil || passing(err) && !isNotLeader(err) {
		a.unsure = true
	}
	if err != nil && !errors.As(err, &stands) {
		return err
	}
	done, lookErr := a.look(ctx, k)
	switch {
	case lookErr != nil || done:
		return lookErr
	case err != nil:
		return a.conflict(eventlog.Revision(stands))
	}
	return unanswered{errors.New("the server took the append and does not show it")}
}

// look reads what stands after the expected revision. It is done if that is our facts, and a conflict if it is anything else.
func (a *appending) look(ctx context.Context, k *link) (done bool, err error) {
	from := a.expect + 1
	if from < 0 { // after the highest revision there is
		return false, nil
	}
	held, err := a.log.events(ctx, k, readStream(a.name, from, len(a.facts)))
	if err != nil || len(held) == 0 {
		return false, err
	}
	for i, e := range held {
		if e.Revision != from+eventlog.Revision(i) {
			return false, fmt.Errorf("revision %d: %w", from, ErrGap)
		}
		if e.ID != a.facts[i].ID {
			return false, a.head(ctx, k)
		}
	}
	if len(held) < len(a.facts) {
		return false, a.head(ctx, k)
	}
	last := held[len(held)-1]
	a.commit = eventlog.Commit{Revision: last.Revision, Position: last.Position, At: last.At, Repeated: !a.sent}
	return true, nil
}

// head is the conflict, with the revision at which the stream stands.
func (a *appending) head(ctx context.Context, k *link) error {
	last, err := a.log.events(ctx, k, readStream(a.name, -1, 1))
	if err != nil {
		return err
	}
	if len(last) == 0 {
		return a.conflict(eventlog.None)
	}
	return a.conflict(last[0].Revision)
}

func (a *appending) conflict(actual eventlog.Revision) error {
	return &eventlog.ConflictError{Stream: a.stream, Expect: a.expect, Actual: actual}
}

// send appends. It returns nil if the server has the facts, and [standsAt] if the stream stands elsewhere.
//
// All of the facts are handed over, although io.EOF says that the call has ended: gRPC may begin it anew by itself, when the server
// had not seen it yet, and then repeats what it was given. Half a batch would be closed as if it were all.
func (l *Log) send(ctx context.Context, k *link, name string, expect eventlog.Revision, facts []eventlog.Fact) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := k.streams.Append(forLeader(ctx))
	if err != nil {
		return fault(err, nil)
	}
	if err := call.Send(header(name, expect)); err != nil && err != io.EOF {
		return fault(err, nil)
	}
	for _, f := range facts {
		if err := call.Send(proposed(f)); err != nil && err != io.EOF {
			return fault(err, nil)
		}
	}
	resp, err := call.CloseAndRecv() // after EOF it has the reason
	if err != nil {
		return fault(err, call.Trailer())
	}
	switch r := resp.GetResult().(type) {
	case *streams.AppendResp_Success_:
		return nil
	case *streams.AppendResp_WrongExpectedVersion_:
		if c, ok := r.WrongExpectedVersion.GetCurrentRevisionOption().(*streams.AppendResp_WrongExpectedVersion_CurrentRevision); ok {
			return standsAt(c.CurrentRevision)
		}
		return standsAt(eventlog.None)
	}
	return unanswered{errors.New("the server answered an append with nothing")}
}
