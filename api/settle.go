package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/assessment"
	"gridcase/domain/event"
	"gridcase/domain/evidence"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/scheme"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
	"gridcase/eventlog/ledger"
	"gridcase/projections"
)

// Settler computes what a period comes to, and hands it to the engine, which decides whether it may be shown or sealed. It is safe for
// concurrent use.
type Settler struct {
	Engine  *engine.Engine
	Views   *projections.Runner
	Log     eventlog.Log // the engine's
	Program string       // version of the program, as a seal records it
}

// Settling is a request to show or seal the figures of a period.
type Settling struct {
	Period   stream.ID
	Key      string
	Actor    rule.Actor
	Second   *rule.Actor
	Occurred time.Time // zero: now
	Expect   int64     // revision of the stream that the caller read, or [engine.Any]
	Trace    string
}

// ErrBehind: the views have not come to the end of the log in time. It may be tried again.
var ErrBehind = errors.New("the views are behind the log")

// Show publishes provisional figures (预公示), computed from the cases up to the period's end.
func (s *Settler) Show(ctx context.Context, q Settling) (engine.Receipt, error) {
	return s.settle(ctx, q, period.PublishProvisional{}, func(r *reckoning) (engine.Command, []period.Figure, error) {
		return period.PublishProvisional{Figures: r.computed.Count, Results: r.computed.Results, Cohort: r.computed.Cohort, Missing: r.missing()}, nil, nil
	})
}

// Seal seals what was shown (封存).
func (s *Settler) Seal(ctx context.Context, q Settling, ruling sealed.Public) (engine.Receipt, error) {
	return s.settle(ctx, q, period.Seal{Ruling: ruling}, func(r *reckoning) (engine.Command, []period.Figure, error) {
		blank := 0
		for _, st := range r.Standings {
			if !st.Streets.Known {
				blank++
			}
		}
		return period.Seal{Computed: r.computed, Units: len(r.Standings), Blank: blank, Ruling: ruling}, r.figures, nil
	})
}

// Revise seals a corrected result beside the ones before it (修订), computed from all that the log holds now; where the scheme counts late facts in the next period, from
// what it held at the cut-off.
func (s *Settler) Revise(ctx context.Context, q Settling, cause period.Cause, reason sealed.Public) (engine.Receipt, error) {
	return s.settle(ctx, q, period.SealRevision{Cause: cause, Reason: reason}, func(r *reckoning) (engine.Command, []period.Figure, error) {
		changed := period.Changes(r.Book.Last().Figures, r.figures)
		return period.SealRevision{Computed: r.computed, Cause: cause, Reason: reason, Changed: len(changed)}, changed, nil
	})
}

// Record records the figures of the next seal or revision before it (记录数值): those that are not there yet. The seal then adds what a
// city has too many of for one append, and takes no longer than a small one.
func (s *Settler) Record(ctx context.Context, q Settling) (engine.Receipt, error) {
	return s.settle(ctx, q, period.RecordFigures{}, func(r *reckoning) (engine.Command, []period.Figure, error) {
		figures := r.figures
		if r.Result.Revision > 0 {
			figures = period.Changes(r.Book.Last().Figures, r.figures)
		}
		return period.RecordFigures{Revision: r.Result.Revision + 1, Results: r.computed.Results}, figures, nil
	})
}

// reckoning is what was computed for a settling.
type reckoning struct {
	stood
	*assessment.Results
	figures  []period.Figure
	computed period.Computed
	hinders  []rule.Phrase // what is unknown or parked
}

// hindered refuses to show or seal anything while something is unknown or parked: it might belong to what is sealed.
func (r *reckoning) hindered(by period.Command) error {
	if len(r.hinders) == 0 {
		return nil
	}
	var zh, en []string
	for _, h := range r.hinders {
		zh, en = append(zh, h.Zh), append(en, h.En)
	}
	id := "Q4"
	switch by.(type) {
	case period.PublishProvisional:
		id = "Q3"
	case period.SealRevision:
		id = "Q5"
	}
	return rule.Refuse(rule.GuardFailed, id, strings.Join(zh, "；"), strings.Join(en, "; "))
}

