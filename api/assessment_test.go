package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/scheme"
	"gridcase/domain/stream"
	"gridcase/engine"
)

// asJSON writes a value as a body has it.
func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// confirmed gives a command that a second person confirms.
func (h *house) confirmed(key, second, path, command, body string) reply {
	h.t.Helper()
	tag := h.get(key, path).Header.Get("ETag")
	token := h.confirmation(second, path+"/"+command, tag, body)
	return h.post(key, path+"/"+command, body, "If-Match", tag, "GridCase-Confirmation", token)
}

func (h *house) confirmation(second, path, tag, body string) string {
	h.t.Helper()
	return h.want(h.post(second, "/confirmations", fmt.Sprintf(`{"path":"/api/v1%s","if_match":%q,"body":%s}`, path, tag, body)), 200, "").text("token")
}

// drafted drafts the default scheme, with changes, and returns its path.
func (h *house) drafted(key string, change func(*assessment.Scheme)) string {
	h.t.Helper()
	s := assessment.Default()
	if change != nil {
		change(&s)
	}
	r := h.want(h.post(key, "/schemes", `{"scheme":`+asJSON(h.t, s)+`}`), 201, "")
	h.settle()
	return strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
}

// applied publishes a scheme and opens April with it: the paths of both.
func (h *house) applied() (law, april string) {
	h.t.Helper()
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	law = h.drafted(ann, nil)
	h.want(h.confirmed(ann, ben, law, "publish", `{}`), 200, "")
	r := h.want(h.post(ann, "/periods", fmt.Sprintf(`{"jurisdiction":"150105","scheme":%q,"first":"2025-04-01","last":"2025-04-30"}`, strings.TrimPrefix(law, "/schemes/"))), 201, "")
	h.settle()
	return law, strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
}

// given gives a command that has no route: of the clock, or with computed figures.
func (h *house) given(path string, a rule.Actor, c engine.Command) {
	h.t.Helper()
	n := stream.Name("gridcase." + strings.Replace(strings.TrimPrefix(path, "/"), "s/", "-", 1))
	h.n++
	if _, err := h.engine.Handle(context.Background(), engine.Request{Stream: n, Commands: []engine.Command{c}, Key: fmt.Sprint("given", h.n), Actor: a, Expect: engine.Any}); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}

// ended lets the clock end April.
func (h *house) ended(april string) {
	h.t.Helper()
	h.wait(time.Date(2025, 5, 1, 16, 0, 0, 0, time.UTC).Sub(h.clock()))
	h.given(april, rule.Actor{ID: "clock", Role: orgs.System}, period.End{})
}

// published shows figures.
func (h *house) published(april, results string) {
	h.t.Helper()
	h.given(april, rule.Actor{ID: "ann", Role: orgs.Evaluator, Unit: district},
		period.PublishProvisional{Figures: 3, Results: strings.Repeat(results, 64), Cohort: strings.Repeat("c", 64)})
}

const marks = `"items":[{"code":"service","points":"18"},{"code":"duty","points":"17.5"},{"code":"conduct","points":"25"},{"code":"team","points":"24"}]`

// evaluated hands an evaluation in and returns its path.
func (h *house) evaluated(april string, at, unit orgs.UnitCode) string {
	h.t.Helper()
	r := h.want(h.confirmed(h.key(orgs.Dispatcher, at), h.key(orgs.StreetLeader, at), april, "evaluations", fmt.Sprintf(`{"unit":%q,%s}`, unit, marks)), 201, "")
	h.settle()
	return strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
}

