package order_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/stream"
)

// move is one transition, or one note (then from and to are the same and the row is "").
type move struct {
	row      string
	from, to order.Phase
	command  string
	event    string
	variant  string
}

// moves lists what a table allows, one per state of departure.
func moves(m rule.Machine[order.Phase]) map[move]bool {
	all := map[move]bool{}
	for _, r := range m.Rows {
		from := r.From
		if len(from) == 0 {
			from = []order.Phase{""}
		}
		for _, f := range from {
			all[move{r.ID, f, r.To, r.Command, r.Event, r.Variant}] = true
		}
	}
	for _, n := range m.Notes {
		for _, p := range n.In {
			all[move{"", p, p, n.Command, n.Event, ""}] = true
		}
	}
	return all
}

// tries is every command by somebody who may give it, with members that suit the state of the desk.
func tries(d *desk) []step {
	s := d.state
	lead := handler
	switch s.Lead {
	case property:
		lead = propertyHandler
	case grid:
		lead = gridWorker
	}
	supervision := len(s.Supervisions)
	var due string
	for _, c := range s.Running {
		if c.Provisional {
			due = c.ID
		}
	}
	return []step{
		by(dispatcher, dispatch()),
		by(lead, order.Sign{}),
		by(lead, requestReturn(agency2)),
		by(districtDesk, order.RefuseReturn{Reason: "it is yours"}),
		by(districtDesk, order.ApproveReturn{}),
		by(dispatcher, order.Redispatch{Lead: property}),
		by(lead, contact()),
		by(lead, order.WaiveContact{Cause: "anonymous"}),
		by(lead, order.Suspend{Reason: "funding", ReviewOn: on(d, 5)}).confirmedBy(streetLeader),
		by(lead, order.Resume{}),
		by(lead, report()),
		by(verifier, pass()),
		by(verifier, fail()),
		by(system, order.Close{Cause: "answered"}),
		by(streetLeader, rework()),
		by(streetLeader, reopen()),
		by(dispatcher, order.Cancel{Cause: "error", Reason: "typed twice"}).confirmedBy(streetLeader),
		by(propertyHandler, order.ReportCoUnit{Unit: property, Summary: "helped"}),
		by(lead, order.ReleaseCoUnit{Unit: property}),
		by(lead, order.RequestExtension{Amount: 2, Reason: "parts", Told: true}),
		by(streetLeader, order.GrantExtension{}),
		by(streetLeader, order.RefuseExtension{Reason: "no"}),
		by(dispatcher, order.AttachDemand{Demand: d3}),
		by(dispatcher, order.DetachDemand{Demand: d2}),
		by(system, order.NoteDemandReopened{Demand: d1, Round: 2}),
		by(person(orgs.UnitHead, s.Lead), order.Reassign{Worker: "w7"}),
		by(supervisor, order.IssueSupervision{Reason: "slow"}),
		by(lead, order.AnswerSupervision{Number: supervision, Answer: "because"}),
		by(streetLeader, order.Rate{Leg: 1, Score: 80}),
		by(arbiter, order.RecomputeDeadline{ID: due, Reason: "the notice has come"}),
		by(clock, order.RaiseWarning{ID: struck(s, func(c calendar.Clock) bool { return c == calendar.Supervision })}).later(month),
		by(clock, order.ExpireClock{ID: struck(s, func(c calendar.Clock) bool { return c == calendar.Supervision })}).later(month),
		by(clock, order.Escalate{ID: struck(s, func(c calendar.Clock) bool { return c == s.Work() })}).later(month),
	}
}

// month is after every due instant of the positions.
const month = 30 * 24 * time.Hour

// struck returns the id of the first running clock that fits, "" if there is none.
func struck(s order.State, fits func(calendar.Clock) bool) string {
	for _, d := range s.Running {
		if fits(d.Clock) {
			return d.ID
		}
	}
	return ""
}

