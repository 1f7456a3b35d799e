package api

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/projections"
)

// The bodies of the operator's commands on what a community is divided into.
type (
	surveyBlocksBody struct {
		Happened
		Buildings []surveyedBuilding `json:"buildings" maxItems:"4000" doc:"All of them: what is not listed is gone, from its grid as well."`
	}
	surveyedBuilding struct {
		Code       orgs.BlockCode      `json:"code" format:"block"`
		Stairwells []surveyedStairwell `json:"stairwells" minItems:"1" maxItems:"1000"`
	}
	surveyedStairwell struct {
		Code       orgs.BlockCode `json:"code" format:"block" doc:"The building's, a slash, and its own: b03/2."`
		Households int            `json:"households" minimum:"0" maximum:"10000" doc:"A number only: no list of households is kept."`
	}
	assignHouseholdsBody struct {
		Happened
		From   orgs.GridCode    `json:"from,omitempty" format:"grid" doc:"The grid that has them; without it, none may have them yet."`
		Blocks []orgs.BlockCode `json:"blocks" format:"block" minItems:"1" maxItems:"1000" doc:"Buildings, for all their stairwells, or stairwells."`
	}
	splitGridBody struct {
		Happened
		Into []splitPart `json:"into" minItems:"2" maxItems:"100"`
	}
	splitPart struct {
		Grid   orgs.GridCode    `json:"grid" format:"code" minLength:"15" maxLength:"15" doc:"A code that no grid ever had."`
		Name   string           `json:"name" minLength:"1" maxLength:"100"`
		Blocks []orgs.BlockCode `json:"blocks" format:"block" minItems:"1" maxItems:"1000" doc:"Buildings of the old grid, or stairwells. All of them go to exactly one of the new grids."`
		Lead   string           `json:"lead,omitempty" format:"token" maxLength:"64" doc:"Opaque id of its full-time lead; the old grid's lead is free."`
	}
	mergeGridsBody struct {
		Happened
		Grids []orgs.GridCode `json:"grids" format:"code" minItems:"2" maxItems:"100"`
		Into  mergedPart      `json:"into"`
	}
	mergedPart struct {
		Grid orgs.GridCode `json:"grid" format:"code" minLength:"15" maxLength:"15" doc:"A code that no grid ever had."`
		Name string        `json:"name" minLength:"1" maxLength:"100"`
		Lead string        `json:"lead,omitempty" format:"token" maxLength:"64"`
	}
)

func (b assignHouseholdsBody) on(g orgs.GridCode) engine.Command {
	return orgs.AssignHouseholds{Grid: g, From: b.From, Blocks: b.Blocks}
}

func (b splitGridBody) on(g orgs.GridCode) engine.Command {
	c := orgs.SplitGrid{Grid: g}
	for _, p := range b.Into {
		c.Into = append(c.Into, orgs.Part(p))
	}
	return c
}

func (s *Server) surveyBlocks(ctx context.Context, in *unitCommandInput[surveyBlocksBody]) (*answer[GridPlan], error) {
	c := orgs.SurveyBlocks{Of: orgs.UnitCode(in.Code)}
	for _, b := range in.body.Buildings {
		surveyed := orgs.Building{Code: b.Code}
		for _, w := range b.Stairwells {
			surveyed.Stairwells = append(surveyed.Stairwells, orgs.Stairwell(w))
		}
		c.Buildings = append(c.Buildings, surveyed)
	}
	return s.changePlan(ctx, in.Code, given{Post: in.Post, ifMatch: in.IfMatch, occurred: in.body.OccurredAt, command: c})
}

func (s *Server) mergeGrids(ctx context.Context, in *unitCommandInput[mergeGridsBody]) (*answer[GridPlan], error) {
	b := in.body
	for _, g := range append(slices.Clone(b.Grids), b.Into.Grid) {
		if string(g.Community()) != in.Code {
			return nil, invalid(fault("body.grids", "contradiction", "网格代码须以社区代码开头", "must begin with the code of the community"))
		}
	}
	return s.changePlan(ctx, in.Code, given{Post: in.Post, ifMatch: in.IfMatch, occurred: b.OccurredAt,
		command: orgs.MergeGrids{Grids: b.Grids, Into: orgs.Part{Grid: b.Into.Grid, Name: b.Into.Name, Lead: b.Into.Lead}}})
}

