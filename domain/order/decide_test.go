package order_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// changed returns a command with some members changed.
func changed[C any](c C, f func(*C)) C {
	f(&c)
	return c
}

// second and third bring an order to its second and third unit, bounced has the third return it too; all
// returns are asked for before contact.
var (
	second = join(returned, by(dispatcher, order.Redispatch{Lead: property}))
	third  = join(second, by(propertyHandler, requestReturn(agency2)), by(districtDesk, order.ApproveReturn{}),
		by(dispatcher, order.Redispatch{Lead: agency2}))
	bounced = join(third, by(otherHandler, requestReturn(community)))
)

func TestEveryRowLeadsWhereTheTableSays(t *testing.T) {
	anonymous := changed(dispatch(), func(c *order.Dispatch) { c.Anonymous = true })
	for _, c := range []struct {
		name  string
		given []step
		when  step
		then  order.Event
		to    order.Phase
	}{
		{"O1: a street's dispatcher gives an order to an agency", nil, by(dispatcher, dispatch()), order.Dispatched{}, order.PhaseDispatched},
		{"O1: a clerk gives an order to a grid of the own community", nil,
			by(clerk, changed(dispatch(), func(c *order.Dispatch) { c.Lead = grid })), order.Dispatched{}, order.PhaseDispatched},
		{"O1: a community secretary does so too", nil,
			by(secretary, changed(dispatch(), func(c *order.Dispatch) { c.Lead = grid })), order.Dispatched{}, order.PhaseDispatched},
		{"O1: a district's dispatcher gives an order to a department", nil,
			by(districtDesk, changed(dispatch(), func(c *order.Dispatch) { c.Lead = department })), order.Dispatched{}, order.PhaseDispatched},
		{"O1: the city's dispatcher gives an order to a bureau", nil,
			by(person(orgs.Dispatcher, city), changed(dispatch(), func(c *order.Dispatch) { c.Lead = bureau })), order.Dispatched{}, order.PhaseDispatched},
		{"O1: the process manager carries out a street's decision", nil,
			by(system, changed(dispatch(), func(c *order.Dispatch) { c.By = street })), order.Dispatched{}, order.PhaseDispatched},
		{"O1: a joint team leads with its competent member named", nil,
			by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Lead, c.Competent = team, agency })), order.Dispatched{}, order.PhaseDispatched},
		{"O1: a patrol's finding has no demand", nil,
			by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Demands, c.Patrol = nil, true })), order.Dispatched{}, order.PhaseDispatched},
		{"O2: the lead unit signs", dispatched, by(handler, order.Sign{}), order.Signed{}, order.PhaseSigned},
		{"O3: an order that was not signed can be returned", dispatched, by(handler, requestReturn(property)), order.ReturnRequested{}, order.PhaseReturnPending},
		{"O3: a signed order can be returned", signed, by(handler, requestReturn(property)), order.ReturnRequested{}, order.PhaseReturnPending},
		{"O3: an order in handling can be returned", handled, by(handler, requestReturn(property)), order.ReturnRequested{}, order.PhaseReturnPending},
		{"O4: the residents are contacted", signed, by(handler, contact()), order.Contacted{}, order.PhaseHandling},
		{"O5: nobody is contacted where every demand is anonymous", []step{by(dispatcher, anonymous), by(handler, order.Sign{})},
			by(handler, order.WaiveContact{Cause: "anonymous"}), order.ContactNotRequired{}, order.PhaseHandling},
		{"O5: nobody is contacted about a patrol's finding",
			[]step{by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Patrol = true })), by(handler, order.Sign{})},
			by(handler, order.WaiveContact{Cause: "patrol"}), order.ContactNotRequired{}, order.PhaseHandling},
		{"O5: nobody is contacted once no demand is left", join(signed, by(system, order.DetachDemand{Demand: d1}), by(system, order.DetachDemand{Demand: d2})),
			by(handler, order.WaiveContact{Cause: "no_demand"}), order.ContactNotRequired{}, order.PhaseHandling},
		{"O6: a return refused before signing leads to signed", pendingNew, by(districtDesk, order.RefuseReturn{Reason: "yours"}), order.ReturnRefused{}, order.PhaseSigned},
		{"O6: a return refused before contact leads to signed", pending, by(districtDesk, order.RefuseReturn{Reason: "yours"}), order.ReturnRefused{}, order.PhaseSigned},
		{"O7: a return refused after contact leads to handling", pendingOld, by(districtDesk, order.RefuseReturn{Reason: "yours"}), order.ReturnRefused{}, order.PhaseHandling},
		{"O8: an approved return is a mis-dispatch", pending, by(districtDesk, order.ApproveReturn{}), order.ReturnApproved{}, order.PhaseReturned},
		{"O9: another unit is given the order", returned, by(dispatcher, order.Redispatch{Lead: property}), order.Redispatched{}, order.PhaseDispatched},
		{"O9: a higher dispatcher may give it to a department", returned, by(districtDesk, order.Redispatch{Lead: department}), order.Redispatched{}, order.PhaseDispatched},
		{"O10: the dispatching unit's leader confirms a suspension", handled, by(handler, suspend(30)).confirmedBy(streetLeader), order.Suspended{}, order.PhaseSuspended},
		{"O10: an arbiter confirms a long one", handled, by(handler, suspend(31)).confirmedBy(arbiter), order.Suspended{}, order.PhaseSuspended},
		{"O10: up to ninety days", handled, by(handler, suspend(90)).confirmedBy(arbiter), order.Suspended{}, order.PhaseSuspended},
		{"O11: the lead unit resumes", suspended, by(handler, order.Resume{}), order.Resumed{}, order.PhaseHandling},
		{"O11: the leader of the dispatching unit resumes", suspended, by(streetLeader, order.Resume{}), order.Resumed{}, order.PhaseHandling},
		{"O11: the clock resumes on the review date", suspended, by(clock, order.Resume{}).later(10*24*time.Hour + 15*time.Hour), order.Resumed{}, order.PhaseHandling},
		{"O12: the lead unit reports", handled, by(handler, report()), order.Reported{}, order.PhaseReported},
		{"O12: an account does where there is nothing to photograph", handled,
			by(handler, changed(report(), func(c *order.ReportHandling) { c.Evidence, c.Account = nil, sealed.Clear("we talked") })), order.Reported{}, order.PhaseReported},
		{"O13: a verifier passes it", reported, by(verifier, pass()), order.VerificationPassed{}, order.PhaseVerified},
		{"O13: what was not drawn passes", reported, by(system, order.PassVerification{Method: "sampled_out", Rate: 1000}), order.VerificationPassed{}, order.PhaseVerified},
		{"O13: a resident confirms an errand",
			join([]step{by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Kind = "errand" }))}, reported[1:]...),
			by(resident, order.PassVerification{Method: "resident_confirmed"}), order.VerificationPassed{}, order.PhaseVerified},
		{"O14: a verifier fails it", reported, by(verifier, fail()), order.VerificationFailed{}, order.PhaseHandling},
		{"O15: the process manager closes it", verified, by(system, order.Close{Cause: "answered"}), order.Closed{}, order.PhaseClosed},
		{"O16: a callback sends it back to work", verified, by(system, rework()), order.ReworkOrdered{}, order.PhaseHandling},
		{"O16: the dispatching unit's leader sends it back to work", verified,
			by(streetLeader, order.OrderRework{Cause: "supervision", Reason: "half done"}), order.ReworkOrdered{}, order.PhaseHandling},
		{"the street rates what it dispatched", closed, by(streetLeader, order.Rate{Leg: 1, Score: 60}), order.Rated{Leg: 1, Score: 60}, order.PhaseClosed},
		{"a later rating replaces it", join(closed, by(streetLeader, order.Rate{Leg: 1, Score: 60})), by(streetLeader, order.Rate{Leg: 1, Score: 96, Comment: "及时周到"}),
			order.Rated{Leg: 1, Score: 96, Comment: "及时周到"}, order.PhaseClosed},
		{"O17: a closed order is reopened", closed, by(streetLeader, reopen()), order.Reopened{}, order.PhaseHandling},
		{"O18: before it is signed a dispatcher cancels alone", dispatched, by(dispatcher, order.Cancel{Cause: "error", Reason: "typo"}), order.Cancelled{}, order.PhaseCancelled},
		{"O18: once signed two must agree", signed, by(dispatcher, order.Cancel{Cause: "error", Reason: "typo"}).confirmedBy(streetLeader), order.Cancelled{}, order.PhaseCancelled},
		{"O18: in handling too", handled, by(dispatcher, order.Cancel{Cause: "error", Reason: "typo"}).confirmedBy(streetLeader), order.Cancelled{}, order.PhaseCancelled},
		{"O18: and while suspended", suspended, by(dispatcher, order.Cancel{Cause: "error", Reason: "typo"}).confirmedBy(streetLeader), order.Cancelled{}, order.PhaseCancelled},
		{"O18: and when it was returned", returned, by(districtDesk, order.Cancel{Cause: "error", Reason: "typo"}).confirmedBy(streetLeader), order.Cancelled{}, order.PhaseCancelled},
		{"O18: the process manager cancels what all have withdrawn", handled, by(system, order.Cancel{Cause: "all_withdrawn"}), order.Cancelled{}, order.PhaseCancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := given(t, c.given...)
			es, err := d.attempt(c.when)
			if err != nil || len(es) != 1 || event(es[0]) != event(c.then) || d.state.Phase != c.to {
				t.Errorf("%s: got %v, %v in %s; want %s in %s", c.when.what.Name(), types(es), err, d.state.Phase, event(c.then), c.to)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		given []step
		when  step
		code  rule.Code
		rule  string
	}{
		{"nothing happens in the future", nil, by(dispatcher, dispatch()), rule.GuardFailed, "I18"},

		{"a person dispatches for the own unit", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.By = district })), rule.OutsideJuris, "O1"},
		{"the process manager names who decided", nil, by(system, dispatch()), rule.GuardFailed, "O1"},
		{"the place must exist", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Place = "nowhere" })), rule.GuardFailed, "O1"},
		{"the place must lie in the dispatcher's area", nil, by(clerk, changed(dispatch(), func(c *order.Dispatch) { c.Lead, c.Place = grid, community2 })), rule.OutsideJuris, "O1"},
		{"the grid must exist", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Grid = "150105003001999" })), rule.GuardFailed, "O1"},
		{"an order serves somebody", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Demands = nil })), rule.GuardFailed, "O1"},
		{"an order has a matter", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Matter = "" })), rule.GuardFailed, "O1"},
		{"a dispute has no order", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Kind = "dispute" })), rule.GuardFailed, "O1"},
		{"an urgency is A to D", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Urgency = "E" })), rule.GuardFailed, "O1"},
		{"its demands exist", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Demands = []stream.ID{unknown} })), rule.GuardFailed, "O1"},
		{"a person serves no demand that has ended", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Demands = []stream.ID{ended} })), rule.GuardFailed, "O1"},
		{"only a topic promises a target date", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Target = calendar.DateOf(monday()) + 5 })), rule.GuardFailed, "O1"},
		{"a target date is not over", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Topic, c.Target = topicID, calendar.DateOf(monday())-1 })), rule.GuardFailed, "O1"},
		{"a target date is at most 180 days ahead", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Topic, c.Target = topicID, calendar.DateOf(monday())+181 })), rule.GuardFailed, "O1"},
		{"a street does not give orders to a department", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Lead = department })), rule.GuardFailed, "O1"},
		{"a clerk gives none to another community's grid", nil, by(clerk, changed(dispatch(), func(c *order.Dispatch) { c.Lead = farGrid })), rule.OutsideJuris, "O1"},
		{"a joint team names its competent member", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Lead = team })), rule.GuardFailed, "O1"},
		{"the competent member belongs to the team", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Lead, c.Competent = team, property })), rule.GuardFailed, "O1"},
		{"no other unit has a competent member", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Competent = agency2 })), rule.GuardFailed, "O1"},
		{"the lead is no co-unit", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.CoUnits = []orgs.UnitCode{agency} })), rule.GuardFailed, "O1"},
		{"a co-unit is named once", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.CoUnits = []orgs.UnitCode{property, property} })), rule.GuardFailed, "O1"},
		{"a co-unit exists", nil, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.CoUnits = []orgs.UnitCode{"nobody"} })), rule.GuardFailed, "O1"},

		{"another unit does not sign", dispatched, by(otherHandler, order.Sign{}), rule.OutsideJuris, "O2"},
		{"the department above an agency does not sign", dispatched, by(person(orgs.Handler, department), order.Sign{}), rule.OutsideJuris, "O2"},
		{"another community does not sign for a grid", []step{by(clerk, changed(dispatch(), func(c *order.Dispatch) { c.Lead = grid }))},
			by(person(orgs.Clerk, community2), order.Sign{}), rule.OutsideJuris, "O2"},

		{"another unit does not return it", dispatched, by(otherHandler, requestReturn(property)), rule.OutsideJuris, "O3"},
		{"a return has a reason", dispatched, by(handler, changed(requestReturn(property), func(c *order.RequestReturn) { c.Reason = sealed.Text{} })), rule.GuardFailed, "O3"},
		{"a return has a legal basis", dispatched, by(handler, changed(requestReturn(property), func(c *order.RequestReturn) { c.Basis = " " })), rule.GuardFailed, "O3"},
		{"a return suggests who should have it", dispatched, by(handler, requestReturn("")), rule.GuardFailed, "O3"},
		{"a return suggests somebody else", dispatched, by(handler, requestReturn(agency)), rule.GuardFailed, "O3"},
		{"a return comes within one working day", dispatched, by(handler, requestReturn(property)).later(39*time.Hour + time.Minute), rule.WindowClosed, "O3"},
		{"a unit asks once", join(pending, by(districtDesk, order.RefuseReturn{Reason: "yours"})), by(handler, requestReturn(property)), rule.ReturnExhausted, "O3"},
		{"after the third request nobody asks again", join(bounced, by(arbiter, order.ApproveReturn{}), by(arbiter, order.Redispatch{Lead: team, Competent: agency})),
			by(teamHandler, requestReturn(community)), rule.ReturnExhausted, "O3"},

		{"contact names whom", signed, by(handler, changed(contact(), func(c *order.RecordContact) { c.Demands = nil })), rule.GuardFailed, "O4"},
		{"contact is with residents of the order", signed, by(handler, changed(contact(), func(c *order.RecordContact) { c.Demands = []stream.ID{d3} })), rule.GuardFailed, "O4"},
		{"contact is by one of four means", signed, by(handler, changed(contact(), func(c *order.RecordContact) { c.Means = "pigeon" })), rule.GuardFailed, "O4"},
		{"another unit does not contact", signed, by(otherHandler, contact()), rule.OutsideJuris, "O4"},
		{"contact happens once", handled, by(handler, contact()), rule.WrongState, "M1"},
		{"contact is not waived while a resident waits", signed, by(handler, order.WaiveContact{Cause: "anonymous"}), rule.GuardFailed, "O5"},
		{"contact is not waived for a patrol that was none", signed, by(handler, order.WaiveContact{Cause: "patrol"}), rule.GuardFailed, "O5"},
		{"contact is not waived for want of demands while there are", signed, by(handler, order.WaiveContact{Cause: "no_demand"}), rule.GuardFailed, "O5"},
		{"another unit does not waive contact", []step{by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Patrol = true })), by(handler, order.Sign{})},
			by(otherHandler, order.WaiveContact{Cause: "patrol"}), rule.OutsideJuris, "O5"},

		{"the dispatching unit does not rule on its own mistake", pending, by(dispatcher, order.RefuseReturn{Reason: "yours"}), rule.OutsideJuris, "O6"},
		{"another district does not rule", pending, by(person(orgs.Dispatcher, elsewhere), order.ApproveReturn{}), rule.OutsideJuris, "O8"},
		{"an arbiter does not rule where a dispatcher can", pending, by(arbiter, order.ApproveReturn{}), rule.RoleMissing, "O8"},
		{"a refused return has a reason", pending, by(districtDesk, order.RefuseReturn{}), rule.GuardFailed, "O6"},
		{"a dispatcher does not rule on the third request", bounced, by(districtDesk, order.RefuseReturn{Reason: "yours"}), rule.RoleMissing, "O6"},
		{"nor approve it", bounced, by(districtDesk, order.ApproveReturn{}), rule.RoleMissing, "O8"},
		{"an arbiter of elsewhere does not rule", bounced, by(person(orgs.Arbiter, elsewhere), order.ApproveReturn{}), rule.OutsideJuris, "O8"},
		{"above the city's dispatcher there is only an arbiter",
			[]step{by(person(orgs.Dispatcher, city), changed(dispatch(), func(c *order.Dispatch) { c.Lead = bureau })), by(person(orgs.Handler, bureau), requestReturn(district))},
			by(person(orgs.Dispatcher, city), order.ApproveReturn{}), rule.RoleMissing, "O8"},
		{"no arbiter rules on a return by the own district",
			[]step{by(person(orgs.Dispatcher, city), changed(dispatch(), func(c *order.Dispatch) { c.Lead = district })), by(departmentLeader, requestReturn(bureau))},
			by(arbiter, order.ApproveReturn{}), rule.SameUnit, "O8"},

		{"a unit that returned it does not get it again", returned, by(dispatcher, order.Redispatch{Lead: agency}), rule.ReturnExhausted, "O9"},
		{"nor one that returned it earlier", join(second, by(propertyHandler, requestReturn(agency2)), by(districtDesk, order.ApproveReturn{})),
			by(dispatcher, order.Redispatch{Lead: agency}), rule.ReturnExhausted, "O9"},
		{"an arbiter does not redispatch before the third request", returned, by(arbiter, order.Redispatch{Lead: property}), rule.RoleMissing, "O9"},
		{"a dispatcher does not redispatch a problem order", join(bounced, by(arbiter, order.ApproveReturn{})), by(dispatcher, order.Redispatch{Lead: community}), rule.RoleMissing, "O9"},
		{"an arbiter keeps to the own district", join(bounced, by(arbiter, order.ApproveReturn{})), by(arbiter, order.Redispatch{Lead: bureau}), rule.OutsideJuris, "O9"},
		{"a dispatcher of elsewhere does not redispatch", returned, by(person(orgs.Dispatcher, elsewhere), order.Redispatch{Lead: property}), rule.OutsideJuris, "O9"},
		{"a street does not redispatch to a department", returned, by(dispatcher, order.Redispatch{Lead: department}), rule.GuardFailed, "O1"},
		{"a redispatch to a joint team names the competent member", returned, by(dispatcher, order.Redispatch{Lead: team}), rule.GuardFailed, "O9"},

		{"a suspension has a reason of the list", handled, by(handler, changed(suspend(10), func(c *order.Suspend) { c.Reason = "tired" })).confirmedBy(streetLeader), rule.GuardFailed, "O10"},
		{"a suspension is reviewed after today", handled, by(handler, suspend(0)).confirmedBy(streetLeader), rule.GuardFailed, "O10"},
		{"a suspension is reviewed within ninety days", handled, by(handler, suspend(91)).confirmedBy(arbiter), rule.GuardFailed, "O10"},
		{"a suspension is confirmed", handled, by(handler, suspend(10)), rule.SecondPerson, "O10"},
		{"a suspension is confirmed by the dispatching unit", handled, by(handler, suspend(10)).confirmedBy(unitHead), rule.SecondPerson, "O10"},
		{"an arbiter alone confirms more than thirty days", handled, by(handler, suspend(31)).confirmedBy(streetLeader), rule.SecondPerson, "O10"},
		{"an arbiter of elsewhere confirms nothing", handled, by(handler, suspend(31)).confirmedBy(person(orgs.Arbiter, elsewhere)), rule.OutsideJuris, "O10"},
		{"another unit does not suspend", handled, by(otherHandler, suspend(10)).confirmedBy(streetLeader), rule.OutsideJuris, "O10"},
		{"nobody confirms the own suspension",
			[]step{by(secretary, changed(dispatch(), func(c *order.Dispatch) { c.Lead = grid })), by(gridWorker, order.Sign{}), by(gridWorker, contact())},
			by(secretary, suspend(10)).confirmedBy(secretary), rule.SecondPerson, "O10"},

		{"another unit does not resume", suspended, by(otherHandler, order.Resume{}), rule.OutsideJuris, "O11"},
		{"a leader of another unit does not resume", suspended, by(person(orgs.StreetLeader, district), order.Resume{}), rule.OutsideJuris, "O11"},
		{"the clock waits for the review date", suspended, by(system, order.Resume{}).later(9 * 24 * time.Hour), rule.GuardFailed, "O11"},

		{"a report has an outcome of the list", handled, by(handler, changed(report(), func(c *order.ReportHandling) { c.Outcome = "fine" })), rule.GuardFailed, "O12"},
		{"a report has an answer", handled, by(handler, changed(report(), func(c *order.ReportHandling) { c.Answer = sealed.Text{} })), rule.GuardFailed, "O12"},
		{"a report has a public summary", handled, by(handler, changed(report(), func(c *order.ReportHandling) { c.Summary = "" })), rule.GuardFailed, "O12"},
		{"a report has evidence", handled, by(handler, changed(report(), func(c *order.ReportHandling) { c.Evidence = nil })), rule.EvidenceMissing, "O12"},
		{"evidence is a hash", handled, by(handler, changed(report(), func(c *order.ReportHandling) { c.Evidence = []string{"photo.jpg"} })), rule.EvidenceMissing, "O12"},
		{"evidence is a hash in lower case", handled, by(handler, changed(report(), func(c *order.ReportHandling) { c.Evidence = []string{strings.Repeat("0F", 32)} })), rule.EvidenceMissing, "O12"},
		{"person-times are counted from zero", handled, by(handler, changed(report(), func(c *order.ReportHandling) { c.Persons = -1 })), rule.GuardFailed, "O12"},
		{"a report waits for the co-units", helped(), by(handler, report()), rule.GuardFailed, "O12"},
		{"another unit does not report", handled, by(otherHandler, report()), rule.OutsideJuris, "O12"},

		{"the lead unit does not verify its own work", reported, by(person(orgs.Verifier, agency), pass()), rule.OutsideJuris, "O13"},
		{"nor the department that sent the agency", reportedAt(department), by(person(orgs.Verifier, department), pass()), rule.SameUnit, "O13"},
		{"nor a unit that returned it", returnedBy(property), by(person(orgs.Verifier, property), pass()), rule.SameUnit, "O13"},
		{"a verifier of elsewhere does not verify", reported, by(person(orgs.Verifier, elsewhere), pass()), rule.OutsideJuris, "O13"},
		{"a verifier looks in one of three ways", reported, by(verifier, order.PassVerification{Method: "resident_confirmed"}), rule.GuardFailed, "O13"},
		{"a resident does nothing but confirm", reported, by(resident, pass()), rule.GuardFailed, "O13"},
		{"a resident confirms an errand or a consult only", reported, by(resident, order.PassVerification{Method: "resident_confirmed"}), rule.GuardFailed, "O13"},
		{"the process manager passes only what was not drawn", reported, by(system, pass()), rule.GuardFailed, "O13"},
		{"where everything is drawn nothing passes unseen", reported, by(system, order.PassVerification{Method: "sampled_out", Rate: 10000}), rule.GuardFailed, "O13"},
		{"a verifier's method has no rate", reported, by(verifier, order.PassVerification{Method: "photo", Rate: 5}), rule.GuardFailed, "O13"},
		{"a failed verification has a reason", reported, by(verifier, order.FailVerification{Method: "photo"}), rule.GuardFailed, "O14"},
		{"a failed verification has a method", reported, by(verifier, order.FailVerification{Reason: "no", Method: "guess"}), rule.GuardFailed, "O14"},
		{"the lead's department does not fail it either", reportedAt(department), by(person(orgs.Verifier, department), fail()), rule.SameUnit, "O14"},

		{"an order is closed for one of two causes", verified, by(system, order.Close{Cause: "tired"}), rule.GuardFailed, "O15"},
		{"rework comes from a callback or a supervision", verified, by(system, order.OrderRework{Cause: "mood"}), rule.GuardFailed, "O16"},
		{"a callback's rework names the demand", verified, by(system, order.OrderRework{Cause: "callback"}), rule.GuardFailed, "O16"},
		{"a supervision's rework has a reason", verified, by(streetLeader, order.OrderRework{Cause: "supervision"}), rule.GuardFailed, "O16"},
		{"the lead's own head orders no rework", verified, by(unitHead, rework()), rule.OutsideJuris, "O16"},
		{"what is not closed is not rated", verified, by(streetLeader, order.Rate{Leg: 1, Score: 80}), rule.WrongState, "M1"},
		{"the unit does not rate itself", closed, by(unitHead, order.Rate{Leg: 1, Score: 80}), rule.RoleMissing, "M1"},
		{"another street does not rate it", closed, by(person(orgs.StreetLeader, elsewhere), order.Rate{Leg: 1, Score: 80}), rule.OutsideJuris, "O15"},
		{"there is no leg 0", closed, by(streetLeader, order.Rate{Score: 80}), rule.GuardFailed, "O15"},
		{"nor one after the last", closed, by(streetLeader, order.Rate{Leg: 2, Score: 80}), rule.GuardFailed, "O15"},
		{"a rating is 100 at most", closed, by(streetLeader, order.Rate{Leg: 1, Score: 101, Comment: "x"}), rule.GuardFailed, "O15"},
		{"and 0 at least", closed, by(streetLeader, order.Rate{Leg: 1, Score: -1, Comment: "x"}), rule.GuardFailed, "O15"},
		{"below 60 it has a comment", closed, by(streetLeader, order.Rate{Leg: 1, Score: 59}), rule.GuardFailed, "O15"},
		{"and above 95", closed, by(streetLeader, order.Rate{Leg: 1, Score: 96}), rule.GuardFailed, "O15"},
		{"the lead's own head reopens nothing", closed, by(unitHead, reopen()), rule.OutsideJuris, "O17"},
		{"a supervision's reopening has a reason", closed, by(streetLeader, order.Reopen{Cause: "supervision"}), rule.GuardFailed, "O17"},

		{"an order is cancelled for one of four causes", dispatched, by(dispatcher, order.Cancel{Cause: "mood", Reason: "x"}), rule.GuardFailed, "O18"},
		{"who cancels says why", dispatched, by(dispatcher, order.Cancel{Cause: "error"}), rule.GuardFailed, "O18"},
		{"a dispatcher of elsewhere cancels nothing", dispatched, by(person(orgs.Dispatcher, elsewhere), order.Cancel{Cause: "error", Reason: "x"}), rule.OutsideJuris, "O18"},
		{"once signed nobody cancels alone", signed, by(dispatcher, order.Cancel{Cause: "error", Reason: "x"}), rule.SecondPerson, "O18"},
		{"the lead's head does not confirm that it is cancelled", handled, by(dispatcher, order.Cancel{Cause: "error", Reason: "x"}).confirmedBy(unitHead), rule.SecondPerson, "O18"},
		{"a reported order is not cancelled", reported, by(system, order.Cancel{Cause: "all_withdrawn"}), rule.WrongState, "M1"},

		{"a stranger is no co-unit", helped(), by(otherHandler, order.ReportCoUnit{Unit: agency2, Summary: "x"}), rule.GuardFailed, "O12"},
		{"a co-unit speaks for itself", helped(), by(handler, order.ReportCoUnit{Unit: property, Summary: "x"}), rule.OutsideJuris, "O12"},
		{"a co-unit says what it did", helped(), by(propertyHandler, order.ReportCoUnit{Unit: property}), rule.GuardFailed, "O12"},
		{"a co-unit does not release itself", helped(), by(propertyHandler, order.ReleaseCoUnit{Unit: property}), rule.OutsideJuris, "O12"},
		{"who has reported is not released", join(helped(), by(propertyHandler, order.ReportCoUnit{Unit: property, Summary: "x"})), by(handler, order.ReleaseCoUnit{Unit: property}), rule.GuardFailed, "O12"},

		{"an extension has a reason", handled, by(handler, order.RequestExtension{Amount: 1, Told: true}), rule.GuardFailed, "I3"},
		{"an extension is at least one day", handled, by(handler, order.RequestExtension{Amount: 0, Reason: "x", Told: true}), rule.GuardFailed, "I3"},
		{"an extension is at most the original amount", handled, by(handler, order.RequestExtension{Amount: 8, Reason: "x", Told: true}), rule.GuardFailed, "I3"},
		{"an extension is told to the residents", handled, by(handler, order.RequestExtension{Amount: 1, Reason: "x"}), rule.GuardFailed, "I3"},
		{"an extension is asked for before due", handled, by(handler, order.RequestExtension{Amount: 1, Reason: "x", Told: true}).later(8 * 24 * time.Hour), rule.WindowClosed, "I3"},
		{"an extension is asked for once per round", extended(order.RefuseExtension{Reason: "no"}), by(handler, order.RequestExtension{Amount: 1, Reason: "x", Told: true}), rule.GuardFailed, "I3"},
		{"another unit asks for no extension", handled, by(otherHandler, order.RequestExtension{Amount: 1, Reason: "x", Told: true}), rule.OutsideJuris, "I3"},
		{"what was not asked is not granted", handled, by(streetLeader, order.GrantExtension{}), rule.GuardFailed, "I3"},
		{"what was decided is not decided again", extended(order.GrantExtension{}), by(streetLeader, order.RefuseExtension{Reason: "no"}), rule.GuardFailed, "I3"},
		{"what lapsed is not granted", join(handled, by(handler, order.RequestExtension{Amount: 1, Reason: "x", Told: true}), by(handler, suspend(10)).confirmedBy(streetLeader), by(handler, order.Resume{})),
			by(streetLeader, order.GrantExtension{}), rule.GuardFailed, "I3"},
		{"the lead's own head grants nothing", join(handled, by(handler, order.RequestExtension{Amount: 1, Reason: "x", Told: true})), by(unitHead, order.GrantExtension{}), rule.OutsideJuris, "I3"},
		{"undecided in time is refused", join(handled, by(handler, order.RequestExtension{Amount: 1, Reason: "x", Told: true})), by(streetLeader, order.GrantExtension{}).later(48 * time.Hour), rule.WindowClosed, "I3"},
		{"refusing an extension has a reason", join(handled, by(handler, order.RequestExtension{Amount: 1, Reason: "x", Told: true})), by(streetLeader, order.RefuseExtension{}), rule.GuardFailed, "I3"},
		{"nobody grants the own request",
			[]step{by(secretary, changed(dispatch(), func(c *order.Dispatch) { c.Lead = grid })), by(gridWorker, order.Sign{}), by(gridWorker, contact()),
				by(secretary, order.RequestExtension{Amount: 1, Reason: "x", Told: true})},
			by(secretary, order.GrantExtension{}), rule.SecondPerson, "I3"},

		{"what is attached exists", dispatched, by(dispatcher, order.AttachDemand{Demand: unknown}), rule.GuardFailed, "O1"},
		{"a person attaches nothing that has ended", dispatched, by(dispatcher, order.AttachDemand{Demand: ended}), rule.GuardFailed, "O1"},
		{"a dispatcher of elsewhere attaches nothing", dispatched, by(person(orgs.Dispatcher, elsewhere), order.AttachDemand{Demand: d3}), rule.OutsideJuris, "O1"},
		{"a dispatcher of elsewhere detaches nothing", dispatched, by(person(orgs.Dispatcher, elsewhere), order.DetachDemand{Demand: d1}), rule.OutsideJuris, "O1"},

		{"a reassignment names another person", dispatched, by(unitHead, order.Reassign{}), rule.GuardFailed, "R21"},
		{"another unit's head reassigns nothing", dispatched, by(person(orgs.UnitHead, agency2), order.Reassign{Worker: "w1"}), rule.OutsideJuris, "R21"},
		{"a unit's head does not pass it to another unit", dispatched, by(unitHead, order.Reassign{Lead: agency2}), rule.RoleMissing, "I1"},
		{"nor does the process manager, unless a grid was re-divided", dispatched, by(system, order.Reassign{Lead: agency2}), rule.GuardFailed, "R21"},
		{"a successor grid lies in the same community", []step{by(clerk, changed(dispatch(), func(c *order.Dispatch) { c.Lead = grid }))},
			by(system, order.Reassign{Lead: farGrid}), rule.GuardFailed, "R21"},

		{"a supervision has a reason", handled, by(supervisor, order.IssueSupervision{}), rule.GuardFailed, "E5"},
		{"a supervisor of elsewhere issues none", handled, by(person(orgs.Supervisor, elsewhere), order.IssueSupervision{Reason: "x"}), rule.OutsideJuris, "E5"},
		{"what was not asked is not answered", handled, by(handler, order.AnswerSupervision{Number: 1, Answer: "x"}), rule.GuardFailed, "E5"},
		{"an answer says something", join(handled, by(supervisor, order.IssueSupervision{Reason: "x"})), by(handler, order.AnswerSupervision{Number: 1}), rule.GuardFailed, "E5"},
		{"an answer is given once", join(handled, by(supervisor, order.IssueSupervision{Reason: "x"}), by(handler, order.AnswerSupervision{Number: 1, Answer: "y"})),
			by(handler, order.AnswerSupervision{Number: 1, Answer: "y"}), rule.GuardFailed, "E5"},
		{"another unit does not answer", join(handled, by(supervisor, order.IssueSupervision{Reason: "x"})), by(otherHandler, order.AnswerSupervision{Number: 1, Answer: "y"}), rule.OutsideJuris, "E5"},

		{"only what runs is computed anew", handled, by(arbiter, order.RecomputeDeadline{ID: "handle/1/1/9", Reason: "x"}), rule.GuardFailed, "I3"},
		{"what the calendar leaves alone stays", handled, by(arbiter, order.RecomputeDeadline{ID: "handle/1/1/1", Reason: "x"}), rule.GuardFailed, "I3"},
		{"computing anew has a reason", handled, by(arbiter, order.RecomputeDeadline{ID: "handle/1/1/1"}), rule.GuardFailed, "I3"},
		{"an arbiter of elsewhere computes nothing", handled, by(person(orgs.Arbiter, elsewhere), order.RecomputeDeadline{ID: "handle/1/1/1", Reason: "x"}), rule.OutsideJuris, "I3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := given(t, c.given...)
			d.now = d.now.Add(max(c.when.after, time.Minute))
			at := d.at(c.when.who)
			at.Second = c.when.second
			if c.rule == "I18" {
				at.Occurred = at.Recorded.Add(time.Second)
			}
			before := d.state
			es, err := d.try(c.when.what, at)
			if es != nil || !same(before, d.state) {
				t.Errorf("got %v, want nothing to happen", types(es))
			}
			r := refusal(t, err)
			if r.Code != c.code || r.Rule != c.rule {
				t.Errorf("got %s (%s) %s, want %s (%s)", r.Code, r.Rule, r.Detail.En, c.code, c.rule)
			}
			if r.State != string(d.state.Phase) || !slices.Equal(r.Possible, order.Machine.Possible(d.state.Phase)) {
				t.Errorf("got state %q, possible %v; want %q, %v", r.State, r.Possible, d.state.Phase, order.Machine.Possible(d.state.Phase))
			}
			if r.Detail.Zh == "" || r.Detail.En == "" || strings.Contains(r.Detail.Zh+r.Detail.En, "%!") {
				t.Errorf("got the sentence %+v, want it in both languages", r.Detail)
			}
		})
	}
}

