package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/engine"
	"gridcase/eventlog"
)

// Matters, each on the list that its name says.
const (
	ours        = "160101"
	helped      = "090101"
	notOurs     = "120101"
	certificate = "130401"
	forbidden   = "010101"
	nowhere     = "150101"
)

var (
	officer   = as(orgs.AdmissionOfficer, district)
	colleague = rule.Actor{ID: "second officer", Role: orgs.AdmissionOfficer, Unit: district}
	gateOf    = stream.Keyed(stream.Gate, string(community))
)

func item(l duty.List, matter string) duty.Item {
	x := duty.Item{Target: orgs.Community, List: l, Matter: matter, Row: sealed.Public("条目 " + matter), Basis: "依据某条"}
	if l == duty.NoCertificate {
		x.Instead = "派出所户籍窗口"
	}
	return x
}

var lists = []duty.Item{item(duty.StatutoryDuty, "16"), item(duty.StatutoryAssist, "0901"), item(duty.NotBorne, notOurs),
	item(duty.NoCertificate, certificate), item(duty.Negative, "01"),
	{Target: orgs.Street, List: duty.StatutoryDuty, Matter: "16", Row: "便民服务"}, {Target: orgs.Street, List: duty.Negative, Matter: "0101", Row: "安全生产", Basis: "依据某条"}}

// publish publishes the lists of the district from tomorrow on, and lets tomorrow come.
func (h *house) publish(items ...duty.Item) {
	h.t.Helper()
	h.do(stream.Keyed(stream.Duties, string(district)), officer, duty.Publish{Unit: district, From: calendar.DateOf(h.Clock()) + 1,
		Covers: []orgs.Kind{orgs.Community, orgs.Street}, Items: items}, colleague)
	h.until(calendar.DateOf(h.Clock()) + 1)
}

// until moves the clock to nine in the morning of a day.
func (h *house) until(on calendar.Date) { h.wait(on.Start().Add(9 * time.Hour).Sub(h.Clock())) }

// about is a demand of the community about a matter.
func (h *house) about(matter string) stream.ID {
	h.t.Helper()
	id := h.raised("有一件事")
	h.do(stream.Of(stream.Demand, id), as(orgs.Clerk, community), demand.Accept{Kind: demand.Issue, Matter: matter, Urgency: "B",
		Unit: community, Grid: grid, Summary: "一件事"})
	return id
}

// toUs wants a demand handled by the community's grid as lead, or with the community as co-unit of a department.
func (h *house) toUs(id stream.ID, role duty.Role) engine.Request {
	by, o := as(orgs.Clerk, community), demand.NewOrder{Lead: grid.Unit()}
	if role == duty.Assist {
		by, o = as(orgs.Dispatcher, district), demand.NewOrder{Lead: bureau, CoUnits: []orgs.UnitCode{community}}
	}
	return h.request(stream.Of(stream.Demand, id), by, demand.FastTrack{Reason: demand.ReasonUrgent, Route: demand.Route{Order: &o}})
}

// passes reports whether a request gets through; if not, it must be the gate that keeps it.
func (h *house) passes(r engine.Request) bool {
	h.t.Helper()
	_, err := h.Handle(context.Background(), r)
	h.settle()
	if err == nil {
		return true
	}
	if kept(err) == nil {
		h.t.Fatalf("%T: %v", r.Commands[0], err)
	}
	return false
}

func kept(err error) *rule.Refusal {
	var r *rule.Refusal
	if errors.As(err, &r) && r.Code == rule.GateBlocked {
		return r
	}
	return nil
}

// blocks returns what a gate's stream holds.
func (h *house) blocks(n stream.Name) []duty.Blocked {
	h.t.Helper()
	var bs []duty.Blocked
	for ev, err := range h.log.Read(context.Background(), string(n), 0) {
		if err != nil {
			h.t.Fatal(err)
		}
		body, err := event.Decode(ev.Type, ev.Data)
		if err != nil {
			h.t.Fatal(err)
		}
		bs = append(bs, body.(duty.Blocked))
	}
	return bs
}