// changePlan gives a command on the whole of a community's plan.
func (s *Server) changePlan(ctx context.Context, community string, g given) (*answer[GridPlan], error) {
	if u, known := s.Engine.Units().Unit(orgs.UnitCode(community)); !known || u.Kind != orgs.Community {
		return nil, problem("not_found")
	}
	if err := s.may(ctx, keepUnits); err != nil {
		return nil, err
	}
	key, err := g.idempotencyKey()
	if err != nil {
		return nil, err
	}
	receipt, err := s.plans(ctx, community, key, g)
	return s.planned(ctx, http.StatusOK, receipt, err)
}

// Finding is what is wrong with a plan, or could be better.
type Finding struct {
	Fault    orgs.Fault     `json:"fault"`
	Severity orgs.Severity  `json:"severity" doc:"error: a household has no grid, or two. warning: everything else."`
	Grid     orgs.GridCode  `json:"grid,omitempty"`
	Block    orgs.BlockCode `json:"block,omitempty" doc:"A building or a stairwell."`
	Message  string         `json:"message"`
}

// CheckedPlan is a community's plan on a date, looked over.
type CheckedPlan struct {
	Community  orgs.UnitCode   `json:"community"`
	On         calendar.Date   `json:"on"`
	Changed    calendar.Date   `json:"changed,omitzero" doc:"The last change that holds on that date."`
	Surveyed   bool            `json:"surveyed"`
	Households int             `json:"households" doc:"By the survey."`
	Buildings  []orgs.Building `json:"buildings" nullable:"false"`
	Grids      []Grid          `json:"grids" nullable:"false" doc:"Retired ones included."`
	Findings   []Finding       `json:"findings" nullable:"false"`
}

func (s *Server) readGridPlan(ctx context.Context, in *struct {
	Code      string `path:"code"`
	On        string `query:"on" maxLength:"10" doc:"A date, such as 2025-07-01; today if there is none."`
	NoneMatch string `header:"If-None-Match"`
}) (*found[CheckedPlan], error) {
	if err := s.may(ctx, readCoverage); err != nil {
		return nil, err
	}
	on, err := dateOf("on", in.On, s.today())
	if err != nil {
		return nil, err
	}
	if u, known := s.Engine.Units().Unit(orgs.UnitCode(in.Code)); !known || u.Kind != orgs.Community {
		return nil, problem("not_found")
	}
	n := stream.Keyed(stream.Grids, in.Code)
	_, revision, err := s.Engine.Load(ctx, n) // before the plan: a change in between makes the tag too old, never too new
	if err != nil {
		return nil, err
	}
	tag := ""
	if revision >= 0 { // as that of the plan in GET /units/{code}: the next change wants it as If-Match
		tag = etag(revision)
	}
	if tag != "" && in.On != "" && matches(in.NoneMatch, tag) { // without a date the answer is another one tomorrow
		return &found[CheckedPlan]{Status: http.StatusNotModified, ETag: tag, Position: s.position()}, nil
	}
	state, err := s.Engine.LoadOn(ctx, n, on)
	if err != nil {
		return nil, err
	}
	st, _ := state.(orgs.GridsState)
	plan := CheckedPlan{Community: orgs.UnitCode(in.Code), On: on, Changed: st.On, Surveyed: st.Surveyed != "", Buildings: list(st.Buildings),
		Grids: gridPlan(st).Grids, Findings: []Finding{}}
	for _, b := range st.Buildings {
		for _, w := range b.Stairwells {
			plan.Households += w.Households
		}
	}
	for _, f := range orgs.Check(st, orgs.DefaultSizeBand()) {
		said := Finding{Fault: f.Fault, Severity: f.Severity, Grid: f.Grid, Block: f.Block, Message: f.En}
		if of(ctx).zh {
			said.Message = f.Zh
		}
		plan.Findings = append(plan.Findings, said)
	}
	return &found[CheckedPlan]{Status: http.StatusOK, ETag: tag, Position: s.position(), Body: plan}, nil
}

