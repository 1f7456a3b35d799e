package orgs

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gridcase/domain/calendar"
)

// Event is something that happened to a unit or to a community's grids. Every event names its unit or grid,
// so it can be read without its stream's name.
type Event interface{ EventType() string }

// UnitOpened records that an organisation exists from now on, under a code that nothing else ever bears.
// It opens the stream; no other event can come first.
type UnitOpened struct {
	Code       UnitCode   `json:"code"`
	Name       string     `json:"name"` // of the organisation, never of a person
	Kind       Kind       `json:"kind"`
	Parent     UnitCode   `json:"parent"`            // where it sits: an agency's host street, not its department; "" for the city
	Department UnitCode   `json:"department"`        // the department that dispatched an agency; "" for all other kinds
	Members    []UnitCode `json:"members,omitempty"` // a joint team's member agencies, in code order; they stay units of their own
}

// EventType implements [Event].
func (UnitOpened) EventType() string { return "unit-opened/1" }

// UnitRenamed records a new name. The code stays, and what was done under the old name stays this unit's.
type UnitRenamed struct {
	Code UnitCode `json:"code"`
	Name string   `json:"name"`
}

// EventType implements [Event].
func (UnitRenamed) EventType() string { return "unit-renamed/1" }

// MembersSet records who belongs to a joint team from now on. The list is complete: who is not on it has left.
type MembersSet struct {
	Code    UnitCode   `json:"code"`
	Members []UnitCode `json:"members"` // agencies in code order, at least one
}

// EventType implements [Event].
func (MembersSet) EventType() string { return "unit-members-set/1" }

// UnitClosed records that an organisation takes part in nothing new. Its cases, its code and its place in
// the tree stay.
type UnitClosed struct {
	Code      UnitCode `json:"code"`
	Successor UnitCode `json:"successor"` // whom to ask now; moves no order and no case by itself; "" = nobody
}

// EventType implements [Event].
func (UnitClosed) EventType() string { return "unit-closed/1" }

