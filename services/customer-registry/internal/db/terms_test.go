package db

import (
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/textsearch"
	"github.com/kefu-suite/kefu/services/internal/textsearch/texttest"
)

func TestCustomersOfBeforeGetTheirTerms(t *testing.T) {
	owner := testkit.Database(t, audit.Migrations(), directory.Migrations(), clock.Migrations(), Migrations()).Owner(t)
	for position, folded := range texttest.Texts() {
		if _, err := owner.Exec(t.Context(), `
WITH made AS (
  INSERT INTO customers (id, number, name, kind, party, classification_code, industry, region, source_channel, tags, lifecycle,
    tier, tier_reason, status, language, service_quality_consent, create_time, update_time, version)
  VALUES (gen_random_uuid(), 'N' || $1::bigint, '', 1, 1, '', '', '', '', '{}', 1, 1, '', 1, 'en', true, now(), now(), 1) RETURNING id)
INSERT INTO customer_summaries (customer_id, number, name, kind, region, tier, status, folded, grams, position)
SELECT id, '', '', 1, '', 1, 1, $2, $3, $1 FROM made`, position, folded, append([]string{}, textsearch.Terms(folded, position)...)); err != nil {
			t.Fatal(err)
		}
	}
	// Only characters and fours of digits had their span, of 16,384 customers.
	marked := func(folded string, position int64) (terms []string) {
		for _, part := range texttest.Parts(folded) {
			if n := utf8.RuneCountInString(part); n == 1 || n == 4 {
				part = fmt.Sprintf("%s/%d", part, position>>14)
			}
			terms = append(terms, part)
		}
		return terms
	}
	texttest.Migration(t, owner, "migrations/0097_span_search_terms.sql", "customer_summaries", marked)
}
