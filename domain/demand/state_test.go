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
	es, err := st.Does(by(wechat, r, happened(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	e := es[0].(Raised)
	if e.Number != r.Number || e.Tracking != "ab12" || e.SplitNo != 1 || e.Title != words || len(e.Attachments) != 1 || !e.Anonymous || !e.NoCallback {
		t.Errorf("got %+v", e)
	}
	s := st.State
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
	dispatched := stream.CausedBy(stream.Order, st.History[2].Stamp.Event, 0)
	if s := st.State; !slices.Equal(s.Orders, []stream.ID{dispatched}) || s.Waiver != string(ReasonStatutory) || !s.Topic.IsZero() {
		t.Errorf("fast-tracked: orders %v, waiver %q, topic %v", s.Orders, s.Waiver, s.Topic)
	}
	mediated := given(t, ofKind(Dispute, "C"), []step{by(clerk, mediate)})
	if want := stream.CausedBy(stream.Dispute, mediated.History[2].Stamp.Event, 0); mediated.State.Dispute != want {
		t.Errorf("mediated: got %v, want %v", mediated.State.Dispute, want)
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
		s := given(t, tt.given).State
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
		if got := given(t, tt.given).State.Waiver; got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestEveryTopicThatEverGovernedItIsListedOnce(t *testing.T) {
	relink := []step{drives["D9"], by(clerk, LinkToTopic{Topic: otherTID}, topics(parking)), by(clerk, UnlinkFromTopic{Reason: "无关"}, topics(parking)), by(clerk, link, topics(heating))}
	s := given(t, isInTopic, relink, []step{by(clerk, Relate{Topic: otherTID}, topics(parking))}).State
	if !slices.Equal(s.Topics, []stream.ID{topicID, otherTID}) || !slices.Equal(s.Related, []stream.ID{otherTID}) {
		t.Errorf("got topics %v, related %v", s.Topics, s.Related)
	}
}

func TestTheAnswerSaysWhereItsWordsAre(t *testing.T) {
	st := given(t, isSpoken)
	want := Source{Stream: stream.Of(stream.Demand, self), Event: st.History[1].Stamp.Event, Type: "demand-answered-on-the-spot/1"}
	if s := st.State; s.Answer != want || s.Outcome != Explained || s.Handler != home || s.Kind != Consult || s.Summary != "已解释" {
		t.Errorf("on the spot: got %+v, %s, handler %s, %s, %s", s.Answer, s.Outcome, s.Handler, s.Kind, s.Summary)
	}
	if s := st.State; !s.AcceptedAt.Equal(st.Now) || !s.AnsweredAt.Equal(st.Now) {
		t.Errorf("on the spot counts as accepted: accepted %s, answered %s, now %s", s.AcceptedAt, s.AnsweredAt, st.Now)
	}
	spoken := change(spot, func(c *AnswerOnTheSpot) { c.Matter = "water" })
	if s := given(t, isRaised, []step{by(clerk, spoken)}).State; s.Matter != "water" {
		t.Errorf("matter: got %q, want water", s.Matter)
	}
	if s := given(t, isAnswered).State; s.Answer != source || s.Outcome != Resolved {
		t.Errorf("by an order: got %+v, %s", s.Answer, s.Outcome)
	}
}

func TestOneCallOfThisAnswerCounts(t *testing.T) {
	st := given(t, called(2))
	if st.State.Attempts != 2 {
		t.Errorf("got %d attempts, want 2", st.State.Attempts)
	}
	again := given(t, called(2), []step{by(caller, angry, orders(verified)), by(manager, answer)})
	if again.State.Attempts != 0 {
		t.Errorf("a new answer: got %d attempts, want 0", again.State.Attempts)
	}
}

func TestBothVerdictsAreKeptAndTheLastIsShown(t *testing.T) {
	if s := given(t, isClosed).State; s.Grade != 5 || !s.Settled {
		t.Errorf("called: got grade %d, settled %v", s.Grade, s.Settled)
	}
	st := given(t, isClosed, []step{by(resident, Rerate{Grade: 2, Resolved: false})})
	if s := st.State; s.Grade != 2 || s.Settled {
		t.Errorf("got grade %d, settled %v", s.Grade, s.Settled)
	}
	first, second := st.History[len(st.History)-2].Event.(CallbackRecorded), st.History[len(st.History)-1].Event.(Rerated)
	if first.Grade != 5 || second.Grade != 2 {
		t.Errorf("on the stream: %d and %d", first.Grade, second.Grade)
	}
}

func TestSupportIsCounted(t *testing.T) {
	st := given(t, []step{by(wechat, imported), by(wechat, Support{Supporters: 40, Opponents: 2, Tally: true}), by(stranger, Support{Supporters: 1}), by(clerk, Support{Supporters: 1})})
	if s := st.State; s.Supporters != 42 || s.Opponents != 2 {
		t.Errorf("got %d for and %d against", s.Supporters, s.Opponents)
	}
}

func TestCorrectionsLeaveTheRestAsItWas(t *testing.T) {
	s := given(t, isAccepted, []step{by(clerk, Reclassify{Matter: "water"}), by(clerk, Relocate{Grid: nextGrid, Unit: home})}).State
	if s.Matter != "water" || s.Kind != Issue || s.Urgency != "C" || s.Grid != nextGrid || s.Unit != home {
		t.Errorf("got %s, %s, %s, %s, %s", s.Kind, s.Matter, s.Urgency, s.Grid, s.Unit)
	}
}

func TestANewRoundHasNoEndYet(t *testing.T) {
	if s := given(t, isClosed).State; s.ClosedAt.IsZero() || s.ReopenBy.IsZero() || s.RerateBy.IsZero() {
		t.Errorf("closed %s, reopen by %s, rerate by %s", s.ClosedAt, s.ReopenBy, s.RerateBy)
	}
	if s := given(t, isReopened).State; s.Round != 2 || !s.ClosedAt.IsZero() || !s.ReopenBy.IsZero() || !s.RerateBy.IsZero() {
		t.Errorf("round %d, closed %s, reopen by %s, rerate by %s", s.Round, s.ClosedAt, s.ReopenBy, s.RerateBy)
	}
	if s := given(t, isAppealed, []step{drives["D20"]}).State; !s.ClosedAt.IsZero() || s.Appealed || !s.Upheld {
		t.Errorf("upheld: closed %s, appealed %v, upheld %v", s.ClosedAt, s.Appealed, s.Upheld)
	}
}

func TestAcceptedIsWhenTheClerkTookItOn(t *testing.T) {
	st := given(t, isAccepted)
	if s := st.State; !s.AcceptedAt.Equal(st.Now) || !s.AnsweredAt.IsZero() {
		t.Errorf("accepted %s, answered %s, now %s", s.AcceptedAt, s.AnsweredAt, st.Now)
	}
}

func TestSinceIsWhenTheStateWasEntered(t *testing.T) {
	for p, steps := range reach {
		if p == "" {
			continue
		}
		st := given(t, steps)
		entered := st.State.Since
		for _, n := range Machine.Notes {
			if slices.Contains(n.In, p) && n.Command != "file-appeal" && n.Command != "reject-appeal" {
				s := notes[n.Command]
				s.After = time.Hour
				if _, err := st.Does(s); err != nil {
					t.Fatalf("%s in %q: %v", n.Command, p, err)
				}
			}
		}
		if !st.State.Since.Equal(entered) {
			t.Errorf("%q: notes moved its beginning from %s to %s", p, entered, st.State.Since)
		}
	}
}

func TestWhatOthersMayKnow(t *testing.T) {
	for p, steps := range reach {
		st := given(t, steps)
		got := st.State.Fact()
		want := rule.DemandFact{ID: self, Phase: string(p), Kind: string(st.State.Kind), Unit: st.State.Unit, Topic: st.State.Topic, Live: !p.Terminal()}
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
		kept := given(t, steps).State
		for _, first := range odd {
			for _, second := range odd {
				at := rule.Stamp{Event: orderID, Actor: rule.Actor{Role: orgs.System}, Recorded: st.Now}
				a := Evolve(Evolve(st.State, first, at), second, at)
				b := Evolve(Evolve(kept, first, at), second, at)
				if !reflect.DeepEqual(a, b) {
					t.Fatalf("%q, %T, %T: folded twice, got two states", p, first, second)
				}
			}
		}
		if !reflect.DeepEqual(st.State, kept) {
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
		if got := running(st.State); !slices.Equal(got, want) {
			t.Errorf("%q: %v run, want %v", p, got, want)
		}
	}
}

func TestASealedTextOfARepeatIsStillToldApart(t *testing.T) {
	s := given(t, isAccepted).State
	at := begin().Meet(by(resident, Urge{}))
	said := UrgingReceived{Text: sealed.Cipher(sealed.Prefix + "x.y.z")}
	s = Evolve(s, said, at.Stamp)
	es, err := Decide(s, Urge{Text: sealed.Clear("快一点")}, at)
	if err != nil || len(es) != 1 {
		t.Errorf("got %v, %v; clear words are not known to be the sealed ones", es, err)
	}
}
