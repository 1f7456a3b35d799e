package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/projections"
)

// Count is a figure, and where the cases behind it are.
type Count struct {
	Count int    `json:"count"`
	Cases string `json:"cases" doc:"The list of exactly these; its count is this figure while nothing happens in between."`
}

// Sum is a figure that is more than the number of what it opens to.
type Sum struct {
	Count int    `json:"count"`
	Of    string `json:"of" doc:"A member of the listed items: numbers are added up, different texts counted, those of a list one by one."`
	Cases string `json:"cases" doc:"The list of exactly these."`
}

// Times says how long something took, in whole minutes, truncated: by nearest rank, ⌈0.5 n⌉ and ⌈0.9 n⌉.
type Times struct {
	Count
	Median *int `json:"median_minutes,omitempty" doc:"Absent if nothing was timed."`
	P90    *int `json:"p90_minutes,omitempty"`
}

// Aged are open cases by the days since the date they began.
type Aged struct {
	From int `json:"from" doc:"Days."`
	To   int `json:"to,omitempty" doc:"Days, this one too; absent: any more."`
	Count
}

// WorkLine are the figures of orders or of demands, of some kinds.
type WorkLine struct {
	Of       string   `json:"of" enum:"orders,demands"`
	Kinds    []string `json:"kinds" nullable:"false" doc:"Errands stand by themselves. Orders of reports are counted for the city alone: others see some of them."`
	Open     Count    `json:"open"`
	Overdue  Count    `json:"overdue" doc:"As of as_of. Nothing suspended, sent back or reported is overdue."`
	Aged     []Aged   `json:"aged" nullable:"false" doc:"The open ones."`
	In       Count    `json:"in" doc:"Began in the period."`
	Out      Count    `json:"out" doc:"Came to their end in the period, and are at their end still."`
	Contact  *Times   `json:"first_contact,omitempty" doc:"Of orders: from the dispatch to the unit that leads now, for contacts in the period."`
	Handling Times    `json:"handling" doc:"Of what was found done in the period: an order from its dispatch to the report that passed, a demand from acceptance to the answer."`
	Total    Times    `json:"total" doc:"Of what was closed in the period, from its beginning: a demand from when it happened."`
	Flow     []Flow   `json:"flow,omitempty" doc:"Of the total, if a step was asked for."`
}

// Flow is what began and ended in a day, week or month of the period.
type Flow struct {
	From calendar.Date `json:"from"`
	To   calendar.Date `json:"to" doc:"The last day."`
	In   Count         `json:"in"`
	Out  Count         `json:"out"`
}

// WorkRow is one part of the unit, with its lines.
type WorkRow struct {
	District   orgs.UnitCode `json:"district,omitempty"`
	Street     orgs.UnitCode `json:"street,omitempty"`
	Community  orgs.UnitCode `json:"community,omitempty"`
	Grid       orgs.GridCode `json:"grid,omitempty" doc:"none: the grid is not known."`
	Lead       orgs.UnitCode `json:"lead,omitempty" doc:"By unit or worker: what the unit leads, wherever it lies."`
	Worker     string        `json:"worker,omitempty" doc:"Opaque id; absent by worker: given to nobody in particular."`
	Name       string        `json:"name,omitempty" doc:"Of the unit or grid, never of a person."`
	Grids      *Count        `json:"grids,omitempty" doc:"That are worked there."`
	Households *Sum          `json:"households,omitempty" doc:"Of these grids."`
	Per100     string        `json:"open_per_100_households,omitempty" doc:"Open demands and orders, two places; absent without households."`
	Lines      []WorkLine    `json:"lines" nullable:"false"`
}

// Workload is who has how much to do (工作量). It is built to balance: rows come in the order of places, never of figures, and count for
// posts and places, not for named people. Its figures are for those in charge and therefore exact, however small.
type Workload struct {
	Unit     orgs.UnitCode `json:"unit"`
	By       string        `json:"by"`
	AsOf     time.Time     `json:"as_of"`
	From     calendar.Date `json:"from"`
	To       calendar.Date `json:"to"`
	Total    WorkRow       `json:"total" doc:"By place of what lies in the unit; by unit or worker of the orders that are led from it, wherever they lie."`
	Rows     []WorkRow     `json:"rows" nullable:"false"`
	Next     string        `json:"next,omitempty" doc:"Cursor of the next page; absent on the last."`
	Position string        `json:"position" doc:"The state of the log that all figures are of, exactly."`
}

