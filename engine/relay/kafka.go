//go:build kafka

package relay

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// errNoKafka is nil: this program knows Kafka.
var errNoKafka error

func kafkaPublisher(brokers []string, logger *slog.Logger) (message.Publisher, error) {
	return kafka.NewPublisher(kafka.PublisherConfig{Brokers: brokers, Marshaler: onKafka{}, OverwriteSaramaConfig: kafkaConfig()}, quiet{logger})
}

func kafkaSubscriber(brokers []string, group string, logger *slog.Logger) (message.Subscriber, error) {
	c := kafkaConfig()
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Return.Errors = true
	return kafka.NewSubscriber(kafka.SubscriberConfig{Brokers: brokers, ConsumerGroup: group, Unmarshaler: onKafka{}, OverwriteSaramaConfig: c,
		NackResendSleep: 5 * time.Second}, quiet{logger})
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
