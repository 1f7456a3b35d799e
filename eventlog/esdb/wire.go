package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gridcase/eventlog"
)

// unanswered is an error of the way to the server or of its state, not of the call: the same call may succeed later.
type unanswered struct{ err error }

func (u unanswered) Error() string { return u.err.Error() }
func (u unanswered) Unwrap() error { return u.err }

// notLeader names the node that leads, "" if the server did not say.
type notLeader string

func (n notLeader) Error() string {
	return fmt.Sprintf("the node does not lead; it names %q", string(n))
}

// passing reports whether the same call may succeed later.
func passing(err error) bool {
	var u unanswered
	return errors.As(err, &u) || isNotLeader(err)
}

func isNotLeader(err error) bool {
	var n notLeader
	return errors.As(err, &n)
}

// errDeleted: somebody deleted the stream in the server.
var errDeleted = fmt.Errorf("the stream was deleted: %w", ErrGap)

// fault says what an error of a call means: by the exception that the server names in the trailer, then by the status.
func fault(err error, trailer metadata.MD) error {
	if err == nil {
		return nil
	}
	first := func(key string) string {
		if v := trailer.Get(key); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	switch first("exception") {
	case "not-leader":
		host, port := first("leader-endpoint-host"), first("leader-endpoint-port")
		if _, err := strconv.ParseUint(port, 10, 16); err != nil || host == "" {
			return notLeader("")
		}
		return notLeader(net.JoinHostPort(host, port))
	case "maximum-append-size-exceeded", "maximum-append-event-size-exceeded":
		return fmt.Errorf("the server's maximum is %s bytes, types and all: %w", first("maximum-append-size"), eventlog.ErrTooLarge)
	case "stream-deleted":
		return errDeleted
	case "wrong-expected-version":
		r, err := strconv.ParseInt(first("actual-version"), 10, 64)
		if err != nil {
			r = int64(eventlog.None)
		}
		return standsAt(r)
	}
	s := status.Convert(err)
	switch s.Code() {
	case codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument, codes.Unimplemented, codes.FailedPrecondition,
		codes.OutOfRange, codes.NotFound, codes.AlreadyExists, codes.ResourceExhausted, codes.DataLoss:
		return fmt.Errorf("%s: %s: %w", s.Code(), s.Message(), ErrRefused)
	}
	// Unavailable, DeadlineExceeded, Aborted (the server's own timeout), and what a broken connection becomes.
	return unanswered{fmt.Errorf("%s: %s", s.Code(), s.Message())}
}

// standsAt is the revision at which the server says that a stream stands.
type standsAt eventlog.Revision

func (s standsAt) Error() string { return fmt.Sprintf("the stream stands at %d", int64(s)) }

// forLeader marks a call as one that only the leader may answer.
func forLeader(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "requires-leader", "true")
}

func identifier(name string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(name)}
}

// header opens an append.
func header(name string, expect eventlog.Revision) *streams.AppendReq {
	o := &streams.AppendReq_Options{StreamIdentifier: identifier(name)}
	if expect == eventlog.None {
		o.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	} else {
		o.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: uint64(expect)}
	}
	return &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: o}}
}

func proposed(f eventlog.Fact) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Id:       &shared.UUID{Value: &shared.UUID_String_{String_: f.ID.String()}},
		Metadata: map[string]string{"type": f.Type, "content-type": eventlog.ContentType},
		Data:     f.Data, CustomMetadata: f.Meta,
	}}}
}

// readOptions are what all reads have in common.
func readOptions() *streams.ReadReq_Options {
	return &streams.ReadReq_Options{
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
	}
}

// readStream asks for count events of a stream from a revision on, or for its last one if from is below 0.
func readStream(name string, from eventlog.Revision, count int) *streams.ReadReq {
	o := readOptions()
	s := &streams.ReadReq_Options_StreamOptions{StreamIdentifier: identifier(name), RevisionOption: &streams.ReadReq_Options_StreamOptions_Revision{Revision: uint64(from)}}
	if from < 0 {
		s.RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
		o.ReadDirection, count = streams.ReadReq_Options_Backwards, 1
	}
	o.StreamOption, o.CountOption = &streams.ReadReq_Options_Stream{Stream: s}, &streams.ReadReq_Options_Count{Count: uint64(count)}
	return &streams.ReadReq{Options: o}
}

