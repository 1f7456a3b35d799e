package calendar_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"gridcase/domain/calendar"
)

// roundTrip writes v, compares the text and reads it back.
func roundTrip[T any](t *testing.T, v T, want string) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	var back T
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, v) {
		t.Errorf("read back: got %+v, want %+v", back, v)
	}
}

func TestDefaultAmounts(t *testing.T) {
	p := calendar.DefaultPolicy()
	for _, tc := range []struct {
		clock         calendar.Clock
		kind, urgency string
		want          string
	}{
		{calendar.Accept, "", "", "1 working_days"},
		{calendar.Triage, "issue", "A", "3 working_days"},
		{calendar.TopicNews, "issue", "C", "30 natural_days"},
		{calendar.Promise, "dispute", "", "60 natural_days"},
		{calendar.Promise, "dispute", "A", "60 natural_days"},
		{calendar.Promise, "issue", "A", "2 natural_hours"},
		{calendar.Promise, "errand", "D", "15 natural_days"},
		{calendar.Callback, "", "", "1 working_days"},
		{calendar.Open, "", "", "10 working_days"},
		{calendar.Deliberate, "", "", "30 natural_days"},
		{calendar.Handover, "", "", "5 working_days"},
		{calendar.Conclude, "", "", "10 working_days"},
		{calendar.MeetingWait, "", "", "3 natural_days"},
		{calendar.Sign, "issue", "A", "15 natural_minutes"},
		{calendar.Sign, "issue", "B", "1 natural_hours"},
		{calendar.Sign, "issue", "C", "2 service_hours"},
		{calendar.Sign, "issue", "D", "2 service_hours"},
		{calendar.Contact, "issue", "A", "30 natural_minutes"},
		{calendar.Contact, "issue", "B", "4 natural_hours"},
		{calendar.Contact, "issue", "C", "24 natural_hours"},
		{calendar.Contact, "issue", "D", "24 natural_hours"},
		{calendar.Handle, "issue", "A", "2 natural_hours"},
		{calendar.Handle, "issue", "B", "24 natural_hours"},
		{calendar.Handle, "issue", "C", "7 natural_days"},
		{calendar.Handle, "issue", "D", "15 natural_days"},
		{calendar.Return, "issue", "A", "30 natural_minutes"},
		{calendar.Return, "issue", "B", "2 natural_hours"},
		{calendar.Return, "issue", "C", "1 working_days"},
		{calendar.Return, "issue", "D", "1 working_days"},
		{calendar.ReturnDecision, "issue", "A", "2 natural_hours"},
		{calendar.ReturnDecision, "issue", "B", "2 natural_hours"},
		{calendar.ReturnDecision, "issue", "C", "1 working_days"},
		{calendar.Redispatch, "issue", "A", "1 natural_hours"},
		{calendar.Redispatch, "issue", "B", "1 natural_hours"},
		{calendar.Redispatch, "issue", "D", "4 service_hours"},
		{calendar.Verify, "issue", "B", "24 natural_hours"},
		{calendar.Verify, "issue", "C", "2 working_days"},
		{calendar.Rework, "issue", "A", "2 natural_hours"},
		{calendar.Rework, "issue", "B", "24 natural_hours"},
		{calendar.Rework, "issue", "C", "15 working_days"},
		{calendar.Rework, "issue", "D", "15 working_days"},
		{calendar.ReportIn, "", "urgent", "30 natural_minutes"},
		{calendar.ReportIn, "", "normal", "24 natural_hours"},
		{calendar.Score, "", "", "3 working_days"},
		{calendar.Supervision, "", "", "3 working_days"},
		{calendar.Refer, "", "", "3 working_days"},
		{calendar.Admission, "", "", "15 working_days"},
		{calendar.Rung, "", "", "30 natural_days"},
		{calendar.ExtensionDecision, "", "", "1 working_days"},
		{calendar.Evaluation, "", "", "10 working_days"},
		{calendar.Objection, "", "", "5 working_days"},
		{calendar.ObjectionDecision, "", "", "5 working_days"},
	} {
		got, err := p.Amount(tc.clock, tc.kind, tc.urgency)
		if err != nil || got.String() != tc.want {
			t.Errorf("%s for kind %q, urgency %q: got %s, %v, want %s", tc.clock, tc.kind, tc.urgency, got, err, tc.want)
		}
	}
	for _, tc := range []struct {
		clock   calendar.Clock
		urgency string
	}{{calendar.Handle, ""}, {calendar.ReportIn, "A"}, {calendar.TopicReview, "A"}, {calendar.SuspensionReview, "C"}, {calendar.Expiry, ""}, {calendar.Fulfil, ""}, {"handel", "A"}} {
		if got, err := p.Amount(tc.clock, "issue", tc.urgency); !errors.Is(err, calendar.ErrNoAmount) {
			t.Errorf("%s for urgency %q: got %s, %v, want ErrNoAmount", tc.clock, tc.urgency, got, err)
		}
	}
}

