package projections

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// By is what figures are put together by.
type By string

// By place: what lies there. By desk: the orders that a unit leads, or that were given to a person in it.
const (
	ByDistrict  By = "district"
	ByStreet    By = "street"
	ByCommunity By = "community"
	ByGrid      By = "grid"
	ByUnit      By = "unit"
	ByWorker    By = "worker"
)

// desk reports whether orders count where they are worked on, and not where they lie.
func (b By) desk() bool { return b == ByUnit || b == ByWorker }

// LoadQuery asks for figures of a unit, one row for each part of it. It is for who may see all that lies in the unit, and all
// that is led from it: then each figure is the count of a list.
type LoadQuery struct {
	Unit         orgs.UnitCode
	By           By
	At           time.Time     // overdue and age are as of this instant
	From, To     calendar.Date // what began, ended and was done from From on, before To
	Kinds        []string      // only these; nil: all, with errands in a line of their own
	Confidential bool          // reports count among the demands
	Reports      bool          // … and among the orders: for who sees the orders of all reports
	Limit        int           // rows, 1 to 200
	After        string        // the row before the first: [LoadRow.Key]
}

// The lines of a row.
const (
	Cases   = iota // all that was asked for but errands
	Errands        // 帮办代办, which stay out of what is put together (errands)
	lines
)

// Load is what [Views.Load] answers.
type Load struct {
	Position eventlog.Position // exactly: all figures are of one state of the views
	Rows     []LoadRow         // in the order of their places, never by their figures
	Next     string            // After for the next rows; "" = that is all
	Total    LoadRow           // of the unit as a whole, with its days
}

// LoadRow is one part of the unit.
type LoadRow struct {
	Key        string
	Place      // as a filter of the lists takes it; by place only
	Lead       orgs.UnitCode
	Worker     string // "" = nobody in particular, or by unit
	Grids      int    // that are worked; by place only
	Households int    // of these grids
	Orders     [lines]Figures
	Demands    [lines]Figures // by place only
}

// Ages are the days from which on an open case is in each of the age groups: 0–3, 4–7, 8–15, 16–30, more than 30 days.
var Ages = [...]calendar.Date{0, 4, 8, 16, 31}

// Figures count cases. Each is the number of rows of a list: see [Standing].
type Figures struct {
	Open     int
	Overdue  int
	Aged     [len(Ages)]int // open, by the days between the date it began and that of At
	In       int            // began in the period
	Out      int            // ended in the period, and not gone on with since
	Contact  Times          // of orders
	Handling Times
	Total    Times
	Days     []Flow // of the total only: the days of the period on which anything began or ended

	minutes [3]minutes // of contact, handling and total
	days    []Flow     // of the total only: all days of the period
}

// Flow is what began and ended on a day.
type Flow struct {
	Day     calendar.Date
	In, Out int
}

// Times are whole minutes, truncated, by nearest rank: ⌈0.5 n⌉ and ⌈0.9 n⌉. They say nothing if N is 0.
type Times struct{ N, Median, P90 int }

// minutes are how long things took, in pieces: those of a row are also pieces of the total.
type minutes [][]int32

func (ms minutes) times() Times {
	n := 0
	for _, piece := range ms {
		n += len(piece)
	}
	if n == 0 {
		return Times{}
	}
	at := ms.ranked((n+1)/2-1, (9*n+9)/10-1)
	return Times{N: n, Median: int(at[0]), P90: int(at[1])}
}

