package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/number"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/projections"
)

// Demand is one resident's demand (诉求). Personal text is never in it: sealed says which parts there are.
type Demand struct {
	ID         stream.ID      `json:"id"`
	Number     string         `json:"number,omitempty" doc:"编号, as people say it."`
	Revision   int64          `json:"revision" doc:"Of its stream; the ETag."`
	Stage      demand.Stage   `json:"stage" doc:"raised, topic, handling or done."`
	Phase      demand.Phase   `json:"phase"`
	Kind       demand.Kind    `json:"kind"`
	Channel    demand.Channel `json:"channel"`
	External   string         `json:"external_ref,omitempty"`
	Urgency    demand.Urgency `json:"urgency,omitempty"`
	Matter     string         `json:"matter,omitempty"`
	Unit       orgs.UnitCode  `json:"unit"`
	Grid       orgs.GridCode  `json:"grid,omitempty"`
	Summary    sealed.Public  `json:"summary,omitempty"`
	Round      int            `json:"round"`
	Topic      stream.ID      `json:"topic,omitzero" doc:"That governs it now."`
	Topics     []stream.ID    `json:"topics,omitempty" doc:"That ever governed it."`
	Related    []stream.ID    `json:"related,omitempty"`
	Orders     []stream.ID    `json:"orders,omitempty" doc:"That handle it now."`
	Past       []stream.ID    `json:"past_orders,omitempty"`
	Dispute    stream.ID      `json:"dispute,omitzero"`
	SplitFrom  stream.ID      `json:"split_from,omitzero"`
	Waiver     string         `json:"waiver,omitempty" doc:"Why the topic stage was waived."`
	Outcome    demand.Outcome `json:"outcome,omitempty"`
	Grade      demand.Grade   `json:"grade,omitempty"`
	Settled    bool           `json:"settled,omitempty" doc:"The resident says so."`
	Attempts   int            `json:"callback_attempts,omitempty"`
	Supporters int            `json:"supporters,omitempty"`
	Opponents  int            `json:"opponents,omitempty"`
	Urgings    int            `json:"urgings,omitempty"`
	Anonymous  bool           `json:"anonymous,omitempty"`
	NoCallback bool           `json:"no_callback,omitempty"`
	OnBehalf   bool           `json:"on_behalf,omitempty"`
	Imported   bool           `json:"imported,omitempty"`
	Appealed   bool           `json:"appeal_waiting,omitempty"`
	AppealBy   time.Time      `json:"appeal_by,omitzero"`
	ReopenBy   time.Time      `json:"reopen_by,omitzero"`
	RerateBy   time.Time      `json:"rerate_by,omitzero"`
	RaisedAt   time.Time      `json:"raised_at"`
	RecordedAt time.Time      `json:"recorded_at"`
	AcceptedAt time.Time      `json:"accepted_at,omitzero"`
	AnsweredAt time.Time      `json:"answered_at,omitzero"`
	ClosedAt   time.Time      `json:"closed_at,omitzero"`
	Since      time.Time      `json:"since" doc:"When the present phase began."`
	Clocks     []Clock        `json:"clocks" nullable:"false"`
	Sealed     []string       `json:"sealed" nullable:"false" doc:"Which personal parts it was raised with."`
	Possible   []string       `json:"possible" nullable:"false" doc:"Commands that its phase allows."`
	Tracking   string         `json:"tracking,omitempty" doc:"The resident's code for GET /api/v1/track/{code}; told once, to whoever raises it."`
	Receipt    *Receipt       `json:"receipt,omitempty"`
}

var demands = resource[Demand]{stream.Demand, renderDemand}

func renderDemand(ctx context.Context, s *Server, n stream.Name, state any, revision int64, receipt *Receipt) (Demand, error) {
	d := demandOf(state.(demand.State), revision)
	d.Receipt = receipt
	var err error
	d.Sealed, err = s.sealedParts(ctx, n)
	return d, err
}

