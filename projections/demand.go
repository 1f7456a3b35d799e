package projections

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"gridcase/domain/demand"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Demands is the view of demands (诉求): one row each, and beside it the sealed fields of the event that raised it, as
// that event has them.
type Demands struct{}

var demandList = listing{table: "demands", category: stream.Demand, phases: words(demand.Machine.States), ended: words(demand.Machine.Terminal),
	late:   words([]demand.Phase{demand.PhaseRaised, demand.PhaseAccepted, demand.PhaseInTopic, demand.PhaseInHandling, demand.PhaseAnswered}),
	raised: true, confidential: true, counted: true}

// Name implements [View].
func (Demands) Name() string { return "demands" }

// Tables implements [View].
func (Demands) Tables() []Table {
	return []Table{{
		Name: "demands", Key: 1,
		Columns: slices.Concat([]Column{{"id", Blob}, {"revision", Integer}, {"number", Text}, {"phase", Text}, {"stage", Text},
			{"kind", Text}, {"channel", Text}, {"external", Text}, {"urgency", Text}, {"matter", Text}, {"unit", Text}, {"grid", Text}}, siteColumns,
			[]Column{{"summary", Text}, {"round", Integer}, {"topic", Blob}, {"orders", Blob}, {"waiver", Text}, {"outcome", Text},
				{"grade", Integer}, {"settled", Integer}, {"due", Integer}, {"raised_at", Integer}, {"recorded_at", Integer}, {"accepted_at", Integer},
				{"answered_at", Integer}, {"handled_at", Integer}, {"closed_at", Integer}, {"since", Integer}, {"changed_at", Integer}, {"supporters", Integer}, {"opponents", Integer},
				{"urgings", Integer}, {"confidential", Integer}, {"anonymous", Integer}, {"imported", Integer}, {"on_behalf", Integer},
				{"tracking", Blob}, {"raised_by", Text}}),
		Indexes: append(demandList.indexes("area", "street", "district", "raised_by"),
			Index{Columns: []string{"tracking"}}, Index{Columns: []string{"number"}}, Index{Columns: []string{"topic", "id"}}),
	}, {
		Name: "demand_sealed", Key: 1,
		Columns: []Column{{"id", Blob}, {"event", Blob}, {"title", Text}, {"text", Text}, {"name", Text}, {"phone", Text},
			{"id_number", Text}, {"account", Text}, {"address", Text}},
	}}
}

// Apply implements [View].
func (Demands) Apply(tx *Tx, e Entry) error {
	s, ok := e.After.(demand.State)
	if !ok {
		return nil
	}
	if r, raised := e.Body.(demand.Raised); raised {
		tx.Put("demand_sealed", bytesOf(s.ID), bytesOf(e.ID), r.Title.Ciphertext(), r.Text.Ciphertext(), r.Reporter.Name.Ciphertext(),
			r.Reporter.Phone.Ciphertext(), r.Reporter.IDNumber.Ciphertext(), r.Reporter.Account.Ciphertext(), r.Address.Ciphertext())
	}
	tracking, err := hex.DecodeString(s.Tracking)
	if err != nil {
		return fmt.Errorf("hash of the tracking code: %w", err)
	}
	at := siteOf(e.Units, s.Unit, s.Grid)
	tx.Put("demands", bytesOf(s.ID), e.Revision, s.Number, string(s.Phase), string(s.Phase.Stage()),
		string(s.Kind), string(s.Channel), s.External, string(s.Urgency), s.Matter, string(s.Unit), string(s.Grid), at.path, at.area, at.street, at.district,
		string(s.Summary), s.Round, bytesOf(s.Topic), joinIDs(s.Orders), s.Waiver, string(s.Outcome),
		int(s.Grade), s.Settled, dueOf(s.Running), millis(s.RaisedAt), millis(s.RecordedAt), millis(s.AcceptedAt),
		millis(s.AnsweredAt), millis(answeredAt(s)), millis(s.ClosedAt), millis(s.Since), millis(e.Meta.Recorded), s.Supporters, s.Opponents,
		s.Urgings, s.Kind == demand.Report, s.Anonymous, s.Imported, s.OnBehalf,
		tracking, s.RaisedBy.ID)
	return nil
}

// answeredAt is when a demand was answered, zero unless that answer stands.
func answeredAt(s demand.State) time.Time {
	if s.Phase == demand.PhaseAnswered || s.Phase == demand.PhaseClosed {
		return s.AnsweredAt
	}
	return time.Time{}
}

