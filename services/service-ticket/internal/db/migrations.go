package db

import (
	"embed"

	"github.com/kefu-suite/kefu/runtime/pg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes the tables of tickets and of the directory; they refer to those of
// customerref.
func Migrations() pg.MigrationSet { return pg.MigrationSet{Name: "service_ticket", FS: migrations} }
