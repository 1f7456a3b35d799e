package order_test

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// dues lists the due instants that an event records, those that start a clock and those that move one.
func dues(e order.Event) []calendar.Due {
	switch e := e.(type) {
	case order.Dispatched:
		return []calendar.Due{e.Sign, e.Contact, e.Handle}
	case order.Redispatched:
		return []calendar.Due{e.Sign, e.Contact, e.Handle}
	case order.ReturnRequested:
		return []calendar.Due{e.ReturnDecision}
	case order.ReturnApproved:
		return []calendar.Due{e.Redispatch}
	case order.Suspended:
		return []calendar.Due{e.Review}
	case order.Resumed:
		return []calendar.Due{e.Handle}
	case order.Reported:
		return []calendar.Due{e.Verify}
	case order.VerificationFailed:
		return []calendar.Due{e.Handle}
	case order.ReworkOrdered:
		return []calendar.Due{e.Rework}
	case order.Reopened:
		return []calendar.Due{e.Rework}
	case order.ExtensionRequested:
		return []calendar.Due{e.Decision}
	case order.ExtensionGranted:
		return []calendar.Due{e.Handle}
	case order.SupervisionIssued:
		return []calendar.Due{e.Deadline}
	case order.DeadlineRecomputed:
		return []calendar.Due{e.Clock}
	}
	return nil
}

// failing is what check needs of a test.
type failing interface {
	Helper()
	Fatalf(format string, args ...any)
}

// check holds a history against the invariants.
func check(t failing, history []recorded) {
	t.Helper()
	s := order.State{ID: stream.Derive("order", "1")}
	ids := map[string]calendar.Due{}
	var reports, passes, rounds, reworks, flags int
	returnedBy := map[orgs.UnitCode]bool{}
	for i, r := range history {
		was := s
		s = order.Evolve(s, r.Event, r.Stamp)
		what := event(r.Event)
		for _, d := range dues(r.Event) {
			if old, taken := ids[d.ID]; taken && (!old.Due.Equal(d.Due) || old.Clock != d.Clock) {
				t.Fatalf("%d %s: I15: the id %s names %s and %s", i, what, d.ID, old.Due, d.Due)
			}
			ids[d.ID] = d
		}
		switch e := r.Event.(type) {
		case order.Reported:
			reports++
		case order.VerificationPassed:
			passes++
			rounds++
			if e.Report >= int64(i) || event(history[e.Report].Event) != "handling-reported" {
				t.Fatalf("%d %s: it names revision %d as the report", i, what, e.Report)
			}
			if done := history[e.Report].Event.(order.Reported).DoneAt; !done.Equal(e.DoneAt) {
				t.Fatalf("%d %s: got done %s, want the report's %s", i, what, e.DoneAt, done)
			}
			if r.Stamp.Actor.Role == orgs.Verifier {
				for _, b := range was.Bodies() {
					if units.SameBody(r.Stamp.Actor.Unit, b) {
						t.Fatalf("%d %s: I2: %s verified the work of %s", i, what, r.Stamp.Actor.Unit, b)
					}
				}
			}
		case order.VerificationFailed, order.ReworkOrdered, order.Reopened:
			reworks++
		case order.ProblemFlagged:
			flags++
		case order.Closed:
			if reports == 0 || passes == 0 {
				t.Fatalf("%d %s: I5: closed with %d reports and %d verifications", i, what, reports, passes)
			}
		case order.ReturnRequested:
			if was.Leg().Final || slices.Contains(was.Returns, was.Lead) {
				t.Fatalf("%d %s: %s asked to return a final leg, or again", i, what, was.Lead)
			}
		case order.ReturnApproved:
			returnedBy[was.Lead] = true
		case order.Redispatched:
			if returnedBy[e.Lead] {
				t.Fatalf("%d %s: %s had returned it", i, what, e.Lead)
			}
		}
		checkLead(t, i, what, was, s)
		checkClocks(t, i, what, was, s)
		switch {
		case s.Events != int64(i+1):
			t.Fatalf("%d %s: got %d events", i, what, s.Events)
		case s.Verified != (passes > 0) || s.Reworks != reworks:
			t.Fatalf("%d %s: got verified %v, %d reworks; want %d verifications, %d reworks", i, what, s.Verified, s.Reworks, passes, reworks)
		case flags > 1 || s.Problem != (flags == 1):
			t.Fatalf("%d %s: got problem %v after %d flags", i, what, s.Problem, flags)
		case s.Round < was.Round || s.Round > was.Round+1 || len(s.Legs) < len(was.Legs):
			t.Fatalf("%d %s: round %d after %d, %d legs after %d", i, what, s.Round, was.Round, len(s.Legs), len(was.Legs))
		}
		if _, ended := s.Running.Next(); s.Phase.Terminal() && ended {
			t.Fatalf("%d %s: M4: %v run in %s", i, what, names(s.Running), s.Phase)
		}
	}
}

