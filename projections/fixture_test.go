package projections

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
)

// history writes events as the engine would, one at a time, and remembers where its streams stand.
type history struct {
	t      testing.TB
	log    eventlog.Log
	random *rand.Rand
	now    time.Time
	states map[stream.Name]event.State
	heads  map[stream.Name]int64
	end    eventlog.Position

	places     []orgs.UnitCode // communities, and a street
	grids      []orgs.GridCode
	bodies     []orgs.UnitCode // that lead orders
	demands    []stream.ID
	topics     []stream.ID
	orders     []stream.ID
	calls      []stream.ID // whistles
	admissions []stream.ID
	quarrels   []stream.ID
	n          int
}

func newHistory(t testing.TB, log eventlog.Log, seed uint64) *history {
	return &history{t: t, log: log, random: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC),
		states: map[stream.Name]event.State{}, heads: map[stream.Name]int64{}}
}

// add appends one event and returns its position.
func (h *history) add(name stream.Name, b event.Body, actor ...string) eventlog.Position {
	h.t.Helper()
	data, err := event.Encode(b)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.addBytes(name, b.EventType(), data, actor...)
}

func (h *history) addBytes(name stream.Name, typ string, data []byte, actor ...string) eventlog.Position {
	h.t.Helper()
	h.n++
	h.now = h.now.Add(time.Duration(1+h.random.IntN(600)) * time.Second)
	head, begun := h.heads[name]
	if !begun {
		head = -1
	}
	id := stream.Event(name, fmt.Sprint("key-", h.n), 0)
	m := event.Meta{Salt: [16]byte{1}, Actor: "clerk-1", Role: orgs.Clerk, Unit: "150105003001", Key: fmt.Sprint("key-", h.n), Occurred: h.now, Recorded: h.now, Schema: 1}
	if len(actor) > 0 {
		m.Actor, m.Role = actor[0], orgs.Resident
	}
	c, err := h.log.Append(context.Background(), string(name), eventlog.Revision(head),
		eventlog.Fact{ID: uuid.UUID(id), Type: typ, Data: data, Meta: event.EncodeMeta(m)})
	if err != nil {
		h.t.Fatal(err)
	}
	h.heads[name], h.end = head+1, c.Position
	if body, err := event.Decode(typ, data); err == nil {
		h.states[name] = event.Fold(name, h.states[name], body, m.Stamp(id))
	}
	return c.Position
}

func (h *history) due(c calendar.Clock) calendar.Due {
	at := h.now.Add(time.Duration(1+h.random.IntN(20*24)) * time.Hour).Truncate(time.Second)
	return calendar.Due{ID: fmt.Sprint(c, "/1/1/", h.n), Clock: c, Kind: calendar.NamedDate, StartedAt: h.now.Truncate(time.Second), Due: at, OriginalDue: at, Policy: "p", PolicyVersion: 1, Calendar: "cn-2026#1",
		WarnAt: []time.Time{at.Add(-48 * time.Hour), at.Add(-24 * time.Hour)}}
}

func pick[T any](r *rand.Rand, xs []T) T { return xs[r.IntN(len(xs))] }

// seal is no cipher: it only keeps the words from standing in the clear. An erased key is none of ours.
func seal(clear string) sealed.Text {
	if clear == "" {
		return sealed.Text{}
	}
	return sealed.Cipher(sealed.Prefix + "test.k." + base64.RawURLEncoding.EncodeToString([]byte(clear)))
}

type fakeKeys struct {
	mu     sync.Mutex
	erased map[stream.Name]bool
	broken error
}

func (k *fakeKeys) Open(name stream.Name, _ stream.ID, typ, field, cipher string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != nil {
		return "", k.broken
	}
	if k.erased[name] {
		return "", nil
	}
	if typ != "demand-raised/1" || field == "" {
		return "", fmt.Errorf("no field %q of %q", field, typ)
	}
	b, err := base64.RawURLEncoding.DecodeString(cipher[strings.LastIndexByte(cipher, '.')+1:])
	return string(b), err
}

