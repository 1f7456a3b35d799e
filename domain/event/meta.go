package event

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
)

// Meta is what every event carries beside its body. Its members are stored in this order; the salt comes
// first because the leaf of the event finds it there by its bytes alone.
type Meta struct {
	Salt        [16]byte      // random; hides the payload's digest from guessing
	Actor       string        // opaque id of the person or program that acted
	Role        orgs.Role     // as what
	Unit        orgs.UnitCode // for which unit
	Second      *rule.Actor   // who confirmed, where two are needed
	Key         string        // idempotency key of the request
	Index       int           // of the event within that request
	Digest      string        // keyed digest of the command: tells a repeat from a reused key
	Correlation stream.ID     // the case
	Causation   stream.ID     // the event that made this one necessary; zero for what a person began
	Occurred    time.Time     // when it happened, UTC, milliseconds
	Recorded    time.Time     // our clock when it was decided, UTC, milliseconds
	Stage       string        // of a demand, after the event
	Schema      int           // of this metadata: 1
	Trace       string        // W3C traceparent of the request
	Program     string        // version of the program
}

// Stamp is the part of the metadata that the rules may know.
func (m Meta) Stamp(id stream.ID) rule.Stamp {
	return rule.Stamp{Event: id, Actor: rule.Actor{ID: m.Actor, Role: m.Role, Unit: m.Unit}, Second: m.Second,
		Occurred: m.Occurred, Recorded: m.Recorded}
}

const instant = "2006-01-02T15:04:05.000Z"

// EncodeMeta returns the stored bytes: JSON, members in declared order, absent ones left out.
func EncodeMeta(m Meta) []byte {
	b := make([]byte, 0, 448)
	b = append(b, `{"salt":"`...)
	b = base64.StdEncoding.AppendEncode(b, m.Salt[:])
	b = append(b, '"')
	member := func(name, value string) {
		if value == "" {
			return
		}
		b = append(b, `,"`...)
		b = append(b, name...)
		b = append(b, `":`...)
		b = appendString(b, value)
	}
	number := func(name string, n int) {
		if n != 0 {
			b = fmt.Appendf(b, `,"%s":%d`, name, n)
		}
	}
	member("actor", m.Actor)
	member("role", string(m.Role))
	member("unit", string(m.Unit))
	if m.Second != nil {
		member("second", m.Second.ID)
		member("second_role", string(m.Second.Role))
		member("second_unit", string(m.Second.Unit))
	}
	member("key", m.Key)
	number("index", m.Index)
	member("digest", m.Digest)
	member("correlation", m.Correlation.String())
	member("causation", m.Causation.String())
	member("occurred_at", m.Occurred.UTC().Format(instant))
	member("recorded_at", m.Recorded.UTC().Format(instant))
	member("stage", m.Stage)
	number("schema", m.Schema)
	member("traceparent", m.Trace)
	member("program", m.Program)
	return append(b, '}')
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			q, _ := json.Marshal(s)
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// stored is the shape of the stored metadata for the general decoder.
type stored struct {
	Salt        []byte        `json:"salt"`
	Actor       string        `json:"actor"`
	Role        orgs.Role     `json:"role"`
	Unit        orgs.UnitCode `json:"unit"`
	Second      string        `json:"second"`
	SecondRole  orgs.Role     `json:"second_role"`
	SecondUnit  orgs.UnitCode `json:"second_unit"`
	Key         string        `json:"key"`
	Index       int           `json:"index"`
	Digest      string        `json:"digest"`
	Correlation stream.ID     `json:"correlation"`
	Causation   stream.ID     `json:"causation"`
	Occurred    time.Time     `json:"occurred_at"`
	Recorded    time.Time     `json:"recorded_at"`
	Stage       string        `json:"stage"`
	Schema      int           `json:"schema"`
	Trace       string        `json:"traceparent"`
	Program     string        `json:"program"`
}

// DecodeMeta reads stored metadata. Bytes in the form [EncodeMeta] writes take a fast path without
// reflection; any other JSON of the same members is read by the general decoder, with the same result.
func DecodeMeta(data []byte) (Meta, error) {
	if m, ok := canonical(data); ok {
		return m, nil
	}
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return Meta{}, fmt.Errorf("decode metadata: %w", err)
	}
	m := Meta{Actor: s.Actor, Role: s.Role, Unit: s.Unit, Key: s.Key, Index: s.Index, Digest: s.Digest,
		Correlation: s.Correlation, Causation: s.Causation, Occurred: s.Occurred.UTC(), Recorded: s.Recorded.UTC(),
		Stage: s.Stage, Schema: s.Schema, Trace: s.Trace, Program: s.Program}
	if len(s.Salt) != 0 && copy(m.Salt[:], s.Salt) != 16 {
		return Meta{}, errors.New("decode metadata: the salt has not 16 bytes")
	}
	if s.Second != "" {
		m.Second = &rule.Actor{ID: s.Second, Role: s.SecondRole, Unit: s.SecondUnit}
	}
	return m, nil
}

