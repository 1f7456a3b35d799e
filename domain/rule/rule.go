// Package rule is the shape all decisions share: who acts and when, how a state machine is written down as
// a table, and how a refusal is said.
//
// A machine is data: [Machine] lists every transition with the number under which the rule book names it,
// and [Machine.Admit] is the only place that asks whether a state allows a command. What a table cannot
// say — guards on facts — is code beside it, in the package of the aggregate.
package rule

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Actor is who acts, as what, for which unit. ID is opaque: it names a key or an account, never a person's name.
type Actor struct {
	ID   string        `json:"id"`
	Role orgs.Role     `json:"role"`
	Unit orgs.UnitCode `json:"unit"`
}

// Stamp is what an event's metadata tells the fold: which event, who, when it happened, when it was recorded.
type Stamp struct {
	Event    stream.ID // zero while deciding
	Actor    Actor
	Second   *Actor    // who confirmed, where the rule asks for two
	Occurred time.Time // when it happened, says the caller
	Recorded time.Time // our clock when it was decided
}

// At is the circumstance of one decision: the stamp the event will carry, and the facts that all rules need.
// The domain reads no clock and no store; everything it may know is here or in the command.
type At struct {
	Stamp
	Facts      Facts
	Units      *orgs.Tree
	Clocks     calendar.Rules
	Gate       Gate               // nil: nobody ever published a list, everything passes
	Escalation *escalation.Policy // nil: the default
}

// Gate answers whether a matter may be loaded on a community, grid or street (rule I7). Block is nil if it may.
type Gate interface {
	Check(target orgs.Unit, matter string, lead bool, on calendar.Date) *Block
}

// Block says which published row forbids a dispatch.
type Block struct {
	Unit      orgs.UnitCode // to which the matter was to be given
	Target    orgs.UnitCode // whom the list protects: Unit, or the community of the grid
	Matter    string
	Lead      bool // it was to lead; else to assist
	Publisher orgs.UnitCode
	List      string
	Named     Phrase // the list in words, zero if there are none
	Version   int
	Row       string // in the words of the list, "" where the matter is on none
	Basis     string // why the list says so
	Instead   string // where to go, for a certificate

	Grant stream.ID // an admission that was granted for the matter and does not open it, zero if there is none
	Lacks []string  // what that grant lacks: list, scope, role, term, funding
	Short Phrase    // the same in words
}

// words says the block to whoever asked for the dispatch.
func (b Block) words() Phrase {
	named := b.Named
	if named == (Phrase{}) {
		named = Say(b.List, b.List)
	}
	zh, en := fmt.Sprintf("准入清单不允许 %s 主办事项 %s：%s，第 %d 版", b.Unit, b.Matter, named.Zh, b.Version),
		fmt.Sprintf("%s may not lead matter %s: %s, version %d", b.Unit, b.Matter, named.En, b.Version)
	if !b.Lead {
		zh, en = strings.Replace(zh, "主办", "协办", 1), strings.Replace(en, "may not lead", "may not assist in", 1)
	}
	for _, more := range []struct{ zh, en, text string }{{"", "", b.Row}, {"依据：", "basis: ", b.Basis}, {"请到：", "go to: ", b.Instead}} {
		if more.text != "" {
			zh, en = zh+"；"+more.zh+more.text, en+"; "+more.en+more.text
		}
	}
	if !b.Grant.IsZero() {
		zh, en = zh+fmt.Sprintf("；已有准入 %s，但%s", b.Grant, b.Short.Zh), en+fmt.Sprintf("; the admission %s does not open it: %s", b.Grant, b.Short.En)
	}
	return Say(zh, en)
}

// Phrase is a sentence in the languages of the people who read it.
type Phrase struct{ Zh, En string }

// Say makes a phrase.
func Say(zh, en string) Phrase { return Phrase{zh, en} }

// Code is the stable name of a refusal, the same in every answer and every language.
type Code string

