package order_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// The town of these tests: a city, two districts, a street with two communities, three grids, two agencies of
// one department, a joint team of both, and the bodies that check.
const (
	city       = orgs.UnitCode("150100")
	bureau     = orgs.UnitCode("150100-b01")
	district   = orgs.UnitCode("150105")
	elsewhere  = orgs.UnitCode("150102")
	department = orgs.UnitCode("150105-d01")
	utility    = orgs.UnitCode("150105-w01")
	street     = orgs.UnitCode("150105003")
	agency     = orgs.UnitCode("150105003-a01")
	agency2    = orgs.UnitCode("150105003-a02")
	team       = orgs.UnitCode("150105003-j01")
	property   = orgs.UnitCode("150105003-p01")
	community  = orgs.UnitCode("150105003001")
	community2 = orgs.UnitCode("150105003002")
	grid       = orgs.UnitCode("150105003001001")
	grid2      = orgs.UnitCode("150105003001002")
	farGrid    = orgs.UnitCode("150105003002001")
	oversight  = orgs.UnitCode("150105-o01")
	townWatch  = orgs.UnitCode("150100-o01")
	watch      = orgs.UnitCode("150105003-o01") // the street's own oversight
)

func town() *orgs.Tree {
	var es []orgs.Event
	open := func(code orgs.UnitCode, k orgs.Kind, parent, department orgs.UnitCode, members ...orgs.UnitCode) {
		es = append(es, orgs.UnitOpened{Code: code, Name: string(code), Kind: k, Parent: parent, Department: department, Members: members})
	}
	open(city, orgs.City, "", "")
	open(bureau, orgs.Bureau, city, "")
	open(district, orgs.District, city, "")
	open(elsewhere, orgs.District, city, "")
	open(department, orgs.Department, district, "")
	open(utility, orgs.Utility, district, "")
	open(street, orgs.Street, district, "")
	open(agency, orgs.Agency, street, department)
	open(agency2, orgs.Agency, street, department)
	open(team, orgs.JointTeam, street, "", agency, agency2)
	open(property, orgs.Property, street, "")
	open(community, orgs.Community, street, "")
	open(community2, orgs.Community, street, "")
	open(oversight, orgs.Oversight, district, "")
	open(townWatch, orgs.Oversight, city, "")
	open(watch, orgs.Oversight, street, "")
	for _, g := range []orgs.UnitCode{grid, grid2, farGrid} {
		es = append(es, orgs.GridDrawn{Grid: orgs.GridCode(g), Name: string(g), Households: 300, Urban: true})
	}
	return new(orgs.Tree).With(es...)
}

var units = town()

// person names somebody by role and unit.
func person(r orgs.Role, u orgs.UnitCode) rule.Actor {
	return rule.Actor{ID: string(r) + "@" + string(u), Role: r, Unit: u}
}

var (
	system           = rule.Actor{ID: "flow", Role: orgs.System}
	clock            = rule.Actor{ID: "clock", Role: orgs.System}
	dispatcher       = person(orgs.Dispatcher, street)
	handler          = person(orgs.Handler, agency)
	streetLeader     = person(orgs.StreetLeader, street)
	districtDesk     = person(orgs.Dispatcher, district)
	arbiter          = person(orgs.Arbiter, district)
	verifier         = person(orgs.Verifier, oversight)
	supervisor       = person(orgs.Supervisor, oversight)
	unitHead         = person(orgs.UnitHead, agency)
	resident         = rule.Actor{ID: "r1", Role: orgs.Resident}
	clerk            = person(orgs.Clerk, community)
	secretary        = person(orgs.CommunitySecretary, community)
	gridWorker       = person(orgs.GridWorker, grid)
	propertyHandler  = person(orgs.Handler, property)
	otherHandler     = person(orgs.Handler, agency2)
	teamHandler      = person(orgs.Handler, team)
	departmentLeader = person(orgs.UnitHead, district)
)

func demandID(n string) stream.ID { return stream.Derive("demand", n) }

