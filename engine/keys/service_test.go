package keys_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gridcase/engine/keys"
	"gridcase/engine/keys/keystest"
	"gridcase/eventlog"
)

// A key is in memory for a minute at most, however often it is asked for: then an erasure elsewhere has taken effect, and it is said to be
// erased, not unknown.
func TestAnErasureElsewhereIsKnownWithinAMinute(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		s := h.open()
		defer shut(t, s)
		began := time.Now()
		s.At(began)
		k := keyOf(t, s, place.Stream, "reporter", true)
		c := seal(t, k, place, secret)
		if err := s.Assign(t.Context(), []keys.Use{{Stream: place.Stream, Part: "reporter", Key: k.ID}}, 1); err != nil {
			t.Fatal(err)
		}
		if n := h.sql("UPDATE keys SET state = 'erased', wrapped = NULL WHERE kid = ?", k.ID); n != 1 {
			t.Fatalf("%d keys were erased", n)
		}
		for _, c2 := range []struct {
			later time.Duration
			want  error
		}{{0, nil}, {30 * time.Second, nil}, {59 * time.Second, nil}, {time.Minute, keys.ErrErased}, {time.Hour, keys.ErrErased}} {
			s.At(began.Add(c2.later))
			if _, err := s.Open(t.Context(), place, c); !errors.Is(err, c2.want) || c2.want != nil && errors.Is(err, keys.ErrUnknown) {
				t.Errorf("%s later: got %v, want %v", c2.later, err, c2.want)
			}
		}
		if _, err := s.For(t.Context(), place.Stream, "reporter", false); !errors.Is(err, keys.ErrErased) {
			t.Errorf("the key of the part: got %v, want ErrErased", err)
		}
		if n := h.sql("DELETE FROM keys WHERE kid = ?", k.ID); n != 1 {
			t.Fatalf("%d keys are gone", n)
		}
		if _, err := s.Open(t.Context(), place, c); !errors.Is(err, keys.ErrUnknown) || errors.Is(err, keys.ErrErased) {
			t.Errorf("a key that is not there: got %v, want ErrUnknown", err)
		}
	})
}

func TestNodesHaveKeysOfTheirOwn(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		nodes := []*keys.Store{h.open(), h.open(), h.open()}
		var mu sync.Mutex
		holder := map[string]int{}
		var all sync.WaitGroup
		for n, s := range nodes {
			all.Go(func() {
				for i := range 1500 { // more than what is ready at the start
					k, err := s.For(context.Background(), caseNo(10_000*n+i), "reporter", true)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if other, given := holder[k.ID]; given {
						t.Errorf("%s was given to %d and %d", k.ID, other, n)
					}
					holder[k.ID] = n
					mu.Unlock()
				}
			})
		}
		all.Wait()
		for id, n := range holder {
			if _, err := nodes[(n+1)%3].Get(t.Context(), id); err != nil {
				t.Fatalf("what one node was given, another does not know: %v", err)
			}
			break
		}
		for _, s := range nodes {
			shut(t, s)
		}
		// What was taken stays; what was left in the pools went back.
		if n := h.sql("SELECT count(*) FROM keys"); n != 4500 {
			t.Errorf("%d keys are left of 4500 that were taken", n)
		}
	})
}

