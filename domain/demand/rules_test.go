package demand

import (
	"errors"
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

// newOrder is the fast track to an order of its own.
func newOrder(reason Reason, lead orgs.UnitCode, cos ...orgs.UnitCode) FastTrack {
	return FastTrack{Reason: reason, Route: Route{Order: &NewOrder{Lead: lead, CoUnits: cos}}}
}

var (
	mediate    = FastTrack{Reason: ReasonDispute, Route: Route{Dispute: 1}}
	isReopened = when(isClosed, by(resident, Reopen{Reason: sealed.Clear("又不热了")}))
	isUrgent   = ofKind(Errand, "A")
)

// patrol is what the system found.
var patrol = change(raise, func(c *Raise) { c.Channel, c.Reporter, c.External = "patrol", Reporter{}, "" })

// imported is taken over from an older system.
var imported = change(raise, func(c *Raise) { c.Channel, c.Imported = "import", true })

func TestWhatTheRulesAllow(t *testing.T) {
	tests := []struct {
		name  string
		given []step
		when  step
		then  Event // what is computed for it, dues and windows, is compared in another test
		phase Phase
	}{
		{"D1: a resident raises a demand", nil, by(resident, raise),
			Raised{Kind: Issue, Channel: "wechat", External: "w-1", Text: words, Reporter: raise.Reporter, Grid: grid, Unit: home}, PhaseRaised},
		{"D1: a grid worker enters it for a resident, anywhere in the street", nil,
			by(worker, change(raise, func(c *Raise) { c.Grid, c.Unit = "", neighbour })),
			Raised{Kind: Issue, Channel: "wechat", External: "w-1", OnBehalf: true, Text: words, Reporter: raise.Reporter, Unit: neighbour}, PhaseRaised},
		{"D1: a clerk of the hotline enters it for the whole district", nil,
			by(rule.Actor{ID: "k-hot", Role: orgs.Clerk, Unit: hotline}, change(raise, func(c *Raise) { c.Grid, c.Unit = farGrid, far })),
			Raised{Kind: Issue, Channel: "wechat", External: "w-1", OnBehalf: true, Text: words, Reporter: raise.Reporter, Grid: farGrid, Unit: far}, PhaseRaised},
		{"D1: a patrol's finding has nobody behind it and is nobody's behalf", nil, by(manager, patrol),
			Raised{Kind: Issue, Channel: "patrol", Text: words, Grid: grid, Unit: home}, PhaseRaised},
		{"D1: what is not known to lie in a grid is held by a unit", nil,
			by(wechat, change(raise, func(c *Raise) { c.Grid, c.Unit = "", street })),
			Raised{Kind: Issue, Channel: "wechat", External: "w-1", OnBehalf: true, Text: words, Reporter: raise.Reporter, Unit: street}, PhaseRaised},
		{"D1: late by thirty days is not too late", nil, by(worker, raise, happened(30*day)),
			Raised{Kind: Issue, Channel: "wechat", External: "w-1", OnBehalf: true, Text: words, Reporter: raise.Reporter, Grid: grid, Unit: home}, PhaseRaised},
		{"D1: an older system's demand may be years old", nil, by(wechat, imported, happened(900*day)),
			Raised{Kind: Issue, Channel: "import", External: "w-1", OnBehalf: true, Imported: true, Text: words, Reporter: raise.Reporter, Grid: grid, Unit: home}, PhaseRaised},
		{"R25: the child of a split carries no words of its own", nil,
			by(manager, Raise{Kind: Errand, Channel: "wechat", Unit: home, SplitFrom: otherTID, SplitNo: 2}),
			Raised{Kind: Errand, Channel: "wechat", OnBehalf: true, Unit: home, SplitFrom: otherTID, SplitNo: 2}, PhaseRaised},

		{"D2: the clerk decides kind, matter, urgency and community", isRaised, by(clerk, accept),
			Accepted{Kind: Issue, Matter: "heating", Urgency: "C", Unit: home, Grid: grid, Summary: "暖气不热"}, PhaseAccepted},

		{"D3: a consult is answered on the spot", isRaised, by(clerk, spot),
			AnsweredOnTheSpot{Kind: Consult, Outcome: Explained, Summary: "已解释", Answer: spot.Answer, Waiver: "on_the_spot"}, PhaseAnswered},
		{"D3: the grid's own worker settles an errand", isRaised,
			by(worker, change(spot, func(c *AnswerOnTheSpot) { c.Kind, c.Outcome = Errand, Resolved })),
			AnsweredOnTheSpot{Kind: Errand, Outcome: Resolved, Summary: "已解释", Answer: spot.Answer, Waiver: "on_the_spot"}, PhaseAnswered},
		{"D3: a dispute is settled with a signed agreement", []step{by(resident, change(raise, func(c *Raise) { c.Kind = Dispute }))},
			by(clerk, change(spot, func(c *AnswerOnTheSpot) {
				c.Kind, c.Agreement = "", "ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12"
			})),
			AnsweredOnTheSpot{Kind: Dispute, Outcome: Explained, Summary: "已解释", Answer: spot.Answer, Agreement: "ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12", Waiver: "on_the_spot"}, PhaseAnswered},

		{"D4: two people decline, and say where to go instead", isRaised, by(clerk, wrong, secretary),
			Declined{Reason: "litigation", Citation: wrong.Citation, Instead: wrong.Instead}, PhaseDeclined},
		{"D6: the clerk withdraws it once the resident confirmed", isHandled, by(clerk, Withdraw{Confirmed: "phone"}),
			Withdrawn{Confirmed: "phone"}, PhaseWithdrawn},
		{"D6: a channel withdraws what it brought in", []step{by(farWechat, raise)}, by(farWechat, Withdraw{Confirmed: "written"}),
			Withdrawn{Confirmed: "written"}, PhaseWithdrawn},
		{"D7: the convenor links it to a topic of the street", isAccepted, by(convenor, link, topics(heating)),
			LinkedToTopic{Topic: topicID}, PhaseInTopic},
		{"D7: the process manager relinks it even to a topic that has ended", isAccepted, by(manager, link, topics(concluded)),
			LinkedToTopic{Topic: topicID}, PhaseInTopic},

		{"D8: an errand goes to the own grid", ofKind(Errand, "C"), by(clerk, newOrder(ReasonErrand, grid.Unit())),
			FastTracked{Reason: ReasonErrand, Route: Route{Order: &NewOrder{Lead: grid.Unit()}}}, PhaseInHandling},
		{"D8: a consult goes to an agency with a co-unit", ofKind(Consult, "D"), by(dispatcher, newOrder(ReasonConsult, agency, home)),
			FastTracked{Reason: ReasonConsult, Route: Route{Order: &NewOrder{Lead: agency, CoUnits: []orgs.UnitCode{home}}}}, PhaseInHandling},
		{"D8: a report stays confidential", ofKind(Report, "C"), by(dispatcher, newOrder(ReasonConfidential, agency)),
			FastTracked{Reason: ReasonConfidential, Route: Route{Order: &NewOrder{Lead: agency}}}, PhaseInHandling},
		{"D8: a dispute goes to mediation", ofKind(Dispute, "C"), by(clerk, mediate),
			FastTracked{Reason: ReasonDispute, Route: Route{Dispute: 1}}, PhaseInHandling},
		{"D8: what is urgent waits for no deliberation", isUrgent, by(clerk, newOrder(ReasonUrgent, grid.Unit())),
			FastTracked{Reason: ReasonUrgent, Route: Route{Order: &NewOrder{Lead: grid.Unit()}}}, PhaseInHandling},
		{"D8: a joint team names its competent member", isAccepted,
			by(dispatcher, FastTrack{Reason: ReasonStatutory, Citation: "条例第八条", Route: Route{Order: &NewOrder{Lead: jointTeam, Competent: agency}}}),
			FastTracked{Reason: ReasonStatutory, Citation: "条例第八条", Route: Route{Order: &NewOrder{Lead: jointTeam, Competent: agency}}}, PhaseInHandling},
		{"D8: the same matter joins the order that handles it", isAccepted, by(clerk, join, orders(pipes)),
			FastTracked{Reason: ReasonSameMatter, Route: Route{Join: orderID}}, PhaseInHandling},
		{"D8: a reopened demand joins the closed order that is reopened for it", isReopened,
			by(dispatcher, FastTrack{Reason: ReasonReopened, Route: Route{Join: otherOID}}, orders(valves)),
			FastTracked{Reason: ReasonReopened, Route: Route{Join: otherOID}}, PhaseInHandling},
		{"D8: the gate forbids a lead, not an assistant", isAccepted,
			by(dispatcher, change(newOrder(ReasonStatutory, agency, home), func(c *FastTrack) { c.Citation = "条例" }), lists{"heating", true}),
			FastTracked{Reason: ReasonStatutory, Citation: "条例", Route: Route{Order: &NewOrder{Lead: agency, CoUnits: []orgs.UnitCode{home}}}}, PhaseInHandling},

		{"D9: the process manager takes it out of a topic that was handed over", isInTopic,
			by(manager, UnlinkFromTopic{Reason: "并题"}, topics(handed)), UnlinkedFromTopic{Topic: topicID, Reason: "并题"}, PhaseAccepted},
		{"D10: the topic's orders handle it", isInTopic, by(manager, enter),
			EnteredHandling{Topic: topicID, Orders: []stream.ID{orderID}}, PhaseInHandling},
		{"D11: a deferred topic answers with its review date", isInTopic,
			by(manager, Answer{Outcome: Infeasible, Summary: "暂缓", ReviewOn: date("2026-06-01"), From: source}),
			Answered{Outcome: Infeasible, Summary: "暂缓", ReviewOn: date("2026-06-01"), From: source}, PhaseAnswered},
		{"D12: handling may end without a solution", isHandled, by(manager, change(answer, func(c *Answer) { c.Outcome = Infeasible })),
			Answered{Outcome: Infeasible, Summary: "已修复", From: source}, PhaseAnswered},

		{"D15: a content resident closes the demand", isAnswered, by(caller, happy, orders(verified)),
			CallbackRecorded{Result: CallbackCloses, Resolved: true, Grade: 5}, PhaseClosed},
		{"D15: grade 3 of a settled matter closes it", isAnswered, by(caller, RecordCallback{Resolved: true, Grade: 3}, orders(verified)),
			CallbackRecorded{Result: CallbackCloses, Resolved: true, Grade: 3}, PhaseClosed},
		{"D15: an unfounded complaint is closed with a reason and a second caller", isAnswered,
			by(caller, RecordCallback{Grade: 1, Reason: "超出法定范围"}, orders(verified), nextCaller),
			CallbackRecorded{Result: CallbackCloses, Grade: 1, Reason: "超出法定范围"}, PhaseClosed},
		{"D15: or with a supervisor", isAnswered,
			by(caller, RecordCallback{Resolved: true, Grade: 2, Reason: "态度问题不属实"}, orders(verified), supervisor),
			CallbackRecorded{Result: CallbackCloses, Resolved: true, Grade: 2, Reason: "态度问题不属实"}, PhaseClosed},
		{"D16: a founded complaint sends the only verified order back", isAnswered, by(caller, angry, orders(verified)),
			CallbackRecorded{Result: CallbackReworks, Grade: 1, Merit: true, Order: orderID}, PhaseInHandling},
		{"D16: settled, but badly, is founded too", isAnswered, by(caller, RecordCallback{Resolved: true, Grade: 2, Merit: true}, orders(verified)),
			CallbackRecorded{Result: CallbackReworks, Resolved: true, Grade: 2, Merit: true, Order: orderID}, PhaseInHandling},
		{"D16: of two orders one is named", isAnsweredByTwo, by(caller, change(angry, func(c *RecordCallback) { c.Order = otherOID }), orders(verified, valves)),
			CallbackRecorded{Result: CallbackReworks, Grade: 1, Merit: true, Order: otherOID}, PhaseInHandling},
		{"D17: where no order can be reworked, the community considers it anew", isAnswered, by(caller, angry, orders(cancelled)),
			CallbackRecorded{Result: CallbackReconsiders, Grade: 1, Merit: true}, PhaseAccepted},
		{"D17: nor can an order that was never verified", isAnswered, by(caller, angry, orders(pipes)),
			CallbackRecorded{Result: CallbackReconsiders, Grade: 1, Merit: true}, PhaseAccepted},
		{"D17: nor an order of somebody else's", isSpoken, by(caller, angry, orders(verified)),
			CallbackRecorded{Result: CallbackReconsiders, Grade: 1, Merit: true}, PhaseAccepted},

		{"D18: nobody calls an anonymous resident", isAnon, by(caller, WaiveCallback{Cause: "anonymous"}, orders(verified)),
			CallbackWaived{Cause: "anonymous"}, PhaseClosed},
		{"D18: nobody calls who asked not to be called", isAnon, by(caller, WaiveCallback{Cause: "do_not_call"}, orders(verified)),
			CallbackWaived{Cause: "do_not_call"}, PhaseClosed},
		{"D18: three calls that reached nobody are enough", called(3), by(manager, WaiveCallback{Cause: "unreached"}),
			CallbackWaived{Cause: "unreached"}, PhaseClosed},
		{"D18: how many calls are enough is the policy's word", called(1),
			by(caller, WaiveCallback{Cause: "unreached"}, orders(verified), policy(func(p *calendar.Policy) { p.Attempts = 1 })),
			CallbackWaived{Cause: "unreached"}, PhaseClosed},

		{"D19: the last second of the thirtieth day is in time", isClosed, by(resident, Reopen{}, untilEnd("2026-04-01")),
			Reopened{Round: 2}, PhaseAccepted},
		{"D19: the caller reopens it for the resident", isClosed, by(caller, Reopen{}), Reopened{Round: 2}, PhaseAccepted},
		{"D19: what nobody called about is reopened as well", when(isAnon, by(caller, WaiveCallback{Cause: "anonymous"}, orders(verified))),
			by(resident, Reopen{}), Reopened{Round: 2}, PhaseAccepted},
		{"D20: the street upholds an appeal", isAppealed, by(dispatcher, UpholdAppeal{Reason: "并无诉讼"}),
			AppealUpheld{Reason: "并无诉讼"}, PhaseRaised},

		{"an appeal may wait for the last second of the fifteenth day", isDeclined,
			by(resident, FileAppeal{}, untilEnd("2026-03-17")), AppealFiled{}, PhaseDeclined},
		{"the clerk takes an appeal down for the resident", isDeclined, by(clerk, FileAppeal{}), AppealFiled{}, PhaseDeclined},
		{"after an upheld appeal another decline can be said", when(isAppealed, by(dispatcher, UpholdAppeal{Reason: "并无诉讼"})),
			by(clerk, wrong, secretary), Declined{Reason: "litigation", Citation: wrong.Citation, Instead: wrong.Instead}, PhaseDeclined},
		{"a clerk enters a supporter", isRaised, by(clerk, Support{Supporters: 1}), Supported{Supporters: 1}, PhaseRaised},
		{"a tally of an older system is taken over", []step{by(wechat, imported, happened(day))},
			by(wechat, Support{Supporters: 40, Opponents: 2, Tally: true}), Supported{Supporters: 40, Opponents: 2, Tally: true}, PhaseRaised},
		{"a demand moves to the next community", isAccepted, by(clerk, Relocate{Unit: neighbour}), Relocated{Unit: neighbour}, PhaseAccepted},
		{"a demand is reclassified as a dispute before it is part of a topic", isAccepted, by(clerk, Reclassify{Kind: Dispute}), Reclassified{Kind: Dispute}, PhaseAccepted},
		{"the grade changes within seven days", isClosed, by(resident, Rerate{Grade: 2}, untilEnd("2026-03-09")), Rerated{Grade: 2}, PhaseClosed},
		{"the caller changes the grade for the resident", isClosed, by(caller, Rerate{Grade: 4, Resolved: true}, orders(verified)), Rerated{Grade: 4, Resolved: true}, PhaseClosed},
		{"news about an order starts no clock", isInTopic, by(manager, NoteProgress{From: source, State: "handling"}),
			ProgressNoted{From: source, State: "handling"}, PhaseInTopic},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given)
			es, err := st.Does(tt.when)
			if err != nil || len(es) != 1 {
				t.Fatalf("got %v, %v; want %+v", es, err, tt.then)
			}
			if !rule.Same(es[0], tt.then) {
				t.Errorf("got  %+v\nwant %+v", es[0], tt.then)
			}
			if st.State.Phase != tt.phase {
				t.Errorf("got %q, want %q", st.State.Phase, tt.phase)
			}
		})
	}
}

