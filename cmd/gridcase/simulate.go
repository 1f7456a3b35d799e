package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/orgs"
)

// simulateCmd lets a synthetic city live by itself on a simulated clock: people raise demands, desks act, late or not at all,
// and the clock fires what came due. The engine and its rules are the real ones.
type simulateCmd struct {
	Data   string `help:"Folder to keep the city in, for serve or demo; it must not hold a log yet (default: kept nowhere)." type:"path" placeholder:"DIR"`
	Size   string `default:"street" enum:"street,district,city" help:"How much of the city: street, district or city."`
	Days   int    `default:"365" help:"How many days."`
	PerDay int    `default:"20" name:"per-day" help:"Demands raised in a day, on average."`
	Seed   uint64 `default:"1501" help:"Seed: the same seed lives the same life."`
}

func (c simulateCmd) Run(ctx context.Context, s streams) (err error) {
	switch {
	case c.Days < 1 || c.Days > 10_000:
		return fmt.Errorf("--days %d: want 1 to 10,000", c.Days)
	case c.PerDay < 1 || c.PerDay > 10_000:
		return fmt.Errorf("--per-day %d: want 1 to 10,000", c.PerDay)
	}
	if c.Data != "" {
		if _, err := os.Stat(filepath.Join(c.Data, "log.db")); err == nil {
			return fmt.Errorf("%s holds a log already: name a new folder", c.Data)
		}
	}
	span := city.Span{Seed: c.Seed, Days: c.Days, Demand: c.PerDay}
	began := time.Now()
	w := seeding{size: city.Size(c.Size), span: &span, tell: func(m *seeded) error { return tell(ctx, s.out, m, span, time.Since(began)) }}
	if c.Data != "" {
		return seedFolder(ctx, c.Data, s, w)
	}
	p := newProgress(s.err, "days lived", int64(c.Days))
	w.say = func(day int) { p.at(int64(day)) }
	m, err := seedInMemory(ctx, w)
	p.end()
	if err != nil {
		return err
	}
	return errors.Join(w.tell(m), m.close())
}

// tell prints what came of a life. The last line names everything that happened: two runs with one seed print the same.
func tell(ctx context.Context, to io.Writer, m *seeded, span city.Span, took time.Duration) error {
	l, events, sum := m.life, 0, sha256.New()
	for ev, err := range m.events(ctx) {
		if err != nil {
			return err
		}
		if !random(ev.Type) {
			fmt.Fprintln(sum, ev.Stream, ev.Revision, ev.ID, ev.Type, ev.At.Unix())
		}
		events++
	}
	fmt.Fprintf(to, "lived %d days from the first of January on: %d demands, %d acts of people, %d alarms of the clock, %d events\n", l.Days, l.Demands, l.Acts, l.Alarms, events)
	for _, step := range slices.Sorted(maps.Keys(l.Fired)) {
		fmt.Fprintf(to, "  %-10s %d\n", step, l.Fired[step])
	}
	for _, level := range slices.Sorted(maps.Keys(l.Levels)) {
		fmt.Fprintf(to, "  risen to level %d %d\n", level, l.Levels[orgs.Level(level)])
	}
	for _, why := range slices.Sorted(maps.Keys(l.Refused)) {
		fmt.Fprintf(to, "  refused %s %d\n", why, l.Refused[why])
	}
	fmt.Fprintf(to, "open at the end: %d demands; no alarm was early, the latest %s late\n", l.Open, l.Latest)
	fmt.Fprintf(to, "%.0f events/s, a year in %s\n", float64(events)/took.Seconds(), (took * 365 / time.Duration(l.Days)).Round(100*time.Millisecond))
	fmt.Fprintf(to, "seed %d: %s\n", span.Seed, hex.EncodeToString(sum.Sum(nil)))
	return nil
}

// random reports whether events of a type have random ids or times of the machine: they differ between two lives of one seed.
func random(typ string) bool {
	switch typ {
	case "log-opened/1", "numbers-reserved/1", "verify-salt-committed/1", "verify-salt-revealed/1":
		return true
	}
	return false
}
