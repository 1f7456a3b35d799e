package dispute

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

// A mediation that failed on the last day of the year is referred up within three working days: by 5 January, as far as anybody
// knows, and by the 6th once the notice is there. One that failed on the 28th has all its days in the old year, which nobody
// could be sure of either: its due is confirmed.
func TestANoticeSettlesWhenADisputeGoesOn(t *testing.T) {
	for _, c := range []struct {
		name          string
		failed        time.Time
		before, after int // January; 0 = it does not move
	}{
		{"three working days from 31 December", newYear, 5, 6},
		{"three working days from 28 December", newYear.Add(-3 * day), 0, 0},
	} {
		st := begin()
		st.now = c.failed.Add(-3 * time.Minute)
		for _, s := range isFailed {
			if _, err := st.does(s); err != nil {
				t.Fatal(err)
			}
		}
		old := st.state.Running[0]
		settle := by(manager, RecomputeDeadline{ID: old.ID, Reason: "通知已发布"}, noticed(t))
		if es, err := st.does(by(manager, settle.command)); len(es) > 0 || err != nil {
			t.Errorf("%s, without the notice: got %v, %v; want nothing", c.name, es, err)
		}
		es, err := st.does(settle)
		d := anew(t, es, err)
		moves := c.after > 0
		if moves != (d.ID != old.ID) || moves && (!old.Due.Equal(january(c.before).End()) || !d.Due.Equal(january(c.after).End())) || d.Provisional || !old.Provisional {
			t.Errorf("%s: got %s after %s", c.name, d.Due, old.Due)
		}
		if es, err := st.does(settle); len(es) > 0 || err != nil {
			t.Errorf("%s, once more: got %v, %v; want nothing", c.name, es, err)
		}
		if !moves {
			continue
		}
		st.now = old.Due
		if es, err := st.does(by(clock, ReferUp{})); len(es) > 0 || ruletest.Refusal(err) == nil {
			t.Errorf("%s, when the old due is over: got %v, %v; want it refused", c.name, es, err)
		}
		st.now = d.Due
		if es, err := st.does(by(clock, ReferUp{})); len(es) != 1 || err != nil || st.state.Rung != Street {
			t.Errorf("%s, when the new one is over: got %v, %v; want it at the street", c.name, es, err)
		}
	}
}
