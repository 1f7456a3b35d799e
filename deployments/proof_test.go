//go:build deploy

package deployments

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// These tests take tools that are not ours. "make test-deploy" runs each where its tool is; a tool that is missing here fails them.

// run runs a tool in a folder and returns what it printed.
func run(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// must runs a tool that has to succeed.
func must(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	out, err := run(t, dir, env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// copied copies a folder of this room to where it can be spoilt.
func copied(t *testing.T, folder string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Rules and their tests hold, and each alert's tests notice a rule that never fires and one that always does.
func TestPrometheusTakesTheRulesAndTheirTests(t *testing.T) {
	dir := copied(t, "prometheus")
	must(t, dir, nil, "promtool", "check", "config", "prometheus.yml")
	must(t, dir, nil, "promtool", "check", "rules", "alerts.yml")
	must(t, dir, nil, "promtool", "test", "rules", "alerts_test.yml")
	all := alerts(t, text(t, "prometheus/alerts.yml"))
	comparison := regexp.MustCompile(`(?s)\s*(==|[<>])\s*(-?[0-9.]+|\(.*)$`)
	for _, a := range all {
		alone(t, dir, a.Alert, a.Expr, true)
		if out, err := run(t, dir, nil, "promtool", "test", "rules", "alone_test.yml"); err != nil {
			t.Errorf("%s alone: %v\n%s", a.Alert, err, out)
		}
		for _, spoilt := range []struct {
			what, expr string
			patient    bool
		}{
			{"that never fires", a.Expr + " and on () vector(0) > 1", true},
			{"that fires whatever the value", comparison.ReplaceAllString(a.Expr, ""), true},
			{"that fires at once", a.Expr, false},
		} {
			if spoilt.expr == a.Expr && (spoilt.patient || a.For == "") {
				if spoilt.patient {
					t.Errorf("%s compares nothing: %s", a.Alert, a.Expr)
				}
				continue
			}
			alone(t, dir, a.Alert, spoilt.expr, spoilt.patient)
			if out, err := run(t, dir, nil, "promtool", "test", "rules", "alone_test.yml"); err == nil || !strings.Contains(out, "FAILED") {
				t.Errorf("%s with a rule %s passes its tests: %s: %v\n%s", a.Alert, spoilt.what, spoilt.expr, err, out)
			}
		}
	}
	t.Logf("%d alerts; the tests of each fail when it never fires, when it fires whatever the value, and when it does not wait", len(all))
}

// alone writes one alert, with an expression and perhaps without its patience, and its tests to files of their own.
func alone(t *testing.T, dir, name, expr string, patient bool) {
	t.Helper()
	var rules struct {
		Groups []struct{ Rules []map[string]any }
	}
	var tests map[string]any
	if err := errors.Join(yaml.Unmarshal([]byte(text(t, "prometheus/alerts.yml")), &rules), yaml.Unmarshal([]byte(text(t, "prometheus/alerts_test.yml")), &tests)); err != nil {
		t.Fatal(err)
	}
	var kept []any
	for _, test := range tests["tests"].([]any) {
		test := test.(map[string]any)
		mine := slices.DeleteFunc(test["alert_rule_test"].([]any), func(c any) bool { return c.(map[string]any)["alertname"] != name })
		if len(mine) > 0 { // a test may speak of several alerts; only one is there
			test["alert_rule_test"] = mine
			kept = append(kept, test)
		}
	}
	tests["tests"], tests["rule_files"] = kept, []string{"alone.yml"}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r["alert"] != name {
				continue
			}
			if r["expr"] = expr; !patient {
				delete(r, "for")
			}
			for file, content := range map[string]any{"alone.yml": map[string]any{"groups": []any{map[string]any{"name": "alone", "rules": []any{r}}}}, "alone_test.yml": tests} {
				b, err := yaml.Marshal(content)
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, file), string(b))
			}
			if len(kept) > 0 {
				return
			}
		}
	}
	t.Fatalf("no rule, or no test, for %s", name)
}

