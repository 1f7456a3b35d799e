package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/projections"
)

// maxFound is how many cases a search, or one reporter, may narrow a list to.
const maxFound = 1000

// ListQuery is what all lists of cases can be narrowed and ordered by.
type ListQuery struct {
	District  string `query:"district" format:"unit-or-none" maxLength:"40" doc:"Or none: what lies in no district that is known."`
	Street    string `query:"street" format:"unit-or-none" maxLength:"40" doc:"Or none."`
	Community string `query:"community" format:"unit" maxLength:"40" doc:"Or the unit that holds it while no community is known."`
	Grid      string `query:"grid" format:"grid-or-none" maxLength:"15" doc:"Or none."`
	Number    string `query:"number" maxLength:"40" doc:"编号, in any case, with or without hyphens and spaces."`
	DueAfter  string `query:"due_after" doc:"RFC 3339 with offset."`
	DueBefore string `query:"due_before"`
	From      string `query:"raised_from"`
	To        string `query:"raised_to"`
	Sort      string `query:"sort" enum:"due,raised" doc:"due: the earliest first; raised: the newest first."`
	Limit     int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After     string `query:"after" maxLength:"200" doc:"The cursor next of the page before."`
	Count     bool   `query:"count" doc:"Count all of them, too."`
}

// listing reads what is common to all lists, and waits for the position that the caller names.
func (s *Server) listing(ctx context.Context, q *ListQuery) (page projections.Page, place projections.Place, due, raised projections.Span, err error) {
	if err = s.may(ctx, readCase); err != nil {
		return
	}
	var read instants
	due = read.span("due_after", q.DueAfter, "due_before", q.DueBefore)
	raised = read.span("raised_from", q.From, "raised_to", q.To)
	if err = read.err(); err != nil {
		return
	}
	page = projections.Page{Limit: q.Limit, After: q.After}
	if q.Sort == "raised" {
		page.Sort = projections.ByRaised
	}
	place = projections.Place{District: orgs.UnitCode(q.District), Street: orgs.UnitCode(q.Street),
		Community: orgs.UnitCode(q.Community), Grid: orgs.GridCode(q.Grid)}
	return
}

// instants reads the instants of a query, and gathers what is wrong with them.
type instants struct{ faults []Fault }

func (r *instants) at(name, text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	// A plus sign in a query is a space to whoever forgot to escape it: an offset is all that it can be here.
	t, err := time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+"))
	if err != nil {
		r.faults = append(r.faults, fault("query."+name, "not_an_instant", "时间须为带时区的 RFC 3339 格式", "must be a time with its offset"))
	} else if t.IsZero() { // which would ask for everything
		r.faults = append(r.faults, fault("query."+name, "out_of_range", "须晚于公元 1 年 1 月 1 日零时", "must lie after the first instant of the year 1"))
	}
	return t
}

func (r *instants) span(from, f, to, t string) projections.Span {
	return projections.Span{From: r.at(from, f), To: r.at(to, t)}
}

func (r *instants) err() error {
	if len(r.faults) > 0 {
		return invalid(r.faults...)
	}
	return nil
}

// StandingQuery narrows a list of demands or orders to what a figure of the workload counts.
type StandingQuery struct {
	Open        bool   `query:"open" doc:"Neither closed nor otherwise at an end."`
	OverdueAt   string `query:"overdue_at" doc:"A due instant passed before this one, and it is held against somebody: nothing suspended, sent back or reported is overdue (rule I4)."`
	ClosedFrom  string `query:"closed_from" doc:"At its end, and it came to it at this instant or later."`
	ClosedTo    string `query:"closed_to"`
	HandledFrom string `query:"handled_from" doc:"Done at this instant or later, and not undone since: an order verified, a demand answered."`
	HandledTo   string `query:"handled_to"`
}

func (q *StandingQuery) standing(kinds []string) (s projections.Standing, err error) {
	var read instants
	s = projections.Standing{Open: q.Open, Late: read.at("overdue_at", q.OverdueAt), Kinds: kinds,
		Closed:  read.span("closed_from", q.ClosedFrom, "closed_to", q.ClosedTo),
		Handled: read.span("handled_from", q.HandledFrom, "handled_to", q.HandledTo)}
	return s, read.err()
}

// List is a page of a list.
type List[T any] struct {
	Items    []T    `json:"items" nullable:"false"`
	Next     string `json:"next,omitempty" doc:"Cursor of the next page; absent on the last."`
	Count    *int   `json:"count,omitempty" doc:"Of all pages, if it was asked for."`
	Position string `json:"position" doc:"How far it reflects the log, at least."`
}

