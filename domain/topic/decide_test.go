package topic

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
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// outcome is what came of a step in one line: event types, or code and rule of a refusal.
func outcome(events []Event, err error) string {
	var r *rule.Refusal
	switch {
	case errors.As(err, &r):
		if len(events) > 0 {
			return fmt.Sprintf("refused with events: %v", events)
		}
		return fmt.Sprintf("%s %s", r.Code, r.Rule)
	case err != nil:
		return "error: " + err.Error()
	case len(events) == 0:
		return "nothing"
	}
	var types []string
	for _, e := range events {
		types = append(types, e.EventType())
	}
	return strings.Join(types, " ")
}

func anything(c Command) func(State, time.Time) Command {
	return func(State, time.Time) Command { return c }
}

// blocking is a gate that lets nothing onto one unit.
type blocking orgs.UnitCode

func (b blocking) Check(target orgs.Unit, _ string, _ bool, _ calendar.Date) *rule.Block {
	if target.Code != orgs.UnitCode(b) {
		return nil
	}
	return &rule.Block{List: "negative-1", Version: 3, Row: "17"}
}

func demandFact(change func(*rule.DemandFact)) func(State) rule.Facts {
	return func(s State) rule.Facts {
		f := twoDemands(s)
		change(&f.Demands[1])
		return f
	}
}

// linked adds a demand that the topic governs to what orders says.
func linked(phase string, d rule.DemandFact) func(State) rule.Facts {
	return func(s State) rule.Facts {
		f := orders(phase)(s)
		f.Demands = append(f.Demands, d)
		return f
	}
}

func noFacts(State) rule.Facts { return rule.Facts{} }

func manyDemands(n int) (propose func(*Propose), facts func(State) rule.Facts) {
	var ids []stream.ID
	var known []rule.DemandFact
	for i := range n {
		id := stream.DemandFor("wechat", fmt.Sprint(i))
		ids = append(ids, id)
		known = append(known, rule.DemandFact{ID: id, Phase: "raised", Kind: "issue", Unit: community})
	}
	return func(c *Propose) { c.Demands = ids }, func(State) rule.Facts { return rule.Facts{Demands: known} }
}

// changed is an adopting step with its first item changed.
func changed(change func(*Item)) step { return but(adopts, func(c *Adopt) { change(&c.Items[0]) }) }

// rehand is a handover that names the items again, the n-th of them changed.
func rehand(n int, change func(*Item)) step {
	return hands.asking(func(s State, _ time.Time) Command {
		items := slices.Clone(s.Plan)
		change(&items[n])
		return HandToGrid{Items: items}
	})
}

