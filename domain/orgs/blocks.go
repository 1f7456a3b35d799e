package orgs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// BlockCode names a building within its community, such as "b03", or one of its stairwells (单元), such as "b03/2".
// A building's is 1 to 10 characters of [0-9a-z-], too short for a phone or identity number; a stairwell adds a slash
// and 1 to 3 of [0-9a-z].
type BlockCode string

// Building returns the building that a stairwell belongs to; a building is its own.
func (b BlockCode) Building() BlockCode {
	building, _, _ := strings.Cut(string(b), "/")
	return BlockCode(building)
}

// Valid reports whether the code has the form of a building's or a stairwell's.
func (b BlockCode) Valid() bool {
	building, stairwell, isStairwell := strings.Cut(string(b), "/")
	if isStairwell && (stairwell == "" || len(stairwell) > 3 || strings.Trim(stairwell, alphanumeric) != "") {
		return false
	}
	return building != "" && len(building) <= 10 && UnitCode(building).Valid() && strings.Trim(building, "-") == building
}

const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyz"

// Building is a building of a community with what there is to count in it. It knows no resident and no door.
type Building struct {
	Code       BlockCode   `json:"code"`
	Stairwells []Stairwell `json:"stairwells"` // in code order, at least one
}

// Stairwell is one entrance of a building (单元), the smallest thing that is divided: a household lies at exactly one.
type Stairwell struct {
	Code       BlockCode `json:"code"`       // begins with the building's
	Households int       `json:"households"` // a number only: there is no list of households
}

// BlocksSurveyed records what there is to divide in a community. The list is complete and takes the place of any
// earlier one: what is not on it is gone, from its grid as well; what is new on it lies in no grid yet.
type BlocksSurveyed struct {
	Community UnitCode   `json:"community"`
	Buildings []Building `json:"buildings"` // in code order; none before a community that is given up is closed
}

// EventType implements [Event].
func (BlocksSurveyed) EventType() string { return "blocks-surveyed/1" }

// HouseholdsAssigned records that the households of these stairwells are a grid's from now on, beside those it has.
type HouseholdsAssigned struct {
	Grid       GridCode    `json:"grid"`
	From       GridCode    `json:"from,omitempty"` // the grid that had all of them; "" = none had any
	Stairwells []BlockCode `json:"stairwells"`     // in code order, at least one
}

// EventType implements [Event].
func (HouseholdsAssigned) EventType() string { return "households-assigned/1" }

// SurveyBlocks asks to put a new list in the place of the old. Buildings and stairwells may come in any order.
type SurveyBlocks struct {
	Of        UnitCode
	Buildings []Building
}

// AssignHouseholds asks to give blocks to a grid: a building stands for all of its stairwells, or, with From, for those
// that the other grid has.
type AssignHouseholds struct {
	Grid   GridCode
	From   GridCode
	Blocks []BlockCode
}

// Community implements [GridsCommand].
func (c SurveyBlocks) Community() UnitCode { return c.Of }

// Community implements [GridsCommand].
func (c AssignHouseholds) Community() UnitCode { return c.Grid.Community() }

func (c SurveyBlocks) grid() GridCode     { return "" }
func (c AssignHouseholds) grid() GridCode { return c.Grid }

// maxStairwells is how many stairwells one survey holds: 160 KiB of an event of 256. A grid has about 20.
const maxStairwells = 4000

// Households returns how many households live at the stairwells, by the last survey.
func (s GridsState) Households(stairwells []BlockCode) int {
	n, asked := 0, setOf(stairwells)
	for w := range s.stairwells {
		if asked[w.Code] {
			n += w.Households
		}
	}
	return n
}

func setOf(bs []BlockCode) map[BlockCode]bool {
	set := make(map[BlockCode]bool, len(bs))
	for _, b := range bs {
		set[b] = true
	}
	return set
}

