package orgs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
)

// day is when most of what these tests do happens: 1 July 2025.
const day = calendar.Date(739433)

func TestGrids(t *testing.T) {
	tree := new(Tree).With(saihan()...)
	const g1, g2 = GridCode("150105003002001"), GridCode("150105003002002")
	drawn := GridDrawn{Grid: g1, Name: "第一网格", Households: 300, Buildings: 5, Stairwells: 20, Urban: true}
	second := GridDrawn{Grid: g2, Name: "第二网格", Households: 150}
	lead := GridWorkerAppointed{Grid: g1, Worker: "w1", Duty: DutyLead, FullTime: true}
	helper := GridWorkerAppointed{Grid: g1, Worker: "w2", Duty: DutyAssistant}
	acting := ActingWorkerAppointed{Grid: g1, Worker: "w3"}
	relieved := func(w string) GridWorkerRelieved { return GridWorkerRelieved{Grid: g1, Worker: w} }
	appoint := func(w string, d Duty, fullTime bool) AppointGridWorker { return AppointGridWorker{g1, w, d, fullTime} }
	draw := func(change func(*DrawGrid)) DrawGrid {
		c := DrawGrid(drawn)
		change(&c)
		return c
	}

	for _, c := range []struct {
		name    string
		given   []Event
		when    GridsCommand
		then    []Event
		refused string
	}{
		{"a grid is drawn", given(), DrawGrid(drawn), then(drawn), ""},
		{"a second grid is drawn", given(drawn), DrawGrid(second), then(second), ""},
		{"drawing twice decides nothing", given(drawn), DrawGrid(drawn), then(), ""},
		{"an empty grid may be drawn", given(), DrawGrid{Grid: g1, Name: "x"}, then(GridDrawn{Grid: g1, Name: "x"}), ""},
		{"a serial in use is not given again", given(drawn), draw(func(c *DrawGrid) { c.Households = 301 }), nil, "guard_failed I17"},
		{"a retired serial is never given again", given(drawn, GridRetired{g1}), DrawGrid(drawn), nil, "guard_failed I17"},
		{"a serial begins at 001", given(), draw(func(c *DrawGrid) { c.Grid = "150105003002000" }), nil, "guard_failed I17"},
		{"a grid code has fifteen digits", given(), draw(func(c *DrawGrid) { c.Grid = "15010500300201" }), nil, "guard_failed I17"},
		{"a grid code is all digits", given(), draw(func(c *DrawGrid) { c.Grid = "15010500300200a" }), nil, "guard_failed I17"},
		{"a grid's community exists", given(), draw(func(c *DrawGrid) { c.Grid = "150105003009001" }), nil, "guard_failed I8"},
		{"a grid needs a name", given(), draw(func(c *DrawGrid) { c.Name = "" }), nil, "guard_failed I17"},
		{"households are not negative", given(), draw(func(c *DrawGrid) { c.Households = -1 }), nil, "guard_failed C10"},
		{"buildings are not negative", given(), draw(func(c *DrawGrid) { c.Buildings = -1 }), nil, "guard_failed C10"},
		{"stairwells are not negative", given(), draw(func(c *DrawGrid) { c.Stairwells = -1 }), nil, "guard_failed C10"},
		{"size is advice: an urban grid of 900 households is drawn", given(), draw(func(c *DrawGrid) { c.Households = 900 }),
			then(GridDrawn(draw(func(c *DrawGrid) { c.Households = 900 }))), ""},

		{"a grid gets its lead", given(drawn), appoint("w1", DutyLead, true), then(lead), ""},
		{"a lead may hold several grids", given(drawn, second, lead), AppointGridWorker{g2, "w1", DutyLead, true},
			then(GridWorkerAppointed{g2, "w1", DutyLead, true}), ""},
		{"appointing the lead twice decides nothing", given(drawn, lead), appoint("w1", DutyLead, true), then(), ""},
		{"a grid has one lead", given(drawn, lead), appoint("w9", DutyLead, true), nil, "guard_failed I8"},
		{"a vacancy can be filled", given(drawn, lead, relieved("w1")), appoint("w9", DutyLead, true),
			then(GridWorkerAppointed{g1, "w9", DutyLead, true}), ""},
		{"a lead works full time", given(drawn), appoint("w1", DutyLead, false), nil, "guard_failed C11"},
		{"an assistant helps", given(drawn, lead), appoint("w2", DutyAssistant, false), then(helper), ""},
		{"a grid may have assistants and no lead", given(drawn), appoint("w2", DutyAssistant, false), then(helper), ""},
		{"a grid has any number of assistants", given(drawn, helper), appoint("w4", DutyAssistant, true),
			then(GridWorkerAppointed{g1, "w4", DutyAssistant, true}), ""},
		{"appointing an assistant twice decides nothing", given(drawn, helper), appoint("w2", DutyAssistant, false), then(), ""},
		{"an assistant may go full time", given(drawn, helper), appoint("w2", DutyAssistant, true),
			then(GridWorkerAppointed{g1, "w2", DutyAssistant, true}), ""},
		{"an assistant may become the lead", given(drawn, helper), appoint("w2", DutyLead, true),
			then(GridWorkerAppointed{g1, "w2", DutyLead, true}), ""},
		{"a lead is no assistant of the same grid", given(drawn, lead), appoint("w1", DutyAssistant, true), nil, "guard_failed C11"},
		{"there is no other duty", given(drawn), appoint("w1", "boss", true), nil, "guard_failed C11"},
		{"a worker is not named by a name", given(drawn), appoint("王某", DutyLead, true), nil, "guard_failed I14"},
		{"a worker has an id", given(drawn), appoint("", DutyLead, true), nil, "guard_failed I14"},
		{"an id has 64 characters at most", given(drawn), appoint(strings.Repeat("w", 65), DutyLead, true), nil, "guard_failed I14"},
		{"nobody serves on a retired grid", given(drawn, GridRetired{g1}), appoint("w1", DutyLead, true), nil, "wrong_state M1"},
		{"nobody serves on a grid never drawn", given(), appoint("w1", DutyLead, true), nil, "wrong_state M1"},

		{"a lead is relieved", given(drawn, lead), RelieveGridWorker{g1, "w1"}, then(relieved("w1")), ""},
		{"an assistant is relieved", given(drawn, helper), RelieveGridWorker{g1, "w2"}, then(relieved("w2")), ""},
		{"an acting worker is relieved", given(drawn, acting), RelieveGridWorker{g1, "w3"}, then(relieved("w3")), ""},
		{"relieving an acting worker twice decides nothing", given(drawn, acting, relieved("w3")), RelieveGridWorker{g1, "w3"}, then(), ""},
		{"relieving twice decides nothing", given(drawn, lead, relieved("w1")), RelieveGridWorker{g1, "w1"}, then(), ""},
		{"who came back can be relieved again", given(drawn, lead, relieved("w1"), lead), RelieveGridWorker{g1, "w1"}, then(relieved("w1")), ""},
		{"who never served is not relieved", given(drawn, lead), RelieveGridWorker{g1, "w9"}, nil, "guard_failed C11"},
		{"nobody is not relieved", given(drawn), RelieveGridWorker{g1, ""}, nil, "guard_failed C11"},
		{"nobody is relieved on a retired grid", given(drawn, helper, GridRetired{g1}), RelieveGridWorker{g1, "w2"}, nil, "wrong_state M1"},
		{"nobody is relieved on a grid never drawn", given(), RelieveGridWorker{g1, "w1"}, nil, "wrong_state M1"},

		{"a vacancy is covered", given(drawn), AppointActingWorker{g1, "w3"}, then(acting), ""},
		{"an absent lead is covered", given(drawn, lead), AppointActingWorker{g1, "w3"}, then(acting), ""},
		{"an assistant may act", given(drawn, helper), AppointActingWorker{g1, "w2"}, then(ActingWorkerAppointed{g1, "w2"}), ""},
		{"appointing the acting worker twice decides nothing", given(drawn, acting), AppointActingWorker{g1, "w3"}, then(), ""},
		{"another may act instead", given(drawn, acting), AppointActingWorker{g1, "w4"}, then(ActingWorkerAppointed{g1, "w4"}), ""},
		{"relieving who acted before decides nothing", given(drawn, acting, ActingWorkerAppointed{g1, "w4"}), RelieveGridWorker{g1, "w3"}, then(), ""},
		{"a new lead ends acting cover", given(drawn, acting, lead), RelieveGridWorker{g1, "w3"}, then(), ""},
		{"a lead does not act for themselves", given(drawn, lead), AppointActingWorker{g1, "w1"}, nil, "guard_failed C11"},
		{"an acting worker is not named by a name", given(drawn), AppointActingWorker{g1, "王 某"}, nil, "guard_failed I14"},
		{"nobody acts on a retired grid", given(drawn, GridRetired{g1}), AppointActingWorker{g1, "w3"}, nil, "wrong_state M1"},
		{"nobody acts on a grid never drawn", given(), AppointActingWorker{g1, "w3"}, nil, "wrong_state M1"},

		{"a party group serves a grid", given(drawn), SetPartyGroups{g1, []string{"p1"}}, then(PartyGroupsSet{g1, []string{"p1"}}), ""},
		{"a grid may have none: that decides nothing", given(drawn), SetPartyGroups{g1, nil}, then(), ""},
		{"several groups serve a grid, in any order and each once", given(drawn), SetPartyGroups{g1, []string{"p2", "p1", "p2"}}, then(PartyGroupsSet{g1, []string{"p1", "p2"}}), ""},
		{"one group serves several grids", given(drawn, second, PartyGroupsSet{g1, []string{"p1"}}), SetPartyGroups{g2, []string{"p1"}}, then(PartyGroupsSet{g2, []string{"p1"}}), ""},
		{"saying so twice decides nothing", given(drawn, PartyGroupsSet{g1, []string{"p1", "p2"}}), SetPartyGroups{g1, []string{"p2", "p1"}}, then(), ""},
		{"a grid is covered no more", given(drawn, PartyGroupsSet{g1, []string{"p1"}}), SetPartyGroups{g1, []string{}}, then(PartyGroupsSet{g1, nil}), ""},
		{"a group is not named by a person's name", given(drawn), SetPartyGroups{g1, []string{"王某"}}, nil, "guard_failed I14"},
		{"a group has a code", given(drawn), SetPartyGroups{g1, []string{""}}, nil, "guard_failed I14"},
		{"a grid has twenty groups at most", given(drawn), SetPartyGroups{g1, strings.Split("abcdefghijklmnopqrstu", "")}, nil, "guard_failed TM1"},
		{"a retired grid has none", given(drawn, GridRetired{g1}), SetPartyGroups{g1, []string{"p1"}}, nil, "wrong_state M1"},
		{"nor has one never drawn", given(), SetPartyGroups{g1, []string{"p1"}}, nil, "wrong_state M1"},

		{"a grid without a lead is retired", given(drawn), RetireGrid{g1}, then(GridRetired{g1}), ""},
		{"assistants do not keep a grid", given(drawn, helper), RetireGrid{g1}, then(GridRetired{g1}), ""},
		{"retiring twice decides nothing", given(drawn, GridRetired{g1}), RetireGrid{g1}, then(), ""},
		{"a grid with a lead is not retired", given(drawn, lead), RetireGrid{g1}, nil, "guard_failed I8"},
		{"a grid with acting cover is not retired", given(drawn, acting), RetireGrid{g1}, nil, "guard_failed I8"},
		{"a grid is retired once its lead is relieved", given(drawn, lead, relieved("w1")), RetireGrid{g1}, then(GridRetired{g1}), ""},
		{"a grid never drawn is not retired", given(), RetireGrid{g1}, nil, "wrong_state M1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s GridsState
			for _, e := range c.given {
				s = FoldGrids(s, e, day)
			}
			got, err := DecideGrids(s, c.when, tree, day)
			outcome(t, got, err, c.then, c.refused)
		})
	}
}

