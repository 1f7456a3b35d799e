// Package keys holds the keys of personal data, apart from the log: one random key per case and person.
//
// Destroying a key makes that person's part of that case unreadable for good, without touching an event.
// Each key is wrapped under a key-encryption key that lives in a file of its own; the database holds only
// wrapped keys. Loss of either makes all personal data unreadable: they are backed up apart from the log.
//
// What is true if we die: a key is on disk before any event can use it, because only keys from a pool that
// was committed earlier are handed out. Which case a key belongs to is learnt again from the log
// ([Store.Assign]), so handing one out costs no write of its own.
//
// Nodes on one machine share a folder: each has a pool of its own, and no one of them throws away what may be another's.
package keys

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

var (
	// ErrUnknown: no such key. Usually the wrong key folder; never to be taken for an erased key.
	ErrUnknown = errors.New("unknown key: is this the key folder of this log?")
	// ErrErased: the key was destroyed on purpose; the text is gone.
	ErrErased = errors.New("the key was erased")
	// ErrForged: the ciphertext is not what was sealed at this place.
	ErrForged = errors.New("the sealed text does not belong here or was altered")
	// ErrAway: the key store does not answer; nothing personal can be taken in or shown.
	ErrAway = errors.New("the key store does not answer")
)

const (
	algorithm = "a256gcm"
	poolSize  = 4096
	// mostLacked is how many keys that are not here are told apart.
	mostLacked = 10_000
	cacheLife  = time.Minute // so that an erasure elsewhere takes effect
)

// Key is one person's key in one case. The zero Key is none.
type Key struct {
	ID  string // kid: names the key in ciphertexts
	dek [32]byte
}

type slot struct {
	stream stream.Name
	part   string
}

// Store is a folder of keys. It is safe for concurrent use.
type Store struct {
	dir    string
	db     *sql.DB // commits are on disk when they return
	lazy   *sql.DB // the same file; commits are on disk a little later: for what the log tells again
	kek    cipher.AEAD
	master [32]byte // of everything derived that is no key of a person
	pool   chan Key
	refill chan struct{}
	stop   context.CancelFunc
	done   chan struct{}
	open   *os.File // lock file: held by every process that has the folder open
	whole  bool     // a test sweeps as if nobody else had the folder open

	mu     sync.Mutex
	held   map[slot]string // handed out, not yet on disk as assigned
	fresh  map[string]Key  // opened lately
	stale  map[string]Key  // opened a while ago
	turned time.Time
	err    error          // why the pool can not be refilled
	lacked map[string]Use // keys that the log names and that are not here, by their names
}

