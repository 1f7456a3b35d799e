package calendar

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is a kind of time: what is counted, and whether the due is an instant or the end of a day.
type Kind string

// The kinds. Minutes and hours, service hours among them, are hour kinds: due is an instant. The others are
// day kinds: the day of the start is not counted and due is the end of the last counted day.
const (
	NaturalMinutes Kind = "natural_minutes"
	NaturalHours   Kind = "natural_hours"
	ServiceHours   Kind = "service_hours" // only inside the service windows of working days
	NaturalDays    Kind = "natural_days"
	WorkingDays    Kind = "working_days" // a start on a day off counts like any other start
	NamedDate      Kind = "date"         // a date somebody named; the amount is the natural days up to it
)

// seconds returns the length of one unit of an hour kind and 0 for a day kind.
func (k Kind) seconds() int {
	switch k {
	case NaturalMinutes:
		return 60
	case NaturalHours, ServiceHours:
		return 60 * 60
	}
	return 0
}

// ofHours reports whether k is an hour kind.
func (k Kind) ofHours() bool { return k.seconds() > 0 }

// usesCalendar reports whether days off matter to a count of k.
func (k Kind) usesCalendar() bool { return k == WorkingDays || k == ServiceHours }

// MaxAmount bounds an amount, whatever its kind: 10 000 minutes are a week, 10 000 working days forty years.
const MaxAmount = 10_000

// Amount is a length of time in a kind, 1..[MaxAmount] of it.
// Its text form, in JSON too, is "3 working_days".
type Amount struct {
	N    int
	Kind Kind
}

// String returns the text form.
func (a Amount) String() string { return strconv.Itoa(a.N) + " " + string(a.Kind) }

// MarshalText writes the text form.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the text form. It refuses what no policy could hold: another kind, more than [MaxAmount]. Where
// none is meant, as for a wait that nobody asks for, the number is 0.
func (a *Amount) UnmarshalText(b []byte) error {
	n, kind, _ := strings.Cut(string(b), " ")
	number, err := strconv.Atoi(n)
	if err != nil || strconv.Itoa(number) != n {
		return fmt.Errorf("amount %q: want a number and a kind such as %q", b, Amount{3, WorkingDays})
	}
	got := Amount{number, Kind(kind)}
	if err := got.check(0); err != nil {
		return err
	}
	*a = got
	return nil
}

func (a Amount) check(least int) error {
	switch a.Kind {
	case NaturalMinutes, NaturalHours, ServiceHours, NaturalDays, WorkingDays:
	default:
		return fmt.Errorf("amount %q: no such kind of time", a)
	}
	if a.N < least || a.N > MaxAmount {
		return fmt.Errorf("amount %q: want %d to %d", a, least, MaxAmount)
	}
	return nil
}

// Clock is a statutory clock: a step somebody owes by a due instant. The names are stored and never change.
type Clock string

// The clocks, by what they run on.
const (
	// on a demand
	Accept    Clock = "accept"     // raised → accepted
	Triage    Clock = "triage"     // accepted → topic or handling
	TopicNews Clock = "topic_news" // restarted by each note about the topic
	Promise   Clock = "promise"    // in handling → answered; never paused, never extended
	Callback  Clock = "callback"   // answered → first callback attempt

	// on a topic
	Open        Clock = "open"
	Deliberate  Clock = "deliberate"
	Handover    Clock = "handover"
	Conclude    Clock = "conclude"
	MeetingWait Clock = "notice" // a minimum wait: publication → meeting
	TopicReview Clock = "topic_review"
	VoteCount   Clock = "vote_count" // the vote closed → its count is recorded; ours

	// on an order
	Sign              Clock = "sign"
	Contact           Clock = "contact"
	Handle            Clock = "handle"
	Return            Clock = "return" // a window, from dispatch
	ReturnDecision    Clock = "return_decision"
	Redispatch        Clock = "redispatch"
	SuspensionReview  Clock = "suspension_review"
	Verify            Clock = "verify"
	Rework            Clock = "rework" // handle in rounds ≥ 2
	ExtensionDecision Clock = "extension_decision"
	Supervision       Clock = "supervision"

	// on a whistle; the class, urgent or normal, stands where urgency does elsewhere
	ReportIn Clock = "report_in"
	Score    Clock = "score"

	// on an admission
	Admission Clock = "admission"
	Expiry    Clock = "expiry"

	// on a dispute
	Refer  Clock = "refer"
	Rung   Clock = "rung"
	Fulfil Clock = "fulfil"

	// on an assessment period
	Evaluation        Clock = "evaluation"
	Objection         Clock = "objection"
	ObjectionDecision Clock = "objection_decision"
)

