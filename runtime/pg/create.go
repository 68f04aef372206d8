package pg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Access is how one service reaches its database.
type Access struct {
	// Database is the name of the database and of the run role.
	Database string
	// OwnerDSN logs in as the role that migrates, DSN as the role that runs.
	OwnerDSN, DSN string
}

var serviceName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,40}$`)

// CreateDatabase makes the database and the two roles of a service on the
// server of adminDSN, a URL whose role may create roles and databases. It may
// be called again at any time: what exists is kept, the passwords and the
// default privileges are set anew. The two calls of one service must not
// overlap; calls of different services may.
func CreateDatabase(ctx context.Context, adminDSN, service, ownerPassword, runPassword string) (Access, error) {
	if !serviceName.MatchString(service) {
		return Access{}, fmt.Errorf("%q is no service name", service)
	}
	name := strings.ReplaceAll(service, "-", "_")
	if err := CreateRoles(ctx, adminDSN, name, ownerPassword, runPassword); err != nil {
		return Access{}, err
	}
	if err := createOwned(ctx, adminDSN, name, name+ownerSuffix); err != nil {
		return Access{}, fmt.Errorf("create database %s: %w", name, err)
	}
	owner, err := Login(adminDSN, name+ownerSuffix, ownerPassword, name)
	if err != nil {
		return Access{}, err
	}
	run, err := Login(adminDSN, name, runPassword, name)
	if err != nil {
		return Access{}, err
	}
	if err := GrantRun(ctx, owner, name); err != nil {
		return Access{}, err
	}
	return Access{Database: name, OwnerDSN: owner, DSN: run}, nil
}

// CreateRoles makes the roles <name>_owner and <name> with these passwords, or
// gives existing ones these passwords.
func CreateRoles(ctx context.Context, adminDSN, name, ownerPassword, runPassword string) error {
	return connected(ctx, adminDSN, func(conn *pgx.Conn) error {
		for role, password := range map[string]string{name + ownerSuffix: ownerPassword, name: runPassword} {
			if err := createRole(ctx, conn, role, password); err != nil {
				return fmt.Errorf("create role %s: %w", role, err)
			}
		}
		// A mere CREATEROLE role may give databases only to roles it is in.
		const join = `SELECT format('GRANT %I TO %I', $1::text, current_user)
			WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)`
		return execBuilt(ctx, conn, join, name+ownerSuffix)
	})
}

func createRole(ctx context.Context, conn *pgx.Conn, role, password string) error {
	const create = `SELECT format('CREATE ROLE %I', $1::text)
		WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`
	// Two processes may both find the role missing; the second is content.
	if err := execBuilt(ctx, conn, create, role); err != nil && Code(err) != "42710" && Code(err) != "23505" {
		return err
	}
	return execBuilt(ctx, conn, `SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)`, role, password)
}

func createOwned(ctx context.Context, adminDSN, name, owner string) error {
	return connected(ctx, adminDSN, func(conn *pgx.Conn) error {
		const create = `SELECT format('CREATE DATABASE %I OWNER %I', $1::text, $2::text)
			WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = $1)`
		return execBuilt(ctx, conn, create, name, owner)
	})
}

// GrantRun gives the run role its rights in the database of ownerDSN, now and
// for every table and sequence its owner makes later, and shuts out roles that
// are neither.
func GrantRun(ctx context.Context, ownerDSN, run string) error {
	return connected(ctx, ownerDSN, func(conn *pgx.Conn) error {
		role, db := quote(run), quote(conn.Config().Database)
		for _, sql := range []string{
			"REVOKE ALL ON DATABASE " + db + " FROM PUBLIC",
			"GRANT CONNECT ON DATABASE " + db + " TO " + role,
			"GRANT USAGE ON SCHEMA public TO " + role,
			"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO " + role,
			"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO " + role,
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("grant the run role its rights: %w", err)
			}
		}
		return nil
	})
}

// Login is the URL dsn with another user, password and database. It fails when
// dsn is not a URL.
func Login(dsn, user, password, database string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		// The parse error would quote the URL and its password.
		return "", errors.New("a database address must be a URL like postgres://user:password@host:5432/name")
	}
	u.User, u.Path, u.RawPath = url.UserPassword(user, password), "/"+database, ""
	return u.String(), nil
}

// execBuilt runs the statement that the query builds, if it builds one: roles
// and passwords cannot be parameters of DDL, so Postgres quotes them itself.
func execBuilt(ctx context.Context, conn *pgx.Conn, build string, args ...any) error {
	var statement string
	err := conn.QueryRow(ctx, build, args...).Scan(&statement)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return err
}

func connected(ctx context.Context, dsn string, fn func(conn *pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return fn(conn)
}