var (
	d1, d2, d3 = demandID("1"), demandID("2"), demandID("3")
	ended      = demandID("ended")
	unknown    = demandID("unknown")
	topicID    = stream.Derive("topic")
)

func facts() rule.Facts {
	var f rule.Facts
	for _, d := range []stream.ID{d1, d2, d3} {
		f.Demands = append(f.Demands, rule.DemandFact{ID: d, Phase: "in_handling", Kind: "issue", Unit: community, Live: true})
	}
	f.Demands = append(f.Demands, rule.DemandFact{ID: ended, Phase: "withdrawn", Kind: "issue", Unit: community})
	return f
}

// closedTo is a gate that keeps one unit from a matter, as lead or also as co-unit.
type closedTo struct {
	unit orgs.UnitCode
	both bool
}

func (g closedTo) Check(u orgs.Unit, _ string, lead bool, _ calendar.Date) *rule.Block {
	if u.Code == g.unit && (lead || g.both) {
		return &rule.Block{List: "duties-" + string(g.unit), Version: 1, Row: "7"}
	}
	return nil
}

// recorded is an event with what its metadata say.
type recorded struct {
	Event order.Event
	Stamp rule.Stamp
}

// desk is where one order is worked on: its history, its state, and the time.
type desk struct {
	state   order.State
	history []recorded
	now     time.Time
	clocks  calendar.Rules
	gate    rule.Gate
	policy  *escalation.Policy // nil: the default
	fold    fold               // nil: the machine's own
}

// fold is how events become a state; a test of the tests hands in one with a bug.
type fold func(order.State, order.Event, rule.Stamp) order.State

// monday is 2025-09-08 09:00 in the city: a Monday, with the autumn holidays three weeks ahead.
func monday() time.Time { return time.Date(2025, 9, 8, 9, 0, 0, 0, calendar.Zone()).UTC() }

func newDesk() *desk {
	return &desk{state: order.State{ID: stream.Derive("order", "1")}, now: monday(),
		clocks: calendar.Rules{Calendar: calendar.China(), Policy: calendar.DefaultPolicy()}}
}

// at is the circumstance of a decision by somebody now.
func (d *desk) at(who rule.Actor) rule.At {
	return rule.At{Stamp: rule.Stamp{Actor: who, Occurred: d.now, Recorded: d.now}, Facts: facts(), Units: units,
		Clocks: d.clocks, Gate: d.gate, Escalation: d.policy}
}

// confirmed adds who confirms.
func confirmed(at rule.At, second rule.Actor) rule.At {
	at.Second = &second
	return at
}

// try decides, and folds what was decided.
func (d *desk) try(c order.Command, at rule.At) ([]order.Event, error) {
	es, err := order.Decide(d.state, c, at)
	for _, e := range es {
		st := at.Stamp
		st.Event = stream.Derive("event", d.state.ID.String(), time.Duration(len(d.history)).String())
		d.history = append(d.history, recorded{e, st})
		if d.fold == nil {
			d.fold = order.Evolve
		}
		d.state = d.fold(d.state, e, st)
	}
	return es, err
}

// step is something that somebody does.
type step struct {
	who    rule.Actor
	second *rule.Actor
	what   order.Command
	after  time.Duration // since the step before; a minute if zero
}

func by(who rule.Actor, what order.Command) step { return step{who: who, what: what} }

func (s step) confirmedBy(a rule.Actor) step { s.second = &a; return s }

func (s step) later(d time.Duration) step { s.after = d; return s }

// given returns the desk after the steps, each of which must succeed.
func given(t testing.TB, steps ...step) *desk {
	t.Helper()
	d := newDesk()
	d.do(t, steps...)
	return d
}

func (d *desk) do(t failing, steps ...step) {
	t.Helper()
	for _, s := range steps {
		if es, err := d.attempt(s); err != nil || len(es) == 0 {
			t.Fatalf("given %s by %s: got %v, %v; want it done", s.what.Name(), s.who.ID, types(es), err)
		}
	}
}

