package pg_test

import (
	"testing"

	"github.com/kefu-suite/kefu/runtime/pg"
)

func TestColumns(t *testing.T) {
	got := pg.Columns("-- name: GetThing :one\nSELECT id, number, type FROM things WHERE id = $1\n", "t")
	if want := "t.id, t.number, t.type"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, query := range []string{"", "SELECT 1", "SELECT count(*) FROM things", "SELECT t.id FROM things t", "SELECT * FROM things", "DELETE FROM things"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q has columns", query)
				}
			}()
			pg.Columns(query, "t")
		}()
	}
}
