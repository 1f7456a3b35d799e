package api

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// ScoreFile is what one street's evaluation of one unit comes to, with the arithmetic.
type ScoreFile struct {
	Street     orgs.UnitCode `json:"street"`
	Unit       orgs.UnitCode `json:"unit"`
	Items      []ScoreItem   `json:"items" nullable:"false" doc:"The objective part."`
	Objective  string        `json:"objective" doc:"Of 100, exact; — if there is none."`
	Subjective string        `json:"subjective" doc:"As objective: form and ratings."`
	Form       string        `json:"form"`
	Ratings    string        `json:"ratings" doc:"Mean of the ratings per case, if the scheme counts them."`
	Deductions []ScoreEvents `json:"deductions" nullable:"false"`
	Bonuses    []ScoreEvents `json:"bonuses" nullable:"false"`
	Sample     string        `json:"sample" doc:"Legs due and summonses."`
	Score      string        `json:"score" doc:"Exact."`
	Printed    string        `json:"printed"`
	Weight     string        `json:"weight" doc:"What the street counts among the streets."`
	Flags      []string      `json:"flags" nullable:"false"`
	Steps      []WorkingFile `json:"steps" nullable:"false"`
	Evaluation string        `json:"evaluation,omitempty" doc:"What the street handed in; absent if nothing counts."`
}

// ScoreItem is one line of the objective part.
type ScoreItem struct {
	Indicator assessment.Indicator `json:"indicator"`
	Name      string               `json:"name"`
	Shape     assessment.Shape     `json:"shape,omitempty" doc:"How the value becomes points; of a card absent."`
	N         string               `json:"n"`
	D         string               `json:"d"`
	Value     string               `json:"value" doc:"In per cent, as printed."`
	Points    string               `json:"points" doc:"Exact."`
	Most      string               `json:"most"`
	Dropped   bool                 `json:"dropped,omitempty" doc:"It does not count: the others are scaled."`
	Figure    string               `json:"figure"`
}

// ScoreEvents is a deduction or a bonus.
type ScoreEvents struct {
	Indicator assessment.Indicator `json:"indicator"`
	Name      string               `json:"name"`
	Events    string               `json:"events"`
	Points    string               `json:"points" doc:"Below 0 for a deduction."`
	Cap       string               `json:"cap"`
	Figure    string               `json:"figure"`
}

