package assessment

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// later moves everything of the leg that was asked of it by so many days.
func dueOn(day string) func(*Leg) {
	return func(l *Leg) { l.Due, l.OriginalDue = at(day), at(day) }
}

func open(l *Leg) { l.Reports, l.ClosedAt = nil, time.Time{} }

// waiting was reported in time and is not verified yet.
func waiting(l *Leg) {
	l.Reports, l.ClosedAt = []Report{{DoneAt: at("09 12:00"), At: at("09 12:00")}}, time.Time{}
}

func frozenLeg(l *Leg) {
	open(l)
	l.Suspensions = []Span{{From: at("08 09:00")}}
}

func cancelledLeg(l *Leg) { open(l); l.Cancelled = true }

func TestALegIsJudged(t *testing.T) {
	december := func(l *Leg) { dueOn("30 18:00")(l); l.Due = l.Due.AddDate(0, 0, 5) }
	for _, c := range []struct {
		what      string
		choices   string // "name=value name=value"
		leg       Leg
		indicator Indicator
		want      string
	}{
		{"a leg done in time counts", "", leg(1), OnTime, "1"},
		{"a leg done at the due second counts", "", leg(1, func(l *Leg) { l.Reports[0].DoneAt = l.Due }), OnTime, "1"},
		{"fractions of a second do not count", "", leg(1, func(l *Leg) { l.Reports[0].DoneAt = l.Due.Add(999 * time.Millisecond) }), OnTime, "1"},
		{"a second later is late", "", leg(1, func(l *Leg) { l.Reports[0].DoneAt = l.Due.Add(time.Second) }), OnTime, "0 late"},
		{"a late leg is closed all the same", "", leg(1, lateLeg), Closure, "1"},
		{"an open leg is undone", "", leg(1, open), Closure, "0 undone"},
		{"the last second of the period is in it", "", leg(1, func(l *Leg) { l.Due = at("30 23:59").Add(59 * time.Second) }), Closure, "1"},
		{"the first instant after it is not", "", leg(1, func(l *Leg) { l.Due = at("30 23:59").Add(time.Minute) }), Closure, ""},
		{"the first instant of the period is in it", "", leg(1, func(l *Leg) { l.Due = at("01 00:00") }), Closure, "1"},
		{"the second before it is not", "", leg(1, func(l *Leg) { l.Due = at("01 00:00").Add(-time.Second) }), Closure, ""},
		{"a returned leg is out of the unit's account", "", leg(1, func(l *Leg) { l.Returned = true }), OnTime, "- returned"},
		{"a cancelled order is left out", "", leg(1, cancelledLeg), OnTime, "- cancelled"},
		{"a cancelled order may count", "cancelled.as=in", leg(1, cancelledLeg), OnTime, "0 cancelled"},
		{"a suspended leg is left out", "", leg(1, frozenLeg), OnTime, "- suspended"},
		{"a suspended leg may count as overdue", "suspended.as=overdue", leg(1, frozenLeg), OnTime, "0 suspended"},
		{"the only leg is more than a cap of 10 %", "frozen.cap=overdue:10", leg(1, frozenLeg), OnTime, "0 suspended"},
		{"a suspension that ended in the period is over", "", leg(1, func(l *Leg) { l.Suspensions = []Span{{at("05 09:00"), at("06 09:00")}} }), OnTime, "1"},
		{"an unverified leg goes to the next period", "", leg(1, waiting), OnTime, "- pending"},
		{"an unverified leg may be taken as passed", "pending.as=passed", leg(1, waiting), OnTime, "1"},
		{"an unverified leg may count as not done", "pending.as=not_done", leg(1, waiting), OnTime, "0 pending"},
		{"a leg that failed verification is undone", "", leg(1, func(l *Leg) { l.Reports[0].Passed = false }), OnTime, "0 undone"},
		{"an extension moves the due instant", "", leg(1, lateLeg, func(l *Leg) { l.Due, l.Extensions = at("15 18:00"), 1 }), OnTime, "1"},
		{"the original due stands beside it", "", leg(1, lateLeg, func(l *Leg) { l.Due, l.Extensions = at("15 18:00"), 1 }), OnTimeOriginal, "0 late"},
		{"the original due may be the one", "extension.due=original", leg(1, lateLeg, func(l *Leg) { l.Due = at("15 18:00") }), OnTime, "0 late"},
		{"the original due has a cohort of its own", "", leg(1, december), OnTimeOriginal, "1"},
		{"which the extended one does not share", "", leg(1, december), OnTime, ""},
		{"the first report may be the one", "timely.instant=first_report", leg(1, lateLeg, func(l *Leg) {
			l.Reports = append([]Report{{DoneAt: at("09 12:00"), At: at("09 12:00"), JudgedAt: at("10 09:00")}}, l.Reports...)
		}), OnTime, "1"},
		{"the verification may be the instant", "timely.instant=verified", leg(1, func(l *Leg) { l.Reports[0].JudgedAt = at("11 09:00") }), OnTime, "0 late"},
		{"the closing may be the instant", "timely.instant=closed", leg(1, func(l *Leg) { l.ClosedAt = at("11 09:00") }), OnTime, "0 late"},
		{"verified and not closed is undone by the closing", "timely.instant=closed", leg(1, func(l *Leg) { l.ClosedAt = time.Time{} }), OnTime, "0 undone"},
		{"filing may say which period", "attribute=filed", leg(1, dueOn("30 18:00"), func(l *Leg) { l.Due = l.Due.AddDate(0, 1, 0) }), OnTime, "1"},
		{"filed now and due later is not due", "attribute=filed", leg(1, open, func(l *Leg) { l.Due = l.Due.AddDate(0, 1, 0) }), OnTime, "- not_due"},
		{"closing may say which period", "attribute=closed", leg(1, open), OnTime, ""},
		{"closed now, due long ago", "attribute=closed", leg(1, func(l *Leg) { l.Due = l.Due.AddDate(0, -1, 0) }), OnTime, "0 late"},

		{"a signature in time", "", leg(1), SignOnTime, "1"},
		{"a request to return is a stand taken", "", leg(1, func(l *Leg) { l.SignedAt, l.ReturnAskedAt = time.Time{}, at("03 12:00") }), SignOnTime, "1"},
		{"a late signature", "", leg(1, func(l *Leg) { l.SignedAt = at("03 13:01") }), SignOnTime, "0 late"},
		{"no signature", "", leg(1, func(l *Leg) { l.SignedAt = time.Time{} }), SignOnTime, "0 unsigned"},
		{"a leg without that clock", "", leg(1, func(l *Leg) { l.SignDue = time.Time{} }), SignOnTime, ""},

		{"a contact in time", "", leg(1), Response, "1"},
		{"no contact", "", leg(1, func(l *Leg) { l.ContactedAt = time.Time{} }), Response, "0 uncontacted"},
		{"nobody to contact", "", leg(1, func(l *Leg) { l.NoContact = true }), Response, "- no_contact"},
		{"the signature may be the response", "response.event=signature", leg(1, func(l *Leg) { l.ContactedAt = time.Time{} }), Response, "1"},
		{"not every demand was contacted in time", "contact.scope=every", leg(1, func(l *Leg) { l.AllContacted = at("05 09:00") }), Response, "0 late"},
		{"any of them is enough", "", leg(1, func(l *Leg) { l.AllContacted = at("05 09:00") }), Response, "1"},
		{"an errand is on a line of its own", "", leg(1, func(l *Leg) { l.Kind = "errand" }), Response, "- errand"},
		{"that line", "", leg(1, func(l *Leg) { l.Kind = "errand" }), ErrandResponse, "1"},
		{"an errand may be included", "errands=included", leg(1, func(l *Leg) { l.Kind = "errand" }), Response, "1"},
		{"minutes are of those contacted", "", leg(1, func(l *Leg) { l.ContactedAt = time.Time{} }), FirstContact, "- not_contacted"},

		{"a leg without rework", "", leg(1), Rework, "0"},
		{"a leg with two reworks counts once", "", leg(1, func(l *Leg) { l.Reworks = 2 }), Rework, "1"},
		{"an extended leg", "", leg(1, func(l *Leg) { l.Extensions = 1 }), Extension, "1"},
		{"a request to return", "", leg(1, func(l *Leg) { l.ReturnAskedAt = at("03 12:00") }), Return, "1"},
		{"a refused request", "", leg(1, func(l *Leg) { l.ReturnAskedAt, l.ReturnsRefused = at("03 12:00"), 1 }), InvalidReturn, "1"},
		{"an approved return is a misdispatch", "", leg(1, func(l *Leg) { l.Returned = true }), Misdispatch, "1"},
		{"a first leg that stayed", "", leg(1), FirstAccuracy, "1"},
		{"a second leg is no first one", "", leg(1, func(l *Leg) { l.Number = 2 }), FirstAccuracy, ""},
		{"a suspended leg is listed", "", leg(1, frozenLeg), SuspendedShare, "1"},
		{"a rating", "", leg(1, func(l *Leg) { l.Rating = 85 }), OrderRating, "17/20"},
		{"no rating", "", leg(1), OrderRating, ""},
		{"a card", "", leg(1), OrderCard, "1"},
		{"a returned leg has no card", "", leg(1, func(l *Leg) { l.Returned = true }), OrderCard, "- returned"},
	} {
		r := compute(t, choosing(split(c.choices)...), november(), Facts{Legs: []Leg{c.leg}})
		if got := verdictOn(t, r, string(c.indicator)); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.what, c.indicator, got, c.want)
		}
	}
}

