package engine_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/evaluation"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/scheme"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
)

// The office of these tests, the street, and what is computed for them.
var (
	ann     = as(orgs.Evaluator, district)
	ben     = as(orgs.Evaluator, oversight)
	desk    = as(orgs.Dispatcher, street)
	signer  = as(orgs.StreetLeader, street)
	lawID   = stream.For(stream.Scheme, ann.ID, "law")
	law     = stream.Of(stream.Scheme, lawID)
	april   = calendar.DateOf(time.Date(2025, 4, 15, 0, 0, 0, 0, time.UTC)) - 14
	april30 = april + 29
	marchID = stream.PeriodOf(string(district), lawID, april.String(), april30.String())
	spring  = stream.Of(stream.Period, marchID)
	rating  = stream.Of(stream.Evaluation, stream.EvaluationOf(marchID, string(street), string(bureau)))
	opening = period.Open{Jurisdiction: district, Scheme: lawID, First: april, Last: april30}
)

func sha(c string) string { return strings.Repeat(c, 64) }

func figure(n int) period.Figure {
	return period.Figure{Unit: bureau, Street: street, Name: fmt.Sprint("on_time_", n), N: "1855", D: "1935", Printed: "95.87"}
}

func points(t testing.TB, words ...string) []assessment.Given {
	t.Helper()
	var gs []assessment.Given
	for i, f := range assessment.Default().Form {
		d, err := assessment.ParseDecimal(words[i])
		if err != nil {
			t.Fatal(err)
		}
		gs = append(gs, assessment.Given{Code: f.Code, Points: d})
	}
	return gs
}

// refuses gives a command that must be refused, under a code; nothing may be written.
func (h *house) refuses(n stream.Name, a rule.Actor, c engine.Command, code rule.Code, second ...rule.Actor) {
	h.t.Helper()
	before := len(h.types(n))
	r := h.request(n, a, c)
	if len(second) > 0 {
		r.Second = &second[0]
	}
	var refusal *rule.Refusal
	if _, err := h.Handle(context.Background(), r); !errors.As(err, &refusal) || refusal.Code != code {
		h.t.Errorf("%T on %s: got %v, want %s", c, n, err, code)
	}
	if got := len(h.types(n)); got != before {
		h.t.Errorf("%T on %s was refused and wrote %d events", c, n, got-before)
	}
}