func (k *fakeKeys) Blind(kind, value string) string {
	sum := sha256.Sum256([]byte("key" + kind + value))
	return hex.EncodeToString(sum[:])
}

// organise opens a small city: a district with departments, two streets, communities, grids and what sits in them.
func (h *history) organise() {
	open := func(code orgs.UnitCode, k orgs.Kind, parent orgs.UnitCode) {
		u := orgs.UnitOpened{Code: code, Name: "单位" + string(code), Kind: k, Parent: parent}
		if k == orgs.Agency {
			u.Department = "150105-d01"
		}
		h.add(stream.Keyed(stream.Unit, string(code)), u)
	}
	open("150100", orgs.City, "")
	open("150105", orgs.District, "150100")
	open("150105-d01", orgs.Department, "150105")
	open("150105-d02", orgs.Department, "150105")
	open("150102", orgs.District, "150100")
	open("150102001", orgs.Street, "150102")
	open("150102001001", orgs.Community, "150102001")
	for _, s := range []orgs.UnitCode{"150105003", "150105004"} {
		open(s, orgs.Street, "150105")
		open(s+"-a01", orgs.Agency, s)
		for c := range 3 {
			community := s + orgs.UnitCode(fmt.Sprintf("%03d", c+1))
			open(community, orgs.Community, s)
			open(community+"-p01", orgs.Property, community)
			for g := range 2 {
				grid := orgs.GridCode(fmt.Sprintf("%s%03d", community, g+1))
				h.add(stream.Keyed(stream.Grids, string(community)), orgs.GridDrawn{Grid: grid, Name: "网格", Households: 300, Urban: true})
				h.grids = append(h.grids, grid)
			}
			h.places = append(h.places, community)
			h.bodies = append(h.bodies, community, community+"-p01", h.grids[len(h.grids)-1].Unit())
		}
		h.bodies = append(h.bodies, s+"-a01", s)
	}
	h.add(stream.Keyed(stream.Unit, "150105-t01"), orgs.UnitOpened{Code: "150105-t01", Name: "联合执法队", Kind: orgs.JointTeam, Parent: "150105", Members: []orgs.UnitCode{"150105003-a01"}})
	open("150105003001-p012", orgs.Property, "150105003001") // begins like its neighbour -p01
	h.places = append(h.places, "150102001001", "150105003", "150105-d02", "150105003001-p01", "150105003001-p012")
	h.bodies = append(h.bodies, "150105-d01", "150105-d02", "150102001")
	h.add(stream.Keyed(stream.Grids, "150105003001"), orgs.GridWorkerAppointed{Grid: h.grids[0], Worker: "w1", Duty: orgs.DutyLead, FullTime: true})
	h.add(stream.Keyed(stream.Unit, "150105003-a01"), orgs.UnitRenamed{Code: "150105003-a01", Name: "综合执法队"})
}

// raise raises a demand with these words.
func (h *history) raise(k demand.Kind, unit orgs.UnitCode, grid orgs.GridCode, title, text, phone, actor string) stream.ID {
	id := stream.DemandFor("app", fmt.Sprint("raise-", h.n))
	tracking := sha256.Sum256([]byte(id.String()))
	h.add(stream.Of(stream.Demand, id), demand.Raised{Number: fmt.Sprintf("N%06d", h.n), Kind: k, Channel: "app", Title: seal(title), Text: seal(text),
		Reporter: demand.Reporter{Phone: seal(phone)}, Grid: grid, Unit: unit, Tracking: hex.EncodeToString(tracking[:]), Accept: h.due(calendar.Accept)}, actor)
	h.demands = append(h.demands, id)
	return id
}

func (h *history) accept(id stream.ID, summary string) {
	s := h.demand(id)
	h.add(stream.Of(stream.Demand, id), demand.Accepted{Kind: s.Kind, Matter: pick(h.random, []string{"0101", "0102", "0201"}),
		Urgency: pick(h.random, demand.Urgencies()), Unit: s.Unit, Grid: s.Grid, Summary: sealed.Public(summary), Triage: h.due(calendar.Triage)})
}

