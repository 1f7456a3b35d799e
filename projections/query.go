package projections

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

var (
	// ErrCursor: the cursor was not made by this list with this filter and sort.
	ErrCursor = errors.New("the cursor does not belong to this list")
	// ErrLimit: a page has 1 to 200 rows.
	ErrLimit = errors.New("a page has 1 to 200 rows")
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not in the views")
	// ErrClosed: the views were closed.
	ErrClosed = errors.New("the views are closed")
)

// Views answers queries from the generation that is current when they begin. It is safe for concurrent use, and a
// rebuild is not noticed. A query reflects at least the position that the runner had before it.
type Views struct{ runner *Runner }

// Sort is the order of a list.
type Sort string

// The orders; each list has an index for both. Rows without a due instant come last.
const (
	ByDue    Sort = ""       // the earliest due first
	ByRaised Sort = "raised" // the newest first
)

// Page is a piece of a list: up to Limit rows (1 to 200) after the row that the cursor After names; "" = from the start.
// A row that moves in the order while somebody pages can be met twice or not at all; all others are met once.
type Page struct {
	Sort  Sort   `json:"sort"`
	Limit int    `json:"-"`
	After string `json:"-"`
}

// Nowhere as a district, street or grid of a [Place] asks for what lies in none, or in none that is known.
const Nowhere = "none"

// Place narrows a list to where the matter lies. Empty members narrow nothing.
type Place struct {
	District  orgs.UnitCode `json:"district"`
	Street    orgs.UnitCode `json:"street"`
	Community orgs.UnitCode `json:"community"` // or the unit that holds it while no community is known
	Grid      orgs.GridCode `json:"grid"`
}

// Standing narrows a list of demands or orders to how they stand, as the figures of [Views.Load] count them. Empty members narrow nothing.
type Standing struct {
	Open    bool      `json:"open"`    // neither closed nor otherwise at an end
	Late    time.Time `json:"late"`    // a due instant passed before this one, and it is held against somebody (rule I4)
	Closed  Span      `json:"closed"`  // came to its end in it, and is at its end still
	Handled Span      `json:"handled"` // was done in it: an order verified, a demand answered, and neither undone since
	Kinds   []string  `json:"kinds"`
}

// Span is a range of instants: from From on, before To. A zero end is open.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// noDue stands for "no clock runs", so that such rows come last.
const noDue = math.MaxInt64

func dueOf(cs rule.Clocks) int64 {
	if at, running := cs.Next(); running {
		return at.Unix()
	}
	return noDue
}