// ListedGrid is an active grid as it stood on a date.
type ListedGrid struct {
	Code       orgs.GridCode `json:"code"`
	Name       string        `json:"name"`
	Community  orgs.UnitCode `json:"community"`
	Urban      bool          `json:"urban"`
	Surveyed   bool          `json:"surveyed" doc:"Households are counted by stairwell, and not as when it was drawn."`
	Households int           `json:"households"`
	Buildings  int           `json:"buildings"`
	Stairwells int           `json:"stairwells"`
	Outside    bool          `json:"outside" doc:"Urban, and outside the size band."`
	Lead       string        `json:"lead,omitempty"`
	Acting     string        `json:"acting,omitempty"`
	Assistants int           `json:"assistants"`
	Groups     []string      `json:"party_groups,omitempty" doc:"Opaque codes of the party groups that serve it."`
	Leads      int           `json:"leads" doc:"Grids that its lead leads, this one included."`
}

// Covered is how the grids of one unit are covered on a date.
type Covered struct {
	Unit       orgs.UnitCode `json:"unit"`
	Name       string        `json:"name"`
	Kind       orgs.Kind     `json:"kind"`
	Grids      Count         `json:"grids" doc:"Active ones."`
	Led        Count         `json:"led" doc:"With a full-time lead."`
	Vacant     Count         `json:"vacant" doc:"Without."`
	Covered    Count         `json:"covered" doc:"Without, and somebody acts."`
	Households Sum           `json:"households"`
	Outside    Count         `json:"outside" doc:"Urban grids outside the size band."`
	Unsurveyed Count         `json:"unsurveyed" doc:"Grids of communities whose buildings nobody surveyed."`
	Leads      Sum           `json:"leads" doc:"Different full-time leads."`
	Shared     Count         `json:"shared" doc:"Grids whose lead leads others, too."`
	Most       Count         `json:"most" doc:"The most grids that one of these leads holds, in the district, or in the city if that is asked for."`
	Assistants Sum           `json:"assistants"`
	Groups     Sum           `json:"party_groups" doc:"Different party groups that serve a grid of it."`
	Grouped    Count         `json:"grouped" doc:"Grids that a party group serves."`
	Ungrouped  Count         `json:"ungrouped" doc:"Grids without one (党组织未覆盖)."`
}

// gridsLink is where the grids of a unit on a date are.
func gridsLink(unit orgs.UnitCode, on calendar.Date) string {
	return base + "/grids?unit=" + url.QueryEscape(string(unit)) + "&on=" + on.String()
}

// covered counts the grids of a unit. around is the unit within which its leads' other grids are known.
func covered(u, around orgs.Unit, gs []projections.GridDay, on calendar.Date, band orgs.SizeBand) Covered {
	link, city := gridsLink(u.Code, on), ""
	if around.Kind == orgs.City {
		city = "&around=city"
	}
	c := Covered{Unit: u.Code, Name: u.Name, Kind: u.Kind, Grids: Count{len(gs), link}, Led: Count{0, link + "&vacant=false"}, Vacant: Count{0, link + "&vacant=true"},
		Covered: Count{0, link + "&vacant=true&acting=true"}, Households: Sum{0, "households", link}, Outside: Count{0, link + "&size=outside"},
		Unsurveyed: Count{0, link + "&surveyed=false"}, Leads: Sum{0, "lead", link + "&vacant=false"}, Shared: Count{0, link + "&shared=true" + city},
		Most: Count{0, link + "&vacant=false"}, Assistants: Sum{0, "assistants", link}, // where nobody leads, nobody leads the most
		Groups: Sum{0, "party_groups", link + "&grouped=true"}, Grouped: Count{0, link + "&grouped=true"}, Ungrouped: Count{0, link + "&grouped=false"}}
	leads, groups, most := map[string]bool{}, map[string]bool{}, ""
	count := func(n *int, so bool) {
		if so {
			*n++
		}
	}
	for _, g := range gs {
		c.Households.Count += g.Households
		c.Assistants.Count += g.Assistants
		count(&c.Led.Count, g.Lead != "")
		count(&c.Vacant.Count, g.Lead == "")
		count(&c.Covered.Count, g.Lead == "" && g.Acting != "")
		count(&c.Outside.Count, outside(g, band))
		count(&c.Unsurveyed.Count, !g.Surveyed)
		count(&c.Shared.Count, g.Led > 1)
		count(&c.Leads.Count, g.Lead != "" && !leads[g.Lead])
		leads[g.Lead] = true
		count(&c.Grouped.Count, g.Groups != "")
		count(&c.Ungrouped.Count, g.Groups == "")
		for _, code := range strings.Fields(g.Groups) {
			groups[code] = true
		}
		if g.Led > c.Most.Count || g.Led == c.Most.Count && g.Lead < most {
			c.Most.Count, most = g.Led, g.Lead
		}
	}
	c.Groups.Count = len(groups)
	if most != "" {
		c.Most.Cases = gridsLink(around.Code, on) + "&lead=" + url.QueryEscape(most)
	}
	return c
}

