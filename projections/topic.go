package projections

import (
	"context"
	"slices"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
)

// Topics is the view of topics (议题): one row each.
type Topics struct{}

var topicList = listing{table: "topics", category: stream.Topic, phases: words(topic.Machine.States), raised: true}

// Name implements [View].
func (Topics) Name() string { return "topics" }

// Tables implements [View].
func (Topics) Tables() []Table {
	return []Table{{
		Name: "topics", Key: 1,
		Columns: slices.Concat([]Column{{"id", Blob}, {"revision", Integer}, {"number", Text}, {"phase", Text}, {"kind", Text}, {"source", Text},
			{"title", Text}, {"matter", Text}, {"unit", Text}}, siteColumns,
			[]Column{{"summary", Text}, {"reason", Text}, {"cycle", Integer}, {"orders", Blob}, {"supporters", Integer}, {"results", Integer},
				{"target", Blob}, {"due", Integer}, {"meeting_at", Integer}, {"raised_at", Integer}, {"recorded_at", Integer}, {"adopted_at", Integer},
				{"handed_at", Integer}, {"ended_at", Integer}, {"since", Integer}, {"changed_at", Integer}, {"raised_by", Text}}),
		Indexes: append(topicList.indexes("area", "street", "district", "raised_by"), Index{Columns: []string{"number"}}),
	}}
}

// Apply implements [View].
func (Topics) Apply(tx *Tx, e Entry) error {
	s, ok := e.After.(topic.State)
	if !ok {
		return nil
	}
	at := siteOf(e.Units, s.Unit, "")
	tx.Put("topics", bytesOf(s.ID), e.Revision, s.Number, string(s.Phase), string(s.Kind), s.Source,
		string(s.Title), s.Matter, string(s.Unit), at.path, at.area, at.street, at.district,
		string(s.Summary), string(s.Reason), s.Cycle, joinIDs(s.CycleOrders), s.Supporters, s.Results,
		bytesOf(s.Target), dueOf(s.Running), millis(s.MeetingAt), millis(s.ProposedAt), millis(s.RecordedAt), millis(s.AdoptedAt),
		millis(s.HandedAt), millis(s.EndedAt), millis(s.Since), millis(e.Meta.Recorded), s.ProposedBy.ID)
	return nil
}

// TopicRow is one topic of a list. Instants are zero where there is none.
type TopicRow struct {
	ID         stream.ID
	Revision   int64
	Number     string
	Phase      topic.Phase
	Kind       topic.Kind
	Source     string // residents, patrol
	Title      sealed.Public
	Matter     string
	Unit       orgs.UnitCode
	Path       string
	Street     orgs.UnitCode
	District   orgs.UnitCode
	Summary    sealed.Public
	Reason     sealed.Public
	Cycle      int
	Orders     []stream.ID // of the present cycle
	Supporters int         // households
	Results    int
	Target     stream.ID // the topic that took over
	Due        time.Time
	MeetingAt  time.Time
	ProposedAt time.Time // when it happened
	RecordedAt time.Time
	AdoptedAt  time.Time
	HandedAt   time.Time
	EndedAt    time.Time
	Since      time.Time
	ChangedAt  time.Time
	ProposedBy string
}

const topicColumns = `d.id, d.revision, d.number, d.phase, d.kind, d.source, d.title, d.matter, d.unit, d.path, d.street, d.district,
	d.summary, d.reason, d.cycle, d.orders, d.supporters, d.results, d.target, d.due, d.meeting_at, d.raised_at, d.recorded_at,
	d.adopted_at, d.handed_at, d.ended_at, d.since, d.changed_at, d.raised_by`

func readTopic(scan func(...any) error) (r TopicRow, err error) {
	var id, orders, target []byte
	var due, meeting, proposed, recorded, adopted, handed, ended, since, changed int64
	err = scan(&id, &r.Revision, &r.Number, &r.Phase, &r.Kind, &r.Source, &r.Title, &r.Matter, &r.Unit, &r.Path, &r.Street, &r.District,
		&r.Summary, &r.Reason, &r.Cycle, &orders, &r.Supporters, &r.Results, &target, &due, &meeting, &proposed, &recorded,
		&adopted, &handed, &ended, &since, &changed, &r.ProposedBy)
	r.ID, r.Orders, r.Target, r.Due = idOf(id), splitIDs(orders), idOf(target), dueTime(due)
	r.MeetingAt, r.ProposedAt, r.RecordedAt, r.AdoptedAt = fromMillis(meeting), fromMillis(proposed), fromMillis(recorded), fromMillis(adopted)
	r.HandedAt, r.EndedAt, r.Since, r.ChangedAt = fromMillis(handed), fromMillis(ended), fromMillis(since), fromMillis(changed)
	return r, err
}

// TopicFilter says which topics. Empty members narrow nothing.
type TopicFilter struct {
	Place
	Page
	Phases []topic.Phase `json:"phases"`
	Kind   topic.Kind    `json:"kind"`
	Matter string        `json:"matter"` // code, or the beginning of codes
	Due    Span          `json:"due"`
	Raised Span          `json:"raised"` // when it was proposed
	IDs    []stream.ID   `json:"ids"`    // only these, at most 1,000; nil = any
}

func (f TopicFilter) filter() (filter, error) {
	q := filter{page: f.Page, phases: words(f.Phases)}
	f.Grid = "" // a topic belongs to a community, not to a grid
	q.within(f.Place)
	q.equal("kind", string(f.Kind))
	q.prefix("matter", f.Matter)
	q.due(f.Due)
	q.between("raised_at", f.Raised, time.Time.UnixMilli)
	q.among(f.IDs)
	return q, q.mark("topics", f)
}

// Topics lists what the viewer sees; see [Views.Demands]. A place's grid narrows nothing here.
func (v *Views) Topics(ctx context.Context, who Viewer, f TopicFilter) (rows []TopicRow, next string, err error) {
	q, err := f.filter()
	if err != nil {
		return nil, "", err
	}
	return list(ctx, v, topicList, who, q, topicColumns, readTopic)
}

// CountTopics counts what [Views.Topics] would list over all pages.
func (v *Views) CountTopics(ctx context.Context, who Viewer, f TopicFilter) (int, error) {
	q, err := f.filter()
	if err != nil {
		return 0, err
	}
	return count(ctx, v, topicList, who, q)
}

// Topic returns one topic, whoever asks: see [Views.Visible]. It returns [ErrNotFound].
func (v *Views) Topic(ctx context.Context, id stream.ID) (TopicRow, error) {
	return one(ctx, v, "topics AS d WHERE d.id = ?", id[:], topicColumns, readTopic)
}

// TopicByNumber returns the topic with this number. It returns [ErrNotFound].
func (v *Views) TopicByNumber(ctx context.Context, number string) (TopicRow, error) {
	if number == "" {
		return TopicRow{}, ErrNotFound
	}
	return one(ctx, v, "topics AS d INDEXED BY topics_by_number WHERE d.number = ?", number, topicColumns, readTopic)
}
