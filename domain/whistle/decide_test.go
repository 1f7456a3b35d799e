package whistle

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// minute is an instant of the first day, in minutes after the whistle.
func minute(n int) time.Time { return morning.Add(time.Duration(n) * time.Minute) }

// What happens: everything but due instants, which have tests of their own.
func TestWhatIsDecided(t *testing.T) {
	late := Card{Unit: agency, ReportIn: OnTime, Stayed: true, Outcome: 24, Comment: "组织有序", Score: 9400}
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		then  Event
		phase Phase
	}{
		{"the street's own desk enters who has come", isOpen, by(desker, arrive, 5*time.Minute),
			UnitReportedIn{Unit: agency, At: minute(5)}, PhaseOnSite},
		{"the street's leader enters who has come", isOpen, by(leader, arrive, 5*time.Minute),
			UnitReportedIn{Unit: agency, At: minute(5)}, PhaseOnSite},
		{"the unit reports in and the street confirms", isOpen, by(handler, arrive, desker, 5*time.Minute),
			UnitReportedIn{Unit: agency, At: minute(5)}, PhaseOnSite},
		{"a member reports in for its joint team", []step{by(desker, Blow{Units: []orgs.UnitCode{team}, Class: Normal, Task: "整治"})},
			by(handler, ReportIn{Unit: team}, leader, 5*time.Minute), UnitReportedIn{Unit: team, At: minute(5)}, PhaseOnSite},
		{"a unit that comes after its half hour is late", isOpen, by(desker, arrive, 31*time.Minute),
			UnitReportedIn{Unit: agency, At: minute(31), Late: true}, PhaseOnSite},
		{"within the due second it is on time", isOpen, by(desker, arrive, 30*time.Minute+999*time.Millisecond),
			UnitReportedIn{Unit: agency, At: minute(30)}, PhaseOnSite},
		{"an arrival entered later counts from when it happened", isOpen, by(desker, arrive, 10*time.Hour, ago(9*time.Hour+40*time.Minute)),
			UnitReportedIn{Unit: agency, At: minute(20)}, PhaseOnSite},
		{"entered more than a day later it counts from then", isOpen, by(desker, arrive, 40*time.Hour, ago(39*time.Hour+40*time.Minute)),
			UnitReportedIn{Unit: agency, At: minute(40 * 60), Late: true}, PhaseOnSite},
		{"nobody came before the whistle", isOpen, by(desker, arrive, 2*time.Hour, ago(3*time.Hour)),
			UnitReportedIn{Unit: agency, At: minute(120), Late: true}, PhaseOnSite},
		{"a further unit reports in", isOnSite, by(desker, ReportIn{Unit: utility}, 4*time.Minute),
			UnitReportedIn{Unit: utility, At: minute(5)}, PhaseOnSite},
		{"the clock marks a unit absent", isOpen, by(clock, absent, 30*time.Minute+5*time.Second),
			UnitAbsent{Unit: utility, ID: absent.ID, Due: minute(30), LateBy: 5}, PhaseOpen},
		{"a unit that was marked absent may still come", when(isOpen, by(clock, MarkAbsent{ID: "report_in/1/0/1"}, time.Hour)),
			by(desker, arrive), UnitReportedIn{Unit: agency, At: minute(61), Late: true}, PhaseOnSite},
		{"an arbiter excuses a unit that is waited for", isOnSite, by(arbiter, excuse), UnitExcused(excuse), PhaseOnSite},
		{"an arbiter excuses a unit that did not come", isConcluded, by(arbiter, ExcuseUnit{Unit: utility, Reason: "停电抢修"}),
			UnitExcused{Unit: utility, Reason: "停电抢修"}, PhaseConcluded},
		{"the street lets a unit go", isOnSite, by(desker, release), UnitReleased{Unit: agency, At: minute(2)}, PhaseOnSite},
		{"the street finds that a unit had gone", isOnSite, by(desker, ReleaseUnit{Unit: agency, Left: true, Reason: "中途离场"}),
			UnitReleased{Unit: agency, At: minute(2), Left: true, Reason: "中途离场"}, PhaseOnSite},
		{"a whistle is over when everybody was let go", isReleased, by(desker, finish),
			Concluded{Outcome: finish.Outcome, At: minute(64)}, PhaseConcluded},
		{"who is not there in time is spared when it is over", isOpen, by(desker, finish),
			Concluded{Outcome: finish.Outcome, At: minute(1), Spared: []orgs.UnitCode{agency, department, utility}}, PhaseConcluded},
		{"who was excused is not spared too", when(isOpen, by(arbiter, excuse)), by(desker, finish),
			Concluded{Outcome: finish.Outcome, At: minute(2), Spared: []orgs.UnitCode{agency, utility}}, PhaseConcluded},
		{"whose time was over is absent, whether the clock said so or not", isOpen, by(desker, finish, 31*time.Minute),
			Concluded{Outcome: finish.Outcome, At: minute(31)}, PhaseConcluded},
		{"an end entered later spares as of when it was", isOpen, by(desker, finish, 40*time.Minute, ago(20*time.Minute)),
			Concluded{Outcome: finish.Outcome, At: minute(20), Spared: []orgs.UnitCode{agency, department, utility}}, PhaseConcluded},
		{"the street takes the whistle back", isOpen, by(leader, cancel), Cancelled(cancel), PhaseCancelled},
		{"the street's leader gives the cards", isConcluded, by(leader, score),
			Scored{[]Card{late, {Unit: utility, ReportIn: Absent, Comment: "未到场"}}}, PhaseScored},
		{"the clock gives cards from facts alone", isConcluded, by(clock, Score{Marks: score.Marks}, 10*day),
			Scored{[]Card{{Unit: agency, ReportIn: OnTime, Stayed: true, Unrated: true, Score: 10000}, {Unit: utility, ReportIn: Absent, Unrated: true}}}, PhaseScored},
		{"a whistle that summoned nobody in the end has no cards", when(isOpen, by(desker, finish)), by(leader, Score{}), Scored{}, PhaseScored},
		{"an upheld objection changes what was found", isScored, by(evaluator, rescore),
			Rescored{Card{Unit: utility, ReportIn: Late, Comment: "未到场", Score: 2500}, rescore.Reason}, PhaseScored},
		{"or the stay, or the street's points", isScored, by(evaluator, Rescore{Unit: agency, Stayed: ptr(false), Outcome: ptr(30), Comment: "复核", Reason: "申诉成立"}),
			Rescored{Card{Unit: agency, ReportIn: OnTime, Outcome: 30, Comment: "复核", Score: 8000}, "申诉成立"}, PhaseScored},
		{"points that an objection gives a card without any", when(isConcluded, by(clock, Score{}, 10*day)),
			by(evaluator, Rescore{Unit: agency, Outcome: ptr(15), Comment: "补评", Reason: "申诉成立"}),
			Rescored{Card{Unit: agency, ReportIn: OnTime, Stayed: true, Outcome: 15, Comment: "补评", Score: 8500}, "申诉成立"}, PhaseScored},
		{"the clock warns when three quarters of the half hour are over", isOpen, by(clock, warn, 22*time.Minute+30*time.Second),
			WarningRaised{ID: warn.ID, Clock: calendar.ReportIn, Number: 1, WarnAt: morning.Add(22*time.Minute + 30*time.Second), Due: minute(30)}, PhaseOpen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given...)
			es, err := st.Does(tt.when)
			if err != nil || len(es) != 1 {
				t.Fatalf("got %v, %v, want one event", es, err)
			}
			if !rule.Same(es[0], tt.then) && !same(es[0], tt.then) {
				t.Errorf("got  %+v\nwant %+v", es[0], tt.then)
			}
			if st.State.Phase != tt.phase {
				t.Errorf("got state %s, want %s", st.State.Phase, tt.phase)
			}
		})
	}
}

