package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// rivals is how many clients do the same at once.
const rivals = 64

// race sends one request per rival, all at once, and waits for what follows.
func (s *town) race(send func() reply) (replies [rivals]reply) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for n := range rivals {
		all.Go(func() {
			<-start
			replies[n] = send()
		})
	}
	close(start)
	all.Wait()
	s.settle()
	return replies
}

// once checks that one event of the type was written after a position.
func (s *town) once(name, event string, after eventlog.Position) {
	s.t.Helper()
	written := map[string]int{}
	each(s.t, s.house.log, func(ev eventlog.Event) {
		if ev.Position > after {
			written[ev.Type]++
		}
	})
	if written[event] != 1 {
		s.t.Errorf("%s: %d clients wrote %v, want one %s", name, rivals, written, event)
	}
}

// equal checks that all replies are the same, byte for byte, and that all but the first say that they are a repeat.
func (s *town) equal(name string, status int, replies [rivals]reply) {
	s.t.Helper()
	firsts := 0
	for n, r := range replies {
		if r.StatusCode != status || !bytes.Equal(r.raw, replies[0].raw) || r.Header.Get("ETag") != replies[0].Header.Get("ETag") {
			s.t.Errorf("%s: answer %d is %d %s, want %d %s", name, n, r.StatusCode, r.raw, status, replies[0].raw)
		}
		if r.Header.Get("Idempotency-Replayed") != "true" {
			firsts++
		}
	}
	if firsts != 1 {
		s.t.Errorf("%s: %d answers say that they are the first, want one", name, firsts)
	}
}

