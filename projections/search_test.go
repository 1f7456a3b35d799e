package projections

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gridcase/domain/demand"
	"gridcase/domain/stream"
	"gridcase/eventlog/mem"
)

func TestSearchFindsChineseWords(t *testing.T) {
	log := mem.Open()
	h := newHistory(t, log, 60)
	h.organise()
	keys := &fakeKeys{erased: map[stream.Name]bool{}}
	dir := t.TempDir()
	heat := h.raise(demand.Errand, "150105003001", "", "暖气", "供热不足，Ｔｅｌ未接", "13900000001", "r1")
	r := open(t, dir, log, func(c *Config) { c.Opener, c.Identity = keys, keys })
	lamp := h.raise(demand.Errand, "150105003002", "", "路灯不亮", "楼下路灯坏了", "13900000002", "r2")
	more := h.raise(demand.Issue, "150105004001", "", "", "还是供热问题", "13900000001", "r1")
	h.accept(lamp, "路灯维修 Lamp")
	h.accept(heat, "居民反映供热不足")
	wait(t, r, h.end)
	s := r.Search()
	find := func(query string, personal bool) []stream.ID {
		t.Helper()
		ids, err := s.Find(t.Context(), query, personal, 10)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	taken := func(r *Runner) {
		t.Helper()
		eventually(t, "the search has everything", func() bool {
			a, err := r.Search().Find(t.Context(), "居民反映", false, 10)
			b, err2 := r.Search().Find(t.Context(), "维修", false, 10)
			c, err3 := r.Search().Find(t.Context(), "还是", true, 10)
			return err == nil && err2 == nil && err3 == nil && len(a) == 1 && len(b) == 1 && len(c) == 1 && r.Search().Ready()
		})
	}
	taken(r)
	cases := []struct {
		query    string
		personal bool
		want     []stream.ID // the newest first
	}{
		{"供热", true, []stream.ID{more, heat}},
		{"供热", false, []stream.ID{heat}},
		{"供热不足", false, []stream.ID{heat}},
		{"供", true, []stream.ID{more, heat}},
		{"足", false, []stream.ID{heat}},
		{"坏了", false, nil},
		{"坏了", true, []stream.ID{lamp}},
		{"了", true, []stream.ID{lamp}},
		{"tel", true, []stream.ID{heat}}, // full-width, upper case
		{"LAMP", false, []stream.ID{lamp}},
		{"供热 暖气", true, []stream.ID{heat}},
		{"供热 路灯", true, nil},
		{"热供", true, nil},
		{"供热问", true, []stream.ID{more}},
		{"灯不", true, []stream.ID{lamp}},
		{"亮楼", true, nil}, // title and text are two texts
		{"", true, nil}, {"  ", true, nil}, {"没有", true, nil}, {"囧", true, nil},
	}
	check := func(name string) {
		t.Helper()
		for _, c := range cases {
			if got := find(c.query, c.personal); !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, personal %v: got %v, want %v", name, c.query, c.personal, got, c.want)
			}
		}
	}
	check("followed")
	if got := find("供热", true)[:1]; !slices.Equal(got, []stream.ID{more}) {
		t.Errorf("the newest: got %v, want %v", got, more)
	}
	t.Run("who reported the same", func(t *testing.T) {
		for id, want := range map[stream.ID][]stream.ID{heat: {more, heat}, more: {more, heat}, lamp: {lamp}, {9}: nil} {
			if got := s.SameReporter(id); !slices.Equal(got, want) {
				t.Errorf("same reporter as %s: got %v, want %v", id, got, want)
			}
		}
		if got := s.ByReporter("phone", "13900000001"); !slices.Equal(got, []stream.ID{more, heat}) {
			t.Errorf("by phone: got %v", got)
		}
		if got := s.ByReporter("account", "13900000001"); got != nil {
			t.Errorf("by account: got %v; a phone number is no account", got)
		}
	})
	t.Run("what was found is a filter of the list", func(t *testing.T) {
		rows, _, err := r.Views().Demands(t.Context(), Viewer{Seat: r.Units().Path("150105003")}, DemandFilter{Page: Page{Limit: 10}, IDs: find("供热", true)})
		if err != nil || len(rows) != 1 || rows[0].ID != heat {
			t.Errorf("got %+v, %v; want the one in the street", rows, err)
		}
	})
	whole := t
	t.Run("made anew at a start", func(t *testing.T) {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = open(whole, dir, log, func(c *Config) { c.Opener, c.Identity = keys, keys }) // for the subtests after this one
		s = r.Search()
		taken(r)
		check("restarted")
	})
	t.Run("an erased text is found no more", func(t *testing.T) {
		keys.mu.Lock()
		keys.erased[stream.Of(stream.Demand, heat)] = true
		keys.mu.Unlock()
		if got := find("暖气", true); len(got) != 0 {
			t.Errorf("erased and not dropped yet: got %v, want nothing: the text is opened to verify", got)
		}
		s.Drop(heat)
		if got := s.SameReporter(more); !slices.Equal(got, []stream.ID{more}) {
			t.Errorf("same reporter after the erasure: got %v", got)
		}
		eventually(t, "the public summary is taken in again", func() bool { return slices.Equal(find("供热", false), []stream.ID{heat}) })
		if got := s.SameReporter(more); !slices.Equal(got, []stream.ID{more}) {
			t.Errorf("same reporter after the erasure: got %v", got)
		}
	})
	t.Run("what cannot be opened is counted, and not taken for erased", func(t *testing.T) {
		keys.mu.Lock()
		keys.broken = errOnPurpose
		keys.mu.Unlock()
		h.raise(demand.Errand, "150105003001", "", "t", "x", "", "r1")
		wait(t, r, h.end)
		eventually(t, "a fault is counted", func() bool { n, err := s.Unopened(); return n > 0 && errors.Is(err, errOnPurpose) })
		if _, err := s.Find(t.Context(), "路灯", true, 10); !errors.Is(err, errOnPurpose) {
			t.Errorf("a search that cannot verify: got %v, want the reason", err)
		}
	})
}

