package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"path/filepath"
	"slices"
	"testing"

	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// veil is a log as a program sees it that is older than two of the types of events behind a position.
type veil struct {
	eventlog.Log
	from eventlog.Position
}

// veiled are the stored names that the older program does not know, and what they are to it.
var veiled = map[string]string{"unit-opened/1": "unit-opened/99", "demand-fast-tracked/1": "demand-fast-tracked/99"}

func (v veil) Read(ctx context.Context, n string, from eventlog.Revision) iter.Seq2[eventlog.Event, error] {
	return func(yield func(eventlog.Event, error) bool) {
		for ev, err := range v.Log.Read(ctx, n, from) {
			if name, is := veiled[ev.Type]; is && ev.Position > v.from {
				ev.Type = name
			}
			if !yield(ev, err) {
				return
			}
		}
	}
}

func (v veil) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range v.Log.Follow(ctx, after) {
			b.Events = slices.Clone(b.Events)
			for i, ev := range b.Events {
				if name, is := veiled[ev.Type]; is && ev.Position > v.from {
					b.Events[i].Type = name
				}
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// A new node writes two events and dies before anything follows from them. An old node, which does not know them, goes on; then it is upgraded.
func upgraded(t *testing.T, forget string) (knows, follows bool) {
	h := open(t)
	const annex = orgs.UnitCode("150105003002")
	id := h.accepted(demand.Errand)
	first, oid := h.inHandling()
	worker, o := as(orgs.GridWorker, grid.Unit()), stream.Of(stream.Order, oid)
	h.do(o, worker, order.Sign{})
	h.do(o, worker, order.RecordContact{Means: "phone", Demands: []stream.ID{first}})
	h.do(o, worker, order.ReportHandling{Outcome: "resolved", Answer: sealed.Clear("已修好"), Summary: "已修复", Account: sealed.Clear("更换阀门")})
	known, err := h.log.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.stop()
	newer := &house{t: t, log: h.log, dir: t.TempDir(), now: h.now, n: 1000, react: func(event.Entry, flow.World) flow.Plan { return flow.Plan{} }}
	newer.start()
	newer.do(stream.Keyed(stream.Unit, string(annex)), operator, orgs.OpenUnit{Code: annex, Name: "第二社区", Kind: orgs.Community, Parent: street})
	r := newer.do(stream.Of(stream.Demand, id), as(orgs.Clerk, community), demand.FastTrack{Reason: demand.ReasonErrand,
		Route: demand.Route{Order: &demand.NewOrder{Lead: grid.Unit()}}})
	newer.stop()
	ordered := stream.Of(stream.Order, stream.CausedBy(stream.Order, r.Event, 0))

	whole := h.log
	older := &house{t: t, log: veil{whole, known}, dir: h.dir, now: h.now, n: 2000}
	older.start()
	if _, known := older.Units().Unit(annex); known {
		t.Fatal("the older program knows the unit")
	}
	older.do(stream.Of(stream.Demand, first), as(orgs.CallbackAgent, hotline), demand.RecordCallback{Resolved: true, Grade: 5}) // the order is closed behind the two events
	if got := h.types(o); !slices.Contains(got, "order-closed/1") {
		t.Fatalf("nothing followed on the older node: %v", got)
	}
	older.stop()
	older.start() // with what it passed over in its index
	older.stop()

	db, err := sql.Open("sqlite", "file:"+filepath.Join(h.dir, "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for name, unknown := range veiled {
		r, failed := db.Exec("UPDATE unknown SET type = ? WHERE type = ?", name, unknown)
		if failed == nil {
			n, _ := r.RowsAffected()
			passed += int(n)
		}
		err = errors.Join(err, failed)
	}
	if forget != "" {
		_, failed := db.Exec(forget)
		err = errors.Join(err, failed)
	}
	if err = errors.Join(err, db.Close()); err != nil || passed != len(veiled) {
		t.Fatalf("%d types noted as unknown: %v", passed, err)
	}
	h.start()
	h.settle()
	_, knows = h.Units().Unit(annex)
	follows = len(h.types(ordered)) > 0
	h.stop()
	h.start() // learnt for good
	h.settle()
	if _, again := h.Units().Unit(annex); again != knows || len(h.types(ordered)) > 0 != follows {
		t.Error("another start changed what is known")
	}
	return knows, follows
}

func TestAnUpgradedNodeLearnsWhatItPassedOver(t *testing.T) {
	if knows, follows := upgraded(t, ""); !knows || !follows {
		t.Errorf("upgraded: the unit is known: %v; the order of the fast track is there: %v", knows, follows)
	}
	// The same with an index that does not remember what it passed over.
	if knows, follows := upgraded(t, "DELETE FROM unknown"); knows || follows {
		t.Errorf("nothing was noted, and yet: the unit is known: %v; the order is there: %v", knows, follows)
	}
}
