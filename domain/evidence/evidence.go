// Package evidence keeps what can count of each case in an assessment (考核依据), in a form so small and so quick to read that
// the facts of a whole city's year are folded anew for every question, as of any position of the log.
//
// A [Track] is a list of marks, in log order. Each mark says at which position it became known; a reader stops at the first
// one that lies behind the position asked for, so what was recorded later counts for nothing, whatever instant it speaks of
// (the cut-off of rule Q2). [Track.Observe] adds the marks of one event; [Gather] folds tracks into [assessment.Facts].
//
// Instants are effective ones (rule I18), in whole seconds, as they are compared. Where an event records the effective
// instant, that is taken; where it does not, it follows from when the event occurred and was recorded and from the window of
// rule I18, 24 hours: the events that do not record it start or stop no clock of a unit that is assessed, but for a return
// that was asked for.
//
// Nothing here reads a sealed field: erasing personal data changes no byte of a track.
package evidence

import (
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// Position is a place in the log, as the log counts: from 1, without gaps.
type Position uint64

// everything is behind every event.
const everything = Position(1<<64 - 1)

// Track is what is kept of one case. The zero Track is a case that has not begun.
//
// A mark is one byte, its kind and three flags; the position as the difference from the mark before, a varint; then what it
// says. Instants are differences from the instant before. An order's whole life takes about 150 bytes, a demand's about 110.
type Track []byte

// Case is one case with its track.
type Case struct {
	ID    stream.ID // of its stream; of a block, of the event
	Of    stream.Category
	Track Track
}

// Home says where a case is kept: a first guess at where it counts, so that few have to be read to find those that do. It
// depends on the case alone: all events of a case find it again, but for those that move it.
type Home struct {
	Area  string // the first six characters of the unit's code: those of its district
	Month int    // in which it began: years times twelve, and the month from 0
}

// AreaOf returns the area in which the cases of a unit are kept.
func AreaOf(u orgs.UnitCode) string { return string(u[:min(len(u), 6)]) }

// MonthOf returns the month of a day in the city.
func MonthOf(d calendar.Date) int {
	t := d.Start().In(calendar.Zone())
	return t.Year()*12 + int(t.Month()) - 1
}

func monthOf(t time.Time) int { return MonthOf(calendar.DateOf(t)) }

// HomeOf returns where a case in this state is kept, false if it is none of those that count.
func HomeOf(s event.State) (Home, bool) {
	var unit orgs.UnitCode
	var began time.Time
	switch s := s.(type) {
	case demand.State:
		unit, began = s.Unit, s.RaisedAt
	case order.State:
		unit, began = s.Place, s.DispatchedAt
	case whistle.State:
		unit, began = s.Street, s.BlownAt
	case dispute.State:
		unit, began = s.Unit, s.OpenedAt
	case topic.State:
		unit, began = s.Unit, s.RecordedAt
	}
	if began.IsZero() {
		return Home{}, false
	}
	return Home{AreaOf(unit), monthOf(began)}, true
}

// HomeOfBlock returns where a refused dispatch is kept. A block is a case of its own, with one event.
func HomeOfBlock(b duty.Blocked, at time.Time) Home { return Home{AreaOf(b.Target), monthOf(at)} }

// window is how long after it occurred an event may be recorded and still count when it occurred (rule I18).
const window = 24 * time.Hour

// seen is an event on its way to a track.
type seen struct {
	event.Entry
	at    Position
	units *orgs.Tree
}

// effective returns the instant that counts for the event (rule I18); opened is when the state that it answers was entered.
func (e seen) effective(opened time.Time) time.Time {
	return calendar.EffectiveInstant(e.Meta.Occurred, e.Meta.Recorded, opened, window)
}

// place says where a unit lies, by the paths that units were opened with.
func (e seen) place(u orgs.UnitCode) place {
	p := place{unit: u}
	p.community, _ = e.units.Ancestor(u, orgs.Community)
	p.street, _ = e.units.Ancestor(u, orgs.Street)
	p.district, _ = e.units.Ancestor(u, orgs.District)
	return p
}

// Observe returns the track with the marks of one event of its case, which was folded and lies at a position of the log; units is the
// organisation as of the event. The track given keeps its bytes. First names the demand that an order was dispatched for
// before all others, as of the event; zero if there is none. Months are those in which the case can count now and could not before.
func (t Track) Observe(e event.Entry, at Position, units *orgs.Tree, first func(order stream.ID) stream.ID) (with Track, months []int) {
	w := openPen(t, e.Stream.Category(), seen{e, at, units})
	switch after := e.After.(type) {
	case demand.State:
		before, _ := e.Before.(demand.State)
		w.demand(before, after, first)
	case order.State:
		before, _ := e.Before.(order.State)
		w.order(before, after)
	case whistle.State:
		before, _ := e.Before.(whistle.State)
		w.whistle(before, after)
	case dispute.State:
		before, _ := e.Before.(dispute.State)
		w.dispute(before, after)
	case topic.State:
		before, _ := e.Before.(topic.State)
		w.topic(before)
	default:
		if b, blocked := e.Body.(duty.Blocked); blocked {
			w.block(b)
		}
	}
	w.late()
	return w.track, w.months.list[w.before:]
}

// Governed returns the topics that a demand's event gave the demand to, and took it from; zero for none. Their tracks learn
// of it with [Track.Linked].
func Governed(e event.Entry) (now, was stream.ID) {
	governs := func(s event.State) stream.ID {
		d, _ := s.(demand.State)
		if d.Phase == demand.PhaseWithdrawn {
			return stream.ID{}
		}
		return d.Topic
	}
	now, was = governs(e.After), governs(e.Before)
	if now == was {
		return stream.ID{}, stream.ID{}
	}
	return now, was
}

// Linked returns the track of a topic after a demand came under it, or left it, at a position. A topic that has not begun
// takes none.
func (t Track) Linked(demand stream.ID, under bool, at Position) Track {
	if len(t) == 0 {
		return nil
	}
	w := openPen(t, stream.Topic, seen{at: at})
	k := topicLeft
	if under {
		k = topicLinked
	}
	w.mark(k, 0)
	w.id(demand)
	return w.track
}

// First returns the demand that an order served first, zero if it never served any.
func (t Track) First() stream.ID {
	f := newFolder(everything, 0)
	f.fold(Case{Of: stream.Order, Track: t}, &reader{rest: t})
	return f.first
}

// Months returns the months in which a case can count: those of all instants that its track speaks of.
func (c Case) Months() []int {
	var ms months
	newFolder(everything, 0).fold(c, &reader{rest: c.Track, each: ms.add})
	return ms.list
}

// months gathers the months of instants, each once.
type months struct {
	list     []int
	from, to int64 // seconds since 1970 that are of the last month met
}

func (ms *months) add(at int64) {
	if ms.from <= at && at < ms.to {
		return
	}
	t := time.Unix(at, 0).In(calendar.Zone())
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, calendar.Zone())
	ms.from, ms.to = first.Unix(), first.AddDate(0, 1, 0).Unix()
	if m := t.Year()*12 + int(t.Month()) - 1; !slices.Contains(ms.list, m) {
		ms.list = append(ms.list, m)
	}
}
