package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"gridcase/domain/orgs"
)

// Ready is the answer of /readyz. What is wrong is told to operators alone.
type Ready struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons,omitempty"`
}

// health registers what is outside the prefix. /livez never touches a store: a full disk must not restart the node.
func (s *Server) health(g *gin.Engine) {
	g.GET("/livez", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"live": true}) })
	g.GET("/readyz", func(c *gin.Context) {
		reasons := s.unready(c)
		answer, status := Ready{Ready: len(reasons) == 0}, http.StatusOK
		if !answer.Ready {
			status = http.StatusServiceUnavailable
			c.Header("Retry-After", "1")
		}
		if s.operates(c) {
			answer.Reasons = reasons
		}
		c.JSON(status, answer)
	})
	g.GET("/metrics", gin.WrapH(s.meter.handler(s.Registry)))
	g.GET("/version", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"version": s.Version, "synthetic": s.Synthetic}) })
}

// operates reports whether a request bears the key of somebody who may know what is wrong with the node.
func (s *Server) operates(c *gin.Context) bool {
	key, bearer := bearerOf(c)
	if !bearer {
		return false
	}
	k, err := s.Access.Lookup(c.Request.Context(), key)
	return err == nil && slices.Contains([]orgs.Role{orgs.Operator, orgs.Auditor}, k.Role)
}

// unready says why the node should get no requests; nothing if it should.
func (s *Server) unready(c *gin.Context) (reasons []string) {
	if s.draining.Load() {
		reasons = append(reasons, "draining")
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), askLog)
	defer cancel()
	if _, err := s.Log.End(ctx); err != nil {
		reasons = append(reasons, "log: "+err.Error())
	} else if l, asks := s.Log.(interface{ Health() error }); asks {
		if err := l.Health(); err != nil {
			reasons = append(reasons, "log: "+err.Error())
		}
	}
	if err := s.Keys.Health(); err != nil {
		reasons = append(reasons, "keys: "+err.Error())
	}
	switch v := s.Views.Status(); {
	case v.Err != nil:
		reasons = append(reasons, "views: "+v.Err.Error())
	case !v.Live && v.Lag > s.Limits.Lag:
		reasons = append(reasons, "views: behind by "+v.Lag.String())
	}
	if err := s.Engine.Stalled(); err != nil {
		reasons = append(reasons, "flow: "+err.Error())
	}
	if k := s.Engine.Reckoning(); k.Err != nil {
		reasons = append(reasons, "clock: "+k.Err.Error())
	}
	return reasons
}
