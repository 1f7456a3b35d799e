package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/orgs"
)

// editable reads a policy and returns it, to be changed and published, with its ETag.
func (h *house) editable(path string) (p map[string]any, tag string) {
	h.t.Helper()
	r := h.want(h.get(h.key(orgs.Operator, city), path), 200, "")
	return r.json["policy"].(map[string]any), r.Header.Get("ETag")
}

func body(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const made2027 = `{"year":2027,"source":"https://example.org/2027","off":["2027-01-01","2027-01-04"],"work":["2027-01-03"],` +
	`"occasions":[{"from":"2027-01-01","to":"2027-01-01","name":"元旦"}]}`

func TestOnlyAnOperatorOfTheCityPublishesOverTheAPI(t *testing.T) {
	h := open(t)
	deadline, tag := h.editable("/policies/deadline")
	deadline["attempts"] = 4
	escalation, _ := h.editable("/policies/escalation")
	escalation["reworks"] = 5
	calls := map[string]string{
		"/policies/deadline/publish":   body(t, map[string]any{"policy": deadline, "reason": "试行"}),
		"/policies/escalation/publish": body(t, map[string]any{"policy": escalation, "reason": "试行"}),
		"/calendar/publish":            made2027,
	}
	etags := map[string]string{"/policies/deadline/publish": tag, "/policies/escalation/publish": `"0"`, "/calendar/publish": `"9"`}
	cells := 0
	for path, b := range calls {
		for _, role := range orgs.Roles() {
			for _, seat := range []orgs.UnitCode{city, district, community} {
				if role == orgs.Operator && seat == city {
					continue
				}
				h.get(h.key(role, seat), "/policies") // the grant of the key is recorded at its first use
				before := h.end()
				r := h.post(h.key(role, seat), path, b, "If-Match", etags[path])
				if r.StatusCode != 403 || h.end() != before {
					t.Errorf("%s@%s publishes at %s: got %d, log moved %v; want 403 and nothing", role, seat, path, r.StatusCode, h.end() != before)
				}
				cells++
			}
		}
		h.want(h.post("", path, b, "If-Match", etags[path]), 401, "unauthenticated")
		h.want(h.post(h.key(orgs.Operator, city), path, b), 428, "if_match_missing")
		h.want(h.post(h.key(orgs.Operator, city), path, b, "If-Match", `"77"`), 412, "revision_conflict")
		first := h.want(h.post(h.key(orgs.Operator, city), path, b, "If-Match", etags[path], "Idempotency-Key", "once"+path), 200, "")
		again := h.want(h.post(h.key(orgs.Operator, city), path, b, "If-Match", etags[path], "Idempotency-Key", "once"+path), 200, "")
		if string(first.raw) != string(again.raw) || again.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s repeated: got\n%s, want\n%s", path, again.raw, first.raw)
		}
	}
	for _, role := range []orgs.Role{orgs.Resident, orgs.Clerk, orgs.Auditor, orgs.Operator} {
		for _, path := range []string{"/policies", "/policies/deadline", "/policies/escalation", "/calendar"} {
			h.want(h.get(h.key(role, community), path), 200, "")
		}
	}
	t.Logf("%d cells", cells)
}

