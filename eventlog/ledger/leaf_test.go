package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/ledger"
)

const salted = `{"salt":"AAECAwQFBgcICQoLDA0ODw==","actor":"u-1"}`

type vector struct {
	Name        string            `json:"name"`
	Stream      string            `json:"stream"`
	Revision    eventlog.Revision `json:"revision"`
	ID          uuid.UUID         `json:"id"`
	Type        string            `json:"type"`
	ContentType string            `json:"content_type"`
	Data        string            `json:"data"`
	Meta        string            `json:"meta"`
	LeafSize    int               `json:"leaf_size"`
	LeafHash    []byte            `json:"leaf_hash"`
}

// vectors reads the frozen leaves of version 1. They hold for ever: a change here is a new leaf version.
func vectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/leaf-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(b, &vs); err != nil {
		t.Fatal(err)
	}
	if len(vs) != 3 {
		t.Fatalf("got %d frozen vectors, want 3", len(vs))
	}
	return vs
}

func TestLeafVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			hash := ledger.LeafHash(v.Stream, v.Revision, v.ID, v.Type, v.ContentType, []byte(v.Data), []byte(v.Meta))
			if !bytes.Equal(hash[:], v.LeafHash) {
				t.Errorf("leaf hash: got %s, want %s", b64(hash[:]), b64(v.LeafHash))
			}
			leaf := ledger.LeafOf(eventlog.Event{
				Fact:   eventlog.Fact{ID: v.ID, Type: v.Type, Data: []byte(v.Data), Meta: []byte(v.Meta)},
				Stream: v.Stream, Revision: v.Revision, Position: 99, // the position must not matter
			})
			if got := leaf.Hash(); got != hash {
				t.Errorf("LeafOf: got hash %s, want %s", b64(got[:]), b64(hash[:]))
			}
			if got := len(leaf.Append(nil)); got != v.LeafSize {
				t.Errorf("leaf size: got %d bytes, want %d", got, v.LeafSize)
			}
		})
	}
}

// The reference below is written from the format alone, byte by byte, and shares no code with the package.
func reference(stream string, revision uint64, id [16]byte, typ, contentType string, salt, data, meta []byte) []byte {
	var b bytes.Buffer
	field := func(x []byte) {
		binary.Write(&b, binary.BigEndian, uint32(len(x)))
		b.Write(x)
	}
	d := sha256.Sum256(bytes.Join([][]byte{[]byte("d"), salt, data}, nil))
	m := sha256.Sum256(append([]byte("m"), meta...))
	b.WriteString("\x00gridcase-leaf/v1\n")
	field([]byte(stream))
	field(binary.BigEndian.AppendUint64(nil, revision))
	field(id[:])
	field([]byte(typ))
	field([]byte(contentType))
	field(d[:])
	field(m[:])
	sum := sha256.Sum256(b.Bytes())
	return sum[:]
}

