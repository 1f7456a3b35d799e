package api

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/dispute"
	"gridcase/domain/orgs"
	"gridcase/projections"
)

// The three databases of the city (三个数据库): grids, disputes, services. They are read models for those in charge; their figures are
// exact, however small. What is shown to everybody hides small cells (privacy.small_cell), and none of this is.

// GridRecord is a grid, who works it, and what is open there.
type GridRecord struct {
	Grid       orgs.GridCode `json:"grid"`
	Name       string        `json:"name"`
	Community  orgs.UnitCode `json:"community"`
	Urban      bool          `json:"urban"`
	Households Sum           `json:"households"`
	Lead       string        `json:"lead,omitempty" doc:"Opaque id."`
	Acting     string        `json:"acting,omitempty" doc:"Opaque id of who covers for the lead."`
	Vacant     bool          `json:"vacant" doc:"There is no lead, whether somebody acts or not."`
	Orders     Count         `json:"orders" doc:"Open."`
	Demands    Count         `json:"demands" doc:"Open."`
	Per100     string        `json:"open_per_100_households,omitempty"`
}

// GridDatabase is a page of grids.
type GridDatabase struct {
	Unit     orgs.UnitCode `json:"unit"`
	AsOf     time.Time     `json:"as_of"`
	Items    []GridRecord  `json:"items" nullable:"false" doc:"In code order."`
	Next     string        `json:"next,omitempty"`
	Position string        `json:"position"`
}

