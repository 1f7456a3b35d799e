// Package keys holds the keys of personal data, apart from the log: one random key per case and person.
//
// Destroying a key makes that person's part of that case unreadable for good, without touching an event.
// Each key is wrapped under a key-encryption key that lives in a file of its own; the database holds only
// wrapped keys. Loss of either makes all personal data unreadable: they are backed up apart from the log.
//
// The keys lie in a folder ([Open]), which all nodes of one machine share, or with the [Service] that has such a folder ([Dial]), which nodes on
// several machines share. The key-encryption key never leaves the folder's machine.
//
// What is true if we die: a key is on disk before any event can use it, because only keys from a pool that
// was committed earlier are handed out. Which case a key belongs to is learnt again from the log
// ([Store.Assign]), so handing one out costs no write of its own. Each node has a pool of its own, and no one of
// them throws away what may be another's.
package keys

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
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
	// ErrGap: the key store is not told what the log shows before the events at hand, though it was once: it is an older copy, or lost what
	// was not yet on disk. Ask [Store.Assigned] from where on it must be told again.
	ErrGap = errors.New("the key store has lost what the log had shown it")
)

const (
	algorithm = "a256gcm"
	poolSize  = 4096
	firstPool = 512 // keys before anything is taken in
	// mostLacked is how many keys that are not here are told apart.
	mostLacked = 10_000
	// mostPending is how many uses of keys wait for a store that is away, about 200 bytes each; then the log is not followed further.
	mostPending = 50_000
	cacheLife   = time.Minute // so that an erasure elsewhere takes effect
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

// keeper is where keys are kept: a folder, or the service that has one. Its errors are [ErrAway], or what is said there.
type keeper interface {
	// secret returns what everything is derived from that is no key of a person.
	secret(ctx context.Context) ([32]byte, error)
	// make makes keys that are on disk when it returns, for the caller alone. After an error it may be asked again.
	make(ctx context.Context, n int) ([]Key, error)
	// giveBack drops keys that were never handed out.
	giveBack(ctx context.Context, unused []Key) error
	// get returns a key by its id: [ErrUnknown], [ErrErased].
	get(ctx context.Context, id string) (Key, error)
	// find returns the key that was assigned to a part of a case: [ErrErased].
	find(ctx context.Context, n stream.Name, part string) (k Key, found bool, err error)
	// assigned returns up to where the log is assigned without a hole.
	assigned(ctx context.Context) (eventlog.Position, error)
	// assign writes down uses, and that everything after one position is assigned up to another: [ErrGap] if before them something is not.
	assign(ctx context.Context, uses []Use, after, upTo eventlog.Position) (lacked []Use, err error)
	restart(ctx context.Context) error
	// sweep drops keys of earlier processes that no event uses, if no other holder of keys may live.
	sweep(ctx context.Context) error
	service(ctx context.Context, name, offered string) (private string, err error)
	close() error
}

// Store gives out keys and seals and opens with them. It is safe for concurrent use.
type Store struct {
	keeper keeper
	master [32]byte // of everything derived that is no key of a person; never on disk where the keys are elsewhere
	pool   chan Key
	refill chan struct{}
	stop   context.CancelFunc
	done   chan struct{}
	now    func() time.Time

	mu     sync.Mutex
	held   map[slot]string // handed out, not yet written down as assigned
	cache  map[string]opened
	pruned time.Time
	away   error          // why the keeper does not answer, as last asked
	dry    error          // why the pool can not be refilled
	lacked map[string]Use // keys that the log names and that are not here, by their names

	telling sync.Mutex // held by whoever tells the keeper what is assigned
	pending []Use      // not told yet
	told    eventlog.Position
	until   eventlog.Position // what is pending goes up to there
}

// opened is a key in memory, and when it was asked for.
type opened struct {
	Key
	at time.Time
}

// Open opens the key folder, or makes it: kek.key and index.key (0600) and keys.db.
func Open(ctx context.Context, dir string) (*Store, error) {
	f, err := openFolder(ctx, dir)
	if err != nil {
		return nil, err
	}
	return newStore(ctx, f)
}

func newStore(ctx context.Context, k keeper) (*Store, error) {
	s := &Store{keeper: k, pool: make(chan Key, poolSize), refill: make(chan struct{}, 1), done: make(chan struct{}), now: time.Now,
		held: map[slot]string{}, cache: map[string]opened{}, pruned: time.Now(), lacked: map[string]Use{}}
	var err error
	if s.master, err = k.secret(ctx); err == nil {
		err = s.fill(ctx, firstPool)
	}
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.keep(background)
	return s, nil
}

func aead(key [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// fill puts n new keys into the pool.
func (s *Store) fill(ctx context.Context, n int) error {
	made, err := s.keeper.make(ctx, n)
	for _, k := range made {
		s.pool <- k
	}
	return err
}

// keep sees to the pool and to what is pending until the context ends: at once when the pool is low, and every second. While the keeper is
// away it is asked once a second, and whoever wants a key is told so without waiting.
func (s *Store) keep(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		low := firstPool // a store that nobody takes from makes no more
		select {
		case <-ctx.Done():
			return
		case <-s.refill:
			low = poolSize / 2
		case <-tick.C:
		}
		if s.upkeep(ctx, low) != nil {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// upkeep asks whether the keeper is there, fills a pool with fewer keys than low, and hands in what is pending.
func (s *Store) upkeep(ctx context.Context, low int) error {
	_, away := s.keeper.assigned(ctx)
	s.mu.Lock()
	dry := s.dry
	s.mu.Unlock()
	if len(s.pool) < low || dry != nil {
		dry = nil
		for away == nil && dry == nil && len(s.pool) < poolSize/2 {
			dry = s.fill(ctx, poolSize/4)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.mu.Lock()
	s.away, s.dry = away, dry
	s.mu.Unlock()
	if away == nil {
		s.telling.Lock()
		_ = s.tell(ctx) // a gap is met again by whoever assigns next
		s.telling.Unlock()
	}
	return errors.Join(away, dry)
}

// closing is how long Close waits for a keeper that may be away.
const closing = 2 * time.Second

// Close stops the pool, gives back what is left in it and closes the folder, or leaves the service. Keys that can not be given back stay
// there as rows that stand for nobody.
func (s *Store) Close() error {
	s.stop()
	<-s.done
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	if s.Away() == nil {
		s.telling.Lock()
		_ = s.tell(ctx) // else the next start learns it from the log
		s.telling.Unlock()
		var unused []Key
		for len(s.pool) > 0 {
			select {
			case k := <-s.pool:
				unused = append(unused, k)
			default:
			}
		}
		_ = s.keeper.giveBack(ctx, unused)
	}
	return s.keeper.close()
}

// Away returns why keys can not be had now, nil while they can.
func (s *Store) Away() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

// Health returns why the keys can not be had, why no new ones can be made, or that the log names keys that are not here; nil if all is well.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.lacked); n > 0 {
		return fmt.Errorf("%d keys that the log names are not in the key folder: %w", n, ErrUnknown)
	}
	return errors.Join(s.away, s.dry)
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
	away := s.away
	s.mu.Unlock()
	if here {
		return s.Get(ctx, id)
	}
	if !created {
		if away != nil {
			return Key{}, away
		}
		k, found, err := s.keeper.find(ctx, n, part)
		if err != nil || found {
			if err == nil {
				s.remember(k)
			}
			return k, err
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
	}
	s.mu.Unlock()
	if raced { // somebody else took one for the same part; ours stays unused
		return s.Get(ctx, other)
	}
	s.remember(k)
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
	s.mu.Lock()
	none := errors.Join(s.away, s.dry)
	s.mu.Unlock()
	if none != nil && !errors.Is(none, ErrAway) {
		none = away(none)
	}
	if none != nil {
		return Key{}, none
	}
	select {
	case k := <-s.pool:
		return k, nil
	case <-ctx.Done():
		return Key{}, away(context.Cause(ctx))
	case <-time.After(5 * time.Second):
		return Key{}, fmt.Errorf("%w: no key was made ready in time: %w", ErrAway, s.Health())
	}
}

func (s *Store) remember(k Key) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.pruned) >= cacheLife {
		for id, o := range s.cache {
			if now.Sub(o.at) >= cacheLife {
				delete(s.cache, id)
			}
		}
		s.pruned = now
	}
	s.cache[k.ID] = opened{k, now}
}

// Get returns a key by its id. It returns [ErrUnknown], [ErrErased] or [ErrAway]. A key that was erased elsewhere is known here for a minute
// at most, however often it is asked for.
func (s *Store) Get(ctx context.Context, id string) (Key, error) {
	s.mu.Lock()
	o, here := s.cache[id]
	away := s.away
	s.mu.Unlock()
	if here && s.now().Sub(o.at) < cacheLife {
		return o.Key, nil
	}
	if away != nil {
		return Key{}, away
	}
	k, err := s.keeper.get(ctx, id)
	if err == nil {
		s.remember(k)
	}
	return k, err
}

// Use is one key that an event of a stream uses for a part.
type Use struct {
	Stream stream.Name
	Part   string
	Key    string
}

// Assigned returns the position up to which the log's events have their keys assigned, at least. Whoever asks must go on from there.
func (s *Store) Assigned(ctx context.Context) (eventlog.Position, error) {
	s.telling.Lock()
	defer s.telling.Unlock()
	p, err := s.keeper.assigned(ctx)
	if err == nil {
		s.told = p
	}
	return p, err
}

// Assign writes down which case each key belongs to, as the log's events after those of the last call show it, or after [Store.Assigned], up to a
// position. Keys that were assigned stay as they are. It does not wait for the disk: what a power cut takes is assigned again from the log.
// What a store that is away can not be told waits in memory; a start reads it from the log. It returns [ErrGap] if the store has lost something
// before that: what was given is written down all the same, but the position stays.
func (s *Store) Assign(ctx context.Context, uses []Use, upTo eventlog.Position) error {
	s.telling.Lock()
	defer s.telling.Unlock()
	if len(uses) == 0 && len(s.pending) == 0 {
		return nil
	}
	waiting, until := len(s.pending), s.until
	s.pending, s.until = append(s.pending, uses...), max(s.until, upTo)
	err := s.Away()
	if err == nil {
		err = s.tell(ctx)
	}
	if err != nil && !errors.Is(err, ErrGap) {
		if len(s.pending) <= mostPending {
			return nil
		}
		s.pending, s.until = s.pending[:waiting], until
	}
	return err
}

// tell hands in what is pending. The caller holds telling.
func (s *Store) tell(ctx context.Context) error {
	if len(s.pending) == 0 {
		return nil
	}
	lacked, err := s.keeper.assign(ctx, s.pending, s.told, s.until)
	if err != nil && !errors.Is(err, ErrGap) {
		return err
	}
	s.mu.Lock()
	for _, u := range lacked {
		if len(s.lacked) < mostLacked {
			s.lacked[u.Key] = u
		}
	}
	for _, u := range s.pending {
		delete(s.held, slot{u.Stream, u.Part})
	}
	s.mu.Unlock()
	s.pending = nil
	if err == nil {
		s.told = max(s.told, s.until)
	}
	return err
}

// Restart forgets up to where the log was assigned: it is another log, in which positions mean something else.
func (s *Store) Restart(ctx context.Context) error {
	s.telling.Lock()
	defer s.telling.Unlock()
	err := s.keeper.restart(ctx)
	if err == nil {
		s.told = 0
	}
	return err
}

// Sweep drops the keys of earlier processes that no event uses. Call it once the log was read to its end
// and before anything is written. While another process has the folder open it does nothing: a key that no event uses yet may
// be in its hands. Nor does it touch what was given to nodes elsewhere.
func (s *Store) Sweep(ctx context.Context) error {
	s.telling.Lock()
	err := s.tell(ctx)
	s.telling.Unlock()
	if err == nil {
		err = s.keeper.sweep(ctx)
	}
	return err
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
// draws, look-ups. The label keeps the uses apart. It asks nobody: the secret is in memory.
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
func (s *Store) Service(ctx context.Context, name, offered string) (private string, err error) {
	return s.keeper.service(ctx, name, offered)
}
