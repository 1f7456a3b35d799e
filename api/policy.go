package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/orgs"
	"gridcase/domain/policy"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/projections"
)

// Version is one publication of a policy: in force from its position on, until the next.
type Version struct {
	Version     int           `json:"version"`
	PublishedAt time.Time     `json:"published_at"`
	By          orgs.UnitCode `json:"by,omitempty" doc:"The unit that published it; absent for the first of a log."`
	Reason      sealed.Public `json:"reason,omitempty"`
	Position    string        `json:"position"`
}

// PolicyBrief is a policy in the list of policies.
type PolicyBrief struct {
	Policy      string    `json:"policy" enum:"calendar,deadline,escalation" doc:"As in the path; the calendar is read at /calendar."`
	Name        string    `json:"name" doc:"As due instants name it."`
	Version     string    `json:"version" doc:"In force now."`
	PublishedAt time.Time `json:"published_at,omitzero" doc:"Absent on a log that published none: it is decided with what the node is configured with."`
}

// Policies are what is in force now.
type Policies struct {
	Items []PolicyBrief `json:"items" nullable:"false"`
}

// DeadlinePolicy is the deadline policy in force, and every version there was.
type DeadlinePolicy struct {
	Policy   policy.Table `json:"policy"`
	Versions []Version    `json:"versions" nullable:"false" doc:"Ascending."`
	Receipt  *Receipt     `json:"receipt,omitempty"`
}

// EscalationPolicy is the escalation policy in force, and every version there was.
type EscalationPolicy struct {
	Policy   escalation.Policy `json:"policy"`
	Versions []Version         `json:"versions" nullable:"false" doc:"Ascending."`
	Receipt  *Receipt          `json:"receipt,omitempty"`
}

// WorkingCalendar is the working calendar in force: what was published about days off and make-up workdays.
type WorkingCalendar struct {
	Version string            `json:"version" doc:"As due instants name it."`
	Years   []int             `json:"years" nullable:"false" doc:"Those a notice is about. Days of other years are taken for Monday to Friday, and dues over them are provisional."`
	Notices []PublishedNotice `json:"notices" nullable:"false" doc:"In the order in which they were published: of two that name a date the later holds."`
	Receipt *Receipt          `json:"receipt,omitempty"`
}

// PublishedNotice is a notice of days off and make-up workdays.
type PublishedNotice struct {
	calendar.Notice
	Version     string        `json:"version" doc:"The calendar's, after it."`
	Correction  bool          `json:"correction,omitempty"`
	Reason      sealed.Public `json:"reason,omitempty"`
	PublishedAt time.Time     `json:"published_at,omitzero"`
	Position    string        `json:"position,omitempty"`
}

