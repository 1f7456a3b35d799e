package order_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// alarm returns what the clock does next with the named clock, and whether it does anything.
func (d *desk) alarm(c calendar.Clock) (rule.Alarm, bool) {
	for _, a := range d.state.Alarms() {
		if strings.HasPrefix(a.ID, string(c)+"/") {
			return a, true
		}
	}
	return rule.Alarm{}, false
}

// strike carries out the next alarm of a clock at its first second, and returns what happened.
func (d *desk) strike(t testing.TB, c calendar.Clock) []order.Event {
	t.Helper()
	a, rings := d.alarm(c)
	if !rings {
		t.Fatalf("%s: no alarm in %s; there are %v", c, d.state.Phase, keys(d.state.Alarms()))
	}
	d.now = latest(d.now, a.At)
	es, err := d.try(a.Command.(order.Command), d.at(clock))
	if err != nil || len(es) == 0 {
		t.Fatalf("%s at %s: got %v, %v; want it carried out", a.Key(), d.now, types(es), err)
	}
	return es
}

// expire gives the warnings of a clock, each in its time, then its expiry.
func (d *desk) expire(t testing.TB, c calendar.Clock) []order.Event {
	t.Helper()
	for {
		if es := d.strike(t, c); event(es[0]) != "order-warning-raised" {
			return es
		}
	}
}

