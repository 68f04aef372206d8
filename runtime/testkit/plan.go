package testkit

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// OnePlan is the plan by which a statement runs whatever its arguments are, as [pg.OnePlan]
// has it made, or a pool of [pg.InOrder].
func OnePlan(t testing.TB, pool *pgxpool.Pool, sql string, args int) string {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", args), ", ")
	results, err := conn.Conn().PgConn().Exec(t.Context(), "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; "+
		"PREPARE once AS "+sql+"; EXPLAIN EXECUTE once("+nulls+"); DEALLOCATE once; COMMIT").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var plan []string
	for _, row := range results[len(results)-3].Rows {
		plan = append(plan, string(row[0]))
	}
	return strings.Join(plan, "\n")
}
