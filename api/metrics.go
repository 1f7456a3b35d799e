package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gridcase/domain/orgs"
	"gridcase/engine"
	"gridcase/projections"
)

// askLog is how long health and metrics wait for a log on a server: whoever asks for them waits about ten seconds.
const askLog = 2 * time.Second

// Metrics are the figures of a node for Prometheus, in base units. No label names a case, a place or a person.
type Metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.HistogramVec
	shedding  *prometheus.CounterVec
	personal  *prometheus.CounterVec
	commands  *prometheus.CounterVec
	appends   prometheus.Histogram
	group     prometheus.Histogram
	appended  *prometheus.CounterVec
	conflicts prometheus.Counter
	unknown   prometheus.Counter
	asked     *prometheus.CounterVec
	resubbed  prometheus.Counter
	parked    *prometheus.CounterVec
	fired     *prometheus.CounterVec
	escalated *prometheus.CounterVec

	batch    prometheus.Histogram
	apply    prometheus.Histogram
	failures *prometheus.CounterVec
	gaps     prometheus.Counter
	repeats  prometheus.Counter
	strange  *prometheus.CounterVec
}

// NewMetrics registers the figures. It panics if the registry has one of them already: one registry, one node.
func NewMetrics(r *prometheus.Registry) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gridcase_" + name, Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gridcase_" + name, Help: help, Buckets: buckets})
		r.MustRegister(h)
		return h
	}
	seconds := []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5}
	m := &Metrics{registry: r,
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gridcase_http_request_duration_seconds",
			Help: "Time to answer a request.", Buckets: seconds}, []string{"route", "method", "code"}),
		shedding:  counter("requests_shed_total", "Requests refused before they were worked on.", "reason"),
		personal:  counter("pii_reads_total", "Openings of personal data, each recorded in the log.", "purpose"),
		commands:  counter("commands_total", "Commands given to the engine, by what came of them.", "command", "outcome"),
		appends:   histogram("append_duration_seconds", "Time of an append, fsync included.", seconds),
		group:     histogram("append_group_size", "Appends that one commit of the log in the folder answered together.", prometheus.ExponentialBuckets(1, 2, 9)),
		appended:  counter("events_appended_total", "Events appended by this node.", "type"),
		parked:    counter("consequences_parked_total", "Follow-up commands and alarms that were refused and wait for a person.", "rule"),
		fired:     counter("deadlines_fired_total", "Alarms that this node fired: a warning, the expiry of a due instant, a further step.", "kind"),
		escalated: counter("escalations_total", "Matters that rose, by the level they rose to: 1 grid to 5 city.", "level"),
		batch:     histogram("views_batch_events", "Events in one batch of the views.", prometheus.ExponentialBuckets(1, 4, 9)),
		apply:     histogram("views_apply_seconds", "Time to apply one batch to the views.", seconds),
		failures:  counter("views_failures_total", "Events that a view could not take.", "view"),
		asked:     counter("keys_requests_total", "Questions to the key service, by what came of them: done, unknown, erased, away.", "question", "outcome"),
		strange:   counter("views_unknown_events_total", "Events of a type that this program does not know.", "type"),
	}
	// What has not happened yet is counted as 0: an alert can not see a first occurrence that makes its own counter.
	for _, reason := range []string{"queue", "rate", "streams"} {
		m.shedding.WithLabelValues(reason)
	}
	for _, kind := range []string{"warning", "expiry", "step"} {
		m.fired.WithLabelValues(kind)
	}
	for l := orgs.Level(1); l <= 5; l++ {
		m.escalated.WithLabelValues(strconv.Itoa(int(l)))
	}
	m.parked.WithLabelValues("clock")
	m.conflicts = prometheus.NewCounter(prometheus.CounterOpts{Name: "gridcase_append_conflicts_total", Help: "Appends that met another revision and were decided anew."})
	m.unknown = prometheus.NewCounter(prometheus.CounterOpts{Name: "gridcase_append_unknown_outcomes_total", Help: "Appends of which it could not be told whether they happened."})
	m.resubbed = prometheus.NewCounter(prometheus.CounterOpts{Name: "gridcase_subscription_reconnects_total", Help: "Subscriptions to a log on a server that were lost and asked for again."})
	m.gaps = prometheus.NewCounter(prometheus.CounterOpts{Name: "gridcase_views_gaps_total", Help: "Holes found in a stream, and healed by reading it again."})
	m.repeats = prometheus.NewCounter(prometheus.CounterOpts{Name: "gridcase_views_repeats_total", Help: "Events that arrived twice and were ignored."})
	r.MustRegister(m.requests, m.conflicts, m.unknown, m.resubbed, m.gaps, m.repeats)
	return m
}