// ranked returns what would be at two places if all of ms were sorted. It counts how many lie in each thousandth
// of their range, and goes on with those of the parts that the places are in: a few passes, where sorting a year of a district would take
// longer than reading it.
func (ms minutes) ranked(at ...int) []int32 {
	least, most := int32(math.MaxInt32), int32(math.MinInt32)
	for _, piece := range ms {
		for _, m := range piece {
			least, most = min(least, m), max(most, m)
		}
	}
	const parts = 10 // bits
	shift := max(0, bits.Len32(uint32(most-least))-parts)
	var counts [1 << parts]int
	for _, piece := range ms {
		for _, m := range piece {
			counts[(m-least)>>shift&(1<<parts-1)]++
		}
	}
	out := make([]int32, len(at))
	for i, place := range at {
		part := 0
		for place >= counts[part] {
			place -= counts[part]
			part++
		}
		if shift == 0 {
			out[i] = least + int32(part)
			continue
		}
		in := make([]int32, 0, counts[part])
		for _, piece := range ms {
			for _, m := range piece {
				if (m-least)>>shift == int32(part) {
					in = append(in, m)
				}
			}
		}
		if len(in) < 100 {
			slices.Sort(in)
			out[i] = in[place]
		} else {
			out[i] = minutes{in}.ranked(place)[0]
		}
	}
	return out
}

// ErrBy: the unit has no such parts, or does not exist.
var ErrBy = errors.New("the unit has no such parts")

// Load adds up the figures of a unit. It costs the rows of the books that the page and the total are put together from, of the leaves of the
// period, and a pass over the keys of the overdue cases; what ended before the period costs nothing, and neither do the grids
// and desks of other pages. It returns [ErrBy] and [ErrLimit].
func (v *Views) Load(ctx context.Context, q LoadQuery) (l Load, err error) {
	if q.Limit < 1 || q.Limit > 200 {
		return l, ErrLimit
	}
	c := counting{LoadQuery: q, units: v.runner.Units(), rows: map[string]*LoadRow{}}
	if err := c.begin(); err != nil {
		return l, err
	}
	c.narrow()
	l.Position, err = v.snapshot(ctx, func(s snapshot) error {
		if err := c.households(ctx, s); err != nil {
			return err
		}
		for _, b := range c.books() {
			if err := c.read(ctx, s, b); err != nil {
				return err
			}
		}
		l.Rows, l.Next = c.page()
		return c.late(ctx, s, l.Rows, q.After == "" && l.Next == "")
	})
	if err != nil {
		return Load{}, fmt.Errorf("workload of %s: %w", q.Unit, err)
	}
	for i := range l.Rows {
		l.Rows[i].finish(q.From)
	}
	c.total.finish(q.From)
	l.Total = c.total
	return l, nil
}

// counting is one question under way.
type counting struct {
	LoadQuery
	units *orgs.Tree
	base  Place  // the unit, as the lists ask for it
	path  string // of the unit; scopes of the books begin with it
	rows  map[string]*LoadRow
	until string // the key of a row that comes after the page; "" = none is known
	total LoadRow
	parts []part
}

// part is a part of the unit, or a grid of one: many more than a page has rows, so they are kept small.
type part struct {
	key, path string // of the row that it belongs to
	grid      orgs.GridCode
}

func (c *counting) begin() error {
	u, known := c.units.Unit(c.Unit)
	if !known {
		return ErrBy
	}
	c.path = c.units.Path(c.Unit)
	switch u.Kind {
	case orgs.City:
	case orgs.District:
		c.base.District = c.Unit
	case orgs.Street:
		c.base.Street = c.Unit
	case orgs.Grid:
		c.base.Community, c.base.Grid = u.Parent, orgs.GridCode(c.Unit)
	default:
		c.base.Community = c.Unit
		if in, found := c.units.Ancestor(c.Unit, orgs.Community); found && in != c.Unit && !c.By.desk() {
			return ErrBy // what lies within a community lies in it, or in one of its grids
		}
	}
	c.total = LoadRow{Place: c.base}
	above := []By{ByDistrict, ByStreet, ByCommunity, ByGrid}
	finest := map[orgs.Kind]int{orgs.City: 0, orgs.District: 1, orgs.Street: 2, orgs.Grid: 3}
	least, governs := finest[u.Kind]
	if !governs {
		least = 2
	}
	if !c.By.desk() && slices.Index(above, c.By) < least {
		return ErrBy
	}
	if !c.By.desk() {
		c.divide(c.Unit)
	}
	return nil
}

