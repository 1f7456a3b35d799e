package projections

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/domain/whistle"
)

// Viewer is who asks, as far as lists must know.
//
// A seat sees what lies in its subtree: a demand by the unit or grid it lies in, a topic by its unit, an order by its
// place, lead (with the competent member of a joint team), co-units and dispatching unit. It also sees the demands that such an order serves by lead
// and co-units, and a whistle by its street and by each unit that it summons. Jurisdiction follows the organisation as it is now; paths never change.
type Viewer struct {
	Seat         string // path of the unit whose subtree the rights reach, as from orgs.Tree.Path; "" = none
	Actor        string // also sees what this actor raised, wherever it lies; "" = nothing by that
	All          bool   // sees everything, wherever it lies
	Confidential bool   // may see confidential demands, by the rules above but never because of an order

	Oversees bool          // also sees orders of reports that were dispatched from the seat's reach
	Desk     orgs.UnitCode // also sees orders of reports that this very unit leads, helps with or dispatched; "" = none
	Mediates orgs.UnitCode // a mediator's place on the ladder: also sees disputes below it and above it; "" = no mediator
}

// SeesReport reports whether an order of a report (举报), dispatched by a unit and worked on by these, may be known to the viewer. Where it
// lies does not matter: who is complained of may work there.
func (v Viewer) SeesReport(units *orgs.Tree, by orgs.UnitCode, bodies ...orgs.UnitCode) bool {
	path := units.Path(by)
	return v.All || v.Oversees && v.Seat != "" && path != "" && strings.HasPrefix(path, v.Seat) ||
		v.Desk != "" && (v.Desk == by || slices.Contains(bodies, v.Desk))
}

// reportColumns are those of a table that holds orders, or something about them: empty but for an order of a report.
var reportColumns = []Column{{"by_path", Text}, {"bodies", Text}}

// reported says who dispatched an order of a report, and who works on it, each between spaces.
func reported(s event.State, units *orgs.Tree) (byPath, bodies string) {
	o, is := s.(order.State)
	if !is || o.Kind != string(demand.Report) {
		return "", ""
	}
	return units.Path(o.By), " " + strings.Join(words(o.ReportBodies()), " ") + " "
}

// reports keeps the orders of reports that the viewer may know; of everything else it keeps all. It is [Viewer.SeesReport].
func (v Viewer) reports() condition {
	c := condition{text: "d.bodies = ''"}
	if v.All {
		return condition{text: "1"}
	}
	if v.Oversees && v.Seat != "" {
		in := within(v.Seat)
		c.text += " OR " + strings.ReplaceAll(in.text, "d.path", "d.by_path")
		c.args = append(c.args, in.args...)
	}
	if v.Desk != "" {
		c.text += " OR instr(d.bodies, ?) > 0"
		c.args = append(c.args, " "+string(v.Desk)+" ")
	}
	c.text = "(" + c.text + ")"
	return c
}

// reason is one rule by which rows are seen. level and value name a column that all of them share.
type reason struct {
	conditions []condition
	level      string
	value      string
	through    string // the seat, if the rows are those of the table reach
	concerned  string // the seat's path, if the rows are those of admissions that concern it
}

// reasons lists the rules by which the viewer sees rows of a listing. If all rows asked for lie in place and the seat reaches it,
// that alone says everything.
func (l listing) reasons(v Viewer, units *orgs.Tree, place orgs.UnitCode) []reason {
	var rs []reason
	open := condition{text: "d.confidential = 0"}
	add := func(r reason) {
		if l.confidential && (!v.Confidential || r.through != "") {
			r.conditions = append(r.conditions, open)
		}
		if l.category == stream.Order {
			r.conditions = append(r.conditions, v.reports())
		}
		rs = append(rs, r)
	}
	if v.All {
		add(reason{conditions: []condition{{text: "1"}}})
		return rs
	}
	seat := seatCode(v.Seat)
	unit, known := units.Unit(seat)
	if known && units.Path(seat) == v.Seat {
		own := reason{conditions: []condition{within(v.Seat)}, value: string(seat)}
		switch unit.Kind {
		case orgs.City:
			own.value = ""
		case orgs.District:
			own.level = "district"
		case orgs.Street:
			own.level = "street"
		default:
			own.level = "area"
			if c, in := units.Ancestor(seat, orgs.Community); in {
				own.value = string(c)
			}
		}
		add(own)
		if place != "" && units.Within(place, seat) {
			return rs
		}
		if l.lead {
			add(reason{conditions: []condition{{"d.lead = ?", []any{string(seat)}}}, level: "lead", value: string(seat)})
		}
		if l.category != stream.Topic && l.category != stream.Dispute {
			add(reason{conditions: []condition{{"EXISTS (SELECT 1 FROM reach AS y WHERE y.kind = ? AND y.seat = ? AND y.id = d.id)",
				[]any{string(l.category), string(seat)}}}, through: string(seat)})
		}
	}
	if l.category == stream.Dispute {
		rs = append(rs, v.disputeReasons(units)...)
	}
	if v.Actor != "" && l.raised {
		add(reason{conditions: []condition{{"d.raised_by = ?", []any{v.Actor}}}, level: "raised_by", value: v.Actor})
	}
	return rs
}

