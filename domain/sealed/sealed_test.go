package sealed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
)

const secret = "张三 13800000000"

// holder carries texts the ways events do.
type holder struct {
	Plain string `json:"plain"`
	Said  Text   `json:"said" part:"reporter"`
	More  []Text `json:"more" part:"case"`
	Next  *Text  `json:"next,omitempty" part:"reporter"`
}

func held() holder {
	t := Clear(secret)
	return holder{Plain: "open", Said: t, More: []Text{t, t}, Next: &t}
}

func TestFormattingVerbsHideTheClearText(t *testing.T) {
	text := Clear(secret)
	sprintf := fmt.Sprintf // the formats are wrong on purpose
	values := map[string]any{"a text": text, "its address": &text, "a struct": held(), "the struct's address": new(held()),
		"a list": []Text{text}, "a map": map[string]Text{"who": text}, "a map's key": map[Text]bool{text: true}, "an interface": []any{text},
		"an unexported field": struct{ t Text }{text}, "an unexported event": struct{ e any }{held()},
		"an error": fmt.Errorf("demand of %v: %s: %w", text, text, ErrNotSealed)}
	for name, v := range values {
		for _, verb := range "vsqxXdobcUeEfFgGtTpwz" {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "40", ".3", "+#40.3"} {
				format := "%" + flags + string(verb)
				if got := sprintf(format, v); leaks(got) {
					t.Errorf("%s as %s: %q", name, format, got)
				}
			}
		}
		for _, got := range []string{fmt.Sprint(v), fmt.Sprintln(v), sprintf(strings.ToLower("SURPLUS"), v), sprintf("%[1]*[1]d", v), string(fmt.Append(nil, v)),
			errors.Join(fmt.Errorf("%v", v)).Error()} {
			if leaks(got) {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
	if got := fmt.Sprintf("%v|%s|%#v", text, text, text); got != "[sealed]|[sealed]|[sealed]" {
		t.Errorf("got %s", got)
	}
	if got := text.String() + text.GoString() + text.LogValue().String(); got != "[sealed][sealed][sealed]" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprintf("%v|%s", Text{}, Cipher(Prefix+"a.k.x")); got != "|[sealed]" {
		t.Errorf("absent and sealed text: got %s", got)
	}
}

// leaks finds the secret, or a good part of it, in any of the ways a verb could write it.
func leaks(s string) bool {
	for _, way := range []string{secret, "张三", "13800000000", fmt.Sprintf("%x", "138000"), fmt.Sprintf("%X", "138000"), fmt.Sprintf("%x", "张三"),
		strings.Trim(fmt.Sprint([]byte("138000")), "[]"), `\u5f20`} {
		if strings.Contains(s, way) {
			return true
		}
	}
	return false
}

func TestNoLogLineHoldsTheClearText(t *testing.T) {
	text := Clear(secret)
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		log := slog.New(handler(&out))
		log.Info("raised", "who", text, "address", &text, "all", held(), "list", []Text{text}, slog.Group("g", "who", text))
		log.With("who", text).WithGroup("g").Error("refused", "err", fmt.Errorf("of %v", text), slog.Any("m", map[string]Text{"a": text}))
		if got := out.String(); leaks(got) {
			t.Errorf("%s: %s", name, got)
		} else if !strings.Contains(got, "[sealed]") {
			t.Errorf("%s: nothing says that something is sealed: %s", name, got)
		}
	}
}

func TestClearTextIsNeverMarshalled(t *testing.T) {
	text := Clear(secret)
	for name, v := range map[string]any{"a text": text, "its address": &text, "a struct": held(), "a list": []Text{text}, "a map": map[string]Text{"who": text}} {
		b, err := json.Marshal(v)
		if !errors.Is(err, ErrNotSealed) || leaks(string(b)) || err != nil && leaks(err.Error()) {
			t.Errorf("%s: got %s, %v; want %v", name, b, err, ErrNotSealed)
		}
	}
}

func TestSealedTextSurvivesTheLog(t *testing.T) {
	for _, want := range []Text{{}, Cipher(Prefix + "xc20p.k7.AAAA")} {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != fmt.Sprintf("%q", want.Ciphertext()) {
			t.Errorf("got %s", b)
		}
		var got Text
		if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Errorf("read back: got %q, %v", got.Ciphertext(), err)
		}
	}
}

