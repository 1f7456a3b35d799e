package orgs

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// saihan is a small city: two districts with two departments each, three streets, agencies, communities and
// grids. Grid 001 has a lead, 002 a vacancy, 003 is retired.
func saihan() []Event {
	opened := func(code UnitCode, kind Kind, parent UnitCode) Event {
		return UnitOpened{Code: code, Name: "n" + string(code), Kind: kind, Parent: parent}
	}
	agency := func(code, street, department UnitCode) Event {
		return UnitOpened{Code: code, Name: "n" + string(code), Kind: Agency, Parent: street, Department: department}
	}
	return []Event{
		opened("150100", City, ""),
		opened("150100-b01", Bureau, "150100"),
		opened("150100-h01", Hotline, "150100"),
		opened("150100-o01", Oversight, "150100"),
		opened("150104", District, "150100"),
		opened("150104-d01", Department, "150104"),
		opened("150104002", Street, "150104"),
		opened("150105", District, "150100"),
		opened("150105-d01", Department, "150105"),
		opened("150105-d02", Department, "150105"),
		opened("150105-h01", Hotline, "150105"),
		opened("150105-o01", Oversight, "150105"),
		opened("150105003", Street, "150105"),
		opened("150105003-o01", Oversight, "150105003"),
		agency("150105003-a01", "150105003", "150105-d01"),
		agency("150105003-a02", "150105003", "150105-d02"),
		opened("150105004", Street, "150105"),
		agency("150105004-a01", "150105004", "150105-d01"),
		opened("150105003001", Community, "150105003"),
		opened("150105003002", Community, "150105003"),
		opened("150105003001-p01", Property, "150105003001"),
		UnitOpened{Code: "150105003-t01", Name: "nt", Kind: JointTeam, Parent: "150105003", Members: []UnitCode{"150105003-a01"}},
		GridDrawn{Grid: "150105003001001", Name: "第一网格", Households: 300, Buildings: 5, Stairwells: 20, Urban: true},
		GridDrawn{Grid: "150105003001002", Name: "第二网格", Households: 310, Buildings: 5, Stairwells: 20, Urban: true},
		GridDrawn{Grid: "150105003001003", Name: "第三网格", Households: 290, Buildings: 5, Stairwells: 20, Urban: true},
		GridWorkerAppointed{Grid: "150105003001001", Worker: "w1", Duty: DutyLead, FullTime: true},
		GridRetired{Grid: "150105003001003"},
	}
}

// opening returns the event with which a unit of [saihan] opened.
func opening(code UnitCode) Event {
	for _, e := range saihan() {
		if o, ok := e.(UnitOpened); ok && o.Code == code {
			return o
		}
	}
	panic("no unit " + code)
}

func given(events ...Event) []Event { return events }
func then(events ...Event) []Event  { return events }

