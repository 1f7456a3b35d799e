package city_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
)

// TestAYear plays the year that the demo starts with, and asks of it what the rule book and the article say.
func TestAYear(t *testing.T) {
	const demands = 2000
	p := play(t, city.Whole, 1501, demands)
	es := p.entries(t)
	t.Logf("%d units, %d demands, %d acts, %d events in %s", p.tally.Units, p.tally.Demands, p.tally.Acts, len(es), p.took)

	t.Run("nothing is refused, and no consequence is parked", func(t *testing.T) {
		for _, r := range p.tally.Refused[:min(10, len(p.tally.Refused))] {
			t.Errorf("%s at %s: %T of %s: %v", r.Act.Key, r.Act.At, r.Act.Command, r.Act.Stream, r.Reason)
		}
		parked, err := p.eng.Parked(context.Background())
		if err != nil || len(parked) > 0 {
			t.Errorf("got %d parked consequences, first %+v, error %v", len(parked), parked[:min(1, len(parked))], err)
		}
	})
	t.Run("every row of the machines occurs", func(t *testing.T) { everyRow(t, es) })
	t.Run("a third return is ruled on, and some orders are problem orders", func(t *testing.T) {
		causes := map[string]int{}
		final := 0
		for _, e := range es {
			switch b := e.Body.(type) {
			case order.ProblemFlagged:
				causes[b.Cause]++
			case order.ReturnRefused:
				if b.Final {
					final++
				}
			}
		}
		if causes["returns"] == 0 || causes["rework"] == 0 || final == 0 {
			t.Errorf("got problem orders %v and %d final rulings, want each at least once", causes, final)
		}
	})
	t.Run("errands, issues and disputes are as the article has them", func(t *testing.T) { mix(t, p, es, demands) })
	t.Run("most is on time, one department is not", func(t *testing.T) { punctual(t, es) })
	t.Run("the gate keeps away what it is meant to, and nothing else", func(t *testing.T) {
		type given struct {
			demand stream.ID
			unit   orgs.UnitCode
		}
		lists, kept := map[duty.List]int{}, map[given]bool{}
		for _, e := range es {
			switch b := e.Body.(type) {
			case duty.Blocked:
				lists[b.List]++
				kept[given{b.Demands[0], b.Unit}] = b.List != duty.OnNone
				if b.List != duty.OnNone && !strings.HasPrefix(string(b.Row), "【合成】") {
					t.Errorf("%s: the row %q does not say that it is made up", e.Stream, b.Row)
				}
			case order.Dispatched:
				for _, d := range b.Demands {
					if kept[given{d, b.Lead}] {
						t.Errorf("%s came of a dispatch that was stopped", e.Stream)
					}
				}
			}
		}
		if lists[duty.Negative] != 1 || lists[duty.NoCertificate] != 1 || lists[duty.OnNone] != 5 || len(lists) != 3 || p.tally.Kept != 7 {
			t.Errorf("got blocks %v, %d kept, want one by the negative list, one certificate, and five of what is on no list", lists, p.tally.Kept)
		}
	})
	t.Run("whistles, admissions, absences, supervision and disputes occur, each with what follows", func(t *testing.T) {
		types := map[string]int{}
		opened := map[orgs.UnitCode]bool{} // a community, to what is on none of its lists
		for _, e := range es {
			types[e.Body.EventType()]++
			switch b := e.Body.(type) {
			case admission.Funded:
				for _, u := range e.After.(admission.State).Units {
					opened[u] = true
				}
			case order.Dispatched:
				if b.Matter == "040203" && len(b.Lead) == 15 && !opened[b.Place] {
					t.Errorf("%s was given to a grid of %s, which is not open for it", e.Stream, b.Place)
				} else if opened[b.Place] {
					types["dispatched by a grant"]++
				}
			}
		}
		for _, typ := range []string{"whistle-blown/1", "unit-reported-in/1", "unit-absent/1", "unit-released/1", "whistle-concluded/1", "whistle-scored/1",
			"duty-list-published/1", "dispatch-blocked/1", "admission-requested/1", "admission-review-opened/1", "street-opinion-recorded/1", "admission-granted/1",
			"admission-funded/1", "admission-refused/1", "admission-withdrawn/1", "admission-revoked/1", "admission-expired/1", "dispatched by a grant",
			"grid-worker-relieved/1", "acting-worker-appointed/1", "supervision-issued/1", "supervision-answered/1", "dispute-opened/1", "mediation-failed/1",
			"dispute-referred-up/1", "mediation-succeeded/1", "dispute-referred-out/1"} {
			if t.Logf("%s %d", typ, types[typ]); types[typ] == 0 {
				t.Errorf("no %s in a year", typ)
			}
		}
	})
	t.Run("most residents are reached", func(t *testing.T) {
		answered, unreached := 0, 0
		for _, e := range es {
			switch b := e.Body.(type) {
			case demand.CallbackRecorded:
				answered++
			case demand.CallbackWaived:
				if b.Cause == "unreached" {
					unreached++
				}
			}
		}
		near(t, "share of residents reached", answered, answered+unreached, 0.80, 0.03)
	})
	t.Run("a few orders are suspended, returned and reworked", func(t *testing.T) {
		seen := map[string]map[stream.Name]bool{}
		for _, e := range es {
			typ := e.Body.EventType()
			if seen[typ] == nil {
				seen[typ] = map[stream.Name]bool{}
			}
			seen[typ][e.Stream] = true
		}
		dispatched := len(seen[order.Dispatched{}.EventType()])
		reworked := maps.Clone(seen[order.ReworkOrdered{}.EventType()])
		maps.Copy(reworked, seen[order.VerificationFailed{}.EventType()])
		maps.Copy(reworked, seen[order.Reopened{}.EventType()])
		near(t, "share of orders suspended", len(seen[order.Suspended{}.EventType()]), dispatched, 0.02, 0.01)
		near(t, "share of orders sent back", len(seen[order.ReturnRequested{}.EventType()]), dispatched, 0.015, 0.01)
		near(t, "share of orders reworked", len(reworked), dispatched, 0.05, 0.02)
	})
	t.Run("at the end most is closed, and some is still open", func(t *testing.T) {
		last := map[stream.Name]demand.State{}
		for _, e := range es {
			if d, ok := e.After.(demand.State); ok {
				last[e.Stream] = d
			}
		}
		phases := map[demand.Phase]int{}
		for _, d := range last {
			phases[d.Phase]++
			if !d.Phase.Terminal() && d.RecordedAt.Before(p.city.Eve().AddDate(0, 8, 0)) {
				t.Errorf("demand %s of %s is still %s", d.Number, d.RecordedAt.Format("2006-01-02"), d.Phase)
			}
		}
		for _, want := range []demand.Phase{demand.PhaseClosed, demand.PhaseDeclined, demand.PhaseRedirected, demand.PhaseWithdrawn,
			demand.PhaseAnswered, demand.PhaseInHandling, demand.PhaseInTopic} {
			if phases[want] == 0 {
				t.Errorf("no demand is %s at the end: %v", want, phases)
			}
		}
		if open := len(last) - phases[demand.PhaseClosed] - phases[demand.PhaseDeclined] - phases[demand.PhaseRedirected] - phases[demand.PhaseWithdrawn]; open*100 < len(last) || open*100 > 10*len(last) {
			t.Errorf("got %d of %d demands open, want 1 to 10 of 100: %v", open, len(last), phases)
		}
	})
	t.Run("the clock acts in its second", func(t *testing.T) {
		kinds := map[string]int{}
		for _, e := range es {
			late := 0
			switch b := e.Body.(type) {
			case order.WarningRaised:
				late = b.LateBy
			case order.ClockExpired:
				late = b.LateBy
				if late == 1 { // the due second itself is on time
					late = 0
				}
			}
			if late > 0 {
				t.Errorf("%s of %s is late by %d s", e.Body.EventType(), e.Stream, late)
			}
			if e.Meta.Actor == rule.ClockID {
				kinds[e.Body.EventType()]++
			}
		}
		t.Logf("%d alarms: %v", p.tally.Alarms, kinds)
		for _, typ := range []string{order.WarningRaised{}.EventType(), order.ClockExpired{}.EventType(), order.Escalated{}.EventType()} {
			if kinds[typ] < 10 {
				t.Errorf("got %d of %s in a year", kinds[typ], typ)
			}
		}
		if kinds[event.NodeCheckedIn{}.EventType()] > 0 {
			t.Error("a simulated clock had to be compared")
		}
	})
	t.Run("every demand says that it is made up", func(t *testing.T) {
		for _, e := range es {
			if b, ok := e.Body.(demand.Raised); ok && b.SplitFrom.IsZero() && !strings.HasPrefix(b.External, city.Label+"-") {
				t.Errorf("%s has the reference %q", e.Stream, b.External)
			}
		}
	})
}

