package api_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	made "gridcase/cmd/gridcase/city"
	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/engine"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
	"gridcase/projections"
)

// The traps in the published figures, each pushed through commands and the engine with the counts that were published, and read from the
// API (§1.3).

// each does something for every one of n, as many at once as there are processors, lets what follows from it happen, and waits for the views.
func (h *house) each(n int, do func(i int)) {
	h.t.Helper()
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !h.t.Failed(); i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wait.Wait()
	if h.t.Failed() {
		h.t.FailNow()
	}
	h.settled()
}

// settled waits, as long as it takes, until all consequences have happened and the views know them.
func (h *house) settled() {
	h.t.Helper()
	for end := h.end(); ; {
		if err := h.engine.Settled(context.Background(), end); err != nil {
			h.t.Fatal(err)
		}
		if again := h.end(); again != end {
			end = again
			continue
		}
		h.views.Wait(context.Background(), end)
		return
	}
}

// counted is how many a list of the API says it has.
func (h *house) counted(key, path string) int {
	h.t.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	n, _ := h.want(h.get(key, path+sep+"count=true&limit=1"), 200, "").json["count"].(float64)
	return int(n)
}

// counts reads figures of an answer by their names.
func counts(r map[string]any, names ...string) (ns []int) {
	for _, name := range names {
		x, _ := r[name].(map[string]any)
		n, _ := x["count"].(float64)
		ns = append(ns, int(n))
	}
	return ns
}

