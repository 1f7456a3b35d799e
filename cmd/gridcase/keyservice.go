package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"gridcase/engine/keys"
)

// home says where log and keys are. All else of a node stays in its folder: views and index.
type home struct {
	where
	Keys     string `help:"Where the keys of personal data are, if not in the data folder: a key service, as gridcase keys serve is one." placeholder:"https://HOST:PORT"`
	KeysCA   string `name:"keys-ca" help:"Authority that gave the key service its certificate (PEM)." type:"existingfile" placeholder:"FILE"`
	KeysCert string `name:"keys-cert" help:"Certificate by which the key service knows this node (PEM)." type:"existingfile" placeholder:"FILE"`
	KeysKey  string `name:"keys-key" help:"Private key of that certificate (PEM)." type:"existingfile" placeholder:"FILE"`
}

// in says it to a house.
func (h home) in(o houseOptions) houseOptions {
	o.log = h.Log
	o.keys = keys.Remote{URL: h.Keys, Certificates: keys.Certificates{Cert: h.KeysCert, Key: h.KeysKey, Authority: h.KeysCA}}
	return o
}

// elsewhere is in a data folder whose keys are with a service. Without it a command that is not told so would make keys that nobody else has.
const elsewhere = "keys.elsewhere"

// openKeys opens the keys that belong to a data folder: its own, or those of a service. A folder changes from one to the other only by a person's
// hand, who takes the keys to the service. It returns where they are, too.
func openKeys(ctx context.Context, dir string, r keys.Remote) (*keys.Store, string, error) {
	own, mark := filepath.Join(dir, "keys"), filepath.Join(dir, elsewhere)
	if r.URL == "" {
		if r.Certificates != (keys.Certificates{}) {
			return nil, "", errors.New("--keys-ca, --keys-cert and --keys-key go with --keys")
		}
		if err := ownKeys(dir); err != nil {
			return nil, "", err
		}
		s, err := keys.Open(ctx, own)
		return s, own, err
	}
	if r.Cert == "" || r.Key == "" || r.Authority == "" {
		return nil, "", errors.New("--keys needs --keys-ca, --keys-cert and --keys-key")
	}
	if _, err := os.Stat(own); err == nil {
		return nil, "", fmt.Errorf("%s holds keys of its own: a node of a key service has none; if the service has them now, take them away from here", own)
	}
	s, err := keys.Dial(ctx, r)
	if err != nil {
		return nil, "", fmt.Errorf("key service %s: %w", r.URL, err)
	}
	if err := os.WriteFile(mark, []byte("The keys of personal data are with a key service: --keys says where.\n"), 0o600); err != nil {
		return nil, "", errors.Join(fmt.Errorf("data folder: %w", err), s.Close())
	}
	return s, r.URL, nil
}

// ownKeys refuses a folder whose keys are elsewhere.
func ownKeys(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, elsewhere)); err == nil {
		return fmt.Errorf("the keys of %s are with a key service: say which with --keys", dir)
	}
	return nil
}

// keysServeCmd is the key service: it answers nodes on other machines from the key folder of this one. Nodes on this machine may have the
// folder open at the same time.
type keysServeCmd struct {
	Data     string     `required:"" help:"Data folder; its folder keys is served, and made if it is missing." type:"path" placeholder:"DIR"`
	Listen   string     `required:"" help:"Address to listen on." placeholder:"HOST:PORT"`
	Cert     string     `required:"" help:"Certificate of this service, with the name that nodes call it by (PEM)." type:"existingfile" placeholder:"FILE"`
	Key      string     `required:"" help:"Private key of that certificate (PEM)." type:"existingfile" placeholder:"FILE"`
	ClientCA string     `required:"" name:"client-ca" help:"Authority that gives nodes their certificates; who has one of it gets keys (PEM)." type:"existingfile" placeholder:"FILE"`
	LogLevel slog.Level `default:"info" help:"debug, info, warn or error."`
}

func (c keysServeCmd) Run(ctx context.Context, s streams) (err error) {
	if err := ownKeys(c.Data); err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(s.err, &slog.HandlerOptions{Level: c.LogLevel}))
	service, err := keys.NewService(ctx, filepath.Join(c.Data, "keys"), logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	web, err := keys.Server(service, keys.Certificates{Cert: c.Cert, Key: c.Key, Authority: c.ClientCA}, logger)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	logger.Info("serving", "url", "https://"+listener.Addr().String(), "data", c.Data, "version", version())
	return untilStopped(ctx, web, func() error { return web.ServeTLS(listener, "", "") }, func() {}, logger)
}