func TestAnAssessmentFromItsSchemeToItsObjections(t *testing.T) {
	h := open(t)
	manned(h)
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	desk, leader, head := h.key(orgs.Dispatcher, street), h.key(orgs.StreetLeader, street), h.key(orgs.UnitHead, agency)

	// A draft says what keeps it from being published; published, it is known by its hash.
	law := h.drafted(ann, func(s *assessment.Scheme) { s.Subjects[0].Weight = assessment.Whole(19) })
	r := h.want(h.get(ann, law), 200, "")
	if faults := r.json["faults"].([]any); len(faults) != 1 || faults[0].(map[string]any)["code"] != "weight_below_floor" {
		t.Errorf("a draft of 19 %%: %s", r.raw)
	}
	h.want(h.post(ann, law+"/publish", `{}`, "If-Match", `"0"`), 403, "second_person_required")
	r = h.want(h.confirmed(ann, ben, law, "publish", `{}`), 409, "weight_below_floor")
	if !strings.Contains(string(r.raw), "19.00 %") {
		t.Errorf("the computed share is not told: %s", r.raw)
	}
	h.do(ann, law, "amend", `{"scheme":`+asJSON(t, assessment.Default())+`}`)
	r = h.want(h.confirmed(ann, ben, law, "publish", `{}`), 200, "")
	hash, _ := assessment.Hash(assessment.Default())
	if r.text("phase") != "published" || r.text("hash") != hash || r.json["version"] != 1.0 {
		t.Errorf("published: %s", r.raw)
	}
	h.want(h.post(ann, law+"/amend", `{"scheme":`+asJSON(t, assessment.Default())+`}`, "If-Match", `"2"`), 409, "wrong_state")

	body := fmt.Sprintf(`{"jurisdiction":"150105","scheme":%q,"first":"2025-04-01","last":"2025-04-30"}`, strings.TrimPrefix(law, "/schemes/"))
	r = h.want(h.post(ann, "/periods", body), 201, "")
	april := strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
	if r.text("ends_at") != "2025-05-01T23:59:59+08:00" || r.text("scheme_hash") != hash || r.text("phase") != "open" {
		t.Errorf("opened: %s", r.raw)
	}
	h.settle()
	h.want(h.post(ben, "/periods", body), 409, "wrong_state") // the same jurisdiction, scheme and days
	h.want(h.post(ann, law+"/retire", `{}`, "If-Match", `"2"`), 409, "guard_failed")

	// Streets evaluate after the cut-off; the dispatcher enters, the leader of the same street confirms.
	evaluation := fmt.Sprintf(`{"unit":"150105003-a01",%s}`, marks)
	tag := h.get(desk, april).Header.Get("ETag")
	token := h.confirmation(leader, april+"/evaluations", tag, evaluation)
	h.want(h.post(desk, april+"/evaluations", evaluation, "If-Match", tag, "GridCase-Confirmation", token), 409, "guard_failed")
	h.ended(april)
	tag = h.get(desk, april).Header.Get("ETag")
	h.want(h.post(desk, april+"/evaluations", evaluation, "If-Match", tag), 403, "second_person_required")
	h.want(h.post(desk, april+"/evaluations", evaluation), 428, "if_match_missing")
	stranger := h.confirmation(h.key(orgs.StreetLeader, nextStreet), april+"/evaluations", tag, evaluation)
	h.want(h.post(desk, april+"/evaluations", evaluation, "If-Match", tag, "GridCase-Confirmation", stranger), 403, "second_person_required")
	token = h.confirmation(leader, april+"/evaluations", tag, evaluation)
	h.want(h.post(desk, april+"/evaluations", strings.Replace(evaluation, "17.5", "18", 1), "If-Match", tag, "GridCase-Confirmation", token), 403, "second_person_required")
	first := h.want(h.post(desk, april+"/evaluations", evaluation, "If-Match", tag, "GridCase-Confirmation", token, "Idempotency-Key", "rate-1"), 201, "")
	h.settle()
	if again := h.want(h.post(desk, april+"/evaluations", evaluation, "If-Match", tag, "GridCase-Confirmation", token, "Idempotency-Key", "rate-1"), 201, ""); string(again.raw) != string(first.raw) ||
		again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("repeated: %s, first %s", again.raw, first.raw)
	}
	r = h.want(h.confirmed(desk, leader, april, "evaluations", strings.Replace(evaluation, "17.5", "18", 1)), 201, "")
	if r.text("total") != "85" || r.json["number"] != 2.0 || r.text("id") != first.text("id") {
		t.Errorf("replaced: %s", r.raw)
	}
	h.settle()
	rating := "/evaluations/" + first.text("id")
	h.want(h.get(head, rating), 404, "not_found") // the unit does not see it yet
	h.want(h.get(leader, rating), 200, "")

	// An exclusion is decided by somebody who does not benefit.
	demand := h.accepted("issue")
	ask := fmt.Sprintf(`{"case":{"stream":"gridcase.demand-%s"},"indicators":["satisfaction"],"reason":"unreasonable_demand","account":"诉求不合理"}`, strings.TrimPrefix(demand, "/demands/"))
	r = h.do(leader, april, "request-exclusion", ask)
	if r.json["undecided"] != 1.0 || len(r.json["exclusions"].([]any)) != 1 {
		t.Errorf("asked: %s", r.raw)
	}
	if other := h.get(head, april); len(other.json["exclusions"].([]any)) != 0 || other.json["undecided"] != 1.0 {
		t.Errorf("a unit reads of a request that does not concern it: %s", other.raw)
	}
	tag = h.get(leader, april).Header.Get("ETag")
	h.want(h.post(leader, april+"/approve-exclusion", `{"number":1}`, "If-Match", tag), 403, "role_missing")
	h.want(h.post(h.key(orgs.Evaluator, street), april+"/approve-exclusion", `{"number":1}`, "If-Match", tag), 403, "outside_jurisdiction")
	h.do(ann, april, "refuse-exclusion", `{"number":1,"reason":"诉求合理"}`)

	// What is shown may be contested; and the unit now sees what was said of it.
	h.published(april, "a")
	h.want(h.get(head, rating), 200, "")
	h.want(h.get(h.key(orgs.UnitHead, bureau), rating), 200, "") // its parent department
	h.want(h.get(h.key(orgs.UnitHead, farAgency), rating), 404, "not_found")
	tag = h.get(desk, april).Header.Get("ETag")
	token = h.confirmation(leader, april+"/evaluations", tag, evaluation)
	h.want(h.post(desk, april+"/evaluations", evaluation, "If-Match", tag, "GridCase-Confirmation", token), 409, "window_closed")
	r = h.do(head, april, "file-objection", fmt.Sprintf(`{"case":{"stream":"gridcase.evaluation-%s","unit":"150105003-a01"},"verdict":"left_out","ground":"未到场打分"}`, first.text("id")))
	if o := r.json["objections"].([]any)[0].(map[string]any); o["status"] != "undecided" || o["by"] != "150105003-a01" {
		t.Errorf("contested: %s", r.raw)
	}
	r = h.do(ann, april, "uphold-objection", `{"number":1,"verdict":"left_out","reason":"签到表缺失"}`)
	if o := r.json["objections"].([]any)[0].(map[string]any); o["status"] != "granted" || r.json["undecided"] != 0.0 {
		t.Errorf("upheld: %s", r.raw)
	}
	r = h.do(ann, april, "import-other-score", fmt.Sprintf(`{"unit":"150105003-a01","score":"85.5","document":%q}`, strings.Repeat("d", 64)))
	if o := r.json["other_scores"].([]any); len(o) != 1 || o[0].(map[string]any)["score"] != "85.5" {
		t.Errorf("imported: %s", r.raw)
	}
	if other := h.get(h.key(orgs.UnitHead, farAgency), april); len(other.json["other_scores"].([]any))+len(other.json["objections"].([]any)) != 0 {
		t.Errorf("a unit reads of another's score: %s", other.raw)
	}
	h.want(h.confirmed(ann, ben, april, "void", `{"reason":"方案有误"}`), 200, "")
	h.do(ann, law, "retire", `{"reason":"新方案"}`)
	var types []string
	for ev := range events(h, 0) {
		if strings.HasPrefix(ev.Stream, "gridcase.period-") {
			types = append(types, ev.Type)
		}
	}
	want := []string{"period-opened/1", "period-ended/1", "exclusion-requested/1", "exclusion-refused/1", "provisional-published/1", "objection-filed/1",
		"objection-upheld/1", "other-score-imported/1", "period-voided/1"}
	if !slices.Equal(types, want) {
		t.Errorf("the log holds %v, want %v", types, want)
	}
}

