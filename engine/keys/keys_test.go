package keys_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite"

	"gridcase/domain/stream"
	"gridcase/engine/keys"
)

func open(t *testing.T, dir string) *keys.Store {
	t.Helper()
	s, err := keys.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shut(t *testing.T, s *keys.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func keyOf(t *testing.T, s *keys.Store, n stream.Name, part string, created bool) keys.Key {
	t.Helper()
	k, err := s.For(context.Background(), n, part, created)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t *testing.T, k keys.Key, p keys.Place, text string) string {
	t.Helper()
	c, err := k.Seal(p, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func caseNo(i int) stream.Name {
	return stream.Of(stream.Demand, stream.ID{0: byte(i), 1: byte(i >> 8), 15: 1})
}

var place = keys.Place{Stream: caseNo(1), Event: stream.ID{1}, Type: "demand-raised/1", Field: "reporter.phone"}

const secret = "十三位的秘密 139-0000-0000"

func TestWhatWasSealedOpensAtItsPlace(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		s := h.open()
		defer shut(t, s)
		k := keyOf(t, s, place.Stream, "reporter", true)
		for _, text := range []string{secret, "", strings.Repeat("长", 10_000)} {
			c := seal(t, k, place, text)
			if !strings.HasPrefix(c, "gcenc1.a256gcm."+k.ID+".") || keys.ID(c) != k.ID {
				t.Errorf("the ciphertext is %.60q, want it to name its key %s", c, k.ID)
			}
			if got, err := s.Open(context.Background(), place, c); err != nil || got != text {
				t.Errorf("opened %.20q, %v, want %.20q", got, err, text)
			}
		}
		if a, b := seal(t, k, place, secret), seal(t, k, place, secret); a == b {
			t.Error("the same text is sealed twice to the same bytes")
		}
	})
}

func TestASealedTextCanNotBeMovedOrAltered(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		s := h.open()
		defer shut(t, s)
		c := seal(t, keyOf(t, s, place.Stream, "reporter", true), place, secret)
		other := keyOf(t, s, caseNo(2), "reporter", true)
		moved := []keys.Place{place, place, place, place}
		moved[0].Stream, moved[1].Event, moved[2].Type, moved[3].Field = caseNo(2), stream.ID{2}, "demand-raised/2", "reporter.name"
		for _, p := range moved {
			if got, err := s.Open(context.Background(), p, c); !errors.Is(err, keys.ErrForged) {
				t.Errorf("at %+v: got %q, %v, want ErrForged", p, got, err)
			}
		}
		head, body := c[:strings.LastIndex(c, ".")+1], c[strings.LastIndex(c, ".")+1:]
		flipped := []byte(body)
		flipped[len(flipped)/2] ^= 1
		for name, bad := range map[string]string{
			"a flipped bit":       head + string(flipped),
			"a shorter text":      head + body[:len(body)-4],
			"no text":             head,
			"no base64":           head + "!!!",
			"another key's name":  strings.Replace(c, keys.ID(c), other.ID, 1),
			"another cipher":      strings.Replace(c, "a256gcm", "rot13", 1),
			"clear text":          secret,
			"nothing":             "",
			"a name and no more":  "gcenc1.a256gcm." + keys.ID(c),
			"another key's place": seal(t, other, keys.Place{Stream: caseNo(2), Event: place.Event, Type: place.Type, Field: place.Field}, secret),
		} {
			if got, err := s.Open(context.Background(), place, bad); !errors.Is(err, keys.ErrForged) {
				t.Errorf("%s: got %q, %v, want ErrForged", name, got, err)
			}
		}
	})
}

// A wrong key folder must never look like an erasure: that would blank data silently.
func TestAnUnknownKeyIsNoErasedKey(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		here, there := h.open(), open(t, t.TempDir())
		defer shut(t, here)
		defer shut(t, there)
		c := seal(t, keyOf(t, there, place.Stream, "reporter", true), place, secret)
		_, err := here.Open(context.Background(), place, c)
		if !errors.Is(err, keys.ErrUnknown) || errors.Is(err, keys.ErrErased) {
			t.Errorf("got %v, want ErrUnknown", err)
		}
	})
}