// A scheme is published, applied, evaluated with, shown, contested, sealed, corrected and retired.
func TestAnAssessmentIsCarriedFromItsSchemeToItsSeal(t *testing.T) {
	h := open(t)
	h.do(law, ann, scheme.Draft{Scheme: assessment.Default()})
	h.refuses(spring, ann, opening, rule.GuardFailed) // a draft is not applied
	h.refuses(law, ann, scheme.Publish{}, rule.SecondPerson)
	h.do(law, ann, scheme.Publish{}, ben)
	h.do(spring, ann, opening)
	h.refuses(law, ann, scheme.Retire{}, rule.GuardFailed) // what the index knows: a period is settled by it

	_, oid := h.inHandling() // an order of March: it does not show that anybody served the street in April
	submit := evaluation.Submit{Period: marchID, Unit: bureau, Items: points(t, "18", "17.5", "25", "24")}
	h.refuses(rating, desk, submit, rule.GuardFailed, signer) // not before the cut-off
	h.wait(april30.End().Sub(h.now))
	h.alarm(spring)
	h.refuses(rating, desk, submit, rule.SecondPerson)
	h.do(rating, desk, submit, signer)
	submit.Items = points(t, "19", "17.5", "25", "24")
	h.do(rating, desk, submit, signer)

	order1 := assessment.Case{Stream: stream.Of(stream.Order, oid), Leg: 1}
	ask := period.RequestExclusion{Case: order1, Reason: assessment.ForceMajeure, Account: "暴雨"}
	h.do(spring, signer, ask)
	h.refuses(spring, signer, period.RequestExclusion{Case: assessment.Case{Stream: stream.Of(stream.Order, marchID)}, Reason: assessment.ForceMajeure, Account: "x"}, rule.GuardFailed)
	h.refuses(spring, signer, period.RequestExclusion{Case: assessment.Case{Stream: stream.Of(stream.Whistle, marchID), Unit: bureau}, Reason: assessment.ForceMajeure, Account: "x"}, rule.GuardFailed)
	h.do(spring, ann, period.PublishProvisional{Figures: 3, Results: sha("a"), Cohort: sha("b")})
	h.refuses(rating, desk, submit, rule.WindowClosed, signer)
	h.do(spring, as(orgs.UnitHead, bureau), period.FileObjection{Case: assessment.Case{Stream: rating, Unit: bureau}, Verdict: assessment.LeftOut, Ground: "未到场打分"})
	s, _, err := h.Load(context.Background(), spring)
	if err != nil {
		t.Fatal(err)
	}
	p := s.(period.State)
	seal := period.Seal{Computed: period.Computed{CutOff: 40, CutOffAt: p.CutOffAt, Program: "test", Root: sha("c"), Leaves: 40, Count: 3, Results: sha("a"), Items: 9, Cohort: sha("b")},
		Figures: []period.Figure{figure(1), figure(2), figure(3)}, Units: 2}
	h.wait(20 * 24 * time.Hour)
	h.refuses(spring, ann, seal, rule.UndecidedItems, ben)
	h.do(spring, ann, period.RejectObjection{Number: 1, Reason: "签到表在卷"})
	h.refuses(spring, rule.Actor{ID: signer.ID, Role: orgs.Evaluator, Unit: district}, period.ApproveExclusion{Number: 1}, rule.SecondPerson) // the same person
	h.do(spring, ann, period.RefuseExclusion{Number: 1, Reason: "当日无雨"})
	h.refuses(spring, ann, seal, rule.SecondPerson)
	h.do(spring, ann, seal, ben)
	h.refuses(spring, ann, period.Void{Reason: "x"}, rule.PeriodSealed, ben)
	h.refuses(rating, desk, submit, rule.PeriodSealed, signer)
	seal.Results = sha("d")
	h.do(spring, ann, period.SealRevision{Computed: seal.Computed, Cause: period.Correction, Reason: "更正", Changed: 1,
		Figures: []period.Figure{{Unit: bureau, Name: "score", N: "1", D: "2", Printed: "0.50", Was: &period.Value{N: "1", D: "3", Printed: "0.33"}}}}, ben)
	h.do(law, ann, scheme.Retire{})

	want := []string{"period-opened/1", "period-ended/1", "exclusion-requested/1", "provisional-published/1", "objection-filed/1", "objection-rejected/1",
		"exclusion-refused/1", "figures-recorded/1", "period-sealed/1", "figures-recorded/1", "revision-sealed/1"}
	if got := h.types(spring); !slices.Equal(got, want) {
		t.Errorf("the period's stream holds %v\nwant %v", got, want)
	}
	if got := h.types(rating); !slices.Equal(got, []string{"evaluation-submitted/1", "evaluation-submitted/1"}) {
		t.Errorf("the evaluation's stream holds %v, want both submissions", got)
	}
	states := map[stream.Name]event.State{}
	for _, n := range []stream.Name{law, spring, rating} {
		if states[n], _, err = h.Load(context.Background(), n); err != nil {
			t.Fatal(err)
		}
	}
	if e := states[rating].(evaluation.State); e.Number != 2 || e.Total.String() != "85.5" || e.Signer != signer.ID {
		t.Errorf("the evaluation in force: %+v", e)
	}
	h.stop() // what the log says is what was decided
	h.start()
	for n, want := range states {
		if got, _, err := h.Load(context.Background(), n); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s read again: got %+v, %v\nwant %+v", n, got, err, want)
		}
	}
	if parked, err := h.Parked(context.Background()); err != nil || len(parked) != 0 {
		t.Errorf("parked consequences: %v, %v; want none", parked, err)
	}
}

