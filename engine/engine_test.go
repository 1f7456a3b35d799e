package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// house is an engine on a log in memory, with a small city and a clock that stands still until it is moved.
type house struct {
	*engine.Engine
	t    testing.TB
	log  eventlog.Log
	keys *keys.Store
	dir  string
	mu   sync.Mutex
	now  time.Time
	n    int

	react func(event.Entry, flow.World) flow.Plan // nil: ours
}

const (
	city      = orgs.UnitCode("150100")
	district  = orgs.UnitCode("150105")
	street    = orgs.UnitCode("150105003")
	community = orgs.UnitCode("150105003001")
	grid      = orgs.GridCode("150105003001001")
	bureau    = orgs.UnitCode("150105-d01")
	other     = orgs.UnitCode("150105-d02")
	hotline   = orgs.UnitCode("150105-hotline")
	oversight = orgs.UnitCode("150105-oversight")
)

// smallCity are the units that tests work with.
var smallCity = []orgs.OpenUnit{
	{Code: city, Name: "呼和浩特市", Kind: orgs.City},
	{Code: district, Name: "赛罕区", Kind: orgs.District, Parent: city},
	{Code: bureau, Name: "住房和城乡建设局", Kind: orgs.Department, Parent: district},
	{Code: other, Name: "城市管理局", Kind: orgs.Department, Parent: district},
	{Code: hotline, Name: "热线中心", Kind: orgs.Hotline, Parent: district},
	{Code: oversight, Name: "督查中心", Kind: orgs.Oversight, Parent: district},
	{Code: street, Name: "人民路街道", Kind: orgs.Street, Parent: district},
	{Code: community, Name: "第一社区", Kind: orgs.Community, Parent: street},
}

func open(t testing.TB) *house {
	return openOn(t, func(*house) eventlog.Log { return mem.Open() })
}

// timed is open with a log that has the house's clock.
func timed(t testing.TB) *house {
	return openOn(t, func(h *house) eventlog.Log {
		return mem.Open(mem.WithClock(func() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }))
	})
}

func openOn(t testing.TB, log func(*house) eventlog.Log) *house {
	h := &house{t: t, dir: t.TempDir(), now: time.Date(2025, 3, 3, 1, 0, 0, 0, time.UTC)}
	h.log = log(h)
	h.start()
	t.Cleanup(h.stop)
	for _, u := range smallCity {
		h.do(stream.Keyed(stream.Unit, string(u.Code)), operator, u)
	}
	h.do(stream.Keyed(stream.Grids, string(community)), operator,
		orgs.DrawGrid{Grid: grid, Name: "第一网格", Households: 300, Buildings: 5, Stairwells: 20, Urban: true})
	return h
}

func (h *house) start() {
	h.t.Helper()
	store, err := keys.Open(context.Background(), filepath.Join(h.dir, "keys"))
	if err != nil {
		h.t.Fatal(err)
	}
	e, err := engine.Open(context.Background(), engine.Config{Log: h.log, Keys: store, Index: filepath.Join(h.dir, "index.db"),
		Rules: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}, Origin: "gridcase.test/test/1",
		Program: "test", Now: func() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now },
		Draw: func(_ stream.ID, _ int, kind string, _ time.Time) (bool, int) { return kind != "errand", 1000 }}.Reacting(h.react))
	if err != nil {
		h.t.Fatal(err)
	}
	h.Engine, h.keys = e, store
}

func (h *house) stop() {
	if err := errors.Join(h.Close(), h.keys.Close()); err != nil {
		h.t.Error(err)
	}
}

func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

var operator = rule.Actor{ID: "op", Role: orgs.Operator, Unit: city}

func as(role orgs.Role, unit orgs.UnitCode) rule.Actor {
	return rule.Actor{ID: string(role) + "@" + string(unit), Role: role, Unit: unit}
}

func (h *house) request(n stream.Name, a rule.Actor, c engine.Command) engine.Request {
	h.n++
	_, revision, err := h.Load(context.Background(), n)
	if err != nil {
		h.t.Fatal(err)
	}
	return engine.Request{Stream: n, Commands: []engine.Command{c}, Key: fmt.Sprintf("k%d", h.n), Actor: a, Expect: revision}
}

