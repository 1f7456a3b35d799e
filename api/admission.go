package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/projections"
)

// Admission is a request to load a matter on communities or streets that their lists keep it away from (准入). Once it is
// granted, units and term are those of the grant.
type Admission struct {
	ID          stream.ID       `json:"id"`
	Revision    int64           `json:"revision"`
	Phase       admission.Phase `json:"phase"`
	By          orgs.UnitCode   `json:"by" doc:"Asks for it."`
	Office      orgs.UnitCode   `json:"office" doc:"District or city whose admission office decides."`
	Matter      string          `json:"matter"`
	Role        duty.Role       `json:"role"`
	Units       []orgs.UnitCode `json:"units" nullable:"false" doc:"Each with all that lies in it."`
	From        calendar.Date   `json:"from"`
	Until       calendar.Date   `json:"until" doc:"The last day."`
	Task        sealed.Public   `json:"task"`
	Basis       sealed.Public   `json:"basis"`
	Staff       int             `json:"staff"`
	Budget      int64           `json:"budget" doc:"In fen."`
	Emergency   sealed.Public   `json:"emergency,omitempty"`
	Topic       stream.ID       `json:"topic,omitzero"`
	Asked       []orgs.UnitCode `json:"asked,omitempty" doc:"Whose opinions are asked."`
	Opinions    []Opinion       `json:"opinions" nullable:"false"`
	Funding     sealed.Public   `json:"funding,omitempty" doc:"Reference of the grant."`
	Paid        sealed.Public   `json:"paid,omitempty" doc:"Reference under which staff and money arrived."`
	Reason      sealed.Public   `json:"reason,omitempty"`
	Level       orgs.Level      `json:"level,omitempty" doc:"Of attention, once it rose."`
	RequestedAt time.Time       `json:"requested_at"`
	GrantedAt   time.Time       `json:"granted_at,omitzero"`
	FundedAt    time.Time       `json:"funded_at,omitzero" doc:"From that day on, and not before its first, the grant opens the gate."`
	EndedAt     time.Time       `json:"ended_at,omitzero"`
	Since       time.Time       `json:"since"`
	Clocks      []Clock         `json:"clocks" nullable:"false"`
	Possible    []string        `json:"possible" nullable:"false"`
	Receipt     *Receipt        `json:"receipt,omitempty"`
}

// Opinion is what a street or community thinks of a request.
type Opinion struct {
	Unit     orgs.UnitCode `json:"unit"`
	Supports bool          `json:"supports"`
	Reason   sealed.Public `json:"reason,omitempty"`
	At       time.Time     `json:"at"`
}

var admissions = resource[Admission]{stream.Admission, renderAdmission}

func renderAdmission(_ context.Context, _ *Server, _ stream.Name, state any, revision int64, receipt *Receipt) (Admission, error) {
	st := state.(admission.State)
	a := Admission{ID: st.ID, Revision: revision, Phase: st.Phase, By: st.By, Office: st.Office, Matter: st.Matter, Role: st.Role, Units: st.Units,
		From: st.From, Until: st.Until, Task: st.Task, Basis: st.Basis, Staff: st.Staff, Budget: st.Budget, Emergency: st.Emergency, Topic: st.Topic,
		Asked: st.Asked, Opinions: []Opinion{}, Funding: st.Funding, Paid: st.Paid, Reason: st.Reason, Level: st.Attention.Level,
		RequestedAt: shown(st.RequestedAt), GrantedAt: shown(st.GrantedAt), FundedAt: shown(st.FundedAt), EndedAt: shown(st.EndedAt), Since: shown(st.Since),
		Clocks: clocksOf(st.Running), Possible: list(admission.Machine.Possible(st.Phase)), Receipt: receipt}
	for _, o := range st.Opinions {
		a.Opinions = append(a.Opinions, Opinion{Unit: o.Unit, Supports: o.Supports, Reason: o.Reason, At: shown(o.At)})
	}
	return a, nil
}