// 435 needs → 140 projects → 289 resources → 180 results: there are more results than projects, so nothing is one to one. Every count
// opens to a list of so many, and the lists lead across: a need in two topics, a result of two topics, a resource that serves several.
func TestTheWorkListsAreManyToMany(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	const needs, projects, resources, results = 435, 140, 289, 180
	h := open(t)
	topicAt := func(i int) stream.Name {
		return stream.Of(stream.Topic, stream.Derive("project", fmt.Sprint(i)))
	}
	demandAt := func(k int) stream.Name {
		return stream.Of(stream.Demand, stream.DemandFor("wechat", fmt.Sprint("need-", k)))
	}
	h.each(needs, func(k int) {
		h.gives(demandAt(k), orgs.Clerk, community, demand.Raise{Kind: demand.Issue, Channel: "counter", Title: sealed.Clear("事项"), Text: sealed.Clear(fmt.Sprint("反映的事项", k)), Grid: grid, Unit: community,
			Reporter: demand.Reporter{Name: sealed.Clear("居民甲"), Phone: sealed.Clear("000-1234")}},
			demand.Accept{Kind: demand.Issue, Matter: "010101", Urgency: "D", Unit: community, Grid: grid, Summary: "事项"})
	})
	// The k-th need goes to topic k mod 140, and every hundredth concerns the topic after it, too.
	h.each(projects, func(i int) {
		var named []stream.ID
		for k := i; k < needs; k += projects {
			named = append(named, demandAt(k).ID())
		}
		h.gives(topicAt(i), orgs.Convenor, community, topic.Propose{Kind: topic.Ordinary, Source: topic.FromResidents, Title: sealed.Public(fmt.Sprint("议题", i)), Unit: community, Matter: "010101", Demands: named})
		h.gives(topicAt(i), orgs.Convenor, community, topic.OpenDeliberation{Format: "council", Place: "活动室", MeetingAt: h.clock().Add(4 * 24 * time.Hour)})
	})
	h.each(needs/100, func(k int) {
		h.gives(demandAt(100*k), orgs.Clerk, community, demand.Relate{Topic: topicAt((100*k + 1) % projects).ID()})
	})
	auditor := h.key(orgs.Auditor, district)
	h.wait(5 * 24 * time.Hour)
	target := calendar.DateOf(h.clock()) + 60
	// 289 resources over 140 plans: two of its own each, nine more, and one that everybody names.
	named := func(i int) (names []string) {
		names = []string{fmt.Sprint("资源", 2*i), fmt.Sprint("资源", 2*i+1)}
		if i < resources-2*projects-1 {
			names = append(names, fmt.Sprint("另有资源", i))
		}
		return append(names, "共建单位车队")
	}
	h.each(projects, func(i int) {
		h.gives(topicAt(i), orgs.Convenor, community, topic.HoldDeliberation{Format: "council", Venue: "活动室", Minutes: fmt.Sprintf("%064x", i+1), Attendees: []topic.Attendance{{Capacity: "residents", Number: 9}}})
		h.gives(topicAt(i), orgs.CommunitySecretary, community, topic.Adopt{Summary: "采纳", Resources: named(i), Items: []topic.Item{{Lead: grid, Matter: "010101", Urgency: "D", Target: target, Task: "办理"}}})
		h.gives(topicAt(i), orgs.CommunitySecretary, community, topic.HandToGrid{})
	})
	// Every topic has one result, the first forty a second one; that of topic 0 is one of topic 1 as well, and names a resource again.
	h.each(results, func(k int) {
		r := topic.PublishResult{Text: sealed.Public(fmt.Sprint("实效", k))}
		if k == 0 {
			r.AlsoTopics, r.Resources = []stream.ID{topicAt(1).ID()}, []string{"共建单位车队"}
		}
		h.gives(topicAt(k%projects), orgs.CommunitySecretary, community, r)
	})
	for _, unit := range []orgs.UnitCode{district, street, community} {
		r := h.want(h.get(auditor, "/views/work-lists?unit="+string(unit)), 200, "")
		if got, want := counts(r.json, "needs", "projects", "resources", "results"), []int{needs, projects, resources, results}; !slices.Equal(got, want) {
			t.Fatalf("the work lists of %s: got %v, want %v", unit, got, want)
		}
		for _, list := range []string{"needs", "projects", "resources", "results"} {
			count := r.json[list].(map[string]any)
			items := h.all(auditor, count["cases"].(string), 97)
			if float64(len(items)) != count["count"] {
				t.Errorf("%s of %s: %v, and %d are listed", list, unit, count["count"], len(items))
			}
			most := 0
			for _, it := range items {
				most = max(most, len(it["topics"].([]any)))
			}
			if want := map[string]int{"needs": 2, "projects": 1, "resources": projects, "results": 2}[list]; most != want {
				t.Errorf("%s of %s: one belongs to %d topics, want %d", list, unit, most, want)
			}
		}
	}
	if got := counts(h.want(h.get(auditor, "/views/work-lists?unit="+string(sibling)), 200, "").json, "needs", "projects", "resources", "results"); !slices.Equal(got, []int{0, 0, 0, 0}) {
		t.Errorf("the community beside it: %v", got)
	}
	one := items(h.want(h.get(auditor, "/views/work-lists/need?unit="+string(district)+"&limit=1"), 200, ""))[0]
	h.reads(h.key(orgs.Clerk, community), one["link"].(string))
	cursor := h.get(auditor, "/views/work-lists/need?unit="+string(district)+"&limit=1").text("next")
	plain, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || strings.Contains(string(plain), one["item"].(string)) || strings.Contains(string(plain), string(district)) {
		t.Errorf("the cursor tells what it stands at: %q, %v", plain, err)
	}
	// What was put into a topic by mistake and taken out of it is no need.
	wrong := h.accepted("issue")
	free := stream.Of(stream.Topic, stream.Derive("project", "free"))
	h.gives(free, orgs.Convenor, community, topic.Propose{Kind: topic.Ordinary, Source: topic.FromPatrol, Title: "另一议题", Unit: community, Matter: "010101"})
	h.settled()
	h.do(h.key(orgs.Clerk, community), wrong, "link-to-topic", fmt.Sprintf(`{"topic":%q}`, free.ID()))
	if n := h.counted(auditor, "/views/work-lists/need?unit="+string(district)); n != needs+1 {
		t.Errorf("%d needs once it is in a topic, want %d", n, needs+1)
	}
	h.do(h.key(orgs.Clerk, community), wrong, "relocate", fmt.Sprintf(`{"unit":%q,"grid":%q}`, sibling, other))
	if n := h.counted(auditor, "/views/work-lists/need?unit="+string(sibling)); n != 1 {
		t.Errorf("%d needs where it lies now, want 1", n)
	}
	h.do(h.key(orgs.Clerk, sibling), wrong, "unlink-from-topic", `{"reason":"归错议题"}`)
	if n := h.counted(auditor, "/views/work-lists/need?unit="+string(district)); n != needs {
		t.Errorf("%d needs once it is out of it, want %d", n, needs)
	}
	for path, status := range map[string]int{"/views/work-lists/duty?unit=" + string(district): 422, "/views/work-lists?unit=150199": 422, "/views/work-lists/need?limit=0": 422, "/views/work-lists/need?after=AAAA": 400} {
		h.want(h.get(auditor, path), status, "")
	}
	h.want(h.get(h.key(orgs.Resident, community), "/views/work-lists?unit="+string(community)), 403, "")
	h.want(h.get(h.key(orgs.Clerk, sibling), "/views/work-lists?unit="+string(community)), 404, "")
}