// PeriodQuery is a unit, and a period in days.
type PeriodQuery struct {
	Unit string `query:"unit" format:"unit" maxLength:"40" doc:"Of the own jurisdiction; if not given, the own unit."`
	From string `query:"from" doc:"First day, such as 2026-03-01; if not given, 30 days with the last."`
	To   string `query:"to" doc:"Last day; if not given, that of as_of, or today."`
}

type workloadInput struct {
	PeriodQuery
	By    string   `query:"by" enum:"district,street,community,grid,unit,worker" doc:"If not given, the parts of the unit."`
	AsOf  string   `query:"as_of" doc:"RFC 3339 with offset: overdue and age are as of this instant; if not given, now."`
	Kinds []string `query:"kind" enum:"errand,issue,consult,suggestion,report,dispute" doc:"Only these, in one line."`
	Step  string   `query:"step" enum:"day,week,month" doc:"What began and ended in each, for the total. Weeks begin on Monday."`
	Limit int      `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string   `query:"after" maxLength:"400" doc:"The cursor next of the page before."`
}

// maxPeriod is how many days a period may have.
const maxPeriod = 366

// charge finds the unit that figures are asked for: within the own jurisdiction, or it does not exist.
func (s *Server) charge(ctx context.Context, a action, code string) (orgs.Unit, error) {
	if err := s.may(ctx, a); err != nil {
		return orgs.Unit{}, err
	}
	units := s.Engine.Units()
	seat := rule.Seat(units, of(ctx).actor)
	unit := orgs.UnitCode(code)
	if code == "" {
		unit = seat
	}
	u, known := units.Unit(unit)
	if !known || !units.Within(unit, seat) {
		return orgs.Unit{}, problem("not_found")
	}
	return u, nil
}

// days reads a period. to is the day after the last.
func (q *PeriodQuery) days(today calendar.Date) (from, to calendar.Date, err error) {
	var faults []Fault
	read := func(name, text string, usual calendar.Date) calendar.Date {
		if text == "" {
			return usual
		}
		d, err := calendar.ParseDate(text)
		if err != nil {
			faults = append(faults, fault("query."+name, "not_a_date", "日期须为 2026-03-01 的格式", "must be a date such as 2026-03-01"))
		}
		return d
	}
	to = read("to", q.To, today) + 1
	from = read("from", q.From, to-30)
	switch {
	case len(faults) > 0:
	case from >= to:
		faults = append(faults, fault("query.from", "contradiction", "起始日不能晚于截止日", "lies after the last day"))
	case to-from > maxPeriod:
		faults = append(faults, fault("query.from", "too_long", "期间不能超过 366 天", "the period has more than 366 days"))
	}
	if len(faults) > 0 {
		return 0, 0, invalid(faults...)
	}
	return from, to, nil
}

// parts is what a unit is put together from, if nobody asks otherwise.
func parts(k orgs.Kind) projections.By {
	switch k {
	case orgs.City:
		return projections.ByDistrict
	case orgs.District:
		return projections.ByStreet
	case orgs.Street:
		return projections.ByCommunity
	case orgs.Community, orgs.Grid:
		return projections.ByGrid
	}
	return projections.ByUnit
}

// counted answers what the views say of a question about parts.
func counted(err error) error {
	if errors.Is(err, projections.ErrBy) {
		return invalid(fault("query.by", "not_allowed", "该单位没有这样的下级划分", "the unit has no such parts"))
	}
	return err
}

func (s *Server) workload(ctx context.Context, in *workloadInput) (*paged[Workload], error) {
	u, err := s.charge(ctx, readWork, in.Unit)
	if err != nil {
		return nil, err
	}
	last, err := lastRow(ctx, in.After)
	if err != nil {
		return nil, err
	}
	var read instants
	at := read.at("as_of", in.AsOf)
	if err := read.err(); err != nil {
		return nil, err
	}
	if at.IsZero() {
		at = s.Now()
	}
	at = at.Truncate(time.Second)
	who := s.viewer(of(ctx).actor)
	q := projections.LoadQuery{Unit: u.Code, By: projections.By(in.By), At: at, Kinds: in.Kinds, Limit: in.Limit, After: last,
		Confidential: who.Confidential, Reports: s.seesReports(who)}
	if q.From, q.To, err = in.days(calendar.DateOf(at)); err != nil {
		return nil, err
	}
	if q.By == "" {
		q.By = parts(u.Kind)
	}
	if q.By == projections.ByWorker {
		if err := s.may(ctx, readPosts); err != nil {
			return nil, err
		}
	}
	l, err := s.Views.Views().Load(ctx, q)
	if err != nil {
		return nil, counted(err)
	}
	w := writing{LoadQuery: q, units: s.Engine.Units(), step: in.Step, today: s.today()}
	w.begin()
	out := Workload{Unit: u.Code, By: string(q.By), AsOf: shown(at), From: q.From, To: q.To - 1, Rows: make([]WorkRow, len(l.Rows)), Next: cursorAt(ctx, l.Next), Position: l.Position.String()}
	for i := range l.Rows {
		out.Rows[i] = w.row(&l.Rows[i])
	}
	w.flows = in.Step != ""
	out.Total = w.total(&l.Total)
	return &paged[Workload]{linkTo(ctx, out.Next), out.Position, out}, nil
}

// writing puts rows into words, and finds the list for each figure. Links are put together from pieces: a page has thousands.
type writing struct {
	projections.LoadQuery
	units *orgs.Tree
	step  string
	today calendar.Date // by which grids are those of now
	flows bool          // the row in hand shows its days

	overdue, in, out, contacted, handled, closed string
	aged                                         [len(projections.Ages)]string
}

func (w *writing) desk() bool { return w.By == projections.ByUnit || w.By == projections.ByWorker }

// linked writes an instant for a link.
func linked(t time.Time) string { return url.QueryEscape(shown(t).Format(time.RFC3339)) }

// span writes the ends of a period for a link.
func span(name string, from, to calendar.Date) string {
	return "&" + name + "_from=" + linked(from.Start()) + "&" + name + "_to=" + linked(to.Start())
}

func (w *writing) begin() {
	w.overdue = "&overdue_at=" + linked(w.At)
	w.in, w.out = span("raised", w.From, w.To), span("closed", w.From, w.To)
	w.contacted, w.handled = span("contacted", w.From, w.To), span("handled", w.From, w.To)
	w.closed = "&phase=" + string(order.PhaseClosed) + w.out // a demand's phase has the same name
	today := calendar.DateOf(w.At)
	for i, from := range projections.Ages {
		link := "&open=true"
		if i > 0 {
			link += "&raised_to=" + linked((today - from + 1).Start())
		}
		if i+1 < len(projections.Ages) {
			link += "&raised_from=" + linked((today - projections.Ages[i+1] + 1).Start())
		}
		w.aged[i] = link
	}
}

// place writes a place for a link.
func place(p projections.Place) string {
	var b strings.Builder
	for _, x := range []struct{ name, value string }{{"district", string(p.District)}, {"street", string(p.Street)},
		{"community", string(p.Community)}, {"grid", string(p.Grid)}} {
		if x.value != "" {
			b.WriteString("&" + x.name + "=" + url.QueryEscape(x.value))
		}
	}
	return b.String()
}

// named finds the name of the smallest place of a row.
func named(units *orgs.Tree, p projections.Place) string {
	if g, known := units.Grid(p.Grid); known {
		return g.Name
	}
	for _, c := range []orgs.UnitCode{p.Community, p.Street, p.District} {
		if u, known := units.Unit(c); known && p.Grid == "" {
			return u.Name
		}
	}
	return ""
}

// total is the row of all rows, those of other pages too.
func (w *writing) total(r *projections.LoadRow) WorkRow {
	if w.desk() {
		return w.lines(r, WorkRow{}, "&led_in="+url.QueryEscape(string(w.Unit)))
	}
	return w.row(r)
}

// divided counts the grids of a place, and the households in them.
func divided(p projections.Place, whole orgs.UnitCode, on calendar.Date, grids, households int) (*Count, *Sum) {
	if grids == 0 {
		return nil, nil
	}
	link := gridsLink(cmp.Or(orgs.UnitCode(p.Grid), p.Community, p.Street, p.District, whole), on)
	return &Count{grids, link}, &Sum{households, "households", link}
}

func (w *writing) row(r *projections.LoadRow) WorkRow {
	out := WorkRow{District: r.District, Street: r.Street, Community: r.Community, Grid: r.Grid, Lead: r.Lead, Worker: r.Worker, Name: named(w.units, r.Place)}
	where := place(r.Place)
	if !w.desk() {
		out.Grids, out.Households = divided(r.Place, w.Unit, w.today, r.Grids, r.Households)
	} else {
		u, _ := w.units.Unit(r.Lead)
		out.Name, where = u.Name, "&lead="+url.QueryEscape(string(r.Lead))
		if w.By == projections.ByWorker && r.Worker == "" {
			where += "&unassigned=true"
		} else if w.By == projections.ByWorker {
			where += "&worker=" + url.QueryEscape(r.Worker)
		}
	}
	return w.lines(r, out, where)
}

// lines gives a row its figures; where is the part of their links that says whose they are.
func (w *writing) lines(r *projections.LoadRow, out WorkRow, where string) WorkRow {
	open := 0
	out.Lines = []WorkLine{}
	for _, x := range []struct {
		of    string
		lines []projections.Figures
		kinds []string
	}{{"orders", r.Orders[:], order.Kinds()}, {"demands", r.Demands[:], append(order.Kinds(), "dispute")}} {
		if x.of == "demands" && w.desk() {
			continue
		}
		for i := range x.lines {
			if x.of == "orders" && !w.Reports {
				x.kinds = slices.DeleteFunc(x.kinds, func(k string) bool { return k == string(demand.Report) })
			}
			kinds := slices.DeleteFunc(slices.Clone(x.kinds), func(k string) bool { return (k == "errand") != (i == projections.Errands) })
			if w.Kinds != nil {
				kinds = slices.DeleteFunc(slices.Clone(w.Kinds), func(k string) bool { return !slices.Contains(x.kinds, k) })
			}
			if w.Kinds != nil && i == projections.Errands || len(kinds) == 0 {
				continue
			}
			open += x.lines[i].Open
			out.Lines = append(out.Lines, w.line(x.of, kinds, &x.lines[i], where))
		}
	}
	if r.Households > 0 && !w.desk() {
		hundredths := (2*open*100*100 + r.Households) / (2 * r.Households) // half up
		out.Per100 = fmt.Sprintf("%d.%02d", hundredths/100, hundredths%100)
	}
	return out
}

func (w *writing) line(of string, kinds []string, f *projections.Figures, where string) WorkLine {
	link := base + "/" + of + "?kind=" + strings.Join(kinds, ",") + where
	times := func(t projections.Times, cases string) Times {
		out := Times{Count: Count{t.N, link + cases}}
		if t.N > 0 {
			out.Median, out.P90 = &t.Median, &t.P90
		}
		return out
	}
	l := WorkLine{Of: of, Kinds: kinds, Open: Count{f.Open, link + "&open=true"}, Overdue: Count{f.Overdue, link + w.overdue}, Aged: make([]Aged, len(f.Aged)),
		In: Count{f.In, link + w.in}, Out: Count{f.Out, link + w.out}, Handling: times(f.Handling, w.handled), Total: times(f.Total, w.closed)}
	for i, n := range f.Aged {
		l.Aged[i] = Aged{From: int(projections.Ages[i]), Count: Count{n, link + w.aged[i]}}
		if i+1 < len(projections.Ages) {
			l.Aged[i].To = int(projections.Ages[i+1]) - 1
		}
	}
	if of == "orders" {
		contact := times(f.Contact, w.contacted)
		l.Contact = &contact
	}
	if w.flows {
		l.Flow = w.flow(f.Days, link)
	}
	return l
}

// flow puts days together into steps. The first and the last may be cut by the period.
func (w *writing) flow(days []projections.Flow, link string) []Flow {
	var out []Flow
	for from := w.From; from < w.To; {
		to := min(w.To, stepEnd(from, w.step))
		f := Flow{From: from, To: to - 1, In: Count{0, link + span("raised", from, to)}, Out: Count{0, link + span("closed", from, to)}}
		for len(days) > 0 && days[0].Day < to {
			f.In.Count += days[0].In
			f.Out.Count += days[0].Out
			days = days[1:]
		}
		out = append(out, f)
		from = to
	}
	return out
}

// stepEnd returns the day after the day, week or month that a day is in.
func stepEnd(d calendar.Date, step string) calendar.Date {
	switch step {
	case "week":
		return d + 7 - calendar.Date((d.Weekday()+6)%7)
	case "month":
		t := d.Start().In(calendar.Zone())
		return calendar.DateOf(time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, calendar.Zone()))
	}
	return d + 1
}

func (s *Server) workloadRoutes() {
	get(s, "workload", "/views/workload", "Who has how much to do (工作量): open, overdue, ageing, flow and times, each figure with its list", "views", s.workload)
}
