package projections

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Orders is the view of orders (办题单): one row each, and which demands each serves now.
type Orders struct{}

var orderList = listing{table: "orders", category: stream.Order, phases: words(order.Machine.States), ended: words(order.Machine.Terminal),
	late: words([]order.Phase{order.PhaseDispatched, order.PhaseSigned, order.PhaseHandling}), lead: true, counted: true}

// Name implements [View].
func (Orders) Name() string { return "orders" }

// Tables implements [View].
func (Orders) Tables() []Table {
	return []Table{{
		Name: "orders", Key: 1,
		Columns: slices.Concat([]Column{{"id", Blob}, {"revision", Integer}, {"number", Text}, {"phase", Text}, {"kind", Text}, {"matter", Text},
			{"urgency", Text}, {"topic", Blob}, {"cycle", Integer}, {"lead", Text}, {"competent", Text}, {"lead_path", Text}, {"dispatcher", Text},
			{"place", Text}, {"grid", Text}}, siteColumns, reportColumns,
			[]Column{{"task", Text}, {"outcome", Text}, {"summary", Text}, {"round", Integer}, {"leg", Integer}, {"attempt", Integer}, {"reworks", Integer},
				{"returns", Integer}, {"suspensions", Integer}, {"problem", Integer}, {"extension", Integer}, {"supervisions", Integer},
				{"demands", Integer}, {"patrol", Integer}, {"anonymous", Integer}, {"worker", Text}, {"due", Integer}, {"raised_at", Integer}, {"signed_at", Integer},
				{"contacted_at", Integer}, {"verified_at", Integer}, {"handled_at", Integer}, {"closed_at", Integer}, {"since", Integer}, {"changed_at", Integer}}),
		Indexes: append(orderList.indexes("lead", "area", "street", "district"), Index{Columns: []string{"number"}},
			Index{Columns: []string{"topic", "id"}}),
	}, {
		Name: "order_demands", Key: 2, Compact: true, Columns: []Column{{"order_id", Blob}, {"demand", Blob}, {"place", Integer}},
		Indexes: []Index{{Columns: []string{"demand", "order_id"}}},
	}}
}

// Apply implements [View].
func (Orders) Apply(tx *Tx, e Entry) error {
	s, ok := e.After.(order.State)
	if !ok {
		return nil
	}
	before, _ := e.Before.(order.State)
	at, leg := siteOf(e.Units, s.Place, s.Grid), s.Leg()
	unanswered := 0
	for _, sv := range s.Supervisions {
		if sv.Open {
			unanswered++
		}
	}
	byPath, bodies := reported(s, e.Units)
	tx.Put("orders", bytesOf(s.ID), e.Revision, s.Number, string(s.Phase), s.Kind, s.Matter,
		s.Urgency, bytesOf(s.Topic), s.Cycle, string(s.Lead), string(s.Competent), e.Units.Path(s.Lead), string(s.By),
		string(s.Place), string(s.Grid), at.path, at.area, at.street, at.district, byPath, bodies,
		string(s.Task), s.Report.Outcome, string(s.Report.Summary), s.Round, len(s.Legs), s.Attempt, s.Reworks,
		len(s.Returns), s.Suspensions, s.Problem, s.Extension.Pending, unanswered,
		len(s.Demands), s.Patrol, s.Anonymous, s.Worker, dueOf(s.Running), millis(s.DispatchedAt), millis(leg.SignedAt),
		millis(leg.ContactedAt), millis(s.VerifiedAt), millis(handledAt(s)), millis(s.ClosedAt), millis(s.Since), millis(e.Meta.Recorded))
	if slices.Equal(before.Demands, s.Demands) {
		return nil
	}
	for _, d := range before.Demands {
		if !slices.Contains(s.Demands, d) {
			tx.Delete("order_demands", bytesOf(s.ID), bytesOf(d))
		}
	}
	for i, d := range s.Demands {
		tx.Put("order_demands", bytesOf(s.ID), bytesOf(d), i)
	}
	return nil
}

