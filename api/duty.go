package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/calendar"
	"gridcase/domain/catalogue"
	"gridcase/domain/demand"
	"gridcase/domain/duty"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/projections"
)

// publishDuties is the one command on duty lists.
const publishDuties action = "duties/publish"

// DutyItem is one row of a list.
type DutyItem struct {
	Target  orgs.Kind     `json:"target" enum:"community,street"`
	List    duty.List     `json:"list" enum:"statutory_duty,statutory_assist,not_borne,no_certificate,negative"`
	Matter  string        `json:"matter" minLength:"2" maxLength:"6" format:"heading" doc:"Class, subject or matter: 12, 1203 or 120301."`
	Row     sealed.Public `json:"row" minLength:"1" maxLength:"200" doc:"As it is printed."`
	Basis   sealed.Public `json:"basis,omitempty" maxLength:"200" doc:"The legal basis."`
	Instead sealed.Public `json:"instead,omitempty" maxLength:"200" doc:"Where to go for a certificate that is not issued here."`
}

// DutyVersion is one publication of a district's or the city's lists.
type DutyVersion struct {
	Version       int                `json:"version"`
	From          calendar.Date      `json:"effective_from"`
	Covers        []orgs.Kind        `json:"covers" nullable:"false"`
	Unlisted      duty.Unlisted      `json:"unlisted" doc:"gate.unlisted: what becomes of a matter on no list."`
	NegativeGrant duty.NegativeGrant `json:"negative_grant" doc:"gate.negative_grant: what an admission opens on the negative list."`
	Basis         sealed.Public      `json:"basis,omitempty"`
	PublishedAt   time.Time          `json:"published_at"`
	Items         []DutyItem         `json:"items" nullable:"false"`
}

// DutyLists are all versions of a publisher's lists; the ETag is their number.
type DutyLists struct {
	Unit     orgs.UnitCode `json:"unit"`
	InForce  int           `json:"in_force" doc:"The version in force on the date, 0 if there is none."`
	On       calendar.Date `json:"on"`
	BoundBy  []Edition     `json:"bound_by" nullable:"false" doc:"In force above this publisher on the date: its own lists add to these, and take nothing from them."`
	Versions []DutyVersion `json:"versions" nullable:"false"`
	Receipt  *Receipt      `json:"receipt,omitempty"`
}

func (s *Server) dutyLists(unit orgs.UnitCode, st duty.State, on calendar.Date) DutyLists {
	units := s.Engine.Units()
	d := DutyLists{Unit: unit, On: on, BoundBy: []Edition{}, Versions: []DutyVersion{}}
	for _, v := range st.Versions {
		out := DutyVersion{Version: v.Version, From: v.From, Covers: list(v.Covers), Unlisted: v.Unlisted, NegativeGrant: v.NegativeGrant, Basis: v.Basis,
			PublishedAt: shown(v.At), Items: []DutyItem{}}
		for _, x := range v.Items {
			out.Items = append(out.Items, DutyItem(x))
		}
		d.Versions = append(d.Versions, out)
	}
	if v, any := st.InForce(on); any {
		d.InForce = v.Version
	}
	for _, e := range s.Engine.Gate(units).Above(unit, on) {
		d.BoundBy = append(d.BoundBy, Edition(e))
	}
	return d
}

type publishDutiesBody struct {
	Happened
	From          calendar.Date      `json:"effective_from" doc:"A later date than today."`
	Covers        []orgs.Kind        `json:"covers" enum:"community,street" minItems:"1" maxItems:"2" doc:"Whom the lists protect, whether a row names them or not."`
	Unlisted      duty.Unlisted      `json:"unlisted,omitempty" enum:"block,pass" doc:"block if not given."`
	NegativeGrant duty.NegativeGrant `json:"negative_grant,omitempty" enum:"assist_only,none,any" doc:"assist_only if not given."`
	Basis         sealed.Public      `json:"basis,omitempty" maxLength:"200"`
	Items         []DutyItem         `json:"items,omitempty" maxItems:"1000" doc:"The whole lists: what is not among them is on none."`
}

type publishDutiesInput struct {
	Unit         string `path:"unit"`
	IfMatch      string `header:"If-Match" doc:"Required. The ETag that was read; \"0\" before the first publication."`
	Confirmation string `header:"GridCase-Confirmation" doc:"Of a second person: see POST /api/v1/confirmations."`
	Post
	content[publishDutiesBody]
}

