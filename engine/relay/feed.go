package relay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"golang.org/x/text/unicode/norm"

	"gridcase/domain/demand"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
)

// Office is what takes the commands that messages become: the engine.
type Office interface {
	Handle(ctx context.Context, r engine.Request) (engine.Receipt, error)
	Units() *orgs.Tree
	TrackingCode(id stream.ID) string
	Grant(ctx context.Context, a rule.Actor, until time.Time) error
	Clock() time.Time
}

// Feed is one sender of messages. What it sends is done in the role of a channel held at its unit.
type Feed struct {
	Name    string
	Unit    orgs.UnitCode
	Secrets []Secret // by HTTP: those that it signs with
	Broker  *Broker  // nil: by HTTP, at /feeds/<name>
	Topic   string   // of the broker
}

// Feeds take messages in until Close. They are an [http.Handler] for POST /feeds/<name>.
//
// A message is one CloudEvent, and its id is the key of the command: however often it is delivered, on whatever node, one thing
// comes of it, and the same answer. What can not be done is refused, once and clearly: to an HTTP sender in the answer, of a
// broker's message in the book, by id and reason. What may be done when tried again is tried again.
type Feeds struct {
	office Office
	book   *Book
	logger *slog.Logger
	feeds  []*intake
	slots  chan struct{}
	router *message.Router
	done   chan error
}

// intake is one feed at work.
type intake struct {
	Feed
	taken, refused atomic.Uint64
}

func (f *intake) actor() rule.Actor {
	return rule.Actor{ID: "feed-" + f.Name, Role: orgs.Channel, Unit: f.Unit}
}

// OpenFeeds makes the feeds ready; those of brokers begin at once.
func OpenFeeds(ctx context.Context, o Office, b *Book, feeds []Feed, logger *slog.Logger) (*Feeds, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	fs := &Feeds{office: o, book: b, logger: logger, slots: make(chan struct{}, 16)}
	for _, f := range feeds {
		in := &intake{Feed: f}
		if _, known := o.Units().Unit(f.Unit); !known {
			return nil, fmt.Errorf("feed %s: the log knows no unit %s", f.Name, f.Unit)
		}
		if err := o.Grant(ctx, in.actor(), o.Clock().AddDate(100, 0, 0)); err != nil {
			return nil, fmt.Errorf("feed %s: %w", f.Name, err)
		}
		fs.feeds = append(fs.feeds, in)
		if f.Broker == nil {
			continue
		}
		if fs.router == nil {
			router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 20 * time.Second}, quiet{logger})
			if err != nil {
				return nil, fmt.Errorf("feeds: %w", err)
			}
			fs.router, fs.done = router, make(chan error, 1)
		}
		if err := fs.route(in, f.Broker.Subscriber("gridcase-"+f.Name, logger)); err != nil {
			return nil, fmt.Errorf("feed %s: %w", f.Name, err)
		}
	}
	if fs.router != nil {
		go func() { fs.done <- fs.router.Run(context.Background()) }()
		select {
		case <-fs.router.Running():
		case err := <-fs.done:
			return nil, fmt.Errorf("feeds: %w", err)
		}
	}
	return fs, nil
}

// route puts a feed on the router: a refusal goes to the book (the poison queue, outside the retry), what failed is tried a few
// times more, and then given back to the broker, which delivers it again.
func (fs *Feeds) route(in *intake, sub message.Subscriber) error {
	final := func(err error) bool {
		var no *Refusal
		return errors.As(err, &no)
	}
	book, err := middleware.PoisonQueueWithFilter(refusals{fs, in}, "refused", final)
	if err != nil {
		return err
	}
	// With ShouldRetry the middleware takes two steps of the interval for each retry: 0.2 s, 0.6 s, 1.7 s, …
	retry := middleware.Retry{MaxRetries: 5, InitialInterval: 100 * time.Millisecond, MaxInterval: 10 * time.Second, Multiplier: 1.7, RandomizationFactor: 0.5,
		ShouldRetry: func(p middleware.RetryParams) bool { return !final(p.Err) }}
	h := fs.router.AddConsumerHandler("feed "+in.Name, in.Topic, sub, func(m *message.Message) error {
		_, err := fs.take(m.Context(), in, "", m.Payload)
		return err
	})
	h.AddMiddleware(book, retry.Middleware, middleware.Recoverer)
	return nil
}

// refusals writes into the book what a broker's feed refused: id and reason, never what the message said.
type refusals struct {
	*Feeds
	in *intake
}