// clocks lists them all, as above.
var clocks = []Clock{
	Accept, Triage, TopicNews, Promise, Callback,
	Open, Deliberate, Handover, Conclude, MeetingWait, TopicReview, VoteCount,
	Sign, Contact, Handle, Return, ReturnDecision, Redispatch, SuspensionReview, Verify, Rework, ExtensionDecision, Supervision,
	ReportIn, Score, Admission, Expiry, Refer, Rung, Fulfil, Evaluation, Objection, ObjectionDecision,
}

// exists reports whether c is one of the clocks.
func (c Clock) exists() bool { return slices.Contains(clocks, c) }

// Clocks returns every clock, those of one aggregate together.
func Clocks() []Clock { return slices.Clone(clocks) }

// Dated reports whether c only ever runs to a named date ([Rules.Until]) and so has no amount in a policy.
func (c Clock) Dated() bool {
	switch c {
	case TopicReview, VoteCount, SuspensionReview, Expiry, Fulfil:
		return true
	}
	return false
}

// like returns the clock whose amount c takes where the policy has none of its own for it.
func (c Clock) like() Clock {
	switch c {
	case Promise, Rework:
		return Handle
	}
	return ""
}

// pauses reports whether suspension and verification freeze c (O10–O14).
func (c Clock) pauses() bool { return c == Handle || c == Rework }

// extends reports whether c may be extended. A mediation (rung) may, by consent of both parties.
func (c Clock) extends() bool { return c == Handle || c == Rework || c == Rung }

// Any stands for every kind of demand, or every urgency, in a [Row].
const Any = "*"

// Row gives a clock its amount for one kind of demand and one urgency.
type Row struct {
	Clock   Clock  `json:"clock"`
	Kind    string `json:"kind"`    // kind of the demand, or [Any]
	Urgency string `json:"urgency"` // A–D, for report_in urgent or normal, or [Any]
	Amount  Amount `json:"amount"`
}

// Window is a span in which something may still be done, or still counts, whatever the urgency. The window
// for returning an order depends on it and is the clock [Return].
type Window string

// The windows.
const (
	LateEntry        Window = "late_entry"        // occurred → recorded, for a demand entered late (D1)
	OfflineWindow    Window = "offline_window"    // occurred → recorded, for the time that counts (I18); minutes or hours
	LateWindow       Window = "late_window"       // end of a period → its cut-off (Q2)
	Appeal           Window = "appeal"            // declined → appeal (D20)
	AppealDecision   Window = "appeal_decision"   // appeal → decision
	CallbackAttempts Window = "callback_attempts" // answered → waiver for want of an answer (D18)
	Reopen           Window = "reopen"            // closed → reopened (D19)
	Rerate           Window = "rerate"            // closed → a changed grade
)

// Windows returns every window, in the order in which they are written down.
func Windows() []Window { return slices.Clone(windows) }

var windows = []Window{LateEntry, OfflineWindow, LateWindow, Appeal, AppealDecision, CallbackAttempts, Reopen, Rerate}

// Cap bounds how far ahead a person may set a date, or how much may be added, in natural days.
type Cap string

// The caps.
const (
	SuspensionCap    Cap = "suspension_review" // review date of a suspended order
	TopicReviewCap   Cap = "topic_review"      // review date of a deferred topic
	TargetDateCap    Cap = "target_date"       // target date of an order item of a topic
	RungExtensionCap Cap = "rung_extension"    // what mediation may be extended by
)