type (
	publishNoticeBody struct {
		Happened
		Year      int                 `json:"year" minimum:"1992" maximum:"9998"`
		Source    string              `json:"source" format:"token" minLength:"1" maxLength:"500" doc:"Address of the notice."`
		Off       []calendar.Date     `json:"off" minItems:"1" maxItems:"366"`
		Work      []calendar.Date     `json:"work,omitempty" maxItems:"366" doc:"Make-up workdays (调休)."`
		Occasions []calendar.Occasion `json:"occasions,omitempty" maxItems:"366" doc:"What the days are for."`
		Reason    sealed.Public       `json:"reason,omitempty" maxLength:"500" doc:"Needed for a correction: where the year has a notice already."`
	}
	publishDeadlinesBody struct {
		Happened
		Policy policy.Table  `json:"policy" doc:"All of it, as it was read and then changed: its version says which one it was edited from."`
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	publishEscalationBody struct {
		Happened
		Policy escalation.Policy `json:"policy" doc:"All of it, as it was read and then changed: its version says which one it was edited from."`
		Reason sealed.Public     `json:"reason" minLength:"1" maxLength:"500"`
	}
)

func (b publishNoticeBody) command() engine.Command {
	return policy.PublishNotice{Notice: calendar.Notice{Year: b.Year, Source: b.Source, Off: b.Off, Work: b.Work, Occasions: b.Occasions}, Reason: b.Reason}
}
func (b publishDeadlinesBody) command() engine.Command {
	return policy.PublishDeadlines{Policy: b.Policy, Reason: b.Reason}
}
func (b publishEscalationBody) command() engine.Command {
	return policy.PublishEscalation{Policy: b.Policy, Reason: b.Reason}
}

// book is one of the three streams as it is read over the API. Render may look at the events up to the state it is given.
type book[R any] struct {
	stream stream.Name
	path   string
	render func(s *Server, p policy.Published, versions []publication, receipt *Receipt) R
}

// publication is one event of such a stream, with where and when.
type publication struct {
	Version
	notice *policy.CalendarPublished
}

var (
	calendarBook   = book[WorkingCalendar]{policy.Calendar, "/calendar", renderCalendar}
	deadlineBook   = book[DeadlinePolicy]{policy.Deadlines, "/policies/deadline", renderDeadlines}
	escalationBook = book[EscalationPolicy]{policy.Escalation, "/policies/escalation", renderEscalation}
)

// publications reads a stream up to a revision.
func (s *Server) publications(ctx context.Context, n stream.Name, until int64) ([]publication, error) {
	all := []publication{}
	for ev, err := range s.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return nil, err
		}
		if int64(ev.Revision) > until {
			break
		}
		e, err := understood(n, ev)
		if err != nil {
			return nil, err
		}
		p := publication{Version: Version{PublishedAt: shown(e.Meta.Recorded), By: e.Meta.Unit, Position: ev.Position.String()}}
		switch b := e.Body.(type) {
		case policy.CalendarPublished:
			p.notice, p.Reason = &b, b.Reason
		case policy.DeadlinesPublished:
			p.Version.Version, p.Reason = b.Policy.Version, b.Reason
		case policy.EscalationPublished:
			p.Version.Version, p.Reason = b.Policy.Version, b.Reason
		default:
			continue
		}
		all = append(all, p)
	}
	return all, nil
}

func versionsOf(ps []publication) []Version {
	return briefs(ps, func(p publication) Version { return p.Version })
}

func renderDeadlines(s *Server, p policy.Published, ps []publication, receipt *Receipt) DeadlinePolicy {
	return DeadlinePolicy{Policy: policy.Written(p.InForce(s.Engine.InForce()).Policy), Versions: versionsOf(ps), Receipt: receipt}
}

func renderEscalation(s *Server, p policy.Published, ps []publication, receipt *Receipt) EscalationPolicy {
	return EscalationPolicy{Policy: *p.InForce(s.Engine.InForce()).Escalation, Versions: versionsOf(ps), Receipt: receipt}
}

func renderCalendar(s *Server, p policy.Published, ps []publication, receipt *Receipt) WorkingCalendar {
	c := p.InForce(s.Engine.InForce()).Calendar
	out := WorkingCalendar{Version: c.Version(), Years: list(c.Years()), Notices: []PublishedNotice{}, Receipt: receipt}
	for _, x := range ps {
		n := x.notice
		out.Notices = append(out.Notices, PublishedNotice{Notice: calendar.Notice{Year: n.Year, Source: n.Source, Off: list(n.Off), Work: list(n.Work), Occasions: n.Occasions},
			Version: n.Version, Correction: n.Correction, Reason: n.Reason, PublishedAt: x.PublishedAt, Position: x.Position})
	}
	if len(ps) == 0 {
		for _, n := range c.Notices() {
			n.Off, n.Work = list(n.Off), list(n.Work)
			out.Notices = append(out.Notices, PublishedNotice{Notice: n})
		}
	}
	return out
}

