package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
)

// PeriodFile is a scheme applied to a jurisdiction and some days (考核周期), and where it stands.
type PeriodFile struct {
	ID           stream.ID       `json:"id"`
	Revision     int64           `json:"revision" doc:"Of the stream; not of the result."`
	Phase        period.Phase    `json:"phase"`
	Jurisdiction orgs.UnitCode   `json:"jurisdiction"`
	Scheme       stream.ID       `json:"scheme"`
	Version      int             `json:"scheme_version"`
	Hash         string          `json:"scheme_hash"`
	First        calendar.Date   `json:"first"`
	Last         calendar.Date   `json:"last" doc:"Included."`
	EndsAt       time.Time       `json:"ends_at" doc:"The clock ends it in the second after."`
	CutOffAt     time.Time       `json:"cut_off_at,omitzero" doc:"When its end was recorded: what stands after that event in the log does not count."`
	EvaluateBy   time.Time       `json:"evaluate_by,omitzero" doc:"Until then streets may hand in their evaluations, unless provisional figures are published before."`
	Shown        *ShownFigures   `json:"shown,omitempty" doc:"What was published provisionally, the last time."`
	Result       *SealedFigures  `json:"result,omitempty" doc:"What is sealed."`
	Undecided    int             `json:"undecided" doc:"Exclusions and objections that block the seal, whoever may see them."`
	Exclusions   []ExclusionFile `json:"exclusions" nullable:"false" doc:"Above the jurisdiction and there all; else those of the own unit and about it."`
	Objections   []ObjectionFile `json:"objections" nullable:"false" doc:"As exclusions."`
	Others       []OtherScore    `json:"other_scores" nullable:"false" doc:"As exclusions."`
	Reason       sealed.Public   `json:"reason,omitempty" doc:"It was voided for."`
	OpenedAt     time.Time       `json:"opened_at"`
	ClosedAt     time.Time       `json:"closed_at,omitzero"`
	Since        time.Time       `json:"since"`
	Clocks       []Clock         `json:"clocks" nullable:"false"`
	Possible     []string        `json:"possible" nullable:"false"`
	Receipt      *Receipt        `json:"receipt,omitempty"`
}

// ShownFigures says what was published provisionally.
type ShownFigures struct {
	Number   int       `json:"number" doc:"1, and one more each time they changed."`
	Figures  int       `json:"figures"`
	Results  string    `json:"results" doc:"SHA-256 of the results."`
	Cohort   string    `json:"cohort" doc:"SHA-256 of the list of all items."`
	Missing  int       `json:"missing,omitempty" doc:"Evaluations that did not come."`
	ObjectBy time.Time `json:"object_by" doc:"Until then it may be contested."`
	At       time.Time `json:"at"`
}

// SealedFigures says what is sealed.
type SealedFigures struct {
	Revision int       `json:"revision" doc:"1 is the seal."`
	Figures  int       `json:"figures"`
	Results  string    `json:"results"`
	Cohort   string    `json:"cohort"`
	CutOff   int64     `json:"cut_off" doc:"Position in the log."`
	At       time.Time `json:"at"`
}

// CaseItem names an item of a cohort, or an evaluation.
type CaseItem struct {
	Stream stream.Name   `json:"stream" maxLength:"60" doc:"gridcase.order-…, gridcase.demand-…, gridcase.whistle-…, gridcase.dispute-…, or gridcase.evaluation-…."`
	Leg    int           `json:"leg,omitempty" minimum:"0" maximum:"1000" doc:"Of an order."`
	Unit   orgs.UnitCode `json:"unit,omitempty" format:"unit" doc:"Of a whistle or an evaluation: which unit."`
}

// ExclusionFile is a request to leave an item out (剔除).
type ExclusionFile struct {
	Number     int                    `json:"number"`
	Case       CaseItem               `json:"case"`
	Indicators []assessment.Indicator `json:"indicators,omitempty" doc:"All, if absent."`
	Reason     assessment.Reason      `json:"reason"`
	Account    sealed.Public          `json:"account"`
	By         orgs.UnitCode          `json:"by"`
	Status     assessment.Status      `json:"status" enum:"undecided,granted,refused"`
	Answer     sealed.Public          `json:"answer,omitempty"`
	AskedAt    time.Time              `json:"asked_at"`
	DecidedAt  time.Time              `json:"decided_at,omitzero"`
}

// ObjectionFile is a contested item (申诉).
type ObjectionFile struct {
	Number    int                  `json:"number"`
	Case      CaseItem             `json:"case"`
	Indicator assessment.Indicator `json:"indicator,omitempty"`
	Verdict   assessment.Verdict   `json:"verdict" doc:"Asked for; once it is upheld, found."`
	Ground    sealed.Public        `json:"ground"`
	By        orgs.UnitCode        `json:"by"`
	Status    assessment.Status    `json:"status" enum:"undecided,granted,refused"`
	Answer    sealed.Public        `json:"answer,omitempty"`
	DecideBy  time.Time            `json:"decide_by"`
	FiledAt   time.Time            `json:"filed_at"`
	DecidedAt time.Time            `json:"decided_at,omitzero"`
}

