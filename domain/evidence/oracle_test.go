package evidence

import (
	"cmp"
	"slices"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// oracle reads the log itself, slowly, and knows nothing of tracks: what the events up to a position say, case by case.
type oracle struct {
	log   []told
	units *orgs.Tree
}

func (o oracle) of(name stream.Name) (es []told) {
	for _, e := range o.log {
		if e.Stream == name {
			es = append(es, e)
		}
	}
	return es
}

func seconds(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

// counted is the effective instant of an event, by the words of rule I18.
func counted(e told, since time.Time) time.Time {
	occurred, recorded := seconds(e.Meta.Occurred), seconds(e.Meta.Recorded)
	if occurred.After(recorded) || recorded.Sub(occurred) > 24*time.Hour || occurred.Before(seconds(since)) {
		return recorded
	}
	return occurred
}

func (o oracle) where(u orgs.UnitCode) (p assessment.Place) {
	p.Unit = u
	for c, more := u, u != ""; more; c, more = o.units.Parent(c) {
		switch unit, _ := o.units.Unit(c); unit.Kind {
		case orgs.Community:
			p.Community = c
		case orgs.Street:
			p.Street = c
		case orgs.District:
			p.District = c
		}
	}
	return p
}

// judged is one case as the oracle sees it.
type judged struct {
	at       Position
	place    assessment.Place
	instants []time.Time
	refers   []stream.ID
	demand   *assessment.Demand
	legs     []assessment.Leg
	calls    []assessment.Summons
	dispute  *assessment.Dispute
	topic    *assessment.Topic
	block    *assessment.Blocked
}

// tells notes an effective instant, and the recorded one if that was another day.
func (j *judged) tells(e told, at time.Time) time.Time {
	at = seconds(at)
	j.instants = append(j.instants, at)
	if calendar.DateOf(at) != calendar.DateOf(e.Meta.Recorded) {
		j.instants = append(j.instants, seconds(e.Meta.Recorded))
	}
	return at
}

func (j *judged) says(t time.Time) time.Time {
	if !t.IsZero() {
		t = seconds(t)
		j.instants = append(j.instants, t)
	}
	return t
}

func (o oracle) demand(id stream.ID) *judged {
	es := o.of(stream.Of(stream.Demand, id))
	var d assessment.Demand
	j := &judged{demand: &d}
	d.ID = id
	var since time.Time
	var phase demand.Phase
	var attached []stream.ID
	began := false
	for _, e := range es {
		after, _ := e.After.(demand.State)
		if _, raised := e.Body.(demand.Raised); raised {
			began, j.at = true, e.at
		}
		if !began {
			continue
		}
		switch b := e.Body.(type) {
		case demand.Raised:
			d.Number, d.Kind, d.Matter, d.Channel = b.Number, string(b.Kind), b.Matter, string(b.Channel)
			d.Anonymous, d.Proxy, d.NoCallback, d.Place = b.Anonymous, b.OnBehalf, b.NoCallback, o.where(b.Unit)
			if d.RaisedAt = counted(e, time.Time{}); b.Imported {
				d.RaisedAt = e.Meta.Occurred
			}
			d.RaisedAt = j.tells(e, d.RaisedAt)
		case demand.Accepted, demand.AnsweredOnTheSpot:
			at := j.tells(e, counted(e, since))
			if d.AcceptedAt.IsZero() {
				d.AcceptedAt = at
			}
			if spot, is := b.(demand.AnsweredOnTheSpot); is {
				d.OnTheSpot, d.Kind, d.CallbackDue, d.Reached, d.Waived, d.WaivedAt = true, string(spot.Kind), j.says(spot.Callback.Due), false, "", time.Time{}
				d.Matter = cmp.Or(spot.Matter, d.Matter)
			} else {
				b := b.(demand.Accepted)
				d.Kind, d.Matter, d.Place = string(b.Kind), b.Matter, o.where(b.Unit)
			}
		case demand.Reclassified:
			d.Kind, d.Matter = cmp.Or(string(b.Kind), d.Kind), cmp.Or(b.Matter, d.Matter)
		case demand.Relocated:
			d.Place = o.where(b.Unit)
		case demand.FastTracked:
			d.FastTracked = true
			switch {
			case b.Route.Order != nil:
				attached = append(attached, stream.CausedBy(stream.Order, e.ID, 0))
			case b.Route.Dispute == 0:
				attached = append(attached, b.Route.Join)
			}
			if b.Reason == demand.ReasonSameMatter && b.Route.Join != (stream.ID{}) {
				if served := o.servedFirst(b.Route.Join, e.at); served != (stream.ID{}) {
					d.Repeats, d.RepeatedAt = served, j.tells(e, counted(e, since))
				}
			}
		case demand.EnteredHandling:
			attached = append(attached, b.Orders...)
		case demand.ProgressNoted:
			if phase == demand.PhaseInHandling {
				attached = append(attached, b.From.Stream.ID())
			}
		case demand.Reopened:
			d.Repeats, d.RepeatedAt = id, j.tells(e, counted(e, since))
		case demand.Answered:
			d.CallbackDue, d.Reached, d.Waived, d.WaivedAt = j.says(b.Callback.Due), false, "", time.Time{}
		case demand.CallbackRecorded:
			d.Callbacks = append(d.Callbacks, assessment.Callback{At: j.tells(e, counted(e, since)), Resolved: b.Resolved, Grade: int(b.Grade), Order: b.Order})
			d.Reached = true
		case demand.Rerated:
			d.Callbacks = append(d.Callbacks, assessment.Callback{At: j.tells(e, counted(e, since)), Resolved: b.Resolved, Grade: int(b.Grade), Rerating: true})
			d.Reached = true
		case demand.CallbackWaived:
			d.Waived, d.WaivedAt = b.Cause, j.tells(e, counted(e, since))
		}
		// The phases of the demand are the machine's own; that a phase ends a demand is said here.
		switch b := e.Body.(type) {
		case demand.Declined, demand.Redirected, demand.Withdrawn, demand.CallbackWaived:
			d.ClosedAt = j.tells(e, counted(e, since))
			_, d.Withdrawn = b.(demand.Withdrawn)
		case demand.CallbackRecorded:
			if b.Result == demand.CallbackCloses {
				d.ClosedAt, d.Withdrawn = j.tells(e, counted(e, since)), false
			}
		case demand.Reopened, demand.AppealUpheld:
			d.ClosedAt, d.Withdrawn = time.Time{}, false
		}
		since, phase = after.Since, after.Phase
	}
	if !began {
		return nil
	}
	for _, a := range attached {
		if len(o.of(stream.Of(stream.Order, a))) > 0 && o.order(a) != nil && !slices.Contains(d.Orders, a) {
			d.Orders = append(d.Orders, a)
		}
	}
	d.Dispatched = len(d.Orders) > 0
	j.place, j.refers = d.Place, append(slices.Clone(d.Orders), d.Repeats)
	return j
}

// servedFirst is the first demand that an order had served when something happened at a position.
func (o oracle) servedFirst(id stream.ID, p Position) stream.ID {
	dispatched := false
	for _, e := range o.of(stream.Of(stream.Order, id)) {
		if e.at > p {
			break
		}
		switch b := e.Body.(type) {
		case order.Dispatched:
			dispatched = true
			if len(b.Demands) > 0 {
				return b.Demands[0]
			}
		case order.DemandAttached:
			if dispatched {
				return b.Demand
			}
		}
	}
	return stream.ID{}
}

func (o oracle) order(id stream.ID) *judged {
	var j judged
	var since time.Time
	var served []stream.ID
	var form assessment.Leg
	round, reworks := 0, 0
	cancelled, closed := false, time.Time{}
	leg := func() *assessment.Leg { return &j.legs[len(j.legs)-1] }
	var running []calendar.Due
	for _, e := range o.of(stream.Of(stream.Order, id)) {
		after, _ := e.After.(order.State)
		begin := func(by, lead, competent orgs.UnitCode, co []orgs.UnitCode, sign, contact, handle calendar.Due) {
			l := form
			l.Number, l.By, l.ByStreet, l.Lead, l.Competent, l.CoUnits, l.Rating = len(j.legs)+1, by, o.where(by).Street, lead, competent, co, -1
			l.DispatchedAt = j.says(e.Meta.Recorded)
			if round == 1 {
				l.SignDue, l.ContactDue, l.OriginalDue, l.Due = j.says(sign.Due), j.says(contact.Due), j.says(handle.OriginalDue), j.says(handle.Due)
			}
			j.legs = append(j.legs, l)
		}
		if b, first := e.Body.(order.Dispatched); first {
			round, j.at = 1, e.at
			form = assessment.Leg{Order: id, Case: b.Number, Kind: b.Kind, Matter: b.Matter, Urgency: b.Urgency, Place: o.where(b.Place), Grid: b.Grid, Patrol: b.Patrol}
			for _, d := range b.Demands {
				if !slices.Contains(served, d) {
					served = append(served, d)
				}
			}
			begin(b.By, b.Lead, b.Competent, b.CoUnits, b.Sign, b.Contact, b.Handle)
		}
		if round == 0 {
			continue
		}
		moved := func(d calendar.Due) {
			switch d.Clock {
			case calendar.Handle:
				leg().OriginalDue, leg().Due = j.says(d.OriginalDue), j.says(d.Due)
			case calendar.Sign:
				leg().SignDue = j.says(d.Due)
			case calendar.Contact:
				leg().ContactDue = j.says(d.Due)
			}
		}
		verdict := func(passed, sampled bool) {
			at := j.says(e.Meta.Recorded)
			if rs := leg().Reports; round == 1 && len(rs) > 0 {
				rs[len(rs)-1].JudgedAt, rs[len(rs)-1].Passed, rs[len(rs)-1].Sampled = at, passed, sampled
			}
		}
		resume := func(at time.Time) {
			if ss := leg().Suspensions; len(ss) > 0 && ss[len(ss)-1].To.IsZero() {
				ss[len(ss)-1].To = at
			}
		}
		switch b := e.Body.(type) {
		case order.Redispatched:
			begin(b.By, b.Lead, b.Competent, b.CoUnits, b.Sign, b.Contact, b.Handle)
		case order.Signed:
			leg().SignedAt = j.tells(e, b.At)
		case order.Contacted:
			at := j.tells(e, b.At)
			if leg().ContactedAt.IsZero() {
				leg().ContactedAt = at
			}
			missed := 0
			for _, d := range served {
				if !slices.Contains(b.Demands, d) {
					missed++
				}
			}
			if missed == 0 {
				leg().AllContacted = at
			}
		case order.ContactNotRequired:
			leg().NoContact = true
		case order.ReturnRequested:
			leg().ReturnAskedAt = j.tells(e, counted(e, since))
		case order.ReturnRefused:
			leg().ReturnsRefused++
		case order.ReturnApproved:
			leg().Returned = true
		case order.ExtensionGranted:
			if round == 1 {
				leg().Extensions++
				if b.Handle.Clock == calendar.Handle {
					moved(b.Handle)
				}
			}
		case order.DeadlineRecomputed:
			if round == 1 && slices.ContainsFunc(running, func(d calendar.Due) bool { return d.ID == b.Replaces }) {
				moved(b.Clock)
			}
		case order.Suspended:
			if round == 1 {
				leg().Suspensions = append(leg().Suspensions, assessment.Span{From: j.tells(e, b.FrozenAt)})
			}
		case order.Resumed:
			if round == 1 {
				resume(j.says(e.Meta.Recorded))
				moved(b.Handle)
			}
		case order.Reported:
			if round == 1 {
				leg().Reports = append(leg().Reports, assessment.Report{DoneAt: j.says(b.DoneAt), At: j.says(e.Meta.Recorded)})
			}
		case order.VerificationPassed:
			if round == 1 {
				verdict(true, b.Method == "sampled_out")
			}
		case order.VerificationFailed:
			reworks++
			verdict(false, false)
			if round == 1 {
				moved(b.Handle)
			}
		case order.ReworkOrdered, order.Reopened:
			reworks++
			round++
		case order.Closed:
			closed = j.tells(e, counted(e, since))
		case order.Cancelled:
			cancelled = true
			resume(j.says(e.Meta.Recorded))
		case order.DemandAttached:
			if !slices.Contains(served, b.Demand) {
				served = append(served, b.Demand)
			}
		case order.DemandDetached:
			served = slices.DeleteFunc(served, func(d stream.ID) bool { return d == b.Demand })
		case order.Reassigned:
			leg().Lead = b.Lead
		case order.Rated:
			if b.Leg <= len(j.legs) {
				j.legs[b.Leg-1].Rating = b.Score
			}
		}
		since, running = after.Since, after.Running
	}
	if round == 0 {
		return nil
	}
	if len(served) == 0 {
		served = nil
	}
	for i := range j.legs {
		l := &j.legs[i]
		l.Demands, l.Reworks, l.Cancelled, l.ClosedAt = served, reworks, cancelled, closed
	}
	j.place, j.refers = form.Place, served
	return &j
}

func (o oracle) whistle(id stream.ID) *judged {
	var j judged
	var since time.Time
	var over bool
	cards := map[orgs.UnitCode]whistle.Card{}
	left, released, spared := map[orgs.UnitCode]bool{}, map[orgs.UnitCode]bool{}, map[orgs.UnitCode]bool{}
	for _, e := range o.of(stream.Of(stream.Whistle, id)) {
		each := func(u orgs.UnitCode, f func(*assessment.Summons)) {
			for i := range j.calls {
				if j.calls[i].Unit == u {
					f(&j.calls[i])
				}
			}
		}
		switch b := e.Body.(type) {
		case whistle.Blown:
			j.at, j.place = e.at, o.where(b.Street)
			at := j.says(e.Meta.Recorded)
			for _, u := range b.Units {
				j.calls = append(j.calls, assessment.Summons{Whistle: id, Street: b.Street, Unit: u.Unit, BlownAt: at, Due: j.says(u.ReportIn.Due), Outcome: -1, Score: -1})
			}
		case whistle.UnitReportedIn:
			each(b.Unit, func(s *assessment.Summons) { s.Reported, s.Late = j.tells(e, b.At), b.Late })
		case whistle.UnitAbsent:
			each(b.Unit, func(s *assessment.Summons) { s.Absent = true })
		case whistle.UnitExcused:
			each(b.Unit, func(s *assessment.Summons) { s.Excused = true })
		case whistle.UnitReleased:
			released[b.Unit], left[b.Unit] = true, b.Left
		case whistle.Concluded:
			end := j.tells(e, b.At)
			clear(spared)
			for _, u := range b.Spared {
				spared[u] = true
			}
			for i := range j.calls {
				s := &j.calls[i]
				_, carded := cards[s.Unit]
				s.Ended = end
				if !over && !s.Excused && !carded && s.Reported.IsZero() && !spared[s.Unit] {
					s.Absent = true
				}
			}
		case whistle.Cancelled:
			over = true
			end := j.tells(e, counted(e, since))
			for i := range j.calls {
				j.calls[i].Ended = end
			}
		case whistle.Scored:
			for _, c := range b.Cards {
				cards[c.Unit] = c
			}
		case whistle.Rescored:
			cards[b.Card.Unit] = b.Card
		}
		since = e.After.(whistle.State).Since
	}
	if j.at == 0 {
		return nil
	}
	for i := range j.calls {
		s := &j.calls[i]
		s.Void = over || spared[s.Unit] && s.Reported.IsZero()
		s.Stayed = released[s.Unit] && !left[s.Unit]
		if c, carded := cards[s.Unit]; carded {
			s.Late, s.Absent, s.Stayed, s.Score = c.ReportIn == whistle.Late, c.ReportIn == whistle.Absent, c.Stayed, int64(c.Score)
			if !c.Unrated {
				s.Outcome = c.Outcome
			}
		}
	}
	return &j
}

func (o oracle) dispute(id stream.ID) *judged {
	d := assessment.Dispute{ID: id}
	j := &judged{dispute: &d}
	var since time.Time
	rung, mediator := 0, orgs.UnitCode("")
	for _, e := range o.of(stream.Of(stream.Dispute, id)) {
		end := func(how string) {
			d.End, d.EndedAt, d.Rung, d.Unit = how, j.tells(e, counted(e, since)), rung, mediator
		}
		switch b := e.Body.(type) {
		case dispute.Opened:
			j.at, d.Demand, d.Place, rung = e.at, b.Demand, o.where(b.Unit), int(b.Rung)
		case dispute.MediationAccepted:
			d.Accepted, mediator = true, b.Unit
		case dispute.ReferredUp:
			rung, mediator = int(b.Rung), ""
		case dispute.MediationSucceeded:
			end("agreed")
		case dispute.ReferredOut:
			end("referred_out")
		case dispute.Withdrawn:
			end("ended")
		case dispute.AgreementBreached:
			d.End, d.EndedAt, d.Rung, d.Unit = "", time.Time{}, 0, ""
		}
		since = e.After.(dispute.State).Since
	}
	if j.at == 0 {
		return nil
	}
	j.place = d.Place
	return j
}

func (o oracle) topic(id stream.ID) *judged {
	t := assessment.Topic{ID: id}
	j := &judged{topic: &t}
	var since time.Time
	for _, e := range o.of(stream.Of(stream.Topic, id)) {
		switch b := e.Body.(type) {
		case topic.Proposed:
			j.at, t.Place = e.at, o.where(b.Unit)
		case topic.Adopted, topic.Rejected:
			if j.at > 0 {
				_, adopted := b.(topic.Adopted)
				linked := o.linked(id, j.at, e.at)
				t.Decisions = append(t.Decisions, assessment.TopicDecision{Adopted: adopted, At: j.tells(e, counted(e, since)), Demands: linked})
				j.refers = append(j.refers, linked...)
			}
		}
		since = e.After.(topic.State).Since
	}
	if j.at == 0 {
		return nil
	}
	j.place = t.Place
	return j
}

// linked lists the demands that came under a topic after it began and are under it at a position, by when they came.
func (o oracle) linked(id stream.ID, from, to Position) (ids []stream.ID) {
	for _, e := range o.log {
		if e.at > to || e.Stream.Category() != stream.Demand {
			continue
		}
		d, under := e.Stream.ID(), false
		if s, ok := e.After.(demand.State); ok {
			under = s.Topic == id && s.Phase != demand.PhaseWithdrawn
		}
		i := slices.Index(ids, d)
		was := false
		if s, ok := e.Before.(demand.State); ok {
			was = s.Topic == id && s.Phase != demand.PhaseWithdrawn
		}
		switch {
		case under && !was && e.at > from:
			ids = append(ids, d)
		case !under && i >= 0:
			ids = slices.Delete(ids, i, i+1)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// facts is what [Gather] is to find.
func (o oracle) facts(scope Scope) assessment.Facts {
	found := map[stream.ID]*judged{}
	for _, e := range o.log {
		id := e.Stream.ID()
		if found[id] != nil && e.Stream.Category() != stream.Gate {
			continue
		}
		var j *judged
		switch e.Stream.Category() {
		case stream.Demand:
			j = o.demand(id)
		case stream.Order:
			j = o.order(id)
		case stream.Whistle:
			j = o.whistle(id)
		case stream.Dispute:
			j = o.dispute(id)
		case stream.Topic:
			j = o.topic(id)
		case stream.Gate:
			b := e.Body.(duty.Blocked)
			j = &judged{at: e.at, place: o.where(b.Target)}
			j.block = &assessment.Blocked{Target: b.Target, Matter: b.Matter, At: j.tells(e, counted(e, time.Time{}))}
			id = e.ID
		}
		if j != nil {
			found[id] = j
		}
	}
	chosen := map[stream.ID]bool{}
	for id, j := range found {
		p := j.place
		here := slices.Contains([]orgs.UnitCode{"", p.Unit, p.Community, p.Street, p.District}, scope.Jurisdiction)
		then := slices.ContainsFunc(j.instants, func(t time.Time) bool {
			d := calendar.DateOf(t)
			return scope.First <= d && d <= scope.Last
		})
		chosen[id] = here && (scope.Jurisdiction == "" || here) && then
	}
	more := map[stream.ID]bool{}
	for id, j := range found {
		if chosen[id] {
			for _, r := range j.refers {
				more[r] = !chosen[r]
			}
		}
	}
	for r, new := range more {
		if new && found[r] != nil && found[r].demand != nil {
			for _, x := range found[r].demand.Orders {
				chosen[x] = true
			}
		}
		chosen[r] = true
	}
	var all []*judged
	for id, j := range found {
		if chosen[id] {
			all = append(all, j)
		}
	}
	slices.SortFunc(all, func(a, b *judged) int { return cmp.Compare(a.at, b.at) })
	var f assessment.Facts
	for _, j := range all {
		switch {
		case j.demand != nil:
			f.Demands = append(f.Demands, *j.demand)
		case j.dispute != nil:
			f.Disputes = append(f.Disputes, *j.dispute)
		case j.topic != nil:
			f.Topics = append(f.Topics, *j.topic)
		case j.block != nil:
			f.Blocks = append(f.Blocks, *j.block)
		}
		f.Legs, f.Summonses = append(f.Legs, j.legs...), append(f.Summonses, j.calls...)
	}
	return f
}
