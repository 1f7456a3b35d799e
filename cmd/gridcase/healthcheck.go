package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthcheckCmd asks a node on this machine how it is: for a container that has no shell and no curl. It takes the address
// that serve takes, so that both can have it from GRIDCASE_LISTEN.
type healthcheckCmd struct {
	What   string `arg:"" optional:"" default:"ready" enum:"ready,live" help:"ready: it may be sent requests; live: it answers at all."`
	Listen string `default:"127.0.0.1:8080" help:"Address that the node listens on." placeholder:"ADDR"`
}

// patience is how long a node may take to answer. It is less than what those who ask usually wait for this program.
const patience = 3 * time.Second

func (c healthcheckCmd) Run(ctx context.Context, s streams) error {
	address, err := here(c.Listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	url := "http://" + address + "/" + c.What + "z"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{} // not the default one, which a proxy of the environment would lead elsewhere
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", url, res.Status, strings.TrimSpace(string(body)))
	}
	_, err = fmt.Fprintln(s.out, c.What)
	return err
}

// here is where a node that listens on an address is reached from its own machine: one that listens everywhere, at the
// loopback address.
func here(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil {
		host = "127.0.0.1"
	} else if ip != nil && ip.IsUnspecified() {
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}