func TestTheTableByKindReplacesUrgency(t *testing.T) {
	p := calendar.DefaultPolicy()
	p.HandleTable = calendar.ByKind
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]int{"consult": 1, "errand": 3, "suggestion": 5, "issue": 10, "report": 10} {
		for _, c := range []calendar.Clock{calendar.Handle, calendar.Promise} {
			if got, err := p.Amount(c, kind, "A"); err != nil || got != (calendar.Amount{N: want, Kind: calendar.WorkingDays}) {
				t.Errorf("%s of %s: got %s, %v, want %d working days", c, kind, got, err, want)
			}
		}
	}
	if got, err := p.Amount(calendar.Handle, "dispute", "A"); !errors.Is(err, calendar.ErrNoAmount) {
		t.Errorf("handle of dispute: got %s, %v, want ErrNoAmount", got, err)
	}
	if got, err := p.Amount(calendar.Promise, "dispute", "A"); err != nil || got.N != 60 {
		t.Errorf("promise of dispute: got %s, %v, want 60 natural days", got, err)
	}
}

func TestTheMostSpecificRowWinsFirstByKindThenByUrgency(t *testing.T) {
	row := func(kind, urgency string, n int) calendar.Row {
		return calendar.Row{Clock: calendar.Triage, Kind: kind, Urgency: urgency, Amount: calendar.Amount{N: n, Kind: calendar.WorkingDays}}
	}
	rows := []calendar.Row{row("*", "*", 1), row("*", "A", 2), row("issue", "*", 3), row("issue", "A", 4)}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}} {
		p := &calendar.Policy{}
		for _, i := range order {
			p.Rows = append(p.Rows, rows[i])
		}
		for _, tc := range []struct {
			kind, urgency string
			want          int
		}{{"issue", "A", 4}, {"issue", "B", 3}, {"errand", "A", 2}, {"errand", "B", 1}, {"", "", 1}} {
			if got, err := p.Amount(calendar.Triage, tc.kind, tc.urgency); err != nil || got.N != tc.want {
				t.Errorf("rows in order %v, kind %q, urgency %q: got %s, %v, want %d", order, tc.kind, tc.urgency, got, err, tc.want)
			}
		}
	}
	for _, order := range [][]int{{1, 2}, {2, 1}} {
		p := &calendar.Policy{Rows: []calendar.Row{rows[order[0]], rows[order[1]]}}
		if got, err := p.Amount(calendar.Triage, "issue", "A"); err != nil || got.N != 3 {
			t.Errorf("rows in order %v: got %s, %v, want the row that names the kind", order, got, err)
		}
	}
}

