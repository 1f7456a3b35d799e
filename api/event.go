package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/policy"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// Events is a page of the feed of events.
type Events struct {
	Items    []Event `json:"items" nullable:"false"`
	Next     string  `json:"next" doc:"Where the next page begins: hand it back as after. It is there on the last page, too."`
	Position string  `json:"position"`
	Live     bool    `json:"live" doc:"The log held nothing more at that moment."`
}

// wantsStream reports whether a request asks for the feed as server-sent events.
func wantsStream(r *http.Request) bool {
	return r.URL.Path == base+"/events" && strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// selection is which events a reader of the feed wants.
type selection struct {
	types  []string
	stream string
}

func (s selection) wants(ev eventlog.Event) bool {
	return (len(s.types) == 0 || slices.Contains(s.types, ev.Type)) && (s.stream == "" || s.stream == ev.Stream)
}

// feed answers GET /events, as a page or as a stream. A reader gets events of what the reader sees now; the log's own
// streams are for auditors.
func (s *Server) feed(c *gin.Context) {
	if err := s.may(c.Request.Context(), readEvents); err != nil {
		s.fail(c, err)
		return
	}
	q := c.Request.URL.Query()
	for name := range q {
		if !slices.Contains([]string{"after", "type", "stream", "limit"}, name) {
			s.fail(c, invalid(fault("query."+printable(name), "unknown_member", "没有这个参数", "there is no such parameter")))
			return
		}
	}
	after := q.Get("after")
	if last := c.GetHeader("Last-Event-ID"); last != "" {
		after = last
	}
	var from eventlog.Position
	if after != "" {
		var err error
		if from, err = parsePosition(after); err != nil {
			s.fail(c, err)
			return
		}
	}
	end, err := s.Log.End(c.Request.Context())
	if err == nil && from > end {
		err = problem("bad_position")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	sel := selection{stream: q.Get("stream")}
	if t := q.Get("type"); t != "" {
		sel.types = strings.Split(t, ",")
	}
	if wantsStream(c.Request) {
		s.stream(c, from, sel)
		return
	}
	limit := 50
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 200 {
			s.fail(c, invalid(fault("query.limit", "out_of_range", "须在 1 至 200 之间", "must lie from 1 to 200")))
			return
		}
	}
	page, err := s.eventPage(c.Request.Context(), from, end, limit, sel)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("GridCase-Position", page.Position)
	c.Header("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, base+"/events", nextQuery(q, page.Next)))
	c.JSON(http.StatusOK, page)
}

func nextQuery(q map[string][]string, next string) string {
	v := make(map[string][]string, len(q)+1)
	for name, values := range q {
		v[name] = values
	}
	v["after"] = []string{next}
	return url.Values(v).Encode()
}

// scanned bounds how many events one page looks at: a narrow selection of a long log is read in several.
const scanned = 20_000

var errEnough = errors.New("the page is full")

func (s *Server) eventPage(ctx context.Context, from, end eventlog.Position, limit int, sel selection) (Events, error) {
	page := Events{Items: []Event{}, Next: from.String(), Position: from.String()}
	if from == end {
		page.Live = true
		return page, nil
	}
	seen := 0
	err := s.follow(ctx, from, func(ev eventlog.Event, show bool) error {
		seen++
		if show && sel.wants(ev) {
			e, err := eventOf(ev)
			if err != nil {
				return err
			}
			page.Items = append(page.Items, e)
		}
		page.Next, page.Position = ev.Position.String(), ev.Position.String()
		page.Live = ev.Position >= end
		if len(page.Items) >= limit || seen >= scanned || page.Live {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return page, err
}

// follow hands every event after a position to each, in order, with whether the reader may see it. Before it judges a
// batch it waits for the views: what they do not know yet would be missing for ever.
func (s *Server) follow(ctx context.Context, from eventlog.Position, each func(eventlog.Event, bool) error) error {
	rq := of(ctx)
	for batch, err := range s.Log.Follow(ctx, from) {
		if err != nil {
			return err
		}
		if n := len(batch.Events); n > 0 {
			last := batch.Events[n-1].Position
			for {
				if at, ok := s.Views.Wait(ctx, last); ok {
					break
				} else if err := ctx.Err(); err != nil {
					return err
				} else if s.Views.Status().Err != nil && at < last {
					return problem("read_only")
				}
			}
		}
		judged := map[string]bool{}
		for _, ev := range batch.Events {
			show, known := judged[ev.Stream]
			if !known {
				if show, err = s.shows(ctx, rq, stream.Name(ev.Stream)); err != nil {
					return err
				}
				judged[ev.Stream] = show
			}
			if err := each(ev, show); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// shows reports whether a reader may see the events of a stream.
func (s *Server) shows(ctx context.Context, rq *request, n stream.Name) (bool, error) {
	switch n.Category() {
	case stream.Unit, stream.Grids, stream.Duties, stream.Calendar:
		return true, nil
	case stream.Policy: // the draw's salts lie beside them, for auditors
		if n == policy.Deadlines || n == policy.Escalation {
			return true, nil
		}
	case stream.Period: // requests and objections are read one by one: the feed is for those who may know all of them
		state, _, err := s.Engine.Load(ctx, n)
		p, ok := state.(period.State)
		return ok && s.above(rq.actor, p.Jurisdiction), err
	case stream.Demand, stream.Topic, stream.Order, stream.Dispute, stream.Whistle, stream.Admission, stream.Scheme, stream.Evaluation:
		state, _, err := s.Engine.Load(ctx, n)
		if err != nil {
			return false, err
		}
		return s.sees(ctx, rq.actor, n, state)
	case stream.Gate:
		return s.seesGate(rq.actor, orgs.UnitCode(n.Key())), nil
	}
	u, _ := s.Engine.Units().Unit(rq.actor.Unit)
	return u.Kind == orgs.City && s.allowed.can(rq.actor.Role, readHouse), nil
}

// streamCount counts event streams per key.
type streamCount struct {
	mu sync.Mutex
	of map[string]int
}

func (n *streamCount) open(name string, most int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string]int{}
	}
	if n.of[name] >= most {
		return false
	}
	n.of[name]++
	return true
}

func (n *streamCount) close(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of[name]--; n.of[name] == 0 {
		delete(n.of, name)
	}
}

// writeTime is how long one message of an event stream may take to leave.
const writeTime = 20 * time.Second

// stream answers the feed as server-sent events, until the caller goes or the node drains. The id of a message is
// its position: a reader that comes back with it misses nothing and gets nothing twice.
func (s *Server) stream(c *gin.Context, from eventlog.Position, sel selection) {
	rq := of(c.Request.Context())
	if !s.streams.open(rq.actor.ID, s.Limits.Streams) {
		s.meter.shed("streams")
		s.fail(c, problem("rate_limited").with("Retry-After", "3"))
		return
	}
	defer s.streams.close(rq.actor.ID)
	ctx, cancel := context.WithCancel(c.Request.Context())
	defer cancel()
	out := &eventStream{w: c.Writer, rc: http.NewResponseController(c.Writer)}
	c.Header("Content-Type", "text/event-stream; charset=utf-8")
	c.Header("X-Accel-Buffering", "no")
	c.Header("GridCase-Position", from.String())
	c.Status(http.StatusOK)
	// The deadline of reading the request would end the stream: the server takes it for a caller who is gone.
	if err := out.rc.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return
	}
	if err := out.say("retry: 3000\n\n"); err != nil {
		return
	}
	beat := time.NewTicker(s.Limits.Beat)
	defer beat.Stop()
	var idle sync.WaitGroup
	defer idle.Wait()
	defer cancel()
	idle.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.stop:
				cancel()
				return
			case <-beat.C:
				if out.say(": \n\n") != nil {
					cancel()
					return
				}
			}
		}
	})
	err := s.follow(ctx, from, func(ev eventlog.Event, show bool) error {
		if !show || !sel.wants(ev) {
			return nil
		}
		e, err := eventOf(ev)
		if err != nil {
			return err
		}
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		return out.say(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", e.Position, e.Type, data))
	})
	if err != nil && ctx.Err() == nil {
		s.Logger.Warn("an event stream ended", "request_id", rq.id, "error", err)
	}
}

// eventStream writes whole messages, one at a time.
type eventStream struct {
	mu sync.Mutex
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (e *eventStream) say(message string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	// Not every writer has deadlines (recorders in tests have none); then there is none to move.
	if err := e.rc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := e.w.Write([]byte(message)); err != nil {
		return err
	}
	return e.rc.Flush()
}