// canonical reads the members in their order and gives up at the first byte that is not as expected.
func canonical(data []byte) (m Meta, ok bool) {
	p := parser{rest: data}
	p.expect(`{"salt":"`)
	salt := p.until('"')
	if len(salt) != 24 { // a longer one would not fit
		return m, false
	}
	if n, err := base64.StdEncoding.Strict().Decode(p.salt[:], salt); err != nil || n != 16 {
		return m, false
	}
	copy(m.Salt[:], p.salt[:16])
	var second rule.Actor
	m.Actor = p.text("actor")
	m.Role = orgs.Role(p.text("role"))
	m.Unit = orgs.UnitCode(p.text("unit"))
	second.ID = p.text("second")
	second.Role = orgs.Role(p.text("second_role"))
	second.Unit = orgs.UnitCode(p.text("second_unit"))
	if second.ID != "" {
		m.Second = &second
	}
	m.Key = p.text("key")
	m.Index = p.number("index")
	m.Digest = p.text("digest")
	m.Correlation = p.id("correlation")
	m.Causation = p.id("causation")
	m.Occurred = p.instant("occurred_at")
	m.Recorded = p.instant("recorded_at")
	m.Stage = p.text("stage")
	m.Schema = p.number("schema")
	m.Trace = p.text("traceparent")
	m.Program = p.text("program")
	p.expect("}")
	return m, !p.failed && len(p.rest) == 0
}

// parser walks canonical JSON. After a failure it does nothing.
type parser struct {
	rest   []byte
	salt   [18]byte
	failed bool
}

func (p *parser) expect(s string) {
	if p.failed || len(p.rest) < len(s) || string(p.rest[:len(s)]) != s {
		p.failed = true
		return
	}
	p.rest = p.rest[len(s):]
}

// until returns the bytes before the next c and moves behind it; escapes end the fast path.
func (p *parser) until(c byte) []byte {
	for i, b := range p.rest {
		switch {
		case b == c:
			v := p.rest[:i]
			p.rest = p.rest[i+1:]
			return v
		case b == '\\' || b >= 0x80 || b < 0x20:
			p.failed = true
			return nil
		}
	}
	p.failed = true
	return nil
}

// member moves behind `,"name":` if that is what follows.
func (p *parser) member(name string) bool {
	n := len(name) + 4
	if p.failed || len(p.rest) < n || p.rest[0] != ',' || p.rest[1] != '"' ||
		string(p.rest[2:2+len(name)]) != name || p.rest[n-2] != '"' || p.rest[n-1] != ':' {
		return false
	}
	p.rest = p.rest[n:]
	return true
}

func (p *parser) text(name string) string {
	if !p.member(name) {
		return ""
	}
	p.expect(`"`)
	v := string(p.until('"'))
	if v == "" {
		p.failed = true // absent members are left out, never empty
	}
	return v
}

func (p *parser) number(name string) int {
	if !p.member(name) {
		return 0
	}
	n, i := 0, 0
	for i < len(p.rest) && i < 9 && p.rest[i] >= '0' && p.rest[i] <= '9' {
		n = n*10 + int(p.rest[i]-'0')
		i++
	}
	if i == 0 || n == 0 || p.rest[0] == '0' {
		p.failed = true
	}
	p.rest = p.rest[i:]
	return n
}

func (p *parser) id(name string) stream.ID {
	v := p.text(name)
	if v == "" {
		return stream.ID{}
	}
	id, err := stream.ParseID(v)
	if err != nil {
		p.failed = true
	}
	return id
}

func (p *parser) instant(name string) time.Time {
	if !p.member(name) {
		return time.Time{}
	}
	p.expect(`"`)
	v := p.until('"')
	t, ok := parseInstant(v)
	if !ok {
		p.failed = true
	}
	return t
}

// parseInstant reads "2006-01-02T15:04:05Z", with or without three digits of milliseconds, exactly so.
func parseInstant(v []byte) (time.Time, bool) {
	ms := 0
	n := func(from, to int) int {
		x := 0
		for _, c := range v[from:to] {
			if c < '0' || c > '9' {
				return -1
			}
			x = x*10 + int(c-'0')
		}
		return x
	}
	switch {
	case len(v) == len(instant) && v[19] == '.' && v[23] == 'Z':
		ms = n(20, 23)
	case len(v) == len("2006-01-02T15:04:05Z") && v[19] == 'Z':
	default:
		return time.Time{}, false
	}
	if v[4] != '-' || v[7] != '-' || v[10] != 'T' || v[13] != ':' || v[16] != ':' {
		return time.Time{}, false
	}
	y, mo, d, h, mi, s := n(0, 4), n(5, 7), n(8, 10), n(11, 13), n(14, 16), n(17, 19)
	if y < 1 || mo < 1 || mo > 12 || d < 1 || h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 59 || ms < 0 {
		return time.Time{}, false
	}
	t := time.Date(y, time.Month(mo), d, h, mi, s, ms*1e6, time.UTC)
	return t, t.Day() == d
}
