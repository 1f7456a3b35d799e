package city_test

import (
	"path/filepath"
	"reflect"
	"testing"

	"gridcase/cmd/gridcase/city"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
	"gridcase/projections"
)

// TestTheViewsOfAYearAreWell lets views follow a year event by event, and others be built from it at once: they hold the same rows, and
// no event is parked in either.
func TestTheViewsOfAYearAreWell(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	p, ctx := play(t, city.Street, 1501, 600), t.Context()
	log := mem.Open()
	views := func(name string) *projections.Runner {
		r, err := projections.Open(ctx, projections.Config{Dir: filepath.Join(t.TempDir(), name), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		return r
	}
	live := views("live")
	var end eventlog.Position
	for i, e := range p.events {
		c, err := log.Append(ctx, e.Stream, e.Revision-1, e.Fact)
		if err != nil {
			t.Fatal(err)
		}
		if end = c.Position; i%500 == 0 {
			live.Wait(ctx, end)
		}
	}
	rows := map[string]map[string]string{}
	for name, r := range map[string]*projections.Runner{"live": live, "rebuilt": views("rebuilt")} {
		at, ok := r.Wait(ctx, end)
		parked, err := r.Parked(ctx)
		if err != nil || !ok || len(parked) > 0 {
			t.Fatalf("%s: at %d of %d, parked %v, %v", name, at, end, parked, err)
		}
		if rows[name], _, err = r.Views().Digest(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(rows["live"], rows["rebuilt"]) {
		t.Errorf("the views differ:\n%v\n%v", rows["live"], rows["rebuilt"])
	}
}
