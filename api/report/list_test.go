package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"

	"gridcase/domain/assessment"
	"gridcase/domain/period"
)

// read reads a list as RFC 4180 has it.
func read(t *testing.T, d Document, sheet, figure string) [][]string {
	t.Helper()
	var b bytes.Buffer
	if err := d.List(&b, sheet, figure); err != nil {
		t.Fatal(err)
	}
	text, marked := strings.CutPrefix(b.String(), "\ufeff")
	if !marked || strings.Count(text, "\n") != strings.Count(text, "\r\n") {
		t.Errorf("%s begins %q: want a byte order mark, and CR LF", sheet, text[:20])
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// What a spreadsheet would take for a formula stands behind an apostrophe, in the list of differences as in the others; numbers that are new or gone have one side.
func TestDifferencesSayWhatWasAndWhatIs(t *testing.T) {
	s, p, f := three()
	p.Units[0].Name = "=cmd()"
	d := compute(t, s, p, f)
	var b bytes.Buffer
	err := d.Differences(&b, 1, 2, []period.Figure{
		{Unit: p.Units[0].Unit, Name: "on_time", N: "1", D: "3", Printed: "33.33", Was: &period.Value{N: "2", D: "7", Printed: "28.57"}},
		{Unit: p.Units[0].Unit, Street: streetB, Name: "score", N: "-1", D: "2", Printed: "-0.50"},
		{Unit: "@x", Name: "rank", Printed: assessment.None, Gone: true, Was: &period.Value{N: "9", D: "1", Printed: "9"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(b.String(), "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 4 || !strings.HasPrefix(b.String(), "\ufeffunit,") {
		t.Fatalf("%q: %v", b.String(), err)
	}
	unit := string(p.Units[0].Unit)
	for i, want := range [][]string{
		{unit, "'=cmd()", "", "全部", "on_time", "按期结案率", "2", "7", "28.57", "1", "3", "33.33", "1", "2"},
		{unit, "'=cmd()", string(streetB), d.names()[streetB], "score", "", "", "", "", "-1", "2", "-0.50", "1", "2"},
		{"'@x", "", "", "全部", "rank", "", "9", "1", "9", "", "", "", "1", "2"},
	} {
		if !slices.Equal(rows[1+i], want) {
			t.Errorf("got %q, want %q", rows[1+i], want)
		}
	}
}

func TestListsSayWhatWasComputed(t *testing.T) {
	s, p, f := three()
	d := compute(t, s, p, f)
	if rows := read(t, d, "figures", ""); len(rows) != 1+len(d.Figures) || rows[1][0] != d.Figures[0].Key.String() {
		t.Errorf("%d rows for %d figures", len(rows), len(d.Figures))
	}
	if rows := read(t, d, "scores", ""); len(rows) != 1+len(d.Scores) || rows[1][13] != d.Scores[0].Printed {
		t.Errorf("%d rows for %d scores, the first is %v", len(rows), len(d.Scores), rows[1])
	}
	if rows := read(t, d, "standings", ""); rows[1][6] != "86.10" || rows[1][9] != "1" {
		t.Errorf("the first standing is %v, want 86.10 and rank 1", rows[1])
	}
	key := assessment.Key{Indicator: assessment.OnTime, Unit: bureau, Street: streetB}.String()
	late := 0
	rows := read(t, d, "cohort", key)
	for _, r := range rows[1:] {
		if r[5] == "true" && r[6] == "0" && r[8] == "late" {
			late++
		}
	}
	if len(rows) != 41 || late != 1 {
		t.Errorf("%s opens to %d cases, %d of them late; want 40 and 1", key, len(rows)-1, late)
	}
	if err := d.List(&bytes.Buffer{}, "luck", ""); !errors.Is(err, ErrSheet) {
		t.Errorf("a list that there is not: %v", err)
	}
	for _, id := range []string{"", "luck", key + "9"} {
		if err := d.List(&bytes.Buffer{}, "cohort", id); !errors.Is(err, assessment.ErrFigure) {
			t.Errorf("the cohort of %q: %v", id, err)
		}
	}
	d.Sees = func(k assessment.Key) bool { return k.Street == streetA }
	if err := d.List(&bytes.Buffer{}, "cohort", key); !errors.Is(err, assessment.ErrFigure) {
		t.Errorf("another street's cohort: %v", err)
	}
	if rows := read(t, d, "standings", ""); len(rows) != 1 {
		t.Errorf("a street reads standings: %v", rows)
	}
}

func TestNoTextIsTakenForAFormula(t *testing.T) {
	var b bytes.Buffer
	l := newList(&b, "a")
	l.row("=1+1", "+86", "-5", "@x", "\tx", "\rx", amount("-5.25"), amount("—"), amount("=2"), "a,\"b\"", -3)
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	want := "\ufeffa\r\n'=1+1,'+86,'-5,'@x,'\tx,\"'x\",-5.25,—,'=2,\"a,\"\"b\"\"\",-3\r\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// A name that somebody chose reaches a workbook too.
func TestAUnitsNameIsNoFormula(t *testing.T) {
	s, p, f := three()
	p.Units[0].Name = `=HYPERLINK("http://x","点我")`
	d := compute(t, s, p, f)
	x, _ := opened(t, d)
	r := row(t, x, sheetStandings, string(bureau))
	if got, _ := x.GetCellValue(sheetStandings, "B"+string(rune('0'+r))); got != "'"+p.Units[0].Name {
		t.Errorf("the name is %q", got)
	}
	if rows := read(t, d, "standings", ""); rows[1][1] != "'"+p.Units[0].Name {
		t.Errorf("the name is %q", rows[1][1])
	}
}
