//go:build long

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

// At a million complaints the checks for repeats are index reads still: of the customer, of the
// product and of the cause at most a hundred rows each.
func TestLongRepeatsOfAMillion(t *testing.T) {
	d := testkit.Database(t, customerref.Migrations(), directory.Migrations(), clock.Migrations(), Migrations())
	ctx := t.Context()
	// One connection: its limit of time is that of a service.
	owner, err := d.Owner(t).Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Release()
	million := strings.ReplaceAll(fill, "generate_series(1, 20000)", "generate_series(1, 1000000)")
	// The readers play no part here.
	million, _, _ = strings.Cut(million, "INSERT INTO complaint_readers")
	statements := append(append([]string{"SET statement_timeout = 0"}, strings.Split(million, ";\n")...),
		"INSERT INTO complaint_rounds (complaint_id, number, start_time, assign_version, tell_channel, told, satisfaction, answer_said_by, answer_channel, answer_note)"+
			" SELECT id, 1, create_time, 0, 0, '', 0, '', 0, '' FROM complaints",
		"INSERT INTO complaint_investigations (complaint_id, round, findings, reason, cause_id, receive_time, questions, answers, consequences, currency, loss_units, loss_nanos, investigate_time)"+
			" SELECT id, 1, '', '', (SELECT c.id FROM complaint_causes c WHERE c.code = 'material'), create_time, '{}', '{}', '{}', '', 0, 0, create_time FROM complaints",
		"ANALYZE")
	for _, statement := range statements {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := owner.Exec(ctx, statement); err != nil {
			t.Fatalf("%.60s: %v", statement, err)
		}
	}
	const given = "now() - interval '90 days'"
	for name, query := range map[string]string{
		"customer and product": strings.NewReplacer(
			"$1", "'00000000-0000-7000-8000-000000000007'", "$2", given, "$3", "now() + interval '1 day'",
			"$4", "'01900000-0000-7000-8000-000000000007'", "$5", "'P-7'",
		).Replace(selectRepeats),
		"cause": strings.NewReplacer(
			"$1", "(SELECT id FROM complaint_causes WHERE code = 'material')", "$2", given, "$3", "now() + interval '1 day'",
			"$4", "'01900000-0000-7000-8000-000000000007'",
		).Replace(selectSameCause),
	} {
		var raw []byte
		if err := d.Pool.QueryRow(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+query).Scan(&raw); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var plans []struct {
			Plan plan
			Time float64 `json:"Execution Time"`
		}
		if err := json.Unmarshal(raw, &plans); err != nil {
			t.Fatal(err)
		}
		rows, whole := plans[0].Plan.touched()
		whole = without(whole, "complaint_causes") // six rows, to name the cause
		t.Logf("%s: %v rows in %.2f ms", name, rows, plans[0].Time)
		if rows > 210 || rows < 100 || len(whole) > 0 {
			t.Errorf("%s: reads %v rows, and all of %v", name, rows, whole)
		}
	}
}

func without(list []string, name string) (out []string) {
	for _, s := range list {
		if s != name {
			out = append(out, s)
		}
	}
	return out
}
