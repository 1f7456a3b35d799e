package projections

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/evaluation"
	"gridcase/domain/event"
	"gridcase/domain/evidence"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/scheme"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// replayed yields a log as [evidence.Replay] reads it, up to its end.
func replayed(log eventlog.Log) iter.Seq2[evidence.Stored, error] {
	return func(yield func(evidence.Stored, error) bool) {
		for b, err := range log.Follow(context.Background(), 0) {
			if err != nil {
				yield(evidence.Stored{}, err)
				return
			}
			for _, e := range b.Events {
				if !yield(evidence.Stored{Position: evidence.Position(e.Position), Stored: event.Stored{Stream: stream.Name(e.Stream), Revision: int64(e.Revision), ID: stream.ID(e.ID),
					Type: e.Type, Data: e.Data, Meta: e.Meta}}, nil) {
					return
				}
			}
			if b.Live {
				return
			}
		}
	}
}

func written(t testing.TB, f assessment.Facts, err error) string {
	t.Helper()
	b, err2 := json.Marshal(f)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return string(b)
}

// TestFactsAreThoseOfTheLogAlone compares the facts that the views give with those of the bare log up to the same position.
func TestFactsAreThoseOfTheLogAlone(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(2) {
		log, h := sample(t, 70+seed, 900)
		r := open(t, t.TempDir(), log)
		wait(t, r, h.end)
		to := calendar.DateOf(h.now) + 60
		from := to - 90
		seen := assessment.Facts{}
		for range 8 {
			p := h.end
			if n := h.random.IntN(3); n > 0 {
				p = eventlog.Position(1 + h.random.IntN(int(h.end)))
			}
			upTo := evidence.Position(p)
			if h.random.IntN(2) == 0 {
				upTo += 100 // which must not matter
			}
			docket, err := evidence.Replay(replayed(log), upTo)
			if err != nil {
				t.Fatal(err)
			}
			first := from + calendar.Date(h.random.IntN(80))
			for _, scope := range []evidence.Scope{
				{Jurisdiction: "150105", First: first, Last: first + 10, Base: first},
				{Jurisdiction: "150102", First: from, Last: to, Base: from},
				{Jurisdiction: "150105003", First: from, Last: to},
				{Jurisdiction: "150100", First: first, Last: first},
				{Jurisdiction: "150100", First: from, Last: to, Base: to},
			} {
				got, err := r.Views().Facts(ctx, scope, p)
				want, err2 := docket.Facts(scope, evidence.Position(p))
				if a, b := written(t, got, err), written(t, want, err2); a != b {
					t.Fatalf("seed %d, %+v as of %d:\n got %s\nwant %s", seed, scope, p, a, b)
				}
				if len(got.Demands) > len(seen.Demands) {
					seen = got
				}
			}
		}
		if len(seen.Demands) == 0 || len(seen.Legs) == 0 || len(seen.Summonses) == 0 || len(seen.Disputes) == 0 || len(seen.Topics) == 0 || len(seen.Blocks) == 0 ||
			len(seen.Loads) == 0 || len(seen.Heirs) == 0 {
			t.Fatalf("the history has nothing to compare: %d demands, %d legs, %d summonses, %d disputes, %d topics, %d blocks, %d loads, %d heirs", len(seen.Demands), len(seen.Legs),
				len(seen.Summonses), len(seen.Disputes), len(seen.Topics), len(seen.Blocks), len(seen.Loads), len(seen.Heirs))
		}
		if _, err := r.Views().Facts(ctx, evidence.Scope{Jurisdiction: orgs.UnitCode("150105"), First: from, Last: to}, h.end+1); err != ErrAhead {
			t.Fatalf("facts of the future: got %v, want %v", err, ErrAhead)
		}
	}
}

// assessed is a history with two periods of a district, settled while life goes on.
type assessed struct {
	*history
	scheme      stream.ID
	first, next stream.ID
	opened      map[stream.ID]eventlog.Position
}

// call lets some residents say what they think of it.
func (a *assessed) call() {
	for _, id := range a.demands {
		if s := a.demand(id); s.Phase == demand.PhaseAnswered && a.random.IntN(2) == 0 {
			a.add(stream.Of(stream.Demand, id), demand.CallbackRecorded{Result: demand.CallbackCloses, Resolved: a.random.IntN(2) == 0, Grade: demand.Grade(1 + a.random.IntN(5)), Merit: true})
		}
	}
}

