package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gridcase/domain/orgs"
	"gridcase/engine/relay"
	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

// border is what the configuration file says about relays and feeds.
type border struct {
	Relays map[string]relaySettings
	Feeds  map[string]feedSettings
}

// part returns where a part of the file is read to, nil for the names of flags.
func (b *border) part(name string) any {
	switch name {
	case "relays":
		return &b.Relays
	case "feeds":
		return &b.Feeds
	}
	return nil
}

// relaySettings is one destination: exactly one of webhook, kafka, nats and file, and what it may be told.
type relaySettings struct {
	Webhook *struct {
		URL     string        `yaml:"url"`
		Secrets []string      `yaml:"secrets"` // whsec_…, or file:PATH; two while one replaces the other
		Allow   []string      `yaml:"allow"`   // hosts that may be in the own network
		Timeout time.Duration `yaml:"timeout"`
	} `yaml:"webhook"`
	Kafka *topicSettings   `yaml:"kafka"`
	NATS  *subjectSettings `yaml:"nats"`
	File  string           `yaml:"file"`

	Types   []string      `yaml:"types"`
	Role    orgs.Role     `yaml:"role"`
	Unit    orgs.UnitCode `yaml:"unit"`
	Actor   string        `yaml:"actor"`
	Reports bool          `yaml:"reports"`
	Sealed  string        `yaml:"sealed"` // removed, ciphertexts
	Begin   string        `yaml:"begin"`  // now, start

	AtOnce       int           `yaml:"at_once"`
	PerSecond    int           `yaml:"per_second"`
	FirstRetry   time.Duration `yaml:"first_retry"`
	LongestRetry time.Duration `yaml:"longest_retry"`
	GiveUpAfter  time.Duration `yaml:"give_up_after"`
	Probe        time.Duration `yaml:"probe"`
}

type topicSettings struct {
	Brokers []string `yaml:"brokers"`
	Topic   string   `yaml:"topic"`
}

type subjectSettings struct {
	URL     string `yaml:"url"`
	Subject string `yaml:"subject"`
}

// feedSettings is one sender: by HTTP with secrets, or by one of kafka and nats.
type feedSettings struct {
	Unit    orgs.UnitCode    `yaml:"unit"`
	Secrets []string         `yaml:"secrets"`
	Kafka   *topicSettings   `yaml:"kafka"`
	NATS    *subjectSettings `yaml:"nats"`
}

// named is what a relay or feed may be called: its name becomes a label, an actor and part of a path.
var named = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// secretsOf reads secrets, from files where they name one.
func secretsOf(texts []string) ([]relay.Secret, error) {
	var all []relay.Secret
	for _, text := range texts {
		if path, file := strings.CutPrefix(text, "file:"); file {
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("secrets: %w", err)
			}
			text = string(b)
		}
		s, err := relay.ParseSecret(text)
		if err != nil {
			return nil, fmt.Errorf("secrets: %w", err)
		}
		all = append(all, s)
	}
	return all, nil
}

func broker(k *topicSettings, n *subjectSettings) (relay.Broker, string, error) {
	var b relay.Broker
	topic := ""
	if k != nil {
		b.Kafka, topic = k.Brokers, k.Topic
	}
	if n != nil {
		b.NATS, topic = n.URL, n.Subject
	}
	if topic == "" {
		return b, "", errors.New("it needs a topic, or a subject")
	}
	return b, topic, b.Check()
}