// Caps returns every cap, in the order in which they are written down.
func Caps() []Cap { return slices.Clone(caps) }

var caps = []Cap{SuspensionCap, TopicReviewCap, TargetDateCap, RungExtensionCap}

// Segment is a stretch of service time on a working day. Counting runs from Open up to Close.
type Segment struct {
	Open  TimeOfDay `json:"open"`
	Close TimeOfDay `json:"close"`
}

// HandleTable says which table limits handling.
type HandleTable string

// The tables.
const (
	ByUrgency HandleTable = "by_urgency" // the rows of the policy
	ByKind    HandleTable = "by_kind"    // the policy's handle_by_kind instead
)

// Missing says what a count over unsettled dates does.
type Missing string

// The choices.
const (
	Provisional     Missing = "provisional" // Monday to Friday, and the due says it is provisional
	RefuseUncertain Missing = "error"       // [ErrUnknownYear]
)

// Settling says which due stands when the notice a provisional one waited for has arrived.
type Settling string

// The choices.
const (
	LaterOfTwo Settling = "later_of_two" // nobody loses a day they were told they had
	Recomputed Settling = "recomputed"
)

// Roll says what becomes of a due in natural days that falls on a day off.
type Roll string

// The choices.
const (
	NoRoll         Roll = "none"
	NextWorkingDay Roll = "next_working_day"
)

// DayEnd says when the last counted day of a day kind ends.
type DayEnd string

// The choices.
const (
	Midnight     DayEnd = "23:59:59"
	EndOfService DayEnd = "end_of_service" // the last closing time, on a day off too
)

// Policy holds the amounts, windows and caps in force. It is named and versioned; a due instant records
// both, and a new version changes no due instant already recorded (I3).
type Policy struct {
	Name         string            `json:"name"`
	Version      int               `json:"version"` // ≥ 1
	Rows         []Row             `json:"rows"`
	HandleTable  HandleTable       `json:"handle_table"`
	HandleByKind []Row             `json:"handle_by_kind"` // rows of handle, in force when handle_table is by_kind
	Windows      map[Window]Amount `json:"windows"`
	Caps         map[Cap]int       `json:"caps"`     // natural days, 1..MaxAmount
	Attempts     int               `json:"attempts"` // failed callback attempts within callback_attempts that waive it (D18), ≥ 1
	Service      []Segment         `json:"service"`  // ascending, apart
	Missing      Missing           `json:"missing"`
	Settle       Settling          `json:"settle"`
	NaturalRoll  Roll              `json:"natural_roll"`
	DayEnd       DayEnd            `json:"day_end"`
}

