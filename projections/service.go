package projections

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/orgs"
	"gridcase/eventlog"
)

// Services is the view of what was done for residents (便民服务): for each matter how many errands and consults were
// answered on which day, where they lie. Nobody who was served is in it.
type Services struct{}

// Name implements [View].
func (Services) Name() string { return "services" }

// Tables implements [View].
func (Services) Tables() []Table {
	return []Table{{Name: "services", Key: 4, Compact: true,
		Columns: []Column{{"leaf", Integer}, {"scope", Text}, {"matter", Text}, {"kind", Text}, {"days", Blob}}}}
}

// service is what a demand adds to the view. The zero service is nothing.
type service struct {
	scope, matter, kind string
	day                 calendar.Date
}

func serviceOf(s demand.State, units *orgs.Tree) service {
	on := answeredAt(s)
	if on.IsZero() || s.Kind != demand.Errand && s.Kind != demand.Consult {
		return service{}
	}
	return service{areaPath(units, s.Unit), s.Matter, string(s.Kind), calendar.DateOf(on)}
}

// Apply implements [View].
func (Services) Apply(tx *Tx, e Entry) error {
	s, ok := e.After.(demand.State)
	if !ok {
		return nil
	}
	b, _ := e.Before.(demand.State)
	before, after := serviceOf(b, e.Units), serviceOf(s, e.Units)
	if before != after {
		before.count(tx, -1)
		after.count(tx, 1)
	}
	return nil
}

func (s service) count(tx *Tx, by int) {
	if s == (service{}) {
		return
	}
	leaf, days := leafOf(s.day), noted{}
	if row, found := tx.Get("services", leaf, s.scope, s.matter, s.kind); found {
		days = row[4].([]byte)
	}
	if days = days.count(leafStart(leaf), s.day, by); len(days) == 0 {
		tx.Delete("services", leaf, s.scope, s.matter, s.kind)
		return
	}
	tx.Put("services", leaf, s.scope, s.matter, s.kind, []byte(days))
}

// ServiceQuery asks what was done in a unit, or in each part of it.
type ServiceQuery struct {
	Unit     orgs.UnitCode
	By       By // district, street, community; "" = the unit as a whole
	From, To calendar.Date
	Limit    int    // rows, 1 to 200
	After    string // the row before the first, as Next named it
}

// ServiceRow counts the errands and consults of one matter; each count is the length of a list.
type ServiceRow struct {
	Place
	Matter   string // "" = none was given
	Errands  int
	Consults int
}

// Services answers by place, then by matter; next is After for the rows that follow, "" = that is all. It costs the matters that were met in
// the period, of all pages. It returns [ErrBy] and [ErrLimit].
func (v *Views) Services(ctx context.Context, q ServiceQuery) (rows []ServiceRow, next string, at eventlog.Position, err error) {
	if q.Limit < 1 || q.Limit > 200 {
		return nil, "", 0, ErrLimit
	}
	c := counting{LoadQuery: LoadQuery{Unit: q.Unit, By: cmp.Or(q.By, ByCommunity), From: q.From, To: q.To}, units: v.runner.Units(), rows: map[string]*LoadRow{}}
	if q.By == ByGrid || q.By.desk() {
		return nil, "", 0, ErrBy
	}
	if err := c.begin(); err != nil {
		return nil, "", 0, err
	}
	type key struct{ place, matter string }
	found := map[key]*ServiceRow{}
	in := within(c.path)
	at, err = v.snapshot(ctx, func(s snapshot) error {
		for leaf := leafOf(q.From); leaf <= leafOf(q.To-1); leaf++ {
			var scope, matter, kind string
			var days sql.RawBytes
			err := s.query(ctx, "SELECT scope, matter, kind, days FROM services WHERE leaf = ? AND scope >= ? AND scope < ?", append([]any{leaf}, in.args...), func(rs *sql.Rows) error {
				if err := rs.Scan(&scope, &matter, &kind, &days); err != nil {
					return err
				}
				n := noted(days).sum(leafStart(leaf), q.From, q.To, nil)
				if n == 0 {
					return nil
				}
				k, place := key{matter: matter}, c.base
				if q.By != "" {
					r := c.row(scope)
					k.place, place = r.Key, r.Place
				}
				if found[k] == nil {
					found[k] = &ServiceRow{Place: place, Matter: matter}
				}
				if kind == string(demand.Consult) {
					found[k].Consults += n
				} else {
					found[k].Errands += n
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, "", 0, fmt.Errorf("services of %s: %w", q.Unit, err)
	}
	var after key
	after.place, after.matter, _ = strings.Cut(q.After, " ")
	order := func(a, b key) int { return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.matter, b.matter)) }
	for _, k := range slices.SortedFunc(maps.Keys(found), order) {
		if q.After != "" && order(k, after) <= 0 {
			continue
		}
		if len(rows) == q.Limit {
			return rows, next, at, nil
		}
		rows, next = append(rows, *found[k]), k.place+" "+k.matter
	}
	return rows, "", at, nil
}
