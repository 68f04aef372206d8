-- name: LastResponsibility :one
SELECT * FROM complaint_responsibilities WHERE complaint_id = $1 ORDER BY id DESC LIMIT 1;

-- name: InsertResponsibility :exec
INSERT INTO complaint_responsibilities (id, complaint_id, kind, department_id, staff_id, grounds, state, objection_due, proposer_actor, determiner_actor, version)
VALUES (@id, @complaint_id, @kind, @department_id, @staff_id, @grounds, @state, @objection_due, @proposer_actor, '', 1);

-- name: UpdateResponsibility :exec
UPDATE complaint_responsibilities SET state = @state, objection_due = @objection_due, determiner_actor = @determiner_actor, version = @version
WHERE id = @id;

-- name: InsertResponsibilityStep :exec
INSERT INTO complaint_responsibility_steps (responsibility_id, version, state, reason, actor, actor_staff_id, occur_time)
VALUES (@responsibility_id, @version, @state, @reason, @actor, @actor_staff_id, @occur_time);

-- name: ListResponsibilitySteps :many
-- At most five: a responsibility only goes forward.
SELECT * FROM complaint_responsibility_steps WHERE responsibility_id = $1 ORDER BY version;
