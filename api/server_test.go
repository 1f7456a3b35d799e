package api_test

import (
	"flag"
	"os"
	"testing"

	"gridcase/domain/orgs"
)

var update = flag.Bool("update", false, "write openapi.yaml anew")

func TestTheCommittedDescriptionIsThatOfTheCode(t *testing.T) {
	h := open(t)
	if *update {
		if err := os.WriteFile("openapi.yaml", []byte(h.document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != h.document() {
		t.Error("openapi.yaml is not what the code describes: go test ./api -run Description -update")
	}
	if got := h.call("", "GET", "/api/v1/openapi.yaml", ""); string(got.raw) != string(committed) {
		t.Error("the description that is served differs from the committed one")
	}
}

func TestADemandIsRaisedReadAndAccepted(t *testing.T) {
	h := open(t)
	r := h.want(h.post(h.key(orgs.Channel, hotline), "/demands", raising), 201, "")
	if r.text("phase") != "raised" || r.text("stage") != "raised" || r.text("unit") != string(community) || r.text("receipt.event_id") == "" || r.text("tracking") == "" {
		t.Errorf("raised: %s", r.raw)
	}
	if r.Header.Get("ETag") != `"0"` || r.Header.Get("GridCase-Position") == "" {
		t.Errorf("headers: %v", r.Header)
	}
	path := "/demands/" + r.text("id")
	clerk := h.key(orgs.Clerk, community)
	got := h.want(h.get(clerk, path), 200, "")
	if got.Header.Get("ETag") != `"0"` {
		t.Errorf("ETag: %q", got.Header.Get("ETag"))
	}
	accepted := h.do(clerk, path, "accept", `{"kind":"issue","matter":"010101","urgency":"C","unit":"`+string(community)+`","grid":"`+grid+`","summary":"供热温度不足"}`)
	if accepted.text("phase") != "accepted" || accepted.Header.Get("ETag") != `"1"` {
		t.Errorf("accepted: %s", accepted.raw)
	}
	tracked := h.want(h.get("", "/track/"+r.text("tracking")), 200, "")
	if tracked.text("phase") != "accepted" || tracked.text("summary") != "供热温度不足" {
		t.Errorf("tracked: %s", tracked.raw)
	}
}