// split reads "name=value name=value".
func split(choices string) (answers []string) {
	for _, c := range strings.Fields(choices) {
		name, value, _ := strings.Cut(c, "=")
		answers = append(answers, name, value)
	}
	return answers
}

func TestADemandIsJudged(t *testing.T) {
	silent := func(cause string) func(*Demand) {
		return func(d *Demand) {
			d.Callbacks, d.Reached, d.Waived, d.WaivedAt = nil, false, cause, at("14 09:00")
			d.Anonymous, d.NoCallback = cause == "anonymous", cause == "do_not_call"
		}
	}
	graded := func(g int) func(*Demand) { return func(d *Demand) { d.Callbacks[0].Grade = g } }
	again := func(when string, grade int) func(*Demand) {
		return func(d *Demand) {
			d.Callbacks = append(d.Callbacks, Callback{At: at(when), Resolved: true, Grade: grade, Rerating: true})
		}
	}
	asErrand := func(d *Demand) { d.Kind = "errand" }
	for _, c := range []struct {
		what      string
		choices   string
		demand    Demand
		indicator Indicator
		want      string
	}{
		{"accepted", "", demand(1), Acceptance, "1"},
		{"not accepted", "", demand(1, func(d *Demand) { d.AcceptedAt = time.Time{} }), Acceptance, "0"},
		{"raised in another period", "", demand(1, func(d *Demand) { d.RaisedAt = d.RaisedAt.AddDate(0, -1, 0) }), Acceptance, ""},
		{"dispatched", "", demand(1), Dispatch, "1"},
		{"answered on the spot is fast", "", demand(1, func(d *Demand) { d.FastTracked, d.OnTheSpot = false, true }), FastTrack, "1"},
		{"by way of a topic is not", "", demand(1, func(d *Demand) { d.FastTracked = false }), FastTrack, "0"},
		{"reached", "", demand(1), CallbackRate, "1"},
		{"not reached", "", demand(1, silent("unreached")), CallbackRate, "0 unreached"},
		{"never called", "", demand(1, silent("not_called")), CallbackRate, "0 not_called"},
		{"anonymous", "", demand(1, silent("anonymous")), CallbackRate, "- anonymous"},
		{"asked not to be called", "", demand(1, silent("do_not_call")), CallbackRate, "- do_not_call"},
		{"resolved", "", demand(1), Resolution, "1"},
		{"not resolved", "", demand(1, func(d *Demand) { d.Callbacks[0].Resolved = false }), Resolution, "0"},
		{"grade 5", "", demand(1, graded(5)), Satisfaction, "1"},
		{"grade 3 is satisfied", "", demand(1, graded(3)), Satisfaction, "1"},
		{"grade 3 may count six tenths", "satisfaction.map=1,1,0.6,0,0", demand(1, graded(3)), Satisfaction, "3/5"},
		{"grade 4 counts in full all the same", "satisfaction.map=1,1,0.6,0,0", demand(1, graded(4)), Satisfaction, "1"},
		{"grade 2 is not", "", demand(1, graded(2)), Satisfaction, "0"},
		{"no grade", "", demand(1, graded(0)), Satisfaction, "- unanswered"},
		{"nobody was reached", "", demand(1, silent("unreached")), Satisfaction, "- unreached"},
		{"nobody was reached: neutral", "unreached.as=neutral:0.5", demand(1, silent("unreached")), Satisfaction, "1/2 unreached"},
		{"nobody was reached: satisfied", "unreached.as=satisfied", demand(1, silent("unreached")), Satisfaction, "1 unreached"},
		{"nobody was reached: not satisfied", "unreached.as=unsatisfied", demand(1, silent("unreached")), Resolution, "0 unreached"},
		{"the share of those not reached", "", demand(1, silent("unreached")), UnreachedShare, "1"},
		{"an anonymous one is never satisfied", "unreached.as=satisfied", demand(1, silent("anonymous")), Satisfaction, "- anonymous"},
		{"one who is not to be called", "", demand(1, silent("do_not_call")), Resolution, "- do_not_call"},
		{"one nobody called", "", demand(1, silent("not_called")), Satisfaction, "- not_called"},
		{"the last grade counts", "", demand(1, again("13 09:00", 1)), Satisfaction, "0"},
		{"even after the period, before the cut-off", "", demand(1, func(d *Demand) { d.Callbacks[0].At = at("30 10:00") }, again("30 23:59", 1), func(d *Demand) { d.Callbacks[1].At = d.Callbacks[1].At.Add(time.Hour) }), Satisfaction, "0"},
		{"or the first", "rerate=first", demand(1, again("13 09:00", 1)), Satisfaction, "1"},
		{"a second callback is no change of grade", "rerate=first", demand(1, again("13 09:00", 1), func(d *Demand) { d.Callbacks[1].Rerating = false }), Satisfaction, "0"},
		{"a callback of another period", "", demand(1, func(d *Demand) { d.Callbacks[0].At = d.Callbacks[0].At.AddDate(0, 1, 0) }), Satisfaction, ""},
		{"filed in this one", "attribute=filed", demand(1, func(d *Demand) { d.Callbacks[0].At = d.Callbacks[0].At.AddDate(0, 1, 0) }), Satisfaction, "1"},
		{"closed in this one", "attribute=closed", demand(1, func(d *Demand) { d.RaisedAt = d.RaisedAt.AddDate(0, -2, 0) }), Satisfaction, "1"},
		{"closed in another", "attribute=closed", demand(1, func(d *Demand) { d.ClosedAt = d.ClosedAt.AddDate(0, 1, 0) }), Satisfaction, ""},
		{"an errand is on a line of its own", "", demand(1, asErrand), Satisfaction, "- errand"},
		{"that line", "", demand(1, asErrand), ErrandSatisfaction, "1"},
		{"and for resolution", "", demand(1, asErrand), ErrandResolution, "1"},
		{"an errand may be included", "errands=included", demand(1, asErrand), Resolution, "1"},
		{"anonymous demands may be left out", "anonymous=left_out", demand(1, silent("anonymous")), Acceptance, "- anonymous"},
		{"anonymous demands are kept", "", demand(1, silent("anonymous")), Acceptance, "1"},
		{"demands on behalf may be left out", "proxy=left_out", demand(1, func(d *Demand) { d.Proxy = true }), Satisfaction, "- proxy"},
		{"demands on behalf are kept", "", demand(1, func(d *Demand) { d.Proxy = true }), Satisfaction, "1"},
		{"no repeat", "", demand(1), Repeat, "0"},
		{"reopened", "", demand(1, func(d *Demand) { d.Repeats, d.RepeatedAt = d.ID, at("20 09:00") }), Repeat, "1"},
		{"reopened in another period", "", demand(1, func(d *Demand) { d.Repeats, d.RepeatedAt = d.ID, at("20 09:00").AddDate(0, 1, 0) }), Repeat, "0"},
		{"accepted in another, reopened in this one", "", demand(1, func(d *Demand) {
			d.RaisedAt, d.AcceptedAt = d.RaisedAt.AddDate(0, -2, 0), d.AcceptedAt.AddDate(0, -2, 0)
			d.Repeats, d.RepeatedAt = d.ID, at("20 09:00")
		}), Repeat, "1"},
		{"reopened after more than 90 days", "", demand(1, func(d *Demand) {
			d.RaisedAt, d.AcceptedAt = d.RaisedAt.AddDate(0, -4, 0), d.AcceptedAt.AddDate(0, -4, 0)
			d.Repeats, d.RepeatedAt = d.ID, at("20 09:00")
		}), Repeat, "0"},
	} {
		r := compute(t, choosing(split(c.choices)...), november(), Facts{Demands: []Demand{c.demand}})
		if got := verdictOn(t, r, string(c.indicator)); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.what, c.indicator, got, c.want)
		}
	}
}

