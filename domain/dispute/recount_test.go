package dispute

import (
	"testing"
	"time"

	"gridcase/domain/ruletest"
)

// A mediation that failed on the last day of the year is referred up within three working days: by 5 January, as far as anybody
// knows, and by the 6th once the notice is there. One that failed on the 28th has all its days in the old year, which nobody
// could be sure of either: its due is confirmed.
func TestANoticeSettlesWhenADisputeGoesOn(t *testing.T) {
	for _, c := range []struct {
		name          string
		failed        time.Time
		before, after int // January; 0 = it does not move
	}{
		{"three working days from 31 December", ruletest.NewYear(), 5, 6},
		{"three working days from 28 December", ruletest.NewYear().Add(-3 * day), 0, 0},
	} {
		st := begin()
		st.Now = c.failed.Add(-3 * time.Minute)
		for _, s := range isFailed {
			if _, err := st.Does(s); err != nil {
				t.Fatal(err)
			}
		}
		old := st.State.Running[0]
		settle := by(manager, RecomputeDeadline{ID: old.ID, Reason: "通知已发布"}, ruletest.Noticed())
		if es, err := st.Does(by(manager, settle.Command)); len(es) > 0 || err != nil {
			t.Errorf("%s, without the notice: got %v, %v; want nothing", c.name, es, err)
		}
		es, err := st.Does(settle)
		d := ruletest.One[DeadlineRecomputed](t, es, err).Clock
		moves := c.after > 0
		if moves != (d.ID != old.ID) || moves && (!old.Due.Equal(ruletest.January(c.before).End()) || !d.Due.Equal(ruletest.January(c.after).End())) || d.Provisional || !old.Provisional {
			t.Errorf("%s: got %s after %s", c.name, d.Due, old.Due)
		}
		if es, err := st.Does(settle); len(es) > 0 || err != nil {
			t.Errorf("%s, once more: got %v, %v; want nothing", c.name, es, err)
		}
		if !moves {
			continue
		}
		st.Now = old.Due
		if es, err := st.Does(by(clock, ReferUp{})); len(es) > 0 || ruletest.Refusal(err) == nil {
			t.Errorf("%s, when the old due is over: got %v, %v; want it refused", c.name, es, err)
		}
		st.Now = d.Due
		if es, err := st.Does(by(clock, ReferUp{})); len(es) != 1 || err != nil || st.State.Rung != Street {
			t.Errorf("%s, when the new one is over: got %v, %v; want it at the street", c.name, es, err)
		}
	}
}
