package api

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"gridcase/domain/catalogue"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
)

// maxDepth is how deep a body may be nested.
const maxDepth = 32

// personal is text of or about a resident on its way from the body to [sealed.Clear]. It never prints.
type personal string

// Format hides the text from every verb of fmt.
func (personal) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[sealed]") }

func (p personal) seal() sealed.Text { return sealed.Clear(string(p)) }

// shape says how JSON becomes a value of a type, and within which bounds. It is made once for each type of
// body, from the tags that the OpenAPI description is made from: json, minLength, maxLength, minimum, maximum,
// minItems, maxItems, enum, format. A member without omitempty or omitzero must be there. The tag long lets line
// breaks and tabs through.
type shape struct {
	kind    kind
	members map[string]*member // of an object
	need    []string           // members that must be there, in declared order
	elem    *shape             // of an array or pointer

	min, max   int // characters of a text, entries of an array
	low, high  float64
	words      []string
	format     string
	long       bool
	verbatim   bool // not free text: neither normalised nor trimmed
	underlying reflect.Type
}

type kind int

const (
	object kind = iota
	array
	pointer
	text
	boolean
	integer
	fraction
	instant // RFC 3339 with an offset
	parsed  // encoding.TextUnmarshaler
	lexicon // an object of texts whose members have any name
	raw     // any value, kept as it is
)

type member struct {
	index []int
	shape *shape
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	rawType         = reflect.TypeFor[json.RawMessage]()
	publicType      = reflect.TypeFor[sealed.Public]()
	unmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func shapeOf(t reflect.Type, tag reflect.StructTag) *shape {
	s := &shape{max: math.MaxInt32, low: math.Inf(-1), high: math.Inf(1), format: tag.Get("format"), long: tag.Get("long") == "true", underlying: t}
	number := func(name string, into *float64) {
		if v := tag.Get(name); v != "" {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				panic("api: tag " + name + ":" + v) // a fault of the program, found when the server is made
			}
			*into = n
		}
	}
	count := func(name string, into *int) {
		n := float64(*into)
		number(name, &n)
		*into = int(n)
	}
	number("minimum", &s.low)
	number("maximum", &s.high)
	if v := tag.Get("enum"); v != "" {
		s.words = strings.Split(v, ",")
	}
	s.verbatim = s.words != nil || s.format != ""
	switch {
	case t == timeType:
		s.kind = instant
	case t == rawType:
		s.kind = raw
	case reflect.PointerTo(t).Implements(unmarshalerType):
		s.kind = parsed
	case t.Kind() == reflect.Struct:
		s.kind, s.members = object, map[string]*member{}
		for _, f := range reflect.VisibleFields(t) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous || !f.IsExported() || name == "" {
				continue
			}
			s.members[name] = &member{f.Index, shapeOf(f.Type, f.Tag)}
			if !strings.Contains(options, "omit") {
				s.need = append(s.need, name)
			}
		}
	case t.Kind() == reflect.Slice:
		s.kind, s.elem = array, shapeOf(t.Elem(), tag)
		count("minItems", &s.min)
		count("maxItems", &s.max)
		return s
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		s.kind, s.elem = lexicon, shapeOf(t.Elem(), tag)
	case t.Kind() == reflect.Pointer:
		s.kind, s.elem = pointer, shapeOf(t.Elem(), tag)
	case t.Kind() == reflect.String:
		s.kind = text
		count("minLength", &s.min)
		count("maxLength", &s.max)
	case t.Kind() == reflect.Bool:
		s.kind = boolean
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		s.kind = integer
	case t.Kind() == reflect.Float64:
		s.kind = fraction
	default:
		panic(fmt.Sprintf("api: no shape for %s", t)) // a fault of the program, found when the server is made
	}
	return s
}