// Publish implements [message.Publisher].
func (r refusals) Publish(_ string, ms ...*message.Message) error {
	for _, m := range ms {
		id := m.UUID
		if sealed.LooksPersonal(id) || len(id) > 200 {
			id = "?"
		}
		err := r.book.refuse(m.Context(), RefusedMessage{Feed: r.in.Name, Message: id, At: r.office.Clock(), Reason: m.Metadata.Get(middleware.ReasonForPoisonedKey)})
		if err != nil {
			return err
		}
	}
	return nil
}

// Close implements [message.Publisher].
func (refusals) Close() error { return nil }

// Close ends the feeds. What a broker had delivered and nobody acknowledged, it delivers again.
func (fs *Feeds) Close() error {
	if fs.router == nil {
		return nil
	}
	return errors.Join(fs.router.Close(), <-fs.done)
}

// FeedStatus is how a feed stands, since the start.
type FeedStatus struct {
	Name           string
	Taken, Refused uint64
}

// Status returns how the feeds stand, in the order in which they were given.
func (fs *Feeds) Status() []FeedStatus {
	all := make([]FeedStatus, len(fs.feeds))
	for i, f := range fs.feeds {
		all[i] = FeedStatus{f.Name, f.taken.Load(), f.refused.Load()}
	}
	return all
}

// Refusal is a message's final no: sent again it is refused again.
type Refusal struct {
	Status int
	Code   string
	Zh, En string
}

func (r *Refusal) Error() string { return r.Code + ": " + r.En }

func refuse(status int, code, zh, en string) *Refusal { return &Refusal{status, code, zh, en} }

// most is the most that a message may have, in bytes; the API takes as much.
const most = 256 << 10

// cloudEvent is the envelope of a message. Extension attributes are let be.
type cloudEvent struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Time        time.Time       `json:"time"`
	ContentType string          `json:"datacontenttype"`
	Data        json.RawMessage `json:"data"`
}

// take makes a message's command of it and gives it to the office. A transport that names the id itself must name that of the
// envelope.
func (fs *Feeds) take(ctx context.Context, in *intake, id string, body []byte) (engine.Receipt, error) {
	receipt, err := fs.command(ctx, in, id, body)
	var no *Refusal
	switch {
	case err == nil:
		in.taken.Add(1)
	case errors.As(err, &no):
		in.refused.Add(1)
		fs.logger.Warn("a feed refused a message", "feed", in.Name, "code", no.Code, "reason", no.En)
	default:
		fs.logger.Warn("a feed could not take a message; it is to be sent again", "feed", in.Name, "error", err)
	}
	return receipt, err
}

func (fs *Feeds) command(ctx context.Context, in *intake, id string, body []byte) (engine.Receipt, error) {
	var e cloudEvent
	if err := plainJSON(body); err != nil {
		return engine.Receipt{}, err
	}
	if err := json.Unmarshal(body, &e); err != nil || e.SpecVersion != "1.0" || e.ID == "" || e.Source == "" || e.Type == "" ||
		e.ContentType != "" && e.ContentType != "application/json" {
		return engine.Receipt{}, refuse(400, "malformed", "不是结构化模式的 CloudEvents 1.0 消息", "it is no CloudEvents 1.0 message in structured mode with JSON data")
	}
	switch {
	case id != "" && id != e.ID:
		return engine.Receipt{}, refuse(400, "id_differs", "webhook-id 与消息的 id 不一致", "webhook-id and the id of the message differ")
	case len(e.ID) > 128 || strings.ContainsFunc(e.ID, odd):
		return engine.Receipt{}, refuse(422, "bad_id", "消息 id 须为 1 至 128 个可见 ASCII 字符", "the id must be 1 to 128 visible ASCII characters")
	case sealed.LooksPersonal(e.ID):
		return engine.Receipt{}, refuse(422, "personal_key", "消息 id 不得使用手机号或身份证号", "the id must not be a phone or identity number")
	}
	key := "feed/" + in.Name + "/" + e.ID
	switch e.Type {
	case "gridcase.raise-demand":
		return fs.raise(ctx, in, key, e)
	}
	return engine.Receipt{}, refuse(422, "unknown_type", "不接受这种类型的消息", "messages of this type are not taken")
}

func odd(c rune) bool { return c <= ' ' || c > '~' }