func (h *history) demand(id stream.ID) demand.State {
	return h.states[stream.Of(stream.Demand, id)].(demand.State)
}

// grid returns a grid of the community, or none.
func (h *history) grid(unit orgs.UnitCode) orgs.GridCode {
	for _, g := range h.grids {
		if g.Community() == unit && h.random.IntN(2) == 0 {
			return g
		}
	}
	return ""
}

// step does something that may happen next.
func (h *history) step() {
	r := h.random
	switch k := r.IntN(22); {
	case k < 5 || len(h.demands) == 0:
		unit := pick(r, h.places)
		h.raise(pick(r, demand.Kinds()), unit, h.grid(unit), pick(r, []string{"", "暖气不热", "路灯不亮"}), "供热不足，家里很冷 "+fmt.Sprint(h.n), fmt.Sprint("1390000", r.IntN(30)), pick(r, []string{"r1", "r2", "r3"}))
	case k == 5:
		h.propose()
	case k == 6 && len(h.topics) > 0:
		h.moveTopic(pick(r, h.topics))
	case k < 10 && len(h.orders) > 0:
		h.moveOrder(pick(r, h.orders))
	case k == 10:
		h.reorganise()
	case k == 12 && (len(h.quarrels) < 10 || r.IntN(3) == 0):
		h.quarrel()
	case k == 12 || k == 13:
		h.moveQuarrel()
	case k == 14:
		h.govern()
	case k == 11:
		h.addBytes(pick(r, []stream.Name{"gridcase.access-x", stream.Of(stream.Demand, pick(r, h.demands))}), "from-the-future/1", []byte(`{"a":1}`))
	case k == 20:
		h.blow()
	case k == 21 && len(h.calls) > 0:
		h.moveWhistle(pick(r, h.calls))
		h.moveWhistle(pick(r, h.calls))
	default:
		h.moveDemand(pick(r, h.demands))
	}
}

// blow blows a whistle for some of those who may be called.
func (h *history) blow() {
	r := h.random
	street := pick(r, []orgs.UnitCode{"150105003", "150105004"})
	id := stream.For(stream.Whistle, "clerk-1", fmt.Sprint("w", h.n))
	b := whistle.Blown{Street: street, Class: pick(r, whistle.Classes()), Place: street, Task: "联合整治", Demand: pick(r, h.demands)}
	all := []orgs.UnitCode{street + "-a01", "150105-d01", "150105-d02", street + "001-p01", "150105-t01"}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, u := range all[:1+r.IntN(3)] {
		due := h.due(calendar.ReportIn)
		due.ID = fmt.Sprintf("report_in/%d/0/%d", i+1, i+1)
		b.Units = append(b.Units, whistle.Summons{Unit: u, ReportIn: due})
	}
	h.add(stream.Of(stream.Whistle, id), b)
	h.calls = append(h.calls, id)
}

// moveWhistle does what may happen next to a whistle.
func (h *history) moveWhistle(id stream.ID) {
	r, name := h.random, stream.Of(stream.Whistle, id)
	s := h.states[name].(whistle.State)
	u := pick(r, s.Units)
	switch s.Phase {
	case whistle.PhaseOpen, whistle.PhaseOnSite:
		switch st := u.Standing(); {
		case s.Phase == whistle.PhaseOpen && r.IntN(8) == 0:
			h.add(name, whistle.Cancelled{Reason: "误报"})
		case u.Present():
			h.add(name, whistle.UnitReleased{Unit: u.Code, At: h.now, Left: r.IntN(4) == 0})
		case st == whistle.Awaited && r.IntN(5) == 0:
			h.add(name, whistle.UnitExcused{Unit: u.Code, Reason: "火情"})
		case st == whistle.Awaited && r.IntN(4) == 0:
			h.add(name, whistle.UnitAbsent{Unit: u.Code, ID: u.Due.ID, Due: u.Due.Due})
		case st == whistle.Awaited || st == whistle.Absent && r.IntN(2) == 0:
			h.add(name, whistle.UnitReportedIn{Unit: u.Code, At: h.now, Late: r.IntN(3) == 0})
		default:
			var spared []orgs.UnitCode
			for _, u := range s.Units {
				if u.Standing() == whistle.Awaited && r.IntN(2) == 0 {
					spared = append(spared, u.Code)
				}
			}
			h.add(name, whistle.Concluded{Outcome: "已恢复", At: h.now, Spared: spared, Score: h.due(calendar.Score)})
		}
	case whistle.PhaseConcluded:
		var b whistle.Scored
		for _, u := range s.Units {
			if u.Standing().Counts() {
				b.Cards = append(b.Cards, whistle.Card{Unit: u.Code, ReportIn: u.Standing(), Stayed: u.Stayed(), Outcome: r.IntN(31), Comment: "评语", Score: r.IntN(10001)})
			}
		}
		h.add(name, b)
	case whistle.PhaseScored:
		if u.Card != nil && r.IntN(3) == 0 {
			k := *u.Card
			k.ReportIn = pick(r, []whistle.Standing{whistle.OnTime, whistle.Late, whistle.Absent})
			h.add(name, whistle.Rescored{Card: k, Reason: "申诉成立"})
		}
	}
}