func TestADemandRepeatsOneRaisedAtMostNinetyDaysBefore(t *testing.T) {
	for day, want := range map[int]string{-90: "1/2", -91: "0/1"} {
		first := demand(1, func(d *Demand) { d.RaisedAt = d.RaisedAt.AddDate(0, 0, day) })
		second := demand(2, func(d *Demand) { d.Repeats, d.RepeatedAt = id("demand", 1), d.AcceptedAt })
		f, _ := compute(t, Default(), november(), Facts{Demands: []Demand{first, second}}).Figure("repeat")
		if got := f.N.Over(f.D).String(); got+"/1" != want && got != want {
			t.Errorf("raised %d days before: %s of %s, want %s", -day, f.N, f.D, want)
		}
	}
}

func TestASummonsIsJudged(t *testing.T) {
	for _, c := range []struct {
		what      string
		choices   string
		summons   Summons
		indicator Indicator
		want      string
	}{
		{"in on time", "", summons(1), ReportIn, "1"},
		{"in late", "", summons(1, func(s *Summons) { s.Reported, s.Late = at("05 09:40"), true }), ReportIn, "0 late"},
		{"absent", "", summons(1, func(s *Summons) { s.Reported, s.Absent = time.Time{}, true }), ReportIn, "0 absent"},
		{"excused", "", summons(1, func(s *Summons) { s.Reported, s.Excused = time.Time{}, true }), ReportIn, "- excused"},
		{"void", "", summons(1, func(s *Summons) { s.Reported, s.Void = time.Time{}, true }), ReportIn, "- void"},
		{"due in another period", "", summons(1, func(s *Summons) { s.Due = s.Due.AddDate(0, 1, 0) }), ReportIn, ""},
		{"blown in this one", "attribute=filed", summons(1, func(s *Summons) { s.Due = s.Due.AddDate(0, 1, 0) }), ReportIn, "1"},
		{"a card", "", summons(1), WhistleCard, "47/50"},
		{"no card yet", "", summons(1, func(s *Summons) { s.Score = -1 }), WhistleCard, "- no_data"},
		{"excused units have none", "", summons(1, func(s *Summons) { s.Excused = true }), WhistleCard, "- excused"},
	} {
		r := compute(t, choosing(split(c.choices)...), november(), Facts{Summonses: []Summons{c.summons}})
		if got := verdictOn(t, r, string(c.indicator)); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.what, c.indicator, got, c.want)
		}
	}
}

