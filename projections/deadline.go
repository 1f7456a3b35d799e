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
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// Deadlines is the view of what falls due: one row for each running clock of a demand, topic, order, dispute, whistle or
// admission. A row changes only when its clock does, or when the case moves to another place or unit; most events touch none.
type Deadlines struct{}

// Name implements [View].
func (Deadlines) Name() string { return "deadlines" }

// Tables implements [View].
func (Deadlines) Tables() []Table {
	return []Table{{
		// mark is derived from stream and clock: one value to page by.
		Name: "deadlines", Key: 1,
		Columns: slices.Concat([]Column{{"mark", Blob}, {"id", Blob}, {"kind", Text}, {"number", Text}, {"due_id", Text}, {"clock", Text}, {"due", Integer},
			{"started", Integer}, {"provisional", Integer}, {"unit", Text}, {"lead", Text}}, siteColumns, []Column{{"raised_by", Text}, {"confidential", Integer}}, reportColumns),
		Indexes: []Index{{Columns: []string{"due", "mark"}}, {Columns: []string{"area", "due", "mark"}}, {Columns: []string{"street", "due", "mark"}},
			{Columns: []string{"lead", "due", "mark"}}, {Columns: []string{"raised_by", "due", "mark"}}, {Columns: []string{"id", "mark"}}},
	}}
}

// owing is what the row of a clock says of its case.
type owing struct {
	number, unit, lead, raisedBy string
	grid                         orgs.GridCode
	confidential                 bool
	byPath, bodies               string // of an order of a report: who may know of it
}

// owingOf says of a case what the row of one of its clocks needs. An admission lies where it is decided; a whistle has a
// lead for each clock of reporting in: the unit that is to come.
func owingOf(s event.State, due string, units *orgs.Tree) owing {
	switch s := s.(type) {
	case demand.State:
		return owing{number: s.Number, unit: string(s.Unit), grid: s.Grid, raisedBy: s.RaisedBy.ID, confidential: s.Kind == demand.Report}
	case topic.State:
		return owing{number: s.Number, unit: string(s.Unit), raisedBy: s.ProposedBy.ID}
	case order.State:
		o := owing{number: s.Number, unit: string(s.Place), grid: s.Grid, lead: string(s.Lead)}
		o.byPath, o.bodies = reported(s, units)
		return o
	case dispute.State:
		return owing{unit: string(s.Unit)}
	case whistle.State:
		called, _ := s.Called(due)
		return owing{unit: string(s.Street), lead: string(called.Code)}
	case admission.State:
		return owing{unit: string(s.Office)}
	}
	return owing{}
}

// timed are the streams whose clocks have rows.
var timed = []stream.Category{stream.Demand, stream.Topic, stream.Order, stream.Dispute, stream.Whistle, stream.Admission}

func clockMark(id stream.ID, due string) []byte {
	return bytesOf(stream.Derive("clock", id.String(), due))
}

// Apply implements [View].
func (Deadlines) Apply(tx *Tx, e Entry) error {
	if !slices.Contains(timed, e.Stream.Category()) {
		return nil
	}
	id := e.Stream.ID()
	was, _ := event.Clocks(e.Before)
	is, _ := event.Clocks(e.After)
	for _, d := range was {
		if !slices.ContainsFunc(is, func(x calendar.Due) bool { return x.ID == d.ID }) {
			tx.Delete("deadlines", clockMark(id, d.ID))
		}
	}
	for _, d := range is {
		i := slices.IndexFunc(was, func(x calendar.Due) bool { return x.ID == d.ID })
		now := owingOf(e.After, d.ID, e.Units)
		if i >= 0 && owingOf(e.Before, d.ID, e.Units) == now && was[i].Due.Equal(d.Due) && was[i].Provisional == d.Provisional {
			continue
		}
		at := siteOf(e.Units, orgs.UnitCode(now.unit), now.grid)
		tx.Put("deadlines", clockMark(id, d.ID), bytesOf(id), string(e.Stream.Category()), now.number, d.ID, string(d.Clock), d.Due.Unix(),
			d.StartedAt.Unix(), d.Provisional, now.unit, now.lead, at.path, at.area, at.street, at.district, now.raisedBy, now.confidential,
			now.byPath, now.bodies)
	}
	return nil
}

// DeadlineRow is one running clock of a list.
type DeadlineRow struct {
	Kind        stream.Category // demand, topic, order, dispute, whistle or admission
	ID          stream.ID
	Number      string // of a dispute, whistle or admission ""
	DueID       string
	Clock       calendar.Clock
	Due         time.Time
	StartedAt   time.Time
	Provisional bool
	Unit        orgs.UnitCode // where the matter lies; of a whistle the street that blew, of an admission the district or city that decides
	Lead        orgs.UnitCode // of an order: the unit that leads it; of a clock of reporting in: the unit that is to come
	Path        string
}

// DeadlineFilter says which running clocks. Empty members narrow nothing.
type DeadlineFilter struct {
	Page
	Kind        stream.Category `json:"kind"`
	Clock       calendar.Clock  `json:"clock"`
	Unit        orgs.UnitCode   `json:"unit"` // it and all below it, by where the matter lies
	Lead        orgs.UnitCode   `json:"lead"`
	From        time.Time       `json:"from"` // due then or later
	Before      time.Time       `json:"before"`
	Provisional *bool           `json:"provisional"`
}

