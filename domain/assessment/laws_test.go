package assessment

import (
	"bytes"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

var (
	someUnits   = []orgs.UnitCode{bureau, rival, station, streetA + "001", streetB + "001"}
	someStreets = []orgs.UnitCode{streetA, streetB, streetC, ""}
)

// anyInstant lies in or around November.
func anyInstant(t *rapid.T, what string) time.Time {
	return at("01 00:00").AddDate(0, 0, -20).Add(time.Duration(rapid.IntRange(0, 70*24*60).Draw(t, what)) * time.Minute)
}

// maybe is an instant or none.
func maybe(t *rapid.T, what string) time.Time {
	if rapid.IntRange(0, 3).Draw(t, what+"?") == 0 {
		return time.Time{}
	}
	return anyInstant(t, what)
}

func anyPlace(t *rapid.T) Place {
	s := rapid.SampledFrom(someStreets).Draw(t, "street")
	if s == "" {
		return Place{Unit: district, District: district}
	}
	return Place{Unit: s + "001", Community: s + "001", Street: s, District: district}
}

func anyFacts(t *rapid.T) Facts {
	var f Facts
	flag := func(what string) bool {
		return rapid.SampledFrom([]bool{false, false, false, false, true}).Draw(t, what)
	}
	kind := rapid.SampledFrom([]string{"errand", "issue", "consult"})
	orders := rapid.IntRange(0, 6).Draw(t, "orders")
	demands := rapid.IntRange(0, 8).Draw(t, "demands")
	for i := range orders {
		legs := rapid.IntRange(1, 2).Draw(t, "legs")
		for n := range legs {
			l := Leg{Order: id("order", i), Number: n + 1, Kind: kind.Draw(t, "kind"), Place: anyPlace(t), By: district,
				Lead: rapid.SampledFrom(someUnits).Draw(t, "lead"), ByStreet: rapid.SampledFrom(someStreets).Draw(t, "by"),
				DispatchedAt: anyInstant(t, "dispatched"), SignDue: maybe(t, "sign due"), ContactDue: maybe(t, "contact due"), Due: maybe(t, "due"),
				OriginalDue: maybe(t, "original due"), SignedAt: maybe(t, "signed"), ContactedAt: maybe(t, "contacted"), AllContacted: maybe(t, "all contacted"),
				NoContact: flag("no contact"), Returned: n < legs-1 || flag("returned"), Cancelled: flag("cancelled"), ClosedAt: maybe(t, "closed"),
				Reworks: rapid.IntRange(0, 2).Draw(t, "reworks"), Extensions: rapid.IntRange(0, 1).Draw(t, "extensions"), Rating: rapid.SampledFrom([]int{100, 85, 0, -1}).Draw(t, "rating")}
			if l.Returned {
				l.ReturnAskedAt = anyInstant(t, "asked")
			}
			l.CoUnits = rapid.SliceOfNDistinct(rapid.SampledFrom(someUnits), 0, 3, rapid.ID).Draw(t, "co-units")
			if flag("team") {
				l.Competent = station
			}
			if flag("suspended") {
				l.Suspensions = []Span{{From: anyInstant(t, "from"), To: maybe(t, "to")}}
			}
			for range rapid.IntRange(0, 2).Draw(t, "reports") {
				r := Report{DoneAt: anyInstant(t, "done"), Passed: !flag("failed")}
				r.At = r.DoneAt.Add(time.Duration(rapid.IntRange(0, 1440).Draw(t, "written")) * time.Minute)
				if flag("unjudged") {
					r.Passed = false
				} else {
					r.JudgedAt = r.At.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "judged")) * time.Minute)
				}
				l.Reports = append(l.Reports, r)
			}
			for d := range demands {
				if flag("attached") {
					l.Demands = append(l.Demands, id("demand", d))
				}
			}
			f.Legs = append(f.Legs, l)
		}
	}
	for i := range demands {
		d := Demand{ID: id("demand", i), Kind: kind.Draw(t, "kind"), Place: anyPlace(t), Anonymous: flag("anonymous"), Proxy: flag("proxy"), NoCallback: flag("no callback"),
			RaisedAt: anyInstant(t, "raised"), AcceptedAt: maybe(t, "accepted"), OnTheSpot: flag("spot"), FastTracked: flag("fast"), Dispatched: flag("dispatched"),
			ClosedAt: maybe(t, "closed"), CallbackDue: maybe(t, "callback due"), Reached: flag("reached"),
			Waived: rapid.SampledFrom([]string{"", "", "anonymous", "do_not_call", "unreached", "not_called"}).Draw(t, "waived"), WaivedAt: anyInstant(t, "waived at")}
		for o := range orders {
			if flag("ordered") {
				d.Orders = append(d.Orders, id("order", o))
			}
		}
		for range rapid.IntRange(0, 2).Draw(t, "callbacks") {
			d.Callbacks = append(d.Callbacks, Callback{At: anyInstant(t, "called"), Resolved: flag("resolved"), Grade: rapid.IntRange(0, 5).Draw(t, "grade"), Rerating: len(d.Callbacks) > 0 && flag("again")})
		}
		if flag("repeats") {
			d.Repeats, d.RepeatedAt = id("demand", rapid.IntRange(0, demands-1).Draw(t, "of")), anyInstant(t, "repeated")
		}
		f.Demands = append(f.Demands, d)
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "whistles") {
		f.Summonses = append(f.Summonses, Summons{Whistle: id("whistle", i), Street: rapid.SampledFrom(someStreets[:3]).Draw(t, "street"),
			Unit: rapid.SampledFrom(someUnits).Draw(t, "unit"), BlownAt: anyInstant(t, "blown"), Due: maybe(t, "due"), Reported: maybe(t, "reported"),
			Excused: flag("excused"), Void: flag("void"), Ended: maybe(t, "ended"), Score: int64(rapid.IntRange(-1, 10_000).Draw(t, "score"))})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "disputes") {
		f.Disputes = append(f.Disputes, Dispute{ID: id("dispute", i), Place: anyPlace(t), Accepted: !flag("declined"), EndedAt: maybe(t, "ended"),
			End: rapid.SampledFrom([]string{"agreed", "referred_out", "ended"}).Draw(t, "end"), Rung: rapid.IntRange(1, 4).Draw(t, "rung"), Unit: rapid.SampledFrom(someUnits).Draw(t, "unit")})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "topics") {
		f.Topics = append(f.Topics, Topic{ID: id("topic", i), Place: anyPlace(t), Decisions: []TopicDecision{{Adopted: flag("adopted"), At: anyInstant(t, "decided"), Demands: []stream.ID{id("demand", 0), id("demand", 1)}}}})
		f.Blocks = append(f.Blocks, Blocked{Target: rapid.SampledFrom(someUnits).Draw(t, "target"), Matter: "010101", At: anyInstant(t, "blocked")})
		f.Loads = append(f.Loads, Load{Community: streetA + orgs.UnitCode(fmt.Sprintf("%03d", i)), Street: streetA,
			Now:  rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"010101", "160101", "170101"}), 0, 3, rapid.ID).Draw(t, "now"),
			Base: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"010101", "160101", "170101"}), 0, 3, rapid.ID).Draw(t, "base")})
	}
	f.Heirs = map[orgs.UnitCode]orgs.UnitCode{streetB: streetA, streetB + "001": streetA + "001"}
	return f
}

