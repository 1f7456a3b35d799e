package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
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
		return kafka.NewPublisher(kafka.PublisherConfig{Brokers: b.Kafka, Marshaler: onKafka{}, OverwriteSaramaConfig: kafkaConfig()}, quiet{logger})
	}}
}

// Subscriber returns a subscriber that goes on, under the group's name, with what it did not acknowledge yet.
func (b Broker) Subscriber(group string, logger *slog.Logger) (message.Subscriber, error) {
	if b.NATS != "" {
		return wnats.NewSubscriber(wnats.SubscriberConfig{URL: b.NATS, NatsOptions: natsOptions(), QueueGroupPrefix: group, SubscribersCount: 1, CloseTimeout: 10 * time.Second,
			AckWaitTimeout: time.Minute, NakDelay: wnats.NewStaticDelay(5 * time.Second), Unmarshaler: onNATS{},
			JetStream: wnats.JetStreamConfig{DurablePrefix: group, SubscribeOptions: []nats.SubOpt{nats.DeliverAll(), nats.AckExplicit()}}}, quiet{logger})
	}
	c := kafkaConfig()
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Return.Errors = true
	return kafka.NewSubscriber(kafka.SubscriberConfig{Brokers: b.Kafka, ConsumerGroup: group, Unmarshaler: onKafka{}, OverwriteSaramaConfig: c,
		NackResendSleep: 5 * time.Second}, quiet{logger})
}

func natsOptions() []nats.Option {
	return []nats.Option{nats.Name("gridcase"), nats.Timeout(brokerTimeout), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1)}
}

func kafkaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID, c.Version = "gridcase", sarama.V1_0_0_0
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Timeout = brokerTimeout
	c.Producer.Retry.Max, c.Metadata.Retry.Max = 1, 1 // the line itself knows how to wait
	c.Metadata.Retry.Backoff = 200 * time.Millisecond
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = brokerTimeout, brokerTimeout, brokerTimeout
	return c
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

// onKafka puts the envelope on the wire as it is: the binding of CloudEvents to Kafka in structured mode. The key is the
// case, so that a case stays in one partition and in order.
type onKafka struct{}

// Marshal implements kafka.Marshaler.
func (onKafka) Marshal(topic string, m *message.Message) (*sarama.ProducerMessage, error) {
	p := &sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(m.Payload), Headers: []sarama.RecordHeader{
		{Key: []byte("content-type"), Value: []byte(ContentType)}, {Key: []byte(headerID), Value: []byte(m.UUID)}}}
	if key := m.Metadata.Get("case"); key != "" {
		p.Key = sarama.StringEncoder(key)
	}
	return p, nil
}

// Unmarshal implements kafka.Unmarshaler.
func (onKafka) Unmarshal(m *sarama.ConsumerMessage) (*message.Message, error) {
	id := fmt.Sprintf("%s/%d/%d", m.Topic, m.Partition, m.Offset)
	for _, h := range m.Headers {
		if string(h.Key) == headerID {
			id = string(h.Value)
		}
	}
	return message.NewMessage(id, m.Value), nil
}

// onNATS is the same for NATS. JetStream knows a repeat by its id.
type onNATS struct{}

// Marshal implements nats.Marshaler.
func (onNATS) Marshal(subject string, m *message.Message) (*nats.Msg, error) {
	return &nats.Msg{Subject: subject, Data: m.Payload, Header: nats.Header{"content-type": {ContentType}, nats.MsgIdHdr: {m.UUID}}}, nil
}

// Unmarshal implements nats.Unmarshaler.
func (onNATS) Unmarshal(m *nats.Msg) (*message.Message, error) {
	id := m.Header.Get(nats.MsgIdHdr)
	if id == "" {
		id = m.Subject
	}
	return message.NewMessage(id, m.Data), nil
}
