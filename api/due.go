package api

import (
	"context"
	"net/http"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
	"gridcase/engine"
	"gridcase/eventlog"
)

// Dues explains every clock of a case that runs, or stands still.
type Dues struct {
	ID    stream.ID      `json:"id"`
	Items []DueExplained `json:"items" nullable:"false"`
}

// DueExplained says how a due instant was counted, so that anybody can follow it with the notices in hand. Nothing is
// computed anew: each spell names the calendar and the policy with which it was counted then.
type DueExplained struct {
	ID            string         `json:"id"`
	Clock         calendar.Clock `json:"clock"`
	Owed          string         `json:"owed" doc:"What is owed by then, in the language of the caller."`
	Unit          orgs.UnitCode  `json:"unit,omitempty" doc:"Of reporting in: the unit that is to come."`
	Frozen        bool           `json:"frozen,omitempty" doc:"The clock stands still."`
	Kind          calendar.Kind  `json:"kind" doc:"What is counted. Hour kinds are answered in seconds, day kinds in days."`
	Amount        int            `json:"amount" doc:"As the policy gave it, in kind; of a date, the days up to it."`
	Row           *calendar.Row  `json:"row,omitempty" doc:"The row of the policy that gave it; absent for a named date, and if kind or urgency of the case changed since."`
	Policy        string         `json:"policy"`
	PolicyVersion int            `json:"policy_version"`
	Calendar      string         `json:"calendar"`
	StartedAt     time.Time      `json:"started_at"`
	Due           time.Time      `json:"due" doc:"On this second it is still on time. While the clock stands still: as it was."`
	OriginalDue   time.Time      `json:"original_due"`
	WarnAt        []time.Time    `json:"warn_at" nullable:"false"`
	Moved         []DueMoved     `json:"moved" nullable:"false" doc:"What moved it since it was first computed."`
	Spells        []DueSpell     `json:"spells" nullable:"false" doc:"The stretches in which the clock ran."`
	Counted       *Measure       `json:"counted,omitempty" doc:"What the parts of all spells add up to; absent if the rules of then are not in this log."`
	Total         *Measure       `json:"total,omitempty" doc:"The amount, and what extensions added. It differs from counted while the clock stands still, and where a pause was counted on with a later calendar."`
	Provisional   bool           `json:"provisional" doc:"A notice still to come may change it: when it is published this is counted anew, and the later holds."`
	Unknown       calendar.Date  `json:"unknown_from,omitzero" doc:"Of a provisional due: from this date on the days are taken for Monday to Friday."`
	Because       string         `json:"because" doc:"Why it is provisional or not."`
}

// Measure is a length of time: seconds of an hour kind, days of a day kind.
type Measure struct {
	Seconds *int `json:"seconds,omitempty"`
	Days    *int `json:"days,omitempty"`
}

// DueMoved is one thing that moved a due instant.
type DueMoved struct {
	Turn      calendar.Turn `json:"turn" enum:"pause,extension,recount"`
	FrozenAt  time.Time     `json:"frozen_at,omitzero"`
	RestartAt time.Time     `json:"restart_at,omitzero" doc:"Absent while it stands still."`
	By        int           `json:"by,omitempty" doc:"Of an extension, in kind."`
	From      time.Time     `json:"from"`
	To        time.Time     `json:"to" doc:"The same as from if it moved nothing."`
}

// DueSpell is a stretch of time in which the clock ran, counted with one calendar and one policy.
type DueSpell struct {
	Turn          calendar.Turn `json:"turn,omitempty" enum:"pause,extension,recount" doc:"What began it; absent: the start."`
	From          time.Time     `json:"from"`
	Until         time.Time     `json:"until"`
	Policy        string        `json:"policy"`
	PolicyVersion int           `json:"policy_version"`
	Calendar      string        `json:"calendar"`
	Counted       Measure       `json:"counted"`
	Parts         []DuePart     `json:"parts" nullable:"false"`
	Skipped       []DueSkipped  `json:"skipped" nullable:"false" doc:"Days passed over."`
}