// anyScheme answers every choice in some way.
func anyScheme(t *rapid.T) Scheme {
	s := Default()
	for _, c := range Choices() {
		a := rapid.SampledFrom(c.Answers).Draw(t, string(c.Name))
		value := a.Word
		if a.numbered() {
			n := Decimal(rapid.Int64Range(int64(a.Min), int64(a.Max)).Draw(t, "number"))
			step := Decimal(powerOfTen(4 - a.Places))
			value = (n / step * step).String()
			if a.Word != "" {
				value = a.Word + ":" + value
			}
		}
		s.Choices[c.Name] = value
	}
	return s
}

func anyPeriod(t *rapid.T, f Facts) Period {
	p := november()
	p.Earlier = []Earlier{{date("2026-10-01"), date("2026-10-31"), at("02 00:00")}}
	for i, l := range f.Legs {
		if rapid.IntRange(0, 3).Draw(t, "excluded") == 0 {
			p.Exclusions = append(p.Exclusions, Exclusion{Number: i, Case: Case{Stream: stream.Of(stream.Order, l.Order), Leg: rapid.IntRange(0, 1).Draw(t, "leg")}, Reason: ForceMajeure, Status: Granted})
		}
	}
	for i, d := range f.Demands {
		if rapid.IntRange(0, 3).Draw(t, "contested") == 0 {
			p.Objections = append(p.Objections, Objection{Number: i, Case: Case{Stream: stream.Of(stream.Demand, d.ID)}, Indicator: Satisfaction,
				Verdict: rapid.SampledFrom([]Verdict{Counts, Fails, LeftOut}).Draw(t, "verdict"), Status: Granted})
		}
	}
	for _, s := range p.Streets {
		if rapid.Bool().Draw(t, "rated") {
			p.Evaluations = append(p.Evaluations, evaluation(s.Unit, bureau, fmt.Sprint(rapid.IntRange(0, 100).Draw(t, "marks"))))
		}
	}
	p.Others = []Other{{Unit: bureau, Score: Whole(85)}}
	return p
}

