package demand

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// drives takes every row once, from any of its states: by a command that succeeds there.
var drives = map[string]step{
	"D1":  by(resident, raise),
	"D2":  by(clerk, accept),
	"D3":  by(clerk, spot),
	"D4":  by(clerk, wrong, secretary),
	"D5":  by(clerk, Redirect{Target: "12345", Receipt: "h-77"}),
	"D6":  by(resident, Withdraw{}),
	"D7":  by(clerk, link, topics(heating)),
	"D8":  by(clerk, join, orders(pipes)),
	"D9":  by(clerk, UnlinkFromTopic{Reason: "不属于同一事项"}, topics(heating)),
	"D10": by(manager, enter),
	"D11": by(manager, Answer{Outcome: NotAdopted, Summary: "未采纳", From: source}),
	"D12": by(manager, answer),
	"D13": by(manager, ReturnToTopic{Topic: topicID}),
	"D14": by(manager, ReturnToPool{Order: orderID, Cause: "order_cancelled"}),
	"D15": by(caller, happy, orders(verified)),
	"D16": by(caller, angry, orders(verified)),
	"D17": by(caller, angry, orders(cancelled)),
	"D18": by(caller, WaiveCallback{Cause: "anonymous"}, orders(verified)),
	"D19": by(resident, Reopen{Reason: sealed.Clear("又不热了")}),
	"D20": by(dispatcher, UpholdAppeal{Reason: "并无诉讼"}),
}

// beginnings are those a row needs beyond its state.
var beginnings = map[string][]step{
	"D13": when(isInTopic, by(manager, enter)),
	"D18": isAnon,
}

// notes takes every note once.
var notes = map[string]step{
	"supplement":              by(resident, Supplement{Text: sealed.Clear("三楼也不热")}),
	"support":                 by(stranger, Support{Supporters: 1}),
	"reclassify":              by(clerk, Reclassify{Urgency: "B"}),
	"relocate":                by(clerk, Relocate{Grid: nextGrid, Unit: home}),
	"split":                   by(clerk, SplitUp{Children: []Child{{Kind: Errand, Unit: home, Text: sealed.Clear("换灯泡")}}}),
	"relate":                  by(clerk, Relate{Topic: otherTID}, topics(parking)),
	"file-appeal":             by(resident, FileAppeal{Reason: sealed.Clear("没有诉讼")}),
	"reject-appeal":           by(dispatcher, RejectAppeal{Reason: "确有诉讼"}),
	"urge":                    by(resident, Urge{}),
	"record-callback-attempt": by(caller, RecordCallbackAttempt{Means: "phone"}, orders(verified)),
	"rerate":                  by(resident, Rerate{Grade: 3, Resolved: true}),
	"note-progress":           by(manager, NoteProgress{From: source, State: "handling", Unit: grid.Unit()}),
	"recompute-deadline":      by(arbiter, RecomputeDeadline{Reason: "放假通知已更正"}, ruletest.Shut(morning)),
	"raise-warning":           by(clock, RaiseWarning{}),
	"expire-clock":            by(clock, ExpireClock{}),
}

var enter = EnterHandling{Topic: topicID, Orders: []stream.ID{orderID}, Latest: calendar.DateOf(morning) + 20}

// clockOf is the one clock that runs in each state.
var clockOf = map[Phase]calendar.Clock{
	PhaseRaised: calendar.Accept, PhaseAccepted: calendar.Triage, PhaseInTopic: calendar.TopicNews,
	PhaseInHandling: calendar.Promise, PhaseAnswered: calendar.Callback,
}

// beginning returns the steps before a row is driven from a state.
func beginning(id string, from Phase) []step {
	if steps, special := beginnings[id]; special {
		return steps
	}
	return reach[from]
}

