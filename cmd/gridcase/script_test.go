package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gridcase/api"
	"gridcase/api/access"
	"gridcase/api/apitest"
	"gridcase/cmd/gridcase/city"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

// The whole life of demands over HTTP, on the real log, with every answer checked against the description: three demands
// that become one topic, and one of each way around it.
func TestDemandsGoFromRaisedOverTopicAndGridToClosed(t *testing.T) { onEveryLog(t, fromRaisedToClosed) }

func fromRaisedToClosed(t *testing.T, s *town) {
	resident := func(n int) string { return s.as(orgs.Resident, s.community, n) }
	clerk, convenor, secretary := s.as(orgs.Clerk, s.community), s.as(orgs.Convenor, s.community), s.as(orgs.CommunitySecretary, s.community)
	street, leader, district := s.as(orgs.Dispatcher, s.street), s.as(orgs.StreetLeader, s.street), s.as(orgs.Dispatcher, s.district)
	worker, neighbour := s.as(orgs.GridWorker, s.grids[0].Unit()), s.as(orgs.GridWorker, s.grids[1].Unit())
	handler, verifier, agent := s.as(orgs.Handler, s.department), s.as(orgs.Verifier, s.street+"-oversight"), s.as(orgs.CallbackAgent, s.hotline)

	// 居民点题: three residents raise one matter, and the community takes each of them on.
	var demands []string
	for n, text := range []string{"三号楼的车棚漏雨", "车棚一下雨就积水", "车棚顶坏了很久"} {
		d := s.raise(resident(n+1), "issue", text)
		s.accept(d, "issue", "D")
		demands = append(demands, d)
	}
	ids := func(demands ...string) string {
		b, _ := json.Marshal(identifiers(demands...)) // a list of strings always has a JSON form
		return string(b)
	}

	// 群众议题: two topics turn out to be one, which is announced, talked over, voted on and adopted.
	propose := `{"kind":"ordinary","source":"residents","title":%q,"unit":%q,"matter":"170101","demands":%s}`
	topic := s.create(convenor, "/topics", fmt.Sprintf(propose, "修缮车棚", s.community, ids(demands[:2]...)))
	twin := s.create(clerk, "/topics", fmt.Sprintf(propose, "更换车棚顶板", s.community, ids(demands[2])))
	s.phase(demands[2], "in_topic", "topic", identifiers(twin)[0])
	s.do(convenor, twin, "merge", fmt.Sprintf(`{"target":%q,"reason":"同一事项"}`, identifiers(topic)[0]))
	s.phase(demands[2], "in_topic", "topic", identifiers(topic)[0])
	meeting := func(in time.Duration) string {
		return fmt.Sprintf(`{"format":"pavilion","place":"议事亭","meeting_at":%q}`, s.clock().Add(in).Format(time.RFC3339))
	}
	held := `{"format":"pavilion","venue":"议事亭","minutes":"` + digest("minutes") + `","attendees":[{"capacity":"residents","number":23}],"summary":"同意更换"}`
	s.refused(convenor, topic, "open-deliberation", meeting(24*time.Hour), 409, "guard_failed") // three days' notice
	s.do(convenor, topic, "open-deliberation", meeting(5*24*time.Hour))
	s.refused(convenor, topic, "open-vote", s.vote(time.Hour), 409, "guard_failed") // before anybody met
	s.wait(5*24*time.Hour + 2*time.Hour)
	s.do(convenor, topic, "hold-deliberation", held)
	s.do(convenor, topic, "open-vote", s.vote(3*24*time.Hour))
	electorate := s.number(topic, "vote.electorate")
	counted := fmt.Sprintf(`{"cast":%d,"counts":[%d,%d],"ballots":%q}`, electorate-10, electorate-30, 20, digest("ballots"))
	s.refused(convenor, topic, "close-vote", counted, 409, "guard_failed") // while it runs
	s.wait(3*24*time.Hour + time.Hour)
	s.do(convenor, topic, "close-vote", counted)
	target := s.clock().AddDate(0, 0, 40).Format(time.DateOnly)
	plan := fmt.Sprintf(`{"items":[{"lead":%q,"matter":"170101","target":%q,"task":"清理车棚"},{"lead":%q,"matter":"170101","target":%q,"task":"更换顶板"}],`+
		`"budget":1200000,"summary":"更换车棚顶板"}`, s.grids[0], target, s.department, target)
	s.refused(secretary, topic, "adopt", plan, 403, "second_person_required")
	s.both(secretary, convenor, topic, "adopt", plan)

	// 网格办题: an order for the grid worker and one for the department; neither goes straight.
	s.do(street, topic, "hand-to-grid", "")
	orders := s.list(topic, "orders", "/orders/")
	if len(orders) != 2 {
		t.Fatalf("the topic has the orders %v, want two", orders)
	}
	cleaning, roof := orders[0], orders[1]
	if s.text(cleaning, "lead") != string(s.grids[0]) {
		cleaning, roof = roof, cleaning
	}
	for _, d := range demands {
		s.phase(d, "in_handling", "topic", identifiers(topic)[0])
	}
	back := `{"reason":"不属于本单位职责","basis":"职责清单第一条","suggested":%q}`
	s.do(worker, cleaning, "request-return", fmt.Sprintf(back, s.grids[1]))
	s.refused(street, cleaning, "approve-return", `{}`, 403, "outside_jurisdiction") // whoever dispatched does not rule on it
	s.do(district, cleaning, "approve-return", `{"reason":"确属邻格"}`)
	s.do(street, cleaning, "redispatch", fmt.Sprintf(`{"lead":%q}`, s.grids[1]))
	s.do(handler, roof, "request-return", fmt.Sprintf(back, s.district+"-d02"))
	s.do(district, roof, "refuse-return", `{"reason":"按职责清单应由本单位办理"}`)
	s.do(neighbour, cleaning, "sign", "")
	s.phase(roof, "signed")
	contact := fmt.Sprintf(`{"demands":%s,"means":"phone"}`, ids(demands...))
	s.do(neighbour, cleaning, "record-contact", contact)
	s.do(handler, roof, "record-contact", contact)

	due := s.due(roof, "handle")
	s.do(handler, roof, "request-extension", `{"amount":3,"reason":"材料采购周期较长","residents_told":true}`)
	s.do(leader, roof, "grant-extension", `{"reason":"情况属实"}`)
	if later := s.due(roof, "handle"); !later.After(due) {
		t.Errorf("extended, the order is due %s, before %s", later, due)
	}
	review := fmt.Sprintf(`{"reason":"season","basis":"雨季","review_on":%q}`, s.clock().AddDate(0, 0, 10).Format(time.DateOnly))
	s.refused(handler, roof, "suspend", review, 403, "second_person_required")
	s.both(handler, leader, roof, "suspend", review)
	s.wait(9 * 24 * time.Hour)
	s.do(handler, roof, "resume", "")

	report := `{"outcome":"resolved","answer":"车棚顶板已更换","summary":"车棚已修好","account":"更换顶板十二块"}`
	s.do(neighbour, cleaning, "report-handling", report)
	s.do(verifier, cleaning, "pass-verification", `{"method":"photo"}`)
	s.do(handler, roof, "report-handling", report)
	s.do(verifier, roof, "fail-verification", `{"reason":"仍有漏雨","method":"on_site"}`)
	s.phase(roof, "handling")
	for _, d := range demands {
		s.phase(d, "in_handling")
	}
	s.do(handler, roof, "report-handling", report)
	s.refused(s.as(orgs.Verifier, s.department), roof, "pass-verification", `{"method":"on_site"}`, 403, "outside_jurisdiction") // nobody verifies the own work
	s.do(verifier, roof, "pass-verification", `{"method":"on_site"}`)
	for _, d := range demands {
		s.phase(d, "answered", "outcome", "resolved")
	}

	// 回访: two residents are content; the third is right to complain, and the roof is done again.
	satisfied := `{"resolved":true,"grade":5}`
	s.do(agent, demands[0], "record-callback", satisfied)
	s.do(agent, demands[1], "record-callback", satisfied)
	s.refused(agent, demands[2], "record-callback", `{"resolved":false,"grade":1,"reason":"居民不满"}`, 403, "second_person_required") // closing against the verdict
	s.do(agent, demands[2], "record-callback", fmt.Sprintf(`{"resolved":false,"grade":1,"merit":true,"words":"还是漏","reason":"未彻底解决","order":%q}`, identifiers(roof)[0]))
	s.phase(demands[2], "in_handling")
	s.phase(roof, "handling")
	s.do(handler, roof, "report-handling", report)
	s.do(verifier, roof, "pass-verification", `{"method":"on_site"}`)
	s.phase(demands[2], "answered")
	s.do(agent, demands[2], "record-callback", satisfied)
	s.phase(cleaning, "closed")
	s.phase(roof, "closed")
	s.refused(secretary, topic, "conclude", `{"summary":"车棚已修好"}`, 409, "guard_failed") // no result was published
	s.do(secretary, topic, "publish-result", fmt.Sprintf(`{"text":"更换顶板十二块","orders":[%q]}`, identifiers(roof)[0]))
	s.do(secretary, topic, "conclude", `{"summary":"车棚已修好"}`)
	s.phase(topic, "concluded")

	// 重新提出: one resident is back within the month; the second round waives the topic, and says why.
	s.wait(6 * 24 * time.Hour)
	s.do(resident(1), demands[0], "reopen", `{"reason":"又漏了"}`)
	s.phase(demands[0], "accepted")
	s.carryOut(demands[0], "reopened_round")

	// 直办: an errand needs no deliberation.
	errand := s.raise(resident(4), "errand", "请帮忙代缴水费")
	s.accept(errand, "errand", "C")
	s.carryOut(errand, "errand")

	// 不予受理: declined by two, taken on after all because the street upholds the appeal.
	declined := s.raise(resident(5), "errand", "请上门换灯泡")
	refusal := `{"reason":"no_demand","citation":"工作规则第三条","instead":"物业服务中心"}`
	s.refused(clerk, declined, "decline", refusal, 403, "second_person_required")
	s.both(clerk, secretary, declined, "decline", refusal)
	s.phase(declined, "declined")
	s.do(resident(5), declined, "file-appeal", `{"reason":"物业不管"}`)
	s.do(street, declined, "uphold-appeal", `{"reason":"应予受理"}`)
	s.accept(declined, "errand", "C")
	s.carryOut(declined, "errand")

	// 转其他渠道, 撤回.
	redirected := s.raise(resident(6), "consult", "公积金怎么提取")
	s.do(clerk, redirected, "redirect", `{"target":"公积金中心","receipt":"GJJ-0001"}`)
	withdrawn := s.raise(resident(7), "errand", "请帮忙搬家具")
	s.accept(withdrawn, "errand", "C")
	s.do(clerk, withdrawn, "fast-track", fmt.Sprintf(`{"reason":"errand","route":{"order":{"lead":%q}}}`, s.grids[0]))
	s.do(resident(7), withdrawn, "withdraw", `{"note":"不用了"}`)
	s.phase(s.list(withdrawn, "orders", "/orders/")[0], "cancelled")

	// 矛盾纠纷: mediated at the community, agreed, kept.
	quarrel := s.raise(resident(8), "dispute", "楼上邻居夜里很吵")
	s.accept(quarrel, "dispute", "D")
	s.do(clerk, quarrel, "fast-track", `{"reason":"private_dispute","route":{"dispute":2}}`)
	dispute := "/disputes/" + s.text(quarrel, "dispute")
	mediator := s.as(orgs.Mediator, s.community)
	s.do(mediator, dispute, "accept-mediation", `{"consent":true}`)
	s.do(mediator, dispute, "record-agreement", fmt.Sprintf(`{"agreement":%q,"fulfil_on":%q,"summary":"约定夜间安静"}`,
		digest("agreement"), s.clock().AddDate(0, 0, 10).Format(time.DateOnly)))
	s.phase(quarrel, "answered", "outcome", "resolved")
	s.do(agent, quarrel, "record-callback", `{"resolved":true,"grade":4}`)
	s.do(mediator, dispute, "record-fulfilment", "")
	s.phase(dispute, "fulfilled")

	// The own stream of each demand tells its whole story, to the resident who raised it and to whoever reads the feed.
	const handled, callback = "demand-answered/1 done", "callback-recorded/1 done"
	begun := []string{"demand-raised/1 raised", "demand-accepted/1 raised"}
	linked := append(slices.Clone(begun), "demand-linked-to-topic/1 topic")
	entered := []string{"demand-entered-handling/1 handling", handled}
	direct := []string{"demand-fast-tracked/1 handling", handled, callback}
	for i, c := range []struct {
		demand string
		story  []string
		waiver string
	}{
		{demands[0], slices.Concat(linked, entered, []string{callback, "demand-reopened/1 raised"}, direct), "reopened_round"},
		{demands[1], slices.Concat(linked, entered, []string{callback}), ""},
		{demands[2], slices.Concat(linked, []string{"demand-unlinked-from-topic/1 raised", "demand-linked-to-topic/1 topic"}, entered,
			[]string{"callback-recorded/1 handling", handled, callback}), ""},
		{errand, slices.Concat(begun, direct), "errand"},
		{declined, slices.Concat([]string{"demand-raised/1 raised", "demand-declined/1 done", "decline-appeal-filed/1 done", "decline-appeal-upheld/1 raised"},
			begun[1:], direct), "errand"},
		{redirected, []string{"demand-raised/1 raised", "demand-redirected/1 done"}, ""},
		{withdrawn, slices.Concat(begun, []string{"demand-fast-tracked/1 handling", "demand-withdrawn/1 done"}), "errand"},
		{quarrel, slices.Concat(begun, direct), "private_dispute"},
	} {
		own := s.story(s.want(s.get(resident(i+1), "/cases/"+identifiers(c.demand)[0]), 200, "").at("events"))
		feed := s.story(s.feed(clerk, s.stream(c.demand)))
		if !slices.Equal(own.steps, c.story) {
			t.Errorf("the stream of demand %d tells\n\t%s\nwant\n\t%s", i, strings.Join(own.steps, "\n\t"), strings.Join(c.story, "\n\t"))
		}
		if own.waiver != c.waiver {
			t.Errorf("demand %d says that its topic was waived for %q, want %q", i, own.waiver, c.waiver)
		}
		if !slices.Equal(own.ids, feed.ids) {
			t.Errorf("of demand %d the case file has %d events, the feed %d, or others", i, len(own.ids), len(feed.ids))
		}
	}
	for _, path := range []string{demands[0], demands[1], demands[2], errand, declined, quarrel} {
		s.phase(path, "closed")
	}
	s.sound()
}

