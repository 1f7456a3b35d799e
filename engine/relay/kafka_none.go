//go:build !kafka

package relay

import (
	"errors"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill/message"
)

// errNoKafka says why this program knows no Kafka: the client brings modules under the MPL-2.0, which nobody gets unasked.
var errNoKafka = errors.New("this program was built without Kafka: build it with the tag kafka (make build TAGS=kafka)")

func kafkaPublisher([]string, *slog.Logger) (message.Publisher, error) { return nil, errNoKafka }

func kafkaSubscriber([]string, string, *slog.Logger) (message.Subscriber, error) {
	return nil, errNoKafka
}
