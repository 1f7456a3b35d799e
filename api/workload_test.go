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
	for i := range 24 {
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

// figure is a number of an answer, and the list that it names.
type figure struct {
	at    string // where it stands in the answer, such as .rows[2].lines[0].open
	count int
	of    string // a member of the listed items whose numbers are added up, or whose different texts are counted; "" = the items are
	cases string
}

// figures finds every figure of an answer that names its list.
func figures(at string, v any, f func(figure)) {
	switch v := v.(type) {
	case map[string]any:
		if cases, linked := v["cases"].(string); linked {
			of, _ := v["of"].(string)
			f(figure{at, int(v["count"].(float64)), of, cases})
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

// walk remembers what each list holds for each key.
type walk struct {
	h      *house
	counts map[string]int
}

// holds counts what a list holds, page by page; ok is false if it can not be asked for so.
func (w walk) holds(key, cases, of string) (n int, ok bool) {
	w.h.t.Helper()
	id := key + " " + of + " " + cases
	if n, known := w.counts[id]; known {
		return n, n >= 0
	}
	texts := map[string]bool{}
	join := "&"
	if !strings.Contains(cases, "?") {
		join = "?"
	}
	counts := of == "" && (!strings.Contains(cases, "/views/") || strings.Contains(cases, "/views/blocks"))
	for after := ""; ; {
		path := cases
		if counts {
			path += join + "limit=1&count=true"
		} else if !strings.HasPrefix(cases, "/api/v1/views/duties") {
			path += join + "limit=200&after=" + url.QueryEscape(after)
		}
		r := w.h.call(key, "GET", path, "")
		if r.StatusCode != 200 {
			w.counts[id] = -1
			return 0, false
		}
		if counts {
			w.counts[id] = int(r.json["count"].(float64))
			return w.counts[id], true
		}
		items, listed := r.json["items"].([]any)
		if !listed {
			items, _ = r.json["matters"].([]any)
		}
		for _, i := range items {
			switch v := i.(map[string]any)[of].(type) {
			case float64:
				n += int(v)
			case string:
				texts[v] = true
			default:
				if of == "" {
					n++
				}
			}
		}
		if after = r.text("next"); after == "" {
			w.counts[id] = n + len(texts)
			if counted, says := r.json["count"].(float64); says && of == "" && int(counted) != n {
				w.h.t.Errorf("%s lists %d and says %v", path, n, counted)
			}
			return n + len(texts), true
		}
	}
}

// peopled is a house in which something happened of everything that a view counts.
func peopled(t *testing.T) *house {
	h := open(t)
	manned(h)
	h.publish(published)
	h.change("/survey-blocks", survey, 200, "")
	h.change("/grids/"+grid+"/assign-households", `{"blocks":["b1"]}`, 200, "")
	h.change("/grids/"+grid+"/appoint-grid-worker", `{"worker":"w-1","duty":"lead","full_time":true}`, 200, "")
	h.change("/grids/"+grid+"/appoint-grid-worker", `{"worker":"w-3","duty":"assistant","full_time":false}`, 200, "")
	h.change("/grids/"+grid2+"/appoint-acting-worker", `{"worker":"w-2"}`, 200, "")
	h.want(h.post(h.key(orgs.Operator, city), "/communities/"+string(sibling)+"/grids/"+other+"/appoint-grid-worker", `{"worker":"w-1","duty":"lead","full_time":true}`, "If-Match", `"0"`), 200, "")
	for _, u := range []string{`{"code":"150104","name":"玉泉区","kind":"district","parent":"150100"}`, `{"code":"150104001","name":"小召前街街道","kind":"street","parent":"150104"}`,
		`{"code":"150104001001","name":"五塔寺社区","kind":"community","parent":"150104001"}`, `{"code":"150105004001","name":"新华社区","kind":"community","parent":"150105004"}`} {
		h.want(h.post(h.key(orgs.Operator, city), "/units", u), 201, "")
		h.settle()
	}
	// A district beside it, with a grid that one of its leads has, too.
	h.want(h.post(h.key(orgs.Operator, city), "/communities/150105004001/grids", `{"grid":"150105004001001","name":"五网格","households":310,"buildings":5,"stairwells":20,"urban":true}`), 201, "")
	there := "/communities/150104001001/grids"
	h.want(h.post(h.key(orgs.Operator, city), there, `{"grid":"150104001001001","name":"四网格","households":320,"buildings":5,"stairwells":20,"urban":true}`), 201, "")
	h.want(h.post(h.key(orgs.Operator, city), there+"/150104001001001/appoint-grid-worker", `{"worker":"w-1","duty":"lead","full_time":true}`, "If-Match", `"0"`), 200, "")
	h.settle()
	h.wait(24 * time.Hour)
	clerk := h.key(orgs.Clerk, community)
	for _, unit := range []string{grid, grid2} { // stopped at the gate, on two days
		path := h.accepted("issue")
		h.want(h.post(clerk, path+"/fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"`+unit+`"}}}`, "If-Match", h.get(clerk, path).Header.Get("ETag")), 409, "gate_blocked")
		h.wait(24 * time.Hour)
	}
	busy(h)
	desk := h.key(orgs.Dispatcher, street)
	one, two := h.blown(street, string(agency), string(bureau), string(utility)), h.blown(street, string(agency), string(team))
	h.wait(10 * time.Minute)
	h.do(desk, one, "report-in", `{"unit":"150105003-a01"}`)
	h.wait(time.Hour)
	h.do(desk, one, "report-in", `{"unit":"150105-d01"}`)
	h.do(desk, two, "conclude", `{"outcome":"已恢复"}`)
	h.do(h.key(orgs.Arbiter, district), one, "excuse-unit", `{"unit":"150105-u01","reason":"热网抢修"}`)
	three := h.blown(street, string(team), string(bureau))
	h.do(h.key(orgs.StreetLeader, street), three, "cancel", `{"reason":"误报"}`)
	h.blown(nextStreet, string(farAgency))
	h.wait(10 * time.Minute)
	h.do(desk, h.blown(street, string(agency), string(utility)), "report-in", `{"unit":"150105-u01"}`)
	h.do(desk, h.blown(street, string(utility)), "conclude", `{"outcome":"已恢复"}`) // nobody came, and nobody was late
	whole(h)
	h.wait(60 * 24 * time.Hour) // some are overdue by then, in every age group
	lifted(h)
	whole(h)
	h.do(desk, h.blown(street, string(agency)), "report-in", `{"unit":"150105003-a01"}`)
	return h
}

// whole takes cases to every end there is, in places and at desks beside those of busy.
func whole(h *house) {
	h.t.Helper()
	channel, callback := h.key(orgs.Channel, hotline), h.key(orgs.CallbackAgent, hotline)
	accepted := func(kind, at string) string {
		path := h.raised(channel, `{"kind":"`+kind+`","channel":"wechat","text":"内容","grid":"`+at+`"}`)
		h.do(h.key(orgs.Clerk, orgs.UnitCode(at[:12])), path, "accept", `{"kind":"`+kind+`","matter":"160101","urgency":"C","unit":"`+at[:12]+`","grid":"`+at+`","summary":"居民反映"}`)
		return path
	}
	fast := map[string]string{"errand": "errand", "issue": `statutory_duty","citation":"第八条`}
	for _, at := range []string{grid, grid2, other, "150105004001001", "150104001001001"} {
		in := orgs.UnitCode(at[:6])
		h.do(h.key(orgs.Clerk, orgs.UnitCode(at[:12])), h.raised(channel, `{"kind":"errand","channel":"wechat","text":"内容","grid":"`+at+`"}`), "answer-on-the-spot",
			`{"outcome":"resolved","answer":"已答复","summary":"当场答复"}`) // in no matter
		quarrels := []string{accepted("dispute", at), accepted("dispute", at)}
		for i, path := range quarrels {
			r := h.do(h.key(orgs.Dispatcher, in), path, "fast-track", `{"reason":"private_dispute","route":{"dispute":2}}`)
			d, mediator := "/disputes/"+r.text("dispute"), h.key(orgs.Mediator, orgs.UnitCode(at[:12]))
			if i == 0 { // nobody took it up
				h.do(mediator, d, "refer-out", `{"target":"court","receipt":"c-1"}`)
				continue
			}
			h.do(mediator, d, "accept-mediation", `{"consent":true}`)
			if at == grid2 { // to the top, and settled there
				for _, seat := range []orgs.UnitCode{street, district} {
					h.do(mediator, d, "fail-mediation", `{"reason":"分歧较大"}`)
					h.do(mediator, d, "refer-up", "")
					mediator = h.key(orgs.Mediator, seat)
					h.do(mediator, d, "accept-mediation", `{"consent":true}`)
				}
				h.do(mediator, d, "record-agreement", `{"agreement":"`+strings.Repeat("ab", 32)+`","fulfil_on":"2026-12-31"}`)
				continue
			}
			h.do(mediator, d, "refer-out", `{"target":"petition","receipt":"p-1"}`)
		}
		h.do(channel, accepted("issue", at), "withdraw", `{"confirmed":"phone"}`)
		if in != district {
			continue
		}
		for kind, reason := range fast {
			for i, lead := range []orgs.UnitCode{bureau, utility} {
				path := accepted(kind, at)
				r := h.do(h.key(orgs.Dispatcher, district), path, "fast-track", `{"reason":"`+reason+`","route":{"order":{"lead":"`+string(lead)+`"}}}`)
				o, handler := "/orders/"+r.json["orders"].([]any)[0].(string), h.key(orgs.Handler, lead)
				if i == 1 && at == grid {
					h.do(h.key(orgs.Dispatcher, district), o, "cancel", `{"cause":"error","reason":"派错"}`)
					continue
				}
				h.do(handler, o, "sign", "")
				if at == other {
					h.do(h.key(orgs.UnitHead, lead), o, "reassign", `{"worker":"w-9"}`)
				}
				h.do(handler, o, "record-contact", `{"means":"phone","demands":["`+strings.TrimPrefix(path, "/demands/")+`"]}`)
				if i == 1 && at == grid2 {
					for range 2 {
						h.do(h.key(orgs.Supervisor, district), o, "issue-supervision", `{"reason":"群众催问"}`)
					}
					h.do(handler, o, "answer-supervision", `{"supervision":1,"answer":"情况说明"}`)
					continue
				}
				h.do(handler, o, "report-handling", `{"outcome":"resolved","answer":"已修好","summary":"已修好","evidence":["`+strings.Repeat("ab", 32)+`"]}`)
				if h.get(handler, o).text("phase") == "reported" {
					h.do(h.key(orgs.Verifier, oversight), o, "pass-verification", `{"method":"photo"}`)
				}
				if at != other {
					h.do(callback, path, "record-callback", `{"resolved":true,"grade":5}`)
				}
			}
		}
	}
}

// lifted lets the clock act on all orders and demands, once more for each thing that comes due by it.
func lifted(h *house) {
	h.t.Helper()
	var open []stream.Name
	for _, c := range []stream.Category{stream.Order, stream.Demand} {
		for _, id := range h.ids(h.key(orgs.Auditor, city), "/"+string(c)+"s?open=true") {
			open = append(open, stream.Of(c, parsed(h, id)))
		}
	}
	for _, n := range open {
		for range 30 {
			state, _, err := h.engine.Load(h.t.Context(), n)
			if err != nil {
				h.t.Fatal(err)
			}
			a, any := rule.Earliest(event.Alarms(state))
			if !any || a.At.After(h.clock()) {
				break
			}
			if _, err := h.engine.Handle(h.t.Context(), engine.Request{Stream: n, Commands: []engine.Command{a.Command.(engine.Command)}, Key: a.Key(),
				Actor: rule.Actor{ID: "clock", Role: orgs.System}, Expect: engine.Any}); err != nil { // what follows from the last step may come in between
				h.t.Fatal(err)
			}
		}
	}
	h.settle()
}

func parsed(h *house, id string) stream.ID {
	h.t.Helper()
	x, err := stream.ParseID(id)
	if err != nil {
		h.t.Fatal(err)
	}
	return x
}

// viewsOf are the answers that are walked: every view that answers with figures, asked in several ways.
var viewsOf = []string{"/views/workload", "/views/workload?by=grid&kind=issue,report", "/views/workload?by=unit", "/views/workload?by=unit&limit=1&step=month&to=2025-03-31", "/views/workload?by=worker&limit=2",
	"/views/workload?by=community&step=month&from=2025-03-01&to=2025-09-30", "/views/workload?by=street&limit=1&step=week&to=2025-03-31", "/views/escalation", "/views/escalation?kind=order", "/views/escalation?unit=150105003001&kind=demand", "/views/disputes?unit=150105", "/views/disputes?by=district", "/views/disputes?by=community",
	"/views/databases/grids", "/views/databases/disputes", "/views/databases/services", "/views/databases/services?by=community",
	"/views/workload?from=2025-03-06&to=2025-03-08", "/views/workload?by=unit&from=2025-03-06&to=2025-03-08", "/views/disputes?by=street&from=2025-03-06&to=2025-03-08", "/views/databases/services?from=2025-03-06&to=2025-03-08",
	"/views/load?unit=" + grid + "&base=2025-03-05&on=2025-03-06", "/views/load?unit=" + grid + "&base=2025-03-03&on=2025-03-04", "/views/coverage?unit=150100", "/views/coverage?unit=150105", "/views/coverage?unit=150105003", "/views/coverage?unit=150105003&on=2025-03-02", "/views/coverage?unit=150100&by=community",
	"/views/load?unit=" + grid + "&base=2025-03-03&on=2025-03-05", "/views/load?unit=150105003&base=2025-03-04", "/views/load?unit=" + other + "&base=2025-03-03",
	"/views/whistles", "/views/whistles?street=150105003&standing=late", "/views/whistles?unit=150105003-a01&from=2025-05-01T00:00:00%2B08:00", "/views/whistles?unit=150105-d01", "/views/whistles?to=2025-05-01T00:00:00%2B08:00"}

// walked calls f for each figure of these answers: of all of them for the city, of every other one for people of other kinds.
func walked(h *house, f func(who, key string, x figure)) {
	h.t.Helper()
	for i, who := range []struct {
		role orgs.Role
		seat orgs.UnitCode
	}{{orgs.Dispatcher, city}, {orgs.StreetLeader, street}, {orgs.Supervisor, district}, {orgs.UnitHead, bureau}, {orgs.CommunitySecretary, community}, {orgs.GridWorker, grid}} {
		key := h.key(who.role, who.seat)
		h.get(key, "/demands") // a key's first use is an event
		h.settle()
		for j, page := range viewsOf {
			if i > 0 && (i+j)%2 == 0 {
				continue
			}
			r := h.get(key, page)
			if r.StatusCode == http.StatusUnprocessableEntity && r.text("errors") == "" && strings.Contains(string(r.raw), "query.by") || r.StatusCode == http.StatusForbidden && strings.Contains(page, "worker") ||
				r.StatusCode == http.StatusNotFound && strings.Contains(page, "unit=") {
				continue // the unit has no such parts, the role may not know, or it is another's
			}
			h.want(r, 200, "")
			if r.text("position") != "" && r.text("position") != h.end().String() || r.Header.Get("GridCase-Position") != h.end().String() {
				h.t.Errorf("%s: position %s, the log is at %s", page, r.text("position"), h.end())
			}
			figures(page, r.json, func(x figure) {
				if u, err := url.Parse(x.cases); err != nil || !strings.HasPrefix(u.Path, "/api/v1/") {
					h.t.Fatalf("%s links to %q", x.at, x.cases)
				}
				f(string(who.role)+"@"+string(who.seat), key, x)
			})
		}
	}
}

// numbers finds the numbers of an answer that name no list, by the member they stand in.
func numbers(name string, v any, f func(name string)) {
	switch v := v.(type) {
	case map[string]any:
		if _, linked := v["cases"]; linked {
			delete(v, "count")
		}
		for n, inner := range v {
			if n != "items" { // what is listed is what figures open to
				numbers(n, inner, f)
			}
		}
	case []any:
		for _, inner := range v {
			numbers(name, inner, f)
		}
	case float64:
		f(name)
	}
}

// TestEveryFigureOpensTheCasesBehindIt is the law of all boards: what a figure links to has as many cases as it says.
// Its teeth: for each part of each kind of link there is a figure here that would be wrong without that part.
func TestEveryFigureOpensTheCasesBehindIt(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	h := peopled(t)
	w := walk{h, map[string]int{}}
	checked, above := 0, 0
	type part struct{ list, name string }
	linked, bitten, tried := map[part]string{}, map[part]bool{}, map[bool]map[part]int{false: {}, true: {}} // apart for figures above zero: they tell more
	walked(h, func(who, key string, x figure) {
		n, ok := w.holds(key, x.cases, x.of)
		if !ok || n != x.count {
			t.Errorf("%s: %s is %d, its list has %d: %s", who, x.at, x.count, n, x.cases)
		}
		if checked++; x.count > 0 {
			above++
		}
		u, _ := url.Parse(x.cases)
		for name := range u.Query() {
			p := part{u.Path, name}
			linked[p] = x.cases
			if n := tried[x.count > 0]; bitten[p] || n[p] >= 150 {
				continue
			}
			tried[x.count > 0][p]++
			q := u.Query()
			q.Del(name)
			if n, ok := w.holds(key, strings.TrimSuffix(u.Path+"?"+q.Encode(), "?"), x.of); !ok || n != x.count {
				bitten[p] = true
			}
		}
	})
	for p, cases := range linked {
		if !bitten[p] && p != (part{"/api/v1/views/supervisions", "unit"}) { // an order lies in one unit: there it says who may ask

			t.Errorf("nothing here would notice if links to %s lost %s, as in %s", p.list, p.name, cases)
		}
	}
	if checked < 1500 || above < 300 || len(bitten) < 40 {
		t.Errorf("%d figures, %d above zero, %d parts of links: nothing to compare", checked, above, len(bitten))
	}
	t.Logf("%d figures, %d above zero, %d lists, %d parts of links whose loss shows", checked, above, len(w.counts), len(bitten))

	// The numbers that open nothing, and why.
	plain := map[string]string{"from": "days of an age group", "to": "days of an age group", "low": "the size band", "high": "the size band", "median_minutes": "of times that are listed",
		"p90_minutes": "of times that are listed", "version": "of lists", "level": "of a ladder", "rung": "of a ladder", "count": "of the items in this answer"}
	found := map[string]bool{}
	for _, page := range viewsOf {
		r := h.get(h.key(orgs.Dispatcher, city), page)
		numbers("", r.json, func(name string) {
			if found[name] = true; plain[name] == "" {
				t.Errorf("%s: the number %q opens nothing", page, name)
			}
		})
	}
	if len(found) < 6 {
		t.Errorf("found %v: nothing was looked at", found)
	}
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

// Whoever names no unit asks about the own one, and gets its parts.
func TestTheDisputeDatabaseIsByThePartsOfTheOwnUnit(t *testing.T) {
	h := open(t)
	path := h.accepted("dispute")
	h.do(h.key(orgs.Dispatcher, district), path, "fast-track", `{"reason":"private_dispute","route":{"dispute":2}}`)
	for seat, part := range map[orgs.UnitCode]string{city: "district", district: "street", street: "community", community: ""} {
		key := h.key(orgs.Dispatcher, seat)
		own, named := h.want(h.get(key, "/views/databases/disputes"), 200, ""), h.want(h.get(key, "/views/databases/disputes?unit="+string(seat)), 200, "")
		rows, _ := own.json["rows"].([]any)
		if part == "" && len(rows) > 0 || part != "" && (len(rows) == 0 || rows[0].(map[string]any)[part] == nil) || asJSON(t, rows) != asJSON(t, named.json["rows"]) && part != "" {
			t.Errorf("%s: got %s, want rows of each %s; by its code %s", seat, own.raw, part, named.raw)
		}
	}
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
	h.want(h.get(key, "/views/workload?unit=150100"), 404, "not_found") // which is not this street's
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
	lifted(h)
	b := h.want(h.get(leader, "/views/escalation?kind=order", "Accept-Language", "en"), 200, "")
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
		figures(levels, b.json[levels], func(x figure) {
			if l := h.want(h.call(leader, "GET", x.cases, ""), 200, ""); int(l.json["count"].(float64)) != x.count || len(l.json["items"].([]any)) != x.count {
				t.Errorf("%s is %d, its list: %s", x.at, x.count, l.raw)
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