// same compares events that say when something was, which [rule.Same] compares too, but for the due instants.
func same(a, b Event) bool {
	strip := func(e Event) Event {
		if c, ends := e.(Concluded); ends {
			c.Score = calendar.Due{}
			return c
		}
		return e
	}
	return reflect.DeepEqual(strip(a), strip(b))
}

// A whistle says who is called where, for what; everybody with a clock of the own.
func TestAWhistleCallsEverybodyByAClock(t *testing.T) {
	st := given(t, by(desker, Blow{Units: blow.Units, Class: Urgent, Place: grid, Spot: blow.Spot, Task: blow.Task, Demand: demandID, Topic: topicID, Order: orderID}))
	b := st.History[0].Event.(Blown)
	if b.Street != street || b.Place != grid || b.Spot != blow.Spot || b.Task != blow.Task || b.Demand != demandID || b.Topic != topicID || b.Order != orderID || b.Class != Urgent {
		t.Errorf("got %+v", b)
	}
	for i, u := range b.Units {
		want := fmt.Sprintf("report_in/%d/0/%d", i+1, i+1)
		if u.Unit != blow.Units[i] || u.ReportIn.ID != want || u.ReportIn.Clock != calendar.ReportIn || !u.ReportIn.Due.Equal(minute(30)) {
			t.Errorf("unit %d: got %s by %s %s, want %s by %s %s", i, u.Unit, u.ReportIn.ID, u.ReportIn.Due, blow.Units[i], want, minute(30))
		}
	}
	st = given(t, by(leader, Blow{Units: blow.Units[:1], Class: Normal, Task: "联合检查"}))
	b = st.History[0].Event.(Blown)
	if d := b.Units[0].ReportIn; !d.Due.Equal(morning.Add(day)) || b.Place != street {
		t.Errorf("a normal whistle: got due %s at %s, want %s at %s", d.Due, b.Place, morning.Add(day), street)
	}
	if d := given(t, isConcluded...).State.Running; len(d) != 1 || d[0].ID != "score/1/0/4" || d[0].Due.In(calendar.Zone()).Format(time.DateTime) != "2026-03-05 23:59:59" {
		t.Errorf("to score: got %+v, want three working days", d)
	}
}