// called is a demand that was answered and whose resident was not reached so many times.
func called(times int) []step {
	steps := isAnswered
	for range times {
		steps = when(steps, by(nextCaller, RecordCallbackAttempt{Means: "phone"}, orders(verified), 2*time.Hour))
	}
	return steps
}

// isAnsweredByTwo was handled by two orders of its topic.
var isAnsweredByTwo = when(isInTopic,
	by(manager, change(enter, func(c *EnterHandling) { c.Orders = []stream.ID{orderID, otherOID} })), by(manager, answer))

// policy is the default policy with something about it changed.
func policy(f func(*calendar.Policy)) *calendar.Policy {
	p := calendar.DefaultPolicy()
	f(p)
	return p
}

func date(s string) calendar.Date {
	d, err := calendar.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// ending is the last second of a day in the city.
// before makes a step ten hours before a day begins.
func before(day string, s step) step {
	s.On = date(day).Start().Add(-10 * time.Hour)
	return s
}

func ending(s string) time.Time { return date(s).End() }

// untilEnd waits for the last second of a day, and most of that second too.
func untilEnd(s string) instant { return instant(ending(s).Add(999 * time.Millisecond)) }

// just after the last second of a day.
func justAfter(s string) instant { return instant(ending(s).Add(time.Second)) }

func TestWhatTheRulesRefuse(t *testing.T) {
	tests := []struct {
		name  string
		given []step
		when  step
		code  rule.Code
		rule  string
		says  string // part of the English sentence
	}{
		// D1
		{"nothing happens in the future", nil, by(resident, raise, happened(-time.Second)), rule.GuardFailed, "I18", "future"},
		{"a demand is of a known kind", nil, by(resident, change(raise, func(c *Raise) { c.Kind = "wish" })), rule.GuardFailed, "D1", `kind "wish"`},
		{"a demand comes in by a known channel", nil, by(resident, change(raise, func(c *Raise) { c.Channel = "" })), rule.GuardFailed, "D1", `channel ""`},
		{"a demand has words", nil, by(resident, change(raise, func(c *Raise) { c.Text = sealed.Text{} })), rule.GuardFailed, "D1", "no text"},
		{"a patrol's finding has no reporter", nil, by(manager, change(patrol, func(c *Raise) { c.Reporter.Name = words })), rule.GuardFailed, "D1", "no reporter"},
		{"nor a reporter's phone", nil, by(worker, change(patrol, func(c *Raise) { c.Reporter.Phone = words })), rule.GuardFailed, "D1", "no reporter"},
		{"nor a reporter's number", nil, by(worker, change(patrol, func(c *Raise) { c.Reporter.IDNumber = words })), rule.GuardFailed, "D1", "no reporter"},
		{"nor a reporter's account", nil, by(worker, change(patrol, func(c *Raise) { c.Reporter.Account = words })), rule.GuardFailed, "D1", "no reporter"},
		{"the system raises nothing but findings", nil, by(manager, raise), rule.GuardFailed, "D1", "patrol findings only"},
		{"after thirty days it is too late to be entered", nil, by(worker, raise, happened(31*day)), rule.WindowClosed, "D1", "too long ago"},
		{"only a channel imports", nil, by(clerk, imported), rule.RoleMissing, "D1", "only a channel"},
		{"the grid exists", nil, by(resident, change(raise, func(c *Raise) { c.Grid = "150105003001009" })), rule.GuardFailed, "D1", "does not exist"},
		{"the grid is in use", nil, by(resident, change(raise, func(c *Raise) { c.Grid = oldGrid })), rule.GuardFailed, "D1", "retired"},
		{"the grid belongs to the community", nil, by(resident, change(raise, func(c *Raise) { c.Unit = neighbour })), rule.GuardFailed, "D1", "does not belong"},
		{"the unit exists", nil, by(resident, change(raise, func(c *Raise) { c.Grid, c.Unit = "", "150199" })), rule.GuardFailed, "D1", "does not exist"},
		{"the unit is not closed", nil, by(resident, change(raise, func(c *Raise) { c.Grid, c.Unit = "", closedUnit })), rule.GuardFailed, "D1", "closed"},
		{"a worker enters nothing for another street", nil, by(worker, change(raise, func(c *Raise) { c.Grid, c.Unit = farGrid, far })), rule.OutsideJuris, "D1", "outside"},
		// D2
		{"the clerk accepts in the own community", isRaised, by(nextClerk, accept), rule.OutsideJuris, "D2", "outside"},
		{"and gives it to no other", isRaised, by(clerk, change(accept, func(c *Accept) { c.Grid, c.Unit = "", neighbour })), rule.OutsideJuris, "D2", "outside"},
		{"an accepted demand lies in a grid of its community", isRaised, by(clerk, change(accept, func(c *Accept) { c.Grid = farGrid })), rule.GuardFailed, "D2", "does not belong"},
		{"an accepted demand has a community", isRaised, by(rule.Actor{ID: "k", Role: orgs.Clerk, Unit: street}, change(accept, func(c *Accept) { c.Grid, c.Unit = "", street })), rule.GuardFailed, "D2", "not a community"},
		{"an accepted demand has a kind", isRaised, by(clerk, change(accept, func(c *Accept) { c.Kind = "" })), rule.GuardFailed, "D2", "kind"},
		{"an accepted demand has an urgency", isRaised, by(clerk, change(accept, func(c *Accept) { c.Urgency = "E" })), rule.GuardFailed, "D2", "urgency"},
		{"an accepted demand has a matter", isRaised, by(clerk, change(accept, func(c *Accept) { c.Matter = "" })), rule.GuardFailed, "D2", "matter"},
		{"an accepted demand has a public summary", isRaised, by(clerk, change(accept, func(c *Accept) { c.Summary = " \n" })), rule.GuardFailed, "D2", "summary"},
		// D3
		{"a worker of another grid does not answer", isRaised, by(nextWorker, spot), rule.OutsideJuris, "D3", "outside"},
		{"a clerk of another community does not answer", isRaised, by(nextClerk, spot), rule.OutsideJuris, "D3", "outside"},
		{"a worker answers nothing that lies in no grid", []step{by(resident, change(raise, func(c *Raise) { c.Grid = "" }))}, by(worker, spot), rule.OutsideJuris, "D3", "outside"},
		{"an issue is not answered on the spot", isRaised, by(clerk, change(spot, func(c *AnswerOnTheSpot) { c.Kind = "" })), rule.GuardFailed, "D3", "on the spot"},
		{"a dispute is not settled without an agreement", isRaised, by(clerk, change(spot, func(c *AnswerOnTheSpot) { c.Kind = Dispute })), rule.EvidenceMissing, "D3", "agreement"},
		{"an answer on the spot has an outcome", isRaised, by(clerk, change(spot, func(c *AnswerOnTheSpot) { c.Outcome = "done" })), rule.GuardFailed, "D3", "outcome"},
		{"an answer on the spot has words", isRaised, by(clerk, change(spot, func(c *AnswerOnTheSpot) { c.Answer = sealed.Text{} })), rule.GuardFailed, "D3", "answer is missing"},
		// D4
		{"nobody declines alone", isRaised, by(clerk, wrong), rule.SecondPerson, "D4", "another person"},
		{"the same person twice is one person", isRaised, by(clerk, wrong, rule.Actor{ID: clerk.ID, Role: orgs.CommunitySecretary, Unit: home}), rule.SecondPerson, "D4", "another person"},
		{"and one of the same community", isRaised, by(clerk, wrong, rule.Actor{ID: "s-2", Role: orgs.CommunitySecretary, Unit: neighbour}), rule.OutsideJuris, "D4", "outside the jurisdiction"},
		{"the second person is the community secretary", isRaised, by(clerk, wrong, supervisor), rule.SecondPerson, "D4", "community_secretary"},
		{"the clerk declines in the own community", isRaised, by(nextClerk, wrong, secretary), rule.OutsideJuris, "D4", "outside"},
		{"declining has a reason of the list", isRaised, by(clerk, change(wrong, func(c *Decline) { c.Reason = "busy" }), secretary), rule.GuardFailed, "D4", `"busy"`},
		{"declining rests on a citation", isRaised, by(clerk, change(wrong, func(c *Decline) { c.Citation = "" }), secretary), rule.GuardFailed, "D4", "citation"},
		{"declining says where to go", isRaised, by(clerk, change(wrong, func(c *Decline) { c.Instead = "" }), secretary), rule.GuardFailed, "D4", "where"},
		// D5, D6
		{"the clerk redirects in the own community", isRaised, by(nextClerk, Redirect{Target: "12345", Receipt: "h"}), rule.OutsideJuris, "D5", "outside"},
		{"a redirected demand has a target", isRaised, by(clerk, Redirect{Receipt: "h"}), rule.GuardFailed, "D5", "channel"},
		{"a redirected demand has a receipt there", isAccepted, by(clerk, Redirect{Target: "12345"}), rule.GuardFailed, "D5", "receipt"},
		{"a resident withdraws the own demand only", isRaised, by(stranger, Withdraw{}), rule.OutsideJuris, "D6", "another resident"},
		{"a clerk withdraws in the own community", isRaised, by(farClerk, Withdraw{Confirmed: "phone"}), rule.OutsideJuris, "D6", "outside"},
		{"a channel withdraws nothing that came in elsewhere", isRaised, by(farWechat, Withdraw{Confirmed: "phone"}), rule.OutsideJuris, "D6", "outside"},
		{"who withdraws for the resident says how it was confirmed", isInTopic, by(clerk, Withdraw{}), rule.GuardFailed, "D6", "confirmed"},
		// D7
		{"the clerk links in the own community", isAccepted, by(nextClerk, link, topics(heating)), rule.OutsideJuris, "D7", "outside"},
		{"what was answered on the spot is classified first", when(isSpoken, by(caller, angry)), by(clerk, link, topics(heating)), rule.GuardFailed, "D7", "urgency"},
		{"the topic exists", isAccepted, by(clerk, link), rule.GuardFailed, "D7", "no such topic"},
		{"a dispute belongs to no topic", ofKind(Dispute, "C"), by(clerk, link, topics(heating)), rule.GuardFailed, "D7", "never becomes part"},
		{"a report belongs to no topic", ofKind(Report, "C"), by(manager, link, topics(heating)), rule.GuardFailed, "D7", "never becomes part"},
		{"the topic is the community's or of a unit above", isAccepted, by(clerk, link, topics(farTopic)), rule.GuardFailed, "D7", "belongs to"},
		{"a topic that has ended takes no more demands", isAccepted, by(clerk, link, topics(concluded)), rule.GuardFailed, "D7", "ended"},
		// D8
		{"the clerk fast-tracks in the own community", isAccepted, by(nextClerk, join, orders(pipes)), rule.OutsideJuris, "D8", "outside"},
		{"what has no urgency is promised nothing", when(isSpoken, by(caller, angry)), by(clerk, join, orders(pipes)), rule.GuardFailed, "D8", "urgency"},
		{"a fast track has a reason of the list", isAccepted, by(clerk, change(join, func(c *FastTrack) { c.Reason = "" }), orders(pipes)), rule.GuardFailed, "D8", "reason"},
		{"a fast track leads somewhere", isAccepted, by(clerk, FastTrack{Reason: ReasonSameMatter}), rule.GuardFailed, "D8", "exactly one"},
		{"a fast track leads to one place", isAccepted, by(clerk, change(join, func(c *FastTrack) { c.Route.Order = &NewOrder{Lead: grid.Unit()} }), orders(pipes)), rule.GuardFailed, "D8", "exactly one"},
		{"mediation has four rungs", ofKind(Dispute, "C"), by(clerk, change(mediate, func(c *FastTrack) { c.Route.Dispute = 5 })), rule.GuardFailed, "D8", "rung"},
		{"and none below the first", isAccepted, by(clerk, change(join, func(c *FastTrack) { c.Route.Dispute = -1 }), orders(pipes)), rule.GuardFailed, "D8", "rung"},
		{"an issue is no errand", isAccepted, by(clerk, newOrder(ReasonErrand, grid.Unit())), rule.GuardFailed, "D8", "does not fit"},
		{"an errand is no consult", ofKind(Errand, "C"), by(clerk, newOrder(ReasonConsult, grid.Unit())), rule.GuardFailed, "D8", "does not fit"},
		{"an issue is no dispute", isAccepted, by(clerk, mediate), rule.GuardFailed, "D8", "does not fit"},
		{"an issue is no report", isAccepted, by(clerk, newOrder(ReasonConfidential, grid.Unit())), rule.GuardFailed, "D8", "does not fit"},
		{"a dispute is mediated, however urgent", ofKind(Dispute, "A"), by(clerk, newOrder(ReasonUrgent, grid.Unit())), rule.GuardFailed, "D8", "reason of its own"},
		{"a report stays a report, however urgent", ofKind(Report, "A"), by(clerk, newOrder(ReasonUrgent, grid.Unit())), rule.GuardFailed, "D8", "reason of its own"},
		{"a dispute becomes no order", ofKind(Dispute, "C"), by(clerk, newOrder(ReasonDispute, grid.Unit())), rule.GuardFailed, "D8", "mediation"},
		{"an errand is not mediated", ofKind(Errand, "C"), by(clerk, FastTrack{Reason: ReasonErrand, Route: Route{Dispute: 1}}), rule.GuardFailed, "D8", "mediation"},
		{"urgency C is not urgent", isAccepted, by(clerk, newOrder(ReasonUrgent, grid.Unit())), rule.GuardFailed, "D8", "A or B"},
		{"a statutory duty is cited", isAccepted, by(clerk, newOrder(ReasonStatutory, grid.Unit())), rule.GuardFailed, "D8", "citation"},
		{"the same matter joins an order", isAccepted, by(clerk, newOrder(ReasonSameMatter, grid.Unit())), rule.GuardFailed, "D8", "joins an order"},
		{"the first round was never reopened", isAccepted, by(clerk, newOrder(ReasonReopened, grid.Unit())), rule.GuardFailed, "D8", "never reopened"},
		{"the order to join exists", isAccepted, by(clerk, join), rule.GuardFailed, "D8", "does not exist"},
		{"the order to join was not cancelled", isAccepted, by(clerk, join, orders(cancelled)), rule.GuardFailed, "D8", "has ended"},
		{"a closed order is joined by a reopened demand only", isAccepted, by(dispatcher, FastTrack{Reason: ReasonSameMatter, Route: Route{Join: otherOID}}, orders(valves)), rule.GuardFailed, "D8", "has ended"},
		{"who may not dispatch to a unit joins none of its orders", isReopened, by(clerk, FastTrack{Reason: ReasonReopened, Route: Route{Join: otherOID}}, orders(valves)), rule.GuardFailed, "O1", "may not dispatch"},
		{"the clerk dispatches to the own grids", isUrgent, by(clerk, newOrder(ReasonUrgent, agency)), rule.GuardFailed, "O1", "may not dispatch"},
		{"the lead exists", isUrgent, by(dispatcher, newOrder(ReasonUrgent, "150199")), rule.GuardFailed, "O1", "does not exist"},
		{"a joint team without its competent member is nobody", isUrgent, by(dispatcher, newOrder(ReasonUrgent, jointTeam)), rule.GuardFailed, "O1", "member agency"},
		{"a co-unit exists", isUrgent, by(dispatcher, newOrder(ReasonUrgent, agency, "150199")), rule.GuardFailed, "O1", "co-unit"},
		{"a co-unit is open", isUrgent, by(dispatcher, newOrder(ReasonUrgent, agency, closedUnit)), rule.GuardFailed, "O1", "co-unit"},
		{"a co-unit stands once", isUrgent, by(dispatcher, newOrder(ReasonUrgent, agency, home, home)), rule.GuardFailed, "O1", "twice"},
		{"only a joint team has a competent member", isUrgent, by(dispatcher, FastTrack{Reason: ReasonUrgent, Route: Route{Order: &NewOrder{Lead: agency, Competent: agency}}}), rule.GuardFailed, "O1", "only a joint team"},
		{"an agreement is named by its hash", isRaised, by(clerk, change(spot, func(c *AnswerOnTheSpot) { c.Kind, c.Agreement = Dispute, "signed" })), rule.EvidenceMissing, "D3", "64 hexadecimal"},
		{"a co-unit is not the lead", isUrgent, by(dispatcher, newOrder(ReasonUrgent, agency, agency)), rule.GuardFailed, "O1", "co-unit"},
		{"the gate keeps matters from a grid", isUrgent, by(clerk, newOrder(ReasonUrgent, grid.Unit()), lists{"heating", true}), rule.GateBlocked, "I7", "not_borne, version 3"},
		{"the gate keeps matters from a community that assists", isUrgent, by(dispatcher, newOrder(ReasonUrgent, agency, home), lists{"heating", false}), rule.GateBlocked, "I7", "certificates"},
		// D9, D10, D11, D12, D13
		{"the clerk unlinks in the own community", isInTopic, by(nextClerk, UnlinkFromTopic{Reason: "无关"}, topics(heating)), rule.OutsideJuris, "D9", "outside"},
		{"leaving a topic has a reason", isInTopic, by(clerk, UnlinkFromTopic{}, topics(heating)), rule.GuardFailed, "D9", "say why"},
		{"nobody takes a demand out of a topic handed over", isInTopic, by(clerk, UnlinkFromTopic{Reason: "无关"}, topics(handed)), rule.GuardFailed, "D9", "handed"},
		{"another topic's handling is not this demand's", isInTopic, by(manager, change(enter, func(c *EnterHandling) { c.Topic = otherTID })), rule.GuardFailed, "D10", "another topic"},
		{"handling has an order", isInTopic, by(manager, change(enter, func(c *EnterHandling) { c.Orders = nil })), rule.GuardFailed, "D10", "no order"},
		{"a topic resolves nothing by itself", isInTopic, by(manager, answer), rule.GuardFailed, "D11", "not_adopted"},
		{"a deferred topic says until when", isInTopic, by(manager, change(answer, func(c *Answer) { c.Outcome = Infeasible })), rule.GuardFailed, "D11", "review date"},
		{"an answer has an outcome", isHandled, by(manager, change(answer, func(c *Answer) { c.Outcome = "" })), rule.GuardFailed, "D12", "outcome"},
		{"an answer has words somewhere", isHandled, by(manager, change(answer, func(c *Answer) { c.From = Source{} })), rule.GuardFailed, "D12", "text of the answer"},
		{"another topic's return is not this demand's", when(isInTopic, by(manager, enter)), by(manager, ReturnToTopic{Topic: otherTID}), rule.GuardFailed, "D13", "another topic"},
		// D15–D18
		{"a caller works for the demand's area", isAnswered, by(rule.Actor{ID: "k", Role: orgs.CallbackAgent, Unit: nextStreet}, happy, orders(verified)), rule.OutsideJuris, "D15", "outside"},
		{"a caller did not answer it on the spot", isSpoken, by(nearCaller, happy), rule.SameUnit, "D15", "handling unit"},
		{"a caller's unit did not handle it", isAnsweredOf(home), by(nearCaller, happy, orders(ledBy(home))), rule.SameUnit, "D15", "handling unit"},
		{"a grade is at least 1", isAnswered, by(caller, RecordCallback{Resolved: true}, orders(verified)), rule.GuardFailed, "D15", "1 to 5"},
		{"a grade is at most 5", isAnswered, by(caller, RecordCallback{Resolved: true, Grade: 6}, orders(verified)), rule.GuardFailed, "D15", "1 to 5"},
		{"closing against the verdict has a reason", isAnswered, by(caller, RecordCallback{Grade: 4}, orders(verified), nextCaller), rule.GuardFailed, "D15", "reason"},
		{"closing against the verdict takes two", isAnswered, by(caller, RecordCallback{Grade: 4, Reason: "不实"}, orders(verified)), rule.SecondPerson, "D15", "another person"},
		{"and the second is a caller or a supervisor", isAnswered, by(caller, RecordCallback{Grade: 4, Reason: "不实"}, orders(verified), secretary), rule.SecondPerson, "D15", "supervisor"},
		{"of two orders one must be named", isAnsweredByTwo, by(caller, angry, orders(verified, valves)), rule.GuardFailed, "D16", "name the order"},
		{"and it is one of the demand's", isAnswered, by(caller, change(angry, func(c *RecordCallback) { c.Order = otherOID }), orders(verified, valves)), rule.GuardFailed, "D16", "name the order"},
		{"two calls are not enough", called(2), by(caller, WaiveCallback{Cause: "unreached"}, orders(verified)), rule.GuardFailed, "D18", "2 calls were attempted, 3"},
		{"who gave a number is not anonymous", isAnswered, by(caller, WaiveCallback{Cause: "anonymous"}, orders(verified)), rule.GuardFailed, "D18", "may not be waived"},
		{"who did not forbid it is called", isAnswered, by(caller, WaiveCallback{Cause: "do_not_call"}, orders(verified)), rule.GuardFailed, "D18", "may not be waived"},
		{"a waiver has a cause", isAnon, by(caller, WaiveCallback{}, orders(verified)), rule.GuardFailed, "D18", "may not be waived"},
		{"who handled it does not waive the call", isAnsweredOf(home), by(nearCaller, WaiveCallback{Cause: "unreached"}, orders(ledBy(home))), rule.SameUnit, "D18", "handling unit"},
		{"who handled it does not call", isAnsweredOf(home), by(nearCaller, RecordCallbackAttempt{Means: "phone"}, orders(ledBy(home))), rule.SameUnit, "D18", "handling unit"},
		// D19, D20 and appeals
		{"a resident reopens the own demand only", isClosed, by(stranger, Reopen{}), rule.OutsideJuris, "D19", "another resident"},
		{"a clerk reopens in the own community", isClosed, by(nextClerk, Reopen{}), rule.OutsideJuris, "D19", "outside"},
		{"after thirty days a demand stays closed", isClosed, by(resident, Reopen{}, justAfter("2026-04-01")), rule.WindowClosed, "D19", "2026-04-01 23:59"},
		{"a street decides its own appeals", isAppealed, by(farDispatch, UpholdAppeal{}), rule.OutsideJuris, "D20", "outside"},
		{"the street decides, not the district", isAppealed, by(highDispatch, UpholdAppeal{}), rule.RoleMissing, "D20", "street"},
		{"nothing is upheld that nobody asked for", isDeclined, by(dispatcher, UpholdAppeal{}), rule.GuardFailed, "D20", "no appeal"},
		{"nothing is rejected that nobody asked for", isDeclined, by(dispatcher, RejectAppeal{Reason: "x"}), rule.GuardFailed, "D20", "no appeal"},
		{"rejecting an appeal has a reason", isAppealed, by(dispatcher, RejectAppeal{}), rule.GuardFailed, "D20", "reason"},
		{"a resident appeals for the own demand only", isDeclined, by(stranger, FileAppeal{}), rule.OutsideJuris, "D20", "another resident"},
		{"an appeal is filed once", isAppealed, by(resident, FileAppeal{}), rule.GuardFailed, "D20", "waiting already"},
		{"an appeal that was rejected is not filed again", when(isAppealed, by(dispatcher, RejectAppeal{Reason: "确有诉讼"})), by(resident, FileAppeal{}), rule.GuardFailed, "D20", "was rejected"},
		{"an appeal is upheld once", when(isAppealed, by(dispatcher, UpholdAppeal{}), by(clerk, wrong, secretary)), by(resident, FileAppeal{}), rule.GuardFailed, "D20", "once before"},
		{"after fifteen days a decline stands", isDeclined, by(resident, FileAppeal{}, justAfter("2026-03-17")), rule.WindowClosed, "D20", "2026-03-17 23:59"},
		// notes
		{"a supplement has words", isRaised, by(resident, Supplement{}), rule.GuardFailed, "D1", "no text"},
		{"a supplement comes from the own resident", isRaised, by(stranger, Supplement{Text: words}), rule.OutsideJuris, "D1", "another resident"},
		{"nobody supports the own demand", isRaised, by(resident, Support{Supporters: 1}), rule.GuardFailed, "D1", "own demand"},
		{"everybody supports once", when(isRaised, by(stranger, Support{Supporters: 1})), by(stranger, Support{Supporters: 1}), rule.GuardFailed, "D1", "already"},
		{"supporters are entered one by one", isRaised, by(clerk, Support{Supporters: 2}), rule.GuardFailed, "D1", "one supporter"},
		{"nobody is entered as an opponent", isRaised, by(clerk, Support{Supporters: 1, Opponents: 1}), rule.GuardFailed, "D1", "one supporter"},
		{"nobody is no supporter", isRaised, by(clerk, Support{}), rule.GuardFailed, "D1", "positive"},
		{"a tally is not negative", []step{by(wechat, imported)}, by(wechat, Support{Supporters: 3, Opponents: -1, Tally: true}), rule.GuardFailed, "D1", "positive"},
		{"a tally comes with an import", isRaised, by(wechat, Support{Supporters: 3, Tally: true}), rule.GuardFailed, "D1", "imported"},
		{"a tally is the channel's", []step{by(wechat, imported)}, by(clerk, Support{Supporters: 3, Tally: true}), rule.GuardFailed, "D1", "imported"},
		{"a clerk enters supporters in the own community", isRaised, by(nextClerk, Support{Supporters: 1}), rule.OutsideJuris, "D1", "outside"},
		{"a correction corrects something", isRaised, by(clerk, Reclassify{}), rule.GuardFailed, "D2", "nothing"},
		{"a corrected kind is known", isRaised, by(clerk, Reclassify{Kind: "wish"}), rule.GuardFailed, "D2", "kind"},
		{"a corrected urgency is known", isRaised, by(clerk, Reclassify{Urgency: "E"}), rule.GuardFailed, "D2", "urgency"},
		{"a demand in a topic becomes no dispute", isInTopic, by(clerk, Reclassify{Kind: Dispute}), rule.GuardFailed, "D7", "can not become"},
		{"a demand in a topic becomes no report", isInTopic, by(clerk, Reclassify{Kind: Report}), rule.GuardFailed, "D7", "can not become"},
		{"a clerk corrects in the own community", isRaised, by(nextClerk, Reclassify{Urgency: "B"}), rule.OutsideJuris, "D2", "outside"},
		{"a clerk moves what lies in the own community", isRaised, by(nextClerk, Relocate{Unit: neighbour}), rule.OutsideJuris, "D1", "outside"},
		{"a demand moves to a place that exists", isRaised, by(clerk, Relocate{Grid: oldGrid, Unit: home}), rule.GuardFailed, "D1", "retired"},
		{"a split has children", isAccepted, by(clerk, SplitUp{}), rule.GuardFailed, "R25", "1 to 20"},
		{"a split has at most twenty children", isAccepted, by(clerk, SplitUp{Children: make([]Child, 21)}), rule.GuardFailed, "R25", "1 to 20"},
		{"a child lies somewhere", isAccepted, by(clerk, SplitUp{Children: []Child{{Kind: Errand, Unit: "150199", Text: words}}}), rule.GuardFailed, "R25", "does not exist"},
		{"a child is of a known kind", isAccepted, by(clerk, SplitUp{Children: []Child{{Unit: home, Text: words}}}), rule.GuardFailed, "R25", "kind"},
		{"a child has words", isAccepted, by(clerk, SplitUp{Children: []Child{{Kind: Errand, Unit: home}}}), rule.GuardFailed, "R25", "text"},
		{"a clerk splits in the own community", isAccepted, by(nextClerk, notes["split"].Command), rule.OutsideJuris, "R25", "outside"},
		{"a related topic exists", isRaised, by(clerk, Relate{Topic: otherTID}), rule.GuardFailed, "D7", "no such topic"},
		{"a report is connected with nothing", ofKind(Report, "C"), by(clerk, Relate{Topic: otherTID}, topics(parking)), rule.GuardFailed, "D7", "never connected"},
		{"a topic is related once", when(isRaised, by(clerk, Relate{Topic: otherTID}, topics(parking))), by(clerk, Relate{Topic: otherTID}, topics(parking)), rule.GuardFailed, "D7", "already"},
		{"the governing topic is not a further one", isInTopic, by(clerk, Relate{Topic: topicID}, topics(heating)), rule.GuardFailed, "D7", "already"},
		{"a clerk relates in the own community", isRaised, by(nextClerk, Relate{Topic: otherTID}, topics(parking)), rule.OutsideJuris, "D7", "outside"},
		{"a resident presses for the own demand only", isAccepted, by(stranger, Urge{}), rule.OutsideJuris, "E6", "another resident"},
		{"a changed grade is at least 1", isClosed, by(resident, Rerate{}), rule.GuardFailed, "D15", "1 to 5"},
		{"a changed grade is at most 5", isClosed, by(resident, Rerate{Grade: 6}), rule.GuardFailed, "D15", "1 to 5"},
		{"after seven days a grade stays", isClosed, by(resident, Rerate{Grade: 3}, justAfter("2026-03-09")), rule.WindowClosed, "D15", "over"},
		{"where nobody called there is no grade to change", when(isAnon, by(caller, WaiveCallback{Cause: "anonymous"}, orders(verified))), by(resident, Rerate{Grade: 3}), rule.WindowClosed, "D15", "over"},
		{"a grade of the first round is not changed in the second", when(isClosed, by(resident, Reopen{}), by(clerk, join, orders(pipes)), by(manager, answer), by(nextCaller, RecordCallbackAttempt{}), by(nextCaller, RecordCallbackAttempt{}), by(nextCaller, RecordCallbackAttempt{}), by(manager, WaiveCallback{Cause: "unreached"})), by(resident, Rerate{Grade: 1}), rule.WindowClosed, "D15", "over"},
		{"a stranger changes no grade", isClosed, by(stranger, Rerate{Grade: 1}), rule.OutsideJuris, "D15", "another resident"},
		{"who handled it changes no grade", when(isAnsweredOf(home), by(caller, happy, orders(ledBy(home)))), by(nearCaller, Rerate{Grade: 5, Resolved: true}, orders(ledBy(home))), rule.SameUnit, "D15", "handling unit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given)
			before, length := st.State, len(st.History)
			es, err := st.Does(tt.when)
			r := ruletest.Refusal(err)
			if r == nil || len(es) != 0 {
				t.Fatalf("got %v, %v; want a refusal", es, err)
			}
			if r.Code != tt.code || r.Rule != tt.rule || !strings.Contains(r.Detail.En, tt.says) {
				t.Errorf("got %v, want %s (%s): … %s …", r, tt.code, tt.rule, tt.says)
			}
			if lack := ruletest.Lack(r, before.Phase, Machine); lack != "" {
				t.Error(lack)
			}
			if len(st.History) != length {
				t.Error("something was appended all the same")
			}
		})
	}
}