func TestNothingButSealedTextIsReadFromTheLog(t *testing.T) {
	for _, in := range []string{`"` + secret + `"`, `"gcenc1"`, `"gcenc2.x"`, `" gcenc1.x"`, `"GCENC1.x"`, `7`, `{}`, `["gcenc1.x"]`, `true`} {
		got := Cipher(Prefix + "before")
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s: read as %q", in, got.Ciphertext())
		} else if got != Cipher(Prefix+"before") || leaks(err.Error()) {
			t.Errorf("%s: got %q, %v", in, got.Ciphertext(), err)
		}
	}
	if err := new(Text).UnmarshalJSON([]byte(`"` + secret + `"`)); !errors.Is(err, ErrNotSealed) {
		t.Errorf("clear text: got %v, want %v", err, ErrNotSealed)
	}
}

func TestSealingReplacesTheClearTextOnce(t *testing.T) {
	calls := 0
	encipher := func(clear string) (string, error) {
		calls++
		if clear != secret {
			t.Errorf("enciphered %q", clear)
		}
		return Prefix + "a.k.x", nil
	}
	text := Clear(secret)
	if text.IsZero() || text.Sealed() || text.Ciphertext() != "" {
		t.Errorf("before: zero %v, sealed %v, %q", text.IsZero(), text.Sealed(), text.Ciphertext())
	}
	for range 2 {
		if err := text.Seal(encipher); err != nil {
			t.Fatal(err)
		}
	}
	if calls != 1 || text != Cipher(Prefix+"a.k.x") || !text.Sealed() {
		t.Errorf("after %d calls: %q", calls, text.Ciphertext())
	}
	text.Reveal(func(clear string) { t.Errorf("a sealed text revealed %q", clear) })

	var absent Text
	if err := absent.Seal(encipher); err != nil || calls != 1 || !absent.IsZero() {
		t.Errorf("absent text: %v, %d calls, %q", err, calls, absent.Ciphertext())
	}
	absent.Reveal(func(clear string) { t.Errorf("absent text revealed %q", clear) })
}

