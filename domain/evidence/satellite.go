package evidence

import (
	"slices"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// What the marks of a whistle tell.
const (
	whistleBlown kind = iota + 1 // place, recorded instant; the units, with the due instant of each
	whistleUnit                  // how a unit stands now: its place in the list, a standing
	whistleEnded                 // instant
)

// How a summoned unit stands, in bits. Outcome and score follow, each one more than it is.
const (
	unitReported byte = 1 << iota // then the instant
	unitLate
	unitAbsent
	unitExcused
	unitVoid
	unitStayed
)

// standing is what counts of a summoned unit at a moment. Standings compare with ==.
type standing struct {
	reported                            int64 // seconds since 1970; 0: it did not come
	late, absent, excused, void, stayed bool
	outcome, score                      int
}

// standingOf lets the card have the last word: an objection may have changed it.
func standingOf(u whistle.Unit) standing {
	s := standing{late: u.Late, absent: u.Absent, excused: u.Excused, void: u.Void || u.Spared && u.ReportedAt.IsZero(), stayed: u.Stayed(), outcome: -1, score: -1}
	if !u.ReportedAt.IsZero() {
		s.reported = u.ReportedAt.Unix()
	}
	if k := u.Card; k != nil {
		s.late, s.absent, s.stayed, s.score = k.ReportIn == whistle.Late, k.ReportIn == whistle.Absent, k.Stayed, k.Score
		if !k.Unrated {
			s.outcome = k.Outcome
		}
	}
	return s
}

func (w *pen) whistle(before, after whistle.State) {
	if after.BlownAt.IsZero() {
		return
	}
	switch b := w.Body.(type) {
	case whistle.Blown:
		w.mark(whistleBlown, 0)
		w.place(w.seen.place(b.Street))
		w.instant(w.Meta.Recorded)
		w.num(uint64(len(b.Units)))
		for _, u := range b.Units {
			w.word(string(u.Unit))
			w.instant(u.ReportIn.Due)
		}
		return
	case whistle.Concluded:
		w.mark(whistleEnded, 0)
		w.done(b.At)
	case whistle.Cancelled:
		w.mark(whistleEnded, 0)
		w.done(w.effective(before.Since))
	}
	for i, u := range after.Units {
		s := standingOf(u)
		if i < len(before.Units) && standingOf(before.Units[i]) == s {
			continue
		}
		w.mark(whistleUnit, 0)
		w.num(uint64(i))
		w.track = append(w.track, flag(s.reported != 0, unitReported)|flag(s.late, unitLate)|flag(s.absent, unitAbsent)|
			flag(s.excused, unitExcused)|flag(s.void, unitVoid)|flag(s.stayed, unitStayed))
		if s.reported != 0 {
			w.instant(time.Unix(s.reported, 0))
			if r, reported := w.Body.(whistle.UnitReportedIn); reported && r.Unit == u.Code {
				w.did = r.At
			}
		}
		w.num(uint64(s.outcome + 1))
		w.num(uint64(s.score + 1))
	}
}

// whistle folds the track of a whistle into its summonses, appended to those that the folder has.
func (f *folder) whistle(id stream.ID, r *reader) (p assessment.Place) {
	began := len(f.summonses)
	for {
		k, _, ok := r.next(f.asOf)
		if !ok {
			return p
		}
		switch k {
		case whistleBlown:
			p = placeOf(r.place())
			blown := r.instant()
			for range r.count(2) {
				f.summonses = append(f.summonses, assessment.Summons{Whistle: id, Street: p.Unit, Unit: r.code(), BlownAt: blown, Due: r.instant(), Outcome: -1, Score: -1})
			}
		case whistleUnit:
			var s assessment.Summons
			of := &s
			if i := r.num(); i < uint64(len(f.summonses)-began) {
				of = &f.summonses[began+int(i)]
			}
			b := r.byte()
			of.Late, of.Absent, of.Excused, of.Void, of.Stayed = b&unitLate != 0, b&unitAbsent != 0, b&unitExcused != 0, b&unitVoid != 0, b&unitStayed != 0
			if b&unitReported != 0 {
				of.Reported = r.instant()
			}
			of.Outcome = int(r.num()) - 1
			of.Score = int64(r.num()) - 1
		case whistleEnded:
			at := r.instant()
			for i := began; i < len(f.summonses); i++ {
				f.summonses[i].Ended = at
			}
		case lateMark:
			r.instant()
		}
	}
}

// What the marks of a dispute tell.
const (
	disputeOpened   kind = iota + 1 // id of the demand, place
	disputeAccepted                 // by a mediator
	disputeEnded                    // how, instant, rung, unit of the mediator
	disputeGoesOn                   // an agreement was broken
)

func (w *pen) dispute(before, after dispute.State) {
	if after.OpenedAt.IsZero() {
		return
	}
	ended := func(how dispute.Phase) {
		w.mark(disputeEnded, 0)
		w.word(string(how))
		w.done(w.effective(before.Since))
		w.num(uint64(after.Rung))
		w.word(string(after.Mediator))
	}
	switch b := w.Body.(type) {
	case dispute.Opened:
		w.mark(disputeOpened, 0)
		w.id(b.Demand)
		w.place(w.seen.place(b.Unit))
	case dispute.MediationAccepted:
		w.mark(disputeAccepted, 0)
	case dispute.MediationSucceeded:
		ended(dispute.PhaseAgreed)
	case dispute.ReferredOut:
		ended(dispute.PhaseReferredOut)
	case dispute.Withdrawn:
		ended(dispute.PhaseEnded)
	case dispute.AgreementBreached:
		w.mark(disputeGoesOn, 0)
	}
}

func (f *folder) dispute(id stream.ID, r *reader) (d assessment.Dispute) {
	d.ID = id
	for {
		k, _, ok := r.next(f.asOf)
		if !ok {
			return d
		}
		switch k {
		case disputeOpened:
			d.Demand, d.Place = r.id(), placeOf(r.place())
		case disputeAccepted:
			d.Accepted = true
		case disputeEnded:
			d.End, d.EndedAt, d.Rung, d.Unit = r.word(), r.instant(), int(r.num()), r.code()
		case disputeGoesOn:
			d.End, d.EndedAt, d.Rung, d.Unit = "", time.Time{}, 0, ""
		case lateMark:
			r.instant()
		}
	}
}

// What the marks of a topic tell.
const (
	topicProposed kind = iota + 1 // place
	topicDecided                  // instant; flag A: adopted, else rejected
	topicLinked                   // id of a demand that it governs from now on
	topicLeft                     // id of a demand that it governs no more
)

func (w *pen) topic(before topic.State) {
	switch b := w.Body.(type) {
	case topic.Proposed:
		w.mark(topicProposed, 0)
		w.place(w.seen.place(b.Unit))
	case topic.Adopted, topic.Rejected:
		if before.RecordedAt.IsZero() {
			return
		}
		_, adopted := b.(topic.Adopted)
		w.mark(topicDecided, flag(adopted, flagA))
		w.done(w.effective(before.Since))
	}
}

func (f *folder) topic(id stream.ID, r *reader) (t assessment.Topic) {
	t.ID = id
	var linked []stream.ID
	for {
		k, flags, ok := r.next(f.asOf)
		if !ok {
			return t
		}
		switch k {
		case topicProposed:
			t.Place = placeOf(r.place())
		case topicDecided:
			t.Decisions = append(t.Decisions, assessment.TopicDecision{Adopted: flags&flagA != 0, At: r.instant(), Demands: slices.Concat(linked)})
		case topicLinked:
			linked = append(linked, r.id())
		case topicLeft:
			gone := r.id()
			linked = slices.DeleteFunc(linked, func(d stream.ID) bool { return d == gone })
		case lateMark:
			r.instant()
		}
	}
}

// What the mark of a refused dispatch tells.
const blockedMark kind = 1 // place of the target, matter, instant

func (w *pen) block(b duty.Blocked) {
	w.mark(blockedMark, 0)
	w.place(w.seen.place(b.Target))
	w.word(b.Matter)
	w.done(calendar.EffectiveInstant(w.Meta.Occurred, w.Meta.Recorded, time.Time{}, window))
}

func (f *folder) block(r *reader) (p assessment.Place, b assessment.Blocked) {
	if k, _, ok := r.next(f.asOf); ok && k == blockedMark {
		p = placeOf(r.place())
		b = assessment.Blocked{Target: p.Unit, Matter: r.word(), At: r.instant()}
	}
	for {
		if _, _, ok := r.next(f.asOf); !ok {
			return p, b
		}
		r.instant() // the late one
	}
}
