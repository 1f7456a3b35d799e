package projections

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/whistle"
)

// Whistles is the view of whistles (吹哨) and of the units they summon: one row for each.
//
// The rows of units are the cohort of the rate of reporting in: which of them count, and which were on time, is the
// column phase, a [whistle.Standing]. They are seen where the street is, and by the unit itself.
type Whistles struct{}

// summons is what the table reach calls the row of a summoned unit.
const summons stream.Category = "summons"

var (
	whistleList = listing{table: "whistles", category: stream.Whistle, phases: words(whistle.Machine.States)}
	unitList    = listing{table: "whistle_units", category: summons, phases: words(whistle.Standings())}
)

// Name implements [View].
func (Whistles) Name() string { return "whistles" }

// Tables implements [View].
func (Whistles) Tables() []Table {
	return []Table{{
		Name: "whistles", Key: 1,
		Columns: slices.Concat([]Column{{"id", Blob}, {"revision", Integer}, {"phase", Text}, {"class", Text}, {"place", Text}}, siteColumns,
			[]Column{{"spot", Text}, {"task", Text}, {"outcome", Text}, {"demand", Blob}, {"topic", Blob}, {"order_id", Blob}, {"units", Integer},
				{"came", Integer}, {"present", Integer}, {"due", Integer}, {"raised_at", Integer}, {"concluded_at", Integer}, {"ended_at", Integer},
				{"since", Integer}, {"changed_at", Integer}}),
		Indexes: whistleList.indexes("area", "street", "district"),
	}, {
		Name: "whistle_units", Key: 1,
		Columns: slices.Concat([]Column{{"id", Blob}, {"whistle", Blob}, {"unit", Text}, {"phase", Text}, {"class", Text}}, siteColumns,
			[]Column{{"due", Integer}, {"raised_at", Integer}, {"reported_at", Integer}, {"late", Integer}, {"absent", Integer}, {"excused", Integer},
				{"released_at", Integer}, {"left_early", Integer}, {"carded", Integer}, {"score", Integer}, {"outcome", Integer}, {"unrated", Integer}, {"comment", Text}}),
		Indexes: append(unitList.indexes("unit", "area", "street", "district"), Index{Columns: []string{"whistle", "unit"}, Unique: true}),
	}}
}

// summonsID names the row of a summoned unit.
func summonsID(id stream.ID, unit orgs.UnitCode) stream.ID {
	return stream.Derive("summons", id.String(), string(unit))
}

// Apply implements [View].
func (Whistles) Apply(tx *Tx, e Entry) error {
	s, ok := e.After.(whistle.State)
	if !ok {
		return nil
	}
	at := siteOf(e.Units, s.Street, "")
	came, present := 0, 0
	for _, u := range s.Units {
		if !u.ReportedAt.IsZero() {
			came++
		}
		if u.Present() {
			present++
		}
		var k whistle.Card
		if u.Card != nil {
			k = *u.Card
		}
		tx.Put("whistle_units", bytesOf(summonsID(s.ID, u.Code)), bytesOf(s.ID), string(u.Code), string(u.Standing()), string(s.Class),
			at.path, at.area, at.street, at.district,
			u.Due.Due.Unix(), millis(s.BlownAt), millis(u.ReportedAt), u.Late, u.Absent, u.Excused,
			millis(u.ReleasedAt), u.Left, u.Card != nil, k.Score, k.Outcome, k.Unrated, string(k.Comment))
	}
	tx.Put("whistles", bytesOf(s.ID), e.Revision, string(s.Phase), string(s.Class), string(s.Place), at.path, at.area, at.street, at.district,
		string(s.Spot), string(s.Task), string(s.Outcome), bytesOf(s.Demand), bytesOf(s.Topic), bytesOf(s.Order), len(s.Units),
		came, present, dueOf(s.Running), millis(s.BlownAt), millis(s.ConcludedAt), millis(s.EndedAt),
		millis(s.Since), millis(e.Meta.Recorded))
	return nil
}

