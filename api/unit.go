package api

import (
	"context"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/engine"
)

// Unit is an organisation (单位).
type Unit struct {
	Code       orgs.UnitCode   `json:"code"`
	Name       string          `json:"name"`
	Kind       orgs.Kind       `json:"kind"`
	Level      orgs.Level      `json:"level" doc:"1 grid to 5 city."`
	Parent     orgs.UnitCode   `json:"parent,omitempty" doc:"Where it sits."`
	Department orgs.UnitCode   `json:"department,omitempty" doc:"That dispatched an agency."`
	Members    []orgs.UnitCode `json:"members,omitempty"`
	Closed     bool            `json:"closed,omitempty"`
	Successors []orgs.UnitCode `json:"successors,omitempty" doc:"Of a grid or community that was split or merged: what stands in its place today."`
	Path       string          `json:"path"`
	Receipt    *Receipt        `json:"receipt,omitempty"`
}

// Grid is a grid (网格). Who works there is an opaque id.
type Grid struct {
	Code       orgs.GridCode    `json:"code"`
	Name       string           `json:"name"`
	Community  orgs.UnitCode    `json:"community"`
	Households int              `json:"households"`
	Buildings  int              `json:"buildings"`
	Stairwells int              `json:"stairwells"`
	Urban      bool             `json:"urban"`
	Lead       string           `json:"lead,omitempty"`
	Acting     string           `json:"acting,omitempty"`
	Groups     []string         `json:"party_groups,omitempty" doc:"Opaque codes of the party groups that serve it."`
	Retired    bool             `json:"retired,omitempty"`
	Successors []orgs.GridCode  `json:"successors,omitempty" doc:"That continue it since it was split or merged."`
	Blocks     []orgs.BlockCode `json:"blocks,omitempty" doc:"Its stairwells."`
	Served     int              `json:"served" doc:"Households of its stairwells by the last survey; without one, as counted when it was drawn."`
	Since      calendar.Date    `json:"since,omitzero"`
	Until      calendar.Date    `json:"until,omitzero" doc:"The first day without it."`
}

// GridPlan is all grids of a community.
type GridPlan struct {
	Community orgs.UnitCode `json:"community"`
	Grids     []Grid        `json:"grids" nullable:"false"`
	Warning   string        `json:"warning,omitempty" doc:"A remark on the size of the grid that was drawn; nothing is refused for it."`
	Receipt   *Receipt      `json:"receipt,omitempty"`
}

func unitOf(t *orgs.Tree, u orgs.Unit) Unit {
	out := Unit{Code: u.Code, Name: u.Name, Kind: u.Kind, Level: u.Level, Parent: u.Parent, Department: u.Department, Members: u.Members,
		Closed: u.Closed, Path: t.Path(u.Code)}
	if next := t.Successors(u.Code, math.MaxInt32); !slices.Equal(next, []orgs.UnitCode{u.Code}) {
		out.Successors = next
	}
	return out
}

// The bodies of the operator's commands on units.
type (
	openUnitBody struct {
		Happened
		Code       orgs.UnitCode   `json:"code" format:"code"`
		Name       string          `json:"name" minLength:"1" maxLength:"100" doc:"Of the organisation, never of a person."`
		Kind       orgs.Kind       `json:"kind" enum:"city,bureau,district,department,street,agency,community,joint_team,centre,utility,property,social_org,team,hotline,oversight"`
		Parent     orgs.UnitCode   `json:"parent,omitempty" format:"unit"`
		Department orgs.UnitCode   `json:"department,omitempty" format:"unit"`
		Members    []orgs.UnitCode `json:"members,omitempty" format:"unit" maxItems:"100"`
	}
	renameUnitBody struct {
		Happened
		Name string `json:"name" minLength:"1" maxLength:"100"`
	}
	setMembersBody struct {
		Happened
		Members []orgs.UnitCode `json:"members" format:"unit" minItems:"1" maxItems:"100" doc:"All of them."`
	}
	closeUnitBody struct {
		Happened
		Successor orgs.UnitCode `json:"successor,omitempty" format:"unit"`
	}
	splitUnitBody struct {
		Happened
		Into []orgs.UnitCode `json:"into" format:"unit" minItems:"2" maxItems:"100" doc:"The communities that continue it, opened before."`
	}
	mergeUnitBody struct {
		Happened
		Into orgs.UnitCode `json:"into" format:"unit" doc:"The community that continues it, opened before."`
	}
	drawGridBody struct {
		Happened
		Grid       orgs.GridCode `json:"grid" format:"code" minLength:"15" maxLength:"15"`
		Name       string        `json:"name" minLength:"1" maxLength:"100"`
		Households int           `json:"households" minimum:"0" maximum:"100000"`
		Buildings  int           `json:"buildings" minimum:"0" maximum:"100000"`
		Stairwells int           `json:"stairwells" minimum:"0" maximum:"100000"`
		Urban      bool          `json:"urban"`
	}
	retireGridBody        struct{ Happened }
	appointGridWorkerBody struct {
		Happened
		Worker   string    `json:"worker" format:"token" maxLength:"64" doc:"Opaque id, never a name."`
		Duty     orgs.Duty `json:"duty" enum:"lead,assistant"`
		FullTime bool      `json:"full_time"`
	}
	relieveGridWorkerBody struct {
		Happened
		Worker string `json:"worker" format:"token" maxLength:"64"`
	}
	appointActingWorkerBody struct {
		Happened
		Worker string `json:"worker" format:"token" maxLength:"64"`
	}
	setPartyGroupsBody struct {
		Happened
		Groups []string `json:"groups" format:"token" maxItems:"20" maxLength:"64" doc:"All of them, by opaque codes of organisations, never by names of persons; none: the grid is not covered."`
	}
)

func (b renameUnitBody) on(u orgs.UnitCode) engine.Command {
	return orgs.RenameUnit{Code: u, Name: b.Name}
}
func (b setMembersBody) on(u orgs.UnitCode) engine.Command {
	return orgs.SetMembers{Code: u, Members: b.Members}
}
func (b closeUnitBody) on(u orgs.UnitCode) engine.Command {
	return orgs.CloseUnit{Code: u, Successor: b.Successor}
}
func (b splitUnitBody) on(u orgs.UnitCode) engine.Command {
	return orgs.SplitCommunity{Code: u, Into: b.Into}
}
func (b mergeUnitBody) on(u orgs.UnitCode) engine.Command {
	return orgs.MergeCommunity{Code: u, Into: b.Into}
}
func (b retireGridBody) on(g orgs.GridCode) engine.Command { return orgs.RetireGrid{Grid: g} }
func (b appointGridWorkerBody) on(g orgs.GridCode) engine.Command {
	return orgs.AppointGridWorker{Grid: g, Worker: b.Worker, Duty: b.Duty, FullTime: b.FullTime}
}
func (b relieveGridWorkerBody) on(g orgs.GridCode) engine.Command {
	return orgs.RelieveGridWorker{Grid: g, Worker: b.Worker}
}
func (b appointActingWorkerBody) on(g orgs.GridCode) engine.Command {
	return orgs.AppointActingWorker{Grid: g, Worker: b.Worker}
}
func (b setPartyGroupsBody) on(g orgs.GridCode) engine.Command {
	return orgs.SetPartyGroups{Grid: g, Groups: b.Groups}
}

type unitCommandInput[B any] struct {
	Code    string `path:"code"`
	IfMatch string `header:"If-Match" doc:"Required. The ETag that was read."`
	Post
	content[B]
}

type gridsCommandInput[B any] struct {
	Code    string `path:"code"`
	Grid    string `path:"grid"`
	IfMatch string `header:"If-Match" doc:"Required. The ETag of the community's grids."`
	Post
	content[B]
}

// settled answers a change of the organisation once the tree that rules and answers go by has it.
func (s *Server) settled(ctx context.Context, r engine.Receipt) error {
	ctx, cancel := context.WithTimeout(ctx, s.Limits.Patience)
	defer cancel()
	return s.Engine.Settled(ctx, r.Position)
}

func (s *Server) openUnit(ctx context.Context, in *postInput[openUnitBody]) (*answer[Unit], error) {
	if err := s.may(ctx, keepUnits); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	b := in.body
	receipt, err := s.begins(ctx, stream.Keyed(stream.Unit, string(b.Code)), key, b.OccurredAt, orgs.OpenUnit{Code: b.Code, Name: b.Name, Kind: b.Kind,
		Parent: b.Parent, Department: b.Department, Members: b.Members})
	if err == nil {
		err = s.settled(ctx, receipt)
	}
	if err != nil {
		return nil, err
	}
	u := s.stateOfUnit(receipt.State)
	u.Receipt = receiptOf(receipt)
	return answered(http.StatusCreated, base+"/units/"+string(b.Code), receipt, u), nil
}

// stateOfUnit renders a unit as its stream had it; what never changes comes from the tree.
func (s *Server) stateOfUnit(state any) Unit {
	st := state.(orgs.UnitState)
	t := s.Engine.Units()
	u, _ := t.Unit(st.Opened.Code)
	u.Name, u.Members, u.Closed = st.Name, st.Members, st.Closed
	return unitOf(t, u)
}

// unitCommand offers a change of one unit.
func unitCommand[B interface {
	on(orgs.UnitCode) engine.Command
	when() time.Time
}](s *Server, name, summary string) {
	op := huma.Operation{OperationID: name + "-unit", Method: http.MethodPost, Path: base + "/units/{code}/" + name, Summary: summary, Tags: []string{"units"}}
	offer[B](s, op, func(ctx context.Context, in *unitCommandInput[B]) (*answer[Unit], error) {
		code := orgs.UnitCode(in.Code)
		if u, known := s.Engine.Units().Unit(code); !known || u.Kind == orgs.Grid {
			return nil, problem("not_found")
		}
		receipt, err := s.give(ctx, stream.Keyed(stream.Unit, in.Code), keepUnits, given{Post: in.Post, ifMatch: in.IfMatch,
			occurred: in.body.when(), command: in.body.on(code)})
		if err == nil {
			err = s.settled(ctx, receipt)
		}
		if err != nil {
			return nil, err
		}
		u := s.stateOfUnit(receipt.State)
		u.Receipt = receiptOf(receipt)
		return answered(http.StatusOK, "", receipt, u), nil
	})
}

// gridCommand offers a change of one grid.
func gridCommand[B interface {
	on(orgs.GridCode) engine.Command
	when() time.Time
}](s *Server, name, summary string) {
	op := huma.Operation{OperationID: name, Method: http.MethodPost, Path: base + "/communities/{code}/grids/{grid}/" + name, Summary: summary, Tags: []string{"units"}}
	offer[B](s, op, func(ctx context.Context, in *gridsCommandInput[B]) (*answer[GridPlan], error) {
		grid := orgs.GridCode(in.Grid)
		if _, known := s.Engine.Units().Grid(grid); !known || string(grid.Community()) != in.Code {
			return nil, problem("not_found")
		}
		receipt, err := s.give(ctx, stream.Keyed(stream.Grids, in.Code), keepUnits, given{Post: in.Post, ifMatch: in.IfMatch,
			occurred: in.body.when(), command: in.body.on(grid)})
		return s.planned(ctx, http.StatusOK, receipt, err)
	})
}

// planned answers a change of a community's grids.
func (s *Server) planned(ctx context.Context, status int, receipt engine.Receipt, err error) (*answer[GridPlan], error) {
	if err == nil {
		err = s.settled(ctx, receipt)
	}
	if err != nil {
		return nil, err
	}
	plan := gridPlan(receipt.State)
	plan.Receipt = receiptOf(receipt)
	return answered(status, base+"/communities/"+string(plan.Community)+"/grids", receipt, plan), nil
}

func gridPlan(state any) GridPlan {
	st, _ := state.(orgs.GridsState)
	p := GridPlan{Community: st.Community(), Grids: []Grid{}}
	for _, g := range st.Grids {
		p.Grids = append(p.Grids, Grid{Code: g.Drawn.Grid, Name: g.Drawn.Name, Community: st.Community(), Households: g.Drawn.Households,
			Buildings: g.Drawn.Buildings, Stairwells: g.Drawn.Stairwells, Urban: g.Drawn.Urban, Lead: g.Lead, Acting: g.Acting, Groups: g.Groups, Retired: g.Retired,
			Successors: g.Successors, Blocks: g.Stairwells, Served: st.Served(g), Since: g.Since, Until: g.Until})
	}
	return p
}

// plans gives a command to a community's plan: the first begins it, each further one changes it, and wants its ETag.
func (s *Server) plans(ctx context.Context, community, key string, g given) (engine.Receipt, error) {
	n := stream.Keyed(stream.Grids, community)
	_, revision, err := s.Engine.Load(ctx, n)
	if err != nil {
		return engine.Receipt{}, err
	}
	if revision < 0 || g.ifMatch == "" && s.repeats(ctx, n, g.Post) {
		return s.begins(ctx, n, key, g.occurred, g.command)
	}
	return s.give(ctx, n, keepUnits, g)
}

// drawGrid draws a grid.
func (s *Server) drawGrid(ctx context.Context, in *unitCommandInput[drawGridBody]) (*answer[GridPlan], error) {
	if u, known := s.Engine.Units().Unit(orgs.UnitCode(in.Code)); !known || u.Kind != orgs.Community {
		return nil, problem("not_found")
	}
	if err := s.may(ctx, keepUnits); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	b := in.body
	if string(b.Grid.Community()) != in.Code {
		return nil, invalid(fault("body.grid", "contradiction", "网格代码须以社区代码开头", "must begin with the code of the community"))
	}
	receipt, err := s.plans(ctx, in.Code, key, given{Post: in.Post, ifMatch: in.IfMatch, occurred: b.OccurredAt, command: orgs.DrawGrid{Grid: b.Grid,
		Name: b.Name, Households: b.Households, Buildings: b.Buildings, Stairwells: b.Stairwells, Urban: b.Urban}})
	a, err := s.planned(ctx, http.StatusCreated, receipt, err)
	if err != nil {
		return nil, err
	}
	if zh, en := orgs.SizeWarning(orgs.DefaultSizeBand(), b.Urban, b.Households); zh != "" {
		a.Body.Warning = en
		if of(ctx).zh {
			a.Body.Warning = zh
		}
	}
	return a, nil
}

func (s *Server) readUnit(ctx context.Context, in *struct {
	Code      string `path:"code"`
	NoneMatch string `header:"If-None-Match"`
}) (*found[Unit], error) {
	t := s.Engine.Units()
	u, known := t.Unit(orgs.UnitCode(in.Code))
	if !known {
		return nil, problem("not_found")
	}
	n := stream.Keyed(stream.Unit, in.Code)
	if u.Kind == orgs.Grid {
		n = stream.Keyed(stream.Grids, string(u.Parent))
	}
	_, revision, err := s.Engine.Load(ctx, n)
	if err != nil {
		return nil, err
	}
	if matches(in.NoneMatch, etag(revision)) {
		return &found[Unit]{Status: http.StatusNotModified, ETag: etag(revision), Position: s.position()}, nil
	}
	return &found[Unit]{Status: http.StatusOK, ETag: etag(revision), Position: s.position(), Body: unitOf(t, u)}, nil
}

type listUnitsInput struct {
	Parent string `query:"parent" format:"unit" maxLength:"40" doc:"Those that sit directly in it."`
	Within string `query:"within" format:"unit" maxLength:"40" doc:"It and all below it."`
	Kind   string `query:"kind" enum:"city,bureau,district,department,street,agency,community,joint_team,centre,utility,property,social_org,team,hotline,oversight"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After  string `query:"after" maxLength:"400" doc:"The cursor next of the page before."`
	Count  bool   `query:"count"`
}

// listUnits lists units in code order. The organisation is small and in memory.
func (s *Server) listUnits(ctx context.Context, in *listUnitsInput) (*listed[Unit], error) {
	last, err := lastRow(ctx, in.After)
	if err != nil {
		return nil, err
	}
	t := s.Engine.Units()
	var items []Unit
	n, next := 0, ""
	for u := range t.All() {
		if in.Parent != "" && string(u.Parent) != in.Parent || in.Kind != "" && string(u.Kind) != in.Kind ||
			in.Within != "" && !t.Within(u.Code, orgs.UnitCode(in.Within)) {
			continue
		}
		n++
		switch {
		case string(u.Code) <= last:
		case len(items) < in.Limit:
			items = append(items, unitOf(t, u))
		case next == "":
			next = string(items[len(items)-1].Code)
		}
	}
	return pageOf(ctx, items, cursorAt(ctx, next), s.position(), in.Count, func() (int, error) { return n, nil })
}

func (s *Server) readGrids(ctx context.Context, in *struct {
	Code      string `path:"code"`
	NoneMatch string `header:"If-None-Match"`
}) (*found[GridPlan], error) {
	if u, known := s.Engine.Units().Unit(orgs.UnitCode(in.Code)); !known || u.Kind != orgs.Community {
		return nil, problem("not_found")
	}
	state, revision, err := s.Engine.Load(ctx, stream.Keyed(stream.Grids, in.Code))
	if err != nil {
		return nil, err
	}
	plan := gridPlan(state)
	plan.Community = orgs.UnitCode(in.Code)
	out := &found[GridPlan]{Status: http.StatusOK, Position: s.position(), Body: plan}
	if revision >= 0 {
		out.ETag = etag(revision)
		if matches(in.NoneMatch, out.ETag) {
			return &found[GridPlan]{Status: http.StatusNotModified, ETag: out.ETag, Position: out.Position}, nil
		}
	}
	return out, nil
}

func (s *Server) unitRoutes() {
	offer[openUnitBody](s, huma.Operation{OperationID: "open-unit", Method: http.MethodPost, Path: base + "/units", DefaultStatus: http.StatusCreated,
		Summary: "Open a unit", Tags: []string{"units"}}, s.openUnit)
	unitCommand[renameUnitBody](s, "rename", "Rename a unit")
	unitCommand[setMembersBody](s, "set-members", "Set the member agencies of a joint team")
	unitCommand[closeUnitBody](s, "close", "Close a unit")
	unitCommand[splitUnitBody](s, "split", "Close a community that others continue")
	unitCommand[mergeUnitBody](s, "merge", "Close a community that another continues")
	get(s, "list-units", "/units", "List units", "units", s.listUnits)
	get(s, "read-unit", "/units/{code}", "Read a unit, or a grid as a unit", "units", s.readUnit)
	offer[drawGridBody](s, huma.Operation{OperationID: "draw-grid", Method: http.MethodPost, Path: base + "/communities/{code}/grids",
		DefaultStatus: http.StatusCreated, Summary: "Draw a grid", Tags: []string{"units"}}, s.drawGrid)
	gridCommand[retireGridBody](s, "retire-grid", "Retire a grid")
	gridCommand[appointGridWorkerBody](s, "appoint-grid-worker", "Appoint a worker")
	gridCommand[relieveGridWorkerBody](s, "relieve-grid-worker", "Relieve a worker")
	gridCommand[appointActingWorkerBody](s, "appoint-acting-worker", "Let a worker cover for the lead")
	gridCommand[setPartyGroupsBody](s, "set-party-groups", "Say which party groups serve a grid (网格党小组)")
	s.planRoutes()
	get(s, "read-grids", "/communities/{code}/grids", "Read the grids of a community", "units", s.readGrids)
}
