package domain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gridcase/domain/admission"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/evaluation"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/scheme"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// term is one row of docs/glossary.md.
type term struct {
	section string
	zh      string
	en      string // without the code marks
	stored  bool   // en is a stored word
	name    string // "demand.Raised"
	line    int
}

func TestTheGlossaryNamesWhatTheCodeHas(t *testing.T) {
	code := vocabulary(t)
	for _, g := range glossary(t) {
		word, exists := code[g.name]
		switch {
		case !exists:
			t.Errorf("line %d: there is no %s in the code", g.line, g.name)
		case g.stored && word != g.en:
			t.Errorf("line %d: %s is stored as %q, the glossary says %q", g.line, g.name, word, g.en)
		case !g.stored && word != "" && word != g.en:
			t.Errorf("line %d: %s is stored as %q and must be shown so, got %q", g.line, g.name, word, g.en)
		}
	}
}

func TestEveryWordOfTheDomainIsInTheGlossary(t *testing.T) {
	listed := map[string]bool{}
	stored := map[string]bool{}
	for _, g := range glossary(t) {
		listed[g.name] = true
		stored[strings.Split(g.name, ".")[0]+" "+g.en] = true
	}
	for name, word := range vocabulary(t) {
		if word != "" && !listed[name] {
			t.Errorf("%s (%s) is not in the glossary", name, word)
		}
	}
	for _, r := range append(orgs.Roles(), orgs.System) {
		if !stored["orgs "+string(r)] {
			t.Errorf("the role %s is not in the glossary", r)
		}
	}
	for _, k := range orgs.Kinds() {
		if !stored["orgs "+string(k)] {
			t.Errorf("the unit kind %s is not in the glossary", k)
		}
	}
	states(t, stored, demand.Machine.Name, demand.Machine.States)
	states(t, stored, topic.Machine.Name, topic.Machine.States)
	states(t, stored, order.Machine.Name, order.Machine.States)
	states(t, stored, dispute.Machine.Name, dispute.Machine.States)
	states(t, stored, whistle.Machine.Name, whistle.Machine.States)
	states(t, stored, admission.Machine.Name, admission.Machine.States)
	states(t, stored, scheme.Machine.Name, scheme.Machine.States)
	states(t, stored, period.Machine.Name, period.Machine.States)
	states(t, stored, evaluation.Machine.Name, evaluation.Machine.States)
	words := map[string]bool{}
	for _, g := range glossary(t) {
		words[g.en] = true
	}
	for typ := range event.Types() {
		if !words[typ] {
			t.Errorf("the event %s is not in the glossary", typ)
		}
	}
}

func states[S ~string](t *testing.T, stored map[string]bool, machine string, all []S) {
	t.Helper()
	for _, s := range all {
		if !stored[machine+" "+string(s)] {
			t.Errorf("the state %s of the machine %s is not in the glossary", s, machine)
		}
	}
}

func TestTheGlossaryHasOneWordPerThing(t *testing.T) {
	names, words := map[string]int{}, map[string]int{}
	for _, g := range glossary(t) {
		if other, twice := names[g.name]; twice {
			t.Errorf("line %d: %s stands in line %d already", g.line, g.name, other)
		}
		names[g.name] = g.line
		in := g.section + " " + g.zh
		if other, twice := words[in]; twice {
			t.Errorf("line %d: %s stands for another thing in line %d", g.line, g.zh, other)
		}
		words[in] = g.line
	}
}

// glossary reads the rows of all tables of the glossary.
func glossary(t *testing.T) []term {
	t.Helper()
	text, err := os.ReadFile("../docs/glossary.md")
	if err != nil {
		t.Fatal(err)
	}
	var terms []term
	section := ""
	for i, line := range strings.Split(string(text), "\n") {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = heading
		}
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| zh |") || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 4 {
			t.Fatalf("line %d has %d cells, want 4: %s", i+1, len(cells), line)
		}
		zh, en, name := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
		if zh == "" || en == "" || !strings.HasPrefix(name, "`") {
			t.Fatalf("line %d lacks a word: %s", i+1, line)
		}
		terms = append(terms, term{section, zh, strings.Trim(en, "`"), strings.HasPrefix(en, "`"), strings.Trim(name, "`"), i + 1})
	}
	if len(terms) < 200 {
		t.Fatalf("read %d rows: the test does not see the tables", len(terms))
	}
	return terms
}