// raised is the data of gridcase.raise-demand: members and limits are those of POST /api/v1/demands, but for coordinates and
// attachments.
type raised struct {
	Kind      demand.Kind    `json:"kind"`
	Channel   demand.Channel `json:"channel"`
	Title     words          `json:"title"`
	Text      words          `json:"text"`
	Category  string         `json:"category"`
	Grid      orgs.GridCode  `json:"grid"`
	Community orgs.UnitCode  `json:"community"`
	Address   words          `json:"address"`
	Reporter  struct {
		Name     words `json:"name"`
		Phone    words `json:"phone"`
		IDNumber words `json:"id_number"`
		Account  words `json:"account"`
	} `json:"reporter"`
	Anonymous  bool   `json:"anonymous"`
	NoCallback bool   `json:"no_callback"`
	External   string `json:"external_ref"`
}

// words are personal text on the way in: printed they are nothing.
type words struct{ text string }

// UnmarshalJSON implements [json.Unmarshaler].
func (w *words) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &w.text) }

// Format hides the text from every verb of fmt.
func (words) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[pii]") }

// seal takes the text over, normalised; it notes the field if the text is too long or holds control characters.
func (w words) seal(field string, limit int, bad *[]string) sealed.Text {
	text := strings.TrimSpace(norm.NFC.String(strings.ReplaceAll(w.text, "\r\n", "\n")))
	if utf8.RuneCountInString(text) > limit || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\t' }) {
		*bad = append(*bad, field)
	}
	return sealed.Clear(text)
}

func (fs *Feeds) raise(ctx context.Context, in *intake, key string, e cloudEvent) (engine.Receipt, error) {
	var b raised
	d := json.NewDecoder(bytes.NewReader(e.Data))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return engine.Receipt{}, refuse(422, "invalid", "data 中有不认识或类型不符的成员", "data has a member that is unknown or of another type")
	}
	var bad []string
	check := func(field string, ok bool) {
		if !ok {
			bad = append(bad, field)
		}
	}
	c := demand.Raise{Kind: b.Kind, Channel: b.Channel, External: b.External, Anonymous: b.Anonymous, NoCallback: b.NoCallback, Matter: b.Category, Grid: b.Grid,
		Title: b.Title.seal("title", 100, &bad), Text: b.Text.seal("text", 10_000, &bad), Address: b.Address.seal("address", 200, &bad),
		Reporter: demand.Reporter{Name: b.Reporter.Name.seal("reporter.name", 50, &bad), Phone: b.Reporter.Phone.seal("reporter.phone", 32, &bad),
			IDNumber: b.Reporter.IDNumber.seal("reporter.id_number", 18, &bad), Account: b.Reporter.Account.seal("reporter.account", 64, &bad)}}
	digits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	check("time", !e.Time.After(fs.office.Clock().Add(tolerance)))
	check("kind", slices.Contains(demand.Kinds(), b.Kind))
	check("channel", slices.Contains(demand.Channels(), b.Channel) && b.Channel != "import")
	check("text", strings.TrimSpace(b.Text.text) != "")
	check("category", b.Category == "" || len(b.Category) == 6 && digits(b.Category))
	check("external_ref", len(b.External) <= 64 && !strings.ContainsFunc(b.External, odd) && !sealed.LooksPersonal(b.External))
	units := fs.office.Units()
	switch {
	case b.Grid != "":
		c.Unit = b.Grid.Community()
		_, known := units.Grid(b.Grid)
		check("grid", known && (b.Community == "" || b.Community == c.Unit))
	case b.Community != "":
		u, _ := units.Unit(b.Community)
		check("community", u.Kind == orgs.Community && !u.Closed)
		c.Unit = b.Community
	default: // to be sorted out at the hotline nearest to the feed
		hotline, found := units.Hotline(in.Unit)
		check("community", found)
		c.Unit = hotline
	}
	if len(bad) > 0 {
		names := strings.Join(bad, ", ")
		return engine.Receipt{}, refuse(422, "invalid", "下列成员有误："+names, "these members are not as they must be: "+names)
	}
	ref := b.External
	if ref == "" {
		ref = in.actor().ID + "/" + key
	}
	id := stream.DemandFor(string(b.Channel), ref)
	code := sha256.Sum256([]byte(fs.office.TrackingCode(id)))
	c.Tracking = hex.EncodeToString(code[:])
	receipt, err := fs.office.Handle(ctx, engine.Request{Stream: stream.Of(stream.Demand, id), Commands: []engine.Command{c}, Key: key, Actor: in.actor(),
		Occurred: e.Time, Expect: int64(eventlog.None)})
	return receipt, final(err)
}

