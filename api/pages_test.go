package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// parameter is a parameter of the query of a reading.
type parameter struct {
	path   string // of the reading, as the description writes it
	name   string
	format string
}

// parameters are all that the description names.
func parameters(h *house) (ps []parameter) {
	h.t.Helper()
	d, err := described(h.server)
	if err != nil {
		h.t.Fatal(err)
	}
	for path, item := range d.Doc.Paths.Map() {
		if item.Get == nil {
			continue
		}
		for _, p := range item.Get.Parameters {
			if p.Value.In == openapi3.ParameterInQuery {
				ps = append(ps, parameter{path, p.Value.Name, p.Value.Schema.Value.Format})
			}
		}
	}
	if len(ps) < 150 {
		h.t.Fatalf("%d parameters are described: something was not looked at", len(ps))
	}
	return ps
}

// filled puts ids into a path, and what must be asked besides.
func filled(path string, put ...string) string {
	for i := 0; i+1 < len(put); i += 2 {
		path = strings.Replace(path, "{"+put[i]+"}", put[i+1], 1)
	}
	path = strings.Replace(path, "{list}", "need", 1)
	switch path {
	case "/api/v1/grids", "/api/v1/views/coverage":
		return path + "?unit=150100&"
	case "/api/v1/views/duties":
		return path + "?unit=" + grid + "&"
	case "/api/v1/views/load":
		return path + "?base=2025-03-03&unit=" + grid + "&"
	}
	return path + "?"
}

// asking puts a parameter into a path, in place of one that is there.
func asking(path, name, value string) string {
	u, _ := url.Parse(path)
	q := u.Query()
	q.Set(name, value)
	return u.Path + "?" + q.Encode()
}

// nextOf is where an answer says that the next page is.
func nextOf(r reply) string {
	link, found := strings.CutSuffix(strings.TrimPrefix(r.Header.Get("Link"), "<"), `>; rel="next"`)
	if !found {
		return ""
	}
	return link
}

// listedIn are the items of a page, as they were written.
func listedIn(t *testing.T, r reply) (items []string) {
	t.Helper()
	for _, name := range []string{"items", "rows"} {
		if list, is := r.json[name].([]any); is {
			for _, i := range list {
				items = append(items, asJSON(t, i))
			}
			return items
		}
	}
	t.Fatalf("%s is no list: %s", r.Request.URL, r.raw)
	return nil
}