// Deadlines lists the running clocks of the cases that the viewer's lists hold, the earliest due first; of disputes
// those whose matter lies in the viewer's seat. Admissions that concern the seat from outside cost a pass over the places
// of all admissions, a few for each. It returns [ErrLimit] and [ErrCursor].
func (v *Views) Deadlines(ctx context.Context, who Viewer, f DeadlineFilter) (rows []DeadlineRow, next string, err error) {
	if f.Limit < 1 || f.Limit > 200 {
		return nil, "", ErrLimit
	}
	q := filter{page: f.Page}
	if err := q.mark("deadlines", f); err != nil {
		return nil, "", err
	}
	var keyset []condition
	if f.After != "" {
		k, mark, err := q.open(f.After)
		if err != nil {
			return nil, "", err
		}
		keyset = []condition{{"(d.due, d.mark) > (?, ?)", []any{k, mark[:]}}}
	}
	text, args := compound(f.terms(who, v.runner.Units(), keyset))
	if text == "" {
		return nil, "", nil
	}
	text = `SELECT d.mark, d.kind, d.id, d.number, d.due_id, d.clock, d.due, d.started, d.provisional, d.unit, d.lead, d.path
		FROM (` + text + ` ORDER BY k, m LIMIT ?) AS k CROSS JOIN deadlines AS d ON d.rowid = k.r ORDER BY k.k, k.m`
	var mark []byte
	err = v.query(ctx, text, append(args, int64(f.Limit+1)), func(rs *sql.Rows) error {
		if len(rows) == f.Limit {
			next = q.seal(rows[len(rows)-1].Due.Unix(), idOf(mark))
			return nil
		}
		var r DeadlineRow
		var id []byte
		var due, started int64
		err := rs.Scan(&mark, &r.Kind, &id, &r.Number, &r.DueID, &r.Clock, &due, &started, &r.Provisional, &r.Unit, &r.Lead, &r.Path)
		r.ID, r.Due, r.StartedAt = idOf(id), time.Unix(due, 0).UTC(), time.Unix(started, 0).UTC()
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list deadlines: %w", err)
	}
	return rows, next, nil
}

// terms puts the list together: for each reason to see a case, rows in order from an index.
func (f DeadlineFilter) terms(who Viewer, units *orgs.Tree, keyset []condition) []term {
	narrow := append(slices.Clone(keyset), who.reports())
	where := func(text string, args ...any) { narrow = append(narrow, condition{text, args}) }
	level, value := "", ""
	if f.Clock != "" {
		where("d.clock = ?", string(f.Clock))
	}
	if !f.From.IsZero() {
		where("d.due >= ?", f.From.Unix())
	}
	if !f.Before.IsZero() {
		where("d.due < ?", f.Before.Unix())
	}
	if f.Provisional != nil {
		yes := int64(0)
		if *f.Provisional {
			yes = 1
		}
		where("d.provisional = ?", yes)
	}
	if f.Unit != "" {
		u, known := units.Unit(f.Unit)
		if !known {
			return nil
		}
		narrow = append(narrow, within(units.Path(f.Unit)))
		if c, in := units.Ancestor(f.Unit, orgs.Community); in {
			level, value = "area", string(c)
		} else if u.Kind == orgs.Street {
			level, value = "street", string(u.Code)
		}
	}
	if f.Lead != "" {
		where("d.lead = ?", string(f.Lead))
		level, value = "lead", string(f.Lead)
	}
	if f.Kind != "" {
		where("d.kind = ?", string(f.Kind))
	}
	var ts []term
	for _, a := range seenFor(who, units, f.Unit) {
		enter, with := level, value
		if depth(a.level) > depth(enter) && slices.Contains([]string{"area", "street", "lead", "raised_by"}, a.level) {
			enter, with = a.level, a.value
		}
		conditions := append(slices.Clone(a.conditions), narrow...)
		t := term{}
		from := "deadlines AS d INDEXED BY " + indexName("deadlines", "due", "mark")
		switch {
		case a.through != "":
			from = "(SELECT DISTINCT id FROM reach WHERE kind IN ('demand', 'order', 'whistle') AND seat = ?) AS x CROSS JOIN deadlines AS d ON d.id = x.id"
			t.args = append(t.args, a.through)
		case a.concerned != "":
			c := concerned("p.path", a.concerned)
			from = "(SELECT DISTINCT p.admission AS id FROM admission_places AS p WHERE " + c.text + ") AS x CROSS JOIN deadlines AS d ON d.id = x.id"
			t.args = append(t.args, c.args...)
		case enter != "":
			from = "deadlines AS d INDEXED BY " + indexName("deadlines", enter, "due", "mark")
			conditions = append(conditions, condition{"d." + enter + " = ?", []any{with}})
		}
		var texts []string
		for _, c := range conditions {
			texts, t.args = append(texts, c.text), append(t.args, c.args...)
		}
		t.text = "SELECT d.due AS k, d.mark AS m, d.rowid AS r FROM " + from + " WHERE " + strings.Join(texts, " AND ")
		ts = append(ts, t)
	}
	return ts
}

// seenFor lists the rules by which the viewer sees clocks: those of the lists, each asked once for all kinds of case.
func seenFor(who Viewer, units *orgs.Tree, place orgs.UnitCode) []reason {
	seen := listing{category: stream.Topic, raised: true, confidential: true}.reasons(who, units, place) // the place, and what one raised
	for _, a := range orderList.reasons(who, units, place) {
		switch {
		case a.through != "": // because of an order, never a confidential demand; or called by a whistle
			a.conditions = []condition{{text: "d.confidential = 0"}}
			seen = append(seen, a)
		case a.level == "lead":
			seen = append(seen, a)
		}
	}
	if seat := seatCode(who.Seat); !who.All && who.Seat != "" && units.Path(seat) == who.Seat {
		seen = append(seen, reason{conditions: []condition{{text: "1"}}, concerned: who.Seat})
	}
	return seen
}
