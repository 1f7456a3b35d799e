package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/api/access"
	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/rule"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/projections"
)

// Problem is an answer that is not what was asked for (RFC 9457). Code is stable; sentences may change.
type Problem struct {
	Type     string     `json:"type" doc:"urn:gridcase:problem:<code>"`
	Code     string     `json:"code" doc:"Stable name; GET /api/v1/problems/{code} explains it."`
	Title    string     `json:"title"`
	Status   int        `json:"status"`
	Detail   string     `json:"detail,omitempty"`
	Instance string     `json:"instance,omitempty" doc:"The id of the request, as in the log of the server."`
	Errors   []Fault    `json:"errors,omitempty" doc:"What is wrong with which part of the request."`
	State    string     `json:"state,omitempty" doc:"Of a refusal: where the case stands."`
	Possible []string   `json:"possible,omitempty" doc:"Of a refusal: the commands that are possible now."`
	Rule     *RuleNote  `json:"rule,omitempty" doc:"Of a refusal: the rule that says so."`
	Block    *BlockNote `json:"block,omitempty" doc:"Of gate_blocked: the row that forbids it."`

	sentence rule.Phrase // Detail, before the language is known
	header   http.Header
	cause    error // for the log of the server, never for the caller
}

// Fault is one thing that is wrong with a request.
type Fault struct {
	Location string `json:"location" doc:"Such as body.reporter.phone or query.limit."`
	Code     string `json:"code"`
	Detail   string `json:"detail"`

	sentence rule.Phrase
}

// RuleNote names a rule of the rule book, and says it for the case in hand.
type RuleNote struct {
	Number string `json:"number" doc:"Such as D7 or I2."`
	Text   string `json:"text"`
}

// Error says the problem in English, without anything that came from the caller.
func (p *Problem) Error() string { return p.Code + ": " + p.sentence.En }

// GetStatus implements [huma.StatusError].
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements [huma.HeadersError].
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType implements [huma.ContentTypeFilter].
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// in renders the problem in one language for one request. The receiver may be shared and stays as it is.
func (p *Problem) in(zh bool, request string) *Problem {
	say := func(s rule.Phrase) string {
		if zh {
			return s.Zh
		}
		return s.En
	}
	q := *p
	q.Type, q.Title, q.Detail, q.Instance = "urn:gridcase:problem:"+p.Code, say(problems[p.Code].title), say(p.sentence), request
	q.Errors = slices.Clone(p.Errors)
	for i, f := range q.Errors {
		q.Errors[i].Detail = say(f.sentence)
	}
	if p.Rule != nil {
		q.Rule = &RuleNote{Number: p.Rule.Number, Text: q.Detail}
	}
	return &q
}

func (p *Problem) with(name, value string) *Problem {
	q := *p
	q.header = maps.Clone(p.header)
	if q.header == nil {
		q.header = http.Header{}
	}
	q.header.Set(name, value)
	return &q
}

// meaning is one row of the table of problems: its status, its title, and what to do about it.
type meaning struct {
	status  int
	title   rule.Phrase
	explain rule.Phrase
}

func row(status int, titleZh, titleEn, zh, en string) meaning {
	return meaning{status, rule.Say(titleZh, titleEn), rule.Say(zh, en)}
}

