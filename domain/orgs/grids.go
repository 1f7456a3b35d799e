package orgs

import (
	"fmt"
	"slices"
	"strings"

	"gridcase/domain/calendar"
)

// GridDrawn records a new grid on its community's plan, under a code that nothing else ever bears.
type GridDrawn struct {
	Grid       GridCode `json:"grid"` // the community's 12 digits and a serial from 001
	Name       string   `json:"name"`
	Households int      `json:"households"` // counted at this moment, a number only: there is no list of households
	Buildings  int      `json:"buildings"`
	Stairwells int      `json:"stairwells"` // 单元, of all its buildings together
	Urban      bool     `json:"urban"`      // the size band is meant for urban grids only
}

// EventType implements [Event].
func (GridDrawn) EventType() string { return "grid-drawn/1" }

// GridRetired records that a grid is no longer worked, and that no other continues it. Its assistants are free; its
// cases stay under its code.
type GridRetired struct {
	Grid GridCode `json:"grid"`
}

// EventType implements [Event].
func (GridRetired) EventType() string { return "grid-retired/1" }

// Duty is what a worker does on a grid.
type Duty string

// The duties. One worker may serve on several grids, in different duties.
const (
	DutyLead      Duty = "lead"      // 专职网格员: answers for the grid; one at most
	DutyAssistant Duty = "assistant" // helps; any number
)

// GridWorkerAppointed records that a worker serves on a grid from now on. A lead's appointment fills the
// vacancy and ends acting cover; an assistant who becomes lead is an assistant no longer.
type GridWorkerAppointed struct {
	Grid     GridCode `json:"grid"`
	Worker   string   `json:"worker"` // opaque id of an account, never a name
	Duty     Duty     `json:"duty"`
	FullTime bool     `json:"full_time"` // always for a lead
}

// EventType implements [Event].
func (GridWorkerAppointed) EventType() string { return "grid-worker-appointed/1" }

// GridWorkerRelieved records that a worker no longer serves on this grid, in any duty; on other grids
// nothing changes. A grid whose lead was relieved has a vacancy until the next lead is appointed, also
// while somebody acts.
type GridWorkerRelieved struct {
	Grid   GridCode `json:"grid"`
	Worker string   `json:"worker"`
}

// EventType implements [Event].
func (GridWorkerRelieved) EventType() string { return "grid-worker-relieved/1" }

// ActingWorkerAppointed records who covers for an absent or missing lead (rule R21), in place of whoever
// acted before. It relieves nobody: an absent lead stays the lead.
type ActingWorkerAppointed struct {
	Grid   GridCode `json:"grid"`
	Worker string   `json:"worker"`
}

// EventType implements [Event].
func (ActingWorkerAppointed) EventType() string { return "acting-worker-appointed/1" }

// PartyGroupsSet records which party groups serve a grid from now on (网格党小组). The list is complete: which is not on it serves it no more.
// A grid may have none, and one group may serve several grids: nothing here makes them one to one.
type PartyGroupsSet struct {
	Grid   GridCode `json:"grid"`
	Groups []string `json:"groups,omitempty"` // opaque codes of organisations, never names of persons; in order, none: the grid is not covered
}

// EventType implements [Event].
func (PartyGroupsSet) EventType() string { return "grid-party-groups-set/1" }

// GridsState is what the stream of a community's grids says. The zero state is a stream that does not exist yet.
type GridsState struct {
	Grids     []GridState   // in the order they were drawn
	Surveyed  UnitCode      // the community, once its blocks were surveyed; "" before
	Buildings []Building    // as surveyed last, in code order
	On        calendar.Date // of the last change; dates ascend, so the plan of a day is a beginning of the stream
}

// GridState is one grid with who serves on it and who did.
type GridState struct {
	Drawn      GridDrawn
	Since      calendar.Date // drawn
	Until      calendar.Date // retired, split or merged: the first day without it; zero = it is active
	Retired    bool          // also when split or merged
	Successors []GridCode    // that continue it, in code order; none for a grid that was merely retired
	Stairwells []BlockCode   // whose households it serves, in code order; none once it is retired
	Lead       string        // "" = vacancy
	Acting     string        // "" = nobody
	Assistants []Assistant
	Relieved   []string // served here once and do not now
	Groups     []string // party groups that serve it, in order; nil = none
}

