//go:build !kafka

package relay

import (
	"errors"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill/message"
)

// kafkaBuilt says why this program knows no Kafka: the client brings modules under the MPL-2.0, which nobody gets unasked.
var kafkaBuilt = errors.New("this program was built without Kafka: build it with the tag kafka (make build TAGS=kafka)")

func kafkaPublisher([]string, *slog.Logger) (message.Publisher, error) { return nil, kafkaBuilt }

func kafkaSubscriber([]string, string, *slog.Logger) (message.Subscriber, error) {
	return nil, kafkaBuilt
}