// stairwells yields every surveyed stairwell in code order.
func (s GridsState) stairwells(yield func(Stairwell) bool) {
	for _, b := range s.Buildings {
		for _, w := range b.Stairwells {
			if !yield(w) {
				return
			}
		}
	}
}

// holders returns the active grid that has each stairwell.
func (s GridsState) holders() map[BlockCode]GridCode {
	has := map[BlockCode]GridCode{}
	for _, g := range s.Grids {
		for _, w := range g.Stairwells {
			has[w] = g.Drawn.Grid
		}
	}
	return has
}

// resolve returns the stairwells that the blocks stand for, each once and in code order, and the first block that is
// none of those in reach.
func resolve(blocks, reach []BlockCode) (stairwells []BlockCode, unknown BlockCode) {
	asked, met := setOf(blocks), map[BlockCode]bool{}
	for _, w := range reach {
		if asked[w] || asked[w.Building()] {
			stairwells = append(stairwells, w)
			met[w], met[w.Building()] = true, true
		}
	}
	for _, b := range blocks {
		if !met[b] {
			return nil, b
		}
	}
	return sortedBlocks(stairwells), ""
}

// BuildingsOf returns the buildings that the stairwells belong to, in code order.
func BuildingsOf(stairwells []BlockCode) []BlockCode {
	var bs []BlockCode
	for _, w := range stairwells {
		bs = append(bs, w.Building())
	}
	return sortedBlocks(bs)
}

func sortedBlocks(bs []BlockCode) []BlockCode {
	return slices.Compact(slices.Sorted(slices.Values(bs)))
}

func (s GridsState) surveyed(e BlocksSurveyed) GridsState {
	s.Surveyed, s.Buildings = e.Community, e.Buildings
	listed := map[BlockCode]bool{}
	for w := range s.stairwells {
		listed[w.Code] = true
	}
	s.Grids = slices.Clone(s.Grids)
	for i := range s.Grids {
		g := &s.Grids[i]
		g.Stairwells = slices.DeleteFunc(slices.Clone(g.Stairwells), func(w BlockCode) bool { return !listed[w] })
	}
	return s
}

func (s GridsState) assigned(e HouseholdsAssigned) GridsState {
	if e.From != "" {
		moved := setOf(e.Stairwells)
		s = s.with(e.From, func(g *GridState) {
			g.Stairwells = slices.DeleteFunc(slices.Clone(g.Stairwells), func(w BlockCode) bool { return moved[w] })
		})
	}
	return s.with(e.Grid, func(g *GridState) { g.Stairwells = sortedBlocks(slices.Concat(g.Stairwells, e.Stairwells)) })
}

func decideSurvey(s GridsState, c SurveyBlocks, tree *Tree) ([]Event, error) {
	if err := divisible(c.Of, tree); err != nil {
		return nil, err
	}
	buildings, err := inOrder(c.Buildings)
	if err != nil {
		return nil, err
	}
	if s.Surveyed != "" && slices.EqualFunc(s.Buildings, buildings, func(a, b Building) bool {
		return a.Code == b.Code && slices.Equal(a.Stairwells, b.Stairwells)
	}) {
		return nil, nil
	}
	return []Event{BlocksSurveyed{Community: c.Of, Buildings: buildings}}, nil
}

