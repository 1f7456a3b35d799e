package rule

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
)

// units has one unit of each kind in one street, and some beside it.
func units() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: "150100", Kind: orgs.City},
		orgs.UnitOpened{Code: "150100-b01", Kind: orgs.Bureau, Parent: "150100"},
		orgs.UnitOpened{Code: "150100-h01", Kind: orgs.Hotline, Parent: "150100"},
		orgs.UnitOpened{Code: "150105", Kind: orgs.District, Parent: "150100"},
		orgs.UnitOpened{Code: "150105-d01", Kind: orgs.Department, Parent: "150105"},
		orgs.UnitOpened{Code: "150105-u01", Kind: orgs.Utility, Parent: "150105"},
		orgs.UnitOpened{Code: "150105-h01", Kind: orgs.Hotline, Parent: "150105"},
		orgs.UnitOpened{Code: "150105-o01", Kind: orgs.Oversight, Parent: "150105"},
		orgs.UnitOpened{Code: "150105003", Kind: orgs.Street, Parent: "150105"},
		orgs.UnitOpened{Code: "150105003-a01", Kind: orgs.Agency, Parent: "150105003", Department: "150105-d01"},
		orgs.UnitOpened{Code: "150105003-j01", Kind: orgs.JointTeam, Parent: "150105003", Members: []orgs.UnitCode{"150105003-a01"}},
		orgs.UnitOpened{Code: "150105003-p01", Kind: orgs.Property, Parent: "150105003"},
		orgs.UnitOpened{Code: "150105003-s01", Kind: orgs.SocialOrg, Parent: "150105003"},
		orgs.UnitOpened{Code: "150105003-t01", Kind: orgs.Team, Parent: "150105003"},
		orgs.UnitOpened{Code: "150105003-c01", Kind: orgs.Centre, Parent: "150105003"},
		orgs.UnitOpened{Code: "150105003-x01", Kind: orgs.Team, Parent: "150105003"},
		orgs.UnitClosed{Code: "150105003-x01"},
		orgs.UnitOpened{Code: "150105003001", Kind: orgs.Community, Parent: "150105003"},
		orgs.GridDrawn{Grid: "150105003001001"},
		orgs.UnitOpened{Code: "150105003002", Kind: orgs.Community, Parent: "150105003"},
		orgs.GridDrawn{Grid: "150105003002001"},
		orgs.UnitOpened{Code: "150105004", Kind: orgs.Street, Parent: "150105"},
		orgs.UnitOpened{Code: "150105004-a01", Kind: orgs.Agency, Parent: "150105004", Department: "150105-d01"},
		orgs.UnitOpened{Code: "150105004001", Kind: orgs.Community, Parent: "150105004"},
		orgs.UnitOpened{Code: "150102", Kind: orgs.District, Parent: "150100"},
		orgs.UnitOpened{Code: "150102-d01", Kind: orgs.Department, Parent: "150102"},
	)
}

func acting(r orgs.Role, u orgs.UnitCode) At {
	return At{Stamp: Stamp{Actor: Actor{ID: "k", Role: r, Unit: u}}, Units: units()}
}

// O1, row by row: whoever dispatches does so to these and to no other unit of the town.
func TestWhoMayDispatchToWhom(t *testing.T) {
	everywhere := []orgs.UnitCode{"150105003001001", "150105003002001"}
	for u := range units().All() {
		everywhere = append(everywhere, u.Code)
	}
	for _, tt := range []struct {
		role orgs.Role
		unit orgs.UnitCode
		may  []orgs.UnitCode
	}{
		{orgs.Clerk, "150105003001", []orgs.UnitCode{"150105003001001"}},
		{orgs.CommunitySecretary, "150105003002", []orgs.UnitCode{"150105003002001"}},
		{orgs.Clerk, "150105003", nil},
		{orgs.Dispatcher, "150105003", []orgs.UnitCode{"150105003001001", "150105003002001", "150105003001", "150105003002",
			"150105003-a01", "150105003-j01", "150105003-p01", "150105003-s01", "150105003-t01"}},
		{orgs.Dispatcher, "150105004", []orgs.UnitCode{"150105004-a01", "150105004001"}},
		{orgs.Dispatcher, "150105", []orgs.UnitCode{"150105-d01", "150105-u01"}},
		{orgs.Dispatcher, "150100", []orgs.UnitCode{"150100-b01", "150105", "150102"}},
		{orgs.Dispatcher, "150105003001", nil},
		{orgs.StreetLeader, "150105003", nil},
		{orgs.GridWorker, "150105003001001", nil},
		{orgs.Resident, "", nil},
		{orgs.Handler, "150105-d01", nil},
	} {
		at := acting(tt.role, tt.unit)
		for _, lead := range everywhere {
			r := MayDispatch(at, lead)
			if may := slices.Contains(tt.may, lead); may != (r == nil) {
				t.Errorf("%s of %q to %s: got %v, want %v", tt.role, tt.unit, lead, r, may)
			}
			if r != nil && (r.Rule != "O1" || r.Detail.Zh == "" || r.Detail.En == "") {
				t.Errorf("%s of %q to %s: %+v", tt.role, tt.unit, lead, r)
			}
		}
	}
	for _, lead := range everywhere {
		if r := MayDispatch(acting(orgs.System, ""), lead); (r != nil) != (lead == "150105003-x01") {
			t.Errorf("the process manager to %s: got %v", lead, r)
		}
	}
}

