package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/calendar"
	"gridcase/domain/number"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/projections"
)

// Order is one piece of work given to one lead unit (办题单).
type Order struct {
	ID           stream.ID       `json:"id"`
	Number       string          `json:"number,omitempty"`
	Revision     int64           `json:"revision"`
	Phase        order.Phase     `json:"phase"`
	Kind         string          `json:"kind"`
	Matter       string          `json:"matter"`
	Urgency      string          `json:"urgency"`
	Topic        stream.ID       `json:"topic,omitzero"`
	Cycle        int             `json:"cycle,omitempty"`
	Demands      []stream.ID     `json:"demands,omitempty" doc:"That it serves now."`
	Patrol       bool            `json:"patrol,omitempty"`
	Anonymous    bool            `json:"anonymous,omitempty"`
	Lead         orgs.UnitCode   `json:"lead"`
	Competent    orgs.UnitCode   `json:"competent,omitempty"`
	Awaited      []orgs.UnitCode `json:"co_units_awaited,omitempty"`
	By           orgs.UnitCode   `json:"by" doc:"Who dispatched it."`
	Place        orgs.UnitCode   `json:"place"`
	Grid         orgs.GridCode   `json:"grid,omitempty"`
	Target       calendar.Date   `json:"target,omitzero"`
	Task         sealed.Public   `json:"task,omitempty"`
	Worker       string          `json:"worker,omitempty"`
	Round        int             `json:"round"`
	Attempt      int             `json:"attempt"`
	Legs         []Leg           `json:"legs" nullable:"false" doc:"Stays with lead units, from the first on."`
	Reworks      int             `json:"reworks,omitempty"`
	Reraised     int             `json:"demands_reopened,omitempty" doc:"How often a demand that it had served was raised again."`
	Returns      []orgs.UnitCode `json:"returns,omitempty" doc:"Units that asked to send it back."`
	Suspensions  int             `json:"suspensions,omitempty"`
	Problem      bool            `json:"problem,omitempty" doc:"问题工单"`
	Outcome      string          `json:"outcome,omitempty" doc:"Of the last report."`
	Summary      sealed.Public   `json:"summary,omitempty" doc:"Of the last report."`
	Extension    bool            `json:"extension_pending,omitempty"`
	Supervisions []int           `json:"supervisions_open,omitempty" doc:"Numbers of those that wait for an account."`
	ReturnBy     time.Time       `json:"return_by,omitzero"`
	DispatchedAt time.Time       `json:"dispatched_at"`
	VerifiedAt   time.Time       `json:"verified_at,omitzero"`
	ClosedAt     time.Time       `json:"closed_at,omitzero"`
	Since        time.Time       `json:"since"`
	Clocks       []Clock         `json:"clocks" nullable:"false"`
	Frozen       *Clock          `json:"frozen,omitempty" doc:"The handling clock while it stands still."`
	Possible     []string        `json:"possible" nullable:"false"`
	Receipt      *Receipt        `json:"receipt,omitempty"`
}

// Leg is one stay of an order with one lead unit.
type Leg struct {
	Lead         orgs.UnitCode   `json:"lead"`
	Former       []orgs.UnitCode `json:"former,omitempty" doc:"Grids that held it before a re-division, the first first."`
	Competent    orgs.UnitCode   `json:"competent,omitempty"`
	CoUnits      []orgs.UnitCode `json:"co_units,omitempty"`
	By           orgs.UnitCode   `json:"by"`
	Final        bool            `json:"final,omitempty" doc:"Can not be sent back."`
	Returned     bool            `json:"returned,omitempty"`
	DispatchedAt time.Time       `json:"dispatched_at"`
	SignedAt     time.Time       `json:"signed_at,omitzero"`
	ContactedAt  time.Time       `json:"contacted_at,omitzero"`
	NoContact    bool            `json:"no_contact,omitempty"`
	Rating       *int            `json:"rating,omitempty" doc:"What the street that dispatched it gave, 0 to 100; the last."`
	Remark       sealed.Public   `json:"remark,omitempty" doc:"Why."`
}

var orders = resource[Order]{stream.Order, renderOrder}