// out makes a destination of its settings. Nothing is connected yet.
func (s relaySettings) out(name string, logger *slog.Logger) (o relay.Out, err error) {
	o = relay.Out{Name: name, Topic: name, FromStart: s.Begin == "start", AtOnce: s.AtOnce, PerSecond: s.PerSecond,
		Terms:    relay.Terms{Types: s.Types, Role: s.Role, Unit: s.Unit, Actor: s.Actor, Reports: s.Reports, Ciphertexts: s.Sealed == "ciphertexts"},
		Patience: relay.Patience{First: s.FirstRetry, Longest: s.LongestRetry, GiveUp: s.GiveUpAfter, Probe: s.Probe}}
	ways := 0
	for _, given := range []bool{s.Webhook != nil, s.Kafka != nil, s.NATS != nil, s.File != ""} {
		if given {
			ways++
		}
	}
	switch {
	case !named.MatchString(name):
		return o, errors.New("a name is up to 40 of a-z, 0-9 and hyphens, and begins with a letter")
	case ways != 1:
		return o, errors.New("it needs exactly one of webhook, kafka, nats and file")
	case !slices.Contains([]string{"", "removed", "ciphertexts"}, s.Sealed):
		return o, errors.New("sealed: removed or ciphertexts")
	case !slices.Contains([]string{"", "now", "start"}, s.Begin):
		return o, errors.New("begin: now or start")
	case s.AtOnce < 0 || s.AtOnce > 256 || s.PerSecond < 0 || s.PerSecond > 100_000 || min(s.FirstRetry, s.LongestRetry, s.GiveUpAfter, s.Probe) < 0:
		return o, errors.New("at_once is at most 256, per_second at most 100000, and no time is negative")
	}
	if err := o.Terms.Check(); err != nil {
		return o, err
	}
	switch {
	case s.Webhook != nil:
		secrets, err := secretsOf(s.Webhook.Secrets)
		if err != nil {
			return o, err
		}
		o.Publisher, err = relay.NewWebhook(relay.WebhookConfig{URL: s.Webhook.URL, Secrets: secrets, Allow: s.Webhook.Allow, Timeout: s.Webhook.Timeout})
		return o, err
	case s.File != "":
		o.Publisher, err = relay.OpenFile(s.File)
		return o, err
	}
	b, topic, err := broker(s.Kafka, s.NATS)
	if err != nil {
		return o, err
	}
	o.Topic, o.Publisher = topic, b.Publisher(logger)
	return o, nil
}

func (s feedSettings) feed(name string) (f relay.Feed, err error) {
	f = relay.Feed{Name: name, Unit: s.Unit}
	if !named.MatchString(name) {
		return f, errors.New("a name is up to 40 of a-z, 0-9 and hyphens, and begins with a letter")
	}
	if s.Kafka == nil && s.NATS == nil {
		if len(s.Secrets) == 0 {
			return f, errors.New("it needs secrets, by which its sender is known, or kafka or nats")
		}
		f.Secrets, err = secretsOf(s.Secrets)
		return f, err
	}
	if len(s.Secrets) > 0 {
		return f, errors.New("secrets are for a feed by HTTP")
	}
	b, topic, err := broker(s.Kafka, s.NATS)
	f.Broker, f.Topic = &b, topic
	return f, err
}

// abroad is what a serving house has to do with other systems.
type abroad struct {
	handler http.Handler
	book    *relay.Book
	relays  *relay.Relays
	feeds   *relay.Feeds
}

// open starts relays and feeds. A destination or a broker that is down keeps no house from opening, and does not make it unready.
func (h *house) open(ctx context.Context, b *border, api http.Handler, registry *prometheus.Registry, logger *slog.Logger) (_ *abroad, err error) {
	a := &abroad{handler: api}
	if b == nil || len(b.Relays)+len(b.Feeds) == 0 {
		return a, nil
	}
	var outs []relay.Out
	defer func() {
		if err == nil {
			return
		}
		if a.relays == nil {
			for _, o := range outs {
				err = errors.Join(err, o.Publisher.Close())
			}
		}
		err = errors.Join(err, a.close())
	}()
	for _, name := range slices.Sorted(maps.Keys(b.Relays)) {
		o, err := b.Relays[name].out(name, logger)
		if err != nil {
			return nil, fmt.Errorf("relay %s: %w", name, err)
		}
		outs = append(outs, o)
	}
	var feeds []relay.Feed
	for _, name := range slices.Sorted(maps.Keys(b.Feeds)) {
		f, err := b.Feeds[name].feed(name)
		if err != nil {
			return nil, fmt.Errorf("feed %s: %w", name, err)
		}
		feeds = append(feeds, f)
	}
	if a.book, err = relay.OpenBook(ctx, filepath.Join(h.dir, "relays.db")); err != nil {
		return nil, err
	}
	if len(outs) > 0 {
		a.relays, err = relay.Start(ctx, relay.Config{Log: h.log, House: h.engine, Source: relay.SourceOf(h.engine.LogOrigin()), Book: a.book, Out: outs, Logger: logger})
		if err != nil {
			return nil, err
		}
	}
	if len(feeds) > 0 {
		if a.feeds, err = relay.OpenFeeds(ctx, h.engine, a.book, feeds, logger); err != nil {
			return nil, err
		}
		a.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/feeds/") {
				a.feeds.ServeHTTP(w, r)
				return
			}
			api.ServeHTTP(w, r)
		})
	}
	if err := registry.Register(traffic{a}); err != nil {
		return nil, err
	}
	return a, nil
}