func (s *Server) gridDatabase(ctx context.Context, in *struct {
	Unit  string `query:"unit" format:"unit" maxLength:"40" doc:"Of the own jurisdiction; if not given, the own unit."`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"400" doc:"The cursor next of the page before."`
}) (*paged[GridDatabase], error) {
	u, err := s.charge(ctx, readWork, in.Unit)
	if err != nil {
		return nil, err
	}
	last, err := lastRow(ctx, in.After)
	if err != nil {
		return nil, err
	}
	now := s.Now().Truncate(time.Second)
	who := s.viewer(of(ctx).actor)
	w := writing{LoadQuery: projections.LoadQuery{Unit: u.Code, By: projections.ByGrid, At: now, From: calendar.DateOf(now), To: calendar.DateOf(now) + 1,
		Limit: in.Limit, After: last, Confidential: who.Confidential, Reports: s.seesReports(who)}, units: s.Engine.Units(), today: calendar.DateOf(now)}
	l, err := s.Views.Views().Load(ctx, w.LoadQuery)
	if err != nil {
		return nil, counted(err)
	}
	out := GridDatabase{Unit: u.Code, AsOf: shown(now), Items: []GridRecord{}, Next: cursorAt(ctx, l.Next), Position: l.Position.String()}
	for i := range l.Rows {
		r := &l.Rows[i]
		g, known := w.units.Grid(r.Grid)
		if !known || g.Retired {
			continue // what lies there is in the workload
		}
		where, kinds := place(r.Place)+"&open=true", ""
		if !w.Reports {
			kinds = "kind=errand,issue,consult,suggestion&"
		}
		x := GridRecord{Grid: g.Code, Name: g.Name, Community: g.Community, Urban: g.Urban, Households: Sum{r.Households, "households", gridsLink(g.Code.Unit(), w.today)}, Lead: g.Lead, Acting: g.Acting, Vacant: g.Lead == "",
			Orders: Count{0, base + "/orders?" + kinds + where[1:]}, Demands: Count{0, base + "/demands?" + where[1:]}, Per100: w.row(r).Per100}
		for line := range r.Orders {
			x.Orders.Count += r.Orders[line].Open
			x.Demands.Count += r.Demands[line].Open
		}
		out.Items = append(out.Items, x)
	}
	return &paged[GridDatabase]{linkTo(ctx, out.Next), out.Position, out}, nil
}

// Share is a part of a whole, each with its list. The whole of none has no rate.
type Share struct {
	Numerator   Count  `json:"numerator"`
	Denominator Count  `json:"denominator"`
	Percent     string `json:"percent,omitempty" doc:"Half up, two places; absent if the denominator is 0."`
}

// Rung are the figures of one rung of the ladder.
type Rung struct {
	Rung    dispute.Rung `json:"rung" doc:"1 grid, 2 community, 3 street, 4 district."`
	Open    Count        `json:"open" doc:"Stand there now, and nothing is agreed."`
	Settled Count        `json:"settled" doc:"Agreed there in the period, and nobody broke the agreement since."`
	Time    Times        `json:"time" doc:"At the rung, of those that left it in the period or were settled there."`
}

// LadderFigures are disputes of a unit (矛盾纠纷).
type LadderFigures struct {
	District  orgs.UnitCode `json:"district,omitempty"`
	Street    orgs.UnitCode `json:"street,omitempty"`
	Community orgs.UnitCode `json:"community,omitempty"`
	Name      string        `json:"name,omitempty"`
	Opened    Count         `json:"opened" doc:"In the period."`
	Rungs     []Rung        `json:"rungs" nullable:"false"`
	Village   Share         `json:"within_village" doc:"小事不出村: settled at rung 1 or 2, of all that mediators had taken up and that were settled, referred out or ended in the period."`
	Town      Share         `json:"within_town" doc:"大事不出镇: the same at rung 3 or below."`
	Referred  []Target      `json:"referred_out" nullable:"false" doc:"In the period."`
	Ended     Count         `json:"ended" doc:"Withdrawn in the period."`
}

// Target counts what was referred out to one kind of body.
type Target struct {
	Target dispute.Target `json:"target"`
	Count
}

// Ladder is how disputes fared on the mediation ladder.
type Ladder struct {
	Unit     orgs.UnitCode   `json:"unit"`
	From     calendar.Date   `json:"from"`
	To       calendar.Date   `json:"to"`
	AsOf     time.Time       `json:"as_of"`
	Total    LadderFigures   `json:"total"`
	Rows     []LadderFigures `json:"rows,omitempty" doc:"In code order, if parts were asked for."`
	Position string          `json:"position" doc:"The state of the log that all figures are of, exactly."`
}

type ladderInput struct {
	PeriodQuery
	By string `query:"by" enum:"district,street,community" doc:"Rows for these parts."`
}

func (s *Server) ladder(ctx context.Context, in *ladderInput) (*viewed[Ladder], error) {
	u, err := s.charge(ctx, readWork, in.Unit)
	if err != nil {
		return nil, err
	}
	now := s.Now().Truncate(time.Second)
	from, to, err := in.days(calendar.DateOf(now))
	if err != nil {
		return nil, err
	}
	l, err := s.Views.Views().Ladder(ctx, projections.LadderQuery{Unit: u.Code, By: projections.By(in.By), From: from, To: to})
	if err != nil {
		return nil, counted(err)
	}
	out := Ladder{Unit: u.Code, From: from, To: to - 1, AsOf: shown(now), Total: s.rungs(&l.Total, from, to), Position: l.Position.String()}
	for i := range l.Rows {
		out.Rows = append(out.Rows, s.rungs(&l.Rows[i], from, to))
	}
	return &viewed[Ladder]{out.Position, out}, nil
}

func (s *Server) rungs(r *projections.LadderRow, from, to calendar.Date) LadderFigures {
	link := base + "/disputes?" + (place(r.Place) + "&")[1:]
	period := span("outcome", from, to)[1:]
	f := LadderFigures{District: r.District, Street: r.Street, Community: r.Community, Name: named(s.Engine.Units(), r.Place), Rungs: []Rung{}, Referred: []Target{},
		Opened: Count{r.Opened, link + span("raised", from, to)[1:]}, Ended: Count{r.Ended, link + "outcome=ended&" + period}}
	settled, parts := 0, [5]int{}
	for rung := 1; rung < len(r.Open); rung++ {
		n := strconv.Itoa(rung)
		settled += r.Mediated[rung]
		parts[rung] = settled
		t := Times{Count: Count{r.Times[rung].N, link + "left_rung=" + n + span("left", from, to)}}
		if t.Count.Count > 0 {
			t.Median, t.P90 = &r.Times[rung].Median, &r.Times[rung].P90
		}
		f.Rungs = append(f.Rungs, Rung{Rung: dispute.Rung(rung), Open: Count{r.Open[rung], link + "unsettled=true&rung=" + n},
			Settled: Count{r.Settled[rung], link + "outcome=settled&outcome_rung=" + n + "&" + period}, Time: t})
	}
	share := func(upTo int) Share {
		x := Share{Numerator: Count{parts[upTo], link + "outcome=settled&taken_up=true&outcome_up_to=" + strconv.Itoa(upTo) + "&" + period},
			Denominator: Count{r.Concluded, link + "outcome=settled,referred_out,ended&taken_up=true&" + period}}
		if r.Concluded > 0 {
			x.Percent = percent(parts[upTo], r.Concluded)
		}
		return x
	}
	f.Village, f.Town = share(2), share(3)
	for _, t := range dispute.Targets() {
		f.Referred = append(f.Referred, Target{t, Count{r.Referred[t], link + "outcome=referred_out&target=" + string(t) + "&" + period}})
	}
	return f
}

// percent writes n of d with two places, half up: floor((2·n·10⁴ + d) / (2·d)) hundredths.
func percent(n, d int) string {
	h := (2*n*10_000 + d) / (2 * d)
	return strconv.Itoa(h/100) + "." + strconv.Itoa(h%100/10) + strconv.Itoa(h%10)
}

// ServiceRecord counts what was answered in one matter.
type ServiceRecord struct {
	District  orgs.UnitCode `json:"district,omitempty"`
	Street    orgs.UnitCode `json:"street,omitempty"`
	Community orgs.UnitCode `json:"community,omitempty"`
	Matter    string        `json:"matter,omitempty" doc:"Code; absent: none was given."`
	Errands   Count         `json:"errands" doc:"Answered in the period."`
	Consults  Count         `json:"consults"`
}

// ServiceDatabase is what was done for residents (便民服务): matters, and how often. It says nothing of who was served.
type ServiceDatabase struct {
	Unit     orgs.UnitCode   `json:"unit"`
	From     calendar.Date   `json:"from"`
	To       calendar.Date   `json:"to"`
	AsOf     time.Time       `json:"as_of"`
	Items    []ServiceRecord `json:"items" nullable:"false" doc:"In the order of places, then of matters."`
	Next     string          `json:"next,omitempty"`
	Position string          `json:"position"`
}

type servicesInput struct {
	PeriodQuery
	By    string `query:"by" enum:"district,street,community" doc:"Apart for these parts of the unit."`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"400" doc:"The cursor next of the page before."`
}

func (s *Server) serviceDatabase(ctx context.Context, in *servicesInput) (*paged[ServiceDatabase], error) {
	u, err := s.charge(ctx, readWork, in.Unit)
	if err != nil {
		return nil, err
	}
	last, err := lastRow(ctx, in.After)
	if err != nil {
		return nil, err
	}
	now := s.Now().Truncate(time.Second)
	from, to, err := in.days(calendar.DateOf(now))
	if err != nil {
		return nil, err
	}
	rows, next, at, err := s.Views.Views().Services(ctx, projections.ServiceQuery{Unit: u.Code, By: projections.By(in.By), From: from, To: to, Limit: in.Limit, After: last})
	if err != nil {
		return nil, counted(err)
	}
	out := ServiceDatabase{Unit: u.Code, From: from, To: to - 1, AsOf: shown(now), Items: []ServiceRecord{}, Next: cursorAt(ctx, next), Position: at.String()}
	for _, r := range rows {
		link := base + "/demands?exact_category=true" + place(r.Place) + span("handled", from, to)
		if r.Matter != "" {
			link += "&category=" + url.QueryEscape(r.Matter)
		}
		out.Items = append(out.Items, ServiceRecord{District: r.District, Street: r.Street, Community: r.Community, Matter: r.Matter,
			Errands: Count{r.Errands, link + "&kind=errand"}, Consults: Count{r.Consults, link + "&kind=consult"}})
	}
	return &paged[ServiceDatabase]{linkTo(ctx, out.Next), out.Position, out}, nil
}

func (s *Server) databaseRoutes() {
	get(s, "dispute-ladder", "/views/disputes", "Disputes by rung (小事不出村、大事不出镇): open, settled, shares, times", "views", s.ladder)
	get(s, "grid-database", "/views/databases/grids", "The grids: households, who works them, what is open", "views", s.gridDatabase)
	get(s, "dispute-database", "/views/databases/disputes", "Disputes, by the parts of a unit", "views", func(ctx context.Context, in *ladderInput) (*viewed[Ladder], error) {
		u, err := s.charge(ctx, readWork, in.Unit)
		if by := parts(u.Kind); err == nil && in.By == "" && by != projections.ByGrid && by != projections.ByUnit {
			in.By = string(by)
		}
		return s.ladder(ctx, in)
	})
	get(s, "service-database", "/views/databases/services", "What was done for residents, by matter", "views", s.serviceDatabase)
}
