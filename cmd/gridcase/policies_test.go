package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fails runs a command that has to fail, with these words in what it says.
func fails(t *testing.T, words string, args ...string) {
	t.Helper()
	out, errs, status := call(t, args...)
	if status == 0 || !strings.Contains(out+errs, words) {
		t.Errorf("gridcase %v: status %d, %s%s; want it to fail and say %q", args, status, out, errs, words)
	}
}

func TestPoliciesAreShownChangedAndPublishedFromTheCommandLine(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	must(t, "units", "load", "--data", data, write(t, "units.yaml", "units:\n- {code: \"150100\", name: 市, kind: city}\n"))
	for name, change := range map[string][2]string{"deadline": {"attempts: 3", "attempts: 4"}, "escalation": {"reworks: 3", "reworks: 2"}} {
		shown := must(t, "policies", "show", "--data", data, name)
		if out := must(t, "policies", "publish", "--data", data, "--reason", "照旧", name, write(t, "same.yaml", shown)); !strings.Contains(out, "nothing was published") {
			t.Errorf("%s as it was shown: %s", name, out)
		}
		changed := strings.Replace(shown, change[0], change[1], 1)
		if changed == shown {
			t.Fatalf("%s: there is no %q in\n%s", name, change[0], shown)
		}
		file := write(t, "changed.yaml", changed)
		if out := must(t, "policies", "publish", "--data", data, "--reason", "试行", name, file); !strings.Contains(out, name+" version 2 is in force") {
			t.Errorf("%s: %s", name, out)
		}
		if again := must(t, "policies", "show", "--data", data, name); again != strings.Replace(changed, "version: 1", "version: 2", 1) {
			t.Errorf("%s is shown as\n%s\nwant what was published:\n%s", name, again, changed)
		}
		fails(t, "edited from version 1", "policies", "publish", "--data", data, "--reason", "试行", name, write(t, "stale.yaml", strings.Replace(changed, change[1], change[1]+"0", 1)))
		fails(t, "[3:", "policies", "publish", "--data", data, "--reason", "x", name, write(t, "unknown.yaml", strings.Replace(shown, "version: 1\n", "version: 1\ncolour: red\n", 1)))
		fails(t, "[3:", "policies", "publish", "--data", data, "--reason", "x", name, write(t, "twice.yaml", strings.Replace(shown, "version: 1\n", "version: 1\nversion: 1\n", 1)))
	}
	fails(t, "fortnights", "policies", "publish", "--data", data, "--reason", "x", "deadline",
		write(t, "kind.yaml", strings.Replace(must(t, "policies", "show", "--data", data, "deadline"), "3 working_days", "3 fortnights", 1)))
	if list := must(t, "policies", "list", "--data", data); strings.Count(list, "\n") != 5 || !strings.Contains(list, "试行") {
		t.Errorf("the versions are listed as\n%s", list)
	}
}

func TestNoticesArePublishedFromTheCommandLine(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	must(t, "units", "load", "--data", data, write(t, "units.yaml", "units:\n- {code: \"150100\", name: 市, kind: city}\n"))
	file := write(t, "2027.txt", "# made up\nnotice 2027 https://example.org/2027\noff 2027-01-01..2027-01-03 元旦\nwork 2027-01-09 元旦\n")
	if out := must(t, "calendar", "publish", "--data", data, file); !strings.Contains(out, "1 notices, 1 of them new; calendar cn-2027#1") {
		t.Errorf("published: %s", out)
	}
	if out := must(t, "calendar", "publish", "--data", data, file); !strings.Contains(out, "0 of them new; calendar cn-2027#1") {
		t.Errorf("published again: %s", out)
	}
	corrected := write(t, "corrected.txt", "notice 2027 https://example.org/2027\noff 2027-01-01..2027-01-04\n")
	fails(t, "a correction needs a reason", "calendar", "publish", "--data", data, corrected)
	if out := must(t, "calendar", "publish", "--data", data, "--reason", "以更正通知为准", corrected); !strings.Contains(out, "cn-2027#2") {
		t.Errorf("corrected: %s", out)
	}
	fails(t, "line 2", "calendar", "publish", "--data", data, write(t, "bad.txt", "notice 2028 x\noff 2028-02-31\n"))
	fails(t, "no notice", "calendar", "publish", "--data", data, write(t, "empty.txt", "# nothing\n"))
	list := must(t, "calendar", "list", "--data", data)
	if strings.Count(list, "\n") != 13 || !strings.Contains(list, "cn-2026#1") || !strings.Contains(list, "以更正通知为准") {
		t.Errorf("the notices are listed as\n%s", list)
	}
}