// Assistant is a worker who helps on a grid.
type Assistant struct {
	Worker   string
	FullTime bool
}

// Community returns the community whose plan it is, "" before the first event.
func (s GridsState) Community() UnitCode {
	if len(s.Grids) == 0 {
		return s.Surveyed
	}
	return s.Grids[0].Drawn.Grid.Community()
}

// Grid returns a grid, retired ones included.
func (s GridsState) Grid(g GridCode) (GridState, bool) {
	i := slices.IndexFunc(s.Grids, func(x GridState) bool { return x.Drawn.Grid == g })
	if i < 0 {
		return GridState{}, false
	}
	return s.Grids[i], true
}

// FoldGrids returns the state after the event, which happened on a local date; s stays as it is. Events of other
// streams change nothing. It costs a copy of the list of grids: a community has a handful, and never more than 999.
func FoldGrids(s GridsState, e Event, on calendar.Date) GridsState {
	after, ours := foldGrids(s, e, on)
	if ours {
		after.On = max(s.On, on)
	}
	return after
}

func foldGrids(s GridsState, e Event, on calendar.Date) (_ GridsState, ours bool) {
	switch e := e.(type) {
	case BlocksSurveyed:
		return s.surveyed(e), true
	case HouseholdsAssigned:
		return s.assigned(e), true
	case GridDrawn:
		s.Grids = append(slices.Clip(s.Grids), GridState{Drawn: e, Since: on})
		return s, true
	case GridRetired:
		return s.with(e.Grid, func(g *GridState) { g.end(on) }), true
	case GridSplit:
		return s.with(e.Grid, func(g *GridState) { g.end(on, e.Into...) }), true
	case GridMerged:
		for _, old := range e.Grids {
			s = s.with(old, func(g *GridState) { g.end(on, e.Into) })
		}
		return s, true
	case GridWorkerAppointed:
		return s.with(e.Grid, func(g *GridState) {
			g.Assistants = g.assistantsBut(e.Worker)
			if e.Duty == DutyLead {
				acted := g.Acting
				g.Lead, g.Acting = e.Worker, ""
				g.settle(acted)
			} else {
				g.Assistants = append(g.Assistants, Assistant{Worker: e.Worker, FullTime: e.FullTime})
			}
			g.settle(e.Worker)
		}), true
	case ActingWorkerAppointed:
		return s.with(e.Grid, func(g *GridState) {
			acted := g.Acting
			g.Acting = e.Worker
			g.settle(acted)
			g.settle(e.Worker)
		}), true
	case PartyGroupsSet:
		return s.with(e.Grid, func(g *GridState) { g.Groups = e.Groups }), true
	case GridWorkerRelieved:
		return s.with(e.Grid, func(g *GridState) {
			g.Assistants = g.assistantsBut(e.Worker)
			if g.Lead == e.Worker {
				g.Lead = ""
			}
			if g.Acting == e.Worker {
				g.Acting = ""
			}
			g.settle(e.Worker)
		}), true
	}
	return s, false
}

// end takes a grid off the plan: who served there is free, and its households are others'. Its party groups do not go on to its successors by themselves.
func (g *GridState) end(on calendar.Date, successors ...GridCode) {
	g.Retired, g.Until, g.Successors = true, on, slices.Sorted(slices.Values(successors))
	g.Lead, g.Acting, g.Assistants, g.Stairwells, g.Groups = "", "", nil, nil, nil
}

// with returns the state with one grid changed.
func (s GridsState) with(g GridCode, f func(*GridState)) GridsState {
	grids := slices.Clone(s.Grids)
	for i := range grids {
		if grids[i].Drawn.Grid == g {
			f(&grids[i])
		}
	}
	s.Grids = grids
	return s
}

// assistantsBut returns the assistants without one worker, in a fresh slice: the old one belongs to an earlier state.
func (g *GridState) assistantsBut(worker string) []Assistant {
	return slices.DeleteFunc(slices.Clone(g.Assistants), func(a Assistant) bool { return a.Worker == worker })
}

