package admission

import (
	"testing"
	"time"

	"gridcase/domain/ruletest"
)

// A request of the last day of the year is to be decided within fifteen working days: by 21 January, as far as anybody knows, and
// by the 22nd once the notice is there.
func TestANoticeSettlesWhenARequestIsToBeDecided(t *testing.T) {
	st := begin()
	st.Now = ruletest.NewYear().Add(-time.Minute)
	ask := asking(func(r *Request) { r.From, r.Until = ruletest.January(1)+60, ruletest.January(1)+120 })
	if _, err := st.Does(by(asker, ask)); err != nil {
		t.Fatal(err)
	}
	old := st.State.Running[0]
	if !old.Provisional || !old.Due.Equal(ruletest.January(21).End()) {
		t.Fatalf("got %+v, want 21 January, provisional", old)
	}
	settle := by(clock, RecomputeDeadline{ID: old.ID, Reason: "通知已发布"})
	if es, err := st.Does(settle); len(es) > 0 || err != nil {
		t.Errorf("without the notice: got %v, %v; want nothing", es, err)
	}
	if es, err := st.Does(by(as("arbiter", nextDistrict), settle.Command, ruletest.Noticed())); len(es) > 0 || ruletest.Refusal(err) == nil {
		t.Errorf("by the next district: got %v, %v; want it refused", es, err)
	}
	es, err := st.Does(by(clock, settle.Command, ruletest.Noticed()))
	d := ruletest.One[DeadlineRecomputed](t, es, err).Clock
	if d.Provisional || !d.Due.Equal(ruletest.January(22).End()) || d.ID != "admission/0/0/2" || len(st.State.Running) != 1 || st.State.Running[0].ID != d.ID {
		t.Errorf("got %+v, want 22 January, settled", d)
	}
	if es, err := st.Does(by(clock, settle.Command, ruletest.Noticed())); len(es) > 0 || err != nil {
		t.Errorf("once more: got %v, %v; want nothing", es, err)
	}
	st.Now = ruletest.January(22).Start()
	if es, err := st.Does(by(clock, ExpireClock{old.ID})); len(es) > 0 || err != nil {
		t.Errorf("the old due on the 22nd: got %v, %v; want nothing", es, err)
	}
	if es, err := st.Does(by(clock, ExpireClock{d.ID})); len(es) > 0 || ruletest.Refusal(err) == nil {
		t.Errorf("the new one: got %v, %v; want it refused", es, err)
	}
	if es, err := st.Does(by(clock, ExpireClock{d.ID}, day)); len(es) != 2 || err != nil {
		t.Errorf("on the 23rd: got %v, %v; want it expired, and risen", es, err)
	}
	if es, err := st.Does(by(officer, OpenReview{})); len(es) != 1 || err != nil {
		t.Fatal(es, err)
	}
	if es, err := st.Does(by(asker, Withdraw{})); len(es) != 1 || err != nil {
		t.Fatal(es, err)
	}
	if _, err := st.Does(by(clock, settle.Command, ruletest.Noticed())); ruletest.Refusal(err) == nil {
		t.Errorf("withdrawn: got %v, want it refused", err)
	}
}
