package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// licenceOf names the licence of a module by what its file says, "" if it is none that may be in the program.
func licenceOf(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(words string) bool { return strings.Contains(text, words) }
	switch {
	case has("Mozilla Public License"), has("GENERAL PUBLIC LICENSE"), has("Business Source License"), has("Elastic License"):
		return ""
	case has("Apache License") && has("Version 2.0"):
		return "Apache-2.0"
	case has("Permission is hereby granted, free of charge"):
		return "MIT"
	case has("Permission to use, copy, modify, and/or distribute this software"):
		return "ISC"
	case has("Redistribution and use in source and binary forms") && has("Neither the name"):
		return "BSD-3-Clause"
	case has("Redistribution and use in source and binary forms"):
		return "BSD-2-Clause"
	}
	return ""
}

// linked returns the licences of the modules that are linked into the program, by path, read from their files.
func linked(t *testing.T, tags string) map[string]string {
	t.Helper()
	c := exec.Command("go", "list", "-tags="+tags, "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", ".")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, dir, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if _, done := found[path]; !ok || done {
			continue
		}
		found[path] = ""
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files { // LICENSE comes before LICENSE-3RD-PARTY
			if name := strings.ToUpper(f.Name()); found[path] != "" || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") {
				continue
			}
			if text, err := os.ReadFile(filepath.Join(dir, f.Name())); err == nil {
				found[path] = licenceOf(string(text))
			}
		}
	}
	return found
}

// The list of what is linked into the program is complete, has nothing else, and names no licence that may not be there.
func TestEveryModuleInTheProgramIsListedWithALicenceThatMayBeThere(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	text, err := os.ReadFile("../../docs/modules.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^ |]+) \\|").FindAllStringSubmatch(string(text), -1) {
		listed[row[1]] = row[2]
	}
	found := linked(t, "nomsgpack")
	if len(found) < 30 {
		t.Fatalf("only %d modules were found", len(found))
	}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		if found[path] == "" || found[path] != listed[path] {
			t.Errorf("%s: its file says %q, the list %q", path, found[path], listed[path])
		}
	}
	for path := range listed {
		if _, here := found[path]; !here {
			t.Errorf("%s is listed and not in the program", path)
		}
	}
	foreign := 0
	for _, licence := range linked(t, "nomsgpack,kafka") { // what the tag is there for; this test would see it otherwise
		if licence == "" {
			foreign++
		}
	}
	if foreign == 0 {
		t.Error("with Kafka too, every licence may be in the program: the tag is needed no more")
	}
}
