package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/goccy/go-yaml"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/policy"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
)

// policiesCmd keeps what is in force about deadlines and escalation.
type policiesCmd struct {
	List    policiesListCmd    `cmd:"" help:"List every version that was published, and since when it is in force."`
	Show    policiesShowCmd    `cmd:"" help:"Print the policy in force as YAML: to be changed and published."`
	Publish policiesPublishCmd `cmd:"" help:"Put a changed policy in force; no due instant recorded before changes."`
}

// calendarCmd keeps the working calendar.
type calendarCmd struct {
	List    calendarListCmd    `cmd:"" help:"List the notices of days off and make-up workdays."`
	Publish calendarPublishCmd `cmd:"" help:"Put the notices of a file in force; those that are stay as they are."`
}

type policiesListCmd struct {
	home
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
}

func (c policiesListCmd) Run(ctx context.Context, io streams) error {
	h, err := openHouse(ctx, c.Data, io, c.in(houseOptions{existing: true}))
	if err != nil {
		return err
	}
	defer h.close()
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "POLICY\tNAME\tVERSION\tIN FORCE SINCE\tPOSITION\tREASON")
	for _, n := range []stream.Name{policy.Deadlines, policy.Escalation} {
		err := h.publications(ctx, n, func(ev eventlog.Event, m event.Meta, b event.Body) {
			name, version, reason := "", 0, sealed.Public("")
			switch b := b.(type) {
			case policy.DeadlinesPublished:
				name, version, reason = b.Policy.Name, b.Policy.Version, b.Reason
			case policy.EscalationPublished:
				name, version, reason = b.Policy.Name, b.Policy.Version, b.Reason
			default:
				return
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", n.Key(), name, version, stamped(m.Recorded), ev.Position, reason)
		})
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

func stamped(t time.Time) string { return t.In(calendar.Zone()).Format("2006-01-02 15:04:05") }

// publications shows each event of a stream.
func (h *house) publications(ctx context.Context, n stream.Name, see func(eventlog.Event, event.Meta, event.Body)) error {
	for ev, err := range h.log.Read(ctx, string(n), 0) {
		if err != nil {
			return err
		}
		m, err := event.DecodeMeta(ev.Meta)
		if err != nil {
			return err
		}
		b, err := event.Decode(ev.Type, ev.Data)
		if err != nil {
			return err
		}
		see(ev, m, b)
	}
	return nil
}

type policiesShowCmd struct {
	home
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Name string `arg:"" enum:"deadline,escalation" help:"deadline or escalation."`
}

func (c policiesShowCmd) Run(ctx context.Context, io streams) error {
	h, err := openHouse(ctx, c.Data, io, c.in(houseOptions{existing: true}))
	if err != nil {
		return err
	}
	defer h.close()
	force := h.engine.InForce()
	var file any = deadlineFileOf(policy.Written(force.Policy))
	if c.Name == "escalation" {
		file = escalationFileOf(*force.Escalation)
	}
	text, err := yaml.MarshalWithOptions(file, yaml.IndentSequence(false))
	if err != nil {
		return fmt.Errorf("policy %s: %w", c.Name, err)
	}
	_, err = io.out.Write(text)
	return err
}

type policiesPublishCmd struct {
	home
	Data   string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Reason string `required:"" help:"Why it is changed: it is kept for ever, and public."`
	Name   string `arg:"" enum:"deadline,escalation" help:"deadline or escalation."`
	File   string `arg:"" help:"YAML file in the form of policies show." type:"existingfile"`
}

func (c policiesPublishCmd) Run(ctx context.Context, io streams) error {
	reason := sealed.Public(c.Reason)
	var command engine.Command
	n := policy.Deadlines
	if c.Name == "escalation" {
		n = policy.Escalation
		var f escalationFile
		if err := readYAML(c.File, "policy", &f); err != nil {
			return err
		}
		command = policy.PublishEscalation{Policy: f.policy(), Reason: reason}
	} else {
		var f deadlineFile
		if err := readYAML(c.File, "policy", &f); err != nil {
			return err
		}
		command = policy.PublishDeadlines{Policy: f.table(), Reason: reason}
	}
	h, err := openHouse(ctx, c.Data, io, c.in(houseOptions{}))
	if err != nil {
		return err
	}
	defer h.close()
	r, err := h.publish(ctx, n, command)
	if err != nil {
		return fmt.Errorf("policy %s: %s: %w", c.Name, c.File, err)
	}
	force, name := h.engine.InForce(), c.Name
	version := force.Policy.Version
	if c.Name == "escalation" {
		version = force.Escalation.Version
	}
	if r.Replayed {
		fmt.Fprintf(io.out, "%s version %d says the same: nothing was published\n", name, version)
		return nil
	}
	fmt.Fprintf(io.out, "%s version %d is in force from position %s on\n", name, version, r.Position)
	return nil
}

// publish gives one command to a stream of publications and waits until it is in force.
func (h *house) publish(ctx context.Context, n stream.Name, c engine.Command) (engine.Receipt, error) {
	_, revision, err := h.engine.Load(ctx, n)
	if err != nil {
		return engine.Receipt{}, err
	}
	r, err := h.engine.Handle(ctx, engine.Request{Stream: n, Commands: []engine.Command{c}, Key: "local/publish/" + strconv.FormatInt(revision+1, 10), Actor: local, Expect: revision})
	if err != nil {
		return r, err
	}
	return r, h.engine.Settled(ctx, r.Position)
}

// readYAML reads a file strictly: a member that does not exist, or stands there twice, is an error with its line.
func readYAML(path, what string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(), yaml.DisallowUnknownField()).Decode(into); err != nil {
		return fmt.Errorf("%s %s: %s", what, path, yaml.FormatError(err, false, true))
	}
	return nil
}

// deadlineFile is the form of a file with a deadline policy. Version is the one that it was edited from; it may be left out.
type deadlineFile struct {
	Name         string                              `yaml:"name"`
	Version      int                                 `yaml:"version"`
	Rows         []rowEntry                          `yaml:"rows"`
	HandleTable  calendar.HandleTable                `yaml:"handle_table"`
	HandleByKind []rowEntry                          `yaml:"handle_by_kind"`
	Windows      map[calendar.Window]calendar.Amount `yaml:"windows"`
	Caps         map[calendar.Cap]int                `yaml:"caps"` // natural days
	Attempts     int                                 `yaml:"attempts"`
	Service      []segmentEntry                      `yaml:"service"`
	Missing      calendar.Missing                    `yaml:"missing"`
	Settle       calendar.Settling                   `yaml:"settle"`
	NaturalRoll  calendar.Roll                       `yaml:"natural_roll"`
	DayEnd       calendar.DayEnd                     `yaml:"day_end"`
}

type rowEntry struct {
	Clock   calendar.Clock  `yaml:"clock"`
	Kind    string          `yaml:"kind"`
	Urgency string          `yaml:"urgency"`
	Amount  calendar.Amount `yaml:"amount"`
}

type segmentEntry struct {
	Open  calendar.TimeOfDay `yaml:"open"`
	Close calendar.TimeOfDay `yaml:"close"`
}

func deadlineFileOf(t policy.Table) deadlineFile {
	p := t.Policy()
	f := deadlineFile{Name: t.Name, Version: t.Version, HandleTable: t.HandleTable, Windows: p.Windows, Caps: p.Caps, Attempts: t.Attempts, Missing: t.Missing,
		Settle: t.Settle, NaturalRoll: t.NaturalRoll, DayEnd: t.DayEnd}
	for _, r := range t.Rows {
		f.Rows = append(f.Rows, rowEntry(r))
	}
	for _, r := range t.HandleByKind {
		f.HandleByKind = append(f.HandleByKind, rowEntry(r))
	}
	for _, s := range t.Service {
		f.Service = append(f.Service, segmentEntry(s))
	}
	return f
}

func (f deadlineFile) table() policy.Table {
	p := &calendar.Policy{Name: f.Name, Version: f.Version, HandleTable: f.HandleTable, Windows: f.Windows, Caps: f.Caps, Attempts: f.Attempts, Missing: f.Missing,
		Settle: f.Settle, NaturalRoll: f.NaturalRoll, DayEnd: f.DayEnd}
	for _, r := range f.Rows {
		p.Rows = append(p.Rows, calendar.Row(r))
	}
	for _, r := range f.HandleByKind {
		p.HandleByKind = append(p.HandleByKind, calendar.Row(r))
	}
	for _, s := range f.Service {
		p.Service = append(p.Service, calendar.Segment(s))
	}
	return policy.Written(p)
}

// escalationFile is the form of a file with an escalation policy. Version is the one that it was edited from; it may be
// left out.
type escalationFile struct {
	Name          string          `yaml:"name"`
	Version       int             `yaml:"version"`
	Steps         []stepEntry     `yaml:"steps"`
	Reworks       int             `yaml:"reworks"`
	Bounces       int             `yaml:"bounces"`
	SignCap       orgs.Level      `yaml:"sign_cap"`
	UrgentSignCap orgs.Level      `yaml:"urgent_sign_cap"`
	Urgings       int             `yaml:"urgings"`
	UrgingWindow  int             `yaml:"urging_window"` // natural days
	Unsatisfied   int             `yaml:"unsatisfied"`
	Suspensions   int             `yaml:"suspensions"`
	SuspendedDays int             `yaml:"suspended_days"`
	Problem       orgs.Level      `yaml:"problem_level"`
	Levels        []levelEntry    `yaml:"levels"`
	Districts     []districtEntry `yaml:"districts,omitempty"`
}

type stepEntry struct {
	Urgency string          `yaml:"urgency"`
	Amount  calendar.Amount `yaml:"amount"`
}

type levelEntry struct {
	Level orgs.Level `yaml:"level"`
	Zh    string     `yaml:"zh"`
	En    string     `yaml:"en"`
}

type districtEntry struct {
	District orgs.UnitCode `yaml:"district"`
	Levels   []levelEntry  `yaml:"levels"`
}

func escalationFileOf(p escalation.Policy) escalationFile {
	f := escalationFile{Name: p.Name, Version: p.Version, Reworks: p.Reworks, Bounces: p.Bounces, SignCap: p.SignCap, UrgentSignCap: p.UrgentSignCap,
		Urgings: p.Urgings, UrgingWindow: p.UrgingWindow, Unsatisfied: p.Unsatisfied, Suspensions: p.Suspensions, SuspendedDays: p.SuspendedDays,
		Problem: p.Problem, Levels: levelsOf(p.Levels)}
	for _, s := range p.Steps {
		f.Steps = append(f.Steps, stepEntry(s))
	}
	for _, d := range p.Districts {
		f.Districts = append(f.Districts, districtEntry{d.District, levelsOf(d.Levels)})
	}
	return f
}

func levelsOf(m escalation.LevelMap) (es []levelEntry) {
	for _, l := range m {
		es = append(es, levelEntry(l))
	}
	return es
}

func ladderOf(es []levelEntry) (m escalation.LevelMap) {
	for _, l := range es {
		m = append(m, escalation.Level(l))
	}
	return m
}

func (f escalationFile) policy() escalation.Policy {
	p := escalation.Policy{Name: f.Name, Version: f.Version, Reworks: f.Reworks, Bounces: f.Bounces, SignCap: f.SignCap, UrgentSignCap: f.UrgentSignCap,
		Urgings: f.Urgings, UrgingWindow: f.UrgingWindow, Unsatisfied: f.Unsatisfied, Suspensions: f.Suspensions, SuspendedDays: f.SuspendedDays,
		Problem: f.Problem, Levels: ladderOf(f.Levels)}
	for _, s := range f.Steps {
		p.Steps = append(p.Steps, escalation.Step(s))
	}
	for _, d := range f.Districts {
		p.Districts = append(p.Districts, escalation.DistrictLevels{District: d.District, Levels: ladderOf(d.Levels)})
	}
	return p
}

type calendarListCmd struct {
	home
	Data string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
}

func (c calendarListCmd) Run(ctx context.Context, io streams) error {
	h, err := openHouse(ctx, c.Data, io, c.in(houseOptions{existing: true}))
	if err != nil {
		return err
	}
	defer h.close()
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tYEAR\tOFF\tWORK\tIN FORCE SINCE\tPOSITION\tSOURCE\tREASON")
	err = h.publications(ctx, policy.Calendar, func(ev eventlog.Event, m event.Meta, b event.Body) {
		if n, ok := b.(policy.CalendarPublished); ok {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", n.Version, n.Year, len(n.Off), len(n.Work), stamped(m.Recorded), ev.Position, n.Source, n.Reason)
		}
	})
	return errors.Join(err, w.Flush())
}

type calendarPublishCmd struct {
	home
	Data   string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Reason string `help:"Needed for a correction: where the year has a notice already. It is kept for ever, and public."`
	File   string `arg:"" help:"Notices: lines \"notice YEAR SOURCE\", \"off FIRST[..LAST] [OCCASION]\", \"work FIRST[..LAST] [OCCASION]\"." type:"existingfile"`
}

func (c calendarPublishCmd) Run(ctx context.Context, io streams) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("calendar: %w", err)
	}
	notices, err := calendar.ParseNotices(string(text))
	if err != nil {
		return fmt.Errorf("calendar %s: %w", c.File, err)
	}
	if len(notices) == 0 {
		return fmt.Errorf("calendar %s: it holds no notice", c.File)
	}
	h, err := openHouse(ctx, c.Data, io, c.in(houseOptions{}))
	if err != nil {
		return err
	}
	defer h.close()
	published := 0
	for _, n := range notices {
		r, err := h.publish(ctx, policy.Calendar, policy.PublishNotice{Notice: n, Reason: sealed.Public(c.Reason)})
		if err != nil {
			return fmt.Errorf("calendar %s: the notice of %d: %w", c.File, n.Year, err)
		}
		if !r.Replayed {
			published++
		}
	}
	fmt.Fprintf(io.out, "%d notices, %d of them new; calendar %s is in force\n", len(notices), published, h.engine.InForce().Calendar.Version())
	return nil
}
