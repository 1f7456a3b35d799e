package projections

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gridcase/domain/assessment"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/evidence"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// Evidence is the view of what can count in an assessment (考核依据): a track for each case, kept where and when the case began,
// and for each further month in which it can count a pointer to it. [Views.Facts] answers from it as of any position.
//
// A case moves with its unit from one district to another; pointers stay behind, since what the figures of the first
// district were, as of a position before the move, is asked for still.
type Evidence struct{}

var (
	evidenceCases = Table{Name: "evidence", Key: 3, Compact: true, Columns: []Column{{"area", Text}, {"month", Integer}, {"id", Blob},
		{"category", Integer}, {"former", Text}, {"track", Blob}}} // former: areas in which it was kept before
	evidenceMonths = Table{Name: "evidence_months", Key: 3, Compact: true, Columns: []Column{{"area", Text}, {"month", Integer}, {"id", Blob},
		{"kept_area", Text}, {"kept_month", Integer}}}
	evidenceHomes = Table{Name: "evidence_homes", Key: 1, Compact: true, Columns: []Column{{"id", Blob}, {"area", Text}, {"month", Integer}}}

	// settings are the events behind the cases: units, grids, lists and grants.
	evidenceSettings = Table{Name: "evidence_settings", Key: 1, Columns: []Column{{"position", Integer}, {"stream", Text}, {"revision", Integer},
		{"event", Blob}, {"type", Text}, {"data", Blob}, {"meta", Blob}}}
)

// evidenceOf lists the categories of cases. The table holds their places in it.
var evidenceOf = []stream.Category{stream.Demand, stream.Order, stream.Whistle, stream.Dispute, stream.Topic, stream.Gate}

// Name implements [View].
func (Evidence) Name() string { return "evidence" }

// Tables implements [View].
func (Evidence) Tables() []Table {
	return []Table{evidenceCases, evidenceMonths, evidenceHomes, evidenceSettings}
}

// Apply implements [View].
func (v Evidence) Apply(tx *Tx, e Entry) error {
	of := e.Stream.Category()
	if evidence.Settles(of) {
		return v.setting(tx, e)
	}
	switch of {
	case stream.Gate:
		if b, blocked := e.Body.(duty.Blocked); blocked {
			track, months := evidence.Track(nil).Observe(e.Entry, evidence.Position(e.Position), e.Units, nil)
			v.keep(tx, &file{id: e.ID, of: of}, evidence.HomeOfBlock(b, e.Meta.Recorded), track, months)
		}
	case stream.Demand, stream.Order, stream.Whistle, stream.Dispute, stream.Topic:
		home, begun := evidence.HomeOf(e.After)
		if !begun {
			return nil
		}
		f := &file{id: e.Stream.ID(), of: of}
		if was, kept := evidence.HomeOf(e.Before); kept {
			f = v.find(tx, f.id, of, was)
		}
		first := func(order stream.ID) stream.ID {
			if o := v.lookup(tx, order, stream.Order); o != nil {
				return o.track.First()
			}
			return stream.ID{}
		}
		track, months := f.track.Observe(e.Entry, evidence.Position(e.Position), e.Units, first)
		v.keep(tx, f, home, track, months)
		if of == stream.Demand {
			now, was := evidence.Governed(e.Entry)
			v.link(tx, now, f.id, true, e.Position)
			v.link(tx, was, f.id, false, e.Position)
		}
	}
	return nil
}

// file is the row of a case.
type file struct {
	id     stream.ID
	of     stream.Category
	home   evidence.Home
	former string
	track  evidence.Track
	kept   bool
}

// find reads the row of a case.
func (Evidence) find(tx *Tx, id stream.ID, of stream.Category, home evidence.Home) *file {
	f := &file{id: id, of: of, home: home}
	if row, found := tx.Get(evidenceCases.Name, home.Area, home.Month, bytesOf(id)); found {
		f.kept, f.former, f.track = true, row[4].(string), row[5].([]byte)
	}
	return f
}

// lookup finds the row of another case, nil if there is none.
func (v Evidence) lookup(tx *Tx, id stream.ID, of stream.Category) *file {
	if id.IsZero() {
		return nil
	}
	row, found := tx.Get(evidenceHomes.Name, bytesOf(id))
	if !found {
		return nil
	}
	f := v.find(tx, id, of, evidence.Home{Area: row[1].(string), Month: int(row[2].(int64))})
	if !f.kept {
		return nil
	}
	return f
}

// link tells a topic that a demand came under it, or left it.
func (v Evidence) link(tx *Tx, topic, demand stream.ID, under bool, at eventlog.Position) {
	if f := v.lookup(tx, topic, stream.Topic); f != nil {
		v.keep(tx, f, f.home, f.track.Linked(demand, under, evidence.Position(at)), nil)
	}
}

