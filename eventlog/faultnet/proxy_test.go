package faultnet_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"gridcase/eventlog/faultnet"
)

// echo answers every byte, and counts those that arrived.
func echo(t *testing.T) (address string, arrived <-chan byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan byte, 1024)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 1)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					got <- b[0]
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), got
}

func dial(t *testing.T, p *faultnet.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// say sends a byte and returns what came back within a while.
func say(c net.Conn, b byte, patience time.Duration) error {
	if _, err := c.Write([]byte{b}); err != nil {
		return err
	}
	return hear(c, patience)
}

func hear(c net.Conn, patience time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

const short, long = 50 * time.Millisecond, 5 * time.Second

func listen(t *testing.T) (*faultnet.Proxy, <-chan byte) {
	t.Helper()
	address, arrived := echo(t)
	p, err := faultnet.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, arrived
}

func TestWithoutAFaultEverythingPasses(t *testing.T) {
	p, _ := listen(t)
	c := dial(t, p)
	if err := say(c, 'a', long); err != nil {
		t.Error(err)
	}
	if p.Conns() != 1 {
		t.Errorf("got %d connections, want 1", p.Conns())
	}
	p.Delay(80 * time.Millisecond)
	began := time.Now()
	if err := say(c, 'b', long); err != nil || time.Since(began) < 160*time.Millisecond {
		t.Errorf("delayed both ways: got %v after %s, want an answer after 160 ms", err, time.Since(began))
	}
}

func TestACutIsAReset(t *testing.T) {
	p, _ := listen(t)
	c := dial(t, p)
	if err := say(c, 'a', long); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if err := hear(c, long); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want %v", err, syscall.ECONNRESET)
	}
	if err := say(dial(t, p), 'b', long); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestATrapResetsAfterTheBytesArrived(t *testing.T) {
	p, arrived := listen(t)
	c := dial(t, p)
	p.CutAfter(1)
	if err := say(c, 'a', long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a reset instead of the answer", err)
	}
	if !p.Sprung() {
		t.Error("the trap says that it has not sprung")
	}
	select {
	case <-arrived:
	case <-time.After(long):
		t.Error("the byte did not arrive before the reset")
	}
}

func TestABlackHoleHoldsWhatItHealsToDeliver(t *testing.T) {
	p, arrived := listen(t)
	old := dial(t, p)
	if err := say(old, 'a', long); err != nil {
		t.Fatal(err)
	}
	<-arrived
	p.BlackHole()
	fresh := dial(t, p) // is taken
	for _, c := range []net.Conn{old, fresh} {
		if err := say(c, 'b', short); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("in the black hole: got %v, want silence", err)
		}
	}
	if len(arrived) > 0 {
		t.Error("a byte went through the black hole")
	}
	p.Heal()
	for _, c := range []net.Conn{old, fresh} {
		if err := hear(c, long); err != nil {
			t.Errorf("healed: %v", err)
		}
	}
}

func TestAHalfOpenConnectionIsSilentAndStays(t *testing.T) {
	p, arrived := listen(t)
	c := dial(t, p)
	if err := say(c, 'a', long); err != nil {
		t.Fatal(err)
	}
	<-arrived
	p.HalfOpen()
	for range 3 {
		if err := say(c, 'b', short); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("half open: got %v, want silence", err)
		}
	}
	if len(arrived) > 0 {
		t.Error("the target got a byte")
	}
	if err := say(dial(t, p), 'c', long); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}