// missing counts the evaluations that were due and did not come.
func (r *reckoning) missing() (n int) {
	for _, sc := range r.Scores {
		if !slices.ContainsFunc(r.Results.Period.Evaluations, func(e assessment.Evaluation) bool { return e.Street == sc.Street && e.Unit == sc.Unit }) {
			n++
		}
	}
	return n
}

// settle computes as of now; a repeated request as of when it was first decided, so that it is the same request again. Where the
// period's state, role or place already forbid it, the engine is given the bare command and says so.
func (s *Settler) settle(ctx context.Context, q Settling, bare period.Command, filled func(*reckoning) (engine.Command, []period.Figure, error)) (engine.Receipt, error) {
	n := stream.Of(stream.Period, q.Period)
	give := func(c engine.Command, key string, expect int64) (engine.Receipt, error) {
		return s.Engine.Handle(ctx, engine.Request{Stream: n, Commands: []engine.Command{c}, Key: key, Actor: q.Actor, Second: q.Second, Occurred: q.Occurred, Expect: expect, Trace: q.Trace})
	}
	asOf, err := s.Log.End(ctx)
	if err != nil {
		return engine.Receipt{}, err
	}
	a, err := readAnnals(ctx, s.Log, q.Period)
	if err != nil {
		return engine.Receipt{}, err
	}
	cutOff := eventlog.Position(0)
	again, repeated := a.keyed(q.Key, q.Actor.ID)
	if repeated {
		asOf, cutOff = again.before, again.cutOff
	}
	was := a.asOf(asOf)
	if !repeated && q.Expect != engine.Any && q.Expect != was.revision {
		return engine.Receipt{}, &engine.StaleError{Expect: q.Expect, Actual: was.revision}
	}
	units := s.Engine.Units()
	if period.Machine.Admit(was.Phase, bare.Name(), rule.Stamp{Actor: q.Actor, Second: q.Second}) != nil || !units.Within(was.Jurisdiction, rule.Seat(units, q.Actor)) {
		return give(bare, q.Key, q.Expect)
	}
	_, revises := bare.(period.SealRevision)
	_, records := bare.(period.RecordFigures)
	if revises = revises || records && was.Result.Revision > 0; revises && cutOff == 0 {
		law, _, err := s.Engine.Load(ctx, stream.Of(stream.Scheme, was.Scheme))
		if err != nil {
			return engine.Receipt{}, err
		}
		cutOff = asOf
		if l, drafted := law.(scheme.State); drafted && period.KeepsCutOff(l.Scheme) {
			cutOff = eventlog.Position(was.Result.CutOff)
		}
	} else if !revises {
		cutOff = eventlog.Position(was.Ended)
	}
	r, err := s.reckon(ctx, was, asOf, cutOff, repeated)
	if err == nil {
		err = r.hindered(bare)
	}
	if err != nil {
		return engine.Receipt{}, err
	}
	c, figures, err := filled(r)
	if err != nil {
		return engine.Receipt{}, err
	}
	revision := was.Result.Revision + 1
	if had := was.Recorded; had.Revision == revision && had.Results == r.computed.Results {
		figures = figures[min(had.Figures, len(figures)):]
	} else {
		was.Recorded = period.Record{}
	}
	expect, from := q.Expect, was.Recorded.Figures
	parts := period.Portions(figures)
	if seal, seals := c.(period.Seal); seals && !was.sealable(seal) {
		parts = nil // nothing is recorded for a seal that will be refused
	}
	for len(parts) > 1 {
		part, err := give(period.RecordFigures{Revision: revision, Results: r.computed.Results, From: from, Figures: parts[0]}, partKey(q.Key, from), expect)
		if err != nil {
			return part, err
		}
		from, parts = from+len(parts[0]), parts[1:]
		if expect != engine.Any {
			expect = part.Revision
		}
	}
	last := slices.Concat(parts...)
	switch x := c.(type) {
	case period.Seal:
		x.Figures = last
		c = x
	case period.SealRevision:
		x.Figures = last
		c = x
	case period.RecordFigures:
		x.From, x.Figures = from, last
		c = x
	}
	return give(c, q.Key, expect)
}

