package relay_test

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"gridcase/engine/relay"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// elsewhere is a log as a copy in another store has it: the same events at other positions.
type elsewhere struct{ eventlog.Log }

func there(ev eventlog.Event) eventlog.Event { ev.Position = ev.Position*97 + 13; return ev }

func (e elsewhere) End(ctx context.Context) (eventlog.Position, error) {
	p, err := e.Log.End(ctx)
	return there(eventlog.Event{Position: p}).Position, err
}

func (e elsewhere) Read(ctx context.Context, n string, from eventlog.Revision) iter.Seq2[eventlog.Event, error] {
	return func(yield func(eventlog.Event, error) bool) {
		for ev, err := range e.Log.Read(ctx, n, from) {
			if !yield(there(ev), err) {
				return
			}
		}
	}
}

func (e elsewhere) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		if after >= 13 {
			after = (after - 13) / 97
		} else {
			after = 0
		}
		for b, err := range e.Log.Follow(ctx, after) {
			b.Events = slices.Clone(b.Events)
			for i, ev := range b.Events {
				b.Events[i] = there(ev)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// older is a log as an earlier copy has it: without most of its events.
type older struct{ eventlog.Log }

func (o older) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range o.Log.Follow(ctx, after) {
			b.Events, b.Live = b.Events[:min(len(b.Events), 40)], true
			yield(b, err)
			return
		}
	}
}

// A copied log is gone on with: nothing is told twice, nothing is lost, and what was tried and not taken waits for a person.
func TestARelayIsCarriedToACopyOfItsLog(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		refused := true
		town := newTown(t, dir, func(_ int, g got) (int, map[string]string) {
			if refused && g.matter == demandNo(3).ID().String() {
				return 500, nil
			}
			return 204, nil
		})
		town.start()
		for i := range 100 {
			town.step(i % 9)
		}
		time.Sleep(25 * time.Second)
		synctest.Wait()
		for i := range 20 { // never read by the relay before the copy
			if i == 0 {
				town.stop()
			}
			town.step(i % 9)
		}
		before := len(town.to.seen())
		refused = false
		copied := elsewhere{town.log}
		town.config = func(c relay.Config) relay.Config { c.Log = copied; return c }
		refusal := func(log eventlog.Log) error {
			book, err := relay.OpenBook(t.Context(), dir+"/relays.db")
			if err != nil {
				t.Fatal(err)
			}
			defer book.Close()
			o := town.out
			_, err = relay.Start(t.Context(), relay.Config{Log: log, House: town.house, Source: source, Book: book, Out: []relay.Out{o}})
			return err
		}
		if err := refusal(copied); !errors.Is(err, relay.ErrOtherLog) || !strings.Contains(err.Error(), "relays carry") {
			t.Errorf("on a copy with other positions: got %v", err)
		}
		book, err := relay.OpenBook(t.Context(), dir+"/relays.db")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := book.Carry(t.Context(), older{town.log}, copied); err == nil || !strings.Contains(err.Error(), "older copy") {
			t.Errorf("carried from a log that ends before what was told: got %v", err)
		}
		if n, err := book.Carry(t.Context(), town.log, copied); err != nil || n < 3 {
			t.Errorf("carried %d positions: %v", n, err)
		}
		if _, err := book.Carry(t.Context(), town.log, copied); !errors.Is(err, relay.ErrOtherLog) {
			t.Errorf("carried twice: got %v", err)
		}
		if err := book.Replay(t.Context(), "street", 14, 200); err == nil || !strings.Contains(err.Error(), "before the log was copied") {
			t.Errorf("a replay of what was told before: got %v", err)
		}
		if err := book.Close(); err != nil {
			t.Fatal(err)
		}
		if err := refusal(town.log); !errors.Is(err, relay.ErrOtherLog) {
			t.Errorf("back on the first log: got %v", err)
		}
		town.start()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		times := map[string]int{}
		for i, g := range town.to.seen() {
			if g.status == 204 {
				times[g.id]++
			}
			if i >= before && g.matter == demandNo(3).ID().String() {
				t.Errorf("sent with another body than before: %s", g.body)
			}
		}
		held := 0
		for i, ev := range town.all {
			of := ev.Stream == string(demandNo(3))
			if of {
				held++
			}
			if n := times[ev.ID.String()]; n != 1 && !of {
				t.Errorf("event %d was taken %d times, want once", i, n)
			}
		}
		if s := town.status(); s.Parked != 1 || s.Waiting != held-1 {
			t.Errorf("%d parked, %d wait; want 1 and %d", s.Parked, s.Waiting, held-1)
		}
		town.end()
	})
}

// An older copy of the log is put back, and grows beyond what was told: the book of relays is not of this log.
func TestABookOfALogThatIsGoneIsRefused(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		town := newTown(t, dir, nil)
		town.start()
		for i := range 30 {
			town.step(i % 9)
		}
		time.Sleep(25 * time.Second)
		synctest.Wait()
		town.stop()
		town.start() // the log itself is taken again
		time.Sleep(5 * time.Second)
		town.stop()
		var all []eventlog.Event
		for b, err := range town.log.Follow(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if all = append(all, b.Events...); b.Live {
				break
			}
		}
		back := mem.Open()
		defer back.Close()
		for i, ev := range all {
			fact := ev.Fact
			if i >= len(all)-5 { // others happened instead
				fact.ID = uuid.New()
			}
			if _, err := back.Append(t.Context(), ev.Stream, ev.Revision-1, fact); err != nil {
				t.Fatal(err)
			}
		}
		for i := range eventlog.Revision(9) { // and more than were told
			fact := all[0].Fact
			fact.ID = uuid.New()
			if _, err := back.Append(t.Context(), "gridcase.node-1", i-1, fact); err != nil {
				t.Fatal(err)
			}
		}
		book, err := relay.OpenBook(t.Context(), dir+"/relays.db")
		if err != nil {
			t.Fatal(err)
		}
		_, err = relay.Start(t.Context(), relay.Config{Log: back, House: town.house, Source: source, Book: book, Out: []relay.Out{town.out}})
		if !errors.Is(err, relay.ErrOtherLog) || !strings.Contains(err.Error(), "read last") {
			t.Errorf("an older log that has grown: got %v", err)
		}
		if err := book.Close(); err != nil {
			t.Fatal(err)
		}
		town.start()
		town.end()
	})
}

// What the test above counts, it counts: a relay that goes on with the positions of another log tells things again.
func TestACopyThatIsNotCarriedIsSeen(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		town := newTown(t, dir, nil)
		town.start()
		for i := range 30 {
			town.step(i % 9)
		}
		time.Sleep(25 * time.Second)
		synctest.Wait()
		town.stop()
		db, err := sql.Open("sqlite", "file:"+dir+"/relays.db")
		if err == nil {
			_, err = db.Exec("DELETE FROM anchors")
		}
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		town.config = func(c relay.Config) relay.Config { c.Log = elsewhere{town.log}; return c }
		town.start()
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if n := len(town.to.seen()); n == 30 {
			t.Error("each message came once, though nobody counted the positions anew")
		}
		if town.faults() == nil {
			t.Error("and nobody sees a fault")
		}
		town.end()
	})
}
