package admission

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

// A request of the last day of the year is to be decided within fifteen working days: by 21 January, as far as anybody knows, and
// by the 22nd once the notice is there.
func TestANoticeSettlesWhenARequestIsToBeDecided(t *testing.T) {
	st := begin()
	st.now = newYear.Add(-time.Minute)
	ask := asking(func(r *Request) { r.From, r.Until = january(1)+60, january(1)+120 })
	if _, err := st.does(by(asker, ask)); err != nil {
		t.Fatal(err)
	}
	old := st.state.Running[0]
	if !old.Provisional || !old.Due.Equal(january(21).End()) {
		t.Fatalf("got %+v, want 21 January, provisional", old)
	}
	settle := by(clock, RecomputeDeadline{ID: old.ID, Reason: "通知已发布"})
	if es, err := st.does(settle); len(es) > 0 || err != nil {
		t.Errorf("without the notice: got %v, %v; want nothing", es, err)
	}
	if es, err := st.does(by(as("arbiter", nextDistrict), settle.command).under(noticed(t))); len(es) > 0 || ruletest.Refusal(err) == nil {
		t.Errorf("by the next district: got %v, %v; want it refused", es, err)
	}
	es, err := st.does(settle.under(noticed(t)))
	d := anew(t, es, err)
	if d.Provisional || !d.Due.Equal(january(22).End()) || d.ID != "admission/0/0/2" || len(st.state.Running) != 1 || st.state.Running[0].ID != d.ID {
		t.Errorf("got %+v, want 22 January, settled", d)
	}
	if es, err := st.does(settle.under(noticed(t))); len(es) > 0 || err != nil {
		t.Errorf("once more: got %v, %v; want nothing", es, err)
	}
	st.now = january(22).Start()
	if es, err := st.does(by(clock, ExpireClock{old.ID})); len(es) > 0 || err != nil {
		t.Errorf("the old due on the 22nd: got %v, %v; want nothing", es, err)
	}
	if es, err := st.does(by(clock, ExpireClock{d.ID})); len(es) > 0 || ruletest.Refusal(err) == nil {
		t.Errorf("the new one: got %v, %v; want it refused", es, err)
	}
	if es, err := st.does(by(clock, ExpireClock{d.ID}, day)); len(es) != 2 || err != nil {
		t.Errorf("on the 23rd: got %v, %v; want it expired, and risen", es, err)
	}
	if es, err := st.does(by(officer, OpenReview{})); len(es) != 1 || err != nil {
		t.Fatal(es, err)
	}
	if es, err := st.does(by(asker, Withdraw{})); len(es) != 1 || err != nil {
		t.Fatal(es, err)
	}
	if _, err := st.does(settle.under(noticed(t))); ruletest.Refusal(err) == nil {
		t.Errorf("withdrawn: got %v, want it refused", err)
	}
}
