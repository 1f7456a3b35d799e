package projections

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

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
	"gridcase/eventlog"
)

// Escalations is the view of matters that have the attention of a higher level (升级), and of the accounts that were
// demanded of lead units (督办).
type Escalations struct{}

// matter is what the board must know of a demand, topic, order or dispute.
type matter struct {
	kind         stream.Category
	id           stream.ID
	number       string
	phase        string
	over         bool // nothing is left to do: attention ends with the matter
	label        sealed.Public
	holder       orgs.UnitCode // who has it
	place        orgs.UnitCode
	grid         orgs.GridCode
	confidential bool
	attention    rule.Attention
	fired        rule.Firings
	running      rule.Clocks
	problem      bool
	supervisions []order.Supervision
}

// matterOf says what a state is to the board, false if it is of no machine that rises.
func matterOf(s event.State) (matter, bool) {
	switch s := s.(type) {
	case order.State:
		return matter{stream.Order, s.ID, s.Number, string(s.Phase), s.Phase.Terminal(), s.Task, s.Lead, s.Place, s.Grid, false,
			s.Attention, s.Fired, s.Running, s.Problem, s.Supervisions}, true
	case demand.State:
		return matter{kind: stream.Demand, id: s.ID, number: s.Number, phase: string(s.Phase), over: s.Phase.Terminal(), label: s.Summary, holder: s.Unit,
			place: s.Unit, grid: s.Grid, confidential: s.Kind == demand.Report, attention: s.Attention, fired: s.Fired, running: s.Running}, true
	case topic.State:
		return matter{kind: stream.Topic, id: s.ID, number: s.Number, phase: string(s.Phase), over: s.Phase.Terminal(), label: s.Title, holder: s.Unit,
			place: s.Unit, attention: s.Attention, fired: s.Fired, running: s.Running}, true
	case dispute.State:
		return matter{kind: stream.Dispute, id: s.ID, phase: string(s.Phase), over: s.Phase.Terminal(), holder: cmp.Or(s.Mediator, s.Unit),
			place: s.Unit, attention: s.Attention, fired: s.Fired, running: s.Running}, true
	}
	return matter{}, false
}

// riseOf says why a matter rose, false for events of another meaning.
func riseOf(b event.Body) (rule.Escalation, bool) {
	switch b := b.(type) {
	case order.Escalated:
		return rule.Escalation(b), true
	case demand.Escalated:
		return rule.Escalation(b), true
	case topic.Escalated:
		return rule.Escalation(b), true
	case dispute.Escalated:
		return rule.Escalation(b), true
	}
	return rule.Escalation{}, false
}

// risen reports whether the matter was ever on the board. A row stays when the matter is over, so that one that is taken up again
// comes back with the reason for which it rose.
func (m matter) risen() bool { return m.attention.Rises > 0 || m.problem }

// Name implements [View].
func (Escalations) Name() string { return "escalations" }

// Tables implements [View].
func (Escalations) Tables() []Table {
	return []Table{{
		Name: "escalations", Key: 2,
		Columns: slices.Concat([]Column{{"kind", Text}, {"id", Blob}, {"number", Text}, {"phase", Text}, {"label", Text}, {"holder", Text}, {"holder_path", Text},
			{"unit", Text}}, siteColumns, reportColumns, []Column{{"over", Integer}, {"confidential", Integer}, {"level", Integer}, {"answers", Text}, {"rule", Text}, {"since", Integer}, {"rises", Integer},
			{"origin", Integer}, {"due_id", Text}, {"due", Integer}, {"step", Integer}, {"count", Integer}, {"late_by", Integer},
			{"warned", Text}, {"expired", Text}, {"problem", Integer}, {"supervisions", Integer}, {"unanswered", Integer},
			{"next_at", Integer}, {"next_id", Text}, {"next_step", Text}}),
		Indexes: []Index{{Columns: []string{"over"}}},
	}, {
		Name: "supervisions", Key: 2,
		Columns: slices.Concat([]Column{{"order_id", Blob}, {"number", Integer}, {"order_number", Text}, {"lead", Text}, {"lead_path", Text}, {"path", Text}, {"reason", Text},
			{"issued_at", Integer}, {"due", Integer}, {"turn", Integer}, {"open", Integer}, {"answered_at", Integer}, {"answer", Text}}, reportColumns),
		Indexes: []Index{supervised("path"), supervised("lead_path")},
	}}
}

