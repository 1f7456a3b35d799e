//go:build !kafka

package relay_test

import (
	"strings"
	"testing"

	"gridcase/engine/relay"
)

func TestAProgramBuiltWithoutKafkaSaysSo(t *testing.T) {
	if err := (relay.Broker{Kafka: []string{"127.0.0.1:1"}}).Check(); err == nil || !strings.Contains(err.Error(), "tag kafka") {
		t.Errorf("got %v", err)
	}
	if err := (relay.Broker{NATS: "nats://127.0.0.1:1"}).Check(); err != nil {
		t.Error(err)
	}
}