// findDuties loads the lists of a publisher. They are public, and a publisher that has published nothing has none.
func (s *Server) findDuties(ctx context.Context, unit string) (n stream.Name, state duty.State, revision int64, err error) {
	u, known := s.Engine.Units().Unit(orgs.UnitCode(unit))
	if !known || u.Kind != orgs.District && u.Kind != orgs.City {
		return "", state, -1, problem("not_found")
	}
	n = stream.Keyed(stream.Duties, unit)
	loaded, revision, err := s.Engine.Load(ctx, n)
	state, _ = loaded.(duty.State)
	return n, state, revision, err
}

func (s *Server) today() calendar.Date { return calendar.DateOf(s.Now()) }

// publish publishes the lists of a district or the city. The ETag of lists counts versions, so that the first publication is
// a change like any other, which a second person can confirm beforehand.
func (s *Server) publish(ctx context.Context, in *publishDutiesInput) (*answer[DutyLists], error) {
	n, _, _, err := s.findDuties(ctx, in.Unit)
	if err != nil {
		return nil, err
	}
	if err := s.may(ctx, publishDuties); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	versions, err := parseIfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	b := in.body
	if err := s.occurred(b.OccurredAt); err != nil {
		return nil, err
	}
	second, err := s.second(in.Confirmation, in.path, versions, in.raw)
	if err != nil && !s.repeats(ctx, n, in.Post) {
		return nil, err
	}
	c := duty.Publish{Unit: orgs.UnitCode(in.Unit), From: b.From, Covers: b.Covers, Unlisted: b.Unlisted, NegativeGrant: b.NegativeGrant, Basis: b.Basis}
	for _, x := range b.Items {
		c.Items = append(c.Items, duty.Item(x))
	}
	rq := of(ctx)
	receipt, err := s.Engine.Handle(ctx, engine.Request{Stream: n, Commands: []engine.Command{c}, Key: key, Actor: rq.actor, Second: second,
		Occurred: b.OccurredAt, Expect: versions - 1, Trace: rq.trace})
	var stale *engine.StaleError
	if errors.As(err, &stale) {
		_, _, revision, err := s.findDuties(ctx, in.Unit)
		return nil, errors.Join(err, &engine.StaleError{Expect: versions, Actual: revision + 1})
	}
	if err == nil {
		err = s.settled(ctx, receipt)
	}
	if err != nil {
		return nil, err
	}
	state := receipt.State.(duty.State)
	body := s.dutyLists(orgs.UnitCode(in.Unit), state, calendar.DateOf(receipt.Recorded))
	body.Receipt = receiptOf(receipt)
	a := answered(http.StatusOK, "", receipt, body)
	a.ETag = etag(int64(len(state.Versions)))
	return a, nil
}

func (s *Server) readDuties(ctx context.Context, in *struct {
	Unit      string `path:"unit"`
	On        string `query:"on" format:"date" doc:"Which version is in force then; today if not given."`
	NoneMatch string `header:"If-None-Match"`
}) (*found[DutyLists], error) {
	on, err := dateOf("on", in.On, s.today())
	if err != nil {
		return nil, err
	}
	_, st, revision, err := s.findDuties(ctx, in.Unit)
	if err != nil {
		return nil, err
	}
	tag := etag(revision + 1)
	if matches(in.NoneMatch, tag) {
		return &found[DutyLists]{Status: http.StatusNotModified, ETag: tag, Position: s.position()}, nil
	}
	return &found[DutyLists]{Status: http.StatusOK, ETag: tag, Position: s.position(), Body: s.dutyLists(orgs.UnitCode(in.Unit), st, on)}, nil
}

// DutyPublication is a version of a publisher's lists in the list of all, without its rows.
type DutyPublication struct {
	Unit          orgs.UnitCode      `json:"unit"`
	Version       int                `json:"version"`
	From          calendar.Date      `json:"effective_from"`
	Covers        []orgs.Kind        `json:"covers" nullable:"false"`
	Unlisted      duty.Unlisted      `json:"unlisted"`
	NegativeGrant duty.NegativeGrant `json:"negative_grant"`
	Basis         sealed.Public      `json:"basis,omitempty"`
	Items         int                `json:"items"`
	PublishedAt   time.Time          `json:"published_at"`
}