// DefaultPolicy returns the policy "deadline" version 1: the amounts a street office starts from. The caller
// may change what it gets and publish that as its own version.
func DefaultPolicy() *Policy {
	var rows []Row
	put := func(c Clock, urgencies string, n int, k Kind) {
		for _, u := range strings.Fields(urgencies) {
			rows = append(rows, Row{c, Any, u, Amount{n, k}})
		}
	}
	put(Accept, Any, 1, WorkingDays)
	put(Triage, Any, 3, WorkingDays)
	put(TopicNews, Any, 30, NaturalDays)
	rows = append(rows, Row{Promise, "dispute", Any, Amount{60, NaturalDays}})
	put(Callback, Any, 1, WorkingDays)

	put(Open, Any, 10, WorkingDays)
	put(Deliberate, Any, 30, NaturalDays)
	put(Handover, Any, 5, WorkingDays)
	put(Conclude, Any, 10, WorkingDays)
	put(MeetingWait, Any, 3, NaturalDays)

	put(Sign, "A", 15, NaturalMinutes)
	put(Sign, "B", 1, NaturalHours)
	put(Sign, "C D", 2, ServiceHours)
	put(Contact, "A", 30, NaturalMinutes)
	put(Contact, "B", 4, NaturalHours)
	put(Contact, "C D", 24, NaturalHours)
	put(Handle, "A", 2, NaturalHours)
	put(Handle, "B", 24, NaturalHours)
	put(Handle, "C", 7, NaturalDays)
	put(Handle, "D", 15, NaturalDays)
	put(Return, "A", 30, NaturalMinutes)
	put(Return, "B", 2, NaturalHours)
	put(Return, "C D", 1, WorkingDays)
	put(ReturnDecision, "A B", 2, NaturalHours)
	put(ReturnDecision, "C D", 1, WorkingDays)
	put(Redispatch, "A B", 1, NaturalHours)
	put(Redispatch, "C D", 4, ServiceHours)
	put(Verify, "A B", 24, NaturalHours)
	put(Verify, "C D", 2, WorkingDays)
	put(Rework, "C D", 15, WorkingDays)
	put(ExtensionDecision, Any, 1, WorkingDays)
	put(Supervision, Any, 3, WorkingDays)

	put(ReportIn, "urgent", 30, NaturalMinutes)
	put(ReportIn, "normal", 24, NaturalHours)
	put(Score, Any, 3, WorkingDays)
	put(Admission, Any, 15, WorkingDays)
	put(Refer, Any, 3, WorkingDays)
	put(Rung, Any, 30, NaturalDays)
	put(Evaluation, Any, 10, WorkingDays)
	put(Objection, Any, 5, WorkingDays)
	put(ObjectionDecision, Any, 5, WorkingDays)

	return &Policy{
		Name:        "deadline",
		Version:     1,
		Rows:        rows,
		HandleTable: ByUrgency,
		HandleByKind: []Row{
			{Handle, "consult", Any, Amount{1, WorkingDays}},
			{Handle, "errand", Any, Amount{3, WorkingDays}},
			{Handle, "suggestion", Any, Amount{5, WorkingDays}},
			{Handle, "issue", Any, Amount{10, WorkingDays}},
			{Handle, "report", Any, Amount{10, WorkingDays}},
		},
		Windows: map[Window]Amount{
			LateEntry:        {30, NaturalDays},
			OfflineWindow:    {24, NaturalHours},
			LateWindow:       {24, NaturalHours},
			Appeal:           {15, NaturalDays},
			AppealDecision:   {5, WorkingDays},
			CallbackAttempts: {7, NaturalDays},
			Reopen:           {30, NaturalDays},
			Rerate:           {7, NaturalDays},
		},
		Caps: map[Cap]int{
			SuspensionCap:    90,
			TopicReviewCap:   180,
			TargetDateCap:    180,
			RungExtensionCap: 15,
		},
		Attempts:    3,
		Service:     []Segment{{8*60 + 30, 12 * 60}, {14*60 + 30, 17*60 + 30}},
		Missing:     Provisional,
		Settle:      LaterOfTwo,
		NaturalRoll: NoRoll,
		DayEnd:      Midnight,
	}
}

// ErrNoAmount: the policy gives the clock no amount for that kind and urgency.
var ErrNoAmount = errors.New("no amount in the policy")

// Amount returns what the policy gives a clock: of the rows that fit, the one that names the kind, then the
// one that names the urgency. A promise and a rework without a fitting row take the amount of handle.
// It returns [ErrNoAmount] if no row fits. The cost is one pass over the rows.
func (p *Policy) Amount(c Clock, kind, urgency string) (Amount, error) {
	for try := c; try != ""; try = try.like() {
		rows := p.Rows
		if try == Handle && p.HandleTable == ByKind {
			rows = p.HandleByKind
		}
		if r, fits := mostSpecific(rows, try, kind, urgency); fits {
			return r.Amount, nil
		}
	}
	return Amount{}, fmt.Errorf("%w: clock %q, kind %q, urgency %q, policy %s version %d", ErrNoAmount, c, kind, urgency, p.Name, p.Version)
}