// paged is an answer that may go on on another page.
type paged[R any] struct {
	Link     string `header:"Link"`
	Position string `header:"GridCase-Position"`
	Body     R
}

type listed[T any] = paged[List[T]]

// linkTo is the header that names the next page; none on the last.
func linkTo(ctx context.Context, next string) string {
	if next == "" {
		return ""
	}
	u := of(ctx).url
	q := u.Query()
	q.Set("after", next)
	return "<" + u.Path + "?" + q.Encode() + `>; rel="next"`
}

// cursorAt makes the cursor of a page from the key of its last row, where rows have one: "" makes none. It holds for the same question, on every node.
func cursorAt(ctx context.Context, last string) string {
	if last == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(question(ctx, last), last...))
}

// lastRow reads the key that [cursorAt] was given; none is the first page.
func lastRow(ctx context.Context, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) <= 8 {
		return "", problem("bad_cursor")
	}
	last := string(b[8:])
	if !bytes.Equal(b[:8], question(ctx, last)) {
		return "", problem("bad_cursor")
	}
	return last, nil
}

// question is a digest, in eight bytes, of what is asked for, whatever page of it, and of a row.
func question(ctx context.Context, row string) []byte {
	u := of(ctx).url
	q := u.Query()
	for _, name := range []string{"after", "limit", "count"} {
		q.Del(name)
	}
	sum := sha256.Sum256([]byte(u.Path + "\n" + q.Encode() + "\n" + row))
	return sum[:8]
}

func pageOf[T any](ctx context.Context, items []T, next, position string, counted bool, count func() (int, error)) (*listed[T], error) {
	if items == nil {
		items = []T{}
	}
	out := &listed[T]{Link: linkTo(ctx, next), Position: position, Body: List[T]{Items: items, Next: next, Position: position}}
	if counted {
		n, err := count()
		if err != nil {
			return nil, err
		}
		out.Body.Count = &n
	}
	return out, nil
}

// nothing answers a list that has no items, and so has given no cursor.
func nothing[T any](ctx context.Context, after, position string, counted bool) (*listed[T], error) {
	if after != "" {
		return nil, problem("bad_cursor")
	}
	return pageOf[T](ctx, nil, "", position, counted, func() (int, error) { return 0, nil })
}

func briefs[R, T any](rows []R, of func(R) T) []T {
	items := make([]T, len(rows))
	for i, r := range rows {
		items[i] = of(r)
	}
	return items
}

// absent makes nothing of not finding something: a look-up then narrows a list to none.
func absent(err error) error {
	if errors.Is(err, projections.ErrNotFound) {
		return nil
	}
	return err
}

func some(id stream.ID) []stream.ID {
	if id.IsZero() {
		return nil
	}
	return []stream.ID{id}
}

// idOf reads an id of a query; none is the zero id.
func idOf(name, text string) (stream.ID, error) {
	if text == "" {
		return stream.ID{}, nil
	}
	id, err := stream.ParseID(text)
	if err != nil || id.IsZero() { // which would ask for everything
		return id, invalid(fault("query."+name, "malformed", "编号格式不正确", "is no id"))
	}
	return id, nil
}

type oneInput struct {
	ID        string `path:"id"`
	NoneMatch string `header:"If-None-Match"`
}

type found[R any] struct {
	Status   int
	ETag     string `header:"ETag"`
	Position string `header:"GridCase-Position"`
	Body     R
}

// one offers the reading of a single resource: GET /{plural}/{id}. It reads the log itself, not the views, so it is
// never behind what was acknowledged.
func one[R any](s *Server, k resource[R], summary string) {
	get(s, "read-"+string(k.category), "/"+k.plural()+"/{id}", summary, k.plural(), func(ctx context.Context, in *oneInput) (*found[R], error) {
		position := s.position()
		n, state, revision, err := s.find(ctx, k.category, in.ID)
		if err != nil {
			return nil, err
		}
		tag := etag(revision)
		if matches(in.NoneMatch, tag) {
			return &found[R]{Status: http.StatusNotModified, ETag: tag, Position: position}, nil
		}
		body, err := k.render(ctx, s, n, state, revision, nil)
		return &found[R]{Status: http.StatusOK, ETag: tag, Position: position, Body: body}, err
	})
}

// matches compares weakly, as If-None-Match asks for.
func matches(header, tag string) bool {
	for _, t := range strings.Split(header, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
			return true
		}
	}
	return false
}

// parsePosition reads a position that this system gave.
func parsePosition(text string) (eventlog.Position, error) {
	p, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, problem("bad_position")
	}
	return eventlog.Position(p), nil
}
