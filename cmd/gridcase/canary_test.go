package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// What the canary looks for: a word that is part of every planted text, the digits that begin every planted number, and
// a word of public texts, which must be found.
const (
	canary  = "qzxkvwjhbgpf"
	digits  = "000774411228"
	visible = "jkwqzvxhfbpg"
)

// aviary plants canaries: texts of which none may reach a disk.
type aviary struct {
	kept   []string // taken in: whoever may open it must find it
	shown  []byte   // everything that was opened
	number int
}

// text makes a text of its own for a field that is taken in.
func (a *aviary) text(field string) string {
	text := "哨兵" + canary + "-" + strings.ReplaceAll(field, "_", "-")
	a.kept = append(a.kept, text)
	return text
}

// digits makes a number of a length, at most 18 digits.
func (a *aviary) digits(length int) string {
	a.number++
	number := fmt.Sprintf("%s%0*d", digits, length-len(digits), a.number)
	a.kept = append(a.kept, number)
	return number
}

// forms returns how a text may stand in a file: as it is, in UTF-16, in hexadecimal, and in base64 at each alignment.
func forms(text string) map[string][]byte {
	wide := make([]byte, 0, 2*len(text))
	for _, c := range []byte(text) {
		wide = append(wide, c, 0)
	}
	found := map[string][]byte{"clear": []byte(text), "UTF-16": wide[:len(wide)-1],
		"hex": []byte(hex.EncodeToString([]byte(text))), "HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(text))))}
	for before := range 3 {
		for name, e := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			whole := e.EncodeToString(append(make([]byte, before), text...))
			first := (8*before + 5) / 6 // characters that hold bits of what stands before
			last := (before + len(text)) * 8 / 6
			found[fmt.Sprint(name, before)] = []byte(whole[first:last])
		}
	}
	return found
}