// applied brings a house to where a period of April is open.
func (h *house) applied() {
	h.do(law, ann, scheme.Draft{Scheme: assessment.Default()})
	h.do(law, ann, scheme.Publish{}, ben)
	h.do(spring, ann, opening)
}

// racing gives a command many times at once, each under a key of its own, and returns how many were done.
func (h *house) racing(n stream.Name, a rule.Actor, second *rule.Actor, c engine.Command) (won int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range 32 {
		wg.Go(func() {
			_, err := h.Handle(context.Background(), engine.Request{Stream: n, Key: fmt.Sprint("race", i), Expect: -1, Actor: a, Second: second, Commands: []engine.Command{c}})
			mu.Lock()
			defer mu.Unlock()
			var refusal *rule.Refusal
			switch {
			case err == nil:
				won++
			case !errors.As(err, &refusal) || refusal.Code != rule.WrongState:
				h.t.Errorf("got %v, want success or %s", err, rule.WrongState)
			}
		})
	}
	wg.Wait()
	return won
}

// The name of a stream is the rule: a period of the same jurisdiction, scheme and days exists once, and so does what one
// street says of one unit.
func TestAPeriodAndAnEvaluationExistOnce(t *testing.T) {
	h := open(t)
	h.do(law, ann, scheme.Draft{Scheme: assessment.Default()})
	h.do(law, ann, scheme.Publish{}, ben)
	if won := h.racing(spring, ann, nil, opening); won != 1 || len(h.types(spring)) != 1 {
		t.Errorf("%d openings of %v, want one", won, h.types(spring))
	}
	for _, wrong := range []stream.Name{stream.Of(stream.Period, lawID), stream.Of(stream.Scheme, marchID), stream.Of(stream.Evaluation, marchID)} {
		if _, err := h.Handle(context.Background(), h.request(wrong, ann, opening)); err == nil {
			t.Errorf("the period was opened again as %s", wrong)
		}
	}
	h.wait(april30.End().Add(25 * time.Hour).Sub(h.now))
	h.alarm(spring)
	if won := h.racing(rating, desk, &signer, evaluation.Submit{Period: marchID, Unit: bureau, Items: points(t, "18", "17.5", "25", "24")}); won != 1 || len(h.types(rating)) != 1 {
		t.Errorf("%d evaluations of %v, want one", won, h.types(rating))
	}
}

// The clock of four nodes ends a period once, at its time, and its event says how late the machine was.
func TestFourNodesEndAPeriodOnce(t *testing.T) {
	p := found(t, monday, 4, nil)
	give := func(s stream.Name, c engine.Command) {
		t.Helper()
		if err := p.nodes[0].give(s, ann, &ben, c); err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		p.settle()
	}
	give(law, scheme.Draft{Scheme: assessment.Default()})
	give(law, scheme.Publish{})
	give(spring, opening)
	ends := april30.End().Add(24 * time.Hour)
	p.set(ends)
	for _, n := range p.nodes {
		if fired, err := n.sweep(); err != nil || len(fired) > 0 {
			t.Fatalf("within the last second: got %v, %v, want nothing", fired, err)
		}
	}
	p.set(ends.Add(3 * time.Second))
	var wg sync.WaitGroup
	fired := make([]int, len(p.nodes))
	for i, n := range p.nodes {
		wg.Go(func() {
			done, err := n.sweep()
			if err != nil {
				t.Error(err)
			}
			fired[i] = len(done)
		})
	}
	wg.Wait()
	p.settle()
	var seen []event.Body
	for ev, err := range p.log.Read(t.Context(), string(spring), 1) {
		body, wrong := event.Decode(ev.Type, ev.Data)
		if err := errors.Join(err, wrong); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, body)
	}
	if len(seen) != 1 || fired[0]+fired[1]+fired[2]+fired[3] != 1 {
		t.Fatalf("four nodes fired %v and wrote %v, want one event", fired, seen)
	}
	if e := seen[0].(period.Ended); e.LateBy != 3 || !e.EndsAt.Equal(ends) || calendar.DateOf(e.Evaluation.Due).String() != "2025-05-19" {
		t.Errorf("got %+v, want an end at %s, three seconds late, with ten working days for evaluations", e, ends)
	}
	p.wants("alarms", p.alarms(spring), "[end/1/0/0/expiry]")
}

