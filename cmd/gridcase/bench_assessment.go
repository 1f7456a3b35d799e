package main

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/evidence"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
	"gridcase/projections"
)

// aYear is how many demands a city has in a year, with an order each (DOMAIN §10).
const aYear = 260_000

// life is a demand with its order, from raising to the last call: what happens next, and when.
type life struct {
	demand, order stream.Name
	unit, lead    orgs.UnitCode
	by            orgs.UnitCode
	at            time.Time
	step          int
	revisions     [2]int64
}

// lives are those under way, the one first for which something happens next.
type lives []*life

func (l lives) Len() int           { return len(l) }
func (l lives) Less(i, j int) bool { return l[i].at.Before(l[j].at) }
func (l lives) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *lives) Push(x any)        { *l = append(*l, x.(*life)) }
func (l *lives) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}

// served is who can be given the orders of a community.
type served struct {
	community, street orgs.UnitCode
	leads             []orgs.UnitCode
}

// handled yields the events of n demands with an order each, spread over communities and over a year, as they would lie in the
// log: those of many cases between one another. 92 % are in time, 5 % are reworked, 2 % extended, 80 % called back.
func handled(places []served, n int) iter.Seq[eventlog.Event] {
	cipher := sealed.Cipher(sealed.Prefix + "a256gcm.AAAAAAAAAAAAAAAA." + fmt.Sprintf("%0120d", 0))
	first := time.Date(2024, 12, 31, 17, 0, 0, 0, time.UTC)
	random := rand.New(rand.NewPCG(1501, 1))
	return func(yield func(eventlog.Event) bool) {
		var under lives
		begun := 0
		for begun < n || len(under) > 0 {
			at := first.Add(time.Duration(begun*364*24*3600/n) * time.Second)
			if begun < n && (len(under) == 0 || at.Before(under[0].at)) {
				p := places[random.IntN(len(places))]
				id := stream.Derive("bench", "year", fmt.Sprint(begun))
				heap.Push(&under, &life{demand: stream.Of(stream.Demand, id), unit: p.community, by: p.street, lead: p.leads[random.IntN(len(p.leads))], at: at})
				begun++
				continue
			}
			l := under[0]
			for _, b := range l.next(random, cipher, begun) {
				if !yield(l.event(b)) {
					return
				}
			}
			if l.step == 0 {
				heap.Pop(&under)
			} else {
				heap.Fix(&under, 0)
			}
		}
	}
}