// Refusal is a decision not to do what was asked. It is an answer, not a fault.
type Refusal struct {
	Code   string // "wrong_state" or "guard_failed"
	Rule   string // number in the rule book: "I17", "C14"
	Zh, En string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s (%s): %s", r.Code, r.Rule, r.En) }

const (
	wrongState  = "wrong_state"
	guardFailed = "guard_failed"
)

func refuse(rule, zh, en string) error {
	return &Refusal{Code: guardFailed, Rule: rule, Zh: zh, En: en}
}

func refuseState(zh, en string) error {
	return &Refusal{Code: wrongState, Rule: "M1", Zh: zh, En: en}
}

// UnitState is what a unit's stream says. The zero state is a stream that does not exist yet.
type UnitState struct {
	Opened     UnitOpened // as it began; Opened.Code is "" before that
	Name       string
	Members    []UnitCode
	Closed     bool
	Successor  UnitCode      // whom to ask since it was closed
	Successors []UnitCode    // the communities that continue one that was split or merged
	Until      calendar.Date // the first day on which they do
}

// FoldUnit returns the state after the event; s stays as it is. Events of other streams change nothing.
func FoldUnit(s UnitState, e Event) UnitState {
	switch e := e.(type) {
	case UnitOpened:
		return UnitState{Opened: e, Name: e.Name, Members: e.Members}
	case UnitRenamed:
		s.Name = e.Name
	case MembersSet:
		s.Members = e.Members
	case UnitClosed:
		s.Closed, s.Successor = true, e.Successor
	case CommunitySplit:
		s.Closed, s.Successors, s.Until = true, e.Into, e.On
	case CommunityMerged:
		s.Closed, s.Successors, s.Until = true, []UnitCode{e.Into}, e.On
	}
	return s
}

// UnitCommand asks for a change of one unit.
type UnitCommand interface {
	Unit() UnitCode // names the stream
}

// OpenUnit asks to open a unit. The fields are those of [UnitOpened]; Members may come in any order.
type OpenUnit struct {
	Code       UnitCode
	Name       string
	Kind       Kind
	Parent     UnitCode
	Department UnitCode
	Members    []UnitCode
}

// RenameUnit asks for another name.
type RenameUnit struct {
	Code UnitCode
	Name string
}

// SetMembers asks to make these agencies, and no others, the members of a joint team. They may come in any order.
type SetMembers struct {
	Code    UnitCode
	Members []UnitCode
}

// CloseUnit asks to close a unit. Successor is an open unit of the same kind, or "".
type CloseUnit struct {
	Code      UnitCode
	Successor UnitCode
}

// Unit implements [UnitCommand].
func (c OpenUnit) Unit() UnitCode { return c.Code }

// Unit implements [UnitCommand].
func (c RenameUnit) Unit() UnitCode { return c.Code }

// Unit implements [UnitCommand].
func (c SetMembers) Unit() UnitCode { return c.Code }

// Unit implements [UnitCommand].
func (c CloseUnit) Unit() UnitCode { return c.Code }

// DecideUnit returns the events that the command leads to in this state, given the tree as a fact and the local
// date from which it is to hold. What is so already decides nothing. The error is a [*Refusal] unless the command is of
// an unknown type or belongs to another stream.
//
// The tree is as fresh as the reader of the log: of two commands on different streams that race, such as
// closing a street and opening a community in it, both can be let through.
func DecideUnit(s UnitState, c UnitCommand, tree *Tree, on calendar.Date) ([]Event, error) {
	if s.Opened.Code != "" && c.Unit() != s.Opened.Code {
		return nil, fmt.Errorf("unit %s: command %T is for unit %s", s.Opened.Code, c, c.Unit())
	}
	if open, ok := c.(OpenUnit); ok {
		return decideOpen(s, open, tree)
	}
	if s.Opened.Code == "" {
		return nil, refuseState(fmt.Sprintf("单位 %s 尚未设立", c.Unit()),
			fmt.Sprintf("the unit %s has not been opened", c.Unit()))
	}
	switch c := c.(type) {
	case CloseUnit:
		return decideClose(s, c, tree)
	case SplitCommunity:
		return decideCommunitySplit(s, c, tree, on)
	case MergeCommunity:
		return decideCommunityMerge(s, c, tree, on)
	}
	if s.Closed {
		return nil, refuseState(fmt.Sprintf("单位 %s 已撤销", c.Unit()), fmt.Sprintf("the unit %s is closed", c.Unit()))
	}
	switch c := c.(type) {
	case RenameUnit:
		if c.Name == s.Name {
			return nil, nil
		}
		if err := checkName(c.Name); err != nil {
			return nil, err
		}
		return []Event{UnitRenamed(c)}, nil
	case SetMembers:
		if s.Opened.Kind != JointTeam {
			return nil, refuse("C14", "只有综合执法队有成员机构", "only a joint team has member agencies")
		}
		members := ordered(c.Members)
		if slices.Equal(members, s.Members) {
			return nil, nil
		}
		if err := checkMembers(members, s.Opened.Parent, tree); err != nil {
			return nil, err
		}
		return []Event{MembersSet{Code: c.Code, Members: members}}, nil
	}
	return nil, fmt.Errorf("unit %s: no decision for command %T", c.Unit(), c)
}

func decideOpen(s UnitState, c OpenUnit, tree *Tree) ([]Event, error) {
	c.Members = ordered(c.Members)
	if s.Opened.Code != "" {
		if !s.Closed && sameOpening(s.Opened, UnitOpened(c)) {
			return nil, nil
		}
		return nil, refuse("I17", fmt.Sprintf("代码 %s 已使用过，不得重复使用", c.Code),
			fmt.Sprintf("the code %s was given before and is never given again", c.Code))
	}
	if err := checkName(c.Name); err != nil {
		return nil, err
	}
	parent, err := checkPlace(c, tree)
	if err != nil {
		return nil, err
	}
	if !codeFits(c.Code, c.Kind, c.Parent) {
		return nil, refuse("I17", fmt.Sprintf("代码 %q 不符合 %s 的编码规则（上级 %q）", c.Code, c.Kind, c.Parent),
			fmt.Sprintf("the code %q is not of the form for a %s in %q", c.Code, c.Kind, c.Parent))
	}
	if err := checkDepartment(c, parent, tree); err != nil {
		return nil, err
	}
	switch {
	case c.Kind == JointTeam:
		if err := checkMembers(c.Members, c.Parent, tree); err != nil {
			return nil, err
		}
	case len(c.Members) > 0:
		return nil, refuse("C14", "只有综合执法队有成员机构", "only a joint team has member agencies")
	}
	return []Event{UnitOpened(c)}, nil
}

func sameOpening(a, b UnitOpened) bool {
	return a.Code == b.Code && a.Name == b.Name && a.Kind == b.Kind && a.Parent == b.Parent &&
		a.Department == b.Department && slices.Equal(a.Members, b.Members)
}

// ordered returns the codes sorted, each once, nil for none; cs stays as it is.
func ordered(cs []UnitCode) []UnitCode {
	if len(cs) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(cs)))
}

