package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
)

// reads returns what a link of an answer leads to.
func (h *house) reads(key, link string) reply {
	h.t.Helper()
	if !strings.HasPrefix(link, "/api/v1/") {
		h.t.Fatalf("%q is no link", link)
	}
	return h.want(h.call(key, http.MethodGet, link, ""), 200, "")
}

// all reads every page of a list, so many at once.
func (h *house) all(key, path string, limit int) (items []map[string]any) {
	h.t.Helper()
	u, _ := url.Parse(path)
	for after := ""; ; {
		q := u.Query()
		q.Set("limit", fmt.Sprint(limit))
		if after != "" {
			q.Set("after", after)
		}
		r := h.want(h.call(key, http.MethodGet, u.Path+"?"+q.Encode(), ""), 200, "")
		page, _ := r.json["items"].([]any)
		for _, it := range page {
			items = append(items, it.(map[string]any))
		}
		if after = r.text("next"); after == "" {
			return items
		}
		if len(items) > 10_000 {
			h.t.Fatalf("%s does not end", path)
		}
	}
}

// ordered dispatches an order of the street to a unit, and returns its path.
func (h *house) ordered(lead orgs.UnitCode) string {
	h.t.Helper()
	r := h.want(h.post(h.key(orgs.Dispatcher, street), "/orders", `{"kind":"errand","matter":"010101","urgency":"C","lead":"`+string(lead)+`","place":"150105003001","task":"检修"}`), 201, "")
	h.settle()
	return strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
}

func (h *house) taken(order string, unit orgs.UnitCode) {
	h.t.Helper()
	h.do(h.key(orgs.Handler, unit), order, "sign", "")
	h.do(h.key(orgs.Handler, unit), order, "waive-contact", `{"cause":"patrol"}`)
}

func (h *house) handled(order string, unit orgs.UnitCode) {
	h.t.Helper()
	h.do(h.key(orgs.Handler, unit), order, "report-handling", `{"outcome":"resolved","answer":"已修好","summary":"已修复","evidence":["`+strings.Repeat("a", 64)+`"]}`)
}

// until moves the clock to an instant.
func (h *house) until(t time.Time) { h.wait(t.Sub(h.clock())) }

// assessedApril is an April with three orders for the agency, one done in time, one late and one not at all, and a whistle; its scheme lets a
// late fact give a revision, and is content with one case.
type assessedApril struct {
	law, april, read  string // paths
	inTime, late, due string // orders
}

func (h *house) assessedApril() (a assessedApril) {
	h.t.Helper()
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	a.law = h.drafted(ann, func(s *assessment.Scheme) {
		s.Choices[assessment.MinSample], s.Choices[assessment.LateFact] = "1", "revision"
	})
	h.want(h.confirmed(ann, ben, a.law, "publish", `{}`), 200, "")
	r := h.want(h.post(ann, "/periods", fmt.Sprintf(`{"jurisdiction":"150105","scheme":%q,"first":"2025-04-01","last":"2025-04-30"}`, strings.TrimPrefix(a.law, "/schemes/"))), 201, "")
	h.settle()
	a.april = strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
	a.read = "/api/v1" + strings.Replace(a.april, "periods", "assessments", 1)
	h.until(time.Date(2025, 4, 7, 2, 0, 0, 0, time.UTC))
	a.inTime, a.late, a.due = h.ordered(agency), h.ordered(agency), h.ordered(agency)
	for _, o := range []string{a.inTime, a.late, a.due} {
		h.taken(o, agency)
	}
	h.handled(a.inTime, agency)
	h.do(h.key(orgs.StreetLeader, street), a.inTime, "rate", `{"leg":1,"score":90}`)
	path := h.blown(street, string(agency))
	h.wait(10 * time.Minute)
	h.do(h.key(orgs.Dispatcher, street), path, "report-in", `{"unit":"150105003-a01"}`)
	h.do(h.key(orgs.Dispatcher, street), path, "release-unit", `{"unit":"150105003-a01"}`)
	h.do(h.key(orgs.Dispatcher, street), path, "conclude", `{"outcome":"路面已恢复"}`)
	h.do(h.key(orgs.StreetLeader, street), path, "score", `{"marks":[{"unit":"150105003-a01","outcome":24,"comment":"处置有力"}]}`)
	h.until(time.Date(2025, 4, 28, 2, 0, 0, 0, time.UTC))
	h.handled(a.late, agency)
	return a
}