// next returns what happens now, and sets when something happens next; step 0 is over.
func (l *life) next(random *rand.Rand, cipher sealed.Text, n int) []event.Body {
	due := func(c calendar.Clock, d time.Duration) calendar.Due {
		at := calendar.DateOf(l.at.Add(d)).End()
		return calendar.Due{ID: fmt.Sprintf("%s/1/1/%d", c, l.revisions[1]+1), Clock: c, Kind: calendar.WorkingDays, Amount: 7, StartedAt: l.at, Due: at, OriginalDue: at,
			Policy: "default", PolicyVersion: 1, Calendar: "cn-2025#1"}
	}
	day := 24 * time.Hour
	in := func(d time.Duration) {
		l.at = l.at.Add(d/2 + time.Duration(random.Int64N(int64(d)))).Truncate(time.Second)
	}
	l.step++
	switch l.step {
	case 1:
		defer in(2 * time.Hour)
		return []event.Body{demand.Raised{Number: fmt.Sprintf("%s-20250101-%04d-X", l.unit[:6], n%10000), Kind: demand.Issue, Channel: "wechat", Title: cipher, Text: cipher,
			Reporter: demand.Reporter{Name: cipher, Phone: cipher}, Unit: l.unit, Accept: due(calendar.Accept, day)}}
	case 2:
		defer in(3 * time.Hour)
		return []event.Body{demand.Accepted{Kind: demand.Issue, Matter: "010208", Urgency: "C", Unit: l.unit, Summary: "供热温度不足", Triage: due(calendar.Triage, day)}}
	case 3:
		defer in(2 * time.Second)
		fast := demand.FastTracked{Reason: demand.ReasonStatutory, Citation: "条例", Route: demand.Route{Order: &demand.NewOrder{Lead: l.lead}}, Promise: due(calendar.Promise, 7*day)}
		l.order = stream.Of(stream.Order, stream.CausedBy(stream.Order, stream.Event(l.demand, key(l.demand, l.revisions[0]), 0), 0))
		return []event.Body{fast}
	case 4:
		defer in(3 * time.Hour)
		return []event.Body{order.Dispatched{Number: fmt.Sprintf("%s-20250101-%04d-Y", l.unit[:6], n%10000), Demands: []stream.ID{l.demand.ID()}, Kind: "issue", Matter: "010208", Urgency: "C",
			Lead: l.lead, By: l.by, Place: l.unit, Task: "处理", Sign: due(calendar.Sign, 4*time.Hour), Contact: due(calendar.Contact, day), Handle: due(calendar.Handle, 7*day), ReturnBy: l.at.Add(day)},
			demand.ProgressNoted{From: demand.Source{Stream: l.order, Type: "order-dispatched/1"}}}
	case 5:
		defer in(5 * time.Hour)
		return []event.Body{order.Signed{At: l.at}}
	case 6:
		defer in(5 * day)
		return []event.Body{order.Contacted{Demands: []stream.ID{l.demand.ID()}, Means: "phone", At: l.at}}
	case 7:
		defer in(12 * time.Hour)
		report := order.Reported{Outcome: "resolved", Answer: cipher, Summary: "已处理", Attempt: 1, DoneAt: l.at, Verify: due(calendar.Verify, 3*day)}
		if random.IntN(50) == 0 {
			return []event.Body{order.ExtensionRequested{Amount: 3, Reason: "材料", Told: true, Decision: due(calendar.ExtensionDecision, day)},
				order.ExtensionGranted{Handle: due(calendar.Handle, 10*day)}, report}
		}
		return []event.Body{report}
	case 8:
		if random.IntN(20) == 0 {
			l.step = 6
			defer in(day)
			return []event.Body{order.VerificationFailed{Reason: "不符", Method: "on_site", Attempt: 2, Handle: due(calendar.Handle, 2*day)}}
		}
		defer in(10 * time.Second)
		return []event.Body{order.VerificationPassed{Method: "on_site", Outcome: "resolved", Summary: "已处理", Report: l.revisions[1] - 1, DoneAt: l.at},
			demand.ProgressNoted{From: demand.Source{Stream: l.order, Type: "verification-passed/1"}}}
	case 9:
		defer in(2 * day)
		return []event.Body{demand.Answered{Outcome: demand.Resolved, Summary: "已处理", From: demand.Source{Stream: l.order}, Callback: due(calendar.Callback, 5*day)}}
	}
	l.step = 0
	closed := order.Closed{Cause: "answered"}
	if random.IntN(5) == 0 {
		return []event.Body{demand.CallbackAttempted{Means: "phone"}, demand.CallbackWaived{Cause: "unreached", ReopenBy: l.at.Add(15 * day)}, closed}
	}
	return []event.Body{demand.CallbackRecorded{Result: demand.CallbackCloses, Resolved: random.IntN(12) > 0, Grade: demand.Grade(5 - random.IntN(20)/5), Merit: true,
		ReopenBy: l.at.Add(15 * day), RerateBy: l.at.Add(7 * day)}, closed, demand.ProgressNoted{From: demand.Source{Stream: l.order, Type: "order-closed/1"}}}
}

func key(name stream.Name, revision int64) string {
	return fmt.Sprint("bench/", name.Key(), "/", revision)
}

// event places a body on its stream.
func (l *life) event(b event.Body) eventlog.Event {
	name, at := l.demand, 0
	if ofOrder(b) {
		name, at = l.order, 1
	}
	revision := l.revisions[at]
	l.revisions[at]++
	data, err := event.Encode(b)
	if err != nil {
		panic(err) // all texts are enciphered
	}
	k := key(name, revision)
	meta := event.EncodeMeta(event.Meta{Actor: "k-000000000000", Role: orgs.Handler, Unit: l.lead, Key: k, Digest: "AAAAAAAAAAAAAAAAAAAAAA",
		Correlation: l.demand.ID(), Occurred: l.at, Recorded: l.at, Schema: 1, Program: "bench"})
	return eventlog.Event{Fact: eventlog.Fact{ID: uuid.UUID(stream.Event(name, k, 0)), Type: b.EventType(), Data: data, Meta: meta},
		Stream: string(name), Revision: eventlog.Revision(revision), At: l.at}
}

