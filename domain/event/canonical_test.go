package event

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// decodeBoth decodes bytes as a stored type both ways. fast says whether the fast decoder took them.
func decodeBoth(t *testing.T, typ string, data []byte) (quick Body, fast bool, general Body, err error) {
	t.Helper()
	zero, known := Example(typ)
	if !known {
		t.Fatalf("no example of %s", typ)
	}
	q := reflect.New(reflect.TypeOf(zero))
	fast = decodeCanonical(data, q.Elem())
	g := reflect.New(reflect.TypeOf(zero))
	err = json.Unmarshal(data, g.Interface())
	return q.Elem().Interface().(Body), fast, g.Elem().Interface().(Body), err
}

// FuzzCanonical: whatever the fast decoder accepts, the general one accepts too, with the same value.
func FuzzCanonical(f *testing.F) {
	types := slices.Collect(Types())
	for i, typ := range types {
		b, _ := Example(typ)
		data, err := Encode(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, data)
	}
	d := due()
	raised, err := Encode(demand.Raised{Kind: "issue", Text: sealed.Cipher(sealed.Prefix + "a256gcm.k.x"), Accept: d,
		Attachments: []demand.Attachment{{Hash: "ab", Type: "image/png", Size: 12}}, SplitFrom: stream.Derive("x"), SplitNo: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slices.Index(types, "demand-raised/1"), raised)
	f.Add(slices.Index(types, "demand-progress-noted/1"), []byte(`{"from":{"stream":"a","revision":-5,"event":"","type":"x"},"summary":"供热 \u4e00"}`))
	f.Add(slices.Index(types, "vote-closed/1"), []byte(`{"electorate":300,"cast":0,"counts":[],"ballots":"","passed":true}`))
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		if i < 0 || i >= len(types) {
			return
		}
		quick, fast, general, err := decodeBoth(t, types[i], data)
		if !fast {
			return
		}
		if err != nil {
			t.Fatalf("%s: the fast decoder took %q, the general one says %v", types[i], data, err)
		}
		if !reflect.DeepEqual(quick, general) {
			t.Errorf("%s: %q\nfast    %#v\ngeneral %#v", types[i], data, quick, general)
		}
	})
}

func due() calendar.Due {
	at := time.Date(2025, 3, 3, 1, 0, 0, 0, time.UTC)
	return calendar.Due{ID: "accept/1/0/1", Clock: calendar.Accept, Kind: calendar.WorkingDays, Amount: 1, StartedAt: at, Due: at.Add(time.Hour),
		OriginalDue: at.Add(time.Hour), Policy: "deadline", PolicyVersion: 1, Calendar: "cn-2026#1", Skipped: []calendar.Date{calendar.DateOf(at)}}
}

// The bytes that Encode writes take the fast path, for every type: else the path is of no use. A scheme's choices are a map,
// which the general decoder reads: a scheme is written a few times a year.
func TestWhatWasWrittenIsReadTheFastWay(t *testing.T) {
	for typ := range Types() {
		if typ == "scheme-drafted/1" || typ == "scheme-amended/1" {
			continue
		}
		b, _ := Example(typ)
		data, err := Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		quick, fast, general, err := decodeBoth(t, typ, data)
		if !fast || err != nil || !reflect.DeepEqual(quick, general) {
			t.Errorf("%s: fast %v, error %v: %s", typ, fast, err, data)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	data, err := Encode(demand.Raised{Kind: "issue", Channel: "wechat", Title: sealed.Cipher(sealed.Prefix + "a256gcm.AAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"),
		Text: sealed.Cipher(sealed.Prefix + "a256gcm.AAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"), Grid: "150105003001001", Unit: "150105003001", Accept: due()})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("fast", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Decode("demand-raised/1", data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("general", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var r demand.Raised
			if err := json.Unmarshal(data, &r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