// helped is an order in handling whose co-unit has not reported.
func helped() []step {
	return []step{by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.CoUnits = []orgs.UnitCode{property} })),
		by(handler, order.Sign{}), by(handler, contact())}
}

// extended is an order in handling whose request for a day more was decided.
func extended(decision order.Command) []step {
	return join(handled, by(handler, order.RequestExtension{Amount: 1, Reason: "parts", Told: true}), by(streetLeader, decision))
}

// reportedAt is a reported order that lies where the unit's rights reach, so that only its independence is in question.
func reportedAt(place orgs.UnitCode) []step {
	return join([]step{by(system, changed(dispatch(), func(c *order.Dispatch) { c.By, c.Place = street, place }))}, reported[1:]...)
}

// returnedBy is an order that a unit returned, at whose place it lies, and that an agency reported.
func returnedBy(unit orgs.UnitCode) []step {
	return []step{
		by(system, changed(dispatch(), func(c *order.Dispatch) { c.By, c.Place, c.Lead = street, unit, unit })),
		by(person(orgs.Handler, unit), requestReturn(agency)), by(districtDesk, order.ApproveReturn{}),
		by(dispatcher, order.Redispatch{Lead: agency}), by(handler, order.Sign{}), by(handler, contact()), by(handler, report())}
}

