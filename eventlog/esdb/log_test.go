package esdb_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"gridcase/eventlog"
	"gridcase/eventlog/esdb"
	"gridcase/eventlog/esdbtest"
	"gridcase/eventlog/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roomy is a MaxAppendSize that holds eventlog.MaxAppend whatever the types of the events are; see docs/decisions/0023.
const roomy = 2 << 20

func TestContract(t *testing.T) {
	for _, c := range []struct {
		name    string
		options esdbtest.Options
	}{
		{"one node", esdbtest.Options{MaxAppendSize: roomy}},
		{"a cluster of three of a version that does not say caught-up", esdbtest.Options{MaxAppendSize: roomy, Nodes: 3, Old: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster := start(t, c.options)
			contract(t, cluster.ConnectionString())
		})
	}
}

func TestContractOnARealServer(t *testing.T) {
	server := os.Getenv("GRIDCASE_ESDB")
	if server == "" {
		t.Log("not run: GRIDCASE_ESDB names no EventStoreDB; the contract was checked against our own node only")
		return
	}
	contract(t, server)
}

// contract gives each check a space of its own on the server.
func contract(t *testing.T, server string) {
	logtest.Run(t, func(t *testing.T) logtest.Opened {
		with := "?"
		if strings.Contains(server, "?") {
			with = "&"
		}
		mine := server + with + "space=logtest-" + uuid.NewString() + "."
		l := open(t, mine)
		return logtest.Opened{Log: l, Reopen: func() eventlog.Log {
			shut(t, l)
			l = open(t, mine)
			return l
		}}
	})
}

func start(t testing.TB, o esdbtest.Options) *esdbtest.Cluster {
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

func open(t testing.TB, connection string) *esdb.Log {
	t.Helper()
	l, err := esdb.Open(context.Background(), connection, esdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	return l
}

func shut(t testing.TB, l eventlog.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