// town is a street of the demo city served over HTTP on the real log, with a clock that stands still until it is moved.
type town struct {
	t          *testing.T
	dir        string
	log        string // connection string; "": the log is in the folder
	house      *house
	access     *access.Store
	registry   *prometheus.Registry
	url        string
	client     *http.Client
	shut       func()
	community  orgs.UnitCode
	grids      []orgs.GridCode
	street     orgs.UnitCode
	district   orgs.UnitCode
	hotline    orgs.UnitCode // of the district
	department orgs.UnitCode

	mu     sync.Mutex
	now    time.Time
	serial int
	keys   map[string]string
}

// openTown makes a folder with the units of a street and no demand, and serves it until the test ends.
func openTown(t *testing.T) *town {
	t.Helper()
	dir := t.TempDir()
	if err := seedFolder(t.Context(), dir, streams{out: io.Discard, err: io.Discard}, seeding{size: city.Street, seed: 1}); err != nil {
		t.Fatal(err)
	}
	return serveTown(t, dir, slog.New(slog.DiscardHandler))
}

// serveTown serves a folder that has the units of the demo city. The clock begins on Monday, 3 March 2025, 10:00.
func serveTown(t *testing.T, dir string, logger *slog.Logger) *town {
	t.Helper()
	return serveTownOn(t, dir, "", logger)
}

