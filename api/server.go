// Package api talks: the JSON API of GridCase over HTTP, as /api/v1/openapi.yaml describes it, with server-sent
// events, health and metrics beside it.
//
// A handler parses, asks the engine or the views, and answers. One table says which status an error has
// (problem.go), one who may do what (auth.go), and one decoder is strict about everything that comes in (decode.go).
//
// Acknowledgement: a 2xx to a command means that its events are on disk. An outcome that can not be told is said as
// such (503 outcome-unknown); repeating a request with its Idempotency-Key is always safe.
package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"gridcase/api/access"
	"gridcase/domain/rule"
	"gridcase/eventlog"
)

// Server answers requests. It is safe for concurrent use.
type Server struct {
	Config
	handler  http.Handler
	router   *gin.Engine
	api      huma.API
	meter    *Metrics
	keyed    *buckets
	open     *buckets
	granted  sync.Map // id of a key whose grant, or whose end, is in the log
	draining atomic.Bool
	stop     chan struct{} // closed when draining begins: event streams end
	once     sync.Once
	streams  streamCount
	allowed  table
	policy   string                 // value of the header RateLimit-Policy
	document func() ([]byte, error) // the description, YAML; written when it is asked for
}

// The errors of huma become problems; its constructor is one for the whole process, and set once.
var translate = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return fromHuma(status, message, errs...)
	}
	gin.SetMode(gin.ReleaseMode)
})

// requestID is the header that names a request; ours, never the caller's, for it becomes part of the log.
const requestID = "GridCase-Request"

// base is the prefix of all resources.
const base = "/api/v1"

// New makes a server. It returns an error if the metrics can not be registered.
func New(c Config) (*Server, error) {
	translate()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.filled()
	s := &Server{Config: c, meter: c.Metrics, stop: make(chan struct{}), allowed: actions(),
		keyed: newBuckets(c.Limits.Rate, c.Limits.Burst, time.Now), open: newBuckets(c.Limits.OpenRate, c.Limits.OpenBurst, time.Now)}
	s.policy = fmt.Sprintf(`"key";q=%d;w=%d`, c.Limits.Burst, max(1, int(float64(c.Limits.Burst)/c.Limits.Rate)))
	if err := s.meter.watch(c); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	g := gin.New()
	s.router = g
	g.ContextWithFallback = true
	g.HandleMethodNotAllowed = true
	g.RedirectTrailingSlash = false
	if err := g.SetTrustedProxies(nil); err != nil { // the default trusts everyone's X-Forwarded-For
		return nil, err
	}
	g.Use(s.begin, s.recover)
	g.NoRoute(func(c *gin.Context) { s.fail(c, problem("not_found")) })
	g.NoMethod(func(c *gin.Context) { s.fail(c, problem("method_not_allowed")) })
	s.health(g)
	keyed := g.Group("", s.authenticate, s.await)
	s.api = humagin.NewWithGroup(g, keyed, s.humaConfig())
	s.register(g, keyed)
	s.describe()
	s.document = sync.OnceValues(s.api.OpenAPI().YAML)
	protected := http.NewCrossOriginProtection()
	protected.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.write(w, r, problem("cross_site"))
	}))
	s.handler = &gate{slots: make(chan struct{}, c.Limits.Slots), queue: make(chan struct{}, c.Limits.Queue), wait: c.Limits.QueueWait,
		behind: protected.Handler(g), free: ungated, shed: func(w http.ResponseWriter, r *http.Request) {
			s.meter.shed("queue")
			s.write(w, r, problem("overloaded"))
		}}
	return s, nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set(requestID, rand.Text())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("Cache-Control", "no-store")
	if s.Synthetic {
		h.Set("GridCase-Synthetic", "true")
	}
	s.handler.ServeHTTP(w, r)
}

// Drain makes the node not ready and ends event streams; requests under way and new ones are still answered, until
// the HTTP server is shut down.
func (s *Server) Drain() {
	s.once.Do(func() {
		s.draining.Store(true)
		close(s.stop)
	})
}

// ungated reports whether a request passes the gate: health and metrics must be told under any load, and an event
// stream would hold its slot for hours; it has a cap of its own.
func ungated(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, base+"/") || wantsStream(r)
}

// request is what every handler may know of the request in hand.
type request struct {
	id    string
	zh    bool
	actor rule.Actor // zero: nobody
	trace string
	began time.Time
	url   *url.URL
}

type requestKey struct{}

func of(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{zh: true}
}

