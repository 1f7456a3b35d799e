// Package demand decides what happens to one resident's demand (诉求): raised (居民点题), made part of a
// topic (群众议题) or fast-tracked with a recorded reason, handled (网格办题), answered, called back, closed.
//
// A demand keeps a history of its own through every merge: its stream alone shows its three stages, who
// held it, its answers and its callback (rule I13). Rules are numbered D1–D20 in [Machine].
package demand

import (
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Event is something that happened to a demand.
type Event interface{ EventType() string }

// Kind is what a demand asks for; it decides the path.
type Kind string

// The kinds. Most demands are errands and need no deliberation.
const (
	Errand     Kind = "errand"     // 帮办代办
	Issue      Kind = "issue"      // 便民事项
	Consult    Kind = "consult"    // 咨询
	Suggestion Kind = "suggestion" // 建议
	Report     Kind = "report"     // 举报: confidential
	Dispute    Kind = "dispute"    // 矛盾纠纷
)

// Kinds lists all kinds.
func Kinds() []Kind { return []Kind{Errand, Issue, Consult, Suggestion, Report, Dispute} }

// Urgency is how soon a demand must be handled: A at once, B within a day, C a week, D a fortnight.
type Urgency string

// Urgencies lists all urgencies, the most pressing first.
func Urgencies() []Urgency { return []Urgency{"A", "B", "C", "D"} }

// Channel is where a demand came in.
type Channel string

// Channels lists all channels. A patrol's finding has no resident behind it.
func Channels() []Channel {
	return []Channel{"hotline", "wechat", "counter", "app", "open311", "station", "pavilion", "contact_card",
		"home_visit", "patrol", "import"}
}

// Reason is why the topic stage is waived (直办).
type Reason string

// The fast-track reasons; the first four fit one kind only.
const (
	ReasonErrand       Reason = "errand"
	ReasonConsult      Reason = "consult"
	ReasonDispute      Reason = "private_dispute"
	ReasonConfidential Reason = "confidential_report"
	ReasonUrgent       Reason = "urgent"         // urgency A or B
	ReasonStatutory    Reason = "statutory_duty" // with the citation that obliges a unit to act
	ReasonSameMatter   Reason = "same_matter"    // joins an order that exists
	ReasonReopened     Reason = "reopened_round" // round 2 or later
)

// Reasons lists all fast-track reasons.
func Reasons() []Reason {
	return []Reason{ReasonErrand, ReasonConsult, ReasonDispute, ReasonConfidential, ReasonUrgent,
		ReasonStatutory, ReasonSameMatter, ReasonReopened}
}

// Outcome is what came of a demand.
type Outcome string

// The outcomes.
const (
	Resolved   Outcome = "resolved"    // 已解决
	Partly     Outcome = "partly"      // 部分解决
	Explained  Outcome = "explained"   // 解释说明
	NotAdopted Outcome = "not_adopted" // 未采纳
	Infeasible Outcome = "infeasible"  // 暂无条件
)

// Outcomes lists all outcomes.
func Outcomes() []Outcome { return []Outcome{Resolved, Partly, Explained, NotAdopted, Infeasible} }

// DeclineReason is why a demand is not accepted.
type DeclineReason string

// DeclineReasons lists all of them.
func DeclineReasons() []DeclineReason {
	return []DeclineReason{"litigation", "arbitration", "review", "discipline", "petition_open", "secret",
		"malicious_repeat", "no_demand"}
}

// Reporter is who raised a demand. A resident exists only as the subject of a demand (no person register).
type Reporter struct {
	Name     sealed.Text `json:"name,omitzero"`
	Phone    sealed.Text `json:"phone,omitzero"`
	IDNumber sealed.Text `json:"id_number,omitzero"`
	Account  sealed.Text `json:"account,omitzero"` // the name or number under which the channel knows the resident
}

// Attachment is a file by the hash of its stored, enciphered bytes.
type Attachment struct {
	Hash string `json:"hash"` // SHA-256, hexadecimal
	Type string `json:"type"` // media type
	Size int64  `json:"size"` // bytes
}

// Source says where a fact on this stream was copied from: never its sealed fields.
type Source struct {
	Stream   stream.Name `json:"stream"`
	Revision int64       `json:"revision"`
	Event    stream.ID   `json:"event"`
	Type     string      `json:"type"`
}

// Raised records that a resident put a matter forward (居民点题), or a patrol found it. It opens the stream.
type Raised struct {
	Number      string        `json:"number,omitempty"` // 编号, as people say it; "" where none was assigned
	Kind        Kind          `json:"kind"`             // as the channel sees it; the clerk decides when accepting
	Channel     Channel       `json:"channel"`
	External    string        `json:"external_ref,omitempty"` // the channel's own number for it
	OnBehalf    bool          `json:"on_behalf,omitempty"`    // entered by someone else for the resident
	Anonymous   bool          `json:"anonymous,omitempty"`    // the resident gave no way to answer
	NoCallback  bool          `json:"no_callback,omitempty"`  // the resident asked not to be called
	Imported    bool          `json:"imported,omitempty"`     // taken over from an older system: clocks run from when it happened
	Title       sealed.Text   `json:"title,omitzero" part:"reporter"`
	Text        sealed.Text   `json:"text" part:"reporter"` // the resident's own words
	Reporter    Reporter      `json:"reporter,omitzero" part:"reporter"`
	Address     sealed.Text   `json:"address,omitzero" part:"reporter"`  // of the matter, exact, as said
	Location    sealed.Text   `json:"location,omitzero" part:"reporter"` // "latitude,longitude" in units of 10⁻⁷ degree, WGS-84
	Matter      string        `json:"matter,omitempty"`                  // suggested code; the clerk decides
	Grid        orgs.GridCode `json:"grid,omitempty"`                    // where the matter lies, not where the resident lives; "" = not known
	Unit        orgs.UnitCode `json:"unit"`                              // the community the matter lies in, or the unit that holds it until that is known
	Attachments []Attachment  `json:"attachments,omitempty"`
	SplitFrom   stream.ID     `json:"split_from,omitzero"` // the demand this was split from; its words are those of that child
	SplitNo     int           `json:"split_no,omitempty"`  // which child, from 1
	Tracking    string        `json:"tracking,omitempty"`  // SHA-256 of the tracking code: the code itself is the resident's
	Accept      calendar.Due  `json:"accept"`
}

// Accepted records that the community took the demand on (受理).
type Accepted struct {
	Kind    Kind          `json:"kind"`
	Matter  string        `json:"matter"`
	Urgency Urgency       `json:"urgency"`
	Unit    orgs.UnitCode `json:"unit"` // the community that is responsible from now on
	Grid    orgs.GridCode `json:"grid,omitempty"`
	Summary sealed.Public `json:"summary"` // at most 120 characters, free of personal data
	Triage  calendar.Due  `json:"triage"`
}

// AnsweredOnTheSpot records that the matter was settled at once (当场答复); the topic stage is waived.
type AnsweredOnTheSpot struct {
	Kind      Kind          `json:"kind"`
	Outcome   Outcome       `json:"outcome"`
	Matter    string        `json:"matter,omitempty"`
	Summary   sealed.Public `json:"summary"`
	Answer    sealed.Text   `json:"answer" part:"reporter"`
	Agreement string        `json:"agreement,omitempty"` // SHA-256 of the signed agreement: disputes only
	Waiver    string        `json:"waiver"`              // always "on_the_spot"
	Callback  calendar.Due  `json:"callback"`
	ReachBy   time.Time     `json:"reach_by,omitzero"` // the last instant at which the resident is called (rule D18); zero in what was recorded before the clock waived
}

// Declined records that the demand is not taken on (不予受理), why, and where to go instead.
type Declined struct {
	Reason   DeclineReason `json:"reason"`
	Citation sealed.Public `json:"citation"`
	Instead  sealed.Public `json:"instead"`
	AppealBy time.Time     `json:"appeal_by"`
}

// Redirected records that the demand went to another channel (转出), under that channel's receipt number.
type Redirected struct {
	Target  sealed.Public `json:"target"`
	Receipt string        `json:"receipt"`
}

// Withdrawn records that the resident took the demand back (撤回).
type Withdrawn struct {
	Confirmed string      `json:"confirmed,omitempty"` // how it was confirmed when someone else entered it: phone, visit, written
	Note      sealed.Text `json:"note,omitzero" part:"reporter"`
}

// LinkedToTopic records that a topic governs the demand from now on (归入议题).
type LinkedToTopic struct {
	Topic     stream.ID    `json:"topic"`
	TopicNews calendar.Due `json:"topic_news"`
}

// Route is where a fast-tracked demand goes: exactly one of its members is set.
type Route struct {
	Order   *NewOrder `json:"order,omitempty"`
	Join    stream.ID `json:"join,omitzero"`     // an order that exists
	Dispute int       `json:"dispute,omitempty"` // rung at which a new dispute starts, 1 to 4
}

// NewOrder says which order to dispatch.
type NewOrder struct {
	Lead      orgs.UnitCode   `json:"lead"`
	Competent orgs.UnitCode   `json:"competent,omitempty"` // the member agency of a joint team that is competent
	CoUnits   []orgs.UnitCode `json:"co_units,omitempty"`
	Task      sealed.Public   `json:"task,omitempty"`
}

// FastTracked records that the topic stage is waived, and why (直办): the waiver is explicit, never silent.
type FastTracked struct {
	Reason   Reason        `json:"reason"`
	Citation sealed.Public `json:"citation,omitempty"`
	Route    Route         `json:"route"`
	Promise  calendar.Due  `json:"promise"`
}

// UnlinkedFromTopic records that the topic no longer governs the demand (移出议题).
type UnlinkedFromTopic struct {
	Topic  stream.ID     `json:"topic"`
	Reason sealed.Public `json:"reason"`
	Triage calendar.Due  `json:"triage"`
}

// EnteredHandling records that the demand's topic was handed to the grid (进入办题).
type EnteredHandling struct {
	Topic   stream.ID    `json:"topic"`
	Orders  []stream.ID  `json:"orders"`
	Promise calendar.Due `json:"promise"`
}

// Answered records the answer to the resident (答复). The text itself stays where it was written: From names it.
type Answered struct {
	Outcome  Outcome       `json:"outcome"`
	Summary  sealed.Public `json:"summary"` // what may be shown to anyone
	ReviewOn calendar.Date `json:"review_on,omitzero"`
	From     Source        `json:"from"` // the report, rejection, deferral or agreement that is the answer
	Callback calendar.Due  `json:"callback"`
	ReachBy  time.Time     `json:"reach_by,omitzero"` // the last instant at which the resident is called (rule D18); zero in what was recorded before the clock waived
}

// ReturnedToTopic records that the demand's topic goes back to deliberation (退回议题).
type ReturnedToTopic struct {
	Topic     stream.ID    `json:"topic"`
	TopicNews calendar.Due `json:"topic_news"`
}

// ReturnedToPool records that no order handles the demand any more (退回待办).
type ReturnedToPool struct {
	Order  stream.ID    `json:"order,omitzero"`
	Cause  string       `json:"cause"` // order_cancelled, order_closed, not_dispatched: the gate, or something else, kept it from being dispatched
	Triage calendar.Due `json:"triage"`
}

// Grade is the resident's satisfaction: 5 very satisfied … 1 very dissatisfied, 0 not given.
type Grade int

// CallbackResult is where a callback leads.
type CallbackResult string

// The results of a callback.
const (
	CallbackCloses      CallbackResult = "close"
	CallbackReworks     CallbackResult = "rework"
	CallbackReconsiders CallbackResult = "reconsider"
)

// CallbackRecorded records what the resident said when called back (回访): the resident's verdict.
type CallbackRecorded struct {
	Result   CallbackResult `json:"result"`
	Resolved bool           `json:"resolved"` // the resident says that the matter is settled
	Grade    Grade          `json:"grade"`
	Merit    bool           `json:"merit"` // the complaint about the handling has substance
	Reason   sealed.Public  `json:"reason,omitempty"`
	Words    sealed.Text    `json:"words,omitzero" part:"reporter"`
	Order    stream.ID      `json:"order,omitzero"` // which order must be reworked
	Promise  *calendar.Due  `json:"promise,omitempty"`
	Triage   *calendar.Due  `json:"triage,omitempty"`
	ReopenBy time.Time      `json:"reopen_by,omitzero"`
	RerateBy time.Time      `json:"rerate_by,omitzero"`
}

// CallbackAttempted records a call that reached nobody.
type CallbackAttempted struct {
	Means  string `json:"means"`            // phone, sms, visit, wechat
	Enough bool   `json:"enough,omitempty"` // with it as many reached nobody as the policy asks for (rule D18)
}

// CallbackWaived records that nobody calls back, and why (免回访).
type CallbackWaived struct {
	Cause    string    `json:"cause"` // anonymous, do_not_call, unreached; not_called: the time for it is over and nobody ever tried
	ReopenBy time.Time `json:"reopen_by"`
}

// Reopened records that the same matter is raised again after closing (重新提出). Earlier verdicts stand (rule I16).
type Reopened struct {
	Round  int          `json:"round"`
	Reason sealed.Text  `json:"reason,omitzero" part:"reporter"`
	Triage calendar.Due `json:"triage"`
}

// AppealFiled records the resident's objection to a decline.
type AppealFiled struct {
	Reason   sealed.Text `json:"reason" part:"reporter"`
	DecideBy time.Time   `json:"decide_by"`
}

// AppealRejected records that the decline stands.
type AppealRejected struct {
	Reason sealed.Public `json:"reason"`
}

// AppealUpheld records that the decline was wrong (异议成立): the demand is raised again.
type AppealUpheld struct {
	Reason sealed.Public `json:"reason"`
	Accept calendar.Due  `json:"accept"`
}

// Supplemented records more from the resident, or from the clerk about the matter (补充).
type Supplemented struct {
	Text        sealed.Text  `json:"text" part:"reporter"`
	Attachments []Attachment `json:"attachments,omitempty"`
}

// Supported records that others say "me too" (附议): one resident, or the tally of an older system.
type Supported struct {
	Supporters int  `json:"supporters"`
	Opponents  int  `json:"opponents,omitempty"`
	Tally      bool `json:"tally,omitempty"` // counted elsewhere, taken over as a number
}

// Reclassified records a corrected kind, matter or urgency; absent members stay as they were.
type Reclassified struct {
	Kind    Kind    `json:"kind,omitempty"`
	Matter  string  `json:"matter,omitempty"`
	Urgency Urgency `json:"urgency,omitempty"`
}

// Relocated records where the matter really lies.
type Relocated struct {
	Grid orgs.GridCode `json:"grid,omitempty"`
	Unit orgs.UnitCode `json:"unit"`
}

// Split records that one message held several matters; each child becomes a demand of its own (rule R25).
type Split struct {
	Children []Child `json:"children"`
}

// Child is one matter of a split demand.
type Child struct {
	Kind   Kind          `json:"kind"`
	Matter string        `json:"matter,omitempty"`
	Grid   orgs.GridCode `json:"grid,omitempty"`
	Unit   orgs.UnitCode `json:"unit"`
	Text   sealed.Text   `json:"text" part:"reporter"`
}

// Related records that a further topic concerns the demand: it tells of progress, and governs nothing.
type Related struct {
	Topic stream.ID `json:"topic"`
}

// UrgingReceived records that the resident pressed for it (催办).
type UrgingReceived struct {
	Text sealed.Text `json:"text,omitzero" part:"reporter"`
}

// Rerated records a changed grade after closing; both grades are kept.
type Rerated struct {
	Grade    Grade `json:"grade"`
	Resolved bool  `json:"resolved"`
}

// ProgressNoted copies the public part of a topic's or order's fact onto the demand (进展抄告).
type ProgressNoted struct {
	From      Source        `json:"from"`
	State     string        `json:"state,omitempty"` // where the topic or order stands after it
	Unit      orgs.UnitCode `json:"unit,omitempty"`  // who holds it
	Summary   sealed.Public `json:"summary,omitempty"`
	TopicNews *calendar.Due `json:"topic_news,omitempty"` // restarted by news about the governing topic
}

// WarningRaised records that a due instant of the demand comes near.
type WarningRaised rule.Warning

// ClockExpired records that a due instant passed with the step still owed.
type ClockExpired rule.Expiry

// Escalated records that the demand has the attention of a higher level (升级, rules E5–E7). Who holds it, and its clocks, stay.
type Escalated rule.Escalation

// DeadlineRecomputed records that a due instant was counted anew, because a notice has arrived (rule R24) or an arbiter
// says so; the later of old and new holds.
type DeadlineRecomputed rule.Recount

// The stored names. They never change; a changed meaning is a new version.
func (Raised) EventType() string             { return "demand-raised/1" }
func (Accepted) EventType() string           { return "demand-accepted/1" }
func (AnsweredOnTheSpot) EventType() string  { return "demand-answered-on-the-spot/1" }
func (Declined) EventType() string           { return "demand-declined/1" }
func (Redirected) EventType() string         { return "demand-redirected/1" }
func (Withdrawn) EventType() string          { return "demand-withdrawn/1" }
func (LinkedToTopic) EventType() string      { return "demand-linked-to-topic/1" }
func (FastTracked) EventType() string        { return "demand-fast-tracked/1" }
func (UnlinkedFromTopic) EventType() string  { return "demand-unlinked-from-topic/1" }
func (EnteredHandling) EventType() string    { return "demand-entered-handling/1" }
func (Answered) EventType() string           { return "demand-answered/1" }
func (ReturnedToTopic) EventType() string    { return "demand-returned-to-topic/1" }
func (ReturnedToPool) EventType() string     { return "demand-returned-to-pool/1" }
func (CallbackRecorded) EventType() string   { return "callback-recorded/1" }
func (CallbackAttempted) EventType() string  { return "callback-attempted/1" }
func (CallbackWaived) EventType() string     { return "callback-waived/1" }
func (Reopened) EventType() string           { return "demand-reopened/1" }
func (AppealFiled) EventType() string        { return "decline-appeal-filed/1" }
func (AppealRejected) EventType() string     { return "decline-appeal-rejected/1" }
func (AppealUpheld) EventType() string       { return "decline-appeal-upheld/1" }
func (Supplemented) EventType() string       { return "demand-supplemented/1" }
func (Supported) EventType() string          { return "demand-supported/1" }
func (Reclassified) EventType() string       { return "demand-reclassified/1" }
func (Relocated) EventType() string          { return "demand-relocated/1" }
func (Split) EventType() string              { return "demand-split/1" }
func (Related) EventType() string            { return "demand-related/1" }
func (UrgingReceived) EventType() string     { return "urging-received/1" }
func (Rerated) EventType() string            { return "satisfaction-rerated/1" }
func (ProgressNoted) EventType() string      { return "demand-progress-noted/1" }
func (WarningRaised) EventType() string      { return "demand-warning-raised/1" }
func (ClockExpired) EventType() string       { return "demand-clock-expired/1" }
func (Escalated) EventType() string          { return "demand-escalated/1" }
func (DeadlineRecomputed) EventType() string { return "demand-deadline-recomputed/1" }
