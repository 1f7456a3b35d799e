package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/whistle"
	"gridcase/engine"
	"gridcase/projections"
)

// Whistle is a street's summons of units to one place (街道吹哨、部门报到).
type Whistle struct {
	ID          stream.ID     `json:"id"`
	Revision    int64         `json:"revision"`
	Phase       whistle.Phase `json:"phase"`
	Street      orgs.UnitCode `json:"street" doc:"That blew."`
	Class       whistle.Class `json:"class"`
	Place       orgs.UnitCode `json:"place"`
	Spot        sealed.Public `json:"spot,omitempty"`
	Task        sealed.Public `json:"task"`
	Demand      stream.ID     `json:"demand,omitzero"`
	Topic       stream.ID     `json:"topic,omitzero"`
	Order       stream.ID     `json:"order,omitzero"`
	Units       []Summoned    `json:"units" nullable:"false" doc:"In the order they were summoned."`
	Outcome     sealed.Public `json:"outcome,omitempty"`
	Reason      sealed.Public `json:"reason,omitempty" doc:"It was cancelled for."`
	BlownAt     time.Time     `json:"blown_at"`
	ConcludedAt time.Time     `json:"concluded_at,omitzero"`
	EndedAt     time.Time     `json:"ended_at,omitzero"`
	Since       time.Time     `json:"since"`
	Clocks      []Clock       `json:"clocks" nullable:"false"`
	Possible    []string      `json:"possible" nullable:"false"`
	Receipt     *Receipt      `json:"receipt,omitempty"`
}

// Summoned is one unit that a whistle calls, and how it stands.
type Summoned struct {
	Unit       orgs.UnitCode    `json:"unit"`
	Standing   whistle.Standing `json:"standing" enum:"awaited,on_time,late,absent,excused,spared,void" doc:"On time, late and absent count in the rate of reporting in (报到率); the others are left out."`
	Due        time.Time        `json:"due" doc:"On this second it is still on time."`
	ReportedAt time.Time        `json:"reported_at,omitzero"`
	Late       bool             `json:"late,omitempty"`
	Absent     bool             `json:"absent,omitempty" doc:"Its time was over before it came; a later arrival leaves that standing."`
	Excused    bool             `json:"excused,omitempty"`
	ReleasedAt time.Time        `json:"released_at,omitzero"`
	Left       bool             `json:"left,omitempty" doc:"Before it was let go."`
	Card       *Card            `json:"card,omitempty" doc:"Once the whistle is scored."`
}

// Card is what one whistle says of one unit (一哨一考核).
type Card struct {
	Score   int           `json:"score" doc:"Hundredths of a point: 6900 is 69.00 of 100."`
	Outcome int           `json:"outcome" doc:"Points of the street, 0 to 30."`
	Unrated bool          `json:"unrated,omitempty" doc:"The street gave no points: the outcome is left out, and the rest is scaled to 100."`
	Comment sealed.Public `json:"comment,omitempty"`
}

var whistles = resource[Whistle]{stream.Whistle, renderWhistle}

func renderWhistle(_ context.Context, _ *Server, _ stream.Name, state any, revision int64, receipt *Receipt) (Whistle, error) {
	st := state.(whistle.State)
	w := Whistle{ID: st.ID, Revision: revision, Phase: st.Phase, Street: st.Street, Class: st.Class, Place: st.Place, Spot: st.Spot, Task: st.Task,
		Demand: st.Demand, Topic: st.Topic, Order: st.Order, Units: []Summoned{}, Outcome: st.Outcome, Reason: st.Reason, BlownAt: shown(st.BlownAt),
		ConcludedAt: shown(st.ConcludedAt), EndedAt: shown(st.EndedAt), Since: shown(st.Since), Clocks: clocksOf(st.Running),
		Possible: list(whistle.Machine.Possible(st.Phase)), Receipt: receipt}
	for _, u := range st.Units {
		s := Summoned{Unit: u.Code, Standing: u.Standing(), Due: shown(u.Due.Due), ReportedAt: shown(u.ReportedAt), Late: u.Late, Absent: u.Absent,
			Excused: u.Excused, ReleasedAt: shown(u.ReleasedAt), Left: u.Left}
		if k := u.Card; k != nil {
			s.Card = &Card{Score: k.Score, Outcome: k.Outcome, Unrated: k.Unrated, Comment: k.Comment}
		}
		w.Units = append(w.Units, s)
	}
	return w, nil
}