// DemandRow is one demand of a list. Instants are zero where there is none.
type DemandRow struct {
	ID           stream.ID
	Revision     int64 // of its stream, after the last event
	Number       string
	Phase        demand.Phase
	Stage        demand.Stage
	Kind         demand.Kind
	Channel      demand.Channel
	External     string
	Urgency      demand.Urgency
	Matter       string
	Unit         orgs.UnitCode
	Grid         orgs.GridCode
	Path         string // of the grid where it is known, else of the unit; as the organisation was at the last event
	Street       orgs.UnitCode
	District     orgs.UnitCode
	Summary      sealed.Public
	Round        int
	Topic        stream.ID   // governing now
	Orders       []stream.ID // that handle it now
	Waiver       string
	Outcome      demand.Outcome
	Grade        demand.Grade
	Settled      bool
	Due          time.Time // the earliest due instant of the running clocks
	RaisedAt     time.Time // when it happened
	RecordedAt   time.Time
	AcceptedAt   time.Time
	AnsweredAt   time.Time
	ClosedAt     time.Time
	Since        time.Time // when the present phase was entered
	ChangedAt    time.Time // when the last event was recorded
	Supporters   int
	Opponents    int
	Urgings      int
	Confidential bool
	Anonymous    bool
	Imported     bool
	OnBehalf     bool
	RaisedBy     string // opaque id of who entered it
}

const demandColumns = `d.id, d.revision, d.number, d.phase, d.stage, d.kind, d.channel, d.external, d.urgency, d.matter, d.unit, d.grid,
	d.path, d.street, d.district, d.summary, d.round, d.topic, d.orders, d.waiver, d.outcome, d.grade, d.settled, d.due, d.raised_at,
	d.recorded_at, d.accepted_at, d.answered_at, d.closed_at, d.since, d.changed_at, d.supporters, d.opponents, d.urgings,
	d.confidential, d.anonymous, d.imported, d.on_behalf, d.raised_by`

func readDemand(scan func(...any) error) (r DemandRow, err error) {
	var id, topic, orders []byte
	var due, raised, recorded, accepted, answered, closed, since, changed int64
	err = scan(&id, &r.Revision, &r.Number, &r.Phase, &r.Stage, &r.Kind, &r.Channel, &r.External, &r.Urgency, &r.Matter, &r.Unit, &r.Grid,
		&r.Path, &r.Street, &r.District, &r.Summary, &r.Round, &topic, &orders, &r.Waiver, &r.Outcome, &r.Grade, &r.Settled, &due, &raised,
		&recorded, &accepted, &answered, &closed, &since, &changed, &r.Supporters, &r.Opponents, &r.Urgings,
		&r.Confidential, &r.Anonymous, &r.Imported, &r.OnBehalf, &r.RaisedBy)
	r.ID, r.Topic, r.Orders, r.Due = idOf(id), idOf(topic), splitIDs(orders), dueTime(due)
	r.RaisedAt, r.RecordedAt, r.AcceptedAt, r.AnsweredAt = fromMillis(raised), fromMillis(recorded), fromMillis(accepted), fromMillis(answered)
	r.ClosedAt, r.Since, r.ChangedAt = fromMillis(closed), fromMillis(since), fromMillis(changed)
	return r, err
}

// DemandFilter says which demands. Empty members narrow nothing.
type DemandFilter struct {
	Place
	Page
	Standing
	Phases  []demand.Phase `json:"phases"`
	Kind    demand.Kind    `json:"kind"`
	Channel demand.Channel `json:"channel"`
	Urgency demand.Urgency `json:"urgency"`
	Matter  string         `json:"matter"`  // code, or the beginning of codes
	Exactly bool           `json:"exactly"` // this matter and none below it, "" too
	Topic   stream.ID      `json:"topic"`   // that governs them now
	Due     Span           `json:"due"`
	Raised  Span           `json:"raised"`
	IDs     []stream.ID    `json:"ids"` // only these, at most 1,000: what a search found, or one reporter's; nil = any
}

func (f DemandFilter) filter() (filter, error) {
	q := filter{page: f.Page, phases: words(f.Phases)}
	q.within(f.Place)
	q.equal("kind", string(f.Kind))
	q.equal("channel", string(f.Channel))
	q.equal("urgency", string(f.Urgency))
	if f.Exactly {
		q.where("d.matter = ?", f.Matter)
	}
	q.prefix("matter", f.Matter)
	if !f.Topic.IsZero() {
		q.where("d.topic = ?", bytesOf(f.Topic))
		q.driven = true
	}
	q.standing(demandList, f.Standing)
	q.due(f.Due)
	q.between("raised_at", f.Raised, time.Time.UnixMilli)
	q.among(f.IDs)
	return q, q.mark("demands", f)
}