func (h *history) propose() {
	id := stream.For(stream.Topic, "clerk-1", fmt.Sprint("t", h.n))
	h.add(stream.Of(stream.Topic, id), topic.Proposed{Number: fmt.Sprint("T", h.n), Kind: topic.Ordinary, Source: "residents", Title: "老旧小区供热改造",
		Unit: pick(h.random, h.places), Matter: "0101", Open: h.due(calendar.Open)}, pick(h.random, []string{"r1", "clerk-2"}))
	h.topics = append(h.topics, id)
}

func (h *history) moveTopic(id stream.ID) {
	name := stream.Of(stream.Topic, id)
	h.add(name, pick(h.random, []event.Body{
		topic.DeliberationOpened{Format: "council", Place: "活动室", MeetingAt: h.now, Deliberate: h.due(calendar.Deliberate)},
		topic.Adopted{Summary: "采纳", Handover: h.due(calendar.Handover)},
		topic.Supported{Household: fmt.Sprint("h", h.n)},
		topic.Rejected{Reason: "不采纳"},
	}))
}

func (h *history) moveDemand(id stream.ID) {
	r, name, s := h.random, stream.Of(stream.Demand, id), h.demand(id)
	switch s.Phase {
	case demand.PhaseRaised:
		switch r.IntN(4) {
		case 0:
			h.add(name, demand.AnsweredOnTheSpot{Kind: s.Kind, Outcome: demand.Resolved, Summary: "当场答复供热问题", Answer: seal("已解决"), Waiver: "on_the_spot", Callback: h.due(calendar.Callback)})
		case 1:
			h.add(name, demand.Relocated{Unit: pick(r, h.places)})
		default:
			h.accept(id, "居民反映供热不足 "+fmt.Sprint(h.n))
		}
	case demand.PhaseAccepted:
		switch {
		case r.IntN(3) == 0 && len(h.topics) > 0:
			h.add(name, demand.LinkedToTopic{Topic: pick(r, h.topics), TopicNews: h.due(calendar.TopicNews)})
		case r.IntN(4) == 0 && len(h.orders) > 0:
			h.join(id, pick(r, h.orders))
		case r.IntN(5) == 0:
			h.add(name, demand.Supported{Supporters: 1})
		case r.IntN(6) == 0:
			h.add(name, demand.Reclassified{Kind: pick(r, demand.Kinds())})
		default:
			h.dispatch(id)
		}
	case demand.PhaseInTopic:
		h.add(name, pick(r, []event.Body{
			demand.UnlinkedFromTopic{Topic: s.Topic, Reason: "不相关", Triage: h.due(calendar.Triage)},
			demand.Related{Topic: pick(r, h.topics)},
			demand.Answered{Outcome: demand.NotAdopted, Callback: h.due(calendar.Callback)},
		}))
	case demand.PhaseInHandling:
		h.add(name, pick(r, []event.Body{
			demand.UrgingReceived{}, demand.Relocated{Unit: pick(r, h.places)},
			demand.ReturnedToPool{Cause: "order_cancelled", Triage: h.due(calendar.Triage)},
			demand.Answered{Outcome: demand.Resolved, Callback: h.due(calendar.Callback)},
		}))
	case demand.PhaseAnswered:
		h.add(name, demand.CallbackWaived{Cause: "unreached", ReopenBy: h.now})
	case demand.PhaseClosed:
		if r.IntN(4) == 0 {
			h.add(name, demand.Reopened{Round: s.Round + 1, Triage: h.due(calendar.Triage)})
		}
	}
}