// The bodies of the commands. Their members mean what the event of the same command says.
type (
	requestAdmissionBody struct {
		Happened
		Matter    string          `json:"matter" format:"matter"`
		Role      duty.Role       `json:"role" enum:"lead,assist"`
		Units     []orgs.UnitCode `json:"units" format:"unit" minItems:"1" maxItems:"200" doc:"Districts, streets, communities; each with all that lies in it."`
		From      calendar.Date   `json:"from" doc:"At least 30 working days ahead, but for an emergency."`
		Until     calendar.Date   `json:"until" doc:"The last day."`
		Task      sealed.Public   `json:"task" minLength:"1" maxLength:"200"`
		Basis     sealed.Public   `json:"basis" minLength:"1" maxLength:"200" doc:"The legal basis."`
		Staff     int             `json:"staff,omitempty" minimum:"0" maximum:"100000" doc:"People who come with the matter."`
		Budget    int64           `json:"budget,omitempty" minimum:"0" maximum:"1000000000000" doc:"In fen, for the whole term."`
		Emergency sealed.Public   `json:"emergency,omitempty" maxLength:"200" doc:"Why it can not be asked for in time."`
		Topic     stream.ID       `json:"topic,omitzero" doc:"Whose adopted plan needs it."`
	}
	openReviewBody struct{ Happened }
	// withdrawRequestBody takes a request back.
	withdrawRequestBody struct{ Happened }
	grantBody           struct {
		Happened
		Units   []orgs.UnitCode `json:"units,omitempty" format:"unit" maxItems:"200" doc:"As asked for, if not given."`
		From    calendar.Date   `json:"from,omitzero"`
		Until   calendar.Date   `json:"until,omitzero"`
		Funding sealed.Public   `json:"funding" minLength:"1" maxLength:"200"`
	}
	refuseBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	revokeBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	recordOpinionBody struct {
		Happened
		Supports bool          `json:"supports"`
		Reason   sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	recordFundingBody struct {
		Happened
		Reference sealed.Public `json:"reference" minLength:"1" maxLength:"200"`
	}
)

func (b openReviewBody) command() engine.Command      { return admission.OpenReview{} }
func (b withdrawRequestBody) command() engine.Command { return admission.Withdraw{} }
func (b grantBody) command() engine.Command {
	return admission.Grant{Units: b.Units, From: b.From, Until: b.Until, Funding: b.Funding}
}
func (b refuseBody) command() engine.Command { return admission.Refuse{Reason: b.Reason} }
func (b revokeBody) command() engine.Command { return admission.Revoke{Reason: b.Reason} }
func (b recordOpinionBody) command() engine.Command {
	return admission.RecordOpinion{Supports: b.Supports, Reason: b.Reason}
}
func (b recordFundingBody) command() engine.Command {
	return admission.RecordFunding{Reference: b.Reference}
}

func (s *Server) requestAdmission(ctx context.Context, in *postInput[requestAdmissionBody]) (*answer[Admission], error) {
	if err := s.may(ctx, "admission/request"); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	b := in.body
	n := stream.Of(stream.Admission, stream.For(stream.Admission, of(ctx).actor.ID, key))
	receipt, err := s.begins(ctx, n, key, b.OccurredAt, admission.Request{Matter: b.Matter, Role: b.Role, Units: b.Units, From: b.From, Until: b.Until,
		Task: b.Task, Basis: b.Basis, Staff: b.Staff, Budget: b.Budget, Emergency: b.Emergency, Topic: b.Topic})
	if err != nil {
		return nil, err
	}
	body, err := renderAdmission(ctx, s, n, receipt.State, receipt.Revision, receiptOf(receipt))
	return answered(http.StatusCreated, base+"/admissions/"+n.ID().String(), receipt, body), err
}

// AdmissionBrief is a request in a list.
type AdmissionBrief struct {
	ID          stream.ID       `json:"id"`
	Revision    int64           `json:"revision"`
	Phase       admission.Phase `json:"phase"`
	By          orgs.UnitCode   `json:"by"`
	Office      orgs.UnitCode   `json:"office"`
	Matter      string          `json:"matter"`
	Role        duty.Role       `json:"role"`
	Units       []orgs.UnitCode `json:"units" nullable:"false"`
	From        calendar.Date   `json:"from"`
	Until       calendar.Date   `json:"until"`
	Task        sealed.Public   `json:"task"`
	Staff       int             `json:"staff"`
	Budget      int64           `json:"budget"`
	Emergency   bool            `json:"emergency,omitempty"`
	Topic       stream.ID       `json:"topic,omitzero"`
	Level       orgs.Level      `json:"level,omitempty"`
	Due         time.Time       `json:"due,omitzero"`
	RequestedAt time.Time       `json:"requested_at"`
	GrantedAt   time.Time       `json:"granted_at,omitzero"`
	FundedAt    time.Time       `json:"funded_at,omitzero"`
	EndedAt     time.Time       `json:"ended_at,omitzero"`
	Since       time.Time       `json:"since"`
}

func admissionBrief(r projections.AdmissionRow) AdmissionBrief {
	return AdmissionBrief{ID: r.ID, Revision: r.Revision, Phase: r.Phase, By: r.By, Office: r.Office, Matter: r.Matter, Role: r.Role, Units: list(r.Units),
		From: r.From, Until: r.Until, Task: r.Task, Staff: r.Staff, Budget: r.Budget, Emergency: r.Emergency, Topic: r.Topic, Level: r.Level,
		Due: shown(r.Due), RequestedAt: shown(r.RequestedAt), GrantedAt: shown(r.GrantedAt), FundedAt: shown(r.FundedAt), EndedAt: shown(r.EndedAt), Since: shown(r.Since)}
}

type listAdmissionsInput struct {
	Phase    string `query:"phase" enum:"requested,reviewing,granted,refused,withdrawn,revoked,expired"`
	Category string `query:"category" pattern:"^([0-9]{2}){1,3}$"`
	Unit     string `query:"unit" format:"unit" maxLength:"40" doc:"Asked for by it, or for it, what lies in it or what it lies in."`
	Limit    int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After    string `query:"after" maxLength:"200" doc:"The cursor next of the page before."`
	Count    bool   `query:"count" doc:"Count all of them, too."`
}

func (s *Server) listAdmissions(ctx context.Context, in *listAdmissionsInput) (*listed[AdmissionBrief], error) {
	if err := s.may(ctx, readCase); err != nil {
		return nil, err
	}
	f := projections.AdmissionFilter{Page: projections.Page{Limit: in.Limit, After: in.After}, Phase: admission.Phase(in.Phase), Matter: in.Category, Unit: orgs.UnitCode(in.Unit)}
	v, who, position := s.Views.Views(), s.viewer(of(ctx).actor), s.position()
	rows, next, err := v.Admissions(ctx, who, f)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, briefs(rows, admissionBrief), next, position, in.Count, func() (int, error) { return v.CountAdmissions(ctx, who, f) })
}

func (s *Server) admissionRoutes() {
	offer[requestAdmissionBody](s, huma.Operation{OperationID: "request-admission", Method: http.MethodPost, Path: base + "/admissions", DefaultStatus: http.StatusCreated,
		Summary: "Ask for the admission of a matter (申请准入)", Tags: []string{"admissions"}}, s.requestAdmission)
	command[openReviewBody](s, admissions, "Look at it, and ask those who would bear it (审查)")
	command[withdrawRequestBody](s, admissions, "Withdraw it (撤回)")
	command[grantBody](s, admissions, "Grant it (准入); needs a second person")
	command[refuseBody](s, admissions, "Refuse it (不予准入)")
	command[revokeBody](s, admissions, "Revoke the grant (撤销)")
	command[recordOpinionBody](s, admissions, "Record the opinion of a street or community")
	command[recordFundingBody](s, admissions, "Record that staff and money arrived (经费落实)")
	one(s, admissions, "Read a request for admission")
	get(s, "list-admissions", "/admissions", "List requests for admission that concern the own unit", "admissions", s.listAdmissions)
}
