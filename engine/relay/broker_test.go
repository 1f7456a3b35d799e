package relay_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"gridcase/engine/relay"
)

func natsServer(t *testing.T) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

func jetStream(t *testing.T, s *server.Server, subject string) nats.JetStreamContext {
	t.Helper()
	c, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	js, err := c.JetStream()
	if err == nil {
		_, err = js.AddStream(&nats.StreamConfig{Name: strings.ToUpper(strings.ReplaceAll(subject, ".", "-")), Subjects: []string{subject}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestJetStreamKeepsEachMessageOnceAndInOrder(t *testing.T) {
	s := natsServer(t)
	js := jetStream(t, s, "city.events")
	p := relay.Broker{NATS: s.ClientURL()}.Publisher(slog.New(slog.DiscardHandler))
	defer p.Close()
	for i := range 20 {
		body := fmt.Appendf(nil, `{"id":"m-%d"}`, i)
		for range 1 + i%2 { // every second one is sent twice, as after a crash
			if err := p.Publish("city.events", message.NewMessage(fmt.Sprintf("m-%d", i), body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	sub, err := js.SubscribeSync("city.events", nats.DeliverAll())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		m, err := sub.NextMsg(5 * time.Second)
		if err != nil || string(m.Data) != fmt.Sprintf(`{"id":"m-%d"}`, i) || m.Header.Get("content-type") != relay.ContentType {
			t.Fatalf("message %d: got %s, %v", i, m.Data, err)
		}
	}
	if m, err := sub.NextMsg(100 * time.Millisecond); err == nil {
		t.Errorf("one more came: %s", m.Data)
	}
	if err := p.Publish("nobody.takes.this", message.NewMessage("m", []byte("{}"))); err == nil {
		t.Error("a message that no stream keeps was taken")
	}
}

func TestABrokerThatIsDownIsAFailureLikeAnyOther(t *testing.T) {
	for name, b := range map[string]relay.Broker{"NATS": {NATS: "nats://127.0.0.1:1"}, "Kafka": {Kafka: []string{"127.0.0.1:1"}}} {
		p := b.Publisher(slog.New(slog.DiscardHandler))
		if err := p.Publish("topic", message.NewMessage("m", []byte("{}"))); err == nil {
			t.Errorf("%s: the message was taken", name)
		}
		if err := p.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, b := range []relay.Broker{{}, {NATS: "x", Kafka: []string{"y"}}} {
		if b.Check() == nil {
			t.Errorf("%+v was taken", b)
		}
	}
}