// Who may be summoned by whom.
func TestAStreetSummonsWhatWorksForItsArea(t *testing.T) {
	may := []orgs.UnitCode{agency, team, districtTeam, centre, social, property, volunteers, department, utility, cityUtility}
	tree := town()
	var all []orgs.UnitCode
	for u := range tree.All() {
		all = append(all, u.Code)
	}
	for _, u := range append(all, grid, "150199", "") {
		c := blow
		c.Units = []orgs.UnitCode{u}
		_, err := begin().Does(by(desker, c))
		if got, want := err == nil, slices.Contains(may, u); got != want {
			t.Errorf("summon %q: got accepted %v, want %v (%v)", u, got, want, err)
		}
	}
	for _, a := range []orgs.UnitCode{district, city, home, agency, grid, department, "150199", ""} {
		for _, r := range desk {
			_, err := begin().Does(by(person(r, a), blow))
			if got := ruletest.Refusal(err); got == nil || got.Code != rule.OutsideJuris {
				t.Errorf("a whistle by the %s of %q: got %v, want %s", r, a, err, rule.OutsideJuris)
			}
		}
	}
}

// Whatever is refused says which rule, in both languages, and changes nothing.
func TestWhatIsRefused(t *testing.T) {
	blowing := func(change func(*Blow)) Blow { b := blow; change(&b); return b }
	mark := func(ms ...Mark) Score { return Score{Marks: ms} }
	elsewhere := person(orgs.Dispatcher, nextStreet)
	many := make([]orgs.UnitCode, most+1)
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		code  rule.Code
		rule  string
	}{
		{"nothing happens in the future", nil, by(desker, blow, ago(-time.Second)), rule.GuardFailed, "I18"},
		{"a whistle has a class", nil, by(desker, blowing(func(b *Blow) { b.Class = "" })), rule.GuardFailed, "W1"},
		{"a whistle has a class of the list", nil, by(desker, blowing(func(b *Blow) { b.Class = "A" })), rule.GuardFailed, "W1"},
		{"a whistle has a task", nil, by(desker, blowing(func(b *Blow) { b.Task = " " })), rule.GuardFailed, "W1"},
		{"a whistle summons somebody", nil, by(desker, blowing(func(b *Blow) { b.Units = nil })), rule.GuardFailed, "W1"},
		{"a whistle does not summon everybody", nil, by(desker, blowing(func(b *Blow) { b.Units = many })), rule.GuardFailed, "W1"},
		{"a unit is summoned once", nil, by(desker, blowing(func(b *Blow) { b.Units = []orgs.UnitCode{agency, agency} })), rule.GuardFailed, "W1"},
		{"a closed unit is not summoned", nil, by(desker, blowing(func(b *Blow) { b.Units = []orgs.UnitCode{closedAgency} })), rule.GuardFailed, "W1"},
		{"another street's agency is not summoned", nil, by(desker, blowing(func(b *Blow) { b.Units = []orgs.UnitCode{farAgency} })), rule.OutsideJuris, "W1"},
		{"a place lies in the street", nil, by(desker, blowing(func(b *Blow) { b.Place = neighbour })), rule.GuardFailed, "W1"},
		{"a property firm is no place", nil, by(desker, blowing(func(b *Blow) { b.Place = property })), rule.GuardFailed, "W1"},
		{"a place exists", nil, by(desker, blowing(func(b *Blow) { b.Place = "150199" })), rule.GuardFailed, "W1"},
		{"a demand exists", nil, by(desker, blow, rule.Facts{}), rule.GuardFailed, "W1"},
		{"a demand lies in the street", nil, by(desker, blowing(func(b *Blow) { b.Demand = farID })), rule.GuardFailed, "W1"},
		{"a report stays secret", nil, by(desker, blowing(func(b *Blow) { b.Demand = reportID })), rule.GuardFailed, "W1"},
		{"so does its order", nil, by(desker, blowing(func(b *Blow) { b.Order = secretID })), rule.GuardFailed, "W1"},
		{"a topic exists", nil, by(desker, blowing(func(b *Blow) { b.Topic = self })), rule.GuardFailed, "W1"},
		{"an order lies in the street", nil, by(desker, blowing(func(b *Blow) { b.Order = elseID })), rule.GuardFailed, "W1"},

		{"who was not summoned does not report in", isOpen, by(desker, ReportIn{Unit: team}), rule.GuardFailed, "W2"},
		{"a unit reports in once", isOnSite, by(leader, arrive), rule.GuardFailed, "W2"},
		{"an excused unit does not report in", isAlone, by(desker, ReportIn{Unit: department}), rule.GuardFailed, "W2"},
		{"a unit does not report in by itself", isOpen, by(handler, arrive), rule.SecondPerson, "W2"},
		{"nobody confirms for himself", isOpen, by(handler, arrive, rule.Actor{ID: handler.ID, Role: orgs.Dispatcher, Unit: street}), rule.SecondPerson, "W2"},
		{"a colleague does not confirm", isOpen, by(handler, arrive, person(orgs.UnitHead, agency)), rule.SecondPerson, "W2"},
		{"another street does not confirm", isOpen, by(handler, arrive, elsewhere), rule.SecondPerson, "W2"},
		{"another street does not enter arrivals", isOpen, by(elsewhere, arrive), rule.OutsideJuris, "W2"},
		{"another unit does not report in for it", isOpen, by(person(orgs.Handler, utility), arrive, desker), rule.OutsideJuris, "W2"},
		{"the parent department does not report in for its agency", isOpen, by(person(orgs.Handler, department), arrive, desker), rule.OutsideJuris, "W2"},

		{"nobody marks a unit absent before its time is over", isOpen, by(clock, absent, 30*time.Minute+999*time.Millisecond), rule.GuardFailed, "I15"},
		{"nobody is warned before it is time", isOpen, by(clock, warn, 22*time.Minute+29*time.Second), rule.GuardFailed, "I15"},
		{"the clock does not score early", isConcluded, by(clock, Score{}, day), rule.GuardFailed, "I15"},

		{"an excuse has a reason", isOpen, by(arbiter, ExcuseUnit{Unit: department}), rule.GuardFailed, "W2"},
		{"who was not summoned needs no excuse", isOpen, by(arbiter, ExcuseUnit{Unit: team, Reason: "x"}), rule.GuardFailed, "W2"},
		{"who has come needs no excuse", isOnSite, by(arbiter, ExcuseUnit{Unit: agency, Reason: "x"}), rule.GuardFailed, "W2"},
		{"who was excused needs no other excuse", isAlone, by(arbiter, ExcuseUnit{Unit: department, Reason: "x"}), rule.GuardFailed, "W2"},
		{"who is spared needs no excuse", when(isOpen, by(desker, finish)), by(arbiter, excuse), rule.GuardFailed, "W2"},
		{"nobody excuses the own unit", isOpen, by(person(orgs.Arbiter, department), excuse), rule.SameUnit, "I2"},
		{"a department does not excuse its agency", isOpen, by(person(orgs.Arbiter, department), ExcuseUnit{Unit: agency, Reason: "x"}), rule.SameUnit, "I2"},
		{"another district's arbiter excuses nobody here", isOpen, by(person(orgs.Arbiter, nextDistrict), excuse), rule.OutsideJuris, "W2"},

		{"who was not summoned is not let go", isOnSite, by(desker, ReleaseUnit{Unit: team}), rule.GuardFailed, "W3"},
		{"who has not come is not let go", isOnSite, by(desker, ReleaseUnit{Unit: utility}), rule.GuardFailed, "W3"},
		{"nobody is let go twice", when(isOnSite, by(desker, release)), by(leader, release), rule.GuardFailed, "W3"},
		{"that a unit had gone needs an account", isOnSite, by(desker, ReleaseUnit{Unit: agency, Left: true}), rule.GuardFailed, "W3"},
		{"another street lets nobody go", isOnSite, by(elsewhere, release), rule.OutsideJuris, "W3"},
		{"while somebody is there it is not over", isAlone, by(desker, finish), rule.GuardFailed, "W3"},
		{"an end has an outcome", isReleased, by(desker, Conclude{}), rule.GuardFailed, "W3"},
		{"another street does not end it", isReleased, by(elsewhere, finish), rule.OutsideJuris, "W3"},

		{"taking back needs a reason", isOpen, by(leader, Cancel{}), rule.GuardFailed, "W4"},
		{"another street does not take it back", isOpen, by(person(orgs.StreetLeader, nextStreet), cancel), rule.OutsideJuris, "W4"},
		{"once somebody has come it is not taken back", isOnSite, by(leader, cancel), rule.WrongState, "M1"},

		{"another street gives no cards", isConcluded, by(person(orgs.StreetLeader, nextStreet), score), rule.OutsideJuris, "W5"},
		{"everybody gets a card", isConcluded, by(leader, mark(score.Marks[0])), rule.GuardFailed, "W5"},
		{"who was excused gets none", isConcluded, by(leader, mark(score.Marks[0], score.Marks[1], Mark{department, 9, "x"})), rule.GuardFailed, "W5"},
		{"who was not summoned gets none", isConcluded, by(leader, mark(score.Marks[0], score.Marks[1], Mark{team, 9, "x"})), rule.GuardFailed, "W5"},
		{"nobody is rated twice", isConcluded, by(leader, mark(score.Marks[0], score.Marks[0], score.Marks[1])), rule.GuardFailed, "W5"},
		{"an outcome has at most 30 points", isConcluded, by(leader, mark(Mark{agency, 31, "x"}, score.Marks[1])), rule.GuardFailed, "W5"},
		{"an outcome has no points below 0", isConcluded, by(leader, mark(Mark{agency, -1, "x"}, score.Marks[1])), rule.GuardFailed, "W5"},
		{"points have a comment", isConcluded, by(leader, mark(Mark{agency, 30, " "}, score.Marks[1])), rule.GuardFailed, "W5"},

		{"a changed card has a reason", isScored, by(evaluator, Rescore{Unit: utility, ReportIn: Late}), rule.GuardFailed, "W5"},
		{"who has no card gets no other", isScored, by(evaluator, Rescore{Unit: department, ReportIn: Late, Reason: "x"}), rule.GuardFailed, "W5"},
		{"who was not summoned has no card", isScored, by(evaluator, Rescore{Unit: team, ReportIn: Late, Reason: "x"}), rule.GuardFailed, "W5"},
		{"a changed card is another one", isScored, by(evaluator, Rescore{Unit: utility, ReportIn: Absent, Reason: "x"}), rule.GuardFailed, "W5"},
		{"a card says on time, late or absent", isScored, by(evaluator, Rescore{Unit: utility, ReportIn: Excused, Reason: "x"}), rule.GuardFailed, "W5"},
		{"who was absent did not stay", isScored, by(evaluator, Rescore{Unit: utility, Stayed: ptr(true), Reason: "x"}), rule.GuardFailed, "W5"},
		{"changed points are within bounds too", isScored, by(evaluator, Rescore{Unit: agency, Outcome: ptr(31), Reason: "x"}), rule.GuardFailed, "W5"},
		{"changed points have a comment too", when(isConcluded, by(clock, Score{}, 10*day)), by(evaluator, Rescore{Unit: agency, Outcome: ptr(9), Reason: "x"}), rule.GuardFailed, "W5"},
		{"nobody judges the own unit", isScored, by(person(orgs.Evaluator, utility), rescore), rule.SameUnit, "I2"},
		{"a department does not judge its agency", isScored, by(person(orgs.Evaluator, department), Rescore{Unit: agency, ReportIn: Late, Reason: "x"}), rule.SameUnit, "I2"},
		{"another district's evaluator judges nobody here", isScored, by(person(orgs.Evaluator, nextDistrict), rescore), rule.OutsideJuris, "W5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given(t, tt.given...).Refuses(t, Machine, tt.when, tt.code, tt.rule)
		})
	}
}