// Each node says that it has told all between two positions. A store that was set back, by a power cut or a copy, is behind the first of them:
// it says so, and keeps its position until it was told what it lost.
func TestAStoreThatWasSetBackIsToldAgain(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		a, b := h.open(), h.open()
		defer shut(t, a)
		defer shut(t, b)
		use := func(s *keys.Store, i int) []keys.Use {
			return []keys.Use{{Stream: caseNo(i), Part: "reporter", Key: keyOf(t, s, caseNo(i), "reporter", true).ID}}
		}
		tell := func(s *keys.Store, uses []keys.Use, upTo uint64, want error) {
			t.Helper()
			if err := s.Assign(t.Context(), uses, eventlog.Position(upTo)); !errors.Is(err, want) {
				t.Fatalf("told up to %d: got %v, want %v", upTo, err, want)
			}
		}
		at := func(want uint64) {
			t.Helper()
			if n := h.sql("SELECT position FROM followed"); n != int64(want) {
				t.Fatalf("the log is assigned up to %d, want %d", n, want)
			}
		}
		tell(a, use(a, 1), 100, nil)
		tell(b, use(b, 2), 90, nil) // it is not so far, and moves nothing
		at(100)
		tell(b, use(b, 3), 120, nil) // it has seen all up to 120 itself
		at(120)
		lost := use(a, 4)
		tell(a, lost, 130, nil)
		h.sql("UPDATE keys SET state = 'pooled', stream = '', part = '' WHERE kid = ?", lost[0].Key)
		h.sql("UPDATE followed SET position = 115")
		tell(a, use(a, 5), 140, keys.ErrGap)
		at(115)
		if p, err := a.Assigned(t.Context()); err != nil || p != 115 {
			t.Fatalf("assigned: %d, %v", p, err)
		}
		tell(a, lost, 130, nil)
		tell(a, use(a, 6), 150, nil)
		at(150)
		if n := h.sql("SELECT count(*) FROM keys WHERE state = 'live'"); n != 6 {
			t.Errorf("%d keys are assigned, want 6", n)
		}
		// The other was told more than is there now: it is right, and learns nothing new.
		tell(b, use(b, 7), 160, nil)
		at(160)
	})
}

// The service is away, and comes back. What needs no key from it goes on: a key of a minute ago, new keys as long as there are some, the log.
func TestAStoreOutlivesItsServicesOutage(t *testing.T) {
	h := atService(t)
	s := h.open()
	defer shut(t, s)
	old, fresh := keyOf(t, s, caseNo(1), "reporter", true), keyOf(t, s, caseNo(2), "reporter", true)
	mine := seal(t, fresh, keys.Place{Stream: caseNo(2)}, secret)
	if err := s.Assign(t.Context(), []keys.Use{{Stream: caseNo(1), Part: "reporter", Key: old.ID}}, 10); err != nil {
		t.Fatal(err)
	}
	h.host.stop()
	until(t, "a store that knows it is alone", func() bool { return s.Away() != nil })
	if err := s.Health(); !errors.Is(err, keys.ErrAway) {
		t.Errorf("health: got %v, want ErrAway", err)
	}
	if got, err := s.Open(t.Context(), keys.Place{Stream: caseNo(2)}, mine); got != secret || err != nil {
		t.Errorf("what was sealed just now: got %q, %v", got, err)
	}
	s.Later(time.Minute)
	for what, err := range map[string]error{
		"an old key":            second(s.Get(t.Context(), old.ID)),
		"a text":                second(s.Open(t.Context(), keys.Place{Stream: caseNo(2)}, mine)),
		"a part that has a key": second(s.For(t.Context(), caseNo(1), "reporter", false)),
		"where the log is":      second(s.Assigned(t.Context())),
	} {
		if !errors.Is(err, keys.ErrAway) || errors.Is(err, keys.ErrUnknown) || errors.Is(err, keys.ErrErased) {
			t.Errorf("%s: got %v, want ErrAway and nothing else", what, err)
		}
	}
	if n := h.host.outcome("get away") + h.host.outcome("find away"); n > 0 {
		t.Errorf("a service that is known to be away was asked %d times for a request", n)
	}
	if len(s.Derived("tracking", "x")) != 32 {
		t.Error("nothing is derived")
	}
	// The log is followed; what the service can not be told waits.
	if err := s.Assign(t.Context(), []keys.Use{{Stream: caseNo(2), Part: "reporter", Key: fresh.ID}}, 20); err != nil {
		t.Errorf("told that a key is used: %v", err)
	}
	taken := map[string]bool{}
	var dry error
	for i := 100; dry == nil; i++ {
		var k keys.Key
		if k, dry = s.For(t.Context(), caseNo(i), "reporter", true); dry == nil {
			if taken[k.ID] {
				t.Fatalf("%s was given twice", k.ID)
			}
			taken[k.ID] = true
		}
	}
	if !errors.Is(dry, keys.ErrAway) || len(taken) < 500 {
		t.Errorf("after %d keys: %v, want ErrAway when those that were ready are gone", len(taken), dry)
	}
	h.host.start()
	until(t, "a store that is well", func() bool { return s.Health() == nil })
	if got, err := s.Open(t.Context(), keys.Place{Stream: caseNo(2)}, mine); got != secret || err != nil {
		t.Errorf("after it came back: got %q, %v", got, err)
	}
	if k := keyOf(t, s, caseNo(5000), "reporter", true); taken[k.ID] {
		t.Error("a key was given twice")
	}
	until(t, "what waited", func() bool { return h.sql("SELECT position FROM followed") == 20 })
	if k := keyOf(t, s, caseNo(2), "reporter", false); k != fresh {
		t.Errorf("the part has the key %s, want %s", k.ID, fresh.ID)
	}
	for id := range taken { // the service had them all before it went
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Fatalf("a key that was handed out meanwhile: %v", err)
		}
	}
	if h.host.outcome("assigned away") == 0 || h.host.outcome("get done") == 0 {
		t.Errorf("what came of the questions: %v", h.host.outcomes)
	}
}