// Who sees a draft, a published scheme, a period and an evaluation, before and after provisional figures; and the feed agrees.
func TestAnAssessmentIsSeenWhereItApplies(t *testing.T) {
	h := open(t)
	manned(h)
	draft := h.drafted(h.key(orgs.Evaluator, district), nil)
	law, april := h.applied()
	h.ended(april)
	rating := h.evaluated(april, street, agency)
	applies := []orgs.UnitCode{city, district, oversight, hotline, bureau, street, nextStreet, agency, farAgency, community, grid}
	office := []orgs.UnitCode{city, district, oversight, hotline}
	rater := append(slices.Clone(office), street)
	cells := 0
	look := func(shown bool) {
		for _, role := range []orgs.Role{orgs.Evaluator, orgs.Auditor, orgs.UnitHead, orgs.Handler, orgs.Dispatcher, orgs.Clerk, orgs.Supervisor, orgs.Resident, orgs.Channel, orgs.Operator} {
			nobody := role == orgs.Resident || role == orgs.Channel || role == orgs.Operator
			for _, seat := range applies {
				rated := shown && (seat == agency || seat == bureau)
				key := h.key(role, seat)
				visible := map[string]bool{
					draft:  slices.Contains(office, seat) && (role == orgs.Evaluator || role == orgs.Auditor),
					law:    !nobody,
					april:  !nobody,
					rating: !nobody && (slices.Contains(rater, seat) || rated),
				}
				for path, want := range visible {
					status := http.StatusNotFound
					if want {
						status = http.StatusOK
					}
					if r := h.get(key, path); r.StatusCode != status {
						t.Errorf("%s@%s reads %s, figures shown %v: got %d, want %d", role, seat, path, shown, r.StatusCode, status)
					}
					cells++
				}
				if nobody || role == orgs.Clerk && seat == grid {
					continue
				}
				feed := h.want(h.get(key, "/events?limit=200&type=scheme-drafted/1,period-opened/1,evaluation-submitted/1"), 200, "")
				for typ, want := range map[string]int{"period-opened/1": count(slices.Contains(office, seat)), "evaluation-submitted/1": count(visible[rating]), "scheme-drafted/1": 1 + count(visible[draft])} {
					if got := strings.Count(string(feed.raw), `"type":"`+typ+`"`); got != want {
						t.Errorf("the feed shows %s@%s %d times %s, want %d", role, seat, got, typ, want)
					}
					cells++
				}
			}
		}
	}
	look(false)
	h.published(april, "a")
	look(true)
	t.Logf("%d cells", cells)
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Whatever comes in, it is the caller's fault or it is done: nothing is written on a refusal, and nothing is ever our fault.
func TestBadInputsOfAnAssessmentAreTheCallers(t *testing.T) {
	h := open(t)
	manned(h)
	ann := h.key(orgs.Evaluator, district)
	law, april := h.applied()
	id := strings.TrimPrefix(law, "/schemes/")
	sound := asJSON(t, assessment.Default())
	with := func(old, new string) string {
		if !strings.Contains(sound, old) {
			t.Fatalf("the default scheme has no %s", old)
		}
		return `{"scheme":` + strings.Replace(sound, old, new, 1) + `}`
	}
	demand := strings.TrimPrefix(h.accepted("issue"), "/demands/")
	street1 := h.key(orgs.StreetLeader, street)
	excluding := func(k, indicators, reason string) string {
		return fmt.Sprintf(`{"case":%s,"indicators":%s,"reason":%q,"account":"说明"}`, k, indicators, reason)
	}
	ofDemand := `{"stream":"gridcase.demand-` + demand + `"}`
	period1 := func(jurisdiction, scheme, first, last string) string {
		return fmt.Sprintf(`{"jurisdiction":%q,"scheme":%q,"first":%q,"last":%q}`, jurisdiction, scheme, first, last)
	}
	h.settle()
	before := h.end()
	for _, c := range []struct {
		name, key, path, body string
		status                int
		code                  string
	}{
		{"no scheme", ann, "/schemes", `{}`, 422, "invalid"},
		{"a scheme that is a list", ann, "/schemes", `{"scheme":[]}`, 422, "invalid"},
		{"a member that a scheme does not have", ann, "/schemes", `{"scheme":{"colour":"red"}}`, 422, "invalid"},
		{"points that are a number", ann, "/schemes", with(`"points":"30"`, `"points":30`), 422, "invalid"},
		{"points that are words", ann, "/schemes", with(`"points":"30"`, `"points":"thirty"`), 422, "invalid"},
		{"points without end", ann, "/schemes", with(`"points":"30"`, `"points":"`+strings.Repeat("9", 40)+`"`), 422, "invalid"},
		{"choices that are a list", ann, "/schemes", `{"scheme":` + sound[:strings.Index(sound, `"choices"`)] + `"choices":[]}}`, 422, "invalid"},
		{"a choice that is no text", ann, "/schemes", with(`"aggregate":"equal"`, `"aggregate":5`), 422, "invalid"},
		{"a choice twice", ann, "/schemes", with(`"aggregate":"equal"`, `"aggregate":"equal","aggregate":"orders"`), 422, "invalid"},
		{"too many choices", ann, "/schemes", with(`"aggregate":"equal"`, `"aggregate":"equal"`+many(300)), 422, "invalid"},
		{"a name with a control character", ann, "/schemes", with(`"name":"`, `"name":"\u0007`), 422, "invalid"},
		{"a name with a phone number", ann, "/schemes", with(`"name":"`, `"name":"13800001111 `), 409, "guard_failed"},
		{"a blank name", ann, "/schemes", `{"scheme":` + strings.Replace(sound, assessment.Default().Name, " ", 1) + `}`, 409, "guard_failed"},
		{"a name without end", ann, "/schemes", with(`"name":"`, `"name":"`+strings.Repeat("长", 600)), 409, "guard_failed"},
		{"a scheme that follows nothing", ann, "/schemes", `{"follows":"` + demand + `","scheme":` + sound + `}`, 409, "guard_failed"},
		{"a scheme that follows no id", ann, "/schemes", `{"follows":"x","scheme":` + sound + `}`, 422, "invalid"},
		{"a scheme of a street's", h.key(orgs.Evaluator, street), "/schemes", `{"scheme":` + sound + `}`, 403, "outside_jurisdiction"},
		{"a scheme by a clerk", h.key(orgs.Clerk, community), "/schemes", `{"scheme":` + sound + `}`, 403, "role_missing"},
		{"half a body", ann, "/schemes", `{"scheme":`, 400, "malformed_json"},

		{"a period of nowhere", ann, "/periods", period1("159999", id, "2025-05-01", "2025-05-31"), 422, "invalid"},
		{"a period of a street", ann, "/periods", period1("150105003", id, "2025-05-01", "2025-05-31"), 409, "guard_failed"},
		{"a period with a day that is none", ann, "/periods", period1("150105", id, "2025-04-31", "2025-05-31"), 422, "invalid"},
		{"a period of no scheme", ann, "/periods", period1("150105", demand, "2025-05-01", "2025-05-31"), 409, "guard_failed"},
		{"a period of half a month", ann, "/periods", period1("150105", id, "2025-05-01", "2025-05-15"), 409, "guard_failed"},
		{"a period that ends before it begins", ann, "/periods", period1("150105", id, "2025-05-31", "2025-05-01"), 409, "guard_failed"},
		{"a period before its scheme", ann, "/periods", period1("150105", id, "2025-03-01", "2025-03-31"), 409, "guard_failed"},
		{"a period by a street", street1, "/periods", period1("150105", id, "2025-05-01", "2025-05-31"), 403, "role_missing"},
		{"a period of the city by a district", ann, "/periods", period1("150100", id, "2025-05-01", "2025-05-31"), 403, "outside_jurisdiction"},

		{"a command to what is none", ann, "/periods/" + demand + "/void", `{"reason":"x"}`, 404, "not_found"},
		{"a command to no id", ann, "/periods/x/void", `{"reason":"x"}`, 404, "not_found"},
		{"no reason", ann, april + "/void", `{}`, 422, "invalid"},
		{"an item without a stream", street1, april + "/request-exclusion", excluding(`{}`, `[]`, "force_majeure"), 422, "invalid"},
		{"an item of a foreign stream", street1, april + "/request-exclusion", excluding(`{"stream":"x"}`, `[]`, "force_majeure"), 409, "guard_failed"},
		{"an item that does not exist", street1, april + "/request-exclusion", excluding(`{"stream":"gridcase.order-`+demand+`"}`, `[]`, "force_majeure"), 409, "guard_failed"},
		{"an item of a topic", street1, april + "/request-exclusion", excluding(`{"stream":"gridcase.topic-`+demand+`"}`, `[]`, "force_majeure"), 409, "guard_failed"},
		{"an item with a negative leg", street1, april + "/request-exclusion", excluding(`{"stream":"gridcase.order-x","leg":-1}`, `[]`, "force_majeure"), 422, "invalid"},
		{"an unknown reason", street1, april + "/request-exclusion", excluding(ofDemand, `[]`, "weather"), 409, "guard_failed"},
		{"an unknown indicator", street1, april + "/request-exclusion", excluding(ofDemand, `["luck"]`, "force_majeure"), 409, "guard_failed"},
		{"indicators that are a text", street1, april + "/request-exclusion", excluding(ofDemand, `"luck"`, "force_majeure"), 422, "invalid"},
		{"an account with an identity number", street1, april + "/request-exclusion", strings.Replace(excluding(ofDemand, `[]`, "force_majeure"), "说明", "11010519491231002X", 1), 422, "invalid"},
		{"request 0", ann, april + "/approve-exclusion", `{"number":0}`, 422, "invalid"},
		{"request 7", ann, april + "/approve-exclusion", `{"number":7}`, 409, "guard_failed"},
		{"objection 7", ann, april + "/reject-objection", `{"number":7,"reason":"x"}`, 409, "wrong_state"},
		{"a verdict that is none", h.key(orgs.UnitHead, agency), april + "/file-objection", `{"case":` + ofDemand + `,"verdict":"mercy","ground":"x"}`, 422, "invalid"},
		{"an objection too early", h.key(orgs.UnitHead, agency), april + "/file-objection", `{"case":` + ofDemand + `,"verdict":"counts","ground":"x"}`, 409, "wrong_state"},
		{"a score that is a number", ann, april + "/import-other-score", fmt.Sprintf(`{"unit":"150105003-a01","score":85,"document":%q}`, strings.Repeat("d", 64)), 422, "invalid"},
		{"a score above what can be attained", ann, april + "/import-other-score", fmt.Sprintf(`{"unit":"150105003-a01","score":"100.01","document":%q}`, strings.Repeat("d", 64)), 409, "guard_failed"},
		{"a document that is no hash", ann, april + "/import-other-score", `{"unit":"150105003-a01","score":"85","document":"report.pdf"}`, 422, "invalid"},
		{"a score of a street", ann, april + "/import-other-score", fmt.Sprintf(`{"unit":"150105003","score":"85","document":%q}`, strings.Repeat("d", 64)), 409, "guard_failed"},
		{"an evaluation by a leader", street1, april + "/evaluations", `{"unit":"150105003-a01",` + marks + `}`, 403, "role_missing"},
		{"an evaluation of nobody", h.key(orgs.Dispatcher, street), april + "/evaluations", `{"unit":"159999",` + marks + `}`, 422, "invalid"},
		{"an evaluation without items", h.key(orgs.Dispatcher, street), april + "/evaluations", `{"unit":"150105003-a01"}`, 422, "invalid"},
		{"an evaluation of half points in numbers", h.key(orgs.Dispatcher, street), april + "/evaluations", `{"unit":"150105003-a01","items":[{"code":"service","points":17.5}]}`, 422, "invalid"},
		{"an evaluation in a period that is none", h.key(orgs.Dispatcher, street), "/periods/" + demand + "/evaluations", `{"unit":"150105003-a01",` + marks + `}`, 404, "not_found"},
		{"a rating of a demand", street1, "/orders/" + demand + "/rate", `{"leg":1,"score":80}`, 404, "not_found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tag := ""
			if parts := strings.Split(c.path, "/"); len(parts) == 4 {
				tag = h.get(c.key, "/"+parts[1]+"/"+parts[2]).Header.Get("ETag")
			}
			h.want(h.post(c.key, c.path, c.body, "If-Match", tag), c.status, c.code)
		})
	}
	for _, path := range []string{"/schemes/x", "/periods/x", "/evaluations/x", "/schemes/" + demand, "/periods/" + demand, "/evaluations/" + demand, "/evaluations/" + id} {
		h.want(h.get(ann, path), 404, "not_found")
	}
	for ev := range events(h, before) {
		if !strings.HasPrefix(ev.Type, "role-granted") { // the first use of a key
			t.Errorf("a refused request wrote %s", ev.Type)
		}
	}
}