// TestEveryFigureOpensToTheCasesItCounts: for any facts, under any answers to all choices.
func TestEveryFigureOpensToTheCasesItCounts(t *testing.T) {
	opened := map[Indicator]int{}
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		r := compute(t, anyScheme(t), anyPeriod(t, f), f)
		for _, fig := range r.Figures {
			found, err := r.Open(fig.Key.String())
			if err != nil {
				t.Fatal(err)
			}
			if fig.Indicator == ThreeRates {
				continue // it opens to the cases of its parts
			}
			n, d, rawN, rawD := Of(0, 1), Of(0, 1), Of(0, 1), Of(0, 1)
			left := map[string]int64{}
			for _, it := range found {
				if it.In {
					n, d = n.Plus(it.N), d.Plus(it.D)
				} else {
					left[it.Why]++
				}
				switch {
				case !it.Decided && it.In:
					rawN, rawD = rawN.Plus(it.N), rawD.Plus(it.D)
				case it.Decided && it.RawIn:
					rawN, rawD = rawN.Plus(it.RawN), rawD.Plus(it.RawD)
				}
			}
			if n.Compare(fig.N) != 0 || d.Compare(fig.D) != 0 || rawN.Compare(fig.Raw.N) != 0 || rawD.Compare(fig.Raw.D) != 0 {
				t.Fatalf("%s counts %s of %s (raw %s of %s) and opens to %s of %s (raw %s of %s)", fig.Key, fig.N, fig.D, fig.Raw.N, fig.Raw.D, n, d, rawN, rawD)
			}
			for _, l := range fig.Left {
				if left[l.Why] != l.Count {
					t.Fatalf("%s leaves out %d as %s and opens to %d", fig.Key, l.Count, l.Why, left[l.Why])
				}
				delete(left, l.Why)
			}
			if len(left) > 0 {
				t.Fatalf("%s opens to cases left out that it does not print: %v", fig.Key, left)
			}
			opened[fig.Indicator] += len(found)
		}
	})
	for _, def := range Definitions() {
		if opened[def.Indicator] == 0 && def.Indicator != ThreeRates {
			t.Errorf("no figure of %s ever opened to a case: the test does not see it", def.Indicator)
		}
	}
}

// TestAMiscountIsCaught: the test above finds a figure that counts one case more than it opens to.
func TestAMiscountIsCaught(t *testing.T) {
	f := Facts{Legs: []Leg{leg(1), leg(2)}}
	r := compute(t, Default(), november(), f)
	r.sheet.books[ofLegs].of(0)[legOnTime] = late // a verdict changed after it was counted
	fig, _ := r.Figure("on_time:u=150105-d01")
	found, err := r.Open("on_time:u=150105-d01")
	if err != nil {
		t.Fatal(err)
	}
	n := Of(0, 1)
	for _, it := range found {
		n = n.Plus(it.N)
	}
	if n.Compare(fig.N) == 0 {
		t.Error("a case whose verdict changed opens as it was counted: figures do not open to the judge's own verdicts")
	}
}

