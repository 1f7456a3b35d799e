package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/orgs"
	"gridcase/engine/keys"
	"gridcase/engine/keys/keystest"
)

// keyFlags says to a command where the keys are.
func keyFlags(url string, c keys.Certificates) []string {
	return []string{"--keys", url, "--keys-ca", c.Authority, "--keys-cert", c.Cert, "--keys-key", c.Key}
}

// serveKeysProcess starts a key service on a folder. Kill kills it, and returns when it is dead.
func serveKeysProcess(t *testing.T, dir, address string, c keys.Certificates) (url string, kill func()) {
	t.Helper()
	return startProcess(t, "keys", "serve", "--data", dir, "--listen", address, "--cert", c.Cert, "--key", c.Key, "--client-ca", c.Authority)
}

// Two nodes with data folders of their own, as on two machines, share a log and a key service. What a resident says to one is read on the other; while
// the service is dead it is not, and all that needs no key goes on; when it is back, so is everything, without a restart.
func TestNodesOnSeveralMachinesShareTheirKeys(t *testing.T) {
	s := newSettlement(t, 0, 5)
	authority := keystest.NewAuthority(t)
	own, node := authority.Give("127.0.0.1"), authority.Give("node-1")
	at, killKeys := serveKeysProcess(t, s.shared, "127.0.0.1:0", own)
	address := strings.TrimPrefix(at, "https://")
	channel := strings.TrimSpace(must(t, "keys", "create", "--data", s.shared, "--role", "channel", "--unit", string(s.hotline)))
	reader := strings.TrimSpace(must(t, "keys", "create", "--data", s.shared, "--role", "dispatcher", "--unit", string(s.district)))
	operator := strings.TrimSpace(must(t, "keys", "create", "--data", s.shared, "--role", "operator", "--unit", string(s.district)))
	var urls []string
	for range 2 {
		dir := t.TempDir()
		if err := os.Symlink(filepath.Join(s.shared, "access.db"), filepath.Join(dir, "access.db")); err != nil {
			t.Fatal(err)
		}
		url, _ := serveProcess(t, dir, append(keyFlags(at, node), "--log", s.connection)...)
		urls = append(urls, url)
		if _, err := os.Stat(filepath.Join(dir, "keys")); err == nil {
			t.Error("the node has a key folder of its own")
		}
	}
	web := &http.Client{Timeout: 20 * time.Second}
	ask := func(url, method, path, key, body string, headers ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", fmt.Sprint("key-", time.Now().UnixNano()))
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, string(text)
	}
	raise := func(url, ref, text string) (id, position string) {
		t.Helper()
		body := fmt.Sprintf(`{"kind":"issue","channel":"hotline","text":%q,"grid":%q,"external_ref":%q,"reporter":{"phone":"00013800000"}}`, text, s.grid, ref)
		answer, said := ask(url, http.MethodPost, "/api/v1/demands", channel, body, "Idempotency-Key", ref)
		var raised struct{ ID string }
		if err := json.Unmarshal([]byte(said), &raised); err != nil || answer.StatusCode != http.StatusCreated {
			t.Fatalf("raise %s: %d %s", ref, answer.StatusCode, said)
		}
		return raised.ID, answer.Header.Get("GridCase-Position")
	}
	read := func(url, id, position string) (*http.Response, string) {
		t.Helper()
		return ask(url, http.MethodPost, "/api/v1/demands/"+id+"/personal-data", reader, `{"purpose":"handling"}`, "GridCase-Position", position)
	}
	soon := func(what string, done func() bool) {
		t.Helper()
		for began := time.Now(); !done(); time.Sleep(20 * time.Millisecond) {
			if time.Since(began) > 30*time.Second {
				t.Fatalf("%s: it did not come in thirty seconds", what)
			}
		}
	}
	id, position := raise(urls[0], "before", "三单元的路灯不亮")
	var answer *http.Response
	var said string
	soon("the other node", func() bool { answer, said = read(urls[1], id, position); return answer.StatusCode != 503 })
	if answer.StatusCode != 200 || !strings.Contains(said, "三单元的路灯不亮") || !strings.Contains(said, "00013800000") {
		t.Errorf("what was said to one node is on the other: %d %s", answer.StatusCode, said)
	}

	killKeys()
	for _, url := range urls {
		soon("a node that is not ready", func() bool {
			answer, said = ask(url, http.MethodGet, "/readyz", operator, "")
			return answer.StatusCode == 503
		})
		if !strings.Contains(said, "keys: the key store does not answer") {
			t.Errorf("/readyz says %s", said)
		}
	}
	id, position = raise(urls[0], "meanwhile", "电梯又停了") // of the keys that were ready
	var list *http.Response
	soon("the list of the other node", func() bool {
		list, said = ask(urls[1], http.MethodGet, "/api/v1/cases/"+id, reader, "", "GridCase-Position", position)
		return list.StatusCode != 503
	})
	if list.StatusCode != 200 {
		t.Errorf("a case without its texts: %d %s", list.StatusCode, said)
	}
	answer, said = read(urls[1], id, position)
	if answer.StatusCode != 503 || !strings.Contains(said, `"code":"keys_away"`) || answer.Header.Get("Retry-After") == "" || strings.Contains(said, "电梯") {
		t.Errorf("a text while the keys are away: %d %s", answer.StatusCode, said)
	}
	if _, metrics := ask(urls[1], http.MethodGet, "/metrics", "", ""); !strings.Contains(metrics, "\ngridcase_keys_away 1\n") || !strings.Contains(metrics, `gridcase_keys_requests_total{outcome="away",question="assigned"}`) {
		t.Error("the metrics do not say that the keys are away")
	}

	_, killKeys = serveKeysProcess(t, s.shared, address, own)
	for _, url := range urls {
		soon("a node that is ready", func() bool {
			answer, said = ask(url, http.MethodGet, "/readyz", operator, "")
			return answer.StatusCode == 200
		})
	}
	if answer, said = read(urls[1], id, position); answer.StatusCode != 200 || !strings.Contains(said, "电梯又停了") {
		t.Errorf("a text after the keys are back: %d %s", answer.StatusCode, said)
	}
	id, position = raise(urls[1], "after", "楼道堆物")
	soon("the first node", func() bool { answer, said = read(urls[0], id, position); return answer.StatusCode != 503 })
	if answer.StatusCode != 200 || !strings.Contains(said, "楼道堆物") {
		t.Errorf("and the other way: %d %s", answer.StatusCode, said)
	}
	killKeys()
}

