package period

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

// broken lists which laws a period and its history break.
func broken(s State, history []entry, units *orgs.Tree) []string {
	var bs []string
	law := func(holds bool, format string, args ...any) {
		if !holds {
			bs = append(bs, fmt.Sprintf(format, args...))
		}
	}
	law(s.ClosedAt.IsZero() != s.Phase.Terminal(), "in %s it closed at %s", s.Phase, s.ClosedAt)
	law(s.before == nil || s.before.before == nil, "a state keeps all states before it")
	law(!s.Phase.Terminal() || len(s.Running) == 0, "in %s the clocks %v run", s.Phase, running(s))
	law((s.Phase == PhaseSealed) == (s.Result.Revision > 0), "in %s revision %d holds", s.Phase, s.Result.Revision)
	if s.Phase == PhaseProvisional {
		var want []string
		want = append(want, s.Shown.Objection.ID)
		for _, o := range s.Objections {
			if o.Status == assessment.Undecided {
				want = append(want, o.Decision.ID)
			}
		}
		got := running(s)
		slices.Sort(want)
		slices.Sort(got)
		law(slices.Equal(got, want), "the clocks %v run, want %v", got, want)
	}

	ids, fired := map[string]time.Time{}, map[string]bool{}
	asked, undecided := map[string]rule.Actor{}, map[string]bool{}
	shown, changed, revision, part := "", false, 0, Record{}
	for i, h := range history {
		for _, d := range dues(h.Event) {
			_, twice := ids[d.ID]
			law(!twice, "I15: the due instant %s was given twice", d.ID)
			ids[d.ID] = d.Due
		}
		once := func(id, step string, at time.Time) {
			law(!fired[id+step], "I15: %s %s came twice", id, step)
			fired[id+step] = true
			law(!h.Stamp.Recorded.Before(at), "I15: %s %s came at %s, before %s", id, step, h.Stamp.Recorded, at)
		}
		a, second := h.Stamp.Actor, h.Stamp.Second
		two := func() {
			law(second != nil && second.ID != a.ID && second.Role == orgs.Evaluator, "M6: %T by %s alone", h.Event, a.ID)
			law(second == nil || units.Within(district, rule.Seat(units, *second)), "%T confirmed by %s, from elsewhere", h.Event, second)
		}
		decided := func(kind string, number int) {
			key := fmt.Sprint(kind, number)
			law(undecided[key], "%s was decided and not asked, or twice", key)
			law(asked[key].ID != a.ID && !units.SameBody(a.Unit, asked[key].Unit), "I2: %s decided %s, asked by %s", a.ID, key, asked[key].ID)
			law(!units.SameBody(a.Unit, agency), "I2: %s decided about the agency", a.ID)
			delete(undecided, key)
		}
		switch e := h.Event.(type) {
		case Ended:
			law(h.Stamp.Recorded.After(e.EndsAt), "I15: ended at %s, before %s", h.Stamp.Recorded, e.EndsAt)
		case ProvisionalPublished:
			shown, changed = e.Results, false
		case ExclusionRequested:
			asked[fmt.Sprint("x", e.Number)], undecided[fmt.Sprint("x", e.Number)] = a, true
		case ObjectionFiled:
			asked[fmt.Sprint("o", e.Number)], undecided[fmt.Sprint("o", e.Number)] = a, true
		case ExclusionApproved:
			decided("x", e.Number)
			changed = true
		case ExclusionRefused:
			decided("x", e.Number)
		case ObjectionUpheld:
			decided("o", e.Number)
			changed = true
		case ObjectionRejected:
			decided("o", e.Number)
		case OtherScoreImported:
			changed = true
		case FiguresRecorded:
			if e.From == 0 {
				part = Record{Revision: e.Revision, Results: e.Results}
			}
			law(part.Revision == e.Revision && part.Results == e.Results && part.Figures == e.From, "figures %d of %s follow %+v", e.From, e.Results, part)
			part.Figures += len(e.Figures)
		case Sealed:
			two()
			revision = 1
			law(len(undecided) == 0, "sealed over %v", undecided)
			law(!changed && e.Results == shown, "sealed %s, shown %s, changed since %v", e.Results, shown, changed)
			law(part == Record{1, e.Results, e.Figures}, "sealed %d figures, recorded %+v", e.Figures, part)
			law(i == len(history)-1 || slices.ContainsFunc(history[i+1:], func(n entry) bool { _, r := n.Event.(RevisionSealed); return r }) || onlyParts(history[i+1:]),
				"I11: something follows the seal")
		case RevisionSealed:
			two()
			revision++
			law(e.Revision == revision, "revision %d follows %d", e.Revision, revision-1)
			law(part == Record{e.Revision, e.Results, e.Changed}, "revised %d figures, recorded %+v", e.Changed, part)
		case Voided:
			two()
			law(i == len(history)-1, "something follows the end")
		case WarningRaised:
			once(e.ID, fmt.Sprint("warning ", e.Number), e.WarnAt)
		case ClockExpired:
			once(e.ID, "expiry", ids[e.ID].Add(time.Second))
		}
	}
	law(s.Dues == len(ids), "got %d due instants counted, want %d", s.Dues, len(ids))
	law(s.Undecided() == len(undecided), "got %d undecided, want %d", s.Undecided(), len(undecided))
	return bs
}