func TestAGridIsDrawnInACommunityOnly(t *testing.T) {
	// no rule lets a street bear twelve digits; should a log hold one all the same, it gets no grids
	tree := new(Tree).With(UnitOpened{Code: "150105003009", Name: "x", Kind: Street})
	got, err := DecideGrids(GridsState{}, DrawGrid{Grid: "150105003009001", Name: "x"}, tree, day)
	outcome(t, got, err, nil, "guard_failed I8")
}

func TestForeignEventsChangeNothing(t *testing.T) {
	unit := FoldUnit(UnitState{}, opening("150105004"))
	if got := FoldUnit(unit, strange{}); !reflect.DeepEqual(got, unit) {
		t.Errorf("got %+v, want %+v", got, unit)
	}
	grids := FoldGrids(GridsState{}, GridDrawn{Grid: "150105003001001"}, day)
	if got := FoldGrids(grids, strange{}, day); !reflect.DeepEqual(got, grids) {
		t.Errorf("got %+v, want %+v", got, grids)
	}
}

// A decision that lost a race was folded for nothing: what it would have led to leaves no trace.
func TestOneStateCanGoTwoWays(t *testing.T) {
	s := GridsState{}
	for _, g := range []GridCode{"150105003001001", "150105003001002", "150105003001003"} {
		s = FoldGrids(s, GridDrawn{Grid: g}, day)
	}
	one := FoldGrids(s, GridDrawn{Grid: "150105003001004"}, day)
	other := FoldGrids(s, GridDrawn{Grid: "150105003001005"}, day)
	if a, b := one.Grids[3].Drawn.Grid, other.Grids[3].Drawn.Grid; a != "150105003001004" || b != "150105003001005" || len(s.Grids) != 3 {
		t.Errorf("got %s and %s from %d grids, want 004 and 005 from 3", a, b, len(s.Grids))
	}
}