// ledBy is the verified order of a unit, isAnsweredOf a demand that such an order answered.
func ledBy(u orgs.UnitCode) rule.OrderFact {
	o := verified
	o.Lead, o.Bodies = u, []orgs.UnitCode{u}
	return o
}

func isAnsweredOf(u orgs.UnitCode) []step {
	return when(isAccepted, by(dispatcher, join, orders(ledBy(u))), by(manager, answer))
}

func TestAStatementRepeatedDecidesNothing(t *testing.T) {
	try := func(t *testing.T, name string, steps []step, s step) {
		t.Helper()
		st := given(t, steps)
		at := st.Meet(s)
		es, err := Decide(st.State, s.Command, at)
		if err != nil || len(es) != 1 {
			t.Fatalf("%s: got %v, %v", name, es, err)
		}
		st.Fold(at, es[0])
		at.Facts = rule.Facts{} // the streams it names may be others by now
		at.Recorded = at.Recorded.Add(time.Hour)
		if es, err := Decide(st.State, s.Command, at); es != nil || err != nil {
			t.Errorf("%s repeated: got %v, %v; want nothing", name, es, err)
		}
		at.Actor.ID += "-other"
		if es, err := Decide(st.State, s.Command, at); err == nil && len(es) == 0 {
			t.Errorf("%s by somebody else is no repeat", name)
		}
	}
	for _, r := range Machine.Rows {
		for _, from := range append(slices.Clone(r.From), "")[:max(1, len(r.From))] {
			switch r.ID {
			case "D7", "D8", "D16": // need their facts again; below
				continue
			}
			try(t, r.ID, beginning(r.ID, from), drives[r.ID])
		}
	}
	for _, n := range Machine.Notes {
		switch n.Command {
		case "relate", "raise-warning", "expire-clock", "recompute-deadline": // the clock's repeat themselves on every node; the last is asked of another due then
			continue
		}
		steps := reach[n.In[0]]
		if n.Command == "file-appeal" {
			steps = isDeclined
		}
		try(t, n.Command, steps, notes[n.Command])
	}
	for name, s := range map[string]step{"D7": drives["D7"], "D8": drives["D8"], "D16": drives["D16"], "relate": notes["relate"],
		"relocate away": by(clerk, Relocate{Unit: neighbour})} {
		steps := isAccepted
		if name == "D16" {
			steps = isAnswered
		}
		st := given(t, steps)
		at := st.Meet(s)
		for i := range 3 {
			es, err := Decide(st.State, s.Command, at)
			if err != nil || len(es) != max(0, 1-i) {
				t.Errorf("%s, time %d: got %v, %v", name, i+1, es, err)
			}
			st.Fold(at, es...)
		}
	}
}

