package access

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"gridcase/domain/orgs"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestAKeyMadeByOneProcessIsKnownToAnotherAndItsSecretIsNotStored(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.db")
	one, two := open(t, path), open(t, path)
	key, id, err := one.Create(context.Background(), orgs.Clerk, "150105003001", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	k, err := two.Lookup(context.Background(), key)
	if err != nil || k.ID != id || k.Role != orgs.Clerk || k.Unit != "150105003001" {
		t.Errorf("got %+v, %v; want the clerk's key %s", k, err, id)
	}
	secret := key[len(key)-checkSize-bodySize : len(key)-checkSize]
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), secret) {
			t.Errorf("%s holds the secret", filepath.Base(f))
		}
	}
}

func TestWhatIsNoKeyIsUnknown(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "access.db"))
	key, _, err := s.Create(context.Background(), orgs.Clerk, "150105003001", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	other := []byte(key)
	other[len(prefix)+idSize+5] ^= 1
	wrong := sign(string(other[:len(other)-checkSize]))
	for _, k := range []string{"", "gck_", key[:len(key)-1], key + "0", string(other), wrong, strings.ToUpper(key), strings.Repeat("x", len(key))} {
		if got, err := s.Lookup(context.Background(), k); !errors.Is(err, ErrUnknown) || got != (Key{}) {
			t.Errorf("%q: got %+v, %v; want ErrUnknown", k, got, err)
		}
	}
}

func TestARevokedKeyEndsAtOnceHereAndWithinTheCacheLifeElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.db")
	here, there := open(t, path), open(t, path)
	key, id, err := here.Create(context.Background(), orgs.Dispatcher, "150105003", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{here, there} {
		if _, err := s.Lookup(context.Background(), key); err != nil {
			t.Fatal(err)
		}
	}
	if err := here.Revoke(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	if k, err := here.Lookup(context.Background(), key); !errors.Is(err, ErrRevoked) || k.ID != id {
		t.Errorf("after revoking: got %+v, %v; want ErrRevoked with the key", k, err)
	}
	there.mu.Lock()
	for k, v := range there.seen {
		v.at = v.at.Add(-CacheLife)
		there.seen[k] = v
	}
	there.mu.Unlock()
	if _, err := there.Lookup(context.Background(), key); !errors.Is(err, ErrRevoked) {
		t.Errorf("elsewhere, after the cache life: got %v, want ErrRevoked", err)
	}
	if err := here.Revoke(context.Background(), "nobody"); !errors.Is(err, ErrUnknown) {
		t.Errorf("revoking an unknown key: got %v, want ErrUnknown", err)
	}
}

func TestAnExpiredKeyIsNamedAndRefused(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "access.db"))
	key, id, err := s.Create(context.Background(), orgs.Clerk, "150105003001", time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := s.Lookup(context.Background(), key); !errors.Is(err, ErrExpired) || k.ID != id {
		t.Errorf("got %+v, %v; want ErrExpired with the key", k, err)
	}
	all, err := s.List(context.Background())
	if err != nil || len(all) != 1 || all[0].ID != id {
		t.Errorf("list: got %+v, %v; want the one key", all, err)
	}
}
