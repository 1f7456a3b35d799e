package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string

	page = template.Must(template.New("page").Parse(pageText))
)

// Policy is the Content-Security-Policy under which the page is whole: its own style, known by its hash, and nothing else.
func Policy() string {
	h := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(h[:]) + "'; frame-ancestors 'none'; base-uri 'none'"
}

// Page writes a page to read and to print: one file, without scripts and without anything from elsewhere.
func (d Document) Page(w io.Writer) error {
	if err := page.Execute(w, d.sheet()); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

// kindNames are what kinds of units are called.
var kindNames = map[orgs.Kind]string{orgs.Department: "职能部门", orgs.Agency: "派驻机构", orgs.Bureau: "市级部门", orgs.JointTeam: "联合执法队"}

type (
	sheet struct {
		Document
		Now                        string // hash of the results as computed
		Title, Status, First, Last string
		Whole                      bool
		Style                      template.CSS
		Kinds                      []kindOf
		Standings                  []standingOf
		Units                      []unitOf
		Requests                   []requestOf
		Choices                    []choiceOf
	}
	kindOf struct {
		Name      string
		Standings []standingOf
	}
	standingOf struct {
		*assessment.Standing
		OtherPrinted, Marks string
	}
	unitOf struct {
		Name     string
		Code     orgs.UnitCode
		ByStreet bool
		Figures  []figureOf
		Scores   []scoreOf
	}
	figureOf struct {
		Name, Indicator, Street, N, D, Printed, Before string
		Left                                           []assessment.Left
	}
	scoreOf struct {
		Street     string
		StreetCode orgs.UnitCode
		Lines      []lineOf
		Steps      []stepOf
		Marks      string
	}
	lineOf    struct{ Name, N, D, X, Most, Points string }
	stepOf    struct{ Name, Points string }
	requestOf struct {
		Kind                  string
		Number                int
		Case, Of, Why, Status string
	}
	choiceOf struct{ Name, Question, Answer string }
)

func (d Document) sheet() sheet {
	p := d.Results.Period
	s := sheet{Document: d, Title: fmt.Sprintf("考核结果 %s 至 %s", p.First, p.Last), Status: d.status(), First: p.First.String(), Last: p.Last.String(),
		Whole: d.whole(), Style: template.CSS(pageStyle)}
	if s.Now = d.Recomputed; d.Seal == nil {
		s.Now = d.ResultsHash()
	}
	for _, st := range d.standings() {
		s.Standings = append(s.Standings, standingOf{st, st.Other.Print(d.Places), strings.Join(st.Flags, "、")})
	}
	byRank := slices.Clone(s.Standings)
	slices.SortStableFunc(byRank, func(a, b standingOf) int {
		last := func(n int) int {
			if n == 0 {
				return 1 << 30
			}
			return n
		}
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(last(a.Rank), last(b.Rank)), cmp.Compare(last(a.StreetRank), last(b.StreetRank)))
	})
	for _, st := range byRank {
		if n := len(s.Kinds); n == 0 || s.Kinds[n-1].Standings[0].Kind != st.Kind {
			s.Kinds = append(s.Kinds, kindOf{Name: cmp.Or(kindNames[st.Kind], string(st.Kind))})
		}
		k := &s.Kinds[len(s.Kinds)-1]
		k.Standings = append(k.Standings, st)
	}
	s.Units = d.units()
	if s.Whole {
		s.Requests = d.requests()
	}
	for _, c := range assessment.Choices() {
		s.Choices = append(s.Choices, choiceOf{string(c.Name), c.Zh, d.Scheme.Choices[c.Name]})
	}
	return s
}

// units are the sheets of the units that are assessed: of who sees all, with the units' own figures; of a street, with those for it.
func (d Document) units() (us []unitOf) {
	names := d.names()
	at, units := map[orgs.UnitCode]*unitOf{}, []orgs.UnitCode{}
	for _, u := range d.Results.Period.Units {
		at[u.Unit] = &unitOf{Name: u.Name, Code: u.Unit}
		units = append(units, u.Unit)
	}
	for _, s := range d.Standings { // what was not computed has no list of units
		if at[s.Unit] == nil {
			at[s.Unit] = &unitOf{Name: s.Name, Code: s.Unit}
			units = append(units, s.Unit)
		}
	}
	totals := slices.ContainsFunc(d.figures(), func(f *assessment.Figure) bool { return f.Street == "" })
	for _, f := range d.figures() {
		u := at[f.Unit]
		if u == nil || f.AsIs || (f.Street == "") != totals || f.D.IsZero() && len(f.Left) == 0 {
			continue
		}
		u.ByStreet = !totals
		u.Figures = append(u.Figures, figureOf{zh(f.Indicator), string(f.Indicator), names[f.Street], short(f.N), short(f.D), f.Printed, f.Before, f.Left})
	}
	for _, s := range d.scores() {
		if u := at[s.Unit]; u != nil {
			u.Scores = append(u.Scores, d.steps(s, names[s.Street]))
		}
	}
	for _, u := range units {
		if x := at[u]; len(x.Figures)+len(x.Scores) > 0 {
			us = append(us, *x)
		}
	}
	return us
}

// short is a count, or a fraction of one to four places.
func short(f assessment.Fraction) string {
	if s := f.String(); !strings.Contains(s, "/") {
		return s
	}
	return f.Print(4)
}

// steps is how a street's evaluation of a unit comes about, line by line.
func (d Document) steps(s *assessment.Score, street string) scoreOf {
	sc := scoreOf{Street: street, StreetCode: s.Street, Marks: strings.Join(s.Flags, "、")}
	sc.Steps = []stepOf{{"客观分", s.Objective.Print(d.Places)}, {"主观分", s.Subjective.Print(d.Places)},
		{fmt.Sprintf("街道评价（客观 %s%%）", d.Scheme.Share), s.Printed}}
	if d.recorded() { // the lines would not sum to what was sealed
		return sc
	}
	for _, it := range s.Items {
		points := it.Points.Print(d.Places)
		if it.Dropped {
			points = assessment.None
		}
		sc.Lines = append(sc.Lines, lineOf{zh(it.Indicator), short(it.Ratio.N), short(it.Ratio.D), it.Ratio.Percent(d.Places), it.Most.String(), points})
	}
	if s.Form.Known {
		for _, e := range d.Results.Period.Evaluations {
			if e.Street != s.Street || e.Unit != s.Unit {
				continue
			}
			for _, g := range e.Items {
				name, most := g.Code, ""
				for _, f := range d.Scheme.Form {
					if f.Code == g.Code {
						name, most = f.Name, f.Points.String()
					}
				}
				sc.Lines = append(sc.Lines, lineOf{Name: name, Most: most, Points: g.Points.String()})
			}
		}
	}
	for _, t := range slices.Concat(s.Deductions, s.Bonuses) {
		sc.Lines = append(sc.Lines, lineOf{Name: zh(t.Indicator), N: short(t.Events), Points: t.Points.Print(d.Places)})
	}
	return sc
}

func (d Document) requests() (rs []requestOf) {
	for _, x := range d.Results.Period.Exclusions {
		var of []string
		for _, i := range x.Indicators {
			of = append(of, zh(i))
		}
		rs = append(rs, requestOf{"剔除", x.Number, d.caseName(x.Case), cmp.Or(strings.Join(of, "、"), "全部"), string(x.Reason), string(x.Status)})
	}
	for _, x := range d.Results.Period.Objections {
		rs = append(rs, requestOf{"申诉", x.Number, d.caseName(x.Case), cmp.Or(zh(x.Indicator), "—"), string(x.Verdict), string(x.Status)})
	}
	return rs
}