func TestTopic(t *testing.T) {
	deliberating := []step{proposes, opens, holds}
	unheld := []step{proposes, opens}
	voting := append(slices.Clone(deliberating), opensVote)
	adopted := append(slices.Clone(deliberating), adopts)
	handling := append(slices.Clone(adopted), hands)
	concluded := append(slices.Clone(handling), publishes, concludes)
	five, fiveKnown := manyDemands(5)
	four, fourKnown := manyDemands(4)
	crowd, crowdKnown := manyDemands(maxNamed)
	mob, mobKnown := manyDemands(maxNamed + 1)
	onStreet := but(proposes, func(c *Propose) { c.Unit = street }).by(from(clerk, street))
	streetDeliberating := []step{onStreet, opens.by(from(convenor, street)), holds.by(from(convenor, street))}
	waitingDemand := rule.DemandFact{ID: demandID(0), Phase: "in_topic", Topic: self, Live: true}

	for _, c := range []struct {
		name  string
		given []step
		when  step
		then  string
	}{
		// T1
		{"T1: a clerk proposes a topic from two demands", nil, proposes, "topic-proposed/1"},
		{"T1: a convenor may propose", nil, proposes.by(convenor), "topic-proposed/1"},
		{"T1: a street proposes a wider matter", nil, onStreet, "topic-proposed/1"},
		{"T1: a street's clerk proposes for a community", nil, proposes.by(from(clerk, street)), "topic-proposed/1"},
		{"T1: a micro project may be proposed", nil, but(proposes, func(c *Propose) { c.Kind = MicroProject }), "topic-proposed/1"},
		{"T1: a patrol's finding needs no demand", nil, but(proposes, func(c *Propose) { c.Source, c.Demands = FromPatrol, nil }), "topic-proposed/1"},
		{"T1: a patrol's finding may name demands", nil, but(proposes, func(c *Propose) { c.Source = FromPatrol }), "topic-proposed/1"},
		{"T1: five demands carry a resident's proposal", nil, but(proposes, five).by(resident).knowing(fiveKnown), "topic-proposed/1"},
		{"T1: four demands do not", nil, but(proposes, four).by(resident).knowing(fourKnown), "guard_failed T1"},
		{"T1: a clerk needs one", nil, but(proposes, four).knowing(fourKnown), "topic-proposed/1"},
		{"T1: a resident does not propose for another community", nil, but(proposes, five).by(from(resident, beside)).knowing(fiveKnown), "outside_jurisdiction T1"},
		{"T1: a resident does not propose what a patrol found", nil,
			but(but(proposes, five), func(c *Propose) { c.Source = FromPatrol }).by(resident).knowing(fiveKnown), "guard_failed T1"},
		{"T1: two hundred demands may be named", nil, but(proposes, crowd).knowing(crowdKnown), "topic-proposed/1"},
		{"T1: not more", nil, but(proposes, mob).knowing(mobKnown), "guard_failed T1"},
		{"T1: a topic from residents names a demand", nil, but(proposes, func(c *Propose) { c.Demands = nil }), "guard_failed T1"},
		{"T1: a demand is named once", nil, but(proposes, func(c *Propose) { c.Demands[1] = c.Demands[0] }), "guard_failed T1"},
		{"T1: a named demand exists", nil, proposes.knowing(noFacts), "guard_failed T1"},
		{"T1: a named demand is not in handling", nil, proposes.knowing(demandFact(func(d *rule.DemandFact) { d.Phase = "in_handling" })), "guard_failed T1"},
		{"T1: a dispute never becomes part of a topic", nil, proposes.knowing(demandFact(func(d *rule.DemandFact) { d.Kind = "dispute" })), "guard_failed T1"},
		{"T1: a report never becomes part of a topic", nil, proposes.knowing(demandFact(func(d *rule.DemandFact) { d.Kind = "report" })), "guard_failed T1"},
		{"T1: a named demand lies in the topic's unit", nil, proposes.knowing(demandFact(func(d *rule.DemandFact) { d.Unit = beside })), "guard_failed T1"},
		{"T1: a title is needed", nil, but(proposes, func(c *Propose) { c.Title = " " }), "guard_failed T1"},
		{"T1: the kind is ordinary or a micro project", nil, but(proposes, func(c *Propose) { c.Kind = "huge" }), "guard_failed T1"},
		{"T1: the source is residents or a patrol", nil, but(proposes, func(c *Propose) { c.Source = "" }), "guard_failed T1"},
		{"T1: an agency has no topics", nil, but(proposes, func(c *Propose) { c.Unit = agency }).by(from(clerk, street)), "guard_failed T1"},
		{"T1: the unit exists", nil, but(proposes, func(c *Propose) { c.Unit = "150105009" }), "guard_failed T1"},
		{"T1: a closed unit has no topics", nil, but(proposes, func(c *Propose) { c.Unit = gone }), "guard_failed T1"},
		{"T1: a clerk proposes in the own jurisdiction", nil, proposes.by(from(clerk, beside)), "outside_jurisdiction T1"},
		{"T1: a community does not propose for its street", nil, onStreet.by(clerk), "outside_jurisdiction T1"},
		{"T1: nothing is proposed in the future", nil, proposes.happened(-time.Minute), "guard_failed I18"},

		// T2
		{"T2: the convenor announces a meeting", []step{proposes}, opens, "deliberation-opened/1"},
		{"T2: a deferred topic is taken up again", path(PhaseDeferred), opens, "deliberation-opened/1"},
		{"T2: three whole days lie between announcement and meeting", []step{proposes}, meeting(4*day - 9*time.Hour), "deliberation-opened/1"},
		{"T2: on the third day it is too early", []step{proposes}, meeting(4*day - 9*time.Hour - 2*time.Second), "guard_failed T2"},
		{"T2: a policy without a wait allows a meeting at once", []step{proposes}, meeting(0).under(func(p *calendar.Policy) { wait(p).N = 0 }), "deliberation-opened/1"},
		{"T2: but not one in the past", []step{proposes}, meeting(-time.Minute).under(func(p *calendar.Policy) { wait(p).N = 0 }), "guard_failed T2"},
		{"T2: a policy may ask for longer", []step{proposes}, opens.under(func(p *calendar.Policy) { wait(p).N = 7 }), "guard_failed T2"},
		{"T2: the form of deliberation is a known one", []step{proposes}, but(opens, func(c *OpenDeliberation) { c.Format = "duel" }), "guard_failed T2"},
		{"T2: the place is named", []step{proposes}, but(opens, func(c *OpenDeliberation) { c.Place = "" }), "guard_failed T2"},
		{"T2: another community's convenor does not open it", []step{proposes}, opens.by(from(convenor, beside)), "outside_jurisdiction T2"},
		{"T2: a street's convenor may", []step{proposes}, opens.by(from(convenor, street)), "deliberation-opened/1"},

		// the meeting
		{"a meeting is recorded after it was held", unheld, holds, "deliberation-held/1"},
		{"a second meeting is recorded", deliberating, holds, "deliberation-held/1"},
		{"a meeting is not recorded before it is due", unheld, holds.after(4 * day), "guard_failed T7"},
		{"a meeting did not happen before it was announced for", unheld, holds.happened(2 * day), "guard_failed T7"},
		{"a meeting of the time before the return counts no more", append(slices.Clone(handling), returns), holds.happened(7 * day), "guard_failed T7"},
		{"after a return a new meeting is held", append(slices.Clone(handling), returns), holds, "deliberation-held/1"},
		{"a meeting has minutes", unheld, but(holds, func(c *HoldDeliberation) { c.Minutes = "" }), "evidence_missing T7"},
		{"minutes are named by 64 hexadecimal digits", unheld, but(holds, func(c *HoldDeliberation) { c.Minutes = hash[1:] }), "evidence_missing T7"},
		{"the digits of minutes are lower case", unheld, but(holds, func(c *HoldDeliberation) { c.Minutes = strings.ToUpper(hash) }), "evidence_missing T7"},
		{"somebody was there", unheld, but(holds, func(c *HoldDeliberation) { c.Attendees = nil }), "guard_failed T7"},
		{"attendees are counted in positive numbers", unheld, but(holds, func(c *HoldDeliberation) { c.Attendees[0].Number = 0 }), "guard_failed T7"},
		{"attendees are counted by capacity", unheld, but(holds, func(c *HoldDeliberation) { c.Attendees[0].Capacity = "王某" }), "guard_failed T7"},
		{"each capacity is counted once", unheld, but(holds, func(c *HoldDeliberation) { c.Attendees[1].Capacity = "residents" }), "guard_failed T7"},
		{"a meeting has a known form", unheld, but(holds, func(c *HoldDeliberation) { c.Format = "" }), "guard_failed T7"},
		{"a meeting has a venue", unheld, but(holds, func(c *HoldDeliberation) { c.Venue = "" }), "guard_failed T7"},
		{"another community's convenor records no meeting", unheld, holds.by(from(convenor, beside)), "outside_jurisdiction T7"},

		// T3
		{"T3: a topic is merged into one of its street", []step{proposes}, merges, "topic-merged-into/1"},
		{"T3: a topic is merged into one of its own unit", deliberating, merges.knowing(otherTopic(rule.TopicFact{ID: other, Unit: community})), "topic-merged-into/1"},
		{"T3: not into a neighbour's", deliberating, merges.knowing(otherTopic(rule.TopicFact{ID: other, Unit: beside})), "guard_failed T3"},
		{"T3: not into a topic that has ended", deliberating, merges.knowing(otherTopic(rule.TopicFact{ID: other, Unit: street, Phase: "dropped", Terminal: true})), "guard_failed T3"},
		{"T3: not into a topic that does not exist", deliberating, merges.knowing(noFacts), "guard_failed T3"},
		{"T3: not into itself", deliberating, but(merges, func(c *Merge) { c.Target = self }).knowing(otherTopic(rule.TopicFact{ID: self, Unit: community})), "guard_failed T3"},
		{"T3: another community's convenor merges nothing", deliberating, merges.by(from(convenor, beside)), "outside_jurisdiction T3"},

		// T4
		{"T4: a proposed topic is dropped", []step{proposes}, drops, "topic-dropped/1"},
		{"T4: a deferred topic is dropped", path(PhaseDeferred), drops, "topic-dropped/1"},
		{"T4: a proposed topic is dropped though demands are linked", []step{proposes}, drops.knowing(linked("", waitingDemand)), "topic-dropped/1"},
		{"T4: a deliberation that no demand depends on is dropped", deliberating, drops, "topic-dropped/1"},
		{"T4: a demand that waits keeps a deliberation", deliberating, drops.knowing(linked("", waitingDemand)), "guard_failed T4"},
		{"T4: a demand that was withdrawn does not", deliberating, drops.knowing(linked("", rule.DemandFact{ID: demandID(0), Phase: "withdrawn", Topic: self})), "topic-dropped/1"},
		{"T4: a demand of another topic does not", deliberating, drops.knowing(linked("", rule.DemandFact{ID: demandID(0), Topic: other, Live: true})), "topic-dropped/1"},
		{"T4: its proposer may drop it all the same", []step{proposes.by(convenor), opens}, drops.knowing(linked("", waitingDemand)), "topic-dropped/1"},
		{"T4: dropping needs a reason", []step{proposes}, but(drops, func(c *Drop) { c.Reason = "" }), "guard_failed T4"},
		{"T4: another community's convenor drops nothing", []step{proposes}, drops.by(from(convenor, beside)), "outside_jurisdiction T4"},

		// T5
		{"T5: a vote is opened after a meeting", deliberating, opensVote, "vote-opened/1"},
		{"T5: a second vote is opened", append(slices.Clone(voting), failsVote), opensVote, "vote-opened/1"},
		{"T5: without a meeting there is no vote", unheld, opensVote.after(6 * day), "guard_failed T5"},
		{"T5: one option is no choice", deliberating, but(opensVote, func(c *OpenVote) { c.Options = c.Options[:1] }), "guard_failed T5"},
		{"T5: twenty options at most", deliberating, but(opensVote, func(c *OpenVote) { c.Options = make([]sealed.Public, 21) }), "guard_failed T5"},
		{"T5: options differ", deliberating, but(opensVote, func(c *OpenVote) { c.Options[1] = c.Options[0] }), "guard_failed T5"},
		{"T5: options have a text", deliberating, but(opensVote, func(c *OpenVote) { c.Options[1] = " " }), "guard_failed T5"},
		{"T5: the grids are named", deliberating, but(opensVote, func(c *OpenVote) { c.Grids = nil }), "guard_failed T5"},
		{"T5: no household is counted twice", deliberating, but(opensVote, func(c *OpenVote) { c.Grids[1] = grid }), "guard_failed T5"},
		{"T5: the grids exist", deliberating, but(opensVote, func(c *OpenVote) { c.Grids[1] = "150105003001999" }), "guard_failed T5"},
		{"T5: a retired grid does not vote", deliberating, but(opensVote, func(c *OpenVote) { c.Grids[1] = retired }), "guard_failed T5"},
		{"T5: another community's grid does not vote", deliberating, but(opensVote, func(c *OpenVote) { c.Grids[1] = gridBeside }), "guard_failed T5"},
		{"T5: on a street's topic all its grids may vote", streetDeliberating, but(opensVote, func(c *OpenVote) { c.Grids[1] = gridBeside }).by(from(convenor, street)), "vote-opened/1"},
		{"T5: somebody lives there", deliberating, but(opensVote, func(c *OpenVote) { c.Grids = []orgs.GridCode{emptyGrid} }), "guard_failed T5"},
		{"T5: a vote closes in the future", deliberating, but(opensVote, func(c *OpenVote) { c.ClosesAt = c.ClosesAt.Add(-4 * day) }), "guard_failed T5"},
		{"T5: a vote closes within ninety days", deliberating, but(opensVote, func(c *OpenVote) { c.ClosesAt = c.ClosesAt.Add(86 * day) }), "vote-opened/1"},
		{"T5: a mistyped year does not lock a topic", deliberating, but(opensVote, func(c *OpenVote) { c.ClosesAt = c.ClosesAt.Add(87 * day) }), "guard_failed T5"},
		{"T5: another community's convenor opens no vote", deliberating, opensVote.by(from(convenor, beside)), "outside_jurisdiction T5"},

		// T6
		{"T6: the convenor closes the vote when its time is over", voting, closesVote, "vote-closed/1"},
		{"T6: the clock closes the vote when its time is over", voting, closesVote.by(system).after(4 * day), "vote-closed/1"},
		{"T6: not a second before", voting, closesVote.by(system).after(4*day - time.Second), "guard_failed T6"},
		{"T6: nor does the convenor", voting, closesVote.after(4*day - time.Second), "guard_failed T6"},
		{"T6: when everyone has voted the convenor need not wait", voting, but(closesVote, func(c *CloseVote) { c.Cast = 500 }).after(day), "vote-closed/1"},
		{"T6: the clock waits all the same", voting, but(closesVote, func(c *CloseVote) { c.Cast = 500 }).by(system).after(day), "guard_failed T6"},
		{"T6: nobody voted", voting, but(closesVote, func(c *CloseVote) { c.Cast, c.Counts = 0, []int{0, 0} }), "vote-closed/1"},
		{"T6: no more votes than households", voting, but(closesVote, func(c *CloseVote) { c.Cast = 501 }), "guard_failed T6"},
		{"T6: no negative votes", voting, but(closesVote, func(c *CloseVote) { c.Cast = -1 }), "guard_failed T6"},
		{"T6: one count for each option", voting, but(closesVote, func(c *CloseVote) { c.Counts = []int{300} }), "guard_failed T6"},
		{"T6: counts add up to the votes at most", voting, but(closesVote, func(c *CloseVote) { c.Counts = []int{200, 101} }), "guard_failed T6"},
		{"T6: no negative count", voting, but(closesVote, func(c *CloseVote) { c.Counts = []int{200, -1} }), "guard_failed T6"},
		{"T6: counts do not overflow", voting, but(closesVote, func(c *CloseVote) { c.Counts = []int{200, 1<<63 - 1} }), "guard_failed T6"},
		{"T6: the ballots have a digest", voting, but(closesVote, func(c *CloseVote) { c.Ballots = "x" }), "evidence_missing T6"},
		{"T6: another community's convenor closes no vote", voting, closesVote.by(from(convenor, beside)), "outside_jurisdiction T6"},

		// T7
		{"T7: a deliberated topic is adopted", deliberating, adopts, "topic-adopted/1"},
		{"T7: a topic whose vote passed is adopted", append(slices.Clone(voting), closesVote), adopts, "topic-adopted/1"},
		{"T7: a topic whose vote failed is not", append(slices.Clone(voting), failsVote), adopts, "guard_failed T7"},
		{"T7: of two votes the last one counts", append(slices.Clone(voting), failsVote, opensVote, closesVote), adopts, "topic-adopted/1"},
		{"T7: a vote of an earlier deliberation counts no more", append(slices.Clone(voting), failsVote, defers, opens, holds), adopts, "topic-adopted/1"},
		{"T7: without a meeting nothing is adopted", unheld, adopts, "guard_failed T7"},
		{"T7: after a return the earlier meeting counts no more", append(slices.Clone(handling), returns), adopts, "guard_failed T7"},
		{"T7: after a refused admission the earlier meeting counts no more", append(slices.Clone(adopted), refusesAdmission), adopts, "guard_failed T7"},
		{"T7: after a reopening the earlier meeting counts no more", append(slices.Clone(concluded), reopens), adopts, "guard_failed T7"},
		{"T7: the convenor confirms", deliberating, adopts.confirmedBy(rule.Actor{}), "second_person_required T7"},
		{"T7: nobody confirms the own decision", deliberating, adopts.confirmedBy(rule.Actor{ID: secretary.ID, Role: orgs.Convenor, Unit: community}), "second_person_required T7"},
		{"T7: no one else confirms", deliberating, adopts.confirmedBy(clerk), "second_person_required T7"},
		{"T7: another community's convenor does not confirm", deliberating, adopts.confirmedBy(from(convenor, beside)), "outside_jurisdiction T7"},
		{"T7: another community's secretary does not adopt", deliberating, adopts.by(from(secretary, beside)), "outside_jurisdiction T7"},
		{"T7: a street's leader does not adopt a community's topic", deliberating, adopts.by(leader), "role_missing T7"},
		{"T7: a street's leader adopts the street's topic", streetDeliberating, adopts.by(leader).confirmedBy(from(convenor, street)), "topic-adopted/1"},
		{"T7: a community's secretary does not adopt the street's topic", streetDeliberating, adopts.confirmedBy(from(convenor, street)), "outside_jurisdiction T7"},
		{"T7: a plan has an item", deliberating, but(adopts, func(c *Adopt) { c.Items = nil }), "guard_failed T7"},
		{"T7: a plan has twenty items at most", deliberating, but(adopts, func(c *Adopt) { c.Items = slices.Repeat(c.Items, 11) }), "guard_failed T7"},
		{"T7: twenty items are allowed", deliberating, but(adopts, func(c *Adopt) { c.Items = slices.Repeat(c.Items, 10) }), "topic-adopted/1"},
		{"T7: the budget is not negative", deliberating, but(adopts, func(c *Adopt) { c.Budget = -1 }), "guard_failed T7"},
		{"T7: there is a public summary", deliberating, but(adopts, func(c *Adopt) { c.Summary = "" }), "guard_failed T7"},
		{"T7: the lead exists", deliberating, changed(func(i *Item) { i.Lead = "150105003-x9" }), "guard_failed T7"},
		{"T7: the lead is open", deliberating, changed(func(i *Item) { i.Lead = gone }), "guard_failed T7"},
		{"T7: a joint team names a member agency", deliberating, changed(func(i *Item) { i.Lead = team }), "guard_failed T7"},
		{"T7: a joint team's competent agency is a member", deliberating, changed(func(i *Item) { i.Lead, i.Competent = team, department }), "guard_failed T7"},
		{"T7: a joint team leads with its member named", deliberating, changed(func(i *Item) { i.Lead, i.Competent = team, agency }), "topic-adopted/1"},
		{"T7: only a joint team has members", deliberating, changed(func(i *Item) { i.Competent = agency }), "guard_failed T7"},
		{"T7: an item has a matter", deliberating, changed(func(i *Item) { i.Matter = "" }), "guard_failed T7"},
		{"T7: an item has a task", deliberating, changed(func(i *Item) { i.Task = "" }), "guard_failed T7"},
		{"T7: an urgency is one of four", deliberating, changed(func(i *Item) { i.Urgency = "AB" }), "guard_failed T7"},
		{"T7: a target date is not today", deliberating, changed(func(i *Item) { i.Target -= 30 }), "guard_failed T7"},
		{"T7: a target date may be tomorrow", deliberating, changed(func(i *Item) { i.Target -= 29 }), "topic-adopted/1"},
		{"T7: a target date may be 180 days ahead", deliberating, changed(func(i *Item) { i.Target += 150 }), "topic-adopted/1"},
		{"T7: not 181", deliberating, changed(func(i *Item) { i.Target += 151 }), "guard_failed T7"},
		{"T7: a co-unit is not the lead", deliberating, changed(func(i *Item) { i.CoUnits = []orgs.UnitCode{i.Lead} }), "guard_failed T7"},
		{"T7: a co-unit is named once", deliberating, changed(func(i *Item) { i.CoUnits = []orgs.UnitCode{agency, agency} }), "guard_failed T7"},
		{"T7: a co-unit is open", deliberating, changed(func(i *Item) { i.CoUnits = []orgs.UnitCode{gone} }), "guard_failed T7"},

		// T8, T9
		{"T8: a deliberated topic is rejected", deliberating, rejects, "topic-rejected/1"},
		{"T8: also after a vote that failed", append(slices.Clone(voting), failsVote), rejects, "topic-rejected/1"},
		{"T8: not without a meeting", unheld, rejects, "guard_failed T8"},
		{"T8: the reason is published", deliberating, but(rejects, func(c *Reject) { c.Reason = "" }), "guard_failed T8"},
		{"T8: the convenor confirms", deliberating, rejects.confirmedBy(rule.Actor{}), "second_person_required T8"},
		{"T8: another community's convenor does not confirm", deliberating, rejects.confirmedBy(from(convenor, beside)), "outside_jurisdiction T8"},
		{"T8: another community's secretary does not reject", deliberating, rejects.by(from(secretary, beside)), "outside_jurisdiction T8"},
		{"T8: a street's leader does not reject a community's topic", deliberating, rejects.by(leader), "role_missing T8"},
		{"T9: a deliberated topic is deferred", deliberating, defers, "topic-deferred/1"},
		{"T9: not without a meeting", unheld, defers, "guard_failed T9"},
		{"T9: the convenor confirms", deliberating, defers.confirmedBy(rule.Actor{}), "second_person_required T9"},
		{"T9: a street's leader does not defer a community's topic", deliberating, defers.by(leader), "role_missing T9"},
		{"T9: another community's secretary does not defer", deliberating, defers.by(from(secretary, beside)), "outside_jurisdiction T9"},
		{"T9: the reason is published", deliberating, but(defers, func(c *Defer) { c.Reason = "" }), "guard_failed T9"},
		{"T9: a review is not today", deliberating, but(defers, func(c *Defer) { c.ReviewOn -= 60 }), "guard_failed T9"},
		{"T9: a review may be 180 days ahead", deliberating, but(defers, func(c *Defer) { c.ReviewOn += 120 }), "topic-deferred/1"},
		{"T9: not 181", deliberating, but(defers, func(c *Defer) { c.ReviewOn += 121 }), "guard_failed T9"},

		// T10
		{"T10: an admission officer refuses what would load a community", adopted, refusesAdmission, "topic-admission-refused/1"},
		{"T10: the process manager passes a refusal on, without words of its own", adopted, but(refusesAdmission, func(c *RefuseAdmission) { c.Reason = "" }).by(system), "topic-admission-refused/1"},
		{"T10: a person says why", adopted, but(refusesAdmission, func(c *RefuseAdmission) { c.Reason = "" }), "guard_failed T10"},
		{"T10: a co-unit is loaded too", append(slices.Clone(deliberating), but(adopts, func(c *Adopt) { c.Items = c.Items[1:] })), refusesAdmission, "topic-admission-refused/1"},
		{"T10: a plan for agencies alone needs no admission",
			append(slices.Clone(deliberating), but(adopts, func(c *Adopt) { c.Items = c.Items[1:]; c.Items[0].CoUnits = nil })), refusesAdmission, "guard_failed T10"},
		{"T10: another street's officer refuses nothing", adopted, refusesAdmission.by(from(officer, "150105004")), "outside_jurisdiction T10"},

		// T11
		{"T11: a dispatcher hands the plan to the grid", adopted, hands, "topic-handed-to-grid/1"},
		{"T11: the community's secretary may", adopted, hands.by(secretary), "topic-handed-to-grid/1"},
		{"T11: the gate stops a lead", adopted, hands.gated(blocking(grid)), "gate_blocked I7"},
		{"T11: the gate stops a co-unit", adopted, hands.gated(blocking(community)), "gate_blocked I7"},
		{"T11: a gate that stops others lets it pass", adopted, hands.gated(blocking(beside)), "topic-handed-to-grid/1"},
		{"T11: a promise that has passed is not handed over", adopted, hands.after(31 * day), "guard_failed T11"},
		{"T11: it gets a new date", adopted, rehand(0, func(i *Item) { i.Target += 60 }).after(31 * day), "topic-handed-to-grid/1"},
		{"T11: a promise that can be kept is kept", adopted, rehand(1, func(i *Item) { i.Target += 1 }), "guard_failed T11"},
		{"T11: the plan may be said again", adopted, rehand(0, func(*Item) {}), "topic-handed-to-grid/1"},
		{"T11: item by item", adopted, but(rehand(0, func(*Item) {}), func(c *HandToGrid) { c.Items = c.Items[:1] }), "guard_failed T11"},
		{"T11: another street's dispatcher hands nothing over", adopted, hands.by(from(dispatcher, "150105004")), "outside_jurisdiction T11"},

		// T12
		{"T12: a new order is added", handling, addsItem, "order-added-to-topic/1"},
		{"T12: a live order joins", handling, joins, "order-added-to-topic/1"},
		{"T12: it joins once", append(slices.Clone(handling), joins), joins, "guard_failed T12"},
		{"T12: an order of the cycle does not join", handling, joins.asking(func(s State, _ time.Time) Command { return AddOrder{Order: s.CycleOrders[0]} }), "guard_failed T12"},
		{"T12: an order that was verified does not join", handling, joins.knowing(orders("verified")), "guard_failed T12"},
		{"T12: an order that does not exist does not join", handling, joins.knowing(noFacts), "guard_failed T12"},
		{"T12: one of the two is added", handling, joins.asking(anything(AddOrder{})), "guard_failed T12"},
		{"T12: not both", handling, but(addsItem, func(c *AddOrder) { c.Order = joined }), "guard_failed T12"},
		{"T12: a new order's lead is open", handling, but(addsItem, func(c *AddOrder) { c.Item.Lead = gone }), "guard_failed T12"},
		{"T12: the gate stops a new order", handling, addsItem.gated(blocking(grid)), "gate_blocked I7"},
		{"T12: another street's dispatcher adds nothing", handling, addsItem.by(from(dispatcher, "150105004")), "outside_jurisdiction T12"},

		// T13
		{"T13: a topic whose orders were all cancelled is returned", handling, returns, "topic-returned/1"},
		{"T13: the process manager returns it without words of its own", handling, but(returns, func(c *Return) { c.Reason = "" }).by(system), "topic-returned/1"},
		{"T13: the process manager returns what no gate let through", handling, returns.by(system).knowing(noFacts), "topic-returned/1"},
		{"T13: a dispatcher waits for the orders to be dispatched", handling, returns.knowing(noFacts), "guard_failed T13"},
		{"T13: a live order keeps it", handling, returns.knowing(orders("handling")), "guard_failed T13"},
		{"T13: a verified order keeps it", handling, returns.knowing(orders("verified")), "guard_failed T13"},
		{"T13: a closed order keeps it", handling, returns.by(system).knowing(orders("closed")), "guard_failed T13"},
		{"T13: an order of an earlier cycle does not", append(slices.Clone(concluded), reopens, holds, adopts, hands), returns.knowing(lastCycle("cancelled", "closed")), "topic-returned/1"},
		{"T13: an order that joined keeps it", append(slices.Clone(handling), joins), returns.knowing(joinedIs("handling")), "guard_failed T13"},
		{"T13: a person says why", handling, but(returns, func(c *Return) { c.Reason = "" }), "guard_failed T13"},
		{"T13: another street's dispatcher returns nothing", handling, returns.by(from(dispatcher, "150105004")), "outside_jurisdiction T13"},

		// results
		{"a result is published while it is handled", handling, publishes, "result-published/1"},
		{"a second result is published", append(slices.Clone(handling), publishes), publishes, "result-published/1"},
		{"a result is published after the end", concluded, publishes, "result-published/1"},
		{"a result has a text", handling, but(publishes, func(c *PublishResult) { c.Text = "" }), "guard_failed T14"},
		{"a result names the topic's own orders", handling, but(publishes, func(c *PublishResult) { c.Orders = []stream.ID{joined} }), "guard_failed T14"},
		{"a result names an order once", handling, but(publishes, func(c *PublishResult) { c.Orders = slices.Repeat(c.Orders, 2) }), "guard_failed T14"},
		{"a result may serve another topic", handling,
			but(publishes, func(c *PublishResult) { c.AlsoTopics = []stream.ID{other} }).knowing(otherTopic(rule.TopicFact{ID: other})), "result-published/1"},
		{"another topic that a result serves exists", handling, but(publishes, func(c *PublishResult) { c.AlsoTopics = []stream.ID{other} }), "guard_failed T14"},
		{"another topic is another", handling,
			but(publishes, func(c *PublishResult) { c.AlsoTopics = []stream.ID{self} }).knowing(otherTopic(rule.TopicFact{ID: self})), "guard_failed T14"},
		{"another community's secretary publishes nothing", handling, publishes.by(from(secretary, beside)), "outside_jurisdiction T14"},
		{"a street's leader publishes no community's result", handling, publishes.by(leader), "role_missing T14"},

		// R26
		{"R26: concluding is due when every order has ended", handling, marksReady, "topic-ready-to-conclude/1"},
		{"R26: and again when a reopened order ends anew", append(slices.Clone(handling), marksReady), marksReady, "topic-ready-to-conclude/1"},
		{"R26: not while an order is verified only", handling, marksReady.knowing(orders("verified")), "guard_failed R26"},
		{"R26: not when all were cancelled", handling, marksReady.knowing(orders("cancelled")), "guard_failed R26"},
		{"R26: an order that the gate stopped does not count", handling, marksReady.knowing(firstOnly("closed")), "topic-ready-to-conclude/1"},

		// T14
		{"T14: a topic with its orders closed and a result is concluded", append(slices.Clone(handling), publishes), concludes, "topic-concluded/1"},
		{"T14: an order that the gate stopped does not count", append(slices.Clone(handling), publishes), concludes.knowing(firstOnly("closed")), "topic-concluded/1"},
		{"T14: a street's leader concludes the street's topic",
			append(slices.Clone(streetDeliberating), adopts.by(leader).confirmedBy(from(convenor, street)), hands, publishes.by(leader)), concludes.by(leader), "topic-concluded/1"},
		{"T14: an order that is verified only keeps it open", append(slices.Clone(handling), publishes), concludes.knowing(orders("verified")), "guard_failed T14"},
		{"T14: orders that were never dispatched keep it open", append(slices.Clone(handling), publishes), concludes.knowing(noFacts), "guard_failed T14"},
		{"T14: without a result it stays open", handling, concludes, "guard_failed T14"},
		{"T14: a result of an earlier cycle is no news", append(slices.Clone(concluded), reopens, holds, adopts, hands), concludes, "guard_failed T14"},
		{"T14: a demand that waits keeps it open", append(slices.Clone(handling), publishes), concludes.knowing(linked("closed", waitingDemand)), "guard_failed T14"},
		{"T14: an answered demand does not", append(slices.Clone(handling), publishes),
			concludes.knowing(linked("closed", rule.DemandFact{ID: demandID(0), Topic: self, Live: true, Answered: true})), "topic-concluded/1"},
		{"T14: another topic's demand does not", append(slices.Clone(handling), publishes),
			concludes.knowing(linked("closed", rule.DemandFact{ID: demandID(0), Topic: other, Live: true})), "topic-concluded/1"},
		{"T14: the end is made public", append(slices.Clone(handling), publishes), but(concludes, func(c *Conclude) { c.Summary = "" }), "guard_failed T14"},
		{"T14: another community's secretary concludes nothing", append(slices.Clone(handling), publishes), concludes.by(from(secretary, beside)), "outside_jurisdiction T14"},
		{"T14: a street's leader concludes no community's topic", append(slices.Clone(handling), publishes), concludes.by(leader), "role_missing T14"},

		// T15
		{"T15: a concluded topic is deliberated again", concluded, reopens, "topic-reopened/1"},
		{"T15: the street's leader may demand it", concluded, reopens.by(leader), "topic-reopened/1"},
		{"T15: with a reason", concluded, but(reopens, func(c *Reopen) { c.Reason = "" }), "guard_failed T15"},
		{"T15: another community's convenor reopens nothing", concluded, reopens.by(from(convenor, beside)), "outside_jurisdiction T15"},

		// support, and demands raised again
		{"a household supports a proposal", []step{proposes}, supports, "topic-supported/1"},
		{"a grid worker enters a household's support", []step{proposes}, supports.by(worker), "topic-supported/1"},
		{"another household supports it too", []step{proposes, supports}, but(supports, func(c *Support) { c.Household = "01-2-302" }), "topic-supported/1"},
		{"a household supports it once", []step{proposes, supports}, supports, "guard_failed T1"},
		{"a household that supported earlier supports it once", []step{proposes, supports, opens}, supports.by(worker), "guard_failed T1"},
		{"a household is named by a code", []step{proposes}, but(supports, func(c *Support) { c.Household = "王某家" }), "guard_failed I14"},
		{"a household's code is not empty", []step{proposes}, but(supports, func(c *Support) { c.Household = "" }), "guard_failed I14"},
		{"a household's code has 64 characters at most", []step{proposes}, but(supports, func(c *Support) { c.Household = strings.Repeat("1", 65) }), "guard_failed I14"},
		{"a resident from elsewhere supports nothing here", []step{proposes}, supports.by(from(resident, elsewhere)), "outside_jurisdiction T1"},
		{"R22: a demand that was raised again is noted", concluded, notes, "linked-demand-reopened/1"},
		{"R22: the note names the demand", concluded, but(notes, func(c *NoteDemandReopened) { c.Demand = stream.ID{} }), "guard_failed R22"},
		{"R22: a first round is no reopening", concluded, but(notes, func(c *NoteDemandReopened) { c.Round = 1 }), "guard_failed R22"},

		// the calendar
		{"an unknown calendar is an error, not a refusal", nil, proposes.under(func(p *calendar.Policy) { p.Rows = nil }),
			"error: propose topic " + self.String() + ": start open/1/0/1: no amount in the policy: clock \"open\", kind \"\", urgency \"\", policy deadline version 1"},
		{"a policy that names no wait is an error", []step{proposes}, opens.under(func(p *calendar.Policy) { p.Rows = nil }),
			"error: open-deliberation topic " + self.String() + ": no amount in the policy: clock \"notice\", kind \"\", urgency \"\", policy deadline version 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := given(t, c.given...)
			before := p.state()
			cmd, at := p.ask(c.when)
			events, err := Decide(before, cmd, at)
			if got := outcome(events, err); got != c.then {
				t.Fatalf("got %s, want %s (%v)", got, c.then, err)
			}
			var r *rule.Refusal
			if errors.As(err, &r) && (r.State != string(before.Phase) || r.Detail.Zh == "" || r.Detail.En == "" || !slices.Equal(r.Possible, Machine.Possible(before.Phase))) {
				t.Errorf("the refusal is not complete: %+v", r)
			}
			if len(events) == 0 {
				return
			}
			p.record(events, at)
			if again, err := Decide(p.state(), cmd, at); len(again) > 0 || err != nil {
				t.Errorf("asked again: got %v, %v; want nothing", again, err)
			}
		})
	}
}

