package city

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
)

// Clock is the time of a simulation: it stands still until it is moved. It is safe for concurrent use.
type Clock struct {
	now   atomic.Int64
	began time.Time
}

// NewClock returns a clock that stands at an instant.
func NewClock(at time.Time) *Clock {
	c := &Clock{began: at}
	c.Set(at)
	return c
}

// Now returns the simulated time, UTC.
func (c *Clock) Now() time.Time { return time.UnixMilli(c.now.Load()).UTC() }

// Elapsed returns the simulated time that went by: an engine that fires alarms by this clock has it as
// [engine.Config.Elapsed], or it takes every move of the clock for a fault.
func (c *Clock) Elapsed() time.Duration { return c.Now().Sub(c.began) }

// Set moves the clock.
func (c *Clock) Set(at time.Time) { c.now.Store(at.UnixMilli()) }

// Eve is when the city is set up: two days before the simulated year begins.
func (c *City) Eve() time.Time {
	return yearStart(c.figures.City.Year.Value).AddDate(0, 0, -2).Add(9 * time.Hour)
}

// Tally counts what a play came to.
type Tally struct {
	Units, Communities int // set up
	Demands            int // raised by people
	Acts               int // of people, in the year
	Kept               int // acts that the gate was meant to stop, and did
	Alarms             int // of the clock
	Refused            []Refused
}

// Refused is an act that the rules did not allow: a fault of the script.
type Refused struct {
	Act    Act
	Reason *rule.Refusal
}

// Seed sets up the city and plays a script through an engine, whose log is empty but for its first event. The engine
// takes its time from the clock, its draw from [Draw] and its rules from [City.Rules]. Time moves on only when an act has had
// all its consequences. If the engine keeps a diary, every alarm fires in its second, between the acts. progress, if not nil, is told the demands raised so far.
//
// It returns at the first error that is no refusal; what was played before is in the log then.
func (c *City) Seed(ctx context.Context, eng *engine.Engine, clock *Clock, script iter.Seq[Act], progress func(demands int)) (Tally, error) {
	var t Tally
	p := newPlayer(eng, clock)
	clock.Set(c.Eve())
	if err := p.found(ctx, c, &t); err != nil {
		return t, err
	}
	for a := range script {
		if err := p.pass(ctx, a.At, &t); err != nil {
			return t, err
		}
		refusal, err := p.play(ctx, a)
		if err != nil {
			return t, fmt.Errorf("%s of %s at %s: %w", a.Key, a.Stream, a.At.Format(time.RFC3339), err)
		}
		t.Acts++
		switch {
		case refusal != nil && refusal.Code == a.Refused:
			t.Kept++
		case refusal == nil && a.Refused != "":
			refusal = rule.Refuse(rule.GuardFailed, "I7", "本应拦截而未拦截", "it was meant to be refused and was not")
			fallthrough
		case refusal != nil:
			t.Refused = append(t.Refused, Refused{a, refusal})
		}
		if _, raises := a.Command.(demand.Raise); raises {
			t.Demands++
			if progress != nil {
				progress(t.Demands)
			}
		}
	}
	return t, p.settle(ctx)
}

// Age lets time go by in which nobody does anything, up to an instant: what is open warns, expires and rises, each alarm
// in its second. The engine keeps a diary.
func (c *City) Age(ctx context.Context, eng *engine.Engine, clock *Clock, until time.Time) (Tally, error) {
	var t Tally
	p := newPlayer(eng, clock)
	err := p.pass(ctx, until, &t)
	if err == nil && until.After(clock.Now()) {
		clock.Set(until)
	}
	return t, err
}

// player gives the commands of people to an engine, and lets its clock act.
type player struct {
	*engine.Engine
	clock  *Clock
	alarms *engine.Deadlines // nil: nothing expires
}

func newPlayer(eng *engine.Engine, clock *Clock) player {
	p := player{Engine: eng, clock: clock}
	if eng.Diary != nil {
		p.alarms = engine.NewDeadlines(eng, eng.Diary)
		p.alarms.Each = func(ctx context.Context, _ engine.Fired) error { return p.settle(ctx) }
	}
	return p
}

// pass moves the clock from alarm to alarm, up to an instant, and lets each have its consequences.
func (p *player) pass(ctx context.Context, until time.Time, t *Tally) error {
	for p.alarms != nil {
		n, err := p.ring(ctx, until)
		if err != nil || n < 0 {
			return err
		}
		t.Alarms += n
	}
	return nil
}