// settle puts a worker on the list of the relieved, or off it, by whether they serve now.
func (g *GridState) settle(worker string) {
	g.Relieved = slices.DeleteFunc(slices.Clone(g.Relieved), func(w string) bool { return w == worker })
	if worker != "" && !g.serves(worker) {
		g.Relieved = append(g.Relieved, worker)
	}
}

func (g *GridState) serves(worker string) bool {
	_, assists := g.assists(worker)
	return worker != "" && (assists || worker == g.Lead || worker == g.Acting)
}

func (g *GridState) assists(worker string) (Assistant, bool) {
	i := slices.IndexFunc(g.Assistants, func(a Assistant) bool { return a.Worker == worker })
	if i < 0 {
		return Assistant{}, false
	}
	return g.Assistants[i], true
}

// GridsCommand asks for a change of one community's grids.
type GridsCommand interface {
	Community() UnitCode // names the stream; "" if the grid's code has not the form of one
	grid() GridCode
}

// DrawGrid asks to draw a grid. The fields are those of [GridDrawn].
type DrawGrid struct {
	Grid       GridCode
	Name       string
	Households int
	Buildings  int
	Stairwells int
	Urban      bool
}

// RetireGrid asks to retire a grid that nobody leads any more.
type RetireGrid struct{ Grid GridCode }

// AppointGridWorker asks to appoint a worker. The fields are those of [GridWorkerAppointed].
type AppointGridWorker struct {
	Grid     GridCode
	Worker   string
	Duty     Duty
	FullTime bool
}

// RelieveGridWorker asks to relieve a worker of all duties on one grid.
type RelieveGridWorker struct {
	Grid   GridCode
	Worker string
}

// AppointActingWorker asks to let a worker cover for the lead.
type AppointActingWorker struct {
	Grid   GridCode
	Worker string
}

// SetPartyGroups asks to let these party groups, and no others, serve a grid. They may come in any order.
type SetPartyGroups struct {
	Grid   GridCode
	Groups []string
}

// Community implements [GridsCommand].
func (c DrawGrid) Community() UnitCode { return c.Grid.Community() }

// Community implements [GridsCommand].
func (c RetireGrid) Community() UnitCode { return c.Grid.Community() }

// Community implements [GridsCommand].
func (c AppointGridWorker) Community() UnitCode { return c.Grid.Community() }

// Community implements [GridsCommand].
func (c RelieveGridWorker) Community() UnitCode { return c.Grid.Community() }

// Community implements [GridsCommand].
func (c AppointActingWorker) Community() UnitCode { return c.Grid.Community() }

// Community implements [GridsCommand].
func (c SetPartyGroups) Community() UnitCode { return c.Grid.Community() }

func (c DrawGrid) grid() GridCode            { return c.Grid }
func (c RetireGrid) grid() GridCode          { return c.Grid }
func (c AppointGridWorker) grid() GridCode   { return c.Grid }
func (c RelieveGridWorker) grid() GridCode   { return c.Grid }
func (c AppointActingWorker) grid() GridCode { return c.Grid }
func (c SetPartyGroups) grid() GridCode      { return c.Grid }

// DecideGrids returns the events that the command leads to in this state, given the tree as a fact and the local date
// from which it is to hold. What is so already decides nothing. The error is a [*Refusal] unless the command is of an
// unknown type or belongs to another stream.
func DecideGrids(s GridsState, c GridsCommand, tree *Tree, on calendar.Date) ([]Event, error) {
	if own := s.Community(); own != "" && c.Community() != own {
		return nil, fmt.Errorf("grids of %s: command %T is for %q", own, c, c.Community())
	}
	events, err := decideGrids(s, c, tree, on)
	if err == nil && len(events) > 0 && on < s.On {
		return nil, refuse("C10", fmt.Sprintf("生效日 %s 早于网格图最近一次变更 %s", on, s.On),
			fmt.Sprintf("%s lies before %s, the last change of the plan: changes are recorded in the order in which they hold", on, s.On))
	}
	return events, err
}

