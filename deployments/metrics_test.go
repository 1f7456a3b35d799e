package deployments

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

// exposition is what a node shows under /metrics: the labels of each series name.
type exposition map[string]map[string]bool

func exposed(metrics string) exposition {
	all := exposition{"up": {}} // Prometheus makes this one itself
	for _, line := range regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? `).FindAllStringSubmatch(metrics, -1) {
		if all[line[1]] == nil {
			all[line[1]] = map[string]bool{}
		}
		for _, l := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(line[2], -1) {
			all[line[1]][l[1]] = true
		}
	}
	for _, labels := range all { // Prometheus adds these to every series
		labels["instance"], labels["job"] = true, true
	}
	return all
}

// words of the query language that are no names of metrics or labels
var language = []string{"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "offset", "bool", "inf", "nan"}

// lacks says what an expression names that a node does not show.
func (e exposition) lacks(expr string) (faults []string) {
	expr = regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllString(expr, " ")        // ranges
	expr = regexp.MustCompile(`\boffset \w+`).ReplaceAllString(expr, " ")      // and offsets
	selector := regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}`) // name{label="…"}
	group := regexp.MustCompile(`\b(by|without|on|ignoring)\s*\(([^)]*)\)`)    // by (label)
	quoted := regexp.MustCompile(`"[^"]*"`)                                    // values
	name := regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)(\s*\(|\s+(?:by|without)\s*\()?`)
	labels := map[string]bool{}
	for _, g := range group.FindAllStringSubmatch(expr, -1) {
		for _, l := range strings.Split(g[2], ",") {
			labels[strings.TrimSpace(l)] = true
		}
	}
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, l := range regexp.MustCompile(`([a-zA-Z_]+)\s*(?:=~|!~|!=|=)`).FindAllStringSubmatch(quoted.ReplaceAllString(s[2], `""`), -1) {
			if e[s[1]] != nil && !e[s[1]][l[1]] {
				faults = append(faults, fmt.Sprintf("%s has no label %s", s[1], l[1]))
			}
		}
	}
	rest := group.ReplaceAllString(selector.ReplaceAllString(expr, "$1 "), " ")
	metrics := 0
	for _, n := range name.FindAllStringSubmatch(quoted.ReplaceAllString(rest, ""), -1) {
		if strings.HasSuffix(n[2], "(") || slices.Contains(language, strings.ToLower(n[1])) {
			continue
		}
		metrics++
		if e[n[1]] == nil {
			faults = append(faults, "no metric "+n[1])
			continue
		}
		for l := range labels {
			if l != "le" && !e[n[1]][l] {
				faults = append(faults, fmt.Sprintf("%s has no label %s", n[1], l))
			}
		}
	}
	if metrics == 0 {
		faults = append(faults, "names no metric")
	}
	return faults
}

// panel is what our dashboard uses of the format.
type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ H, W, X, Y int }
	Datasource  struct{ Type, UID string }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ RefID, Expr string }
}

type dashboard struct {
	UID        string
	Panels     []panel
	Templating struct {
		List []struct {
			Name       string
			Datasource struct{ UID string }
			Query      struct{ Query string }
		}
	}
}

// dashboardFaults says what is wrong with a dashboard, given what a node shows and which source of data is set up.
func dashboardFaults(file string, e exposition, source string) (faults []string) {
	var d dashboard
	if err := json.Unmarshal([]byte(file), &d); err != nil {
		return []string{err.Error()}
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if d.UID == "" {
		fault("no uid: each start would make another board")
	}
	ids, taken, shown := map[int]bool{}, map[[2]int]string{}, 0
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] {
			fault("%s: the id %d is not its own", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, is := taken[[2]int{x, y}]; is {
					fault("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.GridPos.W == 0 || p.GridPos.H == 0 || p.GridPos.X+p.GridPos.W > 24 {
			fault("%s has no room", p.Title)
		}
		if p.Type == "row" {
			continue
		}
		shown++
		if p.FieldConfig.Defaults.Unit == "" {
			fault("%s: no unit", p.Title)
		}
		if p.Datasource.UID != source {
			fault("%s: asks %q", p.Title, p.Datasource.UID)
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] || q.RefID == "" {
				fault("%s: two queries are called %q", p.Title, q.RefID)
			}
			refs[q.RefID] = true
			for _, f := range e.lacks(q.Expr) {
				fault("%s: %s", p.Title, f)
			}
		}
		if len(p.Targets) == 0 {
			fault("%s: asks nothing", p.Title)
		}
	}
	for _, v := range d.Templating.List {
		m := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Query.Query)
		if m == nil || !e[m[1]][m[2]] || v.Datasource.UID != source {
			fault("the variable %s: %s", v.Name, v.Query.Query)
		}
	}
	if shown < 10 {
		fault("%d panels", shown)
	}
	return faults
}

// alert is one rule.
type alert struct {
	Alert, Expr, For string
	Labels           struct{ Severity string }
	Annotations      struct{ Summary string }
}

func alerts(t *testing.T, file string) (all []alert) {
	t.Helper()
	var rules struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	if err := yaml.Unmarshal([]byte(file), &rules); err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Annotations.Summary == "" || r.Labels.Severity != g.Name {
				t.Errorf("%+v: want a name, a summary, and the severity of its group, %s", r, g.Name)
			}
			all = append(all, r)
		}
	}
	return all
}

// Everything that a rule or a panel names is in /metrics of a running node: a street that was seeded, has worked a little, and met
// an event of a newer program.
func TestEveryMetricThatRulesAndPanelsNameIsShownByARunningNode(t *testing.T) {
	dir := t.TempDir()
	demo(t, dir).stop()
	plantNewerEvent(t, filepath.Join(dir, "log.db"))
	n := demo(t, dir)
	id := n.raise(http.DefaultClient, n.url)
	clerk, unit := n.key("clerk")
	if res, body := ask(t, http.DefaultClient, clerk, "POST", n.url+"/api/v1/demands/"+id+"/accept",
		fmt.Sprintf(`{"kind":"issue","matter":"170101","urgency":"D","unit":%q,"summary":"车棚"}`, unit), "If-Match", `"0"`); res.StatusCode != 200 {
		t.Fatalf("accept: %d %s", res.StatusCode, body)
	}
	if res, body := ask(t, http.DefaultClient, clerk, "POST", n.url+"/api/v1/demands/"+id+"/personal-data", `{"purpose":"handling"}`); res.StatusCode != 200 {
		t.Fatalf("open personal data: %d %s", res.StatusCode, body)
	}
	var e exposition
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { // the views follow
		_, metrics := ask(t, http.DefaultClient, "", "GET", n.url+"/metrics", "")
		if e = exposed(metrics); e["gridcase_views_unknown_events_total"] != nil || time.Now().After(deadline) {
			break
		}
	}
	n.stop()
	settings := filepath.Join(t.TempDir(), "gridcase.yaml")
	if err := os.WriteFile(settings, fmt.Appendf(nil, "relays:\n  archive:\n    file: %s\n    types: [demand]\n    role: auditor\n    unit: %q\nfeeds:\n  wechat:\n    unit: %q\n    nats: {url: \"nats://127.0.0.1:1\", subject: in}\n",
		filepath.Join(t.TempDir(), "relayed.jsonl"), unit, unit), 0o600); err != nil {
		t.Fatal(err)
	}
	_, metrics := ask(t, http.DefaultClient, "", "GET", serve(t, dir, "--config", settings).url+"/metrics", "")
	for name, labels := range exposed(metrics) { // what a node shows that tells other systems
		if strings.HasPrefix(name, "gridcase_relay_") || strings.HasPrefix(name, "gridcase_feed_") {
			e[name] = labels
		}
	}
	for _, a := range alerts(t, text(t, "prometheus/alerts.yml")) {
		for _, f := range e.lacks(a.Expr) {
			t.Errorf("alert %s: %s", a.Alert, f)
		}
	}
	var sources struct{ Datasources []struct{ UID string } }
	if err := yaml.Unmarshal([]byte(text(t, "grafana/provisioning/datasources/gridcase.yml")), &sources); err != nil || len(sources.Datasources) != 1 {
		t.Fatal(sources, err)
	}
	board := text(t, "grafana/gridcase.json")
	for _, f := range dashboardFaults(board, e, sources.Datasources[0].UID) {
		t.Errorf("dashboard: %s", f)
	}
	for from, to := range map[string]string{
		"gridcase_views_gaps_total": "gridcase_views_holes_total",
		"sum by (level)":            "sum by (grid)",
		`"id": 7`:                   `"id": 6`,
		`"unit": "s"`:               `"unit": ""`,
		"\"type\": \"prometheus\",\n    \"uid\": \"gridcase\"": "\"type\": \"prometheus\",\n    \"uid\": \"elsewhere\"",
		`"x": 12`:                     `"x": 11`,
		`{instance=~\"$instance\"}`:   `{node=~\"$instance\"}`,
		"label_values(gridcase_build": "label_values(gridcase_built",
	} {
		if bad := strings.Replace(board, from, to, 1); bad == board {
			t.Errorf("the dashboard has no %q to spoil", from)
		} else if len(dashboardFaults(bad, e, sources.Datasources[0].UID)) == 0 {
			t.Errorf("%q instead of %q is not noticed", to, from)
		}
	}
	for expr, want := range map[string]string{
		"gridcase_integrity_violations_total > 0":                       "no metric gridcase_integrity_violations_total",
		`rate(nginx_requests_total[5m])`:                                "no metric nginx_requests_total",
		`sum without (case) (gridcase_views_lag_seconds offset 5m) > 1`: "gridcase_views_lag_seconds has no label case",
		`gridcase_views_quarantined{veiw="x"} > 0`:                      "gridcase_views_quarantined has no label veiw",
		"vector(1)": "names no metric",
	} {
		if faults := e.lacks(expr); !slices.Equal(faults, []string{want}) {
			t.Errorf("%s: found %q, want %q", expr, faults, want)
		}
	}
}

// plantNewerEvent appends what a newer program might have: an event of a type that this one does not know.
func plantNewerEvent(t *testing.T, path string) {
	t.Helper()
	log, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	last := map[string]eventlog.Event{}
	for batch, err := range log.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Events {
			if strings.HasPrefix(e.Stream, "gridcase.demand-") {
				last[e.Stream] = e
			}
		}
		if batch.Live {
			break
		}
	}
	for _, name := range slices.Sorted(maps.Keys(last))[:1] {
		if _, err := log.Append(ctx, name, last[name].Revision, eventlog.Fact{ID: uuid.New(), Type: "demand-praised/1", Data: []byte(`{}`), Meta: last[name].Meta}); err != nil {
			t.Fatal(err)
		}
	}
}

// The manual has a row for each alert, with its severity, and for no other.
func TestTheManualExplainsEveryAlert(t *testing.T) {
	explained := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(GridCase[A-Za-z]+)` \\| (page|tell) \\|").FindAllStringSubmatch(text(t, "../docs/operations.md"), -1) {
		explained[row[1]] = row[2]
	}
	tested := text(t, "prometheus/alerts_test.yml")
	for _, a := range alerts(t, text(t, "prometheus/alerts.yml")) {
		if explained[a.Alert] != a.Labels.Severity {
			t.Errorf("%s (%s) is in the manual as %q", a.Alert, a.Labels.Severity, explained[a.Alert])
		}
		delete(explained, a.Alert)
		if !strings.Contains(tested, "alertname: "+a.Alert+", exp_alerts: []}") || !strings.Contains(tested, "alertname: "+a.Alert+"\n        exp_alerts:") {
			t.Errorf("%s has no test that fires it, or none in which it must not fire", a.Alert)
		}
	}
	for left := range explained {
		t.Errorf("the manual explains %s, which is no alert", left)
	}
}
