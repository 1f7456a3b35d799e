package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"gridcase/cmd/gridcase/city"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/eventlog/esdb"
	"gridcase/eventlog/esdbtest"
)

// onEveryLog runs a test on a town whose log is in its folder, on one whose log is in a cluster, and on a real server if
// GRIDCASE_ESDB names one. A real server has the time of the day, not the town's, and so has one of our own clusters.
func onEveryLog(t *testing.T, test func(t *testing.T, s *town)) {
	t.Run("the log in the folder", func(t *testing.T) { test(t, openTown(t)) })
	t.Run("the log in a cluster", func(t *testing.T) {
		s, _ := openRemoteTown(t)
		test(t, s)
	})
	t.Run("the log in a cluster with a clock of its own", func(t *testing.T) {
		test(t, serveRemoteTown(t, startCluster(t, esdbtest.Options{Nodes: 3}).ConnectionString()))
	})
	t.Run("the log on a real server", func(t *testing.T) {
		server := os.Getenv("GRIDCASE_ESDB")
		if server == "" {
			t.Log("not run: GRIDCASE_ESDB names no EventStoreDB")
			return
		}
		with := "?"
		if strings.Contains(server, "?") {
			with = "&"
		}
		test(t, serveRemoteTown(t, server+with+"space=script-"+uuid.NewString()+"."))
	})
}