// ScoresQuery says which scores of a period.
type ScoresQuery struct {
	ResultQuery
	Unit   string `query:"unit" format:"unit" maxLength:"40"`
	Street string `query:"street" format:"unit-or-dash" maxLength:"40" doc:"A street; - is the figure of none."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After  string `query:"after" maxLength:"200"`
}

func (q ScoresQuery) figures() *FiguresQuery {
	f := q.ResultQuery.figures()
	f.Limit, f.After = q.Limit, q.After
	return f
}

func (s *Server) scores(ctx context.Context, in *ScoresQuery) (*listed[ScoreFile], error) {
	position := s.position()
	r, err := s.read(ctx, in.figures())
	if err != nil {
		return nil, err
	}
	var of []*assessment.Score
	for i := range r.Scores {
		sc := &r.Scores[i]
		if r.sees(assessment.Key{Unit: sc.Unit, Street: sc.Street}) && (in.Unit == "" || sc.Unit == orgs.UnitCode(in.Unit)) && (in.Street == "" || sc.Street == orgs.UnitCode(in.Street)) {
			of = append(of, sc)
		}
	}
	var items []ScoreFile
	for _, sc := range of[min(r.skip, len(of)):min(r.skip+in.Limit, len(of))] {
		items = append(items, r.score(sc))
	}
	return pageOf(ctx, items, s.further(ctx, &r, len(items), len(of)), position, false, nil)
}

func (r *reading) score(sc *assessment.Score) ScoreFile {
	f := ScoreFile{Street: sc.Street, Unit: sc.Unit, Items: []ScoreItem{}, Objective: sc.Objective.String(), Subjective: sc.Subjective.String(), Form: sc.Form.String(),
		Ratings: sc.Ratings.String(), Deductions: []ScoreEvents{}, Bonuses: []ScoreEvents{}, Sample: sc.Sample.String(), Score: sc.Value.String(), Printed: sc.Printed,
		Weight: sc.Weight.String(), Flags: list(sc.Flags), Steps: workings(r.StepsOf(sc), r.Places)}
	for i, it := range sc.Items {
		def, _ := assessment.Define(it.Indicator)
		line := ScoreItem{Indicator: it.Indicator, Name: def.Zh, N: it.Ratio.N.String(), D: it.Ratio.D.String(), Value: it.Ratio.Percent(r.Places), Points: it.Points.String(),
			Most: it.Most.String(), Dropped: it.Dropped, Figure: r.link("/figures/" + it.Figure)}
		if i < len(r.Scheme.Objective) && r.Scheme.Objective[i].Indicator == it.Indicator {
			line.Shape = r.Scheme.Objective[i].Shape
		}
		f.Items = append(f.Items, line)
	}
	told := func(ts []assessment.Told, its []assessment.Item) []ScoreEvents {
		es := []ScoreEvents{}
		for i, t := range ts {
			def, _ := assessment.Define(t.Indicator)
			es = append(es, ScoreEvents{t.Indicator, def.Zh, t.Events.String(), t.Points.String(), its[i].Points.String(), r.link("/figures/" + t.Figure)})
		}
		return es
	}
	f.Deductions, f.Bonuses = told(sc.Deductions, r.Scheme.Deductions), told(sc.Bonuses, r.Scheme.Bonuses)
	for _, e := range r.Results.Period.Evaluations {
		if e.Street == sc.Street && e.Unit == sc.Unit {
			f.Evaluation = base + "/evaluations/" + stream.EvaluationOf(r.was.ID, string(sc.Street), string(sc.Unit)).String()
		}
	}
	return f
}

// StandingFile is what an assessment comes to for one unit.
type StandingFile struct {
	Unit       orgs.UnitCode  `json:"unit"`
	Name       string         `json:"name"`
	Kind       orgs.Kind      `json:"kind" doc:"The group in which it is ranked."`
	Streets    ExactNumber    `json:"streets" doc:"What the streets together say, in this period."`
	Year       ExactNumber    `json:"year" doc:"In the year so far."`
	Other      string         `json:"other" doc:"The rest of the annual score, exact; — before it was imported."`
	Annual     ExactNumber    `json:"annual"`
	Weight     string         `json:"weight,omitempty" doc:"Of the streets' evaluation, per cent; of a points sheet its points."`
	StreetRank int            `json:"street_rank,omitempty" doc:"Within the kind: 1, 2, 2, 4; absent if it is not ranked."`
	Rank       int            `json:"rank,omitempty" doc:"By the annual score."`
	Assessed   bool           `json:"assessed" doc:"A street counts for it."`
	Flags      []string       `json:"flags" nullable:"false"`
	Parts      []StandingPart `json:"parts" nullable:"false" doc:"Of the streets' score: they sum to it."`
	Steps      []WorkingFile  `json:"steps" nullable:"false"`
	Scores     string         `json:"scores" doc:"Of each street."`
}

// ExactNumber is a number, and as it is printed.
type ExactNumber struct {
	Exact   string `json:"exact" doc:"A fraction in lowest terms; — if there is none."`
	Printed string `json:"printed"`
}

// StandingPart is what one line adds to a unit's score.
type StandingPart struct {
	What    string `json:"what"`
	Exact   string `json:"exact"`
	Printed string `json:"printed"`
}

func (r *reading) standing(st *assessment.Standing) StandingFile {
	f := StandingFile{Unit: st.Unit, Name: st.Name, Kind: st.Kind, Streets: ExactNumber{st.Streets.String(), st.Printed[0]}, Year: ExactNumber{st.Year.String(), st.Printed[1]},
		Other: st.Other.String(), Annual: ExactNumber{st.Annual.String(), st.Printed[2]}, StreetRank: st.StreetRank, Rank: st.Rank, Assessed: st.Streets.Known,
		Flags: list(st.Flags), Parts: []StandingPart{}, Steps: workings(r.StepsTo(st), r.Places), Scores: r.link("/scores", "unit", string(st.Unit))}
	for _, sub := range r.Scheme.Subjects {
		if sub.Kind == st.Kind {
			f.Weight = sub.Weight.String()
		}
	}
	for _, p := range st.Parts {
		f.Parts = append(f.Parts, StandingPart{p.What, p.Amount.String(), p.Amount.Print(r.Places)})
	}
	return f
}

// ranked returns the standings that the actor sees, by kind and rank; what is not ranked comes last in its group.
func (r *reading) ranked(kind string) []*assessment.Standing {
	var of []*assessment.Standing
	for i := range r.Standings {
		st := &r.Standings[i]
		if r.sees(assessment.Key{Unit: st.Unit}) && (kind == "" || string(st.Kind) == kind) {
			of = append(of, st)
		}
	}
	last := func(rank int) int { return cmp.Or(rank, math.MaxInt32) }
	slices.SortStableFunc(of, func(a, b *assessment.Standing) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), last(a.Rank)-last(b.Rank), last(a.StreetRank)-last(b.StreetRank), cmp.Compare(a.Unit, b.Unit))
	})
	return of
}

func (s *Server) standings(ctx context.Context, in *struct {
	ResultQuery
	Kind  string `query:"kind" maxLength:"40" doc:"Of units: department, agency …"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"200"`
}) (*listed[StandingFile], error) {
	position := s.position()
	q := in.figures()
	q.After = in.After
	r, err := s.read(ctx, q)
	if err != nil {
		return nil, err
	}
	if in.Kind != "" && !slices.Contains(orgs.Kinds(), orgs.Kind(in.Kind)) {
		return nil, invalid(fault("query.kind", "unknown", "没有这类单位", "there are no units of this kind"))
	}
	of := r.ranked(in.Kind)
	var items []StandingFile
	for _, st := range of[min(r.skip, len(of)):min(r.skip+in.Limit, len(of))] {
		items = append(items, r.standing(st))
	}
	return pageOf(ctx, items, s.further(ctx, &r, len(items), len(of)), position, false, nil)
}

// CardFile is the card of one leg of an order or one summons of a whistle.
type CardFile struct {
	Unit   orgs.UnitCode  `json:"unit"`
	Street orgs.UnitCode  `json:"street,omitempty"`
	Item   CohortItem     `json:"item"`
	Lines  []CardLineFile `json:"lines" nullable:"false" doc:"None where it is left out."`
	Points string         `json:"points" doc:"Of 100, exact; — where it is left out."`
	Total  string         `json:"total" doc:"As printed."`
}

// CardLineFile is one line of a card.
type CardLineFile struct {
	What  string `json:"what" doc:"signed, contacted, done, passed, resolved, grade; of a whistle report_in, stayed, outcome."`
	Got   string `json:"got" doc:"Exact; — where nothing is known: it drops out, and the others are scaled to 100."`
	Most  int64  `json:"most"`
	Known bool   `json:"known"`
}

func (s *Server) cards(ctx context.Context, in *struct {
	ScoresQuery
	Kind string `query:"kind" enum:"order,whistle" default:"order"`
}) (*listed[CardFile], error) {
	position := s.position()
	r, err := s.read(ctx, in.figures())
	if err != nil {
		return nil, err
	}
	key := assessment.Key{Indicator: assessment.OrderCard, Unit: orgs.UnitCode(in.Unit), Street: orgs.UnitCode(in.Street)}
	if in.Kind == "whistle" {
		key.Indicator = assessment.WhistleCard
	}
	if !r.office && in.Unit == "" && in.Street == "" {
		key.Unit, key.Street = s.own(ctx)
	}
	if !r.sees(key) {
		return nil, problem("not_found")
	}
	cards, all, err := r.Cards(key.String(), r.skip, in.Limit)
	switch {
	case errors.Is(err, assessment.ErrFigure):
		return nil, problem("not_found")
	case err != nil:
		return nil, err
	}
	var items []CardFile
	for _, c := range cards {
		it, err := s.item(ctx, c.Finding)
		if err != nil {
			return nil, err
		}
		f := CardFile{Unit: c.Unit, Street: c.Street, Item: it, Lines: []CardLineFile{}, Points: c.Points.String(), Total: c.Points.Print(r.Places)}
		for _, l := range c.Lines {
			line := CardLineFile{What: l.What, Got: assessment.None, Most: l.Most, Known: l.Known}
			if l.Known {
				line.Got = l.Got.String()
			}
			f.Lines = append(f.Lines, line)
		}
		if it.Withheld {
			f.Unit, f.Street = key.Unit, key.Street
		}
		items = append(items, f)
	}
	return pageOf(ctx, items, s.further(ctx, &r, len(items), all), position, false, nil)
}