// WhistleRow is one whistle of a list. Instants are zero where there is none.
type WhistleRow struct {
	ID          stream.ID
	Revision    int64
	Phase       whistle.Phase
	Class       whistle.Class
	Place       orgs.UnitCode
	Street      orgs.UnitCode
	District    orgs.UnitCode
	Spot        sealed.Public
	Task        sealed.Public
	Outcome     sealed.Public
	Demand      stream.ID
	Topic       stream.ID
	Order       stream.ID
	Units       int // summoned
	Came        int
	Present     int       // there now
	Due         time.Time // the earliest clock that runs
	BlownAt     time.Time
	ConcludedAt time.Time // effective instant
	EndedAt     time.Time
	Since       time.Time
	ChangedAt   time.Time
}

const whistleColumns = `d.id, d.revision, d.phase, d.class, d.place, d.street, d.district, d.spot, d.task, d.outcome, d.demand, d.topic, d.order_id,
	d.units, d.came, d.present, d.due, d.raised_at, d.concluded_at, d.ended_at, d.since, d.changed_at`

func readWhistle(scan func(...any) error) (r WhistleRow, err error) {
	var id, demand, topic, order []byte
	var due, blown, concluded, ended, since, changed int64
	err = scan(&id, &r.Revision, &r.Phase, &r.Class, &r.Place, &r.Street, &r.District, &r.Spot, &r.Task, &r.Outcome, &demand, &topic, &order,
		&r.Units, &r.Came, &r.Present, &due, &blown, &concluded, &ended, &since, &changed)
	r.ID, r.Demand, r.Topic, r.Order, r.Due = idOf(id), idOf(demand), idOf(topic), idOf(order), dueTime(due)
	r.BlownAt, r.ConcludedAt, r.EndedAt = fromMillis(blown), fromMillis(concluded), fromMillis(ended)
	r.Since, r.ChangedAt = fromMillis(since), fromMillis(changed)
	return r, err
}

// WhistleFilter says which whistles. Empty members narrow nothing.
type WhistleFilter struct {
	Page
	Street orgs.UnitCode   `json:"street"`
	Unit   orgs.UnitCode   `json:"unit"` // that it summons
	Phases []whistle.Phase `json:"phases"`
	Blown  Span            `json:"blown"`
}

func (f WhistleFilter) filter() (filter, error) {
	q := filter{page: f.Page, phases: words(f.Phases)}
	q.within(Place{Street: f.Street})
	if f.Unit != "" {
		q.where("EXISTS (SELECT 1 FROM whistle_units AS u WHERE u.whistle = d.id AND u.unit = ?)", string(f.Unit))
	}
	q.between("raised_at", f.Blown, time.Time.UnixMilli)
	return q, q.mark("whistles", f)
}

// Whistles lists what the viewer sees; see [Views.Demands].
func (v *Views) Whistles(ctx context.Context, who Viewer, f WhistleFilter) (rows []WhistleRow, next string, err error) {
	q, err := f.filter()
	if err != nil {
		return nil, "", err
	}
	return list(ctx, v, whistleList, who, q, whistleColumns, readWhistle)
}

// CountWhistles counts what [Views.Whistles] would list over all pages.
func (v *Views) CountWhistles(ctx context.Context, who Viewer, f WhistleFilter) (int, error) {
	q, err := f.filter()
	if err != nil {
		return 0, err
	}
	return count(ctx, v, whistleList, who, q)
}

// Whistle returns one whistle, whoever asks: see [Views.Visible]. It returns [ErrNotFound].
func (v *Views) Whistle(ctx context.Context, id stream.ID) (WhistleRow, error) {
	return one(ctx, v, "whistles AS d WHERE d.id = ?", id[:], whistleColumns, readWhistle)
}

