package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const ownerSuffix = "_owner"

// MigrationSet is one package's migrations. Its version is kept in the table
// <Name>_goose, so sets of several packages live in one database.
type MigrationSet struct {
	// Name is lower case letters, digits and underscores.
	Name string
	// FS holds goose files NNNN_verb_noun.sql at its root, or in its only
	// folder, so an embed.FS of "migrations/*.sql" can be given as it is.
	FS fs.FS
}

var setName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// Migrate brings every set up to its newest version, in the order given, and
// is safe to run from several processes at once: a session lock lets one work
// while the others wait. ownerDSN must log in as <service>_owner; migrations
// find the run role's name in the setting kefu.run_role (see the package
// comment). It stops at the first migration that fails; each migration is one
// transaction unless it says otherwise, so those before it stay applied.
func Migrate(ctx context.Context, ownerDSN string, sets ...MigrationSet) error {
	cfg, err := pgx.ParseConfig(ownerDSN)
	if err != nil {
		return fmt.Errorf("owner's database URL: %w", err)
	}
	run, ok := strings.CutSuffix(cfg.User, ownerSuffix)
	if !ok || run == "" {
		return fmt.Errorf("migrations run as the role <service>%s, not as %q", ownerSuffix, cfg.User)
	}
	return migrate(ctx, cfg, run, sets)
}

func migrate(ctx context.Context, cfg *pgx.ConnConfig, run string, sets []MigrationSet) (err error) {
	cfg.RuntimeParams["kefu.run_role"] = run
	cfg.RuntimeParams["application_name"] = run + " migrate"
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, set := range sets {
		if err := set.up(ctx, db, run); err != nil {
			return fmt.Errorf("migrate %s: %w", set.Name, err)
		}
	}
	return nil
}

func (s MigrationSet) up(ctx context.Context, db *sql.DB, run string) error {
	if !setName.MatchString(s.Name) {
		return fmt.Errorf("%q is no name for a set of migrations", s.Name)
	}
	files, err := s.root()
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120))
	if err != nil {
		return fmt.Errorf("session lock: %w", err)
	}
	table := s.Name + "_goose"
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName(table),
		goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true),
		// Numbers are given out by range to what grows side by side, so that a lower one may
		// come later; it never needs a higher one.
		goose.WithAllowOutofOrder(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return err
	}
	if err := hide(ctx, db, table, run); err != nil {
		return fmt.Errorf("keep %s from the run role: %w", table, err)
	}
	return nil
}

// hide takes the run role's default rights to a version table away. Postgres
// refuses two changes of one table's rights at once, hence the lock.
func hide(ctx context.Context, db *sql.DB, table, run string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // has no effect after the commit
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", lock.DefaultLockID+1); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("REVOKE ALL ON %s FROM %s", quote(table), quote(run))); err != nil {
		return err
	}
	return tx.Commit()
}

// root is the folder that holds the SQL files.
func (s MigrationSet) root() (fs.FS, error) {
	entries, err := fs.ReadDir(s.FS, ".")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	if len(entries) == 1 && entries[0].IsDir() {
		return fs.Sub(s.FS, entries[0].Name())
	}
	return s.FS, nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
