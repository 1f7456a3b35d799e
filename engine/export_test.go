package engine

import (
	"gridcase/domain/event"
	"gridcase/domain/flow"
)

// Reacting returns the configuration with another flow.
func (c Config) Reacting(react func(event.Entry, flow.World) flow.Plan) Config {
	c.react = react
	return c
}