func TestTheSameWordsAtAnotherMomentAreNoRepeat(t *testing.T) {
	st := given(t, isAccepted)
	for i := range 3 { // the third lifts it as well (E6)
		if es, err := st.Does(by(resident, Urge{})); err != nil || len(es) != 1+i/2 {
			t.Fatalf("urging %d: got %v, %v", i+1, es, err)
		}
	}
	if st.State.Urgings != 3 {
		t.Errorf("got %d urgings, want 3", st.State.Urgings)
	}
}

// sooner is a policy that gives one kind, or one urgency, an hour.
var sooner = policy(func(p *calendar.Policy) {
	hour := calendar.Amount{N: 1, Kind: calendar.NaturalHours}
	p.Rows = append(p.Rows, calendar.Row{Clock: calendar.Accept, Kind: string(Report), Urgency: calendar.Any, Amount: hour},
		calendar.Row{Clock: calendar.Triage, Kind: string(Issue), Urgency: "A", Amount: hour},
		calendar.Row{Clock: calendar.Callback, Kind: string(Errand), Urgency: calendar.Any, Amount: hour})
})

// Dues are in the city's time. 2026-03-02 is a Monday; 4 to 6 April are days off.
func TestWhatIsPromisedUntilWhen(t *testing.T) {
	tests := []struct {
		name  string
		given []step
		when  step
		want  string // id and due instant of each clock started
	}{
		{"D1: accepted by the end of the next working day", nil, by(resident, raise), "accept/1/0/1 2026-03-03 23:59:59"},
		{"D1: entered late, the clock begins with the record", nil, by(worker, raise, happened(10*day)), "accept/1/0/1 2026-03-03 23:59:59"},
		{"D1: imported, it began when it happened", nil, by(wechat, imported, happened(10*day)), "accept/1/0/1 2026-02-24 23:59:59"},
		{"D1: a policy may ask for a report to be taken on sooner", nil, by(resident, change(raise, func(c *Raise) { c.Kind = Report }), sooner), "accept/1/0/1 2026-03-02 10:00:00"},
		{"D2: a policy may ask for what is urgent to be triaged sooner", isRaised, by(clerk, change(accept, func(c *Accept) { c.Urgency = "A" }), sooner), "triage/1/0/2 2026-03-02 10:01:00"},
		{"D3: a policy may ask for an errand to be called about sooner", isRaised, by(clerk, change(spot, func(c *AnswerOnTheSpot) { c.Kind = Errand }), sooner), "callback/1/0/2 2026-03-02 10:01:00"},
		{"D2: triaged within three working days", isRaised, by(clerk, accept), "triage/1/0/2 2026-03-05 23:59:59"},
		{"D3: called back by the end of the next working day", isRaised, by(clerk, spot), "callback/1/0/2 2026-03-03 23:59:59"},
		{"D7: news within thirty days", isAccepted, by(clerk, link, topics(heating)), "topic_news/1/0/3 2026-04-01 23:59:59"},
		{"D8: urgency A is promised within two hours", isUrgent, by(clerk, newOrder(ReasonUrgent, grid.Unit())), "promise/1/0/3 2026-03-02 11:02:00"},
		{"D8: urgency B within a day", ofKind(Errand, "B"), by(clerk, newOrder(ReasonErrand, grid.Unit())), "promise/1/0/3 2026-03-03 09:02:00"},
		{"D8: urgency C within a week", isAccepted, by(clerk, join, orders(pipes)), "promise/1/0/3 2026-03-09 23:59:59"},
		{"D8: urgency D within fifteen days", ofKind(Errand, "D"), by(clerk, newOrder(ReasonErrand, grid.Unit())), "promise/1/0/3 2026-03-17 23:59:59"},
		{"D8: a dispute within sixty days, whatever its urgency", ofKind(Dispute, "A"), by(clerk, mediate), "promise/1/0/3 2026-05-01 23:59:59"},
		{"D9: triaged again", isInTopic, drives["D9"], "triage/1/0/4 2026-03-05 23:59:59"},
		{"D10: by the latest target date of the topic's orders", isInTopic, drives["D10"], "promise/1/0/4 2026-03-22 23:59:59"},
		{"D10: a target date today is still ahead", isInTopic, by(manager, change(enter, func(c *EnterHandling) { c.Latest = date("2026-03-02") })), "promise/1/0/4 2026-03-02 23:59:59"},
		{"D10: after the target date, by the next day", isInTopic, by(manager, change(enter, func(c *EnterHandling) { c.Latest = date("2026-02-20") })), "promise/1/0/4 2026-03-03 23:59:59"},
		{"D12: called back by the end of the next working day", isHandled, by(manager, answer, instant(date("2026-04-03").Start())), "callback/1/0/4 2026-04-07 23:59:59"},
		{"D13: news within thirty days", beginnings["D13"], drives["D13"], "topic_news/1/0/5 2026-04-01 23:59:59"},
		{"D14: triaged again", isHandled, drives["D14"], "triage/1/0/4 2026-03-05 23:59:59"},
		{"D15: closing promises nothing", isAnswered, drives["D15"], ""},
		{"D16: rework within fifteen working days", isAnswered, drives["D16"], "promise/1/0/5 2026-03-23 23:59:59"},
		{"D16: rework of urgency A within two hours again", when(isUrgent, by(clerk, join, orders(pipes)), by(manager, answer)), drives["D16"], "promise/1/0/5 2026-03-02 11:04:00"},
		{"D17: triaged again", isAnswered, drives["D17"], "triage/1/0/5 2026-03-05 23:59:59"},
		{"D19: triaged, in the second round", isClosed, drives["D19"], "triage/2/0/5 2026-03-05 23:59:59"},
		{"D20: accepted by the end of the next working day", isAppealed, drives["D20"], "accept/1/0/2 2026-03-03 23:59:59"},
		{"news about the governing topic restarts the wait for news", isInTopic,
			by(manager, NoteProgress{From: source, Topic: topicID}, 20*day), "topic_news/1/0/4 2026-04-21 23:59:59"},
		{"news about another topic does not", isInTopic, by(manager, NoteProgress{From: source, Topic: otherTID}, 20*day), ""},
		{"nor does news while the demand is handled", beginnings["D13"], by(manager, NoteProgress{From: source, Topic: topicID}), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given)
			es, err := st.Does(tt.when)
			if err != nil || len(es) != 1 {
				t.Fatalf("got %v, %v", es, err)
			}
			var got []string
			for _, d := range dues(es[0]) {
				got = append(got, d.ID+" "+d.Due.In(calendar.Zone()).Format(time.DateTime))
				if d.Policy != "deadline" || d.PolicyVersion != 1 || d.Calendar != calendar.China().Version() {
					t.Errorf("%s was computed with %s %d, %s", d.ID, d.Policy, d.PolicyVersion, d.Calendar)
				}
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func TestWhatIsPossibleUntilWhen(t *testing.T) {
	for name, tt := range map[string]struct {
		given []step
		when  step
		until func(Event) (got, want time.Time)
	}{
		"an appeal, fifteen days":    {isRaised, drives["D4"], func(e Event) (time.Time, time.Time) { return e.(Declined).AppealBy, ending("2026-03-17") }},
		"its decision, five working": {isDeclined, notes["file-appeal"], func(e Event) (time.Time, time.Time) { return e.(AppealFiled).DecideBy, ending("2026-03-09") }},
		"reopening, thirty days":     {isAnswered, drives["D15"], func(e Event) (time.Time, time.Time) { return e.(CallbackRecorded).ReopenBy, ending("2026-04-01") }},
		"another grade, seven days":  {isAnswered, drives["D15"], func(e Event) (time.Time, time.Time) { return e.(CallbackRecorded).RerateBy, ending("2026-03-09") }},
		"calling, seven days":        {isHandled, drives["D12"], func(e Event) (time.Time, time.Time) { return e.(Answered).ReachBy, ending("2026-03-09") }},
		"calling, on the spot":       {isRaised, drives["D3"], func(e Event) (time.Time, time.Time) { return e.(AnsweredOnTheSpot).ReachBy, ending("2026-03-09") }},
		"calling, National Day":      {isRaised, before("2026-10-01", drives["D3"]), func(e Event) (time.Time, time.Time) { return e.(AnsweredOnTheSpot).ReachBy, ending("2026-10-08") }},
		"reopening uncalled":         {isAnon, drives["D18"], func(e Event) (time.Time, time.Time) { return e.(CallbackWaived).ReopenBy, ending("2026-04-01") }},
	} {
		es, err := given(t, tt.given).Does(tt.when)
		if err != nil || len(es) != 1 {
			t.Fatalf("%s: got %v, %v", name, es, err)
		}
		if got, want := tt.until(es[0]); !got.Equal(want) {
			t.Errorf("%s: got %s, want %s", name, local(got), local(want))
		}
	}
}

// A count that may not guess is not a refusal of the rules: the calendar itself says so.
func TestWithoutTheNextYearsNoticeNothingIsPromised(t *testing.T) {
	strict := policy(func(p *calendar.Policy) { p.Missing = calendar.RefuseUncertain })
	late := instant(time.Date(2026, 12, 30, 1, 0, 0, 0, time.UTC))
	es, err := begin().Does(by(resident, raise, strict, late))
	if len(es) != 0 || !errors.Is(err, calendar.ErrUnknownYear) || ruletest.Refusal(err) != nil {
		t.Errorf("raise: got %v, %v; want %v", es, err, calendar.ErrUnknownYear)
	}
	st := given(t, isInTopic)
	es, err = st.Does(by(manager, NoteProgress{From: source, Topic: topicID},
		policy(func(p *calendar.Policy) { p.Rows = nil })))
	if len(es) != 0 || !errors.Is(err, calendar.ErrNoAmount) {
		t.Errorf("note: got %v, %v; want %v", es, err, calendar.ErrNoAmount)
	}
	if st.State.Phase != PhaseInTopic {
		t.Errorf("now %q", st.State.Phase)
	}
}

func TestACallerMustKnowEveryOrderThatEverHandledIt(t *testing.T) {
	st := given(t, isReopened, []step{by(dispatcher, FastTrack{Reason: ReasonReopened, Route: Route{Join: otherOID}}, orders(valves)), by(manager, answer)})
	for _, c := range []Command{happy, RecordCallbackAttempt{}, WaiveCallback{}, Rerate{}} {
		if got := Needs(st.State, c).Orders; !slices.Equal(got, []stream.ID{otherOID, orderID}) {
			t.Errorf("%s needs the orders %v, want %v", c.Name(), got, []stream.ID{otherOID, orderID})
		}
	}
	// The agency handles it now, the home grid did before: a caller of the community is of the grid's body.
	es, err := st.Does(by(rule.Actor{ID: "k-grid-caller", Role: orgs.CallbackAgent, Unit: home}, happy, orders(valves, ledBy(home))))
	if r := ruletest.Refusal(err); r == nil || r.Code != rule.SameUnit {
		t.Errorf("got %v, %v; want same_unit", es, err)
	}
}

func TestWhatADecisionMustKnow(t *testing.T) {
	st := given(t, isInTopic)
	for _, tt := range []struct {
		command Command
		want    rule.Refs
	}{
		{LinkToTopic{Topic: otherTID}, rule.Refs{Topics: []stream.ID{otherTID}}},
		{Relate{Topic: otherTID}, rule.Refs{Topics: []stream.ID{otherTID}}},
		{UnlinkFromTopic{}, rule.Refs{Topics: []stream.ID{topicID}}},
		{join, rule.Refs{Orders: []stream.ID{orderID}}},
		{mediate, rule.Refs{}},
		{accept, rule.Refs{}},
	} {
		got := Needs(st.State, tt.command)
		if !slices.Equal(got.Topics, tt.want.Topics) || !slices.Equal(got.Orders, tt.want.Orders) || len(got.Demands) > 0 || !got.LinkedTo.IsZero() {
			t.Errorf("%s needs %+v, want %+v", tt.command.Name(), got, tt.want)
		}
	}
}
