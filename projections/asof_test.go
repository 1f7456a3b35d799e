package projections

import (
	"context"
	"testing"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/evidence"
	"gridcase/domain/orgs"
	"gridcase/domain/scheme"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// TestWhatChangesAfterTheCutOffChangesNoFigure: a community is split, grids are merged and moved, units opened and closed, lists published, the scheme
// retired and followed by another one, and every question about the position before gets the bytes that it got then.
func TestWhatChangesAfterTheCutOffChangesNoFigure(t *testing.T) {
	ctx := context.Background()
	log := mem.Open()
	a := settled(t, log, 91)
	cut := a.end
	r := open(t, t.TempDir(), log)
	wait(t, r, cut)
	day := calendar.DateOf(a.now)
	weighed := assessment.Default()
	weighed.Choices[assessment.Aggregate], weighed.Choices[assessment.AsOf] = "households", "as_is_beside"
	questions := []Question{{Period: a.first, AsOf: cut}, {Period: a.next, AsOf: cut},
		{Scheme: weighed, Jurisdiction: "150105", First: day - 30, Last: day + 60, AsOf: cut}, {Scheme: weighed, Jurisdiction: "150100", First: day - 30, Last: day + 60, AsOf: cut}}
	ask := func(r *Runner) (answers []string) {
		for _, q := range questions {
			got, err := r.Views().Assess(ctx, q)
			answers = append(answers, printed(t, got.Results, err))
		}
		return answers
	}
	then := ask(r)

	const split, street = orgs.UnitCode("150105003001"), orgs.UnitCode("150105003")
	on := day + 1
	a.add(stream.Keyed(stream.Unit, string(split)), orgs.CommunitySplit{Code: split, Into: []orgs.UnitCode{street + "002", street + "003"}, On: on})
	plan := stream.Keyed(stream.Grids, string(street+"002"))
	a.add(plan, orgs.GridDrawn{Grid: orgs.GridCode(street + "002901"), Name: "新网格", Households: 4000, Urban: true})
	a.add(plan, orgs.GridMerged{Grids: []orgs.GridCode{orgs.GridCode(street + "002001"), orgs.GridCode(street + "002002")}, Into: orgs.GridCode(street + "002901"), On: on})
	a.add(stream.Keyed(stream.Unit, "150105-d09"), orgs.UnitOpened{Code: "150105-d09", Name: "新局", Kind: orgs.Department, Parent: "150105"})
	a.add(stream.Keyed(stream.Unit, "150105005"), orgs.UnitOpened{Code: "150105005", Name: "新街道", Kind: orgs.Street, Parent: "150105"})
	a.add(stream.Keyed(stream.Unit, "150105003-a01"), orgs.UnitClosed{Code: "150105003-a01"})
	a.add(stream.Keyed(stream.Duties, "150105"), duty.Published{Unit: "150105", Version: 1000, From: on, Covers: []orgs.Kind{orgs.Community}, Unlisted: duty.BlockUnlisted})
	next := stream.For(stream.Scheme, "evaluator", "next")
	a.add(stream.Of(stream.Scheme, next), scheme.Drafted{Unit: "150105", Scheme: weighed, Follows: a.scheme})
	a.add(stream.Of(stream.Scheme, a.scheme), scheme.Retired{})
	a.steps(150)
	wait(t, r, a.end)
	rebuilt := open(t, t.TempDir(), log)
	wait(t, rebuilt, a.end)
	for name, r := range map[string]*Runner{"followed": r, "rebuilt": rebuilt} {
		r.results = newResults() // nothing is remembered
		for i, now := range ask(r) {
			if now != then[i] {
				t.Errorf("%s, question %d: what happened later changed\n%s", name, i, apart(now, then[i]))
			}
		}
	}

	// Seeded: the setting is that of now, and only the cases are as of the position.
	for i, q := range questions[2:] {
		if seeded := printed(t, computedIn(t, rebuilt, q, a.end), nil); seeded == then[i+2] {
			t.Errorf("question %d does not notice units and lists of now", i+2)
		}
		if sound := printed(t, computedIn(t, rebuilt, q, cut), nil); sound != then[i+2] {
			t.Errorf("question %d: %s", i+2, apart(sound, then[i+2]))
		}
	}
}

// computedIn computes a draft with the setting as of another position.
func computedIn(t *testing.T, r *Runner, q Question, setting eventlog.Position) *assessment.Results {
	t.Helper()
	s, err := r.Views().Setting(t.Context(), setting)
	if err != nil {
		t.Fatal(err)
	}
	scope := evidence.Scope{Jurisdiction: q.Jurisdiction, First: q.First, Last: q.Last, Base: evidence.Base(q.First)}
	f, err := r.Views().Facts(t.Context(), scope, q.AsOf)
	if err != nil {
		t.Fatal(err)
	}
	in := scope.In(s.Units())
	f.Loads, f.Heirs = s.Loads(in), s.Heirs(in)
	got, err := assessment.Compute(q.Scheme, s.Span(scope, q.Scheme), f)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