// outcome compares what was decided with the wanted events, or with the rule of a wanted refusal as "code rule".
func outcome(t *testing.T, got []Event, err error, want []Event, refused string) {
	t.Helper()
	if refused != "" {
		var r *Refusal
		if !errors.As(err, &r) || r.Code+" "+r.Rule != refused {
			t.Fatalf("got %v, %v, want a refusal %s", got, err, refused)
		}
		if r.Zh == "" || r.En == "" || len(got) > 0 {
			t.Errorf("got %v with %+v, want no event and both languages", got, r)
		}
		return
	}
	if err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestUnits(t *testing.T) {
	tree := new(Tree).With(saihan()...)
	street := UnitOpened{Code: "150105005", Name: "中专路街道", Kind: Street, Parent: "150105"}
	agency := UnitOpened{Code: "150105004-a02", Name: "派出所", Kind: Agency, Parent: "150105004", Department: "150105-d02"}
	team := UnitOpened{Code: "150105003-t02", Name: "综合执法队", Kind: JointTeam, Parent: "150105003",
		Members: []UnitCode{"150105003-a01", "150105003-a02"}}
	closed := UnitClosed{Code: street.Code, Successor: "150105004"}
	open := func(code UnitCode, kind Kind, parent UnitCode) OpenUnit {
		return OpenUnit{Code: code, Name: "x", Kind: kind, Parent: parent}
	}
	named := func(name string) OpenUnit {
		return OpenUnit{Code: "150105005", Name: name, Kind: Street, Parent: "150105"}
	}
	joint := func(members ...UnitCode) OpenUnit {
		return OpenUnit{Code: "150105003-t02", Name: "综合执法队", Kind: JointTeam, Parent: "150105003", Members: members}
	}
	opens := func(c OpenUnit) []Event { return then(UnitOpened(c)) }
	city, district := open("150200", City, ""), open("150121", District, "150100")
	bureau, utility := open("150100-b02", Bureau, "150100"), open("150100-u01", Utility, "150100")
	department, hotline := open("150105-d03", Department, "150105"), open("150105-h02", Hotline, "150105")
	community, centre := open("150105004001", Community, "150105004"), open("150105003001-c01", Centre, "150105003001")
	property, social := open("150105003-p-1", Property, "150105003"), open("150105003001-s01", SocialOrg, "150105003001")
	errands, oversight := open("150105003002-v01", Team, "150105003002"), open("150105003001-o01", Oversight, "150105003001")

	for _, c := range []struct {
		name    string
		given   []Event
		when    UnitCommand
		then    []Event
		refused string
	}{
		{"a street opens in its district", given(), OpenUnit(street), then(street), ""},
		{"an agency opens in its street, dispatched by the district's department", given(), OpenUnit(agency), then(agency), ""},
		{"a joint team opens with its members in code order, each once", given(),
			joint("150105003-a02", "150105003-a01", "150105003-a02"), then(team), ""},
		{"a city opens at the top", given(), city, opens(city), ""},
		{"a district opens in its city", given(), district, opens(district), ""},
		{"a bureau opens in its city", given(), bureau, opens(bureau), ""},
		{"a utility may serve the whole city", given(), utility, opens(utility), ""},
		{"a department opens in its district", given(), department, opens(department), ""},
		{"a hotline opens in a district", given(), hotline, opens(hotline), ""},
		{"a community opens in its street", given(), community, opens(community), ""},
		{"a mediation centre may sit in a village", given(), centre, opens(centre), ""},
		{"a property firm sits in a street, and its short name may have a hyphen", given(), property, opens(property), ""},
		{"a social organisation may sit in a community", given(), social, opens(social), ""},
		{"an errand team may sit in a community", given(), errands, opens(errands), ""},
		{"a community may have an oversight unit of its own", given(), oversight, opens(oversight), ""},

		{"opening twice decides nothing", given(street), OpenUnit(street), then(), ""},
		{"opening twice decides nothing, also after a new name",
			given(street, UnitRenamed{Code: street.Code, Name: "x"}), OpenUnit(street), then(), ""},
		{"opening a joint team twice decides nothing, whatever the order of its members",
			given(team), joint("150105003-a02", "150105003-a01"), then(), ""},
		{"a code in use is not given to another unit", given(street), named("别的街道"), nil, "guard_failed I17"},
		{"the code of a closed unit is never given again", given(street, closed), OpenUnit(street), nil, "guard_failed I17"},

		{"an unknown kind is refused", given(), open("150105-x01", "ministry", "150105"), nil, "guard_failed C2"},
		{"a grid is not opened as a unit", given(), open("150105003001004", Grid, "150105003001"), nil, "guard_failed I8"},
		{"a city has no parent", given(), open("150200", City, "150100"), nil, "guard_failed C2"},
		{"a street needs a parent", given(), open("150105005", Street, ""), nil, "guard_failed C2"},
		{"a parent must exist", given(), open("150106001", Street, "150106"), nil, "guard_failed C2"},
		{"a community does not open in a district", given(), open("150105003003", Community, "150105"), nil, "guard_failed C2"},
		{"a street does not open in a city", given(), open("150100001", Street, "150100"), nil, "guard_failed C2"},
		{"an agency does not open in a district", given(), open("150105-a01", Agency, "150105"), nil, "guard_failed C2"},
		{"a community does not open in a grid", given(), open("150105003001", Community, "150105003001001"), nil, "guard_failed C2"},

		{"a city's code ends in zeros", given(), open("150101", City, ""), nil, "guard_failed I17"},
		{"a district's code begins with its city's", given(), open("150205", District, "150100"), nil, "guard_failed I17"},
		{"a district's code is not a city's", given(), open("150100", District, "150100"), nil, "guard_failed I17"},
		{"a street's code begins with its district's", given(), open("150104005", Street, "150105"), nil, "guard_failed I17"},
		{"a street's code has nine digits", given(), open("15010500", Street, "150105"), nil, "guard_failed I17"},
		{"a street's code is all digits", given(), open("150105-01", Street, "150105"), nil, "guard_failed I17"},
		{"a community's code begins with its street's", given(), open("150105004001", Community, "150105003"), nil, "guard_failed I17"},
		{"a community's code has twelve digits", given(), open("1501050030", Community, "150105003"), nil, "guard_failed I17"},
		{"another body's code begins with its host's", given(), open("150104-d09", Department, "150105"), nil, "guard_failed I17"},
		{"another body's code is more than its host's", given(), open("150105-", Department, "150105"), nil, "guard_failed I17"},
		{"another body's short name does not end with a hyphen", given(), open("150105-d-", Department, "150105"), nil, "guard_failed I17"},
		{"a code is lower case", given(), open("150105-D09", Department, "150105"), nil, "guard_failed I17"},
		{"a code has forty characters at most", given(), open(UnitCode("150105-"+strings.Repeat("d", 34)), Department, "150105"), nil, "guard_failed I17"},

		{"a unit needs a name", given(), named(""), nil, "guard_failed I17"},
		{"a name does not begin with a space", given(), named(" 街道"), nil, "guard_failed I17"},
		{"a name has no line breaks", given(), named("街\n道"), nil, "guard_failed I17"},
		{"a name is text", given(), named("\xff"), nil, "guard_failed I17"},
		{"a name has a hundred characters at most", given(), named(strings.Repeat("街", 101)), nil, "guard_failed I17"},
		{"a name of a hundred characters is allowed", given(), named(strings.Repeat("街", 100)), opens(named(strings.Repeat("街", 100))), ""},

		{"an agency needs its department", given(), open("150105004-a02", Agency, "150105004"), nil, "guard_failed C4"},
		{"an agency's department is a department", given(),
			OpenUnit{Code: "150105004-a02", Name: "x", Kind: Agency, Parent: "150105004", Department: "150105-o01"}, nil, "guard_failed C4"},
		{"an agency's department is of the same district", given(),
			OpenUnit{Code: "150105004-a02", Name: "x", Kind: Agency, Parent: "150105004", Department: "150104-d01"}, nil, "guard_failed C4"},
		{"only an agency has a department", given(),
			OpenUnit{Code: "150105005", Name: "x", Kind: Street, Parent: "150105", Department: "150105-d01"}, nil, "guard_failed C4"},

		{"a joint team has members", given(), joint(), nil, "guard_failed C14"},
		{"a joint team's members exist", given(), joint("150105003-a09"), nil, "guard_failed C14"},
		{"a joint team's members are agencies", given(), joint("150105003-a01", "150105003001"), nil, "guard_failed C14"},
		{"a joint team's members are hosted where it works", given(), joint("150105004-a01"), nil, "guard_failed C14"},
		{"only a joint team has members", given(),
			OpenUnit{Code: "150105005", Name: "x", Kind: Street, Parent: "150105", Members: []UnitCode{"150105003-a01"}}, nil, "guard_failed C14"},

		{"a unit can be renamed", given(street), RenameUnit{street.Code, "新名"}, then(UnitRenamed{street.Code, "新名"}), ""},
		{"renaming twice decides nothing", given(street, UnitRenamed{street.Code, "新名"}), RenameUnit{street.Code, "新名"}, then(), ""},
		{"a new name is a name", given(street), RenameUnit{street.Code, ""}, nil, "guard_failed I17"},
		{"a closed unit keeps its name", given(street, closed), RenameUnit{street.Code, "新名"}, nil, "wrong_state M1"},
		{"what was never opened cannot be renamed", given(), RenameUnit{street.Code, "新名"}, nil, "wrong_state M1"},

		{"a joint team's members change", given(team), SetMembers{team.Code, []UnitCode{"150105003-a02"}},
			then(MembersSet{team.Code, []UnitCode{"150105003-a02"}}), ""},
		{"setting the same members decides nothing", given(team),
			SetMembers{team.Code, []UnitCode{"150105003-a02", "150105003-a01"}}, then(), ""},
		{"members change back", given(team, MembersSet{team.Code, []UnitCode{"150105003-a02"}}),
			SetMembers{team.Code, team.Members}, then(MembersSet{team.Code, team.Members}), ""},
		{"a joint team keeps a member", given(team), SetMembers{Code: team.Code}, nil, "guard_failed C14"},
		{"a new member is hosted where the team works", given(team), SetMembers{team.Code, []UnitCode{"150105004-a01"}}, nil, "guard_failed C14"},
		{"a street has no members", given(street), SetMembers{street.Code, []UnitCode{"150105003-a01"}}, nil, "guard_failed C14"},
		{"a closed joint team keeps its members", given(team, UnitClosed{Code: team.Code}),
			SetMembers{team.Code, []UnitCode{"150105003-a02"}}, nil, "wrong_state M1"},
		{"a joint team never opened has no members", given(), SetMembers{team.Code, team.Members}, nil, "wrong_state M1"},

		{"an empty street can be closed", given(street), CloseUnit{Code: street.Code}, then(UnitClosed{Code: street.Code}), ""},
		{"a street can be closed in favour of another", given(street), CloseUnit(closed), then(closed), ""},
		{"closing twice decides nothing", given(street, closed), CloseUnit(closed), then(), ""},
		{"a successor stays as recorded", given(street, closed), CloseUnit{Code: street.Code}, nil, "wrong_state M1"},
		{"what was never opened cannot be closed", given(), CloseUnit{Code: street.Code}, nil, "wrong_state M1"},
		{"a successor exists", given(street), CloseUnit{street.Code, "150105009"}, nil, "guard_failed I17"},
		{"a successor is of the same kind", given(street), CloseUnit{street.Code, "150105003001"}, nil, "guard_failed I17"},
		{"nothing succeeds itself", given(opening("150105003002")), CloseUnit{"150105003002", "150105003002"}, nil, "guard_failed I17"},
		{"a street with communities stays open", given(opening("150105003")), CloseUnit{Code: "150105003"}, nil, "guard_failed I17"},
		{"a community with an active grid stays open", given(opening("150105003001")), CloseUnit{Code: "150105003001"}, nil, "guard_failed I17"},
		{"a community without grids can be closed", given(opening("150105003002")), CloseUnit{"150105003002", "150105003001"},
			then(UnitClosed{"150105003002", "150105003001"}), ""},
		{"a department with an open agency stays open", given(opening("150105-d02")), CloseUnit{Code: "150105-d02"}, nil, "guard_failed I17"},
		{"a member of an open joint team stays open", given(opening("150105003-a01")), CloseUnit{Code: "150105003-a01"}, nil, "guard_failed I17"},
		{"an agency that is no member can be closed", given(opening("150105003-a02")), CloseUnit{Code: "150105003-a02"},
			then(UnitClosed{Code: "150105003-a02"}), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s UnitState
			for _, e := range c.given {
				s = FoldUnit(s, e)
			}
			got, err := DecideUnit(s, c.when, tree.With(c.given...), day) // what the stream says, the tree knows too
			outcome(t, got, err, c.then, c.refused)
		})
	}
}

