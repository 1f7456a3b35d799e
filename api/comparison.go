package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/evidence"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/scheme"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/projections"
)

// ComparisonFile says how two results differ.
type ComparisonFile struct {
	Before ComparedResult   `json:"before"`
	After  ComparedResult   `json:"after"`
	Units  []ComparisonUnit `json:"units" nullable:"false" doc:"By unit, those that you may see."`
}

// ComparedResult names one side of a comparison.
type ComparedResult struct {
	Period     stream.ID   `json:"period"`
	Edition    ResultState `json:"edition,omitempty" enum:"sealed,provisional,now" doc:"Absent for a result that is tried."`
	Revision   int         `json:"revision,omitempty"`
	SchemeHash string      `json:"scheme_hash"`
	Results    string      `json:"results" doc:"SHA-256."`
}

// ComparisonUnit says who rises and who falls, because of what.
type ComparisonUnit struct {
	Unit   orgs.UnitCode     `json:"unit"`
	Name   string            `json:"name"`
	Kind   orgs.Kind         `json:"kind"`
	Before ComparedPlace     `json:"before"`
	After  ComparedPlace     `json:"after"`
	Rises  int               `json:"rises" doc:"Places gained; below 0 lost; 0 also where it was not ranked on one side."`
	Change string            `json:"change" doc:"Of the annual score, or where one side lacks it of the streets' score; exact, — if there is neither."`
	Print  string            `json:"change_printed"`
	Parts  []ComparisonPart  `json:"parts" nullable:"false" doc:"Of the streets' score: they sum to its change."`
	Causes []ComparisonCause `json:"causes" nullable:"false" doc:"What each change of the scheme does alone, on the result before."`
	Rest   string            `json:"rest" doc:"The change less the causes: cases, evaluations, and what the changes of the scheme do together. Exact."`
}

// ComparedPlace is where a unit stands on one side.
type ComparedPlace struct {
	Streets string `json:"streets" doc:"As printed."`
	Year    string `json:"year"`
	Annual  string `json:"annual"`
	Rank    int    `json:"rank,omitempty"`
}

// ComparisonPart is what one line of a score was and is.
type ComparisonPart struct {
	What   string `json:"what"`
	Before string `json:"before" doc:"Exact."`
	After  string `json:"after"`
	By     string `json:"by"`
}

// ComparisonCause is what one change of a scheme makes of a score.
type ComparisonCause struct {
	What string `json:"what" doc:"A member of the scheme, or a choice: choices.aggregate."`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	By   string `json:"by" doc:"Exact."`
}

func compared(a, b *assessment.Results, sees func(assessment.Key) bool) []ComparisonUnit {
	units := []ComparisonUnit{}
	for _, c := range assessment.Compare(a, b) {
		if !sees(assessment.Key{Unit: c.Unit}) {
			continue
		}
		place := func(s assessment.Standing) ComparedPlace {
			if s.Unit == "" {
				return ComparedPlace{assessment.None, assessment.None, assessment.None, 0}
			}
			return ComparedPlace{s.Printed[0], s.Printed[1], s.Printed[2], s.Rank}
		}
		u := ComparisonUnit{Unit: c.Unit, Name: c.Name, Kind: c.Kind, Before: place(c.Before), After: place(c.After), Rises: c.Rises, Change: c.Change.String(),
			Print: c.Change.Print(b.Places), Parts: []ComparisonPart{}, Causes: []ComparisonCause{}, Rest: c.Rest.String()}
		for _, p := range c.Parts {
			u.Parts = append(u.Parts, ComparisonPart{p.What, p.Before.String(), p.After.String(), p.After.Minus(p.Before).String()})
		}
		for _, e := range c.Causes {
			u.Causes = append(u.Causes, ComparisonCause{e.What, e.From, e.To, e.By.String()})
		}
		units = append(units, u)
	}
	return units
}

func (r *reading) compared() ComparedResult {
	c := ComparedResult{Period: r.was.ID, Edition: r.edition(), Revision: r.Assessed.Edition.Revision, SchemeHash: r.was.Hash, Results: r.ResultsHash()}
	if c.Revision > 0 {
		c.Results = r.Assessed.Edition.Results
	}
	return c
}