func (a *assessed) evaluate(id stream.ID) {
	for _, s := range []orgs.UnitCode{"150105003", "150105004"} {
		for _, u := range []orgs.UnitCode{s + "-a01", "150105-d01"} {
			name := stream.Of(stream.Evaluation, stream.EvaluationOf(id, string(s), string(u)))
			var items []assessment.Given
			for _, f := range assessment.Default().Form {
				items = append(items, assessment.Given{Code: f.Code, Points: assessment.Whole(10 + a.random.IntN(10))})
			}
			before, _ := a.states[name].(evaluation.State)
			a.add(name, evaluation.Submitted{Period: id, Street: s, Unit: u, Number: before.Number + 1, Items: items, Comment: "评语"})
		}
	}
}

func (a *assessed) open(first, last calendar.Date) stream.ID {
	hash, err := assessment.Hash(assessment.Default())
	if err != nil {
		a.t.Fatal(err)
	}
	id := stream.PeriodOf("150105", a.scheme, first.String(), last.String())
	a.opened[id] = a.add(stream.Of(stream.Period, id), period.Opened{Jurisdiction: "150105", Scheme: a.scheme, Version: 1, Hash: hash, First: first, Last: last, EndsAt: last.End()})
	return id
}

// leg is some leg of the district, as a case.
func (a *assessed) leg() assessment.Case {
	return assessment.Case{Stream: stream.Of(stream.Order, pick(a.random, a.orders)), Leg: 1}
}

func settled(t testing.TB, log eventlog.Log, seed uint64) *assessed {
	a := &assessed{history: newHistory(t, log, seed), opened: map[stream.ID]eventlog.Position{}}
	a.organise()
	a.scheme = stream.For(stream.Scheme, "evaluator", "s")
	hash, err := assessment.Hash(assessment.Default())
	if err != nil {
		t.Fatal(err)
	}
	draft := assessment.Default()
	draft.Name = "初稿"
	a.add(stream.Of(stream.Scheme, a.scheme), scheme.Drafted{Unit: "150105", Scheme: draft})
	a.add(stream.Of(stream.Scheme, a.scheme), scheme.Amended{Scheme: assessment.Default()})
	a.add(stream.Of(stream.Scheme, a.scheme), scheme.Published{Version: 1, Hash: hash})
	day := calendar.DateOf(a.now)
	a.first = a.open(day, day)
	name := stream.Of(stream.Period, a.first)
	for calendar.DateOf(a.now) == day {
		a.steps(20)
		a.call()
	}
	a.next = a.open(day+1, day+3)
	a.add(name, period.Ended{EndsAt: day.End(), Evaluation: a.due(calendar.Evaluation)})
	a.evaluate(a.first)
	a.steps(60)
	a.call()
	a.evaluate(a.first)
	a.add(name, period.OtherScoreImported{Unit: "150105-d01", Score: assessment.Whole(85), Document: "aa"})
	a.add(name, period.ExclusionRequested{Number: 1, Case: a.leg(), Reason: assessment.Reasons()[0], Account: "x", By: "150105003-a01"})
	a.add(name, period.ProvisionalPublished{Number: 1, Results: "x", Cohort: "x", Objection: a.due(calendar.Objection)})
	a.evaluate(a.first) // too late to count
	a.add(name, period.ExclusionApproved{Number: 1})
	a.add(name, period.ObjectionFiled{Number: 1, Case: a.leg(), Indicator: assessment.OnTime, Verdict: assessment.Counts, Ground: "x", By: "150105003-a01", Decision: a.due(calendar.Objection)})
	a.add(name, period.ObjectionUpheld{Number: 1, Verdict: assessment.Counts, Reason: "x"})
	a.steps(60)
	a.add(name, period.FiguresRecorded{Revision: 1, Results: "x", Figures: []period.Figure{{Unit: "150105-d01", Name: evidence.ScoreFigure, N: "901", D: "10", Printed: "90.10"},
		{Unit: "150105-d01", Street: "150105003", Name: evidence.ScoreFigure, N: "1", D: "1", Printed: "1.00"}, {Unit: "150105003-a01", Name: evidence.ScoreFigure, Printed: "—"}}})
	a.add(name, period.Sealed{Scheme: a.scheme, Version: 1, Hash: hash, Results: "x"})
	a.steps(300)
	a.call()
	a.evaluate(a.next)
	a.add(stream.Of(stream.Period, a.next), period.Ended{EndsAt: (day + 3).End(), Evaluation: a.due(calendar.Evaluation)})
	a.steps(200)
	a.call()
	a.add(name, period.FiguresRecorded{Revision: 2, Results: "y", Figures: []period.Figure{{Unit: "150105-d01", Name: evidence.ScoreFigure, N: "902", D: "10", Printed: "90.20"}}})
	a.add(name, period.RevisionSealed{Revision: 2, Cause: period.Correction, Reason: "x", Results: "y"})
	return a
}

