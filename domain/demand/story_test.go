package demand

import (
	"reflect"
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// The town of these tests: two streets with communities and grids, and the bodies that serve them.
const (
	city       orgs.UnitCode = "150100"
	district   orgs.UnitCode = "150105"
	street     orgs.UnitCode = "150105003"
	nextStreet orgs.UnitCode = "150105004"
	home       orgs.UnitCode = "150105003001" // the community of the tests' demand
	neighbour  orgs.UnitCode = "150105003002"
	far        orgs.UnitCode = "150105004001"
	department orgs.UnitCode = "150105-d03"
	agency     orgs.UnitCode = "150105003-a01" // dispatched by the department
	otherAgent orgs.UnitCode = "150105003-a02"
	jointTeam  orgs.UnitCode = "150105003-j01" // its only member is the agency
	hotline    orgs.UnitCode = "150105-h01"
	oversight  orgs.UnitCode = "150105-o01"
	closedUnit orgs.UnitCode = "150105003-x01"

	grid     orgs.GridCode = "150105003001001"
	nextGrid orgs.GridCode = "150105003001002"
	oldGrid  orgs.GridCode = "150105003001003" // retired
	farGrid  orgs.GridCode = "150105004001001"
)

func town() *orgs.Tree {
	return new(orgs.Tree).With(
		orgs.UnitOpened{Code: city, Kind: orgs.City},
		orgs.UnitOpened{Code: district, Kind: orgs.District, Parent: city},
		orgs.UnitOpened{Code: department, Kind: orgs.Department, Parent: district},
		orgs.UnitOpened{Code: hotline, Kind: orgs.Hotline, Parent: district},
		orgs.UnitOpened{Code: oversight, Kind: orgs.Oversight, Parent: district},
		orgs.UnitOpened{Code: street, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: nextStreet, Kind: orgs.Street, Parent: district},
		orgs.UnitOpened{Code: agency, Kind: orgs.Agency, Parent: street, Department: department},
		orgs.UnitOpened{Code: otherAgent, Kind: orgs.Agency, Parent: street, Department: department},
		orgs.UnitOpened{Code: jointTeam, Kind: orgs.JointTeam, Parent: street, Members: []orgs.UnitCode{agency}},
		orgs.UnitOpened{Code: closedUnit, Kind: orgs.Team, Parent: street},
		orgs.UnitClosed{Code: closedUnit},
		orgs.UnitOpened{Code: home, Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: neighbour, Kind: orgs.Community, Parent: street},
		orgs.UnitOpened{Code: far, Kind: orgs.Community, Parent: nextStreet},
		orgs.GridDrawn{Grid: grid},
		orgs.GridDrawn{Grid: nextGrid},
		orgs.GridDrawn{Grid: oldGrid},
		orgs.GridRetired{Grid: oldGrid},
		orgs.GridDrawn{Grid: farGrid},
	)
}

// The people.
var (
	resident     = rule.Actor{ID: "k-resident", Role: orgs.Resident}
	stranger     = rule.Actor{ID: "k-stranger", Role: orgs.Resident}
	clerk        = rule.Actor{ID: "k-clerk", Role: orgs.Clerk, Unit: home}
	nextClerk    = rule.Actor{ID: "k-next-clerk", Role: orgs.Clerk, Unit: neighbour}
	farClerk     = rule.Actor{ID: "k-far-clerk", Role: orgs.Clerk, Unit: far}
	worker       = rule.Actor{ID: "k-worker", Role: orgs.GridWorker, Unit: grid.Unit()}
	nextWorker   = rule.Actor{ID: "k-next-worker", Role: orgs.GridWorker, Unit: nextGrid.Unit()}
	secretary    = rule.Actor{ID: "k-secretary", Role: orgs.CommunitySecretary, Unit: home}
	convenor     = rule.Actor{ID: "k-convenor", Role: orgs.Convenor, Unit: home}
	dispatcher   = rule.Actor{ID: "k-dispatcher", Role: orgs.Dispatcher, Unit: street}
	farDispatch  = rule.Actor{ID: "k-far-dispatcher", Role: orgs.Dispatcher, Unit: nextStreet}
	highDispatch = rule.Actor{ID: "k-high-dispatcher", Role: orgs.Dispatcher, Unit: district}
	caller       = rule.Actor{ID: "k-caller", Role: orgs.CallbackAgent, Unit: hotline}
	nextCaller   = rule.Actor{ID: "k-next-caller", Role: orgs.CallbackAgent, Unit: hotline}
	nearCaller   = rule.Actor{ID: "k-near-caller", Role: orgs.CallbackAgent, Unit: home}
	supervisor   = rule.Actor{ID: "k-supervisor", Role: orgs.Supervisor, Unit: district}
	arbiter      = rule.Actor{ID: "k-arbiter", Role: orgs.Arbiter, Unit: district}
	wechat       = rule.Actor{ID: "k-wechat", Role: orgs.Channel, Unit: district}
	farWechat    = rule.Actor{ID: "k-far-wechat", Role: orgs.Channel, Unit: nextStreet}
	manager      = rule.Actor{ID: "pm", Role: orgs.System}
	clock        = rule.Actor{ID: "clock", Role: orgs.System}
)

// What other streams say.
var (
	self     = stream.DemandFor("wechat", "w-1")
	topicID  = stream.Derive("topic", "heating")
	otherTID = stream.Derive("topic", "parking")
	orderID  = stream.Derive("order", "pipes")
	otherOID = stream.Derive("order", "valves")

	heating   = rule.TopicFact{ID: topicID, Phase: "deliberating", Unit: street}
	handed    = rule.TopicFact{ID: topicID, Phase: "handling", Unit: street, Handed: true}
	concluded = rule.TopicFact{ID: topicID, Phase: "concluded", Unit: street, Terminal: true, Handed: true}
	farTopic  = rule.TopicFact{ID: topicID, Phase: "deliberating", Unit: nextStreet}
	parking   = rule.TopicFact{ID: otherTID, Phase: "proposed", Unit: home}

	pipes     = rule.OrderFact{ID: orderID, Phase: "handling", Lead: grid.Unit(), Bodies: []orgs.UnitCode{grid.Unit(), agency}, Live: true}
	verified  = rule.OrderFact{ID: orderID, Phase: "verified", Lead: grid.Unit(), Bodies: []orgs.UnitCode{grid.Unit(), agency}, Verified: true}
	valves    = rule.OrderFact{ID: otherOID, Phase: "closed", Lead: agency, Bodies: []orgs.UnitCode{agency}, Verified: true, Closed: true}
	cancelled = rule.OrderFact{ID: orderID, Phase: "cancelled", Lead: grid.Unit(), Bodies: []orgs.UnitCode{grid.Unit()}, Verified: true, Cancelled: true}
)

func topics(ts ...rule.TopicFact) rule.Facts { return rule.Facts{Topics: ts} }
func orders(os ...rule.OrderFact) rule.Facts { return rule.Facts{Orders: os} }

// lists is a gate that forbids one matter.
type lists struct {
	matter string
	lead   bool // only as the lead
}

func (l lists) Check(_ orgs.Unit, matter string, lead bool, _ calendar.Date) *rule.Block {
	if matter != l.matter || l.lead && !lead {
		return nil
	}
	return &rule.Block{List: "not_borne", Version: 3, Row: "certificates"}
}

// morning is Monday 2026-03-02 09:00 in the city: three weeks without a holiday follow.
var morning = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

type (
	step  = ruletest.Step[Command]
	entry = ruletest.Entry[Event]
	// happened says how long before it was recorded something happened, instant when it is recorded.
	happened = ruletest.Ago
	instant  = time.Time
)

// by makes a step, a minute after the one before. The circumstances follow: facts, a second person, a gate, rules or a policy, the time that has
// passed.
func by(a rule.Actor, c Command, circumstances ...any) step {
	return ruletest.By(a, c, circumstances...)
}

const day = 24 * time.Hour

// story is a demand's stream as it is written, and where it stands.
type story struct {
	ruletest.Story[Phase, State, Command, Event]
}

func begin() *story {
	return &story{ruletest.Story[Phase, State, Command, Event]{Stream: stream.Of(stream.Demand, self), State: State{ID: self},
		Now: morning.Add(-time.Minute), Units: town(), Decide: Decide, Evolve: Evolve, Phase: func(s State) Phase { return s.Phase }}}
}

// apt makes a command of the clock that names no due instant that of the clock that runs, in its time.
func (st *story) apt(s step) step {
	if len(st.State.Running) == 0 {
		return s
	}
	d := st.State.Running[0]
	on := d.Due.Add(time.Second)
	switch c := s.Command.(type) {
	case RaiseWarning:
		if c.ID != "" {
			return s
		}
		if n := st.State.Fired.Of(d.ID).Warned; n < len(d.WarnAt) {
			on = d.WarnAt[n]
		}
		s.Command = RaiseWarning{d.ID}
	case ExpireClock:
		if c.ID != "" {
			return s
		}
		s.Command = ExpireClock{d.ID}
	case RecomputeDeadline:
		if c.ID == "" {
			s.Command = RecomputeDeadline{ID: d.ID, Reason: c.Reason}
		}
		return s
	default:
		return s
	}
	if on.After(st.Now) {
		s.On = on
	}
	return s
}

// Does takes a step and appends what it decides.
func (st *story) Does(s step) ([]Event, error) { return st.Story.Does(st.apt(s)) }

// given tells a story whose every step decides something.
func given(t ruletest.Test, steps ...[]step) *story {
	t.Helper()
	st := begin()
	for _, s := range slices.Concat(steps...) {
		st.Given(t, st.apt(s))
	}
	return st
}

// when appends steps to a beginning.
func when(beginning []step, steps ...step) []step { return ruletest.When(beginning, steps...) }

// dues returns the clocks an event starts, in declared order.
func dues(e Event) []calendar.Due {
	var ds []calendar.Due
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		switch d := v.Field(i).Interface().(type) {
		case calendar.Due:
			ds = append(ds, d)
		case *calendar.Due:
			if d != nil {
				ds = append(ds, *d)
			}
		}
	}
	return ds
}

