package relay

import (
	"context"
	"errors"
	"fmt"

	"gridcase/domain/event"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// errStrange: the event is of a type that this program does not know, so what is in it can not be judged.
var errStrange = errors.New("an event of a type that this program does not know: it needs a newer one")

// read follows the log after a position, up to another or for ever, and hands on what may leave.
func (l *line) read(ctx context.Context, reading int, after, until eventlog.Position) {
	hand := func(c chunk) bool {
		c.reading = reading
		select {
		case l.chunks <- c:
			return true
		case <-ctx.Done():
			return false
		}
	}
	folder := event.NewFolder(20_000, func(n stream.Name, count int64) (event.State, error) {
		e, err := l.fold(ctx, n, eventlog.Revision(count-1))
		return e.After, err
	})
	for batch, err := range l.Log.Follow(ctx, after) {
		if err == nil && len(batch.Events) > 0 { // what is judged by the organisation must know all of it
			err = l.House.Settled(ctx, batch.Events[len(batch.Events)-1].Position)
		}
		c := chunk{live: batch.Live, upTo: after}
		for _, ev := range batch.Events {
			if err != nil {
				break
			}
			if until > 0 && ev.Position > until {
				c.over = true
				break
			}
			var it *item
			if it, err = l.judge(ctx, folder, ev); err != nil {
				break
			}
			if it != nil {
				it.before = after
				c.items = append(c.items, it)
			}
			after, c.upTo, c.logged, c.last = ev.Position, ev.Position, ev.At, witness{ev.Stream, ev.Revision, ev.ID.String()}
			c.over = ev.Position == until
		}
		if err != nil {
			if ctx.Err() == nil {
				// What was read before it is handed on first.
				c.live, c.over = false, false
				_ = hand(c) && hand(chunk{err: err})
			}
			return
		}
		if !hand(c) || c.over {
			return
		}
	}
}

// judge returns the message that an event makes, nil if it may not leave.
func (l *line) judge(ctx context.Context, folder *event.Folder, ev eventlog.Event) (*item, error) {
	e, err := folder.Next(stored(ev))
	if errors.Is(err, event.ErrRepeat) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	body, err := l.message(ctx, ev, e)
	if body == nil || err != nil {
		return nil, err
	}
	matter := e.Meta.Correlation.String()
	if matter == "" {
		matter = ev.Stream
	}
	return &item{position: ev.Position, stream: e.Stream, revision: ev.Revision, logged: ev.At, matter: matter, id: ev.ID.String(), body: body}, nil
}

// message returns what leaves of an event, nil if nothing does.
func (l *line) message(ctx context.Context, ev eventlog.Event, e event.Entry) ([]byte, error) {
	if _, strange := e.Body.(event.Unknown); strange && l.out.Terms.names(e.Stream, ev.Type) {
		return nil, fmt.Errorf("%s at position %s: %w", ev.Type, ev.Position, errStrange)
	}
	leaves, err := l.out.Terms.permit(ctx, l.House, e)
	if err != nil || !leaves {
		return nil, err
	}
	return envelope(ev, e.Meta, l.Source, l.out.Terms.Ciphertexts)
}

// find reads a held message again; nil if the terms do not permit it any more.
func (l *line) find(ctx context.Context, it *item) (body []byte, id string, err error) {
	for ev, err := range l.Log.Read(ctx, string(it.stream), it.revision) {
		if err != nil {
			return nil, "", err
		}
		e, err := l.fold(ctx, it.stream, it.revision)
		if err != nil {
			return nil, "", err
		}
		body, err := l.message(ctx, ev, e)
		return body, ev.ID.String(), err
	}
	return nil, "", fmt.Errorf("%s has no revision %d", it.stream, it.revision)
}

// fold returns one event of a stream with the states before and after it.
func (l *line) fold(ctx context.Context, n stream.Name, revision eventlog.Revision) (last event.Entry, err error) {
	folder := event.NewFolder(1, func(stream.Name, int64) (event.State, error) { return nil, nil })
	for ev, err := range l.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return last, err
		}
		if last, err = folder.Next(stored(ev)); err != nil {
			return last, err
		}
		if ev.Revision == revision {
			break
		}
	}
	return last, nil
}

func stored(ev eventlog.Event) event.Stored {
	return event.Stored{Stream: stream.Name(ev.Stream), Revision: int64(ev.Revision), ID: stream.ID(ev.ID), Type: ev.Type, Data: ev.Data, Meta: ev.Meta}
}
