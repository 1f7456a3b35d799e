package projections

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/evaluation"
	"gridcase/domain/event"
	"gridcase/domain/evidence"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/scheme"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// Periods is the view of schemes (考核方案), of the periods that they are applied to (考核周期), and of every evaluation that was
// submitted for one (评价).
type Periods struct{}

var (
	schemeTable = Table{Name: "schemes", Key: 1, Columns: []Column{{"id", Blob}, {"revision", Integer}, {"phase", Text}, {"unit", Text}, {"path", Text},
		{"name", Text}, {"cycle", Text}, {"follows", Blob}, {"version", Integer}, {"hash", Text}, {"drafted_at", Integer}, {"published_at", Integer},
		{"ended_at", Integer}, {"since", Integer}}}
	periodTable = Table{Name: "periods", Key: 1, Columns: []Column{{"id", Blob}, {"revision", Integer}, {"phase", Text}, {"jurisdiction", Text}, {"path", Text},
		{"scheme", Blob}, {"version", Integer}, {"first", Integer}, {"last", Integer}, {"ends_at", Integer}, {"cut_off", Integer}, {"cut_off_at", Integer},
		{"published", Integer}, {"settled", Integer}, {"settled_revision", Integer}, {"dropped", Integer}, {"results", Text}, {"undecided", Integer}, {"exclusions", Integer},
		{"objections", Integer}, {"due", Integer}, {"opened_at", Integer}, {"closed_at", Integer}, {"since", Integer}},
		Indexes: []Index{{Columns: []string{"jurisdiction", "first"}}}}
	evaluationTable = Table{Name: "evaluations", Key: 4, Compact: true, Columns: []Column{{"period", Blob}, {"street", Text}, {"unit", Text}, {"position", Integer},
		{"number", Integer}, {"id", Blob}, {"items", Text}, {"total", Integer}, {"comment", Text}, {"submitted_at", Integer}}}
)

// Name implements [View].
func (Periods) Name() string { return "periods" }

// Tables implements [View].
func (Periods) Tables() []Table { return []Table{schemeTable, periodTable, evaluationTable} }

// Apply implements [View].
func (Periods) Apply(tx *Tx, e Entry) error {
	switch s := e.After.(type) {
	case scheme.State:
		tx.Put(schemeTable.Name, bytesOf(s.ID), e.Revision, string(s.Phase), string(s.Unit), e.Units.Path(s.Unit), s.Scheme.Name, string(s.Scheme.Every), bytesOf(s.Follows),
			s.Version, s.Hash, millis(s.DraftedAt), millis(s.PublishedAt), millis(s.EndedAt), millis(s.Since))
	case period.State:
		at := map[string]int64{}
		if row, known := tx.Get(periodTable.Name, bytesOf(s.ID)); known {
			at["cut_off"], at["published"], at["settled"], at["dropped"] = row[10].(int64), row[12].(int64), row[13].(int64), row[15].(int64)
		}
		switch e.Body.(type) {
		case period.Ended:
			at["cut_off"] = int64(e.Position)
		case period.ProvisionalPublished:
			if at["published"] == 0 {
				at["published"] = int64(e.Position)
			}
		case period.Sealed, period.RevisionSealed:
			at["settled"] = int64(e.Position)
		case period.Voided:
			at["dropped"] = int64(e.Position)
		}
		tx.Put(periodTable.Name, bytesOf(s.ID), e.Revision, string(s.Phase), string(s.Jurisdiction), e.Units.Path(s.Jurisdiction), bytesOf(s.Scheme), s.Version,
			int(s.First), int(s.Last), s.EndsAt.Unix(), at["cut_off"], millis(s.CutOffAt), at["published"], at["settled"], s.Result.Revision, at["dropped"], s.Result.Results,
			s.Undecided(), len(s.Exclusions), len(s.Objections), dueOf(s.Running), millis(s.OpenedAt), millis(s.ClosedAt), millis(s.Since))
	case evaluation.State:
		b, ok := e.Body.(evaluation.Submitted)
		if !ok {
			return nil
		}
		items, err := json.Marshal(b.Items)
		if err != nil {
			return err
		}
		tx.Put(evaluationTable.Name, bytesOf(b.Period), string(b.Street), string(b.Unit), int64(e.Position), b.Number, bytesOf(s.ID), string(items), int64(b.Total),
			string(b.Comment), millis(e.Meta.Recorded))
	}
	return nil
}