func (h *house) end() eventlog.Position {
	end, err := h.log.End(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return end
}

// TestEachListLetsOneThingThroughAndKeepsAnother is the table of the gate, through the engine: what is kept leaves one event
// and no order, however often it is asked.
func TestEachListLetsOneThingThroughAndKeepsAnother(t *testing.T) {
	h := open(t)
	if !h.passes(h.toUs(h.about(forbidden), duty.Lead)) {
		t.Fatal("something was kept before any list was published")
	}
	h.publish(lists...)
	for _, tt := range []struct {
		matter string
		role   duty.Role
		list   duty.List // that keeps it, "" if it passes
	}{
		{certificate, duty.Lead, duty.NoCertificate}, {certificate, duty.Assist, duty.NoCertificate},
		{forbidden, duty.Lead, duty.Negative}, {forbidden, duty.Assist, duty.Negative},
		{notOurs, duty.Lead, duty.NotBorne}, {notOurs, duty.Assist, duty.NotBorne},
		{ours, duty.Lead, ""}, {ours, duty.Assist, ""},
		{helped, duty.Lead, duty.StatutoryAssist}, {helped, duty.Assist, ""},
		{nowhere, duty.Lead, duty.OnNone}, {nowhere, duty.Assist, duty.OnNone},
	} {
		id := h.about(tt.matter)
		before := len(h.blocks(gateOf))
		r := h.toUs(id, tt.role)
		receipt, err := h.Handle(context.Background(), r)
		h.settle()
		if tt.list == "" {
			if err != nil || len(h.types(stream.Of(stream.Order, stream.CausedBy(stream.Order, receipt.Event, 0)))) == 0 || len(h.blocks(gateOf)) != before {
				t.Errorf("%s as %s: got %v, want an order and no block", tt.matter, tt.role, err)
			}
			continue
		}
		refusal := kept(err)
		if refusal == nil || refusal.Block.List != string(tt.list) {
			t.Errorf("%s as %s: got %v, want it kept by %s", tt.matter, tt.role, err, tt.list)
			continue
		}
		end := h.end()
		for range 3 {
			if _, err := h.Handle(context.Background(), r); kept(err) == nil || err.Error() != refusal.Error() {
				t.Errorf("%s as %s, again: got %v, want %v", tt.matter, tt.role, err, refusal)
			}
		}
		h.settle()
		if h.end() != end {
			t.Errorf("%s as %s: a repeat wrote something", tt.matter, tt.role)
		}
		bs := h.blocks(gateOf)
		if len(bs) != before+1 {
			t.Errorf("%s as %s: got %d blocks, want one", tt.matter, tt.role, len(bs)-before)
			continue
		}
		unit := community
		if tt.role == duty.Lead {
			unit = grid.Unit()
		}
		b := bs[before]
		if b.Target != community || b.Unit != unit || b.Matter != tt.matter || b.Role != tt.role || b.List != tt.list || b.Version != 1 || b.Publisher != district ||
			b.By != r.Actor.Unit || b.Command != "fast-track" || len(b.Demands) != 1 || b.Demands[0] != id || b.On != calendar.DateOf(h.Clock()) || !b.Order.IsZero() {
			t.Errorf("%s as %s: got %+v", tt.matter, tt.role, b)
		}
		if (tt.list != duty.OnNone) != (b.Row != "") {
			t.Errorf("%s as %s: the row is %q", tt.matter, tt.role, b.Row)
		}
		if d := h.demand(id); d.Phase != demand.PhaseAccepted || len(d.Orders) > 0 {
			t.Errorf("%s as %s: the demand is %s with orders %v, want it accepted and without", tt.matter, tt.role, d.Phase, d.Orders)
		}
	}
	if n := len(h.blocks(gateOf)); n != 9 {
		t.Errorf("got %d blocks in all, want 9", n)
	}
	if again := h.toUs(h.about(notOurs), duty.Lead); h.passes(again) || len(h.blocks(gateOf)) != 10 {
		t.Error("another demand about the same matter: want it kept, and a block of its own")
	}
}

// TestACertificateIsRefusedWithItsBasisAndWhereToGo: the clerk can still decline the demand, or answer it at once.
func TestACertificateIsRefusedWithItsBasisAndWhereToGo(t *testing.T) {
	h := open(t)
	h.publish(lists...)
	h.wait(time.Hour)
	id := h.about(certificate)
	_, err := h.Handle(context.Background(), h.toUs(id, duty.Lead))
	r := kept(err)
	if r == nil {
		t.Fatalf("got %v, want it kept", err)
	}
	for _, want := range []string{"条目 130401", "依据某条", "派出所户籍窗口"} {
		if !strings.Contains(r.Detail.Zh, want) || !strings.Contains(r.Detail.En, want) {
			t.Errorf("the refusal does not say %q: %s / %s", want, r.Detail.Zh, r.Detail.En)
		}
	}
	d := demand.Raise{Kind: demand.Consult, Channel: "counter", Title: sealed.Clear("证明"), Text: sealed.Clear("请开个证明"), Grid: grid, Unit: community}
	spot := stream.DemandFor("counter", "certificate")
	h.do(stream.Of(stream.Demand, spot), as(orgs.Clerk, community), d)
	h.do(stream.Of(stream.Demand, spot), as(orgs.Clerk, community), demand.AnswerOnTheSpot{Outcome: demand.Explained, Matter: certificate,
		Summary: "已告知到派出所办理", Answer: sealed.Clear("请到派出所")})
	turned := h.raised("请开个证明")
	h.do(stream.Of(stream.Demand, turned), as(orgs.Clerk, community), demand.Decline{Reason: demand.DeclineReasons()[0], Citation: "依据某条",
		Instead: "派出所户籍窗口"}, as(orgs.CommunitySecretary, community))
}

// request asks for an admission of the community, and takes it as far as the grant.
func (h *house) admitted(matter string, role duty.Role, from, until calendar.Date, units ...orgs.UnitCode) stream.Name {
	h.t.Helper()
	h.n++
	n := stream.Of(stream.Admission, stream.For(stream.Admission, "bureau", fmt.Sprint(h.n)))
	h.do(n, as(orgs.UnitHead, bureau), admission.Request{Matter: matter, Role: role, Units: units, From: from, Until: until, Task: "协助摸排",
		Basis: "依据某条", Staff: 2, Emergency: "突发"})
	h.do(n, officer, admission.OpenReview{})
	h.do(n, officer, admission.Grant{Funding: "呼财〔2025〕1号"}, colleague)
	return n
}

func TestAGrantOpensTheGateInItsScopeRoleAndTermOnly(t *testing.T) {
	h := open(t)
	today := calendar.DateOf(h.Clock())
	for _, never := range []string{certificate, forbidden} { // before there were lists
		h.do(h.admitted(never, duty.Lead, today, today+100, community), officer, admission.RecordFunding{Reference: "凭证 3"})
	}
	h.publish(lists...)
	try := func(what string, matter string, role duty.Role, want bool) {
		t.Helper()
		if got := h.passes(h.toUs(h.about(matter), role)); got != want {
			t.Errorf("%s (%s): got %v, want %v", what, calendar.DateOf(h.Clock()), got, want)
		}
	}
	first := calendar.DateOf(h.Clock()) + 3
	try("nothing was asked for", notOurs, duty.Lead, false)
	n := h.admitted(notOurs, duty.Lead, first, first+4, community)
	h.do(n, officer, admission.RecordFunding{Reference: "凭证 1"})
	h.until(first - 1)
	try("the day before its first", notOurs, duty.Lead, false)
	h.wait(first.Start().Sub(h.Clock()) - time.Second)
	try("the last second of that day", notOurs, duty.Lead, false)
	h.wait(time.Second)
	try("the first second of its first day", notOurs, duty.Lead, true)
	try("another role", notOurs, duty.Assist, false)
	try("another matter", nowhere, duty.Lead, false)
	h.until(first + 4)
	try("its last day", notOurs, duty.Lead, true)
	h.wait((first + 4).End().Sub(h.Clock()))
	try("the last second of its last day", notOurs, duty.Lead, true)
	h.wait(time.Second)
	try("the day after its last, though the clock has not said so yet", notOurs, duty.Lead, false)

	first = calendar.DateOf(h.Clock())
	late := h.admitted(nowhere, duty.Assist, first, first+20, street)
	try("granted, not funded", nowhere, duty.Assist, false)
	h.until(first + 2)
	try("still not funded", nowhere, duty.Assist, false)
	h.do(late, officer, admission.RecordFunding{Reference: "凭证 2"})
	try("funded late, for the whole street", nowhere, duty.Assist, true)
	h.until(first + 5)
	h.do(late, officer, admission.Revoke{Reason: "居民不同意"})
	try("revoked", nowhere, duty.Assist, false)

	for _, never := range []string{certificate, forbidden} {
		try("no grant opens it", never, duty.Lead, false)
		n := stream.Of(stream.Admission, stream.For(stream.Admission, "bureau", never))
		_, err := h.Handle(t.Context(), engine.Request{Stream: n, Commands: []engine.Command{admission.Request{Matter: never, Role: duty.Lead, Units: []orgs.UnitCode{community}, From: first + 6, Until: first + 9,
			Task: "协助摸排", Basis: "依据某条", Staff: 2, Emergency: "突发"}}, Key: never, Actor: as(orgs.UnitHead, bureau), Expect: -1})
		var r *rule.Refusal
		if !errors.As(err, &r) || r.Rule != "A1" || r.Block != nil {
			t.Errorf("asked for what no grant opens: %v", err)
		}
	}
}

func TestListsChangeAtMidnight(t *testing.T) {
	h := open(t)
	h.publish(item(duty.StatutoryDuty, "16"))
	next := calendar.DateOf(h.Clock()) + 1
	h.do(stream.Keyed(stream.Duties, string(district)), officer, duty.Publish{Unit: district, From: next,
		Covers: []orgs.Kind{orgs.Community}, Items: []duty.Item{item(duty.NotBorne, "16")}}, colleague)
	h.wait(next.Start().Sub(h.Clock()) - time.Second)
	if !h.passes(h.toUs(h.about(ours), duty.Lead)) {
		t.Error("23:59:59: kept by a list that is not in force yet")
	}
	h.wait(time.Second)
	if h.passes(h.toUs(h.about(ours), duty.Lead)) {
		t.Error("00:00:00: passed by a list that is over")
	}
	if bs := h.blocks(gateOf); len(bs) != 1 || bs[0].Version != 2 || bs[0].On != next {
		t.Errorf("got %+v, want one block by version 2", bs)
	}
}

// TestTheGateStandsBeforeEveryDispatch: D8 is everywhere else; here are T11, T12, O1 and O9.
func TestTheGateStandsBeforeEveryDispatch(t *testing.T) {
	h := open(t)
	agency := street + "-a01"
	h.do(stream.Keyed(stream.Unit, string(agency)), operator, orgs.OpenUnit{Code: agency, Name: "城管中队", Kind: orgs.Agency, Parent: street, Department: other})
	h.publish(lists...)
	gate := stream.Keyed(stream.Gate, string(street))

	tn := stream.Of(stream.Topic, stream.For(stream.Topic, "t", "1"))
	plan := topic.Item{Lead: street, Matter: forbidden, Task: "整治", Target: calendar.DateOf(h.Clock()) + 60}
	fine := plan
	fine.Lead = agency
	h.adopted(tn, plan)
	if h.passes(h.request(tn, as(orgs.Dispatcher, street), topic.HandToGrid{})) {
		t.Fatal("T11: a street was made responsible for what is on its negative list")
	}
	if bs := h.blocks(gate); len(bs) != 1 || bs[0].Topic != tn.ID() || bs[0].Command != "hand-to-grid" || bs[0].Unit != street || bs[0].Row != "安全生产" {
		t.Errorf("T11: got %+v", bs)
	}
	tn2 := stream.Of(stream.Topic, stream.For(stream.Topic, "t", "2"))
	h.adopted(tn2, fine)
	h.do(tn2, as(orgs.Dispatcher, street), topic.HandToGrid{})
	if h.passes(h.request(tn2, as(orgs.Dispatcher, street), topic.AddOrder{Item: &plan})) {
		t.Error("T12: an order was added past the gate")
	}
	if bs := h.blocks(gate); len(bs) != 2 || bs[1].Topic != tn2.ID() || bs[1].Command != "add-order" {
		t.Errorf("T12: got %+v", bs)
	}

	id := stream.For(stream.Order, "o", "1")
	dispatch := order.Dispatch{Patrol: true, Kind: "issue", Matter: notOurs, Urgency: "C", Lead: grid.Unit(), Place: community, Task: "巡查发现"}
	if h.passes(h.request(stream.Of(stream.Order, id), as(orgs.Dispatcher, street), dispatch)) {
		t.Error("O1: an order was dispatched past the gate")
	}
	if bs := h.blocks(gateOf); len(bs) != 1 || bs[0].Order != id || bs[0].Command != "dispatch" || bs[0].By != street || len(h.types(stream.Of(stream.Order, id))) > 0 {
		t.Errorf("O1: got %+v", bs)
	}
	on := stream.Of(stream.Order, id)
	dispatch.Lead = agency
	h.do(on, as(orgs.Dispatcher, street), dispatch)
	h.do(on, as(orgs.Handler, agency), order.RequestReturn{Reason: sealed.Clear("不属于本单位"), Basis: "依据某条", Suggested: grid.Unit()})
	h.do(on, as(orgs.Dispatcher, district), order.ApproveReturn{Reason: "改派"})
	if h.passes(h.request(on, as(orgs.Dispatcher, street), order.Redispatch{Lead: grid.Unit()})) {
		t.Error("O9: an order was dispatched again past the gate")
	}
	if bs := h.blocks(gateOf); len(bs) != 2 || bs[1].Order != id || bs[1].Command != "redispatch" {
		t.Errorf("O9: got %+v", bs)
	}
}

// adopted takes a topic as far as its adopted plan.
func (h *house) adopted(tn stream.Name, plan ...topic.Item) {
	h.t.Helper()
	convenor := as(orgs.Convenor, community)
	h.do(tn, as(orgs.Clerk, community), topic.Propose{Kind: topic.Ordinary, Source: topic.FromPatrol, Title: "小区整治", Unit: community})
	h.do(tn, convenor, topic.OpenDeliberation{Format: "council", Place: "活动室", MeetingAt: h.Clock().Add(5 * 24 * time.Hour)})
	h.wait(5*24*time.Hour + time.Hour)
	h.do(tn, convenor, topic.HoldDeliberation{Format: "council", Venue: "活动室", Minutes: strings.Repeat("ab", 32),
		Attendees: []topic.Attendance{{Capacity: "residents", Number: 9}}, Summary: "同意"})
	h.do(tn, as(orgs.CommunitySecretary, community), topic.Adopt{Items: plan, Summary: "整治"}, convenor)
}

// R20, and what it leaves alone.
func TestAnAdmissionThatIsRefusedSendsItsAdoptedPlanBack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ends  []engine.Command
		phase topic.Phase
	}{
		{"refused", []engine.Command{admission.Refuse{Reason: "不予准入"}}, topic.PhaseDeliberating},
		{"revoked", []engine.Command{admission.Grant{Funding: "文号"}, admission.Revoke{Reason: "经费未到"}}, topic.PhaseDeliberating},
		{"granted", []engine.Command{admission.Grant{Funding: "文号"}}, topic.PhaseAdopted},
	} {
		h := open(t)
		h.publish(lists...)
		tn := stream.Of(stream.Topic, stream.For(stream.Topic, "t", "1"))
		h.adopted(tn, topic.Item{Lead: grid.Unit(), Matter: notOurs, Task: "整治", Target: calendar.DateOf(h.Clock()) + 60})
		n := stream.Of(stream.Admission, stream.For(stream.Admission, "a", "1"))
		today := calendar.DateOf(h.Clock())
		h.do(n, as(orgs.UnitHead, bureau), admission.Request{Matter: notOurs, Role: duty.Lead, Units: []orgs.UnitCode{community}, From: today, Until: today + 30,
			Task: "整治", Basis: "依据某条", Budget: 100, Emergency: "突发", Topic: tn.ID()})
		h.do(n, officer, admission.OpenReview{})
		for _, c := range tt.ends {
			h.do(n, officer, c, colleague)
		}
		s, _, err := h.Load(context.Background(), tn)
		if got := s.(topic.State).Phase; err != nil || got != tt.phase {
			t.Errorf("%s: the topic is %s, want %s", tt.name, got, tt.phase)
		}
		if parked, _ := h.Parked(context.Background()); len(parked) > 0 {
			t.Errorf("%s: parked %v", tt.name, parked)
		}
	}
}