// divide finds each part of the unit that is open, whether anything lies there or not.
func (c *counting) divide(code orgs.UnitCode) {
	u, _ := c.units.Unit(code)
	var grids []orgs.GridInfo
	switch u.Kind {
	case orgs.Community:
		grids = c.units.Grids(code)
	case orgs.Grid:
		if g, known := c.units.Grid(orgs.GridCode(code)); known {
			grids = []orgs.GridInfo{g}
		}
	}
	here := c.units.Path(code)
	if By(u.Kind) == c.By && u.Kind != orgs.Grid && !u.Closed {
		c.parts = append(c.parts, part{key: c.key(here), path: here})
	}
	for _, g := range grids {
		if g.Retired {
			continue
		}
		at := areaPath(c.units, g.Community)
		if c.By == ByGrid {
			at += string(g.Code) + "/"
		}
		c.parts = append(c.parts, part{c.key(at), at, g.Code})
	}
	for _, child := range c.units.Children(code) {
		c.divide(child)
	}
}

// households adds up who lives in the grids: by the last survey where there was one, else as counted when they were drawn.
func (c *counting) households(ctx context.Context, s snapshot) error {
	if len(c.parts) == 0 {
		return nil
	}
	served := map[orgs.GridCode]int{}
	district, _ := c.units.Ancestor(c.Unit, orgs.District)
	// A grid's code begins with its district's; no digit comes after ':'. They come in one row: handing over a thousand would be a third of a page's time.
	err := s.query(ctx, "SELECT coalesce(group_concat(code || ' ' || served), '') FROM grids WHERE code >= ? AND code < ?", []any{string(district), string(district) + ":"}, func(rs *sql.Rows) error {
		var all string
		if err := rs.Scan(&all); err != nil || all == "" {
			return err
		}
		for one := range strings.SplitSeq(all, ",") {
			code, n, _ := strings.Cut(one, " ")
			var err error
			if served[orgs.GridCode(code)], err = strconv.Atoi(n); err != nil {
				return err
			}
		}
		return nil
	})
	for _, p := range c.parts {
		if p.grid == "" {
			continue
		}
		for _, r := range []*LoadRow{c.rows[p.key], &c.total} {
			if r != nil {
				r.Grids++
				r.Households += served[p.grid]
			}
		}
	}
	return err
}

// narrow finds where the page ends at the latest, if it has as many of the rows that are there whatever lies in them, and makes these rows.
func (c *counting) narrow() {
	var keys []string
	for _, p := range c.parts {
		if p.key > c.After {
			keys = append(keys, p.key)
		}
	}
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) > c.Limit {
		c.until = keys[c.Limit]
	}
	for _, p := range c.parts {
		if c.shown(p.key) || p.key == c.until {
			c.row(p.path)
		}
	}
}

// shown reports whether a row may be on the page.
func (c *counting) shown(key string) bool { return key > c.After && (c.until == "" || key < c.until) }

// key names the row that a scope belongs to.
func (c *counting) key(path string) string {
	switch c.By {
	case ByDistrict, ByStreet:
		kind := orgs.District
		if c.By == ByStreet {
			kind = orgs.Street
		}
		if u, in := c.units.Ancestor(seatCode(path), kind); in {
			return c.units.Path(u)
		}
		return c.path + Nowhere
	case ByUnit:
		path, _, _ = strings.Cut(path, " ")
	}
	return path
}

// row returns the row that a scope belongs to.
func (c *counting) row(path string) *LoadRow {
	key := c.key(path)
	r, here := c.rows[key]
	if here {
		return r
	}
	r = &LoadRow{Key: key, Place: c.base}
	c.rows[key] = r
	last := seatCode(key)
	switch c.By {
	case ByDistrict:
		r.District = last
	case ByStreet:
		r.Street = last
	case ByCommunity:
		r.Community = last
	case ByGrid:
		area := path[:strings.LastIndexByte(strings.TrimSuffix(path, "/"), '/')+1]
		r.Community, r.Grid = seatCode(area), orgs.GridCode(last)
		if last == "" {
			r.Grid = Nowhere
		}
	case ByUnit, ByWorker:
		lead, worker, _ := strings.Cut(key, " ")
		r.Place, r.Lead, r.Worker = Place{}, seatCode(lead), worker
	}
	return r
}