// supervised is the index of supervisions by one of the ways to have them: those still owed apart, and all that a page is put
// in order by.
func supervised(path string) Index {
	return Index{Columns: []string{"open", path, "turn", "order_id", "due"}}
}

// Apply implements [View].
func (v Escalations) Apply(tx *Tx, e Entry) error {
	m, rises := matterOf(e.After)
	if !rises {
		return nil
	}
	before, _ := matterOf(e.Before)
	v.supervise(tx, e, before, m)
	if !m.risen() {
		return nil
	}
	why, rose := riseOf(e.Body)
	if row, found := tx.Get("escalations", string(m.kind), bytesOf(m.id)); found && !rose {
		at := func(column string) any {
			return row[slices.IndexFunc(v.Tables()[0].Columns, func(c Column) bool { return c.Name == column })]
		}
		why = rule.Escalation{From: orgs.Level(at("origin").(int64)), ID: at("due_id").(string), Due: dueTime(at("due").(int64)),
			Step: int(at("step").(int64)), Count: int(at("count").(int64)), LateBy: int(at("late_by").(int64))}
	}
	var warned, expired []string
	for _, d := range m.running {
		switch f := m.fired.Of(d.ID); {
		case f.Expired:
			expired = append(expired, string(d.Clock))
		case f.Warned > 0:
			warned = append(warned, string(d.Clock))
		}
	}
	unanswered := 0
	for _, sv := range m.supervisions {
		if sv.Open {
			unanswered++
		}
	}
	next, _ := rule.Earliest(event.Alarms(e.After))
	at := siteOf(e.Units, m.place, m.grid)
	byPath, bodies := reported(e.After, e.Units)
	tx.Put("escalations", string(m.kind), bytesOf(m.id), m.number, m.phase, string(m.label), string(m.holder), e.Units.Path(m.holder),
		string(m.place), at.path, at.area, at.street, at.district, byPath, bodies, m.over, m.confidential, int(m.attention.Level), string(m.attention.Unit), m.attention.Rule,
		millis(m.attention.Since), m.attention.Rises, int(why.From), why.ID, secondsOf(why.Due), why.Step, why.Count, why.LateBy,
		strings.Join(warned, " "), strings.Join(expired, " "), m.problem, len(m.supervisions), unanswered,
		secondsOf(next.Due), next.ID, next.Step)
	return nil
}

// secondsOf is how due instants are kept: seconds since 1970, and none after all others.
func secondsOf(t time.Time) int64 {
	if t.IsZero() {
		return noDue
	}
	return t.Unix()
}

// supervise keeps a row for each account that was demanded of an order.
func (Escalations) supervise(tx *Tx, e Entry, before, m matter) {
	byPath, bodies := reported(e.After, e.Units)
	_, had := reported(e.Before, e.Units)
	for i, sv := range m.supervisions {
		d, runs := calendar.Due{}, false
		for _, c := range m.running {
			if c.ID == sv.Deadline {
				d, runs = c, true
			}
		}
		if i < len(before.supervisions) && before.supervisions[i] == sv && before.holder == m.holder && had == bodies {
			continue
		}
		row, found := tx.Get("supervisions", bytesOf(m.id), sv.Number)
		reason, answer, issued, answered, due := "", "", millis(e.Meta.Recorded), int64(0), secondsOf(d.Due)
		if found {
			reason, issued, answered, answer = row[6].(string), row[7].(int64), row[11].(int64), row[12].(string)
			if !runs {
				due = row[8].(int64)
			}
		}
		switch b := e.Body.(type) {
		case order.SupervisionIssued:
			if b.Number == sv.Number {
				reason = string(b.Reason)
			}
		case order.SupervisionAnswered:
			if b.Number == sv.Number {
				answered, answer = millis(e.Meta.Recorded), string(b.Answer)
			}
		}
		tx.Put("supervisions", bytesOf(m.id), sv.Number, m.number, string(m.holder), e.Units.Path(m.holder), siteOf(e.Units, m.place, m.grid).path, reason,
			issued, due, min(due, 1<<50)*1000+int64(min(sv.Number, 999)), sv.Open, answered, answer, byPath, bodies) // several of one order may be due at once
	}
}

