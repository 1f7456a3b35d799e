package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"gridcase/domain/event"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// Diary is a [Timetable] in memory, for an engine that followed its log from the first event: that of a simulation. The
// engine that has it as [Config.Diary] keeps it; it is current when that engine has settled. It is safe for concurrent use.
type Diary struct {
	mu    sync.Mutex
	of    map[stream.Name]event.Slot
	slots []event.Slot // in order
}

// Note takes what an event changed.
func (d *Diary) Note(e event.Entry) {
	is, wanted := event.SlotOf(e.Stream, e.After)
	d.mu.Lock()
	defer d.mu.Unlock()
	was, here := d.of[e.Stream]
	if here == wanted && was == is {
		return
	}
	if here {
		i, _ := slices.BinarySearchFunc(d.slots, was, event.Slot.Compare)
		d.slots = slices.Delete(d.slots, i, i+1)
		delete(d.of, e.Stream)
	}
	if wanted {
		if d.of == nil {
			d.of = map[stream.Name]event.Slot{}
		}
		i, _ := slices.BinarySearchFunc(d.slots, is, event.Slot.Compare)
		d.slots, d.of[e.Stream] = slices.Insert(d.slots, i, is), is
	}
}

// Due implements [Timetable].
func (d *Diary) Due(_ context.Context, until time.Time, after event.Slot, limit int) ([]event.Slot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, found := slices.BinarySearchFunc(d.slots, after, event.Slot.Compare)
	if found {
		i++
	}
	n := i
	for n < len(d.slots) && n-i < limit && !d.slots[n].At.After(until) {
		n++
	}
	return slices.Clone(d.slots[i:n]), nil
}

// Live implements [Timetable].
func (d *Diary) Live() bool { return true }

// Position implements [Timetable]: a diary is asked when the engine has settled, and never behind.
func (d *Diary) Position() eventlog.Position { return ^eventlog.Position(0) }
