package esdbtest

import (
	"context"
	"encoding/base64"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// serving makes the gRPC server of a node that runs until stopping is closed.
func (n *Node) serving(stopping <-chan struct{}) *grpc.Server {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(17 << 20), grpc.MaxSendMsgSize(17 << 20), grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			if err := n.admit(ctx); err != nil {
				return nil, err
			}
			return h(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			if err := n.admit(s.Context()); err != nil {
				return err
			}
			return h(srv, s)
		}),
	}
	if a := n.cluster.options.Authority; a != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(a.server())))
	}
	s := grpc.NewServer(options...)
	serverfeatures.RegisterServerFeaturesServer(s, features{})
	gossip.RegisterGossipServer(s, gossiping{cluster: n.cluster})
	streams.RegisterStreamsServer(s, &service{node: n, cluster: n.cluster, store: n.cluster.store, stopping: stopping})
	return s
}

// admit wants a password or a user certificate, on an encrypted node.
func (n *Node) admit(ctx context.Context) error {
	if n.cluster.options.Authority == nil {
		return nil
	}
	if p, ok := peer.FromContext(ctx); ok {
		if t, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(t.State.VerifiedChains) > 0 {
			return nil
		}
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get("authorization") {
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(v, "Basic "))
		name, password, _ := strings.Cut(string(b), ":")
		if want, known := n.cluster.options.Users[name]; err == nil && known && want == password {
			return nil
		}
	}
	return status.Error(codes.Unauthenticated, "not authenticated")
}

type features struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

func (features) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: "24.6.0", Methods: []*serverfeatures.SupportedMethod{
		{ServiceName: "event_store.client.streams.streams", MethodName: "append"},
		{ServiceName: "event_store.client.streams.streams", MethodName: "read"},
	}}, nil
}

type gossiping struct {
	gossip.UnimplementedGossipServer
	cluster *Cluster
}

func (g gossiping) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	leader, _ := g.cluster.leading()
	info := &gossip.ClusterInfo{}
	for _, n := range g.cluster.nodes {
		host, port := hostPort(n.Advertised())
		state := gossip.MemberInfo_Follower
		if n == leader {
			state = gossip.MemberInfo_Leader
		}
		info.Members = append(info.Members, &gossip.MemberInfo{InstanceId: text(n.id), State: state, IsAlive: n.alive(),
			HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(port)}})
	}
	return info, nil
}

func hostPort(address string) (string, int) {
	host, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	return host, n
}

func text(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
}

// service is the streams of one node.
type service struct {
	streams.UnimplementedStreamsServer
	node     *Node
	cluster  *Cluster
	store    *store
	stopping <-chan struct{}
}

// exception is an error as the server makes it: a status, and the reason in the trailer.
func exception(s grpc.ServerStream, code codes.Code, message, reason string, more ...string) error {
	s.SetTrailer(metadata.Pairs(append([]string{"exception", reason}, more...)...))
	return status.Error(code, message)
}

// leads refuses a call that only the leader may answer, and names the leader.
func (v *service) leads(s grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(s.Context())
	leader, _ := v.cluster.leading()
	if leader == v.node || len(md.Get("requires-leader")) == 0 {
		return nil
	}
	host, port := hostPort(leader.Advertised())
	return exception(s, codes.NotFound, "Leader info available", "not-leader", "leader-endpoint-host", host, "leader-endpoint-port", strconv.Itoa(port))
}

