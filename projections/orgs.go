package projections

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
)

// Orgs is the view of units and grids: enough to restore the tree at a start without reading the log.
type Orgs struct{}

// Name implements [View].
func (Orgs) Name() string { return "orgs" }

// Tables implements [View].
func (Orgs) Tables() []Table {
	return []Table{
		{Name: "units", Key: 1, Columns: []Column{{"code", Text}, {"opened", Integer}, {"name", Text}, {"kind", Text}, {"parent", Text},
			{"department", Text}, {"members", Text}, {"closed", Integer}, {"successor", Text}, {"path", Text},
			{"successors", Text}, {"until", Integer}}},
		{Name: "grids", Key: 1, Columns: []Column{{"code", Text}, {"opened", Integer}, {"name", Text}, {"households", Integer},
			{"buildings", Integer}, {"stairwells", Integer}, {"urban", Integer}, {"lead", Text}, {"acting", Text}, {"retired", Integer},
			{"successors", Text}, {"until", Integer}, {"served", Integer}}}, // households: as drawn; served: by the last survey, if there was one
	}
}

// Apply implements [View].
func (Orgs) Apply(tx *Tx, e Entry) error {
	switch s := e.After.(type) {
	case orgs.UnitState:
		code := s.Opened.Code
		if code == "" {
			return nil
		}
		tx.Put("units", string(code), opened(tx, "units", string(code), e), s.Name, string(s.Opened.Kind), string(s.Opened.Parent),
			string(s.Opened.Department), strings.Join(words(s.Members), " "), s.Closed, string(s.Successor), e.Units.Path(code),
			strings.Join(words(s.Successors), " "), int(s.Until))
	case orgs.GridsState:
		before, _ := e.Before.(orgs.GridsState)
		for _, g := range s.Grids {
			code := g.Drawn.Grid
			if was, drawn := before.Grid(code); drawn && was.Lead == g.Lead && was.Acting == g.Acting && was.Retired == g.Retired &&
				was.Until == g.Until && slices.Equal(was.Successors, g.Successors) && before.Served(was) == s.Served(g) {
				continue
			}
			tx.Put("grids", string(code), opened(tx, "grids", string(code), e), g.Drawn.Name, g.Drawn.Households,
				g.Drawn.Buildings, g.Drawn.Stairwells, g.Drawn.Urban, g.Lead, g.Acting, g.Retired,
				strings.Join(words(g.Successors), " "), int(g.Until), s.Served(g))
		}
	}
	return nil
}

// opened returns the position of the event that a unit or grid began with: the order in which the tree grows.
func opened(tx *Tx, table, code string, e Entry) int64 {
	if row, known := tx.Get(table, code); known {
		return row[1].(int64)
	}
	return int64(e.Position)
}

// restoreUnits returns the events that make the tree that the rows are of.
func (g *generation) restoreUnits(ctx context.Context) ([]orgs.Event, error) {
	type unit struct {
		opened int64
		events []orgs.Event
	}
	var all []unit
	units := func(rs *sql.Rows) error {
		var u unit
		var e orgs.UnitOpened
		var members, successors string
		var closed bool
		var until calendar.Date
		if err := rs.Scan(&u.opened, &e.Code, &e.Name, &e.Kind, &e.Parent, &e.Department, &members, &closed, &successors, &until); err != nil {
			return err
		}
		e.Members = codes[orgs.UnitCode](members)
		u.events = append(u.events, e)
		switch next := codes[orgs.UnitCode](successors); {
		case len(next) > 0: // one successor or several: the tree does not tell a merger from a split
			u.events = append(u.events, orgs.CommunitySplit{Code: e.Code, Into: next, On: until})
		case closed:
			u.events = append(u.events, orgs.UnitClosed{Code: e.Code})
		}
		all = append(all, u)
		return nil
	}
	grids := func(rs *sql.Rows) error {
		var u unit
		var e orgs.GridDrawn
		var lead, acting, successors string
		var retired bool
		var until calendar.Date
		if err := rs.Scan(&u.opened, &e.Grid, &e.Name, &e.Households, &e.Buildings, &e.Stairwells, &e.Urban, &lead, &acting, &retired, &successors, &until); err != nil {
			return err
		}
		u.events = append(u.events, e)
		switch next := codes[orgs.GridCode](successors); {
		case len(next) > 0:
			u.events = append(u.events, orgs.GridSplit{Grid: e.Grid, Into: next, On: until})
		case retired:
			u.events = append(u.events, orgs.GridRetired{Grid: e.Grid})
		}
		if lead != "" {
			u.events = append(u.events, orgs.GridWorkerAppointed{Grid: e.Grid, Worker: lead, Duty: orgs.DutyLead, FullTime: true})
		}
		if acting != "" {
			u.events = append(u.events, orgs.ActingWorkerAppointed{Grid: e.Grid, Worker: acting})
		}
		all = append(all, u)
		return nil
	}
	err := eachRow(ctx, g.conn, "SELECT opened, code, name, kind, parent, department, members, closed, successors, until FROM units ORDER BY code", nil, units)
	if err == nil {
		err = eachRow(ctx, g.conn, "SELECT opened, code, name, households, buildings, stairwells, urban, lead, acting, retired, successors, until FROM grids ORDER BY code", nil, grids)
	}
	if err != nil {
		return nil, fmt.Errorf("restore the organisation: %w", err)
	}
	slices.SortStableFunc(all, func(a, b unit) int { return cmp.Compare(a.opened, b.opened) })
	var events []orgs.Event
	for _, u := range all {
		events = append(events, u.events...)
	}
	return events, nil
}

// codes reads a list of codes as it is stored.
func codes[T ~string](text string) []T {
	var cs []T
	for _, c := range strings.Fields(text) {
		cs = append(cs, T(c))
	}
	return cs
}

// Units returns the organisation as of the runner's position.
func (v *Views) Units() *orgs.Tree { return v.runner.Units() }
