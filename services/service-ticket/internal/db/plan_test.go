package db

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/policy"
)

// Years of shifts and absences, read for a week of them.
func TestListsOfTheOrganisationUseTheirIndexes(t *testing.T) {
	base := testkit.Database(t, customerref.Migrations(), clock.Migrations(), policy.Migrations(), Migrations())
	ctx, owner := t.Context(), base.Owner(t)
	for _, sql := range []string{
		`INSERT INTO calendars (id, subject_id, is_default, definition, create_time, update_time, version)
		 VALUES ('day-and-night', gen_random_uuid(), true, '', now(), now(), 1)`,
		`INSERT INTO departments (id, code, name_zh, name_en, function, create_time, update_time, version)
		 VALUES (gen_random_uuid(), 'd', '', '', 0, now(), now(), 1)`,
		`INSERT INTO staff (id, name, department_id, posts, skills, languages, status, issuer, subject, create_time, update_time, version)
		 SELECT gen_random_uuid(), '', d.id, '{}', '{}', '{}', 1, '', n::text, now(), now(), 1 FROM departments d, generate_series(1, 300) n`,
		`INSERT INTO duty_rosters (id, code, name_zh, name_en, calendar_id, closed, create_time, update_time, version)
		 SELECT gen_random_uuid(), 'r' || n, '', '', 'day-and-night', false, now(), now(), 1 FROM generate_series(1, 3) n`,
		`INSERT INTO duty_shifts (id, roster_id, staff_id, start_time, end_time, create_time)
		 SELECT gen_random_uuid(), r.id, (SELECT id FROM staff LIMIT 1), now() - n * interval '8 h', now() - (n - 1) * interval '8 h', now()
		 FROM duty_rosters r, generate_series(-50, 4000) n`,
		`INSERT INTO substitutions (id, staff_id, substitute_staff_id, start_time, end_time, reason, create_time)
		 SELECT gen_random_uuid(), a.id, b.id, now() - n * interval '1 day', now() - (n - 1) * interval '1 day', '', now()
		 FROM (SELECT id FROM staff LIMIT 40) a, (SELECT id FROM staff ORDER BY subject DESC LIMIT 1) b, generate_series(1, 300) n WHERE a.id <> b.id`,
		`ANALYZE`,
	} {
		if _, err := owner.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	var roster, somebody uuid.UUID
	if err := base.Pool.QueryRow(ctx, `SELECT roster_id, staff_id FROM duty_shifts LIMIT 1`).Scan(&roster, &somebody); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	week, month := now.Add(7*24*time.Hour), now.Add(-31*24*time.Hour)
	for _, c := range []struct {
		name, sql, index string
		args             []any
	}{
		{"shifts", listDutyShifts, "duty_shifts_roster_id_idx", []any{roster, now, month, time.Time{}, uuid.Nil, int32(51)}},
		{"shifts of a time", listShiftsDuring, "duty_shifts_roster_id_idx", []any{roster, now, week, month}},
		{"shifts of a person", listShiftsOfStaffDuring, "duty_shifts_roster_id_idx", []any{roster, somebody, now, week, month}},
		{"somebody's substitutes", listSubstitutionsOf, "substitutions_staff_id_idx", []any{somebody, uuid.Nil, int32(51)}},
		{"absences of a time", listSubstitutionsDuring, "substitutions_end_time_idx", []any{now, week}},
		{"absences", listSubstitutions, "substitutions_pkey", []any{uuid.Nil, int32(51)}},
	} {
		if plan := explain(t, base, c.sql, c.args...); !strings.Contains(plan, c.index) {
			t.Errorf("%s: wants %s:\n%s", c.name, c.index, plan)
		}
	}
}

func explain(t *testing.T, base *testkit.DB, sql string, args ...any) string {
	t.Helper()
	rows, err := base.Pool.Query(t.Context(), "EXPLAIN "+sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(lines, "\n")
}
