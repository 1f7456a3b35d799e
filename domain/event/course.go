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

// RecountOf returns what a body says if it says that a due instant was counted anew, of whichever machine.
func RecountOf(b Body) (rule.Recount, bool) {
	switch b := b.(type) {
	case demand.DeadlineRecomputed:
		return rule.Recount(b), true
	case topic.DeadlineRecomputed:
		return rule.Recount(b), true
	case order.DeadlineRecomputed:
		return rule.Recount(b), true
	case dispute.DeadlineRecomputed:
		return rule.Recount(b), true
	case whistle.DeadlineRecomputed:
		return rule.Recount(b), true
	case admission.DeadlineRecomputed:
		return rule.Recount(b), true
	}
	return rule.Recount{}, false
}

// Provisional lists the due instants of a state that a notice still to come may change: of clocks that run, and of the
// one that stands still.
func Provisional(s State) []calendar.Due {
	running, frozen := Clocks(s)
	var ds []calendar.Due
	for _, d := range running {
		if d.Provisional {
			ds = append(ds, d)
		}
	}
	if frozen.ID != "" && frozen.Provisional {
		ds = append(ds, frozen)
	}
	return ds
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
		if r, counted := RecountOf(e.Body); counted {
			turn(courses, r.Replaces, recounted(courses[r.Replaces], r.Clock))
		}
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
		}
		for _, d := range running {
			if _, known := courses[d.ID]; !known {
				courses[d.ID] = calendar.Course{First: d}
			}
		}
		if o, ok := e.After.(order.State); ok && frozen.ID != "" && was.ID == "" {
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

// recounted moves a course on to a due instant that was counted anew. One that stands still was counted as if it had not
// stopped: in its course the recount comes before the pause.
func recounted(c calendar.Course, d calendar.Due) calendar.Course {
	m := calendar.Move{Turn: calendar.Recount, Due: d}
	if !c.Stopped() {
		return moved(c, m)
	}
	pause := c.Moves[len(c.Moves)-1]
	pause.Due = d
	c.Moves = append(slices.Clone(c.Moves[:len(c.Moves)-1]), m, pause)
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