// TestSmallYears plays years too small for every fate.
func TestSmallYears(t *testing.T) {
	for _, demands := range []int{0, 1, 7, 40, 250} {
		p := play(t, city.Street, 5, demands)
		if p.tally.Demands != demands || len(p.tally.Refused) > 0 {
			t.Errorf("%d demands: got %d, %d refused", demands, p.tally.Demands, len(p.tally.Refused))
		}
	}
}

// TestEverySizeIsSeededWithoutARefusal plays years of the sizes. In the first of them the clock waives the callbacks of residents
// whom a topic answered long before somebody would have called.
func TestEverySizeIsSeededWithoutARefusal(t *testing.T) {
	for _, c := range []struct {
		size    city.Size
		seed    uint64
		demands int
	}{{city.Street, 1, 500}, {city.District, 1501, 250}, {city.Whole, 1501, 250}} {
		p := play(t, c.size, c.seed, c.demands)
		for _, r := range p.tally.Refused {
			t.Errorf("%s, seed %d, %d demands: %s at %s: %T of %s: %v", c.size, c.seed, c.demands, r.Act.Key, r.Act.At, r.Act.Command, r.Act.Stream, r.Reason)
		}
		if p.tally.Demands != c.demands {
			t.Errorf("%s: got %d demands, want %d", c.size, p.tally.Demands, c.demands)
		}
	}
}