type blowBody struct {
	Happened
	Units  []orgs.UnitCode `json:"units" format:"unit" minItems:"1" maxItems:"20" doc:"What sits in the street, its district's departments and joint teams, and utilities."`
	Class  whistle.Class   `json:"class" enum:"urgent,normal"`
	Place  orgs.UnitCode   `json:"place,omitempty" format:"unit" doc:"The street, or a community or grid of it; the street if not given."`
	Spot   sealed.Public   `json:"spot,omitempty" maxLength:"100" doc:"Where exactly; never a resident's address."`
	Task   sealed.Public   `json:"task" minLength:"1" maxLength:"500"`
	Demand stream.ID       `json:"demand,omitzero"`
	Topic  stream.ID       `json:"topic,omitzero"`
	Order  stream.ID       `json:"order,omitzero"`
}

// blow summons units.
func (s *Server) blow(ctx context.Context, in *postInput[blowBody]) (*answer[Whistle], error) {
	if err := s.may(ctx, "whistle/blow"); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	b := in.body
	n := stream.Of(stream.Whistle, stream.For(stream.Whistle, of(ctx).actor.ID, key))
	receipt, err := s.begins(ctx, n, key, b.OccurredAt, whistle.Blow{Units: b.Units, Class: b.Class, Place: b.Place, Spot: b.Spot, Task: b.Task,
		Demand: b.Demand, Topic: b.Topic, Order: b.Order})
	if err != nil {
		return nil, err
	}
	body, err := renderWhistle(ctx, s, n, receipt.State, receipt.Revision, receiptOf(receipt))
	return answered(http.StatusCreated, base+"/whistles/"+n.ID().String(), receipt, body), err
}

