package projections

import (
	"encoding/binary"
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

// Workload is the view of who has how much to do (工作量): what is open by the day it began and by the day it falls due, and for
// each day what began, what came to an end, and how long things took. [Views.Load] answers from it.
//
// Figures are kept in books, and in a book by a scope, a path: where a case lies, or who leads an order. A case counts where its
// row in the lists says it lies, by the path that its unit had from the beginning: as it was (rule I17). A figure of a district is the
// sum of its scopes; there is a book by the street, because a district has ten times as many communities, and a page costs its rows.
type Workload struct{}

// The books. A scope of orderDesks ends with a space and the opaque id of the person that an order was given to, which may be "".
const (
	orderStreets  = "order/street"
	orderPlaces   = "order/place"
	orderGrids    = "order/grid"
	orderDesks    = "order/desk"
	demandStreets = "demand/street"
	demandPlaces  = "demand/place"
	demandGrids   = "demand/grid"
)

var (
	workloadOpen = Table{Name: "workload_open", Key: 3, Compact: true,
		Columns: []Column{{"book", Text}, {"scope", Text}, {"kind", Text}, {"days", Blob}, {"due", Blob}}}
	// A leaf is 128 days: a year has three or four, since a page costs its rows more than their bytes; and a row is small enough to be
	// written again for each event. began and ended are [noted], the times are [lasted].
	workloadLeaves = Table{Name: "workload_leaves", Key: 4, Compact: true,
		Columns: []Column{{"book", Text}, {"leaf", Integer}, {"scope", Text}, {"kind", Text}, {"began", Blob}, {"ended", Blob},
			{"contact", Blob}, {"handling", Blob}, {"total", Blob}}}
)

// Name implements [View].
func (Workload) Name() string { return "workload" }

// Tables implements [View].
func (Workload) Tables() []Table { return []Table{workloadOpen, workloadLeaves} }

// Apply implements [View].
func (Workload) Apply(tx *Tx, e Entry) error {
	var before, after work
	switch s := e.After.(type) {
	case demand.State:
		after = demandWork(s, e.Units)
		if b, begun := e.Before.(demand.State); begun {
			before = demandWork(b, e.Units)
		}
	case order.State:
		after = orderWork(s, e.Units)
		if b, begun := e.Before.(order.State); begun {
			before = orderWork(b, e.Units)
		}
	}
	if before == after {
		return nil
	}
	for i := range after.in {
		b, a := before.in[i], after.in[i]
		moved := b != a || before.kind != after.kind
		for m := range after.marks {
			if was, is := before.marks[m], after.marks[m]; moved || was != is {
				was.book(tx, b, before.kind, m, -1)
				is.book(tx, a, after.kind, m, 1)
			}
		}
	}
	return nil
}

// work is what one case adds to the figures. Works compare with ==.
type work struct {
	kind  string
	in    [4]scope
	marks [markKinds]mark
}

type scope struct{ book, path string }

// mark is one thing counted of a case: on which day, and, of a time that something took, how long. The zero mark is none.
type mark struct {
	day   calendar.Date
	value int32 // whole minutes, truncated
}

// The marks of a case.
const (
	openMark = iota // the day it began, while it is open
	dueMark         // the day it falls due, while that is held against somebody
	beganMark
	endedMark
	contactMark // on the day of contact: from the dispatch of the leg
	handledMark // on the day it was found done: from the dispatch of the leg to the report, or from acceptance to the answer
	totalMark   // on the day it was closed: from beginning to end
	markKinds
)

func demandWork(s demand.State, units *orgs.Tree) work {
	place := areaPath(units, s.Unit)
	w := work{kind: string(s.Kind), in: [4]scope{{demandStreets, streetPath(units, s.Unit)}, {demandPlaces, place}, {demandGrids, place + string(s.Grid) + "/"}}}
	w.life(s.RaisedAt, s.ClosedAt, s.Phase.Terminal(), s.Phase == demand.PhaseClosed)
	w.falls(demandList, string(s.Phase), s.Running)
	w.took(handledMark, s.AcceptedAt, answeredAt(s), answeredAt(s))
	return w
}

func orderWork(s order.State, units *orgs.Tree) work {
	place, leg := areaPath(units, s.Place), s.Leg()
	w := work{kind: s.Kind, in: [4]scope{{orderStreets, streetPath(units, s.Place)}, {orderPlaces, place}, {orderGrids, place + string(s.Grid) + "/"},
		{orderDesks, units.Path(s.Lead) + " " + s.Worker}}}
	w.life(s.DispatchedAt, s.ClosedAt, s.Phase.Terminal(), s.Phase == order.PhaseClosed)
	w.falls(orderList, string(s.Phase), s.Running)
	w.took(contactMark, leg.DispatchedAt, leg.ContactedAt, leg.ContactedAt)
	w.took(handledMark, leg.DispatchedAt, s.Report.DoneAt, handledAt(s))
	return w
}

// areaPath is the path of the community that a unit lies in, or of the unit itself while none is known.
func areaPath(units *orgs.Tree, u orgs.UnitCode) string {
	if c, in := units.Ancestor(u, orgs.Community); in {
		u = c
	}
	return units.Path(u)
}

// streetPath is the path of the street that a unit lies in, or of its area while none is known.
func streetPath(units *orgs.Tree, u orgs.UnitCode) string {
	if s, in := units.Ancestor(u, orgs.Street); in {
		return units.Path(s)
	}
	return areaPath(units, u)
}

// life marks beginning and end.
func (w *work) life(began, ended time.Time, over, closed bool) {
	day := mark{day: calendar.DateOf(began)}
	w.marks[beganMark] = day
	switch {
	case !over:
		w.marks[openMark] = day
	case !ended.IsZero():
		w.marks[endedMark] = mark{day: calendar.DateOf(ended)}
		if closed {
			w.took(totalMark, began, ended, ended)
		}
	}
}

// falls marks when it is due.
func (w *work) falls(l listing, phase string, cs rule.Clocks) {
	if at, running := cs.Next(); running && slices.Contains(l.late, phase) {
		w.marks[dueMark] = mark{day: calendar.DateOf(at)}
	}
}

// took marks how long something took, on the day that it counts for; nothing if that is none.
func (w *work) took(m int, from, to, on time.Time) {
	if on.IsZero() {
		return
	}
	minutes := max(0, to.Sub(from)/time.Minute) // what happened before it was entered took no time
	w.marks[m] = mark{calendar.DateOf(on), int32(min(minutes, longest))}
}

// book enters a mark in a scope, or takes it out again.
func (k mark) book(tx *Tx, in scope, kind string, m, sign int) {
	if k == (mark{}) || in.book == "" {
		return
	}
	leaf, table, first, key := leafOf(k.day), workloadLeaves, beganMark, []any{in.book, leafOf(k.day), in.path, kind}
	if m < beganMark {
		leaf, table, first, key = 0, workloadOpen, openMark, []any{in.book, in.path, kind}
	}
	row, found := tx.Get(table.Name, key...)
	if row = slices.Clone(row); !found {
		for row = key; len(row) < len(table.Columns); {
			row = append(row, []byte{})
		}
	}
	column, start := table.Key+m-first, leafStart(leaf)
	switch was := row[column].([]byte); {
	case m < contactMark:
		row[column] = []byte(noted(was).count(start, k.day, sign))
	case sign > 0:
		row[column] = []byte(lasted(was).append(start, k))
	default:
		row[column] = []byte(lasted(was).without(start, k))
	}
	for _, left := range row[table.Key:] {
		if len(left.([]byte)) > 0 {
			tx.Put(table.Name, row...)
			return
		}
	}
	tx.Delete(table.Name, row[:table.Key]...)
}

// leafBits says how many days a leaf has, as a power of two.
const leafBits = 7

func leafOf(d calendar.Date) int64 { return int64(d) >> leafBits }

// leafStart is the day that the days of a leaf are counted from.
func leafStart(leaf int64) calendar.Date { return calendar.Date(leaf << leafBits) }

// noted says how many of a day there are, in the order of the days. Both are varints, the day from the start of the leaf, or of 1970
// where there are no leaves.
type noted []byte

// next returns the first note, its value the number, and those after it; nothing if the bytes are broken.
func (n noted) next(start calendar.Date) (mark, noted) {
	day, size := binary.Uvarint(n)
	if size <= 0 {
		return mark{}, nil
	}
	n = n[size:]
	value, size := binary.Uvarint(n)
	if size <= 0 {
		return mark{}, nil
	}
	return mark{start + calendar.Date(day), int32(value)}, n[size:]
}

// sum returns how many there are from a day on, before another, and tells each each day's.
func (n noted) sum(start, from, to calendar.Date, each func(calendar.Date, int)) (sum int) {
	for k := (mark{}); len(n) > 0; {
		if k, n = n.next(start); k.day >= from && k.day < to {
			sum += int(k.value)
			if each != nil {
				each(k.day, int(k.value))
			}
		}
	}
	return sum
}

// count returns the list with by more of a day; n itself stays as it is.
func (n noted) count(start, d calendar.Date, by int) noted {
	before, after, k := len(n), noted(nil), mark{d, int32(by)}
	for rest := n; len(rest) > 0; {
		m, behind := rest.next(start)
		if m.day >= d {
			before, after = len(n)-len(rest), rest
			if m.day == d {
				k.value, after = k.value+m.value, behind
			}
			break
		}
		rest = behind
	}
	out := make(noted, 0, len(n)+2*binary.MaxVarintLen32)
	out = append(out, n[:before]...)
	if k.value != 0 {
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(k.day-start)), uint64(k.value))
	}
	return append(out, after...)
}