// TestAUnitIsTheSumOfItsStreets: what no street dispatched or holds included.
func TestAUnitIsTheSumOfItsStreets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		s := anyScheme(t)
		s.Choices[AsOf] = "as_was"
		r := compute(t, s, anyPeriod(t, f), f)
		type sum struct{ n, d Fraction }
		sums := map[Key]sum{}
		for _, fig := range r.Figures {
			if fig.Indicator == ThreeRates || fig.Street == "" {
				continue
			}
			key := Key{Indicator: fig.Indicator, Unit: fig.Unit}
			sums[key] = sum{sums[key].n.Plus(fig.N), sums[key].d.Plus(fig.D)}
		}
		for key, got := range sums {
			fig, ok := r.Figure(key.String())
			if !ok || fig.N.Compare(got.n) != 0 || fig.D.Compare(got.d) != 0 {
				t.Fatalf("%s is %s of %s, its streets sum to %s of %s", key, fig.N, fig.D, got.n, got.d)
			}
		}
	})
}

// written returns the canonical bytes and the list of the cohorts.
func written(t *rapid.T, r *Results) string {
	var b bytes.Buffer
	if err := r.Canonical(&b); err != nil {
		t.Fatal(err)
	}
	b.WriteString("\n")
	if err := r.Cohort(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheOrderOfTheFactsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		s, p := anyScheme(t), anyPeriod(t, f)
		first := written(t, compute(t, s, p, f))
		rnd := rand.New(rand.NewSource(rapid.Int64().Draw(t, "order")))
		g := Facts{Demands: slices.Clone(f.Demands), Legs: slices.Clone(f.Legs), Summonses: slices.Clone(f.Summonses), Disputes: slices.Clone(f.Disputes),
			Topics: slices.Clone(f.Topics), Blocks: slices.Clone(f.Blocks), Loads: slices.Clone(f.Loads), Heirs: f.Heirs}
		rnd.Shuffle(len(g.Demands), func(i, k int) { g.Demands[i], g.Demands[k] = g.Demands[k], g.Demands[i] })
		rnd.Shuffle(len(g.Legs), func(i, k int) { g.Legs[i], g.Legs[k] = g.Legs[k], g.Legs[i] })
		rnd.Shuffle(len(g.Summonses), func(i, k int) { g.Summonses[i], g.Summonses[k] = g.Summonses[k], g.Summonses[i] })
		rnd.Shuffle(len(g.Disputes), func(i, k int) { g.Disputes[i], g.Disputes[k] = g.Disputes[k], g.Disputes[i] })
		rnd.Shuffle(len(g.Topics), func(i, k int) { g.Topics[i], g.Topics[k] = g.Topics[k], g.Topics[i] })
		rnd.Shuffle(len(g.Blocks), func(i, k int) { g.Blocks[i], g.Blocks[k] = g.Blocks[k], g.Blocks[i] })
		rnd.Shuffle(len(g.Loads), func(i, k int) { g.Loads[i], g.Loads[k] = g.Loads[k], g.Loads[i] })
		rnd.Shuffle(len(p.Units), func(i, k int) { p.Units[i], p.Units[k] = p.Units[k], p.Units[i] })
		if second := written(t, compute(t, s, p, g)); second != first {
			t.Fatalf("in another order:\n%s\nwas:\n%s", second, first)
		}
	})
}

func TestAFactOutsideThePeriodChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		s, p := anyScheme(t), anyPeriod(t, f)
		first := written(t, compute(t, s, p, f))
		l := leg(1000, func(l *Leg) {
			for _, at := range []*time.Time{&l.DispatchedAt, &l.SignDue, &l.ContactDue, &l.OriginalDue, &l.Due, &l.SignedAt, &l.ContactedAt, &l.AllContacted, &l.ClosedAt, &l.Reports[0].At, &l.Reports[0].DoneAt, &l.Reports[0].JudgedAt} {
				*at = at.AddDate(-1, 0, 0)
			}
		})
		d := demand(1000, func(d *Demand) {
			for _, at := range []*time.Time{&d.RaisedAt, &d.AcceptedAt, &d.ClosedAt, &d.CallbackDue, &d.Callbacks[0].At} {
				*at = at.AddDate(1, 0, 0)
			}
		})
		f.Legs, f.Demands = append(f.Legs, l), append(f.Demands, d)
		if second := written(t, compute(t, s, p, f)); second != first {
			t.Fatalf("with facts of other years:\n%s\nwas:\n%s", second, first)
		}
	})
}

// TestTheListOfCohortsIsSortedAndComplete: in the order of its bytes, with one line for every case credited.
func TestTheListOfCohortsIsSortedAndComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		r := compute(t, anyScheme(t), anyPeriod(t, f), f)
		var b strings.Builder
		if err := r.Cohort(&b); err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(b.String(), "\n")
		lines = lines[:len(lines)-1]
		if !slices.IsSorted(lines) {
			t.Fatalf("not sorted:\n%s", b.String())
		}
		counted := map[string]int{}
		for _, l := range lines {
			fields := strings.Split(l, "|")
			if len(fields) != 5 {
				t.Fatalf("a line of %d fields: %q", len(fields), l)
			}
			counted[fields[0]+"|"+fields[1]]++
		}
		for _, fig := range r.Figures {
			if fig.Unit == "" || fig.Street != "" || fig.AsIs || fig.Indicator == ThreeRates {
				continue
			}
			found, _ := r.Open(fig.Key.String())
			if got := counted[string(fig.Indicator)+"|"+string(fig.Unit)]; got != len(found) {
				t.Fatalf("%s opens to %d cases, the list has %d", fig.Key, len(found), got)
			}
		}
		var direct bytes.Buffer
		_ = r.Cohort(&direct)
		if again := compute(t, r.Scheme, r.Period, f); again.CohortHash() != r.CohortHash() || again.ResultsHash() != r.ResultsHash() {
			t.Fatal("the same input has another hash")
		}
	})
}

// TestScoresStayInTheirLimits: 0 to 100 without a bonus; the parts of a standing sum to it.
func TestScoresStayInTheirLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		s := anyScheme(t)
		s.Deductions = []Item{{Indicator: OnTime, Points: points("100"), Shape: PerEvent, Each: points("30")}}
		r := compute(t, s, anyPeriod(t, f), f)
		for _, sc := range r.Scores {
			if sc.Value.Known && (sc.Value.Compare(Of(0, 1)) < 0 || sc.Value.Compare(hundred()) > 0) {
				t.Fatalf("the score of %s by %s is %s", sc.Unit, sc.Street, sc.Value)
			}
		}
		for _, st := range r.Standings {
			if st.Streets.Known && sumOf(st.Parts).Compare(st.Streets.Fraction) != 0 {
				t.Fatalf("the parts of %s sum to %s, not to %s", st.Unit, sumOf(st.Parts), st.Streets)
			}
		}
	})
}

func TestTheIdOfAFigureIsReadStrictly(t *testing.T) {
	for _, id := range []string{"on_time", "on_time:u=150105-d01", "on_time:s=150105003", "on_time:u=150105-d01:s=150105003", "load:s=-", "acceptance:u=150105001001:as_is"} {
		if k, err := ParseKey(id); err != nil || k.String() != id {
			t.Errorf("%s is read as %s: %v", id, k, err)
		}
	}
	for _, id := range []string{"", "speed", "on_time:", "on_time:u=", "on_time:s=1:u=2", "on_time:u=1:u=2", "on_time:as_is:u=1", "on_time:x=1", " on_time"} {
		if k, err := ParseKey(id); err == nil {
			t.Errorf("%q is read as %v", id, k)
		}
	}
	if _, err := compute(t, Default(), november(), Facts{}).Open("speed:u=1"); err == nil {
		t.Error("an unknown figure opens")
	}
}
