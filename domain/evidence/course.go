package evidence

import (
	"cmp"
	"maps"
	"math/big"
	"slices"
	"strings"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/evaluation"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/stream"
)

// ScoreFigure is the name under which a seal records what the streets together say of a unit: the figure of a year is made of
// it (choice year.mix).
const ScoreFigure = "score"

// Course is how far a period has come. The zero Course is a period that nobody opened.
type Course struct {
	period.State
	Ended     Position // of its end, the cut-off: what of the cases was recorded later counts for nothing; 0: not yet
	Published Position // of the first provisional figures: evaluations count if they were submitted before; 0: not yet
	Settled   Position // of its seal, or last revision; 0: it is not sealed
	Dropped   Position // of its being voided; 0: it is not
	Latest    Position // of its last event that is neither the clock's nor a list of figures

	seals   []seal          // in the order of the log
	waiting []period.Figure // recorded, and not sealed yet
}

// seal is what the streets together say of each unit, by a seal or a revision.
type seal struct {
	at     Position
	scores map[orgs.UnitCode]assessment.Fraction
}

// sealed returns the scores that held at a position, nil if it was not sealed.
func (c *Course) sealed(at Position) map[orgs.UnitCode]assessment.Fraction {
	var scores map[orgs.UnitCode]assessment.Fraction
	for _, s := range c.seals {
		if s.at <= at {
			scores = s.scores
		}
	}
	return scores
}

// seal takes the figures that wait as sealed: all of them by the seal, those that changed by a revision.
func (c *Course) seal(at Position) {
	scores := maps.Clone(c.sealed(at))
	if scores == nil {
		scores = map[orgs.UnitCode]assessment.Fraction{}
	}
	for _, f := range c.waiting {
		if f.Name != ScoreFigure || f.Street != "" {
			continue
		}
		if x, known := fraction(f.N, f.D); known && !f.Gone {
			scores[f.Unit] = x
		} else {
			delete(scores, f.Unit)
		}
	}
	c.seals, c.waiting, c.Settled = append(slices.Clip(c.seals), seal{at, scores}), nil, at
}

// Take takes the next event of the period in, at its position.
func (c *Course) Take(e event.Entry, at Position) {
	c.ID = e.Stream.ID()
	c.State = period.Evolve(c.State, e.Body, e.Meta.Stamp(e.ID))
	switch b := e.Body.(type) {
	case period.WarningRaised, period.ClockExpired:
		return
	case period.Ended:
		c.Ended = at
	case period.ProvisionalPublished:
		if c.Published == 0 {
			c.Published = at
		}
	case period.FiguresRecorded:
		if b.From == 0 {
			c.waiting = nil
		}
		c.waiting = append(slices.Clip(c.waiting), b.Figures...)
		return // they say nothing that a result is computed from: what is computed again before them and after them is the same
	case period.Sealed, period.RevisionSealed:
		c.seal(at)
	case period.Voided:
		c.Dropped = at
	}
	c.Latest = at
}

// fraction reads an exact number as a figure has it.
func fraction(n, d string) (f assessment.Fraction, known bool) {
	if n == "" || d == "" {
		return f, false
	}
	if _, whole := new(big.Int).SetString(d, 10); !whole || strings.Contains(n, "/") {
		return f, false
	}
	return f, f.UnmarshalText([]byte(n+"/"+d)) == nil
}

// CutOff returns the position up to which cases count, asked for at a position: that of the end, if it had come.
func (c Course) CutOff(asOf Position) Position {
	if c.Ended > 0 {
		return c.Ended
	}
	return asOf
}

// Scope returns which cases the period asks for under a scheme. What is reopened after the end is a round of the next period, unless the scheme
// says that it is for a revision.
func (c Course) Scope(s assessment.Scheme) Scope {
	scope := Scope{Jurisdiction: c.Jurisdiction, First: c.First, Last: c.Last, Base: Base(c.First)}
	if s.Choices[assessment.ReopenAfterSeal] == "next" {
		scope.Reopened = c.Ended
	}
	return scope
}

