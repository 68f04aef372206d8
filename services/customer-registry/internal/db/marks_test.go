package db

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/textsearch"
)

// TestTermsOfBeforeAreMarked: the migration gives customers of before the terms that new ones
// get, and takes them back.
func TestTermsOfBeforeAreMarked(t *testing.T) {
	base := testkit.Database(t, directory.Migrations(), clock.Migrations(), Migrations())
	conn, err := base.Owner(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	texts := map[int64]string{
		1:          customer.SearchText("武汉2008精工设备有限公司 é/7", "C-202611-000001", "华中", "12345"),
		3<<14 - 1:  customer.SearchText("a/b 1"),
		5 << 14:    "",
		61<<14 + 9: customer.SearchText("大連 𠮷野 0000", "//", "9/3"),
	}
	for position, folded := range texts {
		if _, err := conn.Exec(t.Context(), `
WITH made AS (
  INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel, tags, lifecycle,
    tier, tier_reason, status, language, service_quality_consent, create_time, update_time, version)
  VALUES (gen_random_uuid(), 'N' || $1::bigint, '', 1, 1, '', '', '', '', '{}', 1, 1, '', 1, 'en', true, now(), now(), 1) RETURNING id)
INSERT INTO customer_summaries (customer_id, number, name, kind, region, tier, status, folded, grams, position)
SELECT id, '', '', 1, '', 1, 1, $2, $3, $1 FROM made`, position, folded, append([]string{}, textsearch.Grams(folded)...)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("migrations/0096_mark_search_terms.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, down, _ := strings.Cut(string(text), "-- +goose Down")
	for _, step := range []struct {
		sql  string
		want func(text string, position int64) []string
	}{
		{up, customer.Terms},
		{down, func(text string, _ int64) []string { return textsearch.Grams(text) }},
		{up, customer.Terms},
	} {
		for part := range strings.SplitSeq(strings.Replace(step.sql, "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1), ";\n") {
			if _, err := conn.Exec(t.Context(), part); err != nil {
				t.Fatalf("%.60s: %v", part, err)
			}
		}
		for position, folded := range texts {
			var got []string
			if err := conn.QueryRow(t.Context(), `SELECT grams FROM customer_summaries WHERE position = $1`, position).Scan(&got); err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			if want := step.want(folded, position); !slices.Equal(got, want) {
				t.Errorf("%q at %d has the terms %q, want %q", folded, position, got, want)
			}
		}
	}
}
