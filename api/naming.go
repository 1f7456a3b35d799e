package api

import (
	"reflect"
	"strings"

	"gridcase/domain/orgs"
	"gridcase/projections"
)

// naming is a query parameter that names a unit or a grid: one with the format unit, unit-or-none, unit-or-dash (a figure of no street) or grid-or-none. What never existed can
// not be filtered by; a unit that closed and a grid that is retired can. See docs/decisions/0039.
type naming struct {
	name   string
	format string
	index  []int
}

// namings finds those of an input.
func namings(t reflect.Type) (ns []naming) {
	for _, f := range reflect.VisibleFields(t) {
		n := naming{f.Tag.Get("query"), f.Tag.Get("format"), f.Index}
		switch n.format {
		case "unit", "unit-or-none", "unit-or-dash", "grid-or-none":
			ns = append(ns, n)
		}
	}
	return ns
}

// known refuses what names a unit or grid that never existed.
func (s *Server) known(ns []naming, in reflect.Value) error {
	var faults []Fault
	for _, n := range ns {
		code := in.FieldByIndex(n.index).String()
		if code == "" || code == "-" && n.format == "unit-or-dash" || code == projections.Nowhere && strings.HasSuffix(n.format, "-or-none") {
			continue
		}
		if n.format == "grid-or-none" {
			if _, known := s.Engine.Units().Grid(orgs.GridCode(code)); !known {
				faults = append(faults, fault("query."+n.name, "unknown_grid", "没有这个网格", "there is no such grid"))
			}
		} else if _, known := s.Engine.Units().Unit(orgs.UnitCode(code)); !known {
			faults = append(faults, fault("query."+n.name, "unknown_unit", "没有这个单位", "there is no such unit"))
		}
	}
	if len(faults) > 0 {
		return invalid(faults...)
	}
	return nil
}