// Engine returns the observer to give to the engine.
func (m *Metrics) Engine() engine.Observer { return engineMetrics{m} }

// Views returns the observer to give to the views.
func (m *Metrics) Views() projections.Observer { return viewMetrics{m} }

// Resubscribed counts a subscription to the log that was lost: the log calls it.
func (m *Metrics) Resubscribed() { m.resubbed.Inc() }

// Asked counts a question to the key service: the store of keys calls it.
func (m *Metrics) Asked(question, outcome string) { m.asked.WithLabelValues(question, outcome).Inc() }

// Grouped counts a commit of the log and the appends in it: the log in the folder calls it.
func (m *Metrics) Grouped(appends int) { m.group.Observe(float64(appends)) }

// watch adds the figures that are read when they are asked for.
func (m *Metrics) watch(c Config) error {
	gauge := func(name, help string, labels prometheus.Labels, read func() float64) error {
		return m.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gridcase_" + name, Help: help, ConstLabels: labels}, read))
	}
	status := c.Views.Status
	if err := gauge("log_position", "Position of the newest event.", nil, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), askLog)
		defer cancel()
		end, err := c.Log.End(ctx)
		if err != nil {
			return -1
		}
		return float64(end)
	}); err != nil {
		return err
	}
	if err := gauge("log_writable", "1 while the log takes events, 0 while its disk is full or its writer has stopped.", nil, func() float64 {
		if l, asks := c.Log.(interface{ Health() error }); asks && l.Health() != nil {
			return 0
		}
		return 1
	}); err != nil {
		return err
	}
	if err := gauge("keys_away", "1 while the key folder or the key service does not answer: nothing personal is shown or, soon, taken in.", nil, func() float64 {
		if c.Keys.Away() != nil {
			return 1
		}
		return 0
	}); err != nil {
		return err
	}
	for _, g := range []struct {
		name, help string
		read       func(projections.Status) float64
	}{
		{"views_live", "1 while the views hold everything the log does.", func(s projections.Status) float64 {
			if s.Live {
				return 1
			}
			return 0
		}},
		{"views_lag_seconds", "Age of the last event the views hold, 0 when live.", func(s projections.Status) float64 { return s.Lag.Seconds() }},
		{"views_rebuild_progress_ratio", "Progress of a rebuild, 1 when none runs.", func(s projections.Status) float64 { return s.Progress }},
	} {
		if err := gauge(g.name, g.help, nil, func() float64 { return g.read(status()) }); err != nil {
			return err
		}
	}
	for view := range status().Parked {
		m.failures.WithLabelValues(view)
		if err := gauge("views_quarantined", "Streams that a view takes no more events of.", prometheus.Labels{"view": view},
			func() float64 { return float64(status().Parked[view]) }); err != nil {
			return err
		}
	}
	if err := gauge("clock_skew_seconds", "This node's clock less the log's, when last compared and moved on since; alarms are fired within 2 s.", nil,
		func() float64 { return c.Engine.Reckoning().Skew.Seconds() }); err != nil {
		return err
	}
	for _, collector := range []prometheus.Collector{viewPosition{status}, overdue{c.Views}, flowing{c.Engine}} {
		if err := m.registry.Register(collector); err != nil {
			return err
		}
	}
	return gauge("build_info", "1, with the version of the program.", prometheus.Labels{"version": c.Version}, func() float64 { return 1 })
}

// viewPosition reports how far the views are, by the file that is served: its name changes with a rebuild.
type viewPosition struct{ status func() projections.Status }

var viewPositionDesc = prometheus.NewDesc("gridcase_views_position", "Position of the last event that the views hold.", []string{"file"}, nil)

// Describe implements [prometheus.Collector].
func (viewPosition) Describe(ch chan<- *prometheus.Desc) { ch <- viewPositionDesc }

