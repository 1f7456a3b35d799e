package topic

import (
	"errors"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/rule"
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

// A topic proposed on the last day of the year is to be opened within ten working days: by 14 January, as far as anybody knows, and
// by the 15th once the notice is there.
func TestANoticeSettlesWhenATopicIsToBeOpened(t *testing.T) {
	p := newPlay()
	p.now = newYear.Add(-day)
	if _, err := p.do(proposes); err != nil {
		t.Fatal(err)
	}
	old := p.state().Running[0]
	if !old.Provisional || !old.Due.Equal(january(14).End()) {
		t.Fatalf("got %+v, want 14 January, provisional", old)
	}
	settles := step{who: system, wait: time.Hour, cmd: func(State, time.Time) Command { return RecomputeDeadline{ID: old.ID, Reason: "通知已发布"} }}
	if es, err := p.do(settles); len(es) > 0 || err != nil {
		t.Errorf("without the notice: got %v, %v; want nothing", es, err)
	}
	settles.days = noticed(t).Calendar
	es, err := p.do(settles)
	d := anew(t, es, err)
	if d.Provisional || !d.Due.Equal(january(15).End()) || d.ID == old.ID || len(p.state().Running) != 1 || p.state().Running[0].ID != d.ID {
		t.Errorf("got %+v, want 15 January, settled", d)
	}
	for _, again := range []step{settles.after(0), settles, settles.by(arbiter)} {
		es, err := p.do(again)
		var r *rule.Refusal
		if person := again.who == arbiter; len(es) > 0 || !person && err != nil || person && !errors.As(err, &r) {
			t.Errorf("asked again by %s after %s: got %v, %v", again.who.ID, again.wait, es, err)
		}
	}
	p.now = january(15).Start()
	expire := func(id string) step {
		return step{who: clock, wait: time.Hour, cmd: func(State, time.Time) Command { return ExpireClock{id} }}
	}
	if es, err := p.do(expire(old.ID)); len(es) > 0 || err != nil {
		t.Errorf("the old due on 15 January: got %v, %v; want nothing", es, err)
	}
	if es, err := p.do(expire(d.ID)); len(es) > 0 || err == nil {
		t.Errorf("the new one: got %v, %v; want it refused", es, err)
	}
	if es, err := p.do(expire(d.ID).after(day)); err != nil || len(es) != 2 {
		t.Errorf("on the 16th: got %v, %v; want it expired, and risen", es, err)
	}
}
