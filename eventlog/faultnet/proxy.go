// Package faultnet is a TCP proxy that does to connections what networks do: it resets them, before or after bytes arrived,
// lets them fall silent, forgets one side of them, and delays them. It is for tests.
package faultnet

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy passes connections on to a target. All methods may be called at any time.
type Proxy struct {
	listener net.Listener
	target   string
	done     sync.WaitGroup

	mu     sync.Mutex
	pairs  map[*pair]bool
	healed chan struct{} // not nil while nothing passes; closed when it does again
	delay  time.Duration
	closed bool
	trap   int64       // bytes that go to the target until the trap springs; 0: none is set
	sprung atomic.Bool // the trap has
}

// pair is one connection through the proxy.
type pair struct {
	proxy          *Proxy
	client, target net.Conn      // target: nil until there is a connection to it
	gone           chan struct{} // closed with both
	half           atomic.Bool   // the target is gone and the client does not know
	deaf           atomic.Bool   // nothing goes back to the client
	end            func()
}

// Listen starts a proxy before a target.
func Listen(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("fault proxy: %w", err)
	}
	p := &Proxy{listener: l, target: target, pairs: map[*pair]bool{}}
	p.done.Go(p.accept)
	return p, nil
}

// Address is where clients connect to.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Conns is the number of connections that clients have through the proxy.
func (p *Proxy) Conns() int { p.mu.Lock(); defer p.mu.Unlock(); return len(p.pairs) }

// Close resets all connections and takes no more.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Heal()
	p.listener.Close()
	p.Cut()
	p.done.Wait()
}

// Cut resets every connection, on both sides. New ones pass.
func (p *Proxy) Cut() {
	for _, c := range p.all() {
		c.end()
	}
}

// CutAfter sets a trap: once n more bytes have gone to the target nothing is answered on that connection, and a moment later,
// when the target has dealt with what it got, it is reset. Sprung tells whether that has happened.
func (p *Proxy) CutAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = max(n, 1)
	p.sprung.Store(false)
}

// Sprung reports whether the trap of CutAfter has closed.
func (p *Proxy) Sprung() bool { return p.sprung.Load() }

// moment is what the target has for its work before a trap resets the connection.
const moment = 5 * time.Millisecond

// BlackHole lets nothing pass until Heal: bytes wait, new connections are taken and lead nowhere. What waits arrives
// afterwards, as TCP sends it again.
func (p *Proxy) BlackHole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.healed == nil {
		p.healed = make(chan struct{})
	}
}

// HalfOpen makes the target forget every connection without telling the clients: what they send vanishes, nothing comes
// back. New connections pass.
func (p *Proxy) HalfOpen() {
	for _, c := range p.all() {
		c.half.Store(true)
		c.forget()
	}
}

// Delay holds back every piece of data for a while, in both directions.
func (p *Proxy) Delay(d time.Duration) { p.mu.Lock(); defer p.mu.Unlock(); p.delay = d }

// Heal ends a black hole, a delay and a trap that has not sprung. Half-open connections stay so: nothing heals them.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay, p.trap = 0, 0
	if p.healed != nil {
		close(p.healed)
		p.healed = nil
	}
}

func (p *Proxy) all() (cs []*pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		cs = append(cs, c)
	}
	return cs
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		c := &pair{proxy: p, client: client, gone: make(chan struct{})}
		c.end = sync.OnceFunc(func() { close(c.gone); reset(c.client); c.forget() })
		p.mu.Lock()
		p.pairs[c] = true
		closed := p.closed
		p.mu.Unlock()
		if closed {
			c.end()
		}
		p.done.Go(c.run)
	}
}

// run connects to the target and passes data until one side is gone. A target that is not there is a refused connection.
func (c *pair) run() {
	defer func() {
		c.proxy.mu.Lock()
		delete(c.proxy.pairs, c)
		c.proxy.mu.Unlock()
	}()
	target, err := net.Dial("tcp", c.proxy.target)
	if err != nil {
		c.end()
		return
	}
	c.proxy.mu.Lock()
	c.target = target
	c.proxy.mu.Unlock()
	select {
	case <-c.gone:
		reset(target)
	default:
	}
	var both sync.WaitGroup
	both.Go(func() { c.pass(c.client, c.target, true) })
	both.Go(func() { c.pass(c.target, c.client, false) })
	both.Wait()
	c.end()
}

// forget resets the connection to the target.
func (c *pair) forget() {
	c.proxy.mu.Lock()
	target := c.target
	c.proxy.mu.Unlock()
	if target != nil {
		reset(target)
	}
}

// pass moves data one way. An end on one side is an end on the other, except on a half-open connection.
func (c *pair) pass(from, to net.Conn, up bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && c.wait() {
			if c.half.Load() || !up && c.deaf.Load() {
				continue
			}
			springs := up && c.count(int64(n)) // before they go: the answer may be faster than we are
			if _, failed := to.Write(buf[:n]); failed != nil && !c.half.Load() {
				break
			}
			if springs {
				c.spring()
			}
		}
		if err != nil {
			break
		}
	}
	if c.half.Load() && !up {
		return // the client is not told
	}
	c.end()
}

// wait holds data back while nothing passes, and for the delay. It returns false if the connection is gone.
func (c *pair) wait() bool {
	for {
		c.proxy.mu.Lock()
		healed, delay := c.proxy.healed, c.proxy.delay
		c.proxy.mu.Unlock()
		if healed == nil {
			if delay > 0 {
				select {
				case <-time.After(delay):
				case <-c.gone:
				}
			}
			select {
			case <-c.gone:
				return false
			default:
				return true
			}
		}
		select {
		case <-healed:
		case <-c.gone:
			return false
		}
	}
}

// count makes the connection deaf when, with the next n bytes, enough has gone to the target, and reports that the trap is to spring.
func (c *pair) count(n int64) bool {
	p := c.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trap == 0 {
		return false
	}
	if p.trap -= n; p.trap > 0 {
		return false
	}
	p.trap = 0
	c.deaf.Store(true)
	return true
}

// spring resets the connection when the target has had its moment.
func (c *pair) spring() {
	c.proxy.done.Go(func() {
		select {
		case <-time.After(moment):
		case <-c.gone:
		}
		c.proxy.sprung.Store(true)
		c.end()
	})
}

// reset closes a connection the hard way: what was not sent is lost, and the other side gets an RST.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // if it is closed already there is nothing to reset
	}
	c.Close()
}
