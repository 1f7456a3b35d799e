package projections

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"gridcase/domain/admission"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// TestAdmissionsListsAndBlocksAreWhatTheLogSays goes through the log in another way and compares every list, page by page.
func TestAdmissionsListsAndBlocksAreWhatTheLogSays(t *testing.T) {
	log, h := sample(t, 41, 1500)
	r := open(t, t.TempDir(), log)
	wait(t, r, h.end)
	ctx, v, units := context.Background(), r.Views(), r.Units()
	type block struct {
		duty.Blocked
		at eventlog.Position
	}
	var blocks []block
	published := map[orgs.UnitCode]int{}
	for batch, err := range log.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range batch.Events {
			switch b, _ := event.Decode(ev.Type, ev.Data); b := b.(type) {
			case duty.Blocked:
				blocks = append(blocks, block{b, ev.Position})
			case duty.Published:
				published[b.Unit] = max(published[b.Unit], b.Version)
			}
		}
		if batch.Live {
			break
		}
	}
	line := func(a, b orgs.UnitCode) bool { return units.Within(a, b) || units.Within(b, a) }
	seen := map[string]int{}
	for _, seat := range []orgs.UnitCode{"150100", "150105", "150105003", "150105003001", "150105003001001", "150105-d01", "150102001", "150105004001-p01"} {
		who := Viewer{Seat: units.Path(seat)}
		for _, unit := range []orgs.UnitCode{"", "150105", "150105003", "150105003001"} {
			var want, got []eventlog.Position
			for _, b := range slices.Backward(blocks) {
				if (line(b.Target, seat) || units.Within(b.By, seat)) && (unit == "" || units.Within(b.Target, unit)) {
					want = append(want, b.at)
				}
			}
			f := BlockFilter{Page: Page{Limit: 3}, Unit: unit}
			for {
				rows, next, err := v.Blocks(ctx, who, f)
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range rows {
					got = append(got, row.Position)
				}
				if f.After = next; next == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s lists the blocks of %q at %v, want %v", seat, unit, got, want)
			}
			if n, err := v.CountBlocks(ctx, who, f); err != nil || n != len(want) {
				t.Errorf("%s counts %d blocks of %q, %v, want %d", seat, n, unit, err, len(want))
			}
			seen["blocks"] += len(want)
		}
		wanted := map[stream.ID]admission.State{}
		for _, id := range h.admissions {
			s := h.states[stream.Of(stream.Admission, id)].(admission.State)
			if line(s.By, seat) || slices.ContainsFunc(firstOf(t, log, id).Units, func(u orgs.UnitCode) bool { return line(u, seat) }) {
				wanted[id] = s
			}
		}
		f := AdmissionFilter{Page: Page{Limit: 2}}
		n, last := 0, int64(1)<<62
		for {
			rows, next, err := v.Admissions(ctx, who, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				s, ok := wanted[row.ID]
				if !ok || row.Phase != s.Phase || !reflect.DeepEqual(row.Units, s.Units) || row.From != s.From || row.Level != s.Attention.Level ||
					row.FundedAt.UnixMilli() != s.FundedAt.UnixMilli() && !(row.FundedAt.IsZero() && s.FundedAt.IsZero()) {
					t.Errorf("%s lists %+v, want %+v", seat, row, s)
				}
				if row.RequestedAt.UnixMilli() > last {
					t.Errorf("%s: not the newest first", seat)
				}
				last = row.RequestedAt.UnixMilli()
				n++
			}
			if f.After = next; next == "" {
				break
			}
		}
		if n != len(wanted) {
			t.Errorf("%s lists %d admissions, want %d", seat, n, len(wanted))
		}
		if got, err := v.CountAdmissions(ctx, who, f); err != nil || got != len(wanted) {
			t.Errorf("%s counts %d admissions, %v, want %d", seat, got, err, len(wanted))
		}
		seen["admissions"] += n
	}
	lists, err := v.DutyLists(ctx)
	total := 0
	for unit, n := range published {
		total += n
		if !slices.ContainsFunc(lists, func(l DutyListRow) bool { return l.Unit == unit && l.Version == n && l.Items == 1 }) {
			t.Errorf("version %d of %s is missing", n, unit)
		}
	}
	if err != nil || len(lists) != total {
		t.Errorf("got %d versions, %v, want %d", len(lists), err, total)
	}
	if seen["blocks"] < 20 || seen["admissions"] < 20 || total < 4 {
		t.Errorf("%v, %d lists: the test does not see enough", seen, total)
	}
	if rows, _, err := v.Blocks(ctx, Viewer{Actor: "r1"}, BlockFilter{Page: Page{Limit: 5}}); err != nil || len(rows) > 0 {
		t.Errorf("somebody without a seat lists %v, %v", rows, err)
	}
	if _, _, err := v.Blocks(ctx, Viewer{All: true}, BlockFilter{Page: Page{Limit: 5, After: "AAAA"}}); err != ErrCursor {
		t.Errorf("a cursor of nowhere: got %v", err)
	}
}

// firstOf is what an admission was asked for.
func firstOf(t *testing.T, log eventlog.Log, id stream.ID) admission.Requested {
	t.Helper()
	for ev, err := range log.Read(context.Background(), string(stream.Of(stream.Admission, id)), 0) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := event.Decode(ev.Type, ev.Data)
		if err != nil {
			t.Fatal(err)
		}
		return b.(admission.Requested)
	}
	t.Fatal("an admission without a request")
	return admission.Requested{}
}
