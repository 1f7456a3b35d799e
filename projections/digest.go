package projections

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"gridcase/eventlog"
)

// Digest returns for each view the SHA-256, hexadecimal, over all its rows in the order of their keys, and the position at which that is
// so. Equal logs give equal digests at equal positions, on every node. It reads everything, from one snapshot.
func (v *Views) Digest(ctx context.Context) (digests map[string]string, at eventlog.Position, err error) {
	g, err := v.runner.acquire()
	if err != nil {
		return nil, 0, err
	}
	defer g.release()
	tx, err := g.reading.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, 0, fmt.Errorf("digest: %w", damage(err))
	}
	defer tx.Rollback()
	return digestOf(ctx, tx, v.runner.views)
}

// digestOf is what [Views.Digest] returns, of the file that a transaction reads.
func digestOf(ctx context.Context, tx *sql.Tx, views []View) (digests map[string]string, at eventlog.Position, err error) {
	var position int64
	if err := tx.QueryRowContext(ctx, "SELECT position FROM generation").Scan(&position); err != nil {
		return nil, 0, fmt.Errorf("digest: %w", damage(err))
	}
	digests = map[string]string{}
	for _, view := range views {
		h := sha256.New()
		for _, t := range view.Tables() {
			fmt.Fprintf(h, "%s\n", t.create())
			rows, err := tx.QueryContext(ctx, fmt.Sprintf("SELECT * FROM %s ORDER BY %s", t.Name, strings.Join(t.names(t.Key), ", ")))
			if err != nil {
				return nil, 0, fmt.Errorf("digest of %s: %w", t.Name, damage(err))
			}
			var b []byte
			for rows.Next() {
				row, err := scanRow(rows, &t)
				if err != nil {
					return nil, 0, errors.Join(fmt.Errorf("digest of %s: %w", t.Name, err), rows.Close())
				}
				h.Write(appendRow(b[:0], row))
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				return nil, 0, fmt.Errorf("digest of %s: %w", t.Name, damage(err))
			}
		}
		digests[view.Name()] = hex.EncodeToString(h.Sum(nil))
	}
	return digests, eventlog.Position(position), nil
}

// appendRow writes values so that no two rows of a table read alike.
func appendRow(b []byte, row []any) []byte {
	for _, v := range row {
		switch v := v.(type) {
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		case string:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
		case []byte:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
		}
	}
	return b
}