// sweep carries out everything that is due now, the earliest first.
func (d *desk) sweep(t testing.TB) {
	t.Helper()
	for n := 0; ; n++ {
		a, rings := rule.Earliest(d.state.Alarms())
		if !rings || a.At.After(d.now) {
			return
		}
		if es, err := d.try(a.Command.(order.Command), d.at(clock)); err != nil || len(es) == 0 || n > 100 {
			t.Fatalf("%s at %s, the %dth: got %v, %v; want it carried out", a.Key(), d.now, n+1, types(es), err)
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func keys(as []rule.Alarm) []string {
	var ks []string
	for _, a := range as {
		ks = append(ks, a.Key())
	}
	return ks
}

// rise is the escalation among some events, zero if there is none.
func rise(es []order.Event) order.Escalated {
	for _, e := range es {
		if up, is := e.(order.Escalated); is {
			return up
		}
	}
	return order.Escalated{}
}

// levels is a policy whose ladder has only these levels.
func levels(ls ...orgs.Level) *escalation.Policy {
	p := escalation.Default()
	p.Levels = slices.DeleteFunc(p.Levels, func(l escalation.Level) bool { return !slices.Contains(ls, l.Level) })
	return p
}

// to gives an order to a lead, with an urgency, by whoever may.
func to(lead orgs.UnitCode, urgency string) []step {
	c := changed(dispatch(), func(c *order.Dispatch) { c.Lead, c.Urgency = lead, urgency })
	who := dispatcher
	switch lead {
	case grid:
		who = clerk
	case bureau:
		who = person(orgs.Dispatcher, city)
	case department:
		who = districtDesk
	}
	return []step{by(who, c)}
}

// worked brings such an order to handling.
func worked(lead orgs.UnitCode, urgency string) []step {
	return join(to(lead, urgency), by(holder(lead), order.Sign{}), by(holder(lead), contact()))
}

// TestWhatAnExpiryLifts says for each clock how high the attention of an order rises when it runs out.
func TestWhatAnExpiryLifts(t *testing.T) {
	again := func(lead orgs.UnitCode) []step {
		return join(worked(lead, "C"), by(holder(lead), report()), by(verifier, pass()), by(system, rework()))
	}
	watched := by(supervisor, order.IssueSupervision{Reason: "slow"})
	helpedByStreet := []step{by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.CoUnits = []orgs.UnitCode{street} })),
		by(handler, order.Sign{}), by(handler, contact()), by(handler, order.ReleaseCoUnit{Unit: street}), by(handler, report())}
	for _, c := range []struct {
		name   string
		policy *escalation.Policy
		given  []step
		clock  calendar.Clock
		rule   string // "" = nothing rises
		from   orgs.Level
		to     orgs.Level
		unit   orgs.UnitCode
	}{
		{"E1: a grid's overdue order rises to its community", nil, worked(grid, "C"), calendar.Handle, "E1", 1, 2, community},
		{"E1: an agency's rises from its street to the district", nil, worked(agency, "C"), calendar.Handle, "E1", 3, 4, district},
		{"E1: a department's rises to the city", nil, worked(department, "C"), calendar.Handle, "E1", 4, 5, city},
		{"E1: a city bureau's has nowhere to rise", nil, worked(bureau, "C"), calendar.Handle, "", 0, 0, ""},
		{"E1: overdue rework rises too", nil, again(agency), calendar.Rework, "E1", 3, 4, district},
		{"E1: +1 is the next level that the district has", levels(1, 4, 5), worked(grid, "C"), calendar.Handle, "E1", 1, 4, district},
		{"E1: the ladder's top is the top", levels(1, 2, 3), worked(agency, "C"), calendar.Handle, "", 0, 0, ""},

		{"E4: a grid's order that nobody signed rises by one", nil, to(grid, "C"), calendar.Sign, "E4", 1, 2, community},
		{"E4: one that nobody signed stays within the street", nil, to(agency, "C"), calendar.Sign, "", 0, 0, ""},
		{"E4: a pressing one goes to the district", nil, to(agency, "A"), calendar.Sign, "E4", 3, 4, district},
		{"E4: but no further", nil, to(department, "A"), calendar.Sign, "", 0, 0, ""},
		{"E4: contact is like signing", nil, join(to(grid, "C"), by(gridWorker, order.Sign{})), calendar.Contact, "E4", 1, 2, community},
		{"E4: where the street is left out the cap is not jumped", levels(1, 4, 5), to(grid, "C"), calendar.Sign, "", 0, 0, ""},
		{"E4: the cap itself is reached", levels(1, 3, 5), to(grid, "C"), calendar.Sign, "E4", 1, 3, street},
		{"E4: a pressing one may jump to the district", levels(1, 4, 5), to(grid, "A"), calendar.Sign, "E4", 1, 4, district},

		{"E5: a return that the district did not decide goes to the city", nil, pending, calendar.ReturnDecision, "E5", 3, 5, city},
		{"E5: one of a clerk's order is the street's to decide", nil, join(to(grid, "C"), by(gridWorker, requestReturn(grid2))), calendar.ReturnDecision, "E5", 1, 4, district},
		{"E5: a problem order's is the district arbiter's", nil, bounced, calendar.ReturnDecision, "E5", 4, 5, city},
		{"E5: an order that the street did not give to another goes to the district", nil, returned, calendar.Redispatch, "E5", 3, 4, district},
		{"E5: a verification is owed by the oversight of the dispatching level", nil, reported, calendar.Verify, "E5", 3, 4, district},
		{"E5: where that helped to handle it, by the next one", nil, helpedByStreet, calendar.Verify, "E5", 3, 5, city},
		{"E5: nothing is above the city", nil, join(worked(bureau, "C"), by(holder(bureau), report())), calendar.Verify, "", 0, 0, ""},
		{"E5: a supervision that is not answered rises from the lead", nil, join(worked(grid, "C"), watched), calendar.Supervision, "E5", 1, 2, community},
		{"E5: also after the work was verified", nil, join(handled, watched, by(handler, report()), by(verifier, pass())), calendar.Supervision, "E5", 3, 4, district},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.policy = c.policy
			d.do(t, c.given...)
			lead, work := d.state.Lead, d.state.Running
			due := d.due(t, c.clock)
			for _, a := range []time.Duration{-time.Second, 0} { // within the due second a step is on time
				at := d.at(clock)
				at.Recorded = due.Due.Add(a)
				at.Occurred = at.Recorded
				if es, err := order.Decide(d.state, order.ExpireClock{ID: due.ID}, at); es != nil || refusal(t, err).Rule != "I15" {
					t.Fatalf("%s from due: got %v, %v; want it refused by I15", a, types(es), err)
				}
			}
			es := d.expire(t, c.clock)
			x, expired := es[0].(order.ClockExpired)
			if !expired || x.ID != due.ID || !x.Due.Equal(due.Due) || !d.now.Equal(due.Due.Add(time.Second)) || x.LateBy != 1 {
				t.Errorf("got %+v at %s, want %s expired a second after %s", es[0], d.now, due.ID, due.Due)
			}
			up := rise(es)
			if up.Rule != c.rule || up.From != c.from || up.To != c.to || up.Unit != c.unit {
				t.Errorf("got %s from %d to %d, %s; want %q from %d to %d, %s", up.Rule, up.From, up.To, up.Unit, c.rule, c.from, c.to, c.unit)
			}
			if c.rule != "" && (up.ID != due.ID || !up.Due.Equal(due.Due) || d.state.Attention.Level != c.to || d.state.Attention.Unit != c.unit) {
				t.Errorf("got %+v, attention %+v; want both to name %s and %s", up, d.state.Attention, due.ID, c.unit)
			}
			if d.state.Lead != lead || len(d.state.Running) != len(work) || slices.ContainsFunc(d.state.Running, func(w calendar.Due) bool {
				return !slices.ContainsFunc(work, func(o calendar.Due) bool { return o.ID == w.ID && o.Due.Equal(w.Due) })
			}) {
				t.Errorf("got lead %s and clocks %v, want attention to move and nothing else", d.state.Lead, names(d.state.Running))
			}
			if es, err := d.try(order.ExpireClock{ID: due.ID}, d.at(clock)); es != nil || err != nil {
				t.Errorf("once more: got %v, %v; want nothing", types(es), err)
			}
		})
	}
}

