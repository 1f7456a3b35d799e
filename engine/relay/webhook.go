package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Webhook hands messages to a URL by POST, signed as Standard Webhooks 1.0.0 says. It implements [message.Publisher].
//
// A 2xx answer takes the message; 410 is [ErrGone]; 429 and 503 with Retry-After are [Later]; everything else is a failure,
// redirects among it. Of the answer's body at most 64 KiB are read, and nothing is kept.
type Webhook struct {
	url     string
	secrets []Secret
	client  *http.Client
	now     func() time.Time
}

// WebhookConfig says where a webhook goes.
type WebhookConfig struct {
	URL     string        // https, unless its host is allowed
	Secrets []Secret      // at least one; with two the receiver may take either
	Allow   []string      // hosts that may be in the own network, by name as in the URL
	Timeout time.Duration // of one attempt, the answer's body included; 0: 15 s

	dial func(ctx context.Context, network, address string) (net.Conn, error) // of a test
}

// NewWebhook checks the configuration; nothing is sent.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("url: it is no address of a webhook") // an address may hold a secret: it is not quoted
	}
	allowed := slices.ContainsFunc(c.Allow, func(name string) bool { return strings.EqualFold(name, u.Hostname()) })
	if u.Scheme != "https" && !(u.Scheme == "http" && allowed) {
		return nil, errors.New("url: it must begin with https://, unless its host is allowed by name")
	}
	if len(c.Secrets) == 0 {
		return nil, errors.New("secrets: at least one is needed")
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Second
	}
	dial := c.dial
	if dial == nil {
		d := &net.Dialer{Timeout: min(c.Timeout, 10*time.Second)}
		if !allowed {
			d.Control = func(_, address string, _ syscall.RawConn) error { return onlyPublic(address) }
		}
		dial = d.DialContext
	}
	// No proxy of the environment: it would connect to where we do not.
	transport := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 32, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true}
	return &Webhook{url: c.URL, secrets: c.Secrets, now: time.Now, client: &http.Client{Transport: transport, Timeout: c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// onlyPublic refuses to connect to an address that is not public. It is asked with the address that is about to be connected to, after
// the name was resolved, so that no answer of a name server leads into the own network.
func onlyPublic(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !public(at.Addr()) {
		return errors.New("the host has no public address; allow it by name if it is meant")
	}
	return nil
}

// reserved are the networks that no host of the public internet has its address in, beside those that the standard library
// tells. Source: the IANA special-purpose address registries for IPv4 and IPv6. Those that carry an IPv4 address within lead wherever that one does.
var reserved = func() (all []netip.Prefix) {
	for _, p := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10"} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}()

func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Publish implements [message.Publisher].
func (w *Webhook) Publish(_ string, ms ...*message.Message) error {
	for _, m := range ms {
		if err := w.post(m); err != nil {
			return err
		}
	}
	return nil
}

func (w *Webhook) post(m *message.Message) error {
	r, err := http.NewRequestWithContext(m.Context(), http.MethodPost, w.url, bytes.NewReader(m.Payload))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", ContentType)
	r.Header.Set("User-Agent", "gridcase")
	sign(r.Header, w.secrets, m.UUID, w.now(), m.Payload)
	answer, err := w.client.Do(r)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) { // it quotes the whole address, which may hold a secret
			err = where.Err
		}
		if m.Context().Err() != nil {
			return err
		}
		return &NoAnswer{err}
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can be used again; what it says decides nothing
	said := fmt.Errorf("the destination answered %d", answer.StatusCode)
	switch code := answer.StatusCode; {
	case code >= 200 && code <= 299:
		return nil
	case code == http.StatusGone:
		return fmt.Errorf("%w: %w", said, ErrGone)
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		if until, given := retryAfter(answer.Header.Get("Retry-After"), w.now()); given {
			return &Later{Until: until, Why: said.Error()}
		}
	}
	return said
}

// retryAfter reads seconds or a date (RFC 9110).
func retryAfter(text string, now time.Time) (time.Time, bool) {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return now.Add(time.Duration(n) * time.Second), true
	}
	if at, err := http.ParseTime(text); err == nil {
		return at, true
	}
	return time.Time{}, false
}

// Close implements [message.Publisher].
func (w *Webhook) Close() error {
	w.client.CloseIdleConnections()
	return nil
}