// problems is the one table of codes and statuses. A code without a row can not be answered: see [problem].
var problems = map[string]meaning{
	"malformed_request":      row(400, "请求格式错误", "malformed request", "请求头、路径或参数无法识别，请按接口文档修改后重试。", "A header, path or parameter can not be read. Correct it and try again."),
	"malformed_json":         row(400, "请求内容不是有效的 JSON", "malformed JSON", "请求内容须为一个 JSON 对象，UTF-8 编码，嵌套不超过 32 层。", "The body must be one JSON object in UTF-8, nested at most 32 deep."),
	"key_missing":            row(400, "缺少 Idempotency-Key", "Idempotency-Key missing", "每个 POST 请求须带 Idempotency-Key 请求头：1 至 128 个可见 ASCII 字符，建议使用随机 UUID；重试时保持不变。", "Every POST needs the header Idempotency-Key: 1 to 128 visible ASCII characters, best a random UUID, the same on every retry."),
	"bad_if_match":           row(400, "If-Match 无效", "invalid If-Match", "If-Match 须为读取时得到的 ETag，如 \"3\"；不接受 * 和弱标签。", "If-Match must be the ETag that was read, such as \"3\"; neither * nor a weak tag is taken."),
	"bad_cursor":             row(400, "翻页位置无效", "invalid cursor", "翻页位置只能用于得到它的同一查询；请从第一页重新开始。", "A cursor belongs to the very query that gave it. Start again from the first page."),
	"bad_position":           row(400, "位置无效", "invalid position", "位置须为本系统先前给出的值。", "A position must be one that this system gave before."),
	"unauthenticated":        row(401, "未认证", "not authenticated", "请在 Authorization 请求头中提供有效的访问密钥；密钥错误、过期或已撤销时须向系统运维人员重新申请。", "Send a valid key in the header Authorization. If it is wrong, expired or revoked, ask an operator for another."),
	"role_missing":           row(403, "角色无权办理", "not for this role", "当前角色不能执行该操作。", "The role of your key may not do this."),
	"outside_jurisdiction":   row(403, "超出辖区", "outside the jurisdiction", "该事项不在当前单位的辖区内。", "The matter lies outside the jurisdiction of your unit."),
	"same_unit":              row(403, "须由承办单位之外的人员办理", "not by the handling unit", "核查、回访等步骤不得由承办单位人员办理。", "Whoever verifies or calls back must not belong to the handling unit."),
	"second_person_required": row(403, "须由另一人确认", "a second person must confirm", "请由另一人以自己的密钥提交 POST /api/v1/confirmations，并在 15 分钟内把得到的确认码放入 GridCase-Confirmation 请求头，以相同的路径、If-Match 和内容重新提交。", "Have another person POST /api/v1/confirmations with their own key, and within 15 minutes send the token in the header GridCase-Confirmation with the same path, If-Match and body."),
	"cross_site":             row(403, "不接受跨站请求", "cross-site request", "不接受由其他网站发起的写入请求。", "A write that another site's page began is refused."),
	"not_found":              row(404, "未找到", "not found", "该事项不存在，或不在当前单位的辖区内。", "It does not exist, or lies outside your jurisdiction."),
	"method_not_allowed":     row(405, "不支持的请求方法", "method not allowed", "该路径不支持此请求方法。", "This path does not take that method."),
	"wrong_state":            row(409, "当前状态不能执行", "not possible in this state", "请先查看当前状态和可执行的操作。", "Look at the present state and at what is possible in it."),
	"guard_failed":           row(409, "不符合办理规则", "a rule forbids it", "请按所列规则补充或更正后重试。", "Follow the rule that is named, then try again."),
	"gate_blocked":           row(409, "准入清单不允许", "the gate forbids it", "该事项不得下派到此社区、网格或街道。", "This matter may not be loaded on that community, grid or street."),
	"return_exhausted":       row(409, "不得再次退单", "no further return", "该单位已不能再次申请退单。", "This unit can not send the order back again."),
	"window_closed":          row(409, "已过期限", "the time for it is over", "该操作的期限已过。", "The period in which this was possible has ended."),
	"calendar_unknown":       row(409, "工作日历未公布", "calendar unknown", "所涉日期的放假通知尚未录入，请联系系统运维人员。", "The holiday notice for these dates is not loaded. Ask an operator."),
	"evidence_missing":       row(409, "缺少证明材料", "evidence missing", "请附上规则要求的材料摘要（SHA-256）。", "Add the SHA-256 of the evidence that the rule asks for."),
	"weight_below_floor":     row(409, "权重低于下限", "weight below the floor", "街道评价的权重不得低于规定下限。", "The weight of the streets' evaluation is below its floor."),
	"period_sealed":          row(409, "考核期已封存", "the period is sealed", "已封存的考核期不能更改。", "A sealed period does not change."),
	"undecided_items":        row(409, "有未决事项", "undecided items", "请先处理未决事项。", "Decide the open items first."),
	"revision_conflict":      row(412, "事项已有新的变化", "it has changed since", "请重新读取该事项，确认后以新的 ETag 重试。", "Read it again, and repeat with the new ETag if you still mean it."),
	"event_too_large":        row(413, "记录内容过大", "what it records is too large", "一个事件最多 256 KiB；请缩短文字，或分批办理。", "An event has at most 256 KiB: shorten the texts, or do it in parts."),
	"body_too_large":         row(413, "请求内容过大", "the body is too large", "请求内容不得超过 256 KiB；附件请先上传，再填写摘要。", "A body has at most 256 KiB. Attachments are named by their hash."),
	"unsupported_media_type": row(415, "不支持的内容类型", "unsupported content type", "请求内容须为 application/json。", "The body must be application/json."),
	"invalid":                row(422, "填写有误", "invalid fields", "请按 errors 中所列位置逐项更正。", "Correct what is listed under errors."),
	"key_reused":             row(422, "Idempotency-Key 已用于其他请求", "the key was used for something else", "同一 Idempotency-Key 只能重复同一请求；请使用新的值。", "An Idempotency-Key repeats one request and no other. Use a new one."),
	"personal_key":           row(422, "编号疑似个人信息", "looks like personal data", "Idempotency-Key 和 external_ref 会长期保存，不得使用手机号或身份证号。", "An Idempotency-Key or external_ref is kept for ever and must not be a phone or identity number."),
	"if_match_missing":       row(428, "缺少 If-Match", "If-Match missing", "请先读取该事项，并把得到的 ETag 放入 If-Match 请求头。", "Read it first, and send its ETag in the header If-Match."),
	"rate_limited":           row(429, "请求过于频繁", "too many requests", "请按 Retry-After 等待后重试。", "Wait as Retry-After says, then try again."),
	"internal":               row(500, "系统错误", "internal error", "系统发生错误，已记录；联系运维人员时请提供 instance。", "Something failed on our side and was recorded. Name the instance when you ask about it."),
	"overloaded":             row(503, "系统繁忙", "overloaded", "请按 Retry-After 等待后，以相同的 Idempotency-Key 重试。", "Wait as Retry-After says, then repeat with the same Idempotency-Key."),
	"behind":                 row(503, "本节点尚未同步到该位置", "this node has not come so far", "本节点尚未同步到 GridCase-Position 所指的位置，未执行任何操作；请按 Retry-After 等待后重试。", "This node has not come to the position that GridCase-Position names, and did nothing. Wait as Retry-After says, then try again, here or on another node."),
	"outcome-unknown":        row(503, "结果未知", "outcome unknown", "无法确定是否已办理；以相同的 Idempotency-Key 重试是安全的，不会重复。", "It can not be told whether it happened. Repeating with the same Idempotency-Key is safe and never doubles it."),
	"unavailable":            row(503, "暂时无法读取", "can not be read now", "事件日志暂时没有应答，未读到任何内容；请按 Retry-After 等待后重试。列表和统计仍可查询。", "The log does not answer and nothing was read. Wait as Retry-After says, then try again; lists and figures are still shown."),
	"read_only":              row(503, "暂停写入", "read only", "系统暂时不能写入，仍可查询。", "Nothing can be written at the moment; reading goes on."),
	"search_not_ready":       row(503, "检索尚未就绪", "search not ready", "检索正在重建，请稍后重试；其他查询不受影响。", "The search is being built. Try again in a moment; other queries are not affected."),
	"key_lacking":            row(503, "密钥缺失", "key missing", "打开该信息的密钥不在密钥库中，请联系管理员核对密钥库。", "The key to this text is not in the key store. Tell an operator: it may be the wrong key store."),
	"keys_away":              row(503, "密钥服务不可用", "key store away", "个人信息暂时不能录入或查看，请稍后重试。", "Personal data can be neither taken in nor shown at the moment. Try again later."),
	"disk_full":              row(507, "存储空间已满", "disk full", "存储空间已满，未写入任何内容；请联系系统运维人员。", "The disk is full and nothing was written. Tell an operator."),
}

