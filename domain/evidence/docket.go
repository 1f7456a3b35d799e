package evidence

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"gridcase/domain/assessment"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// Stored is an event of a log, with its position.
type Stored struct {
	event.Stored
	Position Position
}

// Docket holds the evidence of a whole log in memory: what a view keeps in tables, for whoever has the log alone.
type Docket struct {
	Setting Setting
	at      Position
	units   *orgs.Tree
	folder  *event.Folder
	cases   map[stream.ID]Case
}

// Replay reads a log up to a position and keeps its evidence. Events in log order from the first; reading stops at the first
// that lies behind. It costs the decoding and folding of every event.
func Replay(log iter.Seq2[Stored, error], upTo Position) (*Docket, error) {
	d := NewDocket()
	for s, err := range log {
		if err != nil {
			return nil, fmt.Errorf("replay after position %d: %w", d.at, err)
		}
		if s.Position > upTo {
			break
		}
		e, err := event.Understand(s.Stored)
		if err == nil {
			err = d.Take(e, s.Position)
		}
		if err != nil {
			return nil, fmt.Errorf("replay position %d: %w", s.Position, err)
		}
	}
	return d, nil
}

// NewDocket returns an empty docket.
func NewDocket() *Docket {
	return &Docket{units: new(orgs.Tree), cases: map[stream.ID]Case{}, folder: event.NewFolder(1<<62, func(n stream.Name, count int64) (event.State, error) {
		return nil, fmt.Errorf("%s begins with revision %d: %w", n, count, event.ErrHole)
	})}
}

// Take takes the next event of the log in.
func (d *Docket) Take(e event.Entry, at Position) error {
	e, err := d.folder.Fold(e)
	if err != nil {
		return err
	}
	d.at = at
	id, of := e.Stream.ID(), e.Stream.Category()
	switch of {
	case stream.Unit, stream.Grids:
		d.units = d.units.With(e.Body)
	case stream.Gate:
		id = e.ID
	}
	d.Setting.Take(e)
	d.put(id, of, d.cases[id].Track.Observe(e, at, d.units, func(order stream.ID) stream.ID { return d.cases[order].Track.First() }))
	if of == stream.Demand {
		now, was := Governed(e)
		d.put(now, stream.Topic, d.cases[now].Track.Linked(id, true, at))
		d.put(was, stream.Topic, d.cases[was].Track.Linked(id, false, at))
	}
	return nil
}

func (d *Docket) put(id stream.ID, of stream.Category, t Track) {
	if len(t) > 0 {
		d.cases[id] = Case{id, of, t}
	}
}

// Facts returns what can count in a scope, as of the last event taken; see [Gather].
func (d *Docket) Facts(scope Scope) (assessment.Facts, error) {
	scope = scope.In(d.units)
	f, err := Gather(slices.Collect(maps.Values(d.cases)), scope, d.at, nil)
	f.Loads, f.Heirs = d.Setting.Loads(scope), d.Setting.Heirs(scope)
	return f, err
}
