package api

import (
	"context"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/dispute"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/projections"
)

// Dispute is a quarrel between residents on the mediation ladder (矛盾纠纷). It comes from fast-tracking a demand.
type Dispute struct {
	ID        stream.ID      `json:"id"`
	Revision  int64          `json:"revision"`
	Phase     dispute.Phase  `json:"phase"`
	Demand    stream.ID      `json:"demand"`
	Unit      orgs.UnitCode  `json:"unit" doc:"Where the matter lies."`
	Rung      dispute.Rung   `json:"rung" doc:"1 grid, 2 community, 3 street, 4 district."`
	Mediator  orgs.UnitCode  `json:"mediator,omitempty"`
	Stays     []Stay         `json:"stays" nullable:"false"`
	Extended  bool           `json:"extended,omitempty"`
	Agreement *Agreement     `json:"agreement,omitempty"`
	Target    dispute.Target `json:"target,omitempty"`
	Receipted string         `json:"target_receipt,omitempty"`
	OpenedAt  time.Time      `json:"opened_at"`
	EndedAt   time.Time      `json:"ended_at,omitzero"`
	Since     time.Time      `json:"since"`
	Clocks    []Clock        `json:"clocks" nullable:"false"`
	Possible  []string       `json:"possible" nullable:"false"`
	Receipt   *Receipt       `json:"receipt,omitempty"`
}

// Stay is the time a dispute spent at one rung.
type Stay struct {
	Rung     dispute.Rung  `json:"rung"`
	Mediator orgs.UnitCode `json:"mediator,omitempty"`
	From     time.Time     `json:"from"`
	Until    time.Time     `json:"until,omitzero"`
}

// Agreement is what the parties settled on; the document itself is kept elsewhere.
type Agreement struct {
	Hash     string        `json:"hash"`
	Rung     dispute.Rung  `json:"rung"`
	FulfilOn calendar.Date `json:"fulfil_on"`
	Summary  sealed.Public `json:"summary,omitempty"`
	At       time.Time     `json:"at"`
	Breached bool          `json:"breached,omitempty"`
}

var disputes = resource[Dispute]{stream.Dispute, renderDispute}

func renderDispute(_ context.Context, _ *Server, _ stream.Name, state any, revision int64, receipt *Receipt) (Dispute, error) {
	st := state.(dispute.State)
	d := Dispute{ID: st.ID, Revision: revision, Phase: st.Phase, Demand: st.Demand, Unit: st.Unit, Rung: st.Rung, Mediator: st.Mediator, Stays: []Stay{},
		Extended: st.Extended, Target: st.Target, Receipted: st.Receipt, OpenedAt: shown(st.OpenedAt), EndedAt: shown(st.EndedAt),
		Since: shown(st.Since), Clocks: clocksOf(st.Running), Possible: list(dispute.Machine.Possible(st.Phase)), Receipt: receipt}
	for _, stay := range st.Stays {
		d.Stays = append(d.Stays, Stay{Rung: stay.Rung, Mediator: stay.Mediator, From: shown(stay.From), Until: shown(stay.Until)})
	}
	if a := st.Agreement; a.Hash != "" {
		d.Agreement = &Agreement{Hash: a.Hash, Rung: a.Rung, FulfilOn: a.FulfilOn, Summary: a.Summary, At: shown(a.At), Breached: a.Breached}
	}
	return d, nil
}

// The bodies of the commands. Their members mean what the event of the same command says.
type (
	acceptMediationBody struct {
		Happened
		Consent bool `json:"consent" doc:"Both parties want mediation."`
	}
	declineMediationBody struct {
		Happened
		Reason dispute.DeclineReason `json:"reason" enum:"refused,not_mediable"`
	}
	recordAgreementBody struct {
		Happened
		Agreement string        `json:"agreement" format:"sha256"`
		FulfilOn  calendar.Date `json:"fulfil_on"`
		Summary   sealed.Public `json:"summary,omitempty" maxLength:"120"`
	}
	failMediationBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	referUpBody  struct{ Happened }
	referOutBody struct {
		Happened
		Target  dispute.Target `json:"target" enum:"court,arbitration,police,petition"`
		Receipt string         `json:"receipt" format:"token" maxLength:"64"`
	}
	withdrawDisputeBody  struct{ Happened }
	recordFulfilmentBody struct{ Happened }
	reportBreachBody     struct {
		Happened
		Reason personal `json:"reason" minLength:"1" maxLength:"2000" long:"true"`
	}
	extendRungBody struct {
		Happened
		Amount  int  `json:"amount" minimum:"1" maximum:"366"`
		Consent bool `json:"consent" doc:"Both parties want to go on."`
	}
)