func TestWhyADispatchIsRefused(t *testing.T) {
	for _, tt := range []struct {
		role       orgs.Role
		unit, lead orgs.UnitCode
		code       Code
	}{
		{orgs.Dispatcher, "150105003", "150199", GuardFailed},
		{orgs.System, "", "150199", GuardFailed},
		{orgs.Dispatcher, "150105003", "150105003-x01", GuardFailed},
		{orgs.Resident, "", "150105003-a01", RoleMissing},
		{orgs.Dispatcher, "150105003", "150105-d01", GuardFailed},
		{orgs.Dispatcher, "150105003", "150105004-a01", OutsideJuris},
		{orgs.Clerk, "150105003001", "150105003002001", OutsideJuris},
		{orgs.Dispatcher, "150105", "150102-d01", OutsideJuris},
	} {
		if r := MayDispatch(acting(tt.role, tt.unit), tt.lead); r == nil || r.Code != tt.code {
			t.Errorf("%s of %q to %s: got %v, want %s", tt.role, tt.unit, tt.lead, r, tt.code)
		}
	}
}

// asked is a gate that forbids everything and remembers what it was asked.
type asked struct{ questions []string }

func (a *asked) Check(target orgs.Unit, matter string, lead bool, on calendar.Date) *Block {
	role := "assist"
	if lead {
		role = "lead"
	}
	a.questions = append(a.questions, strings.Join([]string{string(target.Code), matter, role, on.String()}, " "))
	return &Block{List: "negative", Version: 7, Row: "heating"}
}

// pass is a gate that forbids nothing.
type pass struct{}

func (pass) Check(orgs.Unit, string, bool, calendar.Date) *Block { return nil }

// I7: every dispatch to a grid, a community or a street passes the gate, as of the local date.
func TestTheGateIsAskedForGridsCommunitiesAndStreets(t *testing.T) {
	for u := range units().All() {
		gate := &asked{}
		at := acting(orgs.System, "")
		at.Gate, at.Recorded = gate, time.Date(2026, 3, 2, 16, 30, 0, 0, time.UTC) // 00:30 on the 3rd in the city
		r := PassGate(at, u.Code, "heating", true)
		guarded := u.Kind == orgs.Community || u.Kind == orgs.Street
		if guarded != (r != nil) || guarded != (len(gate.questions) == 1) {
			t.Errorf("%s, a %s: got %v, asked %v", u.Code, u.Kind, r, gate.questions)
		}
	}
	gate := &asked{}
	at := acting(orgs.System, "")
	at.Gate, at.Recorded = gate, time.Date(2026, 3, 2, 16, 30, 0, 0, time.UTC)
	r := PassGate(at, "150105003001001", "heating", false)
	if r == nil || r.Code != GateBlocked || r.Rule != "I7" || !strings.Contains(r.Detail.En, "may not assist in matter heating: negative, version 7; heating") || !strings.Contains(r.Detail.Zh, "协办事项 heating：negative，第 7 版") {
		t.Errorf("got %v", r)
	}
	if b := r.Block; b == nil || b.Unit != "150105003001001" || b.Target != b.Unit || b.Matter != "heating" || b.Lead || b.List != "negative" {
		t.Errorf("the refusal carries %+v", r.Block)
	}
	if w := (Block{Named: Say("清单", "list"), Lead: true, Row: "条目", Basis: "第八条", Instead: "窗口"}).words(); !strings.HasSuffix(w.Zh, "条目；依据：第八条；请到：窗口") || !strings.HasSuffix(w.En, "条目; basis: 第八条; go to: 窗口") {
		t.Errorf("got %q, %q, want row, basis and where to go", w.Zh, w.En)
	}
	if want := []string{"150105003001001 heating assist 2026-03-03"}; !slices.Equal(gate.questions, want) {
		t.Errorf("asked %q, want %q", gate.questions, want)
	}
	if r := PassGate(at, "150199", "heating", true); r != nil {
		t.Errorf("a unit nobody knows: got %v", r)
	}
	at.Gate = pass{}
	if r := PassGate(at, "150105003001", "heating", true); r != nil {
		t.Errorf("a list that allows it: got %v", r)
	}
	at.Gate = nil
	if r := PassGate(at, "150105003001", "heating", true); r != nil {
		t.Errorf("no list in force: got %v", r)
	}
}

