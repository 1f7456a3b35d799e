package event_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
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
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/scheme"
	"gridcase/domain/sealed"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

var updateDocument = flag.Bool("update", false, "write the event reference anew instead of comparing it")

// reference is the document that this file keeps.
const reference = "../../docs/events.md"

// homes names where the events live that no machine decides.
var homes = map[string]string{
	"problem-order-flagged/1":       "gridcase.order-‹uuid›",     // rides with the return or rework that makes it one
	"demand-escalated/1":            "gridcase.demand-‹uuid›",    // rides with the expiry, urging or callback that lifts it
	"topic-escalated/1":             "gridcase.topic-‹uuid›",     // rides with an expiry
	"dispute-escalated/1":           "gridcase.dispute-‹uuid›",   // rides with an expiry
	"admission-escalated/1":         "gridcase.admission-‹uuid›", // rides with the expiry that makes it rise
	"duty-list-published/1":         "gridcase.duties-‹publishing unit code›",
	"dispatch-blocked/1":            "gridcase.gate-‹community or street code›",
	"unit-opened/1":                 "gridcase.unit-‹unit code›",
	"unit-renamed/1":                "gridcase.unit-‹unit code›",
	"unit-members-set/1":            "gridcase.unit-‹unit code›",
	"unit-closed/1":                 "gridcase.unit-‹unit code›",
	"community-split/1":             "gridcase.unit-‹unit code›",
	"community-merged/1":            "gridcase.unit-‹unit code›",
	"blocks-surveyed/1":             "gridcase.grids-‹community code›",
	"households-assigned/1":         "gridcase.grids-‹community code›",
	"grid-split/1":                  "gridcase.grids-‹community code›",
	"grid-merged/1":                 "gridcase.grids-‹community code›",
	"grid-drawn/1":                  "gridcase.grids-‹community code›",
	"grid-retired/1":                "gridcase.grids-‹community code›",
	"grid-worker-appointed/1":       "gridcase.grids-‹community code›",
	"grid-worker-relieved/1":        "gridcase.grids-‹community code›",
	"acting-worker-appointed/1":     "gridcase.grids-‹community code›",
	"grid-party-groups-set/1":       "gridcase.grids-‹community code›",
	"log-opened/1":                  "gridcase.integrity",
	"role-granted/1":                "gridcase.actor-‹actor id›",
	"role-revoked/1":                "gridcase.actor-‹actor id›",
	"numbers-reserved/1":            "gridcase.numbers-‹county›-‹day›-‹run›",
	"personal-data-read/1":          "gridcase.access-‹day›-‹node›",
	"verify-salt-committed/1":       "gridcase.policy-verify",
	"verify-salt-revealed/1":        "gridcase.policy-verify",
	"calendar-published/1":          "gridcase.calendar-cn",
	"deadline-policy-published/1":   "gridcase.policy-deadline",
	"escalation-policy-published/1": "gridcase.policy-escalation",
	"node-checked-in/1":             "gridcase.node-‹node›",
}

