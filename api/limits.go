package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"
)

// Limits bounds what callers can ask of one node. Zero members take the defaults.
type Limits struct {
	Slots     int           // requests worked on at once; default 128: enough to fill a group commit
	Queue     int           // requests that wait for a slot; default 512
	QueueWait time.Duration // how long; default 200 ms, then 503

	Rate  float64 // requests per second of one key; default 5,000
	Burst int     // default 10,000

	OpenRate  float64 // requests per second of one address without a key: tracking codes, wrong keys; default 2
	OpenBurst int     // default 30: a guess at 80 random bits gets nowhere

	Streams int           // event streams (SSE) of one key; default 4
	Beat    time.Duration // of a quiet event stream; default 15 s
	Lag     time.Duration // of the views, beyond which a node is not ready; default 30 s

	Patience time.Duration // how long a request waits for the position that it names; default 2 s, then 503
}

func (l Limits) filled() Limits {
	fill(&l.Slots, 128)
	fill(&l.Queue, 512)
	fill(&l.QueueWait, 200*time.Millisecond)
	fill(&l.Rate, 5000)
	fill(&l.Burst, 10000)
	fill(&l.OpenRate, 2)
	fill(&l.OpenBurst, 30)
	fill(&l.Streams, 4)
	fill(&l.Beat, 15*time.Second)
	fill(&l.Lag, 30*time.Second)
	fill(&l.Patience, 2*time.Second)
	return l
}

func fill[T comparable](v *T, usual T) {
	var zero T
	if *v == zero {
		*v = usual
	}
}

// The limits of one request.
const (
	maxBody   = 256 << 10
	maxHeader = 16 << 10
)

// NewHTTPServer returns a server with the timeouts that keep slow clients from holding it. Event streams move their
// own write deadline.
func NewHTTPServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: 120 * time.Second, MaxHeaderBytes: maxHeader}
}

// gate lets a bounded number of requests in, a bounded number wait for a bounded time, and sheds the rest before
// anything of them is parsed.
type gate struct {
	slots  chan struct{}
	queue  chan struct{}
	wait   time.Duration
	behind http.Handler
	shed   func(http.ResponseWriter, *http.Request)
	free   func(*http.Request) bool
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.free(r) {
		g.behind.ServeHTTP(w, r)
		return
	}
	select {
	case g.slots <- struct{}{}:
	default:
		select {
		case g.queue <- struct{}{}:
		default:
			g.shed(w, r)
			return
		}
		t := time.NewTimer(g.wait)
		select {
		case g.slots <- struct{}{}:
			t.Stop()
			<-g.queue
		case <-t.C:
			<-g.queue
			g.shed(w, r)
			return
		case <-r.Context().Done():
			t.Stop()
			<-g.queue
			return
		}
	}
	defer func() { <-g.slots }()
	g.behind.ServeHTTP(w, r)
}

// buckets limits how often one name asks. Names that have been quiet long enough to have a full bucket are forgotten.
type buckets struct {
	rate  rate.Limit
	burst int
	now   func() time.Time

	mu sync.Mutex
	of map[string]*rate.Limiter
}

func newBuckets(perSecond float64, burst int, now func() time.Time) *buckets {
	return &buckets{rate: rate.Limit(perSecond), burst: burst, now: now, of: map[string]*rate.Limiter{}}
}

// maxNames is how many names are held before the quiet ones are dropped.
const maxNames = 10_000

// take takes one token; if there is none, it returns how long until there is.
func (b *buckets) take(name string) (wait time.Duration, ok bool) {
	now := b.now()
	b.mu.Lock()
	l := b.of[name]
	if l == nil {
		if len(b.of) >= maxNames {
			for n, l := range b.of {
				if l.TokensAt(now) >= float64(b.burst) {
					delete(b.of, n)
				}
			}
			if len(b.of) >= maxNames {
				clear(b.of)
			}
		}
		l = rate.NewLimiter(b.rate, b.burst)
		b.of[name] = l
	}
	b.mu.Unlock()
	if l.AllowN(now, 1) {
		return 0, true
	}
	return time.Duration((1 - l.TokensAt(now)) / float64(b.rate) * float64(time.Second)), false
}

// left returns how many requests the name may make at once.
func (b *buckets) left(name string) int {
	b.mu.Lock()
	l := b.of[name]
	b.mu.Unlock()
	if l == nil {
		return b.burst
	}
	return max(0, int(l.TokensAt(b.now())))
}

// limit refuses a caller who asks too often.
func (s *Server) limit(c *gin.Context, b *buckets, name string) bool {
	wait, ok := b.take(name)
	if ok {
		return true
	}
	s.meter.shed("rate")
	seconds := int64(wait/time.Second) + 1
	s.fail(c, problem("rate_limited").with("Retry-After", strconv.FormatInt(seconds, 10)))
	return false
}