// The unit is understood, is exposed to no more than 2.0 of 10, and its command starts the program with the settings it ships.
func TestSystemdTakesTheUnit(t *testing.T) {
	dir := copied(t, "systemd")
	unit := filepath.Join(dir, "gridcase.service")
	good := strings.ReplaceAll(text(t, "systemd/gridcase.service"), "/usr/local/bin/gridcase", program)
	verify := func(text string) (string, error) {
		write(t, unit, text)
		out, err := run(t, dir, nil, "systemd-analyze", "verify", unit)
		if err == nil && out != "" {
			err = fmt.Errorf("it has something to say")
		}
		return out, err
	}
	if out, err := verify(good); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	exposure := func(text string) (string, error) {
		write(t, unit, text)
		return run(t, dir, nil, "systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
	}
	out, err := exposure(good)
	if err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
	t.Log(regexp.MustCompile(`Overall exposure level.*`).FindString(out))
	service := strings.ReplaceAll(text(t, "systemd/gridcase-keys.conf"), "/usr/local/bin/gridcase", program)
	if err := os.Mkdir(unit+".d", 0o755); err != nil {
		t.Fatal(err)
	}
	for drop, taken := range map[string]bool{service: true, strings.Replace(service, "LoadCredential=keys.crt", "LoadCredentials=keys.crt", 1): false, strings.Replace(service, program, "/usr/local/bin/gridkey", 1): false} {
		write(t, filepath.Join(unit+".d", "keys.conf"), drop)
		if out, err := verify(good); (err == nil) != taken {
			t.Errorf("with a key service: %v\n%s, want it taken: %t", err, out, taken)
		}
	}
	if err := os.RemoveAll(unit + ".d"); err != nil {
		t.Fatal(err)
	}
	if out, err := verify(strings.Replace(good, "ProtectSystem=strict", "ProtectSystems=strict", 1)); err == nil {
		t.Errorf("an unknown setting is not noticed: %s", out)
	}
	open := good
	for _, protection := range []string{"DynamicUser=yes\nUser=gridcase\n", "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n", "CapabilityBoundingSet=\n"} {
		bad := strings.Replace(open, protection, "", 1)
		if bad == open {
			t.Errorf("the unit has no %q", protection)
		}
		open = bad
	}
	if _, err := exposure(open); err == nil {
		t.Error("as root, with every system call and capability, it is not too exposed")
	}
	must(t, dir, nil, "systemd-sysusers", "--dry-run", filepath.Join(dir, "gridcase.sysusers"))
	root := t.TempDir()
	must(t, dir, nil, "systemd-tmpfiles", "--root="+root, "--create", filepath.Join(dir, "gridcase.tmpfiles"))
	if info, err := os.Stat(filepath.Join(root, "etc", "gridcase")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("/etc/gridcase: %v %v", info, err)
	}

	state, address := filepath.Join(t.TempDir(), "gridcase"), "127.0.0.1:"+freePort(t)
	write(t, filepath.Join(dir, "gridcase.yaml"), strings.Replace(text(t, "systemd/gridcase.yaml"), "127.0.0.1:8080", address, 1))
	command := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(good)[1]
	words := strings.Fields(strings.NewReplacer("${CREDENTIALS_DIRECTORY}", dir, "${STATE_DIRECTORY}", state).Replace(command))
	serving(t, exec.Command(words[0], words[1:]...), func() error { return exec.Command(program, "healthcheck", "--listen", address).Run() })
}

// serving starts a node, waits until it is ready, and stops it as the machine does: it has to end by itself, with 0, within ten seconds.
func serving(t *testing.T, c *exec.Cmd, ready func() error) {
	t.Helper()
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	defer c.Process.Kill()
	for deadline := time.Now().Add(30 * time.Second); ready() != nil; time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s", err, &said)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not ready: %v\n%s", ready(), &said)
		}
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("told to stop, it ended with %v\n%s", err, &said)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("told to stop, it goes on after 10 s\n%s", &said)
	}
}