// within says that a path lies in a subtree: from the path on, before the path with its last slash replaced by the
// character after it, so that a neighbour whose code begins alike stays outside.
func within(path string) condition {
	return condition{"d.path >= ? AND d.path < ?", []any{path, strings.TrimSuffix(path, "/") + "0"}}
}

// seatCode returns the unit at the end of a path.
func seatCode(path string) orgs.UnitCode {
	path = strings.TrimSuffix(path, "/")
	return orgs.UnitCode(path[strings.LastIndexByte(path, '/')+1:])
}

// Visible reports whether the viewer's lists hold the demand, topic, order or whistle. It is false for what does not exist.
func (v *Views) Visible(ctx context.Context, who Viewer, kind stream.Category, id stream.ID) (visible bool, err error) {
	i := slices.IndexFunc(listings, func(l listing) bool { return l.category == kind })
	if i < 0 {
		return false, fmt.Errorf("visible: there is no list of %q", kind)
	}
	l := listings[i]
	var alternatives []string
	args := []any{id[:]}
	for _, r := range l.reasons(who, v.runner.Units(), "") {
		var all []string
		for _, c := range r.conditions {
			all = append(all, c.text)
			args = append(args, c.args...)
		}
		alternatives = append(alternatives, "("+strings.Join(all, " AND ")+")")
	}
	if len(alternatives) == 0 {
		return false, nil
	}
	text := fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM %s AS d WHERE d.id = ? AND (%s))", l.table, strings.Join(alternatives, " OR "))
	err = v.query(ctx, text, args, func(rs *sql.Rows) error { return rs.Scan(&visible) })
	if err != nil {
		return false, fmt.Errorf("visible %s %s: %w", kind, id, err)
	}
	return visible, nil
}

var listings = []listing{demandList, topicList, orderList, disputeList, whistleList, unitList}

// Reach is the view of who sees what beyond where it lies.
//
// The table reach holds (kind, seat, id, via): the seat, a unit's code, sees the thing because of via, an order. Seats that see it
// anyway, because they are above the place where it lies, are left out: an agency that
// leads an order gives one row, not one for each unit above it. homes and serving hold what is needed to find these rows
// again when a demand turns out to lie elsewhere.
type Reach struct{}

// Name implements [View].
func (Reach) Name() string { return "reach" }

// Tables implements [View].
func (Reach) Tables() []Table {
	return []Table{
		{Name: "reach", Key: 4, Compact: true, Columns: []Column{{"kind", Text}, {"seat", Text}, {"id", Blob}, {"via", Blob}}},
		{Name: "homes", Key: 1, Compact: true, Columns: []Column{{"demand", Blob}, {"path", Text}, {"orders", Blob}}},
		{Name: "serving", Key: 1, Compact: true, Columns: []Column{{"order_id", Blob}, {"paths", Text}}},
	}
}

// Apply implements [View].
func (r Reach) Apply(tx *Tx, e Entry) error {
	switch after := e.After.(type) {
	case demand.State:
		before, _ := e.Before.(demand.State)
		if before.Unit != after.Unit || before.Grid != after.Grid {
			r.moved(tx, after.ID, siteOf(e.Units, after.Unit, after.Grid).path)
		}
	case order.State:
		before, _ := e.Before.(order.State)
		r.order(tx, before, after, e.Units)
	case whistle.State:
		if before, _ := e.Before.(whistle.State); before.Phase == "" {
			r.whistle(tx, after, e.Units)
		}
	}
	return nil
}

// whistle shows it to whom it summons, and to each the own row.
func (Reach) whistle(tx *Tx, s whistle.State, units *orgs.Tree) {
	for _, u := range s.Units {
		for _, seat := range callees(units, u.Code) {
			tx.Put("reach", string(stream.Whistle), string(seat), bytesOf(s.ID), []byte{})
			tx.Put("reach", string(summons), string(seat), bytesOf(summonsID(s.ID, u.Code)), []byte{})
		}
	}
}