func decideGrids(s GridsState, c GridsCommand, tree *Tree, on calendar.Date) ([]Event, error) {
	switch c := c.(type) {
	case SurveyBlocks:
		return decideSurvey(s, c, tree)
	case MergeGrids:
		return decideMerge(s, c, on)
	}
	g, drawn := s.Grid(c.grid())
	if c, ok := c.(DrawGrid); ok {
		return decideDraw(g, c, tree)
	}
	if !drawn {
		return nil, refuseState(fmt.Sprintf("网格 %q 尚未划定", c.grid()), fmt.Sprintf("the grid %q has not been drawn", c.grid()))
	}
	switch c := c.(type) {
	case RetireGrid:
		return decideRetire(g, c)
	case SplitGrid:
		return decideSplit(s, g, c, on)
	}
	if g.Retired {
		return nil, refuseState(fmt.Sprintf("网格 %s 已撤销", c.grid()), fmt.Sprintf("the grid %s is retired", c.grid()))
	}
	switch c := c.(type) {
	case AssignHouseholds:
		return decideAssign(s, g, c)
	case AppointGridWorker:
		return decideAppoint(g, c)
	case RelieveGridWorker:
		return decideRelieve(g, c)
	case AppointActingWorker:
		return decideAct(g, c)
	case SetPartyGroups:
		return decideGroups(g, c)
	}
	return nil, fmt.Errorf("grids of %s: no decision for command %T", c.Community(), c)
}

func decideDraw(g GridState, c DrawGrid, tree *Tree) ([]Event, error) {
	if g.Drawn.Grid != "" {
		if !g.Retired && g.Drawn == GridDrawn(c) {
			return nil, nil
		}
		return nil, refuse("I17", fmt.Sprintf("网格代码 %s 已使用过，不得重复使用", c.Grid),
			fmt.Sprintf("the grid code %s was given before and is never given again", c.Grid))
	}
	if err := checkGridCode(c.Grid); err != nil {
		return nil, err
	}
	if err := checkName(c.Name); err != nil {
		return nil, err
	}
	if c.Households < 0 || c.Buildings < 0 || c.Stairwells < 0 {
		return nil, refuse("C10", "户数、楼栋数、单元数不能为负", "households, buildings and stairwells cannot be negative")
	}
	if err := divisible(c.Community(), tree); err != nil {
		return nil, err
	}
	return []Event{GridDrawn(c)}, nil
}

func checkGridCode(g GridCode) error {
	if !g.Valid() || strings.HasSuffix(string(g), "000") {
		return refuse("I17", fmt.Sprintf("网格代码 %q 须为社区代码加 001 起的三位序号", g),
			fmt.Sprintf("the grid code %q is not a community's 12 digits and a serial from 001", g))
	}
	return nil
}

// divisible wants an open community: nothing else is divided into grids.
func divisible(code UnitCode, tree *Tree) error {
	u, err := openUnit(code, tree, "I8")
	if err == nil && u.Kind != Community {
		err = refuse("I8", fmt.Sprintf("%s 不是社区，不能划定网格", code), fmt.Sprintf("%s is not a community and has no grids", code))
	}
	return err
}

func decideRetire(g GridState, c RetireGrid) ([]Event, error) {
	if g.Retired {
		return nil, nil
	}
	if g.Lead != "" || g.Acting != "" {
		return nil, refuse("I8", fmt.Sprintf("网格 %s 的专职或代理网格员尚未免职", c.Grid),
			fmt.Sprintf("the grid %s still has a lead or an acting worker", c.Grid))
	}
	if len(g.Stairwells) > 0 {
		return nil, refuse("I8", fmt.Sprintf("网格 %s 尚有 %d 个单元，请先划入其他网格，或以拆分、合并调整", c.Grid, len(g.Stairwells)),
			fmt.Sprintf("the grid %s still has %d stairwells: assign them to other grids first, or split or merge it", c.Grid, len(g.Stairwells)))
	}
	return []Event{GridRetired(c)}, nil
}