// A joint team is one body with its members: none of them judges it.
func TestAMemberDoesNotJudgeItsTeam(t *testing.T) {
	st := given(t, by(desker, Blow{Units: []orgs.UnitCode{team}, Class: Normal, Task: "整治"}))
	for _, u := range []orgs.UnitCode{team, agency, department} {
		if _, err := st.Does(by(person(orgs.Arbiter, u), ExcuseUnit{Unit: team, Reason: "x"})); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Code != rule.SameUnit {
			t.Errorf("excused by %s: got %v, want %s", u, err, rule.SameUnit)
		}
	}
}

// §7.3: report-in 50 on time, 25 late, 0 absent; stayed 20; outcome 0 to 30. Without points of the street the rest is
// scaled to 100, exactly, and rounded half up, once.
func TestTheFiguresOfACard(t *testing.T) {
	for _, tt := range []struct {
		card Card
		want int
	}{
		{Card{ReportIn: Late, Stayed: true, Outcome: 24}, 6900}, // the example of the rule book
		{Card{ReportIn: OnTime, Stayed: true, Outcome: 30}, 10000},
		{Card{ReportIn: OnTime, Outcome: 30}, 8000},
		{Card{ReportIn: OnTime, Stayed: true}, 7000},
		{Card{ReportIn: Absent}, 0},
		{Card{ReportIn: Absent, Outcome: 7}, 700},
		{Card{ReportIn: OnTime, Stayed: true, Unrated: true}, 10000}, // 70/70
		{Card{ReportIn: Late, Stayed: true, Unrated: true}, 6429},    // 45/70 = 64.2857…
		{Card{ReportIn: OnTime, Unrated: true}, 7143},                // 50/70 = 71.4285…
		{Card{ReportIn: Late, Unrated: true}, 3571},                  // 25/70 = 35.7142…
		{Card{ReportIn: Absent, Unrated: true}, 0},
	} {
		if got := tt.card.scored().Score; got != tt.want {
			t.Errorf("%+v: got %d, want %d hundredths", tt.card, got, tt.want)
		}
	}
}