// everyRow wants each row of the three machines at least once.
func everyRow(t *testing.T, es []event.Entry) {
	demands, topics, orders := rows(demand.Machine), rows(topic.Machine), rows(order.Machine)
	for _, e := range es {
		switch after := e.After.(type) {
		case demand.State:
			before, _ := e.Before.(demand.State)
			demands.see(demand.Machine, e.Body, before.Phase, after.Phase)
		case topic.State:
			before, _ := e.Before.(topic.State)
			topics.see(topic.Machine, e.Body, before.Phase, after.Phase)
		case order.State:
			before, _ := e.Before.(order.State)
			orders.see(order.Machine, e.Body, before.Phase, after.Phase)
		}
	}
	for _, seen := range []occurrences{demands, topics, orders} {
		for _, id := range slices.Sorted(maps.Keys(seen)) {
			if seen[id] == 0 {
				t.Errorf("row %s does not occur", id)
			}
		}
	}
}

// occurrences count the rows of a machine by their ids.
type occurrences map[string]int

func rows[S ~string](m rule.Machine[S]) occurrences {
	o := occurrences{}
	for _, r := range m.Rows {
		o[r.ID] = 0
	}
	return o
}

func (o occurrences) see(m any, b event.Body, before, after any) {
	typ, _, _ := strings.Cut(b.EventType(), "/")
	switch m := m.(type) {
	case rule.Machine[demand.Phase]:
		see(o, m, typ, before.(demand.Phase), after.(demand.Phase))
	case rule.Machine[topic.Phase]:
		see(o, m, typ, before.(topic.Phase), after.(topic.Phase))
	case rule.Machine[order.Phase]:
		see(o, m, typ, before.(order.Phase), after.(order.Phase))
	}
}

func see[S ~string](o occurrences, m rule.Machine[S], typ string, before, after S) {
	for _, r := range m.Rows {
		if r.Event == typ && r.To == after && (before == "" && len(r.From) == 0 || slices.Contains(r.From, before)) {
			o[r.ID]++
		}
	}
}