// EscalationRow is a matter on the board. Instants are zero where there is none.
type EscalationRow struct {
	Kind         stream.Category
	ID           stream.ID
	Number       string
	Phase        string
	Label        sealed.Public
	Holder       orgs.UnitCode
	Unit         orgs.UnitCode // where it lies
	Level        orgs.Level    // 0: it never rose
	Answers      orgs.UnitCode // for it, at that level
	Rule         string        // that lifted it last
	Since        time.Time     // when it came to the level
	Rises        int
	From         orgs.Level // before the last rise
	DueID        string     // of the due instant behind the last rise, "" = none was
	Due          time.Time
	Step         int // of rule E2
	Count        int // what was counted when the rule's threshold was met
	LateBy       int // seconds: the machine's own lateness at the last rise
	Warned       []calendar.Clock
	Expired      []calendar.Clock
	Problem      bool
	Supervisions int
	Unanswered   int // of the supervisions
	NextAt       time.Time
	NextID       string // of the due instant of the clock's next step, "" = the clock does nothing more
	NextStep     string // warning/1, expiry, step/1, …
}

// EscalationFilter says which matters. Empty members narrow nothing.
type EscalationFilter struct {
	Page
	Unit    orgs.UnitCode   `json:"unit"` // the matter lies in it, or a unit in it has it
	Levels  []orgs.Level    `json:"levels"`
	Rule    string          `json:"rule"`
	Kind    stream.Category `json:"kind"`
	Problem bool            `json:"problem"`
	Who     Viewer          `json:"-"` // whose board it is: see [Viewer.SeesReport]; and with confidential demands, or without
}

// Board is what [Views.Escalations] answers: a page of the matters, the longest at their level first, and how many there are of each level
// and rule, whatever level and rule the page is narrowed to.
type Board struct {
	Position eventlog.Position
	Items    []EscalationRow
	Next     string
	Count    int // over all pages
	Levels   map[orgs.Level]int
	Rules    map[string]int
}

const escalationColumns = `d.kind, d.id, d.number, d.phase, d.label, d.holder, d.unit, d.level, d.answers, d.rule, d.since, d.rises, d.origin,
	d.due_id, d.due, d.step, d.count, d.late_by, d.warned, d.expired, d.problem, d.supervisions, d.unanswered, d.next_at, d.next_id, d.next_step`

func readEscalation(rs *sql.Rows) (r EscalationRow, err error) {
	var id []byte
	var warned, expired string
	var since, due, next int64
	err = rs.Scan(&r.Kind, &id, &r.Number, &r.Phase, &r.Label, &r.Holder, &r.Unit, &r.Level, &r.Answers, &r.Rule, &since, &r.Rises, &r.From,
		&r.DueID, &due, &r.Step, &r.Count, &r.LateBy, &warned, &expired, &r.Problem, &r.Supervisions, &r.Unanswered, &next, &r.NextID, &r.NextStep)
	r.ID, r.Since, r.Due, r.NextAt = idOf(id), fromMillis(since), dueTime(due), dueTime(next)
	r.Warned, r.Expired = clocks(warned), clocks(expired)
	return r, err
}

func clocks(names string) []calendar.Clock {
	var cs []calendar.Clock
	for _, n := range strings.Fields(names) {
		cs = append(cs, calendar.Clock(n))
	}
	return cs
}

