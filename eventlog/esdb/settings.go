package esdb

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// settings are what a connection string says.
type settings struct {
	seeds    []string // host:port
	cluster  bool     // ask the seeds who leads; else the one seed is the server
	space    string   // put before every stream's name in the server
	prefix   string   // what the names of the log's streams begin with in the server
	dialing  []grpc.DialOption
	alive    *keepalive.ClientParameters // how often HTTP/2 asks an idle connection; nil: never
	patience time.Duration               // how long a call tries
	asking   time.Duration               // how long a node may take to say who leads, or that it is there
	pause    time.Duration               // between two attempts to find the leader, at first
	attempts int                         // to find the leader when the log is opened
}

// slowest is the longest pause between two attempts to reach the leader. gRPC's own would grow to two minutes.
const slowest = time.Second

// known are the settings of the official clients, in lower case.
var known = []string{"discoveryinterval", "gossiptimeout", "maxdiscoverattempts", "nodepreference", "keepaliveinterval", "keepalivetimeout",
	"tls", "tlscafile", "usercertfile", "userkeyfile", "tlsverifycert", "defaultdeadline"}

// parse reads a connection string. Its errors never show the password.
func parse(connection string) (settings, error) {
	s := settings{prefix: "gridcase.", asking: 1500 * time.Millisecond, patience: 10 * time.Second}
	fail := func(format string, args ...any) (settings, error) {
		return settings{}, fmt.Errorf("connection string of the log: "+format, args...)
	}
	where, query, _ := strings.Cut(connection, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return fail("%w", err)
	}
	asked := map[string]string{}
	for name, v := range values {
		lower := strings.ToLower(name)
		if _, twice := asked[lower]; twice || len(v) > 1 {
			return fail("the setting %q stands there twice", name)
		}
		asked[lower] = v[0]
		if lower == "space" {
			delete(values, name)
		} else if !slices.Contains(known, lower) {
			return fail("unknown setting %q", name)
		}
	}
	for _, name := range []string{"gossiptimeout", "discoveryinterval", "maxdiscoverattempts", "defaultdeadline"} {
		if v, set := asked[name]; set {
			if n, err := strconv.Atoi(v); err != nil || n < 1 {
				return fail("%s=%q: want a number above 0", name, v)
			}
		}
	}
	if p, set := asked["nodepreference"]; set && !strings.EqualFold(p, "leader") {
		return fail("nodePreference=%s: GridCase writes, and reads what it wrote; only the leader serves for that", p)
	}
	if space := asked["space"]; space != "" {
		if strings.HasPrefix(space, "$") {
			return fail("space=%q: names that begin with $ are the server's own", space)
		}
		s.space, s.prefix = space, space
	}
	if len(values) > 0 {
		where += "?" + values.Encode()
	}
	c, err := client.ParseConnectionString(where)
	var withURL *url.Error
	if errors.As(err, &withURL) {
		err = withURL.Err // the rest quotes the password
	}
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return fail("%w", err)
	}
	s.cluster = c.DnsDiscover || len(c.GossipSeeds) > 0
	for _, e := range c.GossipSeeds {
		s.seeds = append(s.seeds, net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))))
	}
	if c.Address != "" {
		s.seeds = append(s.seeds, c.Address)
	}
	s.pause, s.attempts = time.Duration(c.DiscoveryInterval)*time.Millisecond, c.MaxDiscoverAttempts
	if asked["gossiptimeout"] != "" {
		s.asking = time.Duration(c.GossipTimeout) * time.Second
	}
	if c.DefaultDeadline != nil {
		s.patience = *c.DefaultDeadline
	}
	secure, err := transport(c)
	if err != nil {
		return fail("%w", err)
	}
	s.dialing = []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: slowest},
			MinConnectTimeout: s.asking}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(17 << 20)), // the server's largest event is 16 MiB
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(), // the log is not reached over the web's proxy
		grpc.WithUserAgent("gridcase"),
	}
	if c.KeepAliveInterval >= 0 {
		s.alive = &keepalive.ClientParameters{Time: c.KeepAliveInterval, Timeout: c.KeepAliveTimeout, PermitWithoutStream: true}
		s.dialing = append(s.dialing, grpc.WithKeepaliveParams(*s.alive))
	}
	if c.Username != "" && !c.DisableTLS {
		s.dialing = append(s.dialing, grpc.WithPerRPCCredentials(password("Basic "+base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password)))))
	}
	return s, nil
}

func transport(c *client.Configuration) (credentials.TransportCredentials, error) {
	if c.DisableTLS {
		if c.UserCertFile != "" {
			return nil, errors.New("a user certificate needs an encrypted connection, and tls=false forbids it")
		}
		return insecure.NewCredentials(), nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs, InsecureSkipVerify: c.SkipCertificateVerification}
	if c.UserCertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.UserCertFile, c.UserKeyFile)
		if err != nil {
			return nil, fmt.Errorf("user certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(t), nil
}

// password is the header of basic authentication.
type password string

func (p password) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": string(p)}, nil
}

func (password) RequireTransportSecurity() bool { return true }
