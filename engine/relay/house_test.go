package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/engine/relay"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

const (
	city      = orgs.UnitCode("150100")
	district  = orgs.UnitCode("150105")
	street    = orgs.UnitCode("150105003")
	community = orgs.UnitCode("150105003001")
	neighbour = orgs.UnitCode("150105004")
	further   = orgs.UnitCode("150105004001")
	grid      = orgs.GridCode("150105003001001")

	source = "/gridcase/test/test"
)

// house is a log in memory with a small city; streams are folded from the log whenever they are asked for.
type house struct {
	t     testing.TB
	log   *mem.Log
	units *orgs.Tree
	heads map[stream.Name]eventlog.Revision
	all   []eventlog.Event // of cases, in log order
	cases map[string]string
}

func newHouse(t testing.TB) *house {
	h := &house{t: t, log: mem.Open(), heads: map[stream.Name]eventlog.Revision{}, cases: map[string]string{}}
	var tree *orgs.Tree
	for _, u := range []orgs.UnitOpened{{Code: city, Name: "市", Kind: orgs.City}, {Code: district, Name: "区", Kind: orgs.District, Parent: city},
		{Code: street, Name: "街道", Kind: orgs.Street, Parent: district}, {Code: community, Name: "社区", Kind: orgs.Community, Parent: street},
		{Code: neighbour, Name: "邻街道", Kind: orgs.Street, Parent: district}, {Code: further, Name: "邻社区", Kind: orgs.Community, Parent: neighbour}} {
		tree = tree.With(u)
		h.add(stream.Keyed(stream.Unit, string(u.Code)), u)
	}
	h.units, h.all = tree, nil
	return h
}

func (h *house) Units() *orgs.Tree                                { return h.units }
func (h *house) Settled(context.Context, eventlog.Position) error { return nil }

func (h *house) Load(ctx context.Context, n stream.Name) (s event.State, revision int64, err error) {
	revision = -1
	for ev, err := range h.log.Read(ctx, string(n), 0) {
		if err != nil {
			return nil, -1, err
		}
		e, err := event.Understand(event.Stored{Stream: n, Revision: int64(ev.Revision), ID: stream.ID(ev.ID), Type: ev.Type, Data: ev.Data, Meta: ev.Meta})
		if err != nil {
			return nil, -1, err
		}
		s, revision = event.Fold(n, s, e.Body, e.Meta.Stamp(e.ID)), int64(ev.Revision)
	}
	return s, revision, nil
}

// add appends an event; its case is that of its stream.
func (h *house) add(n stream.Name, body event.Body) eventlog.Event {
	h.t.Helper()
	data, err := event.Encode(body)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.put(n, body.EventType(), data)
}

func (h *house) put(n stream.Name, typ string, data []byte) eventlog.Event {
	h.t.Helper()
	head, begun := h.heads[n]
	if !begun {
		head = eventlog.None
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	f := eventlog.Fact{ID: uuid.UUID(stream.Event(n, "k", int(head)+1)), Type: typ, Data: data,
		Meta: event.EncodeMeta(event.Meta{Actor: "somebody", Role: orgs.Clerk, Unit: community, Correlation: n.ID(), Occurred: now, Recorded: now, Schema: 1})}
	c, err := h.log.Append(context.Background(), string(n), head, f)
	if err != nil {
		h.t.Fatal(err)
	}
	h.heads[n] = c.Revision
	ev := eventlog.Event{Fact: f, Stream: string(n), Revision: c.Revision, Position: c.Position, At: c.At}
	h.all = append(h.all, ev)
	return ev
}

func demandNo(i int) stream.Name {
	return stream.Of(stream.Demand, stream.Derive("case", fmt.Sprint(i)))
}

// step lets something happen to a case: it is raised, and then supported again and again.
func (h *house) step(i int) eventlog.Event {
	n := demandNo(i)
	if _, begun := h.heads[n]; !begun {
		return h.add(n, demand.Raised{Kind: demand.Issue, Channel: "wechat", Unit: community, Grid: grid})
	}
	return h.add(n, demand.Supported{Supporters: int(h.heads[n])})
}

// everything is what the street may be told of demands.
var everything = relay.Terms{Types: []string{"demand"}, Role: orgs.StreetLeader, Unit: street}

// got is one attempt as the receiver saw it.
type got struct {
	at       time.Time
	id, body string
	header   http.Header
	position eventlog.Position
	matter   string
	status   int
}

// receiver is a destination that answers as it is told to, and keeps what it was sent.
type receiver struct {
	answer func(n int, g got) (status int, header map[string]string) // status 0: no answer, until the caller is gone

	mu  sync.Mutex
	all []got
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	var e struct{ ID, Subject, Correlation, Position string }
	if err := json.Unmarshal(body, &e); err != nil {
		w.WriteHeader(400)
		return
	}
	var p uint64
	fmt.Sscan(e.Position, &p)
	g := got{at: time.Now(), id: q.Header.Get("webhook-id"), body: string(body), header: q.Header.Clone(), position: eventlog.Position(p), matter: e.Correlation}
	r.mu.Lock()
	n := len(r.all)
	status, header := 204, map[string]string(nil)
	if r.answer != nil {
		status, header = r.answer(n, g)
	}
	g.status = status
	r.all = append(r.all, g)
	r.mu.Unlock()
	if status == 0 {
		<-q.Context().Done()
		return
	}
	for name, v := range header {
		w.Header().Set(name, v)
	}
	w.WriteHeader(status)
}

func (r *receiver) seen() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.all...)
}