func demandOf(st demand.State, revision int64) Demand {
	return Demand{ID: st.ID, Number: st.Number, Revision: revision, Stage: st.Phase.Stage(), Phase: st.Phase, Kind: st.Kind, Channel: st.Channel,
		External: st.External, Urgency: st.Urgency, Matter: st.Matter, Unit: st.Unit, Grid: st.Grid, Summary: st.Summary, Round: st.Round,
		Topic: st.Topic, Topics: st.Topics, Related: st.Related, Orders: st.Orders, Past: st.Past, Dispute: st.Dispute, SplitFrom: st.SplitFrom,
		Waiver: st.Waiver, Outcome: st.Outcome, Grade: st.Grade, Settled: st.Settled, Attempts: st.Attempts, Supporters: st.Supporters,
		Opponents: st.Opponents, Urgings: st.Urgings, Anonymous: st.Anonymous, NoCallback: st.NoCallback, OnBehalf: st.OnBehalf,
		Imported: st.Imported, Appealed: st.Appealed, AppealBy: shown(st.AppealBy), ReopenBy: shown(st.ReopenBy), RerateBy: shown(st.RerateBy),
		RaisedAt: shown(st.RaisedAt), RecordedAt: shown(st.RecordedAt), AcceptedAt: shown(st.AcceptedAt), AnsweredAt: shown(st.AnsweredAt),
		ClosedAt: shown(st.ClosedAt), Since: shown(st.Since), Clocks: clocksOf(st.Running), Sealed: []string{}, Possible: list(demand.Machine.Possible(st.Phase))}
}

// sealedParts names the sealed fields of the event that raised a demand, in declared order.
func (s *Server) sealedParts(ctx context.Context, n stream.Name) ([]string, error) {
	names := []string{}
	for ev, err := range s.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return nil, err
		}
		body, err := event.Decode(ev.Type, ev.Data)
		if err != nil {
			return nil, err
		}
		for _, f := range sealed.Fields(sealed.Copy(body)) {
			names = append(names, f.Name)
		}
		break
	}
	return names, nil
}

type reporterBody struct {
	Name     personal `json:"name,omitempty" maxLength:"50"`
	Phone    personal `json:"phone,omitempty" maxLength:"32"`
	IDNumber personal `json:"id_number,omitempty" maxLength:"18"`
	Account  personal `json:"account,omitempty" maxLength:"64" doc:"Under which the channel knows the resident."`
}

type attachmentBody struct {
	Hash string `json:"hash" format:"sha256" doc:"SHA-256 of the stored file, hexadecimal."`
	Type string `json:"type" maxLength:"100" doc:"Media type."`
	Size int64  `json:"size" minimum:"1" maximum:"20971520" doc:"Bytes."`
}

func attachments(bs []attachmentBody) []demand.Attachment {
	var out []demand.Attachment
	for _, b := range bs {
		out = append(out, demand.Attachment(b))
	}
	return out
}

type raiseBody struct {
	Happened
	Kind        demand.Kind      `json:"kind" enum:"errand,issue,consult,suggestion,report,dispute"`
	Channel     demand.Channel   `json:"channel" enum:"hotline,wechat,counter,app,open311,station,pavilion,contact_card,home_visit,patrol,import"`
	Title       personal         `json:"title,omitempty" maxLength:"100"`
	Text        personal         `json:"text" minLength:"1" maxLength:"10000" long:"true" doc:"The resident's own words."`
	Category    string           `json:"category,omitempty" format:"matter" doc:"Matter code TTSSLL; the clerk decides."`
	Grid        orgs.GridCode    `json:"grid,omitempty" format:"grid" doc:"Where the matter lies."`
	Community   orgs.UnitCode    `json:"community,omitempty" format:"unit"`
	Lat         *float64         `json:"lat,omitempty" minimum:"-90" maximum:"90"`
	Long        *float64         `json:"long,omitempty" minimum:"-180" maximum:"180"`
	CRS         string           `json:"crs,omitempty" enum:"wgs84,gcj02,bd09" doc:"Of lat and long; wgs84 if not given."`
	Address     personal         `json:"address,omitempty" maxLength:"200"`
	Reporter    *reporterBody    `json:"reporter,omitempty"`
	Anonymous   bool             `json:"anonymous,omitempty"`
	NoCallback  bool             `json:"no_callback,omitempty"`
	External    string           `json:"external_ref,omitempty" format:"token" maxLength:"64" doc:"The channel's own number; never a phone or identity number."`
	Attachments []attachmentBody `json:"attachments,omitempty" maxItems:"20"`
}

