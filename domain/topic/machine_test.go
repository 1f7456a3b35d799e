package topic

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gridcase/domain/demand"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

// rowSteps takes every row of the table, by its number in the rule book.
var rowSteps = map[string]step{
	"T1": proposes, "T2": opens, "T3": merges, "T4": drops, "T5": opensVote, "T6": closesVote, "T7": adopts, "T8": rejects,
	"T9": defers, "T10": refusesAdmission, "T11": hands, "T12": addsItem, "T13": returns, "T14": concludes, "T15": reopens,
}

// noteSteps takes every note, by its command.
var noteSteps = map[string]step{
	"hold-deliberation": holds, "publish-result": publishes, "support": supports,
	"note-demand-reopened": notes, "mark-ready-to-conclude": marksReady, "raise-warning": warns, "expire-clock": expires,
	"recompute-deadline": recounts,
}

// noteWay is the way to a state in which a note can be taken.
func noteWay(command string, in Phase) []step {
	if slices.Contains([]string{"raise-warning", "expire-clock", "recompute-deadline"}, command) && in == PhaseHandling { // no clock runs from the start
		return append(path(in), marksReady)
	}
	return path(in)
}

// disagreements compares a table with what the code does: each row, from each of its states, and each note
// is taken once by a real command; and no step the code can take is missing from the table.
func disagreements(t *testing.T, m rule.Machine[Phase]) (faults []string) {
	take := func(id string, st step, from, to Phase, command, event string) {
		p := given(t, noteWay(id, from)...)
		if p.state().Phase != from {
			t.Fatalf("the way to %s leads to %s", from, p.state().Phase)
		}
		if id == "T11" || id == "publish-result" {
			st.wait = day
		}
		c, _ := st.ask(p)
		if c.Name() != command {
			faults = append(faults, fmt.Sprintf("%s from %q: the command is %s, the table says %s", id, from, c.Name(), command))
		}
		events, err := p.do(st)
		e, alone := ruletest.Leading[Escalated](events)
		if err != nil || !alone {
			faults = append(faults, fmt.Sprintf("%s from %q: got %v, %v", id, from, events, err))
			return
		}
		if got := ruletest.Word(e); got != event {
			faults = append(faults, fmt.Sprintf("%s from %q: the event is %s, the table says %s", id, from, got, event))
		}
		if got := p.state().Phase; got != to {
			faults = append(faults, fmt.Sprintf("%s from %q leads to %s, the table says %s", id, from, got, to))
		}
	}
	var rows, commands []string
	for _, r := range m.Rows {
		rows = append(rows, r.ID)
		from := r.From
		if len(from) == 0 {
			from = []Phase{""}
		}
		for _, f := range from {
			take(r.ID, rowSteps[r.ID], f, r.To, r.Command, r.Event)
		}
	}
	for _, n := range m.Notes {
		commands = append(commands, n.Command)
		for _, in := range n.In {
			take(n.Command, noteSteps[n.Command], in, in, n.Command, n.Event)
		}
	}
	for id := range rowSteps {
		if !slices.Contains(rows, id) {
			faults = append(faults, id+" is not in the table")
		}
	}
	for c := range noteSteps {
		if !slices.Contains(commands, c) {
			faults = append(faults, c+" is not in the table")
		}
	}
	return faults
}

func (st step) ask(p *play) (Command, rule.At) {
	now := *p
	return now.ask(st)
}

// deadEnds checks the shape of a table (M2): every state is reached, every state leads to a terminal one, and
// no other state lacks an exit.
func deadEnds(m rule.Machine[Phase]) (faults []string) {
	reached := map[Phase]bool{}
	ends := map[Phase]bool{}
	for _, p := range m.Terminal {
		ends[p] = true
	}
	exits := map[Phase]int{}
	for range m.States {
		for _, r := range m.Rows {
			if len(r.From) == 0 {
				reached[r.To] = true
			}
			for _, f := range r.From {
				reached[r.To] = reached[r.To] || reached[f]
				ends[f] = ends[f] || ends[r.To]
			}
		}
	}
	for _, r := range m.Rows {
		for _, f := range r.From {
			if f != r.To {
				exits[f]++
			}
		}
	}
	for _, p := range m.States {
		if !reached[p] {
			faults = append(faults, fmt.Sprintf("%s is never reached", p))
		}
		if !ends[p] {
			faults = append(faults, fmt.Sprintf("from %s nothing ends", p))
		}
		if exits[p] == 0 && !slices.Contains(m.Terminal, p) {
			faults = append(faults, fmt.Sprintf("%s has no exit", p))
		}
		if p.Terminal() != slices.Contains(m.Terminal, p) {
			faults = append(faults, fmt.Sprintf("%s: table and code disagree on whether it is terminal", p))
		}
	}
	return faults
}

func TestTheTableAndTheCodeAgree(t *testing.T) {
	for _, f := range append(deadEnds(Machine), disagreements(t, Machine)...) {
		t.Error(f)
	}
}

