package policy

import (
	"slices"
	"sync"
	"sync/atomic"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
)

// InForce is what decisions are made with.
type InForce struct {
	calendar.Rules
	Escalation *escalation.Policy
}

// Published is what was published so far, of one of the streams or of all together. The zero value is nothing. It is
// never changed once it is shared.
type Published struct {
	Calendar   *calendar.Calendar   // of all notices; nil: none was published
	Deadlines  []*calendar.Policy   // every version, ascending
	Escalation []*escalation.Policy // every version, ascending
}

// Evolve returns what is published after one more event. A version that is not later than the last, and a notice that
// the calendar takes for a contradiction, change nothing.
func Evolve(p Published, e Event) Published {
	switch e := e.(type) {
	case CalendarPublished:
		c := p.Calendar
		if c == nil {
			c, _ = calendar.New()
		}
		if next, err := c.With(e.notice()); err == nil && next.Version() == e.Version {
			p.Calendar = next
		}
	case DeadlinesPublished:
		if last := p.deadlines(); last == nil || e.Policy.Version > last.Version {
			p.Deadlines = append(slices.Clip(p.Deadlines), e.Policy.Policy())
		}
	case EscalationPublished:
		if last := p.escalation(); last == nil || e.Policy.Version > last.Version {
			p.Escalation = append(slices.Clip(p.Escalation), &e.Policy)
		}
	}
	return p
}

// deadlines returns the last version, nil if none was published.
func (p Published) deadlines() *calendar.Policy { return last(p.Deadlines) }

func (p Published) escalation() *escalation.Policy { return last(p.Escalation) }

func last[P any](all []*P) *P {
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// InForce returns the last of each, and what otherwise applies in place of what was never published.
func (p Published) InForce(otherwise InForce) InForce {
	if p.Calendar != nil {
		otherwise.Calendar = p.Calendar
	}
	if d := p.deadlines(); d != nil {
		otherwise.Policy = d
	}
	if e := p.escalation(); e != nil {
		otherwise.Escalation = e
	}
	return otherwise
}

// Rules returns the calendar and the policy that a due instant names, as they were at those versions: never the newest
// by accident. Otherwise is what applies to a log from before anything was published. It is false if either is unknown.
func (p Published) Rules(d calendar.Due, otherwise InForce) (r calendar.Rules, known bool) {
	for _, c := range []*calendar.Calendar{p.Calendar, otherwise.Calendar} {
		if c == nil {
			continue
		}
		if r.Calendar, known = c.AsOf(d.Calendar); known {
			break
		}
	}
	for _, q := range append(slices.Clip(p.Deadlines), otherwise.Policy) {
		if q != nil && q.Name == d.Policy && q.Version == d.PolicyVersion {
			r.Policy = q
			break
		}
	}
	return r, r.Calendar != nil && r.Policy != nil
}

// Register holds what was published as the log has it so far. The zero Register is empty and ready; it is safe for
// concurrent use, and reading never waits for writing. It must not be copied after first use.
type Register struct {
	writing sync.Mutex
	now     atomic.Pointer[Published]
}

// Apply moves the register on by events of the three streams, in log order. An event it had before changes nothing.
func (r *Register) Apply(events ...Event) {
	r.writing.Lock()
	defer r.writing.Unlock()
	p := r.Published()
	for _, e := range events {
		p = Evolve(p, e)
	}
	r.now.Store(&p)
}

// Published returns what is published now. What was returned never changes later.
func (r *Register) Published() Published {
	if p := r.now.Load(); p != nil {
		return *p
	}
	return Published{}
}