func (s *Server) listDuties(ctx context.Context, in *struct {
}) (*listed[DutyPublication], error) {
	position := s.position()
	rows, err := s.Views.Views().DutyLists(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, briefs(rows, func(r projections.DutyListRow) DutyPublication {
		return DutyPublication{Unit: r.Unit, Version: r.Version, From: r.From, Covers: list(r.Covers), Unlisted: r.Unlisted, NegativeGrant: r.NegativeGrant,
			Basis: r.Basis, Items: r.Items, PublishedAt: shown(r.PublishedAt)}
	}), "", position, false, nil)
}

// dateOf reads a date of a query; none is the usual one.
func dateOf(name, text string, usual calendar.Date) (calendar.Date, error) {
	if text == "" {
		return usual, nil
	}
	d, err := calendar.ParseDate(text)
	if err != nil {
		return 0, invalid(fault("query."+name, "not_a_date", "日期须为年-月-日格式，如 2026-10-01", "must be a date such as 2026-10-01"))
	}
	return d, nil
}

// DutyVerdict is what the lists say about one matter in one role.
type DutyVerdict struct {
	Passes    bool          `json:"passes"`
	Publisher orgs.UnitCode `json:"publisher,omitempty" doc:"Whose list decides: of several the strictest; absent where no list is in force."`
	Version   int           `json:"version,omitempty"`
	List      duty.List     `json:"list,omitempty" doc:"That decides; unlisted if it is on none; absent where no list is in force."`
	Row       sealed.Public `json:"row,omitempty"`
	Basis     sealed.Public `json:"basis,omitempty"`
	Instead   sealed.Public `json:"instead,omitempty" doc:"Where to go for a certificate."`
	Grant     stream.ID     `json:"grant,omitzero" doc:"The admission that opens it."`
}

// MatterDuty is what a unit may be asked of one matter.
type MatterDuty struct {
	Matter  catalogue.Code `json:"matter"`
	Class   string         `json:"class"`
	Subject string         `json:"subject"`
	Name    string         `json:"name"`
	Lead    DutyVerdict    `json:"lead"`
	Assist  DutyVerdict    `json:"assist"`
}

// LiveGrant is an admission that is live for a unit.
type LiveGrant struct {
	Admission stream.ID       `json:"admission"`
	Matter    string          `json:"matter"`
	Role      duty.Role       `json:"role"`
	Units     []orgs.UnitCode `json:"units" nullable:"false"`
	From      calendar.Date   `json:"from"`
	Until     calendar.Date   `json:"until"`
}

// Edition is a publication in force.
type Edition struct {
	Publisher orgs.UnitCode `json:"publisher"`
	Version   int           `json:"version"`
}

func editions(es []duty.Edition) []Edition {
	return briefs(es, func(e duty.Edition) Edition { return Edition(e) })
}

// DutyView says what a unit may be asked to bear on a date: the answer that the gate would give to a dispatch then, by
// what is published and granted now.
type DutyView struct {
	Unit    orgs.UnitCode `json:"unit"`
	Target  orgs.UnitCode `json:"target,omitempty" doc:"The community or street whose lists protect it; absent for units that no list protects."`
	On      calendar.Date `json:"on"`
	Lists   []Edition     `json:"lists" nullable:"false" doc:"In force there, the nearest publisher first: all of them must let a matter through. None: everything passes."`
	Matters []MatterDuty  `json:"matters" nullable:"false"`
	Count   int           `json:"count" doc:"Of the matters."`
	Grants  []LiveGrant   `json:"grants" nullable:"false"`
}

type viewed[R any] struct {
	Position string `header:"GridCase-Position"`
	Body     R
}