// Append implements the streamed append: a header, the events, one answer.
func (v *service) Append(s streams.Streams_AppendServer) error {
	if err := v.leads(s); err != nil {
		return err
	}
	first, err := s.Recv()
	if err != nil {
		return err
	}
	o := first.GetOptions()
	stream := string(o.GetStreamIdentifier().GetStreamName())
	expect := int64(-1)
	switch e := o.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_Revision:
		expect = int64(e.Revision)
	case *streams.AppendReq_Options_NoStream:
	default: // GridCase has no "any revision": whoever sends it is wrong
		return status.Error(codes.InvalidArgument, "an expected revision is wanted")
	}
	var ps []proposal
	size := 0
	for {
		req, err := s.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		m := req.GetProposedMessage()
		id, err := uuid.Parse(m.GetId().GetString_())
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		p := proposal{id: id, typ: m.GetMetadata()["type"], content: m.GetMetadata()["content-type"], data: m.GetData(), meta: m.GetCustomMetadata()}
		for _, property := range []string{"type", "content-type"} {
			if _, given := m.GetMetadata()[property]; !given {
				return exception(s, codes.InvalidArgument, "missing "+property, "missing-required-metadata-property")
			}
		}
		if size += len(p.data) + len(p.meta) + 2*len(p.typ); size > v.cluster.options.MaxAppendSize { // before the rest is read
			return exception(s, codes.InvalidArgument, "Maximum Append Size Exceeded", "maximum-append-size-exceeded",
				"maximum-append-size", strconv.Itoa(v.cluster.options.MaxAppendSize))
		}
		ps = append(ps, p)
	}
	f := &v.cluster.Faults
	if f.take(&f.refused) {
		return status.Error(codes.Aborted, "Operation timed out: prepare phase")
	}
	if f.take(&f.dropped) {
		return v.silence(s.Context())
	}
	done, head, position := v.store.append(stream, expect, ps, v.cluster.options.Clock())
	if done == written && f.take(&f.unanswered) {
		return status.Error(codes.Unavailable, "connection lost after the commit")
	}
	if done == written && f.take(&f.silent) {
		return v.silence(s.Context())
	}
	switch done {
	case deleted:
		return exception(s, codes.FailedPrecondition, "Event stream '"+stream+"' is deleted.", "stream-deleted", "stream-name", stream)
	case elsewhere:
		w := &streams.AppendResp_WrongExpectedVersion{
			CurrentRevisionOption:  &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(head)},
			ExpectedRevisionOption: &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(expect)},
		}
		if head < 0 {
			w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
		}
		return s.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: w}})
	}
	ok := &streams.AppendResp_Success{CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(head)},
		PositionOption: &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{CommitPosition: position, PreparePosition: position}}}
	if done == repeated { // some versions do not know it any more
		ok.PositionOption = &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}}
	}
	return s.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: ok}})
}

// silence gives no answer until the client or the node is gone.
func (v *service) silence(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-v.stopping:
		return status.Error(codes.Unavailable, "stopping")
	}
}

// Read implements reads of a stream and of $all, and subscriptions to $all.
func (v *service) Read(req *streams.ReadReq, s streams.Streams_ReadServer) error {
	if err := v.leads(s); err != nil {
		return err
	}
	o := req.GetOptions()
	backwards := o.GetReadDirection() == streams.ReadReq_Options_Backwards
	var prefixes []string
	if f := o.GetFilter(); f != nil {
		prefixes = f.GetStreamIdentifier().GetPrefix()
		if len(prefixes) == 0 {
			return status.Error(codes.InvalidArgument, "only prefixes of stream names are understood")
		}
	}
	switch {
	case o.GetStream() != nil && o.GetSubscription() == nil:
		return v.readStream(o.GetStream(), backwards, o.GetCount(), s)
	case o.GetAll() != nil && o.GetSubscription() == nil && backwards && o.GetAll().GetEnd() != nil:
		return v.readBack(prefixes, o.GetCount(), s)
	case o.GetAll() != nil && o.GetSubscription() != nil && !backwards:
		return v.subscription(o, prefixes, s)
	}
	return status.Error(codes.Unimplemented, "this node reads streams, $all backwards from its end, and subscribes to $all")
}