func TestTheGate(t *testing.T) {
	toCommunity := changed(dispatch(), func(c *order.Dispatch) { c.Lead = community })
	withHelp := changed(dispatch(), func(c *order.Dispatch) { c.CoUnits = []orgs.UnitCode{community} })
	for _, c := range []struct {
		name  string
		gate  closedTo
		given []step
		when  step
		want  rule.Code
	}{
		{"a blocked community gets no order", closedTo{community, false}, nil, by(dispatcher, toCommunity), rule.GateBlocked},
		{"not from the process manager either", closedTo{community, false}, nil,
			by(system, changed(toCommunity, func(c *order.Dispatch) { c.By = street })), rule.GateBlocked},
		{"it may still assist", closedTo{community, false}, nil, by(dispatcher, withHelp), ""},
		{"unless assisting is blocked too", closedTo{community, true}, nil, by(dispatcher, withHelp), rule.GateBlocked},
		{"a blocked community gets no redispatched order", closedTo{community, false}, returned, by(dispatcher, order.Redispatch{Lead: community}), rule.GateBlocked},
		{"nor one to assist with", closedTo{community, true}, returned,
			by(dispatcher, order.Redispatch{Lead: property, CoUnits: []orgs.UnitCode{community}}), rule.GateBlocked},
		{"not even from an arbiter", closedTo{community, false}, join(bounced, by(arbiter, order.ApproveReturn{})),
			by(arbiter, order.Redispatch{Lead: community}), rule.GateBlocked},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := given(t, c.given...)
			d.gate = c.gate
			es, err := d.attempt(c.when)
			if c.want == "" {
				if err != nil {
					t.Errorf("got %v, want it to pass", err)
				}
				return
			}
			if r := refusal(t, err); r.Code != c.want || es != nil {
				t.Errorf("got %v, %s; want %s", types(es), r.Code, c.want)
			}
		})
	}
}