// inOrder checks a survey and returns it in code order; what was given stays as it is.
func inOrder(given []Building) ([]Building, error) {
	buildings := slices.Clone(given)
	slices.SortFunc(buildings, func(a, b Building) int { return cmp.Compare(a.Code, b.Code) })
	n := 0
	for i := range buildings {
		b := &buildings[i]
		switch {
		case !b.Code.Valid() || b.Code != b.Code.Building():
			return nil, refuse("C12", fmt.Sprintf("楼栋代码 %q 须为 1 至 10 个小写字母、数字或连字符", b.Code),
				fmt.Sprintf("the building code %q is not 1 to 10 lower-case letters, digits or hyphens", b.Code))
		case i > 0 && b.Code == buildings[i-1].Code:
			return nil, refuse("C12", fmt.Sprintf("楼栋 %s 登记了两次", b.Code), fmt.Sprintf("the building %s is listed twice", b.Code))
		case len(b.Stairwells) == 0:
			return nil, refuse("C12", fmt.Sprintf("楼栋 %s 没有单元", b.Code), fmt.Sprintf("the building %s has no stairwell", b.Code))
		}
		b.Stairwells = slices.Clone(b.Stairwells)
		slices.SortFunc(b.Stairwells, func(x, y Stairwell) int { return cmp.Compare(x.Code, y.Code) })
		for j, w := range b.Stairwells {
			switch {
			case !w.Code.Valid() || w.Code == b.Code || w.Code.Building() != b.Code:
				return nil, refuse("C12", fmt.Sprintf("单元代码 %q 须为 %s/ 加 1 至 3 个小写字母或数字", w.Code, b.Code),
					fmt.Sprintf("the stairwell code %q is not %s/ and 1 to 3 lower-case letters or digits", w.Code, b.Code))
			case j > 0 && w.Code == b.Stairwells[j-1].Code:
				return nil, refuse("C12", fmt.Sprintf("单元 %s 登记了两次", w.Code), fmt.Sprintf("the stairwell %s is listed twice", w.Code))
			case w.Households < 0:
				return nil, refuse("C12", fmt.Sprintf("单元 %s 的户数不能为负", w.Code), fmt.Sprintf("the stairwell %s can not have a negative number of households", w.Code))
			}
		}
		n += len(b.Stairwells)
	}
	if n > maxStairwells {
		return nil, refuse("C12", fmt.Sprintf("一个社区最多登记 %d 个单元，现有 %d 个", maxStairwells, n),
			fmt.Sprintf("a community has %d stairwells at most, not %d", maxStairwells, n))
	}
	return buildings, nil
}

func decideAssign(s GridsState, g GridState, c AssignHouseholds) ([]Event, error) {
	if s.Surveyed == "" {
		return nil, refuse("I8", "该社区楼栋、单元尚未登记", "the buildings of the community have not been surveyed")
	}
	if len(c.Blocks) == 0 {
		return nil, refuse("I8", "没有要划入的楼栋或单元", "no building or stairwell is named")
	}
	from, known := s.Grid(c.From)
	if c.From != "" && (!known || from.Retired || c.From == c.Grid) {
		return nil, refuse("I8", fmt.Sprintf("调出网格 %s 须为本社区另一个在用网格", c.From),
			fmt.Sprintf("%s is not another active grid of the community", c.From))
	}
	var reach []BlockCode
	own, theirs := setOf(g.Stairwells), setOf(from.Stairwells)
	for w := range s.stairwells {
		if c.From == "" || theirs[w.Code] || own[w.Code] {
			reach = append(reach, w.Code)
		}
	}
	stairwells, unknown := resolve(c.Blocks, reach)
	if unknown != "" {
		if c.From != "" {
			return nil, refuse("I8", fmt.Sprintf("%s 不在网格 %s", unknown, c.From), fmt.Sprintf("%s does not belong to the grid %s", unknown, c.From))
		}
		return nil, refuse("I8", fmt.Sprintf("楼栋或单元 %q 未登记", unknown), fmt.Sprintf("the building or stairwell %q is not in the survey", unknown))
	}
	stairwells = slices.DeleteFunc(stairwells, func(w BlockCode) bool { return own[w] })
	if len(stairwells) == 0 {
		return nil, nil
	}
	holders := s.holders()
	for _, w := range stairwells {
		if has := holders[w]; has != c.From {
			return nil, refuse("I8", fmt.Sprintf("单元 %s 已属网格 %s，调整须写明调出网格", w, has),
				fmt.Sprintf("the stairwell %s belongs to the grid %s: to move it, name that grid as the one it comes from", w, has))
		}
	}
	return []Event{HouseholdsAssigned{Grid: c.Grid, From: c.From, Stairwells: stairwells}}, nil
}
