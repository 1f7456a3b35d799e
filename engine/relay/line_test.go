package relay_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gridcase/engine/relay"
	"gridcase/eventlog"
)

// weather is how a destination behaves, by the time since the beginning.
type weather struct {
	name   string
	answer func(w *town, since time.Duration, n int, g got) (int, map[string]string)
	// refused says when nobody listens at all.
	refused func(since time.Duration) bool
	// at least and at most so many attempts for 600 messages, so that a test sees trouble and no storm.
	least, most int
}

var weathers = []weather{
	{"down for an hour", nil, func(d time.Duration) bool { return d < time.Hour }, 600, 620},
	{"500 for an hour", func(_ *town, d time.Duration, _ int, _ got) (int, map[string]string) {
		if d < time.Hour {
			return 500, nil
		}
		return 200, nil
	}, nil, 605, 700},
	{"flapping every four minutes", func(_ *town, d time.Duration, _ int, _ got) (int, map[string]string) {
		if d%(8*time.Minute) < 4*time.Minute {
			return 502, nil
		}
		return 200, nil
	}, nil, 605, 900},
	{"one in three fails", func(_ *town, _ time.Duration, n int, _ got) (int, map[string]string) {
		if n%3 == 1 {
			return 500, nil
		}
		return 202, nil
	}, nil, 700, 1200},
	{"429 for an hour, asking for ten minutes each time", func(_ *town, d time.Duration, _ int, _ got) (int, map[string]string) {
		if d < time.Hour {
			return 429, map[string]string{"Retry-After": "600"}
		}
		return 200, nil
	}, nil, 606, 720},
	{"does not answer for half an hour", func(_ *town, d time.Duration, _ int, _ got) (int, map[string]string) {
		if d < 30*time.Minute {
			return 0, nil
		}
		return 200, nil
	}, nil, 605, 720},
	{"redirects for an hour", func(_ *town, d time.Duration, _ int, _ got) (int, map[string]string) {
		if d < time.Hour {
			return 307, map[string]string{"Location": "http://receiver/elsewhere"}
		}
		return 200, nil
	}, nil, 605, 700},
}

// live lets 60 cases live for two hours while the destination has its weather, and returns what does not hold in the end.
func (w weather) live(t *testing.T, bug relay.Bug) (faults []string, attempts int, drained time.Duration) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var town *town
		town = newTown(t, dir, func(n int, g got) (int, map[string]string) {
			if w.answer == nil {
				return 200, nil
			}
			return w.answer(town, time.Since(began), n, g)
		})
		town.config = func(c relay.Config) relay.Config { return c.Planting(bug) }
		town.start()
		defer town.end()
		r := rand.New(rand.NewPCG(1, 2))
		for range 600 {
			town.net.mu.Lock()
			town.net.dead = w.refused != nil && w.refused(time.Since(began))
			town.net.mu.Unlock()
			town.step(r.IntN(60))
			time.Sleep(12 * time.Second)
		}
		before := time.Now()
		patience := 24 * 60
		if bug != relay.NoBug { // it is seen by now, or it never is
			patience = 1
		}
		for range patience {
			synctest.Wait()
			if faults = town.faults(); len(faults) == 0 {
				break
			}
			time.Sleep(time.Minute)
		}
		drained = time.Since(before)
		time.Sleep(25 * time.Second) // the status is brought up to date now and then
		synctest.Wait()
		attempts = len(town.to.seen())
		if s := town.status(); bug == relay.NoBug && (s.Parked != 0 || s.Waiting != 0 || s.Lag != 0 || s.Why != "" || s.Sent != 600) {
			t.Errorf("in the end: got %+v", s)
		}
	})
	return faults, attempts, drained
}

func TestWhateverTheWeatherEveryMessageArrivesInTheOrderOfItsCase(t *testing.T) {
	for _, w := range weathers {
		t.Run(w.name, func(t *testing.T) {
			faults, attempts, drained := w.live(t, relay.NoBug)
			for _, f := range faults {
				t.Error(f)
			}
			if attempts < w.least || attempts > w.most {
				t.Errorf("got %d attempts for 600 messages, want %d to %d", attempts, w.least, w.most)
			}
			t.Logf("600 messages of 60 cases in %d attempts, all there %s after the last was written", attempts, drained)
		})
	}
}

// The same weather must show the planted bugs, or it would prove nothing.
func TestPlantedBugsOfTheLineAreSeen(t *testing.T) {
	for _, c := range []struct {
		weather string
		bug     relay.Bug
	}{{"500 for an hour", relay.FreshIDs}, {"500 for an hour", relay.Unordered}, {"429 for an hour, asking for ten minutes each time", relay.Unordered},
		{"flapping every four minutes", relay.FreshIDs}, {"does not answer for half an hour", relay.FreshIDs}} {
		i := slices.IndexFunc(weathers, func(w weather) bool { return w.name == c.weather })
		if faults, _, _ := weathers[i].live(t, c.bug); len(faults) == 0 {
			t.Errorf("%s, bug %d: nobody noticed", c.weather, c.bug)
		}
	}
}