func (v *service) readStream(o *streams.ReadReq_Options_StreamOptions, backwards bool, count uint64, s streams.Streams_ReadServer) error {
	name := string(o.GetStreamIdentifier().GetStreamName())
	rs, gone := v.store.stream(name)
	switch {
	case gone:
		return exception(s, codes.FailedPrecondition, "Event stream '"+name+"' is deleted.", "stream-deleted", "stream-name", name)
	case len(rs) == 0:
		return s.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{StreamIdentifier: o.GetStreamIdentifier()}}})
	}
	step, at := 1, uint64(0)
	if backwards {
		step, at = -1, uint64(len(rs)-1)
	}
	if r, given := o.GetRevisionOption().(*streams.ReadReq_Options_StreamOptions_Revision); given {
		at = r.Revision
	}
	for ; count > 0 && at < uint64(len(rs)); count-- { // below 0 is above everything
		if err := s.Send(shown(rs[at])); err != nil {
			return err
		}
		at += uint64(step)
	}
	return s.Send(&streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{LastStreamPosition: uint64(len(rs) - 1)}})
}

func (v *service) readBack(prefixes []string, count uint64, s streams.Streams_ReadServer) error {
	rs, _ := v.store.after(0, math.MaxInt32)
	for i := len(rs) - 1; i >= 0 && count > 0; i-- {
		if prefixes != nil && !hasAny(rs[i].stream, prefixes) {
			continue
		}
		if err := s.Send(shown(rs[i])); err != nil {
			return err
		}
		count--
	}
	return nil
}

// shown is an event as it is sent.
func shown(r *record) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: r.position},
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id: text(r.id), StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(r.stream)}, StreamRevision: r.revision,
			CommitPosition: r.position, PreparePosition: r.position, Data: r.data, CustomMetadata: r.meta,
			Metadata: map[string]string{"type": r.typ, "content-type": r.content, "created": strconv.FormatInt(r.created.UnixNano()/100, 10)},
		}}}}
}

func checkpoint(position uint64) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: position, PreparePosition: position}}}
}

// subscription sends everything after a position, for ever.
func (v *service) subscription(o *streams.ReadReq_Options, prefixes []string, s streams.Streams_ReadServer) error {
	next := 0
	if p, given := o.GetAll().GetAllOption().(*streams.ReadReq_Options_AllOptions_Position); given {
		next = v.store.index(p.Position.GetCommitPosition() + 1) // exclusive
	}
	id := uuid.NewString()
	if err := s.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: id}}}); err != nil {
		return err
	}
	f := &v.cluster.Faults
	told, passed := false, uint64(0)
	every := uint64(max(o.GetFilter().GetMax(), 1)) * uint64(max(o.GetFilter().GetCheckpointIntervalMultiplier(), 1))
	for {
		rs, moved := v.store.after(next, 256)
		_, shift := v.cluster.leading()
		if err := v.leads(s); err != nil {
			return err
		}
		for _, r := range rs {
			next++
			if prefixes != nil && !hasAny(r.stream, prefixes) {
				if passed++; passed%every == 0 {
					if err := s.Send(checkpoint(r.position)); err != nil {
						return err
					}
				}
				continue
			}
			if f.hides(r) {
				continue
			}
			if f.take(&f.lying) {
				if err := s.Send(checkpoint(r.position)); err != nil {
					return err
				}
				return status.Error(codes.Unavailable, "lost between a checkpoint and the event before it")
			}
			for range 1 + f.copies() {
				if err := s.Send(shown(r)); err != nil {
					return err
				}
			}
			if f.take(&f.slow) {
				return status.Error(codes.Aborted, "Operation timed out: the consumer is too slow")
			}
		}
		if len(rs) > 0 {
			continue
		}
		if !told && !v.cluster.options.Old {
			if err := s.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}}); err != nil {
				return err
			}
		}
		told = true
		select {
		case <-moved:
		case <-shift:
		case <-s.Context().Done():
			return s.Context().Err()
		case <-v.stopping:
			return status.Error(codes.Unavailable, "stopping")
		}
	}
}

// counted counts the connections that a listener accepts and that are open.
type counted struct{ n atomic.Int64 }

type countingListener struct {
	net.Listener
	count *counted
}

func (c *counted) on(l net.Listener) *countingListener { return &countingListener{l, c} }

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.count.n.Add(1)
	return &countedConn{Conn: conn, gone: sync.OnceFunc(func() { l.count.n.Add(-1) })}, nil
}

type countedConn struct {
	net.Conn
	gone func()
}

func (c *countedConn) Close() error {
	c.gone()
	return c.Conn.Close()
}
