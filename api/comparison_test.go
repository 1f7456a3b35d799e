package api_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
)

// Who rises and who falls from one month to the next, because of what: and the parts sum to the change.
func TestTwoPeriodsAreComparedUnitByUnit(t *testing.T) {
	h := open(t)
	manned(h)
	a := h.assessedApril()
	ann := h.key(orgs.Evaluator, district)
	may := h.assessedMay(a.law)
	mayPeriod := strings.Replace(strings.TrimPrefix(may, "/api/v1"), "assessments", "periods", 1)
	settled := func(p, ours, theirs string) {
		h.rated(p, street, agency, ours)
		h.rated(p, nextStreet, farAgency, theirs)
		for _, u := range []orgs.UnitCode{agency, farAgency} {
			h.do(ann, p, "import-other-score", fmt.Sprintf(`{"unit":%q,"score":"85","document":%q}`, u, strings.Repeat("d", 64)))
		}
	}
	h.ended(a.april)
	settled(a.april, "80", "75")
	h.until(time.Date(2025, 5, 7, 2, 0, 0, 0, time.UTC))
	o := h.ordered(agency)
	h.taken(o, agency)
	h.handled(o, agency)
	h.until(time.Date(2025, 6, 1, 16, 0, 0, 0, time.UTC))
	h.given(mayPeriod, rule.Actor{ID: "clock", Role: orgs.System}, period.End{})
	settled(mayPeriod, "80", "85")

	april := strings.TrimPrefix(a.read, "/api/v1/assessments/")
	end := h.end()
	for _, path := range []string{a.read + "/compare?with=" + strings.TrimPrefix(may, "/api/v1/assessments/"), may + "/compare?with=" + april} { // the earlier days are before, whoever asks
		r := h.reads(ann, path)
		if r.text("before.period") != april || r.text("after.period") == april || r.text("before.results") == r.text("after.results") {
			t.Errorf("%s compares %s", path, r.raw)
		}
		of := func(code orgs.UnitCode) map[string]any {
			units := r.json["units"].([]any)
			return units[slices.IndexFunc(units, func(u any) bool { return u.(map[string]any)["unit"] == string(code) })].(map[string]any)
		}
		// April: one of three in time, and a whistle answered; May: one of one, and no whistle. The agency next door is rated, and has no cases.
		for _, c := range []struct {
			unit                  orgs.UnitCode
			before, after, change string // of the streets, of the year's score
			ranked, ranks, rises  float64
			parts                 map[string]string // that are other ones
		}{
			{agency, "70.00", "90.00", "10.00", 2, 1, 1, map[string]string{"on_time": "40", "report_in": "-20"}},
			{farAgency, "75.00", "85.00", "5.00", 1, 2, -1, map[string]string{"form": "10"}},
		} {
			u := of(c.unit)
			before, after := u["before"].(map[string]any), u["after"].(map[string]any)
			if before["streets"] != c.before || after["streets"] != c.after || u["change_printed"] != c.change || before["rank"] != c.ranked || after["rank"] != c.ranks || u["rises"] != c.rises {
				t.Errorf("%s: got %v", c.unit, u)
			}
			parts := map[string]string{}
			for _, p := range u["parts"].([]any) {
				if p := p.(map[string]any); p["by"] != "0" {
					parts[p["what"].(string)] = p["by"].(string)
				}
			}
			if !maps.Equal(parts, c.parts) { // they sum to the change of the streets' score
				t.Errorf("%s: because of %v, want %v", c.unit, parts, c.parts)
			}
			if causes := u["causes"].([]any); len(causes) > 0 {
				t.Errorf("%s: under the same scheme the scheme is not the cause: %v", c.unit, causes)
			}
		}
	}
	if h.end() != end {
		t.Errorf("a comparison wrote something: the log went from %d to %d", end, h.end())
	}
}

// A later program may not know what a scheme asks for. What was sealed under it is read all the same; what would have to be computed is refused
// clearly, and nothing fails as if it were the server's fault.
func TestASealUnderASchemeThatIsNotKnownAnyMoreIsRead(t *testing.T) {
	h := open(t)
	opened := h.end()
	manned(h)
	a := h.assessedApril()
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	h.ended(a.april)
	h.evaluated(a.april, street, agency)
	h.wait(20 * 24 * time.Hour)
	h.do(ann, a.april, "publish-provisional", `{}`)
	h.wait(10 * 24 * time.Hour)
	h.want(h.confirmed(ann, ben, a.april, "seal", `{"ruling":"无街道评价的单位不计分"}`), 200, "")
	may := h.assessedMay(a.law)
	h.settle()

	// Another node is given the same events, but that the scheme answers a question in a way that nobody knows.
	later := open(t)
	later.until(h.clock())
	altered := 0
	for b, err := range h.log.Follow(t.Context(), opened) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Events {
			if data := bytes.Replace(e.Data, []byte(`"aggregate":"equal"`), []byte(`"aggregate":"lottery"`), 1); e.Type == "scheme-drafted/1" && !bytes.Equal(data, e.Data) {
				e.Data = data
				altered++
			}
			if _, err := later.log.Append(t.Context(), e.Stream, e.Revision-1, e.Fact); err != nil {
				t.Fatal(err)
			}
		}
		if b.Live {
			break
		}
	}
	if later.settle(); altered != 1 || later.end() != h.end() {
		t.Fatalf("%d schemes were altered, the log ends at %d and not at %d", altered, later.end(), h.end())
	}
	ann = later.key(orgs.Evaluator, district)
	const figure = "/figures/on_time:u=150105003-a01"
	was, sum := h.reads(h.key(orgs.Evaluator, district), a.read), later.reads(ann, a.read)
	if sum.json["recomputed"] != false || sum.text("recomputed_results") != "" || sum.text("results") != was.text("results") || sum.json["figures"] != was.json["figures"] {
		t.Errorf("the summary: %s", sum.raw)
	}
	if x := later.reads(ann, a.read+figure); x.text("printed") != "33.33" || x.text("n") != "1" || x.text("d") != "3" || x.json["recomputed"] != false {
		t.Errorf("the figure: %s", x.raw)
	}
	for _, path := range []string{"/figures", "/scores", "/standings", "/revisions", "/export?format=html", "/export?format=csv&sheet=figures", "/export?format=csv&sheet=standings"} {
		if r := later.reads(ann, a.read+path); !bytes.Contains(r.raw, []byte("150105003-a01")) && path != "/revisions" {
			t.Errorf("%s tells nothing of the agency: %s", path, r.raw)
		}
	}
	draft := strings.TrimPrefix(later.drafted(ann, nil), "/schemes/")
	for _, path := range []string{figure + "/items", "/cards", "/compare?scheme=" + draft, "/export?format=xlsx", "/export?format=csv&sheet=cohort&figure=on_time"} {
		later.want(later.call(ann, http.MethodGet, a.read+path, ""), 409, "wrong_state")
	}
	// Nor is a period computed that is not sealed yet.
	for _, path := range []string{"", "/figures", "/standings", "/export?format=html", "/compare?with=" + strings.TrimPrefix(a.read, "/api/v1/assessments/")} {
		later.want(later.call(ann, http.MethodGet, may+path, ""), 409, "wrong_state")
	}
	later.want(later.call(ann, http.MethodGet, a.read+"/compare?with="+strings.TrimPrefix(may, "/api/v1/assessments/"), ""), 409, "wrong_state")
}