// checkProblem: by the default policy three of a kind make a problem order (E3).
func checkProblem(t failing, s order.State) {
	t.Helper()
	if due := s.Reworks >= 3 || len(s.Returns) >= 3; s.Problem != due {
		t.Fatalf("E3: got problem %v after %d reworks and returns by %v", s.Problem, s.Reworks, s.Returns)
	}
}

// checkLead: a live order has one lead, and it changes by redispatch and re-division only (I1).
func checkLead(t failing, i int, what string, was, s order.State) {
	t.Helper()
	if s.Lead == "" || s.Lead != s.Leg().Lead || s.By == "" {
		t.Fatalf("%d %s: I1: got lead %q, of the leg %q, by %q", i, what, s.Lead, s.Leg().Lead, s.By)
	}
	if i > 0 && s.Lead != was.Lead && what != "order-redispatched" && what != "order-reassigned" {
		t.Fatalf("%d %s: I1: the lead went from %s to %s", i, what, was.Lead, s.Lead)
	}
	if !slices.Contains(s.Bodies(), s.Lead) || !slices.Contains(s.Bodies(), cmp.Or(was.Lead, s.Lead)) {
		t.Fatalf("%d %s: I2: %v forgets %s or %s", i, what, s.Bodies(), was.Lead, s.Lead)
	}
}

// checkClocks: exactly the clocks run that the table leaves running, and a due instant moves only by the
// events that may move one (I3).
func checkClocks(t failing, i int, what string, was, s order.State) {
	t.Helper()
	leg := s.Leg()
	var want []string
	owe := func(c calendar.Clock, owed bool) {
		if owed {
			want = append(want, string(c))
		}
	}
	p := s.Phase
	toContact := !leg.NoContact && leg.ContactedAt.IsZero()
	owe(calendar.Sign, p == order.PhaseDispatched)
	owe(calendar.Contact, toContact && (p == order.PhaseDispatched || p == order.PhaseSigned || p == order.PhaseReturnPending))
	owe(s.Work(), p == order.PhaseDispatched || p == order.PhaseSigned || p == order.PhaseReturnPending || p == order.PhaseHandling)
	owe(calendar.ReturnDecision, p == order.PhaseReturnPending)
	owe(calendar.Redispatch, p == order.PhaseReturned)
	owe(calendar.SuspensionReview, p == order.PhaseSuspended)
	owe(calendar.Verify, p == order.PhaseReported)
	owe(calendar.ExtensionDecision, s.Extension.Pending)
	for _, v := range s.Supervisions {
		owe(calendar.Supervision, v.Open)
	}
	slices.Sort(want)
	if got := names(s.Running); !slices.Equal(got, want) {
		t.Fatalf("%d %s: in %s: got %v running, want %v", i, what, p, got, want)
	}
	if s.Extension.Pending && p != order.PhaseHandling {
		t.Fatalf("%d %s: a request for more time waits in %s", i, what, p)
	}
	if frozen := s.Frozen.ID != ""; frozen != (p == order.PhaseSuspended || p == order.PhaseReported) {
		t.Fatalf("%d %s: handling frozen %v in %s", i, what, frozen, p)
	}
	if len(s.Legs) != len(was.Legs) || s.Round != was.Round {
		return
	}
	before, ran := was.Running.Get(was.Work())
	if !ran {
		before = was.Frozen
	}
	after, runs := s.Running.Get(s.Work())
	if !runs {
		after = s.Frozen
	}
	switch {
	case before.ID == "" || after.ID == "" || after.Due.Equal(before.Due):
	case after.Due.Before(before.Due):
		t.Fatalf("%d %s: the due went back from %s to %s", i, what, before.Due, after.Due)
	case what != "extension-granted" && what != "order-resumed" && what != "verification-failed" && what != "deadline-recomputed":
		t.Fatalf("%d %s: I3: the due went from %s to %s", i, what, before.Due, after.Due)
	}
}