// of is the part of a filter that a unit sets: where the matter lies, or who has it.
func (v *Views) of(unit orgs.UnitCode, holder string) condition {
	in := within(v.runner.Units().Path(unit))
	return condition{"(" + in.text + " OR " + strings.ReplaceAll(in.text, "d.path", holder) + ")", slices.Concat(in.args, in.args)}
}

// Escalations returns the board of a unit, for whoever may see all that lies in it or is worked on in it. It costs the
// matters that are on the board now, of the whole city. It returns [ErrCursor] and [ErrLimit].
func (v *Views) Escalations(ctx context.Context, f EscalationFilter) (b Board, err error) {
	q := filter{page: f.Page}
	if f.Limit < 1 || f.Limit > 200 {
		return b, ErrLimit
	}
	if err := q.mark("escalations", f); err != nil {
		return b, err
	}
	in := v.of(f.Unit, "d.holder_path")
	q.where("d.over = 0")
	q.where(in.text, in.args...)
	q.equal("kind", string(f.Kind))
	if f.Problem {
		q.where("d.problem = 1")
	}
	if !f.Who.Confidential {
		q.where("d.confidential = 0")
	}
	q.conditions = append(q.conditions, f.Who.reports())
	all := q.conditions
	if len(f.Levels) > 0 {
		q.where("d.level IN ("+marks(len(f.Levels))+")", anys(f.Levels)...)
	}
	q.equal("rule", f.Rule)
	narrowed := q.conditions
	if f.After != "" {
		k, id, err := q.open(f.After)
		if err != nil {
			return b, err
		}
		q.where("(d.since, d.id) > (?, ?)", k, id[:])
	}
	b.Levels, b.Rules = map[orgs.Level]int{}, map[string]int{}
	b.Position, err = v.snapshot(ctx, func(s snapshot) error {
		ask := func(columns string, cs []condition, rest string, each func(*sql.Rows) error) error {
			where, args := joined(cs)
			return s.query(ctx, "SELECT "+columns+" FROM escalations AS d INDEXED BY escalations_by_over"+where+rest, args, each)
		}
		err := ask("d.level, d.rule, count(*)", all, " GROUP BY d.level, d.rule", func(rs *sql.Rows) error {
			var level orgs.Level
			var rule string
			var n int
			err := rs.Scan(&level, &rule, &n)
			b.Levels[level] += n
			b.Rules[rule] += n
			return err
		})
		if err != nil {
			return err
		}
		if err := ask("count(*)", narrowed, "", func(rs *sql.Rows) error { return rs.Scan(&b.Count) }); err != nil {
			return err
		}
		return ask(escalationColumns, q.conditions, fmt.Sprintf(" ORDER BY d.since, d.id LIMIT %d", f.Limit+1), func(rs *sql.Rows) error {
			if len(b.Items) == f.Limit {
				last := b.Items[f.Limit-1]
				b.Next = q.seal(millis(last.Since), last.ID)
				return nil
			}
			r, err := readEscalation(rs)
			b.Items = append(b.Items, r)
			return err
		})
	})
	if err != nil {
		return Board{}, fmt.Errorf("escalations of %s: %w", f.Unit, err)
	}
	return b, nil
}

// SupervisionRow is one account that was demanded of the lead unit of an order.
type SupervisionRow struct {
	Order       stream.ID
	Supervision int
	Number      string // of the order
	Lead        orgs.UnitCode
	Reason      sealed.Public
	IssuedAt    time.Time
	Due         time.Time
	Open        bool      // still owed
	AnsweredAt  time.Time // zero and not open: the order ended first
	Answer      sealed.Public
}

// SupervisionFilter says which supervisions. Empty members narrow nothing.
type SupervisionFilter struct {
	Page
	Unit  orgs.UnitCode `json:"unit"` // the order lies in it, or a unit in it leads it
	Order stream.ID     `json:"order"`
	Open  bool          `json:"open"` // still owed
	Late  time.Time     `json:"late"` // owed, and due before this instant
	Who   Viewer        `json:"-"`
}

