package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
)

// assessedTown is a town with April and May under one scheme, both ended and shown; in April an agency did one order in time, one late and one not at all.
type assessedTown struct {
	*town
	agency      orgs.UnitCode
	april, may  string // ids
	late, law   string // path of the order that is done too late for April, and of the scheme
	ann, ben    string // keys of two evaluators
	annF, benF  string // files with them
	figure      string
	assessments string // path of April's result
}

func openAssessedTown(t *testing.T) *assessedTown {
	t.Helper()
	s := &assessedTown{town: openTown(t)}
	s.agency = s.street + "-a01"
	s.ann, s.ben = s.as(orgs.Evaluator, s.district, 1), s.as(orgs.Evaluator, s.district, 2)
	s.annF, s.benF = filepath.Join(t.TempDir(), "ann"), filepath.Join(t.TempDir(), "ben")
	for file, key := range map[string]string{s.annF: s.ann, s.benF: s.ben} {
		if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	law := assessment.Default()
	law.Choices[assessment.MinSample], law.Choices[assessment.LateFact] = "1", "revision"
	s.law = s.create(s.ann, "/schemes", `{"scheme":`+asJSON(t, law)+`}`)
	s.both(s.ann, s.ben, s.law, "publish", `{}`)
	open := func(first, last string) string {
		path := s.create(s.ann, "/periods", fmt.Sprintf(`{"jurisdiction":%q,"scheme":%q,"first":%q,"last":%q}`, s.district, strings.TrimPrefix(s.law, "/schemes/"), first, last))
		return strings.TrimPrefix(path, "/periods/")
	}
	s.april, s.may = open("2025-04-01", "2025-04-30"), open("2025-05-01", "2025-05-31")
	s.assessments, s.figure = "/assessments/"+s.april, "closure:u="+string(s.agency)
	dispatch := func() string {
		path := s.create(s.as(orgs.Dispatcher, s.street), "/orders", fmt.Sprintf(`{"kind":"errand","matter":"010101","urgency":"C","lead":%q,"place":%q,"task":"检修"}`, s.agency, s.community))
		s.do(s.as(orgs.Handler, s.agency), path, "sign", "")
		s.do(s.as(orgs.Handler, s.agency), path, "waive-contact", `{"cause":"patrol"}`)
		return path
	}
	s.until(2025, 4, 7)
	first, second, third := dispatch(), dispatch(), dispatch()
	s.late = third
	s.handled(first)
	s.until(2025, 4, 28)
	s.handled(second)
	s.ended(s.april, 2025, 5, 3)
	s.until(2025, 5, 7)
	s.handled(dispatch())
	s.until(2025, 5, 25)
	s.do(s.ann, "/periods/"+s.april, "publish-provisional", `{}`)
	s.ended(s.may, 2025, 6, 4)
	s.until(2025, 6, 25)
	s.do(s.ann, "/periods/"+s.may, "publish-provisional", `{}`)
	s.until(2025, 7, 10)
	return s
}

func (s *assessedTown) until(year int, month time.Month, day int) {
	s.wait(time.Date(year, month, day, 2, 0, 0, 0, time.UTC).Sub(s.clock()))
}

func (s *assessedTown) handled(order string) {
	s.t.Helper()
	s.do(s.as(orgs.Handler, s.agency), order, "report-handling", `{"outcome":"resolved","answer":"已修好","summary":"已修复","account":"上门一次"}`)
	if s.text(order, "phase") == "reported" { // it was drawn to be verified
		s.do(s.as(orgs.Verifier, s.street+"-oversight"), order, "pass-verification", `{"method":"phone"}`)
	}
}

// ended lets the clock end a period.
func (s *assessedTown) ended(id string, year int, month time.Month, day int) {
	s.t.Helper()
	s.until(year, month, day)
	p, err := stream.ParseID(id)
	if err == nil {
		_, err = s.house.engine.Handle(s.t.Context(), engine.Request{Stream: stream.Of(stream.Period, p), Commands: []engine.Command{period.End{}}, Key: "end-" + id,
			Actor: rule.Actor{ID: "clock", Role: orgs.System}, Expect: engine.Any})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

// fails runs a command that has to be refused in these words, and sees to it that nothing was written to either period for it. The log itself may grow: by
// the lot of a new month, for one.
func (s *assessedTown) fails(says string, args ...string) {
	s.t.Helper()
	before := s.tags()
	out, errs, status := call(s.t, args...)
	if status != 1 || !strings.Contains(errs, says) || out != "" {
		s.t.Errorf("%v: status %d, %q, %q; want 1 and %q", args, status, out, errs, says)
	}
	s.settle()
	if after := s.tags(); after != before {
		s.t.Errorf("%v was refused, yet the periods went from %v to %v", args, before, after)
	}
}

// tags are those of both periods.
func (s *assessedTown) tags() (both [2]string) {
	s.t.Helper()
	for i, id := range []string{s.april, s.may} {
		both[i] = s.want(s.get(s.ann, "/periods/"+id), 200, "").Header.Get("ETag")
	}
	return both
}

// Two persons seal a period from the command line, each with their own key: one confirms and hands a code over, the other seals with it. What is printed is what
// the API says; and a folder that was sealed so tells the same numbers by every command.
func TestTwoPersonsSealFromTheCommandLine(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	s := openAssessedTown(t)
	const why = "无街道评价的单位不计分"
	at := func(command, key, id string, more ...string) []string {
		return append([]string{"assess", command, "--server", s.url, "--key-file", key, "--period", id}, more...)
	}
	before := s.tags()
	code := must(t, at("confirm", s.benF, s.april, "--ruling", why)...)
	if strings.Count(code, "\n") != 1 || len(strings.TrimSpace(code)) < 20 || s.tags() != before {
		t.Fatalf("the code is %q, and the periods went from %v to %v", code, before, s.tags())
	}
	code = strings.TrimSpace(code)
	s.fails("确认码无效", at("seal", s.annF, s.april, "--confirmation", code, "--ruling", "另一种说法")...) // other words than were confirmed
	s.fails("second_person_required", at("seal", s.benF, s.april, "--confirmation", code, "--ruling", why)...)
	s.fails("two persons", at("seal", s.annF, s.april, "--ruling", why)...)
	s.fails("own", at("seal", s.annF, s.april, "--second-key-file", s.annF, "--ruling", why)...)
	s.fails("确认码无效", at("seal", s.annF, s.may, "--confirmation", code, "--ruling", why)...) // of another period

	sealed := must(t, at("seal", s.annF, s.april, "--confirmation", code, "--ruling", why)...)
	s.settle()
	told := s.want(s.get(s.ann, s.assessments), 200, "")
	if want := fmt.Sprintf("sealed\nresults %s\ncohort  %s\n", told.text("results"), told.text("cohort")); sealed != want || told.text("edition") != "sealed" {
		t.Errorf("printed is\n%s, the API has\n%s", sealed, want)
	}
	s.fails("409 period_sealed", at("seal", s.annF, s.april, "--second-key-file", s.benF, "--ruling", why)...) // it is sealed
	s.fails("409 guard_failed", at("seal", s.annF, s.may, "--second-key-file", s.benF)...)                     // without a ruling
	both := must(t, at("seal", s.annF, s.may, "--second-key-file", s.benF, "--ruling", why)...)
	s.settle()
	if told := s.want(s.get(s.ann, "/assessments/"+s.may), 200, ""); !strings.HasPrefix(both, "sealed\nresults "+told.text("results")+"\n") {
		t.Errorf("printed is\n%s, the API has %s", both, told.raw)
	}
	var seal struct{ Actor, Second string }
	for _, e := range s.events() {
		if e.Type == "period-sealed/1" {
			var m struct {
				Actor  string `json:"actor"`
				Second string `json:"second"`
			}
			if err := json.Unmarshal(e.Meta, &m); err != nil {
				t.Fatal(err)
			}
			if seal.Actor, seal.Second = m.Actor, m.Second; seal.Actor == "" || seal.Second == "" || seal.Actor == seal.Second {
				t.Errorf("sealed by %q and %q", seal.Actor, seal.Second)
			}
		}
	}

	// A late fact, and the revision because of it.
	s.handled(s.late)
	s.both(s.ann, s.ben, "/periods/"+s.april, "seal-revision", `{"cause":"late_fact","reason":"五月补办"}`)

	read := func(path string) string {
		t.Helper()
		r := s.want(s.get(s.ann, s.assessments+path), 200, "")
		return string(r.raw)
	}
	lists := map[string]string{}
	for _, sheet := range []string{"figures", "scores", "standings"} {
		for _, edition := range []string{"1", "2"} {
			lists[sheet+" "+edition] = read("/export?format=csv&sheet=" + sheet + "&edition=" + edition)
		}
	}
	differences := read("/export?format=csv&sheet=changes&from=1&edition=2")
	figure := [3]reply{1: s.get(s.ann, s.assessments+"/figures/"+s.figure+"?edition=1"), 2: s.get(s.ann, s.assessments+"/figures/"+s.figure)}
	compared := s.want(s.get(s.ann, s.assessments+"/compare?with="+s.may), 200, "")
	revisions := s.want(s.get(s.ann, s.assessments+"/revisions"), 200, "").json["items"].([]any)
	s.shut() // the folder is free

	on := func(command string, more ...string) []string {
		return append([]string{"assess", command, "--data", s.dir, "--period", s.april}, more...)
	}
	for name, want := range lists {
		sheet, edition, _ := strings.Cut(name, " ")
		if got := must(t, on("compute", "--format", "csv", "--sheet", sheet, "--edition", edition)...); got != want {
			t.Errorf("the %s of revision %s are not those of the API", sheet, edition)
		}
	}
	if out := must(t, on("compute")...); !strings.Contains(out, "results "+revisions[1].(map[string]any)["results"].(string)) || !strings.Contains(out, "revision 2") {
		t.Errorf("computed:\n%s", out)
	}
	for edition, x := range figure[1:] {
		want := fmt.Sprintf("%s = %s / %s ", x.text("printed"), x.text("n"), x.text("d"))
		out := must(t, on("explain", s.figure, "--edition", fmt.Sprint(edition+1), "--events")...)
		if in := len(regexp.MustCompile(`(?m)^order-\S+ .* in  `).FindAllString(out, -1)); !strings.Contains(out, "\n"+want) || fmt.Sprint(in) != x.text("d") || !strings.Contains(out, "handling-reported/1") {
			t.Errorf("explained with %d cases, want %q:\n%.800s", in, want, out)
		}
	}
	if figure[1].text("n") != "2" || figure[2].text("n") != "3" || figure[2].text("d") != "3" {
		t.Errorf("closed are %s, then %s of %s; want 2, then 3 of 3", figure[1].text("n"), figure[2].text("n"), figure[2].text("d"))
	}
	// Whichever is named first, the earlier period is before; each line is as the API has it.
	out := must(t, on("compare", "--with", s.may)...)
	if other := must(t, "assess", "compare", "--data", s.dir, "--period", s.may, "--with", s.april); other != out {
		t.Errorf("April with May is\n%s, and May with April\n%s", out, other)
	}
	moved := 0
	for _, u := range compared.json["units"].([]any) {
		u := u.(map[string]any)
		line := regexp.MustCompile(`(?m)^` + u["unit"].(string) + `  +(\S+)  +(\S+)  +(\S+)  `).FindStringSubmatch(out)
		before, after := u["before"].(map[string]any), u["after"].(map[string]any)
		if change := strings.TrimPrefix(fmt.Sprint(line[1:]), "["); line == nil || line[1] != before["streets"] || line[2] != after["streets"] || strings.TrimPrefix(line[3], "+") != strings.TrimPrefix(u["change_printed"].(string), "+") {
			t.Errorf("%s: printed is %s, the API has %v, %v, %v", u["unit"], change, before["streets"], after["streets"], u["change_printed"])
		}
		if u["unit"] == string(s.agency) && before["streets"] != "—" && after["streets"] != "—" {
			moved++
		}
	}
	if moved != 1 {
		t.Errorf("the agency has no score to compare: %s", compared.raw)
	}

	listed := must(t, on("revisions")...)
	for _, r := range revisions {
		r := r.(map[string]any)
		cause, changed := "—", "—"
		if r["revision"] != 1.0 {
			cause, changed = r["cause"].(string), fmt.Sprint(r["changed"])
		}
		if want := regexp.MustCompile(fmt.Sprintf(`(?m)^%v  +2025-07-\d\d \S+  +%s  +%s  +%s  `, r["revision"], cause, changed, r["results"])); !want.MatchString(listed) {
			t.Errorf("the list of revisions lacks %v:\n%s", want, listed)
		}
	}
	if got := must(t, on("diff", "--format", "csv")...); got != differences || must(t, on("diff", "--from", "1", "--to", "2", "--format", "csv")...) != got {
		t.Errorf("the differences are\n%s, the API has\n%s", got, differences)
	}
	if out := must(t, on("diff")...); !regexp.MustCompile(`(?m)^` + string(s.agency) + ` +closure +66\.67 \(2 / 3\) +100\.00 \(3 / 3\)$`).MatchString(out) {
		t.Errorf("the differences:\n%s", out)
	}

	file := filepath.Join(t.TempDir(), "file")
	must(t, on("compute", "--cohort", file, "--edition", "1")...)
	if out := must(t, on("verify", file)...); !strings.Contains(out, "sealed with revision 1") {
		t.Errorf("verified: %s", out)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("on_time|a|b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(cut, []byte("gridcase-results/1\nscheme|x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, args := range map[string][]string{
		"text is neither canonical results nor a list of cohorts": on("verify", text),
		"cut names no period":                                        {"assess", "verify", "--data", s.dir, cut},
		"counts from 1":                                              on("compute", "--edition", "0"),
		"counts from 1, and does":                                    on("explain", s.figure, "--edition=-1"),
		"not sealed with revision 3":                                 on("compute", "--edition", "3"),
		"the day is not over yet":                                    on("compute", "--as-of", time.Now().AddDate(0, 0, 2).Format("2006-01-02")),
		"--with is the period itself":                                on("compare", "--with", s.april),
		"count from 1, which is the seal":                            on("diff", "--from", "0"),
		"no revisions 2 and 2 to compare":                            on("diff", "--from", "2", "--to", "2"),
		"not sealed with revision 9":                                 on("diff", "--to", "9"),
		"there are no revisions 0 and 1 to compare; revisions lists": {"assess", "diff", "--data", s.dir, "--period", s.may},
		"the log knows no period":                                    {"assess", "revisions", "--data", s.dir, "--period", "00000000-0000-7000-8000-000000000000"},
	} {
		if out, errs, status := call(t, args...); status != 1 || !strings.Contains(errs, says) {
			t.Errorf("%v: status %d, %q %q; want %q", args, status, out, errs, says)
		}
	}
	if out := must(t, "parked", "list", "--data", s.dir); out != "nothing is parked\n" {
		t.Errorf("parked: %s", out)
	}
}

// events are all that the log of the town holds.
func (s *assessedTown) events() (all []eventlog.Event) {
	s.t.Helper()
	for b, err := range s.house.log.Follow(s.t.Context(), 0) {
		if err != nil {
			s.t.Fatal(err)
		}
		if all = append(all, b.Events...); b.Live {
			break
		}
	}
	return all
}

// What the rules refused is listed with rule, stream and reason until somebody says that they have looked.
func TestWhatIsParkedIsListedUntilItIsReleased(t *testing.T) {
	s := openTown(t)
	path := s.raise(s.as(orgs.Channel, s.hotline), "issue", "路灯不亮")
	s.accept(path, "issue", "C")
	n := s.stream(path)
	_, revision, err := s.house.engine.Load(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	due := calendar.Due{ID: "promise/1/0/9", Clock: calendar.Promise, Kind: calendar.NamedDate, StartedAt: s.clock(), Due: s.clock().AddDate(0, 2, 0), OriginalDue: s.clock().AddDate(0, 2, 0), Policy: "p", PolicyVersion: 1, Calendar: "cn-2026#1"}
	data, err := event.Encode(demand.FastTracked{Reason: demand.ReasonStatutory, Citation: "第八条", Route: demand.Route{Order: &demand.NewOrder{Lead: "150103-d99"}}, Promise: due}) // to a unit that there is not
	if err == nil {
		_, err = s.house.log.Append(t.Context(), string(n), eventlog.Revision(revision), eventlog.Fact{ID: uuid.New(), Type: "demand-fast-tracked/1", Data: data,
			Meta: event.EncodeMeta(event.Meta{Salt: [16]byte{1}, Actor: "clerk", Role: orgs.Clerk, Unit: s.community, Key: "astray", Occurred: s.clock(), Recorded: s.clock(), Schema: 1})})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.settle()
	s.shut()
	listed := regexp.MustCompile(`(?m)^rule R1 +\d+ +(gridcase\.order-\S+) +guard_failed .+$`).FindStringSubmatch(must(t, "parked", "list", "--data", s.dir))
	if listed == nil {
		t.Fatalf("it is not listed: %s", must(t, "parked", "list", "--data", s.dir))
	}
	if out := must(t, "parked", "release", "--data", s.dir, "R1", listed[1]); !strings.Contains(out, "is released") {
		t.Errorf("released: %s", out)
	}
	if out := must(t, "parked", "list", "--data", s.dir); out != "nothing is parked\n" {
		t.Errorf("after that: %s", out)
	}
	if _, errs, status := call(t, "parked", "release", "--data", s.dir, "R1", listed[1]); status != 1 || !strings.Contains(errs, "nothing of rule R1 is parked") {
		t.Errorf("released again: %d %s", status, errs)
	}
}