// A service that was stopped and comes back on another folder, by a slip of whoever starts it, gives no keys: what they would seal could not be
// read once the right folder is back.
func TestAServiceThatComesBackOnAnotherFolderIsAway(t *testing.T) {
	h := atService(t)
	s := h.open()
	defer shut(t, s)
	old := keyOf(t, s, caseNo(1), "reporter", true)
	h.host.stop()
	right := h.host.dir
	h.host.dir = t.TempDir()
	h.host.start()
	until(t, "a store that knows it is the wrong one", func() bool { return s.Away() != nil && strings.Contains(s.Away().Error(), "another folder") })
	if err := s.Assign(t.Context(), []keys.Use{{Stream: caseNo(1), Part: "reporter", Key: old.ID}}, 10); err != nil {
		t.Errorf("what is used waits: %v", err)
	}
	taken := map[string]bool{}
	for i := 100; ; i++ {
		k, err := s.For(t.Context(), caseNo(i), "reporter", true)
		if err != nil {
			if !errors.Is(err, keys.ErrAway) {
				t.Errorf("when the pool is dry: %v", err)
			}
			break
		}
		taken[k.ID] = true
	}
	h.host.stop()
	h.host.dir = right
	h.host.start()
	until(t, "a store that is well", func() bool { return s.Health() == nil })
	for id := range taken {
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Fatalf("a key that was given meanwhile: %v", err)
		}
	}
	until(t, "what waited", func() bool { return h.sql("SELECT position FROM followed") == 10 })
	if n, _ := s.Lacking(); n > 0 || len(taken) < 500 {
		t.Errorf("%d keys lack, %d were taken meanwhile", n, len(taken))
	}
}

func second[T any](_ T, err error) error { return err }

// A store that dies while the service is away has told nothing; the position says so, and the log is read again from there.
func TestWhatADeadNodeDidNotTellIsToldFromTheLog(t *testing.T) {
	h := atService(t)
	s := h.open()
	k := keyOf(t, s, caseNo(1), "reporter", true)
	h.host.stop()
	until(t, "a store that knows it is alone", func() bool { return s.Away() != nil })
	uses := []keys.Use{{Stream: caseNo(1), Part: "reporter", Key: k.ID}}
	if err := s.Assign(t.Context(), uses, 20); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	h.host.start()
	s = h.open()
	defer shut(t, s)
	if p, err := s.Assigned(t.Context()); p != 0 || err != nil {
		t.Fatalf("assigned up to %d, %v; nobody was told", p, err)
	}
	if err := s.Assign(t.Context(), uses, 20); err != nil {
		t.Fatal(err)
	}
	if again := keyOf(t, s, caseNo(1), "reporter", false); again.ID != k.ID {
		t.Errorf("the part has the key %s, want %s", again.ID, k.ID)
	}
}

