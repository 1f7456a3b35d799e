// Package ledger makes a log's history provable: every event is one leaf of a Merkle tree.
//
// # Leaf, version 1
//
// A leaf is a pure function of the bytes the log holds. Nothing is decoded, nothing encoded again, so a
// leaf exists for any bytes and never changes with the program:
//
//	leaf      = "gridcase-leaf/v1\n" ‖ F(stream) ‖ F(u64be revision) ‖ F(id, 16 bytes) ‖ F(type) ‖ F(content type) ‖ F(D) ‖ F(M)
//	F(x)      = u32be(len x) ‖ x
//	D         = SHA-256("d" ‖ salt ‖ data)
//	M         = SHA-256("m" ‖ metadata)
//	leaf hash = SHA-256(0x00 ‖ leaf)    as in RFC 6962
//
// The salt keeps a short payload from being guessed from its digest. It is read from the metadata by a rule
// on bytes: if the metadata begins with {"salt":", its bytes 9 to 32 are the strict padded base64 of
// 16 bytes, and byte 33 is a quotation mark, those 16 bytes are the salt; otherwise the salt is empty.
//
// The position of an event and the time the store gave it are outside the leaf: both change when a log
// is moved to another store.
package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/google/uuid"

	"gridcase/eventlog"
)

const (
	leafPrefix = "gridcase-leaf/v1\n"
	saltPrefix = `{"salt":"`

	saltSize    = 16
	saltEncoded = 24 // padded base64 of saltSize bytes
	leafNode    = 0  // RFC 6962: leaves and inner nodes can never be taken for each other
)

// strictBase64 refuses encodings whose unused trailing bits are not zero, so one salt has one spelling.
var strictBase64 = base64.StdEncoding.Strict()

// Leaf is what one event contributes to the tree. Data and Meta are digests, so the leaf of an event can be
// computed by somebody from whom its content is withheld.
type Leaf struct {
	Stream      string
	Revision    eventlog.Revision
	ID          uuid.UUID
	Type        string
	ContentType string
	Data        [sha256.Size]byte // see DataDigest
	Meta        [sha256.Size]byte // see MetaDigest
}

// LeafOf returns the leaf of an event of the log, all of which have [eventlog.ContentType].
func LeafOf(e eventlog.Event) Leaf {
	return Leaf{
		Stream: e.Stream, Revision: e.Revision, ID: e.ID, Type: e.Type, ContentType: eventlog.ContentType,
		Data: DataDigest(e.Data, e.Meta), Meta: MetaDigest(e.Meta),
	}
}

// LeafHash returns the leaf hash of the event with these fields. It costs one SHA-256 over data, one over
// meta and one over about 220 bytes, and does not allocate for events of ordinary size.
func LeafHash(stream string, revision eventlog.Revision, id uuid.UUID, typ, contentType string, data, meta []byte) [sha256.Size]byte {
	return Leaf{stream, revision, id, typ, contentType, DataDigest(data, meta), MetaDigest(meta)}.Hash()
}

// Append appends the bytes of the leaf to dst.
func (l Leaf) Append(dst []byte) []byte {
	dst = append(dst, leafPrefix...)
	dst = appendField(dst, l.Stream)
	dst = binary.BigEndian.AppendUint32(dst, 8)
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.Revision))
	dst = appendField(dst, l.ID[:])
	dst = appendField(dst, l.Type)
	dst = appendField(dst, l.ContentType)
	dst = appendField(dst, l.Data[:])
	return appendField(dst, l.Meta[:])
}

// Hash returns the leaf hash.
func (l Leaf) Hash() [sha256.Size]byte {
	var scratch [512]byte
	return sha256.Sum256(l.Append(append(scratch[:0], leafNode)))
}

// DataDigest returns D: the digest of an event's data, salted from its metadata.
func DataDigest(data, meta []byte) [sha256.Size]byte {
	var salt [saltSize]byte
	var scratch [1024]byte
	b := append(scratch[:0], 'd')
	if readSalt(&salt, meta) {
		b = append(b, salt[:]...)
	}
	return sha256.Sum256(append(b, data...))
}

// MetaDigest returns M: the digest of an event's metadata.
func MetaDigest(meta []byte) [sha256.Size]byte {
	var scratch [1024]byte
	return sha256.Sum256(append(append(scratch[:0], 'm'), meta...))
}

// readSalt reads the salt by the rule on bytes and reports whether there is one.
func readSalt(salt *[saltSize]byte, meta []byte) bool {
	const end = len(saltPrefix) + saltEncoded
	if len(meta) <= end || !bytes.HasPrefix(meta, []byte(saltPrefix)) || meta[end] != '"' {
		return false
	}
	var decoded [saltEncoded]byte // the decoder may write more than it reports
	// The decoder skips line breaks; with one among the 24 characters the result is too short.
	n, err := strictBase64.Decode(decoded[:], meta[len(saltPrefix):end])
	if err != nil || n != saltSize {
		return false
	}
	copy(salt[:], decoded[:])
	return true
}

func appendField[T string | []byte](dst []byte, field T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(field)))
	return append(dst, field...)
}