// book is a book as it is read for a question.
type book struct {
	name        string
	rows, total bool // what it is read for
}

// books are those that the figures are put together from: the coarsest that tells the rows apart. Grids are many: their total is that of the
// streets, or within a street's unit of the places, that they lie in.
func (c *counting) books() []book {
	orders, demands := orderPlaces, demandPlaces
	if c.base.Community == "" { // a city, a district or a street
		orders, demands = orderStreets, demandStreets
	}
	switch {
	case c.By.desk():
		return []book{{orderDesks, true, false}, {orderDesks, false, true}}
	case c.base.Grid != "":
		return []book{{orderGrids, true, true}, {demandGrids, true, true}}
	case c.By == ByGrid:
		return []book{{orderGrids, true, false}, {demandGrids, true, false}, {orders, false, true}, {demands, false, true}}
	case c.By == ByCommunity:
		return []book{{orderPlaces, true, true}, {demandPlaces, true, true}}
	}
	return []book{{orders, true, true}, {demands, true, true}}
}

// errPage: what comes after the page has begun.
var errPage = errors.New("the page is full")

// read adds up what a book says of the unit.
func (c *counting) read(ctx context.Context, s snapshot, b book) error {
	path := c.path
	if c.base.Grid != "" && !c.By.desk() {
		path = areaPath(c.units, c.base.Community) + string(c.base.Grid) + "/"
	}
	to := strings.TrimSuffix(path, "/") + "0"
	demands := b.name == demandStreets || b.name == demandPlaces || b.name == demandGrids
	// A book for the rows alone is read only as far as the page goes: its scopes come in the order of the keys.
	met, last := 0, ""
	begin := func() (from, until string) {
		met, last = 0, c.After
		if b.total {
			return path, to
		}
		if from, until = max(path, c.After), to; c.until != "" {
			until = min(to, c.until)
		}
		return from, until
	}
	figures := func(scope, kind string) (row, total *Figures, err error) {
		line := Cases
		switch {
		case kind == string(demand.Report) && (demands && !c.Confidential || !demands && !c.Reports),
			c.Kinds != nil && !slices.Contains(c.Kinds, kind):
			return nil, nil, nil
		case c.Kinds == nil && kind == string(demand.Errand):
			line = Errands
		}
		if key := c.key(scope); b.rows && c.shown(key) {
			r := c.row(scope)
			if row = &r.Orders[line]; demands {
				row = &r.Demands[line]
			}
			if !b.total && key != last {
				if met, last = met+1, key; met > c.Limit {
					c.until = key
					return nil, nil, errPage
				}
			}
		}
		if b.total {
			if total = &c.total.Orders[line]; demands {
				total = &c.total.Demands[line]
			}
		}
		return row, total, nil
	}
	query := func(text string, args []any, each func(*sql.Rows) error) error {
		err := s.query(ctx, text, args, each)
		if err == errPage {
			return nil
		}
		return err
	}
	today := calendar.DateOf(c.At)
	var scope, kind string
	var days, due, began, ended, contact, handling, total sql.RawBytes
	from, until := begin()
	err := query("SELECT scope, kind, days, due FROM workload_open WHERE book = ? AND scope >= ? AND scope < ? ORDER BY scope", []any{b.name, from, until}, func(rs *sql.Rows) error {
		if err := rs.Scan(&scope, &kind, &days, &due); err != nil {
			return err
		}
		row, all, err := figures(scope, kind)
		if err != nil || row == nil && all == nil {
			return err
		}
		aged := [len(Ages)]int{}
		n := noted(days).sum(0, math.MinInt32, math.MaxInt32, func(d calendar.Date, n int) { aged[ageOf(today-d)] += n })
		late := noted(due).sum(0, math.MinInt32, today, nil)
		for _, f := range []*Figures{row, all} {
			if f != nil {
				f.Open, f.Overdue = f.Open+n, f.Overdue+late
				for i := range aged {
					f.Aged[i] += aged[i]
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for leaf := leafOf(c.From); leaf <= leafOf(c.To-1); leaf++ {
		from, until := begin()
		start := leafStart(leaf)
		err := query("SELECT scope, kind, began, ended, contact, handling, total FROM workload_leaves WHERE book = ? AND leaf = ? AND scope >= ? AND scope < ? ORDER BY scope",
			[]any{b.name, leaf, from, until}, func(rs *sql.Rows) error {
				if err := rs.Scan(&scope, &kind, &began, &ended, &contact, &handling, &total); err != nil {
					return err
				}
				row, all, err := figures(scope, kind)
				if err != nil || row == nil && all == nil {
					return err
				}
				var cameIn, wentOut func(calendar.Date, int)
				if all != nil {
					if all.days == nil {
						all.days = make([]Flow, c.To-c.From)
					}
					cameIn = func(d calendar.Date, n int) { all.days[d-c.From].In += n }
					wentOut = func(d calendar.Date, n int) { all.days[d-c.From].Out += n }
				}
				in, out := noted(began).sum(start, c.From, c.To, cameIn), noted(ended).sum(start, c.From, c.To, wentOut)
				times := [...]lasted{lasted(contact), lasted(handling), lasted(total)}
				pieces := make([]int32, 0, (len(contact)+len(handling)+len(total))/4)
				var took [len(times)][]int32
				for i, t := range times {
					first := len(pieces)
					pieces = t.minutes(start, c.From, c.To, pieces)
					took[i] = pieces[first:]
				}
				for _, f := range []*Figures{row, all} {
					if f != nil {
						f.In, f.Out = f.In+in, f.Out+out
						for i, piece := range took {
							f.minutes[i] = append(f.minutes[i], piece)
						}
					}
				}
				return nil
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// ageOf returns the age group of an open case. One that began after At is as young as any.
func ageOf(days calendar.Date) int {
	i := len(Ages) - 1
	for i > 0 && days < Ages[i] {
		i--
	}
	return i
}

func (r *LoadRow) finish(from calendar.Date) {
	for _, fs := range []*[lines]Figures{&r.Orders, &r.Demands} {
		for i := range fs {
			f := &fs[i]
			f.Contact, f.Handling, f.Total = f.minutes[0].times(), f.minutes[1].times(), f.minutes[2].times()
			for day, d := range f.days {
				if d.In > 0 || d.Out > 0 {
					d.Day = from + calendar.Date(day)
					f.Days = append(f.Days, d)
				}
			}
			f.minutes, f.days = [3]minutes{}, nil
		}
	}
}

// page cuts the rows that are asked for.
func (c *counting) page() (rows []LoadRow, next string) {
	for _, r := range c.rows {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b LoadRow) int { return cmp.Compare(a.Key, b.Key) })
	if len(rows) > c.Limit {
		rows = rows[:c.Limit]
		next = rows[c.Limit-1].Key
	}
	return rows, next
}

// late adds what fell due on the day of At itself and is overdue; the books have the days before. It does so for the rows of the page and for the
// total. whole says that the page holds all rows.
func (c *counting) late(ctx context.Context, s snapshot, rows []LoadRow, whole bool) error {
	type target struct {
		key     string // of the row: grid, worker; "" = the only one
		figures *[lines]Figures
	}
	type group struct {
		l            listing
		level, value string
		outside      string // a column that must be empty
		by           string // a column that rows are told apart by
		led          bool   // what is led from the unit, and not what lies in it
		targets      []target
		too          []*[lines]Figures // to which those of all targets are added
	}
	var groups []*group
	index := map[string]*group{}
	enter := func(g group, t target) {
		id := fmt.Sprint(g.led) + g.l.table + " " + g.level + " " + g.value + " " + g.outside + " " + g.by
		if index[id] == nil {
			if whole && g.l.category == stream.Order {
				g.too = append(g.too, &c.total.Orders)
			} else if whole {
				g.too = append(g.too, &c.total.Demands)
			}
			index[id] = &g
			groups = append(groups, &g)
		}
		index[id].targets = append(index[id].targets, t)
	}
	place := func(l listing, p Place, fs *[lines]Figures) {
		g, key := group{l: l}, ""
		for _, x := range []struct {
			column string
			value  orgs.UnitCode
		}{{"district", p.District}, {"street", p.Street}, {"area", p.Community}} {
			if x.value == Nowhere {
				g.outside = x.column
			} else if x.value != "" {
				g.level, g.value = x.column, string(x.value)
			}
		}
		if p.Grid != "" {
			g.by, key = "grid", strings.TrimPrefix(string(p.Grid), Nowhere)
		}
		enter(g, target{key, fs})
	}
	for i := range rows {
		r := &rows[i]
		switch c.By {
		case ByUnit:
			enter(group{l: orderList, level: "lead", value: string(r.Lead)}, target{"", &r.Orders})
		case ByWorker:
			enter(group{l: orderList, level: "lead", value: string(r.Lead), by: "worker"}, target{r.Worker, &r.Orders})
		default:
			place(orderList, r.Place, &r.Orders)
			place(demandList, r.Place, &r.Demands)
		}
	}
	switch {
	case c.By.desk() && !whole:
		// Who leads an order may be above or outside the place where it lies.
		enter(group{l: orderList, led: true}, target{"", &c.total.Orders})
	case !whole:
		place(orderList, c.base, &c.total.Orders)
		place(demandList, c.base, &c.total.Demands)
	}
	for _, g := range groups {
		conditions := []condition{{"d.phase IN (" + marks(len(g.l.late)) + ")", anys(g.l.late)}, {"d.due >= ? AND d.due < ?", []any{calendar.DateOf(c.At).Start().Unix(), c.At.Unix()}}}
		if g.level != "" {
			conditions = append(conditions, condition{"d." + g.level + " = ?", []any{g.value}})
		} else if g.led {
			in := within(c.path)
			conditions = append(conditions, condition{strings.ReplaceAll(in.text, "d.path", "d.lead_path"), in.args})
		} else if !c.By.desk() {
			conditions = append(conditions, within(c.path))
		}
		if g.outside != "" {
			conditions = append(conditions, condition{text: "d." + g.outside + " = ''"})
		}
		if g.l.confidential && !c.Confidential || g.l.category == stream.Order && !c.Reports {
			conditions = append(conditions, condition{"d.kind <> ?", []any{string(demand.Report)}})
		}
		errand := "0"
		if c.Kinds == nil {
			errand = "d.kind = 'errand'"
		} else if len(c.Kinds) > 0 {
			conditions = append(conditions, condition{"d.kind IN (" + marks(len(c.Kinds)) + ")", anys(c.Kinds)})
		}
		where, args := joined(conditions)
		key, grouped := "''", ""
		if g.by != "" {
			key, grouped = "d."+g.by, " GROUP BY d."+g.by
		}
		text := fmt.Sprintf("SELECT %s, count(*), ifnull(sum(%s), 0) FROM %s AS d INDEXED BY %s%s%s", key, errand, g.l.table,
			g.l.index(g.level, "due"), where, grouped)
		err := s.query(ctx, text, args, func(rs *sql.Rows) error {
			var key string
			var all, errands int
			if err := rs.Scan(&key, &all, &errands); err != nil {
				return err
			}
			for _, t := range g.targets {
				if t.key == key {
					for _, fs := range append([]*[lines]Figures{t.figures}, g.too...) {
						fs[Cases].Overdue += all - errands
						fs[Errands].Overdue += errands
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