// The example of the rule book, through the commands: late, stayed, outcome 24.
func TestLateStayedOutcome24Is69(t *testing.T) {
	st := given(t, by(desker, blow), by(desker, arrive, 45*time.Minute), by(clock, absent), by(clock, MarkAbsent{ID: "report_in/2/0/2"}),
		by(desker, release), by(desker, finish), by(leader, Score{Marks: []Mark{{agency, 24, "及时补位"}, {department, 0, "未到"}, {utility, 0, "未到"}}}))
	if u, _ := st.State.Unit(agency); u.Card == nil || u.Card.Score != 6900 || u.Standing() != Late {
		t.Errorf("got %+v, want a card of 69.00 for a unit that was late", u.Card)
	}
}

// The clock decides nothing once its time has passed over: no alarm is carried out twice, and none for who has come.
func TestTheClockHasNothingToSayAnyMore(t *testing.T) {
	for name, tt := range map[string]struct {
		given []step
		what  Command
	}{
		"the unit came":                {isOnSite, MarkAbsent{ID: "report_in/1/0/1"}},
		"the unit was excused":         {isAlone, MarkAbsent{ID: "report_in/2/0/2"}},
		"it was marked before":         {isReleased, absent},
		"there is no such due instant": {isOpen, MarkAbsent{ID: "report_in/9/0/9"}},
		"the warning came too late":    {isOnSite, RaiseWarning{ID: "report_in/1/0/1"}},
		"a warning was given":          {when(isOpen, by(clock, warn, time.Hour)), warn},
	} {
		if es, err := given(t, tt.given...).Does(by(clock, tt.what, 2*time.Hour)); err != nil || len(es) > 0 {
			t.Errorf("%s: got %v, %v, want nothing", name, es, err)
		}
	}
}

