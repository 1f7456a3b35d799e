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

// Lists of the district: the rows that these tests need, and no more.
const (
	published = `{"effective_from":"2025-03-04","covers":["community","street"],"basis":"区政办〔2025〕1号","items":[
		{"target":"community","list":"statutory_duty","matter":"16","row":"便民服务"},
		{"target":"community","list":"not_borne","matter":"010101","row":"生产事故处理"},
		{"target":"community","list":"no_certificate","matter":"130401","row":"户籍类证明","basis":"国办发〔2020〕20号","instead":"派出所户籍窗口"}]}`
	duties = "/duties/150105"
)

// signed gives a command that two people must agree on; the second is another key of the same role and unit.
func (h *house) signed(key, second, path, command, body string) reply {
	h.t.Helper()
	tag := h.get(key, path).Header.Get("ETag")
	token := h.want(h.post(second, "/confirmations", fmt.Sprintf(`{"path":%q,"if_match":%q,"body":%s}`, "/api/v1"+path+"/"+command, tag, body)), 200, "").text("token")
	return h.post(key, path+"/"+command, body, "If-Match", tag, "GridCase-Confirmation", token)
}

// another is a second key of a role at a unit.
func (h *house) another(role orgs.Role, unit orgs.UnitCode) string {
	h.t.Helper()
	k, _, err := h.access.Create(h.t.Context(), role, unit, time.Now().Add(time.Hour))
	if err != nil {
		h.t.Fatal(err)
	}
	return k
}

func (h *house) publish(body string) {
	h.t.Helper()
	h.want(h.signed(h.key(orgs.AdmissionOfficer, district), h.another(orgs.AdmissionOfficer, district), duties, "publish", body), 200, "")
	h.settle()
}

func TestListsArePublishedByTwoOfficersOfTheDistrict(t *testing.T) {
	h := open(t)
	officer, second := h.key(orgs.AdmissionOfficer, district), h.another(orgs.AdmissionOfficer, district)
	r := h.want(h.get(h.key(orgs.Clerk, community), duties), 200, "")
	if r.Header.Get("ETag") != `"0"` || len(r.json["versions"].([]any)) != 0 {
		t.Errorf("before anything is published: %s %s", r.Header.Get("ETag"), r.raw)
	}
	h.want(h.get(officer, "/duties/"+string(street)), 404, "not_found")
	h.want(h.get(officer, "/duties/150199"), 404, "not_found")
	h.want(h.post(officer, duties+"/publish", published, "If-Match", `"0"`), 403, "second_person_required")
	h.want(h.post(officer, duties+"/publish", published), 428, "if_match_missing")
	h.want(h.signed(officer, second, "/duties/150100", "publish", published), 403, "outside_jurisdiction")
	for _, role := range orgs.Roles() {
		if role != orgs.AdmissionOfficer {
			h.want(h.post(h.key(role, district), duties+"/publish", published, "If-Match", `"0"`), 403, "role_missing")
		}
	}
	for body, at := range map[string]string{
		`{}`: "body.effective_from",
		strings.Replace(published, `"130401"`, `"130499"`, 1):                            "body.items[2].matter",
		strings.Replace(published, `"16"`, `"160"`, 1):                                   "body.items[0].matter",
		strings.Replace(published, `"not_borne"`, `"unlisted"`, 1):                       "body.items[1].list",
		strings.Replace(published, `"street"]`, `"grid"]`, 1):                            "body.covers[1]",
		strings.Replace(published, `"row":"便民服务"`, `"row":"请找13812345678"`, 1):           "body.items[0].row",
		strings.Replace(published, `"2025-03-04"`, `"2025-02-30"`, 1):                    "body.effective_from",
		strings.Replace(published, `"basis":"区政办〔2025〕1号"`, `"negative_grant":"all"`, 1): "body.negative_grant",
	} {
		r := h.want(h.post(officer, duties+"/publish", body, "If-Match", `"0"`), 422, "invalid")
		if got := r.json["errors"].([]any)[0].(map[string]any)["location"]; got != at {
			t.Errorf("got a fault at %v, want %s", got, at)
		}
	}
	h.want(h.signed(officer, second, duties, "publish", strings.Replace(published, "2025-03-04", "2025-03-03", 1)), 409, "guard_failed")
	first := h.want(h.signed(officer, second, duties, "publish", published), 200, "")
	if first.Header.Get("ETag") != `"1"` || first.json["in_force"] != float64(0) {
		t.Errorf("the first version: %s %s", first.Header.Get("ETag"), first.raw)
	}
	h.want(h.post(officer, duties+"/publish", published, "If-Match", `"0"`), 412, "revision_conflict")
	h.publish(strings.Replace(published, "2025-03-04", "2025-06-01", 1))
	for on, want := range map[string]float64{"2025-03-03": 0, "2025-03-04": 1, "2025-05-31": 1, "2025-06-01": 2} {
		if r := h.want(h.get(officer, duties+"?on="+on), 200, ""); r.json["in_force"] != want || r.Header.Get("ETag") != `"2"` {
			t.Errorf("on %s: version %v is in force, want %v", on, r.json["in_force"], want)
		}
	}
	h.want(h.get(officer, duties+"?on=2025-02-30"), 422, "invalid")
	h.want(h.get(officer, duties, "If-None-Match", `"2"`), 304, "")
	if r := h.want(h.get(officer, "/duties"), 200, ""); len(r.json["items"].([]any)) != 2 {
		t.Errorf("all publications: %s", r.raw)
	}
}

