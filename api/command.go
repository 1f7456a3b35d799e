package api

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"gridcase/domain/calendar"
	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
)

// Happened is part of the body of every command.
type Happened struct {
	OccurredAt time.Time `json:"occurred_at,omitzero" doc:"When it happened, if not now: RFC 3339 with offset, not in the future."`
}

func (h Happened) when() time.Time { return h.OccurredAt }

// Post is what a POST carries besides its body.
type Post struct {
	Key string `header:"Idempotency-Key" doc:"Required. 1 to 128 visible ASCII characters, best a random UUID; never a phone or identity number. The same on every retry."`
}

// postInput is a POST that creates something. Its body is read and checked by [shape.decode] alone, once.
type postInput[B any] struct {
	Post
	content[B]
}

// commandInput is a POST of a command to what exists.
type commandInput[B any] struct {
	ID           string `path:"id"`
	IfMatch      string `header:"If-Match" doc:"Required. The ETag that was read, such as \"3\"; not *, not weak."`
	Confirmation string `header:"GridCase-Confirmation" doc:"Of a second person, where a rule asks for one: see POST /api/v1/confirmations."`
	Post
	content[B]
}

// content is a body as it came, and as it was understood.
type content[B any] struct {
	http huma.Context
	body B
	raw  []byte
	path string
}

// Resolve keeps the request, whose body is read when it is known what it must look like. It implements [huma.Resolver].
func (c *content[B]) Resolve(ctx huma.Context) []error {
	c.http = ctx
	return nil
}

func shapeFor[B any]() *shape { return shapeOf(reflect.TypeFor[B](), "") }

// load reads and understands the body of a request: an empty one is an empty object.
func (c *content[B]) load(of *shape, units *orgs.Tree) error {
	ctx := c.http
	u := ctx.URL()
	c.path = u.Path
	g := humagin.Unwrap(ctx)
	raw, err := io.ReadAll(http.MaxBytesReader(g.Writer, g.Request.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return problem("body_too_large")
	case err != nil:
		return problem("malformed_request")
	case len(raw) == 0:
		raw = []byte("{}")
	default:
		media, params, err := mime.ParseMediaType(ctx.Header("Content-Type"))
		if charset := strings.ToLower(params["charset"]); err != nil || media != "application/json" || charset != "" && charset != "utf-8" {
			return problem("unsupported_media_type")
		}
	}
	c.raw = raw
	return of.decode(raw, &c.body, units)
}

// offer registers a POST whose body has a shape.
func offer[B, I, O any, P interface {
	*I
	load(*shape, *orgs.Tree) error
}](s *Server, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	of := shapeFor[B]()
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		if err := P(in).load(of, s.Engine.Units()); err != nil {
			return nil, asProblem(err)
		}
		out, err := handle(ctx, in)
		if err != nil {
			return nil, asProblem(err)
		}
		return out, nil
	})
	doc := s.api.OpenAPI()
	doc.Paths[op.Path].Post.RequestBody = &huma.RequestBody{Required: len(of.need) > 0, Content: map[string]*huma.MediaType{
		"application/json": {Schema: doc.Components.Schemas.Schema(reflect.TypeFor[B](), true, op.OperationID)}}}
}

// get registers a reading.
func get[I, O any](s *Server, id, path, summary, tag string, handle func(context.Context, *I) (*O, error)) {
	op := huma.Operation{OperationID: id, Method: http.MethodGet, Path: base + path, Summary: summary, Tags: []string{tag}}
	names := namings(reflect.TypeFor[I]())
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		if err := s.known(names, reflect.ValueOf(in).Elem()); err != nil {
			return nil, err
		}
		out, err := handle(ctx, in)
		if err != nil {
			return nil, asUnread(err)
		}
		return out, nil
	})
}