// readBook offers the reading of a stream of publications, to whoever has a key.
func readBook[R any](s *Server, b book[R], id, summary string) {
	get(s, id, b.path, summary, "policies", func(ctx context.Context, in *struct {
		NoneMatch string `header:"If-None-Match"`
	}) (*found[R], error) {
		out := &found[R]{Status: http.StatusOK, Position: s.position()}
		state, revision, err := s.Engine.Load(ctx, b.stream)
		if err != nil {
			return nil, err
		}
		if revision >= 0 {
			out.ETag = etag(revision)
			if matches(in.NoneMatch, out.ETag) {
				return &found[R]{Status: http.StatusNotModified, ETag: out.ETag, Position: out.Position}, nil
			}
		}
		ps, err := s.publications(ctx, b.stream, revision)
		if err != nil {
			return nil, err
		}
		p, _ := state.(policy.Published)
		out.Body = b.render(s, p, ps, nil)
		return out, nil
	})
}

type publishInput[B any] struct {
	IfMatch string `header:"If-Match" doc:"Required, unless the log published none yet. The ETag that was read."`
	Post
	content[B]
}

// publish offers a publication. It is answered when what follows is decided with it.
func publish[B bodied, R any](s *Server, b book[R], id, summary string) {
	op := huma.Operation{OperationID: id, Method: http.MethodPost, Path: base + b.path + "/publish", Summary: summary, Tags: []string{"policies"}}
	offer[B](s, op, func(ctx context.Context, in *publishInput[B]) (*answer[R], error) {
		if err := s.may(ctx, publishes); err != nil {
			return nil, err
		}
		key, err := in.idempotencyKey()
		if err != nil {
			return nil, err
		}
		_, revision, err := s.Engine.Load(ctx, b.stream)
		if err != nil {
			return nil, err
		}
		var receipt engine.Receipt
		if revision < 0 || in.IfMatch == "" && s.repeats(ctx, b.stream, in.Post) {
			receipt, err = s.begins(ctx, b.stream, key, in.body.when(), in.body.command())
		} else {
			receipt, err = s.give(ctx, b.stream, publishes, given{Post: in.Post, ifMatch: in.IfMatch, occurred: in.body.when(), command: in.body.command()})
		}
		if err == nil {
			err = s.settled(ctx, receipt)
		}
		if err != nil {
			return nil, err
		}
		ps, err := s.publications(ctx, b.stream, receipt.Revision)
		if err != nil {
			return nil, err
		}
		p, _ := receipt.State.(policy.Published)
		return answered(http.StatusOK, "", receipt, b.render(s, p, ps, receiptOf(receipt))), nil
	})
}

func (s *Server) listPolicies(ctx context.Context, _ *struct{}) (*found[Policies], error) {
	position := s.position()
	force := s.Engine.InForce()
	out := Policies{Items: []PolicyBrief{
		{Policy: "calendar", Name: "cn", Version: force.Calendar.Version()},
		{Policy: "deadline", Name: force.Policy.Name, Version: strconv.Itoa(force.Policy.Version)},
		{Policy: "escalation", Name: force.Escalation.Name, Version: strconv.Itoa(force.Escalation.Version)}}}
	for i, n := range []stream.Name{policy.Calendar, policy.Deadlines, policy.Escalation} {
		_, revision, err := s.Engine.Load(ctx, n)
		if err != nil {
			return nil, err
		}
		ps, err := s.publications(ctx, n, revision)
		if err != nil {
			return nil, err
		}
		if len(ps) > 0 {
			out.Items[i].PublishedAt = ps[len(ps)-1].PublishedAt
		}
	}
	return &found[Policies]{Status: http.StatusOK, Position: position, Body: out}, nil
}