// begin gives a request its id and language, and writes the access log when it is answered. The log names the route,
// never the path: a tracking code is a secret, and an id may lead to a person.
func (s *Server) begin(c *gin.Context) {
	rq := &request{id: c.Writer.Header().Get(requestID), zh: chinese(c.GetHeader("Accept-Language")), trace: traceparent(c.GetHeader("traceparent")), began: time.Now(), url: c.Request.URL}
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), requestKey{}, rq))
	if rq.trace != "" {
		c.Header("traceparent", rq.trace)
	}
	c.Next()
	route, took := c.FullPath(), time.Since(rq.began)
	if route == "" {
		route = "none"
	}
	s.meter.request(route, c.Request.Method, c.Writer.Status(), took)
	if !s.Logger.Enabled(c.Request.Context(), slog.LevelInfo) {
		return
	}
	who := ""
	if rq.actor.ID != "" {
		who = fmt.Sprintf("%x", s.Keys.Derived("actor", rq.actor.ID)[:6])
	}
	s.Logger.LogAttrs(c.Request.Context(), slog.LevelInfo, "request", slog.String("request_id", rq.id), slog.String("method", c.Request.Method),
		slog.String("route", route), slog.Int("status", c.Writer.Status()), slog.Int64("took_us", took.Microseconds()),
		slog.Int("bytes", c.Writer.Size()), slog.String("actor", who), slog.String("role", string(rq.actor.Role)), slog.String("trace", rq.trace))
}

// recover answers a panic as an internal error. The stack goes to the log, the request does not.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v)
		}
		p := problem("internal")
		p.cause = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		if c.Writer.Written() {
			s.Logger.Error("panic after the answer began", "request_id", of(c.Request.Context()).id, "error", p.cause)
			c.Abort()
			return
		}
		s.fail(c, p)
	}()
	c.Next()
}

// bearerOf returns the key that a request names. The scheme's case does not matter (RFC 9110).
func bearerOf(c *gin.Context) (key string, named bool) {
	scheme, key, named := strings.Cut(c.GetHeader("Authorization"), " ")
	return key, named && strings.EqualFold(scheme, "Bearer")
}

// authenticate finds out who asks. The first use of a key is recorded in the log before anything is done for it.
func (s *Server) authenticate(c *gin.Context) {
	if err := once(c.Request); err != nil {
		s.fail(c, err)
		return
	}
	if slices.Contains(unkeyed, c.FullPath()) {
		if s.limit(c, s.open, address(c.Request)) {
			c.Next()
		}
		return
	}
	key, bearer := bearerOf(c)
	err := access.ErrUnknown
	var k access.Key
	if bearer {
		k, err = s.Access.Lookup(c.Request.Context(), key)
	}
	rq := of(c.Request.Context())
	if err == nil {
		if _, known := s.granted.Load(k.ID); !known {
			if err = s.Engine.Grant(c.Request.Context(), k.Actor(), k.Until); err == nil {
				s.granted.Store(k.ID, true)
			}
		}
	} else if k.ID != "" {
		if _, told := s.granted.LoadOrStore("end/"+k.ID, true); !told {
			if err := s.Engine.Revoke(c.Request.Context(), k.Actor(), err.Error()); err != nil {
				s.Logger.Error("the end of a key could not be recorded", "request_id", rq.id, "error", err)
				s.granted.Delete("end/" + k.ID)
			}
		}
	}
	if err != nil {
		p := asProblem(err)
		if p.Code == "unauthenticated" && !s.limit(c, s.open, address(c.Request)) {
			return
		}
		s.fail(c, p)
		return
	}
	if !s.limit(c, s.keyed, k.ID) {
		return
	}
	c.Header("RateLimit-Policy", s.policy)
	c.Header("RateLimit", `"key";r=`+strconv.Itoa(s.keyed.left(k.ID)))
	rq.actor = k.Actor()
	c.Next()
}