// partKey is the key under which a part of the figures is recorded: another one than that of the seal.
func partKey(key string, from int) string {
	h := sha256.Sum256([]byte(key + "/" + strconv.Itoa(from)))
	return "figures-" + hex.EncodeToString(h[:16])
}

// sealable reports whether nothing that is known before the figures are recorded speaks against the seal.
func (s stood) sealable(c period.Seal) bool {
	return s.Undecided() == 0 && !s.Changed && c.Unknown == 0 && c.Results == s.Shown.Results && c.Cohort == s.Shown.Cohort && (c.Blank == 0 || c.Ruling != "")
}

// settleTime is how long showing or sealing waits for the views.
const settleTime = 30 * time.Second

// reckon computes a period as of a position, and all that a seal says of it.
func (s *Settler) reckon(ctx context.Context, was stood, asOf, cutOff eventlog.Position, repeated bool) (*reckoning, error) {
	waiting, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if at, ok := s.Views.Wait(waiting, asOf); !ok {
		return nil, fmt.Errorf("at %d of %d: %w", at, asOf, ErrBehind)
	}
	a, err := s.Views.Views().Assess(ctx, projections.Question{Period: was.ID, AsOf: asOf, CutOff: cutOff})
	if err != nil {
		return nil, err
	}
	c := census{Log: s.Log, upTo: cutOff}
	tree, err := ledger.At(ctx, &c, cutOff)
	if err != nil {
		return nil, err
	}
	parked, err := s.Views.Parked(ctx)
	if err != nil {
		return nil, err
	}
	refused, err := s.Engine.Parked(ctx)
	if err != nil {
		return nil, err
	}
	refused = slices.DeleteFunc(refused, func(p engine.Parked) bool { return p.Position > cutOff })
	var hinders []rule.Phrase
	if n := c.unknown; n > 0 {
		hinders = append(hinders, rule.Say(fmt.Sprintf("截止前有 %d 个事件为本版程序所不识，如 %s", n, c.strange), fmt.Sprintf("%d events up to the cut-off are unknown to this program, such as %s", n, c.strange)))
	}
	if n := len(parked); n > 0 {
		hinders = append(hinders, rule.Say(fmt.Sprintf("有 %d 个案卷为视图 %s 等搁置", n, parked[0].View), fmt.Sprintf("%d streams are parked by a view, such as %s", n, parked[0].View)))
	}
	if n := len(refused); n > 0 {
		hinders = append(hinders, rule.Say(fmt.Sprintf("截止前有 %d 项后续动作被拒绝而搁置，如规则 %s，待人工查看", n, refused[0].Rule),
			fmt.Sprintf("%d consequences up to the cut-off were refused and wait for a person, such as rule %s", n, refused[0].Rule)))
	}
	unknown := c.unknown + len(parked)
	if repeated { // it was decided over none
		unknown, hinders = 0, nil
	}
	at := was.CutOffAt
	if cutOff != eventlog.Position(was.Ended) {
		at = c.last
	}
	figures, cohort, root := evidence.Figures(a.Results), sha256.New(), tree.Root()
	lines := counter(0)
	if err := a.Cohort(both{cohort, &lines}); err != nil {
		return nil, err
	}
	return &reckoning{stood: was, Results: a.Results, figures: figures, computed: period.Computed{CutOff: int64(cutOff), CutOffAt: at, Program: s.Program,
		Root: hex.EncodeToString(root[:]), Leaves: tree.Size(), Count: len(figures), Results: a.ResultsHash(), Items: int(lines),
		Cohort: hex.EncodeToString(cohort.Sum(nil)), Unknown: unknown}, hinders: hinders}, nil
}

