// Package subjecttest holds a service's declaration of what it keeps on persons against its
// schema.
package subjecttest

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/services/internal/subject"
)

// schema gives the columns of every table by its name, but those of the migrations' own.
func schema(t testing.TB, pool *pgxpool.Pool) map[string][]string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT c.table_name, c.column_name FROM information_schema.columns c
		JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.table_name NOT LIKE '%\_goose'`)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	var table, column string
	if _, err := pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		out[table] = append(out[table], column)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("the schema has only %d tables", len(out))
	}
	return out
}

// Declared fails the test unless the declaration names every table and column of the schema
// once and no other, and says why of what it says nothing further.
func Declared(t testing.TB, pool *pgxpool.Pool, tables []subject.Table) {
	t.Helper()
	left := schema(t, pool)
	whole := schema(t, pool)
	for _, d := range tables {
		columns, there := whole[d.Name]
		if !there {
			t.Errorf("%s is declared and not in the schema", d.Name)
			continue
		}
		if (d.Set == "") != (d.Reason != "") || (d.Set == "") != (d.Column == "") {
			t.Errorf("%s: either whose rows they are or why they are nobody's", d.Name)
		}
		for _, c := range slices.Concat(d.Columns(), strings.Fields(d.Hidden)) {
			if c != "*" && !slices.Contains(columns, c) {
				t.Errorf("%s.%s is declared and not in the schema", d.Name, c)
			}
		}
		if d.Part {
			continue
		}
		unsaid, once := left[d.Name]
		if !once {
			t.Errorf("%s is declared twice", d.Name)
			continue
		}
		delete(left, d.Name)
		if d.Kept == "*" {
			continue
		}
		said := d.Columns()
		slices.Sort(said)
		if len(slices.Compact(slices.Clone(said))) != len(said) {
			t.Errorf("%s: a column is declared twice", d.Name)
		}
		for _, c := range unsaid {
			if !slices.Contains(said, c) {
				t.Errorf("%s.%s: nothing says what becomes of it when a person is erased", d.Name, c)
			}
		}
	}
	for table := range left {
		t.Errorf("%s: nothing says what becomes of it when a person is erased", table)
	}
}
