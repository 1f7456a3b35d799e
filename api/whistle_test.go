package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/whistle"
)

const (
	agency     = orgs.UnitCode("150105003-a01")
	team       = orgs.UnitCode("150105003-t01")
	utility    = orgs.UnitCode("150105-u01")
	nextStreet = orgs.UnitCode("150105004")
	farAgency  = orgs.UnitCode("150105004-a01")
)

// manned opens what a street may summon.
func manned(h *house) {
	h.t.Helper()
	operator := h.key(orgs.Operator, city)
	for _, u := range []string{
		`{"code":"150105003-a01","name":"城管执法中队","kind":"agency","parent":"150105003","department":"150105-d01"}`,
		`{"code":"150105003-t01","name":"综合行政执法队","kind":"joint_team","parent":"150105003","members":["150105003-a01"]}`,
		`{"code":"150105-u01","name":"供热服务企业","kind":"utility","parent":"150105"}`,
		`{"code":"150105004","name":"新华街道","kind":"street","parent":"150105"}`,
		`{"code":"150105004-a01","name":"城管执法中队","kind":"agency","parent":"150105004","department":"150105-d01"}`,
	} {
		h.want(h.post(operator, "/units", u), 201, "")
		h.settle()
	}
}

// blown blows a whistle and returns its path.
func (h *house) blown(street orgs.UnitCode, units ...string) string {
	h.t.Helper()
	r := h.want(h.post(h.key(orgs.Dispatcher, street), "/whistles", `{"units":["`+strings.Join(units, `","`)+`"],"class":"urgent","task":"路面塌陷，围挡抢修"}`), 201, "")
	h.settle()
	return strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
}

// unit is one unit of a whistle in an answer.
func unit(r reply, code orgs.UnitCode) map[string]any {
	for _, u := range r.json["units"].([]any) {
		if u := u.(map[string]any); u["unit"] == string(code) {
			return u
		}
	}
	return nil
}

