package db

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// The check for repeats reads an index, however many complaints a customer or a product has:
// at most a hundred of each.
func TestTheCheckForRepeatsReadsAnIndex(t *testing.T) {
	d := testkit.Database(t, customerref.Migrations(), directory.Migrations(), clock.Migrations(), Migrations())
	ctx := t.Context()
	for _, statement := range strings.Split(fill, ";\n") {
		if _, err := d.Pool.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Owner(t).Exec(ctx, "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	const given = `now() - interval '90 days'`
	query := strings.NewReplacer(
		"$1", "'00000000-0000-7000-8000-000000000007'", "$2", given, "$3", "now() + interval '1 day'",
		"$4", "'01900000-0000-7000-8000-000000000007'", "$5", "'P-7'",
	).Replace(selectRepeats)
	var raw []byte
	if err := d.Pool.QueryRow(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+query).Scan(&raw); err != nil {
		t.Fatal(err)
	}
	var plans []struct{ Plan plan }
	if err := json.Unmarshal(raw, &plans); err != nil {
		t.Fatal(err)
	}
	if rows, whole := plans[0].Plan.touched(); rows > 202 || rows < 100 || len(whole) > 0 {
		t.Errorf("reads %v rows, and all of %v", rows, whole)
	}
}
