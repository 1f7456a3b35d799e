package api_test

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"gridcase/api/report"
	"gridcase/domain/orgs"
)

// Each reads as much of a period as they may, in every form.
func TestAPeriodIsExportedToThoseWhomItConcerns(t *testing.T) {
	h := open(t)
	manned(h)
	_, april := h.applied()
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	leader, head := h.key(orgs.StreetLeader, street), h.key(orgs.UnitHead, agency)
	export := strings.Replace(april, "periods", "assessments", 1) + "/export"
	h.want(h.get(ann, export+"?format=html"), 200, "") // before its end, too
	h.ended(april)
	h.evaluated(april, street, agency)
	h.wait(20 * 24 * time.Hour)
	h.want(h.get(head, export+"?format=xlsx"), 404, "not_found") // nothing is shown yet
	h.want(h.get(h.key(orgs.Clerk, community), export+"?format=xlsx"), 404, "not_found")
	h.do(ann, april, "publish-provisional", `{}`)
	h.wait(10 * 24 * time.Hour)
	sealed := h.want(h.confirmed(ann, ben, april, "seal", `{"ruling":"无街道评价的单位不计分"}`), 200, "")
	h.settle()

	for query, status := range map[string]int{"": 422, "?format=pdf": 422, "?format=csv&sheet=luck": 422, "?format=xlsx&sheet=figures": 422, "?format=csv&sheet=cohort": 422, "?format=csv&figure=on_time": 422,
		"?format=csv&sheet=cohort&figure=luck": 404, "?format=csv&as_of=x": 400, "?format=csv&as_of=999999999": 400} {
		if r := h.get(ann, export+query); r.StatusCode != status {
			t.Errorf("%q: got %d %s, want %d", query, r.StatusCode, r.raw, status)
		}
	}
	h.want(h.get(leader, export+"?format=csv&as_of=5"), 403, "role_missing")

	page := h.want(h.get(ann, export+"?format=html"), 200, "")
	if !bytes.Contains(page.raw, []byte(sealed.text("result.results"))) || !bytes.Contains(page.raw, []byte("第 1 次")) {
		t.Error("the page does not show the seal")
	}
	if got := page.Header.Get("Content-Security-Policy"); got != report.Policy() || page.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("the page comes under %q as %q", got, page.Header.Get("Content-Type"))
	}
	if tag := page.Header.Get("ETag"); tag == "" {
		t.Error("the page has no ETag")
	} else if r := h.get(ann, export+"?format=html", "If-None-Match", tag); r.StatusCode != http.StatusNotModified || len(r.raw) != 0 {
		t.Errorf("unchanged: %d, %d bytes", r.StatusCode, len(r.raw))
	}

	list := h.want(h.get(leader, export+"?format=csv&sheet=figures"), 200, "")
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(list.raw, []byte("\ufeff")))).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	for _, r := range rows[1:] {
		if r[5] != string(street) {
			t.Errorf("the street exports %v", r)
		}
	}
	h.want(h.get(leader, export+"?format=csv&sheet=cohort&figure="+rows[1][0]), 200, "")
	h.want(h.get(leader, export+"?format=csv&sheet=cohort&figure=on_time"), 404, "not_found")
	if got, want := list.Header.Get("Content-Disposition"), `attachment; filename="assessment-150105-2025-04-01-2025-04-30-r1-figures.csv"; filename*=UTF-8''%E8%80%83%E6%A0%B8%E6%8C%87%E6%A0%87-150105-2025-04-01-2025-04-30-r1.csv`; got != want {
		t.Errorf("the file is called %s, want %s", got, want)
	}
	own := h.want(h.get(head, export+"?format=csv&sheet=scores"), 200, "")
	if lines := strings.Count(string(own.raw), "\r\n"); lines != 2 || !strings.Contains(string(own.raw), string(agency)) {
		t.Errorf("the agency's scores: %s", own.raw)
	}

	book := h.want(h.get(ann, export+"?format=xlsx"), 200, "")
	x, err := excelize.OpenReader(bytes.NewReader(book.raw))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if got, want := book.Header.Get("Content-Disposition"), "assessment-150105-2025-04-01-2025-04-30-r1.xlsx"; !strings.Contains(got, want) {
		t.Errorf("the sealed file is called %s, want %s", got, want)
	}
	if got := strings.Join(x.GetSheetList(), " "); got != "概况 指标 评分项 街道评分 历期 名次 剔除与申诉" {
		t.Errorf("the sheets are %s", got)
	}
	if again := h.get(ann, export+"?format=xlsx"); again.Header.Get("ETag") != book.Header.Get("ETag") {
		t.Error("the same workbook has another ETag")
	}
}

