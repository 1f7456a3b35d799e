package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/stream"
	"gridcase/eventlog"
	"gridcase/eventlog/transfer"
)

const messagesMapping = "mappings/citizen-messages.yaml"

// counted is what a log holds.
type counted struct {
	events, demands, supports int
	ids                       map[string]int
}

// count reads a folder's log.
func count(t *testing.T, dir string) counted {
	t.Helper()
	log, err := openLog(context.Background(), dir, houseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := counted{ids: map[string]int{}}
	each(t, log, func(ev eventlog.Event) {
		c.events++
		switch ev.Type {
		case "demand-raised/1":
			c.demands++
			b, err := event.Decode(ev.Type, ev.Data)
			if err != nil {
				t.Fatal(err)
			}
			c.ids[b.(demand.Raised).External]++
		case "demand-supported/1":
			c.supports++
		}
	})
	return c
}

// each calls f for every event of a log.
func each(t *testing.T, log eventlog.Log, f func(eventlog.Event)) {
	t.Helper()
	for batch, err := range log.Follow(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range batch.Events {
			f(ev)
		}
		if batch.Live {
			return
		}
	}
}

func TestTheRealMessagesAreTakenOverExactlyOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	file := shared(t, "citizen-messages.csv")
	dir := t.TempDir()
	out := must(t, "import", "--data", dir, "--mapping", messagesMapping, file)
	if !strings.HasPrefix(out, "imported 4326 demands, 0 were there already, 0 rows rejected") {
		t.Errorf("first import said: %s", out)
	}
	first := count(t, dir)
	if first.demands != 4326 || len(first.ids) != 4326 || first.supports != 4326-2967 {
		t.Errorf("the log holds %d demands of %d messages and %d tallies, want 4326 of 4326 and %d", first.demands, len(first.ids), first.supports, 4326-2967)
	}
	out = must(t, "import", "--data", dir, "--mapping", messagesMapping, file)
	if want := "imported 0 demands, 4326 were there already, 0 rows rejected, 0 new events\n"; out != want {
		t.Errorf("second import said %q, want %q", out, want)
	}
	if again := count(t, dir); again.events != first.events {
		t.Errorf("the second import wrote %d events", again.events-first.events)
	}
}

func TestAnImportThatIsKilledTenTimesEndsComplete(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	file := shared(t, "citizen-messages.csv")
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	killed := 0
	for killed < 10 {
		c := gridcase("import", "--data", dir, "--mapping", messagesMapping, file)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		died := make(chan error, 1)
		go func() { died <- c.Wait() }()
		select {
		case <-died:
			t.Logf("an import came to its end before it was killed; starting over in a new folder after %d kills", killed)
			dir = t.TempDir()
		case <-time.After(time.Duration(50+random.IntN(450)) * time.Millisecond):
			_ = c.Process.Kill()
			<-died
			killed++
		}
	}
	must(t, "import", "--data", dir, "--mapping", messagesMapping, file)
	c := count(t, dir)
	for id, n := range c.ids {
		if n != 1 {
			t.Errorf("message %s was taken over %d times", id, n)
		}
	}
	if c.demands != 4326 || c.supports != 4326-2967 {
		t.Errorf("after ten kills: %d demands and %d tallies, want 4326 and %d", c.demands, c.supports, 4326-2967)
	}
}

// What real people wrote is nowhere on disk but in their own file.
func TestNothingThatResidentsWroteIsReadableAfterAnImport(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	file := shared(t, "citizen-messages.csv")
	dir := t.TempDir()
	must(t, "import", "--data", dir, "--mapping", messagesMapping, file)
	must(t, "views", "digest", "--data", dir)
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r := csv.NewReader(in)
	var needles [][]byte
	for n := 0; ; n++ {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text := []rune(row[4]); n%97 == 1 && len(text) > 24 {
			needles = append(needles, []byte(string(text[4:20])), []byte(row[1]))
		}
	}
	if len(needles) < 50 {
		t.Fatalf("only %d pieces of text to look for", len(needles))
	}
	grep(t, dir, needles)
}