// The answer with the new keys is lost, again and again. The service has made them once, and the node gets these.
func TestKeysWhoseAnswerIsLostAreMadeOnce(t *testing.T) {
	h := atService(t)
	s := h.open()
	defer shut(t, s)
	var asked atomic.Int64
	h.host.before(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/make" && asked.Add(1) <= 3 {
				next.ServeHTTP(&deaf{header: http.Header{}}, r)
				panic(http.ErrAbortHandler) // the connection breaks after the work is done
			}
			next.ServeHTTP(w, r)
		})
	})
	before := h.sql("SELECT count(*) FROM keys")
	taken := map[string]bool{}
	for i := range 600 { // more than are ready: it has to ask
		var k keys.Key
		until(t, "a key", func() bool {
			var err error
			k, err = s.For(t.Context(), caseNo(i), "reporter", true)
			return err == nil
		})
		if taken[k.ID] {
			t.Fatalf("%s was given twice", k.ID)
		}
		taken[k.ID] = true
	}
	until(t, "a full pool", func() bool { return asked.Load() == 6 && s.Health() == nil })
	if more := h.sql("SELECT count(*) FROM keys") - before; more != 3*1024 {
		t.Errorf("%d keys were made, want the three batches that the node got", more)
	}
	for id := range taken {
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

// deaf takes an answer and gives it to nobody.
type deaf struct{ header http.Header }

func (d *deaf) Header() http.Header         { return d.header }
func (d *deaf) Write(b []byte) (int, error) { return len(b), nil }
func (d *deaf) WriteHeader(int)             {}

// When the first byte of an answer leaves the service, what it says is on disk already.
func TestWhatIsAnsweredIsOnDisk(t *testing.T) {
	h := atService(t)
	var given, onDisk atomic.Int64
	h.host.before(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&watched{w, func(answer []byte) {
				if r.URL.Path != "/v1/make" {
					return
				}
				var ids []string
				for _, part := range strings.Split(string(answer), `"id":"`)[1:] {
					id, _, _ := strings.Cut(part, `"`)
					ids = append(ids, "'"+id+"'")
				}
				given.Add(int64(len(ids)))
				onDisk.Add(h.sql("SELECT count(*) FROM keys WHERE wrapped IS NOT NULL AND kid IN (" + strings.Join(ids, ",") + ")"))
			}}, r)
		})
	})
	shut(t, h.open())
	if given.Load() == 0 || onDisk.Load() != given.Load() {
		t.Errorf("of %d keys %d were on disk when they were given", given.Load(), onDisk.Load())
	}
}

type watched struct {
	http.ResponseWriter
	see func([]byte)
}

func (w *watched) Write(b []byte) (int, error) { w.see(b); return w.ResponseWriter.Write(b) }

// A node elsewhere holds keys that no event shows yet. It is cut off, or dead, nobody can tell; the service is stopped, a node opens the folder
// itself, is alone with it, and sweeps.
func TestAKeyInTheHandsOfANodeElsewhereIsNotSwept(t *testing.T) {
	for _, c := range []struct {
		name     string
		careless bool
		want     error
	}{
		{"as it is", false, nil},
		{"with a sweep that minds nobody, which must be seen", true, keys.ErrUnknown},
	} {
		h := atService(t)
		afar := h.open()
		k := keyOf(t, afar, caseNo(1), "reporter", true)
		left := open(t, h.dir) // a node of the service's machine, which dies with a key that no event uses
		stray := keyOf(t, left, caseNo(2), "reporter", true)
		shut(t, left)
		h.host.stop()
		near := open(t, h.dir)
		if c.careless {
			near.Careless()
		}
		if err := near.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := near.Get(t.Context(), stray.ID); !errors.Is(err, keys.ErrUnknown) {
			t.Errorf("%s: what nobody can hold any more: got %v, want ErrUnknown", c.name, err)
		}
		if !c.careless {
			keyOf(t, near, caseNo(3), "reporter", true) // its own pool is whole
		}
		if _, err := near.Get(t.Context(), k.ID); !errors.Is(err, c.want) {
			t.Errorf("%s: what the node afar was given: got %v, want %v", c.name, err, c.want)
		}
		shut(t, near)
		h.host.start()
		until(t, "a store that is well", func() bool { return afar.Away() == nil })
		next := keyOf(t, afar, caseNo(4), "reporter", true)
		afar.Later(time.Minute)
		if _, err := afar.Get(t.Context(), next.ID); !errors.Is(err, c.want) {
			t.Errorf("%s: what was in its pool: got %v, want %v", c.name, err, c.want)
		}
		shut(t, afar)
	}
}