// OtherScore is the part of a unit's annual score that is not the streets'.
type OtherScore struct {
	Unit     orgs.UnitCode      `json:"unit"`
	Score    assessment.Decimal `json:"score"`
	Document string             `json:"document"`
}

var periods = resource[PeriodFile]{stream.Period, renderPeriod}

func renderPeriod(ctx context.Context, s *Server, _ stream.Name, state any, revision int64, receipt *Receipt) (PeriodFile, error) {
	st := state.(period.State)
	f := PeriodFile{ID: st.ID, Revision: revision, Phase: st.Phase, Jurisdiction: st.Jurisdiction, Scheme: st.Scheme, Version: st.Version, Hash: st.Hash,
		First: st.First, Last: st.Last, EndsAt: shown(st.EndsAt), CutOffAt: shown(st.CutOffAt), EvaluateBy: shown(st.Evaluation.Due), Undecided: st.Undecided(),
		Exclusions: []ExclusionFile{}, Objections: []ObjectionFile{}, Others: []OtherScore{}, Reason: st.Reason, OpenedAt: shown(st.OpenedAt),
		ClosedAt: shown(st.ClosedAt), Since: shown(st.Since), Clocks: clocksOf(st.Running), Possible: list(period.Machine.Possible(st.Phase)), Receipt: receipt}
	if p := st.Shown; p.Number > 0 {
		f.Shown = &ShownFigures{Number: p.Number, Figures: p.Figures, Results: p.Results, Cohort: p.Cohort, Missing: p.Missing, ObjectBy: shown(p.Objection.Due), At: shown(p.At)}
	}
	if r := st.Result; r.Revision > 0 {
		f.Result = &SealedFigures{Revision: r.Revision, Figures: r.Figures, Results: r.Results, Cohort: r.Cohort, CutOff: r.CutOff, At: shown(r.At)}
	}
	a, units := of(ctx).actor, s.Engine.Units()
	all := s.above(a, st.Jurisdiction)
	concerns := func(bodies ...orgs.UnitCode) bool {
		return all || slices.ContainsFunc(bodies, func(code orgs.UnitCode) bool {
			u, _ := units.Unit(code) // what a street hosts is not the street
			return a.Unit == code || u.Kind != orgs.Street && units.SameBody(a.Unit, code)
		})
	}
	for _, x := range st.Exclusions {
		if concerns(append(slices.Clip(x.Bodies), x.By)...) {
			f.Exclusions = append(f.Exclusions, ExclusionFile{Number: x.Number, Case: CaseItem(x.Case), Indicators: x.Indicators, Reason: x.Reason, Account: x.Account,
				By: x.By, Status: x.Status, Answer: x.Answer, AskedAt: shown(x.AskedAt), DecidedAt: shown(x.DecidedAt)})
		}
	}
	for _, o := range st.Objections {
		if concerns(append(slices.Clip(o.Bodies), o.By)...) {
			f.Objections = append(f.Objections, ObjectionFile{Number: o.Number, Case: CaseItem(o.Case), Indicator: o.Indicator, Verdict: o.Verdict, Ground: o.Ground,
				By: o.By, Status: o.Status, Answer: o.Answer, DecideBy: shown(o.Decision.Due), FiledAt: shown(o.FiledAt), DecidedAt: shown(o.DecidedAt)})
		}
	}
	for _, o := range st.Others {
		if concerns(o.Unit) {
			f.Others = append(f.Others, OtherScore(o))
		}
	}
	return f, nil
}

