package db

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Lists of tasks and the sweep of those that are due read as little of many as of few, also of
// a kind that is rare.
func TestDueTasksAreFoundByTheirIndexes(t *testing.T) {
	base, department := manyTickets(t)
	owner := base.Owner(t)
	for _, sql := range []string{
		`INSERT INTO staff (id, name, department_id, posts, skills, languages, status, issuer, subject, create_time, update_time, version)
		 SELECT gen_random_uuid(), '', d.id, '{}', '{}', '{}', 1, '', n::text, now(), now(), 1 FROM (SELECT id FROM departments LIMIT 1) d, generate_series(1, 10) n`,
		`UPDATE tasks SET owner_staff_id = s.ids[1 + t.n::integer % 10]
		 FROM (SELECT id, row_number() OVER () AS n FROM tasks) t, (SELECT array_agg(id) AS ids FROM staff) s WHERE t.id = tasks.id AND t.n % 3 > 0`,
		`ANALYZE`,
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	var somebody uuid.UUID
	if err := base.Pool.QueryRow(t.Context(), `SELECT id FROM staff LIMIT 1`).Scan(&somebody); err != nil {
		t.Fatal(err)
	}
	now, both := time.Now(), []int16{1, 2}
	lists := []string{"tasks_owner_kind_idx", "tasks_department_kind_idx"}
	for _, c := range []struct {
		name, sql string
		indexes   []string
		args      []any
	}{
		{"mine", listOpenTasks, lists, []any{both, somebody, department, time.Time{}, uuid.Nil, (*time.Time)(nil), int32(51)}},
		{"mine that are due", listOpenTasks, lists, []any{both, somebody, department, time.Time{}, uuid.Nil, &now, int32(51)}},
		{"mine of a kind", listOpenTasks, lists, []any{both[1:], somebody, department, time.Time{}, uuid.Nil, &now, int32(51)}},
		{"to be told of", lockOverdueTasks, []string{"tasks_untold_idx", "tickets_pkey"}, []any{now, int32(100)}},
		{"counted", countQueues, []string{"tasks_department_due_idx"}, []any{[]*uuid.UUID{nil, &department}, now}},
	} {
		plan := explain(t, base, c.sql, c.args...)
		for _, index := range c.indexes {
			if !strings.Contains(plan, index) {
				t.Errorf("%s: wants %s:\n%s", c.name, index, plan)
			}
		}
		if strings.Contains(plan, "Seq Scan on tasks") {
			t.Errorf("%s reads the whole table:\n%s", c.name, plan)
		}
	}
}