func TestDisputesTopicsBlocksAndLoadsAreCounted(t *testing.T) {
	community := streetA + "001"
	place := Place{Unit: community, Community: community, Street: streetA, District: district}
	dispute := func(n int, end string, rung int) Dispute {
		return Dispute{ID: id("dispute", n), Place: place, Accepted: true, End: end, EndedAt: at("10 09:00"), Rung: rung, Unit: community}
	}
	f := Facts{
		Disputes: []Dispute{dispute(1, "agreed", 2), dispute(2, "agreed", 2), dispute(3, "agreed", 3), dispute(4, "referred_out", 4),
			{ID: id("dispute", 5), End: "ended", EndedAt: at("10 09:00")},         // nobody ever took it up
			{ID: id("dispute", 6), Accepted: true, End: "", EndedAt: time.Time{}}, // still open
			{ID: id("dispute", 7), Accepted: true, End: "agreed", EndedAt: at("10 09:00").AddDate(0, 1, 0)}},
		Topics: []Topic{
			{ID: id("topic", 1), Place: place, Decisions: []TopicDecision{{Adopted: true, At: at("10 09:00"), Demands: []stream.ID{id("demand", 1), id("demand", 2), id("demand", 3)}}}},
			{ID: id("topic", 2), Place: place, Decisions: []TopicDecision{{Adopted: true, At: at("02 09:00")}, {At: at("10 09:00"), Demands: []stream.ID{id("demand", 4)}}}},
			{ID: id("topic", 3), Place: place, Decisions: []TopicDecision{{Adopted: true, At: at("10 09:00").AddDate(0, 1, 0)}}},
		},
		Blocks: []Blocked{{Target: community, Matter: "010101", At: at("10 09:00")}, {Target: community, Matter: "010101", At: at("10 09:00")},
			{Target: streetA, Matter: "010102", At: at("11 09:00")}, {Target: streetA, Matter: "010102", At: at("11 09:00").AddDate(0, 1, 0)}},
		Loads: []Load{{Community: community, Street: streetA, Now: []string{"160101", "170101"}, Base: []string{"160101", "010101", "010102", "010103"}}},
	}
	r := compute(t, Default(), november(), f)
	for figure, want := range map[string]string{
		"mediation": "3 of 4: 75.00", "adoption": "1 of 2: 50.00", "blocks": "3 of 3: 3", "load": "2 of 4: 50.00",
		"blocks:u=150105001001": "2 of 2: 2", "blocks:s=150105001": "3 of 3: 3", "load:u=150105001001": "2 of 4: 50.00",
		"mediation:u=150105001001": "3 of 4: 75.00",
	} {
		fig, ok := r.Figure(figure)
		if got := fmt.Sprintf("%s of %s: %s", fig.N, fig.D, fig.Printed); !ok || got != want {
			t.Errorf("%s is %s, want %s", figure, got, want)
		}
	}
	if fig, _ := r.Figure("mediation"); !slices.Equal(fig.Rungs, []int64{0, 2, 1}) {
		t.Errorf("settled by rung: %v, want 2 in the community and 1 in the street", fig.Rungs)
	}
	found, err := r.Open("load:u=150105001001")
	if err != nil || len(found) != 5 {
		t.Errorf("load opens to %d matters (%v), want the 5 of both days", len(found), err)
	}
	r = compute(t, choosing("count.unit", "demand"), november(), f)
	if fig, _ := r.Figure("adoption"); fig.N.String() != "3" || fig.D.String() != "4" {
		t.Errorf("by demand %s of %s are adopted, want 3 of 4", fig.N, fig.D)
	}
}

