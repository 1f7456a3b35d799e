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

// AsSealed returns a result with every number that a seal recorded in the place of what was computed again: a sealed figure never changes,
// whatever a later program makes of the same facts. What stands beside the numbers, the cases left out and the parts of the scores, stays as
// computed; where r was not computed, figures and scores are all that there is.
func AsSealed(r *assessment.Results, recorded []period.Figure) *assessment.Results {
	s := *r
	s.Figures, s.Scores, s.Standings = nil, slices.Clone(r.Scores), slices.Clone(r.Standings)
	raw := map[assessment.Key]period.Figure{}
	for _, f := range recorded {
		if name, before := strings.CutPrefix(f.Name, BeforeDecisions); before {
			f.Name = name
			if k, known := KeyOf(f); known {
				raw[k] = f
			}
		}
	}
	for _, f := range recorded {
		if k, known := KeyOf(f); known {
			x, found := r.Figure(k.String())
			if !found {
				x = assessment.Figure{Key: k}
			}
			// A figure stands in lowest terms where cases were shared out: only where the value is another one is it the seal's.
			if was := ratio(f); f.Printed != x.Printed || !same(was, x.Ratio) {
				x.Ratio, x.Raw, x.Printed, x.Before = was, was, f.Printed, ""
			}
			if b, decided := raw[k]; decided {
				x.Raw, x.Before = ratio(b), b.Printed
			}
			s.Figures = append(s.Figures, x)
			continue
		}
		v := assessment.Value{}
		v.Fraction, v.Known = fraction(f.N, f.D)
		if f.Street != "" {
			sc := scoreOf(&s, f.Unit, f.Street)
			switch f.Name {
			case ScoreFigure:
				sc.Value, sc.Printed = v, f.Printed
			case ObjectivePart:
				sc.Objective = v
			case SubjectivePart:
				sc.Subjective = v
			}
			continue
		}
		var rank int
		if n, err := strconv.Atoi(f.Printed); err == nil {
			rank = n
		}
		switch f.Name {
		case ScoreFigure:
			st := rankedAt(&s, f.Unit)
			st.Streets, st.Printed[0] = v, f.Printed
		case YearFigure:
			st := rankedAt(&s, f.Unit)
			st.Year, st.Printed[1] = v, f.Printed
		case AnnualFigure:
			st := rankedAt(&s, f.Unit)
			st.Annual, st.Printed[2] = v, f.Printed
		case StreetRank:
			rankedAt(&s, f.Unit).StreetRank = rank
		case RankFigure:
			rankedAt(&s, f.Unit).Rank = rank
		}
	}
	assessment.Sort(&s)
	return &s
}

func ratio(f period.Figure) (r assessment.Ratio) {
	zero := assessment.Of(0, 1)
	r = assessment.Ratio{N: zero, D: zero}
	if f.N == "" || r.N.UnmarshalText([]byte(f.N)) != nil || r.D.UnmarshalText([]byte(f.D)) != nil {
		return assessment.Ratio{N: zero, D: zero}
	}
	return r
}

func same(a, b assessment.Ratio) bool {
	x, known := a.Value()
	y, too := b.Value()
	return known == too && (!known || x.Compare(y) == 0)
}

func scoreOf(r *assessment.Results, unit, street orgs.UnitCode) *assessment.Score {
	at := slices.IndexFunc(r.Scores, func(s assessment.Score) bool { return s.Unit == unit && s.Street == street })
	if at < 0 {
		at, r.Scores = len(r.Scores), append(r.Scores, assessment.Score{Unit: unit, Street: street, Printed: assessment.None})
	}
	return &r.Scores[at]
}

func rankedAt(r *assessment.Results, unit orgs.UnitCode) *assessment.Standing {
	at := slices.IndexFunc(r.Standings, func(s assessment.Standing) bool { return s.Unit == unit })
	if at < 0 {
		at, r.Standings = len(r.Standings), append(r.Standings, assessment.Standing{Unit: unit, Printed: [3]string{assessment.None, assessment.None, assessment.None}})
	}
	return &r.Standings[at]
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