// The four duty lists say what a community may be asked; the four work lists say what it does. They share no route, no schema, no title and no table.
func TestDutyListsAndWorkListsShareNothing(t *testing.T) {
	h := open(t)
	doc, err := described(h.server)
	if err != nil {
		t.Fatal(err)
	}
	// What every answer or figure may be made of belongs to neither.
	common := []string{"Count", "Problem", "Fault", "Receipt", "NextStep"}
	duties, works := map[string]string{}, map[string]string{}
	for path, item := range doc.Doc.Paths.Map() {
		mine := map[string]string{}
		switch {
		case strings.Contains(path, "/duties"):
			mine = duties
		case strings.Contains(path, "/work-lists"):
			mine = works
		}
		for _, op := range item.Operations() {
			mine["title "+op.Summary] = path
			var schemas func(*openapi3.SchemaRef)
			schemas = func(s *openapi3.SchemaRef) {
				if s == nil || s.Value == nil {
					return
				}
				if name := strings.TrimPrefix(s.Ref, "#/components/schemas/"); s.Ref != "" {
					if _, seen := mine["schema "+name]; seen || slices.Contains(common, name) {
						return
					}
					mine["schema "+name] = path
				}
				schemas(s.Value.Items)
				for _, p := range s.Value.Properties {
					schemas(p)
				}
			}
			for _, r := range op.Responses.Map() {
				for _, m := range r.Value.Content {
					schemas(m.Schema)
				}
			}
			if op.RequestBody != nil {
				for _, m := range op.RequestBody.Value.Content {
					schemas(m.Schema)
				}
			}
		}
	}
	for _, table := range (projections.Duties{}).Tables() {
		duties["table "+table.Name] = "a view"
	}
	for _, table := range (projections.WorkItems{}).Tables() {
		works["table "+table.Name] = "a view"
	}
	if len(duties) < 10 || len(works) < 6 {
		t.Fatalf("the test does not see them: %v, %v", duties, works)
	}
	for what, path := range works {
		if at, both := duties[what]; both {
			t.Errorf("duty lists (%s) and work lists (%s) share the %s", at, path, what)
		}
		if low := strings.ToLower(what); strings.Contains(low, "dut") || strings.Contains(low, "四清单") {
			t.Errorf("%s: the %s reads like a duty list", path, what)
		}
	}
	for what, path := range duties {
		if low := strings.ToLower(what); strings.Contains(low, "work") || strings.Contains(low, "四项清单") {
			t.Errorf("%s: the %s reads like a work list", path, what)
		}
	}
}

