package engine

import (
	"time"

	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/rule"
)

// Unguarded returns the configuration without the guards of the clock.
func (c Config) Unguarded() Config {
	c.unguarded = true
	return c
}

// Keyed returns the configuration with other keys for alarms.
func (c Config) Keyed(key func(rule.Alarm) string) Config {
	c.alarmKey = key
	return c
}

// Alarmed returns the configuration with other alarms.
func (c Config) Alarmed(alarms func(event.State) []rule.Alarm) Config {
	c.alarms = alarms
	return c
}

// Wall returns our clock as it is compared with other clocks.
func (e *Engine) Wall() time.Time { return e.instant().wall }

// BreakIndex takes the index away, as a disk that fails does.
func (e *Engine) BreakIndex() error { return e.index.db.Close() }

// Reacting returns the configuration with another flow.
func (c Config) Reacting(react func(event.Entry, flow.World) flow.Plan) Config {
	c.react = react
	return c
}

// Unclaimed makes an engine number cases without asking anybody, to see that it is noticed.
func (c Config) Unclaimed() Config { c.unclaimed = true; return c }