func TestAClosedUnitTakesNothingNew(t *testing.T) {
	tree := new(Tree).With(saihan()...).With(
		UnitClosed{Code: "150105004"}, UnitClosed{Code: "150105-d02"}, UnitClosed{Code: "150105003-a02"}, UnitClosed{Code: "150105003002"})
	for _, c := range []struct {
		name    string
		when    UnitCommand
		refused string
	}{
		{"no community", OpenUnit{Code: "150105004001", Name: "x", Kind: Community, Parent: "150105004"}, "guard_failed C2"},
		{"no agency of a closed department", OpenUnit{Code: "150105003-a03", Name: "x", Kind: Agency, Parent: "150105003",
			Department: "150105-d02"}, "guard_failed C4"},
		{"no place in a joint team", OpenUnit{Code: "150105003-t02", Name: "x", Kind: JointTeam, Parent: "150105003",
			Members: []UnitCode{"150105003-a02"}}, "guard_failed C14"},
	} {
		got, err := DecideUnit(UnitState{}, c.when, tree, day)
		t.Run(c.name, func(t *testing.T) { outcome(t, got, err, nil, c.refused) })
	}
	t.Run("no succession", func(t *testing.T) {
		s := FoldUnit(UnitState{}, UnitOpened{Code: "150105005", Name: "x", Kind: Street, Parent: "150105"})
		got, err := DecideUnit(s, CloseUnit{"150105005", "150105004"}, tree, day)
		outcome(t, got, err, nil, "guard_failed I17")
	})
	t.Run("no grid", func(t *testing.T) {
		got, err := DecideGrids(GridsState{}, DrawGrid{Grid: "150105003002001", Name: "x"}, tree, day)
		outcome(t, got, err, nil, "guard_failed I8")
	})
}