func (s *Server) policyRoutes() {
	get(s, "list-policies", "/policies", "List what is in force about time and attention", "policies", s.listPolicies)
	readBook(s, deadlineBook, "read-deadline-policy", "Read the deadline policy in force, and its versions")
	readBook(s, escalationBook, "read-escalation-policy", "Read the escalation policy in force, and its versions")
	readBook(s, calendarBook, "read-calendar", "Read the working calendar: notices, years known, version")
	publish[publishDeadlinesBody](s, deadlineBook, "publish-deadline-policy", "Put a deadline policy in force; no due instant recorded before changes")
	publish[publishEscalationBody](s, escalationBook, "publish-escalation-policy", "Put an escalation policy in force")
	publish[publishNoticeBody](s, calendarBook, "publish-notice", "Put a notice of days off and make-up workdays in force, or a correction to one")
	get(s, "list-deadlines", "/views/deadlines", "List running clocks of the own jurisdiction, the earliest due first", "views", s.listDeadlines)
}

// Deadline is a running clock in a list.
type Deadline struct {
	Kind        stream.Category `json:"kind" enum:"demand,topic,order,dispute,whistle,admission"`
	ID          stream.ID       `json:"id"`
	Number      string          `json:"number,omitempty"`
	DueID       string          `json:"due_id"`
	Clock       calendar.Clock  `json:"clock"`
	Due         time.Time       `json:"due"`
	StartedAt   time.Time       `json:"started_at"`
	Provisional bool            `json:"provisional,omitempty" doc:"A notice was missing when it was counted; it is counted anew when that is published, and the later due holds."`
	Unit        orgs.UnitCode   `json:"unit" doc:"Where the matter lies; of a whistle the street that blew, of an admission the district or city that decides."`
	Lead        orgs.UnitCode   `json:"lead,omitempty" doc:"Of an order: the unit that leads it; of reporting in: the unit that is to come."`
}

type listDeadlinesInput struct {
	Kind        string `query:"kind" enum:"demand,topic,order,dispute,whistle,admission"`
	Clock       string `query:"clock" maxLength:"40"`
	Unit        string `query:"unit" format:"unit" maxLength:"40" doc:"Matters that lie in this unit, or below it."`
	Lead        string `query:"lead" format:"unit" maxLength:"40" doc:"Orders that this unit leads, and whistles that it is to report in to."`
	From        string `query:"from" doc:"Due at this instant or later: RFC 3339 with offset. Now, to leave out what is overdue."`
	Before      string `query:"before" doc:"Due before this instant: RFC 3339 with offset."`
	Provisional string `query:"provisional" enum:"true,false" doc:"true: those that wait for a notice (rule R24)."`
	Limit       int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After       string `query:"after" maxLength:"200" doc:"The cursor next of the page before."`
}

func (s *Server) listDeadlines(ctx context.Context, in *listDeadlinesInput) (*listed[Deadline], error) {
	if err := s.may(ctx, readCase); err != nil {
		return nil, err
	}
	var read instants
	from, before := read.at("from", in.From), read.at("before", in.Before)
	if err := read.err(); err != nil {
		return nil, err
	}
	if in.Clock != "" && !slices.Contains(calendar.Clocks(), calendar.Clock(in.Clock)) {
		return nil, invalid(fault("query.clock", "not_listed", "没有这种时限", "there is no such clock"))
	}
	f := projections.DeadlineFilter{Page: projections.Page{Limit: cmp.Or(in.Limit, 50), After: in.After}, Kind: stream.Category(in.Kind), Clock: calendar.Clock(in.Clock),
		Unit: orgs.UnitCode(in.Unit), Lead: orgs.UnitCode(in.Lead), From: from, Before: before}
	if in.Provisional != "" {
		yes := in.Provisional == "true"
		f.Provisional = &yes
	}
	position := s.position()
	rows, next, err := s.Views.Views().Deadlines(ctx, s.viewer(of(ctx).actor), f)
	if err != nil {
		return nil, err
	}
	items := briefs(rows, func(r projections.DeadlineRow) Deadline {
		return Deadline{Kind: r.Kind, ID: r.ID, Number: r.Number, DueID: r.DueID, Clock: r.Clock, Due: shown(r.Due), StartedAt: shown(r.StartedAt),
			Provisional: r.Provisional, Unit: r.Unit, Lead: r.Lead}
	})
	return pageOf(ctx, items, next, position, false, nil)
}
