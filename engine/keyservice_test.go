package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gridcase/domain/event"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/engine/keys/keystest"
	"gridcase/eventlog"
)

// lender is a key service that dies and comes back.
type lender struct {
	t       testing.TB
	dir     string
	address string
	certs   keys.Certificates
	end     func()
}

func (l *lender) start() {
	l.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	service, err := keys.NewService(context.Background(), l.dir, quiet)
	if err != nil {
		l.t.Fatal(err)
	}
	web, err := keys.Server(service, l.certs, quiet)
	if err != nil {
		l.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		l.t.Fatal(err)
	}
	if l.end == nil { // the first time
		l.address = listener.Addr().String()
	}
	go web.ServeTLS(listener, "", "")
	l.end = sync.OnceFunc(func() {
		if err := errors.Join(web.Close(), service.Close()); err != nil {
			l.t.Error(err)
		}
	})
}

// Three nodes that die, and a key service that dies too: what was taken in is in the log once, every node opens all of it, no key is lacking, and
// every key that an event uses is known to be of its case.
func TestNodesAndTheirKeyServiceDieAndNothingBecomesUnreadable(t *testing.T) {
	authority := keystest.NewAuthority(t)
	l := &lender{t: t, dir: filepath.Join(t.TempDir(), "keys"), address: "127.0.0.1:0", certs: authority.Give("127.0.0.1")}
	l.start()
	defer func() { l.end() }()
	node := authority.Give("node")
	c := settleCounty(t, func(c *county) eventlog.Log {
		c.lend = func() (s *keys.Store, err error) {
			for until := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) { // whoever starts waits for the keys
				s, err = keys.Dial(context.Background(), keys.Remote{URL: "https://" + l.address, Certificates: node})
				if !errors.Is(err, keys.ErrAway) || time.Now().After(until) {
					return s, err
				}
			}
		}
		return sharedLogs[0].open(c)
	}, 3, nil)
	over, dead := make(chan struct{}), make(chan int)
	go func() {
		deaths, r := 0, rand.New(rand.NewPCG(7, 7))
		for {
			select {
			case <-over:
				dead <- deaths
				return
			case <-time.After(time.Duration(100+r.IntN(300)) * time.Millisecond):
			}
			l.end()
			deaths++
			time.Sleep(time.Duration(r.IntN(150)) * time.Millisecond)
			l.start()
		}
	}()
	deaths, _ := c.storm(5, 4, 40, 1500*time.Millisecond)
	close(over)
	died := <-dead
	c.meet()
	for _, p := range c.nodes {
		for began := time.Now(); p.keys.Health() != nil; time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > 30*time.Second {
				t.Fatalf("node %s: %v", p.name, p.keys.Health())
			}
		}
		if n, one := p.keys.Lacking(); n > 0 {
			t.Errorf("node %s: %d keys are lacking: %+v", p.name, n, one)
		}
		for id := range c.acked {
			fields, err := p.e.OpenPersonal(t.Context(), engine.Reading{Streams: []stream.Name{stream.Of(stream.Demand, id)}, Purpose: "handling", Actor: operator, Request: fmt.Sprint("r", c.serial.Add(1))})
			if err != nil || len(fields) == 0 {
				t.Fatalf("node %s opens %d fields of %s: %v", p.name, len(fields), id, err)
			}
		}
	}
	acked := len(c.acked)
	anew, err := c.lend() // it has handed out nothing, and knows what the service knows
	if err != nil {
		t.Fatal(err)
	}
	newest := eventlog.Position(0)
	for _, p := range c.acked {
		newest = max(newest, p)
	}
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) { // what waited while the service was away is told within a second
		if at, err := anew.Assigned(t.Context()); err == nil && at >= newest {
			break
		} else if time.Since(began) > 30*time.Second {
			t.Fatalf("the log is assigned up to %d, %v, want %d", at, err, newest)
		}
	}
	sealedFields := 0
	for id := range c.acked {
		n := stream.Of(stream.Demand, id)
		for ev, err := range c.log.Read(t.Context(), string(n), 0) {
			if err != nil {
				t.Fatal(err)
			}
			body, err := event.Decode(ev.Type, ev.Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range sealed.In(body) {
				used := keys.ID(f.Text.Ciphertext())
				sealedFields++
				if k, err := anew.For(t.Context(), n, f.Part, false); err != nil || k.ID != used {
					t.Errorf("%s of %s is sealed with %s; the service has %s for it, %v", f.Name, n, used, k.ID, err)
				}
			}
		}
	}
	if err := anew.Close(); err != nil {
		t.Fatal(err)
	}
	faults, raised, _ := c.audit()
	for _, f := range faults {
		t.Error(f)
	}
	if acked != 160 || sealedFields < acked || raised != acked || deaths == 0 || died == 0 {
		t.Errorf("%d acknowledged, %d raised, %d nodes and %d services died: too little happened", acked, raised, deaths, died)
	}
	t.Logf("%d deaths of nodes, %d of the service: %d demands are there once and can be read on every node", deaths, died, acked)
}