// pipes is a network in memory.
type pipes struct {
	conns chan net.Conn
	down  chan struct{}
	once  sync.Once
	mu    sync.Mutex
	dead  bool // refuses connections
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), down: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.mu.Lock()
	dead := p.dead
	p.mu.Unlock()
	if dead {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.down:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.down:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.down) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

// town is a house with one relay to one receiver, on a network in memory.
type town struct {
	*house
	dir     string
	net     *pipes
	web     *http.Server
	to      *receiver
	config  func(relay.Config) relay.Config
	out     relay.Out
	book    *relay.Book
	running *relay.Relays
}

var secret = func() relay.Secret {
	s, err := relay.ParseSecret(secretText)
	if err != nil {
		panic(err)
	}
	return s
}()

const secretText = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

func newTown(t *testing.T, dir string, answer func(int, got) (int, map[string]string)) *town {
	w := &town{house: newHouse(t), dir: dir, net: newPipes(), to: &receiver{answer: answer}, out: relay.Out{Name: "street", Terms: everything, FromStart: true}}
	w.web = &http.Server{Handler: w.to}
	go w.web.Serve(w.net)
	return w
}

func (w *town) start() {
	w.t.Helper()
	hook, err := relay.NewWebhook(relay.WebhookConfig{URL: "http://receiver/hook", Allow: []string{"receiver"}, Secrets: []relay.Secret{secret}}.Dialing(w.net.dial))
	if err != nil {
		w.t.Fatal(err)
	}
	if w.book, err = relay.OpenBook(w.t.Context(), filepath.Join(w.dir, "relays.db")); err != nil {
		w.t.Fatal(err)
	}
	o := w.out
	o.Publisher = hook
	c := relay.Config{Log: w.log, House: w.house, Source: source, Book: w.book, Out: []relay.Out{o}}.Looking(20 * time.Second)
	if w.config != nil {
		c = w.config(c)
	}
	if w.running, err = relay.Start(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) stop() {
	w.t.Helper()
	if err := errors.Join(w.running.Close(), w.book.Close()); err != nil {
		w.t.Error(err)
	}
}

func (w *town) end() {
	w.stop()
	w.web.Close()
}

func (w *town) status() relay.Status { return w.running.Status()[0] }

// faults says what of the promise does not hold of what the receiver saw: everything was taken at least once; what has the same id
// has the same body, and is one of the log's events; and no message came before those ahead of it in its case were taken.
func (w *town) faults() (faults []string) {
	say := func(format string, args ...any) {
		if len(faults) < 5 {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	want := map[string]eventlog.Event{}
	ahead := map[string][]string{} // by case, ids in log order
	for _, ev := range w.all {
		want[ev.ID.String()] = ev
		n := stream.Name(ev.Stream).ID().String()
		ahead[n] = append(ahead[n], ev.ID.String())
	}
	bodies, taken := map[string][32]byte{}, map[string]bool{}
	for i, g := range w.to.seen() {
		ev, known := want[g.id]
		if !known || !bytes.Contains([]byte(g.body), []byte(`"id":"`+g.id+`"`)) {
			say("attempt %d has the id %s, which is no event's", i, g.id)
			continue
		}
		sum := sha256.Sum256([]byte(g.body))
		if first, again := bodies[g.id]; again && first != sum {
			say("attempt %d sends %s with another body", i, g.id)
		}
		bodies[g.id] = sum
		for _, id := range ahead[stream.Name(ev.Stream).ID().String()] {
			if id == g.id {
				break
			}
			if !taken[id] {
				say("attempt %d sends revision %d of a case before an earlier one was taken", i, ev.Revision)
				break
			}
		}
		if g.status >= 200 && g.status < 300 {
			taken[g.id] = true
		}
	}
	lost := 0
	for id := range want {
		if !taken[id] {
			lost++
		}
	}
	if lost > 0 {
		say("%d of %d messages were lost", lost, len(want))
	}
	return faults
}