// The image that "make image" makes holds four things, and the program in it serves as a user who owns nothing but the data folder.
func TestBuildahMakesAnImageThatServes(t *testing.T) {
	storage, root := t.TempDir(), filepath.Join(t.TempDir(), "root")
	buildah := []string{"--storage-driver", "vfs", "--root", filepath.Join(storage, "root"), "--runroot", filepath.Join(storage, "run")}
	builder := strings.Join(append(append([]string{"buildah"}, buildah...), "bud", "--isolation", "chroot", "--format", "docker"), " ")
	certificates := filepath.Join(t.TempDir(), "ca.crt") // the machine may have none
	write(t, certificates, "none\n")
	began := time.Now()
	must(t, "..", nil, "make", "image", "BUILDER="+builder, "IMAGE=localhost/gridcase:test", "CERTIFICATES="+certificates)
	t.Logf("built in %s", time.Since(began).Round(100*time.Millisecond))

	unpack := func(image, to string) {
		t.Helper()
		container := strings.TrimSpace(must(t, "..", nil, "buildah", append(slices.Clone(buildah), "from", image)...))
		mounted := strings.TrimSpace(must(t, "..", nil, "buildah", append(slices.Clone(buildah), "mount", container)...))
		must(t, "..", nil, "cp", "-a", mounted, to)
	}
	unpack("localhost/gridcase:test", root)
	var files []string
	var size int64
	if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			files, size = append(files, rel), size+info.Size()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"etc/ssl/certs/ca-certificates.crt", "gridcase"}; !slices.Equal(files, want) {
		t.Errorf("the image holds %v, want %v", files, want)
	}
	t.Logf("%.1f MB", float64(size)/1e6)

	var image struct {
		Docker struct {
			Config struct {
				User, WorkingDir string
				Env              []string
				Entrypoint, Cmd  []string
				Healthcheck      *struct{ Test []string }
				Volumes          map[string]any
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(must(t, "..", nil, "buildah", append(slices.Clone(buildah), "inspect", "--type", "image", "localhost/gridcase:test")...)), &image); err != nil {
		t.Fatal(err)
	}
	config := image.Docker.Config
	if _, volume := config.Volumes["/var/lib/gridcase"]; !volume || config.User != "65532:65532" || config.Healthcheck == nil || !slices.Equal(config.Healthcheck.Test, []string{"CMD", "/gridcase", "healthcheck"}) {
		t.Errorf("the image says %+v", config)
	}
	inside := func(root string, env []string, args ...string) *exec.Cmd {
		c := exec.Command(args[0], args[1:]...)
		c.Dir, c.Env = config.WorkingDir, env
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return c
	}
	env := append(slices.Clone(config.Env), "GRIDCASE_LISTEN=0.0.0.0:"+freePort(t))
	serving(t, inside(root, env, append(slices.Clone(config.Entrypoint), config.Cmd...)...), func() error { return inside(root, env, config.Healthcheck.Test[1:]...).Run() })
	if kept, err := os.Stat(filepath.Join(root, "var/lib/gridcase/log.db")); err != nil || kept.Mode().Perm() != 0o600 {
		t.Errorf("the log: %v %v", kept, err)
	}

	// A data folder that the image does not give to its user must be noticed.
	context := copied(t, "../bin/image")
	if err := os.MkdirAll(filepath.Join(context, "tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(context, "Containerfile"), strings.Replace(text(t, "container/Containerfile"), "--chown=65532:65532 ", "", 1))
	must(t, context, nil, "buildah", append(slices.Clone(buildah), "bud", "--isolation", "chroot", "--format", "docker", "-t", "localhost/gridcase:spoilt", ".")...)
	spoilt := filepath.Join(t.TempDir(), "root")
	unpack("localhost/gridcase:spoilt", spoilt)
	if out, err := inside(spoilt, env, append(slices.Clone(config.Entrypoint), config.Cmd...)...).CombinedOutput(); err == nil || !strings.Contains(string(out), "permission denied") {
		t.Errorf("it serves from a folder that is not its own: %v %s", err, out)
	}
}

// Both files are complete for compose, with every variable named, and stop where one is missing.
func TestComposeTakesBothFiles(t *testing.T) {
	env := []string{"KURRENTDB_IMAGE=log.example/log:1", "KURRENTDB_PREFIX=KURRENTDB", "KURRENTDB_DATA=/var/lib/kurrentdb", "GRIDCASE_IMAGE=gridcase:1",
		"GRIDCASE_LOG=esdb://u:p@log-1:2113", "GRIDCASE_ORIGIN=gridcase.test/test/1", "PROMETHEUS_IMAGE=p:1", "GRAFANA_IMAGE=g:1"}
	for file, services := range map[string]int{"single.yml": 1, "cluster.yml": 7} {
		out := must(t, "compose", env, "docker-compose", "-f", file, "config", "--services")
		if got := len(strings.Fields(out)); got != services {
			t.Errorf("%s: %d services, want %d", file, got, services)
		}
		without := slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, "GRIDCASE_ORIGIN=") })
		if out, err := run(t, "compose", without, "docker-compose", "-f", file, "config"); err == nil || !strings.Contains(out, "GRIDCASE_ORIGIN") {
			t.Errorf("%s without a name for the log: %v %s", file, err, out)
		}
	}
	if out := must(t, "compose", env, "docker-compose", "-f", "cluster.yml", "config"); !strings.Contains(out, "KURRENTDB_CLUSTER_SIZE: '3'") {
		t.Errorf("the log's settings are not there: %s", out)
	}
}

