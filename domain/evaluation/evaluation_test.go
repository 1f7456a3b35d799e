package evaluation

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/stream"
)

// The town of these tests: a street in a district in a city, what it rates, and neighbours.
const (
	city       orgs.UnitCode = "150100"
	bureau     orgs.UnitCode = "150100-b01"
	district   orgs.UnitCode = "150105"
	department orgs.UnitCode = "150105-d03"
	farDept    orgs.UnitCode = "150102-d03"
	utility    orgs.UnitCode = "150105-u01"
	street     orgs.UnitCode = "150105003"
	nextStreet orgs.UnitCode = "150105004"
	farStreet  orgs.UnitCode = "150102001"
	agency     orgs.UnitCode = "150105003-a01"
	farAgency  orgs.UnitCode = "150105004-a01"
	home       orgs.UnitCode = "150105003001"
)

func town() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: city, Kind: orgs.City},
		orgs.UnitOpened{Code: bureau, Kind: orgs.Bureau, Parent: city},
		orgs.UnitOpened{Code: district, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: "150102", Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: department, Kind: orgs.Department, Parent: district},
		orgs.UnitOpened{Code: farDept, Kind: orgs.Department, Parent: "150102"},
		orgs.UnitOpened{Code: utility, Kind: orgs.Utility, Parent: district},
		orgs.UnitOpened{Code: street, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: nextStreet, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: farStreet, Kind: orgs.Street, Parent: "150102"},
		orgs.UnitOpened{Code: agency, Kind: orgs.Agency, Parent: street, Department: department},
		orgs.UnitOpened{Code: farAgency, Kind: orgs.Agency, Parent: nextStreet, Department: department},
		orgs.UnitOpened{Code: home, Kind: orgs.Community, Parent: street},
	)
}

func person(r orgs.Role, u orgs.UnitCode) rule.Actor {
	return rule.Actor{ID: "k-" + string(r) + "-" + string(u), Role: r, Unit: u}
}

var (
	desk     = person(orgs.Dispatcher, street)
	leader   = person(orgs.StreetLeader, street)
	law      = stream.Derive("scheme", "law")
	period   = stream.Derive("period", "march")
	servedID = stream.Derive("order", "served")
	served   = stream.Of(stream.Order, servedID)
	blownID  = stream.Derive("whistle", "blown")
	blown    = stream.Of(stream.Whistle, blownID)
	april    = time.Date(2026, 4, 2, 2, 0, 0, 0, time.UTC)
	deadline = april.AddDate(0, 0, 14).Truncate(time.Second)
)