// keyHost is a key service in this process, which makes keys once for whoever asks first, and more when it is told to.
type keyHost struct {
	t       *testing.T
	dir     string
	address string
	certs   keys.Certificates
	fertile atomic.Bool
	made    atomic.Int64
	stop    func()
}

func (k *keyHost) start() {
	k.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	service, err := keys.NewService(context.Background(), k.dir, quiet)
	if err != nil {
		k.t.Fatal(err)
	}
	web, err := keys.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/make" && k.made.Add(1) > 1 && !k.fertile.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		service.ServeHTTP(w, r)
	}), k.certs, quiet)
	if err != nil {
		k.t.Fatal(err)
	}
	l, err := net.Listen("tcp", k.address)
	if err != nil {
		k.t.Fatal(err)
	}
	k.address = l.Addr().String()
	go web.ServeTLS(l, "", "")
	k.stop = sync.OnceFunc(func() {
		if err := errors.Join(web.Close(), service.Close()); err != nil {
			k.t.Error(err)
		}
	})
}

// The service is away and no keys are left: what carries personal data is refused in words that say so, all else goes on, and a
// request that was refused is answered when the keys are back.
func TestIntakeWaitsForKeysAndNothingElseDoes(t *testing.T) {
	dir := t.TempDir()
	if err := seedFolder(t.Context(), dir, streams{out: io.Discard, err: io.Discard}, seeding{size: city.Street, seed: 1}); err != nil {
		t.Fatal(err)
	}
	authority := keystest.NewAuthority(t)
	k := &keyHost{t: t, dir: filepath.Join(t.TempDir(), "keys"), address: "127.0.0.1:0", certs: authority.Give("127.0.0.1")}
	if err := os.Rename(filepath.Join(dir, "keys"), k.dir); err != nil { // as docs/operations.md says
		t.Fatal(err)
	}
	k.start()
	defer func() { k.stop() }()
	s := serveTownOn(t, dir, "", slog.New(slog.DiscardHandler), func(o *houseOptions) {
		o.keys = keys.Remote{URL: "https://" + k.address, Certificates: authority.Give("node-1")}
	})
	channel := s.as(orgs.Channel, s.hotline)
	s.want(s.get(channel, "/demands"), 200, "") // the grant of the key is in the log
	post := func(n int) (status int, said string, wait string) {
		t.Helper()
		body := fmt.Sprintf(`{"kind":"issue","channel":"hotline","title":"路灯","text":"路灯不亮","grid":%q,"external_ref":"dry-%d","reporter":{"name":"居民乙","phone":"00013800000"}}`, s.grids[0], n)
		r, err := http.NewRequest(http.MethodPost, s.url+"/api/v1/demands", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + channel, "Content-Type": "application/json", "Idempotency-Key": fmt.Sprint("dry-", n)} {
			r.Header.Set(name, value)
		}
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b), res.Header.Get("Retry-After")
	}
	first := s.raise(s.as(orgs.Resident, s.community), "issue", "车棚漏雨")
	k.stop()
	for s.house.keys.Away() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	taken, status, said, wait := 0, 0, "", ""
	for status, said, wait = post(0); status == http.StatusCreated && taken < 1000; status, said, wait = post(taken) {
		taken++
	}
	if status != 503 || !strings.Contains(said, `"code":"keys_away"`) || wait == "" || taken == 0 {
		t.Fatalf("after %d demands: got %d %s, Retry-After %q; want 503 keys_away", taken, status, said, wait)
	}
	before := s.end()
	if status, said, _ = post(taken); status != 503 {
		t.Errorf("once more: got %d %s", status, said)
	}
	if s.end() != before {
		t.Error("a request that was refused has written something")
	}
	s.accept(first, "issue", "D") // no word of it is personal; what follows from it follows
	s.phase(first, "accepted")
	s.want(s.get(s.as(orgs.Clerk, s.community), "/demands"), 200, "")
	if err := s.house.engine.Stalled(); err != nil {
		t.Errorf("the flow stands still: %v", err)
	}
	if away := s.metric("gridcase_keys_away"); away != 1 {
		t.Errorf("gridcase_keys_away is %v", away)
	}
	k.fertile.Store(true)
	k.start()
	for began := time.Now(); s.house.keys.Health() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("the keys are back for thirty seconds: %v", s.house.keys.Health())
		}
	}
	if status, said, _ = post(taken); status != http.StatusCreated {
		t.Errorf("the same request when the keys are back: got %d %s", status, said)
	}
	if away := s.metric("gridcase_keys_away"); away != 0 {
		t.Errorf("gridcase_keys_away is %v", away)
	}
	s.settle()
	if n, one := s.house.keys.Lacking(); n > 0 {
		t.Errorf("%d keys are lacking: %+v", n, one)
	}
	t.Logf("%d demands were taken in without the service", taken)
}