// DuePart is time that counts: a service window of a day, a working day, or all of it.
type DuePart struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Number int       `json:"number,omitempty" doc:"Of a working day: which of all it is, from 1."`
	Measure
	MakeUp *DueNotice `json:"make_up,omitempty" doc:"A make-up workday (调休), and who says so."`
	Kept   bool       `json:"kept,omitempty" doc:"It was promised so before a later calendar took the day for a day off."`
}

// DueSkipped is a day that was passed over.
type DueSkipped struct {
	Date   calendar.Date `json:"date"`
	Why    string        `json:"why" enum:"weekend,notice,kept" doc:"kept: it was promised so before a later calendar took it for a working day."`
	Notice *DueNotice    `json:"notice,omitempty"`
}

// DueNotice names the notice that makes a day what it is.
type DueNotice struct {
	Year     int    `json:"year"`
	Source   string `json:"source"`
	Occasion string `json:"occasion,omitempty"`
}

// owed says in a street office's words what each clock waits for.
var owed = map[calendar.Clock]rule.Phrase{
	calendar.Accept:            rule.Say("受理该诉求", "accept the demand"),
	calendar.Triage:            rule.Say("转入议题或交办", "put it into a topic or have it handled"),
	calendar.TopicNews:         rule.Say("告知议题进展", "tell of the topic's progress"),
	calendar.Promise:           rule.Say("答复诉求人", "answer the resident"),
	calendar.Callback:          rule.Say("首次回访", "try a first callback"),
	calendar.Open:              rule.Say("启动议事", "open the deliberation"),
	calendar.Deliberate:        rule.Say("议定议题", "decide the topic"),
	calendar.Handover:          rule.Say("交由网格办理", "hand it to the grid"),
	calendar.Conclude:          rule.Say("办结议题", "conclude the topic"),
	calendar.MeetingWait:       rule.Say("公告期满方可开会", "wait before the meeting"),
	calendar.TopicReview:       rule.Say("复议缓议议题", "look at the deferred topic again"),
	calendar.VoteCount:         rule.Say("登记表决结果", "record the count of the vote"),
	calendar.Sign:              rule.Say("签收办题单", "sign for the order"),
	calendar.Contact:           rule.Say("联系诉求人", "contact the residents"),
	calendar.Handle:            rule.Say("办理并反馈", "handle it and report"),
	calendar.Return:            rule.Say("可申请退单", "send it back"),
	calendar.ReturnDecision:    rule.Say("审核退单", "rule on the return"),
	calendar.Redispatch:        rule.Say("重新派单", "dispatch it again"),
	calendar.SuspensionReview:  rule.Say("复核挂账", "review the suspension"),
	calendar.Verify:            rule.Say("核查办理结果", "verify the work"),
	calendar.Rework:            rule.Say("返工并反馈", "do it again and report"),
	calendar.ExtensionDecision: rule.Say("审批延期", "decide on the extension"),
	calendar.Supervision:       rule.Say("答复督办", "answer the supervision"),
	calendar.ReportIn:          rule.Say("报到", "report in"),
	calendar.Score:             rule.Say("评分", "give a score"),
	calendar.Admission:         rule.Say("审查准入", "decide on the admission"),
	calendar.Expiry:            rule.Say("准入到期", "the admission ends"),
	calendar.Refer:             rule.Say("上交或转出纠纷", "refer the dispute on"),
	calendar.Rung:              rule.Say("本级调解终结", "end mediation at this rung"),
	calendar.Fulfil:            rule.Say("履行协议", "keep the agreement"),
	calendar.Evaluation:        rule.Say("完成评价", "evaluate"),
	calendar.Objection:         rule.Say("提出考核异议", "object to the assessment"),
	calendar.ObjectionDecision: rule.Say("裁定考核异议", "decide on the objection"),
}