func TestAWhistleFromTheBlowToTheCards(t *testing.T) {
	h := open(t)
	manned(h)
	desk, leader, handler := h.key(orgs.Dispatcher, street), h.key(orgs.StreetLeader, street), h.key(orgs.Handler, agency)
	demand := h.accepted("issue")
	r := h.want(h.post(desk, "/whistles", `{"units":["150105003-a01","150105-d01","150105-u01"],"class":"urgent","place":"`+grid+`","spot":"东门外人行道","task":"路面塌陷，围挡抢修","demand":"`+
		strings.TrimPrefix(demand, "/demands/")+`"}`), 201, "")
	h.settle()
	path := strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
	if r.text("phase") != "open" || r.text("street") != string(street) || r.text("place") != grid || len(r.json["clocks"].([]any)) != 3 {
		t.Errorf("blown: %s", r.raw)
	}
	if file := h.get(desk, strings.Replace(demand, "demands", "cases", 1)); !strings.Contains(string(file.raw), `"type":"whistle-blown/1"`) {
		t.Errorf("the demand was not told: %s", file.raw)
	}

	// The unit says that it is there, and the street confirms; without that nothing happens.
	h.wait(10 * time.Minute)
	report := `{"unit":"150105003-a01"}`
	h.want(h.post(handler, path+"/report-in", report, "If-Match", `"0"`), 403, "second_person_required")
	confirm := fmt.Sprintf(`{"path":"/api/v1%s/report-in","if_match":"\"0\"","body":%s}`, path, report)
	colleague := h.want(h.post(h.key(orgs.UnitHead, agency), "/confirmations", confirm), 200, "").text("token")
	h.want(h.post(handler, path+"/report-in", report, "If-Match", `"0"`, "GridCase-Confirmation", colleague), 403, "second_person_required")
	token := h.want(h.post(desk, "/confirmations", confirm), 200, "").text("token")
	r = h.want(h.post(handler, path+"/report-in", report, "If-Match", `"0"`, "GridCase-Confirmation", token), 200, "")
	h.settle()
	if u := unit(r, agency); r.text("phase") != "on_site" || u["standing"] != "on_time" || u["reported_at"] != "2025-03-03T09:10:00+08:00" {
		t.Errorf("reported in: %s", r.raw)
	}

	// The street enters who comes late, and the district excuses who can not come.
	h.wait(35 * time.Minute)
	if r = h.do(desk, path, "report-in", `{"unit":"150105-d01"}`); unit(r, bureau)["standing"] != "late" || unit(r, bureau)["late"] != true {
		t.Errorf("late: %s", r.raw)
	}
	h.want(h.post(h.key(orgs.Arbiter, street), path+"/excuse-unit", `{"unit":"150105-u01"}`, "If-Match", `"2"`), 422, "invalid")
	if r = h.do(h.key(orgs.Arbiter, district), path, "excuse-unit", `{"unit":"150105-u01","reason":"热网抢修"}`); unit(r, utility)["standing"] != "excused" {
		t.Errorf("excused: %s", r.raw)
	}

	// 事不完、人不撤.
	refused := h.want(h.post(desk, path+"/conclude", `{"outcome":"路面已恢复"}`, "If-Match", `"3"`), 409, "guard_failed")
	if refused.text("rule.number") != "W3" {
		t.Errorf("concluded over people's heads: %s", refused.raw)
	}
	h.do(desk, path, "release-unit", `{"unit":"150105-d01"}`)
	h.want(h.post(desk, path+"/release-unit", `{"unit":"150105003-a01","left":true}`, "If-Match", `"4"`), 409, "guard_failed")
	h.do(desk, path, "release-unit", `{"unit":"150105003-a01","left":true,"reason":"中途离场"}`)
	h.do(desk, path, "conclude", `{"outcome":"路面已恢复"}`)

	marks := `{"marks":[{"unit":"150105003-a01","outcome":30,"comment":"处置有力"},{"unit":"150105-d01","outcome":24,"comment":"及时补位"}]}`
	h.want(h.post(desk, path+"/score", marks, "If-Match", `"6"`), 403, "role_missing")
	r = h.do(leader, path, "score", marks)
	for code, want := range map[orgs.UnitCode]float64{agency: 8000, bureau: 6900} {
		if k, _ := unit(r, code)["card"].(map[string]any); k["score"] != want {
			t.Errorf("the card of %s: %v, want %v", code, k, want)
		}
	}
	if r.text("phase") != "scored" || unit(r, utility)["card"] != nil {
		t.Errorf("scored: %s", r.raw)
	}
	h.want(h.post(h.key(orgs.Evaluator, bureau), path+"/rescore", `{"unit":"150105-d01","report_in":"on_time","reason":"核实"}`, "If-Match", `"7"`), 403, "same_unit")
	r = h.do(h.key(orgs.Evaluator, district), path, "rescore", `{"unit":"150105-d01","report_in":"on_time","reason":"申诉成立"}`)
	if k := unit(r, bureau)["card"].(map[string]any); k["score"] != 9400.0 || unit(r, bureau)["standing"] != "on_time" || unit(r, bureau)["late"] != true {
		t.Errorf("rescored: %s", r.raw)
	}
	var types []string
	for ev := range events(h, 0) {
		if ev.Stream == "gridcase.whistle-"+strings.TrimPrefix(path, "/whistles/") {
			types = append(types, ev.Type)
		}
	}
	want := []string{"whistle-blown/1", "unit-reported-in/1", "unit-reported-in/1", "unit-excused/1", "unit-released/1", "unit-released/1",
		"whistle-concluded/1", "whistle-scored/1", "whistle-rescored/1"}
	if !slices.Equal(types, want) {
		t.Errorf("the log holds %v, want %v", types, want)
	}
	feed := h.want(h.get(h.key(orgs.Handler, utility), "/events?type=whistle-blown/1"), 200, "")
	if !strings.Contains(string(feed.raw), "whistle-blown/1") {
		t.Errorf("the feed does not show a summoned unit its whistle: %s", feed.raw)
	}
	feed = h.want(h.get(h.key(orgs.Handler, farAgency), "/events?limit=200"), 200, "")
	if strings.Contains(string(feed.raw), "whistle-blown/1") {
		t.Errorf("the feed shows a whistle to a stranger: %s", feed.raw)
	}

	back := h.blown(street, "150105-d01")
	h.do(leader, back, "cancel", `{"reason":"误报"}`)
}