func mostSpecific(rows []Row, c Clock, kind, urgency string) (row Row, fits bool) {
	best := -1
	for i := range rows {
		r := &rows[i]
		if r.Clock != c || r.Kind != kind && r.Kind != Any || r.Urgency != urgency && r.Urgency != Any {
			continue
		}
		rank := 0
		if r.Kind != Any {
			rank += 2
		}
		if r.Urgency != Any {
			rank++
		}
		if rank > best {
			best, row = rank, *r
		}
	}
	return row, best >= 0
}

// Row returns the row that gave a recorded due instant its amount, for a demand of that kind and urgency. It is false
// for a named date, which no row gives, and where what the row says is not what was recorded: the kind or urgency was
// another one then.
func (p *Policy) Row(d Due, kind, urgency string) (Row, bool) {
	tries := []Clock{d.Clock, d.Clock.like()}
	if d.Clock == Promise { // after a callback sent it back it has what rework has (D16)
		tries = append(tries, Rework)
	}
	for _, c := range tries {
		rows := p.Rows
		if c == Handle && p.HandleTable == ByKind {
			rows = p.HandleByKind
		}
		if r, fits := mostSpecific(rows, c, kind, urgency); fits && r.Amount == (Amount{d.Amount, d.Kind}) {
			return r, true
		}
	}
	return Row{}, false
}

// Offline returns the offline window as a duration (I18).
func (p *Policy) Offline() time.Duration {
	a := p.Windows[OfflineWindow]
	return time.Duration(a.N*a.Kind.seconds()) * time.Second
}

// ErrPolicy: the policy cannot be put in force.
var ErrPolicy = errors.New("bad deadline policy")

// Validate checks that the policy can be put in force: every clock without a named date answers for every
// urgency, every window and cap is given, nothing is given twice, and no name is unknown. It returns
// [ErrPolicy] with every fault found, in a fixed order. [Rules] count on a policy that passed.
func (p *Policy) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if p.Name == "" {
		fault("no name")
	}
	if p.Version < 1 {
		fault("version %d: want 1 or more", p.Version)
	}
	checkRows("row", p.Rows, fault)
	checkRows("handle_by_kind", p.HandleByKind, fault)
	for i, r := range p.HandleByKind {
		if r.Clock != Handle {
			fault("handle_by_kind %d: clock %q: want %q", i+1, r.Clock, Handle)
		}
	}
	switch p.HandleTable {
	case ByUrgency:
	case ByKind:
		if len(p.HandleByKind) == 0 {
			fault("handle_table %q: handle_by_kind has no rows", p.HandleTable)
		}
	default:
		fault("handle_table %q: want %q or %q", p.HandleTable, ByUrgency, ByKind)
	}
	p.checkComplete(fault)
	p.checkWindows(fault)
	if p.Attempts < 1 {
		fault("attempts %d: want 1 or more", p.Attempts)
	}
	checkService(p.Service, fault)
	p.checkLong(fault)
	if p.Missing != Provisional && p.Missing != RefuseUncertain {
		fault("missing %q: want %q or %q", p.Missing, Provisional, RefuseUncertain)
	}
	if p.Settle != LaterOfTwo && p.Settle != Recomputed {
		fault("settle %q: want %q or %q", p.Settle, LaterOfTwo, Recomputed)
	}
	if p.NaturalRoll != NoRoll && p.NaturalRoll != NextWorkingDay {
		fault("natural_roll %q: want %q or %q", p.NaturalRoll, NoRoll, NextWorkingDay)
	}
	if p.DayEnd != Midnight && p.DayEnd != EndOfService {
		fault("day_end %q: want %q or %q", p.DayEnd, Midnight, EndOfService)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrPolicy, errors.Join(faults...))
	}
	return nil
}