// Collect implements [prometheus.Collector].
func (v viewPosition) Collect(ch chan<- prometheus.Metric) {
	s := v.status()
	ch <- prometheus.MustNewConstMetric(viewPositionDesc, prometheus.GaugeValue, float64(s.Position), s.File)
}

// overdue reports how many matters are overdue at each level.
type overdue struct{ views *projections.Runner }

var overdueDesc = prometheus.NewDesc("gridcase_deadline_overdue_cases",
	"Matters with a clock that ran out and still runs, by the level that has their attention: 1 grid to 5 city; 0: it never rose.", []string{"level"}, nil)

// Describe implements [prometheus.Collector].
func (overdue) Describe(ch chan<- *prometheus.Desc) { ch <- overdueDesc }

// Collect implements [prometheus.Collector]. Every level is there, so that a rate has something to begin with.
func (o overdue) Collect(ch chan<- prometheus.Metric) {
	levels, err := o.views.Views().Overdue(context.Background())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(overdueDesc, err)
		return
	}
	for l := orgs.Level(0); l <= 5; l++ {
		ch <- prometheus.MustNewConstMetric(overdueDesc, prometheus.GaugeValue, float64(levels[l]), strconv.Itoa(int(l)))
	}
}

// flowing reports how the flow stands: what follows from events on other streams.
type flowing struct{ engine *engine.Engine }

var (
	flowLagDesc    = prometheus.NewDesc("gridcase_flow_lag_seconds", "Age of the last event whose consequences were drawn, 0 when those of all were.", nil, nil)
	flowParkedDesc = prometheus.NewDesc("gridcase_flow_parked", "Consequences and alarms that were refused and wait for a person, in the log's whole life.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (flowing) Describe(ch chan<- *prometheus.Desc) { ch <- flowLagDesc; ch <- flowParkedDesc }

// Collect implements [prometheus.Collector].
func (f flowing) Collect(ch chan<- prometheus.Metric) {
	lag, parked, err := f.engine.Flow(context.Background())
	ch <- prometheus.MustNewConstMetric(flowLagDesc, prometheus.GaugeValue, lag.Seconds())
	if err == nil { // a broken index must not take all other figures with it: readiness says what is wrong
		ch <- prometheus.MustNewConstMetric(flowParkedDesc, prometheus.GaugeValue, float64(parked))
	}
}

func (m *Metrics) request(route, method string, code int, took time.Duration) {
	m.requests.WithLabelValues(route, known(method), strconv.Itoa(code)).Observe(took.Seconds())
}

// known keeps invented methods out of the labels.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

func (m *Metrics) shed(reason string)  { m.shedding.WithLabelValues(reason).Inc() }
func (m *Metrics) read(purpose string) { m.personal.WithLabelValues(purpose).Inc() }

func (m *Metrics) handler(r *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

type engineMetrics struct{ m *Metrics }

func (e engineMetrics) Command(command, outcome string) {
	e.m.commands.WithLabelValues(command, outcome).Inc()
}
func (e engineMetrics) Appended(typ string)    { e.m.appended.WithLabelValues(typ).Inc() }
func (e engineMetrics) Append(d time.Duration) { e.m.appends.Observe(d.Seconds()) }
func (e engineMetrics) Conflict()              { e.m.conflicts.Inc() }
func (e engineMetrics) UnknownOutcome()        { e.m.unknown.Inc() }
func (e engineMetrics) Parked(rule string)     { e.m.parked.WithLabelValues(rule).Inc() }
func (e engineMetrics) Fired(kind string)      { e.m.fired.WithLabelValues(kind).Inc() }
func (e engineMetrics) Escalated(to orgs.Level) {
	e.m.escalated.WithLabelValues(strconv.Itoa(int(to))).Inc()
}

type viewMetrics struct{ m *Metrics }

func (v viewMetrics) Batch(events int, took time.Duration) {
	v.m.batch.Observe(float64(events))
	v.m.apply.Observe(took.Seconds())
}
func (v viewMetrics) Failure(view string) { v.m.failures.WithLabelValues(view).Inc() }
func (v viewMetrics) Gap()                { v.m.gaps.Inc() }
func (v viewMetrics) Repeat()             { v.m.repeats.Inc() }
func (v viewMetrics) Unknown(typ string)  { v.m.strange.WithLabelValues(typ).Inc() }