// TestWhatStaysOpenRisesStepByStep is rule E2.
func TestWhatStaysOpenRisesStepByStep(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy *escalation.Policy
		given  []step
		want   string // level and time after the due second of E1 and each further step
	}{
		{"a pressing order of a grid rises every hour, up to the city", nil, worked(grid, "A"), "2 at 0s, 3 at 1h0m0s, 4 at 2h0m0s, 5 at 3h0m0s"},
		{"an urgent one every half day", nil, worked(agency, "B"), "4 at 0s, 5 at 12h0m0s"},
		{"others every two working days, to the end of a day", nil, worked(agency, "C"), "4 at 0s, 5 at 48h0m0s"},
		{"levels that the district leaves out are passed over", levels(1, 3, 5), worked(grid, "A"), "3 at 0s, 5 at 1h0m0s"},
		{"at the top of the ladder there is no further step", levels(1, 2, 3), worked(grid, "A"), "2 at 0s, 3 at 1h0m0s"},
		{"an expiry that reaches the top has none", nil, worked(department, "A"), "5 at 0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.policy = c.policy
			d.do(t, c.given...)
			due := d.due(t, calendar.Handle)
			var got []string
			for es := d.expire(t, calendar.Handle); ; es = d.strike(t, calendar.Handle) {
				up := rise(es)
				got = append(got, fmt.Sprintf("%d at %s", up.To, d.now.Sub(due.Due)-time.Second))
				if up.LateBy != 1 || len(got) > 1 && (up.Rule != "E2" || up.Step != len(got)-1 || up.ID != due.ID) {
					t.Errorf("got %+v, want E2's step %d of %s", up, len(got)-1, due.ID)
				}
				a, more := d.alarm(calendar.Handle)
				if !more {
					break
				}
				if want := fmt.Sprintf("deadline/%s/step/%d", due.ID, len(got)); a.Key() != want {
					t.Errorf("got the key %s, want %s", a.Key(), want)
				}
				at := d.at(clock)
				at.Recorded = a.At.Add(-time.Second)
				if es, err := order.Decide(d.state, a.Command.(order.Command), at); es != nil || refusal(t, err).Rule != "I15" {
					t.Errorf("a second too early: got %v, %v; want I15", types(es), err)
				}
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got %s; want %s", s, c.want)
			}
			if es, err := d.attempt(by(clock, order.Escalate{ID: due.ID}).later(month)); es != nil || err != nil {
				t.Errorf("beyond the top: got %v, %v; want nothing", types(es), err)
			}
		})
	}
}

func TestAStepThatAnotherRuleHasOvertakenIsNotTaken(t *testing.T) {
	for _, top := range []orgs.Level{4, 5} {
		d := newDesk()
		d.policy = levels(1, 2, 3, 4, 5)
		d.policy.Reworks, d.policy.Problem = 1, top
		d.do(t, worked(grid, "A")...)
		handle := d.due(t, calendar.Handle)
		d.expire(t, calendar.Handle)
		d.do(t, by(gridWorker, report()), by(verifier, fail())) // E3 lifts it to the level for problems
		_, more := d.alarm(calendar.Handle)
		if d.state.Attention.Level != top || d.state.Fired.Of(handle.ID).Next.IsZero() || more != (top < 5) {
			t.Errorf("attention %+v: got a further step %v, want one below the top only", d.state.Attention, more)
		}
		es, err := d.attempt(by(clock, order.Escalate{ID: handle.ID}).later(month))
		if err != nil || len(es) > 0 != (top < 5) {
			t.Errorf("attention %+v: got %v, %v; want a step below the top only", d.state.Attention, types(es), err)
		}
	}
}