// positions are desks that together allow everything: each state, with a supervision open and a clock that
// waits for next year's notice where clocks run; with and without contact, request and co-unit; in time and overdue.
func positions(t testing.TB) map[string]*desk {
	t.Helper()
	anonymous := dispatch()
	anonymous.Anonymous = true
	helped := dispatch()
	helped.CoUnits = []orgs.UnitCode{property}
	watched := func(steps ...step) *desk {
		t.Helper()
		d := newDesk()
		d.now = monday().AddDate(0, 3, 21) // 2025-12-29, when only the notices up to 2025 are known
		d.clocks.Calendar = d.clocks.Calendar.Without(2026)
		for i, s := range steps {
			if sus, is := s.what.(order.Suspend); is {
				sus.ReviewOn = on(d, 3)
				s.what = sus
			}
			d.do(t, s)
			if i == 0 {
				d.do(t, by(supervisor, order.IssueSupervision{Reason: "watched"}))
			}
		}
		d.clocks.Calendar = newDesk().clocks.Calendar
		return d
	}
	overdue := func(d *desk) *desk {
		t.Helper()
		d.do(t, by(clock, order.ExpireClock{ID: d.due(t, d.state.Work()).ID}).later(month))
		return d
	}
	return map[string]*desk{
		"nothing":                           newDesk(),
		"dispatched":                        watched(dispatched...),
		"signed":                            watched(join([]step{by(dispatcher, anonymous)}, by(handler, order.Sign{}))...),
		"handling":                          watched(handled...),
		"handling, co-unit awaited":         watched(by(dispatcher, helped), by(handler, order.Sign{}), by(handler, contact())),
		"handling, extension asked":         watched(join(handled, by(handler, order.RequestExtension{Amount: 1, Reason: "parts", Told: true}))...),
		"return pending from dispatched":    watched(pendingNew...),
		"return pending from signed":        watched(pending...),
		"return pending from handling":      watched(pendingOld...),
		"returned":                          watched(returned...),
		"suspended":                         watched(suspended...),
		"reported":                          watched(reported...),
		"verified":                          watched(verified...),
		"closed":                            watched(closed...),
		"cancelled":                         watched(cancelled...),
		"handling in round two":             watched(join(verified, by(system, rework()))...),
		"reported in round two":             watched(join(verified, by(system, rework()), by(handler, report()))...),
		"handling after a refused return":   watched(join(pendingOld, by(districtDesk, order.RefuseReturn{Reason: "yours"}))...),
		"dispatched, overdue":               overdue(watched(dispatched...)),
		"signed, overdue":                   overdue(watched(signed...)),
		"handling, overdue":                 overdue(watched(handled...)),
		"dispatched again, to another unit": watched(join(returned, by(dispatcher, order.Redispatch{Lead: property}))...),
	}
}

// observed is what the code does in all positions, by the names of the table.
func observed(t testing.TB) map[move]bool {
	t.Helper()
	seen := map[move]bool{}
	for name, d := range positions(t) {
		for _, s := range tries(d) {
			here := *d
			es, err := here.attempt(s)
			if err != nil || len(es) == 0 {
				continue
			}
			m := move{from: d.state.Phase, to: here.state.Phase, command: s.what.Name(), event: event(es[0])}
			if _, refused := es[0].(order.ReturnRefused); refused {
				m.variant = "before contact"
				if !d.state.Leg().ContactedAt.IsZero() {
					m.variant = "after contact"
				}
			}
			for known := range moves(order.Machine) {
				m.row = known.row
				if m == known {
					break
				}
				m.row = "no row"
			}
			if m.row == "no row" {
				t.Errorf("%s: %s leads from %q to %q as %s: no row says so", name, m.command, m.from, m.to, m.event)
			}
			seen[m] = true
		}
	}
	return seen
}

// faults lists what is wrong with a table: in itself (rules M2, M3), and against what the code does.
func faults(m rule.Machine[order.Phase], code map[move]bool) []string {
	var wrong []string
	fault := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	next := map[order.Phase][]order.Phase{}
	ids := map[string]bool{}
	rowOf := map[string]string{}
	for _, r := range m.Rows {
		if ids[r.ID] {
			fault("two rows are called %s", r.ID)
		}
		ids[r.ID] = true
		if c, taken := rowOf[r.Event]; taken && c != r.Command {
			fault("%s is the event of %s and of %s", r.Event, c, r.Command)
		}
		rowOf[r.Event] = r.Command
		for _, f := range append(r.From, r.To) {
			if !slices.Contains(m.States, f) {
				fault("%s: no state is called %q", r.ID, f)
			}
		}
		if len(r.From) == 0 {
			next[""] = append(next[""], r.To)
		}
		for _, f := range r.From {
			next[f] = append(next[f], r.To)
		}
		if len(r.Actors) == 0 {
			fault("%s: nobody may do it", r.ID)
		}
	}
	for _, n := range m.Notes {
		if c, taken := rowOf[n.Event]; taken {
			fault("%s is the event of %s and of %s", n.Event, c, n.Command)
		}
		rowOf[n.Event] = n.Command
	}
	reach := func(from order.Phase) map[order.Phase]bool {
		seen, todo := map[order.Phase]bool{}, []order.Phase{from}
		for len(todo) > 0 {
			for _, p := range next[todo[0]] {
				if !seen[p] {
					seen[p] = true
					todo = append(todo, p)
				}
			}
			todo = todo[1:]
		}
		return seen
	}
	fromStart := reach("")
	for _, p := range m.States {
		terminal := slices.Contains(m.Terminal, p)
		if !fromStart[p] {
			fault("%s is never reached", p)
		}
		if !terminal && !slices.ContainsFunc(m.Terminal, func(e order.Phase) bool { return reach(p)[e] }) {
			fault("%s never ends", p)
		}
		if terminal != p.Terminal() {
			fault("%s: table and code differ on whether it is terminal", p)
		}
	}
	says := moves(m)
	for x := range says {
		if !code[x] {
			fault("the table says %+v, the code never does", x)
		}
	}
	for x := range code {
		if !says[x] {
			fault("the code does %+v, the table does not say so", x)
		}
	}
	slices.Sort(wrong)
	return wrong
}