// A broken copy of the table must not get past the tests of the table.
func TestABrokenTableIsFound(t *testing.T) {
	row := func(m *rule.Machine[Phase], id string) *rule.Row[Phase] {
		return &m.Rows[slices.IndexFunc(m.Rows, func(r rule.Row[Phase]) bool { return r.ID == id })]
	}
	without := func(m *rule.Machine[Phase], id string) {
		m.Rows = slices.DeleteFunc(m.Rows, func(r rule.Row[Phase]) bool { return r.ID == id })
	}
	for _, c := range []struct {
		name   string
		damage func(m *rule.Machine[Phase])
		found  string
	}{
		{"a row was dropped", func(m *rule.Machine[Phase]) { without(m, "T9") }, "T9 is not in the table"},
		{"a dropped row leaves a state unreached", func(m *rule.Machine[Phase]) { without(m, "T14") }, "concluded is never reached"},
		{"a dropped row leaves a state without an exit", func(m *rule.Machine[Phase]) { without(m, "T6") }, "voting has no exit"},
		{"a row leads elsewhere", func(m *rule.Machine[Phase]) { row(m, "T7").To = PhaseHandling }, `T7 from "deliberating" leads to adopted, the table says handling`},
		{"a row begins in a state too many", func(m *rule.Machine[Phase]) { row(m, "T5").From = []Phase{PhaseDeliberating, PhaseAdopted} }, `T5 from "adopted": got`},
		{"a row writes another event", func(m *rule.Machine[Phase]) { row(m, "T8").Event = "topic-dropped" }, "T8 from \"deliberating\": the event is topic-rejected"},
		{"a row has another command", func(m *rule.Machine[Phase]) { row(m, "T15").Command = "reopen-topic" }, "T15 from \"concluded\": the command is reopen"},
		{"a note was dropped", func(m *rule.Machine[Phase]) { m.Notes = m.Notes[1:] }, "hold-deliberation is not in the table"},
		{"a terminal state is not marked", func(m *rule.Machine[Phase]) { m.Terminal = m.Terminal[1:] }, "concluded: table and code disagree"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Machine
			m.Rows, m.Notes = slices.Clone(m.Rows), slices.Clone(m.Notes)
			c.damage(&m)
			faults := append(deadEnds(m), disagreements(t, m)...)
			if !slices.ContainsFunc(faults, func(f string) bool { return strings.HasPrefix(f, c.found) }) {
				t.Errorf("got %q, want a fault that begins %q", faults, c.found)
			}
		})
	}
}

var commands = []Command{Propose{}, OpenDeliberation{}, Merge{}, Drop{}, OpenVote{}, CloseVote{}, Adopt{}, Reject{}, Defer{},
	RefuseAdmission{}, HandToGrid{}, AddOrder{}, Return{}, PublishResult{}, Conclude{}, Reopen{}, HoldDeliberation{}, Support{},
	NoteDemandReopened{}, MarkReadyToConclude{}, RaiseWarning{}, ExpireClock{}, RecomputeDeadline{}}

// TestWhatTheTableDoesNotListIsRefused asks every command in every state (M1).
func TestWhatTheTableDoesNotListIsRefused(t *testing.T) {
	refused := ruletest.Unlisted(t, Machine, commands, []rule.Actor{system}, ruletest.WrongState, func(phase Phase, who rule.Actor, c Command) (Phase, int, error) {
		p := given(t, path(phase)...)
		in := p.state().Phase
		events, err := p.do(step{who: who, wait: day, cmd: anything(c)})
		return in, len(events), err
	})
	if want := 11*len(commands) - transitions(); refused != want {
		t.Errorf("got %d pairs refused, want %d", refused, want)
	}
}

// transitions counts the pairs of state and command in the table.
func transitions() (n int) {
	for _, r := range Machine.Rows {
		n += max(len(r.From), 1)
	}
	for _, note := range Machine.Notes {
		n += len(note.In)
	}
	return n
}