// problem makes an answer by its code. A sentence of its own takes the place of the general explanation.
func problem(code string, sentence ...rule.Phrase) *Problem {
	m, known := problems[code]
	if !known {
		panic("api: no problem is called " + code) // a fault of the program, found by the first test that meets it
	}
	p := &Problem{Code: code, Status: m.status, sentence: m.explain}
	if len(sentence) > 0 {
		p.sentence = sentence[0]
	}
	if code == "overloaded" || code == "behind" || code == "outcome-unknown" || code == "unavailable" || code == "read_only" || code == "keys_away" || code == "search_not_ready" || code == "disk_full" {
		p.header = http.Header{"Retry-After": {"1"}}
	}
	return p
}

func invalid(faults ...Fault) *Problem {
	p := problem("invalid")
	p.Errors = faults
	if len(faults) > 0 {
		p.sentence = rule.Say(faults[0].Location+"："+faults[0].sentence.Zh, faults[0].Location+": "+faults[0].sentence.En)
	}
	return p
}

func fault(location, code, zh, en string) Fault {
	return Fault{Location: location, Code: code, sentence: rule.Say(zh, en)}
}

// asUnread turns an error of a reading into an answer: nothing was to happen, so nothing is unknown.
func asUnread(err error) *Problem {
	if p := asProblem(err); p.Code != "outcome-unknown" {
		return p
	}
	return problem("unavailable")
}

