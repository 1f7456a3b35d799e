package rule

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

type light string

// crossing is a small machine: two people switch it, and it ends.
var crossing = Machine[light]{
	Name:     "crossing",
	States:   []light{"red", "green", "off"},
	Terminal: []light{"off"},
	Rows: []Row[light]{
		{ID: "X1", To: "red", Command: "build", Event: "built", Actors: []orgs.Role{orgs.Operator, orgs.System}},
		{ID: "X2", From: []light{"red"}, To: "green", Command: "switch", Event: "switched", Variant: "go", Actors: []orgs.Role{orgs.Clerk}},
		{ID: "X3", From: []light{"green"}, To: "red", Command: "switch", Event: "switched", Variant: "stop", Actors: []orgs.Role{orgs.Clerk, orgs.GridWorker}},
		{ID: "X4", From: []light{"red", "green"}, To: "off", Command: "tear-down", Event: "torn-down", Actors: []orgs.Role{orgs.Dispatcher}, Second: orgs.StreetLeader},
		{ID: "X5", From: []light{"red"}, To: "off", Command: "expire", Event: "expired", Actors: []orgs.Role{orgs.System}},
	},
	Notes: []Note[light]{
		{Command: "inspect", Event: "inspected", In: []light{"red", "green"}, Actors: []orgs.Role{orgs.Supervisor}},
		{Command: "log", Event: "logged", In: []light{"red", "off"}, Actors: []orgs.Role{orgs.System}},
	},
}

func as(r orgs.Role) Stamp { return Stamp{Actor: Actor{ID: "k-1", Role: r}} }

func with(st Stamp, second Actor) Stamp {
	st.Second = &second
	return st
}

func TestATableAdmitsWhatItLists(t *testing.T) {
	leader := Actor{ID: "k-2", Role: orgs.StreetLeader}
	for _, tt := range []struct {
		name    string
		state   light
		command string
		stamp   Stamp
		code    Code // "" if it is admitted
		rule    string
	}{
		{"it begins", "", "build", as(orgs.Operator), "", ""},
		{"it begins once", "red", "build", as(orgs.Operator), WrongState, "M1"},
		{"what does not exist does nothing", "", "switch", as(orgs.Clerk), WrongState, "M1"},
		{"a row from this state", "red", "switch", as(orgs.Clerk), "", ""},
		{"the row of this state says who", "red", "switch", as(orgs.GridWorker), RoleMissing, "X2"},
		{"another row of the same command says another", "green", "switch", as(orgs.GridWorker), "", ""},
		{"a row from another state", "off", "switch", as(orgs.Clerk), WrongState, "M1"},
		{"no such command", "red", "paint", as(orgs.Clerk), WrongState, "M1"},
		{"no such state", "blue", "switch", as(orgs.Clerk), WrongState, "M1"},
		{"a note in this state", "green", "inspect", as(orgs.Supervisor), "", ""},
		{"a note by nobody it names", "green", "inspect", as(orgs.Clerk), RoleMissing, "M1"},
		{"a note in another state", "off", "inspect", as(orgs.Supervisor), WrongState, "M1"},
		{"the state is asked before the role", "off", "tear-down", as(orgs.Resident), WrongState, "M1"},
		{"two people", "red", "tear-down", with(as(orgs.Dispatcher), leader), "", ""},
		{"one person", "red", "tear-down", as(orgs.Dispatcher), SecondPerson, "X4"},
		{"one person twice", "red", "tear-down", with(as(orgs.Dispatcher), Actor{ID: "k-1", Role: orgs.StreetLeader}), SecondPerson, "X4"},
		{"a second person of another role", "red", "tear-down", with(as(orgs.Dispatcher), Actor{ID: "k-2", Role: orgs.Clerk}), SecondPerson, "X4"},
		{"the second person alone", "red", "tear-down", with(as(orgs.StreetLeader), leader), RoleMissing, "X4"},
		{"the clock", "red", "expire", as(orgs.System), "", ""},
		{"nobody but the clock", "red", "expire", as(orgs.Operator), RoleMissing, "X5"},
	} {
		r := crossing.Admit(tt.state, tt.command, tt.stamp)
		switch {
		case tt.code == "" && r != nil:
			t.Errorf("%s: refused: %v", tt.name, r)
		case tt.code == "":
		case tt.state == "" && !strings.Contains(r.Detail.En, "does not exist yet"):
			t.Errorf("%s: got %v; want it said that there is nothing yet", tt.name, r)
		case r == nil || r.Code != tt.code || r.Rule != tt.rule:
			t.Errorf("%s: got %v, want %s (%s)", tt.name, r, tt.code, tt.rule)
		case r.State != string(tt.state) || !slices.Equal(r.Possible, crossing.Possible(tt.state)) || r.Detail.En == "" || r.Detail.Zh == "":
			t.Errorf("%s: not complete: %+v", tt.name, r)
		}
	}
}