// Coverage is how the grids of a unit, and of the units below it, are covered on a date.
type Coverage struct {
	On       calendar.Date `json:"on"`
	Low      int           `json:"low" doc:"The size band of an urban grid, in households."`
	High     int           `json:"high"`
	Total    Covered       `json:"total"`
	Rows     []Covered     `json:"rows" nullable:"false" doc:"In code order; units without an active grid are left out."`
	Position string        `json:"position"`
}

func outside(g projections.GridDay, band orgs.SizeBand) bool {
	zh, _ := orgs.SizeWarning(band, g.Urban, g.Households)
	return zh != ""
}

// below is the kind of unit that a unit's coverage is shown by, if nothing else is asked for.
func below(k orgs.Kind) orgs.Kind {
	switch k {
	case orgs.City:
		return orgs.District
	case orgs.District:
		return orgs.Street
	}
	return orgs.Community
}

// gridsOn returns the grids of a unit as they stood on a date, of the kind of units that divide places.
func (s *Server) gridsOn(ctx context.Context, code, day, around string) (u orgs.Unit, on calendar.Date, gs []projections.GridDay, err error) {
	if err = s.may(ctx, readCoverage); err != nil {
		return
	}
	if on, err = dateOf("on", day, s.today()); err != nil {
		return
	}
	t := s.Engine.Units()
	u, _ = t.Unit(orgs.UnitCode(code))
	district, _ := t.Ancestor(u.Code, orgs.District)
	if around == "city" {
		district = ""
	}
	if gs, err = s.Views.Views().GridsOn(ctx, district, on); err == nil {
		path := t.Path(u.Code)
		gs = slices.DeleteFunc(gs, func(g projections.GridDay) bool { return !strings.HasPrefix(g.Path, path) })
	}
	return
}

func (s *Server) readCoverage(ctx context.Context, in *struct {
	Unit string `query:"unit" format:"unit" required:"true" maxLength:"40"`
	On   string `query:"on" maxLength:"10" doc:"A date, such as 2025-07-01; today if there is none."`
	By   string `query:"by" enum:"district,street,community" doc:"The units to show; those below it if nothing is said."`
}) (*found[Coverage], error) {
	u, on, gs, err := s.gridsOn(ctx, in.Unit, in.On, "")
	if err != nil {
		return nil, err
	}
	t, band, position := s.Engine.Units(), orgs.DefaultSizeBand(), s.position()
	by := cmp.Or(orgs.Kind(in.By), below(u.Kind))
	around := u
	if district, within := t.Ancestor(u.Code, orgs.District); within {
		around, _ = t.Unit(district)
	}
	rows := map[orgs.UnitCode][]projections.GridDay{}
	for _, g := range gs {
		if at, found := t.Ancestor(g.Code.Unit(), by); found && at != u.Code && t.Within(at, u.Code) {
			rows[at] = append(rows[at], g)
		}
	}
	out := Coverage{On: on, Low: band.Low, High: band.High, Total: covered(u, around, gs, on, band), Rows: []Covered{}, Position: position}
	for _, at := range slices.Sorted(maps.Keys(rows)) {
		row, _ := t.Unit(at)
		out.Rows = append(out.Rows, covered(row, around, rows[at], on, band))
	}
	return &found[Coverage]{Status: http.StatusOK, Position: position, Body: out}, nil
}

