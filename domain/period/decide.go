package period

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Command is something that an evaluator, a street, a rated unit or the clock wants done with a period.
type Command interface {
	// Name is the command's word in the table and in the path of the API.
	Name() string
	// decide returns nothing and no error if what is asked for is so already.
	decide(State, rule.At) ([]Event, error)
}

// The commands, in the order of the table. Their members mean what the event of the same row says.
type (
	Open struct {
		Jurisdiction orgs.UnitCode
		Scheme       stream.ID
		First, Last  calendar.Date
	}
	End struct{}
	// PublishProvisional is given with what was computed at the cut-off.
	PublishProvisional struct {
		Figures int
		Results string
		Cohort  string
		Missing int
	}
	// Seal is given with what was computed. Figures that were not recorded before are recorded with it; what does not fit
	// into one append is recorded before, with [RecordFigures].
	Seal struct {
		Computed
		Figures []Figure // those that were not recorded before
		Units   int
		Blank   int           // units without a score
		Ruling  sealed.Public // needed if there are any
	}
	SealRevision struct {
		Computed
		Cause   Cause
		Reason  sealed.Public
		Figures []Figure // of those that changed, what was not recorded before
		Changed int
	}
	Void struct{ Reason sealed.Public }

	RequestExclusion struct {
		Case       assessment.Case
		Indicators []assessment.Indicator
		Reason     assessment.Reason
		Account    sealed.Public
	}
	ApproveExclusion struct {
		Number int
		Reason sealed.Public
	}
	RefuseExclusion struct {
		Number int
		Reason sealed.Public
	}
	FileObjection struct {
		Case      assessment.Case
		Indicator assessment.Indicator
		Verdict   assessment.Verdict
		Ground    sealed.Public
	}
	UpholdObjection struct {
		Number  int
		Verdict assessment.Verdict
		Reason  sealed.Public
	}
	RejectObjection struct {
		Number int
		Reason sealed.Public
	}
	ImportOtherScore struct {
		Unit     orgs.UnitCode
		Score    assessment.Decimal
		Document string
	}
	// RecordFigures records a part of a result that is too large for one append. Nothing comes of it until the seal follows.
	RecordFigures struct {
		Revision int
		Results  string
		From     int
		Figures  []Figure
	}
)

// Computed is what whoever computes a result says of it.
type Computed struct {
	CutOff   int64
	CutOffAt time.Time
	Program  string
	Root     string
	Leaves   int64
	Count    int // figures of the whole result
	Results  string
	Items    int
	Cohort   string
	Unknown  int // events up to the cut-off that this program does not know, or that a view has parked: nothing is sealed over them
}

// The clock's own commands. Each decides nothing when its time has passed over: the step was taken, or it fired before.
type (
	RaiseWarning struct{ ID string } // of the due instant
	ExpireClock  struct{ ID string }
)

// The names of the commands.
func (Open) Name() string               { return "open" }
func (End) Name() string                { return "end" }
func (PublishProvisional) Name() string { return "publish-provisional" }
func (Seal) Name() string               { return "seal" }
func (SealRevision) Name() string       { return "seal-revision" }
func (Void) Name() string               { return "void" }
func (RequestExclusion) Name() string   { return "request-exclusion" }
func (ApproveExclusion) Name() string   { return "approve-exclusion" }
func (RefuseExclusion) Name() string    { return "refuse-exclusion" }
func (FileObjection) Name() string      { return "file-objection" }
func (UpholdObjection) Name() string    { return "uphold-objection" }
func (RejectObjection) Name() string    { return "reject-objection" }
func (ImportOtherScore) Name() string   { return "import-other-score" }
func (RecordFigures) Name() string      { return "record-figures" }
func (RaiseWarning) Name() string       { return "raise-warning" }
func (ExpireClock) Name() string        { return "expire-clock" }