// close ends feeds and relays; the book last.
func (a *abroad) close() error {
	var errs []error
	if a.feeds != nil {
		errs = append(errs, a.feeds.Close())
	}
	if a.relays != nil {
		errs = append(errs, a.relays.Close())
	}
	if a.book != nil {
		errs = append(errs, a.book.Close())
	}
	return errors.Join(errs...)
}

// traffic tells Prometheus how relays and feeds stand. The only label is the name in the configuration.
type traffic struct{ *abroad }

func trafficDesc(name, help, label string) *prometheus.Desc {
	return prometheus.NewDesc("gridcase_"+name, help, []string{label}, nil)
}

var (
	relaySent    = trafficDesc("relay_sent_total", "Messages that the destination took.", "relay")
	relayFailed  = trafficDesc("relay_failed_total", "Attempts after which a message was held.", "relay")
	relayParked  = trafficDesc("relay_parked", "Messages that are tried no more and wait for a person.", "relay")
	relayWaiting = trafficDesc("relay_waiting", "Messages held for their next attempt, or behind another of their case.", "relay")
	relayLag     = trafficDesc("relay_lag_seconds", "Age of the oldest event that is to be sent and is not parked, 0 when there is none.", "relay")
	relayOff     = trafficDesc("relay_off", "1 while the relay is switched off, by a person or by the destination's 410.", "relay")
	feedTaken    = trafficDesc("feed_taken_total", "Messages that were done, repeats included.", "feed")
	feedRefused  = trafficDesc("feed_refused_total", "Messages that were refused for good.", "feed")
)

// Describe implements [prometheus.Collector].
func (traffic) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{relaySent, relayFailed, relayParked, relayWaiting, relayLag, relayOff, feedTaken, feedRefused} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (t traffic) Collect(ch chan<- prometheus.Metric) {
	say := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, name string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, name)
	}
	if t.relays != nil {
		for _, s := range t.relays.Status() {
			say(relaySent, prometheus.CounterValue, float64(s.Sent), s.Name)
			say(relayFailed, prometheus.CounterValue, float64(s.Failed), s.Name)
			say(relayParked, prometheus.GaugeValue, float64(s.Parked), s.Name)
			say(relayWaiting, prometheus.GaugeValue, float64(s.Waiting), s.Name)
			say(relayLag, prometheus.GaugeValue, s.Lag.Seconds(), s.Name)
			off := 0.0
			if s.Off {
				off = 1
			}
			say(relayOff, prometheus.GaugeValue, off, s.Name)
		}
	}
	if t.feeds != nil {
		for _, s := range t.feeds.Status() {
			say(feedTaken, prometheus.CounterValue, float64(s.Taken), s.Name)
			say(feedRefused, prometheus.CounterValue, float64(s.Refused), s.Name)
		}
	}
}

// relaysCmd works on the folder's relays.db alone, so it works while the server runs, which does within seconds what is wished;
// a server that does not run does it when it starts.
type relaysCmd struct {
	List   relaysListCmd   `cmd:"" help:"List relays: how far they are, what is held and why; with a name, what that relay holds."`
	Park   relaysParkCmd   `cmd:"" help:"Send nothing more until the relay is resumed."`
	Resume relaysResumeCmd `cmd:"" help:"Go on, and try what is parked at once."`
	Skip   relaysSkipCmd   `cmd:"" help:"Give up one parked message: its case goes on behind it."`
	Replay relaysReplayCmd `cmd:"" help:"Send a range of positions again, with the ids and bodies of the first time."`
	Carry  relaysCarryCmd  `cmd:"" help:"Count positions as a copy of the log does, once gridcase copy is done; no server may run."`
}

func withBook(ctx context.Context, dir string, f func(*relay.Book) error) error {
	path := filepath.Join(dir, "relays.db")
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("no relay or feed ever ran on this folder: %w", err)
	}
	b, err := relay.OpenBook(ctx, path)
	if err != nil {
		return err
	}
	return errors.Join(f(b), b.Close())
}

type relaysListCmd struct {
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Name string `arg:"" optional:"" help:"A relay."`
}