// do gives a command that must succeed, and waits for what follows.
func (h *house) do(n stream.Name, a rule.Actor, c engine.Command, second ...rule.Actor) engine.Receipt {
	h.t.Helper()
	r := h.request(n, a, c)
	if len(second) > 0 {
		r.Second = &second[0]
	}
	receipt, err := h.Handle(context.Background(), r)
	if err != nil {
		h.t.Fatalf("%T on %s: %v", c, n, err)
	}
	h.settle()
	return receipt
}

func (h *house) settle() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		end, err := h.log.End(ctx)
		if err == nil {
			err = h.Settled(ctx, end)
		}
		if err != nil {
			h.t.Fatal(err)
		}
		if again, _ := h.log.End(ctx); again == end {
			return
		}
	}
}

// types lists the stored names of a stream.
func (h *house) types(n stream.Name) []string {
	var names []string
	for ev, err := range h.log.Read(context.Background(), string(n), 0) {
		if err != nil {
			h.t.Fatal(err)
		}
		names = append(names, ev.Type)
	}
	return names
}

func (h *house) demand(id stream.ID) demand.State {
	s, _, err := h.Load(context.Background(), stream.Of(stream.Demand, id))
	if err != nil {
		h.t.Fatal(err)
	}
	d, _ := s.(demand.State)
	return d
}

func raise(text string) demand.Raise {
	return demand.Raise{Kind: demand.Issue, Channel: "wechat", Title: sealed.Clear("供热不足"), Text: sealed.Clear(text),
		Reporter: demand.Reporter{Name: sealed.Clear("居民甲"), Phone: sealed.Clear("000-1234")}, Grid: grid, Unit: community}
}

func (h *house) raised(text string) stream.ID {
	h.n++
	id := stream.DemandFor("wechat", fmt.Sprint("ref", h.n))
	h.do(stream.Of(stream.Demand, id), as(orgs.Channel, hotline), raise(text))
	return id
}

func (h *house) accepted(kind demand.Kind) stream.ID {
	id := h.raised("家里暖气不热")
	h.do(stream.Of(stream.Demand, id), as(orgs.Clerk, community), demand.Accept{Kind: kind, Matter: "010101", Urgency: "C",
		Unit: community, Grid: grid, Summary: "供热温度不足"})
	return id
}

func (h *house) inHandling() (stream.ID, stream.ID) {
	id := h.accepted(demand.Errand)
	r := h.do(stream.Of(stream.Demand, id), as(orgs.Clerk, community), demand.FastTrack{Reason: demand.ReasonErrand,
		Route: demand.Route{Order: &demand.NewOrder{Lead: grid.Unit()}}})
	return id, stream.CausedBy(stream.Order, r.Event, 0)
}

func TestAFastTrackedErrandIsCarriedThroughByTheFlow(t *testing.T) {
	h := open(t)
	id, oid := h.inHandling()
	worker, o, d := as(orgs.GridWorker, grid.Unit()), stream.Of(stream.Order, oid), stream.Of(stream.Demand, id)
	h.do(o, worker, order.Sign{})
	h.do(o, worker, order.RecordContact{Means: "phone", Demands: []stream.ID{id}})
	h.do(o, worker, order.ReportHandling{Outcome: "resolved", Answer: sealed.Clear("已修好"), Summary: "已修复", Account: sealed.Clear("更换阀门")})
	if got := h.demand(id).Phase; got != demand.PhaseAnswered {
		t.Fatalf("after a report that was sampled out: demand is %s, want answered", got)
	}
	h.do(d, as(orgs.CallbackAgent, hotline), demand.RecordCallback{Resolved: true, Grade: 5})
	s, _, _ := h.Load(context.Background(), o)
	if got := s.(order.State).Phase; got != order.PhaseClosed {
		t.Errorf("after the callback closed the only demand: order is %s, want closed", got)
	}
	for _, want := range []string{"demand-raised/1", "demand-accepted/1", "demand-fast-tracked/1", "demand-answered/1", "callback-recorded/1"} {
		if !slices.Contains(h.types(d), want) {
			t.Errorf("the demand's own stream lacks %s: %v", want, h.types(d))
		}
	}
	if parked, err := h.Parked(context.Background()); err != nil || len(parked) != 0 {
		t.Errorf("parked consequences: %v, %v; want none", parked, err)
	}
}

