package projections

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/dispute"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// Disputes is the view of disputes (矛盾纠纷): one row each, how long each stood at each rung, and which accounts are parties.
type Disputes struct{}

var disputeList = listing{table: "disputes", category: stream.Dispute, phases: words(dispute.Machine.States), ended: words(dispute.Machine.Terminal)}

// Name implements [View].
func (Disputes) Name() string { return "disputes" }

// Tables implements [View].
func (Disputes) Tables() []Table {
	return []Table{{
		Name: "disputes", Key: 1,
		Columns: slices.Concat([]Column{{"id", Blob}, {"revision", Integer}, {"phase", Text}, {"demand", Blob}, {"unit", Text}}, siteColumns,
			[]Column{{"rung", Integer}, {"mediator", Text}, {"taken_up", Integer}, {"outcome", Text}, {"outcome_at", Integer}, {"outcome_rung", Integer},
				{"target", Text}, {"due", Integer}, {"raised_at", Integer}, {"ended_at", Integer}, {"since", Integer}, {"changed_at", Integer}}),
		Indexes: append(disputeList.indexes("area", "street", "district"), Index{Columns: []string{"outcome_at"}}),
	}, {
		Name: "dispute_stays", Key: 2, Compact: true, Columns: []Column{{"id", Blob}, {"rung", Integer}, {"began_at", Integer}, {"left_at", Integer}},
		Indexes: []Index{{Columns: []string{"left_at"}}},
	}, {
		Name: "dispute_parties", Key: 2, Compact: true, Columns: []Column{{"actor", Text}, {"id", Blob}},
	}}
}

// Outcome is how a dispute left the ladder, or came to rest on it.
type Outcome string

// The outcomes.
const (
	Settled     Outcome = "settled"      // there is an agreement, and nobody broke it
	ReferredOut Outcome = "referred_out" // a court or another body outside has it
	Ended       Outcome = "ended"        // withdrawn
)

// Apply implements [View].
func (Disputes) Apply(tx *Tx, e Entry) error {
	s, ok := e.After.(dispute.State)
	if !ok {
		return nil
	}
	at := siteOf(e.Units, s.Unit, "")
	var outcome Outcome
	var on time.Time
	rung := s.Rung
	switch s.Phase {
	case dispute.PhaseAgreed, dispute.PhaseFulfilled:
		outcome, on, rung = Settled, s.Agreement.At, s.Agreement.Rung
	case dispute.PhaseReferredOut:
		outcome, on = ReferredOut, s.EndedAt
	case dispute.PhaseEnded:
		outcome, on = Ended, s.EndedAt
	}
	taken := slices.ContainsFunc(s.Stays, func(t dispute.Stay) bool { return t.Mediator != "" })
	tx.Put("disputes", bytesOf(s.ID), e.Revision, string(s.Phase), bytesOf(s.Demand), string(s.Unit), at.path, at.area, at.street, at.district,
		int(s.Rung), string(s.Mediator), taken, string(outcome), millis(on), int(rung),
		string(s.Target), dueOf(s.Running), millis(s.OpenedAt), millis(s.EndedAt), millis(s.Since), millis(e.Meta.Recorded))
	for i, t := range s.Stays {
		left := t.Until
		if i == len(s.Stays)-1 && outcome == Settled {
			left = on // what follows is keeping the agreement
		}
		tx.Put("dispute_stays", bytesOf(s.ID), int(t.Rung), millis(t.From), millis(left))
	}
	if e.Before == nil {
		for _, p := range s.Parties {
			tx.Put("dispute_parties", p, bytesOf(s.ID))
		}
	}
	return nil
}