// TestTheFlowMeetsTheGateToo: a dispatch that a person decided before midnight, and the flow carries out after it (R1, R8 → R10).
func TestTheFlowMeetsTheGateToo(t *testing.T) {
	h := open(t)
	p := pace(h.log)
	h.stop()
	h.log = p
	h.start()
	h.publish(item(duty.StatutoryDuty, "16"))
	demanded := h.about(ours)
	tn := stream.Of(stream.Topic, stream.For(stream.Topic, "t", "1"))
	h.adopted(tn, topic.Item{Lead: grid.Unit(), Matter: ours, Task: "一", Target: calendar.DateOf(h.Clock()) + 60},
		topic.Item{Lead: community, Matter: ours, Task: "二", Target: calendar.DateOf(h.Clock()) + 60})
	next := calendar.DateOf(h.Clock()) + 1
	h.do(stream.Keyed(stream.Duties, string(district)), officer, duty.Publish{Unit: district, From: next, Covers: []orgs.Kind{orgs.Community}}, colleague)
	p.upTo(h.end())
	for _, r := range []engine.Request{h.toUs(demanded, duty.Lead), h.request(tn, as(orgs.Dispatcher, street), topic.HandToGrid{})} {
		if _, err := h.Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	h.until(next)
	p.upTo(unpaced)
	h.settle()
	if d := h.demand(demanded); d.Phase != demand.PhaseAccepted {
		t.Errorf("R1: the demand is %s, want it back in the pool", d.Phase)
	}
	if s, _, _ := h.Load(context.Background(), tn); s.(topic.State).Phase != topic.PhaseDeliberating {
		t.Errorf("R10: the topic is %s, want it back in deliberation", s.(topic.State).Phase)
	}
	bs := h.blocks(gateOf)
	if len(bs) != 3 {
		t.Fatalf("got %d blocks, want three: %+v", len(bs), bs)
	}
	for i, want := range []struct {
		by    orgs.UnitCode
		topic stream.ID
	}{{community, stream.ID{}}, {street, tn.ID()}, {street, tn.ID()}} {
		b := bs[i]
		if b.By != want.by || b.Topic != want.topic || b.Command != "dispatch" || b.Order.IsZero() || len(h.types(stream.Of(stream.Order, b.Order))) > 0 {
			t.Errorf("block %d: got %+v", i, b)
		}
	}
	if parked, _ := h.Parked(context.Background()); len(parked) > 0 {
		t.Errorf("parked %v, want none: the returns say it", parked)
	}
	end := h.end()
	h.stop()
	if err := os.Remove(filepath.Join(h.dir, "index.db")); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.settle()
	if h.end() != end {
		t.Errorf("a flow that lost its index wrote something: %v", h.types(gateOf))
	}
}

// TestTheGateIsTheSameAfterARestart: with its index, without it, and with one of an older program.
func TestTheGateIsTheSameAfterARestart(t *testing.T) {
	h := open(t)
	h.publish(lists...)
	today := calendar.DateOf(h.Clock())
	h.do(h.admitted(nowhere, duty.Lead, today, today+9, community), officer, admission.RecordFunding{Reference: "凭证"})
	verdicts := func() (vs []duty.Verdict) {
		g := h.Gate(h.Units())
		for _, m := range []string{ours, helped, notOurs, certificate, forbidden, nowhere} {
			for _, r := range []duty.Role{duty.Lead, duty.Assist} {
				vs = append(vs, g.Judge(grid.Unit(), m, r, today), g.Judge(street, m, r, today))
			}
		}
		return vs
	}
	want := verdicts()
	if want[20].Grant.IsZero() {
		t.Fatal("the grant does not show: the test proves nothing")
	}
	index := filepath.Join(h.dir, "index.db")
	for name, spoil := range map[string]func() error{
		"with its index":           func() error { return nil },
		"without it":               func() error { return os.Remove(index) },
		"with one of older make":   func() error { return older(index) },
		"with one that is a blank": func() error { return os.WriteFile(index, nil, 0o600) },
	} {
		h.stop()
		if err := spoil(); err != nil {
			t.Fatal(name, err)
		}
		h.start()
		h.settle()
		for i, got := range verdicts() {
			if got.Passes != want[i].Passes || got.List != want[i].List || got.Grant != want[i].Grant || got.Version != want[i].Version {
				t.Errorf("%s: verdict %d is %+v, want %+v", name, i, got, want[i])
			}
		}
	}
}

// older makes an index what the program before lists left: no lists, no grants, and all of the log followed.
func older(path string) error {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	_, err = db.Exec("DROP TABLE lists; DROP TABLE grants; PRAGMA user_version = 1")
	return errors.Join(err, db.Close())
}

// locked is a log whose gate streams can not be written.
type locked struct {
	eventlog.Log
	fail error
}

func (l *locked) Append(ctx context.Context, n string, expect eventlog.Revision, facts ...eventlog.Fact) (eventlog.Commit, error) {
	if l.fail != nil && stream.Name(n).Category() == stream.Gate {
		return eventlog.Commit{}, l.fail
	}
	return l.Log.Append(ctx, n, expect, facts...)
}

// TestNoBlockIsAnsweredBeforeItIsOnRecord: what can not be recorded is not answered as refused.
func TestNoBlockIsAnsweredBeforeItIsOnRecord(t *testing.T) {
	h := open(t)
	l := &locked{Log: h.log}
	h.stop()
	h.log = l
	h.start()
	h.publish(lists...)
	r := h.toUs(h.about(notOurs), duty.Lead)
	for fail, want := range map[error]error{eventlog.ErrFull: eventlog.ErrFull, eventlog.ErrUnavailable: engine.ErrOutcomeUnknown, eventlog.ErrConflict: eventlog.ErrConflict} {
		l.fail = fail
		var refusal *rule.Refusal
		if _, err := h.Handle(context.Background(), r); !errors.Is(err, want) || errors.As(err, &refusal) {
			t.Errorf("the log says %v: got %v, want %v and no refusal", fail, err, want)
		}
	}
	if n := len(h.blocks(gateOf)); n != 0 {
		t.Fatalf("got %d blocks, want none", n)
	}
	l.fail = nil
	if h.passes(r) || len(h.blocks(gateOf)) != 1 {
		t.Error("the same request, once the log takes it: want it refused and on record")
	}
}

// TestAListIsKnownToItsOwnNodeAtOnce: a dispatch right behind a publication is judged by it, though the flow lags behind.
func TestAListIsKnownToItsOwnNodeAtOnce(t *testing.T) {
	h := open(t)
	p := pace(h.log)
	h.stop()
	h.log = p
	h.start()
	id := h.about(notOurs)
	p.upTo(h.end())
	ctx := context.Background()
	r := h.request(stream.Keyed(stream.Duties, string(district)), officer, duty.Publish{Unit: district, From: calendar.DateOf(h.Clock()) + 1,
		Covers: []orgs.Kind{orgs.Community}, Items: []duty.Item{item(duty.NotBorne, notOurs)}})
	r.Second = &colleague
	if _, err := h.Handle(ctx, r); err != nil {
		t.Fatal(err)
	}
	h.until(calendar.DateOf(h.Clock()) + 1)
	if _, err := h.Handle(ctx, h.toUs(id, duty.Lead)); kept(err) == nil {
		t.Errorf("got %v, want it kept", err)
	}
	p.upTo(unpaced)
	h.settle()
}
