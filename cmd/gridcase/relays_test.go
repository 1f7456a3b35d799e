package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/stream"
	"gridcase/engine/relay"
	"gridcase/eventlog"
)

const hookSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

// landing is a destination that may kill the sender while a message is under way.
type landing struct {
	mu     sync.Mutex
	bodies map[string][32]byte
	order  []string // ids as they came
	streak map[string][]string
	faults []string
	fall   int // kill at so many messages; 0: never
	kill   func()
	loath  bool            // refuses all of the first case that it hears of
	tried  map[string]bool // ids it refused
	loathe string
}

func (l *landing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var e struct{ ID, Subject string }
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := json.Unmarshal(body, &e); err != nil || e.ID != r.Header.Get("webhook-id") {
		l.faults = append(l.faults, fmt.Sprintf("%s: %s", err, body))
	}
	if l.loath && l.loathe == "" {
		l.loathe = e.Subject
	}
	if l.loath && l.loathe == e.Subject {
		l.tried[e.ID] = true
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if l.tried[e.ID] {
		l.faults = append(l.faults, "sent with another position than when it was refused: "+e.ID)
	}
	sum := sha256.Sum256(body)
	if first, again := l.bodies[e.ID]; again && first != sum {
		l.faults = append(l.faults, "the same id with another body: "+e.ID)
	}
	l.bodies[e.ID] = sum
	l.order = append(l.order, e.ID)
	l.streak[e.Subject] = append(l.streak[e.Subject], e.ID)
	if l.fall > 0 && len(l.order) == l.fall {
		l.fall = 0
		go l.kill()
		time.Sleep(2 * time.Millisecond) // dead before, while or after it hears that the message was taken
	}
}

func config(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gridcase.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The process is killed between sending and remembering, again and again; what it was to tell is told, once or more, in order.
func TestWhatARelayHasToTellSurvivesKill9(t *testing.T) {
	const kills = 6
	dir := t.TempDir()
	if err := seedFolder(t.Context(), dir, streams{out: io.Discard, err: io.Discard}, seeding{size: city.Street, demands: 60, seed: 1}); err != nil {
		t.Fatal(err)
	}
	to := &landing{bodies: map[string][32]byte{}, streak: map[string][]string{}}
	web := httptest.NewServer(to)
	defer web.Close()
	path := filepath.Join(dir, "relayed.jsonl")
	settings := config(t, fmt.Sprintf(`relays:
  hook:
    webhook: {url: %q, secrets: [%s], allow: [127.0.0.1]}
    types: [unit, grids, demand, topic, order]
    role: auditor
    unit: "150100"
    begin: start
  lines:
    file: %s
    types: [unit, grids, demand, topic, order]
    role: auditor
    unit: "150100"
    begin: start
`, web.URL, hookSecret, path))
	for n := range kills {
		to.mu.Lock()
		to.fall = len(to.order) + 40 + 17*n
		to.mu.Unlock()
		dead := make(chan struct{})
		var kill func()
		ready := make(chan struct{})
		to.mu.Lock()
		to.kill = func() { <-ready; kill(); close(dead) }
		to.mu.Unlock()
		_, kill = serveProcess(t, dir, "--config", settings)
		close(ready)
		select {
		case <-dead:
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was sent")
		}
	}
	_, kill := serveProcess(t, dir, "--config", settings)
	defer kill()
	book, err := relay.OpenBook(t.Context(), filepath.Join(dir, "relays.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	for before, since := "", time.Now(); time.Since(since) < 3*time.Second; time.Sleep(50 * time.Millisecond) {
		pages, err := book.Pages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if now := fmt.Sprint(pages); now != before { // until nothing moves any more
			before, since = now, time.Now()
		}
	}
	kill()
	to.mu.Lock()
	defer to.mu.Unlock()
	for _, f := range to.faults {
		t.Error(f)
	}
	lines, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	filed := map[string][32]byte{}
	for line := range bytes.Lines(lines) {
		var e struct{ ID string }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		filed[e.ID] = sha256.Sum256(bytes.TrimSuffix(line, []byte("\n")))
	}
	if fmt.Sprint(len(filed)) != fmt.Sprint(len(to.bodies)) {
		t.Errorf("%d messages are in the file, %d came by webhook", len(filed), len(to.bodies))
	}
	for id, sum := range to.bodies {
		if filed[id] != sum {
			t.Errorf("%s is not in the file, or another", id)
		}
	}
	log, err := openLog(t.Context(), dir, houseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	public, cases, missing := 0, 0, 0
	inLog := map[string][]string{}
	each(t, log, func(ev eventlog.Event) {
		id := ev.ID.String()
		_, came := to.bodies[id]
		switch stream.Name(ev.Stream).Category() {
		case stream.Unit, stream.Grids:
			if public++; !came {
				missing++
			}
		default:
			if came {
				cases++
			}
		}
		if came {
			inLog[ev.Stream] = append(inLog[ev.Stream], id)
		}
	})
	if missing > 0 || cases < 100 {
		t.Errorf("%d of %d events of units and grids did not come; of cases %d did", missing, public, cases)
	}
	for n, came := range to.streak { // none before those ahead of it had come
		next := 0
		for _, id := range came {
			for i, want := range inLog[n] {
				if want == id && i > next {
					t.Errorf("%s: %s came too early", n, id)
				} else if want == id && i == next {
					next++
				}
			}
		}
	}
	repeats := len(to.order) - len(to.bodies)
	if repeats == 0 {
		t.Error("nothing came twice, so no kill fell between sending and remembering")
	}
	t.Logf("%d kills: %d messages, %d of cases; %d came more than once", kills, len(to.bodies), cases, repeats)
	if out := must(t, "relays", "list", "--data", dir); !strings.Contains(out, "hook") || !strings.Contains(out, "lines") {
		t.Errorf("relays list says\n%s", out)
	}
}

// stands waits until the one relay of a folder has nothing to do at once, and returns its page.
func stands(t *testing.T, dir string) relay.Page {
	t.Helper()
	book, err := relay.OpenBook(t.Context(), filepath.Join(dir, "relays.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	var page relay.Page
	for since, until := time.Now(), time.Now().Add(time.Minute); time.Since(since) < 2*time.Second; time.Sleep(50 * time.Millisecond) {
		pages, err := book.Pages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(pages) != 1 || time.Now().After(until) {
			t.Fatalf("the relay does not come to rest: %v", pages)
		}
		if p := pages[0]; p.Position != page.Position || p.Waiting != page.Waiting || p.Parked != page.Parked || len(p.Wishes) > 0 {
			page, since = p, time.Now()
		}
	}
	return page
}

// A folder is copied to a server, and its relay goes on there: nothing is told twice, nothing is left out, and what was refused
// before waits for a person. Copied to another folder, there is nothing to carry.
func TestARelayGoesOnAfterItsLogMovedToAServer(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	s := newSettlement(t, 1, 60)
	there := s.folders[0]
	to := &landing{bodies: map[string][32]byte{}, streak: map[string][]string{}, tried: map[string]bool{}, loath: true}
	web := httptest.NewServer(to)
	defer web.Close()
	settings := config(t, fmt.Sprintf(`relays:
  hook:
    webhook: {url: %q, secrets: [%s], allow: [127.0.0.1]}
    types: [demand]
    role: auditor
    unit: "150100"
    begin: start
`, web.URL, hookSecret))
	told := func() int {
		to.mu.Lock()
		defer to.mu.Unlock()
		return len(to.order)
	}
	channel := strings.TrimSpace(must(t, "keys", "create", "--data", s.shared, "--role", "channel", "--unit", string(s.hotline)))
	_, kill := serveProcess(t, s.shared, "--config", settings)
	before := stands(t, s.shared)
	kill()
	if told() < 100 || before.Waiting < 2 || before.Parked != 0 {
		t.Fatalf("%d told, %d wait, %d parked before the move", told(), before.Waiting, before.Parked)
	}
	must(t, "copy", "--from", s.shared, "--to", s.connection) // what has been written since the first copy

	must(t, "relays", "list", "--data", s.shared) // the killed process left part of it beside the file: whoever opens it last puts it in
	book, err := os.ReadFile(filepath.Join(s.shared, "relays.db"))
	if err != nil {
		t.Fatal(err)
	}
	beside := t.TempDir()
	must(t, "copy", "--from", s.shared, "--to", beside)
	for _, dir := range []string{there, beside} {
		if err := os.WriteFile(filepath.Join(dir, "relays.db"), book, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if out := must(t, "relays", "carry", "--data", beside, "--from", s.shared, "--to", beside); !strings.Contains(out, "nothing to carry") {
			t.Errorf("to a folder: %s", out)
		}
	}
	must(t, "relays", "replay", "--data", beside, "--from", "1", "hook")

	if _, errs, status := call(t, "serve", "--data", there, "--log", s.connection, "--listen", "127.0.0.1:0", "--config", settings); status == 0 || !strings.Contains(errs, "relays carry") {
		t.Errorf("served before it was carried: status %d\n%s", status, errs)
	}
	carry := []string{"relays", "carry", "--data", there, "--from", s.shared, "--to", s.connection}
	if out := must(t, carry...); !regexp.MustCompile(`carried [1-9]\d* positions`).MatchString(out) {
		t.Errorf("to the server: %s", out)
	}
	if _, errs, status := call(t, carry...); status != 1 || !strings.Contains(errs, "as another log does") {
		t.Errorf("carried twice: status %d\n%s", status, errs)
	}
	if _, errs, status := call(t, "relays", "replay", "--data", there, "--from", "1", "hook"); status != 1 || !strings.Contains(errs, "before the log was copied") {
		t.Errorf("a replay of what was told before: status %d\n%s", status, errs)
	}
	n := told()
	to.mu.Lock()
	to.loath = false
	to.mu.Unlock()
	url, kill := serveProcess(t, there, "--log", s.connection, "--config", settings)
	defer kill()
	if page := stands(t, there); page.Parked != 1 || page.Waiting != before.Waiting-1 {
		t.Errorf("%d parked and %d wait, want 1 and %d", page.Parked, page.Waiting, before.Waiting-1)
	}
	if got := told(); got != n {
		t.Errorf("%d messages were told again after the move", got-n)
	}
	r, err := http.NewRequest(http.MethodPost, url+"/api/v1/demands", strings.NewReader(fmt.Sprintf(`{"kind":"issue","channel":"hotline","text":"路灯不亮","grid":%q,"external_ref":"moved"}`, s.grid)))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{"Authorization": "Bearer " + channel, "Content-Type": "application/json", "Idempotency-Key": "moved"} {
		r.Header.Set(name, v)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("a demand on the server: status %d", answer.StatusCode)
	}
	stands(t, there)
	if got := told(); got != n+1 {
		t.Errorf("%d messages came of one new demand", got-n)
	}
	at := regexp.MustCompile(`(?m)^(\d+) .* parked `).FindStringSubmatch(must(t, "relays", "list", "--data", there, "hook"))
	if at == nil {
		t.Fatal("no message is listed as parked")
	}
	must(t, "relays", "skip", "--data", there, "hook", at[1])
	if page := stands(t, there); page.Waiting != 0 || page.Parked != 0 {
		t.Errorf("%d wait and %d are parked after the one was given up", page.Waiting, page.Parked)
	}
	if got := told(); got != n+before.Waiting {
		t.Errorf("%d messages of the case that was held came, want %d", got-n-1, before.Waiting-1)
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	for _, f := range to.faults {
		t.Error(f)
	}
	if len(to.order) != len(to.bodies) {
		t.Errorf("%d messages came twice", len(to.order)-len(to.bodies))
	}
}

func TestAServerWithADeadDestinationIsReadyAndTakesWhatFeedsSend(t *testing.T) {
	dir := t.TempDir()
	if err := seedFolder(t.Context(), dir, streams{out: io.Discard, err: io.Discard}, seeding{size: city.Street, seed: 1}); err != nil {
		t.Fatal(err)
	}
	s := serveTown(t, dir, slog.New(slog.DiscardHandler)) // to learn its units
	grid, hotline := s.grids[0], s.hotline
	s.shut()
	url, kill := serveProcess(t, dir, "--config", config(t, fmt.Sprintf(`relays:
  dead:
    webhook: {url: "http://127.0.0.1:1/", secrets: [%s], allow: [127.0.0.1]}
    types: [unit, demand]
    role: auditor
    unit: "150100"
    begin: start
feeds:
  intake:
    unit: %q
    secrets: [%s]
`, hookSecret, hotline, hookSecret)))
	defer kill()
	hook, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	send := func(id, body string, change func(http.Header)) (int, map[string]any) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, url+"/feeds/intake", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		signature, err := hook.Sign(id, now, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string]string{"Content-Type": relay.ContentType, "webhook-id": id, "webhook-timestamp": fmt.Sprint(now.Unix()), "webhook-signature": signature} {
			r.Header.Set(name, v)
		}
		if change != nil {
			change(r.Header)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var said map[string]any
		if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, said
	}
	message := func(id, typ, data string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/hotline","type":%q,"datacontenttype":"application/json","data":%s}`, id, typ, data)
	}
	const raise = "gridcase.raise-demand"
	data := fmt.Sprintf(`{"kind":"issue","channel":"hotline","text":"路灯不亮","grid":%q,"external_ref":"h-1","reporter":{"phone":"00013800000"}}`, grid)
	status, first := send("m-1", message("m-1", raise, data), nil)
	if status != 201 || first["tracking"] == nil || first["id"] == nil {
		t.Fatalf("got %d %v", status, first)
	}
	if status, again := send("m-1", message("m-1", raise, data), nil); status != 200 || again["id"] != first["id"] || again["position"] != first["position"] || again["replayed"] != true {
		t.Errorf("delivered again: got %d %v, first %v", status, again, first)
	}
	for name, tc := range map[string]struct {
		id, body string
		change   func(http.Header)
		status   int
		code     string
	}{
		"the same id with other content":   {"m-1", message("m-1", raise, strings.Replace(data, "路灯不亮", "井盖破损", 1)), nil, 422, "key_reused"},
		"the same reference under another": {"m-2", message("m-2", raise, data), nil, 409, "wrong_state"},
		"a type nobody takes":              {"m-3", message("m-3", "gridcase.close-everything", "{}"), nil, 422, "unknown_type"},
		"an unknown member":                {"m-4", message("m-4", raise, `{"kind":"issue","colour":"red"}`), nil, 422, "invalid"},
		"a member that is not as it must":  {"m-5", message("m-5", raise, `{"kind":"wish","channel":"hotline","text":"x"}`), nil, 422, "invalid"},
		"a member twice":                   {"m-6", message("m-6", raise, `{"kind":"issue","Kind":"report"}`), nil, 400, "malformed"},
		"no event":                         {"m-7", `{"hello":"world"}`, nil, 400, "malformed"},
		"no JSON":                          {"m-8", `{`, nil, 400, "malformed"},
		"another id outside than inside":   {"m-9", message("m-10", raise, data), nil, 400, "id_differs"},
		"an id that is a phone number":     {"13800138000", message("13800138000", raise, data), nil, 422, "personal_key"},
		"no signature":                     {"m-11", message("m-11", raise, data), func(h http.Header) { h.Del("webhook-signature") }, 401, "bad_signature"},
		"a signature of another message":   {"m-12", message("m-12", raise, data), func(h http.Header) { h.Set("webhook-id", "m-13") }, 401, "bad_signature"},
		"an old message":                   {"m-14", message("m-14", raise, data), func(h http.Header) { h.Set("webhook-timestamp", "1700000000") }, 401, "bad_signature"},
		"another type of content":          {"m-15", message("m-15", raise, data), func(h http.Header) { h.Set("Content-Type", "application/json") }, 415, "unsupported_media_type"},
	} {
		if status, said := send(tc.id, tc.body, tc.change); status != tc.status || said["code"] != tc.code {
			t.Errorf("%s: got %d %v, want %d %s", name, status, said, tc.status, tc.code)
		} else if strings.Contains(fmt.Sprint(said), "00013800000") {
			t.Errorf("%s: the answer repeats personal data: %v", name, said)
		}
	}
	get := func(path string) (int, string) {
		answer, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	if status, text := get("/readyz"); status != 200 {
		t.Errorf("a destination is down, and the node is not ready: %d %s", status, text)
	}
	down := regexp.MustCompile(`(?s)gridcase_relay_failed_total\{relay="dead"\} [1-9].*gridcase_relay_lag_seconds\{relay="dead"\} [1-9]`)
	_, metrics := get("/metrics")
	for deadline := time.Now().Add(20 * time.Second); !down.MatchString(metrics); _, metrics = get("/metrics") {
		if time.Now().After(deadline) {
			t.Fatalf("the metrics do not show that the destination is down: %v", regexp.MustCompile(`(?m)^gridcase_relay.*$`).FindAllString(metrics, -1))
		}
		time.Sleep(200 * time.Millisecond)
	}
	for _, line := range []string{`gridcase_relay_parked{relay="dead"} 0`, `gridcase_relay_sent_total{relay="dead"} 0`, `gridcase_relay_off{relay="dead"} 0`,
		`gridcase_feed_taken_total{feed="intake"} 2`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics do not say %s", line)
		}
	}
	if faults, err := promlint.New(strings.NewReader(metrics)).Lint(); err != nil || len(faults) > 0 {
		t.Errorf("promlint says %v, %v", faults, err)
	}
	must(t, "relays", "park", "--data", dir, "dead")
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(must(t, "relays", "list", "--data", dir), "off: parked by hand"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it was not parked:\n%s", must(t, "relays", "list", "--data", dir))
		}
	}
	if out := must(t, "relays", "list", "--data", dir, "dead"); !strings.Contains(out, "connection refused") {
		t.Errorf("what is held:\n%s", out)
	}
	if _, errs, status := call(t, "relays", "park", "--data", dir, "nobody"); status != 1 || !strings.Contains(errs, "no relay nobody") {
		t.Errorf("got %d %s", status, errs)
	}
	if _, errs, status := call(t, "relays", "replay", "--data", dir, "--from", "1", "--to", "999999999", "dead"); status != 1 || !strings.Contains(errs, "it can send again") {
		t.Errorf("got %d %s", status, errs)
	}
}

func TestSettingsOfRelaysAreStrict(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"an unknown setting":   {"serve:\n  listen: 127.0.0.1:0\nrelays:\n  a:\n    file: x\n    tpyes: [demand]\n", "tpyes"},
		"its line":             {"serve:\n  listen: 127.0.0.1:0\nrelays:\n  a:\n    file: x\n    tpyes: [demand]\n", ">  6 |"},
		"a flag's name alone":  {"keys: https://localhost:7443\nserve:\n  listen: 127.0.0.1:0\n", `line 1: unknown setting "keys"`},
		"two destinations":     {"relays:\n  a:\n    file: x\n    kafka: {brokers: [b], topic: t}\n    types: [demand]\n    role: auditor\n    unit: \"150100\"\n", "relay a: it needs exactly one"},
		"no secret":            {"relays:\n  a:\n    webhook: {url: \"https://example.com\"}\n    types: [demand]\n    role: auditor\n    unit: \"150100\"\n", "relay a: secrets"},
		"plain http":           {"relays:\n  a:\n    webhook: {url: \"http://example.com\", secrets: [" + hookSecret + "]}\n    types: [demand]\n    role: auditor\n    unit: \"150100\"\n", "relay a: url"},
		"a role without eyes":  {"relays:\n  a:\n    file: x\n    types: [demand]\n    role: operator\n    unit: \"150100\"\n", "relay a: role"},
		"a name with a stroke": {"relays:\n  a/b:\n    file: x\n    types: [demand]\n    role: auditor\n    unit: \"150100\"\n", "a name is"},
		"a feed without proof": {"feeds:\n  a:\n    unit: \"150100\"\n", "feed a: it needs secrets"},
	} {
		_, errs, status := call(t, "--config", config(t, tc.text), "serve", "--data", filepath.Join(t.TempDir(), "d"))
		if status == 0 || !strings.Contains(errs, tc.want) || strings.Contains(errs, "C2FV") {
			t.Errorf("%s: status %d, %s", name, status, errs)
		}
	}
}

// What docs/relays.md shows as settings can be used as it stands.
// With the tag kafka all of them are; without it, those that name Kafka are refused for that reason alone.
func TestTheSettingsInTheManualAreTaken(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "relays.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	block, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/relays.md shows no settings")
	}
	noKafka := relay.Broker{Kafka: []string{"kafka-1:9092"}}.Check() // nil with the tag
	b := &border{}
	k := configFile(config(t, block))
	if err := k.into(b); err != nil {
		t.Fatal(err)
	}
	if len(b.Relays) < 4 || len(b.Feeds) < 2 {
		t.Errorf("got %d relays and %d feeds", len(b.Relays), len(b.Feeds))
	}
	for name, s := range b.Relays {
		if s.Webhook != nil && len(s.Webhook.Secrets) > 0 {
			s.Webhook.Secrets = []string{hookSecret}
		}
		if s.File != "" {
			s.File = filepath.Join(t.TempDir(), "f")
		}
		o, err := s.out(name, slog.New(slog.DiscardHandler))
		if noKafka != nil && s.Kafka != nil && errors.Is(err, noKafka) {
			continue
		}
		if err != nil {
			t.Errorf("relay %s: %v", name, err)
			continue
		}
		if err := o.Publisher.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, s := range b.Feeds {
		if len(s.Secrets) > 0 {
			s.Secrets = []string{hookSecret}
		}
		if _, err := s.feed(name); err != nil && !(noKafka != nil && s.Kafka != nil && errors.Is(err, noKafka)) {
			t.Errorf("feed %s: %v", name, err)
		}
	}
}
