package api_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
)

// busy makes a few dozen cases of every kind, worked on to different ends over some weeks.
func busy(h *house) {
	h.t.Helper()
	random := rand.New(rand.NewPCG(7, 7))
	channel, clerk, dispatcher := h.key(orgs.Channel, hotline), h.key(orgs.Clerk, community), h.key(orgs.Dispatcher, district)
	next := func(k, path string) string { return h.get(k, path).text("phase") }
	for i := range 36 {
		h.wait(time.Duration(1+random.IntN(30)) * time.Hour)
		kind := []string{"errand", "errand", "issue", "consult", "dispute", "report"}[i%6]
		at := []string{grid, grid2, other}[random.IntN(3)]
		path := h.raised(channel, `{"kind":"`+kind+`","channel":"wechat","text":"内容","grid":"`+at+`"}`)
		if i%9 == 8 {
			continue // nobody looked at it
		}
		k, in := clerk, community
		if at == other {
			k, in = h.key(orgs.Clerk, sibling), sibling
		}
		if i%7 == 6 && (kind == "errand" || kind == "consult") {
			h.do(k, path, "answer-on-the-spot", `{"kind":"`+kind+`","outcome":"resolved","answer":"已答复","summary":"当场答复","matter":"010101"}`)
			continue
		}
		h.do(k, path, "accept", `{"kind":"`+kind+`","matter":"010101","urgency":"`+[]string{"B", "C", "D"}[i%3]+`","unit":"`+string(in)+`","grid":"`+at+`","summary":"居民反映"}`)
		if kind == "dispute" {
			r := h.do(dispatcher, path, "fast-track", `{"reason":"private_dispute","route":{"dispute":2}}`)
			quarrel(h, "/disputes/"+r.text("dispute"), random)
			continue
		}
		reason := map[string]string{"errand": "errand", "consult": "consult", "report": "confidential_report", "issue": "statutory_duty\",\"citation\":\"第八条"}[kind]
		r := h.do(dispatcher, path, "fast-track", `{"reason":"`+reason+`","route":{"order":{"lead":"150105-d01"}}}`)
		orders, _ := r.json["orders"].([]any)
		if len(orders) == 0 {
			h.t.Fatalf("no order: %s", r.raw)
		}
		o, handler := "/orders/"+orders[0].(string), h.key(orgs.Handler, bureau)
		for step := range random.IntN(6) {
			h.wait(time.Duration(random.IntN(300)) * time.Minute)
			switch {
			case step == 0:
				h.do(handler, o, "sign", "")
			case step == 1:
				h.do(handler, o, "record-contact", `{"means":"phone","demands":["`+strings.TrimPrefix(path, "/demands/")+`"]}`)
			case step == 2:
				h.do(h.key(orgs.Supervisor, district), o, "issue-supervision", `{"reason":"群众催问"}`)
			case step == 3:
				h.do(handler, o, "report-handling", `{"outcome":"resolved","answer":"已修好","summary":"已修好","evidence":["`+strings.Repeat("ab", 32)+`"]}`)
			case next(handler, o) == "reported":
				h.do(h.key(orgs.Verifier, oversight), o, "pass-verification", `{"method":"photo"}`)
			}
		}
	}
	h.settle()
}

// quarrel takes a dispute up the ladder, some way.
func quarrel(h *house, path string, random *rand.Rand) {
	h.t.Helper()
	for range random.IntN(6) {
		h.wait(time.Duration(1+random.IntN(50)) * time.Hour)
		r := h.get(h.key(orgs.Mediator, district), path)
		seats := []orgs.UnitCode{2: orgs.UnitCode(r.text("unit")), 3: street, 4: district}
		mediator := h.key(orgs.Mediator, seats[int(r.json["rung"].(float64))])
		switch r.text("phase") {
		case "opened":
			h.do(mediator, path, "accept-mediation", `{"consent":true}`)
		case "mediating":
			if random.IntN(2) == 0 {
				h.do(mediator, path, "record-agreement", `{"agreement":"`+strings.Repeat("ab", 32)+`","fulfil_on":"2026-12-31"}`)
			} else {
				h.do(mediator, path, "fail-mediation", `{"reason":"分歧较大"}`)
			}
		case "failed":
			h.do(mediator, path, "refer-up", "")
		}
	}
}

// figures calls f for every figure of an answer that names its list.
func figures(at string, v any, f func(at string, count int, cases string)) {
	switch v := v.(type) {
	case map[string]any:
		if cases, linked := v["cases"].(string); linked {
			f(at, int(v["count"].(float64)), cases)
		}
		for name, inner := range v {
			figures(at+"."+name, inner, f)
		}
	case []any:
		for i, inner := range v {
			figures(fmt.Sprint(at, "[", i, "]"), inner, f)
		}
	}
}

