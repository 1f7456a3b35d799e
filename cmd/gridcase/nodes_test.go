package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/esdb"
	"gridcase/eventlog/esdbtest"
)

// settlement is a street on a cluster, and folders for nodes that share its keys, as docs/operations.md says.
type settlement struct {
	connection string
	shared     string
	folders    []string
	grid       orgs.GridCode
	hotline    orgs.UnitCode
	district   orgs.UnitCode
}

func newSettlement(t *testing.T, nodes, demands int) *settlement {
	t.Helper()
	s := &settlement{connection: startCluster(t, esdbtest.Options{Nodes: 3}).ConnectionString(), shared: t.TempDir()}
	if err := seedFolder(t.Context(), s.shared, streams{out: io.Discard, err: io.Discard}, seeding{size: city.Street, seed: uint64(1 + demands), demands: demands}); err != nil {
		t.Fatal(err)
	}
	must(t, "copy", "--from", s.shared, "--to", s.connection) // and the server's time is that of the day
	h, err := openHouse(t.Context(), s.shared, streams{out: io.Discard, err: io.Discard}, houseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	units := h.engine.Units()
	post := func(r orgs.Role) orgs.UnitCode {
		u, found := demoPost(units, r)
		if !found {
			t.Fatalf("no post for a %s", r)
		}
		return u.Code
	}
	s.hotline = post(orgs.CallbackAgent)
	community := post(orgs.Clerk)
	s.grid = units.Grids(community)[0].Code
	s.district, _ = units.Ancestor(community, orgs.District)
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	for range nodes {
		s.folders = append(s.folders, s.folder(t))
	}
	return s
}

// folder is that of a further node: its own but for the keys.
func (s *settlement) folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"keys", "access.db"} {
		if err := os.Symlink(filepath.Join(s.shared, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Four processes on one log: they take demands in, fire what a year left overdue, and are killed all the while.
func TestFourProcessesThatAreKilledAgree(t *testing.T) {
	const kills, workers, each4 = 6, 6, 15
	s := newSettlement(t, 4, 60)
	channel := strings.TrimSpace(must(t, "keys", "create", "--data", s.shared, "--role", "channel", "--unit", string(s.hotline)))
	reader := strings.TrimSpace(must(t, "keys", "create", "--data", s.shared, "--role", "dispatcher", "--unit", string(s.district)))
	var mu sync.Mutex
	urls, ends := make([]string, 4), make([]func(), 4)
	start := func(i int) {
		url, kill := serveProcess(t, s.folders[i], "--log", s.connection)
		mu.Lock()
		urls[i], ends[i] = url, kill
		mu.Unlock()
	}
	var starting sync.WaitGroup
	for i := range 4 {
		starting.Go(func() { start(i) })
	}
	starting.Wait()
	if t.Failed() {
		return
	}
	web := &http.Client{Timeout: 5 * time.Second}
	ask := func(method, path, key, body string, headers ...string) (status int, position string, text []byte) {
		mu.Lock()
		url := urls[rand.IntN(4)]
		mu.Unlock()
		r, err := http.NewRequest(method, url+"/api/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, "", nil
		}
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := web.Do(r)
		if err != nil {
			return 0, "", nil
		}
		defer answer.Body.Close()
		if text, err = io.ReadAll(answer.Body); err != nil {
			return 0, "", nil
		}
		return answer.StatusCode, answer.Header.Get("GridCase-Position"), text
	}
	acked := map[string]bool{}
	var reads, late atomic.Int64
	var load sync.WaitGroup
	over := time.Now().Add(time.Minute)
	for w := range workers {
		load.Go(func() {
			for n := range each4 {
				ref := fmt.Sprintf("node-%d-%d", w, n)
				body := fmt.Sprintf(`{"kind":"issue","channel":"hotline","text":"路灯不亮","grid":%q,"external_ref":%q,"reporter":{"phone":"00013800000"}}`, s.grid, ref)
				var position string
				var said struct{ ID string }
				for {
					status, at, text := ask(http.MethodPost, "/demands", channel, body, "Idempotency-Key", ref)
					if position = at; status == http.StatusCreated {
						if err := json.Unmarshal(text, &said); err != nil {
							t.Error(err)
						}
						break
					}
					if status != 0 && status != http.StatusServiceUnavailable || time.Now().After(over) {
						t.Errorf("POST %s: %d %s", ref, status, text)
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
				mu.Lock()
				acked[said.ID] = true
				mu.Unlock()
				// Another node, or the same, shows what was just written. A node that has not come so far says that, and nothing else.
				for seen := false; !seen; {
					status, reflects, text := ask(http.MethodGet, "/cases/"+said.ID, reader, "", "GridCase-Position", position)
					switch seen = status == 200; {
					case seen && !less(reflects, position):
						reads.Add(1)
					case status == 0, status == 503:
						late.Add(1)
						if time.Now().After(over) {
							t.Errorf("GET the case %s after %s: still %d %s", said.ID, position, status, text)
							return
						}
						time.Sleep(10 * time.Millisecond)
					default:
						t.Errorf("GET the case %s after %s: %d %s, which reflects %s", said.ID, position, status, text, reflects)
						return
					}
				}
				time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
			}
		})
	}
	for range kills {
		time.Sleep(time.Duration(100+rand.IntN(300)) * time.Millisecond)
		i := rand.IntN(4)
		ends[i]()
		start(i)
	}
	load.Wait()
	// Until nothing more comes.
	log, err := esdb.Open(t.Context(), s.connection, esdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for last, quiet := eventlog.Position(0), 0; quiet < 5; time.Sleep(400 * time.Millisecond) {
		end, err := log.End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if quiet++; end != last {
			last, quiet = end, 0
		}
	}
	for _, kill := range ends {
		kill()
	}
	first := ""
	for i, dir := range s.folders {
		digest := must(t, "views", "digest", "--data", dir, "--log", s.connection)
		if first == "" {
			first = digest
		}
		if digest != first {
			t.Errorf("node %d shows\n%swhere the first shows\n%s", i, digest, first)
		}
	}
	raised, numbers, fired := map[string]int{}, map[string]int{}, map[string]int{}
	each(t, log, func(ev eventlog.Event) {
		m, err := event.DecodeMeta(ev.Meta)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(m.Key, rule.AlarmKey) && m.Index == 0 {
			fired[ev.Stream+m.Key]++
		}
		body, err := event.Decode(ev.Type, ev.Data)
		if err != nil {
			t.Fatal(err)
		}
		if d, yes := body.(demand.Raised); yes {
			raised[stream.Name(ev.Stream).Key()]++
			numbers[d.Number]++
		}
	})
	for id := range acked {
		if raised[id] != 1 {
			t.Errorf("the demand %s was acknowledged, and raised %d times", id, raised[id])
		}
	}
	for number, n := range numbers {
		if n != 1 {
			t.Errorf("the number %s was given %d times", number, n)
		}
	}
	for key, n := range fired {
		if n != 1 {
			t.Errorf("%s was fired %d times", key, n)
		}
	}
	if len(acked) != workers*each4 || len(fired) < 20 || reads.Load() != workers*each4 {
		t.Errorf("%d acknowledged, %d alarms, %d readings: too little happened", len(acked), len(fired), reads.Load())
	}
	t.Logf("%d kills of 4 processes: %d acknowledged and there once, %d alarms each once, %d numbers each once; %d readings of what was just written, none of less, %d times a dead node or one told to come again; equal views",
		kills, len(acked), len(fired), len(numbers), reads.Load(), late.Load())
}

// less compares two positions as their texts.
func less(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }

// A node that keeps keys of its own beside a log that others write can not read what they sealed, and must not seal what they
// can not read.
func TestANodeWithoutTheKeysOfTheLogDoesNotServe(t *testing.T) {
	s := newSettlement(t, 0, 5)
	alone := t.TempDir()
	_, errs, status := call(t, "serve", "--data", alone, "--log", s.connection, "--listen", "127.0.0.1:0")
	if status != 1 || !strings.Contains(errs, "nodes of one log share one key folder") {
		t.Errorf("with a folder of its own: got %d %s", status, errs)
	}
	for _, ok := range []struct {
		dir  string
		more []string
	}{{s.folder(t), nil}, {t.TempDir(), []string{"--without-keys"}}} {
		_, kill := serveProcess(t, ok.dir, append(ok.more, "--log", s.connection)...)
		kill()
	}
}

// A node begins with the views of another that runs, and shows the same.
func TestANodeIsSeededFromAnother(t *testing.T) {
	s := newSettlement(t, 2, 40)
	_, kill := serveProcess(t, s.folders[0], "--log", s.connection, "--no-fire")
	file := filepath.Join(t.TempDir(), "views.db")
	must(t, "views", "snapshot", "--data", s.folders[0], "--out", file)
	if out := must(t, "views", "seed", "--data", s.folders[1], "--log", s.connection, "--from", file); !strings.Contains(out, "follow the log from there") {
		t.Errorf("seed said %s", out)
	}
	kill()
	h, err := openHouse(t.Context(), s.folders[1], streams{out: io.Discard, err: io.Discard}, houseOptions{log: s.connection, keep: true, logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if file := h.views.Status().File; file != "views-1.db" {
		t.Errorf("the node serves %s, want the seeded views-1.db", file)
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	a, b := must(t, "views", "digest", "--data", s.folders[0], "--log", s.connection), must(t, "views", "digest", "--data", s.folders[1], "--log", s.connection)
	if a != b {
		t.Errorf("the seeded node shows\n%swant\n%s", b, a)
	}
	other := newSettlement(t, 1, 3)
	if _, errs, status := call(t, "views", "seed", "--data", other.folders[0], "--log", other.connection, "--from", file); status != 1 || !strings.Contains(errs, "the log has another event at position") {
		t.Errorf("a node of another log: got %d %s", status, errs)
	}
}
