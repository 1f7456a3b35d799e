package api

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/rule"
	"gridcase/eventlog"
)

// positionOf reads what a result is asked as of: a position of the log, an instant (what was recorded then or before), or a day in the city
// (what was recorded before it was over). What is not over yet has no answer that would stay the same.
func (s *Server) positionOf(ctx context.Context, text string) (eventlog.Position, error) {
	end, err := s.Log.End(ctx)
	if err != nil {
		return 0, err
	}
	if text != "" && strings.Trim(text, "0123456789") == "" {
		p, err := parsePosition(text)
		if err == nil && p > end {
			err = problem("bad_position")
		}
		return p, err
	}
	var t time.Time
	if day, err := calendar.ParseDate(text); err == nil {
		t = (day + 1).Start().Add(-1)
	} else if t, err = time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+")); err != nil {
		return 0, problem("bad_position", rule.Say("as_of 须为位置、带时区的 RFC 3339 时刻或日期", "as_of is a position, an RFC 3339 instant with its offset, or a date"))
	}
	if t.After(s.Now()) {
		return 0, problem("bad_position", rule.Say("as_of 所指时间尚未过去", "the time that as_of names is not over yet"))
	}
	return lastBy(ctx, s.Log, end, t)
}

// lastBy returns the position of the last event that the log recorded at t or before, 0 if there is none. It looks at some thirty
// places. Where nodes' clocks disagree for a moment, it finds the same event each time it is asked.
func lastBy(ctx context.Context, log eventlog.Log, end eventlog.Position, t time.Time) (eventlog.Position, error) {
	p := eventlog.Position(0)
	for step := eventlog.Position(1) << 62; step > 0; step >>= 1 {
		if step > end-p {
			continue
		}
		at, err := recordedAt(ctx, log, p+step)
		if err != nil {
			return 0, err
		}
		if !at.After(t) {
			p += step
		}
	}
	return p, nil
}

// recordedAt returns when the first event at a position or after it was recorded; there is one.
func recordedAt(ctx context.Context, log eventlog.Log, p eventlog.Position) (time.Time, error) {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	for b, err := range log.Follow(ctx, p-1) {
		if err != nil {
			return time.Time{}, fmt.Errorf("read at %d: %w", p, err)
		}
		if len(b.Events) > 0 {
			return b.Events[0].At, nil
		}
	}
	return time.Time{}, ctx.Err()
}

// bookmark is where a page ended: of a result, which is the same on the next page, whatever was recorded in between; or of a list of periods.
type bookmark struct {
	at   eventlog.Position
	skip int
	last string // id of the last period
}

// mark makes a cursor. It holds for the same question of the same seat, and can not be made up: whoever may not ask as of a position
// may still turn the page.
func (s *Server) mark(ctx context.Context, b bookmark) string {
	text := fmt.Sprintf("%d.%d.%s", b.at, b.skip, b.last)
	return base64.RawURLEncoding.EncodeToString([]byte(text + "." + string(s.marked(ctx, text))))
}

func (s *Server) marked(ctx context.Context, text string) []byte {
	rq := of(ctx)
	q := rq.url.Query()
	q.Del("after")
	q.Del("limit")
	return s.Keys.Derived("cursor", strings.Join([]string{rq.url.Path, q.Encode(), string(rq.actor.Role), string(rq.actor.Unit), text}, "\n"))[:16]
}

// opened reads a cursor; none is the first page.
func (s *Server) opened(ctx context.Context, cursor string) (b bookmark, err error) {
	if cursor == "" {
		return b, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	parts := strings.SplitN(string(raw), ".", 4)
	if err != nil || len(parts) != 4 || !hmac.Equal([]byte(parts[3]), s.marked(ctx, strings.Join(parts[:3], "."))) {
		return b, problem("bad_cursor")
	}
	b.last = parts[2]
	at, err := strconv.ParseUint(parts[0], 10, 63)
	if err == nil {
		b.at = eventlog.Position(at)
		b.skip, err = strconv.Atoi(parts[1])
	}
	if err != nil {
		return b, problem("bad_cursor")
	}
	return b, nil
}