const excluding = `{"case":{"stream":"gridcase.order-%s","leg":1},"reason":"out_of_duty","account":"不属本单位职责"}`

// From the draft of a scheme to a revision, over the API alone; and every number opens, by links alone, down to the events behind it.
func TestAnAssessmentIsReadDownToItsEvents(t *testing.T) {
	h := open(t)
	manned(h)
	a := h.assessedApril()
	ann, ben, head, leader := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight), h.key(orgs.UnitHead, agency), h.key(orgs.StreetLeader, street)
	if now := h.reads(ann, a.read); now.text("edition") != "now" || now.json["recomputed"] != true || now.json["revision"] != 0.0 {
		t.Errorf("before the end: %s", now.raw)
	}
	h.do(head, a.april, "request-exclusion", fmt.Sprintf(excluding, strings.TrimPrefix(a.late, "/orders/")))
	h.ended(a.april)
	h.evaluated(a.april, street, agency)
	h.do(ann, a.april, "approve-exclusion", `{"number":1}`)
	h.wait(20 * 24 * time.Hour)
	h.do(ann, a.april, "publish-provisional", `{}`)
	contested := fmt.Sprintf(`{"case":{"stream":"gridcase.order-%s","leg":1},"indicator":"on_time","verdict":"counts","ground":"已电话说明"}`, strings.TrimPrefix(a.due, "/orders/"))
	h.do(head, a.april, "file-objection", contested)
	h.do(ann, a.april, "reject-objection", `{"number":1,"reason":"无记录"}`)
	h.do(ann, a.april, "import-other-score", fmt.Sprintf(`{"unit":"150105003-a01","score":"85","document":%q}`, strings.Repeat("d", 64)))
	h.do(ann, a.april, "publish-provisional", `{}`)
	shown := h.reads(head, a.read)
	if shown.text("edition") != "provisional" || shown.json["recomputed"] != true {
		t.Errorf("shown: %s", shown.raw)
	}
	h.wait(10 * 24 * time.Hour)
	h.do(ann, a.april, "record-figures", `{}`)
	h.want(h.post(ann, a.april+"/record-figures", `{}`, "If-Match", h.get(ann, a.april).Header.Get("ETag")), 409, "guard_failed") // all are there
	h.want(h.confirmed(ann, ben, a.april, "seal", `{"ruling":"无街道评价的单位不计分"}`), 200, "")
	h.settle()

	// What is sealed, from the list of periods down.
	listed := h.all(ann, "/api/v1/assessments", 1)
	if len(listed) != 1 || listed[0]["revision"] != 1.0 || listed[0]["phase"] != "sealed" {
		t.Fatalf("the list of assessments: %v", listed)
	}
	sum := h.reads(ann, listed[0]["link"].(string))
	if sum.text("edition") != "sealed" || sum.json["recomputed"] != true || sum.json["revision"] != 1.0 || sum.text("results") != listed[0]["results"] || sum.text("program") != "test" ||
		sum.text("results") != shown.text("results") {
		t.Errorf("sealed: %s", sum.raw)
	}
	if x := sum.json["exclusions"].(map[string]any); x["granted"] != 1.0 || sum.json["objections"].(map[string]any)["refused"] != 1.0 {
		t.Errorf("requests: %s", sum.raw)
	}
	links := sum.json["links"].(map[string]any)
	for _, name := range []string{"period", "scheme", "events", "scores", "standings", "cards", "revisions"} {
		h.reads(ann, links[name].(string))
	}
	opened, known := 0, map[string]bool{}
	for _, f := range h.all(ann, links["figures"].(string), 37) {
		x := h.reads(ann, f["link"].(string))
		for _, name := range []string{"n", "d", "printed"} {
			if x.text(name) != f[name] {
				t.Errorf("%s is explained with another %s: %s", f["id"], name, x.raw)
			}
		}
		if steps := x.json["steps"].([]any); len(steps) > 0 && x.text("measure") != "count" && steps[len(steps)-1].(map[string]any)["printed"] != f["printed"] {
			t.Errorf("%s: the last step is %v", f["id"], steps[len(steps)-1])
		}
		left := 0.0
		for _, l := range x.json["left_out"].([]any) {
			left += l.(map[string]any)["count"].(float64)
		}
		cases := h.all(ann, f["cases"].(string), 2)
		in := 0
		for _, c := range cases {
			if c["in"] == true {
				in++
			} else {
				left--
			}
			if e, there := c["events"].(string); there {
				if opened++; known[e] {
					continue
				}
				known[e] = true
				if page := h.reads(h.key(orgs.Auditor, district), e); len(page.json["items"].([]any)) == 0 {
					t.Errorf("%s: %s has no events", f["id"], e)
				}
			}
			if l, there := c["link"].(string); there {
				h.reads(h.key(orgs.Auditor, district), l)
			}
		}
		if x.text("measure") == "rate" && fmt.Sprint(in) != x.text("d") || left != 0 && x.text("measure") != "composite" {
			t.Errorf("%s says %s of %s, and opens to %d cases (%v left out more or less)", f["id"], x.text("n"), x.text("d"), in, left)
		}
	}
	if opened < 50 {
		t.Errorf("only %d cases were opened", opened)
	}

	x := h.reads(ann, a.read+"/figures/on_time:u=150105003-a01:s=150105003")
	if x.text("n") != "1" || x.text("d") != "2" || x.text("printed") != "50.00" || x.text("before") != "33.33" || x.text("raw_d") != "3" {
		t.Errorf("on time: %s", x.raw)
	}
	if z := x.json["formula_zh"].(map[string]any); z["n"] != "期限内办结并通过核查的办题单" || x.json["steps"].([]any)[0].(map[string]any)["sum"] != "100 × 1 / 2" {
		t.Errorf("the formula: %s", x.raw)
	}
	requests := x.json["requests"].([]any)
	if len(requests) != 2 || requests[0].(map[string]any)["objection"] != 1.0 || requests[1].(map[string]any)["exclusion"] != 1.0 || requests[1].(map[string]any)["reason"] != "out_of_duty" {
		t.Errorf("what touched it: %v", requests)
	}
	feeds := x.json["feeds"].([]any)
	if len(feeds) != 1 || feeds[0].(map[string]any)["points"] != "15" || feeds[0].(map[string]any)["most"] != "30" {
		t.Errorf("what it feeds: %v", feeds)
	}
	if e := h.reads(ann, x.text("seal")).json["items"].([]any); e[0].(map[string]any)["type"] != "period-sealed/1" {
		t.Errorf("the seal: %v", e)
	}
	total := h.reads(ann, a.read+"/figures/on_time:u=150105003-a01")
	if parts := total.json["parts"].([]any); len(parts) != 1 || parts[0].(map[string]any)["id"] != "on_time:u=150105003-a01:s=150105003" {
		t.Errorf("the parts: %s", total.raw)
	}

	// Objective: on time 15 of 30, report-in 20 of 20, the callbacks have nothing to count: 35 · 100 / 50 = 70. The form is 84.5.
	score := h.reads(ann, feeds[0].(map[string]any)["link"].(string)).json["items"].([]any)[0].(map[string]any)
	if score["objective"] != "70" || score["subjective"] != "169/2" || score["score"] != "309/4" || score["printed"] != "77.25" {
		t.Errorf("the score: %v", score)
	}
	steps := score["steps"].([]any)
	if last := steps[len(steps)-1].(map[string]any); last["sum"] != "max(0, min(100, 0.5 × 70 + 0.5 × 84.5))" || last["printed"] != "77.25" {
		t.Errorf("the steps: %v", steps)
	}
	h.reads(leader, score["evaluation"].(string))
	standings := h.all(ann, links["standings"].(string), 1)
	if st := standings[0]; st["unit"] != string(agency) || st["rank"] != 1.0 || st["annual"].(map[string]any)["printed"] != "81.13" || st["weight"] != "50" {
		t.Errorf("the standing: %v", standings[0]) // 0.5 · 77.25 + 0.5 · 85 = 81.125
	}
	for _, st := range standings {
		if st["assessed"] == false && (st["rank"] != nil || st["annual"].(map[string]any)["printed"] != "—") {
			t.Errorf("ranked without a score: %v", st)
		}
	}
	cards := h.all(head, links["cards"].(string), 1)
	whistles := h.all(head, links["cards"].(string)+"?kind=whistle", 1)
	if len(whistles) != 1 || whistles[0]["total"] != "94.00" || len(cards) == 0 {
		t.Errorf("the cards: %v, %v", cards, whistles)
	}

	// A late fact: what was undone is done. The sealed figure stays; the revision has another one, and says what changed.
	h.handled(a.due, agency)
	h.want(h.confirmed(ann, ben, a.april, "seal-revision", `{"cause":"late_fact","reason":"五月补办"}`), 200, "")
	h.settle()
	const closure = "/figures/closure:u=150105003-a01:s=150105003"
	if first, second := h.reads(ann, a.read+closure+"?edition=1"), h.reads(head, a.read+closure); first.text("n") != "1" || second.text("n") != "2" || first.json["recomputed"] != true || second.json["recomputed"] != true {
		t.Errorf("closed first %s, then %s", first.raw, second.raw)
	}
	h.want(h.call(ann, http.MethodGet, a.read+closure+"?edition=3", ""), 404, "not_found")
	revisions := h.all(ann, links["revisions"].(string), 50)
	if len(revisions) != 2 || revisions[1]["cause"] != "late_fact" || revisions[0]["results"] != sum.text("results") {
		t.Fatalf("the revisions: %v", revisions)
	}
	if first := h.reads(ann, revisions[0]["link"].(string)); first.text("results") != sum.text("results") || first.json["recomputed"] != true {
		t.Errorf("the first edition: %s", first.raw)
	}
	changes := h.all(ann, revisions[1]["diff"].(string), 3)
	at := slices.IndexFunc(changes, func(c map[string]any) bool { return c["name"] == "closure" && c["street"] == string(street) && c["unit"] == string(agency) })
	if at < 0 || float64(len(changes)) != revisions[1]["changed"] || changes[at]["was"].(map[string]any)["printed"] != "50.00" || changes[at]["now"].(map[string]any)["printed"] != "100.00" {
		t.Errorf("%v numbers changed: %v", revisions[1]["changed"], changes)
	}
	for _, c := range h.all(head, revisions[1]["diff"].(string), 50) {
		if c["unit"] != string(agency) {
			t.Errorf("the agency reads of a change of %v", c)
		}
	}

	// As of: a position, an instant, a day.
	sealedAt := revisions[0]["position"].(string)
	day := h.clock().AddDate(0, 0, -1).Format("2006-01-02")
	for query, edition := range map[string]string{"?as_of=" + sealedAt: "sealed", "?as_of=2025-04-20": "now", "?as_of=" + url.QueryEscape("2025-04-20T12:00:00+08:00"): "now", "?as_of=" + day: "provisional"} {
		if r := h.reads(ann, a.read+query); r.text("edition") != edition || edition == "sealed" && r.json["revision"] != 1.0 {
			t.Errorf("%s: got %s, want %s", query, r.raw, edition)
		} else if again := h.reads(ann, a.read+"?as_of="+r.text("as_of")); again.text("results") != r.text("results") {
			t.Errorf("%s came to %s, its position to %s", query, r.text("results"), again.text("results"))
		}
	}
	if r := h.reads(ann, a.read+"/figures/on_time:u=150105003-a01?as_of=2025-04-06"); r.text("d") != "0" || r.text("printed") != "—" || !strings.Contains(r.text("cases"), "as_of=") {
		t.Errorf("before anything was dispatched: %s", r.raw)
	}

	// Another scheme on the same period: by comparison with a draft, and by a dry run, which writes nothing.
	draft := h.drafted(ann, func(s *assessment.Scheme) { s.Choices[assessment.MinSample], s.Share = "1", assessment.Whole(100) })
	end := h.end()
	compared := h.reads(ann, a.read+"/compare?scheme="+strings.TrimPrefix(draft, "/schemes/"))
	u := compared.json["units"].([]any)[slices.IndexFunc(compared.json["units"].([]any), func(u any) bool { return u.(map[string]any)["unit"] == string(agency) })].(map[string]any)
	if cause := u["causes"].([]any); len(cause) == 0 || cause[0].(map[string]any)["what"] != "share" {
		t.Errorf("because of what: %v", u)
	}
	run := h.want(h.post(ann, "/assessments/dry-run", fmt.Sprintf(`{"period":%q,"draft":%q}`, strings.TrimPrefix(a.april, "/periods/"), strings.TrimPrefix(draft, "/schemes/"))), 200, "")
	if run.text("results") != compared.text("after.results") || run.text("comparison.before.results") != revisions[1]["results"] || len(run.json["standings"].([]any)) != len(standings) {
		t.Errorf("the dry run: %s; the comparison: %s", run.raw, compared.raw)
	}
	if h.end() != end {
		t.Errorf("a dry run wrote something: the log went from %d to %d", end, h.end())
	}
	t.Logf("%d cases opened, %d numbers changed", opened, len(changes))
}