// meeting is an announcement of a meeting so long after 09:00.
func meeting(ahead time.Duration) step {
	return opens.asking(func(_ State, now time.Time) Command {
		return OpenDeliberation{Format: "online", Place: "线上", MeetingAt: now.Add(ahead)}
	})
}

func wait(p *calendar.Policy) *calendar.Amount {
	i := slices.IndexFunc(p.Rows, func(r calendar.Row) bool { return r.Clock == calendar.MeetingWait })
	return &p.Rows[i].Amount
}

// lastCycle says how the orders of the present cycle stand and how those before them.
func lastCycle(now, before string) func(State) rule.Facts {
	return func(s State) rule.Facts {
		var f rule.Facts
		for _, id := range s.AllOrders {
			phase := before
			if slices.Contains(s.CycleOrders, id) {
				phase = now
			}
			f.Orders = append(f.Orders, order(id, phase))
		}
		return f
	}
}

// joinedIs says that all orders were cancelled but one that joined.
func joinedIs(phase string) func(State) rule.Facts {
	return func(s State) rule.Facts {
		f := orders("cancelled")(s)
		for i, o := range f.Orders {
			if o.ID == joined {
				f.Orders[i] = order(joined, phase)
			}
		}
		return f
	}
}

// firstOnly says that only the cycle's first order was dispatched.
func firstOnly(phase string) func(State) rule.Facts {
	return func(s State) rule.Facts { return rule.Facts{Orders: []rule.OrderFact{order(s.CycleOrders[0], phase)}} }
}