// DisputeRow is one dispute of a list. Instants are zero where there is none.
type DisputeRow struct {
	ID          stream.ID
	Revision    int64
	Phase       dispute.Phase
	Demand      stream.ID
	Unit        orgs.UnitCode
	Street      orgs.UnitCode
	District    orgs.UnitCode
	Rung        dispute.Rung
	Mediator    orgs.UnitCode
	TakenUp     bool // by a mediator, at some rung
	Outcome     Outcome
	OutcomeAt   time.Time
	OutcomeRung dispute.Rung
	Target      dispute.Target
	Due         time.Time
	OpenedAt    time.Time
	EndedAt     time.Time
	Since       time.Time
	ChangedAt   time.Time
}

const disputeColumns = `d.id, d.revision, d.phase, d.demand, d.unit, d.street, d.district, d.rung, d.mediator, d.taken_up, d.outcome,
	d.outcome_at, d.outcome_rung, d.target, d.due, d.raised_at, d.ended_at, d.since, d.changed_at`

func readDispute(scan func(...any) error) (r DisputeRow, err error) {
	var id, demand []byte
	var on, due, opened, ended, since, changed int64
	err = scan(&id, &r.Revision, &r.Phase, &demand, &r.Unit, &r.Street, &r.District, &r.Rung, &r.Mediator, &r.TakenUp, &r.Outcome,
		&on, &r.OutcomeRung, &r.Target, &due, &opened, &ended, &since, &changed)
	r.ID, r.Demand, r.OutcomeAt, r.Due = idOf(id), idOf(demand), fromMillis(on), dueTime(due)
	r.OpenedAt, r.EndedAt, r.Since, r.ChangedAt = fromMillis(opened), fromMillis(ended), fromMillis(since), fromMillis(changed)
	return r, err
}

// DisputeFilter says which disputes. Empty members narrow nothing.
type DisputeFilter struct {
	Place
	Page
	Phases    []dispute.Phase `json:"phases"`
	Unsettled bool            `json:"unsettled"` // neither agreed on nor at an end
	Rung      dispute.Rung    `json:"rung"`      // where it stands, or stood last
	Outcomes  []Outcome       `json:"outcomes"`
	OutcomeAt Span            `json:"outcome_at"`
	UpTo      dispute.Rung    `json:"up_to"`    // its outcome came at this rung or below
	At        dispute.Rung    `json:"at"`       // its outcome came at this rung
	TakenUp   bool            `json:"taken_up"` // by a mediator, at some rung
	Target    dispute.Target  `json:"target"`
	LeftRung  dispute.Rung    `json:"left_rung"` // it left this rung, or was settled there …
	Left      Span            `json:"left"`      // … in this span
	Due       Span            `json:"due"`
	Raised    Span            `json:"raised"` // when it was opened
}

func (f DisputeFilter) filter() (filter, error) {
	q := filter{page: f.Page, phases: words(f.Phases)}
	f.Grid = "" // a dispute lies in a unit
	q.within(f.Place)
	if f.Unsettled {
		q.only(disputeList.phases, words(unsettled))
	}
	if f.Rung != 0 {
		q.where("d.rung = ?", int64(f.Rung))
	}
	q.oneOf("outcome", words(f.Outcomes))
	q.at("outcome_at", f.OutcomeAt)
	if f.UpTo != 0 {
		q.where("d.outcome_rung <= ?", int64(f.UpTo))
	}
	if f.At != 0 {
		q.where("d.outcome_rung = ?", int64(f.At))
	}
	if f.TakenUp {
		q.where("d.taken_up = 1")
	}
	q.equal("target", string(f.Target))
	if f.LeftRung != 0 {
		q.where("EXISTS (SELECT 1 FROM dispute_stays AS y WHERE y.id = d.id AND y.rung = ? AND y.left_at > 0 AND y.left_at >= ? AND y.left_at < ?)",
			int64(f.LeftRung), millis(f.Left.From), millis(f.Left.To))
	}
	q.due(f.Due)
	q.between("raised_at", f.Raised, time.Time.UnixMilli)
	return q, q.mark("disputes", f)
}

// unsettled are the states in which a dispute stands on the ladder and nothing is agreed.
var unsettled = []dispute.Phase{dispute.PhaseOpened, dispute.PhaseMediating, dispute.PhaseFailed}