func TestALadderThatBecameShorterIsClimbedToItsOldTop(t *testing.T) {
	d := given(t, worked(agency, "A")...)
	d.expire(t, calendar.Handle)
	d.policy = levels(1, 2, 3, 4)
	if up := rise(d.strike(t, calendar.Handle)); up.From != 4 || up.To != 5 || up.Top != 5 || up.Unit != city || !up.Next.IsZero() {
		t.Errorf("got %+v, want the last step from 4 to 5: the sweep must end", up)
	}
	if _, more := d.alarm(calendar.Handle); more {
		t.Errorf("got %v, want no further step", keys(d.state.Alarms()))
	}
}

func TestReportedInTimeNothingRises(t *testing.T) {
	d := given(t, worked(agency, "A")...)
	due := d.due(t, calendar.Handle)
	d.strike(t, calendar.Handle) // the warning
	d.now = due.Due.Add(-time.Minute)
	d.do(t, by(handler, report())) // within the due second
	if es, err := d.attempt(by(clock, order.ExpireClock{ID: due.ID}).later(time.Hour)); es != nil || err != nil {
		t.Errorf("got %v, %v; want nothing: the clock does not run", types(es), err)
	}
	if d.state.Attention.Rises != 0 {
		t.Errorf("got attention %+v, want none", d.state.Attention)
	}
}

// fails sends a report back n times.
func fails(n int) []step {
	steps := handled
	for range n {
		steps = join(steps, by(handler, report()), by(verifier, fail()))
	}
	return steps
}

// rests suspends an order n times and resumes it the same day.
func rests(n int) []step {
	steps := handled
	for range n {
		steps = join(steps, by(handler, suspend(10)).confirmedBy(streetLeader), by(handler, order.Resume{}))
	}
	return steps
}

// TestProblemsRise holds rules E3 and E8 against their thresholds: in the append that meets the condition, once.
func TestProblemsRise(t *testing.T) {
	strict := escalation.Default()
	strict.Reworks, strict.Bounces, strict.Suspensions, strict.SuspendedDays, strict.Problem = 2, 2, 2, 40, 5
	onlyLow := levels(1, 2, 3)
	flagged, rises := "problem-order-flagged", "order-escalated"
	rest := by(handler, suspend(10)).confirmedBy(streetLeader)
	failed, sent := by(verifier, fail()), by(handler, report())
	bureauFails := join(worked(bureau, "C"), by(holder(bureau), report()), by(person(orgs.Verifier, oversight), fail()),
		by(holder(bureau), report()), by(person(orgs.Verifier, oversight), fail()), by(holder(bureau), report()))
	for _, c := range []struct {
		name   string
		policy *escalation.Policy
		given  []step
		when   step
		with   []string // what comes with the event
		rule   string
		to     orgs.Level
		count  int
	}{
		{"E3: the second rework is no problem", nil, join(fails(1), sent), failed, nil, "", 0, 0},
		{"E3: the third is, and rises to the district", nil, join(fails(2), sent), failed, []string{flagged, rises}, "E3", 4, 3},
		{"E3: the fourth changes nothing", nil, join(fails(3), sent), failed, nil, "", 0, 0},
		{"E3: rework after a callback counts too", nil, join(fails(2), sent, by(verifier, pass())), by(system, rework()), []string{flagged, rises}, "E3", 4, 3},
		{"E3: and reopening", nil, join(fails(2), sent, by(verifier, pass()), by(system, order.Close{Cause: "answered"})), by(streetLeader, reopen()), []string{flagged, rises}, "E3", 4, 3},
		{"E3: the threshold is the policy's", strict, join(fails(1), sent), failed, []string{flagged, rises}, "E3", 5, 2},
		{"E3: a return by a second unit is no problem", nil, second, by(propertyHandler, requestReturn(agency2)), nil, "", 0, 0},
		{"E3: by a third it is", nil, third, by(otherHandler, requestReturn(community)), []string{flagged, rises}, "E3", 4, 3},
		{"E3: or by as many as the policy says", strict, second, by(propertyHandler, requestReturn(agency2)), []string{flagged, rises}, "E3", 5, 2},
		{"E3: what stands as high is flagged and does not rise", nil, bureauFails, by(person(orgs.Verifier, oversight), fail()), []string{flagged}, "", 0, 0},
		{"E3: where the ladder ends lower it rises to its top, if it is below", onlyLow, join(fails(2), sent), failed, []string{flagged}, "", 0, 0},

		{"E8: a second suspension is nothing", nil, rests(1), rest, nil, "", 0, 0},
		{"E8: a third rises to the district", nil, rests(2), rest, []string{rises}, "E8", 4, 3},
		{"E8: a fourth changes nothing", nil, rests(3), rest, nil, "", 0, 0},
		{"E8: the threshold is the policy's", strict, rests(1), rest, []string{rises}, "E8", 5, 2},
		{"E8: eighty-nine suspended days are nothing", nil, join(handled, by(handler, suspend(90)).confirmedBy(arbiter)),
			by(handler, order.Resume{}).later(89 * 24 * time.Hour), nil, "", 0, 0},
		{"E8: ninety rise to the district", nil, join(handled, by(handler, suspend(90)).confirmedBy(arbiter)),
			by(handler, order.Resume{}).later(90 * 24 * time.Hour), []string{rises}, "E8", 4, 90},
		{"E8: together, that is", strict, join(handled, by(handler, suspend(30)).confirmedBy(streetLeader), by(handler, order.Resume{}).later(20*24*time.Hour),
			by(handler, order.Suspend{Reason: "funding", ReviewOn: calendar.DateOf(monday()) + 45}).confirmedBy(streetLeader)),
			by(handler, order.Resume{}).later(20 * 24 * time.Hour), nil, "", 0, 0}, // the second suspension had lifted it to the top already
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.policy = c.policy
			d.do(t, c.given...)
			es, err := d.attempt(c.when)
			if err != nil || len(es) == 0 || !slices.Equal(types(es[1:]), c.with) {
				t.Fatalf("got %v, %v; want %v with %s", types(es), err, c.with, c.when.what.Name())
			}
			if up := rise(es); up.Rule != c.rule || up.To != c.to || up.Count != c.count || up.ID != "" {
				t.Errorf("got %+v, want %s to %d, counted %d", up, c.rule, c.to, c.count)
			}
			if c.to > 0 && (d.state.Attention.Level != c.to || d.state.Lead != agency && len(d.state.Legs) == 1) {
				t.Errorf("got attention %+v at %s, want level %d and the lead unmoved", d.state.Attention, d.state.Lead, c.to)
			}
		})
	}
	two := newDesk() // one suspension is below the number, so only the days lift it
	two.policy = escalation.Default()
	two.policy.SuspendedDays = 40
	two.do(t, join(handled, by(handler, suspend(30)).confirmedBy(streetLeader), by(handler, order.Resume{}).later(20*24*time.Hour),
		by(handler, order.Suspend{Reason: "funding", ReviewOn: calendar.DateOf(monday()) + 45}).confirmedBy(streetLeader))...)
	if es, err := two.attempt(by(handler, order.Resume{}).later(20 * 24 * time.Hour)); err != nil || rise(es).Rule != "E8" || rise(es).Count != 40 {
		t.Errorf("E8: twice twenty days of forty: got %v, %+v, %v; want E8 with 40 counted", types(es), rise(es), err)
	}
}

