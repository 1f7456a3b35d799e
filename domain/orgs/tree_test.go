package orgs

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestTree(t *testing.T) {
	tree := new(Tree).With(saihan()...)
	t.Run("paths begin at the top and end with a slash", func(t *testing.T) {
		for code, want := range map[UnitCode]string{
			"150100":          "/150100/",
			"150105-d01":      "/150100/150105/150105-d01/",
			"150105003-a01":   "/150100/150105/150105003/150105003-a01/",
			"150105003001001": "/150100/150105/150105003/150105003001/150105003001001/",
			"150199":          "",
		} {
			if got := tree.Path(code); got != want {
				t.Errorf("Path(%s): got %q, want %q", code, got, want)
			}
		}
	})
	t.Run("within is a matter of where a unit sits", func(t *testing.T) {
		for _, c := range []struct {
			inner, outer UnitCode
			want         bool
		}{
			{"150105003001001", "150105003001", true},
			{"150105003001001", "150100", true},
			{"150105003", "150105003", true},
			{"150105003", "150105003001", false},
			{"150105003", "150105004", false},
			{"150105003-a01", "150105003", true},
			{"150105003-a01", "150105-d01", false}, // dispatched by it, hosted elsewhere
			{"150105003", "15010500", false},       // half a code is no unit
			{"150105009", "150105009", false},      // unknown
			{"150105009", "150105", false},
			{"", "", false},
		} {
			if got := tree.Within(c.inner, c.outer); got != c.want {
				t.Errorf("Within(%q, %q): got %v, want %v", c.inner, c.outer, got, c.want)
			}
		}
	})
	t.Run("levels are a unit's own or its host's", func(t *testing.T) {
		for code, want := range map[UnitCode]Level{
			"150105003001001": 1, "150105003001": 2, "150105003001-p01": 2, "150105003": 3, "150105003-a01": 3,
			"150105003-t01": 3, "150105-d01": 4, "150105-h01": 4, "150100": 5, "150100-b01": 5, "150100-o01": 5, "150199": 0,
		} {
			u, _ := tree.Unit(code)
			if got := tree.Level(code); got != want || u.Level != want {
				t.Errorf("Level(%s): got %d and %d in the unit, want %d", code, got, u.Level, want)
			}
		}
	})
	t.Run("ancestors and parents", func(t *testing.T) {
		for _, c := range []struct {
			code UnitCode
			kind Kind
			want UnitCode
		}{
			{"150105003001001", Street, "150105003"}, {"150105003001001", Grid, "150105003001001"},
			{"150105003-a01", District, "150105"}, {"150105003-a01", Department, ""}, {"150100", District, ""}, {"150199", City, ""},
		} {
			if got, found := tree.Ancestor(c.code, c.kind); got != c.want || found != (c.want != "") {
				t.Errorf("Ancestor(%s, %s): got %q %v, want %q", c.code, c.kind, got, found, c.want)
			}
		}
		for code, want := range map[UnitCode]UnitCode{
			"150105003001001": "150105003001", "150105003-a01": "150105003", "150100": "", "150199": "",
		} {
			if got, found := tree.Parent(code); got != want || found != (want != "") {
				t.Errorf("Parent(%s): got %q %v, want %q", code, got, found, want)
			}
		}
	})
	t.Run("children and grids are listed apart, in code order", func(t *testing.T) {
		want := []UnitCode{"150105003-a01", "150105003-a02", "150105003-o01", "150105003-t01", "150105003001", "150105003002"}
		if got := tree.Children("150105003"); !slices.Equal(got, want) {
			t.Errorf("Children: got %v, want %v", got, want)
		}
		if got := tree.Children("150105003001"); !slices.Equal(got, []UnitCode{"150105003001-p01"}) {
			t.Errorf("Children of a community: got %v, want its property firm only", got)
		}
		gs := tree.Grids("150105003001")
		if len(gs) != 3 || gs[0].Code != "150105003001001" || gs[0].Lead != "w1" || gs[1].Lead != "" || !gs[2].Retired {
			t.Errorf("Grids: got %+v, want one led, one vacant, one retired", gs)
		}
		if got := tree.Grids("150105003002"); got != nil {
			t.Errorf("Grids of a community without: got %v", got)
		}
	})
	t.Run("a grid is a unit too", func(t *testing.T) {
		u, known := tree.Unit("150105003001003")
		if !known || u.Kind != Grid || u.Parent != "150105003001" || u.Name != "第三网格" || !u.Closed {
			t.Errorf("got %+v %v, want a closed unit of kind grid", u, known)
		}
		if g, known := tree.Grid("150105003001001"); !known || g.Community != "150105003001" || g.Households != 300 ||
			g.Buildings != 5 || g.Stairwells != 20 || !g.Urban {
			t.Errorf("got %+v %v", g, known)
		}
		if g, known := tree.Grid("150105003001"); known {
			t.Errorf("a community as a grid: got %+v, want none", g)
		}
	})
	t.Run("all units in code order, no grids", func(t *testing.T) {
		codes := make([]UnitCode, 0, tree.Len())
		for u := range tree.All() {
			codes = append(codes, u.Code)
			if u.Kind == Grid {
				t.Errorf("got the grid %s", u.Code)
			}
		}
		if len(codes) != 22 || tree.Len() != 22 || !slices.IsSorted(codes) {
			t.Errorf("got %d units (Len %d), sorted %v; want 22, sorted", len(codes), tree.Len(), slices.IsSorted(codes))
		}
		for range tree.All() {
			break // a loop may end early
		}
	})
	t.Run("a lead's cover is visible until a lead comes or it ends", func(t *testing.T) {
		const g = GridCode("150105003001002")
		covered := tree.With(ActingWorkerAppointed{g, "w2"})
		ended := covered.With(GridWorkerRelieved{g, "w2"})
		filled := covered.With(GridWorkerAppointed{g, "w3", DutyLead, true})
		helped := tree.With(GridWorkerAppointed{g, "w4", DutyAssistant, true})
		left := filled.With(GridWorkerRelieved{g, "w3"})
		for _, c := range []struct {
			name         string
			tree         *Tree
			lead, acting string
		}{{"covered", covered, "", "w2"}, {"ended", ended, "", ""}, {"filled", filled, "w3", ""}, {"helped", helped, "", ""}, {"left", left, "", ""}} {
			if got, _ := c.tree.Grid(g); got.Lead != c.lead || got.Acting != c.acting {
				t.Errorf("%s: got lead %q acting %q, want %q %q", c.name, got.Lead, got.Acting, c.lead, c.acting)
			}
		}
	})
}