// window is how many events of others the server looks at before it tells how far it has come.
const window = 1000

func (l *Log) ours() *streams.ReadReq_Options_Filter {
	return &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{l.prefix}}},
		Window: &streams.ReadReq_Options_FilterOptions_Max{Max: window}, CheckpointIntervalMultiplier: 1,
	}}
}

// readEnd asks for the newest event of the log.
func (l *Log) readEnd() *streams.ReadReq {
	o := readOptions()
	o.ReadDirection, o.FilterOption, o.CountOption = streams.ReadReq_Options_Backwards, l.ours(), &streams.ReadReq_Options_Count{Count: 1}
	o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}}}
	return &streams.ReadReq{Options: o}
}

// subscribe asks for everything of the log after a position, for ever.
func (l *Log) subscribe(after eventlog.Position) *streams.ReadReq {
	all := &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}
	if after > 0 {
		p := uint64(after) - 1
		all.AllOption = &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{CommitPosition: p, PreparePosition: p}}
	}
	o := readOptions()
	o.FilterOption, o.StreamOption = l.ours(), &streams.ReadReq_Options_All{All: all}
	o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	return &streams.ReadReq{Options: o}
}

// event is an event as the log gives it out.
func (l *Log) event(r *streams.ReadResp_ReadEvent_RecordedEvent) (eventlog.Event, error) {
	name := string(r.GetStreamIdentifier().GetStreamName())
	bad := func(what string, v any) (eventlog.Event, error) {
		return eventlog.Event{}, fmt.Errorf("event %d of %s: %s %v", r.GetStreamRevision(), name, what, v)
	}
	if len(name) < len(l.space) || name[:len(l.space)] != l.space {
		return bad("the server sent a stream that we did not ask for:", name)
	}
	if r.GetCommitPosition() != r.GetPreparePosition() {
		// Only transactions of the old TCP protocol make such events, and several of them would share one position.
		return bad("it was written by another program: it is prepared at another position than committed:", r.GetPreparePosition())
	}
	id, err := identity(r.GetId())
	if err != nil {
		return bad("id:", err)
	}
	ticks, err := strconv.ParseInt(r.GetMetadata()["created"], 10, 64) // of 100 ns, since 1970
	if err != nil {
		return bad("time:", err)
	}
	e := eventlog.Event{
		Fact:     eventlog.Fact{ID: id, Type: r.GetMetadata()["type"], Data: r.GetData(), Meta: r.GetCustomMetadata()},
		Stream:   name[len(l.space):],
		Revision: eventlog.Revision(r.GetStreamRevision()),
		Position: eventlog.Position(r.GetCommitPosition() + 1),
		At:       time.Unix(ticks/1e7, ticks%1e7*100).UTC().Truncate(time.Microsecond),
	}
	if e.Data == nil {
		e.Data = []byte{}
	}
	if e.Meta == nil {
		e.Meta = []byte{}
	}
	return e, nil
}

func identity(u *shared.UUID) (uuid.UUID, error) {
	switch v := u.GetValue().(type) {
	case *shared.UUID_String_:
		return uuid.Parse(v.String_)
	case *shared.UUID_Structured_:
		var id uuid.UUID
		for i := range 8 {
			id[i] = byte(v.Structured.GetMostSignificantBits() >> (56 - 8*i))
			id[8+i] = byte(v.Structured.GetLeastSignificantBits() >> (56 - 8*i))
		}
		return id, nil
	}
	return uuid.UUID{}, errors.New("none")
}

// events runs a read that ends and returns what came, nothing if there is no such stream.
func (l *Log) events(ctx context.Context, k *link, req *streams.ReadReq) (es []eventlog.Event, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := k.streams.Read(forLeader(ctx), req)
	if err != nil {
		return nil, fault(err, nil)
	}
	for {
		resp, err := call.Recv()
		if err == io.EOF {
			return es, nil
		}
		if err != nil {
			return nil, fault(err, call.Trailer())
		}
		switch c := resp.GetContent().(type) {
		case *streams.ReadResp_Event:
			e, err := l.event(c.Event.GetEvent())
			if err != nil {
				return nil, err
			}
			es = append(es, e)
		case *streams.ReadResp_StreamNotFound_:
			return nil, nil
		}
	}
}