func TestASuspensionEndsInTheLastSecondOfItsReviewDate(t *testing.T) {
	d := given(t, suspended...)
	review := d.due(t, calendar.SuspensionReview)
	d.strike(t, calendar.SuspensionReview)
	d.strike(t, calendar.SuspensionReview) // two warnings
	a, _ := d.alarm(calendar.SuspensionReview)
	if want := "deadline/" + review.ID + "/expiry"; a.Key() != want || a.Command != any(order.Resume{}) || !a.At.Equal(review.Due) || calendar.DateOf(a.At) != calendar.DateOf(monday())+10 {
		t.Fatalf("got %s %T at %s, want %s, a resumption, at %s", a.Key(), a.Command, a.At, want, review.Due)
	}
	d.now = a.At.Add(-time.Second)
	if _, err := d.try(order.Resume{}, d.at(clock)); refusal(t, err).Rule != "O11" {
		t.Errorf("a second before: got %v, want O11", err)
	}
	if es, err := d.attempt(by(clock, order.ExpireClock{ID: review.ID}).later(month)); es != nil || err != nil {
		t.Errorf("got %v, %v; want no expiry of a review", types(es), err)
	}
	d.now = a.At.Add(-time.Second)
	if es := d.strike(t, calendar.SuspensionReview); event(es[0]) != "order-resumed" || d.state.Phase != order.PhaseHandling || len(es) != 1 {
		t.Errorf("got %v in %s, want the order resumed", types(es), d.state.Phase)
	}
}

