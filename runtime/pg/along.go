package pg

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Insert is an insert that can be a part of another statement.
type Insert struct{ parts []string }

// NewInsert makes one of a statement whose placeholders are $1, $2 and so on, each once and in
// this order. It is for variables of packages, and panics on any other statement.
func NewInsert(sql string) Insert {
	for i, m := range placeholder.FindAllStringSubmatch(sql, -1) {
		if m[1] != strconv.Itoa(i+1) {
			panic("placeholders that are not in their order: " + sql)
		}
	}
	return Insert{placeholder.Split(sql, -1)}
}

// before is a statement with the insert in front of it, whose placeholders go on from those of
// the statement.
func (i Insert) before(sql string, args int) string {
	var b strings.Builder
	b.Grow(len(sql) + 1024)
	b.WriteString("WITH along AS (")
	i.number(&b, args)
	b.WriteString(")\n")
	b.WriteString(sql)
	return b.String()
}

func (i Insert) number(b *strings.Builder, after int) {
	for n, part := range i.parts {
		if n > 0 {
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(after + n))
		}
		b.WriteString(part)
	}
}

// Along has an insert travel with the first query that is sent through it: as a part of its
// statement, so that either both take effect or neither. It is for what a read leaves behind.
// The query must begin with SELECT. [Along.Done] says whether the insert is committed, and
// sends it by itself where no query took it. It is not safe for concurrent use.
type Along struct {
	DBTX
	insert Insert
	values []any // nil once they were sent
	read   bool  // what they were sent with is being read
	err    error
}

var errStillRead = errors.New("the rows that an insert went along with are still being read")

// NewAlong sends through on, which must not be a transaction. Without values there is nothing
// to insert.
func NewAlong(on DBTX, insert Insert, values []any) *Along {
	return &Along{DBTX: on, insert: insert, values: values}
}

// Query runs a query; the rows must be closed, as ever.
func (a *Along) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if a.values == nil {
		return a.DBTX.Query(ctx, sql, args...)
	}
	sql, args = a.take(sql, args)
	rows, err := a.DBTX.Query(ctx, sql, args...)
	if err != nil {
		a.over(err)
		return nil, err
	}
	return alongRows{rows, a}, nil
}

// QueryRow runs a query for one row; errors come out of its Scan, as ever.
func (a *Along) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if a.values == nil {
		return a.DBTX.QueryRow(ctx, sql, args...)
	}
	sql, args = a.take(sql, args)
	return alongRow{a.DBTX.QueryRow(ctx, sql, args...), a}
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
	var alone strings.Builder
	a.insert.number(&alone, 0)
	_, a.err = a.DBTX.Exec(ctx, alone.String(), a.values...)
	a.values = nil
	return a.err
}

func (a *Along) take(sql string, args []any) (string, []any) {
	together := append(args[:len(args):len(args)], a.values...)
	a.values, a.read = nil, true
	return a.insert.before(sql, len(args)), together
}

func (a *Along) over(err error) { a.read, a.err = false, err }

type alongRows struct {
	pgx.Rows
	along *Along
}

func (r alongRows) Close() {
	r.Rows.Close()
	r.along.over(r.Err())
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
