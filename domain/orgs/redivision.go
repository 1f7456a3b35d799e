package orgs

import (
	"fmt"
	"slices"

	"gridcase/domain/calendar"
)

// GridSplit records that several grids continue one. It comes last of its append: by then the new grids were drawn,
// have their households and, where they were named, their leads. The old lead's appointment ends with the old grid.
type GridSplit struct {
	Grid GridCode      `json:"grid"`
	Into []GridCode    `json:"into"` // in code order, at least two; open orders go to the first (rule R21)
	On   calendar.Date `json:"on"`   // the first day of the new grids; not later than the day of recording
}

// EventType implements [Event].
func (GridSplit) EventType() string { return "grid-split/1" }

// GridMerged records that one grid continues several. It comes last of its append, as [GridSplit] does.
type GridMerged struct {
	Grids []GridCode    `json:"grids"` // in code order, at least two
	Into  GridCode      `json:"into"`
	On    calendar.Date `json:"on"`
}

// EventType implements [Event].
func (GridMerged) EventType() string { return "grid-merged/1" }

// CommunitySplit records that several communities continue one, which is closed by it. Its cases keep its code.
type CommunitySplit struct {
	Code UnitCode      `json:"code"`
	Into []UnitCode    `json:"into"` // open communities of the same district, in code order, at least two
	On   calendar.Date `json:"on"`   // the first day without it
}

// EventType implements [Event].
func (CommunitySplit) EventType() string { return "community-split/1" }

// CommunityMerged records that another community continues this one, which is closed by it. Its cases keep its code.
// Of several that are merged each has this event on its own stream.
type CommunityMerged struct {
	Code UnitCode      `json:"code"`
	Into UnitCode      `json:"into"` // an open community of the same district
	On   calendar.Date `json:"on"`
}

// EventType implements [Event].
func (CommunityMerged) EventType() string { return "community-merged/1" }

// Part is one grid that a re-division makes.
type Part struct {
	Grid   GridCode
	Name   string
	Blocks []BlockCode // what it gets of the grid that is split; none in a merger, which takes everything
	Lead   string      // "" = a vacancy for now
}

// SplitGrid asks to divide a grid among new ones.
type SplitGrid struct {
	Grid GridCode
	Into []Part
}

// MergeGrids asks to make one new grid of several.
type MergeGrids struct {
	Grids []GridCode
	Into  Part
}

// Community implements [GridsCommand].
func (c SplitGrid) Community() UnitCode { return c.Grid.Community() }

// Community implements [GridsCommand].
func (c MergeGrids) Community() UnitCode { return c.Into.Grid.Community() }

func (c SplitGrid) grid() GridCode  { return c.Grid }
func (c MergeGrids) grid() GridCode { return c.Into.Grid }

// SplitCommunity asks to let other communities continue this one.
type SplitCommunity struct {
	Code UnitCode
	Into []UnitCode
}

// MergeCommunity asks to let another community continue this one.
type MergeCommunity struct {
	Code UnitCode
	Into UnitCode
}

// Unit implements [UnitCommand].
func (c SplitCommunity) Unit() UnitCode { return c.Code }

// Unit implements [UnitCommand].
func (c MergeCommunity) Unit() UnitCode { return c.Code }

// Heir returns the grid that open orders of g go to: the first of its successors in code order, or the first of that
// one's successors, and so on. It is "" for a grid that was retired without a successor, and g itself while it is active.
func (s GridsState) Heir(g GridCode) GridCode {
	for range s.Grids { // a successor is drawn later than what it continues: no way leads back
		at, known := s.Grid(g)
		if !known || !at.Retired {
			return g
		}
		if len(at.Successors) == 0 {
			return ""
		}
		g = at.Successors[0]
	}
	return g
}

func decideSplit(s GridsState, g GridState, c SplitGrid, on calendar.Date) ([]Event, error) {
	if g.Retired {
		if s.continues(g, c.Into) {
			return nil, nil
		}
		return nil, refuseState(fmt.Sprintf("网格 %s 已撤销", c.Grid), fmt.Sprintf("the grid %s is retired", c.Grid))
	}
	if len(c.Into) < 2 {
		return nil, refuse("C10", "拆分须至少分为两个新网格", "a grid is split into two new ones at least")
	}
	if err := s.divided(g); err != nil {
		return nil, err
	}
	var events []Event
	given := map[BlockCode]GridCode{}
	for i, p := range c.Into {
		if err := s.checkPart(p, c.Into[:i]); err != nil {
			return nil, err
		}
		stairwells, unknown := resolve(p.Blocks, g.Stairwells)
		if unknown != "" {
			return nil, refuse("I8", fmt.Sprintf("%s 不在网格 %s", unknown, c.Grid), fmt.Sprintf("%s does not belong to the grid %s", unknown, c.Grid))
		}
		if len(stairwells) == 0 {
			return nil, refuse("I8", fmt.Sprintf("新网格 %s 没有楼栋或单元", p.Grid), fmt.Sprintf("the new grid %s gets no building and no stairwell", p.Grid))
		}
		for _, w := range stairwells {
			if other := given[w]; other != "" {
				return nil, refuse("I8", fmt.Sprintf("单元 %s 同时划给 %s 和 %s", w, other, p.Grid),
					fmt.Sprintf("the stairwell %s is given to both %s and %s", w, other, p.Grid))
			}
			given[w] = p.Grid
		}
		events = append(events, s.drawn(p, stairwells, g.Drawn.Urban), HouseholdsAssigned{Grid: p.Grid, From: c.Grid, Stairwells: stairwells})
		events = append(events, led(p)...)
	}
	for _, w := range g.Stairwells {
		if given[w] == "" {
			return nil, refuse("I8", fmt.Sprintf("单元 %s 未划给任何新网格", w), fmt.Sprintf("the stairwell %s is given to no new grid", w))
		}
	}
	return append(events, GridSplit{Grid: c.Grid, Into: codesOf(c.Into), On: on}), nil
}