// keep writes a case as it is now. Months are those in which it could not count before.
func (v Evidence) keep(tx *Tx, f *file, home evidence.Home, track evidence.Track, months []int) {
	moved := f.home != home
	if !moved && len(track) == len(f.track) {
		return
	}
	id := bytesOf(f.id)
	areas := []string{home.Area}
	switch {
	case !f.kept:
		tx.Put(evidenceHomes.Name, id, home.Area, home.Month)
	case moved:
		tx.Delete(evidenceCases.Name, f.home.Area, f.home.Month, id)
		tx.Put(evidenceHomes.Name, id, home.Area, home.Month)
		before := append(strings.Fields(f.former), f.home.Area)
		months = append(evidence.Case{ID: f.id, Of: f.of, Track: track}.Months(), f.home.Month)
		if !slices.Contains(before[:len(before)-1], f.home.Area) {
			f.former = strings.Join(before, " ")
		}
		areas = append(areas, before...)
	}
	for _, a := range areas {
		for _, m := range months {
			if a != home.Area || m != home.Month {
				tx.Put(evidenceMonths.Name, a, m, id, home.Area, home.Month)
			}
		}
	}
	tx.Put(evidenceCases.Name, home.Area, home.Month, id, slices.Index(evidenceOf, f.of), f.former, []byte(track))
}

// setting keeps an event that says what stands behind the cases.
func (Evidence) setting(tx *Tx, e Entry) error {
	data, err := event.Encode(e.Body)
	if err != nil {
		return err
	}
	tx.Put(evidenceSettings.Name, int64(e.Position), string(e.Stream), e.Revision, bytesOf(e.ID), e.Body.EventType(), data, event.EncodeMeta(e.Meta))
	return nil
}

// ErrAhead: the views have not come to the position that is asked for.
var ErrAhead = errors.New("the views have not come that far")

// Facts returns what can count in a scope as of a position that the views have reached; see [evidence.Gather] for what it
// leaves out. It returns [ErrAhead] for a later position.
//
// It reads what began in the months of the span, and what began earlier and can count in them; nothing else, however long the
// history is.
func (v *Views) Facts(ctx context.Context, scope evidence.Scope, asOf eventlog.Position) (assessment.Facts, error) {
	f, _, err := v.facts(ctx, scope, asOf)
	return f, err
}

// facts returns the setting beside the facts, both as of the position.
//
// Which tracks are read is found by the units of now, so that nothing waits for the setting: where a unit lies was fixed when it was opened, so
// these are all that lay there then, and some more. Which cases count is decided by the units as of the position.
func (v *Views) facts(ctx context.Context, scope evidence.Scope, asOf eventlog.Position) (f assessment.Facts, s *evidence.Setting, err error) {
	if asOf > v.runner.Position() {
		return f, nil, ErrAhead
	}
	var fault error
	var wait sync.WaitGroup
	wait.Go(func() { s, fault = v.Setting(ctx, asOf) })
	units := v.runner.Units()
	var cases []evidence.Case
	areas, err := v.areas(ctx, units, scope.In(units).Jurisdiction)
	if err == nil {
		cases, err = v.evidence(ctx, areas, evidence.MonthOf(scope.First), evidence.MonthOf(scope.Last))
	}
	wait.Wait()
	if err = errors.Join(err, fault); err == nil {
		scope = scope.In(s.Units())
		f, err = evidence.Gather(cases, scope, evidence.Position(asOf), func(ids []stream.ID) ([]evidence.Case, error) { return v.evidenceByID(ctx, ids) })
	}
	if err != nil {
		return f, nil, fmt.Errorf("evidence of %q: %w", scope.Jurisdiction, err)
	}
	f.Loads, f.Heirs = s.Loads(scope), s.Heirs(scope)
	return f, s, nil
}