func (h *history) dispatch(id stream.ID) stream.ID {
	s := h.demand(id)
	lead := pick(h.random, h.bodies)
	h.add(stream.Of(stream.Demand, id), demand.FastTracked{Reason: demand.ReasonUrgent, Route: demand.Route{Order: &demand.NewOrder{Lead: lead}}, Promise: h.due(calendar.Promise)})
	s = h.demand(id)
	o := s.Orders[len(s.Orders)-1]
	var co []orgs.UnitCode
	if h.random.IntN(3) == 0 {
		co = append(co, pick(h.random, h.bodies))
	}
	h.add(stream.Of(stream.Order, o), order.Dispatched{Number: fmt.Sprint("O", h.n), Demands: []stream.ID{id}, Kind: string(s.Kind), Matter: "0101", Urgency: "C", Lead: lead,
		CoUnits: co, By: "150105003", Place: s.Unit, Grid: s.Grid, Task: "处理供热", Sign: h.due(calendar.Sign), Contact: h.due(calendar.Contact), Handle: h.due(calendar.Handle), ReturnBy: h.now})
	h.orders = append(h.orders, o)
	return o
}

func (h *history) join(id, o stream.ID) {
	h.add(stream.Of(stream.Demand, id), demand.FastTracked{Reason: demand.ReasonSameMatter, Route: demand.Route{Join: o}, Promise: h.due(calendar.Promise)})
	h.add(stream.Of(stream.Order, o), order.DemandAttached{Demand: id})
}

func (h *history) moveOrder(id stream.ID) {
	r, name := h.random, stream.Of(stream.Order, id)
	s := h.states[name].(order.State)
	if r.IntN(4) == 0 {
		h.strike(name)
		return
	}
	if len(s.Demands) > 0 && r.IntN(6) == 0 {
		h.add(name, order.DemandDetached{Demand: s.Demands[0]})
		return
	}
	h.add(name, pick(r, []event.Body{
		order.Signed{At: h.now}, order.Contacted{Means: "phone", At: h.now},
		order.Redispatched{Leg: len(s.Legs) + 1, Lead: pick(r, h.bodies), CoUnits: []orgs.UnitCode{pick(r, h.bodies)}, By: "150105", Sign: h.due(calendar.Sign), Contact: h.due(calendar.Contact), Handle: h.due(calendar.Handle)},
		order.Reassigned{Lead: pick(r, h.bodies), Worker: pick(r, []string{"", "w1", "w/2"})},
		order.Reported{Outcome: "resolved", Summary: "已处理", Attempt: 1, DoneAt: h.now.Add(-time.Duration(r.IntN(5000)) * time.Second), Verify: h.due(calendar.Verify)},
		order.VerificationPassed{Method: "photo"}, order.ReworkOrdered{Round: s.Round + 1, Cause: "callback", Rework: h.due(calendar.Rework)},
		h.escalated(s), order.SupervisionAnswered{Number: max(1, len(s.Supervisions)), Answer: "情况说明"},
		order.SupervisionIssued{Number: len(s.Supervisions) + 1, Reason: "督办", Deadline: h.due(calendar.Supervision)},
		order.ProblemFlagged{Cause: "rework"}, order.Closed{Cause: "answered"}, order.Cancelled{Cause: "error"},
	}))
}