func TestKustomizeRendersTheManifests(t *testing.T) {
	rendered := must(t, ".", nil, "kubectl", "kustomize", "kubernetes")
	for _, f := range kubernetesFaults(rendered) {
		t.Error(f)
	}
	all, err := manifests(rendered)
	if err != nil || len(all) != 6 {
		t.Errorf("%d objects %v", len(all), err)
	}
	for _, m := range all {
		if m.Metadata.Namespace != "gridcase" && m.Kind != "Namespace" {
			t.Errorf("%s %s is in the namespace %q", m.Kind, m.Metadata.Name, m.Metadata.Namespace)
		}
		if m.Kind == "StatefulSet" && m.Spec.Template.Spec.Containers[0].Image != "registry.example/gridcase:0.1.0" {
			t.Errorf("the image is %s", m.Spec.Template.Spec.Containers[0].Image)
		}
	}
	dir := copied(t, "kubernetes") // with the keys elsewhere
	write(t, filepath.Join(dir, "kustomization.yaml"), text(t, "kubernetes/kustomization.yaml")+"components: [keys]\n")
	rendered = must(t, dir, nil, "kubectl", "kustomize", ".")
	for _, f := range kubernetesFaults(rendered) {
		t.Errorf("with the keys elsewhere: %s", f)
	}
	all, err = manifests(rendered)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.Kind != "StatefulSet" {
			continue
		}
		c, told := m.Spec.Template.Spec.Containers[0], map[string]string{}
		for _, e := range c.Env {
			told[e.Name] = e.Value
		}
		mounted := false
		for _, v := range c.VolumeMounts {
			mounted = mounted || v.MountPath == "/run/keys"
		}
		if _, where := told["GRIDCASE_KEYS"]; !where || !mounted || told["GRIDCASE_KEYS_CA"] != "/run/keys/ca.crt" || told["GRIDCASE_KEYS_CERT"] != "/run/keys/tls.crt" || told["GRIDCASE_KEYS_KEY"] != "/run/keys/tls.key" {
			t.Errorf("the node is told %v, mounted: %t", told, mounted)
		}
	}
	if !strings.Contains(rendered, "port: 7443") {
		t.Error("the key service can not be reached")
	}
}