// handledAt is when the work on an order was found done, zero unless that stands: not while it is worked on again.
func handledAt(s order.State) time.Time {
	if (s.Phase == order.PhaseVerified || s.Phase == order.PhaseClosed) && !s.Report.DoneAt.IsZero() {
		return s.VerifiedAt
	}
	return time.Time{}
}

// OrderRow is one order of a list. Instants are zero where there is none; those of a leg are effective ones (rule I18).
type OrderRow struct {
	ID           stream.ID
	Revision     int64
	Number       string
	Phase        order.Phase
	Kind         string
	Matter       string
	Urgency      string
	Topic        stream.ID
	Cycle        int
	Lead         orgs.UnitCode
	Competent    orgs.UnitCode
	LeadPath     string
	By           orgs.UnitCode // dispatched the present leg
	Place        orgs.UnitCode
	Grid         orgs.GridCode
	Path         string // of the grid where it is known, else of the place
	Street       orgs.UnitCode
	District     orgs.UnitCode
	Task         sealed.Public
	Outcome      string        // of the last report
	Summary      sealed.Public // of the last report
	Round        int
	Leg          int // which stay with a lead unit this is, from 1
	Attempt      int
	Reworks      int
	Returns      int // units that asked to send it back
	Suspensions  int
	Problem      bool // 问题工单
	Extension    bool // a request for more time waits
	Supervisions int  // not answered yet
	Demands      int  // attached now
	Patrol       bool
	Anonymous    bool
	Worker       string
	Due          time.Time
	DispatchedAt time.Time
	SignedAt     time.Time // of the present leg
	ContactedAt  time.Time // of the present leg
	VerifiedAt   time.Time
	ClosedAt     time.Time
	Since        time.Time
	ChangedAt    time.Time
}

const orderColumns = `d.id, d.revision, d.number, d.phase, d.kind, d.matter, d.urgency, d.topic, d.cycle, d.lead, d.competent, d.lead_path,
	d.dispatcher, d.place, d.grid, d.path, d.street, d.district, d.task, d.outcome, d.summary, d.round, d.leg, d.attempt, d.reworks, d.returns,
	d.suspensions, d.problem, d.extension, d.supervisions, d.demands, d.patrol, d.anonymous, d.worker, d.due, d.raised_at, d.signed_at,
	d.contacted_at, d.verified_at, d.closed_at, d.since, d.changed_at`

func readOrder(scan func(...any) error) (r OrderRow, err error) {
	var id, topic []byte
	var due, dispatched, signed, contacted, verified, closed, since, changed int64
	err = scan(&id, &r.Revision, &r.Number, &r.Phase, &r.Kind, &r.Matter, &r.Urgency, &topic, &r.Cycle, &r.Lead, &r.Competent, &r.LeadPath,
		&r.By, &r.Place, &r.Grid, &r.Path, &r.Street, &r.District, &r.Task, &r.Outcome, &r.Summary, &r.Round, &r.Leg, &r.Attempt, &r.Reworks, &r.Returns,
		&r.Suspensions, &r.Problem, &r.Extension, &r.Supervisions, &r.Demands, &r.Patrol, &r.Anonymous, &r.Worker, &due, &dispatched, &signed,
		&contacted, &verified, &closed, &since, &changed)
	r.ID, r.Topic, r.Due, r.DispatchedAt = idOf(id), idOf(topic), dueTime(due), fromMillis(dispatched)
	r.SignedAt, r.ContactedAt, r.VerifiedAt, r.ClosedAt = fromMillis(signed), fromMillis(contacted), fromMillis(verified), fromMillis(closed)
	r.Since, r.ChangedAt = fromMillis(since), fromMillis(changed)
	return r, err
}