// TestEveryListIsPagedAlike walks all lists that the description names: none takes a cursor that it did not give, each page but the last has a link
// to the next, and the links lead to every item once. The feed of events has no last page and is followed by positions.
func TestEveryListIsPagedAlike(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	lists := map[string]bool{} // whether one was walked
	turn := func(h *house, key, path string) {
		t.Helper()
		whole := h.want(h.call(key, http.MethodGet, path+"limit=200", ""), 200, "")
		want := listedIn(t, whole)
		if nextOf(whole) != "" || whole.text("next") != "" {
			t.Errorf("%s: a page of all has another one after it", path)
		}
		var got []string
		cursor := ""
		for at := path + "limit=1"; at != ""; {
			r := h.want(h.call(key, http.MethodGet, at, ""), 200, "")
			got = append(got, listedIn(t, r)...)
			if at = nextOf(r); (at == "") != (r.text("next") == "") || at != "" && !strings.Contains(at, "after="+url.QueryEscape(r.text("next"))) {
				t.Fatalf("%s: next is %q, the link %q", path, r.text("next"), r.Header.Get("Link"))
			}
			if at != "" {
				cursor = r.text("next")
			}
			if len(got) > len(want) {
				break
			}
		}
		if len(want) < 2 || !slices.Equal(got, want) {
			t.Errorf("%s: page by page %d items, all at once %d, the same ones: %v", path, len(got), len(want), slices.Equal(got, want))
		}
		if cursor == "" {
			return
		}
		for _, bad := range []string{"x", "AAAA", "150105", cursor + "AAAA", "A" + cursor[1:], cursor[:len(cursor)-4]} {
			if bad != cursor {
				h.want(h.call(key, http.MethodGet, path+"after="+url.QueryEscape(bad), ""), 400, "bad_cursor")
			}
		}
	}
	known := func(h *house) (paths []string) {
		for _, p := range parameters(h) {
			if p.name == "after" && p.path != "/api/v1/events" {
				paths = append(paths, p.path)
				if _, met := lists[p.path]; !met {
					lists[p.path] = false
				}
			}
		}
		slices.Sort(paths)
		return paths
	}

	h := peopled(t)
	convenor, head := h.key(orgs.Convenor, community), h.key(orgs.UnitHead, bureau)
	for _, title := range []string{"修缮车棚", "更换路灯"} {
		demand := strings.TrimPrefix(h.accepted("issue"), "/demands/")
		h.want(h.post(convenor, "/topics", `{"kind":"ordinary","source":"residents","title":"`+title+`","unit":"`+string(community)+`","demands":["`+demand+`"]}`), 201, "")
		from := h.clock().AddDate(0, 0, 10).Format("2006-01-02")
		h.want(h.post(head, "/admissions", `{"matter":"010101","role":"lead","units":["150105003001"],"from":"`+from+`","until":"2025-12-31","task":"隐患排查","basis":"安全生产法","staff":2,"emergency":"专项整治"}`), 201, "")
	}
	h.settle()
	key := h.key(orgs.Dispatcher, city)
	for _, path := range known(h) {
		query := map[string]string{"/api/v1/views/workload": "by=grid&", "/api/v1/views/databases/services": "by=community&from=2025-03-01&to=2025-07-31&"}[path]
		if !strings.Contains(path, "/assessments") {
			turn(h, key, filled(path)+query)
			lists[path] = true
		}
	}
	for _, query := range []string{"by=unit&", "by=worker&", "by=street&", "by=community&unit=150105003&"} {
		turn(h, key, "/api/v1/views/workload?"+query)
	}
	first := h.get(key, "/views/workload?by=grid&limit=1")
	for _, other := range []string{"by=community", "by=grid&unit=150105", "by=grid&kind=issue"} { // of another question
		h.want(h.get(key, "/views/workload?"+other+"&after="+url.QueryEscape(first.text("next"))), 400, "bad_cursor")
	}
	if r := h.get(key, "/views/blocks?to=0001-01-01&count=true"); r.json["count"] != 0.0 {
		t.Errorf("what was stopped before anything: %s", r.raw)
	}
	h.want(h.get(key, "/views/workload?limit=2&by=grid&after="+url.QueryEscape(first.text("next"))), 200, "") // the same, and a longer page
	for _, empty := range []string{"/demands?q=无此内容", "/whistles?phase=cancelled&open=true"} {                // an empty list gave no cursor
		h.want(h.get(key, empty), 200, "")
		h.want(h.get(key, empty+"&after="+url.QueryEscape(first.text("next"))), 400, "bad_cursor")
	}

	h = open(t)
	manned(h)
	a := h.assessedApril()
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	h.ended(a.april)
	h.rated(a.april, street, agency, "80")
	h.rated(a.april, nextStreet, farAgency, "75")
	h.wait(20 * 24 * time.Hour)
	h.do(ann, a.april, "publish-provisional", `{}`)
	h.wait(10 * 24 * time.Hour)
	for _, u := range []orgs.UnitCode{agency, farAgency} {
		h.do(ann, a.april, "import-other-score", fmt.Sprintf(`{"unit":%q,"score":"85","document":%q}`, u, strings.Repeat("d", 64)))
	}
	h.do(ann, a.april, "publish-provisional", `{}`)
	h.wait(10 * 24 * time.Hour)
	h.want(h.post(ann, a.april+"/record-figures", `{}`, "If-Match", h.get(ann, a.april).Header.Get("ETag")), 200, "")
	h.settle()
	h.want(h.confirmed(ann, ben, a.april, "seal", `{"ruling":"无街道评价的单位不计分"}`), 200, "")
	h.settle()
	h.handled(a.due, agency)
	h.want(h.confirmed(ann, ben, a.april, "seal-revision", `{"cause":"late_fact","reason":"五月补办"}`), 200, "")
	h.settle()
	h.assessedMay(a.law)
	for _, path := range known(h) {
		if strings.Contains(path, "/assessments") {
			turn(h, ann, filled(path, "id", strings.TrimPrefix(a.april, "/periods/"), "figure", "sign_on_time"))
			lists[path] = true
		}
	}
	h.want(h.get(ann, "/assessments/"+strings.TrimPrefix(a.april, "/periods/")+"/figures?street=-"), 200, "") // of no street
	if left := slices.Collect(maps.Keys(lists)); len(left) < 20 {
		t.Errorf("only %v are lists: nothing was looked at", left)
	}
	for path, walked := range lists {
		if !walked {
			t.Errorf("%s was not walked", path)
		}
	}
}

// An instant that is the zero of the program must not pass for none.
func TestTheFirstInstantIsNoFilterThatIsNotGiven(t *testing.T) {
	h := open(t)
	key, found := h.key(orgs.Dispatcher, city), 0
	for _, p := range parameters(h) {
		path := filled(p.path, "id", stream.DemandFor("wechat", "1").String())
		if r := h.call(key, http.MethodGet, asking(path, p.name, "x"), ""); !strings.Contains(string(r.raw), "not_an_instant") {
			continue
		}
		found++
		r := h.want(h.call(key, http.MethodGet, asking(path, p.name, "0001-01-01T00:00:00Z"), ""), 422, "invalid")
		if !strings.Contains(string(r.raw), `"query.`+p.name+`"`) {
			t.Errorf("%s: %s", p.name, r.raw)
		}
	}
	if found < 25 {
		t.Errorf("%d parameters are instants: nothing was looked at", found)
	}
}

