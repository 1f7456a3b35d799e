package city_test

import (
	"crypto/sha256"
	"iter"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/event"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// digest is of a whole script, with every text that is sealed later.
func digest(t *testing.T, script iter.Seq[city.Act]) [32]byte {
	h := sha256.New()
	for a := range script {
		h.Write([]byte(written(t, a)))
	}
	return [32]byte(h.Sum(nil))
}

func TestTheSameSeedGivesTheSameScript(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	for _, size := range city.Sizes() {
		first := digest(t, city.New(size).Script(1501, 600))
		if digest(t, city.New(size).Script(1501, 600)) != first {
			t.Errorf("%s: the same seed gave another script", size)
		}
		if digest(t, city.New(size).Script(1502, 600)) == first {
			t.Errorf("%s: another seed gave the same script", size)
		}
	}
}

func TestAScriptGoesForwardAndStaysInItsYear(t *testing.T) {
	c := city.New(city.District)
	last, keys, n := c.Eve(), map[string]bool{}, 0
	for a := range c.Script(9, 1500) {
		if a.At.Before(last) || a.At.Nanosecond() != 0 || a.Occurred.After(a.At) {
			t.Fatalf("%s at %s, occurred %s, after %s", a.Key, a.At, a.Occurred, last)
		}
		if keys[a.Key] {
			t.Fatalf("the key %s comes twice", a.Key)
		}
		last, keys[a.Key] = a.At, true
		n++
	}
	if end := c.Eve().AddDate(1, 0, 3); last.After(end) || n < 1500 {
		t.Errorf("got %d acts, the last at %s, want some by %s", n, last, end)
	}
	for range c.Script(9, 0) {
		t.Error("a year of no demands has an act")
	}
	for a := range c.Script(9, 50) { // a reader may stop at any time
		if a.Key != "" {
			break
		}
	}
}

func TestTheSameSeedGivesTheSameLog(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	a, b := open(t, 600), open(t, 600)
	if len(a) != len(b) {
		t.Fatalf("got %d events, then %d", len(a), len(b))
	}
	for i := range a {
		if !reflect.DeepEqual(a[i], b[i]) {
			t.Fatalf("event %d differs:\n%+v\n%+v", i, a[i], b[i])
		}
	}
}

// open plays a year and returns its events without what keys make random, and without the events of the house
// itself: its service key, reserved numbers and published draws.
func open(t *testing.T, demands int) []event.Entry {
	var es []event.Entry
	for _, e := range play(t, city.Street, 1501, demands).entries(t) {
		switch e.Stream.Category() {
		case stream.Log, stream.Number, stream.Policy:
			continue
		}
		copied := sealed.Copy(e.Body)
		for _, f := range sealed.Fields(copied) {
			*f.Text = sealed.Cipher(sealed.Prefix)
		}
		e.Body = reflect.ValueOf(copied).Elem().Interface().(event.Body)
		e.Before, e.After = nil, nil
		e.Meta.Salt, e.Meta.Digest = [16]byte{}, ""
		es = append(es, e)
	}
	return es
}

// TestNobodyIsReal looks at every text that the script seals: all of them are marked, or are names and numbers of nobody.
func TestNobodyIsReal(t *testing.T) {
	name := regexp.MustCompile(`^居民[甲乙丙丁戊己庚辛壬癸][子丑寅卯辰巳午未申酉戌亥]$`)
	phone := regexp.MustCompile(`^000[0-9]{8}$`)
	long := regexp.MustCompile(`1[3-9][0-9]{9}|[0-9]{17}[0-9Xx]`) // mobile phone, identity number
	texts, names, phones := 0, 0, 0
	for a := range city.New(city.Whole).Script(4, 3000) {
		for _, text := range saidIn(a) {
			texts++
			switch {
			case name.MatchString(text):
				names++
			case phone.MatchString(text):
				phones++
			case !strings.HasPrefix(text, "【合成】"):
				t.Errorf("%s: %q is not marked as made up", a.Key, text)
			case long.MatchString(text):
				t.Errorf("%s: %q looks like somebody's number", a.Key, text)
			}
		}
		if !strings.HasPrefix(a.Actor.ID, "resident-") && strings.ContainsFunc(a.Actor.ID, func(r rune) bool { return r > '~' }) {
			t.Errorf("%s: the actor %q is not opaque", a.Key, a.Actor.ID)
		}
	}
	if names == 0 || phones != names || texts < 10*3000/4 {
		t.Errorf("got %d texts, %d names, %d phones, want several of each of the 3000", texts, names, phones)
	}
}
