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
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/stream"
)

// check tells what is always true of a demand's stream.
func check(t ruletest.Test, history []entry, s State) {
	var ids []string
	rounds, phase := 0, Phase("")
	var said, heard bool // an answer, and what the resident says to it or why nobody asks
	folded := State{ID: self}
	for _, e := range history {
		folded = Evolve(folded, e.Event, e.Stamp)
		if !inTable(phase, folded.Phase, e.Event) {
			t.Fatalf("%s led from %q to %q, which the table does not have", e.Event.EventType(), phase, folded.Phase)
		}
		if d := len(dues(e.Event)); folded.Phase.Terminal() && d > 0 {
			t.Fatalf("%s starts %d clocks in %q", e.Event.EventType(), d, folded.Phase)
		}
		phase = folded.Phase
		switch e.Event.(type) {
		case Raised, Reopened:
			rounds++
			said, heard = false, false
		case Answered, AnsweredOnTheSpot:
			said, heard = true, false
		case CallbackRecorded, CallbackWaived:
			heard = true
		}
		for _, d := range dues(e.Event) {
			ids = append(ids, d.ID)
			if want := fmt.Sprintf("%s/%d/0/%d", d.Clock, rounds, len(ids)); d.ID != want {
				t.Fatalf("due %s: want %s", d.ID, want)
			}
			if _, anew := e.Event.(DeadlineRecomputed); d.Due.Before(d.StartedAt) || !anew && !d.OriginalDue.Equal(d.Due) || d.OriginalDue.After(d.Due) {
				t.Fatalf("due %s: started %s, due %s, originally %s", d.ID, d.StartedAt, d.Due, d.OriginalDue)
			}
		}
	}
	if !reflect.DeepEqual(folded, s) {
		t.Fatalf("folded anew: got %+v\nwant %+v", folded, s)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != s.Dues {
		t.Fatalf("I15: %d clocks were started under the ids %v", s.Dues, ids)
	}
	want := []calendar.Clock{clockOf[s.Phase]}
	if s.Phase == "" || s.Phase.Terminal() || s.Phase == PhaseAnswered && s.Attempts > 0 {
		want = nil
	}
	if !slices.Equal(running(s), want) {
		t.Fatalf("in %q run %v, want %v", s.Phase, running(s), want)
	}
	inTopic, handled := s.Phase == PhaseInTopic, s.Phase == PhaseInHandling
	switch {
	case s.Round != rounds:
		t.Fatalf("round %d after %d", s.Round, rounds)
	case s.Phase == PhaseClosed && !(said && heard):
		t.Fatalf("I5: closed without an answer (%v) or a callback (%v)", said, heard)
	case (s.Phase == PhaseClosed || s.Phase == PhaseAnswered) && s.Answer.Stream == "":
		t.Fatalf("answered, and nobody knows by what")
	case inTopic && (s.Topic.IsZero() || s.Kind == Dispute || s.Kind == Report || s.Waiver != ""):
		t.Fatalf("in the topic %v as a %s, waived %q", s.Topic, s.Kind, s.Waiver)
	case !s.Topic.IsZero() && !slices.Contains(s.Topics, s.Topic):
		t.Fatalf("governed by %v, not listed in %v", s.Topic, s.Topics)
	case (s.Phase == PhaseRaised || s.Phase == PhaseAccepted) && (!s.Topic.IsZero() || len(s.Orders) > 0):
		t.Fatalf("%q, with topic %v and orders %v", s.Phase, s.Topic, s.Orders)
	case inTopic && len(s.Orders) > 0:
		t.Fatalf("in a topic, with orders %v", s.Orders)
	case handled && len(s.Orders) == 0 && s.Dispute.IsZero():
		t.Fatalf("in handling, and nobody handles it")
	case handled && s.Topic.IsZero() && s.Waiver == "":
		t.Fatalf("in handling without a topic, and nothing says why")
	case (inTopic || handled) && (s.Matter == "" || s.Urgency == ""):
		t.Fatalf("%q, with matter %q and urgency %q", s.Phase, s.Matter, s.Urgency)
	case s.Grade < 0 || s.Grade > 5 || s.Supporters < 0 || s.Opponents < 0:
		t.Fatalf("grade %d, %d supporters, %d opponents", s.Grade, s.Supporters, s.Opponents)
	case s.Appealed && s.Phase != PhaseDeclined:
		t.Fatalf("an appeal waits in %q", s.Phase)
	case s.Phase.Terminal() == s.ClosedAt.IsZero():
		t.Fatalf("%q, ended at %s", s.Phase, s.ClosedAt)
	}
	for _, set := range [][]stream.ID{s.Orders, s.Past, s.Topics, s.Related} {
		if len(slices.Compact(slices.SortedFunc(slices.Values(set), func(a, b stream.ID) int { return strings.Compare(a.String(), b.String()) }))) != len(set) {
			t.Fatalf("listed twice: %v", set)
		}
	}
}

// inTable reports whether the table has the step.
func inTable(from, to Phase, e Event) bool {
	for _, r := range Machine.Rows {
		if r.Event == ruletest.Word(e) && r.To == to && (slices.Contains(r.From, from) || from == "" && len(r.From) == 0) {
			if c, ok := e.(CallbackRecorded); !ok || string(c.Result) == r.Variant {
				return true
			}
		}
	}
	if _, rides := e.(Escalated); rides {
		return from == to && !to.Terminal()
	}
	return from == to && slices.ContainsFunc(Machine.Notes, func(n rule.Note[Phase]) bool {
		return n.Event == ruletest.Word(e) && slices.Contains(n.In, from)
	})
}

// people are everybody who may turn up.
var people = []rule.Actor{resident, stranger, clerk, nextClerk, farClerk, worker, nextWorker, secretary, convenor, dispatcher,
	farDispatch, highDispatch, caller, nextCaller, nearCaller, supervisor, wechat, farWechat, manager,
	{ID: "k-street-clerk", Role: orgs.Clerk, Unit: street}}

// anyCommand draws a command of a name.
func anyCommand(t *rapid.T, name string, s State) Command {
	kind := rapid.SampledFrom(Kinds()).Draw(t, "kind")
	urgency := rapid.SampledFrom(Urgencies()).Draw(t, "urgency")
	outcome := rapid.SampledFrom(Outcomes()).Draw(t, "outcome")
	place := rapid.SampledFrom([]struct {
		grid orgs.GridCode
		unit orgs.UnitCode
	}{{grid, home}, {nextGrid, home}, {"", home}, {"", neighbour}, {"", street}, {farGrid, far}, {oldGrid, home}}).Draw(t, "place")
	topic := rapid.SampledFrom([]stream.ID{topicID, otherTID}).Draw(t, "topic")
	order := rapid.SampledFrom([]stream.ID{{}, orderID, otherOID}).Draw(t, "order")
	grade := Grade(rapid.IntRange(0, 6).Draw(t, "grade"))
	yes := rapid.Bool().Draw(t, "yes")
	switch name {
	case "raise":
		return change(raise, func(c *Raise) {
			c.Kind, c.Grid, c.Unit, c.NoCallback, c.Anonymous = kind, place.grid, place.unit, yes, yes && rapid.Bool().Draw(t, "anonymous")
			c.Channel = rapid.SampledFrom(Channels()).Draw(t, "channel")
			if c.Channel == "patrol" {
				c.Reporter = Reporter{}
			}
			c.Imported = c.Channel == "import"
		})
	case "accept":
		return change(accept, func(c *Accept) { c.Kind, c.Urgency, c.Grid, c.Unit = kind, urgency, place.grid, place.unit })
	case "answer-on-the-spot":
		return change(spot, func(c *AnswerOnTheSpot) {
			c.Kind, c.Outcome = kind, outcome
			if yes {
				c.Agreement = strings.Repeat("ab12", 16)
			}
		})
	case "link-to-topic":
		return LinkToTopic{Topic: topic}
	case "fast-track":
		reason := rapid.SampledFrom(Reasons()).Draw(t, "reason")
		c := FastTrack{Reason: reason, Citation: "条例"}
		switch {
		case reason == ReasonDispute:
			c.Route.Dispute = rapid.IntRange(0, 5).Draw(t, "rung")
		case !order.IsZero() || reason == ReasonSameMatter:
			c.Route.Join = order
		default:
			c.Route.Order = &NewOrder{Lead: rapid.SampledFrom([]orgs.UnitCode{grid.Unit(), agency, jointTeam, home, department}).Draw(t, "lead"), Competent: agency}
		}
		return c
	case "enter-handling":
		return EnterHandling{Topic: topic, Orders: []stream.ID{orderID, otherOID}[:rapid.IntRange(0, 2).Draw(t, "orders")],
			Latest: calendar.DateOf(morning) + calendar.Date(rapid.IntRange(-30, 180).Draw(t, "latest"))}
	case "answer":
		c := Answer{Outcome: outcome, Summary: "答复", From: source}
		if yes {
			c.ReviewOn = date("2026-09-01")
		}
		return c
	case "return-to-topic":
		return ReturnToTopic{Topic: topic}
	case "record-callback":
		return RecordCallback{Resolved: yes, Grade: grade, Merit: rapid.Bool().Draw(t, "merit"), Reason: "理由", Order: order}
	case "waive-callback":
		return WaiveCallback{Cause: rapid.SampledFrom([]string{"anonymous", "do_not_call", "unreached"}).Draw(t, "cause")}
	case "support":
		return Support{Supporters: rapid.IntRange(0, 3).Draw(t, "supporters"), Tally: yes}
	case "reclassify":
		return Reclassify{Kind: kind, Urgency: urgency, Matter: rapid.SampledFrom([]string{"", "water"}).Draw(t, "matter")}
	case "relocate":
		return Relocate{Grid: place.grid, Unit: place.unit}
	case "relate":
		return Relate{Topic: topic}
	case "rerate":
		return Rerate{Grade: grade, Resolved: yes}
	case "note-progress":
		return NoteProgress{From: rapid.SampledFrom([]Source{source, attached.From}).Draw(t, "source"), Topic: topic}
	}
	for _, c := range everyCommand() {
		if c.Name() == name {
			return c
		}
	}
	panic("no command " + name)
}

// anyStep draws what somebody wants, more often than not something the state allows to the person.
func anyStep(t *rapid.T, s State) step {
	if rapid.IntRange(0, 2).Draw(t, "as the book has it") > 0 {
		var usual []step
		for _, r := range Machine.Rows {
			if slices.Contains(r.From, s.Phase) || s.Phase == "" && len(r.From) == 0 {
				usual = append(usual, drives[r.ID])
			}
		}
		for _, n := range Machine.Notes {
			if slices.Contains(n.In, s.Phase) {
				usual = append(usual, notes[n.Command])
			}
		}
		return rapid.SampledFrom(usual).Draw(t, "usual")
	}
	var names []string
	for _, c := range everyCommand() {
		if ruletest.Actors(Machine, s.Phase, c.Name()) != nil {
			names = append(names, c.Name())
		}
	}
	if len(names) == 0 || rapid.IntRange(0, 9).Draw(t, "astray") == 0 {
		names = names[:0]
		for _, c := range everyCommand() {
			names = append(names, c.Name())
		}
	}
	name := rapid.SampledFrom(names).Draw(t, "command")
	able := slices.DeleteFunc(slices.Clone(people), func(a rule.Actor) bool { return !slices.Contains(ruletest.Actors(Machine, s.Phase, name), a.Role) })
	if len(able) == 0 || rapid.IntRange(0, 9).Draw(t, "anyone") == 0 {
		able = people
	}
	who := rapid.SampledFrom(able).Draw(t, "actor")
	x := by(who, anyCommand(t, name, s),
		time.Duration(rapid.Int64Range(1, int64(12*day)).Draw(t, "after")),
		happened(rapid.SampledFrom([]time.Duration{0, 0, 0, time.Hour, 20 * day, 40 * day, -time.Minute}).Draw(t, "ago")))
	x.At.Facts = rapid.SampledFrom([]rule.Facts{{}, topics(heating, parking), topics(handed, parking), topics(concluded)}).Draw(t, "topics")
	x.At.Facts.Orders = rapid.SampledFrom([][]rule.OrderFact{nil, {pipes}, {verified, valves}, {cancelled, valves}, {ledBy(home)}}).Draw(t, "orders")
	if rapid.Bool().Draw(t, "two") {
		second := rapid.SampledFrom([]rule.Actor{secretary, nextCaller, supervisor, who}).Draw(t, "second")
		x.At.Second = &second
	}
	if rapid.IntRange(0, 9).Draw(t, "gate") == 0 {
		x.At.Gate = lists{matter: "heating"}
	}
	return x
}

var codes = []rule.Code{rule.WrongState, rule.GuardFailed, rule.RoleMissing, rule.OutsideJuris, rule.SameUnit,
	rule.SecondPerson, rule.GateBlocked, rule.WindowClosed, rule.EvidenceMissing}

// takes lets somebody try something, and tells what must then be true of the try.
func takes(t *rapid.T, st *story, x step) {
	before, n := st.State, len(st.History)
	x = st.apt(x)
	at := st.Meet(x)
	es, err := Decide(before, x.Command, at)
	if err != nil {
		r := ruletest.Refusal(err)
		if r == nil || len(es) > 0 || !slices.Contains(codes, r.Code) {
			t.Fatalf("%s in %q: got %v, %v; want a refusal", x.Command.Name(), before.Phase, es, err)
		}
		if lack := ruletest.Lack(r, before.Phase, Machine); lack != "" {
			t.Fatalf("%s in %q: %v: %s", x.Command.Name(), before.Phase, r, lack)
		}
		return
	}
	if _, alone := ruletest.Leading[Escalated](es); len(es) > 0 && !alone {
		t.Fatalf("%s decided %d events", x.Command.Name(), len(es))
	}
	st.Fold(at, es...)
	if !slices.Contains(ruletest.Actors(Machine, before.Phase, x.Command.Name()), x.At.Actor.Role) && len(st.History) > n {
		t.Fatalf("%s in %q by %s, whom the table does not name", x.Command.Name(), before.Phase, x.At.Actor.Role)
	}
	if w, warns := x.Command.(RaiseWarning); warns && len(es) > 0 { // the next warning may be due as well
		if n := st.State.Fired.Of(w.ID).Warned; n != before.Fired.Of(w.ID).Warned+1 {
			t.Fatalf("warning %d was raised after %d", n, before.Fired.Of(w.ID).Warned)
		}
	} else if es, err := Decide(st.State, x.Command, at); len(es) > 0 || err != nil {
		t.Fatalf("%s asked twice: got %v, %v; want nothing", x.Command.Name(), es, err)
	}
	check(t, st.History, st.State)
}

// onward is the step that brings a demand nearer to its end, whatever came before.
func onward(s State) step {
	at := street
	if s.Unit == far {
		at = nextStreet
	}
	person := func(r orgs.Role) rule.Actor { return rule.Actor{ID: "k-onward-" + string(r), Role: r, Unit: at} }
	switch s.Phase {
	case "":
		return by(resident, raise)
	case PhaseRaised:
		community := home
		if at == nextStreet {
			community = far
		}
		return by(person(orgs.Clerk), change(accept, func(c *Accept) { c.Kind, c.Unit, c.Grid = s.Kind, community, "" }))
	case PhaseAccepted:
		if s.Matter == "" || s.Urgency == "" {
			return by(person(orgs.Clerk), Reclassify{Matter: "heating", Urgency: "D"})
		}
		lead := ledBy(at)
		lead.Lead = home
		if at == nextStreet {
			lead.Lead = far
		}
		switch s.Kind {
		case Dispute:
			return by(person(orgs.Dispatcher), mediate)
		case Report:
			return by(person(orgs.Dispatcher), newOrder(ReasonConfidential, lead.Lead))
		}
		return by(person(orgs.Dispatcher), join, orders(lead))
	case PhaseInTopic:
		return by(manager, Answer{Outcome: NotAdopted, Summary: "未采纳", From: source})
	case PhaseInHandling:
		return by(manager, answer)
	}
	return by(caller, happy)
}

func TestLawsHoldWhateverAnybodyTries(t *testing.T) {
	seen := map[Phase]int{}
	taken := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			live(t, seen, taken)
		}
	})
	ruletest.Shown(t, seen, Machine.States...)
	var words []string
	for _, e := range everyEvent() {
		words = append(words, ruletest.Word(e))
	}
	ruletest.Shown(t, taken, words...)
}