// A later arrival leaves the absence standing, in the log and in the state; it is late, and gets a card as such.
func TestAnArrivalLeavesTheAbsenceStanding(t *testing.T) {
	st := given(t, by(desker, blow), by(clock, MarkAbsent{ID: "report_in/1/0/1"}, time.Hour), by(desker, arrive))
	u, _ := st.State.Unit(agency)
	if !u.Absent || !u.Late || u.Standing() != Late || slices.Contains(running(st.State), u.Due.ID) {
		t.Errorf("got %+v, running %v", u, running(st.State))
	}
	// Who was there in time, and was entered after the clock had spoken, was on time (rule I18).
	st = given(t, by(desker, blow), by(clock, MarkAbsent{ID: "report_in/1/0/1"}, time.Hour), by(desker, arrive, time.Minute, ago(50*time.Minute)))
	if u, _ := st.State.Unit(agency); !u.Absent || u.Late || u.Standing() != OnTime {
		t.Errorf("entered later: got %+v, %s", u, u.Standing())
	}
}

// A state says what lists and files show.
func TestWhatAStateShows(t *testing.T) {
	st := given(t, isScored...)
	got := st.State
	got.last, got.lastStamp, got.before = nil, rule.Stamp{}, nil
	due := func(i int) calendar.Due { return st.History[0].Event.(Blown).Units[i].ReportIn }
	cards := st.History[len(st.History)-1].Event.(Scored).Cards
	want := State{
		ID: self, Phase: PhaseScored, Street: street, Class: Urgent, Place: home, Spot: blow.Spot, Task: blow.Task, Demand: demandID,
		Units: []Unit{
			{Code: agency, Due: due(0), ReportedAt: minute(1), ReleasedAt: minute(63), Card: &cards[0]},
			{Code: department, Due: due(1), Excused: true},
			{Code: utility, Due: due(2), Absent: true, Card: &cards[1]},
		},
		Outcome: finish.Outcome, BlownAt: minute(0), ConcludedAt: minute(64), EndedAt: minute(65), Since: minute(65), Dues: 4,
		Fired: rule.Firings{{ID: absent.ID, Expired: true}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for phase, steps := range map[Standing][]step{Awaited: isOpen, Void: isCancelled, Spared: when(isOpen, by(desker, finish)), Absent: when(isOpen, by(desker, finish, time.Hour))} {
		if u, _ := given(t, steps...).State.Unit(agency); u.Standing() != phase {
			t.Errorf("got %s, want %s", u.Standing(), phase)
		}
	}
	if u, _ := given(t, when(isScored, by(evaluator, rescore))...).State.Unit(utility); u.Standing() != Late {
		t.Errorf("after an objection: got %s, want %s", u.Standing(), Late)
	}
}

// What the calendar can not answer is an error that names the whistle, and no refusal.
func TestACalendarThatDoesNotReachIsAnError(t *testing.T) {
	p := calendar.DefaultPolicy()
	p.Missing = calendar.RefuseUncertain
	blind := calendar.Rules{Calendar: calendar.China().Without(2026), Policy: p}
	es, err := given(t, isReleased...).Does(by(desker, finish, blind))
	if !errors.Is(err, calendar.ErrUnknownYear) || ruletest.Refusal(err) != nil || len(es) > 0 || !strings.Contains(fmt.Sprint(err), self.String()) {
		t.Errorf("got %v, %v, want %v about %s", es, err, calendar.ErrUnknownYear, self)
	}
	none := *calendar.DefaultPolicy()
	none.Rows = nil
	if es, err := begin().Does(by(desker, blow, calendar.Rules{Calendar: calendar.China(), Policy: &none})); !errors.Is(err, calendar.ErrNoAmount) || len(es) > 0 {
		t.Errorf("got %v, %v, want %v", es, err, calendar.ErrNoAmount)
	}
}

// A whistle asks for what it names when it is blown, and for nothing later.
func TestNeeds(t *testing.T) {
	for _, c := range commands {
		var want rule.Refs
		if c.Name() == "blow" {
			want.Demands = []stream.ID{demandID}
		}
		if got := Needs(State{}, c); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", c.Name(), got, want)
		}
	}
	want := rule.Refs{Topics: []stream.ID{topicID}, Orders: []stream.ID{orderID}}
	if got := Needs(State{}, Blow{Topic: topicID, Order: orderID}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A whistle holds no personal data: what it says is public.
func TestNothingIsSealed(t *testing.T) {
	for _, e := range []any{&Blown{Task: "x"}, &Concluded{}, &Scored{Cards: []Card{{}}}, &Rescored{}, &UnitReleased{}, &UnitExcused{}, &Cancelled{}} {
		if fs := sealed.Fields(e); len(fs) > 0 {
			t.Errorf("%T: got sealed %v", e, fs)
		}
	}
}