// vocabulary returns every exported name of the domain, and of what speaks with other systems, with the word it is stored as: the value of a constant
// of a named type, the stored name of an event; "" for all others.
func vocabulary(t *testing.T) map[string]string {
	t.Helper()
	names := map[string]string{}
	for _, room := range []string{".", "../engine/relay"} {
		err := filepath.WalkDir(filepath.FromSlash(room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			for _, decl := range f.Decls {
				declared(names, f.Name.Name, decl)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func declared(names map[string]string, pkg string, decl ast.Decl) {
	put := func(id *ast.Ident, word string) {
		if id.IsExported() && (word != "" || names[pkg+"."+id.Name] == "") {
			names[pkg+"."+id.Name] = word
		}
	}
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil {
			put(decl.Name, "")
			return
		}
		of, ok := decl.Recv.List[0].Type.(*ast.Ident)
		if !ok || decl.Name.Name != "EventType" {
			return
		}
		if ret, ok := decl.Body.List[0].(*ast.ReturnStmt); ok {
			put(of, literal(ret.Results))
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				put(spec.Name, "")
			case *ast.ValueSpec:
				word := ""
				if decl.Tok == token.CONST && spec.Type != nil {
					word = literal(spec.Values)
				}
				for _, id := range spec.Names {
					put(id, word)
				}
			}
		}
	}
}

// literal returns the one literal of a list of expressions, "" if there is no such.
func literal(es []ast.Expr) string {
	if len(es) != 1 {
		return ""
	}
	lit, ok := es[0].(*ast.BasicLit)
	if !ok || !slices.Contains([]token.Token{token.STRING, token.INT}, lit.Kind) {
		return ""
	}
	if text, err := strconv.Unquote(lit.Value); err == nil {
		return text
	}
	return lit.Value
}

// Chinese refusals name roles and states by the words of the glossary, all of them.
func TestRolesAndStatesAreSaidInTheWordsOfTheGlossary(t *testing.T) {
	zh := map[string]string{}
	for _, g := range glossary(t) {
		zh[strings.Split(g.name, ".")[0]+" "+g.en] = g.zh
	}
	said := 0
	check := func(of, word, got string) {
		t.Helper()
		if want := zh[of+" "+word]; got != want || got == word || want == "" {
			t.Errorf("%s %s is said %q, the glossary has %q", of, word, got, want)
		}
		said++
	}
	for _, r := range append(orgs.Roles(), orgs.System) {
		check("orgs", string(r), rule.RoleWord(r))
	}
	for _, s := range demand.Machine.States {
		check("demand", string(s), rule.StateWord(demand.Machine.Name, string(s)))
	}
	for _, s := range topic.Machine.States {
		check("topic", string(s), rule.StateWord(topic.Machine.Name, string(s)))
	}
	for _, s := range order.Machine.States {
		check("order", string(s), rule.StateWord(order.Machine.Name, string(s)))
	}
	for _, s := range dispute.Machine.States {
		check("dispute", string(s), rule.StateWord(dispute.Machine.Name, string(s)))
	}
	for _, s := range whistle.Machine.States {
		check("whistle", string(s), rule.StateWord(whistle.Machine.Name, string(s)))
	}
	for _, s := range admission.Machine.States {
		check("admission", string(s), rule.StateWord(admission.Machine.Name, string(s)))
	}
	if said < 65 {
		t.Errorf("only %d words", said)
	}
	r := order.Machine.Admit(order.PhaseClosed, "sign", rule.Stamp{Actor: rule.Actor{Role: orgs.Handler}})
	if r == nil || r.Detail.Zh != "当前状态为“已结案”，不能执行 sign" {
		t.Errorf("a refusal says %+v", r)
	}
}
