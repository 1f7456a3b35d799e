package demand

import (
	"testing"
	"time"

	"gridcase/domain/ruletest"
)

// A demand raised on the last day of the year is to be accepted on the next working day: Friday 1 January, as far as anybody
// knows, and Sunday the 3rd once the notice is there.
func TestANoticeSettlesWhatWasPromised(t *testing.T) {
	st := given(t, []step{by(resident, raise, ruletest.NewYear())})
	old := st.State.Running[0]
	if !old.Provisional || !old.Due.Equal(ruletest.January(1).End()) {
		t.Fatalf("got %+v, want 1 January, provisional", old)
	}
	settle := by(manager, RecomputeDeadline{ID: old.ID, Reason: "通知已发布"}, ruletest.Noticed())
	if es, err := st.Does(by(manager, settle.Command)); len(es) > 0 || err != nil {
		t.Errorf("without the notice: got %v, %v; want nothing", es, err)
	}
	es, err := st.Does(settle)
	d := ruletest.One[DeadlineRecomputed](t, es, err).Clock
	if d.Provisional || !d.Due.Equal(ruletest.January(3).End()) || d.ID == old.ID || !d.OriginalDue.Equal(old.Due) || len(st.State.Running) != 1 || st.State.Running[0].ID != d.ID {
		t.Errorf("got %+v, want 3 January, settled, in the place of the other", d)
	}
	for _, again := range []time.Duration{0, time.Hour} {
		s := settle
		s.After = again
		if es, err := st.Does(s); len(es) > 0 || err != nil {
			t.Errorf("asked again after %s: got %v, %v; want nothing", again, es, err)
		}
	}
	for id, want := range map[string]string{old.ID: "", d.ID: "I15"} {
		es, err := st.Does(by(clock, ExpireClock{id}, ruletest.January(2).Start()))
		if r := ruletest.Refusal(err); len(es) > 0 || want == "" && err != nil || want != "" && (r == nil || r.Rule != want) {
			t.Errorf("%s on 2 January: got %v, %v", id, es, err)
		}
	}
	if es, err := st.Does(by(clock, ExpireClock{d.ID}, ruletest.January(4).Start())); err != nil || len(es) != 2 {
		t.Errorf("on 4 January: got %v, %v; want it expired, and risen", es, err)
	}
}

// Answered on the last day of the year to somebody who can not be called: the waiver moves with the callback.
func TestTheWaiverMovesWithTheCallback(t *testing.T) {
	steps := append([]step{}, isAnon...)
	steps[0].On = ruletest.NewYear()
	st := given(t, steps)
	old := st.State.Callback
	if cause, due := st.State.waiver(); cause != "anonymous" || !due.Equal(old.Due) || !old.Provisional {
		t.Fatalf("got %s at %s, %+v", cause, due, old)
	}
	es, err := st.Does(by(arbiter, RecomputeDeadline{ID: old.ID, Reason: "通知已发布"}, ruletest.Noticed()))
	d := ruletest.One[DeadlineRecomputed](t, es, err).Clock
	if _, due := st.State.waiver(); !due.Equal(d.Due) || !d.Due.After(old.Due) || st.State.Callback.ID != d.ID {
		t.Errorf("waived at %s, want %s", due, d.Due)
	}
	long := d
	long.Due = st.State.ReachBy.Add(time.Hour)
	if s := Evolve(st.State, DeadlineRecomputed{Replaces: d.ID, Clock: long}, st.History[0].Stamp); !s.ReachBy.Equal(long.Due) {
		t.Errorf("nobody calls after %s, and the first call is due at %s", s.ReachBy, long.Due)
	}
}

func TestNothingIsSettledWhereNoClockRuns(t *testing.T) {
	st := given(t, []step{by(resident, raise, ruletest.NewYear()), by(resident, Withdraw{})})
	if _, err := st.Does(by(manager, RecomputeDeadline{ID: "accept/1/0/1", Reason: "通知已发布"}, ruletest.Noticed())); ruletest.Refusal(err) == nil {
		t.Errorf("got %v, want it refused", err)
	}
}