// hosts lists the kinds of units that a unit of kind k may sit in; nil for the city, which is the top, and
// for grids, which are drawn and not opened.
func (k Kind) hosts() []Kind {
	switch k {
	case District, Bureau:
		return []Kind{City}
	case Department, Street:
		return []Kind{District}
	case Agency, Community:
		return []Kind{Street}
	case JointTeam:
		return []Kind{District, Street}
	case Utility, Hotline:
		return []Kind{City, District}
	case Property, SocialOrg, Team:
		return []Kind{District, Street, Community}
	case Centre, Oversight:
		return []Kind{City, District, Street, Community}
	}
	return nil
}

// checkPlace says whether a unit of this kind may sit where it is asked to, and returns what it sits in.
func checkPlace(c OpenUnit, tree *Tree) (Unit, error) {
	switch {
	case c.Kind == Grid:
		return Unit{}, refuse("I8", "网格须在社区网格图上划定", "a grid is drawn on its community's plan, not opened as a unit")
	case !slices.Contains(Kinds(), c.Kind):
		return Unit{}, refuse("C2", fmt.Sprintf("没有 %q 这类单位", c.Kind), fmt.Sprintf("there is no kind of unit %q", c.Kind))
	case c.Kind == City:
		if c.Parent != "" {
			return Unit{}, refuse("C2", "市没有上级单位", "a city sits in no other unit")
		}
		return Unit{}, nil
	}
	parent, err := openUnit(c.Parent, tree, "C2")
	if err != nil {
		return Unit{}, err
	}
	if !slices.Contains(c.Kind.hosts(), parent.Kind) {
		return Unit{}, refuse("C2", fmt.Sprintf("%s 类单位不能设在 %s 之下", c.Kind, parent.Kind),
			fmt.Sprintf("a %s may not sit in a %s", c.Kind, parent.Kind))
	}
	return parent, nil
}

// openUnit returns a unit that exists and is open, else a refusal under the rule.
func openUnit(code UnitCode, tree *Tree, rule string) (Unit, error) {
	u, known := tree.Unit(code)
	if !known || u.Closed {
		return Unit{}, refuse(rule, fmt.Sprintf("单位 %q 不存在或已撤销", code),
			fmt.Sprintf("the unit %q does not exist or is closed", code))
	}
	return u, nil
}

// codeFits says whether a code has the form for its kind and begins with its parent's part. Places bear
// statistical division codes; trailing pairs of zeros of a city's code stand for "all of it" and do not
// count. All other bodies bear their host's code, a hyphen and a short name.
func codeFits(code UnitCode, k Kind, parent UnitCode) bool {
	c, p := string(code), string(parent)
	if !code.Valid() {
		return false
	}
	switch k {
	case City:
		return len(c) == 6 && digits(c) && strings.HasSuffix(c, "00")
	case District:
		for strings.HasSuffix(p, "00") {
			p = strings.TrimSuffix(p, "00")
		}
		return len(c) == 6 && digits(c) && !strings.HasSuffix(c, "00") && strings.HasPrefix(c, p)
	case Street:
		return len(c) == 9 && digits(c) && strings.HasPrefix(c, p)
	case Community:
		return len(c) == 12 && digits(c) && strings.HasPrefix(c, p)
	}
	name, hosted := strings.CutPrefix(c, p+"-")
	return hosted && name != "" && strings.Trim(name, "-") == name
}

