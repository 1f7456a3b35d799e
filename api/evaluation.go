package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/assessment"
	"gridcase/domain/evaluation"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
)

// EvaluationFile is what a street says of a unit for a period (评价), the last time.
type EvaluationFile struct {
	ID       stream.ID          `json:"id"`
	Revision int64              `json:"revision"`
	Period   stream.ID          `json:"period"`
	Street   orgs.UnitCode      `json:"street"`
	Unit     orgs.UnitCode      `json:"unit"`
	Number   int                `json:"number" doc:"How often it was handed in; the last one counts."`
	Items    []assessment.Given `json:"items" nullable:"false" doc:"In the order of the scheme's form."`
	Total    assessment.Decimal `json:"total" doc:"A decimal number as text."`
	Comment  sealed.Public      `json:"comment,omitempty"`
	Served   stream.Name        `json:"served,omitempty"`
	At       time.Time          `json:"at"`
	Receipt  *Receipt           `json:"receipt,omitempty"`
}

var evaluations = resource[EvaluationFile]{stream.Evaluation, renderEvaluation}

func renderEvaluation(_ context.Context, _ *Server, _ stream.Name, state any, revision int64, receipt *Receipt) (EvaluationFile, error) {
	st := state.(evaluation.State)
	return EvaluationFile{ID: st.ID, Revision: revision, Period: st.Period, Street: st.Street, Unit: st.Unit, Number: st.Number, Items: list(st.Items),
		Total: st.Total, Comment: st.Comment, Served: st.Served, At: shown(st.At), Receipt: receipt}, nil
}

type evaluationBody struct {
	Happened
	Unit    orgs.UnitCode      `json:"unit" format:"unit"`
	Items   []assessment.Given `json:"items" maxItems:"50" doc:"Every item of the scheme's form, in half points written as text: \"17.5\"."`
	Comment sealed.Public      `json:"comment,omitempty" maxLength:"500" doc:"Needed below 60 and above 95 of 100."`
	Served  stream.Name        `json:"served,omitempty" maxLength:"60" doc:"An order that the unit handled for the street in the period, or a whistle that summoned it, if it is neither its district's department nor hosted by it: gridcase.order-… or gridcase.whistle-…."`
}

// evaluate hands an evaluation in for the own street. It is sent to the period, with the period's If-Match, and confirmed by
// the street's leader; what it writes is a stream of its own, which replaces what the street said before.
func (s *Server) evaluate(ctx context.Context, in *commandInput[evaluationBody]) (*answer[EvaluationFile], error) {
	p, _, at, err := s.find(ctx, stream.Period, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.may(ctx, evaluates); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	seen, err := parseIfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	b, rq := in.body, of(ctx)
	if err := s.occurred(b.OccurredAt); err != nil {
		return nil, err
	}
	n := stream.Of(stream.Evaluation, stream.EvaluationOf(p.ID(), string(rq.actor.Unit), string(b.Unit)))
	again := s.repeats(ctx, n, in.Post)
	second, err := s.second(in.Confirmation, in.path, seen, in.raw)
	if err != nil && !again {
		return nil, err
	}
	if seen != at && !again {
		return nil, &engine.StaleError{Expect: seen, Actual: at}
	}
	_, revision, err := s.Engine.Load(ctx, n)
	if err != nil {
		return nil, err
	}
	receipt, err := s.Engine.Handle(ctx, engine.Request{Stream: n, Key: key, Actor: rq.actor, Second: second, Occurred: b.OccurredAt, Expect: revision, Trace: rq.trace,
		Commands: []engine.Command{evaluation.Submit{Period: p.ID(), Unit: b.Unit, Items: b.Items, Comment: b.Comment, Served: b.Served}}})
	if err != nil {
		return nil, err
	}
	body, err := renderEvaluation(ctx, s, n, receipt.State, receipt.Revision, receiptOf(receipt))
	return answered(http.StatusCreated, base+"/evaluations/"+n.ID().String(), receipt, body), err
}

func (s *Server) evaluationRoutes() {
	offer[evaluationBody](s, huma.Operation{OperationID: "submit-evaluation", Method: http.MethodPost, Path: base + "/periods/{id}/evaluations",
		DefaultStatus: http.StatusCreated, Summary: "Say what the own street thinks of a unit (提交评价); the street's leader confirms. A later one replaces it until figures are shown",
		Tags: []string{"evaluations"}}, s.evaluate)
	one(s, evaluations, "Read an evaluation: the street at once, the unit when provisional figures are published")
}