// driven compares a table with what the code does when every row is taken from each of its states, and
// lists where they differ.
func driven(t *testing.T, m rule.Machine[Phase]) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	inTable := map[string]bool{}
	for _, r := range m.Rows {
		inTable[r.ID] = true
		s, known := drives[r.ID]
		if !known {
			fault("%s: nothing drives it", r.ID)
			continue
		}
		froms := r.From
		if len(froms) == 0 {
			froms = []Phase{""}
		}
		for _, from := range froms {
			st := given(t, beginning(r.ID, from))
			es, err := st.Does(s)
			if err != nil || len(es) != 1 {
				fault("%s from %q: decided %v, %v", r.ID, from, es, err)
				continue
			}
			if got := ruletest.Word(es[0]); got != r.Event || s.Command.Name() != r.Command {
				fault("%s from %q: %s decided %s, the table says %s, %s", r.ID, from, s.Command.Name(), got, r.Command, r.Event)
			}
			if e, ok := es[0].(CallbackRecorded); ok && string(e.Result) != r.Variant {
				fault("%s: result %q, the table says %q", r.ID, e.Result, r.Variant)
			}
			if st.State.Phase != r.To {
				fault("%s from %q: led to %q, the table says %q", r.ID, from, st.State.Phase, r.To)
			}
		}
	}
	for id := range drives {
		if !inTable[id] {
			fault("%s: the code does it, the table has no such row", id)
		}
	}
	for _, n := range m.Notes {
		s, known := notes[n.Command]
		if !known {
			fault("%s: nothing drives it", n.Command)
			continue
		}
		for _, in := range n.In {
			steps := reach[in]
			if n.Command == "file-appeal" {
				steps = isDeclined
			}
			st := given(t, steps)
			es, err := st.Does(s)
			if e, alone := ruletest.Leading[Escalated](es); err != nil || !alone || ruletest.Word(e) != n.Event || st.State.Phase != in {
				fault("%s in %q: decided %v, %v, now %q; the table says %s", n.Command, in, es, err, st.State.Phase, n.Event)
			}
		}
	}
	for command := range notes {
		if !slices.ContainsFunc(m.Notes, func(n rule.Note[Phase]) bool { return n.Command == command }) {
			fault("%s: the code does it, the table has no such note", command)
		}
	}
	return faults
}

// shaped lists what is wrong with a table by itself (M2, M3, M4).
func shaped(m rule.Machine[Phase]) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	onward := map[Phase][]Phase{}
	ids := map[string]bool{}
	for _, r := range m.Rows {
		if ids[r.ID] {
			fault("%s is there twice", r.ID)
		}
		ids[r.ID] = true
		for _, p := range append(slices.Clone(r.From), r.To) {
			if !slices.Contains(m.States, p) {
				fault("%s names %q, which is no state", r.ID, p)
			}
		}
		if len(r.From) == 0 {
			onward[""] = append(onward[""], r.To)
		}
		for _, from := range r.From {
			onward[from] = append(onward[from], r.To)
			if slices.Contains(m.Terminal, from) && r.ID != "D19" && r.ID != "D20" {
				fault("%s leaves the terminal state %q", r.ID, from)
			}
		}
		if len(r.Actors) == 0 {
			fault("%s has no actor", r.ID)
		}
	}
	for _, n := range m.Notes {
		for _, r := range m.Rows {
			if n.Event == r.Event || n.Command == r.Command {
				fault("%s is both a note and row %s", n.Command, r.ID)
			}
		}
		if len(n.In) == 0 || len(n.Actors) == 0 {
			fault("%s: in no state, or by nobody", n.Command)
		}
	}
	from := func(start Phase) map[Phase]bool {
		seen := map[Phase]bool{start: true}
		for queue := []Phase{start}; len(queue) > 0; queue = queue[1:] {
			for _, next := range onward[queue[0]] {
				if !seen[next] {
					seen[next], queue = true, append(queue, next)
				}
			}
		}
		return seen
	}
	reachable := from("")
	for _, p := range m.States {
		if !reachable[p] {
			fault("%q can not be reached", p)
		}
		if !slices.Contains(m.Terminal, p) && len(onward[p]) == 0 {
			fault("%q has no exit", p)
		}
		ends := from(p)
		if !slices.ContainsFunc(m.Terminal, func(end Phase) bool { return ends[end] }) {
			fault("%q leads to no end", p)
		}
	}
	return faults
}