func ofOrder(b event.Body) bool {
	switch b.(type) {
	case order.Dispatched, order.Signed, order.Contacted, order.ExtensionRequested, order.ExtensionGranted, order.Reported, order.VerificationFailed,
		order.VerificationPassed, order.Closed:
		return true
	}
	return false
}

// yearOf writes a log of the whole city with n demands and their orders.
func yearOf(ctx context.Context, path string, n int) error {
	organisation, communities, _, err := organised(ctx)
	if err != nil {
		return err
	}
	var events []orgs.Event
	for _, e := range organisation {
		b, err := event.Decode(e.Type, e.Data)
		if err != nil {
			return err
		}
		events = append(events, b)
	}
	units := new(orgs.Tree).With(events...)
	leads := map[orgs.UnitCode][]orgs.UnitCode{} // by street or district
	for u := range units.All() {
		if u.Kind == orgs.Agency || u.Kind == orgs.Department {
			leads[u.Parent] = append(leads[u.Parent], u.Code)
		}
	}
	var places []served
	for _, c := range communities {
		s, _ := units.Ancestor(c, orgs.Street)
		d, _ := units.Ancestor(c, orgs.District)
		if p := (served{c, s, slices.Concat(leads[s], leads[d])}); len(p.leads) > 0 {
			places = append(places, p)
		}
	}
	log, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	_, err = log.Load(ctx, func(yield func(eventlog.Event) bool) {
		for _, e := range organisation {
			if !yield(e) {
				return
			}
		}
		for e := range handled(places, n) {
			if !yield(e) {
				return
			}
		}
	})
	return errors.Join(err, log.Close())
}

// yearLog opens the log of a year that an earlier run left in the folder, or writes it.
func yearLog(ctx context.Context, dir string, n int) (*sqlite.Log, error) {
	path := filepath.Join(dir, fmt.Sprintf("assessed-%d.db", n))
	if _, err := os.Stat(path + ".whole"); err != nil {
		if err := errors.Join(yearOf(ctx, path, n), os.WriteFile(path+".whole", nil, 0o600)); err != nil {
			return nil, err
		}
	}
	return sqlite.Open(ctx, path)
}