// The refusals.
const (
	WrongState       Code = "wrong_state"
	GuardFailed      Code = "guard_failed"
	RoleMissing      Code = "role_missing"
	OutsideJuris     Code = "outside_jurisdiction"
	SameUnit         Code = "same_unit"
	SecondPerson     Code = "second_person_required"
	GateBlocked      Code = "gate_blocked"
	ReturnExhausted  Code = "return_exhausted"
	WindowClosed     Code = "window_closed"
	CalendarUnknown  Code = "calendar_unknown"
	EvidenceMissing  Code = "evidence_missing"
	KeyReused        Code = "key_reused"
	RevisionConflict Code = "revision_conflict"
	WeightBelowFloor Code = "weight_below_floor"
	PeriodSealed     Code = "period_sealed"
	UndecidedItems   Code = "undecided_items"
)

// Refusal is a decision not to do what was asked. It is an answer, not a fault.
type Refusal struct {
	Code     Code
	Rule     string   // number in the rule book: "D7", "I2"
	State    string   // where the machine stands
	Possible []string // commands that this state allows
	Detail   Phrase
	Block    *Block // of [GateBlocked]: what forbids it
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s (%s): %s", r.Code, r.Rule, r.Detail.En)
}

// Refuse makes a refusal; the aggregate adds state and possible commands with [Machine.Explain].
func Refuse(code Code, rule, zh, en string) *Refusal {
	return &Refusal{Code: code, Rule: rule, Detail: Say(zh, en)}
}

// Row is one line of a machine's table: in any of From, Command by one of Actors leads to To and is
// remembered as Event. No From means that it begins the stream. Second names the role that must confirm
// in any case; some guards ask for a second person only sometimes.
type Row[S ~string] struct {
	ID      string
	From    []S
	To      S
	Command string // kebab case, as in the path of the API
	Event   string // type without version, "demand-raised"
	Variant string // tells rows apart that share command and event: "close", "rework"
	Actors  []orgs.Role
	Second  orgs.Role
}

// Note is a fact that leaves the state as it is: Command in any state of In, by one of Actors.
type Note[S ~string] struct {
	Command string
	Event   string
	In      []S
	Actors  []orgs.Role
}

// Machine is the complete table of one aggregate: a pair of state and command that is not in it is refused.
type Machine[S ~string] struct {
	Name     string
	States   []S
	Terminal []S // no clock runs here
	Rows     []Row[S]
	Notes    []Note[S]
}

// Possible lists the commands that a state allows to anyone, each once, in table order; "" is a stream that
// does not exist yet. Those that only [orgs.System] may give are left out.
func (m *Machine[S]) Possible(state S) []string {
	var cs []string
	add := func(c string, actors []orgs.Role) {
		if !slices.Contains(cs, c) && slices.ContainsFunc(actors, func(r orgs.Role) bool { return r != orgs.System }) {
			cs = append(cs, c)
		}
	}
	for _, r := range m.Rows {
		if r.starts(state) {
			add(r.Command, r.Actors)
		}
	}
	for _, n := range m.Notes {
		if slices.Contains(n.In, state) {
			add(n.Command, n.Actors)
		}
	}
	return cs
}

func (r Row[S]) starts(state S) bool {
	if state == "" {
		return len(r.From) == 0
	}
	return slices.Contains(r.From, state)
}

// Holds reports whether the state is one that the command leads to: what was asked has its effect already.
func (m *Machine[S]) Holds(state S, command string) bool {
	return slices.ContainsFunc(m.Rows, func(r Row[S]) bool { return r.Command == command && r.To == state })
}

