package policy_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/policy"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
)

func tree() *orgs.Tree {
	return (*orgs.Tree)(nil).With(orgs.UnitOpened{Code: "150100", Name: "市", Kind: orgs.City},
		orgs.UnitOpened{Code: "150105", Name: "区", Kind: orgs.District, Parent: "150100"})
}

func defaults() policy.InForce {
	return policy.InForce{Rules: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}, Escalation: escalation.Default()}
}

func at(role orgs.Role, unit orgs.UnitCode) rule.At {
	d := defaults()
	return rule.At{Stamp: rule.Stamp{Actor: rule.Actor{ID: "k", Role: role, Unit: unit}, Recorded: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)},
		Units: tree(), Clocks: d.Rules, Escalation: d.Escalation}
}

var operator = at(orgs.Operator, "150100")

// founded is what a new log has published.
func founded() policy.Published {
	var p policy.Published
	notices, deadlines, escalations := policy.Founding(defaults())
	for _, e := range slices.Concat(notices, deadlines, escalations) {
		p = policy.Evolve(p, e)
	}
	return p
}

func day(s string) calendar.Date {
	d, err := calendar.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// notice2027 is made up.
func notice2027() calendar.Notice {
	return calendar.Notice{Year: 2027, Source: "https://example.org/2027", Off: []calendar.Date{day("2027-01-01"), day("2027-01-02"), day("2027-01-03")},
		Work: []calendar.Date{day("2026-12-27")}, Occasions: []calendar.Occasion{{From: day("2027-01-01"), To: day("2027-01-03"), Name: "元旦"}}}
}

func TestANewLogSaysWhatIsInForceFromItsBeginning(t *testing.T) {
	p := founded()
	if !reflect.DeepEqual(p.InForce(policy.InForce{}), defaults()) {
		t.Errorf("got %+v, want the calendar and the policies it was founded with", p.InForce(policy.InForce{}))
	}
	notices, _, _ := policy.Founding(defaults())
	if len(notices) != 10 || notices[9].(policy.CalendarPublished).Version != "cn-2026#1" || notices[0].(policy.CalendarPublished).Version != "cn-2017#1" {
		t.Errorf("got %d notices up to %+v, want ten, from cn-2017#1 to cn-2026#1", len(notices), notices[len(notices)-1])
	}
	// Whatever the embedded notices say must pass the rules for publishing one.
	var again policy.Published
	none, _ := calendar.New()
	for _, n := range calendar.China().Notices() {
		bare := operator
		bare.Clocks.Calendar = none
		es, err := policy.Decide(again, policy.PublishNotice{Notice: n}, bare)
		if err != nil || len(es) != 1 {
			t.Fatalf("%d: got %v, %v, want it published", n.Year, es, err)
		}
		again = policy.Evolve(again, es[0])
	}
	if !reflect.DeepEqual(again.Calendar, calendar.China()) {
		t.Error("published one by one they make another calendar")
	}
}

func TestPublishing(t *testing.T) {
	p := founded()
	quick := policy.Written(calendar.DefaultPolicy())
	quick.Attempts = 5
	strict := *escalation.Default()
	strict.Reworks = 2
	older := quick
	older.Version = 7
	renamed := quick
	renamed.Name = "other"
	twice := quick
	twice.Windows = append(slices.Clone(quick.Windows), quick.Windows[0])
	odd := quick
	odd.Rows = append(slices.Clone(quick.Rows), calendar.Row{Clock: calendar.Sign, Kind: "13812345678", Urgency: "A", Amount: calendar.Amount{N: 1, Kind: calendar.NaturalHours}})
	empty := strict
	empty.Levels = nil
	slow := strict
	slow.Steps = slices.Clone(strict.Steps)
	slow.Steps[0].Amount.N = 0
	named := strict
	named.Levels = slices.Clone(strict.Levels)
	named.Levels[0].Zh = "张三 13812345678"
	corrected := calendar.China().Notices()[9]
	corrected.Off = corrected.Off[1:]
	corrected.Occasions = nil
	withSource := func(s string) calendar.Notice { n := notice2027(); n.Source = s; return n }
	withOff := func(is func(calendar.Date) bool) calendar.Notice {
		n := notice2027()
		n.Off, n.Work, n.Occasions = nil, nil, nil
		for d := day("2027-01-01"); d <= day("2027-12-31"); d++ {
			if is(d) {
				n.Off = append(n.Off, d)
			}
		}
		return n
	}
	weekdays := func(n int) func(calendar.Date) bool {
		return func(d calendar.Date) bool {
			if w := d.Weekday(); w == time.Saturday || w == time.Sunday {
				return false
			}
			n--
			return n >= 0
		}
	}
	working := func(d string) calendar.Notice { n := notice2027(); n.Work = []calendar.Date{day(d)}; return n }
	off := func(d string) calendar.Notice { n := notice2027(); n.Off = append(n.Off, day(d)); return n }
	of := func(d orgs.UnitCode, l escalation.LevelMap) escalation.Policy {
		p := strict
		p.Districts = []escalation.DistrictLevels{{District: d, Levels: l}}
		return p
	}
	single := strict
	single.Levels = strict.Levels[4:]
	for _, tc := range []struct {
		name string
		what policy.Command
		at   rule.At
		want string // type of the event, code of the refusal, or "" for nothing
	}{
		{"next year's notice", policy.PublishNotice{Notice: notice2027()}, operator, "calendar-published/1"},
		{"the process itself may publish, from the machine's own command line", policy.PublishNotice{Notice: notice2027()}, at(orgs.System, ""), "calendar-published/1"},
		{"the notice in force again decides nothing", policy.PublishNotice{Notice: calendar.China().Notices()[9]}, operator, ""},
		{"a correction has a reason", policy.PublishNotice{Notice: corrected}, operator, "guard_failed"},
		{"a correction", policy.PublishNotice{Notice: corrected, Reason: "以更正通知为准"}, operator, "calendar-published/1"},
		{"an empty notice is no year without holidays", policy.PublishNotice{Notice: calendar.Notice{Year: 2027, Source: "x"}}, operator, "guard_failed"},
		{"a notice has a source", policy.PublishNotice{Notice: withSource("")}, operator, "guard_failed"},
		{"the number of a person is no source", policy.PublishNotice{Notice: withSource("tel:13812345678")}, operator, "guard_failed"},
		{"a whole year off", policy.PublishNotice{Notice: withOff(func(calendar.Date) bool { return true })}, operator, "guard_failed"},
		{"all its Mondays off", policy.PublishNotice{Notice: withOff(func(d calendar.Date) bool { return d.Weekday() == time.Monday })}, operator, "guard_failed"},
		{"forty weekdays off are a long year of holidays", policy.PublishNotice{Notice: withOff(weekdays(40))}, operator, "calendar-published/1"},
		{"one more is a mistake", policy.PublishNotice{Notice: withOff(weekdays(41))}, operator, "guard_failed"},
		{"a make-up workday that was one anyway", policy.PublishNotice{Notice: working("2027-01-06")}, operator, "guard_failed"},
		{"a make-up workday on a Sunday", policy.PublishNotice{Notice: working("2027-01-10")}, operator, "calendar-published/1"},
		{"a day off in another year", policy.PublishNotice{Notice: off("2026-07-01")}, operator, "guard_failed"},
		{"a day off two weeks behind the year", policy.PublishNotice{Notice: off("2028-01-16")}, operator, "guard_failed"},
		{"a day off in the last days before it", policy.PublishNotice{Notice: off("2026-12-31")}, operator, "calendar-published/1"},
		{"a clerk publishes nothing", policy.PublishNotice{Notice: notice2027()}, at(orgs.Clerk, "150100"), "role_missing"},
		{"a district's operator publishes nothing for the city", policy.PublishNotice{Notice: notice2027()}, at(orgs.Operator, "150105"), "outside_jurisdiction"},
		{"nor an operator of nowhere", policy.PublishNotice{Notice: notice2027()}, at(orgs.Operator, "nowhere"), "outside_jurisdiction"},

		{"another deadline policy", policy.PublishDeadlines{Policy: quick, Reason: "试行"}, operator, "deadline-policy-published/1"},
		{"a change has a reason", policy.PublishDeadlines{Policy: quick}, operator, "guard_failed"},
		{"a person's number in a reason", policy.PublishDeadlines{Policy: quick, Reason: "张三 13812345678 要求"}, operator, "guard_failed"},
		{"what is in force decides nothing", policy.PublishDeadlines{Policy: policy.Written(calendar.DefaultPolicy())}, operator, ""},
		{"edited from a version that is not in force", policy.PublishDeadlines{Policy: older, Reason: "试行"}, operator, "guard_failed"},
		{"a policy keeps its name", policy.PublishDeadlines{Policy: renamed, Reason: "试行"}, operator, "guard_failed"},
		{"an incomplete policy", policy.PublishDeadlines{Policy: policy.Table{}, Reason: "试行"}, operator, "guard_failed"},
		{"a window given twice", policy.PublishDeadlines{Policy: twice, Reason: "试行"}, operator, "guard_failed"},
		{"a number of a person in a row", policy.PublishDeadlines{Policy: odd, Reason: "试行"}, operator, "guard_failed"},
		{"a clerk changes no policy", policy.PublishDeadlines{Policy: quick, Reason: "试行"}, at(orgs.Clerk, "150100"), "role_missing"},

		{"another escalation policy", policy.PublishEscalation{Policy: strict, Reason: "试行"}, operator, "escalation-policy-published/1"},
		{"the same again decides nothing", policy.PublishEscalation{Policy: *escalation.Default()}, operator, ""},
		{"a ladder without levels", policy.PublishEscalation{Policy: empty, Reason: "试行"}, operator, "guard_failed"},
		{"a step that takes no time", policy.PublishEscalation{Policy: slow, Reason: "试行"}, operator, "guard_failed"},
		{"a person's number as the name of a level", policy.PublishEscalation{Policy: named, Reason: "试行"}, operator, "guard_failed"},
		{"a ladder of one level", policy.PublishEscalation{Policy: single, Reason: "试行"}, operator, "guard_failed"},
		{"a district's own ladder", policy.PublishEscalation{Policy: of("150105", strict.Levels), Reason: "试行"}, operator, "escalation-policy-published/1"},
		{"a district's ladder of one level", policy.PublishEscalation{Policy: of("150105", strict.Levels[4:]), Reason: "试行"}, operator, "guard_failed"},
		{"a ladder of a district that does not exist", policy.PublishEscalation{Policy: of("150199", strict.Levels), Reason: "试行"}, operator, "guard_failed"},
		{"a ladder of what is no district", policy.PublishEscalation{Policy: of("150100", strict.Levels), Reason: "试行"}, operator, "guard_failed"},
		{"a district lifts nothing for the city", policy.PublishEscalation{Policy: strict, Reason: "试行"}, at(orgs.Operator, "150105"), "outside_jurisdiction"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			es, err := policy.Decide(p, tc.what, tc.at)
			got := ""
			var refusal *rule.Refusal
			switch {
			case errors.As(err, &refusal):
				got = string(refusal.Code)
				if refusal.Detail.Zh == "" || refusal.Detail.En == "" || refusal.Rule == "" {
					t.Errorf("the refusal says %+v", refusal)
				}
			case err != nil:
				t.Fatal(err)
			case len(es) == 1:
				got = es[0].EventType()
			case len(es) > 1:
				t.Fatalf("got %d events", len(es))
			}
			if got != tc.want {
				t.Fatalf("got %q (%v), want %q", got, err, tc.want)
			}
			if len(es) == 0 {
				return
			}
			after := policy.Evolve(p, es[0])
			if reflect.DeepEqual(after, p) {
				t.Error("it was published and nothing is in force that was not before")
			}
			if again, err := policy.Decide(after, sameVersion(tc.what), tc.at); err != nil || again != nil {
				t.Errorf("published again: got %v, %v, want nothing", again, err)
			}
		})
	}
}

