package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	_ "modernc.org/sqlite"

	"gridcase/api"
	"gridcase/api/access"
	"gridcase/api/apitest"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
	"gridcase/projections"
)

const (
	city      = orgs.UnitCode("150100")
	district  = orgs.UnitCode("150105")
	bureau    = orgs.UnitCode("150105-d01")
	hotline   = orgs.UnitCode("150105-hotline")
	oversight = orgs.UnitCode("150105-oversight")
	street    = orgs.UnitCode("150105003")
	community = orgs.UnitCode("150105003001")
	sibling   = orgs.UnitCode("150105003002")
	grid      = "150105003001001"
	grid2     = "150105003001002"
	other     = "150105003002001"
)

// house is a server on a log in memory, with a small city, real views, and a clock that stands still until moved.
type house struct {
	t        testing.TB
	log      eventlog.Log
	engine   *engine.Engine
	views    *projections.Runner
	access   *access.Store
	keys     *keys.Store
	server   *api.Server
	registry *prometheus.Registry
	web      *httptest.Server
	client   *http.Client
	logged   *buffer
	tokens   sync.Map
	further  []projections.View // beside those of the program

	mu  sync.Mutex
	now time.Time
	n   int
}

// described is the description that all houses are held against: it depends on the code alone, and reading it takes half of
// what opening a house would.
func described(s *api.Server) (*apitest.Description, error) {
	description.Do(func() {
		var document []byte
		if document, description.err = s.OpenAPI(); description.err == nil {
			description.parsed, description.err = apitest.Parse(document)
		}
	})
	return description.parsed, description.err
}

var description struct {
	sync.Once
	parsed *apitest.Description
	err    error
}

// document is the description as it is served.
func (h *house) document() string {
	h.t.Helper()
	document, err := h.server.OpenAPI()
	if err != nil {
		h.t.Fatal(err)
	}
	return string(document)
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) { b.mu.Lock(); defer b.mu.Unlock(); return b.b.Write(p) }
func (b *buffer) String() string              { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

func open(t testing.TB, change ...func(*api.Config)) *house {
	t.Helper()
	return openWith(t, func(h *house) eventlog.Log { return mem.Open(mem.WithClock(h.clock)) }, nil, change)
}

// openOn is open on another log, and with another engine.
func openOn(t testing.TB, log func(*house) eventlog.Log, engines ...func(*house, *engine.Config)) *house {
	t.Helper()
	return openWith(t, log, engines, nil)
}

func openWith(t testing.TB, log func(*house) eventlog.Log, engines []func(*house, *engine.Config), change []func(*api.Config)) *house {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	h := &house{t: t, now: time.Date(2025, 3, 3, 1, 0, 0, 0, time.UTC), logged: &buffer{}, registry: prometheus.NewRegistry()}
	h.log = log(h)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	h.keys, err = keys.Open(ctx, filepath.Join(dir, "keys"))
	must(err)
	metrics := api.NewMetrics(h.registry)
	ec := engine.Config{Log: h.log, Keys: h.keys, Index: filepath.Join(dir, "index.db"),
		Rules: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}, Origin: "gridcase.test/test/1",
		Program: "test", Now: h.clock, Observe: metrics.Engine(),
		Draw: func(_ stream.ID, _ int, kind string, _ time.Time) (bool, int) { return kind != "errand", 1000 }}
	for _, f := range engines {
		f(h, &ec)
	}
	h.engine, err = engine.Open(ctx, ec)
	must(err)
	h.views, err = projections.Open(ctx, projections.Config{Dir: filepath.Join(dir, "views"), Log: h.log, Observe: metrics.Views(), Further: h.further,
		Opener: opener{h.keys}, Identity: identity{h.keys}})
	must(err)
	h.access, err = access.Open(ctx, filepath.Join(dir, "access.db"))
	must(err)
	c := api.Config{Engine: h.engine, Views: h.views, Access: h.access, Log: h.log, Keys: h.keys, Registry: h.registry, Metrics: metrics,
		Logger: slog.New(slog.NewJSONHandler(h.logged, nil)), Version: "test", Now: h.clock,
		Limits: api.Limits{Rate: 1e6, Burst: 1e6, OpenRate: 1e6, OpenBurst: 1e6, Beat: 50 * time.Millisecond}}
	for _, f := range change {
		f(&c)
	}
	h.server, err = api.New(c)
	must(err)
	description, err := described(h.server)
	must(err)
	h.web = httptest.NewServer(h.server)
	h.client = &http.Client{Transport: description.Transport(h.web.Client().Transport, func(err error) { t.Error(err) })}
	t.Cleanup(func() {
		h.server.Drain()
		h.web.Close()
		if err := errors.Join(h.views.Close(), h.engine.Close(), h.access.Close(), h.keys.Close(), h.log.Close()); err != nil {
			t.Error(err)
		}
	})
	op := rule.Actor{ID: "op", Role: orgs.Operator, Unit: city}
	build := func(n stream.Name, expect int64, c engine.Command) {
		t.Helper()
		h.n++
		r, err := h.engine.Handle(ctx, engine.Request{Stream: n, Commands: []engine.Command{c}, Key: fmt.Sprint("build", h.n), Actor: op, Expect: expect})
		must(err)
		must(h.engine.Settled(ctx, r.Position))
	}
	for _, u := range []orgs.OpenUnit{
		{Code: city, Name: "呼和浩特市", Kind: orgs.City},
		{Code: district, Name: "赛罕区", Kind: orgs.District, Parent: city},
		{Code: bureau, Name: "住房和城乡建设局", Kind: orgs.Department, Parent: district},
		{Code: hotline, Name: "热线中心", Kind: orgs.Hotline, Parent: district},
		{Code: oversight, Name: "督查中心", Kind: orgs.Oversight, Parent: district},
		{Code: street, Name: "人民路街道", Kind: orgs.Street, Parent: district},
		{Code: community, Name: "第一社区", Kind: orgs.Community, Parent: street},
		{Code: sibling, Name: "第二社区", Kind: orgs.Community, Parent: street},
	} {
		build(stream.Keyed(stream.Unit, string(u.Code)), -1, u)
	}
	build(stream.Keyed(stream.Grids, string(community)), -1, orgs.DrawGrid{Grid: grid, Name: "一网格", Households: 300, Buildings: 5, Stairwells: 20, Urban: true})
	build(stream.Keyed(stream.Grids, string(community)), 0, orgs.DrawGrid{Grid: grid2, Name: "二网格", Households: 300, Buildings: 5, Stairwells: 20, Urban: true})
	build(stream.Keyed(stream.Grids, string(sibling)), -1, orgs.DrawGrid{Grid: other, Name: "三网格", Households: 300, Buildings: 5, Stairwells: 20, Urban: true})
	return h
}