// Who sees a whistle, and what each may do with it: the street, what is above it, the summoned units with their parent
// department, and nobody else.
func TestAWhistleIsSeenByItsStreetAndWhomItSummons(t *testing.T) {
	h := open(t)
	manned(h)
	ours, theirs := h.blown(street, string(agency), string(utility)), h.blown(nextStreet, string(farAgency))
	byTeam := h.blown(street, string(team))
	paths := []string{ours, theirs, byTeam}
	seats := map[orgs.UnitCode][]bool{
		street: {true, false, true}, nextStreet: {false, true, false}, district: {true, true, true}, city: {true, true, true},
		oversight: {true, true, true}, hotline: {true, true, true}, agency: {true, false, true}, farAgency: {false, true, false}, team: {false, false, true},
		utility: {true, false, false}, bureau: {true, true, false}, community: {false, false, false}, grid: {false, false, false},
	}
	may := map[string][]orgs.Role{
		"report-in":    {orgs.Dispatcher, orgs.StreetLeader, orgs.Handler, orgs.UnitHead},
		"excuse-unit":  {orgs.Arbiter},
		"release-unit": {orgs.Dispatcher, orgs.StreetLeader},
		"conclude":     {orgs.Dispatcher, orgs.StreetLeader},
		"cancel":       {orgs.StreetLeader},
		"score":        {orgs.StreetLeader},
		"rescore":      {orgs.Evaluator},

		"recompute-deadline": {orgs.Arbiter},
	}
	bodies := map[string]string{"report-in": `{"unit":"150105003-a01"}`, "excuse-unit": `{"unit":"150105003-a01","reason":"x"}`, "release-unit": `{"unit":"150105003-a01"}`,
		"conclude": `{"outcome":"x"}`, "cancel": `{"reason":"x"}`, "score": `{"marks":[]}`, "rescore": `{"unit":"150105003-a01","reason":"x"}`,
		"recompute-deadline": `{"id":"report_in/1/0/1","reason":"x"}`}
	cells := 0
	for _, role := range orgs.Roles() {
		for seat, reach := range seats {
			key := h.key(role, seat)
			listed, owing := []string{}, []string{}
			if role != orgs.Operator {
				listed, owing = h.ids(key, "/whistles?sort=raised"), h.ids(key, "/views/deadlines?clock=report_in")
			}
			for i, path := range paths {
				visible := reach[i] && role != orgs.Resident && role != orgs.Channel && role != orgs.Operator
				want := http.StatusNotFound
				if visible {
					want = http.StatusOK
				}
				if r := h.get(key, path); r.StatusCode != want {
					t.Errorf("%s@%s reads whistle %d: got %d, want %d", role, seat, i, r.StatusCode, want)
				}
				if in := slices.Contains(listed, strings.TrimPrefix(path, "/whistles/")); in != visible {
					t.Errorf("%s@%s lists whistle %d: %v, want %v", role, seat, i, in, visible)
				}
				if r := h.get(key, path+"/due"); r.StatusCode != want {
					t.Errorf("%s@%s has the dues of whistle %d explained: got %d, want %d", role, seat, i, r.StatusCode, want)
				}
				if owes := slices.Contains(owing, strings.TrimPrefix(path, "/whistles/")); owes != visible {
					t.Errorf("%s@%s lists a clock of whistle %d: %v, want %v", role, seat, i, owes, visible)
				}
				cells += 4
			}
			// Without If-Match a command that is seen and allowed gets 428, and nothing happens.
			visible := reach[0] && role != orgs.Resident && role != orgs.Channel && role != orgs.Operator
			for command, body := range bodies {
				if !slices.Contains([]orgs.UnitCode{street, nextStreet, district, agency, bureau}, seat) {
					break // the other seats differ in what they see, not in what a role may do
				}
				r := h.post(key, ours+"/"+command, body)
				want := 404
				if visible {
					if want = 403; slices.Contains(may[command], role) {
						want = 428
					}
				}
				if r.StatusCode != want {
					t.Errorf("%s@%s %s: got %d %s, want %d", role, seat, command, r.StatusCode, r.raw, want)
				}
				cells++
			}
			// Only a street's desk gets as far as the rules, which let only a street blow.
			r := h.post(key, "/whistles", `{"units":["`+string(farAgency)+`"],"class":"urgent","task":"x"}`)
			if blows := role == orgs.Dispatcher || role == orgs.StreetLeader; !blows && r.text("code") != "role_missing" ||
				blows && seat != nextStreet && r.text("code") != "outside_jurisdiction" || blows && seat == nextStreet && r.StatusCode != 201 {
				t.Errorf("%s@%s blows: got %d %s", role, seat, r.StatusCode, r.raw)
			}
			cells++
		}
	}
	blown := 0
	for ev := range events(h, 0) {
		if ev.Type == "whistle-blown/1" {
			blown++
		} else if strings.HasPrefix(ev.Stream, "gridcase.whistle-") {
			t.Errorf("the matrix wrote %s", ev.Type)
		}
	}
	if blown != len(paths)+2 {
		t.Errorf("got %d whistles, want those of the test and of the two who may blow", blown)
	}
	t.Logf("%d cells", cells)
}