func TestAPublishedPolicyDecidesTheNextRequest(t *testing.T) {
	h := open(t)
	operator := h.key(orgs.Operator, city)
	if r := h.want(h.get(operator, "/policies"), 200, ""); len(r.json["items"].([]any)) != 3 || !strings.Contains(string(r.raw), `"version":"cn-2026#1"`) {
		t.Errorf("policies: %s", r.raw)
	}
	old := h.accepted("issue")
	p, tag := h.editable("/policies/deadline")
	for _, row := range p["rows"].([]any) {
		if row := row.(map[string]any); row["clock"] == "triage" {
			row["amount"] = "1 working_days"
		}
	}
	r := h.want(h.post(operator, "/policies/deadline/publish", body(t, map[string]any{"policy": p, "reason": "试行一日分流"}), "If-Match", tag), 200, "")
	if versions := r.json["versions"].([]any); len(versions) != 2 || versions[1].(map[string]any)["reason"] != "试行一日分流" || r.json["receipt"] == nil {
		t.Errorf("published: %s", r.raw)
	}
	fresh := h.accepted("issue")
	for path, want := range map[string][2]any{old: {3.0, 1.0}, fresh: {1.0, 2.0}} {
		d := h.want(h.get(h.key(orgs.Clerk, community), path+"/due"), 200, "").json["items"].([]any)[0].(map[string]any)
		row := d["row"].(map[string]any)
		if d["clock"] != "triage" || d["amount"] != want[0] || d["policy_version"] != want[1] || row["amount"] != fmt.Sprintf("%v working_days", want[0]) {
			t.Errorf("%s: got %v, want %v working days by version %v", path, d, want[0], want[1])
		}
	}
	for name, change := range map[string]func(map[string]any){
		"no rows":       func(p map[string]any) { p["rows"] = []any{} },
		"no such kind":  func(p map[string]any) { p["rows"].([]any)[0].(map[string]any)["amount"] = "3 fortnights" },
		"another name":  func(p map[string]any) { p["name"] = "mine" },
		"stale version": func(p map[string]any) { p["version"] = 1 },
		"unknown word":  func(p map[string]any) { p["missing"] = "guess" },
		"more members":  func(p map[string]any) { p["colour"] = "red" },
		"time of day":   func(p map[string]any) { p["service"].([]any)[0].(map[string]any)["open"] = "25:00" },
	} {
		p, tag := h.editable("/policies/deadline")
		change(p)
		before := h.end()
		if r := h.post(operator, "/policies/deadline/publish", body(t, map[string]any{"policy": p, "reason": "x"}), "If-Match", tag); r.StatusCode < 400 || r.StatusCode > 499 || h.end() != before {
			t.Errorf("%s: got %d %s, want a 4xx and no event", name, r.StatusCode, r.raw)
		}
	}
	h.want(h.post(operator, "/calendar/publish", `{"year":2027,"source":"x","off":["2030-01-01"]}`, "If-Match", `"9"`), 409, "guard_failed")
	h.want(h.post(operator, "/calendar/publish", `{"year":2026,"source":"https://example.org/c","off":["2026-01-01"]}`, "If-Match", `"9"`), 409, "guard_failed") // a correction without a reason
}

// added adds up what an explanation counts, in seconds or days, and says where it ends.
func added(t *testing.T, d map[string]any) (sum float64, end string) {
	t.Helper()
	measure := func(m map[string]any) float64 {
		if s, hours := m["seconds"].(float64); hours {
			return s
		}
		n, _ := m["days"].(float64)
		return n
	}
	for _, s := range d["spells"].([]any) {
		s := s.(map[string]any)
		part := 0.0
		for _, p := range s["parts"].([]any) {
			part += measure(p.(map[string]any))
		}
		if part != measure(s["counted"].(map[string]any)) {
			t.Errorf("the parts of a spell add up to %v: %v", part, s)
		}
		sum, end = sum+part, s["until"].(string)
	}
	if sum != measure(d["counted"].(map[string]any)) {
		t.Errorf("the spells add up to %v: %v", sum, d)
	}
	return sum, end
}

// inService publishes a deadline policy in which one clock has three working days, and the others two service hours.
func (h *house) inService(days string, hours ...string) {
	h.t.Helper()
	p, tag := h.editable("/policies/deadline")
	for _, row := range p["rows"].([]any) {
		switch row := row.(map[string]any); {
		case row["clock"] == days:
			row["amount"] = "3 working_days"
		case slices.Contains(hours, row["clock"].(string)):
			row["amount"] = "2 service_hours"
		}
	}
	h.want(h.post(h.key(orgs.Operator, city), "/policies/deadline/publish", body(h.t, map[string]any{"policy": p, "reason": "按工作时间计"}), "If-Match", tag), 200, "")
	h.settle()
}

