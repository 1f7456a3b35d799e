package projections

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"gridcase/domain/demand"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/eventlog"
)

// WorkList is one of the four lists of a community's service (四项清单). It has nothing to do with duty lists, which say what a community may be
// asked to do.
type WorkList string

// The work lists.
const (
	WorkNeed     WorkList = "need"     // 需求: a demand that a topic took up, and that was not taken out of it again
	WorkProject  WorkList = "project"  // 项目: a topic that was adopted
	WorkResource WorkList = "resource" // 资源: what an adopted plan or a published result names, by its name within the topic's unit
	WorkResult   WorkList = "result"   // 实效: a published result
)

// WorkItems is the view of the work lists: one row for each topic that an item belongs to. An item belongs to any number of topics, and a
// topic has any number of items; what once was on a list stays there.
type WorkItems struct{}

// Name implements [View].
func (WorkItems) Name() string { return "work_items" }

// Tables implements [View]. Path is where a need lies, and of all else the unit of the topic that named it first.
func (WorkItems) Tables() []Table {
	return []Table{{Name: "work_items", Key: 4, Compact: true, Columns: []Column{{"list", Text}, {"path", Text}, {"item", Text}, {"topic", Blob}, {"says", Text}}}}
}

// Apply implements [View].
func (WorkItems) Apply(tx *Tx, e Entry) error {
	switch s := e.After.(type) {
	case demand.State:
		was, _ := e.Before.(demand.State)
		from, to, id := e.Units.Path(was.Unit), e.Units.Path(s.Unit), s.ID.String()
		if from != to { // it lies elsewhere now
			for _, topics := range [][]stream.ID{was.Topics, was.Related} {
				for _, t := range topics {
					if _, listed := tx.Get("work_items", string(WorkNeed), from, id, bytesOf(t)); listed {
						tx.Delete("work_items", string(WorkNeed), from, id, bytesOf(t))
						tx.Put("work_items", string(WorkNeed), to, id, bytesOf(t), "")
					}
				}
			}
		}
		switch b := e.Body.(type) {
		case demand.LinkedToTopic:
			tx.Put("work_items", string(WorkNeed), to, id, bytesOf(b.Topic), "")
		case demand.Related:
			tx.Put("work_items", string(WorkNeed), to, id, bytesOf(b.Topic), "")
		case demand.UnlinkedFromTopic:
			tx.Delete("work_items", string(WorkNeed), from, id, bytesOf(was.Topic))
		}
	case topic.State:
		path := e.Units.Path(s.Unit)
		put := func(l WorkList, item, says string, topics ...stream.ID) {
			for _, t := range topics {
				tx.Put("work_items", string(l), path, item, bytesOf(t), says)
			}
		}
		switch b := e.Body.(type) {
		case topic.Adopted:
			put(WorkProject, s.ID.String(), string(s.Title), s.ID)
			for _, name := range b.Resources {
				put(WorkResource, name, name, s.ID)
			}
		case topic.ResultPublished:
			topics := append([]stream.ID{s.ID}, b.AlsoTopics...)
			put(WorkResult, s.ID.String()+"/"+strconv.Itoa(b.Result), string(b.Text), topics...)
			for _, name := range b.Resources {
				put(WorkResource, name, name, topics...)
			}
		}
	}
	return nil
}

// WorkItem is one item of a work list.
type WorkItem struct {
	Item   string        // id of the demand or topic, name of the resource, topic and number of the result
	Unit   orgs.UnitCode // where it is kept
	Says   string        // title, name or text; "" of a need, whose words are its own
	Topics []stream.ID   // that it belongs to, at least one
}

// Works counts the items of the lists in a unit, and returns the position that the counts are of.
func (v *Views) Works(ctx context.Context, unit orgs.UnitCode) (counts map[WorkList]int, at eventlog.Position, err error) {
	in := within(v.runner.Units().Path(unit))
	counts = map[WorkList]int{}
	at, err = v.snapshot(ctx, func(s snapshot) error {
		for _, l := range []WorkList{WorkNeed, WorkProject, WorkResource, WorkResult} {
			var n int
			err := s.query(ctx, "SELECT COUNT(*) FROM (SELECT DISTINCT d.path, d.item FROM work_items AS d WHERE d.list = ? AND "+in.text+")", append([]any{string(l)}, in.args...),
				func(rs *sql.Rows) error { return rs.Scan(&n) })
			if err != nil {
				return err
			}
			counts[l] = n
		}
		return nil
	})
	return counts, at, err
}

// WorkItems lists up to limit items (1 to 200) of one list by where they are kept and what they are, after the one of that key; next is the
// key of the last one, "" = that is all. It returns [ErrLimit].
func (v *Views) WorkItems(ctx context.Context, unit orgs.UnitCode, l WorkList, limit int, after string) (items []WorkItem, next string, err error) {
	if limit < 1 || limit > 200 {
		return nil, "", ErrLimit
	}
	path, item, _ := strings.Cut(after, " ")
	in, last := within(v.runner.Units().Path(unit)), ""
	args := append([]any{string(l)}, in.args...)
	err = v.query(ctx, "SELECT d.path, d.item, d.topic, d.says FROM (SELECT DISTINCT d.path AS p, d.item AS i FROM work_items AS d WHERE d.list = ? AND "+in.text+
		" AND (d.path, d.item) > (?, ?) ORDER BY p, i LIMIT ?) JOIN work_items AS d ON d.list = ? AND d.path = p AND d.item = i ORDER BY p, i, d.topic", append(args, path, item, limit+1, string(l)),
		func(rs *sql.Rows) error {
			var path, item, says string
			var t []byte
			if err := rs.Scan(&path, &item, &t, &says); err != nil {
				return err
			}
			if key := path + " " + item; key != last {
				if len(items) == limit && next == "" {
					next = last
				}
				last, items = key, append(items, WorkItem{Item: item, Unit: seatCode(path), Says: says})
			}
			n := len(items) - 1
			items[n].Topics = append(items[n].Topics, idOf(t))
			return nil
		})
	return items[:min(len(items), limit)], next, err
}
