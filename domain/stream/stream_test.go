package stream

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// The ids below were written once and are read for ever: a change here is a broken log.
func TestDerivedIDsAreFrozen(t *testing.T) {
	if got, want := Namespace.String(), "3c1f9a52-6d0e-5b7a-9c44-8f2d61e0b5d7"; got != want {
		t.Fatalf("namespace: got %s, want %s", got, want)
	}
	event := Event(Of(Demand, DemandFor("wechat", "w-1")), "key-1", 0)
	for _, tt := range []struct {
		name string
		got  ID
		want string
	}{
		{"no part", Derive(), "acfe66ee-3160-5ad9-b5e0-68a3c4354ad0"},
		{"one part", Derive("demand"), "9c44d8de-9c51-5f69-aaee-734fe50627ae"},
		{"a demand", DemandFor("wechat", "w-1"), "a9b9b115-7918-5bb8-b18a-14c64a0e6733"},
		{"a topic", For(Topic, "k-convenor", "key-7"), "d3f4283d-8cb1-5a83-9ed5-21f72c50c58e"},
		{"an event", event, "136dedd6-2cc4-5e81-a428-cfe865f280ad"},
		{"an order that an event made necessary", CausedBy(Order, event, 2), "bc824f9e-5320-5f90-b186-53c9aeb5cea7"},
	} {
		if tt.got.String() != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestDerivedIDsAreUUIDv5(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.String()).Draw(t, "parts")
		got := Derive(parts...)
		want := uuid.NewSHA1(uuid.UUID(Namespace), []byte(strings.Join(parts, "\n")))
		if got != ID(want) || got.String() != want.String() {
			t.Fatalf("%q: got %s, want %s", parts, got, want)
		}
		if v := uuid.UUID(got); v.Version() != 5 || v.Variant() != uuid.RFC4122 {
			t.Fatalf("%s: version %d, variant %s", got, v.Version(), v.Variant())
		}
	})
}

func TestTheDerivationIsTheOneOfRFC9562(t *testing.T) {
	// Appendix A.4: the DNS namespace and www.example.com, by the library that these ids are compared with.
	if got := uuid.NewSHA1(uuid.NameSpaceDNS, []byte("www.example.com")).String(); got != "2ed6657d-e927-568b-95e1-2665a8aea6a2" {
		t.Errorf("got %s", got)
	}
}

// A part holds no line feed unless it is the last; lists of one length then name one thing each.
func TestNoTwoListsOfPartsCollide(t *testing.T) {
	part := rapid.StringMatching(`[a-c ]{0,3}`)
	last := rapid.StringMatching("[a-c\n]{0,4}")
	list := func(n int) *rapid.Generator[[]string] {
		return rapid.Custom(func(t *rapid.T) []string {
			return append(rapid.SliceOfN(part, n-1, n-1).Draw(t, "parts"), last.Draw(t, "last"))
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "length")
		a, b := list(n).Draw(t, "a"), list(n).Draw(t, "b")
		if same := Derive(a...) == Derive(b...); same != slices.Equal(a, b) {
			t.Fatalf("%q and %q: same id %v", a, b, same)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOfN(part, 1, 5).Draw(t, "a"), rapid.SliceOfN(part, 1, 5).Draw(t, "b")
		if same := Derive(a...) == Derive(b...); same != slices.Equal(a, b) {
			t.Fatalf("%q and %q, no line feed in either: same id %v", a, b, same)
		}
	})
}

func TestWhatDiffersHasAnotherID(t *testing.T) {
	e := Derive("event")
	seen := map[ID]string{}
	for name, id := range map[string]ID{
		"demand": DemandFor("wechat", "1"), "other channel": DemandFor("app", "1"), "other number": DemandFor("wechat", "2"),
		"topic": For(Topic, "wechat", "1"), "order": For(Order, "wechat", "1"), "other actor": For(Topic, "app", "1"),
		"caused order": CausedBy(Order, e, 0), "the next": CausedBy(Order, e, 1), "caused dispute": CausedBy(Dispute, e, 0), "by another": CausedBy(Order, Derive("x"), 0),
		"event": Event(Of(Demand, e), "k", 0), "second event": Event(Of(Demand, e), "k", 1), "other key": Event(Of(Demand, e), "k2", 0),
		"other stream": Event(Of(Order, e), "k", 0), "key that looks like an index": Event(Of(Demand, e), "1\nk", 0), "parts moved": DemandFor("wechat1", ""),
	} {
		if other, taken := seen[id]; taken {
			t.Errorf("%s and %s have the id %s", name, other, id)
		}
		seen[id] = name
	}
}

func TestTheCanonicalFormIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		if want.IsZero() {
			return
		}
		got, err := ParseID(want.String())
		if err != nil || got != want {
			t.Fatalf("%s: got %s, %v", want, got, err)
		}
		if library, err := uuid.Parse(want.String()); err != nil || ID(library) != want {
			t.Fatalf("%s: the library reads %s, %v", want, library, err)
		}
	})
}