func TestOneThatIsNeverTakenHoldsItsOwnCaseAndIsParkedAfterADay(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var (
			judging sync.Mutex // held while a step is written whose message will not be taken: it may arrive before we know its position
			poison  atomic.Uint64
		)
		town := newTown(t, dir, func(_ int, g got) (int, map[string]string) {
			judging.Lock()
			defer judging.Unlock()
			if uint64(g.position) == poison.Load() {
				return 422, nil
			}
			return 200, nil
		})
		town.start()
		for i := range 20 {
			town.step(i % 10)
		}
		synctest.Wait()
		judging.Lock()
		stubborn := town.step(3)
		poison.Store(uint64(stubborn.Position))
		judging.Unlock()
		for i := range 40 {
			town.step(i % 10)
		}
		time.Sleep(25 * time.Second)
		synctest.Wait()
		others := 0
		for _, g := range town.to.seen() {
			if g.matter != demandNo(3).ID().String() {
				others++
			}
		}
		if others != 54 {
			t.Errorf("of the other nine cases %d messages came, want 54", others)
		}
		if s := town.status(); s.Waiting != 5 || s.Parked != 0 {
			t.Errorf("within the day: got %+v, want 5 waiting", s)
		}
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		if s := town.status(); s.Parked != 1 || s.Waiting != 4 {
			t.Errorf("after the day: got %+v, want 1 parked and 4 behind it", s)
		}
		tried := 0
		for _, g := range town.to.seen() {
			if uint64(g.position) == poison.Load() {
				tried++
			}
		}
		if tried < 25 || tried > 60 {
			t.Errorf("it was tried %d times in a day", tried)
		}
		time.Sleep(100 * time.Hour)
		if n := len(town.to.seen()); n != 20+36+tried {
			t.Errorf("parked, it was tried again: %d messages came", n)
		}
		town.stop() // it is parked on disk, not in memory
		town.start()
		time.Sleep(time.Hour)
		if s := town.status(); s.Parked != 1 || s.Waiting != 4 {
			t.Errorf("after a restart: got %+v", s)
		}
		held, err := town.book.Held(t.Context(), "street")
		if err != nil || len(held) != 5 || !held[0].Parked || held[0].Position != stubborn.Position || held[0].Reason != "the destination answered 422" || held[1].Attempts != 0 {
			t.Errorf("the book holds %+v, %v", held, err)
		}
		if err := town.book.Skip(t.Context(), "street", stubborn.Position+1); err == nil {
			t.Error("what is not parked was given up")
		}
		poison.Store(0) // whoever owns the receiver has mended it
		if err := town.book.Resume(t.Context(), "street"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Second)
		synctest.Wait()
		for _, f := range town.faults() {
			t.Error(f)
		}
		t.Logf("tried %d times in 24 hours, then parked; resumed, it and the 4 behind it went in order", tried)

		judging.Lock()
		poison.Store(uint64(town.step(3).Position))
		judging.Unlock()
		last := town.step(3)
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		if err := town.book.Skip(t.Context(), "street", eventlog.Position(poison.Load())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		all := town.to.seen()
		if g := all[len(all)-1]; g.id != last.ID.String() || g.status != 200 {
			t.Errorf("behind the one that was given up: got %+v", g)
		}
		if s := town.status(); s.Parked != 0 || s.Waiting != 0 {
			t.Errorf("given up: got %+v", s)
		}
		town.end()
	})
}

func TestADestinationThatIsGoneIsSwitchedOffUntilAPersonResumesIt(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		gone.Store(true)
		town := newTown(t, dir, func(int, got) (int, map[string]string) {
			if gone.Load() {
				return 410, nil
			}
			return 200, nil
		})
		town.start()
		town.step(1)
		town.step(1)
		town.step(2)
		time.Sleep(100 * time.Hour)
		first := len(town.to.seen())
		if first < 1 || first > 2 {
			t.Errorf("got %d attempts, want one for each case at most", first)
		}
		if s := town.status(); !s.Off || s.Parked != 0 {
			t.Errorf("got %+v", s)
		}
		town.stop()
		town.start()
		time.Sleep(time.Hour)
		if n := len(town.to.seen()); n != first {
			t.Errorf("after a restart it was called %d times again", n-first)
		}
		gone.Store(false)
		if err := town.book.Resume(t.Context(), "street"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Second)
		synctest.Wait()
		for _, f := range town.faults() {
			t.Error(f)
		}
		if err := town.book.Park(t.Context(), "street"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Second)
		before := len(town.to.seen())
		town.step(2)
		time.Sleep(time.Hour)
		if n := len(town.to.seen()); n != before || !town.status().Off {
			t.Errorf("parked by hand, it sent %d messages", n-before)
		}
		town.end()
	})
}