// The key-encryption key stays where it is; a node's answers are nothing that it could be made of.
func TestTheKeyEncryptionKeyNeverLeavesItsMachine(t *testing.T) {
	h := atService(t)
	var mu sync.Mutex
	var said bytes.Buffer
	h.host.before(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&watched{w, func(b []byte) { mu.Lock(); said.Write(b); mu.Unlock() }}, r)
		})
	})
	s := h.open()
	k := keyOf(t, s, caseNo(1), "reporter", true)
	if _, err := s.Service(t.Context(), "a/service", "PRIVATE+KEY+a/service+1+x"); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	for file, leaves := range map[string]bool{"kek.key": false, "index.key": true} {
		text, err := os.ReadFile(filepath.Join(h.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		went := bytes.Contains(said.Bytes(), raw) || bytes.Contains(said.Bytes(), bytes.TrimSpace(text)) || strings.Contains(said.String(), base64.StdEncoding.EncodeToString(raw))
		if went != leaves {
			t.Errorf("%s left the machine: %t, want %t", file, went, leaves)
		}
	}
	if !strings.Contains(said.String(), k.ID) {
		t.Error("the search saw nothing")
	}
}

func TestWhoHasNoCertificateOfTheAuthorityIsRefused(t *testing.T) {
	h := atService(t)
	other := keystest.NewAuthority(t)
	ours, address := h.host.remote(), h.host.address
	_, port, _ := net.SplitHostPort(address)
	with := func(change func(*keys.Remote)) keys.Remote {
		r := ours
		change(&r)
		return r
	}
	for _, c := range []struct {
		name string
		at   keys.Remote
		says string
	}{
		{"in the clear", with(func(r *keys.Remote) { r.URL = "http://" + address }), "https:// alone"},
		{"no address", with(func(r *keys.Remote) { r.URL = address }), "https://HOST:PORT"},
		{"a path", with(func(r *keys.Remote) { r.URL += "/keys" }), "https://HOST:PORT"},
		{"a password", with(func(r *keys.Remote) { r.URL = "https://a:b@" + address }), "https://HOST:PORT"},
		{"a node of another authority", with(func(r *keys.Remote) { c := other.Give("node-1"); r.Cert, r.Key = c.Cert, c.Key }), "--keys-cert"},
		{"a service of another authority", with(func(r *keys.Remote) { r.Authority = other.Path }), "--keys-ca"},
		{"a service of another name", with(func(r *keys.Remote) { r.URL = "https://localhost:" + port }), "does not name the host"},
		{"a key of another certificate", with(func(r *keys.Remote) { r.Key = other.Give("x").Key }), "certificate " + ours.Cert},
		{"no file", with(func(r *keys.Remote) { r.Cert = filepath.Join(t.TempDir(), "none.crt") }), "none.crt"},
		{"an authority that is none", with(func(r *keys.Remote) { r.Authority = ours.Key }), "holds no certificate"},
		{"nobody there", with(func(r *keys.Remote) { r.URL = "https://127.0.0.1:1" }), "does not answer"},
	} {
		s, err := keys.Dial(t.Context(), c.at)
		if err == nil {
			shut(t, s)
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.says)
		}
	}
	if n := h.sql("SELECT count(*) FROM keys"); n != 0 {
		t.Errorf("%d keys were made for who must not have them", n)
	}
	// Without a certificate, and with an older TLS, there is not even an answer.
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(ours.Authority)
	if err != nil || !pool.AppendCertsFromPEM(ca) {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(ours.Cert, ours.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tls    *tls.Config
		answer bool
	}{
		"no certificate": {&tls.Config{RootCAs: pool}, false},
		"TLS 1.2":        {&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12}, false},
		"as it should":   {&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}, true},
	} {
		client := http.Client{Transport: &http.Transport{TLSClientConfig: c.tls}}
		res, err := client.Post("https://"+address+"/v1/secret", "application/json", strings.NewReader("{}"))
		if err == nil {
			res.Body.Close()
		}
		if (err == nil) != c.answer {
			t.Errorf("%s: got an answer: %t, %v", name, err == nil, err)
		}
		client.CloseIdleConnections()
	}
	// Nor does the service answer where somebody has taken TLS away before it.
	bare := &reply{header: http.Header{}}
	r, _ := http.NewRequest(http.MethodPost, "/v1/secret", strings.NewReader("{}"))
	h.host.service.ServeHTTP(bare, r)
	if bare.status != http.StatusForbidden || bytes.Contains(bare.Bytes(), []byte("index")) {
		t.Errorf("without TLS: got %d %s", bare.status, &bare.Buffer)
	}
}