func TestTheEventReferenceIsCurrent(t *testing.T) {
	want := newReferenceWriter(t).document()
	if *updateDocument {
		if err := os.WriteFile(reference, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if line := firstDifference(got, want); line > 0 {
		t.Errorf("docs/events.md differs from the code at line %d; write it anew with: go test ./domain/event -run EventReference -update", line)
	}
}

func TestEveryStoredEventHasAHome(t *testing.T) {
	w := newReferenceWriter(t)
	for typ := range event.Types() {
		_, listed := homes[typ]
		decided := len(w.rows[unversioned(typ)]) > 0
		if decided == listed {
			t.Errorf("%s: decided by a machine: %v, listed as decided by none: %v; want one of the two", typ, decided, listed)
		}
	}
	for typ := range homes {
		if _, known := event.Example(typ); !known {
			t.Errorf("%s has a home but is no stored event", typ)
		}
	}
}

func TestEverySealedMemberSaysWhoseItIs(t *testing.T) {
	sealedMembers := 0
	for typ := range event.Types() {
		body, _ := event.Example(typ)
		eachText(reflect.TypeOf(body), "", "", func(name, part string) {
			sealedMembers++
			if part == "" {
				t.Errorf("%s: %s is sealed and names no part: its key would be nobody's", typ, name)
			}
		})
	}
	if sealedMembers < 20 {
		t.Errorf("found %d sealed members: the test does not see them", sealedMembers)
	}
}

// eachText calls found for each sealed text in a type, with its path and the nearest part on the way to it.
func eachText(t reflect.Type, name, part string, found func(name, part string)) {
	switch {
	case t == reflect.TypeFor[sealed.Text]():
		found(name, part)
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Pointer:
		eachText(t.Elem(), name, part, found)
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() {
				continue
			}
			member, _ := memberOf(f)
			eachText(f.Type, strings.TrimPrefix(name+"."+member, "."), cmp.Or(f.Tag.Get("part"), part), found)
		}
	}
}

// memberOf returns the JSON name of a field, and whether it is left out when it is empty.
func memberOf(f reflect.StructField) (name string, optional bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	return cmp.Or(name, f.Name), options != ""
}

// firstDifference returns the first line that differs, from 1; 0 if none does.
func firstDifference(a, b []byte) int {
	as, bs := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range max(len(as), len(bs)) {
		if i >= len(as) || i >= len(bs) || !bytes.Equal(as[i], bs[i]) {
			return i + 1
		}
	}
	return 0
}

// unversioned returns a stored name without its version, as the machines' tables have it.
func unversioned(typ string) string {
	name, _, _ := strings.Cut(typ, "/")
	return name
}

// referenceWriter gathers what the source says about the stored types and writes the reference.
type referenceWriter struct {
	t        *testing.T
	packages map[string]*source // by import path
	rows     map[string][]string
	machines map[string]string // event → name of its machine
	shapes   []reflect.Type    // named types that members have, in the order they were met
	met      map[reflect.Type]bool
	out      bytes.Buffer
}

// source is one package of the domain as it is written down.
type source struct {
	doc    string
	types  map[string]*ast.TypeSpec
	docs   map[string]string
	values map[string][]word // of a named type of text or numbers
}

type word struct{ stored, comment string }

func newReferenceWriter(t *testing.T) *referenceWriter {
	w := &referenceWriter{t: t, packages: map[string]*source{}, rows: map[string][]string{}, machines: map[string]string{}, met: map[reflect.Type]bool{}}
	decidedBy(w, &demand.Machine)
	decidedBy(w, &topic.Machine)
	decidedBy(w, &order.Machine)
	decidedBy(w, &dispute.Machine)
	decidedBy(w, &whistle.Machine)
	decidedBy(w, &admission.Machine)
	decidedBy(w, &scheme.Machine)
	decidedBy(w, &period.Machine)
	decidedBy(w, &evaluation.Machine)
	return w
}

// decidedBy notes which rows of a machine write which event.
func decidedBy[S ~string](w *referenceWriter, m *rule.Machine[S]) {
	names := func(states []S) string {
		words := make([]string, len(states))
		for i, s := range states {
			words[i] = string(s)
		}
		return strings.Join(words, ", ")
	}
	add := func(event, line string) {
		w.rows[event] = append(w.rows[event], line)
		w.machines[event] = m.Name
	}
	for _, r := range m.Rows {
		line := fmt.Sprintf("**%s** `%s`", r.ID, r.Command)
		if r.Variant != "" {
			line += " (" + r.Variant + ")"
		}
		line += fmt.Sprintf(": %s → %s; by %s", cmp.Or(names(r.From), "nothing"), r.To, roles(r))
		add(r.Event, line)
	}
	for _, n := range m.Notes {
		who := make([]string, len(n.Actors))
		for i, a := range n.Actors {
			who[i] = string(a)
		}
		add(n.Event, fmt.Sprintf("`%s`: changes no state, in %s; by %s", n.Command, names(n.In), strings.Join(who, ", ")))
	}
}

func roles[S ~string](r rule.Row[S]) string {
	who := make([]string, len(r.Actors))
	for i, a := range r.Actors {
		who[i] = string(a)
	}
	by := strings.Join(who, ", ")
	if r.Second != "" {
		by += "; confirmed by a second person as " + string(r.Second)
	}
	return by
}

func (w *referenceWriter) printf(format string, args ...any) { fmt.Fprintf(&w.out, format, args...) }

func (w *referenceWriter) document() []byte {
	w.printf("%s", preface)
	byPackage := map[string][]string{}
	for typ := range event.Types() {
		body, _ := event.Example(typ)
		p := reflect.TypeOf(body).PkgPath()
		byPackage[p] = append(byPackage[p], typ)
	}
	for _, p := range inOrder(byPackage) {
		types := byPackage[p]
		w.printf("\n## %s\n\n%s\n", path.Base(p), w.source(p).doc)
		slices.SortStableFunc(types, func(a, b string) int { return w.line(a) - w.line(b) })
		for _, typ := range types {
			w.event(typ)
		}
	}
	w.printf("\n## Shapes\n\nWhat members are made of, in the order in which they were met above.\n")
	for i := 0; i < len(w.shapes); i++ { // a shape may bring in more
		w.shape(w.shapes[i])
	}
	return w.out.Bytes()
}

// inOrder returns the packages as a case meets them, and the house last.
func inOrder(m map[string][]string) []string {
	story := []string{"demand", "topic", "order", "dispute", "whistle", "admission", "duty", "scheme", "period", "evaluation", "orgs", "policy"}
	place := func(p string) int {
		if i := slices.Index(story, path.Base(p)); i >= 0 {
			return i
		}
		if path.Base(p) == "event" {
			return len(story) + 1
		}
		return len(story)
	}
	ps := make([]string, 0, len(m))
	for p := range m {
		ps = append(ps, p)
	}
	slices.SortFunc(ps, func(a, b string) int { return cmp.Or(place(a)-place(b), strings.Compare(a, b)) })
	return ps
}

// line is where the type of an event is declared, so that the reference has the order of the source.
func (w *referenceWriter) line(typ string) int {
	body, _ := event.Example(typ)
	t := reflect.TypeOf(body)
	return int(w.source(t.PkgPath()).types[t.Name()].Pos())
}

func (w *referenceWriter) event(typ string) {
	body, _ := event.Example(typ)
	t := reflect.TypeOf(body)
	w.printf("\n### %s\n\n`%s` — %s\n\n", typ, t, sentence(w.source(t.PkgPath()).docs[t.Name()]))
	rows := w.rows[unversioned(typ)]
	for _, r := range rows {
		w.printf("- %s\n", r)
	}
	if len(rows) == 0 {
		w.printf("- no row of its own in a table; stream `%s`\n", homes[typ])
	}
	w.members(t)
}

// members writes the table of a struct's members, in the order in which they are stored.
func (w *referenceWriter) members(t reflect.Type) {
	if t.NumField() == 0 {
		w.printf("\nNo members.\n")
		return
	}
	w.printf("\n| member | type | meaning |\n|---|---|---|\n")
	for i := range t.NumField() {
		f := t.Field(i)
		name, optional := memberOf(f)
		if optional {
			name += "?"
		}
		var notes []string
		eachText(f.Type, "", f.Tag.Get("part"), func(_, part string) {
			if part != "" && len(notes) == 0 {
				notes = append(notes, "**sealed**, key of the "+part)
			}
		})
		if c := w.comment(t, f.Name); c != "" {
			notes = append(notes, c)
		}
		w.printf("| `%s` | %s | %s |\n", name, w.typeOf(f.Type), strings.Join(notes, " — "))
	}
}

// typeOf names a type as a reader of the bytes sees it.
func (w *referenceWriter) typeOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return w.typeOf(t.Elem())
	case reflect.Slice:
		return "list of " + w.typeOf(t.Elem())
	case reflect.Map:
		return w.typeOf(t.Elem()) + " by " + w.typeOf(t.Key())
	}
	if t.PkgPath() == "" {
		switch t.Kind() {
		case reflect.Bool:
			return "true or false"
		case reflect.Int, reflect.Int64:
			return "number"
		}
		return t.String()
	}
	if t.String() == "time.Time" {
		return "instant"
	}
	if !w.met[t] {
		w.met[t] = true
		w.shapes = append(w.shapes, t)
	}
	return fmt.Sprintf("[%s](#%s)", t, strings.ToLower(strings.ReplaceAll(t.String(), ".", "")))
}