func TestEveryStateIsReachedAndEndsSomewhere(t *testing.T) {
	for _, fault := range shaped(Machine) {
		t.Error(fault)
	}
	for _, p := range Machine.States {
		if p.Terminal() != slices.Contains(Machine.Terminal, p) {
			t.Errorf("%q: Terminal() is %v, the table says otherwise", p, p.Terminal())
		}
		st := given(t, reach[p])
		if st.State.Phase != p {
			t.Errorf("the way to %q leads to %q", p, st.State.Phase)
		}
	}
}

func TestEveryRowIsDrivenFromEveryStateItNames(t *testing.T) {
	for _, fault := range driven(t, Machine) {
		t.Error(fault)
	}
}

func TestASpoiltTableIsFound(t *testing.T) {
	row := func(m *rule.Machine[Phase], id string) *rule.Row[Phase] {
		return &m.Rows[slices.IndexFunc(m.Rows, func(r rule.Row[Phase]) bool { return r.ID == id })]
	}
	spoil := map[string]func(*rule.Machine[Phase]){
		"a row dropped": func(m *rule.Machine[Phase]) {
			m.Rows = slices.DeleteFunc(m.Rows, func(r rule.Row[Phase]) bool { return r.ID == "D8" })
		},
		"another end":       func(m *rule.Machine[Phase]) { row(m, "D17").To = PhaseInHandling },
		"a state too many":  func(m *rule.Machine[Phase]) { row(m, "D12").From = []Phase{PhaseInHandling, PhaseAccepted} },
		"another event":     func(m *rule.Machine[Phase]) { row(m, "D18").Event = "callback-recorded" },
		"another command":   func(m *rule.Machine[Phase]) { row(m, "D3").Command = "accept" },
		"another variant":   func(m *rule.Machine[Phase]) { row(m, "D15").Variant = "rework" },
		"a note forgotten":  func(m *rule.Machine[Phase]) { m.Notes = m.Notes[1:] },
		"a note too widely": func(m *rule.Machine[Phase]) { m.Notes[4].In = []Phase{PhaseAccepted, PhaseRaised} },
	}
	for name, f := range spoil {
		if m := spoilt(f); len(driven(t, m)) == 0 {
			t.Errorf("%s: driving the rows finds nothing", name)
		}
	}
	misshape := map[string]func(*rule.Machine[Phase]){
		"a state nobody reaches": func(m *rule.Machine[Phase]) { row(m, "D4").To = PhaseRaised },
		"a state without exit": func(m *rule.Machine[Phase]) {
			m.Rows = slices.DeleteFunc(m.Rows, func(r rule.Row[Phase]) bool { return slices.Contains(r.From, PhaseAnswered) })
		},
		"an end that is left":  func(m *rule.Machine[Phase]) { row(m, "D2").From = []Phase{PhaseRaised, PhaseRedirected} },
		"a number twice":       func(m *rule.Machine[Phase]) { row(m, "D2").ID = "D3" },
		"no such state":        func(m *rule.Machine[Phase]) { row(m, "D2").To = "accepted?" },
		"nobody may":           func(m *rule.Machine[Phase]) { row(m, "D2").Actors = nil },
		"a name in two places": func(m *rule.Machine[Phase]) { m.Notes[0].Event = "demand-raised" },
		"a note nowhere":       func(m *rule.Machine[Phase]) { m.Notes[0].In = nil },
	}
	for name, f := range misshape {
		if m := spoilt(f); len(shaped(m)) == 0 {
			t.Errorf("%s: the table looks right", name)
		}
	}
}