func TestTheClocksRunAsTheTableSays(t *testing.T) {
	for _, c := range []struct {
		name string
		when []step
		want []string
	}{
		{"dispatching starts sign, contact and handle", dispatched, []string{"contact", "handle", "sign"}},
		{"signing stops sign", signed, []string{"contact", "handle"}},
		{"contact stops contact", handled, []string{"handle"}},
		{"a requested return stops sign, never handle", pendingNew, []string{"contact", "handle", "return_decision"}},
		{"a refused return goes on", join(pendingNew, by(districtDesk, order.RefuseReturn{Reason: "yours"})), []string{"contact", "handle"}},
		{"an approved return stops the leg's clocks and starts redispatch", returned, []string{"redispatch"}},
		{"redispatching starts all anew", second, []string{"contact", "handle", "sign"}},
		{"a suspension freezes handle", suspended, []string{"suspension_review"}},
		{"resuming restarts it", join(suspended, by(handler, order.Resume{})), []string{"handle"}},
		{"a report freezes handle", reported, []string{"verify"}},
		{"a failed verification restarts it", join(reported, by(verifier, fail())), []string{"handle"}},
		{"a passed one stops both", verified, nil},
		{"rework has a clock of its own", join(verified, by(system, rework())), []string{"rework"}},
		{"which a report freezes", join(verified, by(system, rework()), by(handler, report())), []string{"verify"}},
		{"and a failed verification restarts", join(verified, by(system, rework()), by(handler, report()), by(verifier, fail())), []string{"rework"}},
		{"reopening has the same clock", join(closed, by(streetLeader, reopen())), []string{"rework"}},
		{"closing stops all", join(handled, by(supervisor, order.IssueSupervision{Reason: "x"}), by(handler, report()), by(verifier, pass()), by(system, order.Close{Cause: "answered"})), nil},
		{"a supervision outlasts the verification", join(handled, by(supervisor, order.IssueSupervision{Reason: "x"}), by(handler, report()), by(verifier, pass())), []string{"supervision"}},
		{"until it is answered", join(handled, by(supervisor, order.IssueSupervision{Reason: "x"}), by(handler, report()), by(verifier, pass()),
			by(handler, order.AnswerSupervision{Number: 1, Answer: "done"})), nil},
		{"two supervisions run beside each other", join(handled, by(supervisor, order.IssueSupervision{Reason: "x"}), by(streetLeader, order.IssueSupervision{Reason: "y"})),
			[]string{"handle", "supervision", "supervision"}},
		{"and are answered one by one", join(handled, by(supervisor, order.IssueSupervision{Reason: "x"}), by(streetLeader, order.IssueSupervision{Reason: "y"}),
			by(handler, order.AnswerSupervision{Number: 1, Answer: "done"})), []string{"handle", "supervision"}},
		{"cancelling stops all", cancelled, nil},
		{"a request for more time must be decided", join(handled, by(handler, order.RequestExtension{Amount: 1, Reason: "x", Told: true})), []string{"extension_decision", "handle"}},
		{"and lapses with a report", join(handled, by(handler, order.RequestExtension{Amount: 1, Reason: "x", Told: true}), by(handler, report())), []string{"verify"}},
		{"and with a request to return it", join(handled, by(handler, order.RequestExtension{Amount: 1, Reason: "x", Told: true}), by(handler, requestReturn(property))), []string{"handle", "return_decision"}},
		{"and is over when granted", extended(order.GrantExtension{}), []string{"handle"}},
		{"and when refused", extended(order.RefuseExtension{Reason: "no"}), []string{"handle"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := names(given(t, c.when...).state.Running); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func date(t testing.TB, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestASuspensionGivesBackTheDaysThatWereLeft is the rule book's own example: fifteen working days from
// 10 September 2025, suspended on the 19th with eight left, one of them a make-up Sunday, resumed on 20 October.
func TestASuspensionGivesBackTheDaysThatWereLeft(t *testing.T) {
	d := given(t, verified...)
	d.now = date(t, "2025-09-10").Start().Add(10*time.Hour - time.Minute)
	d.do(t, by(system, rework()))
	first := d.due(t, calendar.Rework)
	if want := date(t, "2025-09-30").End(); !first.Due.Equal(want) {
		t.Fatalf("rework: got due %s, want %s", first.Due, want)
	}
	d.now = date(t, "2025-09-19").Start().Add(10 * time.Hour)
	d.do(t, by(handler, order.Suspend{Reason: "season", ReviewOn: date(t, "2025-10-20")}).confirmedBy(arbiter))
	if d.state.Frozen.ID != first.ID || !d.state.FrozenAt.Equal(d.now) {
		t.Errorf("suspended: got %s frozen at %s, want %s at %s", d.state.Frozen.ID, d.state.FrozenAt, first.ID, d.now)
	}
	d.now = date(t, "2025-10-20").Start().Add(8 * time.Hour)
	d.do(t, by(handler, order.Resume{}))
	again := d.due(t, calendar.Rework)
	if want := date(t, "2025-10-30").End(); !again.Due.Equal(want) || !again.OriginalDue.Equal(first.Due) || again.ID == first.ID {
		t.Errorf("resumed: got %s, due %s, first %s; want due %s, first %s, under an id of its own", again.ID, again.Due, again.OriginalDue, want, first.Due)
	}
}

func TestADueThatHasPassedStaysPassed(t *testing.T) {
	d := given(t, handled...)
	first := d.due(t, calendar.Handle)
	d.do(t, by(handler, report()).later(20*24*time.Hour), by(verifier, fail()))
	if again := d.due(t, calendar.Handle); again.ID != first.ID || !again.Due.Equal(first.Due) {
		t.Errorf("got %s due %s, want it to stay %s due %s: it has fired and fires no more", again.ID, again.Due, first.ID, first.Due)
	}
}

func TestAnExtensionMovesTheDueAndKeepsTheFirst(t *testing.T) {
	d := given(t, handled...)
	first := d.due(t, calendar.Handle)
	d.do(t, by(handler, order.RequestExtension{Amount: 7, Reason: "parts", Told: true}), by(streetLeader, order.GrantExtension{}))
	got := d.due(t, calendar.Handle)
	if want := (calendar.DateOf(first.Due) + 7).End(); !got.Due.Equal(want) || !got.OriginalDue.Equal(first.Due) || got.ID == first.ID {
		t.Errorf("got %s due %s, first %s; want due %s, first %s, under an id of its own", got.ID, got.Due, got.OriginalDue, want, first.Due)
	}
	d.do(t, by(handler, report()), by(verifier, pass()), by(system, rework()))
	d.do(t, by(handler, order.RequestExtension{Amount: 15, Reason: "parts", Told: true}))
}

func TestATargetDateIsTheEndOfThatDay(t *testing.T) {
	topical := changed(dispatch(), func(c *order.Dispatch) {
		c.Topic, c.Cycle, c.Target = topicID, 1, calendar.DateOf(monday())+40
	})
	d := given(t, by(dispatcher, topical))
	if got := d.due(t, calendar.Handle); !got.Due.Equal(topical.Target.End()) {
		t.Errorf("got due %s, want %s", got.Due, topical.Target.End())
	}
	d.do(t, by(handler, requestReturn(property)), by(districtDesk, order.ApproveReturn{}), by(dispatcher, order.Redispatch{Lead: property}))
	if got := d.due(t, calendar.Handle); !got.Due.Equal(topical.Target.End()) {
		t.Errorf("redispatched: got due %s, want %s", got.Due, topical.Target.End())
	}
	late := given(t, by(system, changed(topical, func(c *order.Dispatch) { c.By, c.Target = street, calendar.DateOf(monday())-1 })))
	if got, want := late.due(t, calendar.Handle).Due, (calendar.DateOf(monday()) + 7).End(); !got.Equal(want) {
		t.Errorf("handed over after the target date: got due %s, want the amount of the urgency, %s", got, want)
	}
}

func TestTheReturnWindowDependsOnUrgency(t *testing.T) {
	for urgency, want := range map[string]time.Duration{"A": 30 * time.Minute, "B": 2 * time.Hour, "C": 39*time.Hour - time.Second - time.Minute} {
		d := given(t, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Urgency = urgency })))
		if got := d.state.ReturnBy.Sub(d.state.DispatchedAt); got != want {
			t.Errorf("urgency %s: got %s after the dispatch, want %s", urgency, got, want)
		}
	}
	d := given(t, dispatched...)
	d.now = d.state.ReturnBy.Add(-time.Minute)
	d.do(t, by(handler, requestReturn(property)))
	d.do(t, by(districtDesk, order.ApproveReturn{}).later(72*time.Hour), by(dispatcher, order.Redispatch{Lead: property}))
	if want := d.clocks.Add(d.now, calendar.Amount{N: 1, Kind: calendar.WorkingDays}); !d.state.ReturnBy.Equal(want) {
		t.Errorf("redispatched: got a window until %s, want the next unit's own, until %s", d.state.ReturnBy, want)
	}
}

func TestTheThirdUnitThatReturnsItMakesAProblemOrder(t *testing.T) {
	d := given(t, third...)
	if d.state.Problem {
		t.Fatal("two returns: got a problem order, want none")
	}
	es, err := d.attempt(by(otherHandler, requestReturn(community)))
	if want := []string{"return-requested", "problem-order-flagged", "order-escalated"}; err != nil || !slices.Equal(types(es), want) {
		t.Fatalf("third return: got %v, %v; want %v", types(es), err, want)
	}
	if f := es[1].(order.ProblemFlagged); f.Cause != "returns" || !d.state.Problem || d.state.Phase != order.PhaseReturnPending {
		t.Errorf("got cause %q, problem %v in %s; want returns, true in return_pending", f.Cause, d.state.Problem, d.state.Phase)
	}
	kept := *d
	kept.do(t, by(arbiter, order.RefuseReturn{Reason: "it is yours"}))
	if !kept.state.Leg().Final {
		t.Error("an arbiter refused the third return: got a leg that is not final")
	}
	d.do(t, by(arbiter, order.ApproveReturn{}), by(arbiter, order.Redispatch{Lead: community}))
	if l := d.state.Leg(); !l.Final || l.By != district || len(d.state.Legs) != 4 || d.state.By != district {
		t.Errorf("got leg %+v, want the fourth, final, of %s", l, district)
	}
}

func TestTheThirdReworkMakesAProblemOrder(t *testing.T) {
	d := given(t, join(reported, by(verifier, fail()), by(handler, report()), by(verifier, pass()), by(system, rework()),
		by(handler, report()), by(verifier, pass()), by(system, order.Close{Cause: "answered"}))...)
	if d.state.Problem || d.state.Reworks != 2 {
		t.Fatalf("got problem %v after %d, want none after 2", d.state.Problem, d.state.Reworks)
	}
	es, err := d.attempt(by(streetLeader, reopen()))
	if want := []string{"order-reopened", "problem-order-flagged", "order-escalated"}; err != nil || !slices.Equal(types(es), want) || es[1].(order.ProblemFlagged).Cause != "rework" {
		t.Fatalf("got %v, %v; want %v for rework", types(es), err, want)
	}
	d.do(t, by(handler, report()))
	if es, err := d.attempt(by(verifier, fail())); err != nil || len(es) != 1 {
		t.Errorf("fourth rework: got %v, %v; want it flagged once", types(es), err)
	}
}

// TestTheReportThatPassedIsTheOneThatCounts: the effective instant of rule I18 and the revision are the report's.
func TestTheReportThatPassedIsTheOneThatCounts(t *testing.T) {
	for _, c := range []struct {
		name          string
		occurred      time.Duration // before recorded
		sinceHandling time.Duration
		want          time.Duration // before recorded
	}{
		{"reported at once", 0, 3 * time.Hour, 0},
		{"entered an hour late", time.Hour, 3 * time.Hour, time.Hour},
		{"entered a day late", 24 * time.Hour, 30 * time.Hour, 24 * time.Hour},
		{"entered more than a day late", 24*time.Hour + time.Second, 30 * time.Hour, 0},
		{"said to be done before handling began", 4 * time.Hour, 3 * time.Hour, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := given(t, handled...)
			d.now = d.now.Add(c.sinceHandling)
			at := d.at(handler)
			at.Occurred = at.Recorded.Add(-c.occurred)
			if _, err := d.try(report(), at); err != nil {
				t.Fatal(err)
			}
			want := at.Recorded.Add(-c.want)
			if !d.state.FrozenAt.Equal(want) {
				t.Errorf("handle stands still from %s, want %s", d.state.FrozenAt, want)
			}
			es, err := d.attempt(by(verifier, pass()))
			if err != nil {
				t.Fatal(err)
			}
			e := es[0].(order.VerificationPassed)
			if !e.DoneAt.Equal(want) || e.Report != 3 || e.Outcome != "resolved" || e.Summary != "cleared" {
				t.Errorf("got done %s, report %d, %s, %s; want %s, 3, resolved, cleared", e.DoneAt, e.Report, e.Outcome, e.Summary, want)
			}
		})
	}
	d := given(t, join(reported, by(supervisor, order.IssueSupervision{Reason: "x"}), by(verifier, fail()), by(handler, changed(report(), func(c *order.ReportHandling) { c.Outcome = "partly" })))...)
	es, err := d.attempt(by(verifier, pass()))
	if err != nil {
		t.Fatal(err)
	}
	if e := es[0].(order.VerificationPassed); e.Report != 6 || e.Outcome != "partly" {
		t.Errorf("the second report passed: got report %d, %s; want 6, partly", e.Report, e.Outcome)
	}
	if d.state.Attempt != 2 {
		t.Errorf("got attempt %d, want 2", d.state.Attempt)
	}
}

func TestWhoActsForAGrid(t *testing.T) {
	toGrid := by(clerk, changed(dispatch(), func(c *order.Dispatch) { c.Lead = grid }))
	for _, who := range []rule.Actor{gridWorker, person(orgs.GridSecretary, grid), clerk, secretary} {
		given(t, toGrid, by(who, order.Sign{}))
	}
	given(t, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Lead, c.Competent = team, agency })), by(teamHandler, order.Sign{}))
	given(t, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Lead, c.Competent = team, agency })), by(handler, order.Sign{}))
	d := given(t, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Lead, c.Competent = team, agency })))
	if _, err := d.attempt(by(otherHandler, order.Sign{})); refusal(t, err).Code != rule.OutsideJuris {
		t.Errorf("a member that is not the competent one signs: got %v, want it refused", err)
	}
}