func (s *Server) compare(ctx context.Context, in *struct {
	ResultQuery
	With   string `query:"with" maxLength:"40" doc:"Another period of the jurisdiction: what it came to is before, or after if its days come later. Or scheme."`
	Scheme string `query:"scheme" maxLength:"40" doc:"A scheme to try on the same period; the evaluator's office and auditors only."`
}) (*found[ComparisonFile], error) {
	position := s.position()
	if (in.With == "") == (in.Scheme == "") {
		return nil, invalid(fault("query.with", "one_of", "with 与 scheme 须且只能给出一个", "give with or scheme, and not both"))
	}
	a, err := s.read(ctx, in.figures())
	if err != nil {
		return nil, err
	}
	if a.Hash == "" || a.Scheme.Name == "" {
		return nil, notComputed()
	}
	if in.Scheme != "" {
		if !a.office {
			return nil, problem("role_missing", rule.Say("只有考核机构和审计可试算方案", "only the evaluator's office and auditors may try a scheme"))
		}
		_, state, _, err := s.find(ctx, stream.Scheme, in.Scheme)
		if err != nil {
			return nil, err
		}
		b, err := s.tried(ctx, &a, "query.scheme", state.(scheme.State).Scheme)
		if err != nil {
			return nil, err
		}
		return &found[ComparisonFile]{Position: position, Body: ComparisonFile{a.compared(), b.compared(), compared(a.Results, b.Results, a.sees)}}, nil
	}
	if other, err := stream.ParseID(in.With); err == nil && other == a.was.ID {
		return nil, invalid(fault("query.with", "itself", "不能与自身比较", "is the period itself"))
	}
	b, err := s.read(ctx, &FiguresQuery{ID: in.With})
	if err != nil {
		return nil, err
	}
	if b.was.Jurisdiction != a.was.Jurisdiction {
		return nil, invalid(fault("query.with", "another_jurisdiction", "两个周期不属于同一辖区", "is a period of another jurisdiction"))
	}
	if b.Scheme.Name == "" {
		return nil, notComputed()
	}
	if b.was.First < a.was.First {
		a, b = b, a
	}
	both := func(k assessment.Key) bool { return a.sees(k) && b.sees(k) }
	return &found[ComparisonFile]{Position: position, Body: ComparisonFile{a.compared(), b.compared(), compared(a.Results, b.Results, both)}}, nil
}

// trial is a result under a scheme that was not applied.
type trial struct {
	*assessment.Results
	of stream.ID
}

func (t trial) compared() ComparedResult {
	return ComparedResult{Period: t.of, SchemeHash: t.Hash, Results: t.ResultsHash()}
}

// tried computes the period of a reading once more under another scheme, with the evaluations and decisions that it has. A scheme whose
// weight is below the floor is tried, since that is what it may be tried for; any other fault is told, all at once.
func (s *Server) tried(ctx context.Context, r *reading, place string, sch assessment.Scheme) (t trial, err error) {
	var faults []Fault
	for _, f := range assessment.Validate(sch) {
		if f.Code != string(rule.WeightBelowFloor) {
			faults = append(faults, fault(place+"."+f.Place, f.Code, f.Zh, f.En))
		}
	}
	if len(faults) > 0 {
		return t, invalid(faults...)
	}
	q := r.was.question(r.at)
	q.Scheme = sch
	a, err := s.Views.Views().Assess(ctx, q)
	return trial{a.Results, r.was.ID}, err
}

type dryRunBody struct {
	Period  stream.ID          `json:"period" doc:"On which it is tried: what it has of cases, evaluations and decisions counts."`
	Draft   stream.ID          `json:"draft,omitzero" doc:"A scheme that was drafted, published or not. Or scheme."`
	Scheme  *assessment.Scheme `json:"scheme,omitempty" doc:"The whole wording."`
	Edition int                `json:"edition,omitempty" minimum:"1" maximum:"10000" doc:"With which revision of the sealed result it is compared; the last, if not given."`
}

// DryRunFile is what a period would come to.
type DryRunFile struct {
	SchemeHash string         `json:"scheme_hash"`
	Faults     []SchemeFault  `json:"faults" nullable:"false" doc:"What would keep it from being published: a weight below its floor."`
	Shares     []SchemeShare  `json:"shares" nullable:"false" doc:"The streets' share of the attainable points, of each kind of unit."`
	Results    string         `json:"results" doc:"SHA-256."`
	Standings  []StandingFile `json:"standings" nullable:"false"`
	Comparison ComparisonFile `json:"comparison" doc:"With what it was."`
}

// SchemeShare is the streets' share of the attainable points.
type SchemeShare struct {
	Kind    orgs.Kind `json:"kind"`
	Exact   string    `json:"exact"`
	Percent string    `json:"percent" doc:"As printed; what is compared with the floor is the exact one."`
	Floor   string    `json:"floor" doc:"Exact."`
}

