package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gridcase/api"
	"gridcase/api/report"
	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/event"
	"gridcase/domain/evidence"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/projections"
)

// assessCmd computes the assessment from the log, explains and compares it, and has it sealed.
type assessCmd struct {
	Compute   assessComputeCmd   `cmd:"" help:"Compute a period, or some days under a scheme: standings and hashes, or a file."`
	Explain   assessExplainCmd   `cmd:"" help:"Open a figure: its formula with the numbers, what is left out, its cases, and with --events their events."`
	Compare   assessCompareCmd   `cmd:"" help:"Say who rises and who falls between two periods, or two schemes, and because of what."`
	Revisions assessRevisionsCmd `cmd:"" help:"List what a period was sealed with: the seal, and each revision with its cause and how much it changed."`
	Diff      assessDiffCmd      `cmd:"" help:"Say which numbers differ between two revisions of a sealed period, what each was and is."`
	Verify    assessVerifyCmd    `cmd:"" help:"Say whether a file of canonical results or cohorts is the one that a period was sealed with; exit 1 if not."`
	Confirm   assessConfirmCmd   `cmd:"" help:"As the second person, confirm that a period be sealed: prints a code for the first."`
	Seal      assessSealCmd      `cmd:"" help:"Seal a period on a running node, with two persons' keys."`
}

// subject says what is assessed: a period of the log, or days that a scheme is tried on.
type subject struct {
	home
	Data         string `required:"" help:"Data folder; no other process may have it open." type:"existingdir" placeholder:"DIR"`
	Period       string `help:"Id of the period." placeholder:"ID"`
	Jurisdiction string `help:"Without --period: whose streets rate." placeholder:"UNIT"`
	First        string `help:"First day." placeholder:"YYYY-MM-DD"`
	Last         string `help:"Last day." placeholder:"YYYY-MM-DD"`
	Scheme       string `help:"Scheme to try, as JSON (default: that of the rule book)." type:"existingfile" placeholder:"FILE"`
	Edition      *int   `help:"Of a sealed period: 1 is the seal, 2 its first revision (default: the last)." placeholder:"N"`
	AsOf         string `name:"as-of" help:"Position of the log, or a day: as of its end in city time (default: now)." placeholder:"POSITION|YYYY-MM-DD"`
}

// examiner is a folder with its views at the end of the log.
type examiner struct {
	*house
	*api.Settler
}

