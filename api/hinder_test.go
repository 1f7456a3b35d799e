package api_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/api"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
	"gridcase/eventlog/mem"
	"gridcase/projections"
)

// newer is a log in which a newer program has written some events, as long as it is meant to.
type newer struct {
	eventlog.Log
	since *atomic.Bool
}

func (l newer) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range l.Log.Follow(ctx, after) {
			if l.since.Load() {
				es := make([]eventlog.Event, len(b.Events))
				for i, e := range b.Events {
					if es[i] = e; e.Type == "order-rated/1" {
						es[i].Type = "order-praised/2"
					}
				}
				b.Events = es
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// fussy is a view that can not take what is raised, as long as it is meant not to.
type fussy struct{ now *atomic.Bool }

func (fussy) Name() string { return "fussy" }
func (fussy) Tables() []projections.Table {
	return []projections.Table{{Name: "fussy", Key: 1, Columns: []projections.Column{{Name: "id", Type: projections.Text}}}}
}
func (v fussy) Apply(_ *projections.Tx, e projections.Entry) error {
	if _, raised := e.Body.(demand.Raised); raised && v.now.Load() {
		return errors.New("a fault of this program")
	}
	return nil
}

// ahead is a log that has more than anybody was shown.
type ahead struct{ eventlog.Log }

func (l ahead) End(ctx context.Context) (eventlog.Position, error) {
	p, err := l.Log.End(ctx)
	return p + 3, err
}

// written appends an event of which the rules were never asked, as a program with other rules writes it.
func (h *house) written(path string, b event.Body) {
	h.t.Helper()
	n := stream.Name("gridcase." + strings.Replace(strings.TrimPrefix(path, "/"), "s/", "-", 1))
	_, revision, err := h.engine.Load(context.Background(), n)
	if err != nil {
		h.t.Fatal(err)
	}
	data, err := event.Encode(b)
	if err == nil {
		_, err = h.log.Append(context.Background(), string(n), eventlog.Revision(revision), eventlog.Fact{ID: uuid.New(), Type: b.EventType(), Data: data,
			Meta: event.EncodeMeta(event.Meta{Salt: [16]byte{1}, Actor: "clerk", Role: orgs.Clerk, Unit: community, Key: uuid.NewString(), Occurred: h.clock(), Recorded: h.clock(), Schema: 1})})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}

// astray is a fast-track to a unit that there is not: its order can not be dispatched, and that consequence is parked.
func (h *house) astray() {
	h.t.Helper()
	h.written(h.accepted("issue"), demand.FastTracked{Reason: demand.ReasonStatutory, Citation: "第八条", Route: demand.Route{Order: &demand.NewOrder{Lead: "150105-d99"}},
		Promise: calendar.Due{ID: "promise/1/0/9", Clock: calendar.Promise, Kind: calendar.NamedDate, StartedAt: h.clock(), Due: h.clock().AddDate(0, 2, 0), OriginalDue: h.clock().AddDate(0, 2, 0), Policy: "p", PolicyVersion: 1, Calendar: "cn-2026#1"}})
}

// Nothing is shown, recorded, sealed or revised while something is unknown or parked: it might belong to what is sealed. Each cause is told in words, and
// once it is gone the period is sealed.
func TestNothingIsSealedOverWhatIsUnknownOrParked(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	var strange, odd atomic.Bool
	h := openOn(t, func(h *house) eventlog.Log { return newer{mem.Open(mem.WithClock(h.clock)), &strange} }, func(h *house, _ *engine.Config) { h.further = []projections.View{fussy{&odd}} })
	manned(h)
	a := h.assessedApril()
	ann, ben := h.key(orgs.Evaluator, district), h.key(orgs.Evaluator, oversight)
	const ruling = `{"ruling":"无街道评价的单位不计分"}`
	id, err := stream.ParseID(strings.TrimPrefix(a.april, "/periods/"))
	if err != nil {
		t.Fatal(err)
	}
	// refused wants every given step refused under its rule, in the words of the cause, in both languages, with nothing written.
	refused := func(cause string, zh, en string, steps ...string) {
		t.Helper()
		for _, step := range steps {
			before := h.end()
			body := map[string]string{"seal": ruling, "seal-revision": `{"cause":"late_fact","reason":"补办"}`}[step]
			for lang, says := range map[string]string{"zh": zh, "en": en} {
				tag := h.get(ann, a.april).Header.Get("ETag")
				headers := []string{"If-Match", tag, "Accept-Language", lang}
				if body != "" {
					headers = append(headers, "GridCase-Confirmation", h.confirmation(ben, a.april+"/"+step, tag, body))
				} else {
					body = "{}"
				}
				r := h.want(h.post(ann, a.april+"/"+step, body, headers...), 409, "guard_failed")
				if !strings.Contains(r.text("detail"), says) || r.text("rule.number") != map[string]string{"publish-provisional": "Q3", "seal-revision": "Q5"}[step] && r.text("rule.number") != "Q4" {
					t.Errorf("%s: %s is refused with %s, want %q", cause, step, r.raw, says)
				}
				if body == "{}" {
					body = ""
				}
			}
			if h.end() != before {
				t.Errorf("%s: %s wrote something", cause, step)
			}
		}
	}
	released := func() {
		t.Helper()
		parked, err := h.engine.Parked(t.Context())
		if err != nil || len(parked) != 1 || parked[0].Rule != "R1" {
			t.Fatalf("parked: %+v, %v; want one consequence of R1", parked, err)
		}
		if gone, err := h.engine.Release(t.Context(), parked[0].Rule, parked[0].Stream); err != nil || !gone {
			t.Fatalf("it is not released: %v", err)
		}
		if gone, err := h.engine.Release(t.Context(), parked[0].Rule, parked[0].Stream); err != nil || gone {
			t.Errorf("what is gone is released again: %v, %v", gone, err)
		}
	}

	h.astray()
	h.ended(a.april)
	h.evaluated(a.april, street, agency)
	h.wait(20 * 24 * time.Hour)
	refused("a consequence that was refused", "有 1 项后续动作被拒绝而搁置，如规则 R1", "1 consequences up to the cut-off were refused and wait for a person, such as rule R1", "publish-provisional")
	released()
	h.do(ann, a.april, "publish-provisional", `{}`)
	h.wait(10 * 24 * time.Hour)

	strange.Store(true)
	refused("an event of a newer program", "有 1 个事件为本版程序所不识，如 order-praised/2", "1 events up to the cut-off are unknown to this program, such as order-praised/2", "seal", "record-figures", "publish-provisional")
	strange.Store(false)

	odd.Store(true)
	h.raised(h.key(orgs.Channel, hotline), raising)
	refused("a view that can not take an event", "有 1 个案卷为视图 fussy 等搁置", "1 streams are parked by a view, such as fussy", "seal", "record-figures", "publish-provisional")
	odd.Store(false)
	if err := h.views.Rebuild(t.Context(), nil); err != nil { // as the next program does, which takes it
		t.Fatal(err)
	}

	// Views that have not come to the end: nothing is computed from what they lack.
	behind, enough := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer enough()
	late := api.Settler{Engine: h.engine, Views: h.views, Log: ahead{h.log}, Program: "test"}
	before := h.end()
	_, err = late.Seal(behind, api.Settling{Period: id, Key: "late", Actor: rule.Actor{ID: "ann", Role: orgs.Evaluator, Unit: district}, Second: &rule.Actor{ID: "ben", Role: orgs.Evaluator, Unit: oversight}, Expect: engine.Any}, "裁定")
	if !errors.Is(err, api.ErrBehind) || !strings.Contains(err.Error(), fmt.Sprintf("at %d of %d: the views are behind the log", before, before+3)) || h.end() != before {
		t.Errorf("with views that are behind it is refused with %v", err)
	}

	// What is parked or unknown after the cut-off is not of the seal; a revision is computed from everything, and so refused.
	if _, err := h.log.Append(t.Context(), "gridcase.demand-"+uuid.NewString(), eventlog.None, eventlog.Fact{ID: uuid.New(), Type: "demand-dreamt/9", Data: []byte("{}"),
		Meta: event.EncodeMeta(event.Meta{Actor: "x", Recorded: h.clock()})}); err != nil {
		t.Fatal(err)
	}
	h.astray()
	h.want(h.confirmed(ann, ben, a.april, "seal", ruling), 200, "")
	h.settle()
	h.handled(a.due, agency) // late
	refused("both", "如 demand-dreamt/9；截止前有 1 项后续动作被拒绝而搁置，如规则 R1", "such as demand-dreamt/9; 1 consequences", "seal-revision", "record-figures")
	released()
	refused("an event of a newer program", "如 demand-dreamt/9", "such as demand-dreamt/9", "seal-revision")
}