func TestReassigning(t *testing.T) {
	toGrid := by(clerk, changed(dispatch(), func(c *order.Dispatch) { c.Lead = grid }))
	d := given(t, toGrid, by(system, order.Reassign{Worker: "w2"}))
	if d.state.Worker != "w2" || d.state.Lead != grid {
		t.Errorf("acting worker: got %s at %s, want w2 at %s", d.state.Worker, d.state.Lead, grid)
	}
	running := d.state.Running
	for _, c := range []order.Reassign{{Worker: "w2"}, {Worker: "w9", Held: grid2}, {Lead: community, Held: grid2}} {
		if events, err := d.attempt(by(system, c)); err != nil || len(events) > 0 {
			t.Errorf("%+v, which is so already or is no longer theirs: got %v, %v, want nothing", c, events, err)
		}
	}
	d.do(t, by(system, order.Reassign{Held: grid, Lead: grid2, Reason: "re-divided"}))
	if d.state.Lead != grid2 || d.state.Leg().Lead != grid2 || d.state.Worker != "" || len(d.state.Legs) != 1 {
		t.Errorf("successor grid: got %+v, want %s to lead the same leg", d.state.Leg(), grid2)
	}
	if !slices.EqualFunc(d.state.Running, running, func(a, b calendar.Due) bool { return a.ID == b.ID }) {
		t.Errorf("got clocks %v, want %v: they run on", names(d.state.Running), names(running))
	}
	if bodies := d.state.Bodies(); !slices.Contains(bodies, grid) || !slices.Contains(bodies, grid2) {
		t.Errorf("got bodies %v, want both grids", bodies)
	}
	d.do(t, by(system, order.Reassign{Lead: community}))
	if _, err := d.attempt(by(system, order.Reassign{Lead: grid})); refusal(t, err).Rule != "R21" {
		t.Errorf("back from the community: got %v, want R21", err)
	}
}