func decideAppoint(g GridState, c AppointGridWorker) ([]Event, error) {
	if err := checkWorker(c.Worker); err != nil {
		return nil, err
	}
	switch c.Duty {
	case DutyLead:
		if !c.FullTime {
			return nil, refuse("C11", "网格负责人须为专职", "a grid's lead works full time")
		}
		if g.Lead == c.Worker {
			return nil, nil
		}
		if g.Lead != "" {
			return nil, refuse("I8", fmt.Sprintf("网格 %s 已有专职网格员", c.Grid),
				fmt.Sprintf("the grid %s has a lead already, who must be relieved first", c.Grid))
		}
	case DutyAssistant:
		if g.Lead == c.Worker {
			return nil, refuse("C11", "该人员已是本网格专职网格员", "the worker leads this grid already")
		}
		if now, serves := g.assists(c.Worker); serves && now.FullTime == c.FullTime {
			return nil, nil
		}
	default:
		return nil, refuse("C11", fmt.Sprintf("没有 %q 这种职责", c.Duty), fmt.Sprintf("there is no duty %q", c.Duty))
	}
	return []Event{GridWorkerAppointed(c)}, nil
}

func decideRelieve(g GridState, c RelieveGridWorker) ([]Event, error) {
	if g.serves(c.Worker) {
		return []Event{GridWorkerRelieved(c)}, nil
	}
	if slices.Contains(g.Relieved, c.Worker) {
		return nil, nil
	}
	return nil, refuse("C11", fmt.Sprintf("该人员不在网格 %s 任职", c.Grid),
		fmt.Sprintf("the worker does not serve on the grid %s", c.Grid))
}

func decideAct(g GridState, c AppointActingWorker) ([]Event, error) {
	if err := checkWorker(c.Worker); err != nil {
		return nil, err
	}
	if g.Acting == c.Worker {
		return nil, nil
	}
	if g.Lead == c.Worker {
		return nil, refuse("C11", "专职网格员不能代理自己", "a lead cannot act for themselves")
	}
	return []Event{ActingWorkerAppointed(c)}, nil
}

// maxGroups is how many party groups may serve one grid; ours.
const maxGroups = 20

func decideGroups(g GridState, c SetPartyGroups) ([]Event, error) {
	groups := slices.Compact(slices.Sorted(slices.Values(c.Groups)))
	if slices.Equal(groups, g.Groups) {
		return nil, nil
	}
	if len(groups) > maxGroups {
		return nil, refuse("TM1", fmt.Sprintf("一个网格最多登记 %d 个党小组", maxGroups), fmt.Sprintf("a grid has at most %d party groups", maxGroups))
	}
	for _, code := range groups {
		if !visible(code) {
			return nil, refuse("I14", "党小组编号须为 1 至 64 个 ASCII 可见字符，不得填写姓名",
				"a party group is named by a code of 1 to 64 visible ASCII characters, never by a person's name")
		}
	}
	return []Event{PartyGroupsSet{Grid: c.Grid, Groups: groups}}, nil
}

// checkWorker wants 1 to 64 visible ASCII characters: an id that was handed out, not a name that was typed in.
func checkWorker(id string) error {
	if !visible(id) {
		return refuse("I14", "人员编号须为 1 至 64 个 ASCII 可见字符，不得填写姓名",
			"a worker is named by an id of 1 to 64 visible ASCII characters, never by a name")
	}
	return nil
}

// visible reports whether a code is 1 to 64 visible ASCII characters.
func visible(code string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	return code != "" && len(code) <= 64 && !strings.ContainsFunc(code, odd)
}

// SizeBand is the number of households an urban grid should have, both ends included.
type SizeBand struct{ Low, High int }

// DefaultSizeBand is 200 to 400, our reading of "about 300 households" (rule C10); a policy may name another.
func DefaultSizeBand() SizeBand { return SizeBand{Low: 200, High: 400} }

// SizeWarning returns a remark, in both languages, on an urban grid outside the band, and "" for all
// others. Nothing is refused for its size.
func SizeWarning(band SizeBand, urban bool, households int) (zh, en string) {
	if !urban || households >= band.Low && households <= band.High {
		return "", ""
	}
	return fmt.Sprintf("网格 %d 户，建议 %d 至 %d 户", households, band.Low, band.High),
		fmt.Sprintf("the grid has %d households; %d to %d are advised", households, band.Low, band.High)
}
