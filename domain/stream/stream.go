// Package stream names streams and derives ids. What is here is frozen: names and ids once written are
// read for ever.
//
// An id is never drawn at random where it can be derived: the same request on any node, at any time, leads
// to the same stream and the same event ids, so a repeat is recognised without any table beside the log.
package stream

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// ID is a UUID (RFC 9562). The zero ID means "none".
type ID [16]byte

// Namespace is the UUIDv5 namespace of all derived ids: 3c1f9a52-6d0e-5b7a-9c44-8f2d61e0b5d7.
// It never changes.
var Namespace = ID{0x3c, 0x1f, 0x9a, 0x52, 0x6d, 0x0e, 0x5b, 0x7a, 0x9c, 0x44, 0x8f, 0x2d, 0x61, 0xe0, 0xb5, 0xd7}

// ErrID: the text is no UUID in its canonical form.
var ErrID = errors.New("not an id: want 8-4-4-4-12 lower-case hexadecimal digits")

// Derive returns UUIDv5(Namespace, parts joined by line feeds). Lists of one length do not collide as long as
// no part but the last holds a line feed; every use begins with a word of its own and has one length.
func Derive(parts ...string) ID {
	h := sha1.New()
	h.Write(Namespace[:])
	for i, p := range parts {
		if i > 0 {
			h.Write([]byte{'\n'})
		}
		h.Write([]byte(p))
	}
	var id ID
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}

// IsZero reports whether id is the zero ID.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the canonical text form, "" for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	var b [36]byte
	id.put(b[:])
	return string(b[:])
}

func (id ID) put(b []byte) {
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
}

// ParseID reads the canonical text form. It returns [ErrID] for anything else, upper case included.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' || strings.ToLower(s) != s {
		return ID{}, ErrID
	}
	plain := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	if _, err := hex.Decode(id[:], []byte(plain)); err != nil {
		return ID{}, ErrID
	}
	return id, nil
}

// MarshalText writes the canonical form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the canonical form; empty text is the zero ID.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	got, err := ParseID(string(b))
	*id = got
	return err
}

// Prefix begins the name of every stream of ours.
const Prefix = "gridcase."

// Category is the kind of a stream: the word after the prefix.
type Category string

// The categories. A satellite issue adds its own; none is ever renamed.
const (
	Demand    Category = "demand"
	Topic     Category = "topic"
	Order     Category = "order"
	Dispute   Category = "dispute"
	Whistle   Category = "whistle"
	Admission Category = "admission"
	Duties    Category = "duties"   // gridcase.duties-<publishing unit code>
	Gate      Category = "gate"     // gridcase.gate-<target unit code>
	Calendar  Category = "calendar" // gridcase.calendar-cn
	Unit      Category = "unit"
	Grids     Category = "grids"
	Actor     Category = "actor"
	Access    Category = "access"
	Number    Category = "numbers"
	Policy    Category = "policy"
	Node      Category = "node" // gridcase.node-<node>: what a running program says about itself
	Log       Category = "integrity"

	Scheme     Category = "scheme"
	Period     Category = "period"
	Evaluation Category = "evaluation" // of one unit by one street for one period
)

// Name is the name of a stream: "gridcase.demand-<uuid>", "gridcase.unit-<code>".
type Name string

// Of names the stream of a demand, topic or order.
func Of(c Category, id ID) Name { return Name(Prefix + string(c) + "-" + id.String()) }

// Keyed names a stream by its rule, such as a unit's by its code: appended with "expect none" it exists once.
func Keyed(c Category, key string) Name { return Name(Prefix + string(c) + "-" + key) }

// Category returns the word between prefix and key, "" for a foreign stream.
func (n Name) Category() Category {
	rest, ours := strings.CutPrefix(string(n), Prefix)
	if !ours {
		return ""
	}
	c, _, _ := strings.Cut(rest, "-")
	return Category(c)
}

// Key returns what follows the category.
func (n Name) Key() string {
	_, key, _ := strings.Cut(string(n), "-")
	return key
}

// ID returns the id in the name of a demand's, topic's or order's stream, and the zero ID for any other.
func (n Name) ID() ID {
	if n.Category() == "" {
		return ID{}
	}
	id, err := ParseID(n.Key())
	if err != nil {
		return ID{}
	}
	return id
}

// DemandFor returns the id of the demand that arrives through channel under ref: the number the channel
// itself gave it, or who sent it and the idempotency key, with a stroke between.
func DemandFor(channel, ref string) ID { return Derive("demand", channel, ref) }

// For returns the id of a topic, or of anything else that a person creates under an idempotency key.
func For(c Category, actor, key string) ID { return Derive(string(c), actor, key) }

// PeriodOf returns the id of the period that a scheme is applied to in a jurisdiction from the first to the last day, so
// that there is one such period at most.
func PeriodOf(jurisdiction string, scheme ID, first, last string) ID {
	return Derive(string(Period), jurisdiction, scheme.String(), first, last)
}

// EvaluationOf returns the id of what a street says of a unit for a period, so that there is one such stream at most.
func EvaluationOf(period ID, street, unit string) ID {
	return Derive(string(Evaluation), period.String(), street, unit)
}

// CausedBy returns the id of the n-th thing of a category that the event makes necessary.
func CausedBy(c Category, event ID, n int) ID {
	return Derive(string(c), "by", event.String(), strconv.Itoa(n))
}

// Event returns the id of the index-th event that the request with this key writes to the stream.
func Event(n Name, key string, index int) ID {
	return Derive("event", string(n), strconv.Itoa(index), key)
}