// govern publishes lists, moves an admission on, or has the gate block something.
func (h *history) govern() {
	r := h.random
	today := calendar.DateOf(h.now)
	switch r.IntN(5) {
	case 4:
		h.recount()
	case 0:
		unit := pick(r, []orgs.UnitCode{"150100", "150105"})
		name := stream.Keyed(stream.Duties, string(unit))
		s, _ := h.states[name].(duty.State)
		h.add(name, duty.Published{Unit: unit, Version: len(s.Versions) + 1, From: today + 1, Covers: []orgs.Kind{orgs.Community}, Unlisted: duty.BlockUnlisted,
			NegativeGrant: duty.GrantAssists, Items: []duty.Item{{Target: orgs.Community, List: duty.NotBorne, Matter: "12", Row: "卫生"}}})
	case 1:
		target := pick(r, []orgs.UnitCode{"150105003001", "150105004001", "150102001001", "150105003"})
		h.add(stream.Keyed(stream.Gate, string(target)), duty.Blocked{Target: target, Unit: target, Matter: pick(r, []string{"120101", "010101"}), Role: duty.Lead,
			Publisher: "150105", List: duty.NotBorne, Version: 1, Row: "卫生", On: today, By: pick(r, h.bodies), Command: "fast-track", Demands: []stream.ID{pick(r, h.demands)}})
	case 2:
		id := stream.For(stream.Admission, "head", fmt.Sprint("a", h.n))
		h.add(stream.Of(stream.Admission, id), admission.Requested{By: pick(r, []orgs.UnitCode{"150105-d01", "150105003-a01"}), Office: "150105", Matter: "120101", Role: duty.Assist,
			Units: []orgs.UnitCode{pick(r, h.places[:6])}, From: today + 40, Until: today + 90, Task: "排查", Basis: "依据", Staff: 1, Decide: h.due(calendar.Admission)})
		h.admissions = append(h.admissions, id)
	default:
		if len(h.admissions) == 0 {
			return
		}
		h.add(stream.Of(stream.Admission, pick(r, h.admissions)), pick(r, []event.Body{
			admission.ReviewOpened{Asked: []orgs.UnitCode{"150105003001"}}, admission.Refused{Reason: "不予准入"}, admission.Funded{Reference: "凭证"},
			admission.Granted{Units: []orgs.UnitCode{"150105003001"}, From: today + 41, Until: today + 80, Funding: "文号", Expiry: h.due(calendar.Expiry)},
			admission.Escalated{From: 4, To: 5, Unit: "150100", Rule: "E5"},
		}))
	}
}

// recount has a clock of some stream counted anew: confirmed, or moved to a later due.
func (h *history) recount() {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(h.states)), func(n stream.Name) bool {
		running, _ := event.Clocks(h.states[n])
		return len(running) == 0
	})
	if len(names) == 0 {
		return
	}
	n := pick(h.random, names)
	running, _ := event.Clocks(h.states[n])
	old := pick(h.random, running)
	due := old
	due.Provisional = false
	if h.random.IntN(3) > 0 {
		due.ID, due.Due = fmt.Sprint(old.Clock, "/1/1/", h.n), old.Due.Add(24*time.Hour)
	}
	r := rule.Recount{Replaces: old.ID, Clock: due, Reason: "放假通知已发布"}
	h.add(n, map[stream.Category]event.Body{stream.Demand: demand.DeadlineRecomputed(r), stream.Topic: topic.DeadlineRecomputed(r), stream.Order: order.DeadlineRecomputed(r),
		stream.Dispute: dispute.DeadlineRecomputed(r), stream.Whistle: whistle.DeadlineRecomputed(r), stream.Admission: admission.DeadlineRecomputed(r)}[n.Category()])
}

// escalated lifts an order one level higher than it is.
func (h *history) escalated(s order.State) order.Escalated {
	units := new(orgs.Tree)
	for _, st := range h.states {
		if u, ok := st.(orgs.UnitState); ok {
			units = units.With(u.Opened)
		}
	}
	level := min(5, max(s.Attention.Level, units.Level(s.Place))+1)
	return order.Escalated{From: level - 1, To: level, Unit: "150105", Rule: pick(h.random, []string{"E1", "E3", "E4", "E5"}), Due: h.now.Truncate(time.Second), Count: 3, LateBy: 7}
}

