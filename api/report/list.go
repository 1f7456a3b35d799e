package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"gridcase/domain/assessment"
	"gridcase/domain/period"
)

// Sheets are the lists that there are, by name.
func Sheets() []string { return []string{"figures", "scores", "standings", "cohort"} }

// ErrSheet: there is no such list.
var ErrSheet = fmt.Errorf("no such list: there are %s", strings.Join(Sheets(), ", "))

// list writes CSV as spreadsheets on Chinese Windows read it: UTF-8 with a byte order mark, lines that end in CR LF (RFC 4180), a header
// row, and no text that they would take for a formula.
type list struct {
	w   *csv.Writer
	err error
}

func newList(w io.Writer, heads ...string) *list {
	_, err := io.WriteString(w, "\ufeff")
	l := &list{w: csv.NewWriter(w), err: err}
	l.w.UseCRLF = true
	texts := make([]any, len(heads))
	for i, h := range heads {
		texts[i] = h
	}
	l.row(texts...)
	return l
}

// amount is a text that is a number, as printed, or what stands for one.
type amount string

func (l *list) row(cells ...any) {
	out := make([]string, len(cells))
	for i, c := range cells {
		switch x := c.(type) {
		case amount:
			out[i] = string(x)
			if _, err := strconv.ParseFloat(out[i], 64); err != nil {
				out[i] = guarded(out[i])
			}
		case string:
			out[i] = guarded(x)
		default:
			out[i] = fmt.Sprint(x)
		}
	}
	if l.err == nil {
		l.err = l.w.Write(out)
	}
}

func (l *list) end() error {
	l.w.Flush()
	if l.err == nil {
		l.err = l.w.Error()
	}
	return l.err
}

// List writes one of [Sheets] as CSV; figure is the id of the figure whose cohort is asked for. It returns [ErrSheet] for another sheet, and
// [assessment.ErrFigure] for a figure that there is not, or that the reader may not see, and [ErrRecorded] for a cohort that is not the sealed one.
func (d Document) List(w io.Writer, sheet, figure string) error {
	if !slices.Contains(Sheets(), sheet) {
		return ErrSheet
	}
	switch sheet {
	case "figures":
		return d.listFigures(w)
	case "scores":
		return d.listScores(w)
	case "standings":
		return d.listStandings(w)
	}
	f, found := d.Figure(figure)
	if !found || !d.sees(f.Key) {
		return fmt.Errorf("%q: %w", figure, assessment.ErrFigure)
	}
	if err := d.CohortFound(); err != nil {
		return err
	}
	return d.listCohort(w, figure)
}

// Differences writes the numbers that differ between two revisions as CSV, as in [Document.List]: what each was, and what it is now. They are those of
// [period.Changes] that the reader may see; the document names units and streets. What is new has no number before, what is gone none now.
func (d Document) Differences(w io.Writer, from, to int, changes []period.Figure) error {
	names := d.names()
	l := newList(w, "unit", "unit_name", "street", "street_name", "number", "name", "was_n", "was_d", "was_printed", "n", "d", "printed", "from", "to")
	for _, f := range changes {
		was := period.Value{}
		if f.Was != nil {
			was = *f.Was
		}
		if f.Gone {
			f.Printed = ""
		}
		l.row(string(f.Unit), names[f.Unit], string(f.Street), names[f.Street], f.Name, zh(assessment.Indicator(f.Name)), amount(was.N), amount(was.D), amount(was.Printed),
			amount(f.N), amount(f.D), amount(f.Printed), from, to)
	}
	return l.end()
}

func (d Document) listFigures(w io.Writer) error {
	names := d.names()
	l := newList(w, "figure", "indicator", "name", "unit", "unit_name", "street", "street_name", "n", "d", "printed", "raw_n", "raw_d", "raw_printed", "carried", "left_out", "median_minutes", "p90_minutes", "flags", "revision")
	for _, f := range d.figures() {
		var left []string
		for _, x := range f.Left {
			left = append(left, fmt.Sprintf("%s=%d", x.Why, x.Count))
		}
		median, p90 := "", ""
		if def, _ := assessment.Define(f.Indicator); def.Measure == assessment.Minutes && !f.D.IsZero() {
			median, p90 = fmt.Sprint(f.Median), fmt.Sprint(f.P90)
		}
		rawN, rawD := "", ""
		if f.Before != "" {
			rawN, rawD = f.Raw.N.String(), f.Raw.D.String()
		}
		l.row(f.Key.String(), string(f.Indicator), zh(f.Indicator), string(f.Unit), names[f.Unit], string(f.Street), names[f.Street], amount(f.N.String()), amount(f.D.String()), amount(f.Printed),
			amount(rawN), amount(rawD), amount(f.Before), f.Carried, strings.Join(left, " "), amount(median), amount(p90), strings.Join(f.Flags, " "), d.revision())
	}
	return l.end()
}

func (d Document) listScores(w io.Writer) error {
	names := d.names()
	l := newList(w, "unit", "unit_name", "street", "street_name", "due", "sample", "objective", "form", "ratings", "subjective", "deductions", "bonuses", "score_exact", "score", "weight", "flags", "revision")
	for _, s := range d.scores() {
		sum := func(ts []assessment.Told) amount {
			f := assessment.Of(0, 1)
			for _, t := range ts {
				f = f.Plus(t.Points)
			}
			return amount(f.Print(d.Places))
		}
		l.row(string(s.Unit), names[s.Unit], string(s.Street), names[s.Street], amount(s.Due.String()), amount(s.Sample.String()), amount(s.Objective.Print(d.Places)), amount(s.Form.Print(d.Places)),
			amount(s.Ratings.Print(d.Places)), amount(s.Subjective.Print(d.Places)), sum(s.Deductions), sum(s.Bonuses), amount(s.Value.String()), amount(s.Printed), amount(s.Weight.String()), strings.Join(s.Flags, " "), d.revision())
	}
	return l.end()
}

func (d Document) listStandings(w io.Writer) error {
	l := newList(w, "unit", "name", "kind", "streets", "year", "other", "annual", "annual_exact", "street_rank", "rank", "flags", "revision")
	rank := func(n int) amount {
		if n == 0 {
			return ""
		}
		return amount(fmt.Sprint(n))
	}
	for _, s := range d.standings() {
		l.row(string(s.Unit), s.Name, string(s.Kind), amount(s.Printed[0]), amount(s.Printed[1]), amount(s.Other.Print(d.Places)), amount(s.Printed[2]), amount(s.Annual.String()), rank(s.StreetRank), rank(s.Rank), strings.Join(s.Flags, " "), d.revision())
	}
	return l.end()
}

func (d Document) listCohort(w io.Writer, figure string) error {
	found, err := d.Open(figure)
	if err != nil {
		return err
	}
	l := newList(w, "indicator", "unit", "street", "case", "number", "in", "n", "d", "why", "raw_in", "raw_n", "raw_d", "raw_why", "stream", "withheld")
	for _, f := range found {
		var raw [4]any
		if f.Decided {
			raw = [4]any{f.RawIn, amount(f.RawN.String()), amount(f.RawD.String()), f.RawWhy}
		} else {
			raw = [4]any{"", "", "", ""}
		}
		withheld := d.withheld(f)
		if withheld {
			f.Name, f.Number, f.Case = "", "", assessment.Case{}
		}
		l.row(string(f.Indicator), string(f.Unit), string(f.Street), f.Name, f.Number, f.In, amount(f.N.String()), amount(f.D.String()), f.Why, raw[0], raw[1], raw[2], raw[3], string(f.Case.Stream), withheld)
	}
	return l.end()
}