func renderOrder(_ context.Context, _ *Server, _ stream.Name, state any, revision int64, receipt *Receipt) (Order, error) {
	st := state.(order.State)
	o := Order{ID: st.ID, Number: st.Number, Revision: revision, Phase: st.Phase, Kind: st.Kind, Matter: st.Matter, Urgency: st.Urgency, Topic: st.Topic,
		Cycle: st.Cycle, Demands: st.Demands, Patrol: st.Patrol, Anonymous: st.Anonymous, Lead: st.Lead, Competent: st.Competent, Awaited: st.Awaited,
		By: st.By, Place: st.Place, Grid: st.Grid, Target: st.Target, Task: st.Task, Worker: st.Worker, Round: st.Round, Attempt: st.Attempt,
		Legs: []Leg{}, Reworks: st.Reworks, Reraised: st.Reraised, Returns: st.Returns, Suspensions: st.Suspensions, Problem: st.Problem, Outcome: st.Report.Outcome,
		Summary: st.Report.Summary, Extension: st.Extension.Pending, ReturnBy: shown(st.ReturnBy), DispatchedAt: shown(st.DispatchedAt),
		VerifiedAt: shown(st.VerifiedAt), ClosedAt: shown(st.ClosedAt), Since: shown(st.Since), Clocks: clocksOf(st.Running),
		Possible: list(order.Machine.Possible(st.Phase)), Receipt: receipt}
	for _, l := range st.Legs {
		var rating *int
		if l.Rated {
			rating = &l.Rating
		}
		o.Legs = append(o.Legs, Leg{Lead: l.Lead, Former: l.Former, Competent: l.Competent, CoUnits: l.CoUnits, By: l.By, Final: l.Final, Returned: l.Returned,
			DispatchedAt: shown(l.DispatchedAt), SignedAt: shown(l.SignedAt), ContactedAt: shown(l.ContactedAt), NoContact: l.NoContact,
			Rating: rating, Remark: l.Remark})
	}
	for _, v := range st.Supervisions {
		if v.Open {
			o.Supervisions = append(o.Supervisions, v.Number)
		}
	}
	if st.Frozen.ID != "" {
		o.Frozen = &clocksOf([]calendar.Due{st.Frozen})[0]
	}
	return o, nil
}

type dispatchBody struct {
	Happened
	Kind      string          `json:"kind,omitempty" enum:"errand,issue,consult,suggestion,report" doc:"issue if not given."`
	Matter    string          `json:"matter" format:"matter"`
	Urgency   string          `json:"urgency" enum:"A,B,C,D"`
	Lead      orgs.UnitCode   `json:"lead" format:"unit"`
	Competent orgs.UnitCode   `json:"competent,omitempty" format:"unit"`
	CoUnits   []orgs.UnitCode `json:"co_units,omitempty" format:"unit" maxItems:"20"`
	Place     orgs.UnitCode   `json:"place" format:"unit" doc:"Community or street where the matter lies."`
	Grid      orgs.GridCode   `json:"grid,omitempty" format:"grid"`
	Task      sealed.Public   `json:"task" minLength:"1" maxLength:"200"`
}

// dispatch gives out an order for what a patrol found. Orders for demands come from fast-tracking, those of topics
// from handing over.
func (s *Server) dispatch(ctx context.Context, in *postInput[dispatchBody]) (*answer[Order], error) {
	if err := s.may(ctx, "order/dispatch"); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	b := in.body
	if b.Kind == "" {
		b.Kind = "issue"
	}
	n := stream.Of(stream.Order, stream.For(stream.Order, of(ctx).actor.ID, key))
	receipt, err := s.begins(ctx, n, key, b.OccurredAt, order.Dispatch{Patrol: true, Anonymous: true, Kind: b.Kind, Matter: b.Matter, Urgency: b.Urgency,
		Lead: b.Lead, Competent: b.Competent, CoUnits: b.CoUnits, Place: b.Place, Grid: b.Grid, Task: b.Task})
	if err != nil {
		return nil, err
	}
	body, err := renderOrder(ctx, s, n, receipt.State, receipt.Revision, receiptOf(receipt))
	return answered(http.StatusCreated, base+"/orders/"+n.ID().String(), receipt, body), err
}