// Keys are numbered in the order they were made, so that making and assigning them touches neighbouring pages; a number is
// never used twice. The erased row stays for ever as a tombstone.
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
CREATE INDEX IF NOT EXISTS keys_by_case ON keys (stream, part) WHERE state <> 'pooled';
CREATE INDEX IF NOT EXISTS keys_pooled ON keys (id) WHERE state = 'pooled';
PRAGMA user_version = 1;`

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

// Open opens the key folder, or makes it: kek.key and index.key (0600) and keys.db.
func Open(ctx context.Context, dir string) (*Store, error) {
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
	s, err := openHeld(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.open = lock
	return s, nil
}

func openHeld(ctx context.Context, dir string) (*Store, error) {
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
	var used int
	if _, err = db.ExecContext(ctx, schema); err == nil {
		err = db.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM keys LIMIT 1)").Scan(&used)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("key store: %w", err), lazy.Close(), db.Close())
	}
	s := &Store{dir: dir, db: db, lazy: lazy, pool: make(chan Key, poolSize), refill: make(chan struct{}, 1), done: make(chan struct{}),
		held: map[slot]string{}, fresh: map[string]Key{}, stale: map[string]Key{}, turned: time.Now(), lacked: map[string]Use{}}
	kek, err := secret(filepath.Join(dir, "kek.key"), used > 0)
	if err == nil {
		s.master, err = secret(filepath.Join(dir, "index.key"), used > 0)
	}
	if err == nil {
		s.kek, err = aead(kek)
	}
	if err == nil {
		err = s.fill(ctx, 512)
	}
	if err != nil {
		return nil, errors.Join(err, lazy.Close(), db.Close())
	}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.keepFull(background)
	return s, nil
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

func aead(key [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// fill commits n new keys and puts them into the pool.
func (s *Store) fill(ctx context.Context, n int) error {
	made := make([]Key, n)
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var last int64
	err = tx.QueryRowContext(ctx, "SELECT seq FROM sqlite_sequence WHERE name = 'keys'").Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO keys (id, kid, subject, state, wrapped, epoch) VALUES (?,?,?,'pooled',?,1)")
	if err != nil {
		return err
	}
	for i := range made {
		var subject [12]byte
		rand.Read(subject[:])
		rand.Read(made[i].dek[:])
		last++
		made[i].ID = kid(last)
		wrapped := s.kek.Seal(nil, nil, made[i].dek[:], []byte(made[i].ID))
		if _, err := insert.ExecContext(ctx, last, made[i].ID, hex.EncodeToString(subject[:]), wrapped); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for _, k := range made {
		s.pool <- k
	}
	return nil
}

func (s *Store) keepFull(ctx context.Context) {
	defer close(s.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.refill:
		}
		for len(s.pool) < poolSize/2 {
			err := s.fill(ctx, poolSize/4)
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
			if err != nil {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Second):
				}
			}
		}
	}
}

// Close stops the pool and closes the database.
func (s *Store) Close() error {
	s.stop()
	<-s.done
	return errors.Join(s.lazy.Close(), s.db.Close(), s.open.Close())
}

// Health returns why no new keys can be made, or that the log names keys that are not here; nil if all is well.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.lacked); n > 0 {
		return fmt.Errorf("%d keys that the log names are not in the key folder: %w", n, ErrUnknown)
	}
	return s.err
}

// Lacking returns how many keys were named by the events that were assigned here and are not in the folder, and one of them. Then
// this is not the folder of the log, or an old copy of it, or another node keeps its keys elsewhere.
func (s *Store) Lacking() (n int, one Use) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.lacked {
		if one.Key == "" || u.Stream < one.Stream {
			one = u
		}
	}
	return len(s.lacked), one
}

// For returns the key of one part of a case, the same at every call, a new one at the first. With created
// the stream is known to be new, and no look-up is made. It returns [ErrErased] for a key that was destroyed.
func (s *Store) For(ctx context.Context, n stream.Name, part string, created bool) (Key, error) {
	at := slot{n, part}
	s.mu.Lock()
	id, here := s.held[at]
	s.mu.Unlock()
	if here {
		return s.Get(ctx, id)
	}
	if !created {
		err := s.db.QueryRowContext(ctx, "SELECT kid FROM keys WHERE stream = ? AND part = ? AND state <> 'pooled'", string(n), part).Scan(&id)
		if err == nil {
			return s.Get(ctx, id)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return Key{}, fmt.Errorf("%w: %w", ErrAway, err)
		}
	}
	k, err := s.take(ctx)
	if err != nil {
		return Key{}, err
	}
	s.mu.Lock()
	other, raced := s.held[at]
	if !raced {
		s.held[at] = k.ID
		s.remember(k)
	}
	s.mu.Unlock()
	if raced { // somebody else took one for the same part; ours stays unused
		return s.Get(ctx, other)
	}
	return k, nil
}

func (s *Store) take(ctx context.Context) (Key, error) {
	if len(s.pool) < poolSize/2 {
		select {
		case s.refill <- struct{}{}:
		default:
		}
	}
	select {
	case k := <-s.pool:
		return k, nil
	default:
	}
	select {
	case k := <-s.pool:
		return k, nil
	case <-ctx.Done():
		return Key{}, fmt.Errorf("%w: %w", ErrAway, context.Cause(ctx))
	case <-time.After(5 * time.Second):
		return Key{}, fmt.Errorf("%w: no key was made ready in time: %w", ErrAway, s.Health())
	}
}

// remember keeps an opened key for a minute or two. The caller holds mu.
func (s *Store) remember(k Key) {
	if now := time.Now(); now.Sub(s.turned) > cacheLife {
		// What is handed out but not yet assigned on disk lives nowhere else under its slot; its key itself is on disk.
		s.stale, s.fresh, s.turned = s.fresh, map[string]Key{}, now
	}
	s.fresh[k.ID] = k
}

// Get returns a key by its id. It returns [ErrUnknown], [ErrErased] or [ErrAway].
func (s *Store) Get(ctx context.Context, id string) (Key, error) {
	s.mu.Lock()
	if time.Since(s.turned) > cacheLife {
		s.stale, s.fresh, s.turned = s.fresh, map[string]Key{}, time.Now()
	}
	k, here := s.fresh[id]
	if !here {
		k, here = s.stale[id]
	}
	s.mu.Unlock()
	if here {
		return k, nil
	}
	var wrapped []byte
	var state string
	err := s.db.QueryRowContext(ctx, "SELECT state, wrapped FROM keys WHERE id = ? AND kid = ?", number(id), id).Scan(&state, &wrapped)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Key{}, fmt.Errorf("key %s: %w", id, ErrUnknown)
	case err != nil:
		return Key{}, fmt.Errorf("%w: %w", ErrAway, err)
	case state == "erased":
		return Key{}, fmt.Errorf("key %s: %w", id, ErrErased)
	}
	dek, err := s.kek.Open(nil, nil, wrapped, []byte(id))
	if err != nil || copy(k.dek[:], dek) != 32 {
		return Key{}, fmt.Errorf("key %s can not be unwrapped: %w", id, ErrUnknown)
	}
	k.ID = id
	s.mu.Lock()
	s.remember(k)
	s.mu.Unlock()
	return k, nil
}

// Use is one key that an event of a stream uses for a part.
type Use struct {
	Stream stream.Name
	Part   string
	Key    string
}

// Assigned returns the position up to which the log's events have their keys assigned here, at least.
func (s *Store) Assigned(ctx context.Context) (p eventlog.Position, err error) {
	if err := s.db.QueryRowContext(ctx, "SELECT position FROM followed").Scan(&p); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrAway, err)
	}
	return p, nil
}

// Assign writes down which case each key belongs to, as the log's events up to a position show it. Keys that were assigned stay
// as they are. It does not wait for the disk: what a power cut takes is assigned again from the log, from [Store.Assigned] on.
func (s *Store) Assign(ctx context.Context, uses []Use, upTo eventlog.Position) error {
	if len(uses) == 0 {
		return nil
	}
	tx, err := s.lazy.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("assign keys: %w", err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "UPDATE followed SET position = max(position, ?)", int64(upTo)); err != nil {
		return fmt.Errorf("assign keys: %w", err)
	}
	update, err := tx.PrepareContext(ctx, "UPDATE keys SET stream = ?, part = ?, state = 'live' WHERE id = ? AND kid = ? AND state = 'pooled'")
	if err != nil {
		return fmt.Errorf("assign keys: %w", err)
	}
	here, err := tx.PrepareContext(ctx, "SELECT count(*) FROM keys WHERE id = ? AND kid = ?")
	if err != nil {
		return fmt.Errorf("assign keys: %w", err)
	}
	var lacked []Use
	for _, u := range uses {
		done, err := update.ExecContext(ctx, string(u.Stream), u.Part, number(u.Key), u.Key)
		if err != nil {
			return fmt.Errorf("assign key %s: %w", u.Key, err)
		}
		n, err := done.RowsAffected()
		if err == nil && n == 0 { // it was assigned before, by us or by another node, or it is not here
			err = here.QueryRowContext(ctx, number(u.Key), u.Key).Scan(&n)
		}
		if err != nil {
			return fmt.Errorf("assign key %s: %w", u.Key, err)
		}
		if n == 0 {
			lacked = append(lacked, u)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("assign keys: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range lacked {
		if len(s.lacked) < mostLacked {
			s.lacked[u.Key] = u
		}
	}
	for _, u := range uses {
		delete(s.held, slot{u.Stream, u.Part})
	}
	return nil
}

// Restart forgets up to where the log was assigned: it is another log, in which positions mean something else.
func (s *Store) Restart(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, "UPDATE followed SET position = 0"); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil
}

// Sweep drops the keys of earlier processes that no event uses. Call it once the log was read to its end
// and before anything is written. While another process has the folder open it does nothing: a key that no event uses yet may
// be in its hands.
func (s *Store) Sweep(ctx context.Context) error {
	mineAlone, err := alone(s.open)
	if err != nil {
		return fmt.Errorf("drop unused keys: %w", err)
	}
	if !mineAlone && !s.whole {
		return nil
	}
	return errors.Join(s.sweep(ctx), share(s.open))
}

func (s *Store) sweep(ctx context.Context) error {
	mine := len(s.pool)
	ids := make([]any, 0, mine)
	for range mine {
		k := <-s.pool
		ids = append(ids, number(k.ID))
		s.pool <- k
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(ids)), ",")
	_, err := s.db.ExecContext(ctx, "DELETE FROM keys WHERE state = 'pooled' AND id NOT IN ("+marks+")", ids...)
	if err != nil {
		return fmt.Errorf("drop unused keys: %w", err)
	}
	return nil
}

// Learn replaces the keys that were handed out for the parts of a stream by those that its events use.
func (s *Store) Learn(n stream.Name, used map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := range s.held {
		if at.stream != n {
			continue
		}
		if id := used[at.part]; id != "" {
			s.held[at] = id
		} else {
			delete(s.held, at)
		}
	}
}

// Place is where a sealed field stands: it is bound into the ciphertext, which can not be moved.
type Place struct {
	Stream stream.Name
	Event  stream.ID
	Type   string
	Field  string
}

const format = "gridcase-field/v1\n"

func (p Place) bound() []byte {
	b := []byte(format)
	for _, x := range [][]byte{[]byte(p.Stream), p.Event[:], []byte(p.Type), []byte(p.Field)} {
		n := len(x)
		b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		b = append(b, x...)
	}
	return b
}

func (p Place) cipher(dek [32]byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, dek[:], nil, format+p.Event.String()+p.Field, 32)
	if err != nil {
		return nil, err
	}
	return aead([32]byte(key))
}

// Seal enciphers a text for its place: gcenc1.a256gcm.<kid>.<base64url of nonce and ciphertext>.
func (k Key) Seal(p Place, text string) (string, error) {
	c, err := p.cipher(k.dek)
	if err != nil {
		return "", err
	}
	return sealed.Prefix + algorithm + "." + k.ID + "." +
		base64.RawURLEncoding.EncodeToString(c.Seal(nil, nil, []byte(text), p.bound())), nil
}

// ID returns the key id named in a ciphertext, "" if it is none.
func ID(ciphertext string) string {
	rest, ok := strings.CutPrefix(ciphertext, sealed.Prefix+algorithm+".")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, ".")
	return id
}

// Open deciphers the text at a place. Besides the errors of [Store.Get] it returns [ErrForged].
func (s *Store) Open(ctx context.Context, p Place, ciphertext string) (string, error) {
	rest, ok := strings.CutPrefix(ciphertext, sealed.Prefix+algorithm+".")
	id, body, two := strings.Cut(rest, ".")
	if !ok || !two {
		return "", ErrForged
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return "", ErrForged
	}
	k, err := s.Get(ctx, id)
	if err != nil {
		return "", err
	}
	c, err := p.cipher(k.dek)
	if err != nil {
		return "", err
	}
	text, err := c.Open(nil, nil, raw, p.bound())
	if err != nil {
		return "", ErrForged
	}
	return string(text), nil
}

// Mac returns a keyed digest under the person's key: meaningless without it, and gone when it is erased.
func (k Key) Mac(label, text string) string {
	return mac(k.dek, label, text)
}

// Derived returns a keyed digest under the store's own secret, for what is not one person's: tracking codes,
// draws, look-ups. The label keeps the uses apart.
func (s *Store) Derived(label, text string) []byte {
	key, _ := hkdf.Key(sha256.New, s.master[:], nil, "gridcase-"+label, 32) // fails only for absurd lengths
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func mac(secret [32]byte, label, text string) string {
	key, _ := hkdf.Key(sha256.New, secret[:], nil, "gridcase-"+label, 32)
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Service returns the private key with which the service signs receipts, and keeps it beside the other secrets. The first one that
// is offered under a name stays: of two nodes that begin a log together, both get the same.
func (s *Store) Service(name, offered string) (private string, err error) {
	path := filepath.Join(s.dir, "service.key")
	prefix := "PRIVATE+KEY+" + name + "+"
	held, err := os.ReadFile(path)
	if err == nil && strings.HasPrefix(string(held), prefix) {
		return strings.TrimSpace(string(held)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("service key: %w", err)
	}
	if err == nil { // of a log that was never begun, or of another name
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("service key: %w", err)
		}
	}
	f, err := os.CreateTemp(s.dir, "service-*.new")
	if err != nil {
		return "", fmt.Errorf("service key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(offered + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("service key: %w", err)
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("service key: %w", err)
	}
	if held, err = os.ReadFile(path); err != nil {
		return "", fmt.Errorf("service key: %w", err)
	}
	return strings.TrimSpace(string(held)), nil
}
