package scheme

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

func hashed(t testing.TB, s assessment.Scheme) string {
	t.Helper()
	h, err := assessment.Hash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestWhatIsDecided(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		then  Event
		phase Phase
	}{
		{"a district's office drafts a scheme", nil, by(ann, write), Drafted{Unit: district, Scheme: write.Scheme}, PhaseDraft},
		{"its oversight drafts for the district", nil, by(ben, write), Drafted{Unit: district, Scheme: write.Scheme}, PhaseDraft},
		{"the city's office drafts for all districts", nil, by(evaluator(city, 1), write), Drafted{Unit: city, Scheme: write.Scheme}, PhaseDraft},
		{"a draft need not hold together", nil, by(ann, Draft{Scheme: assessment.Scheme{Name: "草"}}),
			Drafted{Unit: district, Scheme: assessment.Scheme{Name: "草"}}, PhaseDraft},
		{"the next version names the one before", nil, by(ann, Draft{Follows: first, Scheme: write.Scheme}),
			Drafted{Unit: district, Follows: first, Scheme: write.Scheme}, PhaseDraft},
		{"a draft is amended as a whole", isDraft, by(ben, amend), Amended(amend), PhaseDraft},
		{"a scheme is published with its hash", isDraft, by(ann, publish, ben), Published{Version: 1, Hash: hashed(t, write.Scheme)}, PhasePublished},
		{"what is published is the last wording", when(isDraft, by(ann, amend)), by(ann, publish, ben), Published{Version: 1, Hash: hashed(t, amend.Scheme)}, PhasePublished},
		{"the next version counts on", []step{by(ann, Draft{Follows: first, Scheme: write.Scheme})}, by(ben, publish, ann),
			Published{Version: 4, Hash: hashed(t, write.Scheme)}, PhasePublished},
		{"the city's office may publish a district's scheme", isDraft, by(evaluator(city, 1), publish, ann), Published{Version: 1, Hash: hashed(t, write.Scheme)}, PhasePublished},
		{"a draft is discarded", isDraft, by(ann, discard), Discarded(discard), PhaseDiscarded},
		{"a scheme that no period needs is retired", isPublished, by(ann, retire), Retired(retire), PhaseRetired},
		{"so is one whose periods are sealed", isPublished, by(ann, retire, rule.Facts{Periods: []rule.PeriodFact{{Scheme: self, Phase: "sealed", Ended: true}}}),
			Retired(retire), PhaseRetired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given...)
			es, err := st.Does(tt.when)
			if err != nil || len(es) != 1 {
				t.Fatalf("got %v, %v, want one event", es, err)
			}
			if !reflect.DeepEqual(es[0], tt.then) {
				t.Errorf("got  %+v\nwant %+v", es[0], tt.then)
			}
			if st.State.Phase != tt.phase {
				t.Errorf("got state %s, want %s", st.State.Phase, tt.phase)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	far := evaluator(elsewhere, 9)
	long := altered(func(s *assessment.Scheme) { s.Basis = strings.Repeat("长", mostText+1) })
	phone := altered(func(s *assessment.Scheme) { s.Form[0].Name = "投诉 13800001111" })
	many := altered(func(s *assessment.Scheme) {
		for len(s.Reasons) <= mostLines {
			s.Reasons = append(s.Reasons, assessment.Duplicate)
		}
	})
	huge := altered(func(s *assessment.Scheme) {
		for i := range 200 {
			s.Choices[assessment.Name(fmt.Sprint("c", i))] = strings.Repeat("x", mostText)
		}
	})
	wrong := func(s assessment.Scheme) []step { return []step{by(ann, Draft{Scheme: s})} }
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		code  rule.Code
		rule  string
	}{
		{"a department's office drafts no scheme", nil, by(evaluator(department, 1), write), rule.OutsideJuris, "S1"},
		{"a street's neither", nil, by(evaluator(street, 1), write), rule.OutsideJuris, "S1"},
		{"nor one of a district that is no more", nil, by(evaluator(closed, 1), write), rule.OutsideJuris, "S1"},
		{"a scheme has a name", nil, by(ann, Draft{Scheme: named(" ")}), rule.GuardFailed, "S1"},
		{"its texts have an end", nil, by(ann, Draft{Scheme: long}), rule.GuardFailed, "S1"},
		{"and hold no phone number", nil, by(ann, Draft{Scheme: phone}), rule.GuardFailed, "S1"},
		{"its lists have an end", nil, by(ann, Draft{Scheme: many}), rule.GuardFailed, "S1"},
		{"and the whole", nil, by(ann, Draft{Scheme: huge}), rule.GuardFailed, "S1"},
		{"what it follows exists", nil, by(ann, Draft{Follows: self, Scheme: write.Scheme}), rule.GuardFailed, "S1"},
		{"and was published", nil, by(ann, Draft{Follows: draft, Scheme: write.Scheme}), rule.GuardFailed, "S1"},
		{"and is of the own office", nil, by(ann, Draft{Follows: foreign, Scheme: write.Scheme}), rule.GuardFailed, "S1"},
		{"another district's office does not amend", isDraft, by(far, amend), rule.OutsideJuris, "S2"},
		{"an amendment has an end too", isDraft, by(ann, Amend{Scheme: long}), rule.GuardFailed, "S2"},
		{"a published scheme never changes", isPublished, by(ann, amend), rule.WrongState, "M1"},
		{"nobody publishes alone", isDraft, by(ann, publish), rule.SecondPerson, "S3"},
		{"nor as both persons", isDraft, by(ann, publish, ann), rule.SecondPerson, "S3"},
		{"the second is an evaluator", isDraft, by(ann, publish, rule.Actor{ID: "x", Role: orgs.Auditor, Unit: district}), rule.SecondPerson, "S3"},
		{"the second is of the office, or one above", isDraft, by(ann, publish, far), rule.OutsideJuris, "S3"},
		{"another district's office does not publish", isDraft, by(far, publish, ann), rule.OutsideJuris, "S3"},
		{"points that do not sum to 100 are refused", wrong(altered(func(s *assessment.Scheme) { s.Form[0].Points++ })), by(ann, publish, ben), rule.GuardFailed, "I10"},
		{"a department's weight of 19.9999 is refused", wrong(altered(func(s *assessment.Scheme) { s.Subjects[0].Weight-- })), by(ann, publish, ben), rule.WeightBelowFloor, "I10"},
		{"a retired scheme is not retired again", isRetired, by(ann, retire), rule.WrongState, "M1"},
		{"a scheme with an unsealed period stays", isPublished, by(ann, retire, rule.Facts{Periods: []rule.PeriodFact{{Scheme: self, Phase: "rating"}}}), rule.GuardFailed, "S5"},
		{"another district's office does not retire", isPublished, by(far, retire), rule.OutsideJuris, "S5"},
		{"or discard", isDraft, by(far, discard), rule.OutsideJuris, "S4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given(t, tt.given...).Refuses(t, Machine, tt.when, tt.code, tt.rule)
		})
	}
	at := begin().Meet(by(ann, write))
	at.Occurred = at.Recorded.Add(time.Second)
	if _, err := Decide(State{ID: self}, write, at); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Rule != "I18" {
		t.Errorf("in the future: got %v, want I18", err)
	}
}