func TestPossibleIsWhatSomebodyMayDoHere(t *testing.T) {
	for state, want := range map[light][]string{
		"":      {"build"},
		"red":   {"switch", "tear-down", "inspect"}, // the clock's commands are nobody's
		"green": {"switch", "tear-down", "inspect"},
		"off":   nil,
		"blue":  nil,
	} {
		if got := crossing.Possible(state); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", state, got, want)
		}
	}
}

func TestWhatWasAskedMayHoldAlready(t *testing.T) {
	for _, tt := range []struct {
		state   light
		command string
		holds   bool
	}{
		{"off", "tear-down", true}, {"green", "switch", true}, {"red", "switch", true}, {"red", "build", true},
		{"off", "switch", false}, {"red", "tear-down", false}, {"red", "inspect", false}, {"", "build", false},
	} {
		if got := crossing.Holds(tt.state, tt.command); got != tt.holds {
			t.Errorf("%s in %q: got %v, want %v", tt.command, tt.state, got, tt.holds)
		}
	}
}

func TestARefusalSaysItsRule(t *testing.T) {
	r := crossing.Explain("red", Refuse(GuardFailed, "X9", "不行", "it does not fit"))
	if got, want := r.Error(), "guard_failed (X9): it does not fit"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if r.Detail != Say("不行", "it does not fit") || r.State != "red" || !slices.Equal(r.Possible, crossing.Possible("red")) {
		t.Errorf("got %+v", r)
	}
	var err error = r
	var found *Refusal
	if !errors.As(err, &found) || found != r {
		t.Error("a refusal is not found among errors")
	}
}

func TestAnyOfTheRolesConfirms(t *testing.T) {
	st := with(as(orgs.CallbackAgent), Actor{ID: "k-2", Role: orgs.Supervisor})
	if r := Confirmed(st, "D15", orgs.CallbackAgent, orgs.Supervisor); r != nil {
		t.Errorf("refused: %v", r)
	}
	r := Confirmed(st, "D15", orgs.Auditor, orgs.Arbiter)
	if r == nil || r.Code != SecondPerson || r.Rule != "D15" || !strings.Contains(r.Detail.En, "auditor or arbiter") || !strings.Contains(r.Detail.Zh, "审计、区级裁定") {
		t.Errorf("got %+v", r)
	}
}

// fact is an event with everything that may be computed for it, and much that may not.
type fact struct {
	Unit    orgs.UnitCode
	Started calendar.Due
	Maybe   *calendar.Due
	CloseBy time.Time
	By      time.Time
	HeldAt  time.Time
	Until   calendar.Date
	Words   sealed.Text
	ByWhom  string
	List    []string
	Nested  struct{ Due calendar.Due }
	silent  int
	unsaid  calendar.Due
}

func TestSameIgnoresWhatWasComputedAndNothingElse(t *testing.T) {
	now := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	due := calendar.Due{ID: "accept/1/0/1", Clock: calendar.Accept, Due: now}
	base := fact{Unit: "150105", Started: due, Maybe: &due, CloseBy: now, By: now, HeldAt: now, Until: 5,
		Words: sealed.Cipher(sealed.Prefix + "a.k.x"), ByWhom: "k", List: []string{"a"}, silent: 1}
	later := calendar.Due{ID: "accept/1/0/2", Due: now.Add(time.Hour)}
	for name, tt := range map[string]struct {
		change func(*fact)
		same   bool
	}{
		"nothing":             {func(*fact) {}, true},
		"a due":               {func(f *fact) { f.Started = later }, true},
		"a due left out":      {func(f *fact) { f.Maybe = nil }, true},
		"another due":         {func(f *fact) { f.Maybe = &later }, true},
		"a window":            {func(f *fact) { f.CloseBy = now.Add(time.Hour) }, true},
		"a window by itself":  {func(f *fact) { f.By = time.Time{} }, true},
		"the unit":            {func(f *fact) { f.Unit = "150102" }, false},
		"a named date":        {func(f *fact) { f.Until = 6 }, false},
		"a time it happened":  {func(f *fact) { f.HeldAt = now.Add(time.Second) }, false},
		"no time but By":      {func(f *fact) { f.ByWhom = "k2" }, false},
		"a list":              {func(f *fact) { f.List = []string{"a", "b"} }, false},
		"sealed words":        {func(f *fact) { f.Words = sealed.Cipher(sealed.Prefix + "a.k.y") }, false},
		"clear words":         {func(f *fact) { f.Words = sealed.Clear("a.k.x") }, false},
		"a due further below": {func(f *fact) { f.Nested.Due = later }, false},
		"what is not shown":   {func(f *fact) { f.silent = 2 }, false},
		"a due not shown":     {func(f *fact) { f.unsaid = later }, false},
	} {
		changed := base
		changed.List = slices.Clone(base.List)
		tt.change(&changed)
		if got := Same(base, changed); got != tt.same {
			t.Errorf("%s changed: same is %v, want %v", name, got, tt.same)
		}
		if got := Same(changed, base); got != tt.same {
			t.Errorf("%s changed, the other way: same is %v, want %v", name, got, tt.same)
		}
	}
	if !reflect.DeepEqual(base.Started, due) || base.Maybe != &due || !base.CloseBy.Equal(now) {
		t.Errorf("comparing changed the event: %+v", base)
	}
	type other fact
	if Same(base, other(base)) || Same(nil, nil) || Same(base, nil) || Same(nil, base) {
		t.Error("events of two types, or none, are not the same")
	}
}