// TestTheDuesOfAWhistleAreExplained: one for each unit that is to come, with its name; the parts are the amount and end at
// the due; and the list of deadlines holds the same instants.
func TestTheDuesOfAWhistleAreExplained(t *testing.T) {
	h := open(t)
	manned(h)
	h.inService("score", "report_in") // so that days and windows are counted, not only hours
	h.wait(80 * time.Hour)            // Thursday, 17:00
	desk := h.key(orgs.Dispatcher, street)
	path := h.blown(street, string(agency), string(utility))
	dues := func(want int) (dues []map[string]any) {
		t.Helper()
		for _, d := range h.want(h.get(desk, path+"/due", "Accept-Language", "en"), 200, "").json["items"].([]any) {
			dues = append(dues, d.(map[string]any))
		}
		if len(dues) != want {
			t.Fatalf("got %v, want %d", dues, want)
		}
		return dues
	}
	listed := func() map[string]string {
		t.Helper()
		at := map[string]string{}
		for _, d := range h.want(h.get(desk, "/views/deadlines?kind=whistle"), 200, "").json["items"].([]any) {
			d := d.(map[string]any)
			lead, _ := d["lead"].(string)
			at[lead+" "+d["due_id"].(string)] = d["due"].(string)
		}
		return at
	}
	called := map[any]bool{}
	for _, d := range dues(2) {
		sum, end := added(t, d)
		if sum != 7200 || end != d["due"] || d["due"] != "2025-03-07T10:00:00+08:00" || d["owed"] != "report in" || d["row"].(map[string]any)["urgency"] != "urgent" {
			t.Errorf("report in: %v, want two service hours", d)
		}
		if called[d["unit"]] = true; listed()[d["unit"].(string)+" "+d["id"].(string)] != d["due"] {
			t.Errorf("%v is not listed as it is explained: %v", d, listed())
		}
	}
	if !called[string(agency)] || !called[string(utility)] || len(listed()) != 2 {
		t.Errorf("explained for %v, listed %v; want both units", called, listed())
	}
	h.do(desk, path, "report-in", `{"unit":"150105003-a01"}`)
	if d := dues(1)[0]; d["unit"] != string(utility) || len(listed()) != 1 {
		t.Errorf("one came: %v is owed and %v listed, want the other alone", d, listed())
	}
	h.do(desk, path, "release-unit", `{"unit":"150105003-a01"}`)
	h.do(desk, path, "conclude", `{"outcome":"路面已恢复"}`)
	d := dues(1)[0]
	if sum, end := added(t, d); sum != 3 || end != d["due"] || d["due"] != "2025-03-11T23:59:59+08:00" || d["unit"] != nil || listed()[" "+d["id"].(string)] != d["due"] {
		t.Errorf("the cards: %v, listed %v; want three working days past the weekend", d, listed())
	}
	h.do(h.key(orgs.StreetLeader, street), path, "score", `{"marks":[{"unit":"150105003-a01","outcome":30,"comment":"处置有力"}]}`)
	if dues(0); len(listed()) != 0 {
		t.Errorf("scored, and still listed: %v", listed())
	}
	h.want(h.get(h.key(orgs.Clerk, sibling), path+"/due"), 404, "not_found")
	h.want(h.get(desk, "/whistles/no-id/due"), 404, "not_found")
}

