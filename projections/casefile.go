package projections

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"gridcase/domain/demand"
	"gridcase/domain/order"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// CaseFiles is the view of which streams make up the file of a case: the demand's own, each topic that ever governed it or tells it of
// progress, each order that ever served it. The events themselves stay in the log.
type CaseFiles struct{}

// Name implements [View].
func (CaseFiles) Name() string { return "casefiles" }

// Tables implements [View].
func (CaseFiles) Tables() []Table {
	return []Table{{Name: "case_streams", Key: 2, Compact: true,
		Columns: []Column{{"demand", Blob}, {"stream", Text}, {"since", Integer}}}}
}

// Apply implements [View].
func (CaseFiles) Apply(tx *Tx, e Entry) error {
	link := func(d stream.ID, s stream.Name) {
		if _, tied := tx.Get("case_streams", bytesOf(d), string(s)); !tied { // by the other end of the same link
			tx.Put("case_streams", bytesOf(d), string(s), int64(e.Position))
		}
	}
	switch after := e.After.(type) {
	case demand.State:
		before, begun := e.Before.(demand.State)
		if !begun {
			tx.Put("case_streams", bytesOf(after.ID), string(e.Stream), int64(e.Position))
		}
		for _, t := range slices.Concat(after.Topics, after.Related) {
			if !slices.Contains(before.Topics, t) && !slices.Contains(before.Related, t) {
				link(after.ID, stream.Of(stream.Topic, t))
			}
		}
		for _, o := range after.Orders {
			if !slices.Contains(before.Orders, o) && !slices.Contains(before.Past, o) {
				link(after.ID, stream.Of(stream.Order, o))
			}
		}
	case order.State:
		before, _ := e.Before.(order.State)
		for _, d := range after.Demands {
			if !slices.Contains(before.Demands, d) {
				link(d, e.Stream)
			}
		}
	}
	return nil
}

// CaseStream is a stream of a case file. Since is the position of the event that first tied it to the case; the stream may be older.
type CaseStream struct {
	Stream stream.Name
	Since  eventlog.Position
}

// CaseStreams returns the streams of a demand's case file, by Since; none for an unknown demand.
func (v *Views) CaseStreams(ctx context.Context, demand stream.ID) (streams []CaseStream, err error) {
	err = v.query(ctx, "SELECT stream, since FROM case_streams WHERE demand = ? ORDER BY since, stream", []any{demand[:]},
		func(rs *sql.Rows) error {
			var c CaseStream
			err := rs.Scan(&c.Stream, &c.Since)
			streams = append(streams, c)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("case file of %s: %w", demand, err)
	}
	return streams, nil
}
