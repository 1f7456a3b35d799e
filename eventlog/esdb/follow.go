package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"gridcase/eventlog"
)

// ahead is how many frames of a subscription may wait for the consumer; then the server has to. A batch is at most as many events.
const ahead = 1024

// Follow implements [eventlog.Log]. When the subscription is lost, an empty batch that is not live says so, and Follow asks
// for it again after the last event it has given out, for ever. A position beyond the end of the log is an error, not a wait:
// it was another log's.
func (l *Log) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		f := &follower{log: l, after: after, yield: yield}
		scoped, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(l.ctx, cancel)()
		for pause := 10 * time.Millisecond; ; pause = min(2*pause, slowest) {
			before := f.after
			err := f.once(scoped)
			switch {
			case f.left:
				return
			case l.ctx.Err() != nil:
				yield(eventlog.Batch{}, eventlog.ErrClosed)
				return
			case ctx.Err() != nil:
				yield(eventlog.Batch{}, fmt.Errorf("follow: %w", ctx.Err()))
				return
			case !passing(err):
				yield(eventlog.Batch{}, fmt.Errorf("follow after position %d: %w", f.after, err))
				return
			}
			l.options.Resubscribed()
			l.options.Logger.Warn("the subscription to the log is lost", "after", f.after, "why", err)
			if f.told && !f.give(eventlog.Batch{}) {
				return
			}
			if f.after > before {
				pause = 10 * time.Millisecond
			}
			select {
			case <-scoped.Done():
			case <-time.After(pause):
			}
		}
	}
}

// follower is one Follow over its subscriptions.
type follower struct {
	log   *Log
	yield func(eventlog.Batch, error) bool
	after eventlog.Position // of the last event given out
	told  bool              // the last batch was live
	left  bool              // the consumer has
}

// give hands a batch out. It returns false if the consumer wants no more.
func (f *follower) give(b eventlog.Batch) bool {
	if n := len(b.Events); n > 0 {
		f.after = b.Events[n-1].Position
	}
	f.told = b.Live
	f.left = !f.yield(b, nil)
	return !f.left
}

// frame is what a subscription brings: an event, or news of how far the server has come.
type frame struct {
	event    eventlog.Event    // Position 0: none
	caughtUp bool              // the server has nothing more now
	behind   bool              // it has again
	passed   eventlog.Position // it has looked at everything before; good to tell whether we are live, not to resume from
}

// once follows until the subscription ends, and says why.
func (f *follower) once(ctx context.Context) error {
	// What is there now will be sent before the subscription is live, whether the server is of a version that says so or not.
	end, err := f.log.End(ctx)
	if err != nil {
		return err
	}
	if f.after > end {
		return fmt.Errorf("the log ends at %d", end)
	}
	k, err := f.log.link(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := k.streams.Read(forLeader(ctx), f.log.subscribe(f.after))
	if err != nil {
		return fault(err, nil)
	}
	frames := make(chan frame, ahead)
	var lost error
	var receiving sync.WaitGroup
	receiving.Go(func() {
		defer close(frames)
		if lost = f.log.receive(ctx, call, frames); passing(lost) && ctx.Err() == nil {
			k.doubt(lost)
		}
	})
	defer receiving.Wait() // with the context cancelled before: nothing stays behind
	defer cancel()
	if f.take(frames, end) {
		return nil
	}
	return lost
}

// take gathers frames into batches until there are no more. It returns true if the consumer left.
func (f *follower) take(frames <-chan frame, end eventlog.Position) (left bool) {
	live := false
	for fr := range frames {
		var b eventlog.Batch
		last := f.after
	gather:
		for {
			switch {
			case fr.event.Position > last: // else we have it
				last = fr.event.Position
				b.Events = append(b.Events, fr.event)
			case fr.behind: // only the server can tell now
				live, end = false, math.MaxUint64
			}
			live = live || fr.caughtUp || last >= end || fr.passed >= end
			if len(b.Events) == ahead {
				break
			}
			select {
			case next, open := <-frames:
				if !open {
					break gather
				}
				fr = next
			default:
				break gather
			}
		}
		b.Live = live && len(frames) == 0
		if len(b.Events) == 0 && b.Live == f.told {
			continue
		}
		if !f.give(b) {
			return true
		}
	}
	return false
}

// receive turns what the server sends into frames until it ends, and says why it did.
func (l *Log) receive(ctx context.Context, call streams.Streams_ReadClient, frames chan<- frame) error {
	for {
		resp, err := call.Recv()
		if err == io.EOF {
			return unanswered{errors.New("the server ended the subscription")}
		}
		if err != nil {
			return fault(err, call.Trailer())
		}
		var f frame
		switch c := resp.GetContent().(type) {
		case *streams.ReadResp_Event:
			if f.event, err = l.event(c.Event.GetEvent()); err != nil {
				return err
			}
		case *streams.ReadResp_CaughtUp_:
			f.caughtUp = true
		case *streams.ReadResp_FellBehind_:
			f.behind = true
		case *streams.ReadResp_Checkpoint_:
			f.passed = eventlog.Position(c.Checkpoint.GetCommitPosition() + 1)
		case *streams.ReadResp_Confirmation: // so that a live log says so at once
		default:
			continue
		}
		select {
		case frames <- f:
		case <-ctx.Done():
			return unanswered{ctx.Err()}
		}
	}
}