func TestMinutesAreByNearestRankTruncated(t *testing.T) {
	var f Facts
	for i := range 11 {
		f.Legs = append(f.Legs, leg(i, func(l *Leg) { l.ContactedAt = l.DispatchedAt.Add(time.Duration(i)*time.Minute + 59*time.Second) }))
	}
	fig, _ := compute(t, Default(), november(), f).Figure("first_contact:u=150105-d01")
	if fig.Median != 5 || fig.P90 != 9 || fig.Printed != "5 / 9" { // ⌈5.5⌉ = 6th of 0 … 10, ⌈9.9⌉ = 10th
		t.Errorf("median %d, P90 %d, printed %s; want 5 and 9", fig.Median, fig.P90, fig.Printed)
	}
}

func TestTheThreeRatesAreWeighedUnrounded(t *testing.T) {
	var f Facts
	for i := range 3 {
		f.Legs = append(f.Legs, leg(i, func(l *Leg) {
			if i == 0 {
				l.ContactedAt = time.Time{}
			}
		}))
		f.Demands = append(f.Demands, demand(i, func(d *Demand) { d.Callbacks[0].Resolved = i > 0 }))
	}
	r := compute(t, Default(), november(), f)
	if fig, _ := r.Figure("three_rates:u=150105-d01"); fig.Printed != "78.33" { // (0.30 + 0.35)·2/3 + 0.35
		t.Errorf("got %s, want 78.33", fig.Printed)
	}
	f.Demands = nil
	if fig, _ := compute(t, Default(), november(), f).Figure("three_rates:u=150105-d01"); fig.Printed != None || !slices.Contains(fig.Flags, FlagMixed) {
		t.Errorf("without callbacks: got %s %v, want —", fig.Printed, fig.Flags)
	}
}

func TestUnverifiedLegsAreCarriedIntoTheNextPeriod(t *testing.T) {
	october := func(done, judged string) Leg { // due on 30 October
		return leg(1, func(l *Leg) {
			l.Due, l.OriginalDue = at("01 18:00").AddDate(0, 0, -2), at("01 18:00").AddDate(0, 0, -2)
			l.Reports = []Report{{DoneAt: at(done).AddDate(0, 0, -3), At: at(done).AddDate(0, 0, -3), Passed: judged != ""}}
			if judged != "" {
				l.Reports[0].JudgedAt = at(judged)
			}
		})
	}
	p := november()
	p.Earlier = []Earlier{{date("2026-10-01"), date("2026-10-31"), at("02 00:00")}}
	for _, c := range []struct {
		what string
		leg  Leg
		want string
	}{
		{"reported in time, passed after the cut-off", october("02 12:00", "03 09:00"), "1 carried"},
		{"reported late, passed after the cut-off", october("04 12:00", "05 09:00"), "0 late+carried"},
		{"judged before the cut-off: it counted then", october("02 12:00", "01 09:00"), ""},
		{"reported after the cut-off: it counted as undone then", october("07 12:00", "08 09:00"), ""},
		{"still unverified: to the next again", october("02 12:00", ""), "- pending"},
	} {
		r := compute(t, Default(), p, Facts{Legs: []Leg{c.leg}})
		if got := verdictOn(t, r, "on_time"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
	r := compute(t, Default(), p, Facts{Legs: []Leg{october("02 12:00", "03 09:00")}})
	if fig, _ := r.Figure("on_time"); fig.Carried != 1 {
		t.Errorf("%d legs are said to be carried, want 1", fig.Carried)
	}
	if got := verdictOn(t, compute(t, choosing("pending.as", "passed"), p, Facts{Legs: []Leg{october("02 12:00", "03 09:00")}}), "on_time"); got != "" {
		t.Errorf("where nothing is left to the next period nothing is carried: got %q", got)
	}
	// Two periods on: due in September, pending at both cut-offs.
	old := october("02 12:00", "03 09:00")
	old.Due = old.Due.AddDate(0, -1, 0)
	old.Reports[0].DoneAt, old.Reports[0].At = old.Due, old.Due
	p.Earlier = append(p.Earlier, Earlier{date("2026-09-01"), date("2026-09-30"), at("02 00:00").AddDate(0, -1, 0)})
	if got := verdictOn(t, compute(t, Default(), p, Facts{Legs: []Leg{old}}), "on_time"); got != "1 carried" {
		t.Errorf("pending for two periods: got %q, want 1 carried", got)
	}
	// Reported only after September's cut-off: it failed there, and is not carried.
	old.Reports[0].At, old.Reports[0].DoneAt = at("20 09:00").AddDate(0, -1, 0), at("20 09:00").AddDate(0, -1, 0)
	if got := verdictOn(t, compute(t, Default(), p, Facts{Legs: []Leg{old}}), "on_time"); got != "" {
		t.Errorf("it failed in September already: got %q", got)
	}
}

func TestSuspendedLegsOverTheCapCountAsOverdue(t *testing.T) {
	var f Facts
	for i := range 20 {
		f.Legs = append(f.Legs, leg(i))
	}
	for i := range 3 {
		f.Legs = append(f.Legs, leg(100+i, frozenLeg, func(l *Leg) { l.Suspensions[0].From = at(fmt.Sprintf("0%d 09:00", 9-i)) }))
	}
	r := compute(t, choosing("frozen.cap", "overdue:10"), november(), f)
	fig, _ := r.Figure("on_time:u=150105-d01")
	if fig.N.String() != "20" || fig.D.String() != "21" || fig.left() != "suspended=2" {
		t.Errorf("two of three may be suspended of 20: got %s of %s, left out %s", fig.N, fig.D, fig.left())
	}
	found, _ := r.Open("suspended:u=150105-d01")
	for _, it := range found {
		if it.Case.Stream.ID() == id("order", 100) && it.Why == "" && it.N.IsZero() {
			t.Errorf("the leg suspended last is the one over the cap: %+v", it)
		}
	}
	if got, _ := compute(t, Default(), november(), f).Figure("on_time:u=150105-d01"); !slices.Contains(got.Flags, FlagFrozen) {
		t.Errorf("three suspended against 20 due are flagged %v", got.Flags)
	}
	if got, _ := compute(t, choosing("frozen.cap", "flag:15"), november(), f).Figure("on_time:u=150105-d01"); len(got.Flags) != 0 {
		t.Errorf("15 %% is not above a cap of 15 %%: flagged %v", got.Flags)
	}
}

func TestALegIsCreditedAsTheSchemeSays(t *testing.T) {
	joint := leg(1, lateLeg, func(l *Leg) { l.CoUnits = []orgs.UnitCode{rival, station, rival, bureau} })
	team := leg(2, func(l *Leg) { l.Lead, l.Competent = "150105-t01", station })
	for _, c := range []struct{ choices, figure, want string }{
		{"", "on_time:u=150105-d01", "0 of 1"},
		{"", "on_time:u=150105-d02", "0 of 0"},
		{"credit=each", "on_time:u=150105-d02", "0 of 1"},
		{"credit=each", "on_time", "1 of 2"},
		{"credit=split:60", "on_time:u=150105-d01", "0 of 3/5"},
		{"credit=split:60", "closure:u=150105-d02", "1/5 of 1/5"},
		{"credit=split:60", "closure:u=150105001-a01", "6/5 of 6/5"},
		{"credit=split:60", "closure", "2 of 2"},
		{"", "closure:u=150105001-a01", "1 of 1"},
		{"team.credit=team", "closure:u=150105001-a01", "0 of 0"},
		{"team.credit=team", "closure:u=150105-t01", "1 of 1"},
	} {
		f, _ := compute(t, choosing(split(c.choices)...), november(), Facts{Legs: []Leg{joint, team}}).Figure(c.figure)
		if got := f.N.String() + " of " + f.D.String(); got != c.want {
			t.Errorf("%q: %s is %s, want %s", c.choices, c.figure, got, c.want)
		}
	}
}

func TestADemandCountsForTheLeadOfEachOfItsOrders(t *testing.T) {
	d := demand(1, func(d *Demand) {
		d.Orders = []stream.ID{id("order", 1), id("order", 2), id("order", 3), id("order", 4)}
	})
	f := Facts{Demands: []Demand{d}, Legs: []Leg{
		leg(1, func(l *Leg) { l.Returned = true }),
		leg(1, to(rival), func(l *Leg) { l.Number = 2 }), // redispatched: the unit it was returned by has no part in it
		leg(2, to(rival), by(streetB)),                   // the same unit for another street
		leg(3, to(station)),
		leg(4, to("150105-d09"), cancelledLeg),
	}}
	r := compute(t, Default(), november(), f)
	for figure, want := range map[string]string{
		"satisfaction":                          "1 of 1",
		"satisfaction:u=150105-d01":             "0 of 0",
		"satisfaction:u=150105-d02":             "1 of 1",
		"satisfaction:u=150105-d02:s=150105001": "1 of 1",
		"satisfaction:u=150105-d02:s=150105002": "0 of 0",
		"satisfaction:u=150105001-a01":          "1 of 1",
		"satisfaction:u=150105-d09":             "0 of 0",
	} {
		fig, _ := r.Figure(figure)
		if got := zeroed(fig.N) + " of " + zeroed(fig.D); got != want {
			t.Errorf("%s is %s, want %s", figure, got, want)
		}
	}
	bare := demand(5, func(d *Demand) { d.Orders = nil })
	if fig, _ := compute(t, Default(), november(), Facts{Demands: []Demand{bare}}).Figure("satisfaction:u=150105001001"); fig.N.String() != "1" {
		t.Errorf("a demand without an order counts for its community: got %s of %s", fig.N, fig.D)
	}
}

func zeroed(f Fraction) string { return f.String() }

func TestALegMayCountForEachOfItsDemands(t *testing.T) {
	l := leg(1, func(l *Leg) { l.Demands = []stream.ID{id("demand", 1), id("demand", 2), id("demand", 3)} })
	f, _ := compute(t, choosing("count.unit", "demand"), november(), Facts{Legs: []Leg{l, leg(2, lateLeg)}}).Figure("on_time:u=150105-d01")
	if f.Printed != "75.00" {
		t.Errorf("three demands in time and one late make %s, want 75.00", f.Printed)
	}
	f, _ = compute(t, Default(), november(), Facts{Legs: []Leg{l, leg(2, lateLeg)}}).Figure("on_time:u=150105-d01")
	if f.Printed != "50.00" {
		t.Errorf("by leg it is %s, want 50.00", f.Printed)
	}
}

func TestLegsOfAnonymousDemandsMayBeLeftOut(t *testing.T) {
	f := Facts{Legs: []Leg{leg(1), leg(2)}, Demands: []Demand{demand(1, func(d *Demand) { d.Anonymous = true }), demand(2)}}
	fig, _ := compute(t, choosing("anonymous", "left_out"), november(), f).Figure("on_time")
	if fig.D.String() != "1" || fig.left() != "anonymous=1" {
		t.Errorf("got %s due, left out %s", fig.D, fig.left())
	}
}

func TestExclusionsAndObjectionsChangeVerdictsAndTheRawRateStays(t *testing.T) {
	order := func(n int) Case { return Case{Stream: stream.Of(stream.Order, id("order", n)), Leg: 1} }
	f := Facts{Legs: []Leg{leg(1), leg(2, lateLeg), leg(3, lateLeg), leg(4, lateLeg)},
		Demands: []Demand{demand(1, func(d *Demand) { d.Callbacks[0].Grade = 1 })}, Summonses: []Summons{summons(1, func(s *Summons) { s.Late = true })}}
	p := november()
	p.Exclusions = []Exclusion{
		{1, order(2), []Indicator{OnTime}, ForceMajeure, Granted},
		{2, order(3), nil, OutOfDuty, Undecided},
		{3, order(4), nil, OutOfDuty, Refused},
		{4, Case{Stream: stream.Of(stream.Demand, id("demand", 1))}, nil, MistakenRating, Granted},
		{5, order(99), nil, Duplicate, Granted},
	}
	p.Objections = []Objection{
		{1, order(3), OnTime, Counts, Granted},
		{2, order(4), OnTime, Counts, Refused},
		{3, Case{Stream: stream.Of(stream.Whistle, id("whistle", 1)), Unit: bureau}, ReportIn, Counts, Granted},
	}
	r := compute(t, Default(), p, f)
	fig, _ := r.Figure("on_time:u=150105-d01")
	if fig.Printed != "66.67" || fig.Before != "25.00" || fig.Raw.D.String() != "4" || fig.left() != "excluded:force_majeure=1" {
		t.Errorf("got %s, raw %s of %s, left out %s; want 66.67, 25.00 of 4, one excluded", fig.Printed, fig.Before, fig.Raw.D, fig.left())
	}
	if len(fig.Left) != 1 || fig.Left[0].Share != "25.00" {
		t.Errorf("beside it stands %v, want a share of 25.00", fig.Left)
	}
	for figure, want := range map[string]string{
		"closure:u=150105-d01": "100.00", "exclusions:u=150105-d01": "25.00", "report_in:u=150105-d01": "100.00", "satisfaction:u=150105-d01": None,
	} {
		if got, _ := r.Figure(figure); got.Printed != want {
			t.Errorf("%s is %s, want %s", figure, got.Printed, want)
		}
	}
	if r.Undecided != 1 || !slices.Equal(r.Notes, []string{"exclusion 5: changed nothing"}) {
		t.Errorf("%d undecided, notes %v", r.Undecided, r.Notes)
	}
	found, _ := r.Open("on_time:u=150105-d01")
	for _, it := range found {
		if it.Case == order(2) && (it.In || !it.Decided || !it.RawIn || it.RawWhy != "late") {
			t.Errorf("the excluded leg opens as %+v", it)
		}
	}
	// The objection has the last word over an exclusion, also one that says "left out".
	p.Objections = []Objection{{1, order(2), OnTime, Fails, Granted}, {2, order(1), "", LeftOut, Granted}}
	fig, _ = compute(t, Default(), p, f).Figure("on_time:u=150105-d01")
	if fig.N.String() != "0" || fig.D.String() != "3" || fig.left() != "upheld=1" {
		t.Errorf("got %s of %s, left out %s; want 0 of 3 and one upheld", fig.N, fig.D, fig.left())
	}
}

func TestFiguresMayBeRolledUpAsThePlacesAreNow(t *testing.T) {
	f := Facts{Demands: []Demand{demand(1), demand(2, func(d *Demand) {
		d.Place = Place{Community: streetB + "001", Unit: streetB + "001", Street: streetB}
		d.AcceptedAt = time.Time{}
	})}, Heirs: map[orgs.UnitCode]orgs.UnitCode{streetB: streetA, streetB + "001": streetA + "001"}}
	r := compute(t, choosing("as_of", "as_is_beside"), november(), f)
	for figure, want := range map[string]string{
		"acceptance:s=150105001": "100.00", "acceptance:s=150105002": "0.00", "acceptance:s=150105001:as_is": "50.00",
		"acceptance:u=150105001001": "100.00", "acceptance:u=150105001001:as_is": "50.00",
	} {
		if got, ok := r.Figure(figure); !ok || got.Printed != want {
			t.Errorf("%s is %s, want %s", figure, got.Printed, want)
		}
	}
	if _, ok := compute(t, Default(), november(), f).Figure("acceptance:s=150105001:as_is"); ok {
		t.Error("as they are now is printed without being asked for")
	}
}

// TestPublishedFiguresAreCountedFromFacts: cases with the counts of 天门 and 郑州 give the figures they published.
func TestPublishedFiguresAreCountedFromFacts(t *testing.T) {
	for _, c := range []struct {
		city                                    string
		due, closed, onTime, reworked, extended int
		closure, timely, rework, extension      string
	}{
		{"天门", 972, 911, 737, 0, 0, "93.72", "75.82", "0.00", "0.00"},
		{"郑州", 52434, 43523, 40394, 276, 104, "83.01", "77.04", "0.53", "0.20"},
		{"郑州 常规", 18086, 10225, 8765, 274, 101, "56.54", "48.46", "1.51", "0.56"},
		{"金水", 1935, 1912, 1855, 0, 0, "98.81", "95.87", "0.00", "0.00"},
		{"管城", 953, 953, 936, 0, 0, "100.00", "98.22", "0.00", "0.00"},
		{"二七", 848, 806, 699, 0, 0, "95.05", "82.43", "0.00", "0.00"},
		{"郑东", 736, 596, 372, 0, 0, "80.98", "50.54", "0.00", "0.00"},
	} {
		var f Facts
		for i := range c.due {
			l := leg(i)
			switch {
			case i >= c.closed:
				open(&l)
			case i >= c.onTime:
				lateLeg(&l)
			}
			if i < c.reworked {
				l.Reworks = 1
			}
			if i < c.extended {
				l.Extensions = 1
			}
			f.Legs = append(f.Legs, l)
		}
		r := compute(t, Default(), november(), f)
		for ind, want := range map[Indicator]string{Closure: c.closure, OnTime: c.timely, Rework: c.rework, Extension: c.extension} {
			if got, _ := r.Figure(string(ind) + ":u=150105-d01"); got.Printed != want {
				t.Errorf("%s: %s of %s is printed %s, want %s", c.city, ind, got.D, got.Printed, want)
			}
		}
	}
}