// final tells what is decided from what may be otherwise when it is tried again.
func final(err error) error {
	var refusal *rule.Refusal
	var stale *engine.StaleError
	switch {
	case errors.As(err, &refusal):
		return refuse(409, string(refusal.Code), refusal.Detail.Zh, refusal.Detail.En)
	case errors.As(err, &stale):
		return refuse(409, "exists", "该事项已存在", "it is there already")
	case errors.Is(err, engine.ErrKeyReused):
		return refuse(422, "key_reused", "同一消息 id 曾用于其他内容", "a message with this id said something else before")
	case errors.Is(err, eventlog.ErrTooLarge):
		return refuse(413, "too_large", "内容过长，无法记录", "it is too large to be recorded")
	}
	return err
}

// plainJSON refuses what readers of JSON take in different ways: two members of one name, and depth beyond 32.
func plainJSON(body []byte) error {
	malformed := refuse(400, "malformed", "不是有效的 JSON，或有重复的成员", "it is no JSON, or a member stands there twice")
	if !utf8.Valid(body) {
		return malformed
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var walk func(depth int) error
	walk = func(depth int) error {
		t, err := d.Token()
		if err != nil || depth > 32 {
			return malformed
		}
		delim, nested := t.(json.Delim)
		if !nested {
			return nil
		}
		seen := map[string]bool{}
		for d.More() {
			if delim == '{' {
				name, err := d.Token()
				if err != nil {
					return malformed
				}
				lower := strings.ToLower(name.(string)) // encoding/json does not tell cases apart
				if seen[lower] {
					return malformed
				}
				seen[lower] = true
			}
			if err := walk(depth + 1); err != nil {
				return err
			}
		}
		if _, err := d.Token(); err != nil {
			return malformed
		}
		return nil
	}
	if err := walk(0); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed
	}
	return nil
}

// ServeHTTP implements [http.Handler].
func (fs *Feeds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	receipt, err := fs.answer(w, r)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	var no *Refusal
	switch {
	case err == nil:
		h.Set("Content-Type", "application/json")
		h.Set("GridCase-Position", receipt.Position.String())
		status := http.StatusCreated
		if receipt.Replayed {
			status = http.StatusOK
		}
		said := map[string]any{"id": receipt.Stream.ID(), "event": receipt.Event, "position": receipt.Position.String(), "replayed": receipt.Replayed}
		if d, ok := receipt.State.(demand.State); ok {
			said["number"], said["tracking"] = d.Number, fs.office.TrackingCode(d.ID)
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(said) // a caller who is gone asks again
		return
	case !errors.As(err, &no):
		h.Set("Retry-After", "5")
		no = refuse(http.StatusServiceUnavailable, "outcome-unknown", "结果未知：请以相同的 id 重发", "the outcome is unknown: send it again with the same id")
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(no.Status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": http.StatusText(no.Status), "status": no.Status, "code": no.Code, "detail": no.En, "detail_zh": no.Zh}) // as above
}

func (fs *Feeds) answer(w http.ResponseWriter, r *http.Request) (engine.Receipt, error) {
	none := engine.Receipt{}
	select {
	case fs.slots <- struct{}{}:
		defer func() { <-fs.slots }()
	default:
		w.Header().Set("Retry-After", "5")
		return none, refuse(http.StatusServiceUnavailable, "overloaded", "正忙，请稍后重发", "too much at once: send it again later")
	}
	i := slices.IndexFunc(fs.feeds, func(f *intake) bool { return f.Broker == nil && r.URL.Path == "/feeds/"+f.Name })
	switch {
	case i < 0:
		return none, refuse(http.StatusNotFound, "not_found", "没有这个入口", "there is no such feed")
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return none, refuse(http.StatusMethodNotAllowed, "method_not_allowed", "只接受 POST", "only POST is taken")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return none, refuse(http.StatusRequestEntityTooLarge, "too_large", "消息不得超过 256 KiB", "a message has at most 256 KiB")
	}
	id, err := verify(r.Header, fs.feeds[i].Secrets, time.Now(), body)
	if err != nil {
		return none, refuse(http.StatusUnauthorized, "bad_signature", "签名无效或已过期", err.Error())
	}
	if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); t != ContentType {
		return none, refuse(http.StatusUnsupportedMediaType, "unsupported_media_type", "须为 application/cloudevents+json", "it must be application/cloudevents+json")
	}
	return fs.take(r.Context(), fs.feeds[i], id, body)
}
