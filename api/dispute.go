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
}