// Nodes get certificates by which they know each other and others know them; a second run changes nothing.
func TestTheLogsNodesGetCertificates(t *testing.T) {
	dir := t.TempDir()
	script, err := filepath.Abs("compose/certificates.sh")
	if err != nil {
		t.Fatal(err)
	}
	must(t, dir, nil, script, "certificates", "log-1")
	before := text(t, filepath.Join(dir, "certificates/log-1.crt"))
	if out := must(t, dir, nil, script, "certificates", "log-1", "log-2"); out != "certificates/log-2.crt\n" || text(t, filepath.Join(dir, "certificates/log-1.crt")) != before {
		t.Errorf("the second run: %q", out)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(text(t, filepath.Join(dir, "certificates/ca/ca.crt")))) {
		t.Fatal("no authority")
	}
	for _, node := range []string{"log-1", "log-2"} {
		block, _ := pem.Decode([]byte(text(t, filepath.Join(dir, "certificates", node+".crt"))))
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := c.Verify(x509.VerifyOptions{Roots: roots, DNSName: node, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
				t.Errorf("%s: %v", node, err)
			}
		}
		if _, err := c.Verify(x509.VerifyOptions{Roots: roots, DNSName: "log-9"}); err == nil {
			t.Errorf("%s passes for another", node)
		}
		if c.Subject.CommonName != "eventstoredb-node" {
			t.Errorf("%s: its common name is %s", node, c.Subject.CommonName)
		}
		if key, err := os.Stat(filepath.Join(dir, "certificates", node+".key")); err != nil || key.Mode().Perm() != 0o600 {
			t.Errorf("%s: its key: %v %v", node, key, err)
		}
	}
	// A key service and its nodes take them, too: the command is the unit's, the settings are those of its comment.
	must(t, dir, nil, script, "keys", "localhost", "node-1")
	write(t, filepath.Join(dir, "units.yaml"), "units:\n  - {code: \"150100\", name: 呼和浩特市, kind: city}\n")
	must(t, dir, nil, script, "others", "node-1")
	file := func(path string) string { return filepath.Join(dir, path) }
	settings := regexp.MustCompile(`keys: \{serve: .*\}`).FindString(text(t, "systemd/gridcase-keys.conf"))
	port := freePort(t)
	write(t, file("gridcase.yaml"), strings.Replace(settings, "HOST:7443", "127.0.0.1:"+port, 1)+"\n")
	for from, to := range map[string]string{"localhost.crt": "keys.crt", "localhost.key": "keys.key", "ca/ca.crt": "ca.crt"} {
		write(t, file(to), text(t, file("keys/"+from)))
	}
	command := regexp.MustCompile(`(?m)^ExecStart=(/.*)$`).FindStringSubmatch(text(t, "systemd/gridcase-keys.conf"))[1]
	words := strings.Fields(strings.NewReplacer("/usr/local/bin/gridcase", program, "${CREDENTIALS_DIRECTORY}", dir, "${STATE_DIRECTORY}", file("state")).Replace(command))
	serving(t, exec.Command(words[0], words[1:]...), func() error {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err != nil {
			return err
		} else if err := c.Close(); err != nil {
			return err
		}
		for authority, taken := range map[string]bool{"keys": true, "others": false} {
			out, err := run(t, dir, nil, program, "units", "load", "--data", file("node"), "--keys", "https://localhost:"+port, "--keys-ca", file("keys/ca/ca.crt"),
				"--keys-cert", file(authority+"/node-1.crt"), "--keys-key", file(authority+"/node-1.key"), file("units.yaml"))
			if (err == nil) != taken || !taken && !strings.Contains(out, "--keys-cert") {
				t.Errorf("a node with a certificate of %s: %v %s", authority, err, out)
			}
		}
		return nil
	})
	files, err := os.ReadDir(filepath.Join(dir, "certificates/ca"))
	if err != nil || len(files) != 1 {
		t.Errorf("nodes trust whatever lies beside the authority: %v %v", files, err)
	}
}

// proxy is nginx with our file before a node.
type proxy struct {
	url    string
	client *http.Client
	logs   string // of requests
}

