package db

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// Files that were asked for before the migration are marked by it, and those that a release
// asks for which does not know the mark by the database.
func TestFilesAskedForAreMarked(t *testing.T) {
	base := testkit.Database(t, audit.Migrations(), directory.Migrations(), clock.Migrations(), Migrations())
	owner := base.Owner(t)
	text, err := os.ReadFile("migrations/0098_mark_asked_files.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, down, _ := strings.Cut(string(text), "-- +goose Down")
	exec := func(on *pgxpool.Pool, sql string) {
		t.Helper()
		if _, err := on.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%.60s: %v", sql, err)
		}
	}
	count := func(what string) (n int) {
		t.Helper()
		if err := base.Pool.QueryRow(t.Context(), `SELECT count(*) FROM customers c JOIN customer_quality q ON q.customer_id = c.id WHERE `+what).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	write := func(when string) {
		t.Helper()
		exec(base.Pool, strings.ReplaceAll(`
			INSERT INTO access_requests (id, asker, purpose, days, state, decider, decide_time, note, end_time, create_time, version)
			SELECT c.id, 'asker', '', 7, state, CASE WHEN state > 1 THEN 'boss' END, CASE WHEN state > 1 THEN now() END, '',
				CASE WHEN state IN (2, 4) THEN now() END, now(), 1
			FROM customers c JOIN (VALUES ('pending', 1), ('approved', 2), ('refused', 3), ('revoked', 4)) AS s (name, state)
				ON c.number = '<when> ' || s.name;
			INSERT INTO access_request_customers (request_id, customer_id)
			SELECT c.id, c.id FROM customers c JOIN access_requests r ON r.id = c.id WHERE c.number LIKE '<when> %';
			INSERT INTO break_glasses (id, actor, customer_id, reason, end_time, create_time, version)
			SELECT id, 'asker', id, '', now(), now(), 1 FROM customers WHERE number = '<when> glass'`, "<when>", when))
	}
	exec(owner, down)
	exec(owner, `
		INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel, tags, lifecycle,
			tier, tier_reason, status, language, service_quality_consent, create_time, update_time, version)
		SELECT gen_random_uuid(), w || ' ' || n, '', 1, 1, '', '', '', '', '{}', 1, 1, '', 1, 'en', true, now(), now(), 1
		FROM unnest('{before,after}'::text[]) w, unnest('{pending,approved,refused,revoked,glass,nothing}'::text[]) n`)
	exec(owner, `UPDATE customer_quality SET rescore_time = 'infinity'`)
	write("before")
	exec(owner, up)
	write("after")
	const asked = `number NOT LIKE '% nothing'`
	if n, wrong := count("asked_for AND "+asked), count("asked_for <> ("+asked+")"); n != 10 || wrong != 0 {
		t.Errorf("%d files are marked rightly and %d wrongly", n, wrong)
	}
	if n := count("version <> 1 OR update_time <> create_time OR rescore_time <> 'infinity'"); n != 0 {
		t.Errorf("a mark changed %d files or has them scored", n)
	}
	// Whoever moves a grant to another file marks that.
	exec(base.Pool, `UPDATE break_glasses SET customer_id = (SELECT id FROM customers WHERE number = 'before nothing') WHERE id = (SELECT id FROM customers WHERE number = 'after glass')`)
	exec(base.Pool, `UPDATE access_request_customers SET customer_id = (SELECT id FROM customers WHERE number = 'after nothing')
		WHERE request_id = (SELECT id FROM customers WHERE number = 'after approved')`)
	if n := count("asked_for"); n != 12 {
		t.Errorf("%d files are marked after moves", n)
	}
	exec(base.Pool, `UPDATE customers SET region = 'x' WHERE number = 'before glass'`)
	if n := count("rescore_time <> 'infinity'"); n != 1 {
		t.Errorf("a change of a file has %d scored", n)
	}
}
