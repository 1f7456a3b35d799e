package stream

import "hash/maphash"

// Index says where in a list each of many ids stands. It is a map from ids to numbers of at least 0 that holds no pointers and, given room
// enough from the start, never moves: a year of a city looks ids up a million times. The zero Index is empty. Reading is safe for
// concurrent use, as long as nothing is put in.
type Index struct {
	seed  maphash.Seed // so that nobody can choose ids that crowd one place
	slots []indexed    // a power of two of them
	held  int
}

type indexed struct {
	id ID
	at int32 // + 1; 0 is an empty slot
}

// NewIndex returns an index with room for so many ids. It grows if there are more.
func NewIndex(room int) *Index {
	x := new(Index)
	x.Reserve(room)
	return x
}

// Reserve makes room for so many more ids.
func (x *Index) Reserve(more int) {
	n := 8
	for n*3 < (x.held+more)*4 {
		n *= 2
	}
	if n <= len(x.slots) {
		return
	}
	wider := Index{seed: maphash.MakeSeed(), slots: make([]indexed, n), held: x.held}
	for _, s := range x.slots {
		if s.at != 0 {
			*wider.slot(s.id) = s
		}
	}
	*x = wider
}

// Put says where an id stands, in the place of what was said of it before.
func (x *Index) Put(id ID, at int32) {
	if (x.held+1)*4 > len(x.slots)*3 {
		x.Reserve(x.held + 1)
	}
	s := x.slot(id)
	if s.at == 0 {
		x.held++
	}
	*s = indexed{id, at + 1}
}

// Has reports whether an id is in the index.
func (x *Index) Has(id ID) bool {
	_, here := x.At(id)
	return here
}

// At returns where an id stands, false if it is not in the index.
func (x *Index) At(id ID) (int32, bool) {
	if x.held == 0 {
		return 0, false
	}
	s := x.slot(id)
	return s.at - 1, s.at != 0
}

// slot returns the slot that holds an id, or the empty one that it would take. A quarter of the slots is always empty.
func (x *Index) slot(id ID) *indexed {
	last := len(x.slots) - 1
	for i := int(maphash.Bytes(x.seed, id[:])) & last; ; i = (i + 1) & last {
		if s := &x.slots[i]; s.at == 0 || s.id == id {
			return s
		}
	}
}