// What is sealed is exported as it was sealed: to the byte after facts that would make it another one, and after a revision, which is exported
// beside it and says what it changed.
func TestASealedPeriodIsExportedAsItWasSealed(t *testing.T) {
	h := open(t)
	manned(h)
	a := h.assessedApril()
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	h.ended(a.april)
	h.evaluated(a.april, street, agency)
	h.wait(20 * 24 * time.Hour)
	h.do(ann, a.april, "publish-provisional", `{}`)
	h.wait(10 * 24 * time.Hour)
	h.want(h.confirmed(ann, ben, a.april, "seal", `{"ruling":"无街道评价的单位不计分"}`), 200, "")
	h.settle()
	const closure = "closure:u=150105003-a01:s=150105003"
	forms := []string{"xlsx", "html", "csv&sheet=figures", "csv&sheet=scores", "csv&sheet=standings", "csv&sheet=cohort&figure=" + closure}
	exported := func(edition string) (files map[string]string) {
		files = map[string]string{}
		for _, form := range forms {
			files[form] = string(h.reads(ann, a.read+"/export?format="+form+edition).raw)
		}
		return files
	}
	same := func(what string, got, want map[string]string) {
		t.Helper()
		for _, form := range forms {
			if got[form] != want[form] {
				t.Errorf("%s: %s is another file than what was exported when it was sealed", what, form)
			}
		}
	}
	sealed := exported("")
	h.handled(a.due, agency) // late: what was undone when it was sealed is done
	same("after a late fact", exported(""), sealed)
	h.want(h.confirmed(ann, ben, a.april, "seal-revision", `{"cause":"late_fact","reason":"五月补办"}`), 200, "")
	h.settle()
	same("after the revision", exported("&edition=1"), sealed)
	revised := exported("")
	same("the last edition is the one that is given", exported("&edition=2"), revised)
	for _, form := range forms {
		if revised[form] == sealed[form] {
			t.Errorf("the revision changed nothing in %s, so nothing was compared", form)
		}
	}
	for n, files := range map[string]map[string]string{"1": sealed, "2": revised} {
		for _, form := range forms[2:5] {
			rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(files[form], "\ufeff"))).ReadAll()
			if err != nil || len(rows) < 2 {
				t.Fatalf("%s: %d rows, %v", form, len(rows), err)
			}
			for _, r := range rows[1:] {
				if got := r[len(r)-1]; got != n {
					t.Errorf("revision %s: a row of %s says revision %q: %v", n, form, got, r)
				}
			}
		}
		if !strings.Contains(files["html"], "第 "+n+" 次") {
			t.Errorf("the page of revision %s does not say so", n)
		}
	}
	if diff := h.all(ann, a.read+"/diff?from=1&to=2", 200); !slices.ContainsFunc(diff, func(c map[string]any) bool {
		return c["name"] == "closure" && c["street"] == string(street) && c["was"].(map[string]any)["printed"] == "66.67" && c["now"].(map[string]any)["printed"] == "100.00"
	}) {
		t.Errorf("what the revision changed: %v", diff)
	}
	h.want(h.call(ann, http.MethodGet, a.read+"/export?format=html&edition=3", ""), 404, "not_found")
	h.want(h.call(ann, http.MethodGet, a.read+"/export?format=html&edition=1&as_of=5", ""), 422, "invalid")
}
