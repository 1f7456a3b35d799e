package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/evidence"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/projections"
)

// ResultState says which result of a period is read: what is sealed, else what was shown last, else what it comes to now.
type ResultState string

// The editions.
const (
	editionSealed      ResultState = "sealed"
	editionProvisional ResultState = "provisional"
	editionNow         ResultState = "now"
)

// FiguresQuery says which figures of a period, and as of when.
type FiguresQuery struct {
	ID        string `path:"id"`
	AsOf      string `query:"as_of" maxLength:"40" doc:"Position of the log, RFC 3339 instant with offset, or date in the city that is over; the evaluator's office and auditors only. If not given, what was sealed or shown last, or what it comes to now."`
	Edition   int    `query:"edition" minimum:"1" maximum:"10000" doc:"Revision of the sealed result: 1 is the seal. If not given, the last."`
	Unit      string `query:"unit" format:"unit" maxLength:"40"`
	Street    string `query:"street" format:"unit-or-dash" maxLength:"40" doc:"A street; - is the figure of none."`
	Indicator string `query:"indicator" maxLength:"60"`
	Limit     int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After     string `query:"after" maxLength:"200" doc:"The cursor next of the page before. All pages are of the result that the first was of."`
}

// ResultQuery says which result of a period.
type ResultQuery struct {
	ID      string `path:"id"`
	AsOf    string `query:"as_of" maxLength:"40" doc:"As of the list of figures."`
	Edition int    `query:"edition" minimum:"1" maximum:"10000" doc:"Revision of the sealed result: 1 is the seal. If not given, the last."`
}

func (q ResultQuery) figures() *FiguresQuery {
	return &FiguresQuery{ID: q.ID, AsOf: q.AsOf, Edition: q.Edition}
}

// reading is a result, and how far the actor sees it.
type reading struct {
	projections.Assessed
	at     eventlog.Position // as of which the period was looked at
	skip   int               // of a list: what was on the pages before
	was    stood
	asked  url.Values // which result, for links: the same as was asked for
	office bool       // sees all of it
	sees   func(assessment.Key) bool
}

// sight says which figures of a period an actor sees: the evaluator's office and auditors of the jurisdiction all, a street its own, a rated
// unit with its parent department its own once provisional figures were published. known is false for everybody else.
func (s *Server) sight(a rule.Actor, jurisdiction orgs.UnitCode, published bool) (sees func(assessment.Key) bool, office, known bool) {
	units := s.Engine.Units()
	seat, _ := units.Unit(rule.Seat(units, a))
	switch {
	case (a.Role == orgs.Evaluator || a.Role == orgs.Auditor) && s.above(a, jurisdiction):
		return func(assessment.Key) bool { return true }, true, true
	case seat.Kind == orgs.Street:
		return func(k assessment.Key) bool { return k.Street == seat.Code }, false, true
	case published && (seat.Kind == orgs.Department || seat.Kind == orgs.Agency):
		return func(k assessment.Key) bool {
			u, _ := units.Unit(k.Unit)
			return k.Unit == seat.Code || u.Department == seat.Code
		}, false, true
	}
	return nil, false, false
}