// county opens a county of the city with one street, and so many communities of it, each with so many grids.
func (h *house) county(code orgs.UnitCode, communities, grids int, urban bool) (drawn []orgs.GridCode) {
	h.t.Helper()
	at := code + "001"
	h.openUnits(orgs.OpenUnit{Code: code, Name: "县", Kind: orgs.District, Parent: city}, orgs.OpenUnit{Code: at, Name: "镇", Kind: orgs.Street, Parent: code})
	for i := range communities {
		c := at + orgs.UnitCode(fmt.Sprintf("%03d", i+1))
		h.openUnits(orgs.OpenUnit{Code: c, Name: "村", Kind: orgs.Community, Parent: at})
		for k := range grids {
			g := orgs.GridCode(fmt.Sprintf("%s%03d", c, k+1))
			h.gives(stream.Keyed(stream.Grids, string(c)), orgs.Operator, city, orgs.DrawGrid{Grid: g, Name: fmt.Sprint("网格", k+1), Households: 150, Urban: urban})
			drawn = append(drawn, g)
		}
	}
	return drawn
}

// onGrid gives the operator's command on a grid.
func (h *house) onGrid(g orgs.GridCode, c engine.Command) {
	h.t.Helper()
	h.gives(stream.Keyed(stream.Grids, string(g.Community())), orgs.Operator, city, c)
}

// 678 grids and 666 party groups: a grid may have none, and the coverage shows which. If every group serves one grid, twelve are not covered; if one
// serves two, it is eleven, and still 666 groups.
func TestAGridMayHaveNoPartyGroupAndTheGapIsSeen(t *testing.T) {
	const county = orgs.UnitCode("150121")
	h := open(t)
	grids := h.county(county, 6, 113, false)
	for i, g := range grids[:666] {
		h.onGrid(g, orgs.SetPartyGroups{Grid: g, Groups: []string{fmt.Sprint("p-", i+1)}})
	}
	h.settled()
	auditor := h.key(orgs.Auditor, city)
	covered := func(query string, want ...int) map[string]any {
		t.Helper()
		r := h.want(h.get(auditor, "/views/coverage?unit="+string(county)+query), 200, "")
		total := r.json["total"].(map[string]any)
		if got := counts(total, "grids", "party_groups", "grouped", "ungrouped"); !slices.Equal(got, want) {
			t.Fatalf("%q: grids, party groups, covered, uncovered: got %v, want %v", query, got, want)
		}
		return total
	}
	total := covered("", 678, 666, 666, 12)
	var bare []string
	for _, g := range h.all(auditor, total["ungrouped"].(map[string]any)["cases"].(string), 5) {
		bare = append(bare, g["code"].(string))
	}
	var want []string
	for _, g := range grids[666:] {
		want = append(want, string(g))
	}
	if !slices.Equal(bare, want) {
		t.Errorf("the gap opens to %v, want %v", bare, want)
	}
	groups := map[any]bool{}
	for _, g := range h.all(auditor, total["party_groups"].(map[string]any)["cases"].(string), 200) {
		for _, code := range g["party_groups"].([]any) {
			groups[code] = true
		}
	}
	if len(groups) != 666 {
		t.Errorf("the sum of groups opens to %d of them", len(groups))
	}
	// The next day one of them serves a second grid, too; it is set by the operator over the API, and the day before stays as it was.
	before := calendar.DateOf(h.clock()).String()
	h.wait(24 * time.Hour)
	last := grids[677]
	at := "/communities/" + string(last.Community())
	set := func(key, body string, status int, code string) {
		t.Helper()
		h.want(h.post(key, at+"/grids/"+string(last)+"/set-party-groups", body, "If-Match", h.get(auditor, at+"/grids").Header.Get("ETag")), status, code)
		h.settled()
	}
	operator := h.key(orgs.Operator, city)
	set(operator, `{"groups":["p-1"]}`, 200, "")
	covered("", 678, 666, 667, 11)
	covered("&on="+before, 678, 666, 666, 12)
	set(operator, `{"groups":[]}`, 200, "")
	covered("", 678, 666, 666, 12)
	set(operator, `{"groups":["张三"]}`, 422, "invalid")
	set(h.key(orgs.Clerk, last.Community()), `{"groups":["p-1"]}`, 403, "role_missing")
	covered("", 678, 666, 666, 12)
}

