package demand

import (
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/ruletest"
)

// newYear is Thursday 31 December 2026, 10:00 in the city: nobody knows yet what of January is off.
var newYear = time.Date(2026, 12, 31, 2, 0, 0, 0, time.UTC)

// noticed are the rules when the notice for 2027 is there. It is made up: Friday 1 and Monday 4 January are off, Sunday the 3rd is worked.
func noticed(t *testing.T) calendar.Rules {
	t.Helper()
	c, err := calendar.China().With(calendar.Notice{Year: 2027, Source: "https://example.org/2027", Off: []calendar.Date{january(1), january(4)}, Work: []calendar.Date{january(3)}})
	if err != nil {
		t.Fatal(err)
	}
	return calendar.Rules{Calendar: c, Policy: calendar.DefaultPolicy()}
}

func january(day int) calendar.Date {
	return calendar.DateOf(time.Date(2027, 1, day, 12, 0, 0, 0, calendar.Zone()))
}

// anew is the one due instant that a recount put in the place of another.
func anew(t *testing.T, es []Event, err error) calendar.Due {
	t.Helper()
	if err != nil || len(es) != 1 {
		t.Fatalf("got %v, %v; want one recount", es, err)
	}
	return es[0].(DeadlineRecomputed).Clock
}

// A demand raised on the last day of the year is to be accepted on the next working day: Friday 1 January, as far as anybody
// knows, and Sunday the 3rd once the notice is there.
func TestANoticeSettlesWhatWasPromised(t *testing.T) {
	st := given(t, []step{by(resident, raise, instant(newYear))})
	old := st.state.Running[0]
	if !old.Provisional || !old.Due.Equal(january(1).End()) {
		t.Fatalf("got %+v, want 1 January, provisional", old)
	}
	settle := by(manager, RecomputeDeadline{ID: old.ID, Reason: "通知已发布"}, noticed(t))
	if es, err := st.does(by(manager, settle.command)); len(es) > 0 || err != nil {
		t.Errorf("without the notice: got %v, %v; want nothing", es, err)
	}
	es, err := st.does(settle)
	d := anew(t, es, err)
	if d.Provisional || !d.Due.Equal(january(3).End()) || d.ID == old.ID || !d.OriginalDue.Equal(old.Due) || len(st.state.Running) != 1 || st.state.Running[0].ID != d.ID {
		t.Errorf("got %+v, want 3 January, settled, in the place of the other", d)
	}
	for _, again := range []time.Duration{0, time.Hour} {
		s := settle
		s.after = again
		if es, err := st.does(s); len(es) > 0 || err != nil {
			t.Errorf("asked again after %s: got %v, %v; want nothing", again, es, err)
		}
	}
	for id, want := range map[string]string{old.ID: "", d.ID: "I15"} {
		es, err := st.does(by(clock, ExpireClock{id}, instant(january(2).Start())))
		if r := ruletest.Refusal(err); len(es) > 0 || want == "" && err != nil || want != "" && (r == nil || r.Rule != want) {
			t.Errorf("%s on 2 January: got %v, %v", id, es, err)
		}
	}
	if es, err := st.does(by(clock, ExpireClock{d.ID}, instant(january(4).Start()))); err != nil || len(es) != 2 {
		t.Errorf("on 4 January: got %v, %v; want it expired, and risen", es, err)
	}
}

// Answered on the last day of the year to somebody who can not be called: the waiver moves with the callback.
func TestTheWaiverMovesWithTheCallback(t *testing.T) {
	steps := append([]step{}, isAnon...)
	steps[0].on = newYear
	st := given(t, steps)
	old := st.state.Callback
	if cause, due := st.state.waiver(); cause != "anonymous" || !due.Equal(old.Due) || !old.Provisional {
		t.Fatalf("got %s at %s, %+v", cause, due, old)
	}
	es, err := st.does(by(arbiter, RecomputeDeadline{ID: old.ID, Reason: "通知已发布"}, noticed(t)))
	d := anew(t, es, err)
	if _, due := st.state.waiver(); !due.Equal(d.Due) || !d.Due.After(old.Due) || st.state.Callback.ID != d.ID {
		t.Errorf("waived at %s, want %s", due, d.Due)
	}
	long := d
	long.Due = st.state.ReachBy.Add(time.Hour)
	if s := Evolve(st.state, DeadlineRecomputed{Replaces: d.ID, Clock: long}, st.history[0].stamp); !s.ReachBy.Equal(long.Due) {
		t.Errorf("nobody calls after %s, and the first call is due at %s", s.ReachBy, long.Due)
	}
}

func TestNothingIsSettledWhereNoClockRuns(t *testing.T) {
	st := given(t, []step{by(resident, raise, instant(newYear)), by(resident, Withdraw{})})
	if _, err := st.does(by(manager, RecomputeDeadline{ID: "accept/1/0/1", Reason: "通知已发布"}, noticed(t))); ruletest.Refusal(err) == nil {
		t.Errorf("got %v, want it refused", err)
	}
}
