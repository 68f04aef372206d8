package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// cancelWithin bounds the wait for the end of a statement or a transaction whose caller
// gave up; after it the connection is closed.
const cancelWithin = 500 * time.Millisecond

// Config says how one process uses its database. Zero durations and a zero
// MaxConns mean the defaults named in the tags.
type Config struct {
	// URL is the database of the service, as its run role.
	URL string `env:"KEFU_DATABASE_URL,required,notEmpty"`
	// Application appears in pg_stat_activity.
	Application string `env:"KEFU_DATABASE_APPLICATION"`
	// MaxConns bounds the pool.
	MaxConns int32 `env:"KEFU_DATABASE_MAX_CONNS" envDefault:"20"`
	// ConnectTimeout bounds one attempt to connect.
	ConnectTimeout time.Duration `env:"KEFU_DATABASE_CONNECT_TIMEOUT" envDefault:"5s"`
	// StatementTimeout bounds one statement, on the server.
	StatementTimeout time.Duration `env:"KEFU_DATABASE_STATEMENT_TIMEOUT" envDefault:"5s"`
	// LockTimeout bounds waiting for one lock, on the server.
	LockTimeout time.Duration `env:"KEFU_DATABASE_LOCK_TIMEOUT" envDefault:"2s"`
	// IdleInTransactionTimeout ends a session that holds a transaction open
	// without using it.
	IdleInTransactionTimeout time.Duration `env:"KEFU_DATABASE_IDLE_IN_TRANSACTION_TIMEOUT" envDefault:"10s"`
}

// LogValue leaves the URL out, because it holds the password.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("application", c.Application),
		slog.Int("max_conns", int(c.MaxConns)),
		slog.Duration("statement_timeout", c.StatementTimeout),
		slog.Duration("lock_timeout", c.LockTimeout),
		slog.Duration("idle_in_transaction_timeout", c.IdleInTransactionTimeout),
	)
}

// DBTX is what sqlc's queries take. A pool, a transaction, a connection and a
// [Batch] satisfy it.
type DBTX interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Open returns a pool of which one connection has been proven to work. Every
// connection speaks the extended protocol only and carries the timeouts of cfg
// whatever the URL says. It fails when the URL is malformed, asks for the
// simple protocol, or the server cannot be reached before ctx ends; the error
// never holds the password.
func Open(ctx context.Context, cfg Config) (*pgxpool.Pool, error) {
	pc, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reach database: %w", err)
	}
	return pool, nil
}

// InOrder opens a pool beside another whose sessions make one plan of a query, for any arguments,
// as [OnePlan] does, and read indexes in their order alone. It is for queries that merge what
// indexes give up to a limit: planning them takes longer than running them, and where few rows
// are taken for likely the plan would be to gather and sort all that there are. Saying so with each
// query cost a tenth of a millisecond. It holds as many connections as a quarter of the other,
// and none before it is used.
func InOrder(beside *pgxpool.Pool) (*pgxpool.Pool, error) {
	pc := beside.Config()
	pc.MaxConns = max(2, pc.MaxConns/4)
	params := pc.ConnConfig.RuntimeParams
	params["plan_cache_mode"], params["enable_bitmapscan"] = "force_generic_plan", "off"
	pool, err := pgxpool.NewWithConfig(context.Background(), pc)
	if err != nil {
		return nil, fmt.Errorf("open database pool for lists: %w", err)
	}
	return pool, nil
}

func poolConfig(cfg Config) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	if pc.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, errors.New("database URL: the simple protocol is not allowed")
	}
	if cfg.MaxConns < 0 {
		return nil, fmt.Errorf("database pool: %d connections", cfg.MaxConns)
	}
	pc.MaxConns = cfg.MaxConns
	if cfg.MaxConns == 0 {
		pc.MaxConns = 20
	}
	// Spreads reconnecting after all connections were opened at one moment.
	pc.MaxConnLifetime, pc.MaxConnLifetimeJitter = 30*time.Minute, 3*time.Minute
	pc.ConnConfig.ConnectTimeout = orElse(cfg.ConnectTimeout, 5*time.Second)
	// A statement whose caller gave up is cancelled on the server and its connection kept.
	// Closing it, as pgx does otherwise, makes the next caller of a busy service wait for a
	// new session and prepare its statements anew, and give up in its turn.
	pc.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelWithin}
	}
	pc.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		asUUIDs(conn.TypeMap())
		return nil
	}
	params := pc.ConnConfig.RuntimeParams
	if cfg.Application != "" {
		params["application_name"] = cfg.Application
	}
	params["statement_timeout"] = millis(orElse(cfg.StatementTimeout, 5*time.Second))
	params["lock_timeout"] = millis(orElse(cfg.LockTimeout, 2*time.Second))
	params["idle_in_transaction_session_timeout"] = millis(orElse(cfg.IdleInTransactionTimeout, 10*time.Second))
	params["timezone"] = "UTC"
	// Compiling a plan costs hundreds of milliseconds, and the planner does it for
	// statements of one or two whose cost it takes for large.
	params["jit"] = "off"
	return pc, nil
}

func orElse(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// millis rounds up: zero would switch the limit off.
func millis(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10)
}
