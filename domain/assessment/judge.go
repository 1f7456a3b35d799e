package assessment

import (
	"slices"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// An outcome is what the judge says of one case under one indicator. Counting and drill-down read the same outcomes.
type outcome struct {
	in   bool     // it is in the cohort
	n, d Fraction // what it adds to the numerator and the denominator
	why  string   // why it does not count, or is left out
	raw  verdict  // what it was before exclusions and objections; 0: nothing of the kind was decided
}

// A verdict is the number of an outcome in the judge's table; 0 is "does not concern this case".
type verdict uint32

// The verdicts that need no decision of anybody. After them the table holds those that do, and those that are worth a fraction.
const (
	absent verdict = iota
	counts
	fails
	late
	undone
	unsigned
	uncontacted
	unreachedFails
	notCalledFails
	absentFails
	suspendedFails
	pendingFails
	cancelledFails
	carried
	lateCarried
	undoneCarried
	returned
	cancelled
	suspended
	pending
	excused
	void
	unreached
	anonymous
	doNotCall
	notCalled
	noContact
	notContacted
	errand
	proxy
	notDue
	unanswered
	noData
)

// outcomes returns the table that every judge begins with.
func outcomes() []outcome {
	zero, one := Of(0, 1), Of(1, 1)
	in := func(n Fraction, why string) outcome { return outcome{in: true, n: n, d: one, why: why} }
	out := func(why string) outcome { return outcome{n: zero, d: zero, why: why} }
	return []outcome{
		absent: out(""), counts: in(one, ""), fails: in(zero, ""), late: in(zero, "late"), undone: in(zero, "undone"),
		unsigned: in(zero, "unsigned"), uncontacted: in(zero, "uncontacted"), unreachedFails: in(zero, "unreached"),
		notCalledFails: in(zero, "not_called"), absentFails: in(zero, "absent"),
		suspendedFails: in(zero, "suspended"), pendingFails: in(zero, "pending"), cancelledFails: in(zero, "cancelled"),
		carried: in(one, "carried"), lateCarried: in(zero, "late+carried"), undoneCarried: in(zero, "undone+carried"),
		returned: out("returned"), cancelled: out("cancelled"), suspended: out("suspended"), pending: out("pending"),
		excused: out("excused"), void: out("void"), unreached: out("unreached"), anonymous: out("anonymous"),
		doNotCall: out("do_not_call"), notCalled: out("not_called"), noContact: out("no_contact"), notContacted: out("not_contacted"),
		errand: out("errand"), proxy: out("proxy"), notDue: out("not_due"), unanswered: out("unanswered"), noData: out("no_data"),
	}
}

// upheld is the reason of a verdict that an objection changed.
const upheld = "upheld"

// excludedFor begins the reason of an item that was left out on request.
const excludedFor = "excluded:"

// judge says of every case what it counts. It knows the scheme's choices, the period and what was decided on exclusions and objections.
type judge struct {
	facts    *Facts
	from, to int64 // the period, [from, to), in Unix seconds
	earlier  []cut

	// choices, read
	byFiling, byClosing                          bool // attribute
	signature, everyDemand                       bool // response.event, contact.scope
	original                                     bool // extension.due
	instant                                      string
	suspendedCounts, pendingNext, pendingPassed  bool
	cancelledIn, errandsIn, noAnonymous, noProxy bool
	firstGrade                                   bool
	grade                                        [6]verdict
	unreachedResolved, unreachedSatisfied        verdict

	table   []outcome
	known   map[outcome]verdict
	demands *stream.Index // where each stands in the facts
	cards   map[Card]verdict
	over    map[int32]bool // legs suspended beyond the cap (frozen.cap)
	rulings map[caseKey][]ruling
	waiting map[string]bool // rulings that changed nothing yet, by name
}

type cut struct{ from, to, cutoff int64 }

// caseKey names a case without its text.
type caseKey struct {
	category stream.Category
	id       stream.ID
	leg      int
	unit     orgs.UnitCode
}

// ruling is a granted exclusion or an upheld objection.
type ruling struct {
	indicators []Indicator // empty = all
	reason     Reason
	verdict    Verdict // of an objection
	name       string  // "exclusion 3"
}

func newJudge(rs rules, values map[Name]string, p Period, f *Facts) *judge {
	j := &judge{
		facts: f, from: p.First.Start().Unix(), to: (p.Last + 1).Start().Unix(),
		byFiling: rs.is(Attribute, "filed"), byClosing: rs.is(Attribute, "closed"),
		signature: rs.is(ResponseEvent, "signature"), everyDemand: rs.is(ContactScope, "every"),
		original: rs.is(ExtensionDue, "original"), instant: rs[TimelyInstant].word,
		suspendedCounts: rs.is(SuspendedAs, "overdue"), pendingNext: rs.is(PendingAs, "next"), pendingPassed: rs.is(PendingAs, "passed"),
		cancelledIn: rs.is(CancelledAs, "in"), errandsIn: rs.is(Errands, "included"),
		noAnonymous: rs.is(AnonymousAs, "left_out"), noProxy: rs.is(ProxyAs, "left_out"), firstGrade: rs.is(Rerate, "first"),
		table: outcomes(), known: map[outcome]verdict{}, over: map[int32]bool{}, cards: map[Card]verdict{}, rulings: map[caseKey][]ruling{}, waiting: map[string]bool{},
	}
	for i, o := range j.table {
		j.known[o] = verdict(i)
	}
	for _, e := range p.Earlier {
		j.earlier = append(j.earlier, cut{e.First.Start().Unix(), (e.Last + 1).Start().Unix(), e.Cutoff.Unix()})
	}
	slices.SortFunc(j.earlier, func(a, b cut) int { return int(a.from - b.from) })
	for g, worth := range grades(values[SatisfactionMap]) {
		j.grade[g] = j.worth(worth, "")
	}
	j.unreachedResolved, j.unreachedSatisfied = unreached, unreached
	switch rs[UnreachedAs].word {
	case "neutral":
		v := j.worth(rs[UnreachedAs].number.Fraction(), "unreached")
		j.unreachedResolved, j.unreachedSatisfied = v, v
	case "satisfied":
		v := j.worth(Of(1, 1), "unreached")
		j.unreachedResolved, j.unreachedSatisfied = v, v
	case "unsatisfied":
		j.unreachedResolved, j.unreachedSatisfied = unreachedFails, unreachedFails
	}
	for _, e := range p.Exclusions {
		if e.Status == Granted {
			j.decide(e.Case, ruling{indicators: e.Indicators, reason: e.Reason, name: numbered("exclusion", e.Number)})
		}
	}
	for _, o := range p.Objections {
		if o.Status == Granted && o.Verdict != "" {
			r := ruling{verdict: o.Verdict, name: numbered("objection", o.Number)}
			if o.Indicator != "" {
				r.indicators = []Indicator{o.Indicator}
			}
			j.decide(o.Case, r)
		}
	}
	j.demands = stream.NewIndex(len(f.Demands))
	for i := range f.Demands {
		j.demands.Put(f.Demands[i].ID, int32(i))
	}
	return j
}

func (j *judge) decide(c Case, r ruling) {
	key := caseKey{c.Stream.Category(), c.Stream.ID(), c.Leg, c.Unit}
	j.rulings[key] = append(j.rulings[key], r)
	j.waiting[r.name] = true
}

// idle returns the names of the decisions that no case was found for, or that found it as they wanted it.
func (j *judge) idle() map[string]bool { return j.waiting }

// verdictOf returns the verdict of an outcome, entering it in the table if it is new.
func (j *judge) verdictOf(o outcome) verdict {
	v, ok := j.known[o]
	if !ok {
		v = verdict(len(j.table))
		j.table = append(j.table, o)
		j.known[o] = v
	}
	return v
}

// worth returns the verdict of a case that counts so much of 1.
func (j *judge) worth(n Fraction, why string) verdict {
	return j.verdictOf(outcome{in: true, n: n, d: Of(1, 1), why: why})
}

// ruled returns the verdict after the exclusions and objections on the case, those on all its parts included.
// An exclusion takes out what is in; an upheld objection has the last word. What an indicator does not concern stays so.
func (j *judge) ruled(key caseKey, i Indicator, v verdict) verdict {
	if len(j.rulings) == 0 || v == absent {
		return v
	}
	raw := v
	whole := caseKey{category: key.category, id: key.id}
	rs := j.rulings[whole]
	if key != whole {
		rs = slices.Concat(rs, j.rulings[key])
	}
	for _, objections := range []bool{false, true} {
		for _, r := range rs {
			if (r.verdict != "") == objections && (len(r.indicators) == 0 || slices.Contains(r.indicators, i)) {
				if now := j.apply(r, v, raw); now != v {
					v = now
					delete(j.waiting, r.name)
				}
			}
		}
	}
	return v
}

func (j *judge) apply(r ruling, v, raw verdict) verdict {
	zero, one := Of(0, 1), Of(1, 1)
	switch r.verdict {
	case Counts:
		return j.verdictOf(outcome{in: true, n: one, d: one, why: upheld, raw: raw})
	case Fails:
		return j.verdictOf(outcome{in: true, n: zero, d: one, why: upheld, raw: raw})
	case LeftOut:
		return j.verdictOf(outcome{n: zero, d: zero, why: upheld, raw: raw})
	}
	if !j.table[v].in {
		return v
	}
	return j.verdictOf(outcome{n: zero, d: zero, why: excludedFor + string(r.reason), raw: raw})
}

// during reports whether t lies in the period.
func (j *judge) during(t time.Time) bool {
	if t.IsZero() {
		return false
	}
	s := t.Unix()
	return s >= j.from && s < j.to
}

// belongs picks the instant that says which period a case belongs to (choice attribute).
func (j *judge) belongs(due, filed, closed time.Time) time.Time {
	switch {
	case j.byFiling:
		return filed
	case j.byClosing:
		return closed
	}
	return due
}

// The indicators of legs, in the order of their verdicts.
const (
	legSign = iota
	legResponse
	legErrandResponse
	legFirstContact
	legClosure
	legOnTime
	legOnTimeOriginal
	legRework
	legExtension
	legReturn
	legInvalidReturn
	legMisdispatch
	legFirstAccuracy
	legExclusions
	legSuspended
	legCard
	legRating
	legIndicators
)

// leg judges the i-th leg.
func (j *judge) leg(i int32, vs []verdict) {
	l := &j.facts.Legs[i]
	if j.leftOut(l) {
		j.legWithout(l, vs)
		return
	}
	vs[legSign] = j.sign(l)
	j.response(l, vs)
	j.handled(i, l, vs)
	if j.during(l.DispatchedAt) {
		vs[legReturn] = yes(!l.ReturnAskedAt.IsZero())
		vs[legInvalidReturn] = yes(l.ReturnsRefused > 0)
		vs[legMisdispatch] = yes(l.Returned)
		if l.Number == 1 {
			vs[legFirstAccuracy] = yes(!l.Returned)
		}
	}
	if j.during(l.ClosedAt) {
		switch {
		case l.Returned:
			vs[legCard] = returned
		case l.Cancelled && !j.cancelledIn:
			vs[legCard] = cancelled
		default:
			vs[legCard] = j.card(l)
			if l.Rating >= 0 {
				vs[legRating] = j.worth(Of(int64(l.Rating), 100), "")
			}
		}
	}
	if len(j.rulings) > 0 {
		key := caseKey{category: stream.Order, id: l.Order, leg: l.Number}
		for k, ind := range familyOf(ofLegs) {
			if ind != Exclusions {
				vs[k] = j.ruled(key, ind, vs[k])
			}
		}
	}
	vs[legExclusions] = j.askedOut(vs[legOnTime])
}

func yes(b bool) verdict {
	if b {
		return counts
	}
	return fails
}

// leftOut reports whether all demands of a leg are of a kind that the scheme leaves out (choices anonymous, proxy).
func (j *judge) leftOut(l *Leg) bool {
	if !j.noAnonymous && !j.noProxy || len(l.Demands) == 0 {
		return false
	}
	for _, id := range l.Demands {
		at, known := j.demands.At(id)
		if !known || j.apart(&j.facts.Demands[at]) == absent {
			return false
		}
	}
	return true
}

// legWithout lists such a leg where it would have been counted.
func (j *judge) legWithout(l *Leg, vs []verdict) {
	at, _ := j.demands.At(l.Demands[0])
	why := j.apart(&j.facts.Demands[at])
	if j.during(j.belongs(l.SignDue, l.DispatchedAt, l.ClosedAt)) {
		vs[legSign] = why
	}
	if j.during(j.belongs(l.ContactDue, l.DispatchedAt, l.ClosedAt)) {
		vs[legResponse], vs[legFirstContact] = why, why
	}
	if j.during(j.belongs(j.due(l), l.DispatchedAt, l.ClosedAt)) {
		for _, k := range []int{legClosure, legOnTime, legRework, legExtension, legExclusions, legSuspended} {
			vs[k] = why
		}
	}
}

// apart returns why the scheme leaves a demand out of everything, or absent.
func (j *judge) apart(d *Demand) verdict {
	switch {
	case j.noAnonymous && d.Anonymous:
		return anonymous
	case j.noProxy && d.Proxy:
		return proxy
	}
	return absent
}

func (j *judge) sign(l *Leg) verdict {
	switch {
	case l.SignDue.IsZero() || !j.during(j.belongs(l.SignDue, l.DispatchedAt, l.ClosedAt)):
		return absent
	case l.Returned:
		return returned
	case l.Cancelled && !j.cancelledIn:
		return cancelled
	case inTime(l.signed(), l.SignDue) == Met:
		return counts
	case l.signed().IsZero():
		return unsigned
	}
	return late
}

// response judges what depends on the contact: the response, by errands and all else, and the time to the first contact.
func (j *judge) response(l *Leg, vs []verdict) {
	if l.ContactDue.IsZero() || !j.during(j.belongs(l.ContactDue, l.DispatchedAt, l.ClosedAt)) {
		return
	}
	at := l.ContactedAt
	switch {
	case j.signature:
		at = l.SignedAt
	case j.everyDemand:
		at = l.AllContacted
	}
	var v verdict
	switch {
	case l.Returned:
		v = returned
	case l.Cancelled && !j.cancelledIn:
		v = cancelled
	case l.NoContact:
		v = noContact
	case inTime(at, l.ContactDue) == Met:
		v = counts
	case at.IsZero():
		v = uncontacted
	default:
		v = late
	}
	vs[legResponse], vs[legFirstContact] = v, v
	if l.Kind == kindErrand {
		vs[legErrandResponse] = v
		if !j.errandsIn && j.table[v].in {
			vs[legResponse] = errand
		}
	}
	if j.table[v].in {
		vs[legFirstContact] = counts
		if l.ContactedAt.IsZero() {
			vs[legFirstContact] = notContacted
		}
	}
}

// kindErrand is the kind of demand that has a line of its own.
const kindErrand = "errand"

// kindReport is the kind of demand that few may know of.
const kindReport = "report"

// minutes returns the time from dispatch to first contact, in whole minutes, truncated.
func (l *Leg) minutes() int32 { return int32((l.ContactedAt.Unix() - l.DispatchedAt.Unix()) / 60) }

// due returns the due instant that the leg is judged on (choice extension.due).
func (j *judge) due(l *Leg) time.Time {
	if j.original && !l.OriginalDue.IsZero() {
		return l.OriginalDue
	}
	return l.Due
}

// handled judges what is counted over the legs due in the period.
func (j *judge) handled(i int32, l *Leg, vs []verdict) {
	if due := j.due(l); !due.IsZero() {
		vs[legClosure], vs[legOnTime] = j.settled(i, l, due)
		switch o := j.table[vs[legClosure]]; {
		case vs[legClosure] == absent:
		case o.in:
			vs[legRework], vs[legExtension], vs[legSuspended] = yes(l.Reworks > 0), yes(l.Extensions > 0), fails
			if vs[legClosure] == suspendedFails {
				vs[legSuspended] = counts
			}
		default:
			vs[legRework], vs[legExtension], vs[legSuspended] = vs[legClosure], vs[legClosure], vs[legClosure]
			if vs[legClosure] == suspended {
				vs[legSuspended] = counts
			}
		}
	}
	if !l.OriginalDue.IsZero() {
		_, vs[legOnTimeOriginal] = j.settled(i, l, l.OriginalDue)
	}
}

// settled says whether a leg is among those due in the period, and if so whether it was closed, and closed in time.
func (j *judge) settled(i int32, l *Leg, due time.Time) (closure, onTime verdict) {
	at := j.belongs(due, l.DispatchedAt, l.ClosedAt)
	if at.IsZero() {
		return absent, absent
	}
	late, undone, counts := late, undone, counts
	if !j.during(at) {
		if !j.pendingNext || at.Unix() >= j.from || !j.carriedOver(l, at.Unix()) {
			return absent, absent
		}
		late, undone, counts = lateCarried, undoneCarried, carried
	}
	done, passed := j.done(l)
	waits := !passed && len(l.Reports) > 0 && l.Reports[len(l.Reports)-1].JudgedAt.IsZero()
	switch {
	case l.Returned:
		return returned, returned
	case l.Cancelled && !j.cancelledIn:
		return cancelled, cancelled
	case l.suspendedAt(j.to) && !j.suspendedCounts && !j.over[i]:
		return suspended, suspended
	case l.suspendedAt(j.to):
		return suspendedFails, suspendedFails
	case waits && j.pendingNext:
		return pending, pending
	case waits:
		return pendingFails, pendingFails
	case done.IsZero() && l.Cancelled:
		return cancelledFails, cancelledFails
	case done.IsZero() && due.Unix() >= j.to:
		return notDue, notDue // only where the period is that of the filing
	case done.IsZero():
		return undone, undone
	case done.Unix() > due.Unix():
		return counts, late
	}
	return counts, counts
}

// done returns the instant at which the leg was done (choice timely.instant), zero if it was not, and whether a report passed.
func (j *judge) done(l *Leg) (at time.Time, passed bool) {
	for k, r := range l.Reports {
		if !r.Passed && !(j.pendingPassed && k == len(l.Reports)-1 && r.JudgedAt.IsZero()) {
			continue
		}
		switch j.instant {
		case "first_report":
			return l.Reports[0].DoneAt, true
		case "verified":
			if r.JudgedAt.IsZero() {
				return r.DoneAt, true
			}
			return r.JudgedAt, true
		case "closed":
			return l.ClosedAt, true
		}
		return r.DoneAt, true
	}
	return time.Time{}, false
}

// suspendedAt reports whether the leg was suspended just before t.
func (l *Leg) suspendedAt(t int64) bool {
	for _, s := range l.Suspensions {
		if s.From.Unix() < t && (s.To.IsZero() || s.To.Unix() >= t) {
			return true
		}
	}
	return false
}

// carriedOver reports whether a leg that belonged to an earlier period was left to the next one, from then to now.
func (j *judge) carriedOver(l *Leg, at int64) bool {
	over := false
	for _, c := range j.earlier {
		if at >= c.from && at < c.to {
			over = true
		}
		if over && !l.pendingAt(c.cutoff) {
			return false
		}
	}
	return over
}

// pendingAt reports whether the leg was reported and not yet judged at an instant of the log.
func (l *Leg) pendingAt(t int64) bool {
	waits := false
	for _, r := range l.Reports {
		if r.At.Unix() > t {
			break
		}
		judged := !r.JudgedAt.IsZero() && r.JudgedAt.Unix() <= t
		if judged && r.Passed {
			return false
		}
		waits = !judged
	}
	return waits
}

// askedOut turns the verdict on the time into one on whether the leg was left out on request.
func (j *judge) askedOut(v verdict) verdict {
	o := j.table[v]
	switch {
	case v == absent:
		return absent
	case o.in:
		return fails
	case len(o.why) > len(excludedFor) && o.why[:len(excludedFor)] == excludedFor:
		return counts
	}
	return v
}

func (j *judge) card(l *Leg) verdict {
	c := j.cardOf(l)
	v, known := j.cards[c]
	if !known {
		v = noData
		if p, ok := c.Points(); ok {
			v = j.worth(p.Over(Of(100, 1)), "")
		}
		j.cards[c] = v // a city's year has some hundred different ones
	}
	return v
}

// cardOf returns the card of a leg, with what the residents said last.
func (j *judge) cardOf(l *Leg) Card {
	c := l.Card()
	for _, id := range l.Demands {
		if at, known := j.demands.At(id); known {
			if cb, ok := j.lastAnswer(&j.facts.Demands[at]); ok {
				c.answer(cb)
			}
		}
	}
	return c
}

// lastAnswer returns what the resident said last, by the choice rerate.
func (j *judge) lastAnswer(d *Demand) (Callback, bool) {
	for k := len(d.Callbacks) - 1; k >= 0; k-- {
		if !d.Callbacks[k].Rerating || !j.firstGrade {
			return d.Callbacks[k], true
		}
	}
	return Callback{}, false
}

// The indicators of demands, in the order of their verdicts.
const (
	demandAcceptance = iota
	demandDispatch
	demandCallback
	demandResolution
	demandSatisfaction
	demandErrandResolution
	demandErrandSatisfaction
	demandFastTrack
	demandRepeat
	demandUnreached
	demandIndicators
)

// demand judges a demand.
func (j *judge) demand(d *Demand, vs []verdict) {
	if j.during(d.RaisedAt) {
		vs[demandAcceptance] = yes(!d.AcceptedAt.IsZero())
	}
	accepted := j.during(d.AcceptedAt)
	if accepted {
		vs[demandDispatch] = yes(d.Dispatched)
		vs[demandFastTrack] = yes(d.FastTracked || d.OnTheSpot)
	}
	reopened := d.Repeats == d.ID && j.during(d.RepeatedAt)
	if accepted || reopened {
		vs[demandRepeat] = yes(j.repeats(d))
	}
	j.called(d, vs)
	if why := j.apart(d); why != absent {
		for k := range vs {
			if vs[k] != absent {
				vs[k] = why
			}
		}
	}
	if len(j.rulings) > 0 {
		key := caseKey{category: stream.Demand, id: d.ID}
		for k, ind := range familyOf(ofDemands) {
			vs[k] = j.ruled(key, ind, vs[k])
		}
	}
}

// repeatDays is how old what is repeated may be.
const repeatDays = 90

// repeats reports whether the demand is of the same matter as one raised at most 90 days before it was accepted as such, or was reopened that soon.
func (j *judge) repeats(d *Demand) bool {
	at, known := j.demands.At(d.Repeats)
	if !known || d.Repeats.IsZero() {
		return false
	}
	when := d.RaisedAt
	if d.Repeats == d.ID {
		when = d.RepeatedAt
		if !j.during(when) {
			return false // it was accepted in this period and reopened in another
		}
	}
	return days(when)-days(j.facts.Demands[at].RaisedAt) <= repeatDays
}

// called judges the callbacks: whether the resident was reached, and what they said.
func (j *judge) called(d *Demand, vs []verdict) {
	if !d.CallbackDue.IsZero() && j.during(j.belongs(d.CallbackDue, d.RaisedAt, d.ClosedAt)) {
		switch {
		case d.Anonymous:
			vs[demandCallback] = anonymous
		case d.NoCallback:
			vs[demandCallback] = doNotCall
		case d.Reached:
			vs[demandCallback] = counts
		case d.Waived == "unreached":
			vs[demandCallback] = unreachedFails
		default:
			vs[demandCallback] = notCalledFails
		}
	}
	cb, answered := j.answer(d)
	resolved, satisfied := absent, absent
	switch {
	case answered:
		resolved = yes(cb.Resolved)
		satisfied = unanswered
		if cb.Grade >= 1 && cb.Grade <= 5 {
			satisfied = j.grade[cb.Grade]
		}
	case d.Waived != "" && !d.Reached && j.during(j.belongs(d.WaivedAt, d.RaisedAt, d.ClosedAt)):
		switch d.Waived {
		case "unreached":
			resolved, satisfied = j.unreachedResolved, j.unreachedSatisfied
			vs[demandUnreached] = counts
		case "anonymous":
			resolved, satisfied = anonymous, anonymous
		case "do_not_call":
			resolved, satisfied = doNotCall, doNotCall
		default:
			resolved, satisfied = notCalled, notCalled
		}
	}
	if answered {
		vs[demandUnreached] = fails
	}
	vs[demandResolution], vs[demandSatisfaction] = resolved, satisfied
	if d.Kind == kindErrand {
		vs[demandErrandResolution], vs[demandErrandSatisfaction] = resolved, satisfied
		if !j.errandsIn && resolved != absent {
			vs[demandResolution], vs[demandSatisfaction] = errand, errand
		}
	}
}

// answer returns the answer that counts in the period: that of the last callback in it, as changed before the cut-off (choice rerate).
func (j *judge) answer(d *Demand) (Callback, bool) {
	found := -1
	for k, cb := range d.Callbacks {
		if !cb.Rerating && j.during(j.belongs(cb.At, d.RaisedAt, d.ClosedAt)) {
			found = k
		}
	}
	if found < 0 {
		return Callback{}, false
	}
	cb := d.Callbacks[found]
	for _, next := range d.Callbacks[found+1:] {
		if !next.Rerating || j.firstGrade {
			break
		}
		cb = next
	}
	return cb, true
}

// The indicators of summonses, in the order of their verdicts.
const (
	summonsReportIn = iota
	summonsCard
	summonsIndicators
)

// summons judges one unit called by one whistle.
func (j *judge) summons(s *Summons, vs []verdict) {
	if !s.Due.IsZero() && j.during(j.belongs(s.Due, s.BlownAt, s.Ended)) {
		switch {
		case s.Excused:
			vs[summonsReportIn] = excused
		case s.Void:
			vs[summonsReportIn] = void
		case s.Reported.IsZero():
			vs[summonsReportIn] = absentFails
		case s.Late || inTime(s.Reported, s.Due) != Met:
			vs[summonsReportIn] = late
		default:
			vs[summonsReportIn] = counts
		}
	}
	if j.during(s.Ended) {
		switch {
		case s.Excused:
			vs[summonsCard] = excused
		case s.Void:
			vs[summonsCard] = void
		case s.Score < 0:
			vs[summonsCard] = noData
		default:
			vs[summonsCard] = j.worth(Of(s.Score, 10_000), "")
		}
	}
	key := caseKey{category: stream.Whistle, id: s.Whistle, unit: s.Unit}
	vs[summonsReportIn] = j.ruled(key, ReportIn, vs[summonsReportIn])
	vs[summonsCard] = j.ruled(key, WhistleCard, vs[summonsCard])
}

// endAgreed is the phase of a dispute that was settled.
const endAgreed = "agreed"

func (j *judge) dispute(d *Dispute) verdict {
	if !d.Accepted || !j.during(d.EndedAt) {
		return absent
	}
	return j.ruled(caseKey{category: stream.Dispute, id: d.ID}, Mediation, yes(d.End == endAgreed))
}

// decision returns the last adoption or rejection of a topic in the period, −1 for none.
func (j *judge) decision(t *Topic) int {
	found := -1
	for k, d := range t.Decisions {
		if j.during(d.At) {
			found = k
		}
	}
	return found
}
