package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The lines a reader is told to type are run as they stand, from both READMEs, and must end with a closed demand.
func TestTheLinesOfTheREADMERunAsTheyStand(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Fatalf("the lines of the README need bash: %v", err)
	}
	english := readmeLines(t, "README.md")
	chinese := readmeLines(t, "README.zh-CN.md")
	if strip(english) != strip(chinese) {
		t.Error("README.md and README.zh-CN.md tell the reader to type different lines")
	}
	c := exec.Command("bash", "-euo", "pipefail", "-c", english)
	c.Dir = filepath.Join("..", "..")
	c.WaitDelay = 10 * time.Second
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"phase":"closed"`, `"type":"topic-adopted/1"`, `"type":"verification-passed/1"`, "三号楼的车棚漏雨，请修一修。"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("what was printed lacks %s:\n%s", want, out)
		}
	}
}

// readmeLines returns the block of a README that is marked to be run.
func readmeLines(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)<!-- run -->\n```sh\n(.*?)\n```").FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no block that is marked to be run", name)
	}
	return string(found[1])
}

// strip takes out comments, which each README writes in its own language.
func strip(lines string) string {
	return regexp.MustCompile(`(?m)[ \t]*#[^"'\n]*$`).ReplaceAllString(strings.TrimSpace(lines), "")
}

// The map of the rooms names what is there, and nothing else.
func TestTheMapOfTheRoomsIsWhatLsShows(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-z]+)/` \\|").FindAllSubmatch(text, -1) {
			named[string(m[1])] = true
		}
		for _, e := range entries {
			if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || e.Name() == "bin" || e.Name() == "data" {
				continue
			}
			if !named[e.Name()] {
				t.Errorf("%s does not name the room %s", name, e.Name())
			}
			delete(named, e.Name())
		}
		for left := range named {
			t.Errorf("%s names a room that is not there: %s", name, left)
		}
	}
}
