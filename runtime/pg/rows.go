package pg

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Rows is a statement that writes any number of rows, in as few statements as there are sizes
// for: each number of rows is a statement of its own, of which a session keeps a few only.
type Rows struct {
	columns int
	sql     map[int]string
}

// sizes are the numbers of rows that one statement has, the largest first.
var sizes = []int{32, 16, 8, 7, 6, 5, 4, 3, 2, 1}

// ofRows finds a Rows by its statements.
var ofRows = map[string]struct {
	*Rows
	n int
}{}

var placeholder = regexp.MustCompile(`\$([0-9]+)`)

// NewRows makes one of a statement for one row, which has one VALUES with one row in it and no
// parameter elsewhere. It is for variables of packages, and panics on any other statement.
func NewRows(one string) *Rows {
	head, rest, _ := strings.Cut(one, "VALUES")
	row, tail, ok := cutRow(rest)
	if !ok || placeholder.MatchString(head) || placeholder.MatchString(tail) {
		panic("a statement that is not of one row of values: " + one)
	}
	r := &Rows{sql: map[int]string{}}
	for _, m := range placeholder.FindAllStringSubmatch(row, -1) {
		n, _ := strconv.Atoi(m[1]) // digits
		r.columns = max(r.columns, n)
	}
	for _, n := range sizes {
		rows := make([]string, n)
		for i := range rows {
			rows[i] = placeholder.ReplaceAllStringFunc(row, func(p string) string {
				at, _ := strconv.Atoi(p[1:]) // digits
				return fmt.Sprintf("$%d", i*r.columns+at)
			})
		}
		r.sql[n] = head + "VALUES " + strings.Join(rows, ", ") + tail
		ofRows[r.sql[n]] = struct {
			*Rows
			n int
		}{r, n}
	}
	ofRows[one] = ofRows[r.sql[1]]
	return r
}

// cutRow cuts a text after its first parenthesis that is closed.
func cutRow(s string) (row, tail string, ok bool) {
	depth := 0
	for i, c := range s {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return strings.TrimSpace(s[:i+1]), s[i+1:], true
			}
		}
	}
	return "", "", false
}

// Exec writes rows, whose values stand one row after the other.
func (r *Rows) Exec(ctx context.Context, db interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, values []any) error {
	for left := len(values) / r.columns; left > 0; {
		n := sizes[slices.IndexFunc(sizes, func(n int) bool { return n <= left })]
		if _, err := db.Exec(ctx, r.sql[n], values[:n*r.columns]...); err != nil {
			return err
		}
		left, values = left-n, values[n*r.columns:]
	}
	return nil
}

// merged is a statement of a batch that was merged of several.
type merged struct {
	query *pgx.QueuedQuery
	rows  *Rows // nil for a statement that stands alone
	args  []any
}

// Merge makes one batch of several that change different rows. What each has stays in its
// order, and the same [Rows] of several become one statement.
func Merge(ctx context.Context, batches []*Batch) (*Batch, error) {
	var all []*merged
	for _, b := range batches {
		from := 0
		for _, q := range b.queued.QueuedQueries {
			of := ofRows[q.SQL]
			at := slices.IndexFunc(all[from:], func(m *merged) bool { return of.Rows != nil && m.rows == of.Rows })
			if at < 0 {
				all = append(all, &merged{query: q, rows: of.Rows, args: slices.Clip(q.Arguments)})
				from = len(all)
				continue
			}
			m := all[from+at]
			m.args = append(m.args, q.Arguments...)
			from += at + 1
		}
	}
	out := new(Batch)
	for _, m := range all {
		if m.rows == nil {
			out.queued.QueuedQueries = append(out.queued.QueuedQueries, m.query)
		} else if err := m.rows.Exec(ctx, out, m.args); err != nil {
			return nil, err
		}
	}
	return out, nil
}