// Demands lists what the viewer sees, page by page; next is the cursor of the next page, "" after the last one. It returns [ErrCursor] and
// [ErrLimit]. Cost does not grow with the number of demands when they are narrowed by place or phase; a seat that sees
// demands only because of orders pays for all demands it ever served.
func (v *Views) Demands(ctx context.Context, who Viewer, f DemandFilter) (rows []DemandRow, next string, err error) {
	q, err := f.filter()
	if err != nil {
		return nil, "", err
	}
	return list(ctx, v, demandList, who, q, demandColumns, readDemand)
}

// CountDemands counts what [Views.Demands] would list over all pages.
func (v *Views) CountDemands(ctx context.Context, who Viewer, f DemandFilter) (int, error) {
	q, err := f.filter()
	if err != nil {
		return 0, err
	}
	return count(ctx, v, demandList, who, q)
}

// Demand returns one demand, whoever asks: see [Views.Visible]. It returns [ErrNotFound].
func (v *Views) Demand(ctx context.Context, id stream.ID) (DemandRow, error) {
	return one(ctx, v, "demands AS d WHERE d.id = ?", id[:], demandColumns, readDemand)
}

// DemandByNumber returns the demand with this number, as people say it. It returns [ErrNotFound].
func (v *Views) DemandByNumber(ctx context.Context, number string) (DemandRow, error) {
	if number == "" {
		return DemandRow{}, ErrNotFound
	}
	return one(ctx, v, "demands AS d INDEXED BY demands_by_number WHERE d.number = ?", number, demandColumns, readDemand)
}

// DemandByTracking returns the demand whose tracking code has this SHA-256. It returns [ErrNotFound].
func (v *Views) DemandByTracking(ctx context.Context, hash [32]byte) (DemandRow, error) {
	return one(ctx, v, "demands AS d INDEXED BY demands_by_tracking WHERE d.tracking = ?", hash[:], demandColumns, readDemand)
}

// one reads a single row.
func one[R any](ctx context.Context, v *Views, from string, key any, columns string, read func(func(...any) error) (R, error)) (r R, err error) {
	found := false
	err = v.query(ctx, "SELECT "+columns+" FROM "+from+" LIMIT 1", []any{key}, func(rs *sql.Rows) error {
		found = true
		var err error
		r, err = read(rs.Scan)
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return r, err
}

// SealedRow holds the sealed fields with which a demand was raised. All are ciphertexts of the event Event, type demand-raised/1, on the
// demand's stream; "" where there is none.
type SealedRow struct {
	Demand   stream.ID
	Event    stream.ID
	Title    string // field "title"
	Text     string // field "text"
	Name     string // field "reporter.name"
	Phone    string // field "reporter.phone"
	IDNumber string // field "reporter.id_number"
	Account  string // field "reporter.account"
	Address  string // field "address"
}

const sealedColumns = "s.id, s.event, s.title, s.text, s.name, s.phone, s.id_number, s.account, s.address"

func readSealed(scan func(...any) error) (r SealedRow, err error) {
	var id, event []byte
	err = scan(&id, &event, &r.Title, &r.Text, &r.Name, &r.Phone, &r.IDNumber, &r.Account, &r.Address)
	r.Demand, r.Event = idOf(id), idOf(event)
	return r, err
}

// Sealed returns the sealed fields of demands, at most 200 at once, by demand; unknown ones are absent.
func (v *Views) Sealed(ctx context.Context, demands ...stream.ID) (map[stream.ID]SealedRow, error) {
	rows := make(map[stream.ID]SealedRow, len(demands))
	if len(demands) == 0 {
		return rows, nil
	}
	args := make([]any, len(demands))
	for i, id := range demands {
		args[i] = bytesOf(id)
	}
	err := v.query(ctx, "SELECT "+sealedColumns+" FROM demand_sealed AS s WHERE s.id IN ("+marks(len(args))+")", args, func(rs *sql.Rows) error {
		r, err := readSealed(rs.Scan)
		rows[r.Demand] = r
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sealed fields: %w", err)
	}
	return rows, nil
}
