package event

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
)

func full() Meta {
	return Meta{Salt: [16]byte{1, 2, 3, 15: 16}, Actor: "k-17", Role: orgs.Clerk, Unit: "150105003001",
		Second: &rule.Actor{ID: "k-18", Role: orgs.CommunitySecretary, Unit: "150105003001"}, Key: "0190-a7", Index: 2,
		Digest: "q83vEjRWeJA", Correlation: stream.Derive("case"), Causation: stream.Derive("cause"),
		Occurred: time.Date(2025, 3, 4, 1, 2, 3, 456e6, time.UTC), Recorded: time.Date(2025, 3, 4, 1, 2, 4, 0, time.UTC),
		Stage: "topic", Schema: 1, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Program: "v1.2.3"}
}

// usual is the metadata of most events: nobody confirmed, and a person began it.
func usual() Meta {
	m := full()
	m.Second, m.Index, m.Causation, m.Trace = nil, 0, stream.ID{}, ""
	return m
}

func TestMetadataInItsOwnFormTakesTheFastPath(t *testing.T) {
	for name, m := range map[string]Meta{"full": full(), "usual": usual(), "least": {Occurred: full().Occurred, Recorded: full().Recorded}} {
		b := EncodeMeta(m)
		got, ok := canonical(b)
		if !ok {
			t.Errorf("%s: the fast path does not take %s", name, b)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%s: got %+v, want %+v", name, got, m)
		}
	}
}

// The leaf of an event finds the salt by its bytes alone: positions 9 to 32, between quotes.
func TestTheSaltStandsWhereTheLeafLooksForIt(t *testing.T) {
	b := string(EncodeMeta(full()))
	if b[:9] != `{"salt":"` || b[9:33] != "AQIDAAAAAAAAAAAAAAAAEA==" || b[33] != '"' {
		t.Errorf("metadata begins %s", b[:40])
	}
}

func TestOtherFormsOfTheSameMetadataReadTheSame(t *testing.T) {
	want := full()
	b := string(EncodeMeta(want))
	for name, other := range map[string]string{
		"spaces":         strings.ReplaceAll(b, `":`, `": `),
		"another order":  strings.Replace(strings.Replace(b, `,"actor":"k-17"`, "", 1), `,"program"`, `,"actor":"k-17","program"`, 1),
		"escapes":        strings.Replace(b, `"k-17"`, `"\u006b-17"`, 1),
		"another member": strings.Replace(b, `,"stage"`, `,"later":1,"stage"`, 1),
		"a longer time":  strings.Replace(b, `03.456Z`, `03.456000Z`, 1),
		"another zone":   strings.Replace(b, `2025-03-04T01:02:03.456Z`, `2025-03-04T09:02:03.456+08:00`, 1),
	} {
		if _, fast := canonical([]byte(other)); fast {
			t.Errorf("%s: the fast path takes %s", name, other)
		}
		got, err := DecodeMeta([]byte(other))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestForeignMetadataIsRefused(t *testing.T) {
	for _, bad := range []string{"", "{", `{"salt":"AA=="}`, `{"salt":7}`, `{"occurred_at":"yesterday"}`, `{"correlation":"x"}`, `[]`} {
		if m, err := DecodeMeta([]byte(bad)); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, m)
		}
	}
}

func metas(t *rapid.T) Meta {
	word := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-z0-9:./-]{1,20}`), rapid.String())
	at := func(label string) time.Time {
		return time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, label)).UTC() // up to the year 9999
	}
	id := func(label string) (x stream.ID) {
		if rapid.Bool().Draw(t, label) {
			x = stream.Derive(label)
		}
		return x
	}
	m := Meta{Actor: word.Draw(t, "actor"), Role: orgs.Role(word.Draw(t, "role")), Unit: orgs.UnitCode(word.Draw(t, "unit")),
		Key: word.Draw(t, "key"), Index: rapid.IntRange(0, 999).Draw(t, "index"), Digest: word.Draw(t, "digest"),
		Correlation: id("correlation"), Causation: id("causation"), Occurred: at("occurred"), Recorded: at("recorded"),
		Stage: word.Draw(t, "stage"), Schema: rapid.IntRange(0, 99).Draw(t, "schema"), Trace: word.Draw(t, "trace"), Program: word.Draw(t, "program")}
	copy(m.Salt[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "salt"))
	if second := word.Draw(t, "second"); second != "" {
		m.Second = &rule.Actor{ID: second, Role: orgs.Role(word.Draw(t, "second role")), Unit: orgs.UnitCode(word.Draw(t, "second unit"))}
	}
	return m
}

func TestMetadataComesBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := metas(t)
		b := EncodeMeta(want)
		got, err := DecodeMeta(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v from %s", got, want, b)
		}
	})
}

// Whatever the fast path takes, the general decoder reads the same way, and writing it again gives the same bytes.
func FuzzMeta(f *testing.F) {
	f.Add(EncodeMeta(full()))
	f.Add(EncodeMeta(usual()))
	f.Add(EncodeMeta(Meta{}))
	for _, seed := range []string{
		`{"salt":"AQIDAAAAAAAAAAAAAAAAEA==","actor":""}`,
		`{"salt":"AQIDAAAAAAAAAAAAAAAAEA==","index":007}`,
		`{"salt":"AQIDAAAAAAAAAAAAAAAAEA==","index":9999999999}`,
		`{"salt":"AQIDAAAAAAAAAAAAAAAAEA==","second_role":"clerk"}`,
		`{"salt":"AQIDAAAAAAAAAAAAAAAAEA==","occurred_at":"2025-02-29T00:00:00.000Z"}`,
		`{"salt":"AQIDAAAAAAAAAAAAAAAAEA==","occurred_at":"2025-03-04T24:00:00.000Z"}`,
		`{"salt":"AQIDAAAAAAAAAAAAAAAAEB==","actor":"a"}`,
		`{"salt":"AQIDAAAAAAAAAAAAAAAAEA==AAAA","actor":"a"}`,
		"{\"salt\":\"AQIDAAAAAAAA\\nAAAAAAAAEA==\"}",
		`{"salt":"AQIDAAAAAAAAAAAAAAAAEA==","actor":"a` + "\x7f" + `"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fast, ok := canonical(data)
		if !ok {
			return
		}
		general, err := generalMeta(data)
		if err != nil {
			t.Fatalf("the fast path takes %q, the general decoder says %v", data, err)
		}
		if !reflect.DeepEqual(fast, general) {
			t.Fatalf("%q: fast path\n%+v, general decoder\n%+v", data, fast, general)
		}
	})
}

// generalMeta reads metadata without the fast path: a space in front keeps it away.
func generalMeta(data []byte) (Meta, error) { return DecodeMeta(append([]byte(" "), data...)) }

func BenchmarkDecodeMeta(b *testing.B) {
	data := EncodeMeta(usual())
	b.Run("fast", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := canonical(data); !ok {
				b.Fatal("not the fast path")
			}
		}
	})
	b.Run("general", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var s stored
			if err := json.Unmarshal(data, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
