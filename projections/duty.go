package projections

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
)

// Duties is the view of published duty lists (清单): one row for each version of each publisher.
type Duties struct{}

// Name implements [View].
func (Duties) Name() string { return "duties" }

// Tables implements [View].
func (Duties) Tables() []Table {
	return []Table{{Name: "duty_lists", Key: 2, Compact: true, Columns: []Column{{"unit", Text}, {"version", Integer}, {"effective_from", Text},
		{"covers", Text}, {"unlisted", Text}, {"negative_grant", Text}, {"basis", Text}, {"items", Integer}, {"published_at", Integer}}}}
}

// Apply implements [View].
func (Duties) Apply(tx *Tx, e Entry) error {
	if p, ok := e.Body.(duty.Published); ok {
		tx.Put("duty_lists", string(p.Unit), p.Version, p.From.String(), strings.Join(words(p.Covers), " "), string(p.Unlisted), string(p.NegativeGrant),
			string(p.Basis), len(p.Items), millis(e.Meta.Recorded))
	}
	return nil
}

// DutyListRow is one version of a publisher's lists, without its rows.
type DutyListRow struct {
	Unit          orgs.UnitCode
	Version       int
	From          calendar.Date
	Covers        []orgs.Kind
	Unlisted      duty.Unlisted
	NegativeGrant duty.NegativeGrant
	Basis         sealed.Public
	Items         int
	PublishedAt   time.Time
}

// DutyLists lists what was published, by publisher and version. There are a few for each district in its whole life.
func (v *Views) DutyLists(ctx context.Context) (rows []DutyListRow, err error) {
	err = v.query(ctx, "SELECT unit, version, effective_from, covers, unlisted, negative_grant, basis, items, published_at FROM duty_lists ORDER BY unit, version", nil,
		func(rs *sql.Rows) error {
			var r DutyListRow
			var from, covers string
			var at int64
			if err := rs.Scan(&r.Unit, &r.Version, &from, &covers, &r.Unlisted, &r.NegativeGrant, &r.Basis, &r.Items, &at); err != nil {
				return err
			}
			for _, k := range strings.Fields(covers) {
				r.Covers = append(r.Covers, orgs.Kind(k))
			}
			r.PublishedAt = fromMillis(at)
			var err error
			r.From, err = calendar.ParseDate(from)
			rows = append(rows, r)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("duty lists: %w", err)
	}
	return rows, nil
}