// TestEveryFigureOpensTheCasesBehindIt is the law of all boards: what a figure links to has as many cases as it says.
func TestEveryFigureOpensTheCasesBehindIt(t *testing.T) {
	h := open(t)
	busy(h)
	h.wait(60 * 24 * time.Hour) // some are overdue by then, in every age group
	busy(h)
	checked, above, counts := 0, 0, map[string]int{}
	for _, who := range []struct {
		role orgs.Role
		seat orgs.UnitCode
	}{{orgs.StreetLeader, street}, {orgs.Supervisor, district}, {orgs.Dispatcher, city}, {orgs.UnitHead, bureau}, {orgs.CommunitySecretary, community}, {orgs.GridWorker, grid}} {
		key := h.key(who.role, who.seat)
		h.get(key, "/demands") // a key's first use is an event
		h.settle()
		for _, page := range []string{"/views/workload", "/views/workload?by=grid&kind=issue,report", "/views/workload?by=unit", "/views/workload?by=worker&limit=2",
			"/views/workload?by=community&step=week&from=2025-01-01&to=2025-12-31", "/views/workload?by=street&limit=1&step=month", "/views/escalation", "/views/disputes?by=community",
			"/views/databases/grids", "/views/databases/disputes", "/views/databases/services", "/views/databases/services?by=community"} {
			r := h.get(key, page)
			if r.StatusCode == http.StatusUnprocessableEntity && r.text("errors") == "" && strings.Contains(string(r.raw), "query.by") || r.StatusCode == http.StatusForbidden && strings.Contains(page, "worker") {
				continue // the unit has no such parts, or the role may not know
			}
			h.want(r, 200, "")
			if r.text("position") != h.end().String() || r.Header.Get("GridCase-Position") != r.text("position") {
				t.Errorf("%s: position %s, the log is at %s", page, r.text("position"), h.end())
			}
			figures(page, r.json, func(at string, count int, cases string) {
				u, err := url.Parse(cases)
				if err != nil || !strings.HasPrefix(cases, "/api/v1/") {
					t.Fatalf("%s links to %q", at, cases)
				}
				if !strings.HasPrefix(u.Path, "/api/v1/views/") {
					cases += "&count=true"
				}
				if _, known := counts[key+cases]; !known {
					l := h.want(h.call(key, "GET", cases+"&limit=1", ""), 200, "")
					n, _ := l.json["count"].(float64)
					counts[key+cases] = int(n)
				}
				if counts[key+cases] != count {
					t.Errorf("%s@%s: %s is %d, its list has %d: %s", who.role, who.seat, at, count, counts[key+cases], cases)
				}
				checked++
				if count > 0 {
					above++
				}
			})
		}
	}
	if checked < 1000 || above < 200 {
		t.Errorf("%d figures, %d above zero: nothing to compare", checked, above)
	}
	t.Logf("%d figures, %d above zero, %d lists", checked, above, len(counts))
}

func TestFiguresAreForWhoIsInCharge(t *testing.T) {
	h := open(t)
	cells := 0
	for _, role := range orgs.Roles() {
		for _, seat := range []orgs.UnitCode{grid, community, sibling, street, district, city, hotline, bureau} {
			key := h.key(role, seat)
			may := role != orgs.Resident && role != orgs.StairwellHead && role != orgs.BuildingHead && role != orgs.Channel && role != orgs.Operator && role != orgs.System
			leads := role == orgs.GridSecretary || role == orgs.CommunitySecretary || role == orgs.Dispatcher || role == orgs.StreetLeader || role == orgs.UnitHead || role == orgs.Supervisor || role == orgs.Arbiter
			reaches := seat == community || seat == street || seat == district || seat == city || seat == hotline
			for page, allowed := range map[string]bool{"/views/workload": may, "/views/workload?by=unit": may, "/views/workload?by=worker": leads, "/views/escalation": may,
				"/views/supervisions": may, "/views/disputes": may && seat != grid, "/views/databases/services": may && seat != grid, "/views/databases/disputes": may && seat != grid} {
				r, want := h.get(key, page), http.StatusOK
				switch {
				case !may || !allowed && strings.Contains(page, "worker"):
					want = http.StatusForbidden
				case !allowed:
					want = http.StatusUnprocessableEntity // disputes and services are not told apart by grid
				}
				if r.StatusCode != want {
					t.Errorf("%s@%s reads %s: got %d %s, want %d", role, seat, page, r.StatusCode, r.raw, want)
				}
				cells++
			}
			for _, page := range []string{"/views/workload", "/views/escalation", "/views/supervisions", "/views/disputes", "/views/databases/grids", "/views/databases/services"} {
				want := http.StatusForbidden
				if may {
					want = http.StatusNotFound
					if reaches {
						want = http.StatusOK
					}
				}
				if r := h.get(key, page+"?unit="+string(community)); r.StatusCode != want {
					t.Errorf("%s@%s reads %s of %s: got %d, want %d", role, seat, page, community, r.StatusCode, want)
				}
				cells++
			}
		}
	}
	t.Logf("%d cells", cells)
}