// Needs names the other streams that a command must know.
func Needs(s State, c Command) rule.Refs {
	about := func(k assessment.Case) rule.Refs {
		r := rule.Refs{Schemes: []stream.ID{s.Scheme}}
		switch id := k.Stream.ID(); k.Stream.Category() {
		case stream.Order:
			r.Orders = []stream.ID{id}
		case stream.Demand:
			r.Demands = []stream.ID{id}
		default:
			r.Existing = []stream.Name{k.Stream}
		}
		return r
	}
	switch c := c.(type) {
	case Open:
		return rule.Refs{Schemes: []stream.ID{c.Scheme}}
	case RequestExclusion:
		return about(c.Case)
	case FileObjection:
		return about(c.Case)
	case ImportOtherScore, SealRevision:
		return rule.Refs{Schemes: []stream.ID{s.Scheme}}
	}
	return rule.Refs{}
}

// Decide returns what a command makes happen: one event, with a seal the figures before it; none if the same person says at
// the same moment what was said last, or if what the clock asks for has passed over. The error is a [*rule.Refusal], or
// comes from the calendar.
func Decide(s State, c Command, at rule.At) ([]Event, error) {
	if r := rule.NotFuture(at); r != nil {
		return nil, Machine.Explain(s.Phase, r)
	}
	if repeats(s, c, at) {
		return nil, nil
	}
	return answer(s, c, at)
}

// answer asks the table, then the guards. What a sealed period refuses it refuses for that reason (rule I11).
func answer(s State, c Command, at rule.At) ([]Event, error) {
	es, err := rule.Ask(&Machine, s.ID, s.Phase, c.Name(), at, func(at rule.At) ([]Event, error) { return c.decide(s, at) })
	if r, refused := err.(*rule.Refusal); refused && r.Code == rule.WrongState && s.Phase == PhaseSealed {
		return nil, Machine.Explain(s.Phase, rule.Refuse(rule.PeriodSealed, "I11", "周期已封存，只能以修订更正", "the period is sealed: only a revision can correct it"))
	}
	return es, err
}

// repeats reports whether the same person asks at the same moment for what was decided last. The question is put to the
// state of then, at the time of then. A clock that catches up gives two warnings at one moment: what tells them apart is
// the key, not the command.
func repeats(s State, c Command, at rule.At) bool {
	if _, warns := c.(RaiseWarning); warns || s.before == nil {
		return false
	}
	before := *s.before
	switch c := c.(type) { // the figures that came with a seal are recorded before it
	case Seal:
		before.Recorded.Figures -= len(c.Figures)
	case SealRevision:
		before.Recorded.Figures -= len(c.Figures)
	}
	return rule.Again(at, s.last, s.lastStamp, func(then rule.At) (last Event, err error) {
		es, err := answer(before, c, then)
		if len(es) > 0 {
			last = es[len(es)-1]
		}
		return last, err
	})
}

func needs(id, zh, en string) *rule.Refusal { return rule.Refuse(rule.GuardFailed, id, zh, en) }

