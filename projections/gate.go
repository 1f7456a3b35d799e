package projections

import (
	"context"

	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// Blocks is the view of what the gate kept away (拦截): one row for each attempt.
type Blocks struct{}

// Name implements [View].
func (Blocks) Name() string { return "blocks" }

// Tables implements [View].
func (Blocks) Tables() []Table {
	return []Table{{
		Name: "blocks", Key: 1,
		Columns: []Column{{"id", Blob}, {"position", Integer}, {"target", Text}, {"path", Text}, {"unit", Text}, {"matter", Text}, {"role", Text}, {"publisher", Text},
			{"list", Text}, {"version", Integer}, {"row_text", Text}, {"basis", Text}, {"blocked_on", Integer}, {"dispatcher", Text}, {"dispatcher_path", Text},
			{"command", Text}, {"demands", Blob}, {"topic", Blob}, {"order_id", Blob}},
		Indexes: []Index{{Columns: []string{"position"}, Unique: true}, {Columns: []string{"path", "position"}}},
	}}
}

// Apply implements [View].
func (Blocks) Apply(tx *Tx, e Entry) error {
	b, ok := e.Body.(duty.Blocked)
	if !ok {
		return nil
	}
	tx.Put("blocks", bytesOf(e.ID), int64(e.Position), string(b.Target), e.Units.Path(b.Target), string(b.Unit), b.Matter, string(b.Role), string(b.Publisher),
		string(b.List), b.Version, string(b.Row), string(b.Basis), int64(b.On), string(b.By), e.Units.Path(b.By),
		b.Command, joinIDs(b.Demands), bytesOf(b.Topic), bytesOf(b.Order))
	return nil
}

// BlockRow is one attempt that the gate stopped. Event and Position say where it is in the log.
type BlockRow struct {
	Event     stream.ID
	Position  eventlog.Position
	Target    orgs.UnitCode
	Unit      orgs.UnitCode
	Matter    string
	Role      duty.Role
	Publisher orgs.UnitCode
	List      duty.List
	Version   int
	Row       sealed.Public
	Basis     sealed.Public
	On        calendar.Date
	By        orgs.UnitCode // whose person wanted it
	Command   string
	Demands   []stream.ID
	Topic     stream.ID
	Order     stream.ID
}

const blockColumns = `d.target, d.unit, d.matter, d.role, d.publisher, d.list, d.version, d.row_text, d.basis, d.blocked_on, d.dispatcher, d.command,
	d.demands, d.topic, d.order_id, d.id, d.position`

func readBlock(scan func(...any) error) (r BlockRow, err error) {
	var demands, topic, order, id []byte
	var on, position int64
	err = scan(&r.Target, &r.Unit, &r.Matter, &r.Role, &r.Publisher, &r.List, &r.Version, &r.Row, &r.Basis, &on, &r.By, &r.Command,
		&demands, &topic, &order, &id, &position)
	r.On, r.Position = calendar.Date(on), eventlog.Position(position)
	r.Event, r.Demands, r.Topic, r.Order = idOf(id), splitIDs(demands), idOf(topic), idOf(order)
	return r, err
}

// BlockFilter says which attempts. Empty members narrow nothing. The newest come first, whatever the page's sort.
type BlockFilter struct {
	Page
	Unit   orgs.UnitCode `json:"unit"` // the target lies in it
	List   duty.List     `json:"list"`
	Matter string        `json:"matter"` // code, or the beginning of codes
	From   calendar.Date `json:"from"`   // judged on that local date or later
	To     calendar.Date `json:"to"`     // … or earlier; the date itself is in
}

func (f BlockFilter) filter(v *Views, who Viewer) (filter, error) {
	q := filter{page: f.Page}
	if f.Unit != "" {
		path := v.runner.Units().Path(f.Unit)
		if path == "" {
			q.where("0")
		} else {
			q.conditions = append(q.conditions, within(path))
		}
	}
	q.equal("list", string(f.List))
	q.prefix("matter", f.Matter)
	if f.From != 0 {
		q.where("d.blocked_on >= ?", int64(f.From))
	}
	if f.To != 0 {
		q.where("d.blocked_on <= ?", int64(f.To))
	}
	switch {
	case who.All:
	case who.Seat == "":
		q.where("0")
	default:
		own := within(who.Seat)
		q.where("("+own.text+" OR substr(d.dispatcher_path, 1, length(?)) = ? OR substr(?, 1, length(d.path)) = d.path)",
			append(own.args, who.Seat, who.Seat, who.Seat)...)
	}
	return q, q.mark("blocks", f)
}

// Blocks lists the attempts that concern the viewer's seat: on what lies in it, on what it lies in, or by its people.
func (v *Views) Blocks(ctx context.Context, who Viewer, f BlockFilter) (rows []BlockRow, next string, err error) {
	q, err := f.filter(v, who)
	if err != nil {
		return nil, "", err
	}
	return recent(ctx, v, q, "blocks", "position", blockColumns, readBlock)
}

// CountBlocks counts what [Views.Blocks] would list over all pages.
func (v *Views) CountBlocks(ctx context.Context, who Viewer, f BlockFilter) (int, error) {
	q, err := f.filter(v, who)
	if err != nil {
		return 0, err
	}
	return counted(ctx, v, q, "blocks")
}