func TestTheTableIsWhatTheCodeDoes(t *testing.T) {
	for _, f := range faults(order.Machine, observed(t)) {
		t.Error(f)
	}
}

func TestABrokenTableIsNoticed(t *testing.T) {
	code := observed(t)
	broken := map[string]func(m *rule.Machine[order.Phase]){
		"a row dropped":                 func(m *rule.Machine[order.Phase]) { m.Rows = slices.Delete(m.Rows, 10, 11) },
		"To changed":                    func(m *rule.Machine[order.Phase]) { m.Rows[8].To = order.PhaseSigned },
		"a From dropped":                func(m *rule.Machine[order.Phase]) { m.Rows[2].From = m.Rows[2].From[1:] },
		"a From too many":               func(m *rule.Machine[order.Phase]) { m.Rows[1].From = append(m.Rows[1].From, order.PhaseSigned) },
		"another command":               func(m *rule.Machine[order.Phase]) { m.Rows[14].Command = "finish" },
		"another event":                 func(m *rule.Machine[order.Phase]) { m.Rows[14].Event = "order-finished" },
		"an id twice":                   func(m *rule.Machine[order.Phase]) { m.Rows[4].ID = "O4" },
		"an event of two commands":      func(m *rule.Machine[order.Phase]) { m.Notes[0].Event = "order-signed" },
		"a note dropped":                func(m *rule.Machine[order.Phase]) { m.Notes = m.Notes[1:] },
		"a note in one state less":      func(m *rule.Machine[order.Phase]) { m.Notes[7].In = m.Notes[7].In[1:] },
		"a state too many":              func(m *rule.Machine[order.Phase]) { m.States = append(m.States, "lost") },
		"a terminal state forgotten":    func(m *rule.Machine[order.Phase]) { m.Terminal = m.Terminal[:1] },
		"a terminal state invented":     func(m *rule.Machine[order.Phase]) { m.Terminal = append(m.Terminal, order.PhaseVerified) },
		"a row that nobody may walk":    func(m *rule.Machine[order.Phase]) { m.Rows[5].Actors = nil },
		"the only way out of suspended": func(m *rule.Machine[order.Phase]) { m.Rows[10].To = order.PhaseSuspended },
	}
	for name, breakIt := range broken {
		m := order.Machine
		m.Rows, m.Notes = slices.Clone(m.Rows), slices.Clone(m.Notes)
		m.States, m.Terminal = slices.Clone(m.States), slices.Clone(m.Terminal)
		for i := range m.Rows {
			m.Rows[i].From = slices.Clone(m.Rows[i].From)
		}
		for i := range m.Notes {
			m.Notes[i].In = slices.Clone(m.Notes[i].In)
		}
		breakIt(&m)
		if len(faults(m, code)) == 0 {
			t.Errorf("%s: got no fault, want one", name)
		}
	}
}

func TestEveryCommandIsTriedAndNamedOnce(t *testing.T) {
	inTable := map[string]bool{}
	for m := range moves(order.Machine) {
		inTable[m.command] = true
	}
	tried := map[string]bool{}
	for _, s := range tries(newDesk()) {
		if n := s.what.Name(); tried[n] {
			t.Errorf("two commands are called %s", n)
		} else {
			tried[n] = true
		}
	}
	if !maps.Equal(inTable, tried) {
		t.Errorf("commands: the table has %v, the code has %v", slices.Sorted(maps.Keys(inTable)), slices.Sorted(maps.Keys(tried)))
	}
}

