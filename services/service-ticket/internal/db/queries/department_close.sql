-- name: LockDepartmentWhole :one
-- Also waits for those who are about to put something into it, and keeps them out.
SELECT * FROM departments WHERE id = @id FOR UPDATE;

-- name: CloseDepartment :exec
UPDATE departments SET parent_id = @parent_id, close_time = @close_time, successor_id = @successor_id,
  update_time = @update_time, version = @version
WHERE id = @id;

-- name: ListClosedDepartments :many
SELECT id, successor_id FROM departments WHERE close_time IS NOT NULL ORDER BY id;

-- name: ListDepartmentsBelow :many
SELECT * FROM departments WHERE parent_id = @parent_id AND close_time IS NULL ORDER BY id;

-- name: CountDepartmentUse :one
SELECT
  (SELECT count(*) FROM staff s WHERE s.department_id = @id::uuid AND s.status <> 5)::integer AS members,
  (SELECT count(*) FROM tickets t WHERE t.department_id = @id AND t.state BETWEEN 1 AND 5)::integer AS tickets,
  (SELECT count(*) FROM tickets t WHERE t.department_id = @id AND t.state BETWEEN 1 AND 5 AND t.assignee_staff_id IS NULL)::integer AS waiting,
  (SELECT count(*) FROM tasks k WHERE k.department_id = @id AND k.state = 1)::integer AS tasks,
  (SELECT count(*) FROM routes r WHERE r.department_id = @id)::integer AS routes,
  (SELECT count(*) FROM hotlines h JOIN staff s ON s.id = h.owner_staff_id WHERE s.department_id = @id AND s.status <> 5 AND h.delete_time IS NULL)::integer AS hotlines,
  (SELECT count(*) FROM duty_rosters r WHERE r.department_id = @id AND NOT r.closed)::integer AS rosters,
  (SELECT count(*) FROM duty_rosters r JOIN duty_shifts d ON d.roster_id = r.id AND d.end_time > @now::timestamptz WHERE r.department_id = @id AND NOT r.closed)::integer AS shifts,
  (SELECT count(*) FROM stations n WHERE n.department_id = @id AND NOT n.closed)::integer AS stations,
  (SELECT count(*) FROM canned_answers c WHERE c.department_id = @id)::integer AS answers,
  (SELECT count(*) FROM departments d WHERE d.parent_id = @id AND d.close_time IS NULL)::integer AS below;

-- name: LockTicketsOfDepartment :many
SELECT * FROM tickets WHERE department_id = @department_id AND state BETWEEN 1 AND 5 ORDER BY id FOR NO KEY UPDATE;

-- name: MoveDepartmentStaff :many
UPDATE staff SET department_id = @to_id, update_time = @update_time, version = version + 1
WHERE department_id = @from_id AND status <> 5 RETURNING *;

-- name: MoveDepartmentTasks :many
UPDATE tasks SET department_id = @to_id, update_time = @update_time, version = version + 1
WHERE department_id = @from_id AND state = 1 RETURNING *;

-- name: MoveDepartmentRoutes :many
UPDATE routes SET department_id = @to_id, update_time = @update_time WHERE department_id = @from_id RETURNING *;

-- name: MoveDepartmentRosters :many
UPDATE duty_rosters SET department_id = @to_id, update_time = @update_time, version = version + 1
WHERE department_id = @from_id AND NOT closed RETURNING *;

-- name: MoveDepartmentStations :many
UPDATE stations SET department_id = @to_id, update_time = @update_time, version = version + 1
WHERE department_id = @from_id AND NOT closed RETURNING *;

-- name: MoveDepartmentAnswers :many
UPDATE canned_answers SET department_id = @to_id, update_time = @update_time, version = version + 1
WHERE department_id = @from_id RETURNING *;