// The bodies of the commands. Their members mean what the event of the same command says.
type (
	reportInBody struct {
		Happened
		Unit orgs.UnitCode `json:"unit" format:"unit"`
	}
	excuseUnitBody struct {
		Happened
		Unit   orgs.UnitCode `json:"unit" format:"unit"`
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	releaseUnitBody struct {
		Happened
		Unit   orgs.UnitCode `json:"unit" format:"unit"`
		Left   bool          `json:"left,omitempty" doc:"It had gone before it was let go; needs a reason."`
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	concludeWhistleBody struct {
		Happened
		Outcome sealed.Public `json:"outcome" minLength:"1" maxLength:"500"`
	}
	cancelWhistleBody struct {
		Happened
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
	scoreBody struct {
		Happened
		Marks []markBody `json:"marks" maxItems:"20" doc:"One for each unit that was on time, late or absent."`
	}
	markBody struct {
		Unit    orgs.UnitCode `json:"unit" format:"unit"`
		Outcome int           `json:"outcome" minimum:"0" maximum:"30"`
		Comment sealed.Public `json:"comment" minLength:"1" maxLength:"500"`
	}
	rescoreBody struct {
		Happened
		Unit     orgs.UnitCode    `json:"unit" format:"unit"`
		ReportIn whistle.Standing `json:"report_in,omitempty" enum:"on_time,late,absent" doc:"What is not given stays as it was."`
		Stayed   *bool            `json:"stayed,omitempty"`
		Outcome  *int             `json:"outcome,omitempty" minimum:"0" maximum:"30"`
		Comment  sealed.Public    `json:"comment,omitempty" maxLength:"500"`
		Reason   sealed.Public    `json:"reason" minLength:"1" maxLength:"500"`
	}
)

func (b reportInBody) command() engine.Command { return whistle.ReportIn{Unit: b.Unit} }
func (b excuseUnitBody) command() engine.Command {
	return whistle.ExcuseUnit{Unit: b.Unit, Reason: b.Reason}
}
func (b releaseUnitBody) command() engine.Command {
	return whistle.ReleaseUnit{Unit: b.Unit, Left: b.Left, Reason: b.Reason}
}
func (b concludeWhistleBody) command() engine.Command { return whistle.Conclude{Outcome: b.Outcome} }
func (b cancelWhistleBody) command() engine.Command   { return whistle.Cancel{Reason: b.Reason} }
func (b scoreBody) command() engine.Command {
	var c whistle.Score
	for _, m := range b.Marks {
		c.Marks = append(c.Marks, whistle.Mark(m))
	}
	return c
}
func (b rescoreBody) command() engine.Command {
	return whistle.Rescore{Unit: b.Unit, ReportIn: b.ReportIn, Stayed: b.Stayed, Outcome: b.Outcome, Comment: b.Comment, Reason: b.Reason}
}

func (s *Server) whistleRoutes() {
	offer[blowBody](s, huma.Operation{OperationID: "blow-whistle", Method: http.MethodPost, Path: base + "/whistles", DefaultStatus: http.StatusCreated,
		Summary: "Summon units to one place (吹哨)", Tags: []string{"whistles"}}, s.blow)
	command[reportInBody](s, whistles, "Record that a unit is there (报到): the street does, or the unit with the street as second person")
	command[excuseUnitBody](s, whistles, "Take a unit out, as the district's arbiter (免到)")
	command[releaseUnitBody](s, whistles, "Let a unit go (撤离)")
	command[concludeWhistleBody](s, whistles, "Say that the matter is done (了结); every unit that came was let go before")
	command[cancelWhistleBody](s, whistles, "Take the whistle back (撤哨); nobody has come")
	command[scoreBody](s, whistles, "Give the cards (一哨一考核)")
	command[rescoreBody](s, whistles, "Change a card after an upheld objection (改判)")
	one(s, whistles, "Read a whistle")
	get(s, "list-whistles", "/whistles", "List whistles of the own jurisdiction, and those that summon the own unit", "whistles", s.listWhistles)
	get(s, "view-whistles", "/views/whistles", "The rate of reporting in (报到率), and the summoned units behind it", "views", s.viewWhistles)
}

// WhistleBrief is a whistle in a list.
type WhistleBrief struct {
	ID       stream.ID     `json:"id"`
	Revision int64         `json:"revision"`
	Phase    whistle.Phase `json:"phase"`
	Street   orgs.UnitCode `json:"street"`
	District orgs.UnitCode `json:"district,omitempty"`
	Class    whistle.Class `json:"class"`
	Place    orgs.UnitCode `json:"place"`
	Spot     sealed.Public `json:"spot,omitempty"`
	Task     sealed.Public `json:"task"`
	Outcome  sealed.Public `json:"outcome,omitempty"`
	Demand   stream.ID     `json:"demand,omitzero"`
	Topic    stream.ID     `json:"topic,omitzero"`
	Order    stream.ID     `json:"order,omitzero"`
	Units    int           `json:"units" doc:"Summoned."`
	Came     int           `json:"came"`
	Present  int           `json:"present" doc:"There now."`
	Due      time.Time     `json:"due,omitzero" doc:"The earliest clock that runs."`
	BlownAt  time.Time     `json:"blown_at"`
	EndedAt  time.Time     `json:"ended_at,omitzero"`
	Since    time.Time     `json:"since"`
}

func whistleBrief(r projections.WhistleRow) WhistleBrief {
	return WhistleBrief{ID: r.ID, Revision: r.Revision, Phase: r.Phase, Street: r.Street, District: r.District, Class: r.Class, Place: r.Place, Spot: r.Spot,
		Task: r.Task, Outcome: r.Outcome, Demand: r.Demand, Topic: r.Topic, Order: r.Order, Units: r.Units, Came: r.Came, Present: r.Present,
		Due: shown(r.Due), BlownAt: shown(r.BlownAt), EndedAt: shown(r.EndedAt), Since: shown(r.Since)}
}

// WhistleQuery is what the lists of whistles and of summoned units share.
type WhistleQuery struct {
	Street string `query:"street" format:"unit" maxLength:"40" doc:"That blew."`
	Unit   string `query:"unit" format:"unit" maxLength:"40" doc:"That is summoned."`
	From   string `query:"from" doc:"RFC 3339 with offset."`
	To     string `query:"to" doc:"Before this instant."`
	Sort   string `query:"sort" enum:"due,raised" doc:"due: the earliest first; raised: the newest whistle first."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After  string `query:"after" maxLength:"200" doc:"The cursor next of the page before."`
}

// asked reads what they share, and waits for the position that the caller names.
func (s *Server) asked(ctx context.Context, q *WhistleQuery) (page projections.Page, span projections.Span, err error) {
	if err = s.may(ctx, readCase); err != nil {
		return
	}
	var read instants
	span = read.span("from", q.From, "to", q.To)
	if err = read.err(); err != nil {
		return
	}
	page = projections.Page{Limit: q.Limit, After: q.After}
	if q.Sort == "raised" {
		page.Sort = projections.ByRaised
	}
	return
}

type listWhistlesInput struct {
	WhistleQuery
	Phase string `query:"phase" enum:"open,on_site,concluded,scored,cancelled"`
	Open  bool   `query:"open" doc:"Only those that have not ended."`
	Count bool   `query:"count" doc:"Count all of them, too."`
}

// listWhistles narrows by when the whistle was blown.
func (s *Server) listWhistles(ctx context.Context, in *listWhistlesInput) (*listed[WhistleBrief], error) {
	page, blown, err := s.asked(ctx, &in.WhistleQuery)
	if err != nil {
		return nil, err
	}
	f := projections.WhistleFilter{Page: page, Street: orgs.UnitCode(in.Street), Unit: orgs.UnitCode(in.Unit), Blown: blown}
	for _, p := range whistle.Machine.States {
		if (in.Phase == "" || string(p) == in.Phase) && !(in.Open && p.Terminal()) {
			f.Phases = append(f.Phases, p)
		}
	}
	v, who, position := s.Views.Views(), s.viewer(of(ctx).actor), s.position()
	if len(f.Phases) == 0 { // a phase that has ended, of those that have not
		return nothing[WhistleBrief](ctx, in.After, position, in.Count)
	}
	rows, next, err := v.Whistles(ctx, who, f)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, briefs(rows, whistleBrief), next, position, in.Count, func() (int, error) { return v.CountWhistles(ctx, who, f) })
}

// SummonsRow is one unit that one whistle summoned.
type SummonsRow struct {
	Whistle stream.ID `json:"whistle"`
	Summoned
	Class   whistle.Class `json:"class"`
	Street  orgs.UnitCode `json:"street" doc:"That blew."`
	BlownAt time.Time     `json:"blown_at"`
}

func summonsRow(r projections.SummonsRow) SummonsRow {
	out := SummonsRow{Whistle: r.Whistle, Class: r.Class, Street: r.Street, BlownAt: shown(r.BlownAt), Summoned: Summoned{Unit: r.Unit, Standing: r.Standing,
		Due: shown(r.Due), ReportedAt: shown(r.ReportedAt), Late: r.Late, Absent: r.Absent, Excused: r.Excused, ReleasedAt: shown(r.ReleasedAt), Left: r.Left}}
	if r.Carded {
		out.Card = &Card{Score: r.Score, Outcome: r.Outcome, Unrated: r.Unrated, Comment: r.Comment}
	}
	return out
}

// Turnout is the rate of reporting in and the rows that it opens to.
type Turnout struct {
	Rate      Share        `json:"rate" doc:"报到率: on time of all that count."`
	Standings Standings    `json:"standings" doc:"How many units stand how, over all pages, whatever standing is asked for."`
	Items     []SummonsRow `json:"items" nullable:"false"`
	Count     int          `json:"count" doc:"Of the items, over all pages."`
	Next      string       `json:"next,omitempty" doc:"Cursor of the next page; absent on the last."`
	Position  string       `json:"position" doc:"How far it reflects the log, at least."`
}

// Standings counts summoned units by how they stand.
type Standings struct {
	Awaited Count `json:"awaited"`
	OnTime  Count `json:"on_time"`
	Late    Count `json:"late"`
	Absent  Count `json:"absent"`
	Excused Count `json:"excused"`
	Spared  Count `json:"spared"`
	Void    Count `json:"void"`
}

type viewWhistlesInput struct {
	WhistleQuery
	Standings []string `query:"standing" enum:"awaited,on_time,late,absent,excused,spared,void" doc:"Only items that stand so, or in one of several ways separated by commas; the figures stay those of all."`
}

// viewWhistles narrows by when the units were due.
func (s *Server) viewWhistles(ctx context.Context, in *viewWhistlesInput) (*paged[Turnout], error) {
	page, due, err := s.asked(ctx, &in.WhistleQuery)
	if err != nil {
		return nil, err
	}
	f := projections.SummonsFilter{Page: page, Street: orgs.UnitCode(in.Street), Unit: orgs.UnitCode(in.Unit), Due: due}
	v, who, position := s.Views.Views(), s.viewer(of(ctx).actor), s.position()
	t, err := v.Turnout(ctx, who, f)
	if err != nil {
		return nil, err
	}
	for _, st := range in.Standings {
		f.Standings = append(f.Standings, whistle.Standing(st))
	}
	rows, next, err := v.Summons(ctx, who, f)
	if err != nil {
		return nil, err
	}
	link := in.link()
	stand := func(ss ...whistle.Standing) Count {
		c, words := Count{}, make([]string, len(ss))
		for i, x := range ss {
			c.Count, words[i] = c.Count+t[x], string(x)
		}
		c.Cases = link + "standing=" + strings.Join(words, ",")
		return c
	}
	var counts []whistle.Standing
	all := 0
	for _, x := range whistle.Standings() {
		if x.Counts() {
			counts = append(counts, x)
		}
		if f.Standings == nil || slices.Contains(f.Standings, x) {
			all += t[x]
		}
	}
	rate := Share{Numerator: stand(whistle.OnTime), Denominator: stand(counts...)}
	if rate.Denominator.Count > 0 {
		rate.Percent = percent(rate.Numerator.Count, rate.Denominator.Count)
	}
	return &paged[Turnout]{Link: linkTo(ctx, next), Position: position, Body: Turnout{Rate: rate, Items: briefs(rows, summonsRow), Count: all, Next: next, Position: position,
		Standings: Standings{stand(whistle.Awaited), stand(whistle.OnTime), stand(whistle.Late), stand(whistle.Absent), stand(whistle.Excused),
			stand(whistle.Spared), stand(whistle.Void)}}}, nil
}

// link is the view with the same filters, ready for a standing.
func (q *WhistleQuery) link() string {
	link := base + "/views/whistles?"
	for _, x := range [][2]string{{"street", q.Street}, {"unit", q.Unit}, {"from", q.From}, {"to", q.To}} {
		if x[1] != "" {
			link += x[0] + "=" + url.QueryEscape(strings.ReplaceAll(x[1], " ", "+")) + "&" // an instant's plus that was not escaped
		}
	}
	return link
}