func TestAFailedSealLeavesTheTextUnsealed(t *testing.T) {
	broken := errors.New("no key")
	text := Clear(secret)
	if err := text.Seal(func(string) (string, error) { return Prefix + "half", broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if text.Sealed() || !reflect.DeepEqual(text, Clear(secret)) {
		t.Error("a failed seal changed the text")
	}
	said := ""
	text.Reveal(func(clear string) { said = clear })
	if said != secret {
		t.Errorf("revealed %q", said)
	}
}

type person struct {
	Name  Text `json:"name,omitzero"`
	Phone Text `json:"phone,omitzero" part:"phone"`
}

type event struct {
	Shared
	Number   string   `json:"number"`
	Title    Text     `json:"title,omitzero" part:"reporter"`
	Reporter person   `json:"reporter" part:"reporter"`
	Other    *person  `json:"other,omitempty" part:"witness"`
	Children []person `json:"children" part:"child"`
	Lines    []Text   `json:"lines" part:"reporter"`
	Deep     []*struct {
		Who *person `json:"who"`
	} `json:"deep" part:"deep"`
	Stand struct {
		Shared
	} `json:"stand" part:"witness"`
	hidden Text
}

// Shared is embedded, as a part of several events would be.
type Shared struct {
	Place Text `json:"place" part:"reporter"`
}

func TestFieldsAreFoundWhereverTheyAre(t *testing.T) {
	c := Clear(secret)
	e := event{Number: "1", Title: c, Reporter: person{Name: c, Phone: c}, Other: &person{Name: c}, Children: []person{{}, {Name: c}},
		Lines: []Text{c, {}, c}, Shared: Shared{Place: c}, hidden: c,
		Deep: []*struct {
			Who *person `json:"who"`
		}{nil, {}, {Who: &person{Name: c}}}}
	want := []string{"place reporter", "title reporter", "reporter.name reporter", "reporter.phone phone", "other.name witness",
		"children[1].name child", "lines[0] reporter", "lines[2] reporter", "deep[2].who.name deep", "stand.place reporter"}
	e.Stand.Place = c
	var got []string
	for _, f := range Fields(&e) {
		got = append(got, f.Name+" "+f.Part)
		if err := f.Text.Seal(func(string) (string, error) { return Prefix + f.Name, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if e.Title.Ciphertext() != Prefix+"title" || e.Other.Name.Ciphertext() != Prefix+"other.name" || e.Children[1].Name.Ciphertext() != Prefix+"children[1].name" ||
		e.Lines[2].Ciphertext() != Prefix+"lines[2]" || e.Place.Ciphertext() != Prefix+"place" {
		t.Errorf("what was found is not what is in the event: %+v", e)
	}
	if len(Fields(&e)) != len(want) {
		t.Error("sealed fields are not found again")
	}
}

func TestWithoutTextThereAreNoFields(t *testing.T) {
	if got := Fields(&event{}); got != nil {
		t.Errorf("an empty event: got %v", got)
	}
	if got := Fields(&struct{ Number string }{"1"}); got != nil {
		t.Errorf("no text at all: got %v", got)
	}
}

func TestACommandsFieldBelongsToNoPart(t *testing.T) {
	c := struct {
		Said Text `json:"said"`
	}{Clear(secret)}
	if got := Fields(&c); len(got) != 1 || got[0].Part != "" || got[0].Name != "said" {
		t.Errorf("got %+v", got)
	}
}

func TestSealingACopyLeavesTheOriginal(t *testing.T) {
	c := Clear(secret)
	e := event{Title: c, Other: &person{Name: c}, Children: []person{{Name: c}}, Lines: []Text{c}, Number: "1"}
	e.Deep = append(e.Deep, nil)
	copied := Copy(e).(*event)
	if !reflect.DeepEqual(*copied, e) {
		t.Errorf("got %+v, want %+v", *copied, e)
	}
	for _, f := range Fields(copied) {
		if err := f.Text.Seal(func(string) (string, error) { return Prefix + "x", nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range Fields(&e) {
		if f.Text.Sealed() {
			t.Errorf("%s of the original was sealed", f.Name)
		}
	}
	if !copied.Title.Sealed() || !copied.Other.Name.Sealed() || !copied.Children[0].Name.Sealed() || !copied.Lines[0].Sealed() {
		t.Errorf("the copy: %+v", *copied)
	}
	if got := Fields(Copy(event{})); len(got) > 0 {
		t.Errorf("the copy of an empty event: got %+v", got)
	}
}

func TestWhatIsReadIsACopysField(t *testing.T) {
	e := event{Title: Clear(secret), Other: &person{Name: Clear(secret)}}
	got := In(e)
	if len(got) != 2 || got[0].Name != "title" || got[1].Name != "other.name" || *got[1].Text != e.Other.Name {
		t.Fatalf("got %+v", got)
	}
	for _, f := range got {
		*f.Text = Text{}
	}
	if e.Title.IsZero() || e.Other.Name.IsZero() {
		t.Errorf("the event itself changed: %+v", e)
	}
	if got := In(struct{ Number string }{"1"}); got != nil {
		t.Errorf("no text at all: got %v", got)
	}
}

func TestFieldsMayBeAskedForByManyAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			e := event{Title: Clear(secret)}
			if got := Fields(&e); len(got) != 1 {
				t.Errorf("got %d fields", len(got))
			}
		})
	}
	all.Wait()
}