// people are those who try something in the random histories.
var people = []rule.Actor{system, dispatcher, handler, streetLeader, districtDesk, arbiter, verifier, supervisor, unitHead, resident,
	clerk, secretary, gridWorker, propertyHandler, otherHandler, teamHandler, departmentLeader, person(orgs.Dispatcher, elsewhere),
	person(orgs.Handler, community), person(orgs.Verifier, agency), person(orgs.Verifier, townWatch), person(orgs.Handler, department)}

var leads = []orgs.UnitCode{agency, agency2, team, property, community, grid, grid2, farGrid, department, bureau, "nobody"}

// anyCommand draws a command that may or may not suit the state.
func anyCommand(t *rapid.T, d *desk) order.Command {
	unit := func() orgs.UnitCode { return rapid.SampledFrom(leads).Draw(t, "unit") }
	demand := func() stream.ID { return rapid.SampledFrom([]stream.ID{d1, d2, d3, ended, unknown}).Draw(t, "demand") }
	some := func() []orgs.UnitCode {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(leads), 0, 2, rapid.ID).Draw(t, "co-units")
	}
	word := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	competent := func(lead orgs.UnitCode) orgs.UnitCode {
		if lead == team {
			return agency
		}
		return ""
	}
	cause := word("cause", "callback", "supervision")
	switch rapid.IntRange(0, 28).Draw(t, "command") {
	case 0:
		lead := unit()
		return order.Dispatch{Demands: []stream.ID{demand()}, Kind: word("kind", order.Kinds()...), Matter: "020101", Urgency: word("urgency", order.Urgencies()...),
			Lead: lead, Competent: competent(lead), CoUnits: some(), Place: community, Patrol: rapid.Bool().Draw(t, "patrol"), Anonymous: rapid.Bool().Draw(t, "anonymous")}
	case 1:
		return order.Sign{}
	case 2:
		return requestReturn(unit())
	case 3:
		return order.RefuseReturn{Reason: "yours"}
	case 4:
		return order.ApproveReturn{}
	case 5:
		lead := unit()
		return order.Redispatch{Lead: lead, Competent: competent(lead), CoUnits: some()}
	case 6:
		return order.RecordContact{Demands: []stream.ID{demand()}, Means: word("means", order.Means()...)}
	case 7:
		return order.WaiveContact{Cause: word("cause", "patrol", "anonymous", "no_demand")}
	case 8:
		return order.Suspend{Reason: word("reason", order.SuspensionReasons()...), ReviewOn: on(d, rapid.IntRange(0, 92).Draw(t, "days"))}
	case 9:
		return order.Resume{}
	case 10:
		return report()
	case 11:
		return order.PassVerification{Method: word("method", "on_site", "resident_confirmed", "sampled_out")}
	case 12:
		return fail()
	case 13:
		return order.Close{Cause: "answered"}
	case 14:
		return order.OrderRework{Cause: cause, Demand: demand(), Reason: "again"}
	case 15:
		return order.Reopen{Cause: cause, Demand: demand(), Reason: "again"}
	case 16:
		return order.Cancel{Cause: "error", Reason: "typo"}
	case 17:
		return order.ReportCoUnit{Unit: unit(), Summary: "helped"}
	case 18:
		return order.ReleaseCoUnit{Unit: unit()}
	case 19:
		return order.RequestExtension{Amount: rapid.IntRange(0, 16).Draw(t, "amount"), Reason: "parts", Told: true}
	case 20:
		return order.GrantExtension{}
	case 21:
		return order.RefuseExtension{Reason: "no"}
	case 22:
		return order.AttachDemand{Demand: demand()}
	case 23:
		return order.DetachDemand{Demand: demand()}
	case 24:
		return order.Reassign{Lead: rapid.SampledFrom([]orgs.UnitCode{"", grid, grid2, community, agency}).Draw(t, "lead"), Worker: word("worker", "", "w1", "w2")}
	case 25:
		return order.IssueSupervision{Reason: "slow"}
	case 26:
		return order.AnswerSupervision{Number: rapid.IntRange(1, 3).Draw(t, "number"), Answer: "because"}
	case 27:
		return order.NoteDemandReopened{Demand: demand(), Round: rapid.IntRange(1, 3).Draw(t, "round")}
	}
	if rapid.IntRange(0, 1).Draw(t, "rate") == 0 {
		return order.Rate{Leg: rapid.IntRange(0, 3).Draw(t, "leg"), Score: rapid.IntRange(-1, 101).Draw(t, "score"), Comment: sealed.Public(word("comment", "", "好"))}
	}
	id := "none"
	if n := len(d.state.Running); n > 0 {
		id = d.state.Running[rapid.IntRange(0, n-1).Draw(t, "clock")].ID
	}
	return order.RecomputeDeadline{ID: id, Reason: "notice"}
}

