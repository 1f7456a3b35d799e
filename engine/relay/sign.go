package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Secret is a key of Standard Webhooks 1.0.0: "whsec_" and the base64 of 24 to 64 bytes. It prints as nothing.
type Secret struct{ key []byte }

// ParseSecret reads a secret.
func ParseSecret(s string) (Secret, error) {
	text, ours := strings.CutPrefix(strings.TrimSpace(s), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ours || err != nil || len(key) < 24 || len(key) > 64 { // the error would quote the secret
		return Secret{}, errors.New(`a secret is "whsec_" and the base64 of 24 to 64 bytes`)
	}
	return Secret{key}, nil
}

// Format hides the secret from every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[secret]") }

// The headers of Standard Webhooks.
const (
	headerID        = "webhook-id"
	headerTime      = "webhook-timestamp"
	headerSignature = "webhook-signature"
)

// tolerance is how far the clocks of sender and receiver may be apart, and how old a message may be.
const tolerance = 5 * time.Minute

func (s Secret) mac(id, at string, body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(id + "." + at + "."))
	h.Write(body)
	return h.Sum(nil)
}

// sign sets the headers of a message. While a secret is being replaced there are two, and a signature by each.
func sign(h http.Header, secrets []Secret, id string, at time.Time, body []byte) {
	seconds := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(s.mac(id, seconds, body))
	}
	h.Set(headerID, id)
	h.Set(headerTime, seconds)
	h.Set(headerSignature, strings.Join(signatures, " "))
}

// verify returns the id of a message that one of the secrets has signed, not long ago.
func verify(h http.Header, secrets []Secret, now time.Time, body []byte) (string, error) {
	id, at := h.Get(headerID), h.Get(headerTime)
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" {
		return "", errors.New("webhook-id or webhook-timestamp is missing")
	}
	if d := now.Sub(time.Unix(seconds, 0)); d > tolerance || d < -tolerance {
		return "", errors.New("webhook-timestamp is more than 5 minutes away")
	}
	for _, one := range strings.Fields(h.Get(headerSignature)) {
		text, v1 := strings.CutPrefix(one, "v1,")
		got, err := base64.StdEncoding.DecodeString(text)
		if !v1 || err != nil {
			continue
		}
		for _, s := range secrets {
			if hmac.Equal(got, s.mac(id, at, body)) {
				return id, nil
			}
		}
	}
	return "", errors.New("no signature fits")
}
