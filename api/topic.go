package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/calendar"
	"gridcase/domain/number"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/engine"
	"gridcase/projections"
)

// Topic is a matter that a community deliberates (议题).
type Topic struct {
	ID          stream.ID     `json:"id"`
	Number      string        `json:"number,omitempty"`
	Revision    int64         `json:"revision"`
	Phase       topic.Phase   `json:"phase"`
	Kind        topic.Kind    `json:"kind"`
	Source      string        `json:"source"`
	Title       sealed.Public `json:"title"`
	Unit        orgs.UnitCode `json:"unit"`
	Matter      string        `json:"matter,omitempty"`
	Named       []stream.ID   `json:"demands_named,omitempty" doc:"When it was proposed; which ones it governs, they say themselves."`
	Format      topic.Format  `json:"format,omitempty"`
	Place       sealed.Public `json:"place,omitempty"`
	MeetingAt   time.Time     `json:"meeting_at,omitzero"`
	Held        bool          `json:"deliberation_held,omitempty"`
	Vote        *Vote         `json:"vote,omitempty"`
	Items       []PlanItem    `json:"items,omitempty" doc:"The plan as adopted last."`
	Budget      int64         `json:"budget,omitempty" doc:"Fen."`
	Resources   []string      `json:"resources,omitempty"`
	Summary     sealed.Public `json:"summary,omitempty"`
	Reason      sealed.Public `json:"reason,omitempty"`
	ReviewOn    calendar.Date `json:"review_on,omitzero"`
	Target      stream.ID     `json:"merged_into,omitzero"`
	Cycle       int           `json:"cycle,omitempty"`
	Orders      []stream.ID   `json:"orders,omitempty" doc:"Of the last cycle."`
	AllOrders   []stream.ID   `json:"all_orders,omitempty"`
	Results     int           `json:"results,omitempty"`
	Supporters  int           `json:"supporters,omitempty" doc:"Households."`
	Reraised    int           `json:"demands_reopened,omitempty"`
	ProposedAt  time.Time     `json:"proposed_at"`
	RecordedAt  time.Time     `json:"recorded_at"`
	Deliberates time.Time     `json:"deliberation_began_at,omitzero"`
	HeldAt      time.Time     `json:"deliberation_held_at,omitzero"`
	AdoptedAt   time.Time     `json:"adopted_at,omitzero"`
	HandedAt    time.Time     `json:"handed_at,omitzero"`
	EndedAt     time.Time     `json:"ended_at,omitzero"`
	Since       time.Time     `json:"since"`
	Clocks      []Clock       `json:"clocks" nullable:"false"`
	Possible    []string      `json:"possible" nullable:"false"`
	Receipt     *Receipt      `json:"receipt,omitempty"`
}

// Vote is a vote of all households.
type Vote struct {
	Options    []sealed.Public `json:"options"`
	Grids      []orgs.GridCode `json:"grids"`
	Electorate int             `json:"electorate"`
	ClosesAt   time.Time       `json:"closes_at"`
	Closed     bool            `json:"closed"`
	Cast       int             `json:"cast,omitempty"`
	Counts     []int           `json:"counts,omitempty"`
	Passed     bool            `json:"passed,omitempty"`
}

// PlanItem is one order of an adopted plan.
type PlanItem struct {
	Lead      orgs.UnitCode   `json:"lead" format:"unit"`
	Competent orgs.UnitCode   `json:"competent,omitempty" format:"unit" doc:"Member agency of a joint team."`
	CoUnits   []orgs.UnitCode `json:"co_units,omitempty" format:"unit" maxItems:"20"`
	Matter    string          `json:"matter" format:"matter"`
	Urgency   string          `json:"urgency,omitempty" enum:"A,B,C,D" doc:"D if not given."`
	Target    calendar.Date   `json:"target" doc:"Promised to the residents: a day, at most 180 days ahead."`
	Task      sealed.Public   `json:"task" minLength:"1" maxLength:"200"`
}

func planItems(bs []PlanItem) []topic.Item {
	var out []topic.Item
	for _, b := range bs {
		out = append(out, topic.Item(b))
	}
	return out
}

var topics = resource[Topic]{stream.Topic, renderTopic}

