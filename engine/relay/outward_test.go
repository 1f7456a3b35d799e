package relay_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cloudevents/sdk-go/v2/event"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"gridcase/domain/demand"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine/relay"
)

// The one goroutine that stays is a clock of the metrics that come with sarama, one for the whole process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// sent lets a relay with some terms take what a house holds, and returns what came.
func sent(t *testing.T, h *house, terms relay.Terms) []got {
	t.Helper()
	w := newTown(t, t.TempDir(), nil)
	w.house, w.out.Terms = h, terms
	w.start()
	end, err := h.log.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for {
		pages, err := w.book.Pages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if pages[0].Position == end {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.end()
	return w.to.seen()
}

// Whoever receives our messages checks them with the libraries that everybody uses.
func TestOthersLibrariesTakeOurSignaturesAndEnvelopes(t *testing.T) {
	h := newHouse(t)
	first := h.step(1)
	h.step(1)
	all := sent(t, h, everything)
	if len(all) != 2 {
		t.Fatalf("got %d messages, want 2", len(all))
	}
	hook, err := standardwebhooks.NewWebhook(secretText)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if err := hook.Verify([]byte(g.body), g.header); err != nil {
			t.Errorf("the library of Standard Webhooks says: %v", err)
		}
		if err := hook.Verify([]byte(g.body+" "), g.header); err == nil {
			t.Error("the library takes anything")
		}
	}
	var e event.Event
	if err := json.Unmarshal([]byte(all[0].body), &e); err != nil {
		t.Fatal(err)
	}
	if err := e.Validate(); err != nil {
		t.Errorf("the library of CloudEvents says: %v", err)
	}
	if e.SpecVersion() != "1.0" || e.ID() != first.ID.String() || e.ID() != all[0].id || e.Source() != source || e.Type() != "gridcase.demand-raised/1" ||
		e.Subject() != first.Stream || e.DataContentType() != "application/json" || e.Extensions()["position"] != first.Position.String() ||
		e.Extensions()["correlation"] != demandNo(1).ID().String() || e.Time().IsZero() {
		t.Errorf("got %s", e)
	}
	var data map[string]any
	if err := e.DataAs(&data); err != nil || data["kind"] != "issue" {
		t.Errorf("the data: %v, %v", data, err)
	}
	if all[0].header.Get("Content-Type") != relay.ContentType {
		t.Errorf("got %s", all[0].header.Get("Content-Type"))
	}
}

func TestWhileASecretIsReplacedEitherFits(t *testing.T) {
	const fresh = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G"
	next, err := relay.ParseSecret(fresh)
	if err != nil {
		t.Fatal(err)
	}
	to := &receiver{}
	web := httptest.NewServer(to)
	defer web.Close()
	hook, err := relay.NewWebhook(relay.WebhookConfig{URL: web.URL, Allow: []string{"127.0.0.1"}, Secrets: []relay.Secret{next, secret}})
	if err != nil {
		t.Fatal(err)
	}
	defer hook.Close()
	if err := hook.Publish("", message.NewMessage("m-1", []byte(`{"id":"m-1"}`))); err != nil {
		t.Fatal(err)
	}
	g := to.seen()[0]
	for _, text := range []string{fresh, secretText} {
		w, err := standardwebhooks.NewWebhook(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Verify([]byte(g.body), g.header); err != nil {
			t.Errorf("with one of two secrets: %v", err)
		}
	}
	if id, err := relay.Verify(g.header, []relay.Secret{secret}, time.Now(), []byte(g.body)); err != nil || id != "m-1" {
		t.Errorf("we ourselves: %q, %v", id, err)
	}
	for name, f := range map[string]func() error{
		"six minutes later": func() error {
			_, err := relay.Verify(g.header, []relay.Secret{secret}, time.Now().Add(6*time.Minute), []byte(g.body))
			return err
		},
		"another body": func() error {
			_, err := relay.Verify(g.header, []relay.Secret{secret}, time.Now(), []byte("{}"))
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	for _, bad := range []string{"", "whsec_", "whsec_AAAA", strings.TrimPrefix(secretText, "whsec_"), "whsec_" + strings.Repeat("A", 88)} {
		if _, err := relay.ParseSecret(bad); err == nil {
			t.Errorf("%q passes as a secret", bad)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret); strings.Contains(text, "C2FV") || strings.Contains(text, "0xb") {
		t.Errorf("a secret prints as %s", text)
	}
}

func TestNoRequestGoesIntoTheOwnNetwork(t *testing.T) {
	for _, a := range []string{"127.0.0.1:80", "10.1.2.3:443", "172.16.0.1:1", "192.168.1.1:1", "169.254.169.254:80", "100.64.0.1:1", "0.0.0.0:80", "224.0.0.1:1", "255.255.255.255:1",
		"198.18.0.1:1", "192.0.2.1:1", "240.0.0.1:1", "[::1]:80", "[::]:80", "[fe80::1%eth0]:80", "[fc00::1]:1", "[fd12::1]:1", "[::ffff:127.0.0.1]:80", "[::ffff:10.0.0.1]:80",
		"[64:ff9b::7f00:1]:80", "[2002:7f00:1::]:80", "[2001::1]:80", "[ff02::1]:1", "[::127.0.0.1]:1", "localhost:80", ""} {
		if relay.OnlyPublic(a) == nil {
			t.Errorf("a connection to %s would be made", a)
		}
	}
	for _, a := range []string{"1.1.1.1:443", "114.114.114.114:443", "[2606:4700::1111]:443", "[240e::1]:443"} {
		if err := relay.OnlyPublic(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	reached := false
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer web.Close()
	_, port, _ := net.SplitHostPort(web.Listener.Addr().String())
	// localhost is a name as any other: what it leads to is looked at when the connection is made.
	hook, err := relay.NewWebhook(relay.WebhookConfig{URL: "https://localhost:" + port, Secrets: []relay.Secret{secret}})
	if err != nil {
		t.Fatal(err)
	}
	defer hook.Close()
	var silent *relay.NoAnswer
	if err := hook.Publish("", message.NewMessage("m", []byte("{}"))); !errors.As(err, &silent) || !strings.Contains(err.Error(), "no public address") || reached {
		t.Errorf("got %v, reached %v", err, reached)
	}
	if _, err := relay.NewWebhook(relay.WebhookConfig{URL: "http://example.com/", Secrets: []relay.Secret{secret}}); err == nil {
		t.Error("http was taken without the host being allowed by name")
	}
}

func TestRedirectsAreNotFollowedAndALongAnswerIsNotRead(t *testing.T) {
	var followed bool
	mux := http.NewServeMux()
	mux.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { followed = true })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() })
	web := httptest.NewServer(mux)
	defer web.Close()
	post := func(path string) (time.Duration, error) {
		hook, err := relay.NewWebhook(relay.WebhookConfig{URL: web.URL + path + "?token=qzxkv", Allow: []string{"127.0.0.1"}, Secrets: []relay.Secret{secret}, Timeout: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer hook.Close()
		began := time.Now()
		err = hook.Publish("", message.NewMessage("m", []byte("{}")))
		return time.Since(began), err
	}
	if _, err := post("/hook"); err == nil || followed {
		t.Errorf("a redirect: got %v, followed %v", err, followed)
	}
	if took, err := post("/endless"); err != nil || took > 5*time.Second {
		t.Errorf("an endless answer: got %v after %s", err, took)
	}
	var silent *relay.NoAnswer
	if took, err := post("/slow"); !errors.As(err, &silent) || took > 5*time.Second || strings.Contains(err.Error(), "qzxkv") {
		t.Errorf("no answer: got %v after %s", err, took)
	}
}

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	now := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{"120": 2 * time.Minute, "Sun, 01 Nov 2026 08:05:00 GMT": 5 * time.Minute, "0": 0} {
		if at, ok := relay.RetryAfter(text, now); !ok || at.Sub(now) != want {
			t.Errorf("%q: got %s, %v", text, at, ok)
		}
	}
	for _, text := range []string{"", "-1", "soon", "99999999999999"} {
		if at, ok := relay.RetryAfter(text, now); ok {
			t.Errorf("%q: got %s", text, at)
		}
	}
}

const canary = "gcenc1.a256gcm.k1.Y2FuYXJ5"

// Everything that a demand may hold of a person is in these events, and none of it leaves but as a ciphertext where the terms say so.
func TestPersonalDataLeavesSealedOrNotAtAll(t *testing.T) {
	h := newHouse(t)
	c := sealed.Cipher(canary)
	h.add(demandNo(1), demand.Raised{Kind: demand.Issue, Channel: "wechat", Unit: community, Title: c, Text: c, Address: c, Location: c,
		Reporter: demand.Reporter{Name: c, Phone: c, IDNumber: c, Account: c}})
	h.add(demandNo(1), demand.UrgingReceived{Text: c})
	removed := sent(t, h, everything)
	if len(removed) != 2 {
		t.Fatalf("got %d messages", len(removed))
	}
	for _, g := range removed {
		if strings.Contains(g.body, "gcenc1") || strings.Contains(g.body, `"title"`) || strings.Contains(g.body, "somebody") {
			t.Errorf("it left: %s", g.body)
		}
		if !strings.Contains(g.body, `"data":{`) || g.matter == "" {
			t.Errorf("nothing is left of it: %s", g.body)
		}
	}
	kept := everything
	kept.Ciphertexts = true
	if all := sent(t, h, kept); len(all) != 2 || strings.Count(all[0].body, canary) != 8 {
		t.Errorf("as ciphertexts: %+v", all)
	}
	for data, want := range map[string]string{
		`{"a":"` + canary + `","b":1.50,"c":["` + canary + `","x"],"d":{"e":"` + canary + `"},"f":"<&>"}`: `{"b":1.50,"c":["x"],"d":{},"f":"<&>"}`,
		`{"a":12345678901234567890,"b":null}`:              `{"a":12345678901234567890,"b":null}`,
		`{"n":{"o":["` + canary + `"]},"p":"诉求","q":true}`: `{"n":{"o":[]},"p":"诉求","q":true}`,
	} {
		if got, err := relay.Unsealed([]byte(data)); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", data, got, err, want)
		}
	}
}

// Reports (举报) leave for nobody whose terms do not name them: neither the demand, nor what was once one, nor its orders.
func TestAReportLeavesOnlyForWhoeverNamesIt(t *testing.T) {
	h := newHouse(t)
	h.add(demandNo(1), demand.Raised{Kind: demand.Report, Channel: "wechat", Unit: community})
	h.add(demandNo(2), demand.Raised{Kind: demand.Issue, Channel: "wechat", Unit: community})
	h.add(demandNo(2), demand.Supported{Supporters: 1})
	h.add(demandNo(2), demand.Reclassified{Kind: demand.Report}) // from now on nothing of it leaves any more, its beginning neither
	h.add(stream.Of(stream.Order, stream.Derive("o1")), order.Dispatched{Kind: "report", Lead: street, By: street, Place: community, Demands: []stream.ID{demandNo(1).ID()}})
	h.add(stream.Of(stream.Order, stream.Derive("o2")), order.Dispatched{Kind: "issue", Lead: street, By: street, Place: community, Demands: []stream.ID{demandNo(2).ID()}})
	h.add(demandNo(3), demand.Raised{Kind: demand.Report, Channel: "wechat", Unit: community})
	h.add(demandNo(3), demand.Reclassified{Kind: demand.Issue}) // it says what it was
	h.add(demandNo(3), demand.Supported{Supporters: 1})
	h.add(demandNo(4), demand.Raised{Kind: demand.Issue, Channel: "wechat", Unit: community})
	terms := everything
	terms.Types = []string{"*/1"}
	var subjects []string
	for _, g := range sent(t, h, terms) {
		if g.matter != "" {
			subjects = append(subjects, g.matter)
		}
		if strings.Contains(g.body, `"report"`) {
			t.Errorf("it left: %s", g.body)
		}
	}
	if len(subjects) != 2 || subjects[0] == demandNo(1).ID().String() || subjects[0] == demandNo(2).ID().String() {
		t.Errorf("of cases left %v, want the last of the third and the fourth", subjects)
	}
	terms.Reports = true
	all := 0
	for _, g := range sent(t, h, terms) {
		if g.matter != "" {
			all++
		}
	}
	if all != 10 {
		t.Errorf("named, %d left, want 10", all)
	}
	terms.Role = orgs.GridWorker
	if terms.Check() == nil {
		t.Error("a grid worker was given reports")
	}
}

func TestARelayGetsWhatItsRoleReadsAtItsPlace(t *testing.T) {
	h := newHouse(t)
	h.add(demandNo(1), demand.Raised{Kind: demand.Issue, Channel: "wechat", Unit: community})
	h.add(demandNo(2), demand.Raised{Kind: demand.Issue, Channel: "wechat", Unit: further})
	h.add(stream.Keyed(stream.Access, "2026-01-01-x"), demand.Supported{}) // the house's own streams never leave
	h.add(stream.Keyed(stream.Actor, "k"), demand.Supported{})
	for name, tc := range map[string]struct {
		terms relay.Terms
		want  int
	}{
		"the street":               {relay.Terms{Types: []string{"demand-*/1"}, Role: orgs.Dispatcher, Unit: street}, 1},
		"its neighbour":            {relay.Terms{Types: []string{"demand-*/1"}, Role: orgs.Dispatcher, Unit: neighbour}, 1},
		"the district":             {relay.Terms{Types: []string{"demand-*/1"}, Role: orgs.Dispatcher, Unit: district}, 2},
		"another type":             {relay.Terms{Types: []string{"demand-accepted/1"}, Role: orgs.Dispatcher, Unit: district}, 0},
		"a channel, its own":       {relay.Terms{Types: []string{"demand-*/1"}, Role: orgs.Channel, Unit: city, Actor: "somebody"}, 2},
		"a channel, of another's":  {relay.Terms{Types: []string{"demand-*/1"}, Role: orgs.Channel, Unit: city, Actor: "another"}, 0},
		"an auditor of everything": {relay.Terms{Types: []string{"*/1"}, Role: orgs.Auditor, Unit: city}, 8}, // with the six units
	} {
		if all := sent(t, h, tc.terms); len(all) != tc.want {
			t.Errorf("%s: got %d, want %d", name, len(all), tc.want)
		}
	}
	w := newTown(t, t.TempDir(), nil)
	defer w.web.Close()
	book, err := relay.OpenBook(t.Context(), filepath.Join(w.dir, "relays.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	w.out.Terms.Unit = "150199" // nothing would leave, and all of it be passed over
	if _, err := relay.Start(t.Context(), relay.Config{Log: h.log, House: h, Source: source, Book: book, Out: []relay.Out{w.out}}); err == nil {
		t.Error("a unit that nobody knows was taken")
	}
	for name, terms := range map[string]relay.Terms{"no types": {Role: orgs.Auditor, Unit: city}, "a type nobody knows": {Types: []string{"demand", "demand-forgotten/1"}, Role: orgs.Auditor, Unit: city},
		"an operator": {Types: []string{"*/1"}, Role: orgs.Operator, Unit: city}, "a resident": {Types: []string{"*/1"}, Role: orgs.Resident, Unit: city},
		"no unit": {Types: []string{"*/1"}, Role: orgs.Auditor}, "a channel without actor": {Types: []string{"*/1"}, Role: orgs.Channel, Unit: city}, "no role": {Types: []string{"*/1"}, Unit: city}} {
		if terms.Check() == nil {
			t.Errorf("%s: the terms were taken", name)
		}
	}
}

// An event that this program does not know can not be judged: the relay waits for a newer program, and loses nothing.
func TestARelayStopsBeforeWhatItCanNotJudge(t *testing.T) {
	h := newHouse(t)
	h.step(1)
	h.put(demandNo(1), "demand-beamed-up/1", []byte(`{"secret":"x"}`))
	h.step(1)
	w := newTown(t, t.TempDir(), nil)
	w.house = h
	w.start()
	defer w.end()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && len(w.to.seen()) == 0; {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	if all := w.to.seen(); len(all) != 1 {
		t.Errorf("got %d messages, want the one before it", len(all))
	}
}

func TestAFileHasWholeLinesThatAreOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	if err := os.WriteFile(path, []byte("{\"n\":0}\n{\"n\":"+strings.Repeat("9", 10_000)), 0o600); err != nil { // a crash cut the last line
		t.Fatal(err)
	}
	f, err := relay.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if err := f.Publish("", message.NewMessage("m", fmt.Appendf(nil, `{"n":%d}`, i+1))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Publish("", message.NewMessage("m", nil)); err == nil {
		t.Error("a closed file took a message")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]int{}
	for line := range bytes.Lines(text) {
		var l struct{ N int }
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		seen[l.N]++
	}
	if len(seen) != 101 || bytes.Count(text, []byte("\n")) != 101 {
		t.Errorf("%d lines of %d messages, want 101", bytes.Count(text, []byte("\n")), len(seen))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
}