// front starts nginx with a changed file; changes are pairs of what stands there and what takes its place.
func front(t *testing.T, n *node, changes ...string) *proxy {
	t.Helper()
	dir := t.TempDir()
	script, err := filepath.Abs("compose/certificates.sh")
	if err != nil {
		t.Fatal(err)
	}
	must(t, dir, nil, script, "tls", "gridcase.example")
	secure, plain := freePort(t), freePort(t)
	file := text(t, "nginx/gridcase.conf")
	if l, err := net.Listen("tcp6", "[::1]:0"); err != nil { // no such network on this machine
		file = regexp.MustCompile(`(?m)^\s*listen \[::\].*\n`).ReplaceAllString(file, "")
	} else {
		l.Close()
	}
	for pair := range slices.Chunk(append([]string{
		"/etc/nginx/tls/gridcase.crt", dir + "/tls/gridcase.example.crt", "/etc/nginx/tls/gridcase.key", dir + "/tls/gridcase.example.key",
		"listen 443", "listen " + secure, "listen [::]:443", "listen [::]:" + secure, "listen 80;", "listen " + plain + ";", "listen [::]:80;", "listen [::]:" + plain + ";",
		"server 127.0.0.1:8080", "server " + strings.TrimPrefix(n.url, "http://"), "/var/log/nginx", dir}, changes...), 2) {
		changed := strings.ReplaceAll(file, pair[0], pair[1])
		if changed == file && !strings.Contains(pair[0], "[::]") {
			t.Fatalf("the file has no %q", pair[0])
		}
		file = changed
	}
	write(t, filepath.Join(dir, "gridcase.conf"), file)
	write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf("user root;\nworker_processes 1;\npid %[1]s/pid;\nerror_log %[1]s/error.log;\nevents {}\nhttp {\n\tclient_body_temp_path %[1]s/body;\n\tproxy_temp_path %[1]s/proxy;\n\taccess_log off;\n\tinclude %[1]s/gridcase.conf;\n}\n", dir))
	must(t, dir, nil, "nginx", "-t", "-c", dir+"/nginx.conf")
	c := exec.Command("nginx", "-c", dir+"/nginx.conf", "-g", "daemon off;")
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(text(t, filepath.Join(dir, "tls/ca/ca.crt"))))
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	p := &proxy{url: "https://gridcase.example:" + secure, logs: filepath.Join(dir, "gridcase.log"), client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp4", "127.0.0.1:"+secure)
		}}}}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+secure); err == nil {
			conn.Close()
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %s", &said)
		}
	}
}

// arrives reports how long after it happened an event reaches somebody who listens through the proxy, or that it did not within a time.
func (p *proxy) arrives(t *testing.T, n *node, within time.Duration) (time.Duration, bool) {
	t.Helper()
	key, _ := n.key("auditor")
	_, list := ask(t, p.client, key, "GET", p.url+"/api/v1/demands?limit=1", "")
	var position struct{ Position string }
	if err := json.Unmarshal([]byte(list), &position); err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", p.url+"/api/v1/events?after="+position.Position, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Accept", "text/event-stream")
	heard := make(chan time.Time, 1)
	go func() {
		res, err := p.client.Do(req)
		if err != nil {
			return
		}
		defer res.Body.Close()
		for s := bufio.NewScanner(res.Body); s.Scan(); {
			if s.Text() == "event: demand-raised/1" {
				heard <- time.Now()
				return
			}
		}
	}()
	time.Sleep(300 * time.Millisecond) // it listens
	happened := time.Now()
	n.raise(p.client, p.url)
	select {
	case at := <-heard:
		return at.Sub(happened), true
	case <-time.After(within):
		return 0, false
	}
}

