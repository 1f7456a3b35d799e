package demand

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

func TestADemandBeginsAsItWasRaised(t *testing.T) {
	r := change(raise, func(c *Raise) {
		c.Number, c.Tracking, c.Matter, c.SplitFrom, c.SplitNo = "点0302-1", "ab12", "heating", otherTID, 1
		c.Anonymous, c.NoCallback, c.Title = true, true, words
		c.Attached = []Attachment{{Hash: "cd34", Type: "image/jpeg", Size: 9}}
	})
	st := begin()
	es, err := st.does(by(wechat, r, happened(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	e := es[0].(Raised)
	if e.Number != r.Number || e.Tracking != "ab12" || e.SplitNo != 1 || e.Title != words || len(e.Attachments) != 1 || !e.Anonymous || !e.NoCallback {
		t.Errorf("got %+v", e)
	}
	s := st.state
	if s.ID != self || s.Number != r.Number || s.Kind != Issue || s.Channel != "wechat" || s.External != "w-1" || !s.OnBehalf ||
		!s.Anonymous || !s.NoCallback || s.Matter != "heating" || s.Grid != grid || s.Unit != home || s.Tracking != "ab12" || s.SplitFrom != otherTID {
		t.Errorf("got %+v", s)
	}
	if s.Round != 1 || s.RaisedBy != wechat || !s.RecordedAt.Equal(morning) || !s.RaisedAt.Equal(morning.Add(-time.Hour)) || !s.Since.Equal(morning) {
		t.Errorf("round %d, by %v, happened %s, recorded %s, since %s", s.Round, s.RaisedBy, s.RaisedAt, s.RecordedAt, s.Since)
	}
}

func TestWhoHandlesADemandIsRemembered(t *testing.T) {
	fast := when(isAccepted, by(dispatcher, change(newOrder(ReasonStatutory, agency), func(c *FastTrack) { c.Citation = "条例" })))
	st := given(t, fast)
	dispatched := stream.CausedBy(stream.Order, st.history[2].stamp.Event, 0)
	if s := st.state; !slices.Equal(s.Orders, []stream.ID{dispatched}) || s.Waiver != string(ReasonStatutory) || !s.Topic.IsZero() {
		t.Errorf("fast-tracked: orders %v, waiver %q, topic %v", s.Orders, s.Waiver, s.Topic)
	}
	mediated := given(t, ofKind(Dispute, "C"), []step{by(clerk, mediate)})
	if want := stream.CausedBy(stream.Dispute, mediated.history[2].stamp.Event, 0); mediated.state.Dispute != want {
		t.Errorf("mediated: got %v, want %v", mediated.state.Dispute, want)
	}
	tests := []struct {
		name         string
		given        []step
		orders, past []stream.ID
		topic        stream.ID
		dispute      bool
	}{
		{"joined", isHandled, []stream.ID{orderID}, nil, stream.ID{}, false},
		{"mediated", when(ofKind(Dispute, "C"), by(clerk, mediate)), nil, nil, stream.ID{}, true},
		{"by its topic", beginnings["D13"], []stream.ID{orderID}, nil, topicID, false},
		{"by an order that its topic's order list gained later", when(beginnings["D13"], by(manager, attached)), []stream.ID{orderID, otherOID}, nil, topicID, false},
		{"an order is attached once", when(beginnings["D13"], by(manager, attached), by(manager, change(attached, func(c *NoteProgress) { c.State = "signed" }))), []stream.ID{orderID, otherOID}, nil, topicID, false},
		{"nothing is attached while in a topic", when(isInTopic, by(manager, attached)), nil, nil, topicID, false},
		{"back in the topic", when(beginnings["D13"], drives["D13"]), nil, []stream.ID{orderID}, topicID, false},
		{"back in the pool", when(isHandled, drives["D14"]), nil, []stream.ID{orderID}, stream.ID{}, false},
		{"out of the topic", when(isInTopic, drives["D9"]), nil, nil, stream.ID{}, false},
		{"to be reworked", when(isAnswered, drives["D16"]), []stream.ID{orderID}, nil, stream.ID{}, false},
		{"to be considered anew", when(isAnsweredByTwo, drives["D17"]), nil, []stream.ID{orderID, otherOID}, stream.ID{}, false},
		{"raised again", isReopened, nil, []stream.ID{orderID}, stream.ID{}, false},
		{"handled by the same order again", when(isReopened, by(clerk, join, orders(pipes)), drives["D14"]), nil, []stream.ID{orderID}, stream.ID{}, false},
	}
	for _, tt := range tests {
		s := given(t, tt.given).state
		if !slices.Equal(s.Orders, tt.orders) || !slices.Equal(s.Past, tt.past) || s.Topic != tt.topic || s.Dispute.IsZero() == tt.dispute {
			t.Errorf("%s: orders %v, past %v, topic %v, dispute %v", tt.name, s.Orders, s.Past, s.Topic, s.Dispute)
		}
	}
}

var attached = NoteProgress{From: Source{Stream: stream.Of(stream.Order, otherOID), Type: "demand-attached/1"}, State: "handling"}

func TestTheWaiverOfTheTopicStageIsWhatHolds(t *testing.T) {
	for name, tt := range map[string]struct {
		given []step
		want  string
	}{
		"on the spot":                {isSpoken, "on_the_spot"},
		"by a reason":                {isHandled, string(ReasonSameMatter)},
		"none, in a topic":           {isInTopic, ""},
		"none, once in a topic":      {when(isHandled, drives["D14"], by(clerk, link, topics(heating))), ""},
		"none, when raised again":    {isReopened, ""},
		"still there after a rework": {when(isAnswered, drives["D16"]), string(ReasonSameMatter)},
	} {
		if got := given(t, tt.given).state.Waiver; got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestEveryTopicThatEverGovernedItIsListedOnce(t *testing.T) {
	relink := []step{drives["D9"], by(clerk, LinkToTopic{Topic: otherTID}, topics(parking)), by(clerk, UnlinkFromTopic{Reason: "无关"}, topics(parking)), by(clerk, link, topics(heating))}
	s := given(t, isInTopic, relink, []step{by(clerk, Relate{Topic: otherTID}, topics(parking))}).state
	if !slices.Equal(s.Topics, []stream.ID{topicID, otherTID}) || !slices.Equal(s.Related, []stream.ID{otherTID}) {
		t.Errorf("got topics %v, related %v", s.Topics, s.Related)
	}
}

func TestTheAnswerSaysWhereItsWordsAre(t *testing.T) {
	st := given(t, isSpoken)
	want := Source{Stream: stream.Of(stream.Demand, self), Event: st.history[1].stamp.Event, Type: "demand-answered-on-the-spot/1"}
	if s := st.state; s.Answer != want || s.Outcome != Explained || s.Handler != home || s.Kind != Consult || s.Summary != "已解释" {
		t.Errorf("on the spot: got %+v, %s, handler %s, %s, %s", s.Answer, s.Outcome, s.Handler, s.Kind, s.Summary)
	}
	if s := st.state; !s.AcceptedAt.Equal(st.now) || !s.AnsweredAt.Equal(st.now) {
		t.Errorf("on the spot counts as accepted: accepted %s, answered %s, now %s", s.AcceptedAt, s.AnsweredAt, st.now)
	}
	spoken := change(spot, func(c *AnswerOnTheSpot) { c.Matter = "water" })
	if s := given(t, isRaised, []step{by(clerk, spoken)}).state; s.Matter != "water" {
		t.Errorf("matter: got %q, want water", s.Matter)
	}
	if s := given(t, isAnswered).state; s.Answer != source || s.Outcome != Resolved {
		t.Errorf("by an order: got %+v, %s", s.Answer, s.Outcome)
	}
}

func TestOneCallOfThisAnswerCounts(t *testing.T) {
	st := given(t, called(2))
	if st.state.Attempts != 2 {
		t.Errorf("got %d attempts, want 2", st.state.Attempts)
	}
	again := given(t, called(2), []step{by(caller, angry, orders(verified)), by(manager, answer)})
	if again.state.Attempts != 0 {
		t.Errorf("a new answer: got %d attempts, want 0", again.state.Attempts)
	}
}

func TestBothVerdictsAreKeptAndTheLastIsShown(t *testing.T) {
	if s := given(t, isClosed).state; s.Grade != 5 || !s.Settled {
		t.Errorf("called: got grade %d, settled %v", s.Grade, s.Settled)
	}
	st := given(t, isClosed, []step{by(resident, Rerate{Grade: 2, Resolved: false})})
	if s := st.state; s.Grade != 2 || s.Settled {
		t.Errorf("got grade %d, settled %v", s.Grade, s.Settled)
	}
	first, second := st.history[len(st.history)-2].event.(CallbackRecorded), st.history[len(st.history)-1].event.(Rerated)
	if first.Grade != 5 || second.Grade != 2 {
		t.Errorf("on the stream: %d and %d", first.Grade, second.Grade)
	}
}

func TestSupportIsCounted(t *testing.T) {
	st := given(t, []step{by(wechat, imported), by(wechat, Support{Supporters: 40, Opponents: 2, Tally: true}), by(stranger, Support{Supporters: 1}), by(clerk, Support{Supporters: 1})})
	if s := st.state; s.Supporters != 42 || s.Opponents != 2 {
		t.Errorf("got %d for and %d against", s.Supporters, s.Opponents)
	}
}

func TestCorrectionsLeaveTheRestAsItWas(t *testing.T) {
	s := given(t, isAccepted, []step{by(clerk, Reclassify{Matter: "water"}), by(clerk, Relocate{Grid: nextGrid, Unit: home})}).state
	if s.Matter != "water" || s.Kind != Issue || s.Urgency != "C" || s.Grid != nextGrid || s.Unit != home {
		t.Errorf("got %s, %s, %s, %s, %s", s.Kind, s.Matter, s.Urgency, s.Grid, s.Unit)
	}
}

func TestANewRoundHasNoEndYet(t *testing.T) {
	if s := given(t, isClosed).state; s.ClosedAt.IsZero() || s.ReopenBy.IsZero() || s.RerateBy.IsZero() {
		t.Errorf("closed %s, reopen by %s, rerate by %s", s.ClosedAt, s.ReopenBy, s.RerateBy)
	}
	if s := given(t, isReopened).state; s.Round != 2 || !s.ClosedAt.IsZero() || !s.ReopenBy.IsZero() || !s.RerateBy.IsZero() {
		t.Errorf("round %d, closed %s, reopen by %s, rerate by %s", s.Round, s.ClosedAt, s.ReopenBy, s.RerateBy)
	}
	if s := given(t, isAppealed, []step{drives["D20"]}).state; !s.ClosedAt.IsZero() || s.Appealed || !s.Upheld {
		t.Errorf("upheld: closed %s, appealed %v, upheld %v", s.ClosedAt, s.Appealed, s.Upheld)
	}
}

func TestAcceptedIsWhenTheClerkTookItOn(t *testing.T) {
	st := given(t, isAccepted)
	if s := st.state; !s.AcceptedAt.Equal(st.now) || !s.AnsweredAt.IsZero() {
		t.Errorf("accepted %s, answered %s, now %s", s.AcceptedAt, s.AnsweredAt, st.now)
	}
}

func TestSinceIsWhenTheStateWasEntered(t *testing.T) {
	for p, steps := range reach {
		if p == "" {
			continue
		}
		st := given(t, steps)
		entered := st.state.Since
		for _, n := range Machine.Notes {
			if slices.Contains(n.In, p) && n.Command != "file-appeal" && n.Command != "reject-appeal" {
				s := notes[n.Command]
				s.after = time.Hour
				if _, err := st.does(s); err != nil {
					t.Fatalf("%s in %q: %v", n.Command, p, err)
				}
			}
		}
		if !st.state.Since.Equal(entered) {
			t.Errorf("%q: notes moved its beginning from %s to %s", p, entered, st.state.Since)
		}
	}
}

func TestWhatOthersMayKnow(t *testing.T) {
	for p, steps := range reach {
		st := given(t, steps)
		got := st.state.Fact()
		want := rule.DemandFact{ID: self, Phase: string(p), Kind: string(st.state.Kind), Unit: st.state.Unit, Topic: st.state.Topic, Live: !p.Terminal()}
		switch p {
		case PhaseAnswered, PhaseClosed, PhaseDeclined, PhaseRedirected, PhaseWithdrawn:
			want.Answered = true
		}
		if got != want {
			t.Errorf("%q: got %+v, want %+v", p, got, want)
		}
	}
}

// What is in the log has happened: whatever it is, in whatever order, it is folded, and no state that was
// handed out changes.
func TestAnyEventIsFoldedInAnyState(t *testing.T) {
	odd := append(everyEvent(), CallbackRecorded{Result: CallbackReworks}, CallbackRecorded{Result: CallbackReconsiders}, CallbackRecorded{Result: "?"},
		FastTracked{Route: Route{Dispute: 2}}, ProgressNoted{From: attached.From}, nil)
	for p, steps := range reach {
		st := given(t, steps)
		kept := given(t, steps).state
		for _, first := range odd {
			for _, second := range odd {
				at := rule.Stamp{Event: orderID, Actor: rule.Actor{Role: orgs.System}, Recorded: st.now}
				a := Evolve(Evolve(st.state, first, at), second, at)
				b := Evolve(Evolve(kept, first, at), second, at)
				if !reflect.DeepEqual(a, b) {
					t.Fatalf("%q, %T, %T: folded twice, got two states", p, first, second)
				}
			}
		}
		if !reflect.DeepEqual(st.state, kept) {
			t.Errorf("%q changed under its reader", p)
		}
	}
}

func TestClocksRunAsTheStateSays(t *testing.T) {
	for _, p := range Machine.States {
		st := given(t, reach[p])
		var want []calendar.Clock
		if c, runs := clockOf[p]; runs {
			want = []calendar.Clock{c}
		}
		if got := running(st.state); !slices.Equal(got, want) {
			t.Errorf("%q: %v run, want %v", p, got, want)
		}
	}
}

func TestASealedTextOfARepeatIsStillToldApart(t *testing.T) {
	s := given(t, isAccepted).state
	at := begin().meet(by(resident, Urge{}))
	said := UrgingReceived{Text: sealed.Cipher(sealed.Prefix + "x.y.z")}
	s = Evolve(s, said, at.Stamp)
	es, err := Decide(s, Urge{Text: sealed.Clear("快一点")}, at)
	if err != nil || len(es) != 1 {
		t.Errorf("got %v, %v; clear words are not known to be the sealed ones", es, err)
	}
}
