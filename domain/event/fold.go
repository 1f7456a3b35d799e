package event

import (
	"cmp"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/evaluation"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/policy"
	"gridcase/domain/rule"
	"gridcase/domain/scheme"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// State is what the events of one stream add up to: a [demand.State], [topic.State], [order.State],
// [dispute.State], [whistle.State], [admission.State], [duty.State], [orgs.UnitState], [orgs.GridsState],
// [policy.Published], [scheme.State], [period.State] or [evaluation.State]; nil for streams that are not folded, and before the first event.
type State any

// Alarms lists what the clock does next on a stream in this state, nothing for states without clocks.
func Alarms(s State) []rule.Alarm {
	if a, timed := s.(interface{ Alarms() []rule.Alarm }); timed {
		return a.Alarms()
	}
	return nil
}

// Slot is a line of a timetable: when the clock is next wanted on a stream, and what for. The stream itself says what is
// to be done; a slot only says where to look.
type Slot struct {
	Stream stream.Name
	At     time.Time // whole seconds
	ID     string    // of the due instant
	Step   string
}

// SlotOf returns the slot of a stream in this state: its earliest alarm, false if the clock is not wanted.
func SlotOf(n stream.Name, s State) (Slot, bool) {
	a, wanted := rule.Earliest(Alarms(s))
	if !wanted {
		return Slot{}, false
	}
	return Slot{Stream: n, At: a.At, ID: a.ID, Step: a.Step}, true
}

// Compare orders slots as alarms are fired: by time, then by stream.
func (s Slot) Compare(t Slot) int {
	return cmp.Or(s.At.Compare(t.At), cmp.Compare(s.Stream, t.Stream))
}

// Overdue returns the attention that a matter has while a clock of its still runs whose due instant passed; false if there
// is no such clock. A level of 0 says that it never rose.
func Overdue(s State) (rule.Attention, bool) {
	switch s := s.(type) {
	case demand.State:
		return s.Attention, s.Running.Overdue(s.Fired)
	case topic.State:
		return s.Attention, s.Running.Overdue(s.Fired)
	case order.State:
		return s.Attention, s.Running.Overdue(s.Fired)
	case dispute.State:
		return s.Attention, s.Running.Overdue(s.Fired)
	case admission.State:
		return s.Attention, s.Running.Overdue(s.Fired)
	}
	return rule.Attention{}, false
}

// Fold returns the state of a stream after one more event. It never changes the state it was given.
func Fold(n stream.Name, s State, b Body, st rule.Stamp) State {
	switch n.Category() {
	case stream.Demand:
		d, begun := s.(demand.State)
		if !begun {
			d.ID = n.ID()
		}
		return demand.Evolve(d, b, st)
	case stream.Topic:
		t, begun := s.(topic.State)
		if !begun {
			t.ID = n.ID()
		}
		return topic.Evolve(t, b, st)
	case stream.Order:
		o, begun := s.(order.State)
		if !begun {
			o.ID = n.ID()
		}
		return order.Evolve(o, b, st)
	case stream.Dispute:
		d, begun := s.(dispute.State)
		if !begun {
			d.ID = n.ID()
		}
		return dispute.Evolve(d, b, st)
	case stream.Whistle:
		w, begun := s.(whistle.State)
		if !begun {
			w.ID = n.ID()
		}
		return whistle.Evolve(w, b, st)
	case stream.Admission:
		a, begun := s.(admission.State)
		if !begun {
			a.ID = n.ID()
		}
		return admission.Evolve(a, b, st)
	case stream.Scheme:
		c, begun := s.(scheme.State)
		if !begun {
			c.ID = n.ID()
		}
		return scheme.Evolve(c, b, st)
	case stream.Period:
		p, begun := s.(period.State)
		if !begun {
			p.ID = n.ID()
		}
		return period.Evolve(p, b, st)
	case stream.Evaluation:
		v, begun := s.(evaluation.State)
		if !begun {
			v.ID = n.ID()
		}
		return evaluation.Evolve(v, b, st)
	case stream.Duties:
		d, _ := s.(duty.State)
		return duty.Fold(d, b, st)
	case stream.Unit:
		u, _ := s.(orgs.UnitState)
		return orgs.FoldUnit(u, b)
	case stream.Grids:
		g, _ := s.(orgs.GridsState)
		return orgs.FoldGrids(g, b, calendar.DateOf(st.Occurred))
	case stream.Calendar, stream.Policy:
		p, _ := s.(policy.Published)
		return policy.Evolve(p, b)
	}
	return nil
}