// examine opens the folder, computes, and hands on what came of it.
func (c subject) examine(ctx context.Context, s streams, f func(examiner, api.Examined) error) (err error) {
	if (c.Period == "") == (c.Jurisdiction == "") {
		return errors.New("say either --period, or --jurisdiction with --first and --last")
	}
	if c.Period != "" && c.First+c.Last+c.Scheme != "" {
		return errors.New("--first, --last and --scheme are not for a period: it has its own")
	}
	edition := 0
	if c.Edition != nil {
		edition = *c.Edition
	}
	if c.Edition != nil && (c.Period == "" || c.AsOf != "" || edition < 1) {
		return errors.New("--edition is for a sealed period, counts from 1, and does not go with --as-of")
	}
	h, end, err := c.upToDate(ctx, c.Data, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	asOf, err := c.position(ctx, h, end)
	if err != nil {
		return err
	}
	e := examiner{h, &api.Settler{Engine: h.engine, Views: h.views, Log: h.log, Program: version()}}
	if c.Period == "" {
		d, err := c.tried(ctx, h, asOf)
		if err != nil {
			return err
		}
		return f(e, api.Examined{Document: d})
	}
	d, err := e.period(ctx, c.Period, asOf, edition)
	if err != nil {
		return err
	}
	return f(e, d)
}

func (e examiner) period(ctx context.Context, text string, asOf eventlog.Position, edition int) (api.Examined, error) {
	id, err := stream.ParseID(text)
	if err != nil {
		return api.Examined{}, fmt.Errorf("%q is no id of a period", text)
	}
	x, err := e.Examine(ctx, id, asOf, edition)
	switch {
	case errors.Is(err, api.ErrPeriod) && edition > 0:
		err = fmt.Errorf("period %s: there is none, it was voided, or it was not sealed with revision %d", text, edition)
	case errors.Is(err, api.ErrPeriod):
		err = fmt.Errorf("period %s: there is none, not yet as of that position, or it was voided", text)
	}
	return x, err
}

// tried computes some days under a scheme that nobody has to have published.
func (c subject) tried(ctx context.Context, h *house, asOf eventlog.Position) (d report.Document, err error) {
	q := projections.Question{AsOf: asOf, Scheme: assessment.Default(), Jurisdiction: orgs.UnitCode(c.Jurisdiction)}
	if q.First, err = calendar.ParseDate(c.First); err != nil {
		return d, fmt.Errorf("--first %q: a day such as 2026-11-01", c.First)
	}
	if q.Last, err = calendar.ParseDate(c.Last); err != nil {
		return d, fmt.Errorf("--last %q: a day such as 2026-11-30", c.Last)
	}
	if _, known := h.views.Units().Unit(q.Jurisdiction); !known {
		return d, fmt.Errorf("--jurisdiction %q: there is no such unit", c.Jurisdiction)
	}
	if c.Scheme != "" {
		if q.Scheme, err = readScheme(c.Scheme); err != nil {
			return d, err
		}
	}
	a, err := h.views.Views().Assess(ctx, q)
	return report.Document{Results: a.Results, AsOf: int64(a.AsOf), CutOff: int64(a.CutOff), Program: version()}, err
}

func readScheme(path string) (s assessment.Scheme, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode(&s); err != nil {
		return s, fmt.Errorf("%s is no scheme: %w", path, err)
	}
	return s, nil
}

// position reads --as-of. Of a day it is the last event recorded before the next one.
func (c subject) position(ctx context.Context, h *house, end eventlog.Position) (eventlog.Position, error) {
	if c.AsOf == "" {
		return end, nil
	}
	if p, err := strconv.ParseUint(c.AsOf, 10, 63); err == nil {
		if p == 0 || eventlog.Position(p) > end {
			return 0, fmt.Errorf("--as-of %s: the log has positions 1 to %s", c.AsOf, end)
		}
		return eventlog.Position(p), nil
	}
	day, err := calendar.ParseDate(c.AsOf)
	if err != nil {
		return 0, fmt.Errorf("--as-of %q: a position, or a day such as 2026-11-30", c.AsOf)
	}
	at, next := eventlog.Position(0), (day + 1).Start()
	for b, err := range h.log.Follow(ctx, 0) {
		if err != nil {
			return 0, err
		}
		for _, e := range b.Events {
			if !e.At.Before(next) {
				if at == 0 {
					return 0, fmt.Errorf("--as-of %s: the log begins later", c.AsOf)
				}
				return at, nil
			}
			at = min(e.Position, end)
		}
		if b.Live {
			break
		}
	}
	if next.After(time.Now()) {
		return 0, fmt.Errorf("--as-of %s: the day is not over yet, and what it will come to may change", c.AsOf)
	}
	return at, nil
}

type assessComputeCmd struct {
	subject
	Format    string `default:"text" enum:"text,csv,xlsx,html" help:"text, csv, xlsx or html."`
	Sheet     string `default:"standings" enum:"figures,scores,standings" help:"Of csv: figures, scores or standings."`
	Out       string `help:"File to write (default: standard output)." type:"path" placeholder:"FILE"`
	Canonical string `help:"Also write the canonical results, whose SHA-256 a seal records." type:"path" placeholder:"FILE"`
	Cohort    string `help:"Also write the list of cohorts, whose SHA-256 a seal records." type:"path" placeholder:"FILE"`
}

func (c assessComputeCmd) Run(ctx context.Context, s streams) error {
	return c.examine(ctx, s, func(_ examiner, d api.Examined) error {
		if c.Canonical != "" && d.Found() != nil || c.Cohort != "" && d.CohortFound() != nil {
			return fmt.Errorf("%w: nothing that is written now has the hash that was sealed; --as-of the position before the seal gives what it comes to", report.ErrRecorded)
		}
		for path, write := range map[string]func(io.Writer) error{c.Canonical: d.Results.Canonical, c.Cohort: d.Results.Cohort} {
			if path == "" {
				continue
			}
			if err := written(path, write); err != nil {
				return err
			}
		}
		write := map[string]func(io.Writer) error{"text": func(w io.Writer) error { return told(w, d.Document) }, "xlsx": d.Workbook, "html": d.Page,
			"csv": func(w io.Writer) error { return d.List(w, c.Sheet, "") }}[c.Format]
		if c.Format == "xlsx" && d.Found() != nil { // before the file is made
			return fmt.Errorf("%w: the formulas of a workbook would not come to these; csv and html have them as sealed", report.ErrRecorded)
		}
		if c.Out != "" {
			return written(c.Out, write)
		}
		return write(s.out)
	})
}

// written writes a file whole.
func written(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	return errors.Join(write(w), w.Flush(), f.Sync(), f.Close())
}

func told(out io.Writer, d report.Document) error {
	p := d.Results.Period
	fmt.Fprintf(out, "%s to %s, %s, as of position %d", p.First, p.Last, p.Jurisdiction, d.AsOf)
	if d.CutOff > 0 {
		fmt.Fprintf(out, ", cases up to %d", d.CutOff)
	}
	results, cohort := d.ResultsHash(), d.CohortHash()
	if d.Seal != nil {
		results, cohort = d.Seal.Results, d.Seal.Cohort
	}
	fmt.Fprintf(out, "\nscheme  %s  %s\nresults %s\ncohort  %s\n", d.Hash, d.Scheme.Name, results, cohort)
	sealedWith(out, d)
	if d.Undecided > 0 {
		fmt.Fprintf(out, "%d exclusions or objections are undecided\n", d.Undecided)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nRANK\tUNIT\tKIND\tSTREETS\tYEAR\tOTHER\tANNUAL\tNAME\tFLAGS")
	for _, st := range d.Standings {
		rank := assessment.None
		if st.Rank > 0 {
			rank = fmt.Sprint(st.Rank)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", rank, st.Unit, st.Kind, st.Printed[0], st.Printed[1], st.Other.Print(d.Places), st.Printed[2], st.Name, strings.Join(st.Flags, " "))
	}
	for _, n := range d.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	return w.Flush()
}

// sealedWith says what the numbers that are shown bind.
func sealedWith(out io.Writer, d report.Document) {
	if d.Seal == nil {
		fmt.Fprintln(out, "not sealed")
		return
	}
	fmt.Fprintf(out, "sealed %s, revision %d, by program %s\n", d.Seal.At.Format("2006-01-02 15:04:05"), d.Seal.Revision, d.Seal.Program)
	switch {
	case d.Found() == nil:
	case d.Recomputed == "":
		fmt.Fprintln(out, "this program can not compute the scheme any more: shown are the sealed numbers")
	default:
		fmt.Fprintln(out, "computed again it comes to", d.Recomputed+": shown are the sealed numbers")
	}
}

type assessExplainCmd struct {
	subject
	Figure string `arg:"" help:"Id of the figure, such as on_time:u=150105-d03:s=150105003."`
	Events bool   `help:"List the events of each case, without personal data."`
}

func (c assessExplainCmd) Run(ctx context.Context, s streams) error {
	return c.examine(ctx, s, func(e examiner, d api.Examined) error {
		f, found := d.Figure(c.Figure)
		if !found {
			return fmt.Errorf("there is no figure %q in this assessment; compute --format csv --sheet figures lists them", c.Figure)
		}
		def, _ := assessment.Define(f.Indicator)
		zh, en := def.Formula()
		fmt.Fprintf(s.out, "%s %s\n", f.Key, def.Zh)
		fmt.Fprintf(s.out, "%s = %s / %s  (%s / %s)\n", f.Printed, f.N, f.D, zh.N, zh.D)
		fmt.Fprintf(s.out, "%s / %s\n", en.N, en.D)
		sealedWith(s.out, d.Document)
		for _, it := range d.Scheme.Objective {
			if it.Indicator == f.Indicator {
				fmt.Fprintf(s.out, "in the scheme: %s, %s points\n", it.Shape, it.Points)
			}
		}
		if f.Before != "" {
			fmt.Fprintf(s.out, "before exclusions and objections: %s = %s / %s\n", f.Before, f.Raw.N, f.Raw.D)
		}
		for _, l := range f.Left {
			fmt.Fprintf(s.out, "left out: %s %d (%s %%)\n", l.Why, l.Count, l.Share)
		}
		cases, err := d.Open(c.Figure)
		if errors.Is(err, assessment.ErrNotComputed) { // there are the numbers only
			return nil
		}
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "\nCASE\tNUMBER\tVERDICT\tN\tD\tWHY")
		for _, x := range cases {
			verdict := "left out"
			if x.In {
				verdict = "in"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", x.Name, x.Number, verdict, x.N, x.D, x.Why)
			if !c.Events {
				continue
			}
			if err := w.Flush(); err != nil {
				return err
			}
			err := e.publications(ctx, x.Case.Stream, func(ev eventlog.Event, m event.Meta, _ event.Body) {
				if d.CutOff == 0 || int64(ev.Position) <= d.CutOff {
					fmt.Fprintf(s.out, "    %s  %s  %s  %s at %s\n", ev.Position, stamped(m.Recorded), ev.Type, m.Role, m.Unit)
				}
			})
			if err != nil {
				return err
			}
		}
		return w.Flush()
	})
}

type assessCompareCmd struct {
	subject
	With       string `help:"Another period." placeholder:"ID"`
	WithScheme string `name:"with-scheme" help:"Another scheme on the same facts, as JSON." type:"existingfile" placeholder:"FILE"`
}

func (c assessCompareCmd) Run(ctx context.Context, s streams) error {
	if (c.With == "") == (c.WithScheme == "") {
		return errors.New("say either --with or --with-scheme")
	}
	return c.examine(ctx, s, func(e examiner, d api.Examined) error {
		var other *assessment.Results
		if c.With != "" {
			if c.With == c.Period {
				return errors.New("--with is the period itself")
			}
			x, err := e.period(ctx, c.With, 0, 0)
			if err != nil {
				return err
			}
			if p, q := d.Results.Period, x.Results.Period; p.Jurisdiction != q.Jurisdiction {
				return fmt.Errorf("--with is a period of %s, and not of %s", q.Jurisdiction, p.Jurisdiction)
			} else if q.First < p.First { // the earlier one is before, whichever is named first
				d, x = x, d
			}
			other = x.Results
		} else {
			scheme, err := readScheme(c.WithScheme)
			if err != nil {
				return err
			}
			p := d.Results.Period
			if c.Period != "" {
				a, err := e.house.views.Views().Assess(ctx, projections.Question{Period: p.ID, AsOf: eventlog.Position(d.AsOf), CutOff: eventlog.Position(d.CutOff), Scheme: scheme})
				if err != nil {
					return err
				}
				return changed(s.out, d.Document, a.Results)
			}
			facts, err := e.house.views.Views().Facts(ctx, evidence.Scope{Jurisdiction: p.Jurisdiction, First: p.First, Last: p.Last, Base: p.Base}, eventlog.Position(d.CutOff))
			if err == nil {
				other, err = assessment.Compute(scheme, p, facts)
			}
			if err != nil {
				return err
			}
		}
		return changed(s.out, d.Document, other)
	})
}

// changed tells who rises and who falls from a result to another.
func changed(out io.Writer, d report.Document, other *assessment.Results) error {
	if d.Scheme.Name == "" || other.Scheme.Name == "" {
		return assessment.ErrNotComputed
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "UNIT\tBEFORE\tAFTER\tCHANGE\tRANK\tBECAUSE OF\tNAME")
	for _, x := range assessment.Compare(d.Results, other) {
		because := make([]string, 0, len(x.Causes)+len(x.Parts))
		for _, e := range x.Causes {
			because = append(because, fmt.Sprintf("%s %s", e.What, signed(e.By, d.Places)))
		}
		if len(x.Causes) == 0 {
			for _, p := range x.Parts {
				if by := p.After.Minus(p.Before); !by.IsZero() {
					because = append(because, fmt.Sprintf("%s %s", p.What, signed(by, d.Places)))
				}
			}
		}
		change := assessment.None
		if x.Change.Known {
			change = signed(x.Change.Fraction, d.Places)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Unit, shownScore(x.Before), shownScore(x.After), change, moved(x), strings.Join(because, ", "), x.Name)
	}
	return w.Flush()
}

func signed(f assessment.Fraction, places int) string {
	text := f.Print(places)
	if f.Compare(assessment.Of(0, 1)) > 0 {
		text = "+" + text
	}
	return text
}

// shownScore is the annual score, or where it is not known that of the streets.
func shownScore(s assessment.Standing) string {
	switch {
	case s.Annual.Known:
		return s.Printed[2]
	case s.Streets.Known:
		return s.Printed[0]
	}
	return assessment.None
}

func moved(c assessment.Comparison) string {
	if c.Before.Rank == 0 || c.After.Rank == 0 {
		return assessment.None
	}
	return fmt.Sprintf("%d to %d", c.Before.Rank, c.After.Rank)
}

type assessRevisionsCmd struct {
	where
	Data   string `required:"" help:"Data folder; no other process may have it open." type:"existingdir" placeholder:"DIR"`
	Period string `required:"" help:"Id of the period." placeholder:"ID"`
}

func (c assessRevisionsCmd) Run(ctx context.Context, s streams) (err error) {
	seals, err := sealsOf(ctx, c.where, c.Data, c.Period)
	if err != nil {
		return err
	}
	if len(seals) == 0 {
		fmt.Fprintln(s.out, "the period is not sealed")
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if len(seals) > 0 {
		fmt.Fprintln(w, "REVISION\tSEALED\tCAUSE\tCHANGED\tRESULTS\tPROGRAM\tREASON")
	}
	for _, x := range seals {
		cause, changed := assessment.None, assessment.None
		if x.Revision > 1 {
			cause, changed = x.Cause, strconv.Itoa(x.Changed)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Revision, x.At.Format("2006-01-02 15:04:05"), cause, changed, x.Results, x.Program, x.Reason)
	}
	return w.Flush()
}

// sealsOf reads from the log alone what a period was sealed with.
func sealsOf(ctx context.Context, at where, data, period string) (seals []report.Seal, err error) {
	id, err := stream.ParseID(period)
	if err != nil {
		return nil, fmt.Errorf("%q is no id of a period", period)
	}
	log, err := openLog(ctx, data, houseOptions{log: at.Log, existing: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	seals, err = (&api.Settler{Log: log}).Sealed(ctx, id)
	if errors.Is(err, api.ErrPeriod) {
		return nil, fmt.Errorf("the log knows no period %s", period)
	}
	return seals, err
}

type assessDiffCmd struct {
	home
	Data   string `required:"" help:"Data folder; no other process may have it open." type:"existingdir" placeholder:"DIR"`
	Period string `required:"" help:"Id of the period." placeholder:"ID"`
	From   *int   `help:"Revision to begin with: 1 is the seal (default: the one before --to)." placeholder:"N"`
	To     *int   `help:"Revision to compare with it (default: the last)." placeholder:"N"`
	Format string `default:"text" enum:"text,csv" help:"text or csv."`
	Out    string `help:"File to write (default: standard output)." type:"path" placeholder:"FILE"`
}

func (c assessDiffCmd) Run(ctx context.Context, s streams) error {
	from, to := 0, 0
	for n, given := range map[*int]*int{&from: c.From, &to: c.To} {
		if given == nil {
			continue
		}
		if *n = *given; *n < 1 {
			return errors.New("--from and --to count from 1, which is the seal")
		}
	}
	return subject{home: c.home, Data: c.Data, Period: c.Period, Edition: c.To}.examine(ctx, s, func(_ examiner, x api.Examined) error {
		changes, from, to, err := x.Changed(from, to)
		if errors.Is(err, api.ErrEditions) {
			return fmt.Errorf("period %s: there are no revisions %d and %d to compare; revisions lists what there is", c.Period, from, to)
		}
		if err != nil {
			return err
		}
		write := func(w io.Writer) error { return differ(w, changes) }
		if c.Format == "csv" {
			write = func(w io.Writer) error { return x.Differences(w, from, to, changes) }
		}
		if c.Out != "" {
			return written(c.Out, write)
		}
		return write(s.out)
	})
}

// differ tells what each number was and is.
func differ(out io.Writer, changes []period.Figure) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "UNIT\tSTREET\tNUMBER\tWAS\tIS")
	told := func(v period.Value) string {
		if v.D == "" || v.D == "1" {
			return v.Printed
		}
		return fmt.Sprintf("%s (%s / %s)", v.Printed, v.N, v.D)
	}
	for _, f := range changes {
		was, is := assessment.None, assessment.None
		if f.Was != nil {
			was = told(*f.Was)
		}
		if !f.Gone {
			is = told(period.Value{N: f.N, D: f.D, Printed: f.Printed})
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Unit, f.Street, f.Name, was, is)
	}
	return w.Flush()
}

type assessVerifyCmd struct {
	where
	Data   string `required:"" help:"Data folder." type:"existingdir" placeholder:"DIR"`
	Period string `help:"Id of the period; canonical results name their own." placeholder:"ID"`
	File   string `arg:"" help:"Canonical results or list of cohorts." type:"existingfile"`
}

// cohorts reports whether a file looks like a list of cohorts: each line is of an indicator and has five fields. One without any case is empty.
func cohorts(b []byte) bool {
	for line := range bytes.Lines(b) {
		fields := bytes.Split(bytes.TrimSuffix(line, []byte("\n")), []byte("|"))
		if _, known := assessment.Define(assessment.Indicator(fields[0])); !known || len(fields) != 5 {
			return false
		}
	}
	return true
}

// errNotSealed is told by exit status 1: the file is not what was sealed.
var errNotSealed = errors.New("this is not what was sealed")

func (c assessVerifyCmd) Run(ctx context.Context, s streams) (err error) {
	b, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	hash := hex.EncodeToString(sum[:])
	what, results := "list of cohorts", bytes.HasPrefix(b, []byte("gridcase-results/"))
	switch {
	case results:
		what = "results"
		for line := range strings.Lines(string(b)) {
			if fields := strings.Split(line, "|"); fields[0] == "period" && len(fields) > 1 {
				if c.Period != "" && c.Period != fields[1] {
					return fmt.Errorf("the file is of period %s, not of %s", fields[1], c.Period)
				}
				c.Period = fields[1]
				break
			}
		}
		if c.Period == "" {
			return fmt.Errorf("%s names no period, so it is cut off; say with --period what it should be of", c.File)
		}
	case !cohorts(b):
		return fmt.Errorf("%s is neither canonical results nor a list of cohorts, as compute --canonical and --cohort write them", c.File)
	case c.Period == "":
		return errors.New("a list of cohorts does not say of which period it is: say it with --period")
	}
	seals, err := sealsOf(ctx, c.where, c.Data, c.Period)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s, SHA-256 %s\n", what, hash)
	for _, seal := range slices.Backward(seals) {
		if results && seal.Results == hash || !results && seal.Cohort == hash {
			fmt.Fprintf(s.out, "sealed with revision %d on %s\n", seal.Revision, seal.At.Format("2006-01-02 15:04:05"))
			return nil
		}
	}
	for _, seal := range seals {
		want := seal.Cohort
		if results {
			want = seal.Results
		}
		fmt.Fprintf(s.out, "revision %d was sealed with %s\n", seal.Revision, want)
	}
	if len(seals) == 0 {
		fmt.Fprintln(s.out, "the period is not sealed")
	}
	return errNotSealed
}