func (b acceptMediationBody) command() engine.Command {
	return dispute.AcceptMediation{Consent: b.Consent}
}
func (b declineMediationBody) command() engine.Command {
	return dispute.DeclineMediation{Reason: b.Reason}
}
func (b recordAgreementBody) command() engine.Command {
	return dispute.RecordAgreement{Agreement: b.Agreement, FulfilOn: b.FulfilOn, Summary: b.Summary}
}
func (b failMediationBody) command() engine.Command { return dispute.FailMediation{Reason: b.Reason} }
func (b referUpBody) command() engine.Command       { return dispute.ReferUp{} }
func (b referOutBody) command() engine.Command {
	return dispute.ReferOut{Target: b.Target, Receipt: b.Receipt}
}
func (b withdrawDisputeBody) command() engine.Command  { return dispute.Withdraw{} }
func (b recordFulfilmentBody) command() engine.Command { return dispute.RecordFulfilment{} }
func (b reportBreachBody) command() engine.Command {
	return dispute.ReportBreach{Reason: b.Reason.seal()}
}
func (b extendRungBody) command() engine.Command {
	return dispute.ExtendRung{Amount: b.Amount, Consent: b.Consent}
}

func (s *Server) disputeRoutes() {
	command[acceptMediationBody](s, disputes, "Take it up (受理调解)")
	command[declineMediationBody](s, disputes, "Decline to mediate (不予调解)")
	command[recordAgreementBody](s, disputes, "Record the agreement (调解成功)")
	command[failMediationBody](s, disputes, "Record that mediation led to nothing (调解不成)")
	command[referUpBody](s, disputes, "Refer it to the next rung (上交)")
	command[referOutBody](s, disputes, "Refer it out of the ladder (转外部)")
	command[withdrawDisputeBody](s, disputes, "Withdraw it (撤回)")
	command[recordFulfilmentBody](s, disputes, "Record that the agreement was kept (已履行)")
	command[reportBreachBody](s, disputes, "Report that it was not kept (反悔)")
	command[extendRungBody](s, disputes, "Give the mediation more time (延长调解)")
	one(s, disputes, "Read a dispute")
	get(s, "list-disputes", "/disputes", "List disputes of the own jurisdiction", "disputes", s.listDisputes)
}

// DisputeBrief is a dispute in a list.
type DisputeBrief struct {
	ID        stream.ID           `json:"id"`
	Revision  int64               `json:"revision"`
	Phase     dispute.Phase       `json:"phase"`
	Demand    stream.ID           `json:"demand"`
	Unit      orgs.UnitCode       `json:"unit"`
	Street    orgs.UnitCode       `json:"street,omitempty"`
	District  orgs.UnitCode       `json:"district,omitempty"`
	Rung      dispute.Rung        `json:"rung"`
	Mediator  orgs.UnitCode       `json:"mediator,omitempty"`
	TakenUp   bool                `json:"taken_up,omitempty" doc:"By a mediator, at some rung."`
	Outcome   projections.Outcome `json:"outcome,omitempty" doc:"settled, referred_out, ended."`
	OutcomeAt time.Time           `json:"outcome_at,omitzero"`
	SettledAt dispute.Rung        `json:"outcome_rung,omitempty" doc:"At which the outcome came."`
	Target    dispute.Target      `json:"target,omitempty"`
	Due       time.Time           `json:"due,omitzero"`
	OpenedAt  time.Time           `json:"opened_at"`
	EndedAt   time.Time           `json:"ended_at,omitzero"`
	Since     time.Time           `json:"since"`
}

func disputeBrief(r projections.DisputeRow) DisputeBrief {
	d := DisputeBrief{ID: r.ID, Revision: r.Revision, Phase: r.Phase, Demand: r.Demand, Unit: r.Unit, Street: r.Street, District: r.District, Rung: r.Rung,
		Mediator: r.Mediator, TakenUp: r.TakenUp, Outcome: r.Outcome, OutcomeAt: shown(r.OutcomeAt), Target: r.Target, Due: shown(r.Due),
		OpenedAt: shown(r.OpenedAt), EndedAt: shown(r.EndedAt), Since: shown(r.Since)}
	if r.Outcome != "" {
		d.SettledAt = r.OutcomeRung
	}
	return d
}

