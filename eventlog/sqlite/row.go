package sqlite

import (
	"crypto/sha256"
	"crypto/subtle"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
)

// rowPrefix separates the checksum of a row from every other hash, and names its version.
const rowPrefix = "gridcase-row/1\n"

// checksum returns the SHA-256 of a row over all its columns, the stream by its name:
//
//	rowPrefix ‖ u64be position ‖ u64be revision ‖ u64be logged_at ‖ id (16 bytes) ‖ F(stream) ‖ F(type) ‖ F(data) ‖ F(meta)
//	F(x) = u32be(len x) ‖ x
//
// It finds bytes that rotted or were changed by something that does not know it. It is no signature: whoever can
// write the file can write a checksum too. Package ledger is for that.
// Scratch is memory that may be used and is returned for the next call.
func checksum(scratch []byte, e *eventlog.Event) (sum [sha256.Size]byte, _ []byte) {
	b := append(scratch[:0], rowPrefix...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Position))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Revision))
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMicro()))
	b = append(b, e.ID[:]...)
	b = appendField(b, e.Stream)
	b = appendField(b, e.Type)
	b = appendField(b, e.Data)
	b = appendField(b, e.Meta)
	return sha256.Sum256(b), b
}

func appendField[T string | []byte](dst []byte, field T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(field)))
	return append(dst, field...)
}

// columns are what decoder.event expects, in its order. The text is cast so that it arrives as bytes.
const columns = `e.position, s.name, e.revision, e.id, e.type, CAST(e.data AS BLOB), CAST(e.meta AS BLOB), e.logged_at, e.checksum`

const columnCount = 9

// decoder turns rows into events and checks each of them.
type decoder struct {
	row     [columnCount]driver.Value
	scratch []byte
}

// event returns the event of the row. It returns [eventlog.ErrCorrupt] if the bytes are not those that were
// written; the error names the event and never shows its content.
func (d *decoder) event() (eventlog.Event, error) {
	position, ok0 := d.row[0].(int64)
	stream, ok1 := d.row[1].(string)
	revision, ok2 := d.row[2].(int64)
	id, ok3 := d.row[3].([]byte)
	typ, ok4 := d.row[4].(string)
	data, ok5 := d.row[5].([]byte)
	meta, ok6 := d.row[6].([]byte)
	at, ok7 := d.row[7].(int64)
	stored, ok8 := d.row[8].([]byte)
	e := eventlog.Event{
		Fact:     eventlog.Fact{Type: typ, Data: data, Meta: meta},
		Stream:   stream,
		Revision: eventlog.Revision(revision),
		Position: eventlog.Position(position),
		At:       time.UnixMicro(at).UTC(),
	}
	if !(ok0 && ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7 && ok8) || len(id) != len(uuid.UUID{}) {
		return eventlog.Event{}, corrupt(e)
	}
	copy(e.ID[:], id)
	var sum [sha256.Size]byte
	sum, d.scratch = checksum(d.scratch, &e)
	if subtle.ConstantTimeCompare(sum[:], stored) != 1 {
		return eventlog.Event{}, corrupt(e)
	}
	return e, nil
}

func corrupt(e eventlog.Event) error {
	return fmt.Errorf("position %d, revision %d of stream %q: %w", e.Position, e.Revision, e.Stream, eventlog.ErrCorrupt)
}