// live lets people try things with one demand, sees it to its end, and counts where it came.
func live(t *rapid.T, seen map[Phase]int, taken map[string]int) {
	st := given(t, rapid.SampledFrom([][]step{nil, isAnon, beginnings["D13"]}).Draw(t, "from")) // what follows on the last two seldom comes by chance
	begun := len(st.History)
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		if st.State.Phase == PhaseRedirected || st.State.Phase == PhaseWithdrawn {
			break
		}
		takes(t, st, anyStep(t, st.State))
		seen[st.State.Phase]++
	}
	for _, e := range st.History[begun:] {
		taken[ruletest.Word(e.Event)]++
	}
	st.Retells(t, State{ID: self}) // states that were handed out did not change since
	for steps := 0; !st.State.Phase.Terminal(); steps++ {
		if steps > 6 {
			t.Fatalf("stuck in %q", st.State.Phase)
		}
		x := onward(st.State)
		if _, err := st.Does(x); err != nil {
			t.Fatalf("no way on from %q: %s: %v", st.State.Phase, x.Command.Name(), err)
		}
		check(t, st.History, st.State)
	}
}

func TestTheLawsFindABrokenStream(t *testing.T) {
	st := given(t, isClosed)
	check(t, st.History, st.State)
	found := func(history []entry, s State) string {
		return ruletest.Failure(func(t ruletest.Test) { check(t, history, s) })
	}
	broken := map[string]func([]entry) []entry{
		"an event lost":         func(h []entry) []entry { return slices.Delete(h, 1, 2) },
		"closed without a call": func(h []entry) []entry { return slices.Delete(h, 3, 4) },
		"a clock's id again": func(h []entry) []entry {
			e := h[3].Event.(Answered)
			e.Callback.ID = h[2].Event.(FastTracked).Promise.ID
			h[3].Event = e
			return h
		},
		"due before it began": func(h []entry) []entry {
			e := h[1].Event.(Accepted)
			e.Triage.Due = e.Triage.StartedAt.Add(-time.Second)
			h[1].Event = e
			return h
		},
		"a clock after the end": func(h []entry) []entry {
			e := h[4].Event.(CallbackRecorded)
			e.Triage = &calendar.Due{ID: "triage/1/0/5", Clock: calendar.Triage}
			h[4].Event = e
			return h
		},
		"no answer anywhere": func(h []entry) []entry {
			e := h[3].Event.(Answered)
			e.From = Source{}
			h[3].Event = e
			return h
		},
		"handled by nobody": func(h []entry) []entry {
			h[2].Event = EnteredHandling{Topic: topicID}
			return h[:3]
		},
	}
	for name, spoil := range broken {
		history := spoil(slices.Clone(st.History))
		s := State{ID: self}
		for _, e := range history {
			s = Evolve(s, e.Event, e.Stamp)
		}
		if found(history, s) == "" {
			t.Errorf("%s: nothing is found", name)
		}
	}
	if found(st.History, given(t, isAnswered).State) == "" {
		t.Error("another state than the stream's: nothing is found")
	}
}