func TestWhoOverseesAndWhoCallsBack(t *testing.T) {
	tree := new(Tree).With(saihan()...)
	for _, c := range []struct {
		level Level
		near  UnitCode
		want  UnitCode
	}{
		{2, "150105003001001", "150105003-o01"}, // the community has none: one level up
		{3, "150105003001001", "150105003-o01"},
		{3, "150105003-a01", "150105003-o01"},
		{3, "150105004", "150105-o01"}, // this street has none
		{4, "150105003001", "150105-o01"},
		{5, "150105003001", "150100-o01"},
		{3, "150104002", "150100-o01"}, // nor has this district
		{1, "150100", "150100-o01"},
		{3, "150105009", ""},
	} {
		if got, found := tree.Oversight(c.level, c.near); got != c.want || found != (c.want != "") {
			t.Errorf("Oversight(%d, %s): got %q %v, want %q", c.level, c.near, got, found, c.want)
		}
	}
	for near, want := range map[UnitCode]UnitCode{
		"150105003001001": "150105-h01", "150105": "150105-h01", "150104002": "150100-h01", "150100": "150100-h01", "150199": "",
	} {
		if got, found := tree.Hotline(near); got != want || found != (want != "") {
			t.Errorf("Hotline(%s): got %q %v, want %q", near, got, found, want)
		}
	}
	closed := tree.With(UnitClosed{Code: "150105003-o01"}, UnitClosed{Code: "150105-h01"})
	if got, _ := closed.Oversight(3, "150105003001"); got != "150105-o01" {
		t.Errorf("a closed oversight unit: got %q, want the next level's", got)
	}
	if got, _ := closed.Hotline("150105003001"); got != "150100-h01" {
		t.Errorf("a closed hotline: got %q, want the city's", got)
	}
}

