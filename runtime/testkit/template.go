package testkit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
)

const (
	missingDatabase = "3D000"
	databaseInUse   = "55006"

	templatePfx = "kefu_template_"
	templateAge = 24 * time.Hour
)

// templateName follows from everything that shapes the template.
func templateName(sets []pg.MigrationSet) (string, error) {
	h := sha256.New()
	for _, set := range sets {
		fmt.Fprintf(h, "set %q\n", set.Name)
		err := fs.WalkDir(set.FS, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(set.FS, path)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "file %q %d\n%s\n", path, len(text), text)
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("read the migrations of %s: %w", set.Name, err)
		}
	}
	return templatePfx + hex.EncodeToString(h.Sum(nil)[:12]), nil
}

// makeTemplate migrates a database, closes it to connections and marks it as a
// template, which only a finished one is.
func (s server) makeTemplate(ctx context.Context, name string, sets []pg.MigrationSet) error {
	return s.locked(ctx, name, func(conn *pgx.Conn) error {
		var finished bool
		const ask = `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)`
		if err := conn.QueryRow(ctx, ask, name).Scan(&finished); err != nil || finished {
			return err
		}
		if err := s.locked(ctx, templatePfx, func(*pgx.Conn) error { return dropOldTemplates(ctx, conn) }); err != nil {
			return fmt.Errorf("drop old templates: %w", err)
		}
		unfinished := name + "_new"
		// A process that ended before it gave the name left a template, which cannot be dropped.
		var left bool
		if err := conn.QueryRow(ctx, ask, unfinished).Scan(&left); err != nil {
			return err
		}
		if left {
			if _, err := conn.Exec(ctx, "ALTER DATABASE "+quote(unfinished)+" WITH IS_TEMPLATE false"); err != nil {
				return err
			}
		}
		for _, sql := range []string{
			"DROP DATABASE IF EXISTS " + quote(unfinished) + " WITH (FORCE)",
			"CREATE DATABASE " + quote(unfinished) + " OWNER " + quote(testOwner),
			"COMMENT ON DATABASE " + quote(unfinished) + " IS '" + strconv.FormatInt(time.Now().Unix(), 10) + "'",
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		owner, err := pg.Login(s.admin, testOwner, s.password, unfinished)
		if err != nil {
			return err
		}
		if err := pg.GrantRun(ctx, owner, testRole); err != nil {
			return err
		}
		if err := pg.Migrate(ctx, owner, sets...); err != nil {
			return err
		}
		for _, sql := range []string{
			"ALTER DATABASE " + quote(unfinished) + " WITH IS_TEMPLATE true ALLOW_CONNECTIONS false",
			"ALTER DATABASE " + quote(unfinished) + " RENAME TO " + quote(name),
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// dropOldTemplates keeps a checkout whose migrations change from filling the
// disk. A template that is still wanted is simply made again.
func dropOldTemplates(ctx context.Context, conn *pgx.Conn) error {
	const old = `SELECT datname FROM pg_database
		WHERE starts_with(datname, $1) AND datistemplate
		AND shobj_description(oid, 'pg_database') < $2`
	before := strconv.FormatInt(time.Now().Add(-templateAge).Unix(), 10)
	rows, err := conn.Query(ctx, old, templatePfx, before)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := conn.Exec(ctx, "ALTER DATABASE "+quote(name)+" WITH IS_TEMPLATE false"); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE "+quote(name)); err != nil {
			return err
		}
	}
	return nil
}

// locked runs fn while no other process holds the lock of that name.
func (s server) locked(ctx context.Context, name string, fn func(conn *pgx.Conn) error) error {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return s.connected(ctx, func(conn *pgx.Conn) error {
		// The lock ends with the connection.
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(h.Sum64())); err != nil {
			return err
		}
		return fn(conn)
	})
}

func (s server) exec(ctx context.Context, sql string) error {
	return s.connected(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

func (s server) connected(ctx context.Context, fn func(conn *pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return fn(conn)
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