func checkRows(list string, rows []Row, fault func(string, ...any)) {
	type key struct {
		clock         Clock
		kind, urgency string
	}
	seen := map[key]int{}
	for i, r := range rows {
		k := key{r.Clock, r.Kind, r.Urgency}
		switch {
		case !r.Clock.exists():
			fault("%s %d: no such clock %q", list, i+1, r.Clock)
		case r.Clock.Dated():
			fault("%s %d: clock %q runs to a named date and has no amount", list, i+1, r.Clock)
		case r.Kind == "" || r.Urgency == "":
			fault("%s %d: kind %q, urgency %q: want a word or %q", list, i+1, r.Kind, r.Urgency, Any)
		case seen[k] > 0:
			fault("%s %d: the same key as %s %d: %s, %s, %s", list, i+1, list, seen[k], r.Clock, r.Kind, r.Urgency)
		}
		if seen[k] == 0 {
			seen[k] = i + 1
		}
		least := 1
		if r.Clock == MeetingWait { // a policy may ask for no wait
			least = 0
		}
		if err := r.Amount.check(least); err != nil {
			fault("%s %d: clock %q: %w", list, i+1, r.Clock, err)
		}
	}
}

// checkComplete finds clocks that would have no amount when they are started. With limits by kind, handle is
// left out: which kinds reach an order is not for a policy to know, and [Rules.Start] refuses the others.
func (p *Policy) checkComplete(fault func(string, ...any)) {
	for _, c := range clocks {
		if c.Dated() || p.HandleTable == ByKind && (c == Handle || c.like() == Handle) {
			continue
		}
		urgencies := []string{"A", "B", "C", "D"}
		if c == ReportIn {
			urgencies = []string{"urgent", "normal"}
		}
		for _, u := range urgencies {
			if _, err := p.Amount(c, Any, u); err != nil {
				fault("clock %q has no amount for urgency %s", c, u)
			}
		}
	}
}

func (p *Policy) checkWindows(fault func(string, ...any)) {
	for _, w := range windows {
		a, given := p.Windows[w]
		if !given {
			fault("window %q is missing", w)
		} else if err := a.check(1); err != nil {
			fault("window %q: %w", w, err)
		} else if w == OfflineWindow && a.Kind != NaturalMinutes && a.Kind != NaturalHours {
			fault("window %q: %q: want natural minutes or hours", w, a)
		}
	}
	for _, w := range slices.Sorted(maps.Keys(p.Windows)) {
		if !slices.Contains(windows, w) {
			fault("no such window %q", w)
		}
	}
	for _, c := range caps {
		if n, given := p.Caps[c]; !given {
			fault("cap %q is missing", c)
		} else if n < 1 || n > MaxAmount {
			fault("cap %q: %d: want 1 to %d natural days", c, n, MaxAmount)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(p.Caps)) {
		if !slices.Contains(caps, c) {
			fault("no such cap %q", c)
		}
	}
}

// checkLong finds service hours that would take more than [MaxAmount] working days to pass: each due instant lists the
// days that it skipped, and the log has no room for the days off of centuries.
func (p *Policy) checkLong(fault func(string, ...any)) {
	day := 0
	for _, s := range p.Service {
		day += max(s.Close.seconds()-s.Open.seconds(), 0)
	}
	long := func(a Amount) bool { return day > 0 && a.Kind == ServiceHours && a.base() > MaxAmount*day }
	for i, r := range p.Rows {
		if long(r.Amount) {
			fault("row %d: clock %q: %s take more than %d days of service", i+1, r.Clock, r.Amount, MaxAmount)
		}
	}
	for i, r := range p.HandleByKind {
		if long(r.Amount) {
			fault("handle_by_kind %d: %s take more than %d days of service", i+1, r.Amount, MaxAmount)
		}
	}
	for _, w := range windows {
		if long(p.Windows[w]) {
			fault("window %q: %s take more than %d days of service", w, p.Windows[w], MaxAmount)
		}
	}
}

func checkService(service []Segment, fault func(string, ...any)) {
	if len(service) == 0 {
		fault("no service windows")
	}
	closed := TimeOfDay(-1)
	for i, s := range service {
		if s.Open <= closed || s.Close <= s.Open || s.Close > 24*60 {
			fault("service %d: %s–%s: want windows of a day, ascending and apart", i+1, s.Open, s.Close)
		}
		closed = s.Close
	}
}