func TestWhoGovernsAtALevel(t *testing.T) {
	tree := new(Tree).With(saihan()...)
	noStreet := new(Tree).With(
		UnitOpened{Code: "150100", Kind: City}, UnitOpened{Code: "150123", Kind: District, Parent: "150100"},
		UnitOpened{Code: "150123001001", Kind: Community, Parent: "150123"}, GridDrawn{Grid: "150123001001001"})
	closed := tree.With(UnitClosed{Code: "150105003001"}, UnitClosed{Code: "150105003"})
	for _, c := range []struct {
		name  string
		tree  *Tree
		unit  UnitCode
		level Level
		want  UnitCode
	}{
		{"a grid itself", tree, "150105003001001", 1, "150105003001001"},
		{"its community", tree, "150105003001001", 2, "150105003001"},
		{"its street", tree, "150105003001001", 3, "150105003"},
		{"its district", tree, "150105003001001", 4, "150105"},
		{"the city", tree, "150105003001001", 5, "150100"},
		{"nothing is below a unit", tree, "150105003", 1, "150105003"},
		{"an agency does not govern: its street does", tree, "150105003-a01", 3, "150105003"},
		{"and above it the district, not the department that sent it", tree, "150105003-a01", 4, "150105"},
		{"nor a joint team", tree, "150105003-t01", 1, "150105003"},
		{"nor a property company: its community does", tree, "150105003001-p01", 1, "150105003001"},
		{"nor a department: its district does", tree, "150105-d01", 4, "150105"},
		{"above a department is the city", tree, "150105-d01", 5, "150100"},
		{"nor a bureau, or an oversight unit", tree, "150100-o01", 3, "150100"},
		{"a level that the district leaves out is the next one's", noStreet, "150123001001001", 3, "150123"},
		{"what was closed governs nothing", closed, "150105003001001", 2, "150105"},
		{"a retired grid neither", tree, "150105003001003", 1, "150105003001"},
		{"nothing is above the city", tree, "150105003", 6, ""},
		{"the unknown lies nowhere", tree, "150105009", 1, ""},
		{"no tree knows nothing", nil, "150105003", 3, ""},
	} {
		if got := c.tree.AtLevel(c.unit, c.level); got != c.want {
			t.Errorf("%s: AtLevel(%s, %d): got %q, want %q", c.name, c.unit, c.level, got, c.want)
		}
	}
}

func TestSameBody(t *testing.T) {
	tree := new(Tree).With(saihan()...)
	for _, c := range []struct {
		name        string
		a, handling UnitCode
		want        bool
	}{
		{"the unit itself", "150105003-a01", "150105003-a01", true},
		{"its subtree", "150105003001-p01", "150105003", true},
		{"the parent department of a handling agency", "150105-d01", "150105003-a01", true},
		{"another department", "150105-d02", "150105003-a01", false},
		{"the host street of a handling agency", "150105003", "150105003-a01", false},
		{"another agency of the same department", "150105004-a01", "150105003-a01", false},
		{"an agency of a handling department", "150105003-a01", "150105-d01", false},
		{"above the handling unit", "150105", "150105003", false},
		{"oversight sitting in a handling street", "150105003-o01", "150105003", true},
		{"oversight of the level above", "150105-o01", "150105003", false},
		{"an unknown unit is itself", "150199", "150199", true},
		{"an unknown unit is nobody else", "150199", "150105", false},
		{"no unit belongs to no body", "", "150105003", false},
		{"no unit is not even itself", "", "", false},
	} {
		if got := tree.SameBody(c.a, c.handling); got != c.want {
			t.Errorf("%s: SameBody(%q, %q): got %v, want %v", c.name, c.a, c.handling, got, c.want)
		}
	}
}

