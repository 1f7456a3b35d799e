package api_test

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"gridcase/api"
	"gridcase/domain/admission"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// events yields what the log holds after a position.
func events(h *house, after eventlog.Position) iter.Seq[eventlog.Event] {
	return func(yield func(eventlog.Event) bool) {
		if after == h.end() {
			return
		}
		for b, err := range h.log.Follow(context.Background(), after) {
			if err != nil {
				h.t.Fatal(err)
			}
			for _, ev := range b.Events {
				if !yield(ev) {
					return
				}
			}
			if b.Live {
				return
			}
		}
	}
}

// ids lists the ids of a list, over all its pages.
func (h *house) ids(key, list string) []string {
	h.t.Helper()
	var ids []string
	for after := ""; ; {
		r := h.want(h.get(key, list+"&limit=2&after="+after), 200, "")
		items, _ := r.json["items"].([]any)
		for _, i := range items {
			ids = append(ids, i.(map[string]any)["id"].(string))
		}
		if after = r.text("next"); after == "" {
			return ids
		}
		if r.Header.Get("Link") == "" {
			h.t.Errorf("%s: a further page without a Link", list)
		}
	}
}

func TestEveryRoleSeesWhatItsPlaceAndTheTableSayAndListsAgree(t *testing.T) {
	h := open(t)
	channel := h.key(orgs.Channel, hotline)
	raise := func(kind, grid string) string {
		return h.raised(channel, `{"kind":"`+kind+`","channel":"wechat","text":"内容","grid":"`+grid+`"}`)
	}
	cases := map[string][]string{
		"normal":       {raise("issue", grid), raise("issue", grid2), raise("issue", other)},
		"confidential": {raise("report", grid), raise("report", grid2), raise("report", other)},
	}
	grids := []string{grid, grid2, other}
	seats := map[orgs.UnitCode][]bool{ // which of the three places lie in the seat's reach
		grid: {true, false, false}, grid2: {false, true, false}, community: {true, true, false}, sibling: {false, false, true},
		street: {true, true, true}, district: {true, true, true}, city: {true, true, true}, hotline: {true, true, true}, bureau: {false, false, false},
	}
	confidants := []orgs.Role{orgs.Clerk, orgs.CommunitySecretary, orgs.Dispatcher, orgs.StreetLeader, orgs.Supervisor, orgs.Arbiter, orgs.Auditor, orgs.PrivacyOfficer}
	accepts := func(r orgs.Role) bool { return r == orgs.Clerk }
	cells := 0
	for _, role := range orgs.Roles() {
		for seat, reach := range seats {
			key := h.key(role, seat)
			listed, owing := []string{}, []string{}
			if role != orgs.Operator {
				listed, owing = h.ids(key, "/demands?sort=raised"), h.ids(key, "/views/deadlines?clock=accept")
			}
			for kind, paths := range cases {
				for i, path := range paths {
					visible := reach[i] && role != orgs.Resident && role != orgs.Channel && role != orgs.Operator &&
						(kind == "normal" || slices.Contains(confidants, role))
					if role == orgs.Channel && seat == hotline {
						visible = true // it brought them in
					}
					want := http.StatusNotFound
					if visible {
						want = http.StatusOK
					}
					if r := h.get(key, path); r.StatusCode != want {
						t.Errorf("%s@%s reads a %s case in %s: got %d, want %d", role, seat, kind, grids[i], r.StatusCode, want)
					}
					if r := h.get(key, path+"/due"); r.StatusCode != want {
						t.Errorf("%s@%s has a due of a %s case in %s explained: got %d, want %d", role, seat, kind, grids[i], r.StatusCode, want)
					}
					if owes := slices.Contains(owing, strings.TrimPrefix(path, "/demands/")); owes != visible {
						t.Errorf("%s@%s lists the clock of a %s case in %s: %v, want %v", role, seat, kind, grids[i], owes, visible)
					}
					if in := slices.Contains(listed, strings.TrimPrefix(path, "/demands/")); in != visible {
						t.Errorf("%s@%s lists a %s case in %s: %v, want %v", role, seat, kind, grids[i], in, visible)
					}
					// Without If-Match a command that is seen and allowed gets 428, and nothing happens.
					r := h.post(key, path+"/accept", `{"kind":"issue","matter":"010101","urgency":"C","unit":"150105003001","summary":"s"}`)
					switch {
					case !visible && r.StatusCode != 404, visible && !accepts(role) && r.StatusCode != 403, visible && accepts(role) && r.StatusCode != 428:
						t.Errorf("%s@%s accepts a %s case in %s: got %d (visible %v)", role, seat, kind, grids[i], r.StatusCode, visible)
					}
					cells += 5
				}
			}
		}
	}
	t.Logf("%d cells", cells)
}

