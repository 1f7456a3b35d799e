package main

import (
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gridcase/domain/stream"
	"gridcase/projections"
)

// published reads a file of the shared data, without its header.
func published(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(shared(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatal(len(rows), err)
	}
	return rows[1:]
}

// TestTheRealMessagesAreOverdueWhenTheCalendarSaysSo computes for each message, with nothing but the published notices, until when it
// is to be accepted — the end of the next working day after it was raised — and compares which are overdue at several instants with
// what the lists say.
func TestTheRealMessagesAreOverdueWhenTheCalendarSaysSo(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	file := shared(t, "citizen-messages.csv")
	dir := t.TempDir()
	must(t, "import", "--data", dir, "--mapping", messagesMapping, file)

	const day = "2006-01-02"
	announced := map[string]string{} // off or work; rows come in the order of their notices, and the later wins
	for _, row := range published(t, "china-calendar.csv") {
		announced[row[1]] = row[3]
	}
	workday := func(at time.Time) bool {
		switch announced[at.Format(day)] {
		case "work":
			return true
		case "off":
			return false
		}
		return at.Weekday() != time.Saturday && at.Weekday() != time.Sunday
	}
	due := map[stream.ID]time.Time{} // the first instant that is late
	naive := 0
	for _, row := range published(t, "citizen-messages.csv") {
		at, err := time.Parse(time.RFC3339, row[3])
		if err != nil {
			t.Fatal(err)
		}
		d := at.Add(24 * time.Hour)
		if w := d.Weekday(); (w != time.Saturday && w != time.Sunday) != workday(d) {
			naive++
		}
		for !workday(d) {
			d = d.Add(24 * time.Hour)
		}
		late, err := time.ParseInLocation(day, d.Format(day), at.Location())
		if err != nil {
			t.Fatal(err)
		}
		due[stream.DemandFor("import/citizen-messages", row[0])] = late.Add(24 * time.Hour)
	}

	ctx := context.Background()
	log, err := openLog(ctx, dir, houseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	views, err := projections.Open(ctx, projections.Config{Dir: filepath.Join(t.TempDir(), "views"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer views.Close()
	who, compared := projections.Viewer{All: true, Confidential: true}, 0
	for _, text := range []string{"2017-06-09T00:00:00+08:00", "2018-02-15T12:00:00+08:00", "2018-12-29T23:59:59+08:00", "2018-12-30T00:00:00+08:00", "2019-02-11T23:59:59+08:00",
		"2019-02-12T00:00:00+08:00", "2019-05-05T09:00:00+08:00", "2019-09-30T23:59:59+08:00", "2019-10-08T08:00:00+08:00", "2020-01-23T23:59:59+08:00", "2020-02-03T12:00:00+08:00", "2020-02-04T00:00:01+08:00"} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		overdue := map[stream.ID]bool{}
		f := projections.DemandFilter{Standing: projections.Standing{Late: at}, Page: projections.Page{Limit: 200}}
		for {
			rows, next, err := views.Views().Demands(ctx, who, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				overdue[r.ID] = true
			}
			if f.After = next; next == "" {
				break
			}
		}
		want := 0
		for id, late := range due {
			if !late.After(at) {
				want++
			}
			if overdue[id] != !late.After(at) {
				t.Errorf("at %s demand %s, late from %s on: overdue %v", text, id, late, overdue[id])
			}
			compared++
		}
		if l, err := views.Views().Load(ctx, projections.LoadQuery{Unit: "150100-hotline", By: projections.ByCommunity, At: at, From: 1, To: 2, Limit: 200, Confidential: true}); err != nil ||
			l.Total.Demands[projections.Cases].Overdue+l.Total.Demands[projections.Errands].Overdue != want {
			t.Errorf("at %s the workload says %+v, %v; want %d overdue", text, l.Total.Demands, err, want)
		}
		t.Logf("%s: %d of %d overdue", text, want, len(due))
	}
	if naive == 0 {
		t.Error("no message falls on a holiday or a make-up workday: the calendar is not tried")
	}
	t.Logf("%d flags agree; for %d messages Monday to Friday would say otherwise", compared, naive)
}