func onlyParts(history []entry) bool {
	return !slices.ContainsFunc(history, func(e entry) bool { _, part := e.Event.(FiguresRecorded); return !part })
}

// anyStep draws a command of somebody, as often right as wrong.
func anyStep(s State) *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		c := rapid.SampledFrom(commands).Draw(t, "command")
		if possible := append(Machine.Possible(s.Phase), "end", "expire-clock", "raise-warning"); rapid.IntRange(0, 5).Draw(t, "unlisted") > 0 {
			name := rapid.SampledFrom(possible).Draw(t, "possible")
			c = commands[slices.IndexFunc(commands, func(c Command) bool { return c.Name() == name })]
		}
		number := rapid.IntRange(0, 3).Draw(t, "number")
		id := "none"
		if n := len(s.Running); n > 0 {
			id = s.Running[rapid.IntRange(0, n-1).Draw(t, "clock")].ID
		}
		results := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "results")
		indicator := rapid.SampledFrom([]assessment.Indicator{assessment.OnTime, assessment.Resolution, assessment.Satisfaction}).Draw(t, "indicator")
		as := []rule.Actor{ann, ben}
		switch was := c.(type) {
		case End, RaiseWarning, ExpireClock:
			as = []rule.Actor{clock}
			switch c.(type) {
			case RaiseWarning:
				c = RaiseWarning{ID: id}
			case ExpireClock:
				c = ExpireClock{ID: id}
			}
		case PublishProvisional:
			was.Results, was.Cohort, was.Missing = hash(results), hash("cohort of "+results), rapid.IntRange(0, 1).Draw(t, "missing")
			c = was
		case Seal:
			c = seal(results, 3)
		case RecordFigures:
			c = RecordFigures{Revision: 1 + s.Result.Revision, Results: hash(results), From: s.Recorded.Figures, Figures: figures(rapid.IntRange(0, 3).Draw(t, "figures"))}
		case SealRevision:
			was.Results = hash(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "revised"))
			c = was
		case RequestExclusion:
			was.Indicators = []assessment.Indicator{indicator}
			c, as = was, []rule.Actor{leader, head, boss}
		case ApproveExclusion:
			c = ApproveExclusion{Number: number}
		case RefuseExclusion:
			c = RefuseExclusion{Number: number, Reason: "否"}
		case FileObjection:
			c, as = objectionTo(indicator), []rule.Actor{leader, head}
		case UpholdObjection:
			was.Number = number
			c = was
		case RejectObjection:
			was.Number = number
			c = was
		}
		a := rapid.SampledFrom(as).Draw(t, "actor")
		if rapid.IntRange(0, 5).Draw(t, "somebody else") == 0 {
			a = rapid.SampledFrom([]rule.Actor{mayor, far, leader, head, clock, person(orgs.Evaluator, agency), {ID: leader.ID, Role: orgs.Evaluator, Unit: district}}).Draw(t, "other")
		}
		after := rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, 5 * time.Hour, aDay, 20 * aDay, toCutOff}).Draw(t, "after")
		st := by(a, c, after)
		if rapid.IntRange(0, 3).Draw(t, "confirmed") > 0 {
			st.At.Second = ptr(rapid.SampledFrom([]rule.Actor{ann, ben, ben, far, leader}).Draw(t, "second"))
		}
		return st
	})
}

// However people and the clock act: the laws hold after every step, the log tells the same as the steps did, no state changes
// afterwards, and a decision asked twice decides nothing.
func TestTheLawsHoldWhateverIsDone(t *testing.T) {
	units := town()
	reached, decided := map[Phase]int{}, map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 3 {
			st := begin()
			if rapid.IntRange(0, 2).Draw(t, "begun") > 0 {
				begun := rapid.SampledFrom([][]step{isSealed, isOver, isContested, isRating}).Draw(t, "from")
				st = given(t, begun...)
			}
			for range rapid.IntRange(5, 30).Draw(t, "steps") {
				s := anyStep(st.State).Draw(t, "step")
				before := st.State
				at, es := st.Tries(t, Machine, s)
				Evolve(before, ExclusionApproved{Number: 1}, at.Stamp) // another future of the same state leaves this one alone
				Evolve(before, ObjectionUpheld{Number: 1}, at.Stamp)
				Evolve(before, OtherScoreImported{Unit: agency}, at.Stamp)
				if bs := broken(st.State, st.History, units); len(bs) > 0 {
					t.Fatalf("after %s by %s: %q", s.Command.Name(), at.Actor.ID, bs)
				}
				if n := s.Command.Name(); len(es) > 0 && n != "raise-warning" && n != "record-figures" {
					st.Repeats(t, s.Command, at, 70*aDay)
				}
				reached[st.State.Phase]++
				for _, e := range es {
					decided[ruletest.Word(e)]++
				}
			}
			st.Retells(t, State{ID: self})
		}
	})
	ruletest.Shown(t, reached, Machine.States...)
	ruletest.Shown(t, decided, "revision-sealed")
}

