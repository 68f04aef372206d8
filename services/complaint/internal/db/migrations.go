// Package db is all SQL of the complaint service: migrations, queries and what sqlc made
// of them.
package db

import (
	"embed"

	"github.com/kefu-suite/kefu/runtime/pg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes the service's own tables; those of customerref and directory come
// before it.
func Migrations() pg.MigrationSet {
	return pg.MigrationSet{Name: "complaint", FS: migrations}
}