// 248 grids have 956 workers, and 57 full-time workers lead 103 grids: 一格一人 is about the full-time lead alone, and not one to one there either.
func TestWorkersAndGridsAreNotOneToOne(t *testing.T) {
	h := open(t)
	many := h.county("150122", 4, 62, false)
	for i, g := range many {
		h.onGrid(g, orgs.AppointGridWorker{Grid: g, Worker: fmt.Sprint("lead-", i), Duty: orgs.DutyLead, FullTime: true})
		for k := range 3 {
			if n := 3*i + k; n < 956-248 {
				h.onGrid(g, orgs.AppointGridWorker{Grid: g, Worker: fmt.Sprint("assistant-", n), Duty: orgs.DutyAssistant})
			}
		}
	}
	few := h.county("150124", 103, 1, false)
	for i, g := range few {
		h.onGrid(g, orgs.AppointGridWorker{Grid: g, Worker: fmt.Sprint("lead-", i%57), Duty: orgs.DutyLead, FullTime: true})
	}
	h.settled()
	auditor := h.key(orgs.Auditor, city)
	total := func(unit string) map[string]any {
		t.Helper()
		return h.want(h.get(auditor, "/views/coverage?unit="+unit), 200, "").json["total"].(map[string]any)
	}
	x := counts(total("150122"), "grids", "led", "leads", "assistants")
	if !slices.Equal(x, []int{248, 248, 248, 708}) || x[2]+x[3] != 956 || assessment.Of(956, 248).Print(2) != "3.85" {
		t.Errorf("grids, led, leads, assistants: %v, want 956 workers on 248 grids", x)
	}
	if x := counts(total("150124"), "grids", "led", "leads", "vacant", "shared", "most"); !slices.Equal(x, []int{103, 103, 57, 0, 92, 2}) {
		t.Errorf("grids, led, leads, vacant, shared, most: %v, want 57 leads on 103 grids", x)
	}
	h.want(h.post(h.key(orgs.Operator, city), "/communities/"+string(many[0].Community())+"/grids/"+string(many[0])+"/appoint-grid-worker", `{"worker":"second","duty":"lead","full_time":true}`,
		"If-Match", h.get(auditor, "/communities/"+string(many[0].Community())+"/grids").Header.Get("ETag")), 409, "guard_failed")
}

