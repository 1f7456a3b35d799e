package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// configFile is the --config flag. The file is one mapping; nested names are joined by dots: serve.listen sets --listen of
// serve. What a flag or the environment says comes first; an unknown setting is an error with its line. Relays and feeds have no flags:
// they stand under names of their own.
type configFile string

// BeforeResolve reads the file and puts it behind flags and environment.
func (c configFile) BeforeResolve(k *kong.Kong, ctx *kong.Context, trace *kong.Path, b *border) error {
	path := string(ctx.FlagValue(trace.Flag).(configFile))
	if path == "" {
		return nil
	}
	r, err := readSettings(path, b)
	if err != nil {
		return err
	}
	ctx.AddResolver(r)
	return nil
}

// into reads what the file says about relays and feeds.
func (c configFile) into(b *border) error {
	_, err := readSettings(string(c), b)
	return err
}

// readSettings reads a file: relays and feeds into the border, all else by its name.
func readSettings(path string, b *border) (*settings, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %s", path, yaml.FormatError(err, false, true))
	}
	r := &settings{path: path, values: map[string]string{}, lines: map[string]int{}, border: b}
	for _, doc := range file.Docs {
		if err := r.gather("", doc.Body); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// settings are the values of one file by their dotted names, with the line each stands on.
type settings struct {
	path   string
	values map[string]string
	lines  map[string]int
	border *border
}

func (s *settings) gather(prefix string, n ast.Node) error {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		return fmt.Errorf("configuration %s: line %d: want names with values", s.path, n.GetToken().Position.Line)
	}
	for _, pair := range pairs {
		name, line := prefix+pair.Key.GetToken().Value, pair.Key.GetToken().Position.Line
		if into := s.border.part(name); into != nil {
			if err := yaml.NodeToValue(pair.Value, into, yaml.Strict(), yaml.DisallowUnknownField()); err != nil {
				return fmt.Errorf("configuration %s: %s: %s", s.path, name, yaml.FormatError(err, false, true))
			}
			continue
		}
		switch v := pair.Value.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			if err := s.gather(name+".", v); err != nil {
				return err
			}
			continue
		case *ast.SequenceNode, *ast.AnchorNode, *ast.AliasNode:
			return fmt.Errorf("configuration %s: line %d: %q takes one value", s.path, line, name)
		}
		if first, twice := s.lines[name]; twice {
			return fmt.Errorf("configuration %s: line %d: %q stands on line %d already", s.path, line, name, first)
		}
		s.values[name], s.lines[name] = pair.Value.GetToken().Value, line
	}
	return nil
}

// Validate refuses settings that no flag takes.
func (s *settings) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, f := range app.Flags {
		known[f.Name] = true
	}
	_ = kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if c, ok := node.(*kong.Command); ok {
			for _, f := range c.Flags {
				known[dotted(c)+f.Name] = true
			}
		}
		return next(nil)
	})
	for name, line := range s.lines {
		if !known[name] {
			return fmt.Errorf("configuration %s: line %d: unknown setting %q", s.path, line, name)
		}
	}
	return nil
}

// dotted is the name of a command in the file: its words joined by dots, with one at the end.
func dotted(n *kong.Node) string { return strings.Join(strings.Fields(n.Path()), ".") + "." }

// Resolve returns the file's value for a flag, nothing if the environment sets it.
func (s *settings) Resolve(_ *kong.Context, parent *kong.Path, f *kong.Flag) (any, error) {
	for _, name := range f.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	name := f.Name
	if parent.Command != nil {
		name = dotted(parent.Command) + f.Name
	}
	if v, ok := s.values[name]; ok {
		return v, nil
	}
	return nil, nil
}