// idempotencyKey checks the key of a request, bare or quoted.
func (p Post) idempotencyKey() (string, error) {
	k := strings.TrimSpace(p.Key)
	if len(k) >= 2 && k[0] == '"' && k[len(k)-1] == '"' {
		k = k[1 : len(k)-1]
	}
	odd := func(c rune) bool { return c <= ' ' || c > '~' }
	switch {
	case p.Key == "":
		return "", problem("key_missing")
	case k == "" || len(k) > 128 || strings.ContainsFunc(k, odd):
		q := problem("key_missing")
		q.Errors = []Fault{fault("header.Idempotency-Key", "malformed", "须为 1 至 128 个可见 ASCII 字符", "must be 1 to 128 visible ASCII characters")}
		return "", q
	case strings.HasPrefix(k, flow.Key) || strings.HasPrefix(k, rule.AlarmKey):
		q := problem("key_missing")
		q.Errors = []Fault{fault("header.Idempotency-Key", "reserved", "以 pm/ 或 deadline/ 开头的编号为系统保留", "keys that begin with pm/ or deadline/ are the program's own")}
		return "", q
	case sealed.LooksPersonal(k):
		q := problem("personal_key")
		q.Errors = []Fault{fault("header.Idempotency-Key", "personal_key", "不得使用手机号或身份证号", "must not be a phone or identity number")}
		return "", q
	}
	return k, nil
}

// parseIfMatch reads the revision that a caller has seen.
func parseIfMatch(tag string) (int64, error) {
	tag = strings.TrimSpace(tag)
	if tag == "" {
		return 0, problem("if_match_missing")
	}
	digits, ok := strings.CutPrefix(tag, `"`)
	digits, closed := strings.CutSuffix(digits, `"`)
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || !closed || err != nil || n < 0 || strconv.FormatInt(n, 10) != digits {
		return 0, problem("bad_if_match")
	}
	return n, nil
}

// occurred checks when something is said to have happened.
func (s *Server) occurred(at time.Time) error {
	if at.After(s.Now()) {
		return invalid(fault("body.occurred_at", "in_the_future", "发生时间不能晚于当前时间", "lies in the future"))
	}
	return nil
}

// answer is the answer to a POST that was decided, or was decided before.
type answer[R any] struct {
	Status   int
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Position string `header:"GridCase-Position"`
	Replayed string `header:"Idempotency-Replayed"`
	Body     R
}

func answered[R any](status int, location string, r engine.Receipt, body R) *answer[R] {
	a := &answer[R]{Status: status, ETag: etag(r.Revision), Position: r.Position.String(), Body: body}
	if status == http.StatusCreated {
		a.Location = location
	}
	if r.Replayed {
		a.Replayed = "true"
	}
	return a
}

// resource renders a state for an answer. It depends on its arguments alone, so that a repeated request is answered
// byte for byte as the first.
type resource[R any] struct {
	category stream.Category
	render   func(ctx context.Context, s *Server, n stream.Name, state any, revision int64, receipt *Receipt) (R, error)
}

func (k resource[R]) plural() string { return string(k.category) + "s" }

// bodied is the body of a command: it knows which command it is.
type bodied interface {
	command() engine.Command
	when() time.Time
}

// command offers a command on what exists: POST /{plural}/{id}/{name}.
func command[B bodied, R any](s *Server, k resource[R], summary string) {
	var zero B
	name := zero.command().(interface{ Name() string }).Name()
	op := huma.Operation{OperationID: name + "-" + string(k.category), Method: http.MethodPost, Path: base + "/" + k.plural() + "/{id}/" + name,
		Summary: summary, Tags: []string{k.plural()}}
	offer[B](s, op, func(ctx context.Context, in *commandInput[B]) (*answer[R], error) {
		n, _, _, err := s.find(ctx, k.category, in.ID)
		if err != nil && !s.repeats(ctx, n, in.Post) {
			return nil, err
		}
		receipt, err := s.give(ctx, n, action(string(k.category)+"/"+name), given{Post: in.Post, ifMatch: in.IfMatch,
			confirmation: in.Confirmation, path: in.path, raw: in.raw, occurred: in.body.when(), command: in.body.command()})
		if err != nil {
			return nil, err
		}
		body, err := k.render(ctx, s, n, receipt.State, receipt.Revision, receiptOf(receipt))
		return answered(http.StatusOK, "", receipt, body), err
	})
}

// followed is how long an answer waits for what follows from the command on other streams. Without it a caller who is quick
// would not find the order that a fast-track makes, or hold a revision that the flow is about to pass.
const followed = 250 * time.Millisecond

func (s *Server) quiet(ctx context.Context, p eventlog.Position) {
	ctx, cancel := context.WithTimeout(ctx, followed)
	defer cancel()
	s.Engine.Quiet(ctx, p)
}

