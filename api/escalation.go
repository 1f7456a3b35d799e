package api

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/projections"
)

// Board is what has the attention of a higher level (升级), in a unit: what lies there, and what units there have.
type Board struct {
	Unit     orgs.UnitCode `json:"unit"`
	AsOf     time.Time     `json:"as_of" doc:"Waiting and lateness are as of this instant."`
	Levels   []LevelCount  `json:"levels" nullable:"false" doc:"All of the unit's ladder, whatever the page is narrowed to. Level 0: problem orders that did not rise."`
	Rules    []RuleCount   `json:"rules" nullable:"false"`
	Items    []Risen       `json:"items" nullable:"false" doc:"The longest at their level first."`
	Count    int           `json:"count" doc:"Of all pages."`
	Next     string        `json:"next,omitempty"`
	Position string        `json:"position" doc:"The state of the log that all figures are of, exactly."`
}

// LevelCount is how many matters a level has.
type LevelCount struct {
	Level orgs.Level `json:"level"`
	Name  string     `json:"name,omitempty" doc:"As the district calls it."`
	Count
}

// RuleCount is how many matters a rule lifted last.
type RuleCount struct {
	Rule string `json:"rule"`
	Text string `json:"text,omitempty"`
	Count
}

// Risen is one matter on the board.
type Risen struct {
	Kind      stream.Category  `json:"kind" enum:"demand,topic,order,dispute"`
	ID        stream.ID        `json:"id"`
	Number    string           `json:"number,omitempty"`
	Phase     string           `json:"phase"`
	Summary   sealed.Public    `json:"summary,omitempty"`
	Unit      orgs.UnitCode    `json:"unit" doc:"Where it lies."`
	Holder    orgs.UnitCode    `json:"holder" doc:"Who has it, and goes on having it: attention moves, the lead does not."`
	Level     orgs.Level       `json:"level,omitempty" doc:"1 grid to 5 city; absent: a problem order that did not rise."`
	LevelName string           `json:"level_name,omitempty" doc:"As the district calls it."`
	Answers   orgs.UnitCode    `json:"answers,omitempty" doc:"The unit whose leader answers for it at this level."`
	Since     time.Time        `json:"since,omitzero"`
	Rises     int              `json:"rises,omitempty" doc:"How often."`
	Why       *Why             `json:"why,omitempty"`
	Problem   bool             `json:"problem,omitempty" doc:"问题工单"`
	Warned    []calendar.Clock `json:"warned" nullable:"false" doc:"Running clocks that warned and did not expire."`
	Expired   []calendar.Clock `json:"expired" nullable:"false" doc:"Running clocks that expired: the step is still owed."`
	Supervise *Supervised      `json:"supervisions,omitempty"`
	Next      *NextStep        `json:"next,omitempty" doc:"Absent: nothing happens by itself."`
}

// Why is the computation that lifted a matter last.
type Why struct {
	Rule      string         `json:"rule"`
	Text      string         `json:"text"`
	From      orgs.Level     `json:"from,omitempty"`
	Clock     calendar.Clock `json:"clock,omitempty" doc:"Whose due instant passed."`
	Deadline  string         `json:"deadline,omitempty" doc:"Id of the due instant."`
	Due       time.Time      `json:"due,omitzero"`
	Step      int            `json:"step,omitempty" doc:"Rule E2: which further step."`
	Count     int            `json:"counted,omitempty" doc:"What was counted when it rose."`
	Threshold int            `json:"threshold,omitempty" doc:"What the policy says to count up to."`
	LateBy    int            `json:"late_by,omitempty" doc:"Seconds: the machine's own lateness."`
}

// Supervised counts the accounts that were demanded (督办).
type Supervised struct {
	Issued Count `json:"issued"`
	Open   Count `json:"open"`
}

// NextStep is what happens next to a matter if nobody does anything, or what a rule says somebody must do.
type NextStep struct {
	Step  string         `json:"step" doc:"warning, expiry, escalation: by the clock; issue-supervision: a problem order has none yet."`
	Clock calendar.Clock `json:"clock,omitempty"`
	At    time.Time      `json:"at,omitzero" doc:"The instant that comes due."`
}

// rules says the rules of escalation (升级) in both languages.
var rules = map[string][2]string{
	"E1": {"办理或返工时限已过", "the time for handling or rework is over"},
	"E2": {"超时后每过一个升级间隔仍未办结", "still open after a further step"},
	"E3": {"问题工单：第三次返工或第三个单位申请退单", "problem order: the third rework, or the third unit that asks to return it"},
	"E4": {"签收或首次联系时限已过", "the time for signing or for the first contact is over"},
	"E5": {"其他时限已过", "another clock ran out"},
	"E6": {"七日内催办三次以上", "urged three times within seven days"},
	"E7": {"两次回访不满意", "two callbacks with grade 2 or less"},
	"E8": {"三次挂账或累计挂账九十日", "three suspensions, or ninety suspended days"},
}