func TestNilAndZeroTreesKnowNothing(t *testing.T) {
	for name, tree := range map[string]*Tree{"nil": nil, "zero": {}, "a new register's": new(Register).Tree()} {
		_, known := tree.Unit("150100")
		_, drawn := tree.Grid("150105003001001")
		_, above := tree.Parent("150100")
		_, city := tree.Ancestor("150100", City)
		_, oversight := tree.Oversight(1, "150100")
		_, hotline := tree.Hotline("150100")
		if known || drawn || above || city || oversight || hotline || tree.Within("150100", "150100") ||
			tree.Path("150100") != "" || tree.Children("150100") != nil || tree.Grids("150105003001") != nil ||
			tree.Level("150100") != 0 || tree.Len() != 0 || !tree.SameBody("150100", "150100") {
			t.Errorf("the %s tree knows something", name)
		}
		for u := range tree.All() {
			t.Errorf("the %s tree yields %+v", name, u)
		}
		if got := tree.With(UnitOpened{Code: "150100", Kind: City}).Len(); got != 1 {
			t.Errorf("the %s tree and one unit: got %d units, want 1", name, got)
		}
	}
}

func TestEventsThatSayNothingNewLeaveTheTreeAsItIs(t *testing.T) {
	tree := new(Tree).With(saihan()...)
	for _, e := range []Event{
		UnitRenamed{"150199", "x"}, UnitClosed{Code: "150199"}, MembersSet{Code: "150199"}, GridRetired{"150105003001009"},
		ActingWorkerAppointed{"150105003001009", "w"}, GridWorkerRelieved{"150105003001009", "w"}, UnitOpened{},
		UnitOpened{Code: "150105003", Name: "other", Kind: Community}, GridDrawn{Grid: "150105003001001", Households: 1}, strange{},
	} {
		if got := tree.With(e); got != tree {
			t.Errorf("%#v made another tree", e)
		}
	}
}

type strange struct{}

func (strange) EventType() string { return "demand-raised/1" }

// TestOneEventSharesNearlyEverything holds the promise about cost: a new tree copies what the event touched.
func TestOneEventSharesNearlyEverything(t *testing.T) {
	before := new(Tree).With(hohhot()...)
	grid := GridCode("150105003001099")
	after := before.With(GridDrawn{Grid: grid})
	differ := 0
	for i := range spread {
		if len(before.buckets[i]) != len(after.buckets[i]) || !sameNodes(before.buckets[i], after.buckets[i]) {
			differ++
		}
	}
	if differ != len(map[int]bool{bucket(grid.Unit()): true, bucket(grid.Community()): true}) {
		t.Errorf("got %d buckets that differ, want the grid's and its community's", differ)
	}
	full := 0
	for _, b := range before.buckets {
		full = max(full, len(b))
	}
	if full > 80 {
		t.Errorf("got %d of 7,300 units in one bucket of %d, want them spread", full, spread)
	}
}

func sameNodes(a, b map[UnitCode]*node) bool {
	for c, n := range a {
		if b[c] != n {
			return false
		}
	}
	return true
}