// Disputes lists what the viewer sees; see [Views.Demands]. A place's grid narrows nothing here.
func (v *Views) Disputes(ctx context.Context, who Viewer, f DisputeFilter) (rows []DisputeRow, next string, err error) {
	q, err := f.filter()
	if err != nil {
		return nil, "", err
	}
	return list(ctx, v, disputeList, who, q, disputeColumns, readDispute)
}

// CountDisputes counts what [Views.Disputes] would list over all pages.
func (v *Views) CountDisputes(ctx context.Context, who Viewer, f DisputeFilter) (int, error) {
	q, err := f.filter()
	if err != nil {
		return 0, err
	}
	return count(ctx, v, disputeList, who, q)
}

// disputeReasons are the rules by which a dispute is seen beyond where its matter lies: by its parties, by mediators up and
// down the ladder, and by whoever sees the demand that it came from.
func (v Viewer) disputeReasons(units *orgs.Tree) []reason {
	var rs []reason
	add := func(text string, args ...any) {
		rs = append(rs, reason{conditions: []condition{{text, args}}})
	}
	if v.Actor != "" {
		add("EXISTS (SELECT 1 FROM dispute_parties AS y WHERE y.actor = ? AND y.id = d.id)", v.Actor)
	}
	if path := units.Path(v.Mediates); path != "" {
		rs = append(rs, reason{conditions: []condition{within(path)}})
		above := strings.Split(strings.Trim(path, "/"), "/")
		add("d.unit IN ("+marks(len(above))+")", anys(above)...)
	}
	open := " AND x.confidential = 0"
	if v.Confidential {
		open = ""
	}
	if v.Actor != "" {
		add("EXISTS (SELECT 1 FROM demands AS x WHERE x.id = d.demand AND x.raised_by = ?"+open+")", v.Actor)
	}
	if seat := seatCode(v.Seat); units.Path(seat) == v.Seat && v.Seat != "" {
		in := within(v.Seat)
		add("EXISTS (SELECT 1 FROM demands AS x WHERE x.id = d.demand AND "+strings.ReplaceAll(in.text, "d.", "x.")+open+")", in.args...)
		add("EXISTS (SELECT 1 FROM demands AS x, reach AS y WHERE x.id = d.demand AND x.confidential = 0 AND y.kind = ? AND y.seat = ? AND y.id = x.id)",
			string(stream.Demand), string(seat))
	}
	return rs
}

// LadderQuery asks how disputes of a unit fared on the ladder.
type LadderQuery struct {
	Unit     orgs.UnitCode
	By       By            // rows for its parts: by district, street or community; "" = none
	From, To calendar.Date // from From on, before To
}

// Ladder is what [Views.Ladder] answers.
type Ladder struct {
	Position eventlog.Position
	Total    LadderRow
	Rows     []LadderRow // in code order
}

// LadderRow are figures of disputes. Each but the times is the length of a list, see [DisputeFilter]; arrays are by rung, 0 unused.
type LadderRow struct {
	Place
	Opened    int    // in the period
	Open      [5]int // now, unsettled, by the rung where they stand
	Settled   [5]int // in the period, by the rung of the agreement
	Mediated  [5]int // of those, by rung, the ones a mediator had taken up
	Concluded int    // taken up at some rung, and in the period settled, referred out or ended: what shares are of
	Referred  map[dispute.Target]int
	Ended     int
	Times     [5]Times // of those that left the rung in the period, or were settled there: minutes at the rung

	minutes [5][]int32
}

