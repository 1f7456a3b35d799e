package projections

import (
	"context"
	"encoding/json"
	"iter"
	"testing"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/event"
	"gridcase/domain/evidence"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// replayed yields a log as [evidence.Replay] reads it, up to its end.
func replayed(log eventlog.Log) iter.Seq2[evidence.Stored, error] {
	return func(yield func(evidence.Stored, error) bool) {
		for b, err := range log.Follow(context.Background(), 0) {
			if err != nil {
				yield(evidence.Stored{}, err)
				return
			}
			for _, e := range b.Events {
				if !yield(evidence.Stored{Position: evidence.Position(e.Position), Stored: event.Stored{Stream: stream.Name(e.Stream), Revision: int64(e.Revision), ID: stream.ID(e.ID),
					Type: e.Type, Data: e.Data, Meta: e.Meta}}, nil) {
					return
				}
			}
			if b.Live {
				return
			}
		}
	}
}

func written(t testing.TB, f assessment.Facts, err error) string {
	t.Helper()
	b, err2 := json.Marshal(f)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return string(b)
}

// TestFactsAreThoseOfTheLogAlone compares the facts that the views give with those of the bare log up to the same position.
func TestFactsAreThoseOfTheLogAlone(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(2) {
		log, h := sample(t, 70+seed, 900)
		r := open(t, t.TempDir(), log)
		wait(t, r, h.end)
		to := calendar.DateOf(h.now) + 60
		from := to - 90
		seen := assessment.Facts{}
		for range 8 {
			p := h.end
			if n := h.random.IntN(3); n > 0 {
				p = eventlog.Position(1 + h.random.IntN(int(h.end)))
			}
			upTo := evidence.Position(p)
			if h.random.IntN(2) == 0 {
				upTo += 100 // which must not matter
			}
			docket, err := evidence.Replay(replayed(log), upTo)
			if err != nil {
				t.Fatal(err)
			}
			first := from + calendar.Date(h.random.IntN(80))
			for _, scope := range []evidence.Scope{
				{Jurisdiction: "150105", First: first, Last: first + 10, Base: first},
				{Jurisdiction: "150102", First: from, Last: to, Base: from},
				{Jurisdiction: "150105003", First: from, Last: to},
				{Jurisdiction: "150100", First: first, Last: first},
				{Jurisdiction: "150100", First: from, Last: to, Base: to},
			} {
				got, err := r.Views().Facts(ctx, scope, p)
				want, err2 := docket.Facts(scope, evidence.Position(p))
				if a, b := written(t, got, err), written(t, want, err2); a != b {
					t.Fatalf("seed %d, %+v as of %d:\n got %s\nwant %s", seed, scope, p, a, b)
				}
				if len(got.Demands) > len(seen.Demands) {
					seen = got
				}
			}
		}
		if len(seen.Demands) == 0 || len(seen.Legs) == 0 || len(seen.Summonses) == 0 || len(seen.Disputes) == 0 || len(seen.Topics) == 0 || len(seen.Blocks) == 0 ||
			len(seen.Loads) == 0 || len(seen.Heirs) == 0 {
			t.Fatalf("the history has nothing to compare: %d demands, %d legs, %d summonses, %d disputes, %d topics, %d blocks, %d loads, %d heirs", len(seen.Demands), len(seen.Legs),
				len(seen.Summonses), len(seen.Disputes), len(seen.Topics), len(seen.Blocks), len(seen.Loads), len(seen.Heirs))
		}
		if _, err := r.Views().Facts(ctx, evidence.Scope{Jurisdiction: orgs.UnitCode("150105"), First: from, Last: to}, h.end+1); err != ErrAhead {
			t.Fatalf("facts of the future: got %v, want %v", err, ErrAhead)
		}
	}
}