func TestWhatIsSoAlreadyDecidesNothing(t *testing.T) {
	rated := given(t, join(closed, by(streetLeader, order.Rate{Leg: 1, Score: 80}))...)
	if es, err := rated.attempt(by(streetLeader, order.Rate{Leg: 1, Score: 80})); es != nil || err != nil {
		t.Errorf("the same rating: got %v, %v; want nothing", types(es), err)
	}
	d := given(t, dispatched...)
	for _, c := range []order.Command{order.AttachDemand{Demand: d1}, order.DetachDemand{Demand: d3}} {
		if es, err := d.attempt(by(system, c)); es != nil || err != nil {
			t.Errorf("%s: got %v, %v; want nothing", c.Name(), types(es), err)
		}
	}
}

// TestAskedTwiceDecidesNothing goes down every row and note: the same person saying the same at the same
// moment is heard once, also if the second time comes later. The clock's own commands are left out: their keys tell a
// repeat (see the laws of the clock), and two warnings of one clock may come at the same moment.
func TestAskedTwiceDecidesNothing(t *testing.T) {
	asked := 0
	for name, d := range positions(t) {
		for _, s := range tries(d) {
			here := *d
			if s.who == clock {
				continue
			}
			if _, err := here.attempt(s); err != nil {
				continue
			}
			at := here.at(s.who)
			at.Second = s.second
			for _, later := range []time.Duration{0, time.Second, 40 * 24 * time.Hour} {
				at.Recorded = here.now.Add(later)
				if es, err := order.Decide(here.state, s.what, at); es != nil || err != nil {
					t.Errorf("%s: %s again after %s: got %v, %v; want nothing", name, s.what.Name(), later, types(es), err)
				}
			}
			at.Recorded = here.now.Add(time.Hour)
			at.Actor.ID = "somebody else"
			if es, err := order.Decide(here.state, s.what, at); err == nil && len(es) == 0 && !slices.Contains([]string{"attach-demand", "detach-demand", "rate"}, s.what.Name()) { // these say what is so
				t.Errorf("%s: %s by somebody else: got silence, want an answer", name, s.what.Name())
			}
			asked++
		}
	}
	if asked < 100 {
		t.Errorf("asked %d times, want at least 100", asked)
	}
}