// decode reads one JSON object into what into points to. Each byte is looked at once. The error is a [*Problem]:
// malformed_json if it is no JSON, invalid with every fault otherwise.
func (s *shape) decode(src []byte, into any, units *orgs.Tree) error {
	r := reader{src: src, units: units, at: make([]byte, 0, 64)}
	r.at = append(r.at, "body"...)
	r.space()
	r.value(s, reflect.ValueOf(into).Elem())
	r.space()
	if !r.broken && r.pos < len(src) {
		r.fail()
	}
	if r.broken {
		p := problem("malformed_json")
		if r.deep {
			p.Errors = []Fault{fault(string(r.at), "too_deep", "嵌套超过 32 层", "nested more than 32 deep")}
		} else {
			p.Errors = []Fault{fault("body", "syntax", fmt.Sprintf("第 %d 个字节处有语法错误", r.pos+1), fmt.Sprintf("syntax error at byte %d", r.pos+1))}
		}
		return p
	}
	if len(r.faults) > 0 {
		return invalid(r.faults...)
	}
	return nil
}

type reader struct {
	src    []byte
	pos    int
	depth  int
	at     []byte // location of the value in hand
	faults []Fault
	broken bool // no JSON: everything stops
	deep   bool
	units  *orgs.Tree
}

func (r *reader) fail() { r.broken = true }

// maxFaults is how many faults are told at once.
const maxFaults = 20

func (r *reader) fault(code, zh, en string) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, fault(string(r.at), code, zh, en))
	}
}