// holder is somebody who acts for a unit.
func holder(u orgs.UnitCode) rule.Actor { return person(orgs.UnitHead, u) }

// superiorOf is who rules on a return of what the unit dispatched.
func superiorOf(by orgs.UnitCode) rule.Actor {
	switch by {
	case community, community2:
		return dispatcher
	case street:
		return districtDesk
	case city:
		return arbiter
	}
	return person(orgs.Dispatcher, city)
}

// forward returns what moves the order one step towards its end, as somebody who may do it.
func forward(s order.State) step {
	switch s.Phase {
	case "":
		return by(dispatcher, dispatch())
	case order.PhaseDispatched:
		return by(holder(s.Lead), order.Sign{})
	case order.PhaseSigned:
		switch {
		case len(s.Demands) > 0:
			return by(holder(s.Lead), order.RecordContact{Demands: s.Demands[:1], Means: "visit"})
		default:
			return by(holder(s.Lead), order.WaiveContact{Cause: "no_demand"})
		}
	case order.PhaseReturnPending:
		if s.Problem {
			return by(arbiter, order.RefuseReturn{Reason: "yours"})
		}
		return by(superiorOf(s.By), order.RefuseReturn{Reason: "yours"})
	case order.PhaseReturned:
		for _, next := range []step{by(districtDesk, order.Redispatch{Lead: utility}), by(districtDesk, order.Redispatch{Lead: department}),
			by(dispatcher, order.Redispatch{Lead: property}), by(dispatcher, order.Redispatch{Lead: agency})} {
			if slices.ContainsFunc(s.Legs, func(l order.Leg) bool { return l.Lead == next.what.(order.Redispatch).Lead }) {
				continue
			}
			if s.Problem {
				next.who = arbiter
			}
			return next
		}
	case order.PhaseSuspended:
		return by(holder(s.Lead), order.Resume{})
	case order.PhaseHandling:
		if len(s.Awaited) > 0 {
			return by(holder(s.Lead), order.ReleaseCoUnit{Unit: s.Awaited[0], Reason: "done without"})
		}
		return by(holder(s.Lead), report())
	case order.PhaseReported:
		return by(person(orgs.Verifier, townWatch), pass())
	}
	return by(system, order.Close{Cause: "no_demand"})
}

// detours are what may keep an order from its end, by somebody who may do it; most of them can happen only once or twice.
// To is where it might go, days is for how long it might rest.
func detours(d *desk, to orgs.UnitCode, days int) []step {
	s := d.state
	lead, leader, above := holder(s.Lead), person(orgs.StreetLeader, s.By), superiorOf(s.By)
	if s.Problem {
		above = arbiter
	}
	confirm := leader
	if days > 30 {
		confirm = arbiter
	}
	back := by(lead, requestReturn(to))
	var again order.Command = order.Redispatch{Lead: to}
	if to == team {
		again = order.Redispatch{Lead: to, Competent: agency2, CoUnits: []orgs.UnitCode{property}}
	}
	switch s.Phase {
	case order.PhaseDispatched, order.PhaseSigned:
		return []step{back, by(supervisor, order.IssueSupervision{Reason: "slow"})}
	case order.PhaseReturnPending:
		return []step{by(above, order.ApproveReturn{})}
	case order.PhaseReturned:
		return []step{by(dispatcher, again), by(districtDesk, again), by(arbiter, again)}
	case order.PhaseHandling:
		return []step{back, by(lead, order.Suspend{Reason: "funding", ReviewOn: on(d, days)}).confirmedBy(confirm),
			by(lead, order.RequestExtension{Amount: 1, Reason: "parts", Told: true}), by(leader, order.GrantExtension{}),
			by(leader, order.RefuseExtension{Reason: "no"})}
	case order.PhaseSuspended:
		return []step{forward(s), by(system, order.Cancel{Cause: "all_withdrawn"})}
	case order.PhaseReported:
		return []step{by(person(orgs.Verifier, townWatch), fail())}
	case order.PhaseVerified:
		return []step{by(leader, order.OrderRework{Cause: "supervision", Reason: "again"})}
	case order.PhaseClosed:
		return []step{by(leader, reopen())}
	}
	return []step{forward(s)}
}

