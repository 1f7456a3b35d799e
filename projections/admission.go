package projections

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Admissions is the view of requests for admission (准入): one row each, and the places each concerns.
type Admissions struct{}

// Name implements [View].
func (Admissions) Name() string { return "admissions" }

// Tables implements [View].
func (Admissions) Tables() []Table {
	return []Table{{
		Name: "admissions", Key: 1,
		Columns: []Column{{"id", Blob}, {"revision", Integer}, {"phase", Text}, {"applicant", Text}, {"office", Text}, {"matter", Text}, {"role", Text},
			{"units", Text}, {"first_day", Text}, {"last_day", Text}, {"task", Text}, {"staff", Integer}, {"budget", Integer}, {"emergency", Integer},
			{"topic", Blob}, {"level", Integer}, {"due", Integer}, {"requested_at", Integer}, {"granted_at", Integer}, {"funded_at", Integer},
			{"ended_at", Integer}, {"since", Integer}},
		Indexes: []Index{{Columns: []string{"requested_at", "id"}}},
	}, {
		Name: "admission_places", Key: 2, Compact: true, Columns: []Column{{"admission", Blob}, {"path", Text}},
	}}
}

// Apply implements [View].
func (Admissions) Apply(tx *Tx, e Entry) error {
	s, ok := e.After.(admission.State)
	if !ok {
		return nil
	}
	tx.Put("admissions", bytesOf(s.ID), e.Revision, string(s.Phase), string(s.By), string(s.Office), s.Matter, string(s.Role),
		strings.Join(words(s.Units), " "), s.From.String(), s.Until.String(), string(s.Task), s.Staff, s.Budget, s.Emergency != "",
		bytesOf(s.Topic), int(s.Attention.Level), dueOf(s.Running), millis(s.RequestedAt), millis(s.GrantedAt), millis(s.FundedAt),
		millis(s.EndedAt), millis(s.Since))
	if _, begun := e.Before.(admission.State); !begun {
		for _, u := range append(slices.Clip(s.Wanted), s.By) { // a grant is never wider than the request
			tx.Put("admission_places", bytesOf(s.ID), e.Units.Path(u))
		}
	}
	return nil
}

// AdmissionRow is one request of a list. Instants and dates are zero where there is none.
type AdmissionRow struct {
	ID          stream.ID
	Revision    int64
	Phase       admission.Phase
	By          orgs.UnitCode
	Office      orgs.UnitCode
	Matter      string
	Role        duty.Role
	Units       []orgs.UnitCode
	From        calendar.Date
	Until       calendar.Date
	Task        sealed.Public
	Staff       int
	Budget      int64 // fen
	Emergency   bool
	Topic       stream.ID
	Level       orgs.Level // of attention, 0 = it never rose
	Due         time.Time
	RequestedAt time.Time
	GrantedAt   time.Time
	FundedAt    time.Time
	EndedAt     time.Time
	Since       time.Time
}

const admissionColumns = `d.id, d.revision, d.phase, d.applicant, d.office, d.matter, d.role, d.units, d.first_day, d.last_day, d.task, d.staff,
	d.budget, d.emergency, d.topic, d.level, d.due, d.requested_at, d.granted_at, d.funded_at, d.ended_at, d.since`

func readAdmission(scan func(...any) error) (r AdmissionRow, err error) {
	var id, topic []byte
	var units, from, until string
	var due, requested, granted, funded, ended, since int64
	err = scan(&id, &r.Revision, &r.Phase, &r.By, &r.Office, &r.Matter, &r.Role, &units, &from, &until, &r.Task, &r.Staff,
		&r.Budget, &r.Emergency, &topic, &r.Level, &due, &requested, &granted, &funded, &ended, &since)
	if err != nil {
		return r, err
	}
	for _, u := range strings.Fields(units) {
		r.Units = append(r.Units, orgs.UnitCode(u))
	}
	if r.From, err = calendar.ParseDate(from); err != nil {
		return r, err
	}
	if r.Until, err = calendar.ParseDate(until); err != nil {
		return r, err
	}
	r.ID, r.Topic, r.Due, r.RequestedAt, r.GrantedAt = idOf(id), idOf(topic), dueTime(due), fromMillis(requested), fromMillis(granted)
	r.FundedAt, r.EndedAt, r.Since = fromMillis(funded), fromMillis(ended), fromMillis(since)
	return r, nil
}

