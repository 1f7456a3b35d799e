package esdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gridcase/eventlog"
)

// heartbeat is how often the leader is asked whether it still is. HTTP/2 pings every ten seconds, the least that gRPC allows,
// would find a dead connection only after twenty.
const heartbeat = 500 * time.Millisecond

// link is a connection to one node, the leader as far as we know.
type link struct {
	at      string // host:port
	conn    *grpc.ClientConn
	streams streams.StreamsClient
	doubts  chan error // holds the newest reason to ask the node at once
}

func (l *Log) dial(at string) (*link, error) {
	conn, err := grpc.NewClient("passthrough:///"+at, l.dialing...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return &link{at: at, conn: conn, streams: streams.NewStreamsClient(conn), doubts: make(chan error, 1)}, nil
}

// doubt has the node asked now instead of at the next heartbeat. It never waits.
func (k *link) doubt(err error) {
	select {
	case k.doubts <- err:
	default:
	}
}

// link returns the connection to the leader, or waits until there is one.
func (l *Log) link(ctx context.Context) (*link, error) {
	for {
		l.mu.Lock()
		k, why, changed := l.current, l.why, l.changed
		l.mu.Unlock()
		switch {
		case l.ctx.Err() != nil:
			return nil, eventlog.ErrClosed
		case ctx.Err() != nil:
			return nil, unanswered{errors.Join(errors.New("no leader"), why)}
		case k != nil:
			return k, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (l *Log) publish(k *link, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.why = k, why
	close(l.changed)
	l.changed = make(chan struct{})
}

// keep holds a connection to the leader until the log is closed. A connection that is given up ends the calls on it; they
// go on with the next one.
func (l *Log) keep(k *link) {
	defer close(l.keeping)
	for pause := l.pause; ; {
		if k != nil {
			pause = l.pause
			hint, why := l.watch(k)
			l.publish(nil, why)
			k.conn.Close()
			if l.ctx.Err() != nil {
				return
			}
			l.options.Logger.Warn("the connection to the log is given up", "node", k.at, "why", why, "leader", hint)
			var err error
			if k, err = l.connect(l.ctx, hint); err == nil {
				l.publish(k, nil)
				l.options.Logger.Info("connected to the log", "node", k.at)
				continue
			}
			l.publish(nil, err)
		}
		select {
		case <-l.ctx.Done():
			l.publish(nil, nil)
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, slowest)
		var err error
		if k, err = l.connect(l.ctx, ""); err != nil {
			l.publish(nil, err)
			continue
		}
		l.publish(k, nil)
		l.options.Logger.Info("connected to the log", "node", k.at)
	}
}

// watch asks the node at each heartbeat whether it still leads, and at once when a call had reason to doubt. It returns when it
// does not, with the node that leads instead, if that is known.
func (l *Log) watch(k *link) (leader string, why error) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return "", eventlog.ErrClosed
		case <-tick.C:
		case err := <-k.doubts:
			var elsewhere notLeader
			if errors.As(err, &elsewhere) {
				return string(elsewhere), err
			}
		}
		if err := l.check(l.ctx, k); err != nil {
			return "", err
		}
	}
}

// check returns nil if the node answers and, in a cluster, says that it leads.
func (l *Log) check(ctx context.Context, k *link) error {
	ctx, cancel := context.WithTimeout(ctx, l.asking)
	defer cancel()
	if !l.cluster {
		_, err := serverfeatures.NewServerFeaturesClient(k.conn).GetSupportedMethods(ctx, &shared.Empty{}, grpc.WaitForReady(true))
		if status.Code(err) == codes.Unimplemented { // an old server; it answered
			return nil
		}
		return at(k.at, fault(err, nil))
	}
	leader, _, err := ask(ctx, k)
	if err == nil && leader != k.at {
		err = fmt.Errorf("it says that %q leads", leader)
	}
	return at(k.at, err)
}

func at(node string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", node, err)
}

// ask reads the gossip of a node: who leads, "" if nobody does, and who else is in the cluster.
func ask(ctx context.Context, k *link) (leader string, members []string, err error) {
	info, err := gossip.NewGossipClient(k.conn).Read(ctx, &shared.Empty{}, grpc.WaitForReady(true))
	if err != nil {
		return "", nil, fault(err, nil)
	}
	for _, m := range info.GetMembers() {
		e := m.GetHttpEndPoint()
		node := net.JoinHostPort(e.GetAddress(), strconv.Itoa(int(e.GetPort())))
		members = append(members, node)
		if m.GetState() == gossip.MemberInfo_Leader && m.GetIsAlive() {
			leader = node
		}
	}
	return leader, members, nil
}

// connect returns a checked connection to the leader: to the node of the hint if it is one, else to the server, or to whom
// the first of the nodes to answer names. It takes at most a few times the time for asking.
func (l *Log) connect(ctx context.Context, hint string) (*link, error) {
	if hint != "" {
		if k, err := l.checked(ctx, hint); err == nil {
			return k, nil
		}
	}
	if !l.cluster {
		return l.checked(ctx, l.seeds[0])
	}
	l.mu.Lock()
	seeds := slices.Clone(l.seeds)
	l.mu.Unlock()
	asking, cancel := context.WithTimeout(ctx, l.asking)
	defer cancel()
	type answer struct {
		leader string
		err    error
	}
	answers := make(chan answer)
	for _, seed := range seeds {
		go func() {
			leader, err := l.askSeed(asking, seed)
			answers <- answer{leader, err}
		}()
	}
	var errs []error
	found := ""
	for range seeds { // everybody is heard, or has lost its context: no goroutine stays behind
		a := <-answers
		switch {
		case a.err != nil:
			errs = append(errs, a.err)
		case found == "" && a.leader != "":
			found = a.leader
			cancel()
		}
	}
	if found == "" {
		return nil, errors.Join(append(errs, errors.New("no node names a leader"))...)
	}
	return l.checked(ctx, found)
}

// askSeed asks one node who leads, and remembers whom else it names.
func (l *Log) askSeed(ctx context.Context, seed string) (leader string, err error) {
	k, err := l.dial(seed)
	if err != nil {
		return "", err
	}
	defer k.conn.Close()
	leader, members, err := ask(ctx, k)
	if err != nil {
		return "", at(seed, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range members {
		if !slices.Contains(l.seeds, m) && len(l.seeds) < 64 {
			l.seeds = append(l.seeds, m)
		}
	}
	return leader, nil
}

// checked dials a node and returns the connection if the node passes its check.
func (l *Log) checked(ctx context.Context, node string) (*link, error) {
	k, err := l.dial(node)
	if err != nil {
		return nil, err
	}
	if err := l.check(ctx, k); err != nil {
		k.conn.Close()
		return nil, err
	}
	return k, nil
}