// serveTownOn serves a folder whose log is where a connection string says.
func serveTownOn(t *testing.T, dir, log string, logger *slog.Logger, change ...func(*houseOptions)) *town {
	t.Helper()
	s := &town{t: t, dir: dir, log: log, registry: prometheus.NewRegistry(), now: time.Date(2025, 3, 3, 2, 0, 0, 0, time.UTC), keys: map[string]string{}}
	ctx, metrics := context.Background(), api.NewMetrics(s.registry)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	o := houseOptions{log: log, keep: true, now: s.clock, logger: logger,
		observe: metrics.Engine(), views: metrics.Views(), resubscribed: metrics.Resubscribed, grouped: metrics.Grouped}
	for _, f := range change {
		f(&o)
	}
	s.house, err = openHouse(ctx, dir, streams{out: io.Discard, err: io.Discard}, o)
	must(err)
	s.access, err = access.Open(ctx, filepath.Join(dir, "access.db"))
	must(err)
	server, err := api.New(api.Config{Engine: s.house.engine, Views: s.house.views, Access: s.access, Log: s.house.log, Keys: s.house.keys,
		Registry: s.registry, Metrics: metrics, Logger: logger, Version: "test", Now: s.clock})
	must(err)
	document, err := server.OpenAPI()
	must(err)
	described, err := apitest.Parse(document)
	must(err)
	web := httptest.NewServer(server)
	s.url = web.URL
	s.client = &http.Client{Transport: described.Transport(&http.Transport{MaxIdleConnsPerHost: 64}, func(err error) { t.Error(err) })}
	s.shut = sync.OnceFunc(func() {
		s.client.CloseIdleConnections()
		server.Drain()
		web.Close()
		must(s.access.Close())
		must(s.house.close())
	})
	t.Cleanup(func() { s.shut() })
	units := s.house.engine.Units()
	post := func(r orgs.Role) orgs.UnitCode {
		u, found := demoPost(units, r)
		if !found {
			t.Fatalf("the town has no post for a %s", r)
		}
		return u.Code
	}
	s.community, s.street, s.department, s.hotline = post(orgs.Clerk), post(orgs.Dispatcher), post(orgs.Handler), post(orgs.CallbackAgent)
	s.district, _ = units.Ancestor(s.community, orgs.District)
	for _, g := range units.Grids(s.community) {
		s.grids = append(s.grids, g.Code)
	}
	return s
}