func TestEveryClockIsStartedOrRunsToANamedDate(t *testing.T) {
	p := calendar.DefaultPolicy()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := len(calendar.Clocks()); got != 33 {
		t.Errorf("got %d clocks, want the 32 of the rule book, and that of a vote", got)
	}
	for _, c := range calendar.Clocks() {
		urgency := "C"
		if c == calendar.ReportIn {
			urgency = "normal"
		}
		d, err := china().Start("x", c, "issue", urgency, local(t, "2026-03-03 10:00"))
		if c.Dated() {
			if !errors.Is(err, calendar.ErrNoAmount) {
				t.Errorf("start %s: got %v, want ErrNoAmount", c, err)
			}
			d, err = china().Until("x", c, local(t, "2026-03-03 10:00"), date(t, "2026-05-01"))
		}
		if err != nil || d.Clock != c {
			t.Errorf("%s: got %+v, %v", c, d, err)
		}
	}
}

func TestAPolicyIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(*calendar.Policy)
		want  string
	}{
		"unknown clock": {func(p *calendar.Policy) { p.Rows[0].Clock = "acept" }, `no such clock "acept"`},
		"service of centuries": {func(p *calendar.Policy) {
			p.Service = []calendar.Segment{{Open: 8 * 60, Close: 8*60 + 1}}
			p.Rows[0].Amount = calendar.Amount{N: 10000, Kind: calendar.ServiceHours}
		}, "row 1: clock \"accept\": 10000 service_hours take more than 10000 days of service"},
		"negative amount":         {func(p *calendar.Policy) { p.Rows[0].Amount.N = -1 }, "want 1 to 10000"},
		"zero amount":             {func(p *calendar.Policy) { p.Rows[0].Amount.N = 0 }, "want 1 to 10000"},
		"huge amount":             {func(p *calendar.Policy) { p.Rows[0].Amount.N = 10_001 }, "want 1 to 10000"},
		"unknown kind of time":    {func(p *calendar.Policy) { p.Rows[0].Amount.Kind = "moons" }, "no such kind of time"},
		"named date as amount":    {func(p *calendar.Policy) { p.Rows[0].Amount.Kind = calendar.NamedDate }, "no such kind of time"},
		"duplicate row":           {func(p *calendar.Policy) { p.Rows = append(p.Rows, p.Rows[0]) }, "the same key as row 1"},
		"row without urgency":     {func(p *calendar.Policy) { p.Rows[0].Urgency = "" }, `want a word or "*"`},
		"clock without amount":    {func(p *calendar.Policy) { p.Rows = p.Rows[1:] }, `clock "accept" has no amount for urgency A`},
		"one urgency without":     {func(p *calendar.Policy) { dropRow(p, calendar.Sign, "B") }, `clock "sign" has no amount for urgency B`},
		"whistle class without":   {func(p *calendar.Policy) { dropRow(p, calendar.ReportIn, "normal") }, `clock "report_in" has no amount for urgency normal`},
		"amount for a named date": {func(p *calendar.Policy) { p.Rows[0].Clock = calendar.Fulfil }, "runs to a named date"},
		"by kind without rows":    {func(p *calendar.Policy) { p.HandleTable, p.HandleByKind = calendar.ByKind, nil }, "handle_by_kind has no rows"},
		"by kind for another":     {func(p *calendar.Policy) { p.HandleByKind[0].Clock = calendar.Sign }, `want "handle"`},
		"duplicate by kind":       {func(p *calendar.Policy) { p.HandleByKind = append(p.HandleByKind, p.HandleByKind[1]) }, "the same key as handle_by_kind 2"},
		"unknown table":           {func(p *calendar.Policy) { p.HandleTable = "by_colour" }, "by_colour"},
		"missing window":          {func(p *calendar.Policy) { delete(p.Windows, calendar.Reopen) }, `window "reopen" is missing`},
		"unknown window":          {func(p *calendar.Policy) { p.Windows["repoen"] = p.Windows[calendar.Reopen] }, `no such window "repoen"`},
		"negative window": {func(p *calendar.Policy) {
			p.Windows[calendar.Reopen] = calendar.Amount{N: -3, Kind: calendar.NaturalDays}
		}, `window "reopen"`},
		"offline window in days": {func(p *calendar.Policy) { p.Windows[calendar.OfflineWindow] = p.Windows[calendar.Reopen] }, "want natural minutes or hours"},
		"missing cap":            {func(p *calendar.Policy) { delete(p.Caps, calendar.TargetDateCap) }, `cap "target_date" is missing`},
		"negative cap":           {func(p *calendar.Policy) { p.Caps[calendar.TargetDateCap] = -1 }, `cap "target_date": -1`},
		"unknown cap":            {func(p *calendar.Policy) { p.Caps["sky"] = 1 }, `no such cap "sky"`},
		"no service":             {func(p *calendar.Policy) { p.Service = nil }, "no service windows"},
		"closed before open":     {func(p *calendar.Policy) { p.Service[0].Close = p.Service[0].Open }, "service 1"},
		"service windows touch":  {func(p *calendar.Policy) { p.Service[1].Open = p.Service[0].Close }, "service 2"},
		"service after midnight": {func(p *calendar.Policy) { p.Service[1].Close = 24*60 + 1 }, "service 2"},
		"no name":                {func(p *calendar.Policy) { p.Name = "" }, "no name"},
		"version zero":           {func(p *calendar.Policy) { p.Version = 0 }, "version 0"},
		"no attempts":            {func(p *calendar.Policy) { p.Attempts = 0 }, "attempts 0"},
		"missing":                {func(p *calendar.Policy) { p.Missing = "guess" }, "guess"},
		"settle":                 {func(p *calendar.Policy) { p.Settle = "" }, "settle"},
		"roll":                   {func(p *calendar.Policy) { p.NaturalRoll = "back" }, "back"},
		"day end":                {func(p *calendar.Policy) { p.DayEnd = "24:00" }, "24:00"},
	} {
		t.Run(name, func(t *testing.T) {
			p := calendar.DefaultPolicy()
			tc.spoil(p)
			err := p.Validate()
			if !errors.Is(err, calendar.ErrPolicy) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ErrPolicy with %q", err, tc.want)
			}
		})
	}
}

