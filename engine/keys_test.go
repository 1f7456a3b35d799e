package engine_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// keys.db is set back while the node runs, as by a power cut of the machine that has it, or by an older copy that is put in its place. With the
// next text that is sealed the node sees it, and tells from the log what was lost: then an erasure finds every key of a case.
func TestAKeyStoreThatWasSetBackIsToldFromTheLog(t *testing.T) {
	h := open(t)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(h.dir, "keys", "keys.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	number := func(query string) (n int64) {
		t.Helper()
		if err := db.QueryRow(query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, ref := range []string{"a", "b", "c"} {
		h.do(stream.Of(stream.Demand, stream.DemandFor("wechat", ref)), as(orgs.Channel, hotline), raise("暖气不热 "+ref))
	}
	assigned, at := number("SELECT count(*) FROM keys WHERE state = 'live'"), number("SELECT position FROM followed")
	if assigned < 3 {
		t.Fatalf("%d keys are assigned", assigned)
	}
	if _, err := db.Exec("UPDATE keys SET state = 'pooled', stream = '', part = '' WHERE stream <> (SELECT stream FROM keys WHERE state = 'live' ORDER BY id LIMIT 1)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE followed SET position = 1"); err != nil {
		t.Fatal(err)
	}
	if left := number("SELECT count(*) FROM keys WHERE state = 'live'"); left == 0 || left >= assigned {
		t.Fatalf("%d of %d keys are assigned still", left, assigned)
	}
	h.do(stream.Of(stream.Demand, stream.DemandFor("wechat", "d")), as(orgs.Channel, hotline), raise("暖气不热 d"))
	if now, want := number("SELECT count(*) FROM keys WHERE state = 'live'"), assigned/3*4; now != want {
		t.Errorf("%d keys are assigned, want %d", now, want)
	}
	if now := number("SELECT position FROM followed"); now <= at {
		t.Errorf("the log is assigned up to %d, was up to %d", now, at)
	}
}
