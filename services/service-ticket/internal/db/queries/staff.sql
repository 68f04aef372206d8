-- name: InsertStaff :exec
INSERT INTO staff (id, name, department_id, posts, skills, languages, status, issuer, subject, create_time, update_time, version,
  calendar_id, certificate_names, certificate_expiries)
VALUES (@id, @name, @department_id, @posts, @skills, @languages, @status, @issuer, @subject, @create_time, @create_time, 1,
  @calendar_id, @certificate_names, @certificate_expiries);

-- name: GetStaff :one
SELECT * FROM staff WHERE id = @id;

-- name: GetStaffByIdentity :one
SELECT * FROM staff WHERE issuer = @issuer AND subject = @subject;

-- name: LockStaff :one
SELECT * FROM staff WHERE id = @id FOR NO KEY UPDATE;

-- name: ListStaff :many
SELECT * FROM staff WHERE id > @after ORDER BY id LIMIT @size;

-- name: ListStaffOfDepartment :many
SELECT * FROM staff WHERE department_id = @department_id AND id > @after ORDER BY id LIMIT @size;

-- name: ListStaffBySubject :many
SELECT * FROM staff WHERE subject = @subject AND id > @after
  AND (sqlc.narg('department_id')::uuid IS NULL OR department_id = sqlc.narg('department_id'))
ORDER BY id LIMIT @size;

-- name: UpdateStaff :exec
UPDATE staff SET name = @name, department_id = @department_id, posts = @posts, skills = @skills,
  languages = @languages, status = @status, issuer = @issuer, subject = @subject,
  calendar_id = @calendar_id, certificate_names = @certificate_names, certificate_expiries = @certificate_expiries,
  update_time = @update_time, version = @version
WHERE id = @id;