// TestSearchAgreesWithReading compares with a search that reads every text.
func TestSearchAgreesWithReading(t *testing.T) {
	log, h := sample(t, 61, 100)
	texts := map[stream.ID][2]string{} // public, personal
	for _, id := range h.demands {
		texts[id] = [2]string{}
	}
	alphabet := []rune("甲乙丙丁ab ")
	word := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteRune(pick(h.random, alphabet))
		}
		return b.String()
	}
	for range 300 {
		personal, public := word(12), word(6)
		id := h.raise(demand.Errand, "150105003001", "", "", personal, "", "r1")
		if h.random.IntN(2) == 0 {
			h.accept(id, public)
		} else {
			public = ""
		}
		texts[id] = [2]string{public, personal}
	}
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	eventually(t, "ready", r.Search().Ready)
	found := 0
	for range 400 {
		query, personal := word(1+h.random.IntN(4)), h.random.IntN(2) == 0
		var want []stream.ID
		for id, x := range texts {
			if x == ([2]string{}) {
				continue
			}
			all := len(strings.Fields(query)) > 0
			for _, w := range strings.Fields(query) {
				all = all && (strings.Contains(foldText(x[0]), w) || personal && strings.Contains(foldText(x[1]), w))
			}
			if all {
				want = append(want, id)
			}
		}
		got, err := r.Search().Find(t.Context(), query, personal, 1000)
		if err != nil {
			t.Fatal(err)
		}
		got = slices.DeleteFunc(got, func(id stream.ID) bool { return texts[id] == [2]string{} })
		if !slices.Equal(sortIDs(got), sortIDs(want)) {
			t.Fatalf("%q, personal %v: got %d, want %d", query, personal, len(got), len(want))
		}
		found += len(want)
	}
	if found == 0 {
		t.Error("nothing was ever found")
	}
}

func TestNothingSealedIsOnTheDisk(t *testing.T) {
	log := mem.Open()
	h := newHistory(t, log, 62)
	h.organise()
	dir := t.TempDir()
	r := open(t, dir, log)
	for i := range 300 {
		h.raise(demand.Errand, "150105003001", "", "机密标题 sentinel-title", fmt.Sprint("机密正文 sentinel-text ", i), "139-sentinel", "r1")
	}
	wait(t, r, h.end)
	eventually(t, "the search has everything", func() bool {
		ids, err := r.Search().Find(t.Context(), "机密正文", true, 1000)
		return err == nil && len(ids) == 300
	})
	if err := r.Rebuild(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	looked, ciphers := 0, 0
	for _, path := range files(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, path))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the generation before, which goes about now
		}
		if err != nil {
			t.Fatal(err)
		}
		looked += len(b)
		ciphers += bytes.Count(b, []byte("gcenc1."))
		for _, s := range []string{"sentinel", "机密", "139-"} {
			if bytes.Contains(b, []byte(s)) {
				t.Errorf("%s holds %q in the clear", path, s)
			}
		}
	}
	if ciphers < 300 {
		t.Errorf("only %d ciphertexts in %d bytes: the search looked at the wrong files", ciphers, looked)
	}
}