// Through nginx, events arrive at once, forged requests are refused and honest ones not, the node's own refusals come through, metrics
// are for this machine, and no path is written down.
func TestNginxPassesOnWhatTheNodeNeeds(t *testing.T) {
	n := demo(t, t.TempDir())
	p := front(t, n)
	took, arrived := p.arrives(t, n, 5*time.Second)
	if !arrived {
		t.Error("no event arrives within 5 s")
	}
	t.Logf("an event arrives %s after its command was sent", took.Round(time.Millisecond))
	n.raise(p.client, p.url, "Origin", p.url)
	channel, _ := n.key("channel")
	if res, body := ask(t, p.client, channel, "POST", p.url+"/api/v1/demands", `{}`, "Origin", "https://elsewhere.example"); res.StatusCode != 403 || !strings.Contains(body, "cross_site") {
		t.Errorf("a forged request: %d %s", res.StatusCode, body)
	}
	large := `{"text":"` + strings.Repeat("x", 300<<10) + `"}`
	if res, body := ask(t, p.client, channel, "POST", p.url+"/api/v1/demands", large); res.StatusCode != 413 || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("a body that is too large: %d %s", res.StatusCode, body)
	}
	if res, body := ask(t, p.client, "", "GET", p.url+"/metrics", ""); res.StatusCode != 200 || !strings.Contains(body, "gridcase_build_info") {
		t.Errorf("metrics on this machine: %d", res.StatusCode)
	}
	if runtime.GOOS == "linux" { // where all of 127 is this machine
		other := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: p.client.Transport.(*http.Transport).TLSClientConfig.Clone(),
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
				return d.DialContext(ctx, "tcp4", "127.0.0.1:"+p.url[strings.LastIndexByte(p.url, ':')+1:])
			}}}
		if res, body := ask(t, other, "", "GET", p.url+"/metrics", ""); res.StatusCode != 403 || strings.Contains(body, "gridcase_build_info") {
			t.Errorf("metrics from elsewhere: %d", res.StatusCode)
		}
	}
	res, _ := ask(t, p.client, "", "GET", p.url+"/api/v1/track/AAAA-SECRET-CODE", "")
	clerk, _ := n.key("clerk")
	ask(t, p.client, clerk, "GET", p.url+"/api/v1/demands?q=secretword", "")
	id := res.Header.Get("GridCase-Request")
	var log string
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if log = text(t, p.logs); strings.Contains(log, id) || time.Now().After(deadline) {
			break
		}
	}
	if id == "" || !strings.Contains(log, id) || strings.Contains(strings.ToLower(log), "secret") || strings.Contains(log, "127.0.0.1") {
		t.Errorf("the request %q; written down was: %s", id, log)
	}
}

// Each of what the file gets right, got wrong, is noticed. Gathering of answers is not among it: nginx 1.22 passes on what it gathered
// as soon as the node pauses, so that an event was not late with it (29 ms); what it costs is the node's view of a slow reader.
func TestASpoiltProxyIsNoticed(t *testing.T) {
	n := demo(t, t.TempDir())
	p := front(t, n, "proxy_read_timeout 75s;", "proxy_read_timeout 200ms;", "$http_host;", "$proxy_host;", "client_max_body_size 1m", "client_max_body_size 100k",
		"$time_iso8601 $request_method", "$time_iso8601 $request $remote_addr")
	if took, arrived := p.arrives(t, n, 3*time.Second); arrived {
		t.Errorf("an event arrives after %s though a quiet stream is cut off", took)
	}
	channel, _ := n.key("channel")
	if res, _ := ask(t, p.client, channel, "POST", p.url+"/api/v1/demands", `{}`, "Origin", p.url); res.StatusCode != 403 {
		t.Errorf("an honest request is taken for honest (%d) though the node does not hear its host", res.StatusCode)
	}
	if res, _ := ask(t, p.client, channel, "POST", p.url+"/api/v1/demands", `{"text":"`+strings.Repeat("x", 300<<10)+`"}`); res.StatusCode != 413 || strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("the node refuses what it can not have seen: %d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	ask(t, p.client, "", "GET", p.url+"/api/v1/track/AAAA-SECRET-CODE", "")
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(text(t, p.logs), "SECRET"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the path is not written down, though the format names it")
		}
	}
}