func TestAVotePassesWithHalfTheHouseholdsAndMoreThanHalfTheVotes(t *testing.T) {
	for _, c := range []struct {
		cast   int
		counts []int
		passed bool
	}{
		{250, []int{126, 124}, true},  // half of 500 households, more than half of the votes
		{250, []int{125, 125}, false}, // half of the votes is not more than half
		{249, []int{249, 0}, false},   // short of half of the households
		{251, []int{126, 125}, true},
		{251, []int{125, 126}, true}, // any option may pass
		{500, []int{250, 0}, false},  // ballots that name no option count as cast
		{500, []int{251, 249}, true},
		{0, []int{0, 0}, false},
	} {
		p := given(t, path(PhaseVoting)...)
		events, err := p.do(but(closesVote, func(v *CloseVote) { v.Cast, v.Counts = c.cast, c.counts }))
		if err != nil {
			t.Fatal(err)
		}
		got := events[0].(VoteClosed)
		if got.Passed != c.passed || got.Electorate != 500 {
			t.Errorf("cast %d of %d, counts %v: got passed %v, want %v", c.cast, got.Electorate, c.counts, got.Passed, c.passed)
		}
	}
}

func TestTheElectorateIsFixedWhenTheVoteOpens(t *testing.T) {
	p := given(t, path(PhaseVoting)...)
	p.units = p.units.With(orgs.GridRetired{Grid: grid2})
	events, err := p.do(closesVote)
	if err != nil {
		t.Fatal(err)
	}
	if got := events[0].(VoteClosed).Electorate; got != 500 {
		t.Errorf("got %d households, want the 500 that were counted", got)
	}
}

