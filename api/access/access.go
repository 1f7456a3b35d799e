// Package access keeps the keys of machines and desks: who may act, in which role, at which unit, until when.
//
// A key is gck_<id>_<secret><crc>: id is 12 and secret 32 characters of lower-case base 32 (60 and 160 random
// bits), crc is the CRC-32 (IEEE) of all before it, 8 hexadecimal digits, so that a mistyped or shortened key
// is told from a wrong one without asking the store, and scanners for leaked secrets recognise it. The store
// holds the SHA-256 of the secret: at 160 random bits a slow hash would add nothing.
//
// Several processes may open the file at once: a key made or revoked by one is known to the others within
// [CacheLife]. Who was allowed what, when, is also in the log; the server records it before a key is first used.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

var (
	// ErrUnknown: no such key, or its secret is wrong; which of the two is not told.
	ErrUnknown = errors.New("unknown key")
	// ErrExpired: the key was good once.
	ErrExpired = errors.New("the key has expired")
	// ErrRevoked: the key was taken back.
	ErrRevoked = errors.New("the key was revoked")
)

// CacheLife is how long a revocation may stay unnoticed.
const CacheLife = 5 * time.Second

// cacheSize bounds the number of keys remembered; beyond it all are forgotten and looked up again.
const cacheSize = 10_000

const (
	prefix    = "gck_"
	idSize    = 12
	bodySize  = 32 // characters of the secret
	checkSize = 8
)

// Key says what a key is good for, never the key itself.
type Key struct {
	ID      string
	Role    orgs.Role
	Unit    orgs.UnitCode
	Made    time.Time
	Until   time.Time // the first instant at which it is no longer good
	Revoked bool
}

// Actor returns who acts with the key. The id names the key, not a person.
func (k Key) Actor() rule.Actor {
	return rule.Actor{ID: "key-" + k.ID, Role: k.Role, Unit: k.Unit}
}

// Store is a file of keys. It is safe for concurrent use.
type Store struct {
	db *sql.DB

	mu   sync.Mutex
	seen map[string]seen // by the whole key
}

type seen struct {
	key Key
	at  time.Time
}

const schema = `
CREATE TABLE IF NOT EXISTS keys (
	id      TEXT PRIMARY KEY,
	role    TEXT NOT NULL,
	unit    TEXT NOT NULL,
	secret  BLOB NOT NULL CHECK (length(secret) = 32),
	made    INTEGER NOT NULL,
	until   INTEGER NOT NULL,
	revoked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;`

// Open opens the file, or makes it.
func Open(ctx context.Context, path string) (*Store, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, fmt.Errorf("access keys: %w", err)
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("access keys: %w", err), db.Close())
	}
	return &Store{db: db, seen: map[string]seen{}}, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Create makes a key that is good until an instant. It is the only time the key can be read; id names it from
// then on. It is on disk when Create returns.
func (s *Store) Create(ctx context.Context, role orgs.Role, unit orgs.UnitCode, until time.Time) (key, id string, err error) {
	var random [28]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	id = alphabet.EncodeToString(random[:8])[:idSize]
	body := alphabet.EncodeToString(random[8:])
	hash := sha256.Sum256([]byte(body))
	_, err = s.db.ExecContext(ctx, "INSERT INTO keys (id, role, unit, secret, made, until) VALUES (?,?,?,?,?,?)",
		id, string(role), string(unit), hash[:], time.Now().UnixMilli(), until.UnixMilli())
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	return sign(prefix + id + "_" + body), id, nil
}

func sign(s string) string { return s + fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(s))) }

// parse takes a key apart, and refuses what no store could have made.
func parse(key string) (id, body string, err error) {
	if len(key) != len(prefix)+idSize+1+bodySize+checkSize || !strings.HasPrefix(key, prefix) ||
		sign(key[:len(key)-checkSize]) != key {
		return "", "", ErrUnknown
	}
	id, body, _ = strings.Cut(key[len(prefix):len(key)-checkSize], "_")
	return id, body, nil
}

// Lookup returns what a key is good for. It returns [ErrUnknown]; [ErrExpired] or [ErrRevoked] together with the
// key, so that the end of the grant can be recorded. It costs one read of the file, at most once per [CacheLife].
func (s *Store) Lookup(ctx context.Context, key string) (Key, error) {
	id, body, err := parse(key)
	if err != nil {
		return Key{}, err
	}
	now := time.Now()
	s.mu.Lock()
	known, here := s.seen[key]
	s.mu.Unlock()
	if !here || now.Sub(known.at) >= CacheLife || now.Before(known.at) {
		hash := sha256.Sum256([]byte(body))
		k, secret, err := s.read(ctx, id)
		if err != nil {
			return Key{}, err
		}
		if subtle.ConstantTimeCompare(hash[:], secret) != 1 {
			return Key{}, ErrUnknown
		}
		known = seen{k, now}
		s.mu.Lock()
		if len(s.seen) >= cacheSize {
			clear(s.seen)
		}
		s.seen[key] = known
		s.mu.Unlock()
	}
	switch {
	case known.key.Revoked:
		return known.key, ErrRevoked
	case !now.Before(known.key.Until):
		return known.key, ErrExpired
	}
	return known.key, nil
}

const columns = "id, role, unit, made, until, revoked"

func scan(row interface{ Scan(...any) error }, more ...any) (k Key, err error) {
	var made, until int64
	err = row.Scan(append([]any{&k.ID, &k.Role, &k.Unit, &made, &until, &k.Revoked}, more...)...)
	k.Made, k.Until = time.UnixMilli(made).UTC(), time.UnixMilli(until).UTC()
	return k, err
}

func (s *Store) read(ctx context.Context, id string) (k Key, secret []byte, err error) {
	k, err = scan(s.db.QueryRowContext(ctx, "SELECT "+columns+", secret FROM keys WHERE id = ?", id), &secret)
	if errors.Is(err, sql.ErrNoRows) {
		return Key{}, nil, ErrUnknown
	}
	if err != nil {
		return Key{}, nil, fmt.Errorf("look up key %s: %w", id, err)
	}
	return k, secret, nil
}

// Revoke takes a key back. Revoking it again does nothing. It returns [ErrUnknown].
func (s *Store) Revoke(ctx context.Context, id string) error {
	r, err := s.db.ExecContext(ctx, "UPDATE keys SET revoked = 1 WHERE id = ?", id)
	if err != nil {
		return fmt.Errorf("revoke key %s: %w", id, err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(fmt.Errorf("revoke key %s: %w", id, ErrUnknown), err)
	}
	s.mu.Lock()
	clear(s.seen)
	s.mu.Unlock()
	return nil
}

// List returns all keys ever made, the newest first.
func (s *Store) List(ctx context.Context) ([]Key, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+columns+" FROM keys ORDER BY made DESC, id")
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	defer rows.Close()
	var all []Key
	for rows.Next() {
		k, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list keys: %w", err)
		}
		all = append(all, k)
	}
	return all, rows.Err()
}
