package evidence

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"gridcase/domain/assessment"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/scheme"
	"gridcase/domain/stream"
)

// Stored is an event of a log, with its position.
type Stored struct {
	event.Stored
	Position Position
}

// Docket holds the evidence of a whole log in memory: what a view keeps in tables, for whoever has the log alone.
type Docket struct {
	at       Position
	units    *orgs.Tree
	folder   *event.Folder
	cases    map[stream.ID]Case
	settings []placed // what stands behind the cases
	rulings  []placed // schemes, periods, evaluations
}

// placed is an event at its position.
type placed struct {
	event.Entry
	at Position
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
	case stream.Scheme, stream.Period, stream.Evaluation:
		d.rulings = append(d.rulings, placed{e, at})
	}
	if Settles(of) {
		d.settings = append(d.settings, placed{e, at})
	}
	track, _ := d.cases[id].Track.Observe(e, at, d.units, func(order stream.ID) stream.ID { return d.cases[order].Track.First() })
	d.put(id, of, track)
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

// Setting returns what stood behind the cases at a position.
func (d *Docket) Setting(asOf Position) *Setting {
	var s Setting
	for _, e := range d.settings {
		if e.at <= asOf {
			s.Take(e.Entry)
		}
	}
	return &s
}

// Facts returns what can count in a scope, as of a position; see [Gather].
func (d *Docket) Facts(scope Scope, asOf Position) (assessment.Facts, error) {
	s := d.Setting(asOf)
	scope = scope.In(s.Units())
	f, err := Gather(slices.Collect(maps.Values(d.cases)), scope, asOf, nil)
	f.Loads, f.Heirs = s.Loads(scope), s.Heirs(scope)
	return f, err
}

// ErrNoPeriod: the log knows of no such period, or of no scheme as it was when the period was opened.
var ErrNoPeriod = errors.New("no such period, or its scheme is another one")

// Assess computes a period as of a position, with the cases up to its end, or up to cutOff if that is not 0.
func (d *Docket) Assess(id stream.ID, asOf, cutOff Position) (*assessment.Results, error) {
	courses, schemes := map[stream.ID]*Course{}, map[stream.ID]scheme.State{}
	var submissions []Submission
	for _, e := range d.rulings {
		if e.at > asOf {
			break
		}
		of := e.Stream.ID()
		switch e.Stream.Category() {
		case stream.Scheme:
			schemes[of] = scheme.Evolve(schemes[of], e.Body, e.Meta.Stamp(e.ID))
		case stream.Period:
			if courses[of] == nil {
				courses[of] = &Course{}
			}
			courses[of].Take(e.Entry, e.at)
		case stream.Evaluation:
			if p, s, ok := SubmissionOf(e.Entry, e.at); ok && p == id {
				submissions = append(submissions, s)
			}
		}
	}
	c := courses[id]
	if c == nil || schemes[c.Scheme].Hash != c.Hash {
		return nil, ErrNoPeriod
	}
	line := map[stream.ID]bool{}
	for of := c.Scheme; !of.IsZero() && !line[of]; of = schemes[of].Follows {
		line[of] = true
	}
	var others []Course
	for _, o := range courses {
		if o.Jurisdiction == c.Jurisdiction && line[o.Scheme] {
			others = append(others, *o)
		}
	}
	if cutOff == 0 {
		cutOff = c.CutOff(asOf)
	}
	p := d.Setting(cutOff).Assemble(*c, schemes[c.Scheme].Scheme, submissions, others)
	f, err := d.Facts(c.Scope(schemes[c.Scheme].Scheme), cutOff)
	if err != nil {
		return nil, err
	}
	return assessment.Compute(schemes[c.Scheme].Scheme, p, f)
}
