package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/api/report"
	"gridcase/domain/assessment"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/projections"
)

type exportInput struct {
	ID        string `path:"id"`
	Format    string `query:"format" required:"true" enum:"xlsx,csv,html"`
	Sheet     string `query:"sheet" enum:"figures,scores,standings,cohort,changes" doc:"Of csv; figures if not given."`
	Figure    string `query:"figure" maxLength:"200" doc:"Whose cohort: needed with sheet=cohort."`
	AsOf      string `query:"as_of" maxLength:"40" doc:"As for the list of figures."`
	Edition   int    `query:"edition" minimum:"1" maximum:"10000" doc:"Revision of the sealed result: 1 is the seal. If not given, the last."`
	From      int    `query:"from" minimum:"1" maximum:"10000" doc:"Of sheet=changes: the revision with which that of edition is compared; the one before it if not given."`
	NoneMatch string `header:"If-None-Match"`
}

type exported struct {
	Status      int
	Type        string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Policy      string `header:"Content-Security-Policy"`
	ETag        string `header:"ETag"`
	Position    string `header:"GridCase-Position"`
	Body        []byte
}

// formats are the media types of what is exported.
var formats = map[string]string{
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"csv":  "text/csv; charset=utf-8; header=present",
	"html": "text/html; charset=utf-8",
}

// export answers with a document of what the actor may see; see [Server.read].
func (s *Server) export(ctx context.Context, in *exportInput) (*exported, error) {
	switch {
	case in.Sheet != "" && in.Format != "csv":
		return nil, invalid(fault("query.sheet", "unexpected", "仅用于 csv", "is for csv only"))
	case (in.Sheet == "cohort") != (in.Figure != ""):
		return nil, invalid(fault("query.figure", "unexpected", "与 sheet=cohort 同时使用", "goes with sheet=cohort, and with nothing else"))
	case in.From > 0 && in.Sheet != "changes":
		return nil, invalid(fault("query.from", "unexpected", "仅用于 sheet=changes", "is for sheet=changes only"))
	}
	r, err := s.read(ctx, &FiguresQuery{ID: in.ID, AsOf: in.AsOf, Edition: in.Edition})
	if err != nil {
		return nil, err
	}
	d := document(r.Assessed, r.was, s.Version)
	d.Sees, d.Synthetic = r.sees, s.Synthetic
	var unread error
	d.Withheld = func(f assessment.Finding) bool {
		secret, err := s.secret(ctx, f)
		unread = errors.Join(unread, err)
		return secret
	}
	if in.Format == "csv" {
		in.Sheet = cmp.Or(in.Sheet, "figures")
	}
	var body bytes.Buffer
	switch {
	case in.Format == "xlsx":
		err = d.Workbook(&body)
	case in.Format == "html":
		err = d.Page(&body)
	case in.Sheet == "changes":
		changes, from, to, faulty := r.changed(in.From, in.Edition)
		if faulty != nil {
			return nil, faulty
		}
		err = d.Differences(&body, from, to, changes)
	default:
		err = d.List(&body, in.Sheet, in.Figure)
	}
	switch {
	case errors.Is(err, assessment.ErrFigure):
		return nil, problem("not_found")
	case errors.Is(err, report.ErrRecorded):
		return nil, problem("wrong_state", rule.Say("从封存位置的日志重新计算，与封存的数值不符：公式和样本清单得不出封存的数值；csv 的指标、评分、名次和 html 为封存的数值",
			"computed again from the log at the seal's position, it comes to other figures than the sealed ones, so formulas and lists of cases would not give these; csv of figures, scores and standings, and html have them as sealed"))
	}
	if err = errors.Join(err, unread); err != nil {
		return nil, err
	}
	out := &exported{Status: http.StatusOK, Type: formats[in.Format], Policy: report.Policy(), Position: s.position(), ETag: `"` + digest(body.Bytes()) + `"`, Body: body.Bytes()}
	out.Disposition = disposition(d, in)
	if matches(in.NoneMatch, out.ETag) {
		out.Status, out.Body = http.StatusNotModified, nil
	}
	return out, nil
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16])
}