// Submission is one evaluation of a unit by a street, at its position.
type Submission struct {
	assessment.Evaluation
	Position Position
}

// SubmissionOf reads a submission, false if the event is none.
func SubmissionOf(e event.Entry, at Position) (period stream.ID, s Submission, ok bool) {
	b, ok := e.Body.(evaluation.Submitted)
	return b.Period, Submission{assessment.Evaluation{Street: b.Street, Unit: b.Unit, Items: b.Items, Comment: string(b.Comment), At: e.Meta.Recorded}, at}, ok
}

// Assemble says what a period is computed over. The course, the submissions and the other courses are as of the position
// asked for; the setting, as of the cut-off. Others holds periods of the same jurisdiction whose schemes are of the same
// line; those that do not come before are passed over. What was sealed of them counts if it was before the latest event of
// this period: whoever asks later finds the same.
func (s *Setting) Assemble(c Course, scheme assessment.Scheme, submissions []Submission, others []Course) assessment.Period {
	scope := Scope{Jurisdiction: c.Jurisdiction, First: c.First, Last: c.Last}
	p := s.Span(scope, scheme)
	p.ID = c.ID
	latest := map[[2]orgs.UnitCode]Submission{}
	for _, x := range submissions {
		key := [2]orgs.UnitCode{x.Street, x.Unit}
		if (c.Published == 0 || x.Position < c.Published) && x.Position > latest[key].Position {
			latest[key] = x
		}
	}
	for _, x := range latest {
		p.Evaluations = append(p.Evaluations, x.Evaluation)
	}
	slices.SortFunc(p.Evaluations, func(a, b assessment.Evaluation) int {
		return cmp.Or(cmp.Compare(a.Street, b.Street), cmp.Compare(a.Unit, b.Unit))
	})
	for _, x := range c.Exclusions {
		p.Exclusions = append(p.Exclusions, assessment.Exclusion{Number: x.Number, Case: x.Case, Indicators: x.Indicators, Reason: x.Reason, Status: x.Status})
	}
	for _, o := range c.Objections {
		p.Objections = append(p.Objections, assessment.Objection{Number: o.Number, Case: o.Case, Indicator: o.Indicator, Verdict: o.Verdict, Status: o.Status})
	}
	p.Others = slices.Clone(c.State.Others)
	slices.SortFunc(p.Others, func(a, b assessment.Other) int { return cmp.Compare(a.Unit, b.Unit) })
	for _, o := range others {
		if o.ID == c.ID || o.Last >= c.First || o.Ended == 0 || c.Ended > 0 && o.Ended > c.Ended || o.Dropped > 0 {
			continue
		}
		p.Earlier = append(p.Earlier, assessment.Earlier{First: o.First, Last: o.Last, Cutoff: o.CutOffAt})
		if o.First.Year() != c.First.Year() {
			continue
		}
		for u, x := range o.sealed(c.Latest) {
			p.Sealed = append(p.Sealed, assessment.Sealed{Unit: u, First: o.First, Last: o.Last, Score: x})
		}
	}
	slices.SortFunc(p.Earlier, func(a, b assessment.Earlier) int { return cmp.Compare(a.First, b.First) })
	slices.SortFunc(p.Sealed, func(a, b assessment.Sealed) int {
		return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.First, b.First))
	})
	return p
}

// Span says what some days of a jurisdiction are computed over under a scheme that nobody applied to them: without evaluations and
// decisions. The base date is the day before the first.
func (s *Setting) Span(scope Scope, scheme assessment.Scheme) assessment.Period {
	p := assessment.Period{Jurisdiction: scope.Jurisdiction, First: scope.First, Last: scope.Last, Base: Base(scope.First)}
	var kinds []orgs.Kind
	for _, sub := range scheme.Subjects {
		kinds = append(kinds, sub.Kind)
	}
	scope = scope.In(s.Units())
	p.Units, p.Streets = s.Rated(scope, kinds), s.Streets(scope, scheme.Raters)
	return p
}

// Base returns the day that the load of a period is compared with: the one before it.
func Base(first calendar.Date) calendar.Date { return first - 1 }