func TestWhateverIsTriedTheInvariantsHoldAndTheEndIsInReach(t *testing.T) {
	reached := map[order.Phase]int{}
	far := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		d := newDesk()
		if rapid.Bool().Draw(t, "next year unknown") {
			d.now, d.clocks.Calendar = monday().AddDate(0, 3, 10), d.clocks.Calendar.Without(2026)
		}
		states := []order.State{d.state}
		fold := func(from int) { // the states in between, one after each event
			for _, r := range d.history[from:] {
				states = append(states, order.Evolve(states[len(states)-1], r.Event, r.Stamp))
			}
			if !same(states[len(states)-1], d.state) {
				t.Fatalf("folded step by step: got another state than what was kept")
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "begun") == 0 { // chance seldom comes to a third round, or back from a second lead
			d.do(t, rapid.SampledFrom([][]step{verified, closed, returned}).Draw(t, "from")...)
			fold(0)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			d.now = d.now.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 20 * time.Hour, 9 * 24 * time.Hour}).Draw(t, "pause"))
			if rapid.IntRange(0, 30).Draw(t, "notice") == 0 {
				d.clocks.Calendar = calendar.China()
			}
			s := step{who: rapid.SampledFrom(people).Draw(t, "who"), what: anyCommand(t, d)}
			switch rapid.IntRange(0, 4).Draw(t, "how") {
			case 0:
				s = forward(d.state)
			case 1, 2:
				to, days := rapid.SampledFrom(leads).Draw(t, "to"), rapid.IntRange(1, 90).Draw(t, "days ahead")
				s = rapid.SampledFrom(detours(d, to, days)).Draw(t, "detour")
			case 3: // somebody who may: the lead, or the leader of the dispatching unit
				s.who = rapid.SampledFrom([]rule.Actor{holder(d.state.Lead), person(orgs.StreetLeader, d.state.By), superiorOf(d.state.By)}).Draw(t, "who may")
			}
			at := d.at(s.who)
			at.Occurred = at.Recorded.Add(-rapid.SampledFrom([]time.Duration{0, 0, time.Minute, 2 * time.Hour, 30 * time.Hour}).Draw(t, "entered late"))
			at.Second = s.second
			if at.Second == nil && rapid.Bool().Draw(t, "confirmed") {
				at = confirmed(at, rapid.SampledFrom([]rule.Actor{person(orgs.StreetLeader, d.state.By), arbiter, s.who}).Draw(t, "second"))
			}
			before, length := d.state, len(d.history)
			es, err := d.try(s.what, at)
			if err != nil {
				var r *rule.Refusal
				if !errors.As(err, &r) {
					t.Fatalf("%s: got %v, want a refusal", s.what.Name(), err)
				}
				if r.State != string(before.Phase) || r.Code == "" || r.Rule == "" || r.Detail.Zh == "" {
					t.Fatalf("%s: got %+v, want it complete", s.what.Name(), r)
				}
				if len(es) != 0 || !same(before, d.state) {
					t.Fatalf("%s was refused: got %v", s.what.Name(), types(es))
				}
				continue
			}
			fold(length)
			check(t, d.history)
			checkProblem(t, d.state)
			if again, err := order.Decide(d.state, s.what, at); again != nil || err != nil {
				t.Fatalf("%s again: got %v, %v; want nothing", s.what.Name(), types(again), err)
			}
			reached[d.state.Phase]++
		}
		if d.state.Problem {
			far["a problem order"]++
		}
		if len(d.state.Legs) > 1 {
			far["a second leg"]++
		}
		if d.state.Round > 2 {
			far["a third round"]++
		}
		for range 40 {
			if d.state.Phase.Terminal() {
				break
			}
			length := len(d.history)
			s := forward(d.state)
			if es, err := d.attempt(s); err != nil || len(es) == 0 {
				t.Fatalf("forward from %s: %s by %+v: got %v, %v", d.state.Phase, s.what.Name(), s.who, types(es), err)
			}
			fold(length)
			check(t, d.history)
			checkProblem(t, d.state)
		}
		if !d.state.Phase.Terminal() {
			t.Fatalf("got no further than %s, want an end", d.state.Phase)
		}
		for i, kept := range states { // nothing folded later may have changed a state that was handed out
			if !same(kept, refold(d.state.ID, d.history[:i])) {
				t.Fatalf("the state after event %d is another one now", i)
			}
		}
	})
	ruletest.Shown(t, reached, order.Machine.States...)
	ruletest.Shown(t, far, "a problem order", "a second leg", "a third round")
}