// threshold is what a rule counts up to: of order rules E3 and E8 the first of the two that it has.
func threshold(p *escalation.Policy, rule string) int {
	switch rule {
	case "E3":
		return p.Reworks
	case "E6":
		return p.Urgings
	case "E7":
		return p.Unsatisfied
	case "E8":
		return p.Suspensions
	}
	return 0
}

func textOf(ctx context.Context, rule string) string {
	if of(ctx).zh {
		return rules[rule][0]
	}
	return rules[rule][1]
}

// clockOf is the clock of a due instant's id: "<clock>/<round>/<leg>/<n>".
func clockOf(id string) calendar.Clock {
	clock, _, _ := strings.Cut(id, "/")
	return calendar.Clock(clock)
}

type boardInput struct {
	Unit    string `query:"unit" format:"unit" maxLength:"40" doc:"Of the own jurisdiction; if not given, the own unit."`
	Level   string `query:"level" enum:"0,1,2,3,4,5" doc:"0: problem orders that did not rise."`
	Rule    string `query:"rule" enum:"E1,E2,E3,E4,E5,E6,E7,E8"`
	Kind    string `query:"kind" enum:"demand,topic,order,dispute"`
	Problem bool   `query:"problem"`
	Limit   int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After   string `query:"after" maxLength:"200"`
}

func (s *Server) escalations(ctx context.Context, in *boardInput) (*paged[Board], error) {
	u, err := s.charge(ctx, readWork, in.Unit)
	if err != nil {
		return nil, err
	}
	var levels []orgs.Level
	if in.Level != "" {
		levels = []orgs.Level{orgs.Level(in.Level[0] - '0')}
	}
	b, err := s.Views.Views().Escalations(ctx, projections.EscalationFilter{Unit: u.Code, Levels: levels, Rule: in.Rule, Kind: stream.Category(in.Kind),
		Problem: in.Problem, Who: s.viewer(of(ctx).actor), Page: projections.Page{Limit: in.Limit, After: in.After}})
	if err != nil {
		return nil, err
	}
	units, policy := s.Engine.Units(), s.Engine.InForce().Escalation
	name := func(at orgs.UnitCode, l orgs.Level) string {
		x, _ := policy.Ladder(units, at).Named(l)
		if of(ctx).zh {
			return x.Zh
		}
		return x.En
	}
	link := base + "/views/escalation?unit=" + url.QueryEscape(string(u.Code))
	if in.Kind != "" {
		link += "&kind=" + in.Kind
	}
	if in.Problem {
		link += "&problem=true"
	}
	out := Board{Unit: u.Code, AsOf: shown(s.Now().Truncate(time.Second)), Levels: []LevelCount{}, Rules: []RuleCount{}, Items: []Risen{}, Count: b.Count, Next: b.Next, Position: b.Position.String()}
	for l := range orgs.Level(6) {
		if b.Levels[l] == 0 && name(u.Code, l) == "" {
			continue
		}
		out.Levels = append(out.Levels, LevelCount{Level: l, Name: name(u.Code, l), Count: Count{b.Levels[l], link + "&level=" + strconv.Itoa(int(l))}})
	}
	for i := range 8 {
		rule := "E" + strconv.Itoa(i+1)
		if n := b.Rules[rule]; n > 0 {
			out.Rules = append(out.Rules, RuleCount{Rule: rule, Text: textOf(ctx, rule), Count: Count{n, link + "&rule=" + rule}})
		}
	}
	for _, r := range b.Items {
		x := Risen{Kind: r.Kind, ID: r.ID, Number: r.Number, Phase: r.Phase, Summary: r.Label, Unit: r.Unit, Holder: r.Holder, Level: r.Level, LevelName: name(r.Unit, r.Level),
			Answers: r.Answers, Since: shown(r.Since), Rises: r.Rises, Problem: r.Problem, Warned: list(r.Warned), Expired: list(r.Expired)}
		if r.Rule != "" {
			x.Why = &Why{Rule: r.Rule, Text: textOf(ctx, r.Rule), From: r.From, Clock: clockOf(r.DueID), Deadline: r.DueID, Due: shown(r.Due), Step: r.Step, Count: r.Count,
				Threshold: threshold(policy, r.Rule), LateBy: r.LateBy}
		}
		if r.Supervisions > 0 {
			accounts := base + "/views/supervisions?unit=" + url.QueryEscape(string(u.Code)) + "&order=" + r.ID.String()
			x.Supervise = &Supervised{Issued: Count{r.Supervisions, accounts}, Open: Count{r.Unanswered, accounts + "&open=true"}}
		}
		step, _, _ := strings.Cut(r.NextStep, "/")
		switch {
		case r.Problem && r.Supervisions == 0:
			x.Next = &NextStep{Step: "issue-supervision"}
		case step == "step":
			x.Next = &NextStep{Step: "escalation", Clock: clockOf(r.NextID), At: shown(r.NextAt)}
		case step != "":
			x.Next = &NextStep{Step: step, Clock: clockOf(r.NextID), At: shown(r.NextAt)}
		}
		out.Items = append(out.Items, x)
	}
	return &paged[Board]{linkTo(ctx, out.Next), out.Position, out}, nil
}

