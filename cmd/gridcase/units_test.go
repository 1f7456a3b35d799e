package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const townFile = `units:
- {code: "150100", name: 市, kind: city}
- {code: "150105", name: 区, kind: district, parent: "150100"}
- {code: "150105003", name: 街道, kind: street, parent: "150105"}
- {code: "150105003001", name: 第一社区, kind: community, parent: "150105003"}
- {code: "150105003002", name: 第二社区, kind: community, parent: "150105003"}
surveys:
- community: "150105003001"
  buildings:
  - {code: b1, stairwells: {1: 150, 2: 150}}
  - {code: b2, stairwells: {1: 100, 2: 120}}
grids:
- {code: "150105003001001", name: 一格, households: 300, buildings: 1, stairwells: 2, urban: true, lead: w-1, blocks: [b1]}
- {code: "150105003001002", name: 二格, households: 220, buildings: 1, stairwells: 2, urban: true, lead: w-2, blocks: [b2/1]}
- {code: "150105003002001", name: 三格, households: 500, buildings: 1, stairwells: 2, urban: true, lead: w-3}
`

func TestUnitsAreLoadedAndTheirPlansChecked(t *testing.T) {
	data, file := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "town.yaml")
	load := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		must(t, "units", "load", "--data", data, file)
	}
	load(townFile)
	out, errs, status := call(t, "units", "check", "--data", data)
	if status != 1 || !strings.Contains(out, "2 communities, 1 errors, 4 warnings") {
		t.Errorf("a plan with a stairwell in no grid: status %d\n%s%s", status, out, errs)
	}
	for _, line := range []string{"outside", "size", "miscounted", "unsurveyed", "b2/2"} {
		if !strings.Contains(out, line) {
			t.Errorf("the check says nothing of %s:\n%s", line, out)
		}
	}
	before := must(t, "export", "--data", data)
	load(townFile)
	if after := must(t, "export", "--data", data); strings.Count(after, "\n") != strings.Count(before, "\n") {
		t.Error("loading the same file again wrote something")
	}
	// The survey was wrong: the second building has one stairwell. The new one takes the place of the old.
	load(strings.Replace(townFile, "{1: 100, 2: 120}", "{1: 220}", 1))
	if out := must(t, "units", "check", "--data", data, "--below", "150105003001"); out != "1 communities, 0 errors, 0 warnings\n" {
		t.Errorf("a good plan: %s", out)
	}
	if _, errs, status := call(t, "units", "load", "--data", data, "no-such-file.yaml"); status == 0 {
		t.Errorf("a file that is not there: %s", errs)
	}
}
