// Package sealed holds personal text: in the clear only between a request and the append, enciphered
// everywhere else.
//
// A [Text] prints as "[sealed]", never as what it says, and refuses to be marshalled before it was sealed,
// so no rule, log line or view can spill it by accident. The rules never look inside. The engine seals
// the fields of a decided event, and opens them for a reader who has a right and a purpose.
package sealed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Prefix begins every enciphered text: format, version; algorithm and key id follow, separated by dots.
const Prefix = "gcenc1."

// ErrNotSealed: a text would have been written in the clear.
var ErrNotSealed = errors.New("personal text was about to be written unsealed")

// Text is text that is personal data: a name, a phone number, an address, or free text of or about a resident.
// The zero value is absent text.
type Text struct {
	clear  *string // behind a pointer, so that whoever prints it by reflection (%p, %w, unexported fields) prints an address
	cipher string
}

// Clear makes a text that was just received and is not sealed yet.
func Clear(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{clear: &s}
}

// Cipher makes a text from its enciphered form.
func Cipher(s string) Text { return Text{cipher: s} }

// IsZero reports whether there is no text at all.
func (t Text) IsZero() bool { return t.clear == nil && t.cipher == "" }

// Sealed reports whether the text is enciphered.
func (t Text) Sealed() bool { return t.cipher != "" }

// Ciphertext returns the enciphered form, "" if the text is not sealed.
func (t Text) Ciphertext() string { return t.cipher }

// Seal replaces the clear text by what encipher makes of it. A sealed or absent text stays as it is.
func (t *Text) Seal(encipher func(clear string) (string, error)) error {
	if t.cipher != "" || t.clear == nil {
		return nil
	}
	c, err := encipher(*t.clear)
	if err != nil {
		return err
	}
	*t = Text{cipher: c}
	return nil
}

// Reveal hands the clear text of an unsealed Text to f: for sealing, digesting and limits, never for output.
func (t Text) Reveal(f func(clear string)) {
	if t.clear != nil {
		f(*t.clear)
	}
}

// String hides the text.
func (t Text) String() string {
	if t.IsZero() {
		return ""
	}
	return "[sealed]"
}

// GoString hides the text from %#v.
func (t Text) GoString() string { return t.String() }

// Format hides the text from every verb of fmt.
func (t Text) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

// LogValue hides the text from log/slog.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON writes the enciphered form. It returns [ErrNotSealed] for clear text.
func (t Text) MarshalJSON() ([]byte, error) {
	if t.cipher == "" && t.clear != nil {
		return nil, ErrNotSealed
	}
	return json.Marshal(t.cipher)
}

// UnmarshalJSON reads the enciphered form, and nothing else: clear text in an event is an error.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("sealed text: %w", err)
	}
	if s != "" && !strings.HasPrefix(s, Prefix) {
		return ErrNotSealed
	}
	*t = Text{cipher: s}
	return nil
}

// Public is text meant for everyone and declared free of personal data by whoever wrote it: a public
// summary, a published reason, the options of a vote. It stays readable in the log.
type Public string

// Field is one sealed field of an event: its path as in JSON, whose data it is, and the text itself.
// Part names the subject within the case, such as "reporter"; each part of a case has a key of its own.
// It is "" where no `part` tag stands on the way: in a command, which is never stored.
type Field struct {
	Name string
	Part string
	Text *Text
}

// Fields finds the sealed fields of an event, given as a pointer to a struct, in the order they are declared.
// The part comes from the nearest `part` tag on the way to the field.
// Types without sealed fields cost one map look-up.
func Fields(ptr any) []Field {
	v := reflect.ValueOf(ptr).Elem()
	if !holdsText(v.Type()) {
		return nil
	}
	return collect(nil, v, "", "")
}

// In finds the sealed fields of an event given by value: to read them, for the fields are those of a copy.
func In(v any) []Field {
	if !holdsText(reflect.TypeOf(v)) {
		return nil
	}
	return Fields(Copy(v))
}

// Copy returns a pointer to a copy of a struct in which sealing a field changes nothing of the original:
// slices and pointers on the way to a Text are copied too.
func Copy(v any) any {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	detach(p.Elem())
	return p.Interface()
}

func detach(v reflect.Value) {
	if v.Type() == textType || !holdsText(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				detach(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(c, v)
		v.Set(c)
		for i := range v.Len() {
			detach(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			c := reflect.New(v.Type().Elem())
			c.Elem().Set(v.Elem())
			v.Set(c)
			detach(c.Elem())
		}
	}
}

var (
	textType = reflect.TypeFor[Text]()
	holding  sync.Map // reflect.Type → bool
)

func holdsText(t reflect.Type) bool {
	if yes, known := holding.Load(t); known {
		return yes.(bool)
	}
	var yes bool
	switch {
	case t == textType:
		yes = true
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() && holdsText(t.Field(i).Type) {
				yes = true
			}
		}
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer:
		yes = holdsText(t.Elem())
	}
	holding.Store(t, yes)
	return yes
}

func collect(fs []Field, v reflect.Value, name, part string) []Field {
	switch {
	case v.Type() == textType:
		t := v.Addr().Interface().(*Text)
		if t.IsZero() {
			return fs
		}
		return append(fs, Field{Name: name, Part: part, Text: t})
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || !holdsText(f.Type) {
				continue
			}
			n, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous {
				n = name
			} else if name != "" {
				n = name + "." + n
			}
			p := part
			if tag := f.Tag.Get("part"); tag != "" {
				p = tag
			}
			fs = collect(fs, v.Field(i), n, p)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			fs = collect(fs, v.Index(i), name+"["+strconv.Itoa(i)+"]", part)
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		fs = collect(fs, v.Elem(), name, part)
	}
	return fs
}
