package whistle

import (
	"slices"
	"testing"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

// A whistle blown half an hour before the offices close for the year gives two hours of service: until Friday 1 January, 10:00, as
// far as anybody knows, and Sunday the 3rd, 10:00, once the notice is there. Each unit has its own due, and keeps it.
func TestANoticeSettlesWhenTheUnitsAreToCome(t *testing.T) {
	st := begin()
	st.Now = ruletest.NewYear().Add(7*time.Hour - time.Minute) // 17:00
	if _, err := st.Does(by(desker, blow, served())); err != nil {
		t.Fatal(err)
	}
	old := st.State.Units
	rules := ruletest.Noticed()
	rules.Policy = served().Policy
	at := func(day int, hour int) time.Time {
		return ruletest.January(day).Start().Add(time.Duration(hour) * time.Hour)
	}
	if !old[0].Due.Provisional || !old[0].Due.Due.Equal(at(1, 10)) {
		t.Fatalf("got %+v, want 1 January, 10:00, provisional", old[0].Due)
	}
	for _, u := range old {
		es, err := st.Does(by(clock, RecomputeDeadline{ID: u.Due.ID, Reason: "通知已发布"}, rules, time.Duration(0)))
		if d := ruletest.One[DeadlineRecomputed](t, es, err).Clock; !d.Due.Equal(at(3, 10)) || d.Provisional {
			t.Errorf("%s: got %+v, want 3 January, 10:00", u.Code, d)
		}
	}
	if got, want := running(st.State), []string{"report_in/1/0/4", "report_in/2/0/5", "report_in/3/0/6"}; !slices.Equal(got, want) {
		t.Errorf("%v run, want %v", got, want)
	}
	for i, u := range st.State.Units {
		called, found := st.State.Called(u.Due.ID)
		if !found || called.Code != old[i].Code || u.Due.ID == old[i].Due.ID {
			t.Errorf("%s is called by %s", u.Code, u.Due.ID)
		}
		if _, found := st.State.Called(old[i].Due.ID); found {
			t.Errorf("%s still calls somebody", old[i].Due.ID)
		}
	}
	st.Now = at(1, 11)
	if es, err := st.Does(by(clock, MarkAbsent{ID: old[0].Due.ID})); len(es) > 0 || err != nil {
		t.Errorf("when the old due is over: got %v, %v; want nothing", es, err)
	}
	st.Now = at(3, 9)
	if _, err := st.Does(by(desker, arrive)); err != nil {
		t.Fatal(err)
	}
	if u, _ := st.State.Unit(agency); u.Late || u.Standing() != OnTime || len(st.State.Running) != 2 {
		t.Errorf("who comes on the 3rd at nine: got %+v, want it on time", u)
	}
	st.Now = at(3, 10)
	if es, err := st.Does(by(clock, MarkAbsent{ID: "report_in/2/0/5"})); len(es) != 1 || err != nil || es[0].(UnitAbsent).Unit != department {
		t.Errorf("when the new due is over: got %v, %v; want the department absent", es, err)
	}
}

// A unit that was absent by the old due is not absent a second time, and was on time if it came by the new one.
func TestAnAbsenceIsSaidOnce(t *testing.T) {
	st := given(t, by(desker, change(blow, agency), served()), by(clock, MarkAbsent{ID: "report_in/1/0/1"}, 3*time.Hour), by(arbiter, RecomputeDeadline{ID: "report_in/1/0/1", Reason: "放假通知已更正"}, ruletest.Shut(morning)))
	if as := slices.DeleteFunc(st.State.Alarms(), func(a rule.Alarm) bool { return a.Step != "expiry" }); len(as) > 0 {
		t.Errorf("to come is %v, want no second absence", as)
	}
	if _, err := st.Does(by(desker, arrive)); err != nil {
		t.Fatal(err)
	}
	if u, _ := st.State.Unit(agency); u.Standing() != OnTime || !u.Absent {
		t.Errorf("got %+v, want it on time, with the absence on record", u)
	}
}

// change is a whistle that calls somebody else.
func change(b Blow, units ...orgs.UnitCode) Blow {
	b.Units = units
	return b
}