func (s *town) clock() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.now }

// wait moves the clock on.
func (s *town) wait(d time.Duration) { s.mu.Lock(); defer s.mu.Unlock(); s.now = s.now.Add(d) }

// as returns the key of the n-th person, the first if none is said, who holds a role at a unit: always the same one.
func (s *town) as(role orgs.Role, unit orgs.UnitCode, n ...int) string {
	s.t.Helper()
	name := fmt.Sprint(role, unit, n)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[name] == "" {
		key, _, err := s.access.Create(context.Background(), role, unit, time.Now().Add(time.Hour))
		if err != nil {
			s.t.Fatal(err)
		}
		s.keys[name] = key
	}
	return s.keys[name]
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	raw  []byte
	json map[string]any
}

// at returns what a dotted path leads to, nil if nothing.
func (r reply) at(path string) any {
	var here any = r.json
	for name := range strings.SplitSeq(path, ".") {
		m, _ := here.(map[string]any)
		here = m[name]
	}
	return here
}

func (r reply) text(path string) string {
	text, _ := r.at(path).(string)
	return text
}

// send sends a request. Headers come in pairs.
func (s *town) send(key, method, path, body string, headers ...string) reply {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if method == http.MethodPost {
		s.mu.Lock()
		s.serial++
		req.Header.Set("Idempotency-Key", fmt.Sprintf("town-%d", s.serial))
		s.mu.Unlock()
		req.Header.Set("Content-Type", "application/json")
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	r := reply{Response: res}
	if r.raw, err = io.ReadAll(res.Body); err != nil {
		s.t.Fatal(err)
	}
	if media, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";"); strings.HasSuffix(media, "json") {
		if err := json.Unmarshal(r.raw, &r.json); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, r.raw)
		}
	}
	if res.StatusCode >= 500 {
		s.t.Errorf("%s %s: got %d %s", method, path, res.StatusCode, r.raw)
	}
	return r
}