func checkDepartment(c OpenUnit, host Unit, tree *Tree) error {
	if c.Kind != Agency {
		if c.Department != "" {
			return refuse("C4", "只有派驻机构有派出部门", "only a dispatched agency has a parent department")
		}
		return nil
	}
	d, err := openUnit(c.Department, tree, "C4")
	if err != nil {
		return err
	}
	if d.Kind != Department || d.Parent != host.Parent {
		return refuse("C4", fmt.Sprintf("%s 不是本区职能部门，不能派驻机构", c.Department),
			fmt.Sprintf("%s is not a department of the host street's district and dispatches no agency there", c.Department))
	}
	return nil
}

func checkMembers(members []UnitCode, host UnitCode, tree *Tree) error {
	if len(members) == 0 {
		return refuse("C14", "综合执法队至少有一个成员机构", "a joint team has at least one member agency")
	}
	for _, m := range members {
		u, err := openUnit(m, tree, "C14")
		if err != nil {
			return err
		}
		if u.Kind != Agency || !tree.Within(m, host) {
			return refuse("C14", fmt.Sprintf("%s 不是 %s 辖区内的派驻机构", m, host),
				fmt.Sprintf("%s is not a dispatched agency within %s", m, host))
		}
	}
	return nil
}

// nameLimit is the longest name of a unit or grid, in characters; ours.
const nameLimit = 100

func checkName(name string) error {
	odd := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	if name == "" || strings.TrimSpace(name) != name || strings.ContainsFunc(name, odd) || utf8.RuneCountInString(name) > nameLimit {
		return refuse("I17", fmt.Sprintf("名称须为 1 至 %d 个可见字符，首尾无空格", nameLimit),
			fmt.Sprintf("a name has 1 to %d visible characters and no space at its ends", nameLimit))
	}
	return nil
}

func decideClose(s UnitState, c CloseUnit, tree *Tree) ([]Event, error) {
	if s.Closed {
		if c.Successor == s.Successor {
			return nil, nil
		}
		return nil, refuseState(fmt.Sprintf("单位 %s 已撤销，承接单位不再变更", c.Code),
			fmt.Sprintf("the unit %s is closed already; its successor stays as recorded", c.Code))
	}
	if by, held := heldOpen(c.Code, tree); held {
		return nil, refuse("I17", fmt.Sprintf("%s 仍依附于 %s，不能撤销", by, c.Code),
			fmt.Sprintf("%s still depends on %s, which cannot be closed before it", by, c.Code))
	}
	if c.Successor != "" {
		next, err := openUnit(c.Successor, tree, "I17")
		if err != nil {
			return nil, err
		}
		if next.Code == c.Code || next.Kind != s.Opened.Kind {
			return nil, refuse("I17", fmt.Sprintf("承接单位 %s 须为另一个 %s 类单位", c.Successor, s.Opened.Kind),
				fmt.Sprintf("the successor %s is not another %s", c.Successor, s.Opened.Kind))
		}
	}
	return []Event{UnitClosed(c)}, nil
}

// heldOpen returns the first unit or grid that keeps a unit from closing: an open unit or active grid in
// it, an open agency it dispatched, an open joint team it belongs to. It reads the whole tree: closing is rare.
func heldOpen(code UnitCode, tree *Tree) (UnitCode, bool) {
	for _, g := range tree.Grids(code) {
		if !g.Retired {
			return g.Code.Unit(), true
		}
	}
	for u := range tree.All() {
		if !u.Closed && (u.Parent == code || u.Department == code || slices.Contains(u.Members, code)) {
			return u.Code, true
		}
	}
	return "", false
}