// organisation draws events over a few codes, legal or not: opened twice, under parents unknown, under themselves.
func organisation() *rapid.Generator[[]Event] {
	code := rapid.SampledFrom([]UnitCode{"c", "c1", "c2", "c1-a", "c11", "c12", "c111", "c112", "c1111", "c11-t", "c2-h", "d"})
	kind := rapid.SampledFrom(slices.DeleteFunc(Kinds(), func(k Kind) bool { return k == Grid }))
	grid := rapid.Map(rapid.IntRange(1, 4), func(n int) GridCode { return GridCode(fmt.Sprintf("150105003001%03d", n)) })
	worker := rapid.SampledFrom([]string{"w1", "w2"})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Event {
		switch rapid.IntRange(0, 12).Draw(t, "event") {
		case 0:
			return UnitRenamed{code.Draw(t, "code"), rapid.StringMatching("[a-z]{1,3}").Draw(t, "name")}
		case 1:
			return UnitClosed{Code: code.Draw(t, "code")}
		case 2:
			return MembersSet{code.Draw(t, "code"), []UnitCode{code.Draw(t, "member")}}
		case 3:
			return UnitOpened{Code: "150105003001", Kind: Community, Parent: code.Draw(t, "parent")}
		case 4, 5:
			return GridDrawn{Grid: grid.Draw(t, "grid"), Households: rapid.IntRange(0, 3).Draw(t, "households")}
		case 6:
			return GridRetired{grid.Draw(t, "grid")}
		case 7:
			return GridWorkerAppointed{grid.Draw(t, "grid"), worker.Draw(t, "worker"), DutyLead, true}
		case 8:
			return ActingWorkerAppointed{grid.Draw(t, "grid"), worker.Draw(t, "worker")}
		case 9:
			return GridWorkerRelieved{grid.Draw(t, "grid"), worker.Draw(t, "worker")}
		}
		return UnitOpened{Code: code.Draw(t, "code"), Name: "n", Kind: kind.Draw(t, "kind"), Parent: code.Draw(t, "parent"),
			Department: code.Draw(t, "department")}
	}), 0, 40)
}

// dump is all that a tree says.
func dump(t *Tree) string {
	var b strings.Builder
	for u := range t.All() {
		fmt.Fprintf(&b, "%+v %s %v %+v\n", u, t.Path(u.Code), t.Children(u.Code), t.Grids(u.Code))
	}
	for n := range 5 {
		g := GridCode(fmt.Sprintf("150105003001%03d", n))
		info, _ := t.Grid(g)
		u, _ := t.Unit(g.Unit())
		fmt.Fprintf(&b, "%+v %+v %s\n", info, u, t.Path(g.Unit()))
	}
	fmt.Fprintln(&b, t.Len())
	return b.String()
}

// Within, Path, Parent, Ancestor, Children and Level agree with one another and with a walk along parents,
// whatever the log holds.
func TestLawsOfTheTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := organisation().Draw(t, "events")
		tree := new(Tree).With(events...)
		parent := map[UnitCode]UnitCode{} // the model: what was opened first counts, under what was there by then
		kind := map[UnitCode]Kind{}
		for _, e := range events {
			var c, p UnitCode
			var k Kind
			switch e := e.(type) {
			case UnitOpened:
				c, p, k = e.Code, e.Parent, e.Kind
			case GridDrawn:
				c, p, k = e.Grid.Unit(), e.Grid.Community(), Grid
			}
			if _, there := parent[c]; c == "" || there {
				continue
			}
			if _, known := parent[p]; !known {
				p = ""
			}
			parent[c], kind[c] = p, k
		}
		walk := func(c UnitCode) (up []UnitCode) {
			for ; c != ""; c = parent[c] {
				up = append(up, c)
			}
			return up
		}
		for c := range parent {
			up, path := walk(c), "/"
			for _, above := range slices.Backward(up) {
				path += string(above) + "/"
			}
			if got := tree.Path(c); got != path {
				t.Fatalf("Path(%s): got %s, want %s", c, got, path)
			}
			if got, has := tree.Parent(c); got != parent[c] || has != (parent[c] != "") {
				t.Fatalf("Parent(%s): got %s %v, want %s", c, got, has, parent[c])
			}
			level := kind[c].Level()
			for _, above := range up {
				if level == 0 {
					level = kind[above].Level()
				}
			}
			if got := tree.Level(c); got != level {
				t.Fatalf("Level(%s): got %d, want %d", c, got, level)
			}
			for outer := range parent {
				within := slices.Contains(up, outer)
				if got := tree.Within(c, outer); got != within || got != strings.HasPrefix(tree.Path(c), tree.Path(outer)) {
					t.Fatalf("Within(%s, %s): got %v, a walk says %v, paths are %s and %s", c, outer, got, within, tree.Path(c), tree.Path(outer))
				}
				child := parent[outer] == c && kind[outer] != Grid
				if got := slices.Contains(tree.Children(c), outer); got != child {
					t.Fatalf("Children(%s) has %s: got %v, want %v", c, outer, got, child)
				}
			}
			for _, k := range Kinds() {
				i := slices.IndexFunc(up, func(u UnitCode) bool { return kind[u] == k })
				if got, found := tree.Ancestor(c, k); found != (i >= 0) || found && got != up[i] {
					t.Fatalf("Ancestor(%s, %s): got %s %v, want one of %v", c, k, got, found, up)
				}
			}
		}
	})
}

