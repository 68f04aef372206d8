package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrOutcomeUnknown marks an error of [InTx] or [InBatch] after which nobody
// can say whether the transaction committed: the connection was lost, or ctx
// ended, after the commit was sent. Such a transaction is never run again by
// the doors. The caller answers with a retriable status, and the idempotency
// row decides when the caller tries again.
var ErrOutcomeUnknown = errors.New("outcome of the transaction is unknown")

// Code returns the SQLSTATE of err, or "" when it did not come from a
// statement that Postgres answered.
func Code(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return ""
}

// Violates reports whether err is a violation (SQLSTATE class 23) of the
// constraint or unique index of that name. Anything else is false, so an
// unexpected error stays private.
func Violates(err error, constraint string) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && strings.HasPrefix(pe.Code, "23") && pe.ConstraintName == constraint
}

// Unavailable reports whether err means that the database could not be reached
// or was going away, rather than that it refused a statement: a failed or lost
// connection, SQLSTATE class 08 or 57P, or too many connections. It is false
// when ctx ended, which is the caller's deadline and not the database's fault.
// A connection that took too long to be made is the database's: the pool makes
// it within its own time and not within the caller's.
func Unavailable(err error) bool {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return strings.HasPrefix(pe.Code, "08") || strings.HasPrefix(pe.Code, "57P") || pe.Code == "53300"
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var ce *pgconn.ConnectError
	if errors.As(err, &ce) {
		return true
	}
	return !errors.Is(err, context.DeadlineExceeded) && (errors.Is(err, ErrOutcomeUnknown) || lost(err))
}

// Describe returns what may be logged of err: for an answer of Postgres its
// SQLSTATE, table, column and constraint, never the message or detail, which
// carry row values.
func Describe(err error) string {
	var pe *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &pe):
		return describe(pe)
	case errors.Is(err, pgx.ErrNoRows):
		return "no rows"
	case Unavailable(err):
		return "database unavailable"
	case errors.Is(err, context.Canceled):
		return context.Canceled.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded.Error()
	}
	return fmt.Sprintf("%T", err)
}

// lost reports whether err is a connection that broke while in use.
func lost(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, pgconn.ErrConnClosed)
}

func describe(pe *pgconn.PgError) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SQLSTATE %s", pe.Code)
	for _, part := range []struct{ name, value string }{
		{"table", pe.TableName}, {"column", pe.ColumnName}, {"constraint", pe.ConstraintName},
	} {
		if part.value != "" {
			fmt.Fprintf(&b, " %s %s", part.name, part.value)
		}
	}
	return b.String()
}