// stands finds the period of a question as it stood when it is asked as of, without computing anything.
func (s *Server) stands(ctx context.Context, in *FiguresQuery) (r reading, err error) {
	n, _, _, err := s.find(ctx, stream.Period, in.ID)
	if err == nil {
		err = s.may(ctx, readWork)
	}
	if err != nil {
		return r, err
	}
	an, err := readAnnals(ctx, s.Log, n.ID())
	if err != nil {
		return r, err
	}
	actor, p := of(ctx).actor, s.Views.Position()
	now := an.asOf(p)
	_, office, concerned := s.sight(actor, now.Jurisdiction, now.Published > 0)
	turned, err := s.opened(ctx, in.After)
	switch {
	case err != nil:
		return r, err
	case in.AsOf != "" && in.Edition > 0:
		return r, invalid(fault("query.edition", "contradictory", "as_of 与 edition 不能同时使用", "as_of and edition exclude each other"))
	case in.After != "":
		p = turned.at
	case in.AsOf != "" && !office:
		return r, problem("role_missing", rule.Say("只有考核机构和审计可按位置或时间查询", "only the evaluator's office and auditors may ask as of a position or time"))
	case in.AsOf != "":
		if p, err = s.positionOf(ctx, in.AsOf); err != nil {
			return r, err
		}
	case in.Edition > len(now.editions) && concerned && now.Dropped == 0:
		return r, problem("not_found", noEdition(in.Edition, len(now.editions)))
	case in.Edition > len(now.editions):
		return r, problem("not_found")
	case in.Edition > 0:
		p = now.editions[in.Edition-1]
	}
	if p > s.Views.Position() {
		if err := s.reach(ctx, p); err != nil {
			return r, err
		}
	}
	r.at, r.skip, r.was, r.asked = p, turned.skip, an.asOf(p), url.Values{}
	if in.AsOf != "" {
		r.asked.Set("as_of", r.at.String())
	} else if in.Edition > 0 {
		r.asked.Set("edition", strconv.Itoa(in.Edition))
	}
	if r.was.revision < 0 || r.was.Dropped > 0 {
		return r, problem("not_found")
	}
	known := false
	if r.sees, r.office, known = s.sight(actor, r.was.Jurisdiction, r.was.Published > 0); !known {
		return r, problem("not_found")
	}
	return r, nil
}

// noEdition says which revisions there are, where another one was asked for, or two to compare.
func noEdition(asked, sealed int) rule.Phrase {
	switch {
	case asked == 1 && sealed == 1:
		return rule.Say("该周期只有封存的一版，没有修订", "the period was sealed and never revised: there is nothing to compare the seal with")
	case sealed == 0:
		return rule.Say("该周期尚未封存，没有封存的结果", "the period is not sealed yet: there is no sealed result of it")
	}
	return rule.Say(fmt.Sprintf("没有第 %d 版：该周期封存至第 %d 版", asked, sealed), fmt.Sprintf("there is no revision %d: the period is sealed up to revision %d", asked, sealed))
}

// read computes a period for the actor, as far as the actor may see it. Of a sealed period it returns what the seal recorded.
func (s *Server) read(ctx context.Context, in *FiguresQuery) (r reading, err error) {
	if r, err = s.stands(ctx, in); err != nil {
		return r, err
	}
	r.Assessed, err = computed(ctx, s.Views.Views(), r.was, r.at)
	return r, err
}

// computed computes what a period came to at a position. A sealed figure never changes: where computing it again comes to something else,
// or a later program can not compute the scheme at all, the recorded numbers take the place of the computed ones.
func computed(ctx context.Context, views *projections.Views, was stood, p eventlog.Position) (projections.Assessed, error) {
	a, err := views.Assess(ctx, was.question(p))
	if len(was.Editions) == 0 {
		return a, err
	}
	var faulty assessment.Fault
	switch {
	case errors.Is(err, projections.ErrScheme), errors.As(err, &faulty):
		a.Results = &assessment.Results{Hash: was.Hash, Places: 2, Period: assessment.Period{ID: was.ID, Jurisdiction: was.Jurisdiction, First: was.First, Last: was.State.Last}}
	case err != nil:
		return a, err
	}
	a.Edition, a.Recomputed = was.Book.Last(), a.ResultsHash()
	if a.Recomputed != a.Edition.Results {
		a.Results = evidence.AsSealed(a.Results, a.Edition.Figures)
	}
	return a, nil
}

// link leads on within the same result. What narrows it comes in pairs; an empty one narrows nothing.
func (r *reading) link(what string, pairs ...string) string {
	q := maps.Clone(r.asked)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	at := base + "/assessments/" + r.was.ID.String() + what
	if len(q) > 0 {
		at += "?" + q.Encode()
	}
	return at
}