func startCluster(t *testing.T, o esdbtest.Options) *esdbtest.Cluster {
	t.Helper()
	c, err := esdbtest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// openRemoteTown serves a town whose log is in a cluster of three nodes that have the town's clock.
func openRemoteTown(t *testing.T, settings ...string) (*town, *esdbtest.Cluster) {
	t.Helper()
	var served atomic.Pointer[town]
	eve := city.New(city.Street).Eve()
	cluster := startCluster(t, esdbtest.Options{Nodes: 3, Clock: func() time.Time {
		if s := served.Load(); s != nil {
			return s.clock()
		}
		return eve
	}})
	s := serveRemoteTown(t, cluster.ConnectionString(settings...))
	served.Store(s)
	return s, cluster
}

// serveRemoteTown makes the units of a street on a log that is empty, and serves it until the test ends.
func serveRemoteTown(t *testing.T, connection string) *town {
	t.Helper()
	dir := t.TempDir()
	log, err := esdb.Open(t.Context(), connection, esdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := seedInMemory(t.Context(), seeding{size: city.Street, seed: 1, dir: dir, log: log, say: func(int) {}})
	if err == nil {
		err = m.close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return serveTownOn(t, dir, connection, slog.New(slog.DiscardHandler))
}

func TestAFolderStaysWithItsLog(t *testing.T) {
	cluster := startCluster(t, esdbtest.Options{})
	connection := cluster.ConnectionString()
	remote, own := t.TempDir(), t.TempDir()
	units := filepath.Join(t.TempDir(), "units.yaml")
	if err := os.WriteFile(units, []byte("units:\n  - {code: \"150100\", name: 呼和浩特市, kind: city}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "units", "load", "--data", remote, "--log", connection, units)
	must(t, "units", "load", "--data", own, units)
	for _, c := range []struct {
		says string
		args []string
	}{
		{"say which with --log", []string{"units", "list", "--data", remote}},
		{"has a log of its own", []string{"units", "list", "--data", own, "--log", connection}},
		{"unknown setting", []string{"units", "list", "--data", remote, "--log", connection + "&speed=high"}},
	} {
		if out, errs, status := call(t, c.args...); status != 1 || !strings.Contains(errs, c.says) {
			t.Errorf("%v: got %d %s%s, want 1 and %q", c.args, status, out, errs, c.says)
		}
	}
	for _, args := range [][]string{{"units", "list"}, {"export"}, {"rebuild"}, {"views", "digest"}, {"policies", "list"}, {"calendar", "list"}} {
		args = append(args, "--data", remote, "--log", connection)
		if out := must(t, args...); out == "" {
			t.Errorf("gridcase %v said nothing", args)
		}
	}
	if n := len(cluster.Held(stream.Prefix)); n == 0 {
		t.Error("nothing is on the server")
	}
}

func TestTwoProcessesDoNotShareAFolderWhoseLogIsElsewhere(t *testing.T) {
	connection := startCluster(t, esdbtest.Options{}).ConnectionString()
	dir := t.TempDir()
	first, err := openLog(t.Context(), dir, houseOptions{log: connection})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := openLog(t.Context(), dir, houseOptions{log: connection}); err == nil {
		second.Close()
		t.Error("the folder was opened twice")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openLog(t.Context(), dir, houseOptions{log: connection})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// metric reads one figure of the town's node.
func (s *town) metric(name string) (sum float64) {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
			return sum
		}
	}
	s.t.Fatalf("there is no metric %s", name)
	return 0
}

// An event that the server does not send is missed when the next one of its stream comes, and read from the stream.
func TestAHoleInTheSubscriptionIsCountedAndHealed(t *testing.T) {
	s, cluster := openRemoteTown(t)
	resident := s.as(orgs.Resident, s.community)
	d := s.raise(resident, "errand", "请帮忙代缴水费")
	name := string(s.stream(d))
	cluster.Faults.Hide(func(stream string, revision int) bool { return stream == name && revision == 1 })
	tag := s.want(s.get(s.as(orgs.Clerk, s.community), d), 200, "").Header.Get("ETag")
	accept := fmt.Sprintf(`{"kind":"errand","matter":"170101","urgency":"C","unit":%q,"grid":%q,"summary":"公开摘要"}`, s.community, s.grids[0])
	tag = s.want(s.post(s.as(orgs.Clerk, s.community), d+"/accept", accept, "If-Match", tag), 200, "").Header.Get("ETag")
	s.want(s.post(s.as(orgs.Clerk, s.community), d+"/fast-track", fmt.Sprintf(`{"reason":"errand","route":{"order":{"lead":%q}}}`, s.grids[0]), "If-Match", tag), 200, "")
	s.settle()
	if gaps := s.metric("gridcase_views_gaps_total"); gaps != 1 {
		t.Errorf("gridcase_views_gaps_total is %v, want 1", gaps)
	}
	healed, _, err := s.house.views.Views().Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cluster.Faults.Hide(nil)
	if err := s.house.views.Rebuild(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	whole, _, err := s.house.views.Views().Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(healed, whole) {
		t.Error("the healed views are not those that are built from the whole log")
	}
	s.sound()
}

// An event whose payload was overwritten is shown by nobody as what it was; its case is parked, the others go on.
func TestARedactedEventParksItsCaseAlone(t *testing.T) {
	s, cluster := openRemoteTown(t)
	first, second := s.raise(s.as(orgs.Resident, s.community, 1), "errand", "请帮忙代缴水费"), s.raise(s.as(orgs.Resident, s.community, 2), "errand", "请帮忙换灯泡")
	cluster.Redact(string(s.stream(first)), 0)
	if err := s.house.views.Rebuild(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	parked, err := s.house.views.Parked(t.Context())
	if err != nil || len(parked) == 0 {
		t.Errorf("nothing is parked (%v), although an event is unreadable", err)
	}
	for _, p := range parked {
		if p.Stream != s.stream(first) {
			t.Errorf("%s is parked, want %s alone", p.Stream, s.stream(first))
		}
	}
	s.accept(second, "errand", "C")
	s.phase(second, "accepted")
	if n := s.metric("gridcase_views_quarantined"); n == 0 {
		t.Error("gridcase_views_quarantined is 0")
	}
}

// While the log is away a command is answered in time with "unknown", reads say what they reflect, and afterwards the same command
// again is answered as if nothing had been.
func TestANodeOutlivesItsLogsOutage(t *testing.T) {
	s, cluster := openRemoteTown(t, "defaultDeadline=400")
	resident := s.as(orgs.Resident, s.community)
	d := s.raise(resident, "errand", "请帮忙代缴水费")
	s.accept(d, "errand", "C")
	tag := s.want(s.get(resident, d), 200, "").Header.Get("ETag")
	s.want(s.get(s.as(orgs.Clerk, s.community), "/demands"), 200, "") // the first use of a key is in the log
	ask := func(method, path, body string) (*http.Response, time.Duration) {
		t.Helper()
		req, err := http.NewRequest(method, s.url+"/api/v1"+d+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + resident, "Content-Type": "application/json", "Idempotency-Key": "outage-1", "If-Match": tag} {
			req.Header.Set(name, value)
		}
		began := time.Now()
		res, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		res.Body = io.NopCloser(bytes.NewReader(b))
		return res, time.Since(began)
	}
	urge := func() (*http.Response, time.Duration) {
		t.Helper()
		return ask(http.MethodPost, "/urge", `{"text":"何时能办"}`)
	}
	for i := range 3 {
		cluster.Node(i).Stop()
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for began := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				t.Fatalf("%s: it did not come in ten seconds", what)
			}
		}
	}
	until("views that know they may be old", func() bool { return !s.house.views.Live() })
	if res, took := urge(); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || took > 3*time.Second {
		t.Errorf("a command to a log that is away: got %d after %s, want 503 with Retry-After in time", res.StatusCode, took)
	}
	// A reading has no outcome: it is not said to be unknown.
	res, _ := ask(http.MethodGet, "", "")
	if b, _ := io.ReadAll(res.Body); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(string(b), `"code":"unavailable"`) {
		t.Errorf("a reading of a log that is away: got %d %s, want 503 unavailable with Retry-After", res.StatusCode, b)
	}
	if list := s.want(s.get(s.as(orgs.Clerk, s.community), "/demands"), 200, ""); list.Header.Get("GridCase-Position") == "" {
		t.Error("a list does not say what it reflects")
	}
	for i := range 3 {
		if err := cluster.Node(i).Start(); err != nil {
			t.Fatal(err)
		}
	}
	healed := time.Now()
	until("live views", s.house.views.Live)
	if took := time.Since(healed); took > 3*time.Second {
		t.Errorf("the views were live again after %s, want 3 s", took)
	}
	if n := s.metric("gridcase_subscription_reconnects_total"); n == 0 {
		t.Error("gridcase_subscription_reconnects_total is 0")
	}
	for _, replayed := range []string{"", "true"} {
		if res, _ := urge(); res.StatusCode != 200 || res.Header.Get("Idempotency-Replayed") != replayed {
			t.Errorf("the same command afterwards: got %d, replayed %q, want 200, %q", res.StatusCode, res.Header.Get("Idempotency-Replayed"), replayed)
		}
	}
	s.sound()
}