func renderTopic(_ context.Context, _ *Server, _ stream.Name, state any, revision int64, receipt *Receipt) (Topic, error) {
	st := state.(topic.State)
	t := Topic{ID: st.ID, Number: st.Number, Revision: revision, Phase: st.Phase, Kind: st.Kind, Source: st.Source, Title: st.Title, Unit: st.Unit,
		Matter: st.Matter, Named: st.Named, Format: st.Format, Place: st.Place, MeetingAt: shown(st.MeetingAt), Held: st.Held,
		Budget: st.Budget, Resources: st.Resources, Summary: st.Summary, Reason: st.Reason, ReviewOn: st.ReviewOn, Target: st.Target,
		Cycle: st.Cycle, Orders: st.CycleOrders, AllOrders: st.AllOrders, Results: st.Results, Supporters: st.Supporters, Reraised: st.Reraised,
		ProposedAt: shown(st.ProposedAt), RecordedAt: shown(st.RecordedAt), Deliberates: shown(st.Deliberates), HeldAt: shown(st.HeldAt),
		AdoptedAt: shown(st.AdoptedAt), HandedAt: shown(st.HandedAt), EndedAt: shown(st.EndedAt), Since: shown(st.Since),
		Clocks: clocksOf(st.Running), Possible: list(topic.Machine.Possible(st.Phase)), Receipt: receipt}
	for _, i := range st.Plan {
		t.Items = append(t.Items, PlanItem(i))
	}
	if v := st.Vote; !v.ClosesAt.IsZero() {
		t.Vote = &Vote{Options: v.Options, Grids: v.Grids, Electorate: v.Electorate, ClosesAt: shown(v.ClosesAt), Closed: v.Closed, Cast: v.Cast, Counts: v.Counts, Passed: v.Passed}
	}
	return t, nil
}

type proposeBody struct {
	Happened
	Kind    topic.Kind    `json:"kind" enum:"ordinary,micro_project"`
	Source  string        `json:"source" enum:"residents,patrol"`
	Title   sealed.Public `json:"title" minLength:"1" maxLength:"100" doc:"Public: free of personal data."`
	Unit    orgs.UnitCode `json:"unit" format:"unit"`
	Matter  string        `json:"matter,omitempty" format:"matter"`
	Demands []stream.ID   `json:"demands,omitempty" maxItems:"200"`
}

func (s *Server) propose(ctx context.Context, in *postInput[proposeBody]) (*answer[Topic], error) {
	if err := s.may(ctx, "topic/propose"); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	b := in.body
	n := stream.Of(stream.Topic, stream.For(stream.Topic, of(ctx).actor.ID, key))
	receipt, err := s.begins(ctx, n, key, b.OccurredAt, topic.Propose{Kind: b.Kind, Source: b.Source, Title: b.Title, Unit: b.Unit, Matter: b.Matter, Demands: b.Demands})
	if err != nil {
		return nil, err
	}
	body, err := renderTopic(ctx, s, n, receipt.State, receipt.Revision, receiptOf(receipt))
	return answered(http.StatusCreated, base+"/topics/"+n.ID().String(), receipt, body), err
}

