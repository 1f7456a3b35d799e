package api_test

import (
	"strings"
	"testing"
	"time"

	"gridcase/domain/orgs"
)

// Figures are computed, shown, and sealed as they were shown; a repeat is answered again and writes nothing.
func TestWhatWasShownIsSealed(t *testing.T) {
	h := open(t)
	manned(h)
	_, april := h.applied()
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	tag := func() string { return h.get(ann, april).Header.Get("ETag") }
	h.want(h.post(ann, april+"/publish-provisional", `{}`, "If-Match", tag()), 409, "wrong_state")
	list := strings.Replace(april, "periods", "assessments", 1) + "/figures"
	head := h.key(orgs.UnitHead, agency)
	h.want(h.get(ann, list+"?limit=3"), 200, "")
	h.want(h.get(head, list), 404, "not_found") // nothing is shown yet
	h.want(h.get(h.key(orgs.Clerk, community), list), 404, "not_found")
	for query, code := range map[string]string{"?as_of=x": "bad_position", "?as_of=99999999": "bad_position", "?after=x": "bad_cursor"} {
		h.want(h.get(ann, list+query), 400, code)
	}
	h.ended(april)
	h.evaluated(april, street, agency)
	h.want(h.post(ann, april+"/publish-provisional", `{}`, "If-Match", tag()), 409, "guard_failed") // evaluations may still come
	h.want(h.post(h.key(orgs.Clerk, community), april+"/publish-provisional", `{}`, "If-Match", tag()), 403, "role_missing")
	h.want(h.post(ann, april+"/seal", `{}`, "If-Match", tag()), 409, "wrong_state")
	h.wait(20 * 24 * time.Hour)
	shown := h.do(ann, april, "publish-provisional", `{}`)
	own := h.want(h.get(head, list+"?limit=200"), 200, "")
	for _, f := range own.json["items"].([]any) {
		if u := f.(map[string]any)["unit"]; u != string(agency) {
			t.Errorf("the agency reads a figure of %v", u)
		}
	}
	h.want(h.get(head, list+"?as_of=5"), 403, "role_missing")
	h.want(h.get(ann, list+"/on_time/items"), 200, "")
	h.want(h.get(ann, list+"/luck/items"), 404, "not_found")
	h.want(h.post(ann, april+"/seal", `{}`, "If-Match", tag()), 403, "second_person_required")
	h.wait(10 * 24 * time.Hour)
	const ruling = `{"ruling":"无街道评价的单位不计分"}`
	h.want(h.confirmed(ann, ben, april, "seal", `{}`), 409, "guard_failed") // units without a score need a ruling
	at := tag()
	token := h.confirmation(ben, april+"/seal", at, ruling)
	headers := []string{"If-Match", at, "GridCase-Confirmation", token, "Idempotency-Key", "seal-1"}
	first := h.want(h.post(ann, april+"/seal", ruling, headers...), 200, "")
	h.settle()
	end := h.end()
	if first.text("phase") != "sealed" || first.text("result.results") == "" || first.text("result.results") != shown.text("shown.results") {
		t.Errorf("sealed: %s, shown: %s", first.raw, shown.raw)
	}
	again := h.want(h.post(ann, april+"/seal", ruling, headers...), 200, "")
	if string(again.raw) != string(first.raw) || again.Header.Get("Idempotency-Replayed") != "true" || h.end() != end {
		t.Errorf("repeated: %s, first %s", again.raw, first.raw)
	}
	h.want(h.confirmed(ann, ben, april, "seal-revision", `{"cause":"correction","reason":"复核"}`), 409, "guard_failed") // nothing changed
	h.want(h.post(ann, april+"/seal-revision", `{"cause":"mood","reason":"复核"}`, "If-Match", tag()), 422, "invalid")
}
