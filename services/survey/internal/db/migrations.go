package db

import (
	"embed"

	"github.com/kefu-suite/kefu/runtime/pg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are those of the survey service; customerref's come before them.
func Migrations() pg.MigrationSet {
	return pg.MigrationSet{Name: "survey", FS: migrations}
}