// near says whether a share is what it should be.
func near(t *testing.T, what string, part, whole int, want, tolerance float64) {
	t.Helper()
	got := float64(part) / float64(max(whole, 1))
	t.Logf("%s: %d of %d, %.3f", what, part, whole, got)
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s: got %.3f (%d of %d), want %.3f ± %.3f", what, got, part, whole, want, tolerance)
	}
}

func mix(t *testing.T, p played, es []event.Entry, demands int) {
	type cell struct {
		county string
		kind   demand.Kind
	}
	got, kinds, raised := map[cell]int{}, map[demand.Kind]int{}, 0
	for _, e := range es {
		if b, ok := e.Body.(demand.Raised); ok && b.SplitFrom.IsZero() {
			got[cell{string(b.Unit[:6]), b.Kind}]++
			kinds[b.Kind]++
			raised++
		}
	}
	if raised != demands || p.tally.Demands != demands {
		t.Errorf("got %d demands, %d of them tallied, want %d", raised, p.tally.Demands, demands)
	}
	article, total := map[demand.Kind]int{}, 0
	for _, f := range city.Published().Counties {
		article[demand.Errand] += f.Errands.Value
		article[demand.Issue] += f.Issues.Value
		article[demand.Dispute] += f.Disputes.Value
		total += f.Demands()
	}
	asked := kinds[demand.Errand] + kinds[demand.Issue] + kinds[demand.Dispute]
	for kind, n := range article {
		near(t, "share of kind "+string(kind), kinds[kind], asked, float64(n)/float64(total), 0.002)
	}
	for code, f := range city.Published().Counties {
		for kind, n := range map[demand.Kind]int{demand.Errand: f.Errands.Value, demand.Issue: f.Issues.Value, demand.Dispute: f.Disputes.Value} {
			want := float64(n) * float64(asked) / float64(total)
			if g := got[cell{string(code), kind}]; math.Abs(float64(g)-want) > 3 {
				t.Errorf("%s: got %d of kind %s, want about %.1f", f.Name, g, kind, want)
			}
		}
	}
	near(t, "share of consults, suggestions and reports", raised-asked, raised, 0.03, 0.002)
}

// punctual judges each order by the report that passed in the first round against the due that ran then.
func punctual(t *testing.T, es []event.Entry) {
	type score struct{ onTime, all int }
	var city, slow, others score
	for _, e := range es {
		after, ok := e.After.(order.State)
		if _, passed := e.Body.(order.VerificationPassed); !ok || !passed || after.Round > 1 {
			continue
		}
		before := e.Before.(order.State)
		count := func(s *score) {
			s.all++
			if calendar.OnTime(before.Report.DoneAt, before.Frozen.Due) {
				s.onTime++
			}
		}
		count(&city)
		switch lead := string(after.Lead); {
		case strings.HasSuffix(lead, "-d01"):
			count(&slow)
		case strings.Contains(lead, "-d"):
			count(&others)
		}
	}
	near(t, "share on time", city.onTime, city.all, 0.92, 0.02)
	t.Logf("housing departments %+v, other departments %+v", slow, others)
	if slow.all < 5 || slow.onTime*100 > 75*slow.all || others.onTime*100 < 80*others.all {
		t.Errorf("got housing departments %+v, other departments %+v, want the first clearly worse", slow, others)
	}
}

// saidIn is everything in an act that is sealed later, in the clear.
func saidIn(a city.Act) (texts []string) {
	for _, f := range sealed.Fields(sealed.Copy(a.Command)) {
		f.Text.Reveal(func(clear string) { texts = append(texts, clear) })
	}
	return texts
}

// written is an act as text, with what is sealed later.
func written(t testing.TB, a city.Act) string {
	t.Helper()
	copied := sealed.Copy(a.Command)
	for _, f := range sealed.Fields(copied) {
		f.Text.Reveal(func(clear string) { *f.Text = sealed.Cipher(clear) })
	}
	j, err := json.Marshal(copied)
	if err != nil {
		t.Fatal(err)
	}
	second := ""
	if a.Second != nil {
		second = fmt.Sprint(*a.Second)
	}
	return fmt.Sprintf("%s %s %s %s %v %s %T %s\n", a.At.UTC(), a.Occurred.UTC(), a.Stream, a.Key, a.Actor, second, a.Command, j)
}