func (s *Server) raise(ctx context.Context, in *postInput[raiseBody]) (*answer[Demand], error) {
	if err := s.may(ctx, "demand/raise"); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	b := &in.body
	c := demand.Raise{Kind: b.Kind, Channel: b.Channel, External: b.External, Anonymous: b.Anonymous, NoCallback: b.NoCallback,
		Title: b.Title.seal(), Text: b.Text.seal(), Address: b.Address.seal(), Matter: b.Category, Grid: b.Grid, Attached: attachments(b.Attachments)}
	if r := b.Reporter; r != nil {
		c.Reporter = demand.Reporter{Name: r.Name.seal(), Phone: r.Phone.seal(), IDNumber: r.IDNumber.seal(), Account: r.Account.seal()}
	}
	if c.Unit, err = s.place(of(ctx).actor.Unit, b); err != nil {
		return nil, err
	}
	if b.Lat != nil {
		c.Location = sealed.Clear(point{lat: *b.Lat, lon: *b.Long}.toWGS(b.CRS).String())
	}
	// A channel's number names the demand whoever enters it; a key is the own affair of whoever chose it.
	actor, ref := of(ctx).actor, b.External
	switch {
	case ref == "":
		ref = actor.ID + "/" + key
	case actor.Role == orgs.Resident:
		return nil, invalid(fault("body.external_ref", "not_allowed", "编号由渠道给出，居民不填写", "is given by the channel, not by a resident"))
	}
	id := stream.DemandFor(string(b.Channel), ref)
	code := s.Engine.TrackingCode(id)
	c.Tracking = trackingHash(code)
	n := stream.Of(stream.Demand, id)
	receipt, err := s.begins(ctx, n, key, b.OccurredAt, c)
	if err != nil {
		return nil, err
	}
	d := demandOf(receipt.State.(demand.State), receipt.Revision)
	d.Sealed, d.Tracking, d.Receipt = raisedParts(&c), code, receiptOf(receipt)
	return answered(http.StatusCreated, base+"/demands/"+id.String(), receipt, d), nil
}

// raisedParts names what will be sealed, as [Server.sealedParts] finds it in the event.
func raisedParts(c *demand.Raise) []string {
	names := []string{}
	for _, f := range []struct {
		name string
		text sealed.Text
	}{{"title", c.Title}, {"text", c.Text}, {"reporter.name", c.Reporter.Name}, {"reporter.phone", c.Reporter.Phone},
		{"reporter.id_number", c.Reporter.IDNumber}, {"reporter.account", c.Reporter.Account}, {"address", c.Address}, {"location", c.Location}} {
		if !f.text.IsZero() {
			names = append(names, f.name)
		}
	}
	return names
}

// place returns the unit that a demand is raised at: its grid's community, the community that is named, or, while the place
// is not known, the community or street the actor sits in, or else the hotline nearest to the actor, to be sorted out there.
func (s *Server) place(near orgs.UnitCode, b *raiseBody) (orgs.UnitCode, error) {
	units := s.Engine.Units()
	switch {
	case (b.Lat == nil) != (b.Long == nil):
		return "", invalid(fault("body.lat", "missing", "lat 与 long 须同时填写", "lat and long come together"))
	case b.CRS != "" && b.Lat == nil:
		return "", invalid(fault("body.crs", "missing", "crs 须与 lat、long 一并填写", "crs comes with lat and long"))
	case b.Community != "":
		if u, _ := units.Unit(b.Community); u.Kind != orgs.Community || u.Closed {
			return "", invalid(fault("body.community", "unknown_unit", "须为在用的社区或村", "must be a community that is open"))
		}
		if b.Grid != "" && b.Grid.Community() != b.Community {
			return "", invalid(fault("body.grid", "contradiction", "网格不属于所填社区", "does not belong to that community"))
		}
		return b.Community, nil
	case b.Grid != "":
		return b.Grid.Community(), nil
	}
	for _, k := range []orgs.Kind{orgs.Community, orgs.Street} {
		if u, in := units.Ancestor(near, k); in {
			return u, nil
		}
	}
	if u, found := units.Hotline(near); found {
		return u, nil
	}
	return "", invalid(fault("body.community", "missing", "请填写网格或社区", "name the grid or the community"))
}

// trackingHash is what the log holds of a tracking code.
func trackingHash(code string) string {
	sum := sha256.Sum256([]byte(code))
	return hex.EncodeToString(sum[:])
}