func TestClosingWaitsForEverythingThatDependsOnTheUnit(t *testing.T) {
	tree := new(Tree).With(saihan()...)
	for _, step := range []struct {
		unit    UnitCode
		blocker string
	}{
		{"150105003001", "150105003001001"}, // the first active grid; the retired third one never blocks
		{"150105003", "150105003-a01"},
		{"150105-d01", "150105003-a01"},
		{"150105003-a01", "150105003-t01"},
	} {
		u, _ := tree.Unit(step.unit)
		s := FoldUnit(UnitState{}, UnitOpened{Code: u.Code, Name: u.Name, Kind: u.Kind, Parent: u.Parent, Department: u.Department})
		_, err := DecideUnit(s, CloseUnit{Code: step.unit}, tree, day)
		if err == nil || !strings.Contains(err.Error(), step.blocker+" still depends on "+string(step.unit)) {
			t.Errorf("closing %s: got %v, want a refusal that names %s", step.unit, err, step.blocker)
		}
	}
	tree = tree.With(GridRetired{Grid: "150105003001001"}, GridRetired{Grid: "150105003001002"}, UnitClosed{Code: "150105003001-p01"})
	s := FoldUnit(UnitState{}, opening("150105003001"))
	got, err := DecideUnit(s, CloseUnit{Code: "150105003001"}, tree, day)
	outcome(t, got, err, then(UnitClosed{Code: "150105003001"}), "")
}