func TestABadWhistleIsAProblemAndWritesNothing(t *testing.T) {
	h := open(t)
	manned(h)
	desk := h.key(orgs.Dispatcher, street)
	path := h.blown(street, string(agency))
	report := h.accepted("report")
	h.want(h.get(desk, "/whistles"), 200, "")
	const good = `{"units":["150105003-a01"],"class":"urgent","task":"抢修"}`
	with := func(member string) string { return strings.TrimSuffix(good, "}") + "," + member + "}" }
	swap := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	h.key(orgs.StreetLeader, street)
	before := h.end()
	for _, c := range []struct {
		name, path, body string
		status           int
		code, at         string
	}{
		{"nobody is summoned", "", swap(`"150105003-a01"`, ``), 422, "invalid", "body.units"},
		{"21 units", "", swap(`"150105003-a01"`, strings.TrimSuffix(strings.Repeat(`"150105003-a01",`, 21), ",")), 422, "invalid", "body.units"},
		{"a unit that is none", "", swap(`150105003-a01`, `150105003-a77`), 422, "invalid", "body.units[0]"},
		{"a unit of another street", "", swap(`150105003-a01`, `150105004-a01`), 403, "outside_jurisdiction", ""},
		{"a unit twice", "", swap(`"150105003-a01"`, `"150105003-a01","150105003-a01"`), 409, "guard_failed", ""},
		{"no class", "", swap(`"class":"urgent",`, ``), 422, "invalid", "body.class"},
		{"a class that is not listed", "", swap(`urgent`, `A`), 422, "invalid", "body.class"},
		{"no task", "", swap(`抢修`, ` `), 422, "invalid", "body.task"},
		{"a task with a phone number", "", swap(`抢修`, `联系13812345678`), 422, "invalid", "body.task"},
		{"a task of 501 characters", "", swap(`抢修`, strings.Repeat("修", 501)), 422, "invalid", "body.task"},
		{"a place elsewhere", "", with(`"place":"150105004"`), 409, "guard_failed", ""},
		{"a demand that is no id", "", with(`"demand":"1"`), 422, "invalid", "body.demand"},
		{"a demand that does not exist", "", with(`"demand":"00000000-0000-5000-8000-000000000001"`), 409, "guard_failed", ""},
		{"a report", "", with(`"demand":"` + strings.TrimPrefix(report, "/demands/") + `"`), 409, "guard_failed", ""},
		{"a topic that does not exist", "", with(`"topic":"00000000-0000-5000-8000-000000000001"`), 409, "guard_failed", ""},
		{"an order that does not exist", "", with(`"order":"00000000-0000-5000-8000-000000000001"`), 409, "guard_failed", ""},
		{"an unknown member", "", with(`"colour":"red"`), 422, "invalid", "body.colour"},
		{"the future", "", with(`"occurred_at":"2025-03-03T09:00:01+08:00"`), 422, "invalid", "body.occurred_at"},
		{"a report in without a unit", path + "/report-in", `{}`, 422, "invalid", "body.unit"},
		{"a report in of somebody else", path + "/report-in", `{"unit":"150105-d01"}`, 409, "guard_failed", ""},
		{"a release before anybody came", path + "/release-unit", `{"unit":"150105003-a01"}`, 409, "wrong_state", ""},
		{"an end without an outcome", path + "/conclude", `{"outcome":""}`, 422, "invalid", "body.outcome"},
		{"31 points", path + "/score", `{"marks":[{"unit":"150105003-a01","outcome":31,"comment":"x"}]}`, 422, "invalid", "body.marks[0].outcome"},
		{"points without a comment", path + "/score", `{"marks":[{"unit":"150105003-a01","outcome":30,"comment":""}]}`, 422, "invalid", "body.marks[0].comment"},
		{"no marks", path + "/score", `{}`, 422, "invalid", "body.marks"},
		{"a standing that no card has", path + "/rescore", `{"unit":"150105003-a01","report_in":"excused","reason":"x"}`, 422, "invalid", "body.report_in"},
		{"a clock's own command", path + "/mark-absent", `{"id":"report_in/1/0/1"}`, 404, "not_found", ""},
		{"cards before the end", path + "/score", `{"marks":[]}`, 409, "wrong_state", ""},
	} {
		key, target, headers := desk, "/whistles", []string{}
		if c.path != "" {
			target, headers = c.path, []string{"If-Match", `"0"`}
		}
		if strings.HasSuffix(target, "/score") {
			key = h.key(orgs.StreetLeader, street)
		}
		r := h.want(h.post(key, target, c.body, headers...), c.status, c.code)
		var at string
		if list, ok := r.json["errors"].([]any); ok && len(list) > 0 {
			at = list[0].(map[string]any)["location"].(string)
		}
		if at != c.at {
			t.Errorf("%s: got a fault at %q, want %q: %s", c.name, at, c.at, r.raw)
		}
	}
	for query, want := range map[string]string{
		"/whistles?limit=0": "422 invalid", "/whistles?colour=red": "422 invalid", "/whistles?phase=lost": "422 invalid", "/whistles?from=2025-01-01": "422 invalid",
		"/whistles?after=AAAA": "400 bad_cursor", "/whistles/1": "404 not_found", "/views/whistles?to=yesterday": "422 invalid", "/views/whistles?standing=fine": "422 invalid",
		"/views/whistles?after=AAAA": "400 bad_cursor", "/views/whistles?limit=201": "422 invalid",
	} {
		r := h.get(desk, query)
		if got := fmt.Sprint(r.StatusCode, " ", r.text("code")); got != want {
			t.Errorf("GET %s: got %s %s, want %s", query, got, r.raw, want)
		}
	}
	for ev := range events(h, before) {
		if ev.Type != "role-granted/1" {
			t.Errorf("bad input wrote %s to %s", ev.Type, ev.Stream)
		}
	}
}

