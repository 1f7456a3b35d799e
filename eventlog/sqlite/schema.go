package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// formatVersion is the user_version this program writes and the newest it reads.
	formatVersion = 1
	// applicationID marks the file as ours: "GCLG".
	applicationID = 0x47434c47
	// minSQLite is the first release in which resetting the WAL cannot lose pages.
	minSQLite = "3.51.3"
)

// schema is format version 1. It holds no index beyond position and (stream, revision): each further one would be
// written at every append. The names of streams are kept once, so the index stays small and the
// events of open cases lie close together in it.
//
// The view journal is for people with a stock sqlite3 tool; the program does not use it.
const schema = `
CREATE TABLE streams (
	id   INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE events (
	position  INTEGER PRIMARY KEY,
	stream    INTEGER NOT NULL REFERENCES streams (id),
	revision  INTEGER NOT NULL,
	id        BLOB    NOT NULL, -- UUID, 16 bytes
	type      TEXT    NOT NULL,
	data      TEXT    NOT NULL, -- JSON
	meta      TEXT    NOT NULL, -- JSON
	logged_at INTEGER NOT NULL, -- microseconds since 1970-01-01 UTC
	checksum  BLOB    NOT NULL, -- SHA-256 over all the above, with the name of the stream
	UNIQUE (stream, revision)
) STRICT;
CREATE TRIGGER events_are_never_changed  BEFORE UPDATE ON events  BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER events_are_never_deleted  BEFORE DELETE ON events  BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER streams_are_never_changed BEFORE UPDATE ON streams BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER streams_are_never_deleted BEFORE DELETE ON streams BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE VIEW journal AS
	SELECT e.position, s.name AS stream, e.revision, lower(
			substr(hex(e.id), 1, 8)  || '-' || substr(hex(e.id), 9, 4)  || '-' || substr(hex(e.id), 13, 4) || '-' ||
			substr(hex(e.id), 17, 4) || '-' || substr(hex(e.id), 21)) AS id,
		e.type, strftime('%Y-%m-%dT%H:%M:%fZ', e.logged_at / 1e6, 'unixepoch') AS logged_at, e.data, e.meta
	FROM events e JOIN streams s ON s.id = e.stream;
`

// settings are those of the writing connection. Checkpoints are our own, see checkpoint: those of SQLite happen
// inside COMMIT and keep their errors to themselves.
const settings = `
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 0;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -65536;
`

// prepareFile readies the file for writing and makes the tables if it is new. A file that is not ours, or newer than
// we are, is refused before anything in it changes.
func prepareFile(s *session) error {
	version, err := s.text(context.Background(), "SELECT sqlite_version()")
	if err != nil {
		return err
	}
	if older(version, minSQLite) {
		return fmt.Errorf("SQLite %s can lose pages when it resets the WAL: %s or newer is needed", version, minSQLite)
	}
	application, err := s.number("PRAGMA application_id")
	if err != nil {
		return err
	}
	format, err := s.number("PRAGMA user_version")
	if err != nil {
		return err
	}
	tables, err := s.number("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	isNew := application == 0 && format == 0 && tables == 0
	switch {
	case isNew, application == applicationID && format == formatVersion:
	case application == applicationID:
		return fmt.Errorf("the log has format %d, this program knows format %d: a program that knows format %[1]d is needed", format, formatVersion)
	default:
		return errors.New("the file is a database, but not a log of events")
	}
	if err := s.exec(settings); err != nil {
		return err
	}
	mode, err := s.text(context.Background(), "PRAGMA journal_mode")
	if err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not allow WAL mode: SQLite fell back to %q", mode)
	}
	if !isNew {
		return nil
	}
	return s.exec(fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		schema, applicationID, formatVersion))
}

// older reports whether version a.b.c comes before version d.e.f.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, _ := strconv.Atoi(as[i])
		y, _ := strconv.Atoi(bs[i])
		if x != y {
			return x < y
		}
	}
	return len(as) < len(bs)
}
