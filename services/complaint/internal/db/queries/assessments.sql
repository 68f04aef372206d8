-- name: InsertAssessment :exec
INSERT INTO complaint_assessments (id, complaint_id, department_id, staff_id, points, grounds, cause_id, consequences, state,
  enterer_actor, approver_actor, version)
VALUES (@id, @complaint_id, @department_id, @staff_id, @points, @grounds, @cause_id, @consequences, @state, @enterer_actor, '', 1);

-- name: IsAssessed :one
SELECT EXISTS (SELECT FROM complaint_assessments WHERE complaint_id = @complaint_id AND department_id = @department_id
  AND staff_id IS NOT DISTINCT FROM sqlc.narg('staff_id') AND state NOT IN (3, 6));

-- name: GetAssessment :one
SELECT * FROM complaint_assessments WHERE id = @id AND complaint_id = @complaint_id;

-- name: UpdateAssessment :exec
UPDATE complaint_assessments SET state = @state, appeal_due = @appeal_due, approver_actor = @approver_actor, version = @version
WHERE id = @id;

-- name: ListAssessments :many
SELECT * FROM complaint_assessments WHERE complaint_id = @complaint_id AND id > @after ORDER BY id LIMIT @size;

-- name: InsertAssessmentStep :exec
INSERT INTO complaint_assessment_steps (assessment_id, version, state, reason, actor, actor_staff_id, occur_time)
VALUES (@assessment_id, @version, @state, @reason, @actor, @actor_staff_id, @occur_time);

-- name: ListAssessmentSteps :many
SELECT * FROM complaint_assessment_steps WHERE assessment_id = ANY (@ids::uuid[]) ORDER BY assessment_id, version;