// disposition names the file in ASCII, and in the words of its readers (RFC 6266). A page is shown, the rest is kept.
func disposition(d report.Document, in *exportInput) string {
	p, how := d.Results.Period, "attachment"
	if in.Format == "html" {
		how = "inline"
	}
	word := map[string]string{"": "考核结果", "figures": "考核指标", "scores": "街道评分", "standings": "考核名次", "cohort": "指标样本", "changes": "修订差异"}[in.Sheet]
	span := fmt.Sprintf("%s-%s-%s", p.Jurisdiction, p.First, p.Last)
	if d.Seal != nil {
		span += fmt.Sprintf("-r%d", d.Seal.Revision)
	}
	return fmt.Sprintf(`%s; filename="assessment-%s%s.%s"; filename*=UTF-8''%s`, how, span, strings.TrimSuffix("-"+in.Sheet, "-"), in.Format, url.PathEscape(word+"-"+span+"."+in.Format))
}

// document is an assessment with the seal of the edition that it is.
func document(a projections.Assessed, was stood, program string) report.Document {
	d := report.Document{Results: a.Results, AsOf: int64(a.AsOf), CutOff: int64(a.CutOff), Program: program}
	if n := len(was.Editions); n > 0 {
		seal := was.seal(n - 1)
		d.Seal, d.Recomputed = &seal, a.Recomputed
	}
	return d
}

// seal is what an edition was sealed with.
func (s stood) seal(n int) report.Seal {
	e := s.Editions[n]
	return report.Seal{Revision: e.Revision, At: shown(s.sealedAt[n]), Results: e.Results, Cohort: e.Cohort, Root: e.Root, Program: e.Program,
		Cause: string(e.Cause), Reason: string(e.Reason), Changed: len(e.Changed)}
}

// Examined is a period, computed for somebody who has the whole folder.
type Examined struct {
	report.Document
	Position eventlog.Position // of the views
	editions []period.Edition
}

// Changed lists the numbers that differ between two revisions of a sealed period; from 0 is the one before to, and to 0 the last. It returns [ErrEditions] if there are
// not two such revisions.
func (x Examined) Changed(from, to int) (changes []period.Figure, first, last int, err error) {
	return between(x.editions, from, to)
}

// ErrPeriod: there is no such period or edition, or not yet at that position.
var ErrPeriod = errors.New("no such period")

// Examine computes a period as of a position, 0 for now: what was sealed or shown last by then, or what it came to; with an edition, what was
// sealed with that revision. Of a sealed period the numbers are those that the seal recorded, as over the API.
func (s *Settler) Examine(ctx context.Context, id stream.ID, asOf eventlog.Position, edition int) (Examined, error) {
	an, err := readAnnals(ctx, s.Log, id)
	if err != nil {
		return Examined{}, err
	}
	if asOf == 0 {
		asOf = s.Views.Position()
	}
	was := an.asOf(asOf)
	if edition > len(was.editions) {
		return Examined{}, ErrPeriod
	}
	if edition > 0 {
		asOf = was.editions[edition-1]
		was = an.asOf(asOf)
	}
	if was.revision < 0 || was.Dropped > 0 {
		return Examined{}, ErrPeriod
	}
	a, err := computed(ctx, s.Views.Views(), was, asOf)
	if err != nil {
		return Examined{}, err
	}
	return Examined{document(a, was, s.Program), s.Views.Position(), was.Editions}, nil
}

// Sealed are the editions of a period, in their order; none if it is not sealed.
func (s *Settler) Sealed(ctx context.Context, id stream.ID) ([]report.Seal, error) {
	an, err := readAnnals(ctx, s.Log, id)
	if err != nil {
		return nil, err
	}
	if len(an.entries) == 0 {
		return nil, ErrPeriod
	}
	var seals []report.Seal
	was := an.asOf(eventlog.Position(1 << 62))
	for i := range was.Editions {
		seals = append(seals, was.seal(i))
	}
	return seals, nil
}

func (s *Server) exportRoutes() {
	op := huma.Operation{OperationID: "export-assessment", Method: http.MethodGet, Path: base + "/assessments/{id}/export", Tags: []string{"assessments"},
		Summary: "A period as a workbook that recomputes itself, as a list, or as a page to print: as much of it as the caller may see"}
	huma.Register(s.api, op, func(ctx context.Context, in *exportInput) (*exported, error) {
		out, err := s.export(ctx, in)
		if err != nil {
			return nil, asProblem(err)
		}
		return out, nil
	})
	content := map[string]*huma.MediaType{}
	for _, t := range formats {
		media, _, _ := strings.Cut(t, ";")
		content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	s.api.OpenAPI().Paths[op.Path].Get.Responses["200"].Content = content
}