func dropRow(p *calendar.Policy, c calendar.Clock, urgency string) {
	for i, r := range p.Rows {
		if r.Clock == c && strings.Contains(r.Urgency, urgency) {
			p.Rows = append(p.Rows[:i], p.Rows[i+1:]...)
			return
		}
	}
}

func TestDefaultPoliciesAreApart(t *testing.T) {
	mine := calendar.DefaultPolicy()
	mine.Rows[0].Amount.N = 99
	mine.Windows[calendar.Appeal] = calendar.Amount{N: 99, Kind: calendar.NaturalDays}
	mine.Caps[calendar.TargetDateCap] = 99
	mine.Service[0].Open = 0
	fresh := calendar.DefaultPolicy()
	if fresh.Rows[0].Amount.N == 99 || fresh.Windows[calendar.Appeal].N == 99 || fresh.Caps[calendar.TargetDateCap] == 99 || fresh.Service[0].Open == 0 {
		t.Error("changing one default policy changed the next")
	}
}

func TestAPolicyReadsBackTheSame(t *testing.T) {
	want := calendar.DefaultPolicy()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`{"clock":"sign","kind":"*","urgency":"A","amount":"15 natural_minutes"}`,
		`"service":[{"open":"08:30","close":"12:00"},{"open":"14:30","close":"17:30"}]`,
		`"offline_window":"24 natural_hours"`,
	} {
		if !strings.Contains(string(b), part) {
			t.Errorf("want %s in %s", part, b)
		}
	}
	var got calendar.Policy
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, bad := range []string{"", "3", "3  working_days", "-3 working_days", "03 working_days", "3 weeks", "10001 working_days", "3 date"} {
		var a calendar.Amount
		if err := a.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("amount %q: got %s, want an error", bad, a)
		}
	}
}