// What the clock does to a period that everybody forgets: end it, warn twice, say that the time for evaluations is over.
func TestTheClockCarriesAForgottenPeriod(t *testing.T) {
	st := given(t, isOpen...)
	var said []string
	for range 10 {
		a, more := rule.Earliest(st.State.Alarms())
		if !more {
			break
		}
		c := a.Command.(Command)
		early := st.Meet(by(clock, c, time.Duration(0)))
		early.Recorded = a.At.Add(-time.Millisecond)
		early.Occurred = early.Recorded
		if es, err := Decide(st.State, c, early); len(es) > 0 || ruletest.Refusal(err) == nil {
			t.Fatalf("%s a moment early: got %v, %v, want a refusal", a.Key(), es, err)
		}
		es, err := st.Does(by(clock, c, a.At.Sub(st.Now)))
		if err != nil || len(es) != 1 {
			t.Fatalf("%s: got %v, %v, want one event", a.Key(), es, err)
		}
		said = append(said, a.Key()+" "+ruletest.Word(es[0]))
	}
	want := []string{"deadline/end/1/0/0/expiry period-ended", "deadline/evaluation/1/0/1/warning/1 period-warning-raised",
		"deadline/evaluation/1/0/1/warning/2 period-warning-raised", "deadline/evaluation/1/0/1/expiry period-clock-expired"}
	if !slices.Equal(said, want) {
		t.Errorf("got %v\nwant %v", said, want)
	}
}

// Laws that nothing can break prove nothing: each of these stories is false.
func TestABrokenLawIsFound(t *testing.T) {
	units := town()
	told := when(when(isContested, by(leader, exclude), by(ann, approve), by(ben, reject), by(ann, showB), by(clock, ExpireClock{ID: "objection/2/0/4"}, 15*aDay)),
		by(ann, seal("b", 3), ben), by(ann, revise, ben))
	for name, spoil := range map[string]func(*story){
		"a clock outlives the period":    func(st *story) { st.State.Running = rule.Clocks{calendar.Due{ID: "x"}} },
		"a due instant is given twice":   func(st *story) { st.History = append(st.History, st.History[1]) },
		"a due instant is not counted":   func(st *story) { st.State.Dues-- },
		"it closed and goes on":          func(st *story) { st.State.ClosedAt = time.Time{} },
		"the street decided its request": func(st *story) { st.History[5].Stamp.Actor = leader },
		"the unit judged itself":         func(st *story) { st.History[6].Stamp.Actor = person(orgs.Evaluator, agency) },
		"a request is undecided":         func(st *story) { st.History = slices.Delete(st.History, 5, 6) },
		"one was decided twice":          func(st *story) { st.History = slices.Insert(st.History, 6, st.History[5]) },
		"sealed by one":                  func(st *story) { st.History[10].Stamp.Second = nil },
		"sealed by two from elsewhere":   func(st *story) { st.History[10].Stamp.Second = &far },
		"sealed something else": func(st *story) {
			st.History[7].Event = ProvisionalPublished{Results: hash("a"), Objection: st.History[7].Event.(ProvisionalPublished).Objection}
		},
		"sealed what had changed":         func(st *story) { st.History[7], st.History[5] = st.History[5], st.History[7] },
		"figures are missing":             func(st *story) { st.History = slices.Delete(st.History, 9, 10) },
		"a revision is left out":          func(st *story) { e := st.History[12].Event.(RevisionSealed); e.Revision = 3; st.History[12].Event = e },
		"the clock was within the second": func(st *story) { st.History[8].Stamp.Recorded = st.History[8].Event.(ClockExpired).Due },
		"the period was ended early":      func(st *story) { st.History[1].Stamp.Recorded = cutOff.Add(-time.Second) },
		"something follows the seal":      func(st *story) { st.History = append(st.History[:11], st.History[8]) },
		"a sealed period has no revision": func(st *story) { st.State.Result = Result{} },
	} {
		t.Run(name, func(t *testing.T) {
			st := given(t, told...)
			if bs := broken(st.State, st.History, units); len(bs) > 0 {
				t.Fatalf("a true story: %q", bs)
			}
			spoil(st)
			if len(broken(st.State, st.History, units)) == 0 {
				t.Error("nothing was found")
			}
		})
	}
}