// OrderFilter says which orders. Empty members narrow nothing.
type OrderFilter struct {
	Place
	Page
	Standing
	Phases     []order.Phase `json:"phases"`
	Kind       string        `json:"kind"`
	Urgency    string        `json:"urgency"`
	Matter     string        `json:"matter"` // code, or the beginning of codes
	Lead       orgs.UnitCode `json:"lead"`
	LedIn      orgs.UnitCode `json:"led_in"`     // led by this unit or one below it
	Worker     string        `json:"worker"`     // opaque id of the person it was given to
	Unassigned bool          `json:"unassigned"` // it was given to nobody in particular
	Topic      stream.ID     `json:"topic"`
	Demand     stream.ID     `json:"demand"` // that it serves now
	Problem    bool          `json:"problem"`
	Due        Span          `json:"due"`
	Raised     Span          `json:"raised"`    // when it was dispatched
	Contacted  Span          `json:"contacted"` // when the present leg had its first contact
	IDs        []stream.ID   `json:"ids"`       // only these, at most 1,000; nil = any
}

func (f OrderFilter) filter(units *orgs.Tree) (filter, error) {
	q := filter{page: f.Page, phases: words(f.Phases)}
	q.within(f.Place)
	q.equal("kind", f.Kind)
	q.equal("urgency", f.Urgency)
	q.prefix("matter", f.Matter)
	if f.Lead != "" {
		q.equal("lead", string(f.Lead))
		q.level, q.value = "lead", string(f.Lead)
	}
	if f.LedIn != "" {
		if path := units.Path(f.LedIn); path != "" {
			in := within(path)
			q.where(strings.ReplaceAll(in.text, "d.path", "d.lead_path"), in.args...)
		} else {
			q.none = true
		}
	}
	q.equal("worker", f.Worker)
	if f.Unassigned {
		q.where("d.worker = ''")
	}
	if !f.Topic.IsZero() {
		q.where("d.topic = ?", bytesOf(f.Topic))
		q.driven = true
	}
	if !f.Demand.IsZero() {
		q.where("d.id IN (SELECT order_id FROM order_demands WHERE demand = ?)", bytesOf(f.Demand))
		q.driven = true
	}
	if f.Problem {
		q.where("d.problem = 1")
	}
	q.standing(orderList, f.Standing)
	q.at("contacted_at", f.Contacted)
	q.due(f.Due)
	q.between("raised_at", f.Raised, time.Time.UnixMilli)
	q.among(f.IDs)
	return q, q.mark("orders", f)
}

// Orders lists what the viewer sees; see [Views.Demands].
func (v *Views) Orders(ctx context.Context, who Viewer, f OrderFilter) (rows []OrderRow, next string, err error) {
	q, err := f.filter(v.runner.Units())
	if err != nil {
		return nil, "", err
	}
	return list(ctx, v, orderList, who, q, orderColumns, readOrder)
}

// CountOrders counts what [Views.Orders] would list over all pages.
func (v *Views) CountOrders(ctx context.Context, who Viewer, f OrderFilter) (int, error) {
	q, err := f.filter(v.runner.Units())
	if err != nil {
		return 0, err
	}
	return count(ctx, v, orderList, who, q)
}

// Order returns one order, whoever asks: see [Views.Visible]. It returns [ErrNotFound].
func (v *Views) Order(ctx context.Context, id stream.ID) (OrderRow, error) {
	return one(ctx, v, "orders AS d WHERE d.id = ?", id[:], orderColumns, readOrder)
}

// OrderByNumber returns the order with this number. It returns [ErrNotFound].
func (v *Views) OrderByNumber(ctx context.Context, number string) (OrderRow, error) {
	if number == "" {
		return OrderRow{}, ErrNotFound
	}
	return one(ctx, v, "orders AS d INDEXED BY orders_by_number WHERE d.number = ?", number, orderColumns, readOrder)
}

// OrderDemands returns the demands that an order serves now, in the order they came.
func (v *Views) OrderDemands(ctx context.Context, id stream.ID) (demands []stream.ID, err error) {
	err = v.query(ctx, "SELECT demand FROM order_demands WHERE order_id = ? ORDER BY place", []any{id[:]}, func(rs *sql.Rows) error {
		var d []byte
		err := rs.Scan(&d)
		demands = append(demands, idOf(d))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("demands of order %s: %w", id, err)
	}
	return demands, nil
}