// The bodies of the commands. Their members mean what the event of the same command says.
type (
	acceptBody struct {
		Happened
		Kind    demand.Kind    `json:"kind" enum:"errand,issue,consult,suggestion,report,dispute"`
		Matter  string         `json:"matter" format:"matter"`
		Urgency demand.Urgency `json:"urgency" enum:"A,B,C,D"`
		Unit    orgs.UnitCode  `json:"unit" format:"unit" doc:"The community that is responsible."`
		Grid    orgs.GridCode  `json:"grid,omitempty" format:"grid"`
		Summary sealed.Public  `json:"summary" minLength:"1" maxLength:"120" doc:"Public: free of personal data."`
	}
	answerOnTheSpotBody struct {
		Happened
		Kind      demand.Kind    `json:"kind,omitempty" enum:"errand,issue,consult,suggestion,report,dispute"`
		Outcome   demand.Outcome `json:"outcome" enum:"resolved,partly,explained,not_adopted,infeasible"`
		Matter    string         `json:"matter,omitempty" format:"matter"`
		Summary   sealed.Public  `json:"summary" minLength:"1" maxLength:"120"`
		Answer    personal       `json:"answer" minLength:"1" maxLength:"10000" long:"true"`
		Agreement string         `json:"agreement,omitempty" format:"sha256"`
	}
	declineBody struct {
		Happened
		Reason   demand.DeclineReason `json:"reason" enum:"litigation,arbitration,review,discipline,petition_open,secret,malicious_repeat,no_demand"`
		Citation sealed.Public        `json:"citation" minLength:"1" maxLength:"200"`
		Instead  sealed.Public        `json:"instead" minLength:"1" maxLength:"200" doc:"Where the resident can go."`
	}
	redirectBody struct {
		Happened
		Target  sealed.Public `json:"target" minLength:"1" maxLength:"100"`
		Receipt string        `json:"receipt" format:"token" maxLength:"64"`
	}
	withdrawBody struct {
		Happened
		Confirmed string   `json:"confirmed,omitempty" enum:"phone,visit,written" doc:"How the resident confirmed it, when someone else enters it."`
		Note      personal `json:"note,omitempty" maxLength:"2000" long:"true"`
	}
	linkToTopicBody struct {
		Happened
		Topic stream.ID `json:"topic"`
	}
	newOrderBody struct {
		Lead      orgs.UnitCode   `json:"lead" format:"unit"`
		Competent orgs.UnitCode   `json:"competent,omitempty" format:"unit"`
		CoUnits   []orgs.UnitCode `json:"co_units,omitempty" format:"unit" maxItems:"20"`
		Task      sealed.Public   `json:"task,omitempty" maxLength:"200"`
	}
	routeBody struct {
		Order   *newOrderBody `json:"order,omitempty"`
		Join    stream.ID     `json:"join,omitzero" doc:"An order that exists."`
		Dispute int           `json:"dispute,omitempty" minimum:"1" maximum:"4" doc:"Rung at which mediation starts."`
	}
	fastTrackBody struct {
		Happened
		Reason   demand.Reason `json:"reason" enum:"errand,consult,private_dispute,confidential_report,urgent,statutory_duty,same_matter,reopened_round"`
		Citation sealed.Public `json:"citation,omitempty" maxLength:"200"`
		Route    routeBody     `json:"route" doc:"Exactly one of its members."`
	}
	unlinkBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	recordCallbackBody struct {
		Happened
		Resolved bool          `json:"resolved"`
		Grade    demand.Grade  `json:"grade" minimum:"1" maximum:"5"`
		Merit    bool          `json:"merit,omitempty" doc:"The complaint about the handling has substance."`
		Reason   sealed.Public `json:"reason,omitempty" maxLength:"500"`
		Words    personal      `json:"words,omitempty" maxLength:"2000" long:"true"`
		Order    stream.ID     `json:"order,omitzero" doc:"Which order must be reworked."`
	}
	waiveCallbackBody struct {
		Happened
		Cause string `json:"cause" enum:"anonymous,do_not_call,unreached"`
	}
	reopenDemandBody struct {
		Happened
		Reason personal `json:"reason,omitempty" maxLength:"2000" long:"true"`
	}
	upholdAppealBody struct {
		Happened
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	supplementBody struct {
		Happened
		Text        personal         `json:"text" minLength:"1" maxLength:"10000" long:"true"`
		Attachments []attachmentBody `json:"attachments,omitempty" maxItems:"20"`
	}
	supportDemandBody struct{ Happened }
	reclassifyBody    struct {
		Happened
		Kind    demand.Kind    `json:"kind,omitempty" enum:"errand,issue,consult,suggestion,report,dispute"`
		Matter  string         `json:"matter,omitempty" format:"matter"`
		Urgency demand.Urgency `json:"urgency,omitempty" enum:"A,B,C,D"`
	}
	relocateBody struct {
		Happened
		Grid orgs.GridCode `json:"grid,omitempty" format:"grid"`
		Unit orgs.UnitCode `json:"unit" format:"unit"`
	}
	childBody struct {
		Kind   demand.Kind   `json:"kind" enum:"errand,issue,consult,suggestion,report,dispute"`
		Matter string        `json:"matter,omitempty" format:"matter"`
		Grid   orgs.GridCode `json:"grid,omitempty" format:"grid"`
		Unit   orgs.UnitCode `json:"unit" format:"unit"`
		Text   personal      `json:"text" minLength:"1" maxLength:"10000" long:"true"`
	}
	splitBody struct {
		Happened
		Children []childBody `json:"children" minItems:"1" maxItems:"20"`
	}
	relateBody struct {
		Happened
		Topic stream.ID `json:"topic"`
	}
	fileAppealBody struct {
		Happened
		Reason personal `json:"reason" minLength:"1" maxLength:"2000" long:"true"`
	}
	rejectAppealBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	urgeBody struct {
		Happened
		Text personal `json:"text,omitempty" maxLength:"2000" long:"true"`
	}
	callbackAttemptBody struct {
		Happened
		Means string `json:"means" enum:"phone,sms,visit,wechat"`
	}
	rerateBody struct {
		Happened
		Grade    demand.Grade `json:"grade" minimum:"1" maximum:"5"`
		Resolved bool         `json:"resolved"`
	}
)

func (b acceptBody) command() engine.Command {
	return demand.Accept{Kind: b.Kind, Matter: b.Matter, Urgency: b.Urgency, Unit: b.Unit, Grid: b.Grid, Summary: b.Summary}
}

func (b answerOnTheSpotBody) command() engine.Command {
	return demand.AnswerOnTheSpot{Kind: b.Kind, Outcome: b.Outcome, Matter: b.Matter, Summary: b.Summary, Answer: b.Answer.seal(), Agreement: b.Agreement}
}

func (b declineBody) command() engine.Command {
	return demand.Decline{Reason: b.Reason, Citation: b.Citation, Instead: b.Instead}
}

func (b redirectBody) command() engine.Command {
	return demand.Redirect{Target: b.Target, Receipt: b.Receipt}
}

func (b withdrawBody) command() engine.Command {
	return demand.Withdraw{Confirmed: b.Confirmed, Note: b.Note.seal()}
}

func (b linkToTopicBody) command() engine.Command { return demand.LinkToTopic{Topic: b.Topic} }

func (b fastTrackBody) command() engine.Command {
	r := demand.Route{Join: b.Route.Join, Dispute: b.Route.Dispute}
	if o := b.Route.Order; o != nil {
		r.Order = &demand.NewOrder{Lead: o.Lead, Competent: o.Competent, CoUnits: o.CoUnits, Task: o.Task}
	}
	return demand.FastTrack{Reason: b.Reason, Citation: b.Citation, Route: r}
}

func (b unlinkBody) command() engine.Command { return demand.UnlinkFromTopic{Reason: b.Reason} }

func (b recordCallbackBody) command() engine.Command {
	return demand.RecordCallback{Resolved: b.Resolved, Grade: b.Grade, Merit: b.Merit, Reason: b.Reason, Words: b.Words.seal(), Order: b.Order}
}

func (b waiveCallbackBody) command() engine.Command { return demand.WaiveCallback{Cause: b.Cause} }
func (b reopenDemandBody) command() engine.Command  { return demand.Reopen{Reason: b.Reason.seal()} }
func (b upholdAppealBody) command() engine.Command  { return demand.UpholdAppeal{Reason: b.Reason} }

func (b supplementBody) command() engine.Command {
	return demand.Supplement{Text: b.Text.seal(), Attached: attachments(b.Attachments)}
}

func (b supportDemandBody) command() engine.Command { return demand.Support{Supporters: 1} }

func (b reclassifyBody) command() engine.Command {
	return demand.Reclassify{Kind: b.Kind, Matter: b.Matter, Urgency: b.Urgency}
}

func (b relocateBody) command() engine.Command { return demand.Relocate{Grid: b.Grid, Unit: b.Unit} }

func (b splitBody) command() engine.Command {
	c := demand.SplitUp{}
	for _, k := range b.Children {
		c.Children = append(c.Children, demand.Child{Kind: k.Kind, Matter: k.Matter, Grid: k.Grid, Unit: k.Unit, Text: k.Text.seal()})
	}
	return c
}

func (b relateBody) command() engine.Command       { return demand.Relate{Topic: b.Topic} }
func (b fileAppealBody) command() engine.Command   { return demand.FileAppeal{Reason: b.Reason.seal()} }
func (b rejectAppealBody) command() engine.Command { return demand.RejectAppeal{Reason: b.Reason} }
func (b urgeBody) command() engine.Command         { return demand.Urge{Text: b.Text.seal()} }

func (b callbackAttemptBody) command() engine.Command {
	return demand.RecordCallbackAttempt{Means: b.Means}
}

func (b rerateBody) command() engine.Command {
	return demand.Rerate{Grade: b.Grade, Resolved: b.Resolved}
}

func (s *Server) demandRoutes() {
	offer[raiseBody](s, huma.Operation{OperationID: "raise-demand", Method: http.MethodPost, Path: base + "/demands", DefaultStatus: http.StatusCreated,
		Summary: "Raise a demand (点题)", Tags: []string{"demands"}}, s.raise)
	command[acceptBody](s, demands, "Accept it (受理)")
	command[answerOnTheSpotBody](s, demands, "Answer it on the spot (当场答复)")
	command[declineBody](s, demands, "Decline it (不予受理); needs a second person")
	command[redirectBody](s, demands, "Redirect it to another channel (转出)")
	command[withdrawBody](s, demands, "Withdraw it (撤回)")
	command[linkToTopicBody](s, demands, "Make it part of a topic (归入议题)")
	command[fastTrackBody](s, demands, "Fast-track it, with a reason (直办)")
	command[unlinkBody](s, demands, "Take it out of its topic (移出议题)")
	command[recordCallbackBody](s, demands, "Record what the resident says when called back (回访)")
	command[waiveCallbackBody](s, demands, "Waive the callback (免回访)")
	command[reopenDemandBody](s, demands, "Raise it again after closing (重新提出)")
	command[upholdAppealBody](s, demands, "Uphold the appeal against a decline (异议成立)")
	command[supplementBody](s, demands, "Add to it (补充)")
	command[supportDemandBody](s, demands, "Support it: me too (附议)")
	command[reclassifyBody](s, demands, "Correct kind, matter or urgency")
	command[relocateBody](s, demands, "Correct where it lies")
	command[splitBody](s, demands, "Split it into several matters")
	command[relateBody](s, demands, "Relate a further topic to it")
	command[fileAppealBody](s, demands, "Appeal against the decline (异议)")
	command[rejectAppealBody](s, demands, "Reject the appeal")
	command[urgeBody](s, demands, "Press for it (催办)")
	command[callbackAttemptBody](s, demands, "Record a call that reached nobody")
	command[rerateBody](s, demands, "Change the grade")
	one(s, demands, "Read a demand")
	get(s, "list-demands", "/demands", "List demands of the own jurisdiction", "demands", s.listDemands)
	get(s, "track", "/track/{code}", "Follow a demand by its tracking code, without a key", "demands", s.track)
}

// DemandBrief is a demand in a list.
type DemandBrief struct {
	ID         stream.ID      `json:"id"`
	Number     string         `json:"number,omitempty"`
	Revision   int64          `json:"revision"`
	Stage      demand.Stage   `json:"stage"`
	Phase      demand.Phase   `json:"phase"`
	Kind       demand.Kind    `json:"kind"`
	Channel    demand.Channel `json:"channel"`
	External   string         `json:"external_ref,omitempty"`
	Urgency    demand.Urgency `json:"urgency,omitempty"`
	Matter     string         `json:"matter,omitempty"`
	Unit       orgs.UnitCode  `json:"unit"`
	Grid       orgs.GridCode  `json:"grid,omitempty"`
	Street     orgs.UnitCode  `json:"street,omitempty"`
	District   orgs.UnitCode  `json:"district,omitempty"`
	Summary    sealed.Public  `json:"summary,omitempty"`
	Round      int            `json:"round"`
	Topic      stream.ID      `json:"topic,omitzero"`
	Orders     []stream.ID    `json:"orders,omitempty"`
	Outcome    demand.Outcome `json:"outcome,omitempty"`
	Grade      demand.Grade   `json:"grade,omitempty"`
	Due        time.Time      `json:"due,omitzero" doc:"The earliest due instant of its clocks."`
	Supporters int            `json:"supporters,omitempty"`
	Urgings    int            `json:"urgings,omitempty"`
	RaisedAt   time.Time      `json:"raised_at"`
	AnsweredAt time.Time      `json:"answered_at,omitzero"`
	ClosedAt   time.Time      `json:"closed_at,omitzero"`
	Since      time.Time      `json:"since"`
}

func demandBrief(r projections.DemandRow) DemandBrief {
	return DemandBrief{ID: r.ID, Number: r.Number, Revision: r.Revision, Stage: r.Stage, Phase: r.Phase, Kind: r.Kind, Channel: r.Channel,
		External: r.External, Urgency: r.Urgency, Matter: r.Matter, Unit: r.Unit, Grid: r.Grid, Street: r.Street, District: r.District,
		Summary: r.Summary, Round: r.Round, Topic: r.Topic, Orders: r.Orders, Outcome: r.Outcome, Grade: r.Grade, Due: shown(r.Due),
		Supporters: r.Supporters, Urgings: r.Urgings, RaisedAt: shown(r.RaisedAt), AnsweredAt: shown(r.AnsweredAt),
		ClosedAt: shown(r.ClosedAt), Since: shown(r.Since)}
}

type listDemandsInput struct {
	ListQuery
	StandingQuery
	Q            string   `query:"q" maxLength:"100" doc:"Words that all occur in the summary, or, for roles that may know them, in what residents wrote."`
	Stage        string   `query:"stage" enum:"raised,topic,handling,done"`
	Phase        string   `query:"phase" enum:"raised,accepted,in_topic,in_handling,answered,closed,declined,redirected,withdrawn"`
	Kinds        []string `query:"kind" enum:"errand,issue,consult,suggestion,report,dispute" doc:"One, or several separated by commas."`
	Channel      string   `query:"channel" enum:"hotline,wechat,counter,app,open311,station,pavilion,contact_card,home_visit,patrol,import"`
	Urgency      string   `query:"urgency" enum:"A,B,C,D"`
	Category     string   `query:"category" pattern:"^([0-9]{2}){1,3}$" doc:"Matter code, or its first two or four digits."`
	Exactly      bool     `query:"exact_category" doc:"Only that code itself; without category, those that have none."`
	Topic        string   `query:"topic" doc:"Id of the topic that governs them."`
	SameReporter string   `query:"same_reporter_as" doc:"Id of a demand: those of whoever reported it. For a few roles only."`
}

func (s *Server) listDemands(ctx context.Context, in *listDemandsInput) (*listed[DemandBrief], error) {
	page, place, due, raised, err := s.listing(ctx, &in.ListQuery)
	if err != nil {
		return nil, err
	}
	f := projections.DemandFilter{Place: place, Page: page, Channel: demand.Channel(in.Channel), Urgency: demand.Urgency(in.Urgency),
		Matter: in.Category, Exactly: in.Exactly, Due: due, Raised: raised}
	if f.Standing, err = in.standing(in.Kinds); err != nil {
		return nil, err
	}
	for _, p := range demand.Machine.States {
		if (in.Phase == "" || string(p) == in.Phase) && (in.Stage == "" || string(p.Stage()) == in.Stage) {
			f.Phases = append(f.Phases, p)
		}
	}
	if f.Topic, err = idOf("topic", in.Topic); err != nil {
		return nil, err
	}
	narrow := func(ids []stream.ID) {
		if f.IDs == nil {
			f.IDs = append([]stream.ID{}, ids...)
			return
		}
		both := []stream.ID{}
		for _, a := range f.IDs {
			for _, b := range ids {
				if a == b {
					both = append(both, a)
				}
			}
		}
		f.IDs = both
	}
	if in.Number != "" {
		written, err := number.Parse(in.Number)
		if err != nil {
			return nil, invalid(fault("query.number", "malformed", "编号有误：有字符缺失或错误", "a character of the number is wrong or missing"))
		}
		r, err := s.Views.Views().DemandByNumber(ctx, written)
		if err = absent(err); err != nil {
			return nil, err
		}
		narrow(some(r.ID))
	}
	if in.SameReporter != "" {
		if err := s.may(ctx, sameReporter); err != nil {
			return nil, err
		}
		n, _, _, err := s.find(ctx, stream.Demand, in.SameReporter)
		if err != nil {
			return nil, err
		}
		if err := s.searchable(ctx); err != nil {
			return nil, err
		}
		same := s.Views.Search().SameReporter(n.ID())
		narrow(same[:min(len(same), maxFound)])
	}
	if q := strings.TrimSpace(in.Q); q != "" {
		if err := s.searchable(ctx); err != nil {
			return nil, err
		}
		found, err := s.Views.Search().Find(ctx, q, s.allowed.can(of(ctx).actor.Role, searchText), maxFound)
		if err != nil {
			return nil, err
		}
		narrow(found)
	}
	v, who, position := s.Views.Views(), s.viewer(of(ctx).actor), s.position()
	if len(f.Phases) == 0 || f.IDs != nil && len(f.IDs) == 0 {
		return nothing[DemandBrief](ctx, in.After, position, in.Count)
	}
	rows, next, err := v.Demands(ctx, who, f)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, briefs(rows, demandBrief), next, position, in.Count, func() (int, error) { return v.CountDemands(ctx, who, f) })
}