func (r *reader) space() {
	for r.pos < len(r.src) {
		switch r.src[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

func (r *reader) peek() byte {
	if r.pos < len(r.src) {
		return r.src[r.pos]
	}
	return 0
}

func (r *reader) take(c byte) bool {
	if r.peek() != c || c == 0 {
		return false
	}
	r.pos++
	return true
}

func (r *reader) enter() bool {
	r.depth++
	if r.depth > maxDepth {
		r.deep = true
		r.fail()
	}
	return !r.broken
}

var kindNames = map[kind][2]string{
	object: {"对象", "an object"}, lexicon: {"对象", "an object"}, array: {"数组", "an array"}, text: {"文本", "a text"}, boolean: {"true 或 false", "true or false"},
	integer: {"整数", "a whole number"}, fraction: {"数字", "a number"}, instant: {"时间文本", "a time, as text"}, parsed: {"文本", "a text"},
}

// value reads a value of a shape. A value of another type is a fault, and skipped.
func (r *reader) value(s *shape, v reflect.Value) {
	c := r.peek()
	ok := false
	switch s.kind {
	case object:
		if ok = c == '{'; ok {
			r.object(s, v)
		}
	case lexicon:
		if ok = c == '{'; ok {
			r.lexicon(s, v)
		}
	case array:
		if ok = c == '['; ok {
			r.array(s, v)
		}
	case pointer:
		p := reflect.New(v.Type().Elem())
		r.value(s.elem, p.Elem())
		v.Set(p)
		return
	case text, instant, parsed:
		if ok = c == '"'; ok {
			r.text(s, v)
		}
	case boolean:
		if ok = c == 't' || c == 'f'; ok {
			v.SetBool(c == 't')
			r.skip()
		}
	case integer, fraction:
		if ok = c == '-' || c >= '0' && c <= '9'; ok {
			r.number(s, v)
		}
	case raw:
		from := r.pos
		r.skip()
		if !r.broken {
			v.SetBytes(slices.Clone(r.src[from:r.pos]))
		}
		return
	}
	if !ok {
		r.skip()
		if !r.broken {
			name := kindNames[s.kind]
			r.fault("wrong_type", "类型不对，应为"+name[0], "must be "+name[1])
		}
	}
}

// object reads the members of an object that begins here.
func (r *reader) object(s *shape, v reflect.Value) {
	r.pos++
	if !r.enter() {
		return
	}
	var seen []string
	r.space()
	for first := true; !r.take('}'); first = false {
		if !first && !r.take(',') {
			r.fail()
			return
		}
		r.space()
		name, whole := r.quoted()
		r.space()
		if r.broken || !r.take(':') {
			r.fail()
			return
		}
		r.space()
		back := len(r.at)
		r.at = append(append(r.at, '.'), printable(name)...)
		switch m := s.members[name]; {
		case !whole || m == nil:
			r.skip()
			r.fault("unknown_member", "没有这个字段", "there is no such member")
		case slices.Contains(seen, name):
			r.skip()
			r.fault("duplicate_member", "字段重复", "the member is there twice")
		default:
			seen = append(seen, name)
			r.value(m.shape, v.FieldByIndex(m.index))
		}
		if r.broken {
			return
		}
		r.at = r.at[:back]
		r.space()
	}
	r.depth--
	for _, name := range s.need {
		if !slices.Contains(seen, name) {
			back := len(r.at)
			r.at = append(append(r.at, '.'), name...)
			r.fault("missing", "必填", "is missing")
			r.at = r.at[:back]
		}
	}
}

// mostWords is how many members an object of texts may have.
const mostWords = 200

// lexicon reads an object of texts that begins here.
func (r *reader) lexicon(s *shape, v reflect.Value) {
	r.pos++
	if !r.enter() {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	n := 0
	r.space()
	for first := true; !r.take('}'); first = false {
		if !first && !r.take(',') {
			r.fail()
			return
		}
		r.space()
		name, whole := r.quoted()
		r.space()
		if r.broken || !r.take(':') {
			r.fail()
			return
		}
		r.space()
		back := len(r.at)
		r.at = append(append(r.at, '.'), printable(name)...)
		key := reflect.ValueOf(name).Convert(v.Type().Key())
		switch n++; {
		case !whole || strings.ContainsFunc(name, unicode.IsControl):
			r.skip()
			r.fault("unknown_member", "没有这个字段", "there is no such member")
		case n > mostWords:
			r.skip()
		case v.MapIndex(key).IsValid():
			r.skip()
			r.fault("duplicate_member", "字段重复", "the member is there twice")
		default:
			e := reflect.New(v.Type().Elem()).Elem()
			r.value(s.elem, e)
			v.SetMapIndex(key, e)
		}
		if r.broken {
			return
		}
		r.at = r.at[:back]
		r.space()
	}
	r.depth--
	if n > mostWords {
		r.fault("too_many", fmt.Sprintf("最多 %d 项", mostWords), fmt.Sprintf("has at most %d entries", mostWords))
	}
}

// printable cuts a name of the caller's to what a location can bear.
func printable(name string) string {
	name = strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, name)
	if rs := []rune(name); len(rs) > 40 {
		return string(rs[:40]) + "…"
	}
	return name
}

func (r *reader) array(s *shape, v reflect.Value) {
	r.pos++
	if !r.enter() {
		return
	}
	n := 0
	r.space()
	for first := true; !r.take(']'); first = false {
		if !first && !r.take(',') {
			r.fail()
			return
		}
		r.space()
		back := len(r.at)
		r.at = append(strconv.AppendInt(append(r.at, '['), int64(n), 10), ']')
		if n < s.max {
			e := reflect.New(v.Type().Elem()).Elem()
			r.value(s.elem, e)
			v.Set(reflect.Append(v, e))
		} else {
			r.skip()
		}
		if r.broken {
			return
		}
		n++
		r.at = r.at[:back]
		r.space()
	}
	r.depth--
	switch {
	case n > s.max:
		r.fault("too_many", fmt.Sprintf("最多 %d 项", s.max), fmt.Sprintf("has at most %d entries", s.max))
	case n < s.min:
		r.fault("too_few", fmt.Sprintf("至少 %d 项", s.min), fmt.Sprintf("has at least %d entries", s.min))
	}
}

func (r *reader) number(s *shape, v reflect.Value) {
	from := r.pos
	r.skip()
	if r.broken {
		return
	}
	literal := string(r.src[from:r.pos])
	f, err := strconv.ParseFloat(literal, 64)
	if s.kind == integer {
		n, whole := strconv.ParseInt(literal, 10, 64)
		if whole != nil {
			r.fault("wrong_type", "应为整数", "must be a whole number")
			return
		}
		v.SetInt(n)
	} else {
		v.SetFloat(f)
	}
	if err != nil || f < s.low || f > s.high {
		r.fault("out_of_range", fmt.Sprintf("须在 %v 至 %v 之间", s.low, s.high), fmt.Sprintf("must lie from %v to %v", s.low, s.high))
	}
}

// text reads a text, brings free text into NFC without space at its ends, and checks its bounds.
func (r *reader) text(s *shape, v reflect.Value) {
	str, whole := r.quoted()
	if r.broken {
		return
	}
	if !whole {
		r.fault("invalid_utf8", "含有无效的 UTF-8 字符", "is not valid UTF-8")
		return
	}
	for _, c := range str {
		if unicode.IsControl(c) && !(s.long && (c == '\n' || c == '\t' || c == '\r')) {
			r.fault("control_character", "含有控制字符", "holds a control character")
			return
		}
	}
	switch s.kind {
	case instant:
		t, err := time.Parse(time.RFC3339, str)
		if err != nil || t.Year() < 1900 {
			r.fault("not_an_instant", "时间须为带时区的 RFC 3339 格式，如 2026-03-10T10:00:00+08:00", "must be a time with its offset, such as 2026-03-10T10:00:00+08:00")
			return
		}
		v.Set(reflect.ValueOf(t))
		return
	case parsed:
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(str)); err != nil || str == "" {
			r.fault("malformed", "格式不正确", "is not in the right form")
		}
		return
	}
	if !s.verbatim {
		str = strings.TrimSpace(norm.NFC.String(strings.ReplaceAll(str, "\r\n", "\n")))
	}
	v.SetString(str)
	switch n := utf8.RuneCountInString(str); {
	case s.underlying == publicType && sealed.LooksPersonal(str):
		r.fault("personal_data", "公开内容不得含有手机号或身份证号", "is public and must not hold a phone or identity number")
	case n > s.max:
		r.fault("too_long", fmt.Sprintf("不得超过 %d 个字", s.max), fmt.Sprintf("has at most %d characters", s.max))
	case n < s.min:
		r.fault("too_short", fmt.Sprintf("至少 %d 个字", s.min), fmt.Sprintf("has at least %d characters", s.min))
	case s.words != nil && !slices.Contains(s.words, str):
		list := strings.Join(s.words, ", ")
		r.fault("not_listed", "须为以下之一："+list, "must be one of "+list)
	case s.format != "":
		r.form(s.format, str)
	}
}

// form checks a text that is a code of something.
func (r *reader) form(format, s string) {
	switch format {
	case "matter":
		if _, known := catalogue.Lookup(catalogue.Code(s)); !known {
			r.fault("unknown_matter", "没有这个事项编码", "there is no such matter")
		}
	case "heading":
		if !catalogue.Heads(s) {
			r.fault("unknown_matter", "没有这个大类、小类或事项", "there is no such class, subject or matter")
		}
	case "unit":
		if _, known := r.units.Unit(orgs.UnitCode(s)); !known {
			r.fault("unknown_unit", "没有这个单位", "there is no such unit")
		}
	case "grid":
		if g, known := r.units.Grid(orgs.GridCode(s)); !known || g.Retired {
			r.fault("unknown_grid", "没有这个网格", "there is no such grid")
		}
	case "code":
		if !orgs.UnitCode(s).Valid() {
			r.fault("malformed", "代码由数字、小写字母和连字符组成，不超过 40 个字符", "a code has digits, lower-case letters and hyphens, at most 40 characters")
		}
	case "block":
		if !orgs.BlockCode(s).Valid() {
			r.fault("malformed", "楼栋代码为 1 至 10 个小写字母、数字或连字符，单元另加斜杠和 1 至 3 个字符，如 b03 或 b03/2",
				"a building has 1 to 10 lower-case letters, digits or hyphens, a stairwell a slash and 1 to 3 more: b03 or b03/2")
		}
	case "sha256":
		if len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
			r.fault("malformed", "须为 64 位小写十六进制 SHA-256", "must be a SHA-256 in 64 lower-case hexadecimal digits")
		}
	case "token":
		if s == "" || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
			r.fault("malformed", "须为可见 ASCII 字符", "must be visible ASCII characters")
		} else if sealed.LooksPersonal(s) {
			r.fault("personal_key", "不得使用手机号或身份证号", "must not be a phone or identity number")
		}
	}
}