// printed is everything that results say, and what every figure opens to.
func printed(t testing.TB, r *assessment.Results, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := errors.Join(r.Canonical(&b), r.Cohort(&b)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestEveryNodeComputesTheSameBytes computes both periods as of many positions: on views that followed the log, on views built
// anew, from the log alone, from the log as it was at that position, and from a log whose every ciphertext is another one.
func TestEveryNodeComputesTheSameBytes(t *testing.T) {
	ctx := context.Background()
	log := mem.Open()
	dir := t.TempDir()
	live := open(t, dir, log) // follows from the first event on
	a := settled(t, log, 81)
	wait(t, live, a.end)
	rebuilt := open(t, t.TempDir(), log)
	wait(t, rebuilt, a.end)
	other := mem.Open()
	changed := 0
	cipher := regexp.MustCompile(regexp.QuoteMeta(sealed.Prefix) + `[A-Za-z0-9._-]+`)
	for b, err := range log.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Events {
			data := cipher.ReplaceAllFunc(e.Data, func([]byte) []byte { changed++; return []byte(sealed.Prefix + "gone.k.AAAA") })
			if _, err := other.Append(ctx, e.Stream, e.Revision-1, eventlog.Fact{ID: e.ID, Type: e.Type, Data: data, Meta: e.Meta}); err != nil {
				t.Fatal(err)
			}
		}
		if b.Live {
			break
		}
	}
	if changed < 100 {
		t.Fatalf("%d ciphertexts were changed", changed)
	}
	erased := open(t, t.TempDir(), other)
	wait(t, erased, a.end)
	docket, err := evidence.Replay(replayed(log), evidence.Position(a.end))
	if err != nil {
		t.Fatal(err)
	}
	var last string
	distinct := map[string]bool{}
	for _, q := range []Question{{Period: a.first}, {Period: a.next}} {
		for range 6 {
			from := int(a.opened[q.Period])
			q.AsOf = eventlog.Position(from + a.random.IntN(int(a.end)-from+1))
			got, err := live.Views().Assess(ctx, q)
			last = printed(t, got.Results, err)
			distinct[last] = true
			for name, r := range map[string]*Runner{"rebuilt": rebuilt, "erased": erased} {
				again, err := r.Views().Assess(ctx, q)
				if s := printed(t, again.Results, err); s != last {
					t.Fatalf("%s, as of %d:\n%s", name, q.AsOf, apart(s, last))
				}
			}
			again, err := docket.Assess(q.Period, evidence.Position(q.AsOf), 0)
			if s := printed(t, again, err); s != last {
				t.Fatalf("from the log alone, as of %d:\n%s", q.AsOf, apart(s, last))
			}
			then, err := evidence.Replay(replayed(log), evidence.Position(q.AsOf))
			if err != nil {
				t.Fatal(err)
			}
			again, err = then.Assess(q.Period, evidence.Position(q.AsOf), 0)
			if s := printed(t, again, err); s != last {
				t.Fatalf("from the log as it was at %d:\n%s", q.AsOf, apart(s, last))
			}
		}
	}
	if len(distinct) < 5 {
		t.Fatalf("only %d different results", len(distinct))
	}
	whole, err := live.Views().Assess(ctx, Question{Period: a.next, AsOf: a.end})
	if err != nil {
		t.Fatal(err)
	}
	if p := whole.Results.Period; len(p.Units) != 4 || len(p.Streets) != 2 || p.Streets[0].Grids == 0 || p.Streets[0].Households == 0 || len(p.Evaluations) != 4 || len(p.Earlier) != 1 {
		t.Fatalf("the period was put together as %+v", p)
	}
	if ss := whole.Results.Period.Sealed; len(ss) != 1 || ss[0].Unit != "150105-d01" || ss[0].Score.Compare(assessment.Of(901, 10)) != 0 {
		t.Fatalf("of the period before: got %+v, want the seal and not the revision after this period's last event", ss)
	}
}

// apart shows the lines in which two texts differ.
func apart(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	var out []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, "+ "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			out = append(out, "- "+l)
		}
	}
	return strings.Join(out, "\n")
}
