package demand

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

// told says what the clock did, one line for each event: "03-03 17:30:00 warning accept 1".
func told(es []entry) []string {
	var lines []string
	for _, e := range es {
		on := e.Stamp.Recorded.In(calendar.Zone()).Format("01-02 15:04:05 ")
		late := func(seconds int) string {
			if seconds <= 1 { // an expiry is said in the second after
				return ""
			}
			return fmt.Sprintf(", late by %d s", seconds)
		}
		switch e := e.Event.(type) {
		case WarningRaised:
			lines = append(lines, on+fmt.Sprintf("warning %s %d", e.Clock, e.Number)+late(e.LateBy))
		case ClockExpired:
			lines = append(lines, on+fmt.Sprintf("expired %s", e.Clock)+late(e.LateBy))
		case Escalated:
			lines = append(lines, on+fmt.Sprintf("%s %d to %d %s", e.Rule, e.From, e.To, e.Unit))
		case CallbackWaived:
			lines = append(lines, on+"waived "+e.Cause)
		default:
			lines = append(lines, on+ruletest.Word(e))
		}
	}
	return lines
}

// sweep carries out what comes due up to an instant, at once or, by a machine that was down, all at that instant.
func (st *story) sweep(t ruletest.Test, until time.Time, down bool) {
	for n := 0; ; n++ {
		a, waits := rule.Earliest(st.State.Alarms())
		if !waits || a.At.After(until) {
			return
		}
		if n == 50 {
			t.Fatalf("a sweep without end: the next is %+v", a)
			return
		}
		on := a.At
		switch {
		case down:
			on = until
		case on.Before(st.Now):
			on = st.Now
		}
		if es, err := st.Does(by(clock, a.Command.(Command), instant(on))); len(es) == 0 || err != nil {
			t.Fatalf("%s at %s: got %v, %v", a.Step, on, es, err)
			return
		}
	}
}