// TestAnArrivedNoticeSettlesADue: asked in the last days of the year with no notice for the next.
func TestAnArrivedNoticeSettlesADue(t *testing.T) {
	d := newDesk()
	all := d.clocks.Calendar
	d.now, d.clocks.Calendar = monday().AddDate(0, 3, 21), all.Without(2026)
	d.do(t, dispatched...)
	d.do(t, by(supervisor, order.IssueSupervision{Reason: "slow"}))
	old := d.due(t, calendar.Supervision)
	if !old.Provisional {
		t.Fatalf("got %+v, want it provisional", old)
	}
	if _, err := d.attempt(by(arbiter, order.RecomputeDeadline{ID: old.ID, Reason: "too early"})); refusal(t, err).Rule != "I3" {
		t.Errorf("without the notice: got %v, want it refused", err)
	}
	d.clocks.Calendar = all
	d.do(t, by(arbiter, order.RecomputeDeadline{ID: old.ID, Reason: "the notice has come"}))
	settled := d.due(t, calendar.Supervision)
	if settled.Provisional || !settled.Due.After(old.Due) || settled.ID == old.ID || !settled.OriginalDue.Equal(old.Due) {
		t.Errorf("got %+v, want it later than %s, settled, under an id of its own", settled, old.Due)
	}
	d.do(t, by(handler, order.AnswerSupervision{Number: 1, Answer: "done"}))
	if _, runs := d.state.Running.Get(calendar.Supervision); runs {
		t.Error("answered after it was moved: the clock still runs")
	}
}

// TestANoticeSettlesWhatWasLeftAfterASuspension: of fifteen working days two were counted when it was
// suspended, so thirteen run from the day it was resumed; the notice takes New Year's Day and the Friday after
// it out of them and puts the Sunday in.
func TestANoticeSettlesWhatWasLeftAfterASuspension(t *testing.T) {
	d := given(t, verified...)
	all := d.clocks.Calendar
	d.clocks.Calendar = all.Without(2026)
	on := func(day string) { d.now = date(t, day).Start().Add(10 * time.Hour) }
	on("2025-12-15")
	d.do(t, by(system, rework()))
	on("2025-12-17")
	d.do(t, by(handler, order.Suspend{Reason: "funding", ReviewOn: date(t, "2025-12-25")}).confirmedBy(streetLeader))
	on("2025-12-22")
	d.do(t, by(handler, order.Resume{}))
	old := d.due(t, calendar.Rework)
	if want := date(t, "2026-01-08").End(); !old.Due.Equal(want) || !old.Provisional {
		t.Fatalf("before the notice: got %s, provisional %v; want %s, provisional", old.Due, old.Provisional, want)
	}
	d.clocks.Calendar = all
	on("2025-12-23")
	d.do(t, by(arbiter, order.RecomputeDeadline{ID: old.ID, Reason: "the notice has come"}))
	if got, want := d.due(t, calendar.Rework), date(t, "2026-01-09").End(); !got.Due.Equal(want) || got.Provisional {
		t.Errorf("after the notice: got %s, provisional %v; want %s, settled", got.Due, got.Provisional, want)
	}
}