func TestTheDueOfAnOrderIsExplained(t *testing.T) {
	h := open(t)
	demand := h.accepted("issue")
	dispatcher, handler, leader := h.key(orgs.Dispatcher, district), h.key(orgs.Handler, bureau), h.key(orgs.UnitHead, district)
	id := h.do(dispatcher, demand, "fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"150105-d01"}}}`).json["orders"].([]any)[0].(string)
	path := "/orders/" + id
	h.want(h.get(h.key(orgs.Clerk, sibling), path+"/due"), 404, "not_found")
	h.want(h.get(handler, "/orders/not-an-id/due"), 404, "not_found")
	due := func(clock string) map[string]any {
		t.Helper()
		for _, d := range h.want(h.get(handler, path+"/due", "Accept-Language", "en"), 200, "").json["items"].([]any) {
			if d := d.(map[string]any); d["clock"] == clock {
				return d
			}
		}
		t.Fatalf("no %s clock", clock)
		return nil
	}
	if sum, end := added(t, due("sign")); sum != 7200 || end != due("sign")["due"] || due("sign")["owed"] != "sign for the order" {
		t.Errorf("sign: %v", due("sign"))
	}
	handle := due("handle")
	if sum, end := added(t, handle); sum != 7 || end != handle["due"] || handle["row"].(map[string]any)["urgency"] != "C" || handle["because"] != "no notice bears on it" {
		t.Errorf("handle: %v", handle)
	}
	first := h.want(h.get(handler, path+"/due"), 200, "")
	if r := h.get(handler, path+"/due", "If-None-Match", first.Header.Get("ETag")); r.StatusCode != http.StatusNotModified {
		t.Errorf("unchanged: got %d", r.StatusCode)
	}
	h.do(handler, path, "sign", "")
	h.do(handler, path, "record-contact", `{"demands":["`+strings.TrimPrefix(demand, "/demands/")+`"],"means":"phone"}`)
	h.do(handler, path, "request-extension", `{"amount":3,"reason":"材料采购","residents_told":true}`)
	h.do(leader, path, "grant-extension", `{"reason":"属实"}`)
	h.wait(2 * 24 * time.Hour)
	h.do(handler, path, "report-handling", `{"outcome":"resolved","answer":"已修好","summary":"已修复","account":"更换阀门"}`)
	frozen := due("handle")
	if sum, _ := added(t, frozen); frozen["frozen"] != true || sum != 2 || frozen["total"].(map[string]any)["days"] != 10.0 {
		t.Errorf("while it is verified: %v, want 2 of 10 days counted and the clock standing still", frozen)
	}
	h.wait(24 * time.Hour)
	h.do(h.key(orgs.Verifier, oversight), path, "fail-verification", `{"reason":"仍不热","method":"on_site"}`)
	moved := due("handle")
	var turns []string
	for _, m := range moved["moved"].([]any) {
		turns = append(turns, m.(map[string]any)["turn"].(string))
	}
	if sum, end := added(t, moved); sum != 10 || end != moved["due"] || !slices.Equal(turns, []string{"extension", "pause"}) || moved["original_due"] == moved["due"] {
		t.Errorf("after it all: %v, moved by %v, want ten days in all up to the due", moved, turns)
	}
	if r := h.want(h.get(h.key(orgs.Clerk, community), demand+"/due"), 200, ""); len(r.json["items"].([]any)) != 1 {
		t.Errorf("the promise to the resident: %s", r.raw)
	}
}

// Rule R24 over the API: what is provisional is listed until the notice arrives; then it is settled, and explained with it.
func TestProvisionalDuesAreListedUntilTheNoticeArrives(t *testing.T) {
	h := open(t)
	operator, arbiter := h.key(orgs.Operator, city), h.key(orgs.Arbiter, district)
	p, tag := h.editable("/policies/deadline")
	for _, row := range p["rows"].([]any) {
		if row := row.(map[string]any); row["clock"] == "handle" && row["urgency"] == "C" {
			row["amount"] = "5 working_days"
		}
	}
	h.want(h.post(operator, "/policies/deadline/publish", body(t, map[string]any{"policy": p, "reason": "按工作日计"}), "If-Match", tag), 200, "")
	h.wait(time.Date(2026, 12, 28, 2, 0, 0, 0, time.UTC).Sub(h.clock()))
	demand := h.accepted("issue")
	id := h.do(h.key(orgs.Dispatcher, district), demand, "fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"150105-d01"}}}`).json["orders"].([]any)[0].(string)
	list := func(query string) (found []map[string]any) {
		t.Helper()
		for _, d := range h.want(h.get(arbiter, "/views/deadlines?"+query), 200, "").json["items"].([]any) {
			found = append(found, d.(map[string]any))
		}
		return found
	}
	open := list("provisional=true&clock=handle")
	if len(open) != 1 || open[0]["id"] != id || open[0]["lead"] != string(bureau) || open[0]["due"] != "2027-01-04T23:59:59+08:00" {
		t.Fatalf("provisional: %v, want the order's handling clock", open)
	}
	explain := h.want(h.get(arbiter, "/orders/"+id+"/due"), 200, "")
	if !strings.Contains(string(explain.raw), `"unknown_from":"2026-12-29"`) || !strings.Contains(string(explain.raw), "放假通知在计算时尚未发布") {
		t.Errorf("explained: %s", explain.raw)
	}
	recompute := `{"id":"` + open[0]["due_id"].(string) + `","reason":"2027 年放假通知已发布"}`
	h.want(h.post(arbiter, "/orders/"+id+"/recompute-deadline", recompute, "If-Match", explain.Header.Get("ETag")), 409, "guard_failed")
	h.want(h.post(operator, "/calendar/publish", made2027, "If-Match", `"9"`), 200, "")
	h.settle()
	if left := list("provisional=true"); len(left) != 0 {
		t.Errorf("settled, and still listed: %v", left)
	}
	h.want(h.post(arbiter, "/orders/"+id+"/recompute-deadline", recompute, "If-Match", h.get(arbiter, "/orders/"+id).Header.Get("ETag")), 409, "guard_failed") // its place was taken
	settled := list("clock=handle&unit=150105003001&lead=150105-d01&before=2027-01-06T00:00:00%2B08:00")
	if len(settled) != 1 || settled[0]["due"] != "2027-01-05T23:59:59+08:00" || settled[0]["provisional"] != nil {
		t.Fatalf("settled: %v, want 5 January, for New Year's Day and the Monday are off and the Sunday is worked", settled)
	}
	for _, d := range h.want(h.get(arbiter, "/orders/"+id+"/due"), 200, "").json["items"].([]any) {
		d := d.(map[string]any)
		if d["clock"] != "handle" {
			continue
		}
		sum, end := added(t, d)
		if sum != 5 || end != d["due"] || d["calendar"] != "cn-2027#1" || !strings.Contains(body(t, d), `"why":"notice"`) || !strings.Contains(body(t, d), `"make_up"`) {
			t.Errorf("settled and explained: %v", d)
		}
	}
	c := h.want(h.get(arbiter, "/calendar"), 200, "")
	if c.text("version") != "cn-2027#1" || len(c.json["notices"].([]any)) != 11 {
		t.Errorf("calendar: %s", c.raw)
	}
	for _, bad := range []string{"clock=lunch", "from=yesterday", "before=yesterday", "limit=0", "provisional=perhaps", "kind=cow", "colour=red"} {
		h.want(h.get(arbiter, "/views/deadlines?"+bad), 422, "invalid")
	}
	h.want(h.get(arbiter, "/views/deadlines?after=abc"), 400, "bad_cursor")
	h.want(h.get(operator, "/views/deadlines"), 403, "role_missing")
}

// TestACorrectionIsFollowedByAnArbiterOnEveryMachine: nothing moves by itself; the district's arbiter has each clock counted anew, with a
// reason; nobody else does, and nobody twice.
func TestACorrectionIsFollowedByAnArbiterOnEveryMachine(t *testing.T) {
	h := open(t)
	manned(h)
	operator, arbiter := h.key(orgs.Operator, city), h.key(orgs.Arbiter, district)
	h.inService("rung", "report_in") // Monday 3 March 2025, 9:00
	made := func(r reply) string { return strings.TrimPrefix(r.Header.Get("Location"), "/api/v1") }
	demand := h.accepted("issue")
	id := h.do(h.key(orgs.Dispatcher, district), h.accepted("issue"), "fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"150105-d01"}}}`).json["orders"].([]any)[0].(string)
	topic := made(h.want(h.post(h.key(orgs.Convenor, community), "/topics", `{"kind":"ordinary","source":"patrol","title":"楼道照明","unit":"`+string(community)+`","matter":"010101"}`), 201, ""))
	quarrel := h.do(h.key(orgs.Dispatcher, street), h.accepted("dispute"), "fast-track", `{"reason":"private_dispute","route":{"dispute":2}}`).text("dispute")
	h.wait(6 * time.Hour) // 15:00: two hours of service end today
	blown := h.blown(street, string(agency))
	asked := made(h.want(h.post(h.key(orgs.UnitHead, bureau), "/admissions", `{"matter":"010101","role":"lead","units":["150105003001"],"from":"2025-03-04","until":"2025-12-31","task":"隐患排查","basis":"安全生产法","staff":2,"emergency":"专项整治"}`), 201, ""))
	h.settle()
	for _, c := range []struct{ path, clock string }{{demand, "triage"}, {topic, "open"}, {"/orders/" + id, "sign"}, {"/disputes/" + quarrel, "rung"}, {blown, "report_in"}, {asked, "admission"}} {
		due := func() map[string]any {
			t.Helper()
			for _, d := range h.want(h.get(arbiter, c.path+"/due"), 200, "").json["items"].([]any) {
				if d := d.(map[string]any); d["clock"] == c.clock {
					return d
				}
			}
			t.Fatalf("%s: no clock %s", c.path, c.clock)
			return nil
		}
		old := due()
		tag := func() string { return h.get(arbiter, c.path).Header.Get("ETag") }
		body := `{"id":"` + old["id"].(string) + `","reason":"放假通知已更正"}`
		h.want(h.post(arbiter, c.path+"/recompute-deadline", body, "If-Match", tag()), 409, "guard_failed") // there is no correction yet
		h.want(h.post(h.key(orgs.Dispatcher, district), c.path+"/recompute-deadline", body, "If-Match", tag()), 403, "role_missing")
		h.want(h.post(h.key(orgs.Arbiter, "150105004"), c.path+"/recompute-deadline", body, "If-Match", tag()), 404, "not_found")
		h.want(h.post(arbiter, c.path+"/recompute-deadline", `{"id":"`+old["id"].(string)+`"}`, "If-Match", tag()), 422, "invalid")
	}
	correction := `{"year":2025,"source":"https://example.org/2025b","off":["2025-03-04","2025-03-05"],"reason":"更正"}`
	h.want(h.post(operator, "/calendar/publish", correction, "If-Match", h.get(operator, "/calendar").Header.Get("ETag")), 200, "")
	h.settle()
	for _, c := range []struct{ path, clock, from, to string }{
		{demand, "triage", "2025-03-06T23:59:59+08:00", "2025-03-10T23:59:59+08:00"},
		{topic, "open", "2025-03-17T23:59:59+08:00", "2025-03-19T23:59:59+08:00"},
		{"/disputes/" + quarrel, "rung", "2025-03-06T23:59:59+08:00", "2025-03-10T23:59:59+08:00"},
		{blown, "report_in", "2025-03-03T17:00:00+08:00", ""},
		{asked, "admission", "2025-03-24T23:59:59+08:00", "2025-03-26T23:59:59+08:00"},
	} {
		item := func() map[string]any {
			return h.want(h.get(arbiter, c.path+"/due"), 200, "").json["items"].([]any)[0].(map[string]any)
		}
		old := item()
		if old["clock"] != c.clock || old["due"] != c.from {
			t.Errorf("%s: %s is due %s, want %s", c.path, old["clock"], old["due"], c.from)
			continue
		}
		body := `{"id":"` + old["id"].(string) + `","reason":"放假通知已更正"}`
		if c.to == "" {
			h.want(h.post(arbiter, c.path+"/recompute-deadline", body, "If-Match", h.get(arbiter, c.path).Header.Get("ETag")), 409, "guard_failed")
			continue
		}
		h.do(arbiter, c.path, "recompute-deadline", body)
		now := item()
		if _, end := added(t, now); now["due"] != c.to || end != c.to || now["original_due"] != c.from || len(now["moved"].([]any)) != 1 || now["calendar"] == old["calendar"] {
			t.Errorf("%s: got %v, want %s", c.path, now, c.to)
		}
	}
}

func TestPublicationsAreInEverybodysFeed(t *testing.T) {
	h := open(t)
	r := h.want(h.get(h.key(orgs.Clerk, sibling), "/events?limit=200"), 200, "")
	for _, typ := range []string{"calendar-published/1", "deadline-policy-published/1", "escalation-policy-published/1"} {
		if !strings.Contains(string(r.raw), typ) {
			t.Errorf("the feed of a clerk lacks %s", typ)
		}
	}
	if strings.Contains(string(r.raw), "verify-salt") {
		t.Error("the feed of a clerk shows the draw")
	}
}