func (s *town) post(key, path, body string, headers ...string) reply {
	s.t.Helper()
	return s.send(key, http.MethodPost, "/api/v1"+path, body, headers...)
}

func (s *town) get(key, path string) reply {
	s.t.Helper()
	return s.send(key, http.MethodGet, "/api/v1"+path, "")
}

// want stops the test unless the answer has the status, and, if it is a problem, the code.
func (s *town) want(r reply, status int, code string) reply {
	s.t.Helper()
	if r.StatusCode != status || code != "" && r.text("code") != code {
		s.t.Fatalf("%s %s: got %d %s, want %d %s", r.Request.Method, r.Request.URL.Path, r.StatusCode, r.raw, status, code)
	}
	return r
}

// settle waits until every consequence has happened and the views show it.
func (s *town) settle() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := s.house.current(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// create creates something and returns its path.
func (s *town) create(key, path, body string) string {
	s.t.Helper()
	r := s.want(s.post(key, path, body), 201, "")
	s.settle()
	return strings.TrimPrefix(r.Header.Get("Location"), "/api/v1")
}

// do gives a command to what exists, with the ETag that it has now.
func (s *town) do(key, path, command, body string, headers ...string) reply {
	s.t.Helper()
	tag := s.want(s.get(key, path), 200, "").Header.Get("ETag")
	r := s.want(s.post(key, path+"/"+command, body, append(headers, "If-Match", tag)...), 200, "")
	s.settle()
	return r
}

// refused gives a command that has to be refused, and sees to it that nothing was written for it.
func (s *town) refused(key, path, command, body string, status int, code string) {
	s.t.Helper()
	auditor := s.as(orgs.Auditor, s.district)
	before := s.want(s.get(auditor, path), 200, "").Header.Get("ETag")
	s.want(s.post(key, path+"/"+command, body, "If-Match", before), status, code)
	s.settle()
	if after := s.get(auditor, path).Header.Get("ETag"); after != before {
		s.t.Errorf("%s was refused, yet the stream went from %s to %s", command, before, after)
	}
}

// both gives a command that a second person confirms.
func (s *town) both(key, second, path, command, body string) {
	s.t.Helper()
	tag := s.want(s.get(second, path), 200, "").Header.Get("ETag")
	token := s.want(s.post(second, "/confirmations", fmt.Sprintf(`{"path":%q,"if_match":%q,"body":%s}`, "/api/v1"+path+"/"+command, tag, body)), 200, "").text("token")
	s.do(key, path, command, body, "GridCase-Confirmation", token)
}

// raise lets somebody raise a demand in the first grid.
func (s *town) raise(key, kind, text string) string {
	s.t.Helper()
	return s.create(key, "/demands", fmt.Sprintf(`{"kind":%q,"channel":"wechat","title":%q,"text":%q,"grid":%q,"reporter":{"name":"居民甲","phone":"00013800000"}}`,
		kind, text, text+"（合成）", s.grids[0]))
}

func (s *town) accept(path, kind, urgency string) {
	s.t.Helper()
	s.do(s.as(orgs.Clerk, s.community), path, "accept", fmt.Sprintf(`{"kind":%q,"matter":"170101","urgency":%q,"unit":%q,"grid":%q,"summary":"公开摘要"}`,
		kind, urgency, s.community, s.grids[0]))
}

// carryOut takes an accepted demand from the fast track to the callback. Not every order is drawn for verification.
func (s *town) carryOut(path, reason string) {
	s.t.Helper()
	worker := s.as(orgs.GridWorker, s.grids[0].Unit())
	s.do(s.as(orgs.Clerk, s.community), path, "fast-track", fmt.Sprintf(`{"reason":%q,"route":{"order":{"lead":%q}}}`, reason, s.grids[0]))
	orders := s.list(path, "orders", "/orders/")
	order := orders[len(orders)-1]
	s.do(worker, order, "sign", "")
	s.do(worker, order, "record-contact", fmt.Sprintf(`{"demands":[%q],"means":"visit"}`, identifiers(path)[0]))
	s.do(worker, order, "report-handling", `{"outcome":"resolved","answer":"已办好","summary":"已办好","account":"上门一次"}`)
	if s.text(order, "phase") == "reported" {
		s.do(s.as(orgs.Verifier, s.street+"-oversight"), order, "pass-verification", `{"method":"phone"}`)
	}
	s.phase(path, "answered")
	s.do(s.as(orgs.CallbackAgent, s.hotline), path, "record-callback", `{"resolved":true,"grade":5}`)
	s.phase(order, "closed")
}

// vote is the body that opens a vote of the community's first grids.
func (s *town) vote(closes time.Duration) string {
	return fmt.Sprintf(`{"options":["同意","不同意"],"grids":[%q,%q],"closes_at":%q}`, s.grids[0], s.grids[1], s.clock().Add(closes).Format(time.RFC3339))
}

// read reads as an auditor, who sees everything.
func (s *town) read(path string) reply {
	s.t.Helper()
	return s.want(s.get(s.as(orgs.Auditor, s.district), path), 200, "")
}

func (s *town) text(path, member string) string { s.t.Helper(); return s.read(path).text(member) }

func (s *town) number(path, member string) int {
	s.t.Helper()
	n, _ := s.read(path).at(member).(float64)
	return int(n)
}

// list returns a list of ids as paths.
func (s *town) list(path, member, prefix string) (paths []string) {
	s.t.Helper()
	ids, _ := s.read(path).at(member).([]any)
	for _, id := range ids {
		paths = append(paths, prefix+id.(string))
	}
	return paths
}

// due returns when a running clock is due.
func (s *town) due(path, clock string) time.Time {
	s.t.Helper()
	clocks, _ := s.read(path).at("clocks").([]any)
	for _, c := range clocks {
		if m := c.(map[string]any); m["clock"] == clock {
			due, err := time.Parse(time.RFC3339, m["due"].(string))
			if err != nil {
				s.t.Fatal(err)
			}
			return due
		}
	}
	s.t.Fatalf("%s: no clock %q runs", path, clock)
	return time.Time{}
}

// phase checks where something stands; further members come with the text they must have.
func (s *town) phase(path, want string, members ...string) {
	s.t.Helper()
	r := s.read(path)
	for pair := range slices.Chunk(append([]string{"phase", want}, members...), 2) {
		if got := r.text(pair[0]); got != pair[1] {
			s.t.Fatalf("%s: %s is %q, want %q", path, pair[0], got, pair[1])
		}
	}
}

// stream names the stream of what a path leads to.
func (s *town) stream(path string) stream.Name {
	plural, id, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return stream.Name(stream.Prefix + strings.TrimSuffix(plural, "s") + "-" + id)
}

// identifiers returns the last parts of paths.
func identifiers(paths ...string) (ids []string) {
	for _, p := range paths {
		ids = append(ids, p[strings.LastIndexByte(p, '/')+1:])
	}
	return ids
}

// digest stands for a document.
func digest(of string) string { return fmt.Sprintf("%064x", of) }

// story is what one stream tells.
type story struct {
	ids    []string
	steps  []string // type and stage after it, progress notes left out
	waiver string   // reason of the last fast-track
}

// feed reads every event of a stream from the feed, page by page.
func (s *town) feed(key string, n stream.Name) (events []any) {
	s.t.Helper()
	for after := "0"; ; {
		page := s.want(s.get(key, "/events?limit=200&after="+after+"&stream="+string(n)), 200, "")
		items, _ := page.at("items").([]any)
		events = append(events, items...)
		if live, _ := page.at("live").(bool); live {
			return events
		}
		if after == page.text("next") {
			s.t.Fatalf("the feed does not go on after %s: %s", after, page.raw)
		}
		after = page.text("next")
	}
}

// story understands a list of events, which must be those of one stream, whole.
func (s *town) story(list any) (told story) {
	s.t.Helper()
	events, _ := list.([]any)
	for i, item := range events {
		e := item.(map[string]any)
		if name := events[0].(map[string]any)["stream"]; e["stream"] != name || e["revision"] != float64(i) {
			s.t.Fatalf("event %d is revision %v of %v, want revision %d of %v alone", i, e["revision"], e["stream"], i, name)
		}
		told.ids = append(told.ids, e["id"].(string))
		if e["type"] == "demand-progress-noted/1" {
			continue
		}
		if e["type"] == "demand-fast-tracked/1" {
			told.waiver, _ = e["data"].(map[string]any)["reason"].(string)
		}
		told.steps = append(told.steps, fmt.Sprint(e["type"], " ", e["stage"]))
	}
	return told
}

// sound checks what must hold of the folder as a whole: views that can be thrown away, nothing parked, and a log whose
// every event decodes and folds, with dense revisions and positions.
func (s *town) sound() {
	s.t.Helper()
	ctx := context.Background()
	s.settle()
	before, at, err := s.house.views.Views().Digest(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.house.views.Rebuild(ctx, nil); err != nil {
		s.t.Fatal(err)
	}
	after, again, err := s.house.views.Views().Digest(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if !maps.Equal(before, after) || at != again || len(before) == 0 {
		s.t.Errorf("rebuilt, the views are %v at %d, were %v at %d", after, again, before, at)
	}
	if waiting, err := s.house.engine.Parked(ctx); err != nil || len(waiting) > 0 {
		s.t.Errorf("consequences are parked: %+v %v", waiting, err)
	}
	if parked, err := s.house.views.Parked(ctx); err != nil || len(parked) > 0 {
		s.t.Errorf("streams are parked: %+v %v", parked, err)
	}
	own, inFolder := s.house.log.(*sqlite.Log)
	if inFolder {
		if err := own.Check(ctx); err != nil {
			s.t.Error(err)
		}
	}
	folder, last := event.NewFolder(1<<20, nil), eventlog.Position(0)
	seen := map[string]int64{}
	each(s.t, s.house.log, func(ev eventlog.Event) {
		entry, err := folder.Next(event.Stored{Stream: stream.Name(ev.Stream), Revision: int64(ev.Revision), ID: stream.ID(ev.ID), Type: ev.Type, Data: ev.Data, Meta: ev.Meta})
		if _, unknown := entry.Body.(event.Unknown); err != nil || unknown {
			s.t.Fatalf("%s at %d does not fold: %v", ev.Type, ev.Position, err)
		}
		if int64(ev.Revision) != seen[ev.Stream] || ev.Position <= last || inFolder && ev.Position != last+1 {
			s.t.Fatalf("%s: revision %d at %d, want %d after %d", ev.Stream, ev.Revision, ev.Position, seen[ev.Stream], last)
		}
		if !bytes.HasPrefix(ev.Meta, []byte(`{"salt":`)) {
			s.t.Fatalf("%s at %d has no salt in front of its metadata", ev.Type, ev.Position)
		}
		seen[ev.Stream]++
		last = ev.Position
	})
	if end, err := s.house.log.End(ctx); err != nil || end != last {
		s.t.Errorf("the log ends at %d (%v), its last event is at %d", end, err, last)
	}
}