// asProblem turns any error into an answer: the one table of errors. What it does not know is ours.
func asProblem(err error) *Problem {
	var p *Problem
	var refusal *rule.Refusal
	var stale *engine.StaleError
	var tooLarge *http.MaxBytesError
	var large *engine.LargeError
	var faulty assessment.Fault
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		p := problem(string(refusal.Code), refusal.Detail)
		p.State, p.Possible, p.Rule, p.Block = refusal.State, refusal.Possible, &RuleNote{Number: refusal.Rule}, blockNote(refusal.Block)
		return p
	case errors.As(err, &stale) && stale.Expect < 0:
		return problem("wrong_state", rule.Say("该编号或代码已使用过", "this id or code was used before"))
	case errors.As(err, &stale):
		return problem("revision_conflict", rule.Say(
			fmt.Sprintf("您读取的是第 %d 版，现为第 %d 版；请重新读取后再提交", stale.Expect, stale.Actual),
			fmt.Sprintf("you read revision %d; it is at %d: read it again", stale.Expect, stale.Actual))).with("ETag", etag(stale.Actual))
	case errors.Is(err, engine.ErrKeyReused):
		return problem("key_reused")
	case errors.Is(err, engine.ErrOutcomeUnknown), errors.Is(err, eventlog.ErrUnavailable):
		return problem("outcome-unknown")
	case errors.Is(err, eventlog.ErrConflict):
		return problem("overloaded")
	case errors.Is(err, eventlog.ErrFull):
		return problem("disk_full")
	case errors.As(err, &large):
		return problem("event_too_large", rule.Say(
			fmt.Sprintf("%s 要记录的内容有 %d KiB，一个事件最多 256 KiB；请缩短文字，或分批办理", large.Command, (large.Size+1023)/1024),
			fmt.Sprintf("what %s records has %d KiB; an event has at most 256 KiB: shorten its texts, or do it in parts", large.Command, (large.Size+1023)/1024)))
	case errors.Is(err, eventlog.ErrTooLarge), errors.As(err, &tooLarge):
		return problem("body_too_large")
	case errors.Is(err, eventlog.ErrClosed), errors.Is(err, projections.ErrClosed):
		return problem("read_only")
	case errors.Is(err, keys.ErrAway):
		return problem("keys_away")
	case errors.Is(err, keys.ErrUnknown):
		return problem("key_lacking")
	case errors.Is(err, calendar.ErrUnknownYear):
		return problem("calendar_unknown")
	case errors.Is(err, calendar.ErrNoAmount):
		return problem("guard_failed", rule.Say("现行时限政策未规定此类诉求的时限，请联系系统运维人员", "the deadline policy in force gives no time for this kind: ask an operator"))
	case errors.Is(err, projections.ErrCursor):
		return problem("bad_cursor")
	case errors.Is(err, projections.ErrScheme):
		return problem("guard_failed", rule.Say("周期所用方案与其哈希不符", "the scheme of the period is not what its hash says"))
	case errors.As(err, &faulty): // a program that is later, or earlier, than the one that published the scheme
		return problem("wrong_state", rule.Say("本版程序无法按周期所用的方案计算："+faulty.Place, "this program can not compute by the scheme of the period: "+faulty.Place))
	case errors.Is(err, assessment.ErrNotComputed):
		return notComputed()
	case errors.Is(err, ErrBehind):
		return problem("overloaded", rule.Say("本节点的视图尚未处理到日志末尾，未执行任何操作；请稍后以相同的 Idempotency-Key 重试。",
			"The views of this node have not come to the end of the log, and nothing was done. Wait as Retry-After says, then repeat with the same Idempotency-Key."))
	case errors.Is(err, projections.ErrAhead):
		return problem("overloaded")
	case errors.Is(err, projections.ErrNotFound):
		return problem("not_found")
	case errors.Is(err, access.ErrUnknown), errors.Is(err, access.ErrExpired), errors.Is(err, access.ErrRevoked):
		return problem("unauthenticated", unauthenticated(err)).with("WWW-Authenticate", `Bearer realm="gridcase"`)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem("overloaded")
	}
	p = problem("internal")
	p.cause = err
	return p
}