// Whoever publishes is told everything at once, a weight below the floor first, with the share that was computed.
func TestEveryFaultIsSaidAtOnce(t *testing.T) {
	// w = 0.20, A_S = B_S = 100, A_O = 110: 20 of 108 attainable points.
	st := given(t, by(ann, Draft{Scheme: altered(func(s *assessment.Scheme) {
		s.Other, s.Every, s.Basis = assessment.Whole(110), "week", ""
	})}))
	_, err := st.Does(by(ann, publish, ben))
	r := ruletest.Refusal(err)
	if r == nil || r.Code != rule.WeightBelowFloor {
		t.Fatalf("got %v, want %s", err, rule.WeightBelowFloor)
	}
	for _, words := range []string{"18.52 %", "5/27", "subjects[0].weight", "every", "basis"} {
		if !strings.Contains(r.Detail.En, words) || !strings.Contains(r.Detail.Zh, words) {
			t.Errorf("not said: %s in\n%s\n%s", words, r.Detail.Zh, r.Detail.En)
		}
	}
	if !strings.HasPrefix(r.Detail.En, "subjects[0].weight") {
		t.Errorf("the weight does not come first: %s", r.Detail.En)
	}
}

func TestWhatIsSoAlreadyDecidesNothing(t *testing.T) {
	st := given(t, isDraft...)
	if es, err := st.Does(by(ann, Amend{Scheme: write.Scheme})); es != nil || err != nil {
		t.Errorf("amended to what it says: got %v, %v, want nothing", es, err)
	}
	for _, w := range witnesses {
		st := given(t, w.Given...)
		at := st.Meet(w.When)
		es, err := Decide(st.State, w.When.Command, at)
		if err != nil || len(es) != 1 {
			t.Fatal(es, err)
		}
		after := Evolve(st.State, es[0], at.Stamp)
		at.Recorded = at.Recorded.Add(time.Hour)
		if again, err := Decide(after, w.When.Command, at); again != nil || err != nil {
			t.Errorf("%s twice: got %v, %v, want nothing", w.When.Command.Name(), again, err)
		}
	}
}