func TestDemandsMergedIntoATopicAreHandledByItsOrdersAndSentBackWhenItReturns(t *testing.T) {
	h := open(t)
	var ids []stream.ID
	for range 3 {
		ids = append(ids, h.accepted(demand.Issue))
	}
	tid := stream.For(stream.Topic, "x", "topic")
	tn := stream.Of(stream.Topic, tid)
	convenor := as(orgs.Convenor, community)
	h.do(tn, convenor, topic.Propose{Kind: topic.Ordinary, Source: "residents", Title: "小区供热", Unit: community, Matter: "010101", Demands: ids})
	for _, id := range ids {
		if got := h.demand(id); got.Phase != demand.PhaseInTopic || got.Topic != tid {
			t.Fatalf("a demand named in the proposal is %s in %s, want in_topic in %s", got.Phase, got.Topic, tid)
		}
	}
	meeting := h.now.Add(5 * 24 * time.Hour)
	h.do(tn, convenor, topic.OpenDeliberation{Format: "council", Place: "社区活动室", MeetingAt: meeting})
	h.wait(6 * 24 * time.Hour)
	h.do(tn, convenor, topic.HoldDeliberation{Format: "council", Venue: "社区活动室", Minutes: fmt.Sprintf("%064x", 1),
		Attendees: []topic.Attendance{{Capacity: "residents", Number: 20}}})
	h.do(tn, as(orgs.CommunitySecretary, community), topic.Adopt{Summary: "改造管网", Items: []topic.Item{
		{Lead: grid.Unit(), Matter: "010101", Urgency: "D", Target: calendar.DateOf(h.now) + 30, Task: "排查"},
		{Lead: bureau, Matter: "010101", Urgency: "D", Target: calendar.DateOf(h.now) + 60, Task: "改造"}}}, convenor)
	r := h.do(tn, as(orgs.CommunitySecretary, community), topic.HandToGrid{})
	orders := []stream.ID{stream.CausedBy(stream.Order, r.Event, 0), stream.CausedBy(stream.Order, r.Event, 1)}
	for _, id := range ids {
		got := h.demand(id)
		if got.Phase != demand.PhaseInHandling || !slices.Equal(got.Orders, orders) {
			t.Fatalf("demand is %s with orders %v, want in_handling with %v", got.Phase, got.Orders, orders)
		}
	}
	for _, o := range orders {
		h.do(stream.Of(stream.Order, o), as(orgs.Dispatcher, street), order.Cancel{Cause: "error", Reason: "误派"})
	}
	for _, id := range ids {
		if got := h.demand(id); got.Phase != demand.PhaseInTopic || len(got.Orders) != 0 {
			t.Errorf("after all orders were cancelled the demand is %s with %v, want in_topic with none", got.Phase, got.Orders)
		}
	}
	if parked, err := h.Parked(context.Background()); err != nil || len(parked) != 0 {
		t.Errorf("parked consequences: %v, %v; want none", parked, err)
	}
}