func TestAWorkerServesInOneWayAtATime(t *testing.T) {
	const g = GridCode("150105003001001")
	s := GridsState{}
	for _, e := range []Event{
		GridDrawn{Grid: g},
		GridWorkerAppointed{g, "w1", DutyAssistant, false},
		GridWorkerAppointed{g, "w2", DutyAssistant, true},
		ActingWorkerAppointed{g, "w1"},
		GridWorkerAppointed{g, "w2", DutyLead, true},
	} {
		s = FoldGrids(s, e, day)
	}
	got, _ := s.Grid(g)
	want := GridState{Drawn: GridDrawn{Grid: g}, Lead: "w2", Assistants: []Assistant{{"w1", false}}}
	if got.Lead != want.Lead || got.Acting != "" || !reflect.DeepEqual(got.Assistants, want.Assistants) || len(got.Relieved) > 0 {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSizeIsWarnedAboutForUrbanGridsOnly(t *testing.T) {
	band := DefaultSizeBand()
	for _, c := range []struct {
		urban      bool
		households int
		warned     bool
	}{
		{true, 199, true}, {true, 200, false}, {true, 300, false}, {true, 400, false}, {true, 401, true}, {true, 0, true},
		{false, 0, false}, {false, 150, false}, {false, 900, false},
	} {
		zh, en := SizeWarning(band, c.urban, c.households)
		if (zh != "") != c.warned || (en != "") != c.warned {
			t.Errorf("urban %v, %d households: got %q, %q, want a warning: %v", c.urban, c.households, zh, en, c.warned)
		}
	}
	if zh, _ := SizeWarning(SizeBand{100, 150}, true, 200); !strings.Contains(zh, "100 至 150") {
		t.Errorf("another band: got %q, want it to name 100 至 150", zh)
	}
}

// TestRuralLeadsHoldSeveralGrids plays the county where 57 full-time workers lead the grids of 103 villages.
func TestRuralLeadsHoldSeveralGrids(t *testing.T) {
	register := new(Register)
	register.Apply(
		UnitOpened{Code: "150100", Name: "市", Kind: City},
		UnitOpened{Code: "150124", Name: "清水河县", Kind: District, Parent: "150100"},
		UnitOpened{Code: "150124100", Name: "镇", Kind: Street, Parent: "150124"})
	leads := map[string]int{}
	for i := range 103 {
		community := UnitCode(fmt.Sprintf("150124100%03d", 200+i))
		opened, err := DecideUnit(UnitState{}, OpenUnit{Code: community, Name: "村", Kind: Community, Parent: "150124100"}, register.Tree(), day)
		if err != nil {
			t.Fatal(err)
		}
		register.Apply(opened...)
		grid, s := GridCode(community+"001"), GridsState{}
		for _, c := range []GridsCommand{
			DrawGrid{Grid: grid, Name: "网格", Households: 150},
			AppointGridWorker{Grid: grid, Worker: fmt.Sprint("lead-", i%57), Duty: DutyLead, FullTime: true},
		} {
			events, err := DecideGrids(s, c, register.Tree(), day)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				s = FoldGrids(s, e, day)
			}
			register.Apply(events...)
		}
		info, known := register.Tree().Grid(grid)
		if !known || info.Lead == "" || info.Community != community {
			t.Fatalf("grid %s: got %+v %v, want it led", grid, info, known)
		}
		leads[info.Lead]++
	}
	if len(leads) != 57 {
		t.Errorf("got %d leads for 103 grids, want 57", len(leads))
	}
}

// Whatever is asked in whatever order: a grid has one lead at most, who is full-time and no assistant of it;
// codes are drawn once; a decided command decides nothing when asked again; folding never changes an
// earlier state; and the tree shows the same lead and cover as the stream.
func TestLawsOfGrids(t *testing.T) {
	base := new(Tree).With(saihan()...)
	rapid.Check(t, func(t *rapid.T) {
		grid := rapid.SampledFrom([]GridCode{"150105003002001", "150105003002002", "150105003002003"})
		worker := rapid.SampledFrom([]string{"w1", "w2", "w3", "w4"})
		command := rapid.Custom(func(t *rapid.T) GridsCommand {
			g, w := grid.Draw(t, "grid"), worker.Draw(t, "worker")
			return rapid.SampledFrom([]GridsCommand{
				AppointGridWorker{g, w, DutyLead, true},
				AppointActingWorker{g, w},
				RelieveGridWorker{g, w},
				AppointGridWorker{g, w, DutyAssistant, false},
				AppointGridWorker{g, w, DutyAssistant, true},
				DrawGrid{Grid: g, Name: "x", Households: 300},
				SetPartyGroups{g, []string{w}},
				RetireGrid{g},
			}).Draw(t, "command")
		})
		s, tree, times := GridsState{}, base, map[GridCode]int{}
		commands := rapid.SliceOfN(command, 1, 40).Draw(t, "commands")
		commands = slices.Insert(commands, 0, GridsCommand(DrawGrid{Grid: "150105003002001", Name: "x"}))
		for _, c := range commands {
			events, err := DecideGrids(s, c, tree, day)
			if err != nil {
				continue
			}
			before, remembered := s, fmt.Sprintf("%#v", s)
			for _, e := range events {
				s = FoldGrids(s, e, day)
				if d, ok := e.(GridDrawn); ok {
					times[d.Grid]++
				}
			}
			tree = tree.With(events...)
			if now := fmt.Sprintf("%#v", before); now != remembered {
				t.Fatalf("%#v changed the state before it: got %s, want %s", c, now, remembered)
			}
			if again, err := DecideGrids(s, c, tree, day); err != nil || len(again) > 0 {
				t.Fatalf("%#v asked again: got %v, %v, want nothing", c, again, err)
			}
		}
		for _, g := range s.Grids {
			info, _ := tree.Grid(g.Drawn.Grid)
			_, assists := g.assists(g.Lead)
			switch {
			case assists:
				t.Fatalf("%+v: the lead assists", g)
			case g.Lead != "" && g.Lead == g.Acting:
				t.Fatalf("%+v: the lead acts for themselves", g)
			case g.Retired && (g.Lead != "" || g.Acting != "" || len(g.Assistants) > 0):
				t.Fatalf("%+v: somebody serves on a retired grid", g)
			case times[g.Drawn.Grid] != 1:
				t.Fatalf("%s was drawn %d times", g.Drawn.Grid, times[g.Drawn.Grid])
			case info.Lead != g.Lead || info.Acting != g.Acting || info.Retired != g.Retired:
				t.Fatalf("the tree shows %+v, the stream says %+v", info, g)
			}
		}
	})
}
