package api_test

import (
	"bytes"
	"context"
	encodingcsv "encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
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

func (h *house) assessedApril(changes ...func(*assessment.Scheme)) (a assessedApril) {
	h.t.Helper()
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	a.law = h.drafted(ann, func(s *assessment.Scheme) {
		s.Choices[assessment.MinSample], s.Choices[assessment.LateFact] = "1", "revision"
		for _, change := range changes {
			change(s)
		}
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
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
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
	tag := h.get(ann, a.april).Header.Get("ETag")
	recorded := h.want(h.post(ann, a.april+"/record-figures", `{}`, "If-Match", tag, "Idempotency-Key", "recorded"), 200, "")
	h.settle()
	at := h.end()
	if again := h.want(h.post(ann, a.april+"/record-figures", `{}`, "If-Match", tag, "Idempotency-Key", "recorded"), 200, ""); again.text("receipt.event") != recorded.text("receipt.event") || h.end() != at {
		t.Errorf("recorded once more: %s, and the log went from %d to %d", again.raw, at, h.end())
	}
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
	// opens reports whether a figure counts what its list has: of a rate each case of the cohort, and of all what is left out.
	opens := func(x reply, cases []map[string]any) bool {
		in, left := 0, 0.0
		for _, l := range x.json["left_out"].([]any) {
			left += l.(map[string]any)["count"].(float64)
		}
		for _, c := range cases {
			if c["in"] == true {
				in++
			} else {
				left--
			}
		}
		return (x.text("measure") != "rate" || fmt.Sprint(in) == x.text("d")) && (left == 0 || x.text("measure") == "composite")
	}
	opened, known, dropped := 0, map[string]bool{}, 0
	for i, f := range h.all(ann, links["figures"].(string), 37) {
		x := h.reads(ann, f["link"].(string))
		for _, name := range []string{"n", "d", "printed"} {
			if x.text(name) != f[name] {
				t.Errorf("%s is explained with another %s: %s", f["id"], name, x.raw)
			}
		}
		if steps := x.json["steps"].([]any); len(steps) > 0 && x.text("measure") != "count" && steps[len(steps)-1].(map[string]any)["printed"] != f["printed"] {
			t.Errorf("%s: the last step is %v", f["id"], steps[len(steps)-1])
		}
		size := 50
		if i%8 == 0 {
			size = 2
		}
		cases := h.all(ann, f["cases"].(string), size)
		if len(cases) > 0 && x.text("measure") == "rate" { // seeded: a list that drops one case
			if dropped++; opens(x, cases[1:]) || opens(x, cases[:len(cases)-1]) {
				t.Errorf("nothing would notice if the list behind %s dropped a case", f["id"])
			}
		}
		for _, c := range cases {
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
		if !opens(x, cases) {
			t.Errorf("%s says %s of %s, leaves out %v, and opens to %d cases", f["id"], x.text("n"), x.text("d"), x.json["left_out"], len(cases))
		}
	}
	if opened < 50 || dropped < 50 {
		t.Errorf("only %d cases were opened, and one dropped in %d figures", opened, dropped)
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
	found := slices.IndexFunc(changes, func(c map[string]any) bool {
		return c["name"] == "closure" && c["street"] == string(street) && c["unit"] == string(agency)
	})
	if found < 0 || float64(len(changes)) != revisions[1]["changed"] || changes[found]["was"].(map[string]any)["printed"] != "50.00" || changes[found]["now"].(map[string]any)["printed"] != "100.00" {
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

// A result is read by the office of evaluation and auditors of the jurisdiction whole, by a street as far as it rates or dispatched, by a rated
// unit with its parent department as far as it is rated, once figures were shown; by nobody else.
func TestAResultIsSeenByTheOfficeItsStreetsAndThoseWhoAreRated(t *testing.T) {
	h := open(t)
	manned(h)
	a := h.assessedApril()
	ann := h.key(orgs.Evaluator, district)
	h.ended(a.april)
	h.evaluated(a.april, street, agency)
	h.wait(20 * 24 * time.Hour)
	const (
		own   = "/figures/on_time:u=150105003-a01:s=150105003"
		unit  = "/figures/on_time:u=150105003-a01"
		whole = "/figures/on_time"
	)
	reads := []string{"", "/figures", own, own + "/items", unit, unit + "/items", whole, whole + "/items", "/scores", "/standings", "/cards", "/revisions", "/figures?as_of=5"}
	cells := 0
	look := func(shown bool) {
		for _, role := range orgs.Roles() {
			nobody := slices.Contains([]orgs.Role{orgs.Resident, orgs.Channel, orgs.Operator, orgs.StairwellHead, orgs.BuildingHead, orgs.System}, role)
			for _, seat := range []orgs.UnitCode{city, district, oversight, hotline, bureau, street, nextStreet, agency, farAgency, community, grid} {
				full := slices.Contains([]orgs.Role{orgs.Evaluator, orgs.Auditor, orgs.UnitHead, orgs.StreetLeader}, role)
				if !full && !slices.Contains([]orgs.UnitCode{district, bureau, street, agency, community}, seat) {
					continue
				}
				key := h.key(role, seat)
				office := (role == orgs.Evaluator || role == orgs.Auditor) && slices.Contains([]orgs.UnitCode{city, district, oversight, hotline}, seat)
				rated := shown && slices.Contains([]orgs.UnitCode{bureau, agency, farAgency}, seat)
				streets := seat == street || seat == nextStreet
				known := !nobody && (office || rated || streets)
				listed := h.get(key, "/assessments")
				if n := len(items(listed)); listed.StatusCode == 200 && n != count(known) || listed.StatusCode != 200 && known {
					t.Errorf("%s@%s lists %d assessments (%d), figures shown %v, want %d", role, seat, n, listed.StatusCode, shown, count(known))
				}
				paths := reads
				if !full {
					paths = []string{"", own, "/standings"}
				}
				for _, path := range paths {
					want := known
					switch path {
					case own, own + "/items":
						want = known && (office || seat == street || seat == agency || seat == bureau)
					case unit, unit + "/items":
						want = known && (office || seat == agency || seat == bureau)
					case whole, whole + "/items", "/figures?as_of=5":
						want = office && known
					}
					r := h.call(key, http.MethodGet, a.read+path, "")
					if (r.StatusCode == 200) != want && !(path == "/figures?as_of=5" && office) || r.StatusCode != 200 && r.StatusCode != 404 && r.StatusCode != 403 {
						t.Errorf("%s@%s reads %q, figures shown %v: got %d, want it read: %v", role, seat, path, shown, r.StatusCode, want)
					}
					for _, it := range items(r) {
						u, st := it["unit"], it["street"]
						switch {
						case r.StatusCode != 200 || office || path == own+"/items" || path == unit+"/items" || path == "/revisions":
						case streets && st != string(seat), rated && u != string(agency) && u != string(farAgency) && u != string(bureau), seat == agency && u != string(agency):
							t.Errorf("%s@%s reads of %v by %v in %q", role, seat, u, st, path)
						}
					}
					cells++
				}
			}
		}
	}
	look(false)
	h.do(ann, a.april, "publish-provisional", `{}`)
	look(true)
	t.Logf("%d cells", cells)
}

func items(r reply) (its []map[string]any) {
	list, _ := r.json["items"].([]any)
	for _, it := range list {
		its = append(its, it.(map[string]any))
	}
	return its
}

// What few may know of is counted and not named: as many rows as before, none of them with the order.
func TestAReportBehindAFigureIsCountedAndNotNamed(t *testing.T) {
	h := open(t)
	manned(h)
	_, april := h.applied()
	read := "/api/v1" + strings.Replace(april, "periods", "assessments", 1)
	h.until(time.Date(2025, 4, 7, 2, 0, 0, 0, time.UTC))
	demand := h.accepted("report")
	order := h.do(h.key(orgs.Dispatcher, district), demand, "fast-track", `{"reason":"confidential_report","route":{"order":{"lead":"150105-d01"}}}`).json["orders"].([]any)[0].(string)
	open := h.accepted("issue")
	plain := h.do(h.key(orgs.Dispatcher, district), open, "fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"150105-d01"}}}`).json["orders"].([]any)[0].(string)
	h.until(time.Date(2025, 4, 20, 2, 0, 0, 0, time.UTC))
	secret := map[string]string{read + "/figures/sign_on_time/items": order, read + "/figures/acceptance/items": strings.TrimPrefix(demand, "/demands/"), read + "/figures/return:u=150105-d01/items": order}
	for path, id := range secret {
		for key, named := range map[string]bool{h.key(orgs.Evaluator, district): false, h.key(orgs.Auditor, district): true} {
			r := h.want(h.call(key, http.MethodGet, path, ""), 200, "")
			figure := h.reads(key, strings.TrimSuffix(path, "/items"))
			if n := len(items(r)); fmt.Sprint(n) != figure.text("d") || n != 2 {
				t.Errorf("%s: %d rows behind %s of %s", path, n, figure.text("n"), figure.text("d"))
			}
			if in := strings.Contains(string(r.raw), id); in != named {
				t.Errorf("%s names the case of a report: %v, want %v", path, in, named)
			}
			if !strings.Contains(string(r.raw), plain) && !strings.Contains(string(r.raw), strings.TrimPrefix(open, "/demands/")) {
				t.Errorf("%s names nothing: %s", path, r.raw)
			}
			for _, it := range items(r) {
				if it["withheld"] == true && (named || it["name"] != nil || it["number"] != nil || it["case"] != nil || it["events"] != nil || it["link"] != nil || it["n"] == nil) {
					t.Errorf("%s: a withheld row says %v", path, it)
				}
			}
		}
	}
	// A request that names it touches the figure, and does not name it either.
	h.do(h.key(orgs.UnitHead, bureau), april, "request-exclusion", fmt.Sprintf(excluding, order))
	x := h.reads(h.key(orgs.Evaluator, district), read+"/figures/sign_on_time")
	if n := len(x.json["requests"].([]any)); n != 1 || strings.Contains(string(x.raw), order) {
		t.Errorf("%d requests: %s", n, x.raw)
	}
	for _, sheet := range []string{"csv&sheet=cohort&figure=sign_on_time", "csv&sheet=cohort&figure=acceptance", "html"} { // nor do documents
		for key, named := range map[string]bool{h.key(orgs.Evaluator, district): false, h.key(orgs.Auditor, district): true} {
			r := h.want(h.call(key, http.MethodGet, read+"/export?format="+sheet, ""), 200, "")
			if in := strings.Contains(string(r.raw), order) || strings.Contains(string(r.raw), strings.TrimPrefix(demand, "/demands/")); in != named {
				t.Errorf("%s names the case of a report: %v, want %v", sheet, in, named)
			}
		}
	}
	// Nor do cards.
	for _, path := range []string{"/cards", "/cards?unit=150105-d01", "/figures/return/items", "/figures/dispatch/items"} {
		if r := h.reads(h.key(orgs.Evaluator, district), read+path); strings.Contains(string(r.raw), order) || strings.Contains(string(r.raw), strings.TrimPrefix(demand, "/demands/")) {
			t.Errorf("%s names the case of a report", path)
		}
	}
}

// A page goes on with the result that the first page was of, whatever was recorded in between; a cursor of anything else is refused.
func TestPagesAreOfOneResult(t *testing.T) {
	h := open(t)
	manned(h)
	a := h.assessedApril()
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	list := a.read + "/figures?indicator=sign_on_time"
	before := h.all(ann, list, 200)
	first := h.reads(ann, list+"&limit=2")
	next := url.QueryEscape(first.text("next"))
	cohort := h.reads(ann, a.read+"/figures/sign_on_time/items?limit=2")
	h.ordered(agency) // another leg, whose signature is due in the period
	h.settle()
	paged := append(items(first), items(h.reads(ann, list+"&limit=200&after="+next))...)
	if got, want := fmt.Sprint(paged), fmt.Sprint(before); got != want {
		t.Errorf("the pages are of two results: %s, want %s", got, want)
	}
	if now := fmt.Sprint(h.all(ann, list, 2)); now == fmt.Sprint(before) {
		t.Errorf("another leg changed nothing: %s", now) // or the test would show nothing
	}
	if rest := items(h.reads(ann, a.read+"/figures/sign_on_time/items?limit=200&after="+url.QueryEscape(cohort.text("next")))); len(rest) != 1 {
		t.Errorf("%d cases on the second page, want the one that was left", len(rest))
	}
	if now := items(h.reads(ann, a.read+"/figures/sign_on_time/items")); len(now) != 4 {
		t.Errorf("now it opens to %d cases, want 4", len(now))
	}
	other := h.assessedMay(a.law)
	for name, path := range map[string]string{
		"another filter":       a.read + "/figures?indicator=on_time&after=" + next,
		"another list":         a.read + "/scores?after=" + next,
		"another period":       other + "/figures?indicator=sign_on_time&after=" + next,
		"no cursor":            list + "&after=x",
		"a made-up one":        list + "&after=" + url.QueryEscape("NS4yLg"),
		"one of the old kind":  list + "&after=2",
		"a cursor of periods'": "/api/v1/assessments?after=" + next,
	} {
		if r := h.want(h.call(ann, http.MethodGet, path, ""), 400, "bad_cursor"); r.StatusCode != 400 {
			t.Errorf("with %s", name)
		}
	}
	h.want(h.call(ben, http.MethodGet, list+"&after="+next, ""), 400, "bad_cursor") // of another seat
	if r := h.reads(ann, "/api/v1/assessments?limit=1"); len(items(r)) != 1 || len(items(h.reads(ann, "/api/v1/assessments?limit=1&after="+url.QueryEscape(r.text("next"))))) != 1 {
		t.Errorf("two periods on two pages: %s", r.raw)
	}
}

// assessedMay opens May by the same scheme.
func (h *house) assessedMay(law string) string {
	h.t.Helper()
	r := h.want(h.post(h.key(orgs.Evaluator, district), "/periods", fmt.Sprintf(`{"jurisdiction":"150105","scheme":%q,"first":"2025-05-01","last":"2025-05-31"}`, strings.TrimPrefix(law, "/schemes/"))), 201, "")
	h.settle()
	return strings.Replace(r.Header.Get("Location"), "periods", "assessments", 1)
}

// sealedOtherwise seals April by a program that counted otherwise.
func (h *house) sealedOtherwise(a assessedApril) {
	h.t.Helper()
	h.ended(a.april)
	h.wait(20 * 24 * time.Hour)
	h.given(a.april, rule.Actor{ID: "ann", Role: orgs.Evaluator, Unit: district}, // by a program that counted otherwise
		period.PublishProvisional{Figures: 5, Results: strings.Repeat("a", 64), Cohort: strings.Repeat("c", 64)})
	h.wait(10 * 24 * time.Hour)
	figures := []period.Figure{
		{Unit: agency, Name: "on_time", N: "2", D: "7", Printed: "28.57"}, {Unit: agency, Name: "score", N: "80", D: "1", Printed: "80.00"},
		{Unit: agency, Name: "rank", N: "9", D: "1", Printed: "9"}, {Unit: agency, Street: street, Name: "on_time", N: "2", D: "7", Printed: "28.57"},
		{Unit: agency, Street: street, Name: "score", N: "80", D: "1", Printed: "80.00"}}
	before := h.reads(h.key(orgs.Evaluator, district), a.read)
	cutOff, err := strconv.ParseInt(before.text("cut_off"), 10, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	cutOffAt, err := time.Parse(time.RFC3339, before.text("cut_off_at"))
	if err != nil {
		h.t.Fatal(err)
	}
	seal := period.Seal{Figures: figures, Units: 1, Computed: period.Computed{CutOff: cutOff, CutOffAt: cutOffAt,
		Program: "older", Root: strings.Repeat("b", 64), Leaves: 9, Count: len(figures), Results: strings.Repeat("a", 64), Items: 7, Cohort: strings.Repeat("c", 64)}}
	_, err = h.engine.Handle(context.Background(), engine.Request{Stream: stream.Name("gridcase.period-" + strings.TrimPrefix(a.april, "/periods/")), Commands: []engine.Command{seal}, Key: "sealed",
		Actor: rule.Actor{ID: "ann", Role: orgs.Evaluator, Unit: district}, Second: &rule.Actor{ID: "ben", Role: orgs.Evaluator, Unit: oversight}, Expect: engine.Any})
	if err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}

// What was sealed is served as it was recorded, when it can not be found again; and it says so.
func TestASealedFigureNeverChanges(t *testing.T) {
	h := open(t)
	manned(h)
	a := h.assessedApril()
	h.sealedOtherwise(a)
	ann := h.key(orgs.Evaluator, district)
	sum := h.reads(ann, a.read)
	if sum.json["recomputed"] != false || sum.text("results") != strings.Repeat("a", 64) || len(sum.text("recomputed_results")) != 64 || sum.text("program") != "older" || sum.json["figures"] != 2.0 {
		t.Errorf("the summary: %s", sum.raw)
	}
	for _, key := range []string{ann, h.key(orgs.UnitHead, agency)} {
		x := h.reads(key, a.read+"/figures/on_time:u=150105003-a01")
		if x.text("n") != "2" || x.text("d") != "7" || x.text("printed") != "28.57" || x.json["recomputed"] != false {
			t.Errorf("the figure: %s", x.raw)
		}
		if its := h.all(key, a.read+"/figures", 1); len(its) != 2 || its[0]["printed"] != "28.57" {
			t.Errorf("the figures: %v", its)
		}
	}
	if st := h.all(ann, a.read+"/standings?kind=agency", 50); st[0]["streets"].(map[string]any)["printed"] != "80.00" || st[0]["rank"] != 9.0 {
		t.Errorf("the standing: %v", st[0])
	}
	if sc := h.all(ann, a.read+"/scores?unit=150105003-a01", 50); sc[0]["printed"] != "80.00" {
		t.Errorf("the score: %v", sc[0])
	}
	h.want(h.call(ann, http.MethodGet, a.read+"/figures/response", ""), 404, "not_found") // it was not recorded

	// Documents hold the sealed numbers, too; what would have to be recomputed to hold them is refused, and says why.
	for form, says := range map[string][]string{
		"html":                {"<b>28.57</b>", "80.00", "第 1 次", "older", strings.Repeat("a", 64), sum.text("recomputed_results"), "封存的数值"},
		"csv&sheet=figures":   {"on_time:u=150105003-a01,on_time,按期结案率,150105003-a01,", ",2,7,28.57,"},
		"csv&sheet=scores":    {",80.00,"},
		"csv&sheet=standings": {",80.00,"},
	} {
		r := h.reads(ann, a.read+"/export?format="+form)
		for _, want := range says {
			if !bytes.Contains(r.raw, []byte(want)) {
				t.Errorf("%s does not say %q: %s", form, want, r.raw)
			}
		}
		if bytes.Contains(r.raw, []byte("33.33")) { // what on_time comes to when it is computed
			t.Errorf("%s holds a number that was not sealed: %s", form, r.raw)
		}
	}
	for _, form := range []string{"xlsx", "csv&sheet=cohort&figure=on_time:u=150105003-a01"} {
		if r := h.want(h.call(ann, http.MethodGet, a.read+"/export?format="+form, ""), 409, "wrong_state"); !strings.Contains(r.text("detail"), "与封存的数值不符") {
			t.Errorf("%s is refused with %s", form, r.raw)
		}
	}
}

// Where the scheme counts late facts in the next period, a revision is of the same cases as the seal: a late fact is no reason for one, and a correction of what
// another program counted wrongly does not let it in.
func TestACorrectionLetsNoLateFactInWhereTheNextPeriodHasIt(t *testing.T) {
	h := open(t)
	manned(h)
	a := h.assessedApril(func(s *assessment.Scheme) { s.Choices[assessment.LateFact] = "next" })
	h.sealedOtherwise(a)
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	cutOff := h.reads(ann, a.read).text("cut_off")
	h.handled(a.due, agency) // late: with it, three of three are closed
	if r := h.want(h.confirmed(ann, ben, a.april, "seal-revision", `{"cause":"late_fact","reason":"五月补办"}`), 409, "guard_failed"); !strings.Contains(r.text("detail"), "迟到事实计入下一周期") {
		t.Errorf("a late fact is refused with %s", r.raw)
	}
	h.want(h.confirmed(ann, ben, a.april, "seal-revision", `{"cause":"correction","reason":"复核"}`), 200, "")
	h.settle()
	const closure = "/figures/closure:u=150105003-a01"
	for path, want := range map[string]string{closure: "2/3 = 66.67", "/figures/on_time:u=150105003-a01": "1/3 = 33.33", closure + "?as_of=" + h.end().String(): "2/3 = 66.67"} {
		if x := h.reads(ann, a.read+path); fmt.Sprintf("%s/%s = %s", x.text("n"), x.text("d"), x.text("printed")) != want || x.json["recomputed"] != true || x.json["revision"] != 2.0 {
			t.Errorf("%s: %s, want %s in revision 2", path, x.raw, want)
		}
	}
	if sum := h.reads(ann, a.read); sum.text("cut_off") != cutOff || sum.text("cause") != "correction" {
		t.Errorf("the correction: %s, want the cut-off %s", sum.raw, cutOff)
	}
	h.want(h.confirmed(ann, ben, a.april, "seal-revision", `{"cause":"correction","reason":"复核"}`), 409, "guard_failed") // nothing changed any more

	// What it changed, as a list for a spreadsheet: the same as over the API, in the same order.
	csv := func(query string) [][]string {
		t.Helper()
		r := h.reads(ann, a.read+"/export?format=csv&sheet=changes"+query)
		text, marked := strings.CutPrefix(string(r.raw), "\ufeff")
		if !marked || strings.Count(text, "\n") != strings.Count(text, "\r\n") || !strings.Contains(r.Header.Get("Content-Disposition"), "-r2-changes.csv") {
			t.Errorf("the list begins %q and is called %s", r.raw[:20], r.Header.Get("Content-Disposition"))
		}
		rows, err := encodingcsv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	changes := h.all(ann, a.read+"/diff?from=1&to=2", 50)
	rows := csv("&from=1&edition=2")
	if again := csv(""); fmt.Sprint(again) != fmt.Sprint(rows) || len(rows) != 1+len(changes) || len(changes) < 5 {
		t.Fatalf("%d rows, %d changes, and %d rows if nothing is said", len(rows), len(changes), len(again))
	}
	of := func(v any, name string) string {
		m, _ := v.(map[string]any)
		text, _ := m[name].(string)
		return text
	}
	for i, c := range changes {
		r := rows[1+i]
		if want := []string{of(c, "unit"), of(c, "street"), of(c, "name"), of(c["was"], "n"), of(c["was"], "d"), of(c["was"], "printed"), of(c["now"], "n"), of(c["now"], "d"), of(c["now"], "printed"), "1", "2"}; !slices.Equal(append([]string{r[0], r[2], r[4]}, r[6:]...), want) {
			t.Errorf("row %d says %v, the API %v", i, r, want)
		}
	}
	head := h.key(orgs.UnitHead, agency)
	for _, r := range strings.Split(strings.TrimSpace(string(h.reads(head, a.read+"/export?format=csv&sheet=changes").raw)), "\r\n")[1:] {
		if !strings.HasPrefix(r, string(agency)+",") {
			t.Errorf("the agency reads of a change of %s", r)
		}
	}
	for query, status := range map[string]int{"&from=2": 422, "&from=2&edition=2": 422, "&edition=3": 404, "&edition=1": 404, "&from=0": 422} {
		h.want(h.call(ann, http.MethodGet, a.read+"/export?format=csv&sheet=changes"+query, ""), status, "")
	}
	h.want(h.call(ann, http.MethodGet, a.read+"/export?format=csv&from=1", ""), 422, "invalid")
}

// Who asks for a revision that there is not is told which there are, if the period is any of theirs.
func TestARevisionThatThereIsNotIsSaidInWords(t *testing.T) {
	h := open(t)
	manned(h)
	a := h.assessedApril()
	ann := h.key(orgs.Evaluator, district)
	says := func(key, path, zh string) {
		t.Helper()
		if r := h.want(h.call(key, http.MethodGet, a.read+path, "", "Accept-Language", "zh"), 404, "not_found"); strings.Contains(r.text("detail"), "封存") != (zh != "") || !strings.Contains(r.text("detail"), zh) {
			t.Errorf("%s: %s, want %q", path, r.raw, zh)
		}
	}
	for _, path := range []string{"/export?format=csv&edition=1", "/export?format=xlsx&edition=2", "?edition=1", "/figures?edition=1", "/scores?edition=1", "/diff", "/diff?from=1&to=2", "/export?format=csv&sheet=changes"} {
		says(ann, path, "该周期尚未封存")
	}
	says(h.key(orgs.Clerk, community), "?edition=1", "") // it concerns nobody there
	h.sealedOtherwise(a)
	says(ann, "/export?format=csv&edition=2", "没有第 2 版：该周期封存至第 1 版")
	says(ann, "/diff", "只有封存的一版")
	says(h.key(orgs.Clerk, community), "?edition=2", "")
	says(ann, "/figures/luck?edition=1", "")
}

// Whatever is asked, a bad question is the asker's fault.
func TestBadQuestionsAboutAResultAreSaidClearly(t *testing.T) {
	h := open(t)
	manned(h)
	a := h.assessedApril()
	ann, mayor := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, city)
	cityLaw := h.drafted(mayor, nil)
	id, law := strings.TrimPrefix(a.april, "/periods/"), strings.TrimPrefix(a.law, "/schemes/")
	sound := asJSON(t, assessment.Default())
	broken := strings.Replace(strings.Replace(sound, `"points":"30"`, `"points":"31"`, 1), `"indicator":"resolution"`, `"indicator":"luck"`, 1)
	before := h.end()
	for _, c := range []struct {
		key, method, path, body string
		status                  int
		code                    string
	}{
		{ann, "GET", "/assessments/x", "", 404, "not_found"},
		{ann, "GET", "/assessments/" + law, "", 404, "not_found"},
		{ann, "GET", "/assessments?limit=0", "", 422, "invalid"},
		{ann, "GET", "/assessments?limit=201", "", 422, "invalid"},
		{ann, "GET", "/assessments?luck=1", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/figures/luck", "", 404, "not_found"},
		{ann, "GET", "/assessments/" + id + "/figures/on_time:s=150105003:u=150105-d01", "", 404, "not_found"},
		{ann, "GET", "/assessments/" + id + "/figures/on_time:u=", "", 404, "not_found"},
		{ann, "GET", "/assessments/" + id + "/figures/%2e%2e", "", 404, "not_found"},
		{ann, "GET", "/assessments/" + id + "/figures/" + strings.Repeat("x", 200), "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/figures/luck/items", "", 404, "not_found"},
		{ann, "GET", "/assessments/" + id + "/figures?indicator=luck", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/figures?limit=-1", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/figures?edition=1", "", 404, "not_found"},
		{ann, "GET", "/assessments/" + id + "/figures?edition=0", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/figures?edition=1&as_of=5", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/figures?as_of=999999999", "", 400, "bad_position"},
		{ann, "GET", "/assessments/" + id + "/figures?as_of=99999999999999999999999", "", 400, "bad_position"},
		{ann, "GET", "/assessments/" + id + "/figures?as_of=yesterday", "", 400, "bad_position"},
		{ann, "GET", "/assessments/" + id + "/figures?as_of=2025-02-30", "", 400, "bad_position"},
		{ann, "GET", "/assessments/" + id + "/figures?as_of=2025-04-28", "", 400, "bad_position"}, // the day is not over
		{ann, "GET", "/assessments/" + id + "/figures?as_of=2031-01-01", "", 400, "bad_position"},
		{ann, "GET", "/assessments/" + id + "/figures?as_of=2031-01-01T00:00:00Z", "", 400, "bad_position"},
		{ann, "GET", "/assessments/" + id + "/figures?as_of=2025-04-10T00:00:00", "", 400, "bad_position"},
		{ann, "GET", "/assessments/" + id + "/figures?as_of=2020-01-01", "", 404, "not_found"}, // before there was a period
		{ann, "GET", "/assessments/" + id + "/standings?kind=cloud", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/cards?kind=luck", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/cards?unit=%3A", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/compare", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/compare?with=" + id, "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/compare?with=" + strings.ToUpper(id), "", 404, ""},
		{ann, "GET", "/assessments/" + id + "/compare?with=x", "", 404, "not_found"},
		{ann, "GET", "/assessments/" + id + "/compare?with=x&scheme=x", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/compare?scheme=x", "", 404, "not_found"},
		{ann, "GET", "/assessments/" + id + "/compare?scheme=" + strings.TrimPrefix(cityLaw, "/schemes/"), "", 404, "not_found"}, // the city's draft
		{h.key(orgs.StreetLeader, street), "GET", "/assessments/" + id + "/compare?scheme=" + law, "", 403, "role_missing"},
		{ann, "GET", "/assessments/" + id + "/diff", "", 404, "not_found"}, // nothing is sealed
		{ann, "GET", "/assessments/" + id + "/diff?from=2&to=1", "", 422, "invalid"},
		{ann, "GET", "/assessments/" + id + "/diff?from=1&to=2", "", 404, "not_found"},
		{ann, "GET", "/assessments/" + id + "/diff?from=x", "", 422, "invalid"},
		{ann, "POST", "/assessments/dry-run", `{}`, 422, "invalid"},
		{ann, "POST", "/assessments/dry-run", `{"period":"x","draft":"` + law + `"}`, 422, "invalid"},
		{ann, "POST", "/assessments/dry-run", `{"period":"` + law + `","draft":"` + law + `"}`, 404, "not_found"},
		{ann, "POST", "/assessments/dry-run", `{"period":"` + id + `"}`, 422, "invalid"},
		{ann, "POST", "/assessments/dry-run", `{"period":"` + id + `","draft":"` + law + `","scheme":` + sound + `}`, 422, "invalid"},
		{ann, "POST", "/assessments/dry-run", `{"period":"` + id + `","draft":"` + id + `"}`, 404, "not_found"},
		{ann, "POST", "/assessments/dry-run", `{"period":"` + id + `","edition":1,"draft":"` + law + `"}`, 404, "not_found"},
		{ann, "POST", "/assessments/dry-run", `{"period":"` + id + `","scheme":{"colour":"red"}}`, 422, "invalid"},
		{ann, "POST", "/assessments/dry-run", `{"period":"` + id + `","scheme":` + broken + `}`, 422, "invalid"},
		{h.key(orgs.Auditor, district), "POST", "/assessments/dry-run", `{"period":"` + id + `","draft":"` + law + `"}`, 403, "role_missing"},
		{h.key(orgs.Evaluator, street), "POST", "/assessments/dry-run", `{"period":"` + id + `","draft":"` + law + `"}`, 403, "outside_jurisdiction"},
	} {
		r := h.call(c.key, c.method, "/api/v1"+c.path, c.body)
		h.want(r, c.status, c.code)
		if strings.Contains(c.body, `"luck"`) {
			for _, what := range []string{"body.scheme.objective", "101", "luck"} {
				if !strings.Contains(string(r.raw), what) {
					t.Errorf("it does not say %q: %s", what, r.raw)
				}
			}
		}
	}
	for ev := range events(h, before) {
		if !strings.HasPrefix(ev.Type, "role-granted") {
			t.Errorf("a question wrote %s", ev.Type)
		}
	}
}

// Whatever keeps a scheme from being published reaches whoever drafts it, publishes it or tries it, with its place and the computed share.
func TestEveryFaultOfASchemeIsTold(t *testing.T) {
	h := open(t)
	manned(h)
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	applied, april := h.applied()
	points := func(s string) assessment.Decimal {
		d, err := assessment.ParseDecimal(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	weighing := func(kind orgs.Kind, weight, bonus, other, sheet string) func(*assessment.Scheme) {
		return func(s *assessment.Scheme) {
			s.Subjects, s.Other = []assessment.Subject{{Kind: kind, Weight: points(weight), Sheet: points(sheet)}}, points(other)
			if bonus != "0" {
				s.Bonuses = []assessment.Item{{Indicator: assessment.ReportIn, Points: points(bonus), Shape: assessment.Bonus, Each: points("1")}}
			}
		}
	}
	choosing := func(before func(*assessment.Scheme), name assessment.Name, answer string) func(*assessment.Scheme) {
		return func(s *assessment.Scheme) {
			if before != nil {
				before(s)
			}
			s.Choices[name] = answer
		}
	}
	banded := func(from1, points1, from2, points2 string) func(*assessment.Scheme) {
		return func(s *assessment.Scheme) {
			s.Objective[0].Shape = assessment.Banded
			s.Objective[0].Bands = []assessment.Band{{From: points(from1), Points: points(points1)}, {From: points(from2), Points: points(points2)}}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*assessment.Scheme)
		code   string // "" = it may be published
		says   string // place, or share
	}{
		{"a department at the floor", weighing(orgs.Department, "20", "0", "100", "0"), "", ""},
		{"a department just below it", weighing(orgs.Department, "19.9999", "0", "100", "0"), "weight_below_floor", "20.00 %"},
		{"a department just above it", weighing(orgs.Department, "20.0001", "0", "100", "0"), "", ""},
		{"an agency at the floor", weighing(orgs.Agency, "50", "0", "100", "0"), "", ""},
		{"an agency just below it", weighing(orgs.Agency, "49.9999", "0", "100", "0"), "weight_below_floor", "50.00 %"},
		{"an agency just above it", weighing(orgs.Agency, "50.0001", "0", "100", "0"), "", ""},
		{"20 of 110 points", weighing(orgs.Department, "20", "0", "100", "110"), "weight_below_floor", "18.18 %"},
		{"22 of 110 points", weighing(orgs.Department, "22", "0", "100", "110"), "", ""},
		{"diluted by the bonus of the other part", weighing(orgs.Department, "20", "0", "110", "0"), "weight_below_floor", "18.52 %"},
		{"diluted by the streets' own bonus", weighing(orgs.Department, "20", "10", "100", "0"), "weight_below_floor", "19.61 %"},
		{"points that sum to 99", func(s *assessment.Scheme) { s.Objective[0].Points = assessment.Whole(29) }, "guard_failed", "objective"},
		{"a form that sums to 101", func(s *assessment.Scheme) { s.Form[0].Points = assessment.Whole(21) }, "guard_failed", "form"},
		{"an unknown indicator", func(s *assessment.Scheme) { s.Objective[0].Indicator = "luck" }, "guard_failed", "objective[0]"},
		{"overlapping bands", banded("90", "20", "90", "30"), "guard_failed", "objective[0]"},
		{"the floor itself, where it is not enough", choosing(weighing(orgs.Agency, "50", "0", "100", "0"), assessment.FloorInclusive, "no"), "weight_below_floor", "50.00 %"},
		{"just above it, where the floor is not enough", choosing(weighing(orgs.Agency, "50.0001", "0", "100", "0"), assessment.FloorInclusive, "no"), "", ""},
		{"an agency diluted by the bonus of the other part", weighing(orgs.Agency, "50", "0", "110", "0"), "weight_below_floor", "47.62 %"},
		{"enough to make up for that", weighing(orgs.Agency, "52.381", "0", "110", "0"), "", ""},
		{"the nominal weight, where it is what is meant", choosing(weighing(orgs.Department, "20", "0", "110", "0"), assessment.WeightMeaning, "nominal"), "", ""},
		{"bands in the wrong order", banded("80", "20", "90", "30"), "guard_failed", "objective[0]"},
		{"a band for more than there is", banded("90", "31", "80", "20"), "guard_failed", "objective[0]"},
		{"an unknown answer", choosing(nil, assessment.Aggregate, "luck"), "guard_failed", "choices.aggregate"},
		{"an unknown choice", choosing(nil, "luck", "yes"), "guard_failed", "choices.luck"},
		{"a number that is none", choosing(nil, assessment.MinSample, "five"), "guard_failed", "choices.min_sample"},
		{"an answer that lacks its number", choosing(nil, assessment.Credit, "split"), "guard_failed", "choices.credit"},
		{"a missing choice", func(s *assessment.Scheme) { delete(s.Choices, assessment.Aggregate) }, "guard_failed", "choices.aggregate"},
	} {
		law := h.drafted(ann, c.change)
		draft := h.get(ann, law)
		tried := h.post(ann, "/assessments/dry-run", fmt.Sprintf(`{"period":%q,"draft":%q}`, strings.TrimPrefix(april, "/periods/"), strings.TrimPrefix(law, "/schemes/")))
		published := h.confirmed(ann, ben, law, "publish", `{}`)
		if c.code == "" {
			h.want(published, 200, "")
			h.want(tried, 200, "")
			if n := len(draft.json["faults"].([]any)) + len(tried.json["faults"].([]any)); n != 0 {
				t.Errorf("%s: %d faults: %s", c.name, n, draft.raw)
			}
			continue
		}
		h.want(published, 409, c.code)
		status := http.StatusUnprocessableEntity
		if c.code == "weight_below_floor" {
			status = http.StatusOK // that is what one tries it for
		}
		h.want(tried, status, "")
		for where, r := range map[string]reply{"the draft": draft, "the refusal": published, "the dry run": tried} {
			if !strings.Contains(string(r.raw), c.says) || where != "the refusal" && !strings.Contains(string(r.raw), c.code) {
				t.Errorf("%s: %s does not say %q, %s: %s", c.name, where, c.says, c.code, r.raw)
			}
		}
	}
	// Whatever §8 asks is answered by name: one draft that answers nothing well is told every one of them.
	r := h.get(ann, h.drafted(ann, func(s *assessment.Scheme) {
		for _, c := range assessment.Choices() {
			s.Choices[c.Name] = "luck"
		}
	}))
	for _, c := range assessment.Choices() {
		if !strings.Contains(string(r.raw), `"choices.`+string(c.Name)+`"`) {
			t.Errorf("an unknown answer to %s is not told", c.Name)
		}
	}
	// Once it is published it is not changed, whether its period began or not; and it is not applied to days before it.
	h.until(time.Date(2025, 4, 7, 2, 0, 0, 0, time.UTC))
	law := h.drafted(ann, nil)
	h.want(h.confirmed(ann, ben, law, "publish", `{}`), 200, "")
	h.settle()
	for _, law := range []string{applied, law} {
		h.want(h.post(ann, law+"/amend", `{"scheme":`+asJSON(t, assessment.Default())+`}`, "If-Match", h.get(ann, law).Header.Get("ETag")), 409, "wrong_state")
	}
	h.want(h.post(ann, "/periods", fmt.Sprintf(`{"jurisdiction":"150105","scheme":%q,"first":"2025-04-01","last":"2025-04-30"}`, strings.TrimPrefix(law, "/schemes/"))), 409, "guard_failed")
}
