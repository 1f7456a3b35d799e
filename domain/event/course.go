package event

import (
	"slices"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/order"
	"gridcase/domain/rule"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// Clocks returns the clocks that run in a state, and the one that stands still; no ID = none does.
func Clocks(s State) (running rule.Clocks, frozen calendar.Due) {
	switch s := s.(type) {
	case demand.State:
		running = s.Running
	case topic.State:
		running = s.Running
	case order.State:
		running, frozen = s.Running, s.Frozen
	case dispute.State:
		running = s.Running
	case whistle.State:
		running = s.Running
	case admission.State:
		running = s.Running
	}
	return running, frozen
}

// Courses returns how the due instant of each clock that now runs, or stands still, came to be what it is. The entries
// are those of one stream, folded, from its first event on. The clocks come in the order in which they run.
func Courses(entries []Entry) []calendar.Course {
	courses := map[string]calendar.Course{} // by the id of the due instant as it is now
	var running rule.Clocks
	var frozen calendar.Due
	for _, e := range entries {
		was := frozen
		running, frozen = Clocks(e.After)
		switch b := e.Body.(type) {
		case order.Resumed:
			turn(courses, was.ID, thawed(courses[was.ID], b.Handle, e))
		case order.VerificationFailed:
			turn(courses, was.ID, thawed(courses[was.ID], b.Handle, e))
		case order.ExtensionGranted:
			before, _ := e.Before.(order.State)
			old, _ := before.Running.Get(b.Handle.Clock)
			turn(courses, old.ID, moved(courses[old.ID], calendar.Move{Turn: calendar.Extension, By: before.Extension.Amount, Due: b.Handle}))
		case dispute.RungExtended:
			before, _ := e.Before.(dispute.State)
			old, _ := before.Running.Get(b.RungDue.Clock)
			turn(courses, old.ID, moved(courses[old.ID], calendar.Move{Turn: calendar.Extension, By: b.Amount, Due: b.RungDue}))
		case order.DeadlineRecomputed:
			turn(courses, b.Replaces, moved(courses[b.Replaces], calendar.Move{Turn: calendar.Recount, Due: b.Clock}))
		}
		for _, d := range running {
			if _, known := courses[d.ID]; !known {
				courses[d.ID] = calendar.Course{First: d}
			}
		}
		if o, ok := e.After.(order.State); ok && frozen.ID != "" && frozen.ID != was.ID {
			courses[frozen.ID] = moved(courses[frozen.ID], calendar.Move{Turn: calendar.Pause, Frozen: o.FrozenAt, Due: frozen})
		}
	}
	var now []calendar.Course
	for _, d := range running {
		now = append(now, courses[d.ID])
	}
	if frozen.ID != "" {
		now = append(now, courses[frozen.ID])
	}
	return now
}

// turn puts a course under the id that its due instant has now.
func turn(courses map[string]calendar.Course, old string, c calendar.Course) {
	delete(courses, old)
	courses[c.Last().ID] = c
}

func moved(c calendar.Course, m calendar.Move) calendar.Course {
	c.Moves = append(slices.Clip(c.Moves), m)
	return c
}

// thawed ends the pause that a course is in.
func thawed(c calendar.Course, d calendar.Due, e Entry) calendar.Course {
	if !c.Stopped() {
		return c
	}
	c.Moves = slices.Clone(c.Moves)
	m := &c.Moves[len(c.Moves)-1]
	m.Restart, m.Due = e.Meta.Recorded, d
	return c
}