// given is a command with everything that came with it.
type given struct {
	Post
	ifMatch      string
	confirmation string
	path         string
	raw          []byte
	occurred     time.Time
	command      engine.Command
}

// give gives a command to a stream that exists.
func (s *Server) give(ctx context.Context, n stream.Name, a action, g given) (engine.Receipt, error) {
	if err := s.may(ctx, a); err != nil {
		return engine.Receipt{}, err
	}
	key, err := g.idempotencyKey()
	if err != nil {
		return engine.Receipt{}, err
	}
	revision, err := parseIfMatch(g.ifMatch)
	if err != nil {
		return engine.Receipt{}, err
	}
	if err := s.occurred(g.occurred); err != nil {
		return engine.Receipt{}, err
	}
	rq := of(ctx)
	second, err := s.second(g.confirmation, g.path, revision, g.raw)
	if err != nil && !s.repeats(ctx, n, g.Post) {
		return engine.Receipt{}, err
	}
	receipt, err := s.Engine.Handle(ctx, engine.Request{Stream: n, Commands: []engine.Command{g.command}, Key: key, Actor: rq.actor,
		Second: second, Occurred: g.occurred, Expect: revision, Trace: rq.trace})
	if err == nil {
		s.quiet(ctx, receipt.Position)
	}
	return receipt, err
}

// repeats reports whether the same actor wrote to the stream under the same key before. A repeated request gets its first
// answer although the case has moved out of the actor's reach since, or the confirmation has expired. It reads the stream.
func (s *Server) repeats(ctx context.Context, n stream.Name, p Post) bool {
	key, err := p.idempotencyKey()
	if err != nil || n == "" {
		return false
	}
	for ev, err := range s.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return false
		}
		if m, err := event.DecodeMeta(ev.Meta); err == nil && m.Key == key && m.Actor == of(ctx).actor.ID {
			return true
		}
	}
	return false
}

// begins gives a command that creates a stream.
func (s *Server) begins(ctx context.Context, n stream.Name, key string, occurred time.Time, c engine.Command) (engine.Receipt, error) {
	if err := s.occurred(occurred); err != nil {
		return engine.Receipt{}, err
	}
	rq := of(ctx)
	receipt, err := s.Engine.Handle(ctx, engine.Request{Stream: n, Commands: []engine.Command{c}, Key: key, Actor: rq.actor,
		Occurred: occurred, Expect: -1, Trace: rq.trace})
	if err == nil && n.Category() != stream.Demand { // nothing follows from raising a demand
		s.quiet(ctx, receipt.Position)
	}
	return receipt, err
}

// Receipt is evidence that a command was accepted: the event, and the hash of its leaf in the ledger.
type Receipt struct {
	EventID    string    `json:"event_id"`
	LeafHash   string    `json:"leaf_hash" doc:"SHA-256, base64."`
	RecordedAt time.Time `json:"recorded_at"`
}

func receiptOf(r engine.Receipt) *Receipt {
	return &Receipt{EventID: r.Event.String(), LeafHash: base64.StdEncoding.EncodeToString(r.Leaf[:]), RecordedAt: shown(r.Recorded)}
}

// Clock is a running clock of a case.
type Clock struct {
	ID          string    `json:"id"`
	Clock       string    `json:"clock"`
	Due         time.Time `json:"due" doc:"On this second it is still on time."`
	OriginalDue time.Time `json:"original_due"`
	StartedAt   time.Time `json:"started_at"`
	Provisional bool      `json:"provisional,omitempty" doc:"A holiday notice may still change it."`
}

func clocksOf(cs rule.Clocks) []Clock {
	out := make([]Clock, len(cs))
	for i, d := range cs {
		out[i] = Clock{ID: d.ID, Clock: string(d.Clock), Due: shown(d.Due), OriginalDue: shown(d.OriginalDue), StartedAt: shown(d.StartedAt), Provisional: d.Provisional}
	}
	return out
}

// list makes a list that is never null.
func list[T any](xs []T) []T {
	if xs == nil {
		return []T{}
	}
	return xs
}

// shown is an instant as it is answered: city time, with its offset.
func shown(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(calendar.Zone())
}
