package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"gridcase/domain/event"
	"gridcase/domain/sealed"
	"gridcase/eventlog"
)

// ContentType is that of every message: one CloudEvent 1.0 in structured mode.
const ContentType = "application/cloudevents+json"

// SourceOf makes the source of the envelopes from the log's origin, gridcase.<city>/<deployment>/<incarnation>.
func SourceOf(origin string) string {
	city, rest, _ := strings.Cut(strings.TrimPrefix(origin, "gridcase."), "/")
	deployment, _, _ := strings.Cut(rest, "/")
	return "/gridcase/" + city + "/" + deployment
}

// envelope writes an event as a CloudEvent. It is a function of the event, the source and whether ciphertexts stay, of
// nothing else: no clock, no version of the program, no setting that may change under a relay. Who acted, and the key and digest of the
// request, are not in it.
func envelope(ev eventlog.Event, m event.Meta, source string, ciphertexts bool) ([]byte, error) {
	data := ev.Data
	if !ciphertexts {
		var err error
		if data, err = unsealed(data); err != nil {
			return nil, fmt.Errorf("event %s: %w", ev.ID, err)
		}
	}
	var b bytes.Buffer
	b.Grow(512 + len(data))
	member := func(name, value string) {
		if value == "" {
			return
		}
		q, _ := json.Marshal(value) // a string always has a JSON form
		fmt.Fprintf(&b, `,"%s":%s`, name, q)
	}
	b.WriteString(`{"specversion":"1.0"`)
	member("id", ev.ID.String())
	member("source", source)
	member("type", "gridcase."+ev.Type)
	member("subject", ev.Stream)
	member("time", m.Occurred.UTC().Format("2006-01-02T15:04:05.000Z"))
	member("datacontenttype", "application/json")
	member("position", ev.Position.String())
	member("correlation", m.Correlation.String())
	member("traceparent", m.Trace)
	b.WriteString(`,"data":`)
	b.Write(data)
	b.WriteByte('}')
	return b.Bytes(), nil
}

// unsealed returns an event's data without its sealed fields: members and elements that are ciphertexts are not there at all.
// They are told by their form, so those of types that this program does not know go as well. All else keeps its bytes' meaning
// and its order.
func unsealed(data []byte) ([]byte, error) {
	if !bytes.Contains(data, []byte(sealed.Prefix)) {
		return data, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var b bytes.Buffer
	b.Grow(len(data))
	if _, err := copyUnsealed(d, &b, ""); err != nil {
		return nil, fmt.Errorf("remove sealed fields: %w", err)
	}
	return b.Bytes(), nil
}

// copyUnsealed copies the next value, with what leads to it, unless it is a ciphertext.
func copyUnsealed(d *json.Decoder, b *bytes.Buffer, lead string) (copied bool, err error) {
	t, err := d.Token()
	if err != nil {
		return false, err
	}
	if s, text := t.(string); text && strings.HasPrefix(s, sealed.Prefix) {
		return false, nil
	}
	b.WriteString(lead)
	delim, nested := t.(json.Delim)
	if !nested {
		return true, encode(b, t)
	}
	b.WriteString(delim.String())
	between := ""
	for d.More() {
		lead := between
		if delim == '{' {
			name, err := d.Token()
			if err != nil {
				return false, err
			}
			var n bytes.Buffer
			if err := encode(&n, name); err != nil {
				return false, err
			}
			lead += n.String() + ":"
		}
		if copied, err = copyUnsealed(d, b, lead); err != nil {
			return false, err
		}
		if copied {
			between = ","
		}
	}
	end, err := d.Token()
	if err != nil {
		return false, err
	}
	b.WriteString(end.(json.Delim).String())
	return true, nil
}

// encode writes one value as the log's own encoder does.
func encode(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line feed
	return nil
}