// TestANoticeSettlesAClockThatStandsStill: of the same fifteen working days two were counted when it was suspended, and the
// notice comes while it stands still. It is settled as if it ran, and from the day it was resumed the same thirteen run.
// Without that the day that the notice takes out of them would be lost.
func TestANoticeSettlesAClockThatStandsStill(t *testing.T) {
	d := given(t, verified...)
	all := d.clocks.Calendar
	d.clocks.Calendar = all.Without(2026)
	on := func(day string) { d.now = date(t, day).Start().Add(10 * time.Hour) }
	on("2025-12-15")
	d.do(t, by(system, rework()))
	on("2025-12-17")
	d.do(t, by(handler, order.Suspend{Reason: "funding", ReviewOn: date(t, "2025-12-25")}).confirmedBy(streetLeader))
	old := d.state.Frozen
	if want := date(t, "2026-01-05").End(); !old.Due.Equal(want) || !old.Provisional {
		t.Fatalf("before the notice: got %s, provisional %v; want %s, provisional", old.Due, old.Provisional, want)
	}
	d.clocks.Calendar = all
	on("2025-12-18")
	d.do(t, by(system, order.RecomputeDeadline{ID: old.ID, Reason: "the notice has come"}))
	if got, want := d.state.Frozen, date(t, "2026-01-06").End(); !got.Due.Equal(want) || got.Provisional || got.ID == old.ID {
		t.Errorf("after the notice: got %+v, want %s, settled", got, want)
	}
	if es, err := d.attempt(by(system, order.RecomputeDeadline{ID: d.state.Frozen.ID, Reason: "the notice has come"})); len(es) > 0 || err != nil {
		t.Errorf("once more: got %v, %v; want nothing", types(es), err)
	}
	on("2025-12-22")
	d.do(t, by(handler, order.Resume{}))
	if got, want := d.due(t, calendar.Rework), date(t, "2026-01-09").End(); !got.Due.Equal(want) || got.Provisional {
		t.Errorf("resumed: got %s, provisional %v; want %s, settled", got.Due, got.Provisional, want)
	}
}

// TestWhatWasLateBeforeItStoppedIsCountedFromItsStart: reported after the due, failed by the verifier; the clock goes on to the due
// that it had, and the notice settles it by all of its fifteen days.
func TestWhatWasLateBeforeItStoppedIsCountedFromItsStart(t *testing.T) {
	d := given(t, verified...)
	all := d.clocks.Calendar
	d.clocks.Calendar = all.Without(2026)
	on := func(day string) { d.now = date(t, day).Start().Add(10 * time.Hour) }
	on("2025-12-15")
	d.do(t, by(system, rework()))
	on("2026-01-06")
	old := d.due(t, calendar.Rework)
	d.do(t, by(clock, order.ExpireClock{ID: old.ID}), by(handler, report()))
	on("2026-01-07")
	d.do(t, by(verifier, order.FailVerification{Reason: "still cold", Method: "on_site"}))
	if d.due(t, calendar.Rework).ID != old.ID || !d.state.Restarted.IsZero() {
		t.Fatalf("got %+v, counted from %s; want it as it was", d.due(t, calendar.Rework), d.state.Restarted)
	}
	d.clocks.Calendar = all
	d.do(t, by(system, order.RecomputeDeadline{ID: old.ID, Reason: "the notice has come"}))
	now := d.due(t, calendar.Rework)
	if want := date(t, "2026-01-06").End(); !now.Due.Equal(want) || now.Provisional || now.ID == old.ID {
		t.Errorf("got %+v, want %s, settled", now, want)
	}
	// It expired by the old due, and does not again by the new one. What is still to come is the next step of rule E2.
	for _, a := range d.state.Alarms() {
		if a.ID == now.ID && a.Step != "step/1" {
			t.Errorf("to come is %s at %s, want only the next step", a.Key(), a.At)
		}
	}
	if es, err := d.attempt(by(clock, order.ExpireClock{ID: now.ID})); len(es) > 0 || err != nil {
		t.Errorf("expired again: got %v, %v; want nothing", types(es), err)
	}
}

// TestASupervisionOfVerifiedWorkIsSettledToo: its account is still owed then.
func TestASupervisionOfVerifiedWorkIsSettledToo(t *testing.T) {
	d := given(t, reported...)
	all := d.clocks.Calendar
	d.now, d.clocks.Calendar = date(t, "2025-12-30").Start(), all.Without(2026)
	d.do(t, by(supervisor, order.IssueSupervision{Reason: "slow"}), by(verifier, pass()))
	old := d.due(t, calendar.Supervision)
	d.clocks.Calendar = all
	d.do(t, by(system, order.RecomputeDeadline{ID: old.ID, Reason: "the notice has come"}))
	if now := d.due(t, calendar.Supervision); now.Provisional || !now.Due.After(old.Due) || d.state.Supervisions[0].Deadline != now.ID {
		t.Errorf("got %+v, want it settled, and the account owed by it", now)
	}
}

// TestNobodyLosesDays: a notice of working weekends would make the due earlier, and the policy would allow it.
func TestNobodyLosesDays(t *testing.T) {
	d := newDesk()
	known := d.clocks.Calendar.Without(2026)
	d.now, d.clocks.Calendar, d.clocks.Policy.Settle = date(t, "2025-12-30").Start(), known, calendar.Recomputed
	d.do(t, by(dispatcher, dispatch()), by(supervisor, order.IssueSupervision{Reason: "slow"}))
	old := d.due(t, calendar.Supervision)
	busy, err := known.With(calendar.Notice{Year: 2026, Off: []calendar.Date{date(t, "2026-10-01")},
		Work: []calendar.Date{date(t, "2026-01-03"), date(t, "2026-01-04")}})
	if err != nil {
		t.Fatal(err)
	}
	d.clocks.Calendar = busy
	d.do(t, by(arbiter, order.RecomputeDeadline{ID: old.ID, Reason: "the notice has come"}))
	if got := d.due(t, calendar.Supervision); !got.Due.Equal(old.Due) || got.Provisional || got.ID != old.ID {
		t.Errorf("got %s due %s, provisional %v; want %s due %s, settled", got.ID, got.Due, got.Provisional, old.ID, old.Due)
	}
}

func TestWhereEveryDemandIsAnonymousNobodyIsToldOfAnExtension(t *testing.T) {
	given(t, by(dispatcher, changed(dispatch(), func(c *order.Dispatch) { c.Anonymous = true })), by(handler, order.Sign{}),
		by(handler, order.WaiveContact{Cause: "anonymous"}), by(handler, order.RequestExtension{Amount: 1, Reason: "parts"}))
}

func TestFact(t *testing.T) {
	d := given(t, join(second, by(propertyHandler, order.Sign{}), by(propertyHandler, contact()), by(propertyHandler, report()), by(verifier, pass()))...)
	f := d.state.Fact()
	if f.ID != d.state.ID || f.Phase != "verified" || f.Lead != property || f.Live || !f.Verified || f.Closed || f.Cancelled ||
		!slices.Equal(f.Bodies, []orgs.UnitCode{agency, property}) {
		t.Errorf("got %+v, want verified by %s after %s", f, property, agency)
	}
	if f := given(t, cancelled...).state.Fact(); f.Live || !f.Cancelled || f.Verified {
		t.Errorf("got %+v, want cancelled", f)
	}
	if f := given(t, join(closed, by(streetLeader, reopen()))...).state.Fact(); !f.Live || !f.Verified || f.Closed {
		t.Errorf("reopened: got %+v, want live and verified once", f)
	}
	if s := given(t, join(closed, by(streetLeader, reopen()))...).state; !s.ClosedAt.IsZero() {
		t.Errorf("reopened: got closed at %s, want it open", s.ClosedAt)
	}
	if f := (order.State{}).Fact(); f.Live || f.Bodies != nil {
		t.Errorf("nothing: got %+v, want no order", f)
	}
}