// spoilt returns a copy of the table with something wrong.
func spoilt(f func(*rule.Machine[Phase])) rule.Machine[Phase] {
	m := Machine
	m.Rows, m.Notes = slices.Clone(m.Rows), slices.Clone(m.Notes)
	f(&m)
	return m
}

// everyCommand has one command of each kind.
func everyCommand() []Command {
	var cs []Command
	seen := map[string]bool{}
	for _, r := range Machine.Rows {
		if s := drives[r.ID]; !seen[s.Command.Name()] {
			seen[s.Command.Name()] = true
			cs = append(cs, s.Command)
		}
	}
	for _, n := range Machine.Notes {
		cs = append(cs, notes[n.Command].Command)
	}
	return cs
}

// anyone is somebody in each role, for the whole city.
func anyone() (people []rule.Actor) {
	for _, role := range append(orgs.Roles(), orgs.System) {
		people = append(people, rule.Actor{ID: "k-any-" + string(role), Role: role, Unit: city})
	}
	return people
}

func TestWhatTheTableDoesNotListIsRefused(t *testing.T) {
	pairs := ruletest.Unlisted(t, Machine, everyCommand(), anyone(), ruletest.WrongState, func(p Phase, a rule.Actor, c Command) (Phase, int, error) {
		st := given(t, reach[p])
		return st.Try(st.apt(by(a, c, topics(heating, parking), orders(verified))))
	})
	if states, commands := len(Machine.States)+1, len(everyCommand()); pairs < states*commands/2 {
		t.Errorf("only %d of %d pairs are outside the table", pairs, states*commands)
	}
}

func TestWhoIsNotNamedInTheRowIsRefused(t *testing.T) {
	for _, p := range append([]Phase{""}, Machine.States...) {
		for _, c := range everyCommand() {
			actors := ruletest.Actors(Machine, p, c.Name())
			if actors == nil {
				continue
			}
			for _, role := range append(orgs.Roles(), orgs.System) {
				if slices.Contains(actors, role) {
					continue
				}
				st := given(t, reach[p])
				es, err := st.Does(by(rule.Actor{ID: "k-anyone", Role: role, Unit: city}, c))
				r := ruletest.Refusal(err)
				if len(es) != 0 || r == nil || r.Code != rule.RoleMissing {
					t.Fatalf("%s in %q as %s: decided %v, %v; want role_missing", c.Name(), p, role, es, err)
				}
				if lack := ruletest.Lack(r, st.State.Phase, Machine); lack != "" {
					t.Fatalf("%s in %q: %s", c.Name(), p, lack)
				}
			}
		}
	}
}