func TestACommandForAnotherUnitIsAFaultAndNoRefusal(t *testing.T) {
	tree := new(Tree).With(saihan()...)
	s := FoldUnit(UnitState{}, UnitOpened{Code: "150105004", Name: "x", Kind: Street, Parent: "150105"})
	var refusal *Refusal
	if got, err := DecideUnit(s, RenameUnit{"150105003", "y"}, tree, day); err == nil || errors.As(err, &refusal) || got != nil {
		t.Errorf("got %v, %v, want a plain error", got, err)
	}
	g := FoldGrids(GridsState{}, GridDrawn{Grid: "150105003001001"}, day)
	if got, err := DecideGrids(g, RetireGrid{"150105003002001"}, tree, day); err == nil || errors.As(err, &refusal) || got != nil {
		t.Errorf("got %v, %v, want a plain error", got, err)
	}
}

func TestDecidingLeavesTheCommandAlone(t *testing.T) {
	members := []UnitCode{"150105003-a02", "150105003-a01"}
	asked := slices.Clone(members)
	_, err := DecideUnit(UnitState{}, OpenUnit{Code: "150105003-t02", Name: "x", Kind: JointTeam, Parent: "150105003",
		Members: members}, new(Tree).With(saihan()...), day)
	if err != nil || !slices.Equal(members, asked) {
		t.Errorf("got %v, %v, want %v as asked", members, err, asked)
	}
}

// The stored form is frozen: name, fields, their order.
func TestStoredFormOfEvents(t *testing.T) {
	for _, c := range []struct {
		event Event
		name  string
		data  string
	}{
		{UnitOpened{"150105003-t01", "队", JointTeam, "150105003", "", []UnitCode{"150105003-a01"}}, "unit-opened/1",
			`{"code":"150105003-t01","name":"队","kind":"joint_team","parent":"150105003","department":"","members":["150105003-a01"]}`},
		{UnitOpened{Code: "150100", Name: "市", Kind: City}, "unit-opened/1",
			`{"code":"150100","name":"市","kind":"city","parent":"","department":""}`},
		{UnitRenamed{"150100", "市"}, "unit-renamed/1", `{"code":"150100","name":"市"}`},
		{MembersSet{"150105003-t01", []UnitCode{"150105003-a01"}}, "unit-members-set/1",
			`{"code":"150105003-t01","members":["150105003-a01"]}`},
		{UnitClosed{"150105004", "150105003"}, "unit-closed/1", `{"code":"150105004","successor":"150105003"}`},
		{GridDrawn{"150105003001001", "格", 300, 5, 20, true}, "grid-drawn/1",
			`{"grid":"150105003001001","name":"格","households":300,"buildings":5,"stairwells":20,"urban":true}`},
		{GridRetired{"150105003001001"}, "grid-retired/1", `{"grid":"150105003001001"}`},
		{GridWorkerAppointed{"150105003001001", "w1", DutyLead, true}, "grid-worker-appointed/1",
			`{"grid":"150105003001001","worker":"w1","duty":"lead","full_time":true}`},
		{GridWorkerRelieved{"150105003001001", "w1"}, "grid-worker-relieved/1", `{"grid":"150105003001001","worker":"w1"}`},
		{ActingWorkerAppointed{"150105003001001", "w1"}, "acting-worker-appointed/1", `{"grid":"150105003001001","worker":"w1"}`},
		{PartyGroupsSet{"150105003001001", []string{"p1", "p2"}}, "grid-party-groups-set/1", `{"grid":"150105003001001","groups":["p1","p2"]}`},
	} {
		data, err := json.Marshal(c.event)
		if err != nil || string(data) != c.data || c.event.EventType() != c.name {
			t.Errorf("%T: got %s %s, %v, want %s %s", c.event, c.event.EventType(), data, err, c.name, c.data)
		}
		back := reflect.New(reflect.TypeOf(c.event))
		if err := json.Unmarshal(data, back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), c.event) {
			t.Errorf("%s read back: got %+v, %v, want %+v", c.name, back.Elem(), err, c.event)
		}
	}
}