func (s *Server) viewDuties(ctx context.Context, in *struct {
	Unit   string `query:"unit" format:"unit" required:"true" maxLength:"40" doc:"A community, street or grid."`
	On     string `query:"on" format:"date" doc:"Today if not given."`
	Matter string `query:"matter" pattern:"^([0-9]{2}){1,3}$" doc:"A class, subject or matter; all if not given."`
	Bears  string `query:"bears" enum:"lead,assist,either" doc:"Only matters that the unit may be asked to take on in this role."`
}) (*viewed[DutyView], error) {
	if err := s.may(ctx, readCase); err != nil {
		return nil, err
	}
	unit := orgs.UnitCode(in.Unit)
	on, err := dateOf("on", in.On, s.today())
	if err != nil {
		return nil, err
	}
	position := s.position()
	g := s.Engine.Gate(s.Engine.Units())
	view := DutyView{Unit: unit, On: on, Lists: editions(g.Editions(unit, on)), Matters: []MatterDuty{}, Grants: []LiveGrant{}}
	say := func(v duty.Verdict) DutyVerdict {
		view.Target = v.Target
		return DutyVerdict{Passes: v.Passes, Publisher: v.Publisher, Version: v.Version, List: v.List, Row: v.Item.Row, Basis: v.Item.Basis, Instead: v.Item.Instead, Grant: v.Grant}
	}
	known := false
	for m := range catalogue.All() {
		if len(in.Matter) > 0 && string(m.Code[:len(in.Matter)]) != in.Matter {
			continue
		}
		known = true
		lead, assist := say(g.Judge(unit, string(m.Code), duty.Lead, on)), say(g.Judge(unit, string(m.Code), duty.Assist, on))
		if in.Bears == "lead" && !lead.Passes || in.Bears == "assist" && !assist.Passes || in.Bears == "either" && !lead.Passes && !assist.Passes {
			continue
		}
		view.Matters = append(view.Matters, MatterDuty{Matter: m.Code, Class: m.Class, Subject: m.Subject, Name: m.Name, Lead: lead, Assist: assist})
		for _, x := range g.Grants(unit, string(m.Code), on) {
			view.Grants = append(view.Grants, LiveGrant{Admission: x.Admission, Matter: x.Matter, Role: x.Role, Units: x.Units, From: x.From, Until: x.Until})
		}
	}
	view.Count = len(view.Matters)
	if !known {
		return nil, invalid(fault("query.matter", "unknown_matter", "没有这个事项编码", "there is no such matter"))
	}
	return &viewed[DutyView]{Position: position, Body: view}, nil
}

// LoadView says how many matters a unit may be asked to bear on a date, against a base date (承担事项).
type LoadView struct {
	Unit    orgs.UnitCode    `json:"unit"`
	Target  orgs.UnitCode    `json:"target"`
	Base    LoadOn           `json:"base"`
	On      LoadOn           `json:"on"`
	Added   []catalogue.Code `json:"added" nullable:"false" doc:"Borne on the date, in either role, and not on the base date."`
	Dropped []catalogue.Code `json:"dropped" nullable:"false" doc:"The other way round."`
	Blocks  Count            `json:"blocks" doc:"Attempts that the gate stopped, from the base date to the date."`
}

// LoadOn is the load on one date.
type LoadOn struct {
	Date   calendar.Date `json:"date"`
	Lists  []Edition     `json:"lists" nullable:"false" doc:"In force there. None: every matter counts."`
	Lead   Count         `json:"lead" doc:"Matters that it may be asked to lead."`
	Assist Count         `json:"assist" doc:"Matters that it may be asked to assist in."`
	Borne  Count         `json:"borne" doc:"Matters in either role."`
}

