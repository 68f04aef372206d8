-- name: InsertDepartment :exec
INSERT INTO departments (id, code, name_zh, name_en, function, parent_id, head_staff_id, create_time, update_time, version)
VALUES (@id, @code, @name_zh, @name_en, @function, @parent_id, @head_staff_id, @create_time, @create_time, 1);

-- name: GetDepartment :one
SELECT * FROM departments WHERE id = @id;

-- name: LockDepartment :one
SELECT * FROM departments WHERE id = @id FOR NO KEY UPDATE;

-- name: LockDepartmentTree :many
-- Held in one order by every change of a parent, so that two changes cannot close a
-- circle between them.
SELECT id, parent_id FROM departments ORDER BY id FOR NO KEY UPDATE;

-- name: ListDepartments :many
SELECT * FROM departments WHERE id > @after ORDER BY id LIMIT @size;

-- name: GetDepartmentByCode :one
SELECT * FROM departments WHERE code = @code;

-- name: UpdateDepartment :exec
UPDATE departments SET code = @code, name_zh = @name_zh, name_en = @name_en, function = @function,
  parent_id = @parent_id, head_staff_id = @head_staff_id, update_time = @update_time, version = @version
WHERE id = @id;
