package evidence

import (
	"slices"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// What the marks of an order tell. Those of handling are written in its first round only.
const (
	orderDispatched   kind = iota + 1 // number, kind, matter, urgency, place, grid, demands; then a leg; flag A: patrol
	orderRedispatched                 // a leg
	orderSigned                       // instant
	orderContacted                    // instant; flag A: every demand it served then
	orderNoContact                    // there is nobody to contact
	orderReturnAsked                  // instant
	orderKept                         // the return was refused
	orderSentBack                     // the return was approved
	orderExtended                     // the due instant that follows was asked for
	orderDue                          // of handling, original and effective; flag A: of signing, flag B: of contact, one alone
	orderSuspended                    // instant
	orderResumed                      // instant
	orderReported                     // effective instant, recorded instant
	orderPassed                       // recorded instant; flag A: sampled out
	orderFailed                       // recorded instant; it counts as rework in any round, and is a verdict in the first: flag A
	orderAgain                        // another round
	orderClosed                       // instant
	orderCancelled                    // instant
	orderAttached                     // id of a demand
	orderDetached                     // id of a demand
	orderHanded                       // to the unit that continues a grid
	orderRated                        // number of the leg, points
)

func (w *pen) order(before, after order.State) {
	if after.DispatchedAt.IsZero() {
		return
	}
	first := before.Round <= 1
	switch b := w.Body.(type) {
	case order.Dispatched:
		w.mark(orderDispatched, flag(b.Patrol, flagA))
		w.number(b.Number)
		w.word(b.Kind)
		w.word(b.Matter)
		w.word(b.Urgency)
		w.place(w.seen.place(b.Place))
		w.word(string(b.Grid))
		w.num(uint64(len(b.Demands)))
		for _, d := range b.Demands {
			w.id(d)
		}
		w.leg(b.By, b.Lead, b.Competent, b.CoUnits, b.Sign, b.Contact, b.Handle)
	case order.Redispatched:
		if !first {
			b.Sign, b.Contact, b.Handle = calendar.Due{}, calendar.Due{}, calendar.Due{}
		}
		w.mark(orderRedispatched, 0)
		w.leg(b.By, b.Lead, b.Competent, b.CoUnits, b.Sign, b.Contact, b.Handle)
	case order.Signed:
		w.mark(orderSigned, 0)
		w.done(b.At)
	case order.Contacted:
		all := !slices.ContainsFunc(before.Demands, func(d stream.ID) bool { return !slices.Contains(b.Demands, d) })
		w.mark(orderContacted, flag(all, flagA))
		w.done(b.At)
	case order.ContactNotRequired:
		w.mark(orderNoContact, 0)
	case order.ReturnRequested:
		w.mark(orderReturnAsked, 0)
		w.done(w.effective(before.Since))
	case order.ReturnRefused:
		w.mark(orderKept, 0)
	case order.ReturnApproved:
		w.mark(orderSentBack, 0)
	case order.ExtensionGranted:
		if first {
			w.mark(orderExtended, 0)
			w.due(b.Handle)
		}
	case order.DeadlineRecomputed:
		if _, runs := before.Running.Due(b.Replaces); runs && first {
			w.due(b.Clock)
		}
	case order.Suspended:
		if first {
			w.mark(orderSuspended, 0)
			w.done(b.FrozenAt)
		}
	case order.Resumed:
		if first {
			w.mark(orderResumed, 0)
			w.instant(w.Meta.Recorded)
			w.due(b.Handle)
		}
	case order.Reported:
		if first {
			w.mark(orderReported, 0)
			w.instant(b.DoneAt)
			w.instant(w.Meta.Recorded)
		}
	case order.VerificationPassed:
		if first {
			w.mark(orderPassed, flag(b.Method == "sampled_out", flagA))
			w.instant(w.Meta.Recorded)
		}
	case order.VerificationFailed:
		w.mark(orderFailed, flag(first, flagA))
		w.instant(w.Meta.Recorded)
		if first {
			w.due(b.Handle)
		}
	case order.ReworkOrdered, order.Reopened:
		w.mark(orderAgain, 0)
	case order.Closed:
		w.mark(orderClosed, 0)
		w.done(w.effective(before.Since))
	case order.Cancelled:
		w.mark(orderCancelled, 0)
		w.instant(w.Meta.Recorded)
	case order.DemandAttached:
		w.mark(orderAttached, 0)
		w.id(b.Demand)
	case order.DemandDetached:
		w.mark(orderDetached, 0)
		w.id(b.Demand)
	case order.Rated:
		w.mark(orderRated, 0)
		w.num(uint64(b.Leg))
		w.num(uint64(b.Score))
	case order.Reassigned:
		if b.Lead != before.Lead {
			w.mark(orderHanded, 0)
			w.word(string(b.Lead))
		}
	}
}

// What a leg has, beside its units and when it was dispatched.
const (
	legCompetent byte = 1 << iota
	legCoUnits
	legSign
	legContact
	legHandle
)

// leg writes how a leg begins. A due instant of 0 is none.
func (w *pen) leg(by, lead, competent orgs.UnitCode, co []orgs.UnitCode, sign, contact, handle calendar.Due) {
	street, _ := w.units.Ancestor(by, orgs.Street)
	up := above(by, street, streetDigits)
	w.track = append(w.track, flag(competent != "", legCompetent)|flag(len(co) > 0, legCoUnits)|flag(!sign.Due.IsZero(), legSign)|
		flag(!contact.Due.IsZero(), legContact)|flag(!handle.Due.IsZero(), legHandle)|up<<6)
	w.word(string(by))
	w.up(up, street)
	w.word(string(lead))
	if competent != "" {
		w.word(string(competent))
	}
	if len(co) > 0 {
		w.num(uint64(len(co)))
		for _, u := range co {
			w.word(string(u))
		}
	}
	w.instant(w.Meta.Recorded)
	if !sign.Due.IsZero() {
		w.instant(sign.Due)
	}
	if !contact.Due.IsZero() {
		w.instant(contact.Due)
	}
	if !handle.Due.IsZero() {
		w.instant(handle.OriginalDue)
		w.instant(handle.Due)
	}
}

// due writes a due instant that takes the place of another.
func (w *pen) due(d calendar.Due) {
	switch d.Clock {
	case calendar.Sign, calendar.Contact:
		w.mark(orderDue, flag(d.Clock == calendar.Sign, flagA)|flag(d.Clock == calendar.Contact, flagB))
		w.instant(d.Due)
	case calendar.Handle:
		w.mark(orderDue, 0)
		w.instant(d.OriginalDue)
		w.instant(d.Due)
	}
}

// order folds the track of an order into its legs, appended to those that the folder has.
func (f *folder) order(id stream.ID, r *reader) {
	began := len(f.legs)
	f.ids.begin() // the demands of the whole order
	f.first = stream.ID{}
	serve := func(d stream.ID) {
		if f.first.IsZero() {
			f.first = d
		}
		if !slices.Contains(f.ids.all(), d) {
			f.ids.add(d)
		}
	}
	var form assessment.Leg
	var reworks int
	var cancelled bool
	var closed time.Time
	l := &form // the present leg
	settle := func() {
		l.Suspensions, l.Reports = f.spans.end(), f.reports.end()
	}
	begin := func() {
		if len(f.legs) > began {
			settle()
		}
		f.legs = append(f.legs, form)
		l = &f.legs[len(f.legs)-1]
		l.Number, l.Rating = len(f.legs)-began, -1
		f.spans.begin()
		f.reports.begin()
		f.leg(r, l)
	}
	for {
		k, flags, ok := r.next(f.asOf)
		if !ok {
			break
		}
		a := flags&flagA != 0
		switch k {
		case orderDispatched:
			form = assessment.Leg{Order: id, Patrol: a, Case: r.number(), Kind: r.word(), Matter: r.word(), Urgency: r.word(),
				Place: placeOf(r.place()), Grid: orgs.GridCode(r.word())}
			for range r.count(len(stream.ID{})) {
				serve(r.id())
			}
			begin()
		case orderRedispatched:
			begin()
		case orderSigned:
			l.SignedAt = r.instant()
		case orderContacted:
			at := r.instant()
			if l.ContactedAt.IsZero() {
				l.ContactedAt = at
			}
			if a {
				l.AllContacted = at
			}
		case orderNoContact:
			l.NoContact = true
		case orderReturnAsked:
			l.ReturnAskedAt = r.instant()
		case orderKept:
			l.ReturnsRefused++
		case orderSentBack:
			l.Returned = true
		case orderExtended:
			l.Extensions++
		case orderDue:
			switch {
			case a:
				l.SignDue = r.instant()
			case flags&flagB != 0:
				l.ContactDue = r.instant()
			default:
				l.OriginalDue, l.Due = r.instant(), r.instant()
			}
		case orderSuspended:
			f.spans.add(assessment.Span{From: r.instant()})
		case orderResumed:
			f.resume(r.instant())
		case orderReported:
			f.reports.add(assessment.Report{DoneAt: r.instant(), At: r.instant()})
		case orderPassed:
			f.judge(r.instant(), true, a)
		case orderFailed:
			at := r.instant()
			reworks++
			if a {
				f.judge(at, false, false)
			}
		case orderAgain:
			if f.reopened == 0 || r.at <= f.reopened {
				reworks++
			}
		case orderClosed:
			closed = r.instant()
		case orderCancelled:
			f.resume(r.instant())
			cancelled = true
		case orderAttached:
			serve(r.id())
		case orderDetached:
			if i := slices.Index(f.ids.all(), r.id()); i >= 0 {
				f.ids.remove(i)
			}
		case orderHanded:
			l.Lead = r.code()
		case orderRated:
			if leg, score := r.num(), int(r.num()); leg >= 1 && leg <= uint64(len(f.legs)-began) {
				f.legs[began+int(leg)-1].Rating = score
			}
		case lateMark:
			r.instant()
		}
	}
	demands := f.ids.end()
	if len(f.legs) == began {
		return
	}
	settle()
	for i := range f.legs[began:] {
		l := &f.legs[began+i]
		l.Demands, l.Reworks, l.Cancelled, l.ClosedAt = demands, reworks, cancelled, closed
	}
}

func (f *folder) leg(r *reader, l *assessment.Leg) {
	has := r.byte()
	l.By = r.code()
	l.ByStreet = r.up(has>>6, l.By, streetDigits)
	l.Lead = r.code()
	if has&legCompetent != 0 {
		l.Competent = r.code()
	}
	if has&legCoUnits != 0 {
		f.units.begin()
		for range r.count(1) {
			f.units.add(r.code())
		}
		l.CoUnits = f.units.end()
	}
	l.DispatchedAt = r.instant()
	if has&legSign != 0 {
		l.SignDue = r.instant()
	}
	if has&legContact != 0 {
		l.ContactDue = r.instant()
	}
	if has&legHandle != 0 {
		l.OriginalDue, l.Due = r.instant(), r.instant()
	}
}

// resume ends the suspension that runs.
func (f *folder) resume(at time.Time) {
	if all := f.spans.all(); len(all) > 0 && all[len(all)-1].To.IsZero() {
		all[len(all)-1].To = at
	}
}

// judge says what came of the last report.
func (f *folder) judge(at time.Time, passed, sampled bool) {
	if all := f.reports.all(); len(all) > 0 {
		last := &all[len(all)-1]
		last.JudgedAt, last.Passed, last.Sampled = at, passed, sampled
	}
}