func TestWhatTheClockDoes(t *testing.T) {
	attempt := by(nextCaller, RecordCallbackAttempt{Means: "phone"}, orders(verified), time.Hour)
	old := by(wechat, imported, happened(900*day))
	for _, tt := range []struct {
		name  string
		given []step
		until string // end of that day
		want  []string
	}{
		{"a demand that nobody takes on rises above the community", isRaised, "2026-04-30", []string{
			"03-02 17:30:00 warning accept 1", "03-04 00:00:00 expired accept", "03-04 00:00:00 E5 2 to 3 150105003"}},
		{"one that nobody sends on, too", isAccepted, "2026-04-30", []string{
			"03-03 17:30:00 warning triage 1", "03-04 17:30:00 warning triage 2", "03-06 00:00:00 expired triage", "03-06 00:00:00 E5 2 to 3 150105003"}},
		{"a resident who hears nothing of the topic is thirty days without news", isInTopic, "2026-04-30", []string{
			"03-30 17:30:00 warning topic_news 1", "03-31 17:30:00 warning topic_news 2", "04-02 00:00:00 expired topic_news", "04-02 00:00:00 E5 2 to 3 150105003"}},
		{"news puts it off", when(isInTopic, by(manager, NoteProgress{From: source, Topic: topicID}, 28*day)), "2026-04-24", nil},
		{"a promise that is not kept rises above the community that gave it", isHandled, "2026-04-30", []string{
			"03-06 17:30:00 warning promise 1", "03-10 00:00:00 expired promise", "03-10 00:00:00 E5 2 to 3 150105003"}},
		{"who is not called back at all: the hotline's host answers, and after seven days nobody calls any more", isAnswered, "2026-04-30", []string{
			"03-02 17:30:00 warning callback 1", "03-04 00:00:00 expired callback", "03-04 00:00:00 E5 4 to 5 150100", "03-10 00:00:00 waived not_called"}},
		{"one call is in time, and is waited for", when(isAnswered, attempt), "2026-03-09", nil},
		{"after seven days it was not to be", when(isAnswered, attempt), "2026-04-30", []string{"03-10 00:00:00 waived unreached"}},
		{"three calls are enough", when(isAnswered, attempt, attempt, attempt), "2026-04-30", []string{"03-02 12:03:01 waived unreached"}},
		{"how many are enough is the policy's word", when(isAnswered, by(nextCaller, RecordCallbackAttempt{}, orders(verified), policy(func(p *calendar.Policy) { p.Attempts = 1 }))), "2026-04-30",
			[]string{"03-02 09:04:01 waived unreached"}},
		{"nobody owes an anonymous resident a call", isAnon, "2026-04-30", []string{"03-04 00:00:00 waived anonymous"}},
		{"or one who wants none", when(isAcceptedAs(change(raise, func(c *Raise) { c.NoCallback = true })), by(clerk, join, orders(pipes)), by(manager, answer)), "2026-04-30",
			[]string{"03-04 00:00:00 waived do_not_call"}},
		{"a resident who is called again is waited for anew", when(isAnswered, attempt, attempt, attempt, by(caller, angry, orders(verified)), by(manager, answer)), "2026-03-02",
			[]string{"03-02 17:30:00 warning callback 1"}},
		{"a closed demand has no clocks", isClosed, "2027-12-31", nil},
		{"a declined one neither", isAppealed, "2027-12-31", nil},
		{"an upheld appeal starts one", when(isAppealed, drives["D20"]), "2026-03-03", []string{"03-02 17:30:00 warning accept 1"}},
		{"an old system's demand is late the moment it comes, once", []step{old}, "2026-03-02", []string{
			"03-02 09:00:00 warning accept 1, late by 77729400 s", "03-02 09:00:00 expired accept, late by 77619601 s", "03-02 09:00:00 E5 2 to 3 150105003"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given)
			n := len(st.History)
			st.sweep(t, ending(tt.until).Add(time.Second-1), false)
			if got := told(st.History[n:]); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestAMachineThatWasDownSaysHowLateItIs(t *testing.T) {
	st := given(t, isAccepted)
	n := len(st.History)
	st.sweep(t, ending("2026-03-09"), true)
	want := []string{"03-09 23:59:59 warning triage 1, late by 541799 s", "03-09 23:59:59 warning triage 2, late by 455399 s",
		"03-09 23:59:59 expired triage, late by 345600 s", "03-09 23:59:59 E5 2 to 3 150105003"}
	if got := told(st.History[n:]); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, e := range st.History[n:] {
		if up, rises := e.Event.(Escalated); rises && (up.LateBy != 345600 || up.ID != "triage/1/0/2" || !up.Due.Equal(ending("2026-03-05"))) {
			t.Errorf("the escalation says %+v", up)
		}
	}
}

// What was recorded before answers said until when to call ends by hand, as before.
func TestAnOldAnswerIsWaivedByHand(t *testing.T) {
	st := given(t, isHandled)
	es, err := Decide(st.State, answer, st.Meet(by(manager, answer)))
	if err != nil {
		t.Fatal(err)
	}
	was := es[0].(Answered)
	was.ReachBy = time.Time{}
	st.Fold(st.Meet(by(manager, answer)), was)
	for range 3 { // nor did calls say that they were enough
		st.Fold(st.Meet(by(caller, RecordCallbackAttempt{})), CallbackAttempted{Means: "phone"})
	}
	if as := st.State.Alarms(); len(as) > 0 {
		t.Errorf("got %+v, want no alarm", as)
	}
	if _, err := st.Does(by(clock, WaiveCallback{Cause: "unreached"}, 30*day)); ruletest.Refusal(err) == nil {
		t.Error("the clock waived what it had no time for")
	}
	if es, err := st.Does(by(caller, WaiveCallback{Cause: "unreached"}, orders(verified))); len(es) != 1 || err != nil {
		t.Errorf("by hand: got %v, %v", es, err)
	}
}

func TestTheClockWaivesForTheCauseThereIs(t *testing.T) {
	for _, cause := range []string{"anonymous", "do_not_call", "unreached", "", "?"} {
		st := given(t, isAnswered)
		if es, err := st.Does(by(clock, WaiveCallback{Cause: cause}, 30*day)); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Rule != "D18" {
			t.Errorf("%q: got %v, %v, want a refusal under D18", cause, es, err)
		}
	}
	st := given(t, isAnswered)
	if _, err := st.Does(by(caller, WaiveCallback{Cause: "not_called"}, orders(verified), 30*day)); ruletest.Refusal(err) == nil {
		t.Error("a caller waived for not calling")
	}
}

// E6, E7: what lifts a demand without a clock.
func TestWhatPressureLifts(t *testing.T) {
	urge := func(after time.Duration) step { return by(resident, Urge{}, after) }
	reworked := when(isAnswered, by(caller, angry, orders(verified)), by(manager, answer))
	unfounded := by(caller, RecordCallback{Grade: 1, Reason: "超出法定范围"}, orders(verified), nextCaller)
	reopened := when(isAnswered, unfounded, by(resident, Reopen{}))
	again := when(reopened, by(dispatcher, FastTrack{Reason: ReasonReopened, Route: Route{Join: otherOID}}, orders(valves)), by(manager, answer))
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		want  string // "" = nothing is lifted
		count int
	}{
		{"E6: two urgings are patience", when(isAccepted, urge(day)), urge(day), "", 0},
		{"E6: the third in seven days lifts it", when(isAccepted, urge(day), urge(3*day)), urge(3 * day), "E6 2 to 3 150105003", 3},
		{"E6: the seventh day counts to its end", when(isAccepted, urge(day), urge(day)), by(resident, Urge{}, untilEnd("2026-03-10")), "E6 2 to 3 150105003", 3},
		{"E6: on the eighth the first is forgotten", when(isAccepted, urge(day), urge(day)), by(resident, Urge{}, justAfter("2026-03-10")), "", 0},
		{"E6: once in a round", when(isAccepted, urge(1), urge(1), urge(1), urge(1), urge(1)), urge(1), "", 0},
		{"E6: in the next round again", when(isAccepted, urge(1), urge(1), urge(1), by(clerk, join, orders(pipes)), by(manager, answer),
			by(caller, happy, orders(verified)), by(resident, Reopen{}), urge(1), urge(1)), urge(1), "E6 3 to 4 150105", 3},
		{"E6: what was urged in an earlier round is past", when(isAccepted, urge(1), urge(1), by(clerk, join, orders(pipes)), by(manager, answer),
			by(caller, happy, orders(verified)), by(resident, Reopen{})), urge(1), "", 0},
		{"E6: a rework is the same round", when(isHandled, urge(1), urge(1), urge(1), by(manager, answer), by(caller, angry, orders(verified)), urge(1), urge(1)), urge(1), "", 0},
		{"E7: one bad grade is a bad grade", isAnswered, by(caller, angry, orders(verified)), "", 0},
		{"E7: the second, after a rework, lifts it to the district", reworked, by(caller, angry, orders(verified)), "E7 2 to 4 150105", 2},
		{"E7: so it does where the community considers it anew", reworked, by(caller, angry, orders(cancelled)), "E7 2 to 4 150105", 2},
		{"E7: grade 2 of a settled matter is bad enough", reworked, by(caller, RecordCallback{Resolved: true, Grade: 2, Merit: true}, orders(verified)), "E7 2 to 4 150105", 2},
		{"E7: grade 3 is not", reworked, by(caller, RecordCallback{Grade: 3, Merit: true}, orders(verified)), "", 0},
		{"E7: the second, after it was reopened", again, by(caller, angry, orders(valves)), "E7 2 to 4 150105", 2},
		{"E7: a closed demand has nobody's attention", again, about(unfounded, valves), "", 0},
		{"E7: when it comes back, it has", when(again, about(unfounded, valves)), by(resident, Reopen{}), "E7 2 to 4 150105", 2},
		{"E7: a changed grade is no second callback", when(isAnswered, unfounded, by(resident, Rerate{Grade: 1})), by(resident, Reopen{}), "", 0},
		{"E7: a third lifts no higher", when(reworked, by(caller, angry, orders(verified)), by(manager, answer)), by(caller, angry, orders(verified)), "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given)
			n := len(st.History)
			if _, err := st.Does(tt.when); err != nil {
				t.Fatal(err)
			}
			var got string
			var up Escalated
			for _, e := range st.History[n:] {
				if e, rises := e.Event.(Escalated); rises {
					up, got = e, fmt.Sprintf("%s %d to %d %s", e.Rule, e.From, e.To, e.Unit)
				}
			}
			if got != tt.want || up.Count != tt.count || up.ID != "" {
				t.Errorf("got %q, counted %d, due %q; want %q, %d", got, up.Count, up.ID, tt.want, tt.count)
			}
		})
	}
}

// about is the same step about another order.
func about(s step, o rule.OrderFact) step {
	s.At.Facts = orders(o)
	return s
}

func TestThresholdsAreThePolicys(t *testing.T) {
	p := escalation.Default()
	p.Urgings, p.UrgingWindow, p.Unsatisfied, p.Problem = 2, 1, 1, orgs.Level(5)
	p.Districts = []escalation.DistrictLevels{{District: district, Levels: escalation.LevelMap{{Level: 2, Zh: "村", En: "village"}, {Level: 4, Zh: "旗", En: "banner"}, {Level: 5, Zh: "市", En: "city"}}}}
	under := func(s step) step {
		s.At.Escalation = p
		return s
	}
	st := given(t, isAccepted, []step{under(by(resident, Urge{})), under(by(resident, Urge{}))})
	if a := st.State.Attention; a.Level != 4 || a.Unit != district || a.Rule != "E6" || a.Rises != 1 {
		t.Errorf("two urgings where streets are left out: got %+v", a)
	}
	st = given(t, isAnswered, []step{under(by(caller, angry, orders(verified)))})
	if a := st.State.Attention; a.Level != 5 || a.Unit != city || a.Rule != "E7" || !a.Since.Equal(st.Now) {
		t.Errorf("one bad grade: got %+v", a)
	}
}

// A person's request that comes twice is a repeat, whatever the clock did in between.
func TestTheClockDoesNotHideWhatWasSaid(t *testing.T) {
	st := given(t, isAccepted, []step{by(resident, Urge{}), by(resident, Urge{})})
	s := by(resident, Urge{})
	at := st.Meet(s)
	es, err := Decide(st.State, s.Command, at)
	if len(es) != 2 || err != nil {
		t.Fatalf("got %v, %v", es, err)
	}
	st.Fold(at, es...)
	st.sweep(t, ending("2026-03-09"), false)
	if es, err := Decide(st.State, s.Command, at); es != nil || err != nil {
		t.Errorf("asked twice, with warnings and an expiry in between: got %v, %v", es, err)
	}
}

type hand = ruletest.Hand[State, Event]

var ours = hand{Alarms: State.Alarms, Evolve: Evolve}

// run lets a clock run on a demand up to an instant, and holds it against the laws. What fired is kept in fired.
func run(t ruletest.Test, h hand, st *story, until time.Time, down bool, fired map[string]bool) {
	for n := 0; ; n++ {
		a, waits := rule.Earliest(h.Alarms(st.State))
		if !waits || a.At.After(until) {
			break
		}
		if n == 50 {
			t.Fatalf("a sweep without end: %s of %s", a.Step, a.ID)
		}
		if a.At.Nanosecond() != 0 || a.At.Sub(a.Due) > time.Second {
			t.Fatalf("%s of %s at %s, due %s", a.Step, a.ID, a.At, a.Due)
		}
		ask := func(on time.Time) ([]Event, rule.At, error) {
			at := rule.At{Stamp: rule.Stamp{Actor: clock, Occurred: on, Recorded: on}, Units: st.Units,
				Clocks: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}}
			es, err := Decide(st.State, a.Command.(Command), at)
			return es, at, err
		}
		if es, _, err := ask(a.At.Add(-time.Second)); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Rule != "I15" || len(es) > 0 {
			t.Fatalf("(a) %s of %s a second early: got %v, %v", a.Step, a.ID, es, err)
		}
		if es, _, err := ask(a.At); err != nil || len(es) == 0 {
			t.Fatalf("(a) %s of %s at its time: got %v, %v", a.Step, a.ID, es, err)
		}
		if key := a.Key(); fired[key] {
			t.Fatalf("(b) %s fired twice", key)
		} else {
			fired[key] = true
		}
		on := a.At
		switch {
		case down:
			on = until
		case on.Before(st.Now):
			on = st.Now
		}
		es, at, err := ask(on)
		if err != nil {
			t.Fatalf("%s of %s at %s: %v", a.Step, a.ID, on, err)
		}
		st.Now = on
		fold(t, h, st, at, es...)
	}
	for _, a := range h.Alarms(st.State) {
		if !a.At.After(until) {
			t.Fatalf("(c) after everything up to %s was carried out, %s of %s waits since %s", until, a.Step, a.ID, a.At)
		}
	}
	for _, d := range st.State.owed() { // whatever ran out is in the log
		if !d.Due.Add(time.Second).After(until) && !st.State.Fired.Of(d.ID).Expired {
			t.Fatalf("(b) %s was over at %s, and at %s nothing says so", d.ID, d.Due, until)
		}
	}
}