func (s *Server) viewLoad(ctx context.Context, in *struct {
	Unit string `query:"unit" format:"unit" required:"true" maxLength:"40" doc:"A community, street or grid."`
	On   string `query:"on" format:"date" doc:"Today if not given."`
	Base string `query:"base" required:"true" format:"date"`
}) (*viewed[LoadView], error) {
	if err := s.may(ctx, readCase); err != nil {
		return nil, err
	}
	unit := orgs.UnitCode(in.Unit)
	on, err1 := dateOf("on", in.On, s.today())
	from, err2 := dateOf("base", in.Base, 0)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	g := s.Engine.Gate(s.Engine.Units())
	target, protected := g.Protects(unit)
	switch {
	case !protected:
		return nil, invalid(fault("query.unit", "not_listed", "须为社区、街道或网格", "must be a community, street or grid"))
	case from > on:
		return nil, invalid(fault("query.base", "contradiction", "基准日期不能晚于所查日期", "lies after the date"))
	}
	g = s.Engine.Gate(s.Engine.Units())
	position := s.position()
	borne := func(on calendar.Date) LoadOn {
		link := base + "/views/duties?unit=" + url.QueryEscape(string(unit)) + "&on=" + on.String() + "&bears="
		return LoadOn{Date: on, Lists: editions(g.Editions(unit, on)), Lead: Count{0, link + "lead"}, Assist: Count{0, link + "assist"}, Borne: Count{0, link + "either"}}
	}
	view := LoadView{Unit: unit, Target: target.Code, Base: borne(from), On: borne(on), Added: []catalogue.Code{}, Dropped: []catalogue.Code{}}
	bears := func(l *LoadOn, m string) bool {
		lead, assist := g.Judge(unit, m, duty.Lead, l.Date), g.Judge(unit, m, duty.Assist, l.Date)
		for n, passes := range map[*int]bool{&l.Lead.Count: lead.Passes, &l.Assist.Count: assist.Passes, &l.Borne.Count: lead.Passes || assist.Passes} {
			if passes {
				*n++
			}
		}
		return lead.Passes || assist.Passes
	}
	for m := range catalogue.All() {
		before, after := bears(&view.Base, string(m.Code)), bears(&view.On, string(m.Code))
		switch {
		case after && !before:
			view.Added = append(view.Added, m.Code)
		case before && !after:
			view.Dropped = append(view.Dropped, m.Code)
		}
	}
	n, err := s.Views.Views().CountBlocks(ctx, s.viewer(of(ctx).actor), projections.BlockFilter{Unit: target.Code, From: from, To: on})
	view.Blocks = Count{n, base + "/views/blocks?unit=" + url.QueryEscape(string(target.Code)) + "&from=" + from.String() + "&to=" + on.String()}
	return &viewed[LoadView]{Position: position, Body: view}, err
}

// BlockedAttempt is one attempt that the gate stopped. Event and position open it in the log.
type BlockedAttempt struct {
	Event     stream.ID     `json:"event"`
	Position  string        `json:"position" doc:"Of the event in the log."`
	Target    orgs.UnitCode `json:"target" doc:"The community or street that the lists protect."`
	Unit      orgs.UnitCode `json:"unit" doc:"To which it was to be given: the target, or a grid of it."`
	Matter    string        `json:"matter"`
	Role      duty.Role     `json:"role"`
	Publisher orgs.UnitCode `json:"publisher"`
	List      duty.List     `json:"list"`
	Version   int           `json:"version"`
	Row       sealed.Public `json:"row,omitempty"`
	Basis     sealed.Public `json:"basis,omitempty"`
	On        calendar.Date `json:"on"`
	By        orgs.UnitCode `json:"dispatcher" doc:"Whose person wanted it."`
	Command   string        `json:"command"`
	Demands   []stream.ID   `json:"demands,omitempty" doc:"Those that you may see."`
	Topic     stream.ID     `json:"topic,omitzero"`
	Order     stream.ID     `json:"order,omitzero" doc:"That was not dispatched, or not again; if you may see it."`
}