func TestAFactSaysWhatPeriodsAskFor(t *testing.T) {
	st := given(t, isPublished...)
	want := rule.SchemeFact{ID: self, Phase: "published", Unit: district, Version: 1, Hash: hashed(t, write.Scheme), Published: st.Now, Scheme: write.Scheme}
	if got := st.State.Fact(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := Needs(st.State, retire).Applying; got != self {
		t.Errorf("retiring asks for the periods of %s, want %s", got, self)
	}
	if got := Needs(State{}, Draft{Follows: first}).Schemes; len(got) != 1 || got[0] != first {
		t.Errorf("drafting asks for %v, want %v", got, first)
	}
}

// Whatever anybody does: the hash of a published scheme is that of its wording, two persons of the office published it, and
// nothing but its retirement comes after.
func TestLawAPublishedSchemeNeverChanges(t *testing.T) {
	people := []rule.Actor{ann, ann, ben, ben, evaluator(city, 1), evaluator(elsewhere, 1), {ID: "x", Role: orgs.UnitHead, Unit: department}}
	published := 0
	rapid.Check(t, func(t *rapid.T) {
		st := begin()
		if rapid.Bool().Draw(t, "drafted") {
			if _, err := st.Does(by(ann, write)); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			c := rapid.SampledFrom(append([]Command{write, publish, publish, retire}, amend, Amend{Scheme: named("x")}, Amend{Scheme: assessment.Scheme{Name: "草"}}, discard)).Draw(t, "command")
			s := by(rapid.SampledFrom(people).Draw(t, "actor"), c)
			if rapid.IntRange(0, 3).Draw(t, "alone") > 0 {
				second := rapid.SampledFrom(append([]rule.Actor{ben, ben, ann, ann}, people...)).Draw(t, "second")
				s.At.Second = &second
			}
			if _, err := st.Does(s); err != nil && (ruletest.Refusal(err) == nil || ruletest.Lack(ruletest.Refusal(err), st.State.Phase, Machine) != "") {
				t.Fatalf("%s: %v", c.Name(), err)
			}
		}
		var wording assessment.Scheme
		for i, h := range st.History {
			switch e := h.Event.(type) {
			case Drafted:
				wording = e.Scheme
			case Amended:
				wording = e.Scheme
			case Published:
				published++
				if got, _ := assessment.Hash(st.State.Scheme); got != e.Hash || !reflect.DeepEqual(wording, st.State.Scheme) || len(assessment.Validate(wording)) > 0 {
					t.Fatalf("published %s, now it says %+v", e.Hash, st.State.Scheme)
				}
				if h.Stamp.Second == nil || h.Stamp.Second.ID == h.Stamp.Actor.ID || !town().Within(district, rule.Seat(town(), *h.Stamp.Second)) && st.State.Unit == district {
					t.Fatalf("published by %+v and %+v", h.Stamp.Actor, h.Stamp.Second)
				}
				if left := len(st.History) - i - 1; left > 1 {
					t.Fatalf("%d events follow", left)
				}
			}
		}
	})
	if published < 3 {
		t.Errorf("%d schemes were published: nothing was shown", published)
	}
}