type listDisputesInput struct {
	District  string   `query:"district" format:"unit-or-none" maxLength:"40" doc:"Or none: what lies in no district that is known."`
	Street    string   `query:"street" format:"unit-or-none" maxLength:"40" doc:"Or none."`
	Community string   `query:"community" format:"unit" maxLength:"40" doc:"Or the unit that holds it while no community is known."`
	Phase     string   `query:"phase" enum:"opened,mediating,agreed,failed,fulfilled,referred_out,ended"`
	Unsettled bool     `query:"unsettled" doc:"Neither agreed on nor at an end."`
	Rung      int      `query:"rung" minimum:"1" maximum:"4" doc:"Where it stands, or stood last."`
	Outcomes  []string `query:"outcome" enum:"settled,referred_out,ended" doc:"One, or several separated by commas. settled: there is an agreement, and nobody broke it."`
	From      string   `query:"outcome_from" doc:"RFC 3339 with offset."`
	To        string   `query:"outcome_to"`
	At        int      `query:"outcome_rung" minimum:"1" maximum:"4"`
	UpTo      int      `query:"outcome_up_to" minimum:"1" maximum:"4" doc:"At this rung or below."`
	TakenUp   bool     `query:"taken_up" doc:"By a mediator, at some rung."`
	Target    string   `query:"target" enum:"court,arbitration,police,petition"`
	LeftRung  int      `query:"left_rung" minimum:"1" maximum:"4" doc:"It left this rung, or was settled there, between left_from and left_to."`
	LeftFrom  string   `query:"left_from"`
	LeftTo    string   `query:"left_to"`
	DueAfter  string   `query:"due_after"`
	DueBefore string   `query:"due_before"`
	Opened    string   `query:"raised_from"`
	Before    string   `query:"raised_to"`
	Sort      string   `query:"sort" enum:"due,raised" doc:"due: the earliest first; raised: the newest first."`
	Limit     int      `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After     string   `query:"after" maxLength:"200" doc:"The cursor next of the page before."`
	Count     bool     `query:"count" doc:"Count all of them, too."`
}

func (s *Server) listDisputes(ctx context.Context, in *listDisputesInput) (*listed[DisputeBrief], error) {
	if err := s.may(ctx, readCase); err != nil {
		return nil, err
	}
	var read instants
	f := projections.DisputeFilter{
		Place: projections.Place{District: orgs.UnitCode(in.District), Street: orgs.UnitCode(in.Street), Community: orgs.UnitCode(in.Community)},
		Page:  projections.Page{Limit: in.Limit, After: in.After}, Unsettled: in.Unsettled, Rung: dispute.Rung(in.Rung), At: dispute.Rung(in.At),
		UpTo: dispute.Rung(in.UpTo), TakenUp: in.TakenUp, Target: dispute.Target(in.Target), LeftRung: dispute.Rung(in.LeftRung),
		OutcomeAt: read.span("outcome_from", in.From, "outcome_to", in.To), Left: read.span("left_from", in.LeftFrom, "left_to", in.LeftTo),
		Due: read.span("due_after", in.DueAfter, "due_before", in.DueBefore), Raised: read.span("raised_from", in.Opened, "raised_to", in.Before)}
	if err := read.err(); err != nil {
		return nil, err
	}
	if in.LeftRung != 0 && (f.Left.From.IsZero() || f.Left.To.IsZero()) {
		return nil, invalid(fault("query.left_rung", "contradiction", "须同时给出 left_from 和 left_to", "wants left_from and left_to"))
	}
	if in.Sort == "raised" {
		f.Sort = projections.ByRaised
	}
	if in.Phase != "" {
		f.Phases = []dispute.Phase{dispute.Phase(in.Phase)}
	}
	for _, o := range in.Outcomes {
		f.Outcomes = append(f.Outcomes, projections.Outcome(o))
	}
	v, who, position := s.Views.Views(), s.viewer(of(ctx).actor), s.position()
	rows, next, err := v.Disputes(ctx, who, f)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, briefs(rows, disputeBrief), next, position, in.Count, func() (int, error) { return v.CountDisputes(ctx, who, f) })
}