func decideMerge(s GridsState, c MergeGrids, on calendar.Date) ([]Event, error) {
	olds := slices.Compact(slices.Sorted(slices.Values(c.Grids)))
	if len(olds) < 2 {
		return nil, refuse("C10", "合并须至少有两个不同的网格", "two different grids at least are merged")
	}
	already, urban := 0, false
	var stairwells []BlockCode
	var moves []Event
	for _, code := range olds {
		g, known := s.Grid(code)
		if !known {
			return nil, refuseState(fmt.Sprintf("网格 %q 尚未划定", code), fmt.Sprintf("the grid %q has not been drawn", code))
		}
		if g.Retired {
			if !s.continues(g, []Part{c.Into}) {
				return nil, refuseState(fmt.Sprintf("网格 %s 已撤销", code), fmt.Sprintf("the grid %s is retired", code))
			}
			already++
			continue
		}
		if err := s.divided(g); err != nil {
			return nil, err
		}
		urban = urban || g.Drawn.Urban
		stairwells = append(stairwells, g.Stairwells...)
		moves = append(moves, HouseholdsAssigned{Grid: c.Into.Grid, From: code, Stairwells: g.Stairwells})
	}
	if already == len(olds) {
		return nil, nil
	}
	if err := s.checkPart(c.Into, nil); err != nil {
		return nil, err
	}
	if len(c.Into.Blocks) > 0 {
		return nil, refuse("I8", "合并后的网格承接全部单元，不另行指定", "the merged grid takes all stairwells; none is named")
	}
	events := append([]Event{s.drawn(c.Into, sortedBlocks(stairwells), urban)}, moves...)
	events = append(events, led(c.Into)...)
	return append(events, GridMerged{Grids: olds, Into: c.Into.Grid, On: on}), nil
}

// continues reports whether a grid that is no more is continued by just these, under the names they were drawn with.
func (s GridsState) continues(g GridState, parts []Part) bool {
	return len(g.Successors) > 0 && slices.Equal(g.Successors, codesOf(parts)) && !slices.ContainsFunc(parts, func(p Part) bool {
		next, _ := s.Grid(p.Grid)
		return next.Drawn.Name != p.Name
	})
}

// divided wants a grid whose households are known by stairwell: a count alone can not be handed on exactly once.
func (s GridsState) divided(g GridState) error {
	if len(g.Stairwells) > 0 {
		return nil
	}
	return refuse("I8", fmt.Sprintf("网格 %s 尚无单元，请先登记楼栋并划入住户", g.Drawn.Grid),
		fmt.Sprintf("the grid %s has no stairwells: survey the buildings and assign the households first", g.Drawn.Grid))
}

// checkPart says whether a new grid can be drawn; those before it come with the same command.
func (s GridsState) checkPart(p Part, before []Part) error {
	if err := checkGridCode(p.Grid); err != nil {
		return err
	}
	_, used := s.Grid(p.Grid)
	switch {
	case p.Grid.Community() != s.Community():
		return refuse("I8", fmt.Sprintf("新网格 %s 不在本社区", p.Grid), fmt.Sprintf("the new grid %s is none of this community", p.Grid))
	case used || slices.ContainsFunc(before, func(b Part) bool { return b.Grid == p.Grid }):
		return refuse("I17", fmt.Sprintf("网格代码 %s 已使用过，不得重复使用", p.Grid),
			fmt.Sprintf("the grid code %s was given before and is never given again", p.Grid))
	}
	if p.Lead != "" {
		if err := checkWorker(p.Lead); err != nil {
			return err
		}
	}
	return checkName(p.Name)
}

// drawn counts a new grid by the survey.
func (s GridsState) drawn(p Part, stairwells []BlockCode, urban bool) GridDrawn {
	return GridDrawn{Grid: p.Grid, Name: p.Name, Households: s.Households(stairwells), Buildings: len(BuildingsOf(stairwells)),
		Stairwells: len(stairwells), Urban: urban}
}