func (c relaysListCmd) Run(ctx context.Context, io streams) error {
	when := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return stamped(t)
	}
	return withBook(ctx, c.Data, func(b *relay.Book) error {
		w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
		if c.Name != "" {
			held, err := b.Held(ctx, c.Name)
			if err != nil {
				return err
			}
			fmt.Fprintln(w, "POSITION\tSTREAM\tATTEMPTS\tFIRST\tNEXT\tREASON")
			for _, h := range held {
				next := when(h.Next)
				if h.Parked {
					next = "parked"
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", h.Position, h.Stream, h.Attempts, when(h.First), next, h.Reason)
			}
			return w.Flush()
		}
		pages, err := b.Pages(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(w, "RELAY\tSTATE\tPOSITION\tWAITING\tPARKED\tNEXT")
		for _, p := range pages {
			state := "on"
			switch {
			case p.Off:
				state = "off: " + p.Why
			case p.Until > 0:
				state = fmt.Sprintf("sends %s to %s again", p.Replay+1, p.Until)
			case p.Rest.After(time.Now()):
				state = "asked to wait until " + when(p.Rest)
			}
			if len(p.Wishes) > 0 {
				state += " (to be done: " + strings.Join(p.Wishes, ", ") + ")"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", p.Name, state, p.Position, p.Waiting, p.Parked, when(p.Next))
		}
		refused, err := b.Refused(ctx)
		if err != nil {
			return err
		}
		if len(refused) > 0 {
			fmt.Fprintln(w, "\nFEED\tMESSAGE\tREFUSED\tREASON")
			for _, r := range refused {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Feed, r.Message, when(r.At), r.Reason)
			}
		}
		return w.Flush()
	})
}

type relaysParkCmd struct {
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Name string `arg:"" help:"The relay."`
}

func (c relaysParkCmd) Run(ctx context.Context) error {
	return withBook(ctx, c.Data, func(b *relay.Book) error { return b.Park(ctx, c.Name) })
}

type relaysResumeCmd struct {
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Name string `arg:"" help:"The relay."`
}

func (c relaysResumeCmd) Run(ctx context.Context) error {
	return withBook(ctx, c.Data, func(b *relay.Book) error { return b.Resume(ctx, c.Name) })
}

type relaysSkipCmd struct {
	Data     string            `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Name     string            `arg:"" help:"The relay."`
	Position eventlog.Position `arg:"" help:"Where the parked message is, as listed."`
}

func (c relaysSkipCmd) Run(ctx context.Context) error {
	return withBook(ctx, c.Data, func(b *relay.Book) error { return b.Skip(ctx, c.Name, c.Position) })
}

type relaysReplayCmd struct {
	Data string            `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	From eventlog.Position `required:"" help:"First position, as in the envelopes." placeholder:"POSITION"`
	To   eventlog.Position `help:"Last position; where the relay stands if it is not given." placeholder:"POSITION"`
	Name string            `arg:"" help:"The relay."`
}

func (c relaysReplayCmd) Run(ctx context.Context) error {
	return withBook(ctx, c.Data, func(b *relay.Book) error { return b.Replay(ctx, c.Name, c.From, c.To) })
}

type relaysCarryCmd struct {
	Data string `required:"" help:"Folder with the relays.db." type:"existingdir" placeholder:"DIR"`
	From string `required:"" help:"The log that was copied: a data folder that nobody has open, or an esdb:// connection string." placeholder:"DIR|esdb://…"`
	To   string `required:"" help:"Its copy." placeholder:"DIR|esdb://…"`
}

func (c relaysCarryCmd) Run(ctx context.Context, s streams) error {
	if same(c.From, c.To) {
		return errors.New("both are the same log")
	}
	// No server may tell anybody anything meanwhile. If the folder is a side, opening that finds out.
	for _, file := range []string{"log.db.lock", "remote.lock"} {
		path := filepath.Join(c.Data, file)
		if _, err := os.Stat(path); err != nil || same(c.Data, c.From) || same(c.Data, c.To) {
			continue
		}
		lock, err := sqlite.Lock(path)
		if err != nil {
			return fmt.Errorf("%s is served: %w", c.Data, err)
		}
		defer lock.Close()
	}
	var logs []eventlog.Log
	for _, name := range []string{c.From, c.To} {
		side, err := openSide(ctx, name, false)
		if err != nil {
			return fmt.Errorf("a log of the two: %w", err)
		}
		defer side.close()
		if side.log == nil {
			return errors.New("an exported file has no positions")
		}
		logs = append(logs, side.log)
	}
	return withBook(ctx, c.Data, func(b *relay.Book) error {
		n, err := b.Carry(ctx, logs[0], logs[1])
		switch {
		case err != nil:
			return err
		case n == 0:
			fmt.Fprintln(s.out, "nothing to carry: every position is the same in both")
		default:
			fmt.Fprintf(s.out, "carried %d positions\n", n)
		}
		return nil
	})
}
