package esdbtest

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"gridcase/eventlog"
)

// Options describe a cluster.
type Options struct {
	Nodes         int               // 0 means 1
	MaxAppendSize int               // in bytes, counted as the server does: data, metadata and twice the type's length; 0 means 1 MiB, the server's default
	Old           bool              // as servers before 23.10: nothing says that a subscription has caught up
	Authority     *Authority        // nil: no TLS, and no credentials asked for
	Users         map[string]string // passwords by name; with an Authority, a user certificate of it does as well
	Clock         func() time.Time  // nil: time.Now
}

// Cluster is some nodes on one log. All methods may be called at any time.
type Cluster struct {
	Faults  Faults
	options Options
	store   *store

	mu     sync.Mutex
	nodes  []*Node
	leader int
	shift  chan struct{} // closed when the leader changes
}

// Start starts a cluster on free ports of this machine. The first node leads.
func Start(o Options) (*Cluster, error) {
	if o.MaxAppendSize == 0 {
		o.MaxAppendSize = 1 << 20
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	c := &Cluster{options: o, store: newStore(), shift: make(chan struct{})}
	for i := range max(o.Nodes, 1) {
		n := &Node{cluster: c, number: i, id: uuid.New()}
		c.nodes = append(c.nodes, n)
		if err := n.Start(); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// Close stops all nodes. The log is gone with it.
func (c *Cluster) Close() error {
	for _, n := range c.nodes {
		n.Stop()
	}
	return nil
}

// Node returns the i-th node.
func (c *Cluster) Node(i int) *Node { return c.nodes[i] }

// Lead makes the i-th node the leader. Subscriptions that need the leader end on the old one with its answer "not leader".
func (c *Cluster) Lead(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leader = i
	close(c.shift)
	c.shift = make(chan struct{})
}

func (c *Cluster) leading() (*Node, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[c.leader], c.shift
}

// ConnectionString names the one node, or all of them as a cluster. Settings are "name=value".
func (c *Cluster) ConnectionString(settings ...string) string {
	var hosts []string
	for _, n := range c.nodes {
		hosts = append(hosts, n.Advertised())
	}
	s := "esdb://" + strings.Join(hosts, ",")
	if c.options.Authority == nil {
		settings = append(settings, "tls=false")
	} else {
		settings = append(settings, "tlsCaFile="+url.QueryEscape(c.options.Authority.File))
	}
	return s + "?" + strings.Join(settings, "&")
}

// Put appends events to a stream without any check, as another program or the server itself does.
func (c *Cluster) Put(stream string, types ...string) {
	rs, _ := c.store.stream(stream)
	var ps []proposal
	for _, t := range types {
		ps = append(ps, proposal{id: uuid.New(), typ: t, content: "application/json", data: []byte("{}"), meta: []byte("{}")})
	}
	c.store.append(stream, int64(len(rs))-1, ps, c.options.Clock())
}

// Delete deletes a stream for ever, as an operator can.
func (c *Cluster) Delete(stream string) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.store.deleted[stream] = true
}

// Redact overwrites the payload of one event with 0xFF, as the server's redaction tool does.
func (c *Cluster) Redact(stream string, revision int) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	old := c.store.streams[stream][revision]
	blank := *old
	blank.data = make([]byte, len(old.data))
	for i := range blank.data {
		blank.data[i] = 0xFF
	}
	c.store.streams[stream][revision] = &blank
	for i, r := range c.store.log {
		if r == old {
			c.store.log[i] = &blank
		}
	}
}

// Held is an event that the log holds.
type Held struct {
	Stream string
	ID     uuid.UUID
	Data   []byte
}

// Held returns the events of all streams whose names begin with a prefix, in log order.
func (c *Cluster) Held(prefix string) (held []Held) {
	rs, _ := c.store.after(0, math.MaxInt32)
	for _, r := range rs {
		if strings.HasPrefix(r.stream, prefix) {
			held = append(held, Held{r.stream, r.id, r.data})
		}
	}
	return held
}

// Node is one server. It can be stopped and started again at the same address.
type Node struct {
	cluster *Cluster
	number  int
	id      uuid.UUID

	mu         sync.Mutex
	address    string // from the first start on
	advertised string
	server     *grpc.Server
	stopping   chan struct{}
	served     chan struct{}
	conns      counted
}

// Address is where the node listens.
func (n *Node) Address() string { n.mu.Lock(); defer n.mu.Unlock(); return n.address }

// Advertised is the address by which the cluster names the node to clients.
func (n *Node) Advertised() string { n.mu.Lock(); defer n.mu.Unlock(); return n.advertised }

// Advertise makes the cluster name another address for the node, such as that of a proxy before it.
func (n *Node) Advertise(address string) { n.mu.Lock(); defer n.mu.Unlock(); n.advertised = address }

// Conns is the number of connections that the node has.
func (n *Node) Conns() int { return int(n.conns.n.Load()) }

func (n *Node) alive() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.server != nil }

// Start starts a node that does not run.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		return nil
	}
	at := n.address
	if at == "" {
		at = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", at)
	if err != nil {
		return fmt.Errorf("node %d: %w", n.number, err)
	}
	n.address = listener.Addr().String()
	if n.advertised == "" {
		n.advertised = n.address
	}
	n.stopping, n.served = make(chan struct{}), make(chan struct{})
	n.server = n.serving(n.stopping)
	go func(s *grpc.Server, served chan struct{}) {
		defer close(served)
		_ = s.Serve(n.conns.on(listener)) // until Stop
	}(n.server, n.served)
	return nil
}

// Stop ends the node at once: connections break, calls under way get no answer. What the cluster holds stays.
func (n *Node) Stop() {
	n.mu.Lock()
	s, stopping, served := n.server, n.stopping, n.served
	n.server = nil
	n.mu.Unlock()
	if s == nil {
		return
	}
	close(stopping)
	s.Stop()
	<-served
}

// Load takes over events as they are, ids, revisions and times included, for measurements. They must be whole streams or go on
// with those that are there.
func (c *Cluster) Load(events iter.Seq[eventlog.Event]) error {
	for e := range events {
		p := proposal{id: e.ID, typ: e.Type, content: eventlog.ContentType, data: e.Data, meta: e.Meta}
		if o, head, _ := c.store.append(e.Stream, int64(e.Revision)-1, []proposal{p}, e.At); o != written {
			return fmt.Errorf("load: %s stands at %d, revision %d does not follow", e.Stream, head, e.Revision)
		}
	}
	return nil
}