// However the log is cut into pieces, the register shows what a rebuild from zero shows, and a tree taken
// on the way never changes.
func TestLawsOfTheRegister(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := organisation().Draw(t, "events")
		register := new(Register)
		var taken []*Tree
		var said []string
		for done := 0; done < len(events); {
			n := rapid.IntRange(1, len(events)-done).Draw(t, "piece")
			register.Apply(events[done : done+n]...)
			done += n
			taken = append(taken, register.Tree())
			said = append(said, dump(register.Tree()))
			if rebuilt := dump(new(Tree).With(events[:done]...)); rebuilt != said[len(said)-1] {
				t.Fatalf("after %d events: got\n%s\na rebuild says\n%s", done, said[len(said)-1], rebuilt)
			}
		}
		for i, tree := range taken {
			if now := dump(tree); now != said[i] {
				t.Fatalf("tree %d of %d changed after it was taken: got\n%s\nwant\n%s", i, len(taken), now, said[i])
			}
		}
	})
}

// Siblings that come one by one, each before the last, are what would show two trees sharing a list.
func TestATreeNeverSeesLaterSiblings(t *testing.T) {
	register := new(Register)
	register.Apply(UnitOpened{Code: "150105003001", Kind: Community})
	var taken []*Tree
	for n := 40; n > 0; n-- {
		taken = append(taken, register.Tree())
		register.Apply(GridDrawn{Grid: GridCode(fmt.Sprintf("150105003001%03d", n))},
			UnitOpened{Code: UnitCode(fmt.Sprintf("150105003001-p%02d", n)), Kind: Property, Parent: "150105003001"})
	}
	for n, tree := range taken {
		grids, children := tree.Grids("150105003001"), tree.Children("150105003001")
		if len(grids) != n || len(children) != n {
			t.Fatalf("tree %d: got %d grids and %d children, want %d each", n, len(grids), len(children), n)
		}
		for i := range n {
			serial := 41 - n + i
			if grids[i].Code != GridCode(fmt.Sprintf("150105003001%03d", serial)) || children[i] != UnitCode(fmt.Sprintf("150105003001-p%02d", serial)) {
				t.Fatalf("tree %d, place %d: got %s and %s, want serial %d", n, i, grids[i].Code, children[i], serial)
			}
		}
	}
}

func TestRegisterIsSafeForReadersAndWriters(t *testing.T) {
	register := new(Register)
	var all sync.WaitGroup
	events := hohhot()
	half := len(events) / 2
	register.Apply(events[:half]...)
	last := GridCode("150172099099999")
	for range 4 {
		all.Go(func() {
			for complete := false; !complete; {
				tree := register.Tree()
				_, complete = tree.Grid(last)
				for u := range tree.All() {
					if !tree.Within(u.Code, "150100") {
						t.Errorf("%s is not within the city", u.Code)
						return
					}
				}
			}
		})
	}
	for _, e := range events[half:] {
		register.Apply(e)
	}
	register.Apply(GridDrawn{Grid: last})
	all.Wait()
	if got, want := dump(register.Tree()), dump(new(Tree).With(append(events, GridDrawn{Grid: last})...)); got != want {
		t.Error("the register differs from a rebuild")
	}
}