// many are so many further members.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"c%d":"x"`, i)
	}
	return b.String()
}

// Every command that a person gives has its route.
func TestEveryCommandOfAnAssessmentIsOffered(t *testing.T) {
	h := open(t)
	text := h.document()
	for machine, commands := range map[string]map[string]bool{"scheme": people(&scheme.Machine, "draft"), "period": people(&period.Machine, "open")} {
		for c := range commands {
			if !strings.Contains(text, "  /api/v1/"+machine+"s/{id}/"+c+":") {
				t.Errorf("the %s command %q has no route", machine, c)
			}
		}
	}
}

// A street rates what it dispatched, when it is closed; both sides see it.
func TestAStreetRatesAClosedOrder(t *testing.T) {
	h := open(t)
	manned(h)
	desk, leader, clerk := h.key(orgs.Dispatcher, street), h.key(orgs.StreetLeader, street), h.key(orgs.Clerk, community)
	r := h.want(h.post(desk, "/orders", `{"kind":"errand","matter":"010101","urgency":"C","lead":"150105003001","place":"150105003001","task":"检修"}`), 201, "")
	h.settle()
	path := strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
	h.do(clerk, path, "sign", "")
	h.do(clerk, path, "waive-contact", `{"cause":"patrol"}`)
	h.want(h.post(leader, path+"/rate", `{"leg":1,"score":80}`, "If-Match", h.get(leader, path).Header.Get("ETag")), 409, "wrong_state")
	h.do(clerk, path, "report-handling", `{"outcome":"resolved","answer":"已修好","summary":"已修复","evidence":["`+strings.Repeat("a", 64)+`"]}`)
	tag := h.get(leader, path).Header.Get("ETag")
	for _, c := range []struct {
		key, body string
		status    int
		code      string
	}{
		{desk, `{"leg":1,"score":80}`, 403, "role_missing"},
		{h.key(orgs.StreetLeader, nextStreet), `{"leg":1,"score":80}`, 404, "not_found"},
		{leader, `{"leg":1,"score":101}`, 422, "invalid"},
		{leader, `{"leg":0,"score":80}`, 422, "invalid"},
		{leader, `{"leg":2,"score":80}`, 409, "guard_failed"},
		{leader, `{"leg":1,"score":59}`, 409, "guard_failed"},
		{leader, `{"leg":1}`, 422, "invalid"},
	} {
		h.want(h.post(c.key, path+"/rate", c.body, "If-Match", tag), c.status, c.code)
	}
	h.do(leader, path, "rate", `{"leg":1,"score":0,"comment":"未到场"}`)
	leg := h.get(clerk, path).json["legs"].([]any)[0].(map[string]any)
	if leg["rating"] != 0.0 || leg["remark"] != "未到场" {
		t.Errorf("the unit reads %v", leg)
	}
}
