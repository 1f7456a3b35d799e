package evidence

import (
	"slices"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/demand"
	"gridcase/domain/stream"
)

// What the marks of a demand tell.
const (
	demandRaised   kind = iota + 1 // number, channel, kind, matter, place, instant; flags: anonymous, on behalf, not to be called
	demandAccepted                 // instant; flag: on the spot
	demandIs                       // kind and matter; flag A: then place
	demandWaived                   // the topic stage was (直办)
	demandOrder                    // it was attached to: id
	demandRepeats                  // instant; flag A: itself, else id
	demandAnswered                 // flag A: no callback is due, else due instant
	demandCalled                   // grade, instant; flags: resolved, re-rated, then order's id
	demandSpared                   // no callback: cause, instant
	demandEnded                    // instant; flag A: withdrawn
	demandGoesOn                   // it is open again
)

func (w *pen) demand(before, after demand.State, first func(order stream.ID) stream.ID) {
	if after.RaisedAt.IsZero() {
		return // what comes before a beginning counts for nothing
	}
	switch b := w.Body.(type) {
	case demand.Raised:
		w.mark(demandRaised, flag(b.Anonymous, flagA)|flag(b.OnBehalf, flagB)|flag(b.NoCallback, flagC))
		w.number(b.Number)
		w.word(string(b.Channel))
		w.word(string(b.Kind))
		w.word(b.Matter)
		w.place(w.seen.place(b.Unit))
		if at := w.effective(time.Time{}); b.Imported {
			w.done(w.Meta.Occurred)
		} else {
			w.done(at)
		}
		return
	case demand.Accepted, demand.AnsweredOnTheSpot:
		spot, answered := b.(demand.AnsweredOnTheSpot)
		w.mark(demandAccepted, flag(answered, flagA))
		w.done(w.effective(before.Since))
		if answered {
			w.answered(spot.Callback.Due)
		}
	case demand.FastTracked:
		w.mark(demandWaived, 0)
		if b.Reason == demand.ReasonSameMatter && !b.Route.Join.IsZero() {
			if other := first(b.Route.Join); !other.IsZero() {
				w.repeats(other, w.effective(before.Since))
			}
		}
	case demand.Reopened:
		w.repeats(after.ID, w.effective(before.Since))
	case demand.Answered:
		w.answered(b.Callback.Due)
	case demand.CallbackRecorded:
		w.mark(demandCalled, flag(b.Resolved, flagA)|flag(!b.Order.IsZero(), flagC))
		w.num(uint64(b.Grade))
		w.done(w.effective(before.Since))
		if !b.Order.IsZero() {
			w.id(b.Order)
		}
	case demand.Rerated:
		w.mark(demandCalled, flag(b.Resolved, flagA)|flagB)
		w.num(uint64(b.Grade))
		w.done(w.effective(before.Since))
	case demand.CallbackWaived:
		w.mark(demandSpared, 0)
		w.word(b.Cause)
		w.done(w.effective(before.Since))
	}
	for _, o := range after.Orders {
		if !slices.Contains(before.Orders, o) {
			w.mark(demandOrder, 0)
			w.id(o)
		}
	}
	if moved := before.Unit != after.Unit; moved || before.Kind != after.Kind || before.Matter != after.Matter {
		w.mark(demandIs, flag(moved, flagA))
		w.word(string(after.Kind))
		w.word(after.Matter)
		if moved {
			w.place(w.seen.place(after.Unit))
		}
	}
	switch {
	case !after.ClosedAt.IsZero() && !after.ClosedAt.Equal(before.ClosedAt):
		w.mark(demandEnded, flag(after.Phase == demand.PhaseWithdrawn, flagA))
		w.done(w.effective(before.Since))
	case after.ClosedAt.IsZero() && !before.ClosedAt.IsZero():
		w.mark(demandGoesOn, 0)
	}
}

func (w *pen) repeats(other stream.ID, at time.Time) {
	itself := other == w.Stream.ID()
	w.mark(demandRepeats, flag(itself, flagA))
	w.done(at)
	if !itself {
		w.id(other)
	}
}

func (w *pen) answered(due time.Time) {
	w.mark(demandAnswered, flag(due.IsZero(), flagA))
	if !due.IsZero() {
		w.instant(due)
	}
}

// demand folds the track of a demand. Dispatched is left to [Gather], which knows the orders.
func (f *folder) demand(d *assessment.Demand, r *reader) {
	f.ids.begin()
	f.callbacks.begin()
	for {
		k, flags, ok := r.next(f.asOf)
		if !ok {
			break
		}
		a := flags&flagA != 0
		switch k {
		case demandRaised:
			d.Anonymous, d.Proxy, d.NoCallback = a, flags&flagB != 0, flags&flagC != 0
			d.Number, d.Channel = r.number(), r.word()
			d.Kind, d.Matter = r.word(), r.word()
			d.Place = placeOf(r.place())
			d.RaisedAt = r.instant()
		case demandAccepted:
			at := r.instant()
			if d.AcceptedAt.IsZero() {
				d.AcceptedAt = at
			}
			d.OnTheSpot = d.OnTheSpot || a
		case demandIs:
			d.Kind, d.Matter = r.word(), r.word()
			if a {
				d.Place = placeOf(r.place())
			}
		case demandWaived:
			d.FastTracked = true
		case demandOrder:
			if o := r.id(); !slices.Contains(f.ids.all(), o) {
				f.ids.add(o)
			}
		case demandRepeats:
			d.RepeatedAt, d.Repeats = r.instant(), d.ID
			if !a {
				d.Repeats = r.id()
			}
		case demandAnswered:
			d.CallbackDue, d.Reached, d.Waived, d.WaivedAt = time.Time{}, false, "", time.Time{}
			if !a {
				d.CallbackDue = r.instant()
			}
		case demandCalled:
			c := assessment.Callback{Resolved: a, Rerating: flags&flagB != 0, Grade: int(r.num()), At: r.instant()}
			if flags&flagC != 0 {
				c.Order = r.id()
			}
			f.callbacks.add(c)
			d.Reached = true
		case demandSpared:
			d.Waived, d.WaivedAt = r.word(), r.instant()
		case demandEnded:
			d.ClosedAt, d.Withdrawn = r.instant(), a
		case demandGoesOn:
			d.ClosedAt, d.Withdrawn = time.Time{}, false
		case lateMark:
			r.instant()
		}
	}
	d.Orders, d.Callbacks = f.ids.end(), f.callbacks.end()
}

func placeOf(p place) assessment.Place {
	return assessment.Place{Unit: p.unit, Community: p.community, Street: p.street, District: p.district}
}