// TestOnlyTheListedRolesMayAct gives every command in every state it is possible in to every other role.
func TestOnlyTheListedRolesMayAct(t *testing.T) {
	try := func(command string, from Phase, st step, actors []orgs.Role) {
		for _, role := range append(orgs.Roles(), orgs.System) {
			if slices.Contains(actors, role) {
				continue
			}
			events, err := given(t, path(from)...).do(st.by(rule.Actor{ID: "k-any", Role: role, Unit: community}))
			if got := outcome(events, err); !strings.HasPrefix(got, "role_missing") {
				t.Errorf("%s by %s when %q: got %s, want role_missing", command, role, from, got)
			}
		}
	}
	for _, r := range Machine.Rows {
		for _, f := range append(r.From, "")[:max(len(r.From), 1)] {
			try(r.Command, f, rowSteps[r.ID], r.Actors)
		}
	}
	for _, n := range Machine.Notes {
		for _, in := range n.In {
			try(n.Command, in, noteSteps[n.Command], n.Actors)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	var ids, rows, words, said []string
	for _, r := range Machine.Rows {
		ids, rows, words = append(ids, r.ID), append(rows, r.Event), append(words, r.Command)
	}
	for _, n := range Machine.Notes {
		rows, words = append(rows, n.Event), append(words, n.Command)
	}
	for _, c := range commands {
		said = append(said, c.Name())
	}
	for what, names := range map[string][]string{"row": ids, "event": rows, "command": words} {
		if !distinct(names) {
			t.Errorf("a %s bears a name twice: %q", what, names)
		}
	}
	slices.Sort(words)
	slices.Sort(said)
	if !slices.Equal(words, said) {
		t.Errorf("commands in the table %q, in the code %q", words, said)
	}
}

// TestOtherMachinesWordsAreTheirs holds the words for demands against the demand's own.
func TestOtherMachinesWordsAreTheirs(t *testing.T) {
	for ours, theirs := range map[string]string{
		demandRaised: string(demand.PhaseRaised), demandAccepted: string(demand.PhaseAccepted),
		kindReport: string(demand.Report), kindDispute: string(demand.Dispute),
	} {
		if ours != theirs {
			t.Errorf("got %q, want %q", ours, theirs)
		}
	}
	if !slices.Contains(demand.Urgencies(), usualUrgency) {
		t.Errorf("%q is no urgency", usualUrgency)
	}
}

// TestTheTableIsTheRuleBooks compares ids, states, commands, events, actors and confirmations with the rule
// book's own table where that is at hand.
func TestTheTableIsTheRuleBooks(t *testing.T) {
	folder := os.Getenv("GRIDCASE_SHARED")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared")
	}
	book, err := os.ReadFile(filepath.Join(folder, "DOMAIN.md"))
	if err != nil {
		t.Logf("not compared with the rule book: %v", err)
		return
	}
	_, after, found := strings.Cut(string(book), "<!-- machine: topic;")
	if !found {
		t.Fatal("the rule book has no table of topics")
	}
	head, table, _ := strings.Cut(after, "-->")
	var ended []string
	for _, p := range Machine.Terminal {
		ended = append(ended, string(p))
	}
	if got := "terminal: " + strings.Join(ended, " "); got != strings.TrimSpace(head) {
		t.Errorf("got %q, want %q", got, strings.TrimSpace(head))
	}
	lines := strings.Split(strings.TrimSpace(table), "\n")[2:] // below the header and its rule
	for n, r := range Machine.Rows {
		if n >= len(lines) {
			t.Fatalf("%s is not in the rule book", r.ID)
		}
		cells := strings.Split(lines[n], "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		event, _, _ := strings.Cut(cells[5], " ")
		from := make([]string, len(r.From))
		for i, f := range r.From {
			from[i] = string(f)
		}
		begins := strings.Join(from, ", ")
		if len(from) == 0 {
			begins = "–"
		}
		got := []string{r.ID, begins, string(r.To), r.Command, r.Event}
		want := []string{cells[1], cells[2], cells[3], strings.ReplaceAll("-"+kebab(cells[4]), "-topic", "")[1:], kebab(event)}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		compareActors(t, r, cells[6])
	}
	if rest := lines[len(Machine.Rows)]; strings.HasPrefix(rest, "|") {
		t.Errorf("the rule book has a further row: %s", rest)
	}
}

// compareActors reads a cell such as "community_secretary + 2nd (convenor)". A street has no community
// secretary; that its leader stands in for one on the street's own topics is our reading.
func compareActors(t *testing.T, r rule.Row[Phase], cell string) {
	if cell == "as T7" {
		cell = "community_secretary + 2nd (convenor)"
	}
	named, second, _ := strings.Cut(cell, "+ 2nd")
	var want []orgs.Role
	for _, word := range regexp.MustCompile(`[a-z_]+`).FindAllString(named, -1) {
		switch role := orgs.Role(word); {
		case word == "pm" || word == "clock":
			want = append(want, orgs.System)
		case word == "residents" && strings.HasSuffix(named, "residents"):
			want = append(want, orgs.Resident)
		case slices.Contains(orgs.Roles(), role):
			want = append(want, role)
		}
	}
	if slices.Equal(want, []orgs.Role{orgs.CommunitySecretary}) {
		want = append(want, orgs.StreetLeader)
	}
	if !slices.Equal(r.Actors, want) || string(r.Second) != strings.Trim(second, " ()") {
		t.Errorf("%s: got %q + %q, want %q + %q", r.ID, r.Actors, r.Second, want, second)
	}
}

// kebab writes TopicMergedInto as topic-merged-into.
func kebab(name string) string {
	return strings.ToLower(regexp.MustCompile(`\B[A-Z]`).ReplaceAllString(name, "-$0"))
}