// sameVersion is the command as somebody gives it who read what it led to.
func sameVersion(c policy.Command) policy.Command {
	switch c := c.(type) {
	case policy.PublishDeadlines:
		c.Policy.Version = 0
		return c
	case policy.PublishEscalation:
		c.Policy.Version = 0
		return c
	}
	return c
}

func TestVersionsAreNumberedByTheRules(t *testing.T) {
	p := founded()
	for n := 2; n < 5; n++ {
		next := policy.Written(p.InForce(defaults()).Policy)
		next.Attempts = n + 10
		es, err := policy.Decide(p, policy.PublishDeadlines{Policy: next, Reason: "r"}, operator)
		if err != nil || len(es) != 1 || es[0].(policy.DeadlinesPublished).Policy.Version != n {
			t.Fatalf("got %+v, %v, want version %d", es, err, n)
		}
		p = policy.Evolve(p, es[0])
	}
	es, err := policy.Decide(p, policy.PublishNotice{Notice: notice2027()}, operator)
	if err != nil || es[0].(policy.CalendarPublished).Version != "cn-2027#1" {
		t.Fatalf("got %+v, %v, want cn-2027#1", es, err)
	}
	p = policy.Evolve(p, es[0])
	corrected := notice2027()
	corrected.Off = corrected.Off[:2]
	corrected.Occasions = nil
	es, err = policy.Decide(p, policy.PublishNotice{Notice: corrected, Reason: "r"}, operator)
	if e := es[0].(policy.CalendarPublished); err != nil || e.Version != "cn-2027#2" || !e.Correction {
		t.Fatalf("got %+v, %v, want the correction cn-2027#2", es, err)
	}
}

