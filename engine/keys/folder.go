package keys

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// folder keeps keys on this machine: kek.key and index.key (0600), keys.db with the wrapped keys, service.key.
type folder struct {
	dir    string
	db     *sql.DB // commits are on disk when they return
	lazy   *sql.DB // the same file; commits are on disk a little later: for what the log tells again
	kek    cipher.AEAD
	master [32]byte // of everything derived that is no key of a person
	open   *os.File // lock file: held by every process that has the folder open
	before int64    // the last key that was made before this process came
	whole  bool     // a test sweeps as if nobody else held any key
}

// Keys are numbered in the order they were made, so that making and assigning them touches neighbouring pages; a number is
// never used twice. The erased row stays for ever as a tombstone. What was lent went to a node elsewhere, batch by batch: numbers from
// first to last. Whether such a node lives can not be told from here.
const schema = `
CREATE TABLE IF NOT EXISTS keys (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	kid       TEXT NOT NULL,
	subject   TEXT NOT NULL,
	stream    TEXT NOT NULL DEFAULT '',
	part      TEXT NOT NULL DEFAULT '',
	state     TEXT NOT NULL CHECK (state IN ('pooled','live','restricted','erased')),
	wrapped   BLOB,
	epoch     INTEGER NOT NULL,
	erased_at TEXT,
	reason    TEXT,
	event     TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS followed (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO followed VALUES (1, 0);
CREATE TABLE IF NOT EXISTS lent (batch TEXT PRIMARY KEY, first INTEGER NOT NULL UNIQUE, last INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS keys_by_case ON keys (stream, part) WHERE state <> 'pooled';
CREATE INDEX IF NOT EXISTS keys_pooled ON keys (id) WHERE state = 'pooled';
PRAGMA user_version = 2;`