func TestAnExtensionThatNobodyDecidedIsRefused(t *testing.T) {
	asked := join(handled, by(handler, order.RequestExtension{Amount: 1, Reason: "parts", Told: true}))
	d := given(t, asked...)
	decision := d.due(t, calendar.ExtensionDecision)
	for a, rings := d.alarm(calendar.ExtensionDecision); rings && a.Step != "expiry"; a, rings = d.alarm(calendar.ExtensionDecision) {
		d.strike(t, calendar.ExtensionDecision)
	}
	d.now = decision.Due
	inTime := *d
	if _, err := inTime.try(order.GrantExtension{}, inTime.at(streetLeader)); err != nil {
		t.Errorf("granted within the due second: got %v, want it done", err)
	}
	for _, c := range []order.Command{order.RefuseExtension{}, order.RefuseExtension{Reason: "no"}} {
		if _, err := d.try(c, d.at(clock)); refusal(t, err).Rule != "I3" || d.state.Extension.Pending != true {
			t.Errorf("by the clock within the due second: got %v, want I3", err)
		}
	}
	a, _ := d.alarm(calendar.ExtensionDecision)
	if want := "deadline/" + decision.ID + "/expiry"; a.Key() != want || !a.At.Equal(decision.Due.Add(time.Second)) {
		t.Errorf("got %s at %s, want %s a second after %s", a.Key(), a.At, want, decision.Due)
	}
	es := d.strike(t, calendar.ExtensionDecision)
	if e, refused := es[0].(order.ExtensionRefused); !refused || len(es) != 1 || e.Reason != "逾期未批，视为不同意" || d.state.Extension.Pending {
		t.Errorf("got %+v, want the request refused for nobody decided it", es)
	}
	if es, err := d.try(order.RefuseExtension{}, d.at(clock)); es != nil || err != nil {
		t.Errorf("once more: got %v, %v; want nothing", types(es), err)
	}
	if _, err := d.attempt(by(streetLeader, order.GrantExtension{})); refusal(t, err).Rule != "I3" {
		t.Errorf("granted afterwards: got %v, want I3", err)
	}
}

// TestNothingGoesOverdueWhileAReturnIsPending: the handling clock never stops (O6, O7), but until the return is decided
// nothing is held against the unit (I4), and afterwards the machine is not called late for it.
func TestNothingGoesOverdueWhileAReturnIsPending(t *testing.T) {
	d := given(t, join(to(agency, "A"), by(handler, order.Sign{}), by(handler, requestReturn(property)).later(20*time.Minute))...)
	handle, contact := d.due(t, calendar.Handle), d.due(t, calendar.Contact)
	if es := d.strike(t, calendar.Handle); event(es[0]) != "order-warning-raised" { // half an hour before
		t.Errorf("got %v, want the warning: the clock runs", types(es))
	}
	d.now = handle.Due.Add(10 * time.Minute)
	d.sweep(t)
	for _, id := range []string{handle.ID, contact.ID} {
		if es, err := d.try(order.ExpireClock{ID: id}, d.at(clock)); es != nil || err != nil {
			t.Errorf("%s: got %v, %v; want nothing", id, types(es), err)
		}
	}
	if d.state.Attention.Rises != 0 {
		t.Errorf("got attention %+v, want none", d.state.Attention)
	}
	approved := *d
	approved.do(t, by(districtDesk, order.ApproveReturn{}))
	if slices.ContainsFunc(approved.state.Alarms(), func(a rule.Alarm) bool { return a.ID == handle.ID || a.ID == contact.ID }) {
		t.Errorf("approved: got %v, want none of the leg's clocks", keys(approved.state.Alarms()))
	}

	d.do(t, by(districtDesk, order.RefuseReturn{Reason: "it is yours"}))
	refused := d.now
	at := d.at(clock)
	if _, err := order.Decide(d.state, order.ExpireClock{ID: handle.ID}, at); refusal(t, err).Rule != "I15" {
		t.Errorf("in the second of the ruling: got %v, want I15", err)
	}
	x := d.strike(t, calendar.Handle)[0].(order.ClockExpired)
	if !x.Due.Equal(handle.Due) || x.LateBy != 1 || !d.now.Equal(refused.Add(time.Second)) || !x.Next.Equal(refused.Add(time.Hour)) {
		t.Errorf("got %+v at %s, want it overdue since %s, the machine a second late, the next step an hour after %s", x, d.now, handle.Due, refused)
	}
	c := d.strike(t, calendar.Contact)
	if x := c[0].(order.ClockExpired); x.ID != contact.ID || x.LateBy != 1 {
		t.Errorf("got %+v, want contact expired, the machine a second late", x)
	}
}