func TestAHandlingUnitSeesWhatItHandlesAndNeverAReport(t *testing.T) {
	h := open(t)
	path := h.accepted("issue")
	street := h.key(orgs.Dispatcher, district)
	handler := h.key(orgs.Handler, bureau)
	h.want(h.get(handler, path), 404, "not_found")
	r := h.do(street, path, "fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"150105-d01"}}}`)
	h.want(h.get(handler, path), 200, "")
	id := r.json["orders"].([]any)[0].(string)
	if got := h.ids(handler, "/orders?lead=150105-d01"); !slices.Equal(got, []string{id}) {
		t.Errorf("the lead unit lists %v, want its order", got)
	}
	if got := h.ids(handler, "/demands?q=供热"); len(got) != 1 {
		t.Errorf("the lead unit finds %v by the summary, want the one demand", got)
	}
	signed := h.do(handler, "/orders/"+id, "sign", "")
	if signed.text("phase") != "signed" {
		t.Errorf("signed: %s", signed.raw)
	}
	file := h.want(h.get(handler, strings.Replace(path, "demands", "cases", 1)), 200, "")
	if n := len(file.json["streams"].([]any)); n != 2 || strings.Contains(string(file.raw), "gcenc1.") || !strings.Contains(string(file.raw), `{"sealed":true}`) {
		t.Errorf("case file of %d streams, want two, sealed fields closed: %s", n, file.raw)
	}
	secret := h.accepted("report")
	h.do(street, secret, "fast-track", `{"reason":"confidential_report","route":{"order":{"lead":"150105-d01"}}}`)
	h.want(h.get(handler, secret), 404, "not_found")
}

// An order of a report (举报) is known to the level that dispatched it and those above, who lead, check and audit there, and at the desks
// that work on it: not to everybody in the place where it lies, for whom it complains of may sit there.
func TestAnOrderOfAReportIsKnownToFewPeople(t *testing.T) {
	h := open(t)
	overseers := []orgs.Role{orgs.Dispatcher, orgs.StreetLeader, orgs.UnitHead, orgs.Supervisor, orgs.Arbiter, orgs.Auditor, orgs.PrivacyOfficer, orgs.Verifier, orgs.CallbackAgent}
	desks := []orgs.Role{orgs.Handler, orgs.UnitHead, orgs.GridWorker, orgs.GridSecretary, orgs.Clerk, orgs.CommunitySecretary, orgs.Dispatcher, orgs.StreetLeader}
	confidants := []orgs.Role{orgs.Clerk, orgs.CommunitySecretary, orgs.Dispatcher, orgs.StreetLeader, orgs.Supervisor, orgs.Arbiter, orgs.Auditor, orgs.PrivacyOfficer}
	above := map[orgs.UnitCode][]orgs.UnitCode{ // the seats whose reach has the dispatching unit
		district: {district, city, hotline, oversight}, community: {community, street, district, city, hotline, oversight}}
	type filed struct {
		demand, order string
		by, lead      orgs.UnitCode
	}
	file := func(kind string, by orgs.UnitCode, role orgs.Role, lead orgs.UnitCode) filed {
		path := h.accepted(kind)
		reason := map[string]string{"report": "confidential_report", "issue": `statutory_duty","citation":"第八条`}[kind]
		r := h.do(h.key(role, by), path, "fast-track", `{"reason":"`+reason+`","route":{"order":{"lead":"`+string(lead)+`"}}}`)
		f := filed{path, r.json["orders"].([]any)[0].(string), by, lead}
		h.do(h.key(orgs.Supervisor, district), "/orders/"+f.order, "issue-supervision", `{"reason":"抓紧办理"}`)
		return f
	}
	reports := []filed{file("report", district, orgs.Dispatcher, bureau), file("report", community, orgs.Clerk, grid)}
	ordinary := file("issue", district, orgs.Dispatcher, bureau)
	h.wait(60 * 24 * time.Hour)
	lifted(h) // onto the board
	cells, shown := 0, 0
	for _, role := range orgs.Roles() {
		for _, seat := range []orgs.UnitCode{grid, community, sibling, street, district, city, oversight, bureau} {
			key := h.key(role, seat)
			if role == orgs.Operator || role == orgs.Resident || role == orgs.Channel {
				h.want(h.get(key, "/orders/"+reports[0].order), 404, "not_found")
				continue
			}
			holds := map[string]string{"the list": string(h.get(key, "/orders?limit=200").raw), "the lead's list": string(h.get(key, "/orders?lead="+string(bureau)).raw),
				"the list by kind": string(h.get(key, "/orders?kind=report").raw), "the clocks": string(h.get(key, "/views/deadlines?kind=order&limit=200").raw),
				"the board": string(h.get(key, "/views/escalation?kind=order&limit=200").raw), "the supervisions": string(h.get(key, "/views/supervisions?limit=200").raw)}
			if r := h.get(key, "/events?type=order-dispatched/1&limit=200"); r.StatusCode == 200 {
				holds["the feed"] = string(r.raw)
			}
			for _, f := range reports {
				sees := slices.Contains(overseers, role) && slices.Contains(above[f.by], seat) || slices.Contains(desks, role) && (seat == f.by || seat == f.lead)
				want := http.StatusNotFound
				if sees {
					want, shown = http.StatusOK, shown+1
				}
				for _, path := range []string{"/orders/" + f.order, "/orders/" + f.order + "/due"} {
					if r := h.get(key, path); r.StatusCode != want {
						t.Errorf("%s@%s reads %s, dispatched by %s to %s: got %d, want %d", role, seat, path, f.by, f.lead, r.StatusCode, want)
					}
				}
				for where, raw := range holds {
					if (where == "the board" || where == "the supervisions" || where == "the lead's list") && sees {
						continue // those ask about more than who may know
					}
					if where != "the list by kind" || !sees {
						if in := strings.Contains(raw, f.order); in != sees {
							t.Errorf("%s@%s: %s has the order dispatched by %s to %s: %v, want %v", role, seat, where, f.by, f.lead, in, sees)
						}
					}
				}
				if r := h.get(key, strings.Replace(f.demand, "/demands/", "/cases/", 1)); r.StatusCode == http.StatusOK {
					if !slices.Contains(confidants, role) {
						t.Errorf("%s@%s reads the case of a report", role, seat)
					}
					if in := strings.Contains(fmt.Sprint(r.json["streams"]), f.order); in != sees { // what the demand itself notes of it stays
						t.Errorf("%s@%s: the case file has the order: %v, want %v", role, seat, in, sees)
					}
				}
				if r := h.post(key, "/orders/"+f.order+"/sign", ""); !sees && r.StatusCode != 404 {
					t.Errorf("%s@%s signs an order that is not seen: %d", role, seat, r.StatusCode)
				}
				cells += 4 + len(holds)
			}
		}
	}
	for _, who := range []string{h.key(orgs.Handler, bureau), h.key(orgs.GridWorker, grid), h.key(orgs.Evaluator, district)} { // any other order is seen by place
		h.want(h.get(who, "/orders/"+ordinary.order), 200, "")
	}
	if b := string(h.get(h.key(orgs.Supervisor, district), "/views/escalation?kind=order").raw); !strings.Contains(b, reports[0].order) || !strings.Contains(b, reports[1].order) {
		t.Errorf("the supervisor's board lacks them: %s", b)
	}
	if v := string(h.get(h.key(orgs.Arbiter, district), "/views/supervisions").raw); !strings.Contains(v, reports[0].order) {
		t.Errorf("the arbiter's supervisions lack it: %s", v)
	}
	if shown < 40 {
		t.Errorf("only %d may know", shown)
	}
	t.Logf("%d cells, %d of people who may know", cells, shown)
}

// Rule R22: the unit that led the work sees the demand no more when it comes back, and learns of it on its own order and in its feed.
func TestTheFormerLeadLearnsThatADemandCameBack(t *testing.T) {
	h := open(t)
	path := h.accepted("issue")
	handler, caller := h.key(orgs.Handler, bureau), h.key(orgs.CallbackAgent, hotline)
	id := h.do(h.key(orgs.Dispatcher, district), path, "fast-track", `{"reason":"statutory_duty","citation":"第八条","route":{"order":{"lead":"150105-d01"}}}`).json["orders"].([]any)[0].(string)
	order := "/orders/" + id
	h.do(handler, order, "sign", "")
	h.do(handler, order, "record-contact", `{"demands":["`+strings.TrimPrefix(path, "/demands/")+`"],"means":"phone"}`)
	h.do(handler, order, "report-handling", `{"outcome":"resolved","answer":"已修好","summary":"已修复","account":"更换阀门"}`)
	h.do(h.key(orgs.Verifier, oversight), order, "pass-verification", `{"method":"on_site"}`)
	h.do(caller, path, "record-callback", `{"resolved":true,"grade":4}`)
	if r := h.want(h.get(handler, order), 200, ""); r.text("phase") != "closed" || r.json["demands_reopened"] != nil {
		t.Fatalf("closed: %s", r.raw)
	}
	h.do(h.key(orgs.Clerk, community), path, "reopen", `{"reason":"又不热了"}`)
	if r := h.want(h.get(handler, order), 200, ""); r.json["demands_reopened"] != 1.0 || r.text("phase") != "closed" || r.json["demands"] != nil {
		t.Errorf("the order: %s", r.raw)
	}
	h.want(h.get(handler, path), 404, "not_found") // it is with somebody else now
	feed := func(key string) (n int) {
		for _, e := range h.want(h.get(key, "/events?limit=200"), 200, "").json["items"].([]any) {
			if e := e.(map[string]any); e["type"] == "served-demand-reopened/1" && e["stream"] == "gridcase.order-"+id {
				n++
			}
		}
		return n
	}
	if ours, others := feed(handler), feed(h.key(orgs.Handler, sibling)); ours != 1 || others != 0 {
		t.Errorf("in the feed of the lead unit: %d, of somebody else: %d; want 1 and 0", ours, others)
	}
}

func TestPersonalDataIsOpenedForAPurposeAndTheReadingIsOnRecord(t *testing.T) {
	h := open(t)
	path := h.raised(h.key(orgs.Channel, hotline), raising)
	if r := h.get(h.key(orgs.Clerk, community), path); strings.Contains(string(r.raw), "居民甲") || strings.Contains(string(r.raw), "暖气") {
		t.Errorf("an ordinary reading shows personal text: %s", r.raw)
	}
	h.want(h.post(h.key(orgs.Auditor, district), path+"/personal-data", `{"purpose":"handling"}`), 403, "role_missing")
	h.want(h.post(h.key(orgs.Clerk, sibling), path+"/personal-data", `{"purpose":"handling"}`), 404, "not_found")
	h.want(h.post(h.key(orgs.Clerk, community), path+"/personal-data", `{"purpose":"curiosity"}`), 422, "invalid")
	h.want(h.post(h.key(orgs.Clerk, community), path+"/personal-data", `{"purpose":"subject_request"}`), 403, "role_missing")
	before := h.end()
	r := h.want(h.post(h.key(orgs.Clerk, community), path+"/personal-data", `{"purpose":"contact"}`), 200, "")
	if !strings.Contains(string(r.raw), "居民甲") || !strings.Contains(string(r.raw), "000-1234") {
		t.Errorf("opened: %s", r.raw)
	}
	var types []string
	for ev := range events(h, before) {
		types = append(types, ev.Type)
	}
	if !slices.Equal(types, []string{"personal-data-read/1"}) {
		t.Errorf("the log says %v, want one reading", types)
	}
}

func TestASameReporterIsKnownToThoseWhoMayKnow(t *testing.T) {
	h := open(t)
	channel := h.key(orgs.Channel, hotline)
	one, two := h.raised(channel, raising), h.raised(channel, strings.Replace(raising, "三天", "五天", 1))
	h.raised(channel, strings.Replace(strings.Replace(raising, "000-1234", "000-9999", 1), "居民甲", "居民乙", 1))
	query := "/demands?same_reporter_as=" + strings.TrimPrefix(one, "/demands/")
	deadline := time.Now().Add(5 * time.Second) // the search takes demands in just behind the views
	for {
		got := h.ids(h.key(orgs.Clerk, community), query)
		if len(got) == 2 && slices.Contains(got, strings.TrimPrefix(two, "/demands/")) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %v, want both demands of the resident and no other", got)
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.want(h.get(h.key(orgs.Auditor, district), query), 403, "role_missing")
	h.want(h.get(h.key(orgs.Verifier, district), query), 403, "role_missing")
}

// follow reads n messages of the feed as server-sent events, from an id on.
func (h *house) follow(key, last string, n int) (ids []string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.web.URL+"/api/v1/events", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("X-Accel-Buffering") != "no" {
		h.t.Fatalf("feed: %d %v", res.StatusCode, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	for len(ids) < n && lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) < n {
		h.t.Errorf("the feed ended after %d of %d messages: %v", len(ids), n, lines.Err())
	}
	return ids
}

func TestAReaderOfTheFeedWhoComesBackMissesNothingAndGetsNothingTwice(t *testing.T) {
	h := open(t, func(c *api.Config) { c.Limits.Streams = 100 })
	auditor, channel := h.key(orgs.Auditor, city), h.key(orgs.Channel, hotline)
	h.want(h.get(auditor, "/demands"), 200, "")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 40 {
			h.post(channel, "/demands", raising)
		}
	}()
	var all []string
	last := ""
	for _, n := range []int{1, 7, 20, 13} {
		got := h.follow(auditor, last, n)
		all = append(all, got...)
		last = all[len(all)-1]
	}
	<-done
	h.settle()
	var want []string
	for ev := range events(h, 0) {
		want = append(want, ev.Position.String())
	}
	if !slices.Equal(all, want[:len(all)]) {
		t.Errorf("read %v, the log holds %v", all, want)
	}
	var paged []string
	for after := ""; ; {
		r := h.want(h.get(auditor, "/events?limit=9&after="+after), 200, "")
		for _, i := range r.json["items"].([]any) {
			paged = append(paged, i.(map[string]any)["position"].(string))
		}
		after = r.text("next")
		if r.json["live"] == true {
			break
		}
	}
	if !slices.Equal(paged, want) {
		t.Errorf("paged %d events, the log holds %d", len(paged), len(want))
	}
	clerk := h.key(orgs.Clerk, sibling)
	r := h.want(h.get(clerk, "/events?limit=200"), 200, "")
	if strings.Contains(string(r.raw), "demand-raised") || strings.Contains(string(r.raw), "role-granted") {
		t.Errorf("the feed shows another community's cases, or the log's own streams: %s", r.raw)
	}
	h.want(h.get(h.key(orgs.Resident, community), "/events"), 403, "role_missing")
}

func TestStreamsOfOneKeyAreCappedAndDrainingEndsThem(t *testing.T) {
	h := open(t, func(c *api.Config) { c.Limits.Streams = 1 })
	auditor := h.key(orgs.Auditor, city)
	req, _ := http.NewRequest(http.MethodGet, h.web.URL+"/api/v1/events?after="+h.end().String(), nil)
	req.Header.Set("Authorization", "Bearer "+auditor)
	req.Header.Set("Accept", "text/event-stream")
	res, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	h.want(h.get(auditor, "/events", "Accept", "text/event-stream"), 429, "rate_limited")
	h.want(h.call("", "GET", "/readyz", ""), 200, "")
	h.server.Drain()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(res.Body); s.Scan(); {
		}
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the stream goes on after draining began")
	}
	if r := h.call("", "GET", "/readyz", ""); r.StatusCode != 503 || r.json["reasons"] != nil {
		t.Errorf("draining, to a stranger: %d %s, want 503 without reasons", r.StatusCode, r.raw)
	}
	if r := h.call(h.key(orgs.Operator, city), "GET", "/readyz", ""); r.StatusCode != 503 || !strings.Contains(string(r.raw), "draining") {
		t.Errorf("draining, to an operator: %d %s, want the reason", r.StatusCode, r.raw)
	}
}

func TestTooManyRequestsOfOneKeyAreTurnedAwayForAWhile(t *testing.T) {
	h := open(t, func(c *api.Config) {
		c.Limits.Rate, c.Limits.Burst, c.Limits.OpenRate, c.Limits.OpenBurst = 0.5, 2, 0.5, 2
	})
	clerk := h.key(orgs.Clerk, community)
	for range 2 {
		h.want(h.get(clerk, "/demands"), 200, "")
		h.want(h.get("", "/track/0000-0000-0000-0000"), 404, "not_found")
	}
	for _, r := range []reply{h.get(clerk, "/demands"), h.get("", "/track/0000-0000-0000-0000")} {
		if h.want(r, 429, "rate_limited"); r.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	h.want(h.get(h.key(orgs.Clerk, sibling), "/demands"), 200, "") // another key is another bucket
}

func TestEveryCommandOfAPersonIsOfferedAndDescribed(t *testing.T) {
	h := open(t)
	text := h.document()
	offered := func(machine string, possible map[string]bool) {
		for c := range possible {
			if !strings.Contains(text, "  /api/v1/"+machine+"s/{id}/"+c+":") {
				t.Errorf("the %s command %q has no route", machine, c)
			}
		}
	}
	offered("demand", people(&demand.Machine, "raise"))
	offered("topic", people(&topic.Machine, "propose"))
	offered("order", people(&order.Machine, "dispatch"))
	offered("dispute", people(&dispute.Machine, "open"))
	offered("whistle", people(&whistle.Machine, "blow"))
	offered("admission", people(&admission.Machine, "request"))
}

// people lists the commands of a machine that somebody other than the process manager may give.
func people[S ~string](m *rule.Machine[S], but string) map[string]bool {
	cs := map[string]bool{}
	for _, s := range append(m.States, "") {
		for _, c := range m.Possible(s) {
			if c != but {
				cs[c] = true
			}
		}
	}
	return cs
}

// full is a log whose disk may fill up.
type full struct {
	eventlog.Log
	is bool
}

func (f *full) Health() error {
	if f.is {
		return eventlog.ErrFull
	}
	return nil
}

func TestALogThatTakesNothingIsNotReadyAndIsCounted(t *testing.T) {
	log := &full{}
	h := openOn(t, func(h *house) eventlog.Log { log.Log = mem.Open(mem.WithClock(h.clock)); return log }, steady)
	for _, c := range []struct {
		full    bool
		status  int
		metrics string
	}{{false, 200, "1"}, {true, 503, "0"}, {false, 200, "1"}} {
		log.is = c.full
		h.want(h.call("", "GET", "/livez", ""), 200, "")
		h.want(h.call("", "GET", "/readyz", ""), c.status, "")
		if metrics := string(h.call("", "GET", "/metrics", "").raw); !strings.Contains(metrics, "\ngridcase_log_writable "+c.metrics+"\n") {
			t.Errorf("disk full %t: gridcase_log_writable is not %s", c.full, c.metrics)
		}
	}
}

// An alert on what rises sees a first occurrence only if the counter was there before.
func TestWhatAlertsWatchIsCountedFromNothing(t *testing.T) {
	h := open(t)
	metrics := string(h.call("", "GET", "/metrics", "").raw)
	for _, line := range []string{`gridcase_requests_shed_total{reason="queue"} 0`, `gridcase_escalations_total{level="4"} 0`, `gridcase_views_failures_total{view="demands"} 0`,
		`gridcase_deadlines_fired_total{kind="expiry"} 0`, `gridcase_consequences_parked_total{rule="clock"} 0`, "gridcase_views_gaps_total 0"} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}

// TestEveryMetricOfOperationIsShown holds the list of RELIABILITY §4 against what a node shows once each thing happened. gridcase_relay_parked is
// that of a server with relays: cmd/gridcase.
func TestEveryMetricOfOperationIsShown(t *testing.T) {
	h := open(t)
	r := h.want(h.post(h.key(orgs.Channel, hotline), "/demands", raising), 201, "")
	h.settle()
	h.want(h.post(h.key(orgs.Clerk, community), "/demands/"+r.text("id")+"/personal-data", `{"purpose":"contact"}`), 200, "")
	if _, err := h.log.Append(t.Context(), "gridcase.demand-"+uuid.NewString(), eventlog.None, eventlog.Fact{ID: uuid.New(), Type: "demand-dreamt/9", Data: []byte("{}"),
		Meta: event.EncodeMeta(event.Meta{Actor: "x", Recorded: h.clock()})}); err != nil {
		t.Fatal(err)
	}
	h.settle()
	shown := map[string]string{} // the labels of a series, by its name
	for _, m := range regexp.MustCompile(`(?m)^([a-z_]+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? `).FindAllStringSubmatch(string(h.call("", "GET", "/metrics", "").raw), -1) {
		shown[m[1]] += " " + m[2]
	}
	for name, labels := range map[string]string{
		"http_request_duration_seconds": "route method code", "requests_shed_total": "reason", "commands_total": "command outcome", "append_duration_seconds": "",
		"events_appended_total": "type", "append_conflicts_total": "", "append_group_size": "", "append_unknown_outcomes_total": "", "log_position": "",
		"subscription_reconnects_total": "", "views_position": "file", "views_lag_seconds": "", "views_live": "", "views_batch_events": "", "views_apply_seconds": "",
		"views_failures_total": "view", "views_quarantined": "view", "views_gaps_total": "", "views_unknown_events_total": "type", "views_rebuild_progress_ratio": "",
		"deadline_overdue_cases": "level", "escalations_total": "level", "clock_skew_seconds": "", "pii_reads_total": "purpose", "build_info": "",
	} {
		has, there := shown["gridcase_"+name]
		if !there {
			t.Errorf("/metrics lacks gridcase_%s", name)
		}
		for _, l := range strings.Fields(labels) {
			if !strings.Contains(has, l+"=") {
				t.Errorf("gridcase_%s lacks the label %s: %s", name, l, has)
			}
		}
	}
	// What measures a part that does not exist yet comes with it, and moves up into the list.
	for _, name := range []string{"integrity_tree_size", "integrity_unsealed_events", "integrity_last_seal_timestamp_seconds", "integrity_violations_total",
		"integrity_scrub_timestamp_seconds", "witness_cosignatures_total", "erasures_total", "backup_last_success_timestamp_seconds"} {
		if _, there := shown["gridcase_"+name]; there {
			t.Errorf("gridcase_%s is shown now: hold it against the list", name)
		}
	}
}

func TestMetricsAreWellFormedAndNothingPersonalIsLoggedOrCounted(t *testing.T) {
	h := open(t)
	const sentinel = "哨兵甲乙丙"
	body := strings.NewReplacer("供热不足", sentinel, "家里暖气不热，已三天", sentinel+"文本", "居民甲", sentinel+"姓名", "000-1234", "139-sentinel").Replace(raising)
	r := h.want(h.post(h.key(orgs.Channel, hotline), "/demands", body), 201, "")
	h.settle()
	path := "/demands/" + r.text("id")
	h.want(h.post(h.key(orgs.Channel, hotline), "/demands", strings.Replace(body, `"issue"`, `"`+sentinel+`"`, 1)), 422, "invalid")
	h.want(h.get("", "/track/"+r.text("tracking")), 200, "")
	h.want(h.post(h.key(orgs.Clerk, community), path+"/personal-data", `{"purpose":"contact"}`), 200, "")
	metrics := string(h.call("", "GET", "/metrics", "").raw)
	problems, err := promlint.New(strings.NewReader(metrics)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	for _, name := range []string{"gridcase_http_request_duration_seconds", "gridcase_commands_total", "gridcase_append_duration_seconds",
		"gridcase_events_appended_total", "gridcase_log_position", "gridcase_build_info", "gridcase_pii_reads_total", "gridcase_views_position",
		"gridcase_views_live", "gridcase_views_lag_seconds", "gridcase_views_quarantined", "gridcase_views_batch_events", "gridcase_views_apply_seconds", "gridcase_views_rebuild_progress_ratio",
		"gridcase_append_group_size", "gridcase_append_unknown_outcomes_total", "gridcase_subscription_reconnects_total", "gridcase_append_conflicts_total", "gridcase_clock_skew_seconds", "gridcase_flow_lag_seconds 0", "gridcase_flow_parked 0", `gridcase_deadline_overdue_cases{level="4"} 0`} {
		if !strings.Contains(metrics, "\n"+name) && !strings.HasPrefix(metrics, name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	code := r.text("tracking")
	for where, text := range map[string]string{"the log of the server": h.logged.String(), "the metrics": metrics} {
		for _, s := range []string{sentinel, "139-sentinel", code, strings.TrimPrefix(path, "/demands/")} {
			if strings.Contains(text, s) {
				t.Errorf("%s holds %q", where, s)
			}
		}
	}
	for ev := range events(h, 0) {
		if strings.Contains(string(ev.Data)+string(ev.Meta), sentinel) || strings.Contains(string(ev.Data), code) {
			t.Errorf("event %s holds it in the clear", ev.Type)
		}
	}
	if !strings.Contains(h.logged.String(), `"route":"/api/v1/track/:code"`) {
		t.Errorf("the access log does not name the route: %s", h.logged.String())
	}
}

func TestAnOperatorKeepsUnitsAndGrids(t *testing.T) {
	h := open(t)
	operator := h.key(orgs.Operator, city)
	h.want(h.post(operator, "/units", `{"code":"150105004","name":"新街道","kind":"street","parent":"150105"}`), 201, "")
	h.want(h.post(operator, "/units", `{"code":"150105004001","name":"新社区","kind":"community","parent":"150105004"}`), 201, "")
	r := h.want(h.post(operator, "/communities/150105004001/grids", `{"grid":"150105004001001","name":"一网格","households":900,"buildings":3,"stairwells":9,"urban":true}`), 201, "")
	if r.text("warning") == "" {
		t.Errorf("a grid of 900 households without a remark: %s", r.raw)
	}
	h.want(h.post(operator, "/communities/150105004001/grids", `{"grid":"150105004001002","name":"二","households":300,"buildings":3,"stairwells":9,"urban":true}`), 428, "if_match_missing")
	h.want(h.post(operator, "/communities/150105004001/grids", `{"grid":"150105004001002","name":"二","households":300,"buildings":3,"stairwells":9,"urban":true}`, "If-Match", `"0"`), 201, "")
	h.want(h.post(operator, "/communities/150105004001/grids/150105004001002/appoint-grid-worker", `{"worker":"w-7","duty":"lead","full_time":true}`, "If-Match", `"1"`), 200, "")
	h.want(h.post(operator, "/units/150105004/rename", `{"name":"新城街道"}`, "If-Match", `"0"`), 200, "")
	if u := h.want(h.get(operator, "/units/150105004"), 200, ""); u.text("name") != "新城街道" {
		t.Errorf("renamed: %s", u.raw)
	}
	if l := h.want(h.get(h.key(orgs.Clerk, community), "/units?within=150105004&count=true"), 200, ""); l.json["count"] != 2.0 {
		t.Errorf("units within the street: %s", l.raw)
	}
	h.want(h.post(h.key(orgs.Clerk, community), "/units", `{"code":"150105005","name":"x","kind":"street","parent":"150105"}`), 403, "role_missing")
	h.want(h.post(operator, "/units", `{"code":"150105004","name":"又一个","kind":"street","parent":"150105"}`), 409, "wrong_state")
	h.want(h.get(operator, "/demands"), 403, "role_missing")
}