// 6,500 : 222 : 98. Most demands need no deliberation, and that is said of each by a fast-track with a reason and who gave it. Nothing is skipped
// silently, and no topic is made up for one person. Without -full it is the least counts that print the same shares, so that the suite stays quick: nothing in
// the rules knows how many there are.
func TestMostDemandsAreFastTrackedAndItIsSaid(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	errands, issues, disputes := 995, 34, 15
	if *entire {
		errands, issues, disputes = 6500, 222, 98
	}
	all := errands + issues + disputes
	h := open(t)
	_, april := h.applied()
	h.until(time.Date(2025, 4, 7, 2, 0, 0, 0, time.UTC))
	at := func(k int) stream.Name {
		return stream.Of(stream.Demand, stream.DemandFor("wechat", fmt.Sprint("saihan-", k)))
	}
	began, before := time.Now(), h.end()
	h.each(all, func(k int) {
		kind, track := demand.Issue, engine.Command(nil)
		switch {
		case k < errands:
			kind, track = demand.Errand, demand.FastTrack{Reason: demand.ReasonErrand, Route: demand.Route{Order: &demand.NewOrder{Lead: grid}}}
		case k < errands+disputes:
			kind, track = demand.Dispute, demand.FastTrack{Reason: demand.ReasonDispute, Route: demand.Route{Dispute: 1}}
		}
		cs := []engine.Command{demand.Raise{Kind: kind, Channel: "counter", Title: sealed.Clear("事项"), Text: sealed.Clear(fmt.Sprint("反映的事项", k)), Grid: grid, Unit: community,
			Reporter: demand.Reporter{Name: sealed.Clear("居民甲"), Phone: sealed.Clear("000-1234")}}, demand.Accept{Kind: kind, Matter: "010101", Urgency: "C", Unit: community, Grid: grid, Summary: "事项"}}
		if track != nil {
			cs = append(cs, track)
		}
		h.gives(at(k), orgs.Clerk, community, cs...)
	})
	topics := (issues + 2) / 3
	h.each(topics, func(i int) {
		var named []stream.ID
		for k := errands + disputes + i; k < all; k += topics {
			named = append(named, at(k).ID())
		}
		h.gives(stream.Of(stream.Topic, stream.Derive("issue", fmt.Sprint(i))), orgs.Convenor, community, topic.Propose{Kind: topic.Ordinary, Source: topic.FromResidents, Title: "议题", Unit: community, Matter: "010101", Demands: named})
	})
	t.Logf("%d events in %s", h.end()-before, time.Since(began).Round(time.Millisecond))
	auditor := h.key(orgs.Auditor, district)
	for kind, want := range map[string]struct {
		n       int
		printed string
	}{"errand": {errands, "95.31"}, "issue": {issues, "3.26"}, "dispute": {disputes, "1.44"}} {
		n, whole := h.counted(auditor, "/demands?kind="+kind), h.counted(auditor, "/demands")
		if got := assessment.Of(int64(100*n), int64(whole)).Print(2); n != want.n || whole != all || got != want.printed {
			t.Errorf("%s: %d of %d are %s %%, want %d and %s", kind, n, whole, got, want.n, want.printed)
		}
		topical := 0
		if kind == "issue" {
			topical = issues
		}
		if n := h.counted(auditor, "/demands?stage=topic&kind="+kind); n != topical {
			t.Errorf("%s: %d are in a topic, want %d", kind, n, topical)
		}
	}
	if n := h.counted(auditor, "/topics"); n != topics {
		t.Errorf("%d topics, want the %d of the issues and none made up", n, topics)
	}
	reasons := map[demand.Reason]int{}
	for ev := range events(h, before) {
		if ev.Type == "demand-fast-tracked/1" {
			b, err := event.Decode(ev.Type, ev.Data)
			m, faulty := event.DecodeMeta(ev.Meta)
			if err != nil || faulty != nil || m.Actor == "" || m.Role != orgs.Clerk || m.Unit != community {
				t.Fatalf("a fast-track by %v, %v, %v", m, err, faulty)
			}
			reasons[b.(demand.FastTracked).Reason]++
		}
	}
	if len(reasons) != 2 || reasons[demand.ReasonErrand] != errands || reasons[demand.ReasonDispute] != disputes {
		t.Errorf("fast-tracked because of %v, want %d errands and %d disputes", reasons, errands, disputes)
	}
	h.ended(april)
	for figure, want := range map[string]string{"fast_track": fmt.Sprintf("%d/%d = 96.74", errands+disputes, all), "acceptance": fmt.Sprintf("%d/%d = 100.00", all, all)} {
		if got := h.printed(april, figure); got != want {
			t.Errorf("%s: got %s, want %s", figure, got, want)
		}
	}
}

// 63 communities were published for 玉泉区 and 84 committees are in the code list; 136 village centres for 托克托县 and 137 codes. The API shows what the
// codes say, and what was published stays what it was, beside it.
func TestPublishedCountsAndCodesStaySideBySide(t *testing.T) {
	h := open(t)
	for code, want := range map[orgs.UnitCode]struct{ committees, codes, published int }{"150104": {84, 0, 63}, "150122": {0, 137, 136}} {
		figures := made.Published().Counties[code]
		published := figures.Communities
		if code == "150122" {
			published = figures.Centres[2]
		}
		if published.Value != want.published || published.Assumed != "" {
			t.Errorf("%s: %+v stands as published, want %d", code, published, want.published)
		}
		for _, d := range made.Divisions() {
			if d.Code != code {
				continue
			}
			h.openUnits(orgs.OpenUnit{Code: d.Code, Name: d.Name, Kind: orgs.District, Parent: city})
			for _, s := range d.Streets {
				h.openUnits(orgs.OpenUnit{Code: s.Code, Name: s.Name, Kind: orgs.Street, Parent: d.Code})
				for _, c := range s.Communities {
					h.openUnits(orgs.OpenUnit{Code: c.Code, Name: c.Name, Kind: orgs.Community, Parent: s.Code})
				}
			}
		}
		h.settled()
		communities := h.all(h.key(orgs.Auditor, city), "/api/v1/units?kind=community&within="+string(code), 200)
		committees := 0
		for _, c := range communities {
			if name := c["name"].(string); strings.Contains(name, "居委会") || strings.Contains(name, "居民委员会") || strings.Contains(name, "社区") {
				committees++
			}
		}
		if want.committees > 0 && committees != want.committees || want.codes > 0 && len(communities) != want.codes {
			t.Errorf("%s: %d committees among %d communities, want %d, or %d codes", code, committees, len(communities), want.committees, want.codes)
		}
	}
}