// The bodies of the commands. Their members mean what the event of the same command says.
type (
	signBody          struct{ Happened }
	requestReturnBody struct {
		Happened
		Reason    personal      `json:"reason" minLength:"1" maxLength:"2000" long:"true"`
		Basis     sealed.Public `json:"basis" minLength:"1" maxLength:"500" doc:"Legal basis."`
		Suggested orgs.UnitCode `json:"suggested,omitempty" format:"unit"`
	}
	refuseReturnBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	approveReturnBody struct {
		Happened
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	redispatchBody struct {
		Happened
		Lead      orgs.UnitCode   `json:"lead" format:"unit"`
		Competent orgs.UnitCode   `json:"competent,omitempty" format:"unit"`
		CoUnits   []orgs.UnitCode `json:"co_units,omitempty" format:"unit" maxItems:"20"`
	}
	recordContactBody struct {
		Happened
		Demands []stream.ID `json:"demands,omitempty" maxItems:"200"`
		Means   string      `json:"means" enum:"phone,visit,wechat,sms"`
		Note    personal    `json:"note,omitempty" maxLength:"2000" long:"true"`
	}
	waiveContactBody struct {
		Happened
		Cause string `json:"cause" enum:"patrol,anonymous,no_demand"`
	}
	suspendBody struct {
		Happened
		Reason   string        `json:"reason" enum:"season,litigation,funding,third_party,resident_absent"`
		Basis    sealed.Public `json:"basis,omitempty" maxLength:"500"`
		ReviewOn calendar.Date `json:"review_on"`
	}
	resumeBody         struct{ Happened }
	reportHandlingBody struct {
		Happened
		Outcome  string        `json:"outcome" enum:"resolved,partly,explained,not_adopted,infeasible"`
		Answer   personal      `json:"answer,omitempty" maxLength:"10000" long:"true" doc:"To the resident."`
		Summary  sealed.Public `json:"summary" minLength:"1" maxLength:"120"`
		Evidence []string      `json:"evidence,omitempty" format:"sha256" maxItems:"50"`
		Account  personal      `json:"account,omitempty" maxLength:"10000" long:"true"`
		Persons  int           `json:"person_times,omitempty" minimum:"0" maximum:"10000"`
	}
	passVerificationBody struct {
		Happened
		Method string   `json:"method" enum:"on_site,photo,phone,resident_confirmed"`
		Note   personal `json:"note,omitempty" maxLength:"2000" long:"true"`
	}
	failVerificationBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
		Method string        `json:"method" enum:"on_site,photo,phone"`
	}
	orderReworkBody struct {
		Happened
		Cause  string        `json:"cause" enum:"callback,supervision"`
		Demand stream.ID     `json:"demand,omitzero"`
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	reopenOrderBody struct {
		Happened
		Cause  string        `json:"cause" enum:"callback,supervision"`
		Demand stream.ID     `json:"demand,omitzero"`
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	cancelBody struct {
		Happened
		Cause  string        `json:"cause" enum:"all_withdrawn,duplicate,admission_revoked,error"`
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	reportCoUnitBody struct {
		Happened
		Unit    orgs.UnitCode `json:"unit" format:"unit"`
		Summary sealed.Public `json:"summary" minLength:"1" maxLength:"500"`
	}
	releaseCoUnitBody struct {
		Happened
		Unit   orgs.UnitCode `json:"unit" format:"unit"`
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	requestExtensionBody struct {
		Happened
		Amount int           `json:"amount" minimum:"1" maximum:"366" doc:"In the unit of the running clock."`
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
		Told   bool          `json:"residents_told"`
	}
	grantExtensionBody struct {
		Happened
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	refuseExtensionBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	attachDemandBody struct {
		Happened
		Demand stream.ID `json:"demand"`
	}
	detachDemandBody struct {
		Happened
		Demand stream.ID `json:"demand"`
		Cause  string    `json:"cause,omitempty" maxLength:"64" format:"token"`
	}
	reassignBody struct {
		Happened
		Lead   orgs.UnitCode `json:"lead,omitempty" format:"unit"`
		Worker string        `json:"worker,omitempty" format:"token" maxLength:"64" doc:"Opaque id of a person, never a name."`
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	issueSupervisionBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	answerSupervisionBody struct {
		Happened
		Number int           `json:"supervision" minimum:"1" maximum:"10000"`
		Answer sealed.Public `json:"answer" minLength:"1" maxLength:"2000" long:"true"`
	}
	rateBody struct {
		Happened
		Leg     int           `json:"leg" minimum:"1" maximum:"1000" doc:"From 1, in the order of legs."`
		Score   int           `json:"score" minimum:"0" maximum:"100"`
		Comment sealed.Public `json:"comment,omitempty" maxLength:"500" doc:"Needed below 60 and above 95."`
	}
)

func (b signBody) command() engine.Command { return order.Sign{} }
func (b requestReturnBody) command() engine.Command {
	return order.RequestReturn{Reason: b.Reason.seal(), Basis: b.Basis, Suggested: b.Suggested}
}
func (b refuseReturnBody) command() engine.Command  { return order.RefuseReturn{Reason: b.Reason} }
func (b approveReturnBody) command() engine.Command { return order.ApproveReturn{Reason: b.Reason} }
func (b redispatchBody) command() engine.Command {
	return order.Redispatch{Lead: b.Lead, Competent: b.Competent, CoUnits: b.CoUnits}
}
func (b recordContactBody) command() engine.Command {
	return order.RecordContact{Demands: b.Demands, Means: b.Means, Note: b.Note.seal()}
}
func (b waiveContactBody) command() engine.Command { return order.WaiveContact{Cause: b.Cause} }
func (b suspendBody) command() engine.Command {
	return order.Suspend{Reason: b.Reason, Basis: b.Basis, ReviewOn: b.ReviewOn}
}
func (b resumeBody) command() engine.Command { return order.Resume{} }
func (b reportHandlingBody) command() engine.Command {
	return order.ReportHandling{Outcome: b.Outcome, Answer: b.Answer.seal(), Summary: b.Summary, Evidence: b.Evidence, Account: b.Account.seal(), Persons: b.Persons}
}
func (b passVerificationBody) command() engine.Command {
	return order.PassVerification{Method: b.Method, Note: b.Note.seal()}
}
func (b failVerificationBody) command() engine.Command {
	return order.FailVerification{Reason: b.Reason, Method: b.Method}
}
func (b orderReworkBody) command() engine.Command {
	return order.OrderRework{Cause: b.Cause, Demand: b.Demand, Reason: b.Reason}
}
func (b reopenOrderBody) command() engine.Command {
	return order.Reopen{Cause: b.Cause, Demand: b.Demand, Reason: b.Reason}
}
func (b cancelBody) command() engine.Command { return order.Cancel{Cause: b.Cause, Reason: b.Reason} }
func (b reportCoUnitBody) command() engine.Command {
	return order.ReportCoUnit{Unit: b.Unit, Summary: b.Summary}
}
func (b releaseCoUnitBody) command() engine.Command {
	return order.ReleaseCoUnit{Unit: b.Unit, Reason: b.Reason}
}
func (b requestExtensionBody) command() engine.Command {
	return order.RequestExtension{Amount: b.Amount, Reason: b.Reason, Told: b.Told}
}
func (b grantExtensionBody) command() engine.Command  { return order.GrantExtension{Reason: b.Reason} }
func (b refuseExtensionBody) command() engine.Command { return order.RefuseExtension{Reason: b.Reason} }
func (b attachDemandBody) command() engine.Command    { return order.AttachDemand{Demand: b.Demand} }
func (b detachDemandBody) command() engine.Command {
	return order.DetachDemand{Demand: b.Demand, Cause: b.Cause}
}
func (b reassignBody) command() engine.Command {
	return order.Reassign{Lead: b.Lead, Worker: b.Worker, Reason: b.Reason}
}
func (b issueSupervisionBody) command() engine.Command {
	return order.IssueSupervision{Reason: b.Reason}
}
func (b answerSupervisionBody) command() engine.Command {
	return order.AnswerSupervision{Number: b.Number, Answer: b.Answer}
}

func (b rateBody) command() engine.Command {
	return order.Rate{Leg: b.Leg, Score: b.Score, Comment: b.Comment}
}

func (s *Server) orderRoutes() {
	offer[dispatchBody](s, huma.Operation{OperationID: "dispatch-order", Method: http.MethodPost, Path: base + "/orders", DefaultStatus: http.StatusCreated,
		Summary: "Dispatch an order for what a patrol found (派单)", Tags: []string{"orders"}}, s.dispatch)
	command[signBody](s, orders, "Sign it (签收)")
	command[requestReturnBody](s, orders, "Ask to send it back (申请退单)")
	command[refuseReturnBody](s, orders, "Refuse the return (退单驳回)")
	command[approveReturnBody](s, orders, "Approve the return (同意退单)")
	command[redispatchBody](s, orders, "Dispatch it to another unit (重派)")
	command[recordContactBody](s, orders, "Record the first contact with the residents (已联系)")
	command[waiveContactBody](s, orders, "Say that there is nobody to contact (无需联系)")
	command[suspendBody](s, orders, "Stop its clock, with a reason (挂账); needs a second person")
	command[resumeBody](s, orders, "Let its clock run again (恢复)")
	command[reportHandlingBody](s, orders, "Report what was done (办理反馈)")
	command[passVerificationBody](s, orders, "Pass the verification (核查通过)")
	command[failVerificationBody](s, orders, "Fail the verification (核查不通过)")
	command[orderReworkBody](s, orders, "Send it back to work (返工)")
	command[reopenOrderBody](s, orders, "Reopen it (重办)")
	command[cancelBody](s, orders, "Cancel it (撤单)")
	command[reportCoUnitBody](s, orders, "Report an assisting unit's contribution")
	command[releaseCoUnitBody](s, orders, "Release an assisting unit")
	command[requestExtensionBody](s, orders, "Ask for more time (申请延期)")
	command[grantExtensionBody](s, orders, "Grant more time (同意延期)")
	command[refuseExtensionBody](s, orders, "Refuse more time")
	command[attachDemandBody](s, orders, "Let it serve a further demand")
	command[detachDemandBody](s, orders, "Let it no longer serve a demand")
	command[reassignBody](s, orders, "Give it to another person of the unit")
	command[issueSupervisionBody](s, orders, "Demand an account (督办)")
	command[answerSupervisionBody](s, orders, "Give the account")
	command[rateBody](s, orders, "Rate a leg of a closed order, as the street that dispatched it (街道评分); the last rating counts")
	one(s, orders, "Read an order")
	get(s, "list-orders", "/orders", "List orders of the own jurisdiction", "orders", s.listOrders)
}

// OrderBrief is an order in a list.
type OrderBrief struct {
	ID           stream.ID     `json:"id"`
	Number       string        `json:"number,omitempty"`
	Revision     int64         `json:"revision"`
	Phase        order.Phase   `json:"phase"`
	Kind         string        `json:"kind"`
	Matter       string        `json:"matter"`
	Urgency      string        `json:"urgency"`
	Topic        stream.ID     `json:"topic,omitzero"`
	Lead         orgs.UnitCode `json:"lead"`
	By           orgs.UnitCode `json:"by"`
	Place        orgs.UnitCode `json:"place"`
	Grid         orgs.GridCode `json:"grid,omitempty"`
	Street       orgs.UnitCode `json:"street,omitempty"`
	District     orgs.UnitCode `json:"district,omitempty"`
	Task         sealed.Public `json:"task,omitempty"`
	Outcome      string        `json:"outcome,omitempty"`
	Summary      sealed.Public `json:"summary,omitempty"`
	Round        int           `json:"round"`
	Leg          int           `json:"leg"`
	Reworks      int           `json:"reworks,omitempty"`
	Problem      bool          `json:"problem,omitempty"`
	Extension    bool          `json:"extension_pending,omitempty"`
	Supervisions int           `json:"supervisions_open,omitempty"`
	Demands      int           `json:"demands" doc:"How many it serves."`
	Due          time.Time     `json:"due,omitzero"`
	DispatchedAt time.Time     `json:"dispatched_at"`
	ClosedAt     time.Time     `json:"closed_at,omitzero"`
	Since        time.Time     `json:"since"`
}

func orderBrief(r projections.OrderRow) OrderBrief {
	return OrderBrief{ID: r.ID, Number: r.Number, Revision: r.Revision, Phase: r.Phase, Kind: r.Kind, Matter: r.Matter, Urgency: r.Urgency, Topic: r.Topic,
		Lead: r.Lead, By: r.By, Place: r.Place, Grid: r.Grid, Street: r.Street, District: r.District, Task: r.Task, Outcome: r.Outcome,
		Summary: r.Summary, Round: r.Round, Leg: r.Leg, Reworks: r.Reworks, Problem: r.Problem, Extension: r.Extension,
		Supervisions: r.Supervisions, Demands: r.Demands, Due: shown(r.Due), DispatchedAt: shown(r.DispatchedAt), ClosedAt: shown(r.ClosedAt), Since: shown(r.Since)}
}

type listOrdersInput struct {
	ListQuery
	StandingQuery
	Phase         string   `query:"phase" enum:"dispatched,signed,handling,return_pending,returned,suspended,reported,verified,closed,cancelled"`
	Kinds         []string `query:"kind" enum:"errand,issue,consult,suggestion,report" doc:"One, or several separated by commas."`
	Urgency       string   `query:"urgency" enum:"A,B,C,D"`
	Category      string   `query:"category" pattern:"^([0-9]{2}){1,3}$"`
	Lead          string   `query:"lead" format:"unit" maxLength:"40"`
	LedIn         string   `query:"led_in" format:"unit" maxLength:"40" doc:"Led by this unit or one below it, wherever it lies."`
	Worker        string   `query:"worker" maxLength:"64" doc:"Opaque id of the person within the lead unit that it was given to."`
	Unassigned    bool     `query:"unassigned" doc:"Given to nobody in particular."`
	ContactedFrom string   `query:"contacted_from" doc:"The unit that leads now had its first contact at this instant or later."`
	ContactedTo   string   `query:"contacted_to"`
	Topic         string   `query:"topic"`
	Demand        string   `query:"demand" doc:"Id of a demand that it serves."`
	Problem       bool     `query:"problem"`
}

func (s *Server) listOrders(ctx context.Context, in *listOrdersInput) (*listed[OrderBrief], error) {
	page, place, due, raised, err := s.listing(ctx, &in.ListQuery)
	if err != nil {
		return nil, err
	}
	f := projections.OrderFilter{Place: place, Page: page, Urgency: in.Urgency, Matter: in.Category, Lead: orgs.UnitCode(in.Lead), LedIn: orgs.UnitCode(in.LedIn),
		Worker: in.Worker, Unassigned: in.Unassigned, Problem: in.Problem, Due: due, Raised: raised}
	if f.Standing, err = in.standing(in.Kinds); err != nil {
		return nil, err
	}
	var read instants
	f.Contacted = read.span("contacted_from", in.ContactedFrom, "contacted_to", in.ContactedTo)
	if err := read.err(); err != nil {
		return nil, err
	}
	if in.Phase != "" {
		f.Phases = []order.Phase{order.Phase(in.Phase)}
	}
	if f.Topic, err = idOf("topic", in.Topic); err != nil {
		return nil, err
	}
	if in.Demand != "" {
		n, _, _, err := s.find(ctx, stream.Demand, in.Demand)
		if err != nil {
			return nil, err
		}
		f.Demand = n.ID()
	}
	v, who, position := s.Views.Views(), s.viewer(of(ctx).actor), s.position()
	if in.Number != "" {
		written, err := number.Parse(in.Number)
		if err != nil {
			return nil, invalid(fault("query.number", "malformed", "编号有误：有字符缺失或错误", "a character of the number is wrong or missing"))
		}
		r, err := v.OrderByNumber(ctx, written)
		if err = absent(err); err != nil {
			return nil, err
		}
		if f.IDs = some(r.ID); f.IDs == nil {
			return nothing[OrderBrief](ctx, in.After, position, in.Count)
		}
	}
	rows, next, err := v.Orders(ctx, who, f)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, briefs(rows, orderBrief), next, position, in.Count, func() (int, error) { return v.CountOrders(ctx, who, f) })
}