// Supervisions lists accounts that were demanded, the earliest due first, and counts them over all pages. It is for whoever may see all that lies
// in the unit or is led from it. It costs the keys of those that the unit has or had; if they are to be open, of those that it has. It returns
// [ErrCursor] and [ErrLimit].
func (v *Views) Supervisions(ctx context.Context, f SupervisionFilter) (rows []SupervisionRow, next string, n int, at eventlog.Position, err error) {
	q := filter{page: f.Page}
	if f.Limit < 1 || f.Limit > 200 {
		return nil, "", 0, 0, ErrLimit
	}
	if err := q.mark("supervisions", f); err != nil {
		return nil, "", 0, 0, err
	}
	if f.Open || !f.Late.IsZero() {
		q.where("d.open = 1")
	} else {
		q.where("d.open IN (0, 1)")
	}
	if !f.Late.IsZero() {
		q.where("d.due < ?", f.Late.Unix())
	}
	q.conditions = append(q.conditions, f.Who.reports())
	if !f.Order.IsZero() {
		q.where("d.order_id = ?", bytesOf(f.Order))
	}
	in := within(v.runner.Units().Path(f.Unit))
	// keys of those that lie in the unit, and of those that are led from it: each once.
	keys := func(cs []condition) (text string, args []any) {
		var ts []term
		for _, path := range []string{"path", "lead_path"} {
			where, args := joined(append(slices.Clip(cs), condition{strings.ReplaceAll(in.text, "d.path", "d."+path), in.args}))
			ts = append(ts, term{"SELECT d.turn AS k, d.order_id AS id, d.rowid AS r FROM supervisions AS d INDEXED BY " + indexName("supervisions", supervised(path).Columns...) + where, args})
		}
		return compound(ts)
	}
	all := q.conditions
	if f.After != "" {
		k, id, err := q.open(f.After)
		if err != nil {
			return nil, "", 0, 0, err
		}
		q.where("(d.turn, d.order_id) > (?, ?)", k, id[:])
	}
	var turn int64
	at, err = v.snapshot(ctx, func(s snapshot) error {
		text, args := keys(all)
		if err := s.query(ctx, "SELECT count(*) FROM ("+text+")", args, func(rs *sql.Rows) error { return rs.Scan(&n) }); err != nil {
			return err
		}
		text, args = keys(q.conditions)
		return s.query(ctx, "SELECT d.turn, d.order_id, d.number, d.order_number, d.lead, d.reason, d.issued_at, d.due, d.open, d.answered_at, d.answer FROM ("+
			text+" ORDER BY k, id LIMIT ?) AS k CROSS JOIN supervisions AS d ON d.rowid = k.r ORDER BY k.k, k.id", append(args, int64(f.Limit+1)), func(rs *sql.Rows) error {
			if len(rows) == f.Limit {
				next = q.seal(turn, rows[f.Limit-1].Order)
				return nil
			}
			var r SupervisionRow
			var id []byte
			var issued, due, answered int64
			err := rs.Scan(&turn, &id, &r.Supervision, &r.Number, &r.Lead, &r.Reason, &issued, &due, &r.Open, &answered, &r.Answer)
			r.Order, r.IssuedAt, r.Due, r.AnsweredAt = idOf(id), fromMillis(issued), dueTime(due), fromMillis(answered)
			rows = append(rows, r)
			return err
		})
	})
	if err != nil {
		return nil, "", 0, 0, fmt.Errorf("supervisions of %s: %w", f.Unit, err)
	}
	return rows, next, n, at, nil
}

// joined makes a WHERE clause.
func joined(cs []condition) (where string, args []any) {
	where = " WHERE 1"
	for _, c := range cs {
		where += " AND " + c.text
		args = append(args, c.args...)
	}
	return where, args
}