// The ladders of the districts are data: 小三级, 三级, 四级, 五级. One policy holds all four, and the same neglected order rises in each district as far as the
// ladder of that district goes, by the names that it has there.
func TestTheLevelMapIsData(t *testing.T) {
	h := openOn(t, func(h *house) eventlog.Log { return mem.Open(mem.WithClock(h.clock)) }, steady)
	type rung struct {
		Level int    `json:"level"`
		Zh    string `json:"zh"`
		En    string `json:"en"`
	}
	ladders := map[orgs.UnitCode][]rung{
		"150103": {{1, "网格", "grid"}, {2, "社区", "community"}, {3, "街道", "street"}},                                                                   // 小三级
		"150123": {{2, "村", "village"}, {3, "镇", "town"}, {4, "县", "county"}},                                                                        // 三级
		"150125": {{1, "村民小组", "villagers' group"}, {2, "村党支部", "village branch"}, {3, "乡镇党委", "township committee"}, {4, "县委", "county committee"}}, // 四级
		"150104": {{1, "网格", "grid"}, {2, "社区", "community"}, {3, "街道", "street"}, {4, "区", "district"}, {5, "市", "city"}},                           // 五级
	}
	p, tag := h.editable("/policies/escalation")
	var districts []any
	for code, ladder := range ladders {
		h.county(code, 1, 1, true)
		districts = append(districts, map[string]any{"district": code, "levels": ladder})
	}
	p["districts"] = districts
	h.want(h.post(h.key(orgs.Operator, city), "/policies/escalation/publish", body(t, map[string]any{"policy": p, "reason": "各区层级"}), "If-Match", tag), 200, "")
	h.settled()
	for code := range ladders {
		h.gives(stream.Of(stream.Order, stream.Derive("neglected", string(code))), orgs.Dispatcher, code+"001",
			order.Dispatch{Patrol: true, Anonymous: true, Kind: "issue", Matter: "010101", Urgency: "A", Lead: code + "001001", Place: code + "001001", Task: "检修"})
	}
	alarms := engine.NewDeadlines(h.engine, viewed{h})
	for range 48 {
		h.wait(time.Hour)
		h.settled()
		if _, err := alarms.Sweep(t.Context(), h.clock()); err != nil {
			t.Fatal(err)
		}
	}
	h.settled()
	for code, ladder := range ladders {
		board := h.want(h.get(h.key(orgs.Auditor, city), "/views/escalation?unit="+string(code), "Accept-Language", "zh"), 200, "")
		var names, want []string
		at := map[string]int{}
		for _, l := range board.json["levels"].([]any) {
			l := l.(map[string]any)
			names = append(names, fmt.Sprint(l["level"], l["name"]))
			at[fmt.Sprint(l["level"], l["name"])] = int(l["count"].(float64))
		}
		for _, r := range ladder {
			want = append(want, fmt.Sprint(r.Level, r.Zh))
		}
		if top := want[len(want)-1]; !slices.Equal(names, want) || at[top] != 1 {
			t.Errorf("%s: got levels %v, %v; want %v and the order at %s", code, names, at, want, top)
		}
	}
}