// tries is an answer that wrote nothing: there is no receipt.
type tries struct {
	Position string `header:"GridCase-Position"`
	Body     DryRunFile
}

func (s *Server) dryRun(ctx context.Context, in *postInput[dryRunBody]) (*tries, error) {
	if of(ctx).actor.Role != orgs.Evaluator {
		return nil, problem("role_missing", rule.Say("只有考核机构可试算", "only the evaluator's office may try a scheme"))
	}
	if _, err := in.idempotencyKey(); err != nil {
		return nil, err
	}
	b, position := in.body, s.position()
	if b.Draft.IsZero() == (b.Scheme == nil) {
		return nil, invalid(fault("body.scheme", "one_of", "draft 与 scheme 须且只能给出一个", "give draft or scheme, and not both"))
	}
	a, err := s.read(ctx, &FiguresQuery{ID: b.Period.String(), Edition: b.Edition})
	if err != nil {
		return nil, err
	}
	if !a.office {
		return nil, problem("outside_jurisdiction")
	}
	sch, place := b.Scheme, "body.scheme"
	if sch == nil {
		_, state, _, err := s.find(ctx, stream.Scheme, b.Draft.String())
		if err != nil {
			return nil, err
		}
		draft := state.(scheme.State).Scheme
		sch, place = &draft, "body.draft"
	}
	t, err := s.tried(ctx, &a, place, *sch)
	if err != nil {
		return nil, err
	}
	f := DryRunFile{SchemeHash: t.Hash, Results: t.ResultsHash(), Faults: []SchemeFault{}, Shares: []SchemeShare{}, Standings: []StandingFile{},
		Comparison: ComparisonFile{Before: a.compared(), After: t.compared(), Units: []ComparisonUnit{}}}
	for _, x := range assessment.Validate(*sch) {
		f.Faults = append(f.Faults, SchemeFault(x))
	}
	for _, sub := range sch.Subjects {
		w := sch.Weigh(sub)
		f.Shares = append(f.Shares, SchemeShare{sub.Kind, w.String(), w.Times(assessment.Of(100, 1)).Print(2), assessment.Floor(sub.Kind).String()})
	}
	as := reading{Assessed: projections.Assessed{Results: t.Results}, was: a.was, at: a.at, asked: a.asked, sees: a.sees}
	for _, st := range as.ranked("") {
		f.Standings = append(f.Standings, as.standing(st))
	}
	if a.Scheme.Name != "" {
		f.Comparison.Units = compared(a.Results, t.Results, a.sees)
	}
	return &tries{position, f}, nil
}

// RevisionFile is a result as it was sealed.
type RevisionFile struct {
	Revision int           `json:"revision" doc:"1 is the seal."`
	Cause    period.Cause  `json:"cause,omitempty" doc:"Of a revision."`
	Reason   sealed.Public `json:"reason,omitempty"`
	CutOff   string        `json:"cut_off" doc:"Position of the log up to which cases count."`
	CutOffAt time.Time     `json:"cut_off_at"`
	Position string        `json:"position" doc:"Of the seal itself."`
	Program  string        `json:"program"`
	Root     string        `json:"root" doc:"Merkle root of the log at the cut-off …"`
	Leaves   int64         `json:"leaves" doc:"… and how many events are under it."`
	Results  string        `json:"results" doc:"SHA-256."`
	Cohort   string        `json:"cohort" doc:"SHA-256 of the list of all items."`
	Items    int           `json:"items" doc:"Lines of the list."`
	Figures  int           `json:"figures" doc:"Numbers recorded, scores and ranks among them."`
	Changed  int           `json:"changed" doc:"Of a revision: that differ from the one before."`
	Link     string        `json:"link"`
	Diff     string        `json:"diff,omitempty" doc:"From the revision before."`
	Event    string        `json:"event"`
}