// explained offers GET /{plural}/{id}/due to whoever may read the resource.
func explained[R any](s *Server, k resource[R]) {
	get(s, "explain-"+string(k.category)+"-due", "/"+k.plural()+"/{id}/due", "Explain how the due instants of its clocks were counted", k.plural(),
		func(ctx context.Context, in *oneInput) (*found[Dues], error) {
			position := s.position()
			n, _, _, err := s.find(ctx, k.category, in.ID)
			if err != nil {
				return nil, err
			}
			entries, err := s.entries(ctx, n)
			if err != nil {
				return nil, err
			}
			tag := etag(entries[len(entries)-1].Revision)
			if matches(in.NoneMatch, tag) {
				return &found[Dues]{Status: http.StatusNotModified, ETag: tag, Position: position}, nil
			}
			body := Dues{ID: n.ID(), Items: []DueExplained{}}
			state := entries[len(entries)-1].After
			kind, urgency := rowKey(state)
			for _, c := range event.Courses(entries) {
				x := s.explain(ctx, c, kind, urgency)
				if w, blown := state.(whistle.State); blown {
					called, _ := w.Called(x.ID)
					x.Unit = called.Code
				}
				body.Items = append(body.Items, x)
			}
			return &found[Dues]{Status: http.StatusOK, ETag: tag, Position: position, Body: body}, nil
		})
}

// The bodies of recompute-deadline, one for each machine. Their members are those of an order's.
type (
	recomputeDeadlineBody struct {
		Happened
		ID     string        `json:"id" format:"token" maxLength:"64" doc:"Of the running clock."`
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	recomputeDemandBody    struct{ recomputeDeadlineBody }
	recomputeTopicBody     struct{ recomputeDeadlineBody }
	recomputeDisputeBody   struct{ recomputeDeadlineBody }
	recomputeWhistleBody   struct{ recomputeDeadlineBody }
	recomputeAdmissionBody struct{ recomputeDeadlineBody }
)

func (b recomputeDeadlineBody) command() engine.Command {
	return order.RecomputeDeadline{ID: b.ID, Reason: b.Reason}
}
func (b recomputeDemandBody) command() engine.Command {
	return demand.RecomputeDeadline{ID: b.ID, Reason: b.Reason}
}
func (b recomputeTopicBody) command() engine.Command {
	return topic.RecomputeDeadline{ID: b.ID, Reason: b.Reason}
}
func (b recomputeDisputeBody) command() engine.Command {
	return dispute.RecomputeDeadline{ID: b.ID, Reason: b.Reason}
}
func (b recomputeWhistleBody) command() engine.Command {
	return whistle.RecomputeDeadline{ID: b.ID, Reason: b.Reason}
}
func (b recomputeAdmissionBody) command() engine.Command {
	return admission.RecomputeDeadline{ID: b.ID, Reason: b.Reason}
}

// dueRoutes explains the clocks of each machine, and has them counted anew.
func (s *Server) dueRoutes() {
	explained(s, demands)
	explained(s, topics)
	explained(s, orders)
	explained(s, disputes)
	explained(s, whistles)
	explained(s, admissions)
	const summary = "Count a clock anew after a corrected notice; the later due holds"
	command[recomputeDemandBody](s, demands, summary)
	command[recomputeTopicBody](s, topics, summary)
	command[recomputeDeadlineBody](s, orders, summary)
	command[recomputeDisputeBody](s, disputes, summary)
	command[recomputeWhistleBody](s, whistles, summary)
	command[recomputeAdmissionBody](s, admissions, summary)
}

// entries reads and folds a stream that exists.
func (s *Server) entries(ctx context.Context, n stream.Name) ([]event.Entry, error) {
	var entries []event.Entry
	var state event.State
	for ev, err := range s.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return nil, err
		}
		e, err := understood(n, ev)
		if err != nil {
			return nil, err
		}
		e.Before = state
		state = event.Fold(n, state, e.Body, e.Meta.Stamp(e.ID))
		e.After = state
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return nil, problem("not_found")
	}
	return entries, nil
}

func understood(n stream.Name, ev eventlog.Event) (event.Entry, error) {
	return event.Understand(event.Stored{Stream: n, Revision: int64(ev.Revision), ID: stream.ID(ev.ID), Type: ev.Type, Data: ev.Data, Meta: ev.Meta})
}

// rowKey is what the rows of a policy are found by.
func rowKey(state any) (kind, urgency string) {
	switch st := state.(type) {
	case demand.State:
		return string(st.Kind), string(st.Urgency)
	case order.State:
		return st.Kind, st.Urgency
	case dispute.State:
		return string(demand.Dispute), ""
	case whistle.State:
		return "", string(st.Class)
	}
	return "", ""
}

// measured is a length in the base unit of a kind.
func measured(k calendar.Kind, n int) Measure {
	if k == calendar.NaturalMinutes || k == calendar.NaturalHours || k == calendar.ServiceHours {
		return Measure{Seconds: &n}
	}
	return Measure{Days: &n}
}