func TestRightsReachTheOwnSubtree(t *testing.T) {
	for _, tt := range []struct {
		role       orgs.Role
		unit       orgs.UnitCode
		seat, item orgs.UnitCode
		reaches    bool
	}{
		{orgs.Clerk, "150105003001", "150105003001", "150105003001", true},
		{orgs.Clerk, "150105003001", "150105003001", "150105003001001", true},
		{orgs.Clerk, "150105003001", "150105003001", "150105003002", false},
		{orgs.Clerk, "150105003001", "150105003001", "150105003", false},
		{orgs.Dispatcher, "150105003", "150105003", "150105003-a01", true},
		{orgs.Handler, "150105-d01", "150105-d01", "150105003-a01", false}, // the department is not above its agency
		{orgs.CallbackAgent, "150105-h01", "150105", "150105003001", true},
		{orgs.CallbackAgent, "150105-h01", "150105", "150102", false},
		{orgs.CallbackAgent, "150100-h01", "150100", "150102", true},
		{orgs.Verifier, "150105-o01", "150105", "150105004001", true},
		{orgs.Clerk, "150199", "150199", "150105003001", false},
		{orgs.Resident, "", "", "150105003001", false},
		{orgs.System, "", "", "150105003001", true},
		{orgs.System, "", "", "150199", true},
	} {
		at := acting(tt.role, tt.unit)
		if got := Seat(at.Units, at.Actor); got != tt.seat {
			t.Errorf("%s of %q: seat %q, want %q", tt.role, tt.unit, got, tt.seat)
		}
		r := Reaches(at, tt.item, "D2")
		if (r == nil) != tt.reaches || r != nil && (r.Code != OutsideJuris || r.Rule != "D2") {
			t.Errorf("%s of %q, %s: got %v, want %v", tt.role, tt.unit, tt.item, r, tt.reaches)
		}
	}
}

// I2: not the handling unit, not its subtree, not the parent department of a handling agency.
func TestWhoHandledItDoesNotJudgeIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		unit   orgs.UnitCode
		bodies []orgs.UnitCode
		same   bool
	}{
		{"nobody handled it", "150105003001", nil, false},
		{"the handling unit", "150105003-a01", []orgs.UnitCode{"150105003-a01"}, true},
		{"one of its subtree", "150105003001001", []orgs.UnitCode{"150105003001"}, true},
		{"the department of the handling agency", "150105-d01", []orgs.UnitCode{"150105003-a01"}, true},
		{"the street of the handling community", "150105003", []orgs.UnitCode{"150105003001"}, false},
		{"a sister of the handling unit", "150105003002", []orgs.UnitCode{"150105003001"}, false},
		{"the district's hotline", "150105-h01", []orgs.UnitCode{"150105003-a01", "150105003001001"}, false},
		{"the hotline, where the district itself handled it", "150105-h01", []orgs.UnitCode{"150105"}, true},
		{"any of several", "150105003002", []orgs.UnitCode{"150105003001", "150105003002001", "150105003002"}, true},
	} {
		r := Independent(acting(orgs.CallbackAgent, tt.unit), tt.bodies, "D15")
		if (r != nil) != tt.same || r != nil && (r.Code != SameUnit || r.Rule != "D15") {
			t.Errorf("%s: got %v, want %v", tt.name, r, tt.same)
		}
	}
}