func TestAnItemWithoutAnUrgencyHasD(t *testing.T) {
	p := given(t, path(PhaseDeliberating)...)
	asked, at := p.ask(changed(func(i *Item) { i.Urgency = "" }))
	events, err := Decide(p.state(), asked, at)
	if err != nil {
		t.Fatal(err)
	}
	if got := events[0].(Adopted).Items[0].Urgency; got != "D" {
		t.Errorf("got urgency %q, want D", got)
	}
	if got := asked.(Adopt).Items[0].Urgency; got != "" {
		t.Errorf("the command itself was changed: got urgency %q", got)
	}
}

func TestAClosedLeadIsReplacedAtTheHandover(t *testing.T) {
	p := given(t, path(PhaseAdopted)...)
	p.units = p.units.With(orgs.UnitClosed{Code: agency})
	if got := outcome(p.do(hands)); got != "guard_failed T11" {
		t.Fatalf("with a closed lead: got %s", got)
	}
	events, err := p.do(rehand(1, func(i *Item) { i.Lead = department }))
	if err != nil {
		t.Fatal(err)
	}
	if got := events[0].(HandedToGrid); got.Items[1].Lead != department || got.Items[0].Lead != grid.Unit() {
		t.Errorf("got items %+v, want the second one led by %s", got.Items, department)
	}
}

