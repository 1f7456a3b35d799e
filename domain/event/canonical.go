package event

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gridcase/domain/sealed"
)

// What this program wrote it can read without asking what comes next: members stand in declared order, absent
// ones are left out, nothing is between them. decodeCanonical reads such bytes, several times as fast as the
// general decoder; at the first byte that is not as expected it gives up and the general decoder reads all of it.
// Both give the same value for whatever the fast one accepts (FuzzCanonical).

// decodeCanonical decodes data into the struct that v is, and reports whether it could.
func decodeCanonical(data []byte, v reflect.Value) bool {
	p := parser{rest: data}
	planOf(v.Type()).read(&p, v)
	return !p.failed && len(p.rest) == 0
}

// plan reads one type.
type plan interface {
	read(p *parser, v reflect.Value)
}

var plans sync.Map // reflect.Type → plan

func planOf(t reflect.Type) plan {
	if known, ok := plans.Load(t); ok {
		return known.(plan)
	}
	made := makePlan(t)
	plans.Store(t, made)
	return made
}

func makePlan(t reflect.Type) plan {
	switch {
	case t == reflect.TypeFor[sealed.Text]():
		return sealedPlan{}
	case t == reflect.TypeFor[time.Time]():
		return timePlan{}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return generalPlan{}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return textPlan{}
	}
	switch t.Kind() {
	case reflect.String:
		return stringPlan{}
	case reflect.Bool:
		return boolPlan{}
	case reflect.Int, reflect.Int64:
		return intPlan{}
	case reflect.Pointer:
		return pointerPlan{planOf(t.Elem()), t.Elem()}
	case reflect.Slice:
		return slicePlan{planOf(t.Elem()), t}
	case reflect.Struct:
		return structOf(t)
	}
	return generalPlan{}
}

// member is one member of a struct: `"name":` and what may stand behind it.
type member struct {
	key   string
	field int
	plan  plan
}

type structPlan []member

// structOf plans a struct whose members all have names; any other is left to the general decoder.
func structOf(t reflect.Type) plan {
	var s structPlan
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "" || name == "-" {
			return generalPlan{}
		}
		s = append(s, member{`"` + name + `":`, i, planOf(f.Type)})
	}
	return s
}

func (s structPlan) read(p *parser, v reflect.Value) {
	p.expect("{")
	first := true
	for _, m := range s {
		key := m.key
		rest := p.rest
		if !first {
			if len(rest) == 0 || rest[0] != ',' {
				break
			}
			rest = rest[1:]
		}
		if len(rest) < len(key) || string(rest[:len(key)]) != key {
			continue
		}
		p.rest, first = rest[len(key):], false
		if m.plan.read(p, v.Field(m.field)); p.failed {
			return
		}
	}
	p.expect("}")
}

type slicePlan struct {
	element plan
	t       reflect.Type
}

func (s slicePlan) read(p *parser, v reflect.Value) {
	if len(p.rest) > 0 && p.rest[0] == 'n' {
		p.expect("null")
		return
	}
	p.expect("[")
	if p.failed {
		return
	}
	out := reflect.MakeSlice(s.t, 0, 4)
	if len(p.rest) > 0 && p.rest[0] == ']' {
		p.rest = p.rest[1:]
		v.Set(out)
		return
	}
	zero := reflect.Zero(s.t.Elem())
	for {
		out = reflect.Append(out, zero)
		if s.element.read(p, out.Index(out.Len()-1)); p.failed {
			return
		}
		if len(p.rest) == 0 || p.rest[0] != ',' {
			break
		}
		p.rest = p.rest[1:]
	}
	p.expect("]")
	v.Set(out)
}

type pointerPlan struct {
	element plan
	t       reflect.Type
}

func (s pointerPlan) read(p *parser, v reflect.Value) {
	made := reflect.New(s.t)
	s.element.read(p, made.Elem())
	v.Set(made)
}

// quoted reads a string without escapes.
func (p *parser) quoted() []byte {
	p.expect(`"`)
	if p.failed {
		return nil
	}
	for i, b := range p.rest {
		switch {
		case b == '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			if !utf8.Valid(s) {
				p.failed = true
			}
			return s
		case b == '\\' || b < 0x20:
			p.failed = true
			return nil
		}
	}
	p.failed = true
	return nil
}

type stringPlan struct{}

func (stringPlan) read(p *parser, v reflect.Value) { v.SetString(string(p.quoted())) }

type sealedPlan struct{}

func (sealedPlan) read(p *parser, v reflect.Value) {
	s := string(p.quoted())
	if s != "" && !strings.HasPrefix(s, sealed.Prefix) {
		p.failed = true
		return
	}
	*v.Addr().Interface().(*sealed.Text) = sealed.Cipher(s)
}

type timePlan struct{}

func (timePlan) read(p *parser, v reflect.Value) {
	s := p.quoted()
	t, ok := parseInstant(s)
	if !ok {
		p.failed = true
		return
	}
	*v.Addr().Interface().(*time.Time) = t
}

type textPlan struct{}

func (textPlan) read(p *parser, v reflect.Value) {
	s := p.quoted()
	if p.failed {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(s); err != nil {
		p.failed = true
	}
}

type boolPlan struct{}

func (boolPlan) read(p *parser, v reflect.Value) {
	if len(p.rest) > 0 && p.rest[0] == 't' {
		p.expect("true")
		v.SetBool(true)
		return
	}
	p.expect("false")
}

type intPlan struct{}

func (intPlan) read(p *parser, v reflect.Value) {
	i, n, negative := 0, int64(0), false
	if len(p.rest) > 0 && p.rest[0] == '-' {
		negative, i = true, 1
	}
	first := i
	for i < len(p.rest) && i < first+18 && p.rest[i] >= '0' && p.rest[i] <= '9' {
		n = n*10 + int64(p.rest[i]-'0')
		i++
	}
	if i == first || p.rest[first] == '0' && i > first+1 || i < len(p.rest) && p.rest[i] >= '0' && p.rest[i] <= '9' {
		p.failed = true
		return
	}
	if negative {
		n = -n
	}
	p.rest = p.rest[i:]
	v.SetInt(n)
}

// generalPlan gives up: the general decoder knows what to do with such a type.
type generalPlan struct{}

func (generalPlan) read(p *parser, _ reflect.Value) { p.failed = true }