func TestEachPartOfACaseHasAKeyOfItsOwnAndKeepsIt(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		s := h.open()
		defer shut(t, s)
		reporter, parties := keyOf(t, s, caseNo(1), "reporter", true), keyOf(t, s, caseNo(1), "parties", true)
		if reporter.ID == parties.ID || reporter.ID == keyOf(t, s, caseNo(2), "reporter", true).ID {
			t.Error("two subjects share a key")
		}
		if again := keyOf(t, s, caseNo(1), "reporter", false); again != reporter {
			t.Errorf("asked again, the key is %s, want %s", again.ID, reporter.ID)
		}
		if err := s.Assign(context.Background(), []keys.Use{{Stream: caseNo(1), Part: "reporter", Key: reporter.ID}}, 1); err != nil {
			t.Fatal(err)
		}
		if again := keyOf(t, s, caseNo(1), "reporter", false); again != reporter {
			t.Errorf("after it was written down, the key is %s, want %s", again.ID, reporter.ID)
		}
		if a, b := reporter.Mac("digest", secret), parties.Mac("digest", secret); a == b || a != reporter.Mac("digest", secret) || a == reporter.Mac("other", secret) {
			t.Error("a keyed digest must depend on key and label, and on nothing else")
		}
	})
}

func TestKeysSurviveARestart(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		s := h.open()
		k := keyOf(t, s, caseNo(1), "reporter", true)
		c := seal(t, k, place, secret)
		derived := s.Derived("tracking", "x")
		if err := s.Assign(context.Background(), []keys.Use{{Stream: caseNo(1), Part: "reporter", Key: k.ID}}, 1); err != nil {
			t.Fatal(err)
		}
		s = h.again(s)
		defer shut(t, s)
		if err := s.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Open(context.Background(), place, c); err != nil || got != secret {
			t.Errorf("opened %q, %v", got, err)
		}
		if again := keyOf(t, s, caseNo(1), "reporter", false); again.ID != k.ID {
			t.Errorf("the case has the key %s, want %s", again.ID, k.ID)
		}
		if !bytes.Equal(s.Derived("tracking", "x"), derived) || bytes.Equal(s.Derived("draw", "x"), derived) {
			t.Error("what is derived must be the same after a restart, and another for another use")
		}
	})
}

// We die after keys were handed out and used, before the log was followed: which case has which key is on no disk
// but the log's. The next process hands out none of them again, and learns them from the log.
func TestAKeyHandedOutBeforeACrashIsNeverHandedOutAgain(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		s := h.open()
		used := map[string]stream.Name{}
		var uses []keys.Use
		var sealed []string
		for i := range 100 {
			k := keyOf(t, s, caseNo(i), "reporter", true)
			used[k.ID] = caseNo(i)
			uses = append(uses, keys.Use{Stream: caseNo(i), Part: "reporter", Key: k.ID})
			p := place
			p.Stream = caseNo(i)
			sealed = append(sealed, seal(t, k, p, secret))
		}
		s = h.again(s) // nothing was assigned: the same as dying here
		defer shut(t, s)
		for i := 100; i < 700; i++ { // more than one filling of the pool
			if k := keyOf(t, s, caseNo(i), "reporter", true); used[k.ID] != "" {
				t.Fatalf("%s and %s share the key %s", used[k.ID], caseNo(i), k.ID)
			}
		}
		if err := s.Assign(context.Background(), uses, 1); err != nil {
			t.Fatal(err)
		}
		if err := s.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		for i, c := range sealed {
			p := place
			p.Stream = caseNo(i)
			if got, err := s.Open(context.Background(), p, c); err != nil || got != secret {
				t.Fatalf("case %d: opened %q, %v", i, got, err)
			}
			if k := keyOf(t, s, caseNo(i), "reporter", false); k.ID != uses[i].Key {
				t.Fatalf("case %d has the key %s, want %s", i, k.ID, uses[i].Key)
			}
		}
	})
}

func TestSweepingDropsOnlyKeysThatNothingUses(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	left, kept := keyOf(t, s, caseNo(1), "reporter", true), keyOf(t, s, caseNo(2), "reporter", true)
	if err := s.Assign(context.Background(), []keys.Use{{Stream: caseNo(2), Part: "reporter", Key: kept.ID}}, 1); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	s = open(t, dir)
	defer shut(t, s)
	if err := s.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(context.Background(), left.ID); !errors.Is(err, keys.ErrUnknown) {
		t.Errorf("a key of the earlier process that no event uses: got %v, want ErrUnknown", err)
	}
	if _, err := s.Get(context.Background(), kept.ID); err != nil {
		t.Errorf("a key that is used: %v", err)
	}
	for i := 10; i < 600; i++ {
		k := keyOf(t, s, caseNo(i), "reporter", true)
		if _, err := s.Get(context.Background(), k.ID); err != nil {
			t.Fatalf("a key of the pool is gone: %v", err)
		}
	}
}