// grep fails the test for every file below dir that holds one of the needles. It does not print what it found.
func grep(t *testing.T, dir string, needles [][]byte) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, n := range needles {
			if bytes.Contains(content, n) {
				t.Errorf("%s holds needle %d in the clear", d.Name(), i)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 5 {
		t.Fatalf("looked into %d files only", files)
	}
}

func TestBadRowsAreListedAndTheRestIsImported(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "in.csv")
	text := "\ufeffmessage_id,resident,title,raised_at,body,against,support\r\n" +
		"1,合成甲,标题,2019-01-02T03:04:05+08:00,\"正文，带\r\n换行和\"\"引号\"\"\",0,3\r\n" +
		"\r\n" +
		"2,合成乙,标题,2019/1/2 3:04,另一种时间,0,0\r\n" +
		"3,合成丙,标题,2019年1月2日,第三种时间,0,0\r\n" +
		"4,合成丁,标题,昨天,时间不对,0,0\r\n" +
		"5,合成戊,标题,2019-01-02T03:04:05+08:00,,0,0\r\n" +
		"6,合成己,标题,2019-01-02T03:04:05+08:00,列数不对\r\n" +
		"1,合成庚,标题,2019-01-02T03:04:05+08:00,编号重复,0,0\r\n" +
		"8,合成辛,标题,2999-01-02T03:04:05+08:00,将来,0,0\r\n" +
		"9,合成壬,标题,2019-01-02T03:04:05+08:00,计数不对,0,许多\r\n" +
		"10,合成癸,标题,2019-01-02T03:04:05+08:00,控制\x01字符,0,0\r\n" +
		"11,合成子,标题,2019-01-02T03:04:05+08:00,坏\xff字节,0,0\r\n" +
		"12,合成丑,标题,2019-01-02T03:04:05+08:00," + strings.Repeat("长", 10_001) + ",0,0\r\n" +
		"13812345678,合成卯,标题,2019-01-02T03:04:05+08:00,编号是手机号,0,0\r\n" +
		"13,合成寅,标题,2019-01-02T03:04:05+08:00,\"没有结束的引号,0,0\r\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	out := must(t, "import", "--data", data, "--mapping", messagesMapping, file)
	if !strings.HasPrefix(out, "imported 3 demands, 0 were there already, 11 rows rejected") {
		t.Errorf("said: %s", out)
	}
	listed, err := os.ReadFile(filepath.Join(data, "import-errors.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"7,raised_at,", "8,body,the text is missing", "9,,\"5 fields", "10,message_id,the number stands in line 2",
		"11,raised_at,the time lies in the future", "12,support,not a count", "13,body,holds a control character",
		"14,body,not valid UTF-8", "15,body,\"10001 characters", "16,message_id,\"the number looks like a phone", "17,,\"broken row"} {
		if !strings.Contains(string(listed), "\n"+want) {
			t.Errorf("the list of rejected rows lacks a line beginning %q:\n%s", want, listed)
		}
	}
	if strings.Contains(string(listed), "合成") {
		t.Error("the list of rejected rows quotes what people wrote")
	}
	kept := count(t, data)
	if kept.demands != 3 || kept.supports != 1 {
		t.Errorf("the log holds %d demands and %d tallies, want 3 and 1", kept.demands, kept.supports)
	}
}

func TestImportedDemandsKeepTheirTimesAndAreHeldWhereNobodyKnowsThePlace(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "in.csv")
	text := "message_id,resident,title,raised_at,body,against,support\n1,合成甲,标题,2019-01-02T03:04:05+08:00,正文,0,0\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	must(t, "import", "--data", data, "--mapping", messagesMapping, file)
	exported := must(t, "export", "--data", data)
	found := false
	for l := range strings.Lines(exported) {
		var e transfer.Line
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != "demand-raised/1" {
			continue
		}
		found = true
		m, err := event.DecodeMeta(e.Meta)
		if err != nil {
			t.Fatal(err)
		}
		if want := time.Date(2019, 1, 1, 19, 4, 5, 0, time.UTC); !m.Occurred.Equal(want) {
			t.Errorf("occurred_at is %s, want %s", m.Occurred, want)
		}
		b, err := event.Decode(e.Type, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		r := b.(demand.Raised)
		if r.Grid != "" || r.Unit != "150100-hotline" || !r.Imported {
			t.Errorf("raised %+v, want an unknown grid held by the hotline", r)
		}
		if want := stream.Of(stream.Demand, stream.DemandFor("import/citizen-messages", "1")); e.Stream != string(want) {
			t.Errorf("stream %s, want %s", e.Stream, want)
		}
	}
	if !found {
		t.Error(fmt.Errorf("no demand in %q", exported))
	}
}
