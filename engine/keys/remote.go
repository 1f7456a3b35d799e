package keys

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// Remote says where a [Service] is, and by what this node and the service know each other.
type Remote struct {
	URL string // https://HOST:PORT
	Certificates
	// Observe is told each question and what came of it: done, unknown, erased or away. It must not block; nil: nobody watches.
	Observe func(question, outcome string)
}

// How long a node waits for the service. A look whether it is there is for nobody's request, and gives up sooner.
const (
	patience = 5 * time.Second
	glance   = 2 * time.Second
)

// remote asks a service.
type remote struct {
	base    string
	client  *http.Client
	observe func(question, outcome string)
	batch   string // of keys that were asked for and have not come: see make
	home    string // what the service says of itself, since it gave the index key
}

// Dial asks a key service for the index key and a pool of keys. Nothing of it is ever on this machine's disk. The error says in the words of the
// settings what is wrong with address or certificates; it is an [ErrAway] if nobody answers.
func Dial(ctx context.Context, r Remote) (*Store, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, fmt.Errorf("the key service is given as https://HOST:PORT, not as %q", r.URL)
	}
	if u.Scheme != "https" {
		return nil, fmt.Errorf("the key service is asked over https:// alone, not as %q: keys do not travel in the clear", r.URL)
	}
	own, service, err := r.load()
	if err != nil {
		return nil, err
	}
	k := &remote{base: "https://" + u.Host + "/v1/", observe: r.Observe}
	if k.observe == nil {
		k.observe = func(string, string) {}
	}
	k.client = &http.Client{
		Transport: &http.Transport{ // no proxy of the environment: keys go nowhere else
			DialContext:         (&net.Dialer{Timeout: glance}).DialContext,
			TLSHandshakeTimeout: glance, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: service,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own() }}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return newStore(ctx, k)
}

// ask asks one question. What is no answer of a service is [ErrAway], whatever its status.
func ask[A any](ctx context.Context, k *remote, name string, q any) (a A, err error) {
	defer func() {
		switch {
		case err == nil:
			k.observe(name, "done")
		case errors.Is(err, ErrUnknown):
			k.observe(name, "unknown")
		case errors.Is(err, ErrErased):
			k.observe(name, "erased")
		default:
			k.observe(name, "away")
		}
	}()
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	wait := patience
	if name == "assigned" {
		wait = glance
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.base+name, bytes.NewReader(body))
	if err != nil {
		return a, away(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header["Idempotency-Key"] = nil // not sent; lets the transport ask again where a kept connection was closed meanwhile
	answer, err := k.client.Do(r)
	if err != nil {
		return a, away(explain(err))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostBody+1))
	if err != nil {
		return a, away(explain(err))
	}
	ours := answer.Header.Get("Content-Type") == "application/json" && len(text) <= mostBody
	if at := answer.Header.Get(homeHeader); ours && k.home != "" && at != k.home {
		return a, fmt.Errorf("%w: the key service has another folder than when this node started", ErrAway)
	}
	if answer.StatusCode == http.StatusOK && ours {
		if err := json.Unmarshal(text, &a); err != nil {
			return a, away(err)
		}
		return a, nil
	}
	var fault sayFault
	if !ours || json.Unmarshal(text, &fault) != nil {
		return a, fmt.Errorf("%w: what answers at %s is no key service: %s", ErrAway, k.base, answer.Status)
	}
	switch fault.Error {
	case "unknown":
		return a, fmt.Errorf("key service: %w", ErrUnknown)
	case "erased":
		return a, fmt.Errorf("key service: %w", ErrErased)
	}
	return a, fmt.Errorf("%w: it says %s", ErrAway, fault.Detail)
}

// explain says what is wrong with a connection in the words of the settings.
func explain(err error) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var network *net.OpError
	switch {
	case errors.As(err, &authority):
		return fmt.Errorf("the service's certificate is not of the authority in --keys-ca: %w", err)
	case errors.As(err, &name):
		return fmt.Errorf("the service's certificate does not name the host in --keys: %w", err)
	case errors.As(err, &invalid):
		return fmt.Errorf("the service's certificate is not valid: %w", err)
	case strings.Contains(err.Error(), "remote error: tls:") && strings.Contains(err.Error(), "certificate"):
		return fmt.Errorf("the service does not take this node's certificate, --keys-cert: %w", err)
	case errors.As(err, &network) && network.Op != "dial": // it can be cut off before it has said why
		return fmt.Errorf("the connection broke; if it always does, the service does not take this node's certificate, --keys-cert: %w", err)
	}
	return err
}