// quarrel opens a dispute, at times with a party that has an account.
func (h *history) quarrel() {
	d := h.demand(pick(h.random, h.demands))
	id := stream.For(stream.Dispute, "clerk-1", fmt.Sprint("q", h.n))
	o := dispute.Opened{Demand: d.ID, Rung: dispute.Rung(1 + h.random.IntN(2)), Unit: pick(h.random, h.places), RungDue: h.due(calendar.Rung)}
	if h.random.IntN(2) == 0 {
		o.Parties = []dispute.Party{{Actor: pick(h.random, []string{"r1", "r2"})}}
	}
	h.add(stream.Of(stream.Dispute, id), o)
	h.quarrels = append(h.quarrels, id)
}

func (h *history) moveQuarrel() {
	if len(h.quarrels) == 0 {
		return
	}
	name := stream.Of(stream.Dispute, pick(h.random, h.quarrels))
	s := h.states[name].(dispute.State)
	switch s.Phase {
	case dispute.PhaseOpened:
		h.add(name, pick(h.random, []event.Body{dispute.MediationAccepted{Unit: "150105003001"}, dispute.MediationAccepted{Unit: "150105003001"},
			dispute.MediationDeclined{Reason: dispute.Refused, ReferDue: h.due(calendar.Refer)}}))
	case dispute.PhaseMediating:
		h.add(name, pick(h.random, []event.Body{dispute.MediationSucceeded{Agreement: "aa", FulfilOn: calendar.DateOf(h.now) + 3, FulfilDue: h.due(calendar.Fulfil)},
			dispute.MediationSucceeded{Agreement: "aa", FulfilOn: calendar.DateOf(h.now) + 3, FulfilDue: h.due(calendar.Fulfil)},
			dispute.MediationFailed{ReferDue: h.due(calendar.Refer)}, dispute.Withdrawn{}}))
	case dispute.PhaseFailed:
		h.add(name, pick(h.random, []event.Body{dispute.ReferredUp{Rung: min(4, s.Rung+1), RungDue: h.due(calendar.Rung)},
			dispute.ReferredUp{Rung: min(4, s.Rung+1), RungDue: h.due(calendar.Rung)}, dispute.ReferredOut{Target: dispute.Court, Receipt: "x"}}))
	case dispute.PhaseAgreed:
		h.add(name, pick(h.random, []event.Body{dispute.AgreementFulfilled{}, dispute.AgreementBreached{ReferDue: h.due(calendar.Refer)}}))
	}
}

// reorganise opens, renames or closes something, so that the tree is another one before and after.
func (h *history) reorganise() {
	switch h.random.IntN(4) {
	case 3:
		h.redivide()
	case 0:
		code := orgs.UnitCode(fmt.Sprintf("150105004-t%03d", h.n))
		h.add(stream.Keyed(stream.Unit, string(code)), orgs.UnitOpened{Code: code, Name: "志愿队", Kind: orgs.Team, Parent: "150105004"})
		h.bodies = append(h.bodies, code)
	case 1:
		u := pick(h.random, h.bodies)
		if name := stream.Keyed(stream.Unit, string(u)); h.states[name] != nil {
			h.add(name, pick(h.random, []event.Body{orgs.UnitRenamed{Code: u, Name: fmt.Sprint("新名", h.n)}, orgs.UnitClosed{Code: u}}))
		}
	case 2:
		g := pick(h.random, h.grids)
		h.add(stream.Keyed(stream.Grids, string(g.Community())), []event.Body{orgs.ActingWorkerAppointed{Grid: g, Worker: fmt.Sprint("w", h.n)}, orgs.PartyGroupsSet{Grid: g, Groups: []string{fmt.Sprint("p", h.n%7)}}}[h.n%2])
	}
}