// fold appends events and holds the fold against the laws.
func fold(t ruletest.Test, h hand, st *story, at rule.At, es ...Event) {
	st.Evolve = h.Evolve
	for _, e := range es {
		before := st.State
		st.Fold(at, e)
		after := st.State
		if after.Attention.Level < before.Attention.Level || after.Attention.Rises < before.Attention.Rises {
			t.Fatalf("(d) attention fell from %+v to %+v with %s", before.Attention, after.Attention, e.EventType())
		}
		if up, rises := e.(Escalated); rises && (up.To <= up.From || up.To <= before.Attention.Level || up.Unit == "") {
			t.Fatalf("(d) %+v lifts nothing above %d", up, before.Attention.Level)
		}
		if before.Phase == PhaseInHandling && after.Phase == PhaseInHandling {
			was, _ := before.Running.Get(calendar.Promise)
			is, runs := after.Running.Get(calendar.Promise)
			_, anew := e.(DeadlineRecomputed) // a notice moves what was promised in days; never forward
			if !runs || anew && is.Due.Before(was.Due) || !anew && !reflect.DeepEqual(was, is) {
				t.Fatalf("(e) the promise moved from %s to %s with %s", was.Due, is.Due, e.EventType())
			}
		}
		if before.Phase != "" && !after.RaisedAt.Equal(before.RaisedAt) {
			t.Fatalf("(e) a demand of %s is one of %s after %s", before.RaisedAt, after.RaisedAt, e.EventType())
		}
	}
}