func TestAFolderStaysWithItsKeys(t *testing.T) {
	authority := keystest.NewAuthority(t)
	node := authority.Give("node-1")
	k := &keyHost{t: t, dir: filepath.Join(t.TempDir(), "keys"), address: "127.0.0.1:0", certs: authority.Give("127.0.0.1")}
	k.fertile.Store(true)
	k.start()
	defer k.stop()
	at := "https://" + k.address
	units := filepath.Join(t.TempDir(), "units.yaml")
	if err := os.WriteFile(units, []byte("units:\n  - {code: \"150100\", name: 呼和浩特市, kind: city}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own, remote := t.TempDir(), t.TempDir()
	must(t, "units", "load", "--data", own, units)
	must(t, append([]string{"units", "load", "--data", remote, units}, keyFlags(at, node)...)...)
	must(t, append([]string{"units", "list", "--data", remote}, keyFlags(at, node)...)...)
	if _, err := os.Stat(filepath.Join(remote, "keys")); err == nil {
		t.Error("a node of a key service has made a key folder")
	}
	seeded := t.TempDir() // its log uses keys that the service has not
	if err := seedFolder(t.Context(), seeded, streams{out: io.Discard, err: io.Discard}, seeding{size: city.Street, seed: 1, demands: 5}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(seeded, "keys")); err != nil {
		t.Fatal(err)
	}
	other := keystest.NewAuthority(t).Give("node-1")
	other.Authority = node.Authority
	for _, c := range []struct {
		says string
		args []string
	}{
		{"say which with --keys", []string{"units", "list", "--data", remote}},
		{"say which with --keys", []string{"keys", "serve", "--data", remote, "--listen", "127.0.0.1:0", "--cert", node.Cert, "--key", node.Key, "--client-ca", node.Authority}},
		{"holds keys of its own", append([]string{"units", "list", "--data", own}, keyFlags(at, node)...)},
		{"https:// alone", append([]string{"serve", "--data", remote}, keyFlags("http://"+k.address, node)...)},
		{"needs --keys-ca", []string{"serve", "--data", remote, "--keys", at}},
		{"go with --keys", []string{"serve", "--data", own, "--keys-ca", node.Authority}},
		{"--keys-cert", append([]string{"serve", "--data", remote}, keyFlags(at, other)...)},
		{"keys that the log names are not in", append([]string{"serve", "--data", seeded, "--listen", "127.0.0.1:0"}, keyFlags(at, node)...)},
		{"does not answer", append([]string{"serve", "--data", remote}, keyFlags("https://127.0.0.1:1", node)...)},
	} {
		if out, errs, status := call(t, c.args...); status != 1 || !strings.Contains(errs, c.says) {
			t.Errorf("%v: got %d %s%s, want 1 and %q", c.args, status, out, errs, c.says)
		}
	}
}
