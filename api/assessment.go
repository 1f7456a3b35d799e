package api

import (
	"context"
	"strconv"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/projections"
)

// FigureFile is one figure with all that is printed beside it.
type FigureFile struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Unit    orgs.UnitCode `json:"unit,omitempty" doc:"Absent: all units."`
	Street  orgs.UnitCode `json:"street,omitempty" doc:"Absent: all streets; -: none."`
	N       string        `json:"n" doc:"Exact."`
	D       string        `json:"d"`
	Printed string        `json:"printed"`
	Before  string        `json:"before,omitempty" doc:"As printed before exclusions and objections."`
	Left    []LeftOut     `json:"left_out" nullable:"false"`
	Cases   string        `json:"cases" doc:"What it counts, and what is left out."`
}

// LeftOut counts what is left out for one reason.
type LeftOut struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
	Share  string `json:"share"`
}

// FiguresQuery says which figures of a period, and as of when.
type FiguresQuery struct {
	ID        string `path:"id"`
	AsOf      string `query:"as_of" maxLength:"20" doc:"Position of the log; the evaluator's office and auditors only. If not given, what was sealed or shown last, or what it comes to now."`
	Unit      string `query:"unit" maxLength:"40"`
	Street    string `query:"street" maxLength:"40"`
	Indicator string `query:"indicator" maxLength:"60"`
	Limit     int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After     string `query:"after" maxLength:"200"`
	Position  string `header:"GridCase-Position" doc:"Wait, at most two seconds, until the views have reached this position."`
}

// assessed computes a period for the actor, and says which figures the actor may see: the evaluator's office and auditors of the
// jurisdiction all, a street its own, a rated unit with its parent department its own once provisional figures were published.
func (s *Server) assessed(ctx context.Context, in *FiguresQuery) (a projections.Assessed, sees func(assessment.Key) bool, err error) {
	n, _, _, err := s.find(ctx, stream.Period, in.ID)
	if err == nil {
		err = s.may(ctx, readWork)
	}
	if err == nil {
		err = s.awaited(ctx, in.Position)
	}
	if err != nil {
		return a, nil, err
	}
	p := s.Views.Position()
	actor, units := of(ctx).actor, s.Engine.Units()
	an, err := readAnnals(ctx, s.Log, n.ID())
	if err != nil {
		return a, nil, err
	}
	office := (actor.Role == orgs.Evaluator || actor.Role == orgs.Auditor) && s.above(actor, an.asOf(p).Jurisdiction)
	if in.AsOf != "" {
		asked, err := parsePosition(in.AsOf)
		switch {
		case err != nil:
			return a, nil, err
		case !office:
			return a, nil, problem("role_missing", rule.Say("只有考核机构和审计可按位置查询", "only the evaluator's office and auditors may ask as of a position"))
		case asked > p:
			return a, nil, problem("bad_position")
		}
		p = eventlog.Position(asked)
	}
	was := an.asOf(p)
	seat, _ := units.Unit(rule.Seat(units, actor))
	switch {
	case was.revision < 0 || was.Dropped > 0:
		return a, nil, problem("not_found")
	case office:
		sees = func(assessment.Key) bool { return true }
	case seat.Kind == orgs.Street:
		sees = func(k assessment.Key) bool { return k.Street == seat.Code }
	case was.Published > 0 && (seat.Kind == orgs.Department || seat.Kind == orgs.Agency):
		sees = func(k assessment.Key) bool { return k.Unit != "" && units.SameBody(seat.Code, k.Unit) }
	default:
		return a, nil, problem("not_found")
	}
	a, err = s.Views.Views().Assess(ctx, was.question(p))
	return a, sees, err
}

func (s *Server) figures(ctx context.Context, in *FiguresQuery) (*listed[FigureFile], error) {
	a, sees, err := s.assessed(ctx, in)
	if err != nil {
		return nil, err
	}
	skip := 0
	if in.After != "" {
		if skip, err = strconv.Atoi(in.After); err != nil || skip < 1 {
			return nil, problem("bad_cursor")
		}
	}
	var items []FigureFile
	next, n := "", 0
	for i := range a.Figures {
		f := &a.Figures[i]
		if !sees(f.Key) || in.Unit != "" && f.Unit != orgs.UnitCode(in.Unit) || in.Street != "" && f.Street != orgs.UnitCode(in.Street) || in.Indicator != "" && string(f.Indicator) != in.Indicator {
			continue
		}
		if n++; n <= skip {
			continue
		}
		if len(items) == in.Limit {
			next = strconv.Itoa(n - 1)
			break
		}
		def, _ := assessment.Define(f.Indicator)
		x := FigureFile{ID: f.Key.String(), Name: def.Zh, Unit: f.Unit, Street: f.Street, N: f.N.String(), D: f.D.String(), Printed: f.Printed, Before: f.Before, Left: []LeftOut{},
			Cases: base + "/assessments/" + in.ID + "/figures/" + f.Key.String() + "/items"}
		for _, l := range f.Left {
			x.Left = append(x.Left, LeftOut{l.Why, l.Count, l.Share})
		}
		items = append(items, x)
	}
	return pageOf(ctx, items, next, s.position(), false, nil)
}

// CohortItem is one case behind a figure, with the verdict on it.
type CohortItem struct {
	Name   string   `json:"name" doc:"As in the list of the cohort."`
	Case   CaseItem `json:"case"`
	In     bool     `json:"in" doc:"It is in the cohort."`
	N      string   `json:"n" doc:"What it adds."`
	D      string   `json:"d"`
	Why    string   `json:"why,omitempty" doc:"Why it does not count, or is left out."`
	Events string   `json:"events"`
}

func (s *Server) cohort(ctx context.Context, in *struct {
	FiguresQuery
	Figure string `path:"figure"`
}) (*listed[CohortItem], error) {
	a, sees, err := s.assessed(ctx, &in.FiguresQuery)
	if err != nil {
		return nil, err
	}
	f, found := a.Figure(in.Figure)
	if !found || !sees(f.Key) {
		return nil, problem("not_found")
	}
	skip := 0
	if in.After != "" {
		if skip, err = strconv.Atoi(in.After); err != nil || skip < 1 {
			return nil, problem("bad_cursor")
		}
	}
	cases, all, err := a.Page(in.Figure, skip, in.Limit)
	if err != nil {
		return nil, err
	}
	var items []CohortItem
	for _, c := range cases {
		items = append(items, CohortItem{Name: c.Name, Case: CaseItem(c.Case), In: c.In, N: c.N.String(), D: c.D.String(), Why: c.Why, Events: base + "/events?stream=" + string(c.Case.Stream)})
	}
	next := ""
	if skip+len(cases) < all {
		next = strconv.Itoa(skip + len(cases))
	}
	return pageOf(ctx, items, next, s.position(), false, nil)
}

func (s *Server) assessmentRoutes() {
	get(s, "list-figures", "/assessments/{id}/figures", "The figures of a period, as sealed, as shown, or as of now", "assessments", s.figures)
	get(s, "list-cohort", "/assessments/{id}/figures/{figure}/items", "The cases behind a figure, each with its verdict", "assessments", s.cohort)
}
