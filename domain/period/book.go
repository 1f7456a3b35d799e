package period

import (
	"cmp"
	"slices"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
)

// Book holds every figure of a period as its seals recorded them, one edition for each. The zero Book has none.
type Book struct {
	Editions []Edition // by revision; read only

	waiting  []Figure // recorded, and not sealed yet
	results  string   // that they belong to
	revision int
}

// Edition is a result as it was sealed: what holds until the next one, and stays readable after it.
type Edition struct {
	Revision int
	Cause    Cause // of a revision
	Reason   sealed.Public
	CutOff   int64
	CutOffAt time.Time
	Program  string
	Root     string
	Leaves   int64
	Results  string
	Cohort   string
	Items    int
	Figures  []Figure // all of them, by unit, street and name
	Changed  []Figure // of a revision, with what they were
}

// Take takes the next event of the period in.
func (b *Book) Take(e Event) {
	switch e := e.(type) {
	case FiguresRecorded:
		if e.From == 0 || e.Results != b.results || e.Revision != b.revision {
			b.waiting, b.results, b.revision = nil, e.Results, e.Revision
		}
		if e.From == len(b.waiting) {
			b.waiting = append(slices.Clip(b.waiting), e.Figures...)
		}
	case Sealed:
		b.seal(Edition{Revision: 1, CutOff: e.CutOff, CutOffAt: e.CutOffAt, Program: e.Program, Root: e.Root, Leaves: e.Leaves, Results: e.Results,
			Cohort: e.Cohort, Items: e.Items})
	case RevisionSealed:
		b.seal(Edition{Revision: e.Revision, Cause: e.Cause, Reason: e.Reason, CutOff: e.CutOff, CutOffAt: e.CutOffAt, Program: e.Program, Root: e.Root,
			Leaves: e.Leaves, Results: e.Results, Cohort: e.Cohort, Items: e.Items})
	}
}

func (b *Book) seal(e Edition) {
	if e.Revision > 1 {
		e.Changed = b.waiting
	}
	e.Figures = revised(b.Last().Figures, b.waiting)
	b.Editions, b.waiting = append(slices.Clip(b.Editions), e), nil
}

// Last returns the edition that holds, the zero one if there is none.
func (b *Book) Last() Edition {
	if len(b.Editions) == 0 {
		return Edition{}
	}
	return b.Editions[len(b.Editions)-1]
}

// place is what tells one figure of an edition from another.
type place struct {
	unit, street orgs.UnitCode
	name         string
}

func (f Figure) place() place { return place{f.Unit, f.Street, f.Name} }

// Compare orders figures by unit, street and name.
func (f Figure) Compare(g Figure) int {
	return cmp.Or(cmp.Compare(f.Unit, g.Unit), cmp.Compare(f.Street, g.Street), cmp.Compare(f.Name, g.Name))
}

// value is what the figure says now.
func (f Figure) value() Value { return Value{f.N, f.D, f.Printed} }

// revised applies what a revision recorded to the figures before it.
func revised(before, changed []Figure) []Figure {
	all := map[place]Figure{}
	for _, f := range before {
		all[f.place()] = f
	}
	for _, f := range changed {
		at, gone := f.place(), f.Gone
		if f.Was, f.Gone = nil, false; gone {
			delete(all, at)
		} else {
			all[at] = f
		}
	}
	fs := make([]Figure, 0, len(all))
	for _, f := range all {
		fs = append(fs, f)
	}
	slices.SortFunc(fs, Figure.Compare)
	return fs
}

// Changes lists what a revision records: each figure that is another, with what it was, in the order of [Figure.Compare].
func Changes(before, after []Figure) []Figure {
	old := map[place]Figure{}
	for _, f := range before {
		old[f.place()] = f
	}
	var changed []Figure
	for _, f := range after {
		o, known := old[f.place()]
		delete(old, f.place())
		if known && o.value() == f.value() {
			continue
		}
		if f.Was, f.Gone = nil, false; known {
			was := o.value()
			f.Was = &was
		}
		changed = append(changed, f)
	}
	for _, f := range old {
		was := f.value()
		f.N, f.D, f.Printed, f.Was, f.Gone = "", "", assessment.None, &was, true
		changed = append(changed, f)
	}
	slices.SortFunc(changed, Figure.Compare)
	return changed
}