// leaks reads every file below a folder and returns in which of them a text stands, and how; and how many it read.
func leaks(t *testing.T, dir, text string) (found []string, files int) {
	t.Helper()
	needles := forms(text)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for how, needle := range needles {
			if i := bytes.Index(content, needle); i >= 0 {
				found = append(found, fmt.Sprintf("%s, %s: %q", d.Name(), how, content[max(0, i-40):min(len(content), i+len(needle)+20)]))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, files
}

// dark fails the test for every canary in a folder, and unless public text is found there in every file that must hold it.
func dark(t *testing.T, dir string, lit ...string) {
	t.Helper()
	for _, planted := range []string{canary, digits, "408123451", "40.8123451"} {
		found, files := leaks(t, dir, planted)
		for _, leak := range found {
			t.Errorf("personal text on disk: %s", leak)
		}
		if files < 8 {
			t.Errorf("looked into %d files only", files)
		}
	}
	found, _ := leaks(t, dir, visible)
	for _, name := range lit {
		if !slices.ContainsFunc(found, func(leak string) bool { return strings.HasPrefix(leak, name) }) {
			t.Errorf("a public summary was not found in %s, so nothing would be; found in %v", name, found)
		}
	}
}

func TestTheCanaryIsHeardInEveryForm(t *testing.T) {
	for before := range 7 {
		for name, write := range map[string]func(string) []byte{
			"clear":     func(s string) []byte { return []byte(s) },
			"hex":       func(s string) []byte { return []byte(hex.EncodeToString([]byte(s))) },
			"HEX":       func(s string) []byte { return []byte(strings.ToUpper(hex.EncodeToString([]byte(s)))) },
			"base64":    func(s string) []byte { return []byte(base64.StdEncoding.EncodeToString([]byte(s))) },
			"base64url": func(s string) []byte { return []byte(base64.RawURLEncoding.EncodeToString([]byte(s))) },
			"escaped":   func(s string) []byte { return []byte(url.QueryEscape(s)) },
		} {
			dir := t.TempDir()
			text := strings.Repeat("~", before) + "哨兵" + canary + "，丙" + digits + "123"
			if err := os.WriteFile(filepath.Join(dir, "file"), write(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, planted := range []string{canary, digits} {
				if found, _ := leaks(t, dir, planted); len(found) == 0 {
					t.Errorf("%s behind %d bytes, %s: not found", planted, before, name)
				}
			}
		}
	}
}

func TestNothingPersonalReachesADiskInTheClear(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	dir, outside := t.TempDir(), t.TempDir()
	if err := seedFolder(t.Context(), dir, streams{out: io.Discard, err: io.Discard}, seeding{size: city.Street, seed: 1}); err != nil {
		t.Fatal(err)
	}
	logged, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer logged.Close()
	logger := slog.New(slog.NewJSONHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var a aviary

	// Taken over from an older system, with a row that is rejected.
	s := serveTown(t, dir, logger) // to learn where it is
	s.shut()
	rows := [][]string{{"id", "account", "name", "phone", "title", "text", "at", "address"},
		{"row-1", a.text("csv-account"), a.text("csv-name"), a.digits(15), a.text("csv-title"), a.text("csv-text"), "2024-01-02T03:04:05+08:00", a.text("csv-address")},
		{"row-2", canary, canary, digits, canary, canary, canary, canary}}
	said, errs, status := call(t, "import", "--data", dir, "--mapping", mappingFile(t, outside, s.community), csvFile(t, outside, rows))
	if status != 0 || !strings.HasPrefix(said, "imported 1 demands") {
		t.Fatalf("import: status %d %s%s", status, said, errs)
	}
	if err := os.WriteFile(filepath.Join(dir, "import.out"), []byte(said+errs), 0o600); err != nil {
		t.Fatal(err)
	}

	s = serveTown(t, dir, logger)
	clerk, resident, channel := s.as(orgs.Clerk, s.community), s.as(orgs.Resident, s.community), s.as(orgs.Channel, s.hotline)
	worker, street, mediator := s.as(orgs.GridWorker, s.grids[0].Unit()), s.as(orgs.Dispatcher, s.street), s.as(orgs.Mediator, s.community)
	body := func(kind string) string {
		return fmt.Sprintf(`{"kind":%q,"channel":"wechat","title":%q,"text":%q,"address":%q,"grid":%q,"lat":40.8123451,"long":111.7123451,`+
			`"reporter":{"name":%q,"phone":%q,"id_number":%q,"account":%q}}`, kind, a.text(kind+"-title"), a.text(kind+"-text"), a.text(kind+"-address"),
			s.grids[0], a.text(kind+"-name"), a.digits(15), a.digits(18), a.text(kind+"-account"))
	}
	only := func(member, field string) string { return fmt.Sprintf(`{%q:%q}`, member, a.text(field)) }
	accept := func(path, kind, urgency string) {
		s.do(clerk, path, "accept", fmt.Sprintf(`{"kind":%q,"matter":"170101","urgency":%q,"unit":%q,"grid":%q,"summary":"公开%s"}`, kind, urgency, s.community, s.grids[0], visible))
	}

	// An issue, by way of an order, with everything that anybody may write on the way, to the callback and back again.
	issue := s.create(resident, "/demands", body("issue"))
	accept(issue, "issue", "A")
	s.do(resident, issue, "supplement", only("text", "supplement"))
	s.do(resident, issue, "urge", only("text", "urging"))
	s.do(clerk, issue, "fast-track", fmt.Sprintf(`{"reason":"urgent","route":{"order":{"lead":%q}}}`, s.grids[0]))
	order := s.list(issue, "orders", "/orders/")[0]
	s.do(worker, order, "request-return", fmt.Sprintf(`{"reason":%q,"basis":"职责清单","suggested":%q}`, a.text("return-reason"), s.grids[1]))
	s.do(street, order, "refuse-return", `{"reason":"应由本网格办理"}`)
	s.do(worker, order, "record-contact", fmt.Sprintf(`{"demands":[%q],"means":"phone","note":%q}`, identifiers(issue)[0], a.text("contact-note")))
	s.do(worker, order, "report-handling", fmt.Sprintf(`{"outcome":"resolved","answer":%q,"account":%q,"summary":"已办好"}`, a.text("answer"), a.text("report-account")))
	s.do(s.as(orgs.Verifier, s.street+"-oversight"), order, "pass-verification", fmt.Sprintf(`{"method":"phone","note":%q}`, a.text("verification-note")))
	agent := s.as(orgs.CallbackAgent, s.hotline)
	words := fmt.Sprintf(`{"resolved":true,"grade":5,"words":%q}`, a.text("callback-words"))
	s.want(s.post(agent, "/confirmations", fmt.Sprintf(`{"path":%q,"if_match":"\"1\"","body":%s}`, "/api/v1"+issue+"/record-callback", words)), 200, "")
	s.do(agent, issue, "record-callback", words)
	s.do(resident, issue, "reopen", only("reason", "reopen-reason"))

	// One that is split, one that is withdrawn, one that is declined and appealed, one answered at once, one that is mediated.
	several := s.create(channel, "/demands", body("errand"))
	accept(several, "errand", "C")
	s.do(clerk, several, "split", fmt.Sprintf(`{"children":[{"kind":"errand","matter":"170101","unit":%q,"text":%q}]}`, s.community, a.text("split-text")))
	s.do(clerk, several, "withdraw", fmt.Sprintf(`{"confirmed":"phone","note":%q}`, a.text("withdrawal-note")))
	refused := s.create(resident, "/demands", body("suggestion"))
	s.both(clerk, s.as(orgs.CommunitySecretary, s.community), refused, "decline", `{"reason":"no_demand","citation":"第三条","instead":"物业"}`)
	s.do(resident, refused, "file-appeal", only("reason", "appeal-reason"))
	consult := s.create(channel, "/demands", body("consult"))
	s.do(clerk, consult, "answer-on-the-spot", fmt.Sprintf(`{"outcome":"explained","summary":"已说明","answer":%q}`, a.text("spot-answer")))
	quarrel := s.create(resident, "/demands", body("dispute"))
	accept(quarrel, "dispute", "D")
	s.do(clerk, quarrel, "fast-track", `{"reason":"private_dispute","route":{"dispute":2}}`)
	dispute := "/disputes/" + s.text(quarrel, "dispute")
	s.do(mediator, dispute, "accept-mediation", `{"consent":true}`)
	s.do(mediator, dispute, "record-agreement", fmt.Sprintf(`{"agreement":%q,"fulfil_on":%q}`, digest("agreement"), s.clock().AddDate(0, 0, 10).Format(time.DateOnly)))
	s.do(mediator, dispute, "report-breach", fmt.Sprintf(`{"reason":"哨兵%s-breach"}`, canary)) // nobody can open it over the API

	// Refused, in every way that a request can be; no answer may repeat it.
	good := body("report")
	for name, r := range map[string]reply{
		"a wrong word":           s.post(channel, "/demands", strings.Replace(good, `"report"`, `"`+canary+`"`, 1)),
		"a long title":           s.post(channel, "/demands", strings.Replace(good, canary, strings.Repeat(canary, 20), 1)),
		"a control character":    s.post(channel, "/demands", strings.Replace(good, canary, canary+`\u0007`, 1)),
		"broken JSON":            s.post(channel, "/demands", good[:len(good)-1]),
		"something behind":       s.post(channel, "/demands", good+canary),
		"a number for a text":    s.post(channel, "/demands", strings.Replace(good, `"reporter":{`, `"reporter":{"nick":1`+digits+`,`, 1)),
		"a key with a blank":     s.post(channel, "/demands", good, "Idempotency-Key", canary+" "+digits),
		"a key that is a phone":  s.post(channel, "/demands", good, "Idempotency-Key", canary+":13800138000"),
		"another type":           s.post(channel, "/demands", good, "Content-Type", "text/"+canary),
		"no key":                 s.post("", "/demands", good),
		"a wrong key":            s.post("gck_"+canary, "/demands", good),
		"a role that may not":    s.post(s.as(orgs.Auditor, s.district), "/demands", good),
		"a wrong state":          s.post(clerk, consult+"/fast-track", `{"reason":"errand","citation":"`+canary+`","route":{"dispute":1}}`, "If-Match", `"1"`),
		"a stale revision":       s.post(resident, issue+"/supplement", `{"text":"哨兵`+canary+`"}`, "If-Match", `"0"`),
		"no revision":            s.post(resident, issue+"/supplement", `{"text":"哨兵`+canary+`"}`),
		"a strange revision":     s.post(resident, issue+"/supplement", `{"text":"哨兵`+canary+`"}`, "If-Match", `"`+canary+`"`),
		"a strange confirmation": s.post(resident, issue+"/supplement", `{"text":"哨兵`+canary+`"}`, "If-Match", `"9"`, "GridCase-Confirmation", canary+"."+canary),
		"another's demand":       s.post(s.as(orgs.Resident, s.community, 2), issue+"/supplement", `{"text":"哨兵`+canary+`"}`, "If-Match", `"0"`),
		"a path":                 s.get(clerk, "/demands/"+canary),
		"a tracking code":        s.get("", "/track/"+canary),
		"a cursor":               s.get(clerk, "/demands?after="+canary),
		"a number":               s.get(clerk, "/demands?number="+canary),
		"a filter":               s.get(clerk, "/demands?phase="+canary),
		"a position":             s.get(clerk, "/events?after="+canary),
		"a route":                s.get(clerk, "/"+canary),
		"a method":               s.send(clerk, "X"+strings.ToUpper(canary), "/api/v1/demands", ""),
	} {
		if r.StatusCode < 400 || r.StatusCode > 499 {
			t.Errorf("%s: got %d %s, want it refused", name, r.StatusCode, r.raw)
		}
		if bytes.Contains(r.raw, []byte(canary)) || bytes.Contains(r.raw, []byte(digits)) {
			t.Errorf("%s: the answer repeats what was sent: %s", name, r.raw)
		}
	}
	for _, r := range []reply{ // of these, the name of the member must be told
		s.post(channel, "/demands", strings.Replace(good, `"kind"`, `"`+canary+`":1,"kind"`, 1)),
		s.get(clerk, "/demands?"+canary+"=1"),
	} {
		s.want(r, 422, "invalid")
	}
	a.kept = slices.DeleteFunc(a.kept, func(text string) bool { return strings.Contains(good, text) })

	// Repeated, read with headers of the caller's, searched for, and opened.
	again := body("issue")
	s.want(s.post(channel, "/demands", again, "Idempotency-Key", "repeated"), 201, "")
	s.want(s.post(channel, "/demands", again, "Idempotency-Key", "repeated", "User-Agent", canary, "traceparent", "00-"+canary, "X-Forwarded-For", canary), 201, "")
	s.want(s.post(channel, "/demands", strings.Replace(again, canary, canary+"-changed", 1), "Idempotency-Key", "repeated"), 422, "key_reused")
	s.settle()
	open := func(s *town, purpose string) {
		t.Helper()
		for _, path := range []string{"/demands", "/orders"} {
			list, _ := s.want(s.get(clerk, path+"?limit=200"), 200, "").at("items").([]any)
			for _, item := range list {
				r := s.want(s.post(clerk, path+"/"+item.(map[string]any)["id"].(string)+"/personal-data", fmt.Sprintf(`{"purpose":%q}`, purpose)), 200, "")
				a.shown = append(a.shown, r.raw...)
			}
		}
	}
	search := func(s *town) {
		t.Helper()
		for _, q := range []string{canary + "-issue-title", "哨兵" + canary, visible} {
			s.finds(clerk, "/demands?count=true&q="+url.QueryEscape(q), func(count float64) bool { return count > 0 })
		}
	}
	open(s, "handling")
	search(s)
	for _, text := range a.kept {
		if !bytes.Contains(a.shown, []byte(text)) {
			t.Errorf("%s was taken in, and is not among what can be opened", text)
		}
	}
	metrics := s.send("", http.MethodGet, "/metrics", "")
	if !bytes.Contains(metrics.raw, []byte("gridcase_pii_reads_total")) {
		t.Errorf("metrics: %s", metrics.raw)
	}
	if err := os.WriteFile(filepath.Join(dir, "metrics.txt"), metrics.raw, 0o600); err != nil {
		t.Fatal(err)
	}
	dark(t, dir, "log.db") // with what is not yet written back from the write-ahead logs

	// Started again: the search is built anew from ciphertext, the views from nothing.
	keys := s.keys
	s.shut()
	s = serveTown(t, dir, logger)
	s.keys = keys
	search(s)
	open(s, "contact")
	s.sound()
	s.shut()
	must(t, "rebuild", "--data", dir)
	must(t, "export", "--data", dir, "--out", filepath.Join(dir, "export.jsonl"))
	dark(t, dir, "log.db", "export.jsonl", "views-")
	if log, err := os.ReadFile(logged.Name()); err != nil || bytes.Count(log, []byte(`"msg":"request"`)) < 100 {
		t.Errorf("the log of the server holds too little to prove anything: %d bytes %v", len(log), err)
	}
}

// finds asks until a list has the count that is wanted: the search follows the views in the background.
func (s *town) finds(key, path string, wanted func(count float64) bool) {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		r := s.want(s.get(key, path), 200, "")
		if count, _ := r.at("count").(float64); wanted(count) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("GET %s: still %s", path, r.raw)
			return
		}
	}
}

// mappingFile writes a mapping for files with every column, held by a unit.
func mappingFile(t *testing.T, dir string, holding orgs.UnitCode) string {
	t.Helper()
	path := filepath.Join(dir, "mapping.yaml")
	text := "source: older\ncolumns: {id: id, account: account, name: name, phone: phone, title: title, text: text, occurred_at: at, address: address}\n" +
		"place: {holding: \"" + string(holding) + "\"}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func csvFile(t *testing.T, dir string, rows [][]string) string {
	t.Helper()
	path := filepath.Join(dir, "in.csv")
	var text bytes.Buffer
	if err := csv.NewWriter(&text).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// One resident's messages are one person's to those who may know it, and to nobody who has only the files.
func TestWhoWroteFiveOfTheMessagesIsKnownOnlyToThoseWhoMay(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	dir, outside := t.TempDir(), t.TempDir()
	if err := seedFolder(t.Context(), dir, streams{out: io.Discard, err: io.Discard}, seeding{size: city.Street, seed: 1}); err != nil {
		t.Fatal(err)
	}
	s := serveTown(t, dir, slog.New(slog.DiscardHandler)) // to learn where it is
	s.shut()
	rows := [][]string{{"id", "account", "name", "phone", "title", "text", "at", "address"}}
	for n := range 20 {
		who := fmt.Sprint("resident-", n)
		if n%4 == 0 {
			who = "resident-of-five"
		}
		rows = append(rows, []string{fmt.Sprint("row-", n), who, "居民" + who, "000" + who, "标题", "正文", fmt.Sprintf("2024-01-%02dT03:04:05+08:00", n+1), "地址" + who})
	}
	must(t, "import", "--data", dir, "--mapping", mappingFile(t, outside, s.community), csvFile(t, outside, rows))
	s = serveTown(t, dir, slog.New(slog.DiscardHandler))
	clerk := s.as(orgs.Clerk, s.community)
	all := map[string]string{} // reference to id
	list, _ := s.want(s.get(clerk, "/demands?channel=import&limit=200"), 200, "").at("items").([]any)
	for _, item := range list {
		d := item.(map[string]any)
		all[d["external_ref"].(string)] = d["id"].(string)
	}
	if len(all) != 20 {
		t.Fatalf("%d demands were taken over, want 20", len(all))
	}
	path := "/demands?count=true&same_reporter_as="
	for _, key := range []string{clerk, s.as(orgs.PrivacyOfficer, "150100")} {
		for row, want := range map[string]float64{"row-0": 5, "row-16": 5, "row-1": 1} {
			s.finds(key, path+all[row], func(count float64) bool { return count == want })
		}
	}
	for _, role := range []orgs.Role{orgs.Handler, orgs.Auditor, orgs.Verifier, orgs.CallbackAgent, orgs.Channel} {
		s.want(s.get(s.as(role, s.community), path+all["row-0"]), 403, "role_missing")
	}
	for _, row := range []string{"row-1", "row-2"} {
		s.do(clerk, "/demands/"+all[row], "accept", fmt.Sprintf(`{"kind":"issue","matter":"170101","urgency":"C","unit":%q,"summary":"公开%s"}`, s.community, visible))
	}
	others := slices.DeleteFunc(s.house.engine.Units().Children(s.street), func(u orgs.UnitCode) bool { return u == s.community })
	s.want(s.get(s.as(orgs.Clerk, others[0]), path+all["row-0"]), 404, "not_found")
	s.shut()

	var five, rest []string
	for n := range 20 {
		if id := all[fmt.Sprint("row-", n)]; n%4 == 0 {
			five = append(five, id)
		} else {
			rest = append(rest, id)
		}
	}
	links, compared := linking(t, dir, five, rest)
	for _, l := range links {
		t.Errorf("the five are linked by %s", l)
	}
	if compared < 100 {
		t.Errorf("only %d values were compared", compared)
	}
	if links, _ := linking(t, dir, rest[:2], slices.Concat(rest[2:], five)); !slices.Contains(links, visible) {
		t.Errorf("two demands with one public summary are linked by %v only, so nothing would be found", links)
	}
}

// linking reads every row of every SQLite file below a folder, and returns the values of eight characters or more that
// rows about at least two of some demands have, and no row about any other demand; and how many values it compared.
func linking(t *testing.T, dir string, some, others []string) (links []string, compared int) {
	t.Helper()
	word := regexp.MustCompile(`[A-Za-z0-9+/_=-]{8,}`)
	instant := regexp.MustCompile(`^1[0-9]{12}([0-9]{3}){0,2}$`) // two rows of one moment are no link
	holders := map[string]map[string]bool{}                      // value to demands
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(dir, "*", "*.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(files, more...) {
		for _, row := range everyRow(t, path) {
			for _, id := range slices.Concat(some, others) {
				plain, _ := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
				if !bytes.Contains(row, []byte(id)) && !bytes.Contains(row, plain) {
					continue
				}
				for _, value := range word.FindAllString(string(row), -1) {
					if instant.MatchString(value) {
						continue
					}
					if holders[value] == nil {
						holders[value] = map[string]bool{}
					}
					holders[value][id] = true
				}
			}
		}
	}
	for value, by := range holders {
		of := 0
		for _, id := range some {
			if by[id] {
				of++
			}
		}
		if of >= 2 && of == len(by) {
			links = append(links, value)
		}
	}
	return links, len(holders)
}

// everyRow returns the rows of all tables of a file, their values one after the other: text as it is, bytes as they are and in hexadecimal.
func everyRow(t *testing.T, path string) (all [][]byte) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tables, err := db.Query("SELECT name FROM sqlite_schema WHERE type = 'table'")
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer tables.Close()
	var names []string
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	for _, name := range names {
		rows, err := db.Query(`SELECT * FROM "` + name + `"`)
		if err != nil {
			t.Fatalf("%s %s: %v", path, name, err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatalf("%s %s: %v", path, name, err)
			}
			var row bytes.Buffer
			for _, v := range values {
				if b, raw := v.([]byte); raw {
					row.Write(b)
					fmt.Fprintf(&row, " %x", b)
				} else {
					fmt.Fprint(&row, v)
				}
				row.WriteByte('\n')
			}
			all = append(all, row.Bytes())
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestTheResidentOf92RealMessagesIsOnePerson(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: the run without -short has it")
	}
	file, dir := shared(t, "citizen-messages.csv"), t.TempDir()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	ids, most := map[string]string{}, map[string]int{} // the last message of each resident, and how many there are
	busiest := ""
	for _, row := range rows[1:] {
		who := row[slices.Index(rows[0], "resident")]
		ids[who] = row[slices.Index(rows[0], "message_id")]
		if most[who]++; most[who] > most[busiest] {
			busiest = who
		}
	}
	must(t, "import", "--data", dir, "--mapping", messagesMapping, file)
	h, err := openHouse(context.Background(), dir, streams{out: io.Discard, err: io.Discard}, houseOptions{keep: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	for deadline := time.Now().Add(20 * time.Second); !h.views.Search().Ready() && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
	}
	found := h.views.Search().SameReporter(stream.DemandFor("import/citizen-messages", ids[busiest]))
	if most[busiest] != 92 || len(found) != 92 {
		t.Errorf("found %d messages of the resident who wrote %d, want 92", len(found), most[busiest])
	}
}
