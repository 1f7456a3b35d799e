package keys_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gridcase/engine/keys"
	"gridcase/engine/keys/keystest"
)

// home is where the keys of a test are kept. Every store of keys keeps what these tests say.
type home struct {
	t    *testing.T
	dir  string // the key folder
	host *host  // nil: the stores open the folder themselves
}

func atHome(t *testing.T, test func(t *testing.T, h *home)) {
	t.Run("in a folder", func(t *testing.T) { test(t, &home{t: t, dir: t.TempDir()}) })
	t.Run("with a key service", func(t *testing.T) { test(t, atService(t)) })
}

func atService(t *testing.T) *home {
	t.Helper()
	dir := t.TempDir()
	return &home{t: t, dir: dir, host: newHost(t, dir)}
}

func (h *home) open() *keys.Store {
	h.t.Helper()
	if h.host == nil {
		return open(h.t, h.dir)
	}
	s, err := keys.Dial(context.Background(), h.host.remote())
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// again closes a store and opens another. A service is stopped and started in between, too.
func (h *home) again(s *keys.Store) *keys.Store {
	h.t.Helper()
	shut(h.t, s)
	if h.host != nil {
		h.host.stop()
		h.host.start()
	}
	return h.open()
}

// sql does something to keys.db behind everybody's back, and returns how many rows it concerned.
func (h *home) sql(query string, args ...any) (n int64) {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(h.dir, "keys.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	if len(query) > 6 && query[:6] == "SELECT" {
		if err := db.QueryRow(query, args...).Scan(&n); err != nil {
			h.t.Fatal(err)
		}
		return n
	}
	done, err := db.Exec(query, args...)
	if err == nil {
		n, err = done.RowsAffected()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// host is a machine with a key folder and a service, which can be stopped and started.
type host struct {
	t         testing.TB
	dir       string
	address   string
	certs     keys.Certificates // the service's
	nodes     keys.Certificates
	between   atomic.Pointer[func(next http.Handler) http.Handler] // stands before the service
	mu        sync.Mutex
	outcomes  map[string]int
	service   *keys.Service
	web       *http.Server
	ended     chan error
	authority *keystest.Authority
}

func newHost(t testing.TB, dir string) *host {
	t.Helper()
	authority := keystest.NewAuthority(t)
	o := &host{t: t, dir: dir, address: "127.0.0.1:0", authority: authority, certs: authority.Give("127.0.0.1"), nodes: authority.Give("node-1"), outcomes: map[string]int{}}
	o.start()
	t.Cleanup(func() {
		if o.web != nil {
			o.stop()
		}
	})
	return o
}

func (o *host) start() {
	o.t.Helper()
	var err error
	quiet := slog.New(slog.DiscardHandler)
	if o.service, err = keys.NewService(context.Background(), o.dir, quiet); err != nil {
		o.t.Fatal(err)
	}
	service := o.service
	through := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var h http.Handler = service
		if between := o.between.Load(); between != nil {
			h = (*between)(h)
		}
		h.ServeHTTP(w, r)
	})
	if o.web, err = keys.Server(through, o.certs, quiet); err != nil {
		o.t.Fatal(err)
	}
	l, err := net.Listen("tcp", o.address)
	if err != nil {
		o.t.Fatal(err)
	}
	o.address = l.Addr().String()
	o.ended = make(chan error, 1)
	go func() { o.ended <- o.web.ServeTLS(l, "", "") }()
}

// before puts a handler before the service.
func (o *host) before(between func(next http.Handler) http.Handler) { o.between.Store(&between) }

func (o *host) stop() {
	o.t.Helper()
	if err := o.web.Close(); err != nil {
		o.t.Error(err)
	}
	if err := <-o.ended; !errors.Is(err, http.ErrServerClosed) {
		o.t.Error(err)
	}
	if err := o.service.Close(); err != nil {
		o.t.Error(err)
	}
	o.web = nil
}

func (o *host) remote() keys.Remote {
	return keys.Remote{URL: "https://" + o.address, Certificates: o.nodes, Observe: func(question, outcome string) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.outcomes[question+" "+outcome]++
	}}
}

func (o *host) outcome(of string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.outcomes[of]
}

// until waits for a condition.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("%s: it did not come in thirty seconds", what)
		}
	}
}