func dueTime(s int64) time.Time {
	if s == noDue {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// millis is how the tables keep instants: milliseconds since 1970, 0 = none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// bytesOf is how the tables keep ids: 16 bytes, none = empty.
func bytesOf(id stream.ID) []byte {
	if id.IsZero() {
		return []byte{}
	}
	return id[:]
}

func idOf(b []byte) (id stream.ID) {
	copy(id[:], b)
	return id
}

func joinIDs(ids []stream.ID) []byte {
	b := make([]byte, 0, 16*len(ids))
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

func splitIDs(b []byte) []stream.ID {
	var ids []stream.ID
	for c := range slices.Chunk(b, 16) {
		ids = append(ids, idOf(c))
	}
	return ids
}

// site is where something lies, as the lists ask for it.
type site struct {
	path                   string // of the grid where it is known, else of the unit
	area, street, district string
}

func siteOf(units *orgs.Tree, unit orgs.UnitCode, grid orgs.GridCode) site {
	s := site{path: units.Path(unit), area: string(unit)}
	if grid != "" && units.Within(grid.Unit(), unit) {
		s.path = units.Path(grid.Unit())
	}
	if c, in := units.Ancestor(unit, orgs.Community); in {
		s.area = string(c)
	}
	if c, in := units.Ancestor(unit, orgs.Street); in {
		s.street = string(c)
	}
	if c, in := units.Ancestor(unit, orgs.District); in {
		s.district = string(c)
	}
	return s
}

var siteColumns = []Column{{"path", Text}, {"area", Text}, {"street", Text}, {"district", Text}}

// listing is a table that is read as lists: it has the columns of a site, phase, due and raised_at.
type listing struct {
	table        string
	category     stream.Category
	phases       []string
	ended        []string // of the phases: those in which nothing is left to do
	late         []string // of the phases: those in which a due instant that passed is held against somebody (rule I4)
	lead         bool     // has a column lead
	raised       bool     // has a column raised_by
	confidential bool     // has a column confidential
	counted      bool     // its indexes by due carry what is counted by, so that counting reads no rows
}

// indexes are those of a listing: whoever enters by a level and a phase finds the rows in either order.
func (l listing) indexes(levels ...string) []Index {
	var xs []Index
	for _, level := range append(levels, "") {
		for _, sorted := range []string{"due", "raised_at"} {
			xs = append(xs, Index{Columns: l.indexed(level, sorted)})
		}
	}
	return xs
}

// indexed lists the columns of the index for a level and an order.
func (l listing) indexed(level, sorted string) []string {
	columns := []string{level, "phase", sorted, "id"}
	if level == "" {
		columns = columns[1:]
	}
	if l.counted && sorted == "due" {
		columns = append(columns, "kind")
		switch level {
		case "area":
			columns = append(columns, "grid")
		case "lead":
			columns = append(columns, "worker")
		}
	}
	return columns
}

// condition is a part of a WHERE clause over the table "d".
type condition struct {
	text string
	args []any
}

// filter is what a list is narrowed by. level and value name the column to enter by; driven says that conditions name
// few rows by themselves (a set of ids, a topic).
type filter struct {
	conditions []condition
	place      orgs.UnitCode // the smallest unit that all rows lie in, "" = none given
	level      string
	value      string
	phases     []string // none: all
	none       bool     // nothing can be in it
	driven     bool
	page       Page
	digest     [8]byte
}

func (f *filter) where(text string, args ...any) {
	f.conditions = append(f.conditions, condition{text, args})
}

func (f *filter) equal(column, value string) {
	if value != "" {
		f.where("d."+column+" = ?", value)
	}
}

func (f *filter) within(p Place) {
	for _, l := range []struct {
		column string
		value  orgs.UnitCode
	}{{"district", p.District}, {"street", p.Street}, {"area", p.Community}} {
		switch l.value {
		case "":
		case Nowhere:
			f.where("d." + l.column + " = ''")
		default:
			f.equal(l.column, string(l.value))
			f.level, f.value, f.place = l.column, string(l.value), l.value
		}
	}
	if p.Grid == Nowhere {
		f.where("d.grid = ''")
		return
	}
	f.equal("grid", string(p.Grid))
}

// only keeps these of the phases that are asked for.
func (f *filter) only(all, these []string) {
	if len(f.phases) == 0 {
		f.phases = all
	}
	f.phases = slices.DeleteFunc(slices.Clone(f.phases), func(p string) bool { return !slices.Contains(these, p) })
	f.none = f.none || len(f.phases) == 0
}

// at keeps what happened in a span; what did not happen is in none.
func (f *filter) at(column string, s Span) {
	f.between(column, s, time.Time.UnixMilli)
	if s != (Span{}) {
		f.where("d." + column + " <> 0")
	}
}

// due keeps what falls due in a span; that for which no clock runs is in none.
func (f *filter) due(s Span) {
	f.between("due", s, time.Time.Unix)
	if s != (Span{}) {
		f.where("d.due < ?", int64(noDue))
	}
}

// standing narrows to how cases stand.
func (f *filter) standing(l listing, s Standing) {
	open := slices.DeleteFunc(slices.Clone(l.phases), func(p string) bool { return slices.Contains(l.ended, p) })
	if s.Open {
		f.only(l.phases, open)
	}
	if !s.Late.IsZero() {
		f.only(l.phases, l.late)
		f.where("d.due < ?", s.Late.Unix())
	}
	if s.Closed != (Span{}) {
		f.only(l.phases, l.ended)
	}
	f.at("closed_at", s.Closed)
	f.at("handled_at", s.Handled)
	f.oneOf("kind", s.Kinds)
}

func (f *filter) oneOf(column string, values []string) {
	if len(values) == 1 {
		f.equal(column, values[0])
	} else if len(values) > 1 {
		f.where("d."+column+" IN ("+marks(len(values))+")", anys(values)...)
	}
}

func anys[T any](xs []T) []any {
	as := make([]any, len(xs))
	for i, x := range xs {
		as[i] = x
	}
	return as
}

func (f *filter) between(column string, s Span, stored func(time.Time) int64) {
	if !s.From.IsZero() {
		f.where("d."+column+" >= ?", stored(s.From))
	}
	if !s.To.IsZero() {
		f.where("d."+column+" < ?", stored(s.To))
	}
}

func (f *filter) prefix(column, prefix string) {
	if prefix != "" {
		f.where("substr(d."+column+", 1, ?) = ?", int64(len([]rune(prefix))), prefix)
	}
}

// among keeps only these ids; nil keeps all.
func (f *filter) among(ids []stream.ID) {
	if ids == nil {
		return
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id[:]
	}
	f.where("d.id IN ("+marks(len(ids))+")", args...)
	f.driven = true
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// mark ties cursors to a filter.
func (f *filter) mark(table string, of any) error {
	b, err := json.Marshal(of)
	if err != nil {
		return fmt.Errorf("digest of a filter: %w", err)
	}
	sum := sha256.Sum256(append([]byte(table+"\n"), b...))
	copy(f.digest[:], sum[:])
	return nil
}

func words[T ~string](xs []T) []string {
	var ss []string
	for _, x := range xs {
		ss = append(ss, string(x))
	}
	return ss
}

// term is one SELECT of a list: rows of one phase, seen for one reason.
type term struct {
	text string
	args []any
}

// terms puts a list together: for each reason to see a row, and for each phase, rows come in order from an index. They are disjoint in phase, and
// a row seen for two reasons is merged by UNION.
func (l listing) terms(v Viewer, units *orgs.Tree, f filter, keyset condition) []term {
	column := f.page.Sort.column()
	var ts []term
	if f.none {
		return nil
	}
	for _, a := range l.reasons(v, units, f.place) {
		level, value := f.level, f.value
		if depth(a.level) > depth(level) {
			level, value = a.level, a.value
		}
		phases := f.phases
		if len(phases) == 0 {
			phases = l.phases
		}
		each := slices.Chunk(phases, 1)
		from := fmt.Sprintf("%s AS d INDEXED BY %s", l.table, l.index(level, column))
		switch {
		case f.driven:
			each = slices.Chunk(phases, len(phases))
			from, level = l.table+" AS d", ""
		case a.through != "":
			each = slices.Chunk(phases, len(phases))
			from = fmt.Sprintf("(SELECT DISTINCT id FROM reach WHERE kind = ? AND seat = ?) AS x CROSS JOIN %s AS d ON d.id = x.id", l.table)
			level = ""
		}
		for ps := range each {
			t := term{}
			if a.through != "" && !f.driven {
				t.args = append(t.args, string(l.category), a.through)
			}
			conditions := slices.Concat(a.conditions, f.conditions)
			if level != "" {
				conditions = append(conditions, condition{"d." + level + " = ?", []any{value}})
			}
			in := condition{text: "d.phase IN (" + marks(len(ps)) + ")"}
			if len(ps) == 1 {
				in.text = "d.phase = ?"
			}
			for _, p := range ps {
				in.args = append(in.args, p)
			}
			conditions = append(conditions, in)
			if keyset.text != "" {
				conditions = append(conditions, keyset)
			}
			var texts []string
			for _, c := range conditions {
				texts = append(texts, c.text)
				t.args = append(t.args, c.args...)
			}
			t.text = fmt.Sprintf("SELECT d.%s AS k, d.id AS id, d.rowid AS r FROM %s WHERE %s", column, from, strings.Join(texts, " AND "))
			ts = append(ts, t)
		}
	}
	return ts
}

func (s Sort) column() string {
	if s == ByRaised {
		return "raised_at"
	}
	return "due"
}

// index names the index for a level; each level has one for each order.
func (l listing) index(level, column string) string {
	return indexName(l.table, l.indexed(level, column)...)
}

// depth says how few rows a level leaves.
func depth(level string) int {
	return slices.Index([]string{"", "district", "street", "area", "raised_by", "lead", "unit"}, level)
}

func compound(ts []term) (string, []any) {
	var texts []string
	var args []any
	for _, t := range ts {
		texts = append(texts, t.text)
		args = append(args, t.args...)
	}
	return strings.Join(texts, " UNION "), args
}

// list reads a page: the keys of its rows from the indexes, then the rows. next is "" on the last page.
func list[R any](ctx context.Context, v *Views, l listing, who Viewer, f filter, columns string, read func(scan func(...any) error) (R, error)) (rows []R, next string, err error) {
	if f.page.Limit < 1 || f.page.Limit > 200 {
		return nil, "", ErrLimit
	}
	column, after, order := f.page.Sort.column(), ">", "ASC"
	if f.page.Sort == ByRaised {
		after, order = "<", "DESC"
	}
	var keyset condition
	if f.page.After != "" {
		k, id, err := f.open(f.page.After)
		if err != nil {
			return nil, "", err
		}
		keyset = condition{fmt.Sprintf("(d.%s, d.id) %s (?, ?)", column, after), []any{k, id[:]}}
	}
	ts := l.terms(who, v.runner.Units(), f, keyset)
	if len(ts) == 0 {
		return nil, "", nil
	}
	keys, args := compound(ts)
	text := fmt.Sprintf("SELECT k.k, k.id, %s FROM (%s ORDER BY k %s, id %s LIMIT ?) AS k CROSS JOIN %s AS d ON d.rowid = k.r ORDER BY k.k %s, k.id %s",
		columns, keys, order, order, l.table, order, order)
	args = append(args, int64(f.page.Limit+1))
	var k int64
	var id []byte
	err = v.query(ctx, text, args, func(rs *sql.Rows) error {
		if len(rows) == f.page.Limit {
			next = f.seal(k, idOf(id))
			return nil
		}
		row, err := read(func(into ...any) error { return rs.Scan(append([]any{&k, &id}, into...)...) })
		rows = append(rows, row)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", l.table, err)
	}
	return rows, next, nil
}

// count counts the rows of a list. It costs a pass over the keys of all of them.
func count(ctx context.Context, v *Views, l listing, who Viewer, f filter) (n int, err error) {
	ts := l.terms(who, v.runner.Units(), f, condition{})
	if len(ts) == 0 {
		return 0, nil
	}
	keys, args := compound(ts)
	err = v.query(ctx, "SELECT count(*) FROM ("+keys+")", args, func(rs *sql.Rows) error { return rs.Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", l.table, err)
	}
	return n, nil
}

// seal makes a cursor: the sort value and id of the last row, and eight bytes of the digest of both and of the filter.
func (f *filter) seal(k int64, id stream.ID) string {
	b := append(binary.BigEndian.AppendUint64(nil, uint64(k)), id[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, f.sum(b)...))
}

func (f *filter) sum(row []byte) []byte {
	sum := sha256.Sum256(slices.Concat(f.digest[:], row))
	return sum[:8]
}

func (f *filter) open(cursor string) (k int64, id stream.ID, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) != 8+16+8 || !bytes.Equal(b[24:], f.sum(b[:24])) {
		return 0, id, ErrCursor
	}
	return int64(binary.BigEndian.Uint64(b)), idOf(b[8:24]), nil
}

// querier is a connection, or several.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// query runs one statement on the current generation.
func (v *Views) query(ctx context.Context, text string, args []any, each func(*sql.Rows) error) error {
	g, err := v.runner.acquire()
	if err != nil {
		return err
	}
	defer g.release()
	err = g.query(ctx, text, args, each)
	if errors.Is(err, errDamaged) {
		v.runner.repair()
	}
	return err
}

func (g *generation) query(ctx context.Context, text string, args []any, each func(*sql.Rows) error) error {
	st, err := g.question(ctx, text)
	if err != nil {
		return damage(err)
	}
	if st == nil {
		return eachRow(ctx, g.reading, text, args, each)
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return damage(err)
	}
	return scanAll(rows, each)
}

func eachRow(ctx context.Context, from querier, text string, args []any, each func(*sql.Rows) error) error {
	rows, err := from.QueryContext(ctx, text, args...)
	if err != nil {
		return damage(err)
	}
	return scanAll(rows, each)
}

func scanAll(rows *sql.Rows, each func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return damage(rows.Err())
}

// snapshot asks several questions of one moment.
type snapshot struct {
	tx *sql.Tx
	g  *generation
}

// snapshot lets f ask what it wants of one state of the views, and returns the position of that state.
func (v *Views) snapshot(ctx context.Context, f func(snapshot) error) (at eventlog.Position, err error) {
	g, err := v.runner.acquire()
	if err != nil {
		return 0, err
	}
	defer g.release()
	defer func() {
		if errors.Is(err, errDamaged) {
			v.runner.repair()
		}
	}()
	tx, err := g.reading.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, damage(err)
	}
	defer tx.Rollback()
	q := snapshot{tx, g}
	var p int64
	if err := q.query(ctx, "SELECT position FROM generation", nil, func(rs *sql.Rows) error { return rs.Scan(&p) }); err != nil {
		return 0, err
	}
	return eventlog.Position(p), f(q)
}

func (q snapshot) query(ctx context.Context, text string, args []any, each func(*sql.Rows) error) error {
	st, err := q.g.question(ctx, text)
	if err != nil {
		return damage(err)
	}
	if st == nil {
		return eachRow(ctx, q.tx, text, args, each)
	}
	rows, err := q.tx.StmtContext(ctx, st).QueryContext(ctx, args...)
	if err != nil {
		return damage(err)
	}
	return scanAll(rows, each)
}

// Position returns how far the views have come. Read it before a query: the answer reflects at least that.
func (v *Views) Position() eventlog.Position { return v.runner.Position() }
