// Package texttest checks what services store for [textsearch].
package texttest

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/services/internal/textsearch"
)

// Texts are texts by position, for tables whose terms a migration makes anew.
func Texts() map[int64]string {
	return map[int64]string{
		1:          textsearch.Lines("武汉2008精工设备有限公司 é/7", "C-202611-0000001", "华中", "12345"),
		1<<16 - 1:  textsearch.Lines("a/b 1 123456/9"),
		5 << 16:    "",
		61<<16 + 9: textsearch.Lines("大連 𠮷野 0000", "//", "9/3"),
	}
}

// Parts are the terms of a text without their span.
func Parts(folded string) (parts []string) {
	for _, term := range textsearch.Terms(folded, 0) {
		parts = append(parts, strings.TrimSuffix(term, "/0"))
	}
	return parts
}

// Migration checks that the migration in a file gives the texts of a table the terms that new
// ones get, with their span, and takes them back to what they were before.
func Migration(t *testing.T, owner *pgxpool.Pool, file, table string, before func(folded string, position int64) []string) {
	t.Helper()
	conn, err := owner.Acquire(t.Context()) // its functions are of one session
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	up, down, _ := strings.Cut(string(text), "-- +goose Down")
	for _, step := range []struct {
		name, sql string
		want      func(folded string, position int64) []string
	}{{"down", down, before}, {"up", up, textsearch.Terms}, {"down again", down, before}} {
		for part := range strings.SplitSeq(strings.ReplaceAll(step.sql, "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"), ";\n") {
			if _, err := conn.Exec(t.Context(), part); err != nil {
				t.Fatalf("%s: %.60s: %v", step.name, part, err)
			}
		}
		for position, folded := range Texts() {
			var got []string
			if err := conn.QueryRow(t.Context(), `SELECT grams FROM `+table+` WHERE position = $1`, position).Scan(&got); err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			want := step.want(folded, position)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q at %d has the terms %q, want %q", step.name, folded, position, got, want)
			}
		}
	}
}