// hohhot is an organisation of a city's size: 2,000 units and 5,300 grids, each with a lead.
func hohhot() []Event {
	events := []Event{UnitOpened{Code: "150100", Name: "市", Kind: City}}
	open := func(code UnitCode, kind Kind, parent, department UnitCode) {
		events = append(events, UnitOpened{Code: code, Name: "单位", Kind: kind, Parent: parent, Department: department})
	}
	grids := 0
	for d := range 10 {
		district := UnitCode(fmt.Sprintf("1501%02d", d+2))
		open(district, District, "150100", "")
		for i := range 12 {
			open(UnitCode(fmt.Sprintf("%s-d%02d", district, i)), Department, district, "")
		}
		for s := range 10 {
			street := UnitCode(fmt.Sprintf("%s%03d", district, s+1))
			open(street, Street, district, "")
			for i := range 4 {
				open(UnitCode(fmt.Sprintf("%s-a%02d", street, i)), Agency, street, UnitCode(fmt.Sprintf("%s-d%02d", district, i)))
			}
			for c := range 14 {
				community := UnitCode(fmt.Sprintf("%s%03d", street, c+1))
				open(community, Community, street, "")
				for g := 0; g < 4 && grids < 5300; g++ {
					grids++
					grid := GridCode(fmt.Sprintf("%s%03d", community, g+1))
					events = append(events, GridDrawn{Grid: grid, Name: "网格", Households: 300},
						GridWorkerAppointed{Grid: grid, Worker: fmt.Sprint("w", grids), Duty: DutyLead, FullTime: true})
				}
			}
		}
	}
	return events
}

// TestTheCityOpensThroughTheRules opens every division of a real city, each through a decision.
func TestTheCityOpensThroughTheRules(t *testing.T) {
	file := filepath.Join(cmp.Or(os.Getenv("GRIDCASE_SHARED"), "../../../shared"), "data", "hohhot-divisions.csv")
	f, err := os.Open(file)
	if err != nil {
		t.Skipf("the published divisions are not here: %v", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	register := new(Register)
	kinds := map[string]Kind{"city": City, "county": District, "street": Street, "community": Community}
	for _, row := range rows[1:] { // code, name, level, parent
		events, err := DecideUnit(UnitState{}, OpenUnit{Code: UnitCode(row[0]), Name: row[1], Kind: kinds[row[2]], Parent: UnitCode(row[3])}, register.Tree(), day)
		if err != nil {
			t.Fatalf("%v: %v", row, err)
		}
		register.Apply(events...)
	}
	count := map[Kind]int{}
	for u := range register.Tree().All() {
		count[u.Kind]++
	}
	if count[City] != 1 || count[District] != 10 || count[Street] != 99 || count[Community] != 1396 {
		t.Errorf("got %v, want 1 city, 10 districts, 99 streets, 1,396 communities", count)
	}
}

func BenchmarkLoad(b *testing.B) {
	events := hohhot()
	b.Run("at once", func(b *testing.B) {
		for b.Loop() {
			new(Tree).With(events...)
		}
	})
	b.Run("event by event, a tree taken after each", func(b *testing.B) {
		for b.Loop() {
			register := new(Register)
			for _, e := range events {
				register.Apply(e)
				register.Tree()
			}
		}
	})
}

func BenchmarkTree(b *testing.B) {
	tree := new(Tree).With(hohhot()...)
	b.Run("Within", func(b *testing.B) {
		for b.Loop() {
			tree.Within("150105003001001", "150105")
		}
	})
	b.Run("Oversight", func(b *testing.B) {
		for b.Loop() {
			tree.Oversight(2, "150105003001001")
		}
	})
	b.Run("All", func(b *testing.B) {
		for b.Loop() {
			for range tree.All() {
			}
		}
	})
	b.Run("With", func(b *testing.B) {
		for b.Loop() {
			tree.With(UnitRenamed{"150105003", "新名"})
		}
	})
}