func day(s string) calendar.Date {
	d, err := calendar.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// known is what other streams say: a period in which evaluations are handed in, and an order of March.
func known() rule.Facts {
	return rule.Facts{
		Periods:  []rule.PeriodFact{{ID: period, Phase: "rating", Jurisdiction: district, Scheme: law, First: day("2026-03-01"), Last: day("2026-03-31"), EvaluateBy: deadline}},
		Schemes:  []rule.SchemeFact{{ID: law, Phase: "published", Unit: district, Version: 1, Scheme: scheme("own")}},
		Orders:   []rule.OrderFact{{ID: servedID, Place: home, Bodies: []orgs.UnitCode{farAgency, utility, department}, Dispatched: day("2026-03-31").End()}},
		Whistles: []rule.WhistleFact{{ID: blownID, Street: street, Units: []orgs.UnitCode{utility}, Blown: day("2026-03-01").Start()}},
	}
}

// scheme is the default one with a choice of who rates whom, and utilities among the subjects.
func scheme(scope string) assessment.Scheme {
	s := assessment.Default()
	s.Subjects = append(s.Subjects, assessment.Subject{Kind: orgs.Utility, Weight: assessment.Whole(20)}, assessment.Subject{Kind: orgs.Bureau, Weight: assessment.Whole(20)})
	s.Choices[assessment.RateScope] = scope
	return s
}

func points(s string) assessment.Decimal {
	d, err := assessment.ParseDecimal(s)
	if err != nil {
		panic(err)
	}
	return d
}

// marks fills the form of the default scheme.
func marks(service, duty, conduct, team string) []assessment.Given {
	return []assessment.Given{{Code: "service", Points: points(service)}, {Code: "duty", Points: points(duty)},
		{Code: "conduct", Points: points(conduct)}, {Code: "team", Points: points(team)}}
}

// scene is one submission in its circumstances.
type scene struct {
	actor  rule.Actor
	second *rule.Actor
	unit   orgs.UnitCode
	submit Submit
	facts  rule.Facts
	now    time.Time
	id     stream.ID
}

func usual(change func(*scene)) scene {
	s := scene{actor: desk, second: &leader, unit: agency, facts: known(), now: april, submit: Submit{Period: period, Items: marks("18", "17.5", "25", "24")}}
	if change != nil {
		change(&s)
	}
	return s
}

func (s scene) at() rule.At {
	return rule.At{Stamp: rule.Stamp{Actor: s.actor, Second: s.second, Occurred: s.now, Recorded: s.now}, Facts: s.facts, Units: town()}
}

func (s scene) stream() stream.ID {
	if !s.id.IsZero() {
		return s.id
	}
	return stream.EvaluationOf(period, string(s.actor.Unit), string(s.unit))
}

func (s scene) decide(state State) ([]Event, error) {
	state.ID = s.stream()
	s.submit.Unit = s.unit
	return Decide(state, s.submit, s.at())
}

func scoped(scope string) func(*scene) {
	return func(s *scene) { s.facts.Schemes[0].Scheme = scheme(scope) }
}

func TestAStreetSaysWhatItThinks(t *testing.T) {
	submitted := Submitted{Period: period, Street: street, Unit: agency, Number: 1, Items: marks("18", "17.5", "25", "24"), Total: points("84.5")}
	with := func(change func(*Submitted)) Submitted { e := submitted; change(&e); return e }
	for _, tt := range []struct {
		name string
		when scene
		then Submitted
	}{
		{"a street rates an agency that it hosts", usual(nil), submitted},
		{"and its district's department", usual(func(s *scene) { s.unit = department }), with(func(e *Submitted) { e.Unit = department })},
		{"and who served it in the period", usual(func(s *scene) { s.unit, s.submit.Served = farAgency, served }), with(func(e *Submitted) { e.Unit, e.Served = farAgency, served })},
		{"a utility among them", usual(func(s *scene) { s.unit, s.submit.Served = utility, served }), with(func(e *Submitted) { e.Unit, e.Served = utility, served })},
		{"or whom it summoned in the period", usual(func(s *scene) { s.unit, s.submit.Served = utility, blown }), with(func(e *Submitted) { e.Unit, e.Served = utility, blown })},
		{"a scheme may add the city's bureaus", usual(func(s *scene) { scoped("with_bureaus")(s); s.unit = bureau }), with(func(e *Submitted) { e.Unit = bureau })},
		{"or leave all out that did not serve", usual(func(s *scene) { scoped("served")(s); s.unit, s.submit.Served = department, served }),
			with(func(e *Submitted) { e.Unit, e.Served = department, served })},
		{"the form may be filled in any order", usual(func(s *scene) { slices.Reverse(s.submit.Items) }), submitted},
		{"within the last second it is in time", usual(func(s *scene) { s.now = deadline.Add(999 * time.Millisecond) }), submitted},
		{"60 needs no comment", usual(func(s *scene) { s.submit.Items = marks("12", "12", "18", "18") }), with(func(e *Submitted) { e.Items, e.Total = marks("12", "12", "18", "18"), points("60") })},
		{"nor does 95", usual(func(s *scene) { s.submit.Items = marks("20", "20", "30", "25") }), with(func(e *Submitted) { e.Items, e.Total = marks("20", "20", "30", "25"), points("95") })},
		{"less is explained", usual(func(s *scene) { s.submit.Items, s.submit.Comment = marks("12", "12", "18", "17.5"), "多次迟到" }),
			with(func(e *Submitted) {
				e.Items, e.Total, e.Comment = marks("12", "12", "18", "17.5"), points("59.5"), "多次迟到"
			})},
		{"so is more", usual(func(s *scene) { s.submit.Items, s.submit.Comment = marks("20", "20", "30", "25.5"), "主动上门" }),
			with(func(e *Submitted) {
				e.Items, e.Total, e.Comment = marks("20", "20", "30", "25.5"), points("95.5"), "主动上门"
			})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			es, err := tt.when.decide(State{})
			if err != nil || len(es) != 1 || !reflect.DeepEqual(es[0], tt.then) {
				t.Errorf("got %+v, %v\nwant %+v", es, err, tt.then)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	phase := func(change func(*rule.PeriodFact)) func(*scene) {
		return func(s *scene) { change(&s.facts.Periods[0]) }
	}
	items := func(gs ...assessment.Given) func(*scene) { return func(s *scene) { s.submit.Items = gs } }
	other := func(change func(*rule.OrderFact)) func(*scene) {
		return func(s *scene) { s.unit, s.submit.Served = farAgency, served; change(&s.facts.Orders[0]) }
	}
	neighbour := person(orgs.StreetLeader, nextStreet)
	four := marks("18", "17.5", "25", "24")
	for _, tt := range []struct {
		name string
		when func(*scene)
		code rule.Code
		rule string
	}{
		{"a handler does not evaluate", func(s *scene) { s.actor = person(orgs.Handler, street) }, rule.RoleMissing, "V1"},
		{"the leader signs and does not enter", func(s *scene) { s.actor = leader }, rule.RoleMissing, "V1"},
		{"nobody evaluates alone", func(s *scene) { s.second = nil }, rule.SecondPerson, "V1"},
		{"nor as both persons", func(s *scene) { s.second = &rule.Actor{ID: desk.ID, Role: orgs.StreetLeader, Unit: street} }, rule.SecondPerson, "V1"},
		{"another street's leader does not sign", func(s *scene) { s.second = &neighbour }, rule.SecondPerson, "V1"},
		{"a street of another district takes no part", func(s *scene) { s.actor = person(orgs.Dispatcher, farStreet) }, rule.OutsideJuris, "V1"},
		{"a district's desk is no street", func(s *scene) { s.actor = person(orgs.Dispatcher, district) }, rule.OutsideJuris, "V1"},
		{"a period that does not exist", func(s *scene) { s.facts.Periods = nil }, rule.GuardFailed, "V1"},
		{"the stream of another unit", func(s *scene) { s.id = stream.EvaluationOf(period, string(street), string(department)) }, rule.GuardFailed, "V1"},
		{"the stream of another street", func(s *scene) { s.id = stream.EvaluationOf(period, string(nextStreet), string(agency)) }, rule.GuardFailed, "V1"},
		{"before the cut-off there is nothing to evaluate", phase(func(p *rule.PeriodFact) { p.Phase, p.EvaluateBy = "open", time.Time{} }), rule.GuardFailed, "V1"},
		{"a second too late", func(s *scene) { s.now = deadline.Add(time.Second) }, rule.WindowClosed, "V1"},
		{"after figures were shown", phase(func(p *rule.PeriodFact) { p.Phase, p.EvaluateBy, p.Shown = "provisional", time.Time{}, true }), rule.WindowClosed, "V1"},
		{"when the period is void", phase(func(p *rule.PeriodFact) { p.Phase, p.EvaluateBy, p.Ended = "voided", time.Time{}, true }), rule.WindowClosed, "V1"},
		{"when it is sealed", phase(func(p *rule.PeriodFact) { p.Phase, p.EvaluateBy, p.Shown, p.Ended = "sealed", time.Time{}, true, true }), rule.PeriodSealed, "I11"},
		{"a community is not assessed", func(s *scene) { s.unit = home }, rule.GuardFailed, "V1"},
		{"a unit that does not exist", func(s *scene) { s.unit = "159999" }, rule.GuardFailed, "V1"},
		{"another street's agency that did nothing here", func(s *scene) { s.unit = farAgency }, rule.OutsideJuris, "V1"},
		{"another district's department", func(s *scene) { s.unit = farDept }, rule.OutsideJuris, "V1"},
		{"a bureau, if the scheme does not say so", func(s *scene) { s.unit = bureau }, rule.OutsideJuris, "V1"},
		{"a hosted agency that did nothing, if only service counts", scoped("served"), rule.OutsideJuris, "V1"},
		{"with an order of somebody else's", other(func(o *rule.OrderFact) { o.Bodies = []orgs.UnitCode{agency} }), rule.OutsideJuris, "V1"},
		{"with an order elsewhere", other(func(o *rule.OrderFact) { o.Place = nextStreet }), rule.OutsideJuris, "V1"},
		{"with an order of February", other(func(o *rule.OrderFact) { o.Dispatched = day("2026-02-28").End() }), rule.OutsideJuris, "V1"},
		{"with an order of April", other(func(o *rule.OrderFact) { o.Dispatched = day("2026-04-01").Start() }), rule.OutsideJuris, "V1"},
		{"with an order that does not exist", other(func(o *rule.OrderFact) { o.ID = law }), rule.OutsideJuris, "V1"},
		{"with somebody else's whistle", func(s *scene) { s.unit, s.submit.Served = farAgency, blown }, rule.OutsideJuris, "V1"},
		{"with another street's whistle", func(s *scene) {
			s.unit, s.submit.Served, s.facts.Whistles[0].Street = utility, blown, nextStreet
		}, rule.OutsideJuris, "V1"},
		{"with a whistle of February", func(s *scene) {
			s.unit, s.submit.Served, s.facts.Whistles[0].Blown = utility, blown, day("2026-02-28").End()
		}, rule.OutsideJuris, "V1"},
		{"with a topic", func(s *scene) { s.unit, s.submit.Served = farAgency, stream.Of(stream.Topic, servedID) }, rule.OutsideJuris, "V1"},
		{"an item is missing", items(four[:3]...), rule.GuardFailed, "V1"},
		{"an item is there twice", items(four[0], four[1], four[2], four[2]), rule.GuardFailed, "V1"},
		{"an item too many", items(append(slices.Clone(four), assessment.Given{Code: "charm"})...), rule.GuardFailed, "V1"},
		{"more than the full points", items(marks("20.5", "20", "20", "20")...), rule.GuardFailed, "V1"},
		{"less than none", items(marks("-0.5", "20", "20", "20")...), rule.GuardFailed, "V1"},
		{"a quarter of a point", items(marks("18.25", "17.5", "25", "24")...), rule.GuardFailed, "V1"},
		{"below 60 without a comment", items(marks("12", "12", "18", "17.5")...), rule.GuardFailed, "V1"},
		{"above 95 with a blank one", func(s *scene) { s.submit.Items, s.submit.Comment = marks("20", "20", "30", "25.5"), " " }, rule.GuardFailed, "V1"},
		{"a comment with a phone number", func(s *scene) { s.submit.Comment = "来电 13800001111" }, rule.GuardFailed, "V1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			es, err := usual(tt.when).decide(State{})
			r := ruletest.Refusal(err)
			if r == nil || len(es) > 0 || r.Code != tt.code || r.Rule != tt.rule {
				t.Fatalf("got %v, %v, want %s (%s)", es, err, tt.code, tt.rule)
			}
			if r.Detail.En == "" || strings.TrimFunc(r.Detail.Zh, func(c rune) bool { return c < 0x3000 }) == "" || !slices.Equal(r.Possible, []string{"submit"}) {
				t.Errorf("not to be shown to a clerk: %+v", r)
			}
		})
	}
	s := usual(nil)
	at := s.at()
	at.Occurred = at.Recorded.Add(time.Second)
	if _, err := Decide(State{ID: s.stream()}, Submit{Period: period, Unit: agency, Items: four}, at); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Rule != "I18" {
		t.Errorf("in the future: got %v, want I18", err)
	}
}

// A street may think better of it: the later submission replaces the earlier, and is counted.
func TestALaterSubmissionReplacesTheEarlier(t *testing.T) {
	first := usual(nil)
	es, err := first.decide(State{})
	if err != nil {
		t.Fatal(err)
	}
	state := Evolve(State{ID: first.stream()}, es[0], first.at().Stamp)
	if es, err := first.decide(state); es != nil || err != nil {
		t.Errorf("asked twice: got %v, %v, want nothing", es, err)
	}
	again := usual(func(s *scene) { s.now = april.Add(time.Hour) })
	if es, err := again.decide(state); es != nil || err != nil {
		t.Errorf("the same points later: got %v, %v, want nothing", es, err)
	}
	better := usual(func(s *scene) { s.now, s.submit.Items = april.Add(time.Hour), marks("19", "17.5", "25", "24") })
	es, err = better.decide(state)
	if err != nil || len(es) != 1 || es[0].(Submitted).Number != 2 || es[0].(Submitted).Total != points("85.5") {
		t.Fatalf("got %v, %v, want the second submission", es, err)
	}
	before := state
	state = Evolve(state, es[0], better.at().Stamp)
	if state.Number != 2 || state.Total != points("85.5") || before.Total != points("84.5") || state.Actor != desk.ID || state.Signer != leader.ID {
		t.Errorf("got %+v, before %+v", state, before)
	}
	alone := usual(func(s *scene) {
		s.now, s.second, s.submit.Items = april.Add(2*time.Hour), nil, marks("20", "17.5", "25", "24")
	})
	if _, err := alone.decide(state); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Code != rule.SecondPerson {
		t.Errorf("replaced by one person: got %v, want %s", err, rule.SecondPerson)
	}
	late := usual(func(s *scene) {
		s.now, s.submit.Items = april.Add(2*time.Hour), marks("20", "17.5", "25", "24")
		s.facts.Periods[0].EvaluateBy, s.facts.Periods[0].Shown = time.Time{}, true
	})
	if _, err := late.decide(state); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Code != rule.WindowClosed {
		t.Errorf("replaced after figures were shown: got %v, want %s", err, rule.WindowClosed)
	}
}

// The machine is small: one state, entered and stayed in by one command.
func TestTheTableIsCompleteAndTheCodeKeepsToIt(t *testing.T) {
	if len(Machine.Rows) != 1 || len(Machine.Notes) != 1 || Machine.Rows[0].From != nil || Machine.Rows[0].To != PhaseSubmitted || !PhaseSubmitted.Terminal() ||
		!slices.Equal(Machine.States, Machine.Terminal) || !slices.Equal(Machine.Notes[0].In, Machine.States) {
		t.Errorf("got %+v", Machine)
	}
	for _, e := range []string{Machine.Rows[0].Event, Machine.Notes[0].Event} {
		if e+"/1" != (Submitted{}).EventType() {
			t.Errorf("the table writes %s", e)
		}
	}
	for _, c := range []string{Machine.Rows[0].Command, Machine.Notes[0].Command} {
		if c != (Submit{}).Name() {
			t.Errorf("the table takes %s", c)
		}
	}
	if got, want := Needs(State{}, Submit{Period: period, Served: served}), (rule.Refs{Periods: []stream.ID{period}, Orders: []stream.ID{servedID}}); !reflect.DeepEqual(got, want) {
		t.Errorf("asks for %+v, want %+v", got, want)
	}
}

// Whatever points are given: what is taken is in half points and within the form, its total is their sum, and a comment stands
// where one is needed.
func TestLawWhatIsTakenIsInOrder(t *testing.T) {
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		s := usual(nil)
		for i := range s.submit.Items {
			s.submit.Items[i].Points = assessment.Decimal(rapid.Int64Range(0, int64(assessment.Default().Form[i].Points)/5000+1).Draw(t, "halves") * 5000)
			if rapid.IntRange(0, 19).Draw(t, "finer") == 7 {
				s.submit.Items[i].Points++
			}
		}
		if rapid.Bool().Draw(t, "commented") {
			s.submit.Comment = "评语"
		}
		es, err := s.decide(State{})
		if err != nil {
			if ruletest.Refusal(err) == nil {
				t.Fatal(err)
			}
			return
		}
		taken++
		e := es[0].(Submitted)
		sum := assessment.Decimal(0)
		for i, g := range e.Items {
			f := assessment.Default().Form[i]
			if g.Code != f.Code || g.Points < 0 || g.Points > f.Points || g.Points%5000 != 0 {
				t.Fatalf("took %s of %s for %s", g.Points, f.Points, f.Code)
			}
			sum += g.Points
		}
		if sum != e.Total || (sum < assessment.Whole(60) || sum > assessment.Whole(95)) && e.Comment == "" {
			t.Fatalf("took %s with the comment %q, total %s", sum, e.Comment, e.Total)
		}
	})
	if taken < 5 {
		t.Errorf("%d evaluations were taken: nothing was shown", taken)
	}
}
