package keys_test

import (
	"fmt"
	"testing"
	"time"

	"gridcase/engine/keys"
	"gridcase/eventlog"
)

// What a key costs: from memory, from a folder, and over a connection to a service on the same machine, which leaves out the network.
func BenchmarkKeys(b *testing.B) {
	for _, kept := range []string{"folder", "service"} {
		dir := b.TempDir()
		var s *keys.Store
		var err error
		if kept == "folder" {
			s, err = keys.Open(b.Context(), dir)
		} else {
			o := newHost(b, dir)
			s, err = keys.Dial(b.Context(), o.remote())
		}
		if err != nil {
			b.Fatal(err)
		}
		k, err := s.For(b.Context(), place.Stream, "reporter", true)
		if err != nil {
			b.Fatal(err)
		}
		get := func(b *testing.B) {
			if _, err := s.Get(b.Context(), k.ID); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(kept+"/get from memory", func(b *testing.B) {
			for b.Loop() {
				get(b)
			}
		})
		b.Run(kept+"/get", func(b *testing.B) {
			for i := 1; b.Loop(); i++ {
				s.At(time.Now().Add(time.Duration(i) * time.Hour))
				get(b)
			}
		})
		b.Run(kept+"/assign 100 that were assigned", func(b *testing.B) {
			var uses []keys.Use
			for i := range 100 {
				k, err := s.For(b.Context(), caseNo(i), "reporter", true)
				if err != nil {
					b.Fatal(err)
				}
				uses = append(uses, keys.Use{Stream: caseNo(i), Part: "reporter", Key: k.ID})
			}
			for i := 1; b.Loop(); i++ {
				if err := s.Assign(b.Context(), uses, eventlog.Position(i)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kept+"/hand out", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := s.For(b.Context(), caseNo(i), fmt.Sprint("part", i), true); err != nil {
					b.Fatal(err)
				}
			}
		})
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