// callees are the seats that see a summons to a unit: its own, its parent department's and, of a joint team, its members'.
func callees(units *orgs.Tree, code orgs.UnitCode) []orgs.UnitCode {
	u, _ := units.Unit(code)
	seats := append([]orgs.UnitCode{code}, u.Members...)
	if u.Department != "" {
		seats = append(seats, u.Department)
	}
	return seats
}

// moved finds the rows of a demand anew for another home.
func (Reach) moved(tx *Tx, id stream.ID, home string) {
	row, known := tx.Get("homes", bytesOf(id))
	if !known {
		tx.Put("homes", bytesOf(id), home, []byte{})
		return
	}
	from, orders := row[1].(string), row[2].([]byte)
	if from == home {
		return
	}
	for o := range slices.Chunk(orders, 16) {
		if s, serves := tx.Get("serving", o); serves {
			paths := strings.Fields(s[1].(string))
			replace(tx, stream.Demand, bytesOf(id), o, beyond(paths, from), beyond(paths, home))
		}
	}
	tx.Put("homes", bytesOf(id), home, orders)
}

// order follows the units and demands of an order.
func (Reach) order(tx *Tx, before, after order.State, units *orgs.Tree) {
	lead := func(s order.State) []string { return bodies(units, s.Lead, s.Competent, s.Leg().CoUnits...) }
	was, is := lead(before), lead(after)
	if before.Phase == "" || before.By != after.By || !slices.Equal(was, is) {
		all := func(s order.State, paths []string) []string {
			seats := beyond(append(slices.Clip(paths), bodies(units, s.By, "")...), siteOf(units, s.Place, s.Grid).path)
			return slices.DeleteFunc(seats, func(seat string) bool { return seat == string(s.Lead) }) // the column lead says it
		}
		replace(tx, stream.Order, bytesOf(after.ID), []byte{}, all(before, was), all(after, is))
		tx.Put("serving", bytesOf(after.ID), strings.Join(is, " "))
	}
	for _, d := range before.Demands {
		if !slices.Contains(after.Demands, d) {
			home, orders := homeOf(tx, d)
			replace(tx, stream.Demand, bytesOf(d), bytesOf(after.ID), beyond(was, home), nil)
			tx.Put("homes", bytesOf(d), home, joinIDs(slices.DeleteFunc(orders, func(o stream.ID) bool { return o == after.ID })))
		}
	}
	for _, d := range after.Demands {
		served := slices.Contains(before.Demands, d)
		if served && slices.Equal(was, is) {
			continue
		}
		home, orders := homeOf(tx, d)
		var old []string
		if served {
			old = beyond(was, home)
		} else {
			tx.Put("homes", bytesOf(d), home, joinIDs(append(orders, after.ID)))
		}
		replace(tx, stream.Demand, bytesOf(d), bytesOf(after.ID), old, beyond(is, home))
	}
}

func homeOf(tx *Tx, demand stream.ID) (path string, orders []stream.ID) {
	row, known := tx.Get("homes", bytesOf(demand))
	if !known {
		return "", nil
	}
	return row[1].(string), splitIDs(row[2].([]byte))
}

// bodies returns the paths of units, each once, in order; what is not known has none.
func bodies(units *orgs.Tree, a, b orgs.UnitCode, more ...orgs.UnitCode) []string {
	var paths []string
	for _, u := range append([]orgs.UnitCode{a, b}, more...) {
		if p := units.Path(u); p != "" {
			paths = append(paths, p)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(paths)))
}

// beyond returns the units on the paths that are not on the path home, each once, in order.
func beyond(paths []string, home string) []string {
	var seats []string
	for _, p := range paths {
		for i := 1; i < len(p); i++ {
			if p[i] == '/' && !strings.HasPrefix(home, p[:i+1]) {
				seats = append(seats, string(seatCode(p[:i+1])))
			}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(seats)))
}

// replace changes which seats see a thing because of via.
func replace(tx *Tx, kind stream.Category, id, via []byte, old, new []string) {
	for _, seat := range old {
		if !slices.Contains(new, seat) {
			tx.Delete("reach", string(kind), seat, id, via)
		}
	}
	for _, seat := range new {
		if !slices.Contains(old, seat) {
			tx.Put("reach", string(kind), seat, id, via)
		}
	}
}