// AssessmentBrief is one period of a list, as far as its result has come.
type AssessmentBrief struct {
	ID           stream.ID     `json:"id"`
	Phase        period.Phase  `json:"phase"`
	Jurisdiction orgs.UnitCode `json:"jurisdiction"`
	Scheme       stream.ID     `json:"scheme"`
	Version      int           `json:"scheme_version"`
	First        calendar.Date `json:"first"`
	Last         calendar.Date `json:"last" doc:"Included."`
	Published    bool          `json:"published" doc:"Provisional figures were shown."`
	Revision     int           `json:"revision" doc:"Of the sealed result: 1 is the seal, 0 none."`
	Results      string        `json:"results,omitempty" doc:"SHA-256 of the sealed results."`
	Link         string        `json:"link"`
}

func (s *Server) assessments(ctx context.Context, in *struct {
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"200"`
}) (*listed[AssessmentBrief], error) {
	if err := s.may(ctx, readWork); err != nil {
		return nil, err
	}
	from, err := s.opened(ctx, in.After)
	if err != nil {
		return nil, err
	}
	position := s.position()
	rows, err := s.Views.Views().Periods(ctx, projections.PeriodFilter{})
	if err != nil {
		return nil, err
	}
	actor := of(ctx).actor
	var items []AssessmentBrief
	next, turned := "", in.After == ""
	for _, r := range rows {
		if !turned {
			turned = r.ID.String() == from.last
			continue
		}
		_, _, known := s.sight(actor, r.Jurisdiction, r.Published > 0)
		if !known || r.Dropped > 0 || !s.seesPeriod(actor, period.State{Jurisdiction: r.Jurisdiction}) {
			continue
		}
		if len(items) == in.Limit {
			next = s.mark(ctx, bookmark{last: items[in.Limit-1].ID.String()})
			break
		}
		items = append(items, AssessmentBrief{ID: r.ID, Phase: r.Phase, Jurisdiction: r.Jurisdiction, Scheme: r.Scheme, Version: r.Version, First: r.First, Last: r.Last,
			Published: r.Published > 0, Revision: r.Sealed, Results: r.Results, Link: base + "/assessments/" + r.ID.String()})
	}
	return pageOf(ctx, items, next, position, false, nil)
}

// AssessmentFile says what a result is, and what it was computed from.
type AssessmentFile struct {
	ID           stream.ID       `json:"id"`
	Phase        period.Phase    `json:"phase" doc:"As of as_of."`
	Jurisdiction orgs.UnitCode   `json:"jurisdiction"`
	First        calendar.Date   `json:"first"`
	Last         calendar.Date   `json:"last" doc:"Included."`
	Scheme       stream.ID       `json:"scheme"`
	Version      int             `json:"scheme_version"`
	SchemeHash   string          `json:"scheme_hash"`
	Edition      ResultState     `json:"edition" enum:"sealed,provisional,now"`
	Revision     int             `json:"revision" doc:"Of the sealed result: 1 is the seal, 0 none."`
	Cause        period.Cause    `json:"cause,omitempty" doc:"Of a revision."`
	AsOf         string          `json:"as_of" doc:"Position of the log: of the period's own stream this is what counts. Asked for, it gives this result again."`
	CutOff       string          `json:"cut_off" doc:"Position of the log: of the cases this is what counts."`
	CutOffAt     time.Time       `json:"cut_off_at,omitzero"`
	Program      string          `json:"program" doc:"Version that computed it; of a sealed result, then."`
	Results      string          `json:"results" doc:"SHA-256 of the results: as sealed, as shown, or as computed now."`
	Cohort       string          `json:"cohort" doc:"SHA-256 of the list of all items."`
	Recomputed   bool            `json:"recomputed" doc:"Computed again just now, it comes to the same hash."`
	Now          string          `json:"recomputed_results,omitempty" doc:"If not: to this one; absent if this program can not compute the scheme. A sealed result is served as it was recorded all the same."`
	Figures      int             `json:"figures" doc:"That you may see."`
	Exclusions   RequestCounts   `json:"exclusions"`
	Objections   RequestCounts   `json:"objections"`
	Notes        []string        `json:"notes" nullable:"false" doc:"What was given and changed nothing; for the evaluator's office and auditors."`
	Links        AssessmentLinks `json:"links"`
}

// RequestCounts counts exclusions or objections by where they stand. They are printed beside every rate.
type RequestCounts struct {
	Undecided int `json:"undecided"`
	Granted   int `json:"granted"`
	Refused   int `json:"refused"`
}

func (c *RequestCounts) take(s assessment.Status) {
	switch s {
	case assessment.Granted:
		c.Granted++
	case assessment.Refused:
		c.Refused++
	default:
		c.Undecided++
	}
}

// AssessmentLinks lead on from a result.
type AssessmentLinks struct {
	Figures   string `json:"figures"`
	Scores    string `json:"scores"`
	Standings string `json:"standings"`
	Cards     string `json:"cards"`
	Revisions string `json:"revisions"`
	Period    string `json:"period"`
	Scheme    string `json:"scheme"`
	Events    string `json:"events" doc:"Of the period: its requests, its seal."`
}

func (s *Server) assessment(ctx context.Context, in *ResultQuery) (*found[AssessmentFile], error) {
	position := s.position()
	r, err := s.read(ctx, in.figures())
	if err != nil {
		return nil, err
	}
	to := func(what string) string { return r.link(what) }
	f := AssessmentFile{ID: r.was.ID, Phase: r.was.Phase, Jurisdiction: r.was.Jurisdiction, First: r.was.First, Last: r.was.State.Last, Scheme: r.was.Scheme,
		Version: r.was.Version, SchemeHash: r.was.Hash, AsOf: r.at.String(), CutOff: r.CutOff.String(), CutOffAt: shown(r.was.CutOffAt), Program: s.Version, Notes: []string{},
		Links: AssessmentLinks{to("/figures"), to("/scores"), to("/standings"), to("/cards"), base + "/assessments/" + r.was.ID.String() + "/revisions", base + "/periods/" + r.was.ID.String(),
			base + "/schemes/" + r.was.Scheme.String(), base + "/events?stream=" + string(stream.Of(stream.Period, r.was.ID))}}
	now := r.ResultsHash()
	switch f.Edition = r.edition(); f.Edition {
	case editionSealed:
		e := r.Assessed.Edition
		f.Revision, f.Cause, f.CutOff, f.CutOffAt = e.Revision, e.Cause, eventlog.Position(e.CutOff).String(), shown(e.CutOffAt)
		f.Program, f.Results, f.Cohort = e.Program, e.Results, e.Cohort
	case editionProvisional:
		f.Results, f.Cohort = r.was.Shown.Results, r.was.Shown.Cohort
	default:
		f.Results, f.Cohort = now, r.CohortHash()
	}
	if f.Recomputed = r.again(); !f.Recomputed {
		f.Now = now
	}
	for i := range r.Figures {
		if r.sees(r.Figures[i].Key) {
			f.Figures++
		}
	}
	for _, x := range r.Results.Period.Exclusions {
		f.Exclusions.take(x.Status)
	}
	for _, o := range r.Results.Period.Objections {
		f.Objections.take(o.Status)
	}
	if r.office {
		f.Notes = list(r.Notes)
	}
	return &found[AssessmentFile]{Position: position, Body: f}, nil
}

// FigureFile is one figure with all that is printed beside it.
type FigureFile struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Unit    orgs.UnitCode `json:"unit,omitempty" doc:"Absent: all units."`
	Street  orgs.UnitCode `json:"street,omitempty" doc:"Absent: all streets; -: none."`
	N       string        `json:"n" doc:"Exact."`
	D       string        `json:"d"`
	Printed string        `json:"printed"`
	Before  string        `json:"before,omitempty" doc:"As printed before exclusions and objections."`
	Left    []LeftOut     `json:"left_out" nullable:"false"`
	Link    string        `json:"link" doc:"What it says, step by step."`
	Cases   string        `json:"cases" doc:"What it counts, and what is left out."`
}

// LeftOut counts what is left out for one reason.
type LeftOut struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
	Share  string `json:"share"`
}

func (r *reading) figure(f *assessment.Figure) FigureFile {
	def, _ := assessment.Define(f.Indicator)
	id := f.Key.String()
	x := FigureFile{ID: id, Name: def.Zh, Unit: f.Unit, Street: f.Street, N: f.N.String(), D: f.D.String(), Printed: f.Printed, Before: f.Before, Left: []LeftOut{},
		Link: r.link("/figures/" + id), Cases: r.link("/figures/" + id + "/items")}
	for _, l := range f.Left {
		x.Left = append(x.Left, LeftOut{l.Why, l.Count, l.Share})
	}
	return x
}

func (s *Server) figures(ctx context.Context, in *FiguresQuery) (*listed[FigureFile], error) {
	position := s.position()
	r, err := s.read(ctx, in)
	if err != nil {
		return nil, err
	}
	if _, known := assessment.Define(assessment.Indicator(in.Indicator)); in.Indicator != "" && !known {
		return nil, invalid(fault("query.indicator", "unknown", "没有这个指标", "there is no such indicator"))
	}
	var items []FigureFile
	next, n := "", 0
	for i := range r.Figures {
		f := &r.Figures[i]
		if !r.sees(f.Key) || in.Unit != "" && f.Unit != orgs.UnitCode(in.Unit) || in.Street != "" && f.Street != orgs.UnitCode(in.Street) || in.Indicator != "" && string(f.Indicator) != in.Indicator {
			continue
		}
		if n++; n <= r.skip {
			continue
		}
		if len(items) == in.Limit {
			next = s.mark(ctx, bookmark{at: r.at, skip: n - 1})
			break
		}
		items = append(items, r.figure(f))
	}
	return pageOf(ctx, items, next, position, false, nil)
}

// FigureExplained is a figure with everything that is needed to doubt it.
type FigureExplained struct {
	FigureFile
	Indicator  assessment.Indicator `json:"indicator"`
	Measure    assessment.Measure   `json:"measure" doc:"rate, minutes, count, composite or points."`
	Worse      bool                 `json:"worse" doc:"More of it is worse."`
	FormulaZh  FormulaText          `json:"formula_zh"`
	FormulaEn  FormulaText          `json:"formula_en"`
	Steps      []WorkingFile        `json:"steps" nullable:"false" doc:"The formula with the numbers put in; none over nothing."`
	RawN       string               `json:"raw_n" doc:"Before exclusions and objections, exact."`
	RawD       string               `json:"raw_d"`
	Carried    int64                `json:"carried" doc:"Of the cohort: left over by an earlier period."`
	Median     int32                `json:"median,omitempty" doc:"Minutes."`
	P90        int32                `json:"p90,omitempty"`
	Rungs      []int64              `json:"rungs,omitempty" doc:"Of mediation: settled at each rung, from the grid up."`
	Flags      []string             `json:"flags" nullable:"false"`
	Undecided  int                  `json:"undecided" doc:"Requests of the whole period that wait for a decision."`
	Requests   []FigureRequest      `json:"requests" nullable:"false" doc:"Exclusions and objections that name a case of it."`
	Parts      []FigurePart         `json:"parts" nullable:"false" doc:"What it is made of: of a composite its parts, of a unit over all streets each of them. A unit is the sum of its streets."`
	Feeds      []FigureUse          `json:"feeds" nullable:"false" doc:"The lines of scores that it gives."`
	Edition    ResultState          `json:"edition" enum:"sealed,provisional,now"`
	Revision   int                  `json:"revision"`
	Recomputed bool                 `json:"recomputed"`
	Seal       string               `json:"seal,omitempty" doc:"The event that sealed it."`
	Assessment string               `json:"assessment"`
}

// FormulaText is what is divided by what, in words.
type FormulaText struct {
	N string `json:"n"`
	D string `json:"d,omitempty"`
}

// WorkingFile is one line of arithmetic.
type WorkingFile struct {
	What    string `json:"what"`
	Sum     string `json:"sum" doc:"With the numbers put in, all exact; what would be too long is cut to six places and an ellipsis."`
	Exact   string `json:"exact" doc:"A fraction in lowest terms."`
	Printed string `json:"printed" doc:"Rounded half up from the exact number."`
}

func workings(steps []assessment.Working, places int) []WorkingFile {
	fs := []WorkingFile{}
	for _, w := range steps {
		fs = append(fs, WorkingFile{w.What, w.Sum, w.Value.String(), w.Value.Print(places)})
	}
	return fs
}

// FigureRequest is an exclusion or objection that touches a figure.
type FigureRequest struct {
	Exclusion int                  `json:"exclusion,omitempty" doc:"Its number."`
	Objection int                  `json:"objection,omitempty"`
	Status    assessment.Status    `json:"status" enum:"undecided,granted,refused"`
	Reason    assessment.Reason    `json:"reason,omitempty" doc:"Of an exclusion."`
	Verdict   assessment.Verdict   `json:"verdict,omitempty" doc:"Of an objection."`
	Indicator assessment.Indicator `json:"indicator"`
	Item      CohortItem           `json:"item" doc:"As it counts now."`
}

// FigurePart is a figure that another is made of.
type FigurePart struct {
	ID      string `json:"id"`
	N       string `json:"n"`
	D       string `json:"d"`
	Printed string `json:"printed"`
	Link    string `json:"link"`
}

// FigureUse is a line of a score.
type FigureUse struct {
	Unit   orgs.UnitCode `json:"unit"`
	Street orgs.UnitCode `json:"street"`
	As     string        `json:"as" enum:"objective,deduction,bonus"`
	Points string        `json:"points" doc:"Exact."`
	Most   string        `json:"most,omitempty"`
	Link   string        `json:"link"`
}

func (s *Server) explainFigure(ctx context.Context, in *struct {
	ResultQuery
	Figure string `path:"figure" maxLength:"120"`
}) (*found[FigureExplained], error) {
	position := s.position()
	r, err := s.read(ctx, in.figures())
	if err != nil {
		return nil, err
	}
	f, known := r.Figure(in.Figure)
	if !known || !r.sees(f.Key) {
		return nil, problem("not_found")
	}
	def, _ := assessment.Define(f.Indicator)
	zh, en := def.Formula()
	places := r.Places
	if def.Measure == assessment.Count {
		places = 0
	}
	x := FigureExplained{FigureFile: r.figure(&f), Indicator: f.Indicator, Measure: def.Measure, Worse: def.Worse, FormulaZh: FormulaText(zh), FormulaEn: FormulaText(en),
		Steps: workings(r.Steps(f), places), RawN: f.Raw.N.String(), RawD: f.Raw.D.String(), Carried: f.Carried, Median: f.Median, P90: f.P90, Rungs: f.Rungs,
		Flags: list(f.Flags), Undecided: r.Undecided, Requests: []FigureRequest{}, Parts: []FigurePart{}, Feeds: []FigureUse{}, Edition: r.edition(),
		Revision: r.Assessed.Edition.Revision, Recomputed: r.again(), Assessment: r.link("")}
	if n := x.Revision; n > 0 {
		at := r.was.editions[n-1]
		x.Seal = base + "/events?stream=" + string(stream.Of(stream.Period, r.was.ID)) + "&after=" + (at - 1).String() + "&limit=1"
	}
	requests, err := r.Requests(in.Figure)
	if err != nil {
		return nil, err
	}
	for _, q := range requests {
		item, err := s.item(ctx, q.Finding)
		if err != nil {
			return nil, err
		}
		file := FigureRequest{Exclusion: q.Exclusion, Objection: q.Objection, Indicator: q.Finding.Indicator, Item: item}
		for _, e := range r.Results.Period.Exclusions {
			if e.Number == q.Exclusion {
				file.Status, file.Reason = e.Status, e.Reason
			}
		}
		for _, o := range r.Results.Period.Objections {
			if o.Number == q.Objection {
				file.Status, file.Verdict = o.Status, o.Verdict
			}
		}
		x.Requests = append(x.Requests, file)
	}
	for _, p := range r.Parts(f) {
		if r.sees(p.Key) {
			x.Parts = append(x.Parts, FigurePart{p.Key.String(), p.N.String(), p.D.String(), p.Printed, r.link("/figures/" + p.Key.String())})
		}
	}
	x.Feeds = append(x.Feeds, r.feeds(f)...)
	return &found[FigureExplained]{Position: position, Body: x}, nil
}

// feeds lists the lines of scores that a figure gives.
func (r *reading) feeds(f assessment.Figure) (uses []FigureUse) {
	id := f.Key.String()
	for i := range r.Scores {
		sc := &r.Scores[i]
		if sc.Unit != f.Unit || sc.Street != f.Street {
			continue
		}
		use := FigureUse{Unit: sc.Unit, Street: sc.Street, Link: r.link("/scores", "unit", string(sc.Unit), "street", string(sc.Street))}
		for _, it := range sc.Items {
			if it.Figure == id {
				use.As, use.Points, use.Most = "objective", it.Points.String(), it.Most.String()
				uses = append(uses, use)
			}
		}
		use.Most = ""
		for as, told := range map[string][]assessment.Told{"deduction": sc.Deductions, "bonus": sc.Bonuses} {
			for _, t := range told {
				if t.Figure == id {
					use.As, use.Points = as, t.Points.String()
					uses = append(uses, use)
				}
			}
		}
	}
	slices.SortStableFunc(uses, func(a, b FigureUse) int { return cmp.Compare(b.As, a.As) })
	return uses
}

// edition says which result it is.
func (r *reading) edition() ResultState {
	switch {
	case len(r.was.Editions) > 0:
		return editionSealed
	case r.was.shown > 0:
		return editionProvisional
	}
	return editionNow
}

// again reports whether computing it again came to the same.
func (r *reading) again() bool {
	switch r.edition() {
	case editionSealed:
		return r.Recomputed == r.Assessed.Edition.Results
	case editionProvisional:
		return r.ResultsHash() == r.was.Shown.Results
	}
	return true
}

// CohortItem is one case behind a figure, with the verdict on it.
type CohortItem struct {
	Withheld bool      `json:"withheld,omitempty" doc:"It is of a report (举报) that you may not know of: it counts, and is not named."`
	Name     string    `json:"name,omitempty" doc:"As in the list of the cohort."`
	Number   string    `json:"number,omitempty" doc:"编号."`
	Case     *CaseItem `json:"case,omitempty"`
	In       bool      `json:"in" doc:"It is in the cohort."`
	N        string    `json:"n" doc:"What it adds."`
	D        string    `json:"d"`
	Why      string    `json:"why,omitempty" doc:"Why it does not count, or is left out."`
	Decided  bool      `json:"decided,omitempty" doc:"By an exclusion or objection; before, it was:"`
	RawN     string    `json:"raw_n,omitempty"`
	RawD     string    `json:"raw_d,omitempty"`
	RawWhy   string    `json:"raw_why,omitempty"`
	Minutes  int32     `json:"minutes,omitempty" doc:"Of first_contact."`
	Link     string    `json:"link,omitempty" doc:"The case."`
	Events   string    `json:"events,omitempty"`
}

// item shows a case with its verdict, or the verdict alone.
func (s *Server) item(ctx context.Context, c assessment.Finding) (CohortItem, error) {
	it := CohortItem{In: c.In, N: c.N.String(), D: c.D.String(), Why: c.Why, Decided: c.Decided, RawWhy: c.RawWhy, Minutes: c.Minutes}
	if c.Decided {
		it.RawN, it.RawD = c.RawN.String(), c.RawD.String()
	}
	secret, err := s.secret(ctx, c)
	if it.Withheld = secret; secret || err != nil {
		return it, err
	}
	it.Name, it.Number = c.Name, c.Number
	if n := c.Case.Stream; n != "" {
		named := CaseItem(c.Case)
		it.Case, it.Events = &named, base+"/events?stream="+string(n)
		switch n.Category() {
		case stream.Demand, stream.Order, stream.Whistle, stream.Dispute, stream.Topic:
			it.Link = base + "/" + string(n.Category()) + "s/" + n.ID().String()
		}
	}
	return it, nil
}

// secret reports whether a case is of a report, and the actor may not know of it. What else is behind a figure, whoever sees the figure
// sees: see docs/decisions/0026.
func (s *Server) secret(ctx context.Context, c assessment.Finding) (bool, error) {
	if !c.Report {
		return false, nil
	}
	names := []stream.Name{c.Case.Stream}
	if !c.Demand.IsZero() {
		names = append(names, stream.Of(stream.Demand, c.Demand))
	}
	for _, n := range names {
		state, revision, err := s.Engine.Load(ctx, n)
		if err != nil {
			return true, err
		}
		if revision < 0 {
			return true, nil
		}
		if sees, err := s.sees(ctx, of(ctx).actor, n, state); !sees || err != nil {
			return true, err
		}
	}
	return false, nil
}

func (s *Server) cohort(ctx context.Context, in *struct {
	FiguresQuery
	Figure string `path:"figure" maxLength:"120"`
}) (*listed[CohortItem], error) {
	position := s.position()
	r, err := s.read(ctx, &in.FiguresQuery)
	if err != nil {
		return nil, err
	}
	f, known := r.Figure(in.Figure)
	if !known || !r.sees(f.Key) {
		return nil, problem("not_found")
	}
	cases, all, err := r.Page(in.Figure, r.skip, in.Limit)
	if err != nil {
		return nil, err
	}
	var items []CohortItem
	for _, c := range cases {
		it, err := s.item(ctx, c)
		if err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	return pageOf(ctx, items, s.further(ctx, &r, len(cases), all), position, false, nil)
}

func notComputed() *Problem {
	return problem("wrong_state", rule.Say("本版程序无法按该方案重新计算，只有封存的数值", "this program can not compute the scheme any more: there are the sealed numbers only"))
}

// further is the cursor of the next page after so many of all.
func (s *Server) further(ctx context.Context, r *reading, shown, all int) string {
	if r.skip+shown >= all {
		return ""
	}
	return s.mark(ctx, bookmark{at: r.at, skip: r.skip + shown})
}

func (s *Server) assessmentRoutes() {
	get(s, "list-assessments", "/assessments", "The periods whose results you may read", "assessments", s.assessments)
	get(s, "read-assessment", "/assessments/{id}", "What a result is and what it was computed from", "assessments", s.assessment)
	get(s, "list-figures", "/assessments/{id}/figures", "The figures of a period, as sealed, as shown, or as of now", "assessments", s.figures)
	get(s, "explain-figure", "/assessments/{id}/figures/{figure}", "A figure: its formula in words and numbers, what touched it, what it is made of and what it feeds", "assessments", s.explainFigure)
	get(s, "list-cohort", "/assessments/{id}/figures/{figure}/items", "The cases behind a figure, each with its verdict", "assessments", s.cohort)
	get(s, "list-scores", "/assessments/{id}/scores", "What each street's evaluation of each unit comes to, step by step", "assessments", s.scores)
	get(s, "list-standings", "/assessments/{id}/standings", "The annual combination and the ranks, by kind of unit, step by step", "assessments", s.standings)
	get(s, "list-cards", "/assessments/{id}/cards", "The cards of orders and whistles (一件一考核、一哨一考核)", "assessments", s.cards)
	get(s, "compare-assessments", "/assessments/{id}/compare", "Who rises, who falls, because of what: from another period, or under another scheme", "assessments", s.compare)
	get(s, "list-revisions", "/assessments/{id}/revisions", "The seal and the revisions after it", "assessments", s.revisions)
	get(s, "list-changes", "/assessments/{id}/diff", "The figures that differ between two revisions", "assessments", s.changes)
	offer[dryRunBody](s, huma.Operation{OperationID: "dry-run-assessment", Method: http.MethodPost, Path: base + "/assessments/dry-run",
		Summary: "Try a scheme on a period: nothing is written (试算)", Tags: []string{"assessments"}}, s.dryRun)
}

// own returns the unit or the street whose figures an actor without an office sees.
func (s *Server) own(ctx context.Context) (unit, street orgs.UnitCode) {
	units := s.Engine.Units()
	seat, _ := units.Unit(rule.Seat(units, of(ctx).actor))
	if seat.Kind == orgs.Street {
		return "", seat.Code
	}
	return seat.Code, ""
}
