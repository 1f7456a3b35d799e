package relay_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gridcase/domain/demand"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/engine/relay"
)

// office takes commands as it is told to, and keeps them.
type office struct {
	*house
	answer func(n int, r engine.Request) error

	mu    sync.Mutex
	asked []engine.Request
}

func (o *office) Handle(_ context.Context, r engine.Request) (engine.Receipt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.asked)
	o.asked = append(o.asked, r)
	return engine.Receipt{Stream: r.Stream, State: demand.State{}}, o.answer(n, r)
}

func (o *office) TrackingCode(stream.ID) string                      { return "code" }
func (o *office) Grant(context.Context, rule.Actor, time.Time) error { return nil }
func (o *office) Clock() time.Time                                   { return time.Now().UTC() }

func (o *office) seen() []engine.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]engine.Request(nil), o.asked...)
}

// From a broker: what is refused is noted without what it said and passed over; what may go another time is tried with the same key.
func TestABrokersMessageIsDoneRefusedOrTriedAgain(t *testing.T) {
	s := natsServer(t)
	js := jetStream(t, s, "in.demands")
	o := &office{house: newHouse(t), answer: func(n int, r engine.Request) error {
		switch {
		case strings.HasSuffix(r.Key, "/m-1") && n < 3: // whether it happened is not known
			return engine.ErrOutcomeUnknown
		case strings.HasSuffix(r.Key, "/m-2"):
			return rule.Refuse(rule.GuardFailed, "D1", "不可以", "it may not be")
		}
		return nil
	}}
	book, err := relay.OpenBook(t.Context(), filepath.Join(t.TempDir(), "relays.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	wanted := []relay.Feed{{Name: "wechat", Unit: street, Broker: &relay.Broker{NATS: s.ClientURL()}, Topic: "in.demands"},
		{Name: "down", Unit: street, Broker: &relay.Broker{NATS: "nats://127.0.0.1:1"}, Topic: "x"}, {Name: "down-too", Unit: street, Broker: &relay.Broker{Kafka: []string{"127.0.0.1:1"}}, Topic: "x"}}
	feeds, err := relay.OpenFeeds(t.Context(), o, book, wanted, nil)
	if err != nil {
		t.Fatal(err) // a broker that is down keeps nobody from opening
	}
	const canary = "qzxkvwjhbgpf"
	send := func(id, text string) {
		body := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/w","type":"gridcase.raise-demand","data":{"kind":"issue","channel":"wechat","community":%q,"text":%q}}`, id, community, text)
		if _, err := js.Publish("in.demands", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	send("m-1", "一")
	send("m-2", canary)
	if _, err := js.Publish("in.demands", []byte(`{"broken":"`+canary+`"`)); err != nil {
		t.Fatal(err)
	}
	send("m-3", "三")
	send("m-1", "一") // delivered again
	status := func() relay.FeedStatus { return feeds.Status()[0] }
	for deadline := time.Now().Add(30 * time.Second); status().Taken < 3 || status().Refused < 2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, %+v", status(), o.seen())
		}
	}
	closing := time.Now()
	if err := feeds.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(closing); took > 15*time.Second {
		t.Errorf("closing took %s", took)
	}
	asked := len(o.seen())
	again, err := relay.OpenFeeds(t.Context(), o, book, wanted[:1], nil) // it goes on where it was
	if err != nil {
		t.Fatal(err)
	}
	send("m-4", "四")
	for deadline := time.Now().Add(30 * time.Second); again.Status()[0].Taken < 1; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("after a restart nothing comes")
		}
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(o.seen()) - asked; n != 1 {
		t.Errorf("after a restart the office was asked %d times, want once", n)
	}
	keys := map[string]int{}
	for _, r := range o.seen() {
		keys[r.Key]++
		c := r.Commands[0].(demand.Raise)
		if r.Actor.ID != "feed-wechat" || r.Actor.Role != orgs.Channel || r.Expect != -1 || c.Unit != community {
			t.Errorf("got %+v", r)
		}
	}
	if keys["feed/wechat/m-1"] != 5 || keys["feed/wechat/m-2"] != 1 || keys["feed/wechat/m-3"] != 1 || len(keys) != 4 {
		t.Errorf("the office was asked %v; want m-1 four times and once more when it came again, the others once", keys)
	}
	refused, err := book.Refused(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(refused); len(refused) != 2 || strings.Contains(text, canary) || !strings.Contains(text, "it may not be") || !strings.Contains(text, "malformed") {
		t.Errorf("the book says %s", text)
	}
	t.Logf("5 messages: %d done, %d refused, the office asked %d times", status().Taken, status().Refused, len(o.seen()))
}