func (d *desk) attempt(s step) ([]order.Event, error) {
	if s.after == 0 {
		s.after = time.Minute
	}
	d.now = d.now.Add(s.after)
	at := d.at(s.who)
	at.Second = s.second
	return d.try(s.what, at)
}

func types(es []order.Event) []string {
	var ts []string
	for _, e := range es {
		ts = append(ts, event(e))
	}
	return ts
}

// event is the stored name without its version.
func event(e order.Event) string { return strings.TrimSuffix(e.EventType(), "/1") }

func (d *desk) due(t testing.TB, c calendar.Clock) calendar.Due {
	t.Helper()
	due, runs := d.state.Running.Get(c)
	if !runs {
		t.Fatalf("the clock %s does not run in %s: %v", c, d.state.Phase, names(d.state.Running))
	}
	return due
}

func names(cs rule.Clocks) []string {
	var ns []string
	for _, c := range cs {
		ns = append(ns, string(c.Clock))
	}
	slices.Sort(ns)
	return ns
}

// refusal returns the refusal that an error is.
func refusal(t testing.TB, err error) *rule.Refusal {
	t.Helper()
	var r *rule.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got error %v, want a refusal", err)
	}
	return r
}

// The commands that mostly succeed. Tests change what they are about.
func dispatch() order.Dispatch {
	return order.Dispatch{Number: "B1", Demands: []stream.ID{d1, d2}, Kind: "issue", Matter: "020101", Urgency: "C",
		Lead: agency, Place: community, Task: "clear the stairs"}
}

func requestReturn(suggested orgs.UnitCode) order.RequestReturn {
	return order.RequestReturn{Reason: sealed.Clear("not ours"), Basis: "regulation, article 7", Suggested: suggested}
}

func report() order.ReportHandling {
	return order.ReportHandling{Outcome: "resolved", Answer: sealed.Clear("done"), Summary: "cleared",
		Evidence: []string{strings.Repeat("0f", 32)}}
}

func contact() order.RecordContact {
	return order.RecordContact{Demands: []stream.ID{d1}, Means: "phone", Note: sealed.Clear("spoke")}
}

func on(d *desk, days int) calendar.Date { return calendar.DateOf(d.now) + calendar.Date(days) }

func suspend(days int) order.Suspend {
	return order.Suspend{Reason: "season", ReviewOn: calendar.DateOf(monday()) + calendar.Date(days)}
}

func pass() order.PassVerification { return order.PassVerification{Method: "on_site"} }

func fail() order.FailVerification {
	return order.FailVerification{Reason: "still blocked", Method: "photo"}
}

func rework() order.OrderRework { return order.OrderRework{Cause: "callback", Demand: d1} }

func reopen() order.Reopen { return order.Reopen{Cause: "supervision", Reason: "blocked again"} }

// The ways to each state.
var (
	dispatched = []step{by(dispatcher, dispatch())}
	signed     = join(dispatched, by(handler, order.Sign{}))
	handled    = join(signed, by(handler, contact()))
	pendingNew = join(dispatched, by(handler, requestReturn(property)))
	pending    = join(signed, by(handler, requestReturn(property)))
	pendingOld = join(handled, by(handler, requestReturn(property)))
	returned   = join(pending, by(districtDesk, order.ApproveReturn{Reason: "wrong body"}))
	suspended  = join(handled, by(handler, suspend(10)).confirmedBy(streetLeader))
	reported   = join(handled, by(handler, report()))
	verified   = join(reported, by(verifier, pass()))
	closed     = join(verified, by(system, order.Close{Cause: "answered"}))
	cancelled  = join(dispatched, by(dispatcher, order.Cancel{Cause: "duplicate", Reason: "the same as B0"}))
)

func join(steps []step, more ...step) []step { return append(slices.Clip(steps), more...) }

// refold returns the state that a history alone leads to.
func refold(id stream.ID, history []recorded) order.State {
	s := order.State{ID: id}
	for _, r := range history {
		s = order.Evolve(s, r.Event, r.Stamp)
	}
	return s
}

func same(a, b order.State) bool { return reflect.DeepEqual(a, b) }