// said is what a figure counts.
func said(figure any) float64 { return figure.(map[string]any)["count"].(float64) }

// The figures of the view are the lengths of its lists.
func TestTheRateOfReportingInOpensToItsUnits(t *testing.T) {
	h := open(t)
	manned(h)
	desk := h.key(orgs.Dispatcher, street)
	one, two := h.blown(street, string(agency), string(bureau), string(utility)), h.blown(street, string(agency))
	h.wait(10 * time.Minute)
	h.do(desk, one, "report-in", `{"unit":"150105003-a01"}`)
	h.wait(time.Hour)
	h.do(desk, one, "report-in", `{"unit":"150105-d01"}`)
	h.do(desk, two, "conclude", `{"outcome":"已恢复"}`)
	h.do(h.key(orgs.Arbiter, district), one, "excuse-unit", `{"unit":"150105-u01","reason":"热网抢修"}`)

	for query, want := range map[string]string{
		"":                                 `1/3 33.33 [0 1 1 1 1 0 0]`,
		"street=150105003":                 `1/3 33.33 [0 1 1 1 1 0 0]`,
		"street=150105004":                 `0/0  [0 0 0 0 0 0 0]`,
		"unit=150105003-a01":               `1/2 50.00 [0 1 0 1 0 0 0]`,
		"unit=150105-u01":                  `0/0  [0 0 0 0 1 0 0]`,
		"from=2025-03-03T09:31:00%2B08:00": `0/0  [0 0 0 0 0 0 0]`,
		"to=2025-03-03T09:31:00%2B08:00":   `1/3 33.33 [0 1 1 1 1 0 0]`,
	} {
		r := h.want(h.get(desk, "/views/whistles?"+query), 200, "")
		rate, of := r.json["rate"].(map[string]any), r.json["standings"].(map[string]any)
		percent, _ := rate["percent"].(string)
		counts := []any{}
		for _, s := range whistle.Standings() {
			counts = append(counts, said(of[string(s)]))
		}
		if got := fmt.Sprintf("%v/%v %s %v", said(rate["numerator"]), said(rate["denominator"]), percent, counts); got != want {
			t.Errorf("%q: got %s, want %s", query, got, want)
		}
		for _, s := range whistle.Standings() {
			n := 0
			for after := ""; ; {
				r := h.want(h.get(desk, fmt.Sprintf("/views/whistles?%s&standing=%s&limit=1&after=%s", query, s, after)), 200, "")
				for _, i := range r.json["items"].([]any) {
					if n++; i.(map[string]any)["standing"] != string(s) {
						t.Errorf("%q: %s opens to %v", query, s, i)
					}
				}
				if after = r.text("next"); after == "" {
					break
				}
			}
			if float64(n) != said(of[string(s)]) {
				t.Errorf("%q: %v %s open to %d units", query, said(of[string(s)]), s, n)
			}
		}
	}
	if r := h.get(h.key(orgs.Handler, agency), "/views/whistles"); said(r.json["rate"].(map[string]any)["denominator"]) != 2.0 {
		t.Errorf("the agency's own rate: %s", r.raw)
	}
	for query, want := range map[string][]string{
		"open=true&phase=on_site": {one}, "unit=150105-u01": {one}, "phase=concluded": {two}, "open=true&phase=scored": {}, "street=150105004": {},
		"open=true": {one, two}, "from=2025-03-03T09:00:01%2B08:00": {}, "street=150105003&unit=150105003-a01&count=true": {one, two},
	} {
		got := h.ids(desk, "/whistles?sort=raised&"+query)
		for i, id := range got {
			got[i] = "/whistles/" + id
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", query, got, want)
		}
	}
}
