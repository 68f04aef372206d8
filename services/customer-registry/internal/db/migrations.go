package db

import (
	"embed"

	"github.com/kefu-suite/kefu/runtime/pg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes the registry's own tables.
func Migrations() pg.MigrationSet {
	return pg.MigrationSet{Name: "customer_registry", FS: migrations}
}
