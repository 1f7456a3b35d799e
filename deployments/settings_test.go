// Package deployments is tested here and nowhere else: each of its files against the program it deploys. What takes a tool that
// is not ours is in proof_test.go, run by "make test-deploy".
package deployments

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// theirs are names that look like settings of the program and belong to something else.
var theirs = []string{
	"GRIDCASE_IMAGE", // compose: the image
	"GRIDCASE_ESDB",  // tests: a real server
}

// spoken returns every file whose words an operator copies: this room's, and the manual's.
func spoken(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{"../docs/operations.md": text(t, "../docs/operations.md")}
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, ".go") {
			files[path] = text(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// strangers returns what a text names that the program does not know: settings, commands, flags of commands. In these files the
// word gridcase in lower case, followed by another in lower case, is always a command.
func strangers(m manual, text string) (faults []string) {
	for _, name := range regexp.MustCompile(`GRIDCASE_[A-Z_]*[A-Z]`).FindAllString(text, -1) {
		if !m.settings[name] && !slices.Contains(theirs, name) {
			faults = append(faults, "no setting "+name)
		}
	}
	lines := regexp.MustCompile("(?m)(?:^|[ /`])gridcase +([a-z]+[^\n`;|&>#]*)").FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1)
	for _, list := range regexp.MustCompile(`\[[^\[\]\n]*\]`).FindAllString(text, -1) { // ["/gridcase", "serve"]
		words := strings.NewReplacer(`"`, "", "[", "", "]", "", ",", "").Replace(list)
		lines = append(lines, regexp.MustCompile(`(?:^| )/?gridcase +([a-z]+(?: .*)?)$`).FindAllStringSubmatch(words, -1)...)
	}
	for _, line := range lines {
		words := strings.Fields(line[1])
		command := ""
		for n := min(2, len(words)); n > 0 && command == ""; n-- {
			if c := strings.Join(words[:n], " "); m.flags[c] != nil {
				command = c
			}
		}
		if command == "" {
			faults = append(faults, "no command gridcase "+strings.Join(words[:min(2, len(words))], " "))
			continue
		}
		for _, w := range words {
			if name, _, _ := strings.Cut(w, "="); strings.HasPrefix(name, "--") && !m.flags[command][name] {
				faults = append(faults, fmt.Sprintf("gridcase %s has no flag %s", command, name))
			}
		}
	}
	return faults
}

func TestEverySettingCommandAndFlagIsKnownToTheProgram(t *testing.T) {
	m, err := readManual()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.flags) < 10 || !m.flags["serve"]["--listen"] || !m.flags["keys create"]["--role"] || !m.settings["GRIDCASE_LISTEN"] {
		t.Fatalf("the program's help was not understood: %v", m)
	}
	for path, words := range spoken(t) {
		for _, f := range strangers(m, words) {
			t.Errorf("%s: %s", path, f)
		}
	}
	for bad, want := range map[string]string{
		"GRIDCASE_LISTENS: x":                                "GRIDCASE_LISTENS",
		"ExecStart=/usr/bin/gridcase serve --dta=/x":         "--dta",
		"run `gridcase keys create --rolle clerk`":           "--rolle",
		`CMD ["/gridcase", "health"]`:                        "gridcase health",
		"/gridcase serve \\\n  --data /x \\\n  --listens :1": "--listens",
	} {
		if faults := strangers(m, bad); len(faults) != 1 || !strings.Contains(faults[0], want) {
			t.Errorf("%q: found %q, want one about %s", bad, faults, want)
		}
	}
}

// The settings file of the unit is read by the program, which refuses what it does not know.
func TestTheSettingsFileOfTheUnitIsTakenByTheProgram(t *testing.T) {
	good := text(t, "systemd/gridcase.yaml")
	for settings, taken := range map[string]bool{good: true, strings.Replace(good, "listen:", "listens:", 1): false} {
		file := filepath.Join(t.TempDir(), "gridcase.yaml")
		if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(program, "version", "--config", file).CombinedOutput()
		if (err == nil) != taken {
			t.Errorf("taken: %t, want %t: %s", err == nil, taken, out)
		}
	}
}