// one returns an event, or the first refusal as an error.
func one(e Event, rs ...*rule.Refusal) ([]Event, error) {
	if err := firm(rs...); err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

// firm returns the first refusal as an error, and nil if there is none.
func firm(rs ...*rule.Refusal) error {
	for _, r := range rs {
		if r != nil {
			return r
		}
	}
	return nil
}

// said refuses a text that was left empty.
func said(text sealed.Public, id, zh, en string) *rule.Refusal {
	if strings.TrimSpace(string(text)) != "" {
		return nil
	}
	return needs(id, "请填写"+zh, "the "+en+" is missing")
}

// digested refuses what is no SHA-256 in lower-case hexadecimal.
func digested(id string, hashes ...string) *rule.Refusal {
	for _, h := range hashes {
		if b, err := hex.DecodeString(h); err != nil || len(b) != 32 || strings.ToLower(h) != h {
			return needs(id, "须为 64 位小写十六进制的 SHA-256", "a SHA-256 is 64 lower-case hexadecimal digits")
		}
	}
	return nil
}

func local(t time.Time) string { return t.In(calendar.Zone()).Format("2006-01-02 15:04:05") }

// ours refuses whoever is not of the evaluator's office of the jurisdiction, or of one above; both persons where there are
// two. A unit that is assessed lies below it, and no seat of its evaluators reaches so far (rule I2).
func (s State) ours(at rule.At, id string) *rule.Refusal {
	if r := rule.Reaches(at, s.Jurisdiction, id); r != nil {
		return r
	}
	return rule.SecondReaches(at, s.Jurisdiction, id)
}

// due starts a clock of this stream now.
func (s State) due(at rule.At, c calendar.Clock, number int) (calendar.Due, error) {
	return at.Clocks.Start(dueID(c, number, s.Dues+1), c, "", "", at.Recorded)
}

// dueID is unique in the stream for ever: clock, what it is of in place of a round, leg (periods have none) and a serial
// (rule I15).
func dueID(c calendar.Clock, number, serial int) string {
	return fmt.Sprintf("%s/%d/0/%d", c, number, serial)
}

// Q1.
func (c Open) decide(s State, at rule.At) ([]Event, error) {
	u, known := at.Units.Unit(c.Jurisdiction)
	f, found := at.Facts.Scheme(c.Scheme)
	switch {
	case !known || u.Closed || u.Kind != orgs.District && u.Kind != orgs.City:
		return nil, needs("Q1", "考核周期以区（县、旗）或市为范围", "a period is of a district or of the city")
	case !found || f.Phase != "published":
		return nil, needs("Q1", "方案不存在、尚未发布或已停用", "there is no such scheme in force: it does not exist, is a draft, or was retired")
	case !at.Units.Within(c.Jurisdiction, f.Unit):
		return nil, rule.Refuse(rule.OutsideJuris, "Q1", fmt.Sprintf("方案属于 %s，不适用于 %s", f.Unit, c.Jurisdiction),
			fmt.Sprintf("the scheme is that of %s and does not apply to %s", f.Unit, c.Jurisdiction))
	case s.ID != stream.PeriodOf(string(c.Jurisdiction), c.Scheme, c.First.String(), c.Last.String()):
		return nil, needs("Q1", "周期编号与范围、方案、日期不符", "the id of the period is not that of its jurisdiction, scheme and days")
	case !whole(f.Scheme.Every, c.First, c.Last):
		return nil, needs("Q1", "起止日期须为方案规定的完整月、季或年", "first and last day must be those of one month, quarter or year, as the scheme says")
	case !f.Published.Before(c.First.Start()):
		return nil, needs("Q1", fmt.Sprintf("方案于 %s 发布，须在周期首日之前", local(f.Published)),
			fmt.Sprintf("the scheme was published at %s: it must be before the first day begins", local(f.Published)))
	}
	if r := (State{Jurisdiction: c.Jurisdiction}).ours(at, "Q1"); r != nil {
		return nil, r
	}
	return []Event{Opened{Jurisdiction: c.Jurisdiction, Scheme: c.Scheme, Version: f.Version, Hash: f.Hash, First: c.First, Last: c.Last,
		EndsAt: at.Clocks.Closes(calendar.LateWindow, c.Last.End()),
		Policy: at.Clocks.Policy.Name, PolicyNo: at.Clocks.Policy.Version}}, nil
}

// whole reports whether the days from first to last are one cycle of the calendar.
func whole(every assessment.Cycle, first, last calendar.Date) bool {
	months := map[assessment.Cycle]int{assessment.Monthly: 1, assessment.Quarterly: 3, assessment.Yearly: 12}[every]
	if months == 0 || first.IsZero() {
		return false
	}
	y, m, d := first.Start().In(calendar.Zone()).Date()
	next := time.Date(y, m+time.Month(months), 1, 0, 0, 0, 0, calendar.Zone())
	return d == 1 && (int(m)-1)%months == 0 && calendar.DateOf(next) == last+1
}

// Q2. The clock alone ends a period, once its last day and the late window are over.
func (End) decide(s State, at rule.At) ([]Event, error) {
	if calendar.OnTime(at.Recorded, s.EndsAt) {
		return nil, needs("I15", "未到截止时间 "+local(s.EndsAt), "it does not end before "+local(s.EndsAt))
	}
	d, err := s.due(at, calendar.Evaluation, 1)
	if err != nil {
		return nil, err
	}
	return []Event{Ended{EndsAt: s.EndsAt, LateBy: rule.LateBy(at, s.EndsAt), Evaluation: d}}, nil
}

// Q3. First when the evaluations are in, or the time for them is over; again when something changes the figures.
func (c PublishProvisional) decide(s State, at rule.At) ([]Event, error) {
	if err := firm(s.ours(at, "Q3"), digested("Q3", c.Results, c.Cohort)); err != nil {
		return nil, err
	}
	switch {
	case c.Figures < 1 || c.Missing < 0:
		return nil, needs("Q3", "没有可公示的结果", "there are no figures to show")
	case s.Phase == PhaseRating && c.Missing > 0 && calendar.OnTime(at.Recorded, s.Evaluation.Due):
		return nil, needs("Q3", fmt.Sprintf("尚有 %d 份评价未提交，截止时间为 %s", c.Missing, local(s.Evaluation.Due)),
			fmt.Sprintf("%d evaluations are not in yet, and there is time for them until %s", c.Missing, local(s.Evaluation.Due)))
	case s.Phase == PhaseProvisional && !s.Changed && c.Results == s.Shown.Results && c.Cohort == s.Shown.Cohort:
		return nil, needs("Q3", "结果与上次预公示相同", "the figures are those that were shown last")
	}
	d, err := s.due(at, calendar.Objection, s.Shown.Number+1)
	if err != nil {
		return nil, err
	}
	return []Event{ProvisionalPublished{Number: s.Shown.Number + 1, Figures: c.Figures, Results: c.Results, Cohort: c.Cohort, Missing: c.Missing, Objection: d}}, nil
}

// complete refuses a result that is not fully described, or rests on events that nobody could read.
func (c Computed) complete(id string) *rule.Refusal {
	switch {
	case c.CutOff < 1 || c.CutOffAt.IsZero() || c.Leaves < 1 || c.Count < 1 || c.Items < 0 || c.Program == "":
		return needs(id, "计算结果不完整", "what was computed is not fully described")
	case c.Unknown > 0:
		return needs(id, fmt.Sprintf("截止前有 %d 个事件无法识别或处理", c.Unknown), fmt.Sprintf("%d events up to the cut-off are unknown or parked", c.Unknown))
	}
	return digested(id, c.Root, c.Results, c.Cohort)
}

// Q4. What is sealed is what was shown: nobody sees a figure for the first time when it can not be contested any more.
func (c Seal) decide(s State, at rule.At) ([]Event, error) {
	if err := firm(s.ours(at, "Q4"), c.complete("Q4")); err != nil {
		return nil, err
	}
	switch n := s.Undecided(); {
	case n > 0:
		return nil, rule.Refuse(rule.UndecidedItems, "Q4", fmt.Sprintf("尚有 %d 项剔除或申诉未决定", n), fmt.Sprintf("%d exclusions or objections are undecided", n))
	case calendar.OnTime(at.Recorded, s.Shown.Objection.Due):
		return nil, needs("Q4", "申诉期至 "+local(s.Shown.Objection.Due), "objections may be filed until "+local(s.Shown.Objection.Due))
	case s.Changed || c.Results != s.Shown.Results || c.Cohort != s.Shown.Cohort || c.Count != s.Shown.Figures:
		return nil, needs("Q4", "结果与最近一次预公示不同，须重新预公示", "the figures are not those that were shown last: show them first")
	case !c.CutOffAt.Equal(s.CutOffAt):
		return nil, needs("Q4", "截止时间须为 "+local(s.CutOffAt), "the cut-off is that of "+local(s.CutOffAt))
	case c.Units < 1 || c.Blank < 0 || c.Blank > c.Units:
		return nil, needs("Q4", "没有被考核的单位", "no unit is assessed")
	case c.Blank > 0 && strings.TrimSpace(string(c.Ruling)) == "":
		return nil, needs("Q4", fmt.Sprintf("%d 个单位没有得分，须附书面裁定", c.Blank), fmt.Sprintf("%d units have no score: a written ruling is needed", c.Blank))
	}
	parts, r := s.parts(1, c.Results, c.Figures, c.Count)
	if r != nil {
		return nil, r
	}
	d := s.Evaluation // computed at the cut-off: it names what was in force then
	return append(parts, Sealed{Scheme: s.Scheme, Version: s.Version, Hash: s.Hash, CutOff: c.CutOff, CutOffAt: s.CutOffAt, Calendar: d.Calendar,
		Policy: d.Policy, PolicyNo: d.PolicyVersion, Program: c.Program, Root: c.Root, Leaves: c.Leaves, Figures: c.Count, Results: c.Results,
		Items: c.Items, Cohort: c.Cohort, Units: c.Units, Blank: c.Blank, Ruling: c.Ruling}), nil
}

// Q5.
func (c SealRevision) decide(s State, at rule.At) ([]Event, error) {
	if err := firm(s.ours(at, "Q5"), c.complete("Q5"), said(c.Reason, "Q5", "修订理由", "reason")); err != nil {
		return nil, err
	}
	f, _ := at.Facts.Scheme(s.Scheme)
	switch {
	case c.Cause != LateFact && c.Cause != Correction:
		return nil, needs("Q5", "修订原因须为 late_fact 或 correction", "the cause is late_fact or correction")
	case c.Cause == LateFact && f.Scheme.Choices[assessment.LateFact] != byRevision:
		return nil, needs("Q5", "方案规定迟到事实计入下一周期", "the scheme counts late facts in the next period")
	case KeepsCutOff(f.Scheme) && c.CutOff != s.Result.CutOff:
		return nil, needs("Q5", "方案规定迟到事实计入下一周期，修订的截止点不变", "the scheme counts late facts in the next period: a revision keeps the cut-off")
	case c.CutOff < s.Result.CutOff:
		return nil, needs("Q5", "修订的截止点早于上一版本", "the cut-off lies before that of the revision before")
	case c.Results == s.Result.Results || c.Changed < 1:
		return nil, needs("Q5", "没有变化，无须修订", "nothing changed: there is nothing to revise")
	}
	parts, r := s.parts(s.Result.Revision+1, c.Results, c.Figures, c.Changed)
	if r != nil {
		return nil, r
	}
	return append(parts, RevisionSealed{Revision: s.Result.Revision + 1, Cause: c.Cause, Reason: c.Reason, CutOff: c.CutOff, CutOffAt: c.CutOffAt,
		Program: c.Program, Root: c.Root, Leaves: c.Leaves, Changed: c.Changed, Figures: c.Count, Results: c.Results, Items: c.Items, Cohort: c.Cohort}), nil
}

// Q6.
func (c Void) decide(s State, at rule.At) ([]Event, error) {
	return one(Voided(c), s.ours(at, "Q6"), said(c.Reason, "Q6", "作废理由", "reason"))
}

// How figures are cut into events: ours. An event may hold 256 KiB and an append 1 MiB, metadata included. The exact mean over
// many streets has a denominator of a hundred digits and more, so it is bytes that are counted.
const (
	PartFigures = 400 // in one event, at most
	partBytes   = 200_000
	MostBytes   = 900_000 // of figures in one append, as [Figure.Size] counts them
	mostDigits  = 1000    // of a numerator or denominator
	mostName    = 60      // bytes
)

// Size is how many bytes the figure takes in an event, at most.
func (f Figure) Size() int {
	n := 128 + len(f.Unit) + len(f.Street) + len(f.Name) + len(f.N) + len(f.D) + len(f.Printed)
	if f.Was != nil {
		n += len(f.Was.N) + len(f.Was.D) + len(f.Was.Printed)
	}
	return n
}

// Portions cuts the figures of a result into lists that fit into one append each: all but the last are recorded before the seal,
// with [RecordFigures], the last comes with it.
func Portions(figures []Figure) [][]Figure { return portions(figures, len(figures), MostBytes) }

// portions cuts figures into lists of at most so many, and of at most so many bytes.
func portions(figures []Figure, most, bytes int) (lists [][]Figure) {
	from, size := 0, 0
	for i, f := range figures {
		if i > from && (i-from == most || size+f.Size() > bytes) {
			lists, from, size = append(lists, figures[from:i]), i, 0
		}
		size += f.Size()
	}
	if from < len(figures) {
		lists = append(lists, figures[from:])
	}
	return lists
}

// parts cuts figures into the events that come before their seal, and refuses if they are not all there then.
func (s State) parts(revision int, results string, figures []Figure, want int) ([]Event, *rule.Refusal) {
	had := 0
	if s.Recorded.Revision == revision && s.Recorded.Results == results {
		had = s.Recorded.Figures
	}
	id := "Q4"
	if revision > 1 {
		id = "Q5"
	}
	for _, f := range figures {
		if r := f.check(id, revision); r != nil {
			return nil, r
		}
	}
	switch {
	case len(Portions(figures)) > 1:
		return nil, needs(id, "数值过多，须分次先行记录", "too many figures for one append: record the others before")
	case had+len(figures) != want:
		return nil, needs(id, fmt.Sprintf("应有 %d 个数值，实有 %d 个", want, had+len(figures)), fmt.Sprintf("there should be %d figures, %d are here", want, had+len(figures)))
	}
	var es []Event
	for _, chunk := range portions(figures, PartFigures, partBytes) {
		es = append(es, FiguresRecorded{Revision: revision, Results: results, From: had, Figures: chunk})
		had += len(chunk)
	}
	return es, nil
}

// check refuses a figure that can not be read as one.
func (f Figure) check(id string, revision int) *rule.Refusal {
	values := []Value{{f.N, f.D, f.Printed}}
	if f.Was != nil {
		values = append(values, *f.Was)
	}
	ok := f.Unit.Valid() && (f.Street == "" || f.Street.Valid()) && f.Name != "" && len(f.Name) <= mostName && !sealed.LooksPersonal(f.Name) &&
		(revision > 1 || f.Was == nil && !f.Gone)
	for _, v := range values {
		ok = ok && v.sound()
	}
	if !ok {
		return needs(id, fmt.Sprintf("数值 %q（%s）格式有误", f.Name, f.Unit), fmt.Sprintf("the figure %q of %s is malformed", f.Name, f.Unit))
	}
	return nil
}

// sound reports whether a value is an exact fraction with a printed form, or none.
func (v Value) sound() bool {
	if len(v.N) > mostDigits || len(v.D) > mostDigits || len(v.Printed) > mostName || v.Printed == "" {
		return false
	}
	if v.N == "" && v.D == "" {
		return true
	}
	n, isN := new(big.Int).SetString(v.N, 10)
	d, isD := new(big.Int).SetString(v.D, 10)
	return isN && isD && d.Sign() > 0 && n.String() == v.N && d.String() == v.D
}

// RecordFigures takes a part of a result. The same part twice, and parts out of order, are refused: they are counted.
func (c RecordFigures) decide(s State, at rule.At) ([]Event, error) {
	if err := firm(s.ours(at, "Q4"), digested("Q4", c.Results)); err != nil {
		return nil, err
	}
	next := s.Recorded
	if next.Revision != c.Revision || next.Results != c.Results || c.From == 0 {
		next.Figures = 0
	}
	switch {
	case c.Revision != s.Result.Revision+1:
		return nil, needs("Q4", fmt.Sprintf("下一版本为第 %d 版", s.Result.Revision+1), fmt.Sprintf("the next revision is %d", s.Result.Revision+1))
	case len(c.Figures) == 0 || c.From != next.Figures:
		return nil, needs("Q4", fmt.Sprintf("应从第 %d 个数值续记", next.Figures), fmt.Sprintf("the next figure is number %d", next.Figures))
	}
	s.Recorded = Record{Revision: c.Revision, Results: c.Results, Figures: next.Figures}
	es, r := s.parts(c.Revision, c.Results, c.Figures, next.Figures+len(c.Figures))
	if r != nil {
		return nil, r
	}
	return es, nil
}

func (c RaiseWarning) decide(s State, at rule.At) ([]Event, error) {
	w, r := s.Running.Warn(s.Fired, c.ID, at)
	if w == nil {
		return nil, firm(r)
	}
	return []Event{WarningRaised(*w)}, nil
}

func (c ExpireClock) decide(s State, at rule.At) ([]Event, error) {
	x, r := s.Running.Expire(s.Fired, c.ID, time.Time{}, at)
	if x == nil {
		return nil, firm(r)
	}
	return []Event{ClockExpired(*x)}, nil
}