// ring moves the clock to the next instant at which an alarm stands, up to another, and fires what is due then. It returns
// how many alarms fired, -1 if none stood.
func (p *player) ring(ctx context.Context, until time.Time) (int, error) {
	if err := p.settle(ctx); err != nil { // the diary knows of a clock once the act that started it is followed
		return -1, err
	}
	// What stands at or before now was fired, or decided nothing.
	now := event.Slot{At: p.clock.Now(), Stream: "\U0010ffff"}
	next, err := p.Diary.Due(ctx, until, now, 1)
	if err != nil || len(next) == 0 {
		return -1, err
	}
	p.clock.Set(next[0].At)
	fired, err := p.alarms.Sweep(ctx, next[0].At)
	if err != nil {
		return -1, fmt.Errorf("fire what is due at %s: %w", next[0].At.Format(time.RFC3339), err)
	}
	return len(fired), nil
}

// found opens the units, publishes the duty lists and draws the grids. An engine knows a unit once its event had its consequences.
func (p *player) found(ctx context.Context, c *City, t *Tally) error {
	operator := post(orgs.Operator, root)
	fresh := map[orgs.UnitCode]bool{}
	for _, u := range c.Units() {
		needs := append([]orgs.UnitCode{u.Parent, u.Department}, u.Members...)
		for _, n := range needs {
			if fresh[n] {
				if err := p.settle(ctx); err != nil {
					return err
				}
				clear(fresh)
				break
			}
		}
		fresh[u.Code] = true
		r := engine.Request{Stream: stream.Keyed(stream.Unit, string(u.Code)), Commands: []engine.Command{u},
			Key: "city/open/" + string(u.Code), Actor: operator, Expect: int64(eventlog.None)}
		if _, err := p.Handle(ctx, r); err != nil {
			return fmt.Errorf("open %s: %w", u.Code, err)
		}
		t.Units++
	}
	if err := p.settle(ctx); err != nil {
		return err
	}
	lists := c.Lists(calendar.DateOf(p.clock.Now()) + 1)
	officer, second := post(orgs.AdmissionOfficer, lists.Unit), colleague(orgs.AdmissionOfficer, lists.Unit)
	if _, err := p.Handle(ctx, engine.Request{Stream: stream.Keyed(stream.Duties, string(lists.Unit)), Commands: []engine.Command{lists},
		Key: "city/lists", Actor: officer, Second: &second, Expect: int64(eventlog.None)}); err != nil {
		return fmt.Errorf("publish the lists: %w", err)
	}
	for _, plan := range c.Plans() {
		r := engine.Request{Stream: stream.Keyed(stream.Grids, string(plan.Community)), Key: "city/draw/" + string(plan.Community),
			Actor: operator, Expect: int64(eventlog.None)}
		for _, c := range plan.Commands {
			r.Commands = append(r.Commands, c)
		}
		if _, err := p.Handle(ctx, r); err != nil {
			return fmt.Errorf("draw the grids of %s: %w", plan.Community, err)
		}
		t.Communities++
	}
	return p.settle(ctx)
}

// play moves the clock to an act, gives its command, and waits for what follows.
func (p *player) play(ctx context.Context, a Act) (*rule.Refusal, error) {
	p.clock.Set(a.At)
	_, revision, err := p.Load(ctx, a.Stream)
	if err != nil {
		return nil, err
	}
	_, err = p.Handle(ctx, engine.Request{Stream: a.Stream, Commands: []engine.Command{a.Command}, Key: a.Key, Actor: a.Actor,
		Second: a.Second, Occurred: a.Occurred, Expect: revision})
	var refusal *rule.Refusal
	if errors.As(err, &refusal) {
		return refusal, nil
	}
	if err != nil || !consequential(a.Command) {
		return nil, err
	}
	return nil, p.settle(ctx)
}

// consequential reports whether the process manager may act on what the command leads to. After any other there
// is nothing to wait for.
func consequential(c engine.Command) bool {
	switch c := c.(type) {
	case demand.Raise, demand.Accept, demand.Decline, demand.Redirect, demand.Supplement, demand.Support, demand.Reclassify,
		demand.Relocate, demand.FileAppeal, demand.RejectAppeal, demand.UpholdAppeal, demand.Urge, demand.RecordCallbackAttempt,
		demand.Rerate, demand.UnlinkFromTopic, order.RequestExtension, order.RefuseExtension, order.ReportCoUnit, order.IssueSupervision,
		order.AnswerSupervision, dispute.AcceptMediation, dispute.DeclineMediation, dispute.FailMediation, dispute.ReferUp, dispute.RecordFulfilment:
		return false
	case demand.AnswerOnTheSpot:
		return c.Agreement != ""
	}
	return true
}

// settle waits until the log stands still: until the consequences have had theirs.
func (p *player) settle(ctx context.Context) error {
	for {
		end, err := p.Log.End(ctx)
		if err != nil {
			return err
		}
		if err := p.Settled(ctx, end); err != nil {
			return err
		}
		now, err := p.Log.End(ctx)
		if err != nil || now == end {
			return err
		}
	}
}
