package city

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"

	"gridcase/domain/orgs"
)

// Figure is a number about the city. Assumed is "" for a published one; otherwise the number is ours, and
// Assumed says why it is what it is, wherever the number is shown.
type Figure struct {
	Value   int
	Assumed string
}

// UnmarshalJSON reads a bare number, which is published, or {"v": number, "a": "reason"}, which is assumed.
func (f *Figure) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '{' {
		*f = Figure{}
		return json.Unmarshal(b, &f.Value)
	}
	var assumed struct {
		V *int   `json:"v"`
		A string `json:"a"`
	}
	if err := json.Unmarshal(b, &assumed); err != nil {
		return err
	}
	if assumed.V == nil || assumed.A == "" {
		return fmt.Errorf("figure %s: an assumption has a value and a reason", b)
	}
	*f = Figure{Value: *assumed.V, Assumed: assumed.A}
	return nil
}

// Figures is what is known, or assumed, about the city and its counties.
type Figures struct {
	City     CityFigures                     `json:"city"`
	Counties map[orgs.UnitCode]CountyFigures `json:"units"`
}

// CityFigures hold for every county.
type CityFigures struct {
	Name       string        `json:"name"`
	Code       orgs.UnitCode `json:"code"`
	Year       Figure        `json:"year"` // that is simulated
	Seed       int           `json:"seed"` // of the demo, where nobody asks for another
	Households struct {
		Urban Figure `json:"urban"`
		Rural Figure `json:"rural"`
	} `json:"households_per_grid"`
	Departments Figure `json:"departments_per_district"`
	Agencies    Figure `json:"agencies_per_street"`
}

// CountyFigures are one county's. Those in Reference steer nothing: they are what the city published beside.
type CountyFigures struct {
	Name     string `json:"name"`
	Grids    Figure `json:"grids"` // over the communities that Over names
	Over     string `json:"over"`  // "all", or "villages"
	Extra    Figure `json:"extra"` // further grids: one for each community that Over leaves out
	Leads    Figure `json:"leads"` // full-time lead workers
	Workers  Figure `json:"workers"`
	Groups   Figure `json:"party_groups"` // where none are published, every grid has one
	Errands  Figure `json:"errands"`
	Issues   Figure `json:"issues"`
	Disputes Figure `json:"disputes"`

	Reference
}

// Reference are figures that the city published and that the demo only shows.
type Reference struct {
	BuildingGroups         Figure   `json:"building_groups"`
	BuildingHeads          Figure   `json:"building_heads"`
	BuildingStairwellHeads Figure   `json:"building_stairwell_heads"`
	Centres                []Figure `json:"centres"` // of the county, its towns, its villages
	Communities            Figure   `json:"communities"`
	CommunityWorkers       Figure   `json:"community_workers"`
	ErrandTeams            Figure   `json:"errand_teams"`
	EstateModes            Figure   `json:"estate_modes"`
	Estates                Figure   `json:"estates"`
	MediationCentres       Figure   `json:"mediation_centres"`
	MemberHouseholds       Figure   `json:"member_households"`
	MemberUnits            Figure   `json:"member_units"`
	MicroProjects          Figure   `json:"micro_projects"`
	NewCommunities         Figure   `json:"new_communities"`
	PatrolPartTime         Figure   `json:"patrol_part_time"`
	PatrolPeople           Figure   `json:"patrol_people"`
	PatrolTeams            Figure   `json:"patrol_teams"`
	Projects               Figure   `json:"projects"`
	Resources              Figure   `json:"resources"`
	Results                Figure   `json:"results"`
	Roles                  Figure   `json:"roles"`
	Secretaries            Figure   `json:"secretaries"`
	SocialOrgsPerCommunity Figure   `json:"social_orgs_per_community"`
	StairwellHeads         Figure   `json:"stairwell_heads"`
	Stations               Figure   `json:"stations"`
	StreetCommittees       Figure   `json:"street_committees"`
	SunkOfficers           Figure   `json:"sunk_officers"`
	SunkPeople             Figure   `json:"sunk_people"`
	Tasks                  Figure   `json:"tasks"`
	Teams                  Figure   `json:"teams"`
	Townships              Figure   `json:"townships"`
	Villages               Figure   `json:"villages"`
}

// Demands returns the demands of a year: errands, issues and disputes together.
func (f CountyFigures) Demands() int { return f.Errands.Value + f.Issues.Value + f.Disputes.Value }

//go:embed figures.json
var figuresText []byte

// Published returns the figures that the city published, with our assumptions marked as such.
func Published() Figures {
	f, err := parseFigures(figuresText)
	if err != nil {
		panic("city: figures.json: " + err.Error()) // a fault of the build, found by any test
	}
	return f
}

func parseFigures(text []byte) (Figures, error) {
	var f Figures
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return f, fmt.Errorf("figures: %w", err)
	}
	return f, nil
}