func (w *referenceWriter) shape(t reflect.Type) {
	s := w.source(t.PkgPath())
	w.printf("\n### %s\n\n%s\n", t, sentence(s.docs[t.Name()]))
	text := t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()) ||
		t.Implements(reflect.TypeFor[interface{ MarshalJSON() ([]byte, error) }]())
	if t.Kind() == reflect.Struct && !text {
		w.members(t)
		return
	}
	if vs := s.values[t.Name()]; len(vs) > 0 {
		w.printf("\nValues:")
		for i, v := range vs {
			if i > 0 {
				w.printf(",")
			}
			w.printf(" `%s`", v.stored)
			if v.comment != "" {
				w.printf(" (%s)", sentence(v.comment))
			}
		}
		w.printf(".\n")
	}
}

// comment returns what the source says of a member.
func (w *referenceWriter) comment(t reflect.Type, field string) string {
	spec, ok := w.source(t.PkgPath()).types[t.Name()]
	if !ok {
		w.t.Fatalf("%s is not declared where it should be", t)
	}
	if shared, ok := spec.Type.(*ast.SelectorExpr); ok { // a shape that machines share under names of their own
		spec = w.source("gridcase/domain/" + shared.X.(*ast.Ident).Name).types[shared.Sel.Name]
	}
	for _, f := range spec.Type.(*ast.StructType).Fields.List {
		for _, n := range f.Names {
			if n.Name == field {
				return sentence(f.Doc.Text() + f.Comment.Text())
			}
		}
	}
	return ""
}