// A log from before publications has none; what it was decided with comes first, so that the log has it from then on.
func TestTheFirstPublicationOfAnOldLogSaysWhatApplied(t *testing.T) {
	es, err := policy.Decide(policy.Published{}, policy.PublishNotice{Notice: notice2027()}, operator)
	if err != nil || len(es) != 11 || es[10].(policy.CalendarPublished).Version != "cn-2027#1" {
		t.Fatalf("got %d events, %v, want the ten notices that applied and the new one", len(es), err)
	}
	strict := *escalation.Default()
	strict.Urgings = 9
	es, err = policy.Decide(policy.Published{}, policy.PublishEscalation{Policy: strict, Reason: "r"}, operator)
	if err != nil || len(es) != 2 || es[0].(policy.EscalationPublished).Policy.Version != 1 || es[1].(policy.EscalationPublished).Policy.Version != 2 {
		t.Fatalf("got %+v, %v, want versions 1 and 2", es, err)
	}
	if es, err := policy.Decide(policy.Published{}, policy.PublishEscalation{Policy: *escalation.Default()}, operator); err != nil || len(es) != 1 {
		t.Errorf("what applies anyway: got %v, %v, want it in the log, once", es, err)
	}
}

// A due instant is answered with what it names, whatever was published since, and from an old log with what applied.
func TestTheRulesOfADueAreThoseThatItNames(t *testing.T) {
	p := founded()
	d := calendar.Due{ID: "x", Policy: "deadline", PolicyVersion: 1, Calendar: "cn-2026#1"}
	next := policy.Written(calendar.DefaultPolicy())
	next.Attempts = 9
	for _, c := range []policy.Command{policy.PublishNotice{Notice: notice2027()}, policy.PublishDeadlines{Policy: next, Reason: "r"}} {
		es, err := policy.Decide(p, c, operator)
		if err != nil {
			t.Fatal(err)
		}
		p = policy.Evolve(p, es[0])
	}
	r, known := p.Rules(d, policy.InForce{})
	if !known || r.Calendar.Version() != "cn-2026#1" || r.Policy.Attempts != 3 {
		t.Errorf("got %v, %+v; want calendar cn-2026#1 and policy version 1", known, r)
	}
	if now := p.InForce(policy.InForce{}); now.Calendar.Version() != "cn-2027#1" || now.Policy.Version != 2 {
		t.Errorf("in force: %s, version %d; want cn-2027#1, version 2", now.Calendar.Version(), now.Policy.Version)
	}
	if r, known := (policy.Published{}).Rules(d, defaults()); !known || r.Calendar.Version() != "cn-2026#1" {
		t.Errorf("of an old log: got %v, %+v", known, r)
	}
	d.PolicyVersion = 3
	if _, known := p.Rules(d, defaults()); known {
		t.Error("a version that never was is known")
	}
}

func TestLawAPolicyIsReadBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := calendar.DefaultPolicy()
		amount := rapid.Custom(func(t *rapid.T) calendar.Amount {
			return calendar.Amount{N: rapid.IntRange(1, calendar.MaxAmount).Draw(t, "n"), Kind: rapid.SampledFrom([]calendar.Kind{calendar.NaturalMinutes,
				calendar.NaturalHours, calendar.ServiceHours, calendar.NaturalDays, calendar.WorkingDays}).Draw(t, "kind")}
		})
		for i := range p.Rows {
			p.Rows[i].Amount = amount.Draw(t, "row")
		}
		for w := range maps.Keys(p.Windows) {
			p.Windows[w] = amount.Draw(t, string(w))
		}
		for c := range maps.Keys(p.Caps) {
			p.Caps[c] = rapid.IntRange(1, 1000).Draw(t, string(c))
		}
		p.Version, p.Attempts = rapid.IntRange(1, 99).Draw(t, "version"), rapid.IntRange(1, 9).Draw(t, "attempts")
		p.HandleTable = rapid.SampledFrom([]calendar.HandleTable{calendar.ByUrgency, calendar.ByKind}).Draw(t, "table")
		p.Missing = rapid.SampledFrom([]calendar.Missing{calendar.Provisional, calendar.RefuseUncertain}).Draw(t, "missing")
		p.DayEnd = rapid.SampledFrom([]calendar.DayEnd{calendar.Midnight, calendar.EndOfService}).Draw(t, "end")
		p.Service = []calendar.Segment{{Open: 0, Close: 1440}}
		said := policy.DeadlinesPublished{Policy: policy.Written(p), Reason: sealed.Public("r")}
		b, err := event.Encode(said)
		if err != nil {
			t.Fatal(err)
		}
		read, err := event.Decode(said.EventType(), b)
		if err != nil {
			t.Fatal(err)
		}
		if got := read.(policy.DeadlinesPublished).Policy.Policy(); !reflect.DeepEqual(got, p) {
			t.Fatalf("got %+v\nwant %+v", got, p)
		}
		again, err := json.Marshal(policy.Written(read.(policy.DeadlinesPublished).Policy.Policy()))
		first, err2 := json.Marshal(said.Policy)
		if err != nil || err2 != nil || string(again) != string(first) {
			t.Fatalf("written again: %s\nwritten first: %s", again, first)
		}
	})
}

// The demo asks for no wait before a meeting: an amount of nothing must be read back too.
func TestAPolicyWithoutAWaitIsReadBack(t *testing.T) {
	p := calendar.DefaultPolicy()
	for i, r := range p.Rows {
		if r.Clock == calendar.MeetingWait {
			p.Rows[i].Amount = calendar.Amount{N: 0, Kind: calendar.NaturalMinutes}
		}
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	b, err := event.Encode(policy.DeadlinesPublished{Policy: policy.Written(p)})
	if err != nil {
		t.Fatal(err)
	}
	read, err := event.Decode("deadline-policy-published/1", b)
	if err != nil || !reflect.DeepEqual(read.(policy.DeadlinesPublished).Policy.Policy(), p) {
		t.Errorf("got %+v, %v", read, err)
	}
	p.Rows[0].Amount.N = 0
	if err := p.Validate(); !errors.Is(err, calendar.ErrPolicy) {
		t.Errorf("no time to accept in: got %v, want ErrPolicy", err)
	}
}