// TestStepsWaitWhileAReturnIsPending: a topic's order of one day, overdue when its unit asks to return it.
func TestStepsWaitWhileAReturnIsPending(t *testing.T) {
	topical := changed(dispatch(), func(c *order.Dispatch) { c.Topic, c.Cycle, c.Target = topicID, 1, calendar.DateOf(monday()) })
	d := given(t, by(dispatcher, topical))
	d.now = d.due(t, calendar.Handle).Due.Add(time.Second)
	d.sweep(t)
	next := d.state.Fired.Of(d.due(t, calendar.Handle).ID).Next
	if next.IsZero() {
		t.Fatal("got no further step, want one in two working days")
	}
	d.do(t, by(handler, requestReturn(property)).later(9*time.Hour))
	asked := d.now
	d.now = next.Add(5 * time.Hour)
	d.sweep(t)
	if es, err := d.try(order.Escalate{ID: d.due(t, calendar.Handle).ID}, d.at(clock)); es != nil || refusal(t, err).Code != rule.WrongState {
		t.Errorf("while it is pending: got %v, %v; want wrong_state", types(es), err)
	}
	d.do(t, by(districtDesk, order.RefuseReturn{Reason: "it is yours"}))
	if got, want := d.state.Fired.Of(d.due(t, calendar.Handle).ID).Next, next.Add(d.now.Sub(asked)); !got.Equal(want) {
		t.Errorf("got the next step at %s, want %s: as much later as the ruling took", got, want)
	}
}

func TestWhatStandsStillHasNoAlarmAndDelaysTheNextStep(t *testing.T) {
	for name, c := range map[string]struct{ stop, on step }{
		"reported": {by(handler, report()), by(verifier, fail())},
		"suspended": {by(handler, order.Suspend{Reason: "season", ReviewOn: calendar.DateOf(monday()) + 20}).confirmedBy(streetLeader),
			by(handler, order.Resume{})},
	} {
		t.Run(name, func(t *testing.T) {
			d := given(t, worked(agency, "A")...)
			handle := d.due(t, calendar.Handle)
			d.expire(t, calendar.Handle)
			next := d.state.Fired.Of(handle.ID).Next
			d.do(t, c.stop)
			if _, rings := d.alarm(calendar.Handle); rings {
				t.Errorf("got %v, want no alarm of what stands still", keys(d.state.Alarms()))
			}
			d.do(t, c.on.later(30*time.Hour))
			a, rings := d.alarm(calendar.Handle)
			if want := next.Add(30 * time.Hour); !rings || a.Step != "step/1" || !a.Due.Equal(want) || d.due(t, calendar.Handle).ID != handle.ID {
				t.Errorf("got %s at %s, want step/1 of %s at %s", a.Step, a.Due, handle.ID, want)
			}
		})
	}
	d := given(t, worked(agency, "A")...) // in time: what was left begins to count anew, with warnings of its own
	handle := d.due(t, calendar.Handle)
	d.do(t, by(handler, report()), by(verifier, fail()).later(10*time.Hour))
	again := d.due(t, calendar.Handle)
	if want := handle.Due.Add(10 * time.Hour); !again.Due.Equal(want) {
		t.Fatalf("got due %s, want %s", again.Due, want)
	}
	if a, _ := d.alarm(calendar.Handle); a.Step != "warning/1" || !a.At.Equal(again.Due.Add(-30*time.Minute)) {
		t.Errorf("got %s at %s, want a warning half an hour before %s", a.Step, a.At, again.Due)
	}
}

func TestAWarningThatLiesBeforeTheClockBeganAgainIsNotGiven(t *testing.T) {
	d := given(t, handled...)
	d.now = d.due(t, calendar.Handle).Due.Add(-30 * time.Hour) // one warning has gone out, a day is left
	d.sweep(t)
	d.do(t, by(handler, report()), by(verifier, fail()).later(time.Minute))
	if same := d.due(t, calendar.Handle); d.state.Fired.Of(same.ID).Warned != 1 {
		t.Fatalf("got %d warnings of %s, want one", d.state.Fired.Of(same.ID).Warned, same.ID)
	}
	d.do(t, by(handler, report()).later(time.Hour), by(verifier, fail()).later(100*time.Hour))
	moved := d.due(t, calendar.Handle)
	a, _ := d.alarm(calendar.Handle)
	if !moved.WarnAt[0].Before(d.now) || a.Step == "warning/1" || a.At.Before(d.now) {
		t.Errorf("warnings %v, now %s: got %s at %s, want what still lies ahead", moved.WarnAt, d.now, a.Step, a.At)
	}
}