// AdmissionFilter says which requests. Empty members narrow nothing. The newest come first, whatever the page's sort.
type AdmissionFilter struct {
	Page
	Phase  admission.Phase `json:"phase"`
	Matter string          `json:"matter"` // code, or the beginning of codes
	Unit   orgs.UnitCode   `json:"unit"`   // concerns it: asked for by it, or for it, what lies in it or what it lies in
}

func (f AdmissionFilter) filter(v *Views, who Viewer) (filter, error) {
	q := filter{page: f.Page}
	q.equal("phase", string(f.Phase))
	q.prefix("matter", f.Matter)
	if f.Unit != "" {
		q.conditions = append(q.conditions, concerns(v.runner.Units().Path(f.Unit)))
	}
	if !who.All {
		q.conditions = append(q.conditions, concerns(who.Seat))
	}
	return q, q.mark("admissions", f)
}

// concerns says that a place lies in a subtree, or the subtree in the place; nothing for no path.
func concerns(path string) condition {
	if path == "" {
		return condition{text: "0"}
	}
	on := concerned("p.path", path)
	return condition{"EXISTS (SELECT 1 FROM admission_places AS p WHERE p.admission = d.id AND " + on.text + ")", on.args}
}

// concerned says that two places lie on one line: one of them in the other.
func concerned(column, path string) condition {
	return condition{strings.ReplaceAll("(substr(@, 1, length(?)) = ? OR substr(?, 1, length(@)) = @)", "@", column), []any{path, path, path}}
}

// recent reads a page of a table, the newest row first.
func recent[R any](ctx context.Context, v *Views, f filter, table, at, columns string, read func(scan func(...any) error) (R, error)) (rows []R, next string, err error) {
	if f.page.Limit < 1 || f.page.Limit > 200 {
		return nil, "", ErrLimit
	}
	if f.page.After != "" {
		k, id, err := f.open(f.page.After)
		if err != nil {
			return nil, "", err
		}
		f.where(fmt.Sprintf("(d.%s, d.id) < (?, ?)", at), k, id[:])
	}
	text, args := f.text()
	text = fmt.Sprintf("SELECT d.%s, d.id, %s FROM %s AS d WHERE %s ORDER BY d.%s DESC, d.id DESC LIMIT ?", at, columns, table, text, at)
	var k int64
	var id []byte
	err = v.query(ctx, text, append(args, int64(f.page.Limit+1)), func(rs *sql.Rows) error {
		if len(rows) == f.page.Limit {
			next = f.seal(k, idOf(id))
			return nil
		}
		row, err := read(func(into ...any) error { return rs.Scan(append([]any{&k, &id}, into...)...) })
		rows = append(rows, row)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", table, err)
	}
	return rows, next, nil
}

// text is the whole of the conditions.
func (f *filter) text() (string, []any) {
	texts, args := []string{"1"}, []any{}
	for _, c := range f.conditions {
		texts, args = append(texts, c.text), append(args, c.args...)
	}
	return strings.Join(texts, " AND "), args
}

// counted counts the rows that a filter leaves.
func counted(ctx context.Context, v *Views, f filter, table string) (n int, err error) {
	text, args := f.text()
	err = v.query(ctx, fmt.Sprintf("SELECT count(*) FROM %s AS d WHERE %s", table, text), args, func(rs *sql.Rows) error { return rs.Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", table, err)
	}
	return n, nil
}

// Admissions lists the requests that concern the viewer's seat: asked for by it, or for it, above it or in it.
func (v *Views) Admissions(ctx context.Context, who Viewer, f AdmissionFilter) (rows []AdmissionRow, next string, err error) {
	q, err := f.filter(v, who)
	if err != nil {
		return nil, "", err
	}
	return recent(ctx, v, q, "admissions", "requested_at", admissionColumns, readAdmission)
}

// CountAdmissions counts what [Views.Admissions] would list over all pages.
func (v *Views) CountAdmissions(ctx context.Context, who Viewer, f AdmissionFilter) (int, error) {
	q, err := f.filter(v, who)
	if err != nil {
		return 0, err
	}
	return counted(ctx, v, q, "admissions")
}