func TestRetryAfterIsHonouredByTheWholeDestinationAndSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		town := newTown(t, dir, func(n int, _ got) (int, map[string]string) {
			if n == 0 {
				return 503, map[string]string{"Retry-After": "1800"}
			}
			return 200, nil
		})
		town.start()
		town.step(1)
		synctest.Wait()
		town.stop()
		town.start()
		for i := range 20 {
			town.step(i)
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Hour)
		all := town.to.seen()
		if d := all[1].at.Sub(all[0].at); d < 30*time.Minute-time.Second || d > 31*time.Minute {
			t.Errorf("asked to wait 30 minutes, it came back after %s", d)
		}
		for _, f := range town.faults() {
			t.Error(f)
		}
		town.end()
	})
}

// A crash falls between a message that was taken and the cursor: the book never learns of it.
func crash(t *testing.T, bug relay.Bug) (faults []string, repeats int) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var town *town
		var crashed atomic.Bool
		town = newTown(t, dir, func(n int, _ got) (int, map[string]string) {
			if n%23 == 11 { // the power fails with this message under way, taken or not
				town.book.Cut()
				crashed.Store(true)
				return 0, nil
			}
			if n%5 == 3 {
				return 500, nil
			}
			return 200, nil
		})
		town.config = func(c relay.Config) relay.Config { return c.Planting(bug) }
		town.start()
		for i := range 300 {
			town.step(i % 17)
			time.Sleep(time.Second)
			if crashed.Swap(false) {
				town.running.Close() // its last words do not reach the book
				town.start()
			}
		}
		time.Sleep(3 * time.Hour)
		for crashed.Swap(false) {
			town.running.Close()
			town.start()
			time.Sleep(3 * time.Hour)
		}
		faults = town.faults()
		repeats = len(town.to.seen()) - 300
		town.end()
	})
	return faults, repeats
}

func TestACrashBetweenSendingAndTheCursorRepeatsAndLosesNothing(t *testing.T) {
	faults, repeats := crash(t, relay.NoBug)
	for _, f := range faults {
		t.Error(f)
	}
	if repeats == 0 {
		t.Error("nothing was repeated, so no crash fell where it was to fall")
	}
	t.Logf("300 messages, %d attempts more than that", repeats)
}

func TestACursorStoredBeforeSendingIsSeen(t *testing.T) {
	if faults, _ := crash(t, relay.Early); len(faults) == 0 {
		t.Error("messages are lost in a crash, and nobody noticed")
	}
}

func TestARangeIsSentAgainAsItWas(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		town := newTown(t, dir, nil)
		town.start()
		for i := range 100 {
			town.step(i % 9)
		}
		time.Sleep(25 * time.Second)
		before := town.to.seen()
		from, to := town.all[30].Position, town.all[59].Position
		if err := town.book.Replay(t.Context(), "street", from, to+1_000_000); err == nil {
			t.Error("a range beyond the cursor was taken")
		}
		if err := town.book.Replay(t.Context(), "street", from, to); err != nil {
			t.Fatal(err)
		}
		town.step(1)
		time.Sleep(25 * time.Second)
		synctest.Wait()
		again := town.to.seen()[len(before):]
		want := map[string]bool{}
		for _, ev := range town.all[30:60] {
			want[ev.ID.String()] = true
		}
		for _, g := range again {
			delete(want, g.id)
			if g.position != town.all[100].Position && (g.position < from || g.position > to) {
				t.Errorf("position %d was sent again", g.position)
			}
		}
		if len(again) != 31 || len(want) != 0 {
			t.Errorf("%d messages came, %d of the range did not", len(again), len(want))
		}
		for _, f := range town.faults() { // the bodies, too, are those of the first time
			t.Error(f)
		}
		pages, err := town.book.Pages(t.Context())
		if err != nil || pages[0].Until != 0 || pages[0].Wishes != nil || pages[0].Position != town.all[100].Position {
			t.Errorf("afterwards the book says %+v, %v", pages, err)
		}
		town.end()
	})
}

func TestARelayKeepsItsShape(t *testing.T) {
	dir := t.TempDir()
	town := newTown(t, dir, nil)
	town.start()
	town.stop()
	town.out.Terms.Ciphertexts = true
	book, err := relay.OpenBook(t.Context(), dir+"/relays.db")
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	_, err = relay.Start(t.Context(), relay.Config{Log: town.log, House: town.house, Source: source, Book: book, Out: []relay.Out{town.out}})
	if err == nil {
		t.Error("what was sent would be sent again with another body")
	}
	town.web.Close()
}
