package stream

import (
	"fmt"
	"testing"
)

// TestAnIndexIsAMap puts ids in, some of them again and the zero id among them, and finds what a map finds.
func TestAnIndexIsAMap(t *testing.T) {
	var zero Index
	if at, known := zero.At(ID{}); known {
		t.Fatalf("the empty index knows the zero id at %d", at)
	}
	for _, room := range []int{0, 1, 700, 5000} {
		x, want := NewIndex(room), map[ID]int32{}
		for i := range int32(1000) {
			id := Derive("index", fmt.Sprint(i%700))
			if i == 0 {
				id = ID{}
			}
			x.Put(id, i)
			want[id] = i
		}
		for i := range 1400 {
			id := Derive("index", fmt.Sprint(i))
			at, known := x.At(id)
			if w, has := want[id]; known != has || known && at != w {
				t.Fatalf("room for %d: id %d stands at %d, %v; want %d, %v", room, i, at, known, w, has)
			}
		}
		if at, known := x.At(ID{}); !known || at != 0 {
			t.Errorf("room for %d: the zero id stands at %d, %v; want 0", room, at, known)
		}
	}
}
