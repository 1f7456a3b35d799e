package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A node that is not ready is told from one that does not live, and no proxy is asked.
func TestAHealthcheckSaysWhatTheNodeSays(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1") // a documentation address: whoever asks it waits for ever
	ready := false
	asked := ""
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		switch {
		case r.URL.Path == "/livez", r.URL.Path == "/readyz" && ready:
		case r.URL.Path == "/readyz":
			http.Error(w, `{"ready":false}`, http.StatusServiceUnavailable)
		default:
			http.NotFound(w, r)
		}
	}))
	defer node.Close()
	address := node.Listener.Addr().String()
	if out, errs, status := call(t, "healthcheck", "live", "--listen", address); status != 0 || out != "live\n" || asked != "/livez" {
		t.Errorf("a node that is not ready: live gave %d %q %q, asked %s", status, out, errs, asked)
	}
	if _, errs, status := call(t, "healthcheck", "--listen", address); status != 1 || !strings.Contains(errs, `{"ready":false}`) {
		t.Errorf("a node that is not ready: gave %d %q, want 1 and its answer", status, errs)
	}
	ready = true
	if out, errs, status := call(t, "healthcheck", "--listen", address); status != 0 || out != "ready\n" {
		t.Errorf("a node that is ready: gave %d %q %q", status, out, errs)
	}
	t.Setenv("GRIDCASE_LISTEN", "0.0.0.0:"+strings.TrimPrefix(address, "127.0.0.1:"))
	if _, errs, status := call(t, "healthcheck"); status != 0 {
		t.Errorf("a node that listens everywhere: gave %d %q", status, errs)
	}
	node.Close()
	if _, errs, status := call(t, "healthcheck", "live"); status != 1 || !strings.Contains(errs, "refused") {
		t.Errorf("no node: gave %d %q", status, errs)
	}
	if _, _, status := call(t, "healthcheck", "well"); status != 80 {
		t.Errorf("a strange question: gave %d, want 80", status)
	}
}

func TestANodeIsReachedFromItsOwnMachine(t *testing.T) {
	for listen, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "[::1]:8080",
		"127.0.0.1:1": "127.0.0.1:1", "10.0.0.7:80": "10.0.0.7:80", "node-1:80": "node-1:80",
	} {
		if got, err := here(listen); err != nil || got != want {
			t.Errorf("here(%q) is %q %v, want %q", listen, got, err, want)
		}
		if _, _, err := net.SplitHostPort(want); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := here("8080"); err == nil {
		t.Error("an address without a host part is taken")
	}
}