var (
	link     = regexp.MustCompile(`\[([A-Za-z.]+)\]`)
	markdown = strings.NewReplacer("|", `\|`, "<", "&lt;")
)

// sentence makes a comment fit into a line of Markdown.
func sentence(comment string) string {
	text := strings.Join(strings.Fields(comment), " ")
	return link.ReplaceAllString(markdown.Replace(text), "`$1`")
}

// source reads a package of the domain, once.
func (w *referenceWriter) source(importPath string) *source {
	if s, read := w.packages[importPath]; read {
		return s
	}
	dir := filepath.Join("..", path.Base(importPath))
	s := &source{types: map[string]*ast.TypeSpec{}, docs: map[string]string{}, values: map[string][]word{}}
	w.packages[importPath] = s
	entries, err := fs.Glob(os.DirFS(dir), "*.go")
	if err != nil || len(entries) == 0 {
		w.t.Fatalf("read the source of %s: %d files, %v", importPath, len(entries), err)
	}
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range entries {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(files, filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			w.t.Fatal(err)
		}
		parsed = append(parsed, f)
		if f.Doc != nil {
			s.doc = sentence(new(doc.Package).Synopsis(f.Doc.Text()))
		}
	}
	for _, f := range parsed { // constants first: functions that list values refer to them
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.declarations(g)
			}
		}
	}
	for _, f := range parsed {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				s.listed(fn)
			}
		}
	}
	return s
}

func (s *source) declarations(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.types[spec.Name.Name] = spec
			s.docs[spec.Name.Name] = cmp.Or(spec.Doc.Text(), g.Doc.Text())
		case *ast.ValueSpec:
			named, ok := spec.Type.(*ast.Ident)
			if g.Tok != token.CONST || !ok || len(spec.Values) != 1 || !spec.Names[0].IsExported() {
				continue
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				s.values[named.Name] = append(s.values[named.Name], word{unquoted(lit), spec.Comment.Text()})
			}
		}
	}
}

// listed takes the values of a type that only a function lists, as Channels does.
func (s *source) listed(fn *ast.FuncDecl) {
	if fn.Type.Results == nil || len(fn.Type.Results.List) != 1 || fn.Type.Params.NumFields() != 0 || len(fn.Body.List) != 1 {
		return
	}
	slice, ok := fn.Type.Results.List[0].Type.(*ast.ArrayType)
	ret, returns := fn.Body.List[0].(*ast.ReturnStmt)
	if !ok || !returns {
		return
	}
	of, named := slice.Elt.(*ast.Ident)
	list, literal := ret.Results[0].(*ast.CompositeLit)
	if !named || !literal || len(s.values[of.Name]) > 0 {
		return
	}
	for _, e := range list.Elts {
		if lit, ok := e.(*ast.BasicLit); ok {
			s.values[of.Name] = append(s.values[of.Name], word{stored: unquoted(lit)})
		}
	}
}

func unquoted(lit *ast.BasicLit) string {
	if text, err := strconv.Unquote(lit.Value); err == nil {
		return text
	}
	return lit.Value
}

const preface = `# Stored events

This file is written by a test from the source of the domain. Do not edit it: change the comment in the source, then

    go test ./domain/event -run EventReference -update

Every event the log may hold, under the name that is stored for ever. How the bytes lie on disk, and the metadata that
every event carries beside these members, is in [log-format.md](log-format.md).

How to read it: a line such as **D2** ` + "`accept`" + ` names the row of the machine's table and the command that writes the event,
then from which states to which, then who may ask for it. Members are stored in the order given; one marked ? is left out when it is
empty. A **sealed** member is stored enciphered, under a key of its own for each case and part, and becomes unreadable when
that key is destroyed. An instant is RFC 3339 in UTC. A date is a day in the city. Rules such as I18 or R25 are numbers of
the rule book and stand in the comments of the code that keeps them.
`