// declared returns the events of events.go, or the commands of decide.go: the receivers of a method.
func declared(t *testing.T, file, method string) []string {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == method {
			types = append(types, fn.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	return types
}

func TestNamesAreUniqueAndAllOfThemAreInTheTable(t *testing.T) {
	ruletest.Names(t, Machine, everyEvent(), everyCommand())
	var inTable []string
	for _, r := range Machine.Rows {
		inTable = append(inTable, r.Event)
	}
	for _, n := range Machine.Notes {
		inTable = append(inTable, n.Event)
	}
	for _, e := range everyEvent() {
		if _, rides := e.(Escalated); !rides && !slices.Contains(inTable, ruletest.Word(e)) {
			t.Errorf("%s is not in the table", e.EventType())
		}
		if !strings.HasSuffix(e.EventType(), "/1") {
			t.Errorf("%s is not version 1", e.EventType())
		}
	}
	if got, want := len(everyEvent()), len(declared(t, "events.go", "EventType")); got != want {
		t.Errorf("these tests know %d events, the package declares %d", got, want)
	}
	if got, want := len(everyCommand()), len(declared(t, "decide.go", "Name")); got != want {
		t.Errorf("the table has %d commands, the package declares %d", got, want)
	}
}

// ruleBook returns the part of the rule book about a demand, "" where it is not at hand.
func ruleBook(t *testing.T) string {
	dir := os.Getenv("GRIDCASE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	text, err := os.ReadFile(filepath.Join(dir, "DOMAIN.md"))
	if err != nil {
		t.Logf("not compared with the rule book: states, rows, actors, clocks and notes (%v)", err)
		return ""
	}
	_, rest, found := strings.Cut(string(text), "<!-- machine: demand")
	if !found {
		t.Fatal("the rule book has no machine: demand")
	}
	part, _, _ := strings.Cut(rest, "\n### ")
	return part
}

var (
	inner    = regexp.MustCompile(`([a-z])([A-Z])`)
	coded    = regexp.MustCompile("`([a-z_]+)`")
	noteName = regexp.MustCompile("`([A-Z][A-Za-z]+)(?:\\{[^}]*\\})?`")
	word     = regexp.MustCompile(`[a-z_]+`)
)

// kebab turns RaiseDemand into raise-demand.
func kebab(s string) string { return strings.ToLower(inner.ReplaceAllString(s, "$1-$2")) }

// roles reads the actor column: who, and who else must confirm.
func roles(cell string) (actors []orgs.Role, second orgs.Role) {
	cell, confirms, _ := strings.Cut(cell, "+ 2nd")
	second = orgs.Role(strings.Trim(confirms, " ()"))
	if strings.Contains(cell, "on behalf with") { // those who may raise on behalf
		actors = append(actors, orgs.GridWorker, orgs.Clerk, orgs.Channel)
	}
	for _, w := range word.FindAllString(cell, -1) {
		switch {
		case w == "pm" || w == "clock":
			actors = append(actors, orgs.System)
		case slices.Contains(append(orgs.Roles(), orgs.System), orgs.Role(w)):
			actors = append(actors, orgs.Role(w))
		}
	}
	slices.Sort(actors)
	return slices.Compact(actors), second
}

// clockWords reads the clock column: what a row stops and starts, and whether it stops all.
func clockWords(cell string) (stops, starts []string, all bool) {
	for _, part := range strings.FieldsFunc(cell, func(c rune) bool { return c == ',' || c == ';' }) {
		for _, m := range coded.FindAllStringSubmatch(part, -1) {
			switch {
			case strings.Contains(part, "stop"):
				stops = append(stops, m[1])
			case strings.Contains(part, "start"):
				starts = append(starts, m[1])
			}
		}
		all = all || strings.Contains(part, "stop all")
	}
	return stops, starts, all
}

func TestTheTableIsTheRuleBooks(t *testing.T) {
	book := ruleBook(t)
	if book == "" {
		return
	}
	head, _, _ := strings.Cut(book, "-->")
	_, ends, _ := strings.Cut(head, "terminal:")
	var terminal []Phase
	for _, w := range strings.Fields(ends) {
		terminal = append(terminal, Phase(w))
	}
	if !slices.Equal(Machine.Terminal, terminal) {
		t.Errorf("terminal: got %v, the rule book has %v", Machine.Terminal, terminal)
	}
	rows := map[string]rule.Row[Phase]{}
	for _, r := range Machine.Rows {
		rows[r.ID] = r
	}
	compared := 0
	for _, line := range strings.Split(book, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 10 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "D") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		compared++
		var want rule.Row[Phase]
		want.ID, want.To = cells[1], Phase(cells[3])
		if cells[2] != "–" {
			for _, p := range strings.Split(cells[2], ", ") {
				want.From = append(want.From, Phase(p))
			}
		}
		want.Command = strings.TrimSuffix(kebab(cells[4]), "-demand")
		want.Event = kebab(strings.Fields(cells[5])[0])
		if _, variant, found := strings.Cut(cells[5], "["); found {
			want.Variant = strings.TrimSuffix(variant, "]")
		}
		want.Actors, want.Second = roles(cells[6])
		got, found := rows[want.ID]
		got.Actors = slices.Sorted(slices.Values(got.Actors))
		if !found || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n got %+v\nwant %+v", want.ID, got, want)
			continue
		}
		stops, starts, all := clockWords(cells[8])
		for _, from := range append(want.From, want.To)[:max(1, len(want.From))] {
			if len(want.From) == 0 {
				from = ""
			}
			st := given(t, beginning(want.ID, from))
			s := drives[want.ID]
			before := st.State
			if _, err := st.Does(s); err != nil {
				t.Fatalf("%s: %v", want.ID, err)
			}
			for _, c := range stops {
				if _, ran := before.Running.Get(calendar.Clock(c)); !ran {
					t.Errorf("%s stops %s, which did not run", want.ID, c)
				}
				if _, runs := st.State.Running.Get(calendar.Clock(c)); runs {
					t.Errorf("%s: %s still runs", want.ID, c)
				}
			}
			for _, c := range starts {
				if d, runs := st.State.Running.Get(calendar.Clock(c)); !runs || !d.StartedAt.Equal(st.Now) {
					t.Errorf("%s did not start %s", want.ID, c)
				}
			}
			if all && len(st.State.Running) > 0 {
				t.Errorf("%s stops all, but %v run", want.ID, running(st.State))
			}
		}
	}
	if compared != len(Machine.Rows) {
		t.Errorf("the rule book has %d rows, the table %d", compared, len(Machine.Rows))
	}
}

// elsewhere are facts on a demand's stream that no command of this package is for: what rides with other facts, and
// those of the keys of personal data.
var elsewhere = []string{"demand-escalated", "personal-data-erased"}

func TestTheNotesAreTheRuleBooks(t *testing.T) {
	book := ruleBook(t)
	if book == "" {
		return
	}
	_, list, found := strings.Cut(book, "No state change (allowed in; actor):")
	if !found {
		t.Fatal("the rule book has no list of notes")
	}
	list, _, _ = strings.Cut(list, "\n")
	want := map[string][]Phase{}
	for _, item := range strings.FieldsFunc(list, func(c rune) bool { return c == '·' || c == '/' }) {
		_, brackets, found := strings.Cut(item, "(")
		if !found {
			t.Fatalf("the note %q names no states", item)
		}
		where, _, _ := strings.Cut(strings.SplitN(brackets, ")", 2)[0], ";")
		var in []Phase
		rest, but := strings.CutPrefix(where, "all but ")
		for _, p := range Machine.States {
			named := slices.Contains(word.FindAllString(rest, -1), string(p))
			if named != but || where == "any" || where == "non-terminal" && !p.Terminal() {
				in = append(in, p)
			}
		}
		for _, name := range noteName.FindAllStringSubmatch(strings.SplitN(item, "(", 2)[0], -1) {
			event := kebab(name[1])
			if event == "warning-raised" || event == "clock-expired" { // three machines have them
				event = "demand-" + event
			}
			want[event] = in
		}
	}
	want["demand-deadline-recomputed"] = open // rule R24 and invariant I3 name it; the book lists it with the order alone
	for _, n := range Machine.Notes {
		in, found := want[n.Event]
		if !found || !slices.Equal(n.In, in) {
			t.Errorf("%s: got %v, the rule book has %v", n.Event, n.In, in)
		}
		delete(want, n.Event)
	}
	for _, name := range elsewhere {
		if _, found := want[name]; !found {
			t.Errorf("the rule book does not know %s", name)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("the table lacks %v", want)
	}
}

func TestAResidentSeesThreeStages(t *testing.T) {
	want := map[Phase]Stage{
		PhaseRaised: StageRaised, PhaseAccepted: StageRaised, PhaseInTopic: StageTopic, PhaseInHandling: StageHandling,
		PhaseAnswered: StageDone, PhaseClosed: StageDone, PhaseDeclined: StageDone, PhaseRedirected: StageDone, PhaseWithdrawn: StageDone,
	}
	for _, p := range Machine.States {
		if got := p.Stage(); got != want[p] {
			t.Errorf("%q: stage %q, want %q", p, got, want[p])
		}
	}
}