// kid makes the name of the key with a number: 8 bytes of number, 4 random ones, in base64url.
func kid(number int64) string {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], uint64(number))
	rand.Read(b[8:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// number reads the number out of a key's name, 0 if it is none.
func number(kid string) int64 {
	b, err := base64.RawURLEncoding.DecodeString(kid)
	if err != nil || len(b) != 12 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

func openFolder(ctx context.Context, dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("key folder: %w", err)
	}
	// Before the first key is made: whoever is alone throws away the keys that nobody uses.
	lock, err := os.OpenFile(filepath.Join(dir, "open.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("key folder: %w", err)
	}
	if err := share(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("key folder: %w", err), lock.Close())
	}
	f, err := openHeld(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	f.open = lock
	return f, nil
}

func openHeld(ctx context.Context, dir string) (*folder, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "keys.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=secure_delete(ON)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	lazy, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "keys.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=secure_delete(ON)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("key store: %w", err), db.Close())
	}
	f := &folder{dir: dir, db: db, lazy: lazy}
	var version int
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	if err == nil && version > 2 {
		err = fmt.Errorf("keys.db has format %d: it is of a newer program", version)
	}
	if err == nil {
		_, err = db.ExecContext(ctx, schema)
	}
	if err == nil {
		f.before, err = last(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("key store: %w", err), lazy.Close(), db.Close())
	}
	kek, err := secret(filepath.Join(dir, "kek.key"), f.before > 0)
	if err == nil {
		f.master, err = secret(filepath.Join(dir, "index.key"), f.before > 0)
	}
	if err == nil {
		f.kek, err = aead(kek)
	}
	if err != nil {
		return nil, errors.Join(err, lazy.Close(), db.Close())
	}
	return f, nil
}

// last is the number of the newest key, 0 if none was made yet.
func last(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (n int64, err error) {
	err = db.QueryRowContext(ctx, "SELECT seq FROM sqlite_sequence WHERE name = 'keys'").Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// secret reads a key file, or makes it if it may be made: never beside keys that were wrapped with another one.
func secret(path string, mustExist bool) (k [32]byte, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !mustExist {
		if _, err := rand.Read(k[:]); err != nil {
			return k, err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return k, err
		}
		_, err = f.WriteString(hex.EncodeToString(k[:]) + "\n")
		return k, errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return k, fmt.Errorf("key file: %w", err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || copy(k[:], raw) != 32 {
		return k, fmt.Errorf("key file %s: want 64 hexadecimal digits", path)
	}
	return k, nil
}

func away(err error) error { return fmt.Errorf("%w: %w", ErrAway, err) }

func (f *folder) secret(context.Context) ([32]byte, error) { return f.master, nil }

func (f *folder) make(ctx context.Context, n int) ([]Key, error) { return f.commit(ctx, n, "") }

// commit makes n keys. When it returns they are on disk. If they are lent, the batch has a name that the borrower made up: asked for
// again, because the answer was lost, it is the same keys.
func (f *folder) commit(ctx context.Context, n int, batch string) ([]Key, error) {
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, away(err)
	}
	defer tx.Rollback()
	if batch != "" {
		var from, to int64
		switch err := tx.QueryRowContext(ctx, "SELECT first, last FROM lent WHERE batch = ?", batch).Scan(&from, &to); {
		case err == nil:
			return f.between(ctx, tx, from, to)
		case !errors.Is(err, sql.ErrNoRows):
			return nil, away(err)
		}
	}
	number, err := last(ctx, tx)
	if err != nil {
		return nil, away(err)
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO keys (id, kid, subject, state, wrapped, epoch) VALUES (?,?,?,'pooled',?,1)")
	if err != nil {
		return nil, away(err)
	}
	made := make([]Key, n)
	for i := range made {
		var subject [12]byte
		rand.Read(subject[:])
		rand.Read(made[i].dek[:])
		number++
		made[i].ID = kid(number)
		wrapped := f.kek.Seal(nil, nil, made[i].dek[:], []byte(made[i].ID))
		if _, err := insert.ExecContext(ctx, number, made[i].ID, hex.EncodeToString(subject[:]), wrapped); err != nil {
			return nil, away(err)
		}
	}
	if batch != "" {
		if _, err := tx.ExecContext(ctx, "INSERT INTO lent VALUES (?,?,?)", batch, number-int64(n)+1, number); err != nil {
			return nil, away(err)
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, away(err)
	}
	return made, nil
}

// between returns the keys of a batch that are on disk already.
func (f *folder) between(ctx context.Context, tx *sql.Tx, from, to int64) (lent []Key, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT kid, wrapped FROM keys WHERE state = 'pooled' AND id BETWEEN ? AND ? ORDER BY id", from, to)
	if err != nil {
		return nil, away(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var wrapped []byte
		if err := rows.Scan(&id, &wrapped); err != nil {
			return nil, away(err)
		}
		k, err := f.unwrap(id, wrapped)
		if err != nil {
			return nil, err
		}
		lent = append(lent, k)
	}
	if err := rows.Err(); err != nil {
		return nil, away(err)
	}
	return lent, nil
}

func (f *folder) giveBack(ctx context.Context, unused []Key) error {
	ids, kids := make([]int64, len(unused)), make([]string, len(unused))
	for i, k := range unused {
		ids[i], kids[i] = number(k.ID), k.ID
	}
	which, err := json.Marshal([]any{ids, kids})
	if err != nil {
		return err
	}
	_, err = f.db.ExecContext(ctx, `DELETE FROM keys WHERE state = 'pooled' AND id IN (SELECT value FROM json_each(?1, '$[0]'))
		AND kid IN (SELECT value FROM json_each(?1, '$[1]'))`, string(which))
	if err != nil {
		return away(err)
	}
	return nil
}

func (f *folder) unwrap(id string, wrapped []byte) (k Key, err error) {
	dek, err := f.kek.Open(nil, nil, wrapped, []byte(id))
	if err != nil || copy(k.dek[:], dek) != 32 {
		return Key{}, fmt.Errorf("key %s can not be unwrapped: %w", id, ErrUnknown)
	}
	k.ID = id
	return k, nil
}

func (f *folder) get(ctx context.Context, id string) (Key, error) {
	k, found, err := f.row(ctx, "id = ? AND kid = ?", number(id), id)
	if err == nil && !found {
		return Key{}, fmt.Errorf("key %s: %w", id, ErrUnknown)
	}
	return k, err
}

func (f *folder) find(ctx context.Context, n stream.Name, part string) (Key, bool, error) {
	return f.row(ctx, "stream = ? AND part = ? AND state <> 'pooled'", string(n), part)
}

func (f *folder) row(ctx context.Context, which string, args ...any) (Key, bool, error) {
	var wrapped []byte
	var id, state string
	err := f.db.QueryRowContext(ctx, "SELECT kid, state, wrapped FROM keys WHERE "+which, args...).Scan(&id, &state, &wrapped)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Key{}, false, nil
	case err != nil:
		return Key{}, false, away(err)
	case state == "erased":
		return Key{}, true, fmt.Errorf("key %s: %w", id, ErrErased)
	}
	k, err := f.unwrap(id, wrapped)
	return k, true, err
}

func (f *folder) assigned(ctx context.Context) (p eventlog.Position, err error) {
	if err := f.db.QueryRowContext(ctx, "SELECT position FROM followed").Scan(&p); err != nil {
		return 0, away(err)
	}
	return p, nil
}

func (f *folder) assign(ctx context.Context, uses []Use, after, upTo eventlog.Position) (lacked []Use, err error) {
	tx, err := f.lazy.BeginTx(ctx, nil)
	if err != nil {
		return nil, away(err)
	}
	defer tx.Rollback()
	update, err := tx.PrepareContext(ctx, "UPDATE keys SET stream = ?, part = ?, state = 'live' WHERE id = ? AND kid = ? AND state = 'pooled'")
	if err != nil {
		return nil, away(err)
	}
	here, err := tx.PrepareContext(ctx, "SELECT count(*) FROM keys WHERE id = ? AND kid = ?")
	if err != nil {
		return nil, away(err)
	}
	for _, u := range uses {
		done, err := update.ExecContext(ctx, string(u.Stream), u.Part, number(u.Key), u.Key)
		if err != nil {
			return nil, away(err)
		}
		n, err := done.RowsAffected()
		if err == nil && n == 0 { // it was assigned before, by us or by another node, or it is not here
			err = here.QueryRowContext(ctx, number(u.Key), u.Key).Scan(&n)
		}
		if err != nil {
			return nil, away(err)
		}
		if n == 0 {
			lacked = append(lacked, u)
		}
	}
	var at eventlog.Position
	if err := tx.QueryRowContext(ctx, "SELECT position FROM followed").Scan(&at); err != nil {
		return nil, away(err)
	}
	if after <= at && at < upTo {
		if _, err := tx.ExecContext(ctx, "UPDATE followed SET position = ?", int64(upTo)); err != nil {
			return nil, away(err)
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, away(err)
	}
	if after > at {
		return lacked, ErrGap
	}
	return lacked, nil
}

func (f *folder) restart(ctx context.Context) error {
	if _, err := f.db.ExecContext(ctx, "UPDATE followed SET position = 0"); err != nil {
		return away(err)
	}
	return nil
}

func (f *folder) sweep(ctx context.Context) error {
	if f.whole {
		_, err := f.db.ExecContext(ctx, "DELETE FROM keys WHERE state = 'pooled'")
		return err
	}
	mineAlone, err := alone(f.open)
	if err != nil {
		return fmt.Errorf("drop unused keys: %w", err)
	}
	if !mineAlone {
		return nil
	}
	_, err = f.db.ExecContext(ctx, `DELETE FROM keys WHERE state = 'pooled' AND id <= ?
		AND coalesce((SELECT last FROM lent WHERE first <= keys.id ORDER BY first DESC LIMIT 1), 0) < keys.id`, f.before)
	if err != nil {
		err = fmt.Errorf("drop unused keys: %w", err)
	}
	return errors.Join(err, share(f.open))
}

// service keeps one key for each name for ever: it may be another log's, which needs it.
func (f *folder) service(_ context.Context, name, offered string) (private string, err error) {
	sum := sha256.Sum256([]byte(name))
	for _, file := range []string{"service.key", "service-" + hex.EncodeToString(sum[:8]) + ".key"} {
		held, err := f.hold(filepath.Join(f.dir, file), offered)
		if err != nil {
			return "", fmt.Errorf("service key: %w", err)
		}
		if strings.HasPrefix(held, "PRIVATE+KEY+"+name+"+") {
			return held, nil
		}
	}
	return "", errors.New("service key: the folder holds another one by this name")
}

// hold returns what a file holds, which is what is offered if there was none; of several that offer at once, one is heard.
func (f *folder) hold(path, offered string) (string, error) {
	held, err := os.ReadFile(path)
	if !errors.Is(err, os.ErrNotExist) {
		return strings.TrimSpace(string(held)), err
	}
	file, err := os.CreateTemp(f.dir, "service-*.new")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(offered + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	held, err = os.ReadFile(path)
	return strings.TrimSpace(string(held)), err
}

func (f *folder) close() error { return errors.Join(f.lazy.Close(), f.db.Close(), f.open.Close()) }