// benchAssessment measures the assessment of a whole city over a year, on views that are current, and opening its figures. Log and views
// that an earlier run left in the folder serve again, if they are of as many demands: building them takes most of the time.
func benchAssessment(ctx context.Context, dir string, n int, t *table) (err error) {
	log, err := yearLog(ctx, dir, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	end, err := log.End(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	views, err := projections.Open(ctx, projections.Config{Dir: filepath.Join(dir, fmt.Sprintf("assessed-%d", n)), Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, views.Close()) }()
	took := time.Since(began)
	t.add(fmt.Sprintf("all views of %s demands with an order each, %s events", short(float64(n)), short(float64(end))), "",
		fmt.Sprintf("%s events/s, %s", short(float64(end)/took.Seconds()), took.Round(100*time.Millisecond)), "", "")
	t.add("peak memory until the views were current", "", peak(), "", "")

	views.Search().Wait(ctx) // it reads all texts after a start, beside whatever is asked
	v := views.Views()
	day := func(s string) calendar.Date { d, _ := calendar.ParseDate(s); return d }
	goal := "< 2 s for the year"
	if n == aYear {
		goal = "< 2 s"
	}
	for _, s := range []struct {
		what  string
		scope evidence.Scope
	}{
		{"facts of the city's first quarter", evidence.Scope{Jurisdiction: "150100", First: day("2025-01-01"), Last: day("2025-03-31")}},
		{"facts of the city's half year", evidence.Scope{Jurisdiction: "150100", First: day("2025-01-01"), Last: day("2025-06-30")}},
		{"facts of the city's year", evidence.Scope{Jurisdiction: "150100", First: day("2025-01-01"), Last: day("2025-12-31")}},
		{"facts of a district's month", evidence.Scope{Jurisdiction: "150105", First: day("2025-06-01"), Last: day("2025-06-30")}},
	} {
		var walls, used []time.Duration
		var cases int
		for range 3 {
			began, spent := time.Now(), processor()
			f, err := v.Facts(ctx, s.scope, end)
			if err != nil {
				return err
			}
			walls, used, cases = append(walls, time.Since(began)), append(used, processor()-spent), len(f.Demands)+len(f.Legs)
		}
		slices.Sort(walls)
		slices.Sort(used)
		t.add(s.what, "", fmt.Sprintf("%s, %s cases", walls[1].Round(time.Millisecond), short(float64(cases))),
			fmt.Sprintf("%.2f µs a case, %.2f of the processor", float64(walls[1].Microseconds())/float64(max(cases, 1)), float64(used[1].Microseconds())/float64(max(cases, 1))), "")
	}
	whole := func(asOf eventlog.Position, s assessment.Scheme) (projections.Assessed, error) {
		return v.Assess(ctx, projections.Question{AsOf: asOf, Scheme: s, Jurisdiction: "150100", First: day("2025-01-01"), Last: day("2025-12-31")})
	}
	var results *assessment.Results
	timed := func(what, goal string, ask func(i int) (projections.Assessed, error)) error {
		var walls, used []time.Duration
		for i := range 5 {
			began, spent := time.Now(), processor()
			a, err := ask(i)
			if err != nil {
				return err
			}
			walls, used, results = append(walls, time.Since(began)), append(used, processor()-spent), a.Results
		}
		slices.Sort(walls)
		slices.Sort(used)
		t.add(what, "", fmt.Sprintf("%s (%s–%s)", walls[2].Round(10*time.Microsecond), walls[0].Round(10*time.Microsecond), walls[4].Round(time.Millisecond)),
			fmt.Sprintf("%s of the processor", used[2].Round(10*time.Microsecond)), goal)
		return nil
	}
	var counted runtime.MemStats
	err = errors.Join(
		timed("the city's year assessed from the views, all units and streets", goal, func(i int) (projections.Assessed, error) { // as of as many positions
			return whole(end-eventlog.Position(i), assessment.Default())
		}),
		timed("… under another scheme, its facts kept", "", func(i int) (projections.Assessed, error) {
			s := assessment.Default()
			s.Name = fmt.Sprint("方案", i)
			return whole(end, s)
		}),
		timed("… asked again, the results kept", "", func(int) (projections.Assessed, error) { return whole(end-1, assessment.Default()) }))
	if err != nil {
		return err
	}
	runtime.GC()
	runtime.ReadMemStats(&counted)
	t.add(fmt.Sprintf("%d figures, %d scores; memory in use with the results kept", len(results.Figures), len(results.Scores)), "",
		fmt.Sprintf("%d MiB", counted.HeapInuse>>20), "", "")
	var pages, lists []time.Duration
	var opened int
	for i := range 400 {
		f := &results.Figures[i*7919%len(results.Figures)]
		if i < 40 { // those of everybody are the largest
			f = largest(results, i)
		}
		began := time.Now()
		a, err := whole(end-1, assessment.Default())
		if err != nil {
			return err
		}
		if _, known := a.Figure(f.Key.String()); !known {
			return fmt.Errorf("figure %s is gone", f.Key)
		}
		if _, _, err = a.Page(f.Key.String(), 0, 50); err != nil {
			return err
		}
		pages = append(pages, time.Since(began))
		began = time.Now()
		found, err := a.Open(f.Key.String())
		if err != nil {
			return err
		}
		lists, opened = append(lists, time.Since(began)), max(opened, len(found))
	}
	for _, o := range []struct {
		what, goal string
		spent      []time.Duration
	}{{"one figure explained: itself and the first fifty of its cases", "< 200 ms", pages},
		{fmt.Sprintf("one figure with all of its cases, up to %s of them", short(float64(opened))), "", lists}} {
		slices.Sort(o.spent)
		t.add(o.what, "", fmt.Sprintf("p50 %s, p99 %s, most %s", o.spent[len(o.spent)/2].Round(time.Microsecond), o.spent[len(o.spent)*99/100].Round(time.Microsecond),
			o.spent[len(o.spent)-1].Round(time.Microsecond)), "", o.goal)
	}
	return nil
}

// largest returns the figure over all units and streets of the i-th indicator.
func largest(r *assessment.Results, i int) *assessment.Figure {
	defs := assessment.Definitions()
	want := assessment.Key{Indicator: defs[i%len(defs)].Indicator}
	for k := range r.Figures {
		if r.Figures[k].Key == want {
			return &r.Figures[k]
		}
	}
	return &r.Figures[0]
}