// waits lets anybody try things with a demand while its clock runs, by a machine that is down now and then. It begins anywhere: chance would
// seldom come to the later clocks.
func waits(t *rapid.T, h hand, fails ruletest.Test) *story {
	uncalled := when(isAcceptedAs(change(raise, func(c *Raise) { c.NoCallback = true })), by(clerk, join, orders(pipes)), by(manager, answer))
	scorned := when(isAnswered, by(caller, angry, orders(verified)), by(manager, answer)) // once: the next lifts it
	st := given(fails, rapid.SampledFrom([][]step{nil, called(2), scorned, isAnon, uncalled, isHandled, isInTopic}).Draw(t, "from"))
	fired := map[string]bool{}
	for range rapid.IntRange(1, 25).Draw(t, "steps") {
		if st.State.Phase == PhaseRedirected || st.State.Phase == PhaseWithdrawn {
			break
		}
		x := st.apt(anyStep(t, st.State))
		if p := st.State.Phase; rapid.IntRange(0, 3).Draw(t, "out of patience") == 0 {
			switch {
			case slices.Contains(working, p):
				x = by(resident, Urge{}, time.Duration(rapid.Int64Range(1, int64(4*day)).Draw(t, "patience")))
			case p == PhaseAnswered:
				x = by(caller, angry, orders(verified))
			}
		}
		if x.On.IsZero() {
			x.On = st.Now.Add(x.After)
		}
		run(fails, h, st, x.On, rapid.IntRange(0, 3).Draw(t, "down") == 0, fired) // nothing that is due waits for a person
		at := st.Meet(x)
		es, err := Decide(st.State, x.Command, at)
		if err != nil {
			continue
		}
		fold(fails, h, st, at, es...)
		for _, e := range es {
			switch e := e.(type) { // people may not act for the clock here: it was there before
			case WarningRaised, ClockExpired:
				fails.Fatalf("the clock had left %+v to do", e)
			}
		}
	}
	run(fails, h, st, st.Now.Add(400*day), rapid.Bool().Draw(t, "down at the end"), fired)
	return st
}

