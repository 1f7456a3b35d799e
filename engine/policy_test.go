package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/catalogue"
	"gridcase/domain/demand"
	"gridcase/domain/duty"
	"gridcase/domain/escalation"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/policy"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

func day(t testing.TB, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// notice2027 is made up: New Year's Day and the Monday after it are off, the Sunday before is worked.
func notice2027(t testing.TB) calendar.Notice {
	return calendar.Notice{Year: 2027, Source: "https://example.org/2027", Off: []calendar.Date{day(t, "2027-01-01"), day(t, "2027-01-04")},
		Work: []calendar.Date{day(t, "2027-01-03")}}
}

func TestANewLogPublishesWhatIsInForceRightAfterItsFirstEvent(t *testing.T) {
	h := open(t)
	var first []string
	for batch, err := range h.log.Follow(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range batch.Events {
			first = append(first, ev.Stream+" "+ev.Type)
		}
		break
	}
	want := []string{"gridcase.integrity log-opened/1"}
	for range 10 {
		want = append(want, "gridcase.calendar-cn calendar-published/1")
	}
	want = append(want, "gridcase.policy-deadline deadline-policy-published/1", "gridcase.policy-escalation escalation-policy-published/1")
	if !slices.Equal(first[:len(want)], want) {
		t.Errorf("the log begins %v\nwant %v", first[:len(want)], want)
	}
	force := h.InForce()
	if !reflect.DeepEqual(force.Calendar, calendar.China()) || !reflect.DeepEqual(force.Policy, calendar.DefaultPolicy()) ||
		!reflect.DeepEqual(force.Escalation, escalation.Default()) {
		t.Errorf("in force is %+v, want what the configuration says", force)
	}
	h.stop()
	h.start()
	if n := len(h.types(policy.Calendar)); n != 10 {
		t.Errorf("opened a second time, the calendar has %d notices, want the ten", n)
	}
	if !reflect.DeepEqual(h.InForce(), force) {
		t.Errorf("after a restart %+v is in force, want %+v", h.InForce(), force)
	}
}

// The log dies after log-opened, or after the notices: the next start makes up for the rest.
func TestAStartThatDiedHalfWayIsMadeUpFor(t *testing.T) {
	for _, kept := range []int{1, 11, 12} {
		h := open(t)
		half := mem.Open()
		n := 0
		for batch, err := range h.log.Follow(context.Background(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			heads := map[string]eventlog.Revision{}
			for _, ev := range batch.Events {
				if n < kept {
					head, begun := heads[ev.Stream]
					if !begun {
						head = eventlog.None
					}
					if _, err := half.Append(context.Background(), ev.Stream, head, ev.Fact); err != nil {
						t.Fatal(err)
					}
					heads[ev.Stream] = head + 1
				}
				n++
			}
			break
		}
		again := &house{t: t, log: half, dir: t.TempDir(), now: h.now}
		again.start()
		if c, d, e := len(again.types(policy.Calendar)), len(again.types(policy.Deadlines)), len(again.types(policy.Escalation)); c != 10 || d != 1 || e != 1 {
			t.Errorf("died after %d events: %d notices, %d and %d policies; want 10, 1 and 1", kept, c, d, e)
		}
		again.stop()
	}
}

// dropped is a log without what was published at its beginning: as an older program left it.
func dropped(t *testing.T, from eventlog.Log) eventlog.Log {
	old := mem.Open()
	heads := map[string]eventlog.Revision{}
	for batch, err := range from.Follow(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range batch.Events {
			n := stream.Name(ev.Stream)
			if n == policy.Calendar || n == policy.Deadlines || n == policy.Escalation {
				continue
			}
			head, begun := heads[ev.Stream]
			if !begun {
				head = eventlog.None
			}
			if _, err := old.Append(context.Background(), ev.Stream, head, ev.Fact); err != nil {
				t.Fatal(err)
			}
			heads[ev.Stream] = head + 1
		}
		if batch.Live {
			break
		}
	}
	return old
}

func TestALogThatPublishedNothingIsDecidedWithTheConfiguration(t *testing.T) {
	h := open(t)
	id, oid := h.inHandling()
	h.stop()
	h.log = dropped(t, h.log)
	old := h
	// The index knows an organisation and no publications, as version 1 of it did: it must be made anew.
	db, err := sql.Open("sqlite", "file:"+filepath.Join(h.dir, "index.db"))
	if err == nil {
		_, err = db.Exec("DROP TABLE published; DELETE FROM orgs; PRAGMA user_version = 1")
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	old.start()
	if n := len(old.types(policy.Calendar)); n != 0 {
		t.Errorf("a log in which things have happened was given %d notices", n)
	}
	if old.Units().Len() == 0 {
		t.Error("an index of an older version was not made anew")
	}
	if got := old.InForce(); got.Calendar.Version() != "cn-2026#1" || got.Policy.Version != 1 || got.Escalation.Version != 1 {
		t.Errorf("in force is %s, version %d, want the configuration's", got.Calendar.Version(), got.Policy.Version)
	}
	s, _, _ := old.Load(context.Background(), stream.Of(stream.Order, oid))
	d, _ := s.(order.State).Running.Get(calendar.Handle)
	if r, err := old.RulesOf(d); err != nil || r.Policy.Version != 1 {
		t.Errorf("the rules of a due of then: %v", err)
	}
	old.do(stream.Of(stream.Order, oid), as(orgs.GridWorker, grid.Unit()), order.Sign{})
	if got := old.demand(id).Phase; got != demand.PhaseInHandling {
		t.Errorf("the demand is %s", got)
	}
	// The first publication brings what applied into the log.
	old.do(policy.Calendar, operator, policy.PublishNotice{Notice: notice2027(t)})
	if n := len(old.types(policy.Calendar)); n != 11 || old.InForce().Calendar.Version() != "cn-2027#1" {
		t.Errorf("after the first publication: %d notices, %s in force; want 11 and cn-2027#1", n, old.InForce().Calendar.Version())
	}
}

func TestAnIndexOfANewerProgramIsRefused(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "index.db"))
	if err == nil {
		_, err = db.Exec("PRAGMA user_version = 99")
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	store, err := keys.Open(context.Background(), filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	e, err := engine.Open(context.Background(), engine.Config{Log: mem.Open(), Keys: store, Index: filepath.Join(dir, "index.db"),
		Rules: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}, Origin: "gridcase.test/test/1"})
	if err == nil {
		e.Close()
		t.Fatal("an index of version 4 was opened")
	}
}

// quicker is the policy in force with another time to triage.
func (h *house) quicker(n int) policy.Table {
	p := policy.Written(h.InForce().Policy)
	p.Rows = slices.Clone(p.Rows)
	for i := range p.Rows {
		if p.Rows[i].Clock == calendar.Triage {
			p.Rows[i].Amount.N = n
		}
	}
	return p
}

func TestAPolicyHoldsFromItsPlaceInTheLogOnAndChangesNoDueRecordedBefore(t *testing.T) {
	h := open(t)
	triage := func(id stream.ID) calendar.Due {
		d, running := h.demand(id).Running.Get(calendar.Triage)
		if !running {
			t.Fatal("no triage clock runs")
		}
		return d
	}
	before := h.accepted(demand.Issue)
	old := triage(before)
	h.do(policy.Deadlines, operator, policy.PublishDeadlines{Policy: h.quicker(1), Reason: "试行一日分流"})
	after := triage(h.accepted(demand.Issue))
	if after.Amount != 1 || after.PolicyVersion != 2 || !after.Due.Before(old.Due) {
		t.Errorf("accepted after it: %+v, want one working day by version 2", after)
	}
	if now := triage(before); !reflect.DeepEqual(now, old) {
		t.Errorf("accepted before it: %+v, want %+v as it was", now, old)
	}
	h.do(policy.Deadlines, operator, policy.PublishDeadlines{Policy: h.quicker(2), Reason: "改为二日"})
	h.stop()
	h.start() // from the index, which must know it
	if third := triage(h.accepted(demand.Issue)); third.Amount != 2 || third.PolicyVersion != 3 {
		t.Errorf("after a restart: %+v, want two working days by version 3", third)
	}
	if r, err := h.RulesOf(old); err != nil || r.Policy.Version != 1 {
		t.Errorf("the rules of the first due: %v, version %d; want version 1", err, r.Policy.Version)
	}
}

func TestEscalationChangesOnlyForWhatIsDecidedLater(t *testing.T) {
	h := open(t)
	clock := rule.Actor{ID: "clock", Role: orgs.System}
	var orders []stream.Name
	for range 2 {
		_, oid := h.inHandling()
		orders = append(orders, stream.Of(stream.Order, oid))
	}
	h.wait(48 * time.Hour)
	raised := func(o stream.Name) rule.Attention {
		s, _, err := h.Load(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		return s.(order.State).Attention
	}
	expire := func(o stream.Name) {
		s, _, err := h.Load(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		d, _ := s.(order.State).Running.Get(calendar.Sign)
		h.do(o, clock, order.ExpireClock{ID: d.ID})
	}
	expire(orders[0])
	if a := raised(orders[0]); a.Level != 2 || a.Unit != community {
		t.Fatalf("not signed in time, the grid's order has the attention of %+v, want the community's", a)
	}
	short := *h.InForce().Escalation
	short.Levels = slices.DeleteFunc(slices.Clone(short.Levels), func(l escalation.Level) bool { return l.Level == 2 })
	h.do(policy.Escalation, operator, policy.PublishEscalation{Policy: short, Reason: "社区不作为一级"})
	if a := raised(orders[0]); a.Level != 2 {
		t.Errorf("publishing moved what was lifted before to level %d", a.Level)
	}
	expire(orders[1])
	if a := raised(orders[1]); a.Level != 3 || a.Unit != street {
		t.Errorf("decided after it: the attention of %+v, want the street's: the ladder has no level 2 any more", a)
	}
}

// What would make an event of more than 256 KiB is refused before it is written, by the name of the command: lists and policies come from files
// on the machine, too, where no request bounds them. A survey has bounds of its own.
func TestAnEventThatWouldBeTooLargeIsRefusedBeforeItIsWritten(t *testing.T) {
	h := open(t)
	rows := duty.Publish{Unit: district, From: calendar.DateOf(h.Clock()) + 1, Covers: []orgs.Kind{orgs.Community}}
	for m := range catalogue.All() {
		rows.Items = append(rows.Items, duty.Item{Target: orgs.Community, List: duty.NotBorne, Matter: string(m.Code), Row: sealed.Public(strings.Repeat("长", 200))})
	}
	r := h.request(stream.Keyed(stream.Duties, string(district)), officer, rows)
	r.Second = &colleague
	before, err := h.log.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Handle(t.Context(), r)
	var large *engine.LargeError
	if !errors.As(err, &large) || large.Command != "publish" || large.Size <= 256<<10 || !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("got %v, want it too large", err)
	}
	if end, err := h.log.End(t.Context()); err != nil || end != before {
		t.Errorf("the log moved to %s (%v)", end, err)
	}
	rows.Items = rows.Items[:300]
	r = h.request(stream.Keyed(stream.Duties, string(district)), officer, rows)
	r.Second = &colleague
	if _, err := h.Handle(t.Context(), r); err != nil {
		t.Errorf("three hundred rows: %v", err)
	}
}

// short is a log that has no room for what begins an order.
type short struct{ eventlog.Log }

func (l short) Append(ctx context.Context, n string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	if stream.Name(n).Category() == stream.Order && expect == eventlog.None {
		return eventlog.Commit{}, eventlog.ErrTooLarge
	}
	return l.Log.Append(ctx, n, expect, facts...)
}

// What is too large for the log stays so: the flow parks it and goes on, for everybody else in the city.
func TestWhatIsTooLargeToRecordDoesNotHoldUpTheFlow(t *testing.T) {
	h := open(t)
	h.stop()
	roomy := h.log
	h.log = short{roomy}
	h.start()
	id, _ := h.inHandling()
	if got := h.demand(id).Phase; got != demand.PhaseAccepted {
		t.Errorf("without its order the demand is %s, want it back in the pool", got)
	}
	parked, err := h.Parked(context.Background())
	if err != nil || len(parked) != 1 || parked[0].Rule != "R1" {
		t.Errorf("parked are %+v (%v), want the dispatch", parked, err)
	}
	h.stop()
	h.log = roomy
	h.start()
	if id, _ := h.inHandling(); h.demand(id).Phase != demand.PhaseInHandling {
		t.Errorf("with room again the demand is %s", h.demand(id).Phase)
	}
}

// R24 end to end: a due over an unpublished year, and the notice. A correction moves nothing that was settled; an arbiter may.
func TestANoticeSettlesAProvisionalDueAndAnArbiterFollowsACorrection(t *testing.T) {
	h := open(t)
	rework := policy.Written(h.InForce().Policy)
	rework.Rows = slices.Clone(rework.Rows)
	for i, r := range rework.Rows {
		if r.Clock == calendar.Handle && r.Urgency == "C" {
			rework.Rows[i].Amount = calendar.Amount{N: 5, Kind: calendar.WorkingDays}
		}
	}
	h.do(policy.Deadlines, operator, policy.PublishDeadlines{Policy: rework, Reason: "按工作日计"})
	h.wait(day(t, "2026-12-28").Start().Add(10 * time.Hour).Sub(h.now))
	_, oid := h.inHandling()
	o := stream.Of(stream.Order, oid)
	handle := func() calendar.Due {
		s, _, err := h.Load(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		d, _ := s.(order.State).Running.Get(calendar.Handle)
		return d
	}
	old := handle()
	if !old.Provisional || !old.Due.Equal(day(t, "2027-01-04").End()) || old.Calendar != "cn-2026#1" {
		t.Fatalf("got %+v, want 2027-01-04, provisional", old)
	}
	arbiter := as(orgs.Arbiter, district)
	if _, err := h.Handle(context.Background(), h.request(o, arbiter, order.RecomputeDeadline{ID: old.ID, Reason: "尚无通知"})); err == nil {
		t.Error("recomputed before the notice came")
	}
	h.do(policy.Calendar, operator, policy.PublishNotice{Notice: notice2027(t)})
	// 29, 30, 31 December, the worked Sunday 3 January, Tuesday 5 January: the later of the two.
	settled := handle()
	if settled.Provisional || !settled.Due.Equal(day(t, "2027-01-05").End()) || settled.Calendar != "cn-2027#1" || !settled.OriginalDue.Equal(old.Due) {
		t.Errorf("got %+v, want 2027-01-05 by cn-2027#1", settled)
	}
	var said order.DeadlineRecomputed
	for ev, err := range h.log.Read(context.Background(), string(o), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if b, err := event.Decode(ev.Type, ev.Data); err == nil && ev.Type == "deadline-recomputed/1" {
			said = b.(order.DeadlineRecomputed)
		}
	}
	if said.Reason != "2027 年放假通知已发布，时限按通知重算" || said.Replaces != old.ID {
		t.Errorf("the event says %+v, want the reason and what it replaces", said)
	}
	h.do(policy.Calendar, operator, policy.PublishNotice{Notice: calendar.Notice{Year: 2027, Source: "https://example.org/2027b", Off: []calendar.Date{day(t, "2027-01-05")}}, Reason: "更正"})
	if now := handle(); !reflect.DeepEqual(now, settled) {
		t.Errorf("the correction alone moved it: %+v, want %+v", now, settled)
	}
	h.do(o, arbiter, order.RecomputeDeadline{ID: settled.ID, Reason: "通知已更正"})
	if now := handle(); now.Provisional || !now.Due.Equal(day(t, "2027-01-06").End()) || now.Calendar != "cn-2027#2" || !now.OriginalDue.Equal(old.Due) {
		t.Errorf("got %+v, want 2027-01-06 by cn-2027#2", now)
	}
}

func TestOnlyAnOperatorOfTheCityPublishes(t *testing.T) {
	h := open(t)
	for _, a := range []rule.Actor{as(orgs.Clerk, community), as(orgs.Arbiter, city), as(orgs.Operator, district)} {
		before := len(h.types(policy.Calendar))
		if _, err := h.Handle(context.Background(), h.request(policy.Calendar, a, policy.PublishNotice{Notice: notice2027(t)})); err == nil {
			t.Errorf("%s at %s published a notice", a.Role, a.Unit)
		}
		if after := len(h.types(policy.Calendar)); after != before {
			t.Errorf("%s at %s left %d events", a.Role, a.Unit, after-before)
		}
	}
}
