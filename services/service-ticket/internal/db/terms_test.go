package db

import (
	"testing"
	"unicode/utf8"

	"github.com/kefu-suite/kefu/services/internal/textsearch"
	"github.com/kefu-suite/kefu/services/internal/textsearch/texttest"
)

func TestTicketsOfBeforeGetTheirTerms(t *testing.T) {
	base, _ := manyTickets(t)
	owner := base.Owner(t)
	for position, folded := range texttest.Texts() {
		if _, err := owner.Exec(t.Context(), `INSERT INTO ticket_texts (ticket_id, position, folded, grams)
			SELECT id, $1, $2, $3 FROM tickets t WHERE NOT EXISTS (SELECT FROM ticket_texts x WHERE x.ticket_id = t.id) LIMIT 1`,
			position, folded, append([]string{}, textsearch.Terms(folded, position)...)); err != nil {
			t.Fatal(err)
		}
	}
	// There were no spans, and no fours of digits.
	plain := func(folded string, _ int64) (terms []string) {
		for _, part := range texttest.Parts(folded) {
			if utf8.RuneCountInString(part) < 4 {
				terms = append(terms, part)
			}
		}
		return terms
	}
	texttest.Migration(t, owner, "migrations/0086_span_search_terms.sql", "ticket_texts", plain)
}