type reply struct {
	bytes.Buffer
	header http.Header
	status int
}

func (r *reply) Header() http.Header    { return r.header }
func (r *reply) WriteHeader(status int) { r.status = status }

// What answers is no key service: a proxy in between, another program. Nothing it says means that a key is unknown, or erased.
func TestOnlyTheServiceSaysThatAKeyIsUnknownOrErased(t *testing.T) {
	h := atService(t)
	s := h.open()
	defer shut(t, s)
	k := keyOf(t, s, caseNo(1), "reporter", true)
	s.Later(time.Minute)
	for _, c := range []struct {
		name, kind, body string
		status           int
	}{
		{"not found", "text/plain", "404 page not found", 404},
		{"gone", "text/html", "<h1>gone</h1>", 410},
		{"gone, as JSON", "application/json", `{"message":"gone"}`, 410},
		{"unknown, as a page", "text/html", `{"error":"unknown"}`, 404},
		{"nothing", "application/json", "", 404},
		{"no key", "application/json", "{}", 200},
		{"another key", "application/json", `{"id":"AAAAAAAAAAEAAAAA","key":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}`, 200},
		{"a short key", "application/json", `{"id":"` + k.ID + `","key":"AAAA"}`, 200},
		{"a page", "text/html", "<h1>welcome</h1>", 200},
		{"elsewhere", "text/html", "", 302},
		{"without end", "application/json", `{"error":"unknown","detail":"` + strings.Repeat("x", 2<<20) + `"}`, 404},
	} {
		h.host.before(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/get" {
					next.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", c.kind)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
		})
		if got, err := s.Get(t.Context(), k.ID); !errors.Is(err, keys.ErrAway) || errors.Is(err, keys.ErrUnknown) || errors.Is(err, keys.ErrErased) {
			t.Errorf("%s: got %s, %v, want ErrAway and nothing else", c.name, got.ID, err)
		}
	}
}

// What no node asks is refused, and changes nothing.
func TestAQuestionThatNoNodeAsksIsRefused(t *testing.T) {
	h := atService(t)
	pair, err := tls.LoadX509KeyPair(h.host.nodes.Cert, h.host.nodes.Key)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name, path, body string
		status           int
	}{
		{"no JSON", "make", "x", 400},
		{"nothing", "make", "", 400},
		{"no keys", "make", `{"batch":"0123456789abcdef","count":0}`, 400},
		{"too many keys", "make", `{"batch":"0123456789abcdef","count":5000}`, 400},
		{"no name", "make", `{"count":10}`, 400},
		{"a long body", "back", `{"keys":["` + strings.Repeat("x", 2<<20) + `"]}`, 400},
		{"a use of nothing", "assign", `{"uses":[{"stream":"a","part":"b","key":""}],"up_to":5}`, 400},
		{"a use of what is no key of ours: it lacks", "assign", `{"uses":[{"stream":"a","part":"b","key":"c"}]}`, 200},
		{"a long part", "assign", `{"uses":[{"stream":"a","part":"` + long + `","key":"AAAAAAAAAAEAAAAA"}],"up_to":5}`, 400},
		{"no key of the service", "service", `{"name":"","offered":"x"}`, 400},
		{"a key that is not there", "get", `{"id":"AAAAAAAAAAEAAAAA"}`, 404},
		{"no id", "get", `{}`, 404},
		{"no question", "keys", `{}`, 404},
	} {
		res, err := client.Post("https://"+h.host.address+"/v1/"+c.path, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != c.status {
			t.Errorf("%s: got %d %s, want %d", c.name, res.StatusCode, text, c.status)
		}
	}
	if n := h.sql("SELECT count(*) FROM keys") + h.sql("SELECT position FROM followed"); n != 0 {
		t.Errorf("%d things have changed", n)
	}
	if res, err := client.Get("https://" + h.host.address + "/v1/secret"); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %v, %v", res, err)
	}
}