// SummonsRow is one unit that one whistle summoned. Instants are zero where there is none.
type SummonsRow struct {
	Whistle    stream.ID
	Unit       orgs.UnitCode
	Standing   whistle.Standing // what the rate counts: a card that was changed by an objection has the last word
	Class      whistle.Class
	Street     orgs.UnitCode // that blew
	District   orgs.UnitCode // of the street
	Due        time.Time     // on this second it was still on time
	BlownAt    time.Time
	ReportedAt time.Time // effective instant
	Late       bool
	Absent     bool // the clock said so; it may have come later
	Excused    bool
	ReleasedAt time.Time // effective instant
	Left       bool      // before it was let go
	Carded     bool      // it has a card: what follows is of the card
	Score      int       // hundredths of a point
	Outcome    int       // points
	Unrated    bool      // the street gave no points for the outcome
	Comment    sealed.Public
}

const summonsColumns = `d.whistle, d.unit, d.phase, d.class, d.street, d.district, d.due, d.raised_at, d.reported_at, d.late, d.absent, d.excused,
	d.released_at, d.left_early, d.carded, d.score, d.outcome, d.unrated, d.comment`

func readSummons(scan func(...any) error) (r SummonsRow, err error) {
	var id []byte
	var due, blown, reported, released int64
	err = scan(&id, &r.Unit, &r.Standing, &r.Class, &r.Street, &r.District, &due, &blown, &reported, &r.Late, &r.Absent, &r.Excused,
		&released, &r.Left, &r.Carded, &r.Score, &r.Outcome, &r.Unrated, &r.Comment)
	r.Whistle, r.Due, r.BlownAt = idOf(id), dueTime(due), fromMillis(blown)
	r.ReportedAt, r.ReleasedAt = fromMillis(reported), fromMillis(released)
	return r, err
}

// SummonsFilter says which summoned units. Empty members narrow nothing.
type SummonsFilter struct {
	Page
	Street    orgs.UnitCode      `json:"street"` // that blew
	Unit      orgs.UnitCode      `json:"unit"`
	Standings []whistle.Standing `json:"standings"`
	Due       Span               `json:"due"` // for reporting in
}

func (f SummonsFilter) filter() (filter, error) {
	q := filter{page: f.Page, phases: words(f.Standings)}
	q.within(Place{Street: f.Street})
	if f.Unit != "" {
		q.equal("unit", string(f.Unit))
		q.level, q.value = "unit", string(f.Unit)
	}
	q.due(f.Due)
	return q, q.mark("whistle_units", f)
}

// Summons lists the summoned units that the viewer sees: those of the streets in the seat's reach, and the unit itself
// with its parent department and, of a joint team, its members.
func (v *Views) Summons(ctx context.Context, who Viewer, f SummonsFilter) (rows []SummonsRow, next string, err error) {
	q, err := f.filter()
	if err != nil {
		return nil, "", err
	}
	return list(ctx, v, unitList, who, q, summonsColumns, readSummons)
}

// Turnout counts how the units of [Views.Summons] stand, over all pages. Its rate is 报到率.
type Turnout map[whistle.Standing]int

// Rate returns the rate of reporting in (报到率): who was on time, of all that count. Excused units are left out, and so are
// those that are still waited for, that were spared, or whose whistle was cancelled.
func (t Turnout) Rate() (onTime, of int) {
	for s, n := range t {
		if s.Counts() {
			of += n
		}
	}
	return t[whistle.OnTime], of
}

// Turnout counts them all. It costs a pass over their keys.
func (v *Views) Turnout(ctx context.Context, who Viewer, f SummonsFilter) (Turnout, error) {
	q, err := f.filter()
	if err != nil {
		return nil, err
	}
	out := Turnout{}
	ts := unitList.terms(who, v.runner.Units(), q, condition{})
	if len(ts) == 0 {
		return out, nil
	}
	keys, args := compound(ts)
	text := "SELECT d.phase, count(*) FROM (" + keys + ") AS k CROSS JOIN whistle_units AS d ON d.rowid = k.r GROUP BY d.phase"
	err = v.query(ctx, text, args, func(rs *sql.Rows) error {
		var s whistle.Standing
		var n int
		err := rs.Scan(&s, &n)
		out[s] = n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("turnout: %w", err)
	}
	return out, nil
}
