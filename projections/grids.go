package projections

import (
	"context"
	"database/sql"
	"strings"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
)

// GridDays is the view of every grid on every day on which something changed for it: how it stood when the day was over.
// So it answers for any date, and a grid that was divided since is there as it was.
type GridDays struct{}

// Name implements [View].
func (GridDays) Name() string { return "grid_days" }

// Tables implements [View].
func (GridDays) Tables() []Table {
	return []Table{{Name: "grid_days", Key: 2, Compact: true, Columns: []Column{{"code", Text}, {"day", Integer}, {"path", Text}, {"name", Text},
		{"urban", Integer}, {"surveyed", Integer}, {"households", Integer}, {"buildings", Integer}, {"stairwells", Integer},
		{"lead", Text}, {"acting", Text}, {"assistants", Integer}, {"groups", Text}, {"retired", Integer}}}}
}

// GridDay is an active grid as it stood at the end of a day.
type GridDay struct {
	Code       orgs.GridCode
	Path       string
	Name       string
	Urban      bool
	Surveyed   bool // its community was: households are counted by stairwell, and not as when it was drawn
	Households int
	Buildings  int
	Stairwells int
	Lead       string // opaque id, "" = vacancy
	Acting     string
	Assistants int
	Groups     string // codes of the party groups that serve it, in order, with spaces between; "" = it is not covered
	Led        int    // grids of those asked for that its lead leads, this one included; 0 in a vacancy
}

// Apply implements [View].
func (GridDays) Apply(tx *Tx, e Entry) error {
	after, ok := e.After.(orgs.GridsState)
	if !ok {
		return nil
	}
	before, _ := e.Before.(orgs.GridsState)
	for _, g := range after.Grids {
		is, retired := gridDay(after, g), g.Retired
		if was, drawn := before.Grid(g.Drawn.Grid); drawn && was.Retired == retired && gridDay(before, was) == is {
			continue
		}
		tx.Put("grid_days", string(is.Code), int(after.On), e.Units.Path(is.Code.Unit()), is.Name, is.Urban, is.Surveyed, is.Households,
			is.Buildings, is.Stairwells, is.Lead, is.Acting, is.Assistants, is.Groups, retired)
	}
	return nil
}

func gridDay(s orgs.GridsState, g orgs.GridState) GridDay {
	d := GridDay{Code: g.Drawn.Grid, Name: g.Drawn.Name, Urban: g.Drawn.Urban, Surveyed: s.Surveyed != "", Households: s.Served(g),
		Buildings: g.Drawn.Buildings, Stairwells: g.Drawn.Stairwells, Lead: g.Lead, Acting: g.Acting, Assistants: len(g.Assistants), Groups: strings.Join(g.Groups, " ")}
	if d.Surveyed {
		d.Buildings, d.Stairwells = len(orgs.BuildingsOf(g.Stairwells)), len(g.Stairwells)
	}
	return d
}

// GridsOn returns every active grid of a district as it stood at the end of a day, in code order; of the city, for the
// district "". It reads the whole of it, also where only one street is asked for: whether a worker leads further grids is
// known only then.
func (v *Views) GridsOn(ctx context.Context, district orgs.UnitCode, day calendar.Date) ([]GridDay, error) {
	var ds []GridDay
	led := map[string]int{}
	// A grid's code begins with its district's; no digit comes after ':'.
	err := v.query(ctx, `SELECT code, path, name, urban, surveyed, households, buildings, stairwells, lead, acting, assistants, groups FROM grid_days AS g
		WHERE code >= ? AND code < ? AND retired = 0 AND day = (SELECT MAX(day) FROM grid_days WHERE code = g.code AND day <= ?) ORDER BY code`,
		[]any{string(district), string(district) + ":", int64(day)}, func(rs *sql.Rows) error {
			var d GridDay
			err := rs.Scan(&d.Code, &d.Path, &d.Name, &d.Urban, &d.Surveyed, &d.Households, &d.Buildings, &d.Stairwells, &d.Lead, &d.Acting, &d.Assistants, &d.Groups)
			ds = append(ds, d)
			if d.Lead != "" {
				led[d.Lead]++
			}
			return err
		})
	for i := range ds {
		ds[i].Led = led[ds[i].Lead]
	}
	return ds, err
}
