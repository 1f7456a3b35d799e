package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	engine "modernc.org/sqlite"
)

// session is one connection with the statements prepared on it, for one goroutine at a time.
//
// It speaks to the driver itself. The pool of database/sql would cost a third of the appends: it locks and
// converts per call, while a session has one owner and passes values as the driver takes them.
type session struct {
	conn     connection
	prepared map[string]*statement
}

// connection is what a session needs of the driver's connection.
type connection interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ExecerContext
}

// statement is a prepared statement and the arguments of its next run.
type statement struct {
	stmt driver.Stmt
	args []driver.NamedValue
}

// openSession opens the file, or makes an empty one. The pragmas hold for the connection only.
func openSession(path string, pragmas ...string) (*session, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") {
		abs = "/" + abs // a drive letter
	}
	dsn := url.URL{Scheme: "file", Path: abs, RawQuery: url.Values{"_pragma": pragmas}.Encode()}
	conn, err := new(engine.Driver).Open(dsn.String())
	if err != nil {
		return nil, err
	}
	c, ok := conn.(connection)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver lacks context methods"), conn.Close())
	}
	return &session{conn: c, prepared: map[string]*statement{}}, nil
}

// exec runs statements without arguments and without results.
func (s *session) exec(sql string) error {
	_, err := s.conn.ExecContext(context.Background(), sql, nil)
	return err
}

// run runs a prepared statement without results and returns how many rows it changed.
func (s *session) run(sql string, args ...any) (int64, error) {
	st, err := s.bind(sql, args)
	if err != nil {
		return 0, err
	}
	res, err := st.stmt.(driver.StmtExecContext).ExecContext(context.Background(), st.args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// query runs a prepared statement and hands each row to take; row is overwritten by the next. Take must
// not use the session. A context that can end costs a goroutine: for what is over in a millisecond, pass one that cannot.
func (s *session) query(ctx context.Context, sql string, row []driver.Value, take func() error, args ...any) (err error) {
	st, err := s.bind(sql, args)
	if err != nil {
		return err
	}
	rows, err := st.stmt.(driver.StmtQueryContext).QueryContext(ctx, st.args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := take(); err != nil {
			return err
		}
	}
}

// number returns the one integer that a query yields, 0 if it yields no row or NULL.
func (s *session) number(sql string, args ...any) (n int64, err error) {
	row := make([]driver.Value, 1)
	err = s.query(context.Background(), sql, row, func() error {
		n, _ = row[0].(int64)
		return nil
	}, args...)
	return n, err
}

// text returns the first column of all rows that a query yields, one line each.
func (s *session) text(ctx context.Context, sql string) (string, error) {
	var lines []string
	row := make([]driver.Value, 1)
	err := s.query(ctx, sql, row, func() error {
		lines = append(lines, fmt.Sprint(row[0]))
		return nil
	})
	return strings.Join(lines, "\n"), err
}

func (s *session) bind(sql string, args []any) (*statement, error) {
	st, ok := s.prepared[sql]
	if !ok {
		stmt, err := s.conn.PrepareContext(context.Background(), sql)
		if err != nil {
			return nil, err
		}
		st = &statement{stmt: stmt}
		s.prepared[sql] = st
	}
	if len(st.args) != len(args) {
		st.args = make([]driver.NamedValue, len(args))
	}
	for i, a := range args {
		st.args[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return st, nil
}

func (s *session) close() error {
	var errs []error
	for _, st := range s.prepared {
		errs = append(errs, st.stmt.Close())
	}
	return errors.Join(append(errs, s.conn.Close())...)
}

// sqliteCode returns the primary and the extended result code of an error of SQLite, 0 for others.
func sqliteCode(err error) (primary, extended int) {
	var e *engine.Error
	if !errors.As(err, &e) {
		return 0, 0
	}
	return e.Code() & 0xff, e.Code()
}