type listGridsInput struct {
	Unit     string `query:"unit" format:"unit" required:"true" maxLength:"40" doc:"It and all below it."`
	On       string `query:"on" maxLength:"10" doc:"A date, such as 2025-07-01; today if there is none."`
	Vacant   string `query:"vacant" enum:"true,false" doc:"Without a full-time lead, whether or not somebody acts."`
	Acting   string `query:"acting" enum:"true,false" doc:"Somebody covers for the lead."`
	Size     string `query:"size" enum:"outside,within" doc:"Urban grids outside the size band, or all others."`
	Shared   string `query:"shared" enum:"true,false" doc:"The lead leads other grids, too."`
	Around   string `query:"around" enum:"district,city" doc:"Where a lead's other grids are looked for; in the district if nothing is said, or in the city if that is asked for."`
	Surveyed string `query:"surveyed" enum:"true,false"`
	Urban    string `query:"urban" enum:"true,false"`
	Grouped  string `query:"grouped" enum:"true,false" doc:"A party group serves it."`
	Worker   string `query:"worker" maxLength:"64" doc:"Leads it, or acts."`
	Lead     string `query:"lead" maxLength:"64" doc:"Leads it."`
	Limit    int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After    string `query:"after" maxLength:"400" doc:"The cursor next of the page before."`
	Count    bool   `query:"count"`
}

// fits reports whether a grid is asked for.
func (in *listGridsInput) fits(g projections.GridDay, band orgs.SizeBand) bool {
	is := func(asked string, so bool) bool { return asked == "" || (asked == "true") == so }
	return is(in.Vacant, g.Lead == "") && is(in.Acting, g.Acting != "") && is(in.Shared, g.Led > 1) && is(in.Surveyed, g.Surveyed) &&
		is(in.Urban, g.Urban) && is(in.Grouped, g.Groups != "") && (in.Size == "" || (in.Size == "outside") == outside(g, band)) &&
		(in.Worker == "" || in.Worker == g.Lead || in.Worker == g.Acting) && (in.Lead == "" || in.Lead == g.Lead)
}

// listGrids lists active grids in code order.
func (s *Server) listGrids(ctx context.Context, in *listGridsInput) (*listed[ListedGrid], error) {
	last, err1 := lastRow(ctx, in.After)
	_, _, gs, err2 := s.gridsOn(ctx, in.Unit, in.On, in.Around)
	if err := cmp.Or(err2, err1); err != nil {
		return nil, err
	}
	band, position := orgs.DefaultSizeBand(), s.position()
	gs = slices.DeleteFunc(gs, func(g projections.GridDay) bool { return !in.fits(g, band) })
	n, next := len(gs), ""
	gs = slices.DeleteFunc(gs, func(g projections.GridDay) bool { return string(g.Code) <= last })
	if len(gs) > in.Limit {
		gs = gs[:in.Limit]
		next = string(gs[in.Limit-1].Code)
	}
	items := briefs(gs, func(g projections.GridDay) ListedGrid {
		return ListedGrid{Code: g.Code, Name: g.Name, Community: g.Code.Community(), Urban: g.Urban, Surveyed: g.Surveyed, Households: g.Households,
			Buildings: g.Buildings, Stairwells: g.Stairwells, Outside: outside(g, band), Lead: g.Lead, Acting: g.Acting, Assistants: g.Assistants, Groups: strings.Fields(g.Groups), Leads: g.Led}
	})
	return pageOf(ctx, items, cursorAt(ctx, next), position, in.Count, func() (int, error) { return n, nil })
}

func (s *Server) planRoutes() {
	plan := func(name, summary string) huma.Operation {
		return huma.Operation{OperationID: name, Method: http.MethodPost, Path: base + "/communities/{code}/" + name, Summary: summary, Tags: []string{"units"}}
	}
	offer[surveyBlocksBody](s, plan("survey-blocks", "Record what there is to divide"), s.surveyBlocks)
	offer[mergeGridsBody](s, plan("merge-grids", "Make one new grid of several"), s.mergeGrids)
	gridCommand[assignHouseholdsBody](s, "assign-households", "Give buildings or stairwells to a grid")
	gridCommand[splitGridBody](s, "split-grid", "Divide a grid among new ones")
	get(s, "read-grid-plan", "/communities/{code}/grid-plan", "Read a community's plan on a date, looked over", "units", s.readGridPlan)
	get(s, "list-grids", "/grids", "List active grids on a date", "units", s.listGrids)
	get(s, "read-coverage", "/views/coverage", "Read how grids are covered on a date", "views", s.readCoverage)
}
