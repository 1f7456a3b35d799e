package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gridcase/domain/orgs"
)

func TestBadInputGetsAProblemWithTheFieldAndWritesNothing(t *testing.T) {
	h := open(t)
	channel := h.key(orgs.Channel, hotline)
	with := func(member string) string { return strings.TrimSuffix(raising, "}") + "," + member + "}" }
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	h.want(h.get(channel, "/demands"), 200, "") // the grant of the key is in the log
	before := h.end()
	for _, c := range []struct {
		name, body   string
		status       int
		code, at, is string
	}{
		{"an unknown member", with(`"colour":"red"`), 422, "invalid", "body.colour", "unknown_member"},
		{"an unknown member deep inside", strings.Replace(raising, `"name"`, `"nick":"x","name"`, 1), 422, "invalid", "body.reporter.nick", "unknown_member"},
		{"a doubled member", with(`"kind":"errand"`), 422, "invalid", "body.kind", "duplicate_member"},
		{"a wrong type", with(`"anonymous":"yes"`), 422, "invalid", "body.anonymous", "wrong_type"},
		{"null", with(`"title2":null`), 422, "invalid", "body.title2", "unknown_member"},
		{"null for a text", strings.Replace(raising, `"供热不足"`, `null`, 1), 422, "invalid", "body.title", "wrong_type"},
		{"a missing member", `{"channel":"wechat","text":"x"}`, 422, "invalid", "body.kind", "missing"},
		{"an array for the body", `[]`, 422, "invalid", "body", "wrong_type"},
		{"invalid UTF-8", strings.Replace(raising, "供热不足", "\xff\xfe", 1), 422, "invalid", "body.title", "invalid_utf8"},
		{"half a surrogate", strings.Replace(raising, "供热不足", `\ud800`, 1), 422, "invalid", "body.title", "invalid_utf8"},
		{"a control character", strings.Replace(raising, "供热不足", `a\u0000b`, 1), 422, "invalid", "body.title", "control_character"},
		{"a line break in a title", strings.Replace(raising, "供热不足", `a\nb`, 1), 422, "invalid", "body.title", "control_character"},
		{"a title of 101 characters", strings.Replace(raising, "供热不足", strings.Repeat("暖", 101), 1), 422, "invalid", "body.title", "too_long"},
		{"a text of blanks", strings.Replace(raising, "家里暖气不热，已三天", "   ", 1), 422, "invalid", "body.text", "too_short"},
		{"a word that is not listed", strings.Replace(raising, `"issue"`, `"wish"`, 1), 422, "invalid", "body.kind", "not_listed"},
		{"a matter that does not exist", with(`"category":"999999"`), 422, "invalid", "body.category", "unknown_matter"},
		{"a grid that does not exist", strings.Replace(raising, grid, "150105003001999", 1), 422, "invalid", "body.grid", "unknown_grid"},
		{"a community that is a street", with(`"community":"150105003"`), 422, "invalid", "body.community", "unknown_unit"},
		{"a grid of another community", with(`"community":"150105003002"`), 422, "invalid", "body.grid", "contradiction"},
		{"a latitude alone", with(`"lat":40.8`), 422, "invalid", "body.lat", "missing"},
		{"a latitude beyond the pole", with(`"lat":90.5,"long":111`), 422, "invalid", "body.lat", "out_of_range"},
		{"a time in the future", with(`"occurred_at":"2025-03-03T09:00:01+08:00"`), 422, "invalid", "body.occurred_at", "in_the_future"},
		{"a time without offset", with(`"occurred_at":"2025-03-03T08:00:00"`), 422, "invalid", "body.occurred_at", "not_an_instant"},
		{"a reference that is a phone number", with(`"external_ref":"13812345678"`), 422, "invalid", "body.external_ref", "personal_key"},
		{"too many attachments", with(`"attachments":[` + strings.TrimSuffix(strings.Repeat(`{"hash":"`+strings.Repeat("0", 64)+`","type":"a/b","size":1},`, 21), ",") + `]`), 422, "invalid", "body.attachments", "too_many"},
		{"broken JSON", raising[:40], 400, "malformed_json", "body", "syntax"},
		{"a raw line break in a text", strings.Replace(raising, "供热不足", "a\nb", 1), 400, "malformed_json", "body", "syntax"},
		{"something after the object", raising + "{}", 400, "malformed_json", "body", "syntax"},
		{"a number that is none", with(`"lat":01`), 400, "malformed_json", "body", "syntax"},
		{"nesting beyond 32", with(`"x":` + deep), 400, "malformed_json", "", "too_deep"},
		{"a body above 256 KiB", with(`"y":"` + strings.Repeat("x", 256<<10) + `"`), 413, "body_too_large", "", ""},
	} {
		r := h.want(h.post(channel, "/demands", c.body), c.status, c.code)
		var at, is string
		if list, ok := r.json["errors"].([]any); ok && len(list) > 0 {
			first := list[0].(map[string]any)
			at, is = first["location"].(string), first["code"].(string)
		}
		if c.at != "" && at != c.at || is != c.is {
			t.Errorf("%s: got %q at %q, want %q at %q", c.name, is, at, c.is, c.at)
		}
		if len(c.body) < 1000 && strings.Contains(string(r.raw), "居民甲") {
			t.Errorf("%s: the answer repeats what the caller sent: %s", c.name, r.raw)
		}
	}
	for _, c := range []struct {
		name    string
		headers []string
		status  int
		code    string
	}{
		{"no key of the request", []string{"Idempotency-Key", ""}, 400, "key_missing"},
		{"a key with a blank", []string{"Idempotency-Key", "a b"}, 400, "key_missing"},
		{"a key of 129 characters", []string{"Idempotency-Key", strings.Repeat("k", 129)}, 400, "key_missing"},
		{"a key that is a phone number", []string{"Idempotency-Key", "+86 138-1234-5678"}, 400, "key_missing"},
		{"a key that is a phone number, joined", []string{"Idempotency-Key", "hotline:8613812345678"}, 422, "personal_key"},
		{"a key of the process manager", []string{"Idempotency-Key", "pm/R12/x"}, 400, "key_missing"},
		{"a key of the clock", []string{"Idempotency-Key", "deadline/handle/1/1/3/expiry"}, 400, "key_missing"},
		{"a key that is an identity number", []string{"Idempotency-Key", `"11010519491231002X"`}, 422, "personal_key"},
		{"another content type", []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type"},
		{"another charset", []string{"Content-Type", "application/json; charset=gbk"}, 415, "unsupported_media_type"},
		{"no content type", []string{"Content-Type", ""}, 415, "unsupported_media_type"},
		{"no credentials", []string{"Authorization", ""}, 401, "unauthenticated"},
		{"a wrong key", []string{"Authorization", "Bearer gck_nonsense"}, 401, "unauthenticated"},
		{"another scheme", []string{"Authorization", "Basic eDp5"}, 401, "unauthenticated"},
		{"another site", []string{"Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site"}, 403, "cross_site"},
	} {
		h.want(h.post(channel, "/demands", raising, c.headers...), c.status, c.code)
	}
	for path, want := range map[string]string{
		"/demands?limit=0": "422 invalid", "/demands?limit=201": "422 invalid", "/demands?limit=x": "422 invalid", "/demands?colour=red": "422 invalid",
		"/demands?limit=1%": "400 malformed_request", "/demands?a;b=c": "400 malformed_request",
		"/demands?after=AAAA": "400 bad_cursor", "/demands?phase=lost": "422 invalid", "/demands?due_after=2025-01-01": "422 invalid",
		"/demands?number=150105-20250303-0001-X": "422 invalid", "/demands?topic=1": "422 invalid", "/demands?topic=00000000-0000-0000-0000-000000000000": "422 invalid", "/events?after=x": "400 bad_position",
		"/events?after=999999": "400 bad_position", "/events?limit=0": "422 invalid", "/events?colour=red": "422 invalid", "/demands/1": "404 not_found",
		"/nowhere": "404 not_found", "/problems/none": "404 not_found", "/track/0": "404 not_found", "/track/0000-0000-0000-0000": "404 not_found",
	} {
		r := h.get(h.key(orgs.Clerk, community), path)
		if got := fmt.Sprint(r.StatusCode, " ", r.text("code")); got != want {
			t.Errorf("GET %s: got %s %s, want %s", path, got, r.raw, want)
		}
	}
	if r := h.call(channel, http.MethodDelete, "/api/v1/demands", ""); r.StatusCode != 405 {
		t.Errorf("DELETE: got %d", r.StatusCode)
	}
	for ev := range events(h, before) {
		if ev.Type != "role-granted/1" {
			t.Errorf("bad input wrote %s to %s", ev.Type, ev.Stream)
		}
	}
}

func TestEveryProblemExplainsItselfInBothLanguagesAndAnswersInTheCallers(t *testing.T) {
	h := open(t)
	r := h.want(h.get("", "/problems/wrong_state"), 200, "")
	if r.text("zh.title") == "" || r.text("en.explain") == "" {
		t.Errorf("got %s", r.raw)
	}
	zh := h.want(h.get("", "/demands"), 401, "unauthenticated")
	en := h.want(h.get("", "/demands", "Accept-Language", "en-GB, zh;q=0.5"), 401, "unauthenticated")
	if zh.text("title") != "未认证" || en.text("title") != "not authenticated" || en.text("instance") == "" {
		t.Errorf("got %s and %s", zh.raw, en.raw)
	}
}

func TestAnExpiredOrRevokedKeyIsTurnedAwayAndItsEndIsOnRecord(t *testing.T) {
	h := open(t)
	expired, _, err := h.access.Create(t.Context(), orgs.Clerk, community, time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	h.want(h.get(expired, "/demands"), 401, "unauthenticated")
	key, id, err := h.access.Create(t.Context(), orgs.Clerk, community, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	h.want(h.get(key, "/demands"), 200, "")
	if err := h.access.Revoke(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	h.want(h.get(key, "/demands"), 401, "unauthenticated")
	var types []string
	for ev := range events(h, 0) {
		if ev.Stream == "gridcase.actor-key-"+id {
			types = append(types, ev.Type)
		}
	}
	if got := strings.Join(types, " "); got != "role-granted/1 role-revoked/1" {
		t.Errorf("the log says %q of the key, want granted, then revoked", got)
	}
}

func TestTheSameKeyIsOneEventAndSixtyFourEqualAnswers(t *testing.T) {
	h := open(t)
	channel := h.key(orgs.Channel, hotline)
	h.want(h.get(channel, "/demands"), 200, "")
	before := h.end()
	bodies, replayed := make([]string, 64), make([]string, 64)
	var wg sync.WaitGroup
	for i := range bodies {
		wg.Go(func() {
			r := h.want(h.post(channel, "/demands", raising, "Idempotency-Key", `"one"`), 201, "")
			bodies[i], replayed[i] = string(r.raw), r.Header.Get("Idempotency-Replayed")
		})
	}
	wg.Wait()
	first := 0
	for i := range bodies {
		if bodies[i] != bodies[0] {
			t.Errorf("answer %d is %s, want %s", i, bodies[i], bodies[0])
		}
		if replayed[i] == "" {
			first++
		}
	}
	raised := 0
	for ev := range events(h, before) {
		if ev.Type == "demand-raised/1" {
			raised++
		}
	}
	if raised != 1 || first != 1 {
		t.Errorf("%d events and %d first answers, want one of each", raised, first)
	}
	h.want(h.post(channel, "/demands", strings.Replace(raising, "三天", "四天", 1), "Idempotency-Key", "one"), 422, "key_reused")
	// Long after, with a revision that is stale by now, the key still gets its first answer.
	path := "/demands/" + h.want(h.post(channel, "/demands", raising, "Idempotency-Key", "one"), 201, "").text("id")
	clerk := h.key(orgs.Clerk, community)
	accept := `{"kind":"issue","matter":"010101","urgency":"C","unit":"150105003001","summary":"摘要"}`
	one := h.want(h.post(clerk, path+"/accept", accept, "If-Match", `"0"`, "Idempotency-Key", "acc"), 200, "")
	h.do(clerk, path, "urge", `{}`)
	two := h.want(h.post(clerk, path+"/accept", accept, "If-Match", `"0"`, "Idempotency-Key", "acc"), 200, "")
	if string(one.raw) != string(two.raw) || two.Header.Get("Idempotency-Replayed") != "true" || two.Header.Get("ETag") != `"1"` {
		t.Errorf("the repeat is %s, want %s", two.raw, one.raw)
	}
}

func TestDifferentKeysOnTheSameRevisionAreOneEvent(t *testing.T) {
	h := open(t)
	path := h.raised(h.key(orgs.Channel, hotline), raising)
	clerk := h.key(orgs.Clerk, community)
	h.want(h.get(clerk, path), 200, "")
	before := h.end()
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for range 64 {
		wg.Go(func() {
			r := h.post(clerk, path+"/accept", `{"kind":"issue","matter":"010101","urgency":"C","unit":"150105003001","summary":"摘要"}`, "If-Match", `"0"`)
			mu.Lock()
			defer mu.Unlock()
			got[r.StatusCode]++
			if r.StatusCode == 412 && r.Header.Get("ETag") != `"1"` {
				t.Errorf("412 with ETag %q, want the one it has", r.Header.Get("ETag"))
			}
		})
	}
	wg.Wait()
	n := 0
	for ev := range events(h, before) {
		if ev.Type == "demand-accepted/1" {
			n++
		}
	}
	if n != 1 || got[200] != 1 || got[412] != 63 {
		t.Errorf("%d events, answers %v; want one event, one 200 and 63 times 412", n, got)
	}
}

func TestIfMatchIsRequiredStrictAndStaleIsTold(t *testing.T) {
	h := open(t)
	path := h.raised(h.key(orgs.Channel, hotline), raising)
	clerk := h.key(orgs.Clerk, community)
	for tag, want := range map[string]string{"": "428 if_match_missing", "*": "400 bad_if_match", `W/"0"`: "400 bad_if_match", "0": "400 bad_if_match",
		`"-1"`: "400 bad_if_match", `"01"`: "400 bad_if_match", `"0", "1"`: "400 bad_if_match", `"7"`: "412 revision_conflict"} {
		r := h.post(clerk, path+"/supplement", `{"text":"补充"}`, "If-Match", tag)
		if got := fmt.Sprint(r.StatusCode, " ", r.text("code")); got != want {
			t.Errorf("If-Match %s: got %s, want %s", tag, got, want)
		}
	}
	if r := h.get(clerk, path, "If-None-Match", `W/"5", "0"`); r.StatusCode != 304 || len(r.raw) != 0 || r.Header.Get("ETag") != `"0"` {
		t.Errorf("If-None-Match: got %d %s", r.StatusCode, r.raw)
	}
}

func TestARefusalNamesTheStateTheRuleAndWhatIsPossible(t *testing.T) {
	h := open(t)
	path := h.raised(h.key(orgs.Channel, hotline), raising)
	clerk := h.key(orgs.Clerk, community)
	r := h.want(h.post(clerk, path+"/reopen", `{}`, "If-Match", `"0"`), 409, "wrong_state")
	if possible, _ := r.json["possible"].([]any); r.text("state") != "raised" || len(possible) == 0 || possible[0] != "accept" || r.text("rule.number") != "M1" {
		t.Errorf("got %s", r.raw)
	}
	h.want(h.post(clerk, path+"/file-appeal", `{"reason":"x"}`, "If-Match", `"0"`), 409, "wrong_state")
	h.want(h.post(clerk, path+"/answer-on-the-spot", `{"outcome":"explained","summary":"s","answer":"a"}`, "If-Match", `"0"`), 409, "guard_failed")
	h.want(h.post(h.key(orgs.Convenor, community), path+"/accept", `{"kind":"issue","matter":"010101","urgency":"C","unit":"150105003001","summary":"s"}`, "If-Match", `"0"`), 403, "role_missing")
	h.want(h.post(h.key(orgs.Clerk, sibling), path+"/accept", `{"kind":"issue","matter":"010101","urgency":"C","unit":"150105003001","summary":"s"}`, "If-Match", `"0"`), 404, "not_found")
}

func TestASecondPersonConfirmsOneCommandAndNoOther(t *testing.T) {
	h := open(t)
	path := h.raised(h.key(orgs.Channel, hotline), raising)
	clerk, secretary := h.key(orgs.Clerk, community), h.key(orgs.CommunitySecretary, community)
	decline := `{"reason":"no_demand","citation":"第三条","instead":"法律援助中心"}`
	full := "/api/v1" + path + "/decline"
	confirm := func(key, path, tag, body string) reply {
		return h.post(key, "/confirmations", fmt.Sprintf(`{"path":%q,"if_match":%q,"body":%s}`, path, tag, body))
	}
	h.want(h.post(clerk, path+"/decline", decline, "If-Match", `"0"`), 403, "second_person_required")
	token := h.want(confirm(secretary, full, `"0"`, `{"instead":"法律援助中心", "reason":"no_demand","citation":"第三条"}`), 200, "").text("token")
	for name, c := range map[string]struct{ path, tag, body, token string }{
		"another body":     {path, `"0"`, strings.Replace(decline, "第三条", "第四条", 1), token},
		"a cut token":      {path, `"0"`, decline, token[:len(token)-2]},
		"an altered token": {path, `"0"`, decline, "e30" + token[3:]},
		"no token at all":  {path, `"0"`, decline, "x"},
		"the same person":  {path, `"0"`, decline, confirm(clerk, full, `"0"`, decline).text("token")},
		"another revision": {path, `"0"`, decline, confirm(secretary, full, `"1"`, decline).text("token")},
		"another command":  {path, `"0"`, decline, confirm(secretary, strings.Replace(full, "decline", "accept", 1), `"0"`, decline).text("token")},
	} {
		if r := h.post(clerk, c.path+"/decline", c.body, "If-Match", c.tag, "GridCase-Confirmation", c.token); r.StatusCode != 403 || r.text("code") != "second_person_required" {
			t.Errorf("%s: got %d %s, want 403 second_person_required", name, r.StatusCode, r.raw)
		}
	}
	h.want(confirm(h.key(orgs.CommunitySecretary, sibling), full, `"0"`, decline), 404, "not_found")
	h.want(confirm(secretary, "/api/v1/units", `"0"`, `{}`), 422, "invalid")
	h.wait(15 * time.Minute)
	h.want(h.post(clerk, path+"/decline", decline, "If-Match", `"0"`, "GridCase-Confirmation", token), 403, "second_person_required")
	token = confirm(secretary, full, `"0"`, decline).text("token")
	r := h.want(h.post(clerk, path+"/decline", decline, "If-Match", `"0"`, "GridCase-Confirmation", token), 200, "")
	if r.text("phase") != "declined" {
		t.Errorf("got %s", r.raw)
	}
	h.wait(time.Hour) // the confirmation is no longer good; the answer to the same request is
	again := h.want(h.post(clerk, path+"/decline", decline, "If-Match", `"0"`, "GridCase-Confirmation", token, "Idempotency-Key", r.Request.Header.Get("Idempotency-Key")), 200, "")
	if string(again.raw) != string(r.raw) {
		t.Errorf("the repeat is %s, want %s", again.raw, r.raw)
	}
}

func TestARepeatGetsItsAnswerAfterTheCaseHasMovedOutOfReach(t *testing.T) {
	h := open(t)
	path := h.accepted("issue")
	clerk := h.key(orgs.Clerk, street)
	local := h.key(orgs.Clerk, community)
	move := `{"unit":"150105003002","grid":"150105003002001"}`
	h.want(h.post(local, path+"/relocate", move, "If-Match", `"1"`, "Idempotency-Key", "move"), 200, "")
	h.settle()
	h.want(h.get(local, path), 404, "not_found")
	h.want(h.post(local, path+"/relocate", move, "If-Match", `"1"`, "Idempotency-Key", "move"), 200, "")
	h.want(h.post(local, path+"/relocate", move, "If-Match", `"2"`, "Idempotency-Key", "again"), 404, "not_found")
	h.do(clerk, path, "withdraw", `{"confirmed":"phone"}`)
	if r := h.want(h.get(clerk, path), 200, ""); r.text("phase") != "withdrawn" {
		t.Errorf("got %s", r.raw)
	}
}

// Nobody can take a channel's number or another one's key, or keep a phone number where everyone reads.
func TestNobodyTakesWhatIsAnothers(t *testing.T) {
	h := open(t)
	channel, resident := h.key(orgs.Channel, hotline), h.key(orgs.Resident, community)
	body := `{"kind":"issue","channel":"hotline","text":"占号","grid":"` + string(grid) + `"`
	r := h.want(h.post(resident, "/demands", body+`,"external_ref":"HL-1"}`), 422, "invalid")
	if !strings.Contains(string(r.raw), "body.external_ref") {
		t.Errorf("the field is not named: %s", r.raw)
	}
	h.want(h.post(channel, "/demands", body+`,"external_ref":"HL-1"}`), 201, "")
	h.want(h.post(h.key(orgs.Clerk, community), "/demands", body+`,"external_ref":"HL-1"}`), 409, "wrong_state")
	mine := h.want(h.post(channel, "/demands", body+"}", "Idempotency-Key", "weak-1"), 201, "")
	theirs := h.want(h.post(resident, "/demands", body+"}", "Idempotency-Key", "weak-1"), 201, "")
	if mine.text("id") == theirs.text("id") || mine.text("tracking") == theirs.text("tracking") {
		t.Error("two people who chose the same key share a demand")
	}
	path := "/demands/" + mine.text("id")
	accept := `{"kind":"issue","matter":"010101","urgency":"C","unit":"` + string(community) + `","summary":"请致电13812345678"}`
	r = h.want(h.post(h.key(orgs.Clerk, community), path+"/accept", accept, "If-Match", `"0"`), 422, "invalid")
	if !strings.Contains(string(r.raw), "personal_data") {
		t.Errorf("the fault is not named: %s", r.raw)
	}
	old := `{"occurred_at":"0001-01-01T00:00:00Z","kind":"issue","matter":"010101","urgency":"C","unit":"` + string(community) + `","summary":"供热不足"}`
	h.want(h.post(h.key(orgs.Clerk, community), path+"/accept", old, "If-Match", `"0"`), 422, "invalid")
}
