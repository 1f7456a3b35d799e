package api_test

import (
	"context"
	"io"
	"iter"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"gridcase/api"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// impatient is a node that waits for a position no longer than a moment.
func impatient(c *api.Config) { c.Limits.Patience = 20 * time.Millisecond }

// hasty lists the readings that answer although the node has not come to the position that they name.
func hasty(t *testing.T, h *house) (routes []string) {
	t.Helper()
	ahead := (h.end() + 1000).String()
	for _, r := range h.server.Router().Routes() {
		if r.Method != http.MethodGet || !strings.HasPrefix(r.Path, "/api/v1/") || r.Path == "/api/v1/openapi.yaml" {
			continue
		}
		path := regexp.MustCompile(`[:*]\w+`).ReplaceAllString(r.Path, stream.DemandFor("wechat", "1").String())
		req, err := http.NewRequest(http.MethodGet, h.web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+h.key(orgs.Operator, city))
		req.Header.Set("GridCase-Position", ahead)
		res, err := h.web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != 503 || !strings.Contains(string(text), `"code":"behind"`) || res.Header.Get("Retry-After") == "" ||
			res.Header.Get("GridCase-Position") != h.end().String() {
			routes = append(routes, r.Path)
		}
	}
	return routes
}

func TestEveryReadingWaitsForThePositionThatItNames(t *testing.T) {
	h := open(t, impatient)
	h.settle()
	readings := 0
	for _, r := range h.server.Router().Routes() {
		if r.Method == http.MethodGet {
			readings++
		}
	}
	if early := hasty(t, h); early != nil || readings < 50 {
		t.Errorf("of %d readings these do not wait: %v", readings, early)
	}
	t.Logf("%d routes", readings)
	h.server.Router().GET("/api/v1/forgotten/:id", func(c *gin.Context) { c.Status(http.StatusOK) })
	if early := hasty(t, h); !slices.Equal(early, []string{"/api/v1/forgotten/:id"}) {
		t.Errorf("a reading that does not wait was added; got %v", early)
	}
}

// dam is a log whose events reach its followers only while it is open.
type dam struct {
	eventlog.Log
	mu   sync.Mutex
	gate chan struct{} // closed: the events pass
}

func (d *dam) shut() { d.mu.Lock(); defer d.mu.Unlock(); d.gate = make(chan struct{}) }
func (d *dam) lift() { d.mu.Lock(); defer d.mu.Unlock(); close(d.gate) }

func (d *dam) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range d.Log.Follow(ctx, after) {
			d.mu.Lock()
			gate := d.gate
			d.mu.Unlock()
			select {
			case <-gate:
			case <-ctx.Done():
				yield(eventlog.Batch{}, ctx.Err())
				return
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func newDam(l eventlog.Log) *dam {
	d := &dam{Log: l, gate: make(chan struct{})}
	close(d.gate)
	return d
}

// A node whose views, or whose engine, are behind says neither that what another node wrote does not exist, nor how it was before.
func TestWhatWasWrittenIsNeverMissingOnANodeThatIsBehind(t *testing.T) {
	var views, flow *dam
	h := openWith(t, func(h *house) eventlog.Log {
		views = newDam(mem.Open(mem.WithClock(h.clock)))
		return views
	}, []func(*house, *engine.Config){func(h *house, c *engine.Config) {
		flow = newDam(views.Log)
		c.Log = flow
	}}, []func(*api.Config){impatient})
	h.settle()
	// until the node has come so far it is behind, and then it shows what was written: nothing else is ever answered.
	later := func(behind *dam, key, path, position, shows string) {
		t.Helper()
		h.want(h.get(key, path, "GridCase-Position", position), 503, "behind")
		behind.lift()
		for {
			r := h.get(key, path, "GridCase-Position", position)
			if r.StatusCode == 503 && r.text("code") == "behind" {
				continue
			}
			if h.want(r, 200, ""); !strings.Contains(string(r.raw), shows) {
				t.Errorf("%s at %s shows %s, want %s in it", path, position, r.raw, shows)
			}
			return
		}
	}
	clerk := h.key(orgs.Clerk, community)
	for _, read := range []string{"/demands", "/cases/", "/track/", "/demands/", "/events?limit=200&stream=gridcase.demand-"} {
		views.shut()
		r := h.want(h.post(h.key(orgs.Channel, hotline), "/demands", raising), 201, "")
		id, key, shows := r.text("id"), clerk, r.text("id")
		switch {
		case read == "/track/":
			read, key, shows = read+r.text("tracking"), "", "raised"
		case read != "/demands":
			read += id
		}
		later(views, key, read, r.Header.Get("GridCase-Position"), shows)
	}
	other, err := engine.Open(t.Context(), engine.Config{Log: flow.Log, Keys: h.keys, Index: filepath.Join(t.TempDir(), "index.db"), Origin: "gridcase.test/test/1",
		Program: "test", Now: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	flow.shut()
	const annex = "150105003009"
	receipt, err := other.Handle(t.Context(), engine.Request{Stream: stream.Keyed(stream.Unit, annex), Key: "annex", Expect: -1,
		Commands: []engine.Command{orgs.OpenUnit{Code: annex, Name: "新社区", Kind: orgs.Community, Parent: street}}, Actor: rule.Actor{ID: "op", Role: orgs.Operator, Unit: city}})
	if err != nil {
		t.Fatal(err)
	}
	h.want(h.get(clerk, "/units/"+annex), 404, "not_found") // it was not asked to be as far
	later(flow, clerk, "/units/"+annex, receipt.Position.String(), "新社区")
	h.settle()
}

// A visitor of a node that is behind is not told that a case does not exist while it can not be told who may see it.
func TestWhoMaySeeACaseIsNotJudgedByViewsThatAreBehind(t *testing.T) {
	var views *dam
	h := openWith(t, func(h *house) eventlog.Log {
		views = newDam(mem.Open(mem.WithClock(h.clock)))
		return views
	}, []func(*house, *engine.Config){func(_ *house, c *engine.Config) { c.Log = views.Log }}, []func(*api.Config){impatient})
	h.settle()
	views.shut()
	r := h.want(h.post(h.key(orgs.Channel, hotline), "/demands", raising), 201, "")
	elsewhere := h.key(orgs.Clerk, sibling)
	h.want(h.get(elsewhere, "/demands/"+r.text("id")), 503, "behind")
	h.want(h.get("", "/track/"+r.text("tracking")), 503, "behind")
	views.lift()
	h.settle()
	h.want(h.get(elsewhere, "/demands/"+r.text("id")), 404, "not_found")
}

// Of two positions none is obeyed: to wait for the lower would show an older state than somebody on the way has asked for.
func TestTwoPositionsAreNoPosition(t *testing.T) {
	h := open(t)
	for _, second := range []string{"1", "999999", "x"} {
		req, err := http.NewRequest(http.MethodGet, h.web.URL+"/api/v1/demands", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+h.key(orgs.Operator, city))
		req.Header["Gridcase-Position"] = []string{"1", second}
		res, err := h.web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 400 || !strings.Contains(string(text), `"code":"bad_position"`) {
			t.Errorf("1 and %s: got %d %s, %v", second, res.StatusCode, text, err)
		}
	}
}