// Ladder counts disputes by rung. It costs the disputes that are open, and those of the period.
func (v *Views) Ladder(ctx context.Context, q LadderQuery) (l Ladder, err error) {
	c := counting{LoadQuery: LoadQuery{Unit: q.Unit, By: cmp.Or(q.By, ByCommunity), From: q.From, To: q.To}, units: v.runner.Units(), rows: map[string]*LoadRow{}}
	if q.By == ByGrid || q.By.desk() {
		return l, ErrBy
	}
	if err := c.begin(); err != nil {
		return l, err
	}
	rows := map[string]*LadderRow{}
	if q.By != "" {
		for _, p := range c.parts {
			rows[p.key] = &LadderRow{Place: c.row(p.path).Place, Referred: map[dispute.Target]int{}}
		}
	}
	l.Total = LadderRow{Place: c.base, Referred: map[dispute.Target]int{}}
	each := func(area string, f func(*LadderRow)) {
		f(&l.Total)
		if q.By == "" {
			return
		}
		r := c.row(areaPath(c.units, orgs.UnitCode(area)))
		if rows[r.Key] == nil {
			rows[r.Key] = &LadderRow{Place: r.Place, Referred: map[dispute.Target]int{}}
		}
		f(rows[r.Key])
	}
	in := within(c.path)
	from, to := millis(q.From.Start()), millis(q.To.Start())
	l.Position, err = v.snapshot(ctx, func(s snapshot) error {
		ask := func(columns, where string, args []any, into []any, then func()) error {
			return s.query(ctx, "SELECT "+columns+" FROM "+where+" AND "+in.text, slices.Concat(args, in.args), func(rs *sql.Rows) error {
				err := rs.Scan(into...)
				then()
				return err
			})
		}
		var area string
		var rung dispute.Rung
		var outcome Outcome
		var target dispute.Target
		var taken bool
		var began, left int64
		err := ask("d.area", "disputes AS d INDEXED BY "+disputeList.index("", "raised_at")+" WHERE d.phase IN ("+marks(len(disputeList.phases))+") AND d.raised_at >= ? AND d.raised_at < ?",
			append(anys(disputeList.phases), from, to), []any{&area}, func() { each(area, func(r *LadderRow) { r.Opened++ }) })
		if err != nil {
			return err
		}
		err = ask("d.area, d.rung", "disputes AS d INDEXED BY "+disputeList.index("", "due")+" WHERE d.phase IN ("+marks(len(unsettled))+")",
			anys(words(unsettled)), []any{&area, &rung}, func() { each(area, func(r *LadderRow) { r.Open[rung%5]++ }) })
		if err != nil {
			return err
		}
		err = ask("d.area, d.outcome, d.outcome_rung, d.target, d.taken_up", "disputes AS d INDEXED BY disputes_by_outcome_at WHERE d.outcome_at >= ? AND d.outcome_at < ? AND d.outcome_at > 0",
			[]any{from, to}, []any{&area, &outcome, &rung, &target, &taken}, func() {
				each(area, func(r *LadderRow) {
					if taken {
						r.Concluded++
					}
					switch outcome {
					case Settled:
						r.Settled[rung%5]++
						if taken {
							r.Mediated[rung%5]++
						}
					case ReferredOut:
						r.Referred[target]++
					case Ended:
						r.Ended++
					}
				})
			})
		if err != nil {
			return err
		}
		return ask("d.area, y.rung, y.began_at, y.left_at", "dispute_stays AS y INDEXED BY dispute_stays_by_left_at CROSS JOIN disputes AS d ON d.id = y.id WHERE y.left_at >= ? AND y.left_at < ? AND y.left_at > 0",
			[]any{from, to}, []any{&area, &rung, &began, &left}, func() {
				each(area, func(r *LadderRow) { r.minutes[rung%5] = append(r.minutes[rung%5], int32((left-began)/60_000)) })
			})
	})
	if err != nil {
		return Ladder{}, fmt.Errorf("ladder of %s: %w", q.Unit, err)
	}
	finish := func(r *LadderRow) {
		for i := range r.minutes {
			r.Times[i], r.minutes[i] = minutes{r.minutes[i]}.times(), nil
		}
	}
	finish(&l.Total)
	keys := make([]string, 0, len(rows))
	for key := range rows {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		finish(rows[key])
		l.Rows = append(l.Rows, *rows[key])
	}
	return l, nil
}