// TestOrdersOfACycle follows the orders through a handover, additions and a second cycle.
func TestOrdersOfACycle(t *testing.T) {
	p := given(t, append(path(PhaseAdopted), hands, addsItem, joins)...)
	n := len(p.stamps)
	handed, added := p.stamps[n-3].Event, p.stamps[n-2].Event
	first := []stream.ID{stream.CausedBy(stream.Order, handed, 0), stream.CausedBy(stream.Order, handed, 1),
		stream.CausedBy(stream.Order, added, 0), joined}
	s := p.state()
	if !slices.Equal(s.CycleOrders, first) || !slices.Equal(s.AllOrders, first) || s.Cycle != 1 {
		t.Errorf("cycle %d: got %v of %v, want %v", s.Cycle, s.CycleOrders, s.AllOrders, first)
	}
	if e := p.events[n-3].(HandedToGrid); e.By != street || e.Latest != e.Items[1].Target || s.Latest != e.Latest {
		t.Errorf("got latest %s, handed over %+v", s.Latest, e)
	}
	if item, found := s.Item(first[1]); !found || item.Lead != agency {
		t.Errorf("the second order: got %+v, %v; want the agency's item", item, found)
	}
	if item, found := s.Item(joined); found {
		t.Errorf("an order that joined has no item here, got %+v", item)
	}

	for _, st := range []step{publishes, concludes, reopens, holds, adopts, hands} {
		if _, err := p.do(st); err != nil {
			t.Fatal(err)
		}
	}
	again := p.stamps[len(p.stamps)-1].Event
	second := []stream.ID{stream.CausedBy(stream.Order, again, 0), stream.CausedBy(stream.Order, again, 1)}
	s = p.state()
	if !slices.Equal(s.CycleOrders, second) || !slices.Equal(s.AllOrders, append(first, second...)) || s.Cycle != 2 {
		t.Errorf("cycle %d: got %v of %v, want %v", s.Cycle, s.CycleOrders, s.AllOrders, second)
	}
	if item, found := s.Item(first[0]); !found || item.Lead != grid.Unit() {
		t.Errorf("the first cycle's order: got %+v, %v", item, found)
	}
	if s.Results != 1 || s.CycleResults != 0 {
		t.Errorf("got %d results, %d in this cycle; want 1, 0", s.Results, s.CycleResults)
	}
}