func TestWhatTheGateStopsIsToldBeforehandRefusedWithItsRowAndOnRecord(t *testing.T) {
	h := open(t)
	clerk := h.key(orgs.Clerk, community)
	view := func(path string) map[string]any {
		t.Helper()
		return h.want(h.get(clerk, path), 200, "").json
	}
	matter := func(m, on string) (lead, assist map[string]any) {
		t.Helper()
		v := view("/views/duties?unit=" + grid + "&matter=" + m + "&on=" + on)
		x := v["matters"].([]any)[0].(map[string]any)
		return x["lead"].(map[string]any), x["assist"].(map[string]any)
	}
	h.publish(published)
	if lead, _ := matter("010101", "2025-03-03"); lead["passes"] != true || lead["list"] != nil {
		t.Errorf("the day before: %v", lead)
	}
	if lead, assist := matter("010101", "2025-03-04"); lead["passes"] != false || lead["list"] != "not_borne" || assist["passes"] != false {
		t.Errorf("from the day on: %v, %v", lead, assist)
	}
	if lead, _ := matter("130401", "2025-03-04"); lead["list"] != "no_certificate" || lead["instead"] != "派出所户籍窗口" || lead["basis"] != "国办发〔2020〕20号" {
		t.Errorf("a certificate: %v", lead)
	}
	if lead, _ := matter("160101", "2025-03-04"); lead["passes"] != true || lead["row"] != "便民服务" {
		t.Errorf("an own duty: %v", lead)
	}
	if lead, _ := matter("150101", "2025-03-04"); lead["passes"] != false || lead["list"] != "unlisted" {
		t.Errorf("on no list: %v", lead)
	}
	all := view("/views/duties?unit=" + string(community))
	if n := len(all["matters"].([]any)); n < 500 || all["target"] != string(community) {
		t.Errorf("got %d matters for %v, want the whole catalogue", n, all["target"])
	}
	load := view("/views/load?unit=" + string(community) + "&base=2025-03-03&on=2025-03-04")
	base, on := load["base"].(map[string]any), load["on"].(map[string]any)
	if said(base["borne"]) != float64(len(all["matters"].([]any))) || said(on["borne"]) >= 40 || float64(len(load["dropped"].([]any))) != said(base["borne"])-said(on["borne"]) || len(load["added"].([]any)) != 0 {
		t.Errorf("load: base %v, on %v, %d dropped", base, on, len(load["dropped"].([]any)))
	}

	h.wait(24 * time.Hour)
	path := h.accepted("issue") // matter 010101
	report := h.accepted("report")
	tag := h.get(clerk, path).Header.Get("ETag")
	body := `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"` + grid + `"}}}`
	r := h.want(h.post(clerk, path+"/fast-track", body, "If-Match", tag, "Idempotency-Key", "once"), 409, "gate_blocked")
	block, _ := r.json["block"].(map[string]any)
	if block["list"] != "not_borne" || block["row"] != "生产事故处理" || block["target"] != string(community) || block["unit"] != grid || block["role"] != "lead" || !strings.Contains(r.text("detail"), "不应承担清单") {
		t.Errorf("the refusal: %s", r.raw)
	}
	h.want(h.post(clerk, path+"/fast-track", body, "If-Match", tag, "Idempotency-Key", "once"), 409, "gate_blocked")
	h.want(h.post(h.key(orgs.Clerk, community), report+"/fast-track", strings.Replace(body, "statutory_duty", "confidential_report", 1), "If-Match", h.get(clerk, report).Header.Get("ETag")), 409, "gate_blocked")
	h.settle()

	attempts := func(key, query string) []map[string]any {
		t.Helper()
		r := h.want(h.get(key, "/views/blocks?"+query), 200, "")
		var out []map[string]any
		for _, i := range r.json["items"].([]any) {
			out = append(out, i.(map[string]any))
		}
		return out
	}
	got := attempts(clerk, "unit="+string(district)+"&from=2025-03-04&to=2025-03-04&count=true")
	if len(got) != 2 || got[1]["command"] != "fast-track" || got[1]["dispatcher"] != string(community) || fmt.Sprint(got[1]["demands"]) != "["+strings.TrimPrefix(path, "/demands/")+"]" {
		t.Fatalf("got %v, want both attempts, each once", got)
	}
	found := 0
	for ev := range events(h, 0) {
		if ev.Type == "dispatch-blocked/1" && slices.ContainsFunc(got, func(b map[string]any) bool { return b["position"] == ev.Position.String() }) {
			found++
		}
		if strings.HasPrefix(ev.Type, "order-") {
			t.Errorf("an order came of it: %s", ev.Type)
		}
	}
	if found != 2 {
		t.Errorf("%d of the attempts listed are events at their position, want 2", found)
	}
	for query, want := range map[string]int{"list=not_borne": 2, "list=negative": 0, "matter=01": 2, "matter=02": 0, "to=2025-03-03": 0, "from=2025-03-05": 0,
		"unit=" + string(sibling): 0, "unit=" + string(street): 2} {
		if got := attempts(clerk, query); len(got) != want {
			t.Errorf("%s: got %d, want %d", query, len(got), want)
		}
	}
	if load := view("/views/load?unit=" + grid + "&base=2025-03-03&on=2025-03-04"); said(load["blocks"]) != 2 {
		t.Errorf("blocks in the load: %v", load["blocks"])
	}
	metrics, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := 0.0
	for _, m := range metrics {
		for _, x := range m.GetMetric() {
			if m.GetName() == "gridcase_events_appended_total" && x.GetLabel()[0].GetValue() == "dispatch-blocked/1" {
				counted += x.GetCounter().GetValue()
			}
		}
	}
	if counted != 2 {
		t.Errorf("the counter of blocks says %v, want 2", counted)
	}

	// Who may know of it, and of which demand.
	for _, tt := range []struct {
		key   string
		rows  int
		named int // demands that are named in the rows
	}{
		{h.key(orgs.Handler, community), 2, 1}, {h.key(orgs.StreetLeader, street), 2, 2}, {h.key(orgs.Dispatcher, district), 2, 2},
		{h.key(orgs.GridWorker, grid), 2, 1}, {h.key(orgs.Clerk, sibling), 0, 0}, {h.key(orgs.Resident, community), 0, 0}, {h.key(orgs.Operator, city), -1, 0},
	} {
		if tt.rows < 0 {
			h.want(h.get(tt.key, "/views/blocks"), 403, "role_missing")
			continue
		}
		rows, named := attempts(tt.key, ""), 0
		for _, r := range rows {
			ds, _ := r["demands"].([]any)
			named += len(ds)
		}
		if len(rows) != tt.rows || named != tt.named {
			t.Errorf("got %d rows that name %d demands, want %d and %d", len(rows), named, tt.rows, tt.named)
		}
	}
	feed := func(key string) (n int) {
		for _, e := range h.want(h.get(key, "/events?type=dispatch-blocked/1"), 200, "").json["items"].([]any) {
			if e.(map[string]any)["type"] == "dispatch-blocked/1" {
				n++
			}
		}
		return n
	}
	if a, b, c := feed(clerk), feed(h.key(orgs.Handler, community)), feed(h.key(orgs.Clerk, sibling)); a != 2 || b != 0 || c != 0 {
		t.Errorf("the feed shows %d blocks to a clerk, %d to a handler, %d next door; want 2, 0, 0", a, b, c)
	}
	for _, path := range []string{"/views/duties", "/views/duties?unit=150199", "/views/duties?unit=" + grid + "&matter=99", "/views/duties?unit=" + grid + "&on=soon",
		"/views/load?unit=" + grid, "/views/load?unit=" + string(bureau) + "&base=2025-01-01", "/views/load?unit=" + grid + "&base=2025-03-05&on=2025-03-04", "/views/blocks?list=none", "/views/blocks?limit=0"} {
		h.want(h.get(clerk, path), 422, "invalid")
	}
	h.want(h.get(clerk, "/views/blocks?after=AAAA"), 400, "bad_cursor")
	h.want(h.get(clerk, "/views/duties?unit="+grid+"&matter=010101", "GridCase-Position", "x"), 400, "bad_position")
	if v := view("/views/duties?unit=" + string(bureau) + "&matter=010101"); v["target"] != nil {
		t.Errorf("a department: %v", v)
	}
}

