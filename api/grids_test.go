package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/orgs"
)

const plan = "/communities/" + string(community)

// change gives an operator's command to the community's plan, with the ETag it has now.
func (h *house) change(path, body string, status int, code string) reply {
	h.t.Helper()
	operator := h.key(orgs.Operator, city)
	tag := h.get(operator, plan+"/grids").Header.Get("ETag")
	r := h.want(h.post(operator, plan+path, body, "If-Match", tag), status, code)
	h.settle()
	return r
}

const (
	survey = `{"buildings":[{"code":"b1","stairwells":[{"code":"b1/1","households":150},{"code":"b1/2","households":150}]},` +
		`{"code":"b2","stairwells":[{"code":"b2/1","households":300}]},{"code":"b3","stairwells":[{"code":"b3/1","households":20}]}]}`
	splitting = `{"into":[{"grid":"150105003001003","name":"三格","blocks":["b1/1"],"lead":"w-3"},{"grid":"150105003001004","name":"四格","blocks":["b1/2"]}]}`
)

func TestAPlanIsSurveyedCheckedSplitAndMerged(t *testing.T) {
	h := open(t)
	clerk := h.key(orgs.Clerk, community)
	faults := func(path string) []string {
		t.Helper()
		var fs []string
		for _, f := range h.want(h.get(clerk, path), 200, "").json["findings"].([]any) {
			x := f.(map[string]any)
			fs = append(fs, strings.TrimSpace(fmt.Sprint(x["fault"], " ", x["severity"], " ", x["block"])))
		}
		return fs
	}
	if got := faults(plan + "/grid-plan"); !slices.Equal(got, []string{"unsurveyed warning <nil>", "vacant warning <nil>", "vacant warning <nil>"}) {
		t.Errorf("a plan that was only counted: %v", got)
	}
	h.change("/grids/"+grid+"/assign-households", `{"blocks":["b1"]}`, 409, "guard_failed")
	h.change("/survey-blocks", survey, 200, "")
	h.change("/survey-blocks", `{"buildings":[{"code":"13912345678","stairwells":[{"code":"1/1","households":1}]}]}`, 422, "invalid")
	h.change("/survey-blocks", `{"buildings":[{"code":"b1","stairwells":[{"code":"b2/1","households":1}]}]}`, 409, "guard_failed")
	h.change("/grids/"+grid+"/assign-households", `{"blocks":["b1"]}`, 200, "")
	h.change("/grids/"+grid2+"/assign-households", `{"blocks":["b1/1"]}`, 409, "guard_failed")
	h.change("/grids/"+grid2+"/assign-households", `{"blocks":["b2"]}`, 200, "")
	h.change("/grids/"+grid+"/appoint-grid-worker", `{"worker":"w-1","duty":"lead","full_time":true}`, 200, "")
	if got := faults(plan + "/grid-plan"); !slices.Equal(got, []string{"outside error b3/1", "vacant warning <nil>"}) {
		t.Errorf("the plan: %v, want a stairwell in no grid and a vacancy", got)
	}

	// An order is in the worker's hands when the grid is split, with effect from four days ago.
	path := h.accepted("errand")
	r := h.do(clerk, path, "fast-track", `{"reason":"errand","route":{"order":{"lead":"`+grid+`"}}}`)
	id := r.json["orders"].([]any)[0].(string)
	h.wait(10 * 24 * time.Hour)
	h.change("/grids/"+grid+"/split-grid", strings.Replace(splitting, `"b1/2"`, `"b1"`, 1), 409, "guard_failed")
	h.change("/grids/"+grid+"/split-grid", strings.Replace(splitting, "{", `{"occurred_at":"2025-04-01T00:00:00+08:00",`, 1), 422, "invalid")
	before := h.end()
	split := h.change("/grids/"+grid+"/split-grid", strings.Replace(splitting, "{", `{"occurred_at":"2025-03-09T00:00:00+08:00",`, 1), 200, "")
	if !strings.Contains(string(split.raw), `"successors":["150105003001003","150105003001004"]`) {
		t.Errorf("split: %s", split.raw)
	}
	var types []string
	for ev := range events(h, before) {
		if strings.HasPrefix(ev.Stream, "gridcase.grids") || strings.HasPrefix(ev.Stream, "gridcase.order") {
			types = append(types, ev.Type)
		}
	}
	if want := []string{"grid-drawn/1", "households-assigned/1", "grid-worker-appointed/1", "grid-drawn/1", "households-assigned/1", "grid-split/1", "order-reassigned/1"}; !slices.Equal(types, want) {
		t.Errorf("the log says %v, want %v", types, want)
	}
	o := h.want(h.get(h.key(orgs.GridWorker, "150105003001003"), "/orders/"+id), 200, "")
	if o.text("lead") != "150105003001003" || !strings.Contains(string(o.raw), `"former":["`+grid+`"]`) {
		t.Errorf("the order after the split: %s", o.raw)
	}
	if u := h.get(clerk, "/units/"+grid); !strings.Contains(string(u.raw), `"successors":["150105003001003","150105003001004"]`) {
		t.Errorf("the old grid as a unit: %s", u.raw)
	}
	if got := faults(plan + "/grid-plan?on=2025-03-08"); !slices.Equal(got, []string{"outside error b3/1", "vacant warning <nil>"}) {
		t.Errorf("the plan of the day before the split: %v", got)
	}
	h.want(h.get(clerk, plan+"/grid-plan?on=gestern"), 422, "invalid")
	h.change("/merge-grids", `{"grids":["150105003001003","150105003001004"],"into":{"grid":"150105003001003","name":"五格"}}`, 409, "guard_failed")
	h.change("/merge-grids", `{"grids":["150105003001003","150105003001004"],"into":{"grid":"150105003001005","name":"五格","lead":"w-1"}}`, 200, "")
	h.change("/merge-grids", `{"grids":["150105003002001","150105003001005"],"into":{"grid":"150105003001006","name":"六格"}}`, 422, "invalid")
	if o := h.get(clerk, "/orders/"+id); o.text("lead") != "150105003001005" {
		t.Errorf("the order after the merger: %s", o.raw)
	}
	h.want(h.post(clerk, plan+"/survey-blocks", survey, "If-Match", `"0"`), 403, "role_missing")
	h.want(h.post(h.key(orgs.Operator, city), "/communities/150105003009/survey-blocks", survey), 404, "not_found")
}