// redivide surveys a community, gives a grid its households, or splits, merges or gives up what there is.
func (h *history) redivide() {
	g := pick(h.random, h.grids)
	c, next := g.Community(), orgs.GridCode(fmt.Sprintf("%s%03d", g.Community(), 100+h.n%900))
	name, on := stream.Keyed(stream.Grids, string(c)), calendar.DateOf(h.now)
	walls := []orgs.Stairwell{{Code: "b1/1", Households: h.random.IntN(40)}, {Code: "b1/2", Households: h.random.IntN(40)}}
	drawn := orgs.GridDrawn{Grid: next, Name: "新网格", Households: 30, Urban: true}
	switch h.random.IntN(5) {
	case 0:
		h.add(name, orgs.BlocksSurveyed{Community: c, Buildings: []orgs.Building{{Code: "b1", Stairwells: walls}}})
	case 1:
		h.add(name, orgs.HouseholdsAssigned{Grid: g, Stairwells: []orgs.BlockCode{"b1/1", "b1/2"}})
	case 2:
		h.add(name, drawn)
		h.add(name, orgs.GridSplit{Grid: g, Into: []orgs.GridCode{h.grids[0], next}, On: on})
	case 3:
		h.add(name, drawn)
		h.add(name, orgs.GridMerged{Grids: []orgs.GridCode{g}, Into: next, On: on})
	case 4:
		h.add(stream.Keyed(stream.Unit, "150102001001"), orgs.CommunitySplit{Code: "150102001001", Into: []orgs.UnitCode{"150105003001", "150105003002"}, On: on})
	}
}

func (h *history) steps(n int) {
	for range n {
		h.step()
	}
}

// open opens views in a folder and closes them with the test.
func open(t testing.TB, dir string, log eventlog.Log, change ...func(*Config)) *Runner {
	t.Helper()
	keys := &fakeKeys{}
	c := Config{Dir: dir, Log: log, Opener: keys, Identity: keys}
	for _, f := range change {
		f(&c)
	}
	r, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func wait(t testing.TB, r *Runner, p eventlog.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if at, ok := r.Wait(ctx, p); !ok {
		t.Fatalf("the views stand at %d, want %d; status %+v", at, p, r.Status())
	}
}

// digest waits for a position and returns the digests there.
func digest(t testing.TB, r *Runner, p eventlog.Position) map[string]string {
	t.Helper()
	wait(t, r, p)
	d, at, err := r.Views().Digest(context.Background())
	if err != nil || at != p {
		t.Fatalf("digest: got position %d, %v; want %d", at, err, p)
	}
	return d
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// tally counts what the runner tells its observer.
type tally struct {
	mu                                       sync.Mutex
	batches, events, gaps, repeats, failures int
	unknown                                  map[string]int
}

func (o *tally) Batch(n int, _ time.Duration) { o.do(func() { o.batches++; o.events += n }) }
func (o *tally) Failure(string)               { o.do(func() { o.failures++ }) }
func (o *tally) Gap()                         { o.do(func() { o.gaps++ }) }
func (o *tally) Repeat()                      { o.do(func() { o.repeats++ }) }
func (o *tally) Unknown(typ string) {
	o.do(func() {
		if o.unknown == nil {
			o.unknown = map[string]int{}
		}
		o.unknown[typ]++
	})
}

func (o *tally) do(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

func (o *tally) get(f func(*tally) int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return f(o)
}

// sample returns a log with an organised city and n steps, and its history.
func sample(t testing.TB, seed uint64, n int) (*mem.Log, *history) {
	log := mem.Open()
	h := newHistory(t, log, seed)
	h.organise()
	h.steps(n)
	return log, h
}

var errOnPurpose = errors.New("on purpose")

// at reports whether an entry is the one at a position of a stream.
func at(e Entry, name stream.Name, revision int64) bool {
	return e.Stream == name && e.Revision == revision
}

func idsOf[R any](rows []R, id func(R) stream.ID) []stream.ID {
	ids := make([]stream.ID, len(rows))
	for i, r := range rows {
		ids[i] = id(r)
	}
	return ids
}

func sortIDs(ids []stream.ID) []stream.ID {
	slices.SortFunc(ids, func(a, b stream.ID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

func mustHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