// TestClocks follows the clocks along the ways through the table.
func TestClocks(t *testing.T) {
	handling := append(path(PhaseAdopted), hands)
	for _, c := range []struct {
		name  string
		steps []step
		want  string // the clock that runs, and its due
	}{
		{"proposing starts open: ten working days", []step{proposes}, "open 2026-03-17 23:59"},
		{"opening starts deliberate: thirty days", []step{proposes, opens}, "deliberate 2026-04-03 23:59"},
		{"a vote does not stop it, and has a clock for its count: the day after it closes", []step{proposes, opens, holds, opensVote}, "deliberate 2026-04-03 23:59, vote_count 2026-03-15 23:59"},
		{"the count stops that, and not the other", []step{proposes, opens, holds, opensVote, closesVote}, "deliberate 2026-04-03 23:59"},
		{"a deferral runs to its review date", []step{proposes, opens, holds, defers}, "topic_review 2026-05-10 23:59"},
		{"adopting starts handover: five working days", path(PhaseAdopted), "handover 2026-03-18 23:59"},
		{"a refused admission starts deliberate", append(path(PhaseAdopted), refusesAdmission), "deliberate 2026-04-11 23:59"},
		{"handing over stops it", handling, ""},
		{"the end of the last order starts conclude: ten working days", append(handling[:len(handling):len(handling)], marksReady), "conclude 2026-03-27 23:59"},
		{"a further order stops it", append(handling[:len(handling):len(handling)], marksReady, addsItem), ""},
		{"a return stops it and starts deliberate", append(handling[:len(handling):len(handling)], marksReady, returns), "deliberate 2026-04-13 23:59"},
		{"nothing runs after the end", path(PhaseConcluded), ""},
		{"a reopening starts deliberate", append(path(PhaseConcluded), reopens), "deliberate 2026-04-14 23:59"},
		{"nothing runs after a rejection", path(PhaseRejected), ""},
		{"nothing runs after a merger", path(PhaseMerged), ""},
		{"nothing runs after a drop", path(PhaseDropped), ""},
		{"in the second cycle too", append(path(PhaseConcluded), reopens, holds, adopts, hands, marksReady), "conclude 2026-04-08 23:59"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, d := range given(t, c.steps...).state().Running {
				got = append(got, fmt.Sprintf("%s %s", d.Clock, local(d.Due)))
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A due id names clock, cycle and serial, and is given once (I15).
func TestDueIDs(t *testing.T) {
	p := given(t, append(path(PhaseConcluded), reopens, holds, adopts, hands, marksReady)...)
	var got []string
	for _, e := range p.events {
		for _, d := range dues(e) {
			got = append(got, d.ID)
		}
	}
	want := []string{"open/1/0/1", "deliberate/1/0/2", "handover/1/0/3", "deliberate/1/0/4", "handover/1/0/5", "conclude/2/0/6"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTheStateTells checks what lists and files show.
func TestTheStateTells(t *testing.T) {
	p := given(t, proposes, supports, opens, holds.after(7*day).happened(day), opensVote, closesVote, adopts, hands, publishes, publishes, concludes, notes)
	s := p.state()
	at := func(event string) rule.Stamp {
		return p.stamps[slices.IndexFunc(p.events, func(e Event) bool { return e.EventType() == event })]
	}
	for what, c := range map[string]struct{ got, want any }{
		"number":            {s.Number, "Y-1"},
		"unit":              {s.Unit, community},
		"named":             {s.Named, []stream.ID{demandID(0), demandID(1)}},
		"place":             {s.Place, sealed.Public("社区活动室")},
		"vote":              {s.Vote, Vote{Options: []sealed.Public{"同意", "不同意"}, Grids: []orgs.GridCode{grid, grid2}, Electorate: 500, ClosesAt: s.Vote.ClosesAt, Closed: true, Cast: 300, Counts: []int{200, 90}, Passed: true}},
		"supporters":        {s.Supporters, 1},
		"results":           {s.Results, 2},
		"numbers":           {p.events[8].(ResultPublished).Result*10 + p.events[9].(ResultPublished).Result, 12},
		"reraised":          {s.Reraised, 1},
		"budget":            {s.Budget, int64(1_200_000)},
		"resources":         {s.Resources, []string{"r-1"}},
		"summary":           {s.Summary, sealed.Public("全部完成")},
		"by":                {s.By, street},
		"proposed by":       {s.ProposedBy, clerk},
		"proposed at":       {s.ProposedAt, at("topic-proposed/1").Occurred},
		"recorded at":       {s.RecordedAt, at("topic-proposed/1").Recorded},
		"deliberates":       {s.Deliberates, at("deliberation-opened/1").Recorded},
		"held at":           {s.HeldAt, at("deliberation-held/1").Occurred},
		"adopted at":        {s.AdoptedAt, at("topic-adopted/1").Recorded},
		"handed at":         {s.HandedAt, at("topic-handed-to-grid/1").Recorded},
		"ended at":          {s.EndedAt, at("topic-concluded/1").Recorded},
		"since":             {s.Since, at("topic-concluded/1").Recorded},
		"fact":              {s.Fact(), rule.TopicFact{ID: self, Phase: "concluded", Unit: community, Terminal: true, Handed: true}},
		"fact, before":      {p.states[2].Fact(), rule.TopicFact{ID: self, Phase: "proposed", Unit: community}},
		"fact, in handling": {p.states[9].Fact(), rule.TopicFact{ID: self, Phase: "handling", Unit: community, Handed: true}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %+v, want %+v", what, c.got, c.want)
		}
	}
	merged := given(t, path(PhaseMerged)...).state()
	if merged.Target != other || merged.Reason != "同一事项" {
		t.Errorf("merged into %s because %q", merged.Target, merged.Reason)
	}
	deferred := given(t, path(PhaseDeferred)...).state()
	if deferred.ReviewOn == 0 || deferred.Reason != "等待改造计划" {
		t.Errorf("deferred until %s because %q", deferred.ReviewOn, deferred.Reason)
	}
}

func TestWhatACommandMustKnow(t *testing.T) {
	s := given(t, path(PhaseHandling)...).state()
	for _, c := range []struct {
		cmd  Command
		want rule.Refs
	}{
		{Propose{Demands: []stream.ID{demandID(0)}}, rule.Refs{Demands: []stream.ID{demandID(0)}}},
		{Merge{Target: other}, rule.Refs{Topics: []stream.ID{other}}},
		{Drop{}, rule.Refs{LinkedTo: self}},
		{AddOrder{Order: joined}, rule.Refs{Orders: []stream.ID{joined}}},
		{AddOrder{Item: &Item{}}, rule.Refs{}},
		{Return{}, rule.Refs{Orders: s.CycleOrders}},
		{MarkReadyToConclude{}, rule.Refs{Orders: s.CycleOrders}},
		{Conclude{}, rule.Refs{Orders: s.CycleOrders, LinkedTo: self}},
		{PublishResult{AlsoTopics: []stream.ID{other}}, rule.Refs{Topics: []stream.ID{other}}},
		{Adopt{}, rule.Refs{}},
	} {
		if got := Needs(s, c.cmd); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.cmd.Name(), got, c.want)
		}
	}
}

func TestALaterOrderMovesTheLatestTargetDate(t *testing.T) {
	p := given(t, append(path(PhaseAdopted), hands, but(addsItem, func(c *AddOrder) { c.Item.Target += 60 }))...)
	if got, want := p.state().Latest, p.events[len(p.events)-1].(OrderAdded).Item.Target; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestARefusalSpeaksTwoLanguages(t *testing.T) {
	events, err := given(t, path(PhaseProposed)...).do(meeting(day))
	want := "guard_failed (T2): the meeting must be announced in time: the earliest is 2026-03-07 23:59"
	if len(events) > 0 || err == nil || err.Error() != want {
		t.Errorf("got %v, %v; want %s", events, err, want)
	}
	var r *rule.Refusal
	if !errors.As(err, &r) || r.Detail.Zh != "议事须提前公告，最早可在 2026-03-07 23:59 之后召开" {
		t.Errorf("got %+v", r)
	}
}