// The bodies of the commands. Their members mean what the event of the same command says.
type (
	openDeliberationBody struct {
		Happened
		Format    topic.Format  `json:"format" enum:"council,pavilion,heart_to_heart,villagers,women,online"`
		Place     sealed.Public `json:"place" minLength:"1" maxLength:"100"`
		MeetingAt time.Time     `json:"meeting_at"`
	}
	mergeBody struct {
		Happened
		Target stream.ID     `json:"target"`
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	dropBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	openVoteBody struct {
		Happened
		Options  []sealed.Public `json:"options" minItems:"2" maxItems:"20" maxLength:"100"`
		Grids    []orgs.GridCode `json:"grids" format:"grid" minItems:"1" maxItems:"999"`
		ClosesAt time.Time       `json:"closes_at"`
	}
	closeVoteBody struct {
		Happened
		Cast    int    `json:"cast" minimum:"0" maximum:"100000000"`
		Counts  []int  `json:"counts" minItems:"2" maxItems:"20" minimum:"0" maximum:"100000000"`
		Ballots string `json:"ballots" format:"sha256"`
	}
	adoptBody struct {
		Happened
		Items     []PlanItem    `json:"items" minItems:"1" maxItems:"20"`
		Budget    int64         `json:"budget,omitempty" minimum:"0" maximum:"100000000000" doc:"Fen."`
		Resources []string      `json:"resources,omitempty" maxItems:"20" maxLength:"100"`
		Summary   sealed.Public `json:"summary" minLength:"1" maxLength:"500"`
	}
	rejectBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	deferBody struct {
		Happened
		Reason   sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
		ReviewOn calendar.Date `json:"review_on"`
	}
	refuseAdmissionBody struct {
		Happened
		Reason    sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
		Admission stream.ID     `json:"admission,omitzero"`
	}
	handToGridBody struct {
		Happened
		Items []PlanItem `json:"items,omitempty" maxItems:"20" doc:"The plan again, changed where it can no longer be carried out; empty: as adopted."`
	}
	addOrderBody struct {
		Happened
		Item  *PlanItem `json:"item,omitempty"`
		Order stream.ID `json:"order,omitzero" doc:"A live order that joins."`
	}
	returnTopicBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	publishResultBody struct {
		Happened
		Text       sealed.Public `json:"text" minLength:"1" maxLength:"2000" long:"true"`
		Orders     []stream.ID   `json:"orders,omitempty" maxItems:"100"`
		AlsoTopics []stream.ID   `json:"also_topics,omitempty" maxItems:"20"`
		Resources  []string      `json:"resources,omitempty" maxItems:"20" maxLength:"100"`
	}
	concludeBody struct {
		Happened
		Summary sealed.Public `json:"summary" minLength:"1" maxLength:"500"`
	}
	reopenTopicBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	attendanceBody struct {
		Capacity string `json:"capacity" enum:"residents,representatives,members,property,department,other"`
		Number   int    `json:"number" minimum:"1" maximum:"100000"`
	}
	holdDeliberationBody struct {
		Happened
		Format    topic.Format     `json:"format" enum:"council,pavilion,heart_to_heart,villagers,women,online"`
		Venue     sealed.Public    `json:"venue" minLength:"1" maxLength:"100"`
		Minutes   string           `json:"minutes" format:"sha256"`
		Attendees []attendanceBody `json:"attendees" minItems:"1" maxItems:"6" doc:"Counted by capacity, never named."`
		Summary   sealed.Public    `json:"summary,omitempty" maxLength:"500"`
	}
	supportTopicBody struct {
		Happened
		Household string `json:"household" format:"token" maxLength:"64" doc:"Opaque code of a household at its stairwell, never a name."`
	}
)

func (b openDeliberationBody) command() engine.Command {
	return topic.OpenDeliberation{Format: b.Format, Place: b.Place, MeetingAt: b.MeetingAt}
}
func (b mergeBody) command() engine.Command { return topic.Merge{Target: b.Target, Reason: b.Reason} }
func (b dropBody) command() engine.Command  { return topic.Drop{Reason: b.Reason} }
func (b openVoteBody) command() engine.Command {
	return topic.OpenVote{Options: b.Options, Grids: b.Grids, ClosesAt: b.ClosesAt}
}
func (b closeVoteBody) command() engine.Command {
	return topic.CloseVote{Cast: b.Cast, Counts: b.Counts, Ballots: b.Ballots}
}
func (b adoptBody) command() engine.Command {
	return topic.Adopt{Items: planItems(b.Items), Budget: b.Budget, Resources: b.Resources, Summary: b.Summary}
}
func (b rejectBody) command() engine.Command { return topic.Reject{Reason: b.Reason} }
func (b deferBody) command() engine.Command {
	return topic.Defer{Reason: b.Reason, ReviewOn: b.ReviewOn}
}
func (b refuseAdmissionBody) command() engine.Command {
	return topic.RefuseAdmission{Reason: b.Reason, Admission: b.Admission}
}
func (b handToGridBody) command() engine.Command { return topic.HandToGrid{Items: planItems(b.Items)} }
func (b addOrderBody) command() engine.Command {
	c := topic.AddOrder{Order: b.Order}
	if b.Item != nil {
		i := topic.Item(*b.Item)
		c.Item = &i
	}
	return c
}
func (b returnTopicBody) command() engine.Command { return topic.Return{Reason: b.Reason} }
func (b publishResultBody) command() engine.Command {
	return topic.PublishResult{Text: b.Text, Orders: b.Orders, AlsoTopics: b.AlsoTopics, Resources: b.Resources}
}
func (b concludeBody) command() engine.Command    { return topic.Conclude{Summary: b.Summary} }
func (b reopenTopicBody) command() engine.Command { return topic.Reopen{Reason: b.Reason} }
func (b holdDeliberationBody) command() engine.Command {
	c := topic.HoldDeliberation{Format: b.Format, Venue: b.Venue, Minutes: b.Minutes, Summary: b.Summary}
	for _, a := range b.Attendees {
		c.Attendees = append(c.Attendees, topic.Attendance(a))
	}
	return c
}
func (b supportTopicBody) command() engine.Command { return topic.Support{Household: b.Household} }

func (s *Server) topicRoutes() {
	offer[proposeBody](s, huma.Operation{OperationID: "propose-topic", Method: http.MethodPost, Path: base + "/topics", DefaultStatus: http.StatusCreated,
		Summary: "Propose a topic (拟题)", Tags: []string{"topics"}}, s.propose)
	command[openDeliberationBody](s, topics, "Announce the deliberation (启动议事)")
	command[mergeBody](s, topics, "Merge it into another topic (并题)")
	command[dropBody](s, topics, "Drop it (撤题)")
	command[openVoteBody](s, topics, "Open a vote of all households (开始表决)")
	command[closeVoteBody](s, topics, "Close the vote with its count (表决结束)")
	command[adoptBody](s, topics, "Adopt it with a plan (采纳); needs a second person")
	command[rejectBody](s, topics, "Reject it (不采纳); needs a second person")
	command[deferBody](s, topics, "Defer it (缓议); needs a second person")
	command[refuseAdmissionBody](s, topics, "Refuse admission of its plan (准入未通过)")
	command[handToGridBody](s, topics, "Hand it to the grid (交网格办)")
	command[addOrderBody](s, topics, "Add an order (增派)")
	command[returnTopicBody](s, topics, "Return it to deliberation (退回再议)")
	command[publishResultBody](s, topics, "Publish a result (实效公示)")
	command[concludeBody](s, topics, "Conclude it (办结公示)")
	command[reopenTopicBody](s, topics, "Deliberate it again (重议)")
	command[holdDeliberationBody](s, topics, "Record a deliberation that was held")
	command[supportTopicBody](s, topics, "Support it, as a household")
	one(s, topics, "Read a topic")
	get(s, "list-topics", "/topics", "List topics of the own jurisdiction", "topics", s.listTopics)
}

// TopicBrief is a topic in a list.
type TopicBrief struct {
	ID         stream.ID     `json:"id"`
	Number     string        `json:"number,omitempty"`
	Revision   int64         `json:"revision"`
	Phase      topic.Phase   `json:"phase"`
	Kind       topic.Kind    `json:"kind"`
	Source     string        `json:"source"`
	Title      sealed.Public `json:"title"`
	Matter     string        `json:"matter,omitempty"`
	Unit       orgs.UnitCode `json:"unit"`
	Street     orgs.UnitCode `json:"street,omitempty"`
	District   orgs.UnitCode `json:"district,omitempty"`
	Cycle      int           `json:"cycle,omitempty"`
	Orders     []stream.ID   `json:"orders,omitempty"`
	Supporters int           `json:"supporters,omitempty"`
	Results    int           `json:"results,omitempty"`
	Due        time.Time     `json:"due,omitzero"`
	MeetingAt  time.Time     `json:"meeting_at,omitzero"`
	ProposedAt time.Time     `json:"proposed_at"`
	EndedAt    time.Time     `json:"ended_at,omitzero"`
	Since      time.Time     `json:"since"`
}

func topicBrief(r projections.TopicRow) TopicBrief {
	return TopicBrief{ID: r.ID, Number: r.Number, Revision: r.Revision, Phase: r.Phase, Kind: r.Kind, Source: r.Source, Title: r.Title, Matter: r.Matter,
		Unit: r.Unit, Street: r.Street, District: r.District, Cycle: r.Cycle, Orders: r.Orders, Supporters: r.Supporters, Results: r.Results,
		Due: shown(r.Due), MeetingAt: shown(r.MeetingAt), ProposedAt: shown(r.ProposedAt), EndedAt: shown(r.EndedAt), Since: shown(r.Since)}
}

type listTopicsInput struct {
	ListQuery
	Phase    string `query:"phase" enum:"proposed,deliberating,voting,deferred,adopted,handling,concluded,rejected,merged,dropped"`
	Kind     string `query:"kind" enum:"ordinary,micro_project"`
	Category string `query:"category" pattern:"^([0-9]{2}){1,3}$"`
}

func (s *Server) listTopics(ctx context.Context, in *listTopicsInput) (*listed[TopicBrief], error) {
	page, place, due, raised, err := s.listing(ctx, &in.ListQuery)
	if err != nil {
		return nil, err
	}
	f := projections.TopicFilter{Place: place, Page: page, Kind: topic.Kind(in.Kind), Matter: in.Category, Due: due, Raised: raised}
	if in.Phase != "" {
		f.Phases = []topic.Phase{topic.Phase(in.Phase)}
	}
	v, who, position := s.Views.Views(), s.viewer(of(ctx).actor), s.position()
	if in.Number != "" {
		written, err := number.Parse(in.Number)
		if err != nil {
			return nil, invalid(fault("query.number", "malformed", "编号有误：有字符缺失或错误", "a character of the number is wrong or missing"))
		}
		r, err := v.TopicByNumber(ctx, written)
		if err = absent(err); err != nil {
			return nil, err
		}
		if f.IDs = some(r.ID); f.IDs == nil {
			return nothing[TopicBrief](ctx, in.After, position, in.Count)
		}
	}
	rows, next, err := v.Topics(ctx, who, f)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, briefs(rows, topicBrief), next, position, in.Count, func() (int, error) { return v.CountTopics(ctx, who, f) })
}
