package topic

import (
	"testing"
	"time"

	"gridcase/domain/ruletest"
)

// A topic proposed on the last day of the year is to be opened within ten working days: by 14 January, as far as anybody knows, and
// by the 15th once the notice is there.
func TestANoticeSettlesWhenATopicIsToBeOpened(t *testing.T) {
	p := newPlay()
	p.now = ruletest.NewYear().Add(-day)
	if _, err := p.do(proposes); err != nil {
		t.Fatal(err)
	}
	old := p.state().Running[0]
	if !old.Provisional || !old.Due.Equal(ruletest.January(14).End()) {
		t.Fatalf("got %+v, want 14 January, provisional", old)
	}
	settles := step{who: system, wait: time.Hour, cmd: func(State, time.Time) Command { return RecomputeDeadline{ID: old.ID, Reason: "通知已发布"} }}
	if es, err := p.do(settles); len(es) > 0 || err != nil {
		t.Errorf("without the notice: got %v, %v; want nothing", es, err)
	}
	settles.days = ruletest.Noticed().Calendar
	es, err := p.do(settles)
	d := ruletest.One[DeadlineRecomputed](t, es, err).Clock
	if d.Provisional || !d.Due.Equal(ruletest.January(15).End()) || d.ID == old.ID || len(p.state().Running) != 1 || p.state().Running[0].ID != d.ID {
		t.Errorf("got %+v, want 15 January, settled", d)
	}
	for _, again := range []step{settles.after(0), settles, settles.by(arbiter)} {
		es, err := p.do(again)
		if person := again.who == arbiter; len(es) > 0 || !person && err != nil || person && ruletest.Refusal(err) == nil {
			t.Errorf("asked again by %s after %s: got %v, %v", again.who.ID, again.wait, es, err)
		}
	}
	p.now = ruletest.January(15).Start()
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