// The folder holds wrapped keys only: what a key encrypts can not be read with keys.db, nor is any text in it.
func TestOnlyWrappedKeysAreOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	k := keyOf(t, s, place.Stream, "reporter", true)
	c := seal(t, k, place, secret)
	if err := s.Assign(context.Background(), []keys.Use{{Stream: place.Stream, Part: "reporter", Key: k.ID}}, 1); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	named := false
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		named = named || bytes.Contains(data, []byte(k.ID))
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s holds clear text", path)
		}
		if dek := keys.Raw(k); bytes.Contains(data, dek[:]) {
			t.Errorf("%s holds the key itself", path)
		}
		if info, err := e.Info(); err != nil || strings.HasSuffix(path, ".key") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want 0600", path, info.Mode(), err)
		}
		return nil
	})
	if err != nil || !named {
		t.Fatalf("the search saw nothing: %v", err)
	}
	// With another key-encryption key the database is worth nothing.
	if err := os.WriteFile(filepath.Join(dir, "kek.key"), []byte(strings.Repeat("00", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer shut(t, s)
	if got, err := s.Open(context.Background(), place, c); !errors.Is(err, keys.ErrUnknown) {
		t.Errorf("with another key-encryption key: got %q, %v, want ErrUnknown", got, err)
	}
}

func TestAKeyFileIsNeverMadeBesideKeysOfAnother(t *testing.T) {
	for _, file := range []string{"kek.key", "index.key"} {
		dir := t.TempDir()
		shut(t, open(t, dir))
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
		if s, err := keys.Open(context.Background(), dir); err == nil {
			shut(t, s)
			t.Errorf("without %s the folder opens", file)
		}
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			t.Errorf("%s was made anew", file)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte("short\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := keys.Open(context.Background(), dir); err == nil {
			shut(t, s)
			t.Errorf("with a broken %s the folder opens", file)
		}
	}
}

func TestManyAskingForTheSamePartGetOneKey(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		s := h.open()
		defer shut(t, s)
		for round := range 20 {
			got := make([]keys.Key, 64)
			var wg sync.WaitGroup
			for i := range got {
				wg.Go(func() {
					var err error
					if got[i], err = s.For(context.Background(), caseNo(round), "reporter", i%2 == 0); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for i, k := range got {
				if k != got[0] || k.ID == "" {
					t.Fatalf("round %d: asker %d got %q, asker 0 %q", round, i, k.ID, got[0].ID)
				}
			}
		}
	})
}

// Two nodes share a folder. What one has in hand, no event shows yet; the other starts, and sweeps.
func TestAKeyInTheHandsOfAnotherNodeIsNotSwept(t *testing.T) {
	for _, c := range []struct {
		name     string
		careless bool
		want     error
	}{
		{"as it is", false, nil},
		{"with a sweep that minds nobody, which must be seen", true, keys.ErrUnknown},
	} {
		dir := t.TempDir()
		a := open(t, dir)
		k := keyOf(t, a, caseNo(1), "reporter", true)
		ciphertext := seal(t, k, place, secret)
		b := open(t, dir)
		if c.careless {
			b.Careless()
		}
		if err := b.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Open(context.Background(), place, ciphertext); !errors.Is(err, c.want) {
			t.Errorf("%s: what the first node sealed, the second opens with %v, want %v", c.name, err, c.want)
		}
		// Each shows the other's key in the log; it is lacking where it is gone.
		if err := b.Assign(context.Background(), []keys.Use{{Stream: caseNo(1), Part: "reporter", Key: k.ID}}, 1); err != nil {
			t.Fatal(err)
		}
		n, one := b.Lacking()
		if lacks := n == 1 && one.Key == k.ID && b.Health() != nil; lacks != c.careless {
			t.Errorf("%s: %d keys are lacking, %+v, %v", c.name, n, one, b.Health())
		}
		shut(t, a)
		shut(t, b)
	}
}

func TestTheFirstServiceKeyStays(t *testing.T) {
	atHome(t, func(t *testing.T, h *home) {
		s := h.open()
		defer shut(t, s)
		first, second, other := "PRIVATE+KEY+a/service+1+x", "PRIVATE+KEY+a/service+2+y", "PRIVATE+KEY+b/service+3+z"
		for _, c := range []struct{ name, offered, want string }{{"a/service", first, first}, {"a/service", second, first}, {"b/service", other, other}, {"a/service", second, first}, {"b/service", first, other}} {
			if got, err := s.Service(context.Background(), c.name, c.offered); got != c.want || err != nil {
				t.Errorf("%s offered: got %q, %v, want %q", c.offered, got, err, c.want)
			}
		}
	})
}