func (s *Server) viewBlocks(ctx context.Context, in *struct {
	Unit   string `query:"unit" format:"unit" maxLength:"40" doc:"On what lies in it."`
	From   string `query:"from" format:"date"`
	To     string `query:"to" format:"date" doc:"The date itself is in."`
	List   string `query:"list" enum:"statutory_duty,statutory_assist,not_borne,no_certificate,negative,unlisted"`
	Matter string `query:"matter" pattern:"^([0-9]{2}){1,3}$"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After  string `query:"after" maxLength:"200" doc:"The cursor next of the page before."`
	Count  bool   `query:"count" doc:"Count all of them, too."`
}) (*listed[BlockedAttempt], error) {
	if err := s.may(ctx, readCase); err != nil {
		return nil, err
	}
	from, err1 := dateOf("from", in.From, 0)
	to, err2 := dateOf("to", in.To, 0)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	f := projections.BlockFilter{Page: projections.Page{Limit: in.Limit, After: in.After}, Unit: orgs.UnitCode(in.Unit), List: duty.List(in.List),
		Matter: in.Matter, From: from, To: to}
	v, actor, position := s.Views.Views(), of(ctx).actor, s.position()
	who := s.viewer(actor)
	rows, next, err := v.Blocks(ctx, who, f)
	if err != nil {
		return nil, err
	}
	var items []BlockedAttempt
	for _, r := range rows {
		// A demand of kind report is not to be known to everybody who knows the place.
		shown := r.Demands[:0:0]
		for _, id := range r.Demands {
			n := stream.Of(stream.Demand, id)
			d, _, err := s.Engine.Load(ctx, n)
			if err != nil {
				return nil, err
			}
			sees, err := s.sees(ctx, actor, n, d)
			if err != nil {
				return nil, err
			}
			if sees {
				shown = append(shown, id)
			}
		}
		if !r.Order.IsZero() {
			n := stream.Of(stream.Order, r.Order)
			if o, _, err := s.Engine.Load(ctx, n); err != nil {
				return nil, err
			} else if st, is := o.(order.State); is && st.Kind == string(demand.Report) {
				if sees, err := s.sees(ctx, actor, n, st); err != nil {
					return nil, err
				} else if !sees {
					r.Order = stream.ID{}
				}
			}
		}
		items = append(items, BlockedAttempt{Event: r.Event, Position: r.Position.String(), Target: r.Target, Unit: r.Unit, Matter: r.Matter, Role: r.Role, Publisher: r.Publisher,
			List: r.List, Version: r.Version, Row: r.Row, Basis: r.Basis, On: r.On, By: r.By, Command: r.Command, Demands: shown, Topic: r.Topic, Order: r.Order})
	}
	return pageOf(ctx, items, next, position, in.Count, func() (int, error) { return v.CountBlocks(ctx, who, f) })
}

// BlockNote says, of a dispatch that the gate stopped, which row of which list did.
type BlockNote struct {
	Unit      orgs.UnitCode `json:"unit"`
	Target    orgs.UnitCode `json:"target"`
	Matter    string        `json:"matter"`
	Role      duty.Role     `json:"role"`
	Publisher orgs.UnitCode `json:"publisher,omitempty"`
	List      string        `json:"list"`
	Version   int           `json:"version"`
	Row       string        `json:"row,omitempty"`
	Basis     string        `json:"basis,omitempty"`
	Instead   string        `json:"instead,omitempty" doc:"Where to go for a certificate."`
	Grant     stream.ID     `json:"grant,omitzero" doc:"An admission that was granted for the matter, and does not open this."`
	Lacks     []string      `json:"grant_lacks,omitempty" enum:"list,scope,role,term,funding" doc:"What it lacks."`
}

// blockNote is nil for refusals of anything else than the gate.
func blockNote(b *rule.Block) *BlockNote {
	if b == nil {
		return nil
	}
	role := duty.Assist
	if b.Lead {
		role = duty.Lead
	}
	return &BlockNote{Unit: b.Unit, Target: b.Target, Matter: b.Matter, Role: role, Publisher: b.Publisher, List: b.List, Version: b.Version,
		Row: b.Row, Basis: b.Basis, Instead: b.Instead, Grant: b.Grant, Lacks: b.Lacks}
}

// seesGate reports whether a reader of the feed may see what the gate stopped at a community or street: its events name
// demands, of kind report among them.
func (s *Server) seesGate(a rule.Actor, target orgs.UnitCode) bool {
	units := s.Engine.Units()
	seat := rule.Seat(units, a)
	return slices.Contains(confidants, a.Role) && (units.Within(target, seat) || units.Within(seat, target))
}

func (s *Server) dutyRoutes() {
	offer[publishDutiesBody](s, huma.Operation{OperationID: "publish-duties", Method: http.MethodPost, Path: base + "/duties/{unit}/publish",
		Summary: "Publish the duty lists of a district or the city (清单公布); needs a second person", Tags: []string{"duties"}}, s.publish)
	get(s, "list-duties", "/duties", "List all publications of duty lists", "duties", s.listDuties)
	get(s, "read-duties", "/duties/{unit}", "Read the duty lists of a district or the city, in all versions", "duties", s.readDuties)
	get(s, "view-duties", "/views/duties", "What may this unit be asked on a date?", "views", s.viewDuties)
	get(s, "view-load", "/views/load", "How many matters may it be asked to bear, against a base date?", "views", s.viewLoad)
	get(s, "view-blocks", "/views/blocks", "List what the gate stopped", "views", s.viewBlocks)
}