// counter counts lines.
type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(bytes.Count(b, []byte("\n")))
	return len(b), nil
}

// both writes to two writers that take everything.
type both [2]interface{ Write([]byte) (int, error) }

func (w both) Write(b []byte) (int, error) {
	_, _ = w[0].Write(b)
	return w[1].Write(b)
}

// census is a log that looks at what is read from it: how many events up to a position this program does not know, and when the last of
// them was recorded.
type census struct {
	eventlog.Log
	upTo    eventlog.Position
	unknown int
	strange string // the type of the first of them
	last    time.Time
}

var knownTypes = func() map[string]bool {
	m := map[string]bool{}
	for t := range event.Types() {
		m[t] = true
	}
	return m
}()

// Follow implements [eventlog.Log].
func (c *census) Follow(ctx context.Context, after eventlog.Position) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range c.Log.Follow(ctx, after) {
			for _, e := range b.Events {
				if e.Position > c.upTo {
					break
				}
				if strings.HasPrefix(e.Stream, "gridcase.") && !knownTypes[e.Type] {
					c.strange = cmp.Or(c.strange, e.Type)
					c.unknown++
				}
				c.last = e.At
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// annals is the stream of a period, with the positions of its events.
type annals struct {
	id      stream.ID
	entries []event.Entry
	at      []eventlog.Position
}

func readAnnals(ctx context.Context, log eventlog.Log, id stream.ID) (annals, error) {
	a := annals{id: id}
	n := string(stream.Of(stream.Period, id))
	for ev, err := range log.Read(ctx, n, 0) {
		if err != nil {
			return a, fmt.Errorf("read %s: %w", n, err)
		}
		e, err := event.Understand(event.Stored{Stream: stream.Name(ev.Stream), Revision: int64(ev.Revision), ID: stream.ID(ev.ID), Type: ev.Type, Data: ev.Data, Meta: ev.Meta})
		if err != nil {
			return a, err
		}
		a.entries, a.at = append(a.entries, e), append(a.at, ev.Position)
	}
	return a, nil
}

// first is where a request was decided the first time.
type first struct {
	before eventlog.Position // what the log held
	cutOff eventlog.Position // of a seal or revision
}

// keyed finds what an actor decided under a key.
func (a annals) keyed(key, actor string) (f first, found bool) {
	for i, e := range a.entries {
		if e.Meta.Key != key || e.Meta.Actor != actor {
			continue
		}
		if !found {
			f.before, found = a.at[i]-1, true
		}
		switch b := e.Body.(type) {
		case period.Sealed:
			f.cutOff = eventlog.Position(b.CutOff)
		case period.RevisionSealed:
			f.cutOff = eventlog.Position(b.CutOff)
		}
	}
	return f, found
}

// stood is how a period stood at a position.
type stood struct {
	evidence.Course
	period.Book
	revision int64               // of the stream, -1: it was not opened yet
	shown    eventlog.Position   // of the last provisional figures
	editions []eventlog.Position // of the seal and each revision
	sealedAt []time.Time         // when each of them was recorded
}

func (a annals) asOf(p eventlog.Position) stood {
	s := stood{revision: -1}
	for i, e := range a.entries {
		if a.at[i] > p {
			break
		}
		s.Course.Take(e, evidence.Position(a.at[i]))
		s.Book.Take(e.Body.(period.Event))
		s.revision = e.Revision
		switch e.Body.(type) {
		case period.ProvisionalPublished:
			s.shown = a.at[i]
		case period.Sealed, period.RevisionSealed:
			s.editions, s.sealedAt = append(s.editions, a.at[i]), append(s.sealedAt, e.Meta.Recorded)
		}
	}
	return s
}

// question is what to ask the views for, to find again what held at a position: what was sealed last, or shown last, or what it comes
// to by then.
func (s stood) question(p eventlog.Position) projections.Question {
	q := projections.Question{Period: s.ID, AsOf: p}
	switch n := len(s.editions); {
	case n > 0:
		q.AsOf, q.CutOff = s.editions[n-1]-1, eventlog.Position(s.Last().CutOff)
	case s.shown > 0 && s.Dropped == 0:
		q.AsOf = s.shown - 1
	}
	return q
}

type (
	publishProvisionalBody struct{ Happened }
	recordFiguresBody      struct{ Happened }
	sealPeriodBody         struct {
		Happened
		Ruling sealed.Public `json:"ruling,omitempty" maxLength:"500" doc:"Why it is sealed although some units have no score; needed if there are any."`
	}
	sealRevisionBody struct {
		Happened
		Cause  period.Cause  `json:"cause" enum:"late_fact,correction"`
		Reason sealed.Public `json:"reason" minLength:"1" maxLength:"500"`
	}
)

// settler is the server's own.
func (s *Server) settler() *Settler {
	return &Settler{Engine: s.Engine, Views: s.Views, Log: s.Log, Program: s.Version}
}

// settles offers a command to a period whose figures the server computes.
func settles[B interface{ when() time.Time }](s *Server, name, summary string, do func(context.Context, *Settler, Settling, B) (engine.Receipt, error)) {
	op := huma.Operation{OperationID: name + "-period", Method: http.MethodPost, Path: base + "/periods/{id}/" + name, Summary: summary, Tags: []string{"periods"}}
	offer[B](s, op, func(ctx context.Context, in *commandInput[B]) (*answer[PeriodFile], error) {
		n, _, _, err := s.find(ctx, stream.Period, in.ID)
		again := err == nil && s.repeats(ctx, n, in.Post)
		if err == nil {
			err = s.may(ctx, action("period/"+name))
		}
		if err != nil {
			return nil, err
		}
		key, err := in.idempotencyKey()
		if err != nil {
			return nil, err
		}
		seen, err := parseIfMatch(in.IfMatch)
		if err != nil {
			return nil, err
		}
		if err := s.occurred(in.body.when()); err != nil {
			return nil, err
		}
		second, err := s.second(in.Confirmation, in.path, seen, in.raw)
		if err != nil && !again {
			return nil, err
		}
		rq := of(ctx)
		receipt, err := do(ctx, s.settler(), Settling{Period: n.ID(), Key: key, Actor: rq.actor, Second: second, Occurred: in.body.when(), Expect: seen, Trace: rq.trace}, in.body)
		if err != nil {
			return nil, err
		}
		s.quiet(ctx, receipt.Position)
		body, err := renderPeriod(ctx, s, n, receipt.State, receipt.Revision, receiptOf(receipt))
		return answered(http.StatusOK, "", receipt, body), err
	})
}

func (s *Server) settleRoutes() {
	settles(s, "publish-provisional", "Show figures to those whom they are about, computed at the cut-off (预公示)", func(ctx context.Context, x *Settler, q Settling, _ publishProvisionalBody) (engine.Receipt, error) {
		return x.Show(ctx, q)
	})
	settles(s, "record-figures", "Record the figures of the next seal before it (记录数值); a seal does so itself", func(ctx context.Context, x *Settler, q Settling, _ recordFiguresBody) (engine.Receipt, error) {
		return x.Record(ctx, q)
	})
	settles(s, "seal", "Seal what was shown last, with a second person (封存): it never changes again", func(ctx context.Context, x *Settler, q Settling, b sealPeriodBody) (engine.Receipt, error) {
		return x.Seal(ctx, q, b.Ruling)
	})
	settles(s, "seal-revision", "Seal a corrected result beside those before it, with a second person (修订)", func(ctx context.Context, x *Settler, q Settling, b sealRevisionBody) (engine.Receipt, error) {
		return x.Revise(ctx, q, b.Cause, b.Reason)
	})
}
