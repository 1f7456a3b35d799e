package deployments

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the built program; every name in these files is held against it, not against its source.
var program string

func TestMain(m *testing.M) {
	if program = os.Getenv("DEPLOYMENTS_PROGRAM"); program != "" { // built just now, by whoever runs several of these tests
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "gridcase-deployments-")
	if err == nil {
		program = filepath.Join(dir, "gridcase")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "gridcase/cmd/gridcase")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-tags=nomsgpack")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the program:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// text reads a file of this room, or one beside it.
func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// manual is what the program says of itself: its flags by command, and the environment it reads.
type manual struct {
	flags    map[string]map[string]bool // "keys create" to --role, …; commands without sub-commands only
	settings map[string]bool            // GRIDCASE_…
}

var readManual = sync.OnceValues(func() (manual, error) {
	m := manual{map[string]map[string]bool{}, map[string]bool{}}
	top, err := exec.Command(program, "--help").Output()
	if err != nil {
		return m, err
	}
	command := regexp.MustCompile(`(?m)^  ([a-z]+(?: [a-z]+)*)(?: |$)`)
	for _, c := range command.FindAllStringSubmatch(string(top), -1) {
		words := strings.Fields(c[1])
		help, err := exec.Command(program, append(words, "--help")...).Output()
		if err != nil {
			return m, fmt.Errorf("gridcase %s --help: %w", c[1], err)
		}
		flags := map[string]bool{}
		for _, f := range regexp.MustCompile(`--(\[no-\])?([a-z][a-z-]*)`).FindAllStringSubmatch(string(help), -1) {
			flags["--"+f[2]] = true
			if f[1] != "" {
				flags["--no-"+f[2]] = true
			}
		}
		m.flags[c[1]] = flags
		for _, name := range regexp.MustCompile(`\$(GRIDCASE_[A-Z_]+)`).FindAllStringSubmatch(string(help), -1) {
			m.settings[name[1]] = true
		}
	}
	return m, nil
})

// node is a program that serves.
type node struct {
	t       *testing.T
	command *exec.Cmd
	url     string
	dir     string
	said    bytes.Buffer // on standard error
}

// demo seeds a street, or takes a folder that is seeded, and serves it.
func demo(t *testing.T, dir string) *node {
	t.Helper()
	n := &node{t: t, dir: dir}
	n.command = exec.Command(program, "demo", "--data", dir, "--size", "street", "--demands", "20", "--listen", "127.0.0.1:0")
	n.command.Stderr = &n.said
	out, err := n.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	for s := bufio.NewScanner(out); s.Scan(); {
		if _, url, found := strings.Cut(s.Text(), "API "); found {
			n.url = strings.TrimSuffix(strings.TrimSpace(url), "/api/v1")
			go io.Copy(io.Discard, out)
			break
		}
	}
	if n.url == "" {
		t.Fatalf("the demo does not serve: %s", &n.said)
	}
	return n
}

// serve serves a folder that is there.
func serve(t *testing.T, dir string, more ...string) *node {
	t.Helper()
	n := &node{t: t, dir: dir}
	n.command = exec.Command(program, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, more...)...)
	said, err := n.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	for s := bufio.NewScanner(io.TeeReader(said, &n.said)); s.Scan() && n.url == ""; {
		var line struct{ Msg, URL string }
		if json.Unmarshal(s.Bytes(), &line) == nil && line.Msg == "serving" {
			n.url = line.URL
		}
	}
	if n.url == "" {
		t.Fatalf("it does not serve: %s", &n.said)
	}
	go io.Copy(io.Discard, said)
	return n
}

// stop ends the program as an operator does, and sees to it that it goes in time.
func (n *node) stop() {
	if n.command.ProcessState != nil {
		return
	}
	if err := n.command.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Error(err)
	}
	late := time.AfterFunc(15*time.Second, func() { n.command.Process.Kill() })
	defer late.Stop()
	if err := n.command.Wait(); err != nil {
		n.t.Errorf("the program ended with %v: %s", err, &n.said)
	}
}

// key returns the demo's key of a role, and the unit it is held at.
func (n *node) key(role string) (key, unit string) {
	n.t.Helper()
	var logins []struct{ Role, Unit, Key string }
	if err := json.Unmarshal([]byte(text(n.t, filepath.Join(n.dir, "demo-logins.json"))), &logins); err != nil {
		n.t.Fatal(err)
	}
	for _, l := range logins {
		if l.Role == role {
			return l.Key, l.Unit
		}
	}
	n.t.Fatalf("the demo has no key of a %s", role)
	return "", ""
}

// ask sends a request with a key and returns what came, with the body read.
func ask(t *testing.T, client *http.Client, key, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", fmt.Sprintf("test-%d", time.Now().UnixNano()))
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// raise lets a channel raise a demand through whatever stands before the node, and returns its id.
func (n *node) raise(client *http.Client, url string, headers ...string) string {
	n.t.Helper()
	key, _ := n.key("channel")
	_, grid := n.key("grid_worker")
	res, body := ask(n.t, client, key, "POST", url+"/api/v1/demands", fmt.Sprintf(`{"kind":"issue","channel":"wechat","title":"车棚漏雨","text":"车棚漏雨","grid":%q,"reporter":{"name":"居民甲","phone":"00013800000"}}`, grid), headers...)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(body), &made); res.StatusCode != 201 || err != nil {
		n.t.Fatalf("raise a demand: %d %s", res.StatusCode, body)
	}
	return made.ID
}