// Certificates are replaced while both sides run.
func TestACertificateIsReplacedWithoutARestart(t *testing.T) {
	h := atService(t)
	s := h.open()
	defer shut(t, s)
	k := keyOf(t, s, caseNo(1), "reporter", true)
	other := keystest.NewAuthority(t)
	copyTo := func(to, from string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	swap := func(of keys.Certificates) {
		t.Helper()
		copyTo(h.host.nodes.Cert, of.Cert)
		copyTo(h.host.nodes.Key, of.Key)
		h.host.stop() // every connection is a new one
		h.host.start()
		s.Later(time.Minute)
	}
	swap(other.Give("node-1"))
	until(t, "a store that is refused", func() bool { return s.Away() != nil })
	if _, err := s.Get(t.Context(), k.ID); !errors.Is(err, keys.ErrAway) {
		t.Errorf("with a certificate of another authority: got %v, want ErrAway", err)
	}
	swap(h.host.authority.Give("node-1"))
	until(t, "a store that is well", func() bool { return s.Health() == nil })
	if _, err := s.Get(t.Context(), k.ID); err != nil {
		t.Errorf("with a new certificate: %v", err)
	}
}

// After a long absence thousands of uses are told at once. The position moves with the last of them, and one that is lacking is named.
func TestThousandsOfUsesAreToldAtOnce(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		s := h.open()
		defer shut(t, s)
		var uses []keys.Use
		for i := range 2500 {
			uses = append(uses, keys.Use{Stream: caseNo(i), Part: "reporter", Key: keyOf(t, s, caseNo(i), "reporter", true).ID})
		}
		stranger := keys.Use{Stream: caseNo(9999), Part: "reporter", Key: "AAAAAAAAAAEAAAAA"}
		if err := s.Assign(t.Context(), append(uses, stranger), 700); err != nil {
			t.Fatal(err)
		}
		if n := h.sql("SELECT count(*) FROM keys WHERE state = 'live'"); n != 2500 {
			t.Errorf("%d keys are assigned, want 2500", n)
		}
		if p, err := s.Assigned(t.Context()); p != 700 || err != nil {
			t.Errorf("assigned up to %d, %v, want 700", p, err)
		}
		if n, one := s.Lacking(); n != 1 || one != stranger || !errors.Is(s.Health(), keys.ErrUnknown) {
			t.Errorf("%d are lacking, one of them %+v; health: %v", n, one, s.Health())
		}
	})
}

// Not everything waits: a node that could tell nothing for very long follows the log no further, instead of filling its memory.
func TestWhatWaitsForTheServiceHasAnEnd(t *testing.T) {
	h := atService(t)
	s := h.open()
	defer shut(t, s)
	k := keyOf(t, s, caseNo(1), "reporter", true)
	h.host.stop()
	until(t, "a store that knows it is alone", func() bool { return s.Away() != nil })
	uses := make([]keys.Use, 50_000)
	for i := range uses {
		uses[i] = keys.Use{Stream: caseNo(1), Part: "reporter", Key: k.ID}
	}
	if err := s.Assign(t.Context(), uses, 10); err != nil {
		t.Errorf("as much as may wait: %v", err)
	}
	if err := s.Assign(t.Context(), uses[:1], 20); !errors.Is(err, keys.ErrAway) {
		t.Errorf("one more: got %v, want ErrAway", err)
	}
	h.host.start()
	until(t, "what waited", func() bool { p, err := s.Assigned(t.Context()); return err == nil && p == 10 })
	if err := s.Assign(t.Context(), uses[:1], 20); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	if p, err := s.Assigned(t.Context()); p != 20 || err != nil {
		t.Errorf("assigned up to %d, %v, want 20", p, err)
	}
}