func (s *Server) revisions(ctx context.Context, in *struct {
	ID    string `path:"id"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"200"`
}) (*listed[RevisionFile], error) {
	position := s.position()
	r, err := s.stands(ctx, &FiguresQuery{ID: in.ID, After: in.After})
	if err != nil {
		return nil, err
	}
	var items []RevisionFile
	at := base + "/assessments/" + r.was.ID.String()
	for i := r.skip; i < min(r.skip+in.Limit, len(r.was.Editions)); i++ {
		e, p := r.was.Editions[i], r.was.editions[i]
		f := RevisionFile{Revision: e.Revision, Cause: e.Cause, Reason: e.Reason, CutOff: eventlog.Position(e.CutOff).String(), CutOffAt: shown(e.CutOffAt), Position: p.String(),
			Program: e.Program, Root: e.Root, Leaves: e.Leaves, Results: e.Results, Cohort: e.Cohort, Items: e.Items, Figures: len(e.Figures), Changed: len(e.Changed),
			Link:  fmt.Sprintf("%s?edition=%d", at, e.Revision),
			Event: base + "/events?stream=" + string(stream.Of(stream.Period, r.was.ID)) + "&after=" + (p - 1).String() + "&limit=1"}
		if i > 0 {
			f.Diff = fmt.Sprintf("%s/diff?from=%d&to=%d", at, e.Revision-1, e.Revision)
		}
		items = append(items, f)
	}
	return pageOf(ctx, items, s.further(ctx, &r, len(items), len(r.was.Editions)), position, false, nil)
}

// ChangeFile is a number that is another one in a later revision.
type ChangeFile struct {
	Unit   orgs.UnitCode  `json:"unit"`
	Street orgs.UnitCode  `json:"street,omitempty" doc:"Absent: over all streets."`
	Name   string         `json:"name" doc:"An indicator; all: before it, over all units; raw: before it, before exclusions and objections; score, objective, subjective, year, annual, rank, street_rank."`
	Was    *RecordedValue `json:"was,omitempty" doc:"Absent: it is new."`
	Now    *RecordedValue `json:"now,omitempty" doc:"Absent: it is no more."`
}

// RecordedValue is a number as a seal recorded it.
type RecordedValue struct {
	N       string `json:"n,omitempty"`
	D       string `json:"d,omitempty"`
	Printed string `json:"printed"`
}

func (s *Server) changes(ctx context.Context, in *struct {
	ID    string `path:"id"`
	From  int    `query:"from" minimum:"1" maximum:"10000" doc:"The one before to, if not given."`
	To    int    `query:"to" minimum:"1" maximum:"10000" doc:"The last, if not given."`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"200"`
}) (*listed[ChangeFile], error) {
	position := s.position()
	r, err := s.stands(ctx, &FiguresQuery{ID: in.ID, After: in.After})
	if err != nil {
		return nil, err
	}
	changed, _, _, err := r.changed(in.From, in.To)
	if err != nil {
		return nil, err
	}
	var items []ChangeFile
	for _, f := range changed[min(r.skip, len(changed)):min(r.skip+in.Limit, len(changed))] {
		c := ChangeFile{Unit: f.Unit, Street: f.Street, Name: f.Name}
		if f.Was != nil {
			was := RecordedValue(*f.Was)
			c.Was = &was
		}
		if !f.Gone {
			c.Now = &RecordedValue{f.N, f.D, f.Printed}
		}
		items = append(items, c)
	}
	return pageOf(ctx, items, s.further(ctx, &r, len(items), len(changed)), position, false, nil)
}

// ErrEditions: there are not two such revisions, the first before the second.
var ErrEditions = errors.New("no two such revisions")

// between lists what differs between two revisions; 0 is the one before to, and the last.
func between(es []period.Edition, from, to int) (changes []period.Figure, first, last int, err error) {
	last = cmp.Or(to, len(es))
	if first = cmp.Or(from, last-1); first < 1 || first >= last || last > len(es) {
		return nil, first, last, ErrEditions
	}
	return period.Changes(es[first-1].Figures, es[last-1].Figures), first, last, nil
}

// changed is [between] for what the actor sees.
func (r *reading) changed(from, to int) (changes []period.Figure, first, last int, err error) {
	changes, first, last, err = between(r.was.Editions, from, to)
	switch {
	case err != nil && from > 0 && first >= last:
		err = invalid(fault("query.from", "out_of_order", "from 须早于 to，且至少有两版", "from comes before to, and there are two revisions at least"))
	case err != nil:
		err = problem("not_found", noEdition(last, len(r.was.Editions)))
	}
	return slices.DeleteFunc(changes, func(f period.Figure) bool { return !r.sees(recordedKey(f)) }), first, last, err
}

// recordedKey says whose a recorded number is, so that it is seen by those who see it computed.
func recordedKey(f period.Figure) assessment.Key {
	f.Name = strings.TrimPrefix(f.Name, evidence.BeforeDecisions)
	if k, known := evidence.KeyOf(f); known {
		return k
	}
	return assessment.Key{Unit: f.Unit, Street: f.Street}
}
