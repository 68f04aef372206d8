package db

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// TestNumbersFoldedBeforeAreCountedByValue: what was folded under the empty value moves, what waits
// to be folded is left to the fold, and what was erased stays where it is.
func TestNumbersFoldedBeforeAreCountedByValue(t *testing.T) {
	base := testkit.Database(t, customerref.Migrations(), Migrations())
	owner := base.Owner(t)
	exec := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%.60s: %v", sql, err)
		}
	}
	exec(`INSERT INTO answers (id, questionnaire_id, questionnaire_version, round, order_number, score, low, answer_time, source, external_id, record_time)
		SELECT lpad(to_hex(n), 32, '0')::uuid, '` + ticketSurvey + `', 1, 0, '', 0, false, now(), 's', n, now() FROM generate_series(1, 6) n`)
	// Answers 1 to 4 are folded, the fourth erased since; 5 and 6 wait.
	exec(`INSERT INTO answer_responses (answer_id, place, questionnaire_id, questionnaire_version, question_key, number, body)
		SELECT id, 0, questionnaire_id, 1, 'hours', v, CASE WHEN v IS NULL THEN '' END FROM answers
		JOIN (VALUES ('1', 2.5), ('2', 2.5), ('3', 40), ('4', NULL), ('5', 2.5), ('6', 7)) AS given (n, v) ON external_id = n`)
	exec(`INSERT INTO answer_responses (answer_id, place, questionnaire_id, questionnaire_version, question_key, day)
		SELECT id, 1, questionnaire_id, 1, 'since', '2026-02-28' FROM answers WHERE external_id IN ('1', '6')`)
	exec(`INSERT INTO answer_responses (answer_id, place, questionnaire_id, questionnaire_version, question_key, body)
		SELECT id, 2, questionnaire_id, 1, 'why', 'x' FROM answers WHERE external_id = '1'`)
	exec(`INSERT INTO uncounted SELECT id FROM answers WHERE external_id IN ('5', '6')`)
	exec(`INSERT INTO counts SELECT '` + ticketSurvey + `', 1, key, '', n FROM (VALUES ('hours', 4), ('since', 1), ('why', 1)) AS folded (key, n)`)
	counted := func() []string {
		t.Helper()
		rows, err := owner.Query(t.Context(), `SELECT question_key || ' ' || value || ' ' || n FROM counts WHERE n > 0 ORDER BY 1`)
		if err != nil {
			t.Fatal(err)
		}
		out, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	text, err := os.ReadFile("migrations/0090_count_numbers_and_days.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, down, _ := strings.Cut(string(text), "-- +goose Down")
	inOne := func(sql string) {
		t.Helper()
		err := pgx.BeginFunc(t.Context(), owner, func(tx pgx.Tx) error {
			for part := range strings.SplitSeq(sql, ";\n") {
				if _, err := tx.Exec(t.Context(), part); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	inOne(up)
	if want, got := []string{"hours  1", "hours 2.5 2", "hours 40 1", "since 2026-02-28 1", "why  1"}, counted(); !slices.Equal(got, want) {
		t.Errorf("counted %q, want %q", got, want)
	}
	inOne(down)
	if want, got := []string{"hours  4", "since  1", "why  1"}, counted(); !slices.Equal(got, want) {
		t.Errorf("back again %q, want %q", got, want)
	}
}