type opener struct{ *keys.Store }

func (o opener) Open(n stream.Name, id stream.ID, typ, field, cipher string) (string, error) {
	text, err := o.Store.Open(context.Background(), keys.Place{Stream: n, Event: id, Type: typ, Field: field}, cipher)
	if errors.Is(err, keys.ErrErased) {
		return "", nil
	}
	return text, err
}

type identity struct{ *keys.Store }

func (i identity) Blind(kind, value string) string { return string(i.Derived("blind-"+kind, value)) }

func (h *house) clock() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }

func (h *house) wait(d time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.now = h.now.Add(d) }

// key returns the key of a role at a unit, always the same one.
func (h *house) key(role orgs.Role, unit orgs.UnitCode) string {
	h.t.Helper()
	name := string(role) + "@" + string(unit)
	if k, known := h.tokens.Load(name); known {
		return k.(string)
	}
	k, _, err := h.access.Create(context.Background(), role, unit, time.Now().Add(time.Hour))
	if err != nil {
		h.t.Fatal(err)
	}
	actual, _ := h.tokens.LoadOrStore(name, k)
	return actual.(string)
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	raw  []byte
	json map[string]any
}

func (r reply) text(path string) string {
	var at any = r.json
	for _, name := range strings.Split(path, ".") {
		m, _ := at.(map[string]any)
		at = m[name]
	}
	s, _ := at.(string)
	return s
}

// call sends a request. Headers come in pairs; an empty value takes one away.
func (h *house) call(key, method, path, body string, headers ...string) reply {
	h.t.Helper()
	req, err := http.NewRequest(method, h.web.URL+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if method == http.MethodPost {
		h.mu.Lock()
		h.n++
		req.Header.Set("Idempotency-Key", fmt.Sprintf("k-%d", h.n))
		h.mu.Unlock()
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Del(headers[i])
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	r := reply{Response: res}
	if r.raw, err = io.ReadAll(res.Body); err != nil {
		h.t.Fatal(err)
	}
	json.Unmarshal(r.raw, &r.json) // not all answers are JSON; those that should be are checked against the description
	return r
}

// want fails unless the answer has the status, and, if it is a problem, the code.
func (h *house) want(r reply, status int, code string) reply {
	h.t.Helper()
	if r.StatusCode != status || code != "" && r.text("code") != code {
		h.t.Errorf("%s %s: got %d %s, want %d %s", r.Request.Method, r.Request.URL.Path, r.StatusCode, r.raw, status, code)
	}
	return r
}

func (h *house) post(key, path, body string, headers ...string) reply {
	h.t.Helper()
	return h.call(key, http.MethodPost, "/api/v1"+path, body, headers...)
}

func (h *house) get(key, path string, headers ...string) reply {
	h.t.Helper()
	return h.call(key, http.MethodGet, "/api/v1"+path, "", headers...)
}

// do gives a command to what exists, with the ETag it has now, and waits for what follows.
func (h *house) do(key, path, command, body string, headers ...string) reply {
	h.t.Helper()
	tag := h.get(key, path).Header.Get("ETag")
	r := h.want(h.post(key, path+"/"+command, body, append([]string{"If-Match", tag}, headers...)...), 200, "")
	h.settle()
	return r
}

// settle waits until all consequences have happened and the views know them.
func (h *house) settle() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		end, err := h.log.End(ctx)
		if err == nil {
			err = h.engine.Settled(ctx, end)
		}
		if err != nil {
			h.t.Fatal(err)
		}
		h.views.Wait(ctx, end)
		if again, _ := h.log.End(ctx); again == end {
			return
		}
	}
}

func (h *house) end() eventlog.Position {
	h.t.Helper()
	end, err := h.log.End(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return end
}

const raising = `{"kind":"issue","channel":"wechat","title":"供热不足","text":"家里暖气不热，已三天","grid":"` + grid + `","reporter":{"name":"居民甲","phone":"000-1234"}}`

// raised raises a demand and returns its path.
func (h *house) raised(key, body string) string {
	h.t.Helper()
	r := h.want(h.post(key, "/demands", body), 201, "")
	h.settle()
	return strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
}

func (h *house) accepted(kind string) string {
	h.t.Helper()
	path := h.raised(h.key(orgs.Channel, hotline), strings.Replace(raising, `"issue"`, `"`+kind+`"`, 1))
	h.do(h.key(orgs.Clerk, community), path, "accept", `{"kind":"`+kind+`","matter":"010101","urgency":"C","unit":"`+string(community)+`","grid":"`+grid+`","summary":"供热温度不足"}`)
	return path
}