func TestAnyOtherFormIsRefused(t *testing.T) {
	const good = "3c1f9a52-6d0e-5b7a-9c44-8f2d61e0b5d7"
	if _, err := ParseID(good); err != nil {
		t.Fatal(err)
	}
	bad := []string{"", " " + good, good + " ", good[:35], good + "0", strings.ToUpper(good), "3C" + good[2:], strings.ReplaceAll(good, "-", ""),
		"{" + good + "}", "urn:uuid:" + good, "g" + good[1:], strings.ReplaceAll(good, "-", "_"), "3c1f9a526-d0e-5b7a-9c44-8f2d61e0b5d7",
		"3c1f9a52-6d0e-5b7a-9c44-8f2d61e0b5-7", "é" + good[2:], "３" + good[3:], good[:34] + "0\n", good[:35] + "\x00"}
	for _, s := range bad {
		if id, err := ParseID(s); !errors.Is(err, ErrID) || !id.IsZero() {
			t.Errorf("%q: got %s, %v; want %v", s, id, err, ErrID)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("3c1f9a52-6d0e-5b7a-9c44-8f2d61e0b5d7")
	f.Add("3C1F9A52-6D0E-5B7A-9C44-8F2D61E0B5D7")
	f.Add("00000000-0000-0000-0000-000000000000")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		switch {
		case err != nil && (!errors.Is(err, ErrID) || !id.IsZero()):
			t.Errorf("%q: got %s, %v", s, id, err)
		case err == nil && !id.IsZero() && id.String() != s:
			t.Errorf("%q was read as %s", s, id)
		}
	})
}

func TestAnIDInJSON(t *testing.T) {
	type ref struct {
		ID ID `json:"id,omitzero"`
	}
	for _, want := range []ref{{}, {Derive("x")}} {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if want.ID.IsZero() != (string(b) == "{}") {
			t.Errorf("got %s", b)
		}
		var got ref
		if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Errorf("%s: got %v, %v", b, got, err)
		}
	}
	var id = Derive("before")
	if err := id.UnmarshalText(nil); err != nil || !id.IsZero() {
		t.Errorf("empty text: got %s, %v", id, err)
	}
	if err := json.Unmarshal([]byte(`{"id":"nonsense"}`), new(ref)); !errors.Is(err, ErrID) {
		t.Errorf("got %v, want %v", err, ErrID)
	}
	if got := (ID{}).String(); got != "" {
		t.Errorf("the zero id: got %q", got)
	}
}

func TestNamesSayWhatAStreamIs(t *testing.T) {
	id := Derive("x")
	for _, tt := range []struct {
		name     Name
		text     string
		category Category
		key      string
		id       ID
	}{
		{Of(Demand, id), "gridcase.demand-" + id.String(), Demand, id.String(), id},
		{Of(Order, id), "gridcase.order-" + id.String(), Order, id.String(), id},
		{Keyed(Unit, "150105-d03"), "gridcase.unit-150105-d03", Unit, "150105-d03", ID{}},
		{Keyed(Number, "150105-20261116-1"), "gridcase.numbers-150105-20261116-1", Number, "150105-20261116-1", ID{}},
		{Keyed(Log, ""), "gridcase.integrity-", Log, "", ID{}},
		{"gridcase.integrity", "gridcase.integrity", Log, "", ID{}},
		{"other.demand-7", "other.demand-7", "", "7", ID{}},
		{"", "", "", "", ID{}},
	} {
		if string(tt.name) != tt.text || tt.name.Category() != tt.category || tt.name.Key() != tt.key || tt.name.ID() != tt.id {
			t.Errorf("%s: category %q, key %q, id %s; want %+v", tt.name, tt.name.Category(), tt.name.Key(), tt.name.ID(), tt)
		}
	}
}