func TestClocksLeaveTheirEarlierListAsItIs(t *testing.T) {
	clock := rapid.SampledFrom([]calendar.Clock{calendar.Accept, calendar.Triage, calendar.Promise, calendar.Callback})
	rapid.Check(t, func(t *rapid.T) {
		var now Clocks
		var lists, copies []Clocks
		model := map[calendar.Clock]calendar.Due{}
		for i := range rapid.IntRange(0, 20).Draw(t, "steps") {
			c := clock.Draw(t, "clock")
			if rapid.Bool().Draw(t, "start") {
				d := calendar.Due{ID: string(c), Clock: c, Amount: i, Due: time.Unix(rapid.Int64Range(1, 1000).Draw(t, "due"), 0)}
				now = now.Start(d)
				model[c] = d
			} else {
				also := clock.Draw(t, "also")
				now = now.Stop(c, also)
				delete(model, c)
				delete(model, also)
			}
			lists, copies = append(lists, now), append(copies, slices.Clone(now))
			if len(now) != len(model) {
				t.Fatalf("got %v, want %v", now, model)
			}
			var first time.Time
			for c, want := range model {
				if got, runs := now.Get(c); !runs || !reflect.DeepEqual(got, want) {
					t.Fatalf("%s: got %v, %v", c, got, runs)
				}
				if first.IsZero() || want.Due.Before(first) {
					first = want.Due
				}
			}
			if next, runs := now.Next(); runs != (len(model) > 0) || !next.Equal(first) {
				t.Fatalf("next: got %s, %v; want %s", next, runs, first)
			}
		}
		for i := range lists {
			if !reflect.DeepEqual(lists[i], copies[i]) {
				t.Fatalf("list %d changed later: %v, was %v", i, lists[i], copies[i])
			}
		}
	})
	if _, runs := (Clocks{}).Get(calendar.Accept); runs {
		t.Error("a clock runs that nobody started")
	}
	if got := (Clocks{{Clock: calendar.Accept}}).Stop(calendar.Accept); got != nil {
		t.Errorf("no clock left: got %#v, want nil, as before the first", got)
	}
}

func TestFactsAreFoundByTheirStream(t *testing.T) {
	a, b, none := stream.Derive("a"), stream.Derive("b"), stream.Derive("c")
	f := Facts{Demands: []DemandFact{{ID: a, Kind: "x"}, {ID: b, Kind: "y"}}, Topics: []TopicFact{{ID: a, Phase: "x"}, {ID: b, Phase: "y"}}, Orders: []OrderFact{{ID: a, Phase: "x"}, {ID: b, Phase: "y"}}}
	if d, found := f.Demand(b); !found || d.Kind != "y" {
		t.Errorf("demand: got %+v, %v", d, found)
	}
	if d, found := f.Topic(b); !found || d.Phase != "y" {
		t.Errorf("topic: got %+v, %v", d, found)
	}
	if d, found := f.Order(b); !found || d.Phase != "y" {
		t.Errorf("order: got %+v, %v", d, found)
	}
	_, demand := f.Demand(none)
	_, topic := f.Topic(none)
	_, order := f.Order(none)
	if demand || topic || order {
		t.Errorf("what was not handed in is found: %v, %v, %v", demand, topic, order)
	}
}

func TestNothingHappensInTheFuture(t *testing.T) {
	now := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	for ago, refused := range map[time.Duration]bool{0: false, time.Hour: false, -time.Millisecond: true} {
		r := NotFuture(At{Stamp: Stamp{Occurred: now.Add(-ago), Recorded: now}})
		if (r != nil) != refused || r != nil && (r.Code != GuardFailed || r.Rule != "I18") {
			t.Errorf("%s ago: got %v", ago, r)
		}
	}
}