// What did not happen happened at no time, however early.
func TestWhatDidNotHappenIsInNoSpan(t *testing.T) {
	h := open(t)
	manned(h)
	order := h.ordered(agency)
	key := h.key(orgs.Dispatcher, city)
	for _, from := range []string{"1900-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"} {
		for _, name := range []string{"handled_from", "contacted_from", "closed_from"} {
			if got := h.ids(key, "/orders?"+name+"="+from); len(got) != 0 {
				t.Errorf("%s=%s: %v, and nobody did anything", name, from, got)
			}
		}
		if got := h.ids(key, "/orders?raised_from="+from); len(got) != 1 {
			t.Errorf("raised_from=%s: %v, want the one order", from, got)
		}
	}
	if got := h.ids(key, "/orders?due_after=2025-01-01T00:00:00Z"); len(got) != 1 {
		t.Errorf("due after the year began: %v, want the one order", got)
	}
	h.do(h.key(orgs.Dispatcher, street), order, "cancel", `{"cause":"duplicate","reason":"重复派单"}`)
	for _, query := range []string{"due_after=2025-01-01T00:00:00Z", "due_before=2099-01-01T00:00:00Z"} {
		if got := h.ids(key, "/orders?"+query); len(got) != 0 {
			t.Errorf("%s: %v, of which no clock runs", query, got)
		}
	}
}

func TestWhatIsSaidTwiceIsRefused(t *testing.T) {
	h := open(t)
	key := h.key(orgs.Dispatcher, city)
	for _, p := range parameters(h) {
		path := filled(p.path, "id", stream.DemandFor("wechat", "1").String(), "figure", "x", "code", "x")
		for _, values := range [][2]string{{"a", "b"}, {"1", "1"}} {
			u, _ := url.Parse(path)
			q := u.Query()
			q[p.name] = values[:]
			r := h.want(h.call(key, http.MethodGet, u.Path+"?"+q.Encode(), ""), 400, "malformed_request")
			if !strings.Contains(string(r.raw), `"query.`+p.name+`"`) {
				t.Errorf("%s: %s", p.name, r.raw)
			}
		}
	}
	h.settle()
	path, before := h.raised(h.key(orgs.Channel, hotline), raising), h.end()
	for header, values := range map[string][]string{"Idempotency-Key": {"k-a", "k-b"}, "If-Match": {`"0"`, `"1"`}, "GridCase-Confirmation": {"a", "b"}, "Authorization": {"Bearer " + key, "Bearer x"}} {
		req, err := http.NewRequest(http.MethodPost, h.web.URL+"/api/v1"+path+"/accept", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"Bearer " + key}, "Idempotency-Key": {"k"}, "If-Match": {`"0"`}, "Content-Type": {"application/json"}}
		req.Header[http.CanonicalHeaderKey(header)] = values
		res, err := h.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 400 {
			t.Errorf("two of %s: got %d, want 400", header, res.StatusCode)
		}
	}
	if h.end() != before {
		t.Errorf("something was written: the log went from %s to %s", before, h.end())
	}
}

// TestAFilterNamesWhatExistsOrExistedOnce holds all filters by a unit or grid to one rule: see docs/decisions/0039.
func TestAFilterNamesWhatExistsOrExistedOnce(t *testing.T) {
	h := open(t)
	operator := h.key(orgs.Operator, city)
	h.want(h.post(operator, "/units", `{"code":"150105003009","name":"旧社区","kind":"community","parent":"150105003"}`), 201, "")
	h.settle()
	h.do(operator, "/units/150105003009", "close", `{}`)
	h.change("/grids/"+grid2+"/retire-grid", `{}`, 200, "")
	key, filters := h.key(orgs.Dispatcher, city), 0
	persons := []string{"/api/v1/grids lead"}
	for _, p := range parameters(h) {
		path := filled(p.path, "id", stream.DemandFor("wechat", "1").String(), "figure", "x")
		switch p.name {
		case "unit", "street", "district", "community", "grid", "lead", "led_in", "parent", "within", "mediator", "holder":
			if p.format == "" && !slices.Contains(persons, p.path+" "+p.name) {
				t.Errorf("%s takes any %s", p.path, p.name)
			}
		}
		existed := "150105003009"
		switch p.format {
		case "unit", "unit-or-none":
		case "grid-or-none":
			existed = grid2
		default:
			continue
		}
		filters++
		unknown := []string{"150199", "nowhere", "150105003001009", "15010500300"}
		if p.format == "unit" {
			unknown = append(unknown, "none")
		}
		for _, code := range unknown {
			r := h.call(key, http.MethodGet, asking(path, p.name, code), "")
			if r.StatusCode != 422 || !strings.Contains(string(r.raw), `"query.`+p.name+`"`) {
				t.Errorf("%s of %s=%s: got %d %s, want 422 and its name", p.path, p.name, code, r.StatusCode, r.raw)
			}
		}
		answers := []string{existed}
		if p.format != "unit" {
			answers = append(answers, "none")
		}
		for _, code := range answers {
			r := h.call(key, http.MethodGet, asking(path, p.name, code), "")
			if r.StatusCode != 200 && !strings.Contains(p.path, "/assessments/{id}") { // where the id is nobody's
				t.Errorf("%s of %s=%s: got %d %s, want an answer", p.path, p.name, code, r.StatusCode, r.raw)
			}
		}
	}
	if filters < 30 {
		t.Errorf("%d filters by a unit or grid: nothing was looked at", filters)
	}
}