func TestTheSameKeyGivesOneEventAndEqualAnswers(t *testing.T) {
	h := open(t)
	id := stream.DemandFor("wechat", "once")
	r := engine.Request{Stream: stream.Of(stream.Demand, id), Commands: []engine.Command{raise("一次")}, Key: "same",
		Actor: as(orgs.Channel, hotline), Expect: -1}
	receipts := make([]engine.Receipt, 64)
	var wg sync.WaitGroup
	for i := range receipts {
		wg.Go(func() {
			var err error
			if receipts[i], err = h.Handle(context.Background(), r); err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i, got := range receipts {
		if got.Leaf != receipts[0].Leaf || got.Event != receipts[0].Event || got.Revision != 0 {
			t.Errorf("request %d: got event %s leaf %x, want those of request 0: %s %x", i, got.Event, got.Leaf, receipts[0].Event, receipts[0].Leaf)
		}
	}
	if got := h.types(r.Stream); len(got) != 1 {
		t.Errorf("events: %v, want one", got)
	}
	r.Commands = []engine.Command{raise("另一次")}
	if _, err := h.Handle(context.Background(), r); !errors.Is(err, engine.ErrKeyReused) {
		t.Errorf("same key, other body: got %v, want ErrKeyReused", err)
	}
}

func TestManyWithDifferentKeysRaceAndOneWins(t *testing.T) {
	h := open(t)
	id := h.raised("竞争")
	n := stream.Of(stream.Demand, id)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won, stale := 0, 0
	for i := range 64 {
		wg.Go(func() {
			_, err := h.Handle(context.Background(), engine.Request{Stream: n, Key: fmt.Sprint("race", i), Expect: 0,
				Actor: as(orgs.Clerk, community), Commands: []engine.Command{demand.Accept{Kind: demand.Issue, Matter: "010101",
					Urgency: "C", Unit: community, Grid: grid, Summary: "摘要"}}})
			mu.Lock()
			defer mu.Unlock()
			var s *engine.StaleError
			switch {
			case err == nil:
				won++
			case errors.As(err, &s):
				stale++
			default:
				t.Errorf("got %v, want success or StaleError", err)
			}
		})
	}
	wg.Wait()
	if won != 1 || stale != 63 {
		t.Errorf("%d won and %d were stale, want 1 and 63", won, stale)
	}
	if got := h.types(n); len(got) != 2 {
		t.Errorf("events: %v, want two", got)
	}
}

func TestARestartForgetsNothingAndRepeatsNothing(t *testing.T) {
	h := open(t)
	id, oid := h.inHandling()
	before, _ := h.log.End(context.Background())
	h.stop()
	h.start()
	after, _ := h.log.End(context.Background())
	if before != after {
		t.Errorf("restarting wrote %d events", after-before)
	}
	if got := h.demand(id); got.Phase != demand.PhaseInHandling || !slices.Contains(got.Orders, oid) {
		t.Errorf("after the restart the demand is %s with %v", got.Phase, got.Orders)
	}
	if g, known := h.Units().Grid(grid); !known || g.Households != 300 {
		t.Errorf("after the restart the grid is %v %v", g, known)
	}
	h.do(stream.Of(stream.Order, oid), as(orgs.GridWorker, grid.Unit()), order.Sign{})
}

func TestALostIndexIsMadeAnewFromTheLogWithoutRepeatingAnything(t *testing.T) {
	h := open(t)
	h.inHandling()
	before, _ := h.log.End(context.Background())
	h.stop()
	if err := os.Remove(filepath.Join(h.dir, "index.db")); err != nil {
		t.Fatal(err)
	}
	h.start()
	after, _ := h.log.End(context.Background())
	if before != after {
		t.Errorf("following from zero wrote %d events", after-before)
	}
}

// An older copy of the log, or another log, put beside an index that came further: the index is made anew, and what it had from events that are
// gone is not acted on.
func TestAnIndexThatCameFurtherThanItsLogIsMadeAnew(t *testing.T) {
	for name, put := range map[string]struct {
		lost int // events of the log that the copy has not
		more int // demands that come to it before the node is back
	}{"an older copy": {lost: 6}, "one that went on and is longer now": {lost: 6, more: 40}, "the log itself": {}} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.inHandling()
			h.stop()
			var all []eventlog.Event
			for b, err := range h.log.Follow(t.Context(), 0) {
				if err != nil {
					t.Fatal(err)
				}
				if all = append(all, b.Events...); b.Live {
					break
				}
			}
			copied := mem.Open(mem.WithClock(func() time.Time { return h.now }))
			for _, ev := range all[:len(all)-put.lost] {
				if _, err := copied.Append(t.Context(), ev.Stream, ev.Revision-1, ev.Fact); err != nil {
					t.Fatal(err)
				}
			}
			h.log = copied
			index := filepath.Join(h.dir, "index.db")
			if put.more > 0 { // another node goes on with it
				beside := filepath.Join(h.dir, "beside.db")
				if err := os.Rename(index, beside); err != nil {
					t.Fatal(err)
				}
				h.start()
				for i := range put.more {
					h.raised(fmt.Sprint("又一件", i))
				}
				h.stop()
				if err := os.Rename(beside, index); err != nil {
					t.Fatal(err)
				}
			}
			h.start()
			id := h.raised("路灯不亮")
			if _, _, err := h.Load(t.Context(), stream.Of(stream.Demand, id)); err != nil {
				t.Error(err)
			}
			known := func(path string) (all []string) {
				db, err := sql.Open("sqlite", "file:"+path)
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				rows, err := db.Query("SELECT kind || a || b FROM edges UNION SELECT position || type FROM orgs ORDER BY 1")
				if err != nil {
					t.Fatal(err)
				}
				defer rows.Close()
				for rows.Next() {
					var s string
					if err := rows.Scan(&s); err != nil {
						t.Fatal(err)
					}
					all = append(all, s)
				}
				return all
			}
			h.settle()
			got := known(index)
			h.stop()
			if err := os.Remove(index); err != nil {
				t.Fatal(err)
			}
			h.start()
			h.settle()
			if want := known(index); !slices.Equal(got, want) {
				t.Errorf("the index knows %d things, made anew %d", len(got), len(want))
			}
		})
	}
}