func led(p Part) []Event {
	if p.Lead == "" {
		return nil
	}
	return []Event{GridWorkerAppointed{Grid: p.Grid, Worker: p.Lead, Duty: DutyLead, FullTime: true}}
}

func codesOf(parts []Part) []GridCode {
	var cs []GridCode
	for _, p := range parts {
		cs = append(cs, p.Grid)
	}
	slices.Sort(cs)
	return cs
}

func decideCommunitySplit(s UnitState, c SplitCommunity, tree *Tree, on calendar.Date) ([]Event, error) {
	into := ordered(c.Into)
	if s.Closed && slices.Equal(into, s.Successors) {
		return nil, nil
	}
	if len(into) < 2 {
		return nil, refuse("C15", "社区拆分须有至少两个承接社区", "a community is split among two others at least")
	}
	if err := givenUp(s, into, tree); err != nil {
		return nil, err
	}
	return []Event{CommunitySplit{Code: c.Code, Into: into, On: on}}, nil
}

func decideCommunityMerge(s UnitState, c MergeCommunity, tree *Tree, on calendar.Date) ([]Event, error) {
	into := []UnitCode{c.Into}
	if s.Closed && slices.Equal(into, s.Successors) {
		return nil, nil
	}
	if err := givenUp(s, into, tree); err != nil {
		return nil, err
	}
	return []Event{CommunityMerged{Code: c.Code, Into: c.Into, On: on}}, nil
}

// givenUp says whether a community may be closed in favour of others: nothing depends on it any more, and they are
// open communities of the same district.
func givenUp(s UnitState, into []UnitCode, tree *Tree) error {
	code := s.Opened.Code
	if s.Closed {
		return refuseState(fmt.Sprintf("单位 %s 已撤销，承接单位不再变更", code),
			fmt.Sprintf("the unit %s is closed already; its successor stays as recorded", code))
	}
	if s.Opened.Kind != Community {
		return refuse("C15", fmt.Sprintf("%s 不是社区", code), fmt.Sprintf("%s is not a community", code))
	}
	if by, held := heldOpen(code, tree); held {
		return refuse("C15", fmt.Sprintf("%s 仍依附于 %s，不能撤销", by, code),
			fmt.Sprintf("%s still depends on %s, which cannot be closed before it", by, code))
	}
	district, _ := tree.Ancestor(code, District)
	for _, c := range into {
		next, err := openUnit(c, tree, "C15")
		if err != nil {
			return err
		}
		if at, _ := tree.Ancestor(c, District); c == code || next.Kind != Community || at != district {
			return refuse("C15", fmt.Sprintf("承接单位 %s 须为本区县另一个社区", c), fmt.Sprintf("%s is not another community of the same district", c))
		}
	}
	return nil
}

// Successors returns what stands in a unit's place on a date, in code order: the unit itself while it is neither split
// nor merged, else those that continue it, or continue them. A grid of a community that was split or merged is
// continued by the communities that continue that one. It is nil for an unknown unit.
func (t *Tree) Successors(c UnitCode, on calendar.Date) []UnitCode {
	if t.node(c) == nil {
		return nil
	}
	var ends []UnitCode
	seen := map[UnitCode]bool{}
	for todo := []UnitCode{c}; len(todo) > 0; {
		at := todo[0]
		todo = todo[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		if next := t.next(at, on); len(next) > 0 {
			todo = append(todo, next...)
		} else {
			ends = append(ends, at)
		}
	}
	slices.Sort(ends)
	return ends
}

// Heir returns the one unit that what is counted under c counts for on a date: at each re-division the first in code
// order, as with open orders (rule R21). Who asks for the date of a count gets c again, as it was.
func (t *Tree) Heir(c UnitCode, on calendar.Date) UnitCode {
	for range t.Len() + maxGrids { // two communities merged into one another at once must not hold us here
		next := t.next(c, on)
		if len(next) == 0 {
			break
		}
		c = next[0]
	}
	return c
}

// maxGrids is how many grids a community can ever have: serials have three digits.
const maxGrids = 999

// AsIs adds up counts that were kept under the codes of their time by what stands there on a date. The sum stays what
// it was.
func (t *Tree) AsIs(asWas map[UnitCode]int, on calendar.Date) map[UnitCode]int {
	asIs := make(map[UnitCode]int, len(asWas))
	for c, n := range asWas {
		asIs[t.Heir(c, on)] += n
	}
	return asIs
}

// next returns what continues a unit directly on a date, in code order.
func (t *Tree) next(c UnitCode, on calendar.Date) []UnitCode {
	n := t.node(c)
	switch {
	case n == nil:
		return nil
	case len(n.successors) > 0:
		if n.until <= on {
			return n.successors
		}
	case n.unit.Kind == Grid:
		if up := t.node(n.unit.Parent); up != nil && len(up.successors) > 0 && up.until <= on {
			return up.successors
		}
	}
	return nil
}