func TestWhatTheTableDoesNotListIsRefused(t *testing.T) {
	refused := 0
	for name, d := range positions(t) {
		for _, s := range tries(d) {
			if ruletest.Actors(order.Machine, d.state.Phase, s.what.Name()) != nil {
				continue
			}
			for _, who := range []rule.Actor{s.who, system, resident} {
				here := *d
				es, err := here.attempt(step{who: who, second: s.second, what: s.what})
				if es != nil {
					t.Fatalf("%s: %s: got %v, want nothing", name, s.what.Name(), types(es))
				}
				r := refusal(t, err)
				if r.Code != rule.WrongState || r.Rule != "M1" || r.State != string(d.state.Phase) ||
					!slices.Equal(r.Possible, order.Machine.Possible(d.state.Phase)) {
					t.Errorf("%s: %s: got %+v, want wrong_state with what is possible", name, s.what.Name(), r)
				}
				refused++
			}
		}
	}
	if refused < 3*100 {
		t.Errorf("refused %d pairs, want hundreds: the positions no longer cover the states", refused)
	}
}

func TestWhoeverTheTableDoesNotNameIsRefused(t *testing.T) {
	for name, d := range positions(t) {
		for _, s := range tries(d) {
			named := ruletest.Actors(order.Machine, d.state.Phase, s.what.Name())
			for _, role := range append(orgs.Roles(), orgs.System) {
				if named == nil || slices.Contains(named, role) {
					continue
				}
				here := *d
				_, err := here.attempt(step{who: person(role, s.who.Unit), second: s.second, what: s.what})
				if r := refusal(t, err); r.Code != rule.RoleMissing {
					t.Errorf("%s: %s as %s: got %s, want role_missing", name, s.what.Name(), role, r.Code)
				}
			}
		}
	}
}

// TestTheTableIsTheRuleBook compares rows with the rule book's own table where that is at hand.
func TestTheTableIsTheRuleBook(t *testing.T) {
	file := filepath.Join(cmp.Or(os.Getenv("GRIDCASE_SHARED"), "../../../shared"), "DOMAIN.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Logf("the rule book is not here, so ids, states, commands and events of O1–O18 were not compared with it: %v", err)
		return
	}
	book, err := bookRows(string(text))
	if err != nil {
		t.Fatal(err)
	}
	ours := map[move]bool{}
	for m := range moves(order.Machine) {
		if m.row != "" {
			ours[m] = true
		}
	}
	for m := range book {
		if !ours[m] {
			t.Errorf("the rule book says %+v, our table does not", m)
		}
	}
	for m := range ours {
		if !book[m] {
			t.Errorf("our table says %+v, the rule book does not", m)
		}
	}
}

var kebab = regexp.MustCompile(`([a-z])([A-Z])`)

// bookRows reads the rows of the order's table, in the names of ours: commands without the word for the
// machine, events in kebab case, a variant in brackets.
func bookRows(text string) (map[move]bool, error) {
	_, table, found := strings.Cut(text, "<!-- machine: order;")
	if !found {
		return nil, fmt.Errorf("the rule book has no machine order")
	}
	rows := map[move]bool{}
	for _, line := range strings.Split(table, "\n")[3:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(line, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		words := strings.Fields(cells[5])
		event := strings.ToLower(kebab.ReplaceAllString(words[0], "$1-$2"))
		variant := ""
		if _, v, bracketed := strings.Cut(cells[5], "["); bracketed {
			variant = strings.TrimSuffix(v, "]")
		}
		command := strings.ToLower(kebab.ReplaceAllString(cells[4], "$1-$2"))
		command = strings.TrimSuffix(command, "-order")
		froms := strings.Split(cells[2], ", ")
		for _, f := range froms {
			if f == "–" {
				f = ""
			}
			rows[move{cells[1], order.Phase(f), order.Phase(cells[3]), command, event, variant}] = true
		}
	}
	if len(rows) < 18 {
		return nil, fmt.Errorf("the rule book's table of orders has %d transitions, want at least 18", len(rows))
	}
	return rows, nil
}

func TestNeedsNamesTheDemandsThatAreToBeServed(t *testing.T) {
	d := given(t, dispatched...)
	for _, s := range tries(d) {
		var want []stream.ID
		switch c := s.what.(type) {
		case order.Dispatch:
			want = c.Demands
		case order.AttachDemand:
			want = []stream.ID{c.Demand}
		}
		if got := order.Needs(d.state, s.what); !slices.Equal(got.Demands, want) || got.Orders != nil || got.Topics != nil {
			t.Errorf("%s: got %+v, want demands %v", s.what.Name(), got, want)
		}
	}
}