// TestAnExtensionGrantedTooLateToHelpIsNotTheMachinesFault: the new due instant was over before anybody knew of it.
func TestAnExtensionGrantedTooLateToHelpIsNotTheMachinesFault(t *testing.T) {
	d := given(t, join(worked(agency, "A"), by(handler, order.RequestExtension{Amount: 1, Reason: "parts", Told: true}))...)
	d.do(t, by(streetLeader, order.GrantExtension{}).later(20*time.Hour))
	moved := d.due(t, calendar.Handle)
	if !moved.Due.Before(d.now) {
		t.Fatalf("got due %s, want it over at %s", moved.Due, d.now)
	}
	granted := d.now
	d.now = granted.Add(3 * time.Second)
	if x := d.strike(t, calendar.Handle)[0].(order.ClockExpired); x.LateBy != 3 || !x.Due.Equal(moved.Due) {
		t.Errorf("got %+v, want it late by the three seconds since it was granted", x)
	}
}

// TestALateMachineGivesEverythingInOrder: after an outage both warnings, the expiry and the steps come in one second.
func TestALateMachineGivesEverythingInOrder(t *testing.T) {
	d := given(t, worked(grid, "D")...)
	d.now = d.due(t, calendar.Handle).Due.Add(9 * 24 * time.Hour)
	n := len(d.history)
	d.sweep(t)
	var got []string
	for _, r := range d.history[n:] {
		got = append(got, event(r.Event))
		late := 0
		switch e := r.Event.(type) {
		case order.WarningRaised:
			late = e.LateBy
		case order.ClockExpired:
			late = e.LateBy
		case order.Escalated:
			late = e.LateBy
		}
		if late < 24*60*60 {
			t.Errorf("%T: late by %d s, want days", r.Event, late)
		}
	}
	if want := []string{"order-warning-raised", "order-warning-raised", "order-clock-expired", "order-escalated", "order-escalated", "order-escalated", "order-escalated"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if d.state.Attention.Level != 5 || d.state.Attention.Rises != 4 {
		t.Errorf("got attention %+v, want the city's after four rises", d.state.Attention)
	}
}

func TestEachSupervisionHasAlarmsOfItsOwn(t *testing.T) {
	d := given(t, join(worked(grid, "C"), by(supervisor, order.IssueSupervision{Reason: "slow"}), by(streetLeader, order.IssueSupervision{Reason: "still slow"}).later(24*time.Hour))...)
	ids := []string{d.state.Supervisions[0].Deadline, d.state.Supervisions[1].Deadline}
	d.now = d.now.AddDate(0, 0, 6) // handling is not due yet
	d.sweep(t)
	var expired []string
	for _, r := range d.history {
		if x, is := r.Event.(order.ClockExpired); is {
			expired = append(expired, x.ID)
		}
	}
	if !slices.Equal(expired, ids) || d.state.Attention.Level != 3 || d.state.Attention.Rule != "E5" {
		t.Errorf("got %v expired, attention %+v; want %v, lifted twice by E5", expired, d.state.Attention, ids)
	}
	one := given(t, join(worked(grid, "C"), by(supervisor, order.IssueSupervision{Reason: "slow"}), by(streetLeader, order.IssueSupervision{Reason: "slower"}),
		by(gridWorker, order.AnswerSupervision{Number: 1, Answer: "soon"}))...)
	if slices.ContainsFunc(one.state.Alarms(), func(a rule.Alarm) bool { return a.ID == one.state.Supervisions[0].Deadline }) {
		t.Errorf("answered: got %v, want none of the first", keys(one.state.Alarms()))
	}
	if a, rings := one.alarm(calendar.Supervision); !rings || a.ID != one.state.Supervisions[1].Deadline {
		t.Errorf("got %+v, want the second to go on", a)
	}
}

// TestTheClockDoesNotStandBetweenAPersonAndARepeat: a warning came between a report and its repetition.
func TestTheClockDoesNotStandBetweenAPersonAndARepeat(t *testing.T) {
	d := given(t, reported...)
	at := d.at(handler)
	d.now = d.due(t, calendar.Verify).WarnAt[0]
	d.sweep(t)
	if event(d.history[len(d.history)-1].Event) != "order-warning-raised" {
		t.Fatalf("got %s, want a warning", event(d.history[len(d.history)-1].Event))
	}
	if es, err := order.Decide(d.state, report(), at); es != nil || err != nil {
		t.Errorf("got %v, %v; want nothing", types(es), err)
	}
}
