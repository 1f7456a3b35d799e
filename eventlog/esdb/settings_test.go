package esdb

import (
	"slices"
	"testing"
	"time"
)

func TestWhatAConnectionStringSays(t *testing.T) {
	for _, c := range []struct {
		connection      string
		seeds           []string
		cluster         bool
		patience        time.Duration
		asking, pause   time.Duration
		attempts        int
		prefix          string
		alive, aliveFor time.Duration // negative: not at all
	}{
		{"esdb://localhost?tls=false", []string{"localhost:2113"}, false, 10 * time.Second, 1500 * time.Millisecond, 100 * time.Millisecond, 10, "gridcase.", 10 * time.Second, 10 * time.Second},
		{"esdb://a:1,b:2?tls=false&keepAliveInterval=25000&keepAliveTimeout=4000", []string{"a:1", "b:2"}, true, 10 * time.Second, 1500 * time.Millisecond, 100 * time.Millisecond, 10, "gridcase.",
			25 * time.Second, 4 * time.Second},
		{"esdb+discover://cluster.example:2113?tls=false&keepAliveInterval=-1", []string{"cluster.example:2113"}, true, 10 * time.Second, 1500 * time.Millisecond, 100 * time.Millisecond, 10, "gridcase.", -1, 0},
		{"esdb://a?tls=false&defaultDeadline=3000&gossipTimeout=2&discoveryInterval=70&maxDiscoverAttempts=4&space=gridcase-two.", []string{"a:2113"}, false, 3 * time.Second, 2 * time.Second, 70 * time.Millisecond, 4,
			"gridcase-two.", 10 * time.Second, 10 * time.Second},
	} {
		s, err := parse(c.connection)
		if err != nil {
			t.Errorf("%s: %v", c.connection, err)
			continue
		}
		if !slices.Equal(s.seeds, c.seeds) || s.cluster != c.cluster || s.patience != c.patience || s.asking != c.asking || s.pause != c.pause || s.attempts != c.attempts || s.prefix != c.prefix {
			t.Errorf("%s: got %v %v, patience %v, asking %v, pause %v, %d attempts, %q", c.connection, s.seeds, s.cluster, s.patience, s.asking, s.pause, s.attempts, s.prefix)
		}
		switch {
		case (s.alive != nil) != (c.alive >= 0):
			t.Errorf("%s: keep-alive is %+v", c.connection, s.alive)
		case s.alive != nil && (s.alive.Time != c.alive || s.alive.Timeout != c.aliveFor || !s.alive.PermitWithoutStream):
			t.Errorf("%s: keep-alive every %v for %v, without a stream %v", c.connection, s.alive.Time, s.alive.Timeout, s.alive.PermitWithoutStream)
		}
	}
}
