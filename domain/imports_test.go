package domain_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows are the imports that the rooms may have of each other; a new one fails the test. Tests may reach further.
// The program's own parts under cmd may use everything.
var arrows = map[string][]string{
	"domain":      nil, // and nothing but the standard library
	"eventlog":    nil,
	"engine":      {"domain", "eventlog"},
	"projections": {"domain", "eventlog"},
	"api":         {"engine", "projections", "domain", "eventlog"},
	"cmd":         {"api", "engine", "projections", "domain", "eventlog"},
}

// forTests are packages that only tests and measurements use.
var forTests = []string{"domain/ruletest", "eventlog/logtest", "eventlog/esdbtest", "eventlog/faultnet", "engine/keys/keystest"}

// within says which packages of the domain may import which: machines know the vocabulary, never one another.
var within = map[string][]string{
	"calendar":   nil,
	"catalogue":  nil,
	"number":     nil,
	"orgs":       {"calendar"},
	"sealed":     nil,
	"stream":     nil,
	"escalation": {"calendar", "orgs"},
	"rule":       {"assessment", "calendar", "escalation", "orgs", "sealed", "stream"},
	"ruletest":   {"calendar", "orgs", "rule"},
	"demand":     {"calendar", "orgs", "rule", "sealed", "stream"},
	"topic":      {"calendar", "orgs", "rule", "sealed", "stream"},
	"order":      {"calendar", "orgs", "rule", "sealed", "stream"},
	"dispute":    {"calendar", "orgs", "rule", "sealed", "stream"},
	"whistle":    {"calendar", "orgs", "rule", "sealed", "stream"},
	"evidence":   {"admission", "assessment", "calendar", "catalogue", "demand", "dispute", "duty", "evaluation", "event", "order", "orgs", "period", "scheme", "stream", "topic", "whistle"},
	"scheme":     {"assessment", "calendar", "orgs", "rule", "sealed", "stream"},
	"period":     {"assessment", "calendar", "orgs", "rule", "sealed", "stream"},
	"evaluation": {"assessment", "calendar", "orgs", "rule", "sealed", "stream"},
	"event":      {"admission", "calendar", "demand", "dispute", "duty", "evaluation", "order", "orgs", "period", "policy", "rule", "scheme", "sealed", "stream", "topic", "whistle"},
	"flow":       {"admission", "calendar", "demand", "dispute", "event", "order", "orgs", "period", "policy", "sealed", "stream", "topic", "whistle"},
	"duty":       {"calendar", "catalogue", "orgs", "rule", "sealed", "stream"},
	"admission":  {"calendar", "catalogue", "duty", "orgs", "rule", "sealed", "stream"},
	"policy":     {"calendar", "escalation", "orgs", "rule", "sealed", "stream"},
	"assessment": {"calendar", "orgs", "stream"},
}

func TestRoomsImportOnlyWhatTheArrowsAllow(t *testing.T) {
	files := 0
	for path, imports := range sources(t) {
		files++
		room, rest, _ := strings.Cut(path, "/")
		for _, imp := range imports {
			if fault := forbidden(room, rest, imp); fault != "" {
				t.Errorf("%s imports %s: %s", path, imp, fault)
			}
		}
	}
	if files < 50 {
		t.Fatalf("looked at %d files: the test does not see the source", files)
	}
}

func TestASeededArrowIsSeen(t *testing.T) {
	for _, c := range [][3]string{
		{"domain", "demand/decide.go", "gridcase/engine"},
		{"domain", "demand/decide.go", "gridcase/domain/topic"},
		{"domain", "demand/decide.go", "github.com/google/uuid"},
		{"eventlog", "log.go", "gridcase/domain/event"},
		{"projections", "runner.go", "gridcase/engine"},
		{"engine", "engine.go", "gridcase/projections"},
		{"api", "server.go", "modernc.org/sqlite"},
		{"engine", "engine.go", "github.com/EventStore/EventStore-Client-Go/v4/esdb"},
		{"eventlog", "ledger/leaf.go", "google.golang.org/grpc"},
		{"eventlog", "esdb/log.go", "gridcase/eventlog/esdbtest"},
		{"eventlog", "sqlite/log.go", "gridcase/eventlog/faultnet"},
		{"domain", "whistle/decide.go", "gridcase/domain/ruletest"},
		{"engine", "engine.go", "github.com/ThreeDotsLabs/watermill/message"},
		{"api", "event.go", "github.com/nats-io/nats.go"},
	} {
		if forbidden(c[0], c[1], c[2]) == "" {
			t.Errorf("%s/%s may import %s", c[0], c[1], c[2])
		}
	}
}

// forbidden says why a file of a room may not import a package, "" if it may.
func forbidden(room, file, imp string) string {
	allowed, known := arrows[room]
	if !known {
		return "the room is not on the map"
	}
	first, inner, ours := strings.Cut(imp, "/")
	ours = ours && first == "gridcase"
	if !ours {
		if room == "domain" && strings.Contains(first, ".") {
			return "the domain uses the standard library only"
		}
		if imp == "modernc.org/sqlite" && room != "cmd" && !strings.HasPrefix(file, "sqlite/") {
			return "only cmd names a driver"
		}
		if (strings.HasPrefix(imp, "github.com/EventStore/") || strings.HasPrefix(imp, "google.golang.org/grpc")) && (room != "eventlog" || !strings.HasPrefix(file, "esdb")) {
			return "only eventlog/esdb and its test node speak to EventStoreDB"
		}
		if abroad(imp) && room != "cmd" && !(room == "engine" && strings.HasPrefix(file, "relay/")) {
			return "only engine/relay speaks with other systems"
		}
		return ""
	}
	if room != "cmd" && slices.Contains(forTests, inner) {
		return "it is for tests and measurements"
	}
	target, sub, _ := strings.Cut(inner, "/")
	if target == room {
		if room == "domain" {
			pkg, _, _ := strings.Cut(file, "/")
			if allowed, known := within[pkg]; !known || !slices.Contains(allowed, sub) {
				return "no arrow inside the domain"
			}
		}
		return ""
	}
	if !slices.Contains(allowed, target) {
		return "no such arrow"
	}
	return ""
}

// abroad reports whether a package carries messages to other systems.
func abroad(imp string) bool {
	for _, p := range []string{"github.com/ThreeDotsLabs/", "github.com/IBM/sarama", "github.com/nats-io/"} {
		if strings.HasPrefix(imp, p) {
			return true
		}
	}
	return false
}

// sources returns the imports of every file that is no test, by its path from the module's root.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || !strings.Contains(path, "/") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", path), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[path] = append(found[path], imp)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