func (w wireKey) key() (Key, error) {
	k := Key{ID: w.ID}
	if w.ID == "" || len(w.Key) != len(k.dek) {
		return Key{}, fmt.Errorf("%w: an answer without a key", ErrAway)
	}
	copy(k.dek[:], w.Key)
	return k, nil
}

func (k *remote) secret(ctx context.Context) ([32]byte, error) {
	w, err := ask[wireKey](ctx, k, "secret", nothing{})
	if err != nil {
		return [32]byte{}, err
	}
	index, err := w.key()
	if err == nil {
		k.home = homeOf(index.dek)
	}
	return index.dek, err
}

// make asks for a batch by a name of its own. Whatever became of the answer, the keys of the batch are these, once; so a node that asks again
// and again while answers are lost makes no more of them. Only one caller at a time.
func (k *remote) make(ctx context.Context, n int) ([]Key, error) {
	if k.batch == "" {
		k.batch = rand.Text()
	}
	a, err := ask[sayMade](ctx, k, "make", askMake{Batch: k.batch, Count: n})
	if err != nil {
		return nil, err
	}
	if len(a.Keys) == 0 || len(a.Keys) > n {
		k.batch = "" // not asked for again: the answer would be the same
		return nil, fmt.Errorf("%w: asked for %d keys it gave %d", ErrAway, n, len(a.Keys))
	}
	made := make([]Key, len(a.Keys))
	for i, w := range a.Keys {
		if made[i], err = w.key(); err != nil {
			return nil, err
		}
	}
	k.batch = ""
	return made, nil
}

func (k *remote) giveBack(ctx context.Context, unused []Key) error {
	q := askBack{Keys: make([]string, len(unused))}
	for i, u := range unused {
		q.Keys[i] = u.ID
	}
	_, err := ask[nothing](ctx, k, "back", q)
	return err
}

func (k *remote) get(ctx context.Context, id string) (Key, error) {
	w, err := ask[wireKey](ctx, k, "get", askGet{id})
	if err != nil {
		return Key{}, fmt.Errorf("key %s: %w", id, err)
	}
	got, err := w.key()
	if err == nil && got.ID != id {
		return Key{}, fmt.Errorf("%w: asked for the key %s it gave %s", ErrAway, id, got.ID)
	}
	return got, err
}

func (k *remote) find(ctx context.Context, n stream.Name, part string) (Key, bool, error) {
	w, err := ask[sayFound](ctx, k, "find", askFind{n, part})
	if err != nil || !w.Found {
		return Key{}, false, err
	}
	got, err := w.key()
	return got, true, err
}

func (k *remote) assigned(ctx context.Context) (eventlog.Position, error) {
	a, err := ask[sayAssigned](ctx, k, "assigned", nothing{})
	return a.Position, err
}

// assign tells uses in parts; the position is claimed with the last, so that a part that is lost claims nothing.
func (k *remote) assign(ctx context.Context, uses []Use, after, upTo eventlog.Position) (lacked []Use, err error) {
	for {
		some := uses[:min(len(uses), mostUses)]
		q := askAssign{After: after, Uses: make([]wireUse, len(some))}
		for i, u := range some {
			q.Uses[i] = wireUse(u)
		}
		if len(some) == len(uses) {
			q.UpTo = upTo
		}
		a, err := ask[sayLacked](ctx, k, "assign", q)
		if err != nil {
			return nil, err
		}
		for _, i := range a.Lacked {
			if i < 0 || i >= len(some) {
				return nil, fmt.Errorf("%w: it lacks a key that was not named", ErrAway)
			}
			lacked = append(lacked, some[i])
		}
		if uses = uses[len(some):]; len(uses) > 0 {
			continue
		}
		if a.Gap {
			return lacked, ErrGap
		}
		return lacked, nil
	}
}

func (k *remote) restart(ctx context.Context) error {
	_, err := ask[nothing](ctx, k, "restart", nothing{})
	return err
}

// sweep does nothing: what was lent is nobody's to drop but the borrower's.
func (k *remote) sweep(context.Context) error { return nil }

func (k *remote) service(ctx context.Context, name, offered string) (string, error) {
	a, err := ask[sayService](ctx, k, "service", askService{name, offered})
	return a.Private, err
}

func (k *remote) close() error {
	k.client.CloseIdleConnections()
	return nil
}