// explain renders one course. Where the log does not hold the rules of then, it says what was recorded and no more.
func (s *Server) explain(ctx context.Context, c calendar.Course, kind, urgency string) DueExplained {
	d := c.Last()
	out := DueExplained{ID: d.ID, Clock: d.Clock, Owed: s.in(ctx, owed[d.Clock]), Frozen: c.Stopped(), Kind: d.Kind, Amount: d.Amount, Policy: d.Policy,
		PolicyVersion: d.PolicyVersion, Calendar: d.Calendar, StartedAt: shown(d.StartedAt), Due: shown(d.Due), OriginalDue: shown(d.OriginalDue),
		WarnAt: []time.Time{}, Moved: []DueMoved{}, Spells: []DueSpell{}, Provisional: d.Provisional}
	for _, w := range d.WarnAt {
		out.WarnAt = append(out.WarnAt, shown(w))
	}
	before := c.First
	for _, m := range c.Moves {
		out.Moved = append(out.Moved, DueMoved{Turn: m.Turn, FrozenAt: shown(m.Frozen), RestartAt: shown(m.Restart), By: m.By, From: shown(before.Due), To: shown(m.Due.Due)})
		before = m.Due
	}
	if r, err := s.Engine.RulesOf(c.First); err == nil {
		if row, found := r.Policy.Row(c.First, kind, urgency); found {
			out.Row = &row
		}
	}
	x, err := c.Explain(s.Engine.RulesOf)
	if err != nil {
		out.Because = s.in(ctx, rule.Say("日志中没有当时的政策或日历", "the log does not hold the policy or the calendar of then"))
		return out
	}
	counted, total := measured(d.Kind, x.Counted), measured(d.Kind, x.Owed)
	out.Counted, out.Total, out.Unknown = &counted, &total, x.Unknown
	number := 0
	for _, sp := range x.Spells {
		o := DueSpell{Turn: sp.Turn, From: shown(sp.From), Until: shown(sp.Until), Policy: sp.Due.Policy, PolicyVersion: sp.Due.PolicyVersion,
			Calendar: sp.Due.Calendar, Counted: measured(d.Kind, sp.Counted), Parts: []DuePart{}, Skipped: []DueSkipped{}}
		for _, p := range sp.Parts {
			part := DuePart{From: shown(p.From), Until: shown(p.Until), Measure: measured(d.Kind, p.Count), MakeUp: noticeOf(p.MakeUp), Kept: p.Kept}
			if d.Kind == calendar.WorkingDays {
				number++
				part.Number = number
			}
			o.Parts = append(o.Parts, part)
		}
		for _, off := range sp.Skipped {
			why := "weekend"
			switch {
			case off.Kept:
				why = "kept"
			case off.Ground != nil:
				why = "notice"
			}
			o.Skipped = append(o.Skipped, DueSkipped{Date: off.Date, Why: why, Notice: noticeOf(off.Ground)})
		}
		out.Spells = append(out.Spells, o)
	}
	switch {
	case d.Provisional:
		from := x.Unknown.String()
		out.Because = s.in(ctx, rule.Say("自 "+from+" 起的放假通知在计算时尚未发布，暂按周一至周五计；通知发布后自动重算，取较晚者",
			"from "+from+" on no notice had been published when it was counted; the days there are taken for Monday to Friday; it is counted anew when it is published, and the later holds"))
	case d.Kind == calendar.WorkingDays || d.Kind == calendar.ServiceHours:
		out.Because = s.in(ctx, rule.Say("所涉日期均有已发布的放假通知", "all its dates lie in years whose notice had been published"))
	default:
		out.Because = s.in(ctx, rule.Say("不受放假通知影响", "no notice bears on it"))
	}
	return out
}

func noticeOf(g *calendar.Ground) *DueNotice {
	if g == nil {
		return nil
	}
	return &DueNotice{Year: g.Year, Source: g.Source, Occasion: g.Occasion}
}

// in says a phrase in the language of the caller.
func (s *Server) in(ctx context.Context, p rule.Phrase) string {
	if of(ctx).zh {
		return p.Zh
	}
	return p.En
}