// searchable waits until the search in memory has what the views have: an answer without it would leave out cases silently.
func (s *Server) searchable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if !s.Views.Search().Wait(ctx) {
		return problem("search_not_ready")
	}
	return nil
}

// Tracked is what a tracking code shows: no personal data, no place, nobody's name.
type Tracked struct {
	Stage      demand.Stage   `json:"stage"`
	Phase      demand.Phase   `json:"phase"`
	Summary    sealed.Public  `json:"summary,omitempty" doc:"Once it is accepted."`
	Outcome    demand.Outcome `json:"outcome,omitempty"`
	RaisedAt   time.Time      `json:"raised_at"`
	AcceptedAt time.Time      `json:"accepted_at,omitzero"`
	AnsweredAt time.Time      `json:"answered_at,omitzero"`
	ClosedAt   time.Time      `json:"closed_at,omitzero"`
	Due        time.Time      `json:"due,omitzero"`
}

// track looks a demand up by the resident's code, typed with or without hyphens, in any case, O for 0 and I or L for 1.
func (s *Server) track(ctx context.Context, in *struct {
	Code string `path:"code"`
}) (*struct{ Body Tracked }, error) {
	plain := strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(in.Code))
	if len(plain) != 16 {
		return nil, problem("not_found")
	}
	code := plain[:4] + "-" + plain[4:8] + "-" + plain[8:12] + "-" + plain[12:]
	hash := sha256.Sum256([]byte(code))
	r, err := s.Views.Views().DemandByTracking(ctx, hash)
	if errors.Is(err, projections.ErrNotFound) { // raised a moment ago, perhaps
		end, failed := s.Log.End(ctx)
		if failed != nil {
			return nil, failed
		}
		if err := s.reach(ctx, end); err != nil {
			return nil, err
		}
		r, err = s.Views.Views().DemandByTracking(ctx, hash)
	}
	if err != nil {
		return nil, err
	}
	return &struct{ Body Tracked }{Tracked{Stage: r.Stage, Phase: r.Phase, Summary: r.Summary, Outcome: r.Outcome, RaisedAt: shown(r.RaisedAt),
		AcceptedAt: shown(r.AcceptedAt), AnsweredAt: shown(r.AnsweredAt), ClosedAt: shown(r.ClosedAt), Due: shown(r.Due)}}, nil
}