// Admit says whether the state allows the command, to this actor, with this confirmation. The refusal is
// [WrongState], [RoleMissing] or [SecondPerson], complete with state and possible commands.
func (m *Machine[S]) Admit(state S, command string, st Stamp) *Refusal {
	var found, role bool
	var second orgs.Role
	var id string
	for _, r := range m.Rows {
		if r.Command != command || !r.starts(state) {
			continue
		}
		found, id = true, r.ID
		if slices.Contains(r.Actors, st.Actor.Role) {
			role, second = true, r.Second
		}
	}
	for _, n := range m.Notes {
		if n.Command != command || !slices.Contains(n.In, state) {
			continue
		}
		found = true
		if slices.Contains(n.Actors, st.Actor.Role) {
			role = true
		}
	}
	switch {
	case !found && state == "":
		return m.Explain(state, Refuse(WrongState, "M1", "该事项尚不存在", "this does not exist yet"))
	case !found:
		return m.Explain(state, Refuse(WrongState, "M1",
			fmt.Sprintf("当前状态为“%s”，不能执行 %s", StateWord(m.Name, string(state)), command),
			fmt.Sprintf("it is %s; %s is not possible now", state, command)))
	case !role:
		return m.Explain(state, Refuse(RoleMissing, orM1(id),
			fmt.Sprintf("%s无权执行 %s", RoleWord(st.Actor.Role), command),
			fmt.Sprintf("the role %s may not %s", st.Actor.Role, command)))
	case second != "":
		if r := Confirmed(st, id, second); r != nil {
			return m.Explain(state, r)
		}
	}
	return nil
}

func orM1(id string) string {
	if id == "" {
		return "M1"
	}
	return id
}

// Confirmed returns nil if another person confirmed in one of the roles, else a [SecondPerson] refusal (M6).
func Confirmed(st Stamp, id string, roles ...orgs.Role) *Refusal {
	if st.Second != nil && st.Second.ID != st.Actor.ID && slices.Contains(roles, st.Second.Role) {
		return nil
	}
	names, words := make([]string, len(roles)), make([]string, len(roles))
	for i, r := range roles {
		names[i], words[i] = string(r), RoleWord(r)
	}
	return Refuse(SecondPerson, id,
		"须由另一人（"+strings.Join(words, "、")+"）确认",
		"another person must confirm, as "+strings.Join(names, " or "))
}

// Explain completes a refusal with the state and what it allows.
func (m *Machine[S]) Explain(state S, r *Refusal) *Refusal {
	r.State, r.Possible = string(state), m.Possible(state)
	return r
}

// Same reports whether two events say the same, whatever instants were computed for them. Clear and sealed
// text never compare equal: such a repeat is recognised by its key, not by its content.
func Same(a, b any) bool {
	if a == nil || b == nil || reflect.TypeOf(a) != reflect.TypeOf(b) {
		return false
	}
	return reflect.DeepEqual(undated(a), undated(b))
}

var (
	dueType  = reflect.TypeFor[calendar.Due]()
	timeType = reflect.TypeFor[time.Time]()
	textType = reflect.TypeFor[sealed.Text]()
)

// undated returns a copy of an event without its due instants and without the windows derived from them.
func undated(a any) any {
	v := reflect.New(reflect.TypeOf(a)).Elem()
	v.Set(reflect.ValueOf(a))
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case !f.CanSet() || f.Type() == textType:
		case f.Type() == dueType, f.Type() == reflect.PointerTo(dueType):
			f.SetZero()
		case f.Type() == timeType && strings.HasSuffix(v.Type().Field(i).Name, "By"):
			f.SetZero()
		}
	}
	return v.Interface()
}

// Clocks are the running clocks of one stream: a few, in the order they were started.
type Clocks []calendar.Due

// Get returns the running clock of that name.
func (cs Clocks) Get(c calendar.Clock) (calendar.Due, bool) {
	for _, d := range cs {
		if d.Clock == c {
			return d, true
		}
	}
	return calendar.Due{}, false
}

// Start returns the clocks with d running; a clock of the same name is replaced. The receiver stays as it is.
func (cs Clocks) Start(d calendar.Due) Clocks {
	return append(cs.Stop(d.Clock), d)
}

// Stop returns the clocks without the named ones. The receiver stays as it is.
func (cs Clocks) Stop(names ...calendar.Clock) Clocks {
	var left Clocks
	for _, d := range cs {
		if !slices.Contains(names, d.Clock) {
			left = append(left, d)
		}
	}
	return left
}

// Next returns the earliest due instant among the running clocks, false if none runs.
func (cs Clocks) Next() (time.Time, bool) {
	var first time.Time
	for _, d := range cs {
		if first.IsZero() || d.Due.Before(first) {
			first = d.Due
		}
	}
	return first, len(cs) > 0
}