// TestEvolveAcceptsAnything: what is in the log has happened, in whatever order, and states handed out stay as they are.
func TestEvolveAcceptsAnything(t *testing.T) {
	d := given(t, join(bounced, by(arbiter, order.RefuseReturn{Reason: "yours"}), by(otherHandler, contact()), by(otherHandler, report()),
		by(verifier, fail()), by(supervisor, order.IssueSupervision{Reason: "x"}), by(otherHandler, report()), by(verifier, pass()), by(system, order.Close{Cause: "answered"}))...)
	var all []recorded
	all = append(all, d.history...)
	for _, e := range []order.Event{order.ContactNotRequired{}, order.Suspended{}, order.Resumed{}, order.ReworkOrdered{Round: 2}, order.Reopened{Round: 3}, order.Cancelled{},
		order.CoUnitReported{}, order.CoUnitReleased{}, order.ExtensionRequested{}, order.ExtensionGranted{}, order.ExtensionRefused{}, order.DemandAttached{}, order.DemandDetached{}, order.ServedDemandReopened{},
		order.Reassigned{}, order.SupervisionAnswered{Number: 1}, order.Rated{Leg: 1, Score: 7}, order.Rated{Leg: 9}, order.DeadlineRecomputed{}, order.ProblemFlagged{},
		order.WarningRaised{ID: "handle/1/1/3", Number: 1}, order.ClockExpired{ID: "handle/1/1/3", Next: d.now}, order.Escalated{From: 3, To: 4, Rule: "E3"},
		order.Escalated{From: 4, To: 5, Rule: "E2", ID: "handle/1/1/3", Step: 1}, stranger{}} {
		all = append(all, recorded{e, d.at(system).Stamp})
	}
	rapid.Check(t, func(t *rapid.T) {
		s := order.State{ID: d.state.ID}
		states := []order.State{s}
		var history []recorded
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			r := rapid.SampledFrom(all).Draw(t, "event")
			history = append(history, r)
			s = order.Evolve(s, r.Event, r.Stamp)
			states = append(states, s)
		}
		for i := range states {
			if !same(states[i], refold(d.state.ID, history[:i])) {
				t.Fatalf("the state after event %d is another one now", i)
			}
		}
		if s.Events != int64(len(history)) {
			t.Fatalf("got %d events, want %d", s.Events, len(history))
		}
		before := reflect.ValueOf(s).FieldByName("before")
		if !before.IsNil() && !before.Elem().FieldByName("before").IsNil() {
			t.Fatal("a state holds on to more than the one before it")
		}
	})
}

// stranger is an event of a type that this program does not know.
type stranger struct{}

func (stranger) EventType() string { return "order-escalated/9" }

// TestSealedTextIsNeverComparedWithItsClearForm: a report read back from the log is another one than the
// same report asked for again; the key of the request tells that repeat, not its content.
func TestSealedTextIsNeverComparedWithItsClearForm(t *testing.T) {
	d := given(t, handled...)
	at := d.at(handler)
	es, err := order.Decide(d.state, report(), at)
	if err != nil {
		t.Fatal(err)
	}
	stored := es[0].(order.Reported)
	stored.Answer = sealed.Cipher("gcenc1.a.k1.xyz")
	s := order.Evolve(d.state, stored, at.Stamp)
	if _, err := order.Decide(s, report(), at); refusal(t, err).Code != rule.WrongState {
		t.Errorf("got %v, want wrong_state", err)
	}
}
