package main

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gridcase/api"
	"gridcase/domain/assessment"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

// settles lets the year end, shows and seals it; then an order is rated late, and a revision is sealed.
func (x *evaluated) settles(t *testing.T, by *api.Settler) {
	t.Helper()
	const district, street = orgs.UnitCode("150103"), orgs.UnitCode("150103005")
	ann, ben := rule.Actor{ID: "ann", Role: orgs.Evaluator, Unit: district}, rule.Actor{ID: "ben", Role: orgs.Evaluator, Unit: district}
	n := 0
	give := func(s stream.Name, a rule.Actor, c engine.Command) {
		t.Helper()
		n++
		if _, err := x.engine.Handle(t.Context(), engine.Request{Stream: s, Commands: []engine.Command{c}, Key: fmt.Sprint("settles-", n), Actor: a, Expect: engine.Any}); err != nil {
			t.Fatalf("%T on %s: %v", c, s, err)
		}
		x.settle()
	}
	asked := func(second *rule.Actor) api.Settling {
		n++
		return api.Settling{Period: x.periods[0], Key: fmt.Sprint("settling-", n), Actor: ann, Second: second, Expect: engine.Any}
	}
	done := func(_ engine.Receipt, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		x.settle()
	}
	_, last := yearOfCity()
	x.clock.Set((last + 2).Start())
	give(stream.Of(stream.Period, x.periods[0]), rule.Actor{ID: "clock", Role: orgs.System}, period.End{})
	x.clock.Set((last + 25).Start())
	done(by.Show(t.Context(), asked(nil)))
	x.clock.Set((last + 40).Start())
	done(by.Seal(t.Context(), asked(&ben), "无街道评价的单位不计分"))
	x.clock.Set((last + 50).Start())
	for _, c := range walk[shownCase](t, x, "/assessments/"+x.periods[0].String()+"/figures/order_card:s="+string(street)+"/items", 200) {
		id, _ := stream.ParseID(c.Name[len("order-") : len("order-")+36])
		o := stream.Of(stream.Order, id)
		s, _, err := x.engine.Load(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if st := s.(order.State); st.Phase == order.PhaseClosed && !st.Legs[0].Rated {
			give(o, rule.Actor{ID: "leader", Role: orgs.StreetLeader, Unit: street}, order.Rate{Leg: 1, Score: 100, Comment: "及时"})
			break
		}
	}
	done(by.Revise(t.Context(), asked(&ben), period.LateFact, sealed.Public("补评")))
}

// folder writes events to a new data folder, without keys.
func folder(t *testing.T, events []eventlog.Event) string {
	t.Helper()
	dir := t.TempDir()
	l, err := sqlite.Open(t.Context(), filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Load(t.Context(), slices.Values(events)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// read reads an answer of the node that lived the year.
func (x *evaluated) read(t *testing.T, path string) []byte {
	t.Helper()
	req, _ := http.NewRequest(http.MethodGet, x.web.URL+"/api/v1"+path, nil)
	req.Header.Set("Authorization", "Bearer "+x.key)
	res, err := x.web.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", path, res.Status, b, err)
	}
	return b
}

// What was sealed, and each revision of it, comes out of the log alone, byte for byte: on the node that lived it, from its folder, from a copy of
// an export, after personal data were erased and where no key is left. And where it does not come out, as with a program that
// counts otherwise, the sealed numbers are told, and nothing that would pretend to be more.
func TestTheFolderGivesWhatWasSealed(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	x := evaluatedYear(t, 7, 30, yearly(func(s *assessment.Scheme) {
		s.Choices[assessment.LateFact], s.Choices[assessment.MinSample] = "revision", "1"
	}))
	by := &api.Settler{Engine: x.engine, Views: x.views, Log: x.log, Program: "test"}
	x.settles(t, by)
	p := x.periods[0].String()
	var live [3][2]string
	for n := 1; n <= 2; n++ {
		d, err := by.Examine(t.Context(), x.periods[0], 0, n)
		if err != nil {
			t.Fatal(err)
		}
		for i, write := range []func(io.Writer) error{d.Canonical, d.Results.Cohort} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			live[n][i] = b.String()
		}
		var told struct {
			Results, Cohort string
			Recomputed      bool
		}
		if err := json.Unmarshal(x.read(t, fmt.Sprintf("/assessments/%s?edition=%d", p, n)), &told); err != nil {
			t.Fatal(err)
		}
		if !told.Recomputed || told.Results != sum(live[n][0]) || told.Cohort != sum(live[n][1]) {
			t.Errorf("revision %d: the node tells %v, and writes %s and %s", n, told, sum(live[n][0]), sum(live[n][1]))
		}
	}
	if live[1][0] == live[2][0] || strings.Count(live[1][1], "\n") < 500 {
		t.Fatalf("the late rating changed nothing, or %d lines prove little", strings.Count(live[1][1], "\n"))
	}
	var events []eventlog.Event
	for b, err := range x.log.Follow(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if events = append(events, b.Events...); b.Live {
			break
		}
	}
	dir := folder(t, events)
	if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(x.keys)); err != nil {
		t.Fatal(err)
	}
	same := func(what, dir string) {
		t.Helper()
		for n := 1; n <= 2; n++ {
			got := assessed(t, dir, []string{"--period", p, "--edition", strconv.Itoa(n)})
			for i, name := range []string{"results", "cohorts"} {
				if got[i] != live[n][i] {
					t.Errorf("%s: the %s of revision %d differ", what, name, n)
				}
			}
		}
	}
	same("its folder", dir)
	for n := 1; n <= 2; n++ {
		file := filepath.Join(t.TempDir(), "results")
		if err := os.WriteFile(file, []byte(live[n][0]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := must(t, "assess", "verify", "--data", dir, file); !strings.Contains(out, fmt.Sprint("sealed with revision ", n)) {
			t.Errorf("the results of revision %d are verified as\n%s", n, out)
		}
		for _, sheet := range []string{"figures", "scores", "standings"} {
			edition := strconv.Itoa(n)
			if got, want := must(t, "assess", "compute", "--data", dir, "--period", p, "--edition", edition, "--format", "csv", "--sheet", sheet),
				string(x.read(t, "/assessments/"+p+"/export?format=csv&sheet="+sheet+"&edition="+edition)); got != want {
				t.Errorf("the %s of revision %d from the folder are not those of the API", sheet, n)
			}
		}
	}
	export, copied := filepath.Join(t.TempDir(), "log.ndjson"), filepath.Join(t.TempDir(), "copy")
	must(t, "export", "--data", dir, "--out", export)
	must(t, "copy", "--from", export, "--to", copied)
	same("a copy of an export, without keys", copied)

	remove := func(names ...string) {
		for _, n := range names {
			if err := os.RemoveAll(filepath.Join(dir, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove("views", "index.db", "index.db-wal", "index.db-shm")
	erase(t, filepath.Join(dir, "keys"))
	same("after everybody's data were erased", dir)
	remove("views", "keys", "index.db", "index.db-wal", "index.db-shm")
	same("without the keys of personal data", dir)

	// The seal of a program that counted otherwise: other hashes, and one other figure.
	altered := func(typ string, change func(map[string]any) bool) (at int) {
		for i, e := range events {
			var data map[string]any
			if e.Type != typ || json.Unmarshal(e.Data, &data) != nil || !change(data) {
				continue
			}
			events[i].Data = []byte(asJSON(t, data))
			return i
		}
		t.Fatalf("there is no %s to alter", typ)
		return 0
	}
	at := altered("period-sealed/1", func(seal map[string]any) bool {
		seal["results"], seal["cohort"] = strings.Repeat("a", 64), strings.Repeat("b", 64)
		return true
	})
	id := ""
	altered("figures-recorded/1", func(part map[string]any) bool {
		for _, f := range part["figures"].([]any) {
			if f := f.(map[string]any); f["name"] == "on_time" && f["street"] == nil && f["d"] != nil {
				f["n"], f["d"], f["printed"] = "3", "7", "42.86"
				id = fmt.Sprintf("on_time:u=%s", f["unit"])
				return true
			}
		}
		return false
	})
	dir = folder(t, events)
	with := func(command string, more ...string) []string {
		return slices.Concat([]string{"assess", command, "--data", dir, "--period", p, "--edition", "1"}, more)
	}
	for what, args := range map[string][]string{
		"computed again it comes to " + sum(live[1][0]): with("compute"),
		"results " + strings.Repeat("a", 64):            with("compute"),
		",3,7,42.86,":                                   with("compute", "--format", "csv", "--sheet", "figures"),
		"<b>42.86</b>":                                  with("compute", "--format", "html"),
		"42.86 = 3 / 7":                                 with("explain", id),
		"revision 1":                                    with("explain", id),
	} {
		if out := must(t, args...); !strings.Contains(out, what) {
			t.Errorf("%v does not say %q:\n%.600s", args[1:], what, out)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	for what, args := range map[string][]string{
		"the formulas of a workbook would not": with("compute", "--format", "xlsx", "--out", file),
		"nothing that is written now":          with("compute", "--canonical", file),
		"has the hash that was sealed":         with("compute", "--cohort", file),
	} {
		if _, errs, status := call(t, args...); status != 1 || !strings.Contains(errs, what) {
			t.Errorf("%v: status %d, %q; want %q", args[1:], status, errs, what)
		}
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("a file was left: %v", err)
	}
	if _, errs, status := call(t, "assess", "compute", "--data", dir, "--period", p, "--edition", "3"); status != 1 || !strings.Contains(errs, "not sealed with revision 3") {
		t.Errorf("a third revision: status %d, %q", status, errs)
	}
	before := strconv.FormatUint(uint64(events[at].Position)-1, 10)
	if got := assessed(t, dir, []string{"--period", p, "--as-of", before}); got[0] != live[1][0] {
		t.Error("as of before the seal it does not come to what it was")
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// erase destroys every key of a folder that is in use, as an erasure leaves it.
func erase(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the keys lie in %v: %v", files, err)
	}
	db, err := sql.Open("sqlite", files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	done, err := db.Exec("UPDATE keys SET state = 'erased', wrapped = NULL WHERE state = 'live'")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := done.RowsAffected(); n < 30 {
		t.Fatalf("%d keys were erased", n)
	}
}