// Two officers of a district can not switch off what the city's lists keep away.
func TestTheCitysListsBindTheDistrict(t *testing.T) {
	h := open(t)
	h.want(h.signed(h.key(orgs.AdmissionOfficer, city), h.another(orgs.AdmissionOfficer, city), "/duties/150100", "publish",
		`{"effective_from":"2025-03-04","covers":["community"],"unlisted":"pass","items":[
		{"target":"community","list":"no_certificate","matter":"130401","row":"户籍证明","basis":"国办发〔2020〕20号","instead":"派出所"},
		{"target":"community","list":"negative","matter":"0101","row":"安全生产","basis":"内党办发"}]}`), 200, "")
	h.settle()
	h.publish(`{"effective_from":"2025-03-04","covers":["community"],"unlisted":"pass","negative_grant":"any","items":[
		{"target":"community","list":"statutory_duty","matter":"13","row":"政法"},{"target":"community","list":"not_borne","matter":"020101","row":"项目"}]}`)
	h.wait(24 * time.Hour)
	clerk := h.key(orgs.Clerk, community)
	v := h.want(h.get(clerk, "/views/duties?unit="+grid+"&matter=130401"), 200, "")
	lead := v.json["matters"].([]any)[0].(map[string]any)["lead"].(map[string]any)
	if lead["passes"] != false || lead["publisher"] != "150100" || lead["list"] != "no_certificate" || lead["row"] != "户籍证明" ||
		fmt.Sprint(v.json["lists"]) != "[map[publisher:150105 version:1] map[publisher:150100 version:1]]" {
		t.Errorf("what the district calls a duty: %s", v.raw)
	}
	if d := h.want(h.get(clerk, duties+"?on=2025-03-04"), 200, ""); fmt.Sprint(d.json["bound_by"]) != "[map[publisher:150100 version:1]]" {
		t.Errorf("what binds the district: %s", d.raw)
	}
	if d := h.want(h.get(clerk, duties+"?on=2025-03-03"), 200, ""); fmt.Sprint(d.json["bound_by"]) != "[]" {
		t.Errorf("what binds it the day before: %s", d.raw)
	}
	for matter, by := range map[string]string{"010101": "150100", "020101": "150105", "160101": ""} {
		path := h.raised(h.key(orgs.Channel, hotline), raising)
		h.do(clerk, path, "accept", `{"kind":"issue","matter":"`+matter+`","urgency":"C","unit":"`+string(community)+`","grid":"`+grid+`","summary":"居民反映"}`)
		r := h.post(clerk, path+"/fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"`+grid+`"}}}`, "If-Match", h.get(clerk, path).Header.Get("ETag"))
		if by == "" {
			h.want(r, 200, "")
		} else if h.want(r, 409, "gate_blocked"); r.text("block.publisher") != by {
			t.Errorf("matter %s: stopped by %s, want %s", matter, r.text("block.publisher"), by)
		}
		h.settle()
	}
	head := h.key(orgs.UnitHead, bureau)
	asked := `{"matter":"010101","role":"lead","units":["150105003001"],"from":"2025-03-04","until":"2025-12-31","task":"隐患排查","basis":"安全生产法","staff":2,"emergency":"专项整治"}`
	before := h.end()
	if r := h.want(h.post(head, "/admissions", asked), 409, "guard_failed"); !strings.Contains(r.text("detail"), "负面清单第 1 版") || !strings.Contains(r.text("detail"), "安全生产") {
		t.Errorf("asked for what no grant opens: %s", r.raw)
	}
	for ev := range events(h, before) {
		if ev.Type != "role-granted/1" {
			t.Errorf("a refused request wrote %s", ev.Type)
		}
	}
	h.want(h.post(head, "/admissions", strings.Replace(asked, `"lead"`, `"assist"`, 1)), 201, "")
}

func TestAnAdmissionFromRequestToRevocation(t *testing.T) {
	h := open(t)
	h.publish(published)
	h.wait(24 * time.Hour)
	head, officer, second := h.key(orgs.UnitHead, bureau), h.key(orgs.AdmissionOfficer, district), h.another(orgs.AdmissionOfficer, district)
	clerk := h.key(orgs.Clerk, community)
	asked := `{"matter":"010101","role":"lead","units":["150105003001"],"from":"2025-03-04","until":"2025-12-31","task":"隐患排查","basis":"安全生产法","staff":2,"emergency":"专项整治"}`
	h.want(h.post(officer, "/admissions", asked), 403, "role_missing")
	h.want(h.post(head, "/admissions", strings.Replace(asked, `"emergency":"专项整治"`, `"budget":1`, 1)), 409, "guard_failed")
	h.want(h.post(head, "/admissions", strings.Replace(asked, "010101", "0101", 1)), 422, "invalid")
	h.want(h.post(head, "/admissions", strings.Replace(asked, `"lead"`, `"watch"`, 1)), 422, "invalid")
	h.want(h.post(head, "/admissions", strings.Replace(asked, `"2025-12-31"`, `"9999-12-31"`, 1)), 409, "guard_failed")
	r := h.want(h.post(head, "/admissions", asked, "Idempotency-Key", "ask"), 201, "")
	path := strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
	if again := h.want(h.post(head, "/admissions", asked, "Idempotency-Key", "ask"), 201, ""); string(again.raw) != string(r.raw) || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("asked again: %s", again.raw)
	}
	tag := func() string { return h.get(officer, path).Header.Get("ETag") }
	h.want(h.post(officer, path+"/grant", `{"funding":"文号"}`, "If-Match", tag()), 409, "wrong_state")
	h.do(officer, path, "open-review", "")
	h.do(h.key(orgs.CommunitySecretary, community), path, "record-opinion", `{"supports":false,"reason":"人手不足"}`)
	h.want(h.post(h.key(orgs.CommunitySecretary, sibling), path+"/record-opinion", `{"supports":true}`, "If-Match", tag()), 404, "not_found")
	h.want(h.post(officer, path+"/grant", `{"funding":"文号"}`, "If-Match", tag()), 403, "second_person_required")
	h.want(h.signed(officer, officer, path, "grant", `{"funding":"文号"}`), 403, "second_person_required")
	h.want(h.signed(officer, second, path, "grant", `{"funding":"文号"}`), 200, "")
	passes := func() any {
		t.Helper()
		h.settle()
		v := h.want(h.get(clerk, "/views/duties?unit="+grid+"&matter=010101"), 200, "").json
		lead := v["matters"].([]any)[0].(map[string]any)["lead"].(map[string]any)
		if (len(v["grants"].([]any)) == 1) != (lead["passes"] == true) || (lead["grant"] != nil) != (lead["passes"] == true) {
			t.Errorf("the grants shown do not fit the verdict: %v", v)
		}
		return lead["passes"]
	}
	if passes() != false {
		t.Error("a grant opened the gate before it was funded")
	}
	early := h.accepted("issue")
	short := h.want(h.post(clerk, early+"/fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"`+grid+`"}}}`, "If-Match", h.get(clerk, early).Header.Get("ETag")), 409, "gate_blocked")
	if note := short.json["block"].(map[string]any); note["grant"] != strings.TrimPrefix(path, "/admissions/") || fmt.Sprint(note["grant_lacks"]) != "[funding]" || !strings.Contains(short.text("detail"), "经费尚未到账") {
		t.Errorf("the block does not say what the grant lacks: %s", short.raw)
	}
	h.settle()
	h.do(officer, path, "record-funding", `{"reference":"凭证"}`)
	if passes() != true {
		t.Error("a funded grant does not show")
	}
	demand := h.accepted("issue")
	h.do(clerk, demand, "fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"`+grid+`"}}}`)
	end := h.do(officer, path, "revoke", `{"reason":"经费未到位"}`)
	if passes() != false || end.text("phase") != "revoked" {
		t.Error("a revoked grant is still open")
	}
	h.want(h.post(officer, path+"/revoke", `{"reason":"另一理由"}`, "If-Match", tag()), 409, "wrong_state")
	again := h.want(h.post(head, "/admissions", asked), 201, "")
	h.do(head, strings.TrimPrefix(again.Header.Get("Location"), "/api/v1"), "withdraw", "")
	owed := h.want(h.post(head, "/admissions", asked), 201, "").text("id") // the same once more: somebody owes an answer

	// Who sees it: whoever asks, and the line of whoever would bear it. Lists and reading agree.
	h.settle()
	id := strings.TrimPrefix(path, "/admissions/")
	cells := 0
	for _, role := range orgs.Roles() {
		for seat, on := range map[orgs.UnitCode]bool{grid: true, community: true, sibling: false, street: true, district: true, city: true, bureau: true, other: false} {
			key := h.key(role, seat)
			visible := on && role != orgs.Resident && role != orgs.Channel && role != orgs.Operator
			want := http.StatusNotFound
			if visible {
				want = http.StatusOK
			}
			if r := h.get(key, path); r.StatusCode != want {
				t.Errorf("%s@%s reads the request: got %d, want %d", role, seat, r.StatusCode, want)
			}
			if role != orgs.Operator {
				if listed := slices.Contains(h.ids(key, "/admissions?count=true"), id); listed != visible {
					t.Errorf("%s@%s lists the request: %v, want %v", role, seat, listed, visible)
				}
				if owing := h.ids(key, "/views/deadlines?kind=admission"); visible && !slices.Equal(owing, []string{owed}) || !visible && len(owing) != 0 {
					t.Errorf("%s@%s lists clocks of admissions: %v, visible %v", role, seat, owing, visible)
				}
			}
			if r := h.get(key, path+"/due"); r.StatusCode != want {
				t.Errorf("%s@%s has the dues of the request explained: got %d, want %d", role, seat, r.StatusCode, want)
			}
			cells += 4
			for command, who := range map[string]orgs.Role{"open-review": orgs.AdmissionOfficer, "withdraw": orgs.UnitHead, "revoke": orgs.AdmissionOfficer} {
				body := ""
				if command == "revoke" {
					body = `{"reason":"x"}`
				}
				r := h.post(key, path+"/"+command, body)
				if !visible && r.StatusCode != 404 || visible && role != who && r.StatusCode != 403 || visible && role == who && r.StatusCode != 428 {
					t.Errorf("%s@%s gives %s: got %d (visible %v)", role, seat, command, r.StatusCode, visible)
				}
				cells++
			}
		}
	}
	t.Logf("%d cells", cells)
	for query, want := range map[string]int{"phase=revoked": 1, "phase=withdrawn": 1, "phase=granted": 0, "unit=150105003001": 3, "unit=150105003002": 0, "category=01": 3, "category=0102": 0} {
		if got := h.ids(officer, "/admissions?"+query); len(got) != want {
			t.Errorf("%s: got %d, want %d", query, len(got), want)
		}
	}
	h.want(h.get(officer, "/admissions?phase=lost"), 422, "invalid")
	h.want(h.get(officer, "/admissions?after=AAAA"), 400, "bad_cursor")
	h.want(h.get(officer, "/admissions/"+strings.Repeat("0", 36)), 404, "not_found")
	var raw map[string]any
	if err := json.Unmarshal(r.raw, &raw); err != nil || raw["office"] != string(district) {
		t.Errorf("the office that decides: %v", raw["office"])
	}
}

// TestTheDueOfAnAdmissionIsExplained: the review in working days, then the term of the grant; the list of deadlines says the same.
func TestTheDueOfAnAdmissionIsExplained(t *testing.T) {
	h := open(t)
	h.wait(24 * time.Hour)
	head, officer, second := h.key(orgs.UnitHead, bureau), h.key(orgs.AdmissionOfficer, district), h.another(orgs.AdmissionOfficer, district)
	r := h.want(h.post(head, "/admissions", `{"matter":"010101","role":"lead","units":["150105003001"],"from":"2025-03-04","until":"2025-12-31","task":"隐患排查","basis":"安全生产法","staff":2,"emergency":"专项整治"}`), 201, "")
	path := strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
	for _, step := range []struct {
		does        func()
		clock, due  string
		kind        string
		days        float64
		owed, above string
	}{
		{func() {}, "admission", "2025-03-25T23:59:59+08:00", "working_days", 15, "decide on the admission", "/views/deadlines?kind=admission&unit=150105"},
		{func() { h.do(officer, path, "open-review", "") }, "admission", "2025-03-25T23:59:59+08:00", "working_days", 15, "decide on the admission", "/views/deadlines?clock=admission"},
		{func() { h.want(h.signed(officer, second, path, "grant", `{"funding":"文号"}`), 200, "") }, "expiry", "2025-12-31T23:59:59+08:00", "date", 302, "the admission ends", "/views/deadlines?kind=admission"},
		{func() { h.do(officer, path, "revoke", `{"reason":"经费未到位"}`) }, "", "", "", 0, "", "/views/deadlines?kind=admission"},
	} {
		step.does()
		h.settle()
		items := h.want(h.get(head, path+"/due", "Accept-Language", "en"), 200, "").json["items"].([]any)
		listed := h.want(h.get(officer, step.above), 200, "").json["items"].([]any)
		if step.clock == "" {
			if len(items)+len(listed) != 0 {
				t.Errorf("revoked: %v is explained, %v listed; want nothing", items, listed)
			}
			continue
		}
		if len(items) != 1 || len(listed) != 1 {
			t.Fatalf("%s: %v is explained, %v listed; want one each", step.clock, items, listed)
		}
		d, row := items[0].(map[string]any), listed[0].(map[string]any)
		if sum, end := added(t, d); sum != step.days || end != step.due || d["due"] != step.due || d["clock"] != step.clock || d["kind"] != step.kind || d["owed"] != step.owed {
			t.Errorf("%s: got %v, want %v %s up to %s", step.clock, d, step.days, step.kind, step.due)
		}
		if row["due"] != step.due || row["due_id"] != d["id"] || row["unit"] != string(district) || row["kind"] != "admission" {
			t.Errorf("%s: listed as %v", step.clock, row)
		}
	}
}
