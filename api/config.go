package api

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gridcase/api/access"
	"gridcase/engine"
	"gridcase/engine/keys"
	"gridcase/eventlog"
	"gridcase/projections"
)

// Config is what a server works with. The caller owns everything in it and closes it after the server has drained.
type Config struct {
	Engine    *engine.Engine
	Views     *projections.Runner
	Access    *access.Store
	Log       eventlog.Log         // the engine's; if it has a method Health() error, /readyz asks it
	Keys      *keys.Store          // the engine's
	Registry  *prometheus.Registry // what /metrics shows
	Metrics   *Metrics             // made with [NewMetrics] on the same registry
	Logger    *slog.Logger         // nil: none
	Version   string               // of the program
	Synthetic bool                 // demo data: every answer says so with GridCase-Synthetic: true
	Now       func() time.Time     // nil: time.Now; judges expiry of confirmations and times in the future
	Limits    Limits               // zero members take the defaults
}