// lasted is a list of times, in the order in which they came: four bytes each, the least first, of which the low bits are the day
// from the start of the leaf, and those above them the minutes. A page of a year reads more of these than of anything else, hence no varints.
type lasted []byte

// longest is the most minutes that are kept of a time, 63 years.
const longest = 1<<(32-leafBits) - 1

func (k mark) packed(start calendar.Date) uint32 {
	return uint32(k.day-start) | uint32(k.value)<<leafBits
}

// append adds a time. It may write behind the end of t, where nobody else's bytes are.
func (t lasted) append(start calendar.Date, k mark) lasted {
	return binary.LittleEndian.AppendUint32(t, k.packed(start))
}

// without returns the list without one such time; t itself stays as it is.
func (t lasted) without(start calendar.Date, k mark) lasted {
	for i := 0; i+4 <= len(t); i += 4 {
		if binary.LittleEndian.Uint32(t[i:]) == k.packed(start) {
			return slices.Concat(t[:i], t[i+4:])
		}
	}
	return t
}

// minutes adds the minutes of what counts for the days from one on, before another.
func (t lasted) minutes(start, from, to calendar.Date, add []int32) []int32 {
	first, days := uint32(max(from-start, 0)), uint32(max(to-max(from, start), 0))
	for ; len(t) >= 4; t = t[4:] {
		if x := binary.LittleEndian.Uint32(t); x&(1<<leafBits-1)-first < days {
			add = append(add, int32(x>>leafBits))
		}
	}
	return add
}
