package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// VerifyRate is the share of orders of a kind that are verified by a person, per ten thousand: all issues and
// reports, one errand, consult or suggestion in ten. The others pass as sampled out (rule R27).
func VerifyRate(kind string) int {
	switch kind {
	case "errand", "consult", "suggestion":
		return 1000
	}
	return 10000
}

// Drawn repeats the draw that anybody can repeat once the month's salt is published: the first eight bytes of
// SHA-256(salt ‖ order id ‖ round as eight bytes), as a big-endian fraction of 2⁶⁴, against the rate.
func Drawn(salt [16]byte, order stream.ID, round, rate int) bool {
	h := sha256.New()
	h.Write(salt[:])
	h.Write(order[:])
	binary.Write(h, binary.BigEndian, uint64(round))
	// x/2⁶⁴ < rate/10000 exactly when the high half of x·10000 is below the rate.
	high, _ := bits.Mul64(binary.BigEndian.Uint64(h.Sum(nil)), 10000)
	return high < uint64(rate)
}

func (e *Engine) salt(month string) (s [16]byte) {
	copy(s[:], e.Keys.Derived("verify-draw", month))
	return s
}

func (e *Engine) draw(order stream.ID, round int, kind string, at time.Time) (bool, int) {
	rate := VerifyRate(kind)
	return Drawn(e.salt(month(at)), order, round, rate), rate
}

func month(t time.Time) string { return t.In(calendar.Zone()).Format("2006-01") }

// publishDraw commits the salt of the running month before it is used, and reveals those of months that ended. A salt that was revealed too
// early lets a whole month be foretold, so it is done by a clock that deadlines would be fired by (decision 0015): while ours is not to be trusted, nothing is
// published and done is false.
func (e *Engine) publishDraw(ctx context.Context) (done bool, err error) {
	now := month(e.Clock())
	n := stream.Keyed(stream.Policy, "verify")
	committed, revealed := map[string]bool{}, map[string]bool{}
	head := eventlog.None
	for ev, err := range e.Log.Read(ctx, string(n), 0) {
		if err != nil {
			return false, err
		}
		body, err := event.Decode(ev.Type, ev.Data)
		if err != nil {
			return false, err
		}
		switch b := body.(type) {
		case event.SaltCommitted:
			committed[b.Month] = true
		case event.SaltRevealed:
			revealed[b.Month] = true
		}
		head = ev.Revision
	}
	ended := func(m string) bool { return m < now && !revealed[m] }
	if committed[now] && !slices.ContainsFunc(slices.Collect(maps.Keys(committed)), ended) {
		return true, nil
	}
	at, err := e.trusted(ctx)
	if err != nil {
		e.Logger.Warn("the verification draw waits for a clock to be trusted", "error", err)
		return false, nil
	}
	now = month(at)
	say := func(key string, body event.Body) error {
		c, err := e.record(ctx, n, key, head, rule.Actor{ID: "draw", Role: orgs.System}, body)
		head = c.Revision
		return err
	}
	for _, m := range slices.Sorted(maps.Keys(committed)) {
		if ended(m) {
			s := e.salt(m)
			if err := say("reveal/"+m, event.SaltRevealed{Month: m, Salt: hex.EncodeToString(s[:])}); err != nil {
				return true, skipConflict(err)
			}
		}
	}
	if !committed[now] {
		s := e.salt(now)
		sum := sha256.Sum256(s[:])
		if err := say("commit/"+now, event.SaltCommitted{Month: now, Hash: hex.EncodeToString(sum[:])}); err != nil {
			return true, skipConflict(err)
		}
	}
	return true, nil
}

// trusted returns the time by which something that can not be taken back may be done: ours, less what it may be ahead of the log's. Whether our
// clock is right is asked of the log, if need be, by one event more.
func (e *Engine) trusted(ctx context.Context) (time.Time, error) {
	for asked := false; ; asked = true {
		now := e.instant()
		if e.unguarded {
			return now.wall, nil
		}
		_, ahead, err := e.clock.judge(now)
		switch {
		case err == nil:
			return now.wall.Add(-ahead), nil
		case asked || !errors.Is(err, errUnsure):
			return time.Time{}, err
		}
		if err := e.checkIn(ctx); err != nil {
			return time.Time{}, fmt.Errorf("compare the clock with the log's: %w", err)
		}
	}
}

// skipConflict leaves it to the next time when another node was quicker.
func skipConflict(err error) error {
	if errors.Is(err, eventlog.ErrConflict) {
		return nil
	}
	return fmt.Errorf("publish the verification draw: %w", err)
}
