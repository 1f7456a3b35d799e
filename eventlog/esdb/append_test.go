package esdb

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"

	"gridcase/eventlog"
)

// broken is a call whose connection dies after some messages. Like gRPC, it keeps what it is given after that, and when it is closed
// begins anew with all of it elsewhere.
type broken struct {
	streams.Streams_AppendClient
	after int
	kept  []*streams.AppendReq
}

func (b *broken) Send(m *streams.AppendReq) error {
	if b.kept = append(b.kept, m); len(b.kept) > b.after {
		return io.EOF
	}
	return nil
}

func (b *broken) CloseAndRecv() (*streams.AppendResp, error) {
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{}}}, nil
}

type breaking struct {
	streams.StreamsClient
	call *broken
}

func (b breaking) Append(context.Context, ...grpc.CallOption) (streams.Streams_AppendClient, error) {
	return b.call, nil
}

// A batch of which gRPC sends a part, then begins anew by itself, arrives whole: never a part of it, closed as if it were all.
func TestABatchIsHandedOverWholeWhereverItsConnectionDies(t *testing.T) {
	facts := make([]eventlog.Fact, 3)
	for i := range facts {
		facts[i] = eventlog.Fact{ID: uuid.New(), Type: "demand-raised/1", Data: fmt.Append(nil, i), Meta: []byte("{}")}
	}
	for after := range len(facts) + 2 {
		call := &broken{after: after}
		if err := (&Log{}).send(t.Context(), &link{streams: breaking{call: call}}, "gridcase.demand-1", eventlog.None, facts); err != nil {
			t.Fatal(err)
		}
		if got, want := len(call.kept), 1+len(facts); got != want {
			t.Errorf("dead after %d messages: %d were handed over, want %d", after, got, want)
		}
	}
}
