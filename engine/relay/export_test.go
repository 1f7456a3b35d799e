package relay

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Bug is a mistake that a test plants, to see that it is noticed.
type Bug int

const (
	NoBug     Bug = iota
	Early         // the cursor is stored before the message is sent
	FreshIDs      // each attempt has an id of its own
	Unordered     // no message waits for the one before it in its case
)

// Planting returns the configuration with a bug.
func (c Config) Planting(b Bug) Config {
	c.early, c.freshIDs, c.unordered = b == Early, b == FreshIDs, b == Unordered
	return c
}

// Looking returns the configuration with another time between looks into the book.
func (c Config) Looking(every time.Duration) Config {
	c.look = every
	return c
}

// Dialing returns the configuration with another way to connect.
func (c WebhookConfig) Dialing(dial func(ctx context.Context, network, address string) (net.Conn, error)) WebhookConfig {
	c.dial = dial
	return c
}

// Verify is how a feed looks at what comes in.
func Verify(h http.Header, secrets []Secret, now time.Time, body []byte) (string, error) {
	return verify(h, secrets, now, body)
}

// OnlyPublic is asked before a connection is made.
func OnlyPublic(address string) error { return onlyPublic(address) }

// RetryAfter reads a header.
func RetryAfter(text string, now time.Time) (time.Time, bool) { return retryAfter(text, now) }

// Unsealed returns an event's data without its sealed fields.
func Unsealed(data []byte) ([]byte, error) { return unsealed(data) }

// Cut closes the book without writing what is left, as a crash does.
func (b *Book) Cut() { b.db.Close() }