func TestTheCoverageOfADayCountsItsGrids(t *testing.T) {
	h := open(t)
	h.change("/survey-blocks", survey, 200, "")
	h.change("/grids/"+grid+"/assign-households", `{"blocks":["b1"]}`, 200, "")
	h.change("/grids/"+grid+"/appoint-grid-worker", `{"worker":"w-1","duty":"lead","full_time":true}`, 200, "")
	h.change("/grids/"+grid2+"/appoint-acting-worker", `{"worker":"w-2"}`, 200, "")
	operator := h.key(orgs.Operator, city)
	h.want(h.post(operator, "/communities/"+string(sibling)+"/grids/"+other+"/appoint-grid-worker", `{"worker":"w-1","duty":"lead","full_time":true}`, "If-Match", `"0"`), 200, "")
	h.settle()
	auditor := h.key(orgs.Auditor, district)
	codes := func(query string) []string {
		t.Helper()
		var cs []string
		for after := ""; ; {
			r := h.want(h.get(auditor, "/grids?limit=1&count=true&"+query+"&after="+after), 200, "")
			for _, i := range r.json["items"].([]any) {
				cs = append(cs, i.(map[string]any)["code"].(string))
			}
			if after = r.text("next"); after == "" {
				if n := int(r.json["count"].(float64)); n != len(cs) {
					t.Errorf("%s: counted %d, listed %v", query, n, cs)
				}
				return cs
			}
		}
	}
	want := map[string]map[string]int{
		string(street):    {"grids": 3, "led": 2, "vacant": 1, "covered": 1, "outside": 1, "unsurveyed": 1, "shared": 2, "leads": 1, "most": 2, "households": 600},
		string(community): {"grids": 2, "led": 1, "vacant": 1, "covered": 1, "outside": 1, "unsurveyed": 0, "shared": 1, "leads": 1, "most": 2, "households": 300},
		string(sibling):   {"grids": 1, "led": 1, "vacant": 0, "covered": 0, "outside": 0, "unsurveyed": 1, "shared": 1, "leads": 1, "most": 2, "households": 300},
	}
	r := h.want(h.get(auditor, "/views/coverage?unit="+string(street)), 200, "")
	rows := append(r.json["rows"].([]any), r.json["total"])
	if len(rows) != 3 {
		t.Fatalf("coverage: %s", r.raw)
	}
	for _, row := range rows {
		row := row.(map[string]any)
		unit := row["unit"].(string)
		for name, n := range want[unit] {
			if got := int(row[name].(map[string]any)["count"].(float64)); got != n {
				t.Errorf("%s of %s: got %d, want %d", name, unit, got, n)
			}
		}
	}
	for query, want := range map[string][]string{"worker=w-2": {grid2}, "lead=w-2": nil, "lead=w-1": {grid, other}, "vacant=true&acting=true": {grid2}, "vacant=true&acting=false": nil,
		"size=within": {grid, other}, "urban=false": nil, "shared=false": {grid2}} {
		if got := codes("unit=" + string(district) + "&" + query); !slices.Equal(got, want) {
			t.Errorf("%s: grids %v, want %v", query, got, want)
		}
	}
	if r := h.want(h.get(auditor, "/views/coverage?unit="+string(city)+"&by=community"), 200, ""); len(r.json["rows"].([]any)) != 2 {
		t.Errorf("the city by community: %s", r.raw)
	}
	if r := h.want(h.get(auditor, "/views/coverage?unit="+string(street)+"&on=2025-03-02"), 200, ""); len(r.json["rows"].([]any)) != 0 {
		t.Errorf("the day before there was a grid: %s", r.raw)
	}
	looked := h.want(h.get(auditor, plan+"/grid-plan?on=2025-03-03"), 200, "")
	if tag := looked.Header.Get("ETag"); tag == "" || tag != h.get(auditor, plan+"/grids").Header.Get("ETag") {
		t.Errorf("the plan that is looked over has the tag %q, that which is changed %q", looked.Header.Get("ETag"), h.get(auditor, plan+"/grids").Header.Get("ETag"))
	}
	h.want(h.get(auditor, plan+"/grid-plan?on=2025-03-03", "If-None-Match", looked.Header.Get("ETag")), 304, "")
	h.want(h.get(auditor, plan+"/grid-plan?on=2025-03-03", "If-None-Match", `"0"`), 200, "")
	h.want(h.get(auditor, "/views/coverage?unit=150199"), 422, "invalid")
	if p := h.want(h.get(auditor, "/views/coverage"), 422, "invalid"); p.json["errors"].([]any)[0].(map[string]any)["code"] != "missing" {
		t.Errorf("a unit that was not given is refused with %s", p.raw)
	}
	h.want(h.get(auditor, "/grids?unit="+string(street)+"&on=2025-02-30"), 422, "invalid")
	for _, role := range orgs.Roles() {
		status := 200
		if role == orgs.Resident || role == orgs.StairwellHead || role == orgs.BuildingHead || role == orgs.Channel {
			status = 403
		}
		for _, path := range []string{"/views/coverage?unit=" + string(street), "/grids?unit=" + string(street), plan + "/grid-plan"} {
			if r := h.get(h.key(role, street), path); r.StatusCode != status {
				t.Errorf("%s reads %s: got %d, want %d", role, path, r.StatusCode, status)
			}
		}
	}
}

func TestACommunityIsContinuedByOthers(t *testing.T) {
	h := open(t)
	operator := h.key(orgs.Operator, city)
	h.want(h.post(operator, "/units", `{"code":"150105003003","name":"旧社区","kind":"community","parent":"150105003"}`), 201, "")
	h.settle()
	h.want(h.post(operator, "/units/150105003003/split", `{"into":["150105003001"]}`, "If-Match", `"0"`), 422, "invalid")
	h.want(h.post(operator, "/units/150105003001/merge", `{"into":"150105003002"}`, "If-Match", `"0"`), 409, "guard_failed")
	r := h.want(h.post(operator, "/units/150105003003/split", `{"into":["150105003002","150105003001"]}`, "If-Match", `"0"`), 200, "")
	if !strings.Contains(string(r.raw), `"successors":["150105003001","150105003002"]`) || r.json["closed"] != true {
		t.Errorf("split: %s", r.raw)
	}
	h.want(h.post(operator, "/units/150105003003/merge", `{"into":"150105003002"}`, "If-Match", `"1"`), 409, "wrong_state")
}