func (s *town) end() eventlog.Position {
	s.t.Helper()
	end, err := s.house.log.End(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return end
}

// contest is one command that 64 clients give on the same revision.
type contest struct {
	name, key, path, command, body, event string
}

// contests are commands on a demand, on a topic and on an order, each of which leads to one event.
func (s *town) contests() []contest {
	clerk := s.as(orgs.Clerk, s.community)
	raised := s.raise(s.as(orgs.Resident, s.community), "issue", "路灯不亮")
	named := s.raise(s.as(orgs.Resident, s.community), "issue", "路面破损")
	s.accept(named, "issue", "D")
	topic := s.create(clerk, "/topics", fmt.Sprintf(`{"kind":"ordinary","source":"residents","title":"修路","unit":%q,"matter":"170101","demands":[%q]}`,
		s.community, identifiers(named)[0]))
	errand := s.raise(s.as(orgs.Resident, s.community), "errand", "代缴水费")
	s.accept(errand, "errand", "C")
	s.do(clerk, errand, "fast-track", fmt.Sprintf(`{"reason":"errand","route":{"order":{"lead":%q}}}`, s.grids[0]))
	return []contest{
		{"accept a demand", clerk, raised, "accept", fmt.Sprintf(`{"kind":"issue","matter":"170101","urgency":"D","unit":%q,"summary":"公开摘要"}`, s.community), "demand-accepted/1"},
		{"drop a topic", s.as(orgs.Convenor, s.community), topic, "drop", `{"reason":"直接办理"}`, "topic-dropped/1"},
		{"sign an order", s.as(orgs.GridWorker, s.grids[0].Unit()), s.list(errand, "orders", "/orders/")[0], "sign", "", "order-signed/1"},
	}
}

func TestOf64ClientsOnOneRevisionOneIsHeard(t *testing.T) {
	s := openTown(t)
	for _, c := range s.contests() {
		tag := s.want(s.get(c.key, c.path), 200, "").Header.Get("ETag")
		before := s.end()
		answers := map[string]int{}
		for _, r := range s.race(func() reply { return s.post(c.key, c.path+"/"+c.command, c.body, "If-Match", tag) }) {
			answers[fmt.Sprint(r.StatusCode, r.text("code"))]++
		}
		if answers["200"] != 1 || answers["412revision_conflict"] != rivals-1 {
			t.Errorf("%s: answers %v, want one 200 and %d times 412 revision_conflict", c.name, answers, rivals-1)
		}
		s.once(c.name, c.event, before)
	}
	s.sound()
}

func TestOneKey64TimesIsOneEventAnd64EqualAnswers(t *testing.T) {
	s := openTown(t)
	for _, c := range s.contests() {
		tag := s.want(s.get(c.key, c.path), 200, "").Header.Get("ETag")
		before := s.end()
		s.equal(c.name, 200, s.race(func() reply {
			return s.post(c.key, c.path+"/"+c.command, c.body, "If-Match", tag, "Idempotency-Key", "the-one-key")
		}))
		s.once(c.name, c.event, before)
	}
	s.sound()
}

func TestRaisingTheSameDemand64TimesRaisesOne(t *testing.T) {
	s := openTown(t)
	channel := s.as(orgs.Channel, s.hotline)
	s.want(s.get(channel, "/demands"), 200, "") // the grant of the key is in the log
	body := fmt.Sprintf(`{"kind":"issue","channel":"hotline","title":"路灯","text":"路灯不亮","grid":%q,"external_ref":%%q,"reporter":{"name":"居民乙"}}`, s.grids[0])

	before := s.end()
	s.equal("one key", 201, s.race(func() reply {
		return s.post(channel, "/demands", fmt.Sprintf(body, "ref-1"), "Idempotency-Key", "raise-1")
	}))
	s.once("one key", "demand-raised/1", before)

	before = s.end()
	answers := map[string]int{}
	for _, r := range s.race(func() reply { return s.post(channel, "/demands", fmt.Sprintf(body, "ref-2")) }) {
		answers[fmt.Sprint(r.StatusCode, r.text("code"))]++
	}
	if answers["201"] != 1 || answers["409wrong_state"] != rivals-1 {
		t.Errorf("one reference under %d keys: answers %v, want one 201 and otherwise 409 wrong_state", rivals, answers)
	}
	s.once("one reference", "demand-raised/1", before)
	s.sound()
}

// clients keep a ledger of what they sent and of what a server, before it was killed, answered.
type clients struct {
	url, channel, clerk string
	web                 *http.Client
	raising, accepting  string // bodies

	mu       sync.Mutex
	open     []string          // references that were sent and not answered
	sent     map[string]bool   // every reference
	raised   map[string]string // reference to id, as answered
	accepted map[string]bool   // references whose acceptance was answered
	refused  []string          // answers that should not have been
	left     int               // acknowledged demands until enough
	enough   chan struct{}
}

// after returns a channel that is closed when so many more demands have been acknowledged.
func (c *clients) after(demands int) <-chan struct{} {
	c.left, c.enough = demands, make(chan struct{})
	return c.enough
}

// run raises and accepts demands until the server is gone. Half of what an earlier server left open is repeated.
func (c *clients) run(run, client int) {
	for n := 0; ; n++ {
		ref := fmt.Sprintf("kill-%d-%d-%d", run, client, n)
		c.mu.Lock()
		if n%2 == 0 && len(c.open) > 0 {
			ref, c.open = c.open[0], c.open[1:]
		}
		c.sent[ref] = true
		c.mu.Unlock()
		id, err := c.post(c.channel, "/demands", fmt.Sprintf(c.raising, ref), ref, http.StatusCreated)
		if err == nil && id != "" {
			c.mu.Lock()
			c.raised[ref] = id
			if c.left--; c.left == 0 {
				close(c.enough)
			}
			c.mu.Unlock()
			_, err = c.post(c.clerk, "/demands/"+id+"/accept", c.accepting, ref+"-accept", http.StatusOK)
		}
		c.mu.Lock()
		if err == nil {
			c.accepted[ref] = true
		} else {
			c.open = append(c.open, ref)
		}
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// post returns the id in the answer. An error means that the outcome is not known.
func (c *clients) post(key, path, body, idempotency string, want int) (id string, err error) {
	r, err := http.NewRequest(http.MethodPost, c.url+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json", "Idempotency-Key": idempotency, "If-Match": `"0"`} {
		r.Header.Set(name, value)
	}
	answer, err := c.web.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	var said struct{ ID string }
	if err := json.Unmarshal(text, &said); err != nil || answer.StatusCode != want {
		c.mu.Lock()
		c.refused = append(c.refused, fmt.Sprintf("POST %s: %d %s", path, answer.StatusCode, text))
		c.mu.Unlock()
		return "", errors.New("refused")
	}
	return said.ID, nil
}

func TestWhatWasAcknowledgedSurvivesKill9(t *testing.T) {
	const kills, at = 5, 16
	dir := t.TempDir()
	if err := seedFolder(t.Context(), dir, streams{out: io.Discard, err: io.Discard}, seeding{size: city.Street, seed: 1}); err != nil {
		t.Fatal(err)
	}
	s := serveTown(t, dir, slog.New(slog.DiscardHandler)) // to learn its units
	s.shut()
	key := func(role orgs.Role, unit orgs.UnitCode) string {
		return strings.TrimSpace(must(t, "keys", "create", "--data", dir, "--role", string(role), "--unit", string(unit)))
	}
	c := &clients{channel: key(orgs.Channel, s.hotline), clerk: key(orgs.Clerk, s.community), sent: map[string]bool{}, raised: map[string]string{}, accepted: map[string]bool{},
		raising:   fmt.Sprintf(`{"kind":"issue","channel":"hotline","text":"路灯不亮","grid":%q,"external_ref":%%q,"reporter":{"phone":"00013800000"}}`, s.grids[0]),
		accepting: fmt.Sprintf(`{"kind":"issue","matter":"170101","urgency":"D","unit":%q,"summary":"公开摘要"}`, s.community)}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for run := range kills {
		var load sync.WaitGroup
		url, kill := serveProcess(t, dir)
		c.url, c.web = url, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: at}}
		enough := c.after(10 + random.IntN(120))
		for client := range at {
			load.Go(func() { c.run(run, client) })
		}
		select {
		case <-enough:
		case <-time.After(30 * time.Second):
			t.Errorf("server %d answered too little in 30 s", run)
		}
		kill()
		load.Wait()
		c.web.CloseIdleConnections()
	}
	for _, answer := range c.refused {
		t.Errorf("refused: %s", answer)
	}

	s = serveTown(t, dir, slog.New(slog.DiscardHandler))
	s.sound()
	raised, accepted := map[string]int{}, map[stream.Name]int{}
	each(t, s.house.log, func(ev eventlog.Event) {
		switch ev.Type {
		case "demand-accepted/1":
			accepted[stream.Name(ev.Stream)]++
		case "demand-raised/1":
			b, err := event.Decode(ev.Type, ev.Data)
			if err != nil {
				t.Fatal(err)
			}
			raised[b.(demand.Raised).External]++
		}
	})
	for ref, n := range raised {
		if n != 1 || !c.sent[ref] {
			t.Errorf("the demand %s was raised %d times, sent %t", ref, n, c.sent[ref])
		}
	}
	for n, times := range accepted {
		if times != 1 {
			t.Errorf("%s was accepted %d times", n, times)
		}
	}
	for ref, id := range c.raised {
		n := stream.Of(stream.Demand, stream.DemandFor("hotline", ref))
		if n.Key() != id || raised[ref] != 1 {
			t.Errorf("the demand %s was acknowledged as %s, and is in the log %d times as %s", ref, id, raised[ref], n)
		}
		if c.accepted[ref] && accepted[n] != 1 {
			t.Errorf("the acceptance of %s was acknowledged, and is in the log %d times", ref, accepted[n])
		}
	}
	t.Logf("%d kills: %d sent, %d acknowledged, %d in the log, %d left open", kills, len(c.sent), len(c.raised), len(raised), len(c.open))
}

// serveProcess starts the program on a folder and returns its address when it is ready. Kill kills it, and returns when it is dead.
func serveProcess(t *testing.T, dir string, more ...string) (url string, kill func()) {
	t.Helper()
	return startProcess(t, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, more...)...)
}

// startProcess starts the program with a command that serves.
func startProcess(t *testing.T, args ...string) (url string, kill func()) {
	t.Helper()
	c := gridcase(args...)
	said, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	serving, dead := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(dead)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			var line struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				serving <- line.URL
			}
		}
		_ = c.Wait() // it was killed
	}()
	kill = func() {
		_ = c.Process.Kill() // it may be dead
		<-dead
	}
	t.Cleanup(kill)
	select {
	case url = <-serving:
	case <-dead:
		t.Fatal("the server ended before it served")
	case <-time.After(20 * time.Second):
		t.Fatal("the server did not come up")
	}
	return url, kill
}
