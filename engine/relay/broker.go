package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	wnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

// Broker is where a topic is: Kafka or NATS, one of them.
type Broker struct {
	Kafka []string // host:port of brokers
	NATS  string   // URL; its JetStream must have a stream that takes the subject
}

// patience of one attempt with a broker.
const brokerTimeout = 15 * time.Second

// Check says what is wrong, nil if nothing is.
func (b Broker) Check() error {
	if (len(b.Kafka) == 0) == (b.NATS == "") {
		return errors.New("brokers: name those of Kafka, or the URL of NATS")
	}
	if len(b.Kafka) > 0 {
		return errNoKafka
	}
	return nil
}

// Publisher returns a publisher that connects when it is needed, and again when that failed: a broker that is down keeps no
// node from starting.
func (b Broker) Publisher(logger *slog.Logger) message.Publisher {
	return &connecting{connect: func() (message.Publisher, error) {
		if b.NATS != "" {
			return wnats.NewPublisher(wnats.PublisherConfig{URL: b.NATS, NatsOptions: natsOptions(), Marshaler: onNATS{},
				JetStream: wnats.JetStreamConfig{TrackMsgId: true, PublishOptions: []nats.PubOpt{nats.AckWait(brokerTimeout)}}}, quiet{logger})
		}
		return kafkaPublisher(b.Kafka, logger)
	}}
}

// Subscriber returns a subscriber that goes on, under the group's name, with what it did not acknowledge yet. It connects when
// it can, and again: a broker that is down keeps no node from starting.
func (b Broker) Subscriber(group string, logger *slog.Logger) message.Subscriber {
	ctx, stop := context.WithCancel(context.Background())
	return &persevering{ctx: ctx, stop: stop, logger: logger, connect: func(topic string) (message.Subscriber, error) {
		if b.NATS != "" {
			return jetStreamSubscriber(b.NATS, group, topic, logger)
		}
		return kafkaSubscriber(b.Kafka, group, logger)
	}}
}

// persevering is a subscriber that is made again until it subscribes, and again when that came to an end.
type persevering struct {
	ctx     context.Context
	stop    context.CancelFunc
	logger  *slog.Logger
	connect func(topic string) (message.Subscriber, error)
	running sync.WaitGroup
}

// Subscribe implements [message.Subscriber].
func (p *persevering) Subscribe(_ context.Context, topic string) (<-chan *message.Message, error) {
	messages := make(chan *message.Message)
	p.running.Go(func() {
		defer close(messages)
		for pause := time.Second; p.ctx.Err() == nil; pause = min(2*pause, 30*time.Second) {
			began := time.Now()
			err := p.follow(topic, messages)
			if p.ctx.Err() != nil {
				return
			}
			if time.Since(began) > time.Minute {
				pause = time.Second
			}
			p.logger.Warn("a feed has no connection to its broker, trying again", "topic", topic, "error", err)
			select {
			case <-p.ctx.Done():
			case <-time.After(pause):
			}
		}
	})
	return messages, nil
}

func (p *persevering) follow(topic string, to chan<- *message.Message) (err error) {
	s, err := p.connect(topic)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	from, err := s.Subscribe(p.ctx, topic)
	if err != nil {
		return err
	}
	for m := range from {
		select {
		case to <- m:
		case <-p.ctx.Done():
			m.Nack()
		}
	}
	return nil
}

// Close implements [message.Subscriber].
func (p *persevering) Close() error {
	p.stop()
	p.running.Wait()
	return nil
}

// jetStreamSubscriber subscribes by a consumer that is made here if it is missing: one that the client library makes itself, it
// deletes again when it goes, and everything would come anew.
func jetStreamSubscriber(url, group, subject string, logger *slog.Logger) (_ message.Subscriber, err error) {
	closed := make(chan struct{})
	conn, err := nats.Connect(url, append(natsOptions(), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	js, err := conn.JetStream()
	if err != nil {
		return nil, err
	}
	name, err := js.StreamNameBySubject(subject)
	if err != nil {
		return nil, err
	}
	if _, err = js.ConsumerInfo(name, group); errors.Is(err, nats.ErrConsumerNotFound) {
		_, err = js.AddConsumer(name, &nats.ConsumerConfig{Durable: group, DeliverSubject: nats.NewInbox(), DeliverGroup: group, DeliverPolicy: nats.DeliverAllPolicy,
			AckPolicy: nats.AckExplicitPolicy, AckWait: time.Minute, FilterSubject: subject})
	}
	if err != nil {
		return nil, err
	}
	s, err := wnats.NewSubscriberWithNatsConn(conn, wnats.SubscriberSubscriptionConfig{Unmarshaler: onNATS{}, SubscribersCount: 1, CloseTimeout: 10 * time.Second,
		AckWaitTimeout: time.Minute, QueueGroupPrefix: group, NakDelay: wnats.NewStaticDelay(5 * time.Second), SubjectCalculator: wnats.DefaultSubjectCalculator,
		JetStream: wnats.JetStreamConfig{DurablePrefix: group, SubscribeOptions: []nats.SubOpt{nats.ManualAck()}}}, quiet{logger})
	return &drained{s, conn, closed}, err
}

// drained is a subscriber whose connection is closed when Close returns.
type drained struct {
	message.Subscriber
	conn   *nats.Conn
	closed <-chan struct{}
}

// Close implements [message.Subscriber].
func (d *drained) Close() error {
	err := d.Subscriber.Close()
	select {
	case <-d.closed:
	case <-time.After(brokerTimeout):
		d.conn.Close()
	}
	return err
}

func natsOptions() []nats.Option {
	return []nats.Option{nats.Name("gridcase"), nats.Timeout(brokerTimeout), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1)}
}

// connecting is a publisher that is made at the first message.
type connecting struct {
	connect func() (message.Publisher, error)

	mu     sync.Mutex
	made   message.Publisher
	closed bool
}

// Publish implements [message.Publisher].
func (c *connecting) Publish(topic string, ms ...*message.Message) error {
	p, err := c.publisher()
	if err != nil {
		return fmt.Errorf("the broker can not be reached: %w", err)
	}
	for _, m := range ms {
		if err := m.Context().Err(); err != nil {
			return err
		}
		if err := p.Publish(topic, m); err != nil {
			return err
		}
	}
	return nil
}

func (c *connecting) publisher() (message.Publisher, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, context.Canceled
	}
	if c.made == nil {
		p, err := c.connect()
		if err != nil {
			return nil, err
		}
		c.made = p
	}
	return c.made, nil
}

// Close implements [message.Publisher].
func (c *connecting) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.made == nil {
		return nil
	}
	return c.made.Close()
}

// onNATS puts the envelope on the wire as it is, in structured mode. JetStream knows a repeat by its id.
type onNATS struct{}

// Marshal implements nats.Marshaler.
func (onNATS) Marshal(subject string, m *message.Message) (*nats.Msg, error) {
	return &nats.Msg{Subject: subject, Data: m.Payload, Header: nats.Header{"content-type": {ContentType}, nats.MsgIdHdr: {m.UUID}}}, nil
}

// Unmarshal implements nats.Unmarshaler.
func (onNATS) Unmarshal(m *nats.Msg) (*message.Message, error) {
	id := m.Header.Get(nats.MsgIdHdr)
	if at, err := m.Metadata(); id == "" && err == nil {
		id = fmt.Sprintf("%s/%d", m.Subject, at.Sequence.Stream)
	}
	return message.NewMessage(id, m.Data), nil
}