// running returns the names of the clocks that run.
func running(s State) []calendar.Clock {
	var cs []calendar.Clock
	for _, d := range s.Running {
		cs = append(cs, d.Clock)
	}
	return cs
}

// The commands as they succeed, and the beginnings they make.
var (
	words  = sealed.Clear("暖气不热，已经三天")
	raise  = Raise{Kind: Issue, Channel: "wechat", External: "w-1", Text: words, Grid: grid, Unit: home, Reporter: Reporter{Phone: sealed.Clear("13800000000")}}
	accept = Accept{Kind: Issue, Matter: "heating", Urgency: "C", Unit: home, Grid: grid, Summary: "暖气不热"}
	spot   = AnswerOnTheSpot{Kind: Consult, Outcome: Explained, Summary: "已解释", Answer: sealed.Clear("供热期到四月十五日")}
	wrong  = Decline{Reason: "litigation", Citation: "信访工作条例第三十条", Instead: "人民法院"}
	link   = LinkToTopic{Topic: topicID}
	join   = FastTrack{Reason: ReasonSameMatter, Route: Route{Join: orderID}}
	source = Source{Stream: stream.Of(stream.Order, orderID), Revision: 4, Event: stream.Derive("event", "report"), Type: "handling-reported/1"}
	answer = Answer{Outcome: Resolved, Summary: "已修复", From: source}
	happy  = RecordCallback{Resolved: true, Grade: 5}
	angry  = RecordCallback{Resolved: false, Grade: 1, Merit: true}

	isRaised   = []step{by(resident, raise)}
	isAccepted = when(isRaised, by(clerk, accept))
	isInTopic  = when(isAccepted, by(clerk, link, topics(heating)))
	isHandled  = when(isAccepted, by(clerk, join, orders(pipes)))
	isAnswered = when(isHandled, by(manager, answer))
	isClosed   = when(isAnswered, by(caller, happy, orders(verified)))
	isDeclined = when(isRaised, by(clerk, wrong, secretary))
	isAppealed = when(isDeclined, by(resident, FileAppeal{Reason: sealed.Clear("没有诉讼")}))
	isSpoken   = when(isRaised, by(clerk, spot)) // answered on the spot
	isAnon     = when(isAcceptedAs(anonymous()), by(clerk, join, orders(pipes)), by(manager, answer))
)

// reach leads to every state.
var reach = map[Phase][]step{
	"":              nil,
	PhaseRaised:     isRaised,
	PhaseAccepted:   isAccepted,
	PhaseInTopic:    isInTopic,
	PhaseInHandling: isHandled,
	PhaseAnswered:   isAnswered,
	PhaseClosed:     isClosed,
	PhaseDeclined:   isAppealed,
	PhaseRedirected: when(isRaised, by(clerk, Redirect{Target: "12345", Receipt: "h-77"})),
	PhaseWithdrawn:  when(isRaised, by(resident, Withdraw{})),
}

func anonymous() Raise {
	r := raise
	r.Anonymous, r.NoCallback = true, true
	return r
}

func isAcceptedAs(r Raise) []step {
	a := accept
	a.Kind = r.Kind
	return []step{by(resident, r), by(clerk, a)}
}

// ofKind is an accepted demand of a kind and urgency.
func ofKind(k Kind, u Urgency) []step {
	r, a := raise, accept
	r.Kind, a.Kind, a.Urgency = k, k, u
	return []step{by(resident, r), by(clerk, a)}
}

// change returns a command with something about it changed.
func change[C Command](c C, f func(*C)) C {
	f(&c)
	return c
}