func TestSaltIsReadByARuleOnBytes(t *testing.T) {
	salt := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	for _, c := range []struct {
		name, meta string
		salt       []byte
	}{
		{"the salt is the first member", salted, salt},
		{"the salt is the only member", `{"salt":"AAECAwQFBgcICQoLDA0ODw=="}`, salt},
		{"what follows need not be JSON", `{"salt":"AAECAwQFBgcICQoLDA0ODw=="` + "\xff", salt},
		{"the metadata end at the closing quotation mark", `{"salt":"AAECAwQFBgcICQoLDA0ODw=="`, salt},
		{"the closing quotation mark is missing", `{"salt":"AAECAwQFBgcICQoLDA0ODw==`, nil},
		{"the salt is the second member", `{"actor":"u-1","salt":"AAECAwQFBgcICQoLDA0ODw=="}`, nil},
		{"a space after the brace", `{ "salt":"AAECAwQFBgcICQoLDA0ODw=="}`, nil},
		{"15 bytes", `{"salt":"AAECAwQFBgcICQoLDA0O"}`, nil},
		{"17 bytes", `{"salt":"AAECAwQFBgcICQoLDA0ODxA="}`, nil},
		{"18 bytes fill the 24 characters", `{"salt":"AAECAwQFBgcICQoLDA0ODxAR"}`, nil},
		{"trailing bits are not zero", `{"salt":"AAECAwQFBgcICQoLDA0ODx=="}`, nil},
		{"no padding", `{"salt":"AAECAwQFBgcICQoLDA0ODwAA"}`, nil},
		{"URL alphabet", `{"salt":"AAECAwQFBgcICQoLDA0-_w=="}`, nil},
		{"a line break among the characters", `{"salt":"AAECAwQFBgcICQoLDA0OD` + "\n" + `w="}`, nil},
		{"a line break in place of padding", `{"salt":"AAECAwQFBgcICQoLDA0ODw` + "\n\n" + `"}`, nil},
		{"no metadata", ``, nil},
		{"an empty object", `{}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := uuid.MustParse("00000000-0000-5000-8000-000000000001")
			got := ledger.LeafHash("gridcase.x-1", 7, id, "x-done/1", "application/json", []byte("{}"), []byte(c.meta))
			want := reference("gridcase.x-1", 7, id, "x-done/1", "application/json", c.salt, []byte("{}"), []byte(c.meta))
			if !bytes.Equal(got[:], want) {
				t.Errorf("metadata %q: got %s, want %s (salt %x)", c.meta, b64(got[:]), b64(want), c.salt)
			}
		})
	}
}

// Fields carry their lengths, so moving a byte over a border gives another leaf; and no field is left out.
func TestEveryFieldCounts(t *testing.T) {
	id := uuid.MustParse("00000000-0000-5000-8000-000000000001")
	hash := func(stream string, rev eventlog.Revision, id uuid.UUID, typ, ct, data, meta string) [32]byte {
		return ledger.LeafHash(stream, rev, id, typ, ct, []byte(data), []byte(meta))
	}
	seen := map[[32]byte]string{}
	for name, h := range map[string][32]byte{
		"as it is":           hash("gridcase.x", 1, id, "a/1", "application/json", "{}", salted),
		"stream":             hash("gridcase.y", 1, id, "a/1", "application/json", "{}", salted),
		"revision":           hash("gridcase.x", 2, id, "a/1", "application/json", "{}", salted),
		"id":                 hash("gridcase.x", 1, uuid.Nil, "a/1", "application/json", "{}", salted),
		"type":               hash("gridcase.x", 1, id, "a/2", "application/json", "{}", salted),
		"content type":       hash("gridcase.x", 1, id, "a/1", "application/cbor", "{}", salted),
		"data":               hash("gridcase.x", 1, id, "a/1", "application/json", "{ }", salted),
		"metadata":           hash("gridcase.x", 1, id, "a/1", "application/json", "{}", salted+" "),
		"type moved a byte":  hash("gridcase.x", 1, id, "a/1a", "pplication/json", "{}", salted),
		"no metadata at all": hash("gridcase.x", 1, id, "a/1", "application/json", "{}", ""),
	} {
		if other, ok := seen[h]; ok {
			t.Errorf("%q and %q have the same leaf", name, other)
		}
		seen[h] = name
	}
}

func TestLeafHashDoesNotAllocate(t *testing.T) {
	id := uuid.MustParse("00000000-0000-5000-8000-000000000001")
	data, meta := []byte(strings.Repeat("x", 600)), []byte(salted)
	if n := testing.AllocsPerRun(100, func() {
		ledger.LeafHash("gridcase.demand-00000000-0000-5000-8000-000000000001", 3, id, "demand-raised/1", eventlog.ContentType, data, meta)
	}); n != 0 {
		t.Errorf("got %v allocations per leaf, want 0", n)
	}
}

func BenchmarkLeafHash(b *testing.B) {
	id := uuid.MustParse("00000000-0000-5000-8000-000000000001")
	data, meta := []byte(strings.Repeat("x", 310)), []byte(salted+strings.Repeat("y", 100))
	b.ReportAllocs()
	for b.Loop() {
		ledger.LeafHash("gridcase.demand-00000000-0000-5000-8000-000000000001", 3, id, "demand-raised/1", eventlog.ContentType, data, meta)
	}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