func TestTheClockKeepsItsLaws(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 5 {
			for _, e := range waits(t, ours, t).History {
				switch e := e.Event.(type) {
				case WarningRaised:
					seen["warning "+string(e.Clock)]++
				case ClockExpired:
					seen["expired "+string(e.Clock)]++
				case Escalated:
					seen[e.Rule]++
				case CallbackWaived:
					seen["waived "+e.Cause]++
				}
			}
		}
	})
	ruletest.Shown(t, seen, "warning accept", "warning triage", "warning topic_news", "warning promise", "warning callback",
		"expired accept", "expired triage", "expired topic_news", "expired promise", "expired callback", "E5", "E6", "E7",
		"waived anonymous", "waived do_not_call", "waived unreached", "waived not_called")
}

func TestABrokenClockIsFound(t *testing.T) {
	for name, h := range map[string]struct {
		hand hand
		law  string
	}{
		"a second early":               {ours.Moved(-time.Second), "(a)"},
		"a second late":                {ours.Moved(time.Second), ""},
		"one that forgets what it did": {ours.Spoilt(func(s *State, _ Event) { s.Fired = nil }), "(b)"},
		"one that never expires":       {ours.Without("expiry"), "(b)"},
		"one whose attention tires": {ours.Spoilt(func(s *State, e Event) {
			if _, tires := e.(CallbackRecorded); tires {
				s.Attention = rule.Attention{}
			}
		}), "(d)"},
		"one that stops while others work": {ours.Spoilt(func(s *State, e Event) {
			if _, noted := e.(ProgressNoted); noted {
				s.Running = slices.Clone(s.Running)
				for i := range s.Running {
					s.Running[i].Due = s.Running[i].Due.Add(day)
				}
			}
		}), "(e)"},
	} {
		t.Run(name, func(t *testing.T) {
			found := ""
			for seed := 1; seed <= 20_000 && found == ""; seed++ {
				rapid.Custom(func(rt *rapid.T) bool {
					found = ruletest.Failure(func(fails ruletest.Test) { waits(rt, h.hand, fails) })
					return true
				}).Example(seed)
			}
			if found == "" || !strings.HasPrefix(found, h.law) {
				t.Errorf("got %q, want a law %s broken", found, h.law)
			}
		})
	}
}
