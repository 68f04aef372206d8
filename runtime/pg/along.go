package pg

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Insert is an insert that can be a part of another statement.
type Insert struct {
	sql   string
	parts []string // what is between the placeholders
}

// NewInsert makes one of a statement whose placeholders are $1, $2 and so on, each once and in
// this order. It is for variables of packages, and panics on any other statement.
func NewInsert(sql string) Insert {
	for i, m := range placeholder.FindAllStringSubmatch(sql, -1) {
		if m[1] != strconv.Itoa(i+1) {
			panic("placeholders that are not in their order: " + sql)
		}
	}
	return Insert{sql, placeholder.Split(sql, -1)}
}

// before is a statement with the insert in front of it, whose placeholders go on from those of
// the statement.
func (i Insert) before(sql string, args int) string {
	var b strings.Builder
	b.Grow(len(sql) + 1024)
	b.WriteString("WITH along AS (")
	for n, part := range i.parts {
		if n > 0 {
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(args + n))
		}
		b.WriteString(part)
	}
	b.WriteString(")\n")
	b.WriteString(sql)
	return b.String()
}

// Along has an insert travel with the first query that is sent through it, in one round trip and
// one transaction, so that either both take effect or neither. It is for what a read leaves
// behind. Of a query for one row or, through [Along.Few], for few the insert is a part; such a
// query must begin with SELECT. Others go behind it as a statement of their own: the rows of one
// that also writes are gathered before the first is sent, which for fifty costs Postgres more
// than the insert. [Along.Done] says whether the insert is committed, and sends it by itself
// where no query took it. It is not safe for concurrent use.
type Along struct {
	Sender
	insert Insert
	values []any // nil once they were sent
	read   bool  // what they were sent with is being read
	err    error
}

var errStillRead = errors.New("the rows that an insert went along with are still being read")

// NewAlong sends through on, which must not be a transaction. Without values there is nothing
// to insert.
func NewAlong(on Sender, insert Insert, values []any) *Along {
	return &Along{Sender: on, insert: insert, values: values}
}

// Query runs a query; the rows must be closed, as ever.
func (a *Along) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if a.values == nil {
		return a.Sender.Query(ctx, sql, args...)
	}
	b := new(pgx.Batch)
	b.Queue(a.insert.sql, a.values...)
	b.Queue(sql, args...)
	a.values, a.read = nil, true
	sent := a.SendBatch(ctx, b)
	_, err := sent.Exec()
	if err == nil {
		var rows pgx.Rows
		if rows, err = sent.Query(); err == nil {
			return alongRows{rows, sent, a}, nil
		}
	}
	_ = sent.Close() // repeats err
	a.over(err)
	return nil, err
}

// QueryRow runs a query for one row; errors come out of its Scan, as ever.
func (a *Along) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if a.values == nil {
		return a.Sender.QueryRow(ctx, sql, args...)
	}
	sql, args = a.together(sql, args)
	return alongRow{a.Sender.QueryRow(ctx, sql, args...), a}
}

// Few runs queries for a handful of rows.
func (a *Along) Few() DBTX { return few{a} }

type few struct{ *Along }

func (f few) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	a := f.Along
	if a.values == nil {
		return a.Sender.Query(ctx, sql, args...)
	}
	sql, args = a.together(sql, args)
	rows, err := a.Sender.Query(ctx, sql, args...)
	if err != nil {
		a.over(err)
		return nil, err
	}
	return alongRows{rows, nil, a}, nil
}

// together is the statement that the insert is a part of, with all its arguments.
func (a *Along) together(sql string, args []any) (string, []any) {
	all := append(args[:len(args):len(args)], a.values...)
	a.values, a.read = nil, true
	return a.insert.before(sql, len(args)), all
}

// Done returns nil once the insert is committed. Any error means that this is not certain; it
// may be that of the query which took the insert along.
func (a *Along) Done(ctx context.Context) error {
	switch {
	case a.read:
		return errStillRead
	case a.values == nil:
		return a.err
	}
	_, a.err = a.Sender.Exec(ctx, a.insert.sql, a.values...)
	a.values = nil
	return a.err
}

func (a *Along) over(err error) { a.read, a.err = false, err }

type alongRows struct {
	pgx.Rows
	sent  pgx.BatchResults // nil where the rows are all that was sent
	along *Along
}

func (r alongRows) Close() {
	r.Rows.Close()
	err := r.Err()
	if r.sent != nil {
		if closing := r.sent.Close(); err == nil {
			err = closing
		}
	}
	r.along.over(err)
}

type alongRow struct {
	pgx.Row
	along *Along
}

func (r alongRow) Scan(to ...any) error {
	err := r.Row.Scan(to...)
	if errors.Is(err, pgx.ErrNoRows) {
		r.along.over(nil)
	} else {
		r.along.over(err)
	}
	return err
}