// The largest seal that is let through fits into one append, and none of its events exceeds 256 KiB.
func TestTheLargestSealIsOneAppend(t *testing.T) {
	h := open(t)
	h.applied()
	h.wait(april30.End().Add(25 * time.Hour).Sub(h.now))
	h.alarm(spring)
	var figures []period.Figure
	for size := 0; size <= period.MostBytes; size += figures[len(figures)-1].Size() {
		f := figure(len(figures))
		f.N, f.D = strings.Repeat("9", 150), strings.Repeat("9", 150)
		figures = append(figures, f)
	}
	figures = figures[:len(figures)-1]
	n := len(figures)
	h.do(spring, ann, period.PublishProvisional{Figures: n, Results: sha("a"), Cohort: sha("b")})
	h.wait(20 * 24 * time.Hour)
	s, _, err := h.Load(context.Background(), spring)
	if err != nil {
		t.Fatal(err)
	}
	seal := period.Seal{Computed: period.Computed{CutOff: 40, CutOffAt: s.(period.State).CutOffAt, Program: "test", Root: sha("c"), Leaves: 40, Count: n, Results: sha("a"), Cohort: sha("b")}, Figures: figures, Units: 2}
	one := seal
	one.Figures, one.Count = append(slices.Clip(figures), figure(0)), n+1
	h.refuses(spring, ann, one, rule.GuardFailed, ben)
	before := len(h.types(spring))
	receipt := h.do(spring, ann, seal, ben)
	if receipt.Written < 5 || len(h.types(spring)) != before+receipt.Written {
		t.Errorf("wrote %d events of %d figures, the stream has %d more", receipt.Written, n, len(h.types(spring))-before)
	}
	for ev, err := range h.log.Read(context.Background(), string(spring), eventlog.Revision(before)) {
		if err != nil || len(ev.Data)+len(ev.Meta) > 256<<10 {
			t.Errorf("%s has %d bytes, %v", ev.Type, len(ev.Data)+len(ev.Meta), err)
		}
	}
}

// An order that is closed is rated by the street that dispatched it, and nobody is told of it.
func TestAStreetRatesAnOrder(t *testing.T) {
	h := open(t)
	n := stream.Of(stream.Order, stream.Derive("rated order"))
	h.do(n, desk, order.Dispatch{Patrol: true, Anonymous: true, Kind: "errand", Matter: "010101", Urgency: "C", Lead: community, Place: community, Grid: grid, Task: "检修"})
	clerk := as(orgs.Clerk, community)
	h.do(n, clerk, order.Sign{})
	h.do(n, clerk, order.WaiveContact{Cause: "patrol"})
	h.refuses(n, signer, order.Rate{Leg: 1, Score: 80}, rule.WrongState)
	h.do(n, clerk, order.ReportHandling{Outcome: "resolved", Answer: sealed.Clear("已修好"), Summary: "已修复", Evidence: []string{sha("a")}})
	h.do(n, signer, order.Rate{Leg: 1, Score: 80})
	before, _ := h.log.End(context.Background())
	h.do(n, signer, order.Rate{Leg: 1, Score: 50, Comment: "返工"})
	if end, _ := h.log.End(context.Background()); end != before+1 {
		t.Errorf("a rating wrote %d events, want one", end-before)
	}
	s, _, _ := h.Load(context.Background(), n)
	if l := s.(order.State).Legs[0]; l.Rating != 50 || !l.Rated || l.Remark != "返工" {
		t.Errorf("got %+v, want the last rating", l)
	}
}