// Setting returns what stood behind the cases at a position that the views have reached. It returns [ErrAhead] for a later one.
func (v *Views) Setting(ctx context.Context, asOf eventlog.Position) (*evidence.Setting, error) {
	if asOf > v.runner.Position() {
		return nil, ErrAhead
	}
	var last eventlog.Position // of an event of the setting: what was put together up to it stays true
	err := v.query(ctx, "SELECT coalesce(max(position), 0) FROM evidence_settings WHERE position <= ?", []any{int64(asOf)}, func(rs *sql.Rows) error { return rs.Scan(&last) })
	if err != nil {
		return nil, fmt.Errorf("setting: %w", err)
	}
	if k := v.runner.setting.Load(); k != nil && k.at == last {
		return k.setting, nil
	}
	var s evidence.Setting
	err = v.query(ctx, "SELECT stream, revision, event, type, data, meta FROM evidence_settings WHERE position <= ? ORDER BY position", []any{int64(asOf)}, func(rs *sql.Rows) error {
		var stored event.Stored
		var id []byte
		if err := rs.Scan(&stored.Stream, &stored.Revision, &id, &stored.Type, &stored.Data, &stored.Meta); err != nil {
			return err
		}
		stored.ID = idOf(id)
		e, err := event.Understand(stored)
		if err == nil {
			s.Take(e)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("setting: %w", err)
	}
	s.Units() // from here on it is only read
	v.runner.setting.Store(&keptSetting{last, &s})
	return &s, nil
}

// keptSetting is the setting that was asked for last: putting a city's together takes a tenth of a second.
type keptSetting struct {
	at      eventlog.Position
	setting *evidence.Setting
}

// areas lists the areas in which cases of a jurisdiction can be kept: those of all units that lie in it; where everything is
// asked for, all that there are.
func (v *Views) areas(ctx context.Context, units *orgs.Tree, jurisdiction orgs.UnitCode) (areas []string, err error) {
	if jurisdiction == "" {
		err := v.query(ctx, evidenceAreas, nil, func(rs *sql.Rows) error {
			var a string
			err := rs.Scan(&a)
			areas = append(areas, a)
			return err
		})
		return areas, err
	}
	for u := range units.All() {
		if a := evidence.AreaOf(u.Code); units.Within(u.Code, jurisdiction) && !slices.Contains(areas, a) {
			areas = append(areas, a)
		}
	}
	return areas, nil
}

// hands is how many read evidence side by side. They need not see the same moment: later marks count for nothing, and a case that
// moves meanwhile is found by the pointer that it leaves, or twice.
const hands = 3

const (
	evidenceAreas = `WITH RECURSIVE a (x) AS (SELECT min(area) FROM evidence UNION ALL SELECT (SELECT min(area) FROM evidence WHERE area > x) FROM a WHERE x IS NOT NULL)
		SELECT x FROM a WHERE x IS NOT NULL`
	// Cases come many in a row, one behind the other: their ids, their lengths and categories, their tracks. Handing a row over costs more
	// than all that is done for a case in it.
	evidencePacked = `CAST(group_concat(e.id, '') AS BLOB), group_concat(length(e.track) * 8 + e.category), CAST(group_concat(e.track, '') AS BLOB)`

	evidenceBegan   = "SELECT " + evidencePacked + " FROM evidence AS e WHERE e.area = ? AND e.month BETWEEN ? AND ? GROUP BY e.month"
	evidenceCarried = "SELECT " + evidencePacked + ` FROM evidence_months AS m CROSS JOIN evidence AS e ON e.area = m.kept_area AND e.month = m.kept_month AND e.id = m.id
		WHERE m.area = ? AND m.month BETWEEN ? AND ? AND NOT (m.kept_area = m.area AND m.kept_month BETWEEN ? AND ?) GROUP BY m.month`
	evidenceFound = "SELECT " + evidencePacked + " FROM evidence_homes AS h CROSS JOIN evidence AS e ON e.area = h.area AND e.month = h.month AND e.id = h.id WHERE h.id = ? GROUP BY e.id"
)

// evidence reads the cases of some areas that can count in some months.
func (v *Views) evidence(ctx context.Context, areas []string, from, to int) ([]evidence.Case, error) {
	type part struct {
		text string
		args []any
	}
	var parts []part
	for _, a := range areas {
		for m := from; m <= to; m += 3 { // a quarter at a time, so that all hands have something to do
			n := min(m+2, to)
			parts = append(parts, part{evidenceBegan, []any{a, m, n}})
		}
		parts = append(parts, part{evidenceCarried, []any{a, from, to, from, to}})
	}
	found, errs := make([][]evidence.Case, len(parts)), make([]error, len(parts))
	var wait sync.WaitGroup
	next := make(chan int)
	for range min(hands, len(parts)) {
		wait.Go(func() {
			for i := range next {
				var s shelf
				errs[i] = v.query(ctx, parts[i].text, parts[i].args, s.take)
				found[i] = s.cases
			}
		})
	}
	for i := range parts {
		next <- i
	}
	close(next)
	wait.Wait()
	return slices.Concat(found...), errors.Join(errs...)
}

// evidenceByID reads some cases by their ids.
func (v *Views) evidenceByID(ctx context.Context, ids []stream.ID) ([]evidence.Case, error) {
	var s shelf
	for _, id := range ids {
		if err := v.query(ctx, evidenceFound, []any{id[:]}, s.take); err != nil {
			return nil, err
		}
	}
	return s.cases, nil
}

// shelf gathers cases; the bytes of many lie together.
type shelf struct{ cases []evidence.Case }

func (s *shelf) take(rs *sql.Rows) error {
	var ids, lengths, tracks []byte
	if err := rs.Scan(&ids, &lengths, &tracks); err != nil {
		return err
	}
	for n := range bytes.SplitSeq(lengths, []byte(",")) {
		head, err := strconv.Atoi(string(n))
		of, length := head%8, head/8
		if err != nil || of >= len(evidenceOf) || len(ids) < len(stream.ID{}) || len(tracks) < length {
			return fmt.Errorf("cases of no category, or cut off: %q", n)
		}
		s.cases = append(s.cases, evidence.Case{ID: idOf(ids[:len(stream.ID{})]), Of: evidenceOf[of], Track: tracks[:length:length]})
		ids, tracks = ids[len(stream.ID{}):], tracks[length:]
	}
	if len(ids)+len(tracks) > 0 {
		return fmt.Errorf("%d bytes of cases that nobody counted", len(ids)+len(tracks))
	}
	return nil
}