// once refuses what is said twice: of two values none is obeyed. What may have several, a query lists in one, with commas.
func once(r *http.Request) error {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return problem("malformed_request", rule.Say("查询参数编码有误", "the query string is not well-formed"))
	}
	var faults []Fault
	for name, values := range q {
		if len(values) > 1 {
			faults = append(faults, fault("query."+printable(name), "duplicate_member", "参数重复", "the parameter is there twice"))
		}
	}
	for _, name := range []string{"Authorization", "Idempotency-Key", "If-Match", "GridCase-Confirmation", "Last-Event-ID"} {
		if len(r.Header.Values(name)) > 1 {
			faults = append(faults, fault("header."+name, "duplicate_member", "请求头重复", "the header is there twice"))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.SortFunc(faults, func(a, b Fault) int { return cmp.Compare(a.Location, b.Location) })
	p := invalid(faults...)
	p.Code, p.Status = "malformed_request", problems["malformed_request"].status
	return p
}

// address is whom a request without a key comes from.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// chinese reports whether answers are in Chinese: unless English is asked for before it.
func chinese(accept string) bool {
	accept = strings.ToLower(accept)
	en, zh := strings.Index(accept, "en"), strings.Index(accept, "zh")
	return en < 0 || zh >= 0 && zh < en
}

// traceparent passes a W3C trace context on, and drops anything else.
func traceparent(s string) string {
	if len(s) != 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || strings.Trim(s, "0123456789abcdef-") != "" {
		return ""
	}
	return s
}

// fail answers a problem from a Gin handler. Gin takes its contexts back and gives them to other requests: what may be kept
// after the answer, by a database or a goroutine, gets the context of the request.
func (s *Server) fail(c *gin.Context, err error) {
	if c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead {
		err = asUnread(err)
	}
	s.write(c.Writer, c.Request, s.told(c.Request.Context(), err))
	c.Abort()
}

// told turns an error into a problem, and logs what is ours: once, here.
func (s *Server) told(ctx context.Context, err error) *Problem {
	p := asProblem(err)
	if p.cause != nil {
		s.Logger.Error("request failed", "request_id", of(ctx).id, "error", p.cause)
	}
	return p
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, p *Problem) {
	id := w.Header().Get(requestID)
	body, err := json.Marshal(p.in(chinese(r.Header.Get("Accept-Language")), id))
	if err != nil {
		s.Logger.Error("a problem could not be written", "request_id", id, "error", err)
	}
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	w.Write(body) // the caller may be gone; there is nobody else to tell
}

// humaConfig sets huma up: JSON only, no pages and no schema links of its own, problems in the caller's language.
func (s *Server) humaConfig() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{OpenAPI: "3.1.0", Info: &huma.Info{Title: "GridCase", Version: "1",
			Description: "Case management for grassroots governance: 居民点题 → 群众议题 → 网格办题. " +
				"Every POST takes an Idempotency-Key; commands on what exists take an If-Match. Errors are RFC 9457 problems."}},
		Formats:                      map[string]huma.Format{"application/json": plainJSON, "json": plainJSON}, // the second is the suffix of problem+json
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers: []huma.Transformer{func(ctx huma.Context, _ string, v any) (any, error) {
			if p, ok := v.(*Problem); ok {
				rq := of(ctx.Context())
				return s.told(ctx.Context(), p).in(rq.zh, rq.id), nil
			}
			return v, nil
		}},
	}
}

// plainJSON writes JSON that a person can read: angle brackets and ampersands as they are. What comes in is not huma's to read.
var plainJSON = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(v)
	},
	Unmarshal: json.Unmarshal,
}

// position is how far an answer reflects the log.
func (s *Server) position() string { return s.Views.Position().String() }

// positionHeader names a position: of an answer, how far it reflects the log; of a request, how far its answer must.
const positionHeader = "GridCase-Position"

// await holds a request back until this node has come to the position that the caller names: its views, and what the engine
// knows, by which it is decided what there is and who may see it. It stands before every route that takes a key or a tracking
// code, so none can show less than what the caller has written, on whatever node. A node that does not come so far in time
// has done nothing and says so; that a thing does not exist, it does not say.
func (s *Server) await(c *gin.Context) {
	named := c.Request.Header.Values(positionHeader)
	if len(named) == 0 || len(named) == 1 && named[0] == "" {
		return
	}
	p, err := parsePosition(strings.Join(named, ", ")) // of more than one, none is obeyed
	if err == nil {
		ctx, cancel := context.WithTimeout(c.Request.Context(), s.Limits.Patience)
		defer cancel()
		if err = s.reach(ctx, p); err == nil && s.Engine.Settled(ctx, p) != nil {
			err = s.behind()
		}
	}
	if err != nil {
		s.fail(c, err)
	}
}

// reach waits until the views have come to a position, no longer than a reader has patience, and answers a problem if they have not.
func (s *Server) reach(ctx context.Context, p eventlog.Position) error {
	ctx, cancel := context.WithTimeout(ctx, s.Limits.Patience)
	defer cancel()
	if _, ok := s.Views.Wait(ctx, p); !ok {
		return s.behind()
	}
	return nil
}

func (s *Server) behind() *Problem { return problem("behind").with(positionHeader, s.position()) }