func unauthenticated(err error) rule.Phrase {
	switch {
	case errors.Is(err, access.ErrExpired):
		return rule.Say("访问密钥已过期", "the key has expired")
	case errors.Is(err, access.ErrRevoked):
		return rule.Say("访问密钥已撤销", "the key was revoked")
	}
	return rule.Say("访问密钥无效或未提供", "the key is missing or wrong")
}

// fromHuma turns what huma finds wrong with a request into an answer.
func fromHuma(status int, message string, errs ...error) *Problem {
	var p *Problem
	if errors.As(errors.Join(errs...), &p) {
		return p
	}
	var faults []Fault
	for _, err := range errs {
		var d *huma.ErrorDetail
		if errors.As(err, &d) {
			code, zh := "invalid", "参数无效"
			switch {
			case strings.Contains(d.Message, "unknown query parameter"):
				code = "unknown_member"
			case strings.HasPrefix(d.Message, "required ") && strings.HasSuffix(d.Message, " is missing"):
				code, zh = "missing", "必填"
			}
			faults = append(faults, fault(d.Location, code, zh, d.Message))
		}
	}
	switch {
	case len(faults) > 0:
		return invalid(faults...)
	case status >= 500:
		p := problem("internal")
		p.cause = errors.Join(append(errs, errors.New(message))...)
		return p
	}
	return problem("malformed_request")
}

// ProblemExplained explains a problem in both languages.
type ProblemExplained struct {
	Type   string `json:"type"`
	Code   string `json:"code"`
	Status int    `json:"status"`
	Zh     Saying `json:"zh"`
	En     Saying `json:"en"`
}

// Saying is the title and the explanation of a problem in one language.
type Saying struct {
	Title   string `json:"title"`
	Explain string `json:"explain"`
}

func (s *Server) explainProblem(_ context.Context, in *struct {
	Code string `path:"code"`
}) (*struct{ Body ProblemExplained }, error) {
	m, known := problems[in.Code]
	if !known {
		return nil, problem("not_found")
	}
	return &struct{ Body ProblemExplained }{ProblemExplained{Type: "urn:gridcase:problem:" + in.Code, Code: in.Code, Status: m.status,
		Zh: Saying{m.title.Zh, m.explain.Zh}, En: Saying{m.title.En, m.explain.En}}}, nil
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }
