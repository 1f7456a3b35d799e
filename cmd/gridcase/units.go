package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
)

// unitsCmd keeps the organisation: units, grids, workers.
type unitsCmd struct {
	Load  unitsLoadCmd  `cmd:"" help:"Open the units, draw the grids and give them the surveyed blocks of a YAML file; what exists stays as it is, but a survey takes the place of the one before."`
	List  unitsListCmd  `cmd:"" help:"List units with their grids."`
	Check unitsCheckCmd `cmd:"" help:"Look the grid plans of all communities over; exit 1 if a household has no grid, or two."`
}

type unitsLoadCmd struct {
	home
	Data string `required:"" help:"Data folder." type:"path" placeholder:"DIR"`
	File string `arg:"" help:"YAML file with units and grids." type:"existingfile"`
}

// unitsFile is the form of a units file. Units come before the units inside them.
type unitsFile struct {
	Units   []unitEntry   `yaml:"units"`
	Surveys []surveyEntry `yaml:"surveys"`
	Grids   []gridEntry   `yaml:"grids"`
}

// surveyEntry is what there is to divide in a community: for each building the households of its stairwells.
type surveyEntry struct {
	Community orgs.UnitCode   `yaml:"community"`
	Buildings []buildingEntry `yaml:"buildings"`
}

type buildingEntry struct {
	Code       orgs.BlockCode `yaml:"code"`
	Stairwells map[string]int `yaml:"stairwells"` // households by the stairwell's own part of the code
}

type unitEntry struct {
	Code       orgs.UnitCode   `yaml:"code"`
	Name       string          `yaml:"name"`
	Kind       orgs.Kind       `yaml:"kind"`
	Parent     orgs.UnitCode   `yaml:"parent"`
	Department orgs.UnitCode   `yaml:"department"`
	Members    []orgs.UnitCode `yaml:"members"`
}

type gridEntry struct {
	Code       orgs.GridCode    `yaml:"code"`
	Name       string           `yaml:"name"`
	Households int              `yaml:"households"`
	Buildings  int              `yaml:"buildings"`
	Stairwells int              `yaml:"stairwells"`
	Urban      bool             `yaml:"urban"`
	Lead       string           `yaml:"lead"`   // opaque id of the full-time lead
	Blocks     []orgs.BlockCode `yaml:"blocks"` // buildings or stairwells of the survey
}

func (c unitsLoadCmd) Run(ctx context.Context, io streams) error {
	var f unitsFile
	if err := readYAML(c.File, "units", &f); err != nil {
		return err
	}
	h, err := openHouse(ctx, c.Data, io, c.in(houseOptions{}))
	if err != nil {
		return err
	}
	defer h.close()
	before := h.engine.Units().Len()
	p := newProgress(io.err, "units and grids", int64(len(f.Units)+len(f.Surveys)+len(f.Grids)))
	for i, u := range f.Units {
		if err := h.openUnit(ctx, u); err != nil {
			return err
		}
		p.at(int64(i + 1))
	}
	for i, v := range f.Surveys {
		if err := h.survey(ctx, v); err != nil {
			return err
		}
		p.at(int64(len(f.Units) + i + 1))
	}
	for i, g := range f.Grids {
		if err := h.drawGrid(ctx, g); err != nil {
			return err
		}
		p.at(int64(len(f.Units) + len(f.Surveys) + i + 1))
	}
	p.end()
	fmt.Fprintf(io.out, "%d units, %d of them new\n", h.engine.Units().Len(), h.engine.Units().Len()-before)
	return nil
}

// local is who acts when the program itself is told to from the command line of the machine.
var local = rule.Actor{ID: "local", Role: orgs.System}

// openUnit opens a unit unless it is open.
func (h *house) openUnit(ctx context.Context, u unitEntry) error {
	if have, known := h.engine.Units().Unit(u.Code); known && !have.Closed {
		return nil
	}
	c := orgs.OpenUnit{Code: u.Code, Name: u.Name, Kind: u.Kind, Parent: u.Parent, Department: u.Department, Members: u.Members}
	return h.organise(ctx, stream.Keyed(stream.Unit, string(u.Code)), c, "open")
}

func (h *house) drawGrid(ctx context.Context, g gridEntry) error {
	n := stream.Keyed(stream.Grids, string(g.Code.Community()))
	have, known := h.engine.Units().Grid(g.Code)
	if !known {
		c := orgs.DrawGrid{Grid: g.Code, Name: g.Name, Households: g.Households, Buildings: g.Buildings, Stairwells: g.Stairwells, Urban: g.Urban}
		if err := h.organise(ctx, n, c, "draw/"+string(g.Code)); err != nil {
			return err
		}
	}
	if have.Retired {
		return nil
	}
	state, revision, err := h.engine.Load(ctx, n)
	if err != nil {
		return err
	}
	plan, _ := state.(orgs.GridsState)
	if is, _ := plan.Grid(g.Code); len(g.Blocks) > 0 && len(is.Stairwells) == 0 {
		if err := h.organise(ctx, n, orgs.AssignHouseholds{Grid: g.Code, Blocks: g.Blocks}, fmt.Sprint("assign/", revision)); err != nil {
			return err
		}
	}
	if g.Lead == "" || have.Lead == g.Lead {
		return nil
	}
	return h.organise(ctx, n, orgs.AppointGridWorker{Grid: g.Code, Worker: g.Lead, Duty: orgs.DutyLead, FullTime: true}, "lead/"+string(g.Code)+"/"+g.Lead)
}

// survey records what there is to divide in a community, in the place of an earlier survey.
func (h *house) survey(ctx context.Context, v surveyEntry) error {
	c := orgs.SurveyBlocks{Of: v.Community}
	for _, b := range v.Buildings {
		building := orgs.Building{Code: b.Code}
		for _, own := range slices.Sorted(maps.Keys(b.Stairwells)) {
			building.Stairwells = append(building.Stairwells, orgs.Stairwell{Code: b.Code + "/" + orgs.BlockCode(own), Households: b.Stairwells[own]})
		}
		c.Buildings = append(c.Buildings, building)
	}
	n := stream.Keyed(stream.Grids, string(v.Community))
	_, revision, err := h.engine.Load(ctx, n)
	if err != nil {
		return err
	}
	return h.organise(ctx, n, c, fmt.Sprint("survey/", revision)) // a survey may come back to what an earlier one said
}

// organise gives one command to a unit's or a community's stream and waits until the organisation shows it.
func (h *house) organise(ctx context.Context, n stream.Name, c engine.Command, key string) error {
	r, err := h.engine.Handle(ctx, engine.Request{Stream: n, Commands: []engine.Command{c}, Key: "local/" + key, Actor: local, Expect: engine.Any})
	if err != nil {
		return fmt.Errorf("%s: %w", n, err)
	}
	return h.engine.Settled(ctx, r.Position)
}

type unitsListCmd struct {
	home
	Data  string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Below string `help:"Only this unit and what lies below it." placeholder:"CODE"`
}

func (c unitsListCmd) Run(ctx context.Context, io streams) error {
	h, err := openHouse(ctx, c.Data, io, c.in(houseOptions{existing: true}))
	if err != nil {
		return err
	}
	defer h.close()
	tree := h.engine.Units()
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CODE\tKIND\tNAME\tGRIDS\tHOUSEHOLDS\tVACANCIES")
	for u := range tree.All() {
		if c.Below != "" && !tree.Within(u.Code, orgs.UnitCode(c.Below)) {
			continue
		}
		grids, households, vacant := 0, 0, 0
		for _, g := range tree.Grids(u.Code) {
			if g.Retired {
				continue
			}
			grids++
			households += g.Households
			if g.Lead == "" {
				vacant++
			}
		}
		indent := strings.Repeat("  ", strings.Count(tree.Path(u.Code), "/")-2)
		if grids > 0 {
			fmt.Fprintf(w, "%s\t%s\t%s%s\t%d\t%d\t%d\n", u.Code, u.Kind, indent, u.Name, grids, households, vacant)
		} else {
			fmt.Fprintf(w, "%s\t%s\t%s%s\t\t\t\n", u.Code, u.Kind, indent, u.Name)
		}
	}
	return w.Flush()
}

type unitsCheckCmd struct {
	home
	Data  string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Below string `help:"Only this unit and what lies below it." placeholder:"CODE"`
}

// errBroken: a plan is no division of its households.
var errBroken = errors.New("a household has no grid, or two")

func (c unitsCheckCmd) Run(ctx context.Context, io streams) error {
	h, err := openHouse(ctx, c.Data, io, c.in(houseOptions{existing: true}))
	if err != nil {
		return err
	}
	defer h.close()
	tree := h.engine.Units()
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	communities, broken, advice := 0, 0, 0
	for u := range tree.All() {
		if u.Kind != orgs.Community || u.Closed || c.Below != "" && !tree.Within(u.Code, orgs.UnitCode(c.Below)) {
			continue
		}
		communities++
		state, _, err := h.engine.Load(ctx, stream.Keyed(stream.Grids, string(u.Code)))
		if err != nil {
			return err
		}
		plan, _ := state.(orgs.GridsState)
		for _, f := range orgs.Check(plan, orgs.DefaultSizeBand()) {
			if f.Severity == orgs.Broken {
				broken++
			} else {
				advice++
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Code, f.Severity, f.Fault, f.Zh, f.En)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%d communities, %d errors, %d warnings\n", communities, broken, advice)
	if broken > 0 {
		return errBroken
	}
	return nil
}
