package evidence

import (
	"slices"
	"strconv"
	"strings"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
)

// Names under which a seal records what is no figure of an indicator; [ScoreFigure] is another. A figure over all units is recorded
// under the jurisdiction, with [AllUnits] before its indicator; one as it was before exclusions and objections, with [BeforeDecisions].
const (
	AllUnits        = "all:"
	BeforeDecisions = "raw:"
	YearFigure      = "year"
	AnnualFigure    = "annual"
	RankFigure      = "rank"
	StreetRank      = "street_rank"
	ObjectivePart   = "objective"
	SubjectivePart  = "subjective"
)

// Figures returns every number of a result as a seal records it, in the order of [period.Figure.Compare].
func Figures(r *assessment.Results) []period.Figure {
	fs := make([]period.Figure, 0, len(r.Figures)+3*len(r.Scores)+5*len(r.Standings))
	for i := range r.Figures {
		f := &r.Figures[i]
		unit, name := NameOf(f.Key, r.Period.Jurisdiction)
		fs = append(fs, figure(unit, f.Street, name, f.Ratio, f.Printed))
		if f.Before != "" {
			fs = append(fs, figure(unit, f.Street, BeforeDecisions+name, f.Raw, f.Before))
		}
	}
	value := func(unit, street orgs.UnitCode, name string, v assessment.Value, printed string) {
		if v.Known {
			fs = append(fs, figure(unit, street, name, assessment.Ratio{N: v.Fraction, D: assessment.Of(1, 1)}, printed))
		} else {
			fs = append(fs, period.Figure{Unit: unit, Street: street, Name: name, Printed: assessment.None})
		}
	}
	rank := func(unit orgs.UnitCode, name string, n int) {
		value(unit, "", name, assessment.Value{Fraction: assessment.Of(int64(n), 1), Known: n > 0}, strconv.Itoa(n))
	}
	for i := range r.Scores {
		s := &r.Scores[i]
		value(s.Unit, s.Street, ScoreFigure, s.Value, s.Printed)
		value(s.Unit, s.Street, ObjectivePart, s.Objective, s.Objective.Print(r.Places))
		value(s.Unit, s.Street, SubjectivePart, s.Subjective, s.Subjective.Print(r.Places))
	}
	for i := range r.Standings {
		s := &r.Standings[i]
		value(s.Unit, "", ScoreFigure, s.Streets, s.Printed[0])
		value(s.Unit, "", YearFigure, s.Year, s.Printed[1])
		value(s.Unit, "", AnnualFigure, s.Annual, s.Printed[2])
		rank(s.Unit, StreetRank, s.StreetRank)
		rank(s.Unit, RankFigure, s.Rank)
	}
	slices.SortFunc(fs, period.Figure.Compare)
	return fs
}

// NameOf returns under which unit and name the figure of a key is recorded.
func NameOf(k assessment.Key, jurisdiction orgs.UnitCode) (orgs.UnitCode, string) {
	unit, name := k.Unit, string(k.Indicator)
	if unit == "" {
		unit, name = jurisdiction, AllUnits+name
	}
	if k.AsIs {
		name += ":as_is"
	}
	return unit, name
}

// KeyOf returns the key of a recorded figure, false if it is of a score or a rank, or of what was before decisions.
func KeyOf(f period.Figure) (assessment.Key, bool) {
	name, asIs := strings.CutSuffix(f.Name, ":as_is")
	name, all := strings.CutPrefix(name, AllUnits)
	k := assessment.Key{Indicator: assessment.Indicator(name), Unit: f.Unit, Street: f.Street, AsIs: asIs}
	if all {
		k.Unit = ""
	}
	_, known := assessment.Define(k.Indicator)
	return k, known
}

// figure writes a ratio as whole numbers: as counted, or in lowest terms where cases were shared out.
func figure(unit, street orgs.UnitCode, name string, r assessment.Ratio, printed string) period.Figure {
	f := period.Figure{Unit: unit, Street: street, Name: name, Printed: printed}
	if r.D.IsZero() {
		return f
	}
	if f.N, f.D = r.N.String(), r.D.String(); strings.Contains(f.N+f.D, "/") {
		whole := false
		if f.N, f.D, whole = strings.Cut(r.N.Over(r.D).String(), "/"); !whole {
			f.D = "1"
		}
	}
	return f
}