// A case has one key for each part, whatever was repeated: else erasing one would leave the other.
func TestARepeatAfterARestartTakesNoSecondKey(t *testing.T) {
	h := open(t)
	id := stream.DemandFor("wechat", "once")
	n := stream.Of(stream.Demand, id)
	r := engine.Request{Stream: n, Commands: []engine.Command{raise("一次")}, Key: "same", Actor: as(orgs.Channel, hotline), Expect: -1}
	if _, err := h.Handle(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	h.stop()
	h.start()
	if got, err := h.Handle(context.Background(), r); err != nil || !got.Replayed {
		t.Fatalf("the repeat: %+v, %v", got, err)
	}
	h.do(n, as(orgs.Clerk, community), demand.Supplement{Text: sealed.Clear("补充")})
	used := map[string]bool{}
	for ev, err := range h.log.Read(context.Background(), string(n), 0) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := event.Decode(ev.Type, ev.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range sealed.In(body) {
			used[keys.ID(f.Text.Ciphertext())] = true
		}
	}
	if len(used) != 1 {
		t.Errorf("%d keys for one part of one case, want 1", len(used))
	}
}

func TestSealedFieldsOpenForAReaderAndTheReadingIsRecordedFirst(t *testing.T) {
	h := open(t)
	id := h.raised("暖气片漏水，电话 000")
	reader := as(orgs.Clerk, community)
	fields, err := h.OpenPersonal(context.Background(), engine.Reading{Streams: []stream.Name{stream.Of(stream.Demand, id)},
		Purpose: "handling", Actor: reader, Request: "req-1"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range fields {
		got[f.Name] = f.Text
	}
	if got["text"] != "暖气片漏水，电话 000" || got["reporter.name"] != "居民甲" {
		t.Errorf("opened %v", got)
	}
	end, _ := h.log.End(context.Background())
	var last eventlog.Event
	for b, err := range h.log.Follow(context.Background(), end-1) {
		if err != nil {
			t.Fatal(err)
		}
		last = b.Events[0]
		break
	}
	if last.Type != "personal-data-read/1" {
		t.Errorf("the last event is %s, want personal-data-read/1", last.Type)
	}
}

func TestTheDrawIsTheExactFraction(t *testing.T) {
	drawn := 0
	for i := range 100_000 {
		salt, id := [16]byte{byte(i % 5)}, stream.Derive("o", fmt.Sprint(i/5))
		if engine.Drawn(salt, id, 1, 1000) {
			drawn++
		}
		if !engine.Drawn(salt, id, 1, 10000) {
			t.Fatal("at a rate of one, an order was not drawn")
		}
		if engine.Drawn(salt, id, 1, 0) {
			t.Fatal("at a rate of zero, an order was drawn")
		}
	}
	if drawn < 9_600 || drawn > 10_400 { // four standard deviations
		t.Errorf("drew %d of 100000 at one in ten", drawn)
	}
}