// The bodies of the commands. Their members mean what the event of the same command says.
type (
	openPeriodBody struct {
		Happened
		Jurisdiction orgs.UnitCode `json:"jurisdiction" format:"unit" doc:"A district, or the city."`
		Scheme       stream.ID     `json:"scheme" doc:"Published before the first day."`
		First        calendar.Date `json:"first" doc:"Of a month, quarter or year, as the scheme says."`
		Last         calendar.Date `json:"last" doc:"Included."`
	}
	voidPeriodBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	requestExclusionBody struct {
		Happened
		Case       CaseItem               `json:"case"`
		Indicators []assessment.Indicator `json:"indicators,omitempty" maxItems:"50" maxLength:"60" doc:"All, if not given."`
		Reason     assessment.Reason      `json:"reason" maxLength:"60" doc:"A code of the scheme."`
		Account    sealed.Public          `json:"account" minLength:"1" maxLength:"500"`
	}
	approveExclusionBody struct {
		Happened
		Number int           `json:"number" minimum:"1" maximum:"100000"`
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	refuseExclusionBody struct {
		Happened
		Number int           `json:"number" minimum:"1" maximum:"100000"`
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	fileObjectionBody struct {
		Happened
		Case      CaseItem             `json:"case"`
		Indicator assessment.Indicator `json:"indicator,omitempty" maxLength:"60" doc:"None for an evaluation."`
		Verdict   assessment.Verdict   `json:"verdict" enum:"counts,fails,left_out" doc:"Asked for; of an evaluation left_out."`
		Ground    sealed.Public        `json:"ground" minLength:"1" maxLength:"500"`
	}
	upholdObjectionBody struct {
		Happened
		Number  int                `json:"number" minimum:"1" maximum:"100000"`
		Verdict assessment.Verdict `json:"verdict" enum:"counts,fails,left_out" doc:"That is found."`
		Reason  sealed.Public      `json:"reason" minLength:"1" maxLength:"500"`
	}
	rejectObjectionBody struct {
		Happened
		Number int           `json:"number" minimum:"1" maximum:"100000"`
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	importOtherScoreBody struct {
		Happened
		Unit     orgs.UnitCode      `json:"unit" format:"unit"`
		Score    assessment.Decimal `json:"score" doc:"A decimal number as text, \"85.5\": 0 to what the scheme says can be attained."`
		Document string             `json:"document" format:"sha256" doc:"SHA-256 of the document it was taken from."`
	}
)

func (b voidPeriodBody) command() engine.Command { return period.Void{Reason: b.Reason} }
func (b requestExclusionBody) command() engine.Command {
	return period.RequestExclusion{Case: assessment.Case(b.Case), Indicators: b.Indicators, Reason: b.Reason, Account: b.Account}
}
func (b approveExclusionBody) command() engine.Command {
	return period.ApproveExclusion{Number: b.Number, Reason: b.Reason}
}
func (b refuseExclusionBody) command() engine.Command {
	return period.RefuseExclusion{Number: b.Number, Reason: b.Reason}
}
func (b fileObjectionBody) command() engine.Command {
	return period.FileObjection{Case: assessment.Case(b.Case), Indicator: b.Indicator, Verdict: b.Verdict, Ground: b.Ground}
}
func (b upholdObjectionBody) command() engine.Command {
	return period.UpholdObjection{Number: b.Number, Verdict: b.Verdict, Reason: b.Reason}
}
func (b rejectObjectionBody) command() engine.Command {
	return period.RejectObjection{Number: b.Number, Reason: b.Reason}
}
func (b importOtherScoreBody) command() engine.Command {
	return period.ImportOtherScore{Unit: b.Unit, Score: b.Score, Document: b.Document}
}

func (s *Server) openPeriod(ctx context.Context, in *postInput[openPeriodBody]) (*answer[PeriodFile], error) {
	if err := s.may(ctx, "period/open"); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	b := in.body
	n := stream.Of(stream.Period, stream.PeriodOf(string(b.Jurisdiction), b.Scheme, b.First.String(), b.Last.String()))
	receipt, err := s.begins(ctx, n, key, b.OccurredAt, period.Open{Jurisdiction: b.Jurisdiction, Scheme: b.Scheme, First: b.First, Last: b.Last})
	if err != nil {
		return nil, err
	}
	body, err := renderPeriod(ctx, s, n, receipt.State, receipt.Revision, receiptOf(receipt))
	return answered(http.StatusCreated, base+"/periods/"+n.ID().String(), receipt, body), err
}

func (s *Server) periodRoutes() {
	offer[openPeriodBody](s, huma.Operation{OperationID: "open-period", Method: http.MethodPost, Path: base + "/periods", DefaultStatus: http.StatusCreated,
		Summary: "Apply a published scheme to a jurisdiction and some days, once (考核周期)", Tags: []string{"periods"}}, s.openPeriod)
	command[voidPeriodBody](s, periods, "Void it, with a second person (作废)")
	command[requestExclusionBody](s, periods, "Ask that an item be left out (申请剔除)")
	command[approveExclusionBody](s, periods, "Leave it out (同意剔除)")
	command[refuseExclusionBody](s, periods, "Let it count (不予剔除)")
	command[fileObjectionBody](s, periods, "Contest what was shown of an item or an evaluation (申诉)")
	command[upholdObjectionBody](s, periods, "Find otherwise (申诉成立)")
	command[rejectObjectionBody](s, periods, "Find that what was shown stands (申诉驳回)")
	command[importOtherScoreBody](s, periods, "Record the part of a unit's annual score that is not the streets' (其他得分)")
	one(s, periods, "Read a period, in its jurisdiction and above")
}