// SchemeRow is one scheme of a list. Instants are zero where there is none.
type SchemeRow struct {
	ID          stream.ID
	Revision    int64
	Phase       scheme.Phase
	Unit        orgs.UnitCode // whose office drafted it
	Path        string        // of the unit
	Name        string
	Every       assessment.Cycle
	Follows     stream.ID
	Version     int // 0 before it was published
	Hash        string
	DraftedAt   time.Time
	PublishedAt time.Time
	EndedAt     time.Time
	Since       time.Time
}

// Schemes lists the schemes, the newest draft first. There are a few for each district in its whole life.
func (v *Views) Schemes(ctx context.Context) (rows []SchemeRow, err error) {
	err = v.query(ctx, `SELECT id, revision, phase, unit, path, name, cycle, follows, version, hash, drafted_at, published_at, ended_at, since FROM schemes
		ORDER BY drafted_at DESC, id`, nil, func(rs *sql.Rows) error {
		var r SchemeRow
		var id, follows []byte
		var drafted, published, ended, since int64
		err := rs.Scan(&id, &r.Revision, &r.Phase, &r.Unit, &r.Path, &r.Name, &r.Every, &follows, &r.Version, &r.Hash, &drafted, &published, &ended, &since)
		r.ID, r.Follows, r.DraftedAt, r.PublishedAt, r.EndedAt, r.Since = idOf(id), idOf(follows), fromMillis(drafted), fromMillis(published), fromMillis(ended), fromMillis(since)
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("schemes: %w", err)
	}
	return rows, nil
}

// PeriodRow is one period of a list. Instants are zero where there is none, positions are 0.
type PeriodRow struct {
	ID           stream.ID
	Revision     int64
	Phase        period.Phase
	Jurisdiction orgs.UnitCode
	Path         string // of the jurisdiction
	Scheme       stream.ID
	Version      int // of the scheme
	First, Last  calendar.Date
	EndsAt       time.Time
	CutOff       eventlog.Position // of its end
	CutOffAt     time.Time
	Published    eventlog.Position // of its first provisional figures
	Settled      eventlog.Position // of its seal, or last revision
	Sealed       int               // revision of the result: 1 is the seal
	Dropped      eventlog.Position // of its being voided
	Results      string            // SHA-256 of the sealed results
	Undecided    int
	Exclusions   int
	Objections   int
	Due          time.Time // the earliest clock that runs
	OpenedAt     time.Time
	ClosedAt     time.Time
	Since        time.Time
}

const periodColumns = `id, revision, phase, jurisdiction, path, scheme, version, first, last, ends_at, cut_off, cut_off_at, published, settled, settled_revision, dropped, results,
	undecided, exclusions, objections, due, opened_at, closed_at, since`

func readPeriod(scan func(...any) error) (r PeriodRow, err error) {
	var id, of []byte
	var ends, cut, due, opened, closed, since int64
	err = scan(&id, &r.Revision, &r.Phase, &r.Jurisdiction, &r.Path, &of, &r.Version, &r.First, &r.Last, &ends, &r.CutOff, &cut, &r.Published, &r.Settled, &r.Sealed,
		&r.Dropped, &r.Results, &r.Undecided, &r.Exclusions, &r.Objections, &due, &opened, &closed, &since)
	r.ID, r.Scheme, r.EndsAt, r.Due = idOf(id), idOf(of), time.Unix(ends, 0).UTC(), dueTime(due)
	r.CutOffAt, r.OpenedAt, r.ClosedAt, r.Since = fromMillis(cut), fromMillis(opened), fromMillis(closed), fromMillis(since)
	return r, err
}

// PeriodFilter says which periods. Empty members narrow nothing.
type PeriodFilter struct {
	Jurisdiction orgs.UnitCode
	Scheme       stream.ID
	Phases       []period.Phase
	First, Last  calendar.Date // that have a day in common with these
}

// Periods lists the periods, the latest first. A district has a dozen in a year.
func (v *Views) Periods(ctx context.Context, f PeriodFilter) (rows []PeriodRow, err error) {
	where, args := []string{"1"}, []any{}
	and := func(text string, arg any) { where, args = append(where, text), append(args, arg) }
	if f.Jurisdiction != "" {
		and("jurisdiction = ?", string(f.Jurisdiction))
	}
	if !f.Scheme.IsZero() {
		and("scheme = ?", f.Scheme[:])
	}
	if f.First != 0 {
		and("last >= ?", int64(f.First))
	}
	if f.Last != 0 {
		and("first <= ?", int64(f.Last))
	}
	err = v.query(ctx, "SELECT "+periodColumns+" FROM periods WHERE "+strings.Join(where, " AND ")+" ORDER BY first DESC, jurisdiction, id", args, func(rs *sql.Rows) error {
		r, err := readPeriod(rs.Scan)
		if len(f.Phases) == 0 || slices.Contains(f.Phases, r.Phase) {
			rows = append(rows, r)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("periods: %w", err)
	}
	return rows, nil
}

// Period returns one period. It returns [ErrNotFound].
func (v *Views) Period(ctx context.Context, id stream.ID) (PeriodRow, error) {
	return one(ctx, v, "periods AS d WHERE d.id = ?", id[:], periodColumns, readPeriod)
}

// EvaluationRow is one submission of an evaluation.
type EvaluationRow struct {
	ID       stream.ID // of its stream
	Street   orgs.UnitCode
	Unit     orgs.UnitCode
	Number   int // 1, and one more each time it was replaced
	Position eventlog.Position
	Items    []assessment.Given
	Total    assessment.Decimal
	Comment  string
	At       time.Time
	Holds    bool // it is the last of those that were submitted before the first provisional figures
}

// Evaluations lists every submission for a period, by street, unit and number, as of now.
func (v *Views) Evaluations(ctx context.Context, of stream.ID) (rows []EvaluationRow, err error) {
	p, err := v.Period(ctx, of)
	if err != nil {
		return nil, err
	}
	return v.evaluations(ctx, of, p.Published)
}

func (v *Views) evaluations(ctx context.Context, of stream.ID, published eventlog.Position) (rows []EvaluationRow, err error) {
	err = v.query(ctx, "SELECT id, street, unit, number, position, items, total, comment, submitted_at FROM evaluations WHERE period = ? ORDER BY street, unit, position", []any{of[:]},
		func(rs *sql.Rows) error {
			var r EvaluationRow
			var id, items []byte
			var at int64
			if err := rs.Scan(&id, &r.Street, &r.Unit, &r.Number, &r.Position, &items, &r.Total, &r.Comment, &at); err != nil {
				return err
			}
			r.ID, r.At, r.Holds = idOf(id), fromMillis(at), published == 0 || r.Position < published
			if n := len(rows); r.Holds && n > 0 && rows[n-1].Street == r.Street && rows[n-1].Unit == r.Unit {
				rows[n-1].Holds = false
			}
			rows = append(rows, r)
			return json.Unmarshal(items, &rows[len(rows)-1].Items)
		})
	if err != nil {
		return nil, fmt.Errorf("evaluations of %s: %w", of, err)
	}
	return rows, nil
}

// Question asks for an assessment: of a period, or of some days under a scheme that was not applied to them.
type Question struct {
	Period stream.ID // zero: a draft is tried on Jurisdiction, First to Last
	AsOf   eventlog.Position
	CutOff eventlog.Position // up to which cases count; 0 = up to the period's end, or to AsOf before it

	Scheme       assessment.Scheme // tried; of a period, in the place of the one that it was opened with; the zero scheme: that one
	Jurisdiction orgs.UnitCode
	First, Last  calendar.Date
}

// Assessed is the answer, with what it was computed from.
type Assessed struct {
	*assessment.Results
	AsOf   eventlog.Position // of the period's own stream
	CutOff eventlog.Position // of the cases
	Period evidence.Course   // the zero course for a draft

	// Of a sealed period, the edition that is served, and the hash that computing it again came to: where it is another one, or "", the
	// results hold the numbers of the edition all the same.
	Edition    period.Edition
	Recomputed string
}

// ErrScheme: the scheme that a period names is not what it was when the period was opened.
var ErrScheme = errors.New("the scheme of the period has another hash")

// Assess computes an assessment as of a position that the views have reached: all figures, scores and ranks, from the facts of
// the log alone. Asked again for the same positions, on whatever node, it gives the same bytes.
//
// Of a period, cases count up to its end, and what was decided on it, up to AsOf. To find again what was sealed, ask for the
// position before the seal; for a revision, with its cut-off. A city's year takes a second or two and some hundred megabytes;
// the answer is kept for the next question about it, and the facts for another scheme, or another decision, on the same days. It returns [ErrAhead], [ErrNotFound], [ErrScheme], and what
// [assessment.Compute] says of a scheme.
func (v *Views) Assess(ctx context.Context, q Question) (Assessed, error) {
	if q.AsOf > v.runner.Position() || q.CutOff > q.AsOf {
		return Assessed{}, ErrAhead
	}
	a := Assessed{AsOf: q.AsOf, CutOff: q.CutOff}
	var of func(*evidence.Setting) assessment.Period
	scheme, key := q.Scheme, ""
	if q.Period.IsZero() {
		if a.CutOff == 0 {
			a.CutOff = q.AsOf
		}
		of = func(s *evidence.Setting) assessment.Period {
			return s.Span(evidence.Scope{Jurisdiction: q.Jurisdiction, First: q.First, Last: q.Last}, scheme)
		}
		hash, err := assessment.Hash(scheme)
		if err != nil {
			return a, err
		}
		key = fmt.Sprintf("%s/%s/%d/%d/%d", hash, q.Jurisdiction, q.First, q.Last, a.CutOff)
	} else {
		var others []evidence.Course
		var submissions []evidence.Submission
		var err error
		if a.Period, scheme, others, submissions, err = v.course(ctx, q.Period, q.AsOf); err != nil {
			return a, err
		}
		if a.CutOff == 0 {
			a.CutOff = eventlog.Position(a.Period.CutOff(evidence.Position(q.AsOf)))
		}
		of = func(s *evidence.Setting) assessment.Period { return s.Assemble(a.Period, scheme, submissions, others) }
		q.Jurisdiction, q.First, q.Last = a.Period.Jurisdiction, a.Period.First, a.Period.Last
		last := evidence.Position(0) // that was submitted
		for _, s := range submissions {
			last = max(last, s.Position)
		}
		key = fmt.Sprintf("%s/%d/%d/%d", q.Period, a.Period.Latest, last, a.CutOff)
		for _, o := range others { // an earlier period may end or be dropped with no event of this one
			key += fmt.Sprintf("/%s-%d-%d", o.ID, o.Ended, o.Dropped)
		}
		if q.Scheme.Name != "" {
			scheme = q.Scheme
			hash, err := assessment.Hash(scheme)
			if err != nil {
				return a, err
			}
			key += hash
		}
	}
	scope := evidence.Scope{Jurisdiction: q.Jurisdiction, First: q.First, Last: q.Last, Base: evidence.Base(q.First)}
	if !q.Period.IsZero() {
		scope = a.Period.Scope(scheme)
	}
	var err error
	a.Results, err = v.runner.results.get(ctx, key, func() (*assessment.Results, int, error) {
		f, s, err := v.basis(ctx, scope, a.CutOff)
		if err != nil {
			return nil, 0, err
		}
		r, err := assessment.Compute(scheme, of(s), f)
		return r, len(f.Demands) + len(f.Legs), err
	})
	return a, err
}

// basis is facts, but that those of the last scope and position are kept. Whoever asks is the one who computes.
func (v *Views) basis(ctx context.Context, scope evidence.Scope, asOf eventlog.Position) (assessment.Facts, *evidence.Setting, error) {
	k := &v.runner.results.basis
	if k.setting != nil && k.scope == scope && k.at == asOf {
		return k.facts, k.setting, nil
	}
	*k = basis{}
	f, s, err := v.facts(ctx, scope, asOf)
	if err == nil {
		*k = basis{scope, asOf, f, s}
	}
	return f, s, err
}

// course reads a period, its scheme, the periods before it and the evaluations for it, as of a position.
func (v *Views) course(ctx context.Context, id stream.ID, asOf eventlog.Position) (c evidence.Course, s assessment.Scheme, others []evidence.Course, submissions []evidence.Submission, err error) {
	if c, err = v.courseOf(ctx, id, asOf); err != nil {
		return c, s, nil, nil, err
	}
	if c.Latest == 0 {
		return c, s, nil, nil, ErrNotFound
	}
	line := map[stream.ID]bool{}
	for of := c.Scheme; !of.IsZero() && !line[of]; {
		var st scheme.State
		err := v.replay(ctx, stream.Of(stream.Scheme, of), asOf, func(e event.Entry, _ evidence.Position) {
			st = scheme.Evolve(st, e.Body, e.Meta.Stamp(e.ID))
		})
		if err != nil {
			return c, s, nil, nil, err
		}
		if len(line) == 0 {
			if s = st.Scheme; st.Hash != c.Hash {
				return c, s, nil, nil, ErrScheme
			}
		}
		line[of], of = true, st.Follows
	}
	rows, err := v.Periods(ctx, PeriodFilter{Jurisdiction: c.Jurisdiction})
	if err != nil {
		return c, s, nil, nil, err
	}
	for _, r := range rows {
		if r.ID == c.ID || !line[r.Scheme] || r.Last >= c.First || r.CutOff == 0 || r.CutOff > asOf {
			continue
		}
		if r.First.Year() == c.First.Year() { // what it was sealed with may count
			o, err := v.courseOf(ctx, r.ID, asOf)
			if err != nil {
				return c, s, nil, nil, err
			}
			others = append(others, o)
			continue
		}
		o := evidence.Course{State: period.State{ID: r.ID, First: r.First, Last: r.Last, CutOffAt: r.CutOffAt}, Ended: evidence.Position(r.CutOff)}
		if r.Dropped <= asOf {
			o.Dropped = evidence.Position(r.Dropped)
		}
		others = append(others, o)
	}
	submitted, err := v.evaluations(ctx, id, 0)
	for _, r := range submitted {
		if r.Position <= asOf {
			submissions = append(submissions, evidence.Submission{Position: evidence.Position(r.Position),
				Evaluation: assessment.Evaluation{Street: r.Street, Unit: r.Unit, Items: r.Items, Comment: r.Comment, At: r.At}})
		}
	}
	return c, s, others, submissions, err
}

func (v *Views) courseOf(ctx context.Context, id stream.ID, asOf eventlog.Position) (c evidence.Course, err error) {
	err = v.replay(ctx, stream.Of(stream.Period, id), asOf, c.Take)
	return c, err
}

// replay reads a stream from the log up to a position.
func (v *Views) replay(ctx context.Context, name stream.Name, upTo eventlog.Position, take func(event.Entry, evidence.Position)) error {
	for e, err := range v.runner.config.Log.Read(ctx, string(name), 0) {
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if e.Position > upTo {
			return nil
		}
		entry, err := understand(e)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		take(entry, evidence.Position(e.Position))
	}
	return nil
}