// Supervision is an account that was demanded of the lead unit of an order (督办).
type Supervision struct {
	Order      stream.ID     `json:"order"`
	Number     string        `json:"number,omitempty" doc:"Of the order."`
	Which      int           `json:"supervision" doc:"Within the order, from 1."`
	Lead       orgs.UnitCode `json:"lead"`
	Reason     sealed.Public `json:"reason"`
	IssuedAt   time.Time     `json:"issued_at"`
	Due        time.Time     `json:"due,omitzero"`
	Status     string        `json:"status" enum:"open,overdue,answered,lapsed" doc:"lapsed: the order ended before the account was given."`
	AnsweredAt time.Time     `json:"answered_at,omitzero"`
	Answer     sealed.Public `json:"answer,omitempty"`
}

// Supervisions is a page of them.
type Supervisions struct {
	Unit     orgs.UnitCode `json:"unit"`
	AsOf     time.Time     `json:"as_of"`
	Items    []Supervision `json:"items" nullable:"false" doc:"The earliest due first."`
	Count    int           `json:"count" doc:"Of all pages."`
	Next     string        `json:"next,omitempty"`
	Position string        `json:"position"`
}

type supervisionsInput struct {
	Unit      string `query:"unit" format:"unit" maxLength:"40"`
	Order     string `query:"order" doc:"Id of the order."`
	Open      bool   `query:"open" doc:"Still owed."`
	OverdueAt string `query:"overdue_at" doc:"Owed, and due before this instant."`
	Limit     int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After     string `query:"after" maxLength:"200"`
}

func (s *Server) supervisions(ctx context.Context, in *supervisionsInput) (*paged[Supervisions], error) {
	u, err := s.charge(ctx, readWork, in.Unit)
	if err != nil {
		return nil, err
	}
	var read instants
	late := read.at("overdue_at", in.OverdueAt)
	if err := read.err(); err != nil {
		return nil, err
	}
	id, err := idOf("order", in.Order)
	if err != nil {
		return nil, err
	}
	rows, next, n, at, err := s.Views.Views().Supervisions(ctx, projections.SupervisionFilter{Unit: u.Code, Order: id, Open: in.Open, Late: late, Who: s.viewer(of(ctx).actor),
		Page: projections.Page{Limit: in.Limit, After: in.After}})
	if err != nil {
		return nil, err
	}
	now := s.Now().Truncate(time.Second)
	if !late.IsZero() {
		now = late
	}
	out := Supervisions{Unit: u.Code, AsOf: shown(now), Items: []Supervision{}, Count: n, Next: next, Position: at.String()}
	for _, r := range rows {
		x := Supervision{Order: r.Order, Number: r.Number, Which: r.Supervision, Lead: r.Lead, Reason: r.Reason, IssuedAt: shown(r.IssuedAt), Due: shown(r.Due),
			Status: "lapsed", AnsweredAt: shown(r.AnsweredAt), Answer: r.Answer}
		switch {
		case r.Open && r.Due.Unix() < now.Unix():
			x.Status = "overdue"
		case r.Open:
			x.Status = "open"
		case !r.AnsweredAt.IsZero():
			x.Status = "answered"
		}
		out.Items = append(out.Items, x)
	}
	return &paged[Supervisions]{linkTo(ctx, next), out.Position, out}, nil
}

func (s *Server) escalationRoutes() {
	get(s, "escalation", "/views/escalation", "What has the attention of a higher level (升级), why, and what comes next", "views", s.escalations)
	get(s, "supervisions", "/views/supervisions", "Accounts that were demanded (督办), given or not", "views", s.supervisions)
}