func TestBadQuestionsAboutFiguresAreSaidClearly(t *testing.T) {
	h := open(t)
	key := h.key(orgs.StreetLeader, street)
	for path, want := range map[string]string{
		"/views/workload?from=2026-02-30":                "query.from",
		"/views/workload?to=1.3.2026":                    "query.to",
		"/views/workload?from=2025-03-02&to=2025-03-01":  "query.from",
		"/views/workload?from=2020-01-01&to=2025-03-01":  "query.from",
		"/views/workload?as_of=yesterday":                "query.as_of",
		"/views/workload?by=district":                    "query.by",
		"/views/workload?by=person":                      "query.by",
		"/views/workload?kind=wish":                      "query.kind",
		"/views/workload?step=year":                      "query.step",
		"/views/workload?limit=0":                        "query.limit",
		"/views/escalation?level=6":                      "query.level",
		"/views/escalation?rule=E9":                      "query.rule",
		"/views/disputes?by=grid":                        "query.by",
		"/disputes?left_rung=2":                          "query.left_rung",
		"/disputes?rung=5":                               "query.rung",
		"/orders?overdue_at=now":                         "query.overdue_at",
		"/demands?kind=issue,wish":                       "query.kind",
		"/supervisions":                                  "",
		"/views/databases/services?from=2025-01-01&to=x": "query.to",
	} {
		r := h.get(key, path)
		if want == "" {
			h.want(r, 404, "not_found")
			continue
		}
		if r.StatusCode != 422 && r.StatusCode != 400 || !strings.Contains(string(r.raw), want) {
			t.Errorf("%s: got %d %s, want a problem that names %s", path, r.StatusCode, r.raw, want)
		}
	}
	h.want(h.get(key, "/views/escalation?after=x"), 400, "bad_cursor")
	h.want(h.get(key, "/views/supervisions?after=x"), 400, "bad_cursor")
	h.want(h.get(key, "/views/workload?unit=nowhere"), 404, "not_found")
}

func TestTheBoardSaysWhyAMatterRoseAndWhatComesNext(t *testing.T) {
	h := open(t)
	path := h.accepted("issue")
	r := h.do(h.key(orgs.Clerk, community), path, "fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"150105003001001"}}}`)
	o := r.json["orders"].([]any)[0].(string)
	leader := h.key(orgs.StreetLeader, street)
	if b := h.want(h.get(leader, "/views/escalation"), 200, ""); b.json["count"].(float64) != 0 {
		t.Errorf("before anything rose: %s", b.raw)
	}
	h.do(h.key(orgs.Supervisor, district), "/orders/"+o, "issue-supervision", `{"reason":"群众催问"}`)
	h.wait(40 * 24 * time.Hour)
	id, _ := stream.ParseID(o)
	n := stream.Of(stream.Order, id)
	for range 30 { // as the clock does: whatever is due, in its order
		state, revision, err := h.engine.Load(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		a, any := rule.Earliest(event.Alarms(state))
		if !any || a.At.After(h.clock()) {
			break
		}
		if _, err := h.engine.Handle(t.Context(), engine.Request{Stream: n, Commands: []engine.Command{a.Command.(engine.Command)}, Key: a.Key(),
			Actor: rule.Actor{ID: "clock", Role: orgs.System}, Expect: revision}); err != nil {
			t.Fatal(err)
		}
	}
	h.settle()
	b := h.want(h.get(leader, "/views/escalation", "Accept-Language", "en"), 200, "")
	items := b.json["items"].([]any)
	if len(items) != 1 {
		t.Fatalf("on the board: %s", b.raw)
	}
	m := items[0].(map[string]any)
	why, _ := m["why"].(map[string]any)
	if m["id"] != o || m["holder"] != string(grid) || m["level"].(float64) < 2 || m["level_name"] == "" || why["rule"] == nil || why["text"] == "" || why["due"] == nil || len(m["expired"].([]any)) == 0 {
		t.Errorf("got %s", b.raw)
	}
	for _, levels := range []string{"levels", "rules"} {
		figures(levels, b.json[levels], func(at string, count int, cases string) {
			if l := h.want(h.call(leader, "GET", cases, ""), 200, ""); int(l.json["count"].(float64)) != count || len(l.json["items"].([]any)) != count {
				t.Errorf("%s is %d, its list: %s", at, count, l.raw)
			}
		})
	}
	s := h.want(h.get(leader, "/views/supervisions?open=true"), 200, "")
	if x := s.json["items"].([]any); len(x) != 1 || x[0].(map[string]any)["status"] != "overdue" {
		t.Errorf("supervisions: %s", s.raw)
	}
	h.do(h.key(orgs.GridWorker, grid), "/orders/"+o, "answer-supervision", `{"supervision":1,"answer":"情况说明"}`)
	s = h.want(h.get(leader, "/views/supervisions"), 200, "")
	if x := s.json["items"].([]any); len(x) != 1 || x[0].(map[string]any)["status"] != "answered" {
		t.Errorf("supervisions after the account: %s", s.raw)
	}
	if got := h.want(h.get(h.key(orgs.CommunitySecretary, sibling), "/views/escalation"), 200, ""); got.json["count"].(float64) != 0 {
		t.Errorf("the neighbour's board: %s", got.raw)
	}
}