// skip moves behind any value that begins here.
func (r *reader) skip() {
	switch c := r.peek(); {
	case c == '"':
		r.quoted()
	case c == '{' || c == '[':
		r.pos++
		if !r.enter() {
			return
		}
		closing := c + 2 // ASCII: '{' '}' and '[' ']' are two apart
		r.space()
		for first := true; !r.take(closing); first = false {
			if !first && !r.take(',') {
				r.fail()
				return
			}
			r.space()
			if c == '{' {
				r.quoted()
				r.space()
				if r.broken || !r.take(':') {
					r.fail()
					return
				}
				r.space()
			}
			if r.skip(); r.broken {
				return
			}
			r.space()
		}
		r.depth--
	default:
		from := r.pos
		for r.pos < len(r.src) && strings.IndexByte("+-.0123456789abcdefghijklmnopqrstuvwxyzE", r.src[r.pos]) >= 0 {
			r.pos++
		}
		if !json.Valid(r.src[from:r.pos]) {
			r.pos = from
			r.fail()
		}
	}
}

// quoted reads a string that begins here. It is not whole if it holds bytes or escapes that are no characters.
func (r *reader) quoted() (s string, whole bool) {
	if !r.take('"') {
		r.fail()
		return "", false
	}
	from := r.pos
	for r.pos < len(r.src) && r.src[r.pos] >= 0x20 && r.src[r.pos] != '"' && r.src[r.pos] != '\\' {
		r.pos++
	}
	if r.peek() == '"' {
		s = string(r.src[from:r.pos])
		r.pos++
		return s, utf8.ValidString(s)
	}
	b := append(make([]byte, 0, 2*(r.pos-from)+16), r.src[from:r.pos]...)
	whole = true
	for r.pos < len(r.src) {
		c := r.src[r.pos]
		switch {
		case c == '"':
			r.pos++
			return string(b), whole && utf8.Valid(b)
		case c < 0x20:
			r.fail()
			return "", false
		case c != '\\':
			b = append(b, c)
			r.pos++
			continue
		}
		r.pos++
		c = r.peek()
		r.pos++
		if i := strings.IndexByte(`"\/bfnrt`, c); c != 0 && i >= 0 {
			b = append(b, "\"\\/\b\f\n\r\t"[i])
			continue
		}
		unit, ok := r.hex(c)
		if !ok {
			r.fail()
			return "", false
		}
		if utf16.IsSurrogate(unit) {
			low := rune(-1)
			if r.pos+1 < len(r.src) && r.src[r.pos] == '\\' && r.src[r.pos+1] == 'u' {
				r.pos += 2
				if low, ok = r.hex('u'); !ok {
					r.fail()
					return "", false
				}
			}
			if unit = utf16.DecodeRune(unit, low); unit == utf8.RuneError {
				whole = false
			}
		}
		b = utf8.AppendRune(b, unit)
	}
	r.fail()
	return "", false
}

// hex reads four hexadecimal digits after \u.
func (r *reader) hex(c byte) (rune, bool) {
	if c != 'u' || r.pos+4 > len(r.src) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(r.src[r.pos:r.pos+4]), 16, 16)
	r.pos += 4
	return rune(n), err == nil
}
